package storage

import (
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// files keeps segment files open, at most about max of them: opened at first use, closed in clock order. A file in use is never closed, so
// the bound is exceeded while more files than that are pinned at once.
type files struct {
	fs  vfs.FS
	max int

	count atomic.Int64 // of open files

	mu   sync.Mutex
	open []*handle // those that hold a descriptor, in no order; the clock hand sweeps them
	hand int
}

// handle is one segment file, open or not. pins counts its users plus one for the cache; only the step from 1 to 0 closes.
type handle struct {
	files *files
	pins  atomic.Int64 // 0 = closed
	used  atomic.Bool  // since the clock hand last passed
	file  vfs.File     // valid while pinned; written under files.mu while pins is 0

	mu   sync.Mutex // guards name and gone, and makes one opener of many
	name string
	gone bool // removed: may not be opened again
	at   int  // index in files.open, under files.mu
}

func newFiles(fsys vfs.FS, max int) *files { return &files{fs: fsys, max: max} }

// crowded reports whether more files are open than should be, because they are in use or wait for a flush.
func (fl *files) crowded() bool { return fl.count.Load() > int64(fl.max) }

// handle makes the handle of a file that exists; nothing is opened.
func (fl *files) handle(name string) *handle { return &handle{files: fl, name: name} }

// create makes the file and returns its handle, open and unpinned.
func (fl *files) create(name string) (*handle, error) {
	f, err := fl.fs.Create(name)
	if err != nil {
		return nil, err
	}
	h := fl.handle(name)
	h.adopt(f)
	h.unpin()
	return h, nil
}

// pin opens the file if need be and keeps it open until unpin. It fails with fs.ErrNotExist once the file was removed.
func (h *handle) pin() (vfs.File, error) {
	if h.tryPin() {
		return h.file, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tryPin() { // another opener was faster
		return h.file, nil
	}
	if h.gone {
		return nil, &fs.PathError{Op: "open", Path: h.name, Err: fs.ErrNotExist}
	}
	f, err := h.files.fs.Open(h.name)
	if err != nil {
		return nil, err
	}
	h.adopt(f)
	return f, nil
}

// tryPin pins a file that is open.
func (h *handle) tryPin() bool {
	for {
		n := h.pins.Load()
		if n == 0 {
			return false
		}
		if h.pins.CompareAndSwap(n, n+1) {
			if !h.used.Load() {
				h.used.Store(true)
			}
			return true
		}
	}
}

// adopt makes f the open file: one pin for the cache, one for the caller. It closes others beyond the bound.
func (h *handle) adopt(f vfs.File) {
	fl := h.files
	var victims []vfs.File
	fl.mu.Lock()
	h.file = f
	h.used.Store(true)
	h.at = len(fl.open)
	fl.open = append(fl.open, h)
	h.pins.Store(2)
	// Two rounds of the hand: the first may only clear the used marks.
	for n := 2 * len(fl.open); n > 0 && len(fl.open) > fl.max; n-- {
		if fl.hand >= len(fl.open) {
			fl.hand = 0
		}
		v := fl.open[fl.hand]
		if v.used.Swap(false) || !v.pins.CompareAndSwap(1, 0) {
			fl.hand++
			continue
		}
		fl.drop(v)
		victims = append(victims, v.file)
	}
	fl.count.Store(int64(len(fl.open)))
	fl.mu.Unlock()
	for _, v := range victims {
		v.Close() // a file that is not pinned is synced, or nobody asked for it to be
	}
}

// drop takes v from the open list; files.mu is held.
func (fl *files) drop(v *handle) {
	last := len(fl.open) - 1
	fl.open[v.at] = fl.open[last]
	fl.open[v.at].at = v.at
	fl.open[last] = nil
	fl.open = fl.open[:last]
}

func (h *handle) unpin() {
	f := h.file // read while still pinned: at zero another opener may put a new file in its place
	switch n := h.pins.Add(-1); {
	case n == 0:
		f.Close() // the cache let go before: the file is removed or the store closed
	case n < 0:
		panic("storage: " + h.name + " unpinned more often than pinned")
	}
}

// release gives up the cache's pin, so that the file closes with its last user.
func (h *handle) release() {
	fl := h.files
	fl.mu.Lock()
	open := h.at < len(fl.open) && fl.open[h.at] == h
	if open {
		fl.drop(h)
	}
	fl.count.Store(int64(len(fl.open)))
	fl.mu.Unlock()
	if open {
		h.unpin()
	}
}

// releaseAll gives up the cache's pins.
func (fl *files) releaseAll() {
	fl.mu.Lock()
	open := slices.Clone(fl.open)
	fl.mu.Unlock()
	for _, h := range open {
		h.release()
	}
}

// rename moves the file; users of the open file do not notice.
func (h *handle) rename(name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.files.fs.Rename(h.name, name); err != nil {
		return err
	}
	h.name = name
	return nil
}

// path is the current name.
func (h *handle) path() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.name
}

// forget forbids opening and closes the file once its last user is done. The caller unlinks it.
func (h *handle) forget() {
	h.mu.Lock()
	h.gone = true
	h.mu.Unlock()
	h.release()
}
