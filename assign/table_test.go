package assign

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"
)

// TestTable prints the table of docs/assignors.md; it measures and asserts nothing, so it runs only when asked for:
//
//	BARNABAS_ASSIGN_TABLE=1 go test -run TestTable -v ./assign
//
// Minimum and median of the runs: on a machine with other work to do only the minimum says what the code costs.
func TestTable(t *testing.T) {
	if os.Getenv("BARNABAS_ASSIGN_TABLE") == "" {
		t.Skip("set BARNABAS_ASSIGN_TABLE=1 to measure")
	}
	fmt.Println("| subscriptions | members x partitions x topics | run | min ms | median ms | p99 ms | allocations | MB |")
	fmt.Println("|---|---|---|---|---|---|---|---|")
	for _, shape := range []string{"equal", "buckets", "half"} {
		for _, g := range grid {
			if shape != "equal" && g.partitions == 1_000_000 {
				continue
			}
			for _, run := range []string{"full", "join", "leave", "grow"} {
				members, topics := drawGroup(g.members, g.partitions, g.topics, shape)
				members, topics = prepare(t, CooperativeSticky{}, run, members, topics)
				printRow(shape, fmt.Sprintf("%d x %d x %d", g.members, g.partitions, g.topics), "cooperative-sticky "+run, func() {
					if _, err := (CooperativeSticky{}).Assign(members, topics); err != nil {
						t.Fatal(err)
					}
				})
			}
			for _, run := range []string{"full", "join"} {
				ms, ts := drawServerGroup(t, g.members, g.partitions, g.topics, shape, run)
				printRow(shape, fmt.Sprintf("%d x %d x %d", g.members, g.partitions, g.topics), "uniform "+run, func() {
					if _, err := (Uniform{}).Assign(ms, ts); err != nil {
						t.Fatal(err)
					}
				})
			}
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

func printRow(shape, size, run string, f func()) {
	var took []time.Duration
	start := time.Now()
	for len(took) < 5 || len(took) < 400 && time.Since(start) < 700*time.Millisecond {
		at := time.Now()
		f()
		took = append(took, time.Since(at))
	}
	slices.Sort(took)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	ms := func(d time.Duration) string { return fmt.Sprintf("%.3g", float64(d)/1e6) }
	fmt.Printf("| %s | %s | %s | %s | %s | %s | %d | %.2f |\n", shape, size, run, ms(took[0]), ms(took[len(took)/2]), ms(took[len(took)*99/100]),
		after.Mallocs-before.Mallocs, float64(after.TotalAlloc-before.TotalAlloc)/1e6)
}
