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
// It turns owners into the plan, in place, for the partitions of topics.
func (s *solver) even(members, topics []int32) {
	pr, plan, load := s.problem, s.plan, s.load
	total, held := int32(0), int32(0)
	for _, t := range topics {
		total += pr.size(t)
	}
	for _, i := range members {
		held += load[i]
	}
	m := int32(len(members))
	q, r := total/m, total%m
	d := dealer{load: load, q: q, more: r, short: pr.space.cut(int(m))[:0], exact: pr.space.cut(int(m))[:0]}
	release := int32(0)
	for _, i := range members {
		keep := load[i]
		switch {
		case keep < q:
			d.short = append(d.short, i)
		case keep > q && d.more > 0:
			keep = q + 1
			d.more--
		default:
			keep = q
			d.exact = append(d.exact, i)
		}
		if load[i] > keep {
			s.excess[i] = load[i] - keep
			release += s.excess[i]
		}
	}
	if d.more == 0 {
		d.exact = d.exact[:0]
	}
	free := total - held + release
	if free == 0 {
		return
	}
	if s.record != nothing {
		s.changes = slices.Grow(s.changes, int(free))
	}
	if free > release {
		if release > 0 {
			s.release(topics, release, nil)
		}
		for _, t := range topics {
			for p := pr.base[t]; p < pr.base[t+1]; p++ {
				if plan[p] < 0 {
					s.give(p, d.next())
				}
			}
		}
		return
	}
	// Nothing but what is released has to be handed out.
	list := s.release(topics, release, make([]int32, 0, release))
	if s.record == losses {
		for _, p := range list {
			s.give(p, none)
		}
		return
	}
	slices.Sort(list)
	for _, p := range list {
		s.give(p, d.next())
	}
}

// release takes from members what they have in excess, count partitions in all, and adds them to list where there is one.
func (s *solver) release(topics []int32, count int32, list []int32) []int32 {
	s.descending(topics, func(p int32) bool {
		if i := s.plan[p]; i >= 0 && s.excess[i] > 0 {
			s.excess[i]--
			s.load[i]--
			s.plan[p] = released(i)
			if list != nil {
				list = append(list, p)
			}
			count--
		}
		return count > 0
	})
	return list
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
