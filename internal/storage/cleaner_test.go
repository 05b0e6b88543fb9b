package storage

import (
	"context"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// compacted is a store and a log with cleanup.policy compact and small segments; *now is its clock.
func compacted(t *testing.T, fsys vfs.FS, now *int64) (Config, *Store, *Log) {
	t.Helper()
	cfg := testConfig(fsys)
	cfg.Clock = func() time.Time { return time.UnixMilli(*now) }
	cfg.TopicConfig = func(string) LogConfig { return compactConfig() }
	cfg.sealByHand = true
	s := openStore(t, cfg)
	return cfg, s, newLog(t, s, compactConfig())
}

func compactConfig() LogConfig {
	c := DefaultLogConfig()
	c.CleanupPolicy = Compact
	c.SegmentBytes, c.IndexIntervalBytes = 1000, 100
	c.MinCleanableDirtyRatio = 0.01
	c.DeleteRetentionMs = 1000
	c.FileDeleteDelayMs = 0
	return c
}

// put appends one batch of key=value pairs; "key" alone is a tombstone.
func put(t *testing.T, l *Log, ts int64, pairs ...string) int64 {
	t.Helper()
	recs := make([]rec, len(pairs))
	for i, p := range pairs {
		k, v, _ := strings.Cut(p, "=")
		recs[i] = rec{ts: ts, key: k, value: v}
	}
	r := mustAppend(t, l, makeBatch(t, batch.Options{}, recs...))
	l.SetHighWatermark(l.EndOffset())
	return r.BaseOffset
}

func roll(t *testing.T, l *Log) {
	t.Helper()
	l.mu.Lock()
	err := l.roll(l.end.Load())
	l.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
}

// latest is the last value of every key, as a consumer that reads everything knows it; offsets must rise.
func latest(t *testing.T, l *Log) map[string]string {
	t.Helper()
	m := map[string]string{}
	prev := int64(-1)
	for _, r := range records(t, l) {
		if r.offset <= prev {
			t.Fatalf("offset %d after %d", r.offset, prev)
		}
		prev = r.offset
		if r.value == nil {
			delete(m, r.key)
		} else {
			m[r.key] = fmt.Sprintf("%d=%s", r.offset, *r.value)
		}
	}
	return m
}

type stored struct {
	offset int64
	key    string
	value  *string
}

// records reads all data records with their keys.
func records(t *testing.T, l *Log) []stored {
	t.Helper()
	var out []stored
	rd := batch.NewReader(testCodecs)
	eachBatch(t, l, func(b batch.Batch) {
		if b.Control() {
			return
		}
		err := rd.Each(b, func(r *batch.Record) error {
			s := stored{offset: r.Offset, key: string(r.Key)}
			if r.Value != nil {
				v := string(r.Value)
				s.value = &v
			}
			out = append(out, s)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	return out
}

func eachBatch(t *testing.T, l *Log, fn func(batch.Batch)) {
	t.Helper()
	for from := l.StartOffset(); from < l.EndOffset(); {
		s, err := l.Read(from, 1<<20, math.MaxInt64, true)
		if err != nil {
			t.Fatal(err)
		}
		b, err := s.AppendTo(nil)
		s.Release()
		if err != nil {
			t.Fatal(err)
		}
		if len(b) == 0 {
			return
		}
		for {
			one, rest, err := batch.Next(b)
			if err == io.EOF {
				break
			}
			if err != nil || !one.ValidCRC() {
				t.Fatalf("a bad batch at %d: %v", from, err)
			}
			fn(one)
			from, b = one.LastOffset()+1, rest
		}
	}
}

// 46. When a log with 100 versions per key is compacted, then last values and offsets are kept, the active segment untouched, tombstones
// vanish only after delete.retention.ms.
func TestScenario46Compaction(t *testing.T) {
	fsys := vfs.NewMemory()
	now := int64(1_700_000_000_000)
	_, s, l := compacted(t, fsys, &now)
	for v := range 100 {
		for k := range 5 {
			put(t, l, now, fmt.Sprintf("k%d=v%d", k, v), fmt.Sprintf("x%d=v%d", k, v))
		}
	}
	gone := put(t, l, now, "k0", "k1=last") // k0 is deleted
	roll(t, l)
	put(t, l, now, "k2=active", "k2=active2")
	want := latest(t, l)
	before := l.Size()
	activeBefore := l.view.Load().last()
	if !s.CleanOnce() {
		t.Fatal("nothing was compacted")
	}
	if diff := cmp.Diff(want, latest(t, l)); diff != "" {
		t.Error(diff)
	}
	if after := l.Size(); after > before/10 {
		t.Errorf("%d bytes of %d are left", after, before)
	}
	if l.view.Load().last() != activeBefore {
		t.Error("the active segment changed")
	}
	count := func(key string) (n int) {
		for _, r := range records(t, l) {
			if r.key == key {
				n++
			}
		}
		return n
	}
	if count("k0") != 1 || count("k1") != 1 || count("k2") != 3 {
		t.Errorf("k0 %d times, k1 %d, k2 %d; want 1 (the tombstone), 1, 3", count("k0"), count("k1"), count("k2"))
	}
	if s.CleanOnce() {
		t.Error("a clean log was compacted again")
	}
	// The tombstone stays for delete.retention.ms after the round that first saw it.
	now += 999
	put(t, l, now, "other=1")
	roll(t, l)
	if !s.CleanOnce() || count("k0") != 1 {
		t.Fatalf("the tombstone went too early: k0 is there %d times", count("k0"))
	}
	now += 2
	put(t, l, now, "other=2")
	roll(t, l)
	if !s.CleanOnce() || count("k0") != 0 {
		t.Fatalf("the tombstone at %d is still there", gone)
	}
	if diff := cmp.Diff("2", (*lastValue(t, l, "other"))[:1]); diff != "" {
		t.Error(diff)
	}
	// Reading from every offset works, also from those that are gone.
	all := records(t, l)
	for from := range l.EndOffset() {
		sl, err := l.Read(from, 1<<20, math.MaxInt64, true)
		if err != nil {
			t.Fatal(err)
		}
		b, err := sl.AppendTo(nil)
		sl.Release()
		one, _, err2 := batch.Next(b)
		if err != nil || err2 != nil || one.LastOffset() < from {
			t.Fatalf("from %d: %v, %v", from, err, err2)
		}
	}
	closeStore(t, s)
	s2cfg := testConfig(fsys)
	s2cfg.TopicConfig = func(string) LogConfig { return compactConfig() }
	for range 2 {
		s = openStore(t, s2cfg)
		if diff := cmp.Diff(all, records(t, s.Get(tp0)), cmp.AllowUnexported(stored{})); diff != "" {
			t.Error(diff)
		}
		fsys = fsys.Kill()
		s2cfg.FS = fsys
	}
}

func lastValue(t *testing.T, l *Log, key string) *string {
	t.Helper()
	var v *string
	for _, r := range records(t, l) {
		if r.key == key {
			v = r.value
		}
	}
	return v
}

func TestCompactionKeepsWhatIsYoungUnstableOrLarge(t *testing.T) {
	t.Run("min.compaction.lag.ms", func(t *testing.T) {
		now := int64(1_700_000_000_000)
		_, s, l := compacted(t, vfs.NewMemory(), &now)
		c := compactConfig()
		c.MinCompactionLagMs = 10_000
		l.SetConfig(c)
		put(t, l, now-20_000, "a=1", "a=2")
		roll(t, l)
		put(t, l, now-5_000, "a=3", "a=4")
		roll(t, l)
		if !s.CleanOnce() {
			t.Fatal("nothing was compacted")
		}
		if got := len(records(t, l)); got != 3 {
			t.Errorf("%d records are left, want a=2, a=3, a=4", got)
		}
		now += 10_000
		if s.CleanOnce(); len(records(t, l)) != 1 {
			t.Errorf("%d records are left, want a=4", len(records(t, l)))
		}
	})
	t.Run("dirty ratio and max.compaction.lag.ms", func(t *testing.T) {
		now := int64(1_700_000_000_000)
		_, s, l := compacted(t, vfs.NewMemory(), &now)
		c := compactConfig()
		c.MinCleanableDirtyRatio, c.MaxCompactionLagMs = 0.6, 60_000
		l.SetConfig(c)
		for i := range 10 {
			put(t, l, now, fmt.Sprintf("k%d=%s", i, strings.Repeat("x", 50)))
		}
		roll(t, l)
		if !s.CleanOnce() {
			t.Fatal("an all dirty log was not compacted")
		}
		put(t, l, now, "k1=y")
		roll(t, l)
		if s.CleanOnce() {
			t.Fatal("compacted below the dirty ratio")
		}
		now += 60_001
		if !s.CleanOnce() || len(records(t, l)) != 10 {
			t.Fatalf("max.compaction.lag.ms was not honoured: %d records", len(records(t, l)))
		}
	})
	t.Run("the high watermark", func(t *testing.T) {
		now := int64(1_700_000_000_000)
		_, s, l := compacted(t, vfs.NewMemory(), &now)
		put(t, l, now, "a=1", "a=2")
		roll(t, l)
		put(t, l, now, "a=3", "a=4")
		roll(t, l)
		l.SetHighWatermark(3)
		s.CleanOnce()
		if got := len(records(t, l)); got != 3 {
			t.Errorf("%d records are left, want a=2, a=3, a=4", got)
		}
	})
	t.Run("an open transaction", func(t *testing.T) {
		now := int64(1_700_000_000_000)
		_, s, l := compacted(t, vfs.NewMemory(), &now)
		put(t, l, now, "k0=1")
		roll(t, l)
		mustAppend(t, l, transactional(t, 5, 0, 0, "2"))
		roll(t, l)
		put(t, l, now, "k0=3")
		roll(t, l)
		s.CleanOnce()
		if got := len(records(t, l)); got != 3 {
			t.Errorf("%d records are left while a transaction is open, want 3", got)
		}
		mustAppendAs(t, l, marker(t, 5, 0, true, 0), Coordinator)
		l.SetHighWatermark(l.EndOffset())
		roll(t, l)
		s.CleanOnce()
		if got := len(records(t, l)); got != 1 {
			t.Errorf("%d records are left, want 1", got)
		}
	})
	t.Run("a map too small for the dirty part takes several rounds", func(t *testing.T) {
		now := int64(1_700_000_000_000)
		cfg := testConfig(vfs.NewMemory())
		cfg.Running = DefaultRunning()
		cfg.Running.CleanerDedupeBytes = 1 << 10 // 42 slots
		s := openStore(t, cfg)
		l := newLog(t, s, compactConfig())
		for v := range 3 {
			for k := range 100 {
				put(t, l, now, fmt.Sprintf("k%d=v%d", k, v))
			}
		}
		roll(t, l)
		want := latest(t, l)
		rounds := 0
		for ; s.CleanOnce(); rounds++ {
			if rounds > 100 {
				t.Fatal("no end")
			}
			if diff := cmp.Diff(want, latest(t, l)); diff != "" {
				t.Fatal(diff)
			}
		}
		if got := len(records(t, l)); got != 100 || rounds < 3 {
			t.Errorf("%d records after %d rounds", got, rounds)
		}
	})
}

func TestCompactionOfTransactionsAndProducers(t *testing.T) {
	fsys := vfs.NewMemory()
	now := int64(1_700_000_000_000)
	cfg, s, l := compacted(t, fsys, &now)
	mustAppend(t, l, transactional(t, 5, 0, 0, "aborted")) // k0, offset 0
	mustAppendAs(t, l, marker(t, 5, 0, false, 0), Coordinator)
	mustAppend(t, l, transactional(t, 6, 0, 0, "committed")) // k0, offset 2
	mustAppendAs(t, l, marker(t, 6, 0, true, 0), Coordinator)
	mustAppend(t, l, transactional(t, 5, 0, 1, "again")) // k0, offset 4
	mustAppendAs(t, l, marker(t, 5, 0, true, 0), Coordinator)
	mustAppend(t, l, idempotent(t, 7, 0, 0, 1)) // k0, offset 6
	put(t, l, now, "k0=plain")                  // offset 7
	roll(t, l)
	put(t, l, now, "zz=1")
	if diff := cmp.Diff([]AbortedTxn{{ProducerID: 5, FirstOffset: 0, LastOffset: 1, LastStableOffset: 2}}, mustAborted(t, l, 0, 10)); diff != "" {
		t.Fatal(diff)
	}
	headers := func(l *Log) string {
		var out []string
		eachBatch(t, l, func(b batch.Batch) {
			kind := "data"
			if b.Control() {
				kind = "marker"
			}
			out = append(out, fmt.Sprintf("%d-%d %s producer %d seq %d records %d", b.BaseOffset(), b.LastOffset(), kind, b.ProducerID(), b.BaseSequence(), b.RecordCount()))
		})
		return strings.Join(out, "\n")
	}
	clean := func() {
		t.Helper()
		put(t, l, now, "zz=1")
		roll(t, l)
		if err := l.dir.flushAll(context.Background(), []*Log{l}); err != nil { // what is not durable yet would keep more headers
			t.Fatal(err)
		}
		if !s.CleanOnce() {
			t.Fatal("nothing was compacted")
		}
	}
	clean()
	// Of each producer the last batch stays as a header. Markers stay while a header of their transaction does, or until their horizon.
	want := `1-1 marker producer 5 seq -1 records 1
2-2 data producer 6 seq 0 records 0
3-3 marker producer 6 seq -1 records 1
4-4 data producer 5 seq 1 records 0
5-5 marker producer 5 seq -1 records 1
6-6 data producer 7 seq 0 records 0
7-7 data producer -1 seq -1 records 1
9-9 data producer -1 seq -1 records 1`
	if diff := cmp.Diff(want, headers(l)); diff != "" {
		t.Fatal(diff)
	}
	if got := mustAborted(t, l, 0, 10); len(got) != 1 {
		t.Errorf("aborted transactions %v: the marker is still there", got)
	}
	clean() // sees the first marker without data and sets its horizon
	now += 1001
	clean()
	if got := headers(l); strings.Contains(got, "1-1 marker") || !strings.Contains(got, "3-3 marker") {
		t.Errorf("the empty transaction's marker should be gone, the others not:\n%s", got)
	}
	if got := mustAborted(t, l, 0, 10); len(got) != 0 {
		t.Errorf("aborted transactions %v", got)
	}
	// The producers are known after a restart that must read the compacted segments.
	for _, f := range list(t, fsys, l.path) {
		if strings.HasSuffix(f, snapshotSuffix) {
			if err := fsys.Remove(l.path + "/" + f); err != nil {
				t.Fatal(err)
			}
		}
	}
	cfg.FS = fsys.Kill()
	s = openStore(t, cfg)
	l = s.Get(tp0)
	if r := mustAppend(t, l, idempotent(t, 7, 0, 0, 1)); !r.Duplicate || r.BaseOffset != 6 {
		t.Errorf("the retry of producer 7: %+v", r)
	}
	if r := mustAppend(t, l, transactional(t, 5, 0, 1, "again")); !r.Duplicate || r.BaseOffset != 4 {
		t.Errorf("the retry of producer 5: %+v", r)
	}
}

func mustAborted(t *testing.T, l *Log, from, upper int64) []AbortedTxn {
	t.Helper()
	a, err := l.AbortedTxns(from, upper)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Readers of replaced segments finish.
func TestReaderOutlivesACompaction(t *testing.T) {
	now := int64(1_700_000_000_000)
	_, s, l := compacted(t, vfs.NewMemory(), &now)
	for v := range 40 {
		put(t, l, now, fmt.Sprintf("k=v%d", v))
	}
	roll(t, l)
	sl, err := l.Read(0, 200, math.MaxInt64, true)
	if err != nil {
		t.Fatal(err)
	}
	before, err := sl.AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	if !s.CleanOnce() {
		t.Fatal("nothing was compacted")
	}
	s.sweep() // the old files are unlinked
	after, err := sl.AppendTo(nil)
	if err != nil || string(before) != string(after) {
		t.Errorf("the slice changed: %v", err)
	}
	sl.Release()
	if diff := cmp.Diff("v39", *lastValue(t, l, "k")); diff != "" {
		t.Error(diff)
	}
}

// A log whose bytes cannot be read is marked and skipped, others go on.
func TestUncleanableLogIsLeftAlone(t *testing.T) {
	fsys := vfs.NewMemory()
	now := int64(1_700_000_000_000)
	_, s, l := compacted(t, fsys, &now)
	good, err := s.Create(tp1, topicID, compactConfig())
	if err != nil {
		t.Fatal(err)
	}
	for v := range 10 {
		put(t, l, now, fmt.Sprintf("k=v%d", v), "pad="+strings.Repeat("x", 100))
		put(t, good, now, fmt.Sprintf("k=v%d", v))
	}
	roll(t, l)
	roll(t, good)
	f, err := fsys.Open(l.path + "/" + segmentName(0, logSuffix))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("damage"), 100); err != nil {
		t.Fatal(err)
	}
	rounds := 0
	for s.CleanOnce() {
		if rounds++; rounds > 5 {
			t.Fatal("the damaged log is tried again and again")
		}
	}
	if !l.cleaning.failed.Load() || good.cleaning.failed.Load() {
		t.Error("the damaged log is not marked, or the good one is")
	}
	if got := len(records(t, good)); got != 1 {
		t.Errorf("%d records are left in the good log", got)
	}
	for _, name := range list(t, fsys, l.path) {
		if strings.HasSuffix(name, cleanedSuffix) {
			t.Errorf("%s is left", name)
		}
	}
}

func TestTruncationAbortsACompaction(t *testing.T) {
	mem := vfs.NewMemory()
	var l *Log
	once := false
	fsys := vfs.Inject(mem, func(op vfs.Op) error {
		if op.Kind == vfs.OpWriteAt && strings.HasSuffix(op.Name, logSuffix+cleanedSuffix) && !once {
			once = true
			if err := l.TruncateTo(5); err != nil {
				panic(err)
			}
		}
		return nil
	})
	now := int64(1_700_000_000_000)
	_, s, log := compacted(t, fsys, &now)
	l = log
	for v := range 60 {
		put(t, l, now, fmt.Sprintf("k=v%d", v))
	}
	s.CleanOnce()
	if !once {
		t.Fatal("no compaction ran")
	}
	if got := readAll(t, l, 0); len(got) != 5 || l.EndOffset() != 5 {
		t.Errorf("[%d records, end %d], want the 5 that the truncation left", len(got), l.EndOffset())
	}
	if l.cleaning.failed.Load() {
		t.Error("an aborted compaction counts as failed")
	}
	for _, name := range list(t, mem, l.path) {
		if strings.HasSuffix(name, cleanedSuffix) || strings.HasSuffix(name, swapSuffix) {
			t.Errorf("%s is left", name)
		}
	}
}
