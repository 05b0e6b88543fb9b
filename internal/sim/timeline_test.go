package sim

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/internal/coord"
)

// What happens to a member while something else happens to it.

// A deploy does not stop at a member that gave up, and brings it back: here the one that found no seat in a group that was full.
func TestADeployGoesPastWhoGaveUp(t *testing.T) {
	sc := parse(t, `
topics: [{partitions: 6}]
members: [{count: 3}]
coordinator: {group.max.size: 2}
events: [{at: 10s, do: rolling, member: c}]
`)
	for seed := range uint64(seeds(10)) {
		w, r := runWorld(t, sc, seed+1)
		gone, gaveUp := 0, 0
		for _, m := range w.members {
			if m.life != 3 { // a life ends, and another begins
				t.Errorf("seed %d: %s has begun or ended a life %d times; want 3, of one deploy", seed+1, m.name, m.life)
			}
		}
		for _, m := range r.Loads {
			if !m.Up {
				gone++
			}
			if m.Gone != "" {
				gaveUp++
			}
		}
		if gone != 0 || gaveUp != 1 {
			t.Errorf("seed %d: %d are down and %d gave up at the end; want none, and one: %+v", seed+1, gone, gaveUp, r.Loads)
		}
	}
}

// A member that is closing has a batch to finish. Whatever ends it meanwhile, or closes it once more, a deploy goes on.
func TestADeployGoesOnWhateverEndsAMember(t *testing.T) {
	for name, other := range map[string]string{
		"it crashes":                     "{at: 12s, do: crash, member: c1}",
		"it is closed":                   "{at: 12s, do: close, member: c1}",
		"it is restarted":                "{at: 12s, do: restart, member: c1, down: 1s}",
		"it crashes and comes back":      "{at: 12s, do: restart, member: c1, how: crash, down: 1s}",
		"all are deployed another time":  "{at: 12s, do: rolling, member: c, pause: 1s}",
		"the coordinator restarts":       "{at: 12s, do: coordinator-restart, down: 5s}",
		"its process stands still first": "{at: 9s, do: pause, member: c1, for: 20s}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sc := parse(t, `
topics: [{partitions: 6}]
members: [{count: 3, processing.time: 100ms, max.poll.records: 70}]
duration: 6m
events: [{at: 10100ms, do: rolling, member: c}, `+other+"]")
			for seed := range uint64(seeds(20)) {
				w, r := runWorld(t, sc, seed+1)
				for i, m := range w.members {
					if m.life < 3 || !r.Loads[i].Up || r.Loads[i].Partitions != 2 {
						t.Errorf("seed %d: %s has begun or ended a life %d times and has %d partitions at the end; want 3, and 2", seed+1, m.name, m.life, r.Loads[i].Partitions)
					}
				}
				if w.pending != 0 || w.down != 0 {
					t.Errorf("seed %d: %d events are still under way %v after the last", seed+1, w.pending, time.Duration(w.now-w.quiet))
				}
			}
		})
	}
}

// What happens to a member a second time, and for less, does not end what happened the first time.
func TestALongerTimeGoesOnThroughAShorter(t *testing.T) {
	for name, event := range map[string]string{
		"pause":                   "do: pause",
		"network cut":             "do: cut, path: all",
		"way to coordinator":      "do: cut",
		"messages lost":           "do: cut, mode: drop",
		"work slow":               "do: slow, factor: 300",
		"cut, and heartbeats too": "do: cut, requests: heartbeats",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			once := parse(t, "duration: 5m\nevents: [{at: 10s, member: c2, for: 100s, "+event+"}]", "processing.time", "2ms", "max.poll.records", "20")
			want := run(t, once, 1)
			short := "{at: 20s, member: c2, for: 5s, " + event + "}"
			got := run(t, parse(t, "duration: 5m\nevents: [{at: 10s, member: c2, for: 100s, "+event+"}, "+short+"]", "processing.time", "2ms", "max.poll.records", "20"), 1)
			if got.Paused != want.Paused || got.Fenced != want.Fenced || got.Evicted != want.Evicted || got.Rebalances != want.Rebalances || got.LagPeak != want.LagPeak {
				t.Errorf("with another of 5 s in it:\n%+v\nwant\n%+v", got, want)
			}
		})
	}
}

// A cut of heartbeats alone in a cut of everything, or the other way round, leaves either as long as it is.
func TestCutsOfTwoKinds(t *testing.T) {
	for _, c := range []struct {
		name, events string
		evicted      float64
	}{
		{"all in heartbeats", "{at: 10s, do: cut, member: c2, requests: heartbeats, for: 100s}, {at: 20s, do: cut, member: c2, for: 50ms}", 1},
		{"heartbeats in all", "{at: 10s, do: cut, member: c2, for: 100s}, {at: 20s, do: cut, member: c2, requests: heartbeats, for: 50ms}", 1},
		{"neither is long", "{at: 10s, do: cut, member: c2, for: 20s}, {at: 20s, do: cut, member: c2, requests: heartbeats, for: 20s}", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			// It does not commit, which would count as a heartbeat.
			s := sampled(t, parse(t, "duration: 5m\ntopics: [{rate: 0}]\nmembers: [{auto.commit.interval.ms: 600000, session.timeout.ms: 40000}]\nevents: ["+c.events+"]"), seeds(5))
			s.always(t, "evicted", c.evicted)
		})
	}
}

// A process that starts while those of its fleet stand still is a new one, and does not.
func TestAPauseIsOfThoseThatAreUp(t *testing.T) {
	sc := parse(t, "events: [{at: 10s, do: restart, member: c2, down: 10s}, {at: 15s, do: pause, member: c2, for: 2m}]")
	s := sampled(t, sc, seeds(5))
	s.within(t, "settle_max_seconds", 0, 10) // two rounds of a rebalance, and not two minutes
}

// An event that waits for what nobody does is told: without a rebalance nobody gives anything up.
func TestAnEventThatNeverCameIsTold(t *testing.T) {
	const text = "events: [{do: crash, member: c1, when: c2 revokes}, {do: add-partitions, when: c1 joins, to: 20}, {at: 10s, do: restart, member: c1, down: 60s}]"
	if r := run(t, parse(t, text, "static", "true"), 1); !slices.Equal(r.Unmet, []string{"c2 revokes"}) {
		t.Errorf("%q", r.Unmet)
	}
	if r := run(t, parse(t, text, "partition.assignment.strategy", "sticky"), 1); len(r.Unmet) != 0 {
		t.Errorf("%q", r.Unmet)
	}
}

// An event draws from a stream of its own: one more before it does not change when it happens.
func TestOneMoreEventShiftsNoOther(t *testing.T) {
	deploy := func(more string) (gone []string) {
		sc := parse(t, "duration: 10m\nmembers: [{name: a}, {name: b}]\nevents: [{at: 10s, do: rolling, member: a, jitter: 30s}"+more+"]")
		_, err := Run(sc, Options{Seed: 1, Notes: func(n Note) {
			if r, ok := n.Note.(coord.MemberRemoved); ok && strings.HasPrefix(r.Member.ID, "a") && n.At > 0 {
				gone = append(gone, n.At.String())
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		return gone
	}
	alone := deploy("")
	if both := deploy(", {at: 15s, do: rolling, member: b, jitter: 30s}"); len(alone) != 3 || !slices.Equal(alone, both) {
		t.Errorf("alone members go at %v, beside another deploy at %v", alone, both)
	}
}

// A process stands still for longer than max.poll.interval.ms, but not for as long as its session: its heartbeat thread wakes up, finds that nobody
// has polled for too long, and leaves the group, as Java's does. Within the interval nothing happens.
func TestAPauseBeyondThePollInterval(t *testing.T) {
	for length, want := range map[string]float64{"30s": 1, "10s": 0} {
		s := sampled(t, parse(t, "duration: 41s\nmembers: [{processing.time: 100ms, max.poll.records: 50, max.poll.interval.ms: 20000}]\nevents: [{at: 10s, do: pause, member: c2, for: "+length+"}]",
			"partition.assignment.strategy", "sticky"), seeds(10))
		for _, r := range s {
			if left := r.Messages[apiLeave].N; left != int64(want) {
				t.Errorf("%s, seed %d: %d left the group, want %v", length, r.Seed, left, want)
			}
		}
	}
}
