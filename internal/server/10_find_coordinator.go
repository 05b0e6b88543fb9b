package server

import (
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
// One node coordinates every group. Clients find JoinGroup missing from ApiVersions until groups exist, and say so.

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
	nodeID, host, port := int32(-1), "", int32(-1)
	if code == kafka.None {
		b, ok := s.self(r.Listener())
		if ok {
			nodeID, host, port = int32(b.id), b.host, b.port
		} else {
			code = kafka.CoordinatorNotAvailable
		}
	}
	if code != kafka.None {
		s.deps.Metrics.Error(r.Key, code)
	}
	if q.Version < 4 {
		resp.ErrorCode, resp.ErrorMessage = int16(code), message(code, text)
		if code == kafka.None {
			resp.ErrorMessage = kmsg.StringPtr("NONE") // what Kafka says of success here
		}
		resp.NodeID, resp.Host, resp.Port = nodeID, host, port
		return resp
	}
	for _, key := range q.CoordinatorKeys {
		c := kmsg.NewFindCoordinatorResponseCoordinator()
		c.Key, c.NodeID, c.Host, c.Port = key, nodeID, host, port
		c.ErrorCode, c.ErrorMessage = int16(code), message(code, text)
		if code == kafka.None {
			c.ErrorMessage = new(string) // and here
		}
		resp.Coordinators = append(resp.Coordinators, c)
	}
	return resp
}
