package server

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// FindCoordinator (10)
//
// v0  groups only
// v1  transactions; a message
// v3  flexible
// v4  many keys at once (KIP-699)
// v5  TRANSACTION_ABORTABLE may be answered (KIP-890)
//
// A group is coordinated by the broker that leads its partition of __consumer_offsets. The topic is made when the first client asks.

const (
	coordinatorGroup = 0
	coordinatorTxn   = 1
)

func findCoordinator(s *Server, r *Request, in kmsg.Request) kmsg.Response {
	q := in.(*kmsg.FindCoordinatorRequest)
	resp := q.ResponseKind().(*kmsg.FindCoordinatorResponse)
	code, text := kafka.None, ""
	switch {
	case q.CoordinatorType == coordinatorTxn:
		// Of the errors that are not retried this is the one that every client takes as final here; librdkafka asks again after others.
		code, text = kafka.TransactionalIDAuthorizationFailed, noTransactions
		if c := r.conn; !c.askedForTransactions {
			c.askedForTransactions = true
			s.warnStranger(noTransactions, "client", c.remote, "client_id", string(r.ClientID))
		}
	case q.CoordinatorType != coordinatorGroup:
		code, text = kafka.InvalidRequest, "this version knows coordinators of groups (key type 0) and of transactions (1) only"
	}
	answer := func(key string) (code kafka.ErrorCode, text string, b endpoint) {
		return s.coordinator(r.Listener(), key)
	}
	if code != kafka.None {
		answer = func(string) (kafka.ErrorCode, string, endpoint) { return code, text, nobody }
	}
	if q.Version < 4 {
		code, text, b := answer(q.CoordinatorKey)
		resp.ErrorCode, resp.ErrorMessage = int16(code), message(code, text)
		if code == kafka.None {
			resp.ErrorMessage = kmsg.StringPtr("NONE") // what Kafka says of success here
		} else {
			s.deps.Metrics.Error(r.Key, code)
		}
		resp.NodeID, resp.Host, resp.Port = int32(b.id), b.host, b.port
		return resp
	}
	for _, key := range q.CoordinatorKeys {
		code, text, b := answer(key)
		c := kmsg.NewFindCoordinatorResponseCoordinator()
		c.Key, c.NodeID, c.Host, c.Port = key, int32(b.id), b.host, b.port
		c.ErrorCode, c.ErrorMessage = int16(code), message(code, text)
		if code == kafka.None {
			c.ErrorMessage = new(string) // and here
		} else {
			s.deps.Metrics.Error(r.Key, code)
		}
		resp.Coordinators = append(resp.Coordinators, c)
	}
	return resp
}

// nobody is where no broker is known.
var nobody = endpoint{id: -1, port: -1}

// coordinator is the broker that coordinates a group, as reached through a listener.
func (s *Server) coordinator(listener, group string) (kafka.ErrorCode, string, endpoint) {
	shard := s.deps.Groups.ShardOf(group)
	if shard < 0 {
		ctx, cancel := s.changeContext(offsetsTopicWaitMs)
		err := s.deps.EnsureOffsetsTopic(ctx)
		cancel()
		if err != nil {
			s.log.Warn("a client asks for the coordinator of its group, and "+kafka.OffsetsTopic+" cannot be created", "group", clip(group), "error", err)
			return kafka.CoordinatorNotAvailable, fmt.Sprintf("%s cannot be created: %v", kafka.OffsetsTopic, err), nobody
		}
		if shard = s.deps.Groups.ShardOf(group); shard < 0 {
			return kafka.CoordinatorNotAvailable, kafka.OffsetsTopic + " is being created", nobody
		}
	}
	im := s.deps.Cluster.Image()
	if p := im.Partition(kafka.OffsetsTopic, shard); p != nil {
		for _, e := range s.endpoints(im, listener) {
			if e.id == p.Leader {
				return kafka.None, "", e
			}
		}
	}
	return kafka.CoordinatorNotAvailable, fmt.Sprintf("partition %d of %s has no leader that this listener reaches", shard, kafka.OffsetsTopic), nobody
}

// offsetsTopicWaitMs bounds the wait for __consumer_offsets to be made.
const offsetsTopicWaitMs = 10_000
