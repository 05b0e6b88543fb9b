package journal

import (
	"fmt"
	"slices"
	"time"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// What is worth an incident although the group does not rebalance: seats that change hands, a coordinator that was loaded, clients that are
// turned away, offsets that expire. And what is only remembered, for the incident that follows.

// againWindow is how long the same thing happening again belongs to the same incident.
const againWindow = 10 * time.Minute

// aside is an incident without a rebalance; it is over as it begins.
func (r *Recorder) aside(g *tracked, kind Kind, t Trigger) *building {
	b := r.newBuilding(g, kind)
	b.inc.Trigger = t
	b.stage, b.ended = over, r.now
	r.name(b, -1)
	return b
}

func (r *Recorder) replaced(g *tracked, n coord.StaticMemberReplaced) {
	w := who(n.Member)
	old := g.byID[n.OldID]
	now := &member{Who: w}
	if old != nil {
		*now = *old
		now.Who = w
		g.members[slices.Index(g.members, old)] = now
		delete(g.byID, n.OldID)
	} else {
		g.members = append(g.members, now)
	}
	g.byID[w.ID] = now
	away := Millis(n.Away)
	seat := newFact(FactSeatTaken, Measured, w.ID, fmt.Sprintf("it took the seat of %s%s, last heard of %s before", n.OldID, atHost(old), away)).ms(away)
	t := Trigger{At: Time(r.now), Kind: StaticReturn, Member: &w, Measured: "the seat was last heard of " + away.String() + " before"}
	if n.Rebalance {
		b := r.target(g)
		p := b.byID[n.OldID]
		if p == nil {
			p = b.add(now, Replaced)
		}
		delete(b.byID, n.OldID)
		p.member, p.change, p.was = now, Replaced, n.OldID
		b.byID[w.ID] = p
		for i, id := range b.awaited {
			if id == n.OldID {
				b.awaited[i] = w.ID
			}
		}
		b.trigger(t)
		b.fact(seat)
		return
	}
	if b := g.open; b != nil && b.byID[n.OldID] != nil { // in the tail: Stable, and some have not asked for their part
		p := b.byID[n.OldID]
		delete(b.byID, n.OldID)
		p.member, p.was = now, n.OldID
		b.byID[w.ID] = p
	}
	for _, b := range g.seats {
		if b.inc.Trigger.Member.Instance == w.Instance && b.inc.has(FactOldFenced, "") && r.now.Since(b.ended) <= againWindow {
			b.trigger(t)
			b.inc.Repeats++
			b.ended, b.seatWas = r.now, n.OldID
			r.emit(b, Amended)
			return
		}
	}
	b := r.aside(g, Absorbed, t)
	b.seatWas = n.OldID
	b.inc.StateBefore, b.inc.StateAfter = "Stable", "Stable"
	b.fact(seat)
	if now.session > 0 {
		b.fact(newFact(FactSession, Measured, w.ID, "its session timeout is "+Span(now.session)).ms(Millis(now.session)))
	}
	until := Time(r.now.Add(r.cfg.ReturnAwaited))
	b.inc.Provisional, b.inc.Awaits, b.inc.AwaitedUntil = true, "whether the former holder of the seat is still alive", &until
	g.seats = append(g.seats, b)
	if len(g.seats) > seatsMax {
		g.seats = slices.Delete(g.seats, 0, 1)
	}
	r.look(b, until.Instant())
	r.emit(b, Closed)
}

// atHost says where a member is, "" if that is not known.
func atHost(m *member) string {
	if m == nil || m.Host == "" {
		return ""
	}
	return " at " + hostText(m.Host)
}

func (r *Recorder) requestRefused(g *tracked, n coord.RequestRefused) {
	if len(g.refused) >= refusedMax {
		g.refused, g.refusedAt = slices.Delete(g.refused, 0, 1), slices.Delete(g.refusedAt, 0, 1)
	}
	n.Protocols = slices.Clip(n.Protocols)
	g.refused, g.refusedAt = append(g.refused, n), append(g.refusedAt, r.now)
	switch n.Code {
	case kafka.FencedInstanceID:
		r.fenced(g, n)
	case kafka.InconsistentGroupProtocol, kafka.GroupMaxSizeReached, kafka.InvalidSessionTimeout:
		if n.API == "JoinGroup" {
			r.turnedAway(g, n)
		}
		return
	}
	for _, d := range g.departures {
		if d.who.ID != n.Member || n.Member == "" {
			continue
		}
		after := Millis(r.now.Since(d.at))
		isNew := !d.alive
		d.alive = true
		if d.b == nil {
			return
		}
		if n.API == "OffsetCommit" && !d.b.inc.has(FactCommitRefused, n.Member) {
			d.b.fact(newFact(FactCommitRefused, Measured, n.Member, "its commit was refused with "+n.Code.String()+" "+after.String()+" later"))
			isNew = true
		}
		if !d.b.inc.has(FactOldIDUsed, n.Member) {
			d.b.fact(newFact(FactOldIDUsed, Measured, n.Member, fmt.Sprintf("%s after it was out, its %s came under its old id: its process was alive", after, n.API)).ms(after))
		}
		if isNew && d.b.stage == over {
			r.emit(d.b, Amended)
		}
		return
	}
}

// fenced settles whether a seat that changed hands had two claimants: its former holder is still there.
func (r *Recorder) fenced(g *tracked, n coord.RequestRefused) {
	mark := func(b *building, was string) bool {
		if b == nil || was != n.Member || n.Member == "" {
			return false
		}
		b.fact(newFact(FactOldFenced, Measured, b.inc.Trigger.Member.ID, fmt.Sprintf("the former holder of the seat, %s, was alive: its %s was refused with %s", n.Member, n.API, n.Code)).num(float64(b.inc.Repeats+1), "times"))
		return true
	}
	for i := len(g.seats) - 1; i >= 0; i-- {
		b := g.seats[i]
		if !mark(b, b.seatWas) {
			continue
		}
		b.inc.Provisional, b.inc.Awaits, b.inc.AwaitedUntil = false, "", nil
		r.emit(b, Amended)
		return
	}
	for _, b := range []*building{g.open, g.last} {
		if b == nil || b.inc.Trigger.Kind != StaticReturn || b.inc.Trigger.Member == nil {
			continue
		}
		if p := b.byID[b.inc.Trigger.Member.ID]; p != nil && mark(b, p.was) {
			if b.stage == over {
				r.emit(b, Amended)
			}
			return
		}
	}
}

// turnedAway records a client that the group does not let in. It tries again at once, so only its first attempts, and then fewer and fewer, are told.
func (r *Recorder) turnedAway(g *tracked, n coord.RequestRefused) {
	w := Who{ID: n.Member, Client: n.Client, Host: n.Host, Instance: n.Instance, Software: n.Software}
	for _, b := range g.turned {
		t := b.inc.Trigger
		if t.Member.Client == w.Client && t.Member.Host == w.Host && t.Claimed == n.Code.String() && r.now.Since(b.ended) <= againWindow {
			b.ended = r.now
			if b.inc.Repeats++; powerOfTen(b.inc.Repeats) {
				r.emit(b, Amended)
			}
			return
		}
	}
	b := r.aside(g, Refused, Trigger{At: Time(r.now), Kind: RequestRefused, Member: &w, Claimed: n.Code.String(), Measured: n.Why})
	f := newFact(FactRefused, Measured, w.ID, fmt.Sprintf("its JoinGroup was refused with %s: %s", n.Code, n.Why))
	if n.Code != kafka.InconsistentGroupProtocol {
		f.Cause = BrokerPolicy
		b.fact(f)
		b.fact(newFact(FactLimit, Measured, w.ID, n.Why))
	} else {
		f.Cause = AssignorChange
		b.fact(f)
		b.fact(newFact(FactAssignorsChanged, Measured, w.ID, "it supports "+words(protocolNames(n.Protocols))+"; "+g.supports()))
	}
	g.turned = append(g.turned, b)
	if len(g.turned) > seatsMax {
		g.turned = slices.Delete(g.turned, 0, 1)
	}
	r.emit(b, Closed)
}

func protocolNames(protocols []coord.Protocol) (out []string) {
	for _, p := range protocols {
		out = append(out, p.Name)
	}
	return out
}

// supports says what all members have in common.
func (g *tracked) supports() string {
	if len(g.members) == 0 {
		return "the group's assignors are not known"
	}
	votes := map[string]int{}
	for _, m := range g.members {
		for _, p := range m.protocols {
			votes[p.Name]++
		}
	}
	var common []string
	for name, n := range votes { // any order: sorted below
		if n == len(g.members) {
			common = append(common, name)
		}
	}
	slices.Sort(common)
	return "all members of the group support " + words(common)
}

func powerOfTen(n int) bool {
	for n >= 10 && n%10 == 0 {
		n /= 10
	}
	return n == 1
}

func (r *Recorder) restored(g *tracked, n coord.GroupRestored) {
	r.lose(g)
	g.draft, g.complete = nil, true
	g.record, g.hasRecord = n.Record, n.Record != nil
	former := g.byID
	g.members, g.byID = nil, map[string]*member{}
	if n.Record != nil {
		for _, m := range n.Record.Members {
			known := restoredMember(n.Record, m)
			if f := former[m.ID]; f != nil {
				known.Software = f.Software
			}
			if g.byID[m.ID] == nil {
				g.members = append(g.members, known)
				g.byID[m.ID] = known
			}
		}
	}
	g.loaded = r.now
	b := r.aside(g, Absorbed, Trigger{At: Time(r.now), Kind: Loaded})
	b.inc.StateBefore, b.inc.StateAfter = string(n.State), string(n.State)
	b.inc.GenerationBefore, b.inc.GenerationAfter = n.Generation, n.Generation
	b.inc.MembersBefore, b.inc.MembersAfter = n.Members, n.Members
	b.fact(newFact(FactLoaded, Measured, "", "the coordinator read the group from its log and gave every member a full session").num(0, "ms"))
	b.fact(newFact(FactGenerationIs, Measured, "", fmt.Sprintf("the group kept generation %d and its %s", n.Generation, count(n.Members, "member", "members"))).num(float64(n.Generation), "generation"))
	var session time.Duration
	for _, m := range g.members {
		session = max(session, m.session)
	}
	until := Time(r.now.Add(min(max(session, 10*time.Second)+5*time.Second, r.cfg.ReturnRemembered)))
	b.inc.Provisional, b.inc.Awaits, b.inc.AwaitedUntil = true, "whether all members find the coordinator within their session", &until
	g.loadedInc = b
	r.look(b, until.Instant())
	r.emit(b, Closed)
}

func restoredMember(v *record.GroupMetadataValue, m record.Member) *member {
	out := &member{Who: Who{ID: m.ID, Client: m.ClientID, Host: m.ClientHost}, protocolType: v.ProtocolType, session: m.SessionTimeout,
		rebalance: max(m.RebalanceTimeout, 0), partial: true}
	if m.InstanceID != nil {
		out.Instance = *m.InstanceID
	}
	if v.Protocol != nil {
		out.protocols = []coord.Protocol{{Name: *v.Protocol, Metadata: m.Subscription}}
	}
	return out
}

func (r *Recorder) offsetsDeleted(g *tracked, n coord.OffsetsDeleted) {
	if n.Cause != coord.RetentionPassed && n.Cause != coord.ExpiryPassed {
		return
	}
	b := r.aside(g, Happening, Trigger{At: Time(r.now), Kind: OffsetsExpired, Measured: string(n.Cause)})
	text := fmt.Sprintf("the committed offsets of %s were deleted: %s", count(len(n.Partitions), "partition", "partitions"), n.Cause)
	if n.SinceEmpty {
		text += ", counted from when the group became empty, " + Span(r.now.Since(n.Since)) + " before"
	}
	b.fact(newFact(FactExpired, Measured, "", text).num(float64(len(n.Partitions)), "partitions"))
	b.fact(newFact(FactLimit, Measured, "", "offsets.retention.minutes says how long they are kept"))
	r.emit(b, Closed)
}

func (r *Recorder) groupDeleted(g *tracked, n coord.GroupDeleted) {
	if n.Cause == coord.ByRequest {
		b := r.aside(g, Happening, Trigger{At: Time(r.now), Kind: GroupDeleted, Measured: string(n.Cause)})
		b.fact(newFact(FactRemovedBy, Measured, "", "an administrator deleted the group and its offsets"))
		r.emit(b, Closed)
	}
	g.record, g.hasRecord, g.complete, g.open, g.last = nil, true, true, nil, nil
	g.members = nil
	clear(g.byID)
}

// Wants says which evidence a note would like; ok is false for most, which need none. Ask before the note is handed in.
func (r *Recorder) Wants(n coord.Note) (in Interest, ok bool) {
	g := r.groups[n.NoteGroup()]
	switch n := n.(type) {
	case coord.RebalanceStarted:
		if g == nil {
			return in, false
		}
		in = Interest{Group: n.Group, Owners: g.owners(g.record, r.cfg), Topics: g.topicsRead(g.record, r.cfg)}
		if n.Member.ID != "" {
			in.Clients = append(in.Clients, who(n.Member))
		}
		if g.draft != nil {
			for _, d := range g.draft.departures {
				in.Clients = append(in.Clients, d.who)
			}
		}
	case coord.JoinCompleted:
		if g == nil {
			return in, false
		}
		in = Interest{Group: n.Group, Owners: g.owners(g.record, r.cfg)}
		if b := g.open; b != nil && b.before != nil && b.before != g.record { // a second round: what moves was the first owners'
			in.Owners = append(in.Owners, g.owners(b.before, r.cfg)...)
		}
	case coord.GroupEmptied:
		if g == nil {
			return in, false
		}
		in = Interest{Group: n.Group, Owners: g.owners(g.record, r.cfg)}
	case coord.Stabilized:
		if g == nil {
			g = &tracked{}
		}
		in = Interest{Group: n.Group, Owners: g.owners(n.Record, r.cfg), Watch: true}
	case coord.MemberRemoved:
		if g == nil || g.joining() == nil {
			return in, false // the rebalance that it sets off asks
		}
		in = Interest{Group: n.Group, Clients: []Who{who(n.Member)}}
	default:
		return in, false
	}
	return in, true
}

// owners is who has which partitions in an assignment.
func (g *tracked) owners(v *record.GroupMetadataValue, cfg Config) (out []Owner) {
	d := decode(v, cfg.PartitionsMax)
	if d == nil {
		return nil
	}
	for i, w := range d.who {
		if len(d.parts[i]) > 0 {
			out = append(out, Owner{w.Client, w.Host, d.parts[i]})
		}
	}
	return out
}

func (g *tracked) topicsRead(v *record.GroupMetadataValue, cfg Config) (out []string) {
	for _, m := range g.members {
		out = append(out, m.topics("")...)
		if len(out) > 10_000 {
			break
		}
	}
	if d := decode(v, cfg.PartitionsMax); d != nil {
		for _, parts := range d.parts {
			for _, tp := range parts {
				out = append(out, tp.Topic)
			}
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	return out[:min(len(out), 1000)]
}

// interest is what b would like to know now that it is over.
func (b *building) interest() Interest {
	in := Interest{Group: b.inc.Group, Incident: b.inc.ID}
	for _, d := range b.departures {
		if !d.settled {
			in.Clients = append(in.Clients, d.who)
		}
	}
	if b.watched {
		if d := decode(b.after, b.partitionsMax); d != nil {
			for i, w := range d.who {
				if len(d.parts[i]) > 0 {
					in.Owners = append(in.Owners, Owner{w.Client, w.Host, d.parts[i]})
				}
			}
		}
	}
	return in
}

// amend looks again at an incident that is over: what became of who went, and when partitions were first read again.
func (r *Recorder) amend(b *building, ev seen) {
	if b.stage != over {
		return // it goes on: a second round
	}
	changed := false
	for _, d := range b.departures {
		if d.settled {
			continue
		}
		if c, known := ev.clients[clientKey{d.who.Client, d.who.Host}]; known && d.alone {
			n := len(b.inc.Evidence)
			b.connection(d, c)
			changed = changed || len(b.inc.Evidence) > n
		}
		if waited := r.now.Since(d.at); waited >= r.cfg.ReturnAwaited {
			d.settled, changed = true, true
			m := Millis(waited)
			b.fact(newFact(FactStayedAway, Measured, d.who.ID, "nobody with its client id and host joined within "+m.String()).ms(m))
		}
	}
	if b.inc.Kind == Rebalance {
		r.awaiting(b)
	} else if b.inc.Provisional && b.inc.AwaitedUntil != nil && r.now >= b.inc.AwaitedUntil.Instant() {
		b.inc.Provisional, b.inc.Awaits, b.inc.AwaitedUntil = false, "", nil
		changed = true
	}
	if b.watched {
		for k, f := range ev.fetches { // any order: each sets its own entry
			if f.Next != 0 {
				if b.atEnd.fetches == nil {
					b.atEnd.fetches = map[fetchKey]FetchSeen{}
				}
				if old := b.atEnd.fetches[k]; old.Next == 0 {
					old.Next = f.Next
					b.atEnd.fetches[k] = old
					changed = true
				}
			}
		}
		if r.now.Since(b.ended) >= 10*time.Second {
			b.watched = false
		}
	}
	if changed {
		r.emit(b, Amended)
	}
}

// owned is who had what before, decoded once; nil if it cannot be read.
func (b *building) owned() *decoded {
	if !b.ownedRead {
		b.ownedRead, b.ownedBefore = true, decode(b.before, b.partitionsMax)
	}
	return b.ownedBefore
}

// connection notes what became of the connection of a member that went.
func (b *building) connection(d *departure, c ClientSeen) {
	switch {
	case c.Open > 0 && d.kind != SessionExpired && c.Closed < d.at:
		if !b.inc.has(FactConnectionClosed, d.who.ID) {
			b.fact(newFact(FactConnectionOpen, Measured, d.who.ID, "its client stayed connected"))
		}
	case c.Open > 0:
		b.fact(newFact(FactConnectionOpen, Measured, d.who.ID, "its client was still connected"))
	case c.Closed != 0:
		text := "its connection was closed"
		switch {
		case max(d.at.Since(c.Closed), c.Closed.Since(d.at)) < time.Second:
			text += " as it left"
		case c.Closed <= d.at:
			text += " " + Span(d.at.Since(c.Closed)) + " before it was out"
		default:
			text += " " + Span(c.Closed.Since(d.at)) + " after it was out"
		}
		b.drop(FactConnectionOpen, d.who.ID)
		b.fact(newFact(FactConnectionClosed, Measured, d.who.ID, text))
	}
}

func (b *building) drop(id FactID, member string) {
	b.inc.Evidence = slices.DeleteFunc(b.inc.Evidence, func(f Fact) bool { return f.ID == id && f.Member == member })
}

// activity adds what is known of a member that went: its connection, and how long it neither fetched nor committed.
func (b *building) activity(now vtime.Instant, w Who, ev seen) {
	if len(ev.clients)+len(ev.offsets)+len(ev.fetches) == 0 {
		return
	}
	alone := b.of.alone(w)
	if alone {
		if c, known := ev.clients[clientKey{w.Client, w.Host}]; known {
			for _, d := range b.departures {
				if d.who.ID == w.ID && (d.kind == SessionExpired || c.Open > 0) {
					// A client that leaves closes its connection a moment later: that it is open now says nothing yet.
					if d.kind == SessionExpired {
						b.connection(d, c)
					}
				}
			}
		}
	}
	if len(ev.offsets)+len(ev.fetches) == 0 {
		return
	}
	d := b.owned()
	if d == nil {
		return
	}
	i := slices.Index(d.keys, seatKey(w.ID, w.Instance))
	if i < 0 {
		return
	}
	var fetched, committed vtime.Instant
	known, idle := 0, true
	for _, tp := range d.parts[i] {
		for _, p := range tp.Partitions {
			k := kafka.TopicPartition{Topic: tp.Topic, Partition: p}
			if o, ok := ev.offsets[k]; ok {
				known++
				committed = max(committed, o.CommittedAt)
				if o.Committed < 0 || o.LogEnd < 0 || o.Committed < o.LogEnd {
					idle = false
				}
			}
			if f, ok := ev.fetches[fetchKey{clientKey{w.Client, w.Host}, k}]; ok && alone {
				fetched = max(fetched, f.Fetched)
			}
		}
	}
	if fetched != 0 {
		s := Millis(now.Since(fetched))
		b.fact(newFact(FactFetchSilence, Measured, w.ID, "its client last fetched from its partitions "+before(s)).ms(s))
	}
	if committed != 0 {
		s := Millis(now.Since(committed))
		b.fact(newFact(FactCommitSilence, Measured, w.ID, "the last commit for one of its partitions was "+before(s)).ms(s))
	}
	if known > 0 && idle {
		b.fact(newFact(FactNothingToDo, Measured, w.ID, "it had nothing left to read"))
	}
}

// topicFacts says what the metadata have to do with a member that joined again.
func (b *building) topicFacts(id string, ev seen) {
	p := b.byID[id]
	if p == nil || len(ev.topics) == 0 {
		return
	}
	var lastBuilt vtime.Instant
	if b.before != nil {
		lastBuilt = vtime.FromMillis(max(b.before.CurrentStateTimestamp, 0))
	}
	assigned := map[string]int{}
	subscribed := map[string]bool{}
	if d := b.owned(); d != nil {
		for _, parts := range d.parts {
			for _, tp := range parts {
				assigned[tp.Topic] += len(tp.Partitions)
			}
		}
		for _, topics := range d.topics {
			for _, t := range topics {
				subscribed[t] = true
			}
		}
	} else {
		return
	}
	for _, q := range b.parts {
		for _, t := range q.topics("") {
			subscribed[t] = true
		}
	}
	var names []string
	for t := range subscribed { // any order: sorted below
		names = append(names, t)
	}
	slices.Sort(names)
	for _, t := range names {
		seen, known := ev.topics[t]
		switch n := assigned[t]; {
		case !known:
		case seen.Partitions == 0 && n > 0:
			b.fact(newFact(FactTopicDeleted, Measured, id, "the topic "+t+" is not there any more"))
		case n == 0 && seen.Partitions > 0:
			if seen.Created != 0 && seen.Created >= lastBuilt {
				b.fact(newFact(FactTopicCreated, Measured, id, "the topic "+t+" was created "+Span(vtime.Instant(b.started).Since(seen.Created))+" before, and nobody reads it yet"))
			}
		case int(seen.Partitions) > n:
			b.fact(newFact(FactPartitionsGrown, Measured, id, fmt.Sprintf("%s has %d partitions, %d of them were assigned", t, seen.Partitions, n)).num(float64(int(seen.Partitions)-n), "partitions"))
		}
	}
}

// before says how long ago something was.
func before(m Millis) string {
	if m.D() < 10*time.Millisecond {
		return "just before"
	}
	return m.String() + " before"
}

func count(n int, one, many string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, one)
	}
	return fmt.Sprintf("%d %s", n, many)
}
