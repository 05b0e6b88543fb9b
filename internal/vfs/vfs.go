// Package vfs is the shell around files: the operating system's, and an in-memory twin that can lose power or fail on demand.
//
// Everything that storage and the local metadata know of a disk goes through FS. Names are slash-separated and clean; a
// missing file is an error for which errors.Is(err, fs.ErrNotExist) holds. Nothing here knows what a log is.
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
	Remove(name string) error
	// RemoveAll removes a tree; a missing one is no error.
	RemoveAll(name string) error
	// Rename replaces newname atomically. It survives a power cut only after SyncDir of both folders.
	Rename(oldname, newname string) error
	MkdirAll(name string) error
	// ReadDir lists a folder, sorted by name.
	ReadDir(name string) ([]fs.DirEntry, error)
	Stat(name string) (fs.FileInfo, error)
	// SyncDir makes the names in a folder durable.
	SyncDir(name string) error
	// SyncFS makes everything written so far on the file system that holds name durable (Linux syncfs). It answers
	// errors.ErrUnsupported where the platform has no such call; callers then sync file by file.
	SyncFS(name string) error
	// Usage tells the size of the file system that holds name, in bytes.
	Usage(name string) (Usage, error)
	// Lock takes an exclusive lock on name, creating the file, until Close or the end of the process. holder is written into the
	// file; when another process has the lock the error is a *LockedError with that text.
	Lock(name, holder string) (io.Closer, error)
}

// File is an open file. ReadAt and WriteAt may be called from many goroutines.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Name() string
	Size() (int64, error)
	ModTime() (time.Time, error)
	// Truncate cuts or extends the file; the new size is durable only after Sync or SyncData.
	Truncate(size int64) error
	// Sync makes data and metadata durable (fsync).
	Sync() error
	// SyncData makes data, and the size needed to read it back, durable (fdatasync where there is one).
	SyncData() error
	// Fd is the descriptor for sendfile; ok is false where there is none (memory, fault injection).
	Fd() (fd uintptr, ok bool)
}

// Usage is the size of a file system in bytes.
type Usage struct{ Total, Free int64 }

// LockedError says that another process holds a lock file.
type LockedError struct{ Name, Holder string }

func (e *LockedError) Error() string { return "the lock " + e.Name + " is held by " + e.Holder }
