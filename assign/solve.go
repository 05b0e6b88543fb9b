package assign

import "slices"

// How the optimum is found.
//
// Members that share no topic, directly or through others, have nothing to do with each other: every component is solved alone. Where
// all members of a component read the same topics and racks do not matter, even.go answers directly. Otherwise partitions that are alike
// (same subscribers, same racks) form a pool, and a plan is a flow of partitions from pools to members:
//
//	pool A (3) ---- m1
//	           \--- m2        levels.go: which loads are optimal, and which pools feed whom in every optimum
//	pool B (2) ----/          prices.go: among those, the flow with the fewest rack misses, then the fewest moves
//	           \--- m3        flow.go:   the network both of them push through
//
// At the end the flow, which counts partitions, is turned into partitions again.
type solver struct {
	*problem
	plan   []int32 // partition -> member, or none; it starts as the owners
	load   []int32 // member -> partitions it holds, while its component is not solved
	excess []int32 // scratch of even, by member; all zero between calls
}

// best writes the optimal plan for members who say in lists, with so many entries in all, what they hold; holders of them have one. With hold, a partition that one
// member gets and another still claims goes to nobody yet.
//
// There are three ways to the same plan. From nothing it is dealt. In a steady group nobody asks who owns what. In any other one claims are
// weighed, and components that are not even are solved as a flow.
func (r *roster[K]) best(entries, holders int, hold bool) {
	parts := r.components()
	even := allEven(parts)
	if even && entries == 0 {
		r.deal(parts)
		return
	}
	if even {
		if s := r.newSteady(entries, holders, hold); s.plan(parts) {
			r.edit(s.changes, &s.lists)
			return
		}
	}
	cl, l := r.claimLists(entries)
	owner := slices.Clone(r.owner)
	plan := r.solve(parts)
	if hold {
		cl.withhold(plan, owner)
	}
	if r.owned == 0 || !cl.tidy {
		r.write(plan)
		return
	}
	for t := range int32(len(r.keys)) {
		plan := plan[r.base[t]:r.base[t+1]]
		for i, was := range owner[r.base[t]:r.base[t+1]] {
			m, p := plan[i], r.base[t]+int32(i)
			if was == m {
				continue
			}
			if was >= 0 {
				r.changes = append(r.changes, change{was, t, p, false})
			}
			if m >= 0 {
				r.changes = append(r.changes, change{m, t, p, true})
			}
		}
	}
	r.edit(r.changes, &l)
}

func allEven(parts []component) bool {
	return !slices.ContainsFunc(parts, func(c component) bool { return !c.even })
}

// solve turns owners into the plan, in place: partition -> member, or none where nobody reads the topic.
func (pr *problem) solve(parts []component) []int32 {
	if pr.owner == nil {
		pr.owner, pr.load = filled(pr.partitions(), none), make([]int32, pr.members())
	}
	s := &solver{problem: pr, plan: pr.owner, load: pr.load, excess: pr.space.cut(pr.members())}
	var f *flows
	for i := range parts {
		if parts[i].even {
			s.even(&parts[i])
			continue
		}
		if f == nil {
			f = newFlows(s)
		}
		f.solve(&parts[i])
	}
	return s.plan
}

// component is a part of the group that shares no topic with the rest.
type component struct {
	members []int32 // ascending
	topics  []int32 // those with partitions, ascending
	even    bool    // all members read all topics, and racks do not matter
}

// components finds the parts of the group that have something to assign, each with at least one member and one topic.
func (pr *problem) components() []component {
	readers, only := 0, int32(0) // classes that read anything
	for k, topics := range pr.classTopics {
		if len(topics) > 0 {
			readers++
			only = int32(k)
		}
	}
	if readers == 0 {
		return nil
	}
	if readers == 1 {
		one := component{members: pr.space.cut(pr.members())[:0], topics: pr.classTopics[only], even: pr.racks == nil}
		for i, k := range pr.class {
			if k == only {
				one.members = append(one.members, int32(i))
			}
		}
		pr.onePart[0] = one
		return pr.onePart[:]
	}
	// Classes that share a topic belong together; the smallest class of a component is its root.
	classes := len(pr.classTopics)
	space := &pr.space
	reader := space.cut(pr.topics()) // a class that reads the topic
	parent := space.cut(classes)
	for k := range parent {
		parent[k] = int32(k)
	}
	for t := range reader {
		reader[t] = none
	}
	find := func(k int32) int32 {
		for parent[k] != k {
			parent[k] = parent[parent[k]]
			k = parent[k]
		}
		return k
	}
	for k, topics := range pr.classTopics {
		root := find(int32(k))
		for _, t := range topics {
			if reader[t] == none {
				reader[t] = int32(k)
				continue
			}
			if parent[reader[t]] == root {
				continue
			}
			if other := find(reader[t]); other != root {
				low := min(root, other)
				parent[max(root, other)] = low
				root = low
			}
		}
	}
	// Members and topics by component, each in one array.
	number, size := space.cut(classes), space.cut(classes) // of a root: its place among the components, and its classes
	members, topics := space.cut(classes), space.cut(classes)
	count := int32(0)
	for k := range parent {
		root := find(int32(k))
		parent[k] = root
		size[root]++
		if root == int32(k) && len(pr.classTopics[k]) > 0 {
			number[root] = count
			count++
		}
	}
	parts := make([]component, count)
	for _, k := range pr.class {
		members[parent[k]]++
	}
	for _, k := range reader {
		if k != none {
			topics[parent[k]]++
		}
	}
	for k, root := range parent {
		if root == int32(k) && len(pr.classTopics[k]) > 0 {
			parts[number[k]] = component{space.cut(int(members[k]))[:0], space.cut(int(topics[k]))[:0], size[k] == 1 && pr.racks == nil}
		}
	}
	for m, k := range pr.class {
		if len(pr.classTopics[k]) > 0 {
			part := &parts[number[parent[k]]]
			part.members = append(part.members, int32(m))
		}
	}
	for t, k := range reader {
		if k != none {
			part := &parts[number[parent[k]]]
			part.topics = append(part.topics, int32(t))
		}
	}
	return parts
}

// flows solves the components that need a flow.
type flows struct {
	*solver
	from, readers []int32   // the classes that read topic t are readers[from[t]:from[t+1]], ascending
	crew          [][]int32 // class -> its members
	local         []int32   // member -> its number in its component
	entryOf       []int32   // partition -> the entry that counts it as owned
}

func newFlows(s *solver) *flows {
	width := 0
	for _, topics := range s.classTopics {
		width += len(topics)
	}
	classes, members := len(s.classTopics), s.members()
	space := &s.space
	f := &flows{solver: s, from: space.cut(s.topics() + 1), readers: space.cut(width), local: space.cut(members)}
	f.entryOf = space.cut(s.partitions())
	for _, topics := range s.classTopics {
		for _, t := range topics {
			f.from[t]++
		}
	}
	at := int32(0)
	for t, n := range f.from {
		f.from[t] = at
		at += n
	}
	// Each start moves to its end while its row fills, and is the next one's start then.
	for k, topics := range s.classTopics {
		for _, t := range topics {
			f.readers[f.from[t]] = int32(k)
			f.from[t]++
		}
	}
	copy(f.from[1:], f.from)
	f.from[0] = 0
	f.crew = make([][]int32, classes)
	count := space.cut(classes)
	for _, k := range s.class {
		count[k]++
	}
	for k, n := range count {
		f.crew[k] = space.cut(int(n))[:0]
	}
	for m, k := range s.class {
		f.crew[k] = append(f.crew[k], int32(m))
	}
	return f
}

func (f *flows) solve(part *component) {
	ps := f.gather(part.topics)
	for i, m := range part.members {
		f.local[m] = int32(i)
	}
	n := f.network(&ps, part.members)
	n.levels()
	n.prices(f.racks != nil)
	n.realize(f, &ps, part.topics)
	f.entries = n.entries
}

// pools is a component with like partitions put together.
type pools struct {
	row   [][]int32 // pool -> classes that read it, ascending
	set   []int32   // pool -> set of racks; all 0 where racks do not matter
	topic []int32   // pool -> its topic, or none when it has several
	start []int32   // pool -> where its partitions begin in parts
	parts []int32   // partitions, pool by pool, ascending
}

// gather puts the partitions of topics into pools. Pools are numbered by their first partition.
func (f *flows) gather(topics []int32) pools {
	type key struct{ row, set int32 }
	type run struct{ pool, from, to int32 } // neighbours of one pool
	var (
		ps      pools
		rows    = f.newClassSet(len(topics))
		numbers map[key]int32 // where racks matter; else a pool for each row
		runs    = make([]run, 0, len(topics))
		total   = int32(0)
	)
	ps.row = make([][]int32, 0, len(topics))
	ps.set, ps.topic, ps.start = f.space.cut(len(topics))[:0], f.space.cut(len(topics))[:0], f.space.cut(len(topics) + 1)[:1]
	if f.racks != nil {
		numbers = make(map[key]int32)
	}
	pool := func(k key, row []int32, t int32) int32 {
		c, ok := k.row, int(k.row) < len(ps.row)
		if f.racks != nil {
			if c, ok = numbers[k]; !ok {
				c = int32(len(ps.row))
				numbers[k] = c
			}
		}
		if !ok {
			ps.row, ps.set, ps.start, ps.topic = append(ps.row, row), append(ps.set, k.set), append(ps.start, 0), append(ps.topic, t)
		} else if ps.topic[c] != t {
			ps.topic[c] = none
		}
		return c
	}
	for _, t := range topics {
		row := f.readers[f.from[t]:f.from[t+1]:f.from[t+1]]
		k := key{row: rows.add(row)}
		from, to := f.base[t], f.base[t+1]
		total += to - from
		for from < to {
			end := to
			if f.racks != nil {
				k.set = f.racks.set[from]
				for end = from + 1; end < to && f.racks.set[end] == k.set; {
					end++
				}
			}
			c := pool(k, row, t)
			ps.start[c+1] += end - from
			runs = append(runs, run{c, from, end})
			from = end
		}
	}
	for c := range ps.row {
		ps.start[c+1] += ps.start[c]
	}
	ps.parts = f.space.cut(int(total))
	at := f.space.cut(len(ps.row))
	copy(at, ps.start)
	for _, r := range runs {
		for p := r.from; p < r.to; p++ {
			ps.parts[at[r.pool]] = p
			at[r.pool]++
		}
	}
	return ps
}

// network makes the flow network of one component, with what members hold of what they own.
func (f *flows) network(ps *pools, members []int32) *network {
	np := len(ps.row)
	n := &network{space: &f.space, nm: int32(len(members)), np: int32(np), members: members, racks: f.racks, sets: ps.set}
	width := 0
	for _, row := range ps.row {
		for _, k := range row {
			width += len(f.crew[k])
		}
	}
	space := &f.space
	n.start, n.size, n.supply, n.byPool = space.cut(np+1), space.cut(np), space.cut(np), space.cut(np)
	n.load, n.byMember = space.cut(len(members)), space.cut(len(members))
	n.readers = space.cut(width)[:0]
	n.entries = slices.Grow(f.entries[:0], min(len(ps.parts), width))
	for m := range n.byMember {
		n.byMember[m] = none
	}
	for i, row := range ps.row {
		n.byPool[i] = none
		from, last, ascending := len(n.readers), none, true
		for _, k := range row {
			crew := f.crew[k]
			ascending = ascending && crew[0] > last
			last = crew[len(crew)-1]
			for _, m := range crew {
				n.readers = append(n.readers, f.local[m])
			}
		}
		if !ascending {
			slices.Sort(n.readers[from:])
		}
		n.start[i+1] = int32(len(n.readers))
		parts := ps.parts[ps.start[i]:ps.start[i+1]]
		n.size[i], n.supply[i] = int32(len(parts)), int32(len(parts))
		if f.owned > 0 {
			f.own(n, int32(i), parts)
		}
	}
	return n
}

// own notes who owns the partitions of a pool.
func (f *flows) own(n *network, pool int32, parts []int32) {
	plan, local, byMember, load, entryOf, free := f.plan, f.local, n.byMember, n.load, f.entryOf, int32(0)
	for _, p := range parts {
		m := plan[p]
		if m < 0 {
			free++
			continue
		}
		m = local[m]
		// Entries are made pool by pool, so that of this pool, if there is one, is the newest of its member.
		e := byMember[m]
		if e < 0 || n.entries[e].pool != pool {
			e = n.add(m, pool)
		}
		n.entries[e].home++
		load[m]++
		entryOf[p] = e
	}
	n.supply[pool] = free
}

// givenOf is how many partitions of a pool its owners let go.
func (n *network) givenOf(pool int32) (k int32) {
	for e := n.byPool[pool]; e >= 0; e = n.entries[e].nextOfPool {
		k += n.entries[e].given
	}
	return k
}

// realize turns counts into partitions. A member gives up its highest partitions first, spread over its topics; what a pool has to give
// goes round its takers in ascending order, so that each gets some of every topic.
func (n *network) realize(f *flows, ps *pools, topics []int32) {
	todo, last := int32(0), int32(0) // how many are to be given up, and how many of them by other pools
	give := func(p int32) bool {
		if f.plan[p] >= 0 {
			if e := &n.entries[f.entryOf[p]]; e.given > 0 {
				e.given--
				todo--
				f.plan[p] = none
			}
		}
		return todo > last
	}
	for e := range n.entries {
		todo += n.entries[e].given
	}
	for c := int32(0); c < n.np && todo > 0; c++ {
		if ps.topic[c] == none {
			continue
		}
		if last = todo - n.givenOf(c); last == todo {
			continue
		}
		for i := ps.start[c+1] - 1; give(ps.parts[i]); i-- {
		}
	}
	if last = 0; todo > 0 { // of pools of several topics
		f.descending(topics, give)
	}
	type taker struct{ member, left int32 }
	var takers []taker
	for c := range n.np {
		takers = takers[:0]
		for e := n.byPool[c]; e >= 0; e = n.entries[e].nextOfPool {
			if en := &n.entries[e]; en.taken > 0 {
				takers = append(takers, taker{en.member, en.taken})
			}
		}
		slices.SortFunc(takers, func(a, b taker) int { return int(a.member - b.member) })
		next, keep := 0, 0
		for _, p := range ps.parts[ps.start[c]:ps.start[c+1]] {
			if f.plan[p] >= 0 {
				continue
			}
			if next == len(takers) {
				takers, next, keep = takers[:keep], 0, 0
			}
			t := takers[next]
			next++
			f.plan[p] = n.members[t.member]
			if t.left--; t.left > 0 {
				takers[keep] = t
				keep++
			}
		}
	}
}
