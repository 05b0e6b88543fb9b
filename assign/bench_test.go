package assign

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// The grid of Kafka's own benchmarks, with their three slips mended: no cell without partitions, INCREMENTAL has a true previous state
// (members settled, then one joins), and rack cells have racks that matter. "half" is ours: everybody reads about half of the topics,
// so that nothing falls apart into pieces.
var grid = []struct{ members, partitions, topics int }{
	{10, 100, 10}, {100, 1000, 10}, {1000, 10_000, 100}, {10_000, 100_000, 10}, {10_000, 100_000, 1000}, {2000, 1_000_000, 500},
}

// drawGroup makes members and topics; shape is "equal", "buckets" or "half".
func drawGroup(members, partitions, topics int, shape string) ([]Member, []Topic) {
	ts := make([]Topic, topics)
	all := make([]string, topics)
	for i := range ts {
		all[i] = fmt.Sprintf("topic-%04d", i)
		ts[i] = Topic{Name: all[i], Partitions: int32(partitions / topics)}
	}
	rng := rand.New(rand.NewPCG(1, 1))
	ms := make([]Member, members)
	const buckets = 5
	for i := range ms {
		ms[i] = Member{ID: fmt.Sprintf("member-%05d", i), Subscription: Subscription{Generation: 1}}
		switch shape {
		case "equal":
			ms[i].Topics = all
		case "buckets":
			b := i % buckets
			ms[i].Topics = all[b*topics/buckets : (b+1)*topics/buckets]
		case "half":
			for _, t := range all {
				if rng.IntN(2) == 0 {
					ms[i].Topics = append(ms[i].Topics, t)
				}
			}
		}
	}
	return ms, ts
}

// settleGroup lets all members but the last settle, and gives them what they got.
func settleGroup(tb testing.TB, a Assignor, members []Member, topics []Topic) {
	plan, err := a.Assign(members[:len(members)-1], topics)
	if err != nil {
		tb.Fatal(err)
	}
	for i := range plan {
		members[i].Owned = plan[i].Partitions
		members[i].Subscription = a.Subscribe(members[i].Topics, plan[i].Partitions, 1, members[i].Rack)
	}
}

// floor is what any assignment has to do: look at every partition, choose a member for it, and list what each member got. It remembers
// nothing, knows no names and allocates nothing.
func floor(owner, count, out []int32) {
	members := len(count) - 1
	clear(count)
	m := int32(0)
	for p := range owner {
		owner[p] = m
		count[m+1]++
		if m++; int(m) == members {
			m = 0
		}
	}
	for i := range members {
		count[i+1] += count[i]
	}
	for p, o := range owner {
		out[count[o]] = int32(p)
		count[o]++
	}
}

// lister lists a plan as every caller must get it: a list for each member, topics by name, in memory of its own. It knows no subscriptions:
// everybody reads everything. In groups of ten this, and not the choice of members, is most of the work.
type lister struct {
	members int
	topics  []Topic
	topic   []int32 // of all partitions, laid end to end
	base    []int32 // where a topic begins
	entries int
}

func newLister(members int, topics []Topic) lister {
	l := lister{members: members, topics: topics}
	for t := range topics {
		n := int(topics[t].Partitions)
		l.base = append(l.base, int32(len(l.topic)))
		l.topic = append(l.topic, slices.Repeat([]int32{int32(t)}, n)...)
		l.entries += min(n, members)
	}
	return l
}

func (l *lister) list() []Assignment {
	out, flat, list := make([]Assignment, l.members), make([]int32, len(l.topic)), make([]TopicPartitions, l.entries)
	used, entries := 0, 0
	for m := range out {
		first, from, last := entries, used, none
		for p := m; p < len(l.topic); p += l.members {
			if t := l.topic[p]; t != last {
				if last = t; entries > first {
					list[entries-1].Partitions = flat[from:used:used]
				}
				list[entries].Topic, from = l.topics[t].Name, used
				entries++
			}
			flat[used] = int32(p) - l.base[last]
			used++
		}
		if entries > first {
			list[entries-1].Partitions = flat[from:used:used]
			out[m].Partitions = list[first:entries:entries]
		}
	}
	return out
}

// TestWhatIsListedIsAPlan: what the times are compared with is a balanced plan of everything.
func TestWhatIsListedIsAPlan(t *testing.T) {
	for _, g := range grid[:1] {
		members, topics := drawGroup(g.members, g.partitions, g.topics, "equal")
		in := instance{members, topics}
		l := newLister(len(members), topics)
		if got := in.score(l.list()); got != in.best() {
			t.Errorf("%+v: %+v, the best is %+v", g, got, in.best())
		}
	}
}

func BenchmarkFloor(b *testing.B) {
	for _, g := range grid {
		b.Run(fmt.Sprintf("%dx%dx%d", g.members, g.partitions, g.topics), func(b *testing.B) {
			owner, count, out := filled(g.partitions, none), make([]int32, g.members+1), make([]int32, g.partitions)
			b.ReportAllocs()
			for b.Loop() {
				floor(owner, count, out)
			}
		})
	}
}

func benchmarkAssign(b *testing.B, a Assignor, members []Member, topics []Topic) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Assign(members, topics); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAssign(b *testing.B) {
	for _, shape := range []string{"equal", "buckets", "half"} {
		for _, g := range grid {
			if shape != "equal" && g.partitions == 1_000_000 {
				continue
			}
			for _, run := range []string{"full", "join", "leave", "grow"} {
				for _, a := range Assignors() {
					if a.Name() == "sticky" || run != "full" && a.Name() != "cooperative-sticky" {
						continue
					}
					name := fmt.Sprintf("%s/%dx%dx%d/%s/%s", shape, g.members, g.partitions, g.topics, a.Name(), run)
					b.Run(name, func(b *testing.B) {
						members, topics := drawGroup(g.members, g.partitions, g.topics, shape)
						members, topics = prepare(b, a, run, members, topics)
						benchmarkAssign(b, a, members, topics)
					})
				}
			}
		}
	}
}

// withRacks puts members on three racks and every partition's two replicas on two of them.
func withRacks(members []Member, topics []Topic) {
	racks := []string{"r0", "r1", "r2"}
	for i := range members {
		members[i].Rack = racks[i%3]
	}
	for t := range topics {
		for p := range topics[t].Partitions {
			topics[t].Racks = append(topics[t].Racks, []string{racks[(int(p)+t)%3], racks[(int(p)+t+1)%3]})
		}
	}
}

func BenchmarkAssignWithRacks(b *testing.B) {
	for _, shape := range []string{"equal", "half"} {
		for _, a := range []Assignor{CooperativeSticky{}, Range{}} {
			for _, run := range []string{"full", "join"} {
				if run == "join" && !a.Cooperative() {
					continue
				}
				b.Run(fmt.Sprintf("%s/1000x10000x100/%s/%s", shape, a.Name(), run), func(b *testing.B) {
					members, topics := drawGroup(1000, 10_000, 100, shape)
					withRacks(members, topics)
					if run == "join" {
						settleGroup(b, a, members, topics)
					}
					benchmarkAssign(b, a, members, topics)
				})
			}
		}
	}
}
