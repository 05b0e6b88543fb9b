package assign

import (
	"hash/maphash"
	"slices"
	"unsafe"
)

// names finds a topic's number. Linear probing over a power of two: one allocation, and a hit costs a hash and a comparison that ends
// at once when both strings share their bytes. The seed differs from process to process (names come from strangers); it decides where
// entries lie, never what is found.
type names struct {
	slots []int32 // topic+1; 0 = free
}

var nameSeed = maphash.MakeSeed()

func newNames(n int, name func(int32) string) names {
	size := 8
	for size < 2*n {
		size *= 2
	}
	t := names{make([]int32, size)}
	for i := range int32(n) {
		h := maphash.String(nameSeed, name(i)) & uint64(size-1)
		for t.slots[h] != 0 {
			h = (h + 1) & uint64(size-1)
		}
		t.slots[h] = i + 1
	}
	return t
}

// classic is a problem together with the way back to the caller's members and topics, and so the dialect of the classic protocol.
type classic struct {
	problem
	input   []Member
	known   []Topic
	members []int32 // member number -> index in input
	topic   []int32 // topic number -> index in known
	names   names   // made when guessing fails for the first time
	out     []Assignment
}

func (c *classic) name(t int32) string { return c.known[c.topic[t]].Name }

// guess is lookup for lists in which nearly always one of a few topics comes next: hint, or one of those after it.
func (c *classic) guess(name string, hint int32) int32 {
	known, topic := c.known, c.topic
	for h := max(hint, 0); h < hint+guesses && int(h) < len(topic); h++ {
		if same(known[topic[h]].Name, name) {
			return h
		}
	}
	return c.lookup(name)
}

// same is a == b. It is quick where both are one string, as an Interner makes them, and where the last byte tells them apart, as it does
// with numbered names.
func same(a, b string) bool {
	n := len(a)
	return n == len(b) && (n == 0 || unsafe.StringData(a) == unsafe.StringData(b) || a[n-1] == b[n-1] && a == b)
}

const guesses = 5

// lookup is a topic's number, or none.
func (c *classic) lookup(s string) int32 {
	c.index()
	mask := uint64(len(c.names.slots) - 1)
	for h := maphash.String(nameSeed, s) & mask; ; h = (h + 1) & mask {
		i := c.names.slots[h] - 1
		if i < 0 || c.name(i) == s {
			return i
		}
	}
}

func (c *classic) lookupBytes(s []byte) int32 {
	c.index()
	mask := uint64(len(c.names.slots) - 1)
	for h := maphash.Bytes(nameSeed, s) & mask; ; h = (h + 1) & mask {
		i := c.names.slots[h] - 1
		if i < 0 || c.name(i) == string(s) {
			return i
		}
	}
}

func (c *classic) index() {
	if c.names.slots == nil {
		c.names = newNames(len(c.topic), c.name)
	}
}

// number fills c but for owners and racks. order gives the members' numbers; claims is how many entries their claims have in all.
func (c *classic) number(members []Member, topics []Topic, order func([]int32, []Member) []int32, claims int) error {
	total := int64(0)
	for i := range topics {
		total += int64(max(topics[i].Partitions, 0))
	}
	if err := c.reserve(len(members), len(topics), total, claims); err != nil {
		return err
	}
	c.input, c.known = members, topics
	c.members = order(c.space.cut(len(members)), members)
	c.topic = c.space.cut(len(topics))
	if !orderNames(c.topic, func(i int) string { return topics[i].Name }) {
		c.topic = slices.CompactFunc(c.topic, func(a, b int32) bool { return topics[a].Name == topics[b].Name })
	}
	c.base = c.space.cut(len(c.topic) + 1)
	for t, i := range c.topic {
		c.base[t+1] = c.base[t] + max(topics[i].Partitions, 0)
	}
	c.class = c.space.cut(len(c.members))
	c.classify(c.space.cut(len(c.topic)))
	return nil
}

// classify gives members with the same set of topics one class. Lists that share their memory, or hold the same strings in the same
// order as the member before, are recognized without looking anything up. first is room for one list.
func (c *classic) classify(first []int32) {
	sets := classSet{lists: c.oneClass[:0]}
	var seen seenLists[string]
	space := ints(first)
	var before []string
	for m, i := range c.members {
		topics := c.input[i].Topics
		if m > 0 && sameList(topics, before) {
			c.class[m] = c.class[m-1]
			continue
		}
		before = topics
		if k, ok := seen.find(topics); ok {
			c.class[m] = k
			continue
		}
		if len(topics) > len(space) {
			space = make(ints, max(64, 8*len(topics)))
		}
		ids, last, n := space[:len(topics)], none, 0
		for _, name := range topics {
			t := c.guess(name, last+1)
			if t >= 0 && c.base[t] < c.base[t+1] {
				ids[n] = t
				n++
			}
			last = t
		}
		c.class[m] = sets.add(space.cut(n))
		seen.add(topics, c.class[m])
	}
	c.classTopics = sets.lists
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

func (c *classic) claimed(m int32) []TopicPartitions { return c.input[c.members[m]].Owned }

func (c *classic) keep(m int32) []TopicPartitions {
	i := c.members[m]
	list := c.input[i].Owned
	if len(list) > 0 {
		c.out[i].Partitions = list
	}
	return list
}

func (c *classic) generation(m int32) int32 {
	return cooperativeGeneration(&c.input[c.members[m]].Subscription)
}

func (c *classic) follow(list, before []TopicPartitions, singles []int32) int {
	n := min(len(list), len(before))
	list, before, singles = list[:n], before[:n], singles[:n]
	for i := range list {
		e := &list[i]
		if !same(e.Topic, before[i].Topic) {
			return i
		}
		singles[i] = single(e.Partitions)
	}
	return n
}

func (c *classic) find(e *TopicPartitions) int32 { return c.lookup(e.Topic) }

func (c *classic) is(e *TopicPartitions, t int32) bool { return same(e.Topic, c.name(t)) }

func (c *classic) indexes(e *TopicPartitions) []int32 { return e.Partitions }

func (c *classic) fill(list []TopicPartitions, topic, end, flat []int32) {
	known, index, from := c.known, c.topic, int32(0)
	topic, end = topic[:len(list)], end[:len(list)]
	for i := range list {
		e, to := &list[i], end[i]
		e.Topic, e.Partitions = known[index[topic[i]]].Name, flat[from:to:to]
		from = to
	}
}

func (c *classic) set(m int32, list []TopicPartitions) { c.out[c.members[m]].Partitions = list }
