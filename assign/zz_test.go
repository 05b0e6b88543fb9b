package assign

import (
	"fmt"
	"os"
	"testing"
	"time"
)

func TestZZ(t *testing.T) {
	if os.Getenv("ZZ") == "" {
		t.Skip()
	}
	shapes := map[string][]string{"e": {"equal"}, "b": {"buckets"}, "h": {"half"}}[os.Getenv("ZZ")]
	best := func(f func()) time.Duration {
		b := time.Hour
		start := time.Now()
		for n := 0; n < 3 || time.Since(start) < 300*time.Millisecond; n++ {
			at := time.Now()
			f()
			b = min(b, time.Since(at))
		}
		return b
	}
	for _, shape := range shapes {
		for _, g := range grid {
			if shape != "equal" && g.partitions == 1_000_000 || shape == "half" && g.members > 1000 {
				continue
			}
			owner, count, out := filled(g.partitions, none), make([]int32, g.members+1), make([]int32, g.partitions)
			fl := best(func() { floor(owner, count, out) })
			fmt.Printf("%s %dx%dx%d floor %v:", shape, g.members, g.partitions, g.topics, fl)
			for _, run := range []string{"full", "join", "leave", "grow"} {
				members, topics := drawGroup(g.members, g.partitions, g.topics, shape)
				members, topics = prepare(t, CooperativeSticky{}, run, members, topics)
				d := best(func() { CooperativeSticky{}.Assign(members, topics) })
				fmt.Printf("  %s %v %.1f", run, d, float64(d)/float64(fl))
			}
			fmt.Printf(" | uniform")
			for _, run := range []string{"full", "join"} {
				members, topics := drawServerGroup(t, g.members, g.partitions, g.topics, shape, run)
				d := best(func() { Uniform{}.Assign(members, topics) })
				fmt.Printf("  %s %v %.1f", run, d, float64(d)/float64(fl))
			}
			fmt.Println()
		}
	}
}
