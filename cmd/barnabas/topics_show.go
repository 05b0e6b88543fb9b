package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// topicRow is one topic of `topics list`.
type topicRow struct {
	Name              string `json:"name"`
	ID                string `json:"id,omitempty"`
	Partitions        int    `json:"partitions"`
	ReplicationFactor int    `json:"replication_factor"`
	Internal          bool   `json:"internal"`
	UnderReplicated   int    `json:"under_replicated"`
	Offline           int    `json:"offline"`
	// The three below only with --long, or when sorting asks for them; null when the broker does not say.
	Records   *int64 `json:"records,omitempty"`
	SizeBytes *int64 `json:"size_bytes,omitempty"`
}

func newTopicsList(a *app) *cobra.Command {
	var (
		regex, internal, long bool
		order                 string
	)
	c := &cobra.Command{
		Use:     "list [NAME...]",
		Aliases: []string{"ls"},
		Short:   "List topics",
		Example: `  barnabas topics list
  barnabas topics list 'orders-*' --long
  barnabas topics list --sort size
  barnabas topics list --internal -o json`,
		ValidArgsFunction: a.completeTopics,
		RunE: func(cmd *cobra.Command, args []string) error {
			less, err := topicOrder(order)
			if err != nil {
				return err
			}
			p, err := newPattern(args, regex)
			if err != nil {
				return err
			}
			ctx, adm, done, err := a.admin(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			topics, err := matchTopics(ctx, adm, p, internal, p.wild())
			if err != nil {
				return err
			}
			long = long || order == "size" || order == "records"
			rows := make([]topicRow, len(topics))
			var facts partitionFacts
			if long && len(topics) > 0 {
				facts = a.partitionFacts(ctx, adm, topics)
			}
			for i, t := range topics {
				rows[i] = listRow(t)
				if long {
					rows[i].Records, rows[i].SizeBytes = facts.totals(t)
				}
			}
			slices.SortStableFunc(rows, less)
			return a.emit(rows, func(w io.Writer) {
				if !long {
					t := newTable("NAME", ">PARTITIONS", ">REPLICAS", ">UNDER-REPLICATED", ">OFFLINE")
					for _, r := range rows {
						t.row(r.Name, r.Partitions, r.ReplicationFactor, orNil(r.UnderReplicated), orNil(r.Offline))
					}
					t.dropEmptyColumns("PARTITIONS", "REPLICAS")
					t.draw(w, a.paint)
					return
				}
				t := newTable("NAME", ">PARTITIONS", ">REPLICAS", ">RECORDS", ">SIZE", "ID")
				for _, r := range rows {
					var size any
					if r.SizeBytes != nil {
						size = humanBytes(*r.SizeBytes)
					}
					t.row(r.Name, r.Partitions, r.ReplicationFactor, r.Records, size, r.ID)
				}
				t.draw(w, a.paint)
			})
		},
	}
	f := c.Flags()
	patternFlags(c, &regex, &internal)
	f.Lookup("internal").Usage = "show internal topics, too"
	f.BoolVarP(&long, "long", "l", false, "add records, size and id")
	f.StringVar(&order, "sort", "name", "`column` to sort by: name, partitions, records or size")
	must(c.RegisterFlagCompletionFunc("sort", cobra.FixedCompletions([]string{"name", "partitions", "records", "size"}, cobra.ShellCompDirectiveNoFileComp)))
	return c
}

func orNil(n int) any {
	if n == 0 {
		return nil
	}
	return n
}

// topicOrder sorts names upwards and everything else downwards, ties by name.
func topicOrder(column string) (func(x, y topicRow) int, error) {
	var key func(topicRow) int64
	switch column {
	case "name":
		key = func(topicRow) int64 { return 0 }
	case "partitions":
		key = func(r topicRow) int64 { return int64(r.Partitions) }
	case "records":
		key = func(r topicRow) int64 { return deref(r.Records) }
	case "size":
		key = func(r topicRow) int64 { return deref(r.SizeBytes) }
	default:
		return nil, usage("--sort "+column+" is not a column", "use name, partitions, records or size")
	}
	return func(x, y topicRow) int {
		return cmp.Or(cmp.Compare(key(y), key(x)), cmp.Compare(x.Name, y.Name))
	}, nil
}

func deref(p *int64) int64 {
	if p == nil {
		return -1
	}
	return *p
}

func listRow(t kadm.TopicDetail) topicRow {
	r := topicRow{Name: t.Topic, Internal: t.IsInternal, Partitions: len(t.Partitions)}
	if id := kafka.TopicID(t.ID); !id.IsZero() {
		r.ID = id.String()
	}
	for _, p := range t.Partitions {
		r.ReplicationFactor = max(r.ReplicationFactor, len(p.Replicas))
		if len(p.ISR) < len(p.Replicas) {
			r.UnderReplicated++
		}
		if p.Leader < 0 {
			r.Offline++
		}
	}
	return r
}

// partitionFacts is what needs more than Metadata: offsets and sizes. Whatever could not be learned is absent, with a warning.
type partitionFacts struct {
	start, end kadm.ListedOffsets
	size       map[kafka.TopicPartition]int64
}

func (a *app) partitionFacts(ctx context.Context, adm *adminClient, topics []kadm.TopicDetail) partitionFacts {
	var names []string
	set := kadm.TopicsSet{}
	for _, t := range topics {
		names = append(names, t.Topic)
		set.Add(t.Topic, t.Partitions.Numbers()...)
	}
	var f partitionFacts
	var err error
	if f.start, err = adm.ListStartOffsets(ctx, names...); err != nil {
		a.warn("start offsets are missing: %v", err)
	}
	if f.end, err = adm.ListEndOffsets(ctx, names...); err != nil {
		a.warn("end offsets are missing: %v", err)
	}
	dirs, err := adm.DescribeAllLogDirs(ctx, set)
	if err != nil {
		a.warn("sizes are missing: %v", err)
		return f
	}
	f.size = map[kafka.TopicPartition]int64{}
	for broker, bd := range dirs {
		for _, d := range bd {
			for topic, ps := range d.Topics {
				for _, p := range ps {
					t, ok := findTopic(topics, topic)
					if !ok || p.IsFuture {
						continue
					}
					// The size of a partition is its leader's; replicas lag or differ after compaction.
					if pd, ok := t.Partitions[p.Partition]; ok && (pd.Leader == broker || pd.Leader < 0) {
						f.size[kafka.TopicPartition{Topic: topic, Partition: p.Partition}] = p.Size
					}
				}
			}
		}
	}
	return f
}

func findTopic(topics []kadm.TopicDetail, name string) (kadm.TopicDetail, bool) {
	i := slices.IndexFunc(topics, func(t kadm.TopicDetail) bool { return t.Topic == name })
	if i < 0 {
		return kadm.TopicDetail{}, false
	}
	return topics[i], true
}

func (f *partitionFacts) of(topic string, partition int32) (start, end, size *int64) {
	if o, ok := f.start.Lookup(topic, partition); ok && o.Err == nil {
		start = &o.Offset
	}
	if o, ok := f.end.Lookup(topic, partition); ok && o.Err == nil {
		end = &o.Offset
	}
	if n, ok := f.size[kafka.TopicPartition{Topic: topic, Partition: partition}]; ok {
		size = &n
	}
	return start, end, size
}

// totals adds the partitions up; nil when one of them is unknown.
func (f *partitionFacts) totals(t kadm.TopicDetail) (records, size *int64) {
	var r, s int64
	haveR, haveS := true, true
	for n := range t.Partitions { // any order: a sum
		start, end, sz := f.of(t.Topic, n)
		if start == nil || end == nil {
			haveR = false
		} else {
			r += *end - *start
		}
		if sz == nil {
			haveS = false
		} else {
			s += *sz
		}
	}
	if haveR {
		records = &r
	}
	if haveS {
		size = &s
	}
	return records, size
}

func (a *app) warn(format string, args ...any) {
	fmt.Fprintln(a.err, "warning: "+printable(oneLine(fmt.Sprintf(format, args...))))
}

// topicDescription is one topic of `topics describe`.
type topicDescription struct {
	Name              string                 `json:"name"`
	ID                string                 `json:"id,omitempty"`
	Internal          bool                   `json:"internal"`
	ReplicationFactor int                    `json:"replication_factor"`
	Records           *int64                 `json:"records"`
	SizeBytes         *int64                 `json:"size_bytes"`
	Partitions        []partitionDescription `json:"partitions"`
	Configs           []configEntry          `json:"configs"` // without --all-configs: those that differ from the defaults
}

type partitionDescription struct {
	Partition       int32   `json:"partition"`
	Leader          int32   `json:"leader"` // -1: none
	LeaderEpoch     int32   `json:"leader_epoch"`
	Replicas        []int32 `json:"replicas"`
	ISR             []int32 `json:"isr"`
	OfflineReplicas []int32 `json:"offline_replicas,omitempty"`
	StartOffset     *int64  `json:"start_offset"`
	EndOffset       *int64  `json:"end_offset"`
	SizeBytes       *int64  `json:"size_bytes"`
	Error           string  `json:"error,omitempty"`
}

func newTopicsDescribe(a *app) *cobra.Command {
	var (
		regex, internal, all bool
		order                string
	)
	c := &cobra.Command{
		Use:   "describe NAME...",
		Short: "Show partitions, leaders, offsets, sizes and settings of topics",
		Example: `  barnabas topics describe orders
  barnabas topics describe 'orders-*' --sort size
  barnabas topics describe orders --all-configs -o yaml`,
		Args:              need(1, -1, "the name of a topic"),
		ValidArgsFunction: a.completeTopics,
		RunE: func(cmd *cobra.Command, args []string) error {
			less, err := partitionOrder(order)
			if err != nil {
				return err
			}
			p, err := newPattern(args, regex)
			if err != nil {
				return err
			}
			ctx, adm, done, err := a.admin(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			topics, err := matchTopics(ctx, adm, p, internal, false)
			if err != nil {
				return err
			}
			facts := a.partitionFacts(ctx, adm, topics)
			configs := a.topicConfigs(ctx, adm, topics, all)
			out := make([]topicDescription, 0, len(topics))
			for _, t := range topics {
				d := describeTopic(t, &facts)
				if d.Configs = configs[t.Topic]; d.Configs == nil {
					d.Configs = []configEntry{}
				}
				slices.SortStableFunc(d.Partitions, less)
				out = append(out, d)
			}
			return a.emit(out, func(w io.Writer) { a.drawTopics(w, out, all) })
		},
	}
	f := c.Flags()
	patternFlags(c, &regex, &internal)
	f.BoolVar(&all, "all-configs", false, "show all settings, not only those that differ from the defaults")
	f.StringVar(&order, "sort", "partition", "`column` to sort the partitions by: partition, leader, records or size")
	must(c.RegisterFlagCompletionFunc("sort", cobra.FixedCompletions([]string{"partition", "leader", "records", "size"}, cobra.ShellCompDirectiveNoFileComp)))
	return c
}

func partitionOrder(column string) (func(x, y partitionDescription) int, error) {
	records := func(p partitionDescription) int64 {
		if p.StartOffset == nil || p.EndOffset == nil {
			return -1
		}
		return *p.EndOffset - *p.StartOffset
	}
	byPartition := func(x, y partitionDescription) int { return cmp.Compare(x.Partition, y.Partition) }
	switch column {
	case "partition":
		return byPartition, nil
	case "leader":
		return func(x, y partitionDescription) int {
			return cmp.Or(cmp.Compare(x.Leader, y.Leader), byPartition(x, y))
		}, nil
	case "records":
		return func(x, y partitionDescription) int {
			return cmp.Or(cmp.Compare(records(y), records(x)), byPartition(x, y))
		}, nil
	case "size":
		return func(x, y partitionDescription) int {
			return cmp.Or(cmp.Compare(deref(y.SizeBytes), deref(x.SizeBytes)), byPartition(x, y))
		}, nil
	}
	return nil, usage("--sort "+column+" is not a column", "use partition, leader, records or size")
}

func describeTopic(t kadm.TopicDetail, facts *partitionFacts) topicDescription {
	row := listRow(t)
	d := topicDescription{Name: row.Name, ID: row.ID, Internal: row.Internal, ReplicationFactor: row.ReplicationFactor}
	d.Records, d.SizeBytes = facts.totals(t)
	for _, p := range t.Partitions.Sorted() {
		pd := partitionDescription{Partition: p.Partition, Leader: p.Leader, LeaderEpoch: p.LeaderEpoch,
			Replicas: p.Replicas, ISR: p.ISR, OfflineReplicas: p.OfflineReplicas}
		pd.StartOffset, pd.EndOffset, pd.SizeBytes = facts.of(t.Topic, p.Partition)
		if p.Err != nil {
			pd.Error = kadmError(p.Err, "").Error()
		}
		d.Partitions = append(d.Partitions, pd)
	}
	return d
}

func (a *app) drawTopics(w io.Writer, topics []topicDescription, all bool) {
	for i, d := range topics {
		if i > 0 {
			fmt.Fprintln(w)
		}
		a.title(w, "%s", d.Name)
		var size any
		if d.SizeBytes != nil {
			size = humanBytes(*d.SizeBytes)
		}
		var records any
		if d.Records != nil {
			records = humanCount(*d.Records)
		}
		kv := []any{"id", d.ID, "partitions", len(d.Partitions), "replicas", d.ReplicationFactor, "records", records, "size", size}
		if d.Internal {
			kv = append(kv, "internal", "yes")
		}
		pairs(w, kv...)
		fmt.Fprintln(w)
		t := newTable(">PARTITION", ">LEADER", ">EPOCH", "REPLICAS", "ISR", "OFFLINE", ">START", ">END", ">SIZE", "ERROR")
		for _, p := range d.Partitions {
			var size any
			if p.SizeBytes != nil {
				size = humanBytes(*p.SizeBytes)
			}
			var leader any = p.Leader
			if p.Leader < 0 {
				leader = "none"
			}
			t.row(p.Partition, leader, p.LeaderEpoch, joinInts(p.Replicas), joinInts(p.ISR), joinInts(p.OfflineReplicas),
				p.StartOffset, p.EndOffset, size, p.Error)
		}
		t.dropEmptyColumns("REPLICAS", "ISR", "START", "END", "SIZE")
		t.draw(w, a.paint)
		if len(d.Configs) > 0 {
			fmt.Fprintln(w)
			a.drawConfigs(w, d.Configs, false, all)
		}
	}
}

// topicConfigs asks for the settings of all topics at once. Brokers that refuse leave a warning.
func (a *app) topicConfigs(ctx context.Context, adm *adminClient, topics []kadm.TopicDetail, all bool) map[string][]configEntry {
	out := map[string][]configEntry{}
	if len(topics) == 0 {
		return out
	}
	var names []string
	for _, t := range topics {
		names = append(names, t.Topic)
	}
	got, err := describeConfigs(ctx, adm.wire, kmsg.ConfigResourceTypeTopic, names, nil, false)
	if err != nil {
		a.warn("settings are missing: %v", err)
		return out
	}
	for _, r := range got {
		if r.err != nil {
			a.warn("settings of %s are missing: %v", r.Name, r.err)
			continue
		}
		out[r.Name] = changedOnly(r.Configs, all, kmsg.ConfigResourceTypeTopic)
	}
	return out
}

func newTopicsConfigs(a *app) *cobra.Command {
	var all, synonyms bool
	c := &cobra.Command{
		Use:   "configs NAME...",
		Short: "Show settings of topics (as `config describe topic` does)",
		Example: `  barnabas topics configs orders
  barnabas topics configs orders --all --synonyms`,
		Args:              need(1, -1, "the name of a topic"),
		ValidArgsFunction: a.completeTopics,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.describeConfig(cmd.Context(), "topic", args, nil, all, synonyms)
		},
	}
	configShowFlags(c, &all, &synonyms)
	return c
}
