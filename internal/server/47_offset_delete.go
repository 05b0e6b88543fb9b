package server

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/offset"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// OffsetDelete (47, KIP-496): an administrator takes committed offsets away.
//
// Partitions that do not exist are refused here, one by one, and come first in the answer. An error of the group is all that the answer has.
func offsetDelete(g *groupCall, in kmsg.Request) {
	s, q := g.conn.srv, in.(*kmsg.OffsetDeleteRequest)
	resp := q.ResponseKind().(*kmsg.OffsetDeleteResponse)
	if q.Group == "" {
		resp.ErrorCode = g.failed(kafka.InvalidGroupID)
		g.respond(resp)
		return
	}
	place := map[string]int{}
	add := func(topic string, p int32, code kafka.ErrorCode) {
		at, ok := place[topic]
		if !ok {
			at = len(resp.Topics)
			place[topic] = at
			rt := kmsg.NewOffsetDeleteResponseTopic()
			rt.Topic = topic
			resp.Topics = append(resp.Topics, rt)
		}
		rp := kmsg.NewOffsetDeleteResponseTopicPartition()
		rp.Partition, rp.ErrorCode = p, g.failed(code)
		resp.Topics[at].Partitions = append(resp.Topics[at].Partitions, rp)
	}
	ev := &offset.DeleteRequest{Group: q.Group}
	im := s.deps.Cluster.Image()
	for i := range q.Topics {
		t := &q.Topics[i]
		known, good := im.Topic(t.Topic), offset.Partitions{Topic: t.Topic}
		for _, p := range t.Partitions {
			if known == nil || known.Partition(p.Partition) == nil {
				add(t.Topic, p.Partition, kafka.UnknownTopicOrPartition)
				continue
			}
			good.Partitions = append(good.Partitions, p.Partition)
		}
		if len(good.Partitions) > 0 {
			ev.Topics = append(ev.Topics, good)
		}
	}
	g.ask(s.deps.Groups.ShardOf(q.Group), func(id coord.ReplyID) coord.Event {
		ev.Reply = id
		return ev
	})
	g.answer = func(said []any) kmsg.Response {
		reply, ok := said[0].(offset.DeleteReply)
		if !ok {
			reply.Code = said[0].(coord.Refused).Code
		}
		if reply.Code != kafka.None {
			resp.Topics, resp.ErrorCode = nil, g.failed(reply.Code)
			return resp
		}
		for _, t := range reply.Topics {
			for _, p := range t.Partitions {
				add(t.Topic, p.Partition, p.Code)
			}
		}
		return resp
	}
}
