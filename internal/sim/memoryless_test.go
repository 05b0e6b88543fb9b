package sim

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// Range and round robin have no memory: what moves is a matter of where ids sort.

// Three partitions and n members: those that sort first have one each. A newcomer that sorts k-th takes the k-th partition, and every one after it
// goes to the next member, so 4-k move, or none. Over the n+1 places that is (3+2+1)/(n+1).
func TestAnIdleNewcomerMovesWhatSortsAfterIt(t *testing.T) {
	for _, assignor := range []string{"range", "roundrobin", "sticky"} {
		for _, n := range []int{6, 9} {
			t.Run(fmt.Sprint(assignor, " ", n), func(t *testing.T) {
				t.Parallel()
				sum := 0.0
				for k := 1; k <= n+1; k++ {
					name := "a" // before c1
					if k > 1 {
						name = fmt.Sprintf("c%dx", k-1) // a member's id is its name, '-' and more: it sorts after c1 and before c2
					}
					sc := scenario(t, "more-consumers-than-partitions", ideally("partition.assignment.strategy", assignor, "members.1.count", fmt.Sprint(n),
						"members.2.name", name, "events.1.member", name, "events.2.member", name)...)
					sc.Events = sc.Events[:1] // it joins, and stays
					want := 0.0
					if assignor != "sticky" {
						want = float64(max(0, 4-k))
					}
					s := sampled(t, sc, 3)
					s.always(t, "rebalances", 1)
					s.always(t, "moved", want)
					s.always(t, "moved_min", 0)
					sum += metric(t, s[0], "moved")
				}
				if mean, want := sum/float64(n+1), 6/float64(n+1); assignor != "sticky" && math.Abs(mean-want) > 1e-9 {
					t.Errorf("%v move on average, want %v", mean, want)
				}
			})
		}
	}
}

// A rolling deploy moves what it does since each member comes back to where it sorted: its id begins with its name. Worked out for range, 100
// members of 10 partitions each: without member g the first ten have 11. Of each member k before g, the first min(k, 10) go to the one before
// it; of the first ten, each after g gives 10-k to the one after it; all others stay. The same go back when g returns, and 10 more to g.
func TestRollingMovesOfRange(t *testing.T) {
	leave := 0
	for g := range 100 {
		for k := range 100 {
			switch {
			case k < g:
				leave += min(k, 10)
			case k > g:
				leave += max(0, 10-k)
			}
		}
	}
	want := float64(leave + leave + 100*10)
	if want != 89_770 || rollingMoves(rangeOwner) != want {
		t.Errorf("%v, and %v by brute force; want 89,770", want, rollingMoves(rangeOwner))
	}
	// Where the one that comes back sorts matters more than the assignor. Told by a place from 0 to 1 for each id:
	r := newRandom(1, "ids")
	anywhere := func(float64) float64 { return float64(r.below(1<<40)) / (1 << 40) }
	for _, c := range []struct {
		name        string
		shuffled    bool // restarted in an order of its own, not in that of the ids
		back        func(old float64) float64
		topics      int
		least, most float64 // of the mean
	}{
		{"in place", false, func(old float64) float64 { return old }, 1, 89_770, 89_770},
		{"in place, in any order", true, func(old float64) float64 { return old }, 1, 89_770, 89_770},
		{"at random, in any order", true, anywhere, 1, 89_000, 90_400},
		// Restarted in the order of their ids, the old ones come ever earlier among the new: member i sorts at about i*i/100 when it goes, and
		// range moves little for those that sort first. One draw of these is 64,271, or 70,830 with ten topics; it is no mean.
		{"at random, in the order of ids", false, anywhere, 1, 66_000, 67_400},
		{"at random, in the order of ids, ten topics", false, anywhere, 10, 72_500, 73_900},
		// An id that grows with time sorts last: everybody moves up for it, and it was first when it went.
		{"last", false, func(old float64) float64 { return old + 1 }, 1, 99_000, 99_000},
	} {
		runs := 100
		if c.least == c.most {
			runs = 1
		}
		var totals []float64
		for range runs {
			ids := make([]float64, 100)
			for i := range ids {
				ids[i] = float64(i) / 100
			}
			order := slices.Clone(ids)
			if c.shuffled {
				for i := len(order) - 1; i > 0; i-- {
					j := r.below(int64(i + 1))
					order[i], order[j] = order[j], order[i]
				}
			}
			moved := 0
			for _, old := range order {
				g, _ := slices.BinarySearch(ids, old)
				before := rangeOf(ids, 1000/c.topics)
				ids = slices.Delete(slices.Clone(ids), g, g+1)
				without := rangeOf(ids, 1000/c.topics)
				ids = append(ids, c.back(old))
				slices.Sort(ids)
				after := rangeOf(ids, 1000/c.topics)
				for p := range without {
					if before[p] != old && before[p] != without[p] {
						moved++
					}
					if without[p] != after[p] {
						moved++
					}
				}
			}
			totals = append(totals, float64(moved*c.topics))
		}
		if mean := Statistics(totals).Mean; mean < c.least || mean > c.most {
			t.Errorf("%s: %v on average, want %v to %v", c.name, mean, c.least, c.most)
		}
	}
}

// rangeOf is who has each partition of a topic under range.
func rangeOf(ids []float64, partitions int) (owners []float64) {
	for i, id := range ids {
		n := partitions / len(ids)
		if i < partitions%len(ids) {
			n++
		}
		owners = append(owners, slices.Repeat([]float64{id}, n)...)
	}
	return owners
}
