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

// floor is what any assignment from nothing has to do: look at every partition, choose a member for it, and list what each member got. It
// remembers nothing, knows no names and allocates nothing.
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

// floorWithMemory is what any assignment has to do that knows who had what (partition -> member, or none), and moves as little as can be: count
// what each has, let each keep up to its share, give the rest to those who lack something, and list what each has then. It goes over the
// partitions twice, knows no names and no subscriptions, is told no lies, and allocates nothing.
//
//	owner in     0 0 0 0 1 1 1 -      0 = {0,1,2,3}  1 = {4,5,6}  2 = {}
//	lists out    0 1 2 | 4 5 6 | 3 7  shares of 3, 3 and 2
func floorWithMemory(owner []int32, f *floorSpace) {
	// Member m is at m+1, and none at 0: nothing has to be asked for it then.
	shares := f.shares
	clear(shares)
	for _, o := range owner {
		shares[o+1].count++
	}
	members := int32(len(shares) - 1)
	q, more := int32(len(owner))/members, int32(len(owner))%members
	for i := 1; i < len(shares) && more > 0; i++ {
		if s := &shares[i]; s.count > q {
			s.more = 1
			more--
		}
	}
	begin, takers := int32(0), f.takers[:0]
	for i := 1; i < len(shares); i++ {
		s := &shares[i]
		if more > 0 && s.more == 0 {
			s.more = 1
			more--
		}
		share := q + s.more
		f.begin[i-1] = begin
		s.at, s.full = begin, begin+min(s.count, share)
		for at := s.at + s.count; at < begin+share; at++ {
			takers = append(takers, at)
		}
		begin += share
	}
	f.begin[members] = begin
	out, next := f.out[:len(owner)], 0
	for p, o := range owner {
		s := &shares[o+1]
		at := s.at
		if at < s.full {
			s.at++
		} else {
			at = takers[next]
			next++
		}
		out[at] = int32(p)
	}
}

// floorSpace is the memory of floorWithMemory. Member m's list is out[begin[m]:begin[m+1]].
type floorSpace struct {
	shares             []floorShare
	takers, out, begin []int32
}

type floorShare struct{ count, more, at, full int32 }

func newFloorSpace(members, partitions int) *floorSpace {
	return &floorSpace{make([]floorShare, members+1), make([]int32, partitions), make([]int32, partitions), make([]int32, members+1)}
}

// ownersOf lays out what the members of a group have as floorWithMemory wants it.
func ownersOf(in instance) []int32 {
	base, total := make(map[string]int32), int32(0)
	for _, t := range in.topics {
		base[t.Name] = total
		total += t.Partitions
	}
	owner := filled(int(total), none)
	for m, member := range in.members {
		for _, e := range member.Owned {
			for _, p := range e.Partitions {
				owner[base[e.Topic]+p] = int32(m)
			}
		}
	}
	return owner
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

// TestTheFloorWithMemoryIsAPlan: and so is what runs with a memory are compared with, and it moves no more than must move.
func TestTheFloorWithMemoryIsAPlan(t *testing.T) {
	for _, g := range []struct{ members, partitions, topics int }{grid[0], {7, 60, 5}, {3, 4, 2}} {
		for _, run := range []string{"full", "join", "leave", "grow"} {
			members, topics := drawGroup(g.members, g.partitions, g.topics, "equal")
			members, topics = prepare(t, CooperativeSticky{}, run, members, topics)
			in := instance{members, topics}
			owner := ownersOf(in)
			f := newFloorSpace(len(members), len(owner))
			floorWithMemory(owner, f)
			plan := make([]Assignment, len(members))
			for m := range plan {
				for _, p := range f.out[f.begin[m]:f.begin[m+1]] {
					at := 0
					for ; p >= topics[at].Partitions; at++ {
						p -= topics[at].Partitions
					}
					plan[m].Partitions = append(plan[m].Partitions, TopicPartitions{topics[at].Name, []int32{p}})
				}
			}
			if got := in.score(plan); got != in.best() {
				t.Errorf("%+v, %s: %+v, the best is %+v", g, run, got, in.best())
			}
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

func BenchmarkFloorWithMemory(b *testing.B) {
	for _, g := range grid {
		for _, run := range []string{"join", "leave", "grow"} {
			b.Run(fmt.Sprintf("%dx%dx%d/%s", g.members, g.partitions, g.topics, run), func(b *testing.B) {
				members, topics := drawGroup(g.members, g.partitions, g.topics, "equal")
				members, topics = prepare(b, CooperativeSticky{}, run, members, topics)
				owner := ownersOf(instance{members, topics})
				space := newFloorSpace(len(members), len(owner))
				b.ReportAllocs()
				for b.Loop() {
					floorWithMemory(owner, space)
				}
			})
		}
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
