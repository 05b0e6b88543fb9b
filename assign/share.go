package assign

import "slices"

// Simple is the assignor of share groups, called "simple" (KIP-932). Several members may read one partition; nobody hands anything over,
// so it only has to spread the work and to stay calm.
//
// Members with equal subscriptions: each partition is shared by s = ceil(M/P) members, which makes s*P places, and member i (by id) gets
// its even part of them, ceil(x(i+1)) - ceil(x i) with x = s*P/M. What a member had stays, up to that; partitions with too many members
// let some go; then partition by partition the empty places go round the members that lack something.
//
//	M=6 P=3: s=2, six places, one each       M=2 P=3: s=1, loads 2 and 1       M=5 P=3: s=2, loads 2 1 1 1 1
//
// Members with unequal subscriptions: the same for every topic by itself, summed.
type Simple struct{}

// Name is "simple".
func (Simple) Name() string { return "simple" }

// Assign returns the target: a partition may stand in several members' targets. Describe only topics and partitions that the share
// coordinator has initialised; others must not be handed out yet.
func (Simple) Assign(members []GroupMember, topics []GroupTopic) ([][]IDPartitions, error) {
	c := identifieds.Get().(*identified)
	defer c.done()
	if err := c.number(members, topics, false, 0); err != nil {
		return nil, err
	}
	s := sharing{problem: &c.problem, holders: make([][]int32, c.partitions())}
	bits := newTopicBits(&c.problem)
	for m, i := range c.members {
		last := none
		for _, tp := range members[i].Target {
			t := c.guess(&tp.Topic, last+1)
			last = t
			if t < 0 || !bits.has(c.class[m], t) {
				continue
			}
			for _, p := range tp.Partitions {
				if p >= 0 && p < c.base[t+1]-c.base[t] {
					h := &s.holders[c.base[t]+p]
					if n := len(*h); n == 0 || (*h)[n-1] != int32(m) {
						*h = append(*h, int32(m))
					}
				}
			}
		}
	}
	readers := c.readers()
	if len(c.classTopics) == 1 {
		s.spread(numbers(int32(len(c.members))), c.classTopics[0])
	} else {
		for t := range c.topics() {
			if c.base[t] < c.base[t+1] {
				s.spread(readers.of(t), []int32{int32(t)})
			}
		}
	}
	for t := range c.topics() {
		id := c.keys[t]
		for p := c.base[t]; p < c.base[t+1]; p++ {
			for _, m := range s.holders[p] {
				o := &c.out[c.members[m]]
				if n := len(*o); n == 0 || (*o)[n-1].Topic != id {
					*o = append(*o, IDPartitions{Topic: id})
				}
				e := &(*o)[len(*o)-1]
				e.Partitions = append(e.Partitions, p-c.base[t])
			}
		}
	}
	return c.out, nil
}

type sharing struct {
	*problem
	holders [][]int32 // partition -> members, ascending until spread adds some
}

// spread deals the partitions of topics to members, who all read them.
func (s *sharing) spread(members, topics []int32) {
	total := 0
	for _, t := range topics {
		total += int(s.base[t+1] - s.base[t])
	}
	if len(members) == 0 || total == 0 {
		return
	}
	each := (len(members) + total - 1) / total // members per partition
	places := each * total
	want := make(map[int32]int, len(members)) // member -> how many more it may hold; below 0: it must let go
	ceil := func(i int) int { return (places*i + len(members) - 1) / len(members) }
	for i, m := range members {
		want[m] = ceil(i+1) - ceil(i)
	}
	for _, t := range topics {
		for p := s.base[t]; p < s.base[t+1]; p++ {
			for _, m := range s.holders[p] {
				want[m]--
			}
		}
	}
	// Members with too many let go, then partitions with too many, the last of their members first.
	for _, t := range topics {
		for p := s.base[t]; p < s.base[t+1]; p++ {
			s.holders[p] = slices.DeleteFunc(s.holders[p], func(m int32) bool {
				over := want[m] < 0
				if over {
					want[m]++
				}
				return over
			})
		}
	}
	for _, t := range topics {
		for p := s.base[t]; p < s.base[t+1]; p++ {
			for len(s.holders[p]) > each {
				last := len(s.holders[p]) - 1
				want[s.holders[p][last]]++
				s.holders[p] = s.holders[p][:last]
			}
		}
	}
	// The empty places go round. A partition that none of those who lack something can take a second time stays short.
	var short []int32
	for _, m := range members {
		if want[m] > 0 {
			short = append(short, m)
		}
	}
	next := 0
	for _, t := range topics {
		for p := s.base[t]; p < s.base[t+1]; p++ {
			for tried := 0; len(s.holders[p]) < each && tried < len(short); {
				next %= len(short)
				m := short[next]
				if slices.Contains(s.holders[p], m) {
					next++
					tried++
					continue
				}
				s.holders[p] = append(s.holders[p], m)
				if want[m]--; want[m] == 0 {
					short = slices.Delete(short, next, next+1)
				} else {
					next++
				}
				tried = 0
			}
		}
	}
	for _, t := range topics {
		for p := s.base[t]; p < s.base[t+1]; p++ {
			slices.Sort(s.holders[p])
		}
	}
}
