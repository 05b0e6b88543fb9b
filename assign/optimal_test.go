package assign

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
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

// TestNoPlanIsBetterThanOurs draws groups as the reference does and compares with the min-cost flow. BARNABAS_ASSIGN_INSTANCES sets how
// many per row (2,000 in all without it; 20,000 are what the documentation reports).
func TestNoPlanIsBetterThanOurs(t *testing.T) {
	count := 250
	if s := os.Getenv("BARNABAS_ASSIGN_INSTANCES"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		count = max(n/8, 1)
	}
	for _, row := range []struct {
		name             string
		seed             uint64
		equal, racks     bool
		event, scattered bool
	}{
		{name: "equal subscriptions, fresh", seed: 1, equal: true},
		{name: "equal subscriptions, after one or two events", seed: 2, equal: true, event: true},
		{name: "equal subscriptions, from any past", seed: 3, equal: true, scattered: true},
		{name: "unequal subscriptions, fresh", seed: 4},
		{name: "unequal subscriptions, after one or two events", seed: 5, event: true},
		{name: "unequal subscriptions, from any past", seed: 6, scattered: true},
		{name: "equal subscriptions and racks, from any past", seed: 7, equal: true, racks: true, scattered: true},
		{name: "unequal subscriptions and racks, after one or two events", seed: 8, racks: true, event: true},
	} {
		t.Run(row.name, func(t *testing.T) {
			var unbalanced, missed, moved int
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
					unbalanced++
				case got.missed != want.missed:
					missed++
				default:
					moved++
				}
				if unbalanced+missed+moved > 3 {
					t.FailNow()
				}
			}
			t.Logf("%d instances: %d not balanced, %d with needless rack misses, %d with needless moves", count, unbalanced, missed, moved)
		})
	}
}
