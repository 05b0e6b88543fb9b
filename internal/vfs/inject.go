package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Kind is what an operation does. Its text is the name of the method, as it appears in an operation log.
type Kind string

const (
	OpCreate    Kind = "create"
	OpOpen      Kind = "open"
	OpOpenRead  Kind = "openread"
	OpRemove    Kind = "remove"
	OpRemoveAll Kind = "removeall"
	OpRename    Kind = "rename"
	OpMkdirAll  Kind = "mkdirall"
	OpReadDir   Kind = "readdir"
	OpStat      Kind = "stat"
	OpSyncDir   Kind = "syncdir"
	OpSyncFS    Kind = "syncfs"
	OpUsage     Kind = "usage"
	OpLock      Kind = "lock"
	OpReadAt    Kind = "read"
	OpWriteAt   Kind = "write"
	OpTruncate  Kind = "truncate"
	OpSync      Kind = "sync"
	OpSyncData  Kind = "syncdata"
	OpSize      Kind = "size" // also ModTime: both ask about an open file
	OpClose     Kind = "close"
)

// Syncs tells whether the operation makes something durable.
func (k Kind) Syncs() bool {
	return k == OpSync || k == OpSyncData || k == OpSyncDir || k == OpSyncFS
}

// Changes tells whether the operation changes what is on the disk or what of it is durable.
func (k Kind) Changes() bool {
	switch k {
	case OpCreate, OpRemove, OpRemoveAll, OpRename, OpMkdirAll, OpLock, OpWriteAt, OpTruncate:
		return true
	}
	return k.Syncs()
}

// Op is an operation that is about to happen.
type Op struct {
	Kind    Kind
	Name    string // of an open file: the name it was opened by
	NewName string // OpRename
	Offset  int64  // OpReadAt, OpWriteAt
	Len     int64  // OpReadAt, OpWriteAt; OpTruncate: the new size
}

func (op Op) String() string {
	switch op.Kind {
	case OpRename:
		return fmt.Sprintf("%s %s -> %s", op.Kind, op.Name, op.NewName)
	case OpReadAt, OpWriteAt:
		return fmt.Sprintf("%s %s %d+%d", op.Kind, op.Name, op.Offset, op.Len)
	case OpTruncate:
		return fmt.Sprintf("%s %s to %d", op.Kind, op.Name, op.Len)
	}
	return string(op.Kind) + " " + op.Name
}

// Hook sees each operation before it happens, in the goroutine that asked for it. nil lets it happen. Any other answer is the
// operation's error, and it does not happen, but for two: Pretend and *ShortWrite. A Close happens in any case.
type Hook func(op Op) error

// Pretend as a hook's answer makes an operation that answers nothing but an error (the syncs, Remove, Rename, Truncate, ...)
// succeed without doing anything: a drive that lies. Other operations fail with it.
var Pretend = errors.New("vfs: pretended to have done it")

// ShortWrite as a hook's answer lets a write put down its first N bytes and then fail with Err. Other operations fail with Err.
type ShortWrite struct {
	N   int64
	Err error
}

func (e *ShortWrite) Error() string {
	return fmt.Sprintf("vfs: write cut short after %d bytes: %v", e.N, e.Err)
}
func (e *ShortWrite) Unwrap() error { return e.Err }

// Hooks asks each hook in turn, all of them, and answers the first answer that is not nil.
func Hooks(hooks ...Hook) Hook {
	return func(op Op) error {
		var first error
		for _, hook := range hooks {
			if err := hook(op); first == nil {
				first = err
			}
		}
		return first
	}
}

// Nth answers verdict to the n-th operation that match accepts, counted from 1.
func Nth(n int64, match func(Op) bool, verdict error) Hook {
	var seen atomic.Int64
	return func(op Op) error {
		if match(op) && seen.Add(1) == n {
			return verdict
		}
		return nil
	}
}

// From answers verdict to the n-th operation that match accepts, counted from 1, and to everything that changes the disk from
// then on: a disk that has died can still be read from the cache.
func From(n int64, match func(Op) bool, verdict error) Hook {
	var seen atomic.Int64
	return func(op Op) error {
		if match(op) && seen.Add(1) == n || seen.Load() >= n && op.Kind.Changes() {
			return verdict
		}
		return nil
	}
}

// Syncs matches what makes something durable.
func Syncs(op Op) bool { return op.Kind.Syncs() }

// Changes matches what changes the disk.
func Changes(op Op) bool { return op.Kind.Changes() }

// FailSync makes the k-th sync of whatever kind, counted from 1, fail with EIO. What it was to save stays unsynced.
func FailSync(k int64) Hook { return Nth(k, Syncs, syscall.EIO) }

// FullAfter is a disk on which bytes more bytes can be written, counting overwrites too; the write that crosses the line is cut
// short, and it and all later ones fail with ENOSPC. Memory.SetTotal is the disk where removing files helps.
func FullAfter(bytes int64) Hook {
	var written atomic.Int64
	return func(op Op) error {
		if op.Kind != OpWriteAt {
			return nil
		}
		before := written.Add(op.Len) - op.Len
		if before+op.Len <= bytes {
			return nil
		}
		return &ShortWrite{N: max(0, bytes-before), Err: syscall.ENOSPC}
	}
}

// Inject answers a file system that asks hook before each operation on fsys; a nil hook lets everything happen. Its files have no
// descriptor, so that nothing goes around it.
func Inject(fsys FS, hook Hook) FS {
	if hook == nil {
		hook = func(Op) error { return nil }
	}
	return &injectFS{fsys, hook}
}

type injectFS struct {
	fs   FS
	hook Hook
}

// ask answers the hook's verdict as the error of the operation.
func (i *injectFS) ask(op Op) error {
	err := i.hook(op)
	if err == nil || err == Pretend {
		return err
	}
	var short *ShortWrite
	if errors.As(err, &short) {
		err = short.Err
	}
	return &fs.PathError{Op: string(op.Kind), Path: op.Name, Err: err}
}

// do runs an operation that answers only an error.
func (i *injectFS) do(op Op, call func() error) error {
	switch err := i.ask(op); err {
	case nil:
		return call()
	case Pretend:
		return nil
	default:
		return err
	}
}

func (i *injectFS) file(op Op, open func(string) (File, error)) (File, error) {
	if err := i.ask(op); err != nil {
		return nil, err
	}
	f, err := open(op.Name)
	if err != nil {
		return nil, err
	}
	return &injectFile{f, i}, nil
}

func (i *injectFS) Create(name string) (File, error) {
	return i.file(Op{Kind: OpCreate, Name: name}, i.fs.Create)
}

func (i *injectFS) Open(name string) (File, error) {
	return i.file(Op{Kind: OpOpen, Name: name}, i.fs.Open)
}

func (i *injectFS) OpenRead(name string) (File, error) {
	return i.file(Op{Kind: OpOpenRead, Name: name}, i.fs.OpenRead)
}

func (i *injectFS) Remove(name string) error {
	return i.do(Op{Kind: OpRemove, Name: name}, func() error { return i.fs.Remove(name) })
}

func (i *injectFS) RemoveAll(name string) error {
	return i.do(Op{Kind: OpRemoveAll, Name: name}, func() error { return i.fs.RemoveAll(name) })
}

func (i *injectFS) Rename(oldname, newname string) error {
	return i.do(Op{Kind: OpRename, Name: oldname, NewName: newname}, func() error { return i.fs.Rename(oldname, newname) })
}

func (i *injectFS) MkdirAll(name string) error {
	return i.do(Op{Kind: OpMkdirAll, Name: name}, func() error { return i.fs.MkdirAll(name) })
}

func (i *injectFS) SyncDir(name string) error {
	return i.do(Op{Kind: OpSyncDir, Name: name}, func() error { return i.fs.SyncDir(name) })
}

func (i *injectFS) SyncFS(name string) error {
	return i.do(Op{Kind: OpSyncFS, Name: name}, func() error { return i.fs.SyncFS(name) })
}

func (i *injectFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := i.ask(Op{Kind: OpReadDir, Name: name}); err != nil {
		return nil, err
	}
	return i.fs.ReadDir(name)
}

func (i *injectFS) Stat(name string) (fs.FileInfo, error) {
	if err := i.ask(Op{Kind: OpStat, Name: name}); err != nil {
		return nil, err
	}
	return i.fs.Stat(name)
}

func (i *injectFS) Usage(name string) (Usage, error) {
	if err := i.ask(Op{Kind: OpUsage, Name: name}); err != nil {
		return Usage{}, err
	}
	return i.fs.Usage(name)
}

func (i *injectFS) Lock(name, holder string) (io.Closer, error) {
	if err := i.ask(Op{Kind: OpLock, Name: name}); err != nil {
		return nil, err
	}
	return i.fs.Lock(name, holder)
}

type injectFile struct {
	file File
	fs   *injectFS
}

func (f *injectFile) op(kind Kind, off, n int64) Op {
	return Op{Kind: kind, Name: f.file.Name(), Offset: off, Len: n}
}

func (f *injectFile) Name() string { return f.file.Name() }

func (f *injectFile) ReadAt(b []byte, off int64) (int, error) {
	if err := f.fs.ask(f.op(OpReadAt, off, int64(len(b)))); err != nil {
		return 0, err
	}
	return f.file.ReadAt(b, off)
}

func (f *injectFile) WriteAt(b []byte, off int64) (int, error) {
	op := f.op(OpWriteAt, off, int64(len(b)))
	verdict := f.fs.hook(op)
	if verdict == nil {
		return f.file.WriteAt(b, off)
	}
	n := 0
	var short *ShortWrite
	if errors.As(verdict, &short) {
		verdict = short.Err
		if k := min(short.N, int64(len(b))); k > 0 {
			var err error
			if n, err = f.file.WriteAt(b[:k], off); err != nil {
				return n, err
			}
		}
	}
	return n, &fs.PathError{Op: string(op.Kind), Path: op.Name, Err: verdict}
}

func (f *injectFile) Truncate(size int64) error {
	return f.fs.do(f.op(OpTruncate, 0, size), func() error { return f.file.Truncate(size) })
}

func (f *injectFile) Sync() error     { return f.fs.do(f.op(OpSync, 0, 0), f.file.Sync) }
func (f *injectFile) SyncData() error { return f.fs.do(f.op(OpSyncData, 0, 0), f.file.SyncData) }

func (f *injectFile) Size() (int64, error) {
	if err := f.fs.ask(f.op(OpSize, 0, 0)); err != nil {
		return 0, err
	}
	return f.file.Size()
}

func (f *injectFile) ModTime() (time.Time, error) {
	if err := f.fs.ask(f.op(OpSize, 0, 0)); err != nil {
		return time.Time{}, err
	}
	return f.file.ModTime()
}

func (f *injectFile) Close() error {
	verdict := f.fs.ask(f.op(OpClose, 0, 0))
	err := f.file.Close()
	if verdict != nil && verdict != Pretend {
		return verdict
	}
	return err
}

func (f *injectFile) Fd() (fd uintptr, ok bool) { return 0, false }

const packagePath = "github.com/barnabas-mq/barnabas/internal/vfs."

// Site is the place in the program that asked for the operation: the first function outside this package that skip does not
// accept (nil skips none), without the path of its package, and the line. Only a hook may ask, before it returns.
func (op Op) Site(skip func(function string) bool) string {
	var pcs [48]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	injected := false // the frames before that are the hooks' own
	for {
		frame, more := frames.Next()
		switch {
		case strings.HasPrefix(frame.Function, packagePath+"(*inject"):
			injected = true
		case injected && !strings.HasPrefix(frame.Function, packagePath):
			function := frame.Function[strings.LastIndexByte(frame.Function, '/')+1:]
			if skip == nil || !skip(function) {
				return fmt.Sprintf("%s:%d", function, frame.Line)
			}
		}
		if !more {
			return "unknown"
		}
	}
}
