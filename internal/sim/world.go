package sim

import (
	"fmt"
	"math/bits"
	"time"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/sim/check"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// epoch is when every run begins.
var epoch = vtime.FromTime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))

// groupID is the group that is simulated.
const groupID = "g"

// Options say how to run, beyond the scenario.
type Options struct {
	Seed uint64
	// Notes, if set, is told every note of the coordinator.
	Notes func(n Note)
	// Record keeps curves and lanes for a report: so many stretches of them at most, 32 bytes each; 0 for no report.
	Record int
	// Plain plays every heartbeat, also those that can change nothing.
	Plain bool
	// Progress, if set, is called now and then with the time simulated so far; false ends the run.
	Progress func(at time.Duration) bool
}

// Note is a note of the coordinator: when it was made, from time zero and as an instant, and what it says. At is negative in the warm-up.
type Note struct {
	At   time.Duration
	Abs  vtime.Instant
	Note coord.Note
}

// world is one run.
type world struct {
	sc      *Scenario
	opt     Options
	now     vtime.Instant
	queue   queue // what may change something
	dull    queue // heartbeats, commits by the clock and the like: as long as nothing else happens, they change nothing
	seq     uint64
	topics  []topic
	topicAt map[string]int32 // by name
	parts   []*partition
	members []*member
	byID    map[string]*member // members as the coordinator knows them; looked up only
	coord   *coordinator
	hash    uint64
	err     error

	version int // of the topics: grows with their partitions
	plan    *plan
	seats   []string // who was in the group when the fewest moves were counted last

	// Time zero and the end; zero is 0 until the warm-up is over.
	zero, end vtime.Instant
	over      bool

	stable   bool // the coordinator has written the current generation's assignment
	unsteady int  // members that run and are not at rest
	running  int
	unread   int // partitions that nobody reads
	wanting  int // topics that have such, and members that subscribe to them
	down     int // processes that were stopped to be started again
	hooks    []hook
	pending  int           // timeline events, and parts of them, still to come
	quiet    vtime.Instant // the last time that something of the timeline happened

	owners  check.Owners
	commits check.Commits
	epochs  check.Epochs

	m measure
}

type topic struct {
	name    string
	parts   []int32 // indexes of its partitions
	readers int     // members that run and subscribe to it
	unread  int     // partitions that nobody reads
	from    *Topic
}

// wanting reports whether somebody subscribes to the topic, and part of it is not read.
func (t *topic) wanting() bool { return t.unread > 0 && t.readers > 0 }

// Run simulates a scenario once. The error says what went against the rules; the Result is filled as far as the run came.
func Run(sc *Scenario, opt Options) (*Result, error) {
	w := newWorld(sc, opt)
	w.loop()
	return w.result(), w.err
}

func newWorld(sc *Scenario, opt Options) *world {
	w := &world{sc: sc, opt: opt, now: epoch, byID: map[string]*member{}, topicAt: map[string]int32{}, hash: 14695981039346656037}
	w.commits.Owners = &w.owners
	for i := range sc.Topics {
		t := &sc.Topics[i]
		w.topics = append(w.topics, topic{name: t.Name, from: t})
		w.topicAt[t.Name] = int32(i)
		w.grow(i, t.Partitions)
	}
	w.coord = newCoordinator(w)
	for i := range sc.Members {
		w.addFleet(&sc.Members[i])
	}
	w.coord.load()
	started := false
	for _, m := range w.members {
		if m.cfg.Started {
			started = true
			w.after(m.rng.within(100*time.Millisecond), m.start)
		}
	}
	if !started {
		w.begin()
	}
	return w
}

// warmupLimit ends the warm-up of a group that never comes to rest.
const warmupLimit = 15 * time.Minute

// progressEvery is how many partitions and members events may look at before progress is told: of a large group, a single one may take a second.
const progressEvery = 1 << 18

// standstill is how many events of one moment are too many.
const standstill = 20_000_000

func (w *world) loop() {
	due, still := 0, 0
	for w.err == nil && !w.over {
		from := &w.queue
		if w.dull.leads(from) {
			from = &w.dull
		}
		at, ok := from.next()
		if w.zero != 0 && (!ok || w.end < at) {
			w.now = w.end
			break
		}
		if !ok || w.zero == 0 && epoch.Add(warmupLimit) < at {
			w.begin()
			continue
		}
		e := from.pop()
		if still++; e.at > w.now {
			still = 0
		} else if still > standstill {
			w.fail(fmt.Errorf("%d events, and time does not go on: the scenario's times are too short for its size", still))
			break
		}
		w.now = e.at
		w.dispatch(&e)
		if due--; due < 0 && w.opt.Progress != nil {
			due = min(4096, progressEvery/(len(w.parts)+len(w.members)+1))
			w.over = !w.opt.Progress(w.clock())
		}
	}
	w.finish()
}

func (w *world) dispatch(e *event) {
	m := e.m
	if m == nil {
		w.trace(1, 0, 0)
		e.run()
		w.settle()
		return
	}
	if e.what != aFunction && e.token != m.tokens[e.what] {
		return
	}
	if w.now.Before(m.frozen) { // its threads stand still: it happens when they go on
		e.at = m.frozen
		w.push(*e)
		return
	}
	w.trace(uint64(e.what)+2, uint64(m.index), uint64(m.generation))
	if e.what == aFunction {
		e.run()
	} else {
		m.tokens[e.what]++
		m.fire(e.what)
	}
	m.weigh()
	w.settle()
}

// clock is the time from time zero.
func (w *world) clock() time.Duration {
	if w.zero == 0 {
		return time.Duration(w.now-epoch) - warmupLimit
	}
	return time.Duration(w.now - w.zero)
}

func (w *world) after(d time.Duration, run func()) {
	w.push(event{at: w.now.Add(d), run: run})
}

func (w *world) push(e event) {
	w.seq++
	e.seq = w.seq
	w.queue.push(e)
}

func (w *world) pushDull(e event) {
	w.seq++
	e.seq = w.seq
	w.dull.push(e)
}

// idleUntil is how long nothing will happen but heartbeats and commits that change nothing, less what those need on their way; not ok when
// something is going on. Members skip beats until then: the run is the same without them (TestSkippingChangesNothing).
func (w *world) idleUntil() (until vtime.Instant, ok bool) {
	n := &w.sc.Network
	if w.opt.Plain || w.zero == 0 || w.m.disturbed || len(w.byID) != w.running || w.sc.Coordinator.PromptNotice || w.now <= w.quiet || n.Jitter > 0 || n.Loss > 0 || !w.coord.up {
		return 0, false
	}
	until = w.end
	if at, some := w.queue.next(); some {
		until = min(until, at)
	}
	return until - vtime.Instant(4*n.Latency) - vtime.Instant(2*w.sc.Coordinator.AppendTime) - vtime.Instant(time.Millisecond), true
}

func (w *world) fail(err error) {
	if w.err == nil {
		w.err = fmt.Errorf("at %v: %w", w.clock(), err)
	}
}

// trace folds what happens into the hash of the run.
func (w *world) trace(kind, a, b uint64) {
	h := w.hash
	for _, v := range [...]uint64{uint64(w.now), kind<<56 ^ a<<24 ^ b} {
		h = (h ^ v) * 1099511628211
		h ^= h >> 29
	}
	w.hash = h
}

// settle notices when the group comes to rest, or is disturbed.
func (w *world) settle() {
	at := w.settled()
	switch {
	case at && w.m.disturbed:
		w.m.disturbed = false
		w.m.settled(w.now)
		if w.zero != 0 && w.m.disturbedAt < w.now {
			w.m.rec.peak = w.lag().highest(w.m.rec.peak)
		}
		if w.zero == 0 && w.m.waiting == 0 {
			w.m.waiting = w.now
			w.after(time.Duration(w.sc.Warmup)+spread(w.opt.Seed, time.Duration(w.sc.WarmupSpread)), w.begin)
		}
	case !at && !w.m.disturbed:
		w.m.disturbed, w.m.disturbedAt = true, w.now
	}
}

// spread is a part of d for each seed, such that seeds that follow each other lie evenly (multiples of the golden ratio): a mean over many seeds
// is then a mean over all phases of a heartbeat, and not a matter of luck.
func spread(seed uint64, d time.Duration) time.Duration {
	hi, _ := bits.Mul64(seed*0x9e3779b97f4a7c15, uint64(d))
	return time.Duration(hi)
}

// settled reports whether everybody who runs has what is theirs, and all of it is read.
func (w *world) settled() bool {
	if w.running == 0 {
		return w.zero != 0 && w.down == 0
	}
	return w.stable && w.unsteady == 0 && w.wanting == 0
}

// unreadNow counts one partition more, or less, that nobody reads.
func (w *world) unreadNow(p *partition, n int) {
	t := &w.topics[p.topic]
	was := t.wanting()
	w.unread += n
	t.unread += n
	w.count(was, t.wanting())
}

// count keeps the number of topics that are wanting.
func (w *world) count(was, is bool) {
	switch {
	case is && !was:
		w.wanting++
	case was && !is:
		w.wanting--
	}
}

// begin is time zero.
func (w *world) begin() {
	if w.zero != 0 {
		return
	}
	w.zero, w.end = w.now, w.now.Add(time.Duration(w.sc.Duration))
	w.measureFrom()
	w.timeline()
	w.sample(0)
}

// grow gives a topic partitions up to a count.
func (w *world) grow(i int, to int64) {
	t := &w.topics[i]
	for n := int64(len(t.parts)); n < to; n++ {
		p := &partition{w: w, index: int32(len(w.parts)), topic: int32(i), number: int32(n), rate: int64(t.from.Rate), keys: t.from.Keys, born: w.now, since: w.now, from: w.now}
		if w.zero == 0 {
			p.base = t.from.Backlog
		}
		w.parts = append(w.parts, p)
		t.parts = append(t.parts, p.index)
		w.unreadNow(p, 1)
	}
	w.version++
}

// partition finds one by name, as assignments name them; nil if there is none.
func (w *world) partition(name string, number int32) *partition {
	i, ok := w.topicAt[name]
	if !ok || number < 0 || int(number) >= len(w.topics[i].parts) {
		return nil
	}
	return w.parts[w.topics[i].parts[number]]
}
