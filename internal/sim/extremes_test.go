package sim

import "testing"

// Settings at the edge of what is taken: a run ends, and nothing panics or runs over.
func TestExtremesEnd(t *testing.T) {
	for name, set := range map[string][]string{
		"no work and an endless backlog":      {"processing.time", "0s", "backlog", "1000000000000"},
		"a day on each record, slowed":        {"processing.time", "24h", "max.poll.records", "1000000", "events.1.do", "slow", "events.1.factor", "1000000"},
		"random work on large batches":        {"processing.time", "exponential(1us)", "max.poll.records", "1000000", "backlog", "1000000000000"},
		"only poison":                         {"poison.every", "1", "poison.time", "24h"},
		"poison and no work":                  {"processing.time", "0s", "poison.every", "3", "poison.time", "1ms", "backlog", "1000000000000"},
		"a flood":                             {"rate", "1000000", "topics.partitions", "1000"},
		"nothing at all":                      {"rate", "0"},
		"one record in a long time":           {"rate", "0.000001"},
		"no time anywhere":                    {"latency", "0s", "append.time", "0s", "retry.backoff.ms", "0", "group.initial.rebalance.delay.ms", "0", "events.1.down", "0s"},
		"a network of minutes":                {"latency", "1m", "jitter", "10m"},
		"a network that loses nearly all":     {"loss", "0.9"},
		"shortest timeouts":                   {"group.min.session.timeout.ms", "100", "session.timeout.ms", "100", "heartbeat.interval.ms", "10", "max.poll.interval.ms", "100", "auto.commit.interval.ms", "10"},
		"a group that is full":                {"group.max.size", "1"},
		"each record committed, many at once": {"commit", "record", "processing.time", "51ms", "max.poll.records", "1000000", "backlog", "100000"},
		"a pause longer than all":             {"events.1.do", "pause", "events.1.for", "744h"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t, parse(t, "duration: 20s\nevents: [{at: 5s, do: restart, member: c2, down: 1s}]", set...), 1)
			if r.Records < 0 || r.Duplicates < 0 || r.LagPeak < 0 || r.Paused < 0 {
				t.Errorf("something ran over: %+v", r)
			}
		})
	}
}
