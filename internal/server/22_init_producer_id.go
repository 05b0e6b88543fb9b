package server

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// InitProducerID (22)
//
// v2  flexible
// v3  an existing id and epoch may be given (KIP-360)
// v4  PRODUCER_FENCED may be answered
// v5  TRANSACTION_ABORTABLE may be answered (KIP-890)
//
// An idempotent producer gets a fresh id and epoch 0. Its response has no field for a message, so that a transactional id is told
// off by FindCoordinator, which clients ask first.
func initProducerID(s *Server, r *Request, in kmsg.Request) kmsg.Response {
	q := in.(*kmsg.InitProducerIDRequest)
	resp := q.ResponseKind().(*kmsg.InitProducerIDResponse)
	resp.ProducerID, resp.ProducerEpoch = -1, -1
	fail := func(code kafka.ErrorCode) kmsg.Response {
		s.deps.Metrics.Error(r.Key, code)
		resp.ErrorCode = int16(code)
		return resp
	}
	if q.TransactionalID != nil && *q.TransactionalID == "" {
		return fail(kafka.InvalidRequest)
	}
	if q.TransactionalID != nil {
		return fail(kafka.TransactionalIDAuthorizationFailed)
	}
	// An id without an epoch, or an epoch without an id, is nonsense.
	if q.Version >= 3 && (q.ProducerID == -1) != (q.ProducerEpoch == -1) {
		return fail(kafka.InvalidRequest)
	}
	ctx, cancel := context.WithTimeout(s.closing, 30*time.Second)
	defer cancel()
	id, err := s.deps.Cluster.NextProducerID(ctx)
	if err != nil {
		s.log.Error("cannot take a producer id", "error", err)
		return fail(kafka.CoordinatorNotAvailable)
	}
	resp.ProducerID, resp.ProducerEpoch = id, 0
	return resp
}
