package vfs

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

func plainFile(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// underWay begins a call of s that is at the disk until end is called, and answers the descriptor that it uses.
func underWay(s *syncs, f *os.File, all *twins) (fd int, end func() error) {
	began, release, result := make(chan int), make(chan error), make(chan error, 1)
	go func() {
		result <- s.run(f, all, func(fd int) error { began <- fd; return <-release })
	}()
	return <-began, func() error { release <- nil; return <-result }
}

func TestTwoSyncsOfOneFileHaveADescriptionEach(t *testing.T) {
	f, all := plainFile(t), &twins{}
	var s syncs
	s.crowded.Store(true) // somebody had to wait before
	fd1, end1 := underWay(&s, f, all)
	fd2, end2 := underWay(&s, f, all)
	// What one description is told must not be taken from the other: so they may not share an offset either.
	var offset int64
	for i, fd := range []int{fd1, fd2} {
		if i == 0 {
			if _, err := unix.Seek(fd, 7, 0); err != nil {
				t.Fatal(err)
			}
			continue
		}
		offset, _ = unix.Seek(fd, 0, 1)
	}
	var st1, st2 unix.Stat_t
	if unix.Fstat(fd1, &st1) != nil || unix.Fstat(fd2, &st2) != nil || st1.Ino != st2.Ino || fd1 == fd2 || offset != 0 {
		t.Errorf("descriptors %d and %d, inodes %d and %d, offset %d: want two descriptions of one file", fd1, fd2, st1.Ino, st2.Ino, offset)
	}
	if err := errors.Join(end2(), end1()); err != nil {
		t.Error(err)
	}
	s.close()
	if unix.Fstat(fd2, &st2) == nil && st2.Ino == st1.Ino {
		t.Error("the second description outlives the file")
	}
}

func TestTheFirstWhoHasToWaitAsksForTheSecondDescription(t *testing.T) {
	f, all := plainFile(t), &twins{}
	var s syncs
	_, end := underWay(&s, f, all)
	waited := make(chan error, 1)
	go func() { waited <- s.run(f, all, unix.Fdatasync) }()
	for !s.crowded.Load() { // it says so before it waits
		runtime.Gosched()
	}
	if s.twin.Load() != nil {
		t.Error("a description was opened while a call was under way: it may miss what that one is told")
	}
	if err := errors.Join(end(), <-waited); err != nil {
		t.Error(err)
	}
	if s.twin.Load() == nil {
		t.Error("there is no second description")
	}
	s.close()
}

func TestAfterAFailedSyncAllFail(t *testing.T) {
	f, all := plainFile(t), &twins{}
	var s syncs
	s.crowded.Store(true)
	_, end := underWay(&s, f, all)
	if err := s.run(f, all, func(int) error { return unix.EIO }); !errors.Is(err, unix.EIO) {
		t.Errorf("the failure itself: %v", err)
	}
	if err := end(); err != nil {
		t.Errorf("the other call heard nothing from the kernel, and yet: %v", err)
	}
	if err := s.run(f, all, func(int) error { t.Error("the kernel was asked again"); return nil }); !errors.Is(err, unix.EIO) {
		t.Errorf("a later call: %v", err)
	}
}

func TestSecondDescriptionsAreFew(t *testing.T) {
	all := &twins{}
	many := make([]syncs, twinsMax+3)
	f := plainFile(t)
	_, busy := underWay(&many[0], f, all)
	for i := range many {
		many[i].crowded.Store(true)
		if i > 0 {
			if err := many[i].run(f, all, unix.Fdatasync); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := busy(); err != nil {
		t.Fatal(err)
	}
	open := 0
	for i := range many {
		if many[i].twin.Load() != nil {
			open++
		}
		many[i].close()
	}
	if open != twinsMax {
		t.Errorf("%d second descriptions are open, want %d", open, twinsMax)
	}
	// Who lost its own gets another when it needs one again.
	var s syncs
	s.crowded.Store(true)
	for range 2 {
		if err := s.run(f, all, unix.Fdatasync); err != nil || s.twin.Load() == nil {
			t.Errorf("err %v, second description %v", err, s.twin.Load())
		}
		s.part()
		s.crowded.Store(true)
	}
}
