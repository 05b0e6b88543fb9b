package assign

// share is where a member's part of the output starts, and then how far it is filled.
type share struct{ parts, entries, last int32 }

// lay counts what each member gets and gives it a stretch of one list of partitions and of one list of entries (a topic and its
// partitions). It answers where the stretches start, and how long both lists are.
func (pr *problem) lay(plan []int32) (shares []share, parts, entries int32) {
	shares = make([]share, pr.members()+1)
	for m := range shares {
		shares[m].last = none
	}
	for t := range int32(pr.topics()) {
		for _, m := range plan[pr.base[t]:pr.base[t+1]] {
			if m < 0 {
				continue
			}
			s := &shares[m]
			s.parts++
			if s.last != t {
				s.last = t
				s.entries++
			}
		}
	}
	for m := range shares {
		s := &shares[m]
		parts, s.parts = parts+s.parts, parts
		entries, s.entries = entries+s.entries, entries
		s.last = none
	}
	return shares, parts, entries
}

// spread writes partition indexes into flat, member by member, and for each entry its topic and where in flat it begins. A member's
// topics and partitions ascend, because the plan is walked in that order.
func (pr *problem) spread(plan []int32, shares []share, flat, topic, begin []int32) {
	for t := range int32(pr.topics()) {
		base := pr.base[t]
		for p, m := range plan[base:pr.base[t+1]] {
			if m < 0 {
				continue
			}
			s := &shares[m]
			if s.last != t {
				s.last = t
				topic[s.entries], begin[s.entries] = t, s.parts
				s.entries++
			}
			flat[s.parts] = int32(p)
			s.parts++
		}
	}
	begin[len(topic)] = int32(len(flat))
}

// emit turns a plan (partition -> member number or none) into one Assignment per input member. All lists of one kind share one array;
// their capacities end where they do, so that appending to one never writes into the next.
func (c *classic) emit(plan []int32) []Assignment {
	shares, parts, entries := c.lay(plan)
	flat := make([]int32, parts)
	index := make([]int32, 2*entries+1)
	topic, begin := index[:entries], index[entries:]
	c.spread(plan, shares, flat, topic, begin)
	tps := make([]TopicPartitions, entries)
	for e, t := range topic {
		tps[e] = TopicPartitions{c.known[c.topic[t]].Name, flat[begin[e]:begin[e+1]:begin[e+1]]}
	}
	out := make([]Assignment, len(c.input))
	from := int32(0)
	for m, i := range c.members {
		// spread left every member's stretch at its end.
		if to := shares[m].entries; to > from {
			out[i].Partitions = tps[from:to:to]
			from = to
		}
	}
	return out
}
