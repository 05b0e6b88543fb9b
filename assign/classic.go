package assign

import (
	"hash/maphash"
	"sync"
)

// classic is a problem of the classic protocol: members and topics with names.
type classic struct {
	roster[string]
	input []Member
	known []Topic
	out   []Assignment
}

// classics keeps what calls need and nobody needs after them.
var classics = sync.Pool{New: func() any { return new(classic) }}

// done ends a call. The plan is the caller's.
func (c *classic) done() {
	c.roster.end()
	c.input, c.known, c.out = nil, nil, nil
	classics.Put(c)
}

// number is roster.number for the members and topics of a classic group, and makes room for its plan.
func (c *classic) number(members []Member, topics []Topic, static bool, claims int) error {
	c.input, c.known = members, topics
	if err := c.roster.number(c, static, claims); err != nil {
		return err
	}
	c.out = make([]Assignment, len(members))
	return nil
}

func (c *classic) size() (members, topics int, partitions int64) {
	for i := range c.known {
		partitions += int64(max(c.known[i].Partitions, 0))
	}
	return len(c.input), len(c.known), partitions
}

func (c *classic) id(member int) string { return c.input[member].ID }

func (c *classic) instance(member int) string { return c.input[member].InstanceID }

func (c *classic) subscribed(member int32) []string { return c.input[member].Topics }

func (c *classic) claimed(member int32) []TopicPartitions { return c.input[member].Owned }

func (c *classic) generation(member int32) int32 {
	return cooperativeGeneration(&c.input[member].Subscription)
}

func (c *classic) orderMembers(order []int32) (distinct, alike bool) {
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

func (c *classic) listTopics(order []int32, keys []string, sizes []int32) (distinct bool) {
	distinct = true
	before := ""
	for i := range c.known {
		t := &c.known[i]
		order[i], keys[i], sizes[i] = int32(i), t.Name, t.Partitions
		if i > 0 && compareNames(before, t.Name) >= 0 {
			distinct = false
		}
		before = t.Name
	}
	if !distinct {
		orderNames(order, func(i int) string { return c.known[i].Name })
		for t, i := range order {
			keys[t], sizes[t] = c.known[i].Name, c.known[i].Partitions
		}
	}
	return distinct
}

// The seed differs from process to process (names come from strangers); it decides where entries lie, never what is found.
var nameSeed = maphash.MakeSeed()

func (c *classic) hash(name *string) uint64 { return maphash.String(nameSeed, *name) }

func (c *classic) compare(a, b *string) int { return compareNames(*a, *b) }

// A name that the leader does not know is skipped.
func (c *classic) unknown(string) error { return nil }

func (c *classic) set(member int32, list []TopicPartitions) { c.out[member].Partitions = list }
