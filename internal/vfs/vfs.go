// Package vfs is the shell around files: the operating system's, and an in-memory twin that can lose power or fail on demand.
//
// Everything that storage and the local metadata know of a disk goes through FS. Names are slash-separated and clean; a
// missing file is an error for which errors.Is(err, fs.ErrNotExist) holds. Nothing here knows what a log is.
//
// OS is the real thing, NewMemory the twin whose Crash shows what a power cut may leave behind, Inject a wrapper that sees
// every operation and may fail it. One conformance suite runs over all of them. A rule of POSIX that surprises many is the
// reason for half of this package: a file's bytes and the name that leads to them become durable separately, the bytes by
// Sync, the name by SyncDir of its folder.
package vfs

import (
	"io"
	"io/fs"
	"time"
)

// FS is a file system. Its methods may be called from many goroutines.
type FS interface {
	// Create makes an empty file for reading and writing, truncating an existing one. The new name survives a power cut only
	// after SyncDir of its folder.
	Create(name string) (File, error)
	// Open opens an existing file for reading and writing.
	Open(name string) (File, error)
	// OpenRead opens an existing file for reading only.
	OpenRead(name string) (File, error)
	// Remove unlinks a file or an empty folder. Who has the file open can go on using it.
	Remove(name string) error
	// RemoveAll removes a tree; a missing one is no error.
	RemoveAll(name string) error
	// Rename replaces newname atomically: after a power cut newname leads to the old file or to the new one, never to a mixture.
	// It survives a power cut only after SyncDir of both folders, and it does not make the file's bytes durable: Sync first.
	Rename(oldname, newname string) error
	// MkdirAll makes a folder and the missing ones above it. Each new one survives only after SyncDir of the folder it is in.
	MkdirAll(name string) error
	// ReadDir lists a folder, sorted by name.
	ReadDir(name string) ([]fs.DirEntry, error)
	Stat(name string) (fs.FileInfo, error)
	// SyncDir makes the names in a folder durable.
	SyncDir(name string) error
	// SyncFS makes everything written so far on the file system that holds name durable (Linux syncfs). It answers
	// errors.ErrUnsupported where the platform has no such call, or has one that would hide a failed write; callers then sync
	// file by file.
	SyncFS(name string) error
	// Usage tells the size of the file system that holds name, in bytes.
	Usage(name string) (Usage, error)
	// Lock takes an exclusive lock on name, creating the file, until Close or the end of the process. holder is written into the
	// file; when somebody else has the lock the error is a *LockedError with that text.
	Lock(name, holder string) (io.Closer, error)
}

// File is an open file. ReadAt and WriteAt may be called from many goroutines.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Name is the name the file was opened by, whatever it was renamed to since.
	Name() string
	Size() (int64, error)
	ModTime() (time.Time, error)
	// Truncate cuts or extends the file; the new size is durable only after Sync or SyncData.
	Truncate(size int64) error
	// Sync makes data and metadata durable (fsync). After an error the file's unsynced bytes may be lost although a second call
	// would succeed: the kernel forgets what it could not write. Of several calls at a time, of this or of SyncData, each that returns nil
	// made durable what was written before it began.
	Sync() error
	// SyncData makes data, and the size needed to read it back, durable (fdatasync where there is one).
	SyncData() error
	// Fd is the descriptor for sendfile; ok is false where there is none (Windows, memory, fault injection). It is good for as
	// long as the file stays open.
	Fd() (fd uintptr, ok bool)
}

// Usage is the size of a file system in bytes. Free counts what an ordinary user may still fill.
type Usage struct{ Total, Free int64 }

// LockedError says that somebody else holds a lock file. Holder is what they wrote into it, empty if that cannot be read.
type LockedError struct{ Name, Holder string }

func (e *LockedError) Error() string {
	if e.Holder == "" {
		return "the lock " + e.Name + " is held by another process"
	}
	return "the lock " + e.Name + " is held by " + e.Holder
}
