package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
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
	lag        int64   // records a partition, on average
}

// liveFleet is members that subscribe to the same topics and are all static, or all not.
type liveFleet struct {
	topics []string
	static bool
	count  int
	load   float64 // records a second that come in for each of them
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
	g := &liveGroup{name: f.fromGroup, protocol: d.Protocol, measured: f.window}
	read := map[string]bool{}
	fleet := map[string]int{}
	for _, m := range d.Members {
		topics := map[string]bool{}
		if sub, ok := m.Join.AsConsumer(); ok {
			for _, t := range sub.Topics {
				topics[t] = true
			}
		}
		if as, ok := m.Assigned.AsConsumer(); ok {
			for _, t := range as.Topics {
				topics[t.Topic] = true
			}
		}
		list := slices.Sorted(maps.Keys(topics))
		for _, t := range list {
			read[t] = true
		}
		key := fmt.Sprint(m.InstanceID != nil, list)
		i, ok := fleet[key]
		if !ok {
			i = len(g.fleets)
			fleet[key] = i
			g.fleets = append(g.fleets, liveFleet{topics: list, static: m.InstanceID != nil})
		}
		g.fleets[i].count++
	}
	if len(read) == 0 {
		return nil, failed(fmt.Sprintf("the members of group %s tell no topics: it is rebalancing, or its protocol %q is not that of consumers", f.fromGroup, d.ProtocolType), "try again when the group is Stable")
	}
	return g, g.measure(ctx, adm, slices.Sorted(maps.Keys(read)))
}

// measure looks at the ends of the topics twice, and at what is committed.
func (g *liveGroup) measure(ctx context.Context, adm *kadm.Client, topics []string) error {
	before, err := adm.ListEndOffsets(ctx, topics...)
	if err != nil {
		return wrap(err, "reading the ends of the topics")
	}
	began := time.Now()
	select {
	case <-time.After(g.measured):
	case <-ctx.Done():
		return ctx.Err()
	}
	after, err := adm.ListEndOffsets(ctx, topics...)
	if err != nil {
		return wrap(err, "reading the ends of the topics")
	}
	seconds := time.Since(began).Seconds()
	committed, err := adm.FetchOffsets(ctx, g.name)
	if err != nil {
		return wrap(err, "reading the offsets of group %s", g.name)
	}
	incoming := map[string]float64{}
	for _, t := range topics {
		row := liveTopic{name: t, partitions: len(after[t])}
		if row.partitions == 0 {
			continue // subscribed, and not there
		}
		grown, lag := int64(0), int64(0)
		for p, end := range after[t] {
			if end.Err != nil {
				return wrap(end.Err, "reading the end of %s-%d", t, p)
			}
			grown += max(0, end.Offset-before[t][p].Offset)
			if at, ok := committed.Lookup(t, p); ok && at.Err == nil {
				lag += max(0, end.Offset-at.At)
			}
		}
		row.rate = float64(grown) / seconds / float64(row.partitions)
		row.lag = lag / int64(row.partitions)
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
	}
	return nil
}

// scenario is the file, with what was measured and what had to be assumed.
func (g *liveGroup) scenario() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("name: %q", g.name)
	line("about: %q", fmt.Sprintf("Group %s as it was when it was looked at; rates and lag measured over %v.", g.name, g.measured))
	line("duration: 5m")
	line("topics:")
	for _, t := range g.topics {
		line("  - name: %q", t.name)
		line("    partitions: %d", t.partitions)
		line("    rate: %s # measured, a second and partition, on average", decimal(t.rate))
		line("    backlog: %d # lag measured, a partition", t.lag)
	}
	line("members:")
	for i, f := range g.fleets {
		line("  - name: %s", fleetName(i))
		line("    count: %d", f.count)
		line("    static: %v", f.static)
		if known := slices.DeleteFunc(slices.Clone(f.topics), func(t string) bool {
			return !slices.ContainsFunc(g.topics, func(l liveTopic) bool { return l.name == t })
		}); len(known) > 0 {
			line("    topics: [%s]", strings.Join(known, ", "))
		}
		switch g.protocol {
		case "range", "roundrobin", "sticky", "cooperative-sticky":
			line("    partition.assignment.strategy: %s", g.protocol)
		default:
			line("    partition.assignment.strategy: cooperative-sticky # the group's own is %q", g.protocol)
		}
		line("    # Not to be seen from outside: timeouts (Kafka's defaults here), and the work on a record, taken so that members are busy half the time.")
		line("    processing.time: %s", halfBusy(f.load))
	}
	return b.String()
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
	return max(time.Microsecond, min(time.Second, time.Duration(0.5e9/load))).Round(time.Microsecond)
}
