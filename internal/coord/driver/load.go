package driver

import (
	"errors"
	"fmt"
	"time"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/coord/runtime"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// errStopped says that the shard went elsewhere while it was being read.
var errStopped = errors.New("the shard is not ours any more")

var errPanicked = errors.New("the coordinator panicked on what it read")

// entry is one decoded record of the log.
type entry struct {
	offset int64
	r      record.Record
}

// load reads the whole partition and makes the shard active.
func (s *shard) load() error {
	select {
	case s.c.loads <- struct{}{}:
		defer func() { <-s.c.loads }()
	case <-s.stop:
		return errStopped
	}
	began := s.c.cfg.Now()
	log := s.part.Log()
	end := log.EndOffset()
	if err := s.await(end); err != nil {
		return err
	}
	s.mu.Lock()
	if s.rt.State() == runtime.Active || s.stopped {
		s.mu.Unlock()
		return errStopped
	}
	if s.rt.State() == runtime.Loading {
		s.rt.Drop() // an earlier reading failed half way
	}
	s.rt.Load()
	s.mu.Unlock()
	count, skipped := 0, 0
	reader := batch.NewReader(s.c.cfg.Codecs)
	var buf []byte
	for at := log.StartOffset(); at < end; {
		slice, err := log.Read(at, s.c.cfg.LoadBytes, end, true)
		if err != nil {
			return fmt.Errorf("read at offset %d: %w", at, err)
		}
		buf, err = slice.AppendTo(buf[:0])
		slice.Release()
		if err != nil {
			return fmt.Errorf("read at offset %d: %w", at, err)
		}
		entries, next, bad, err := s.decode(reader, buf, at)
		if err != nil {
			return err
		}
		if next == at {
			break // compaction took what was left below end
		}
		at, skipped = next, skipped+bad
		if err := s.replay(entries); err != nil {
			return err
		}
		count += len(entries)
	}
	if err := s.activate(end); err != nil {
		return err
	}
	if count+skipped > 0 {
		s.c.cfg.Logger.Info("consumer groups loaded", "topic", s.part.Name.Topic, "partition", s.part.Name.Partition, "records", count, "skipped", skipped, "end", end,
			"took", s.c.cfg.Now().Sub(began).Round(time.Millisecond))
	}
	return nil
}

// await waits until the log is committed below end. After an unclean start it is: what recovery kept is durable. In a cluster it says what
// earlier leaders had committed.
func (s *shard) await(end int64) error {
	for s.part.HighWatermark() < end {
		if code := s.part.ErrorCode(); code != kafka.None {
			return fmt.Errorf("the partition does not serve: %s", code)
		}
		s.part.Await(end, s.committed)
		select {
		case <-s.committed.C:
		case <-s.stop:
			return errStopped
		}
	}
	return nil
}

// decode reads the batches in b from offset from on; next is where to go on. A record that cannot be read is passed over and counted: one damaged
// record must not keep the other groups of the partition from their clients.
func (s *shard) decode(reader *batch.Reader, b []byte, from int64) (out []entry, next int64, skipped int, err error) {
	next = from
	for len(b) > 0 {
		one, rest, err := batch.Next(b)
		if err != nil {
			if next == from {
				return nil, 0, 0, fmt.Errorf("a batch behind offset %d: %w", from, err)
			}
			break // the read ended inside it
		}
		b = rest
		if one.LastOffset() < from {
			continue
		}
		next = one.LastOffset() + 1
		if one.Control() {
			continue
		}
		err = reader.Each(one, func(r *batch.Record) error {
			if r.Offset < from {
				return nil
			}
			rec, err := record.Decode(r.Key, r.Value)
			if err != nil {
				skipped++
				s.c.cfg.Logger.Error("a record of the coordinator cannot be read and is passed over", "topic", s.part.Name.Topic,
					"partition", s.part.Name.Partition, "offset", r.Offset, "error", err)
				return nil
			}
			out = append(out, entry{r.Offset, rec})
			return nil
		})
		if err != nil {
			return nil, 0, 0, fmt.Errorf("the batch at offset %d: %w", one.BaseOffset(), err)
		}
	}
	return out, next, skipped, nil
}

func (s *shard) replay(entries []entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped || s.rt.State() != runtime.Loading {
		return errStopped
	}
	s.guard("replay", func() {
		for _, s.reading = range entries {
			s.rt.Replay(s.reading.offset, s.reading.r)
		}
	})
	s.reading = entry{}
	if s.rt.State() != runtime.Loading {
		return errPanicked
	}
	return nil
}

// activate ends the reading. Topics that were deleted while nobody looked after the shard are forgotten now.
func (s *shard) activate(end int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped || s.rt.State() != runtime.Loading {
		return errStopped
	}
	s.guard("load", func() { s.say(s.rt.Loaded(s.c.now(), end)) })
	if s.rt.State() != runtime.Active {
		return errPanicked
	}
	for _, topic := range s.loaded.Topics() {
		if !s.c.cfg.TopicExists(topic) {
			ev := coord.TopicDeleted{Topic: topic}
			s.guard("load", func() { s.say(s.rt.Request(s.c.now(), 0, ev)) })
		}
		if s.rt.State() != runtime.Active {
			return errPanicked
		}
	}
	s.settle()
	return nil
}
