package assign

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestJavaCompatibleKeepsJavasAnswers: what Java was seen to answer, also where that is not the optimum. The test that asks Java itself is
// TestJavaCompatiblePlansAreThoseOfTheJavaClient; this one needs no Java.
func TestJavaCompatibleKeepsJavasAnswers(t *testing.T) {
	const ring = "r1r2|r2r3|r3r1|r1r2"
	stairs := "M1[T1] M2[T1,T2]={T1p0} M3[T2,T3]={T2p0,T2p1} M4[T3,T4]={T3p0,T3p1,T3p2} M5[T4]={T4p0,T4p1,T4p2,T4p3}"
	for _, row := range []struct {
		name, topics, members string
		racks                 []string
		want                  string // a plan, or how many partitions each member has
	}{
		{"one member idle, one with two", "A(1) B(2)", "C1[B] C2 C3[A]", nil, "C1={B0,B1} C2={A0} C3={}"},
		{"two moves where one is enough", "A(2) B(3)", "C1[B]={B0,B1,B2} C2[A]={A0,A1} C70", nil, "C1={B1,B2} C2={A1} C70={A0,B0}"},
		{"9, 10 and 11", "A(15) B(15)", "M1[A] M2 M3[B]", nil, "9 10 11"},
		{"a staircase comes back unchanged", "T1(1) T2(2) T3(3) T4(4)", stairs, nil, "0 1 2 3 4"},
		{"racks, one replica each", "A(3)", "C1@r1 C2@r2 C3@r3", []string{"r2|r3|r1"}, "C1={A2} C2={A0} C3={A1}"},
		{"racks, two topics alike", "A(4) B(4)", "C1@r1 C2@r2 C3@r3", []string{ring, ring}, "C1={A0,A3,B2} C2={A1,B0,B3} C3={A2,B1}"},
		{"racks, a topic in one rack only", "A(4) B(4)", "C1@r1 C2@r2 C3@r3", []string{ring, "r3|r3|r3|r3"}, "C1={A0,A2,B3} C2={A1,A3} C3={B0,B1,B2}"},
	} {
		t.Run(row.name, func(t *testing.T) {
			topics := parseTopics(row.topics)
			for i := range row.racks {
				topics[i].Racks = rackLists(row.racks[i])
			}
			members := parseMembers(row.members, topics)
			plan, err := Sticky{JavaCompatible: true}.Assign(members, topics)
			if err != nil {
				t.Fatal(err)
			}
			got := show(members, plan)
			if !strings.Contains(row.want, "=") {
				var loads []int
				for _, a := range plan {
					loads = append(loads, a.Len())
				}
				slices.Sort(loads)
				got = strings.Trim(fmt.Sprint(loads), "[]")
			}
			if got != row.want {
				t.Errorf("\n got %s\nwant %s", got, row.want)
			}
			in := instance{members, topics}
			if best := in.score(target(t, in)); best != in.best() {
				t.Errorf("the default mode has %+v, the optimum is %+v", best, in.best())
			}
		})
	}
}

// TestTheNewestGenerationCounts, whoever has it and in whatever order members are listed: three members claim one partition.
func TestTheNewestGenerationCounts(t *testing.T) {
	topics := parseTopics("P(3)")
	for _, generations := range [][]int32{{5, 5, 6}, {5, 6, 5}, {6, 5, 5}, {5, 6, 4}, {6, 5, 4}, {4, 5, 6}, {-1, 0, -1}} {
		members := parseMembers("C1={P0} C2={P0} C3={P0}", topics)
		newest := 0
		for i, g := range generations {
			members[i].Generation = g
			if g > generations[newest] {
				newest = i
			}
		}
		keeper := members[newest].ID
		permute(withMemory(members), func(members []Member) {
			for _, a := range []Assignor{Sticky{}, CooperativeSticky{}, Sticky{JavaCompatible: true}, CooperativeSticky{JavaCompatible: true}} {
				plan, err := a.Assign(members, topics)
				if err != nil {
					t.Fatal(err)
				}
				for i, m := range members {
					if has := strings.Contains(show(members[i:i+1], plan[i:i+1]), "P0"); has != (m.ID == keeper) {
						t.Fatalf("%s, generations %v: %s", a.Name(), generations, show(members, plan))
					}
				}
			}
		})
	}
}

// TestNothingCanBeSaved looks for a better plan than ours by the certificate, on groups with any past.
func TestNothingCanBeSaved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawn(t)
		in.members = withMemory(in.members)
		plan, err := Sticky{}.Assign(in.members, in.topics)
		if err != nil {
			t.Fatal(err)
		}
		if err := certificate(in, plan); err != nil {
			t.Fatalf("%v\n%v\n%v", err, in, plan)
		}
	})
}

// TestNothingOfTheInputIsChanged: plans may share memory with what members own, and nothing else happens to that.
func TestNothingOfTheInputIsChanged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawn(t)
		in.members = withMemory(in.members)
		before := fmt.Sprintf("%+v", in.members)
		for _, a := range Assignors() {
			plan, err := a.Assign(in.members, in.topics)
			if err != nil {
				t.Fatal(err)
			}
			// What a caller appends to one list must not show in another.
			was := fmt.Sprint(plan)
			for i := range plan {
				_ = append(plan[i].Partitions, TopicPartitions{"other", nil})
				for j := range plan[i].Partitions {
					_ = append(plan[i].Partitions[j].Partitions, 99)
				}
			}
			if fmt.Sprint(plan) != was {
				t.Fatalf("%s: lists of a plan overlap", a.Name())
			}
		}
		if after := fmt.Sprintf("%+v", in.members); after != before {
			t.Fatalf("members were changed:\n%s\n%s", before, after)
		}
	})
}
