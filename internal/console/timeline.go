package console

import (
	"cmp"
	"slices"
	"time"

	"github.com/barnabas-mq/barnabas/internal/journal"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// history is who owned what when: what a timeline shows, before anything is drawn. Incidents and stretches take turns: stretches[k] lies between
// incidents[k-1] and incidents[k], so that there is one stretch more.
type history struct {
	from, to   time.Time
	incidents  []journal.Incident // rebalances, the oldest first
	others     []journal.Incident // absorbed and refused: marks without a width
	partitions []kafka.TopicPartition
	lanes      []lane
	stretches  []stretch
	older      bool // there are incidents older than these within the time
	// laneOf leads from a member's id within one incident to its lane.
	laneOf []map[string]int
}

// lane is one seat in the group. A dynamic member that comes back under a new id takes the lane that its client and host had.
type lane struct {
	who     journal.Who
	members int // how many are drawn in it: more than one once lanes were folded
	spans   []span
	free    bool // nobody sits in it now
	changes int  // how often somebody came, went, or got other partitions: what is folded last
}

// span is a time that a lane was taken; to is zero while it is.
type span struct {
	from, to time.Time
	gone     bool // it ended because the member went, not because the picture does
}

// stretch is a time between two rebalances, in which nobody's partitions change.
type stretch struct {
	from, to time.Time
	// owned is by lane: indexes into history.partitions, ascending. nil for a lane of which only the count is known.
	owned [][]int
	count []int
	known bool // false: nobody knows who owned what
}

func began(in *journal.Incident) time.Time { return in.Began.Instant().Time() }

// ended is when the incident was over, or the time given while it goes on.
func ended(in *journal.Incident, now time.Time) time.Time {
	if in.Ended != nil {
		return in.Ended.Instant().Time()
	}
	return now
}

// newHistory reads incidents (any order) and the group as it is now; g may be nil. What happens outside of from and to is not drawn but may
// still tell who owned what.
func newHistory(incidents []journal.Incident, g *Group, from, to time.Time) *history {
	h := &history{from: from, to: to}
	for _, in := range incidents {
		switch {
		case in.Kind == journal.Rebalance || in.Kind == "":
			h.incidents = append(h.incidents, in)
		case !began(&in).Before(from) && began(&in).Before(to):
			h.others = append(h.others, in)
		}
	}
	sortBy(h.incidents, func(in journal.Incident) int64 { return int64(in.Began) })
	sortBy(h.others, func(in journal.Incident) int64 { return int64(in.Began) })
	w := seating{h: h, seats: map[string]int{}}
	w.internPartitions(g)
	h.stretches = make([]stretch, len(h.incidents)+1)
	start := from
	for k := range h.incidents {
		in := &h.incidents[k]
		end := began(in)
		w.seat(in)
		s := &h.stretches[k]
		s.from, s.to = start, end
		before := w.ownership(in, false)
		if !s.known || before.known && complete(before) && !complete(*s) {
			s.owned, s.count, s.known = before.owned, before.count, before.known
		}
		start = ended(in, to)
		next := &h.stretches[k+1]
		if in.Stage.Over() {
			after := w.ownership(in, true)
			next.owned, next.count, next.known = after.owned, after.count, after.known
		}
		w.leave(in)
	}
	last := &h.stretches[len(h.incidents)]
	last.from, last.to = start, to
	w.current(g, last)
	for i := range h.stretches { // lanes that came later own nothing
		h.stretches[i].widen(len(h.lanes))
	}
	return h
}

func complete(s stretch) bool {
	for i, n := range s.count {
		if n != len(s.owned[i]) {
			return false
		}
	}
	return s.known
}

func (s *stretch) widen(lanes int) {
	for len(s.owned) < lanes {
		s.owned, s.count = append(s.owned, nil), append(s.count, 0)
	}
}

// seating hands lanes to members, incident by incident.
type seating struct {
	h      *history
	seats  map[string]int // member id -> lane, of those who are there
	number map[kafka.TopicPartition]int
}

func (w *seating) internPartitions(g *Group) {
	all := map[kafka.TopicPartition]bool{}
	add := func(list []journal.TopicPartitions) {
		for _, t := range list {
			for _, p := range t.Partitions {
				all[kafka.TopicPartition{Topic: t.Topic, Partition: p}] = true
			}
		}
	}
	for i := range w.h.incidents {
		for _, m := range w.h.incidents[i].Members {
			add(m.Kept)
			add(m.Gained)
			add(m.Lost)
		}
	}
	if g != nil {
		for _, m := range g.MemberList {
			add(m.Assigned)
		}
	}
	for tp := range all { // any order: sorted below
		w.h.partitions = append(w.h.partitions, tp)
	}
	slices.SortFunc(w.h.partitions, func(a, b kafka.TopicPartition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	w.number = make(map[kafka.TopicPartition]int, len(all))
	for i, tp := range w.h.partitions {
		w.number[tp] = i
	}
}

// take finds a lane for a member: its own, that of its instance id, a free one of its client and host, or a new one.
func (w *seating) take(who journal.Who, was string, at time.Time) int {
	if n, ok := w.seats[who.ID]; ok {
		return n
	}
	seat := -1
	if n, ok := w.seats[was]; ok && was != "" {
		delete(w.seats, was)
		seat = n
	} else {
		for i := range w.h.lanes {
			l := &w.h.lanes[i].who
			same := who.Instance != "" && l.Instance == who.Instance ||
				who.Instance == "" && l.Instance == "" && who.Client != "" && l.Client == who.Client && l.Host == who.Host
			if same && w.h.lanes[i].free {
				seat = i
				break
			}
		}
	}
	if seat < 0 {
		seat = len(w.h.lanes)
		w.h.lanes = append(w.h.lanes, lane{members: 1})
		w.h.lanes[seat].free = true
	}
	l := &w.h.lanes[seat]
	if l.free {
		l.spans = append(l.spans, span{from: at})
	}
	l.who, l.free = who, false
	w.seats[who.ID] = seat
	return seat
}

func (w *seating) seat(in *journal.Incident) {
	here := make(map[string]int, len(in.Members))
	for _, m := range in.Members {
		at := w.h.from
		if m.Change == journal.Joined || m.Change == journal.Passed {
			at = began(in)
			if m.Arrived != nil && m.Arrived.Instant().Time().Before(ended(in, w.h.to)) {
				at = m.Arrived.Instant().Time()
			}
		}
		n := w.take(m.Who, m.Was, at)
		here[m.ID] = n
		if m.Was != "" {
			here[m.Was] = n
		}
		if m.Change != journal.Stayed || len(m.Gained)+len(m.Lost) > 0 {
			w.h.lanes[n].changes++
		}
	}
	w.h.laneOf = append(w.h.laneOf, here)
}

// leave frees the lanes of those who are gone after the incident.
func (w *seating) leave(in *journal.Incident) {
	for _, m := range in.Members {
		if m.Change != journal.Gone && m.Change != journal.Passed {
			continue
		}
		n, ok := w.seats[m.ID]
		if !ok {
			continue
		}
		delete(w.seats, m.ID)
		w.h.lanes[n].end(wentAt(in, m.ID), true)
	}
}

// wentAt is when a member went, as far as the triggers tell; else when the incident began.
func wentAt(in *journal.Incident, id string) time.Time {
	if in.Trigger.Member != nil && in.Trigger.Member.ID == id {
		return in.Trigger.At.Instant().Time()
	}
	for _, t := range in.Chain {
		if t.Member != nil && t.Member.ID == id {
			return t.At.Instant().Time()
		}
	}
	return began(in)
}

func (l *lane) end(at time.Time, gone bool) {
	if n := len(l.spans); n > 0 && l.spans[n-1].to.IsZero() {
		l.spans[n-1].to, l.spans[n-1].gone = at, gone
	}
	l.free = true
}

// ownership is who owned what before or after the incident.
func (w *seating) ownership(in *journal.Incident, after bool) (s stretch) {
	if in.Moves == nil && len(in.Members) > 0 && !anyCounts(in) {
		return s
	}
	s.known = len(in.Members) > 0 || after && in.MembersAfter == 0 || !after && in.MembersBefore == 0
	s.widen(len(w.h.lanes))
	here := w.h.laneOf[len(w.h.laneOf)-1]
	for _, m := range in.Members {
		n, lists := m.Had, [2][]journal.TopicPartitions{m.Kept, m.Lost}
		if after {
			n, lists = m.Has, [2][]journal.TopicPartitions{m.Kept, m.Gained}
		}
		at := here[m.ID]
		owned := w.numbers(lists[0], lists[1])
		count := len(owned)
		if n != nil {
			count = *n
		}
		s.owned[at] = append(s.owned[at], owned...)
		slices.Sort(s.owned[at])
		s.count[at] += count
	}
	return s
}

func anyCounts(in *journal.Incident) bool {
	return slices.ContainsFunc(in.Members, func(m journal.Member) bool { return m.Had != nil || m.Has != nil })
}

func (w *seating) numbers(lists ...[]journal.TopicPartitions) (out []int) {
	for _, list := range lists {
		for _, t := range list {
			for _, p := range t.Partitions {
				out = append(out, w.number[kafka.TopicPartition{Topic: t.Topic, Partition: p}])
			}
		}
	}
	return out
}

// current puts the group as it is into the last stretch: it knows more than the last incident. Whoever has a seat and is not in the group any
// more left without an incident that we have.
func (w *seating) current(g *Group, last *stretch) {
	ongoing := len(w.h.incidents) > 0 && !w.h.incidents[len(w.h.incidents)-1].Stage.Over()
	if g == nil || ongoing {
		return
	}
	now := stretch{known: true}
	for _, m := range g.MemberList {
		at := w.take(m.Who, "", w.h.from)
		now.widen(len(w.h.lanes))
		now.owned[at] = append(now.owned[at], w.numbers(m.Assigned)...)
		slices.Sort(now.owned[at])
		now.count[at] = len(now.owned[at])
		delete(w.seats, m.ID)
	}
	now.widen(len(w.h.lanes))
	for _, n := range w.seats { // any order: each ends its own lane
		w.h.lanes[n].end(last.from, false)
	}
	told := slices.ContainsFunc(g.MemberList, func(m Member) bool { return m.Assigned != nil })
	if told || len(g.MemberList) == 0 || !last.known {
		last.owned, last.count, last.known = now.owned, now.count, told || len(g.MemberList) == 0
	}
}

// pieces is how many ribbons it takes to draw everything one by one.
func (h *history) pieces() (n int) {
	for i := range h.stretches {
		for _, c := range h.stretches[i].count {
			n += c
		}
	}
	return n
}

// exact reports whether every count has its list: only then can ribbons be drawn one by one.
func (h *history) exact() bool {
	for i := range h.stretches {
		if s := &h.stretches[i]; s.known && !complete(*s) {
			return false
		}
	}
	return true
}

func sortBy[T any](s []T, key func(T) int64) {
	slices.SortStableFunc(s, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
}
