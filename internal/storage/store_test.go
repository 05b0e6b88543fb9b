package storage

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

func TestOpenRefuses(t *testing.T) {
	fresh := func(t *testing.T) *vfs.Memory {
		fsys := vfs.NewMemory()
		s := openStore(t, testConfig(fsys))
		newLog(t, s, DefaultLogConfig())
		closeStore(t, s)
		return fsys
	}
	t.Run("a directory that another process holds, naming the holder", func(t *testing.T) {
		fsys := fresh(t)
		lock, err := fsys.Lock("/data/.lock", "pid 4711")
		if err != nil {
			t.Fatal(err)
		}
		var locked *vfs.LockedError
		_, err = Open(context.Background(), testConfig(fsys))
		if !errors.As(err, &locked) || !strings.Contains(err.Error(), "pid 4711") {
			t.Fatalf("%v", err)
		}
		lock.Close()
		closeStore(t, openStore(t, testConfig(fsys)))
	})
	t.Run("a newer format", func(t *testing.T) {
		fsys := fresh(t)
		overwrite(t, fsys, "/data/barnabas.format", func([]byte) []byte { return []byte("version=2\n") })
		var newer *NewerFormatError
		if _, err := Open(context.Background(), testConfig(fsys)); !errors.As(err, &newer) || newer.Found != 2 || newer.Newest != FormatVersion {
			t.Fatalf("%v", err)
		}
		// Nothing was touched, not even the marker of the clean stop.
		overwrite(t, fsys, "/data/barnabas.format", func([]byte) []byte { return encodeFormatVersion(1) })
		s := openStore(t, testConfig(fsys))
		if !s.Dirs()[0].Clean {
			t.Error("the refused open took the clean marker away")
		}
	})
	t.Run("an empty mount point where a disk with logs should be", func(t *testing.T) {
		cfg := testConfig(vfs.NewMemory())
		cfg.Dirs = []string{"/one", "/two"}
		placed := []kafka.TopicPartition{{Topic: "t", Partition: 0}, {Topic: "t", Partition: 1}, {Topic: "t", Partition: 2}}
		s := openStore(t, cfg)
		for _, tp := range placed {
			if _, err := s.Create(tp, topicID, DefaultLogConfig()); err != nil {
				t.Fatal(err)
			}
		}
		closeStore(t, s)
		cfg.Placed = slices.Values(placed)
		closeStore(t, openStore(t, cfg))
		for _, name := range []string{"/two/t-1", "/two/meta.properties", "/two/barnabas.format", "/two/.kafka_cleanshutdown"} {
			if err := cfg.FS.RemoveAll(name); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 { // the refused start does not make the directory an old one
			var gone *MissingError
			if _, err := Open(context.Background(), cfg); !errors.As(err, &gone) || gone.Dir != "/two" || gone.Count != 1 || gone.First != placed[1] {
				t.Fatalf("%v", err)
			}
		}
		// A new disk is welcome while nothing is missing, and so is one that somebody vouches for.
		cfg.Placed = slices.Values([]kafka.TopicPartition{placed[0], placed[2]})
		cfg.Dirs = []string{"/one", "/three"}
		closeStore(t, openStore(t, cfg))
		cfg.Placed = slices.Values(placed)
		cfg.Dirs = []string{"/one", "/two"}
		if err := cfg.FS.Rename("/three/meta.properties", "/two/meta.properties"); err != nil {
			t.Fatal(err)
		}
		overwrite(t, cfg.FS.(*vfs.Memory), "/two/meta.properties", func([]byte) []byte { return []byte("version=1\n") })
		closeStore(t, openStore(t, cfg))
	})
	t.Run("another cluster", func(t *testing.T) {
		cfg := testConfig(fresh(t))
		cfg.ClusterID = "cluster-2"
		var wrong *MismatchError
		if _, err := Open(context.Background(), cfg); !errors.As(err, &wrong) || wrong.Property != "cluster.id" || wrong.Found != "cluster-1" {
			t.Fatalf("%v", err)
		}
	})
	t.Run("another node", func(t *testing.T) {
		cfg := testConfig(fresh(t))
		cfg.NodeID = 2
		var wrong *MismatchError
		if _, err := Open(context.Background(), cfg); !errors.As(err, &wrong) || wrong.Property != "node.id" || wrong.Found != "1" {
			t.Fatalf("%v", err)
		}
	})
	t.Run("a partition in two directories", func(t *testing.T) {
		fsys := fresh(t)
		if err := fsys.MkdirAll("/more/orders-0"); err != nil {
			t.Fatal(err)
		}
		cfg := testConfig(fsys)
		cfg.Dirs = append(cfg.Dirs, "/more")
		if _, err := Open(context.Background(), cfg); err == nil || !strings.Contains(err.Error(), "orders-0") {
			t.Fatalf("%v", err)
		}
	})
	t.Run("settings that cannot work, all at once", func(t *testing.T) {
		_, err := Open(context.Background(), Config{OpenFilesMax: -1})
		for _, want := range []string{"log.dirs", "FS is required", "OpenFilesMax"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v does not speak of %s", err, want)
			}
		}
	})
}

// What happens to a segment between a clean stop and the next start costs that log what is gone, and nobody else anything.
func TestASegmentChangedAfterACleanStopIsRecovered(t *testing.T) {
	whole := 0
	for name, c := range map[string]struct {
		change func([]byte) []byte
		end    int64
	}{
		"as it was":        {func(b []byte) []byte { return b }, 3},
		"torn":             {func(b []byte) []byte { return b[:len(b)-7] }, 2},
		"a batch is gone":  {func(b []byte) []byte { return b[:len(b)/3*2] }, 2},
		"all but nothing":  {func(b []byte) []byte { return b[:10] }, 0},
		"empty":            {func(b []byte) []byte { return nil }, 0},
		"with more behind": {func(b []byte) []byte { return append(b, make([]byte, 99)...) }, 3},
	} {
		t.Run(name, func(t *testing.T) {
			fsys := vfs.NewMemory()
			s := openStore(t, testConfig(fsys))
			l := newLog(t, s, DefaultLogConfig())
			for range 3 {
				mustAppend(t, l, simple(t, 1, "abc"))
			}
			closeStore(t, s)
			overwrite(t, fsys, "/data/orders-0/"+segmentName(0, logSuffix), func(b []byte) []byte { whole = len(b); return c.change(b) })
			s = openStore(t, testConfig(fsys))
			if l = s.Get(tp0); l.EndOffset() != c.end {
				t.Errorf("ends at %d, want %d", l.EndOffset(), c.end)
			}
			for l.EndOffset() < 3 {
				mustAppend(t, l, simple(t, 1, "abc"))
			}
			closeStore(t, s)
			overwrite(t, fsys, "/data/orders-0/"+segmentName(0, logSuffix), func(b []byte) []byte {
				if len(b) != whole {
					t.Errorf("%d bytes, want %d", len(b), whole)
				}
				return b
			})
		})
	}
}

func TestAFolderThatSomebodyRemovedIsDeleted(t *testing.T) {
	fsys := vfs.NewMemory()
	s := openStore(t, testConfig(fsys))
	mustAppend(t, newLog(t, s, DefaultLogConfig()), simple(t, 1, "a"))
	if err := fsys.RemoveAll("/data/orders-0"); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(tp0); err != nil {
		t.Errorf("delete: %v", err)
	}
	mustAppend(t, newLog(t, s, DefaultLogConfig()), simple(t, 1, "b")) // the directory is online, and the name is free
	closeStore(t, s)
}

// The id is known to the metadata as well, so a damaged file is no reason to serve nothing at all.
func TestAFolderThatDoesNotSayWhoseItIsIsTakenByItsName(t *testing.T) {
	fsys := vfs.NewMemory()
	s := openStore(t, testConfig(fsys))
	mustAppend(t, newLog(t, s, DefaultLogConfig()), simple(t, 1, "a"))
	closeStore(t, s)
	overwrite(t, fsys, "/data/orders-0/"+metadataName, func(b []byte) []byte { return b[:len(b)-9] })
	l := openStore(t, testConfig(fsys)).Get(tp0)
	if l == nil || !l.TopicID().IsZero() || l.EndOffset() != 1 {
		t.Errorf("got %+v", l)
	}
}

func TestEmptyClusterIDIsTakenFromTheDirectory(t *testing.T) {
	fsys := vfs.NewMemory()
	closeStore(t, openStore(t, testConfig(fsys)))
	cfg := testConfig(fsys)
	cfg.ClusterID = ""
	s := openStore(t, cfg)
	if s.ClusterID() != "cluster-1" {
		t.Errorf("cluster id %q", s.ClusterID())
	}
	cfg.FS = vfs.NewMemory()
	s = openStore(t, cfg)
	if id, err := kafka.ParseTopicID(s.ClusterID()); err != nil || id.IsZero() {
		t.Errorf("a new directory got cluster id %q", s.ClusterID())
	}
}

func TestCreateSpreadsOverDirectoriesAndDeleteFreesTheName(t *testing.T) {
	fsys := vfs.NewMemory()
	cfg := testConfig(fsys)
	cfg.Dirs = []string{"/a", "/b/deep/er"}
	s := openStore(t, cfg)
	var specs []CreateSpec
	for p := range int32(7) {
		specs = append(specs, CreateSpec{TP: kafka.TopicPartition{Topic: "t", Partition: p}, ID: topicID, Config: DefaultLogConfig(), LeaderEpoch: 3})
	}
	logs, err := s.CreateAll(specs)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create(specs[2].TP, topicID, DefaultLogConfig()); err == nil {
		t.Error("a partition was created twice")
	}
	if _, err := s.Create(kafka.TopicPartition{Topic: "../x"}, topicID, DefaultLogConfig()); err == nil {
		t.Error("a path was taken for a topic")
	}
	for _, d := range s.Dirs() {
		if n := len(d.Logs); n != 3 && n != 4 {
			t.Errorf("%s has %d logs", d.Path, n)
		}
	}
	// All of it is durable already.
	cut := cfg
	cut.FS = fsys.CrashStrict()
	after := openStore(t, cut)
	for i, spec := range specs {
		l := after.Get(spec.TP)
		if l == nil || l.TopicID() != topicID || l.LatestEpoch() != 3 || l.Dir() != logs[i].Dir() {
			t.Fatalf("%v after a power cut: %+v", spec.TP, l)
		}
	}
	// A deleted partition leaves nothing by which a new one of its name could be misjudged.
	l := logs[0]
	mustAppend(t, l, simple(t, 1, "a", "b", "c"))
	l.SetHighWatermark(3)
	if err := l.AdvanceStart(2); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Checkpoint(), s.CheckpointHighWatermarks()); err != nil {
		t.Fatal(err)
	}
	sl, err := l.Read(2, 100, 3, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(l.TopicPartition()); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(l.TopicPartition()); err == nil {
		t.Error("deleted twice")
	}
	if b, err := sl.AppendTo(nil); err != nil || len(b) == 0 {
		t.Errorf("a read under way: %v", err)
	}
	sl.Release()
	if _, err := l.Read(2, 100, 3, true); !errors.Is(err, ErrClosed) {
		t.Errorf("read from a deleted log: %v", err)
	}
	if _, err := tryAppend(l, simple(t, 1, "d"), Client); !errors.Is(err, ErrClosed) {
		t.Errorf("append to a deleted log: %v", err)
	}
	again, err := s.Create(specs[0].TP, kafka.TopicID{7}, DefaultLogConfig())
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, again, simple(t, 1, "new"))
	cut.FS = fsys.Kill()
	after = openStore(t, cut)
	if l := after.Get(specs[0].TP); l.StartOffset() != 0 || l.EndOffset() != 1 || l.TopicID() != (kafka.TopicID{7}) || l.HighWatermarkCheckpoint() != 0 {
		t.Errorf("the new log: [%d, %d), id %v, high watermark %d", l.StartOffset(), l.EndOffset(), l.TopicID(), l.HighWatermarkCheckpoint())
	}
	for _, d := range cut.Dirs {
		for _, name := range list(t, cut.FS, d) {
			if strings.HasSuffix(name, deleteFolder) {
				t.Errorf("%s is left in %s", name, d)
			}
		}
	}
	closeStore(t, s)
	if _, err := s.Create(specs[1].TP, topicID, DefaultLogConfig()); !errors.Is(err, ErrClosed) {
		t.Errorf("create in a closed store: %v", err)
	}
}

func TestTruncation(t *testing.T) {
	fsys := vfs.NewMemory()
	s := openStore(t, smallSegments(testConfig(fsys)))
	l, want := segmented(t, s, 60)
	if err := l.AssignEpoch(4, 120); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, idempotent(t, 7, 0, 0, 2))
	bases := segmentBases(l)
	for _, tt := range []struct {
		name     string
		to, want int64
	}{
		{"beyond the end", 1000, 122},
		{"a batch of the last segment", 120, 120},
		{"inside a batch", 113, 112},
		{"a segment's base", bases[3], bases[3]},
		{"an older segment", bases[1] + 2, bases[1] + 2},
	} {
		if err := l.TruncateTo(tt.to); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if l.EndOffset() != tt.want || l.FlushedOffset() > tt.want {
			t.Fatalf("%s: the log ends at %d, flushed %d; want %d", tt.name, l.EndOffset(), l.FlushedOffset(), tt.want)
		}
		cut := smallSegments(testConfig(fsys.CrashStrict()))
		after := openStore(t, cut).Get(tp0)
		if after.EndOffset() > tt.want {
			t.Fatalf("%s: after a power cut the log ends at %d", tt.name, after.EndOffset())
		}
		if tt.want <= 120 {
			if diff := cmp.Diff(want[:tt.want], readAll(t, l, 0)); diff != "" {
				t.Fatalf("%s: %s", tt.name, diff)
			}
			if l.LatestEpoch() != 0 || len(l.Producers()) != 0 {
				t.Errorf("%s: epoch %d, producers %v", tt.name, l.LatestEpoch(), l.Producers())
			}
		}
	}
	if r := mustAppend(t, l, simple(t, 5, "next")); r.BaseOffset != bases[1]+2 {
		t.Errorf("next offset %d", r.BaseOffset)
	}
	if err := l.TruncateFullyAndStartAt(5000); err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{"now", "after a power cut", "after a clean stop"} {
		if l.StartOffset() != 5000 || l.EndOffset() != 5000 || l.FlushedOffset() != 5000 || len(l.Epochs()) != 0 {
			t.Errorf("%s: [%d, %d), flushed %d, epochs %v", how, l.StartOffset(), l.EndOffset(), l.FlushedOffset(), l.Epochs())
		}
		if how == "now" {
			fsys = fsys.CrashStrict()
		} else {
			closeStore(t, s)
		}
		s = openStore(t, smallSegments(testConfig(fsys)))
		l = s.Get(tp0)
	}
	if r := mustAppend(t, l, simple(t, 5, "fresh")); r.BaseOffset != 5000 {
		t.Errorf("fresh offset %d", r.BaseOffset)
	}
}

func TestReplicatedAppendKeepsOffsetsAndEpochs(t *testing.T) {
	fsys := vfs.NewMemory()
	s := openStore(t, testConfig(fsys))
	l := newLog(t, s, DefaultLogConfig())
	from := func(offset int64, epoch int32, vs ...string) batch.Batch {
		b := simple(t, 1, vs...)
		b.SetBaseOffset(offset)
		b.SetLeaderEpoch(epoch)
		return b
	}
	for _, b := range []batch.Batch{from(0, 2, "a", "b"), from(5, 2, "f"), from(6, 4, "g"), from(7+math.MaxInt32, 4, "far")} {
		mustAppendAs(t, l, b, Replication)
	}
	if _, err := tryAppend(l, from(6, 4, "again"), Replication); refused(t, err) != kafka.CorruptMessage {
		t.Errorf("an offset came twice: %v", err)
	}
	bad := from(l.EndOffset(), 4, "x")
	bad[len(bad)-1] ^= 1
	if _, err := tryAppend(l, bad, Replication); refused(t, err) != kafka.CorruptMessage {
		t.Errorf("a flipped bit: %v", err)
	}
	if diff := cmp.Diff([]EpochEntry{{2, 0}, {4, 6}}, l.Epochs()); diff != "" {
		t.Error(diff)
	}
	want := []string{"0=a", "1=b", "5=f", "6=g", fmt.Sprintf("%d=far", 7+math.MaxInt32)}
	if diff := cmp.Diff(want, readAll(t, l, 0)); diff != "" {
		t.Error(diff)
	}
	s = openStore(t, testConfig(fsys.Kill()))
	l = s.Get(tp0)
	if diff := cmp.Diff(want, readAll(t, l, 0)); diff != "" {
		t.Error(diff)
	}
	if _, err := l.Append(simple(t, 1, "old leader"), AppendOptions{LeaderEpoch: 3}); refused(t, err) != kafka.FencedLeaderEpoch {
		t.Errorf("an append in an epoch that is over: %v", err)
	}
}

func TestAppendRules(t *testing.T) {
	s := openStore(t, testConfig(vfs.NewMemory()))
	c := DefaultLogConfig()
	c.SegmentBytes = 200
	l := newLog(t, s, c)
	if _, err := tryAppend(l, simple(t, 1, strings.Repeat("x", 200)), Client); refused(t, err) != kafka.RecordListTooLarge {
		t.Errorf("a batch larger than a segment: %v", err)
	}
	if _, err := tryAppend(l, marker(t, 5, 0, true, 0), Client); refused(t, err) != kafka.InvalidRecord {
		t.Errorf("a control batch from a client: %v", err)
	}
	mustAppend(t, l, transactional(t, 5, 3, 0, "x"))
	mustAppendAs(t, l, marker(t, 5, 3, true, 7), Coordinator)
	if _, err := tryAppend(l, marker(t, 5, 2, true, 8), Coordinator); refused(t, err) != kafka.InvalidProducerEpoch {
		t.Errorf("a marker of an older producer epoch: %v", err)
	}
	if _, err := tryAppend(l, marker(t, 5, 3, true, 6), Coordinator); refused(t, err) != kafka.TransactionCoordinatorFenced {
		t.Errorf("a marker of an older coordinator: %v", err)
	}
	mustAppendAs(t, l, marker(t, 5, 4, false, 7), Coordinator) // raises the epoch
	if _, err := tryAppend(l, transactional(t, 5, 3, 1, "late"), Client); refused(t, err) != kafka.InvalidProducerEpoch {
		t.Errorf("a late batch of the old epoch: %v", err)
	}
	if _, err := tryAppend(l, transactional(t, 5, 4, 1, "gap"), Client); refused(t, err) != kafka.OutOfOrderSequenceNumber {
		t.Errorf("a new epoch that does not start at 0: %v", err)
	}
	mustAppend(t, l, transactional(t, 5, 4, 0, "good"))
}

func TestRolling(t *testing.T) {
	const now = 1_700_000_000_000
	tests := []struct {
		name   string
		change func(c *LogConfig)
		ts     []int64 // one batch each, appended 10 ms apart
		want   []int64 // bases
	}{
		{"by size", func(c *LogConfig) { c.SegmentBytes = 150 }, []int64{1, 2, 3}, []int64{0, 2}},
		{"by the timestamps of the records", func(c *LogConfig) { c.SegmentMs = 100 }, []int64{1000, 1100, 1101, 1150}, []int64{0, 2}},
		{"not by timestamps that go back", func(c *LogConfig) { c.SegmentMs = 100 }, []int64{1000, 1, 900}, []int64{0}},
		{"by the wall clock without timestamps", func(c *LogConfig) { c.SegmentMs = 15 }, []int64{-1, -1, -1, -1}, []int64{0, 2}},
		{"a compacted log by max.compaction.lag.ms", func(c *LogConfig) { c.CleanupPolicy = Compact; c.MaxCompactionLagMs = 100 }, []int64{1000, 1101}, []int64{0, 1}},
		{"by a full index", func(c *LogConfig) { c.SegmentIndexBytes, c.IndexIntervalBytes = 24, 1 }, []int64{1, 2, 3, 4, 5}, []int64{0, 2, 4}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := openStore(t, testConfig(vfs.NewMemory()))
			c := DefaultLogConfig()
			tt.change(&c)
			l := newLog(t, s, c)
			for i, ts := range tt.ts {
				b := simple(t, ts, "v")
				if _, err := l.Append(b, AppendOptions{NowMs: now + int64(10*i)}); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(tt.want, segmentBases(l)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLastStableOffsetAndAbortedTransactions(t *testing.T) {
	fsys := vfs.NewMemory()
	s := openStore(t, testConfig(fsys))
	c := DefaultLogConfig()
	c.SegmentBytes = 200 // transactions span segments
	l := newLog(t, s, c)
	lso := func(hw, want int64) {
		t.Helper()
		if got := l.LastStableOffset(hw); got != want {
			t.Errorf("last stable offset %d with high watermark %d, want %d", got, hw, want)
		}
	}
	mustAppend(t, l, simple(t, 1, "plain")) // 0
	lso(1, 1)
	mustAppend(t, l, transactional(t, 1, 0, 0, "a")) // 1
	mustAppend(t, l, transactional(t, 2, 0, 0, "b")) // 2
	lso(3, 1)
	lso(1, 1)
	mustAppendAs(t, l, marker(t, 1, 0, false, 0), Coordinator) // 3: aborts 1
	lso(4, 2)
	lso(3, 1)                                                  // the marker is not committed yet
	mustAppend(t, l, transactional(t, 2, 0, 1, "c"))           // 4
	mustAppendAs(t, l, marker(t, 2, 0, true, 0), Coordinator)  // 5: commits 2
	mustAppend(t, l, transactional(t, 3, 0, 0, "d"))           // 6
	mustAppendAs(t, l, marker(t, 3, 0, false, 0), Coordinator) // 7: aborts 3
	lso(8, 8)
	lso(5, 2)
	l.SetHighWatermark(8)
	lso(8, 8)
	if n := l.prod.txns.Load(); n != 0 {
		t.Errorf("%d transactions are remembered", n)
	}
	one := AbortedTxn{ProducerID: 1, FirstOffset: 1, LastOffset: 3, LastStableOffset: 2}
	three := AbortedTxn{ProducerID: 3, FirstOffset: 6, LastOffset: 7, LastStableOffset: 8}
	for _, how := range []string{"live", "killed", "clean"} {
		if l.SegmentCount() < 3 {
			t.Fatalf("%d segments", l.SegmentCount())
		}
		for _, tt := range []struct {
			from, upper int64
			want        []AbortedTxn
		}{
			{0, 8, []AbortedTxn{one, three}}, {0, 6, []AbortedTxn{one}}, {0, 1, nil}, {3, 6, []AbortedTxn{one}}, {4, 8, []AbortedTxn{three}}, {4, 6, nil}, {7, 8, []AbortedTxn{three}},
		} {
			if diff := cmp.Diff(tt.want, mustAborted(t, l, tt.from, tt.upper)); diff != "" {
				t.Errorf("%s, [%d, %d): %s", how, tt.from, tt.upper, diff)
			}
		}
		if how == "killed" {
			closeStore(t, s)
		} else {
			fsys = fsys.Kill()
		}
		cfg := testConfig(fsys)
		cfg.TopicConfig = func(string) LogConfig { return c }
		s = openStore(t, cfg)
		l = s.Get(tp0)
	}
	// A transaction index that is damaged is made anew from the batches.
	closeStore(t, s)
	for _, name := range list(t, fsys, l.path) {
		if strings.HasSuffix(name, txnIndexSuffix) {
			overwrite(t, fsys, path.Join(l.path, name), func(b []byte) []byte { b[0] = 0x77; return b })
		}
	}
	s = openStore(t, testConfig(fsys))
	if diff := cmp.Diff([]AbortedTxn{one, three}, mustAborted(t, s.Get(tp0), 0, 8)); diff != "" {
		t.Error(diff)
	}
}

func TestProducersExpireByWallClock(t *testing.T) {
	fsys := vfs.NewMemory()
	now := time.UnixMilli(1_700_000_000_000)
	cfg := testConfig(fsys)
	cfg.Clock = func() time.Time { return now }
	cfg.Running = DefaultRunning()
	cfg.Running.ProducerExpiration = time.Hour
	s := openStore(t, cfg)
	l := newLog(t, s, DefaultLogConfig())
	at := func(b batch.Batch) {
		t.Helper()
		if _, err := l.Append(b, AppendOptions{NowMs: now.UnixMilli()}); err != nil {
			t.Fatal(err)
		}
	}
	at(idempotent(t, 1, 0, 0, 1)) // its timestamps are of 1970, which must not matter
	at(transactional(t, 2, 0, 0, "open"))
	now = now.Add(30 * time.Minute)
	at(idempotent(t, 3, 0, 0, 1))
	s.ExpireProducers()
	if n := len(l.Producers()); n != 3 {
		t.Fatalf("%d producers, want 3", n)
	}
	now = now.Add(30 * time.Minute)
	s.ExpireProducers()
	var ids []int64
	for _, p := range l.Producers() {
		ids = append(ids, p.ProducerID)
	}
	if diff := cmp.Diff([]int64{2, 3}, ids); diff != "" { // 1 is silent for an hour; 2 has an open transaction
		t.Error(diff)
	}
	at(idempotent(t, 1, 0, 17, 1)) // forgotten, it may start anywhere
}
