package assign

import "slices"

// Range is the assignor called "range". Every topic for itself: its partitions in order, its readers in order (static ones first), each
// reader a contiguous run. The first n mod m readers get one more, in every topic the same ones: with many topics of few partitions
// the first members do all the work. In exchange, partition p of topics with equally many partitions and the same readers goes to
// one member: such topics can be joined.
//
//	A(4) B(4), C1 C2 C3:   C1 = {A0,A1,B0,B1}   C2 = {A2,B2}   C3 = {A3,B3}
//
// Racks (KIP-881) come third, after the number of partitions and after keeping joinable topics together. No memory.
type Range struct{}

// Name is "range".
func (Range) Name() string { return "range" }

// Cooperative is false.
func (Range) Cooperative() bool { return false }

// Subscribe tells the topics; ownership is not used and therefore not told.
func (Range) Subscribe(topics []string, _ []TopicPartitions, generation int32, rack string) Subscription {
	return Subscription{Topics: topics, Generation: generation, Rack: rack}
}

// Assign returns the plan.
func (Range) Assign(members []Member, topics []Topic) ([]Assignment, error) {
	c := classics.Get().(*classic)
	defer c.done()
	if err := c.number(members, topics, true, 0); err != nil {
		return nil, err
	}
	r := ranger{problem: &c.problem, plan: filled(c.partitions(), none)}
	var names rackNames
	names, r.racks = c.numberRacks(
		func(m int) string { return c.input[c.members[m]].Rack },
		func(t int) [][]string { return c.known[c.topic[t]].Racks })
	r.assign(&names)
	c.write(r.plan)
	return c.out, nil
}

type ranger struct {
	*problem
	plan  []int32
	racks *racks
}

func (r *ranger) assign(names *rackNames) {
	readers := r.readers()
	if r.racks == nil {
		for t := range r.topics() {
			newRanges(r.size(int32(t)), readers.of(t)).fill(r.plan[r.base[t]:r.base[t+1]])
		}
		return
	}
	// Topics with the same readers and the same number of partitions are kept together.
	type key struct {
		readers string
		size    int32
	}
	var order []key
	together := make(map[key][]int)
	matters := false
	need := make([]bool, r.topics())
	var sets [][]int32
	var memberRacks []int32
	for t := range r.topics() {
		row := readers.of(t)
		if len(row) == 0 || r.size(int32(t)) == 0 {
			continue
		}
		sets, memberRacks = sets[:0], memberRacks[:0]
		for _, k := range distinct(r.racks.set[r.base[t]:r.base[t+1]]) {
			sets = append(sets, names.list[k])
		}
		for _, m := range row {
			if r.racks.member[m] != none {
				memberRacks = append(memberRacks, r.racks.member[m])
			}
		}
		need[t] = racksMatter(sets, memberRacks)
		matters = matters || need[t]
		k := key{string(bytesOf(readers.class[t])), r.size(int32(t))}
		if together[k] == nil {
			order = append(order, k)
		}
		together[k] = append(together[k], t)
	}
	for _, k := range order {
		topics := together[k]
		row := readers.of(topics[0])
		rg := newRanges(k.size, row)
		switch {
		case !matters:
		case len(topics) > 1 && slices.ContainsFunc(row, func(m int32) bool { return r.racks.member[m] != none }):
			r.matchTogether(rg, topics)
		case len(topics) == 1 && need[topics[0]]:
			r.match(rg, topics[0])
		}
		// Topics kept together have been treated alike so far, so what is left is the same in each.
		for _, t := range topics {
			rest := *rg
			rest.held = slices.Clone(rg.held)
			rest.fill(r.plan[r.base[t]:r.base[t+1]])
		}
	}
}

// matchTogether gives partition p of all the topics to the first reader that has room and a matching rack for each of them. Readers wait
// in one queue per rack, so that nobody is asked twice.
func (r *ranger) matchTogether(rg *ranges, topics []int) {
	queue := make(map[int32][]int32) // rack, or none -> positions in rg.readers
	for i, m := range rg.readers {
		queue[r.racks.member[m]] = append(queue[r.racks.member[m]], int32(i))
	}
	racks := make([]int32, 0, len(queue))
	for rack := range queue { // any order: the lowest position wins
		racks = append(racks, rack)
	}
	slices.Sort(racks)
	for p := range rg.size {
		best := none
		for _, rack := range racks {
			q := queue[rack]
			for len(q) > 0 && rg.room(q[0]) == 0 {
				q = q[1:]
			}
			queue[rack] = q
			if len(q) == 0 || best != none && q[0] > best {
				continue
			}
			matches := rack == none || !slices.ContainsFunc(topics, func(t int) bool { return !r.racks.has(r.racks.set[r.base[t]+p], rack) })
			if matches {
				best = q[0]
			}
		}
		if best == none {
			continue
		}
		rg.take(best, 1)
		for _, t := range topics {
			r.plan[r.base[t]+p] = rg.readers[best]
		}
	}
}

// match gives each reader in turn the first partitions of its rack, up to its room.
func (r *ranger) match(rg *ranges, t int) {
	plan, sets := r.plan[r.base[t]:r.base[t+1]], r.racks.set[r.base[t]:r.base[t+1]]
	from := make(map[int32]int32) // rack, or none -> first partition not looked at
	for i, m := range rg.readers {
		rack := r.racks.member[m]
		p := from[rack]
		for ; p < rg.size && rg.room(int32(i)) > 0; p++ {
			if plan[p] == none && (rack == none || r.racks.has(sets[p], rack)) {
				plan[p] = m
				rg.take(int32(i), 1)
			}
		}
		from[rack] = p
	}
}

// ranges keeps how much of one topic each of its readers may still get.
type ranges struct {
	readers []int32
	size    int32
	share   int32   // everybody's
	extras  int32   // how many may still have one more; first come, first served
	held    []int32 // by position in readers; nil = nobody holds any
}

func newRanges(size int32, readers []int32) *ranges {
	rg := &ranges{readers: readers, size: size}
	if m := int32(len(readers)); m > 0 {
		rg.share, rg.extras = size/m, size%m
	}
	return rg
}

func (rg *ranges) room(i int32) int32 {
	room := rg.share
	if rg.extras > 0 {
		room++
	}
	if rg.held != nil {
		room -= rg.held[i]
	}
	return max(room, 0)
}

func (rg *ranges) take(i, k int32) {
	if rg.held == nil {
		rg.held = make([]int32, len(rg.readers))
	}
	if rg.held[i] += k; rg.held[i] > rg.share {
		rg.extras--
	}
}

// fill gives what is left of the topic to readers in order.
func (rg *ranges) fill(plan []int32) {
	p := 0
	for i := range rg.readers {
		room := rg.room(int32(i))
		held := int32(0)
		if rg.held != nil {
			held = rg.held[i]
		}
		for k := room; k > 0; k-- {
			for p < len(plan) && plan[p] != none {
				p++
			}
			if p == len(plan) {
				return
			}
			plan[p] = rg.readers[i]
			held++
		}
		if room > 0 && held > rg.share {
			rg.extras--
		}
	}
}

func distinct(v []int32) []int32 {
	v = slices.Clone(v)
	slices.Sort(v)
	return slices.Compact(v)
}

func bytesOf(v []int32) []byte {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = append(b, byte(x), byte(x>>8), byte(x>>16), byte(x>>24))
	}
	return b
}
