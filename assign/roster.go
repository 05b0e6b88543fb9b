package assign

import (
	"slices"
	"unsafe"
)

// topicKey is what a protocol calls a topic: its name in the classic one, its id in KIP-848.
type topicKey interface{ string | TopicID }

// protocol is what the two protocols do not have in common: how callers list members and topics, and what a key is like. Members and topics
// are asked for by their index in the caller's lists, once or twice each; what is done for every entry of every list is written once, below
// and in lists.go, and compiled for each kind of key.
type protocol[K topicKey] interface {
	// size is how many members and topics there are, and how many partitions in all.
	size() (members, topics int, partitions int64)
	// id and instance name a member; "" = a dynamic member.
	id(member int) string
	instance(member int) string
	// subscribed is what a member reads, claimed what it says to hold, and generation since when.
	subscribed(member int32) []K
	claimed(member int32) []PartitionsOf[K]
	generation(member int32) int32
	// orderMembers fills order with the members' indexes by id, and listTopics with the topics' by key, with their keys and how many
	// partitions each has; equal ones in the caller's order. distinct says that there are no equal ones, as far as that showed, and alike
	// that all members share one list of topics.
	orderMembers(order []int32) (distinct, alike bool)
	listTopics(order []int32, keys []K, sizes []int32) (distinct bool)
	// hash may differ from process to process. compare is the order of listTopics.
	hash(key *K) uint64
	compare(a, b *K) int
	// unknown is the error for a subscription to a topic that is not listed; nil where that is not one.
	unknown(key K) error
	// set says what a member gets.
	set(member int32, list []PartitionsOf[K])
}

// roster is a problem together with the way back to the caller's members and topics.
type roster[K topicKey] struct {
	problem
	protocol protocol[K]
	members  []int32           // member number -> the caller's index
	topic    []int32           // topic number -> the caller's index
	keys     []K               // topic number -> its key
	slots    []int32           // hash table over keys: topic+1; 0 = free. Made when guessing has failed a number of times
	searches int               // how often it has failed
	answer   []PartitionsOf[K] // room for lists of the answer
	named    []laid            // topics of lists, list by list
	granted  int               // how much room that was in all
	changes  []change
	sorted   []change // scratch of byMember
}

// number fills r but for owners and racks. Members are numbered by id, or with static, static members by instance id and the rest after
// them; claims is how many entries their claims have in all.
func (r *roster[K]) number(p protocol[K], static bool, claims int) error {
	r.protocol = p
	members, topics, partitions := p.size()
	if err := r.reserve(members, topics, partitions, claims); err != nil {
		return err
	}
	r.members = r.space.cut(members)
	distinct, alike := p.orderMembers(r.members)
	if !distinct {
		// The coordinator never sends an id twice, and if it did, handing out two plans under one id would lose one of them.
		r.members = slices.CompactFunc(r.members, func(a, b int32) bool { return p.id(int(a)) == p.id(int(b)) })
	}
	if static {
		staticFirst(r.members, p.instance)
	}
	r.topic, r.keys, r.base = r.space.cut(topics), slices.Grow(r.keys[:0], topics)[:topics], r.space.cut(topics+1)
	if sizes := r.base[1:]; !p.listTopics(r.topic, r.keys, sizes) {
		n := 0
		for t := range r.keys {
			if n == 0 || r.keys[t] != r.keys[n-1] { // the first one counts
				r.topic[n], r.keys[n], sizes[n] = r.topic[t], r.keys[t], sizes[t]
				n++
			}
		}
		clear(r.keys[n:])
		r.topic, r.keys, r.base = r.topic[:n], r.keys[:n], r.base[:n+1]
	}
	end := int32(0)
	for t, size := range r.base {
		end += max(size, 0)
		r.base[t] = end
	}
	r.class = r.space.cut(len(r.members))
	if alike {
		return r.classify(r.members[:1]) // the others' class is 0 too
	}
	return r.classify(r.members)
}

// end gives back what the call needed, and keeps nothing of the caller's.
func (r *roster[K]) end() {
	r.space.end()
	clear(r.keys)
	if cap(r.keys) > keptInts/4 {
		r.keys = nil
	}
	if cap(r.changes)+cap(r.sorted)+cap(r.named) > keptInts/2 {
		r.changes, r.sorted, r.named = nil, nil, nil
	}
	if cap(r.problem.entries) > keptInts/8 {
		r.problem.entries = nil
	}
	*r = roster[K]{problem: problem{space: r.space, entries: r.problem.entries[:0]}, keys: r.keys[:0], changes: r.changes[:0], sorted: r.sorted[:0], named: r.named[:0]}
}

// classify gives members with the same set of topics one class. Lists that share their memory, or hold the same keys in the same order as
// the member before, are recognized without looking anything up.
func (r *roster[K]) classify(members []int32) error {
	sets := classSet{space: &r.space, lists: r.oneClass[:0]}
	var seen seenLists[K]
	var before []K
	for m, i := range members {
		topics := r.protocol.subscribed(i)
		if m > 0 && sameMemory(topics, before) {
			r.class[m] = r.class[m-1]
			continue
		}
		if k, ok := seen.find(topics); ok {
			r.class[m], before = k, topics
			continue
		}
		if m > 0 && slices.Equal(topics, before) {
			r.class[m] = r.class[m-1]
			continue
		}
		before = topics
		ids := r.space.cut(len(topics))
		n := r.inOrder(ids, topics)
		for j, last := n, int32(n)-1; j < len(topics); j++ {
			t := r.guess(&topics[j], last+1)
			if t < 0 {
				if err := r.protocol.unknown(topics[j]); err != nil {
					return err
				}
			} else if r.base[t] < r.base[t+1] {
				ids[n] = t
				n++
			}
			last = t
		}
		r.class[m] = sets.add(ids[:n])
		seen.add(topics, r.class[m])
	}
	r.classTopics = sets.lists
	return nil
}

// inOrder fills ids for as long as topics are all topics, one after the other, and have partitions. It answers how far that is.
func (r *roster[K]) inOrder(ids []int32, topics []K) int {
	keys, base := r.keys, r.base
	ids = ids[:len(topics)]
	for i := range topics {
		if i >= len(keys) || base[i] == base[i+1] || !sameKey(&keys[i], &topics[i]) {
			return i
		}
		ids[i] = int32(i)
	}
	return len(topics)
}

// guess is lookup for lists in which nearly always one of a few topics comes next: hint, or one of those after it.
func (r *roster[K]) guess(key *K, hint int32) int32 {
	h := int(max(hint, 0))
	if h < len(r.keys) && sameKey(&r.keys[h], key) {
		return int32(h)
	}
	for end := min(h+3*guesses, len(r.keys)); h < end; h++ {
		if differ(&r.keys[h], key) == 0 {
			return int32(h)
		}
	}
	return r.lookup(key)
}

const guesses = 5

// sameKey is *a == *b. It is quick where both are one string, as an Interner makes them.
func sameKey[K topicKey](a, b *K) bool { return differ(a, b) == 0 || *a == *b }

// differ is 0 only if *a == *b, and then it is 0 but for strings that lie in different memory: names and ids are two words each, and the same
// words are the same key. It has no jumps, for loops that are about little else.
func differ[K topicKey](a, b *K) uint {
	x, y := (*[2]uint)(unsafe.Pointer(a)), (*[2]uint)(unsafe.Pointer(b))
	d := (x[0] ^ y[0]) | (x[1] ^ y[1])
	if unsafe.Sizeof(*a) != unsafe.Sizeof(*x) && *a != *b {
		d = 1 // words are short here, and an id is four of them
	}
	return d
}

// lookup is a topic's number, or none. A few keys are searched for; a hash table takes as long to make as many searches.
func (r *roster[K]) lookup(key *K) int32 {
	if r.slots == nil {
		if r.searches++; r.searches*searchesPerKey <= len(r.keys) {
			return r.search(key)
		}
		r.hashKeys()
	}
	mask := uint64(len(r.slots) - 1)
	for h := r.protocol.hash(key) & mask; ; h = (h + 1) & mask {
		t := r.slots[h] - 1
		if t < 0 || r.keys[t] == *key {
			return t
		}
	}
}

// searchesPerKey: a search costs about as much as this many keys in a hash table.
const searchesPerKey = 8

// search finds a key among those that lie in order.
func (r *roster[K]) search(key *K) int32 {
	low, high := 0, len(r.keys)
	for low < high {
		mid := (low + high) / 2
		switch c := r.protocol.compare(&r.keys[mid], key); {
		case c == 0:
			return int32(mid)
		case c < 0:
			low = mid + 1
		default:
			high = mid
		}
	}
	return none
}

// hashKeys makes the hash table: linear probing over a power of two.
func (r *roster[K]) hashKeys() {
	size := 8
	for size < 2*len(r.keys) {
		size *= 2
	}
	r.slots = r.space.cut(size)
	for t := range r.keys {
		h := r.protocol.hash(&r.keys[t]) & uint64(size-1)
		for r.slots[h] != 0 {
			h = (h + 1) & uint64(size-1)
		}
		r.slots[h] = int32(t) + 1
	}
}

// claims is what member m says to hold.
func (r *roster[K]) claims(m int32) []PartitionsOf[K] { return r.protocol.claimed(r.members[m]) }

// keep is claims, and gives it to the member, until set says otherwise.
func (r *roster[K]) keep(m int32) []PartitionsOf[K] {
	list := r.claims(m)
	if len(list) > 0 {
		r.set(m, list)
	}
	return list
}

func (r *roster[K]) set(m int32, list []PartitionsOf[K]) { r.protocol.set(r.members[m], list) }

// room is for n entries of the answer, at the beginning of r.answer. As many as more may be asked for later, though not always are.
func (r *roster[K]) room(n, more int) []PartitionsOf[K] {
	return r.roomFor(n, min(more, max(0, 128-n, 3*r.granted-n)))
}

// roomFor is room where as many as more are going to be asked for.
func (r *roster[K]) roomFor(n, more int) []PartitionsOf[K] {
	if n > len(r.answer) {
		fresh := slices.Grow([]PartitionsOf[K](nil), n+more)
		r.answer = fresh[:cap(fresh)]
		r.granted += len(r.answer)
	}
	return r.answer[:n]
}

// fillIn makes entries: of topic[i], with the partitions in flat from where the entry before ends to end[i].
func (r *roster[K]) fillIn(list []PartitionsOf[K], topic, end, flat []int32) {
	keys, from := r.keys, int32(0)
	topic, end = topic[:len(list)], end[:len(list)]
	for i := range list {
		e, to := &list[i], end[i]
		e.Topic, e.Partitions = keys[topic[i]], flat[from:to:to]
		from = to
	}
}

// sameMemory says that two lists are one.
func sameMemory[T any](a, b []T) bool {
	return len(a) == len(b) && unsafe.SliceData(a) == unsafe.SliceData(b)
}

func sameList[T comparable](a, b []T) bool {
	if len(a) != len(b) {
		return false
	}
	if len(a) == 0 || &a[0] == &b[0] {
		return true
	}
	return slices.Equal(a, b)
}
