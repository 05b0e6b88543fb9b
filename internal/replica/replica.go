// Package replica decides what is committed in one partition: leader epoch, in-sync replicas, and the high watermark.
//
// Core: no clock, goroutine, lock, log or I/O. A single node is a cluster whose ISR is itself, not another program (DESIGN D10).
// The high watermark is the minimum over the ISR of each replica's durable end, never falls while this node leads, and does not
// move while the ISR is smaller than min.insync.replicas (KIP-966).
package replica

import (
	"slices"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// Partition is one partition as its leader sees it. The zero value leads nothing; begin with Lead.
type Partition struct {
	self        kafka.NodeID
	leaderEpoch int32
	replicas    int
	minISR      int
	isr         []kafka.NodeID
	// ends holds the durable end of each ISR member, parallel to isr; -1 when it has not reported in this epoch.
	ends []int64
	hw   int64
	// epochStart is the log end when this leadership began: until the high watermark reaches it, earlier commits may be unknown.
	epochStart int64
}

// Leadership is what the metadata says of a partition this node leads.
type Leadership struct {
	Epoch    int32
	Replicas []kafka.NodeID
	ISR      []kafka.NodeID
}

// Lead begins (or confirms) leadership. logEnd is the end of the local log, checkpointed the high watermark remembered from before;
// both only matter when the epoch is new. An ISR that shrank may let the high watermark move.
func (p *Partition) Lead(self kafka.NodeID, l Leadership, logEnd, checkpointed int64) {
	newEpoch := p.isr == nil || l.Epoch != p.leaderEpoch
	old, oldEnds := p.isr, p.ends
	p.self, p.leaderEpoch, p.replicas = self, l.Epoch, len(l.Replicas)
	p.isr = slices.Clone(l.ISR)
	p.ends = make([]int64, len(p.isr))
	for i, id := range p.isr {
		p.ends[i] = -1
		if at := slices.Index(old, id); at >= 0 && !newEpoch {
			p.ends[i] = oldEnds[at]
		}
	}
	if newEpoch {
		p.epochStart = logEnd
		p.hw = max(p.hw, min(checkpointed, logEnd))
	}
	p.advance()
}

// SetMinISR takes the topic's min.insync.replicas; the effective value never exceeds the replication factor.
func (p *Partition) SetMinISR(n int) { p.minISR = n }

// Self is the node whose view this is.
func (p *Partition) Self() kafka.NodeID { return p.self }

// LeaderEpoch is the epoch of the current leadership.
func (p *Partition) LeaderEpoch() int32 { return p.leaderEpoch }

// HighWatermark is the first offset not known to be committed.
func (p *Partition) HighWatermark() int64 { return p.hw }

// Durable notes that replica id holds everything below end where its promise says (the disk, or the page cache). It returns
// whether the high watermark moved. A report of a replica outside the ISR, or one that goes back, changes nothing.
func (p *Partition) Durable(id kafka.NodeID, end int64) (moved bool) {
	at := slices.Index(p.isr, id)
	if at < 0 || end <= p.ends[at] {
		return false
	}
	p.ends[at] = end
	return p.advance()
}

func (p *Partition) advance() (moved bool) {
	if len(p.ends) == 0 || p.underMinISR() {
		return false
	}
	if low := slices.Min(p.ends); low > p.hw {
		p.hw = low
		return true
	}
	return false
}

// CheckAppend says whether an append may begin: with acks=all, NOT_ENOUGH_REPLICAS when the ISR is below min.insync.replicas.
func (p *Partition) CheckAppend(acks int16) kafka.ErrorCode {
	if acks == -1 && p.underMinISR() {
		return kafka.NotEnoughReplicas
	}
	return kafka.None
}

// CheckEpoch compares the leader epoch a client believes in with ours; -1 is no belief.
func (p *Partition) CheckEpoch(epoch int32) kafka.ErrorCode {
	switch {
	case epoch < 0 || epoch == p.leaderEpoch:
		return kafka.None
	case epoch < p.leaderEpoch:
		return kafka.FencedLeaderEpoch
	}
	return kafka.UnknownLeaderEpoch
}

// CaughtUp reports whether the high watermark has reached the start of this leadership. Before that a consumer that asks for the
// latest offset is told OFFSET_NOT_AVAILABLE, since the true answer may be higher.
func (p *Partition) CaughtUp() bool { return p.hw >= p.epochStart }

func (p *Partition) underMinISR() bool { return len(p.isr) < min(p.minISR, p.replicas) }
