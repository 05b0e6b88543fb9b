package server

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/offset"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// OffsetCommit (8)
//
// v2  a retention time
// v3  throttle time
// v5  no retention time any more (KIP-211)
// v6  the leader epoch of the last record consumed (KIP-320)
// v7  group instance id (KIP-345)
// v8  flexible
// v9  the generation may be a member epoch (KIP-848); GROUP_ID_NOT_FOUND may be answered
//
// v10, which names topics by id, is not advertised yet. Partitions that do not exist are refused here, one by one, and the others go to the
// coordinator; the refused ones come first in the answer, as in Kafka.
func offsetCommit(g *groupCall, in kmsg.Request) {
	s, q := g.conn.srv, in.(*kmsg.OffsetCommitRequest)
	answer := commitAnswer{g: g, resp: q.ResponseKind().(*kmsg.OffsetCommitResponse)}
	ev := &offset.CommitRequest{Version: q.Version, Group: q.Group, Generation: q.Generation, Member: q.MemberID, Instance: orEmpty(q.InstanceID),
		RetentionMs: -1}
	if q.Version <= 4 {
		ev.RetentionMs = q.RetentionTimeMillis
	}
	im := s.deps.Cluster.Image()
	count := 0
	for i := range q.Topics {
		t := &q.Topics[i]
		known, good := im.Topic(t.Topic), offset.CommitTopic{Topic: t.Topic}
		var bad []offset.PartitionResult
		for k := range t.Partitions {
			p := &t.Partitions[k]
			if known == nil || known.Partition(p.Partition) == nil {
				bad = append(bad, offset.PartitionResult{Partition: p.Partition, Code: kafka.UnknownTopicOrPartition})
				continue
			}
			c := offset.CommitPartition{Partition: p.Partition, Offset: p.Offset, LeaderEpoch: -1, Metadata: orEmpty(p.Metadata)}
			if q.Version >= 6 {
				c.LeaderEpoch = p.LeaderEpoch
			}
			good.Partitions = append(good.Partitions, c)
		}
		if known == nil || len(bad) > 0 {
			if answer.place == nil {
				answer.place = map[string]int{}
			}
			answer.add(t.Topic, bad)
		}
		if len(good.Partitions) > 0 {
			count += len(good.Partitions)
			ev.Topics = append(ev.Topics, good)
		}
	}
	if len(ev.Topics) == 0 {
		g.respond(answer.resp)
		return
	}
	g.ask(s.deps.Groups.ShardOf(q.Group), func(id coord.ReplyID) coord.Event {
		ev.Reply = id
		return ev
	})
	g.answer = func(said []any) kmsg.Response {
		reply, ok := said[0].(offset.CommitReply)
		if !ok {
			reply = ev.Refuse(said[0].(coord.Refused).Code)
		}
		for _, t := range reply.Topics {
			answer.add(t.Topic, t.Partitions)
			for _, p := range t.Partitions {
				if p.Code != kafka.None {
					count--
				}
			}
		}
		if count > 0 {
			s.deps.Metrics.Committed(ev.Group, count)
		}
		return answer.resp
	}
}

// commitAnswer gathers the answer to an OffsetCommit. Once a partition was refused here, the results of a topic are gathered in one place, as
// in Kafka; otherwise the answer is as the coordinator gives it.
type commitAnswer struct {
	g     *groupCall
	resp  *kmsg.OffsetCommitResponse
	place map[string]int // of topics in the answer; nil until a partition was refused
}

func (a *commitAnswer) add(topic string, results []offset.PartitionResult) {
	at, found := a.place[topic]
	if !found {
		at = len(a.resp.Topics)
		rt := kmsg.NewOffsetCommitResponseTopic()
		rt.Topic = topic
		a.resp.Topics = append(a.resp.Topics, rt)
		if a.place != nil {
			a.place[topic] = at
		}
	}
	for _, p := range results {
		rp := kmsg.NewOffsetCommitResponseTopicPartition()
		rp.Partition, rp.ErrorCode = p.Partition, a.g.failed(p.Code)
		a.resp.Topics[at].Partitions = append(a.resp.Topics[at].Partitions, rp)
	}
}
