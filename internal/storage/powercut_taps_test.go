package storage_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
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
	name string
	// catches names the functions whose syncs the script is there for: the mutation run tries it first. at are parts of the operations
	// whose disks are followed to the end, through another life and another power cut, and cut in many ways; of the others one in a few is.
	// With through, Open on those is cut short before each of its operations, in many ways too.
	catches []string
	at      []string
	through bool

	compact bool
	config  func(p *powerCut)
	topic   func(*storage.LogConfig)
	before  func(p *powerCut, l *cutLog) // not cut
	script  func(p *powerCut, l *cutLog) // cut before each operation
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
		if s.config != nil {
			s.config(p)
		}
		p.disk = vfs.NewMemory()
		p.config.FS = vfs.Inject(p.disk, p.hook)
		if p.store, p.err = storage.Open(context.Background(), p.config); p.err != nil {
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
		if s.before != nil {
			s.before(p, l)
		}
		p.settle()
		p.tapping = true
		s.script(p, l)
		synctest.Wait()
		p.mu.Lock()
		p.tapNow("the end")
		p.tapping = false
		p.mu.Unlock()
		p.end()
		p.store.Close(context.Background())
		if p.err == nil {
			p.err = p.tryTaps(s)
		}
	})
	return p.err
}

// tapNow takes the disk before an operation. mu is held.
func (p *powerCut) tapNow(op string) {
	t := tap{op: op, disk: p.disk.Kill()}
	for _, l := range p.logs {
		l.seen()
		t.logs = append(t.logs, l.clone())
	}
	p.taps = append(p.taps, t)
}

// tryTaps looks at what becomes of the disks.
func (p *powerCut) tryTaps(s powerCutScript) error {
	// In a plain test run few draws, and one disk in 32 is followed.
	draws, drawsInOpen, drawsFollowed, oneIn, steps := 2, 2, 4, 32, int64(24)
	switch {
	case p.thorough:
		draws, drawsInOpen, drawsFollowed, oneIn, steps = 24, 3, 24, 5, 6
	case p.sites != nil:
		draws, drawsFollowed, oneIn, steps = 3, 24, 16, 6
	}
	for i, t := range p.taps {
		follow := slices.ContainsFunc(s.at, func(part string) bool { return strings.Contains(t.op, part) })
		draws, drawsInOpen, steps := draws, drawsInOpen, steps
		if follow {
			draws = drawsFollowed
		}
		if follow && s.through {
			drawsInOpen, steps = drawsFollowed, (steps+5)/6
		}
		for draw := range draws {
			if err := p.tryDisk(cutDisk(t.disk, draw, i), t.logs); err != nil {
				return fmt.Errorf("power cut before %s (%d), draw %d: %w", t.op, i, draw, err)
			}
		}
		if !follow && i%oneIn != 0 {
			continue
		}
		for first, disk := range []*vfs.Memory{t.disk, t.disk.Crash(rand.New(rand.NewPCG(99, uint64(i))))} {
			// Open, after a kill and after a power cut, is itself cut short everywhere.
			for at := int64(1); ; at += 1 + p.rng.Int64N(steps) {
				q := p.future(disk.Kill(), t.logs, at)
				if err := q.open(); err != nil {
					return fmt.Errorf("end %d before %s (%d): %w", first, t.op, i, err)
				}
				ended := q.ended()
				q.leave()
				if !ended {
					break
				}
				for draw := range drawsInOpen {
					if err := p.tryDisk(cutDisk(q.after, draw, int(at)), t.logs); err != nil {
						return fmt.Errorf("end %d before %s (%d), then a power cut before operation %d of Open, draw %d: %w", first, t.op, i, at, draw, err)
					}
				}
			}
			// Or it succeeds, and the power is cut after it was looked at.
			q := p.future(disk.Kill(), t.logs, 0)
			err := q.openAndLook()
			q.leave()
			if err != nil {
				return fmt.Errorf("end %d before %s (%d): %w", first, t.op, i, err)
			}
			for draw := range draws {
				if err := p.tryDisk(cutDisk(q.after, draw, i), q.logs); err != nil {
					return fmt.Errorf("end %d before %s (%d), then a power cut after Open, draw %d: %w", first, t.op, i, draw, err)
				}
			}
		}
	}
	return nil
}

// cutDisk is the disk after a power cut. The first draw takes all that is not synced.
func cutDisk(disk *vfs.Memory, draw, salt int) *vfs.Memory {
	if draw == 0 {
		return disk.CrashStrict()
	}
	return disk.Crash(rand.New(rand.NewPCG(uint64(draw), uint64(salt))))
}

// future is the next life of the store, on disk; it is killed before operation at, if that is not 0.
func (p *powerCut) future(disk *vfs.Memory, logs []*cutLog, at int64) *powerCut {
	q := &powerCut{rng: rand.New(rand.NewPCG(1, 1)), sites: p.sites, skips: p.skips, noSyncFS: p.noSyncFS, builder: p.builder, topics: p.topics, mix: p.mix,
		config: p.config, cluster: p.cluster, aim: aim{kind: -1}, disk: disk, ending: endKill, cutAt: at}
	for _, l := range logs {
		q.logs = append(q.logs, l.clone())
	}
	q.config.OnFlushed, q.config.FS = q.flushed, vfs.Inject(disk, q.hook)
	return q
}

// open opens the store; an error is none when the life has ended.
func (p *powerCut) open() (err error) {
	if p.store, err = storage.Open(context.Background(), p.config); err != nil && !p.ended() {
		return fmt.Errorf("open: %w", err)
	}
	return nil
}

func (p *powerCut) openAndLook() error {
	if err := p.open(); err != nil {
		return err
	}
	p.look()
	return p.told()
}

// told is the error with what was done.
func (p *powerCut) told() error {
	if p.err == nil {
		return nil
	}
	return fmt.Errorf("%w\n  %s", p.err, strings.Join(p.steps, "\n  "))
}

// leave ends the life, if it has not ended yet, as kill -9 does.
func (p *powerCut) leave() {
	p.end()
	if p.store != nil {
		p.store.Close(context.Background()) // nothing of it reaches the disk
	}
}

// tryDisk opens a store on disk and looks at it, closes it, and opens and looks again: what is derived from the log must survive being
// derived again.
func (p *powerCut) tryDisk(disk *vfs.Memory, logs []*cutLog) error {
	q := p.future(disk, logs, 0)
	defer q.leave()
	if err := q.openAndLook(); err != nil {
		return err
	}
	if err := q.store.Close(context.Background()); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	q.clean = yes
	q.step("a clean stop")
	q.epoch = -1
	if err := q.openAndLook(); err != nil {
		return err
	}
	for _, l := range q.logs {
		if l.state == cutLive && !p.mix.compact {
			q.truncateTo(l, len(l.batches)-1)
			for _, producer := range l.producers {
				if q.err == nil && producer.known > 0 {
					q.again(l, producer, 0)
				}
			}
		}
	}
	return q.told()
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
