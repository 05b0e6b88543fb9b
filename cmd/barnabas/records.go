package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// deletedRow is one partition of `records delete`.
type deletedRow struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Before    int64  `json:"before"`       // records below this offset go
	Start     int64  `json:"start_offset"` // the first offset afterwards (in a dry run: now)
	Deleted   int64  `json:"deleted"`      // offsets that went, or would go
	Status    string `json:"status"`       // deleted, would be deleted, failed
	Error     string `json:"error,omitempty"`
	err       error
}

func newRecordsCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:     "records",
		Short:   "Delete the oldest records of partitions",
		Example: `  barnabas records delete orders --before @-7d`,
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(newRecordsDelete(a))
	return c
}

func newRecordsDelete(a *app) *cobra.Command {
	var (
		before, parts string
		offsets       []string
		dryRun        bool
	)
	c := &cobra.Command{
		Use:   "delete TOPIC",
		Short: "Delete all records before an offset or a time",
		Long: `Delete all records of a topic before an offset or a time: the start offset of each partition moves up. This cannot be undone.

--before is the same place in every partition: end (everything), an offset, -N (keep the last N), or a time such as @-7d.
--offset PARTITION=OFFSET, repeated, names one partition each.`,
		Example: `  barnabas records delete orders --before @-7d
  barnabas records delete orders --before end --dry-run
  barnabas records delete orders --before 1000 --partitions 0,2
  barnabas records delete orders --offset 0=1000 --offset 1=2500`,
		Args:              need(1, 1, "the name of a topic"),
		ValidArgsFunction: a.completeOneTopic,
		RunE: func(cmd *cobra.Command, args []string) error {
			topic := args[0]
			if (before == "") == (len(offsets) == 0) {
				return usage("give either --before or --offset", "such as --before @-7d, or --offset 0=1000")
			}
			only, err := parsePartitions(parts)
			if err != nil {
				return err
			}
			named, err := parsePartitionOffsets(offsets)
			if err != nil {
				return err
			}
			for p := range named {
				only = append(only, p)
			}
			slices.Sort(only)
			var at position
			if before != "" {
				if at, err = parsePosition("before", before, a.now()); err != nil {
					return err
				}
			}
			ctx, adm, done, err := a.admin(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			topics, err := matchTopics(ctx, adm, &pattern{args: []string{topic}}, true, false)
			if err != nil {
				return err
			}
			if _, err := checkPartitions(topics, only); err != nil {
				return err
			}
			b, err := listBounds(ctx, adm, false, []string{topic})
			if err != nil {
				return err
			}
			place, err := at.resolve(ctx, adm, b, []string{topic})
			if err != nil {
				return err
			}
			rows := []deletedRow{}
			want := kadm.Offsets{}
			for _, lo := range sortedOffsets(b.start) {
				if only != nil && !slices.Contains(only, lo.Partition) {
					continue
				}
				r := deletedRow{Topic: topic, Partition: lo.Partition, Before: place[topic][lo.Partition], Start: lo.Offset, Status: dryStatus(dryRun, "deleted")}
				if o, ok := named[lo.Partition]; ok {
					r.Before = o // beyond the end the broker refuses, and says so
				}
				r.Deleted = max(0, r.Before-lo.Offset)
				want.AddOffset(topic, lo.Partition, r.Before, -1)
				rows = append(rows, r)
			}
			if !dryRun {
				got, err := adm.DeleteRecords(ctx, want)
				if err != nil {
					return wrap(err, "deleting records of %s", topic)
				}
				for i := range rows {
					r := &rows[i]
					d, ok := got.Lookup(topic, r.Partition)
					if r.err = d.Err; !ok {
						r.err = failed("the broker did not answer for this partition", "try again")
					}
					if r.err != nil {
						r.Status, r.Error, r.Deleted = "failed", a.explain(r.err).what, 0
						continue
					}
					r.Deleted = max(0, d.LowWatermark-r.Start)
					r.Start = d.LowWatermark
				}
			}
			blame := func(r *deletedRow) *fault { return a.blame(partitionName(topic, r.Partition), r.Error, r.err) }
			return report(a, "partitions", rows, blame, func(w io.Writer, _ bool) {
				t := newTable("TOPIC", ">PARTITION", "STATUS", ">OFFSETS", ">START", "ERROR")
				for _, r := range rows {
					t.row(r.Topic, r.Partition, r.Status, r.Deleted, r.Start, r.Error)
				}
				t.dropEmptyColumns("START")
				t.draw(w, a.paint)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&before, "before", "", "`place` up to which records go: end, an offset, -N, or a time such as @-7d")
	f.StringArrayVar(&offsets, "offset", nil, "`partition=offset`; repeat for more")
	f.StringVarP(&parts, "partitions", "p", "", "only these `partitions`, as 0,3,5-7")
	f.BoolVar(&dryRun, "dry-run", false, "only show what would go")
	return c
}

func parsePartitionOffsets(list []string) (map[int32]int64, error) {
	out := map[int32]int64{}
	for _, s := range list {
		p, o, _ := strings.Cut(s, "=")
		pn, err1 := strconv.ParseInt(p, 10, 32)
		on, err2 := strconv.ParseInt(o, 10, 64)
		if err1 != nil || err2 != nil || pn < 0 || on < 0 {
			return nil, usage(fmt.Sprintf("--offset %q is not partition=offset", s), "such as --offset 0=1000")
		}
		if _, twice := out[int32(pn)]; twice {
			return nil, usage(fmt.Sprintf("--offset names partition %d twice", pn), "name each partition once")
		}
		out[int32(pn)] = on
	}
	return out, nil
}
