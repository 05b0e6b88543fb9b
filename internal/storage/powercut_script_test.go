package storage_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/storage"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// Scripts do one delicate thing, and the power is cut before each of its operations on the disk, many times over. What Open makes of
// each disk is looked at as in TestPowerCut; and Open itself is cut short at each of its operations, by kill -9 and by power cuts.

// tap is the disk before one operation, and what was known then.
type tap struct {
	op   string
	disk *vfs.Memory
	logs []*cutLog
}

type powerCutScript struct {
	name    string
	compact bool
	topic   func(*storage.LogConfig)
	before  func(p *powerCut, l *cutLog) // not cut
	script  func(p *powerCut, l *cutLog) // cut before each operation
}

var powerCutScripts = []powerCutScript{
	{
		name:    "compaction",
		compact: true,
		before: func(p *powerCut, l *cutLog) {
			p.fill(l, 12)
			p.store.CleanOnce() // so that there are small segments, which the next round joins
			p.fill(l, 20)
		},
		script: func(p *powerCut, l *cutLog) { p.store.CleanOnce() },
	},
	{
		name:  "retention of segments that are not sealed yet",
		topic: func(c *storage.LogConfig) { c.RetentionBytes = 1000 },
		before: func(p *powerCut, l *cutLog) {
			p.fill(l, 30)
		},
		script: func(p *powerCut, l *cutLog) { p.store.ApplyRetention() },
	},
	{
		name: "a truncation, and other records at the offsets it cut off",
		before: func(p *powerCut, l *cutLog) {
			for len(l.batches) < 40 {
				p.append(l)
			}
			p.seal(l)
		},
		script: func(p *powerCut, l *cutLog) {
			p.truncateTo(l, 3)
			for len(l.batches) < 9 {
				p.append(l)
			}
			p.flush([]*cutLog{l})
			synctest.Wait()
			p.truncateTo(l, 8)
			p.append(l)
		},
	},
}

func TestPowerCutScripts(t *testing.T) {
	for _, s := range powerCutScripts {
		t.Run(s.name, func(t *testing.T) {
			if err := runPowerCutScript(t, s, os.Getenv("POWERCUT_SEEDS") != "", nil); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// runPowerCutScript cuts one script everywhere. sites, when given, sees the syncs and may disable some.
func runPowerCutScript(t *testing.T, s powerCutScript, thorough bool, sites *vfs.SyncSites) error {
	const seed = 1
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	p := &powerCut{rng: rand.New(rand.NewPCG(seed, 2)), sites: sites, skips: rand.New(rand.NewPCG(seed, 1)), builder: batch.NewBuilder(batch.NewCodecs(batch.Limits{}))}
	p.thorough = thorough
	synctest.Test(t, func(*testing.T) {
		p.mix = mix{compact: s.compact, partitions: 1}
		cfg := storage.DefaultLogConfig()
		cfg.SegmentBytes = 700
		if s.compact {
			cfg.CleanupPolicy, cfg.MinCleanableDirtyRatio = storage.Compact, 0.01
		}
		if s.topic != nil {
			s.topic(&cfg)
		}
		p.topics = map[string]storage.LogConfig{"a": cfg}
		p.config = storage.Config{
			Dirs: []string{"/disk/data"}, NodeID: 1, TopicConfig: func(string) storage.LogConfig { return cfg },
			SyncFSThreshold: -1, SyncParallel: 1, RecoveryThreads: 1, OnFlushed: p.flushed, CleanerDisable: true,
			RetentionCheckInterval: -1, CheckpointInterval: -1, HighWatermarkInterval: -1, ProducerSweepInterval: -1,
		}
		p.config.SealByHand()
		p.byHand = true
		p.disk = vfs.NewMemory()
		p.config.FS = vfs.Inject(p.disk, p.hook)
		if p.store, p.err = storage.Open(p.config); p.err != nil {
			return
		}
		p.cluster, p.clean = p.store.ClusterID(), maybe
		l := &cutLog{tp: kafka.TopicPartition{Topic: "a"}, id: kafka.TopicID{1}, epoch: -1, epochMax: -1, epochFrom: noOffset}
		p.logs = append(p.logs, l)
		if l.log, p.err = p.store.Create(l.tp, l.id, cfg); p.err != nil {
			return
		}
		l.log.SetUserData(l)
		l.state = cutLive
		s.before(p, l)
		p.settle()
		p.tapping = true
		s.script(p, l)
		p.tapping = false
		synctest.Wait()
		p.end()
		p.store.Close(context.Background())
		if p.err == nil {
			p.err = p.tryTaps()
		}
	})
	return p.err
}

// fill appends batches, flushes them, and seals only the first of the segments.
func (p *powerCut) fill(l *cutLog, batches int) {
	for range 6 {
		p.append(l)
	}
	p.seal(l)
	for len(l.batches) < batches {
		p.append(l)
	}
	l.log.WantFlush()
	synctest.Wait()
}

func (p *powerCut) truncateTo(l *cutLog, batches int) {
	if p.err == nil && batches >= 0 && len(l.batches) > batches && endOf(l.batches[:batches]) >= l.log.StartOffset() {
		p.cutOff(l, batches)
	}
}

// tapNow takes the disk before an operation. mu is held.
func (p *powerCut) tapNow(op vfs.Op) {
	t := tap{op: op.String(), disk: p.disk.Kill()}
	for _, l := range p.logs {
		c := l.clone()
		c.durable = max(c.durable, l.log.FlushedOffset())
		t.logs = append(t.logs, c)
	}
	p.taps = append(p.taps, t)
}

// tryTaps looks at what Open makes of the disks.
func (p *powerCut) tryTaps() error {
	// In a plain test run few draws, and Open is cut short for one disk in sixteen.
	draws, drawsInOpen, oneIn := 3, 2, 16
	if p.thorough {
		draws, drawsInOpen, oneIn = 24, 3, 5
	}
	for i, t := range p.taps {
		for draw := range draws {
			disk := t.disk.Crash(rand.New(rand.NewPCG(uint64(draw), uint64(i))))
			if err := p.tryDisk(disk, t, 0, nil); err != nil {
				return fmt.Errorf("power cut before %s (%d), draw %d: %w", t.op, i, draw, err)
			}
		}
		if i%oneIn != 0 {
			continue
		}
		// Open after a kill, and after one power cut, is itself cut short everywhere.
		for first, disk := range []*vfs.Memory{t.disk, t.disk.Crash(rand.New(rand.NewPCG(99, uint64(i))))} {
			for at := int64(1); ; at += 1 + p.rng.Int64N(6) {
				var after *vfs.Memory
				if err := p.tryDisk(disk.Kill(), t, at, &after); err != nil {
					return fmt.Errorf("end %d before %s (%d): %w", first, t.op, i, err)
				}
				if after == nil {
					break
				}
				for draw := range drawsInOpen {
					crashed := after.Crash(rand.New(rand.NewPCG(uint64(draw), uint64(at))))
					if err := p.tryDisk(crashed, t, 0, nil); err != nil {
						return fmt.Errorf("end %d before %s (%d), then a power cut before operation %d of Open, draw %d: %w", first, t.op, i, at, draw, err)
					}
				}
			}
		}
	}
	return nil
}

// tryDisk opens a store on disk and looks at it. With at > 0 it is opened only, and ended before that operation; after is then the
// disk, nil when Open took fewer operations.
func (p *powerCut) tryDisk(disk *vfs.Memory, t tap, at int64, after **vfs.Memory) error {
	q := &powerCut{rng: rand.New(rand.NewPCG(1, 1)), builder: p.builder, topics: p.topics, mix: p.mix, config: p.config, cluster: p.cluster, aim: aim{kind: -1}}
	for _, l := range t.logs {
		q.logs = append(q.logs, l.clone())
	}
	q.disk, q.config.OnFlushed = disk, q.flushed
	ops, done := int64(0), false
	q.config.FS = vfs.Inject(disk, func(op vfs.Op) error {
		q.mu.Lock()
		defer q.mu.Unlock()
		if done {
			return syscall.EIO
		}
		if ops++; ops == at {
			*after, done = disk.Kill(), true
			return syscall.EIO
		}
		if p.sites != nil {
			return p.sites.Hook(op)
		}
		return nil
	})
	store, err := storage.Open(q.config)
	if err != nil {
		if done {
			return nil
		}
		return fmt.Errorf("open: %w", err)
	}
	if at == 0 {
		q.store = store
		q.look()
		for _, l := range q.logs {
			// What is derived from the log must survive being derived again.
			if q.err == nil && l.state == cutLive && !p.mix.compact {
				q.truncateTo(l, len(l.batches)-1)
				for _, producer := range l.producers {
					if producer.known > 0 {
						q.again(l, producer, 0)
					}
				}
			}
		}
	}
	q.mu.Lock()
	done = true // no clean close: it is not what is looked at
	q.mu.Unlock()
	store.Close(context.Background())
	if q.err != nil {
		return fmt.Errorf("%w\n  %s", q.err, strings.Join(q.steps, "\n  "))
	}
	return nil
}

// clone is what is known of a log, for another future of it.
func (l *cutLog) clone() *cutLog {
	c := *l
	c.log = nil
	c.batches, c.uncut, c.producers = slices.Clone(l.batches), slices.Clone(l.uncut), nil
	twins := map[*cutProducer]*cutProducer{}
	for _, producer := range l.producers {
		twin := *producer
		twins[producer] = &twin
		c.producers = append(c.producers, &twin)
	}
	for _, batches := range [][]*cutBatch{c.batches, c.uncut} {
		for i, b := range batches {
			twin := *b
			twin.producer = twins[b.producer]
			batches[i] = &twin
		}
	}
	return &c
}
