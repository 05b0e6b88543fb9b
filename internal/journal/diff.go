package journal

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/barnabas-mq/barnabas/assign"
	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// consumerType is the protocol type whose metadata we can read.
const consumerType = "consumer"

// seatKey is who a member is across restarts: a static one by its instance id, another by its id.
func seatKey(id, instance string) string {
	if instance != "" {
		return "static " + instance
	}
	return id
}

// decoded is an assignment that can be compared.
type decoded struct {
	ids    []string // member id, in the record's order
	keys   []string // seatKey
	who    []Who
	parts  [][]TopicPartitions
	topics [][]string // subscription, nil if it cannot be read
	count  int        // partitions
}

// decode reads the assignments of a group's record; nil if it has none that can be read.
func decode(v *record.GroupMetadataValue, partitionsMax int) *decoded {
	if v == nil || v.ProtocolType != consumerType {
		return nil
	}
	d := &decoded{}
	var names assign.Interner
	for _, m := range v.Members {
		w := Who{ID: m.ID, Client: m.ClientID, Host: m.ClientHost}
		if m.InstanceID != nil {
			w.Instance = *m.InstanceID
		}
		var parts []TopicPartitions
		if len(m.Assignment) > 0 {
			a, err := assign.DecodeAssignment(m.Assignment)
			if err != nil {
				return nil
			}
			for _, tp := range a.Partitions {
				p := slices.Clone(tp.Partitions)
				slices.Sort(p)
				p = slices.Compact(p)
				parts = append(parts, TopicPartitions{tp.Topic, p})
				d.count += len(p)
			}
			parts = mergeTopics(parts)
		}
		var topics []string
		if sub, err := names.DecodeSubscription(m.Subscription); err == nil {
			topics = slices.Clone(sub.Topics)
			slices.Sort(topics)
		}
		if d.count > partitionsMax {
			return nil
		}
		d.ids, d.keys, d.who = append(d.ids, m.ID), append(d.keys, seatKey(m.ID, w.Instance)), append(d.who, w)
		d.parts, d.topics = append(d.parts, parts), append(d.topics, topics)
	}
	return d
}

// mergeTopics sorts by topic and makes one entry of several for the same topic.
func mergeTopics(in []TopicPartitions) []TopicPartitions {
	slices.SortStableFunc(in, func(a, b TopicPartitions) int { return cmp.Compare(a.Topic, b.Topic) })
	var out []TopicPartitions
	for _, tp := range in {
		if n := len(out); n > 0 && out[n-1].Topic == tp.Topic {
			p := append(out[n-1].Partitions, tp.Partitions...)
			slices.Sort(p)
			out[n-1].Partitions = slices.Compact(p)
			continue
		}
		out = append(out, tp)
	}
	return out
}

// owners maps each partition to the index of the member that has it. Two for one partition, which a faulty assignor makes, count for the first.
func (d *decoded) owners() map[kafka.TopicPartition]int {
	if d == nil {
		return nil
	}
	m := make(map[kafka.TopicPartition]int, d.count)
	for i, parts := range d.parts {
		for _, tp := range parts {
			for _, p := range tp.Partitions {
				k := kafka.TopicPartition{Topic: tp.Topic, Partition: p}
				if _, taken := m[k]; !taken {
					m[k] = i
				}
			}
		}
	}
	return m
}

// change is what became of one partition: indices into before and after, -1 for nobody.
type change struct {
	kafka.TopicPartition
	from, to int
	same     bool
}

// comparison is two assignments laid side by side.
type comparison struct {
	before, after *decoded // before is empty, not nil, for a group that had none
	changes       []change // of every partition that either has, sorted
	moves         Moves
	withheld      int                        // in before and owned by nobody in after
	record        *record.GroupMetadataValue // after, as it was compared
}

// compare lays two assignments side by side; nil if one cannot be read. hasBefore false: what was before is not known.
func compare(before *record.GroupMetadataValue, hasBefore bool, after *record.GroupMetadataValue, partitionsMax int) *comparison {
	if !hasBefore {
		return nil
	}
	b, a := &decoded{}, decode(after, partitionsMax)
	if before != nil && len(before.Members) > 0 {
		if b = decode(before, partitionsMax); b == nil {
			return nil
		}
	}
	if after != nil && len(after.Members) == 0 {
		a = &decoded{}
	}
	if a == nil {
		return nil
	}
	c := &comparison{before: b, after: a}
	was, is := b.owners(), a.owners()
	for tp, i := range was { // any order: sorted below
		j, owned := is[tp]
		if !owned {
			j = -1
		}
		c.changes = append(c.changes, change{tp, i, j, owned && b.keys[i] == a.keys[j]})
	}
	for tp, j := range is { // any order: sorted below
		if _, had := was[tp]; !had {
			c.changes = append(c.changes, change{tp, -1, j, false})
		}
	}
	slices.SortFunc(c.changes, func(x, y change) int { return x.TopicPartition.Compare(y.TopicPartition) })
	c.moves.Before, c.moves.After = len(was), len(is)
	for _, ch := range c.changes {
		switch {
		case ch.same:
			c.moves.Kept++
		case ch.from < 0:
			c.moves.Gained++
		case ch.to < 0:
			c.moves.Lost++
		default:
			c.moves.Moved++
		}
	}
	c.withheld = c.moves.Lost
	for _, p := range a.parts {
		if len(p) == 0 {
			c.moves.Idle++
		}
	}
	return c
}

// minimumMax bounds the groups whose minimum is worked out: members times topics and partitions.
const minimumMax = 50_000

// minimum is how many partitions with a previous owner the fairest assignment with the fewest moves would have moved; nil if it cannot be
// told.
func (c *comparison) minimum() *int {
	if len(c.changes) == 0 || c.after.count > minimumMax || len(c.after.ids) == 0 {
		return nil
	}
	most := map[string]int32{}
	for _, ch := range c.changes {
		if ch.to >= 0 {
			most[ch.Topic] = max(most[ch.Topic], ch.Partition+1)
		}
	}
	had := map[string][]assign.TopicPartitions{}
	owner := map[kafka.TopicPartition]string{}
	for i, key := range c.before.keys {
		for _, tp := range c.before.parts[i] {
			had[key] = append(had[key], assign.TopicPartitions{Topic: tp.Topic, Partitions: tp.Partitions})
			for _, p := range tp.Partitions {
				if p < most[tp.Topic] {
					owner[kafka.TopicPartition{Topic: tp.Topic, Partition: p}] = key
				}
			}
		}
	}
	var topics []assign.Topic
	for t, n := range most { // any order: sorted below
		topics = append(topics, assign.Topic{Name: t, Partitions: n})
	}
	slices.SortFunc(topics, func(a, b assign.Topic) int { return cmp.Compare(a.Name, b.Name) })
	sticky := assign.Sticky{}
	var members []assign.Member
	for i, id := range c.after.ids {
		if c.after.topics[i] == nil {
			return nil
		}
		members = append(members, assign.Member{ID: id, Subscription: sticky.Subscribe(c.after.topics[i], had[c.after.keys[i]], 1, "")})
	}
	plan, err := sticky.Assign(members, topics)
	if err != nil {
		return nil
	}
	moved := 0
	for i, a := range plan {
		for _, tp := range a.Partitions {
			for _, p := range tp.Partitions {
				if from, had := owner[kafka.TopicPartition{Topic: tp.Topic, Partition: p}]; had && from != c.after.keys[i] {
					moved++
				}
			}
		}
	}
	return &moved
}

// listOf makes the short form of partitions that come sorted.
func listOf(tps []kafka.TopicPartition) (out []TopicPartitions) {
	for _, tp := range tps {
		if n := len(out); n > 0 && out[n-1].Topic == tp.Topic {
			out[n-1].Partitions = append(out[n-1].Partitions, tp.Partition)
			continue
		}
		out = append(out, TopicPartitions{tp.Topic, []int32{tp.Partition}})
	}
	return out
}

// cooperative reports whether members keep their partitions while they rejoin under this assignor.
func cooperative(protocolType, protocol string) bool {
	if protocolType != consumerType {
		return false
	}
	a, err := assign.ByName(protocol)
	return err == nil && a.Cooperative()
}

// topics is what the member subscribes to, sorted; nil if that cannot be read. All protocols say the same of it, so the first that can be
// read counts, the chosen one if there is one.
func (m *member) topics(protocol string) []string {
	if m.protocolType != consumerType {
		return nil
	}
	for _, chosen := range []bool{true, false} {
		for _, p := range m.protocols {
			if chosen != (p.Name == protocol) {
				continue
			}
			if sub, err := assign.DecodeSubscription(p.Metadata); err == nil {
				t := slices.Clone(sub.Topics)
				slices.Sort(t)
				return slices.Compact(t)
			}
		}
	}
	return nil
}

// difference tells what a member says now that it did not say before, as facts.
func difference(old, now *member) (facts []Fact) {
	if old.partial { // of a member read from the log only the chosen protocol is known
		only := *now
		only.protocols = nil
		for _, p := range now.protocols {
			if len(old.protocols) == 1 && p.Name == old.protocols[0].Name {
				only.protocols = append(only.protocols, p)
			}
		}
		if len(only.protocols) == 0 {
			return nil
		}
		whole := *old
		whole.partial = false
		return difference(&whole, &only)
	}
	same := slices.EqualFunc(old.protocols, now.protocols, func(a, b coord.Protocol) bool {
		return a.Name == b.Name && bytes.Equal(a.Metadata, b.Metadata)
	})
	if same {
		return []Fact{newFact(FactNothingChanged, Measured, now.ID, "it joined with the very same subscription and assignors as before")}
	}
	names := func(m *member) (out []string) {
		for _, p := range m.protocols {
			out = append(out, p.Name)
		}
		return out
	}
	before, after := names(old), names(now)
	if !slices.Equal(before, after) {
		facts = append(facts, newFact(FactAssignorsChanged, Measured, now.ID, "its assignors were "+words(before)+" and are "+words(after)))
	}
	was, is := old.topics(""), now.topics("")
	if was != nil && is != nil {
		added, dropped := without(is, was), without(was, is)
		if len(added) > 0 {
			facts = append(facts, newFact(FactTopicsAdded, Measured, now.ID, "it subscribes to "+words(added)+" as well"))
		}
		if len(dropped) > 0 {
			facts = append(facts, newFact(FactTopicsDropped, Measured, now.ID, "it does not subscribe to "+words(dropped)+" any more"))
		}
		if len(facts) == 0 {
			facts = append(facts, newFact(FactOnlyOwnedChanged, Measured, now.ID, "its topics and assignors are as before"))
		}
	}
	return facts
}

// without is what a has and b does not; both sorted.
func without(a, b []string) (out []string) {
	for _, s := range a {
		if _, in := slices.BinarySearch(b, s); !in {
			out = append(out, s)
		}
	}
	return out
}

// words lists names, the first few of many.
func words(names []string) string {
	const shown = 5
	switch {
	case len(names) == 0:
		return "none"
	case len(names) > shown:
		return strings.Join(names[:shown], ", ") + " and " + count(len(names)-shown, "more", "more")
	}
	return strings.Join(names, ", ")
}

// span is the time from a to b if both are known.
func span(a, b vtime.Instant) *Millis {
	if a == 0 || b == 0 || b < a {
		return nil
	}
	m := Millis(b.Since(a))
	return &m
}
