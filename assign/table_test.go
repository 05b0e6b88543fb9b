package assign

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestTable prints the table of docs/assignors.md; it measures and asserts nothing, so it runs only when asked for:
//
//	BARNABAS_ASSIGN_TABLE=1 go test -count=1 -run TestTable -v ./assign
//
// A cell is the minimum, the median and the 99th percentile in milliseconds. On a machine with other work to do only the minimum says
// what the code costs.
func TestTable(t *testing.T) {
	if os.Getenv("BARNABAS_ASSIGN_TABLE") == "" {
		t.Skip("set BARNABAS_ASSIGN_TABLE=1 to measure")
	}
	fmt.Println("| subscriptions | members x partitions x topics | floor | full | one joins | one leaves | a topic grows | uniform full | uniform, one joins | allocations, MB (full) |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|---|")
	for _, shape := range []string{"equal", "buckets", "half"} {
		for _, g := range grid {
			if shape != "equal" && g.partitions == 1_000_000 {
				continue
			}
			cells := []string{shape, fmt.Sprintf("%d x %d x %d", g.members, g.partitions, g.topics)}
			owner, count, out := filled(g.partitions, none), make([]int32, g.members+1), make([]int32, g.partitions)
			fastest, _, _ := measure(func() { floor(owner, count, out) })
			cells = append(cells, ms(fastest))
			memory := ""
			for _, run := range []string{"full", "join", "leave", "grow"} {
				members, topics := drawGroup(g.members, g.partitions, g.topics, shape)
				members, topics = prepare(t, CooperativeSticky{}, run, members, topics)
				f := func() {
					if _, err := (CooperativeSticky{}).Assign(members, topics); err != nil {
						t.Fatal(err)
					}
				}
				cells = append(cells, cell(f))
				if run == "full" {
					var before, after runtime.MemStats
					runtime.ReadMemStats(&before)
					f()
					runtime.ReadMemStats(&after)
					memory = fmt.Sprintf("%d, %.2f", after.Mallocs-before.Mallocs, float64(after.TotalAlloc-before.TotalAlloc)/1e6)
				}
			}
			for _, run := range []string{"full", "join"} {
				members, topics := drawServerGroup(t, g.members, g.partitions, g.topics, shape, run)
				cells = append(cells, cell(func() {
					if _, err := (Uniform{}).Assign(members, topics); err != nil {
						t.Fatal(err)
					}
				}))
			}
			fmt.Printf("| %s | %s |\n", strings.Join(cells, " | "), memory)
		}
	}
}

// prepare makes the state before a run: full = nobody owns anything, join = all but the last are settled, leave = the first of a settled
// group is gone, grow = a topic has one partition more than when all settled.
func prepare(tb testing.TB, a Assignor, run string, members []Member, topics []Topic) ([]Member, []Topic) {
	if run == "full" {
		return members, topics
	}
	settleGroup(tb, a, members, topics)
	switch run {
	case "leave":
		members = members[1 : len(members)-1]
	case "grow":
		members = members[:len(members)-1]
		topics[0].Partitions++
	}
	return members, topics
}

func measure(f func()) (fastest, median, p99 time.Duration) {
	var took []time.Duration
	start := time.Now()
	for len(took) < 5 || len(took) < 400 && time.Since(start) < 700*time.Millisecond {
		at := time.Now()
		f()
		took = append(took, time.Since(at))
	}
	slices.Sort(took)
	return took[0], took[len(took)/2], took[len(took)*99/100]
}

func ms(d time.Duration) string { return fmt.Sprintf("%.3g", float64(d)/1e6) }

func cell(f func()) string {
	fastest, median, p99 := measure(f)
	return ms(fastest) + " / " + ms(median) + " / " + ms(p99)
}
