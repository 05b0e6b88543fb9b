package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/windows"
)

const hasSendfile = false

var (
	errLocked = errors.New("locked by another open file")
	errIsDir  = syscall.EISDIR
)

// openFile opens with FILE_SHARE_DELETE, which the os package leaves out: a segment must be renamed and removed while a reader
// still has it open, as on Unix. Renaming another file onto one that is open, or a folder with open files in it, Windows may
// still refuse.
func openFile(name string, flag int) (*os.File, error) {
	fail := func(err error) (*os.File, error) { return nil, &fs.PathError{Op: "open", Path: name, Err: err} }
	path, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return fail(err)
	}
	access := uint32(windows.GENERIC_READ)
	if flag&os.O_RDWR != 0 {
		access |= windows.GENERIC_WRITE
	}
	how := uint32(windows.OPEN_EXISTING)
	switch {
	case flag&os.O_CREATE != 0 && flag&os.O_TRUNC != 0:
		how = windows.CREATE_ALWAYS
	case flag&os.O_CREATE != 0:
		how = windows.OPEN_ALWAYS
	}
	share := uint32(windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE | windows.FILE_SHARE_DELETE)
	h, err := windows.CreateFile(path, access, share, nil, how, windows.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		return fail(err)
	}
	return os.NewFile(uintptr(h), name), nil
}

// syncData is Sync: FlushFileBuffers has no lesser sister for ordinary users.
func syncData(f *os.File) error { return f.Sync() }

// syncDir does nothing but look whether the folder is there: Windows cannot flush a folder. NTFS journals names, in order, so a
// rename is never half; but how soon it is durable is up to the system.
func syncDir(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return &fs.PathError{Op: "syncdir", Path: name, Err: syscall.ENOTDIR}
	}
	return nil
}

// rename asks for MOVEFILE_WRITE_THROUGH, which os.Rename leaves out: it is as near as Windows comes to SyncDir.
func rename(oldname, newname string) error {
	from, err := windows.UTF16PtrFromString(oldname)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: err}
	}
	to, err := windows.UTF16PtrFromString(newname)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: err}
	}
	err = windows.MoveFileEx(from, to, windows.MOVEFILE_REPLACE_EXISTING|windows.MOVEFILE_WRITE_THROUGH)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: err}
	}
	return nil
}

func usage(name string) (Usage, error) {
	dir := name // Windows answers for folders only
	if info, err := os.Stat(name); err != nil {
		return Usage{}, err
	} else if !info.IsDir() {
		dir = filepath.Dir(name)
	}
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return Usage{}, &fs.PathError{Op: "usage", Path: name, Err: err}
	}
	var free, total uint64
	if err := windows.GetDiskFreeSpaceEx(path, &free, &total, nil); err != nil {
		return Usage{}, &fs.PathError{Op: "usage", Path: name, Err: err}
	}
	return Usage{Total: int64(total), Free: int64(free)}, nil
}

// tryLock locks one byte far behind the text, because a locked range cannot be read by others.
func tryLock(f *os.File) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var lockErr error
	err = conn.Control(func(fd uintptr) {
		at := windows.Overlapped{OffsetHigh: 1 << 30}
		lockErr = windows.LockFileEx(windows.Handle(fd), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at)
	})
	switch {
	case err != nil:
		return err
	case lockErr == windows.ERROR_LOCK_VIOLATION || lockErr == windows.ERROR_IO_PENDING:
		return errLocked
	}
	return lockErr
}

type fsSyncer struct{}

func (fsSyncer) sync(name string) error {
	return fmt.Errorf("syncfs %s: %w", name, errors.ErrUnsupported)
}
