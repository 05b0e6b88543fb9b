package storage

import (
	"errors"
	"fmt"
	"io"

	"github.com/barnabas-mq/barnabas/internal/batch"
)

// Lookups by timestamp, for ListOffsets.

// OffsetForTime finds the first record with a timestamp of at least ts whose offset is at least the log start and below limit: its offset,
// timestamp and the leader epoch of its batch. found is false when there is none.
func (l *Log) OffsetForTime(ts, limit int64) (offset, timestamp int64, epoch int32, found bool, err error) {
	err = l.steadily(func(v *view) error {
		offset, timestamp, epoch, found = -1, -1, -1, false
		start, limit := l.start.Load(), min(limit, l.end.Load())
		for i := v.floor(start); i < len(v.segments) && v.segments[i].base < limit; i++ {
			s := v.segments[i]
			x, err := s.index()
			if err != nil {
				return err
			}
			if newest, _ := x.maxTime(); newest < ts {
				continue
			}
			offset, timestamp, epoch, found, err = s.firstSince(ts, max(start, x.floorTime(ts)), start, limit)
			if err != nil || found {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return -1, -1, -1, false, fmt.Errorf("look up timestamp %d in %v: %w", ts, l.tp, err)
	}
	return offset, timestamp, epoch, found, nil
}

// MaxTimestampOffset finds the record with the largest timestamp below limit, the first one of several.
func (l *Log) MaxTimestampOffset(limit int64) (offset, timestamp int64, epoch int32, found bool, err error) {
	err = l.steadily(func(v *view) error {
		offset, timestamp, epoch, found = -1, -1, -1, false
		start, end := l.start.Load(), l.end.Load()
		limit := min(limit, end)
		for i := v.floor(start); i < len(v.segments) && v.segments[i].base < limit; i++ {
			s := v.segments[i]
			x, err := s.index()
			if err != nil {
				return err
			}
			newest, _ := x.maxTime()
			if newest > timestamp && (v.end(i, end) > limit || s.base < start) {
				// The segment is visible in part, and its maximum may lie in the other.
				if newest, err = s.newestBetween(start, limit); err != nil {
					return err
				}
			}
			if newest <= timestamp {
				continue
			}
			o, t, e, ok, err := s.firstSince(newest, max(start, x.floorTime(newest)), start, limit)
			if err != nil {
				return err
			}
			if ok {
				offset, timestamp, epoch, found = o, t, e, true
			}
		}
		return nil
	})
	if err != nil {
		return -1, -1, -1, false, fmt.Errorf("look up the largest timestamp in %v: %w", l.tp, err)
	}
	return offset, timestamp, epoch, found, nil
}

// steadily runs a lookup over the current view, again when the view changed and the lookup stumbled over that.
func (l *Log) steadily(look func(v *view) error) error {
	for {
		if err := l.usable(); err != nil {
			return err
		}
		v := l.view.Load()
		err := look(v)
		if err == nil || l.view.Load() == v {
			return err
		}
	}
}

// firstSince walks from offset from to the first record at or above start with a timestamp of at least ts, and below limit.
func (s *segment) firstSince(ts, from, start, limit int64) (offset, timestamp int64, epoch int32, found bool, err error) {
	offset, timestamp, epoch = -1, -1, -1
	err = s.walkBatches(from, limit, func(f io.ReaderAt, h batch.Batch, pos, total int64) (stop bool, err error) {
		if h.MaxTimestamp() < ts || h.LastOffset() < start {
			return false, nil
		}
		e := h.LeaderEpoch()
		err = s.eachRecord(f, pos, total, func(r *batch.Record) error {
			if r.Timestamp >= ts && r.Offset >= start && r.Offset < limit {
				offset, timestamp, epoch, found = r.Offset, r.Timestamp, e, true
				return batch.ErrStop
			}
			return nil
		})
		return found, err
	})
	return offset, timestamp, epoch, found, err
}

// newestBetween is the largest timestamp of records in [start, limit), -1 for none. Batches that lie there as a whole tell by their header.
func (s *segment) newestBetween(start, limit int64) (newest int64, err error) {
	newest = -1
	err = s.walkBatches(start, limit, func(f io.ReaderAt, h batch.Batch, pos, total int64) (stop bool, err error) {
		if h.MaxTimestamp() <= newest {
			return false, nil
		}
		if h.BaseOffset() >= start && h.LastOffset() < limit {
			newest = h.MaxTimestamp()
			return false, nil
		}
		return false, s.eachRecord(f, pos, total, func(r *batch.Record) error {
			if r.Offset >= start && r.Offset < limit {
				newest = max(newest, r.Timestamp)
			}
			return nil
		})
	})
	return newest, err
}

// walkBatches calls fn for the batch that holds offset from, or the next one, and those after it that begin below limit.
func (s *segment) walkBatches(from, limit int64, fn func(f io.ReaderAt, h batch.Batch, pos, total int64) (stop bool, err error)) error {
	b, err := s.locate(from)
	if err == io.EOF {
		return nil
	}
	if err != nil {
		return err
	}
	f, err := s.file.pin()
	if err != nil {
		return err
	}
	defer s.file.unpin()
	w := newWalker(f, s.file.path(), b.pos, s.size.Load())
	defer w.close()
	for {
		h, err := w.next()
		if err == io.EOF || (err == nil && h.BaseOffset() >= limit) {
			return nil
		}
		if err != nil {
			return err
		}
		if stop, err := fn(f, h, w.start, w.total); stop || err != nil {
			return err
		}
	}
}

// eachRecord reads the batch at pos whole and hands out its records.
func (s *segment) eachRecord(f io.ReaderAt, pos, total int64, fn func(*batch.Record) error) error {
	whole := make(batch.Batch, total)
	if n, err := f.ReadAt(whole, pos); n < len(whole) {
		return errors.Join(io.ErrUnexpectedEOF, err)
	}
	rd := s.log.store.reader()
	defer s.log.store.readers.Put(rd)
	return rd.Each(whole, fn)
}
