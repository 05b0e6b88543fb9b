// Package driver is the shell around internal/replica: each partition's log, the core that knows what is committed, and the
// requests that wait for it.
//
// It holds locks and calls storage; what counts as committed is decided in the core alone. On a cluster the fetch loops of followers
// will live here too. Start reading at partition.go.
package driver

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/replica"
	"github.com/barnabas-mq/barnabas/internal/storage"
)

// Partition is one partition that this node leads. All methods may be called from many goroutines.
type Partition struct {
	Name    kafka.TopicPartition
	TopicID kafka.TopicID

	log *storage.Log
	// waitForDisk is log.flush=commit: what is appended counts once it is flushed.
	waitForDisk bool
	config      atomic.Pointer[TopicConfig]

	mu   sync.Mutex // guards core, waiters and gone
	core replica.Partition
	// waiters are told when the high watermark reaches their offset. Few at a time: a slice beats a heap.
	waiters []waiting
	gone    kafka.ErrorCode

	hw    atomic.Int64
	epoch atomic.Int32
	state atomic.Int32 // a kafka.ErrorCode: None while the partition serves
}

// TopicConfig is what a partition takes from its topic's configuration.
type TopicConfig struct {
	// Rules are what produced batches must fit; NowMs is filled in per request.
	Rules  batch.Rules
	Log    storage.LogConfig
	MinISR int
}

// Waiter is woken when something it waits for may have happened. It must look again itself: a wake-up promises nothing.
type Waiter struct{ C chan struct{} }

// NewWaiter makes a waiter.
func NewWaiter() *Waiter { return &Waiter{C: make(chan struct{}, 1)} }

// Wake never blocks; wake-ups that nobody has taken yet are one.
func (w *Waiter) Wake() {
	select {
	case w.C <- struct{}{}:
	default:
	}
}

type waiting struct {
	offset int64
	w      *Waiter
}

// ErrorCode says why the partition cannot serve: None, KAFKA_STORAGE_ERROR when its disk failed, UNKNOWN_TOPIC_OR_PARTITION when
// it was deleted.
func (p *Partition) ErrorCode() kafka.ErrorCode { return kafka.ErrorCode(p.state.Load()) }

// HighWatermark is the first offset not known to be committed: consumers read below it.
func (p *Partition) HighWatermark() int64 { return p.hw.Load() }

// LastStableOffset is the first offset of an open transaction, or the high watermark: read_committed consumers read below it.
func (p *Partition) LastStableOffset() int64 { return p.log.LastStableOffset(p.hw.Load()) }

// LeaderEpoch is the epoch of this leadership.
func (p *Partition) LeaderEpoch() int32 { return p.epoch.Load() }

// Log is the partition's log, for reads that need no decision.
func (p *Partition) Log() *storage.Log { return p.log }

// Config is the topic's configuration as this partition applies it.
func (p *Partition) Config() *TopicConfig { return p.config.Load() }

// CheckEpoch compares the leader epoch a client believes in with ours; -1 is no belief.
func (p *Partition) CheckEpoch(epoch int32) kafka.ErrorCode {
	if epoch < 0 || epoch == p.epoch.Load() {
		return kafka.None
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.core.CheckEpoch(epoch)
}

// CaughtUp is false right after an election, while earlier commits may be unknown.
func (p *Partition) CaughtUp() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.core.CaughtUp()
}

// Append writes one checked batch. It returns when the bytes are in the log; whoever asked for acks=all then waits until
// HighWatermark passes the batch (see Await). A refused batch is a *storage.Refusal, a failed disk a *storage.OfflineError.
func (p *Partition) Append(b batch.Batch, acks int16, origin storage.Origin, nowMs int64) (storage.AppendResult, error) {
	if acks == -1 {
		p.mu.Lock()
		code := p.core.CheckAppend(acks)
		p.mu.Unlock()
		if code != kafka.None {
			return storage.AppendResult{}, &storage.Refusal{Code: code, Message: code.Message()}
		}
	}
	if code := p.ErrorCode(); code != kafka.None {
		return storage.AppendResult{}, &storage.Refusal{Code: code, Message: code.Message()}
	}
	res, err := p.log.Append(b, storage.AppendOptions{LeaderEpoch: p.epoch.Load(), Origin: origin, NowMs: nowMs})
	if err != nil {
		return res, err
	}
	if p.waitForDisk {
		p.log.WantFlush()
	} else {
		p.durable(res.LastOffset + 1)
	}
	return res, nil
}

// durable notes the end of this node's own copy and wakes whoever waited for it.
func (p *Partition) durable(end int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.core.Durable(p.core.Self(), end) {
		p.publish()
	}
}

// publish makes the core's high watermark visible; p.mu is held.
func (p *Partition) publish() {
	hw := p.core.HighWatermark()
	p.hw.Store(hw)
	p.log.SetHighWatermark(hw)
	kept := p.waiters[:0]
	for _, w := range p.waiters {
		if w.offset <= hw {
			w.w.Wake()
		} else {
			kept = append(kept, w)
		}
	}
	clear(p.waiters[len(kept):])
	p.waiters = kept
}

// Await wakes w once when the high watermark is at least offset, or the partition stops serving; at once if that is so already.
func (p *Partition) Await(offset int64, w *Waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone != kafka.None || p.core.HighWatermark() >= offset {
		w.Wake()
		return
	}
	p.waiters = append(p.waiters, waiting{offset, w})
}

// Forget takes back every Await of w.
func (p *Partition) Forget(w *Waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := p.waiters[:0]
	for _, x := range p.waiters {
		if x.w != w {
			kept = append(kept, x)
		}
	}
	clear(p.waiters[len(kept):])
	p.waiters = kept
}

// lead takes what the metadata says of the partition. An epoch is durable in the log before anything is served in it.
func (p *Partition) lead(self kafka.NodeID, l replica.Leadership) error {
	if p.log.LatestEpoch() < l.Epoch {
		if err := p.log.AssignEpoch(l.Epoch, p.log.EndOffset()); err != nil {
			return fmt.Errorf("%s: write leader epoch %d: %w", p.Name, l.Epoch, err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.core.SetMinISR(p.config.Load().MinISR)
	p.core.Lead(self, l, p.log.EndOffset(), p.log.HighWatermarkCheckpoint())
	p.epoch.Store(l.Epoch)
	end := p.log.FlushedOffset()
	if !p.waitForDisk {
		end = p.log.EndOffset()
	}
	p.core.Durable(self, end)
	p.publish()
	return nil
}

func (p *Partition) configure(c *TopicConfig) {
	p.config.Store(c)
	p.log.SetConfig(c.Log)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.core.SetMinISR(c.MinISR)
}

// stop ends service with a code and wakes all who wait.
func (p *Partition) stop(code kafka.ErrorCode) {
	p.state.Store(int32(code))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = code
	for _, w := range p.waiters {
		w.w.Wake()
	}
	p.waiters = nil
}

// CodeOf translates an error of this partition or of its log into what a client hears, with a sentence for it. When the partition stopped
// serving meanwhile, that is the reason, whatever the log was found doing: a deletion closes files under those who use them.
func (p *Partition) CodeOf(err error) (kafka.ErrorCode, string) {
	var refused *storage.Refusal
	var offline *storage.OfflineError
	var outside *storage.OutOfRange
	var corrupt *storage.CorruptError
	var full *storage.FullError
	switch {
	case err == nil:
		return kafka.None, ""
	case p.ErrorCode() == kafka.UnknownTopicOrPartition:
		return kafka.UnknownTopicOrPartition, "the topic was deleted"
	case errors.As(err, &refused):
		return refused.Code, refused.Message
	case errors.As(err, &outside):
		return kafka.OffsetOutOfRange, outside.Error()
	case errors.As(err, &offline), errors.As(err, &corrupt), errors.As(err, &full), errors.Is(err, storage.ErrTooManyFiles):
		return kafka.KafkaStorageError, err.Error()
	}
	return kafka.UnknownServerError, err.Error()
}
