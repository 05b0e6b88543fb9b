// Package kgobalancer lets franz-go clients assign with package assign: New wraps any of its classic assignors into a kgo.GroupBalancer.
//
//	kgo.Balancers(kgobalancer.New(assign.CooperativeSticky{}))
//
// Members of other clients may be in the group: names and bytes on the wire are Kafka's. Racks (KIP-881) are those of all replicas of a
// partition, as the Java client sees them; franz-go's own balancers look at the leader's only.
//
// It promises what assign promises, and to answer broken bytes of a member with an error that names the member. It holds no state.
package kgobalancer

import (
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/assign"
)

// Option changes a balancer.
type Option func(*balancer)

// Rack is the client's rack, told to the leader in every join. kgo has its own option of that name for fetching; a balancer cannot see it.
func Rack(rack string) Option { return func(b *balancer) { b.rack = rack } }

// New wraps a into a balancer for kgo.Balancers.
func New(a assign.Assignor, options ...Option) kgo.GroupBalancer {
	b := &balancer{assignor: a}
	for _, o := range options {
		o(b)
	}
	return b
}

type balancer struct {
	assignor assign.Assignor
	rack     string
}

func (b *balancer) ProtocolName() string { return b.assignor.Name() }
func (b *balancer) IsCooperative() bool  { return b.assignor.Cooperative() }

func (b *balancer) JoinGroupMetadata(topics []string, current map[string][]int32, generation int32) []byte {
	var owned []assign.TopicPartitions
	for _, topic := range slices.Sorted(maps.Keys(current)) {
		if len(current[topic]) > 0 {
			owned = append(owned, assign.TopicPartitions{Topic: topic, Partitions: current[topic]})
		}
	}
	data, err := assign.AppendSubscription(nil, b.assignor.Subscribe(topics, owned, generation, b.rack), assign.SubscriptionVersion)
	if err != nil {
		// Only names of 32 KiB and more end here, which no broker lets a topic have. The interface has no way to say so: join
		// without a subscription, and the leader refuses the bytes with our member id in its error.
		return nil
	}
	return data
}

func (b *balancer) ParseSyncAssignment(data []byte) (map[string][]int32, error) {
	a, err := assign.DecodeAssignment(data)
	if err != nil {
		return nil, err
	}
	m := make(map[string][]int32, len(a.Partitions))
	for _, tp := range a.Partitions {
		m[tp.Topic] = append(m[tp.Topic], tp.Partitions...)
	}
	return m, nil
}

func (b *balancer) MemberBalancer(members []kmsg.JoinGroupResponseMember) (kgo.GroupMemberBalancer, map[string]struct{}, error) {
	g := &group{assignor: b.assignor}
	topics := make(map[string]struct{})
	var in assign.Interner
	var before []string
	for i := range members {
		s, err := in.DecodeSubscription(members[i].ProtocolMetadata)
		if err != nil {
			return nil, nil, fmt.Errorf("kgobalancer: member %q: %w", members[i].MemberID, err)
		}
		m := assign.Member{ID: members[i].MemberID, Subscription: s}
		if members[i].InstanceID != nil {
			m.InstanceID = *members[i].InstanceID
		}
		g.members = append(g.members, m)
		// The interner shares lists, so neighbours that agree are walked once.
		if len(s.Topics) > 0 && len(before) == len(s.Topics) && &before[0] == &s.Topics[0] {
			continue
		}
		before = s.Topics
		for _, t := range s.Topics {
			topics[t] = struct{}{}
		}
	}
	return g, topics, nil
}

// group is one rebalance. It is a kgo.GroupMemberBalancerOrError and a kgo.GroupMemberBalancerInfo.
type group struct {
	assignor assign.Assignor
	members  []assign.Member
	info     kgo.BalanceInfo
}

var (
	_ kgo.GroupMemberBalancerOrError = (*group)(nil)
	_ kgo.GroupMemberBalancerInfo    = (*group)(nil)
)

// SetBalanceInfo is called by the client before it balances; without it there are no racks.
func (g *group) SetBalanceInfo(info kgo.BalanceInfo) { g.info = info }

// Balance is called by those who do not know BalanceOrError. On an error everybody gets nothing.
func (g *group) Balance(topics map[string]int32) kgo.IntoSyncAssignment {
	into, err := g.BalanceOrError(topics)
	if err != nil {
		return syncAssignment{}
	}
	return into
}

func (g *group) BalanceOrError(counts map[string]int32) (kgo.IntoSyncAssignment, error) {
	racks := g.racks()
	topics := make([]assign.Topic, 0, len(counts))
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		topics = append(topics, assign.Topic{Name: name, Partitions: counts[name], Racks: racks[name]})
	}
	plan, err := g.assignor.Assign(g.members, topics)
	if err != nil {
		return nil, fmt.Errorf("kgobalancer: assigning by %s: %w", g.assignor.Name(), err)
	}
	var into syncAssignment
	seen := make(map[string]bool, len(plan))
	for i, a := range plan {
		id := g.members[i].ID
		if seen[id] {
			continue // listed twice: the first one has the partitions
		}
		seen[id] = true
		data, err := assign.AppendAssignment(nil, a, 0)
		if err != nil {
			return nil, fmt.Errorf("kgobalancer: member %q: %w", id, err)
		}
		one := kmsg.NewSyncGroupRequestGroupAssignment()
		one.MemberID, one.MemberAssignment = id, data
		into = append(into, one)
	}
	return into, nil
}

// racks lists the racks of all replicas, partition by partition; nil when no member has a rack or no broker.
func (g *group) racks() map[string][][]string {
	if g.info.Topics == nil || g.info.Brokers == nil || !slices.ContainsFunc(g.members, func(m assign.Member) bool { return m.Rack != "" }) {
		return nil
	}
	of := make(map[int32]string)
	for id, broker := range g.info.Brokers() {
		if broker.Rack != nil && *broker.Rack != "" {
			of[id] = *broker.Rack
		}
	}
	if len(of) == 0 {
		return nil
	}
	racks := make(map[string][][]string)
	for name, topic := range g.info.Topics() {
		lists := make([][]string, len(topic.Partitions))
		for _, p := range topic.Partitions {
			if p.Partition < 0 || int(p.Partition) >= len(lists) {
				continue
			}
			for _, replica := range p.Replicas {
				if rack, ok := of[replica]; ok {
					lists[p.Partition] = append(lists[p.Partition], rack)
				}
			}
		}
		racks[name] = lists
	}
	return racks
}

// syncAssignment is already what kgo wants to send.
type syncAssignment []kmsg.SyncGroupRequestGroupAssignment

func (s syncAssignment) IntoSyncAssignment() []kmsg.SyncGroupRequestGroupAssignment { return s }
