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
			newest, at := x.maxTime()
			if newest <= timestamp {
				continue
			}
			if v.end(i, end) > limit || s.base < start {
				// The segment is visible in part, so what it knows of its maximum may lie outside.
				if newest, err = s.newestBetween(start, limit); err != nil {
					return err
				}
				if newest <= timestamp {
					continue
				}
				at = start
			}
			o, t, e, ok, err := s.firstSince(newest, max(start, x.floorTime(newest)), start, limit)
			if err != nil {
				return err
			}
			if ok {
				offset, timestamp, epoch, found = o, t, e, true
			}
			_ = at
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
	none := func(err error) (int64, int64, int32, bool, error) { return -1, -1, -1, false, err }
	b, err := s.locate(from)
	if err == io.EOF {
		return none(nil)
	}
	if err != nil {
		return none(err)
	}
	f, err := s.file.pin()
	if err != nil {
		return none(err)
	}
	defer s.file.unpin()
	rd := s.log.store.reader()
	defer s.log.store.readers.Put(rd)
	w := newWalker(f, s.file.path(), b.pos, s.size.Load())
	defer w.close()
	for {
		h, err := w.next()
		if err == io.EOF || (err == nil && h.BaseOffset() >= limit) {
			return none(nil)
		}
		if err != nil {
			return none(err)
		}
		if h.MaxTimestamp() < ts || h.LastOffset() < start {
			continue
		}
		whole := make(batch.Batch, w.total)
		if n, err := f.ReadAt(whole, w.start); n < len(whole) {
			return none(errors.Join(io.ErrUnexpectedEOF, err))
		}
		err = rd.Each(whole, func(r *batch.Record) error {
			if r.Timestamp >= ts && r.Offset >= start && r.Offset < limit {
				offset, timestamp, epoch, found = r.Offset, r.Timestamp, whole.LeaderEpoch(), true
				return batch.ErrStop
			}
			return nil
		})
		if err != nil {
			return none(err)
		}
		if found {
			return offset, timestamp, epoch, true, nil
		}
	}
}

// newestBetween is the largest timestamp of batches that touch [start, limit), -1 for none.
func (s *segment) newestBetween(start, limit int64) (int64, error) {
	newest := int64(-1)
	b, err := s.locate(start)
	if err == io.EOF {
		return newest, nil
	}
	if err != nil {
		return newest, err
	}
	f, err := s.file.pin()
	if err != nil {
		return newest, err
	}
	defer s.file.unpin()
	w := newWalker(f, s.file.path(), b.pos, s.size.Load())
	defer w.close()
	for {
		h, err := w.next()
		if err == io.EOF || (err == nil && h.BaseOffset() >= limit) {
			return newest, nil
		}
		if err != nil {
			return newest, err
		}
		newest = max(newest, h.MaxTimestamp())
	}
}
