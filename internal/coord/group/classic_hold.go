package group

import (
	"time"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// Held heartbeats. Classic members learn of a rebalance from the answer to a heartbeat, so they learn late: an interval may pass until they
// send the next one. An answer that is held back until a rebalance begins tells them at once. Who may be held, and for how long, whoever
// drives the shard knows from the client's software; what is decided here is when it is safe:
//
//   - only a dynamic member, in Stable, with nothing else unanswered; never one of Kafka Streams, which closes without leaving;
//   - no longer than a third of the session, nor until half of it is over since the member's last answer: clients watch their sessions too;
//   - the session runs from when the heartbeat came. An answer is no sign of life;
//   - no hold outlives its generation: whatever ends it, ends the hold first.
//
// The answer, when it leaves, is the one that a heartbeat sent at that moment would get.

// holdMin is the shortest time worth holding for.
const holdMin = 500 * time.Millisecond

// streamsProtocol is the protocol of Kafka Streams.
const streamsProtocol = "stream"

// hold keeps the answer to m's heartbeat back, for at most r.Hold. It reports whether it does.
func (s *Shard) hold(g *classic, m *member, r *HeartbeatRequest) bool {
	if r.Hold <= 0 || g.state != Stable || m.Instance != "" || g.protocol == streamsProtocol {
		return false
	}
	most := min(r.Hold, m.sessionTimeout/3, m.sessionTimeout/2-s.now.Since(m.answered))
	if most < holdMin {
		return false
	}
	m.held = r.Reply
	s.arm(g.holdTimer(m), s.now.Add(most))
	return true
}

// letGo answers what is held of m, if there is something.
func (s *Shard) letGo(g *classic, m *member, code kafka.ErrorCode) {
	if m.held == 0 {
		return
	}
	s.disarm(g.holdTimer(m))
	s.answerHeld(g, m, code, false)
}

// answerHeld answers what is held of m. bound: it was held as long as it may be.
func (s *Shard) answerHeld(g *classic, m *member, code kafka.ErrorCode, bound bool) {
	api, answer := (*HeartbeatRequest)(nil).EventName(), any(HeartbeatReply{Code: code, Held: true, Bound: bound})
	if m.heldSync {
		api, answer = (*SyncRequest)(nil).EventName(), s.heldSyncReply(g, m, code, bound)
	}
	if code == kafka.RebalanceInProgress {
		s.tell(g, m, api, true)
	}
	s.reply(m.held, answer)
	m.held, m.heldSync, m.answered = 0, false, s.now
}

// release answers what is held because its client has sent something else.
func (s *Shard) release(r *HoldRelease) {
	g := s.groups[r.Group]
	if g == nil {
		return
	}
	switch m := g.byID[r.Member]; {
	case m == nil:
	case m.held == r.Held:
		s.letGo(g, m, kafka.None)
	case m.sync == r.Held:
		m.patience = 0
	}
}

// holdFired answers what was held as long as it may be.
func (s *Shard) holdFired(g *classic, key coord.TimerKey) {
	if m := g.byID[key.Member]; m != nil && m.held != 0 {
		s.answerHeld(g, m, kafka.None, true)
	}
}
