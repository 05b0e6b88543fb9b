package assign

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// staircase is the group whose imbalance no single move can see: topic i has i partitions, read by members i and i+1 only, and all of
// them are with member i+1.
func staircase(n int) instance {
	var in instance
	for i := range n {
		name := fmt.Sprintf("t%05d", i)
		in.topics = append(in.topics, Topic{Name: name, Partitions: int32(i)})
		m := Member{ID: fmt.Sprintf("m%05d", i), Subscription: Subscription{Topics: []string{name}}}
		if i > 0 {
			before := in.topics[i-1].Name
			m.Topics = append(m.Topics, before)
			if i > 1 {
				m.Owned = []TopicPartitions{{before, numbers(int32(i - 1))}}
			}
		}
		in.members = append(in.members, m)
	}
	return in
}

// sparse is a group in which everybody reads three topics of very different sizes, and a few own far too much.
func sparse(n int, racks bool) instance {
	rng := rand.New(rand.NewPCG(1, 2))
	members, topics := drawGroup(n, 10*n, n/2, "equal")
	for i := range members {
		k := rng.IntN(len(topics))
		members[i].Topics = []string{topics[k].Name, topics[(k+1)%len(topics)].Name, topics[rng.IntN(len(topics))].Name}
	}
	readers := make(map[string][]int)
	for i, m := range members {
		for _, t := range m.Topics {
			readers[t] = append(readers[t], i)
		}
	}
	for i := range topics {
		t := &topics[i]
		t.Partitions = 1 + rng.Int32N(40)
		list := readers[t.Name]
		if len(list) == 0 {
			continue
		}
		hot := list[rng.IntN(len(list))]
		for p := range t.Partitions {
			m := hot
			if rng.IntN(2) == 0 {
				m = list[rng.IntN(len(list))]
			}
			members[m].Owned = append(members[m].Owned, TopicPartitions{t.Name, []int32{p}})
		}
	}
	if racks {
		withRacks(members, topics)
	}
	return instance{members, topics}
}

func TestHardGroupsHaveNothingToSave(t *testing.T) {
	for name, in := range map[string]instance{"staircase": staircase(120), "sparse": sparse(150, false), "sparse with racks": sparse(150, true)} {
		plan := target(t, in)
		if err := in.valid(plan); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := certificate(in, plan); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func BenchmarkHard(b *testing.B) {
	for _, row := range []struct {
		name string
		in   instance
	}{{"staircase of 1000", staircase(1000)}, {"sparse 3000", sparse(3000, false)}, {"sparse 3000 with racks", sparse(3000, true)}} {
		b.Run(row.name, func(b *testing.B) { benchmarkAssign(b, CooperativeSticky{}, row.in.members, row.in.topics) })
	}
}
