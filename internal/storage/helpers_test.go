package storage

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

var (
	tp0 = kafka.TopicPartition{Topic: "orders", Partition: 0}
	tp1 = kafka.TopicPartition{Topic: "orders", Partition: 1}
)

var topicID = kafka.TopicID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}

// flushes collects what OnFlushed says.
type flushes struct {
	mu   sync.Mutex
	cond *sync.Cond
	ends map[*Log]int64
}

func newFlushes() *flushes {
	f := &flushes{ends: map[*Log]int64{}}
	f.cond = sync.NewCond(&f.mu)
	return f
}

func (f *flushes) on(l *Log, end int64) {
	f.mu.Lock()
	f.ends[l] = end
	f.mu.Unlock()
	f.cond.Broadcast()
}

func (f *flushes) forget(l *Log) {
	f.mu.Lock()
	delete(f.ends, l)
	f.mu.Unlock()
}

func (f *flushes) wait(l *Log, end int64) {
	f.mu.Lock()
	for f.ends[l] < end {
		f.cond.Wait()
	}
	f.mu.Unlock()
}

// testConfig is a store without background tasks: tests call them.
func testConfig(fsys vfs.FS) Config {
	return Config{
		Dirs: []string{"/data"}, FS: fsys, NodeID: 1, ClusterID: "cluster-1",
		Clock:                  func() time.Time { return time.UnixMilli(1_700_000_000_000) },
		RetentionCheckInterval: -1, CheckpointInterval: -1, HighWatermarkInterval: -1, ProducerSweepInterval: -1,
		CleanerDisable: true,
	}
}

func openStore(t testing.TB, cfg Config) *Store {
	t.Helper()
	s, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return s
}

func closeStore(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(context.Background()); err != nil {
		t.Fatalf("close: %v", err)
	}
}

func newLog(t testing.TB, s *Store, c LogConfig) *Log {
	t.Helper()
	l, err := s.Create(tp0, topicID, c)
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	return l
}

// rec is one record of a test batch.
type rec struct {
	ts         int64
	key, value string
}

var testCodecs = batch.NewCodecs(batch.Limits{})

// makeBatch builds a batch as a client sends it.
func makeBatch(t testing.TB, o batch.Options, recs ...rec) batch.Batch {
	t.Helper()
	b := batch.NewBuilder(testCodecs)
	b.Reset(o)
	for _, r := range recs {
		var value []byte
		if r.value != "" {
			value = []byte(r.value)
		}
		if err := b.Append(r.ts, []byte(r.key), value, nil); err != nil {
			t.Fatal(err)
		}
	}
	out, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return append(batch.Batch(nil), out...)
}

// values makes records with these values, timestamps counting up from ts.
func values(ts int64, vs ...string) []rec {
	out := make([]rec, len(vs))
	for i, v := range vs {
		out[i] = rec{ts: ts + int64(i), key: fmt.Sprintf("k%d", i), value: v}
	}
	return out
}

func simple(t testing.TB, ts int64, vs ...string) batch.Batch {
	return makeBatch(t, batch.Options{}, values(ts, vs...)...)
}

// idempotent makes a batch of n records from a producer.
func idempotent(t testing.TB, id int64, epoch int16, seq int32, n int) batch.Batch {
	vs := make([]string, n)
	for i := range vs {
		vs[i] = fmt.Sprintf("p%d-%d", id, int(seq)+i)
	}
	return makeBatch(t, batch.Options{Producer: &batch.Producer{ID: id, Epoch: epoch, BaseSequence: seq}}, values(1000, vs...)...)
}

func transactional(t testing.TB, id int64, epoch int16, seq int32, vs ...string) batch.Batch {
	return makeBatch(t, batch.Options{Transactional: true, Producer: &batch.Producer{ID: id, Epoch: epoch, BaseSequence: seq}}, values(1000, vs...)...)
}

// marker makes the control batch that ends a transaction.
func marker(t testing.TB, id int64, epoch int16, commit bool, coordinatorEpoch int32) batch.Batch {
	t.Helper()
	m := batch.EndTxnMarker{Commit: commit, CoordinatorEpoch: coordinatorEpoch}
	b := batch.NewBuilder(testCodecs)
	b.Reset(batch.Options{Transactional: true, Control: true, Producer: &batch.Producer{ID: id, Epoch: epoch, BaseSequence: -1}})
	if err := b.Append(1000, m.AppendKey(nil), m.AppendValue(nil), nil); err != nil {
		t.Fatal(err)
	}
	out, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return append(batch.Batch(nil), out...)
}

func mustAppend(t testing.TB, l *Log, b batch.Batch) AppendResult {
	t.Helper()
	return mustAppendAs(t, l, b, Client)
}

func mustAppendAs(t testing.TB, l *Log, b batch.Batch, o Origin) AppendResult {
	t.Helper()
	r, err := l.Append(b, AppendOptions{LeaderEpoch: max(l.LatestEpoch(), 0), Origin: o, NowMs: 1_700_000_000_000})
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	return r
}

// readAll returns every record from offset from on as "offset=value" (null values as "offset=-"); control batches as "offset!".
func readAll(t testing.TB, l *Log, from int64) []string {
	t.Helper()
	out, err := tryReadAll(l, from)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func tryReadAll(l *Log, from int64) ([]string, error) {
	var out []string
	rd := batch.NewReader(testCodecs)
	for from < l.EndOffset() {
		s, err := l.Read(from, 1<<20, l.EndOffset(), true)
		if err != nil {
			return out, fmt.Errorf("read at %d: %w", from, err)
		}
		b, err := s.AppendTo(nil)
		s.Release()
		if err != nil {
			return out, err
		}
		if len(b) == 0 {
			break
		}
		for {
			one, rest, err := batch.Next(b)
			if err != nil {
				break
			}
			if !one.ValidCRC() {
				return out, fmt.Errorf("bad CRC at offset %d", one.BaseOffset())
			}
			err = rd.Each(one, func(r *batch.Record) error {
				switch {
				case r.Offset < from:
				case one.Control():
					out = append(out, fmt.Sprintf("%d!", r.Offset))
				case r.Value == nil:
					out = append(out, fmt.Sprintf("%d=-", r.Offset))
				default:
					out = append(out, fmt.Sprintf("%d=%s", r.Offset, r.Value))
				}
				return nil
			})
			if err != nil {
				return out, err
			}
			from = one.LastOffset() + 1
			b = rest
		}
	}
	return out, nil
}

// logCapture is a logger whose text tests look at.
type logCapture struct {
	mu sync.Mutex
	sb strings.Builder
}

func (c *logCapture) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sb.Write(b)
}

func (c *logCapture) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sb.String()
}

func (c *logCapture) logger() *slog.Logger { return slog.New(slog.NewTextHandler(c, nil)) }

// setSequence patches the base sequence; the CRC is wrong after it, which Append does not look at.
func setSequence(b batch.Batch, seq int32) {
	b[53], b[54], b[55], b[56] = byte(seq>>24), byte(seq>>16), byte(seq>>8), byte(seq)
}

var (
	randomName = regexp.MustCompile(`[0-9a-f]{32}-delete`)
	lockLine   = regexp.MustCompile(`(?m)^lock .*\n`)
)

// hideNames makes an operation log the same in every run.
func hideNames(ops string) string {
	return lockLine.ReplaceAllString(randomName.ReplaceAllString(ops, "RANDOM-delete"), "")
}
