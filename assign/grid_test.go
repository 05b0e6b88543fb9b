package assign

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// The grid of Kafka's own benchmarks, cell by cell: members x partitions per member x topics, FULL (from nothing) and INCREMENTAL (all but one are
// settled, one joins). "half" is ours; the slips of the originals are mended as in measure_test.go, and every topic has a partition at least.

var (
	gridMembers   = []int{100, 500, 1000, 5000, 10_000}
	gridPerMember = []int{5, 10, 50}
	gridTopics    = []int{10, 100, 1000}
	gridShapes    = []string{"equal", "buckets", "half", "equal + racks", "buckets + racks"}
)

// gridRow is the cell of a grid as a group.
func gridRow(shape string, members, perMember, topics int) benchRow {
	each := max(members*perMember/topics, 1)
	return benchRow{shape, members, each * topics, topics}
}

// gridBench collects the cells.
type gridBench struct {
	testing.TB
	budget  time.Duration // for each run of a cell
	cells   int           // judged so far: a cell of each assignor and shape
	tables  map[string][]string
	floors  float64 // the most that a plan for equal subscriptions takes: from nothing,
	later   float64 // and after a join, in floors with memory
	allocs  uint64
	joins   float64  // the most that a join takes, as a part of a plan from nothing
	beyond  []string // cells that break a promise
	faulty  []string // plans that are not optimal
	widest  string   // where joins was found
	costly  string   // where floors was found
	joining int      // cells in which a join is the faster one
}

func (g *gridBench) cell(r benchRow) (shown [2]string) {
	full, members, topics := r.draw(g, "full")
	join, joined, joinTopics := r.draw(g, "join")
	owner := ownersOf(join)
	count, out := make([]int32, r.members+1), make([]int32, r.partitions)
	space := newFloorSpace(r.members, r.partitions)
	check := func(err error) {
		if err != nil {
			g.Fatal(err)
		}
	}
	fresh := filled(r.partitions, none)
	fs := []func(){
		func() { floor(fresh, count, out) },
		func() { floorWithMemory(owner, space) },
		func() { _, err := CooperativeSticky{}.Assign(full.members, full.topics); check(err) },
		func() { _, err := CooperativeSticky{}.Assign(join.members, join.topics); check(err) },
	}
	if members != nil {
		fs = append(fs, func() { _, err := Uniform{}.Assign(members, topics); check(err) }, func() { _, err := Uniform{}.Assign(joined, joinTopics); check(err) })
	}
	times := measureInTurn(g.budget, fs...)
	if !strings.HasPrefix(r.shape, "half") && !strings.HasSuffix(r.shape, "racks") {
		for _, in := range []instance{full, join} {
			if !loadsProve(in, target(g, in)) {
				g.faulty = append(g.faulty, r.shape+", "+r.size())
			}
		}
	}
	for i, name := range []string{"cooperative-sticky", "uniform"} {
		if 2*i+2 >= len(fs) {
			shown[i] = "-"
			continue
		}
		where := fmt.Sprintf("%s, %s, `%s`", r.shape, r.size(), name)
		fullTime, joinTime := times[2*i+2].median, times[2*i+3].median
		floors, later := float64(fullTime)/float64(times[0].median), float64(joinTime)/float64(times[1].median)
		part := float64(joinTime) / float64(fullTime)
		if r.shape == "equal" {
			for _, f := range fs[2*i+2 : 2*i+4] {
				n, _ := memory(f)
				g.allocs = max(g.allocs, n)
			}
			if floors > g.floors {
				g.floors, g.costly = floors, where
			}
			g.later = max(g.later, later)
			if floors > 10 || later > 10 {
				g.beyond = append(g.beyond, fmt.Sprintf("%s: %.1f floors from nothing, %.1f floors with memory for a join", where, floors, later))
			}
		}
		if part > g.joins {
			g.joins, g.widest = part, where
		}
		if part > 1.05 {
			g.beyond = append(g.beyond, fmt.Sprintf("%s: a join takes %s ms, a plan from nothing %s", where, millis(joinTime), millis(fullTime)))
		}
		if part < 1 {
			g.joining++
		}
		g.cells++
		shown[i] = fmt.Sprintf("%s, %.1f, %.2f", millis(fullTime), floors, part)
	}
	return shown
}

// run goes through the grid; progress is told after each row.
func (g *gridBench) run(members, perMember, topics []int, shapes []string, progress func()) {
	g.tables = make(map[string][]string)
	for _, shape := range shapes {
		for _, m := range members {
			for _, per := range perMember {
				row := []string{fmt.Sprint(m), fmt.Sprint(per)}
				for _, t := range topics {
					cell := g.cell(gridRow(shape, m, per, t))
					row = append(row, cell[0])
					if cell[1] != "-" {
						row = append(row, cell[1])
					}
				}
				g.tables[shape] = append(g.tables[shape], "| "+strings.Join(row, " | ")+" |")
				g.Log(shape, row)
				progress()
			}
		}
	}
}

func (g *gridBench) report(topics []int, shapes []string) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s.\n\nWhat the grid says, by medians, of %d cells:\n\n", machineLine(), g.cells)
	fmt.Fprintf(&s, "- Equal subscriptions: a plan from nothing takes at most %.1f floors (%s), a join at most %.1f floors with memory. At most %d allocations.\n", g.floors, g.costly, g.later, g.allocs)
	fmt.Fprintf(&s, "- A join takes at most %.2f of a plan from nothing (%s). It is the faster one in %d of %d cells.\n", g.joins, g.widest, g.joining, g.cells)
	say := func(what string, cells []string) {
		if len(cells) == 0 {
			fmt.Fprintf(&s, "- %s: none.\n", what)
			return
		}
		fmt.Fprintf(&s, "- %s:\n", what)
		for _, c := range cells {
			fmt.Fprintf(&s, "  - %s\n", c)
		}
	}
	say("Cells with more than ten floors, or with a join that takes longer than a plan from nothing by more than a twentieth", g.beyond)
	say("Plans for equal subscriptions and buckets that are not balanced, or move more than must", g.faulty)
	fmt.Fprintf(&s, "\nIn a cell: milliseconds from nothing, the same in floors, and which part of it a join takes.\n")
	for _, shape := range shapes {
		if len(g.tables[shape]) == 0 {
			continue
		}
		both := !strings.HasSuffix(shape, "racks")
		fmt.Fprintf(&s, "\n**%s**\n\n| members | partitions each |", shape)
		for _, t := range topics {
			fmt.Fprintf(&s, " %d topics, `cooperative-sticky` |", t)
			if both {
				fmt.Fprintf(&s, " %d topics, `uniform` |", t)
			}
		}
		columns := 2 + len(topics)
		if both {
			columns += len(topics)
		}
		fmt.Fprintf(&s, "\n|%s\n%s\n", strings.Repeat("---|", columns), strings.Join(g.tables[shape], "\n"))
	}
	return s.String()
}

// docs writes the grid into a document, or with none, goes through the same motions with small groups.
func (g *gridBench) docs(file string) {
	members, perMember, topics, shapes := []int{20}, []int{5}, []int{10, 200}, gridShapes
	if file != "" {
		members, perMember, topics = gridMembers, gridPerMember, gridTopics
	}
	g.run(members, perMember, topics, shapes, func() {
		if file != "" {
			writePart(g, file, "grid", g.report(topics, shapes))
		}
	})
	if len(g.faulty) > 0 {
		g.Errorf("not shown to be optimal: %v", g.faulty)
	}
	if want := len(topics) * len(perMember) * len(members) * (2*len(shapes) - 2); g.cells != want {
		g.Fatalf("%d cells, of %d", g.cells, want)
	}
	if at := slices.IndexFunc(shapes, func(shape string) bool { return len(g.tables[shape]) != len(members)*len(perMember) }); at >= 0 {
		g.Fatalf("%s has %d rows", shapes[at], len(g.tables[shapes[at]]))
	}
}

func TestDocsGrid(t *testing.T) {
	g := &gridBench{TB: t, budget: time.Millisecond}
	file := docsFile()
	if file != "" {
		g.budget = 60 * time.Millisecond
		if quick() {
			g.budget /= 10
		}
	}
	g.docs(file)
}
