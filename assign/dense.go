package assign

import (
	"encoding/binary"
	"hash/maphash"
	"slices"
)

// problem is one question in small integers: members, topics and partitions are numbered in the order of their names, so that "the
// lowest index" is a rule that does not depend on how the input was listed. Everything behind it works on numbers only, for the classic
// protocol (topics by name) and for KIP-848 (topics by id) alike.
//
//	partition:  0 1 2 3 | 4 5 | 6 7 8          base  = 0 4 6 9
//	topic:      A       | B   | C              owner = member that has it now, or none
type problem struct {
	base []int32 // topic t holds the partitions base[t] to base[t+1]-1

	// Members with the same subscription form a class: sameness is checked once, and everything else is done per class.
	class       []int32   // member -> class
	classTopics [][]int32 // class -> its topics that have partitions, ascending, without repeats

	// partition -> its one valid previous owner (known topic, still subscribed, uncontested), or none; nil when nobody claims anything
	owner []int32
	owned int // how many partitions have one

	racks *racks // nil where racks change nothing
}

const (
	none      int32 = -1
	contested int32 = -2 // claimed twice by members of the same generation; turned into none by settle
)

func (pr *problem) members() int    { return len(pr.class) }
func (pr *problem) topics() int     { return len(pr.base) - 1 }
func (pr *problem) partitions() int { return int(pr.base[len(pr.base)-1]) }

// names finds a topic's number. Linear probing over a power of two: one allocation, and a hit costs a hash and a comparison that ends
// at once when both strings share their bytes. The seed differs from process to process (names come from strangers); it decides where
// entries lie, never what is found.
type names struct {
	slots []int32 // topic+1; 0 = free
	name  func(int32) string
}

var nameSeed = maphash.MakeSeed()

func newNames(n int, name func(int32) string) names {
	size := 8
	for size < 2*n {
		size *= 2
	}
	t := names{make([]int32, size), name}
	for i := range int32(n) {
		h := maphash.String(nameSeed, name(i)) & uint64(size-1)
		for t.slots[h] != 0 {
			h = (h + 1) & uint64(size-1)
		}
		t.slots[h] = i + 1
	}
	return t
}

func (t *names) find(s string) int32 {
	mask := uint64(len(t.slots) - 1)
	for h := maphash.String(nameSeed, s) & mask; ; h = (h + 1) & mask {
		i := t.slots[h] - 1
		if i < 0 || t.name(i) == s {
			return i
		}
	}
}

func (t *names) findBytes(s []byte) int32 {
	mask := uint64(len(t.slots) - 1)
	for h := maphash.Bytes(nameSeed, s) & mask; ; h = (h + 1) & mask {
		i := t.slots[h] - 1
		if i < 0 || t.name(i) == string(s) {
			return i
		}
	}
}

// classic is a problem together with the way back to the caller's members and topics.
type classic struct {
	problem
	input   []Member
	known   []Topic
	members []int32 // member number -> index in input
	topic   []int32 // topic number -> index in known
	names   names
}

// number builds everything but owners and racks. order gives the members' numbers.
func number(members []Member, topics []Topic, order func([]Member) []int32) (*classic, error) {
	if len(members) > MaxPartitions || len(topics) > MaxPartitions {
		return nil, ErrTooLarge
	}
	c := &classic{input: members, known: topics, members: order(members)}
	c.topic = orderNames(len(topics), func(i int) string { return topics[i].Name })
	c.topic = slices.CompactFunc(c.topic, func(a, b int32) bool { return topics[a].Name == topics[b].Name })
	c.base = make([]int32, len(c.topic)+1)
	total := int64(0)
	for t, i := range c.topic {
		total += int64(max(topics[i].Partitions, 0))
		if total > MaxPartitions {
			return nil, ErrTooLarge
		}
		c.base[t+1] = int32(total)
	}
	c.names = newNames(len(c.topic), func(t int32) string { return topics[c.topic[t]].Name })
	c.classify()
	return c, nil
}

// classify gives members with the same set of topics one class. Lists that share their memory, or hold the same strings in the same
// order as the member before, are recognized without looking anything up.
func (c *classic) classify() {
	c.class = make([]int32, len(c.members))
	var sets classSet
	type list struct{ len, class int }
	var seen map[*string]list // first string of a list met before; made when a second list turns up
	var before []string
	for m, i := range c.members {
		topics := c.input[i].Topics
		if m > 0 && sameList(topics, before) {
			c.class[m] = c.class[m-1]
			continue
		}
		before = topics
		if len(topics) > 0 {
			if l, ok := seen[&topics[0]]; ok && l.len == len(topics) {
				c.class[m] = int32(l.class)
				continue
			}
		}
		ids := make([]int32, 0, len(topics))
		for _, name := range topics {
			if t := c.names.find(name); t >= 0 && c.base[t] < c.base[t+1] {
				ids = append(ids, t)
			}
		}
		c.class[m] = sets.add(ids)
		if len(topics) > 0 && len(c.members) > 1 {
			if seen == nil && m > 0 {
				seen = make(map[*string]list)
				if first := c.input[c.members[0]].Topics; len(first) > 0 {
					seen[&first[0]] = list{len(first), int(c.class[0])}
				}
			}
			if seen != nil {
				seen[&topics[0]] = list{len(topics), int(c.class[m])}
			}
		}
	}
	c.classTopics = sets.lists
}

func sameList(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	if len(a) == 0 || &a[0] == &b[0] {
		return true
	}
	return slices.Equal(a, b)
}

// classSet numbers sets of integers.
type classSet struct {
	lists  [][]int32
	byHash map[uint64][]int32
}

// add returns the number of the set that ids holds, in any order and with repeats. It keeps ids.
func (s *classSet) add(ids []int32) int32 {
	if !slices.IsSorted(ids) {
		slices.Sort(ids)
	}
	ids = slices.Compact(ids)
	if len(s.lists) == 0 {
		s.lists = append(make([][]int32, 0, 1), ids)
		return 0
	}
	if s.byHash == nil {
		s.byHash = map[uint64][]int32{hashInts(s.lists[0]): {0}}
	}
	h := hashInts(ids)
	for _, k := range s.byHash[h] {
		if slices.Equal(s.lists[k], ids) {
			return k
		}
	}
	k := int32(len(s.lists))
	s.lists = append(s.lists, ids)
	s.byHash[h] = append(s.byHash[h], k)
	return k
}

func hashInts(v []int32) uint64 {
	h := uint64(len(v)) + 0x9E3779B97F4A7C15
	for _, x := range v {
		h = (h ^ uint64(uint32(x))) * 0xFF51AFD7ED558CCD
		h ^= h >> 32
	}
	return h
}

// claims collects who says to own what, and settles contradictions: an index beyond the topic and an unknown topic are dropped; of
// several claimants the newest generation counts; two of that generation make the partition nobody's.
type claims struct {
	pr      *problem
	best    []int32 // partition -> newest generation that claims it; nil while all claims share one
	uniform int32
	any     bool
	// generationOf reads a member's generation again; set by who reads the claims.
	generationOf func(*Subscription) int32
	disputed     []int32 // pairs partition, member: every claim that does not end up in owner
}

func (pr *problem) newClaims() claims { return claims{pr: pr} }

// generation must be called before a member's claims: it says which generation they come from.
func (cl *claims) generation(g int32) {
	if !cl.any {
		cl.any, cl.uniform = true, g
		cl.pr.owner = filled(cl.pr.partitions(), none)
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
	if pr.owner == nil {
		return
	}
	bits := newTopicBits(pr)
	for t := range pr.topics() {
		if len(pr.classTopics) == 1 && len(cl.disputed) == 0 && bits.has(0, int32(t)) {
			for _, m := range pr.owner[pr.base[t]:pr.base[t+1]] {
				if m >= 0 {
					pr.owned++
				}
			}
			continue
		}
		for p := pr.base[t]; p < pr.base[t+1]; p++ {
			m := pr.owner[p]
			if m == none {
				continue
			}
			if m == contested {
				pr.owner[p] = none
				continue
			}
			if !bits.has(pr.class[m], int32(t)) {
				cl.disputed = append(cl.disputed, p, m)
				pr.owner[p] = none
				continue
			}
			pr.owned++
		}
	}
}

// topicBits answers "does this class read this topic": a bit each when that is small, a search otherwise.
type topicBits struct {
	pr    *problem
	words int
	bits  []uint64
}

func newTopicBits(pr *problem) topicBits {
	b := topicBits{pr: pr, words: (pr.topics() + 63) / 64}
	if len(pr.classTopics)*b.words > 1<<22 {
		return b
	}
	b.bits = make([]uint64, len(pr.classTopics)*b.words)
	for k, topics := range pr.classTopics {
		row := b.bits[k*b.words:]
		for _, t := range topics {
			row[t/64] |= 1 << (t % 64)
		}
	}
	return b
}

func (b *topicBits) has(class, t int32) bool {
	if b.bits == nil {
		_, ok := slices.BinarySearch(b.pr.classTopics[class], t)
		return ok
	}
	return b.bits[int(class)*b.words+int(t/64)]&(1<<(t%64)) != 0
}

// claimOwned reads what members say they own in their subscriptions (cooperative-sticky).
func (c *classic) claimOwned() claims {
	cl := c.newClaims()
	cl.generationOf = cooperativeGeneration
	for m, i := range c.members {
		s := &c.input[i].Subscription
		if len(s.Owned) == 0 {
			continue
		}
		gen := cooperativeGeneration(s)
		cl.generation(gen)
		for j := range s.Owned {
			t := c.names.find(s.Owned[j].Topic)
			for _, partition := range s.Owned[j].Partitions {
				cl.claim(int32(m), t, partition, gen)
			}
		}
	}
	return cl
}

// claimUserData reads what members remember in sticky user data.
func (c *classic) claimUserData() claims {
	cl := c.newClaims()
	cl.generationOf = func(s *Subscription) int32 {
		_, gen := DecodeStickyUserData(s.UserData)
		return gen
	}
	for m, i := range c.members {
		var gen int32
		eachSticky(c.input[i].UserData,
			func(g int32) { gen = g; cl.generation(g) },
			func(topic, raw []byte) {
				t := c.names.findBytes(topic)
				for ; len(raw) >= 4; raw = raw[4:] {
					cl.claim(int32(m), t, int32(binary.BigEndian.Uint32(raw)), gen)
				}
			})
	}
	return cl
}
