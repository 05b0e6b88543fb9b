package storage

import (
	"fmt"
	"math"
	"path"
	"strings"
	"testing"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// BenchmarkSync is what docs/adr/0001-group-commit.md decides from: the time until 1.2 KB appended to each of N files is durable, by ways
// to sync them. Run it where the log directories will be: go test ./internal/storage -bench Sync -run '^$' (TMPDIR chooses the disk).
func BenchmarkSync(b *testing.B) {
	for _, n := range []int{1, 2, 4, 8, 12, 50, 1000} {
		fsys := vfs.OS()
		dir := b.TempDir()
		files := make([]vfs.File, n)
		for i := range files {
			f, err := fsys.Create(path.Join(dir, fmt.Sprint(i)))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			files[i] = f
		}
		if err := fsys.SyncDir(dir); err != nil {
			b.Fatal(err)
		}
		data := make([]byte, 1200)
		pos := int64(0)
		for _, way := range []struct {
			name string
			sync func() error
		}{
			{"one by one", func() error { return parallel(1, n, func(i int) error { return files[i].SyncData() }) }},
			{"4 at a time", func() error { return parallel(4, n, func(i int) error { return files[i].SyncData() }) }},
			{"16 at a time", func() error { return parallel(16, n, func(i int) error { return files[i].SyncData() }) }},
			{"syncfs", func() error { return fsys.SyncFS(dir) }},
		} {
			b.Run(fmt.Sprintf("files=%d/%s", n, way.name), func(b *testing.B) {
				if err := fsys.SyncFS(dir); err != nil && way.name == "syncfs" {
					b.Skip(err)
				}
				for b.Loop() {
					b.StopTimer()
					for _, f := range files {
						if _, err := f.WriteAt(data, pos); err != nil {
							b.Fatal(err)
						}
					}
					pos += int64(len(data))
					b.StartTimer()
					if err := way.sync(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkSyncBesideOthers is the price of syncfs: it waits for what strangers wrote to the file system too, here 64 MB.
func BenchmarkSyncBesideOthers(b *testing.B) {
	fsys := vfs.OS()
	dir := b.TempDir()
	if err := fsys.SyncFS(dir); err != nil {
		b.Skip(err)
	}
	mine := make([]vfs.File, 12)
	for i := range mine {
		f, err := fsys.Create(path.Join(dir, fmt.Sprint(i)))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		mine[i] = f
	}
	stranger, err := fsys.Create(path.Join(dir, "stranger"))
	if err != nil {
		b.Fatal(err)
	}
	defer stranger.Close()
	chunk, data, pos := make([]byte, 1<<20), make([]byte, 1200), int64(0)
	for name, sync := range map[string]func() error{
		"16 at a time": func() error { return parallel(16, len(mine), func(i int) error { return mine[i].SyncData() }) },
		"syncfs":       func() error { return fsys.SyncFS(dir) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				if err := stranger.Sync(); err != nil {
					b.Fatal(err)
				}
				for i := range int64(64) {
					if _, err := stranger.WriteAt(chunk, i<<20); err != nil {
						b.Fatal(err)
					}
				}
				for _, f := range mine {
					if _, err := f.WriteAt(data, pos); err != nil {
						b.Fatal(err)
					}
				}
				pos += int64(len(data))
				b.StartTimer()
				if err := sync(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchLog(b *testing.B, mode FlushMode) (*Store, *Log, *flushes) {
	cfg := testConfig(vfs.OS())
	cfg.Dirs = []string{b.TempDir()}
	cfg.FlushMode = mode
	fl := newFlushes()
	cfg.OnFlushed = fl.on
	s := openStore(b, cfg)
	b.Cleanup(func() { s.Close(b.Context()) })
	return s, newLog(b, s, DefaultLogConfig()), fl
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("batch=%dKiB", size>>10), func(b *testing.B) {
			_, l, _ := benchLog(b, FlushNever)
			data := makeBatch(b, batch.Options{}, rec{ts: 1, key: "k", value: strings.Repeat("x", size)})
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := l.Append(data, AppendOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkAckedAppend appends one 1 KiB batch and waits until it is durable.
func BenchmarkAckedAppend(b *testing.B) {
	_, l, fl := benchLog(b, FlushCommit)
	data := makeBatch(b, batch.Options{}, rec{ts: 1, key: "k", value: strings.Repeat("x", 1<<10)})
	b.ReportAllocs()
	for b.Loop() {
		r, err := l.Append(data, AppendOptions{})
		if err != nil {
			b.Fatal(err)
		}
		l.WantFlush()
		fl.wait(l, r.LastOffset+1)
	}
}

func BenchmarkRead(b *testing.B) {
	_, l, _ := benchLog(b, FlushNever)
	data := makeBatch(b, batch.Options{}, rec{ts: 1, key: "k", value: strings.Repeat("x", 1<<10)})
	for range 50_000 {
		mustAppend(b, l, data)
	}
	for name, next := range map[string]func(i int64) int64{
		"tail":   func(i int64) int64 { return l.EndOffset() - 1 },
		"spread": func(i int64) int64 { return i * 7919 % 50_000 },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			i := int64(0)
			for b.Loop() {
				s, err := l.Read(next(i), 1<<20, math.MaxInt64, true)
				if err != nil {
					b.Fatal(err)
				}
				s.Release()
				i++
			}
		})
	}
}

// BenchmarkOpen opens 10,000 partitions, each with a record, after a clean stop and after a kill.
func BenchmarkOpen(b *testing.B) {
	for _, how := range []string{"clean", "killed"} {
		b.Run(how, func(b *testing.B) {
			dir := b.TempDir()
			cfg := testConfig(vfs.OS())
			cfg.Dirs = []string{dir}
			cfg.OpenFilesMax = 500
			s := openStore(b, cfg)
			specs := make([]CreateSpec, 10_000)
			for i := range specs {
				specs[i] = CreateSpec{TP: kafka.TopicPartition{Topic: "t", Partition: int32(i)}, ID: topicID, Config: DefaultLogConfig()}
			}
			logs, err := s.CreateAll(specs)
			if err != nil {
				b.Fatal(err)
			}
			for _, l := range logs {
				mustAppend(b, l, simple(b, 1, "v"))
			}
			closeStore(b, s)
			for b.Loop() {
				b.StopTimer()
				if how == "killed" {
					if err := cfg.FS.Remove(path.Join(dir, cleanName)); err != nil {
						b.Fatal(err)
					}
				}
				b.StartTimer()
				s := openStore(b, cfg)
				b.StopTimer()
				if n := len(s.Logs()); n != 10_000 || logs[0].EndOffset() != 1 {
					b.Fatal(n)
				}
				closeStore(b, s)
				b.StartTimer()
			}
		})
	}
}

// Nothing is allocated for a batch on its way in, nor for a read of what was written lately.
func TestAppendAndReadDoNotAllocate(t *testing.T) {
	if underRace {
		t.Skip("the race detector makes pools forget at random")
	}
	cfg := testConfig(vfs.OS())
	cfg.Dirs = []string{t.TempDir()}
	cfg.FlushMode = FlushNever
	s := openStore(t, cfg)
	l := newLog(t, s, DefaultLogConfig())
	plain := simple(t, 1, "a", "b", "c")
	mustAppend(t, l, plain)
	// Index entries grow their slice now and then: a few allocations in a thousand batches.
	if n := testing.AllocsPerRun(2000, func() {
		if _, err := l.Append(plain, AppendOptions{}); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("an append allocates %v times", n)
	}
	seq := int32(0)
	idem := idempotent(t, 7, 0, 0, 1)
	mustAppend(t, l, idem)
	if n := testing.AllocsPerRun(2000, func() {
		seq++
		setSequence(idem, seq)
		if _, err := l.Append(idem, AppendOptions{}); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("an idempotent append allocates %v times", n)
	}
	var dst []byte
	if n := testing.AllocsPerRun(2000, func() {
		end := l.EndOffset()
		sl, err := l.Read(end-3, 1<<20, end, true)
		if err != nil {
			t.Fatal(err)
		}
		if dst, err = sl.AppendTo(dst[:0]); err != nil || len(dst) == 0 {
			t.Fatal(err)
		}
		sl.Release()
	}); n > 0 {
		t.Errorf("a read at the end allocates %v times", n)
	}
	closeStore(t, s)
}
