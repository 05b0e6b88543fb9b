package vfs

import (
	"io"
	"io/fs"
	"sync/atomic"
	"syscall"
	"time"
)

const pageSize = 4096

// fileMax is the largest file, in bytes. The table of a file's pages is as long as its last written page is far.
const fileMax = 1 << 36

// page is one piece of a file. It may be part of many images, in many file systems; only its owner may write to it, and only
// while it is the owner's alone.
type page struct {
	owner *inode // nil once shared
	data  [pageSize]byte
}

// image is a file's contents. A missing page is a hole and reads as zeros, so a file that was only extended costs nothing.
// Bytes of the last page beyond size are zero.
type image struct {
	pages []*page
	size  int64
}

// bytes is the room that the image takes on the disk.
func (im *image) bytes() (n int64) {
	for _, p := range im.pages {
		if p != nil {
			n += pageSize
		}
	}
	return n
}

func (im *image) readAt(b []byte, off int64) int {
	if off >= im.size {
		return 0
	}
	b = b[:min(int64(len(b)), im.size-off)]
	for done := 0; done < len(b); {
		at := off + int64(done)
		i, in := int(at/pageSize), int(at%pageSize)
		piece := b[done:min(len(b), done+pageSize-in)]
		if i < len(im.pages) && im.pages[i] != nil {
			copy(piece, im.pages[i].data[in:])
		} else {
			clear(piece)
		}
		done += len(piece)
	}
	return len(b)
}

// own answers page i for writing, owned by n. isNew tells that there was a hole; copied, that the page is another than before.
func (im *image) own(n *inode, i int) (p *page, isNew, copied bool) {
	for i >= len(im.pages) {
		im.pages = append(im.pages, nil)
	}
	old := im.pages[i]
	if old != nil && old.owner == n {
		return old, false, false
	}
	p = &page{owner: n}
	if old != nil {
		p.data = old.data
	}
	im.pages[i] = p
	return p, old == nil, true
}

// put writes b at off into pages owned by n; the size is the caller's to change. It answers by how much the image grew on disk.
func (im *image) put(n *inode, b []byte, off int64) (grown int64) {
	for done := 0; done < len(b); {
		at := off + int64(done)
		p, isNew, copied := im.own(n, int(at/pageSize))
		if isNew {
			grown += pageSize
		}
		if copied {
			n.written = append(n.written, int(at/pageSize))
		}
		done += copy(p.data[at%pageSize:], b[done:])
	}
	return grown
}

// cut sets the size, dropping what is beyond it. It answers by how much the image shrank on disk.
func (im *image) cut(n *inode, size int64) (freed int64) {
	shrinks := size < im.size
	im.size = size
	if !shrinks {
		return 0
	}
	keep := int((size + pageSize - 1) / pageSize)
	if keep < len(im.pages) {
		for i, p := range im.pages[keep:] {
			if p != nil {
				freed += pageSize
			}
			im.pages[keep+i] = nil
		}
		im.pages = im.pages[:keep]
	}
	if in := size % pageSize; in > 0 && keep <= len(im.pages) && im.pages[keep-1] != nil {
		p, _, copied := im.own(n, keep-1)
		clear(p.data[in:])
		if copied {
			n.written = append(n.written, keep-1)
		}
	}
	return freed
}

// contentOp is something that happened to a file's contents since it was last synced: data written at off, or, when data is
// nil, a new size.
type contentOp struct {
	data []byte
	off  int64
	size int64
}

// A file that is written to and never synced would keep all that was written in unsynced. Beyond these bounds Memory writes
// the file back of its own accord, as a kernel does with old dirty pages.
const (
	unsyncedOpsMax   = 1 << 14
	unsyncedBytesMax = 16 << 20
)

func (n *inode) remember(op contentOp) {
	if len(n.unsynced) >= unsyncedOpsMax || n.unsyncedN >= unsyncedBytesMax {
		n.sync()
		return
	}
	n.unsynced = append(n.unsynced, op)
	n.unsyncedN += int64(len(op.data))
}

// sync makes the contents durable.
func (n *inode) sync() {
	if len(n.unsynced) == 0 && len(n.written) == 0 && n.synced.size == n.now.size {
		return
	}
	s := &n.synced
	if n.syncFloor < len(s.pages) {
		clear(s.pages[n.syncFloor:])
		s.pages = s.pages[:n.syncFloor]
	}
	for len(s.pages) < len(n.now.pages) {
		s.pages = append(s.pages, nil)
	}
	for _, i := range n.written {
		if i < len(n.now.pages) {
			p := n.now.pages[i]
			if p != nil && p.owner != nil { // a page that Kill shared belongs to another file system too: it may not be touched
				p.owner = nil // shared from now on
			}
			s.pages[i] = p
		}
	}
	s.size = n.now.size
	n.syncFloor = len(s.pages)
	n.written = n.written[:0]
	n.unsynced, n.unsyncedN = nil, 0
}

// write answers how much fitted on the disk; err is ENOSPC when not all did. Callers hold mu.
func (m *Memory) write(n *inode, b []byte, off int64) (int, error) {
	fits, err := len(b), error(nil)
	if room := m.total - m.used; room < int64(len(b))+2*pageSize {
		if fits = n.now.fitting(b, off, room); fits < len(b) {
			err = syscall.ENOSPC
		}
	}
	b = b[:fits]
	if len(b) == 0 {
		return 0, err
	}
	m.used += n.now.put(n, b, off)
	n.now.size = max(n.now.size, off+int64(len(b)))
	n.modTime = m.clock()
	n.remember(contentOp{data: append([]byte(nil), b...), off: off})
	return len(b), err
}

// fitting is how much of b, to be written at off, room bytes of new pages can hold.
func (im *image) fitting(b []byte, off, room int64) int {
	for done := 0; done < len(b); {
		at := off + int64(done)
		if i := int(at / pageSize); i >= len(im.pages) || im.pages[i] == nil {
			if room -= pageSize; room < 0 {
				return done
			}
		}
		done += min(len(b)-done, pageSize-int(at%pageSize))
	}
	return len(b)
}

// truncate sets the size. Callers hold mu.
func (m *Memory) truncate(n *inode, size int64) {
	n.modTime = m.clock()
	if size == n.now.size {
		return
	}
	m.used -= n.now.cut(n, size)
	n.syncFloor = min(n.syncFloor, len(n.now.pages))
	n.remember(contentOp{size: size})
}

// memoryFile is an open file.
type memoryFile struct {
	m        *Memory
	n        *inode
	name     string
	writable bool
	closed   atomic.Bool
}

func (m *Memory) handle(n *inode, name string, writable bool) *memoryFile {
	n.handles++
	return &memoryFile{m: m, n: n, name: name, writable: writable}
}

func (f *memoryFile) fail(op string, err error) error { return pathError(op, f.name, err) }

// check refuses what a closed or read-only file, or a negative number, does not allow.
func (f *memoryFile) check(op string, forWrite bool, number int64) error {
	switch {
	case f.closed.Load():
		return f.fail(op, fs.ErrClosed)
	case forWrite && !f.writable:
		return f.fail(op, syscall.EBADF)
	case number < 0:
		return f.fail(op, fs.ErrInvalid)
	case number > fileMax && forWrite:
		return f.fail(op, syscall.EFBIG)
	}
	return nil
}

func (f *memoryFile) Name() string { return f.name }

func (f *memoryFile) ReadAt(b []byte, off int64) (int, error) {
	f.m.mu.RLock()
	defer f.m.mu.RUnlock()
	if err := f.check("read", false, off); err != nil {
		return 0, err
	}
	n := f.n.now.readAt(b, off)
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memoryFile) WriteAt(b []byte, off int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.check("write", true, off); err != nil {
		return 0, err
	}
	n, err := f.m.write(f.n, b, off)
	if err != nil {
		return n, f.fail("write", err)
	}
	return n, nil
}

func (f *memoryFile) Truncate(size int64) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.check("truncate", true, size); err != nil {
		return err
	}
	f.m.truncate(f.n, size)
	return nil
}

func (f *memoryFile) Size() (int64, error) {
	f.m.mu.RLock()
	defer f.m.mu.RUnlock()
	if err := f.check("stat", false, 0); err != nil {
		return 0, err
	}
	return f.n.now.size, nil
}

func (f *memoryFile) ModTime() (time.Time, error) {
	f.m.mu.RLock()
	defer f.m.mu.RUnlock()
	if err := f.check("stat", false, 0); err != nil {
		return time.Time{}, err
	}
	return f.n.modTime, nil
}

// Sync works on a file opened for reading too, as fsync does, and through any handle saves what was written through all.
func (f *memoryFile) Sync() error { return f.sync("sync") }

func (f *memoryFile) SyncData() error { return f.sync("fdatasync") }

func (f *memoryFile) sync(op string) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.check(op, false, 0); err != nil {
		return err
	}
	f.n.sync()
	return nil
}

func (f *memoryFile) Fd() (fd uintptr, ok bool) { return 0, false }

func (f *memoryFile) Close() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.closed.Swap(true) {
		return f.fail("close", fs.ErrClosed)
	}
	f.n.handles--
	f.m.reclaim(f.n)
	return nil
}
