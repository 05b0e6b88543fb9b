package assign

import "slices"

// lists reads what members say to hold, as far as it is what an assignor could have answered to this very group: every topic exists and
// is read by the member, and topics ascend without repeats. Neighbours of one class mostly name the same topics, so that each list is compared
// with the last one whose topics were looked up, and only where they differ is a name looked up.
type lists[K topicKey] struct {
	*roster[K]
	class  int32             // of the last list whose topics were looked up, or none
	list   []PartitionsOf[K] // that list,
	topics []laid            // its topics,
	at     int32             // and where they are in r.named
	begin  []int32           // member -> where the topics of its list are in r.named, one after the other
	copies bool              // names lie in memory of their own, so that they cannot be told by that
	small  bool              // most topics have few partitions
	places []int32           // topic -> where it is among the topics of its class; nil where classes share topics
}

// laid is a topic that a list names, and where the topic's partitions lie.
type laid struct{ t, begin, size int32 }

// newLists takes its arrays from r.space.
func (r *roster[K]) newLists() lists[K] {
	r.named = r.named[:0]
	return lists[K]{roster: r, class: none, begin: r.space.cut(len(r.members)), small: r.partitions() < 16*r.topics()}
}

// read names the topics of the list of member m, which is of class k; false when they do not ascend, or the class does not read them all.
func (l *lists[K]) read(m, k int32, list []PartitionsOf[K]) (topics []laid, ok bool) {
	n, before := 0, l.list
	if k != l.class {
		before = nil
	} else if n = sameTopics(list, before, l.copies); n == len(list) {
		l.begin[m] = l.at
		return l.topics[:n], true
	}
	if !l.name(k, list, n, before) {
		l.class = none // nobody can be compared with it
		return nil, false
	}
	l.class, l.list, l.begin[m] = k, list, l.at
	return l.topics, true
}

// topicsOf are the topics of the list of member m, which was read.
func (l *lists[K]) topicsOf(m int32, list []PartitionsOf[K]) []laid {
	if len(list) == 0 {
		return nil
	}
	return l.named[l.begin[m]:][:len(list)]
}

// sameTopics is how many topics two lists have in common at their beginning; copies as in lists.
func sameTopics[K topicKey](list, before []PartitionsOf[K], copies bool) int {
	n := min(len(list), len(before))
	list, before = list[:n], before[:n]
	for i := range list {
		a, b := &list[i].Topic, &before[i].Topic
		if differ(a, b) != 0 && (!copies || *a != *b) {
			return i
		}
	}
	return n
}

// name finds the topics of a list of class k from its n-th entry on. before is another list of that class, l.list, or nil.
func (l *lists[K]) name(k int32, list []PartitionsOf[K], n int, before []PartitionsOf[K]) bool {
	if len(list) > len(l.classTopics[k]) {
		return false
	}
	known, keys := l.topics[:len(before)], l.keys
	l.at = int32(len(l.named))
	l.named = append(slices.Grow(l.named, len(list)), known[:n]...)[:int(l.at)+len(list)]
	topics := l.named[l.at:]
	l.topics = topics
	all, base, last, at := l.classTopics[k], l.base, none, 0
	row, end := inRow(all), all[len(all)-1]
	apart := row || l.places != nil
	if len(before) == 0 {
		// Most lists begin as what the class reads does.
		for ; n < len(list) && differ(&keys[all[n]], &list[n].Topic) == 0; n++ {
			t := all[n]
			from := base[t]
			topics[n] = laid{t, from, base[t+1] - from}
		}
	}
	if n > 0 {
		last = topics[n-1].t
		at = l.place(all, last) + 1
	}
	gap := 0 // between the last two topics
	for i := n; i < len(list); {
		from := i
		// As long as both lists name the same topics, nothing has to be looked up.
		if n < len(known) && (!l.small || !apart || l.copies) {
			if same := sameTopics(list[i:], before[n:], l.copies); same > 0 {
				copy(topics[i:], known[n:n+same])
				i, n = i+same, n+same
				last = topics[i-1].t
			}
		}
		if apart {
			// Where members were dealt theirs, a topic is that of the other list, or the next one. No jump depends on which; but where the next one is
			// rare, it is quicker to ask for the same ones again.
			stop := len(list)
			if !l.small {
				stop = min(i+4, stop)
			}
			for ; i < stop && n < len(known); i, n = i+1, n+1 {
				key, t := &list[i].Topic, known[n].t
				next := min(t+1, end)
				if !row {
					next = all[min(int(l.places[t])+1, len(all)-1)]
				}
				other := differ(&keys[t], key)
				if other != 0 {
					t = next
				}
				if t <= last || other != 0 && differ(&keys[next], key) != 0 {
					break
				}
				last = t
				begin := base[t]
				topics[i] = laid{t, begin, base[t+1] - begin}
			}
		}
		if i > from {
			at = l.place(all, last) + 1
			for n < len(known) && known[n].t <= last {
				n++
			}
			continue
		}
		// It may well be the one after that of the other list. Dealt lists name every so many-th topic, or one beside that; and without either, it
		// is likely to be one of the next.
		key, from := &list[i].Topic, at
		if n < len(known) {
			at = l.place(all, known[n].t) + 1
		}
		if at >= len(all) || differ(&keys[all[at]], key) != 0 && (!l.copies || keys[all[at]] != *key) {
			stop := 0
			if at = from + gap - 2; at < from {
				at, stop = from, min(from+guesses, len(all))
			} else {
				stop = min(at+3, len(all))
			}
			for at < stop && differ(&keys[all[at]], key) != 0 {
				at++
			}
			if at >= stop {
				t := l.lookup(key)
				if at = l.place(all, t); t < 0 || at >= len(all) || all[at] != t {
					return false
				}
				l.copies = l.copies || differ(&keys[t], key) != 0
			}
		}
		gap = at + 1 - from
		if all[at] <= last {
			return false
		}
		last = all[at]
		begin := base[last]
		topics[i] = laid{last, begin, base[last+1] - begin}
		at++
		i++
		for n < len(known) && known[n].t <= last {
			n++
		}
	}
	return true
}

// place is where t is, or would be, in all.
func (l *lists[K]) place(all []int32, t int32) int {
	if inRow(all) {
		return int(min(max(t-all[0], 0), int32(len(all))))
	}
	if l.places != nil && t >= 0 {
		return int(l.places[t])
	}
	at, _ := slices.BinarySearch(all, t)
	return at
}

// inRow says of numbers that ascend, and are not none, that there is none between them that is missing.
func inRow(all []int32) bool { return int(all[len(all)-1]-all[0]) == len(all)-1 }
