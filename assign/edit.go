package assign

import "slices"

// edit writes a plan as changes to what members said to hold. Who neither loses nor gets anything has its own list returned; of the others,
// the entries that do not change are copied, and their partitions shared.
func (o *output[E]) edit(changes []change, l *lists[E]) {
	if len(changes) == 0 {
		return
	}
	if !slices.IsSortedFunc(changes, byMember) {
		changes = o.byMember(changes)
	}
	entries, gains := 0, 0
	for i, c := range changes {
		if c.gets {
			gains++
		}
		if i == 0 || changes[i-1].member != c.member {
			entries += len(o.dialect.claimed(c.member))
		}
	}
	list, flat := make([]E, 0, entries+gains), make([]int32, 0, gains)
	for len(changes) > 0 {
		m, n := changes[0].member, 1
		for n < len(changes) && changes[n].member == m {
			n++
		}
		todo := changes[:n]
		changes = changes[n:]
		if !slices.IsSortedFunc(todo, byPartition) {
			slices.SortFunc(todo, byPartition)
		}
		had := o.dialect.claimed(m)
		topics, _ := l.read(o.class[m], had)
		topic, end := l.singles[:1], l.scratch[:1]
		from, t := len(list), int32(0)
		if len(had) == 0 {
			// A newcomer: everything is written at once.
			topic, end := l.singles, l.scratch
			n := 0
			for i, c := range todo {
				if i == 0 || c.p >= o.base[t+1] {
					t = o.topicAt(c.p, t)
					topic[n] = t
					n++
				}
				flat = append(flat, c.p-o.base[t])
				end[n-1] = int32(i + 1)
			}
			list = list[:from+n]
			o.dialect.fill(list[from:], topic, end, flat[len(flat)-len(todo):])
			o.dialect.set(m, list[from:len(list):len(list)])
			continue
		}
		for len(todo) > 0 {
			t = o.topicAt(todo[0].p, t)
			n := 1
			for n < len(todo) && todo[n].p < o.base[t+1] {
				n++
			}
			same := 0
			for same < len(topics) && topics[same] < t {
				same++
			}
			list = append(list, had[:same]...)
			had, topics = had[same:], topics[same:]
			var now []int32
			if len(topics) > 0 && topics[0] == t {
				now = o.dialect.indexes(&had[0])
				had, topics = had[1:], topics[1:]
			}
			if n == 1 && len(now) == 1 && !todo[0].gets {
				todo = todo[1:] // all of the topic goes
				continue
			}
			if now, flat = merge(flat, now, todo[:n], o.base[t]); len(now) > 0 {
				topic[0], end[0] = t, int32(len(now))
				list = list[:len(list)+1]
				o.dialect.fill(list[len(list)-1:], topic, end, now)
			}
			todo = todo[n:]
		}
		if list = append(list, had...); len(list) > from {
			o.dialect.set(m, list[from:len(list):len(list)])
		} else {
			o.dialect.set(m, nil)
		}
	}
}

// byMember puts changes in the order of their members. There may be as many as partitions, so they are counted and not compared.
func (o *output[E]) byMember(changes []change) []change {
	ends := o.space.cut(o.members() + 1) // where a member's changes end, and before they are filled in, where they begin
	for _, c := range changes {
		ends[c.member+1]++
	}
	for m := range o.members() {
		ends[m+1] += ends[m]
	}
	sorted := make([]change, len(changes))
	for _, c := range changes {
		sorted[ends[c.member]] = c
		ends[c.member]++
	}
	return sorted
}

func byMember(a, b change) int { return int(a.member - b.member) }

func byPartition(a, b change) int { return int(a.p - b.p) }

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
	for _, e := range edits {
		p := e.p - base
		k := 0
		for k < len(had) && had[k] < p {
			k++
		}
		flat = append(flat, had[:k]...)
		had = had[k:]
		if e.gets {
			flat = append(flat, p)
		} else {
			had = had[1:]
		}
	}
	flat = append(flat, had...)
	to := len(flat)
	return flat[from:to:to], flat
}
