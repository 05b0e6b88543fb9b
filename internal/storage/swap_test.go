package storage

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// 47. When killed at any step of a compaction swap, then restart serves one consistent version without loss. Every step here is every
// operation that changes the disk, and besides a kill the power is cut, with everything unsynced lost and with some of it lost.
func TestScenario47KilledInAnyStepOfACompaction(t *testing.T) {
	mem := vfs.NewMemory()
	var mu sync.Mutex // the store's own tasks come by here, too
	var hook func(op vfs.Op)
	during := func(f func(op vfs.Op)) {
		mu.Lock()
		defer mu.Unlock()
		hook = f
	}
	fsys := vfs.Inject(mem, func(op vfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if hook != nil && op.Kind.Changes() {
			hook(op)
		}
		return nil
	})
	now := int64(1_700_000_000_000)
	cfg, s, l := compacted(t, fsys, &now)
	fl := newFlushes()
	s.cfg.OnFlushed = fl.on
	for v := range 12 {
		for k := range 3 {
			put(t, l, now, fmt.Sprintf("k%d=v%d", k, v), fmt.Sprintf("x%d=v%d", k, v))
		}
		mustAppend(t, l, idempotent(t, 9, 0, int32(v), 1))
	}
	l.SetHighWatermark(l.EndOffset())
	if l.SegmentCount() < 4 {
		t.Fatalf("%d segments", l.SegmentCount())
	}
	if err := l.seal(context.Background()); err != nil {
		t.Fatal(err)
	}
	l.WantFlush()
	fl.wait(l, l.EndOffset())
	if err := s.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	want, end := latest(t, l), l.EndOffset()
	rng := rand.New(rand.NewPCG(1, 2))
	type snapshot struct {
		what string
		disk *vfs.Memory
	}
	var disks []snapshot
	steps := 0
	during(func(op vfs.Op) {
		steps++
		what := fmt.Sprintf("before step %d, %s", steps, op)
		disks = append(disks, snapshot{"kill " + what, mem.Kill()}, snapshot{"strict power cut " + what, mem.CrashStrict()})
		for i := range 2 {
			disks = append(disks, snapshot{fmt.Sprintf("power cut %d %s", i, what), mem.Crash(rng)})
		}
	})
	if !s.CleanOnce() {
		t.Fatal("nothing was compacted")
	}
	// And once more, so that compacted segments are swapped too, and what was renamed is unlinked.
	during(nil)
	firstRound := len(disks)
	put(t, l, now, "k0=w")
	roll(t, l)
	l.WantFlush()
	fl.wait(l, end+1)
	if steps < 15 {
		t.Fatalf("only %d steps", steps)
	}
	check := func(d snapshot, want map[string]string, end int64) {
		t.Helper()
		cfg := cfg
		cfg.FS = d.disk
		cfg.OnFlushed = nil
		s, err := Open(context.Background(), cfg)
		if err != nil {
			t.Fatalf("%s: %v", d.what, err)
		}
		l := s.Get(tp0)
		if l.EndOffset() != end {
			t.Fatalf("%s: the log ends at %d, want %d; segments %v, files %v", d.what, l.EndOffset(), end, segmentBases(l), list(t, d.disk, l.path))
		}
		if diff := cmp.Diff(want, latest(t, l)); diff != "" {
			t.Fatalf("%s: %s", d.what, diff)
		}
		if r := mustAppend(t, l, idempotent(t, 9, 0, 11, 1)); !r.Duplicate {
			t.Fatalf("%s: the producer is forgotten", d.what)
		}
		for _, name := range list(t, d.disk, l.path) {
			if strings.HasSuffix(name, cleanedSuffix) || strings.HasSuffix(name, swapSuffix) || strings.HasSuffix(name, deletedSuffix) {
				t.Fatalf("%s: %s is left", d.what, name)
			}
		}
		l.SetHighWatermark(l.EndOffset())
		for s.CleanOnce() {
		}
		if diff := cmp.Diff(want, latest(t, l)); diff != "" {
			t.Fatalf("%s, compacted again: %s", d.what, diff)
		}
		close(s.stop)
		s.wg.Wait()
	}
	t.Logf("%d disks", len(disks))
	for _, d := range disks {
		check(d, want, end)
	}
	want["k0"] = fmt.Sprintf("%d=w", end)
	during(func(op vfs.Op) {
		what := fmt.Sprintf("second round, before %s", op)
		disks = append(disks, snapshot{"kill " + what, mem.Kill()}, snapshot{"strict power cut " + what, mem.CrashStrict()}, snapshot{"power cut " + what, mem.Crash(rng)})
	})
	if !s.CleanOnce() {
		t.Fatal("nothing was compacted the second time")
	}
	s.sweep()
	during(nil)
	for _, d := range disks[firstRound:] {
		check(d, want, end+1)
	}
}
