package storage

import (
	"fmt"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// Origin is who hands a batch to Append, and so which rules it meets.
type Origin int8

const (
	// Client: offsets are assigned, idempotence is checked, control batches are refused.
	Client Origin = iota
	// Replication: the batch comes from the leader as it stands; its CRC and the order of offsets are checked, nothing is assigned.
	Replication
	// Coordinator: a broker's own coordinator writes; offsets are assigned, control batches allowed.
	Coordinator
)

// AppendOptions says how a batch is appended.
type AppendOptions struct {
	LeaderEpoch int32 // stamped into the batch; not used by Replication
	Origin      Origin
	NowMs       int64 // wall time, for rolling and for the producers' expiry
}

// AppendResult says where a batch is.
type AppendResult struct {
	BaseOffset, LastOffset int64
	LogAppendTimeMs        int64 // -1 under CreateTime
	LogStartOffset         int64
	Duplicate              bool // nothing was appended: these are the offsets of the first time
}

// Append puts one batch at the end of the log. b passed batch.Check; its base offset and leader epoch are patched in place. The bytes are in
// the kernel on return, readable below EndOffset, durable once a flush was wanted and reported.
//
// Errors: *Refusal when the log's rules turn the batch down, *FullError when the disk is down to its reserve, *OfflineError when the
// directory is or goes offline, ErrTooManyFiles, ErrClosed. In every case nothing of b is part of the log.
func (l *Log) Append(b batch.Batch, o AppendOptions) (AppendResult, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(); err != nil {
		return AppendResult{}, err
	}
	marker, dup, isDup, err := l.admit(b, &o)
	if err != nil {
		return AppendResult{}, err
	}
	if isDup {
		r := AppendResult{BaseOffset: dup.FirstOffset, LastOffset: dup.LastOffset, LogAppendTimeMs: -1, LogStartOffset: l.start.Load(), Duplicate: true}
		if b.LogAppendTime() {
			r.LogAppendTimeMs = dup.Timestamp
		}
		return r, nil
	}
	if err := l.dir.roomFor(len(b)); err != nil {
		return AppendResult{}, err
	}
	end := l.end.Load()
	if o.Origin == Replication {
		o.LeaderEpoch = b.LeaderEpoch()
	} else {
		b.SetBaseOffset(end)
		b.SetLeaderEpoch(o.LeaderEpoch)
	}
	if latest := l.epochs.latest(); o.LeaderEpoch > latest {
		if err := l.AssignEpoch(o.LeaderEpoch, b.BaseOffset()); err != nil {
			return AppendResult{}, err
		}
	}
	base, last := b.BaseOffset(), b.LastOffset()
	s, x, err := l.segmentFor(b, last, o.NowMs)
	if err != nil {
		return AppendResult{}, err
	}
	pos := s.size.Load()
	switch err := s.write(b, pos); {
	case noDescriptor(err):
		return AppendResult{}, fmt.Errorf("append to %v: %w", l.tp, ErrTooManyFiles)
	case err != nil:
		return AppendResult{}, l.dir.fail(fmt.Sprintf("appending to %v", l.tp), err)
	}
	maxTS := b.MaxTimestamp()
	x.add(base, last, maxTS, len(b), l.config().IndexIntervalBytes)
	if b.HasProducerID() {
		if t, isAborted := l.prod.apply(b, marker, o.NowMs); isAborted {
			x.addAborted(t)
		}
	}
	s.size.Store(pos + int64(len(b)))
	l.end.Store(last + 1)
	l.noteDirty(last+1, o.NowMs)
	r := AppendResult{BaseOffset: base, LastOffset: last, LogAppendTimeMs: -1, LogStartOffset: l.start.Load()}
	if b.LogAppendTime() {
		r.LogAppendTimeMs = maxTS
	}
	return r, nil
}

// admit applies the rules of the batch's origin.
func (l *Log) admit(b batch.Batch, o *AppendOptions) (marker *batch.EndTxnMarker, dup ProducerBatch, isDup bool, err error) {
	if len(b) < minBatchSize {
		panic("storage: Append of something that is no batch")
	}
	switch o.Origin {
	case Replication:
		if end := l.end.Load(); b.BaseOffset() < end || b.LastOffsetDelta() < 0 {
			return nil, dup, false, refuse(kafka.CorruptMessage, "a batch with offsets %d to %d cannot follow log end %d", b.BaseOffset(), b.LastOffset(), end)
		}
		if !b.ValidCRC() {
			return nil, dup, false, refuse(kafka.CorruptMessage, "the batch at offset %d fails its CRC", b.BaseOffset())
		}
	default:
		if b.LastOffsetDelta() < 0 {
			return nil, dup, false, refuse(kafka.InvalidRecord, "the batch has last offset delta %d", b.LastOffsetDelta())
		}
		if latest := l.epochs.latest(); o.LeaderEpoch < latest {
			return nil, dup, false, refuse(kafka.FencedLeaderEpoch, "leader epoch %d is over, the log is in %d", o.LeaderEpoch, latest)
		}
		if limit := l.config().SegmentBytes; int64(len(b)) > limit {
			return nil, dup, false, refuse(kafka.RecordListTooLarge, "the batch has %d bytes, segment.bytes is %d", len(b), limit)
		}
	}
	if b.Control() {
		if o.Origin == Client {
			return nil, dup, false, refuse(kafka.InvalidRecord, "clients may not write control batches")
		}
		rd := l.store.reader()
		marker = parseMarker(b, rd)
		l.store.readers.Put(rd)
		if marker != nil && o.Origin == Coordinator {
			if err := l.prod.checkMarker(b.ProducerID(), b.ProducerEpoch(), marker.CoordinatorEpoch); err != nil {
				return nil, dup, false, err
			}
		}
		return marker, dup, false, nil
	}
	if o.Origin != Replication && b.HasProducerID() && b.BaseSequence() >= 0 {
		dup, isDup, err = l.prod.check(b)
	}
	return nil, dup, isDup, err
}

// segmentFor is the last segment, rolled first when the batch does not belong into it (reference 3.2).
func (l *Log) segmentFor(b batch.Batch, last, nowMs int64) (*segment, *segIndex, error) {
	s := l.view.Load().last()
	x, err := s.index()
	if err != nil {
		return nil, nil, l.dir.fail(fmt.Sprintf("reading the last segment of %v", l.tp), err)
	}
	if !s.mustRoll(x, len(b), b.MaxTimestamp(), last, nowMs) {
		return s, x, nil
	}
	// The new segment continues where the log ends, so that recovery may take a gap between segments for a loss. Only an offset that
	// lies too far ahead for that begins its own segment.
	if err := l.roll(max(l.end.Load(), last-maxRelative)); err != nil {
		return nil, nil, err
	}
	s = l.view.Load().last()
	s.createdMs = nowMs
	return s, s.idx.Load(), nil
}

func (s *segment) mustRoll(x *segIndex, length int, maxTS, last, nowMs int64) bool {
	c := s.log.config()
	size := s.size.Load()
	if last-s.base > maxRelative {
		return true
	}
	if size == 0 {
		return false
	}
	return size+int64(length) > c.SegmentBytes || s.waited(x, maxTS, nowMs) > c.rollMs()-s.jitterMs || x.full(c.SegmentIndexBytes)
}

// waited is how long the segment has been growing: in event time when its first batch has a timestamp, else by the wall clock.
func (s *segment) waited(x *segIndex, maxTS, nowMs int64) int64 {
	if first := x.firstTime(); first >= 0 {
		return maxTS - first
	}
	return nowMs - s.createdMs
}

// write puts b at pos and keeps the file open until it is flushed.
func (s *segment) write(b []byte, pos int64) error {
	f, err := s.file.pin()
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(b, pos); err != nil {
		s.file.unpin()
		return err
	}
	// A file that was closed between write and sync might not report that the write-back failed. So the pin stays until the flush, but
	// where none is promised.
	if s.log.store.cfg.FlushMode == FlushNever || !s.dirty.CompareAndSwap(false, true) {
		s.file.unpin()
	}
	return nil
}

// letGo ends the pin that write left.
func (s *segment) letGo() {
	if s.dirty.Swap(false) {
		s.file.unpin()
	}
}

// noteDirty asks for a flush where flush.messages or flush.ms of the topic want one, or where files that wait for one take up too many
// descriptors; in commit mode the caller of Append decides.
func (l *Log) noteDirty(end, nowMs int64) {
	if l.store.cfg.FlushMode == FlushCommit {
		return
	}
	if l.dirtyMs.Load() == 0 {
		l.dirtyMs.Store(max(nowMs, 1))
	}
	if end-l.flushed.Load() >= l.config().FlushMessages || l.store.files.crowded() {
		l.WantFlush()
	}
}
