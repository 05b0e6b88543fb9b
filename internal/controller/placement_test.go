package controller

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/meta"
)

// brokers are numbered from 0; "!r" is fenced in rack r, "~r" draining.
func brokers(racks ...string) (out []*meta.Broker) {
	for i, r := range racks {
		b := &meta.Broker{ID: kafka.NodeID(i)}
		switch {
		case len(r) > 0 && r[0] == '!':
			b.Fenced, b.Rack = true, r[1:]
		case len(r) > 0 && r[0] == '~':
			b.Draining, b.Rack = true, r[1:]
		default:
			b.Rack = r
		}
		out = append(out, b)
	}
	return out
}

func TestPlacementByExample(t *testing.T) {
	for _, c := range []struct {
		name         string
		racks        []string
		start        uint32
		first, count int32
		factor       int
		want         string
	}{
		{"one broker", []string{""}, 7, 0, 3, 1, "[[0] [0] [0]]"},
		{"no racks: leaders take turns, followers too", []string{"", "", ""}, 0, 0, 6, 2, "[[0 1] [1 2] [2 0] [0 2] [1 0] [2 1]]"},
		{"start turns the wheel", []string{"", "", ""}, 1, 0, 2, 2, "[[1 2] [2 0]]"},
		{"later partitions go on where the first ones ended", []string{"", "", ""}, 0, 4, 2, 2, "[[1 0] [2 1]]"},
		{"three racks", []string{"a", "b", "c", "a", "b", "c"}, 0, 0, 6, 3, "[[0 1 2] [1 2 0] [2 0 1] [3 4 5] [4 5 3] [5 3 4]]"},
		{"more replicas than racks", []string{"a", "a", "b"}, 0, 0, 2, 3, "[[0 2 1] [2 0 1]]"},
		{"a fenced broker comes last in its rack and never leads", []string{"", "!", ""}, 0, 0, 2, 3, "[[0 2 1] [2 0 1]]"},
		{"a rack of fenced brokers follows but never leads", []string{"a", "!b"}, 0, 0, 2, 2, "[[0 1] [0 1]]"},
		{"a draining broker is no better", []string{"~", ""}, 0, 0, 2, 1, "[[1] [1]]"},
	} {
		got, err := place(brokers(c.racks...), c.start, c.first, c.count, c.factor)
		if err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("%s: %v %v, want %s", c.name, got, err, c.want)
		}
	}
	for _, c := range []struct {
		racks  []string
		factor int
	}{{nil, 1}, {[]string{"!"}, 1}, {[]string{"", ""}, 3}, {[]string{""}, 0}} {
		if got, err := place(brokers(c.racks...), 0, 0, 1, c.factor); err == nil {
			t.Errorf("%v, factor %d: placed %v", c.racks, c.factor, got)
		}
	}
}

func TestPlacementProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		racks := rapid.SliceOfN(rapid.SampledFrom([]string{"", "a", "b", "c", "!a", "!", "~b"}), 1, 12).Draw(rt, "racks")
		bs := brokers(racks...)
		active := 0
		distinct := map[string]bool{}
		for _, b := range bs {
			distinct[b.Rack] = true
			if b.Active() {
				active++
			}
		}
		factor := rapid.IntRange(1, len(bs)).Draw(rt, "factor")
		start := rapid.Uint32().Draw(rt, "start")
		count := rapid.Int32Range(1, 60).Draw(rt, "count")
		placed, err := place(bs, start, 0, count, factor)
		if (err != nil) != (active == 0) {
			rt.Fatal(err)
		}
		if err != nil {
			return
		}
		again, _ := place(bs, start, 0, count, factor)
		if diff := cmp.Diff(placed, again); diff != "" {
			rt.Fatalf("two answers to one question: %s", diff)
		}
		if count > 1 { // the second half alone is the second half of the whole
			half, _ := place(bs, start, count/2, count-count/2, factor)
			if diff := cmp.Diff(placed[count/2:], half); diff != "" {
				rt.Fatal(diff)
			}
		}
		leads := map[kafka.NodeID]int{}
		for p, replicas := range placed {
			if len(replicas) != factor {
				rt.Fatalf("partition %d has %v", p, replicas)
			}
			if !bs[replicas[0]].Active() {
				rt.Fatalf("partition %d is led by %d, which is not active", p, replicas[0])
			}
			leads[replicas[0]]++
			seen, in := map[kafka.NodeID]bool{}, map[string]bool{}
			for _, r := range replicas {
				if seen[r] {
					rt.Fatalf("partition %d lies twice on %d", p, r)
				}
				seen[r] = true
				in[bs[r].Rack] = true
			}
			if want := min(factor, len(distinct)); len(in) != want {
				rt.Fatalf("partition %d lies in %d racks, could be %d", p, len(in), want)
			}
		}
		// Within one rack the leaderships differ by one at most.
		for rack := range distinct {
			var n []int
			for _, b := range bs {
				if b.Rack == rack && b.Active() {
					n = append(n, leads[b.ID])
				}
			}
			if len(n) > 0 && slices.Max(n)-slices.Min(n) > 1 {
				rt.Fatalf("rack %q: leaderships %v", rack, n)
			}
		}
	})
}

func TestFollowersOfOneLeaderChange(t *testing.T) {
	placed, err := place(brokers("a", "b", "c", "a", "b", "c", "a", "b", "c"), 0, 0, 54, 3)
	if err != nil {
		t.Fatal(err)
	}
	meets := map[kafka.NodeID]bool{}
	for _, replicas := range placed {
		if replicas[0] == 0 {
			for _, r := range replicas[1:] {
				meets[r] = true
			}
		}
	}
	if len(meets) != 6 {
		t.Fatalf("broker 0 meets %v, want all of the other racks", meets)
	}
}
