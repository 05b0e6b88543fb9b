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

// letGo answers a held heartbeat of m, if there is one.
func (s *Shard) letGo(g *classic, m *member, code kafka.ErrorCode) {
	if m.held == 0 {
		return
	}
	s.disarm(g.holdTimer(m))
	s.answerHeld(g, m, HeartbeatReply{Code: code, Held: true})
}

func (s *Shard) answerHeld(g *classic, m *member, answer HeartbeatReply) {
	if answer.Code == kafka.RebalanceInProgress {
		s.tell(g, m, (*HeartbeatRequest)(nil).EventName(), true)
	}
	s.reply(m.held, answer)
	m.held, m.answered = 0, s.now
}

// release answers a held heartbeat because its client has sent something else.
func (s *Shard) release(r *HeartbeatRelease) {
	if g := s.groups[r.Group]; g != nil {
		if m := g.byID[r.Member]; m != nil && m.held == r.Held {
			s.letGo(g, m, kafka.None)
		}
	}
}

// holdFired answers a heartbeat that was held as long as it may be.
func (s *Shard) holdFired(g *classic, key coord.TimerKey) {
	if m := g.byID[key.Member]; m != nil && m.held != 0 {
		s.answerHeld(g, m, HeartbeatReply{Held: true, Bound: true})
	}
}
