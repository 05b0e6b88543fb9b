package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/barnabas-mq/barnabas/internal/broker"
	"github.com/barnabas-mq/barnabas/internal/config"
	"github.com/barnabas-mq/barnabas/internal/journal"
	"github.com/barnabas-mq/barnabas/internal/observe"
)

func newDemoCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:     "demo",
		Short:   "Watch a rebalance go wrong, and read why",
		Long:    "Watch a rebalance go wrong, and read why: a broker of its own, real consumers, half a minute, and nothing left behind.",
		Example: `  barnabas demo slow-consumer`,
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(newDemoSlowConsumer(a))
	return c
}

func newDemoSlowConsumer(a *app) *cobra.Command {
	var hold bool
	c := &cobra.Command{
		Use:   "slow-consumer",
		Short: "Two consumers, one too slow: who waits for whom, who loses what, and the cure",
		Long: `Two consumers, one too slow: who waits for whom, who loses what, and the cure.

It starts a broker of its own on a free port, with a group of two real consumers (franz-go). One takes longer for a batch than the group waits
for it in a rebalance: it is put out, its commit is refused, and the other one does its records again. Then the same with a batch that fits. In the end
it prints what ` + "`barnabas explain`" + ` says of it. It takes about half a minute and leaves nothing behind.`,
		Example: `  barnabas demo slow-consumer
  barnabas demo slow-consumer --hold    # and look at the console meanwhile`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.demoSlowConsumer(cmd.Context(), demoForPeople, hold)
		},
	}
	c.Flags().BoolVar(&hold, "hold", false, "keep the broker until ctrl-C, so that its console can be looked at")
	return c
}

// The demo's numbers. A batch of ten takes 15 s, three times what the group waits for it; one of two takes 3 s.
const (
	demoGroup      = "demo-shop"
	demoTopic      = "demo-orders"
	demoPartitions = 4
	demoBatch      = 10
	demoBatchCured = 2
)

// demoPace is how long things take; tests are in a hurry.
type demoPace struct {
	perRecord, rebalanceTimeout, heartbeat, before time.Duration
}

var demoForPeople = demoPace{perRecord: 1500 * time.Millisecond, rebalanceTimeout: 5 * time.Second, heartbeat: time.Second, before: 2 * time.Second}

// demo is one run.
type demo struct {
	a     *app
	addr  string
	start time.Time
	pace  demoPace

	mu    sync.Mutex
	done  map[string]string // "partition/offset" to who did it first
	twice int               // records done again by somebody else
	again chan struct{}     // closed with the first of those
	lines io.Writer
}

func (d *demo) say(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprintf(d.lines, "%5.1fs  %s\n", d.a.now().Sub(d.start).Seconds(), printable(fmt.Sprintf(format, args...)))
}

// did notes a record and reports whether somebody else had done it already.
func (d *demo) did(who string, r *kgo.Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := strconv.Itoa(int(r.Partition)) + "/" + strconv.FormatInt(r.Offset, 10)
	if first, ok := d.done[key]; ok && first != who {
		if d.twice++; d.twice == 1 {
			close(d.again)
		}
	} else if !ok {
		d.done[key] = who
	}
}

func (a *app) demoSlowConsumer(ctx context.Context, pace demoPace, hold bool) error {
	cfg, _, err := config.Load(config.Args{Ephemeral: true, Set: []string{"group.initial.rebalance.delay.ms=0"}})
	if err != nil {
		return wrap(err, "setting the demo's broker up")
	}
	b, err := broker.Start(ctx, broker.Options{Config: cfg, Logger: slog.New(slog.DiscardHandler), Version: buildInfo().Version})
	if err != nil {
		return startFault(err)
	}
	defer func() {
		stop, cancel := context.WithTimeout(context.Background(), cfg.Broker.ShutdownTimeout)
		defer cancel()
		_ = b.Close(stop) // it is forgotten with all it holds
	}()
	d := &demo{a: a, addr: b.Addresses()[0], start: a.now(), pace: pace, done: map[string]string{}, again: make(chan struct{}), lines: a.out}
	if a.output != "table" {
		d.lines = a.err
	}
	fmt.Fprintf(d.lines, "A broker of its own at %s, topic %s with %d partitions, group %s.\n", d.addr, demoTopic, demoPartitions, demoGroup)
	if admin := b.AdminAddress(); admin != "" {
		fmt.Fprintf(d.lines, "Its console: http://%s/\n", admin)
	}
	fmt.Fprintln(d.lines)
	if err := d.run(ctx); err != nil {
		return err
	}
	a.bootstrap = []string{d.addr}
	if err := d.tell(ctx); err != nil {
		return err
	}
	if hold {
		fmt.Fprintln(d.lines, "\nThe broker goes on until ctrl-C.")
		<-ctx.Done()
	}
	return nil
}

// run is the story itself, in two acts.
func (d *demo) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	feed, err := kgo.NewClient(kgo.SeedBrokers(d.addr), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return wrap(err, "setting the producer up")
	}
	defer feed.Close()
	if _, err := kadm.NewClient(feed).CreateTopic(ctx, demoPartitions, 1, nil, demoTopic); err != nil {
		return wrap(err, "creating %s", demoTopic)
	}
	var first []*kgo.Record
	for i := range 40 * demoPartitions {
		first = append(first, &kgo.Record{Topic: demoTopic, Partition: int32(i % demoPartitions), Value: []byte("order " + strconv.Itoa(i))})
	}
	if err := feed.ProduceSync(ctx, first...).FirstErr(); err != nil {
		return wrap(err, "writing records")
	}

	d.say("slow joins. It takes %d records per poll, %s for each: %s for a batch. The group waits %s for a member.", demoBatch, d.pace.perRecord, demoBatch*d.pace.perRecord, d.pace.rebalanceTimeout)
	slow, err := d.join(ctx, &all, "slow", demoBatch, d.pace.perRecord)
	if err != nil {
		return err
	}
	if err := slow.wait(ctx, slow.busy); err != nil {
		return err
	}
	if err := d.pause(ctx, d.pace.before); err != nil {
		return err
	}
	d.say("fast joins, to help. Slow learns of it at once, but is in the middle of a batch.")
	fast, err := d.join(ctx, &all, "fast", 20, 10*time.Millisecond)
	if err != nil {
		return err
	}
	if err := fast.wait(ctx, fast.owns); err != nil {
		return err
	}
	d.say("fast has partitions now: the group waited for slow, and went on without it.")
	if err := slow.wait(ctx, slow.finished); err != nil {
		return err
	}
	slow.stop()
	if slow.refused.Load() { // fast has it all now, and nobody has committed what slow did
		if err := fast.wait(ctx, d.again); err != nil {
			return err
		}
	}
	d.mu.Lock()
	twice := d.twice
	d.mu.Unlock()
	d.say("%d records were done twice.", twice)

	d.say("Now the cure: slow takes %d records per poll, %s for a batch.", demoBatchCured, demoBatchCured*d.pace.perRecord)
	more := make([]*kgo.Record, 0, 40*demoPartitions)
	for i := range cap(more) {
		more = append(more, &kgo.Record{Topic: demoTopic, Partition: int32(i % demoPartitions), Value: []byte("order " + strconv.Itoa(i))})
	}
	fast.stop()
	if err := feed.ProduceSync(ctx, more...).FirstErr(); err != nil {
		return wrap(err, "writing records")
	}
	cured, err := d.join(ctx, &all, "slow", demoBatchCured, d.pace.perRecord)
	if err != nil {
		return err
	}
	if err := cured.wait(ctx, cured.busy); err != nil {
		return err
	}
	d.say("fast joins again.")
	fast, err = d.join(ctx, &all, "fast", 20, 10*time.Millisecond)
	if err != nil {
		return err
	}
	if err := fast.wait(ctx, fast.owns); err != nil {
		return err
	}
	if cured.lost.Load() {
		d.say("fast has partitions; slow was late again: this machine is busy.")
		return nil
	}
	d.say("fast has partitions, and slow has kept its membership: it came in time.")
	return nil
}

// pause waits in real time: the demo is watched by a person.
func (d *demo) pause(ctx context.Context, t time.Duration) error {
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// demoMember is one consumer. Each channel is closed when the thing it is named for has happened once.
type demoMember struct {
	name                 string
	cl                   *kgo.Client
	end                  context.CancelFunc
	ended                chan struct{}
	busy, owns, finished chan struct{}
	once                 [3]sync.Once
	lost                 atomic.Bool // it lost its partitions without having been asked for them
	refused              atomic.Bool // a commit of it was refused
}

// wait waits for one of the member's moments, and not for ever.
func (m *demoMember) wait(ctx context.Context, moment <-chan struct{}) error {
	timer := time.NewTimer(time.Minute)
	defer timer.Stop()
	select {
	case <-moment:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return failed(m.name+" came to nothing within a minute", "is this machine very busy? try again")
	}
}

func (m *demoMember) stop() {
	m.end()
	<-m.ended
}

// join starts a consumer that takes batch records per poll and per for each of them.
func (d *demo) join(ctx context.Context, all *sync.WaitGroup, name string, batch int, per time.Duration) (*demoMember, error) {
	m := &demoMember{name: name, ended: make(chan struct{}), busy: make(chan struct{}), owns: make(chan struct{}), finished: make(chan struct{})}
	var err error
	m.cl, err = kgo.NewClient(kgo.SeedBrokers(d.addr), kgo.ClientID(name), kgo.ConsumerGroup(demoGroup), kgo.ConsumeTopics(demoTopic),
		kgo.Balancers(kgo.RangeBalancer()), kgo.RebalanceTimeout(d.pace.rebalanceTimeout), kgo.SessionTimeout(10*time.Second), kgo.HeartbeatInterval(d.pace.heartbeat),
		kgo.BlockRebalanceOnPoll(), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, got map[string][]int32) {
			if len(got[demoTopic]) > 0 {
				m.once[1].Do(func() { close(m.owns) })
			}
		}), kgo.OnPartitionsLost(func(context.Context, *kgo.Client, map[string][]int32) { m.lost.Store(true) }))
	if err != nil {
		return nil, wrap(err, "setting %s up", name)
	}
	ctx, m.end = context.WithCancel(ctx)
	all.Add(1)
	go func() {
		defer all.Done()
		defer close(m.ended)
		defer m.cl.CloseAllowingRebalance()
		d.work(ctx, m, batch, per)
	}()
	return m, nil
}

// work polls, works and commits, as most consumers do.
func (d *demo) work(ctx context.Context, m *demoMember, batch int, per time.Duration) {
	for ctx.Err() == nil {
		fetches := m.cl.PollRecords(ctx, batch)
		records := fetches.Records()
		if len(records) == 0 {
			m.cl.AllowRebalance()
			continue
		}
		m.once[0].Do(func() { close(m.busy) })
		for _, r := range records {
			if d.pause(ctx, per) != nil {
				return
			}
			d.did(m.name, r)
		}
		if err := m.cl.CommitRecords(ctx, records...); err != nil && ctx.Err() == nil {
			m.refused.Store(true)
			d.say("%s is done with its batch, and its commit is refused: %s", m.name, codeName(err))
		}
		m.cl.AllowRebalance()
		m.once[2].Do(func() { close(m.finished) })
	}
}

// tell prints what explain says, with the story of the member that was too late.
func (d *demo) tell(ctx context.Context) error {
	f := explainFlags{since: "1h", recordTime: d.pace.perRecord, clientConfig: []string{"max.poll.records=" + strconv.Itoa(demoBatch)}}
	fmt.Fprintf(d.lines, "\n$ barnabas explain %s --record-time %s --client-config max.poll.records=%d\n\n", demoGroup, d.pace.perRecord, demoBatch)
	r, _, err := d.a.readGroup(ctx, demoGroup, d.start.Add(-time.Minute), observe.Want{})
	if err != nil {
		return err
	}
	if r != nil {
		i := slices.IndexFunc(r.Incidents, func(inc journal.Incident) bool { return inc.Cause == journal.LateToRejoin })
		r.Close()
		if i >= 0 {
			f.tellID = r.Incidents[i].ID
		}
	}
	return d.a.explainGroup(ctx, demoGroup, f)
}

func codeName(err error) string {
	if f := (&app{}).explain(err); f != nil {
		return f.what
	}
	return err.Error()
}
