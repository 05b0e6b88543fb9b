package journal

import (
	"fmt"
	"slices"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// stage is where a rebalance under way is.
type stage int

const (
	drafted stage = iota // a trigger was seen, the rebalance is not announced
	inJoin
	inSync // all have joined, the assignment is awaited
	inTail // Stable; some have not asked for their part
	over
)

// building is an incident while it is made.
type building struct {
	of    *tracked
	inc   Incident // without members, partitions and costs, which snapshot makes
	stage stage

	began   vtime.Instant
	started vtime.Instant // of the round
	stable  vtime.Instant // when the group became Stable, in the last round
	ended   vtime.Instant
	idle    vtime.Instant // sum of the time between rounds, as a length
	revoked vtime.Instant // cooperative: when the first round told members what they lost

	parts []*part
	byID  map[string]*part

	before, after *record.GroupMetadataValue
	hasBefore     bool
	hasAfter      bool
	ownedBefore   *decoded // of before, see owned
	ownedRead     bool
	partitionsMax int // Config.PartitionsMax
	withheld      int // partitions the last round took and gave to nobody

	phaseStart vtime.Instant
	initial    bool
	awaited    []string // who had not joined when the round began
	lastGone   *departure
	arrivals   []vtime.Instant // of newcomers, for a first start

	atStart, atJoin, atEnd seen        // evidence
	compared               *comparison // of before and after, once both are known

	departures []*departure
	watched    bool
	looks      int // how often it is in Recorder.due
	// finished says that all but the verdict is let go of; final is the incident as it was then.
	finished bool
	final    Incident
	seatWas  string // of a seat that changed hands: the member id that had it
}

// part is one member's part in an incident.
type part struct {
	*member
	change                Change
	was                   string
	told, arrived, synced vtime.Instant
	atOnce                bool          // told by an answer that was held back for it
	gone, left            vtime.Instant // out now; was out for a while
	silent                Millis
	reason                string
	leader                bool
}

// at is when a draft was begun.
func (b *building) at() vtime.Instant { return b.began }

// add takes a member into the incident.
func (b *building) add(m *member, c Change) *part {
	p := &part{member: m, change: c}
	b.parts = append(b.parts, p)
	b.byID[m.ID] = p
	return p
}

// seat is the part of a static member that is gone, nil if there is none.
func (b *building) seat(instance string) *part {
	for _, p := range b.parts {
		if p.gone != 0 && p.Instance == instance {
			return p
		}
	}
	return nil
}

// trigger adds to what happened, within the bounds of the chain. It returns the entry, nil if there was no room.
func (b *building) trigger(t Trigger) {
	if len(b.inc.Chain) >= chainMax {
		return
	}
	if t.Kind == MemberJoined {
		n := 0
		for _, c := range b.inc.Chain {
			if c.Kind == MemberJoined {
				n++
			}
		}
		if n >= joinsInChain {
			return
		}
	}
	b.inc.Chain = append(b.inc.Chain, t)
}

// fact adds a fact, within the bound.
func (b *building) fact(f Fact) {
	if len(b.inc.Evidence) < factsMax || b.inc.has(f.ID, f.Member) {
		b.inc.AddFact(f)
	}
}

// lead makes the entry of the chain that fits the trigger of the rebalance; without one it is made of what the note says.
func (b *building) lead(kind TriggerKind, n coord.RebalanceStarted, at vtime.Instant) {
	for i, t := range b.inc.Chain {
		same := t.Kind == kind || kind == MemberLeft && t.Kind == MemberRemoved
		if same && (n.Member.ID == "" || t.Member != nil && t.Member.ID == n.Member.ID) {
			b.inc.Trigger = t
			b.inc.Chain = slices.Delete(b.inc.Chain, i, i+1)
			return
		}
	}
	b.inc.Trigger = newTrigger(kind, n, at)
}

func newTrigger(kind TriggerKind, n coord.RebalanceStarted, at vtime.Instant) Trigger {
	t := Trigger{At: Time(at), Kind: kind, Claimed: n.Reason}
	if n.Member.ID != "" {
		w := who(n.Member)
		t.Member = &w
	}
	return t
}

// startRound begins a join phase.
func (b *building) startRound(n coord.RebalanceStarted, at vtime.Instant) {
	b.stage, b.started, b.phaseStart, b.initial, b.lastGone = inJoin, at, at, n.Initial, nil
	b.awaited = b.awaited[:0]
	for _, m := range n.Awaited {
		b.awaited = append(b.awaited, m.ID)
	}
	for _, p := range b.parts {
		if p.arrived != at || p.gone != 0 {
			p.told, p.arrived, p.synced, p.atOnce = 0, 0, 0, false
		}
	}
}

// phaseName is the phase under way, as far as the stage tells.
func (b *building) phaseName() PhaseName {
	switch {
	case b.stage == inSync:
		return Assign
	case b.stage == inTail:
		return Sync
	case b.initial:
		return Gathering
	}
	return Drain
}

// endPhase ends the phase under way and begins the next. Phases that took no time are not written down.
func (b *building) endPhase(at vtime.Instant, name PhaseName, last *Who, expired bool) {
	if at > b.phaseStart {
		took, end := Millis(at.Since(b.phaseStart)), Time(at)
		b.inc.Phases = append(b.inc.Phases, Phase{Name: name, Round: b.round(), Start: Time(b.phaseStart), End: &end, Took: &took, Last: last, Expired: expired})
	}
	b.phaseStart = max(at, b.phaseStart)
}

// round is the number of the round under way, from 1.
func (b *building) round() int {
	if b.stage == inJoin || b.stage == drafted {
		return b.inc.Rounds + 1
	}
	return max(b.inc.Rounds, 1)
}

// endJoin writes down the phases of a join phase that ends now: until the last member had learned of it, and until the last had come.
func (b *building) endJoin(at vtime.Instant, last *Who) {
	if b.initial {
		b.endPhase(at, Gathering, last, false)
		return
	}
	var told vtime.Instant
	var slowest *part
	heard := Notice{Round: b.round()}
	for _, id := range b.awaited {
		p := b.byID[id]
		if p == nil {
			continue
		}
		knew := p.told
		if knew == 0 || p.arrived != 0 && p.arrived < knew {
			knew = p.arrived
		}
		if knew == 0 {
			continue
		}
		if knew >= told {
			told, slowest = knew, p
		}
		heard.add(p.atOnce, Millis(knew.Since(b.started)))
	}
	if heard.Members > 0 {
		b.inc.Notices = append(b.inc.Notices, heard)
	}
	if slowest != nil && told > b.started {
		w := slowest.Who
		b.endPhase(min(told, at), Noticing, &w, false)
	}
	expired := false
	if d := b.lastGone; d != nil && d.at == at && (d.kind == JoinExpired || d.kind == SessionExpired) {
		w := d.who
		last, expired = &w, true
	}
	b.endPhase(at, Drain, last, expired)
}

func (b *building) told(n coord.MemberTold, at vtime.Instant) {
	if p := b.byID[n.Member.ID]; p != nil && p.told == 0 {
		p.told, p.atOnce = at, n.Held
	}
}

// add counts a member that knew so long after the beginning of the round.
func (n *Notice) add(atOnce bool, after Millis) {
	n.Members++
	switch {
	case atOnce:
		n.AtOnce++
	case n.OthersMax == nil || after > *n.OthersMax:
		n.OthersMax = &after
	}
}

// settled reports whether nothing more is expected of it.
func (b *building) settled() bool { return !b.inc.Provisional && !b.watched }

// snapshot is the incident as it stands, sharing nothing with b that changes later.
func (b *building) snapshot(cfg Config) Incident {
	inc := b.inc
	inc.Chain = append([]Trigger(nil), inc.Chain...) // nil if there are none
	inc.Phases = slices.Clone(inc.Phases)
	inc.Notices = slices.Clone(inc.Notices)
	inc.Evidence = slices.Clone(inc.Evidence)
	inc.Missing = slices.Clone(inc.Missing)
	inc.Related = slices.Clone(inc.Related)
	if b.stage == inJoin || b.stage == inSync || b.stage == inTail {
		inc.Phases = append(inc.Phases, Phase{Name: b.phaseName(), Round: b.round(), Start: Time(b.phaseStart)})
	}
	if b.stage == over {
		ended := Time(b.ended)
		took := Millis(b.ended.Since(b.began)) - Millis(b.idle)
		inc.Ended, inc.Took = &ended, &took
	}
	if inc.Kind != Rebalance {
		return inc
	}
	inc.Members = make([]Member, 0, len(b.parts))
	for _, p := range b.parts {
		inc.Members = append(inc.Members, b.memberOf(p))
	}
	b.assignments(cfg, &inc)
	return inc
}

func (b *building) memberOf(p *part) Member {
	m := Member{Who: p.Who, Change: p.change, Was: p.was, Leader: p.leader, Told: moment(p.told), Arrived: moment(p.arrived), Synced: moment(p.synced), AtOnce: p.atOnce, Reason: p.reason}
	if p.session > 0 {
		s := Millis(p.session)
		m.SessionTimeout = &s
	}
	if p.rebalance > 0 {
		s := Millis(p.rebalance)
		m.RebalanceTimeout = &s
	}
	for _, pr := range p.protocols {
		if len(m.Assignors) < 16 {
			m.Assignors = append(m.Assignors, pr.Name)
		}
	}
	m.Topics = p.topics(b.inc.Protocol)
	return m
}

func moment(at vtime.Instant) *Time {
	if at == 0 {
		return nil
	}
	t := Time(at)
	return &t
}

// name gives b its id: its moment and the generation before it, and a number if that is not one of its own.
func (r *Recorder) name(b *building, generation int32) {
	id := b.began.Time().Format("20060102T150405.000")
	if generation >= 0 {
		id += fmt.Sprintf("-g%d", generation)
	}
	if b.inc.Kind != Rebalance {
		id += "-" + string(b.inc.Kind)
	}
	if len(r.named) >= namedMax {
		clear(r.named) // ids have the millisecond in them: only what is given within one can be the same
	}
	if r.named[b.inc.Group+" "+id]++; r.named[b.inc.Group+" "+id] > 1 {
		id += fmt.Sprintf("-%d", r.named[b.inc.Group+" "+id])
	}
	b.inc.ID = id
}
