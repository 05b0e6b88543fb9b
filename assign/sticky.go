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
	var c classic
	memories := 0
	for i := range members {
		memories += min(len(members[i].UserData), 1)
	}
	if err := c.number(members, topics, orderIDs, memories); err != nil {
		return nil, err
	}
	cl := c.claimUserData(memories)
	cl.settle()
	c.racksOfAll()
	out := make([]Assignment, len(members))
	o := c.output(out)
	if a.JavaCompatible {
		o.write(c.javaSticky(&cl))
		return out, nil
	}
	parts := c.components()
	if c.fresh(parts) {
		o.deal(parts)
		return out, nil
	}
	plan, _ := c.solve(parts, nothing)
	o.write(plan)
	return out, nil
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
	var c classic
	entries := 0
	for i := range members {
		entries += len(members[i].Owned)
	}
	if err := c.number(members, topics, orderIDs, entries); err != nil {
		return nil, err
	}
	cl := c.claimOwned(entries)
	cl.settle()
	c.racksOfAll()
	out := make([]Assignment, len(members))
	o := c.output(out)
	if a.JavaCompatible || !cl.tidy {
		owner := slices.Clone(c.owner)
		var plan []int32
		if a.JavaCompatible {
			plan = c.javaSticky(&cl)
		} else {
			plan, _ = c.solve(c.components(), nothing)
		}
		cl.withhold(plan, owner)
		o.write(plan)
		return out, nil
	}
	parts := c.components()
	switch {
	case c.fresh(parts):
		o.deal(parts)
	case c.owned == 0:
		plan, _ := c.solve(parts, nothing)
		o.write(plan)
	default:
		_, changes := c.solve(parts, losses)
		o.edit(changes, &cl,
			func(m int32, keep bool) []TopicPartitions {
				i := c.members[m]
				if keep && len(members[i].Owned) > 0 {
					out[i].Partitions = members[i].Owned
				}
				return members[i].Owned
			},
			func(e *TopicPartitions) []int32 { return e.Partitions })
	}
	return out, nil
}

// output writes plans into out, which has a place for every member of the input.
func (c *classic) output(out []Assignment) output[TopicPartitions] {
	return output[TopicPartitions]{
		problem: &c.problem,
		fill: func(list []TopicPartitions, topic, end, flat []int32) {
			known, index, from := c.known, c.topic, int32(0)
			topic, end = topic[:len(list)], end[:len(list)]
			for i := range list {
				e, to := &list[i], end[i]
				e.Topic, e.Partitions = known[index[topic[i]]].Name, flat[from:to:to]
				from = to
			}
		},
		set: func(m int32, list []TopicPartitions) { out[c.members[m]].Partitions = list },
	}
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
