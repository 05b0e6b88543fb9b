package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// unclean is a disk after a kill: several logs of several segments, some of which are above the recovery points, one with a damaged batch in the
// middle, and a folder whose deletion was under way.
func unclean(t *testing.T, c LogConfig) *vfs.Memory {
	t.Helper()
	mem := vfs.NewMemory()
	cfg := testConfig(mem)
	cfg.sealByHand = true
	fl := newFlushes()
	cfg.OnFlushed = fl.on
	s := openStore(t, cfg)
	for p := range int32(3) {
		l, err := s.Create(kafka.TopicPartition{Topic: "orders", Partition: p}, topicID, c)
		if err != nil {
			t.Fatal(err)
		}
		for n := range 12 {
			mustAppend(t, l, idempotent(t, 7+int64(p), 0, int32(2*n), 2))
			if n != 3 {
				continue
			}
			l.WantFlush()
			fl.wait(l, l.EndOffset())
			if err := l.seal(context.Background()); err != nil {
				t.Fatal(err)
			}
			if err := s.Checkpoint(); err != nil {
				t.Fatal(err)
			}
		}
		l.WantFlush()
		fl.wait(l, l.EndOffset())
	}
	damaged := s.Get(kafka.TopicPartition{Topic: "orders", Partition: 1}).view.Load()
	name := damaged.segments[len(damaged.segments)-2].file.path()
	overwrite(t, mem, name, func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
	if err := mem.MkdirAll("/data/gone-0.0123456789abcdef0123456789abcdef" + deleteFolder); err != nil {
		t.Fatal(err)
	}
	mem = mem.Kill()
	close(s.stop)
	s.wg.Wait()
	return mem
}

// stateOf is what a start finds: the records of every log, and what is known of its producers and epochs.
func stateOf(t *testing.T, disk *vfs.Memory, c LogConfig) (state []string) {
	t.Helper()
	cfg := testConfig(disk)
	cfg.TopicConfig = func(string) LogConfig { return c }
	s := openStore(t, cfg)
	defer closeStore(t, s)
	for _, l := range s.Logs() {
		state = append(state, fmt.Sprint(l.tp, l.StartOffset(), l.EndOffset(), readAll(t, l, l.StartOffset()), l.prod.list(), l.epochs.load()))
	}
	return state
}

// A broker that is told to stop while it recovers stops at once, wherever it is, and the next start recovers as if nothing had been. The context ends
// here at each single operation of a recovery in turn.
func TestOpenStopsAtAnyOperationOfARecovery(t *testing.T) {
	c := DefaultLogConfig()
	c.SegmentBytes = 400
	for _, suspect := range []bool{false, true} {
		disk := unclean(t, c)
		if suspect { // a sync had failed: what is kept is written anew
			f, err := disk.Create("/data/" + suspectName)
			if err != nil {
				t.Fatal(err)
			}
			f.Close()
		}
		want := stateOf(t, disk.Kill(), c)
		stopped := 0
		for at, done := 1, false; !done; at++ {
			mem := disk.Kill()
			ctx, cancel := context.WithCancel(t.Context())
			operations, reads, open := 0, 0, 0
			cfg := testConfig(nil)
			cfg.TopicConfig = func(string) LogConfig { return c }
			cfg.RecoveryThreads, cfg.SyncFSThreshold, cfg.SyncParallel = 1, -1, 1
			cfg.FS = vfs.Inject(mem, func(op vfs.Op) error {
				if op.Kind == vfs.OpClose {
					open--
					return nil
				}
				if operations++; operations == at {
					cancel()
				}
				switch op.Kind {
				case vfs.OpReadAt:
					if operations > at {
						reads++
					}
				case vfs.OpCreate:
					open++
				case vfs.OpOpen, vfs.OpOpenRead:
					if _, err := mem.Stat(op.Name); err == nil {
						open++
					}
				}
				return nil
			})
			s, err := Open(ctx, cfg)
			cancel()
			// What is being cut is cut to its end, one segment sealed with all its files, and the few files read that say whose directory it is.
			if operations > at+20 || reads > 3 {
				t.Errorf("told to stop at operation %d, it did %d more, %d of them reads", at, operations-at, reads)
			}
			if done = err == nil; done {
				close(s.stop)
				s.wg.Wait()
				continue
			}
			stopped++
			var told *StoppedError
			if !errors.As(err, &told) || !errors.Is(err, context.Canceled) || !told.Recovering || told.Done > told.Logs || told.Logs > 3 {
				t.Fatalf("stopped at operation %d: %v", at, err)
			}
			if open != 0 {
				t.Errorf("stopped at operation %d, %d files are open", at, open)
			}
			if _, err := mem.Stat("/data/" + cleanName); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("stopped at operation %d: the marker of a clean stop is there: %v", at, err)
			}
			for what, disk := range map[string]*vfs.Memory{"": mem.Kill(), ", then a power cut": mem.Crash(rand.New(rand.NewPCG(1, uint64(at))))} {
				if diff := cmp.Diff(want, stateOf(t, disk, c)); diff != "" {
					t.Fatalf("stopped at operation %d%s: %s", at, what, diff)
				}
			}
		}
		if stopped < 100 {
			t.Errorf("there were only %d operations to stop at", stopped)
		}
	}
}

// The walk over one long segment, the checksum of one long batch, and a replay of producers whose newest snapshot is gone, end as soon.
func TestOpenStopsInsideASegment(t *testing.T) {
	c := DefaultLogConfig()
	c.MaxMessageBytes = 1 << 30
	many := func(t *testing.T, s *Store) *Log {
		l := newLog(t, s, c)
		for n := range int32(20) {
			mustAppend(t, l, makeBatch(t, batch.Options{Producer: &batch.Producer{ID: 7, BaseSequence: n}}, rec{1, "k", strings.Repeat("v", 5000)}))
			if n == 0 {
				roll(t, l)
				if err := l.seal(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
		}
		return l
	}
	for name, tt := range map[string]struct {
		fill  func(t *testing.T, s *Store) *Log
		clean bool
		says  string
	}{
		"many batches": {many, false, "recovering"},
		"one batch": {func(t *testing.T, s *Store) *Log {
			l := newLog(t, s, c)
			mustAppend(t, l, simple(t, 1, strings.Repeat("v", 100*crcBuffer)))
			return l
		}, false, "recovering"},
		"producers": {many, true, "opening"},
	} {
		t.Run(name, func(t *testing.T) {
			mem := vfs.NewMemory()
			s := openStore(t, testConfig(mem))
			l := tt.fill(t, s)
			size := l.Size()
			if tt.clean {
				closeStore(t, s)
				if err := mem.Remove(l.path + "/" + segmentName(l.EndOffset(), snapshotSuffix)); err != nil {
					t.Fatal(err)
				}
			} else {
				mem = mem.Kill()
				close(s.stop)
				s.wg.Wait()
			}
			ctx, cancel := context.WithCancel(t.Context())
			read := int64(0)
			logs := new(logCapture)
			cfg := testConfig(vfs.Inject(mem, func(op vfs.Op) error {
				if op.Kind == vfs.OpReadAt && strings.HasSuffix(op.Name, logSuffix) {
					read += op.Len
					cancel()
				}
				return nil
			}))
			cfg.Logger = logs.logger()
			_, err := Open(ctx, cfg)
			if want := "open log directory /data: stopped while " + tt.says + ", with 0 of 1 logs done"; err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
			if read > size/4 {
				t.Errorf("%d bytes of %d were read", read, size)
			}
			if strings.Contains(logs.String(), "level=ERROR") || strings.Contains(logs.String(), "level=WARN") {
				t.Errorf("an orderly stop is no trouble:\n%s", logs.String())
			}
		})
	}
}

// With many logs each step that goes over all of them can be stopped between any two, after a clean stop too.
func TestOpenStopsBetweenLogs(t *testing.T) {
	for _, clean := range []bool{false, true} {
		mem := vfs.NewMemory()
		s := openStore(t, testConfig(mem))
		for p := range int32(60) {
			l, err := s.Create(kafka.TopicPartition{Topic: "orders", Partition: p}, topicID, DefaultLogConfig())
			if err != nil {
				t.Fatal(err)
			}
			mustAppend(t, l, simple(t, 1, "v"))
		}
		if clean {
			closeStore(t, s)
		} else {
			mem = mem.Kill()
			close(s.stop)
			s.wg.Wait()
		}
		for at, done := 1, false; !done; at += 5 {
			ctx, cancel := context.WithCancel(t.Context())
			operations := 0
			cfg := testConfig(vfs.Inject(mem.Kill(), func(op vfs.Op) error {
				if operations++; operations == at {
					cancel()
				}
				return nil
			}))
			cfg.RecoveryThreads, cfg.SyncFSThreshold, cfg.SyncParallel, cfg.OpenFilesMax = 1, -1, 1, 4
			s, err := Open(ctx, cfg)
			cancel()
			if operations > at+40 {
				t.Errorf("clean %v, told to stop at operation %d, it did %d more", clean, at, operations-at)
			}
			if done = err == nil; done {
				close(s.stop)
				s.wg.Wait()
			} else if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
	}
}
