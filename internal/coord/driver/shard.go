package driver

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/coord/runtime"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	replicadriver "github.com/barnabas-mq/barnabas/internal/replica/driver"
	"github.com/barnabas-mq/barnabas/internal/storage"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// shard is one partition of __consumer_offsets: its runtime, the partition under it, and the calls that wait.
type shard struct {
	c     *Coordinator
	part  *replicadriver.Partition
	epoch int32 // of the leadership it was made for

	committed *replicadriver.Waiter // the log may have moved
	stop      chan struct{}         // closed when the shard is not ours any more

	mu      sync.Mutex // guards all below
	rt      *runtime.Runtime
	loaded  Shard // the runtime's
	calls   map[coord.ReplyID]*Call
	timer   *time.Timer
	armed   vtime.Instant // what timer is set to; 0 for nothing
	reading entry         // the record that is being replayed
	stopped bool          // stop is closed
	closing bool          // no new requests; ends when the log has everything
}

// writer is what a write needs room for. Writes are rare beside shards, and a batch may be megabytes: so shards share a few.
type writer struct {
	build   *batch.Builder
	scratch []byte
}

func newShard(c *Coordinator, p *replicadriver.Partition) *shard {
	s := &shard{c: c, part: p, epoch: p.LeaderEpoch(), committed: replicadriver.NewWaiter(), stop: make(chan struct{}),
		calls: map[coord.ReplyID]*Call{}, timer: time.NewTimer(time.Hour)}
	s.timer.Stop()
	s.rt = runtime.New(func() coord.Shard { s.loaded = c.cfg.NewShard(); return s.loaded })
	s.rt.Load()
	return s
}

func (s *shard) state() runtime.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rt.State()
}

// submit is one request, or an event that nobody waits for (call nil).
func (s *shard) submit(call *Call, ev coord.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := coord.ReplyID(0)
	if call != nil {
		if s.stopped || s.closing {
			call.answer(coord.Refused{Code: kafka.NotCoordinator})
			return
		}
		id = call.ID
		s.calls[id] = call
	}
	s.guard("request", func() { s.say(s.rt.Request(s.c.now(), id, ev)) })
	s.settle()
}

// guard keeps a panic in the core from taking more with it than the shard.
func (s *shard) guard(what string, f func()) {
	defer func() {
		if p := recover(); p != nil {
			s.panicked(what, p)
			s.drop()
		}
	}()
	f()
}

// say sends answers to whoever asked, and notes to whoever listens. s.mu is held, so that both keep their order.
func (s *shard) say(out runtime.Output) {
	for _, r := range out.Replies {
		if call := s.calls[r.To]; call != nil {
			delete(s.calls, r.To)
			call.answer(r.Body)
		}
	}
	if len(out.Notes) > 0 && s.c.cfg.Notes != nil {
		s.c.cfg.Notes(s.part.Name.Partition, out.Notes)
	}
}

// drop gives up what the runtime remembers; run loads it again.
func (s *shard) drop() {
	s.say(s.rt.Drop())
	for id, call := range s.calls { // any order: they do not know of each other
		delete(s.calls, id) // the runtime lost count of it in a panic
		call.answer(coord.Refused{Code: kafka.NotCoordinator})
	}
	s.loaded = nil
	if s.c.cfg.Dropped != nil {
		s.c.cfg.Dropped(s.part.Name.Partition)
	}
	s.committed.Wake()
	if s.closing {
		s.end() // nothing is left to wait for
	}
}

// settle appends what there is to append and sets the timer, after whatever happened. s.mu is held.
func (s *shard) settle() {
	for {
		b, ok := s.rt.Batch()
		if !ok {
			break
		}
		if err := s.append(b); err != nil {
			s.c.cfg.Logger.Error("the offsets of consumer groups cannot be written; whoever waits is told to ask again, and the partition is read anew",
				"topic", s.part.Name.Topic, "partition", s.part.Name.Partition, "error", err)
			s.drop()
			break
		}
		if s.part.HighWatermark() < b.End {
			s.part.Await(b.End, s.committed)
			break
		}
		s.guard("commit", func() { s.say(s.rt.Committed(b.End)) })
	}
	at, ok := s.rt.Next()
	if !ok || s.stopped {
		s.armed = 0
		s.timer.Stop()
		return
	}
	if at != s.armed {
		s.armed = at
		// A moment late rather than early: the runtime would only ask for the rest.
		s.timer.Reset(max(0, time.Duration(at-s.c.now())) + time.Millisecond)
	}
}

// append writes the steps of a batch, as few batches as the size allows, and no step as two.
func (s *shard) append(b runtime.Batch) error {
	w := s.c.writers.Get().(*writer)
	defer s.c.writers.Put(w) // the log is done with the bytes when Append returns
	nowMs := s.c.cfg.Now().UnixMilli()
	at := b.BaseOffset
	for first := 0; first < len(b.Steps); {
		w.build.Reset(batch.Options{LeaderEpoch: s.epoch, Codec: s.c.cfg.Codec})
		n := 0
		for ; first < len(b.Steps); first++ {
			if n > 0 && w.build.Len()+size(b.Steps[first]) > s.c.cfg.BatchBytesMax {
				break
			}
			for _, r := range b.Steps[first] {
				if err := w.add(r, nowMs); err != nil {
					return err
				}
				n++
			}
		}
		built, err := w.build.Build()
		if err != nil {
			return fmt.Errorf("make a batch: %w", err)
		}
		done, err := s.part.Append(built, -1, storage.Coordinator, nowMs)
		if err != nil {
			return err
		}
		if done.BaseOffset != at {
			return fmt.Errorf("the batch is at offset %d instead of %d: somebody else wrote to the partition", done.BaseOffset, at)
		}
		at = done.LastOffset + 1
	}
	return nil
}

// size is at most what the records take in a batch.
func size(step []record.Record) (n int) {
	const overhead = 32 // of one record: lengths, deltas
	for _, r := range step {
		n += record.Size(r) + overhead
	}
	return n
}

func (w *writer) add(r record.Record, nowMs int64) error {
	w.scratch = r.AppendKey(w.scratch[:0])
	n := len(w.scratch)
	with, ok := r.AppendValue(w.scratch)
	w.scratch = with
	key, value := with[:n], with[n:]
	if !ok {
		value = nil
	}
	if err := w.build.Append(nowMs, key, value, nil); err != nil {
		return fmt.Errorf("add a record to the batch: %w", err)
	}
	return nil
}

// run is the goroutine of the shard: it loads it, and then waits for timers, for the log and for the end.
func (s *shard) run() {
	backoff := reloadBackoff
	for {
		err := s.load()
		switch {
		case err == nil:
			backoff = reloadBackoff
			s.serve()
		case errors.Is(err, errStopped):
		default:
			s.c.cfg.Logger.Error("consumer groups cannot be read; their clients hear COORDINATOR_LOAD_IN_PROGRESS, and it is tried again",
				"topic", s.part.Name.Topic, "partition", s.part.Name.Partition, "error", err, "again_in", backoff)
		}
		select {
		case <-s.stop:
			return
		case <-time.After(backoff): // after a drop too: a partition that cannot be written must not be read in circles
		}
		backoff = min(2*backoff, reloadBackoffMax)
		s.mu.Lock()
		if s.rt.State() == runtime.Idle && !s.stopped {
			s.rt.Load()
		}
		s.mu.Unlock()
	}
}

const (
	reloadBackoff    = 100 * time.Millisecond
	reloadBackoffMax = 10 * time.Second
)

// serve waits for what comes by itself, until the shard is dropped or not ours any more.
func (s *shard) serve() {
	for {
		select {
		case <-s.stop:
			return
		case <-s.committed.C:
			if !s.moved() {
				return
			}
		case <-s.timer.C:
			s.mu.Lock()
			s.armed = 0
			if s.rt.State() == runtime.Active && !s.stopped {
				s.guard("timer", func() { s.say(s.rt.Tick(s.c.now())) })
			}
			s.settle()
			s.mu.Unlock()
		}
	}
}

// moved looks how far the log is committed, and at whether the partition still serves. It reports whether the shard goes on.
func (s *shard) moved() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rt.State() != runtime.Active {
		return false // dropped
	}
	if code := s.part.ErrorCode(); code != kafka.None {
		s.c.cfg.Logger.Error("a partition of consumer groups stopped serving", "topic", s.part.Name.Topic, "partition", s.part.Name.Partition, "code", code)
		s.drop()
		return false
	}
	s.guard("commit", func() { s.say(s.rt.Committed(s.part.HighWatermark())) })
	s.settle()
	if s.closing && s.rt.Settled() {
		s.end()
	}
	return s.rt.State() == runtime.Active
}

// close takes no more requests. Once the log has everything, the rest is told to look for another coordinator.
func (s *shard) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	if s.rt.State() != runtime.Active || s.rt.Settled() {
		s.end()
	}
}

// resign gives the shard up at once.
func (s *shard) resign() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end()
}

// end is the last thing that happens to a shard; s.mu is held.
func (s *shard) end() {
	if s.stopped {
		return
	}
	s.stopped = true
	s.drop()
	s.timer.Stop()
	s.part.Forget(s.committed)
	close(s.stop)
}
