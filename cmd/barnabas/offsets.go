package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// offsetRow is one partition of `offsets`. Without --time: start, end and records; with it: offset, timestamp, leader epoch.
type offsetRow struct {
	Topic       string `json:"topic"`
	Partition   int32  `json:"partition"`
	Start       *int64 `json:"start_offset,omitempty"`
	End         *int64 `json:"end_offset,omitempty"`
	Records     *int64 `json:"records,omitempty"` // the width of the range; compaction and transactions may have left fewer
	Offset      *int64 `json:"offset,omitempty"`  // absent when no record is that late
	Timestamp   *int64 `json:"timestamp,omitempty"`
	LeaderEpoch *int32 `json:"leader_epoch,omitempty"`
	Error       string `json:"error,omitempty"`
	err         error
}

func newOffsetsCommand(a *app) *cobra.Command {
	var (
		regex, internal bool
		when, parts     string
		isolation       string
	)
	c := &cobra.Command{
		Use:   "offsets TOPIC...",
		Short: "Show the offsets of partitions: start and end, or by time",
		Long: `Show the offsets of partitions. Without --time: the first offset and the one after the last record (the high watermark, or with
--isolation read_committed the last stable offset).

With --time: start, end, max (the record with the largest timestamp), or a time, for which the first record at or after it is shown:
@-1h (units ms, s, m, h, d), @2026-01-31, @2026-01-31T15:04:05Z or @1700000000000.`,
		Example: `  barnabas offsets orders
  barnabas offsets 'orders-*' --time @-1h
  barnabas offsets orders --time max --partitions 0,3-5
  barnabas offsets orders --isolation read_committed -o json`,
		Args:              need(1, -1, "the name of a topic"),
		ValidArgsFunction: a.completeTopics,
		RunE: func(cmd *cobra.Command, args []string) error {
			only, err := parsePartitions(parts)
			if err != nil {
				return err
			}
			committed, err := parseIsolation(isolation)
			if err != nil {
				return err
			}
			at := position{}
			if when != "" && when != "max" {
				if at, err = parsePosition("time", when, a.now()); err != nil {
					return err
				}
				if at.kind == atOffset || at.kind == beforeEnd {
					return usage("--time "+when+" is an offset, not a time", "use start, end, max, @-1h or @2026-01-31T15:04:05Z")
				}
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
			names, err := checkPartitions(topics, only)
			if err != nil {
				return err
			}
			var rows []offsetRow
			if when == "" {
				rows, err = rangeRows(ctx, adm, committed, names)
			} else {
				rows, err = timeRows(ctx, adm, when, at, committed, names)
			}
			if err != nil {
				return err
			}
			if only != nil {
				rows = slices.DeleteFunc(rows, func(r offsetRow) bool { return !slices.Contains(only, r.Partition) })
			}
			return a.emitOffsets(rows, when != "")
		},
	}
	f := c.Flags()
	f.StringVarP(&when, "time", "t", "", "`place`: start, end, max, or a time such as @-1h")
	f.StringVarP(&parts, "partitions", "p", "", "only these `partitions`, as 0,3,5-7")
	f.StringVar(&isolation, "isolation", "read_uncommitted", "`level`: read_uncommitted or read_committed")
	patternFlags(c, &regex, &internal)
	must(c.RegisterFlagCompletionFunc("isolation", cobra.FixedCompletions([]string{"read_uncommitted", "read_committed"}, cobra.ShellCompDirectiveNoFileComp)))
	must(c.RegisterFlagCompletionFunc("time", cobra.FixedCompletions([]string{"start", "end", "max", "@-1h"}, cobra.ShellCompDirectiveNoFileComp)))
	return c
}

func parseIsolation(s string) (committed bool, err error) {
	switch s {
	case "read_uncommitted", "uncommitted":
		return false, nil
	case "read_committed", "committed":
		return true, nil
	}
	return false, usage("--isolation "+s+" is not a level", "use read_uncommitted or read_committed")
}

// checkPartitions returns the topics' names, and an error if a partition asked for does not exist in one of them.
func checkPartitions(topics []kadm.TopicDetail, only []int32) ([]string, error) {
	var names []string
	for _, t := range topics {
		names = append(names, t.Topic)
		for _, p := range only {
			if _, ok := t.Partitions[p]; !ok {
				return nil, failed(fmt.Sprintf("%s has no partition %d", t.Topic, p), fmt.Sprintf("its partitions are 0 to %d", len(t.Partitions)-1))
			}
		}
	}
	return names, nil
}

func rangeRows(ctx context.Context, adm *adminClient, committed bool, names []string) ([]offsetRow, error) {
	b, err := listBounds(ctx, adm, committed, names)
	if err != nil {
		return nil, err
	}
	rows := []offsetRow{}
	for _, lo := range sortedOffsets(b.start) {
		r := offsetRow{Topic: lo.Topic, Partition: lo.Partition}
		hi, ok := b.end.Lookup(lo.Topic, lo.Partition)
		switch {
		case lo.Err != nil:
			r.err = lo.Err
		case !ok:
			r.err = failed("the broker names no end offset", "")
		case hi.Err != nil:
			r.err = hi.Err
		default:
			n := hi.Offset - lo.Offset
			r.Start, r.End, r.Records = &lo.Offset, &hi.Offset, &n
		}
		rows = append(rows, r)
	}
	return rows, nil
}

func timeRows(ctx context.Context, adm *adminClient, when string, at position, committed bool, names []string) ([]offsetRow, error) {
	var got kadm.ListedOffsets
	var err error
	switch {
	case when == "max":
		got, err = adm.ListMaxTimestampOffsets(ctx, names...)
	case at.kind == atStart:
		got, err = adm.ListStartOffsets(ctx, names...)
	case at.kind == atEnd && committed:
		got, err = adm.ListCommittedOffsets(ctx, names...)
	case at.kind == atEnd:
		got, err = adm.ListEndOffsets(ctx, names...)
	default:
		got, err = adm.ListOffsetsAfterMilli(ctx, at.millis, names...)
	}
	if err != nil {
		return nil, wrap(err, "asking for offsets")
	}
	rows := []offsetRow{}
	for _, o := range sortedOffsets(got) {
		r := offsetRow{Topic: o.Topic, Partition: o.Partition, err: o.Err}
		if o.Err == nil && o.Offset >= 0 {
			r.Offset = &o.Offset
			if o.Timestamp >= 0 {
				r.Timestamp = &o.Timestamp
			}
			if o.LeaderEpoch >= 0 {
				r.LeaderEpoch = &o.LeaderEpoch
			}
		}
		rows = append(rows, r)
	}
	return rows, nil
}

func sortedOffsets(l kadm.ListedOffsets) []kadm.ListedOffset {
	var out []kadm.ListedOffset
	l.Each(func(o kadm.ListedOffset) { out = append(out, o) })
	slices.SortFunc(out, func(x, y kadm.ListedOffset) int {
		if x.Topic != y.Topic {
			return compareStrings(x.Topic, y.Topic)
		}
		return int(x.Partition) - int(y.Partition)
	})
	return out
}

func (a *app) emitOffsets(rows []offsetRow, byTime bool) error {
	for i := range rows {
		if r := &rows[i]; r.err != nil {
			r.Error = a.explain(r.err).what
		}
	}
	blame := func(r *offsetRow) *fault { return a.blame(partitionName(r.Topic, r.Partition), r.Error, r.err) }
	return report(a, "partitions", rows, blame, func(w io.Writer, _ bool) {
		if byTime {
			t := newTable("TOPIC", ">PARTITION", ">OFFSET", "TIME", ">EPOCH", "ERROR")
			for _, r := range rows {
				var at, epoch any
				if r.Timestamp != nil {
					at = time.UnixMilli(*r.Timestamp).UTC().Format("2006-01-02T15:04:05.000Z")
				}
				if r.LeaderEpoch != nil {
					epoch = *r.LeaderEpoch
				}
				t.row(r.Topic, r.Partition, r.Offset, at, epoch, r.Error)
			}
			t.dropEmptyColumns("OFFSET")
			t.draw(w, a.paint)
			return
		}
		t := newTable("TOPIC", ">PARTITION", ">START", ">END", ">RECORDS", "ERROR")
		for _, r := range rows {
			t.row(r.Topic, r.Partition, r.Start, r.End, r.Records, r.Error)
		}
		t.dropEmptyColumns("START", "END", "RECORDS")
		t.draw(w, a.paint)
	})
}
