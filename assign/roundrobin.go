package assign

// RoundRobin is the assignor called "roundrobin". All partitions of all topics, topics by name, go round the members (static ones
// first) one by one. The round does not start again at the next topic; a member that does not read a topic is passed over. It knows no
// racks and has no memory.
//
//	A(4) B(4), C1 C2 C3:   A0 A1 A2 A3 B0 B1 B2 B3
//	                       C1 C2 C3 C1 C2 C3 C1 C2
type RoundRobin struct{}

// Name is "roundrobin".
func (RoundRobin) Name() string { return "roundrobin" }

// Cooperative is false.
func (RoundRobin) Cooperative() bool { return false }

// Subscribe tells the topics; ownership is not used and therefore not told.
func (RoundRobin) Subscribe(topics []string, _ []TopicPartitions, generation int32, rack string) Subscription {
	return Subscription{Topics: topics, Generation: generation, Rack: rack}
}

// Assign returns the plan.
func (RoundRobin) Assign(members []Member, topics []Topic) ([]Assignment, error) {
	c := classics.Get().(*classic)
	defer c.done()
	if err := c.number(members, topics, true, 0); err != nil {
		return nil, err
	}
	if parts := c.components(); len(parts) == 1 && parts[0].even {
		c.deal(parts)
		return c.out, nil
	}
	plan := filled(c.partitions(), none)
	readers := c.readers()
	cursor := int32(0)
	n := int32(len(c.class))
	for t := range c.topics() {
		row := readers.of(t)
		if len(row) == 0 {
			continue
		}
		// The first reader at or after the cursor; from there the cursor goes from reader to reader.
		at := 0
		for lo, hi := 0, len(row); lo < hi; {
			mid := (lo + hi) / 2
			if row[mid] < cursor {
				lo = mid + 1
			} else {
				hi = mid
			}
			at = lo
		}
		for p := c.base[t]; p < c.base[t+1]; p++ {
			if at == len(row) {
				at = 0
			}
			plan[p] = row[at]
			cursor = (row[at] + 1) % n
			at++
		}
	}
	c.write(plan)
	return c.out, nil
}
