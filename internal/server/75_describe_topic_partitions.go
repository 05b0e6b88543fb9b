package server

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// DescribeTopicPartitions (75): topics by name, in pages (KIP-966).
func describeTopicPartitions(s *Server, r *Request, in kmsg.Request) kmsg.Response {
	q := in.(*kmsg.DescribeTopicPartitionsRequest)
	resp := q.ResponseKind().(*kmsg.DescribeTopicPartitionsResponse)
	im := s.deps.Cluster.Image()
	var names []string
	for _, t := range q.Topics {
		names = append(names, t.Topic)
	}
	all := len(names) == 0
	if all {
		for t := range im.Topics() {
			names = append(names, t.Name)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	first := int32(0)
	if c := q.Cursor; c != nil {
		if c.Partition < 0 || !all && !slices.Contains(names, c.Topic) {
			// There is no field for an error of the whole request: every topic asked for carries it.
			s.deps.Metrics.Error(r.Key, kafka.InvalidRequest)
			for _, t := range q.Topics {
				rt := kmsg.NewDescribeTopicPartitionsResponseTopic()
				rt.Topic, rt.ErrorCode = &t.Topic, int16(kafka.InvalidRequest)
				resp.Topics = append(resp.Topics, rt)
			}
			return resp
		}
		first = c.Partition
		at, found := slices.BinarySearch(names, c.Topic)
		if !found {
			first = 0 // the topic is gone; go on with the next one
		}
		names = names[at:]
	}
	room := max(1, min(q.ResponsePartitionLimit, s.cfg.PartitionRequestLimit))
	for _, name := range names {
		if room == 0 {
			resp.NextCursor = cursorAt(name, first)
			return resp
		}
		rt := kmsg.NewDescribeTopicPartitionsResponseTopic()
		rt.Topic, rt.AuthorizedOperations = &name, topicOperations
		t := im.Topic(name)
		if t == nil {
			code := kafka.UnknownTopicOrPartition
			if kafka.CheckTopicName(name) != nil {
				code = kafka.InvalidTopicException
			}
			rt.ErrorCode = int16(code)
			s.deps.Metrics.Error(r.Key, code)
			resp.Topics = append(resp.Topics, rt)
			first = 0
			continue
		}
		rt.TopicID, rt.IsInternal = t.ID, t.Internal()
		for i := first; i < t.NumPartitions(); i++ {
			if room == 0 {
				resp.Topics = append(resp.Topics, rt)
				resp.NextCursor = cursorAt(name, i)
				return resp
			}
			room--
			p := t.Partition(i)
			v := s.partitionView(name, i, p)
			rp := kmsg.NewDescribeTopicPartitionsResponseTopicPartition()
			rp.Partition, rp.ErrorCode, rp.LeaderID, rp.LeaderEpoch = i, int16(v.code), v.leader, p.LeaderEpoch
			rp.Replicas, rp.ISR, rp.OfflineReplicas = v.replicas, v.isr, v.offline
			rp.EligibleLeaderReplicas, rp.LastKnownELR = ids(p.ELR), ids(p.LastKnownELR)
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
		first = 0
	}
	return resp
}

func cursorAt(topic string, partition int32) *kmsg.DescribeTopicPartitionsResponseNextCursor {
	c := kmsg.NewDescribeTopicPartitionsResponseNextCursor()
	c.Topic, c.Partition = topic, partition
	return &c
}
