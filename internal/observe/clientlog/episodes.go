package clientlog

import (
	"cmp"
	"slices"
	"time"
)

// member is one consumer as the logs show it: a client id in one file. Its member ids come and go.
type member struct {
	file            int
	client          Client
	clientID, group string
	instance        string
	ids             []string // in order, the last at the end
	departed        *Event   // why it is out of the group: PollExpired, Leaving, HeartbeatRefused, Silent; nil while it is in, or never was
	settings        map[string]setting
	events          []*Event // in the order of the time line
	label           string   // what it is called where its client id alone would not tell it from another
	seated, closed  bool     // while episodes are made: it has had an assignment; it was closed
}

type setting struct {
	value string
	event *Event
}

// name is what the member is called in a story.
func (m *member) name() string {
	switch {
	case m.label != "":
		return m.label
	case m.clientID != "":
		return m.clientID
	case m.instance != "":
		return m.instance
	case len(m.ids) > 0:
		return m.ids[len(m.ids)-1]
	}
	return "this client"
}

// episode is one rebalance as the logs show it, or something that might have been one.
type episode struct {
	group  string
	events []*Event
	parts  map[*member]*part
	// members are those in parts, in the order of their first line; moving and settled count parts, top is the highest generation named.
	members         []*member
	moving, settled int
	top             int32
	// back is the departure that ended when this began with the return of the same member; nil for all others.
	back *Event
	// joinsOthers says that members were at rest in the group when this began.
	joinsOthers bool
}

// part is a member's part in an episode.
type part struct {
	events   []*Event
	last     *Event
	departed bool // left or was put out in it
	settled  bool // has its assignment
	moving   bool // told, or joining, and not settled
	newcomer bool // had its first assignment in it
	out      bool // was out of the group already when it began
	again    bool // about to join the second round of a cooperative rebalance
}

// gaps between lines that belong together.
const (
	gapWhileMoving = 15 * time.Minute // a join phase lasts as long as max.poll.interval.ms
	gapAtRest      = 20 * time.Second // others learn with their next heartbeat
	gapWithinRound = 300 * time.Millisecond
	gapOfOneBreath = 2 * time.Second // the lines that a client writes when it leaves
)

// timeline puts the events of all sources in order. Files without any time keep their own order, and their place among the files.
func (l *Log) timeline() []*Event {
	out := make([]*Event, len(l.events))
	for i := range l.events {
		out[i] = &l.events[i]
	}
	timeless := slices.ContainsFunc(l.sources, func(s Source) bool { return s.clock == noClock && s.Understood > 0 })
	if !timeless {
		slices.SortStableFunc(out, func(a, b *Event) int {
			return cmp.Or(cmp.Compare(a.moment.at, b.moment.at), cmp.Compare(a.file, b.file), cmp.Compare(a.line, b.line))
		})
	}
	for i, e := range out {
		e.pos, e.seq = i, len(e.member.events)
		e.member.events = append(e.member.events, e)
	}
	return out
}

// join gives every event its member. A line that does not name its client is its file's only one, if it has only one.
func (l *Log) join() []*member {
	type key struct {
		file             int
		client           Client
		clientID, lastID string
	}
	known := map[key]*member{}
	var all []*member
	perFile := make([][]*member, len(l.sources))
	find := func(e *Event) *member {
		k := key{e.file, e.Client, e.ClientID, ""}
		if m := known[k]; m != nil {
			return m
		}
		m := &member{file: e.file, client: e.Client, clientID: e.ClientID, settings: map[string]setting{}}
		known[k] = m
		all = append(all, m)
		perFile[e.file] = append(perFile[e.file], m)
		return m
	}
	for i := range l.events {
		if e := &l.events[i]; e.ClientID != "" {
			e.member = find(e)
			e.member.learn(e)
		}
	}
	for i := range l.events {
		e := &l.events[i]
		if e.member != nil {
			continue
		}
		var same []*member
		for _, m := range perFile[e.file] {
			if m.client == e.Client && (e.Group == "" || m.group == "" || m.group == e.Group) {
				same = append(same, m)
			}
		}
		if len(same) == 1 {
			e.member = same[0]
		} else {
			e.member = find(e)
		}
		e.member.learn(e)
	}
	for i := range l.events { // the group that a line leaves out is its member's
		if e := &l.events[i]; e.Group == "" {
			e.Group = e.member.group
		}
	}
	l.lendGroup(all)
	names := map[string]int{}
	for _, m := range all {
		names[m.name()]++
	}
	for _, m := range all {
		if names[m.name()] > 1 && len(l.sources) > 1 {
			m.label = m.name() + " (" + l.sources[m.file].Name + ")"
		}
	}
	return all
}

// lendGroup gives members whose lines never name a group (librdkafka's warnings do not) the one group that all the others are in: logs that are
// read together belong together.
func (l *Log) lendGroup(all []*member) {
	only := ""
	for _, m := range all {
		if m.group != "" && only != "" && m.group != only {
			return
		}
		only = cmp.Or(m.group, only)
	}
	for _, m := range all {
		m.group = only
	}
	for i := range l.events {
		l.events[i].Group = cmp.Or(l.events[i].Group, only)
	}
}

func (m *member) learn(e *Event) {
	m.group = cmp.Or(m.group, e.Group)
	m.instance = cmp.Or(m.instance, e.Instance)
	if e.Member != "" && (len(m.ids) == 0 || m.ids[len(m.ids)-1] != e.Member) && len(m.ids) < 1000 {
		m.ids = append(m.ids, e.Member)
	}
	switch {
	case e.Kind == SettingSeen:
		m.settings[e.Name] = setting{e.Value, e}
	case e.Kind == PollExpired && e.Limit >= 0:
		m.settings["max.poll.interval.ms"] = setting{formatInt(e.Limit), e}
	}
}

// episodes cuts the time line into rebalances, group by group, in order of their beginning.
func (l *Log) episodes(line []*Event, group string) []*episode {
	open := map[string]*episode{}
	var out []*episode
	for _, e := range line {
		if e.Kind == SettingSeen || e.Kind == SlowHandler || group != "" && e.Group != group {
			continue
		}
		ep := open[e.Group]
		if ep == nil || ep.endsBefore(e) {
			if !opens(e) {
				continue
			}
			ep = &episode{group: e.Group, parts: map[*member]*part{}, top: -1}
			if d := e.member.departed; d != nil && slices.Contains([]Kind{PollExpired, Silent, HeartbeatRefused, Unsubscribed}, d.Kind) && e.Kind != Leaving {
				ep.back = d
			}
			if last := open[e.Group]; last != nil {
				own := 0
				if p := last.parts[e.member]; p != nil && p.settled {
					own = 1
				}
				ep.joinsOthers = last.settled > own
			}
			open[e.Group] = ep
			out = append(out, ep)
		}
		ep.take(e)
	}
	return out
}

// opens reports whether a line can be the first of a rebalance.
func opens(e *Event) bool {
	switch e.Kind {
	case Joined, Synced, Assigned, CoordinatorFound, PolledAgain, Closed:
		return false
	}
	return true
}

// endsBefore reports whether the episode was over when e was written: everybody it moved had come to rest and e begins something new, or
// too much time has passed.
func (ep *episode) endsBefore(e *Event) bool {
	last := ep.events[len(ep.events)-1]
	gap := time.Duration(0)
	if last.moment.clock != noClock && e.moment.clock != noClock {
		gap = e.moment.at.Since(last.moment.at)
	}
	moving, settled := ep.moving > 0, ep.settled > 0
	p := ep.parts[e.member]
	switch {
	case gap > gapWhileMoving:
		return true
	case !opens(e):
		return false
	case p == nil && !moving && (settled || gap > gapOfOneBreath) && e.Kind != Told && e.Kind != Rejoining: // others have come to rest, and it begins something
		return true
	case p != nil && p.again:
		return false
	case e.Kind == Told && e.Generation > 0 && e.Generation <= ep.top: // KIP-848: the same epoch, member by member
		return false
	case p != nil && p.departed && e.Kind == Starting:
		return true
	case p != nil && p.settled && e.Kind == Told && gap <= gapAtRest && ep.secondRound(e.member):
		return false
	case p != nil && p.settled && e.Kind != Rejoining && !inSameBreath(p.last, e): // it had its assignment, and now it begins anew
		return true
	case p != nil && p.settled && e.Kind == Rejoining && !cooperativeRound(e.Reason):
		return true
	case p != nil && p.departed && e.Kind == HeartbeatRefused: // it has not understood yet that it is out
		return false
	case p != nil && p.departed && !inSameBreath(p.last, e): // it left, and now it comes back
		return true
	case !moving && gap > gapAtRest:
		return true
	}
	return false
}

// secondRound reports whether another member has begun the second round of a cooperative rebalance, and m has not joined it yet.
func (ep *episode) secondRound(m *member) bool {
	for i := len(ep.events) - 1; i >= max(0, len(ep.events)-500); i-- {
		switch e := ep.events[i]; {
		case e.Kind == Rejoining && cooperativeRound(e.Reason) && e.member != m:
			return true
		case e.Kind == Joining && e.member == m:
			return false
		}
	}
	return false
}

// inSameBreath reports whether two lines of one member belong together by their time; without times they do.
func inSameBreath(a, b *Event) bool {
	return a.moment.clock == noClock || b.moment.clock == noClock || b.moment.at.Since(a.moment.at) <= gapOfOneBreath && opensTogether(a, b)
}

// opensTogether: having an assignment and giving it up again are never of one breath, however little time is between.
func opensTogether(a, b *Event) bool {
	rest := a.Kind == Synced || a.Kind == Assigned
	at := b.moment.at.Since(a.moment.at) <= gapWithinRound // in a cooperative round, what is to go goes at once
	return !rest || b.Kind == Assigned || at && (b.Kind == Revoked || b.Kind == Told && b.Reason == sessionEnds)
}

func (ep *episode) take(e *Event) {
	ep.events = append(ep.events, e)
	p := ep.parts[e.member]
	if p == nil {
		p = &part{out: e.member.departed != nil, last: e}
		ep.parts[e.member] = p
		ep.members = append(ep.members, e.member)
	}
	was := *p
	defer func() {
		ep.moving += bit(p.moving) - bit(was.moving)
		ep.settled += bit(p.settled) - bit(was.settled)
	}()
	p.events = append(p.events, e)
	ep.top = max(ep.top, e.Generation)
	if e.Kind != PolledAgain { // which is the first breath of a return
		p.last = e
	}
	switch e.Kind {
	case Synced, Assigned:
		p.settled, p.moving = true, false
		p.newcomer = p.newcomer || !e.member.seated
		e.member.departed, e.member.seated, e.member.closed = nil, true, false
	case Told, Joining, Joined, Starting:
		p.settled, p.moving, p.again = false, true, false
	case Rejoining:
		p.settled = false
		p.moving = !p.departed
		p.again = cooperativeRound(e.Reason)
	case JoinRefused:
		p.moving = p.moving && e.Code != inconsistentProtocol && e.Code != groupFull && e.Code != invalidSession && e.Code != notAuthorized
	case PollExpired, Leaving, Silent, HeartbeatRefused, Unsubscribed, InstanceFenced:
		p.departed, p.moving, p.settled = true, false, false
		if e.member.departed == nil || e.Kind == PollExpired || e.Kind == Unsubscribed {
			e.member.departed = e
		}
	case Closed:
		p.departed, p.moving = true, false
		e.member.closed = true
	}
}

// first is the earliest event of one of these kinds; nil if there is none.
func (ep *episode) first(kinds ...Kind) *Event {
	for _, e := range ep.events {
		if slices.Contains(kinds, e.Kind) {
			return e
		}
	}
	return nil
}

// of is the events of one member and kind.
func (ep *episode) of(m *member, kinds ...Kind) []*Event {
	p := ep.parts[m]
	if p == nil {
		return nil
	}
	var out []*Event
	for _, e := range p.events {
		if slices.Contains(kinds, e.Kind) {
			out = append(out, e)
		}
	}
	return out
}

// earlier reports whether a was written before b, by their places on the time line.
func earlier(a, b *Event) bool { return a.pos < b.pos }

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
