package sim

import (
	"math"
	"slices"
	"time"
)

// Metric is one row of what a run has cost.
type Metric struct {
	Key   string // in JSON
	Title string // for people
	Unit  string // "", "s", "p-s" (partition-seconds) or "records"
	Help  string
	Of    func(*Result) float64
}

// Metrics are the rows of every table, in its order. The consumer protocol of KIP-848 and share groups will have the same rows.
func Metrics() []Metric {
	count := func(of func(*Result) int64) func(*Result) float64 {
		return func(r *Result) float64 { return float64(of(r)) }
	}
	seconds := func(of func(*Result) time.Duration) func(*Result) float64 {
		return func(r *Result) float64 { return float64(of(r)) / 1e9 }
	}
	return []Metric{
		{"rebalances", "rebalances", "", "generations that ended their join phase", count(func(r *Result) int64 { return r.Rebalances })},
		{"moved", "partitions moved", "", "from a member that stayed to another", count(func(r *Result) int64 { return r.Moved })},
		{"moved_min", "  fewest possible", "", "what a balanced plan had to move at least", count(func(r *Result) int64 { return r.MovedMin })},
		{"orphans_placed", "  orphans placed", "", "partitions of members that had gone", count(func(r *Result) int64 { return r.Orphans })},
		{"load_max", "most partitions of a member", "", "at the end", count(func(r *Result) int64 { return r.LoadMax })},
		{"load_min", "  fewest", "", "at the end", count(func(r *Result) int64 { return r.LoadMin })},
		{"paused_partition_seconds", "paused, all partitions", "p-s", "partition-seconds in which nobody read: the stop of the world", seconds(func(r *Result) time.Duration { return r.Paused })},
		{"pause_max_seconds", "  longest pause", "s", "of one partition", seconds(func(r *Result) time.Duration { return r.PauseMax })},
		{"all_stopped_seconds", "  nothing read at all", "s", "no partition had a reader", seconds(func(r *Result) time.Duration { return r.AllStopped })},
		{"settle_max_seconds", "longest time to stable", "s", "from a disturbance until everybody has what is theirs", seconds(func(r *Result) time.Duration { return r.LongestSettle })},
		{"duplicates", "duplicates", "records", "processed again", count(func(r *Result) int64 { return r.Duplicates })},
		{"redeliveries", "redeliveries", "records", "handed to an application again", count(func(r *Result) int64 { return r.Redelivered })},
		{"keys_of_several_members", "keys of several members", "", "keys that more than one member has processed", count(func(r *Result) int64 { return r.SharedKeys })},
		{"order_inversions", "order inversions", "records", "processed after a later record of their key", count(func(r *Result) int64 { return r.Inversions })},
		{"fenced_partition_seconds", "read without right", "p-s", "by members that were put out and did not know: work to be done again", seconds(func(r *Result) time.Duration { return r.Fenced })},
		{"evicted", "members put out", "", "by the coordinator: silent, or too late", count(func(r *Result) int64 { return r.Evicted })},
		{"lag_peak", "lag, peak of a partition", "records", "produced and not processed: in a pause, and then until its turn comes", count(func(r *Result) int64 { return r.LagPeak })},
		{"lag_end", "lag of all at the end", "records", "", count(func(r *Result) int64 { return r.LagEnd })},
		{"records_delayed", "throughput lost", "records", "came while nobody read their partition", count(func(r *Result) int64 { return r.Delayed })},
		{"records", "records processed", "records", "", count(func(r *Result) int64 { return r.Records })},
		{"committed", "records committed", "records", "what will not be done again", count(func(r *Result) int64 { return r.Committed })},
		{"messages", "requests to coordinator", "", "", count((*Result).Sent)},
		{"message_bytes", "  bytes", "", "of these requests, with their headers, as today's Java client writes them", count(func(r *Result) int64 { return r.Bytes })},
	}
}

// Variants are the columns of a comparison: the scenario's own, or the assignors and static membership, if all clients know that.
func (s *Scenario) Variants() []Variant {
	if len(s.Compare) > 0 {
		return s.Compare
	}
	strategy := func(name, assignor string, more ...Override) Variant {
		return Variant{Name: name, Set: append([]Override{{"partition.assignment.strategy", assignor}}, more...)}
	}
	dynamic, static := Override{"static", "false"}, Override{"static", "true"}
	out := []Variant{
		strategy("range", "range", dynamic),
		strategy("roundrobin", "roundrobin", dynamic),
		strategy("sticky", "sticky", dynamic),
		strategy("cooperative", "cooperative-sticky", dynamic),
	}
	if !slices.ContainsFunc(s.Members, func(m Members) bool { return m.Client == pollHeartbeat }) {
		out = append(out, strategy("static+cooperative", "cooperative-sticky", static))
	}
	return out
}

// Statistic is one metric over several seeds.
type Statistic struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	Min  float64 `json:"min"`
	Max  float64 `json:"max"`
	// Deviation is the standard deviation.
	Deviation float64 `json:"deviation"`
}

// Statistics of values, one of each run; the zero value for none.
func Statistics(values []float64) (s Statistic) {
	n := len(values)
	if n == 0 {
		return s
	}
	sorted := slices.Sorted(slices.Values(values))
	sum := 0.0
	for _, v := range sorted {
		sum += v
	}
	s.Mean = sum / float64(n)
	squares := 0.0
	for _, v := range sorted {
		squares += (v - s.Mean) * (v - s.Mean)
	}
	if n > 1 {
		s.Deviation = math.Sqrt(squares / float64(n-1))
	}
	rank := func(percent int) float64 { return sorted[min(n-1, (n*percent+99)/100-1)] }
	s.P50, s.P99, s.Min, s.Max = rank(50), rank(99), sorted[0], sorted[n-1]
	return s
}
