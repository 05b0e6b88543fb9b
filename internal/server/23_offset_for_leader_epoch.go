package server

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// OffsetForLeaderEpoch (23)
//
// v2  current leader epoch
// v3  replica id
// v4  flexible
func offsetForLeaderEpoch(s *Server, r *Request, in kmsg.Request) kmsg.Response {
	q := in.(*kmsg.OffsetForLeaderEpochRequest)
	resp := q.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
	for i := range q.Topics {
		t := &q.Topics[i]
		rt := kmsg.NewOffsetForLeaderEpochResponseTopic()
		rt.Topic = t.Topic
		for _, part := range t.Partitions {
			rp := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
			rp.Partition, rp.LeaderEpoch, rp.EndOffset = part.Partition, -1, -1
			code := kafka.UnknownTopicOrPartition
			if p := s.deps.Partitions.Get(t.Topic, part.Partition); p != nil {
				if code = p.ErrorCode(); code == kafka.None {
					code = p.CheckEpoch(part.CurrentLeaderEpoch)
				}
				if code == kafka.None {
					rp.LeaderEpoch, rp.EndOffset = p.Log().EndOffsetForEpoch(part.LeaderEpoch)
				}
			}
			if rp.ErrorCode = int16(code); code != kafka.None {
				s.deps.Metrics.Error(r.Key, code)
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}
