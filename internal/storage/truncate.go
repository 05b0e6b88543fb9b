package storage

import (
	"context"
	"fmt"
	"slices"
)

// TruncateTo cuts the log so that it ends at offset, or at the start of the batch that holds it. Beyond the end it does nothing; below the
// log start everything goes and the log starts anew at offset. Durable on return. Followers do this when their log differs from the
// leader's (reference 4.4).
func (l *Log) TruncateTo(offset int64) error {
	if offset < 0 {
		return fmt.Errorf("truncate %v to offset %d: it is negative", l.tp, offset)
	}
	return l.exclusively("truncating", func() error {
		switch {
		case offset >= l.end.Load():
			return nil
		case offset < l.start.Load():
			return l.restartAt(offset)
		}
		return l.truncate(offset)
	})
}

// TruncateFullyAndStartAt drops everything; the log is empty and starts and ends at offset. Durable on return.
func (l *Log) TruncateFullyAndStartAt(offset int64) error {
	if offset < 0 {
		return fmt.Errorf("restart %v at offset %d: it is negative", l.tp, offset)
	}
	return l.exclusively("truncating", func() error { return l.restartAt(offset) })
}

// exclusively runs do with all locks of the log; an error takes the directory offline, since the files may be half changed.
func (l *Log) exclusively(op string, do func() error) error {
	l.cleaning.abort()
	l.sealMu.Lock()
	defer l.sealMu.Unlock()
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(); err != nil {
		return err
	}
	if err := do(); err != nil {
		return l.dir.fail(fmt.Sprintf("%s %v", op, l.tp), err)
	}
	return nil
}

func (l *Log) truncate(offset int64) error {
	v := l.view.Load()
	i := v.floor(offset)
	if i > 0 && v.segments[i].base == offset {
		i-- // the segment before it becomes the last one again, unless it is full: then the next append rolls
	}
	keep := v.segments[i]
	size := keep.size.Load()
	if b, err := keep.locate(offset); err == nil {
		if b.base < l.start.Load() { // nothing readable is left of it
			return l.restartAt(l.start.Load())
		}
		offset, size = b.base, b.pos
	}
	// Later segments first and for good, as in recovery: a crash in between must not find them behind a shorter one.
	if err := l.dropSegments(v.segments[i+1:]); err != nil {
		return err
	}
	if err := keep.cut(size); err != nil {
		return err
	}
	f, err := keep.file.pin()
	if err != nil {
		return err
	}
	err = f.Sync()
	keep.file.unpin()
	if err != nil {
		return err
	}
	// A new segment object for the same file: readers of the old view keep what they had.
	s := l.segment(keep.base, keep.file)
	s.createdMs = keep.createdMs
	s.named.Store(keep.named.Load())
	s.size.Store(size)
	s.synced.Store(size)
	keep.letGo()
	l.store.indexes.remove(keep)
	x := newSegIndex(s.base)
	if f, err = s.file.pin(); err != nil {
		return err
	}
	err = s.extend(f, x, 0, size)
	s.file.unpin()
	if err != nil {
		return err
	}
	if old := keep.idx.Load(); old != nil {
		x.aborted = slices.DeleteFunc(old.abortedTxns(), func(t AbortedTxn) bool { return t.LastOffset >= offset })
	} else if aborted, err := keep.loadAborted(); err != nil {
		return err
	} else {
		x.aborted = slices.DeleteFunc(aborted, func(t AbortedTxn) bool { return t.LastOffset >= offset })
	}
	s.idx.Store(x)
	return l.truncated(append(slices.Clone(v.segments[:i]), s), offset)
}

// truncated publishes what is left and makes all that is derived agree with it.
func (l *Log) truncated(segments []*segment, end int64) error {
	l.view.Store(&view{segments: segments})
	l.end.Store(end)
	l.flushed.Store(min(l.flushed.Load(), end))
	l.hw.Store(min(l.hw.Load(), end))
	l.cleaning.truncated(end)
	if err := l.changeEpochs(func(e []EpochEntry) ([]EpochEntry, bool) { return epochsTruncateEnd(e, end) }); err != nil {
		return err
	}
	l.snapMu.Lock()
	err := l.dropSnapshotsBeyond(end)
	l.snapMu.Unlock()
	if err != nil {
		return err
	}
	if err := l.replay(context.Background(), &l.prod, l.view.Load(), l.snapshotOffsets(), end); err != nil {
		return err
	}
	return l.dir.saveRecoveryPoints()
}

// dropSegments unlinks segments for good, the last first.
func (l *Log) dropSegments(segs []*segment) error {
	for _, s := range slices.Backward(segs) {
		s.letGo()
		s.file.forget()
		l.store.indexes.remove(s)
		if err := l.removeFiles(s.base); err != nil {
			return err
		}
	}
	if len(segs) == 0 {
		return nil
	}
	return l.store.fs.SyncDir(l.path)
}

func (l *Log) restartAt(offset int64) error {
	if err := l.dropSegments(l.view.Load().segments); err != nil {
		return err
	}
	l.snapMu.Lock()
	err := l.dropSnapshotsBeyond(-1)
	l.snapMu.Unlock()
	if err != nil {
		return err
	}
	s, err := l.newSegment(offset)
	if err != nil {
		return err
	}
	// Its name is durable with the first flush. Until then there is nothing in it to lose: the log start is in its checkpoint.
	l.rising.Store(offset)
	l.start.Store(offset)
	l.flushed.Store(offset)
	if err := l.truncated([]*segment{s}, offset); err != nil {
		return err
	}
	if err := l.changeEpochs(func(e []EpochEntry) ([]EpochEntry, bool) { return nil, len(e) > 0 }); err != nil {
		return err
	}
	return l.dir.saveLogStarts()
}
