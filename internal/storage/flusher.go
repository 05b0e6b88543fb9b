package storage

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// The flusher of a log directory makes appended bytes durable for all its logs at once. While one flush is at the disk, whoever wants
// the next queues; the next takes all of them. So the number of syncs follows the speed of the disk, not the number of producers
// (docs/adr/0001-group-commit.md).

type flusher struct {
	dir  *logDir
	mu   sync.Mutex
	want []*Log
	wake chan struct{}

	// of the running flush, kept between flushes to spare the garbage collector
	logs  []*Log
	items []flushItem
	files []syncTask
}

// flushItem is one log in a flush, its syncMu held.
type flushItem struct {
	log    *Log
	target int64 // durable end when the flush succeeds
	from   int   // its files are files[from:to]
	to     int
}

// syncTask is one segment file to sync, pinned.
type syncTask struct {
	seg   *segment
	file  vfs.File
	size  int64 // durable bytes when the sync succeeds
	extra bool  // the pin of segment.write was taken over, besides our own
	err   error
}

// WantFlush queues the log for the next flush of its directory. When everything appended so far is durable, Config.OnFlushed is told.
func (l *Log) WantFlush() {
	if l.queued.Load() || !l.queued.CompareAndSwap(false, true) {
		return // the flush that takes it from the queue will see what was appended before this call
	}
	f := &l.dir.flusher
	f.mu.Lock()
	f.want = append(f.want, l)
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// run flushes until the directory closes or fails.
func (f *flusher) run(stop <-chan struct{}) {
	for {
		select {
		case <-f.wake:
		case <-stop:
			return
		}
		f.mu.Lock()
		f.logs, f.want = f.want, f.logs[:0]
		f.mu.Unlock()
		if f.dir.offlineErr() != nil {
			return
		}
		f.flush(f.logs, true)
		clear(f.logs)
	}
}

// flush makes all appended bytes of logs durable with as few waits as possible and reports each if asked to. On an error nothing is
// reported and the directory is offline.
func (f *flusher) flush(logs []*Log, report bool) error {
	f.items, f.files = f.items[:0], f.files[:0]
	for _, l := range logs {
		l.queued.Store(false) // from here on a new wish queues for the next flush
		if l.closed.Load() {
			continue
		}
		l.syncMu.Lock()
		it := flushItem{log: l, from: len(f.files)}
		var err error
		it.target, f.files, err = l.unsynced(f.files)
		it.to = len(f.files)
		f.items = append(f.items, it)
		if err != nil {
			f.done(err, false)
			return f.dir.fail(fmt.Sprintf("opening a segment of %v to sync it", l.tp), err)
		}
	}
	began := time.Now()
	if err := f.sync(); err != nil {
		f.dir.store.cfg.Observer.FlushFailed()
		f.done(err, false)
		return f.dir.fail("syncing segments", err)
	}
	f.dir.store.cfg.Observer.Flushed(len(f.items), time.Since(began))
	f.done(nil, report)
	return nil
}

// unsynced lists the segments that hold bytes or a name which are not durable, and the log end that syncing them makes durable. syncMu
// is held.
func (l *Log) unsynced(tasks []syncTask) (target int64, _ []syncTask, err error) {
	target = l.end.Load() // before the view, so that the view reaches it
	l.dirtyMs.Store(0)
	v := l.view.Load()
	for _, s := range v.segments[v.floor(l.flushed.Load()):] {
		t := syncTask{seg: s, extra: s.dirty.Swap(false)}
		t.size = s.size.Load()
		if t.size == s.synced && s.named {
			if t.extra {
				s.file.unpin()
			}
			continue
		}
		t.file, err = s.file.pin()
		if err != nil {
			if t.extra {
				s.file.unpin()
			}
			if missing(err) {
				err = nil // removed by retention meanwhile; nothing in it needs to last
				continue
			}
			return 0, tasks, err
		}
		tasks = append(tasks, t)
	}
	return target, tasks, nil
}

// sync makes f.files durable: each by itself, or the whole file system at once when there are many.
func (f *flusher) sync() error {
	cfg := &f.dir.store.cfg
	fsys := f.dir.store.fs
	n := len(f.files)
	if n == 0 {
		return nil
	}
	if cfg.SyncFSThreshold >= 0 && n >= cfg.SyncFSThreshold && n > 1 {
		switch err := fsys.SyncFS(f.dir.path); {
		case err == nil:
			return nil
		case !errors.Is(err, errors.ErrUnsupported):
			return err
		}
	}
	if n == 1 {
		return f.files[0].sync(fsys)
	}
	return parallel(cfg.SyncParallel, n, func(i int) error { return f.files[i].sync(fsys) })
}

// sync makes one segment's bytes durable, and its name if it is new. A file whose name is lost is lost.
func (t *syncTask) sync(fsys vfs.FS) error {
	if err := t.file.SyncData(); err != nil {
		return err
	}
	if t.seg.named {
		return nil
	}
	return fsys.SyncDir(t.seg.log.path)
}

// done notes what is durable, lets go of everything and reports.
func (f *flusher) done(err error, report bool) {
	for i := range f.files {
		t := &f.files[i]
		if err == nil {
			t.seg.synced, t.seg.named = t.size, true
		}
		t.seg.file.unpin()
		if t.extra {
			t.seg.file.unpin()
		}
	}
	for i := range f.items {
		l, target := f.items[i].log, f.items[i].target
		if err == nil {
			target = max(target, l.flushed.Load())
			l.flushed.Store(target)
		}
		l.syncMu.Unlock()
		if report {
			f.dir.store.cfg.OnFlushed(l, target)
		}
	}
	clear(f.files)
	clear(f.items)
}

// parallel calls do(0) to do(n-1), at most width at a time, and returns one of the errors.
func parallel(width, n int, do func(i int) error) error {
	if width = min(width, n); width <= 1 {
		for i := range n {
			if err := do(i); err != nil {
				return err
			}
		}
		return nil
	}
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		next int
		fail error
	)
	for range width {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				stop := i >= n || fail != nil
				mu.Unlock()
				if stop {
					return
				}
				if err := do(i); err != nil {
					mu.Lock()
					fail = err
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return fail
}
