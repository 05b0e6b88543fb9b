package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/barnabas-mq/barnabas/assign"
	"github.com/barnabas-mq/barnabas/assign/kgobalancer"
)

// consumeGroupFlags are the flags of `consume` for members of a group.
type consumeGroupFlags struct {
	group, instance, assignor string
	session                   time.Duration
}

// assignors are what a member of a group may ask for.
var assignors = map[string]assign.Assignor{
	"cooperative-sticky": assign.CooperativeSticky{}, "sticky": assign.Sticky{}, "range": assign.Range{}, "roundrobin": assign.RoundRobin{},
}

func (g *consumeGroupFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVarP(&g.group, "group", "g", "", "read as a member of this `group`, and commit what was printed")
	f.StringVar(&g.instance, "group-instance-id", "", "with --group: be a static member under this `name`, which may restart without a rebalance")
	f.StringVar(&g.assignor, "assignor", "cooperative-sticky", "with --group: how partitions are shared out: cooperative-sticky, sticky, range or roundrobin")
	f.DurationVar(&g.session, "session-timeout", 45*time.Second, "with --group: how `long` the member may be silent until others get its partitions")
	must(c.RegisterFlagCompletionFunc("assignor", cobra.FixedCompletions(slices.Sorted(maps.Keys(assignors)), cobra.ShellCompDirectiveNoFileComp)))
}

// member is one run of `consume --group`.
type member struct {
	consumer
	group consumeGroupFlags
}

// consumeAsMember reads until ctrl-C or -n records. What is committed is what was written out: a record that was not printed is read again.
func (a *app) consumeAsMember(ctx context.Context, p consumeFlags, g consumeGroupFlags, c consumer, args []string) error {
	switch {
	case p.partitions != "" || p.to != "":
		return usage("a member of a group gets its partitions from the group, and follows them", "leave out --partitions, --to and --exit-at-end, or --group")
	case p.from != "start" && p.from != "end":
		return usage("with --group, --from says where to begin what the group has committed nothing of", "use --from start or --from end; `barnabas groups reset-offsets` moves a group")
	case assignors[g.assignor] == nil:
		return usage("--assignor "+g.assignor+" is not known", "use one of "+strings.Join(slices.Sorted(maps.Keys(assignors)), ", "))
	}
	m := &member{consumer: c, group: g}
	reset := kgo.NewOffset().AtEnd()
	if p.from == "start" {
		reset = kgo.NewOffset().AtStart()
	}
	isolation := kgo.ReadUncommitted()
	if c.committed {
		isolation = kgo.ReadCommitted()
	}
	opts := []kgo.Opt{kgo.ConsumerGroup(g.group), kgo.ConsumeTopics(args...), kgo.Balancers(kgobalancer.New(assignors[g.assignor])), kgo.SessionTimeout(g.session),
		kgo.ConsumeResetOffset(reset), kgo.FetchIsolationLevel(isolation), kgo.FetchMaxWait(max(p.maxWait, 10*time.Millisecond)), kgo.FetchMaxBytes(p.maxBytes),
		kgo.FetchMaxPartitionBytes(min(p.maxBytes, 8<<20)), kgo.AutoCommitMarks(), kgo.AutoCommitInterval(time.Second), kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, ps map[string][]int32) { m.tell("assigned", ps) }),
		kgo.OnPartitionsRevoked(func(ctx context.Context, cl *kgo.Client, ps map[string][]int32) {
			m.tell("revoked", ps)
			if err := cl.CommitMarkedOffsets(ctx); err != nil {
				fmt.Fprintf(m.app.err, "barnabas: what was printed last could not be committed, and will be read again: %v\n", err)
			}
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, ps map[string][]int32) { m.tell("lost", ps) }),
	}
	if p.regex {
		opts = append(opts, kgo.ConsumeRegex())
	}
	if g.instance != "" {
		opts = append(opts, kgo.InstanceID(g.instance))
	}
	cl, err := a.client(ctx, opts...)
	if err != nil {
		return err
	}
	m.cl = cl
	m.w = bufio.NewWriterSize(a.out, 64<<10)
	err = m.follow(ctx)
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = nil // ctrl-C is how one stops following
	}
	// ctx may be over; leaving in order is worth a moment.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if cerr := cl.CommitMarkedOffsets(end); cerr != nil && err == nil {
		err = wrap(cerr, "committing what was printed")
	}
	cl.AllowRebalance()
	if lerr := cl.LeaveGroupContext(end); lerr != nil && err == nil {
		err = wrap(lerr, "leaving group %s", g.group)
	}
	cl.Close()
	return err
}

// follow prints what comes, and marks it for the next commit once it is written out.
func (m *member) follow(ctx context.Context) error {
	for {
		fetches := m.cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var err error
		fetches.EachError(func(topic string, partition int32, e error) {
			if err == nil {
				err = m.fetchFailed(topic, partition, e)
			}
		})
		if err != nil {
			return err
		}
		var printed []*kgo.Record
		enough := false
		for _, r := range fetches.Records() {
			if err := m.print(r); err != nil {
				return err
			}
			printed = append(printed, r)
			if enough = m.flags.count > 0 && m.printed == m.flags.count; enough {
				break
			}
		}
		if err := m.w.Flush(); err != nil {
			return err
		}
		m.cl.MarkCommitRecords(printed...)
		if enough {
			return nil
		}
		m.cl.AllowRebalance()
	}
}

// fetchFailed is nil for what passes by itself.
func (m *member) fetchFailed(topic string, partition int32, err error) error {
	if topic != "" && !isUnknownTopic(err) {
		return m.fetchError(topic, partition, err)
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || topic != "" {
		return nil // a topic may come yet
	}
	return wrap(err, "reading as a member of group %s", m.group.group)
}

// tell says on the error stream what the group gives and takes.
func (m *member) tell(what string, partitions map[string][]int32) {
	if len(partitions) == 0 {
		return
	}
	var parts []string
	for _, topic := range slices.Sorted(maps.Keys(partitions)) {
		parts = append(parts, fmt.Sprintf("%s %s", topic, ranges(partitions[topic])))
	}
	fmt.Fprintf(m.app.err, "%s: %s\n", what, strings.Join(parts, ", "))
}
