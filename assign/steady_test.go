package assign

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// TestSteadyGroupsGetThePlanOfAnyGroup: steady.go takes a short way. One claim to a topic that does not exist sends the same group the long
// way, over owners and weighed claims, and both must end at the same plan, partition by partition.
func TestSteadyGroupsGetThePlanOfAnyGroup(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shape := rapid.SampledFrom([]string{"equal", "buckets"}).Draw(t, "shape")
		n := rapid.IntRange(2, 14).Draw(t, "members")
		topics := rapid.IntRange(1, 8).Draw(t, "topics")
		members, known := drawGroup(n, topics, topics, shape)
		for i := range known {
			known[i].Partitions = rapid.Int32Range(0, 70).Draw(t, "partitions")
		}
		// The past is balanced or not, and of fewer members, or of more.
		past := rapid.SampledFrom(Assignors()).Draw(t, "past")
		stay := rapid.IntRange(1, n).Draw(t, "of the past")
		plan, err := past.Assign(members[:stay], known)
		if err != nil {
			t.Fatal(err)
		}
		for i := range plan {
			members[i].Owned = plan[i].Partitions
		}
		members = members[rapid.IntRange(0, stay-1).Draw(t, "gone"):]
		for i := range known {
			known[i].Partitions += rapid.Int32Range(0, 9).Draw(t, "new")
		}
		if rapid.IntRange(0, 3).Draw(t, "contradiction") == 0 {
			// Not steady any more, which has to be noticed, also when the other has given up what both claim.
			i, j := rapid.IntRange(0, len(members)-1).Draw(t, "who"), rapid.IntRange(0, len(members)-1).Draw(t, "whom")
			if owned := members[j].Owned; i != j && len(owned) > 0 {
				e := owned[rapid.IntRange(0, len(owned)-1).Draw(t, "of")]
				members[i].Owned = []TopicPartitions{{e.Topic, e.Partitions[rapid.IntRange(0, len(e.Partitions)-1).Draw(t, "from"):]}}
				sameWays(t, members, known)
				return
			}
		}
		entries, holders := 0, 0
		for i := range members {
			n := len(members[i].Owned)
			entries, holders = entries+n, holders+min(n, 1)
		}
		c := new(classic)
		if err := c.number(members, known, false, entries); err != nil {
			t.Fatal(err)
		}
		parts := c.components()
		s := c.newSteady(entries, holders, true)
		if !allEven(parts) || !s.plan(parts) {
			t.Fatalf("not taken for steady: %v of %v", instance{members, known}, known)
		}
		sameWays(t, members, known)
	})
}

// TestAListThatLosesItsEndIsNotWrittenAnew: it is the beginning of the member's own list, which nobody can append to, and that list is as it was.
func TestAListThatLosesItsEndIsNotWrittenAnew(t *testing.T) {
	members, topics := drawGroup(11, 100, 10, "equal")
	settleGroup(t, CooperativeSticky{}, members, topics)
	before := fmt.Sprint(members)
	plan, err := CooperativeSticky{}.Assign(members, topics)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range plan[1:10] { // each has one partition of each topic; the first member keeps all
		owned := members[i+1].Owned
		if list := a.Partitions; len(list) != 9 || cap(list) != 9 || &list[0] != &owned[0] {
			t.Errorf("member %d had %v and gets %v, capacity %d", i+1, owned, list, cap(list))
		}
	}
	if after := fmt.Sprint(members); after != before {
		t.Errorf("%s\nbecame %s", before, after)
	}
}

// TestOfOneIndexTheLastTopicGoes: by either way, however many partitions of each topic a list names.
func TestOfOneIndexTheLastTopicGoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Every entry of the first list ends with the same index, and some of them go, or all and more.
		n, each := rapid.IntRange(2, 6).Draw(t, "topics"), rapid.Int32Range(1, 5).Draw(t, "partitions of each")
		less := rapid.Int32Range(0, each-1).Draw(t, "of the other")
		members, topics := drawGroup(2, n, n, "equal")
		for i := range topics {
			topics[i].Partitions = each + less
			var p []int32
			for k := range each + less {
				p = append(p, k)
			}
			members[0].Owned = append(members[0].Owned, TopicPartitions{topics[i].Name, p[less:]})
			if less > 0 {
				members[1].Owned = append(members[1].Owned, TopicPartitions{topics[i].Name, p[:less]})
			}
		}
		sameWays(t, members, topics)
	})
}

// sameWays sends a group both ways.
func sameWays(t *rapid.T, members []Member, topics []Topic) {
	for _, a := range []func(string, []Member) string{cooperativePlan(t, topics), uniformPlan(t, topics)} {
		short, long := a("", members), a("no such topic", members)
		if short != long {
			t.Fatalf("%v\n the short way %v\n  the long way %v", instance{members, topics}, short, long)
		}
	}
}

// cooperativePlan is the plan of CooperativeSticky for members one of whom also claims a topic.
func cooperativePlan(t *rapid.T, topics []Topic) func(string, []Member) string {
	return func(claim string, members []Member) string {
		if claim != "" {
			members = append([]Member(nil), members...)
			m := &members[len(members)-1]
			m.Owned = append(append([]TopicPartitions(nil), m.Owned...), TopicPartitions{claim, []int32{0}})
		}
		plan, err := CooperativeSticky{}.Assign(members, topics)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(plan)
	}
}

// uniformPlan is the same by Uniform.
func uniformPlan(t *rapid.T, topics []Topic) func(string, []Member) string {
	return func(claim string, members []Member) string {
		group, known := byID(members, topics)
		if claim != "" {
			m := &group[len(group)-1]
			m.Target = append(append([]IDPartitions(nil), m.Target...), IDPartitions{TopicID{0xFF}, []int32{0}})
		}
		plan, err := Uniform{}.Assign(group, known)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(plan)
	}
}

// TestOneLostAtTheEndAndOneBefore: a list that loses its last entry, and then one that is not the last, is without both.
func TestOneLostAtTheEndAndOneBefore(t *testing.T) {
	all := []string{"A", "B", "C", "D"}
	topics := []Topic{{Name: "A", Partitions: 2}, {Name: "B", Partitions: 1}, {Name: "C", Partitions: 1}, {Name: "D", Partitions: 2}}
	owned := [][]TopicPartitions{nil, {{"A", []int32{1}}, {"B", []int32{0}}, {"C", []int32{0}}, {"D", []int32{1}}}, {{"D", []int32{0}}}, nil, nil}
	members := make([]Member, len(owned))
	for i := range members {
		members[i] = Member{ID: fmt.Sprint("m", i), Subscription: CooperativeSticky{}.Subscribe(all, owned[i], 1, "")}
	}
	plan, err := CooperativeSticky{}.Assign(members, topics)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(plan[1].Partitions); got != "[{B [0]} {C [0]}]" {
		t.Errorf("of four partitions the two with the highest index go, and %s stay", got)
	}
}
