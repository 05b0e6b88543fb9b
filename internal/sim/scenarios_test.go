package sim

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/scenarios"
)

// What the scenarios are expected to say, worked out on paper: d, the delay of the network, and everything else that is small are 0 here.
// h is heartbeat.interval.ms, J how long a join phase waits: until the last member has heard of it (at its next heartbeat) and has come back
// from its work. After a join phase the heartbeats of Java clients are in step, since they start over with its end; librdkafka keeps its own
// beat, so its members are out of step. The first is called locked below, the second independent.

// seeds is how many runs a mean is taken over: SIM_SEEDS, or n. Long runs ask for 1,000.
func seeds(n int) int {
	if v, err := strconv.Atoi(os.Getenv("SIM_SEEDS")); err == nil && v > 0 {
		return v
	}
	if testing.Short() {
		return max(1, n/10)
	}
	return n
}

// ideal takes away what the closed forms leave out.
var ideal = []string{"latency", "0s", "append.time", "0s", "retry.backoff.ms", "0"}

func ideally(set ...string) []string { return append(append([]string(nil), ideal...), set...) }

// sample is the results of several seeds.
type sample []*Result

func sampled(t *testing.T, sc *Scenario, n int) (out sample) {
	t.Helper()
	for s := range n {
		out = append(out, run(t, sc, uint64(s+1)))
	}
	return out
}

// mean holds the mean of a metric against what is expected: within 2% over 1,000 runs; over fewer, within four standard errors more.
func (s sample) mean(t *testing.T, key string, want float64) {
	t.Helper()
	var values []float64
	for _, r := range s {
		values = append(values, metric(t, r, key))
	}
	st := Statistics(values)
	allowed := 0.02 * want
	if n := len(values); n < 1000 {
		allowed += 4 * max(st.Deviation, 0.1*want) / math.Sqrt(float64(n))
	}
	if math.Abs(st.Mean-want) > allowed {
		t.Errorf("%s: mean %.4g of %d runs, want %.4g +- %.2g", key, st.Mean, len(values), want, allowed)
	}
}

// always holds each run against a value.
func (s sample) always(t *testing.T, key string, want float64) {
	t.Helper()
	for _, r := range s {
		if got := metric(t, r, key); got != want {
			t.Errorf("%s: %v with seed %d, want %v", key, got, r.Seed, want)
			return
		}
	}
}

// within holds each run against bounds.
func (s sample) within(t *testing.T, key string, least, most float64) {
	t.Helper()
	for _, r := range s {
		if got := metric(t, r, key); got < least || got > most {
			t.Errorf("%s: %v with seed %d, want %v to %v", key, got, r.Seed, least, most)
			return
		}
	}
}

func metric(t *testing.T, r *Result, key string) float64 {
	t.Helper()
	for _, m := range Metrics() {
		if m.Key == key {
			return m.Of(r)
		}
	}
	t.Fatalf("there is no metric %s", key)
	return 0
}

func TestEveryScenarioKeepsTheRulesInEveryVariant(t *testing.T) {
	for _, name := range scenarios.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sc := scenario(t, name)
			if sc.Name != name || len(sc.About) < 40 {
				t.Errorf("the file %s calls itself %q and says %q", name, sc.Name, sc.About)
			}
			if name == "rolling-deploy" && testing.Short() {
				t.Skip("long")
			}
			for _, v := range sc.Variants() {
				with, err := sc.With(v.Set...)
				if err != nil {
					t.Fatal(err)
				}
				r := run(t, with, 1)
				if r.Rebalances == 0 && r.Records == 0 {
					t.Errorf("%s: nothing happened", v.Name)
				}
				if r.Moved < r.MovedMin {
					t.Errorf("%s: %d moved, and %d are said to be the fewest possible", v.Name, r.Moved, r.MovedMin)
				}
			}
		})
	}
}

// One of three members of a group with 12 partitions leaves, and is back ten seconds later.
func TestConsumerRestart(t *testing.T) {
	const h = 3.0
	uniform := func(n float64) float64 { return h * n / (n + 1) } // the mean of the last of n heartbeats
	for _, c := range []struct {
		assignor, client string
		rebalances       float64
		paused           float64
	}{
		// Locked: the 4 orphans wait h/2, nobody else waits for anybody.
		{"sticky", "java", 2, 4 * h / 2},
		{"range", "java", 2, 4 * h / 2},
		{"roundrobin", "java", 2, 4 * h / 2},
		// Cooperative: the same, and the 4 that come back wait for a second round, which waits for the newcomer: h after the first.
		{"cooperative-sticky", "java", 3, 4*h/2 + 4*h},
		// Independent: the two that stay wait for each other with what they have, leaving and joining; the orphans wait for both.
		{"sticky", "librdkafka", 2, 8*(uniform(2)-h/2) + 4*uniform(2) + 12*(uniform(2)-h/2)},
		{"range", "librdkafka", 2, 8*(uniform(2)-h/2) + 4*uniform(2) + 12*(uniform(2)-h/2)},
		// The newcomer keeps its own beat too, so the second round waits h/2 for it.
		{"cooperative-sticky", "librdkafka", 3, 4*uniform(2) + 4*h/2},
	} {
		t.Run(c.assignor+" "+c.client, func(t *testing.T) {
			t.Parallel()
			n := seeds(50)
			if c.client == "librdkafka" && n >= 1000 {
				n *= 5 // each member has a phase of its own, and their mean is slow to come
			}
			s := sampled(t, scenario(t, "consumer-restart", ideally("partition.assignment.strategy", c.assignor, "client", c.client)...), n)
			s.always(t, "rebalances", c.rebalances)
			s.always(t, "moved_min", 4)
			s.always(t, "orphans_placed", 4)
			s.always(t, "duplicates", 0)
			s.mean(t, "paused_partition_seconds", c.paused)
			// What is paused is not processed: 100 records a second.
			s.mean(t, "records_delayed", 100*c.paused)
		})
	}
	t.Run("which one is restarted", func(t *testing.T) {
		// Range moves 8, 4 or 8 partitions of members that stay, round robin 12, sticky 4.
		for assignor, want := range map[string][3]float64{"range": {8, 4, 8}, "roundrobin": {12, 12, 12}, "sticky": {4, 4, 4}, "cooperative-sticky": {4, 4, 4}} {
			for i, moved := range want {
				s := sampled(t, scenario(t, "consumer-restart", ideally("partition.assignment.strategy", assignor, "events.1.member", fmt.Sprint("c", i+1))...), 2)
				s.always(t, "moved", moved)
			}
		}
	})
	t.Run("heartbeats that are held", func(t *testing.T) {
		// Told at once, nobody waits for a heartbeat; only a commit of a member leaves it without a held one until its next.
		notice := ideally("group.prompt.notice.enable", "true", "auto.commit.interval.ms", "600000", "partition.assignment.strategy", "sticky")
		s := sampled(t, scenario(t, "consumer-restart", notice...), seeds(20))
		s.always(t, "rebalances", 2)
		s.within(t, "paused_partition_seconds", 0, 0.01)
		s = sampled(t, scenario(t, "consumer-restart", append(notice, "auto.commit.interval.ms", "5000")...), seeds(50))
		s.within(t, "paused_partition_seconds", 0, 12*h*2)
		late := 0
		for _, r := range s {
			if r.Paused > time.Second {
				late++
			}
		}
		if late == 0 || late > len(s)*2/3 {
			t.Errorf("%d of %d were late, though a commit every 5 s leaves about a third of the time uncovered", late, len(s))
		}
		// The one that comes back has no heartbeat under way when the second round begins: it hears of it from the answer to its SyncGroup,
		// which is held. Without that it would wait h, and the four that are to move with it.
		s = sampled(t, scenario(t, "consumer-restart", append(notice, "auto.commit.interval.ms", "600000", "partition.assignment.strategy", "cooperative-sticky")...), seeds(20))
		s.always(t, "rebalances", 3)
		s.within(t, "paused_partition_seconds", 0, 0.01)
		s.within(t, "settle_max_seconds", 0, 0.01)
	})
	t.Run("static", func(t *testing.T) {
		s := sampled(t, scenario(t, "consumer-restart", ideally("static", "true")...), seeds(20))
		s.always(t, "rebalances", 0)
		s.always(t, "moved", 0)
		s.always(t, "orphans_placed", 0)
		s.always(t, "paused_partition_seconds", 40) // its own 4, for as long as it is away
		// None waits for the work on another.
		s = sampled(t, scenario(t, "consumer-restart", ideally("static", "true", "processing.time", "1us")...), seeds(20))
		s.always(t, "lag_peak", 1000)
	})
	t.Run("work in batches of ten seconds", func(t *testing.T) {
		t.Parallel()
		// b, what is left of a batch, is uniform on 0 to B for each of the two that stay. The restart takes long enough here not to fall into
		// the join phase of the leave.
		const b = 10.0
		last := b * 2 / 3 // the mean of the larger of two
		s := sampled(t, scenario(t, "consumer-restart", ideally("partition.assignment.strategy", "sticky", "flush.every", "10s", "events.1.down", "20s", "duration", "2m")...), seeds(50))
		s.always(t, "rebalances", 2)
		s.mean(t, "paused_partition_seconds", 8*(last-b/2)+4*(h/2+last)+12*(last-b/2))
		s = sampled(t, scenario(t, "consumer-restart", ideally("static", "true", "flush.every", "10s", "duration", "2m")...), seeds(20))
		s.always(t, "paused_partition_seconds", 40)
	})
}

// A hundred members with a thousand partitions, one after another.
func TestRollingDeploy(t *testing.T) {
	const h, n = 3.0, 100.0
	last := h * (n - 1) / n // the mean of the last of 99 heartbeats
	for _, c := range []struct {
		name              string
		set               []string
		rebalances, moved float64
		paused            float64
		within            float64 // of paused, for so few runs
	}{
		{"sticky", []string{"partition.assignment.strategy", "sticky"}, 200, 1000, 1000 * h / 2, 0.15},
		{"range", []string{"partition.assignment.strategy", "range"}, 200, rollingMoves(rangeOwner), 1000 * h / 2, 0.15},
		{"roundrobin", []string{"partition.assignment.strategy", "roundrobin"}, 200, rollingMoves(roundRobinOwner), 1000 * h / 2, 0.15},
		{"cooperative", []string{"partition.assignment.strategy", "cooperative-sticky"}, 300, 1000, 1000*h/2 + 1000*h, 0.05},
		{"sticky, out of step", []string{"partition.assignment.strategy", "sticky", "client", "librdkafka"}, 200, 1000, n * (990*(last-h/2) + 10*last + 1000*(last-h/2)), 0.03},
		{"sticky, batches of 10 s", []string{"partition.assignment.strategy", "sticky", "flush.every", "10s", "events.1.down", "20s", "events.1.pause", "30s", "events.1.jitter", "10s", "duration", "150m"},
			200, 1000, n * (990*(9.9-5) + 10*(h/2+9.9) + 1000*(9.9-5)), 0.03},
		{"static", []string{"static", "true"}, 0, 0, n * 10 * 10, 0},
		{"static, 2 s", []string{"static", "true", "events.1.down", "2s"}, 0, 0, n * 10 * 2, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && c.name != "cooperative" {
				t.Skip("long")
			}
			s := sampled(t, scenario(t, "rolling-deploy", ideally(c.set...)...), max(1, seeds(1)/50))
			s.always(t, "rebalances", c.rebalances)
			s.always(t, "moved", c.moved)
			s.always(t, "orphans_placed", map[bool]float64{true: 1000}[c.rebalances > 0])
			s.always(t, "moved_min", map[bool]float64{true: 1000}[c.rebalances > 0])
			s.always(t, "duplicates", 0)
			s.within(t, "paused_partition_seconds", c.paused*(1-c.within), c.paused*(1+c.within))
		})
	}
	t.Run("gone for less than a join phase", func(t *testing.T) {
		// The newcomer is there before the join phase of the leave ends, and one rebalance is enough.
		small := []string{"members.count", "10", "topics.partitions", "100", "duration", "10m", "partition.assignment.strategy", "sticky"}
		s := sampled(t, scenario(t, "rolling-deploy", ideally(append(small, "events.1.down", "0s")...)...), 3)
		s.always(t, "rebalances", 10)
		s = sampled(t, scenario(t, "rolling-deploy", ideally(append(small, "events.1.down", "3001ms")...)...), 3)
		s.always(t, "rebalances", 20)
	})
}

// rollingMoves counts what moves between members that stay while each of a hundred, in their order, goes and comes back: by an assignor that
// has no memory, written down here a second time.
func rollingMoves(owner func(partition, members int) int) float64 {
	const members, partitions = 100, 1000
	moves := 0
	for gone := range members {
		for p := range partitions {
			before := owner(p, members)
			without := owner(p, members-1)
			if without >= gone {
				without++ // by the number it has when all are there
			}
			if before != gone && without != before {
				moves++ // when it goes
			}
			if without != before {
				moves++ // when it comes back
			}
		}
	}
	return float64(moves)
}

func rangeOwner(p, members int) int {
	q, r := 1000/members, 1000%members
	if p < r*(q+1) {
		return p / (q + 1)
	}
	return r + (p-r*(q+1))/q
}

func roundRobinOwner(p, members int) int { return p % members }

// The way to the coordinator is held up for one of three members.
func TestNetworkHold(t *testing.T) {
	set := ideally("commit", "batch", "partition.assignment.strategy", "sticky")
	t.Run("within the session", func(t *testing.T) {
		s := sampled(t, scenario(t, "network-hold", append(set, "events.1.for", "40s")...), seeds(20))
		s.always(t, "rebalances", 0)
		s.always(t, "duplicates", 0)
		s.always(t, "paused_partition_seconds", 0)
	})
	for assignor, rebalances := range map[string]float64{"sticky": 2, "cooperative-sticky": 3} {
		t.Run("beyond it, "+assignor, func(t *testing.T) {
			s := sampled(t, scenario(t, "network-hold", append(set, "partition.assignment.strategy", assignor)...), seeds(20))
			s.always(t, "rebalances", rebalances)
			s.always(t, "evicted", 1)
			// Out of 60 s of work nothing could be committed, of 4 partitions at 100 a second; and the last commit is up to a second older.
			s.within(t, "duplicates", 4*6000, 4*6100)
			// It was heard of last up to 3 s before, is put out 45 s later, and knows at 60 s.
			s.within(t, "fenced_partition_seconds", 4*(60-45), 4*(60-42))
		})
	}
	t.Run("jitter below the session", func(t *testing.T) {
		s := sampled(t, scenario(t, "network-hold", "jitter", "20s", "events.1.for", "1s"), seeds(10))
		s.always(t, "evicted", 0)
		s.always(t, "rebalances", 0)
	})
	t.Run("jitter far beyond it", func(t *testing.T) {
		s := sampled(t, scenario(t, "network-hold", "jitter", "100s", "events.1.for", "1s"), 10)
		put := 0.0
		for _, r := range s {
			put += float64(r.Evicted)
		}
		if put == 0 {
			t.Error("messages that take up to 100 s, and a session of 45 s: somebody must be put out")
		}
	})
}

// A topic grows from 12 to 15 partitions.
func TestPartitionGrowth(t *testing.T) {
	// The leader learns of it, and gives up its 4 first: they wait for the heartbeats of both others, whose 8 wait for each other. (The clients
	// here keep their own beat. The age of the metadata is a multiple of Java's heartbeat interval, so in a perfect world its leader would always
	// find the others just past theirs.)
	const last = 2.0 // the mean of the later of two heartbeats
	eager := 4*last + 8*(last-1.5)
	for assignor, c := range map[string]struct{ moved, own float64 }{
		"range": {3, eager}, "roundrobin": {0, eager}, "sticky": {0, eager}, "cooperative-sticky": {0, 0},
	} {
		t.Run(assignor, func(t *testing.T) {
			t.Parallel()
			var own, found []float64
			for s := range seeds(50) {
				sc := scenario(t, "partition-growth", ideally("partition.assignment.strategy", assignor, "client", "librdkafka")...)
				w, r := runWorld(t, sc, uint64(s+1))
				if r.Rebalances != 1 || float64(r.Moved) != c.moved || r.MovedMin != 0 || r.LoadMin != 5 || r.LoadMax != 5 {
					t.Fatalf("seed %d: %+v", s+1, r)
				}
				old := time.Duration(0)
				for _, p := range w.parts[:12] {
					old += p.spent[nobody]
				}
				own = append(own, old.Seconds())
				found = append(found, w.parts[12].spent[nobody].Seconds())
			}
			near(t, "paused of the old ones", own, c.own)
			near(t, "time until the new ones are read", found, 150+last) // the age of the metadata is uniform on 0 to 300 s
		})
	}
}

// runWorld is run, with what is inside.
func runWorld(t *testing.T, sc *Scenario, seed uint64) (*world, *Result) {
	t.Helper()
	w := newWorld(sc, Options{Seed: seed})
	w.loop()
	if w.err != nil {
		t.Fatal(w.err)
	}
	return w, w.result()
}

func near(t *testing.T, what string, values []float64, want float64) {
	t.Helper()
	s := Statistics(values)
	if math.Abs(s.Mean-want) > 0.02*want+4*s.Deviation/math.Sqrt(float64(len(values)))+1e-9 {
		t.Errorf("%s: mean %.4g of %d runs, want %.4g", what, s.Mean, len(values), want)
	}
}

// Work that takes longer than the poll interval.
func TestSlowProcessing(t *testing.T) {
	r := run(t, scenario(t, "slow-processing", ideally()...), 1)
	// Attempts at the one record begin at 0, 300, 600 s and so on, each is finished 600 s later and in vain.
	if r.Records < 10 || r.Records > 11 || r.Duplicates != r.Records-1 || r.Committed != 0 || r.Evicted != 0 {
		t.Errorf("an hour of attempts that take 600 s and begin every 300: %+v", r)
	}
	for _, c := range []struct {
		name                   string
		set                    []string
		records, dup, commited float64
	}{
		// Two attempts of 500 records every 753 s: 300 s until the first is put out, 300 s more until the second is, and 3 s of the initial delay
		// after the first is back at 750.
		{"500 a poll", []string{"max.poll.records", "500"}, 1000 * 7200 / 753., 0, 0},
		// Each attempt keeps what it had committed by 300 s: 200 records; the other 300 are done again.
		{"commit each", []string{"max.poll.records", "500", "commit", "record"}, 1000 * 7200 / 753., -1, 400 * 7200 / 753.},
	} {
		r := run(t, scenario(t, "slow-batches", ideally(c.set...)...), 1)
		if math.Abs(float64(r.Records)-c.records) > 500 || math.Abs(float64(r.Committed)-c.commited) > 200 {
			t.Errorf("%s: %d records, %d committed; want about %.0f and %.0f", c.name, r.Records, r.Committed, c.records, c.commited)
		}
	}
	// An application that stops when its commit is refused does one record twice for each time it is put out.
	r = run(t, scenario(t, "slow-batches", ideally("commit", "record", "on.commit.failure", "stop")...), 1)
	if r.Duplicates > r.Rebalances || r.Duplicates == 0 {
		t.Errorf("%d duplicates in %d rebalances", r.Duplicates, r.Rebalances)
	}
	// A static member does not say that it goes: its heartbeats end at 300 s, the last of them up to h before, and its session 45 s later.
	out := time.Duration(0)
	_, err := Run(scenario(t, "slow-batches", ideally("static", "true")...), Options{Seed: 1, Notes: func(n Note) {
		if _, ok := n.Note.(coord.MemberRemoved); ok && out == 0 {
			out = n.At
		}
	}})
	if err != nil || out < 342*time.Second || out > 345*time.Second {
		t.Errorf("the first static member is out at %v (%v), want 342 s to 345 s", out, err)
	}
	// 199 records take 298.5 s, and nobody is put out.
	for _, n := range []string{"199", "100"} {
		r := run(t, scenario(t, "slow-batches", ideally("max.poll.records", n)...), 1)
		if r.Rebalances != 0 || r.Duplicates != 0 || r.Records != 4800 {
			t.Errorf("%s a poll: %+v", n, r)
		}
	}
	if r := run(t, scenario(t, "slow-batches", ideally("max.poll.records", "201")...), 1); r.Rebalances == 0 {
		t.Error("201 records take 301.5 s, and nobody was put out")
	}
}

// Six members, three partitions.
func TestMoreConsumersThanPartitions(t *testing.T) {
	for assignor, eager := range map[string]bool{"range": true, "sticky": true, "cooperative-sticky": false} {
		s := sampled(t, scenario(t, "more-consumers-than-partitions", ideally("partition.assignment.strategy", assignor, "client", "librdkafka")...), seeds(20))
		s.always(t, "rebalances", 2) // the seventh comes; it is put out 45 s after it died
		s.always(t, "moved", 0)
		s.always(t, "load_max", 1)
		s.always(t, "load_min", 0)
		if eager {
			s.within(t, "pause_max_seconds", 0.05, 3)
		} else {
			s.always(t, "paused_partition_seconds", 0)
		}
	}
	// A newcomer whose id sorts first takes the first partition of range, and everybody moves up.
	r := run(t, scenario(t, "more-consumers-than-partitions", ideally("partition.assignment.strategy", "range", "members.2.name", "a", "events.1.member", "a", "events.2.member", "c6")...), 1)
	if r.Moved != 3 {
		t.Errorf("range moves %d, want 3", r.Moved)
	}
}

// The second of two members dies between giving up and joining again.
func TestCrashInMigration(t *testing.T) {
	s := sampled(t, scenario(t, "crash-in-migration", ideally("partition.assignment.strategy", "sticky", "duration", "2m")...), seeds(20))
	s.within(t, "paused_partition_seconds", 8*45-4*3, 8*45) // all wait for its session; what the first one gave up waits up to a heartbeat less
	s.always(t, "evicted", 1)
	s = sampled(t, scenario(t, "crash-in-migration", ideally("partition.assignment.strategy", "cooperative-sticky", "duration", "2m")...), seeds(20))
	s.always(t, "paused_partition_seconds", 5*45) // the two that were to move, and the three that it had kept
	s.always(t, "pause_max_seconds", 45)
	s.within(t, "duplicates", 0, 3*500)
	s.within(t, "moved", 0, 1)
	s.always(t, "moved_min", 0) // what the second one had given up need not move any more: it is gone
	s.always(t, "load_max", 4)
}

// The same, but it dies when it has joined again: the second round ends without it.
func TestCrashAfterJoiningAgain(t *testing.T) {
	sc := scenario(t, "crash-in-migration", ideally("partition.assignment.strategy", "cooperative-sticky", "events.2.when", "c2 joins")...)
	first := sc.Events[1] // waits for its first JoinGroup, and does nothing
	first.Do, first.Factor, first.For = "slow", 1, Span(time.Millisecond)
	sc.Events = []Event{sc.Events[0], first, sc.Events[1]}
	led, s := 0, sampled(t, sc, seeds(20))
	for _, r := range s {
		// The second round waits h for the newcomer, and its end gives the dead one a session more.
		const gone = 3*time.Second + 45*time.Second
		want := 3*gone + 2*3*time.Second // the three it kept; the two that were to move are with the newcomer after h
		if r.Moved < 2 {                 // it was the leader, and nobody gets a plan
			want = 5 * gone
			led++
		}
		if r.Rebalances != 3 || r.Evicted != 1 || r.Paused != want || r.PauseMax != gone || r.Moved < r.MovedMin {
			t.Errorf("seed %d: paused %v, want %v: %+v", r.Seed, r.Paused, want, r)
		}
	}
	if n := len(s); n >= 20 && (led == 0 || led == n) {
		t.Errorf("it was the leader in %d of %d runs, which is to be a matter of luck", led, n)
	}
}

// Two consumers, ten partitions, 1.5 s a record.
func TestFansPush(t *testing.T) {
	cured := []string{"max.poll.records", "10", "session.timeout.ms", "30000", "heartbeat.interval.ms", "10000"}
	for _, client := range []string{"poll-heartbeat", "java"} {
		r := run(t, scenario(t, "fans-push", "client", client), 1)
		if r.Committed != 0 || r.Duplicates < 3000 || r.Inversions == 0 {
			t.Errorf("%s, before: %+v", client, r)
		}
		if client == "poll-heartbeat" && r.Evicted != 10 { // both, at 0, 753, 1506, 2259 and 3012 s
			t.Errorf("%d members were put out", r.Evicted)
		}
		r = run(t, scenario(t, "fans-push", append([]string{"client", client}, cured...)...), 1)
		if r.Rebalances != 0 || r.Duplicates != 0 || r.Inversions != 0 || r.Committed < 4700 {
			t.Errorf("%s, after: %+v", client, r)
		}
	}
}

// One process with four consumers, or four with one.
func TestThreadsVersusProcesses(t *testing.T) {
	together := run(t, scenario(t, "threads-vs-processes", ideally("members.count", "1", "members.consumers", "4")...), 1)
	apart := run(t, scenario(t, "threads-vs-processes", ideally("members.count", "4", "members.consumers", "1")...), 1)
	if together.AllStopped < 35*time.Second || apart.AllStopped != 0 {
		t.Errorf("nothing was read for %v and %v", together.AllStopped, apart.AllStopped)
	}
	// The group is not at rest while the only process is away for a restart.
	if together.LongestSettle < together.PauseMax {
		t.Errorf("stable again after %v, though a pause took %v", together.LongestSettle, together.PauseMax)
	}
	// The crash: 12 partitions stand still until the old sessions end, up to 45 s, or 3 do; the pause of 20 s and the restart of 10 s likewise.
	if together.Evicted != 4 || apart.Evicted != 1 || together.Paused < 4*apart.Paused {
		t.Errorf("%d and %d put out, paused %v and %v", together.Evicted, apart.Evicted, together.Paused, apart.Paused)
	}
}

// Three members start on a(4) and b(4).
func TestFirstAssignment(t *testing.T) {
	for assignor, loads := range map[string][2]int64{"range": {2, 4}, "roundrobin": {2, 3}, "sticky": {2, 3}, "cooperative-sticky": {2, 3}} {
		r := run(t, scenario(t, "first-assignment", "partition.assignment.strategy", assignor), 1)
		if r.LoadMin != loads[0] || r.LoadMax != loads[1] || r.Rebalances != 1 || r.Moved != 0 {
			t.Errorf("%s: %d to %d, %d rebalances", assignor, r.LoadMin, r.LoadMax, r.Rebalances)
		}
		// They start at 1 s, and the group waits twice as long as group.initial.rebalance.delay.ms, since they do not come at once: until then
		// nothing is read.
		if r.AllStopped != r.PauseMax || r.AllStopped < 7*time.Second || r.AllStopped > 7100*time.Millisecond {
			t.Errorf("%s: nothing was read for %v, the longest pause is %v", assignor, r.AllStopped, r.PauseMax)
		}
	}
}

// Ten members are started one by one.
func TestGrowingFleet(t *testing.T) {
	moves := int64(0)
	for n := int64(2); n <= 10; n++ {
		moves += 60 / n // the newcomer's share, and no more
	}
	for assignor, rebalances := range map[string]int64{"sticky": 10, "cooperative-sticky": 19} {
		r := run(t, scenario(t, "growing-fleet", "partition.assignment.strategy", assignor), 1)
		if r.Moved != moves || r.MovedMin != moves || r.Rebalances != rebalances || r.LoadMin != 6 || r.LoadMax != 6 {
			t.Errorf("%s: moved %d (%d), want %d; %d rebalances, want %d", assignor, r.Moved, r.MovedMin, moves, r.Rebalances, rebalances)
		}
	}
	for _, assignor := range []string{"range", "roundrobin"} {
		if r := run(t, scenario(t, "growing-fleet", "partition.assignment.strategy", assignor), 1); r.Moved <= moves || r.MovedMin != moves {
			t.Errorf("%s: moved %d (%d)", assignor, r.Moved, r.MovedMin)
		}
	}
}
