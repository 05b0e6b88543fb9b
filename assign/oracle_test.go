package assign

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// The oracle knows nothing of the package's ways: it works on names, one node per partition, and finds the cheapest flow by
// Bellman-Ford, one partition at a time. Slow, short, and exact.

// instance is a group before an assignment: what everybody owns is in Owned, all of one generation.
type instance struct {
	members []Member
	topics  []Topic
}

type tp struct {
	topic string
	p     int32
}

func (in instance) String() string {
	s := ""
	for _, t := range in.topics {
		s += fmt.Sprintf("%s(%d) ", t.Name, t.Partitions)
		if t.Racks != nil {
			s += fmt.Sprint(t.Racks, " ")
		}
	}
	for _, m := range in.members {
		s += fmt.Sprintf("\n  %s rack=%q %v owns %v", m.ID, m.Rack, m.Topics, m.Owned)
	}
	return s
}

func (in instance) owners() map[tp]int {
	own := make(map[tp]int)
	for i, m := range in.members {
		for _, o := range m.Owned {
			if !slices.Contains(m.Topics, o.Topic) {
				continue
			}
			for _, t := range in.topics {
				for _, p := range o.Partitions {
					if t.Name == o.Topic && p < t.Partitions {
						own[tp{o.Topic, p}] = i
					}
				}
			}
		}
	}
	return own
}

// misses answers whether a partition is outside a member's rack, where racks matter at all.
func (in instance) misses() func(m int, p tp) bool {
	racks := make(map[tp]map[string]bool)
	union := make(map[string]bool)
	for _, t := range in.topics {
		read := slices.ContainsFunc(in.members, func(m Member) bool { return slices.Contains(m.Topics, t.Name) })
		for p := int32(0); p < t.Partitions && read; p++ {
			set := make(map[string]bool)
			if int(p) < len(t.Racks) {
				for _, r := range t.Racks[p] {
					if r != "" {
						set[r], union[r] = true, true
					}
				}
			}
			racks[tp{t.Name, p}] = set
		}
	}
	met, differ := false, false
	for _, m := range in.members {
		met = met || union[m.Rack]
	}
	for _, set := range racks {
		differ = differ || len(set) != len(union)
	}
	return func(m int, p tp) bool {
		rack := in.members[m].Rack
		return met && differ && rack != "" && !racks[p][rack]
	}
}

// score is what plans are judged by: first square, then missed, then moved; smaller is better.
type score struct{ square, missed, moved int }

func (in instance) score(plan []Assignment) score {
	own, misses := in.owners(), in.misses()
	var s score
	for i, a := range plan {
		s.square += a.Len() * a.Len()
		for _, t := range a.Partitions {
			for _, p := range t.Partitions {
				if misses(i, tp{t.Topic, p}) {
					s.missed++
				}
				if o, ok := own[tp{t.Topic, p}]; ok && o != i {
					s.moved++
				}
			}
		}
	}
	return s
}

// best is the optimum by min-cost flow.
func (in instance) best() score {
	own, misses := in.owners(), in.misses()
	var parts []tp
	for _, t := range in.topics {
		for p := range t.Partitions {
			parts = append(parts, tp{t.Name, p})
		}
	}
	type edge struct{ to, cap, cost int }
	var edges []edge
	M, P := len(in.members), len(parts)
	out := make([][]int, P+M+2)
	link := func(a, b, c, cost int) {
		out[a] = append(out[a], len(edges))
		edges = append(edges, edge{b, c, cost})
		out[b] = append(out[b], len(edges))
		edges = append(edges, edge{a, 0, -cost})
	}
	missCost := P + 1
	balanceCost := missCost * (P + 1)
	source, sink := P+M, P+M+1
	readable := 0
	for i, p := range parts {
		read := false
		for m, member := range in.members {
			if !slices.Contains(member.Topics, p.topic) {
				continue
			}
			read = true
			cost := 0
			if misses(m, p) {
				cost += missCost
			}
			if o, ok := own[p]; ok && o != m {
				cost++
			}
			link(i, P+m, 1, cost)
		}
		if read {
			link(source, i, 1, 0)
			readable++
		}
	}
	for m := range in.members {
		for k := 1; k <= P; k++ {
			link(P+m, sink, 1, balanceCost*(2*k-1))
		}
	}
	total := 0
	for range readable {
		dist := make([]int, P+M+2)
		via := make([]int, P+M+2)
		for i := range dist {
			dist[i], via[i] = math.MaxInt/2, -1
		}
		dist[source] = 0
		for again := true; again; {
			again = false
			for u := range dist {
				for _, e := range out[u] {
					if dist[u] < math.MaxInt/2 && edges[e].cap > 0 && dist[u]+edges[e].cost < dist[edges[e].to] {
						dist[edges[e].to], via[edges[e].to], again = dist[u]+edges[e].cost, e, true
					}
				}
			}
		}
		total += dist[sink]
		for u := sink; u != source; u = edges[via[u]^1].to {
			edges[via[u]].cap--
			edges[via[u]^1].cap++
		}
	}
	return score{total / balanceCost, total % balanceCost / missCost, total % missCost}
}

// valid checks that every partition with a reader has exactly one owner, a reader, and that lists ascend.
func (in instance) valid(plan []Assignment) error {
	if len(plan) != len(in.members) {
		return fmt.Errorf("%d assignments for %d members", len(plan), len(in.members))
	}
	got := make(map[tp]int)
	for i, a := range plan {
		if !slices.IsSortedFunc(a.Partitions, func(x, y TopicPartitions) int { return cmp.Compare(x.Topic, y.Topic) }) {
			return fmt.Errorf("topics of %s do not ascend: %v", in.members[i].ID, a.Partitions)
		}
		for _, t := range a.Partitions {
			if !slices.Contains(in.members[i].Topics, t.Topic) {
				return fmt.Errorf("%s got %v without reading it", in.members[i].ID, t)
			}
			if len(t.Partitions) == 0 || !slices.IsSorted(t.Partitions) {
				return fmt.Errorf("%s got %v: empty or out of order", in.members[i].ID, t)
			}
			for _, p := range t.Partitions {
				if o, ok := got[tp{t.Topic, p}]; ok {
					return fmt.Errorf("%s-%d goes to %s and %s", t.Topic, p, in.members[o].ID, in.members[i].ID)
				}
				got[tp{t.Topic, p}] = i
			}
		}
	}
	want := 0
	for _, t := range in.topics {
		if slices.ContainsFunc(in.members, func(m Member) bool { return slices.Contains(m.Topics, t.Name) }) {
			want += int(t.Partitions)
			for p := range t.Partitions {
				if _, ok := got[tp{t.Name, p}]; !ok {
					return fmt.Errorf("%s-%d goes to nobody", t.Name, p)
				}
			}
		}
	}
	if len(got) != want {
		return fmt.Errorf("%d partitions were assigned of %d", len(got), want)
	}
	return nil
}

// generator draws instances as small as those in which other assignors fail: 1-4 topics of 1-5 partitions, 2-5 members; and then, for those with a past, one or
// two events (a member joins or leaves, a topic grows, a member changes its subscription) on top of an assignor's own plan.
type generator struct {
	*rand.Rand
	equal bool // all members read all topics
	racks bool
	next  int // number of the next member
}

func (g *generator) topicNames(in *instance) []string {
	names := make([]string, len(in.topics))
	for i, t := range in.topics {
		names[i] = t.Name
	}
	return names
}

func (g *generator) subscription(in *instance) []string {
	names := g.topicNames(in)
	if g.equal {
		return names
	}
	var some []string
	for len(some) == 0 {
		some = some[:0]
		for _, n := range names {
			if g.IntN(2) == 0 {
				some = append(some, n)
			}
		}
	}
	return some
}

func (g *generator) join(in *instance) {
	// Ids in random order, so that a newcomer may sort anywhere.
	m := Member{ID: fmt.Sprintf("C%02d-%d", g.IntN(100), g.next)}
	g.next++
	m.Generation = 1
	m.Topics = g.subscription(in)
	if g.racks && g.IntN(5) > 0 {
		m.Rack = fmt.Sprintf("r%d", g.IntN(3))
	}
	in.members = append(in.members, m)
}

func (g *generator) grow(t *Topic, n int32) {
	t.Partitions += n
	for g.racks && int32(len(t.Racks)) < t.Partitions {
		racks := []string{fmt.Sprintf("r%d", g.IntN(3))}
		if g.IntN(2) == 0 {
			racks = append(racks, fmt.Sprintf("r%d", g.IntN(4)))
		}
		t.Racks = append(t.Racks, racks)
	}
}

func (g *generator) fresh() instance {
	var in instance
	for i := range 1 + g.IntN(4) {
		t := Topic{Name: string(rune('A' + i))}
		g.grow(&t, 1+g.Int32N(5))
		in.topics = append(in.topics, t)
	}
	for range 2 + g.IntN(4) {
		g.join(&in)
	}
	return in
}

// settled makes what a plan gives the past of the instance.
func (in *instance) settled(plan []Assignment) {
	for i := range in.members {
		in.members[i].Owned = plan[i].Partitions
	}
}

func (g *generator) event(in *instance) {
	switch k := g.IntN(4); {
	case k == 0:
		g.join(in)
	case k == 1 && len(in.members) > 1:
		i := g.IntN(len(in.members))
		in.members = slices.Delete(in.members, i, i+1)
	case k == 2:
		g.grow(&in.topics[g.IntN(len(in.topics))], 1+g.Int32N(3))
	case k == 3 && !g.equal:
		in.members[g.IntN(len(in.members))].Topics = g.subscription(in)
	}
}

// scattered gives every partition to a random reader, or to nobody: a past no assignor would leave behind.
func (g *generator) scattered(in *instance) {
	owned := make([]map[string][]int32, len(in.members))
	for _, t := range in.topics {
		for p := range t.Partitions {
			i := g.IntN(len(in.members))
			if g.IntN(4) == 0 || !slices.Contains(in.members[i].Topics, t.Name) {
				continue
			}
			if owned[i] == nil {
				owned[i] = make(map[string][]int32)
			}
			owned[i][t.Name] = append(owned[i][t.Name], p)
		}
	}
	for i := range in.members {
		in.members[i].Owned = nil
		for _, t := range g.topicNames(in) {
			if ps := owned[i][t]; ps != nil {
				in.members[i].Owned = append(in.members[i].Owned, TopicPartitions{t, ps})
			}
		}
	}
}
