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
}

// newClaims makes room for lists of claims with so many entries in all. With none at all, owners stay nil.
func (pr *problem) newClaims(entries int) claims {
	cl := claims{pr: pr, tidy: true}
	if entries == 0 || pr.topics() == 0 {
		return cl
	}
	pr.owner, pr.load = pr.space.cut(pr.partitions()), pr.space.cut(pr.members())
	cl.held, cl.start = pr.space.cut(entries)[:0], pr.space.cut(pr.members()+1)
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

// take takes a claim of member m to partitions of topic t (none: an unknown one), which follows one to topic before in its list.
func (cl *claims) take(m, t, before int32, partitions []int32, generation int32) {
	pr, n := cl.pr, 0
	if t > before && cl.best == nil && cl.bits.has(pr.class[m], t) {
		// What ascends, exists, and is nobody's yet needs no weighing.
		from, to := pr.base[t], pr.base[t+1]
		for last := from - 1; n < len(partitions); n++ {
			p := from + partitions[n]
			if p <= last || p >= to || pr.owner[p] != none {
				break
			}
			pr.owner[p] = m
			last = p
		}
	}
	pr.load[m] += int32(n)
	if n > 0 && n == len(partitions) {
		return
	}
	cl.tidy = false
	for _, p := range partitions[n:] {
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
	var before []TopicPartitions
	var near []int32
	for m, i := range c.members {
		from := len(cl.held)
		cl.start[m] = int32(from)
		s := &c.input[i].Subscription
		if len(s.Owned) == 0 {
			continue
		}
		gen := cooperativeGeneration(s)
		cl.generation(gen)
		cl.held = cl.held[:from+len(s.Owned)]
		c.claimList(&cl, int32(m), s.Owned, before, cl.held[from:], near, gen)
		before, near = s.Owned, cl.held[from:]
	}
	cl.start[len(c.members)] = int32(len(cl.held))
	return cl
}

// claimList takes the claims of member m and notes their topics in held. before is the list of another member, and near the topics in it:
// neighbours often hold partitions of the same ones.
//
// This is where a rebalance spends its time. Therefore names and partitions are looked at in turn, and the simplest claim, to one partition
// that exists and is nobody's yet, is taken here and now.
func (c *classic) claimList(cl *claims, m int32, list, before []TopicPartitions, held, near []int32, generation int32) {
	held = held[:len(list)]
	for j, k := 0, 0; j < len(list); {
		// As long as both lists name the same topics, nothing has to be looked up.
		mine, theirs, n := list[j:], before[k:], 0
		for n < len(mine) && n < len(theirs) && mine[n].Topic == theirs[n].Topic {
			n++
		}
		copy(held[j:], near[k:k+n])
		if j, k = j+n, k+n; j == len(list) {
			break
		}
		t := none
		if j > 0 {
			t = held[j-1]
		}
		t = c.guess(list[j].Topic, t+1)
		held[j] = t
		for j++; k < len(near) && near[k] <= t; {
			k++
		}
	}
	base, owner, last := c.base, c.owner, none
	plain := cl.best == nil && cl.bits.all
	for j := range list {
		t, partitions := held[j], list[j].Partitions
		if plain && t > last && len(partitions) == 1 {
			from, p := base[t], partitions[0]
			if uint32(p) < uint32(base[t+1]-from) && owner[from+p] == none {
				owner[from+p] = m
				last = t
				c.load[m]++
				continue
			}
		}
		cl.take(m, t, last, partitions, generation)
		last = t
	}
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
