package assign

import "math"

// prices finds, among the plans that levels allows, the one that misses the fewest racks and, of those, moves the fewest partitions.
//
// Everything starts at home: each member holds what it owned, and nothing has a price yet. Then what is too much where it lies is sent
// where it lacks, always along the cheapest way (successive shortest paths, many at once): letting go of an own partition costs 1, taking
// it back gives 1 back, holding a partition outside one's rack costs more than all moves together. Node potentials keep every arc's
// reduced price at 0 or above, and that is the proof that no cheaper plan exists: a cycle of arcs that saves something would have a
// negative sum.
func (n *network) prices(racksMatter bool) {
	if !racksMatter && (n.cheapestAlready() || n.nothingToSave()) {
		return
	}
	groups := int32(len(n.base))
	n.priced = true
	total := int64(0)
	for _, k := range n.size {
		total += int64(k)
	}
	n.miss = total + 1
	nodes := n.nm + n.np + groups
	n.begin(nodes)
	prices := make([]int64, 2*nodes)
	n.potential, n.distance = prices[:nodes], prices[nodes:]
	n.near, n.later = n.space.cut(int(nodes))[:0], make(heap, 0, nodes)
	n.extra = make([]bool, n.nm)
	n.crew = make([][]int32, groups)
	sizes := n.space.cut(int(groups))
	for m := range n.nm {
		sizes[n.group[m]]++
	}
	for g, k := range sizes {
		n.crew[g] = n.space.cut(int(k))[:0]
	}
	for m := range n.nm {
		g := n.group[m]
		n.crew[g] = append(n.crew[g], m)
		n.surplus[m] = -n.base[g]
		n.surplus[n.nm+n.np+g] += n.base[g]
	}
	for c := range n.np {
		n.surplus[n.nm+c] = n.supply[c]
		n.surplus[n.nm+n.np+n.group[n.nm+c]] -= n.size[c]
	}
	for e := range n.entries {
		en := &n.entries[e]
		en.taken, en.given = 0, 0
		// An own partition outside the rack is let go at the start, since that saves more than it costs; one whose pool belongs to
		// another group can stay in no optimal plan.
		if en.missed || n.group[en.member] != n.group[n.nm+en.pool] {
			en.given = en.home
		}
		n.surplus[en.member] += en.home - en.given
		n.surplus[n.nm+en.pool] += en.given
	}
	sources := n.space.cut(int(nodes))
	for u := range sources {
		sources[u] = int32(u)
	}
	for n.push(sources) > 0 {
		n.reprice(sources)
	}
}

// cheapestAlready says that what levels left behind cannot be bettered: it moves no more than what the loads alone enforce.
func (n *network) cheapestAlready() bool {
	moves, tooMany, foreign, tooFew := int64(0), int64(0), int64(0), int64(0)
	home := n.space.cut(int(n.nm))
	for e := range n.entries {
		en := &n.entries[e]
		moves += int64(en.given)
		if n.group[en.member] != n.group[n.nm+en.pool] {
			foreign += int64(en.home)
			continue
		}
		home[en.member] += en.home
	}
	for m := range n.nm {
		base := n.base[n.group[m]]
		tooMany += int64(max(home[m]-base-1, 0))
		tooFew += int64(max(base-home[m], 0))
	}
	for c := range n.np {
		tooFew -= int64(n.supply[c])
	}
	return moves <= max(foreign+tooMany, tooFew)
}

// nothingToSave proves, where that is quick, that the plan which levels left behind is the cheapest: that no exchange of partitions saves a move.
// Partitions are exchanged in a circle. Who takes its own back saves a move, who lets go of its own pays one, all else is free. saved[k] is
// who can be reached from somewhere with k moves saved on the way; when these sets stop growing, no circle saves anything, since along one
// that does they would grow for ever. A circle may still be there when the sets are used up: false then. Members are bits, so that a small
// group, which is where the search of prices takes most of the time, needs a few words.
func (n *network) nothingToSave() bool {
	if n.nm > 64 || len(n.base) > 1 {
		return false
	}
	// Of each pool: who reads it, who holds some that it was handed, some of its own, and who has let go of some of its own.
	type hands struct{ read, handed, own, gave uint64 }
	var (
		few   [16]hands
		pools = few[:]
	)
	if pools = pools[:min(int(n.np), len(few))]; int(n.np) > len(few) {
		pools = make([]hands, n.np)
	}
	for c := range pools {
		for _, m := range n.readers[n.start[c]:n.start[c+1]] {
			pools[c].read |= 1 << m
		}
	}
	for e := range n.entries {
		en := &n.entries[e]
		p, bit := &pools[en.pool], uint64(1)<<en.member
		if en.taken > 0 {
			p.handed |= bit
		}
		if en.home > en.given {
			p.own |= bit
		}
		if en.given > 0 {
			p.gave |= bit
		}
	}
	// One more or one less is free for those who hold the base load, or one more: they take it from each other.
	low, high := uint64(0), uint64(0)
	for m, k := range n.load {
		if k > n.base[0] {
			high |= 1 << m
		} else {
			low |= 1 << m
		}
	}
	var saved [6]uint64
	saved[0] = ^uint64(0)
	for more := true; more; {
		more = false
		for k := range len(saved) - 1 {
			now, next := saved[k], saved[k+1]
			for c := range pools {
				if p := &pools[c]; k == 0 || p.handed&now != 0 || p.own&next != 0 {
					now |= p.read
					next |= p.gave
				}
			}
			if low&now != 0 {
				now |= high
			}
			more = more || now != saved[k] || next != saved[k+1]
			saved[k], saved[k+1] = now, next
		}
		if saved[len(saved)-1] != 0 {
			return false
		}
	}
	return true
}

// reprice raises potentials by the distance from the surplus, up to the nearest node that lacks something (Dijkstra over reduced
// prices): afterwards the cheapest way there costs nothing more.
func (n *network) reprice(sources []int32) {
	const far = math.MaxInt64
	for u := range n.distance {
		n.distance[u] = far
	}
	n.near, n.later, n.at = n.near[:0], n.later[:0], 0
	for _, u := range sources {
		if n.surplus[u] > 0 {
			n.distance[u] = 0
			n.near = append(n.near, u)
		}
	}
	for {
		for len(n.near) > 0 {
			u := n.near[len(n.near)-1]
			n.near = n.near[:len(n.near)-1]
			if n.surplus[u] < 0 {
				for v := range n.potential {
					n.potential[v] += min(n.distance[v], n.at)
				}
				return
			}
			n.relaxFrom(u)
		}
		for {
			if len(n.later) == 0 {
				// levels left a plan that meets every load, so there is always a way.
				panic("assign: surplus without a way out")
			}
			w := n.later.pop()
			if w.distance == n.distance[w.node] {
				n.at = w.distance
				n.near = append(n.near, w.node)
				break
			}
		}
	}
}

// relaxFrom looks where one can get from u, over arcs that have room.
func (n *network) relaxFrom(u int32) {
	switch {
	case u < n.nm:
		for e := n.byMember[u]; e >= 0; {
			en := &n.entries[e]
			e = en.nextOfMember
			c := n.nm + en.pool
			if n.group[c] != n.group[u] {
				continue
			}
			if en.taken > 0 {
				n.relax(u, c, -n.rackPrice(en.missed))
			}
			if en.home > en.given {
				n.relax(u, c, 1-n.rackPrice(en.missed))
			}
		}
		if !n.extra[u] {
			n.relax(u, n.hub(u), 0)
		}
	case u < n.nm+n.np:
		c := u - n.nm
		for e := n.byPool[c]; e >= 0; {
			en := &n.entries[e]
			e = en.nextOfPool
			if en.given > 0 && n.group[en.member] == n.group[u] {
				n.relax(u, en.member, n.rackPrice(en.missed)-1)
			}
		}
		for _, m := range n.readers[n.start[c]:n.start[c+1]] {
			if n.group[m] == n.group[u] {
				n.relax(u, m, n.takePrice(m, c))
			}
		}
	default:
		for _, m := range n.crew[u-n.nm-n.np] {
			if n.extra[m] {
				n.relax(u, m, 0)
			}
		}
	}
}

func (n *network) relax(u, v int32, price int64) {
	d := n.at + price + n.potential[u] - n.potential[v]
	if d >= n.distance[v] {
		return
	}
	n.distance[v] = d
	if d == n.at {
		n.near = append(n.near, v)
	} else {
		n.later.push(waiting{d, v})
	}
}

type waiting struct {
	distance int64
	node     int32
}

// heap is a binary heap, nearest first; equal distances in node order, so that runs repeat.
type heap []waiting

func (a waiting) before(b waiting) bool {
	return a.distance < b.distance || a.distance == b.distance && a.node < b.node
}

func (h *heap) push(w waiting) {
	s := append(*h, w)
	for i := len(s) - 1; i > 0; {
		up := (i - 1) / 2
		if !s[i].before(s[up]) {
			break
		}
		s[i], s[up] = s[up], s[i]
		i = up
	}
	*h = s
}

func (h *heap) pop() waiting {
	s := *h
	top := s[0]
	last := len(s) - 1
	s[0] = s[last]
	s = s[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down >= last {
			break
		}
		if down+1 < last && s[down+1].before(s[down]) {
			down++
		}
		if !s[down].before(s[i]) {
			break
		}
		s[i], s[down] = s[down], s[i]
		i = down
	}
	*h = s
	return top
}
