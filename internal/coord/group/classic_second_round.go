package group

import (
	"time"

	"github.com/barnabas-mq/barnabas/assign"
	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// Held SyncGroups. A cooperative rebalance that moves a partition takes two rounds: in the first its owner learns that the partition is no longer
// its own, and gives it up; in the second somebody else gets it. A newcomer goes away from the first with nothing, and hears of the second from a
// heartbeat. It has none under way: a Java client sends the first one an interval after its JoinGroup was answered. All that moves waits for it.
//
// But the coordinator can tell that a second round must come: the leader has left a partition without an owner that a member says it has, so
// that one must give it up and join again. Until it does, whoever has nothing and was given nothing may as well wait for the answer to
// its SyncGroup; it then says REBALANCE_IN_PROGRESS, on which every client joins again at once. When nobody comes, the answer is the
// assignment. What holds for heartbeats (classic_hold.go) holds here: nothing waits behind it, it is no sign of life, it does not outlive its
// generation. Who has partitions is never held. Its commits would wait for the answer, or fail; and a Java client before 3.5 takes the
// generation of its claims from the last assignment it was given.

// secondRoundWait is how long after the first round the second may be waited for: owners give up a partition in milliseconds, unless their
// application is at work on what it has read.
const secondRoundWait = time.Second

// certainty is what is known of a second round; it is looked up when first asked for.
type certainty int8

const (
	unknown certainty = iota
	follows
	doesNotFollow
)

// holdSync keeps the answer to m's sync back. It reports whether it does. The group is Stable.
func (s *Shard) holdSync(g *classic, m *member, id coord.ReplyID) bool {
	most := min(m.patience, secondRoundWait-s.now.Since(g.stable), m.sessionTimeout/3, m.sessionTimeout/2-s.now.Since(m.answered))
	if most <= 0 || m.Instance != "" || g.protocolType != consumerType || g.protocol == streamsProtocol || !g.hasNothing(m) || !g.secondRound() {
		return false
	}
	m.held, m.heldSync = id, true
	s.arm(g.holdTimer(m), s.now.Add(most))
	return true
}

// heldSyncReply is the answer to m's held sync.
func (s *Shard) heldSyncReply(g *classic, m *member, code kafka.ErrorCode, bound bool) SyncReply {
	answer := SyncReply{Code: code}
	if code == kafka.None {
		answer = g.synced(m)
	}
	answer.Held, answer.Bound, answer.For = true, bound, s.now.Since(max(m.heard, g.stable))
	return answer
}

// hasNothing reports whether m says that it owns nothing, and was given nothing.
func (g *classic) hasNothing(m *member) bool {
	given, err := assign.DecodeAssignment(m.assignment)
	if err != nil || count(given.Partitions) > 0 {
		return false
	}
	sub, err := assign.DecodeSubscription(m.metadata(g.protocol))
	return err == nil && count(sub.Owned) == 0
}

func count(tps []assign.TopicPartitions) (n int) {
	for _, tp := range tps {
		n += len(tp.Partitions)
	}
	return n
}

// secondRound reports whether the assignment leaves a partition without an owner that somebody says it has.
func (g *classic) secondRound() bool {
	if g.second == unknown {
		g.second = doesNotFollow
		if len(g.orphans()) > 0 {
			g.second = follows
		}
	}
	return g.second == follows
}

type topicPartition struct {
	topic     string
	partition int32
}

// orphans is every partition that its owner has to give up, and that nobody was given yet. Nil when somebody says what we cannot read.
func (g *classic) orphans() map[topicPartition]bool {
	orphans := map[topicPartition]bool{}
	var names assign.Interner
	for _, m := range g.members {
		sub, err := names.DecodeSubscription(m.metadata(g.protocol))
		if err != nil {
			return nil
		}
		for _, tp := range sub.Owned {
			for _, p := range tp.Partitions {
				orphans[topicPartition{tp.Topic, p}] = true
			}
		}
	}
	if len(orphans) == 0 {
		return nil
	}
	for _, m := range g.members {
		given, err := assign.DecodeAssignment(m.assignment)
		if err != nil {
			return nil
		}
		for _, tp := range given.Partitions {
			for _, p := range tp.Partitions {
				delete(orphans, topicPartition{tp.Topic, p})
			}
		}
	}
	return orphans
}
