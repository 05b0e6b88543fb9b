package assign

import "slices"

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
	load  []int32 // member -> how many partitions it owns; nil with owner
	owned int     // how many partitions have an owner

	racks *racks // nil where racks change nothing

	// Most groups have one subscription, and so one component; a place for both saves allocations.
	oneClass [1][]int32
	onePart  [1]component

	space   ints
	entries []entry // room for the entries of flow networks
}

const (
	none      int32 = -1
	contested int32 = -2 // claimed twice by members of the same generation; turned into none by settle
)

func (pr *problem) members() int       { return len(pr.class) }
func (pr *problem) topics() int        { return len(pr.base) - 1 }
func (pr *problem) partitions() int    { return int(pr.base[len(pr.base)-1]) }
func (pr *problem) size(t int32) int32 { return pr.base[t+1] - pr.base[t] }

// ints is memory for arrays that nobody needs after the call. Arrays of zeros are cut from one chunk, which a later call uses again: a small
// group then costs few allocations, most of them for its answer.
type ints struct {
	free  []int32
	chunk []int32 // the first one; all zero between calls
	used  int     // of chunk, once that was too small; until then below 0
	asked int     // how much was cut in this call, or between calls, in the last one
}

// keptInts is the largest chunk that is kept for another call.
const keptInts = 1 << 17

// reserve begins a call that needs room for n and perhaps, like the last one, for more.
func (a *ints) reserve(n int) {
	if n = max(n, min(a.asked, keptInts)); n > len(a.chunk) {
		a.chunk = make([]int32, n)
	}
	a.free, a.used, a.asked = a.chunk, -1, 0
}

func (a *ints) cut(n int) []int32 {
	a.asked += n
	if n > len(a.free) {
		return a.more(n)
	}
	s := a.free[:n:n]
	a.free = a.free[n:]
	return s
}

// more cuts from a new chunk, of twice what was cut so far.
func (a *ints) more(n int) []int32 {
	if a.used < 0 {
		a.used = len(a.chunk) - len(a.free)
	}
	fresh := make([]int32, max(n, min(a.asked, keptInts)))
	a.free = fresh[n:]
	return fresh[:n:n]
}

// end ends the call: nobody may look at what was cut any more.
func (a *ints) end() {
	if a.used < 0 {
		a.used = len(a.chunk) - len(a.free)
	}
	clear(a.chunk[:a.used])
	a.used = 0
	if a.free = nil; len(a.chunk) > keptInts {
		a.chunk = nil
	}
}

// fill sets all of s to v.
func fill(s []int32, v int32) {
	if len(s) == 0 {
		return
	}
	s[0] = v
	for n := 1; n < len(s); n *= 2 {
		copy(s[n:], s[:n])
	}
}

func filled(n int, v int32) []int32 {
	s := make([]int32, n)
	fill(s, v)
	return s
}

// reserve makes room for what a group of this size needs where components are even: numbers, and where there are claims, what steady needs; else
// what deal needs.
func (pr *problem) reserve(members, topics int, partitions int64, claims int) error {
	if members > MaxPartitions || topics > MaxPartitions || partitions > MaxPartitions {
		return ErrTooLarge
	}
	n := 3*members + 3*topics + 1
	if claims > 0 {
		n += 4*members + 3*topics + 2*(int(partitions)/32+1) + 2
	} else if members > 0 {
		n += 3*(int(partitions)/members+1) + topics + 2
	}
	pr.space.reserve(n)
	return nil
}

// seenLists finds the class of a list that was met before, by where it lies in memory.
type seenLists[T any] struct {
	recent [8]seenList[T] // the first few, which is all there are in most groups
	n      int
	more   map[*T]seenList[T]
}

type seenList[T any] struct {
	first *T
	len   int
	class int32
}

func (s *seenLists[T]) find(list []T) (class int32, ok bool) {
	if len(list) == 0 {
		return 0, false
	}
	for i := range min(s.n, len(s.recent)) {
		if r := &s.recent[i]; r.first == &list[0] && r.len == len(list) {
			return r.class, true
		}
	}
	r, ok := s.more[&list[0]]
	return r.class, ok && r.len == len(list)
}

func (s *seenLists[T]) add(list []T, class int32) {
	if len(list) == 0 {
		return
	}
	r := seenList[T]{&list[0], len(list), class}
	if s.n < len(s.recent) {
		s.recent[s.n] = r
		s.n++
		return
	}
	if s.more == nil {
		s.more = make(map[*T]seenList[T])
	}
	s.more[r.first] = r
}

// classSet numbers sets of integers, in the order in which they are added.
type classSet struct {
	space  *ints
	lists  [][]int32
	hashes []uint64
	slots  []int32 // hash table: set+1; 0 = free. Made when a second set turns up; until then, lists has room for one.
}

// newClassSet makes room for n sets.
func (pr *problem) newClassSet(n int) classSet {
	s := classSet{space: &pr.space, lists: make([][]int32, 0, n)}
	s.room()
	return s
}

// room makes hashes and slots for what lists can hold without growing.
func (s *classSet) room() {
	size := 16
	for size < 2*cap(s.lists) {
		size *= 2
	}
	s.slots = s.space.cut(size)
	s.hashes = slices.Grow(s.hashes, cap(s.lists)-len(s.hashes))
	for k := len(s.hashes); k < len(s.lists); k++ {
		s.hashes = append(s.hashes, hashInts(s.lists[k]))
	}
	for k, h := range s.hashes {
		s.slots[s.free(h)] = int32(k) + 1
	}
}

// add returns the number of the set that ids holds, in any order and with repeats. It keeps ids.
func (s *classSet) add(ids []int32) int32 {
	for i := 1; i < len(ids); i++ {
		if ids[i] <= ids[i-1] {
			slices.Sort(ids)
			ids = slices.Compact(ids)
			break
		}
	}
	if s.slots == nil {
		if len(s.lists) == 0 {
			s.lists = append(s.lists, ids)
			return 0
		}
		if slices.Equal(s.lists[0], ids) {
			return 0
		}
	}
	if len(s.lists) == cap(s.lists) {
		s.lists = slices.Grow(s.lists, max(15, cap(s.lists)))
		s.room()
	}
	h := hashInts(ids)
	mask := uint64(len(s.slots) - 1)
	at := h & mask
	for ; s.slots[at] != 0; at = (at + 1) & mask {
		if k := s.slots[at] - 1; s.hashes[k] == h && slices.Equal(s.lists[k], ids) {
			return k
		}
	}
	s.lists, s.hashes = append(s.lists, ids), append(s.hashes, h)
	s.slots[at] = int32(len(s.lists))
	return int32(len(s.lists)) - 1
}

func (s *classSet) free(h uint64) uint64 {
	mask := uint64(len(s.slots) - 1)
	for h &= mask; s.slots[h] != 0; {
		h = (h + 1) & mask
	}
	return h
}

func hashInts(v []int32) uint64 {
	h := uint64(len(v)) + 0x9E3779B97F4A7C15
	for _, x := range v {
		h = (h ^ uint64(uint32(x))) * 0xFF51AFD7ED558CCD
		h ^= h >> 32
	}
	return h
}

// topicBits answers "does this class read this topic": a bit each when that is small, a search otherwise.
type topicBits struct {
	pr    *problem
	words int
	all   bool // there is one class, and it reads everything
	bits  []uint64
}

func newTopicBits(pr *problem) topicBits {
	b := topicBits{pr: pr, words: (pr.topics() + 63) / 64}
	b.all = len(pr.classTopics) == 1 && len(pr.classTopics[0]) == pr.topics()
	if b.all || len(pr.classTopics)*b.words > 1<<22 {
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
	if b.all {
		return true
	}
	if b.bits == nil {
		_, ok := slices.BinarySearch(b.pr.classTopics[class], t)
		return ok
	}
	return b.bits[int(class)*b.words+int(t/64)]&(1<<(t%64)) != 0
}
