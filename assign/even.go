package assign

import "slices"

// even is the optimum when everybody in members reads exactly topics and racks do not matter. It is linear and needs no search:
//
//	q = P div M, r = P mod M: a balanced plan gives r members q+1 partitions and the others q.
//
// A member keeps up to q of what it owns, and r of those with more than q keep one more. No balanced plan can keep more: of a member's
// partitions at most q+1 stay, and q+1 stay with at most r members. What is left goes round the members that are short, so that the
// partitions of one topic spread. Ties are those of Java's constrained sticky assignment; where Java follows the order of a hash table
// (which of too many members keep q+1), the lowest member numbers do.
//
//	owned     C1={0,1,2}  C2={3,4}  C3={}          q = 2, r = 0
//	keep      C1={0,1}    C2={3,4}  C3={}          2 is released: the highest partition first
//	hand out  C1={0,1}    C2={3,4}  C3={2,5}
//
// It turns owners into the plan, in place.
func (s *solver) even(part *component) {
	d, release := s.dealer(part, s.load), int32(0)
	for _, m := range part.members {
		s.excess[m] = s.load[m] - d.keeps(m, s.load[m])
		release += s.excess[m]
	}
	d.ready()
	if release > 0 {
		s.descending(part.topics, func(p int32) bool {
			if i := s.plan[p]; i >= 0 && s.excess[i] > 0 {
				s.excess[i]--
				s.plan[p] = none
				release--
			}
			return release > 0
		})
	}
	for _, t := range part.topics {
		for p := s.base[t]; p < s.base[t+1]; p++ {
			if s.plan[p] < 0 {
				s.plan[p] = d.next()
			}
		}
	}
}

// dealer says who gets the next partition: members below q in turn, then those at q, each of whom may get one more.
type dealer struct {
	load  []int32
	q     int32
	more  int32 // how many may still get to q+1
	short []int32
	exact []int32
	turn  int // who is next in short
	stay  int // short[:stay] are still short in the next round
	taken int // who is next in exact
}

// dealer knows nobody yet: every member is introduced by keeps, in ascending order, and then it is ready.
func (pr *problem) dealer(part *component, load []int32) dealer {
	total, m := int32(0), len(part.members)
	for topics := part.topics; len(topics) > 0; {
		n := sideBySide(topics)
		total += pr.base[topics[0]+int32(n)] - pr.base[topics[0]]
		topics = topics[n:]
	}
	return dealer{load: load, q: total / int32(m), more: total % int32(m), short: pr.space.cut(m)[:0], exact: pr.space.cut(m)[:0]}
}

// keeps is how many of its partitions a member keeps.
func (d *dealer) keeps(m, load int32) int32 {
	switch {
	case load < d.q:
		d.short = append(d.short, m)
		return load
	case load > d.q && d.more > 0:
		d.more--
		return d.q + 1
	}
	d.exact = append(d.exact, m)
	return d.q
}

func (d *dealer) ready() {
	if d.more == 0 {
		d.exact = d.exact[:0]
	}
}

// only is the one member below q, or none when there are more of them, or nobody.
func (d *dealer) only() int32 {
	if len(d.short) != 1 {
		return none
	}
	return d.short[0]
}

func (d *dealer) next() int32 {
	if d.turn == len(d.short) {
		d.short, d.turn, d.stay = d.short[:d.stay], 0, 0
	}
	if len(d.short) == 0 {
		d.taken++
		return d.exact[d.taken-1]
	}
	i := d.short[d.turn]
	d.turn++
	if d.load[i]++; d.load[i] < d.q {
		d.short[d.stay] = i
		d.stay++
	} else if d.more > 0 {
		d.exact = append(d.exact, i)
	}
	return i
}

// descending visits the partitions of topics by falling partition index, then falling topic: what a member gives up is then spread over
// its topics. It stops when visit answers false. Topics of uneven size cost nothing extra: a topic joins when its highest index is due.
func (pr *problem) descending(topics []int32, visit func(p int32) bool) {
	if len(topics) == 0 {
		return
	}
	waiting, active := pr.space.cut(len(topics)), pr.space.cut(len(topics))[:0]
	for i, t := range topics {
		waiting[len(topics)-1-i] = t
	}
	bySize := func(a, b int32) int {
		if pr.size(a) != pr.size(b) {
			return int(pr.size(b) - pr.size(a))
		}
		return int(b - a)
	}
	if !slices.IsSortedFunc(waiting, bySize) {
		slices.SortFunc(waiting, bySize)
	}
	for k := pr.size(waiting[0]) - 1; k >= 0; k-- {
		old := len(active)
		for len(waiting) > 0 && pr.size(waiting[0]) > k {
			active = append(active, waiting[0])
			waiting = waiting[1:]
		}
		if old > 0 && len(active) > old {
			slices.SortFunc(active, func(a, b int32) int { return int(b - a) })
		}
		for _, t := range active {
			if !visit(pr.base[t] + k) {
				return
			}
		}
	}
}
