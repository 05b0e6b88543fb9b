package assign_test

import (
	"fmt"

	"github.com/barnabas-mq/barnabas/assign"
)

// One round of the classic protocol. Members say what they want, the leader reads it, assigns, and writes one answer per member, and members
// read theirs. How the bytes travel is a Kafka client's business.
func Example() {
	var assignor assign.Assignor = assign.Range{}
	join, err := assign.AppendSubscription(nil, assignor.Subscribe([]string{"orders"}, nil, assign.NoGeneration, ""), assign.SubscriptionVersion)
	if err != nil {
		fmt.Println(err)
		return
	}

	// The leader.
	var in assign.Interner // one per rebalance: members with the same topics share one list
	var members []assign.Member
	for _, id := range []string{"a", "b"} {
		s, err := in.DecodeSubscription(join)
		if err != nil {
			fmt.Println(err)
			return
		}
		members = append(members, assign.Member{ID: id, Subscription: s})
	}
	plan, err := assignor.Assign(members, []assign.Topic{{Name: "orders", Partitions: 3}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, m := range members {
		answer, err := assign.AppendAssignment(nil, plan[i], assign.AssignmentVersion)
		if err != nil {
			fmt.Println(err)
			return
		}

		// The member.
		mine, err := assign.DecodeAssignment(answer)
		fmt.Println(m.ID, mine.Partitions, err)
	}
	// Output:
	// a [{orders [0 1]}] <nil>
	// b [{orders [2]}] <nil>
}

// A third consumer joins two that share six partitions, one of which is new. The cooperative assignor takes one partition from its
// owner and hands it out in the second round.
func ExampleCooperativeSticky() {
	topics := []assign.Topic{{Name: "P", Partitions: 6}}
	all := []string{"P"}
	a := assign.CooperativeSticky{}
	members := []assign.Member{
		{ID: "C1", Subscription: a.Subscribe(all, []assign.TopicPartitions{{Topic: "P", Partitions: []int32{0, 1, 2}}}, 7, "")},
		{ID: "C2", Subscription: a.Subscribe(all, []assign.TopicPartitions{{Topic: "P", Partitions: []int32{3, 4}}}, 7, "")},
		{ID: "C3", Subscription: a.Subscribe(all, nil, assign.NoGeneration, "")},
	}
	for round := 1; round <= 2; round++ {
		plan, err := a.Assign(members, topics)
		if err != nil {
			fmt.Println(err)
			return
		}
		for i, m := range members {
			fmt.Println("round", round, m.ID, plan[i].Partitions)
			members[i].Subscription = a.Subscribe(all, plan[i].Partitions, int32(7+round), "")
		}
	}
	// Output:
	// round 1 C1 [{P [0 1]}]
	// round 1 C2 [{P [3 4]}]
	// round 1 C3 [{P [5]}]
	// round 2 C1 [{P [0 1]}]
	// round 2 C2 [{P [3 4]}]
	// round 2 C3 [{P [2 5]}]
}

// Racks: each consumer reads where it sits. As Kafka does, racks come after balance and before the number of moves.
func ExampleSticky() {
	topics := []assign.Topic{{Name: "A", Partitions: 3, Racks: [][]string{{"r2"}, {"r3"}, {"r1"}}}}
	a := assign.Sticky{}
	var members []assign.Member
	for i, rack := range []string{"r1", "r2", "r3"} {
		members = append(members, assign.Member{ID: fmt.Sprint("C", i+1), Subscription: a.Subscribe([]string{"A"}, nil, assign.NoGeneration, rack)})
	}
	plan, err := a.Assign(members, topics)
	fmt.Println(plan[0].Partitions, plan[1].Partitions, plan[2].Partitions, err)
	// Output:
	// [{A [2]}] [{A [0]}] [{A [1]}] <nil>
}

// The coordinator of a KIP-848 group keeps the last target of each member and hands it in again.
func ExampleUniform() {
	orders := assign.TopicID{1}
	topics := []assign.GroupTopic{{ID: orders, Partitions: 5}}
	subscription := []assign.TopicID{orders}
	members := []assign.GroupMember{
		{ID: "a", Topics: subscription, Target: []assign.IDPartitions{{Topic: orders, Partitions: []int32{0, 1}}}},
		{ID: "b", Topics: subscription, Target: []assign.IDPartitions{{Topic: orders, Partitions: []int32{2, 3, 4}}}},
		{ID: "c", Topics: subscription},
	}
	target, err := assign.Uniform{}.Assign(members, topics)
	for i, m := range members {
		fmt.Println(m.ID, target[i][0].Partitions, err)
	}
	// Output:
	// a [0 1] <nil>
	// b [2 3] <nil>
	// c [4] <nil>
}

// Members of a share group may read the same partition.
func ExampleSimple() {
	orders := assign.TopicID{1}
	var members []assign.GroupMember
	for _, id := range []string{"a", "b", "c", "d"} {
		members = append(members, assign.GroupMember{ID: id, Topics: []assign.TopicID{orders}})
	}
	target, err := assign.Simple{}.Assign(members, []assign.GroupTopic{{ID: orders, Partitions: 2}})
	for i, m := range members {
		fmt.Println(m.ID, target[i][0].Partitions, err)
	}
	// Output:
	// a [0] <nil>
	// b [0] <nil>
	// c [1] <nil>
	// d [1] <nil>
}
