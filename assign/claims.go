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
	if entries == 0 {
		return cl
	}
	m, p := pr.members(), pr.partitions()
	space := make(ints, p+entries+2*m+1)
	pr.owner, pr.load = space.cut(p), space.cut(m)
	cl.held, cl.start = space.cut(entries)[:0], space.cut(m+1)
	for i := range pr.owner {
		pr.owner[i] = none
	}
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

// list is the claim of member m to partitions of topic t, which follows the claim to topic before in the same list.
func (cl *claims) list(m, t, before int32, partitions []int32, generation int32) {
	pr := cl.pr
	cl.held = append(cl.held, t)
	if t <= before || len(partitions) == 0 || !cl.bits.has(pr.class[m], t) {
		cl.tidy = false
		if t < 0 {
			return
		}
	}
	owner := pr.owner[pr.base[t]:pr.base[t+1]]
	last := none
	for _, p := range partitions {
		if p <= last {
			cl.tidy = false
		}
		last = p
		switch {
		case uint(p) >= uint(len(owner)):
			cl.tidy = false
		case owner[p] == none && cl.best == nil:
			owner[p] = m
		default:
			cl.weigh(m, pr.base[t]+p, generation)
		}
	}
	pr.load[m] += int32(len(partitions))
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

// claimOwned reads what members say they own in their subscriptions (cooperative-sticky).
func (c *classic) claimOwned() claims {
	entries := 0
	for _, i := range c.members {
		entries += len(c.input[i].Owned)
	}
	cl := c.newClaims(entries)
	cl.generationOf = cooperativeGeneration
	if entries == 0 {
		return cl
	}
	var near []int32 // the list before: neighbours often hold the same topics
	for m, i := range c.members {
		from := len(cl.held)
		cl.start[m+1] = int32(from)
		s := &c.input[i].Subscription
		if len(s.Owned) == 0 {
			continue
		}
		gen := cooperativeGeneration(s)
		cl.generation(gen)
		last := none
		for j := range s.Owned {
			for len(near) > 0 && near[0] <= last {
				near = near[1:]
			}
			hint := last + 1
			if len(near) > 0 {
				hint = near[0]
			}
			e := &s.Owned[j]
			t := c.guess(e.Topic, hint)
			cl.list(int32(m), t, last, e.Partitions, gen)
			last = t
		}
		near = cl.held[from:]
		cl.start[m+1] = int32(len(cl.held))
	}
	return cl
}

// claimUserData reads what members remember in sticky user data.
func (c *classic) claimUserData() claims {
	some := 0
	for _, i := range c.members {
		some += min(len(c.input[i].UserData), 1)
	}
	cl := c.newClaims(some)
	cl.tidy = false // bytes are no lists that could be changed
	cl.generationOf = func(s *Subscription) int32 {
		_, gen := DecodeStickyUserData(s.UserData)
		return gen
	}
	if some == 0 {
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
