package assign

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestTheSamePlansOnEveryMachine pins the plans of 3,000 small groups and of some larger ones with any past, ties included: groups whose
// leaders run on different machines, or different releases, must not see partitions move because a tie fell differently. Whoever changes
// a tie on purpose changes a number here and says why.
func TestTheSamePlansOnEveryMachine(t *testing.T) {
	h := make(map[string]uint64)
	note := func(name string, plan any, err error) {
		f := fnv.New64a()
		fmt.Fprintln(f, h[name], plan, err)
		h[name] = f.Sum64()
	}
	judge := func(in instance) {
		members, topics := byID(in.members, in.topics)
		for _, a := range []ServerAssignor{Uniform{}, ServerRange{}, Simple{}} {
			plan, err := a.Assign(members, topics)
			note("server "+a.Name(), byName(plan), err)
		}
		in.members = withMemory(in.members)
		for _, a := range []Assignor{Range{}, RoundRobin{}, Sticky{}, CooperativeSticky{}} {
			plan, err := a.Assign(in.members, in.topics)
			note(a.Name(), plan, err)
		}
		for _, a := range []Assignor{Sticky{JavaCompatible: true}, CooperativeSticky{JavaCompatible: true}} {
			plan, err := a.Assign(in.members, in.topics)
			note(a.Name()+", as Java", plan, err)
		}
	}
	for seed := range uint64(3000) {
		g := &generator{Rand: rand.New(rand.NewPCG(2026, seed)), equal: seed%2 == 0, racks: seed%8 >= 6}
		in := g.fresh()
		for range g.IntN(5) {
			g.join(&in)
		}
		switch g.IntN(5) {
		case 0:
			g.scattered(&in)
		case 1: // two members, or a member of an older generation, contradict others
			g.scattered(&in)
			i, j := g.IntN(len(in.members)), g.IntN(len(in.members))
			in.members[i].Owned = in.members[j].Owned
			in.members[j].Generation = g.Int32N(2)
		case 2, 3: // a plan of Java's sticky, so that pasts do not change with our own ties
			plan, err := (Sticky{JavaCompatible: true}).Assign(in.members, in.topics)
			if err != nil {
				t.Fatal(err)
			}
			in.settled(plan)
			for range 1 + g.IntN(3) {
				g.event(&in)
			}
		}
		g.Shuffle(len(in.members), func(i, j int) { in.members[i], in.members[j] = in.members[j], in.members[i] })
		judge(in)
	}
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(2027, seed))
		shape := []string{"equal", "buckets", "half"}[seed%3]
		members, topics := drawGroup(5+rng.IntN(60), 60+rng.IntN(1500), 5+rng.IntN(30), shape)
		for i := range topics {
			topics[i].Partitions = rng.Int32N(2*topics[i].Partitions + 1)
		}
		if seed%10 == 9 {
			withRacks(members, topics)
		}
		in := instance{members, topics}
		judge(in)
		plan, err := (RoundRobin{}).Assign(in.members, in.topics)
		if err != nil {
			t.Fatal(err)
		}
		in.settled(plan)
		for k := range 3 {
			switch rng.IntN(4) {
			case 0:
				in.members = slices.Delete(in.members, k, k+1+rng.IntN(2))
			case 1:
				in.members = append(in.members, Member{ID: fmt.Sprintf("late-%d", k), Subscription: Subscription{Topics: in.members[0].Topics, Generation: NoGeneration}})
			case 2:
				in.topics = slices.Clone(in.topics)
				in.topics[rng.IntN(len(in.topics))].Partitions += rng.Int32N(20)
			case 3: // a topic is made again, smaller
				in.topics = slices.Clone(in.topics)
				in.topics[rng.IntN(len(in.topics))].Partitions /= 2
			}
			judge(in)
		}
	}
	want := map[string]uint64{
		"cooperative-sticky":          0x957609099ace75fb,
		"cooperative-sticky, as Java": 0x6af384a506315338,
		"range":                       0x29b343b80c818d72,
		"roundrobin":                  0x19e66f2a0c415bdb,
		"server range":                0xd4fd892295d35cdd,
		"server simple":               0x7c1e7ea7cfdf24b6,
		"server uniform":              0xbc4e4c68e2fda569,
		"sticky":                      0xbbed560e0bf36b54,
		"sticky, as Java":             0x9ee9fa35efacbfae,
	}
	for name, got := range h {
		if got != want[name] {
			t.Errorf("%q: %#x", name, got)
		}
	}
}
