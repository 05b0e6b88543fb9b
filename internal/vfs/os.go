package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
)

// Folders and files are the broker user's own, readable by its group, nobody else's business.
const (
	dirMode  fs.FileMode = 0o750
	fileMode fs.FileMode = 0o640
)

// holderMax bounds what is read of another process's lock file.
const holderMax = 4 << 10

// OS is the operating system's file system. Keep one for as long as its files are used: it remembers a descriptor per disk,
// so that SyncFS learns of writes that failed between two calls (see os_linux.go).
func OS() FS { return &osFS{} }

type osFS struct {
	syncer fsSyncer // differs by platform
	twins  twins
}

type osFile struct {
	*os.File // ReadAt, WriteAt, Name, Truncate: os.File's are what File asks for
	syncs    syncs
	twins    *twins
}

func (o *osFS) Create(name string) (File, error) {
	return o.wrap(openFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC))
}

func (o *osFS) Open(name string) (File, error) { return o.wrap(openFile(name, os.O_RDWR)) }

// OpenRead refuses folders: on Unix one can be opened for reading, and would fail only at the first ReadAt.
func (o *osFS) OpenRead(name string) (File, error) {
	f, err := openFile(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = &fs.PathError{Op: "open", Path: name, Err: errIsDir}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &osFile{File: f, twins: &o.twins}, nil
}

func (o *osFS) wrap(f *os.File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return &osFile{File: f, twins: &o.twins}, nil
}

func (*osFS) Remove(name string) error                   { return os.Remove(name) }
func (*osFS) RemoveAll(name string) error                { return os.RemoveAll(name) }
func (*osFS) Rename(oldname, newname string) error       { return rename(oldname, newname) }
func (*osFS) MkdirAll(name string) error                 { return os.MkdirAll(name, dirMode) }
func (*osFS) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }
func (*osFS) Stat(name string) (fs.FileInfo, error)      { return os.Stat(name) }
func (*osFS) SyncDir(name string) error                  { return syncDir(name) }
func (o *osFS) SyncFS(name string) error                 { return o.syncer.sync(name) }
func (*osFS) Usage(name string) (Usage, error)           { return usage(name) }

// Lock leaves the file in place when it is released: removing it would let a third process lock a file that a second one has
// just opened under the same name.
func (*osFS) Lock(name, holder string) (io.Closer, error) {
	f, err := openFile(name, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, err
	}
	if err := tryLock(f); err != nil {
		defer f.Close()
		if errors.Is(err, errLocked) {
			return nil, &LockedError{Name: name, Holder: readHolder(f)}
		}
		return nil, &fs.PathError{Op: "lock", Path: name, Err: err}
	}
	// The new text first, then the cut: who reads in between sees a holder with a tail rather than none.
	_, err = f.WriteAt([]byte(holder), 0)
	if err == nil {
		err = f.Truncate(int64(len(holder)))
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func readHolder(r io.ReaderAt) string {
	buf := make([]byte, holderMax)
	n, _ := r.ReadAt(buf, 0)
	return strings.ToValidUTF8(string(buf[:n]), "?")
}

func (f *osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f *osFile) ModTime() (time.Time, error) {
	info, err := f.Stat()
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

func (f *osFile) Close() error {
	f.syncs.close()
	return f.File.Close()
}

func (f *osFile) Sync() error               { return f.syncs.full(f.File, f.twins) }
func (f *osFile) SyncData() error           { return f.syncs.data(f.File, f.twins) }
func (f *osFile) Fd() (fd uintptr, ok bool) { return f.File.Fd(), hasSendfile }
