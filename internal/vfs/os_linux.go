package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

func (s *syncs) full(f *os.File, all *twins) error {
	if err := s.run(f, all, unix.Fsync); err != nil {
		return &fs.PathError{Op: "fsync", Path: f.Name(), Err: err}
	}
	return nil
}

func (s *syncs) data(f *os.File, all *twins) error {
	if err := s.run(f, all, unix.Fdatasync); err != nil {
		return &fs.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
	}
	return nil
}

func usage(name string) (Usage, error) {
	var st unix.Statfs_t
	if err := statfs(name, &st); err != nil {
		return Usage{}, err
	}
	unit := int64(st.Frsize)
	return Usage{Total: int64(st.Blocks) * unit, Free: int64(st.Bavail) * unit}, nil
}

func statfs(name string, st *unix.Statfs_t) error {
	for {
		err := unix.Statfs(name, st)
		if err == nil {
			return nil
		}
		if err != unix.EINTR {
			return &fs.PathError{Op: "statfs", Path: name, Err: err}
		}
	}
}

// fsSyncer calls syncfs, where that can be trusted.
//
// The trouble with syncfs is not durability but silence. Before Linux 5.8 it reported no failed write at all, and until 5.17
// not the failure of the file system's own journal. Since then a failed write-back is remembered in the superblock and told
// once to each descriptor that was open when it happened, so a descriptor opened only for the call may come too late. And
// layered file systems (overlay, FUSE, network) flush without telling what went wrong below. Hence the rules: a new enough
// kernel, a file system known to report, and descriptors that stay open between calls. Several log directories may lie on one file
// system: a failure that one of them is told of, all are (see syncs).
type fsSyncer struct {
	mu   sync.Mutex
	open map[uint64]*syncTarget // by device number
}

type syncTarget struct {
	dir     *os.File
	syncs   syncs
	trusted bool
}

// trustedFS are the file systems that write to a disk of their own and report what failed; tmpfs has nothing to lose.
var trustedFS = map[uint32]bool{
	unix.EXT4_SUPER_MAGIC:  true, // ext2 and ext3 too
	unix.XFS_SUPER_MAGIC:   true,
	unix.BTRFS_SUPER_MAGIC: true,
	unix.F2FS_SUPER_MAGIC:  true,
	unix.TMPFS_MAGIC:       true,
}

var kernelReportsSyncfs = sync.OnceValue(func() bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	return kernelAtLeast(unix.ByteSliceToString(u.Release[:]), 5, 17)
})

// kernelAtLeast reads releases like "6.1.0-13-amd64". What it cannot read counts as old.
func kernelAtLeast(release string, wantMajor, wantMinor int) bool {
	first, rest, _ := strings.Cut(release, ".")
	second, _, _ := strings.Cut(rest, ".")
	if i := strings.IndexFunc(second, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		second = second[:i]
	}
	major, err1 := strconv.Atoi(first)
	minor, err2 := strconv.Atoi(second)
	if err1 != nil || err2 != nil {
		return false
	}
	return major > wantMajor || major == wantMajor && minor >= wantMinor
}

func (s *fsSyncer) sync(name string) error {
	t, err := s.target(name)
	if err != nil {
		return err
	}
	if !t.trusted {
		return fmt.Errorf("syncfs %s: %w", name, errors.ErrUnsupported)
	}
	if err := t.syncs.run(t.dir, nil, unix.Syncfs); err != nil {
		return &fs.PathError{Op: "syncfs", Path: name, Err: err}
	}
	return nil
}

// target finds or opens the descriptor of the file system that holds name. It keeps no descriptor on one it does not trust.
func (s *fsSyncer) target(name string) (*syncTarget, error) {
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	dev := uint64(st.Dev)
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.open[dev]; t != nil {
		return t, nil
	}
	var fsStat unix.Statfs_t
	if err := statfs(name, &fsStat); err != nil {
		return nil, err
	}
	t := &syncTarget{trusted: kernelReportsSyncfs() && trustedFS[uint32(fsStat.Type)]}
	if t.trusted {
		dir, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		t.dir = dir
	}
	if s.open == nil {
		s.open = make(map[uint64]*syncTarget)
	}
	s.open[dev] = t
	return t, nil
}
