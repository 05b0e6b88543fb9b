package sim

import (
	"fmt"
	"testing"
	"time"
)

// What becomes of a member that is not heard for a while: nothing passes, it stands still itself, or its heartbeats alone are held. (The way to
// the coordinator alone is TestNetworkHold's.) Each of the 12 partitions gets 100 records a second, and 4 are the member's.

// The way to the records is cut too, or the process stands still: it has little to do again, and nobody reads until another takes over.
func TestNothingPasses(t *testing.T) {
	const h, session, away = 3, 45, 60
	for name, cut := range map[string][]string{"cut": {"events.1.path", "all"}, "pause": {"events.1.do", "pause"}} {
		for _, assignor := range []string{"sticky", "cooperative-sticky"} {
			t.Run(name+" "+assignor, func(t *testing.T) {
				t.Parallel()
				set := ideally(append([]string{"commit", "batch", "partition.assignment.strategy", assignor}, cut...)...)
				s := sampled(t, scenario(t, "network-hold", set...), seeds(20))
				s.always(t, "rebalances", map[string]float64{"sticky": 2, "cooperative-sticky": 3}[assignor])
				s.always(t, "evicted", 1)
				s.always(t, "orphans_placed", 4)
				s.always(t, "moved", 4)
				// What it had done since its last commit, up to a second; and, back again, one poll of 500 before it hears that it is out.
				s.within(t, "duplicates", 500, 4*100+500)
				s.within(t, "fenced_partition_seconds", 4*0.5-0.001, 4*0.5+0.001)
				// A commit counts as a heartbeat: it was heard of up to a second before. Then its partitions wait for the others' next heartbeat.
				s.within(t, "pause_max_seconds", session-1, session+h)
				more := 0.0
				if assignor == "cooperative-sticky" {
					more = 4 * h // the second round of its return
				}
				s.mean(t, "paused_partition_seconds", 4*(session-0.5+h/2.)+more)
				s.within(t, "paused_partition_seconds", 4*(session-1)+more, 4*(session+h)+more)

				// Within the session nobody notices, but nobody reads.
				s = sampled(t, scenario(t, "network-hold", append(set, "events.1.for", "44s")...), seeds(20))
				s.always(t, "rebalances", 0)
				s.always(t, "moved", 0)
				s.always(t, "duplicates", 0)
				s.always(t, "paused_partition_seconds", 4*44)
				s.always(t, "fenced_partition_seconds", 0)

				// Static membership is no help: the session ends for everybody.
				s = sampled(t, scenario(t, "network-hold", append(set, "static", "true")...), seeds(5))
				s.always(t, "evicted", 1)
				s.within(t, "pause_max_seconds", session-1, session+h)
			})
		}
	}
}

// A pause within the session costs more when a rebalance begins meanwhile: all that is given up waits for the one that stands still.
func TestAPauseWhileOthersWait(t *testing.T) {
	const h, pause, after = 3, 40, 5 // the newcomer joins so long after the pause has begun
	text := `
members: [{name: c, processing.time: 1ms}, {name: late, count: 1, started: false, processing.time: 1ms}]
events: [{at: 30s, do: pause, member: c1, for: %ds}, {at: %ds, do: start, member: late}]`
	text = fmt.Sprintf(text, pause, 30+after)
	s := sampled(t, parse(t, text, ideally("partition.assignment.strategy", "sticky")...), seeds(20))
	s.always(t, "rebalances", 1)
	s.always(t, "evicted", 0)
	s.always(t, "duplicates", 0)
	// The others hear of it within h, and have nothing from then on until it is back, and has done one poll of 500 if that came first.
	s.within(t, "paused_partition_seconds", 4*pause+8*(pause-after-h), 4*pause+8*(pause-after+0.5))
	s.within(t, "all_stopped_seconds", pause-after-h, pause-after)
	s = sampled(t, parse(t, text, ideally("partition.assignment.strategy", "cooperative-sticky")...), seeds(20))
	s.always(t, "evicted", 0)
	s.always(t, "all_stopped_seconds", 0)
	s.within(t, "paused_partition_seconds", 4*pause, 4*pause+3*h) // its own, and the newcomer's three for a second round
}

// Only heartbeats are held. Commits pass, and each counts as a heartbeat.
func TestHeartbeatsAreHeld(t *testing.T) {
	set := ideally("events.1.requests", "heartbeats", "partition.assignment.strategy", "sticky")
	for _, mode := range []string{"hold", "drop"} {
		s := sampled(t, scenario(t, "network-hold", append(set, "events.1.mode", mode, "events.1.for", "2m")...), seeds(10))
		s.always(t, "rebalances", 0)
		s.always(t, "duplicates", 0)
		s.always(t, "paused_partition_seconds", 0)
	}
	// With 50 s between commits, and a session of 45 s, it may be put out; its next commit, not the end of the cut, tells it so. The session began
	// again with the last commit, or with the last heartbeat, up to 3 s before the cut.
	s := sampled(t, scenario(t, "network-hold", append(set, "auto.commit.interval.ms", "50000")...), seeds(20))
	s.within(t, "fenced_partition_seconds", 0, 4*(50-42+0.5))
	s.within(t, "evicted", 0, 1)
	out := 0
	for _, r := range s {
		if r.Evicted == 1 {
			out++
			if r.Fenced > 4*8500*time.Millisecond || r.Duplicates > 4*100*50+500 || r.Duplicates < 4*100*42 {
				t.Errorf("seed %d: %d duplicates, read without right for %v", r.Seed, r.Duplicates, r.Fenced)
			}
		} else if r.Duplicates != 0 || r.Rebalances != 0 {
			t.Errorf("seed %d: not put out, and %+v", r.Seed, r)
		}
	}
	if n := len(s); n >= 20 && (out == 0 || out == n) {
		t.Errorf("put out in %d of %d runs, which is a matter of when it commits", out, n)
	}
}
