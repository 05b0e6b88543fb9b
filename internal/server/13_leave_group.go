package server

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/group"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// LeaveGroup (13)
//
// v0  one member
// v1  throttle time
// v3  many members, static ones by their instance id alone (KIP-345)
// v4  flexible
// v5  why (KIP-800)
//
// The answer does not wait for the rebalance that follows.
func leaveGroup(g *groupCall, in kmsg.Request) {
	q := in.(*kmsg.LeaveGroupRequest)
	resp := q.ResponseKind().(*kmsg.LeaveGroupResponse)
	if q.Group == "" {
		resp.ErrorCode = g.failed(kafka.InvalidGroupID)
		g.respond(resp)
		return
	}
	ev := &group.LeaveRequest{Version: q.Version, Group: q.Group, Client: string(g.header.ClientID), Host: g.conn.host(), Software: g.conn.software()}
	if q.Version < 3 {
		ev.Members = []group.Leaver{{Member: q.MemberID}}
	}
	for i := range q.Members {
		m := &q.Members[i]
		ev.Members = append(ev.Members, group.Leaver{Member: m.MemberID, Instance: orEmpty(m.InstanceID), Reason: orEmpty(m.Reason)})
	}
	g.ask(g.conn.srv.deps.Groups.ShardOf(q.Group), func(id coord.ReplyID) coord.Event {
		ev.Reply = id
		return ev
	})
	g.answer = func(said []any) kmsg.Response {
		reply, ok := said[0].(group.LeaveReply)
		if !ok {
			reply.Code = said[0].(coord.Refused).Code
		}
		resp.ErrorCode = g.failed(reply.Code)
		for _, m := range reply.Members {
			rm := kmsg.NewLeaveGroupResponseMember()
			rm.MemberID, rm.InstanceID, rm.ErrorCode = m.Member, orNull(m.Instance), g.failed(m.Code)
			resp.Members = append(resp.Members, rm)
		}
		return resp
	}
}
