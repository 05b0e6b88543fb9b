package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// syncData is Sync: on macOS fsync and fdatasync stop at the drive's cache. os.File.Sync asks for F_FULLFSYNC, which does not.
func syncData(f *os.File) error { return f.Sync() }

func usage(name string) (Usage, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(name, &st); err != nil {
		return Usage{}, &fs.PathError{Op: "statfs", Path: name, Err: err}
	}
	unit := int64(st.Bsize)
	return Usage{Total: int64(st.Blocks) * unit, Free: int64(st.Bavail) * unit}, nil
}

type fsSyncer struct{}

func (fsSyncer) sync(name string) error {
	return fmt.Errorf("syncfs %s: %w", name, errors.ErrUnsupported)
}
