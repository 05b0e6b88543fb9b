package driver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"path"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/replica"
	"github.com/barnabas-mq/barnabas/internal/storage"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// rig is a set over a store in memory whose disk the test can stop and break.
type rig struct {
	t    testing.TB
	disk vfs.FS // what survives a reopening
	set  *Set
	st   *storage.Store

	mu     sync.Mutex
	gate   chan struct{} // a sync waits while it is not nil
	failed error         // what syncs answer
	dir    string        // whose syncs; "" all
}

const self = kafka.NodeID(1)

func newRig(t testing.TB, mode storage.FlushMode, dirs ...string) *rig {
	r := &rig{t: t, disk: vfs.NewMemory()}
	r.open(mode, dirs...)
	t.Cleanup(func() { r.close() })
	return r
}

func (r *rig) open(mode storage.FlushMode, dirs ...string) {
	r.t.Helper()
	if len(dirs) == 0 {
		dirs = []string{"/data"}
	}
	set := NewSet(self, mode == storage.FlushCommit, slog.New(slog.DiscardHandler))
	st, err := storage.Open(context.Background(), storage.Config{
		Dirs: dirs, FS: vfs.Inject(r.disk, r.hook), NodeID: self, FlushMode: mode, FlushInterval: time.Hour,
		RetentionCheckInterval: -1, CheckpointInterval: -1, HighWatermarkInterval: -1, ProducerSweepInterval: -1, CleanerDisable: true, SyncFSThreshold: -1,
		OnFlushed: func(l *storage.Log, end int64) { set.Flushed(l, end) },
		OnOffline: func(dir string, _ error) { set.Offline(dir) },
	})
	if err != nil {
		r.t.Fatal(err)
	}
	set.Use(st)
	r.set, r.st = set, st
}

func (r *rig) close() {
	r.heal()
	if r.st != nil {
		r.st.Close(context.Background()) // of a broken disk it says so
	}
	r.st = nil
}

func (r *rig) hook(op vfs.Op) error {
	if op.Kind != vfs.OpSyncData {
		return nil
	}
	r.mu.Lock()
	gate := r.gate
	r.mu.Unlock()
	if gate != nil {
		<-gate
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dir != "" && path.Dir(path.Dir(op.Name)) != r.dir {
		return nil
	}
	return r.failed
}

// hold makes syncs of data wait until the returned function is called.
func (r *rig) hold() (release func()) {
	gate := make(chan struct{})
	r.mu.Lock()
	r.gate = gate
	r.mu.Unlock()
	return func() {
		r.mu.Lock()
		if r.gate == gate {
			r.gate = nil
			close(gate)
		}
		r.mu.Unlock()
	}
}

// fail makes syncs of data fail in one log directory, or everywhere.
func (r *rig) fail(dir string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dir, r.failed = dir, syscall.EIO
}

func (r *rig) heal() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = nil
	if r.gate != nil {
		close(r.gate)
		r.gate = nil
	}
}

func id(n byte) kafka.TopicID { return kafka.TopicID{15: n} }

func spec(topic string, partition int32, topicID kafka.TopicID) Spec {
	return Spec{Name: kafka.TopicPartition{Topic: topic, Partition: partition}, TopicID: topicID,
		Config:     &TopicConfig{Log: storage.DefaultLogConfig(), MinISR: 1},
		Leadership: replica.Leadership{Epoch: 0, Replicas: []kafka.NodeID{self}, ISR: []kafka.NodeID{self}}}
}

func (r *rig) serve(specs ...Spec) *Partition {
	r.t.Helper()
	if err := r.set.Open(specs); err != nil {
		r.t.Fatal(err)
	}
	return r.set.Get(specs[0].Name.Topic, specs[0].Name.Partition)
}

func oneRecord() batch.Batch {
	bb := batch.NewBuilder(batch.NewCodecs(batch.Limits{}))
	bb.Reset(batch.Options{})
	if err := bb.Append(1_700_000_000_000, nil, []byte("v"), nil); err != nil {
		panic(err)
	}
	b, err := bb.Build()
	if err != nil {
		panic(err)
	}
	return b
}

func (r *rig) append(p *Partition) storage.AppendResult {
	r.t.Helper()
	res, err := p.Append(oneRecord(), -1, storage.Client, 1_700_000_000_000)
	if err != nil {
		r.t.Fatal(err)
	}
	return res
}

func woken(w *Waiter) bool {
	select {
	case <-w.C:
		return true
	default:
		return false
	}
}

// await fails the test when w is not woken at all.
func await(t testing.TB, w *Waiter) {
	t.Helper()
	select {
	case <-w.C:
	case <-time.After(20 * time.Second):
		t.Fatal("nobody was woken")
	}
}

func TestCommitShowsNothingBeforeTheDiskHasIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, storage.FlushCommit)
		p := r.serve(spec("t", 0, id(1)))
		release := r.hold()
		r.append(p)
		w := NewWaiter()
		p.Await(1, w)
		synctest.Wait() // the flusher is at the disk
		if p.HighWatermark() != 0 || p.LastStableOffset() != 0 || woken(w) {
			t.Fatalf("high watermark %d before the flush", p.HighWatermark())
		}
		if p.Log().EndOffset() != 1 {
			t.Fatalf("log end %d", p.Log().EndOffset())
		}
		// What comes while the flush is under way waits for the next.
		r.append(p)
		late := NewWaiter()
		p.Await(2, late)
		release()
		synctest.Wait()
		if !woken(w) || !woken(late) || p.HighWatermark() != 2 {
			t.Errorf("after the flush: high watermark %d", p.HighWatermark())
		}
	})
}

func TestWithoutCommitAppendsShowAtOnce(t *testing.T) {
	for _, mode := range []storage.FlushMode{storage.FlushInterval, storage.FlushNever} {
		t.Run(mode.String(), func(t *testing.T) {
			r := newRig(t, mode)
			defer r.hold()() // no flush is needed
			p := r.serve(spec("t", 0, id(1)))
			w := NewWaiter()
			p.Await(1, w)
			r.append(p)
			if p.HighWatermark() != 1 || !woken(w) {
				t.Errorf("high watermark %d", p.HighWatermark())
			}
		})
	}
}

func TestAwaitOfWhatIsThereWakesAtOnceAndForgetTakesBack(t *testing.T) {
	r := newRig(t, storage.FlushNever)
	p := r.serve(spec("t", 0, id(1)))
	r.append(p)
	here, next, gone := NewWaiter(), NewWaiter(), NewWaiter()
	p.Await(1, here)
	p.Await(2, next)
	p.Await(2, gone)
	p.Await(3, gone)
	p.Forget(gone)
	if !woken(here) || woken(next) {
		t.Error("offset 1 is there, offset 2 is not")
	}
	r.append(p)
	r.append(p)
	if !woken(next) || woken(next) {
		t.Error("a waiter is woken once")
	}
	if woken(gone) {
		t.Error("a waiter that was taken back is woken")
	}
	if len(p.waiters) != 0 {
		t.Errorf("%d waiters are left", len(p.waiters))
	}
}

// Many append and wait, some give up at once, readers follow: everyone hears of what they wait for, nobody is left behind.
func TestAwaitForgetAndPublishTogether(t *testing.T) {
	for _, mode := range []storage.FlushMode{storage.FlushCommit, storage.FlushNever} {
		r := newRig(t, mode)
		p := r.serve(spec("t", 0, id(1)))
		const writers, each = 8, 50
		var all sync.WaitGroup
		for range writers {
			all.Go(func() {
				w, impatient := NewWaiter(), NewWaiter()
				for range each {
					res, err := p.Append(oneRecord(), -1, storage.Client, 1)
					if err != nil {
						t.Error(err)
						return
					}
					end := res.LastOffset + 1
					p.Await(end+1000, impatient)
					for p.HighWatermark() < end {
						p.Await(end, w)
						await(t, w)
						p.Forget(w)
					}
					p.Forget(impatient)
					if p.Log().FlushedOffset() < end && mode == storage.FlushCommit {
						t.Errorf("high watermark %d, on the disk are %d", p.HighWatermark(), p.Log().FlushedOffset())
					}
				}
			})
		}
		all.Go(func() {
			w := NewWaiter()
			for seen := int64(0); seen < writers*each; {
				p.Await(seen+1, w)
				await(t, w)
				p.Forget(w)
				if hw := p.HighWatermark(); hw < seen {
					t.Errorf("the high watermark fell from %d to %d", seen, hw)
				} else {
					seen = hw
				}
			}
		})
		all.Wait()
		if hw := p.HighWatermark(); hw != writers*each || len(p.waiters) != 0 {
			t.Errorf("%v: high watermark %d, %d waiters left", mode, hw, len(p.waiters))
		}
		r.close()
	}
}

func TestWhoWaitsHearsOfADeletion(t *testing.T) {
	r := newRig(t, storage.FlushCommit)
	p := r.serve(spec("t", 0, id(1)), spec("t", 2, id(1)))
	w := NewWaiter()
	p.Await(1, w)
	if err := r.set.Drop("t", id(1)); err != nil {
		t.Fatal(err)
	}
	if !woken(w) || p.ErrorCode() != kafka.UnknownTopicOrPartition {
		t.Errorf("code %v", p.ErrorCode())
	}
	p.Await(1, w)
	if !woken(w) {
		t.Error("a deleted partition lets others wait")
	}
	_, err := p.Append(oneRecord(), 1, storage.Client, 1)
	if code, _ := p.CodeOf(err); code != kafka.UnknownTopicOrPartition {
		t.Errorf("append to a deleted partition: %v (%v)", code, err)
	}
	if r.set.Get("t", 0) != nil || len(r.set.All()) != 0 || len(r.st.Logs()) != 0 {
		t.Error("something of the topic is left")
	}
	if p, known := r.set.GetID(id(1), 0); p != nil || known {
		t.Error("the topic id is still known")
	}
	if err := r.set.Drop("t", id(1)); err != nil {
		t.Errorf("a second deletion: %v", err)
	}
}

func TestDeletionWhileManyAppendAndWait(t *testing.T) {
	r := newRig(t, storage.FlushCommit)
	for round := range byte(10) {
		p := r.serve(spec("t", 0, id(round+1)))
		var all sync.WaitGroup
		begun := make(chan struct{}, 4)
		for range 4 {
			all.Go(func() {
				w := NewWaiter()
				for first := true; ; first = false {
					res, err := p.Append(oneRecord(), -1, storage.Client, 1)
					if first {
						begun <- struct{}{}
					}
					if err != nil {
						if code, text := p.CodeOf(err); code != kafka.UnknownTopicOrPartition {
							t.Errorf("append meets a deletion: %v, %s", code, text)
						}
						return
					}
					for p.HighWatermark() <= res.LastOffset && p.ErrorCode() == kafka.None {
						p.Await(res.LastOffset+1, w)
						await(t, w)
						p.Forget(w)
					}
				}
			})
		}
		for range 4 {
			<-begun
		}
		if err := r.set.Drop("t", id(round+1)); err != nil {
			t.Fatal(err)
		}
		all.Wait()
	}
}

func TestAFailedSyncStopsThePartitionsOfItsDirectoryOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, storage.FlushCommit, "/a", "/b")
		r.serve(spec("t", 0, id(1)), spec("t", 1, id(1)), spec("t", 2, id(1)), spec("t", 3, id(1)))
		var broken, sound []*Partition
		for _, p := range r.set.All() {
			if p.Log().Dir() == "/a" {
				broken = append(broken, p)
			} else {
				sound = append(sound, p)
			}
		}
		if len(broken) != 2 || len(sound) != 2 {
			t.Fatalf("%d and %d partitions", len(broken), len(sound))
		}
		release := r.hold()
		r.append(broken[0])
		writer, reader, elsewhere := NewWaiter(), NewWaiter(), NewWaiter()
		broken[0].Await(1, writer)
		broken[1].Await(1, reader)
		sound[0].Await(1, elsewhere)
		r.fail("/a")
		release()
		synctest.Wait()
		for _, p := range broken {
			if p.ErrorCode() != kafka.KafkaStorageError || p.HighWatermark() != 0 {
				t.Errorf("%v: code %v, high watermark %d", p.Name, p.ErrorCode(), p.HighWatermark())
			}
			_, err := p.Append(oneRecord(), 1, storage.Client, 1)
			if code, _ := p.CodeOf(err); code != kafka.KafkaStorageError {
				t.Errorf("%v: append answers %v (%v)", p.Name, code, err)
			}
		}
		if !woken(writer) || !woken(reader) || woken(elsewhere) {
			t.Error("who waits in the broken directory must hear of it, others not")
		}
		for _, p := range sound {
			r.append(p)
		}
		synctest.Wait()
		if !woken(elsewhere) || sound[0].HighWatermark() != 1 || sound[1].HighWatermark() != 1 {
			t.Error("the other directory does not go on")
		}
	})
}

func TestALogOfAnEarlierTopicMakesWay(t *testing.T) {
	r := newRig(t, storage.FlushNever)
	p := r.serve(spec("t", 0, id(1)))
	r.append(p)
	r.close()
	// The topic was deleted and made anew while this node was down.
	r.open(storage.FlushNever)
	p = r.serve(spec("t", 0, id(2)))
	if p.Log().EndOffset() != 0 || p.HighWatermark() != 0 || p.Log().TopicID() != id(2) {
		t.Errorf("the new topic begins with %d records of the old one", p.Log().EndOffset())
	}
	if p, known := r.set.GetID(id(1), 0); p != nil || known {
		t.Error("the old topic is served")
	}
	r.append(p)
	if p.HighWatermark() != 1 {
		t.Errorf("high watermark %d", p.HighWatermark())
	}
	// Or nobody deleted it, and the metadata were lost: its records are put aside and stay, also after the next start.
	for range 2 {
		r.close()
		r.open(storage.FlushNever)
		entries, err := r.disk.ReadDir("/data")
		if err != nil {
			t.Fatal(err)
		}
		aside := ""
		for _, e := range entries {
			if name := e.Name(); strings.HasPrefix(name, "t-0.") && strings.HasSuffix(name, "-stray") {
				aside = name
			}
		}
		if aside == "" {
			t.Fatalf("the old log is gone: %v", entries)
		}
		if fi, err := r.disk.Stat("/data/" + aside + "/00000000000000000000.log"); err != nil || fi.Size() == 0 {
			t.Fatalf("the old records are gone: %v", err)
		}
	}
}

func TestAReopenedPartitionShowsWhatItShowedBefore(t *testing.T) {
	for _, mode := range []storage.FlushMode{storage.FlushCommit, storage.FlushNever} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, mode)
			p := r.serve(spec("t", 0, id(1)))
			for range 3 {
				r.append(p)
			}
			synctest.Wait()
			if p.HighWatermark() != 3 {
				t.Fatalf("high watermark %d", p.HighWatermark())
			}
			r.close()
			r.open(mode)
			p = r.serve(spec("t", 0, id(1)))
			if p.HighWatermark() != 3 || !p.CaughtUp() {
				t.Errorf("%v: high watermark %d after a restart, caught up %v", mode, p.HighWatermark(), p.CaughtUp())
			}
		})
	}
}

func TestLeadershipIsFencedByItsEpochAndRemembered(t *testing.T) {
	r := newRig(t, storage.FlushNever)
	sp := spec("t", 0, id(1))
	p := r.serve(sp)
	r.append(p)
	sp.Leadership.Epoch = 5
	if again := r.serve(sp); again != p {
		t.Fatal("new leadership made a new partition")
	}
	for epoch, want := range map[int32]kafka.ErrorCode{-1: kafka.None, 5: kafka.None, 0: kafka.FencedLeaderEpoch, 6: kafka.UnknownLeaderEpoch} { // any order: independent
		if got := p.CheckEpoch(epoch); got != want {
			t.Errorf("epoch %d: %v, want %v", epoch, got, want)
		}
	}
	r.append(p)
	if p.LeaderEpoch() != 5 || p.Log().LatestEpoch() != 5 || p.HighWatermark() != 2 {
		t.Errorf("epoch %d, in the log %d, high watermark %d", p.LeaderEpoch(), p.Log().LatestEpoch(), p.HighWatermark())
	}
	if epoch, end := p.Log().EndOffsetForEpoch(0); epoch != 0 || end != 1 {
		t.Errorf("epoch 0 ends at %d (epoch %d), want 1", end, epoch)
	}
	s, err := p.Log().Read(1, math.MaxInt32, 2, true)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	if raw, err := s.AppendTo(nil); err != nil || batch.Batch(raw).LeaderEpoch() != 5 {
		t.Errorf("the batch bears epoch %d (%v)", batch.Batch(raw).LeaderEpoch(), err)
	}
}

func TestTooFewInSyncReplicasRefuseAcksAll(t *testing.T) {
	r := newRig(t, storage.FlushNever)
	sp := spec("t", 0, id(1))
	sp.Leadership.Replicas = []kafka.NodeID{self, 2}
	cfg := *sp.Config
	cfg.MinISR = 2
	sp.Config = &cfg
	p := r.serve(sp)
	_, err := p.Append(oneRecord(), -1, storage.Client, 1)
	if code, _ := p.CodeOf(err); code != kafka.NotEnoughReplicas {
		t.Errorf("acks=all: %v", err)
	}
	if _, err := p.Append(oneRecord(), 1, storage.Client, 1); err != nil || p.HighWatermark() != 0 {
		t.Errorf("acks=1: %v, high watermark %d", err, p.HighWatermark())
	}
	one := *sp.Config
	one.MinISR = 1
	r.set.Configure("t", &one)
	r.append(p)
	if p.HighWatermark() != 2 {
		t.Errorf("with min.insync.replicas=1 the high watermark is %d", p.HighWatermark())
	}
}

func TestPartitionsAreFoundByNameAndById(t *testing.T) {
	r := newRig(t, storage.FlushNever)
	r.serve(spec("t", 0, id(1)), spec("t", 7, id(1)), spec("u", 0, id(2)))
	for _, c := range []struct {
		topic     string
		partition int32
		there     bool
	}{{"t", 0, true}, {"t", 7, true}, {"u", 0, true}, {"t", 3, false}, {"t", 8, false}, {"t", -1, false}, {"t", math.MaxInt32, false}, {"u", 7, false}, {"", 0, false}, {"none", 0, false}} {
		p := r.set.Get(c.topic, c.partition)
		if (p != nil) != c.there || r.set.GetBytes([]byte(c.topic), c.partition) != p {
			t.Errorf("%s-%d: %v", c.topic, c.partition, p)
		}
		if p != nil && p.Name != (kafka.TopicPartition{Topic: c.topic, Partition: c.partition}) {
			t.Errorf("%s-%d is %v", c.topic, c.partition, p.Name)
		}
	}
	if p, known := r.set.GetID(id(1), 7); p == nil || !known || p != r.set.Get("t", 7) {
		t.Error("t-7 is not found by its id")
	}
	if p, known := r.set.GetID(id(1), 3); p != nil || !known {
		t.Error("of a known topic, partition 3 is not here")
	}
	if n := len(r.set.Topic("t")); n != 2 || len(r.set.All()) != 3 {
		t.Errorf("t has %d partitions, all are %d", n, len(r.set.All()))
	}
}

func TestEveryErrorOfALogHasItsCode(t *testing.T) {
	p := &Partition{}
	for _, c := range []struct {
		err  error
		want kafka.ErrorCode
	}{
		{nil, kafka.None},
		{&storage.Refusal{Code: kafka.OutOfOrderSequenceNumber}, kafka.OutOfOrderSequenceNumber},
		{&storage.OutOfRange{Offset: 9, End: 3}, kafka.OffsetOutOfRange},
		{&storage.OfflineError{Dir: "/a", Err: io.ErrShortWrite}, kafka.KafkaStorageError},
		{&storage.FullError{Dir: "/a"}, kafka.KafkaStorageError},
		{&storage.CorruptError{Segment: "0.log"}, kafka.KafkaStorageError},
		{errors.New("anything else"), kafka.UnknownServerError},
	} {
		err := c.err
		if err != nil {
			err = fmt.Errorf("append: %w", err)
		}
		code, text := p.CodeOf(err)
		if code != c.want || (text == "") != (c.err == nil || c.want == kafka.OutOfOrderSequenceNumber) {
			t.Errorf("%v: %v, %q", c.err, code, text)
		}
	}
}
