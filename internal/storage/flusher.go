package storage

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// The flusher of a log directory makes appended bytes durable for all its logs at once. While flushes are at the disk, whoever wants
// the next queues; the next takes all of them. So the number of syncs follows the speed of the disk, not the number of producers
// (docs/adr/0001-group-commit.md).
//
// Two flushes may be at the disk at a time, also of the same log: while the first waits for the file system's journal, the disk takes the
// bytes of the second. What a flush has synced is durable whatever becomes of the other one, since each lists all that is not yet known to
// be durable, and vfs tells a failed write to both.

// flushLanes is how many flushes of one directory may be at the disk at a time. A third gains little.
const flushLanes = 2

type flusher struct {
	dir  *logDir
	mu   sync.Mutex
	want []*Log
	wake chan struct{}

	// gathering is held while a flush takes the locks of its logs: two that each wait for what the other has would never end. ending makes
	// the ends that are reported of a log rise.
	gathering, ending sync.Mutex
}

// flush is one flush, or one after the other: what it keeps in between spares the garbage collector.
type flush struct {
	f     *flusher
	logs  []*Log
	items []flushItem
	files []syncTask
}

// flushItem is one log in a flush, its syncMu held for reading.
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

// run flushes until the directory closes or fails. There are flushLanes of it.
func (f *flusher) run(stop <-chan struct{}) {
	x := flush{f: f}
	for {
		select {
		case <-f.wake:
		case <-stop:
			return
		}
		runtime.Gosched() // those that run already, woken by the last flush perhaps, append first: one flush for all costs less than one for each
		f.mu.Lock()
		x.logs, f.want = f.want, x.logs[:0]
		f.mu.Unlock()
		if f.dir.offlineErr() != nil {
			return
		}
		x.flush(x.logs, true)
		clear(x.logs)
	}
}

// flush makes all appended bytes of logs durable with as few waits as possible and reports each if asked to. On an error nothing is
// reported and the directory is offline.
func (x *flush) flush(logs []*Log, report bool) error {
	dir := x.f.dir
	if op, err := x.gather(logs); err != nil {
		x.done(err, false)
		return dir.fail(op, err)
	}
	began := time.Now()
	if err := x.sync(); err != nil {
		dir.store.cfg.Observer.FlushFailed()
		x.done(err, false)
		return dir.fail("syncing segments", err)
	}
	dir.store.cfg.Observer.Flushed(len(x.items), time.Since(began))
	return x.done(nil, report)
}

// gather lists what is to be synced. Beside an error it says what was being done.
func (x *flush) gather(logs []*Log) (op string, err error) {
	x.f.gathering.Lock()
	defer x.f.gathering.Unlock()
	x.items, x.files = x.items[:0], x.files[:0]
	for _, l := range logs {
		l.queued.Store(false) // from here on a new wish queues for the next flush
		if l.closed.Load() {
			continue
		}
		l.syncMu.RLock()
		it := flushItem{log: l, from: len(x.files)}
		it.target, x.files, err = l.unsynced(x.files)
		it.to = len(x.files)
		x.items = append(x.items, it)
		if err != nil {
			return fmt.Sprintf("opening a segment of %v to sync it", l.tp), err
		}
	}
	return "", nil
}

// unsynced lists the segments that hold bytes or a name which are not durable, and the log end that syncing them makes durable. syncMu
// is held, for reading at least.
func (l *Log) unsynced(tasks []syncTask) (target int64, _ []syncTask, err error) {
	target = l.end.Load() // before the view, so that the view reaches it
	l.dirtyMs.Store(0)
	v := l.view.Load()
	for _, s := range v.segments[v.floor(l.flushed.Load()):] {
		t := syncTask{seg: s, extra: s.dirty.Swap(false)}
		t.size = s.size.Load()
		if t.size == s.synced.Load() && s.named.Load() {
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

// sync makes x.files durable: each by itself, or the whole file system at once when there are many.
func (x *flush) sync() error {
	dir := x.f.dir
	cfg := &dir.store.cfg
	fsys := dir.store.fs
	n := len(x.files)
	if n == 0 {
		return nil
	}
	if cfg.SyncFSThreshold >= 0 && n >= cfg.SyncFSThreshold && n > 1 {
		switch err := fsys.SyncFS(dir.path); {
		case err == nil:
			return nil
		case !errors.Is(err, errors.ErrUnsupported):
			return err
		}
	}
	if n == 1 {
		return x.files[0].sync(fsys)
	}
	return parallel(cfg.SyncParallel, n, func(i int) error { return x.files[i].sync(fsys) })
}

// sync makes one segment's bytes durable, and its name if it is new. A file whose name is lost is lost.
func (t *syncTask) sync(fsys vfs.FS) error {
	if err := t.file.SyncData(); err != nil {
		return err
	}
	if t.seg.named.Load() {
		return nil
	}
	return fsys.SyncDir(t.seg.log.path)
}

// done notes what is durable, lets go of everything and reports. When the directory failed meanwhile, elsewhere, nothing is reported either.
func (x *flush) done(err error, report bool) error {
	x.f.ending.Lock()
	defer x.f.ending.Unlock()
	if err == nil {
		err = x.f.dir.offlineErr()
	}
	for i := range x.files {
		t := &x.files[i]
		if err == nil {
			t.seg.durable(t.size)
		}
		t.seg.file.unpin()
		if t.extra {
			t.seg.file.unpin()
		}
	}
	for i := range x.items {
		l, target := x.items[i].log, x.items[i].target
		if err == nil {
			target = max(target, l.flushed.Load())
			l.flushed.Store(target)
		}
		l.syncMu.RUnlock()
		if report && err == nil {
			x.f.dir.store.cfg.OnFlushed(l, target)
		}
	}
	clear(x.files)
	clear(x.items)
	return err
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
