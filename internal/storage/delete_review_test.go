package storage

import (
	"strings"
	"sync"
	"testing"

	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// renameHook calls before each rename.
type renameHook struct {
	vfs.FS
	before func(from string)
}

func (h *renameHook) Rename(from, to string) error {
	if h.before != nil {
		h.before(from)
	}
	return h.FS.Rename(from, to)
}

// logToDelete is a log of four records, all of them older than its retention.
func logToDelete(t *testing.T, s *Store) *Log {
	t.Helper()
	c := DefaultLogConfig()
	c.RetentionMs = 1000
	logs, err := s.CreateAll([]CreateSpec{{TP: tp0, ID: topicID, Config: c, LeaderEpoch: 0}})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []string{"a", "b", "c", "d"} {
		if _, err := logs[0].Append(simple(t, 1000, v), AppendOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	logs[0].SetHighWatermark(4)
	return logs[0]
}

// A log that is deleted while its start rises is no fault of the disk: whoever raises it must not find the folder gone halfway through, nor
// write into that of a topic made again under the same name.
func TestDeletionWaitsForWhoeverRaisesTheStart(t *testing.T) {
	for name, raise := range map[string]func(s *Store, l *Log){
		"delete records": func(_ *Store, l *Log) { _ = l.AdvanceStart(3) },
		"retention":      func(s *Store, _ *Log) { s.ApplyRetention() },
	} {
		t.Run(name, func(t *testing.T) {
			fsys := &renameHook{FS: vfs.NewMemory()}
			s := openStore(t, testConfig(fsys))
			l := logToDelete(t, s)
			var deleting sync.WaitGroup
			fsys.before = func(from string) {
				if !strings.HasSuffix(from, epochsName+".tmp") {
					return
				}
				fsys.before = nil
				deleting.Go(func() {
					if err := s.Delete(tp0); err != nil {
						t.Error(err)
					}
				})
				if l.sealMu.TryLock() { // nothing holds the deletion back: let it come first
					l.sealMu.Unlock()
					deleting.Wait()
				}
			}
			raise(s, l)
			deleting.Wait()
			if fsys.before != nil {
				t.Fatal("the start was not raised")
			}
			closeStore(t, s)
		})
	}
}

// The same, left to the scheduler.
func TestDeletionMeetsWhoeverRaisesTheStart(t *testing.T) {
	s := openStore(t, testConfig(vfs.NewMemory()))
	for range 200 {
		l := logToDelete(t, s)
		var all sync.WaitGroup
		start := make(chan struct{})
		for _, f := range []func(){
			func() { _ = l.AdvanceStart(3) },
			func() { s.ApplyRetention() },
			func() {
				if err := s.Delete(tp0); err != nil {
					t.Error(err)
				}
			},
		} {
			all.Go(func() { <-start; f() })
		}
		close(start)
		all.Wait()
	}
	closeStore(t, s)
}
