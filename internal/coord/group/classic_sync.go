package group

import (
	"fmt"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// SyncGroup: the leader hands in who gets what, everybody takes theirs.

func (s *Shard) sync(r *SyncRequest) {
	g := s.groups[r.Group]
	m, code, why := s.checkSync(g, r)
	if m != nil {
		s.letGo(g, m, kafka.None)
		m.heard, m.patience = s.now, r.Hold
	}
	if code == kafka.RebalanceInProgress {
		s.tell(g, m, r.EventName(), false)
		s.reply(r.Reply, SyncReply{Code: code})
		return
	}
	if code != kafka.None {
		s.refused(r.EventName(), r.Group, r.Member, r.Instance, code, why)
		s.reply(r.Reply, SyncReply{Code: code})
		return
	}
	if g.state == Stable {
		if m.unsynced {
			s.synced(g, m)
			s.note(coord.SyncArrived{Group: g.id, Member: m.named(), Awaited: g.unsynced})
		}
		s.setSession(g, m, m.sessionTimeout)
		if !s.holdSync(g, m, r.Reply) {
			s.reply(r.Reply, g.synced(m))
			m.answered = s.now
		}
		return
	}
	if m.sync != 0 {
		// Its client has stopped waiting for the older one.
		s.reply(m.sync, SyncReply{Code: kafka.RebalanceInProgress})
	}
	m.sync = r.Reply
	s.synced(g, m)
	s.note(coord.SyncArrived{Group: g.id, Member: m.named(), Leader: m.ID == g.leader, Waits: m.ID != g.leader, Awaited: g.unsynced})
	if m.ID == g.leader {
		s.assign(g, r.Assignments)
	}
}

// checkSync finds the member, and whether the group can do something for it.
func (s *Shard) checkSync(g *classic, r *SyncRequest) (*member, kafka.ErrorCode, string) {
	if r.Version >= 5 && (r.ProtocolType == nil || r.Protocol == nil) {
		return nil, kafka.InconsistentGroupProtocol, "the request does not say which protocol it is for"
	}
	if g == nil {
		code, why := noGroup(r.Group)
		return nil, code, why
	}
	m, code, why := g.identify(r.Member, r.Instance)
	switch {
	case code != kafka.None:
		return nil, code, why
	case r.Generation != g.generation:
		return m, kafka.IllegalGeneration, g.wrongGeneration(r.Generation)
	case r.ProtocolType != nil && *r.ProtocolType != g.protocolType || r.Protocol != nil && *r.Protocol != g.protocol:
		return m, kafka.InconsistentGroupProtocol, fmt.Sprintf("the group's protocol is %q of type %q", g.protocol, g.protocolType)
	case g.state == PreparingRebalance:
		return m, kafka.RebalanceInProgress, ""
	}
	return m, kafka.None, ""
}

func (g *classic) wrongGeneration(theirs int32) string {
	return fmt.Sprintf("the group is at generation %d, the request is of %d", g.generation, theirs)
}

// synced notes that m has asked for its assignment.
func (s *Shard) synced(g *classic, m *member) {
	if !m.unsynced {
		return
	}
	if g.setUnsynced(m, false); g.unsynced == 0 {
		s.disarm(g.syncTimer())
	}
}

// stopSync ends the wait for those who have not asked.
func (s *Shard) stopSync(g *classic) {
	if g.unsynced == 0 {
		return
	}
	for _, m := range g.members {
		g.setUnsynced(m, false)
	}
	s.disarm(g.syncTimer())
}

// assign takes the leader's assignment: the group is Stable. Who is not in the list gets nothing, who is in the list but not in the group
// is passed over, and of two entries for one member the later one counts.
func (s *Shard) assign(g *classic, assignments []Assignment) {
	given := make(map[string]bool, len(assignments))
	for _, m := range g.members {
		m.assignment = nil
	}
	for _, a := range assignments {
		if m := g.byID[a.Member]; m != nil {
			m.assignment = a.Bytes
			given[a.Member] = true
		}
	}
	rec := g.atRest()
	if size := record.Size(rec); size > s.cfg.RecordBytesMax {
		s.refused("SyncGroup", g.id, g.leader, g.byID[g.leader].Instance, kafka.UnknownServerError,
			fmt.Sprintf("the group's record would take %d bytes, the log takes %d; raise max.message.bytes of %s", size, s.cfg.RecordBytesMax, kafka.OffsetsTopic))
		for _, m := range g.members {
			m.assignment = nil
		}
		s.answerSyncs(g, kafka.UnknownServerError)
		s.prepare(g, trigger{coord.AssignmentTooLarge, g.byID[g.leader].named(), ""})
		return
	}
	s.write(rec)
	took := s.now.Since(g.since)
	g.enter(Stable, s.now)
	note := coord.Stabilized{Group: g.id, Generation: g.generation, Leader: g.byID[g.leader].named(), Members: len(g.members), Took: took, Awaited: g.notSynced(), Record: rec.Value}
	for _, m := range g.members {
		if !given[m.ID] {
			note.Unassigned = append(note.Unassigned, m.ID)
		}
	}
	s.note(note)
	s.answerSyncs(g, kafka.None)
}

// answerSyncs answers every sync that waits, or begins to hold it; the members' sessions start over.
func (s *Shard) answerSyncs(g *classic, code kafka.ErrorCode) {
	for _, m := range g.members {
		if m.sync == 0 {
			continue
		}
		id := m.sync
		m.sync = 0
		s.setSession(g, m, m.sessionTimeout)
		if code == kafka.None && s.holdSync(g, m, id) {
			continue
		}
		answer := SyncReply{Code: code}
		if code == kafka.None {
			answer = g.synced(m)
		}
		s.reply(id, answer)
		m.answered = s.now
		m.told = m.told || code == kafka.RebalanceInProgress
	}
}

// syncFired removes who has not asked for its assignment: it would own partitions and not know.
func (s *Shard) syncFired(g *classic) {
	var late []*member
	for _, m := range g.members {
		if m.unsynced {
			late = append(late, m)
		}
	}
	if len(late) == 0 || g.state != CompletingRebalance && g.state != Stable {
		return
	}
	for _, m := range late {
		s.remove(g, m, removal{cause: coord.DidNotSync})
	}
	s.prepare(g, trigger{coord.SyncExpired, late[0].named(), ""})
}
