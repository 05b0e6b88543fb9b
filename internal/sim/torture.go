package sim

import (
	"fmt"
	"strings"
	"time"
)

// Torture is a random scenario of a seed: fleets, clients, settings, a network and a timeline, drawn with their rates from the seed too. It has
// a time in which things happen and a time in which nothing does; at the end the group must have found itself again. A run of it holds the
// coordinator against every rule of sim/check.
func Torture(seed uint64) (*Scenario, error) {
	t := &torturer{r: newRandom(seed, "torture")}
	text := t.draw()
	sc, err := Load(fmt.Sprintf("seed %d", seed), []byte(text))
	if err != nil {
		return nil, fmt.Errorf("the random scenario is not a good one: %w\n%s", err, text)
	}
	sc.heals = true
	return sc, nil
}

// torturer draws a scenario and writes its file.
type torturer struct {
	r     random
	b     strings.Builder
	names []string
	// static: some fleet has static members. A topic does not grow then: a static leader that is away meanwhile finds the new partitions in its
	// metadata, takes them for what its plan was made for, as Java's does, and nobody ever reads them.
	static bool
}

func (t *torturer) line(format string, args ...any) { fmt.Fprintf(&t.b, format+"\n", args...) }

func (t *torturer) between(least, most int64) int64 { return least + t.r.below(most-least+1) }

func (t *torturer) pick(words ...string) string { return words[t.r.below(int64(len(words)))] }

func (t *torturer) draw() string {
	const busy = 4 * time.Minute
	topics, partitions := t.between(1, 3), []int64{}
	t.line("name: torture")
	t.line("warmup: 1s")
	t.line("warmup.spread: 10s")
	t.line("topics:")
	for i := range topics {
		n := t.between(1, 12)
		partitions = append(partitions, n)
		t.line("  - {name: t%d, partitions: %d, rate: %d, backlog: %d, keys: %d}", i+1, n, t.between(0, 100), t.r.below(3)*t.between(0, 1000), t.between(1, 50))
	}
	eager := t.pick("range", "roundrobin", "sticky")
	strategy := t.pick("cooperative-sticky", eager, "[sticky, range]")
	slowest := int64(0)
	t.line("members:")
	for f := range t.between(1, 3) {
		slowest = max(slowest, t.fleet(f, topics, strategy))
	}
	t.line("network: {latency: %dms, jitter: %dms, loss: %s}", t.between(0, 20), t.r.below(2)*t.between(0, 500), t.pick("0", "0", "0.01", "0.1"))
	t.line("coordinator: {group.initial.rebalance.delay.ms: %d, append.time: %dms, group.prompt.notice.enable: %v}", t.r.below(2)*t.between(0, 5000), t.between(0, 30), t.r.below(2) == 0)
	t.line("events:")
	grown := false
	for range t.between(2, 15) {
		grown = t.event(busy, partitions[0], grown)
	}
	if t.static {
		// A static member that dies between giving partitions up and joining again comes back to its seat, nobody rebalances, and what it gave up
		// stays without an owner: so it is with the protocol. Its session has to end for the group to heal.
		t.line("  - {at: %v, do: restart, how: crash, member: %s, down: 50s}", busy, t.names[1])
	}
	// What may still be under way at the end of the busy time, with everybody late.
	calm := 2*time.Duration(slowest)*time.Millisecond + 5*time.Minute
	t.line("duration: %v", busy+calm)
	return t.b.String()
}

// fleet draws one fleet; it answers the longest of its timeouts, in milliseconds.
func (t *torturer) fleet(f, topics int64, strategy string) int64 {
	name := string(rune('a' + f))
	count, consumers := t.between(1, 4), int64(1)
	if t.r.below(4) == 0 {
		consumers = t.between(2, 3)
	}
	t.names = append(t.names, name)
	for n := range count {
		t.names = append(t.names, fmt.Sprintf("%s%d", name, n+1))
	}
	client := t.pick("java", "java", "librdkafka", "poll-heartbeat")
	static := client != "poll-heartbeat" && t.r.below(3) == 0
	t.static = t.static || static
	session := t.between(6, 45) * 1000
	limit := t.between(20, 120) * 1000
	records := t.between(1, 500)
	// A batch takes a third of what it may at most, on average: then a slow time of ten times is too slow, and heals.
	most := limit
	if client == "poll-heartbeat" {
		most = session
	}
	pace := min(max(most*1000/records/4, 1), 200_000) // microseconds
	pace = 1 + t.r.below(pace)
	processing := fmt.Sprintf("%dus", pace)
	if t.r.below(3) == 0 {
		processing = fmt.Sprintf("%s(%s)", "exponential", processing)
	}
	t.line("  - name: %s", name)
	t.line("    count: %d", count)
	t.line("    consumers: %d", consumers)
	t.line("    started: %v", f == 0 || t.r.below(4) > 0)
	t.line("    client: %s", client)
	t.line("    static: %v", static)
	if topics > 1 && t.r.below(3) == 0 {
		t.line("    topics: [t1]")
	}
	t.line("    partition.assignment.strategy: %s", strategy)
	t.line("    session.timeout.ms: %d", session)
	t.line("    heartbeat.interval.ms: %d", min(session/3, t.between(200, 5000)))
	t.line("    max.poll.interval.ms: %d", limit)
	t.line("    max.poll.records: %d", records)
	t.line("    processing.time: %s", processing)
	t.line("    metadata.max.age.ms: %d", t.between(5, 60)*1000)
	t.line("    commit: %s", t.pick("auto", "auto", "batch", "record"))
	t.line("    commit.on.revoke: %v", t.r.below(2) == 0)
	t.line("    on.commit.failure: %s", t.pick("ignore", "stop"))
	t.line("    assign.time: %dms", t.r.below(4)*t.between(0, 50))
	return max(session, limit)
}

// event draws one event of the busy time.
func (t *torturer) event(busy time.Duration, partitions int64, grown bool) bool {
	at := t.r.within(busy - 90*time.Second)
	who := t.names[t.r.below(int64(len(t.names)))]
	t.line("  - at: %v", at.Round(time.Millisecond))
	if t.r.below(6) == 0 {
		single := t.names[1] // a process, not a fleet
		t.line("    when: %s %s", single, t.pick("revokes", "joins", "learns"))
	}
	what := t.pick("start", "start", "close", "crash", "restart", "restart", "restart", "rolling", "pause", "cut", "cut", "slow", "add-partitions", "coordinator-restart", "coordinator-restart")
	if what == "add-partitions" && (grown || t.static) {
		what = "restart"
	}
	t.line("    do: %s", what)
	switch what {
	case "add-partitions":
		t.line("    to: %d", partitions+t.between(1, 5))
		return true
	case "coordinator-restart":
		t.line("    down: %v", t.r.within(20*time.Second).Round(time.Millisecond))
		return grown
	}
	t.line("    member: %s", who)
	switch what {
	case "restart", "rolling":
		t.line("    down: %v", t.r.within(15*time.Second).Round(time.Millisecond))
		t.line("    how: %s", t.pick("close", "crash"))
		if pause := t.r.within(10 * time.Second); what == "rolling" {
			t.line("    pause: %v", pause.Round(time.Millisecond))
		}
	case "start":
		t.line("    pause: %v", t.r.within(10*time.Second).Round(time.Millisecond))
	case "pause", "cut", "slow":
		t.line("    for: %v", max(time.Millisecond, t.r.within(80*time.Second).Round(time.Millisecond)))
		path, mode, factor := t.pick("coordinator", "all"), t.pick("hold", "drop"), t.between(2, 10)
		switch what {
		case "cut":
			t.line("    path: %s", path)
			t.line("    mode: %s", mode)
		case "slow":
			t.line("    factor: %d", factor)
		}
	}
	return grown
}
