package journal

import (
	"container/heap"
	"container/list"
	"slices"
	"time"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// Config is the settings of a Recorder; the zero value of a field stands for its default.
type Config struct {
	// Source is written into the incidents; FromJournal by default.
	Source Source
	// GroupsMax is how many groups are remembered; the one not heard of for longest is forgotten first. 10,000 by default. A group that
	// was forgotten is recorded as before, but its first incident does not know what was there before it.
	GroupsMax int
	// ReturnAwaited is how long a verdict on a departure stays provisional because the client may come back. 60 s by default.
	ReturnAwaited time.Duration
	// ReturnRemembered is how long a departure is remembered, so that a later return is seen as one. 10 min by default.
	ReturnRemembered time.Duration
	// PartitionsMax is the most partitions of a group that are compared one by one; above it an incident has no moves. 200,000 by default.
	PartitionsMax int
}

func (c Config) withDefaults() Config {
	if c.Source == "" {
		c.Source = FromJournal
	}
	if c.GroupsMax <= 0 {
		c.GroupsMax = 10_000
	}
	if c.ReturnAwaited <= 0 {
		c.ReturnAwaited = time.Minute
	}
	if c.ReturnRemembered <= 0 {
		c.ReturnRemembered = 10 * time.Minute
	}
	if c.PartitionsMax <= 0 {
		c.PartitionsMax = 200_000
	}
	return c
}

// Bounds of what a group may make us remember.
const (
	departuresMax = 256 // per group
	refusedMax    = 16  // refused requests per group
	seatsMax      = 16  // static seats that changed hands, per group
	chainMax      = 64  // entries of a chain
	joinsInChain  = 16  // of those, newcomers
	factsMax      = 128 // per incident
	namedMax      = 16_384
	keptMembers   = 100 // members of an incident that may be amended after its verdict is final
)

// Recorder turns notes into incidents. One serves any number of groups; it is not safe for concurrent use. The notes of one group come in
// order, and its time does not go back; a moment that lies before the last is taken as the last.
type Recorder struct {
	cfg    Config
	groups map[string]*tracked
	recent list.List // of *tracked, the latest heard of in front
	due    dueHeap
	now    vtime.Instant
	out    []Incident

	looked uint64 // counts entries of due
	named  map[string]int
}

// dueAt is an incident that wants to be looked at again; seq keeps those of one moment in order.
type dueAt struct {
	at  vtime.Instant
	seq uint64
	b   *building
}

// dueHeap has the earliest first. It is a container/heap.
type dueHeap []dueAt

func (h dueHeap) Len() int { return len(h) }
func (h dueHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h dueHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push is container/heap's.
func (h *dueHeap) Push(x any) { *h = append(*h, x.(dueAt)) }

// Pop is container/heap's.
func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	d := (*h)[last]
	(*h)[last] = dueAt{}
	*h = (*h)[:last]
	return d
}

// New is a Recorder that knows nothing yet.
func New(cfg Config) *Recorder {
	return &Recorder{cfg: cfg.withDefaults(), groups: map[string]*tracked{}, named: map[string]int{}}
}

// tracked is what is remembered of one group.
type tracked struct {
	name    string
	place   *list.Element
	members []*member // in the order in which they came
	byID    map[string]*member
	// complete says that members is everybody: the group was seen from its beginning, or from when it was loaded.
	complete bool
	// record is the last assignment, nil if there is none or it is not known, which hasRecord tells.
	record    *record.GroupMetadataValue
	hasRecord bool

	draft *building // triggers of this very moment, of a rebalance that has not been announced
	open  *building // the rebalance under way
	last  *building // the one before, while more may follow of it

	departures []*departure
	refused    []coord.RequestRefused
	refusedAt  []vtime.Instant
	seats      []*building // static seats that changed hands
	turned     []*building // clients that were turned away
	loaded     vtime.Instant
	loadedInc  *building
	firstStart vtime.Instant // when the last first start ended
	lastNew    vtime.Instant // when the last newcomer came
	forgotten  bool
	heard      vtime.Instant // the time of the last note
}

// member is a member as the group has it now.
type member struct {
	Who
	protocolType string
	protocols    []coord.Protocol
	session      time.Duration
	rebalance    time.Duration
	partial      bool // read from the log, which has the chosen protocol only
}

// departure is a member that went and may come back.
type departure struct {
	who     Who
	kind    TriggerKind
	at      vtime.Instant
	alone   bool // no other member had its client id and host
	alive   bool // it used its old id afterwards
	settled bool // it came back, or was waited for long enough
	// b is the incident it belongs to, while that may still be amended; then id and cause say what is needed of it.
	b     *building
	id    string
	cause Cause
}

// of is the incident of the departure, and why the member went.
func (d *departure) of() (id string, why Cause) {
	if d.b == nil {
		return d.id, d.cause
	}
	return d.b.inc.ID, d.b.inc.causeOf(d.who.ID)
}

// Note takes a note without evidence. It returns the incidents that are new or changed, each with a higher Rev than before; they are the
// caller's own.
func (r *Recorder) Note(at vtime.Instant, n coord.Note) []Incident {
	return r.NoteWith(at, n, Evidence{})
}

// NoteWith is Note with what was gathered for it, see Wants.
func (r *Recorder) NoteWith(at vtime.Instant, n coord.Note, e Evidence) []Incident {
	g := r.group(n.NoteGroup())
	r.at(g, at)
	r.out = nil
	if g.draft != nil && g.draft.at() != r.now {
		g.draft = nil // its moment has passed, and nothing came of it
	}
	ev := index(e)
	switch n := n.(type) {
	case coord.GroupCreated:
		g.complete, g.hasRecord, g.record = true, true, nil
	case coord.MemberArrived:
		r.arrived(g, n)
	case coord.MemberRemoved:
		r.removed(g, n, ev)
	case coord.StaticMemberReplaced:
		r.replaced(g, n)
	case coord.RebalanceStarted:
		r.started(g, n, ev)
	case coord.JoinCompleted:
		r.joined(g, n, ev)
	case coord.GroupEmptied:
		r.emptied(g, n, ev)
	case coord.MemberTold:
		if b := g.joining(); b != nil {
			b.told(n, r.now)
		}
	case coord.SyncArrived:
		r.synced(g, n)
	case coord.Stabilized:
		r.stabilized(g, n, ev)
	case coord.RequestRefused:
		r.requestRefused(g, n)
	case coord.GroupRestored:
		r.restored(g, n)
	case coord.OffsetsDeleted:
		r.offsetsDeleted(g, n)
	case coord.GroupDeleted:
		r.groupDeleted(g, n)
	}
	r.trim()
	return r.out
}

// at sets the time of what is done next, in whole microseconds. It is each group's own: the notes of one come in order, those of two need not.
func (r *Recorder) at(g *tracked, at vtime.Instant) {
	g.heard = max(g.heard, at-at%vtime.Instant(time.Microsecond))
	r.now = g.heard
}

// group finds or makes what is remembered of a group.
func (r *Recorder) group(name string) *tracked {
	if g := r.groups[name]; g != nil {
		r.recent.MoveToFront(g.place)
		return g
	}
	g := &tracked{name: name, byID: map[string]*member{}}
	g.place = r.recent.PushFront(g)
	r.groups[name] = g
	return g
}

// trim forgets the groups not heard of for longest. One with a rebalance under way is passed over, unless all are.
func (r *Recorder) trim() {
	for e := r.recent.Back(); len(r.groups) > r.cfg.GroupsMax && e != nil; {
		g := e.Value.(*tracked)
		e = e.Prev()
		if g.open != nil && len(r.groups) <= 2*r.cfg.GroupsMax {
			continue
		}
		r.forget(g)
	}
}

// forget drops what is remembered of a group; what of it awaits a sequel is left as it is.
func (r *Recorder) forget(g *tracked) {
	r.recent.Remove(g.place)
	delete(r.groups, g.name)
	g.forgotten = true
}

// Groups is how many groups are remembered.
func (r *Recorder) Groups() int { return len(r.groups) }

// Lost ends what is under way in the groups that match: their coordinator went away from here, and nothing more will be heard of it.
func (r *Recorder) Lost(at vtime.Instant, match func(group string) bool) []Incident {
	r.out = nil
	for e := r.recent.Front(); e != nil; {
		g := e.Value.(*tracked)
		e = e.Next()
		if !match(g.name) {
			continue
		}
		r.at(g, at)
		r.lose(g)
		r.forget(g)
	}
	return r.out
}

// lose ends what is under way in a group whose coordinator went away in the middle of it.
func (r *Recorder) lose(g *tracked) {
	b := g.open
	if b == nil {
		return
	}
	g.open = nil
	if b.stage == inTail { // it was over but for those who had not asked for their part
		r.close(g, b, b.stable)
		return
	}
	b.endPhase(r.now, b.phaseName(), nil, false)
	b.inc.StateAfter = "lost"
	b.inc.AddFact(newFact(FactLost, Measured, "", "the coordinator went away before the rebalance was over; what its members had done so far was lost"))
	r.close(g, b, r.now)
}

// Next is when Due has something, ok=false for never.
func (r *Recorder) Next() (at vtime.Instant, ok bool) {
	if len(r.due) == 0 {
		return 0, false
	}
	return r.due[0].at, true
}

// Due is the next incident that wants to be looked at again by now, and the evidence it wants; hand it to Amend.
func (r *Recorder) Due(now vtime.Instant) (Interest, bool) {
	for len(r.due) > 0 && !now.Before(r.due[0].at) {
		b := r.due[0].b
		if b.settled() || b.of.forgotten {
			b.looks--
			heap.Pop(&r.due)
			continue
		}
		return b.interest(), true
	}
	return Interest{}, false
}

// Amend looks again at the incident that Due named, with what was gathered. It returns the incident if that changed it.
func (r *Recorder) Amend(now vtime.Instant, e Evidence) []Incident {
	r.out = nil
	if len(r.due) == 0 {
		return nil
	}
	b := heap.Pop(&r.due).(dueAt).b
	r.at(b.of, now)
	b.looks--
	r.amend(b, index(e))
	r.finish(b)
	if b.looks == 0 && b.stage == over && b.inc.AwaitedUntil != nil {
		r.look(b, max(b.inc.AwaitedUntil.Instant(), r.now.Add(time.Second)))
	}
	return r.out
}

// look asks for b to be looked at again.
func (r *Recorder) look(b *building, at vtime.Instant) {
	if len(r.due) < 4*r.cfg.GroupsMax {
		b.looks++
		r.looked++
		heap.Push(&r.due, dueAt{at, r.looked, b})
	}
}

// finish lets go of what is not needed any more once nothing can change an incident. What a second round would need stays.
func (r *Recorder) finish(b *building) {
	if b.stage != over || !b.settled() || b.finished || b.inc.Kind != Rebalance { // the others are small
		return
	}
	if len(b.parts) > keptMembers {
		for _, d := range b.departures {
			if d.b == b {
				d.id, d.cause = d.of()
				d.b = nil
			}
		}
	}
	if b.of.last == b && (b.inc.Cooperative && b.withheld > 0 || b.inc.Trigger.Kind == StaticReturn) {
		b.compared = nil
		return
	}
	if b.of.last == b {
		b.of.last = nil
	}
	if slices.ContainsFunc(b.departures, func(d *departure) bool { return d.b == b }) {
		b.final = b.snapshot(r.cfg)
	}
	b.ownedBefore = nil
	b.compared, b.before, b.after, b.parts, b.byID, b.awaited, b.arrivals = nil, nil, nil, nil, nil, nil, nil
	b.atStart, b.atJoin, b.atEnd = seen{}, seen{}, seen{}
	b.finished = true
}

// emit hands out b as it stands.
func (r *Recorder) emit(b *building, stage Stage) {
	b.inc.Rev++
	b.inc.Stage = stage
	Classify(&b.inc)
	var inc Incident
	if b.finished { // only the verdict can still change
		inc = b.final
		inc.Rev, inc.Stage, inc.Verdict, inc.Trigger = b.inc.Rev, b.inc.Stage, b.inc.Verdict, b.inc.Trigger
		inc.Evidence, inc.Related, inc.Chain = slices.Clone(b.inc.Evidence), slices.Clone(b.inc.Related), append([]Trigger(nil), b.inc.Chain...)
	} else {
		inc = b.snapshot(r.cfg)
	}
	Advise(&inc)
	r.out = append(r.out, inc)
}

// who is a member as incidents name it.
func who(m coord.Member) Who { return Who{m.ID, m.Client, m.Host, m.Instance, m.Software} }

// joining is the rebalance under way if it is not yet Stable, else nil.
func (g *tracked) joining() *building {
	if g.open != nil && g.open.stage != inTail {
		return g.open
	}
	return nil
}

// target is where a trigger of this moment goes: the rebalance under way, or one that is about to be announced.
func (r *Recorder) target(g *tracked) *building {
	if b := g.joining(); b != nil {
		return b
	}
	if g.draft == nil {
		g.draft = r.newBuilding(g, Rebalance)
	}
	return g.draft
}

// newBuilding is an incident that begins now, with everybody who is in the group.
func (r *Recorder) newBuilding(g *tracked, kind Kind) *building {
	b := &building{of: g, partitionsMax: r.cfg.PartitionsMax, before: g.record, hasBefore: g.hasRecord, began: r.now, started: r.now}
	b.inc = Incident{Schema: Schema, Kind: kind, Group: g.name, Source: r.cfg.Source, Began: Time(r.now),
		GenerationBefore: -1, GenerationAfter: -1, MembersBefore: -1, MembersAfter: -1}
	if kind == Rebalance {
		b.byID = make(map[string]*part, len(g.members))
		for _, m := range g.members {
			b.add(m, Stayed)
		}
		if g.complete {
			b.inc.MembersBefore = len(g.members)
		}
	}
	return b
}

// remember keeps a departure.
func (g *tracked) remember(d *departure) {
	if len(g.departures) >= departuresMax {
		g.departures = slices.Delete(g.departures, 0, 1)
	}
	g.departures = append(g.departures, d)
}

// returning finds the departure that a newcomer undoes, and uses it up: the same instance id; else the same client id and host; else, within
// the time in which a verdict waits for it, the same client id from another host, as a pod has it that was moved (close is false then).
func (r *Recorder) returning(g *tracked, w Who) (d *departure, close bool) {
	g.departures = slices.DeleteFunc(g.departures, func(d *departure) bool { return r.now.Since(d.at) > r.cfg.ReturnRemembered })
	found := -1
	for i, d := range g.departures {
		if w.Instance != "" || d.who.Instance != "" {
			if d.who.Instance == w.Instance {
				found, close = i, true
				break
			}
			continue
		}
		if d.who.Client != w.Client {
			continue
		}
		if d.who.Host == w.Host {
			found, close = i, true
			break
		}
		if found < 0 && r.now.Since(d.at) <= r.cfg.ReturnAwaited {
			found = i
		}
	}
	if found < 0 {
		return nil, false
	}
	d = g.departures[found]
	g.departures = slices.Delete(g.departures, found, found+1)
	return d, close
}
