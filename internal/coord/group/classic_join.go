package group

import (
	"fmt"
	"time"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// JoinGroup: who may come in, and who may go on with what it has. Most joins are not answered here: they wait until the join phase
// ends (classic_rebalance.go).

// newMemberTimeout is how long a new member's first join may wait. Its client is not heard of meanwhile, so the session timeout would
// be too short, but a client that went away before the answer must not hold a seat for ever.
const newMemberTimeout = 5 * time.Minute

// uuidLen is what a fresh id adds to a client or instance id, with its dash.
const uuidLen = 37

func (s *Shard) join(r *JoinRequest) {
	if code, why := s.checkJoin(r); code != kafka.None {
		s.refuseJoin(r, r.Member, code, why)
		return
	}
	g := s.groups[r.Group]
	created := g == nil
	if created {
		if r.Member != "" {
			s.refuseJoin(r, r.Member, kafka.UnknownMemberID, "there is no such group")
			return
		}
		g = newClassic(r.Group, s.now)
		s.groups[r.Group] = g
		s.note(coord.GroupCreated{Group: g.id})
	}
	s.joinGroup(g, r)
	if created && len(s.fx.Records) == 0 {
		s.write(&record.GroupMetadata{Group: g.id, Value: &record.GroupMetadataValue{CurrentStateTimestamp: s.now.Millis()}})
	}
}

// checkJoin looks at the request alone.
func (s *Shard) checkJoin(r *JoinRequest) (kafka.ErrorCode, string) {
	switch {
	case r.Group == "" || len(r.Group) > record.MaxString:
		return kafka.InvalidGroupID, "the group id is empty or too long"
	case r.SessionTimeout < s.cfg.SessionTimeoutMin || r.SessionTimeout > s.cfg.SessionTimeoutMax:
		return kafka.InvalidSessionTimeout, fmt.Sprintf("session.timeout.ms is %d; this broker takes %d to %d",
			r.SessionTimeout.Milliseconds(), s.cfg.SessionTimeoutMin.Milliseconds(), s.cfg.SessionTimeoutMax.Milliseconds())
	case max(len(r.Client), len(r.Instance)) > record.MaxString-uuidLen || max(len(r.Host), len(r.ProtocolType)) > record.MaxString:
		return kafka.InvalidRequest, "an id, a host or the protocol type is longer than a record can hold"
	}
	for _, p := range r.Protocols {
		if len(p.Name) > record.MaxString {
			return kafka.InvalidRequest, "the name of a protocol is longer than a record can hold"
		}
	}
	return kafka.None, ""
}

func (s *Shard) refuseJoin(r *JoinRequest, member string, code kafka.ErrorCode, why string) {
	s.note(coord.RequestRefused{Group: r.Group, API: r.EventName(), Member: r.Member, Instance: r.Instance, Code: code, Why: why,
		Client: r.Client, Host: r.Host, Software: r.Software, Protocols: r.Protocols})
	s.reply(r.Reply, JoinReply{Code: code, Generation: NoGeneration, Member: member})
}

func (s *Shard) joinGroup(g *classic, r *JoinRequest) {
	if !s.roomFor(g, r) {
		// Nobody waits for who has just been turned away, be it a member or an id that was given and not used.
		if m := g.byID[r.Member]; m != nil {
			s.remove(g, m, removal{cause: coord.GroupFull})
		} else if _, isPending := g.pending[r.Member]; isPending {
			delete(g.pending, r.Member)
			s.disarm(g.pendingTimer(r.Member))
		}
		s.maybeCompleteJoin(g)
		s.refuseJoin(r, "", kafka.GroupMaxSizeReached, fmt.Sprintf("group.max.size is %d", s.cfg.SizeMax))
		return
	}
	if why := g.cannotSpeakWith(r); why != "" {
		s.refuseJoin(r, r.Member, kafka.InconsistentGroupProtocol, why)
		return
	}
	if r.Member == "" {
		s.joinWithoutID(g, r)
		return
	}
	if m, isPending := g.pending[r.Member]; isPending && r.Instance == "" {
		delete(g.pending, r.Member)
		s.disarm(g.pendingTimer(r.Member))
		m.Client, m.Host, m.Software = r.Client, r.Host, r.Software
		s.addMember(g, m, r)
		return
	}
	m, code, why := g.identify(r.Member, r.Instance)
	if code != kafka.None {
		s.refuseJoin(r, r.Member, code, why)
		return
	}
	s.rejoin(g, m, r)
}

// roomFor reports whether group.max.size lets the sender in. While members gather, those who are there already have their seats.
func (s *Shard) roomFor(g *classic, r *JoinRequest) bool {
	known := g.byID[r.Member]
	if known == nil && r.Member == "" && r.Instance != "" {
		known = g.static[r.Instance] // coming back takes no seat more
	}
	switch g.state {
	case Empty:
		return true
	case PreparingRebalance:
		return known != nil && known.join != 0 || g.joins < s.cfg.SizeMax
	}
	return known != nil || len(g.members) < s.cfg.SizeMax
}

// cannotSpeakWith says why the sender cannot take part in the group's protocol, or "".
func (g *classic) cannotSpeakWith(r *JoinRequest) string {
	switch {
	case r.ProtocolType == "" || len(r.Protocols) == 0:
		return "the request names no protocol"
	case g.state == Empty:
		return ""
	case r.ProtocolType != g.protocolType:
		return fmt.Sprintf("the protocol type is %q, the group's is %q", r.ProtocolType, g.protocolType)
	}
	for _, p := range r.Protocols {
		if g.support[p.Name] == len(g.members) {
			return ""
		}
	}
	return "no protocol of the request is supported by every member"
}

// noGroup is what a member hears whose group is not there. A group that nobody can join may still have offsets: "" is one, of clients
// older than groups.
func noGroup(name string) (kafka.ErrorCode, string) {
	if name == "" {
		return kafka.InvalidGroupID, "the group id is empty"
	}
	return kafka.UnknownMemberID, "there is no such group"
}

// identify finds a member by the ids a request names.
func (g *classic) identify(id, instance string) (*member, kafka.ErrorCode, string) {
	if instance != "" {
		m := g.static[instance]
		if m == nil {
			return nil, kafka.UnknownMemberID, "no member has this group.instance.id"
		}
		if m.ID != id {
			return nil, kafka.FencedInstanceID, "another member has taken over this group.instance.id"
		}
		return m, kafka.None, ""
	}
	m := g.byID[id]
	if m == nil {
		return nil, kafka.UnknownMemberID, "not a member of the group"
	}
	return m, kafka.None, ""
}

// joinWithoutID takes a client that has no member id yet.
func (s *Shard) joinWithoutID(g *classic, r *JoinRequest) {
	m := coord.Member{Instance: r.Instance, Client: r.Client, Host: r.Host, Software: r.Software}
	if r.Instance != "" {
		m.ID = r.Instance + "-" + r.FreshID
		if old := g.static[r.Instance]; old != nil {
			s.replaceStatic(g, old, m.ID, r)
			return
		}
		s.addMember(g, m, r)
		return
	}
	m.ID = r.Client + "-" + r.FreshID
	if r.Version < 4 {
		s.addMember(g, m, r)
		return
	}
	// KIP-394: a client whose first answer is lost would join again as somebody else and leave a seat behind that nobody sits on. So it
	// gets its id first, and takes a seat when it comes back with it.
	g.pending[m.ID] = m
	deadline := s.now.Add(r.SessionTimeout)
	s.arm(g.pendingTimer(m.ID), deadline)
	s.note(coord.MemberIDGiven{Group: g.id, Member: m, Deadline: deadline})
	s.reply(r.Reply, JoinReply{Code: kafka.MemberIDRequired, Generation: NoGeneration, Member: m.ID})
}

// pendingFired forgets an id with which nobody came back.
func (s *Shard) pendingFired(g *classic, id string) {
	if _, ok := g.pending[id]; !ok {
		return
	}
	delete(g.pending, id)
	s.note(coord.MemberIDExpired{Group: g.id, Member: id})
	s.maybeCompleteJoin(g)
}

// addMember takes in somebody new; the join waits.
func (s *Shard) addMember(g *classic, who coord.Member, r *JoinRequest) {
	m := &member{ID: who.ID, isNew: true, heard: s.now}
	if len(g.members) == 0 {
		g.protocolType, g.leader = r.ProtocolType, m.ID
	}
	g.says(m, person{who.Instance, who.Client, who.Host, who.Software}, offered(r))
	g.add(m)
	if g.state == PreparingRebalance && g.initial {
		g.extend = true
	}
	s.park(g, m, r, true)
	s.setSession(g, m, newMemberTimeout)
	s.prepareOrComplete(g, trigger{coord.MemberJoined, m.named(), r.Reason})
}

// park keeps m's join until the join phase ends. An older join of m, whose client has stopped waiting for it, is told to try again.
func (s *Shard) park(g *classic, m *member, r *JoinRequest, isNew bool) {
	repeated := m.join != 0
	if repeated {
		s.reply(m.join, JoinReply{Code: kafka.RebalanceInProgress, Generation: NoGeneration, Member: m.ID})
	} else {
		g.joins++
		g.arrivals++
		m.arrival = g.arrivals
	}
	m.join, m.heard, m.told = r.Reply, s.now, true
	s.note(coord.MemberArrived{Group: g.id, Member: m.named(), New: isNew, Reason: r.Reason, Repeated: repeated, Arrived: g.joins, Members: len(g.members), Pending: len(g.pending),
		ProtocolType: g.protocolType, Protocols: m.protocols, SessionTimeout: m.sessionTimeout, RebalanceTimeout: m.rebalanceTimeout})
}

// rejoin takes a join of somebody who is a member.
func (s *Shard) rejoin(g *classic, m *member, r *JoinRequest) {
	s.letGo(g, m, kafka.None)
	m.heard = s.now
	changed := !m.same(r.Protocols)
	switch {
	case g.state == PreparingRebalance:
		g.update(m, r)
		s.park(g, m, r, false)
		s.maybeCompleteJoin(g)
		return
	case g.state == CompletingRebalance && !changed, g.state == Stable && !changed && m.ID != g.leader:
		// The answer to the last join was lost. It is still good.
		s.reply(r.Reply, g.joined(m))
		m.answered = s.now
		return
	}
	// A leader that joins again has seen something that others cannot: new partitions, say.
	why := coord.ProtocolsChanged
	if !changed {
		why = coord.LeaderRejoined
	}
	g.update(m, r)
	s.park(g, m, r, false)
	s.prepareOrComplete(g, trigger{why, m.named(), r.Reason})
}

// replaceStatic gives the seat of a static member to the client that came back under its instance id (KIP-345). What the old client
// still waits for, or asks from now on, is fenced.
func (s *Shard) replaceStatic(g *classic, m *member, id string, r *JoinRequest) {
	old, led := m.ID, g.leader == m.ID
	away := s.now.Since(m.heard)
	if m.join != 0 {
		s.reply(m.join, JoinReply{Code: kafka.FencedInstanceID, Generation: NoGeneration, Member: old})
		m.join = 0
		g.joins--
	}
	if m.sync != 0 {
		s.reply(m.sync, SyncReply{Code: kafka.FencedInstanceID})
		m.sync = 0
	}
	s.cancelSession(g, m)
	delete(g.byID, old)
	m.ID = id
	g.byID[id] = m
	if led {
		g.leader = id
	}
	g.update(m, r)
	m.heard, m.told = s.now, false
	note := coord.StaticMemberReplaced{Group: g.id, Member: m.named(), OldID: old, Away: away}
	if g.state == Stable && g.vote() == g.protocol {
		if rec := g.atRest(); record.Size(rec) <= s.cfg.RecordBytesMax {
			// KIP-814: the seat is as it was, so nobody else needs to know. Before version 9 a client that hears it is the leader
			// would hand in an assignment, so it is shown the leader that was.
			s.note(note)
			s.write(rec)
			s.setSession(g, m, m.sessionTimeout)
			answer := g.joined(m)
			if r.Version >= 9 {
				answer.SkipAssignment = led
			} else if answer.Members = nil; led {
				answer.Leader = old
			}
			s.reply(r.Reply, answer)
			return
		}
	}
	note.Rebalance = true
	s.note(note)
	if m.isNew {
		s.setSession(g, m, newMemberTimeout)
	} else {
		s.setSession(g, m, m.sessionTimeout)
	}
	s.park(g, m, r, false)
	s.prepareOrComplete(g, trigger{coord.StaticReplaced, m.named(), r.Reason})
}
