package storage_test

import (
	"bytes"
	"context"
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

// The mutation run: with any one sync turned into a silent no-op, some seed must fail. MUTATION_SEEDS bounds the search,
// MUTATION_SITE limits it to sites whose name contains the text.
func TestPowerCutMutations(t *testing.T) {
	if os.Getenv("MUTATION") == "" {
		t.Skip("set MUTATION=1")
	}
	start, _ := powerCutRange(t)
	bound := envNumber(t, "MUTATION_SEEDS", 1500)
	// First without a mutation: which places sync, and which seeds come by them.
	total := &vfs.SyncSites{Helper: syncsForOthers}
	meets := map[vfs.SyncSite][]uint64{}
	inScript := map[vfs.SyncSite][]powerCutScript{}
	for _, script := range powerCutScripts {
		sites := &vfs.SyncSites{Helper: syncsForOthers}
		if err := runPowerCutScript(t, script, false, sites); err != nil {
			t.Fatalf("%s fails without any mutation: %v", script.name, err)
		}
		for _, site := range sites.Sites() {
			total.Add(site, sites.Calls(site))
			inScript[site] = append(inScript[site], script)
		}
	}
	for seed := start; seed < start+bound; seed++ {
		sites := &vfs.SyncSites{Helper: syncsForOthers}
		run := runPowerCut(t, seed, sites)
		if run.err != nil {
			t.Fatalf("seed %d fails without any mutation: %v", seed, run.err)
		}
		for _, site := range sites.Sites() {
			total.Add(site, sites.Calls(site))
			meets[site] = append(meets[site], seed)
		}
	}
	survivors := 0
	t.Logf("%-60s %8s %8s %8s  %s", "without this sync", "calls", "seeds", "seed", "fails with")
	ordinals, seen := map[vfs.SyncSite]string{}, map[string]int{}
	for _, site := range total.Sites() {
		name := site.Place[:strings.LastIndexByte(site.Place, ':')] + " " + string(site.Kind)
		seen[name]++
		ordinals[site] = fmt.Sprintf("%s %d", name, seen[name])
	}
	for _, site := range total.Sites() {
		if !strings.Contains(site.String(), os.Getenv("MUTATION_SITE")) {
			continue
		}
		seed, err := killMutant(t, site, meets[site], inScript[site])
		row := fmt.Sprintf("%-60s %8d %8d", site, total.Calls(site), len(meets[site]))
		why, excused := needlessSyncs[ordinals[site]]
		switch {
		case err != nil:
			t.Logf("%s %8s  %.300v", row, seed, err)
		case excused:
			t.Logf("%s %8s  survives: %s", row, "-", why)
		default:
			survivors++
			t.Errorf("%s %8s  survives: the sync is needless or the suite has a hole", row, "-")
		}
	}
	t.Logf("mutations: %d sync sites, %d seeds, %d not caught", len(total.Sites()), bound, survivors)
}

// killMutant is the first of the seeds that fails with the site disabled, or the script that does.
func killMutant(t *testing.T, site vfs.SyncSite, seeds []uint64, scripts []powerCutScript) (string, error) {
	bySeeds := func(seeds []uint64) (string, error) {
		for _, seed := range seeds {
			sites := &vfs.SyncSites{Helper: syncsForOthers}
			sites.Disable(site)
			if run := runPowerCut(t, seed, sites); run.err != nil {
				return strconv.FormatUint(seed, 10), run.err
			}
		}
		return "", nil
	}
	few := min(len(seeds), 100)
	if seed, err := bySeeds(seeds[:few]); err != nil {
		return seed, err
	}
	for _, script := range scripts {
		sites := &vfs.SyncSites{Helper: syncsForOthers}
		sites.Disable(site)
		if err := runPowerCutScript(t, script, true, sites); err != nil {
			return "script", err
		}
	}
	return bySeeds(seeds[few:])
}

// syncsForOthers names the functions whose callers are the places that must sync.
func syncsForOthers(function string) bool {
	return slices.Contains([]string{"storage.writeAtomic", "storage.replaceFile", "storage.syncFile", "storage.(*Log).writeFile", "storage.(*segment).writeIndexes.func1"}, function)
}

// needlessSyncs are those that may be missing without loss, each with the reason for having it: function, kind, and which of the
// function's syncs of that kind it is.
var needlessSyncs = map[string]string{
	"storage.(*logDir).adopt syncdir 1":      "adopt syncs the folder once more at its end",
	"storage.(*logDir).adopt syncdir 2":      "adopt syncs the folder once more at its end",
	"storage.(*logDir).closeLogs syncfs 1":   "the flush before has synced what it covers; it asks whether the file system knows the call",
	"storage.(*segment).writeIndexes sync 1": "an index that does not fit its segment is found out when it is loaded, and made anew",
	"storage.(*segment).writeIndexes sync 2": "an index that does not fit its segment is found out when it is loaded, and made anew",
	"storage.(*cleaned).finish sync 2":       "an index that does not fit its segment is found out when it is loaded, and made anew",
	"storage.(*cleaned).finish syncdir 1":    "the swap syncs the folder after its renames; a .cleaned name alone counts for nothing",
	"storage.(*Log).swap syncdir 3":          "a .swap that a power cut brings back is finished again",
	"storage.(*Log).finishSwap syncdir 2":    "a .swap that a power cut brings back is finished again",
	"storage.(*Log).cutFrom syncdir 1":       "the end of recovery syncs the folder; until then what comes back lies behind a gap and is cut again",
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
	p.skipOdds = []int{0, 2, 5, 20}[p.skips.IntN(4)]
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
		CleanerBackoff:         7 * time.Second,
		CleanerDedupeBytes:     64 << 10,
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
	p.store, err = storage.Open(p.config)
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
		p.tapNow(op)
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
			l.durable = max(l.durable, l.log.FlushedOffset())
		}
	}
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

// work draws steps until the life ends or enough was done.
func (p *powerCut) work() {
	for range 30 + p.rng.IntN(60) {
		if p.err != nil || p.ended() {
			return
		}
		var live []*cutLog
		for _, l := range p.logs {
			if l.state == cutLive {
				live = append(live, l)
			}
		}
		if len(live) == 0 {
			p.create()
			continue
		}
		l := pick(p, live...)
		p.draws([]share{
			{p.mix.create, p.create},
			{p.mix.append, func() { p.append(l) }},
			{p.mix.flush, func() { p.flush(live) }},
			{p.mix.retry, func() { p.retry(l) }},
			{p.mix.deleteRecords, func() { p.deleteRecords(l) }},
			{p.mix.newEpoch, func() { p.newEpoch(l) }},
			{p.mix.deleteLog, func() { p.deleteLog(l) }},
			{p.mix.truncate, func() { p.truncate(l) }},
			{p.mix.seal, func() { p.seal(l) }},
			{p.mix.pass, p.pass},
		})
		if !p.chance(4) {
			p.settle() // else the next step meets the background work of this one
		}
	}
}

type share struct {
	of int
	do func()
}

// draws does one of several things.
func (p *powerCut) draws(shares []share) {
	all := 0
	for _, s := range shares {
		all += s.of
	}
	n := p.rng.IntN(all)
	for i, s := range shares {
		if n -= s.of; n >= 0 {
			continue
		}
		if i == p.aim.kind {
			if p.aim.nth--; p.aim.nth == 0 {
				p.mu.Lock()
				p.cutAt = p.ops + p.aim.ops
				p.mu.Unlock()
			}
		}
		s.do()
		return
	}
}

// seal does what the sealer has not come to so far.
func (p *powerCut) seal(l *cutLog) {
	if !p.byHand {
		p.append(l)
		return
	}
	p.step("seal %v", l.tp)
	p.done("seal", l.log.Seal())
}

func (p *powerCut) pass() {
	d := time.Duration(1+p.rng.IntN(30)) * time.Second
	p.step("%v pass", d)
	time.Sleep(d)
}

// settle waits until nothing runs. Log starts seen then must last; while one is being raised it can be seen before it is durable.
func (p *powerCut) settle() {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.after != nil {
		return
	}
	for _, l := range p.logs {
		if l.state == cutLive {
			l.start = max(l.start, l.log.StartOffset())
		}
	}
}

func (p *powerCut) create() {
	tp := kafka.TopicPartition{Topic: pick(p, "a", "b", "c"), Partition: int32(p.rng.IntN(p.mix.partitions))}
	for _, l := range p.logs {
		if l.tp == tp && l.state != cutGone {
			return
		}
	}
	p.nextID++
	l := &cutLog{tp: tp, id: kafka.TopicID{byte(p.nextID >> 8), byte(p.nextID)}, epoch: -1, epochMax: -1, epochFrom: noOffset}
	p.mu.Lock()
	p.logs = append(p.logs, l)
	p.mu.Unlock()
	p.step("create %v", tp)
	log, err := p.store.Create(tp, l.id, p.topics[tp.Topic])
	if p.done("create", err) {
		log.SetUserData(l)
		l.log, l.state = log, cutLive
	}
}

func (p *powerCut) deleteLog(l *cutLog) {
	p.step("delete %v", l.tp)
	p.mu.Lock()
	l.state = cutDooming
	p.mu.Unlock()
	if p.done("delete", p.store.Delete(l.tp)) {
		l.state = cutGone
	}
}

func (p *powerCut) append(l *cutLog) {
	o := batch.Options{}
	var producer *cutProducer
	if p.chance(2) {
		if n := len(l.producers); n == 0 || n < 3 && p.chance(4) {
			p.nextID++
			l.producers = append(l.producers, &cutProducer{id: p.nextID})
		}
		producer = pick(p, l.producers...)
		o.Producer = &batch.Producer{ID: producer.id, BaseSequence: producer.next}
	}
	p.builder.Reset(o)
	records := 1 + p.rng.IntN(4)
	for range records {
		key := []byte{byte('k'), byte('a' + p.rng.IntN(8))}
		value := make([]byte, pick(p, 0, 10, 100))
		for i := range value {
			value[i] = byte('a' + p.rng.IntN(26))
		}
		if p.chance(8) {
			value = nil
		}
		if err := p.builder.Append(time.Now().UnixMilli(), key, value, nil); err != nil {
			p.fail("build a batch: %w", err)
			return
		}
	}
	raw, err := p.builder.Build()
	if err != nil {
		p.fail("build a batch: %w", err)
		return
	}
	epoch := max(l.epoch, 0)
	b := &cutBatch{base: l.end(), last: l.end() + int64(records) - 1, raw: slices.Clone(raw), producer: producer}
	b.raw.SetBaseOffset(b.base)
	b.raw.SetLeaderEpoch(epoch)
	l.batches = append(l.batches, b)
	l.epochMax = max(l.epochMax, epoch)
	if producer != nil {
		producer.next += int32(records)
		producer.known = min(producer.known+1, 5)
	}
	p.stats.appended++
	p.step("append %d..%d to %v, %d bytes", b.base, b.last, l.tp, len(b.raw))
	r, err := l.log.Append(slices.Clone(raw), storage.AppendOptions{LeaderEpoch: epoch, NowMs: time.Now().UnixMilli()})
	if !p.done("append", err) {
		return // it may be there or not
	}
	if r.BaseOffset != b.base || r.LastOffset != b.last || r.Duplicate {
		p.fail("append to %v: got %+v, want offsets %d to %d", l.tp, r, b.base, b.last)
	}
	if l.epoch < epoch || l.epochFrom == noOffset {
		l.epoch, l.epochFrom = epoch, b.base
	}
}

func (p *powerCut) flush(live []*cutLog) {
	n := 1
	if p.chance(3) {
		n = len(live)
	}
	p.step("flush %d logs", n)
	for _, i := range p.rng.Perm(len(live))[:n] {
		live[i].log.WantFlush()
	}
	if !p.chance(5) {
		p.settle()
	}
}

// retry sends again one of the last batches of some producer, as if its answer had been lost.
func (p *powerCut) retry(l *cutLog) {
	if len(l.producers) == 0 {
		return
	}
	if producer := pick(p, l.producers...); producer.known > 0 {
		p.again(l, producer, p.rng.IntN(producer.known))
	}
}

// again sends the n-th last batch of a producer again, if the log has it.
func (p *powerCut) again(l *cutLog, producer *cutProducer, n int) {
	for _, b := range slices.Backward(l.batches) {
		if b.producer != producer {
			continue
		}
		if n > 0 && b.last < l.log.StartOffset() {
			return // only the last batch of each producer outlives its records
		}
		if n--; n >= 0 {
			continue
		}
		p.step("send %d..%d of %v again", b.base, b.last, l.tp)
		r, err := l.log.Append(slices.Clone(b.raw), storage.AppendOptions{LeaderEpoch: max(l.epoch, 0), NowMs: time.Now().UnixMilli()})
		if !p.done("append of a batch sent again", err) {
			return
		}
		if !r.Duplicate || r.BaseOffset != b.base || r.LastOffset != b.last {
			p.fail("a batch of %v, sent again, got %+v, want a duplicate of %d to %d", l.tp, r, b.base, b.last)
		}
		p.stats.duplicates++
		return
	}
}

func (p *powerCut) deleteRecords(l *cutLog) {
	p.mu.Lock()
	from, to := l.log.StartOffset(), l.durable
	p.mu.Unlock()
	if to <= from {
		return
	}
	at := from + 1 + p.rng.Int64N(to-from)
	p.step("delete records of %v below %d", l.tp, at)
	l.startMax = max(l.startMax, at)
	if p.done("delete records", l.log.AdvanceStart(at)) {
		l.start = max(l.start, at)
	}
}

func (p *powerCut) newEpoch(l *cutLog) {
	l.epochMax++
	p.step("epoch %d of %v begins at %d", l.epochMax, l.tp, l.end())
	if p.done("assign epoch", l.log.AssignEpoch(l.epochMax, l.end())) {
		l.epoch, l.epochFrom = l.epochMax, l.end()
	}
}

// truncate cuts some batches off, as a follower does whose leader never had them.
func (p *powerCut) truncate(l *cutLog) {
	n := len(l.batches) - p.rng.IntN(4)
	if n < 0 || endOf(l.batches[:n]) < l.log.StartOffset() {
		return
	}
	p.cutOff(l, n)
}

// cutOff truncates the log to its first n batches.
func (p *powerCut) cutOff(l *cutLog, n int) {
	p.mu.Lock()
	l.uncut, l.cutTo = l.batches, endOf(l.batches[:n])
	l.batches = slices.Clone(l.batches[:n])
	p.mu.Unlock()
	if l.epochFrom >= l.cutTo || l.log.StartOffset() >= l.cutTo {
		l.epochFrom = noOffset
	}
	p.step("truncate %v to %d", l.tp, l.cutTo)
	if p.done("truncate", l.log.TruncateTo(l.cutTo)) {
		p.mu.Lock()
		l.uncut, l.durable = nil, min(l.durable, l.cutTo)
		p.mu.Unlock()
		p.rewind(l)
	}
}

// rewind gives the producers the sequence that follows their last batch in the log.
func (p *powerCut) rewind(l *cutLog) {
	for _, producer := range l.producers {
		producer.next, producer.known = 0, 0
	}
	for _, b := range l.batches {
		if b.producer != nil {
			b.producer.next, b.producer.known = b.raw.LastSequence()+1, 1
		}
	}
}

// look compares what the store shows after Open with what is known.
func (p *powerCut) look() {
	if p.cluster == "" {
		p.cluster = p.store.ClusterID()
	} else if got := p.store.ClusterID(); got != p.cluster {
		p.fail("the cluster id was %s and is %s", p.cluster, got)
	}
	for _, d := range p.store.Dirs() {
		if d.Clean && p.clean == no || !d.Clean && p.clean == yes {
			p.fail("%s: a clean stop was found: %v", d.Path, d.Clean)
		}
		if p.clean == yes && d.BrokerEpoch != p.epoch {
			p.fail("%s: the broker epoch of the clean stop was %d and is %d", d.Path, p.epoch, d.BrokerEpoch)
		}
	}
	found := map[kafka.TopicID]*storage.Log{}
	for _, log := range p.store.Logs() {
		found[log.TopicID()] = log
	}
	for _, l := range p.logs {
		log := found[l.id]
		delete(found, l.id)
		switch {
		case log == nil && l.state == cutLive:
			p.fail("partition %v is gone", l.tp)
		case log != nil && l.state == cutGone:
			p.fail("partition %v was deleted and is back", l.tp)
		case log != nil && log.TopicPartition() != l.tp:
			p.fail("partition %v is now called %v", l.tp, log.TopicPartition())
		}
		if p.err != nil {
			return
		}
		again := l.state == cutDooming
		p.mu.Lock()
		l.log, l.state = log, cutGone
		if log != nil {
			l.state = cutLive
		}
		p.mu.Unlock()
		if again && log != nil { // half deleted, it may be anything: whoever wanted it gone says so again
			p.deleteLog(l)
			continue
		}
		if log != nil {
			if err := p.lookAt(l); err != nil && !p.ended() {
				p.fail("%v: %w", l.tp, err)
				return
			}
		}
	}
	for id, log := range found { // any order: one is enough
		p.fail("partition %v with topic id %v was never made", log.TopicPartition(), id)
	}
}

// lookAt compares one log with what is known of it, and takes over what the power cut decided.
func (p *powerCut) lookAt(l *cutLog) error {
	log := l.log
	start, end, flushed, epoch := log.StartOffset(), log.EndOffset(), log.FlushedOffset(), log.LatestEpoch()
	p.step("found %v: %d..%d, durable %d, was %d..%d, durable %d", l.tp, start, end, flushed, l.start, l.end(), l.durable)
	if l.uncut != nil {
		l.durable = min(l.durable, l.cutTo)
	}
	switch {
	case start < l.start:
		return fmt.Errorf("log start went back from %d to %d", l.start, start)
	case start > max(l.startMax, l.start, l.durable):
		return fmt.Errorf("log start is %d, nobody asked for more than %d", start, max(l.startMax, l.start, l.durable))
	case end < l.durable:
		return fmt.Errorf("lost: durable up to %d, the log ends at %d", l.durable, end)
	case flushed != end:
		return fmt.Errorf("recovery shows the log up to %d and calls it durable up to %d", end, flushed)
	case epoch < l.epoch && l.epochFrom <= end:
		return fmt.Errorf("leader epoch went back from %d (from offset %d on) to %d", l.epoch, l.epochFrom, epoch)
	case epoch > l.epochMax:
		return fmt.Errorf("leader epoch is %d, the highest ever was %d", epoch, l.epochMax)
	}
	raw, err := readAll(log, start, end)
	if err != nil {
		return err
	}
	same := sameBatches
	if p.mix.compact {
		same = sameRecords
	}
	n, err := same(l.batches, raw, start, end)
	if err != nil && l.uncut != nil {
		l.batches = l.uncut
		n, err = same(l.batches, raw, start, end)
	}
	if err != nil {
		return err
	}
	p.stats.lost += len(l.batches) - n
	l.batches, l.uncut = l.batches[:n:n], nil
	p.mu.Lock()
	l.start, l.durable = start, end
	p.mu.Unlock()
	log.SetHighWatermark(end)
	log.SetUserData(l)
	l.epoch, l.epochFrom = max(l.epoch, epoch), noOffset
	if e := log.Epochs(); len(e) > 0 && epoch == l.epoch {
		l.epochFrom = e[len(e)-1].Start
	}
	p.rewind(l)
	for _, producer := range l.producers {
		p.again(l, producer, 0)
	}
	if !p.mix.compact {
		if err := p.lookUpTimes(l); err != nil {
			return err
		}
	}
	return p.err
}

// lookUpTimes asks for the timestamps of some batches: the indexes may be new or old, but must not lie.
func (p *powerCut) lookUpTimes(l *cutLog) error {
	first := 0
	for first < len(l.batches) && l.batches[first].last < l.start {
		first++
	}
	for i := first; i < len(l.batches); i += 1 + p.rng.IntN(8) {
		ts := l.batches[i].raw.MaxTimestamp()
		want := i // the first with a timestamp as late: the clock never goes back, and all records of a batch bear one time
		for want > first && l.batches[want-1].raw.MaxTimestamp() == ts {
			want--
		}
		offset := max(l.batches[want].base, l.start)
		got, gotTs, _, found, err := l.log.OffsetForTime(ts, l.log.EndOffset())
		if err != nil || !found || got != offset || gotTs != ts {
			return fmt.Errorf("offset for time %d: got %d (time %d, found %v, error %w), want %d", ts, got, gotTs, found, err, offset)
		}
	}
	return nil
}

// readAll reads a log as consumers do, a few bytes at a time.
func readAll(log *storage.Log, from, end int64) ([]batch.Batch, error) {
	var all []batch.Batch
	for from < end {
		s, err := log.Read(from, 300, end, true)
		if err != nil {
			return nil, fmt.Errorf("read from %d: %w", from, err)
		}
		raw, err := s.AppendTo(nil)
		s.Release()
		if err != nil {
			return nil, fmt.Errorf("read from %d: %w", from, err)
		}
		b, _, err := batch.Next(raw)
		if err != nil {
			return nil, fmt.Errorf("read from %d: %d bytes that are no batch: %w", from, len(raw), err)
		}
		if b.LastOffset() < from {
			return nil, fmt.Errorf("read from %d: the batch ends at %d", from, b.LastOffset())
		}
		all = append(all, b)
		from = b.LastOffset() + 1
	}
	return all, nil
}

// sameBatches compares what was read of [start, end) with what was appended, and tells how many of the batches appended are left,
// counting those below start.
func sameBatches(appended []*cutBatch, read []batch.Batch, start, end int64) (n int, err error) {
	for n < len(appended) && appended[n].last < end {
		n++
	}
	if have := endOf(appended[:n]); have != end && end != start {
		return 0, fmt.Errorf("the log ends at %d, inside or beyond what was appended", end)
	}
	i := n - len(read)
	if i < 0 {
		return 0, fmt.Errorf("%d batches are there, only %d were appended", len(read), n)
	}
	for k, b := range read {
		if want := appended[i+k]; !bytes.Equal(b, want.raw) {
			return 0, fmt.Errorf("the batch at %d is not what was appended at %d", b.BaseOffset(), want.base)
		}
	}
	if i > 0 && len(read) > 0 && appended[i-1].last >= start {
		return 0, fmt.Errorf("the log starts at %d, the first batch read is %d", start, read[0].BaseOffset())
	}
	return n, nil
}

// sameRecords is sameBatches for a log that may be compacted anywhere.
func sameRecords(appended []*cutBatch, read []batch.Batch, start, end int64) (n int, err error) {
	for n < len(appended) && appended[n].last < end {
		n++
	}
	if have := endOf(appended[:n]); have != end && end != start {
		return 0, fmt.Errorf("the log ends at %d, inside or beyond what was appended", end)
	}
	var all []batch.Batch
	for _, b := range appended[:n] {
		all = append(all, b.raw)
	}
	written, lastOf := map[int64]cutRecord{}, map[string]int64{}
	err = eachRecord(all, start, func(offset int64, r cutRecord) error {
		written[offset], lastOf[r.key] = r, offset
		return nil
	})
	if err != nil {
		return 0, err
	}
	foundLast, next := map[string]int64{}, start
	err = eachRecord(read, start, func(offset int64, r cutRecord) error {
		switch want, ok := written[offset]; {
		case offset < next:
			return fmt.Errorf("offset %d comes after %d", offset, next-1)
		case !ok:
			return fmt.Errorf("offset %d was never written", offset)
		case r != want:
			return fmt.Errorf("offset %d holds %v, %v was written", offset, r, want)
		}
		foundLast[r.key], next = offset, offset+1
		return nil
	})
	if err != nil {
		return 0, err
	}
	for key, offset := range lastOf { // any order: one is enough
		found, ok := foundLast[key]
		switch {
		case ok && found == offset:
		case !written[offset].tombstone:
			return 0, fmt.Errorf("the last record of key %s, at %d, is gone", key, offset)
		case ok:
			return 0, fmt.Errorf("key %s was deleted at %d and is back with the record at %d", key, offset, found)
		}
	}
	return n, nil
}

type cutRecord struct {
	key, value string
	tombstone  bool
}

// eachRecord calls fn for the records from offset start on.
func eachRecord(batches []batch.Batch, start int64, fn func(offset int64, r cutRecord) error) error {
	reader := batch.NewReader(batch.NewCodecs(batch.Limits{}))
	for _, b := range batches {
		err := reader.Each(b, func(r *batch.Record) error {
			if r.Offset < start {
				return nil
			}
			return fn(r.Offset, cutRecord{string(r.Key), string(r.Value), r.Value == nil})
		})
		if err != nil {
			return err
		}
	}
	return nil
}
