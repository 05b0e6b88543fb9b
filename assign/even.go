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
// It reads pr.owner and fills plan for the partitions of topics.
func (s *solver) even(members, topics []int32) {
	pr, plan, load, excess := s.problem, s.plan, s.load, s.excess
	if len(members) == 0 {
		return
	}
	total := int32(0)
	for _, t := range topics {
		total += pr.base[t+1] - pr.base[t]
	}
	m := int32(len(members))
	q, r := total/m, total%m
	if pr.owned > 0 {
		for _, t := range topics {
			for p := pr.base[t]; p < pr.base[t+1]; p++ {
				plan[p] = pr.owner[p]
				if plan[p] >= 0 {
					load[plan[p]]++
				}
			}
		}
	}
	release := int32(0)
	lists := make([]int32, 0, 2*m)
	short := lists[:0:m]        // members below q, who are served first
	exact := lists[m : m : 2*m] // members at q, who may still get one more
	more := r                   // how many may still hold q+1
	for _, i := range members {
		keep := load[i]
		switch {
		case load[i] < q:
			short = append(short, i)
		case load[i] > q && more > 0:
			keep = q + 1
			more--
		default:
			keep = q
			exact = append(exact, i)
		}
		if load[i] > keep {
			excess[i] = load[i] - keep
			release += excess[i]
		}
	}
	if more == 0 {
		exact = exact[:0]
	}
	if release > 0 {
		pr.descending(topics, func(p int32) bool {
			if i := plan[p]; i >= 0 && excess[i] > 0 {
				excess[i]--
				load[i]--
				plan[p] = none
				release--
			}
			return release > 0
		})
	}
	next, left, taken := 0, 0, 0 // next in short; short[:left] goes on in the next round; next in exact
	for _, t := range topics {
		for p := pr.base[t]; p < pr.base[t+1]; p++ {
			if plan[p] != none {
				continue
			}
			if next == len(short) {
				short, next, left = short[:left], 0, 0
			}
			if len(short) == 0 {
				plan[p] = exact[taken]
				taken++
				continue
			}
			i := short[next]
			next++
			plan[p] = i
			if load[i]++; load[i] < q {
				short[left] = i
				left++
			} else if more > 0 {
				exact = append(exact, i)
			}
		}
	}
}

// descending visits the partitions of topics by falling partition index, then falling topic: what a member gives up is then spread over
// its topics. It stops when visit answers false. Topics of uneven size cost nothing extra: a topic joins when its highest index is due.
func (pr *problem) descending(topics []int32, visit func(p int32) bool) {
	size := func(t int32) int32 { return pr.base[t+1] - pr.base[t] }
	lists := make([]int32, 2*len(topics))
	waiting := lists[:len(topics)]
	copy(waiting, topics)
	slices.SortFunc(waiting, func(a, b int32) int {
		if size(a) != size(b) {
			return int(size(b) - size(a))
		}
		return int(b - a)
	})
	if len(waiting) == 0 {
		return
	}
	active := lists[len(topics):len(topics)]
	for k := size(waiting[0]) - 1; k >= 0; k-- {
		old := len(active)
		for len(waiting) > 0 && size(waiting[0]) > k {
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
