package assign

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"sync"
)

// TopicID is a topic's id (a UUID).
type TopicID [16]byte

// String is Kafka's text form: URL-safe base64 without padding.
func (id TopicID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// IDPartitions names some partitions of one topic by its id.
type IDPartitions = PartitionsOf[TopicID]

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
	c := identifieds.Get().(*identified)
	defer c.done()
	entries, holders, racks := 0, 0, false
	for i := range members {
		n := len(members[i].Target)
		entries += n
		holders += min(n, 1)
		racks = racks || members[i].Rack != ""
	}
	if err := c.number(members, topics, false, entries); err != nil {
		return nil, err
	}
	if racks {
		c.readRacks(
			func(m int) string { return members[c.members[m]].Rack },
			func(t int) [][]string { return topics[c.topic[t]].Racks })
	}
	c.best(entries, holders, false)
	return c.out, nil
}

// ServerRange is the server-side assignor called "range": the arithmetic of Range, without racks and without a memory.
type ServerRange struct{}

// Name is "range".
func (ServerRange) Name() string { return "range" }

// Assign returns the target.
func (ServerRange) Assign(members []GroupMember, topics []GroupTopic) ([][]IDPartitions, error) {
	c := identifieds.Get().(*identified)
	defer c.done()
	if err := c.number(members, topics, true, 0); err != nil {
		return nil, err
	}
	r := ranger{problem: &c.problem, plan: filled(c.partitions(), none)}
	r.assign(nil)
	c.write(r.plan)
	return c.out, nil
}

// identified is a problem of KIP-848 and KIP-932: topics with ids.
type identified struct {
	roster[TopicID]
	input []GroupMember
	known []GroupTopic
	out   [][]IDPartitions
}

// identifieds keeps what calls need and nobody needs after them.
var identifieds = sync.Pool{New: func() any { return new(identified) }}

// done ends a call. The plan is the caller's.
func (c *identified) done() {
	c.roster.end()
	c.input, c.known, c.out = nil, nil, nil
	identifieds.Put(c)
}

// number is roster.number for the members and topics of a coordinator, and makes room for their targets.
func (c *identified) number(members []GroupMember, topics []GroupTopic, static bool, claims int) error {
	c.input, c.known = members, topics
	if err := c.roster.number(c, static, claims); err != nil {
		return err
	}
	c.out = make([][]IDPartitions, len(members))
	return nil
}

func (c *identified) size() (members, topics int, partitions int64) {
	for i := range c.known {
		partitions += int64(max(c.known[i].Partitions, 0))
	}
	return len(c.input), len(c.known), partitions
}

func (c *identified) id(member int) string { return c.input[member].ID }

func (c *identified) instance(member int) string { return c.input[member].InstanceID }

func (c *identified) subscribed(member int32) []TopicID { return c.input[member].Topics }

func (c *identified) claimed(member int32) []IDPartitions { return c.input[member].Target }

// All targets are of one generation.
func (c *identified) generation(int32) int32 { return 0 }

func (c *identified) orderMembers(order []int32) (distinct, alike bool) {
	number(order)
	distinct, alike = true, len(c.input) > 0
	for i := 1; i < len(c.input); i++ {
		a, b := &c.input[i-1], &c.input[i]
		distinct = distinct && compareNames(a.ID, b.ID) < 0
		alike = alike && sameMemory(a.Topics, b.Topics)
	}
	if !distinct {
		orderNames(order, c.id)
	}
	return distinct, alike
}

func (c *identified) listTopics(order []int32, keys []TopicID, sizes []int32) (distinct bool) {
	distinct = true
	for i := range c.known {
		t := &c.known[i]
		order[i], keys[i], sizes[i] = int32(i), t.ID, t.Partitions
		if i > 0 && compareIDs(&c.known[i-1].ID, &t.ID) >= 0 {
			distinct = false
		}
	}
	if !distinct {
		slices.SortStableFunc(order, func(a, b int32) int { return compareIDs(&c.known[a].ID, &c.known[b].ID) })
		for t, i := range order {
			keys[t], sizes[t] = c.known[i].ID, c.known[i].Partitions
		}
	}
	return distinct
}

// compareIDs orders by byte.
func compareIDs(a, b *TopicID) int {
	if x, y := binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(b[:8]); x != y {
		return cmp.Compare(x, y)
	}
	return cmp.Compare(binary.BigEndian.Uint64(a[8:]), binary.BigEndian.Uint64(b[8:]))
}

// Ids are made by brokers, at random: mixing the halves is enough.
func (c *identified) hash(id *TopicID) uint64 {
	h := (binary.LittleEndian.Uint64(id[:8]) ^ binary.LittleEndian.Uint64(id[8:])*0x9E3779B97F4A7C15) * 0xFF51AFD7ED558CCD
	return h ^ h>>32
}

func (c *identified) compare(a, b *TopicID) int { return compareIDs(a, b) }

func (c *identified) unknown(id TopicID) error { return &UnknownTopicError{id} }

func (c *identified) set(member int32, list []IDPartitions) { c.out[member] = list }
