package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// The acceptance scenarios of the reference, section 7, that concern one log; each test bears its number.

// refused is the code of a refusal, None without one.
func refused(t *testing.T, err error) kafka.ErrorCode {
	t.Helper()
	var r *Refusal
	if err == nil {
		return kafka.None
	}
	if !errors.As(err, &r) {
		t.Fatalf("not a refusal: %v", err)
	}
	return r.Code
}

func tryAppend(l *Log, b batch.Batch, o Origin) (AppendResult, error) {
	return l.Append(b, AppendOptions{LeaderEpoch: max(l.LatestEpoch(), 0), Origin: o, NowMs: 1_700_000_000_000})
}

// 26. When an idempotent batch is retried after a lost answer, then the same base offset returns and LEO is unchanged, also after a restart
// (last batch).
func TestScenario26RetriedBatchAnswersItsFirstOffset(t *testing.T) {
	fsys := vfs.NewMemory()
	s := openStore(t, testConfig(fsys))
	l := newLog(t, s, DefaultLogConfig())
	mustAppend(t, l, simple(t, 1, "x"))
	for i := range int32(5) {
		mustAppend(t, l, idempotent(t, 7, 0, 3*i, 3))
	}
	for i := range int32(5) {
		r := mustAppend(t, l, idempotent(t, 7, 0, 3*i, 3))
		if want := (AppendResult{BaseOffset: 1 + int64(3*i), LastOffset: 3 + int64(3*i), LogAppendTimeMs: -1, Duplicate: true}); r != want {
			t.Errorf("retry of batch %d: %+v, want %+v", i, r, want)
		}
	}
	if l.EndOffset() != 16 {
		t.Errorf("LEO %d, want 16", l.EndOffset())
	}
	closeStore(t, s)
	for _, how := range []string{"after a clean restart", "after a kill"} {
		s = openStore(t, testConfig(fsys))
		l = s.Get(tp0)
		r := mustAppend(t, l, idempotent(t, 7, 0, 12, 3))
		if !r.Duplicate || r.BaseOffset != 13 || l.EndOffset() != 16 {
			t.Errorf("%s: %+v, LEO %d", how, r, l.EndOffset())
		}
		fsys = fsys.Kill()
	}
}

// 27. When sequences jump by one, then 45; when the epoch drops, 47; when the epoch rises with sequence 0, success.
// 28. When the sequence passes 2147483647, then 0 is accepted next.
// 29. When the 6th-last batch is resent, then 45, not a second append.
func TestScenario27To29SequenceRules(t *testing.T) {
	type step struct {
		what  string
		batch func(t *testing.T) batch.Batch
		want  kafka.ErrorCode
		dup   bool
	}
	idem := func(epoch int16, seq int32, n int) func(*testing.T) batch.Batch {
		return func(t *testing.T) batch.Batch { return idempotent(t, 7, epoch, seq, n) }
	}
	tests := []struct {
		name  string
		steps []step
	}{
		{"27: a gap is out of order and the right batch still goes", []step{
			{"first", idem(3, 0, 2), kafka.None, false}, {"gap", idem(3, 3, 1), kafka.OutOfOrderSequenceNumber, false},
			{"in order", idem(3, 2, 1), kafka.None, false}}},
		{"27: an older epoch is fenced", []step{
			{"first", idem(3, 0, 2), kafka.None, false}, {"older", idem(2, 2, 1), kafka.InvalidProducerEpoch, false}}},
		{"27: a newer epoch starts at zero", []step{
			{"first", idem(3, 0, 2), kafka.None, false}, {"newer, not at zero", idem(4, 2, 1), kafka.OutOfOrderSequenceNumber, false},
			{"newer, at zero", idem(4, 0, 1), kafka.None, false}, {"old epoch again", idem(3, 2, 1), kafka.InvalidProducerEpoch, false}}},
		{"an unknown producer may start anywhere", []step{{"first", idem(3, 41, 2), kafka.None, false}, {"next", idem(3, 43, 1), kafka.None, false}}},
		{"an unknown producer may not start a transaction anywhere", []step{
			{"first", func(t *testing.T) batch.Batch { return transactional(t, 7, 3, 5, "x") }, kafka.OutOfOrderSequenceNumber, false}}},
		{"28: sequences wrap between batches", []step{
			{"last", idem(0, math.MaxInt32, 1), kafka.None, false}, {"zero", idem(0, 0, 1), kafka.None, false},
			{"last again", idem(0, math.MaxInt32, 1), kafka.None, true}}},
		{"28: sequences wrap inside a batch", []step{
			{"across", idem(0, math.MaxInt32-1, 4), kafka.None, false}, {"two", idem(0, 2, 1), kafka.None, false},
			{"across again", idem(0, math.MaxInt32-1, 4), kafka.None, true}}},
		{"29: the sixth last is not recognised", []step{
			{"0", idem(0, 0, 1), kafka.None, false}, {"1", idem(0, 1, 1), kafka.None, false}, {"2", idem(0, 2, 1), kafka.None, false},
			{"3", idem(0, 3, 1), kafka.None, false}, {"4", idem(0, 4, 1), kafka.None, false}, {"5", idem(0, 5, 1), kafka.None, false},
			{"1 again", idem(0, 1, 1), kafka.None, true}, {"0 again", idem(0, 0, 1), kafka.OutOfOrderSequenceNumber, false}}},
		{"a batch that overlaps a known one is no duplicate", []step{
			{"first", idem(0, 0, 3), kafka.None, false}, {"shorter", idem(0, 0, 2), kafka.OutOfOrderSequenceNumber, false}}},
		{"a plain batch inside an open transaction", []step{
			{"txn", func(t *testing.T) batch.Batch { return transactional(t, 7, 0, 0, "x") }, kafka.None, false},
			{"plain", idem(0, 1, 1), kafka.InvalidTxnState, false}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := openStore(t, testConfig(vfs.NewMemory()))
			l := newLog(t, s, DefaultLogConfig())
			for _, st := range tt.steps {
				end := l.EndOffset()
				b := st.batch(t)
				r, err := tryAppend(l, b, Client)
				if got := refused(t, err); got != st.want || r.Duplicate != st.dup {
					t.Fatalf("%s: %v, duplicate %v; want %v, %v", st.what, got, r.Duplicate, st.want, st.dup)
				}
				if grew := l.EndOffset() > end; grew != (err == nil && !st.dup) {
					t.Fatalf("%s: LEO went from %d to %d", st.what, end, l.EndOffset())
				}
			}
			closeStore(t, s)
		})
	}
}

// 41. When the process is killed mid-append, then restart truncates the torn tail, keeps every earlier batch and LEO is right after it.
func TestScenario41TornTailIsCut(t *testing.T) {
	full := simple(t, 2000, "torn-1", "torn-2", "torn-3")
	full.SetBaseOffset(6)
	for cut := 1; cut < len(full); cut++ {
		fsys := vfs.NewMemory()
		s := openStore(t, testConfig(fsys))
		l := newLog(t, s, DefaultLogConfig())
		for i := range 3 {
			mustAppend(t, l, simple(t, 1000, fmt.Sprint("a", i), fmt.Sprint("b", i)))
		}
		size := l.Size()
		fsys = fsys.Kill()
		f, err := fsys.Open("/data/orders-0/" + segmentName(0, logSuffix))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(full[:cut], size); err != nil {
			t.Fatal(err)
		}
		f.Close()
		s = openStore(t, testConfig(fsys))
		l = s.Get(tp0)
		if l.EndOffset() != 6 || l.Size() != size || l.FlushedOffset() != 6 {
			t.Fatalf("torn after %d bytes: LEO %d, size %d (was %d), flushed %d", cut, l.EndOffset(), l.Size(), size, l.FlushedOffset())
		}
		if got := len(readAll(t, l, 0)); got != 6 {
			t.Fatalf("torn after %d bytes: %d records", cut, got)
		}
		if r := mustAppend(t, l, simple(t, 3000, "next")); r.BaseOffset != 6 {
			t.Fatalf("next batch at %d", r.BaseOffset)
		}
		closeStore(t, s)
	}
}

// segmented makes a log of several sealed segments with two records a batch and returns what reads must give.
func segmented(t *testing.T, s *Store, batches int) (*Log, []string) {
	t.Helper()
	c := DefaultLogConfig()
	c.SegmentBytes, c.IndexIntervalBytes, c.RetentionMs = 1000, 200, -1
	l := newLog(t, s, c)
	var want []string
	for i := range batches {
		mustAppend(t, l, simple(t, int64(10_000+100*i), fmt.Sprintf("a%d", i), fmt.Sprintf("b%d", i)))
		want = append(want, fmt.Sprintf("%d=a%d", 2*i, i), fmt.Sprintf("%d=b%d", 2*i+1, i))
	}
	if err := l.seal(context.Background()); err != nil {
		t.Fatal(err)
	}
	return l, want
}

// smallSegments gives reopened logs the settings of segmented.
func smallSegments(cfg Config) Config {
	cfg.TopicConfig = func(string) LogConfig {
		c := DefaultLogConfig()
		c.SegmentBytes, c.IndexIntervalBytes, c.RetentionMs = 1000, 200, -1
		return c
	}
	return cfg
}

// 42. When index and timeindex files are deleted or zeroed, then they are rebuilt and lookups are right.
func TestScenario42LostIndexesAreRebuilt(t *testing.T) {
	damage := map[string]func(t *testing.T, fsys vfs.FS, name string){
		"deleted": func(t *testing.T, fsys vfs.FS, name string) {
			if err := fsys.Remove(name); err != nil {
				t.Fatal(err)
			}
		},
		"zeroed": func(t *testing.T, fsys vfs.FS, name string) {
			overwrite(t, fsys, name, func(b []byte) []byte { return make([]byte, len(b)) })
		},
		"emptied": func(t *testing.T, fsys vfs.FS, name string) {
			overwrite(t, fsys, name, func([]byte) []byte { return nil })
		},
		"preallocated": func(t *testing.T, fsys vfs.FS, name string) {
			overwrite(t, fsys, name, func(b []byte) []byte { return append(b, make([]byte, 4096)...) })
		},
		"halved": func(t *testing.T, fsys vfs.FS, name string) {
			overwrite(t, fsys, name, func(b []byte) []byte { return b[:len(b)/2] })
		},
		"one bit of each entry flipped": func(t *testing.T, fsys vfs.FS, name string) {
			overwrite(t, fsys, name, func(b []byte) []byte {
				for i := 3; i < len(b); i += 4 {
					b[i] ^= 1
				}
				return b
			})
		},
		"garbage": func(t *testing.T, fsys vfs.FS, name string) {
			overwrite(t, fsys, name, func(b []byte) []byte { return bytes.Repeat([]byte{0x5a, 0xa5, 0x17}, 100) })
		},
	}
	for what, do := range damage {
		for _, how := range []string{"clean", "killed"} {
			for _, which := range [][]string{{indexSuffix}, {timeIndexSuffix}, {indexSuffix, timeIndexSuffix}} {
				t.Run(what+" "+strings.Join(which, "+")+" "+how, func(t *testing.T) {
					fsys := vfs.NewMemory()
					s := openStore(t, testConfig(fsys))
					l, want := segmented(t, s, 60)
					if how == "clean" {
						closeStore(t, s)
					} else {
						if err := s.Checkpoint(); err != nil {
							t.Fatal(err)
						}
						fsys = fsys.Kill()
					}
					n := 0
					for _, name := range list(t, fsys, l.path) {
						for _, suffix := range which {
							if strings.HasSuffix(name, suffix) {
								do(t, fsys, path.Join(l.path, name))
								n++
							}
						}
					}
					if n < 3 {
						t.Fatalf("only %d files damaged", n)
					}
					s = openStore(t, smallSegments(testConfig(fsys)))
					l = s.Get(tp0)
					for from := range len(want) {
						if diff := cmp.Diff(want[from:min(from+4, len(want))], readAll(t, l, int64(from))[:min(4, len(want)-from)]); diff != "" {
							t.Fatalf("from %d: %s", from, diff)
						}
					}
					for i := range 60 {
						for d := range int64(2) {
							ts := int64(10_000+100*i) + d
							off, got, _, found, err := l.OffsetForTime(ts, math.MaxInt64)
							if err != nil || !found || off != int64(2*i)+d || got != ts {
								t.Fatalf("timestamp %d: offset %d, timestamp %d, %v, %v", ts, off, got, found, err)
							}
						}
					}
				})
			}
		}
	}
}

// 43. When a middle segment is corrupt, then everything from there is cut.
func TestScenario43CorruptMiddleSegmentIsCut(t *testing.T) {
	fsys := vfs.NewMemory()
	s := openStore(t, testConfig(fsys))
	l, want := segmented(t, s, 60)
	bases := segmentBases(l)
	fsys = fsys.Kill()
	victim := path.Join(l.path, segmentName(bases[2], logSuffix))
	overwrite(t, fsys, victim, func(b []byte) []byte { b[len(b)/2] ^= 0x10; return b })
	logs := &logCapture{}
	cfg := smallSegments(testConfig(fsys))
	cfg.Logger = logs.logger()
	s = openStore(t, cfg)
	l = s.Get(tp0)
	end := l.EndOffset()
	if end <= bases[2] || end >= bases[3] {
		t.Fatalf("LEO %d, want it inside the segment [%d, %d)", end, bases[2], bases[3])
	}
	if diff := cmp.Diff(want[:end], readAll(t, l, 0)); diff != "" {
		t.Fatal(diff)
	}
	if got := segmentBases(l); len(got) != 3 {
		t.Errorf("segments %v", got)
	}
	if !strings.Contains(logs.String(), victim) {
		t.Errorf("the log does not name %s:\n%s", victim, logs)
	}
	if r := mustAppend(t, l, simple(t, 1, "new")); r.BaseOffset != end {
		t.Errorf("next offset %d, want %d", r.BaseOffset, end)
	}
	closeStore(t, s)
	s = openStore(t, smallSegments(testConfig(fsys)))
	if got := s.Get(tp0).EndOffset(); got != end+1 {
		t.Errorf("LEO %d after a restart, want %d", got, end+1)
	}
}

// 44. When retention.bytes is exceeded, then only whole oldest segments go, none above HW; log start rises; old offsets give error 1.
// retention.bytes=0 keeps nothing, as in Kafka; 1 keeps the last segment.
func TestRetentionOfNoBytes(t *testing.T) {
	for bytes, left := range map[int64]int{0: 0, 1: 1} {
		s := openStore(t, testConfig(vfs.NewMemory()))
		l, _ := segmented(t, s, 60)
		c := l.Config()
		c.RetentionBytes = bytes
		l.SetConfig(c)
		end, last := l.EndOffset(), segmentBases(l)[len(segmentBases(l))-1]
		l.SetHighWatermark(end)
		s.ApplyRetention()
		want := end
		if left == 1 {
			want = last
		}
		if l.StartOffset() != want || l.EndOffset() != end {
			t.Errorf("retention.bytes=%d: the log holds [%d, %d), want [%d, %d)", bytes, l.StartOffset(), l.EndOffset(), want, end)
		}
	}
}

func TestScenario44RetentionByBytes(t *testing.T) {
	fsys := vfs.NewMemory()
	s := openStore(t, testConfig(fsys))
	l, want := segmented(t, s, 60)
	bases := segmentBases(l)
	c := l.Config()
	c.RetentionBytes = 2200
	l.SetConfig(c)
	l.SetHighWatermark(bases[2] + 1)
	if n := s.ApplyRetention(); n != 2 {
		t.Errorf("%d segments went with the high watermark inside the third, want 2", n)
	}
	if l.StartOffset() != bases[2] {
		t.Errorf("log start %d, want %d", l.StartOffset(), bases[2])
	}
	l.SetHighWatermark(l.EndOffset())
	s.ApplyRetention()
	if size := l.Size(); size < 2200 || size-l.view.Load().segments[0].size.Load() >= 2200 {
		t.Errorf("%d bytes are left", size)
	}
	start := l.StartOffset()
	if segmentBases(l)[0] != start {
		t.Errorf("log start %d is not a segment's, %v", start, segmentBases(l))
	}
	var oor *OutOfRange
	if _, err := l.Read(start-1, 100, math.MaxInt64, true); !errors.As(err, &oor) || oor.Start != start {
		t.Errorf("read below the start: %v", err)
	}
	if diff := cmp.Diff(want[start:], readAll(t, l, start)); diff != "" {
		t.Error(diff)
	}
	for _, how := range []string{"killed", "clean"} {
		if how == "clean" {
			closeStore(t, s)
		} else {
			fsys = fsys.Kill()
		}
		s = openStore(t, smallSegments(testConfig(fsys)))
		if l := s.Get(tp0); l.StartOffset() != start || len(readAll(t, l, start)) != len(want)-int(start) {
			t.Errorf("%s: log start %d, want %d", how, l.StartOffset(), start)
		}
		for _, name := range list(t, fsys, "/data/orders-0") {
			if off, _, ok := parseSegmentName(name); ok && off < start {
				t.Errorf("%s: %s is still there", how, name)
			}
		}
	}
}

func TestRetentionByTime(t *testing.T) {
	fsys := vfs.NewMemory()
	s := openStore(t, testConfig(fsys))
	now := s.now()
	c := DefaultLogConfig()
	c.SegmentBytes = 1000
	l := newLog(t, s, c)
	for i := range 30 {
		mustAppend(t, l, simple(t, now-1000+int64(i), "a", "b"))
	}
	l.SetHighWatermark(l.EndOffset())
	c.RetentionMs = 5000
	l.SetConfig(c)
	if n := s.ApplyRetention(); n != 0 {
		t.Fatalf("%d segments went too early", n)
	}
	// All are expired: the last segment too, and the log end stays.
	if n, err := l.retain(now + 60_000); err != nil || n != 3 {
		t.Fatalf("%d segments went (%v), %d were there", n, err, 3)
	}
	if l.StartOffset() != 60 || l.EndOffset() != 60 || l.SegmentCount() != 1 {
		t.Errorf("[%d, %d) in %d segments, want [60, 60) in 1", l.StartOffset(), l.EndOffset(), l.SegmentCount())
	}
	if r := mustAppend(t, l, simple(t, now, "c")); r.BaseOffset != 60 {
		t.Errorf("next offset %d", r.BaseOffset)
	}
	closeStore(t, s)
	s = openStore(t, testConfig(fsys))
	if diff := cmp.Diff([]string{"60=c"}, readAll(t, s.Get(tp0), 60)); diff != "" {
		t.Error(diff)
	}
}

// 45. (one log's part) When DeleteRecords is called, then log start survives restart.
func TestScenario45LogStartSurvivesRestart(t *testing.T) {
	fsys := vfs.NewMemory()
	s := openStore(t, testConfig(fsys))
	l, want := segmented(t, s, 60)
	bases := segmentBases(l)
	l.SetHighWatermark(l.EndOffset())
	to := bases[3] + 3 // inside a segment, and inside a batch
	if err := l.AdvanceStart(to); err != nil {
		t.Fatal(err)
	}
	if err := l.AdvanceStart(to - 10); err != nil || l.StartOffset() != to {
		t.Fatalf("a lower start: %v, start %d", err, l.StartOffset())
	}
	var oor *OutOfRange
	if err := l.AdvanceStart(l.EndOffset() + 1); !errors.As(err, &oor) {
		t.Errorf("beyond the end: %v", err)
	}
	if _, err := l.Read(to-1, 100, math.MaxInt64, true); !errors.As(err, &oor) {
		t.Errorf("read below: %v", err)
	}
	if n := s.ApplyRetention(); n != 3 {
		t.Errorf("%d segments went, want 3", n)
	}
	// Not even a power cut lowers it.
	fsys = fsys.CrashStrict()
	s = openStore(t, smallSegments(testConfig(fsys)))
	l = s.Get(tp0)
	if l.StartOffset() != to {
		t.Fatalf("start %d after a power cut, want %d", l.StartOffset(), to)
	}
	if diff := cmp.Diff(want[to:l.EndOffset()], readAll(t, l, to)); diff != "" {
		t.Error(diff)
	}
}

func overwrite(t *testing.T, fsys vfs.FS, name string, change func([]byte) []byte) {
	t.Helper()
	b, err := readSmall(fsys, name, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	b = change(b)
	f, err := fsys.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
}

func list(t *testing.T, fsys vfs.FS, dir string) []string {
	t.Helper()
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func segmentBases(l *Log) []int64 {
	var out []int64
	for _, s := range l.view.Load().segments {
		out = append(out, s.base)
	}
	return out
}

// A clean stop whose checkpoints were lost is recovered log by log, and what is found is durable before it is served.
func TestLostRecoveryPointsAfterACleanStop(t *testing.T) {
	fsys := vfs.NewMemory()
	s := openStore(t, testConfig(fsys))
	l, want := segmented(t, s, 20)
	closeStore(t, s)
	overwrite(t, fsys, "/data/"+recoveryPointsName, func([]byte) []byte { return []byte("0\n") })
	logs := &logCapture{}
	cfg := smallSegments(testConfig(fsys))
	cfg.Logger = logs.logger()
	s = openStore(t, cfg)
	l = s.Get(tp0)
	if l.EndOffset() != 40 || l.FlushedOffset() != 40 {
		t.Errorf("end %d, flushed %d, want 40", l.EndOffset(), l.FlushedOffset())
	}
	if diff := cmp.Diff(want, readAll(t, l, 0)); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(logs.String(), recoveryPointsName) {
		t.Errorf("the log does not name the checkpoint:\n%s", logs)
	}
}
