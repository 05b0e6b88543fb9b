package replica

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

func lead(epoch int32, isr ...kafka.NodeID) Leadership {
	return Leadership{Epoch: epoch, Replicas: []kafka.NodeID{1, 2, 3}, ISR: isr}
}

func TestHighWatermarkIsTheMinimumOfTheISR(t *testing.T) {
	var p Partition
	p.SetMinISR(1)
	p.Lead(1, lead(0, 1, 2), 0, 0)
	if p.Durable(1, 10) || p.HighWatermark() != 0 {
		t.Fatal("one of two in-sync replicas moved the high watermark")
	}
	if !p.Durable(2, 4) || p.HighWatermark() != 4 {
		t.Fatalf("high watermark is %d, want 4", p.HighWatermark())
	}
	if p.Durable(3, 99) || p.HighWatermark() != 4 {
		t.Fatal("a replica outside the ISR moved the high watermark")
	}
	p.Lead(1, lead(0, 1), 10, 0)
	if p.HighWatermark() != 10 {
		t.Fatalf("high watermark is %d after the ISR shrank to the leader, want 10", p.HighWatermark())
	}
}

func TestSingleNodeIsTheClusterWithOneReplica(t *testing.T) {
	var p Partition
	p.SetMinISR(2) // more than there are replicas: the replication factor caps it
	p.Lead(1, Leadership{Epoch: 3, Replicas: []kafka.NodeID{1}, ISR: []kafka.NodeID{1}}, 7, 5)
	if p.HighWatermark() != 5 || p.CaughtUp() {
		t.Fatalf("high watermark %d, caught up %v", p.HighWatermark(), p.CaughtUp())
	}
	if p.CheckAppend(-1) != kafka.None {
		t.Fatal("min.insync.replicas above the replication factor refuses an append")
	}
	if !p.Durable(1, 7) || p.HighWatermark() != 7 || !p.CaughtUp() {
		t.Fatalf("high watermark %d, caught up %v", p.HighWatermark(), p.CaughtUp())
	}
}

func TestBelowMinISRNothingIsCommitted(t *testing.T) {
	var p Partition
	p.SetMinISR(2)
	p.Lead(1, lead(0, 1), 0, 0)
	if got := p.CheckAppend(-1); got != kafka.NotEnoughReplicas {
		t.Errorf("acks=all: %v", got)
	}
	if got := p.CheckAppend(1); got != kafka.None {
		t.Errorf("acks=1: %v", got)
	}
	if p.Durable(1, 5) || p.HighWatermark() != 0 {
		t.Error("the high watermark moved below min.insync.replicas")
	}
}

func TestEpochCheck(t *testing.T) {
	var p Partition
	p.Lead(1, lead(5, 1), 0, 0)
	for epoch, want := range map[int32]kafka.ErrorCode{-1: kafka.None, 5: kafka.None, 4: kafka.FencedLeaderEpoch, 6: kafka.UnknownLeaderEpoch} {
		if got := p.CheckEpoch(epoch); got != want {
			t.Errorf("epoch %d: %v, want %v", epoch, got, want)
		}
	}
}

func TestHighWatermarkNeverFallsAndNeverPassesAnISRMember(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p Partition
		p.SetMinISR(rapid.IntRange(1, 3).Draw(t, "minISR"))
		p.Lead(1, lead(0, 1, 2, 3), 0, 0)
		ends := map[kafka.NodeID]int64{}
		isr := []kafka.NodeID{1, 2, 3}
		last := int64(0)
		t.Repeat(map[string]func(*rapid.T){
			"report": func(t *rapid.T) {
				id := kafka.NodeID(rapid.IntRange(1, 3).Draw(t, "id"))
				ends[id] += rapid.Int64Range(0, 5).Draw(t, "more")
				before := p.HighWatermark()
				if moved := p.Durable(id, ends[id]); moved != (p.HighWatermark() > before) {
					t.Fatalf("moved=%v but %d -> %d", moved, before, p.HighWatermark())
				}
			},
			"isr": func(t *rapid.T) {
				isr = []kafka.NodeID{1, 2, 3}[:rapid.IntRange(1, 3).Draw(t, "size")]
				p.Lead(1, lead(0, isr...), ends[1], 0)
			},
			"": func(t *rapid.T) {
				if p.HighWatermark() < last {
					t.Fatalf("high watermark fell from %d to %d", last, p.HighWatermark())
				}
				if p.HighWatermark() > last {
					for _, id := range isr {
						if p.HighWatermark() > ends[id] {
							t.Fatalf("high watermark %d is beyond the end %d of in-sync replica %d", p.HighWatermark(), ends[id], id)
						}
					}
				}
				last = p.HighWatermark()
			},
		})
	})
}
