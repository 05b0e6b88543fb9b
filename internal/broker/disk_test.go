package broker_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/broker"
	"github.com/barnabas-mq/barnabas/internal/config"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/testkit"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// The disk of these brokers fails when the test says so.

type rig struct {
	*broker.Broker
	t    *testing.T
	dirs []string
	set  []string
	logs testkit.LogBuffer
	hook atomic.Pointer[vfs.Hook]
}

func start(t *testing.T, dirs []string, set ...string) *rig {
	t.Helper()
	r := &rig{t: t, dirs: dirs, set: set}
	r.start()
	t.Cleanup(func() {
		r.fail(nil)
		r.stop()
		if t.Failed() {
			t.Logf("the broker's log:\n%s", r.logs.String())
		}
	})
	return r
}

func (r *rig) start() {
	r.t.Helper()
	cfg, _, err := config.Load(config.Args{Flags: []config.Flag{
		{Name: "log.dirs", Value: strings.Join(r.dirs, ",")}, {Name: "listeners", Value: "PLAINTEXT://127.0.0.1:0"}, {Name: "admin.address", Value: ""}}, Set: r.set})
	if err != nil {
		r.t.Fatal(err)
	}
	r.Broker, err = broker.Start(context.Background(), broker.Options{Config: cfg, Logger: slog.New(slog.NewTextHandler(&r.logs, nil)),
		FS: vfs.Inject(vfs.OS(), func(op vfs.Op) error {
			if hook := r.hook.Load(); hook != nil {
				return (*hook)(op)
			}
			return nil
		})})
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) stop() error {
	if r.Broker == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err := r.Close(ctx)
	r.Broker = nil
	return err
}

// fail puts a hook under the logs; nil heals the disk.
func (r *rig) fail(hook vfs.Hook) {
	if hook == nil {
		r.hook.Store(nil)
		return
	}
	r.hook.Store(&hook)
}

func (r *rig) dial() *testkit.Conn { return testkit.Dial(r.t, r.Addresses()[0]) }

func one(value string) batch.Batch { return testkit.Batch(testkit.Record{Value: value}) }

// in accepts operations below dir.
func in(dir string, op vfs.Op) bool { return strings.HasPrefix(op.Name, dir+"/") }

// dirOf finds the log directory of a partition.
func (r *rig) dirOf(topic string, partition int) string {
	for _, d := range r.dirs {
		if _, err := os.Stat(filepath.Join(d, fmt.Sprintf("%s-%d", topic, partition))); err == nil {
			return d
		}
	}
	r.t.Fatalf("%s-%d is nowhere", topic, partition)
	return ""
}

func (r *rig) metadata(c *testkit.Conn, topic string) map[int32]kmsg.MetadataResponseTopicPartition {
	q := kmsg.NewPtrMetadataRequest()
	q.Version, q.Topics = 12, []kmsg.MetadataRequestTopic{{Topic: &topic}}
	out := map[int32]kmsg.MetadataResponseTopicPartition{}
	for _, p := range testkit.Do[*kmsg.MetadataResponse](c, q).Topics[0].Partitions {
		out[p.Partition] = p
	}
	return out
}

// values reads a whole partition.
func values(c *testkit.Conn, topic string, partition int32) (out []string) {
	reader := batch.NewReader(batch.NewCodecs(batch.Limits{}))
	for offset := int64(0); ; {
		raw := c.Fetch(topic, partition, offset).RecordBatches
		if len(raw) == 0 {
			return out
		}
		for len(raw) > 0 {
			b, rest, err := batch.Next(raw)
			if err != nil {
				break
			}
			if err := reader.Each(b, func(r *batch.Record) error { out = append(out, string(r.Value)); return nil }); err != nil {
				panic(err)
			}
			offset, raw = b.LastOffset()+1, rest
		}
	}
}

// An fsync that fails is never retried as if it had not happened: no acknowledgement, the directory offline, the other one goes on, and
// after a restart everything acknowledged is there.
func TestAFailedSyncIsNoAcknowledgement(t *testing.T) {
	dirs := []string{t.TempDir(), t.TempDir()}
	r := start(t, dirs)
	c := r.dial()
	c.CreateTopic("t", 4)
	for p := range int32(4) {
		if got := c.Produce(9, -1, "t", p, one("before")); got.ErrorCode != 0 {
			t.Fatalf("error %d", got.ErrorCode)
		}
	}
	lost := r.dirOf("t", 0)
	var broken, sound []int32
	for p := range int32(4) {
		if r.dirOf("t", int(p)) == lost {
			broken = append(broken, p)
		} else {
			sound = append(sound, p)
		}
	}
	if len(broken) != 2 || len(sound) != 2 {
		t.Fatalf("partitions %v and %v", broken, sound)
	}
	r.fail(func(op vfs.Op) error {
		if in(lost, op) && op.Kind.Syncs() {
			return syscall.EIO
		}
		return nil
	})
	// Somebody waits for the next record of the other partition in that directory.
	waiting := r.dial()
	wait := testkit.FetchRequest(12, "t", broken[1], 1)
	wait.MaxWaitMillis = 20_000
	waiting.Send(wait)

	if got := c.Produce(9, -1, "t", broken[0], one("never acknowledged")); got.ErrorCode != int16(kafka.KafkaStorageError) {
		t.Fatalf("acks=all over a failed fsync: error %d, offset %d", got.ErrorCode, got.BaseOffset)
	}
	r.fail(nil) // the disk works again, but what it holds is not known
	for _, p := range broken {
		for _, acks := range []int16{-1, 1} {
			if got := c.Produce(9, acks, "t", p, one("refused")); got.ErrorCode != int16(kafka.KafkaStorageError) {
				t.Errorf("partition %d, acks=%d: error %d", p, acks, got.ErrorCode)
			}
		}
		if got := c.Fetch("t", p, 0); got.ErrorCode != int16(kafka.KafkaStorageError) || len(got.RecordBatches) != 0 {
			t.Errorf("fetch of partition %d: error %d, %d bytes", p, got.ErrorCode, len(got.RecordBatches))
		}
	}
	if _, rest, err := waiting.Receive(); err != nil {
		t.Errorf("the waiting fetch: %v", err)
	} else if got := waiting.Decode(wait, rest).(*kmsg.FetchResponse).Topics[0].Partitions[0]; got.ErrorCode != int16(kafka.KafkaStorageError) {
		t.Errorf("the waiting fetch: error %d", got.ErrorCode)
	}
	rows := r.metadata(c, "t")
	for _, p := range broken {
		if row := rows[p]; row.Leader != -1 || row.ErrorCode != int16(kafka.LeaderNotAvailable) || len(row.OfflineReplicas) != 1 || len(row.ISR) != 0 {
			t.Errorf("metadata of partition %d: %+v", p, row)
		}
	}
	for _, p := range sound {
		if row := rows[p]; row.Leader != 1 || row.ErrorCode != 0 {
			t.Errorf("metadata of partition %d: %+v", p, row)
		}
		if got := c.Produce(9, -1, "t", p, one("goes on")); got.ErrorCode != 0 || got.BaseOffset != 1 {
			t.Errorf("partition %d: error %d, offset %d", p, got.ErrorCode, got.BaseOffset)
		}
	}
	d := kmsg.NewPtrDescribeLogDirsRequest()
	d.Version = 4
	for _, dir := range testkit.Do[*kmsg.DescribeLogDirsResponse](c, d).Dirs {
		if want := map[bool]int16{true: int16(kafka.KafkaStorageError)}[dir.Dir == lost]; dir.ErrorCode != want {
			t.Errorf("log directory %s: error %d, want %d", dir.Dir, dir.ErrorCode, want)
		}
	}
	if log := r.logs.String(); !strings.Contains(log, "is offline") || !strings.Contains(log, lost) {
		t.Error("the log does not say which directory is offline")
	}
	if err := r.stop(); err == nil {
		t.Error("a shutdown with a directory offline calls itself clean")
	}
	r.start()
	c = r.dial()
	for p := range int32(4) {
		got := values(c, "t", p)
		if len(got) == 0 || got[0] != "before" {
			t.Errorf("partition %d lost what was acknowledged: %q", p, got)
		}
		if r.dirOf("t", int(p)) != lost && (len(got) != 2 || got[1] != "goes on") {
			t.Errorf("partition %d has %q", p, got)
		}
		if got := c.Produce(9, -1, "t", p, one("after")); got.ErrorCode != 0 {
			t.Errorf("partition %d after the restart: error %d", p, got.ErrorCode)
		}
	}
}

// producers write to a topic until each has been refused or cut off, and remember what was acknowledged.
type producers struct {
	mu     sync.Mutex
	acked  map[string]bool
	codes  map[kafka.ErrorCode]int
	all    sync.WaitGroup
	events chan struct{} // one for each acknowledgement, as far as somebody takes them
}

// rounds tells the records of one produce from those of another.
var rounds atomic.Int64

func (r *rig) produce(topic string, partitions int32, size int) *producers {
	round := rounds.Add(1)
	p := &producers{acked: map[string]bool{}, codes: map[kafka.ErrorCode]int{}, events: make(chan struct{}, 1<<16)}
	pad := strings.Repeat("x", size)
	for g := range 8 {
		c := r.dial()
		p.all.Go(func() {
			for i := 0; ; i++ {
				value := fmt.Sprintf("%d/%d/%d/%s", round, g, i, pad)
				q := testkit.ProduceRequest(9, -1, topic, int32(g)%partitions, one(value))
				c.SetDeadline(time.Now().Add(20 * time.Second))
				if _, err := c.Write(testkit.Frame(q, 1, "test")); err != nil {
					return
				}
				_, rest, err := c.Receive()
				if err != nil {
					return
				}
				code := kafka.ErrorCode(c.Decode(q, rest).(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode)
				p.mu.Lock()
				if p.codes[code]++; code == kafka.None {
					p.acked[value] = true
				}
				p.mu.Unlock()
				if code != kafka.None {
					return
				}
				select {
				case p.events <- struct{}{}:
				default:
				}
			}
		})
	}
	return p
}

// await returns when n records were acknowledged.
func (p *producers) await(t *testing.T, n int) {
	t.Helper()
	late := time.After(30 * time.Second)
	for range n {
		select {
		case <-p.events:
		case <-late:
			t.Fatalf("not %d records were acknowledged in time: %v", n, p.codes)
		}
	}
}

// mustHave fails the test unless everything acknowledged is in the topic, once.
func (p *producers) mustHave(t *testing.T, c *testkit.Conn, topic string, partitions int32) {
	t.Helper()
	seen := map[string]int{}
	for part := range partitions {
		for _, v := range values(c, topic, part) {
			seen[v]++
		}
	}
	missing := 0
	for v := range p.acked { // any order: counted
		if seen[v] != 1 {
			missing++
		}
	}
	if missing > 0 || len(p.acked) == 0 {
		t.Errorf("%d of %d acknowledged records are not there exactly once", missing, len(p.acked))
	}
}

// A shutdown under load acknowledges or refuses; what it acknowledged is there, and the stop is a clean one.
func TestAShutdownUnderLoadLosesNothingAcknowledged(t *testing.T) {
	r := start(t, []string{t.TempDir()})
	r.dial().CreateTopic("t", 3)
	for range 3 {
		p := r.produce("t", 3, 100)
		p.await(t, 200)
		if err := r.stop(); err != nil {
			t.Errorf("the shutdown was not clean: %v", err)
		}
		p.all.Wait()
		for code := range p.codes { // any order: each is looked at
			if code != kafka.None {
				t.Errorf("a producer was told %v at shutdown", code)
			}
		}
		r.start()
		p.mustHave(t, r.dial(), "t", 3)
	}
}

// The same for a fsync that fails in the middle of it.
func TestAFailedSyncUnderLoadLosesNothingAcknowledged(t *testing.T) {
	for _, nth := range []int64{1, 2, 7} {
		r := start(t, []string{t.TempDir()})
		r.dial().CreateTopic("t", 3)
		p := r.produce("t", 3, 100)
		p.await(t, 50)
		r.fail(vfs.Nth(nth, func(op vfs.Op) bool { return op.Kind == vfs.OpSyncData }, syscall.EIO))
		p.all.Wait()
		for code := range p.codes { // any order: each is looked at
			if code != kafka.None && code != kafka.KafkaStorageError {
				t.Errorf("a producer was told %v", code)
			}
		}
		if p.codes[kafka.KafkaStorageError] != 8 {
			t.Errorf("codes %v, want all 8 producers to hear of the failed disk", p.codes)
		}
		r.stop()
		r.fail(nil)
		r.start()
		p.mustHave(t, r.dial(), "t", 3)
		r.stop()
	}
}

// A disk that is full: a write that does not fit fails its producer and takes the directory offline, since what is left of it is not
// known; recovery cuts it off.
func TestAFullDiskLosesNothingAcknowledged(t *testing.T) {
	for _, room := range []int64{0, 1, 777, 100_000} {
		r := start(t, []string{t.TempDir()})
		r.dial().CreateTopic("t", 1)
		p := r.produce("t", 1, 1000)
		p.await(t, 20)
		r.fail(vfs.FullAfter(room))
		p.all.Wait()
		for code := range p.codes { // any order: each is looked at
			if code != kafka.None && code != kafka.KafkaStorageError {
				t.Errorf("a producer was told %v", code)
			}
		}
		if p.codes[kafka.KafkaStorageError] == 0 {
			t.Errorf("nobody was told: %v", p.codes)
		}
		r.stop()
		r.fail(nil)
		r.start()
		c := r.dial()
		p.mustHave(t, c, "t", 1)
		if got := c.Produce(9, -1, "t", 0, one("with room again")); got.ErrorCode != 0 {
			t.Errorf("with room again: error %d", got.ErrorCode)
		}
		r.stop()
	}
}

// lessFree is a disk that tells how much is free.
type lessFree struct {
	vfs.FS
	free *atomic.Int64
}

func (l lessFree) Usage(name string) (vfs.Usage, error) {
	return vfs.Usage{Total: 1 << 40, Free: l.free.Load()}, nil
}

// Before the disk is full the reserve is: appends are refused, everything else goes on, and so do appends once there is room.
func TestTheReserveRefusesAppendsAndNothingElse(t *testing.T) {
	var free atomic.Int64
	free.Store(1 << 30)
	cfg, _, err := config.Load(config.Args{Flags: []config.Flag{{Name: "log.dirs", Value: t.TempDir()}, {Name: "listeners", Value: "PLAINTEXT://127.0.0.1:0"},
		{Name: "admin.address", Value: ""}}, Set: []string{"log.dirs.reserved.bytes=16777216", "message.max.bytes=8000000"}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := broker.Start(t.Context(), broker.Options{Config: cfg, FS: lessFree{vfs.OS(), &free}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close(context.Background())
	c := testkit.Dial(t, b.Addresses()[0])
	c.CreateTopic("t", 1)
	if got := c.Produce(9, -1, "t", 0, one("fits")); got.ErrorCode != 0 {
		t.Fatalf("error %d", got.ErrorCode)
	}
	free.Store(16<<20 + 100)
	large := one(strings.Repeat("x", 5<<20)) // more than what may be written between two looks at the disk
	if got := c.Produce(9, -1, "t", 0, large); got.ErrorCode != int16(kafka.KafkaStorageError) || got.ErrorMessage == nil || !strings.Contains(*got.ErrorMessage, "log.dirs.reserved.bytes") {
		t.Errorf("into the reserve: %+v", got)
	}
	if got := values(c, "t", 0); len(got) != 1 {
		t.Errorf("%d records are there", len(got))
	}
	c.CreateTopic("another", 1)
	free.Store(1 << 30)
	if got := c.Produce(9, -1, "t", 0, large); got.ErrorCode != 0 || got.BaseOffset != 1 {
		t.Errorf("with room again: error %d, offset %d", got.ErrorCode, got.BaseOffset)
	}
}
