package assign

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestBesideJava prints our times beside those of Kafka's own assignors, on the same groups and the same machine, one after the other:
//
//	BARNABAS_ASSIGN_JAVA=1 go test -count=1 -run TestBesideJava -v ./assign
//
// Java gets three seconds per cell, so that it has compiled what it repeats. Where it would need seconds per run (cooperative-sticky with
// unequal subscriptions beyond 100 members) it is not asked.
func TestBesideJava(t *testing.T) {
	if os.Getenv("BARNABAS_ASSIGN_JAVA") == "" {
		t.Skip("set BARNABAS_ASSIGN_JAVA=1 to measure")
	}
	type row struct{ shape, size, run, ours, java, name string }
	var rows []row
	var questions bytes.Buffer
	for _, shape := range []string{"equal", "buckets", "half"} {
		for _, g := range grid {
			if g.partitions == 1_000_000 || shape == "half" && g.members > 1000 {
				continue
			}
			for _, run := range []string{"full", "join"} {
				members, topics := drawGroup(g.members, g.partitions, g.topics, shape)
				members, topics = prepare(t, CooperativeSticky{}, run, members, topics)
				in := instance{members, topics}
				size := fmt.Sprintf("%d x %d x %d", g.members, g.partitions, g.topics)
				for _, name := range []string{"cooperative-sticky", "server-uniform"} {
					if name == "cooperative-sticky" && shape != "equal" && g.members > 100 {
						continue
					}
					r := row{shape: shape, size: size, run: run, name: name}
					ms, ts := byID(members, topics)
					fastest, median, _ := measure(func() {
						var err error
						if name == "cooperative-sticky" {
							_, err = CooperativeSticky{}.Assign(members, topics)
						} else {
							_, err = Uniform{}.Assign(ms, ts)
						}
						if err != nil {
							t.Fatal(err)
						}
					})
					r.ours = ms2(fastest.Nanoseconds(), median.Nanoseconds())
					rows = append(rows, r)
					javaCase{assignor: name, in: in}.describe(&questions)
					fmt.Fprintf(&questions, "time %s 3000\n", name)
				}
			}
		}
	}
	lines := askJava(t, &questions)
	fmt.Println("| subscriptions | members x partitions x topics | run | assignor | ours | Java |")
	fmt.Println("|---|---|---|---|---|---|")
	for _, r := range rows {
		if !lines.Scan() {
			t.Fatal("the Java side stopped")
		}
		var fastest, median int64
		if _, err := fmt.Sscan(lines.Text(), &fastest, &median); err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		fmt.Printf("| %s | %s | %s | %s | %s | %s |\n", r.shape, r.size, r.run, r.name, r.ours, ms2(fastest, median))
	}
}

func ms2(fastest, median int64) string {
	return fmt.Sprintf("%.3g / %.3g", float64(fastest)/1e6, float64(median)/1e6)
}

// TestHowOftenJavaIsNotOptimal counts, over random groups with unequal subscriptions, how often Kafka's own plans miss the optimum; ours
// are judged in optimal_test.go. Run it as TestBesideJava.
func TestHowOftenJavaIsNotOptimal(t *testing.T) {
	if os.Getenv("BARNABAS_ASSIGN_JAVA") == "" {
		t.Skip("set BARNABAS_ASSIGN_JAVA=1 to count")
	}
	for _, name := range []string{"server-uniform", "sticky"} {
		for _, event := range []bool{false, true} {
			var questions bytes.Buffer
			var ins []instance
			for seed := range uint64(4000) {
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
			fmt.Printf("Java %s, after an event: %v: %d groups, %d not balanced, %d balanced with needless moves\n", name, event, len(ins), unbalanced, moved)
		}
	}
}

// readPlan reads "ID=A:0,B:3 ID=...", members in the order they were asked about.
func readPlan(t *testing.T, line string) []Assignment {
	var plan []Assignment
	for _, f := range strings.Fields(line) {
		_, list, _ := strings.Cut(f, "=")
		var a Assignment
		for _, one := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' }) {
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
