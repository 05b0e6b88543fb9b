package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// resetFlags are the flags of reset-offsets as typed.
type resetFlags struct {
	earliest, latest, current bool
	offset, shift             int64
	datetime, duration, file  string
	topics                    []string
	allTopics                 bool
	execute, dryRun           bool
	regex                     bool
}

func newGroupsReset(a *app) *cobra.Command {
	var r resetFlags
	c := &cobra.Command{
		Use:   "reset-offsets GROUP...",
		Short: "Move the committed offsets of groups that nobody uses",
		Long: `Move the committed offsets of groups. Without --execute the plan is shown and nothing is changed. A group with members is
refused: its consumers would go on where they are, and commit over it.

Where to: exactly one of --to-earliest, --to-latest, --to-current, --to-offset, --shift-by, --to-datetime, --by-duration, --from-file.
An offset outside of the log becomes its nearest edge. A time means the first record at or after it, or the end when there is none;
a time without a zone is UTC, as in Kafka's tool. A duration is 1d12h or P1DT12H, back from now.

Which partitions: --topic orders (all of them) or --topic orders:0,1,5-7, repeated for more, or --all-topics, which is every
partition the group has a committed offset of. --from-file names its partitions itself; see export and import.`,
		Example: `  barnabas groups reset-offsets billing --topic orders --to-earliest
  barnabas groups reset-offsets billing --topic orders:0,1 --shift-by -100 --execute
  barnabas groups reset-offsets billing --all-topics --to-datetime 2026-01-31T12:00:00Z --execute
  barnabas groups reset-offsets billing --all-topics --by-duration 2h
  barnabas groups reset-offsets billing --from-file billing.csv --execute`,
		Args:              need(1, -1, "the name of a group"),
		ValidArgsFunction: a.completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			to, err := r.target(a, cmd)
			if err != nil {
				return err
			}
			scope, err := parseTopicScope(r.topics)
			if err != nil {
				return err
			}
			if r.execute && r.dryRun {
				return usage("--execute and --dry-run exclude each other", "--dry-run is the default")
			}
			if r.file != "" {
				if len(scope) > 0 || r.allTopics {
					return usage("--from-file names its partitions itself", "leave --topic and --all-topics out")
				}
				return a.importOffsets(cmd.Context(), r.file, args, r.execute)
			}
			if (len(scope) > 0) == r.allTopics {
				return usage("which partitions?", "pass --topic orders, --topic orders:0,1 or --all-topics")
			}
			p, err := newGroupPattern(args, r.regex)
			if err != nil {
				return err
			}
			ctx, adm, done, err := a.admin(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			names, err := a.groupNames(ctx, adm, p)
			if err != nil {
				return err
			}
			var changes []offsetChange
			for _, group := range names {
				more, err := a.planReset(ctx, adm, group, to, scope)
				if err != nil {
					return err
				}
				changes = append(changes, more...)
			}
			return a.finishPlan(ctx, adm, changes, r.execute)
		},
	}
	f := c.Flags()
	groupPatternFlag(c, &r.regex)
	f.BoolVar(&r.earliest, "to-earliest", false, "to the first record kept")
	f.BoolVar(&r.latest, "to-latest", false, "to the end")
	f.BoolVar(&r.current, "to-current", false, "to where they are; partitions without a committed offset to the end")
	f.Int64Var(&r.offset, "to-offset", 0, "to this `offset`")
	f.Int64Var(&r.shift, "shift-by", 0, "forwards by this `number` of records, or backwards by a negative one")
	f.StringVar(&r.datetime, "to-datetime", "", "to the first record at or after this `time`: 2026-01-31T12:00:00Z")
	f.StringVar(&r.duration, "by-duration", "", "to the first record of the last `duration`: 2h, 1d12h or P1DT12H")
	f.StringVar(&r.file, "from-file", "", "to the offsets in this `file`: CSV or JSON of an export")
	f.StringArrayVar(&r.topics, "topic", nil, "a `topic`, or topic:0,1,5-7; repeat for more")
	f.BoolVar(&r.allTopics, "all-topics", false, "every partition with a committed offset")
	f.BoolVar(&r.execute, "execute", false, "do it")
	f.BoolVar(&r.dryRun, "dry-run", false, "only show the plan, which is the default")
	must(c.RegisterFlagCompletionFunc("topic", a.completeTopics))
	return c
}

// target reads which one of the places is meant.
func (r *resetFlags) target(a *app, cmd *cobra.Command) (target, error) {
	var given []string
	for _, name := range []string{"to-earliest", "to-latest", "to-current", "to-offset", "shift-by", "to-datetime", "by-duration", "from-file"} {
		if cmd.Flags().Changed(name) {
			given = append(given, "--"+name)
		}
	}
	if len(given) != 1 {
		what := "where to?"
		if len(given) > 1 {
			what = strings.Join(given, " and ") + " exclude each other"
		}
		return target{}, usage(what, "pass one of --to-earliest, --to-latest, --to-current, --to-offset, --shift-by, --to-datetime, --by-duration, --from-file")
	}
	switch given[0] {
	case "--to-earliest":
		return target{kind: toEarliest}, nil
	case "--to-latest":
		return target{kind: toLatest}, nil
	case "--to-current":
		return target{kind: toCurrent}, nil
	case "--to-offset":
		if r.offset < 0 {
			return target{}, usage(fmt.Sprintf("--to-offset %d: offsets begin at 0", r.offset), "--shift-by moves backwards")
		}
		return target{kind: toOffset, offset: r.offset}, nil
	case "--shift-by":
		if r.shift == math.MinInt64 {
			return target{}, usage(fmt.Sprintf("--shift-by %d is too far", r.shift), "--to-earliest is as far back as it goes")
		}
		return target{kind: shiftBy, offset: r.shift}, nil
	case "--to-datetime":
		ms, err := parseMoment(r.datetime, a.now().UTC())
		if err != nil {
			return target{}, usage("--to-datetime: "+err.Error(), "write 2026-01-31T12:00:00Z, 2026-01-31T12:00:00.000+01:00, or milliseconds since 1970")
		}
		return target{kind: toTime, millis: max(0, ms)}, nil
	case "--by-duration":
		d, err := parseISODuration(r.duration)
		if err != nil {
			return target{}, usage("--by-duration: "+err.Error(), "write 2h, 1d12h or P1DT12H")
		}
		return target{kind: toTime, millis: max(0, a.now().Add(-d).UnixMilli())}, nil
	}
	if r.file == "" {
		return target{}, usage("--from-file is empty", "name a file, or - for stdin")
	}
	return target{}, nil
}

// groupNames are the groups that p means. A full name need not exist: offsets may be committed before anybody joins.
func (a *app) groupNames(ctx context.Context, adm *adminClient, p *groupPattern) ([]string, error) {
	if !p.wild() {
		return uniq(p.args), nil
	}
	listed, err := a.matchGroups(ctx, adm, p, true)
	if err != nil {
		return nil, err
	}
	var names, literal []string
	for _, l := range listed {
		names = append(names, l.Group)
	}
	for i, s := range p.args {
		switch {
		case p.match[i] == nil:
			literal = append(literal, s)
		case !slices.ContainsFunc(names, p.match[i].MatchString) && !slices.Contains(names, s):
			return nil, noGroup(s)
		}
	}
	return uniq(append(names, literal...)), nil
}

// uniq drops repetitions and keeps the order.
func uniq(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// planReset finds the new offsets of one group.
func (a *app) planReset(ctx context.Context, adm *adminClient, group string, to target, scope []topicScope) ([]offsetChange, error) {
	g, err := a.describeOne(ctx, adm, group, readWhat{members: true})
	if err != nil {
		return nil, err
	}
	if err := g.mustBeIdle(group, ""); err != nil {
		return nil, err
	}
	committed, err := a.committedOf(ctx, adm, group)
	if err != nil {
		return nil, err
	}
	whole := scope == nil
	if whole {
		for topic, parts := range committed { // any order: sorted below
			s := topicScope{topic: topic}
			for p := range parts { // any order: sorted below
				s.partitions = append(s.partitions, p)
			}
			slices.Sort(s.partitions)
			scope = append(scope, s)
		}
		slices.SortFunc(scope, func(x, y topicScope) int { return compareStrings(x.topic, y.topic) })
		if len(scope) == 0 {
			return nil, failed("group "+shownName(group)+" has no committed offsets, so --all-topics means nothing", "name topics with --topic")
		}
	}
	topics := make([]string, len(scope))
	for i, s := range scope {
		topics[i] = s.topic
	}
	b, err := rangesOf(ctx, adm, topics)
	if err != nil {
		return nil, err
	}
	var times kadm.ListedOffsets
	if to.kind == toTime {
		if times, err = adm.ListOffsetsAfterMilli(ctx, to.millis, topics...); err != nil {
			return nil, wrap(err, "looking up offsets by time")
		}
	}
	var out []offsetChange
	for _, s := range scope {
		parts := s.partitions
		if !whole {
			if parts, err = s.partitionsIn(b); err != nil {
				return nil, err
			}
		}
		for _, p := range parts {
			c := offsetChange{Group: group, Topic: s.topic, Partition: p, Current: committed[s.topic][p]}
			start, end, err := b.rangeOf(s.topic, p)
			if err != nil {
				if whole && isUnknownTopic(err) {
					a.warn("%s-%d no longer exists and is left as it is; `barnabas groups delete-offsets` removes its offset", s.topic, p)
					continue
				}
				return nil, wrap(err, "%s-%d", s.topic, p)
			}
			byTime := int64(-1)
			if o, ok := times.Lookup(s.topic, p); ok {
				if o.Err != nil {
					return nil, wrap(o.Err, "offset by time of %s-%d", s.topic, p)
				}
				if o.Timestamp >= 0 { // else kadm put the end there
					byTime = o.Offset
				}
			}
			if c.New, c.Note, err = to.newOffset(c.Current, start, end, byTime); err != nil {
				return nil, failed(fmt.Sprintf("group %s, %s-%d: %v", shownName(group), s.topic, p, err), "name the partitions that have one with --topic, or use another target for this one")
			}
			c.Lag = end - c.New
			out = append(out, c)
		}
	}
	return out, nil
}

// fetchOffsets reads what one group has committed. The first question about a group of a new cluster makes the broker create
// __consumer_offsets, and until that is there nobody coordinates: a moment worth waiting for.
func (a *app) fetchOffsets(ctx context.Context, adm *adminClient, group string) (kadm.OffsetResponses, error) {
	for end := time.Now().Add(a.apiTimeout()); ; {
		r := adm.FetchManyOffsets(ctx, group)[group]
		if r.Err == nil || errors.Is(r.Err, kerr.GroupIDNotFound) { // nobody has committed for it yet; brokers say it either way
			return r.Fetched, nil
		}
		if !kerr.IsRetriable(r.Err) || time.Now().After(end) {
			return nil, a.groupError(wrap(r.Err, "reading the offsets of group %s", shownName(group)), group)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// committedOf reads the committed offsets of one group, by topic and partition.
func (a *app) committedOf(ctx context.Context, adm *adminClient, group string) (map[string]map[int32]*int64, error) {
	fetched, err := a.fetchOffsets(ctx, adm, group)
	if err != nil {
		return nil, err
	}
	out := map[string]map[int32]*int64{}
	for topic, parts := range fetched { // any order: a map into a map
		for p, o := range parts { // any order: a map into a map
			if o.Err != nil {
				return nil, a.groupError(wrap(o.Err, "reading the offset of %s-%d of group %s", topic, p, shownName(group)), group)
			}
			if o.At >= 0 {
				if out[topic] == nil {
					out[topic] = map[int32]*int64{}
				}
				out[topic][p] = &o.At
			}
		}
	}
	return out, nil
}

func newGroupsExport(a *app) *cobra.Command {
	var (
		regex, withGroup bool
		topics           []string
		file             string
	)
	c := &cobra.Command{
		Use:   "export GROUP...",
		Short: "Print the committed offsets of groups as CSV or JSON",
		Long: `Print the committed offsets of groups, to keep them or to import them elsewhere.

The CSV is that of kafka-consumer-groups.sh: rows of topic,partition,offset for one group, or group,topic,partition,offset for several,
without a heading. -o json and -o yaml also have leader epochs and the metadata that consumers commit. Any form can be read
by import, by reset-offsets --from-file, and the CSV by Kafka's tool, too.`,
		Example: `  barnabas groups export billing > billing.csv
  barnabas groups export 'billing-*' -o json --file offsets.json
  barnabas groups export billing --topic orders:0,1`,
		Args:              need(1, -1, "the name of a group"),
		ValidArgsFunction: a.completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			scope, err := parseTopicScope(topics)
			if err != nil {
				return err
			}
			p, err := newGroupPattern(args, regex)
			if err != nil {
				return err
			}
			ctx, adm, done, err := a.admin(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			listed, err := a.matchGroups(ctx, adm, p, false)
			if err != nil {
				return err
			}
			groups := []exportedGroup{}
			for _, l := range listed {
				fetched, err := a.fetchOffsets(ctx, adm, l.Group)
				if err != nil {
					return err
				}
				g := exportedGroup{Group: l.Group, Offsets: []exportedOffset{}}
				for _, o := range fetched.Sorted() {
					if o.Err != nil {
						return a.groupError(wrap(o.Err, "reading the offset of %s-%d of group %s", o.Topic, o.Partition, shownName(l.Group)), l.Group)
					}
					if o.At < 0 || !inScope(scope, o.Topic, o.Partition) {
						continue
					}
					e := exportedOffset{Topic: o.Topic, Partition: o.Partition, Offset: o.At, Metadata: o.Metadata}
					if o.LeaderEpoch >= 0 {
						e.LeaderEpoch = &o.LeaderEpoch
					}
					g.Offsets = append(g.Offsets, e)
				}
				if len(g.Offsets) == 0 {
					a.warn("group %s has no committed offsets%s", shownName(l.Group), map[bool]string{true: " of these topics"}[scope != nil])
				}
				groups = append(groups, g)
			}
			return a.writeExport(groups, withGroup || p.wild() || len(uniq(args)) > 1, file)
		},
	}
	f := c.Flags()
	groupPatternFlag(c, &regex)
	f.StringArrayVar(&topics, "topic", nil, "only this `topic`, or topic:0,1,5-7; repeat for more")
	f.StringVar(&file, "file", "", "write to this `file` instead of stdout")
	f.BoolVar(&withGroup, "with-group", false, "begin every row with the group, even when there is only one")
	must(c.RegisterFlagCompletionFunc("topic", a.completeTopics))
	return c
}

func inScope(scope []topicScope, topic string, partition int32) bool {
	return scope == nil || slices.ContainsFunc(scope, func(s topicScope) bool {
		return s.topic == topic && (s.partitions == nil || slices.Contains(s.partitions, partition))
	})
}

// writeExport prints CSV as it is into files and pipes. A terminal gets it made printable, since names may hold anything.
func (a *app) writeExport(groups []exportedGroup, withGroup bool, file string) error {
	var csv bytes.Buffer
	for _, g := range groups {
		for _, o := range g.Offsets {
			if withGroup {
				csvRow(&csv, &g.Group, o)
			} else {
				csvRow(&csv, nil, o)
			}
		}
	}
	if file == "" {
		return a.emit(groups, func(w io.Writer) { writeCSV(w, csv.Bytes(), a.outTTY) })
	}
	// Written aside and renamed, so that a failure leaves no half of an export behind.
	out, err := os.CreateTemp(filepath.Dir(file), ".export-*")
	if err != nil {
		return wrap(err, "writing the export")
	}
	defer os.Remove(out.Name())
	to := *a
	to.out = out
	err = to.emit(groups, func(w io.Writer) { writeCSV(w, csv.Bytes(), false) })
	if err = cmp.Or(err, out.Chmod(0o644), out.Close()); err != nil {
		return wrap(err, "writing %s", file)
	}
	return wrap(os.Rename(out.Name(), file), "writing %s", file)
}

func writeCSV(w io.Writer, csv []byte, toTerminal bool) {
	if !toTerminal {
		_, _ = w.Write(csv) // w is a buffer
		return
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(string(csv), "\n"), "\n") {
		if line != "" {
			fmt.Fprintln(w, printable(line))
		}
	}
}

func newGroupsImport(a *app) *cobra.Command {
	var (
		groups          []string
		execute, dryRun bool
	)
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Commit the offsets of an export",
		Long: `Commit the offsets of an export. Without --execute the plan is shown and nothing is changed. FILE is what export, or
kafka-consumer-groups.sh --export, printed: CSV, JSON or YAML; "-" is stdin. Rows without a group need --group; with groups in the file,
--group picks some of them.

Groups with members are refused. An offset outside of the log becomes its nearest edge. To take a group to another cluster, whose offsets
differ, use migrate.`,
		Example: `  barnabas groups import billing.csv --group billing
  barnabas groups import offsets.json --execute
  barnabas groups export billing -o json | barnabas groups import - --execute`,
		Args: need(1, 1, "a file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if execute && dryRun {
				return usage("--execute and --dry-run exclude each other", "--dry-run is the default")
			}
			return a.importOffsets(cmd.Context(), args[0], uniq(groups), execute)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&groups, "group", nil, "only this `group`; repeat for more")
	f.BoolVar(&execute, "execute", false, "do it")
	f.BoolVar(&dryRun, "dry-run", false, "only show the plan, which is the default")
	must(c.RegisterFlagCompletionFunc("group", a.completeGroups))
	return c
}

// importOffsets plans, and with execute commits, the offsets of a file. It does so for all groups or, if one of them is refused, for none.
func (a *app) importOffsets(ctx context.Context, file string, only []string, execute bool) error {
	groups, err := readOffsetsFile(a.in, file, only)
	if err != nil {
		return err
	}
	ctx, adm, done, err := a.admin(ctx)
	if err != nil {
		return err
	}
	defer done()
	topics := map[string]bool{}
	for _, g := range groups {
		for _, o := range g.Offsets {
			topics[o.Topic] = true
		}
	}
	b, err := rangesOf(ctx, adm, sortedKeysOf(topics))
	if err != nil {
		return err
	}
	var changes []offsetChange
	for _, g := range groups {
		now, err := a.describeOne(ctx, adm, g.Group, readWhat{members: true})
		if err != nil {
			return err
		}
		if err := now.mustBeIdle(g.Group, ""); err != nil {
			return err
		}
		committed, err := a.committedOf(ctx, adm, g.Group)
		if err != nil {
			return err
		}
		for _, o := range g.Offsets {
			c := offsetChange{Group: g.Group, Topic: o.Topic, Partition: o.Partition, Current: committed[o.Topic][o.Partition], metadata: o.Metadata}
			start, end, err := b.rangeOf(o.Topic, o.Partition)
			switch {
			case isUnknownTopic(err):
				return failed(fmt.Sprintf("the cluster has no partition %d of topic %s", o.Partition, shownName(o.Topic)),
					"leave it out of the file, or create it; `barnabas topics list` shows what there is")
			case err != nil:
				return wrap(err, "%s-%d", o.Topic, o.Partition)
			}
			if c.New, c.Note, err = clampOffset(o.Offset, start, end); err != nil {
				return err
			}
			c.Lag = end - c.New
			changes = append(changes, c)
		}
	}
	return a.finishPlan(ctx, adm, changes, execute)
}

var errNoAnswer = errors.New("the broker did not answer for it")
