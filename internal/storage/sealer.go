package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// The sealer finishes segments that were rolled: bytes, indexes, producer snapshot and names become durable, in the background. Only then
// may the recovery point pass the segment. It also sweeps away what was deleted a while ago.

type sealer struct {
	dir  *logDir
	mu   sync.Mutex
	want []*Log
	wake chan struct{}

	trash []trashItem
}

// trashItem is a file or folder to be unlinked once nobody should be reading it any more.
type trashItem struct {
	name  string
	dueMs int64
	tree  bool
	file  *handle // a segment file, which readers may still hold
}

// wantSeal queues the log for sealing.
func (l *Log) wantSeal() {
	if !l.sealing.CompareAndSwap(false, true) {
		return
	}
	z := &l.dir.sealer
	z.mu.Lock()
	z.want = append(z.want, l)
	z.mu.Unlock()
	select {
	case z.wake <- struct{}{}:
	default:
	}
}

func (z *sealer) run(stop <-chan struct{}) {
	for {
		select {
		case <-z.wake:
		case <-stop:
			return
		}
		z.mu.Lock()
		logs := z.want
		z.want = nil
		z.mu.Unlock()
		for _, l := range logs {
			if z.dir.offlineErr() != nil {
				return
			}
			l.sealing.Store(false)
			if err := l.seal(context.Background()); err != nil {
				z.dir.fail(fmt.Sprintf("sealing a segment of %v", l.tp), err)
				return
			}
		}
	}
}

// discard unlinks name after delayMs.
func (z *sealer) discard(name string, tree bool, delayMs int64) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.trash = append(z.trash, trashItem{name: name, tree: tree, dueMs: z.dir.store.now() + delayMs})
}

// discardFile closes a segment file to new readers after delayMs, and unlinks it.
func (z *sealer) discardFile(h *handle, delayMs int64) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.trash = append(z.trash, trashItem{name: h.path(), file: h, dueMs: z.dir.store.now() + delayMs})
}

// sweep unlinks what is due by nowMs.
func (z *sealer) sweep(nowMs int64) error {
	var due []trashItem
	z.mu.Lock()
	z.trash = slices.DeleteFunc(z.trash, func(t trashItem) bool {
		if t.dueMs <= nowMs {
			due = append(due, t)
			return true
		}
		return false
	})
	z.mu.Unlock()
	var errs []error
	for _, t := range due {
		var err error
		if t.file != nil {
			t.file.forget()
		}
		if t.tree {
			err = z.dir.store.fs.RemoveAll(t.name)
		} else {
			err = z.dir.store.fs.Remove(t.name)
		}
		if err != nil && !missing(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// seal seals every segment but the last, oldest first. When ctx ends it stops between two of them.
func (l *Log) seal(ctx context.Context) error {
	l.sealMu.Lock()
	defer l.sealMu.Unlock()
	if l.closed.Load() {
		return nil
	}
	v := l.view.Load()
	for i, s := range v.segments[:len(v.segments)-1] {
		if s.sealed.Load() {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := l.sealSegment(s, v.segments[i+1].base); err != nil {
			return err
		}
	}
	return nil
}

// sealSegment makes all files of s durable. next is the base of the segment after it. sealMu is held, so nobody removes them.
func (l *Log) sealSegment(s *segment, next int64) error {
	x, err := s.index()
	if err != nil {
		return err
	}
	x.finish()
	size := s.size.Load()
	f, err := s.file.pin()
	if err != nil {
		return err
	}
	defer s.file.unpin()
	if l.config().Preallocate {
		if err := f.Truncate(size); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if _, err := s.writeIndexes(x, true); err != nil {
		return err
	}
	if err := l.saveSnapshot(s, next); err != nil {
		return err
	}
	if err := l.store.fs.SyncDir(l.path); err != nil {
		return err
	}
	l.syncMu.Lock()
	s.durable(size)
	s.letGo()
	l.syncMu.Unlock()
	s.sealed.Store(true)
	l.store.indexes.add(s, x)
	l.advanceFlushed()
	return nil
}

// saveSnapshot writes the producer state at the end of s, unless that was done. Its name is durable after a SyncDir. sealMu is held.
func (l *Log) saveSnapshot(s *segment, next int64) error {
	l.mu.Lock()
	snapshot := s.snapshot
	s.snapshot = nil
	l.mu.Unlock()
	if snapshot == nil {
		return nil
	}
	if err := l.writeFile(segmentName(next, snapshotSuffix), snapshot, true); err != nil {
		return err
	}
	l.addSnapshot(next)
	return nil
}

// advanceFlushed raises the durable end over segments that the sealer synced. In commit mode the flusher does, which also reports it.
func (l *Log) advanceFlushed() {
	if l.store.cfg.FlushMode == FlushCommit {
		return
	}
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	v := l.view.Load()
	now := l.flushed.Load()
	for i := v.floor(now); i+1 < len(v.segments); i++ {
		if s := v.segments[i]; !s.named.Load() || s.synced.Load() != s.size.Load() {
			break
		}
		now = max(now, v.segments[i+1].base)
	}
	l.flushed.Store(now)
}

// snapshotOffsets lists the snapshot files, ascending.
func (l *Log) snapshotOffsets() []int64 {
	l.snapMu.Lock()
	defer l.snapMu.Unlock()
	return slices.Clone(l.snapshots)
}

// addSnapshot notes that a snapshot file exists.
func (l *Log) addSnapshot(offset int64) {
	l.snapMu.Lock()
	defer l.snapMu.Unlock()
	if i, there := slices.BinarySearch(l.snapshots, offset); !there {
		l.snapshots = slices.Insert(l.snapshots, i, offset)
	}
}

// writeIndexes writes the companions of a segment and answers the names of those it wrote.
func (s *segment) writeIndexes(x *segIndex, sync bool) (names []string, err error) {
	write := func(suffix string, data []byte) {
		if err == nil {
			names = append(names, segmentName(s.base, suffix))
			err = s.log.writeFile(segmentName(s.base, suffix), data, sync)
		}
	}
	index, times := x.encode()
	write(indexSuffix, index)
	write(timeIndexSuffix, times)
	if aborted := x.abortedTxns(); len(aborted) > 0 {
		write(txnIndexSuffix, encodeTxnIndex(aborted))
	} else if err == nil {
		if err = s.log.store.fs.Remove(s.fileName(txnIndexSuffix)); missing(err) {
			err = nil
		}
	}
	if err != nil {
		return nil, err
	}
	x.clean()
	return names, nil
}

// trim cuts a preallocated file to its bytes.
func (s *segment) trim() error {
	f, err := s.file.pin()
	if err != nil {
		return err
	}
	defer s.file.unpin()
	return f.Truncate(s.size.Load())
}
