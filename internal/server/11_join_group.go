package server

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/group"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// JoinGroup (11)
//
// v0  the session timeout bounds a rebalance, too
// v1  a rebalance timeout of its own
// v2  throttle time
// v4  MEMBER_ID_REQUIRED: a new member gets its id first (KIP-394)
// v5  group instance id (KIP-345)
// v6  flexible
// v7  the answer names the protocol type; the protocol is null in an error (KIP-559)
// v8  the member says why it joins (KIP-800)
// v9  a static leader that came back need not assign (KIP-814)
//
// Most joins wait until all members have come, or the rebalance timeout is over.
func joinGroup(g *groupCall, in kmsg.Request) {
	c, q := g.conn, in.(*kmsg.JoinGroupRequest)
	answer := func(reply group.JoinReply) kmsg.Response {
		return g.joined(q.ResponseKind().(*kmsg.JoinGroupResponse), reply)
	}
	if q.Group == "" {
		g.respond(answer(group.JoinReply{Code: kafka.InvalidGroupID, Generation: group.NoGeneration, Member: q.MemberID}))
		return
	}
	ev := &group.JoinRequest{Version: q.Version, Group: q.Group, Member: q.MemberID, Instance: orEmpty(q.InstanceID), Client: string(g.header.ClientID), Host: c.host(),
		Software: c.software(), ProtocolType: q.ProtocolType, SessionTimeout: milliseconds(q.SessionTimeoutMillis), RebalanceTimeout: -1, Reason: orEmpty(q.Reason)}
	if q.Version >= 1 {
		ev.RebalanceTimeout = milliseconds(q.RebalanceTimeoutMillis)
	}
	if q.MemberID == "" {
		ev.FreshID = freshID()
	}
	for i := range q.Protocols {
		p := &q.Protocols[i]
		ev.Protocols = append(ev.Protocols, group.Protocol{Name: p.Name, Metadata: slices.Clone(p.Metadata)}) // the frame is used again
	}
	g.others = true
	g.ask(c.srv.deps.Groups.ShardOf(q.Group), func(id coord.ReplyID) coord.Event {
		ev.Reply = id
		return ev
	})
	member := q.MemberID
	q = &kmsg.JoinGroupRequest{Version: q.Version} // the rest is the shard's by now, and the answer may take long
	g.answer = func(said []any) kmsg.Response {
		reply, ok := said[0].(group.JoinReply)
		if !ok {
			reply = group.JoinReply{Code: said[0].(coord.Refused).Code, Generation: group.NoGeneration, Member: member}
		}
		return answer(reply)
	}
}

func (g *groupCall) joined(resp *kmsg.JoinGroupResponse, reply group.JoinReply) kmsg.Response {
	resp.ErrorCode, resp.Generation = g.failed(reply.Code), reply.Generation
	resp.LeaderID, resp.MemberID, resp.SkipAssignment = reply.Leader, reply.Member, reply.SkipAssignment
	if reply.Code == kafka.None {
		resp.ProtocolType, resp.Protocol = &reply.ProtocolType, &reply.Protocol
	} else if resp.Version < 7 {
		resp.Protocol = new(string)
	}
	for _, m := range reply.Members {
		rm := kmsg.NewJoinGroupResponseMember()
		rm.MemberID, rm.InstanceID, rm.ProtocolMetadata = m.ID, orNull(m.Instance), m.Metadata
		resp.Members = append(resp.Members, rm)
	}
	return resp
}

func milliseconds(n int32) time.Duration { return time.Duration(n) * time.Millisecond }
