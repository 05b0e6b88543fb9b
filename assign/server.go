package assign

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
)

// TopicID is a topic's id (a UUID).
type TopicID [16]byte

func (id TopicID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[0:4], id[4:6], id[6:8], id[8:10], id[10:16])
}

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
	c, err := numberIDs(members, topics, orderGroup)
	if err != nil {
		return nil, err
	}
	// stays[m]: the old target is also the new one, so that it is returned as it is. A group of which a few members change then costs
	// no more memory than those.
	stays := make([]bool, len(c.members))
	cl := c.newClaims()
	for m, i := range c.members {
		if stays[m] = len(members[i].Target) > 0; stays[m] {
			cl.generation(0)
		}
		hint, before := int32(0), none
		for _, tp := range members[i].Target {
			t := c.find(tp.Topic, &hint)
			stays[m] = stays[m] && t > before && len(tp.Partitions) > 0
			before = t
			last := none
			for _, p := range tp.Partitions {
				stays[m] = stays[m] && p > last && p < c.base[t+1]-c.base[t]
				last = p
				cl.claim(int32(m), t, p, 0)
			}
		}
	}
	cl.settle()
	c.readRacks(
		func(m int) string { return members[c.members[m]].Rack },
		func(t int) [][]string { return topics[c.topic[t]].Racks })
	plan := c.solve()
	for i := 1; i < len(cl.disputed); i += 2 {
		stays[cl.disputed[i]] = false
	}
	for p, o := range c.owner {
		if m := plan[p]; o != m {
			if o >= 0 {
				stays[o] = false
			}
			if m >= 0 {
				stays[m] = false
			}
		}
	}
	for p := range c.owner {
		if m := plan[p]; m >= 0 && stays[m] {
			plan[p] = none
		}
	}
	out := c.emit(plan)
	for m, i := range c.members {
		if stays[m] {
			out[i] = members[i].Target
		}
	}
	return out, nil
}

// ServerRange is the server-side assignor called "range": the arithmetic of Range, without racks and without a memory.
type ServerRange struct{}

// Name is "range".
func (ServerRange) Name() string { return "range" }

// Assign returns the target.
func (ServerRange) Assign(members []GroupMember, topics []GroupTopic) ([][]IDPartitions, error) {
	c, err := numberIDs(members, topics, orderGroupStatic)
	if err != nil {
		return nil, err
	}
	r := ranger{problem: &c.problem, plan: filled(c.partitions(), none)}
	r.assign(nil)
	return c.emit(r.plan), nil
}

// identified is a problem with the way back to the coordinator's members and topic ids.
type identified struct {
	problem
	input   []GroupMember
	known   []GroupTopic
	members []int32 // member number -> index in input
	topic   []int32 // topic number -> index in known
	slots   []int32 // hash table: topic+1; 0 = free
}

func orderGroup(members []GroupMember) []int32 {
	order := orderNames(len(members), func(i int) string { return members[i].ID })
	return slices.CompactFunc(order, func(a, b int32) bool { return members[a].ID == members[b].ID })
}

func orderGroupStatic(members []GroupMember) []int32 {
	order := orderGroup(members)
	slices.SortStableFunc(order, func(a, b int32) int {
		x, y := members[a].InstanceID, members[b].InstanceID
		if x == "" || y == "" {
			return -cmp.Compare(min(len(x), 1), min(len(y), 1))
		}
		return compareNames(x, y)
	})
	return order
}

func numberIDs(members []GroupMember, topics []GroupTopic, order func([]GroupMember) []int32) (*identified, error) {
	if len(members) > MaxPartitions || len(topics) > MaxPartitions {
		return nil, ErrTooLarge
	}
	c := &identified{input: members, known: topics, members: order(members)}
	c.topic = numbers(int32(len(topics)))
	byID := func(a, b int32) int { return bytes.Compare(topics[a].ID[:], topics[b].ID[:]) }
	if !slices.IsSortedFunc(c.topic, byID) {
		slices.SortStableFunc(c.topic, byID)
	}
	c.topic = slices.CompactFunc(c.topic, func(a, b int32) bool { return topics[a].ID == topics[b].ID })
	c.base = make([]int32, len(c.topic)+1)
	total := int64(0)
	for t, i := range c.topic {
		total += int64(max(topics[i].Partitions, 0))
		if total > MaxPartitions {
			return nil, ErrTooLarge
		}
		c.base[t+1] = int32(total)
	}
	size := 8
	for size < 2*len(c.topic) {
		size *= 2
	}
	c.slots = make([]int32, size)
	for t := range c.topic {
		h := hashID(&topics[c.topic[t]].ID) & uint64(size-1)
		for c.slots[h] != 0 {
			h = (h + 1) & uint64(size-1)
		}
		c.slots[h] = int32(t) + 1
	}
	return c, c.classify()
}

// Ids are made by brokers, at random: mixing the halves is enough.
func hashID(id *TopicID) uint64 {
	h := (binary.LittleEndian.Uint64(id[:8]) ^ binary.LittleEndian.Uint64(id[8:])*0x9E3779B97F4A7C15) * 0xFF51AFD7ED558CCD
	return h ^ h>>32
}

// findNear is find for subscriptions, which name most topics: one of the next few is nearly always meant.
func (c *identified) findNear(id TopicID, hint *int32) int32 {
	for h := *hint; int(h) < len(c.topic) && h < *hint+4; h++ {
		if c.known[c.topic[h]].ID == id {
			*hint = h + 1
			return h
		}
	}
	return c.find(id, hint)
}

// find is a topic's number, or none. Lists of topics ascend, so the one after the last one found is tried first.
func (c *identified) find(id TopicID, hint *int32) int32 {
	if h := *hint; int(h) < len(c.topic) && c.known[c.topic[h]].ID == id {
		*hint = h + 1
		return h
	}
	mask := uint64(len(c.slots) - 1)
	for h := hashID(&id) & mask; ; h = (h + 1) & mask {
		t := c.slots[h] - 1
		if t < 0 {
			return none
		}
		if c.known[c.topic[t]].ID == id {
			*hint = t + 1
			return t
		}
	}
}

// classify gives members with the same subscription one class.
func (c *identified) classify() error {
	c.class = make([]int32, len(c.members))
	var sets classSet
	type list struct{ len, class int }
	var seen map[*TopicID]list
	var before []TopicID
	for m, i := range c.members {
		topics := c.input[i].Topics
		if m > 0 && len(topics) == len(before) && (len(topics) == 0 || &topics[0] == &before[0] || slices.Equal(topics, before)) {
			c.class[m] = c.class[m-1]
			continue
		}
		before = topics
		if len(topics) > 0 {
			if l, ok := seen[&topics[0]]; ok && l.len == len(topics) {
				c.class[m] = int32(l.class)
				continue
			}
		}
		ids := make([]int32, 0, len(topics))
		hint := int32(0)
		for _, id := range topics {
			t := c.findNear(id, &hint)
			if t < 0 {
				return &UnknownTopicError{id}
			}
			if c.base[t] < c.base[t+1] {
				ids = append(ids, t)
			}
		}
		c.class[m] = sets.add(ids)
		if len(topics) == 0 {
			continue
		}
		if seen == nil && m > 0 {
			seen = make(map[*TopicID]list)
			if first := c.input[c.members[0]].Topics; len(first) > 0 {
				seen[&first[0]] = list{len(first), int(c.class[0])}
			}
		}
		if seen != nil {
			seen[&topics[0]] = list{len(topics), int(c.class[m])}
		}
	}
	c.classTopics = sets.lists
	return nil
}

// emit is classic.emit for ids.
func (c *identified) emit(plan []int32) [][]IDPartitions {
	shares, parts, entries := c.lay(plan)
	flat := make([]int32, parts)
	index := make([]int32, 2*entries+1)
	topic, begin := index[:entries], index[entries:]
	c.spread(plan, shares, flat, topic, begin)
	tps := make([]IDPartitions, entries)
	for e, t := range topic {
		tps[e] = IDPartitions{c.known[c.topic[t]].ID, flat[begin[e]:begin[e+1]:begin[e+1]]}
	}
	out := make([][]IDPartitions, len(c.input))
	from := int32(0)
	for m, i := range c.members {
		if to := shares[m].entries; to > from {
			out[i] = tps[from:to:to]
			from = to
		}
	}
	return out
}
