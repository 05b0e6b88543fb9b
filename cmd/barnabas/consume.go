package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/barnabas-mq/barnabas/internal/recordfmt"
)

// consumeFlags are the flags of `consume`, as typed.
type consumeFlags struct {
	partitions, from, to, format, isolation, with string
	regex, internal, json, exitAtEnd              bool
	count                                         int64
	maxWait                                       time.Duration
	maxBytes                                      int32
}

func newConsumeCommand(a *app) *cobra.Command {
	var p consumeFlags
	var g consumeGroupFlags
	c := &cobra.Command{
		Use:   "consume TOPIC...",
		Short: "Read records of topics",
		Long: `Read records of topics. Without --group nothing is committed and no other consumer notices; with it this is a member of that consumer group,
which shares the partitions with the others and commits what was printed.

Without --to it follows the topics until ctrl-C (or until -n records have come); with --to end, or --exit-at-end, it ends at the end of each
partition as it was at the start. Records come in order within a partition, not across partitions.

--from and --to take ` + positionHelp + `
Patterns are matched once, at the start. --from defaults to end when following, and to start otherwise. --to is the first offset or time
not to be read any more.

` + recordfmt.Help + `

` + recordfmt.JSONHelp,
		Example: `  barnabas consume orders
  barnabas consume orders --from start --exit-at-end
  barnabas consume orders --from -10 --to end -f '%p@%o %T{rfc3339} %k=%v\n'
  barnabas consume orders --partitions 0,2 --from @-1h --json
  barnabas consume orders --from @2026-01-31T09:00 --to @2026-01-31T10:00 -n 100
  barnabas consume --regex 'orders-.*' --with topic,key,headers
  barnabas consume orders --group billing --from start
  barnabas consume orders --from start --to end -f '%K{big32}%V{big32}%k%v' > orders.bin`,
		Args:              need(1, -1, "the name of a topic"),
		ValidArgsFunction: a.completeTopics,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.consume(cmd.Context(), p, g, args)
		},
	}
	f := c.Flags()
	f.StringVarP(&p.partitions, "partitions", "p", "", "only these `partitions`, as 0,3,5-7")
	f.StringVar(&p.from, "from", "", "`place` of the first record (see above)")
	f.StringVar(&p.to, "to", "", "`place` of the first record not to read (see above)")
	f.BoolVarP(&p.exitAtEnd, "exit-at-end", "e", false, "end where the partitions end now; the same as --to end")
	f.Int64VarP(&p.count, "count", "n", 0, "end after this `many` records")
	f.StringVarP(&p.format, "format", "f", "", "`format` of the output (see above); default %v\\n")
	f.BoolVar(&p.json, "json", false, "print one JSON record per line")
	f.StringVar(&p.with, "with", "", "print these `fields` before the value, with tabs between: topic, partition, offset, timestamp, key, headers")
	f.StringVar(&p.isolation, "isolation", "read_uncommitted", "`level`: read_uncommitted or read_committed")
	f.DurationVar(&p.maxWait, "fetch-max-wait", 500*time.Millisecond, "how `long` a broker may wait for new records before it answers")
	f.Int32Var(&p.maxBytes, "fetch-max-bytes", 50<<20, "`bytes` of one answer at most")
	g.add(c)
	patternFlags(c, &p.regex, &p.internal)
	must(c.RegisterFlagCompletionFunc("isolation", cobra.FixedCompletions([]string{"read_uncommitted", "read_committed"}, cobra.ShellCompDirectiveNoFileComp)))
	must(c.RegisterFlagCompletionFunc("from", cobra.FixedCompletions([]string{"start", "end", "-10", "@-1h"}, cobra.ShellCompDirectiveNoFileComp)))
	must(c.RegisterFlagCompletionFunc("to", cobra.FixedCompletions([]string{"end", "@-1h"}, cobra.ShellCompDirectiveNoFileComp)))
	return c
}

// layout is how records are printed; nil means JSON.
func (p *consumeFlags) layout(output string) (*recordfmt.Format, error) {
	given := 0
	for _, on := range []bool{p.format != "", p.json || output == "json", p.with != ""} {
		if on {
			given++
		}
	}
	if given > 1 {
		return nil, usage("--format, --json and --with exclude each other", "choose one")
	}
	if output == "yaml" {
		return nil, usage("consume does not print YAML", "use --json, one record per line")
	}
	if p.json || output == "json" {
		return nil, nil
	}
	text := `%v\n`
	if p.with != "" {
		verbs := map[string]string{"topic": "%t", "partition": "%p", "offset": "%o", "timestamp": "%T{rfc3339}", "key": "%k", "headers": "%h"}
		text = ""
		for name := range strings.SplitSeq(p.with, ",") {
			v, ok := verbs[strings.TrimSuffix(strings.TrimSpace(name), "s")]
			if !ok {
				v, ok = verbs[strings.TrimSpace(name)]
			}
			if !ok {
				return nil, usage("--with "+name+" is not a field", "use topic, partition, offset, timestamp, key, headers")
			}
			text += v + `\t`
		}
		text += `%v\n`
	}
	if p.format != "" {
		text = p.format
	}
	f, err := recordfmt.Parse(text)
	if err != nil {
		return nil, usage(err.Error(), "`barnabas consume --help` explains formats")
	}
	return f, nil
}

func (a *app) consume(ctx context.Context, p consumeFlags, g consumeGroupFlags, args []string) error {
	format, err := p.layout(a.output)
	if err != nil {
		return err
	}
	only, err := parsePartitions(p.partitions)
	if err != nil {
		return err
	}
	committed, err := parseIsolation(p.isolation)
	if err != nil {
		return err
	}
	if p.exitAtEnd {
		if p.to != "" && p.to != "end" {
			return usage("--exit-at-end and --to "+p.to+" say different things", "leave one of them out")
		}
		p.to = "end"
	}
	if p.count < 0 || p.maxBytes < 1 || p.maxWait < 0 || p.maxWait > 10*time.Minute {
		return usage("-n and --fetch-max-bytes must not be negative, --fetch-max-wait at most 10m", "correct the flag")
	}
	if p.from == "" {
		p.from = "end"
		if p.to != "" {
			p.from = "start"
		}
	}
	c := &consumer{app: a, flags: p, format: format, committed: committed}
	switch {
	case g.group != "":
		return a.consumeAsMember(ctx, p, g, *c, args)
	case g.instance != "":
		return usage("--group-instance-id is for members of a group", "name the group with --group")
	}
	from, err := parsePosition("from", p.from, a.now())
	if err != nil {
		return err
	}
	var to *position
	if p.to != "" {
		t, err := parsePosition("to", p.to, a.now())
		if err != nil {
			return err
		}
		to = &t
	}
	names, err := newPattern(args, p.regex)
	if err != nil {
		return err
	}
	if err := c.start(ctx, names, only, from, to); err != nil {
		return err
	}
	defer c.cl.Close()
	c.w = bufio.NewWriterSize(a.out, 64<<10)
	err = c.loop(ctx)
	if ferr := c.w.Flush(); err == nil {
		err = ferr
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return nil // ctrl-C is how one stops following
	}
	return err
}

// span is what is left to read of one partition.
type span struct {
	next int64
	stop int64 // -1: follow
}

// consumer is one run of `consume`.
type consumer struct {
	*app
	flags     consumeFlags
	format    *recordfmt.Format
	committed bool
	cl        *kgo.Client
	ids       map[string][16]byte
	w         *bufio.Writer
	spans     map[string]map[int32]*span // only those that are not done
	open      int                        // spans with a stop that is not reached
	follow    bool
	printed   int64
	written   int64 // bytes
	buf       []byte
	rec       recordfmt.Record
}

// start finds topics and offsets and begins to fetch.
func (c *consumer) start(ctx context.Context, names *pattern, only []int32, from position, to *position) error {
	actx, adm, done, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer done()
	topics, err := matchTopics(actx, adm, names, c.flags.internal, false)
	if err != nil {
		return err
	}
	list, err := checkPartitions(topics, only)
	if err != nil {
		return err
	}
	b, err := listBounds(actx, adm, c.committed, list)
	if err != nil {
		return err
	}
	if only != nil {
		for _, ps := range b.start {
			maps.DeleteFunc(ps, func(n int32, _ kadm.ListedOffset) bool { return !slices.Contains(only, n) })
		}
	}
	if from.kind == atOffset {
		if err := c.checkRange(b, from.offset); err != nil {
			return err
		}
	}
	starts, err := from.resolve(actx, adm, b, list)
	if err != nil {
		return err
	}
	var stops map[string]map[int32]int64
	if to != nil {
		if stops, err = to.resolve(actx, adm, b, list); err != nil {
			return err
		}
		if to.kind == atOffset { // an offset yet to come is worth waiting for
			for t := range stops {
				for n := range stops[t] {
					stops[t][n] = to.offset
				}
			}
		}
	}
	c.ids = map[string][16]byte{}
	for _, t := range topics {
		c.ids[t.Topic] = t.ID
	}
	c.follow = to == nil
	c.spans = map[string]map[int32]*span{}
	assign := map[string]map[int32]kgo.Offset{}
	for t, ps := range starts {
		for n, at := range ps {
			s := &span{next: at, stop: -1}
			if stops != nil {
				if s.stop = stops[t][n]; s.stop <= s.next {
					continue
				}
				c.open++
			}
			if assign[t] == nil {
				assign[t], c.spans[t] = map[int32]kgo.Offset{}, map[int32]*span{}
			}
			c.spans[t][n] = s
			assign[t][n] = kgo.NewOffset().At(at)
		}
	}
	isolation := kgo.ReadUncommitted()
	if c.committed {
		isolation = kgo.ReadCommitted()
	}
	c.cl, err = c.client(ctx, kgo.ConsumePartitions(assign), kgo.FetchIsolationLevel(isolation), kgo.KeepControlRecords(),
		kgo.FetchMaxWait(max(c.flags.maxWait, 10*time.Millisecond)), kgo.FetchMaxBytes(c.flags.maxBytes),
		kgo.FetchMaxPartitionBytes(min(c.flags.maxBytes, 8<<20)), kgo.ConsumeResetOffset(kgo.NoResetOffset()))
	return err
}

// checkRange refuses an offset that lies outside of every partition: most likely a typing error.
func (c *consumer) checkRange(b bounds, offset int64) error {
	low, high := int64(-1), int64(-1)
	inside := false
	b.start.Each(func(lo kadm.ListedOffset) {
		if hi, ok := b.end.Lookup(lo.Topic, lo.Partition); ok && lo.Err == nil && hi.Err == nil {
			inside = inside || offset >= lo.Offset && offset <= hi.Offset
			if low < 0 || lo.Offset < low {
				low = lo.Offset
			}
			high = max(high, hi.Offset)
		}
	})
	if !inside && low >= 0 {
		return failed(fmt.Sprintf("--from %d is outside of the offsets %d to %d", offset, low, high), "see them with `barnabas offsets TOPIC`, or use start or end")
	}
	return nil
}

// quiet is how long a bounded read may bring nothing before the remaining partitions are looked at: their last offsets may hold
// nothing to print (compacted away), and then no record will ever say that the end is reached.
func (c *consumer) quiet() time.Duration { return 2*c.flags.maxWait + 200*time.Millisecond }

func (c *consumer) loop(ctx context.Context) error {
	bar := c.newGoal("read", c.total())
	defer bar.done()
	for c.follow || c.open > 0 {
		pctx, cancel := ctx, context.CancelFunc(func() {})
		if !c.follow {
			pctx, cancel = context.WithTimeout(ctx, c.quiet())
		}
		fetches := c.cl.PollFetches(pctx)
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		done, err := c.take(fetches)
		if err != nil {
			return err
		}
		if err := c.w.Flush(); err != nil {
			return err
		}
		bar.records.Store(c.printed)
		bar.bytes.Store(c.written)
		if done {
			return nil
		}
		if fetches.NumRecords() == 0 && !c.follow {
			if err := c.skipEmptyTails(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// take prints what came; done is true when -n records are printed.
func (c *consumer) take(fetches kgo.Fetches) (done bool, err error) {
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		if err != nil || done {
			return
		}
		if p.Err != nil {
			err = c.fetchError(p.Topic, p.Partition, p.Err)
			return
		}
		s := c.spans[p.Topic][p.Partition]
		for _, r := range p.Records {
			if s == nil {
				return // it ended earlier
			}
			if s.stop >= 0 && r.Offset >= s.stop {
				c.finish(p.Topic, p.Partition)
				return
			}
			s.next = r.Offset + 1
			if !r.Attrs.IsControl() {
				if err = c.print(r); err != nil {
					return
				}
				if c.printed == c.flags.count && c.flags.count > 0 {
					done = true
					return
				}
			}
			if s.stop >= 0 && s.next >= s.stop {
				c.finish(p.Topic, p.Partition)
				return
			}
		}
	})
	return done, err
}

// fetchError is nil for what passes by itself.
func (c *consumer) fetchError(topic string, partition int32, err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return nil
	case topic == "":
		return err
	case errors.Is(err, kerr.OffsetOutOfRange):
		return failed(fmt.Sprintf("%s-%d: the records at offset %d were deleted while reading", topic, partition, c.spans[topic][partition].next),
			"start again; see what is left with `barnabas offsets "+topic+"`")
	case isUnknownTopic(err):
		return failed(fmt.Sprintf("%s-%d is gone: the topic was deleted", topic, partition), "see the topics with `barnabas topics list`")
	case kerr.IsRetriable(err):
		return nil
	}
	return wrap(err, "reading %s-%d", topic, partition)
}

func (c *consumer) finish(topic string, partition int32) {
	delete(c.spans[topic], partition)
	c.open--
	c.cl.RemoveConsumePartitions(map[string][]int32{topic: {partition}})
}

func (c *consumer) print(r *kgo.Record) error {
	c.rec = recordfmt.Record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, LeaderEpoch: r.LeaderEpoch,
		Timestamp: r.Timestamp.UnixMilli(), LogAppendTime: r.Attrs.TimestampType() == 1, Key: r.Key, Value: r.Value, Headers: c.rec.Headers[:0]}
	for _, h := range r.Headers {
		c.rec.Headers = append(c.rec.Headers, recordfmt.Header{Key: h.Key, Value: h.Value})
	}
	c.printed++
	if c.format == nil {
		c.buf = append(recordfmt.AppendJSON(c.buf[:0], &c.rec), '\n')
	} else {
		c.buf = c.format.Append(c.buf[:0], &c.rec, c.printed)
	}
	c.written += int64(len(c.buf))
	_, err := c.w.Write(c.buf)
	return err
}

// total is how many records a bounded run has before it, at most; 0 when it follows.
func (c *consumer) total() int64 {
	if c.follow {
		return c.flags.count
	}
	var n int64
	for _, ps := range c.spans {
		for _, s := range ps { // any order: a sum
			n += s.stop - s.next
		}
	}
	if c.flags.count > 0 {
		n = min(n, c.flags.count)
	}
	return n
}

// skipEmptyTails finishes partitions in which nothing is left to print before their stop. It fetches at the next offset and looks
// at the batch headers only: if the batches there reach the stop and hold no printable record, kgo will never show one.
func (c *consumer) skipEmptyTails(ctx context.Context) error {
	type tail struct {
		topic     string
		partition int32
		s         *span
	}
	var tails []tail
	for t, ps := range c.spans {
		for n, s := range ps {
			if s.stop >= 0 {
				tails = append(tails, tail{t, n, s})
			}
		}
	}
	slices.SortFunc(tails, func(x, y tail) int {
		return cmp.Or(cmp.Compare(x.topic, y.topic), cmp.Compare(x.partition, y.partition))
	})
	for _, t := range tails {
		empty, err := c.emptyUntil(ctx, t.topic, t.partition, t.s)
		if err != nil {
			return err
		}
		if empty {
			c.finish(t.topic, t.partition)
		}
	}
	return nil
}
