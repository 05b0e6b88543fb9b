package storage

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// 48. When the disk returns EIO or ENOSPC, then the dir goes offline with 56, and no acked record is lost or duplicated.
func TestScenario48FailedDiskTakesTheDirectoryOffline(t *testing.T) {
	for _, tt := range []struct {
		name string
		kind vfs.Kind
		err  error
	}{
		{"EIO on write", vfs.OpWriteAt, syscall.EIO},
		{"ENOSPC on write", vfs.OpWriteAt, syscall.ENOSPC},
		{"EIO on sync", vfs.OpSyncData, syscall.EIO},
		{"short write, then ENOSPC", vfs.OpWriteAt, &vfs.ShortWrite{N: 70, Err: syscall.ENOSPC}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mem := vfs.NewMemory()
			broken := false
			fsys := vfs.Inject(mem, func(op vfs.Op) error {
				if broken && op.Kind == tt.kind && strings.HasSuffix(op.Name, logSuffix) {
					return tt.err
				}
				return nil
			})
			cfg := testConfig(fsys)
			cfg.SyncFSThreshold = -1
			fl := newFlushes()
			cfg.OnFlushed = fl.on
			offline := make(chan error, 1)
			cfg.OnOffline = func(dir string, err error) { offline <- err }
			s := openStore(t, cfg)
			l := newLog(t, s, DefaultLogConfig())
			other, err := s.Create(kafka.TopicPartition{Topic: "other"}, topicID, DefaultLogConfig())
			if err != nil {
				t.Fatal(err)
			}
			mustAppend(t, l, idempotent(t, 7, 0, 0, 2))
			l.WantFlush()
			fl.wait(l, 2)
			broken = true
			_, err = tryAppend(l, idempotent(t, 7, 0, 2, 2), Client)
			if tt.kind == vfs.OpSyncData {
				if err != nil {
					t.Fatal(err)
				}
				l.WantFlush()
			}
			var off *OfflineError
			if got := <-offline; !errors.As(got, &off) || off.Dir != "/data" {
				t.Fatalf("offline with %v", got)
			}
			// The disk seems well again, but nothing is served on a guess.
			broken = false
			for what, err := range map[string]error{
				"append": appendErr(l, t), "append elsewhere": appendErr(other, t),
				"read": readErr(l), "epoch": l.AssignEpoch(9, 2), "start": l.AdvanceStart(1), "truncate": l.TruncateTo(0), "checkpoint": s.Checkpoint(),
			} {
				if !errors.As(err, &off) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if got := l.FlushedOffset(); got != 2 {
				t.Errorf("flushed %d", got)
			}
			if err := s.Close(t.Context()); !errors.As(err, &off) {
				t.Errorf("close: %v", err)
			}
			// Recovery finds what was acknowledged; the producer's retry lands once.
			s = openStore(t, testConfig(mem))
			l = s.Get(tp0)
			if s.Dirs()[0].Clean {
				t.Error("the stop counts as clean")
			}
			r := mustAppend(t, l, idempotent(t, 7, 0, 2, 2))
			if r.BaseOffset != 2 {
				t.Errorf("the retry landed at %d", r.BaseOffset)
			}
			if diff := cmp.Diff([]string{"0=p7-0", "1=p7-1", "2=p7-2", "3=p7-3"}, readAll(t, l, 0)); diff != "" {
				t.Error(diff)
			}
			closeStore(t, s)
		})
	}
}

func appendErr(l *Log, t *testing.T) error {
	_, err := tryAppend(l, simple(t, 1, "x"), Client)
	return err
}

func readErr(l *Log) error {
	_, err := l.Read(0, 100, 100, true)
	return err
}

// A failed sync leaves pages that the kernel shows but the disk may not have. Recovery must write them anew before it syncs them.
func TestRecoveryAfterFailedSyncWritesTheTailAgain(t *testing.T) {
	mem := vfs.NewMemory()
	lying := false
	fsys := vfs.Inject(mem, func(op vfs.Op) error {
		if lying && op.Kind == vfs.OpSyncData {
			return syscall.EIO
		}
		return nil
	})
	cfg := testConfig(fsys)
	cfg.SyncFSThreshold = -1
	offline := make(chan struct{})
	cfg.OnOffline = func(string, error) { close(offline) }
	s := openStore(t, cfg)
	l := newLog(t, s, DefaultLogConfig())
	mustAppend(t, l, simple(t, 1, "a"))
	lying = true
	l.WantFlush()
	<-offline
	s.Close(t.Context())
	writes := ""
	again := vfs.Inject(mem.Kill(), func(op vfs.Op) error {
		if op.Kind == vfs.OpWriteAt && strings.HasSuffix(op.Name, logSuffix) {
			writes += op.String() + "\n"
		}
		return nil
	})
	s = openStore(t, testConfig(again))
	if want := fmt.Sprintf("write /data/orders-0/00000000000000000000.log 0+%d\n", s.Get(tp0).Size()); writes != want {
		t.Errorf("recovery wrote %q, want %q", writes, want)
	}
	if _, err := again.Stat("/data/" + suspectName); !missing(err) {
		t.Errorf("the note of the failed sync is still there: %v", err)
	}
	closeStore(t, s)
}

// What could not be written anew is not taken for durable, least of all because the log ends with a damaged batch.
func TestRecoveryThatCannotWriteTheTailAgainFails(t *testing.T) {
	for _, damaged := range []bool{false, true} {
		mem := vfs.NewMemory()
		s := openStore(t, testConfig(mem))
		l := newLog(t, s, DefaultLogConfig())
		mustAppend(t, l, simple(t, 1, "a"))
		mustAppend(t, l, simple(t, 1, "b"))
		mem = mem.Kill()
		close(s.stop)
		s.wg.Wait()
		f, err := mem.Create("/data/" + suspectName)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		if damaged {
			overwrite(t, mem, l.view.Load().last().file.path(), func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
		}
		again := vfs.Inject(mem, func(op vfs.Op) error {
			if op.Kind == vfs.OpWriteAt && strings.HasSuffix(op.Name, logSuffix) {
				return syscall.EIO
			}
			return nil
		})
		if _, err := Open(t.Context(), testConfig(again)); !errors.Is(err, syscall.EIO) {
			t.Errorf("damaged %v: %v", damaged, err)
		}
		if _, err := mem.Stat("/data/" + suspectName); err != nil {
			t.Errorf("damaged %v: the note of the failed sync: %v", damaged, err)
		}
	}
}

func TestReserveRefusesAppendsBeforeTheDiskIsFull(t *testing.T) {
	mem := vfs.NewMemory()
	mem.SetTotal(8 << 20)
	cfg := testConfig(mem)
	cfg.ReservedBytes = 4 << 20
	logs := new(logCapture)
	cfg.Logger = logs.logger()
	s := openStore(t, cfg)
	l := newLog(t, s, DefaultLogConfig())
	big := strings.Repeat("x", 256<<10)
	var full *FullError
	for i := 0; ; i++ {
		if i == 100 {
			t.Fatal("the reserve was used up")
		}
		if _, err := tryAppend(l, simple(t, 1, big), Client); err != nil {
			if !errors.As(err, &full) {
				t.Fatal(err)
			}
			break
		}
	}
	for range 3 {
		tryAppend(l, simple(t, 1, big), Client)
	}
	if n := strings.Count(logs.String(), "down to its reserve"); n != 1 {
		t.Errorf("the log says %d times that the disk is full, want once:\n%s", n, logs.String())
	}
	end := l.EndOffset()
	if end < 10 || len(readAll(t, l, 0)) != int(end) {
		t.Errorf("%d batches fitted", end)
	}
	mem.SetTotal(64 << 20)
	if r := mustAppend(t, l, simple(t, 1, big)); r.BaseOffset != end {
		t.Errorf("with room again: %+v", r)
	}
	if !strings.Contains(logs.String(), "has room again") {
		t.Error("the log does not say that there is room again")
	}
	closeStore(t, s)
}
