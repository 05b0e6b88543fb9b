package group

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/offset"
	"github.com/barnabas-mq/barnabas/internal/coord/record"
)

func TestGenerationsStayAboveZero(t *testing.T) {
	for g, next := range map[int32]int32{0: 1, 1: 2, math.MaxInt32 - 1: math.MaxInt32, math.MaxInt32: 1, -1: 1, math.MinInt32: 1} {
		want(t, nextGeneration(g), next)
	}
}

// FuzzRestore reads back a group from bytes that may be anything, and lets it live: no log may bring a broker down.
func FuzzRestore(f *testing.F) {
	protocol, leader, instance := "range", "a", "i"
	for _, v := range []*record.GroupMetadataValue{
		{},
		{ProtocolType: "consumer", Generation: math.MaxInt32, Members: []record.Member{{ID: "a"}}},
		{ProtocolType: "consumer", Generation: 3, Protocol: &protocol, Leader: &leader, Members: []record.Member{
			{ID: "a", SessionTimeout: time.Second, Subscription: topics("t")}, {ID: "b", InstanceID: &instance}, {ID: "c", InstanceID: &instance}, {ID: "a"}}},
	} {
		value, _ := (&record.GroupMetadata{Group: "g", Value: v}).AppendValue(nil)
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		rec, err := record.Decode((&record.GroupMetadata{Group: "g"}).AppendKey(nil), value)
		if err != nil {
			return
		}
		s := New(config())
		now := start
		queue := map[coord.TimerKey]bool{}
		take := func(fx coord.Effects) {
			for _, r := range fx.Records {
				s.Apply(0, r)
				r.AppendKey(nil)
				r.AppendValue(nil)
			}
			for _, op := range fx.Timers {
				queue[op.Key] = !op.Cancel
			}
		}
		s.Apply(0, rec)
		take(s.Restore(now))
		g := s.groups["g"]
		member, generation, held := "", g.generation, ""
		if len(g.members) > 0 {
			member, held = g.members[0].ID, g.members[0].Instance
		}
		id := coord.ReplyID(0)
		for round := range 3 {
			for _, ev := range []func() coord.Event{
				func() coord.Event {
					return &HeartbeatRequest{Reply: id, Group: "g", Member: member, Instance: held, Generation: generation}
				},
				func() coord.Event { return &SyncRequest{Reply: id, Group: "g", Member: member, Generation: generation} },
				func() coord.Event {
					return &offset.CommitRequest{Reply: id, Group: "g", Member: member, Generation: generation, Topics: []offset.CommitTopic{{Topic: "t", Partitions: []offset.CommitPartition{{}}}}}
				},
				func() coord.Event {
					return &JoinRequest{Reply: id, Version: 9, Group: "g", Member: member, Instance: held, FreshID: string(rune('x' + round)), ProtocolType: g.protocolType,
						Protocols: append(protos(nil, g.protocol), protos(nil, "range")...), SessionTimeout: 10 * time.Second, RebalanceTimeout: time.Second}
				},
				func() coord.Event {
					return &JoinRequest{Reply: id, Version: 9, Group: "g", Instance: "i", FreshID: string(rune('p' + round)), ProtocolType: "consumer",
						Protocols: protos(nil, "range"), SessionTimeout: 10 * time.Second, RebalanceTimeout: time.Second}
				},
				func() coord.Event { return &DescribeRequest{Reply: id, Groups: []string{"g"}} },
				func() coord.Event {
					return &offset.DeleteRequest{Reply: id, Group: "g", Topics: []offset.Partitions{{Topic: "t", Partitions: []int32{0}}}}
				},
				func() coord.Event {
					return &LeaveRequest{Reply: id, Version: 5, Group: "g", Members: []Leaver{{Member: member, Instance: held}}}
				},
			} {
				id++
				take(s.Step(now, ev()))
			}
			now = now.Add(time.Minute)
			for _, kind := range []coord.TimerKind{timerJoin, timerSync, timerExpiry} {
				key := coord.TimerKey{Kind: kind, Group: "g"}
				if kind == timerExpiry {
					key.Group = ""
				}
				if queue[key] {
					queue[key] = false
					take(s.Step(now, coord.TimerFired{Key: key}))
				}
			}
			for _, m := range slices.Clone(g.members) {
				key := g.sessionTimer(m)
				if queue[key] {
					queue[key] = false
					take(s.Step(now, coord.TimerFired{Key: key}))
				}
			}
		}
	})
}
