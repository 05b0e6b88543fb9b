package server

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/meta"
)

// Metadata (3)
//
// v0   an empty list means all topics
// v1   null means all, empty means none; controller, rack, internal
// v2   cluster id
// v4   the client decides whether topics are created (KIP-204)
// v5   offline replicas
// v7   leader epoch
// v8   authorized operations (KIP-430); those of the cluster until v10
// v9   flexible
// v10  topic ids in the answer
// v12  topics by id
// v13  an error for the whole answer (KIP-1102)

// Operations an unsecured broker allows, as bits by Kafka's AclOperation codes.
const (
	topicOperations   = 1<<3 | 1<<4 | 1<<5 | 1<<6 | 1<<7 | 1<<8 | 1<<10 | 1<<11
	clusterOperations = 1<<5 | 1<<7 | 1<<8 | 1<<9 | 1<<10 | 1<<11 | 1<<12
	notAsked          = -1 << 31
)

func metadata(s *Server, r *Request, in kmsg.Request) kmsg.Response {
	q := in.(*kmsg.MetadataRequest)
	resp := q.ResponseKind().(*kmsg.MetadataResponse)
	byID := false // one id in the request, and names beside it are not looked at
	for i := range q.Topics {
		hasID := q.Topics[i].TopicID != [16]byte{}
		if q.Version < 12 && (hasID || q.Topics[i].Topic == nil) {
			// v10 and v11 can spell an id, but none is answered before v12: the whole request is refused.
			s.deps.Metrics.Error(r.Key, kafka.InvalidRequest)
			return refuseMetadata(q, resp, kafka.InvalidRequest)
		}
		byID = byID || hasID
	}
	if !byID {
		s.autoCreate(r, q)
	}
	im := s.deps.Cluster.Image()
	for _, b := range s.endpoints(im, r.Listener()) {
		rb := kmsg.NewMetadataResponseBroker()
		rb.NodeID, rb.Host, rb.Port, rb.Rack = int32(b.id), b.host, b.port, b.rack
		resp.Brokers = append(resp.Brokers, rb)
	}
	id := im.ClusterID()
	resp.ClusterID, resp.ControllerID = &id, int32(s.deps.NodeID)
	if q.Version >= 8 && q.Version <= 10 && q.IncludeClusterAuthorizedOperations {
		resp.AuthorizedOperations = clusterOperations
	}
	topicOps := int32(notAsked)
	if q.Version >= 8 && q.IncludeTopicAuthorizedOperations {
		topicOps = topicOperations
	}
	if all := q.Topics == nil || q.Version == 0 && len(q.Topics) == 0; all {
		for t := range im.Topics() {
			resp.Topics = append(resp.Topics, s.describeTopic(t, topicOps))
		}
		return resp
	}
	var seen map[topicKey]bool // a topic named twice is answered once
	if len(q.Topics) > 1 {
		seen = make(map[topicKey]bool, len(q.Topics))
	}
	for i := range q.Topics {
		key := topicKey{id: q.Topics[i].TopicID}
		switch name := q.Topics[i].Topic; {
		case byID && key.id.IsZero():
			continue
		case !byID && name != nil:
			key.name = *name
		}
		if !seen[key] {
			if seen != nil {
				seen[key] = true
			}
			resp.Topics = append(resp.Topics, s.findTopic(q, im, &q.Topics[i], topicOps))
		}
	}
	return resp
}

// topicKey is how a request names a topic.
type topicKey struct {
	name string
	id   kafka.TopicID
}

// refuseMetadata answers nothing but a code for each topic of the request.
func refuseMetadata(q *kmsg.MetadataRequest, resp *kmsg.MetadataResponse, code kafka.ErrorCode) kmsg.Response {
	for i := range q.Topics {
		t := kmsg.NewMetadataResponseTopic()
		t.Topic, t.TopicID, t.ErrorCode = q.Topics[i].Topic, q.Topics[i].TopicID, int16(code)
		if t.Topic == nil {
			t.Topic = new(string) // null is allowed from v12 on only
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

// autoCreate makes the topics that are asked for and missing. Kafka answers first and creates later; on one node creation takes as
// long as an answer, so the client gets its topic with the first one.
func (s *Server) autoCreate(r *Request, q *kmsg.MetadataRequest) {
	if q.Version >= 4 && !q.AllowAutoTopicCreation || !s.deps.Config().Broker.Topics.AutoCreate {
		return
	}
	im := s.deps.Cluster.Image()
	for i := range q.Topics {
		name := q.Topics[i].Topic
		if name == nil || im.Topic(*name) != nil || kafka.CheckTopicName(*name) != nil || kafka.IsInternal(*name) {
			continue
		}
		r.conn.flush() // an error shows at the next write
		ctx, cancel := context.WithTimeout(s.closing, 30*time.Second)
		if res := s.deps.Cluster.EnsureTopic(ctx, *name); !res.OK() {
			s.warnStranger("a topic asked for could not be created", "topic", *name, "error", res.Code, "reason", res.Message)
		}
		cancel()
	}
}

func (s *Server) findTopic(q *kmsg.MetadataRequest, im *meta.Image, rt *kmsg.MetadataRequestTopic, ops int32) kmsg.MetadataResponseTopic {
	fail := func(code kafka.ErrorCode) kmsg.MetadataResponseTopic {
		t := kmsg.NewMetadataResponseTopic()
		t.Topic, t.ErrorCode, t.TopicID = rt.Topic, int16(code), rt.TopicID
		if code == kafka.UnknownTopicID {
			t.Topic = nil
		} else {
			t.AuthorizedOperations = ops // what one may do does not depend on whether the topic is there
		}
		s.deps.Metrics.Error(q.Key(), code)
		return t
	}
	id := kafka.TopicID(rt.TopicID)
	switch {
	case !id.IsZero():
		if t := im.TopicByID(id); t != nil { // a name beside the id is not looked at
			return s.describeTopic(t, ops)
		}
		return fail(kafka.UnknownTopicID)
	case rt.Topic == nil:
		return fail(kafka.InvalidRequest)
	case kafka.CheckTopicName(*rt.Topic) != nil:
		return fail(kafka.InvalidTopicException)
	}
	if t := im.Topic(*rt.Topic); t != nil {
		return s.describeTopic(t, ops)
	}
	return fail(kafka.UnknownTopicOrPartition)
}

func (s *Server) describeTopic(t *meta.Topic, ops int32) kmsg.MetadataResponseTopic {
	rt := kmsg.NewMetadataResponseTopic()
	rt.Topic, rt.TopicID, rt.IsInternal, rt.AuthorizedOperations = &t.Name, t.ID, t.Internal(), ops
	rt.Partitions = make([]kmsg.MetadataResponseTopicPartition, 0, t.NumPartitions())
	for i, p := range t.Partitions() {
		rp := kmsg.NewMetadataResponseTopicPartition()
		v := s.partitionView(t.Name, i, p)
		rp.Partition, rp.ErrorCode, rp.Leader, rp.LeaderEpoch = i, int16(v.code), v.leader, p.LeaderEpoch
		rp.Replicas, rp.ISR, rp.OfflineReplicas = v.replicas, v.isr, v.offline
		rt.Partitions = append(rt.Partitions, rp)
	}
	return rt
}

// partitionView is a partition as clients are told of it.
type partitionView struct {
	code                   kafka.ErrorCode
	leader                 int32
	replicas, isr, offline []int32
}

func (s *Server) partitionView(topic string, i int32, p *meta.Partition) partitionView {
	v := partitionView{leader: int32(p.Leader), replicas: ids(p.Replicas), isr: ids(p.ISR), offline: []int32{}}
	if here := s.deps.Partitions.Get(topic, i); here == nil || here.ErrorCode() != kafka.None {
		// Its disk failed: this node cannot lead it, and there is no other.
		v.leader, v.isr, v.offline = -1, []int32{}, []int32{int32(s.deps.NodeID)}
	}
	if v.leader < 0 {
		v.code = kafka.LeaderNotAvailable
	}
	return v
}

func ids(in []kafka.NodeID) []int32 {
	out := make([]int32, len(in))
	for i, id := range in {
		out[i] = int32(id)
	}
	return out
}

// endpoint is a broker as reached through one listener.
type endpoint struct {
	id   kafka.NodeID
	host string
	port int32
	rack *string
}

// endpoints lists the brokers that can be reached through a listener of that name.
func (s *Server) endpoints(im *meta.Image, listener string) []endpoint {
	var out []endpoint
	for _, b := range im.Brokers() {
		l := b.Listener(listener)
		if l == nil || b.Fenced {
			continue
		}
		e := endpoint{id: b.ID, host: l.Host, port: l.Port}
		if b.Rack != "" {
			e.rack = &b.Rack
		}
		out = append(out, e)
	}
	return out
}

// describeCluster (60)
//
// v1  endpoint type (KIP-919)
// v2  fenced brokers may be listed (KIP-1073)
func describeCluster(s *Server, r *Request, in kmsg.Request) kmsg.Response {
	const brokers, controllers = 1, 2
	q := in.(*kmsg.DescribeClusterRequest)
	resp := q.ResponseKind().(*kmsg.DescribeClusterResponse)
	resp.ControllerID = -1
	if q.Version >= 1 && q.EndpointType != brokers {
		code, text := kafka.UnsupportedEndpointType, fmt.Sprintf("endpoint type %d is not known", q.EndpointType)
		if q.EndpointType == controllers {
			code, text = kafka.MismatchedEndpointType, "this is a broker's endpoint, not a controller's"
		}
		resp.ErrorCode, resp.ErrorMessage = int16(code), message(code, text)
		s.deps.Metrics.Error(r.Key, code)
		return resp
	}
	im := s.deps.Cluster.Image()
	resp.EndpointType = brokers
	resp.ClusterID, resp.ControllerID = im.ClusterID(), int32(s.deps.NodeID)
	if q.IncludeClusterAuthorizedOperations {
		resp.ClusterAuthorizedOperations = clusterOperations
	}
	for _, b := range s.endpoints(im, r.Listener()) {
		rb := kmsg.NewDescribeClusterResponseBroker()
		rb.NodeID, rb.Host, rb.Port, rb.Rack = int32(b.id), b.host, b.port, b.rack
		resp.Brokers = append(resp.Brokers, rb)
	}
	return resp
}
