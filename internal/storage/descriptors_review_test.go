package storage

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// fewDescriptors opens and makes no segment file while it has none left.
type fewDescriptors struct {
	vfs.FS
	none bool
}

func (f *fewDescriptors) Open(name string) (vfs.File, error) {
	if f.none && strings.HasSuffix(name, logSuffix) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EMFILE}
	}
	return f.FS.Open(name)
}

func (f *fewDescriptors) Create(name string) (vfs.File, error) {
	if f.none && strings.HasSuffix(name, logSuffix) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EMFILE}
	}
	return f.FS.Create(name)
}

// A process that has run out of descriptors refuses the append that needs one; it does not give up its disk.
func TestAppendWithoutADescriptorIsRefusedAndMayBeTriedAgain(t *testing.T) {
	fsys := &fewDescriptors{FS: vfs.NewMemory()}
	s := openStore(t, testConfig(fsys))
	c := DefaultLogConfig()
	c.SegmentBytes = 200
	l := newLog(t, s, c)
	appendOne := func() error {
		_, err := l.Append(simple(t, 1000, strings.Repeat("x", 60)), AppendOptions{})
		return err
	}
	for _, what := range []string{"to a file that is not open", "to a new segment"} {
		fsys.none = true
		if err := appendOne(); !errors.Is(err, ErrTooManyFiles) {
			t.Fatalf("%s: %v", what, err)
		}
		fsys.none = false
		if err := appendOne(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	if end := l.EndOffset(); end != 2 || l.SegmentCount() != 2 {
		t.Errorf("%d records in %d segments, want 2 in 2", end, l.SegmentCount())
	}
	closeStore(t, s)
	s = openStore(t, testConfig(fsys))
	if end := s.Get(tp0).EndOffset(); end != 2 {
		t.Errorf("%d records after a restart, want 2", end)
	}
	closeStore(t, s)
}
