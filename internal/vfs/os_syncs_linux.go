package vfs

import (
	"errors"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
)

// syncs lets two calls that make one file durable run at a time, so that the disk takes the bytes of the second while the first waits for
// the file system's journal.
//
// The kernel tells a failed write once to each open file description. Two calls on one description are therefore not safe: the failure of
// what the first waits for may be told to the second, and the first returns as if all were well. So each has a description of its own. The
// second is opened when it is first needed, and only while no call is under way: one that is opened after a failure was told would not hear
// of it. And since whoever comes after a failure may find nothing left to write, every later call fails like the first that did.
type syncs struct {
	first, second sync.Mutex              // held during a call on either description
	crowded       atomic.Bool             // somebody had to wait for the first
	twin          atomic.Pointer[os.File] // the second; set under first while there is none, taken away under second
	alone         bool                    // none is to be had; under first
	failed        atomic.Pointer[error]
}

// run calls do with a descriptor of the file that f is. all may be nil: then the second description stays.
func (s *syncs) run(f *os.File, all *twins, do func(fd int) error) error {
	if !s.first.TryLock() {
		if s.second.TryLock() {
			if twin := s.twin.Load(); twin != nil {
				defer s.second.Unlock()
				return s.call(twin, do)
			}
			s.second.Unlock()
			s.crowded.Store(true)
		}
		s.first.Lock()
	}
	defer s.first.Unlock()
	s.pair(f, all)
	return s.call(f, do)
}

func (s *syncs) call(f *os.File, do func(fd int) error) error {
	if failed := s.failed.Load(); failed != nil {
		return *failed
	}
	err := control(f, do)
	if err != nil && !errors.Is(err, os.ErrClosed) {
		s.failed.CompareAndSwap(nil, &err)
	}
	return err
}

// pair opens the second description if somebody had to wait for the first. That is held.
func (s *syncs) pair(f *os.File, all *twins) {
	if !s.crowded.Load() || s.alone || s.twin.Load() != nil {
		return
	}
	var twin *os.File
	err := control(f, func(fd int) (err error) {
		twin, err = os.Open("/proc/self/fd/" + strconv.Itoa(fd)) // not by its name: the file may bear another one by now
		return err
	})
	if err != nil {
		s.alone = true // no /proc, or no descriptor left: one call at a time is right as well
		return
	}
	s.twin.Store(twin)
	if all != nil {
		all.add(s)
	}
}

// part closes the second description, unless a call is under way on it.
func (s *syncs) part() {
	if !s.second.TryLock() {
		return
	}
	defer s.second.Unlock()
	s.crowded.Store(false)
	if twin := s.twin.Swap(nil); twin != nil {
		twin.Close()
	}
}

// close is for when the file is closed: nobody calls run any more.
func (s *syncs) close() {
	s.first.Lock()
	defer s.first.Unlock()
	s.alone = true
	s.part()
}

// twins bounds the second descriptions of a file system's files: the one that was opened longest ago makes way.
type twins struct {
	mu   sync.Mutex
	of   [twinsMax]*syncs
	next int
}

// twinsMax fits into the descriptors that the broker leaves for what it does not count.
const twinsMax = 32

func (t *twins) add(s *syncs) {
	t.mu.Lock()
	old := t.of[t.next]
	t.of[t.next] = s
	t.next = (t.next + 1) % twinsMax
	t.mu.Unlock()
	if old != nil && old != s {
		old.part()
	}
}
