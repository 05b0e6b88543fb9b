package storage

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// atDisk lets a test answer each sync of data itself.
type atDisk struct {
	t     *testing.T
	held  atomic.Bool
	calls chan chan error
	s     *Store
	log   *Log

	mu      sync.Mutex
	ends    []int64
	told    chan int64
	offline chan error
}

func newAtDisk(t *testing.T) *atDisk {
	d := &atDisk{t: t, calls: make(chan chan error), told: make(chan int64, 16), offline: make(chan error, 1)}
	cfg := testConfig(vfs.Inject(vfs.NewMemory(), func(op vfs.Op) error {
		if op.Kind != vfs.OpSyncData || !d.held.Load() {
			return nil
		}
		answer := make(chan error)
		d.calls <- answer
		return <-answer
	}))
	cfg.SyncFSThreshold = -1
	cfg.OnFlushed = func(_ *Log, end int64) {
		d.mu.Lock()
		d.ends = append(d.ends, end)
		d.mu.Unlock()
		d.told <- end
	}
	cfg.OnOffline = func(_ string, err error) { d.offline <- err }
	d.s = openStore(t, cfg)
	d.log = newLog(t, d.s, DefaultLogConfig())
	d.held.Store(true)
	return d
}

// flush appends a record and wants it flushed; it returns when the disk is asked to.
func (d *atDisk) flush() (answer chan<- error) {
	d.t.Helper()
	mustAppend(d.t, d.log, simple(d.t, 1, "v"))
	d.log.WantFlush()
	return await(d.t, d.calls)
}

func (d *atDisk) close() error {
	d.held.Store(false)
	return d.s.Close(d.t.Context())
}

func await[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(time.Minute):
		t.Fatal("nothing happened for a minute")
		panic("not reached")
	}
}

func TestASecondFlushDoesNotWaitForTheFirst(t *testing.T) {
	d := newAtDisk(t)
	first := d.flush()
	second := d.flush()
	if n := d.log.FlushedOffset(); n != 0 {
		t.Errorf("%d records count as durable before any sync has ended", n)
	}
	second <- nil // all that was appended before it began is durable, whatever the first has come to
	if end := await(t, d.told); end != 2 || d.log.FlushedOffset() != 2 {
		t.Errorf("told of %d, flushed %d, want 2", end, d.log.FlushedOffset())
	}
	first <- nil
	await(t, d.told)
	d.flush() <- nil
	await(t, d.told)
	if want := []int64{2, 2, 3}; !slices.Equal(d.ends, want) {
		t.Errorf("told of ends %v, want %v: they may not fall", d.ends, want)
	}
	if err := d.close(); err != nil {
		t.Error(err)
	}
}

func TestAfterAFailedFlushTheOtherIsNotReported(t *testing.T) {
	for _, which := range []string{"the first fails", "the second fails"} {
		t.Run(which, func(t *testing.T) {
			d := newAtDisk(t)
			bad, good := d.flush(), d.flush()
			if which == "the second fails" {
				bad, good = good, bad
			}
			bad <- syscall.EIO
			var off *OfflineError
			if err := await(t, d.offline); !errors.As(err, &off) {
				t.Fatalf("offline with %v", err)
			}
			good <- nil
			if err := d.close(); !errors.As(err, &off) {
				t.Errorf("close: %v", err)
			}
			if len(d.ends) != 0 || d.log.FlushedOffset() != 0 {
				t.Errorf("told of ends %v, flushed %d", d.ends, d.log.FlushedOffset())
			}
		})
	}
}

func TestTruncationWaitsForBothFlushes(t *testing.T) {
	d := newAtDisk(t)
	first, second := d.flush(), d.flush()
	done := make(chan error)
	go func() { done <- d.log.TruncateTo(1) }()
	second <- nil
	await(t, d.told)
	select {
	case err := <-done:
		t.Fatalf("the log was cut under a flush (%v)", err)
	default:
	}
	first <- nil
	if err := await(t, done); err != nil {
		t.Fatal(err)
	}
	if d.log.EndOffset() != 1 || d.log.FlushedOffset() != 1 {
		t.Errorf("end %d, flushed %d, want 1", d.log.EndOffset(), d.log.FlushedOffset())
	}
	if err := d.close(); err != nil {
		t.Error(err)
	}
}
