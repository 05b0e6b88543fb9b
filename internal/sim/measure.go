package sim

import (
	"fmt"
	"math/bits"
	"time"

	"github.com/barnabas-mq/barnabas/assign"
	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/group"
	"github.com/barnabas-mq/barnabas/internal/coord/runtime"
	"github.com/barnabas-mq/barnabas/internal/sim/check"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// measure is what a run has cost since time zero.
type measure struct {
	rebalances          int64
	moved, orphans      int64
	movedMin            int64
	fewest, withheld    int64 // of the last plan: what it had to move, and what was taken for that and not handed out yet
	records, duplicates int64
	redelivered         int64
	inversions          int64
	rewound             int64

	pauses      int64
	pauseMax    time.Duration
	pausedMost  *partition
	delayed     int64 // records that came while nobody read their partition
	histogram   [pauseBuckets]int64
	nothingRead vtime.Instant // since when no partition is read; 0 if some is
	allStopped  time.Duration
	lagMost     int64 // of one partition
	lagTotal    int64 // of the group

	disturbed   bool
	disturbedAt vtime.Instant
	waiting     vtime.Instant
	unsettled   time.Duration
	longest     time.Duration
	disturbance int64

	evicted    int64 // members that the coordinator put out
	refused    int64 // requests that the coordinator refused
	before     [apiCount]int64
	sentBefore int64 // bytes

	rec recording
}

// pauseBuckets are pauses below 1 ms, 2 ms, 4 ms and so on.
const pauseBuckets = 32

func (m *measure) paused(p *partition, d time.Duration, records int64) {
	m.pauses++
	m.delayed += records
	m.histogram[min(pauseBuckets-1, bits.Len64(uint64(d/time.Millisecond)))]++
	if d > m.pauseMax {
		m.pauseMax, m.pausedMost = d, p
	}
	m.lagMost = max(m.lagMost, p.lag(p.w.now))
}

// allRead ends a time in which nothing was read, if there was one.
func (m *measure) allRead(w *world) {
	if m.nothingRead == 0 {
		return
	}
	if from := max(m.nothingRead, w.zero); w.zero != 0 {
		m.allStopped += w.now.Since(from)
	}
	m.nothingRead = 0
}

// settled ends a disturbance.
func (m *measure) settled(now vtime.Instant) {
	d := now.Since(m.disturbedAt)
	if d == 0 {
		return
	}
	m.unsettled += d
	m.longest = max(m.longest, d)
	m.disturbance++
}

// measureFrom begins to count at time zero.
func (w *world) measureFrom() {
	for _, m := range w.members {
		m.progress()
		m.records = 0
	}
	for _, p := range w.parts {
		p.since, p.from, p.spent = w.now, w.now, [3]time.Duration{}
		p.misread.spent = 0
		p.keyed.reset()
		p.committedBefore = p.committed
	}
	old := w.m
	w.m = measure{disturbed: old.disturbed, disturbedAt: w.now, waiting: old.waiting}
	if w.unread == len(w.parts) {
		w.m.nothingRead = w.now
	}
	w.m.before, w.m.sentBefore = w.coord.messages, w.coord.bytes
	w.quiet = w.now
	if w.opt.Record > 0 {
		for _, p := range w.parts {
			w.m.lane(p, p.state)
		}
	}
}

// note is what the coordinator decided.
func (w *world) note(n runtime.TimedNote) {
	if w.opt.Notes != nil {
		at := time.Duration(n.At - w.zero)
		if w.zero == 0 {
			at = -1
		}
		w.opt.Notes(Note{at, n.At, n.Note})
	}
	switch n := n.Note.(type) {
	case coord.RebalanceStarted:
		w.stable = false
	case coord.JoinCompleted:
		w.trace(41, uint64(n.Generation), uint64(n.Members))
		w.m.rebalances++
		w.check(w.epochs.Joined(n.Generation))
		for _, m := range w.members {
			if m.joinedGeneration != 0 && m.joinedGeneration < n.Generation {
				m.fence()
			}
		}
	case coord.GroupEmptied:
		w.m.rebalances++
		w.stable = false
		w.check(w.epochs.Joined(n.Generation))
		w.check(w.epochs.Written(n.Generation))
		w.seats = nil
	case coord.Stabilized:
		w.check(w.epochs.Written(n.Generation))
		w.stable = true
		w.applyPlan(n.Generation)
	case coord.MemberRemoved:
		if n.Cause != coord.Left && n.Cause != coord.RemovedByID {
			w.m.evicted++
		}
		if m := w.byID[n.Member.ID]; m != nil {
			delete(w.byID, n.Member.ID)
			if m.seatID == n.Member.ID {
				m.joinedGeneration = 0
				m.fence()
			}
		}
	case coord.GroupDeleted:
		w.epochs.Deleted()
	case coord.StaticMemberReplaced:
		delete(w.byID, n.OldID)
	case coord.RequestRefused:
		w.m.refused++
	case coord.GroupRestored:
		w.stable = n.State == group.Stable
	}
}

// plan is what a leader handed in.
type plan struct {
	generation int32
	seats      []string // instance ids, or member ids
	members    []assign.Member
	given      []assign.Assignment
}

// applyPlan counts who gets what anew, once the coordinator has written the plan.
func (w *world) applyPlan(generation int32) {
	pl := w.plan
	if pl == nil || pl.generation != generation {
		return
	}
	w.plan = nil
	sits := make(map[string]bool, len(pl.seats))
	for _, s := range pl.seats {
		sits[s] = true
	}
	if w.seatsChanged(pl.seats) {
		w.m.movedMin -= min(w.m.fewest, w.m.withheld) // others came or went before it was handed out: it need not move any more
		w.m.fewest = w.fewestMoves(pl, sits)
		w.m.movedMin += w.m.fewest
	}
	w.m.withheld = 0
	for _, p := range w.parts {
		if sits[p.seat] {
			w.m.withheld++
		}
	}
	for i, seat := range pl.seats {
		for _, tp := range pl.given[i].Partitions {
			for _, n := range tp.Partitions {
				p := w.partition(tp.Topic, n)
				if p == nil {
					continue
				}
				if sits[p.seat] {
					w.m.withheld--
				}
				switch {
				case p.seat == seat || p.seat == "":
				case sits[p.seat]:
					w.m.moved++
				default:
					w.m.orphans++
				}
				p.seat = seat
			}
		}
	}
}

// seatsChanged reports whether others sit in the group than when it was asked last, or topics have grown.
func (w *world) seatsChanged(seats []string) bool {
	now := append(seatOrder(append([]string(nil), seats...)), string(rune(w.version)))
	same := len(now) == len(w.seats)
	for i := 0; same && i < len(now); i++ {
		same = now[i] == w.seats[i]
	}
	w.seats = now
	return !same
}

// fewestMoves is how few partitions any balanced plan has to take from a member that is there: by the sticky assignor, which is optimal, from
// who had what before.
func (w *world) fewestMoves(pl *plan, sits map[string]bool) (moves int64) {
	had := make(map[string][]assign.TopicPartitions, len(pl.seats))
	total := 0
	for _, t := range w.topics {
		for _, i := range t.parts {
			p := w.parts[i]
			if !sits[p.seat] {
				continue
			}
			total++
			list := had[p.seat]
			if n := len(list); n == 0 || list[n-1].Topic != t.name {
				list = append(list, assign.TopicPartitions{Topic: t.name})
			}
			list[len(list)-1].Partitions = append(list[len(list)-1].Partitions, p.number)
			had[p.seat] = list
		}
	}
	if total == 0 {
		return 0
	}
	members := make([]assign.Member, len(pl.seats))
	for i, seat := range pl.seats {
		m := pl.members[i]
		members[i] = assign.Member{ID: m.ID, InstanceID: m.InstanceID, Subscription: assign.Sticky{}.Subscribe(m.Topics, had[seat], 1, m.Rack)}
	}
	best, err := assign.Sticky{}.Assign(members, w.known())
	if err != nil {
		w.fail(err)
		return 0
	}
	for i, seat := range pl.seats {
		for _, tp := range best[i].Partitions {
			for _, n := range tp.Partitions {
				if p := w.partition(tp.Topic, n); sits[p.seat] && p.seat != seat {
					moves++
				}
			}
		}
	}
	return moves
}

// known is the topics as a client's metadata has them.
func (w *world) known() []assign.Topic {
	out := make([]assign.Topic, len(w.topics))
	for i, t := range w.topics {
		out[i] = assign.Topic{Name: t.name, Partitions: int32(len(t.parts))}
	}
	return out
}

// healing is how long a group may take to find itself again, at the most.
const healing = 5 * time.Minute

// why says what keeps the group from being at rest.
func (w *world) why() string {
	out := fmt.Sprintf("stable %v, %d of %d partitions unread;", w.stable, w.unread, len(w.parts))
	for _, m := range w.members {
		if m.uneasy {
			out += fmt.Sprintf(" %s: phase %d, rejoin %v, lost %v, answered %v, closing %v, fenced %v, blocked %v, batch %v, generation %d %s;", m.name, m.phase, m.rejoin, m.lost, m.answered, m.closing, m.fenced, m.blocked, m.batch != nil, m.generation, m.fatal)
		}
	}
	return out
}

// finish ends the run: everything that is open is accounted for.
func (w *world) finish() {
	if w.zero == 0 {
		w.begin()
		w.end = w.now
	}
	for _, m := range w.members {
		m.progress()
	}
	lag := int64(0)
	for _, p := range w.parts {
		p.close(w.now)
		p.misread.count(p)
		w.m.lagMost = max(w.m.lagMost, p.lag(w.now))
		lag += p.lag(w.now)
		w.check(p.account())
	}
	w.m.lagTotal = max(w.m.lagTotal, lag)
	w.m.allRead(w)
	if w.sc.heals && !w.over && w.pending == 0 {
		w.check(check.Progress{Bound: healing}.Healed(w.now.Since(w.quiet), w.settled(), w.why()))
	}
	if w.m.disturbed {
		w.m.unsettled += w.now.Since(w.m.disturbedAt)
		w.m.longest = max(w.m.longest, w.now.Since(w.m.disturbedAt))
	}
}
