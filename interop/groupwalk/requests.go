package main

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// What the steps ask, filled in with what their client knows.

func (p *player) id(s *seat, group, whose int) string {
	switch {
	case whose == idOwn:
		return s.members[group].id
	case whose == idNobody:
		return nobody
	case whose == idOld:
		return s.members[group].old
	case whose >= idSeat:
		return p.seats[(whose-idSeat)%len(p.seats)].members[group].id
	}
	return ""
}

func instance(s *seat, st step) *string {
	switch {
	case st.instance == "":
		return nil
	case st.instance != "own":
		return kmsg.StringPtr(st.instance)
	case s.plan.instance == "":
		return nil
	}
	return kmsg.StringPtr(s.plan.instance)
}

func generation(s *seat, group int, how int32) int32 {
	switch how {
	case genNone:
		return -1
	case genZero:
		return 0
	}
	return s.members[group].generation + how
}

// next is what a client of Kafka does when it is where this one is; nil while it waits.
func (p *player) next(s *seat, group int, st step) kmsg.Request {
	m := s.members[group]
	switch m.phase {
	case outside:
		if st.meta != 0 {
			m.meta = st.meta
		}
		st.id, st.meta, st.session, st.rebalance, st.protocolType, st.protocols = idOwn, m.meta, s.plan.session, s.plan.rebalance, s.plan.protocolType, s.plan.protocols
		return p.join(s, group, st)
	case joined:
		if st.variant == 9 && m.leads {
			return nil
		}
		st.protocolType = "own"
		return p.sync(s, group, st)
	case inside:
		q := kmsg.NewPtrHeartbeatRequest()
		q.Version, q.Group, q.MemberID, q.InstanceID, q.Generation = min(st.v, 4), p.group(group), m.id, instance(s, st), m.generation
		return q
	}
	return nil
}

func (p *player) join(s *seat, group int, st step) kmsg.Request {
	q := kmsg.NewPtrJoinGroupRequest()
	q.Version, q.Group, q.MemberID, q.InstanceID = min(st.v, 9), p.group(group), p.id(s, group, st.id), instance(s, st)
	q.SessionTimeoutMillis, q.RebalanceTimeoutMillis, q.ProtocolType, q.Reason = st.session, st.rebalance, st.protocolType, kmsg.StringPtr("because")
	for _, name := range st.protocols {
		r := kmsg.NewJoinGroupRequestProtocol()
		r.Name, r.Metadata = name, p.metadata(s, st.protocolType, name, st.meta)
		q.Protocols = append(q.Protocols, r)
	}
	return q
}

// metadata is what a member says for a protocol; the revisions are other topics, other words, and what no consumer would say.
func (p *player) metadata(s *seat, kind, protocol string, revision int) []byte {
	if kind != "consumer" {
		return fmt.Appendf(nil, "%c, %s, revision %d", 'a'+s.n, protocol, revision)
	}
	topics := []string{"shared"}
	switch revision {
	case 1:
		topics = []string{"shared", "single"}
	case 2:
		topics = []string{p.topic()}
	case 3:
		topics = nil
	case 4:
		return []byte{0} // no subscription; from longer ones Kafka's coordinator does not always recover
	}
	b := binary.BigEndian.AppendUint16(nil, uint16(s.n%4))
	b = binary.BigEndian.AppendUint32(b, uint32(len(topics)))
	for _, t := range topics {
		b = binary.BigEndian.AppendUint16(b, uint16(len(t)))
		b = append(b, t...)
	}
	user := fmt.Sprintf("%c %s", 'a'+s.n, protocol)
	b = binary.BigEndian.AppendUint32(b, uint32(len(user)))
	b = append(b, user...)
	if s.n%4 >= 1 { // owned partitions: none
		b = binary.BigEndian.AppendUint32(b, 0)
	}
	if s.n%4 >= 2 { // generation
		b = binary.BigEndian.AppendUint32(b, 0xffffffff)
	}
	if s.n%4 >= 3 { // rack: null
		b = binary.BigEndian.AppendUint16(b, 0xffff)
	}
	return b
}

func (p *player) sync(s *seat, group int, st step) kmsg.Request {
	m := s.members[group]
	q := kmsg.NewPtrSyncGroupRequest()
	q.Version, q.Group, q.MemberID, q.InstanceID, q.Generation = min(st.v, 5), p.group(group), p.id(s, group, st.id), instance(s, st), generation(s, group, st.gen)
	switch st.protocolType {
	case "own":
		q.ProtocolType = m.protocolType
		if q.ProtocolType == nil && m.protocol != nil {
			q.ProtocolType = &s.plan.protocolType // a join before version 7 does not tell it
		}
	case "null":
	default:
		q.ProtocolType = &st.protocolType
	}
	switch {
	case len(st.protocols) == 0:
		q.Protocol = m.protocol
	case st.protocols[0] != "null":
		q.Protocol = &st.protocols[0]
	}
	if !m.leads && st.variant != 4 {
		return q
	}
	give := func(id, what string) {
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		a.MemberID, a.MemberAssignment = id, fmt.Appendf(nil, "%s for %s", what, p.nameOf(id))
		q.GroupAssignment = append(q.GroupAssignment, a)
	}
	for i, id := range m.members {
		if st.variant == 1 && i == len(m.members)-1 {
			continue // one gets nothing
		}
		give(id, "share")
	}
	switch st.variant {
	case 2: // one twice, and a stranger
		for _, id := range m.members {
			give(id, "another share")
			break
		}
		give(nobody, "share")
	case 3:
		q.GroupAssignment = nil
	case 4: // whoever it is, for itself
		give(q.MemberID, "my own")
	}
	return q
}

func (p *player) leave(s *seat, group int, st step) kmsg.Request {
	q := kmsg.NewPtrLeaveGroupRequest()
	q.Version, q.Group, q.MemberID = min(st.v, 5), p.group(group), p.id(s, group, st.id)
	goes := func(id string, instance *string) {
		m := kmsg.NewLeaveGroupRequestMember()
		m.MemberID, m.InstanceID, m.Reason = id, instance, kmsg.StringPtr("enough")
		q.Members = append(q.Members, m)
	}
	other := func(i int) *seat { return p.seats[st.seats[i]%len(p.seats)] }
	switch st.variant {
	case 0:
		goes(q.MemberID, instance(s, st))
	case 1: // two, and one that nobody knows
		goes(other(0).members[group].id, nil)
		goes(nobody, nil)
		goes(other(1).members[group].id, nil)
	case 2: // by instance
		for i := range 2 {
			if name := other(i).plan.instance; name != "" {
				goes("", &name)
			}
		}
		goes("", kmsg.StringPtr("nobody"))
	case 3: // twice the same, and in another's name
		goes(q.MemberID, instance(s, st))
		goes(q.MemberID, instance(s, st))
		goes(other(0).members[group].id, kmsg.StringPtr("i1"))
	case 4: // nobody
	case 5: // everybody
		for _, o := range p.seats {
			goes(o.members[group].id, instance(o, step{instance: "own"}))
		}
	}
	return q
}

// places are the partitions that commits and fetches name.
func (p *player) places(variant int) (topics []string, partitions [][]int32) {
	switch variant {
	case 0:
		return []string{"shared"}, [][]int32{{0}}
	case 1:
		return []string{"shared", "single"}, [][]int32{{2, 0, 1}, {0}}
	case 2:
		return []string{p.topic(), "shared"}, [][]int32{{0, 1, 2}, {1}}
	case 3:
		return []string{"nowhere", "single", p.topic()}, [][]int32{{0}, {0, 9, -1}, {0}}
	case 4:
		return []string{"single"}, [][]int32{{}}
	}
	return nil, nil
}

func (p *player) commit(s *seat, group int, st step) kmsg.Request {
	q := kmsg.NewPtrOffsetCommitRequest()
	q.Version, q.Group, q.MemberID, q.InstanceID, q.Generation = min(st.v, 9), p.group(group), p.id(s, group, st.id), instance(s, st), generation(s, group, st.gen)
	q.RetentionTimeMillis = -1
	if st.variant == 6 {
		q.RetentionTimeMillis = 1
		if !modes[p.walk.mode].expires {
			q.RetentionTimeMillis = 3_600_000
		}
	}
	topics, partitions := p.places(st.variant % 6)
	for i, topic := range topics {
		t := kmsg.NewOffsetCommitRequestTopic()
		t.Topic = topic
		for j, partition := range partitions[i] {
			r := kmsg.NewOffsetCommitRequestTopicPartition()
			r.Partition, r.Offset, r.LeaderEpoch = partition, st.offset+int64(j), int32(j)-1
			switch (int(st.offset) + j) % 5 {
			case 0:
				r.Metadata = kmsg.StringPtr("")
			case 1:
				r.Metadata = kmsg.StringPtr("words")
			case 2:
				r.Metadata = kmsg.StringPtr(strings.Repeat("é", 4096+j))
			}
			t.Partitions = append(t.Partitions, r)
		}
		q.Topics = append(q.Topics, t)
	}
	return q
}

func (p *player) fetch(s *seat, group int, st step) kmsg.Request {
	q := kmsg.NewPtrOffsetFetchRequest()
	q.Version, q.Group, q.RequireStable = min(st.v, 9), p.group(group), st.flag
	topics, partitions := p.places(st.variant)
	if topics != nil {
		q.Topics = []kmsg.OffsetFetchRequestTopic{}
	}
	for i, topic := range topics {
		q.Topics = append(q.Topics, kmsg.OffsetFetchRequestTopic{Topic: topic, Partitions: partitions[i]})
	}
	if q.Version < 2 && topics == nil {
		q.Topics = []kmsg.OffsetFetchRequestTopic{}
	}
	for i := range p.walk.groups {
		if i != group && !st.flag {
			continue
		}
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group = p.group(i)
		if id := p.id(s, group, st.id); id != "" {
			g.MemberID = &id
		}
		g.MemberEpoch = generation(s, group, st.gen)
		if topics != nil {
			g.Topics = []kmsg.OffsetFetchRequestGroupTopic{}
		}
		for j, topic := range topics {
			g.Topics = append(g.Topics, kmsg.OffsetFetchRequestGroupTopic{Topic: topic, Partitions: partitions[j]})
		}
		q.Groups = append(q.Groups, g)
	}
	return q
}

// manage is what an administrator asks.
func (p *player) manage(group int, st step) kmsg.Request {
	all := []string{}
	for i := range p.walk.groups {
		all = append(all, p.group(i))
	}
	switch st.do {
	case "delete-offsets":
		q := kmsg.NewPtrOffsetDeleteRequest()
		q.Group = p.group(group)
		topics, partitions := p.places(st.variant)
		for i, topic := range topics {
			t := kmsg.NewOffsetDeleteRequestTopic()
			t.Topic = topic
			for _, n := range partitions[i] {
				t.Partitions = append(t.Partitions, kmsg.OffsetDeleteRequestTopicPartition{Partition: n})
			}
			q.Topics = append(q.Topics, t)
		}
		return q
	case "describe":
		q := kmsg.NewPtrDescribeGroupsRequest()
		q.Version, q.Groups, q.IncludeAuthorizedOperations = min(st.v, 6), append(all, "walk-nowhere"), st.flag
		return q
	case "list":
		q := kmsg.NewPtrListGroupsRequest()
		q.Version = min(st.v, 5)
		q.StatesFilter = [][]string{nil, nil, {"Stable"}, {"empty", "PREPARINGREBALANCE"}, {"CompletingRebalance", "Dead"}, {"nonsense"}, {"Empty"}, nil}[st.variant]
		q.TypesFilter = [][]string{nil, {"classic"}, nil, {"Classic"}, nil, nil, {"consumer"}, {"nonsense"}}[st.variant]
		return q
	case "delete-groups":
		q := kmsg.NewPtrDeleteGroupsRequest()
		q.Version, q.Groups = min(st.v, 2), []string{p.group(group)}
		if st.variant == 1 {
			q.Groups = append(all, "walk-nowhere")
		}
		return q
	}
	q := kmsg.NewPtrFindCoordinatorRequest()
	q.Version, q.CoordinatorKey, q.CoordinatorKeys = min(st.v, 5), p.group(group), all
	if st.variant == 2 {
		q.CoordinatorType = 9
	}
	return q
}
