package storage

import (
	"context"
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barnabas-mq/barnabas/internal/vfs"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// What is created, written, synced and renamed, in which order: the promises of durability are in this order, so a change of it must be seen.
// The second part is a disk without syncfs.
func TestOperationOrderGolden(t *testing.T) {
	out := ""
	for _, each := range []bool{false, true} {
		mem := vfs.NewMemory()
		var ops vfs.OpLog
		hook := ops.Hook
		cfg := testConfig(nil)
		cfg.FS = vfs.Inject(mem, func(op vfs.Op) error {
			if op.Kind == vfs.OpLock { // its text holds the process id
				return nil
			}
			return hook(op)
		})
		cfg.sealByHand = true
		if each {
			cfg.SyncFSThreshold = -1
			out += "\n######## each file by itself\n"
		}
		fl := newFlushes()
		cfg.OnFlushed = fl.on
		cfg.ClusterID = "c"
		step := func(name string, do func()) {
			ops.Take()
			do()
			out += "\n# " + name + "\n" + ops.Take()
		}
		var s *Store
		var l *Log
		// directory.id is random, so opening a new directory is not part of the golden; opening it again is.
		s = openStore(t, cfg)
		closeStore(t, s)
		step("open", func() { s = openStore(t, cfg) })
		c := DefaultLogConfig()
		c.SegmentBytes, c.RetentionMs, c.FileDeleteDelayMs = 200, -1, 0
		step("create a log", func() {
			logs, err := s.CreateAll([]CreateSpec{{TP: tp0, ID: topicID, Config: c, LeaderEpoch: 0}})
			if err != nil {
				t.Fatal(err)
			}
			l = logs[0]
		})
		append1 := func(v string) { mustAppend(t, l, simple(t, 1, v, "x")) }
		flush := func() {
			l.WantFlush()
			fl.wait(l, l.EndOffset())
		}
		step("append", func() { append1("a") })
		step("flush", flush)
		step("append and roll", func() { append1("b"); append1("c") })
		step("flush both segments and the new name", flush)
		step("seal the first", func() {
			if err := l.seal(context.Background()); err != nil {
				t.Fatal(err)
			}
		})
		step("checkpoint", func() { s.Checkpoint() })
		step("a new epoch", func() {
			if err := l.AssignEpoch(1, l.EndOffset()); err != nil {
				t.Fatal(err)
			}
		})
		step("delete records", func() {
			if err := l.AdvanceStart(4); err != nil {
				t.Fatal(err)
			}
		})
		l.SetHighWatermark(l.EndOffset())
		step("retention", func() { s.ApplyRetention() })
		step("unlink", func() { s.sweep() })
		step("truncate", func() {
			append1("d")
			if err := l.TruncateTo(6); err != nil {
				t.Fatal(err)
			}
		})
		step("close", func() { closeStore(t, s) })
		step("open after a kill", func() {
			mem := mem.Kill()
			if err := mem.Remove("/data/" + cleanName); err != nil {
				t.Fatal(err)
			}
			cfg := cfg
			cfg.FS = vfs.Inject(mem, hook)
			cfg.TopicConfig = func(string) LogConfig { return c }
			s, err := Open(context.Background(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			close(s.stop)
			s.wg.Wait()
		})
	}
	const golden = "testdata/operation-order.txt"
	out = hideNames(out)
	if *rewrite {
		if err := os.WriteFile(golden, []byte(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out); diff != "" {
		t.Error(diff)
	}
}
