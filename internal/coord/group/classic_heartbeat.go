package group

import (
	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// Heartbeat and LeaveGroup: a member says that it is there, or that it goes.

func (s *Shard) heartbeat(r *HeartbeatRequest) {
	refuse := func(code kafka.ErrorCode, why string) {
		s.refused(r.EventName(), r.Group, r.Member, r.Instance, code, why)
		s.reply(r.Reply, HeartbeatReply{Code: code})
	}
	g := s.groups[r.Group]
	if g == nil {
		refuse(noGroup(r.Group))
		return
	}
	m, code, why := g.identify(r.Member, r.Instance)
	if code != kafka.None {
		refuse(code, why)
		return
	}
	s.letGo(g, m, kafka.None) // an older one, of another connection
	if r.Generation != g.generation {
		refuse(kafka.IllegalGeneration, g.wrongGeneration(r.Generation))
		return
	}
	m.heard = s.now
	s.setSession(g, m, m.sessionTimeout)
	// In CompletingRebalance the answer is NONE: clients start to heartbeat before their sync is answered.
	if g.state == PreparingRebalance {
		s.tell(g, m, r.EventName(), false)
		code = kafka.RebalanceInProgress
	}
	if !s.hold(g, m, r) {
		if code == kafka.None {
			s.reply(r.Reply, allIsWell)
		} else {
			s.reply(r.Reply, HeartbeatReply{Code: code})
		}
		m.answered = s.now
	}
}

// allIsWell is the answer to nearly every heartbeat, made once.
var allIsWell any = HeartbeatReply{}

// tell notes that m hears of the rebalance under way, the first time it does. held: by an answer that was held back for it.
func (s *Shard) tell(g *classic, m *member, api string, held bool) {
	if !m.told {
		m.told = true
		s.note(coord.MemberTold{Group: g.id, Member: m.named(), API: api, After: s.now.Since(g.since), Held: held})
	}
}

func (s *Shard) leave(r *LeaveRequest) {
	g := s.groups[r.Group]
	if r.Group == "" {
		code, why := noGroup(r.Group)
		s.refused(r.EventName(), r.Group, "", "", code, why)
		s.reply(r.Reply, LeaveReply{Code: code})
		return
	}
	var reply LeaveReply
	var gone *trigger
	for _, l := range r.Members {
		result := LeaveResult{l.Member, l.Instance, kafka.UnknownMemberID}
		why := "there is no such group"
		if g != nil {
			var t *trigger
			if t, result.Code, why = s.leaveOne(g, r, l); t != nil && gone == nil {
				gone = t
			}
		}
		if result.Code != kafka.None {
			s.refused(r.EventName(), r.Group, l.Member, l.Instance, result.Code, why)
		}
		reply.Members = append(reply.Members, result)
	}
	switch {
	case gone != nil:
		s.prepareOrComplete(g, *gone)
	case g != nil: // an id that never joined may have held the phase open
		s.maybeCompleteJoin(g)
	}
	if r.Version < 3 {
		if len(reply.Members) > 0 {
			reply.Code = reply.Members[0].Code
		}
		reply.Members = nil
	}
	s.reply(r.Reply, reply)
}

// leaveOne takes one member out. The trigger is nil when the group's members are what they were.
func (s *Shard) leaveOne(g *classic, r *LeaveRequest, l Leaver) (*trigger, kafka.ErrorCode, string) {
	if _, isPending := g.pending[l.Member]; isPending { // whatever instance it names
		delete(g.pending, l.Member)
		s.disarm(g.pendingTimer(l.Member))
		return nil, kafka.None, ""
	}
	m, cause := g.byID[l.Member], coord.Left
	switch {
	case l.Member == "" && l.Instance != "":
		if m = g.static[l.Instance]; m == nil {
			return nil, kafka.UnknownMemberID, "no member has this group.instance.id"
		}
		cause = coord.RemovedByID
	default:
		var code kafka.ErrorCode
		var why string
		if m, code, why = g.identify(l.Member, l.Instance); code != kafka.None {
			return nil, code, why
		}
	}
	s.letGo(g, m, kafka.None)
	who := m.named()
	s.remove(g, m, removal{cause, l.Reason, coord.Member{Client: r.Client, Host: r.Host, Software: r.Software}})
	return &trigger{coord.MemberLeft, who, l.Reason}, kafka.None, ""
}
