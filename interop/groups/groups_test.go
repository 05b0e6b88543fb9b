package groups_test

import (
	"cmp"
	"context"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/interop/groups"
	"github.com/barnabas-mq/barnabas/interop/rig"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestMain(m *testing.M) {
	if os.Getenv(groups.MemberVariable) != "" {
		os.Exit(groups.MemberMain())
	}
	os.Exit(m.Run())
}

// properties are the same for both brokers. The initial delay is there to be told.
var properties = map[string]string{"group.initial.rebalance.delay.ms": "1000", "offsets.topic.num.partitions": "4"}

// short says which cells `make test-all` runs: every client once out, in and killed, and the rest where it tells most.
func short(c groups.Client, s groups.Scenario) bool {
	switch s {
	case groups.ScaleOut, groups.KillMember:
		return c.Library != "Java kafka-clients 3.9" || s == groups.ScaleOut
	case groups.ScaleIn:
		return !c.JVM && c.Library != "kcat" || c.Assignor == "cooperative"
	case groups.Static, groups.Paused, groups.Slow:
		return c.Title() == "Java kafka-clients, cooperative" || c.Title() == "confluent-kafka-go, cooperative"
	case groups.Grown, groups.Restart:
		return c.Title() == "franz-go, cooperative" || c.Title() == "confluent-kafka-go, range"
	}
	return false
}

// wanted is whether a comma separated list in a variable names one of the names; an unset variable names all.
func wanted(variable string, names ...string) bool {
	list := os.Getenv(variable)
	if list == "" {
		return true
	}
	for _, w := range strings.Split(list, ";") {
		if slices.Contains(names, strings.TrimSpace(w)) {
			return true
		}
	}
	return false
}

// TestGroups is the matrix. INTEROP_GROUPS=all runs every cell, without it the short form; INTEROP_CLIENTS and INTEROP_SCENARIOS, lists with
// semicolons, narrow it down, and INTEROP_KEEP names a folder for the rows and transcripts.
func TestGroups(t *testing.T) {
	kind := rig.KindFromEnv(t)
	broker := rig.StartT(t, kind, rig.Options{Properties: properties, HeapMiB: 512})
	// The broker that is killed is another one, and cells have it one after the other.
	var restarts sync.Mutex
	mortal := sync.OnceValue(func() *rig.Broker { return rig.StartT(t, kind, rig.Options{Properties: properties, HeapMiB: 512}) })

	everything := os.Getenv("INTEROP_GROUPS") == "all" || os.Getenv("INTEROP_SCENARIOS") != ""
	type work struct {
		client   groups.Client
		scenario groups.Scenario
	}
	queues := map[bool][]work{} // by whether it needs JVMs: one such cell runs at a time, since it has two of them
	known := 0
	for _, c := range groups.Clients() {
		if !wanted("INTEROP_CLIENTS", c.Library, c.Title()) {
			continue
		}
		known++
		for _, s := range groups.Scenarios {
			if wanted("INTEROP_SCENARIOS", string(s)) && (everything || short(c, s)) {
				queues[c.JVM] = append(queues[c.JVM], work{c, s})
			}
		}
	}
	if known == 0 || len(queues) == 0 {
		t.Fatal("INTEROP_CLIENTS or INTEROP_SCENARIOS name nothing that is there")
	}
	var workers sync.WaitGroup
	for jvm, count := range map[bool]int{true: 1, false: max(2, runtime.NumCPU())} {
		next := make(chan work, len(queues[jvm]))
		for _, w := range queues[jvm] {
			next <- w
		}
		close(next)
		for range count {
			workers.Go(func() {
				for w := range next {
					b := broker
					if w.scenario == groups.Restart {
						restarts.Lock()
						b = mortal()
					}
					t.Run(w.client.Title()+"/"+string(w.scenario), func(t *testing.T) { runCell(t, b, w.client, w.scenario) })
					if w.scenario == groups.Restart {
						restarts.Unlock()
					}
				}
			})
		}
	}
	workers.Wait()
}

var stories = map[groups.Scenario]func(*cell){
	groups.Start: start, groups.ScaleOut: scaleOut, groups.ScaleIn: scaleIn, groups.KillMember: killMember, groups.Paused: paused, groups.Slow: slow,
	groups.Static: static, groups.Grown: grown, groups.Restart: restart,
}

// runCell tells one story and keeps its row.
func runCell(t *testing.T, broker *rig.Broker, client groups.Client, scenario groups.Scenario) {
	row := groups.Row{Broker: brokerName(broker), Client: client.Title(), Scenario: scenario, Result: "FAIL"}
	keep := os.Getenv("INTEROP_KEEP")
	save := func() {
		if keep != "" {
			if err := row.Keep(keep); err != nil {
				t.Error(err)
			}
		}
	}
	if why := client.Lacks[scenario]; why != "" {
		row.Result, row.Why = "skip", why
		save()
		t.Skip(why)
	}
	c := newCell(t, broker, client, scenario)
	t.Cleanup(func() { // also after a story that broke off
		row.TookMs, row.Records, row.Repeated = c.row.TookMs, c.row.Records, c.row.Repeated
		row.Result, row.Why = cmp.Or(c.row.Result, "pass"), c.row.Why
		if t.Failed() {
			row.Result, row.Why = "FAIL", strings.Join(c.faults, "; ")
		}
		row.Lines = groups.Fold(groups.Transcript(c.exchanges(), c.steps, c.group, c.topic))
		if t.Failed() {
			for _, l := range row.Lines {
				t.Log(l)
			}
		}
		save()
	})
	stories[scenario](c)
}

func brokerName(b *rig.Broker) string {
	if b.Kind == rig.Kafka {
		v, _ := rig.KafkaVersion()
		return "Apache Kafka " + v
	}
	return "Barnabas"
}

// pair runs A and then B until both work.
func (c *cell) pair(instances bool) (a, b *groups.Member) {
	c.Helper()
	name := func(s string) string {
		if instances {
			return s
		}
		return ""
	}
	a = c.member("A", name("instance-A"))
	c.balanced("A")
	b = c.member("B", name("instance-B"))
	c.balanced("A", "B")
	c.flows("A", "B")
	return a, b
}

func start(c *cell) {
	began := time.Now()
	c.member("A", "")
	c.member("B", "")
	done := c.balanced("A", "B")
	first, last := c.firstJoin("A", began), c.firstJoin("B", began)
	if last.Before(first) {
		first, last = last, first
	}
	c.timed(done.Sub(last))
	if took := done.Sub(first); took < 990*time.Millisecond {
		c.fault("the group was ready %s after its first member asked to join; group.initial.rebalance.delay.ms is 1000", took)
	}
	c.flows("A", "B")
	c.finish()
}

func scaleOut(c *cell) {
	c.member("A", "")
	c.balanced("A")
	c.flows("A")
	n, began := len(c.events()), time.Now()
	c.member("B", "")
	done := c.balanced("A", "B")
	c.timed(done.Sub(c.firstJoin("B", began)))
	c.flows("A", "B")
	revoked, moved := partitionsOf(c.since(n, "A", groups.Revoked, groups.Lost)), ownedBy(c.events(), "B")
	if len(moved) != c.partitions/2 {
		c.fault("B owns %v of %d partitions", moved, c.partitions)
	}
	if want := map[bool][]int32{true: moved, false: c.all()}[c.client.Cooperative]; !slices.Equal(revoked, want) {
		c.fault("A was told that %v are revoked, want %v: cooperative is %v and %v moved", revoked, want, c.client.Cooperative, moved)
	}
	c.finish()
}

func scaleIn(c *cell) {
	c.pair(false)
	n, had := len(c.events()), ownedBy(c.events(), "B")
	began := time.Now()
	c.stop("B")
	done := c.balanced("A")
	c.timed(done.Sub(began))
	if took := done.Sub(began); took > 4*time.Second {
		c.fault("A owned everything %s after B was asked to close: a leave must not wait for the session", took)
	}
	c.flows("A")
	if got := partitionsOf(c.since(n, "B", groups.Revoked)); !slices.Equal(got, had) {
		c.fault("closing, B was told that %v are revoked; it owned %v", got, had)
	}
	if got := partitionsOf(c.since(n, "A", groups.Revoked, groups.Lost)); c.client.Cooperative && len(got) > 0 {
		c.fault("A lost %v though it is cooperative and only gained", got)
	}
	c.finish()
}

func killMember(c *cell) {
	c.pair(false)
	n := len(c.events())
	began := time.Now()
	c.kill("A")
	done := c.balanced("B")
	c.expiry("A was killed", done.Sub(began))
	c.flows("B")
	if got := partitionsOf(c.since(n, "B", groups.Revoked, groups.Lost)); c.client.Cooperative && len(got) > 0 {
		c.fault("B lost %v though it is cooperative and only gained", got)
	}
	c.finish()
}

// expiry checks that a member was missed when its session had run out, counted from its last heartbeat, and soon after. A client may
// commit or fetch between heartbeats, so that the broker heard of it at most one interval before it fell silent.
func (c *cell) expiry(what string, took time.Duration) {
	c.Helper()
	c.timed(took)
	if early, late := groups.Session-2*groups.Heartbeat, groups.Session+2*groups.Heartbeat+2*time.Second; took < early || took > late {
		c.fault("the other owned everything %s after %s, want %s to %s: the session timeout is %s", took, what, early, late, groups.Session)
	}
}

func paused(c *cell) {
	_, b := c.pair(false)
	n, had := len(c.events()), ownedBy(c.events(), "B")
	began := time.Now()
	c.step("B is stopped")
	b.Pause()
	done := c.balancedWithoutB()
	c.expiry("B was stopped", done.Sub(began))
	c.flows("A")
	c.step("B goes on")
	b.Resume()
	c.comesBack(n, had)
	c.finish()
}

// balancedWithoutB waits until A owns everything, whatever B believes.
func (c *cell) balancedWithoutB() time.Time {
	c.Helper()
	return c.balanced("A")
}

// comesBack waits until B knows that it had lost what it owned, and has its share again.
func (c *cell) comesBack(n int, had []int32) {
	c.Helper()
	kinds := []string{groups.Lost}
	if !c.client.Lost {
		kinds = append(kinds, groups.Revoked)
	}
	c.await("B to be told that its partitions are lost", patience, func([]groups.Event) bool {
		return len(c.since(n, "B", groups.Lost, groups.Revoked)) > 0
	})
	c.balanced("A", "B")
	c.flows("A", "B")
	told := c.since(n, "B", groups.Lost, groups.Revoked)
	if !slices.Contains(kinds, told[0].Kind) || !slices.Equal(partitionsOf(told[:1]), had) {
		c.fault("B was told that %v are %s, want %v %v", told[0].Partitions, told[0].Kind, had, kinds)
	}
}

func slow(c *cell) {
	_, b := c.pair(false)
	n, had := len(c.events()), ownedBy(c.events(), "B")
	if err := b.Sleep(groups.PollMax + 3*time.Second); err != nil {
		c.die("%v", err)
	}
	awake := func(kind string) (at time.Time) {
		c.await("B to be "+kind, patience, func([]groups.Event) bool {
			e := c.since(n, "B", kind)
			if len(e) > 0 {
				at = e[0].Time()
			}
			return len(e) > 0
		})
		return at
	}
	began := awake(groups.Sleeping)
	c.step("B begins to take its time")
	switch c.client.Poll {
	case groups.PollKeeps:
		awake(groups.Awake)
		c.step("B is done")
		c.flows("A", "B")
		for _, m := range []string{"A", "B"} {
			if e := c.since(n, m, groups.Assigned, groups.Revoked, groups.Lost); len(e) > 0 {
				c.fault("%s was told %s %v though B's heartbeats went on", m, e[0].Kind, e[0].Partitions)
			}
		}
	case groups.PollSilent:
		c.expiry("B fell silent", c.balancedWithoutB().Sub(began))
		awake(groups.Awake)
		c.comesBack(n, had)
	case groups.PollLeaves:
		took := c.balancedWithoutB().Sub(began)
		c.timed(took)
		if took < groups.PollMax-time.Second || took > groups.PollMax+2500*time.Millisecond {
			c.fault("A owned everything %s after B began to take its time; max.poll.interval.ms is %s", took, groups.PollMax)
		}
		awake(groups.Awake)
		c.comesBack(n, had)
	}
	c.finish()
}

func static(c *cell) {
	c.session = 20 * time.Second
	c.pair(true)
	generation := c.generation()
	// The leader last, and timed: an old client does not know that it leads, a new one is told to skip the assignment.
	for _, name := range []string{"B", "A"} {
		other := map[string]string{"A": "B", "B": "A"}[name]
		n, had := len(c.events()), ownedBy(c.events(), name)
		c.stop(name)
		began := time.Now()
		c.member(name, "instance-"+name)
		done := c.balanced("A", "B")
		c.timed(done.Sub(c.firstJoin(name, began)))
		c.flows("A", "B")
		if got := ownedBy(c.events(), name); !slices.Equal(got, had) {
			c.fault("%s came back to %v, it had %v", name, got, had)
		}
		if e := c.since(n, other, groups.Assigned, groups.Revoked, groups.Lost); len(e) > 0 {
			c.fault("%s was told %s %v while %s restarted", other, e[0].Kind, e[0].Partitions, name)
		}
	}
	if got := c.generation(); got != generation {
		c.fault("generation %d became %d by restarts of static members", generation, got)
	}
	c.finish()
}

// generation is the newest that any member was told.
func (c *cell) generation() (g int32) {
	c.Helper()
	for _, x := range c.exchanges() {
		if r, ok := x.Response.(*kmsg.JoinGroupResponse); ok {
			g = max(g, r.Generation)
		}
	}
	return g
}

func grown(c *cell) {
	c.pair(false)
	n := len(c.events())
	ctx, cancel := context.WithTimeout(c.Context(), patience)
	defer cancel()
	c.partitions += 2
	c.step("the topic gets %d partitions", c.partitions)
	began := time.Now()
	if _, err := c.admin.UpdatePartitions(ctx, c.partitions, c.topic); err != nil {
		c.die("add partitions: %v", err)
	}
	for { // a new client is to know them all
		topics, err := c.admin.ListTopics(ctx, c.topic)
		if err == nil && len(topics[c.topic].Partitions) == c.partitions {
			break
		}
		if ctx.Err() != nil {
			c.die("the new partitions are not there: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := c.writer.Grow(c.partitions); err != nil {
		c.die("%v", err)
	}
	done := c.balanced("A", "B")
	c.timed(done.Sub(began))
	c.flows("A", "B")
	for _, m := range []string{"A", "B"} {
		if e := c.since(n, m, groups.Revoked, groups.Lost); c.client.Cooperative && len(e) > 0 {
			c.fault("%s lost %v though it is cooperative and there is only more to own", m, e[0].Partitions)
		}
	}
	c.finish()
}

func restart(c *cell) {
	c.member("A", "")
	c.balanced("A")
	c.flows("A")
	b := c.member("B", "")
	// As soon as B's JoinGroup waits for A to join again: the first one that is not answered at once.
	deadline := time.After(patience)
	for waits := false; !waits; {
		changed := b.Tap.Changed()
		log, err := b.Tap.Log()
		if err != nil {
			c.die("%v", err)
		}
		for _, x := range log {
			if r, ok := x.Request.(*kmsg.JoinGroupRequest); ok && x.Response == nil && (r.MemberID != "" || r.Version < 4) {
				waits = true
			}
		}
		if !waits {
			select {
			case <-changed:
			case <-deadline:
				c.die("B never asked to join\n%s", c.story(c.events()))
			}
		}
	}
	c.broker.Kill()
	c.step("the broker is killed")
	ctx, cancel := context.WithTimeout(c.Context(), 2*time.Minute)
	defer cancel()
	if err := c.broker.Restart(ctx); err != nil {
		c.die("%v", err)
	}
	began := time.Now()
	c.step("the broker is ready")
	if done := c.balanced("A", "B"); done.After(began) {
		c.timed(done.Sub(began))
	}
	c.flows("A", "B")
	// Once more in peace, and asked to: who does not take the end of a connection for the end of the membership keeps all it has.
	n := len(c.events())
	c.step("the broker is asked to stop")
	stopped := time.Now()
	if err := c.broker.Stop(); err != nil {
		c.die("%v", err)
	}
	if err := c.broker.Restart(ctx); err != nil {
		c.die("%v", err)
	}
	away := time.Since(stopped)
	c.step("the broker is ready")
	c.balanced("A", "B")
	c.flows("A", "B")
	for _, m := range []string{"A", "B"} {
		if e := c.since(n, m, groups.Assigned, groups.Revoked, groups.Lost); len(e) > 0 && c.client.Steady && away < groups.Session/2 {
			c.fault("%s was told %s %v after a planned restart of %s", m, e[0].Kind, e[0].Partitions, away)
		}
	}
	c.finish()
}
