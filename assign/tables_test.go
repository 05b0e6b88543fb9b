package assign

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The tables in circulation for these cases are often wrong; these were produced by running Kafka's own code. A case is written as in
// the documentation: "A(4) B(4)" are topics, "C1[A,B]={A0,A1}" is a member with its subscription (all topics when left out) and what it
// owns.

func parseTopics(s string) []Topic {
	var topics []Topic
	for _, f := range strings.Fields(s) {
		name, n, _ := strings.Cut(strings.TrimSuffix(f, ")"), "(")
		k, err := strconv.Atoi(n)
		if err != nil {
			panic(err)
		}
		topics = append(topics, Topic{Name: name, Partitions: int32(k)})
	}
	return topics
}

// parseOwned reads "A0,A1,B3"; a topic's name is everything but the digits at the end ("t0p1": topic t0, partition 1).
func parseOwned(s string) []TopicPartitions {
	var tps []TopicPartitions
	for _, f := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' }) {
		name := strings.TrimRight(f, "0123456789")
		p, err := strconv.Atoi(f[len(name):])
		if err != nil {
			panic(err)
		}
		name = strings.TrimSuffix(name, "p")
		i := slices.IndexFunc(tps, func(t TopicPartitions) bool { return t.Topic == name })
		if i < 0 {
			i = len(tps)
			tps = append(tps, TopicPartitions{Topic: name})
		}
		tps[i].Partitions = append(tps[i].Partitions, int32(p))
	}
	return tps
}

// parseMembers reads "C1 C2[A]={A0} C3@rack C4/instance C5#6": rack, instance id, generation.
func parseMembers(s string, topics []Topic) []Member {
	var members []Member
	for _, f := range strings.Fields(s) {
		m := Member{Subscription: Subscription{Generation: 5}}
		f, owned, _ := strings.Cut(f, "=")
		m.Owned = parseOwned(strings.Trim(owned, "{}"))
		f, gen, ok := strings.Cut(f, "#")
		if ok {
			g, err := strconv.Atoi(gen)
			if err != nil {
				panic(err)
			}
			m.Generation = int32(g)
		}
		f, m.Rack, _ = strings.Cut(f, "@")
		f, m.InstanceID, _ = strings.Cut(f, "/")
		f, subs, limited := strings.Cut(f, "[")
		m.ID = f
		if limited {
			m.Topics = strings.Split(strings.TrimSuffix(subs, "]"), ",")
		} else {
			for _, t := range topics {
				m.Topics = append(m.Topics, t.Name)
			}
		}
		m.UserData, _ = StickyUserData(m.Owned, m.Generation)
		members = append(members, m)
	}
	return members
}

// show writes a plan as "C1={A0,A1} C2={}".
func show(members []Member, plan []Assignment) string {
	var s []string
	for i, m := range members {
		var ps []string
		for _, t := range plan[i].Partitions {
			sep := ""
			if strings.ContainsAny(t.Topic, "0123456789") {
				sep = "p"
			}
			for _, p := range t.Partitions {
				ps = append(ps, fmt.Sprintf("%s%s%d", t.Topic, sep, p))
			}
		}
		s = append(s, fmt.Sprintf("%s={%s}", m.ID, strings.Join(ps, ",")))
	}
	return strings.Join(s, " ")
}

// tutorialCases are asked of Kafka's own client too, in java_test.go.
var tutorialCases = []struct {
	name, topics, members string
	want                  map[string]string // assignor -> plan
}{
	{"two topics of four, three consumers", "A(4) B(4)", "C1 C2 C3", map[string]string{
		"range":              "C1={A0,A1,B0,B1} C2={A2,B2} C3={A3,B3}",
		"roundrobin":         "C1={A0,A3,B2} C2={A1,B0,B3} C3={A2,B1}",
		"sticky":             "C1={A0,A3,B2} C2={A1,B0,B3} C3={A2,B1}",
		"cooperative-sticky": "C1={A0,A3,B2} C2={A1,B0,B3} C3={A2,B1}",
	}},
	{"a third consumer and a sixth partition arrive", "P(6)", "C1={P0,P1,P2} C2={P3,P4} C3", map[string]string{
		"range":              "C1={P0,P1} C2={P2,P3} C3={P4,P5}",
		"roundrobin":         "C1={P0,P3} C2={P1,P4} C3={P2,P5}",
		"sticky":             "C1={P0,P1} C2={P3,P4} C3={P2,P5}",
		"cooperative-sticky": "C1={P0,P1} C2={P3,P4} C3={P5}",
	}},
	{"its second cooperative round", "P(6)", "C1={P0,P1} C2={P3,P4} C3={P5}", map[string]string{
		"cooperative-sticky": "C1={P0,P1} C2={P3,P4} C3={P2,P5}",
	}},
	{"more consumers than partitions", "P(3)", "C1 C2 C3 C4 C5 C6", map[string]string{
		"range":              "C1={P0} C2={P1} C3={P2} C4={} C5={} C6={}",
		"roundrobin":         "C1={P0} C2={P1} C3={P2} C4={} C5={} C6={}",
		"sticky":             "C1={P0} C2={P1} C3={P2} C4={} C5={} C6={}",
		"cooperative-sticky": "C1={P0} C2={P1} C3={P2} C4={} C5={} C6={}",
	}},
	{"four topics of two", "t0(2) t1(2) t2(2) t3(2)", "C0 C1 C2", map[string]string{
		"roundrobin": "C0={t0p0,t1p1,t3p0} C1={t0p1,t2p0,t3p1} C2={t1p0,t2p1}",
		"sticky":     "C0={t0p0,t1p1,t3p0} C1={t0p1,t2p0,t3p1} C2={t1p0,t2p1}",
	}},
	{"four topics of two, and C1 left", "t0(2) t1(2) t2(2) t3(2)", "C0={t0p0,t1p1,t3p0} C2={t1p0,t2p1}", map[string]string{
		"roundrobin":         "C0={t0p0,t1p0,t2p0,t3p0} C2={t0p1,t1p1,t2p1,t3p1}",
		"sticky":             "C0={t0p0,t0p1,t1p1,t3p0} C2={t1p0,t2p0,t2p1,t3p1}",
		"cooperative-sticky": "C0={t0p0,t0p1,t1p1,t3p0} C2={t1p0,t2p0,t2p1,t3p1}",
	}},
	{"unequal subscriptions", "t0(1) t1(2) t2(3)", "C0[t0] C1[t0,t1] C2", map[string]string{
		"range":      "C0={t0p0} C1={t1p0} C2={t1p1,t2p0,t2p1,t2p2}",
		"roundrobin": "C0={t0p0} C1={t1p0} C2={t1p1,t2p0,t2p1,t2p2}",
		"sticky":     "C0={t0p0} C1={t1p0,t1p1} C2={t2p0,t2p1,t2p2}",
	}},
	{"unequal subscriptions, and C0 left", "t0(1) t1(2) t2(3)", "C1[t0,t1]={t1p0,t1p1} C2={t2p0,t2p1,t2p2}", map[string]string{
		"sticky":             "C1={t0p0,t1p0,t1p1} C2={t2p0,t2p1,t2p2}",
		"cooperative-sticky": "C1={t0p0,t1p0,t1p1} C2={t2p0,t2p1,t2p2}",
	}},
	{"static members come first, except for sticky", "A(2) B(2)", "m1/z m2/a m3", map[string]string{
		"range":      "m1={A1,B1} m2={A0,B0} m3={}",
		"roundrobin": "m1={A1} m2={A0,B1} m3={B0}",
		"sticky":     "m1={A0,B1} m2={A1} m3={B0}",
	}},
	{"twelve partitions grow to fifteen", "P(15)", "C1={P0,P1,P2,P3} C2={P4,P5,P6,P7} C3={P8,P9,P10,P11}", map[string]string{
		"range":              "C1={P0,P1,P2,P3,P4} C2={P5,P6,P7,P8,P9} C3={P10,P11,P12,P13,P14}",
		"roundrobin":         "C1={P0,P3,P6,P9,P12} C2={P1,P4,P7,P10,P13} C3={P2,P5,P8,P11,P14}",
		"sticky":             "C1={P0,P1,P2,P3,P12} C2={P4,P5,P6,P7,P13} C3={P8,P9,P10,P11,P14}",
		"cooperative-sticky": "C1={P0,P1,P2,P3,P12} C2={P4,P5,P6,P7,P13} C3={P8,P9,P10,P11,P14}",
	}},
	{"a third consumer joins, first round", "P(8)", "C1={P0,P1,P2,P3} C2={P4,P5,P6,P7} C3", map[string]string{
		"cooperative-sticky": "C1={P0,P1,P2} C2={P4,P5,P6} C3={}",
	}},
	{"a third consumer joins, second round", "P(8)", "C1={P0,P1,P2} C2={P4,P5,P6} C3", map[string]string{
		"cooperative-sticky": "C1={P0,P1,P2} C2={P4,P5,P6} C3={P3,P7}",
	}},
	{"C2 dies while C3 waits for its partitions", "P(8)", "C1={P0,P1,P2} C3", map[string]string{
		"cooperative-sticky": "C1={P0,P1,P2,P3} C3={P4,P5,P6,P7}",
	}},
	{"a topic nobody knows, a topic nobody reads, and a member without topics", "A(2) B(2)", "C1[A,Z] C2[] C3[A]", map[string]string{
		"range":              "C1={A0} C2={} C3={A1}",
		"roundrobin":         "C1={A0} C2={} C3={A1}",
		"sticky":             "C1={A0} C2={} C3={A1}",
		"cooperative-sticky": "C1={A0} C2={} C3={A1}",
	}},
}

func TestTutorialCases(t *testing.T) {
	for _, row := range tutorialCases {
		for _, a := range append(Assignors(), Sticky{JavaCompatible: true}, CooperativeSticky{JavaCompatible: true}) {
			want, ok := row.want[a.Name()]
			if !ok {
				continue
			}
			t.Run(row.name+"/"+a.Name(), func(t *testing.T) {
				topics := parseTopics(row.topics)
				members := parseMembers(row.members, topics)
				plan, err := a.Assign(members, topics)
				if err != nil {
					t.Fatal(err)
				}
				if got := show(members, plan); got != want {
					t.Errorf("\n got %s\nwant %s", got, want)
				}
			})
		}
	}
}

// rackLists reads "r2|r3|r1r2": the racks of partition 0, 1, ...
func rackLists(s string) [][]string {
	var lists [][]string
	for _, p := range strings.Split(s, "|") {
		var racks []string
		for i := 0; i+1 < len(p); i += 2 {
			racks = append(racks, p[i:i+2])
		}
		lists = append(lists, racks)
	}
	return lists
}

func TestRackCases(t *testing.T) {
	const ring = "r1r2|r2r3|r3r1|r1r2"
	for _, row := range []struct {
		name, topics, members string
		racks                 []string
		want                  map[string]string
	}{
		{"one replica each", "A(3)", "C1@r1 C2@r2 C3@r3", []string{"r2|r3|r1"}, map[string]string{
			"range": "C1={A2} C2={A0} C3={A1}", "sticky": "C1={A2} C2={A0} C3={A1}",
		}},
		{"everybody owns what lies elsewhere", "A(3)", "C1@r1={A0} C2@r2={A1} C3@r3={A2}", []string{"r2|r3|r1"}, map[string]string{
			"sticky": "C1={A2} C2={A0} C3={A1}", "cooperative-sticky": "C1={} C2={} C3={}",
		}},
		{"topics that can be joined stay together", "A(4) B(4)", "C1@r1 C2@r2 C3@r3", []string{ring, ring}, map[string]string{
			"range": "C1={A0,A2,B0,B2} C2={A1,B1} C3={A3,B3}",
		}},
		{"joining comes before racks", "A(4) B(4)", "C1@r1 C2@r2 C3@r3", []string{ring, "r3|r3|r3|r3"}, map[string]string{
			"range": "C1={A0,B0} C2={A3,B3} C3={A1,A2,B1,B2}",
		}},
		{"as many replicas as racks: racks say nothing", "A(3)", "C1@r3 C2@r2 C3@r1", []string{"r1r2r3|r1r2r3|r1r2r3"}, map[string]string{
			"range": "C1={A0} C2={A1} C3={A2}", "sticky": "C1={A0} C2={A1} C3={A2}",
		}},
		{"members in racks without replicas", "A(3)", "C1@x C2@y C3", []string{"r1|r2|r3"}, map[string]string{
			"range": "C1={A0} C2={A1} C3={A2}", "sticky": "C1={A0} C2={A1} C3={A2}",
		}},
		{"a member without a rack takes what others cannot have", "A(3)", "C1 C2@r2 C3@r3", []string{"r2|r3|r1"}, map[string]string{
			"sticky": "C1={A2} C2={A0} C3={A1}",
		}},
		{"balance comes before racks", "A(4)", "C1@r1 C2@r2", []string{"r1|r1|r1|r2"}, map[string]string{
			"range": "C1={A0,A1} C2={A2,A3}", "sticky": "C1={A0,A2} C2={A1,A3}",
		}},
	} {
		for _, a := range Assignors() {
			want, ok := row.want[a.Name()]
			if !ok {
				continue
			}
			t.Run(row.name+"/"+a.Name(), func(t *testing.T) {
				topics := parseTopics(row.topics)
				for i := range topics {
					topics[i].Racks = rackLists(row.racks[i])
				}
				members := parseMembers(row.members, topics)
				plan, err := a.Assign(members, topics)
				if err != nil {
					t.Fatal(err)
				}
				if got := show(members, plan); got != want {
					in := instance{members, topics}
					t.Errorf("\n got %s %+v\nwant %s", got, in.score(plan), want)
				}
			})
		}
	}
}

// TestCasesOthersGetWrong are the smallest cases in which Kafka's own assignors, or franz-go's, are not balanced or move too much.
func TestCasesOthersGetWrong(t *testing.T) {
	for _, row := range []struct {
		name, topics, members string
		loads                 []int
		moved                 int
	}{
		{"range puts both on one", "A(1) B(1)", "C1 C2", []int{1, 1}, 0},
		{"range moves", "A(2)", "C2={A1} C54", []int{1, 1}, 0},
		{"roundrobin puts both on one", "A(1) B(1)", "C1 C2[A]", []int{1, 1}, 0},
		{"sticky leaves one idle", "A(1) B(2)", "C1[B] C2 C3[A]", []int{1, 1, 1}, 0},
		{"sticky moves A0 and B0 where B0 is enough", "A(2) B(3)", "C1[B]={B0,B1,B2} C2[A]={A0,A1} C70", []int{2, 2, 1}, 1},
		{"uniform gives 1/3/2", "A(3) B(3)", "C1[A] C2[B] C3", []int{2, 2, 2}, 0},
		{"uniform moves three where two are enough", "A(4) B(4)", "C1={A0,A1,A2,A3} C2[B]={B0,B1,B2,B3} C32", []int{3, 3, 2}, 2},
		{"uniform tears up what is balanced", "A(5)", "a={A0,A1} b={A2,A3,A4}", []int{3, 2}, 0},
		{"uniform moves the only partition to a newcomer", "A(1)", "C1={A0} C11", []int{1, 0}, 0},
		{"sticky and uniform give 9/10/11", "A(15) B(15)", "M1[A] M2 M3[B]", []int{10, 10, 10}, 0},
		{"franz-go moves two where one is enough", "A(2) B(1)", "C1={A0} C2={B0} C3[B]", []int{1, 1, 1}, 1},
		{"staircase: everybody can pass one on to the next", "T1(1) T2(2) T3(3) T4(4) T5(5) T6(6) T7(7)",
			"M1[T1] M2[T1,T2]={T1p0} M3[T2,T3]={T2p0,T2p1} M4[T3,T4]={T3p0,T3p1,T3p2} M5[T4,T5]={T4p0,T4p1,T4p2,T4p3} " +
				"M6[T5,T6]={T5p0,T5p1,T5p2,T5p3,T5p4} M7[T6,T7]={T6p0,T6p1,T6p2,T6p3,T6p4,T6p5} M8[T7]={T7p0,T7p1,T7p2,T7p3,T7p4,T7p5,T7p6}",
			// M1 to Mk together read only T1 to Tk, so M1 can have no more than 1, M1 and M2 no more than 3, and so on.
			[]int{5, 5, 4, 4, 4, 3, 2, 1}, -1},
	} {
		t.Run(row.name, func(t *testing.T) {
			topics := parseTopics(row.topics)
			members := parseMembers(row.members, topics)
			in := instance{members, topics}
			plan := target(t, in)
			if err := in.valid(plan); err != nil {
				t.Fatal(err)
			}
			var loads []int
			for _, a := range plan {
				loads = append(loads, a.Len())
			}
			slices.Sort(loads)
			slices.Reverse(loads)
			if diff := cmp.Diff(row.loads, loads); diff != "" {
				t.Errorf("loads (-want +got):\n%s", diff)
			}
			got, want := in.score(plan), in.best()
			if got != want {
				t.Errorf("got %+v, the optimum is %+v", got, want)
			}
			if row.moved >= 0 && got.moved != row.moved {
				t.Errorf("moved %d, want %d", got.moved, row.moved)
			}
		})
	}
}

// TestContradictingClaims tries every order of the members: the newest generation counts, a tie is nobody's, and nonsense is dropped.
func TestContradictingClaims(t *testing.T) {
	for _, row := range []struct {
		name, topics, members, want string
	}{
		// Member ids do not decide: C2 has the newest claim, wherever it stands.
		{"two old claims and a newer one", "P(3)", "C1#5={P0} C2#6={P0} C3#5={P0}", "C2 keeps P0"},
		{"an old claim and a newer one", "P(3)", "C1#5={P0} C3#6={P0} C4#6={}", "C3 keeps P0"},
		{"no generation is the oldest", "P(3)", "C1#-1={P0} C3#0={P0} C4#0={}", "C3 keeps P0"},
		{"an old claim that nobody contradicts stands", "P(3)", "C1#5={P2} C2#6={P0}", "C1 keeps P2"},
		{"an index that the topic no longer has", "A(2) B(2)", "C1={A0,A5} C2={A1,B0}", "C1 keeps A0"},
		{"a topic that is gone", "A(2)", "C1={Z0,A1} C2={A0}", "C1 keeps A1"},
		{"a negative index", "A(2)", "C1={A1} C2={A0}", "C1 keeps A1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			topics := parseTopics(row.topics)
			members := parseMembers(row.members, topics)
			if row.name == "a negative index" {
				members[0].Owned[0].Partitions = append(members[0].Owned[0].Partitions, -1, 1<<30)
			}
			keeper, what, _ := strings.Cut(row.want, " keeps ")
			first := ""
			permute(members, func(members []Member) {
				plan, err := (CooperativeSticky{}).Assign(members, topics)
				if err != nil {
					t.Fatal(err)
				}
				got := show(members, plan)
				i := slices.IndexFunc(members, func(m Member) bool { return m.ID == keeper })
				if !strings.Contains(show(members[i:i+1], plan[i:i+1]), what) {
					t.Errorf("%s: %s does not keep %s", got, keeper, what)
				}
				sortedPlan := strings.Fields(got)
				slices.Sort(sortedPlan)
				if s := strings.Join(sortedPlan, " "); first == "" {
					first = s
				} else if s != first {
					t.Errorf("order matters:\n%s\n%s", first, s)
				}
				// What two members claim at once is given to neither before both have let go.
				rounds(t, members, topics, CooperativeSticky{}, 2)
			})
		})
	}
}

func TestWhatTwoOfOneGenerationClaimIsHeldBack(t *testing.T) {
	topics := parseTopics("P(3)")
	members := parseMembers("C1#5={P0,P1} C2#5={P0,P2}", topics)
	plan, err := CooperativeSticky{}.Assign(members, topics)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := show(members, plan), "C1={P1} C2={P2}"; got != want {
		t.Errorf("got %s, want %s: P0 is still read by both", got, want)
	}
}

func TestAMemberListedTwiceCountsOnce(t *testing.T) {
	topics := parseTopics("P(4)")
	members := parseMembers("C1 C2 C1", topics)
	for _, a := range Assignors() {
		plan, err := a.Assign(members, topics)
		if err != nil {
			t.Fatal(err)
		}
		if plan[0].Len() != 2 || plan[1].Len() != 2 || plan[2].Len() != 0 {
			t.Errorf("%s: %s", a.Name(), show(members, plan))
		}
	}
}

func TestTooManyPartitionsAreRefused(t *testing.T) {
	topics := []Topic{{Name: "a", Partitions: 1 << 30}, {Name: "b", Partitions: 1 << 30}, {Name: "c", Partitions: 1 << 30}}
	for _, a := range Assignors() {
		if _, err := a.Assign(parseMembers("C1", topics), topics); err != ErrTooLarge {
			t.Errorf("%s: %v", a.Name(), err)
		}
	}
}

func permute(members []Member, visit func([]Member)) {
	var walk func(k int)
	m := slices.Clone(members)
	walk = func(k int) {
		if k == len(m) {
			visit(slices.Clone(m))
			return
		}
		for i := k; i < len(m); i++ {
			m[k], m[i] = m[i], m[k]
			walk(k + 1)
			m[k], m[i] = m[i], m[k]
		}
	}
	walk(0)
}

// rounds plays a cooperative group until nobody gives anything up, and fails when that takes more than limit rounds, when somebody gets
// what another member still claims, or when the last plan is not valid.
func rounds(t rapid.TB, members []Member, topics []Topic, a Assignor, limit int) []Assignment {
	t.Helper()
	members = slices.Clone(members)
	for round := 1; ; round++ {
		plan, err := a.Assign(members, topics)
		if err != nil {
			t.Fatal(err)
		}
		claimed := make(map[tp][]int)
		for i, m := range members {
			for _, o := range m.Owned {
				for _, p := range o.Partitions {
					claimed[tp{o.Topic, p}] = append(claimed[tp{o.Topic, p}], i)
				}
			}
		}
		newest := make(map[tp]int32)
		for p, ms := range claimed {
			newest[p] = -2
			for _, i := range ms {
				newest[p] = max(newest[p], members[i].Generation)
			}
		}
		revoked := false
		for i := range members {
			has := make(map[tp]bool)
			for _, e := range plan[i].Partitions {
				for _, p := range e.Partitions {
					has[tp{e.Topic, p}] = true
					for _, j := range claimed[tp{e.Topic, p}] {
						keeps := slices.Contains(claimed[tp{e.Topic, p}], i) && members[i].Generation == newest[tp{e.Topic, p}] && members[j].Generation < members[i].Generation
						if j != i && !keeps {
							t.Fatalf("round %d gives %s-%d to %s while %s claims it", round, e.Topic, p, members[i].ID, members[j].ID)
						}
					}
				}
			}
			for p, ms := range claimed {
				if slices.Contains(ms, i) && !has[p] {
					revoked = true
				}
			}
		}
		for i := range members {
			members[i].Owned = plan[i].Partitions
			members[i].Generation = 100 + int32(round)
		}
		if !revoked {
			if err := (instance{members, topics}).valid(plan); err != nil {
				t.Fatalf("after round %d: %v", round, err)
			}
			return plan
		}
		if round == limit {
			t.Fatalf("round %d still takes something away; at most %d rounds are needed", round, limit)
		}
	}
}
