package storage_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/storage"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// The power-cut suite. A seed draws a store, a workload and several lives of it; each life ends by a power cut or kill -9 before
// some operation on the disk, or by a clean close and then a power cut. The next life opens what is left and looks at it:
//
//   - what was reported as durable is there, byte for byte, and nothing that was never appended;
//   - the log ends right behind what is there, and the next record gets that offset;
//   - a batch that an idempotent producer sends again is recognised if it is there, and taken if it is not;
//   - of a compacted log, nothing that was never appended, the last record of each key, and no value that a tombstone had ended;
//   - log start, leader epochs, the existence of partitions and the cluster id never go back behind what was answered or could be
//     seen;
//   - only a store that was closed cleanly is taken for clean;
//   - a second power cut right after recovery takes nothing of what recovery showed.
//
// A life runs in a synctest bubble on one processor, so that a seed repeats its workload, its clock and, nearly always, the order
// of its operations.

// POWERCUT_START and POWERCUT_SEEDS choose the seeds; without them a plain test run takes 50.
func powerCutRange(t *testing.T) (start, count uint64) {
	return envNumber(t, "POWERCUT_START", 1), envNumber(t, "POWERCUT_SEEDS", 50)
}

func envNumber(t *testing.T, name string, def uint64) uint64 {
	s := os.Getenv(name)
	if s == "" {
		return def
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatalf("%s=%q is no number", name, s)
	}
	return n
}

func TestPowerCut(t *testing.T) {
	start, count := powerCutRange(t)
	var sum powerCutStats
	began := time.Now()
	for seed := start; seed < start+count; seed++ {
		run := runPowerCut(t, seed, nil)
		sum.add(&run.stats)
		if run.err != nil {
			t.Fatalf("seed %d: %v\n\n%s\nrepeat with:\n  POWERCUT_START=%d POWERCUT_SEEDS=1 go test ./internal/storage -run 'TestPowerCut$' -v", seed, run.err, run.story(), seed)
		}
		if os.Getenv("POWERCUT_SEEDS") != "" && (seed-start+1)%500 == 0 {
			t.Logf("%d seeds, up to %d, in %v", seed-start+1, seed, time.Since(began).Round(time.Second))
		}
	}
	t.Logf("power cuts: %d seeds from %d, %v, no loss, %v", count, start, &sum, time.Since(began).Round(time.Millisecond))
	if count >= 50 && (sum.cuts == 0 || sum.kills == 0 || sum.closes == 0 || sum.lost == 0 || sum.duplicates == 0 || sum.duringOpen == 0) {
		t.Errorf("the run did not meet everything it is there for: %+v", sum)
	}
}

// powerCutStats is what a run met, for its summary and to see that it met anything.
type powerCutStats struct {
	lives, cuts, kills, closes, duringOpen int
	ops                                    int64
	appended, acked, lost, duplicates      int // batches; lost: appended, not durable, and gone
}

func (s *powerCutStats) add(o *powerCutStats) {
	s.lives += o.lives
	s.cuts += o.cuts
	s.kills += o.kills
	s.closes += o.closes
	s.duringOpen += o.duringOpen
	s.ops += o.ops
	s.appended += o.appended
	s.acked += o.acked
	s.lost += o.lost
	s.duplicates += o.duplicates
}

func (s *powerCutStats) String() string {
	return fmt.Sprintf("%d lives, %d power cuts (%d during recovery), %d kills, %d clean closes, %d disk operations, %d batches appended, %d unsynced ones lost, %d duplicates recognised",
		s.lives, s.cuts, s.duringOpen, s.kills, s.closes, s.ops, s.appended, s.lost, s.duplicates)
}

// ending is how a life ends.
type ending int

const (
	endCut   ending = iota // power cut, any of what Memory.Crash draws
	endLoss                // power cut, all unsynced is lost
	endKill                // kill -9: the kernel lives on
	endClose               // clean close; the power cut comes after it
	endings
)

func (e ending) String() string {
	return [...]string{"power cut", "power cut that takes everything unsynced", "kill -9", "clean close"}[e]
}

// powerCut is one seed's run: the disk, the store of the present life, and what is known about its logs.
type powerCut struct {
	rng   *rand.Rand
	sites *vfs.SyncSites
	// In mutation runs: of so many skipped syncs one is followed by a power cut soon, 0 = none, by the draws of skips.
	skipOdds int
	skips    *rand.Rand
	noSyncFS bool // the file system does not know the call
	stats    powerCutStats
	err      error
	steps    []string // what was done, for a failure's story
	builder  *batch.Builder

	disk    *vfs.Memory
	store   *storage.Store
	config  storage.Config
	topics  map[string]storage.LogConfig
	mix     mix
	aim     aim
	byHand  bool // sealing is a step of the workload, not done at once in the background
	cluster string
	epoch   int64    // of the broker, in the marker of the last clean stop
	nextID  int64    // of topics and producers
	clean   tristate // whether the next start must take the directories for clean

	mu     sync.Mutex // guards what follows: hook and OnFlushed run in the store's goroutines
	opLog  []string
	ops    int64
	cutAt  int64 // the life ends before this operation, counted from when the store is opened or open; 0 = not by itself
	ending ending
	luck   uint64      // what the power cut draws from
	after  *vfs.Memory // the disk after the end, once it came
	logs   []*cutLog

	tapping  bool // scripts: take the disk before each operation
	taps     []tap
	thorough bool // try many draws of each
}

// aim ends a life soon after a step of some kind has begun, or some kind of file was changed, so that the short moments in which it is half durable are met often.
type aim struct {
	kind int    // index of the step, -1 = no aim at one
	name string // part of a file's name: an aim at an operation, "" = none
	nth  int    // so many more of them
	ops  int64  // the end comes before this operation from there
}

// aimNames are parts of the names of files that come and go.
var aimNames = []string{".cleaned", ".log.swap", ".log.deleted", ".snapshot", "-delete", ".log"}

// stepKinds is how many kinds of steps work knows.
const stepKinds = 10

// mix is how often each kind of step comes, in shares.
type mix struct {
	create, append, flush, retry, deleteRecords, newEpoch, deleteLog, truncate, seal, pass int
	partitions                                                                             int // of a topic
	compact                                                                                bool
}

// Each seed works by one of these. The first does a bit of everything; the others dwell on what it would seldom reach.
var mixes = []mix{
	{create: 6, append: 44, flush: 22, retry: 6, deleteRecords: 5, newEpoch: 4, deleteLog: 2, truncate: 3, seal: 10, pass: 8, partitions: 3},
	{create: 1, append: 60, flush: 2, retry: 2, deleteRecords: 1, truncate: 1, seal: 8, pass: 1, partitions: 1},                  // few flushes
	{create: 1, append: 50, flush: 20, retry: 10, newEpoch: 3, truncate: 15, seal: 8, pass: 3, partitions: 1},                    // a restless follower
	{create: 2, append: 50, flush: 20, retry: 3, deleteRecords: 8, seal: 5, pass: 20, partitions: 1},                             // retention
	{create: 20, append: 30, flush: 15, retry: 2, deleteRecords: 5, newEpoch: 2, deleteLog: 15, seal: 5, pass: 5, partitions: 2}, // topics come and go
	{create: 2, append: 60, flush: 25, retry: 5, newEpoch: 1, deleteLog: 1, seal: 5, pass: 12, partitions: 1, compact: true},
}

type tristate int

const (
	maybe tristate = iota
	no
	yes
)

// cutLog is what is known of one partition.
type cutLog struct {
	tp        kafka.TopicPartition
	id        kafka.TopicID
	log       *storage.Log // of the present life
	state     cutState
	batches   []*cutBatch // in order of offsets, the last perhaps still being appended
	durable   int64       // reported, or seen, as durable up to here
	start     int64       // the highest start that was answered or seen
	startMax  int64       // the highest that may have been reached
	epoch     int32       // the highest that was answered
	epochFrom int64       // where it began; noOffset when a truncation may have taken it
	epochMax  int32       // the highest that may have been reached
	producers []*cutProducer

	// While a truncation has not returned: what there was before, and where it cuts.
	uncut []*cutBatch
	cutTo int64
}

const noOffset = math.MaxInt64

type cutState int

const (
	cutMaking  cutState = iota // Create has not returned
	cutLive                    // it has
	cutDooming                 // Delete has not returned
	cutGone                    // it has
)

type cutBatch struct {
	base, last int64
	raw        batch.Batch // as it must be in the log
	producer   *cutProducer
}

type cutProducer struct {
	id   int64
	next int32 // sequence
	// known is how many of its last batches the log must recognise: up to five that it saw coming, but a producer snapshot tells it of
	// the last one only.
	known int
}

func endOf(batches []*cutBatch) int64 {
	if n := len(batches); n > 0 {
		return batches[n-1].last + 1
	}
	return 0
}

func (l *cutLog) end() int64 { return endOf(l.batches) }

// runPowerCut runs one seed. sites, when given, sees the syncs and may disable some.
func runPowerCut(t *testing.T, seed uint64, sites *vfs.SyncSites) *powerCut {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	p := &powerCut{rng: rand.New(rand.NewPCG(seed, 0x706f776572)), sites: sites, skips: rand.New(rand.NewPCG(seed, 1)), builder: batch.NewBuilder(batch.NewCodecs(batch.Limits{}))}
	p.skipOdds, p.noSyncFS = []int{0, 2, 5, 20}[p.skips.IntN(4)], p.skips.IntN(4) == 0
	synctest.Test(t, func(*testing.T) { p.run() })
	return p
}

// story is what a failure needs to be understood.
func (p *powerCut) story() string {
	ops := p.opLog
	if len(ops) > 150 {
		ops = append([]string{"..."}, ops[len(ops)-150:]...)
	}
	return "what was done:\n  " + strings.Join(p.steps, "\n  ") + "\nlast changes of the disk:\n  " + strings.Join(ops, "\n  ") + "\n"
}

func (p *powerCut) step(format string, args ...any) {
	p.steps = append(p.steps, fmt.Sprintf(format, args...))
}

func (p *powerCut) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

// chance is true once in n times.
func (p *powerCut) chance(n int) bool { return p.rng.IntN(n) == 0 }

func pick[T any](p *powerCut, from ...T) T { return from[p.rng.IntN(len(from))] }

func (p *powerCut) run() {
	p.disk = vfs.NewMemory()
	p.mix = mixes[p.rng.IntN(len(mixes))]
	p.config = storage.Config{
		Dirs:                   []string{"/disk/data"},
		NodeID:                 1,
		TopicConfig:            func(topic string) storage.LogConfig { return p.topics[topic] },
		SyncFSThreshold:        pick(p, -1, 1, 2, 12),
		SyncParallel:           1,
		RecoveryThreads:        1,
		RetentionCheckInterval: 20 * time.Second,
		CheckpointInterval:     time.Duration(5+p.rng.IntN(20)) * time.Second,
		HighWatermarkInterval:  5 * time.Second,
		FlushMode:              pick(p, storage.FlushCommit, storage.FlushCommit, storage.FlushCommit, storage.FlushInterval, storage.FlushNever),
		CleanerDisable:         !p.mix.compact,
		Running:                storage.Running{CleanerThreads: 1, CleanerDedupeBytes: 64 << 10, CleanerBackoff: 7 * time.Second, ProducerExpiration: 24 * time.Hour},
		OpenFilesMax:           pick(p, 1, 3, 100),
		OnFlushed:              p.flushed,
	}
	if p.byHand = p.chance(2); p.byHand {
		p.config.SealByHand()
	}
	if p.chance(3) {
		p.config.Dirs = append(p.config.Dirs, "/disk/more")
	}
	p.topics = map[string]storage.LogConfig{}
	for _, topic := range []string{"a", "b", "c"} {
		cfg := storage.DefaultLogConfig()
		cfg.SegmentBytes = pick[int64](p, 700, 2000, 9000)
		cfg.IndexIntervalBytes = pick[int64](p, 0, 200)
		cfg.SegmentMs = 60_000
		cfg.RetentionMs = pick[int64](p, -1, 40_000)
		cfg.RetentionBytes = pick[int64](p, -1, 3000)
		cfg.FileDeleteDelayMs = pick[int64](p, 0, 3000)
		cfg.Preallocate = p.chance(3)
		if p.mix.compact {
			cfg.CleanupPolicy = storage.Compact
			cfg.MinCleanableDirtyRatio = 0.01
			cfg.DeleteRetentionMs = pick[int64](p, 0, 20_000)
		}
		p.topics[topic] = cfg
	}
	for range 2 + p.rng.IntN(4) {
		p.live(ending(p.rng.IntN(int(endings))))
		if p.err != nil {
			return
		}
	}
	p.live(endClose) // to look at what the last life left
}

// live is one life of the store: open, look, work, end.
func (p *powerCut) live(end ending) {
	p.stats.lives++
	p.ops, p.after = 0, nil
	if n := len(p.opLog); n > 200 {
		p.opLog = slices.Clone(p.opLog[n-200:])
	}
	p.opLog = append(p.opLog, fmt.Sprintf("LIFE %d", p.stats.lives))
	p.ending, p.cutAt, p.luck = end, 0, p.rng.Uint64()
	cutAt, duringOpen := int64(0), p.chance(3)
	if end != endClose {
		cutAt = 1 + p.rng.Int64N(pick[int64](p, 20, 60, 200, 600))
	}
	when := "after it opened"
	p.aim = aim{kind: -1}
	switch {
	case end == endClose:
	case p.chance(3):
		p.aim.name, p.aim.nth, p.aim.ops = pick(p, aimNames...), 1+p.rng.IntN(8), 1+p.rng.Int64N(pick[int64](p, 8, 25))
		when, cutAt = fmt.Sprintf("from the %d. change of a file *%s* on", p.aim.nth, p.aim.name), p.aim.ops
	case duringOpen:
		when, p.cutAt = "of it", cutAt
	case p.chance(2):
		p.aim.kind, p.aim.nth, p.aim.ops = p.rng.IntN(stepKinds), 1+p.rng.IntN(3), 1+p.rng.Int64N(pick[int64](p, 25, 70))
		when, cutAt = fmt.Sprintf("from step %d of kind %d on", p.aim.nth, p.aim.kind), p.aim.ops
	}
	p.step("LIFE %d, to end by %v before operation %d %s", p.stats.lives, end, cutAt, when)
	p.config.FS = vfs.Inject(p.disk, p.hook)
	var err error
	p.store, err = storage.Open(context.Background(), p.config)
	switch {
	case err != nil && p.ended():
		p.stats.duringOpen++
		p.clean = maybe
	case err != nil:
		p.fail("open: %w", err)
	default:
		p.use(cutAt)
	}
	p.end()
	p.disk = p.after
	switch p.ending {
	case endKill:
		p.stats.kills++
	case endClose:
		p.stats.closes++
	default:
		p.stats.cuts++
	}
}

// use looks at a store just opened, works on it until operation cutAt, and closes it.
func (p *powerCut) use(cutAt int64) {
	p.look()
	p.mu.Lock()
	if p.cutAt == 0 && p.aim.kind < 0 && p.aim.name == "" {
		p.ops, p.cutAt = 0, cutAt
	}
	p.mu.Unlock()
	p.clean = no
	if p.err == nil && !p.ended() {
		if p.chance(6) {
			p.step("%v right after recovery", endLoss)
			p.ending = endLoss
			p.end()
		} else {
			p.work()
		}
	}
	synctest.Wait()
	p.epoch = p.rng.Int64N(1000)
	p.store.SetBrokerEpoch(p.epoch)
	dead := p.ended()
	switch err := p.store.Close(context.Background()); {
	case err == nil && dead:
		p.fail("Close succeeded although the disk had died")
	case err != nil && !p.ended():
		p.fail("close: %w", err)
	case err != nil && !dead:
		p.clean = maybe // the disk may have died just behind the marker
	case err == nil:
		p.clean = yes
		for _, l := range p.logs {
			if l.state == cutLive { // a clean close has flushed
				l.durable = l.end()
			}
		}
	}
}

// hook ends the life before operation cutAt: the disk is drawn as it is left, and from then on nothing works.
func (p *powerCut) hook(op vfs.Op) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.after != nil {
		return syscall.EIO
	}
	if p.noSyncFS && op.Kind == vfs.OpSyncFS {
		return errors.ErrUnsupported
	}
	p.ops++
	p.stats.ops++
	if op.Kind.Changes() {
		p.opLog = append(p.opLog, fmt.Sprintf("%d %v", p.ops, op))
	}
	if p.aim.name != "" && p.cutAt == 0 && op.Kind.Changes() && strings.Contains(op.Name+op.NewName, p.aim.name) {
		if p.aim.nth--; p.aim.nth == 0 {
			p.cutAt = p.ops + p.aim.ops
		}
	}
	if p.tapping && op.Kind.Changes() {
		p.tapNow(op.String())
	}
	if p.ops == p.cutAt {
		p.draw()
		return syscall.EIO
	}
	if p.sites == nil {
		return nil
	}
	verdict := p.sites.Hook(op)
	if verdict != nil && p.skipOdds > 0 && p.skips.IntN(p.skipOdds) == 0 {
		// A sync was only pretended: cut the power while that may still matter.
		if at := p.ops + 1 + p.skips.Int64N(1+p.skips.Int64N(20)); p.cutAt == 0 || at < p.cutAt {
			p.cutAt, p.ending = at, endCut
		}
	}
	return verdict
}

// end ends a life that has not ended yet.
func (p *powerCut) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.after == nil {
		p.draw()
	}
}

// draw makes the disk as the ending leaves it, and notes what could be seen until now. mu is held.
func (p *powerCut) draw() {
	switch p.ending {
	case endLoss:
		p.after = p.disk.CrashStrict()
	case endKill:
		p.after = p.disk.Kill()
	default:
		p.after = p.disk.Crash(rand.New(rand.NewPCG(p.luck, 0)))
	}
	for _, l := range p.logs {
		if l.state == cutLive && l.log != nil {
			l.seen()
		}
	}
}

// seen notes what anybody could have seen by now: none of it may be taken back.
func (l *cutLog) seen() {
	l.durable, l.start = max(l.durable, l.log.FlushedOffset()), max(l.start, l.log.StartOffset())
}

func (p *powerCut) ended() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.after != nil
}

// flushed is Config.OnFlushed. What is reported after the life has ended was reported to nobody.
func (p *powerCut) flushed(log *storage.Log, end int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l, _ := log.UserData().(*cutLog); l != nil && p.after == nil {
		l.durable = max(l.durable, end)
		log.SetHighWatermark(l.durable)
	}
}

// done tells whether a call on the store succeeded before the life ended. An error without such an excuse is a failure.
func (p *powerCut) done(what string, err error) bool {
	if p.ended() {
		return false
	}
	if err != nil {
		p.fail("%s: %w", what, err)
	}
	return err == nil
}
