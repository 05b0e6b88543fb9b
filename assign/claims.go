package assign

import (
	"encoding/binary"
	"unsafe"
)

// claims collects who says to own what, and settles contradictions: an index beyond the topic and an unknown topic are dropped; of
// several claimants the newest generation counts; two of that generation make the partition nobody's.
type claims struct {
	pr       *problem
	best     []int32 // partition -> newest generation that claims it; nil while all claims share one
	uniform  int32
	any      bool
	disputed []int32 // pairs partition, member: every claim that does not end up in owner

	// tidy says that all lists of claims are what an assignor could have answered to this very group: topics and partitions ascend,
	// all exist and are read, and nobody contradicts. Then a new plan can be written as changes to those lists.
	tidy bool
}

// newClaims makes room for lists of claims with so many entries in all. With none at all, owners stay nil.
func (pr *problem) newClaims(entries int) claims {
	cl := claims{pr: pr, tidy: true}
	if entries == 0 || pr.topics() == 0 {
		return cl
	}
	pr.owner, pr.load = pr.space.cut(pr.partitions()), pr.space.cut(pr.members())
	fill(pr.owner, none)
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
	bits := newTopicBits(pr)
	for t := range int32(pr.topics()) {
		for p := pr.base[t]; p < pr.base[t+1]; p++ {
			switch m := pr.owner[p]; {
			case m == none:
			case m == contested:
				pr.owner[p] = none
			case !bits.has(pr.class[m], t):
				cl.disputed = append(cl.disputed, p, m)
				pr.owner[p] = none
			default:
				pr.load[m]++
				pr.owned++
			}
		}
	}
}

// claimLists reads what members say to hold; entries is how many their lists have in all.
func (r *roster[K]) claimLists(entries int) (cl claims, l lists[K]) {
	cl = r.newClaims(entries)
	if r.owner == nil {
		cl.settle()
		return cl, l
	}
	l = r.newLists()
	for m := range int32(len(r.members)) {
		list := r.keep(m)
		if len(list) == 0 {
			continue
		}
		generation, from := r.protocol.generation(r.members[m]), 0
		cl.generation(generation)
		if topics, ok := l.read(m, r.class[m], list); ok && cl.best == nil {
			for from < len(list) && cl.own(m, topics[from].t, list[from].Partitions) {
				from++
			}
		}
		for i := from; i < len(list); i++ {
			cl.tidy = false
			t := r.lookup(&list[i].Topic)
			for _, p := range list[i].Partitions {
				cl.claim(m, t, p, generation)
			}
		}
	}
	cl.settle()
	return cl, l
}

// own takes a claim that needs no weighing: its partitions ascend, exist, and are nobody's yet. When it answers false it may have taken some
// of them, which does not hurt when they are claimed again.
func (cl *claims) own(m, t int32, partitions []int32) bool {
	pr := cl.pr
	owner, last := pr.owner[pr.base[t]:pr.base[t+1]], none
	for _, p := range partitions {
		if p <= last || int(p) >= len(owner) || owner[p] != none {
			return false
		}
		owner[p] = m
		last = p
	}
	pr.load[m] += int32(len(partitions))
	return len(partitions) > 0
}

// claimUserData reads what members remember in sticky user data; memories is how many of them have some.
func (c *classic) claimUserData(memories int) claims {
	cl := c.newClaims(memories)
	cl.tidy = false // bytes are no lists that could be changed
	if c.owner != nil {
		for m, i := range c.members {
			var gen int32
			eachSticky(c.input[i].UserData,
				func(g int32) { gen = g; cl.generation(g) },
				func(topic, raw []byte) {
					name := unsafe.String(unsafe.SliceData(topic), len(topic)) // only looked at
					t := c.lookup(&name)
					for ; len(raw) >= 4; raw = raw[4:] {
						cl.claim(int32(m), t, int32(binary.BigEndian.Uint32(raw)), gen)
					}
				})
		}
	}
	cl.settle()
	return cl
}
