package assign

import "slices"

// Plans are written as lists. All lists of one kind share one array; their capacities end where they do, so that appending to one never
// writes into the next.

// share is where a member's part of the output starts, and then how far it is filled.
type share struct{ parts, entries, last int32 }

// write lists any plan (partition -> member or none): it counts what each member gets, gives it a stretch of the arrays, and fills those.
// A member's topics and partitions ascend, because the plan is walked in that order.
func (r *roster[K]) write(plan []int32) {
	shares := make([]share, len(r.members))
	for m := range shares {
		shares[m].last = none
	}
	for t := range int32(r.topics()) {
		for _, m := range plan[r.base[t]:r.base[t+1]] {
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
	parts, entries := int32(0), int32(0)
	for m := range shares {
		s := &shares[m]
		parts, s.parts = parts+s.parts, parts
		entries, s.entries = entries+s.entries, entries
		s.last = none
	}
	flat := make([]int32, parts)
	topic, end := r.space.cut(int(entries)), r.space.cut(int(entries))
	for t := range int32(r.topics()) {
		base := r.base[t]
		for p, m := range plan[base:r.base[t+1]] {
			if m < 0 {
				continue
			}
			s := &shares[m]
			if s.last != t {
				s.last = t
				topic[s.entries] = t
				s.entries++
			}
			flat[s.parts] = int32(p)
			s.parts++
			end[s.entries-1] = s.parts
		}
	}
	list := make([]PartitionsOf[K], entries)
	r.fillIn(list, topic, end, flat)
	from := int32(0)
	for m := range shares {
		// Every member's stretch has been filled to its end.
		to := shares[m].entries
		if to == from {
			r.set(int32(m), nil)
			continue
		}
		r.set(int32(m), list[from:to:to])
		from = to
	}
}

// deal is the plan for even components in which nobody owns anything, and writes it at once, member by member: of the topics laid end to
// end, the first of k members gets the partitions 0, k, 2k and so on, the second 1, k+1, 2k+1.
func (r *roster[K]) deal(parts []component) {
	total, entries, rounds, width := 0, 0, 0, 0
	for i := range parts {
		width += len(parts[i].topics) + 1
	}
	begin, single := r.space.cut(width), r.space.cut(len(parts))
	rest := begin
	for i := range parts {
		c := &parts[i]
		n, listed := r.lay(rest, c.topics, len(c.members))
		total, entries, rounds = total+n, entries+listed, max(rounds, (n+len(c.members)-1)/len(c.members))
		if n == listed {
			single[i] = 1
		}
		rest = rest[len(c.topics)+1:]
	}
	d := dealing{where: r.space.cut(rounds), topic: r.space.cut(rounds), end: r.space.cut(rounds)}
	flat, list := make([]int32, total), make([]PartitionsOf[K], entries)
	for i := range parts {
		c := &parts[i]
		d.start(c, begin[:len(c.topics)+1])
		begin = begin[len(c.topics)+1:]
		for at, m := range c.members {
			n, e := 0, 0
			if single[i] == 1 {
				n = r.dealSingles(&d, int32(at), flat, list)
				e = n
			} else {
				n, e = d.member(int32(at), flat)
				r.fillIn(list[:e], d.topic[:e], d.end[:e], flat)
			}
			if e == 0 {
				break // nor does anybody after it
			}
			r.set(m, list[:e:e])
			flat, list = flat[n:], list[e:]
		}
	}
}

// lay fills begin with where topics begin when they are laid end to end, and answers how many partitions that is, and how many entries they take in the
// lists of so many members.
func (r *roster[K]) lay(begin, topics []int32, members int) (partitions, entries int) {
	base, at, k := r.base, int32(0), int32(members)
	begin = begin[:len(topics)+1]
	for x, t := range topics {
		begin[x] = at
		size := base[t+1] - base[t]
		at += size
		entries += int(min(size, k))
	}
	begin[len(topics)] = at
	return int(at), entries
}

// dealing is a component while it is dealt.
type dealing struct {
	topics     []int32
	begin      []int32 // place in topics -> where the topic begins, when they are laid end to end
	where      []int32 // round -> the place of the topic of the member's partition; for the next member it is the same or a later one
	step       int32   // the number of members
	topic, end []int32 // what the member gets, entry by entry
}

// start begins a component whose topics begin at begin, for the first of its members.
func (d *dealing) start(c *component, begin []int32) {
	d.topics, d.begin, d.step = c.topics, begin, int32(len(c.members))
	x, end := int32(0), begin[len(c.topics)]
	for j, at := 0, int32(0); at < end; j, at = j+1, at+d.step {
		for at >= begin[x+1] {
			x++
		}
		d.where[j] = x
	}
}

// member writes the partitions of the i-th member to flat, and answers how many they are, of how many topics.
func (d *dealing) member(i int32, flat []int32) (n, entries int) {
	begin, at, step := d.begin, i, d.step
	n = int((begin[len(begin)-1] - at + step - 1) / step)
	flat = flat[:n]
	where, topic, end, last := d.where[:n], d.topic[:n], d.end[:n], none
	for j, x := range where {
		if at >= begin[x+1] {
			for x++; at >= begin[x+1]; {
				x++
			}
			where[j] = x
		}
		flat[j] = at - begin[x]
		at += step
		if x != last {
			topic[entries] = d.topics[x]
			entries++
			last = x
		}
		end[entries-1] = int32(j + 1)
	}
	return n, entries
}

// dealSingles is member and fillIn where nobody gets two partitions of a topic: each partition is an entry.
func (r *roster[K]) dealSingles(d *dealing, i int32, flat []int32, list []PartitionsOf[K]) int {
	keys, topics, begin, at, step := r.keys, d.topics, d.begin, i, d.step
	n := int((begin[len(begin)-1] - at + step - 1) / step)
	flat, list = flat[:n], list[:n]
	where := d.where[:n]
	for j, x := range where {
		if at >= begin[x+1] {
			for x++; at >= begin[x+1]; {
				x++
			}
			where[j] = x
		}
		flat[j] = at - begin[x]
		at += step
		e := &list[j]
		e.Topic, e.Partitions = keys[topics[x]], flat[j:j+1:j+1]
	}
	return n
}

// edit writes a plan as changes to what members said to hold; those of one member come by ascending partition. Who neither loses nor gets
// anything has its own list returned; of the others, the entries that do not change are copied, and their partitions shared.
func (r *roster[K]) edit(changes []change, l *lists[K]) {
	if len(changes) == 0 {
		return
	}
	for i := 1; i < len(changes); i++ {
		if changes[i].member < changes[i-1].member {
			changes = r.byMember(changes)
			break
		}
	}
	entries, grown, had := 0, 0, 0
	for i := range changes {
		c := &changes[i]
		if i == 0 || changes[i-1].member != c.member {
			had = len(r.claims(c.member))
			entries += had
		}
		if c.gets {
			entries++
			// What is added to a topic that the member has is listed together with what it has of it, most often one.
			grown += 1 + min(had, 1)
		}
	}
	list, flat := r.room(entries, 0), make([]int32, 0, grown)
	for len(changes) > 0 {
		m, k, n := changes[0].member, 1, 0
		for k < len(changes) && changes[k].member == m {
			k++
		}
		if had := r.claims(m); len(had) > 0 {
			n, flat = r.amend(list, flat, had, l.topicsOf(m, had), changes[:k])
		} else {
			flat = slices.Grow(flat, k)
			n = r.list(list, flat[len(flat):cap(flat)], changes[:k])
			flat = flat[:len(flat)+k]
		}
		if n > 0 {
			r.set(m, list[:n:n])
		} else {
			r.set(m, nil)
		}
		changes, list = changes[k:], list[n:]
	}
}

// list writes what a member gets who had nothing, and answers how many entries that takes. flat is room for the partitions.
func (r *roster[K]) list(list []PartitionsOf[K], flat []int32, gains []change) (n int) {
	keys, base := r.keys, r.base
	flat = flat[:len(gains)]
	for i := 0; i < len(gains); n++ {
		t, from := gains[i].t, i
		for begin := base[t]; i < len(gains) && gains[i].t == t; i++ {
			flat[i] = gains[i].p - begin
		}
		e := &list[n]
		e.Topic, e.Partitions = keys[t], flat[from:i:i]
	}
	return n
}

// amend writes what becomes of a member's list had, whose topics are known, and answers how many entries that takes. Partitions are put at
// the end of flat.
//
// Nearly always the changes are to topics that the member has, and it keeps something of each: then the entries are the same, but for some of
// their partitions.
func (r *roster[K]) amend(list []PartitionsOf[K], flat []int32, had []PartitionsOf[K], topics []laid, changes []change) (n int, grown []int32) {
	n, grown = copy(list, had), flat
	topics = topics[:len(had)]
	for i, at := 0, 0; i < len(changes); {
		t, from := changes[i].t, i
		for i++; i < len(changes) && changes[i].t == t; {
			i++
		}
		if int(t) < len(topics) && topics[t].t == t {
			at = int(t) // it has all topics up to this one
		}
		for at < len(topics) && topics[at].t < t {
			at++
		}
		if at == len(topics) || topics[at].t != t {
			return r.rewrite(list, flat, had, topics, changes)
		}
		var now []int32
		if now, grown = merge(grown, had[at].Partitions, changes[from:i], topics[at].begin); len(now) == 0 {
			return r.rewrite(list, flat, had, topics, changes)
		}
		list[at].Partitions = now
	}
	return n, grown
}

// rewrite is amend where entries come or go.
func (r *roster[K]) rewrite(list []PartitionsOf[K], flat []int32, had []PartitionsOf[K], topics []laid, changes []change) (n int, grown []int32) {
	at := 0
	for i := 0; i < len(changes); {
		t, from := changes[i].t, i
		for i++; i < len(changes) && changes[i].t == t; {
			i++
		}
		for ; at < len(had) && topics[at].t < t; at++ {
			list[n] = had[at]
			n++
		}
		var now []int32
		if at < len(had) && topics[at].t == t {
			now = had[at].Partitions
			at++
		}
		if now, flat = merge(flat, now, changes[from:i], r.base[t]); len(now) > 0 {
			list[n] = PartitionsOf[K]{r.keys[t], now}
			n++
		}
	}
	return n + copy(list[n:], had[at:]), flat
}

// byMember puts changes in the order of their members. There may be as many as partitions, so they are counted and not compared.
func (r *roster[K]) byMember(changes []change) []change {
	ends := r.space.cut(len(r.members) + 1) // where a member's changes end, and before they are filled in, where they begin
	for _, c := range changes {
		ends[c.member+1]++
	}
	for m := range len(r.members) {
		ends[m+1] += ends[m]
	}
	r.sorted = slices.Grow(r.sorted[:0], len(changes))
	sorted := r.sorted[:len(changes)]
	for _, c := range changes {
		sorted[ends[c.member]] = c
		ends[c.member]++
	}
	return sorted
}

// merge is what edits make of the partitions of one topic, which begins at base: a part of had where that will do, else a new list at the
// end of flat.
func merge(flat, had []int32, edits []change, base int32) (now, grown []int32) {
	if n := len(had) - 1; len(edits) == 1 && !edits[0].gets {
		switch edits[0].p - base {
		case had[n]:
			return had[:n:n], flat
		case had[0]:
			return had[1:], flat
		}
	}
	from := len(flat)
	for i := range edits {
		p := edits[i].p - base
		for len(had) > 0 && had[0] < p {
			flat, had = append(flat, had[0]), had[1:]
		}
		if edits[i].gets {
			flat = append(flat, p)
		} else {
			had = had[1:]
		}
	}
	if len(had) > 0 {
		flat = append(flat, had...)
	}
	to := len(flat)
	return flat[from:to:to], flat
}
