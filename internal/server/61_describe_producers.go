package server

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// DescribeProducers (61): who has written to a partition lately, as idempotence remembers it (KIP-664).
func describeProducers(s *Server, r *Request, in kmsg.Request) kmsg.Response {
	q := in.(*kmsg.DescribeProducersRequest)
	resp := q.ResponseKind().(*kmsg.DescribeProducersResponse)
	// A partition is answered once: four bytes that ask must not become a list of producers as often as they are repeated.
	answered := map[kafka.TopicPartition]bool{}
	for i := range q.Topics {
		t := &q.Topics[i]
		rt := kmsg.NewDescribeProducersResponseTopic()
		rt.Topic = t.Topic
		for _, part := range t.Partitions {
			tp := kafka.TopicPartition{Topic: t.Topic, Partition: part}
			if answered[tp] {
				continue
			}
			answered[tp] = true
			rp := kmsg.NewDescribeProducersResponseTopicPartition()
			rp.Partition = part
			code, text := kafka.UnknownTopicOrPartition, ""
			if err := kafka.CheckTopicName(t.Topic); err != nil {
				code, text = kafka.InvalidTopicException, err.Error()
			} else if p := s.deps.Partitions.Get(t.Topic, part); p != nil {
				if code = p.ErrorCode(); code == kafka.None {
					for _, st := range p.Log().Producers() {
						a := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
						a.ProducerID, a.ProducerEpoch, a.LastSequence = st.ProducerID, int32(st.Epoch), st.LastSequence
						a.LastTimestamp, a.CoordinatorEpoch, a.CurrentTxnStartOffset = st.LastTimestamp, st.CoordinatorEpoch, st.TxnFirstOffset
						rp.ActiveProducers = append(rp.ActiveProducers, a)
					}
				}
			}
			if rp.ErrorCode = int16(code); code != kafka.None {
				// Of a topic that is there, a partition that is not goes without a word, as in Kafka.
				if code != kafka.UnknownTopicOrPartition || s.deps.Cluster.Image().Topic(t.Topic) == nil {
					rp.ErrorMessage = message(code, text)
				}
				s.deps.Metrics.Error(r.Key, code)
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}
