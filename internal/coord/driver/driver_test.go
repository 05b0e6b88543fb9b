package driver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/group"
	"github.com/barnabas-mq/barnabas/internal/coord/offset"
	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/coord/runtime"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/replica"
	replicadriver "github.com/barnabas-mq/barnabas/internal/replica/driver"
	"github.com/barnabas-mq/barnabas/internal/storage"
	"github.com/barnabas-mq/barnabas/internal/vfs"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

const partitions = 3

// rig is a coordinator over real logs in memory, whose syncs a test can hold up and fail.
type rig struct {
	t    testing.TB
	disk *vfs.Memory
	st   *storage.Store
	set  *replicadriver.Set
	c    *Coordinator

	mu     sync.Mutex
	gate   chan struct{} // syncs wait while it is not nil
	failed error         // what syncs answer
	notes  []coord.Note
	topics map[string]bool
	poison func(ev coord.Event, r record.Record) bool // what makes the core panic
	logs   strings.Builder
}

// Write takes the coordinator's log.
func (r *rig) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.logs.Write(b)
}

// poisonBy sets what makes the core panic.
func (r *rig) poisonBy(poison func(ev coord.Event, r record.Record) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.poison = poison
}

func (r *rig) isPoison(ev coord.Event, rec record.Record) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.poison != nil && r.poison(ev, rec)
}

// takeLogs is what was logged since the last call.
func (r *rig) takeLogs() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.logs.Reset()
	return r.logs.String()
}

func newRig(t testing.TB) *rig {
	r := &rig{t: t, disk: vfs.NewMemory(), topics: map[string]bool{"orders": true}}
	r.start()
	t.Cleanup(r.stop)
	return r
}

func (r *rig) start() {
	r.t.Helper()
	set := replicadriver.NewSet(1, true, slog.New(slog.DiscardHandler))
	st, err := storage.Open(context.Background(), storage.Config{
		Dirs: []string{"/data"}, FS: vfs.Inject(r.disk, r.hook), NodeID: 1, FlushMode: storage.FlushCommit, FlushInterval: time.Hour,
		RetentionCheckInterval: -1, CheckpointInterval: -1, HighWatermarkInterval: -1, ProducerSweepInterval: -1, CleanerDisable: true, SyncFSThreshold: -1,
		OnFlushed: func(l *storage.Log, end int64) { set.Flushed(l, end) },
		OnOffline: func(dir string, _ error) { set.Offline(dir) },
	})
	if err != nil {
		r.t.Fatal(err)
	}
	set.Use(st)
	r.set, r.st = set, st
	var specs []replicadriver.Spec
	for p := range int32(partitions) {
		specs = append(specs, replicadriver.Spec{Name: kafka.TopicPartition{Topic: kafka.OffsetsTopic, Partition: p}, TopicID: kafka.TopicID{1},
			Leadership: replica.Leadership{Epoch: 0, Replicas: []kafka.NodeID{1}, ISR: []kafka.NodeID{1}},
			Config: &replicadriver.TopicConfig{MinISR: 1, Rules: batch.Rules{MaxMessageBytes: 16 << 20},
				Log: storage.LogConfig{SegmentBytes: 100 << 20, SegmentMs: 1 << 40, IndexIntervalBytes: 4096, SegmentIndexBytes: 10 << 20, CleanupPolicy: storage.Compact, MaxMessageBytes: 16 << 20}}})
	}
	if err := set.Open(specs); err != nil {
		r.t.Fatal(err)
	}
	r.c = New(Config{
		NewShard:    func() Shard { return &poisoned{Shard: group.New(groupConfig), rig: r} },
		TopicExists: func(topic string) bool { r.mu.Lock(); defer r.mu.Unlock(); return r.topics[topic] },
		Notes: func(_ int32, notes []runtime.TimedNote) {
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, n := range notes {
				r.notes = append(r.notes, n.Note)
			}
		},
		Codecs: batch.NewCodecs(batch.DefaultLimits()), BatchBytesMax: 1 << 20, LoadBytes: 4 << 10, Logger: slog.New(slog.NewTextHandler(r, nil)), Now: time.Now, Parallel: 2,
	})
	r.c.Resize(partitions)
	for _, p := range set.All() {
		r.c.Lead(p)
	}
}

var groupConfig = group.Config{SessionTimeoutMin: 6 * time.Second, SessionTimeoutMax: 30 * time.Minute, InitialRebalanceDelay: 3 * time.Second, SizeMax: 1 << 30, RecordBytesMax: 1 << 20,
	Offsets: offset.Config{MetadataMax: 4096, Retention: 7 * 24 * time.Hour, CheckInterval: 10 * time.Minute}}

// poisoned is the real shard, with an event or a record that makes it panic.
type poisoned struct {
	*group.Shard
	rig *rig
}

func (p *poisoned) Step(now vtime.Instant, ev coord.Event) coord.Effects {
	if p.rig.isPoison(ev, nil) {
		panic("poisoned")
	}
	return p.Shard.Step(now, ev)
}

func (p *poisoned) Apply(offset int64, r record.Record) {
	if p.rig.isPoison(nil, r) {
		panic("poisoned")
	}
	p.Shard.Apply(offset, r)
}

func (r *rig) stop() {
	r.open(nil)
	r.c.Close(context.Background())
	r.st.Close(context.Background()) // of a broken disk it says so
}

// crash takes the power away: what was not synced is gone.
func (r *rig) crash() {
	r.t.Helper()
	after := r.disk.CrashStrict()
	r.open(errors.New("no power"))
	r.c.Close(context.Background())
	r.st.Close(context.Background())
	r.open(nil)
	r.disk = after
	r.start()
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
	return r.failed
}

// hold stops syncs until open.
func (r *rig) hold() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gate = make(chan struct{})
}

// open lets syncs go on, with this result.
func (r *rig) open(failed error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gate != nil {
		close(r.gate)
		r.gate = nil
	}
	r.failed = failed
}

// send submits an event made with a call's id.
func (r *rig) send(groupID string, make func(coord.ReplyID) coord.Event) *Call {
	call := r.c.NewCall()
	r.c.Submit(r.c.ShardOf(groupID), call, make(call.ID))
	return call
}

// ask waits for the answer; a shard that is still loading is asked again.
func (r *rig) ask(groupID string, make func(coord.ReplyID) coord.Event) any {
	for {
		call := r.send(groupID, make)
		<-call.Done()
		body := call.Body()
		call.Release()
		if body != (coord.Refused{Code: kafka.CoordinatorLoadInProgress}) {
			return body
		}
		time.Sleep(time.Millisecond) // of the bubble's time
	}
}

func (r *rig) commit(groupID string, at int64) *Call { return r.send(groupID, commitOf(groupID, at)) }

func commitOf(groupID string, at int64) func(coord.ReplyID) coord.Event {
	return func(id coord.ReplyID) coord.Event {
		return &offset.CommitRequest{Reply: id, Version: 8, Group: groupID, Generation: -1, RetentionMs: -1,
			Topics: []offset.CommitTopic{{Topic: "orders", Partitions: []offset.CommitPartition{{Partition: 0, Offset: at, LeaderEpoch: -1}}}}}
	}
}

// mustCommit commits and waits.
func (r *rig) mustCommit(groupID string, at int64) {
	r.t.Helper()
	body := r.ask(groupID, commitOf(groupID, at))
	if reply, ok := body.(offset.CommitReply); !ok || reply.Topics[0].Partitions[0].Code != kafka.None {
		r.t.Fatalf("commit of %s: %+v", groupID, body)
	}
}

// committed is what the group has committed, -1 for nothing.
func (r *rig) committed(groupID string) int64 {
	r.t.Helper()
	body := r.ask(groupID, func(id coord.ReplyID) coord.Event {
		return &offset.FetchRequest{Reply: id, Group: groupID, Topics: []offset.Partitions{{Topic: "orders", Partitions: []int32{0}}}}
	})
	reply, ok := body.(offset.FetchReply)
	if !ok {
		r.t.Fatalf("what %s has committed: %+v", groupID, body)
	}
	return reply.Topics[0].Partitions[0].Offset
}

func TestWhatWasAnsweredSurvivesARestartAndACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		for i := range int64(20) {
			r.mustCommit(fmt.Sprintf("group-%d", i), i)
		}
		check := func(when string) {
			t.Helper()
			for i := range int64(20) {
				if got := r.committed(fmt.Sprintf("group-%d", i)); got != i {
					t.Errorf("%s: group-%d is at %d, want %d", when, i, got, i)
				}
			}
		}
		check("before")
		r.stop()
		r.start()
		check("after a restart")
		r.crash()
		check("after a power cut")
	})
}

func TestNoAnswerLeavesBeforeTheDiskHasIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCommit("g", 1)
		r.hold()
		write := r.commit("g", 2)
		read := r.send("g", func(id coord.ReplyID) coord.Event { return &offset.FetchRequest{Reply: id, Group: "g", All: true} })
		synctest.Wait()
		if write.Answered() || read.Answered() {
			t.Fatalf("answered while the sync is under way: write %v, read %v", write.Answered(), read.Answered())
		}
		r.open(nil)
		<-write.Done()
		<-read.Done()
		if got := read.Body().(offset.FetchReply).Topics[0].Partitions[0].Offset; got != 2 {
			t.Errorf("read %d", got)
		}
	})
}

func TestManyCommitsShareOneFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCommit("g", 1)
		part := r.c.ShardOf("g")
		log := r.set.Get(kafka.OffsetsTopic, part).Log()
		before := log.EndOffset()
		r.hold()
		var waiting []*Call
		for i := range int64(100) {
			waiting = append(waiting, r.commit("g", i))
		}
		synctest.Wait()
		if got := log.EndOffset() - before; got != 2 {
			t.Errorf("%d records are in the log while the first is being flushed, want that one and the next", got)
		}
		r.open(nil)
		for _, w := range waiting {
			<-w.Done()
		}
		if got := log.EndOffset() - before; got != 100 {
			t.Errorf("%d records in the log", got)
		}
		if got := r.committed("g"); got != 99 {
			t.Errorf("committed %d", got)
		}
	})
}

func TestAFailedFlushAnswersNotCoordinatorAndTakesNothingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCommit("g", 1)
		r.hold()
		calls := []*Call{r.commit("g", 2), r.commit("g", 3), r.commit("g", 4)} // two on their way, and one that waits
		synctest.Wait()
		r.open(errors.New("the disk is gone"))
		for _, call := range calls {
			<-call.Done()
			if diff := cmp.Diff(coord.Refused{Code: kafka.NotCoordinator}, call.Body()); diff != "" {
				t.Error(diff)
			}
		}
		if body := r.ask("g", func(id coord.ReplyID) coord.Event { return &offset.FetchRequest{Reply: id, Group: "g", All: true} }); body != (coord.Refused{Code: kafka.NotCoordinator}) {
			t.Errorf("a shard whose disk failed answers %+v", body)
		}
		r.crash()
		if got := r.committed("g"); got < 1 {
			t.Errorf("after the crash the group is at %d; 1 was acknowledged", got)
		}
	})
}

func TestAPanicCostsTheShardOnlyAndIsReloaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCommit("g", 1)
		waiting := r.send("g", func(id coord.ReplyID) coord.Event { return join(id, "g") })
		<-waiting.Done() // an id was given out
		r.poisonBy(func(ev coord.Event, _ record.Record) bool { _, ok := ev.(*offset.CommitRequest); return ok })
		hit := r.commit("g", 2)
		<-hit.Done()
		if hit.Body() != (coord.Refused{Code: kafka.NotCoordinator}) {
			t.Errorf("whoever sent the poison hears %+v", hit.Body())
		}
		r.poisonBy(nil)
		time.Sleep(time.Second)
		if got := r.committed("g"); got != 1 {
			t.Errorf("after the reload: %d", got)
		}
		r.mustCommit("g", 5)
	})
}

// The log names what a panic was about, whichever way it came, and what had happened before.
func TestAPanicSaysWhatItWasAbout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		line := func(what string, want ...string) {
			t.Helper()
			r.poisonBy(nil)
			time.Sleep(time.Second)
			log := r.takeLogs()
			for _, w := range append(want, "the group coordinator panicked", `panic=poisoned`) {
				if !strings.Contains(log, w) {
					t.Errorf("%s: the log does not say %q:\n%s", what, w, log)
				}
			}
		}
		r.mustCommit("g", 1)
		<-r.send("g", func(id coord.ReplyID) coord.Event { return join(id, "g") }).Done()
		r.poisonBy(func(ev coord.Event, _ record.Record) bool { _, ok := ev.(*offset.CommitRequest); return ok })
		<-r.commit("g", 2).Done()
		line("a request", "at=request", "group=g event=OffsetCommit", `content="{\"Reply\":`, "0s ago OffsetCommit g, 0s ago JoinGroup g, 0s ago OffsetCommit g")

		<-r.send("g", func(id coord.ReplyID) coord.Event { return join(id, "g") }).Done()
		r.poisonBy(func(ev coord.Event, _ record.Record) bool { _, ok := ev.(coord.TimerFired); return ok })
		time.Sleep(20 * time.Second) // the id was given out, and nobody comes with it
		line("a timer", "at=timer", "group=g event=TimerFired", "10.001s ago JoinGroup g, 0s ago TimerFired g")

		r.poisonBy(func(_ coord.Event, rec record.Record) bool { return rec != nil })
		r.c.Resize(0)
		r.c.Resize(partitions)
		for _, p := range r.set.All() {
			r.c.Lead(p)
		}
		time.Sleep(50 * time.Millisecond)
		line("a record", "at=replay", "group=g offset=0")
	})
}

func join(id coord.ReplyID, g string) *group.JoinRequest {
	return &group.JoinRequest{Reply: id, Version: 9, Group: g, Client: "c", Host: "/127.0.0.1", FreshID: fmt.Sprint("uuid-", id), ProtocolType: "consumer",
		Protocols: []group.Protocol{{Name: "range", Metadata: []byte{0, 1, 0, 0, 0, 0, 255, 255, 255, 255}}}, SessionTimeout: 10 * time.Second, RebalanceTimeout: 30 * time.Second}
}

func TestASessionEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCommit("other", 1)
		first := r.ask("g", func(id coord.ReplyID) coord.Event { return join(id, "g") }).(group.JoinReply)
		if first.Code != kafka.MemberIDRequired {
			t.Fatalf("%+v", first)
		}
		second := r.ask("g", func(id coord.ReplyID) coord.Event { j := join(id, "g"); j.Member = first.Member; return j }).(group.JoinReply)
		if second.Code != kafka.None || second.Generation != 1 {
			t.Fatalf("%+v", second)
		}
		time.Sleep(9 * time.Second)
		beat := func() kafka.ErrorCode {
			return r.ask("g", func(id coord.ReplyID) coord.Event {
				return &group.HeartbeatRequest{Reply: id, Group: "g", Generation: 1, Member: first.Member}
			}).(group.HeartbeatReply).Code
		}
		if code := beat(); code != kafka.None {
			t.Fatalf("within the session: %s", code)
		}
		time.Sleep(11 * time.Second)
		if code := beat(); code != kafka.UnknownMemberID {
			t.Errorf("after the session: %s", code)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		removed := 0
		for _, n := range r.notes {
			if m, ok := n.(coord.MemberRemoved); ok && m.Cause == coord.SilentSession {
				removed++
			}
		}
		if removed != 1 {
			t.Errorf("%d notes of a silent member: %v", removed, r.notes)
		}
	})
}

func TestCloseFinishesWhatIsOnItsWayAndSendsTheRestAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCommit("g", 1)
		given := r.ask("h", func(id coord.ReplyID) coord.Event { return join(id, "h") }).(group.JoinReply)
		parked := r.send("h", func(id coord.ReplyID) coord.Event { j := join(id, "h"); j.Member = given.Member; return j })
		r.hold()
		write := r.commit("g", 2)
		synctest.Wait()
		if parked.Answered() || write.Answered() {
			t.Fatal("answered too early")
		}
		closed := make(chan struct{})
		go func() { r.c.Close(context.Background()); close(closed) }()
		synctest.Wait()
		late := r.commit("g", 3)
		<-late.Done()
		if late.Body() != (coord.Refused{Code: kafka.NotCoordinator}) {
			t.Errorf("a request after Close hears %+v", late.Body())
		}
		r.open(nil)
		<-closed
		if body, ok := write.Body().(offset.CommitReply); !ok || body.Topics[0].Partitions[0].Code != kafka.None {
			t.Errorf("what was on its way to the disk is answered %+v", write.Body())
		}
		if parked.Body() != (coord.Refused{Code: kafka.NotCoordinator}) {
			t.Errorf("a member that waits hears %+v", parked.Body())
		}
	})
}

func TestWhoeverElseWritesToThePartitionMakesItReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCommit("g", 1)
		p := r.set.Get(kafka.OffsetsTopic, r.c.ShardOf("g"))
		b := batch.NewBuilder(batch.NewCodecs(batch.DefaultLimits()))
		b.Reset(batch.Options{})
		commit := &record.OffsetCommit{Group: "g", Topic: "orders", Value: &record.OffsetCommitValue{Offset: 77, LeaderEpoch: -1, ExpireTimestamp: record.NoTimestamp}}
		value, _ := commit.AppendValue(nil)
		if err := b.Append(1, commit.AppendKey(nil), value, nil); err != nil {
			t.Fatal(err)
		}
		foreign, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Append(foreign, -1, storage.Client, 1); err != nil {
			t.Fatal(err)
		}
		neighbour := "h"
		for r.c.ShardOf(neighbour) != r.c.ShardOf("g") {
			neighbour += "h"
		}
		lost := r.commit(neighbour, 1)
		<-lost.Done()
		if lost.Body() != (coord.Refused{Code: kafka.NotCoordinator}) {
			t.Errorf("the batch that landed elsewhere is answered %+v", lost.Body())
		}
		time.Sleep(time.Second)
		if got := r.committed("g"); got != 77 {
			t.Errorf("after the reload the group is at %d, want what the other wrote", got)
		}
	})
}

func TestASecondBatchThatFailsTakesNothingFromTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCommit("g", 1)
		p := r.set.Get(kafka.OffsetsTopic, r.c.ShardOf("g"))
		r.hold()
		first := r.commit("g", 2)
		synctest.Wait()
		b := batch.NewBuilder(batch.NewCodecs(batch.DefaultLimits()))
		b.Reset(batch.Options{})
		b.Append(1, []byte("no record of ours"), nil, nil)
		foreign, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Append(foreign, -1, storage.Client, 1); err != nil {
			t.Fatal(err)
		}
		second := r.commit("g", 3) // it lands one further than the runtime was told
		for name, call := range map[string]*Call{"first": first, "second": second} {
			<-call.Done()
			if call.Body() != (coord.Refused{Code: kafka.NotCoordinator}) {
				t.Errorf("the %s is answered %+v", name, call.Body())
			}
		}
		r.open(nil)
		time.Sleep(time.Second)
		if got := r.committed("g"); got != 3 {
			t.Errorf("after the reload the group is at %d; 2 and 3 are in the log", got)
		}
		r.crash()
		if got := r.committed("g"); got != 3 {
			t.Errorf("after a power cut the group is at %d", got)
		}
	})
}

func TestTopicsDeletedWhileNobodyLookedAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCommit("g", 1)
		r.c.TopicDeleted("another", kafka.TopicID{9})
		if got := r.committed("g"); got != 1 {
			t.Fatalf("another topic's deletion left %d", got)
		}
		r.stop()
		delete(r.topics, "orders")
		r.start()
		if got := r.committed("g"); got != -1 {
			t.Errorf("committed %d in a topic that is gone", got)
		}
	})
}

func TestAGroupOfAnotherNodeIsRefused(t *testing.T) {
	c := New(Config{Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	call := c.NewCall()
	c.Submit(c.ShardOf("g"), call, &group.HeartbeatRequest{Reply: call.ID, Group: "g"})
	if !call.Answered() || call.Body() != (coord.Refused{Code: kafka.NotCoordinator}) {
		t.Errorf("%v %+v", call.Answered(), call.Body())
	}
}

// TestManyAtOnce is for the race detector: requests, a change of leadership and reloads side by side; every call is answered.
func TestManyAtOnce(t *testing.T) {
	r := newRig(t)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range int64(200) {
				g := fmt.Sprintf("group-%d-%d", w, i%5)
				<-r.commit(g, i).Done()
			}
		})
	}
	wg.Go(func() {
		for range 5 {
			for _, s := range *r.c.shards.Load() {
				s.mu.Lock()
				s.drop()
				s.mu.Unlock()
			}
		}
	})
	wg.Wait()
}
