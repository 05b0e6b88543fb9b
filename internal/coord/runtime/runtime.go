package runtime

import (
	"fmt"
	"maps"
	"slices"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// State is where a Runtime stands; see the package's doc.
type State string

// The states of a Runtime.
const (
	Idle    State = "Idle"
	Loading State = "Loading"
	Active  State = "Active"
)

// Output is what leaves a Runtime, in this order.
type Output struct {
	Replies []coord.Reply
	Notes   []TimedNote
}

// TimedNote is a note and when the shard wrote it. It leaves once its records are committed, so what it tells has happened for good.
type TimedNote struct {
	At   vtime.Instant
	Note coord.Note
}

// Batch is what is to be appended next.
type Batch struct {
	// Steps are the records of one step each. A log may write several steps as one batch, but no step as two: a crash must not leave half
	// of it.
	Steps [][]record.Record
	// BaseOffset is the offset of the first record, End the one beyond the last. Another offset in the log means that somebody else wrote
	// to it, and the shard must be dropped.
	BaseOffset, End int64
}

// Runtime looks after one shard. It is not safe for concurrent use. Make one with New.
type Runtime struct {
	newShard func() coord.Shard
	state    State
	shard    coord.Shard
	timers   timers
	open     map[coord.ReplyID]struct{} // went in and did not come out

	// Offsets: committed <= taken <= end. Below taken, records were handed out by Batch; below end, applied to the shard. before is where the
	// last batch that was handed out begins: once committed is there, no other batch is under way.
	committed, before, taken, end int64
	steps                         [][]record.Record // from taken to end
	held                          []held            // in the order of their offsets
	heldFrom                      int               // held before it has left

	// What a panic leaves to whoever looks for its cause.
	under coord.Event // the event whose step has not ended
	past  past
}

// held is what a step said, waiting for the log to be committed below after.
type held struct {
	after   int64
	at      vtime.Instant
	replies []coord.Reply
	notes   []coord.Note
}

// New is an idle Runtime of shards that newShard makes, one for each time it loads.
func New(newShard func() coord.Shard) *Runtime {
	return &Runtime{newShard: newShard, state: Idle, open: map[coord.ReplyID]struct{}{}}
}

// State is where it stands.
func (r *Runtime) State() State { return r.state }

// Load begins to read a partition: Idle becomes Loading.
func (r *Runtime) Load() {
	r.must(Idle, "Load")
	r.state, r.shard = Loading, r.newShard()
}

// Replay takes the next record of the partition while Loading.
func (r *Runtime) Replay(offset int64, rec record.Record) {
	r.must(Loading, "Replay")
	r.shard.Apply(offset, rec)
}

// Loaded ends the reading: Loading becomes Active. end is the offset the next record will get; everything below is committed.
func (r *Runtime) Loaded(now vtime.Instant, end int64) Output {
	r.must(Loading, "Loaded")
	r.state = Active
	r.committed, r.before, r.taken, r.end = end, end, end, end
	return r.take(now, r.shard.Restore(now))
}

// Request hands the shard an event. id is the ReplyID in the event, or 0 if nobody waits for an answer. When there is no shard to answer,
// the answer is a coord.Refused, at once.
func (r *Runtime) Request(now vtime.Instant, id coord.ReplyID, ev coord.Event) Output {
	if code := r.refusal(); code != kafka.None {
		if id == 0 {
			return Output{}
		}
		return Output{Replies: []coord.Reply{{To: id, Body: coord.Refused{Code: code}}}}
	}
	if id != 0 {
		r.open[id] = struct{}{}
	}
	return r.step(now, ev)
}

// refusal is what requests hear when no shard answers; None when one does.
func (r *Runtime) refusal() kafka.ErrorCode {
	switch r.state {
	case Active:
		return kafka.None
	case Loading:
		return kafka.CoordinatorLoadInProgress
	}
	return kafka.NotCoordinator
}

// Next is when Tick wants to be called; not ok while no timer is armed.
func (r *Runtime) Next() (at vtime.Instant, ok bool) { return r.timers.next() }

// Tick fires every timer that is due, the earliest first, and of equals the one armed first. One that a firing arms for a moment that has come
// fires too, in the same Tick, but only once: a shard that always wants to be called again must not hold up its requests.
func (r *Runtime) Tick(now vtime.Instant) (out Output) {
	last := r.timers.armed
	for {
		key, ok := r.timers.due(now, last)
		if !ok {
			return out
		}
		out = out.and(r.step(now, coord.TimerFired{Key: key}))
	}
}

// Batch is what to append next. It is ok when there is something, and at most one batch is in flight; from then on it is in flight until
// Committed passes its End.
func (r *Runtime) Batch() (b Batch, ok bool) {
	if len(r.steps) == 0 || r.committed < r.before {
		return Batch{}, false
	}
	b = Batch{Steps: r.steps, BaseOffset: r.taken, End: r.end}
	r.steps, r.before, r.taken = nil, r.taken, r.end
	return b, true
}

// Settled reports whether everything the shard wrote is in the log and committed.
func (r *Runtime) Settled() bool { return r.committed == r.end }

// Committed takes notice that the log is committed below end, which may be less than it was told before, and lets go of what waited for
// that.
func (r *Runtime) Committed(end int64) Output {
	if r.state != Active {
		return Output{}
	}
	r.committed = max(r.committed, min(end, r.taken))
	return r.release()
}

// Drop gives the shard up: its partition could not be written, or is led elsewhere. Whoever waits is answered NOT_COORDINATOR, also those
// whose records may be in the log: they will ask again.
func (r *Runtime) Drop() (out Output) {
	for _, id := range slices.Sorted(maps.Keys(r.open)) {
		out.Replies = append(out.Replies, coord.Reply{To: id, Body: coord.Refused{Code: kafka.NotCoordinator}})
	}
	clear(r.open)
	*r = Runtime{newShard: r.newShard, state: Idle, open: r.open}
	return out
}

// step is one event from its arrival to its effects.
func (r *Runtime) step(now vtime.Instant, ev coord.Event) Output {
	r.past.add(now, ev)
	r.under = ev
	out := r.take(now, r.shard.Step(now, ev))
	r.under = nil
	return out
}

// take carries out the effects of a step.
func (r *Runtime) take(now vtime.Instant, fx coord.Effects) Output {
	for i, rec := range fx.Records {
		r.shard.Apply(r.end+int64(i), rec)
	}
	if len(fx.Records) > 0 {
		r.steps = append(r.steps, fx.Records)
		r.end += int64(len(fx.Records))
	}
	for _, op := range fx.Timers {
		r.timers.do(op)
	}
	if r.committed == r.end {
		return r.say(now, fx.Replies, fx.Notes) // nothing is on its way to the log, so nothing is held either
	}
	if len(fx.Replies)+len(fx.Notes) > 0 {
		r.held = append(r.held, held{after: r.end, at: now, replies: fx.Replies, notes: fx.Notes})
	}
	return Output{}
}

// release lets go of what the log now has.
func (r *Runtime) release() (out Output) {
	for r.heldFrom < len(r.held) && r.held[r.heldFrom].after <= r.committed {
		h := r.held[r.heldFrom]
		r.held[r.heldFrom] = held{}
		r.heldFrom++
		out = out.and(r.say(h.at, h.replies, h.notes))
	}
	if r.heldFrom == len(r.held) {
		r.held, r.heldFrom = r.held[:0], 0
	}
	return out
}

// say makes output of what a step said.
func (r *Runtime) say(at vtime.Instant, replies []coord.Reply, notes []coord.Note) (out Output) {
	for _, a := range replies {
		if _, ok := r.open[a.To]; !ok {
			panic(fmt.Sprintf("runtime: an answer to request %d, which nobody asked or which was answered", a.To))
		}
		delete(r.open, a.To)
	}
	out.Replies = replies
	for _, n := range notes {
		out.Notes = append(out.Notes, TimedNote{at, n})
	}
	return out
}

func (o Output) and(more Output) Output {
	if len(o.Replies)+len(o.Notes) == 0 {
		return more
	}
	return Output{append(o.Replies, more.Replies...), append(o.Notes, more.Notes...)}
}

func (r *Runtime) must(want State, call string) {
	if r.state != want {
		panic(fmt.Sprintf("runtime: %s while %s", call, r.state))
	}
}
