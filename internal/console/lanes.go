package console

import (
	"cmp"
	"slices"

	"github.com/barnabas-mq/barnabas/internal/journal"
)

// What a drawing holds at most before it is aggregated.
const (
	lanesMax   = 200
	ribbonsMax = 5000
	// pointsMax bounds an aggregated drawing: incidents times lanes.
	pointsMax = 20000
)

// fold makes at most max lanes of all: first one for each client id, then one for all the rest. It does nothing when they fit.
func (h *history) fold(max int) (folded bool) {
	if len(h.lanes) <= max {
		return false
	}
	to := make([]int, len(h.lanes))
	byClient := map[string]int{}
	var lanes []lane
	for i, l := range h.lanes {
		n, ok := byClient[l.who.Client]
		if !ok {
			n = len(lanes)
			byClient[l.who.Client] = n
			lanes = append(lanes, lane{who: l.who})
		}
		lanes[n].add(l)
		to[i] = n
	}
	if len(lanes) > max {
		order := make([]int, len(lanes))
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(lanes[b].changes, lanes[a].changes) })
		keep := order[:max-1]
		slices.Sort(keep)
		at := make([]int, len(lanes))
		for i := range at {
			at[i] = max - 1
		}
		kept := make([]lane, 0, max)
		for n, i := range keep {
			at[i] = n
			kept = append(kept, lanes[i])
		}
		rest := lane{}
		for i, l := range lanes {
			if at[i] == max-1 {
				rest.add(l)
			}
		}
		lanes = append(kept, rest)
		for i := range to {
			to[i] = at[to[i]]
		}
	}
	for i := range h.stretches {
		h.stretches[i].fold(to, len(lanes))
	}
	for _, m := range h.laneOf {
		for id, n := range m { // any order: each entry is replaced by itself
			m[id] = to[n]
		}
	}
	h.lanes = lanes
	return true
}

func (l *lane) add(o lane) {
	l.members += o.members
	l.changes += o.changes
	if l.members > 1 && l.who.ID != o.who.ID {
		l.who = journal.Who{Client: l.who.Client}
	}
}

func (s *stretch) fold(to []int, lanes int) {
	owned, count := make([][]int, lanes), make([]int, lanes)
	for i := range s.owned {
		owned[to[i]] = append(owned[to[i]], s.owned[i]...)
		count[to[i]] += s.count[i]
	}
	for i := range owned {
		slices.Sort(owned[i])
	}
	s.owned, s.count = owned, count
}

// newest keeps the newest incidents, as many as an aggregated drawing can hold, and says how many it left out.
func (h *history) newest() (dropped int) {
	dropped = len(h.incidents) - max(20, pointsMax/max(1, len(h.lanes)))
	if dropped <= 0 {
		return 0
	}
	h.incidents, h.stretches, h.laneOf = h.incidents[dropped:], h.stretches[dropped:], h.laneOf[dropped:]
	return dropped
}

// forget leaves out what lies before the first incident: others that are not here happened then.
func (h *history) forget() {
	first := began(&h.incidents[0])
	h.stretches[0] = stretch{from: first, to: first}
	h.stretches[0].widen(len(h.lanes))
	for i := range h.lanes {
		l := &h.lanes[i]
		l.spans = slices.DeleteFunc(l.spans, func(s span) bool { return !s.to.IsZero() && !s.to.After(first) })
		for k := range l.spans {
			if l.spans[k].from.Before(first) {
				l.spans[k].from = first
			}
		}
	}
}
