package assign

import "slices"

// dialect is how a protocol says who has which partitions: by topic name in the classic one (classic), by topic id in KIP-848
// (identified). E is an entry of such a list, a topic with some of its partitions. What is decided does not depend on it, and is written
// once for both.
//
// Lists can be long, and most rebalances change few of them. Therefore the one loop that touches every entry of every list, follow, is
// each dialect's own, and everything else is asked once per list, or for the few entries that matter.
type dialect[E any] interface {
	// claimed is what member m says to hold, and generation says since when. keep answers the same as claimed, and gives it to the member,
	// until set says otherwise.
	claimed(m int32) []E
	generation(m int32) int32
	keep(m int32) []E
	// follow is how many topics two lists have in common at their beginning. For each of these it notes single(partitions) of the
	// entry in list.
	follow(list, before []E, singles []int32) int
	// find is the number of an entry's topic, or none.
	find(e *E) int32
	// is says whether e's topic is t.
	is(e *E, t int32) bool
	// indexes are the partitions of e.
	indexes(e *E) []int32
	// fill makes entries: of topic[i], with the partitions in flat from where the entry before ends to end[i].
	fill(list []E, topic, end, flat []int32)
	// set says what member m gets.
	set(m int32, list []E)
}

// lists reads what members say to hold, as far as it is what an assignor could have answered to this very group: every topic exists and
// is read by the member, and topics ascend without repeats. Neighbours of one class mostly name the same topics, so that each list is compared
// with the one before, and only where they differ is a name looked up.
type lists[E any] struct {
	*problem
	dialect dialect[E]
	class   int32   // of the list read last, or none
	list    []E     // that list,
	held    []int32 // its topics,
	singles []int32 // and single(partitions) of each entry
	scratch []int32
}

// newLists takes its arrays from pr.space.
func newLists[E any](pr *problem, d dialect[E]) lists[E] {
	n := pr.topics()
	return lists[E]{problem: pr, dialect: d, class: none, held: pr.space.cut(n), singles: pr.space.cut(n), scratch: pr.space.cut(n)}
}

// read names the topics of a list of a member of class k, and fills singles; false when they do not ascend, or the class does not read them all.
// The answer is valid until the next call.
func (l *lists[E]) read(k int32, list []E) (topics []int32, ok bool) {
	if len(list) == 0 {
		return nil, true
	}
	if len(list) > len(l.classTopics[k]) {
		return nil, false
	}
	before := l.list
	if k != l.class {
		before = nil
	}
	if n := l.dialect.follow(list, before, l.singles); n < len(list) {
		if !l.name(k, list, n, before) {
			return nil, false
		}
		l.held, l.scratch = l.scratch, l.held
	}
	l.class, l.list = k, list
	return l.held[:len(list)], true
}

// name finds the topics of a list of class k from its n-th entry on, and puts all of them in scratch. before is another list of that class,
// whose topics are held.
func (l *lists[E]) name(k int32, list []E, n int, before []E) bool {
	topics, known := l.scratch[:len(list)], l.held[:len(before)]
	copy(topics, known[:n])
	all, last, at, found := l.classTopics[k], none, 0, false
	for i := n; i < len(list); {
		if i > 0 {
			last = topics[i-1]
		}
		e := &list[i]
		// It may well be the one after that of the other list, or without one, one of the next.
		if n < len(known) {
			at = l.place(all, known[n]) + 1
			found = at < len(all) && l.dialect.is(e, all[at])
		} else {
			if at == 0 || all[at-1] != last {
				at = l.place(all, last+1)
			}
			at, found = l.near(e, all, at)
		}
		if !found {
			t := l.dialect.find(e)
			if at = l.place(all, t); t < 0 || at == len(all) || all[at] != t {
				return false
			}
		}
		if all[at] <= last {
			return false
		}
		topics[i] = all[at]
		at++
		l.singles[i] = single(l.dialect.indexes(e))
		i++
		if n >= len(known) {
			continue
		}
		// As long as both lists name the same topics again, nothing has to be looked up.
		for n < len(known) && known[n] <= topics[i-1] {
			n++
		}
		same := l.dialect.follow(list[i:], before[n:], l.singles[i:])
		copy(topics[i:], known[n:n+same])
		i, n = i+same, n+same
	}
	return true
}

// near looks for an entry's topic at a place and the next few.
func (l *lists[E]) near(e *E, all []int32, at int) (int, bool) {
	for end := min(at+guesses, len(all)); at < end; at++ {
		if l.dialect.is(e, all[at]) {
			return at, true
		}
	}
	return at, false
}

// place is where t is, or would be, in all.
func (l *lists[E]) place(all []int32, t int32) int {
	if len(all) == l.topics() {
		return int(t)
	}
	at, _ := slices.BinarySearch(all, t)
	return at
}

// single is the partition of an entry that has one. Of one that has several it is the last, turned negative.
func single(partitions []int32) int32 {
	switch n := len(partitions); n {
	case 1:
		return partitions[0]
	case 0:
		return ^0
	default:
		return ^max(partitions[n-1], 0)
	}
}

// last is the last partition of an entry of which single is known.
func last(single int32) int32 { return single ^ single>>31 }
