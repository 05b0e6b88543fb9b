package server

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/config"
	"github.com/barnabas-mq/barnabas/internal/controller"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// changeContext bounds a change of metadata by the request's timeout. A timeout of zero or less still leaves one attempt: what takes
// longer on one node is a disk that hangs.
func (s *Server) changeContext(timeoutMs int32) (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.closing, max(time.Duration(timeoutMs)*time.Millisecond, time.Second))
}

// CreateTopics (19)
//
// v4  partitions and replication may be left to the broker
// v5  flexible; the answer tells partitions, replication and settings (KIP-525)
// v6  THROTTLING_QUOTA_EXCEEDED may be answered; there are no quotas
// v7  topic ids
func createTopics(s *Server, r *Request, in kmsg.Request) kmsg.Response {
	q := in.(*kmsg.CreateTopicsRequest)
	resp := q.ResponseKind().(*kmsg.CreateTopicsResponse)
	req := controller.CreateTopicsRequest{ValidateOnly: q.ValidateOnly}
	overrides := map[string]map[string]string{}
	for i := range q.Topics {
		t := &q.Topics[i]
		nt := controller.NewTopic{Name: t.Topic, Partitions: t.NumPartitions, ReplicationFactor: t.ReplicationFactor}
		for _, a := range t.ReplicaAssignment {
			nt.Assignments = append(nt.Assignments, controller.Assignment{Partition: a.Partition, Replicas: nodes(a.Replicas)})
		}
		set := map[string]string{}
		for _, c := range t.Configs {
			nt.Configs = append(nt.Configs, controller.NewTopicSetting{Name: c.Name, Value: c.Value})
			if c.Value != nil {
				set[c.Name] = *c.Value
			}
		}
		overrides[t.Topic] = set
		req.Topics = append(req.Topics, nt)
	}
	ctx, cancel := s.changeContext(q.TimeoutMillis)
	defer cancel()
	for _, res := range s.deps.Cluster.CreateTopics(ctx, req) {
		rt := kmsg.NewCreateTopicsResponseTopic()
		rt.Topic, rt.ErrorCode, rt.ErrorMessage = res.Name, int16(res.Code), message(res.Code, res.Message)
		rt.NumPartitions, rt.ReplicationFactor = -1, -1
		if res.OK() {
			rt.TopicID, rt.NumPartitions, rt.ReplicationFactor = res.ID, res.Partitions, res.ReplicationFactor
			rt.Configs = createdConfigs(s.deps.Config().DescribeTopic(overrides[res.Name], nil), overrides[res.Name])
		} else {
			rt.Configs = []kmsg.CreateTopicsResponseTopicConfig{} // null would mean that they may not be seen
			s.deps.Metrics.Error(r.Key, res.Code)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

// createdConfigs shows what the client has set as the client wrote it.
func createdConfigs(entries []config.Entry, set map[string]string) []kmsg.CreateTopicsResponseTopicConfig {
	out := make([]kmsg.CreateTopicsResponseTopicConfig, 0, len(entries))
	for _, e := range entries {
		c := kmsg.NewCreateTopicsResponseTopicConfig()
		c.Name, c.Value, c.ReadOnly, c.Source, c.IsSensitive = e.Name, e.Value, e.ReadOnly, int8(e.Source), e.Sensitive
		if v, ok := set[e.Name]; ok && !e.Sensitive {
			c.Value = &v
		}
		out = append(out, c)
	}
	return out
}

func nodes(in []int32) []kafka.NodeID {
	if in == nil {
		return nil
	}
	out := make([]kafka.NodeID, len(in))
	for i, id := range in {
		out[i] = kafka.NodeID(id)
	}
	return out
}

// DeleteTopics (20)
//
// v4  flexible
// v5  a message
// v6  topics by id
func deleteTopics(s *Server, r *Request, in kmsg.Request) kmsg.Response {
	q := in.(*kmsg.DeleteTopicsRequest)
	resp := q.ResponseKind().(*kmsg.DeleteTopicsResponse)
	var refs []controller.TopicRef
	if q.Version >= 6 {
		for i := range q.Topics {
			refs = append(refs, controller.TopicRef{Name: q.Topics[i].Topic, ID: q.Topics[i].TopicID})
		}
	} else {
		for i := range q.TopicNames {
			refs = append(refs, controller.TopicRef{Name: &q.TopicNames[i]})
		}
	}
	ctx, cancel := s.changeContext(q.TimeoutMillis)
	defer cancel()
	for _, res := range s.deps.Cluster.DeleteTopics(ctx, refs) {
		rt := kmsg.NewDeleteTopicsResponseTopic()
		rt.Topic, rt.TopicID = res.Name, res.ID
		rt.ErrorCode, rt.ErrorMessage = int16(res.Code), message(res.Code, res.Message)
		if q.Version < 3 && res.Code == kafka.TopicDeletionDisabled {
			rt.ErrorCode = int16(kafka.InvalidRequest) // clients of that age do not know the code
		}
		if !res.OK() {
			s.deps.Metrics.Error(r.Key, res.Code)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

// CreatePartitions (37)
//
// v2  flexible
// v3  THROTTLING_QUOTA_EXCEEDED may be answered; there are no quotas
func createPartitions(s *Server, r *Request, in kmsg.Request) kmsg.Response {
	q := in.(*kmsg.CreatePartitionsRequest)
	resp := q.ResponseKind().(*kmsg.CreatePartitionsResponse)
	req := controller.CreatePartitionsRequest{ValidateOnly: q.ValidateOnly}
	for i := range q.Topics {
		t := &q.Topics[i]
		more := controller.MorePartitions{Name: t.Topic, Count: t.Count}
		if t.Assignment != nil {
			more.Assignments = [][]kafka.NodeID{}
			for _, a := range t.Assignment {
				more.Assignments = append(more.Assignments, nodes(a.Replicas))
			}
		}
		req.Topics = append(req.Topics, more)
	}
	ctx, cancel := s.changeContext(q.TimeoutMillis)
	defer cancel()
	for _, res := range s.deps.Cluster.CreatePartitions(ctx, req) {
		rt := kmsg.NewCreatePartitionsResponseTopic()
		rt.Topic, rt.ErrorCode, rt.ErrorMessage = res.Name, int16(res.Code), message(res.Code, res.Message)
		if res.Code == kafka.UnknownTopicOrPartition {
			rt.ErrorMessage = nil // Kafka lets the code speak for itself here
		}
		if !res.OK() {
			s.deps.Metrics.Error(r.Key, res.Code)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}
