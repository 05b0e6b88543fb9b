package assign

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// idOf makes ids that sort as names do, so that plans by id and by name can be laid side by side.
func idOf(name string) (id TopicID) {
	copy(id[:], name)
	return id
}

func byID(members []Member, topics []Topic) ([]GroupMember, []GroupTopic) {
	var ts []GroupTopic
	for _, t := range topics {
		ts = append(ts, GroupTopic{ID: idOf(t.Name), Partitions: t.Partitions, Racks: t.Racks})
	}
	shared := make(map[*string][]TopicID)
	var ms []GroupMember
	for _, m := range members {
		g := GroupMember{ID: m.ID, InstanceID: m.InstanceID, Rack: m.Rack}
		if len(m.Topics) > 0 {
			if g.Topics = shared[&m.Topics[0]]; len(g.Topics) != len(m.Topics) {
				g.Topics = nil
				for _, t := range m.Topics {
					g.Topics = append(g.Topics, idOf(t))
				}
				shared[&m.Topics[0]] = g.Topics
			}
		}
		for _, o := range m.Owned {
			g.Target = append(g.Target, IDPartitions{idOf(o.Topic), o.Partitions})
		}
		ms = append(ms, g)
	}
	return ms, ts
}

func byName(plan [][]IDPartitions) []Assignment {
	out := make([]Assignment, len(plan))
	for i, tps := range plan {
		for _, tp := range tps {
			out[i].Partitions = append(out[i].Partitions, TopicPartitions{strings.TrimRight(string(tp.Topic[:]), "\x00"), tp.Partitions})
		}
	}
	return out
}

func TestServerAssignorsAnswerAsTheirClientSideTwins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawn(t)
		if rapid.Bool().Draw(t, "untidy") {
			// Targets no assignor returned: contested, out of order, repeated, unknown, out of range.
			rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "untidiness"), 0))
			for i := range in.members {
				owned := slices.Clone(in.members[rng.IntN(len(in.members))].Owned)
				if rng.IntN(2) == 0 {
					owned = append(slices.Clone(in.members[i].Owned), owned...)
				}
				for k := range owned {
					ps := append(slices.Clone(owned[k].Partitions), owned[k].Partitions...)
					ps = append(ps, rng.Int32N(9)-2)
					rng.Shuffle(len(ps), func(x, y int) { ps[x], ps[y] = ps[y], ps[x] })
					owned[k].Partitions = ps
				}
				in.members[i].Owned = append(owned, TopicPartitions{"unknown", []int32{0}}, TopicPartitions{"A", nil})
			}
		}
		for _, twin := range []struct {
			server ServerAssignor
			client Assignor
			racks  bool
		}{{Uniform{}, Sticky{}, true}, {ServerRange{}, Range{}, false}} {
			in := instance{withMemory(in.members), slices.Clone(in.topics)}
			if !twin.racks {
				for i := range in.topics {
					in.topics[i].Racks = nil
				}
				for i := range in.members {
					in.members[i].Rack = ""
				}
			}
			want, err := twin.client.Assign(in.members, in.topics)
			if err != nil {
				t.Fatal(err)
			}
			members, topics := byID(in.members, in.topics)
			plan, err := twin.server.Assign(members, topics)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, byName(plan), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("%s (-client +server):\n%s\n%v", twin.server.Name(), diff, in)
			}
		}
	})
}

func TestAMemberWhoseTargetStaysKeepsTheSameMemory(t *testing.T) {
	members, topics := drawGroup(20, 200, 4, "equal")
	ms, ts := byID(members, topics)
	first, err := Uniform{}.Assign(ms[:19], ts)
	if err != nil {
		t.Fatal(err)
	}
	for i := range first {
		ms[i].Target = first[i]
	}
	again, err := Uniform{}.Assign(ms[:19], ts)
	if err != nil {
		t.Fatal(err)
	}
	joined, err := Uniform{}.Assign(ms, ts)
	if err != nil {
		t.Fatal(err)
	}
	same := 0
	for i := range first {
		if &first[i][0] != &again[i][0] {
			t.Errorf("member %d was given a copy of its own target", i)
		}
		if &first[i][0] == &joined[i][0] {
			same++
		}
	}
	if same == 0 || same == 19 {
		t.Errorf("%d of 19 targets untouched by a join", same)
	}
}

func TestServerAssignorsRefuseTopicsTheyDoNotKnow(t *testing.T) {
	for _, a := range []ServerAssignor{Uniform{}, ServerRange{}, Simple{}} {
		_, err := a.Assign([]GroupMember{{ID: "m", Topics: []TopicID{{1}}}}, []GroupTopic{{ID: TopicID{2}, Partitions: 1}})
		var unknown *UnknownTopicError
		if !errors.As(err, &unknown) || unknown.Topic != (TopicID{1}) || !strings.Contains(err.Error(), "AQAAAAAAAAAAAAAAAAAAAA") {
			t.Errorf("%s: %v", a.Name(), err)
		}
		_, err = a.Assign(nil, []GroupTopic{{ID: TopicID{2}, Partitions: 1<<31 - 1}})
		if !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", a.Name(), err)
		}
		plan, err := a.Assign([]GroupMember{{ID: "m"}, {ID: "m"}}, nil)
		if err != nil || len(plan) != 2 {
			t.Errorf("%s: %v, %v", a.Name(), plan, err)
		}
	}
}

func TestTheRepairedDefectOfUniform(t *testing.T) {
	// Kafka 3.7 to 4.0 moved A4 to a, and the only partition to a newcomer (KAFKA-18688).
	for _, row := range []struct{ topics, members, want string }{
		{"A(5)", "a={A0,A1} b={A2,A3,A4}", "a={A0,A1} b={A2,A3,A4}"},
		{"A(1)", "C1={A0} C11", "C1={A0} C11={}"},
	} {
		topics := parseTopics(row.topics)
		members := parseMembers(row.members, topics)
		ms, ts := byID(members, topics)
		plan, err := Uniform{}.Assign(ms, ts)
		if err != nil {
			t.Fatal(err)
		}
		if got := show(members, byName(plan)); got != row.want {
			t.Errorf("got %s, want %s", got, row.want)
		}
	}
}

func TestSimpleSharesPartitions(t *testing.T) {
	for _, row := range []struct{ name, topics, members, want string }{
		{"six members on three partitions: two each", "P(3)", "C1 C2 C3 C4 C5 C6", "C1={P0} C2={P0} C3={P1} C4={P1} C5={P2} C6={P2}"},
		{"two members on three partitions", "P(3)", "C1 C2", "C1={P0,P2} C2={P1}"},
		{"a fourth member, and nothing has to be given up", "P(2)", "C1={P0} C2={P1} C3 C4", "C1={P0} C2={P1} C3={P0} C4={P1}"},
		{"a member leaves", "P(3)", "C1={P0} C2={P0}", "C1={P0,P1} C2={P2}"},
		{"topics by themselves when subscriptions differ", "A(2) B(1)", "C1[A] C2[A,B] C3[B]", "C1={A0} C2={A1,B0} C3={B0}"},
		{"no partitions", "", "C1", "C1={}"},
	} {
		t.Run(row.name, func(t *testing.T) {
			topics := parseTopics(row.topics)
			members := parseMembers(row.members, topics)
			ms, ts := byID(members, topics)
			plan, err := Simple{}.Assign(ms, ts)
			if err != nil {
				t.Fatal(err)
			}
			if got := show(members, byName(plan)); got != row.want {
				t.Errorf("\n got %s\nwant %s", got, row.want)
			}
		})
	}
	topics := parseTopics("P(3)")
	ms, ts := byID(parseMembers("C1 C2 C3 C4 C5", topics), topics)
	plan, err := Simple{}.Assign(ms, ts)
	if err != nil {
		t.Fatal(err)
	}
	var loads []int
	for _, a := range byName(plan) {
		loads = append(loads, a.Len())
	}
	slices.Sort(loads)
	if !slices.Equal(loads, []int{1, 1, 1, 1, 2}) {
		t.Errorf("five members on three partitions: loads %v, want 2 1 1 1 1", loads)
	}
}

func TestSimpleServesEverybodyAndEveryPartition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawn(t)
		members, topics := byID(in.members, in.topics)
		for round := range 3 {
			plan, err := Simple{}.Assign(members, topics)
			if err != nil {
				t.Fatal(err)
			}
			readers := make(map[TopicID]int)
			for i, m := range members {
				for _, id := range m.Topics {
					readers[id]++
				}
				for _, tp := range plan[i] {
					if !slices.Contains(m.Topics, tp.Topic) {
						t.Fatalf("%s got a topic it does not read", m.ID)
					}
					if c := slices.Clone(tp.Partitions); len(slices.Compact(c)) != len(tp.Partitions) || !slices.IsSorted(tp.Partitions) {
						t.Fatalf("%s got %v", m.ID, tp.Partitions)
					}
				}
				if len(m.Topics) > 0 && len(plan[i]) == 0 && len(in.topics) == 1 {
					t.Fatalf("%s is idle\n%v", m.ID, in)
				}
			}
			for _, tp := range topics {
				for p := range tp.Partitions {
					n := 0
					for i := range plan {
						for _, e := range plan[i] {
							if e.Topic == tp.ID && slices.Contains(e.Partitions, p) {
								n++
							}
						}
					}
					if n == 0 && readers[tp.ID] > 0 {
						t.Fatalf("round %d: %s-%d has no reader\n%v\n%v", round, tp.ID, p, in, plan)
					}
				}
			}
			for i := range members {
				if round > 0 && !cmp.Equal(members[i].Target, plan[i], cmpopts.EquateEmpty()) {
					t.Fatalf("round %d changes what %s has although nothing happened\n%v", round, members[i].ID, in)
				}
				members[i].Target = plan[i]
			}
		}
	})
}

func BenchmarkServer(b *testing.B) {
	for _, shape := range []string{"equal", "buckets", "half"} {
		for _, g := range grid {
			if shape != "equal" && g.partitions == 1_000_000 {
				continue
			}
			for _, run := range []string{"full", "join"} {
				b.Run(fmt.Sprintf("%s/%dx%dx%d/uniform/%s", shape, g.members, g.partitions, g.topics, run), func(b *testing.B) {
					ms, ts := drawServerGroup(b, g.members, g.partitions, g.topics, shape, run)
					b.ReportAllocs()
					for b.Loop() {
						if _, err := (Uniform{}).Assign(ms, ts); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}

func drawServerGroup(tb testing.TB, members, partitions, topics int, shape, run string) ([]GroupMember, []GroupTopic) {
	ms, ts := byID(drawGroup(members, partitions, topics, shape))
	// Real ids are random; their order is not that of names.
	rng := rand.New(rand.NewPCG(5, 5))
	ids := make(map[TopicID]TopicID)
	for i := range ts {
		var id TopicID
		for k := range id {
			id[k] = byte(rng.Uint32())
		}
		ids[ts[i].ID], ts[i].ID = id, id
	}
	slices.SortFunc(ts, func(a, b GroupTopic) int { return slices.Compare(a.ID[:], b.ID[:]) })
	done := make(map[*TopicID]bool)
	for i := range ms {
		if list := ms[i].Topics; len(list) > 0 && !done[&list[0]] {
			done[&list[0]] = true
			for k := range list {
				list[k] = ids[list[k]]
			}
			slices.SortFunc(list, func(a, b TopicID) int { return slices.Compare(a[:], b[:]) })
		}
	}
	if run == "join" {
		plan, err := Uniform{}.Assign(ms[:members-1], ts)
		if err != nil {
			tb.Fatal(err)
		}
		for i := range plan {
			ms[i].Target = plan[i]
		}
	}
	return ms, ts
}
