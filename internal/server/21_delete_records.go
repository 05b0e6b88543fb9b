package server

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/storage"
)

// DeleteRecords (21)
//
// v2  flexible
//
// The log start moves at once, in the middle of a segment if need be. With one replica nobody has to follow, so nothing waits.
func deleteRecords(s *Server, r *Request, in kmsg.Request) kmsg.Response {
	q := in.(*kmsg.DeleteRecordsRequest)
	resp := q.ResponseKind().(*kmsg.DeleteRecordsResponse)
	for i := range q.Topics {
		t := &q.Topics[i]
		rt := kmsg.NewDeleteRecordsResponseTopic()
		rt.Topic = t.Topic
		for _, part := range t.Partitions {
			rp := kmsg.NewDeleteRecordsResponseTopicPartition()
			low, code := s.deleteBelow(t.Topic, part.Partition, part.Offset)
			rp.Partition, rp.LowWatermark, rp.ErrorCode = part.Partition, low, int16(code)
			if code != kafka.None {
				s.deps.Metrics.Error(r.Key, code)
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

// toHighWatermark is the offset that means "everything committed".
const toHighWatermark = -1

func (s *Server) deleteBelow(topic string, partition int32, offset int64) (low int64, code kafka.ErrorCode) {
	p := s.deps.Partitions.Get(topic, partition)
	switch {
	case p == nil:
		return -1, kafka.UnknownTopicOrPartition
	case kafka.IsInternal(topic):
		return -1, kafka.InvalidTopicException
	case p.ErrorCode() != kafka.None:
		return -1, p.ErrorCode()
	case p.Config().Log.CleanupPolicy&storage.Delete == 0:
		return -1, kafka.PolicyViolation
	}
	hw := p.HighWatermark()
	if offset == toHighWatermark {
		offset = hw
	}
	if offset < 0 || offset > hw {
		return -1, kafka.OffsetOutOfRange
	}
	if err := p.Log().AdvanceStart(offset); err != nil {
		code, text := p.CodeOf(err)
		if code != kafka.UnknownTopicOrPartition {
			s.log.Error("cannot delete records", "topic", topic, "partition", partition, "offset", offset, "error", text)
		}
		return -1, code
	}
	return p.Log().StartOffset(), kafka.None
}
