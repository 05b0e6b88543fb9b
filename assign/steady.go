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
	lasts   []int32 // of the list read last: the last partition of each entry
	entries int     // of lists that are still to be read
	gains   int     // about how many entries of the answer will be for what lists lose
}

// change is a partition that a member gets or loses, and its topic.
type change struct {
	member, t, p int32
	gets         bool
}

// newSteady takes its arrays from r.space. entries is how many the lists have in all.
func (r *roster[K]) newSteady(entries int, hold bool) steady[K] {
	s := steady[K]{lists: r.newLists(), hold: hold, entries: entries}
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
	if s.gains = 0; !s.hold {
		s.gains = int(d.q) + 1 // one newcomer's
	}
	for _, m := range part.members {
		list := s.claims(m)
		if len(list) == 0 {
			d.keeps(m, 0)
			continue
		}
		s.entries -= len(list)
		topics, ok := s.read(m, k, list)
		if !ok {
			return false
		}
		load, ok := s.take(list, topics)
		if !ok {
			return false
		}
		s.load[m] = load
		keep := d.keeps(m, load)
		free -= keep
		if load > keep {
			list = s.drop(list, topics, load, load-keep)
			released += load - keep
		}
		s.set(m, list)
	}
	d.ready()
	if free == 0 || s.hold && free == released {
		return true
	}
	s.changes = slices.Grow(s.changes, int(free))
	for topics := part.topics; len(topics) > 0; {
		t, n := topics[0], int32(1)
		for int(n) < len(topics) && topics[n] == t+n {
			n++ // what lies side by side is searched in one go
		}
		topics = topics[n:]
		end := s.base[t+n]
		for p := s.nextFree(s.base[t], end); p < end; p = s.nextFree(p+1, end) {
			for p >= s.base[t+1] {
				t++
			}
			if m := d.next(); !s.hold || !s.gone.has(p) {
				s.changes = append(s.changes, change{m, t, p, true})
			}
		}
	}
	return true
}

// take marks the partitions of the list that was just read. It is a loop with little to keep in mind, since it is where a rebalance spends
// its time.
func (s *steady[K]) take(list []PartitionsOf[K], topics []laid) (load int32, ok bool) {
	taken, lasts := s.taken, s.lasts[:len(list)]
	topics = topics[:len(list)]
	load = int32(len(list))
	for i := range list {
		e, t := &list[i], &topics[i]
		if len(e.Partitions) != 1 {
			partitions := e.Partitions
			if !taken.addAll(t.begin, t.size, partitions) {
				return 0, false
			}
			lasts[i] = partitions[len(partitions)-1]
			load += int32(len(partitions)) - 1
			continue
		}
		p := e.Partitions[0]
		lasts[i] = p
		if uint32(p) >= uint32(t.size) {
			return 0, false
		}
		p += t.begin
		w, bit := uint32(p)>>5, int32(1)<<(p&31)
		if taken[w]&bit != 0 {
			return 0, false
		}
		taken[w] |= bit
	}
	return load, true
}

// drop is the list that was read last without count of its partitions: those with the highest index, and of one index, those of the last
// topics.
func (s *steady[K]) drop(list []PartitionsOf[K], topics []laid, load, count int32) []PartitionsOf[K] {
	low, stay := s.cutAt(list, load, count)
	cut := s.room(len(list), s.entries+s.gains)
	copy(cut, list)
	n, from := 0, 0 // cut[from:] has not moved to n yet
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
			s.gone.add(topics[i].begin + p)
		}
		if at > 0 {
			cut[i].Partitions = partitions[:at:at]
			continue
		}
		n, from = closeUp(cut, n, from, i), i+1
	}
	n = closeUp(cut, n, from, len(cut))
	s.answer = s.answer[n:]
	return cut[:n:n]
}

// closeUp moves list[from:to] to n, where it may be already, and answers where it ends then.
func closeUp[T any](list []T, n, from, to int) int {
	if n < from {
		copy(list[n:], list[from:to])
	}
	return n + to - from
}

// cutAt says of a list that was just read where it ends when count of its partitions go: those above index low, and of those with index low all but
// the first few, which stay.
func (s *steady[K]) cutAt(list []PartitionsOf[K], load, count int32) (low, stay int32) {
	high, with := int32(0), int32(0) // the highest index, and how many have it
	for _, p := range s.lasts[:len(list)] {
		switch {
		case p > high:
			high, with = p, 1
		case p == high:
			with++
		}
	}
	low = high
	if with < count {
		low, with = 0, load
		for high-low > 1 {
			mid := low + (high-low)/2
			if n := s.from(list, mid); n >= count {
				low, with = mid, n
			} else {
				high = mid
			}
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

// nextFree is the first partition from p on that nobody holds, or loses, or end.
func (s *steady[K]) nextFree(p, end int32) int32 {
	for p < end {
		if free := uint32(^s.taken[p>>5]|s.gone[p>>5]) >> (p & 31); free != 0 {
			return min(p+int32(bits.TrailingZeros32(free)), end)
		}
		p = (p | 31) + 1
	}
	return end
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
