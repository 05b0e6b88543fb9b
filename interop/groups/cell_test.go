package groups_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/interop/groups"
	"github.com/barnabas-mq/barnabas/interop/rig"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// patience is how long anything may take that no timeout of the group explains: machines are busy.
const patience = 40 * time.Second

// cell is one client in one scenario.
type cell struct {
	*testing.T
	client     groups.Client
	scenario   groups.Scenario
	broker     *rig.Broker
	topic      string
	group      string
	partitions int
	session    time.Duration
	heartbeat  time.Duration
	metadata   time.Duration // metadata.max.age.ms
	manner     groups.Manner // of the taps
	extra      groups.Config // AutoCommitMs, InFlight and OverheadMs of the members

	admin   *kadm.Client
	writer  *groups.Writer
	trail   *groups.Trail
	taps    []*groups.Tap
	members map[string]*groups.Member // running
	steps   []groups.Step
	row     groups.Row
	mu      sync.Mutex
	faults  []string
}

func newCell(t *testing.T, broker *rig.Broker, client groups.Client, scenario groups.Scenario) *cell {
	t.Helper()
	name := strings.NewReplacer(" ", "-", ",", "", "/", "-").Replace(client.Title() + "." + string(scenario))
	c := &cell{T: t, client: client, scenario: scenario, broker: broker, topic: "topic." + name, group: "group." + name, partitions: 6, session: groups.Session, heartbeat: groups.Heartbeat, metadata: groups.Metadata,
		trail: groups.NewTrail(), members: map[string]*groups.Member{}}
	cl, err := kgo.NewClient(kgo.SeedBrokers(broker.Addr), kgo.ClientID("harness"))
	if err != nil {
		t.Fatal(err)
	}
	c.admin = kadm.NewClient(cl)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := c.admin.CreateTopic(ctx, int32(c.partitions), 1, nil, c.topic); err != nil {
		t.Fatalf("create %s: %v", c.topic, err)
	}
	until(t, "the topic to be known", func() string {
		if topics, err := c.admin.ListTopics(ctx, c.topic); err != nil || len(topics[c.topic].Partitions) != c.partitions {
			return fmt.Sprint(topics[c.topic].Err, err)
		}
		return ""
	})
	if c.writer, err = groups.NewWriter(broker.Addr, c.topic, c.partitions); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, m := range c.members {
			m.Kill()
		}
		for _, tap := range c.taps {
			tap.Close()
		}
		if _, err := c.writer.Stop(); err != nil {
			t.Error(err)
		}
		c.admin.Close()
	})
	return c
}

// member starts a process; with an instance it is a static member.
func (c *cell) member(name, instance string) *groups.Member {
	c.Helper()
	c.step("%s starts", name)
	tap, err := groups.NewTap(name, c.broker.Addr)
	if err != nil {
		c.Fatal(err)
	}
	tap.Behave(c.manner)
	c.taps = append(c.taps, tap)
	argv, err := c.client.Argv()
	if err != nil {
		c.Fatal(err)
	}
	m, err := groups.StartMember(name, argv, groups.Config{Client: c.client.Name, Topic: c.topic, Group: c.group, ClientID: name, Instance: instance, Assignor: c.client.Assignor,
		SessionMs: int(c.session.Milliseconds()), HeartbeatMs: int(c.heartbeat.Milliseconds()), PollMaxMs: int(max(groups.PollMax, c.session+time.Second).Milliseconds()),
		MetadataMs: int(c.metadata.Milliseconds()), AutoCommitMs: c.extra.AutoCommitMs, InFlight: c.extra.InFlight, OverheadMs: c.extra.OverheadMs}, tap, c.trail)
	if err != nil {
		c.Fatal(err)
	}
	c.members[name] = m
	return m
}

func (c *cell) step(format string, args ...any) {
	c.steps = append(c.steps, groups.Step{At: time.Now(), Text: fmt.Sprintf(format, args...)})
}

// fault notes what is wrong. What a client is known for does not fail the test, and is told in the matrix.
func (c *cell) fault(format string, args ...any) (known bool) {
	c.Helper()
	s := fmt.Sprintf(format, args...)
	for _, k := range c.client.Known {
		if slices.Contains(k.Scenarios, c.scenario) && strings.Contains(s, k.Fault) {
			c.Logf("known of this client: %s: %s", k.Why, s)
			c.row.Result, c.row.Why = "known", k.Why
			return true
		}
	}
	c.Error(s)
	c.mu.Lock()
	c.faults = append(c.faults, s)
	c.mu.Unlock()
	return false
}

// die is a fault after which going on makes no sense.
func (c *cell) die(format string, args ...any) {
	c.Helper()
	if c.fault(format, args...) {
		c.SkipNow()
	}
	c.FailNow()
}

func (c *cell) events() []groups.Event {
	events, _ := c.trail.Events()
	return events
}

// await waits for something the members say.
func (c *cell) await(what string, within time.Duration, ok func([]groups.Event) bool) {
	c.Helper()
	late := time.After(within)
	for {
		events, grown := c.trail.Events()
		if ok(events) {
			return
		}
		if c.writer != nil {
			if err := c.writer.Err(); err != nil {
				c.die("waiting for %s: %v", what, err)
			}
		}
		for name, m := range c.members {
			select {
			case <-m.Ended():
				c.die("waiting for %s: %s ended by itself; it said: %s", what, name, m.Noise())
			default:
			}
		}
		select {
		case <-grown:
		case <-late:
			c.die("waiting for %s: not in %s\n%s", what, within, c.story(events))
		}
	}
}

// story is the events without the records, for messages.
func (c *cell) story(events []groups.Event) string {
	var b strings.Builder
	n := 0
	for i, e := range events {
		if i == 0 || e.Kind != groups.GotRecord && e.Kind != groups.Commit {
			fmt.Fprintf(&b, "  %s %s %s %v %s\n", e.Time().Format("15:04:05.000"), e.Member, e.Kind, e.Partitions, e.Error)
		}
		if e.Kind == groups.GotRecord {
			n++
		}
	}
	fmt.Fprintf(&b, "  and %d records", n)
	return b.String()
}

// balanced waits until these members own everything, and returns when that was.
func (c *cell) balanced(members ...string) time.Time {
	c.Helper()
	return c.balancedWithin(patience, members...)
}

func (c *cell) balancedWithin(within time.Duration, members ...string) time.Time {
	c.Helper()
	var at time.Time
	c.await("all partitions owned by "+strings.Join(members, " and "), within, func(events []groups.Event) bool {
		if !groups.Balanced(events, c.partitions, members...) {
			return false
		}
		at = time.Time{}
		for _, e := range events {
			if e.Kind == groups.Assigned && slices.Contains(members, e.Member) && e.Time().After(at) {
				at = e.Time()
			}
		}
		return true
	})
	c.step("%s own everything", strings.Join(members, " and "))
	return at
}

// flows waits until every partition went on, under these members.
func (c *cell) flows(members ...string) {
	c.Helper()
	from := len(c.events())
	c.await("records of every partition", patience, func(events []groups.Event) bool {
		seen := map[int32]bool{}
		for _, e := range events[from:] {
			if e.Kind == groups.GotRecord && slices.Contains(members, e.Member) {
				seen[e.Partition] = true
			}
		}
		return len(seen) == c.partitions
	})
}

// stop closes a member and waits for its end.
func (c *cell) stop(name string) {
	c.Helper()
	m := c.members[name]
	c.step("%s is asked to close", name)
	if err := m.Stop(); err != nil {
		c.die("%v", err)
	}
	select {
	case <-m.Ended():
	case <-time.After(patience):
		c.die("%s did not close in %s; it said: %s\n%s", name, patience, m.Noise(), c.story(c.events()))
	}
	delete(c.members, name)
	if !slices.ContainsFunc(c.events(), func(e groups.Event) bool { return e.Member == name && e.Kind == groups.Closed }) {
		c.die("%s ended without closing; it said: %s\n%s", name, m.Noise(), c.story(c.events()))
	}
}

// kill ends a member at once.
func (c *cell) kill(name string) {
	c.step("%s is killed", name)
	c.members[name].Kill()
	delete(c.members, name)
}

// since returns what a member said from the n-th event on.
func (c *cell) since(n int, member string, kinds ...string) []groups.Event {
	var out []groups.Event
	for _, e := range c.events()[n:] {
		if e.Member == member && slices.Contains(kinds, e.Kind) {
			out = append(out, e)
		}
	}
	return out
}

// partitionsOf is what events name together, sorted.
func partitionsOf(events []groups.Event) []int32 {
	out := []int32{}
	for _, e := range events {
		out = append(out, e.Partitions...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func ownedBy(events []groups.Event, member string) []int32 {
	out := []int32{}
	for p := range groups.Owned(events)[member] {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

func (c *cell) all() []int32 {
	out := make([]int32, c.partitions)
	for i := range out {
		out[i] = int32(i)
	}
	return out
}

// exchanges is what passed the taps.
func (c *cell) exchanges() []groups.Exchange {
	c.Helper()
	var all []groups.Exchange
	for _, tap := range c.taps {
		log, err := tap.Log()
		if err != nil {
			c.fault("the tap of %s: %v", tap.Member, err)
		}
		all = append(all, log...)
	}
	slices.SortStableFunc(all, func(a, b groups.Exchange) int { return a.Asked.Compare(b.Asked) })
	return all
}

// firstJoin is when a member first asked to join after a moment.
func (c *cell) firstJoin(member string, after time.Time) time.Time {
	c.Helper()
	for _, x := range c.exchanges() {
		if _, ok := x.Request.(*kmsg.JoinGroupRequest); ok && x.Member == member && x.Asked.After(after) {
			return x.Asked
		}
	}
	c.die("%s never asked to join", member)
	return time.Time{}
}

// timed notes what the matrix tells.
func (c *cell) timed(d time.Duration) { c.row.TookMs = max(1, d.Milliseconds()) }

// finish ends the story: the writer stops, everything written is handed on and committed, the members close, and all of it is judged.
func (c *cell) finish() {
	c.Helper()
	truth, err := c.writer.Stop()
	if err != nil {
		c.die("%v", err)
	}
	c.step("the writer stops")
	for late := time.After(patience); ; {
		events, grown := c.trail.Events()
		missing := groups.Delivered(events, truth)
		if len(missing) == 0 {
			break
		}
		select {
		case <-grown:
		case <-late:
			c.die("%s\n%s", strings.Join(missing, "; "), c.story(events))
		}
	}
	c.committed(truth)
	for _, name := range []string{"A", "B"} {
		if c.members[name] != nil {
			c.stop(name)
		}
	}
	events, exchanges := c.events(), c.exchanges()
	owning := events
	if c.client.Relayed {
		owning = groups.Relayed(events, exchanges)
	}
	for _, faults := range [][]string{groups.Delivered(events, truth), groups.Ordered(events), groups.OneOwner(owning)} {
		for _, f := range faults {
			c.fault("%s", f)
		}
	}
	_, faults := groups.Committed(exchanges, events, c.topic)
	for _, f := range faults {
		c.fault("%s", f)
	}
	var first string
	c.row.Repeated, first = groups.Repeated(events)
	for p := range truth {
		c.row.Records += len(truth[p])
	}
	if c.row.Records == 0 {
		c.fault("nothing was written")
	}
	if calm := !slices.Contains([]groups.Scenario{groups.KillMember, groups.Paused, groups.Slow, groups.Restart}, c.scenario); calm {
		if c.row.Repeated > 0 {
			c.fault("%d records were handed on twice though nobody crashed, the first: %s", c.row.Repeated, first)
		}
		for _, e := range events {
			if e.Kind == groups.Trouble {
				c.fault("%s at %s: %s", e.Member, e.Time().Format("15:04:05.000"), e.Error)
			}
		}
	}
	if c.Failed() {
		c.Logf("the story\n%s", c.story(events))
	}
}

// committed waits until the group's offsets are the ends of the partitions.
func (c *cell) committed(truth groups.Truth) {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), patience)
	defer cancel()
	for {
		offsets, err := c.admin.FetchOffsets(ctx, c.group)
		wrong := ""
		for p := range truth {
			if o, ok := offsets.Lookup(c.topic, int32(p)); len(truth[p]) > 0 && (!ok || o.At != int64(len(truth[p]))) {
				wrong += fmt.Sprintf(" %d: %d of %d", p, o.At, len(truth[p]))
			}
		}
		if err == nil && wrong == "" {
			return
		}
		select {
		case <-ctx.Done():
			c.die("everything is handed on, and the committed offsets are%s (%v)\n%s", wrong, err, c.story(c.events()))
		case <-time.After(50 * time.Millisecond):
		}
	}
}
