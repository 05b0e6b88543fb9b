package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/observe"
)

// liveGroup is what a look at a group from outside tells.
type liveGroup struct {
	name, protocol string
	topics         []liveTopic
	fleets         []liveFleet
	measured       time.Duration
}

type liveTopic struct {
	name       string
	partitions int
	rate       float64 // records a second and partition, on average
	lag        int64   // records a partition, on average of those that somebody has committed for
	silent     int     // partitions that nobody has committed for
}

// liveFleet is members that subscribe to the same topics, are all static, or all not, and have the same timeouts.
type liveFleet struct {
	topics   []string
	static   bool
	timeouts liveTimeouts
	count    int
	load     float64 // records a second that come in for each of them
	paces    []*pace // of each of them
	busy     int     // so many of them had work all the time
	speed    float64 // records a second that one of these works off; 0: none could be measured
}

// liveTimeouts are what a member said when it joined; zero where it could not be read.
type liveTimeouts struct {
	session, rebalance time.Duration
}

// windowMost bounds how long rates are measured.
const windowMost = time.Hour

// scenarioOfGroup looks at a live group and writes the scenario that is like it. What cannot be seen from outside is said so in the file.
func (a *app) scenarioOfGroup(ctx context.Context, f *simulateFlags) ([]byte, error) {
	if f.window <= 0 || f.window > windowMost {
		return nil, usage(fmt.Sprintf("--window %v is not above 0 and at most %v", f.window, windowMost), "ten seconds tell the rates of a busy topic")
	}
	cl, err := a.client(ctx)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	g, err := a.lookAtGroup(ctx, adm, f)
	if err != nil {
		return nil, err
	}
	return []byte(g.scenario()), nil
}

func (a *app) lookAtGroup(ctx context.Context, adm *kadm.Client, f *simulateFlags) (*liveGroup, error) {
	described, err := adm.DescribeGroups(ctx, f.fromGroup)
	if err == nil {
		err = described[f.fromGroup].Err
	}
	if errors.Is(err, kerr.GroupIDNotFound) {
		return nil, failed("there is no group "+f.fromGroup, "see the groups with `barnabas groups list`")
	}
	if err != nil {
		return nil, wrap(err, "describing group %s", f.fromGroup)
	}
	d := described[f.fromGroup]
	if len(d.Members) == 0 {
		return nil, failed(fmt.Sprintf("group %s has no members (%s), so there is nothing to simulate", f.fromGroup, d.State), "start its consumers, or write a scenario: `barnabas simulate consumer-restart --show`")
	}
	timeouts, err := a.timeoutsOf(ctx, f.fromGroup)
	if err != nil {
		return nil, err
	}
	g := &liveGroup{name: f.fromGroup, protocol: d.Protocol, measured: f.window}
	read := map[string]bool{}
	fleet := map[string]int{}
	for _, m := range d.Members {
		topics := map[string]bool{}
		p := &pace{}
		if sub, ok := m.Join.AsConsumer(); ok {
			for _, t := range sub.Topics {
				topics[t] = true
			}
		}
		if as, ok := m.Assigned.AsConsumer(); ok {
			for _, t := range as.Topics {
				topics[t.Topic] = true
				for _, n := range t.Partitions {
					p.owns = append(p.owns, kafka.TopicPartition{Topic: t.Topic, Partition: n})
				}
			}
		}
		list := slices.Sorted(maps.Keys(topics))
		for _, t := range list {
			read[t] = true
		}
		key := fmt.Sprint(m.InstanceID != nil, list, timeouts[m.MemberID])
		i, ok := fleet[key]
		if !ok {
			i = len(g.fleets)
			fleet[key] = i
			g.fleets = append(g.fleets, liveFleet{topics: list, static: m.InstanceID != nil, timeouts: timeouts[m.MemberID]})
		}
		g.fleets[i].count++
		g.fleets[i].paces = append(g.fleets[i].paces, p)
	}
	if len(read) == 0 {
		return nil, failed(fmt.Sprintf("the members of group %s tell no topics: it is rebalancing, or its protocol %q is not that of consumers", f.fromGroup, d.ProtocolType), "try again when the group is Stable")
	}
	return g, g.measure(ctx, adm, slices.Sorted(maps.Keys(read)))
}

// timeoutsOf reads what the members of a group said of their timeouts. No request tells it, the offsets topic does; where that may not be read, or is
// not there, nothing is known.
func (a *app) timeoutsOf(ctx context.Context, group string) (map[string]liveTimeouts, error) {
	last, err := observe.LastGroup(ctx, a.client, group)
	if errors.Is(err, observe.ErrNotAllowed) || errors.Is(err, observe.ErrNoTopic) {
		return nil, nil
	}
	if err != nil || last == nil {
		return nil, err
	}
	out := map[string]liveTimeouts{}
	for _, m := range last.Members {
		out[m.ID] = liveTimeouts{session: m.SessionTimeout, rebalance: max(0, m.RebalanceTimeout)}
	}
	return out, nil
}

// measure looks at the ends of the topics twice, and in between at what is committed.
func (g *liveGroup) measure(ctx context.Context, adm *kadm.Client, topics []string) error {
	before, err := adm.ListEndOffsets(ctx, topics...)
	if err != nil {
		return wrap(err, "reading the ends of the topics")
	}
	began := time.Now()
	var paces []*pace
	for _, f := range g.fleets {
		paces = append(paces, f.paces...)
	}
	first, committed, err := watchCommits(ctx, adm, g.name, g.measured, paces)
	if err != nil {
		return err
	}
	after, err := adm.ListEndOffsets(ctx, topics...)
	if err != nil {
		return wrap(err, "reading the ends of the topics")
	}
	seconds := time.Since(began).Seconds()
	ends := map[kafka.TopicPartition]int64{}
	before.Each(func(o kadm.ListedOffset) {
		ends[kafka.TopicPartition{Topic: o.Topic, Partition: o.Partition}] = o.Offset
	})
	incoming := map[string]float64{}
	for _, t := range topics {
		row := liveTopic{name: t, partitions: len(after[t])}
		if row.partitions == 0 {
			continue // subscribed, and not there
		}
		grown, lag, told := int64(0), int64(0), 0
		for p, end := range after[t] {
			if end.Err != nil {
				return wrap(end.Err, "reading the end of %s-%d", t, p)
			}
			grown += max(0, end.Offset-before[t][p].Offset)
			if at, ok := committed[kafka.TopicPartition{Topic: t, Partition: p}]; ok {
				lag += max(0, end.Offset-at)
				told++
			}
		}
		row.rate = float64(grown) / seconds / float64(row.partitions)
		row.lag, row.silent = lag/int64(max(1, told)), row.partitions-told
		incoming[t] = float64(grown) / seconds
		g.topics = append(g.topics, row)
	}
	readers := map[string]int{}
	for _, fl := range g.fleets {
		for _, t := range fl.topics {
			readers[t] += fl.count
		}
	}
	for i := range g.fleets {
		for _, t := range g.fleets[i].topics {
			g.fleets[i].load += incoming[t] / float64(max(1, readers[t]))
		}
		g.fleets[i].work(first, committed, ends)
	}
	return nil
}

// work says how fast the members are that had work all the time.
func (f *liveFleet) work(first, committed, ends map[kafka.TopicPartition]int64) {
	var speeds []float64
	for _, p := range f.paces {
		if v, ok := p.speed(); ok && p.alwaysBusy(first, committed, ends) {
			speeds = append(speeds, v)
		}
	}
	f.busy, f.speed = len(speeds), medianOf(speeds)
}

// scenario is the file, with what was measured and what had to be assumed.
func (g *liveGroup) scenario() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("name: %q", g.name)
	line("about: %q", fmt.Sprintf("Group %s as it was when it was looked at; rates and lag measured over %v.", g.name, g.measured))
	line("duration: 5m")
	if slices.ContainsFunc(g.topics, func(t liveTopic) bool { return t.lag > 0 }) {
		line("# Time zero comes soon, so that the lag is still what was measured.")
		line("warmup: 0s")
		line("warmup.spread: 3s")
	}
	g.coordinator(line)
	line("topics:")
	for _, t := range g.topics {
		line("  - name: %q", t.name)
		line("    partitions: %d", t.partitions)
		line("    rate: %s # measured, a second and partition, on average", decimal(t.rate))
		silent := ""
		if t.silent > 0 {
			silent = fmt.Sprintf("; of %d of them nothing is committed, and the lag not known", t.silent)
		}
		line("    backlog: %d # lag measured, a partition, on average%s", t.lag, silent)
	}
	line("# The kind of client, heartbeats, records of a poll and commits are not to be seen from outside: the Java client and Kafka's defaults, where nothing is said.")
	line("members:")
	for i, f := range g.fleets {
		line("  - name: %s", fleetName(i))
		line("    count: %d", f.count)
		g.describe(&f, line)
	}
	// What if more join? They are as most of the others are.
	most := slices.MaxFunc(g.fleets, func(a, b liveFleet) int { return cmp.Compare(a.count, b.count) })
	line("  # Not there, unless an event starts them: --event \"at=30s do=start member=new pause=0s\"")
	line("  - name: new")
	line("    count: 2")
	line("    started: false")
	g.describe(&most, line)
	return b.String()
}

// describe writes what the members of a fleet have in common.
func (g *liveGroup) describe(f *liveFleet, line func(string, ...any)) {
	line("    static: %v", f.static)
	if known := slices.DeleteFunc(slices.Clone(f.topics), func(t string) bool {
		return !slices.ContainsFunc(g.topics, func(l liveTopic) bool { return l.name == t })
	}); len(known) > 0 {
		line("    topics: [%s]", quotedList(known))
	}
	switch g.protocol {
	case "range", "roundrobin", "sticky", "cooperative-sticky":
		line("    partition.assignment.strategy: %s", g.protocol)
	default:
		line("    partition.assignment.strategy: cooperative-sticky # the group's own is %q", g.protocol)
	}
	f.settings(line)
}

// quotedList is names with commas between them, as YAML takes any name.
func quotedList(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = fmt.Sprintf("%q", n)
	}
	return strings.Join(quoted, ", ")
}

// settings writes what the members are set to: as they said when they joined, as their commits show, or assumed.
func (f *liveFleet) settings(line func(string, ...any)) {
	const heartbeat = 3 * time.Second // Kafka's default
	switch t := f.timeouts; {
	case t.session <= 0:
		line("    # Timeouts could not be read from " + kafka.OffsetsTopic + ": Kafka's defaults here.")
	default:
		line("    session.timeout.ms: %d # as the members said when they joined, and so the next", t.session.Milliseconds())
		if t.rebalance > 0 {
			line("    max.poll.interval.ms: %d", t.rebalance.Milliseconds())
		}
		if t.session <= heartbeat {
			line("    heartbeat.interval.ms: %d # not to be seen: a third of the session", max(1, (t.session/3).Milliseconds()))
		}
	}
	if f.speed > 0 {
		line("    # Measured: %d of %d members had a backlog all the time, and worked off %.1f records a second (the one in the middle).", f.busy, f.count, f.speed)
		line("    processing.time: %s", workTime(1/f.speed))
		return
	}
	line("    # Not to be seen from outside while members keep up: the work on a record, taken so that they are busy half the time.")
	line("    processing.time: %s", halfBusy(f.load))
}

// coordinator writes the bounds of the session timeout where members show that the cluster's are not Kafka's defaults.
func (g *liveGroup) coordinator(line func(string, ...any)) {
	const usualLeast, usualMost = 6 * time.Second, 30 * time.Minute
	least, most := usualLeast, usualMost
	for _, f := range g.fleets {
		if s := f.timeouts.session; s > 0 {
			least, most = min(least, s), max(most, s)
		}
	}
	if least < usualLeast || most > usualMost {
		line("coordinator:")
		line("  group.min.session.timeout.ms: %d # the cluster took these members", least.Milliseconds())
		line("  group.max.session.timeout.ms: %d", most.Milliseconds())
	}
}

// fleetName is a name for the i-th fleet.
func fleetName(i int) string {
	if i == 0 {
		return "c"
	}
	return fmt.Sprintf("f%d-c", i+1)
}

// decimal is a rate as scenarios take it.
func decimal(v float64) string { return fmt.Sprintf("%.6f", v) }

// halfBusy is the work on a record that keeps a member busy half the time at a load.
func halfBusy(load float64) time.Duration {
	if load <= 0 {
		return time.Millisecond
	}
	return min(time.Second, workTime(0.5/load))
}

// workTime is the work on a record, in seconds, as scenarios take it.
func workTime(seconds float64) time.Duration {
	return max(time.Microsecond, time.Duration(min(seconds, time.Hour.Seconds())*1e9)).Round(time.Microsecond)
}
