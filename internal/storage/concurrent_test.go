package storage

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// Background tasks run by their tickers and end with Close.
func TestBackgroundTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := vfs.NewMemory()
		cfg := Config{Dirs: []string{"/data"}, FS: fsys, NodeID: 1, FlushMode: FlushInterval, FlushInterval: 2 * time.Second, Running: DefaultRunning()}
		cfg.Running.CleanerBackoff = time.Second
		s := openStore(t, cfg)
		c := DefaultLogConfig()
		c.SegmentBytes, c.RetentionMs, c.FileDeleteDelayMs = 300, 600_000, 60_000
		l := newLog(t, s, c)
		for i := range 10 {
			if _, err := l.Append(simple(t, time.Now().UnixMilli(), fmt.Sprint(i), "x"), AppendOptions{NowMs: time.Now().UnixMilli()}); err != nil {
				t.Fatal(err)
			}
		}
		l.SetHighWatermark(l.EndOffset())
		time.Sleep(2100 * time.Millisecond)
		synctest.Wait()
		if l.FlushedOffset() != 20 {
			t.Errorf("flushed %d after the interval", l.FlushedOffset())
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		cut := openStore(t, testConfigFor(fsys.CrashStrict(), s.ClusterID()))
		if l := cut.Get(tp0); l.EndOffset() != 20 || l.HighWatermarkCheckpoint() != 20 {
			t.Errorf("after a power cut: end %d, high watermark %d", l.EndOffset(), l.HighWatermarkCheckpoint())
		}
		closeStore(t, cut)
		time.Sleep(15 * time.Minute)
		synctest.Wait()
		if l.StartOffset() != 20 || l.SegmentCount() != 1 {
			t.Errorf("retention left [%d, %d)", l.StartOffset(), l.EndOffset())
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		for _, name := range list(t, fsys, l.path) {
			if strings.HasSuffix(name, deletedSuffix) {
				t.Errorf("%s was not unlinked", name)
			}
		}
		closeStore(t, s)
	})
}

func testConfigFor(fsys vfs.FS, cluster string) Config {
	cfg := testConfig(fsys)
	cfg.ClusterID = cluster
	return cfg
}

// flush.messages and flush.ms flush where the mode leaves it to the topic.
func TestTopicFlushSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, Config{Dirs: []string{"/data"}, FS: vfs.NewMemory(), NodeID: 1, FlushMode: FlushNever, CleanerDisable: true})
		c := DefaultLogConfig()
		c.FlushMessages = 10
		byCount := newLog(t, s, c)
		c = DefaultLogConfig()
		c.FlushMs = 5000
		byTime, err := s.Create(tp1, topicID, c)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 9 {
			for _, l := range []*Log{byCount, byTime} {
				if _, err := l.Append(simple(t, 1, fmt.Sprint(i)), AppendOptions{NowMs: time.Now().UnixMilli()}); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if byCount.FlushedOffset() != 0 || byTime.FlushedOffset() != 0 {
			t.Errorf("flushed %d and %d too early", byCount.FlushedOffset(), byTime.FlushedOffset())
		}
		if _, err := byCount.Append(simple(t, 1, "tenth"), AppendOptions{NowMs: time.Now().UnixMilli()}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if byCount.FlushedOffset() != 10 {
			t.Errorf("flush.messages: flushed %d", byCount.FlushedOffset())
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if byTime.FlushedOffset() != 9 {
			t.Errorf("flush.ms: flushed %d", byTime.FlushedOffset())
		}
		closeStore(t, s)
	})
}

// Closing takes a context: when it is over, the marker is left out.
func TestCloseInAHurryLeavesNoMarker(t *testing.T) {
	fsys := vfs.NewMemory()
	s := openStore(t, testConfig(fsys))
	l := newLog(t, s, DefaultLogConfig())
	mustAppend(t, l, simple(t, 1, "a"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	s = openStore(t, testConfig(fsys))
	if s.Dirs()[0].Clean || len(readAll(t, s.Get(tp0), 0)) != 1 {
		t.Error("the stop counts as clean, or the record is lost")
	}
	s.SetBrokerEpoch(42)
	closeStore(t, s)
	if err := s.Close(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("closed twice: %v", err)
	}
	s = openStore(t, testConfig(fsys))
	if d := s.Dirs()[0]; !d.Clean || d.BrokerEpoch != 42 || d.DirectoryID == "" {
		t.Errorf("%+v", d)
	}
}

// Appenders, readers, flushes, rolls, retention, compaction and lookups at once; run with -race.
func TestConcurrentUse(t *testing.T) {
	fsys := vfs.NewMemory()
	cfg := testConfig(fsys)
	cfg.OpenFilesMax, cfg.IndexCacheBytes = 3, 1
	fl := newFlushes()
	cfg.OnFlushed = fl.on
	s := openStore(t, cfg)
	const logs, appends = 4, 150
	var all []*Log
	for p := range int32(logs) {
		c := DefaultLogConfig()
		c.SegmentBytes, c.IndexIntervalBytes, c.RetentionMs, c.FileDeleteDelayMs = 1500, 200, -1, 0
		if p%2 == 1 {
			c.CleanupPolicy, c.MinCleanableDirtyRatio = Compact, 0.01
		} else {
			c.RetentionBytes = 6000
		}
		l, err := s.Create(kafka.TopicPartition{Topic: "t", Partition: p}, topicID, c)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	ctx, stop := context.WithCancel(t.Context())
	var writers, others sync.WaitGroup
	for _, l := range all {
		writers.Go(func() {
			for i := range int32(appends) {
				mustAppend(t, l, idempotent(t, 7, 0, 2*i, 2))
				l.WantFlush()
				if i%10 == 0 {
					fl.wait(l, int64(2*i+2))
					l.SetHighWatermark(l.FlushedOffset())
				}
			}
		})
		for range 2 {
			others.Go(func() {
				for from := int64(0); ctx.Err() == nil; {
					sl, err := l.Read(from, 700, l.EndOffset(), true)
					var oor *OutOfRange
					if errors.As(err, &oor) {
						from = l.StartOffset()
						continue
					}
					if err != nil {
						t.Errorf("read at %d: %v", from, err)
						return
					}
					b, err := sl.AppendTo(nil)
					sl.Release()
					if err != nil {
						t.Errorf("read at %d: %v", from, err)
						return
					}
					for {
						one, rest, err := batch.Next(b)
						if err != nil {
							break
						}
						if !one.ValidCRC() || one.LastOffset() < from {
							t.Errorf("a bad batch [%d, %d] at %d", one.BaseOffset(), one.LastOffset(), from)
							return
						}
						from, b = one.LastOffset()+1, rest
					}
					if from >= l.EndOffset() {
						from = l.StartOffset()
					}
				}
			})
		}
		others.Go(func() {
			for ctx.Err() == nil {
				if _, _, _, _, err := l.OffsetForTime(1000, math.MaxInt64); err != nil {
					t.Errorf("time lookup: %v", err)
				}
				if _, _, _, _, err := l.MaxTimestampOffset(math.MaxInt64); err != nil {
					t.Errorf("time lookup: %v", err)
				}
				l.LastStableOffset(l.EndOffset())
				l.Producers()
				l.Size()
			}
		})
	}
	others.Go(func() {
		for ctx.Err() == nil {
			s.ApplyRetention()
			s.CleanOnce()
			s.Checkpoint()
			s.sweep()
			s.Dirs()
		}
	})
	writers.Wait()
	stop()
	others.Wait()
	for _, l := range all {
		if l.EndOffset() != 2*appends {
			t.Errorf("%v ends at %d", l.TopicPartition(), l.EndOffset())
		}
	}
	closeStore(t, s)
	s = openStore(t, testConfig(fsys))
	for _, l := range s.Logs() {
		if l.EndOffset() != 2*appends {
			t.Errorf("%v ends at %d after a restart", l.TopicPartition(), l.EndOffset())
		}
		readAll(t, l, l.StartOffset())
	}
}
