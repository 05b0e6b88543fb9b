package assign

import "slices"

// Sticky is the assignor called "sticky": eager, with a memory. Members give everything up before they join and carry what they had in
// user data.
//
// Balance comes first, then rack matches where KIP-881 makes racks count, then as few moves as possible; see the package's promises.
// Contradicting memories are settled per partition: the newest generation counts, and what two members of it claim belongs to nobody.
type Sticky struct {
	// JavaCompatible gives the plan that the Java client's leader would give, ties and all: not always balanced and not always with
	// the fewest moves when subscriptions differ or racks count. Where Java's answer follows the order of a hash table, members are
	// taken by id, which is one of its possible answers.
	JavaCompatible bool
}

// Name is "sticky".
func (Sticky) Name() string { return "sticky" }

// Cooperative is false.
func (Sticky) Cooperative() bool { return false }

// Subscribe carries the memory in user data, version 1. Names too long for the wire are an empty memory here and an error in
// AppendSubscription.
func (Sticky) Subscribe(topics []string, owned []TopicPartitions, generation int32, rack string) Subscription {
	s := Subscription{Topics: topics, Generation: generation, Rack: rack}
	if len(owned) > 0 {
		s.UserData, _ = StickyUserData(owned, generation)
	}
	return s
}

// Assign returns the plan.
func (a Sticky) Assign(members []Member, topics []Topic) ([]Assignment, error) {
	c := classics.Get().(*classic)
	defer c.done()
	memories, racks := 0, false
	for i := range members {
		memories += min(len(members[i].UserData), 1)
		racks = racks || members[i].Rack != ""
	}
	if err := c.number(members, topics, false, memories); err != nil {
		return nil, err
	}
	if racks {
		c.racksOfAll()
	}
	cl := c.claimUserData(memories)
	if a.JavaCompatible {
		c.write(c.javaSticky(&cl, stickyGeneration))
		return c.out, nil
	}
	if parts := c.components(); c.owned == 0 && allEven(parts) {
		c.deal(parts)
	} else {
		c.write(c.solve(parts))
	}
	return c.out, nil
}

func stickyGeneration(s *Subscription) int32 {
	_, gen := DecodeStickyUserData(s.UserData)
	return gen
}

// CooperativeSticky is the assignor called "cooperative-sticky": the plans of Sticky, reached without anybody stopping. A partition
// that moves is held back in the first round; its owner sees it missing, commits, gives it up and rejoins, and the second round hands it
// out. Since the plan of the first round can still be reached then, and costs no move, the second round changes nothing else: two
// rounds are enough, for unequal subscriptions too.
//
//	P(8), C3 joins          round 1                       round 2
//	C1 = {0,1,2,3}          C1 = {0,1,2}  gives up 3      C1 = {0,1,2}
//	C2 = {4,5,6,7}          C2 = {4,5,6}  gives up 7      C2 = {4,5,6}
//	C3 = {}                 C3 = {}                       C3 = {3,7}
type CooperativeSticky struct {
	// JavaCompatible is as in Sticky. With unequal subscriptions more than two rounds may then be needed.
	JavaCompatible bool
}

// Name is "cooperative-sticky".
func (CooperativeSticky) Name() string { return "cooperative-sticky" }

// Cooperative is true.
func (CooperativeSticky) Cooperative() bool { return true }

// Subscribe says what is owned and since when, in the subscription and (the generation, for readers of version 1) in user data.
func (CooperativeSticky) Subscribe(topics []string, owned []TopicPartitions, generation int32, rack string) Subscription {
	return Subscription{Topics: topics, UserData: CooperativeUserData(generation), Owned: owned, Generation: generation, Rack: rack}
}

// Assign returns the plan of this round: the target, without what some other member still claims.
func (a CooperativeSticky) Assign(members []Member, topics []Topic) ([]Assignment, error) {
	c := classics.Get().(*classic)
	defer c.done()
	entries, holders, racks := 0, 0, false
	for i := range members {
		n := len(members[i].Owned)
		entries += n
		holders += min(n, 1)
		racks = racks || members[i].Rack != ""
	}
	if err := c.number(members, topics, false, entries); err != nil {
		return nil, err
	}
	if racks {
		c.racksOfAll()
	}
	if !a.JavaCompatible {
		c.best(entries, holders, true)
		return c.out, nil
	}
	cl, _ := c.claimLists(entries)
	owner := slices.Clone(c.owner)
	plan := c.javaSticky(&cl, cooperativeGeneration)
	cl.withhold(plan, owner)
	c.write(plan)
	return c.out, nil
}

// racksOfAll reads the racks of members and partitions.
func (c *classic) racksOfAll() {
	c.readRacks(
		func(m int) string { return c.input[c.members[m]].Rack },
		func(t int) [][]string { return c.known[c.topic[t]].Racks })
}

// withhold takes out of the plan every partition that goes to a member which is not its owner, while another member says to have it. It
// does not ask how old that claim is: a member that claims a partition may be reading it, and it learns from its own assignment that it
// must stop.
func (cl *claims) withhold(plan, owner []int32) {
	if owner == nil {
		return
	}
	for p, m := range plan {
		if owner[p] >= 0 && m != owner[p] {
			plan[p] = none
		}
	}
	for i := 0; i < len(cl.disputed); i += 2 {
		p, claimant := cl.disputed[i], cl.disputed[i+1]
		if m := plan[p]; m >= 0 && m != owner[p] && m != claimant {
			plan[p] = none
		}
	}
}
