package sim

import "testing"

// The peak of a partition's lag, also where somebody reads it all the time.

// A record every 10 ms, and for 30 s each takes 100 ms: nine of ten stay, and are worked off later at a thousand a second.
func TestLagPeaksWhileSomebodyReads(t *testing.T) {
	s := sampled(t, parse(t, `
topics: [{partitions: 1}]
members: [{count: 1, max.poll.records: 1}]
duration: 2m
events: [{at: 10s, do: slow, member: c1, for: 30s, factor: 100}]
`, ideal...), seeds(20))
	s.always(t, "paused_partition_seconds", 0)
	s.within(t, "lag_peak", 2700-5, 2700+5)
	s.always(t, "lag_end", 0)
}

// Four partitions stand still for ten seconds together, and the first poll brings a thousand records of each, a second's work: the fourth waits
// three seconds more for its turn.
func TestLagPeaksWhereWorkBeginsLast(t *testing.T) {
	s := sampled(t, parse(t, `
topics: [{partitions: 4}]
members: [{count: 1, max.poll.records: 100000, static: true}]
duration: 2m
events: [{at: 10s, do: restart, member: c1}]
`, ideal...), seeds(20))
	s.within(t, "paused_partition_seconds", 40-0.001, 40+0.001)
	s.within(t, "lag_peak", 1000+300-5, 1000+300+5)
}
