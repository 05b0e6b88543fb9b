package server

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/group"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/wire"
)

// Heartbeat (12)
//
// v1  throttle time
// v3  group instance id (KIP-345)
// v4  flexible
//
// Every member of every group sends one every few seconds for as long as it lives. So this request has a codec of its own, and is answered by
// the goroutine that read it, unless the group has something on its way to the disk that the answer must not overtake.
func (c *conn) heartbeat(r *Request) error {
	q := &c.beat
	if err := q.Decode(r.Version, r.Body); err != nil {
		return err
	}
	if q.Group == "" {
		return c.beaten(r, kafka.InvalidGroupID)
	}
	groups := c.srv.deps.Groups
	call := groups.NewCall()
	shard, most := groups.ShardOf(q.Group), c.mayHold(q.Member, q.Group, r.Now)
	groups.Submit(shard, call, &group.HeartbeatRequest{Reply: call.ID, Group: q.Group, Generation: q.Generation, Member: q.Member, Instance: q.Instance, Hold: most})
	if call.Answered() && !c.busy() {
		<-call.Done()
		return c.beaten(r, heartbeatCode(release(call)))
	}
	g := &groupCall{conn: c, header: r.RequestHeader, now: r.Now, size: len(r.Body)}
	g.header.ClientID = nil
	g.calls = append(g.calls, call)
	if most > 0 {
		c.held = holding{id: call.ID, shard: shard, key: breakerKey{c.client.ID, q.Group}, member: q.Member, since: r.Now}
		held := c.held
		g.held = &held
	}
	g.answer = func(said []any) kmsg.Response {
		resp := kmsg.NewPtrHeartbeatResponse()
		resp.Version, resp.ErrorCode = g.header.Version, g.failed(heartbeatCode(said[0]))
		return resp
	}
	return c.finishGroup(g)
}

// heartbeatCode is what the member hears. While the group is being read nobody can tell whether it is a member; it is told that all is well, as
// in Kafka, since it would take anything else for the end of its membership.
func heartbeatCode(said any) kafka.ErrorCode {
	switch said := said.(type) {
	case group.HeartbeatReply:
		return said.Code
	case coord.Refused:
		if said.Code != kafka.CoordinatorLoadInProgress {
			return said.Code
		}
	}
	return kafka.None
}

// beaten answers at once.
func (c *conn) beaten(r *Request, code kafka.ErrorCode) error {
	h, size := r.RequestHeader, len(r.Body)
	if code != kafka.None {
		c.srv.deps.Metrics.Error(wire.KeyHeartbeat, code)
	}
	c.letGo()
	out := wire.AppendHeartbeatResponse(c.out[:0], h, int16(code))
	c.srv.deps.Metrics.Request(wire.KeyHeartbeat, h.Version, c.srv.deps.Now().Sub(r.Now), 0, size, len(out))
	return c.reply(out)
}
