package kgobalancer_test

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/assign"
	"github.com/barnabas-mq/barnabas/assign/kgobalancer"
)

// BenchmarkLeader is what a leader does between the JoinGroup response and the SyncGroup request, decoding and encoding included: ours and
// franz-go's cooperative-sticky on the same bytes. "join" = all but the last member own what our assignor gave them.
func BenchmarkLeader(b *testing.B) {
	for _, shape := range []string{"equal", "half"} {
		for _, g := range []struct{ members, partitions, topics int }{{10, 100, 10}, {100, 1000, 10}, {1000, 10_000, 100}} {
			for _, run := range []string{"full", "join"} {
				members, counts := joined(b, shape, run, g.members, g.partitions, g.topics)
				for _, who := range []struct {
					name string
					kgo.GroupBalancer
				}{{"ours", kgobalancer.New(assign.CooperativeSticky{})}, {"franz-go", kgo.CooperativeStickyBalancer()}} {
					b.Run(fmt.Sprintf("%s/%dx%dx%d/%s/%s", shape, g.members, g.partitions, g.topics, run, who.name), func(b *testing.B) {
						b.ReportAllocs()
						for b.Loop() {
							lead(b, who.GroupBalancer, members, counts)
						}
					})
				}
			}
		}
	}
}

func lead(b *testing.B, balancer kgo.GroupBalancer, members []kmsg.JoinGroupResponseMember, counts map[string]int32) []kmsg.SyncGroupRequestGroupAssignment {
	g, _, err := balancer.MemberBalancer(members)
	if err != nil {
		b.Fatal(err)
	}
	into, err := g.(kgo.GroupMemberBalancerOrError).BalanceOrError(counts)
	if err != nil {
		b.Fatal(err)
	}
	return into.IntoSyncAssignment()
}

func joined(b *testing.B, shape, run string, members, partitions, topics int) ([]kmsg.JoinGroupResponseMember, map[string]int32) {
	ours := kgobalancer.New(assign.CooperativeSticky{})
	counts := make(map[string]int32)
	var all []string
	for i := range topics {
		all = append(all, fmt.Sprintf("topic-%04d", i))
		counts[all[i]] = int32(partitions / topics)
	}
	subscriptions := make([][]string, members)
	list := make([]kmsg.JoinGroupResponseMember, members)
	for i := range list {
		subscriptions[i] = all
		if shape == "half" {
			subscriptions[i] = nil
			for k, t := range all {
				// Every second topic, counted differently by everybody.
				if (uint32(i*topics+k)*2654435761)>>31 == 0 {
					subscriptions[i] = append(subscriptions[i], t)
				}
			}
		}
		list[i] = member(fmt.Sprintf("member-%05d", i), ours.JoinGroupMetadata(subscriptions[i], nil, -1))
	}
	if run == "join" {
		for i, a := range lead(b, ours, list[:members-1], counts) {
			owned, err := ours.ParseSyncAssignment(a.MemberAssignment)
			if err != nil {
				b.Fatal(err)
			}
			list[i].ProtocolMetadata = ours.JoinGroupMetadata(subscriptions[i], owned, 1)
		}
	}
	return list, counts
}
