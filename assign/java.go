package assign

import "slices"

// The plans of the Java client's sticky assignors, for groups whose leader must answer as a Java leader would, and for those who want to
// know what theirs answers. Equal subscriptions without racks are even.go itself; equal ones with racks and unequal ones are here. Ties
// are Java's. Where Java walks a hash table, members and partitions are taken in ascending order, which is one of its possible answers;
// and claims are settled by the rule of this package, which never depends on that order.

// javaSticky is the plan for claims that are settled.
//
// generation tells how old a member's claims are.
func (c *classic) javaSticky(cl *claims, generation func(*Subscription) int32) []int32 {
	if c.equalSubscriptions() {
		if c.racks == nil {
			return c.solve(c.components())
		}
		return c.javaConstrained()
	}
	return c.javaGeneral(cl, generation)
}

// equalSubscriptions compares as Java does: topics that nobody knows count too.
func (c *classic) equalSubscriptions() bool {
	if len(c.classTopics) > 1 {
		return false
	}
	var first []string
	for m, i := range c.members {
		topics := c.input[i].Topics
		if m == 0 {
			first = sortedSet(topics)
			continue
		}
		if before := c.input[c.members[m-1]].Topics; sameList(topics, before) {
			continue
		}
		if !slices.Equal(first, sortedSet(topics)) {
			return false
		}
	}
	return true
}

func sortedSet(list []string) []string {
	s := slices.Sorted(slices.Values(list))
	return slices.Compact(s)
}

// javaConstrained is Java's assignment for equal subscriptions with racks: what lies outside its owner's rack is released, the rest is
// kept up to the quota; then the partitions with the fewest consumers in their racks choose first, and what finds no matching consumer
// is dealt as if there were no racks.
func (c *classic) javaConstrained() []int32 {
	plan := filled(c.partitions(), none)
	members := numbers(int32(len(c.members)))
	if len(members) == 0 {
		return plan
	}
	topics := c.classTopics[0]
	var parts []int32 // by topic and partition
	for _, t := range topics {
		for p := c.base[t]; p < c.base[t+1]; p++ {
			parts = append(parts, p)
		}
	}
	m := len(members)
	q, r := len(parts)/m, len(parts)%m
	// Owned partitions by partition index, then topic.
	owned := make([][]int32, m)
	if c.owner != nil {
		c.descending(topics, func(p int32) bool {
			if o := c.owner[p]; o >= 0 && c.racks.match(o, p) {
				owned[o] = append(owned[o], p)
			}
			return true
		})
	}
	load := make([]int, m)
	var under, exact []int32
	over := 0
	for _, i := range members {
		slices.Reverse(owned[i])
		n := len(owned[i])
		switch {
		case n < q:
			under = append(under, i)
		case n > q && over < r:
			n = q + 1
			if over++; over == r {
				exact = nil
			}
		default:
			n = q
			if over < r {
				exact = append(exact, i)
			}
		}
		load[i] = n
		for _, p := range owned[i][:n] {
			plan[p] = i
		}
	}
	var left []int32
	for _, p := range parts {
		if plan[p] == none {
			left = append(left, p)
		}
	}
	give := func(p, i int32) {
		plan[p] = i
		if load[i]++; load[i] == q+1 {
			if over++; over == r {
				exact = nil
			}
		}
	}
	consumers := make([]int, len(c.racks.sets)) // set of racks -> members in them
	for k := range consumers {
		for _, rack := range c.racks.member {
			if rack != none && c.racks.has(int32(k), rack) {
				consumers[k]++
			}
		}
	}
	slices.SortStableFunc(left, func(a, b int32) int { return consumers[c.racks.set[a]] - consumers[c.racks.set[b]] })
	// next is the first member at or after from, going round, that has the partition in its own rack.
	next := func(p int32, list []int32, from int) int {
		for k := range list {
			at := (from + k) % len(list)
			if rack := c.racks.member[list[at]]; rack != none && c.racks.has(c.racks.set[p], rack) {
				return at
			}
		}
		return -1
	}
	cursor := 0
	var rest []int32
	for _, p := range left {
		if at := next(p, under, cursor); at >= 0 {
			i := under[at]
			give(p, i)
			if load[i] >= q {
				under = slices.Delete(under, at, at+1)
				if over < r {
					exact = append(exact, i)
				}
			} else {
				at++
			}
			cursor = 0
			if len(under) > 0 {
				cursor = at % len(under)
			}
			continue
		}
		if at := next(p, exact, 0); at >= 0 {
			i := exact[at]
			exact = slices.Delete(exact, at, at+1)
			give(p, i)
			continue
		}
		rest = append(rest, p)
	}
	at := 0
	for _, p := range rest {
		if at == len(under) {
			at = 0
		}
		if len(under) == 0 {
			i := exact[0]
			exact = exact[1:]
			give(p, i)
			continue
		}
		i := under[at]
		give(p, i)
		if load[i] < q {
			at++
			continue
		}
		under = slices.Delete(under, at, at+1)
		if over < r {
			exact = append(exact, i)
		}
	}
	return plan
}

// javaGroup is the state of Java's assignment for unequal subscriptions.
type javaGroup struct {
	*classic
	plan    []int32
	load    []int32
	readers *readers
	reads   topicBits
	before  []int32 // partition -> who claimed it in an older generation, or none
	pairs   map[movement][]int32
	moved   map[int32][2]int32 // partition -> from, to
}

// movement is that some partition of a topic went from one member to another.
type movement struct{ topic, from, to int32 }

// javaGeneral is Java's assignment for unequal subscriptions: keep, give what is left to the least loaded, then move single partitions
// from the loaded to the less loaded until no single move helps.
func (c *classic) javaGeneral(cl *claims, generation func(*Subscription) int32) []int32 {
	g := &javaGroup{
		classic: c, plan: filled(c.partitions(), none), load: make([]int32, len(c.members)), readers: c.problem.readers(),
		reads: newTopicBits(&c.problem), before: filled(c.partitions(), none), pairs: make(map[movement][]int32), moved: make(map[int32][2]int32),
	}
	revoked := g.keep(cl, generation)
	fresh := !slices.ContainsFunc(g.load, func(n int32) bool { return n > 0 })

	type sized struct {
		t int32
		n int
	}
	var topics []sized
	for t := range c.topics() {
		if n := len(g.readers.of(t)); n > 0 && c.base[t] < c.base[t+1] {
			topics = append(topics, sized{int32(t), n})
		}
	}
	slices.SortStableFunc(topics, func(a, b sized) int { return a.n - b.n })
	var all, open []int32 // all partitions that can move; those of them that had nobody
	var unassigned []int32
	for _, s := range topics {
		for p := c.base[s.t]; p < c.base[s.t+1]; p++ {
			if g.plan[p] == none {
				unassigned = append(unassigned, p)
			}
			if s.n > 1 {
				all = append(all, p)
				if g.plan[p] == none {
					open = append(open, p)
				}
			}
		}
	}
	if c.racks != nil {
		for _, p := range unassigned {
			g.assign(p, func(m int32) bool { return c.racks.match(m, p) })
		}
	}
	for _, p := range unassigned {
		if g.plan[p] == none {
			g.assign(p, func(int32) bool { return true })
		}
	}
	scope := g.movable()
	plan, score := slices.Clone(g.plan), g.score(scope)
	if !revoked {
		g.improve(open)
	}
	if g.improve(all) && !fresh && g.score(scope) >= score {
		return plan
	}
	return g.plan
}

// keep leaves owned partitions with their owners; true when something was taken from a member because of its subscription or rack.
func (g *javaGroup) keep(cl *claims, generation func(*Subscription) int32) (revoked bool) {
	for p, o := range g.owner {
		switch {
		case o < 0:
		case g.racks != nil && !g.racks.match(o, int32(p)):
			revoked = true
		default:
			g.plan[p] = o
			g.load[o]++
		}
	}
	// A claim that is nobody's now and not contested was dropped because its member no longer reads the topic.
	newest := int32(NoGeneration)
	gens := filled(len(g.members), NoGeneration)
	for m, i := range g.members {
		gens[m] = generation(&g.input[i].Subscription)
		newest = max(newest, gens[m])
	}
	latest := filled(g.partitions(), NoGeneration-1)
	for i := 0; i < len(cl.disputed); i += 2 {
		p, m := cl.disputed[i], cl.disputed[i+1]
		t := g.topicOf(p)
		if !g.reads.has(g.class[m], t) {
			revoked = true
		}
		if gens[m] < newest && gens[m] > latest[p] && g.reads.has(g.class[m], t) {
			g.before[p], latest[p] = m, gens[m]
		}
	}
	return revoked
}

func (c *classic) topicOf(p int32) int32 {
	at, found := slices.BinarySearch(c.base, p)
	if !found {
		at--
	}
	for c.base[at+1] <= p {
		at++
	}
	return int32(at)
}

// assign gives a partition to the least loaded of its readers that fit.
func (g *javaGroup) assign(p int32, fits func(int32) bool) {
	best := none
	for _, m := range g.readers.of(int(g.topicOf(p))) {
		if fits(m) && (best == none || g.load[m] < g.load[best]) {
			best = m
		}
	}
	if best != none {
		g.plan[p] = best
		g.load[best]++
	}
}

// movable says which members take part in the improvement: those that lack a partition they read, or hold one that others read.
func (g *javaGroup) movable() []bool {
	movable := make([]bool, len(g.members))
	for m := range movable {
		most := int32(0)
		for _, t := range g.classTopics[g.class[m]] {
			most += g.base[t+1] - g.base[t]
		}
		movable[m] = g.load[m] < most
	}
	for t := range g.topics() {
		if len(g.readers.of(t)) < 2 {
			continue
		}
		for p := g.base[t]; p < g.base[t+1]; p++ {
			if g.plan[p] >= 0 {
				movable[g.plan[p]] = true
			}
		}
	}
	return movable
}

// score is the sum of the differences of all pairs of loads.
func (g *javaGroup) score(scope []bool) int64 {
	var loads []int32
	for m, n := range g.load {
		if scope[m] {
			loads = append(loads, n)
		}
	}
	slices.Sort(loads)
	sum, below := int64(0), int64(0)
	for i, n := range loads {
		sum += int64(i)*int64(n) - below
		below += int64(n)
	}
	return sum
}

// improve moves partitions, one by one and again from the start, until a pass moves nothing. Java stops a pass as soon as no single move
// can help; then none of the partitions behind would move, so that asking is not needed. Java also asks for a less loaded reader in the
// partition's racks first, but then takes the least loaded one all the same.
func (g *javaGroup) improve(parts []int32) (performed bool) {
	for again := true; again; {
		again = false
		for _, p := range parts {
			m := g.plan[p]
			t := g.topicOf(p)
			to := none
			if b := g.before[p]; b >= 0 && g.load[m] > g.load[b]+1 {
				to = b
			}
			readers := g.readers.of(int(t))
			if to == none {
				for _, o := range readers {
					if g.load[m] > g.load[o]+1 && (to == none || g.load[o] < g.load[to]) {
						to = o
					}
				}
			}
			if to != none {
				g.move(g.instead(p, t, m, to), t, to)
				again, performed = true, true
			}
		}
	}
	return performed
}

// instead is the partition of the same topic that went the opposite way before, if there is one: taking it back is better than moving
// another. Only if that helps the balance: every move does then, and there is an end to them.
func (g *javaGroup) instead(p, t, from, to int32) int32 {
	if was, ok := g.moved[p]; ok {
		from = was[0]
	}
	if list := g.pairs[movement{t, to, from}]; len(list) > 0 {
		if back := slices.Min(list); g.load[g.plan[back]] > g.load[to]+1 {
			return back
		}
	}
	return p
}

func (g *javaGroup) move(p, t, to int32) {
	from := g.plan[p]
	g.load[from]--
	g.load[to]++
	g.plan[p] = to
	origin := from
	if was, ok := g.moved[p]; ok {
		key := movement{t, was[0], was[1]}
		list := g.pairs[key]
		at := slices.Index(list, p)
		g.pairs[key] = slices.Delete(list, at, at+1)
		delete(g.moved, p)
		origin = was[0]
		if origin == to {
			return
		}
	}
	g.moved[p] = [2]int32{origin, to}
	key := movement{t, origin, to}
	g.pairs[key] = append(g.pairs[key], p)
}
