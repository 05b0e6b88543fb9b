package assign

// network is the flow network of one component. Nodes are its members (0 to nm-1), its pools (nm to nm+np-1) and, while prices are at
// work, one hub per group of members (from nm+np). A unit is one partition.
//
//	member -> pool    the member lets go of a partition: one it was handed (taken), or one of its own (home, counted by given)
//	pool -> member    the member takes one: its own back, or any other
//	member -> hub     the member holds one more than the base load of its group; only so many may
//
// What a node has too much of is its surplus: positive = must send, negative = must receive. Pushing is Dinic's: levels by
// breadth-first search from every surplus, then depth-first pushes that never look at an arc twice.
type network struct {
	nm, np  int32
	members []int32 // local member -> member of the problem
	start   []int32 // pool -> where its readers begin
	readers []int32 // local members, pool by pool, ascending
	size    []int32 // pool -> its partitions
	supply  []int32 // pool -> how many of them are owned by nobody
	space   *ints
	racks   *racks
	sets    []int32 // pool -> its set of racks

	entries  []entry
	byMember []int32 // member -> its newest entry
	byPool   []int32 // pool -> its newest entry

	load  []int32
	group []int32 // members and pools: only those of one group deal with each other
	base  []int32 // group -> every member holds base or base+1

	surplus []int32
	extra   []bool    // member -> it holds one more than its base
	crew    [][]int32 // group -> its members

	// prices
	priced    bool
	miss      int64 // price of a rack missed; a move costs 1
	potential []int64
	distance  []int64
	at        int64
	near      []int32 // nodes at distance at, to be looked at
	later     heap    // nodes farther away

	level  []int32
	entryC []int32 // current arcs: position in a node's entries,
	arc    []int32 // and in a pool's readers or a hub's crew
	queue  []int32
}

// entry is what one member has of one pool.
type entry struct {
	member, pool int32
	home         int32 // partitions of the pool that it owned before
	given        int32 // of these, let go
	taken        int32 // others that it was handed
	nextOfMember int32
	nextOfPool   int32
	missed       bool // the member's rack holds no replica of the pool's partitions
}

// add makes the entry of a member and a pool that have none.
func (n *network) add(m, c int32) int32 {
	e := int32(len(n.entries))
	n.entries = append(n.entries, entry{member: m, pool: c, nextOfMember: n.byMember[m], nextOfPool: n.byPool[c], missed: n.misses(m, c)})
	n.byMember[m], n.byPool[c] = e, e
	return e
}

func (n *network) entry(m, c int32) int32 {
	for e := n.byMember[m]; e >= 0; e = n.entries[e].nextOfMember {
		if n.entries[e].pool == c {
			return e
		}
	}
	return n.add(m, c)
}

func (n *network) misses(m, c int32) bool {
	if n.racks == nil {
		return false
	}
	rack := n.racks.member[n.members[m]]
	return rack != none && !n.racks.has(n.sets[c], rack)
}

// rackPrice is what it costs that a member holds a partition of a pool.
func (n *network) rackPrice(missed bool) int64 {
	if missed {
		return n.miss
	}
	return 0
}

// open says whether an arc may be used now: always while only balance counts, else when its reduced price is 0.
func (n *network) open(from, to int32, price int64) bool {
	return !n.priced || price+n.potential[from]-n.potential[to] == 0
}

// letGo is how many partitions of an entry's pool its member may send back at no reduced price, handed ones and own ones apart.
func (n *network) letGo(e *entry) (handed, own int32) {
	c := n.nm + e.pool
	if e.taken > 0 && n.open(e.member, c, -n.rackPrice(e.missed)) {
		handed = e.taken
	}
	if e.home > e.given && n.open(e.member, c, 1-n.rackPrice(e.missed)) {
		own = e.home - e.given
	}
	return handed, own
}

// begin sizes the search arrays for all nodes.
func (n *network) begin(nodes int32) {
	k := int(nodes)
	n.surplus, n.level, n.entryC, n.arc, n.queue = n.space.cut(k), n.space.cut(k), n.space.cut(k), n.space.cut(k), n.space.cut(k)[:0]
	fill(n.level, none)
}

// push sends as much surplus as can be sent from sources, over open arcs. Afterwards level tells which nodes the surplus that is left
// can reach (0 and up), and who it cannot reach (none); among the reached ones nobody can take more.
func (n *network) push(sources []int32) (left int32) {
	for {
		left = 0
		for _, u := range sources {
			left += max(n.surplus[u], 0)
		}
		if !n.search(sources) {
			return left
		}
		for _, u := range n.queue {
			n.entryC[u], n.arc[u] = n.first(u), 0
		}
		for _, u := range sources {
			if n.surplus[u] > 0 {
				n.surplus[u] -= n.send(u, n.surplus[u])
			}
		}
	}
}

func (n *network) first(u int32) int32 {
	switch {
	case u < n.nm:
		return n.byMember[u]
	case u < n.nm+n.np:
		return n.byPool[u-n.nm]
	}
	return none
}

// search sets levels; true when somebody who can take more was reached. The queue keeps the nodes reached.
func (n *network) search(sources []int32) bool {
	for _, u := range n.queue {
		n.level[u] = none
	}
	n.queue = n.queue[:0]
	for _, u := range sources {
		if n.surplus[u] > 0 {
			n.level[u] = 0
			n.queue = append(n.queue, u)
		}
	}
	last := none
	for i := 0; i < len(n.queue); i++ {
		u := n.queue[i]
		if last != none && n.level[u] >= last {
			break
		}
		g := n.group[min(u, n.nm+n.np-1)] // of a hub, nobody asks
		switch {
		case u < n.nm:
			for e := n.byMember[u]; e >= 0; {
				en := &n.entries[e]
				e = en.nextOfMember
				if c := n.nm + en.pool; n.level[c] == none && n.group[c] == g {
					if handed, own := n.letGo(en); handed+own > 0 {
						n.reach(u, c, &last)
					}
				}
			}
			if h := n.hub(u); h != none && !n.extra[u] && n.level[h] == none && n.open(u, h, 0) {
				n.reach(u, h, &last)
			}
		case u < n.nm+n.np:
			c := u - n.nm
			for e := n.byPool[c]; e >= 0; {
				en := &n.entries[e]
				e = en.nextOfPool
				if m := en.member; en.given > 0 && n.level[m] == none && n.group[m] == g && n.open(u, m, n.rackPrice(en.missed)-1) {
					n.reach(u, m, &last)
				}
			}
			for _, m := range n.readers[n.start[c]:n.start[c+1]] {
				if n.level[m] == none && n.group[m] == g && n.open(u, m, n.takePrice(m, c)) {
					n.reach(u, m, &last)
				}
			}
		default:
			for _, m := range n.crew[u-n.nm-n.np] {
				if n.extra[m] && n.level[m] == none && n.open(u, m, 0) {
					n.reach(u, m, &last)
				}
			}
		}
	}
	return last != none
}

// reach puts v, which u leads to, on the next level; last is the level of those who can take more.
func (n *network) reach(u, v int32, last *int32) {
	n.level[v] = n.level[u] + 1
	n.queue = append(n.queue, v)
	if n.surplus[v] < 0 {
		*last = n.level[v]
	}
}

// takePrice is what it costs a member to take a partition of a pool that was not its own.
func (n *network) takePrice(m, c int32) int64 {
	if n.priced && n.racks != nil {
		return n.rackPrice(n.misses(m, c))
	}
	return 0
}

// send pushes up to want from u along falling levels and returns how much arrived.
func (n *network) send(u, want int32) int32 {
	sent := int32(0)
	if n.surplus[u] < 0 {
		sent = min(want, -n.surplus[u])
		n.surplus[u] += sent
		return sent
	}
	down := n.level[u] + 1
	switch {
	case u < n.nm:
		for ; n.entryC[u] >= 0; n.entryC[u] = n.entries[n.entryC[u]].nextOfMember {
			e := n.entryC[u]
			c := n.nm + n.entries[e].pool
			if n.level[c] != down || n.group[c] != n.group[u] {
				continue
			}
			handed, own := n.letGo(&n.entries[e])
			if handed+own == 0 {
				continue
			}
			k := n.send(c, min(want-sent, handed+own))
			en := &n.entries[e] // send may have moved the entries
			back := min(k, handed)
			en.taken -= back
			en.given += k - back
			if sent += k; sent == want {
				return sent
			}
		}
		if h := n.hub(u); h != none && !n.extra[u] && n.level[h] == down && n.arc[u] == 0 && n.open(u, h, 0) {
			n.arc[u] = 1
			if n.send(h, 1) == 1 {
				n.extra[u] = true
				sent++
			}
		}
	case u < n.nm+n.np:
		c := u - n.nm
		for ; n.entryC[u] >= 0; n.entryC[u] = n.entries[n.entryC[u]].nextOfPool {
			e := n.entryC[u]
			en := &n.entries[e]
			if en.given == 0 || n.level[en.member] != down || n.group[en.member] != n.group[u] || !n.open(u, en.member, n.rackPrice(en.missed)-1) {
				continue
			}
			k := n.send(en.member, min(want-sent, en.given))
			n.entries[e].given -= k
			if sent += k; sent == want {
				return sent
			}
		}
		row := n.readers[n.start[c]:n.start[c+1]]
		for ; int(n.arc[u]) < len(row); n.arc[u]++ {
			m := row[n.arc[u]]
			if n.level[m] != down || n.group[m] != n.group[u] || !n.open(u, m, n.takePrice(m, c)) {
				continue
			}
			k := n.send(m, want-sent)
			if k > 0 {
				n.hand(n.entry(m, c), k)
			}
			if sent += k; sent == want {
				return sent
			}
		}
	default:
		crew := n.crew[u-n.nm-n.np]
		for ; int(n.arc[u]) < len(crew); n.arc[u]++ {
			m := crew[n.arc[u]]
			if !n.extra[m] || n.level[m] != down || !n.open(u, m, 0) {
				continue
			}
			if n.send(m, 1) == 1 {
				n.extra[m] = false
				if sent++; sent == want {
					return sent
				}
			}
		}
	}
	return sent
}

// hand gives k partitions of an entry's pool to its member: its own first, while prices do not say which.
func (n *network) hand(e, k int32) {
	en := &n.entries[e]
	if !n.priced {
		back := min(k, en.given)
		en.given -= back
		k -= back
	}
	en.taken += k
}

// hub is the node of a member's group that takes its extra partition; none while only balance counts.
func (n *network) hub(m int32) int32 {
	if !n.priced {
		return none
	}
	return n.nm + n.np + n.group[m]
}
