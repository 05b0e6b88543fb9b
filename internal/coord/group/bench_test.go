package group

import (
	"fmt"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// loose drives a shard without looking over its shoulder.
type loose struct {
	s   *Shard
	now vtime.Instant
}

func (l *loose) step(ev coord.Event) coord.Effects {
	fx := l.s.Step(l.now, ev)
	for i, r := range fx.Records {
		l.s.Apply(int64(i), r)
	}
	return fx
}

// BenchmarkRound10000 is a whole round of a group of 10,000: everybody joins again, and everybody syncs.
func BenchmarkRound10000(b *testing.B) {
	const members = 10_000
	cfg := config()
	cfg.RecordBytesMax = 16 << 20
	l := &loose{New(cfg), start}
	subscription := topics("orders", "payments")
	ids := make([]string, members)
	assignments := make([]Assignment, members)
	id := coord.ReplyID(0)
	join := func(i int) coord.Effects {
		id++
		return l.step(&JoinRequest{Reply: id, Version: 3, Group: "g", Member: ids[i], Client: "consumer", Host: "/10.0.0.1", FreshID: fmt.Sprint(i), ProtocolType: "consumer",
			Protocols: protos(subscription, "range", "cooperative-sticky"), SessionTimeout: 45 * time.Second, RebalanceTimeout: 5 * time.Minute})
	}
	round := func(generation int32) {
		for i := range members {
			id++
			l.step(&SyncRequest{Reply: id, Version: 4, Group: "g", Member: ids[i], Generation: generation, Assignments: assignments[:map[bool]int{true: members}[i == 0]]})
		}
		if g := l.s.groups["g"]; g.state != Stable || len(g.members) != members {
			b.Fatal(g.state)
		}
	}
	for i := range members {
		join(i)
	}
	g := l.s.groups["g"]
	for i, m := range g.members {
		ids[i], assignments[i] = m.ID, Assignment{m.ID, make([]byte, 40)}
	}
	g.extend = false
	l.step(coord.TimerFired{Key: g.joinTimer()})
	round(1)
	generation := int32(1)
	for b.Loop() {
		for i := range members {
			join(i)
		}
		generation++
		round(generation)
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/round")
}

// BenchmarkHeartbeat is the most frequent request there is.
func BenchmarkHeartbeat(b *testing.B) {
	r := newRig(b, config())
	m := r.stable(nil, "x", "y", "z")
	l := &loose{r.s, r.now}
	q := &HeartbeatRequest{Reply: 1, Group: "g", Member: m[1].id, Generation: 1}
	b.ReportAllocs()
	for b.Loop() {
		l.now++
		l.step(q)
	}
}

// BenchmarkLoad reads a million committed offsets back from their bytes.
func BenchmarkLoad(b *testing.B) {
	const records = 1_000_000
	log := make([]entry, records)
	for i := range log {
		r := &record.OffsetCommit{Group: fmt.Sprintf("group-%d", i%1000), Topic: fmt.Sprintf("topic-%d", i/1000%20), Partition: int32(i / 20_000),
			Value: &record.OffsetCommitValue{Offset: int64(i), CommitTimestamp: start.Millis(), ExpireTimestamp: record.NoTimestamp}}
		value, _ := r.AppendValue(nil)
		log[i] = entry{r.AppendKey(nil), value}
	}
	for b.Loop() {
		s := New(config())
		for i, e := range log {
			r, err := record.Decode(e.key, e.value)
			if err != nil {
				b.Fatal(err)
			}
			s.Apply(int64(i), r)
		}
		s.Restore(start)
	}
}
