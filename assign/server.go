package assign

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"slices"
)

// TopicID is a topic's id (a UUID).
type TopicID [16]byte

// String is Kafka's text form: URL-safe base64 without padding.
func (id TopicID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// IDPartitions names some partitions of one topic by its id.
type IDPartitions struct {
	Topic      TopicID
	Partitions []int32
}

// GroupMember is one member of a KIP-848 or share group as the coordinator sees it.
type GroupMember struct {
	ID string
	// InstanceID is group.instance.id; "" = a dynamic member.
	InstanceID string
	Rack       string // "" = none
	// Topics are the ids of what it subscribes to, a regular expression resolved. Members that subscribe to the same should share one
	// slice: then nobody compares them.
	Topics []TopicID
	// Target is what it was assigned last time (what it should own, not what it owns): ascending and without repeats, as an assignor
	// returned it. A returning static member inherits its predecessor's. Partitions in two targets belong to nobody.
	Target []IDPartitions
}

// GroupTopic is what the coordinator knows of a topic somebody subscribes to.
type GroupTopic struct {
	ID         TopicID
	Partitions int32
	Racks      [][]string // as in Topic; nil = not known
}

// ServerAssignor makes the target of a group whose coordinator assigns (KIP-848, KIP-932).
type ServerAssignor interface {
	// Name is what members and group.consumer.assignors call it.
	Name() string
	// Assign answers one target per member, at the member's index; topics by id and partitions ascending. The order of members and
	// topics does not matter. The result may share memory with the members' old targets: treat both as immutable.
	//
	// Fails with *UnknownTopicError when a member subscribes to a topic that is not listed, and with ErrTooLarge.
	Assign(members []GroupMember, topics []GroupTopic) ([][]IDPartitions, error)
}

// UnknownTopicError says that a subscription names a topic the caller did not describe. It is an error, not a topic to be skipped: the
// caller resolves names to ids and describes what it resolved to, from one image of the metadata.
type UnknownTopicError struct{ Topic TopicID }

func (e *UnknownTopicError) Error() string {
	return "assign: a member subscribes to topic " + e.Topic.String() + ", which was not described"
}

// Uniform is the server-side assignor called "uniform": the optimal plan of Sticky, with the previous target as its memory. Racks
// count where members and topics tell them.
type Uniform struct{}

// Name is "uniform".
func (Uniform) Name() string { return "uniform" }

// Assign returns the target.
func (Uniform) Assign(members []GroupMember, topics []GroupTopic) ([][]IDPartitions, error) {
	var c identified
	entries, racks := 0, false
	for i := range members {
		entries += len(members[i].Target)
		racks = racks || members[i].Rack != ""
	}
	if err := c.number(members, topics, orderGroup, entries); err != nil {
		return nil, err
	}
	if racks {
		c.readRacks(
			func(m int) string { return members[c.members[m]].Rack },
			func(t int) [][]string { return topics[c.topic[t]].Racks })
	}
	c.out = make([][]IDPartitions, len(members))
	o := output[IDPartitions]{&c.problem, &c}
	o.best(entries, false)
	return c.out, nil
}

// ServerRange is the server-side assignor called "range": the arithmetic of Range, without racks and without a memory.
type ServerRange struct{}

// Name is "range".
func (ServerRange) Name() string { return "range" }

// Assign returns the target.
func (ServerRange) Assign(members []GroupMember, topics []GroupTopic) ([][]IDPartitions, error) {
	var c identified
	if err := c.number(members, topics, orderGroupStatic, 0); err != nil {
		return nil, err
	}
	r := ranger{problem: &c.problem, plan: filled(c.partitions(), none)}
	r.assign(nil)
	c.out = make([][]IDPartitions, len(members))
	o := output[IDPartitions]{&c.problem, &c}
	o.write(r.plan)
	return c.out, nil
}

// identified is a problem with the way back to the coordinator's members and topic ids: the dialect of KIP-848.
type identified struct {
	problem
	input   []GroupMember
	known   []GroupTopic
	members []int32 // member number -> index in input
	topic   []int32 // topic number -> index in known
	slots   []int32 // hash table: topic+1; 0 = free. Made when guessing fails for the first time
	out     [][]IDPartitions
}

func orderGroup(order []int32, members []GroupMember) []int32 {
	if orderNames(order, func(i int) string { return members[i].ID }) {
		return order
	}
	return slices.CompactFunc(order, func(a, b int32) bool { return members[a].ID == members[b].ID })
}

func orderGroupStatic(order []int32, members []GroupMember) []int32 {
	order = orderGroup(order, members)
	slices.SortStableFunc(order, func(a, b int32) int {
		x, y := members[a].InstanceID, members[b].InstanceID
		if x == "" || y == "" {
			return -cmp.Compare(min(len(x), 1), min(len(y), 1))
		}
		return compareNames(x, y)
	})
	return order
}

// number fills c but for owners and racks. order gives the members' numbers; claims is how many entries their claims have in all.
func (c *identified) number(members []GroupMember, topics []GroupTopic, order func([]int32, []GroupMember) []int32, claims int) error {
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
	for t := range c.topic {
		c.topic[t] = int32(t)
	}
	byID := func(a, b int32) int { return bytes.Compare(topics[a].ID[:], topics[b].ID[:]) }
	if !slices.IsSortedFunc(c.topic, byID) {
		slices.SortStableFunc(c.topic, byID)
	}
	c.topic = slices.CompactFunc(c.topic, func(a, b int32) bool { return topics[a].ID == topics[b].ID })
	c.base = c.space.cut(len(c.topic) + 1)
	for t, i := range c.topic {
		c.base[t+1] = c.base[t] + max(topics[i].Partitions, 0)
	}
	c.class = c.space.cut(len(c.members))
	return c.classify(c.space.cut(len(c.topic)))
}

// Ids are made by brokers, at random: mixing the halves is enough.
func hashID(id *TopicID) uint64 {
	h := (binary.LittleEndian.Uint64(id[:8]) ^ binary.LittleEndian.Uint64(id[8:])*0x9E3779B97F4A7C15) * 0xFF51AFD7ED558CCD
	return h ^ h>>32
}

// guess is lookup for lists in which nearly always one of a few topics comes next: hint, or one of those after it.
func (c *identified) guess(id *TopicID, hint int32) int32 {
	known, topic := c.known, c.topic
	for h := max(hint, 0); h < hint+guesses && int(h) < len(topic); h++ {
		if known[topic[h]].ID == *id {
			return h
		}
	}
	return c.lookup(id)
}

// lookup is a topic's number, or none.
func (c *identified) lookup(id *TopicID) int32 {
	if c.slots == nil {
		c.index()
	}
	mask := uint64(len(c.slots) - 1)
	for h := hashID(id) & mask; ; h = (h + 1) & mask {
		t := c.slots[h] - 1
		if t < 0 || c.known[c.topic[t]].ID == *id {
			return t
		}
	}
}

func (c *identified) index() {
	size := 8
	for size < 2*len(c.topic) {
		size *= 2
	}
	c.slots = make([]int32, size)
	for t, i := range c.topic {
		h := hashID(&c.known[i].ID) & uint64(size-1)
		for c.slots[h] != 0 {
			h = (h + 1) & uint64(size-1)
		}
		c.slots[h] = int32(t) + 1
	}
}

// classify gives members with the same subscription one class. first is room for one list.
func (c *identified) classify(first []int32) error {
	sets := classSet{lists: c.oneClass[:0]}
	var seen seenLists[TopicID]
	space := ints(first)
	var before []TopicID
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
		for j := range topics {
			t := c.guess(&topics[j], last+1)
			if t < 0 {
				return &UnknownTopicError{topics[j]}
			}
			if c.base[t] < c.base[t+1] {
				ids[n] = t
				n++
			}
			last = t
		}
		c.class[m] = sets.add(space.cut(n))
		seen.add(topics, c.class[m])
	}
	c.classTopics = sets.lists
	return nil
}

func (c *identified) claimed(m int32) []IDPartitions { return c.input[c.members[m]].Target }

func (c *identified) keep(m int32) []IDPartitions {
	i := c.members[m]
	list := c.input[i].Target
	if len(list) > 0 {
		c.out[i] = list
	}
	return list
}

// All targets are of one generation.
func (c *identified) generation(int32) int32 { return 0 }

func (c *identified) follow(list, before []IDPartitions, singles []int32) int {
	n := min(len(list), len(before))
	list, before, singles = list[:n], before[:n], singles[:n]
	for i := range list {
		e := &list[i]
		if e.Topic != before[i].Topic {
			return i
		}
		singles[i] = single(e.Partitions)
	}
	return n
}

func (c *identified) find(e *IDPartitions) int32 { return c.lookup(&e.Topic) }

func (c *identified) is(e *IDPartitions, t int32) bool { return e.Topic == c.known[c.topic[t]].ID }

func (c *identified) indexes(e *IDPartitions) []int32 { return e.Partitions }

func (c *identified) fill(list []IDPartitions, topic, end, flat []int32) {
	known, index, from := c.known, c.topic, int32(0)
	topic, end = topic[:len(list)], end[:len(list)]
	for i := range list {
		e, to := &list[i], end[i]
		e.Topic, e.Partitions = known[index[topic[i]]].ID, flat[from:to:to]
		from = to
	}
}

func (c *identified) set(m int32, list []IDPartitions) { c.out[c.members[m]] = list }
