package journal

import (
	"fmt"
	"slices"
	"time"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// What each kind of note does to the incident under way.

// loadedWindow is how long after a coordinator was loaded a rebalance may be its doing: members have one session to find it, and then some.
const loadedWindow = 2 * time.Minute

// neighbourWindow is how close together failures of one host must be to be one.
const neighbourWindow = 5 * time.Second

func (r *Recorder) arrived(g *tracked, n coord.MemberArrived) {
	b := r.target(g)
	now := &member{Who: who(n.Member), protocolType: n.ProtocolType, protocols: n.Protocols, session: n.SessionTimeout, rebalance: n.RebalanceTimeout}
	old := g.byID[n.Member.ID]
	if old == nil {
		g.members = append(g.members, now)
	} else {
		g.members[slices.Index(g.members, old)] = now
	}
	g.byID[now.ID] = now
	p := b.byID[now.ID]
	switch {
	case p != nil:
		p.member = now
	case now.Instance != "" && b.seat(now.Instance) != nil: // a static member that was removed is back before the rebalance is over: it is the same seat
		p = b.seat(now.Instance)
		delete(b.byID, p.ID)
		if p.was == "" {
			p.was = p.ID
		}
		p.member, p.left, p.gone = now, p.gone, 0
		if p.change == Passed {
			p.change = Joined
		} else {
			p.change = Replaced
		}
		b.byID[now.ID] = p
	default:
		p = b.add(now, Joined)
	}
	p.arrived, p.reason = r.now, n.Reason
	if p.change == Gone {
		p.change, p.gone = Stayed, 0
	}
	if b.inc.ProtocolType == "" {
		b.inc.ProtocolType = n.ProtocolType
	}
	t := Trigger{At: Time(r.now), Member: &p.Who, Claimed: n.Reason}
	switch {
	case n.New:
		t.Kind = MemberJoined
		b.arrivals = append(b.arrivals, r.now)
		r.newcomer(g, b, p)
		b.trigger(t)
	case old != nil && !n.Repeated:
		facts := difference(old, now)
		t.Kind = MemberChanged
		if len(facts) == 1 && facts[0].ID == FactNothingChanged {
			t.Kind = LeaderRejoined
		}
		// In the middle of a join phase everybody rejoins; only a change of what a member wants is worth a word.
		changed := slices.ContainsFunc(facts, func(f Fact) bool {
			return f.ID == FactTopicsAdded || f.ID == FactTopicsDropped || f.ID == FactAssignorsChanged
		})
		if b.stage == drafted || b.stage == inSync || changed {
			b.trigger(t)
			for _, f := range facts {
				b.fact(f)
			}
			r.commitRefused(g, b, now.Who)
		}
	}
}

// newcomer looks whether somebody who joins was here before.
func (r *Recorder) newcomer(g *tracked, b *building, p *part) {
	d, close := r.returning(g, p.Who)
	defer func() { g.lastNew = r.now }()
	if d == nil {
		if g.firstStart != 0 && r.now.Since(g.firstStart) <= r.cfg.ReturnAwaited {
			m := Millis(r.now.Since(g.firstStart))
			b.fact(newFact(FactLateStart, Measured, p.ID, "it came "+m.String()+" after the group's first start was over").ms(m))
			if g.lastNew != 0 {
				gap := Millis(r.now.Since(g.lastNew))
				b.fact(newFact(FactArrivalGap, Measured, p.ID, "the member before it had come "+gap.String()+" earlier").ms(gap))
			}
		}
		r.unknownSeat(g, b, p)
		return
	}
	away := Millis(r.now.Since(d.at))
	basis, how := Inferred, "client id and host"
	switch {
	case p.Instance != "":
		basis, how = Measured, "group.instance.id"
	case !close:
		basis, how = ConsistentWith, "client id, from another host"
	case !g.alone(p.Who): // others have the same: it may be anybody
		basis = ConsistentWith
	}
	if d.b == b {
		b.fact(newFact(FactCameBack, basis, d.who.ID, fmt.Sprintf("it came back %s later as %s, with the same %s, before the rebalance was over", away, p.ID, how)).ms(away))
		d.settled = true
		return
	}
	id, cause := d.of()
	if d.kind == SessionExpired && !d.alive {
		cause = RollingRestart // a process that died and was started again; one that was only cut off would have used its old id
	} else if cause == GracefulClose || cause == Unknown {
		cause = RollingRestart
	}
	f := newFact(FactReturns, basis, p.ID, fmt.Sprintf("the same %s had gone %s before", how, away)).ms(away)
	f.Cause = cause
	b.fact(f)
	b.inc.Related = append(b.inc.Related, id)
	if d.settled = true; d.b == nil {
		return // too late to add it to the other incident
	}
	d.b.drop(FactStayedAway, d.who.ID)
	d.b.inc.AddFact(newFact(FactCameBack, basis, d.who.ID, fmt.Sprintf("it came back %s later as %s, with the same %s", away, p.ID, how)).ms(away))
	r.sequel(d.b)
}

// sequel hands out an incident again because something that happened later settles it.
func (r *Recorder) sequel(b *building) {
	r.awaiting(b)
	if b.stage == over {
		r.emit(b, Amended)
		r.finish(b)
	}
}

// awaiting says whether b waits for somebody to come back.
func (r *Recorder) awaiting(b *building) {
	if b.inc.Kind != Rebalance {
		return
	}
	b.inc.Provisional, b.inc.Awaits, b.inc.AwaitedUntil = false, "", nil
	for _, d := range b.departures {
		if !d.settled {
			until := Time(d.at.Add(r.cfg.ReturnAwaited))
			b.inc.Provisional, b.inc.Awaits, b.inc.AwaitedUntil = true, "whether "+d.who.Name()+" comes back", &until
			return
		}
	}
}

// unknownSeat notes that a newcomer used an id before that the coordinator had lost or given up.
func (r *Recorder) unknownSeat(g *tracked, b *building, p *part) {
	for i, q := range g.refused {
		if q.Member != "" && r.now.Since(g.refusedAt[i]) <= loadedWindow && len(q.Member) > len(p.Client) && q.Member[:len(p.Client)+1] == p.Client+"-" {
			b.fact(newFact(FactUnknownSeat, Inferred, p.ID, fmt.Sprintf("its %s as %s was refused before: that id was not known any more", q.API, q.Member)))
			return
		}
	}
}

// commitRefused notes that a member's commit was refused shortly before it joined again.
func (r *Recorder) commitRefused(g *tracked, b *building, w Who) {
	for i := len(g.refused) - 1; i >= 0; i-- {
		q := g.refused[i]
		if q.Member != w.ID || r.now.Since(g.refusedAt[i]) > 30*time.Second {
			continue
		}
		if q.API == "OffsetCommit" {
			b.fact(newFact(FactCommitRefused, Measured, w.ID, "its commit was refused with "+q.Code.String()))
			return
		}
		if !b.inc.has(FactRefused, w.ID) {
			b.fact(newFact(FactRefused, Measured, w.ID, fmt.Sprintf("its %s was refused with %s: %s", q.API, q.Code, q.Why)))
		}
	}
}

func (r *Recorder) removed(g *tracked, n coord.MemberRemoved, ev seen) {
	b := r.target(g)
	w := who(n.Member)
	m := g.byID[w.ID]
	if m != nil {
		g.members = slices.DeleteFunc(g.members, func(x *member) bool { return x == m })
		delete(g.byID, w.ID)
	} else {
		m = &member{Who: w}
	}
	p := b.byID[w.ID]
	if p == nil {
		p = b.add(m, Stayed)
	}
	if p.change == Joined {
		p.change = Passed
	} else {
		p.change = Gone
	}
	silent := Millis(n.Silent)
	p.gone, p.silent, p.reason = r.now, silent, n.Reason
	t := Trigger{At: Time(r.now), Member: &w, Claimed: n.Reason, Measured: "last heard of " + silent.String() + " before"}
	switch n.Cause {
	case coord.Left:
		t.Kind = MemberLeft
		if by := n.By; by.Client != "" && (by.Client != w.Client || by.Host != w.Host) {
			t.Kind = MemberRemoved
		}
	case coord.RemovedByID:
		t.Kind = MemberRemoved
	case coord.SilentSession, coord.NeverAnswered:
		t.Kind = SessionExpired
	case coord.DidNotRejoin:
		t.Kind = JoinExpired
	case coord.DidNotSync:
		t.Kind = SyncExpired
	case coord.GroupFull:
		t.Kind = LimitReached
	}
	if t.Kind == MemberRemoved {
		by := "somebody else"
		if n.By.Client != "" {
			by = n.By.Client + " at " + hostText(n.By.Host)
		}
		b.fact(newFact(FactRemovedBy, Measured, w.ID, by+" asked the coordinator to remove it"))
	}
	b.trigger(t)
	switch {
	case n.Reason == "":
	case t.Kind == MemberRemoved:
		b.fact(newFact(FactClaimed, Measured, w.ID, fmt.Sprintf("the request gave the reason %q", n.Reason)))
	default:
		b.fact(newFact(FactClaimed, Measured, w.ID, fmt.Sprintf("its client gave the reason %q", n.Reason)))
	}
	b.fact(newFact(FactSilence, Measured, w.ID, "it was last heard of "+before(silent)).ms(silent))
	if m.session > 0 {
		b.fact(newFact(FactSession, Measured, w.ID, "its session timeout is "+Span(m.session)).ms(Millis(m.session)))
	}
	if m.rebalance > 0 {
		b.fact(newFact(FactRebalanceTimeout, Measured, w.ID, "its rebalance timeout is "+Span(m.rebalance)+", which is max.poll.interval.ms of Java clients and librdkafka").ms(Millis(m.rebalance)))
	}
	if t.Kind == MemberLeft && m.session > 0 && n.Silent <= m.session/2 {
		b.fact(newFact(FactHeartbeatsInTime, Measured, w.ID, "until then it was heard of in time"))
	}
	if t.Kind == JoinExpired {
		waited := Millis(r.now.Since(b.started))
		b.fact(newFact(FactWaited, Measured, w.ID, "everybody waited "+waited.String()+" for it to rejoin").ms(waited))
	}
	if n.Leader && b.stage == inSync {
		late := Millis(r.now.Since(b.phaseStart))
		b.fact(newFact(FactLeaderLate, Measured, w.ID, "it led, and did not hand in the assignment for "+late.String()).ms(late))
	}
	d := &departure{who: w, kind: t.Kind, at: r.now, b: b, alone: g.alone(w)}
	if t.Kind != LimitReached {
		g.remember(d)
		if len(b.departures) < departuresMax {
			b.departures = append(b.departures, d)
		}
	}
	b.lastGone = d
	r.neighbours(g, b, d)
	b.activity(r.now, w, ev)
	if b.stage != drafted {
		r.awaiting(b)
	}
}

// alone reports whether no member of the group shares the client id and host, so that what is seen of the client is seen of the member.
func (g *tracked) alone(w Who) bool {
	for _, m := range g.members {
		if m.ID != w.ID && m.Client == w.Client && m.Host == w.Host {
			return false
		}
	}
	return true
}

// neighbours notes that several members of one host went silent together.
func (r *Recorder) neighbours(g *tracked, b *building, d *departure) {
	if d.kind != SessionExpired {
		return
	}
	n := 0
	for _, o := range b.departures {
		if o.kind == SessionExpired && o.who.Host == d.who.Host && o.who.ID != d.who.ID && d.at.Since(o.at) <= neighbourWindow {
			n++
		}
	}
	if n > 0 {
		b.fact(newFact(FactNeighbours, Measured, b.departures[0].who.ID, count(n, "other member", "other members")+" of the same host went silent within "+Span(neighbourWindow)).num(float64(n), "members"))
	}
	if len(g.members) == 0 && n > 0 {
		b.fact(newFact(FactEverybody, Measured, b.departures[0].who.ID, "no member was left"))
	}
}

func (r *Recorder) started(g *tracked, n coord.RebalanceStarted, ev seen) {
	kind := map[coord.TriggerKind]TriggerKind{
		coord.MemberJoined: MemberJoined, coord.LeaderRejoined: LeaderRejoined, coord.ProtocolsChanged: MemberChanged, coord.MemberLeft: MemberLeft,
		coord.SessionExpired: SessionExpired, coord.SyncExpired: SyncExpired, coord.StaticReplaced: StaticReturn,
		coord.AssignmentTooLarge: LimitReached, coord.LoadedGroupTooLarge: LimitReached}[n.Trigger]
	b := g.open
	switch {
	case b != nil && b.stage == inSync && n.From == "CompletingRebalance":
		// Nobody has an assignment yet, so it is the same rebalance.
		b.endPhase(r.now, Assign, b.assigner(), b.gone(b.assigner()))
		b.startRound(n, r.now)
		r.emit(b, PhaseEnded)
		return
	case b != nil && b.stage == inTail:
		r.close(g, b, b.stable)
	case b != nil:
		r.lose(g)
	}
	if n.From == "Empty" {
		r.fromEmpty(g, b)
	}
	draft := g.draft
	if draft == nil {
		draft = r.newBuilding(g, Rebalance)
	}
	g.draft = nil
	b = draft
	if f := r.followUp(g, draft, kind, n); f != nil {
		b = f
	} else {
		b.inc.GenerationBefore = n.Generation
		b.inc.StateBefore = string(n.From)
		if n.From == "Empty" {
			g.complete, b.inc.MembersBefore, b.before, b.hasBefore = true, 0, nil, true
		}
		r.name(b, n.Generation)
	}
	b.atStart = ev
	if b == draft {
		b.lead(kind, n, r.now)
		r.context(g, b, n, kind, ev)
	} else {
		b.trigger(newTrigger(kind, n, r.now))
	}
	if kind == LimitReached && n.Trigger == coord.AssignmentTooLarge {
		b.fact(newFact(FactLimit, Measured, "", "the assignment does not fit a record of the coordinator's log"))
	}
	if kind == LimitReached && n.Trigger == coord.LoadedGroupTooLarge {
		b.fact(newFact(FactLimit, Measured, "", "the group has more members than group.max.size allows"))
	}
	b.startRound(n, r.now)
	g.open = b
	r.awaiting(b)
	r.emit(b, Opened)
}

// fromEmpty sees to it that a group that was Empty has nobody but who came at this moment. Others are left from a time that ended unseen: a coordinator that
// went away while the first members gathered has nothing to say of them when it comes back. stale is what was still under way then, nil for nothing.
func (r *Recorder) fromEmpty(g *tracked, stale *building) {
	from := g.draft
	if from == nil {
		from = stale
	}
	g.members = nil
	clear(g.byID)
	draft := r.newBuilding(g, Rebalance)
	if from != nil {
		for _, p := range from.parts {
			if p.arrived == r.now && p.gone == 0 {
				g.members = append(g.members, p.member)
				g.byID[p.ID] = p.member
				q := draft.add(p.member, Joined)
				q.arrived, q.reason = p.arrived, p.reason
				draft.arrivals = append(draft.arrivals, r.now)
			}
		}
		draft.inc.ProtocolType, draft.inc.Related = from.inc.ProtocolType, from.inc.Related
		for _, t := range from.inc.Chain {
			if t.At.Instant() == r.now && t.Member != nil && draft.byID[t.Member.ID] != nil {
				draft.trigger(t)
			}
		}
		for _, f := range from.inc.Evidence {
			if draft.byID[f.Member] != nil {
				draft.fact(f)
			}
		}
	}
	g.draft = draft
}

// followUp is the incident of which a rebalance that starts now is the second round, nil if it is one of its own. It takes what the draft knows.
func (r *Recorder) followUp(g *tracked, draft *building, kind TriggerKind, n coord.RebalanceStarted) *building {
	b := g.last
	if b == nil || b.stage != over || b.inc.StateAfter != "Stable" || b.inc.Rounds >= 8 || kind != LeaderRejoined && kind != MemberChanged {
		return nil
	}
	wait := r.rebalanceTimeout(b)
	claimed, _ := JoinReason(n.Reason)
	switch {
	case r.now.Since(b.stable) > wait:
		return nil
	case claimed != CooperativeRound && (!b.inc.Cooperative || b.withheld == 0):
		return nil
	case draft.inc.has(FactTopicsAdded, n.Member.ID) || draft.inc.has(FactTopicsDropped, n.Member.ID) || draft.inc.has(FactAssignorsChanged, n.Member.ID):
		return nil
	}
	if b.withheld > 0 {
		b.fact(newFact(FactWithheld, Measured, "", fmt.Sprintf("round %d took %s from their owners and gave them to nobody yet", b.inc.Rounds, count(b.withheld, "partition", "partitions"))).num(float64(b.withheld), "partitions"))
	}
	b.idle += vtime.Instant(r.now.Since(b.stable))
	for _, p := range draft.parts {
		if q := b.byID[p.ID]; q != nil {
			q.member, q.arrived, q.reason = p.member, p.arrived, p.reason
		} else if p.gone == 0 {
			p.change = Joined
			b.parts = append(b.parts, p)
			b.byID[p.ID] = p
		}
	}
	b.inc.StateAfter, b.inc.GenerationAfter, b.inc.MembersAfter = "", -1, -1
	b.after, b.hasAfter = nil, false
	return b
}

// rebalanceTimeout is the longest of the members', 5 minutes if none is known.
func (r *Recorder) rebalanceTimeout(b *building) (longest time.Duration) {
	for _, p := range b.parts {
		longest = max(longest, p.rebalance)
	}
	if longest == 0 {
		longest = 5 * time.Minute
	}
	return longest
}

// context adds the facts that are not about the trigger alone.
func (r *Recorder) context(g *tracked, b *building, n coord.RebalanceStarted, kind TriggerKind, ev seen) {
	id := n.Member.ID
	if cause, known := JoinReason(n.Reason); n.Reason != "" && (!known || cause != Unknown) && !b.inc.has(FactClaimed, id) {
		b.fact(newFact(FactClaimed, Measured, id, fmt.Sprintf("its client gave the reason %q", n.Reason)))
	}
	if kind == LeaderRejoined || kind == MemberChanged {
		r.commitRefused(g, b, who(n.Member))
	}
	// A coordinator that was loaded shortly before matters to those who may have been cut off by that.
	cutOff := kind == SessionExpired || kind == LimitReached || b.inc.has(FactUnknownSeat, id) || b.inc.has(FactRefused, id) || b.inc.has(FactCommitRefused, id)
	if cutOff && g.loaded != 0 && r.now.Since(g.loaded) <= max(loadedWindow, r.sessionTimeout(b)+10*time.Second) {
		ago := Millis(r.now.Since(g.loaded))
		b.fact(newFact(FactLoaded, Measured, "", "the coordinator had read the group from its log "+ago.String()+" before").ms(ago))
		if l := g.loadedInc; l != nil {
			b.inc.Related = append(b.inc.Related, l.inc.ID)
			l.inc.Related = append(l.inc.Related, b.inc.ID)
			l.inc.Provisional, l.inc.Awaits, l.inc.AwaitedUntil = false, "", nil
			g.loadedInc = nil
			r.emit(l, Amended)
		}
	}
	if d := b.departures; len(d) > 0 {
		for _, x := range d {
			b.activity(r.now, x.who, ev)
		}
	}
	if kind == LeaderRejoined || kind == MemberChanged {
		if g.last != nil && g.last.withheld > 0 && g.last.inc.Cooperative {
			b.fact(newFact(FactWithheld, Measured, "", fmt.Sprintf("the rebalance before took %s from their owners and gave them to nobody yet", count(g.last.withheld, "partition", "partitions"))).num(float64(g.last.withheld), "partitions"))
		}
		b.topicFacts(id, ev)
	}
}

// sessionTimeout is the longest of the members'.
func (r *Recorder) sessionTimeout(b *building) (longest time.Duration) {
	for _, p := range b.parts {
		longest = max(longest, p.session)
	}
	return longest
}

// gone reports whether a member is out.
func (b *building) gone(w *Who) bool {
	return w != nil && b.byID[w.ID] != nil && b.byID[w.ID].gone != 0
}

// assigner is the leader of the round under way.
func (b *building) assigner() *Who {
	for _, p := range b.parts {
		if p.leader {
			w := p.Who
			return &w
		}
	}
	return nil
}

func (r *Recorder) joined(g *tracked, n coord.JoinCompleted, ev seen) {
	b := g.joining()
	if b == nil {
		return // the beginning was not seen
	}
	last := who(n.Last)
	b.endJoin(r.now, &last)
	b.inc.Rounds++
	b.stage = inSync
	b.inc.Protocol, b.inc.GenerationAfter = n.Protocol, n.Generation
	b.inc.Cooperative = cooperative(b.inc.ProtocolType, n.Protocol)
	leader := who(n.Leader)
	b.inc.Leader = &leader
	for _, p := range b.parts {
		p.leader = p.ID == leader.ID
		p.synced = 0
	}
	if b.before != nil && b.before.Protocol != nil {
		b.inc.ProtocolBefore = *b.before.Protocol
		if b.inc.ProtocolBefore != n.Protocol {
			b.fact(newFact(FactProtocolFlipped, Measured, "", fmt.Sprintf("the group's assignor was %s and is %s", b.inc.ProtocolBefore, n.Protocol)))
		}
	}
	if b.inc.StateBefore == "Empty" && b.inc.Rounds == 1 {
		b.fact(newFact(FactGathered, Measured, "", fmt.Sprintf("%s when the wait for the first ones was over", count(n.Members, "member was there", "members were there"))).num(float64(n.Members), "members"))
		var gap time.Duration
		for i := 1; i < len(b.arrivals); i++ {
			gap = max(gap, b.arrivals[i].Since(b.arrivals[i-1]))
		}
		if len(b.arrivals) > 1 {
			b.fact(newFact(FactArrivalGap, Measured, "", "the longest time between two arrivals was "+Span(gap)).ms(Millis(gap)))
		}
	}
	b.atJoin = b.atJoin.with(ev)
	r.emit(b, PhaseEnded)
}

func (r *Recorder) emptied(g *tracked, n coord.GroupEmptied, ev seen) {
	g.members, g.complete, g.record, g.hasRecord = nil, true, nil, true
	clear(g.byID)
	b := g.joining()
	if b == nil {
		return
	}
	b.endJoin(r.now, nil)
	b.inc.Rounds++
	b.after, b.hasAfter, b.atEnd, b.atJoin = &record.GroupMetadataValue{ProtocolType: b.inc.ProtocolType}, true, ev, ev
	b.inc.GenerationAfter, b.inc.MembersAfter, b.inc.StateAfter = n.Generation, 0, "Empty"
	b.stable = r.now
	b.stage = inTail
	r.close(g, b, r.now)
}

func (r *Recorder) stabilized(g *tracked, n coord.Stabilized, ev seen) {
	old := g.record
	g.record, g.hasRecord = n.Record, n.Record != nil
	b := g.open
	if b == nil || b.stage != inSync {
		return
	}
	w := who(n.Leader)
	b.endPhase(r.now, Assign, &w, false)
	b.stage, b.stable = inTail, r.now
	b.after, b.hasAfter, b.atEnd = n.Record, n.Record != nil, ev
	b.inc.MembersAfter, b.inc.StateAfter, b.inc.GenerationAfter = n.Members, "Stable", n.Generation
	if took := n.Took; took >= time.Second {
		b.fact(newFact(FactLeaderLate, Measured, w.ID, "the leader took "+Span(took)+" to hand in the assignment").ms(Millis(took)))
	}
	if round := compare(old, old != nil, n.Record, r.cfg.PartitionsMax); round != nil {
		b.withheld = round.withheld
		if b.withheld > 0 {
			b.revoked = r.now
		}
	}
	waits := map[string]bool{}
	for _, m := range n.Awaited {
		waits[m.ID] = true
	}
	for _, p := range b.parts {
		if p.gone == 0 && !waits[p.ID] {
			p.synced = r.now
		}
	}
	if len(waits) == 0 {
		r.close(g, b, r.now)
		return
	}
	r.emit(b, PhaseEnded)
}

func (r *Recorder) synced(g *tracked, n coord.SyncArrived) {
	b := g.open
	if b == nil {
		return
	}
	p := b.byID[n.Member.ID]
	if p != nil && b.stage == inTail {
		p.synced = r.now
	}
	if b.stage == inTail && n.Awaited == 0 {
		w := who(n.Member)
		b.endPhase(r.now, Sync, &w, false)
		r.close(g, b, r.now)
	}
}

// close ends an incident at a moment that is not later than now.
func (r *Recorder) close(g *tracked, b *building, at vtime.Instant) {
	g.open, g.last = nil, b
	b.stage, b.ended = over, at
	if b.inc.StateBefore == "Empty" {
		g.firstStart = at
	}
	r.awaiting(b)
	if b.hasAfter {
		if len(b.atEnd.fetches)+len(b.atEnd.offsets) > 0 {
			b.watched = true
			r.look(b, r.now.Add(time.Second))
			r.look(b, r.now.Add(10*time.Second))
		}
	}
	if b.inc.Provisional {
		r.look(b, r.now.Add(2*time.Second))
		r.look(b, b.inc.AwaitedUntil.Instant())
	}
	r.emit(b, Closed)
	r.finish(b)
}
