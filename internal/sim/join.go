package sim

import (
	"cmp"
	"slices"
	"time"

	"github.com/barnabas-mq/barnabas/assign"
	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/group"
	"github.com/barnabas-mq/barnabas/internal/coord/offset"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// A member's way through a rebalance: commit, give up, join, sync, take.

// prepare is what a member does before it joins again: it says how far it came, and an eager one gives everything up.
func (m *member) prepare() {
	ready := func() {
		if !m.cooperative() {
			m.dropAll()
			if !m.w.happens(m, "revokes") {
				return
			}
		}
		m.join()
		if m.cooperative() {
			m.step()
		}
	}
	if m.fenced || !m.uncommitted(nil) {
		ready()
		return
	}
	m.block()
	began, attempt := m.w.now, m.attempt
	var try func()
	try = func() {
		m.commit(nil, func(_ kafka.ErrorCode, ok bool) {
			if !ok && m.w.now.Since(began) < time.Duration(m.cfg.MaxPollInterval) && m.attempt == attempt {
				m.later(m.backoff(), try)
				return
			}
			m.blocked = false
			if m.attempt == attempt && m.phase == joined && !m.lost && m.fatal == "" {
				m.progress()
				ready()
			} else {
				m.step()
			}
		})
	}
	try()
}

// later runs something in this life of the member.
func (m *member) later(d time.Duration, run func()) {
	life := m.life
	m.w.push(event{at: m.w.now.Add(d), m: m, run: func() {
		if m.life == life {
			run()
		}
	}})
}

// join sends a JoinGroup.
func (m *member) join() {
	m.phase, m.rejoin, m.leader = joining, false, false
	m.attempt++
	if m.cfg.Client != "librdkafka" { // its beat goes on
		m.disarm(beat)
	}
	owned, from := m.memory, m.memoryFrom
	if m.cooperative() {
		owned = m.holding()
	}
	protocols := make([]group.Protocol, len(m.assignors))
	for i, a := range m.assignors {
		sub := a.Subscribe(m.topics, owned, from, "")
		blob, err := assign.AppendSubscription(nil, sub, assign.SubscriptionVersion)
		if err != nil {
			m.w.fail(err)
			return
		}
		protocols[i] = group.Protocol{Name: a.Name(), Metadata: blob}
	}
	version, rebalance, software := int16(9), time.Duration(m.cfg.MaxPollInterval), "apache-kafka-java"
	switch m.cfg.Client {
	case "librdkafka":
		version, software = 5, "librdkafka"
	case pollHeartbeat:
		version, rebalance, software = 0, -1, ""
	}
	reason := m.reason
	m.reason = ""
	if version < 8 {
		reason = ""
	}
	id, fresh, attempt := m.id, m.rng.hex(8), m.attempt
	timeout := max(time.Duration(m.cfg.RequestTimeout), time.Duration(m.cfg.MaxPollInterval)+5*time.Second)
	m.ask(apiJoin, timeout, func(r coord.ReplyID) coord.Event {
		return &group.JoinRequest{Reply: r, Version: version, Group: groupID, Member: id, Instance: m.instance(), Client: m.name, Host: "/" + m.process, Software: software,
			FreshID: fresh, ProtocolType: "consumer", Protocols: protocols, SessionTimeout: time.Duration(m.cfg.SessionTimeout), RebalanceTimeout: rebalance, Reason: reason}
	}, func(body any) {
		if m.attempt == attempt {
			m.joinAnswered(body)
		}
		m.step()
	})
	m.w.happens(m, "joins")
}

func (m *member) joinAnswered(body any) {
	r, ok := body.(group.JoinReply)
	if !ok {
		m.phase = out
		m.notBefore = m.w.now.Add(m.backoff())
		return
	}
	switch r.Code {
	case kafka.None:
	case kafka.MemberIDRequired:
		m.id, m.phase = r.Member, out
		return
	case kafka.RebalanceInProgress:
		m.phase = out
		m.notBefore = m.w.now.Add(time.Duration(m.cfg.RetryBackoff))
		return
	case kafka.UnknownMemberID:
		m.forget("")
		return
	default:
		m.fatal = r.Code.String()
		m.dropAll()
		return
	}
	m.id, m.generation, m.protocol, m.phase = r.Member, r.Generation, r.Protocol, syncing
	m.restartBeat()
	m.leader = r.Leader == m.id
	if !m.leader || r.SkipAssignment {
		m.planned = m.w.version
		m.sync(nil)
		return
	}
	if d := time.Duration(m.cfg.AssignTime); d > 0 {
		attempt := m.attempt
		m.later(d, func() {
			if m.attempt == attempt && m.phase == syncing {
				m.lead(r)
			}
		})
		return
	}
	m.lead(r)
}

// lead computes who gets what, with the real assignor, and hands it in.
func (m *member) lead(r group.JoinReply) {
	i := slices.IndexFunc(m.assignors, func(a assign.Assignor) bool { return a.Name() == r.Protocol })
	if i < 0 {
		m.fatal = "the group's protocol is not one of its own"
		return
	}
	var names assign.Interner
	pl := &plan{generation: r.Generation, members: make([]assign.Member, len(r.Members)), seats: make([]string, len(r.Members))}
	for k, o := range r.Members {
		sub, err := names.DecodeSubscription(o.Metadata)
		if err != nil {
			m.w.fail(err)
			return
		}
		pl.members[k] = assign.Member{ID: o.ID, InstanceID: o.Instance, Subscription: sub}
		pl.seats[k] = cmp.Or(o.Instance, o.ID)
	}
	m.planned, m.refreshed = m.w.version, m.w.now // a leader asks for fresh metadata first
	var err error
	if pl.given, err = m.assignors[i].Assign(pl.members, m.w.known()); err != nil {
		m.w.fail(err)
		return
	}
	assignments := make([]group.Assignment, len(pl.given))
	for k, a := range pl.given {
		blob, err := assign.AppendAssignment(nil, a, assign.AssignmentVersion)
		if err != nil {
			m.w.fail(err)
			return
		}
		assignments[k] = group.Assignment{Member: pl.members[k].ID, Bytes: blob}
	}
	m.w.plan = pl
	m.sync(assignments)
}

func (m *member) sync(assignments []group.Assignment) {
	attempt, generation, id, protocol := m.attempt, m.generation, m.id, m.protocol
	version, kind := int16(5), "consumer"
	if m.cfg.Client == pollHeartbeat {
		version = 0
	}
	m.ask(apiSync, max(time.Duration(m.cfg.RequestTimeout), time.Duration(m.cfg.MaxPollInterval)), func(r coord.ReplyID) coord.Event {
		q := &group.SyncRequest{Reply: r, Version: version, Group: groupID, Generation: generation, Member: id, Instance: m.instance(), Assignments: assignments}
		if version >= 5 {
			q.ProtocolType, q.Protocol = &kind, &protocol
		}
		return q
	}, func(body any) {
		if m.attempt == attempt && m.phase == syncing {
			m.syncAnswered(body)
		}
		m.step()
	})
}

func (m *member) syncAnswered(body any) {
	r, ok := body.(group.SyncReply)
	if !ok {
		m.phase = out
		m.notBefore = m.w.now.Add(m.backoff())
		return
	}
	switch r.Code {
	case kafka.None:
		a, err := assign.DecodeAssignment(r.Assignment)
		if err != nil {
			m.w.fail(err)
			return
		}
		m.phase, m.answered, m.answer = joined, true, m.answer[:0]
		for _, tp := range a.Partitions {
			for _, n := range tp.Partitions {
				if p := m.w.partition(tp.Topic, n); p != nil {
					m.answer = append(m.answer, p)
				}
			}
		}
		m.memory, m.memoryFrom = a.Partitions, m.generation
	case kafka.RebalanceInProgress:
		m.phase, m.rejoin, m.reason = joined, true, "group is already rebalancing"
	case kafka.IllegalGeneration:
		m.forget(m.id)
	case kafka.UnknownMemberID:
		m.forget("")
	default:
		m.fatal = r.Code.String()
		m.dropAll()
	}
}

// take is the application thread getting its assignment: what is missing is revoked, what is new is read from where it was committed.
func (m *member) take(assigned []*partition) {
	keep := make(map[*partition]bool, len(assigned))
	for _, p := range assigned {
		keep[p] = true
	}
	gone := map[*partition]bool{}
	for _, h := range m.holds {
		if !keep[h.p] {
			gone[h.p] = true
		}
	}
	if len(gone) == 0 {
		m.settleIn(assigned)
		return
	}
	revoke := func() {
		m.drop(gone)
		m.settleIn(assigned)
		m.rejoin, m.reason = true, "need to revoke partitions and re-join"
		m.w.happens(m, "revokes")
	}
	if !m.cfg.CommitOnRevoke || m.fenced || !m.uncommitted(gone) {
		revoke()
		return
	}
	m.block()
	m.revoking = true
	m.commit(gone, func(kafka.ErrorCode, bool) {
		m.blocked, m.revoking = false, false
		revoke()
		m.step()
	})
}

// settleIn makes holds of what is new, and asks for its positions.
func (m *member) settleIn(assigned []*partition) {
	has := make(map[*partition]*hold, len(m.holds))
	for _, h := range m.holds {
		has[h.p] = h
	}
	var fresh []*hold
	for _, p := range assigned {
		if h := has[p]; h != nil {
			if h.zombie && !m.fenced {
				m.claim(h)
			}
			continue
		}
		h := &hold{p: p}
		m.holds = append(m.holds, h)
		m.claim(h)
		fresh = append(fresh, h)
	}
	if len(fresh) == 0 {
		return
	}
	m.cursor = -1 // the first fetch brings all of them, in their order
	slices.SortFunc(m.holds, func(a, b *hold) int { return cmp.Compare(a.p.index, b.p.index) })
	m.positions(fresh)
}

// positions asks where to read from.
func (m *member) positions(fresh []*hold) {
	topics := m.byTopic(fresh)
	m.ask(apiFetch, time.Duration(m.cfg.RequestTimeout), func(r coord.ReplyID) coord.Event {
		return &offset.FetchRequest{Reply: r, Group: groupID, Topics: topics}
	}, func(body any) {
		r, ok := body.(offset.FetchReply)
		if !ok {
			m.later(m.backoff(), func() {
				if still := slices.DeleteFunc(fresh, func(h *hold) bool { return h.ready || h.gone }); len(still) > 0 {
					m.positions(still)
				}
			})
			return
		}
		m.progress()
		i := 0
		for _, t := range r.Topics {
			for _, f := range t.Partitions {
				if h := fresh[i]; !h.gone {
					m.makeReady(h, max(0, f.Offset)) // nothing committed: from the start
				}
				i++
			}
		}
		m.step()
	})
}

// byTopic lists holds, which are in the order of their topics, as requests do.
func (m *member) byTopic(holds []*hold) (out []offset.Partitions) {
	last := int32(-1)
	for _, h := range holds {
		if h.p.topic != last {
			last = h.p.topic
			out = append(out, offset.Partitions{Topic: m.w.topics[last].name})
		}
		out[len(out)-1].Partitions = append(out[len(out)-1].Partitions, h.p.number)
	}
	return out
}

// holding is what a cooperative member says to own.
func (m *member) holding() (out []assign.TopicPartitions) {
	last := int32(-1)
	for _, h := range m.holds {
		if h.p.topic != last {
			last = h.p.topic
			out = append(out, assign.TopicPartitions{Topic: m.w.topics[last].name})
		}
		out[len(out)-1].Partitions = append(out[len(out)-1].Partitions, h.p.number)
	}
	return out
}
