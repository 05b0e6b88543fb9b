package assign

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// target is the plan CooperativeSticky is on its way to: what Sticky would answer to the same past.
func target(t testing.TB, in instance) []Assignment {
	t.Helper()
	members := slices.Clone(in.members)
	for i := range members {
		data, err := StickyUserData(members[i].Owned, members[i].Generation)
		if err != nil {
			t.Fatal(err)
		}
		members[i].UserData = data
	}
	plan, err := Sticky{}.Assign(members, in.topics)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// optimalRow is one way to draw groups.
type optimalRow struct {
	name             string
	seed             uint64
	equal, racks     bool
	event, scattered bool
}

var optimalRows = []optimalRow{
	{name: "equal subscriptions, fresh", seed: 1, equal: true},
	{name: "equal subscriptions, after one or two events", seed: 2, equal: true, event: true},
	{name: "equal subscriptions, from any past", seed: 3, equal: true, scattered: true},
	{name: "unequal subscriptions, fresh", seed: 4},
	{name: "unequal subscriptions, after one or two events", seed: 5, event: true},
	{name: "unequal subscriptions, from any past", seed: 6, scattered: true},
	{name: "equal subscriptions and racks, from any past", seed: 7, equal: true, racks: true, scattered: true},
	{name: "unequal subscriptions and racks, after one or two events", seed: 8, racks: true, event: true},
}

// failures is how often a plan is worse than the optimum, by the first of the three that it misses.
type failures struct{ unbalanced, missed, moved int }

// judge draws so many groups and compares our plans with the min-cost flow.
func (row optimalRow) judge(t *testing.T, count int) (f failures) {
	for i := range count {
		g := &generator{Rand: rand.New(rand.NewPCG(row.seed, uint64(i))), equal: row.equal, racks: row.racks}
		in := g.fresh()
		switch {
		case row.event:
			in.settled(target(t, in))
			for range 1 + g.IntN(2) {
				g.event(&in)
			}
		case row.scattered:
			g.scattered(&in)
		}
		plan := target(t, in)
		if err := in.valid(plan); err != nil {
			t.Fatalf("seed %d/%d: %v\n%v", row.seed, i, err, in)
		}
		got, want := in.score(plan), in.best()
		if got == want {
			continue
		}
		t.Errorf("seed %d/%d: got %+v, the optimum is %+v\n%v\nplan %v", row.seed, i, got, want, in, plan)
		switch {
		case got.square != want.square:
			f.unbalanced++
		case got.missed != want.missed:
			f.missed++
		default:
			f.moved++
		}
		if f.unbalanced+f.missed+f.moved > 3 {
			t.FailNow()
		}
	}
	return f
}

// TestNoPlanIsBetterThanOurs draws groups and compares with the min-cost flow. BARNABAS_ASSIGN_INSTANCES sets how
// many in all (2,000 without it; 20,000 are what the documentation reports).
func TestNoPlanIsBetterThanOurs(t *testing.T) {
	count := 250
	if s := os.Getenv("BARNABAS_ASSIGN_INSTANCES"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		count = max(n/len(optimalRows), 1)
	}
	for _, row := range optimalRows {
		t.Run(row.name, func(t *testing.T) {
			f := row.judge(t, count)
			t.Logf("%d groups: %d not balanced, %d with needless rack misses, %d with needless moves", count, f.unbalanced, f.missed, f.moved)
		})
	}
}

// countOurs is the table of the documentation, over 20,000 groups.
func countOurs(t *testing.T) string {
	const count = 2500
	s := fmt.Sprintf("| %d groups each | not balanced | needless rack misses | needless moves |\n|---|---|---|---|\n", count)
	for _, row := range optimalRows {
		f := row.judge(t, count)
		s += fmt.Sprintf("| %s | %d | %d | %d |\n", row.name, f.unbalanced, f.missed, f.moved)
	}
	return s
}

// countJava counts, over random groups with unequal subscriptions, how often the plans of Kafka's own assignors miss the optimum.
func countJava(t *testing.T) string {
	const count = 4000
	s := fmt.Sprintf("| Apache Kafka 4.3.1, %d groups each, unequal subscriptions | fresh: not balanced | after one event: not balanced | balanced, but with needless moves |\n|---|---|---|---|\n", count)
	for _, name := range []string{"server-uniform", "sticky"} {
		s += "| `" + strings.TrimPrefix(name, "server-") + "` |"
		for _, event := range []bool{false, true} {
			var questions bytes.Buffer
			var ins []instance
			for seed := range uint64(count) {
				g := &generator{Rand: rand.New(rand.NewPCG(123, seed))}
				in := g.fresh()
				if event {
					in.settled(target(t, in))
					g.event(&in)
				}
				in.members = withMemory(in.members)
				ins = append(ins, in)
				javaCase{assignor: name, in: in}.question(&questions)
			}
			lines := askJava(t, &questions)
			unbalanced, moved := 0, 0
			for _, in := range ins {
				if !lines.Scan() {
					t.Fatal("the Java side stopped")
				}
				switch got, want := in.score(readPlan(t, lines.Text())), in.best(); {
				case got.square != want.square:
					unbalanced++
				case got.moved != want.moved:
					moved++
				}
			}
			s += fmt.Sprintf(" %d |", unbalanced)
			if event {
				s += fmt.Sprintf(" %d |", moved)
			}
		}
		s += "\n"
	}
	return s
}

// readPlan reads "ID=A:0,B:3 ID=...", members in the order they were asked about.
func readPlan(t *testing.T, line string) []Assignment {
	var plan []Assignment
	for f := range strings.FieldsSeq(line) {
		_, list, _ := strings.Cut(f, "=")
		var a Assignment
		for one := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' }) {
			topic, index, _ := strings.Cut(one, ":")
			p, err := strconv.Atoi(index)
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			a.Partitions = append(a.Partitions, TopicPartitions{topic, []int32{int32(p)}})
		}
		plan = append(plan, a)
	}
	return plan
}
