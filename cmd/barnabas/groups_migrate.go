package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// migratedOffset is one line of what migrate shows: a partition's place in the old cluster and in the new one.
type migratedOffset struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	From      int64  `json:"from_offset"`         // committed in the old cluster
	Unread    int64  `json:"unread"`              // records left there, as offsets
	Timestamp *int64 `json:"timestamp,omitempty"` // milliseconds since 1970: everything before it in the new cluster has been read
	To        int64  `json:"to_offset"`
	Twice     int64  `json:"read_twice"` // at most this many records are read again
	Note      string `json:"note,omitempty"`
	Status    string `json:"status"` // planned, set, failed or refused
	Error     string `json:"error,omitempty"`
	err       error
}

func newGroupsMigrate(a *app) *cobra.Command {
	var (
		from, to                   []string
		fromConfig, toConfig       string
		topics                     []string
		execute, dryRun, overwrite bool
	)
	c := &cobra.Command{
		Use:   "migrate GROUP --from A --to B",
		Short: "Take a group to another cluster that holds a copy of its topics",
		Long: `Take the offsets of a group to another cluster that holds a copy of its topics (by MirrorMaker, or any other copy that keeps
partitions and timestamps). Offsets differ between the two, so each is translated by timestamp: the oldest timestamp among the records
that the group has not read there, and in the new cluster the first record of that time. Nothing before it is unread, whatever order
the copy has, so no record is skipped; what was already read after it is read twice, and the plan says how many records that is at most.
Where everything has been read, the group begins with its last record.

Without --execute the plan is shown and nothing is changed. It is refused when the group has members in either cluster, or offsets in
the new one already (--overwrite); for a topic with message.timestamp.type=LogAppendTime, whose copy has other timestamps; and
where a partition or a record of that time is not found, as when the copy lags behind. One refused partition refuses all of them; --topic
picks those to take.`,
		Example: `  barnabas groups migrate billing --from kafka-a:9092 --to kafka-b:9092
  barnabas groups migrate billing --from kafka-a:9092 --to kafka-b:9092 --execute
  barnabas groups migrate billing --from kafka-a:9092 --to kafka-b:9092 --topic orders --topic payments:0-3`,
		Args:              need(1, 1, "the name of a group"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(from) == 0 || len(to) == 0 {
				return usage("from where to where?", "pass --from and --to, a broker of each cluster")
			}
			if execute && dryRun {
				return usage("--execute and --dry-run exclude each other", "--dry-run is the default")
			}
			scope, err := parseTopicScope(topics)
			if err != nil {
				return err
			}
			source, err := a.at(from, fromConfig)
			if err != nil {
				return err
			}
			dest, err := a.at(to, toConfig)
			if err != nil {
				return err
			}
			return a.migrate(cmd.Context(), source, dest, args[0], scope, overwrite, execute)
		},
	}
	f := c.Flags()
	f.StringSliceVar(&from, "from", nil, "`host:port` of the cluster that the group leaves")
	f.StringSliceVar(&to, "to", nil, "`host:port` of the cluster that it goes to")
	f.StringVar(&fromConfig, "from-config", "", "`file` of client properties for the old cluster, instead of --command-config")
	f.StringVar(&toConfig, "to-config", "", "`file` of client properties for the new cluster, instead of --command-config")
	f.StringArrayVar(&topics, "topic", nil, "only this `topic`, or topic:0,1,5-7; repeat for more")
	f.BoolVar(&overwrite, "overwrite", false, "replace offsets that the group has in the new cluster")
	f.BoolVar(&execute, "execute", false, "do it")
	f.BoolVar(&dryRun, "dry-run", false, "only show the plan, which is the default")
	return c
}

// at is the same program with another cluster.
func (a *app) at(bootstrap []string, config string) (*app, error) {
	b := *a
	b.bootstrap = bootstrap
	if config != "" {
		p, err := loadProperties(config)
		if err != nil {
			return nil, err
		}
		b.settings = p
	}
	return &b, nil
}

// migrate plans, and with execute carries out, the move of a group.
func (a *app) migrate(ctx context.Context, source, dest *app, group string, scope []topicScope, overwrite, execute bool) error {
	sctx, sadm, sdone, err := source.adminLong(ctx)
	if err != nil {
		return source.explainAt("from", err)
	}
	defer sdone()
	dctx, dadm, ddone, err := dest.adminLong(ctx)
	if err != nil {
		return dest.explainAt("to", err)
	}
	defer ddone()
	// Offsets that a transaction is about to commit are waited for: they are where the group will be.
	g, err := source.describeOne(kadm.RequireStable(sctx), sadm, group, readWhat{members: true, offsets: true})
	switch {
	case err != nil:
		return source.explainAt("from", err)
	case g == nil:
		return failed("no group "+shownName(group)+" in the cluster it is to leave", "see the groups with `barnabas groups list --bootstrap "+source.bootstrap[0]+"`")
	case g.Type == "share":
		return failed("group "+shownName(group)+" is a share group, which has no offsets of this kind", "")
	}
	if err := g.mustBeIdle(group, " in the cluster it leaves"); err != nil {
		return err
	}
	there, err := dest.describeOne(dctx, dadm, group, readWhat{members: true})
	if err != nil {
		return dest.explainAt("to", err)
	}
	if err := there.mustBeIdle(group, " in the cluster it goes to"); err != nil {
		return err
	}
	var rows []migratedOffset
	for _, p := range g.Partitions {
		if p.Error != "" {
			return failed(fmt.Sprintf("%s-%d: %s", p.Topic, p.Partition, p.Error), "try again; nothing was changed")
		}
		if p.Committed != nil && inScope(scope, p.Topic, p.Partition) {
			rows = append(rows, migratedOffset{Topic: p.Topic, Partition: p.Partition, From: *p.Committed})
		}
	}
	if len(rows) == 0 {
		return failed("group "+shownName(group)+" has no committed offsets to take along", "see them with `barnabas groups describe --offsets`")
	}
	for _, s := range scope {
		if !slices.ContainsFunc(rows, func(r migratedOffset) bool { return r.Topic == s.topic }) {
			return failed("group "+shownName(group)+" has no committed offsets of "+shownName(s.topic)+" to take along", "see them with `barnabas groups describe --offsets`")
		}
	}
	already, err := dest.committedOf(dctx, dadm, group)
	if err != nil {
		return dest.explainAt("to", err)
	}
	if !overwrite {
		for _, r := range rows {
			if at := already[r.Topic][r.Partition]; at != nil {
				return failed(fmt.Sprintf("group %s already has offset %d of %s-%d in the cluster it goes to", shownName(group), *at, r.Topic, r.Partition),
					"pass --overwrite to replace it, or --topic to take others only")
			}
		}
	}
	if err := a.translate(sctx, dctx, source, dest, sadm, dadm, rows); err != nil {
		return err
	}
	bad := slices.ContainsFunc(rows, func(r migratedOffset) bool { return r.err != nil })
	if execute && !bad {
		if err := stillThere(sctx, source, sadm, group, rows); err != nil {
			return err
		}
		changes := make([]offsetChange, len(rows))
		for i, r := range rows {
			changes[i] = offsetChange{Group: group, Topic: r.Topic, Partition: r.Partition, New: r.To}
			for _, p := range g.Partitions {
				if p.Topic == r.Topic && p.Partition == r.Partition {
					changes[i].metadata = p.Metadata
				}
			}
		}
		if err := dest.carryOut(dctx, dadm, changes); err != nil {
			return dest.explainAt("to", err)
		}
		for i, c := range changes {
			rows[i].Status, rows[i].Error, rows[i].err = c.Status, c.Error, c.err
		}
	}
	return a.reportMigration(group, rows, execute, bad)
}

// stillThere is an error if somebody has used the group while its unread records were read, which may have taken long.
func stillThere(ctx context.Context, source *app, adm *adminClient, group string, rows []migratedOffset) error {
	g, err := source.describeOne(ctx, adm, group, readWhat{members: true})
	if err != nil {
		return source.explainAt("from", err)
	}
	if err := g.mustBeIdle(group, " in the cluster it leaves"); err != nil {
		return err
	}
	now, err := source.committedOf(ctx, adm, group)
	if err != nil {
		return source.explainAt("from", err)
	}
	for _, r := range rows {
		if at := now[r.Topic][r.Partition]; at == nil || *at != r.From {
			return failed(fmt.Sprintf("the offset of %s-%d has moved meanwhile: somebody uses group %s in the cluster it leaves", r.Topic, r.Partition, shownName(group)), "stop its consumers, then repeat; nothing was changed")
		}
	}
	return nil
}

// adminLong is admin without its bound on the whole: reading what a group has not read can take long.
func (a *app) adminLong(ctx context.Context) (context.Context, *adminClient, func(), error) {
	_, adm, done, err := a.admin(ctx)
	return ctx, adm, done, err
}

// explainAt names the cluster that an error comes from, since two take part.
func (a *app) explainAt(flag string, err error) error {
	f := a.explain(err)
	return &fault{what: "--" + flag + ": " + f.what, cure: f.cure, code: f.code, err: err}
}

// refuse marks a row: its timestamps cannot tell where to begin.
func (r *migratedOffset) refuse(what, cure string) {
	r.Status, r.Error = "refused", what
	r.err = failed(what, cure)
}

// translate fills the rows in. What timestamps cannot tell about one partition is that row's error; the rest is an error of all.
func (a *app) translate(sctx, dctx context.Context, source, dest *app, sadm, dadm *adminClient, rows []migratedOffset) error {
	var topics []string
	for _, r := range rows {
		if !slices.Contains(topics, r.Topic) {
			topics = append(topics, r.Topic)
		}
	}
	here, err := rangesOf(sctx, sadm, topics)
	if err != nil {
		return source.explainAt("from", err)
	}
	there, err := rangesOf(dctx, dadm, topics)
	if err != nil {
		return dest.explainAt("to", err)
	}
	var scan []unreadSpan
	for i := range rows {
		r := &rows[i]
		start, end, err := here.rangeOf(r.Topic, r.Partition)
		switch {
		case isUnknownTopic(err):
			r.refuse("the cluster it leaves no longer has this partition", "leave it out: pick the others with --topic")
			continue
		case err != nil:
			return source.explainAt("from", wrap(err, "%s-%d", r.Topic, r.Partition))
		case r.From > end:
			r.refuse(fmt.Sprintf("offset %d is beyond the end, %d: was the topic made anew?", r.From, end), "reset it first, with `barnabas groups reset-offsets`")
			continue
		}
		_, _, err = there.rangeOf(r.Topic, r.Partition)
		switch {
		case isUnknownTopic(err):
			r.refuse("the cluster it goes to has no such partition", "copy the topic with all its partitions first, or pick others with --topic")
			continue
		case err != nil:
			return dest.explainAt("to", wrap(err, "%s-%d", r.Topic, r.Partition))
		}
		r.Unread = end - max(r.From, start)
		scan = append(scan, unreadSpan{row: i, topic: r.Topic, partition: r.Partition, committed: r.From, start: start, end: end})
	}
	if err := refuseAppendTime(sctx, sadm, rows, "the cluster it leaves"); err != nil {
		return source.explainAt("from", err)
	}
	if err := refuseAppendTime(dctx, dadm, rows, "the cluster it goes to"); err != nil {
		return dest.explainAt("to", err)
	}
	scan = slices.DeleteFunc(scan, func(s unreadSpan) bool { return rows[s.row].err != nil })
	if err := source.readSpans(sctx, sadm, scan); err != nil {
		return source.explainAt("from", err)
	}
	want := map[lagKey]int64{}
	for i := range scan {
		s := &scan[i]
		r := &rows[s.row]
		switch {
		case s.appendTime:
			r.refuse("its records have the time of their append, which a copy does not keep", appendTimeCure)
		case s.noTime:
			r.refuse("a record without a timestamp", "reset it by hand, with `barnabas groups reset-offsets`")
		case s.found:
			want[lagKey{r.Topic, r.Partition}] = s.oldest
			at := s.oldest
			r.Timestamp = &at
		}
	}
	foundHere, err := offsetsAt(sctx, sadm, want)
	if err != nil {
		return source.explainAt("from", err)
	}
	foundThere, err := offsetsAt(dctx, dadm, want)
	if err != nil {
		return dest.explainAt("to", err)
	}
	for i := range scan {
		s := &scan[i]
		r := &rows[s.row]
		if r.err == nil {
			k := lagKey{r.Topic, r.Partition}
			lo, hi, _ := there.rangeOf(r.Topic, r.Partition)
			s.place(r, foundHere[k], foundThere[k], lo, hi)
		}
	}
	return nil
}

// timedOffset is the first offset at or after a time; negative when there is none.
type timedOffset struct{ offset int64 }

// place decides where the group begins in the new cluster, whose log is [lo, hi). here and there are the first offsets of the time s.oldest
// in the old and in the new cluster.
func (s *unreadSpan) place(r *migratedOffset, here, there timedOffset, lo, hi int64) {
	if !s.found {
		// No record is left to tell a time by: all were read, and are deleted or never were.
		if lo != hi {
			r.refuse("its records are all read and gone, so no timestamp tells where the copy is to begin",
				"begin by hand, with `barnabas groups reset-offsets` in the new cluster, or let a record be written to the partition and copied")
			return
		}
		r.To, r.Note = hi, "both are empty"
		return
	}
	if there.offset < 0 {
		r.refuse(fmt.Sprintf("the copy has no record at or after %s", time.UnixMilli(s.oldest).UTC().Format("2006-01-02T15:04:05.000Z")),
			"wait until the copy has caught up, then repeat")
		return
	}
	r.To = there.offset
	// Read already, and at or after that time: in the old log those between its first record of that time and the committed offset. If the
	// old log has lost its beginning the copy may hold more of them; all it holds there, but for the unread, is a bound as well.
	read := max(s.committed, s.start)
	if here.offset >= 0 {
		r.Twice = max(0, read-here.offset)
	}
	if s.start > 0 {
		r.Twice = max(r.Twice, hi-r.To-(s.end-read))
	}
	r.Twice = min(r.Twice, hi-r.To)
	switch {
	case s.committed < s.start:
		r.Note = "the offset was before the start of the log: from the start"
	case r.Unread == 0 || !s.anyUnread:
		r.Note = "everything was read: from the last record"
	}
}

const appendTimeCure = "with message.timestamp.type=LogAppendTime begin by hand, with `barnabas groups reset-offsets` in the new cluster, or pick other topics with --topic"

// refuseAppendTime refuses the topics whose timestamps the broker makes.
func refuseAppendTime(ctx context.Context, adm *adminClient, rows []migratedOffset, where string) error {
	var topics []string
	for _, r := range rows {
		if r.err == nil && !slices.Contains(topics, r.Topic) {
			topics = append(topics, r.Topic)
		}
	}
	if len(topics) == 0 {
		return nil
	}
	got, err := describeConfigs(ctx, adm.wire, kmsg.ConfigResourceTypeTopic, topics, []string{"message.timestamp.type"}, false)
	if err != nil {
		return wrap(err, "asking for message.timestamp.type")
	}
	for _, res := range got {
		if res.err != nil {
			return wrap(res.err, "asking for message.timestamp.type of %s", res.Name)
		}
		for _, c := range res.Configs {
			if c.Name != "message.timestamp.type" || c.Value == nil || *c.Value != "LogAppendTime" {
				continue
			}
			for i := range rows {
				if rows[i].Topic == res.Name && rows[i].err == nil {
					rows[i].refuse("message.timestamp.type is LogAppendTime in "+where+": the copy has other timestamps", appendTimeCure)
				}
			}
		}
	}
	return nil
}

// offsetsAt asks for the first offset at or after a time, another one for each partition.
func offsetsAt(ctx context.Context, adm *adminClient, want map[lagKey]int64) (map[lagKey]timedOffset, error) {
	out := map[lagKey]timedOffset{}
	if len(want) == 0 {
		return out, nil
	}
	req := kmsg.NewPtrListOffsetsRequest()
	byTopic := map[string][]kmsg.ListOffsetsRequestTopicPartition{}
	for k, at := range want { // any order: the answer is a map
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp = k.partition, at
		byTopic[k.topic] = append(byTopic[k.topic], p)
	}
	for topic, parts := range byTopic { // any order: the answer is a map
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic, t.Partitions = topic, parts
		req.Topics = append(req.Topics, t)
	}
	for _, s := range adm.wire.RequestSharded(ctx, req) {
		if s.Err != nil {
			return nil, wrap(s.Err, "looking up offsets by time")
		}
		for _, t := range s.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return nil, wrap(err, "offset by time of %s-%d", t.Topic, p.Partition)
				}
				out[lagKey{t.Topic, p.Partition}] = timedOffset{p.Offset}
			}
		}
	}
	for k := range want { // any order: the first missing one is as good as any
		if _, ok := out[k]; !ok {
			return nil, failed(fmt.Sprintf("the broker names no offset by time of %s-%d", k.topic, k.partition), "try again")
		}
	}
	return out, nil
}

// reportMigration prints the plan or what became of it, and is the command's end.
func (a *app) reportMigration(group string, rows []migratedOffset, execute, refused bool) error {
	var twice, unread int64
	for i := range rows {
		r := &rows[i]
		if r.Status == "" {
			r.Status = "planned"
		}
		twice, unread = twice+r.Twice, unread+r.Unread
	}
	bad, first := blamed(rows, func(r *migratedOffset) *fault { return a.blame(partitionName(r.Topic, r.Partition), r.Error, r.err) })
	if err := a.emit(rows, func(w io.Writer) {
		t := newTable("TOPIC", ">PARTITION", ">FROM", ">UNREAD", "TIME", ">TO", ">READ TWICE", "NOTE", "STATUS", "ERROR")
		for _, r := range rows {
			var at, to, again any
			if r.Timestamp != nil {
				at = time.UnixMilli(*r.Timestamp).UTC().Format("2006-01-02T15:04:05.000Z")
			}
			if r.Status != "refused" {
				to, again = r.To, r.Twice
			}
			t.row(r.Topic, r.Partition, r.From, r.Unread, at, to, again, r.Note, r.Status, r.Error)
		}
		t.dropEmptyColumns("FROM", "TO", "READ TWICE", "STATUS")
		t.draw(w, a.paint)
		if bad == 0 {
			fmt.Fprintf(w, "group %s: %s records unread, at most %s will be read twice\n", shownName(group), humanCount(unread), humanCount(twice))
		}
	}); err != nil {
		return err
	}
	switch {
	case refused:
		f := &fault{what: "nothing was changed: " + first.Error(), cure: first.cure, code: exitFailed, err: first}
		if bad > 1 {
			f.what = fmt.Sprintf("nothing was changed: %d of %d partitions are refused; the first: %s", bad, len(rows), first.Error())
		}
		return f
	case !execute:
		fmt.Fprintln(a.err, "nothing was changed: this is the plan; pass --execute to carry it out")
	}
	return partial(bad, len(rows), "partitions", first)
}
