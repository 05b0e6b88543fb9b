package journal

import (
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// assignments fills in what became of the partitions and what that cost, as far as it is known by now.
func (b *building) assignments(cfg Config, inc *Incident) {
	if !b.hasAfter {
		// Before it is over the lists still tell who had what.
		if d := b.owned(); d != nil {
			seats := make(map[string]int, len(d.keys))
			for k, key := range d.keys {
				seats[key] = k
			}
			for i := range inc.Members {
				if k, ok := seats[seatKey(inc.Members[i].ID, inc.Members[i].Instance)]; ok {
					n := lengthOf(d.parts[k])
					inc.Members[i].Had = &n
				}
			}
		}
		return
	}
	if b.compared == nil || b.compared.record != b.after {
		b.compared = compare(b.before, b.hasBefore, b.after, cfg.PartitionsMax)
		if b.compared == nil {
			return
		}
		b.compared.record = b.after
		b.compared.moves.Minimum = b.compared.minimum()
	}
	c := b.compared
	moves := c.moves
	seats := map[string]int{}
	for i, m := range inc.Members {
		seats[seatKey(m.ID, m.Instance)] = i
		if m.Change == Gone || m.Change == Passed {
			continue
		}
		zero := 0
		inc.Members[i].Has = &zero
	}
	kept, gained, lost := make([][]kafka.TopicPartition, len(inc.Members)), make([][]kafka.TopicPartition, len(inc.Members)), make([][]kafka.TopicPartition, len(inc.Members))
	for _, ch := range c.changes {
		from, to := -1, -1
		if ch.from >= 0 {
			if i, ok := seats[c.before.keys[ch.from]]; ok {
				from = i
			}
		}
		if ch.to >= 0 {
			if i, ok := seats[c.after.keys[ch.to]]; ok {
				to = i
			}
		}
		switch {
		case ch.same && to >= 0:
			kept[to] = append(kept[to], ch.TopicPartition)
		default:
			if from >= 0 {
				lost[from] = append(lost[from], ch.TopicPartition)
			}
			if to >= 0 {
				gained[to] = append(gained[to], ch.TopicPartition)
			}
		}
	}
	for i := range inc.Members {
		m := &inc.Members[i]
		m.Kept, m.Gained, m.Lost = listOf(kept[i]), listOf(gained[i]), listOf(lost[i])
		had, has := len(kept[i])+len(lost[i]), len(kept[i])+len(gained[i])
		if m.Change != Joined && m.Change != Passed {
			m.Had = &had
		}
		if m.Has != nil {
			m.Has = &has
		}
	}
	b.partitions(inc, c, seats)
	for i := range inc.Partitions {
		if p := inc.Partitions[i]; p.From != "" && (p.From != p.To || !inc.Cooperative) {
			moves.Paused++
		}
	}
	inc.Moves = &moves
	inc.Cost = sum(inc.Partitions)
}

func lengthOf(parts []TopicPartitions) (n int) {
	for _, tp := range parts {
		n += len(tp.Partitions)
	}
	return n
}

// partitions lists those that changed hands or stood still, with what that cost.
func (b *building) partitions(inc *Incident, c *comparison, seats map[string]int) {
	shared := b.sharedClients(c)
	for _, ch := range c.changes {
		if ch.same && inc.Cooperative {
			continue // its owner went on reading
		}
		p := Partition{Topic: ch.Topic, Partition: ch.Partition}
		var from, to *part
		var fromWho, toWho Who
		if ch.from >= 0 {
			fromWho = c.before.who[ch.from]
			p.From = fromWho.ID
			from = b.partOf(inc, seats, c.before.keys[ch.from])
		}
		if ch.to >= 0 {
			toWho = c.after.who[ch.to]
			p.To = toWho.ID
			to = b.partOf(inc, seats, c.after.keys[ch.to])
		}
		if ch.same {
			p.From = p.To // a static member under its new id is the same owner
		}
		if ch.from >= 0 {
			b.stall(&p, from, to)
			b.measuredStall(&p, fromWho, toWho, shared)
			b.uncommitted(&p, fromWho, shared)
		}
		b.lag(&p)
		inc.Partitions = append(inc.Partitions, p)
	}
}

// partOf is the part that the holder of a seat played, nil if it is not known.
func (b *building) partOf(inc *Incident, seats map[string]int, key string) *part {
	if i, ok := seats[key]; ok {
		return b.parts[i]
	}
	return nil
}

// sharedClients are the clients that stand for more than one member, so that what they fetched is not one member's.
func (b *building) sharedClients(c *comparison) map[clientKey]bool {
	seen, shared := map[clientKey]string{}, map[clientKey]bool{}
	for _, d := range []*decoded{c.before, c.after} {
		for i, w := range d.who {
			k := clientKey{w.Client, w.Host}
			if other, ok := seen[k]; ok && other != d.keys[i] {
				shared[k] = true
			}
			seen[k] = d.keys[i]
		}
	}
	return shared
}

// stall infers for how long nobody was entitled to read the partition. Eager members give everything up before they rejoin, a cooperative one
// when it learns what it lost; who died had stopped when it was last heard of.
func (b *building) stall(p *Partition, from, to *part) {
	if from == nil || to == nil || to.synced == 0 {
		return
	}
	var stopped vtime.Instant
	switch {
	case from.left != 0:
		stopped = from.left
	case from.gone != 0:
		stopped = from.gone
		if b.wentSilent(from) {
			stopped = from.gone - vtime.Instant(from.silent)
		}
	case b.inc.Cooperative:
		stopped = b.revoked
	default:
		stopped = from.arrived
	}
	if stopped == 0 || stopped < b.began-vtime.Instant(from.silent) {
		return
	}
	if s := span(stopped, to.synced); s != nil {
		p.Stall, p.StallBasis = s, Inferred
	}
}

// wentSilent reports whether a member that is gone was given up, and did not say goodbye.
func (b *building) wentSilent(p *part) bool {
	for _, d := range b.departures {
		if d.who.ID == p.ID {
			return d.kind == SessionExpired
		}
	}
	return false
}

// measuredStall takes fetches, where they were seen, over what was inferred.
func (b *building) measuredStall(p *Partition, from, to Who, shared map[clientKey]bool) {
	old, next := clientKey{from.Client, from.Host}, clientKey{to.Client, to.Host}
	if shared[old] || shared[next] || p.To == "" {
		return
	}
	k := kafka.TopicPartition{Topic: p.Topic, Partition: p.Partition}
	last, ok := b.atJoin.fetches[fetchKey{old, k}]
	first := b.atEnd.fetches[fetchKey{next, k}]
	// Who asks is reading, whether there are records or not: a topic without records does not stand still.
	read := max(last.At, last.Fetched)
	if !ok || read == 0 || first.Next == 0 {
		return
	}
	if s := span(read, first.Next); s != nil {
		p.Stall, p.StallBasis = s, Measured
	}
}

// uncommitted is what the old owner was sent and had not committed when the partition was taken from it.
func (b *building) uncommitted(p *Partition, from Who, shared map[clientKey]bool) {
	k := kafka.TopicPartition{Topic: p.Topic, Partition: p.Partition}
	o, known := b.atJoin.offsets[k]
	if !known || o.Committed < 0 {
		return
	}
	committed := o.Committed
	p.Committed = &committed
	old := clientKey{from.Client, from.Host}
	f, ok := b.atJoin.fetches[fetchKey{old, k}]
	if !ok || shared[old] || f.Delivered <= 0 {
		return
	}
	delivered, open := f.Delivered, max(f.Delivered-committed, 0)
	p.Delivered, p.Uncommitted = &delivered, &open
}

func (b *building) lag(p *Partition) {
	k := kafka.TopicPartition{Topic: p.Topic, Partition: p.Partition}
	p.LagBefore, p.LagAfter = lagOf(b.atStart, k), lagOf(b.atEnd, k)
}

func lagOf(s seen, k kafka.TopicPartition) *int64 {
	o, ok := s.offsets[k]
	if !ok || o.Committed < 0 || o.LogEnd < 0 {
		return nil
	}
	lag := max(o.LogEnd-o.Committed, 0)
	return &lag
}

// sum adds up what the partitions cost.
func sum(partitions []Partition) *Cost {
	c := &Cost{}
	add := func(to **int64, v *int64) {
		if v == nil {
			return
		}
		if *to == nil {
			*to = new(int64)
		}
		**to += *v
	}
	for _, p := range partitions {
		if p.Stall != nil {
			c.Stalled++
			if c.StallMax == nil {
				c.StallMax, c.StallSum, c.StallBasis = new(Millis), new(Millis), Measured
			}
			*c.StallMax, *c.StallSum = max(*c.StallMax, *p.Stall), *c.StallSum+*p.Stall
			if p.StallBasis != Measured {
				c.StallBasis = Inferred
			}
		}
		add(&c.Uncommitted, p.Uncommitted)
		add(&c.LagBefore, p.LagBefore)
		add(&c.LagAfter, p.LagAfter)
	}
	if c.Uncommitted != nil {
		c.UncommittedBasis = Measured
	}
	return c
}
