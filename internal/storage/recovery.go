package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// Recovery after an unclean stop (reference 3.3): the log is walked from its recovery point, what follows the first bad batch is cut,
// indexes, producers and epochs are made from the batches, and what is kept is synced before anybody can read it.

// recover walks the log from the segment that holds the recovery point, cuts it at the first bad batch, and rebuilds what is derived. ctx ends a
// walk; a cut that has begun is finished.
func (l *Log) recover(ctx context.Context, point int64) error {
	v := l.view.Load()
	// A recovery point at the very start of a segment may date from when the segment before it was the last one, and not sealed yet: what
	// is derived from that one may be missing.
	from := v.floor(point - 1)
	first := v.segments[from]
	rebuildEpochs := len(l.epochs.load()) == 0
	if rebuildEpochs {
		from, first = 0, v.segments[0]
	}
	for _, s := range v.segments[:from] {
		s.durable(s.size.Load())
		s.sealed.Store(true)
	}
	if err := l.replay(ctx, &l.prod, v, l.snapshots, first.base); err != nil {
		return err
	}
	r := recoverer{log: l, point: point, next: first.base, epochs: l.epochs.load(), reader: l.store.reader(), buf: *crcBuffers.Get().(*[]byte), nowMs: l.store.now()}
	defer func() {
		l.store.readers.Put(r.reader)
		crcBuffers.Put(&r.buf)
	}()
	cut := false
	for i := from; i < len(v.segments); i++ {
		s := v.segments[i]
		gap := s.base > r.next && i > from && !l.dir.foreign
		if s.base < r.next || gap {
			// A segment continues where its predecessor ended, so the end of that one is gone (or the names lie).
			l.logger().Error("segments do not join, cutting the log there", "segment", s.file.path(), "expected", r.next)
			if err := l.cutFrom(v, i); err != nil {
				return err
			}
			cut = true
			break
		}
		r.next = s.base
		s.snapshot = nil
		if i > from {
			v.segments[i-1].snapshot = l.prod.snapshot() // the sealer writes it
		}
		good, err := r.walk(ctx, s)
		if err == nil {
			continue
		}
		var bad *CorruptError
		if !errors.As(err, &bad) {
			return err
		}
		if i+1 < len(v.segments) && v.segments[i+1].base == r.next {
			// Nothing is missing: what is cut is the rest of a preallocated file that the sealer had no time to trim.
			if err := s.cut(good); err != nil {
				return err
			}
			continue
		}
		lost := s.size.Load() - good
		l.logger().Warn("cutting the log at the first batch that is not whole", "segment", bad.Segment, "position", bad.Position, "reason", bad.Reason,
			"bytes", lost, "end", r.next, "laterSegments", len(v.segments)-i-1)
		if err := l.cutFrom(v, i+1); err != nil {
			return err
		}
		if err := s.cut(good); err != nil {
			return err
		}
		cut = true
		break
	}
	l.end.Store(r.next)
	if !cut && r.next == point && !l.dir.suspect {
		l.untouched(point)
	} else {
		l.flushed.Store(min(point, first.base)) // all that was walked is synced again before it is served
	}
	if len(r.epochs) > 0 || rebuildEpochs {
		if err := l.changeEpochs(func(old []EpochEntry) ([]EpochEntry, bool) { return r.epochs, !equalEpochs(old, r.epochs) }); err != nil {
			return err
		}
	}
	return l.dropSnapshotsBeyond(r.next)
}

// untouched notes that the log ends at its recovery point, so that all of it is durable as it is: after a stop of a broker with many idle
// logs, nothing need be synced for them. Only a segment that begins at the recovery point may have a name that is not durable.
func (l *Log) untouched(point int64) {
	for _, s := range l.view.Load().segments {
		if s.base < point {
			s.durable(s.size.Load())
		}
	}
	l.flushed.Store(point)
}

// cutFrom removes segments i and later, the last first. The segment before them ends short of the first of them, so after a crash they lie
// behind a gap and are removed again. The gap is not filled before they are gone for good: secure syncs the folder of a log that was cut.
func (l *Log) cutFrom(v *view, i int) error {
	if i >= len(v.segments) {
		return nil
	}
	for k := len(v.segments) - 1; k >= i; k-- {
		v.segments[k].file.forget()
		if err := l.removeFiles(v.segments[k].base); err != nil {
			return err
		}
	}
	l.view.Store(&view{segments: v.segments[:i:i]})
	return nil
}

// cut shortens the file of the segment to size bytes.
func (s *segment) cut(size int64) error {
	f, err := s.file.pin()
	if err != nil {
		return err
	}
	defer s.file.unpin()
	if err := f.Truncate(size); err != nil {
		return err
	}
	s.size.Store(size)
	return nil
}

// dropSnapshotsBeyond removes producer snapshots above end: they tell of batches that are gone.
func (l *Log) dropSnapshotsBeyond(end int64) error {
	n := len(l.snapshots)
	for n > 0 && l.snapshots[n-1] > end {
		n--
		if err := l.removeSnapshot(l.snapshots[n]); err != nil {
			return err
		}
	}
	if n == len(l.snapshots) {
		return nil
	}
	l.snapshots = l.snapshots[:n]
	return l.store.fs.SyncDir(l.path)
}

// dropStraySnapshots removes snapshots that belong to no segment, but the newest: a clean stop writes one at the log end.
func (l *Log) dropStraySnapshots() error {
	if len(l.snapshots) < 2 {
		return nil
	}
	v := l.view.Load()
	kept := l.snapshots[:0:0]
	for i, off := range l.snapshots {
		if i == len(l.snapshots)-1 || v.segments[v.floor(off)].base == off {
			kept = append(kept, off)
		} else if err := l.removeSnapshot(off); err != nil {
			return err
		}
	}
	l.snapshots = kept
	return nil
}

// recoverer carries what a walk over several segments learns.
type recoverer struct {
	log    *Log
	point  int64 // below it CRCs are not computed
	next   int64 // first offset the next batch may have
	epochs []EpochEntry
	reader *batch.Reader
	buf    []byte
	nowMs  int64
}

// walk checks the batches of s and builds its index. good is the position behind the last sound one; a *CorruptError says what follows it.
func (r *recoverer) walk(ctx context.Context, s *segment) (good int64, err error) {
	l := r.log
	f, err := s.file.pin()
	if err != nil {
		return 0, err
	}
	defer s.file.unpin()
	x := newSegIndex(s.base)
	interval := l.config().IndexIntervalBytes
	w := newWalker(f, s.file.path(), 0, s.size.Load())
	defer w.close()
	rewriteFrom := int64(-1)
	// found ends the walk with what it found. A tail that cannot be written anew is worse than any damage behind it, which would only be cut.
	found := func(err error) (int64, error) {
		s.idx.Store(x)
		if failed := r.rewrite(ctx, f, rewriteFrom, x.size); failed != nil {
			err = failed
		}
		return x.size, err
	}
	for {
		if err := ctx.Err(); err != nil {
			return x.size, err
		}
		h, err := w.next()
		if err == io.EOF {
			return found(nil)
		}
		if err != nil {
			return found(err)
		}
		bad := func(format string, args ...any) (int64, error) {
			return found(&CorruptError{Segment: s.file.path(), Position: w.start, Reason: fmt.Sprintf(format, args...)})
		}
		if h.BaseOffset() < r.next || h.LastOffset()-s.base > maxRelative {
			return bad("offsets %d to %d cannot follow offset %d in this segment", h.BaseOffset(), h.LastOffset(), r.next)
		}
		if h.LastOffset() >= r.point {
			crc, err := batchCRC(ctx, f, w.start, w.total, r.buf)
			if err != nil {
				return x.size, err
			}
			if crc != h.CRC() {
				return bad("the batch has CRC %08x, its bytes give %08x", h.CRC(), crc)
			}
			if rewriteFrom < 0 {
				rewriteFrom = w.start
			}
		}
		if e := h.LeaderEpoch(); e >= 0 {
			r.epochs, _ = epochsAssign(r.epochs, e, h.BaseOffset())
		}
		x.add(h.BaseOffset(), h.LastOffset(), h.MaxTimestamp(), int(w.total), interval)
		if h.HasProducerID() {
			t, isAborted, err := l.prod.fold(f, h, w.start, w.total, r.reader, r.nowMs)
			if err != nil {
				return x.size, err
			}
			if isAborted {
				x.addAborted(t)
			}
		}
		r.next = h.LastOffset() + 1
	}
}

// rewrite writes the bytes in [from, to) again where an earlier sync had failed: the kernel shows them as written although the disk may not
// have them, and only a page that is written anew is synced again.
func (r *recoverer) rewrite(ctx context.Context, f vfs.File, from, to int64) error {
	if !r.log.dir.suspect || from < 0 {
		return nil
	}
	for at := from; at < to; {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := r.buf[:min(int64(len(r.buf)), to-at)]
		n, err := f.ReadAt(b, at)
		if n < len(b) {
			return fmt.Errorf("read back %d bytes at %d: %w", len(b), at, err)
		}
		if _, err := f.WriteAt(b, at); err != nil {
			return err
		}
		at += int64(len(b))
	}
	return nil
}

// fold applies the batch with header h, found at pos, to the producer state p.
func (p *producers) fold(f io.ReaderAt, h batch.Batch, pos, total int64, rd *batch.Reader, nowMs int64) (AbortedTxn, bool, error) {
	var marker *batch.EndTxnMarker
	if h.Control() {
		var err error
		if marker, err = readMarker(f, pos, total, rd); err != nil {
			return AbortedTxn{}, false, err
		}
	}
	t, isAborted := p.apply(h, marker, nowMs)
	return t, isAborted, nil
}

// loadProducers brings the producer state to the log end after a clean stop. Without any snapshot there was nothing to snapshot.
func (l *Log) loadProducers(ctx context.Context) error {
	if len(l.snapshots) == 0 {
		return nil
	}
	if err := l.dropSnapshotsBeyond(l.end.Load()); err != nil {
		return err
	}
	return l.replay(ctx, &l.prod, l.view.Load(), l.snapshots, l.end.Load())
}

// replay rebuilds in p the producer state as of offset upto: the newest readable snapshot, then the batches after it.
func (l *Log) replay(ctx context.Context, p *producers, v *view, snapshots []int64, upto int64) error {
	p.reset()
	nowMs := l.store.now()
	from := v.segments[0].base
	for i := len(snapshots) - 1; i >= 0; i-- {
		off := snapshots[i]
		if off > upto || off < from {
			continue
		}
		name := path.Join(l.path, segmentName(off, snapshotSuffix))
		b, err := readSmall(l.store.fs, name, maxSnapshot)
		var rows []SnapshotRow
		if err == nil {
			rows, err = decodeSnapshot(name, b)
		}
		var bad *FormatError
		if errors.As(err, &bad) || missing(err) {
			l.logger().Warn("a producer snapshot cannot be read, an older one is used", "error", err)
			continue
		}
		if err != nil {
			return err
		}
		p.restore(rows, nowMs)
		from = off
		break
	}
	rd := l.store.reader()
	defer l.store.readers.Put(rd)
	for i := v.floor(from); i < len(v.segments) && v.segments[i].base < upto && from < upto; i++ {
		if err := l.replaySegment(ctx, p, v.segments[i], from, upto, rd, nowMs, nil); err != nil {
			return err
		}
	}
	return nil
}

// replaySegment folds the batches of s in [from, upto) into p; aborted, if given, hears of the aborted transactions.
func (l *Log) replaySegment(ctx context.Context, p *producers, s *segment, from, upto int64, rd *batch.Reader, nowMs int64, aborted func(AbortedTxn)) error {
	f, err := s.file.pin()
	if err != nil {
		return err
	}
	defer s.file.unpin()
	w := newWalker(f, s.file.path(), 0, s.size.Load())
	defer w.close()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := w.next()
		if err == io.EOF || (err == nil && h.BaseOffset() >= upto) {
			return nil
		}
		var bad *CorruptError
		if errors.As(err, &bad) {
			// Below the recovery point a segment is believed. What a reader cannot get past, the replay cannot either.
			l.logger().Error("a segment below the recovery point is corrupt; producers after that point are not known", "error", err)
			return nil
		}
		if err != nil {
			return err
		}
		if h.LastOffset() < from || !h.HasProducerID() {
			continue
		}
		t, isAborted, err := p.fold(f, h, w.start, w.total, rd, nowMs)
		if err != nil {
			return err
		}
		if isAborted && aborted != nil {
			aborted(t)
		}
	}
}
