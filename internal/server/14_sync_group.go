package server

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/group"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// SyncGroup (14)
//
// v1  throttle time
// v3  group instance id (KIP-345)
// v4  flexible
// v5  protocol type and name, in both directions (KIP-559)
//
// A follower waits for the leader's assignment, the leader until it is on disk. Who has nothing and gets nothing may be held a moment longer, see
// notice.go.
func syncGroup(g *groupCall, in kmsg.Request) {
	q := in.(*kmsg.SyncGroupRequest)
	resp := q.ResponseKind().(*kmsg.SyncGroupResponse)
	if q.Group == "" {
		g.respond(g.synced(resp, group.SyncReply{Code: kafka.InvalidGroupID}))
		return
	}
	ev := &group.SyncRequest{Version: q.Version, Group: q.Group, Generation: q.Generation, Member: q.MemberID, Instance: orEmpty(q.InstanceID),
		ProtocolType: q.ProtocolType, Protocol: q.Protocol}
	for i := range q.GroupAssignment {
		a := &q.GroupAssignment[i]
		ev.Assignments = append(ev.Assignments, group.Assignment{Member: a.MemberID, Bytes: slices.Clone(a.MemberAssignment)}) // the frame is used again
	}
	g.others = true
	shard := g.conn.srv.deps.Groups.ShardOf(q.Group)
	ev.Hold = g.conn.mayHoldSync(q.MemberID, q.Group, g.now)
	g.ask(shard, func(id coord.ReplyID) coord.Event {
		ev.Reply = id
		return ev
	})
	if ev.Hold > 0 && !g.answered() {
		g.conn.held = holding{id: ev.Reply, sync: true, shard: shard, key: breakerKey{g.conn.client.ID, q.Group}, member: q.MemberID, since: g.now}
		held := g.conn.held
		g.held = &held
	}
	g.answer = func(said []any) kmsg.Response {
		reply, ok := said[0].(group.SyncReply)
		if !ok {
			reply.Code = said[0].(coord.Refused).Code
			if reply.Code == kafka.CoordinatorLoadInProgress {
				// Java consumers give up on what they do not expect here; this one they answer with a new JoinGroup, which may be told.
				reply.Code = kafka.RebalanceInProgress
			}
		}
		return g.synced(resp, reply)
	}
}

func (g *groupCall) synced(resp *kmsg.SyncGroupResponse, reply group.SyncReply) kmsg.Response {
	if resp.ErrorCode = g.failed(reply.Code); reply.Code == kafka.None {
		resp.ProtocolType, resp.Protocol, resp.MemberAssignment = &reply.ProtocolType, &reply.Protocol, reply.Assignment
	}
	return resp
}
