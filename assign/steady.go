package assign

import (
	"math/bits"
	"slices"
)

// steady is how a group goes on in which every member holds what an assignor gave it, nobody contradicts, and every component is even: the
// usual case. The plan is that of even.go, but who owns a partition need not be kept: it is enough to know, of each partition, that somebody
// does. What a member gives up depends on its own list only, which is cut short while it is being read, and who gives something up gets
// nothing. So a list that stays is looked at once.
//
//	q = 2      C1={0,1,2}  ->  C1={0,1}     bits 0 1 . . . .
//	           C2={3,4}        stays        bits 0 1 . 3 4 .
//	           C3={}                        short; the bits that are missing are for it: 2 5 (on hold: 5)
type steady[K topicKey] struct {
	lists[K]
	hold    bool  // what a member loses is not given to another yet
	taken   marks // partitions that somebody holds; also those that it loses, since nobody else may claim them
	gone    marks // the latter
	load    []int32
	lasts   []int32 // scratch of dropMany: the last partition of each entry
	entries int     // of lists that are still to be read
	fresh   int     // members that hold nothing
	gains   int     // about how many entries of the answer will be for what lists lose,
	losers  int     // and how many lists will lose something, at most; 0 where nobody knows
}

// change is a partition that a member gets or loses, and its topic.
type change struct {
	member, t, p int32
	gets         bool
}

// newSteady takes its arrays from r.space. entries is how many the lists have in all, and holders how many members have one.
func (r *roster[K]) newSteady(entries, holders int, hold bool) steady[K] {
	s := steady[K]{lists: r.newLists(), hold: hold, entries: entries, fresh: max(len(r.members)-holders, 0)}
	if len(r.classTopics) > 1 {
		// In even components no topic is read by two classes.
		s.places = r.space.cut(len(r.keys))
		for _, topics := range r.classTopics {
			for i, t := range topics {
				s.places[t] = int32(i)
			}
		}
	}
	words := r.partitions()/32 + 1
	s.load, s.taken, s.gone = r.space.cut(len(r.members)), r.space.cut(words), r.space.cut(words)
	s.lasts = r.space.cut(len(r.keys))
	return s
}

// plan sets the lists of those who keep or lose, and notes gains; false when this is another case.
func (s *steady[K]) plan(parts []component) bool {
	for i := range parts {
		if !s.even(&parts[i]) {
			return false
		}
	}
	return s.entries == 0 // else somebody who reads nothing holds something
}

// even does for a component what solver.even does: the same loads, and the same partitions go to the same members.
func (s *steady[K]) even(part *component) bool {
	d, released := s.dealer(part, s.load), int32(0)
	free := d.q*int32(len(part.members)) + d.more
	k := s.roster.class[part.members[0]]
	s.losers = s.fresh*int(d.q) + min(s.fresh, int(d.more)) // where everybody was even, each partition of a newcomer is another member's
	if s.gains = 0; !s.hold {
		s.gains = int(d.q + min(d.more, 1)) // one newcomer's
	}
	for _, m := range part.members {
		list := s.claims(m)
		if len(list) == 0 {
			d.keeps(m, 0)
			continue
		}
		s.entries -= len(list)
		load, top := s.take(m, k, list)
		if load == 0 {
			return false
		}
		s.load[m] = load
		keep := d.keeps(m, load)
		free -= keep
		if load > keep {
			list = s.drop(list, top, load, load-keep)
			released += load - keep
		}
		s.set(m, list)
	}
	d.ready()
	if m := d.only(); m >= 0 && !s.hold && s.load[m] == 0 && free == d.q {
		s.welcome(m, part.topics, free)
	} else if free > 0 && !(s.hold && free == released) {
		s.changes = slices.Grow(s.changes, int(free))
		for topics := part.topics; len(topics) > 0; {
			n := sideBySide(topics)
			s.handOut(&d, topics[0], topics[0]+int32(n))
			topics = topics[n:]
		}
	}
	return true
}

// welcome sets the list of a member who had nothing and gets all count partitions that nobody holds, or loses.
func (s *steady[K]) welcome(m int32, topics []int32, count int32) {
	list, flat := s.room(min(len(topics), int(count)), s.entries), make([]int32, count)
	base, keys, n, at := s.base, s.keys, 0, 0
	for len(topics) > 0 {
		side := sideBySide(topics)
		t := topics[0]
		first, end, from := base[t], base[t+int32(side)], at
		begin, next := first, base[t+1]
		topics = topics[side:]
		for w := first >> 5; w<<5 < end; w++ {
			for free := s.free(w, first, end); free != 0; free &= free - 1 {
				p := w<<5 + int32(bits.TrailingZeros32(free))
				if p >= next {
					if at > from {
						list[n] = PartitionsOf[K]{keys[t], flat[from:at:at]}
						n, from = n+1, at
					}
					for t++; p >= base[t+1]; {
						t++
					}
					begin, next = base[t], base[t+1]
				}
				flat[at] = p - begin
				at++
			}
		}
		if at > from {
			list[n] = PartitionsOf[K]{keys[t], flat[from:at:at]}
			n++
		}
	}
	s.answer = s.answer[n:]
	s.set(m, list[:n:n])
}

// sideBySide is how many topics there are, from the first on, between which no other lies.
func sideBySide(topics []int32) int {
	if inRow(topics) {
		return len(topics)
	}
	n := 1
	for n < len(topics) && topics[n] == topics[0]+int32(n) {
		n++
	}
	return n
}

// free has a bit for each partition of word w that lies between from and to, and that nobody holds, or somebody loses.
func (s *steady[K]) free(w, from, to int32) uint32 {
	free := uint32(^s.taken[w] | s.gone[w])
	if w<<5 < from {
		free &= ^uint32(0) << (from & 31)
	}
	if to-w<<5 < 32 {
		free &= 1<<(to&31) - 1
	}
	return free
}

// handOut gives members, in turn, the partitions of topics from t up to end that nobody holds, or loses.
func (s *steady[K]) handOut(d *dealer, t, end int32) {
	base, gone, hold := s.base, s.gone, s.hold
	from, to, next := base[t], base[end], base[t+1]
	changes := s.changes[len(s.changes):cap(s.changes)] // there is room for all
	n := 0
	for w := from >> 5; w<<5 < to; w++ {
		for free := s.free(w, from, to); free != 0; free &= free - 1 {
			p := w<<5 + int32(bits.TrailingZeros32(free))
			for p >= next {
				t++
				next = base[t+1]
			}
			if m := d.next(); !hold || !gone.has(p) {
				changes[n] = change{m, t, p, true}
				n++
			}
		}
	}
	s.changes = s.changes[:len(s.changes)+n]
}

// take reads the list of member m, which is of class k, and marks its partitions. It answers how many they are, and which entry has the highest
// index, the last such; 0 when the class does not read all topics, or topics or partitions do not ascend, or somebody else has one.
func (s *steady[K]) take(m, k int32, list []PartitionsOf[K]) (load int32, top int) {
	n, before := 0, s.list
	if k != s.class {
		before = nil
	} else if !s.copies {
		n, load, top = s.few(list, before, 0, 0, 0) // nearly always, that is all
	}
	for n < len(list) {
		e := &list[n]
		if n >= len(before) || differ(&e.Topic, &before[n].Topic) != 0 && (!s.copies || e.Topic != before[n].Topic) {
			if !s.name(k, list, n, before) {
				return 0, 0
			}
			s.class, s.list, before = k, list, list
		}
		if !s.copies {
			was := n
			if n, load, top = s.few(list, before, n, load, top); n > was {
				continue
			}
			s.copies = true // or there is something wrong with e
		}
		if t := &s.topics[n]; !s.taken.addAll(t.begin, t.size, e.Partitions) {
			return 0, 0
		}
		if e.highest() >= list[top].highest() {
			top = n
		}
		load += int32(len(e.Partitions))
		n++
	}
	s.begin[m] = s.at
	return load, top
}

// few is take from the n-th entry on, for as long as the list names the same topics as the one before, and partitions that nobody has; most often
// few of each. It is a loop with little to keep in mind, since it is where a rebalance spends its time.
//
//go:noinline
func (s *steady[K]) few(list, before []PartitionsOf[K], n int, load int32, top int) (int, int32, int) {
	end, high := min(len(list), len(before)), none
	if n > 0 {
		high = list[top].highest()
	}
	list, before, topics, taken := list[:end], before[:end], s.topics[:end], s.taken
	load -= int32(n)
	for ; n < len(list); n++ {
		e, b, t := &list[n], &before[n], &topics[n]
		if differ(&e.Topic, &b.Topic) != 0 {
			break
		}
		var p int32
		if len(e.Partitions) == 1 {
			p = e.Partitions[0]
		} else if len(e.Partitions) == 2 {
			p = e.Partitions[1]
			first := e.Partitions[0]
			if uint32(first) >= uint32(p) || uint32(p) >= uint32(t.size) {
				break
			}
			at := uint32(t.begin + first)
			w, bit := at>>5, int32(1)<<(at&31)
			if taken[w]&bit != 0 {
				break
			}
			taken[w] |= bit
			load++
		} else {
			if !taken.addAll(t.begin, t.size, e.Partitions) {
				break
			}
			if p = e.highest(); p >= high {
				high, top = p, n
			}
			load += int32(len(e.Partitions)) - 1
			continue
		}
		if uint32(p) >= uint32(t.size) {
			break
		}
		at := uint32(t.begin + p)
		w, bit := at>>5, int32(1)<<(at&31)
		if taken[w]&bit != 0 {
			break
		}
		taken[w] |= bit
		if p >= high {
			high, top = p, n
		}
	}
	return n, load + int32(n), top
}

// highest is the last partition of an entry, or none.
func (e *PartitionsOf[K]) highest() int32 {
	if len(e.Partitions) == 0 {
		return none
	}
	return e.Partitions[len(e.Partitions)-1]
}

// topOf is the last entry of those with the highest index.
func topOf[K topicKey](list []PartitionsOf[K]) (top int) {
	high := none
	for i := range list {
		if p := list[i].highest(); p >= high {
			high, top = p, i
		}
	}
	return top
}

// drop is the list that was read last without count of its partitions: those with the highest index, and of one index, those of the last
// topics. What is left is a part of the list where that will do.
func (s *steady[K]) drop(list []PartitionsOf[K], top int, load, count int32) []PartitionsOf[K] {
	if count > 4 { // one by one is for as many as go in a group of some size
		return s.dropMany(list, top, load, count)
	}
	n, topics := len(list), s.topics
	for top == n-1 && len(list[top].Partitions) == 1 {
		n = top
		s.gone.add(topics[n].begin + list[n].highest())
		if count--; count == 0 {
			return list[:n:n]
		}
		top = topOf(list[:n])
	}
	list = list[:n]
	cut := s.cutting(n)
	if count == 1 && len(list[top].Partitions) == 1 {
		s.gone.add(topics[top].begin + list[top].Partitions[0])
		n = copy(cut, list[:top])
		n += copy(cut[n:], list[top+1:])
		s.answer = s.answer[n:]
		return cut[:n:n]
	}
	copy(cut, list)
	for emptied := false; ; {
		e := &cut[top]
		k := len(e.Partitions) - 1
		s.gone.add(topics[top].begin + e.Partitions[k])
		e.Partitions = e.Partitions[:k:k]
		emptied = emptied || k == 0
		if count--; count == 0 {
			if emptied {
				n = closeUp(cut)
			}
			s.answer = s.answer[n:]
			return cut[:n:n]
		}
		top = topOf(cut)
	}
}

// cutting is room for a list of n entries that loses something, and for the others to come that may.
func (s *steady[K]) cutting(n int) []PartitionsOf[K] {
	if s.losers == 0 {
		return s.room(n, s.entries+s.gains)
	}
	s.losers--
	return s.roomFor(n, min(s.entries, s.losers*n)+s.gains)
}

// dropMany is drop of a count that is worth a search for the lowest index that goes.
func (s *steady[K]) dropMany(list []PartitionsOf[K], top int, load, count int32) []PartitionsOf[K] {
	low, stay := s.cutAt(list, list[top].highest(), load, count)
	cut := s.cutting(len(list))
	copy(cut, list)
	for i, p := range s.lasts[:len(list)] {
		if p < low {
			continue
		}
		partitions := list[i].Partitions
		at := len(partitions) - 1
		for at > 0 && partitions[at-1] >= low {
			at--
		}
		if stay > 0 && partitions[at] == low {
			stay--
			at++
		}
		for _, p := range partitions[at:] {
			s.gone.add(s.topics[i].begin + p)
		}
		cut[i].Partitions = partitions[:at:at]
	}
	n := closeUp(cut)
	s.answer = s.answer[n:]
	return cut[:n:n]
}

// closeUp takes out the entries that are left without partitions, and answers how many others there are.
func closeUp[K topicKey](list []PartitionsOf[K]) (n int) {
	from := 0 // list[from:] has not moved to n yet
	for i := range list {
		if len(list[i].Partitions) == 0 {
			if n < from {
				copy(list[n:], list[from:i])
			}
			n, from = n+i-from, i+1
		}
	}
	if n < from {
		copy(list[n:], list[from:])
	}
	return n + len(list) - from
}

// cutAt says of a list that was just read where it ends when count of its partitions go: those above index low, and of those with index low all but
// the first few, which stay. The highest index is high. It fills s.lasts.
func (s *steady[K]) cutAt(list []PartitionsOf[K], high, load, count int32) (low, stay int32) {
	for i := range list {
		s.lasts[i] = list[i].highest()
	}
	with := load
	for high++; high-low > 1; {
		mid := low + (high-low)/2
		if n := s.from(list, mid); n >= count {
			low, with = mid, n
		} else {
			high = mid
		}
	}
	return low, with - count
}

// from is how many partitions of a list that was just read have index h and more.
func (s *steady[K]) from(list []PartitionsOf[K], h int32) (n int32) {
	for i, p := range s.lasts[:len(list)] {
		if p < h {
			continue
		}
		partitions, at := list[i].Partitions, 0
		if len(partitions) > 1 {
			at, _ = slices.BinarySearch(partitions, h)
		}
		n += int32(len(partitions) - at)
	}
	return n
}

// marks is a bit for each partition.
type marks []int32

func (k marks) add(p int32)      { k[p>>5] |= 1 << (p & 31) }
func (k marks) has(p int32) bool { return k[p>>5]&(1<<(p&31)) != 0 }

// addAll marks partitions of a topic that has size of them and begins at base; false when there are none, they do not ascend, do not exist, or
// one is marked. It is a loop with enough to keep in registers, and therefore not a part of the one in take.
//
//go:noinline
func (k marks) addAll(base, size int32, partitions []int32) bool {
	next := int32(0) // the lowest that may come
	for _, p := range partitions {
		if p < next || p >= size {
			return false
		}
		next = p + 1
		p += base
		w, bit := uint32(p)>>5, int32(1)<<(p&31)
		if k[w]&bit != 0 {
			return false
		}
		k[w] |= bit
	}
	return len(partitions) > 0
}
