package group

import (
	"math"
	"time"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// The join phase: it begins with prepare and ends with completeJoin.

// trigger is why a rebalance begins.
type trigger struct {
	kind   coord.TriggerKind
	member coord.Member // who caused it; zero for nobody in particular
	reason string       // what its client said
}

// prepareOrComplete begins a join phase, or ends the one under way if it has nobody to wait for any more.
func (s *Shard) prepareOrComplete(g *classic, t trigger) {
	if g.state == PreparingRebalance {
		s.maybeCompleteJoin(g)
		return
	}
	s.prepare(g, t)
}

// prepare begins a join phase.
func (s *Shard) prepare(g *classic, t trigger) {
	from := g.state
	for _, m := range g.members {
		if m.join == 0 {
			m.told = false
		}
	}
	if from == CompletingRebalance {
		for _, m := range g.members {
			m.assignment = nil
		}
		s.answerSyncs(g, kafka.RebalanceInProgress)
	}
	s.stopSync(g)
	g.enter(PreparingRebalance, s.now)
	g.initial, g.extend = from == Empty, false
	wait := g.rebalanceTimeout()
	if g.initial {
		g.delay = s.cfg.InitialRebalanceDelay
		g.remaining = max(wait-g.delay, 0)
		wait = g.delay
	}
	deadline := s.now.Add(wait)
	s.note(coord.RebalanceStarted{Group: g.id, From: from, Generation: g.generation, Trigger: t.kind, Member: t.member, Reason: t.reason,
		Awaited: g.awaited(), Deadline: deadline, Initial: g.initial})
	for _, m := range g.members { // after the note: who hears of it, hears of this one
		s.letGo(g, m, kafka.RebalanceInProgress)
	}
	if g.initial && wait == 0 || !g.initial && g.allJoined() {
		s.completeJoin(g)
		return
	}
	s.arm(g.joinTimer(), deadline)
}

// maybeCompleteJoin ends the join phase when there is nobody to wait for. An initial one goes on to its end, for those who may come.
func (s *Shard) maybeCompleteJoin(g *classic) {
	if g.state == PreparingRebalance && !g.initial && g.allJoined() {
		s.disarm(g.joinTimer())
		s.completeJoin(g)
	}
}

// joinFired: the join phase has lasted as long as it may.
func (s *Shard) joinFired(g *classic) {
	if g.state != PreparingRebalance {
		return
	}
	if g.initial && g.extend && g.remaining > 0 {
		// Somebody came: give those behind it as much time again, but keep nobody longer than the first member's rebalance timeout.
		wait := min(s.cfg.InitialRebalanceDelay, g.remaining)
		g.remaining = max(g.remaining-g.delay, 0)
		g.delay, g.extend = wait, false
		deadline := s.now.Add(wait)
		s.arm(g.joinTimer(), deadline)
		s.note(coord.JoinExtended{Group: g.id, Members: len(g.members), Deadline: deadline})
		return
	}
	s.completeJoin(g)
}

// completeJoin ends the join phase: those who came form the next generation. Its timer is not armed any more.
func (s *Shard) completeJoin(g *classic) {
	var late []*member
	for _, m := range g.members {
		if m.join == 0 && m.Instance == "" {
			late = append(late, m)
		}
	}
	for _, m := range late {
		s.remove(g, m, removal{cause: coord.DidNotRejoin})
	}
	if g.joins == 0 && len(g.members) > 0 {
		// Static members only, and none has come. They keep their seats until their session is over, and somebody must lead.
		g.initial = false
		deadline := s.now.Add(g.rebalanceTimeout())
		s.arm(g.joinTimer(), deadline)
		s.note(coord.JoinWaitsForStatic{Group: g.id, Awaited: g.awaited(), Deadline: deadline})
		return
	}
	took := s.now.Since(g.since)
	g.generation = nextGeneration(g.generation)
	if len(g.members) == 0 {
		g.protocol, g.leader = "", ""
		g.enter(Empty, s.now)
		s.write(g.atRest())
		s.note(coord.GroupEmptied{Group: g.id, Generation: g.generation, Took: took})
		return
	}
	s.elect(g)
	g.protocol = g.vote()
	g.enter(CompletingRebalance, s.now)
	deadline := s.now.Add(g.rebalanceTimeout())
	last := g.byID[g.leader]
	for _, m := range g.members {
		if m.join != 0 && m.arrival > last.arrival {
			last = m
		}
	}
	s.note(coord.JoinCompleted{Group: g.id, Generation: g.generation, Protocol: g.protocol, Leader: g.byID[g.leader].named(), Members: len(g.members), Took: took,
		Last: last.named(), SyncDeadline: deadline})
	for _, m := range g.members {
		if m.join != 0 {
			s.reply(m.join, g.joined(m))
			m.join, m.answered = 0, s.now
		}
		m.isNew = false
		g.setUnsynced(m, true)
		s.setSession(g, m, m.sessionTimeout)
	}
	g.joins = 0
	s.arm(g.syncTimer(), deadline)
}

// nextGeneration never leaves the numbers that a generation may have: below 0 means "none" on the wire.
func nextGeneration(g int32) int32 {
	if g < 0 || g == math.MaxInt32 {
		return 1
	}
	return g + 1
}

// elect makes sure that the leader is somebody who has come: of those, who has been in the group longest.
func (s *Shard) elect(g *classic) {
	if m := g.byID[g.leader]; m != nil && m.join != 0 {
		return
	}
	for _, m := range g.members {
		if m.join != 0 {
			s.note(coord.LeaderElected{Group: g.id, Leader: m.named(), Previous: g.leader})
			g.leader = m.ID
			return
		}
	}
}

// removal is why a member is taken out, and by whom.
type removal struct {
	cause  coord.RemovalCause
	reason string       // what the request said
	by     coord.Member // who sent it
}

// remove takes m out of the group and answers what it waits for. What that means for the group is the caller's to decide.
func (s *Shard) remove(g *classic, m *member, why removal) {
	s.note(coord.MemberRemoved{Group: g.id, Member: m.named(), Cause: why.cause, Reason: why.reason, By: why.by, Silent: s.now.Since(m.heard), Leader: g.leader == m.ID})
	if m.join != 0 {
		// Without its id, as in Kafka: there is nothing to come back to.
		s.reply(m.join, JoinReply{Code: kafka.UnknownMemberID, Generation: NoGeneration})
		m.join = 0
		g.joins--
	}
	s.letGo(g, m, kafka.UnknownMemberID)
	if m.sync != 0 {
		s.reply(m.sync, SyncReply{Code: kafka.UnknownMemberID})
		m.sync = 0
	}
	s.cancelSession(g, m)
	s.synced(g, m)
	g.drop(m)
}

// setSession gives m until now+d to be heard of again.
func (s *Shard) setSession(g *classic, m *member, d time.Duration) {
	m.deadline = s.now.Add(d)
	if m.armed == 0 || m.deadline.Before(m.armed) {
		m.armed = m.deadline
		s.arm(g.sessionTimer(m), m.armed)
	}
}

func (s *Shard) cancelSession(g *classic, m *member) {
	if m.armed != 0 {
		s.disarm(g.sessionTimer(m))
	}
	m.deadline, m.armed = 0, 0
}

// sessionFired removes a member that has not been heard of, if that is so.
func (s *Shard) sessionFired(g *classic, key coord.TimerKey) {
	m := g.byID[key.Member]
	if m == nil {
		return
	}
	m.armed = 0
	switch {
	case s.now.Before(m.deadline): // it was heard of meanwhile
		m.armed = m.deadline
		s.arm(key, m.armed)
		return
	case !m.isNew && (m.join != 0 || m.sync != 0):
		// It waits for us, not we for it. Its time starts over with the answer.
		m.deadline = 0
		return
	}
	cause := coord.SilentSession
	if m.isNew {
		cause = coord.NeverAnswered
	}
	who := m.named()
	s.remove(g, m, removal{cause: cause})
	s.prepareOrComplete(g, trigger{coord.SessionExpired, who, ""})
}
