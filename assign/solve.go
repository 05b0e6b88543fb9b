package assign

import (
	"slices"
)

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
	plan   []int32 // partition -> member, or none
	load   []int32 // scratch of even, by member; all zero between calls
	excess []int32
}

// solve returns the plan: partition -> member, or none where nobody reads the topic.
func (pr *problem) solve() []int32 {
	m := pr.members()
	scratch := make([]int32, pr.partitions()+2*m)
	s := &solver{problem: pr, plan: scratch[:pr.partitions()]}
	s.load, s.excess = scratch[pr.partitions():][:m], scratch[pr.partitions()+m:]
	for p := range s.plan {
		s.plan[p] = none
	}
	readers, only := 0, int32(0) // classes that read anything
	for k, topics := range pr.classTopics {
		if len(topics) > 0 {
			readers++
			only = int32(k)
		}
	}
	switch {
	case readers == 0:
	case readers == 1 && pr.racks == nil:
		members := make([]int32, 0, m)
		for i, k := range pr.class {
			if k == only {
				members = append(members, int32(i))
			}
		}
		s.even(members, pr.classTopics[only])
	default:
		s.components()
	}
	return s.plan
}

// pools is the instance with like partitions put together.
type pools struct {
	row   [][]int32 // pool -> classes that read it, ascending
	set   []int32   // pool -> set of racks; all 0 where racks do not matter
	start []int32   // pool -> where its partitions begin in parts
	parts []int32   // partitions, pool by pool, ascending
}

// gather puts the partitions of topics that somebody reads into pools. Pools are numbered by their first partition.
func (pr *problem) gather() pools {
	// readers of each topic, as one array
	count := make([]int32, pr.topics()+1)
	for _, topics := range pr.classTopics {
		for _, t := range topics {
			count[t+1]++
		}
	}
	for t := range pr.topics() {
		count[t+1] += count[t]
	}
	all := make([]int32, count[pr.topics()])
	fill := slices.Clone(count)
	for k, topics := range pr.classTopics {
		for _, t := range topics {
			all[fill[t]] = int32(k)
			fill[t]++
		}
	}
	type key struct{ sig, set int32 }
	var (
		ps      pools
		sigs    classSet
		poolOf  = make([]int32, pr.partitions())
		numbers = make(map[key]int32)
		sizes   []int32
	)
	for t := range pr.topics() {
		row := all[count[t]:count[t+1]:count[t+1]]
		if len(row) == 0 {
			for p := pr.base[t]; p < pr.base[t+1]; p++ {
				poolOf[p] = none
			}
			continue
		}
		k := key{sig: sigs.add(row)}
		last, lastSet := none, none
		for p := pr.base[t]; p < pr.base[t+1]; p++ {
			if pr.racks != nil {
				k.set = pr.racks.set[p]
			}
			if last == none || k.set != lastSet {
				c, ok := numbers[k]
				if !ok {
					c = int32(len(ps.row))
					numbers[k] = c
					ps.row = append(ps.row, row)
					ps.set = append(ps.set, k.set)
					sizes = append(sizes, 0)
				}
				last, lastSet = c, k.set
			}
			poolOf[p] = last
			sizes[last]++
		}
	}
	ps.start = make([]int32, len(sizes)+1)
	for c, n := range sizes {
		ps.start[c+1] = ps.start[c] + n
	}
	ps.parts = make([]int32, ps.start[len(sizes)])
	at := slices.Clone(ps.start)
	for p, c := range poolOf {
		if c >= 0 {
			ps.parts[at[c]] = int32(p)
			at[c]++
		}
	}
	return ps
}

// components splits the group where it falls apart, and solves the pieces.
func (s *solver) components() {
	ps := s.gather()
	parent := make([]int32, len(s.classTopics))
	for k := range parent {
		parent[k] = int32(k)
	}
	find := func(k int32) int32 {
		for parent[k] != k {
			parent[k] = parent[parent[k]]
			k = parent[k]
		}
		return k
	}
	for _, row := range ps.row {
		root := find(row[0])
		for _, k := range row[1:] {
			if other := find(k); other != root {
				// The smaller number stays the root, so that components come in the order of their first class.
				if other < root {
					root, other = other, root
				}
				parent[other] = root
			}
		}
	}
	byRoot := make([][]int32, len(parent)) // root -> its pools
	for c, row := range ps.row {
		root := find(row[0])
		byRoot[root] = append(byRoot[root], int32(c))
	}
	membersOf := make([][]int32, len(parent)) // root -> its members, ascending
	classMembers := make([][]int32, len(parent))
	for m, k := range s.class {
		root := find(k)
		membersOf[root] = append(membersOf[root], int32(m))
		classMembers[k] = append(classMembers[k], int32(m))
	}
	local := make([]int32, s.members())
	entryOf := make([]int32, 0)
	for root, cs := range byRoot {
		if len(cs) == 0 {
			continue
		}
		if len(cs) == 1 && s.racks == nil {
			s.even(membersOf[root], s.topicsOf(&ps, cs))
			continue
		}
		if len(entryOf) == 0 {
			entryOf = make([]int32, s.partitions())
		}
		for i, m := range membersOf[root] {
			local[m] = int32(i)
		}
		n := newNetwork(s, &ps, cs, membersOf[root], classMembers, local, entryOf)
		n.levels()
		n.prices(s.racks != nil)
		n.realize(s, &ps, cs, entryOf)
	}
}

// topicsOf lists the topics that have partitions in some pools, ascending.
func (s *solver) topicsOf(ps *pools, cs []int32) []int32 {
	var topics []int32
	t := int32(0)
	for _, c := range cs {
		t = 0
		for _, p := range ps.parts[ps.start[c]:ps.start[c+1]] {
			if len(topics) > 0 && t < int32(s.topics()) && p < s.base[t+1] && p >= s.base[t] {
				continue
			}
			at, found := slices.BinarySearch(s.base, p)
			if !found {
				at--
			}
			// Topics without partitions share their base with the next one.
			for s.base[at+1] <= p {
				at++
			}
			t = int32(at)
			topics = append(topics, t)
		}
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}

// newNetwork makes the flow network of one component: pools cs, members, and what members hold of what they own.
func newNetwork(s *solver, ps *pools, cs, members []int32, classMembers [][]int32, local, entryOf []int32) *network {
	n := &network{
		nm: int32(len(members)), np: int32(len(cs)), members: members,
		start: make([]int32, len(cs)+1), size: make([]int32, len(cs)), supply: make([]int32, len(cs)),
	}
	width := 0
	for _, c := range cs {
		for _, k := range ps.row[c] {
			width += len(classMembers[k])
		}
	}
	n.readers = make([]int32, 0, width)
	parts := 0
	for _, c := range cs {
		parts += int(ps.start[c+1] - ps.start[c])
	}
	n.entries = make([]entry, 0, min(parts, width))
	n.byMember = filled(len(members), none)
	n.byPool = filled(len(cs), none)
	n.load = make([]int32, len(members))
	n.racks, n.sets = s.racks, ps.set
	n.pool = cs
	for i, c := range cs {
		from := len(n.readers)
		for _, k := range ps.row[c] {
			for _, m := range classMembers[k] {
				n.readers = append(n.readers, local[m])
			}
		}
		if row := n.readers[from:]; !slices.IsSorted(row) {
			slices.Sort(row)
		}
		n.start[i+1] = int32(len(n.readers))
		parts := ps.parts[ps.start[c]:ps.start[c+1]]
		n.size[i] = int32(len(parts))
		for _, p := range parts {
			m := none
			if s.owner != nil {
				m = s.owner[p]
			}
			if m < 0 {
				n.supply[i]++
				entryOf[p] = none
				continue
			}
			// Entries are made pool by pool, so that of this pool, if there is one, is the newest of its member.
			e := n.byMember[local[m]]
			if e < 0 || n.entries[e].pool != int32(i) {
				e = n.add(local[m], int32(i))
			}
			n.entries[e].home++
			n.load[local[m]]++
			entryOf[p] = e
		}
	}
	return n
}

// realize turns counts into partitions. A member gives up its highest partitions first, spread over its topics; what a pool has to give
// goes round its takers in ascending order, so that each gets some of every topic.
func (n *network) realize(s *solver, ps *pools, cs, entryOf []int32) {
	given := int32(0)
	for e := range n.entries {
		given += n.entries[e].given
	}
	for _, c := range cs {
		for _, p := range ps.parts[ps.start[c]:ps.start[c+1]] {
			if s.owner != nil {
				s.plan[p] = s.owner[p]
			}
		}
	}
	if given > 0 {
		s.descending(s.topicsOf(ps, cs), func(p int32) bool {
			if s.plan[p] >= 0 {
				if e := &n.entries[entryOf[p]]; e.given > 0 {
					e.given--
					given--
					s.plan[p] = none
				}
			}
			return given > 0
		})
	}
	type taker struct{ member, left int32 }
	var takers []taker
	for i, c := range cs {
		takers = takers[:0]
		for e := n.byPool[i]; e >= 0; e = n.entries[e].nextOfPool {
			if en := &n.entries[e]; en.taken > 0 {
				takers = append(takers, taker{en.member, en.taken})
			}
		}
		slices.SortFunc(takers, func(a, b taker) int { return int(a.member - b.member) })
		next, keep := 0, 0
		for _, p := range ps.parts[ps.start[c]:ps.start[c+1]] {
			if s.plan[p] != none {
				continue
			}
			if next == len(takers) {
				takers, next, keep = takers[:keep], 0, 0
			}
			t := takers[next]
			next++
			s.plan[p] = n.members[t.member]
			if t.left--; t.left > 0 {
				takers[keep] = t
				keep++
			}
		}
	}
}

func filled(n int, v int32) []int32 {
	s := make([]int32, n)
	for i := range s {
		s[i] = v
	}
	return s
}
