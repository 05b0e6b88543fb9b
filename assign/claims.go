package assign

import "encoding/binary"

// claims collects who says to own what, and settles contradictions: an index beyond the topic and an unknown topic are dropped; of
// several claimants the newest generation counts; two of that generation make the partition nobody's.
type claims struct {
	pr      *problem
	bits    topicBits
	best    []int32 // partition -> newest generation that claims it; nil while all claims share one
	uniform int32
	any     bool
	// generationOf reads a member's generation again; set by who reads the claims.
	generationOf func(*Subscription) int32
	disputed     []int32 // pairs partition, member: every claim that does not end up in owner

	// tidy says that all lists of claims are what an assignor could have answered to this very group: topics and partitions ascend,
	// all exist and are read, and nobody contradicts. Then a new plan can be written as changes to those lists.
	tidy  bool
	held  []int32 // the topics of all lists of claims, one after the other; none where unknown
	start []int32 // member -> where its list begins in held

	last   int32   // the last member with a list, plus 1
	lastOf []int32 // class -> its last one with a list of topics that it reads, plus 1
}

// newClaims makes room for lists of claims with so many entries in all. With none at all, owners stay nil.
func (pr *problem) newClaims(entries int) claims {
	cl := claims{pr: pr, tidy: true}
	if entries == 0 || pr.topics() == 0 {
		return cl
	}
	pr.owner, pr.load = pr.space.cut(pr.partitions()), pr.space.cut(pr.members())
	cl.held, cl.start = pr.space.cut(entries)[:0], pr.space.cut(pr.members()+1)
	cl.lastOf = pr.space.cut(len(pr.classTopics))
	fill(pr.owner, none)
	cl.bits = newTopicBits(pr)
	return cl
}

// generation must be called before a member's claims: it says which generation they come from.
func (cl *claims) generation(g int32) {
	if !cl.any {
		cl.any, cl.uniform = true, g
		return
	}
	if g == cl.uniform || cl.best != nil {
		return
	}
	cl.best = make([]int32, len(cl.pr.owner))
	for p := range cl.best {
		cl.best[p] = cl.uniform
	}
}

// untidy takes any claim of member m to partitions of topic t (none: an unknown one).
func (cl *claims) untidy(m, t int32, partitions []int32, generation int32) {
	cl.tidy = false
	for _, p := range partitions {
		cl.claim(m, t, p, generation)
	}
}

func (cl *claims) claim(m, t, partition, generation int32) {
	pr := cl.pr
	if t < 0 || partition < 0 || partition >= pr.base[t+1]-pr.base[t] {
		return
	}
	p := pr.base[t] + partition
	if pr.owner[p] == none && cl.best == nil {
		pr.owner[p] = m
		return
	}
	cl.weigh(m, p, generation)
}

// weigh is a claim that meets others, or generations that differ.
func (cl *claims) weigh(m, p, generation int32) {
	pr := cl.pr
	switch was := pr.owner[p]; {
	case was == none:
		pr.owner[p], cl.best[p] = m, generation
	case was == m:
	default:
		cl.tidy = false
		cl.disputed = append(cl.disputed, p, m)
		switch {
		case cl.best == nil || generation == cl.best[p]:
			if was >= 0 {
				cl.disputed = append(cl.disputed, p, was)
			}
			pr.owner[p] = contested
		case generation > cl.best[p]:
			if was >= 0 {
				cl.disputed = append(cl.disputed, p, was)
			}
			pr.owner[p], cl.best[p] = m, generation
		}
	}
}

// settle turns claims into owners: contested partitions and those of topics the owner no longer reads become nobody's.
func (cl *claims) settle() {
	pr := cl.pr
	if !cl.any {
		pr.owner, pr.load = nil, nil
		return
	}
	if cl.tidy {
		for _, k := range pr.load {
			pr.owned += int(k)
		}
		return
	}
	clear(pr.load)
	for t := range int32(pr.topics()) {
		for p := pr.base[t]; p < pr.base[t+1]; p++ {
			switch m := pr.owner[p]; {
			case m == none:
			case m == contested:
				pr.owner[p] = none
			case !cl.bits.has(pr.class[m], t):
				cl.disputed = append(cl.disputed, p, m)
				pr.owner[p] = none
			default:
				pr.load[m]++
				pr.owned++
			}
		}
	}
}

// listOf is the topics of member m's list of claims.
func (cl *claims) listOf(m int32) []int32 {
	if cl.start == nil {
		return nil
	}
	return cl.held[cl.start[m]:cl.start[m+1]]
}

// claimOwned reads what members say they own in their subscriptions (cooperative-sticky): so many entries in all.
func (c *classic) claimOwned(entries int) claims {
	cl := c.newClaims(entries)
	cl.generationOf = cooperativeGeneration
	if c.owner == nil {
		return cl
	}
	for m, i := range c.members {
		m, from := int32(m), len(cl.held)
		cl.start[m] = int32(from)
		s := &c.input[i].Subscription
		list := s.Owned
		if len(list) == 0 {
			continue
		}
		gen := cooperativeGeneration(s)
		cl.generation(gen)
		var before []TopicPartitions
		twin, known, near := cl.twin(m)
		if twin >= 0 {
			before = c.input[c.members[twin]].Owned
		}
		// This is where a rebalance spends its time. Therefore names and partitions are looked at in turn, each in a loop with little
		// to keep in mind.
		cl.held = cl.held[:from+len(list)]
		held, n, read := cl.held[from:], 0, true
		if known {
			n = sameTopics(list, before)
			copy(held, near[:n])
		}
		if n < len(list) {
			read = c.nameTopics(&cl, m, list, before, held, near, n, known)
		}
		simple, taken := read && cl.best == nil, 0
		if simple {
			taken = c.singles(m, none, list, held)
		}
		if taken < len(list) {
			c.claimRest(&cl, m, list, held, taken, simple, gen)
		}
		if read {
			cl.lastOf[c.class[m]] = m + 1
		}
	}
	cl.start[len(c.members)] = int32(len(cl.held))
	return cl
}

// twin is a member whose list of claims may well name the topics that m's names, and these topics: the last one of the same subscription
// whose list names only topics that it reads (known), or else the last one of all. none: there is no list yet.
func (cl *claims) twin(m int32) (twin int32, known bool, topics []int32) {
	twin = cl.lastOf[cl.pr.class[m]] - 1
	if known = twin >= 0; !known {
		twin = cl.last - 1
	}
	cl.last = m + 1
	if twin < 0 {
		return none, false, nil
	}
	return twin, known, cl.held[cl.start[twin]:cl.start[twin+1]]
}

// reads says that member m reads topics.
func (cl *claims) reads(m int32, topics []int32) bool {
	for _, t := range topics {
		if t < 0 || !cl.bits.has(cl.pr.class[m], t) {
			return false
		}
	}
	return true
}

// nameTopics finds the topics of a list from its n-th entry on, and says whether member m reads them all. before is the list of its twin, and
// near the topics in it; known says that the twin reads what m reads, and names only that.
func (c *classic) nameTopics(cl *claims, m int32, list, before []TopicPartitions, held, near []int32, n int, known bool) (read bool) {
	read = true
	for j, k := n, n; j < len(list); {
		// As long as both lists name the same topics, nothing has to be looked up.
		if n := sameTopics(list[j:], before[k:]); n > 0 {
			copy(held[j:], near[k:k+n])
			read = read && (known || cl.reads(m, near[k:k+n]))
			j, k = j+n, k+n
		}
		for ; j < len(list); j++ {
			t := none
			if j > 0 {
				t = held[j-1]
			}
			t = c.guess(list[j].Topic, t+1)
			held[j] = t
			read = read && t >= 0 && (cl.bits.all || cl.bits.has(c.class[m], t))
			for k < len(near) && near[k] <= t {
				k++
			}
			if k < len(near) {
				j++
				break
			}
		}
	}
	return read
}

// claimRest takes the claims of a list from its n-th entry on. simple says that member m reads all its topics, and that nothing has to be weighed
// unless others claim the same.
func (c *classic) claimRest(cl *claims, m int32, list []TopicPartitions, held []int32, n int, simple bool, generation int32) {
	last := none
	if n > 0 {
		last = held[n-1]
	}
	for j := n; j < len(list); {
		n := 0
		if simple && len(list[j].Partitions) == 1 {
			n = c.singles(m, last, list[j:], held[j:])
		} else if simple && held[j] > last {
			n = c.several(m, held[j], list[j].Partitions)
		}
		if n == 0 {
			cl.untidy(m, held[j], list[j].Partitions, generation)
			n = 1
		}
		j += n
		last = held[j-1]
	}
}

// sameTopics is how many topics two lists have in common at their beginning. It is a function of its own so that the loop has the registers to
// itself: a third of the instructions of a rebalance are here and in singles.
//
//go:noinline
func sameTopics(a, b []TopicPartitions) int {
	a = a[:min(len(a), len(b))]
	b = b[:len(a)]
	for n := range a {
		if !same(a[n].Topic, b[n].Topic) {
			return n
		}
	}
	return len(a)
}

// singles takes claims as long as each is to one partition that exists and is nobody's yet, of a topic after the one before. It answers how
// many it took.
func (c *classic) singles(m, before int32, list []TopicPartitions, held []int32) int {
	base, owner, n := c.base, c.owner, 0
	for held = held[:len(list)]; n < len(list); n++ {
		t, partitions := held[n], list[n].Partitions
		if t <= before || len(partitions) != 1 {
			break
		}
		from, p := base[t], partitions[0]
		p += from
		if p < from || p >= base[t+1] || owner[p] != none {
			break
		}
		owner[p] = m
		before = t
	}
	c.load[m] += int32(n)
	return n
}

// several takes one claim, when its partitions ascend, exist, and are nobody's yet: 1, else 0. Then it may have taken a part, which does not
// hurt when that is claimed again.
func (pr *problem) several(m, t int32, partitions []int32) int {
	if len(partitions) == 0 {
		return 0
	}
	owner, last := pr.owner[pr.base[t]:pr.base[t+1]], none
	for _, p := range partitions {
		if p <= last || int(p) >= len(owner) || owner[p] != none {
			return 0
		}
		owner[p] = m
		last = p
	}
	pr.load[m] += int32(len(partitions))
	return 1
}

// claimUserData reads what members remember in sticky user data; memories is how many of them have some.
func (c *classic) claimUserData(memories int) claims {
	cl := c.newClaims(memories)
	cl.tidy = false // bytes are no lists that could be changed
	cl.generationOf = func(s *Subscription) int32 {
		_, gen := DecodeStickyUserData(s.UserData)
		return gen
	}
	if c.owner == nil {
		return cl
	}
	for m, i := range c.members {
		var gen int32
		eachSticky(c.input[i].UserData,
			func(g int32) { gen = g; cl.generation(g) },
			func(topic, raw []byte) {
				t := c.findBytes(topic)
				for ; len(raw) >= 4; raw = raw[4:] {
					cl.claim(int32(m), t, int32(binary.BigEndian.Uint32(raw)), gen)
				}
			})
	}
	return cl
}
