package assign

import "slices"

// levels finds which loads are optimal, that is, which sorted list of loads is the smallest.
//
// It starts from what members own, pours what is nobody's over the least loaded readers, and then asks of a group of members whose loads
// lie between lo and hi: can everything above some mid be brought to members below mid? The flow answers. If surplus remains, the
// members and pools that it can reach (A) are full, and every reader of a pool in A is in A; the rest (B) never needs more than mid.
//
//	loads 0..hi --mid--> A: readers of the reached pools, loads mid..hi, and those pools
//	                     B: everybody else,               loads lo..mid, and the other pools
//
// In every optimal plan A's pools go to A (they have no other readers) and B's pools to B: with one of B's partitions in A, A would hold
// more than its own pools fill it with, so that some member of A, at mid+1 or more, could pass one on to some member of B, at mid-1 or
// less. So both halves can be asked separately, until lo and hi are one apart. Then every plan that keeps each group's pools inside the
// group, and each load within base and base+1, is optimal, and only such plans are: that is all that prices.go needs to know.
func (n *network) levels() {
	n.begin(n.nm + n.np)
	n.group = n.space.cut(int(n.nm + n.np))
	n.pour()
	if base, ok := n.shortcut(); ok {
		n.base = []int32{base}
		return
	}
	type part struct {
		members, pools []int32
		lo, hi         int32
		depth          int
	}
	all := part{members: numbers(n.nm), pools: numbers(n.np), hi: int32(1) << 30}
	work := []part{all}
	groups := int32(1)
	n.base = []int32{0}
	for len(work) > 0 {
		w := work[len(work)-1]
		work = work[:len(work)-1]
		least, most, total := n.load[w.members[0]], n.load[w.members[0]], int64(0)
		for _, m := range w.members {
			least, most = min(least, n.load[m]), max(most, n.load[m])
			total += int64(n.load[m])
		}
		// The best plan's largest load is not above the largest here, nor its smallest below the smallest here.
		w.lo, w.hi = max(w.lo, least), min(w.hi, most)
		g := n.group[w.members[0]]
		if w.hi-w.lo <= 1 {
			n.base[g] = w.lo
			continue
		}
		// The mean splits where most loads lie; the middle, every other time, bounds how often there is a next time.
		mid := w.lo + (w.hi-w.lo)/2
		if w.depth%2 == 0 {
			mid = min(max(int32(total/int64(len(w.members))), w.lo+1), w.hi-1)
		}
		for _, m := range w.members {
			n.surplus[m] = n.load[m] - mid
		}
		left := n.push(w.members)
		for _, m := range w.members {
			n.load[m] = mid + n.surplus[m]
		}
		if left == 0 {
			w.hi, w.depth = mid, w.depth+1
			work = append(work, w)
			continue
		}
		reached := func(u int32) bool { return n.level[u] != none }
		a := part{lo: mid, hi: w.hi, depth: w.depth + 1}
		b := part{lo: w.lo, hi: mid, depth: w.depth + 1}
		for _, m := range w.members {
			if reached(m) {
				a.members = append(a.members, m)
			} else {
				b.members = append(b.members, m)
			}
		}
		for _, c := range w.pools {
			if reached(n.nm + c) {
				a.pools = append(a.pools, c)
			} else {
				b.pools = append(b.pools, c)
			}
		}
		if len(b.members) == 0 {
			w.lo, w.depth = mid, w.depth+1
			work = append(work, w)
			continue
		}
		for _, m := range a.members {
			n.group[m] = groups
		}
		for _, c := range a.pools {
			n.group[n.nm+c] = groups
		}
		groups++
		n.base = append(n.base, 0)
		work = append(work, a, b)
	}
}

// shortcut tries the short way: whoever has too much hands it to somebody who lacks something and reads the same pool. That is enough for most
// groups of which a member or two have changed. It answers true, and the base, when all loads are one of two neighbours.
func (n *network) shortcut() (base int32, ok bool) {
	total := int64(0)
	least, most := n.load[0], n.load[0]
	for _, k := range n.load {
		total += int64(k)
		least, most = min(least, k), max(most, k)
	}
	if most-least <= 1 {
		return least, true
	}
	base = int32(total / int64(n.nm))
	// Members below base take, first from those above base+1, then from those at base+1.
	lacking := int32(0)
	for _, k := range n.load {
		lacking += max(base-k, 0)
	}
	for limit := base + 1; limit >= base && lacking > 0; limit-- {
		for c := int32(0); c < n.np && lacking > 0; c++ {
			row := n.readers[n.start[c]:n.start[c+1]]
			giver := n.byPool[c]
			for _, m := range row {
				for n.load[m] < base && giver >= 0 {
					g := &n.entries[giver]
					k := min(n.load[g.member]-limit, g.home-g.given+g.taken, base-n.load[m])
					if k <= 0 {
						giver = g.nextOfPool
						continue
					}
					n.transfer(giver, m, k)
					lacking -= k
				}
			}
		}
	}
	// Members above base+1 give to those at base.
	tooMany := int32(0)
	for _, k := range n.load {
		tooMany += max(k-base-1, 0)
	}
	for c := int32(0); c < n.np && tooMany > 0; c++ {
		row, next := n.readers[n.start[c]:n.start[c+1]], 0
		for e := n.byPool[c]; e >= 0; e = n.entries[e].nextOfPool {
			for next < len(row) {
				g := &n.entries[e]
				k := min(n.load[g.member]-base-1, g.home-g.given+g.taken, 1)
				if k <= 0 {
					break
				}
				if m := row[next]; n.load[m] <= base {
					n.transfer(e, m, k)
					tooMany -= k
				} else {
					next++
				}
			}
		}
	}
	for _, k := range n.load {
		if k < base || k > base+1 {
			return 0, false
		}
	}
	return base, true
}

// transfer moves k partitions of an entry to member m.
func (n *network) transfer(e, m, k int32) {
	g := &n.entries[e]
	back := min(k, g.taken)
	g.taken -= back
	g.given += k - back
	n.load[g.member] -= k
	n.load[m] += k
	n.hand(n.entry(m, g.pool), k)
}

// pour hands what is nobody's to the least loaded readers of its pool, level by level, pools with the fewest readers per partition
// first.
func (n *network) pour() {
	order := n.space.cut(int(n.np))
	for c := range order {
		order[c] = int32(c)
	}
	slices.SortFunc(order, func(a, b int32) int {
		x := int64(n.start[a+1]-n.start[a]) * int64(n.size[b])
		y := int64(n.start[b+1]-n.start[b]) * int64(n.size[a])
		switch {
		case x != y && x < y, x == y && a < b:
			return -1
		case a == b:
			return 0
		}
		return 1
	})
	var count []int32
	for _, c := range order {
		todo := n.supply[c]
		if todo == 0 {
			continue
		}
		row := n.readers[n.start[c]:n.start[c+1]]
		least, most := n.load[row[0]], n.load[row[0]]
		for _, m := range row {
			least, most = min(least, n.load[m]), max(most, n.load[m])
		}
		span := min(todo, most-least)
		if int(span) >= len(count) {
			count = n.space.cut(max(2*int(span), 32))
		} else {
			clear(count[:span+1])
		}
		for _, m := range row {
			if d := n.load[m] - least; d <= span {
				count[d]++
			}
		}
		// Raise the water while a whole level fits. Everybody at or below level is on it.
		level, on := least, int32(0)
		for {
			if d := level - least; d <= span {
				on += count[d]
			}
			if todo < on {
				break
			}
			todo -= on
			level++
		}
		for _, m := range row {
			k := level - n.load[m]
			if k < 0 {
				continue
			}
			if todo > 0 {
				todo--
				k++
			}
			if k > 0 {
				n.entries[n.entry(m, c)].taken += k
				n.load[m] += k
			}
		}
	}
}

func numbers(k int32) []int32 {
	s := make([]int32, k)
	for i := range s {
		s[i] = int32(i)
	}
	return s
}
