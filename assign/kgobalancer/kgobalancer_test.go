package kgobalancer_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/assign"
	"github.com/barnabas-mq/barnabas/assign/kgobalancer"
)

// theirs are franz-go's own balancers, by name.
var theirs = map[string]kgo.GroupBalancer{
	"range": kgo.RangeBalancer(), "roundrobin": kgo.RoundRobinBalancer(),
	"sticky": kgo.StickyBalancer(), "cooperative-sticky": kgo.CooperativeStickyBalancer(),
}

func member(id string, metadata []byte) kmsg.JoinGroupResponseMember {
	m := kmsg.NewJoinGroupResponseMember()
	m.MemberID, m.ProtocolMetadata = id, metadata
	return m
}

func balance(t *testing.T, b kgo.GroupBalancer, members []kmsg.JoinGroupResponseMember, counts map[string]int32) map[string]map[string][]int32 {
	t.Helper()
	g, topics, err := b.MemberBalancer(slices.Clone(members))
	if err != nil {
		t.Fatal(err)
	}
	for name := range counts {
		if _, ok := topics[name]; !ok {
			t.Errorf("%s is not among the topics to look up", name)
		}
	}
	var into kgo.IntoSyncAssignment
	if e, ok := g.(kgo.GroupMemberBalancerOrError); ok {
		into, err = e.BalanceOrError(counts)
	} else {
		into = g.Balance(counts)
	}
	if err != nil {
		t.Fatal(err)
	}
	plan := make(map[string]map[string][]int32)
	for _, a := range into.IntoSyncAssignment() {
		if plan[a.MemberID], err = b.ParseSyncAssignment(a.MemberAssignment); err != nil {
			t.Fatal(err)
		}
	}
	return plan
}

// TestMixedGroups lets our leader read franz-go's members and the other way round: with equal subscriptions both give the same loads and
// keep the same partitions.
func TestMixedGroups(t *testing.T) {
	for _, a := range assign.Assignors() {
		t.Run(a.Name(), func(t *testing.T) {
			ours, their := kgobalancer.New(a), theirs[a.Name()]
			if ours.ProtocolName() != their.ProtocolName() || ours.IsCooperative() != their.IsCooperative() {
				t.Fatalf("%s is not %s", ours.ProtocolName(), their.ProtocolName())
			}
			topics := []string{"a", "b"}
			members := []kmsg.JoinGroupResponseMember{
				member("m1", ours.JoinGroupMetadata(topics, map[string][]int32{"a": {0, 1}}, 4)),
				member("m2", their.JoinGroupMetadata(topics, map[string][]int32{"b": {0, 1}}, 4)),
				member("m3", ours.JoinGroupMetadata(topics, nil, -1)),
			}
			counts := map[string]int32{"a": 3, "b": 3}
			first, second := balance(t, ours, members, counts), balance(t, their, members, counts)
			if a.Name() == "range" || a.Name() == "roundrobin" {
				if diff := cmp.Diff(second, first); diff != "" {
					t.Errorf("plans differ (-theirs +ours):\n%s", diff)
				}
			}
			for _, plan := range []map[string]map[string][]int32{first, second} {
				for m, tps := range plan {
					if n := len(tps["a"]) + len(tps["b"]); n != 2 {
						t.Errorf("%s has %d partitions: %v", m, n, plan)
					}
				}
				if strings.Contains(a.Name(), "sticky") && (!slices.Equal(plan["m1"]["a"], []int32{0, 1}) || !slices.Equal(plan["m2"]["b"], []int32{0, 1})) {
					t.Errorf("something moved: %v", plan)
				}
			}
		})
	}
}

func TestRacksOfAllReplicasCount(t *testing.T) {
	members := make([]kmsg.JoinGroupResponseMember, 0, 2)
	for i, rack := range []string{"east", "west"} {
		b := kgobalancer.New(assign.Sticky{}, kgobalancer.Rack(rack))
		members = append(members, member([]string{"m1", "m2"}[i], b.JoinGroupMetadata([]string{"a"}, nil, -1)))
	}
	b := kgobalancer.New(assign.Sticky{})
	g, _, err := b.MemberBalancer(members)
	if err != nil {
		t.Fatal(err)
	}
	east, west := "east", "west"
	g.(kgo.GroupMemberBalancerInfo).SetBalanceInfo(kgo.BalanceInfo{
		Brokers: func() map[int32]kgo.BrokerMetadata {
			return map[int32]kgo.BrokerMetadata{1: {NodeID: 1, Rack: &east}, 2: {NodeID: 2, Rack: &west}, 3: {NodeID: 3}}
		},
		Topics: func() map[string]kgo.TopicMetadata {
			return map[string]kgo.TopicMetadata{"a": {Partitions: []kgo.PartitionMetadata{
				// The leader is elsewhere; a replica is in the rack.
				{Partition: 0, Leader: 3, Replicas: []int32{3, 2}},
				{Partition: 1, Leader: 3, Replicas: []int32{3, 1}},
				{Partition: 7, Leader: 3, Replicas: []int32{1}},
			}}}
		},
	})
	into, err := g.(kgo.GroupMemberBalancerOrError).BalanceOrError(map[string]int32{"a": 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range into.IntoSyncAssignment() {
		got, err := b.ParseSyncAssignment(a.MemberAssignment)
		if err != nil {
			t.Fatal(err)
		}
		if want := map[string]map[string][]int32{"m1": {"a": {1}}, "m2": {"a": {0}}}[a.MemberID]; !cmp.Equal(want, got) {
			t.Errorf("%s got %v, want %v", a.MemberID, got, want)
		}
	}
}

func TestBrokenMembersAreNamed(t *testing.T) {
	b := kgobalancer.New(assign.Range{})
	if _, _, err := b.MemberBalancer([]kmsg.JoinGroupResponseMember{member("broken-1", []byte{0})}); err == nil || !strings.Contains(err.Error(), "broken-1") {
		t.Errorf("got %v, want an error that names the member", err)
	}
	if _, err := b.ParseSyncAssignment([]byte{0, 0, 9}); err == nil {
		t.Error("a broken assignment was read")
	}
	if m, err := b.ParseSyncAssignment(nil); err != nil || len(m) != 0 {
		t.Errorf("no assignment at all: %v, %v", m, err)
	}
	good := b.JoinGroupMetadata([]string{"a"}, nil, -1)
	plan := balance(t, b, []kmsg.JoinGroupResponseMember{member("m", good), member("m", good)}, map[string]int32{"a": 2})
	if !slices.Equal(plan["m"]["a"], []int32{0, 1}) || len(plan) != 1 {
		t.Errorf("a member listed twice: %v", plan)
	}
	g, _, err := b.MemberBalancer([]kmsg.JoinGroupResponseMember{member("m", good)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.(kgo.GroupMemberBalancerOrError).BalanceOrError(map[string]int32{"a": 1<<31 - 1}); err == nil {
		t.Error("two billion partitions were assigned")
	}
	if into := g.Balance(map[string]int32{"a": 1<<31 - 1}); len(into.IntoSyncAssignment()) != 0 {
		t.Errorf("got %v", into)
	}
}

// TestRealClients runs three franz-go clients, one after the other, against a broker in memory until each owns its share.
func TestRealClients(t *testing.T) {
	for _, a := range assign.Assignors() {
		t.Run(a.Name(), func(t *testing.T) {
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(9, "a"))
			if err != nil {
				t.Fatal(err)
			}
			defer cluster.Close()
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			type change struct {
				client int
				parts  []int32
				gained bool
			}
			changes := make(chan change, 100)
			for i := range 3 {
				tell := func(gained bool) func(context.Context, *kgo.Client, map[string][]int32) {
					return func(_ context.Context, _ *kgo.Client, m map[string][]int32) { changes <- change{i, m["a"], gained} }
				}
				cl, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumerGroup("g"), kgo.ConsumeTopics("a"),
					kgo.Balancers(kgobalancer.New(a)), kgo.HeartbeatInterval(50*time.Millisecond),
					kgo.OnPartitionsAssigned(tell(true)), kgo.OnPartitionsRevoked(tell(false)), kgo.OnPartitionsLost(tell(false)))
				if err != nil {
					t.Fatal(err)
				}
				defer cl.Close()
			}
			owner := make(map[int32]int)
			for {
				count := make([]int, 3)
				for _, c := range owner {
					count[c]++
				}
				if slices.Equal(count, []int{3, 3, 3}) {
					return
				}
				select {
				case c := <-changes:
					for _, p := range c.parts {
						if old, owned := owner[p]; c.gained && owned && old != c.client {
							t.Fatalf("partition %d goes to client %d while client %d has it", p, c.client, old)
						}
						if c.gained {
							owner[p] = c.client
						} else if owner[p] == c.client {
							delete(owner, p)
						}
					}
				case <-ctx.Done():
					t.Fatalf("not settled in time: %v", owner)
				}
			}
		})
	}
}
