package history

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/barnabas-mq/barnabas/assign"
	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/journal"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// The newer protocol (KIP-848) keeps a group in several records: its epoch (key type 3), its members (5), what is meant for each (7) and what each has
// (8). Here they become states of the group as the older protocol would have written them: one when everybody has arrived at the group's
// epoch, dated back to when that epoch began.

// newer is a group of the newer protocol while its records are read.
type newer struct {
	epoch   int32
	members map[string]newerMember
	current map[string]newerCurrent
	began   vtime.Instant // of the unrest that goes on, 0 for none
	used    bool
}

type newerMember struct {
	instance               *string
	client, host, assignor string
	topics                 []string
	rebalance              time.Duration
}

type newerCurrent struct {
	epoch    int32
	state    int8 // 0: it has what is meant for it
	assigned []assign.TopicPartitions
}

// newerMembersMax bounds what hostile records can make a Builder keep.
const newerMembersMax = 100_000

// Topics gives the Builder the names of topics, which records of the newer protocol know by id only. An id without a name is shown as it is.
func (b *Builder) Topics(names map[kafka.TopicID]string) { b.topics = names }

// AddNewer takes one record of the newer protocol; ok is false for a record of another group or kind. A record that cannot be read is an error and
// changes nothing.
func (b *Builder) AddNewer(at vtime.Instant, key, value []byte) (ok bool, err error) {
	k := reader{b: key}
	kind := k.int16()
	if kind < 3 || kind > 8 || string(k.bytes(int(k.int16()))) != b.group || k.err != nil {
		return false, nil
	}
	member := ""
	if kind == 5 || kind == 7 || kind == 8 {
		member = string(k.bytes(int(k.int16())))
	}
	if k.err != nil {
		return true, k.err
	}
	n := &b.newer
	if n.members == nil {
		n.members, n.current = map[string]newerMember{}, map[string]newerCurrent{}
	}
	v := reader{b: value, topics: b.topics}
	if value != nil && v.int16() != 0 {
		return true, &record.VersionError{What: "ConsumerGroup", Version: int16(binary.BigEndian.Uint16(value))}
	}
	switch kind {
	case 3:
		if value == nil {
			n.used, n.began = false, 0
			b.State(at, nil)
			break
		}
		epoch := v.int32()
		if v.err != nil {
			return true, v.err
		}
		if n.epoch, n.used = epoch, true; n.began == 0 {
			n.began = at
		}
	case 5:
		if value == nil {
			delete(n.members, member)
			break
		}
		m := v.member()
		if v.err != nil || len(n.members) >= newerMembersMax {
			return true, v.err
		}
		n.members[member] = m
	case 8:
		if value == nil {
			delete(n.current, member)
			break
		}
		c := v.current()
		if v.err != nil || len(n.current) >= newerMembersMax {
			return true, v.err
		}
		n.current[member] = c
	}
	b.records++
	if b.first == 0 {
		b.first = at
	}
	b.arrive(at)
	return true, nil
}

// arrive ends the unrest when every member is at the group's epoch and has what is meant for it.
func (b *Builder) arrive(at vtime.Instant) {
	n := &b.newer
	if !n.used || n.began == 0 {
		return
	}
	for id := range n.members { // any order: all of them have to be there
		if c, ok := n.current[id]; !ok || c.state != 0 || c.epoch != n.epoch && c.epoch != -2 { // -2: a static member that is away for a moment
			return
		}
	}
	if len(n.members) == 0 && len(n.current) > 0 {
		return // its last member's records are still to come
	}
	v := &record.GroupMetadataValue{ProtocolType: "consumer", Generation: n.epoch}
	for _, id := range slices.Sorted(maps.Keys(n.members)) {
		m, c := n.members[id], n.current[id]
		assignment, errA := assign.AppendAssignment(nil, assign.Assignment{Partitions: c.assigned}, 0)
		subscription, errS := assign.AppendSubscription(nil, assign.Subscription{Topics: m.topics}, 0)
		if errA != nil || errS != nil {
			return
		}
		if v.Protocol == nil && m.assignor != "" {
			v.Protocol = &m.assignor
		}
		v.Members = append(v.Members, record.Member{ID: id, InstanceID: m.instance, ClientID: m.client, ClientHost: m.host, RebalanceTimeout: m.rebalance,
			Subscription: subscription, Assignment: assignment})
	}
	began, count := n.began, len(b.incidents)
	n.began = 0
	b.State(at, v)
	if len(b.incidents) == count+1 && began <= at {
		inc := &b.incidents[count]
		took := journal.Millis(at.Since(began))
		inc.Began, inc.Took, inc.Trigger.At = journal.Time(began), &took, journal.Time(began)
		inc.Cooperative = true // members keep what they need not give up
		inc.AddFact(fact("newer_protocol", journal.Measured, "", "the group uses the newer protocol (KIP-848): members move to the new epoch one by one, and keep what stays theirs"))
	}
}

var errRecord = errors.New("a record of the newer protocol ends too early, or holds an impossible length")

// reader reads Kafka's flexible encoding. After an error it gives zeroes.
type reader struct {
	b      []byte
	topics map[kafka.TopicID]string
	err    error
}

func (r *reader) bytes(n int) []byte {
	if r.err != nil || n < 0 || n > len(r.b) {
		r.err = errRecord
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) int16() int16 {
	if b := r.bytes(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (r *reader) int32() int32 {
	if b := r.bytes(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

// length is a compact length: one more than it is, 0 for null (-1). No length is believed that the bytes left cannot hold.
func (r *reader) length() int {
	v, n := binary.Uvarint(r.b)
	if r.err != nil || n <= 0 || v > uint64(len(r.b)) {
		r.err = errRecord
		return -1
	}
	r.b = r.b[n:]
	return int(v) - 1
}

func (r *reader) text() *string {
	n := r.length()
	if n < 0 {
		return nil
	}
	s := string(r.bytes(n))
	return &s
}

func (r *reader) tags() {
	for n := r.length() + 1; n > 0 && r.err == nil; n-- { // a count, not one more than it
		r.length() // the tag
		r.bytes(r.length() + 1)
	}
}

func (r *reader) member() (m newerMember) {
	m.instance = r.text()
	r.text() // rack
	m.client, m.host = text(r.text()), text(r.text())
	for n := r.length(); n > 0 && r.err == nil; n-- {
		m.topics = append(m.topics, text(r.text()))
	}
	r.text() // regular expression
	m.rebalance = time.Duration(r.int32()) * time.Millisecond
	m.assignor = text(r.text())
	r.tags()
	return m
}

func (r *reader) current() (c newerCurrent) {
	c.epoch = r.int32()
	r.int32() // the epoch before
	if b := r.bytes(1); b != nil {
		c.state = int8(b[0])
	}
	c.assigned = r.partitions()
	r.partitions() // still to be given up
	r.tags()
	return c
}

func (r *reader) partitions() (out []assign.TopicPartitions) {
	for n := r.length(); n > 0 && r.err == nil; n-- {
		var id kafka.TopicID
		copy(id[:], r.bytes(len(id)))
		name, ok := r.topics[id]
		if !ok {
			name = id.String()
		}
		tp := assign.TopicPartitions{Topic: name}
		for m := r.length(); m > 0 && r.err == nil; m-- {
			tp.Partitions = append(tp.Partitions, r.int32())
		}
		r.tags()
		out = append(out, tp)
	}
	return out
}
