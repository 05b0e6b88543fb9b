package storage

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// The cleaner's settings take effect while it runs: a pause ends with the change, threads come and go, and Close waits for all of them.
func TestTheCleanerIsReconfiguredWhileItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{Dirs: []string{"/data"}, FS: vfs.NewMemory(), NodeID: 1, RetentionCheckInterval: -1, Running: DefaultRunning()}
		cfg.Running.CleanerBackoff = 100 * time.Hour
		s := openStore(t, cfg)
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

// Settings come from people: any numbers leave a store that works, at the start as later, and what is made of them is in one place.
func TestRunningSettingsAreBounded(t *testing.T) {
	const mib = 1 << 20
	for name, c := range map[string]struct {
		r, want Running
		keys    int64 // of one thread
		warns   bool
	}{
		"the defaults":                      {DefaultRunning(), DefaultRunning(), 128 * mib, false},
		"none of the least":                 {Running{CleanerIOBytesPerSecond: -5}, Running{1, 1 << 10, time.Millisecond, 0, time.Millisecond}, 1 << 10, false},
		"threads share the map":             {Running{4, 8 * mib, time.Hour, 7, time.Hour}, Running{4, 8 * mib, time.Hour, 7, time.Hour}, 2 * mib, false},
		"no more threads than can have one": {Running{1 << 30, 8 * mib, time.Hour, 7, time.Hour}, Running{8, 8 * mib, time.Hour, 7, time.Hour}, mib, true},
		"a small map for one":               {Running{9, 4096, time.Hour, 7, time.Hour}, Running{1, 4096, time.Hour, 7, time.Hour}, 4096, true},
	} {
		for _, later := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", later ", later), func(t *testing.T) {
				logs := new(logCapture)
				cfg := testConfig(vfs.NewMemory())
				cfg.Logger = logs.logger()
				if later {
					cfg.Running = Running{2, 3 * mib, time.Minute, 1, time.Minute}
				} else {
					cfg.Running = c.r
				}
				s := openStore(t, cfg)
				for range 2 { // the second is no change, and says nothing
					s.Reconfigure(c.r)
				}
				if got := s.running.Load(); *got != c.want || got.keyBytes() != c.keys {
					t.Errorf("%+v with %d bytes for each, want %+v with %d", *got, got.keyBytes(), c.want, c.keys)
				}
				if n := strings.Count(logs.String(), "fewer logs are compacted at a time"); (n == 1) != c.warns || n > 1 {
					t.Errorf("%d warnings:\n%s", n, logs.String())
				}
				closeStore(t, s)
			})
		}
	}
}
