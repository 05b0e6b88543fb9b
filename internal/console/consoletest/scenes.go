package consoletest

import (
	"fmt"
	"time"

	"github.com/barnabas-mq/barnabas/internal/console"
	"github.com/barnabas-mq/barnabas/internal/journal"
)

// Hostile is a name that tries what names try.
const Hostile = "\"><script>alert('x')</script><svg onload=alert(1)>&amp;\u202egnp.exe\x00\n\ndata: {\"all\":true}\r\n</title>{{.}}"

// Who is the n-th member of a client on a host.
func Who(client string, n int, host string) journal.Who {
	return journal.Who{ID: fmt.Sprintf("%s-%d-7f3a9c0e-51b2-4c1d-9a77-%012d", client, n, n), Client: client, Host: "/" + host, Software: "apache-kafka-java 4.3.1"}
}

// Demo is a broker with a morning of trouble: what the browser test walks through.
func Demo() *Source { return DemoWith(Hostile) }

// DemoWith is Demo with another name in the place of the hostile one, to compare pages with.
func DemoWith(hostile string) *Source {
	s := New()
	payments(s)
	orders(s)
	s.hostile(hostile)
	s.crowd(240)
	for i, n := range []string{"stable-audit", "stable-mail", "stable-search"} {
		g := s.Add(n, map[string]int{"events": 6})
		g.Rebalance(Step{At: 26 * time.Hour, Took: 3 * time.Second, Cause: journal.FirstStart, Add: []journal.Who{Who(n, 1, "10.0.3.1"), Who(n, 2, "10.0.3.2")}})
		g.Lag = int64(i * 113)
	}
	s.Add("nobody-here", map[string]int{"events": 6}).Lag = 48211
	for _, t := range []struct {
		name     string
		parts    int
		records  int64
		bytes    int64
		in, b, o float64
		groups   []string
	}{{"payments", 12, 1_204_881, 1_433_112_881, 512.4, 611_004, 590_322, []string{"payments"}}, {"orders", 8, 88_120, 90_112_000, 41, 48_211, 96_002, []string{"orders-push"}},
		{"events", 6, 9_120_044_001, 8_112_000_441_222, 10_402, 12_200_111, 0, []string{"nobody-here", "stable-audit", "stable-mail", "stable-search"}},
		{hostile, 1, 3, 300, 0, 0, 0, []string{hostile}}, {"idle", 1, 0, 0, 0, 0, 0, nil}} {
		s.addTopic(t.name, t.parts, t.records, t.bytes, t.in, t.b, t.o, t.groups)
	}
	s.addTopic("__consumer_offsets", 50, 1201, 88121, 3, 410, 0, nil)
	return s
}

func (s *Source) addTopic(name string, parts int, records, bytes int64, in, b, o float64, groups []string) {
	t := console.Topic{TopicRow: console.TopicRow{Name: name, Internal: name == "__consumer_offsets", Partitions: parts, Records: &records, Bytes: &bytes, RecordsIn: &in, BytesIn: &b, BytesOut: &o}, Groups: groups}
	for i := range parts {
		start, end, size := int64(0), records/int64(parts), bytes/int64(parts)
		t.PartitionList = append(t.PartitionList, console.Partition{Number: int32(i), Start: &start, End: &end, Bytes: &size})
	}
	s.AddTopic(t)
}

// payments is cooperative; one member's batches are too large, and one dies.
func payments(s *Source) {
	g := s.Add("payments", map[string]int{"payments": 12})
	g.Cooperative, g.Protocol, g.Lag = true, "cooperative-sticky", 18_442
	a, b, c, d := Who("payments-a", 1, "10.0.0.11"), Who("payments-b", 2, "10.0.0.12"), Who("payments-c", 3, "10.0.0.13"), Who("payments-d", 4, "10.0.0.14")
	g.Rebalance(Step{At: 56 * time.Minute, Took: 3400 * time.Millisecond, Cause: journal.FirstStart, Add: []journal.Who{a, b}, Shares: [4]float64{.88, 0, .02, .1}})
	g.Rebalance(Step{At: 49 * time.Minute, Took: 2900 * time.Millisecond, Cause: journal.ScaleUp, Add: []journal.Who{c}})
	g.Rebalance(Step{At: 41 * time.Minute, Took: 3100 * time.Millisecond, Cause: journal.ScaleUp, Add: []journal.Who{d}})
	slow := func(before time.Duration, n int) {
		c2 := Who("payments-c", 3+10*n, "10.0.0.13")
		old := Who("payments-c", 3+10*(n-1), "10.0.0.13")
		silence := 300210.0
		g.Rebalance(Step{At: before, Took: 4200 * time.Millisecond, Cause: journal.PollInterval, Remove: []string{old.ID}, Claimed: "consumer poll timeout has expired.",
			Measured: "last heard of 1.2s before",
			Evidence: []journal.Fact{{ID: "claimed_reason", Text: `its client gave the reason "consumer poll timeout has expired."`, Basis: journal.Measured, Member: old.ID},
				{ID: "heartbeats", Text: "until then it was heard of in time", Basis: journal.Measured},
				{ID: "silence", Text: "its client last fetched from its partitions 5m0.21s before", Basis: journal.Measured, Value: &silence, Unit: "ms"},
				{ID: "came_back", Text: "it came back 2m10s later as payments-c, with the same client id and host", Basis: journal.Inferred}},
			Advice: []journal.Advice{{Text: "Take fewer records per poll, so that a batch is done in half the poll interval.", Setting: "max.poll.records", Value: "100",
				Arithmetic: "300,000 ms / 1,500 ms = 200 at the very most; x 0.5 = 100"}, {Text: "Leave session.timeout.ms alone: heartbeats have a thread of their own and were in time."}}})
		g.Rebalance(Step{At: before - 130*time.Second, Took: 2700 * time.Millisecond, Cause: journal.PollInterval, Confidence: journal.Inferred, Add: []journal.Who{c2},
			Evidence: []journal.Fact{{ID: "came_back", Text: "the same client id and host had gone 2m10s before", Basis: journal.Inferred}}})
	}
	slow(31*time.Minute, 1)
	slow(22*time.Minute, 2)
	silence := 45012.0
	g.Rebalance(Step{At: 9 * time.Minute, Took: 3800 * time.Millisecond, Cause: journal.SessionTimeout, Sub: "crash", Remove: []string{b.ID}, Measured: "last heard of 45.01s before",
		Evidence: []journal.Fact{{ID: "silence", Text: "it was last heard of 45.01s before", Basis: journal.Measured, Value: &silence, Unit: "ms"}, {ID: "closed", Text: "its connection was closed 44.8s before it was out", Basis: journal.Measured}},
		Advice:   []journal.Advice{{Text: "The process is gone: see its exit code. A shorter session notices sooner, at the price of pauses that look like crashes.", Setting: "session.timeout.ms", Needs: []string{"the longest pause to survive"}}}})
	g.Absorb(5*time.Minute, journal.StaticReturned, journal.Absorbed, journal.Who{ID: "x", Client: "payments-e", Instance: "payments-e", Host: "/10.0.0.15"})
	g.Findings = []journal.Finding{{Detector: journal.FlappingMember, Title: journal.FlappingMember.Title(), Group: "payments",
		Text: "payments-c at 10.0.0.13 set off 4 rebalances within 14m, one every 4m40s or so"}}
}

// orders is eager and has a rebalance under way.
func orders(s *Source) {
	g := s.Add("orders-push", map[string]int{"orders": 8, "returns": 4})
	g.Lag = 902
	w := []journal.Who{Who("push", 1, "10.0.1.1"), Who("push", 2, "10.0.1.2"), Who("push", 3, "10.0.1.3"), Who("push", 4, "10.0.1.4")}
	g.Rebalance(Step{At: 50 * time.Minute, Took: 3 * time.Second, Cause: journal.FirstStart, Add: w[:3]})
	for i := range 3 { // a rolling restart
		n := Who("push", i+11, fmt.Sprintf("10.0.1.%d", i+1))
		g.Rebalance(Step{At: 40*time.Minute - time.Duration(i)*40*time.Second, Took: 2500 * time.Millisecond, Cause: journal.GracefulClose, Remove: []string{w[i].ID}, Claimed: "the consumer is being closed"})
		g.Rebalance(Step{At: 40*time.Minute - time.Duration(i)*40*time.Second - 15*time.Second, Took: 3100 * time.Millisecond, Cause: journal.RollingRestart, Add: []journal.Who{n}})
	}
	g.Rebalance(Step{At: 18 * time.Minute, Took: 62 * time.Second, Cause: journal.LateToRejoin, Who: &w[3], Add: []journal.Who{w[3]}, Shares: [4]float64{.05, .93, .01, .01}})
	g.Rebalance(Step{At: 20 * time.Second, Took: 40 * time.Second, Cause: journal.Unknown, Confidence: journal.NotKnown, Who: &w[3], Stage: journal.Opened, Shares: [4]float64{.1, .9, 0, 0}})
	g.Silent = true
}

func (s *Source) hostile(name string) {
	g := s.Add(name, map[string]int{name: 3})
	bad := journal.Who{ID: name, Client: name, Host: name, Software: name}
	in := g.Rebalance(Step{At: 30 * time.Minute, Took: 3 * time.Second, Cause: journal.FirstStart, Add: []journal.Who{bad, Who(name, 2, name)}, Claimed: name, Measured: name,
		Evidence: []journal.Fact{{ID: "x", Text: name, Basis: journal.Measured}}, Advice: []journal.Advice{{Text: name, Setting: name, Value: name, Arithmetic: name, Needs: []string{name}}}})
	in.Missing, in.Members[0].Reason = []string{name}, name
	in.Chain = []journal.Trigger{{At: in.Began, Kind: journal.TriggerKind(name), Member: &bad, Claimed: name, Measured: name}}
	in.Partitions = []journal.Partition{{Topic: name, Partition: 1, From: name, To: name}}
}

// crowd is a group with more members than a picture has lanes.
func (s *Source) crowd(n int) {
	g := s.Add("crowd", map[string]int{"events": 2 * n})
	var who []journal.Who
	for i := range n {
		who = append(who, Who(fmt.Sprintf("crowd-%03d", i%(n*2/3)), i, fmt.Sprintf("10.1.%d.%d", i/250, i%250)))
	}
	g.Rebalance(Step{At: 55 * time.Minute, Took: 9 * time.Second, Cause: journal.FirstStart, Add: who[:n/2]})
	g.Rebalance(Step{At: 40 * time.Minute, Took: 12 * time.Second, Cause: journal.ScaleUp, Add: who[n/2:]})
	g.Rebalance(Step{At: 12 * time.Minute, Took: 15 * time.Second, Cause: journal.SessionTimeout, Sub: "together", Remove: []string{who[3].ID, who[4].ID, who[5].ID}})
}

// Many adds groups with one incident each, and one group with very many incidents: what bounds are measured with.
func (s *Source) Many(groups, incidents int) {
	for i := range groups {
		g := s.Add(fmt.Sprintf("many-%05d", i), map[string]int{"events": 1})
		g.Rebalance(Step{At: time.Duration(i%3600) * time.Second, Took: time.Second, Cause: journal.FirstStart, Add: []journal.Who{Who("many", i, "10.2.0.1")}})
	}
	g := s.Add("stormy", map[string]int{"events": 20})
	a, b := Who("storm", 1, "10.0.9.1"), Who("storm", 2, "10.0.9.2")
	g.Rebalance(Step{At: time.Duration(incidents+1) * 20 * time.Second, Took: time.Second, Cause: journal.FirstStart, Add: []journal.Who{a, b}})
	last := b
	for i := range incidents {
		s := Step{At: time.Duration(incidents-i) * 20 * time.Second, Took: 800 * time.Millisecond, Cause: journal.RollingRestart}
		if i%2 == 0 {
			s.Remove = []string{last.ID}
		} else {
			last = Who("storm", i+3, "10.0.9.2")
			s.Add = []journal.Who{last}
		}
		g.Rebalance(s)
	}
}
