package storage

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// The cleaner's settings take effect while it runs: a pause ends with the change, threads come and go, and Close waits for all of them.
func TestTheCleanerIsReconfiguredWhileItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, Config{Dirs: []string{"/data"}, FS: vfs.NewMemory(), NodeID: 1, RetentionCheckInterval: -1, CleanerBackoff: 100 * time.Hour})
		synctest.Wait() // it has found nothing, and pauses
		c := DefaultLogConfig()
		c.SegmentBytes, c.CleanupPolicy, c.MinCleanableDirtyRatio = 300, Compact, 0
		l := newLog(t, s, c)
		began := time.Now()
		for range 10 {
			if _, err := l.Append(simple(t, time.Now().UnixMilli(), "k=v", "k=w"), AppendOptions{NowMs: time.Now().UnixMilli()}); err != nil {
				t.Fatal(err)
			}
		}
		l.SetHighWatermark(l.EndOffset())
		full := l.Size()
		threads := func() int {
			s.cleaners.mu.Lock()
			defer s.cleaners.mu.Unlock()
			return len(s.cleaners.alive)
		}
		for _, n := range []int{3, 1, 2} {
			r := *s.running.Load()
			r.CleanerThreads = n
			s.Reconfigure(r)
			synctest.Wait()
			if threads() != n {
				t.Errorf("%d threads, want %d", threads(), n)
			}
		}
		if l.Size() >= full {
			t.Errorf("%d bytes of %d are left, and the pause is not over", l.Size(), full)
		}
		if since := time.Since(began); since > time.Minute {
			t.Errorf("that took %v", since)
		}
		r := *s.running.Load()
		r.ProducerExpiration = time.Hour
		s.Reconfigure(r)
		if _, err := l.Append(idempotent(t, 7, 0, 0, 1), AppendOptions{NowMs: time.Now().UnixMilli()}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(90 * time.Minute)
		synctest.Wait()
		if left := fmt.Sprint(l.prod.list()); left != "[]" {
			t.Errorf("after an hour and a half these producers are known: %s", left)
		}
		closeStore(t, s)
		s.Reconfigure(Running{CleanerThreads: 5}) // too late, and no harm
	})
}
