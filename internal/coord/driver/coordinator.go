package driver

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/runtime"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	replicadriver "github.com/barnabas-mq/barnabas/internal/replica/driver"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// Config is what a coordinator is made of.
type Config struct {
	// NewShard makes a shard that remembers nothing; one for each time a partition is loaded.
	NewShard func() Shard
	// TopicExists says whether the metadata has a topic: what a loaded shard remembers of others is forgotten.
	TopicExists func(topic string) bool
	// Notes is handed the notes of each shard in their order, after what they tell is committed. It must not block.
	Notes func(shard int32, notes []runtime.TimedNote)
	// Dropped is told when what a shard remembered beside its log is gone, after the notes handed over so far: it was given up, or is read anew. What
	// was under way in its groups ends there. It must not block.
	Dropped func(shard int32)
	Codecs  *batch.Codecs
	// Codec compresses batches. Kafka: offsets.topic.compression.codec.
	Codec batch.Codec
	// BatchBytesMax closes a batch; a single step may need more. Kafka: max.message.bytes of the topic.
	BatchBytesMax int
	// LoadBytes is how much of the log is read at a time. Kafka: offsets.load.buffer.size.
	LoadBytes int
	Logger    *slog.Logger
	// Now is the clock.
	Now func() time.Time
	// Parallel bounds how many shards load at once.
	Parallel int
}

// Shard is a coord.Shard that can say which topics it remembers something of.
type Shard interface {
	coord.Shard
	Topics() []string
}

// Coordinator is the shards of this node. All methods may be called from many goroutines.
type Coordinator struct {
	cfg     Config
	started time.Time
	loads   chan struct{} // a slot for each shard that loads
	calls   sync.Pool
	writers sync.Pool
	lastID  atomic.Uint64

	// shards is by partition; nil where this node does not lead. Partitions are given once: their number decides where a group belongs.
	shards     atomic.Pointer[[]*shard]
	mu         sync.Mutex // guards changes of shards, and closed
	closed     bool
	goroutines sync.WaitGroup
}

// New is a coordinator without shards.
func New(cfg Config) *Coordinator {
	c := &Coordinator{cfg: cfg, started: cfg.Now(), loads: make(chan struct{}, max(1, cfg.Parallel))}
	c.writers.New = func() any { return &writer{build: batch.NewBuilder(cfg.Codecs)} }
	c.shards.Store(new([]*shard))
	return c
}

// now is the time for the shards. It never goes back, whatever is done to the clock of the machine: a session must not end, nor last, because
// somebody set the clock. So the moments that are written down are those of the clock at the start, and what has passed since.
func (c *Coordinator) now() vtime.Instant {
	return vtime.FromTime(c.started).Add(c.cfg.Now().Sub(c.started))
}

// Resize says how many partitions the topic has; 0 while there is none.
func (c *Coordinator) Resize(partitions int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := *c.shards.Load()
	if int(partitions) == len(old) {
		return
	}
	now := make([]*shard, partitions)
	copy(now, old)
	c.shards.Store(&now)
	for _, s := range old[min(len(old), len(now)):] {
		s.resign()
	}
}

// Lead begins to look after the groups of a partition that this node leads, below Resize. Again for the same leadership it does nothing; for
// a later one the shard is loaded anew.
func (c *Coordinator) Lead(p *replicadriver.Partition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	shards := slices.Clone(*c.shards.Load())
	i := p.Name.Partition
	if c.closed || int(i) >= len(shards) {
		return
	}
	if s := shards[i]; s != nil {
		if s.part == p && s.epoch == p.LeaderEpoch() {
			return
		}
		s.resign()
	}
	s := newShard(c, p)
	shards[i] = s
	c.shards.Store(&shards)
	c.goroutines.Go(s.run)
}

// TopicDeleted tells every shard that a topic is gone.
func (c *Coordinator) TopicDeleted(topic string, id kafka.TopicID) {
	for _, s := range *c.shards.Load() {
		if s != nil {
			s.submit(nil, coord.TopicDeleted{Topic: topic, ID: id})
		}
	}
}

// ShardOf is the partition that holds the group; -1 while the topic does not exist.
func (c *Coordinator) ShardOf(group string) int32 {
	if n := len(*c.shards.Load()); n > 0 {
		return kafka.PartitionOf(group, int32(n))
	}
	return -1
}

// Shards lists the partitions looked after here, ascending.
func (c *Coordinator) Shards() (out []int32) {
	for i, s := range *c.shards.Load() {
		if s != nil {
			out = append(out, int32(i))
		}
	}
	return out
}

// Submit hands an event to a shard; its Reply field holds call.ID. It never waits for the disk. A call for a shard that is not here is
// answered NOT_COORDINATOR.
func (c *Coordinator) Submit(shard int32, call *Call, ev coord.Event) {
	shards := *c.shards.Load()
	if shard < 0 || int(shard) >= len(shards) || shards[shard] == nil {
		call.answer(coord.Refused{Code: kafka.NotCoordinator})
		return
	}
	shards[shard].submit(call, ev)
}

// Tell hands a shard an event that nobody waits for; one for a shard that is not here is lost.
func (c *Coordinator) Tell(shard int32, ev coord.Event) {
	if shards := *c.shards.Load(); shard >= 0 && int(shard) < len(shards) && shards[shard] != nil {
		shards[shard].submit(nil, ev)
	}
}

// Loading counts the shards that have not been read yet.
func (c *Coordinator) Loading() (n int) {
	for _, s := range *c.shards.Load() {
		if s != nil && s.state() == runtime.Loading {
			n++
		}
	}
	return n
}

// Close stops taking requests, lets what is on its way to the log arrive there as long as ctx allows, answers NOT_COORDINATOR to whoever still
// waits, and returns when all goroutines have ended.
func (c *Coordinator) Close(ctx context.Context) {
	c.mu.Lock()
	c.closed = true
	shards := *c.shards.Load()
	c.mu.Unlock()
	for _, s := range shards {
		if s != nil {
			s.close()
		}
	}
	ended := make(chan struct{})
	go func() { c.goroutines.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-ctx.Done():
		for _, s := range shards {
			if s != nil {
				s.resign()
			}
		}
		<-ended
	}
}
