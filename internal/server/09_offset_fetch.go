package server

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/offset"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// OffsetFetch (9)
//
// v2  null topics ask for everything that is committed; an error of the whole group
// v3  throttle time
// v5  leader epochs
// v6  flexible
// v7  require stable (KIP-447)
// v8  many groups at once (KIP-709)
// v9  member id and epoch (KIP-848); members of classic groups are not checked, as in Kafka
//
// v10, which names topics by id, is not advertised yet. Require stable asks to wait for transactions; there are none, so every committed
// offset is stable. An answer tells of nothing that is not on disk in any case.
func offsetFetch(g *groupCall, in kmsg.Request) {
	q := in.(*kmsg.OffsetFetchRequest)
	var asked []*offset.FetchRequest
	if q.Version < 8 {
		ev := &offset.FetchRequest{Group: q.Group, All: q.Topics == nil}
		for i := range q.Topics {
			ev.Topics = append(ev.Topics, offset.Partitions{Topic: q.Topics[i].Topic, Partitions: q.Topics[i].Partitions})
		}
		asked = append(asked, ev)
	}
	byName := map[string]*offset.FetchRequest{}
	for i := range q.Groups {
		qg := &q.Groups[i]
		ev := byName[qg.Group]
		if ev == nil {
			ev = &offset.FetchRequest{Group: qg.Group}
			byName[qg.Group] = ev
			asked = append(asked, ev)
		}
		ev.All = ev.All || qg.Topics == nil
		for k := range qg.Topics {
			ev.Topics = append(ev.Topics, offset.Partitions{Topic: qg.Topics[k].Topic, Partitions: qg.Topics[k].Partitions})
		}
	}
	for _, ev := range asked {
		once(ev)
		g.ask(g.conn.srv.deps.Groups.ShardOf(ev.Group), func(id coord.ReplyID) coord.Event {
			ev.Reply = id
			return ev
		})
	}
	g.answer = func(said []any) kmsg.Response {
		resp := q.ResponseKind().(*kmsg.OffsetFetchResponse)
		for i, ev := range asked {
			reply, ok := said[i].(offset.FetchReply)
			code := kafka.None
			if !ok {
				code = said[i].(coord.Refused).Code
			}
			if q.Version < 8 {
				g.fetched(resp, ev, reply, code)
			} else {
				resp.Groups = append(resp.Groups, g.fetchedGroup(ev, reply, code))
			}
		}
		return resp
	}
}

// once takes out what is asked for again: four bytes that ask must not become an offset with its metadata as often as they are repeated.
func once(ev *offset.FetchRequest) {
	if ev.All {
		ev.Topics = nil
	}
	seen := map[kafka.TopicPartition]bool{}
	for i := range ev.Topics {
		t := &ev.Topics[i]
		kept := make([]int32, 0, len(t.Partitions))
		for _, p := range t.Partitions {
			if tp := (kafka.TopicPartition{Topic: t.Topic, Partition: p}); !seen[tp] {
				seen[tp] = true
				kept = append(kept, p)
			}
		}
		t.Partitions = kept
	}
}

// fetched is the answer for one group up to version 7. Version 1 has no place for an error of the group: every partition has it.
func (g *groupCall) fetched(resp *kmsg.OffsetFetchResponse, ev *offset.FetchRequest, reply offset.FetchReply, code kafka.ErrorCode) {
	partition := func(code kafka.ErrorCode, p offset.FetchedPartition) kmsg.OffsetFetchResponseTopicPartition {
		rp := kmsg.NewOffsetFetchResponseTopicPartition()
		rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata, rp.ErrorCode = p.Partition, p.Offset, p.LeaderEpoch, &p.Metadata, g.failed(code)
		return rp
	}
	if code != kafka.None && resp.Version >= 2 {
		resp.ErrorCode = g.failed(code)
		return
	}
	if code != kafka.None {
		for _, t := range ev.Topics {
			rt := kmsg.NewOffsetFetchResponseTopic()
			rt.Topic = t.Topic
			for _, p := range t.Partitions {
				rt.Partitions = append(rt.Partitions, partition(code, offset.FetchedPartition{Partition: p, Offset: offset.NoOffset, LeaderEpoch: -1}))
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return
	}
	for _, t := range reply.Topics {
		rt := kmsg.NewOffsetFetchResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rt.Partitions = append(rt.Partitions, partition(code, p))
		}
		resp.Topics = append(resp.Topics, rt)
	}
}

// fetchedGroup is the answer for one group from version 8 on.
func (g *groupCall) fetchedGroup(ev *offset.FetchRequest, reply offset.FetchReply, code kafka.ErrorCode) kmsg.OffsetFetchResponseGroup {
	rg := kmsg.NewOffsetFetchResponseGroup()
	rg.Group, rg.ErrorCode = ev.Group, g.failed(code)
	for _, t := range reply.Topics {
		rt := kmsg.NewOffsetFetchResponseGroupTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewOffsetFetchResponseGroupTopicPartition()
			rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata = p.Partition, p.Offset, p.LeaderEpoch, &p.Metadata
			rt.Partitions = append(rt.Partitions, rp)
		}
		rg.Topics = append(rg.Topics, rt)
	}
	return rg
}
