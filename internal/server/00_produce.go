package server

import (
	"context"
	"time"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/replica/driver"
	"github.com/barnabas-mq/barnabas/internal/storage"
	"github.com/barnabas-mq/barnabas/internal/wire"
)

// Produce (0)
//
// v0-2  advertised and refused, as Kafka does
// v3    batches of magic 2, transactional id
// v5    log start offset in the answer
// v7    zstd
// v8    record errors and a message (KIP-467)
// v9    flexible
// v10   current leader and its endpoint (KIP-951)
// v11   TRANSACTION_ABORTABLE may be answered (KIP-890)
//
// Batches are checked and written as they came, partition by partition; a fault in one does not touch the others. With acks=all the
// answer is parked until the high watermark passes what was written: until the disk has it, under log.flush=commit.

// produceCall is one Produce request from its decoding to its answer. It is recycled.
type produceCall struct {
	header  wire.RequestHeader
	version int16
	req     wire.ProduceRequest
	results []wire.ProduceResult
	awaits  []produceAwait
	names   []byte
	waiter  *driver.Waiter
	timer   *time.Timer
	start   time.Time
	waited  time.Duration
	size    int
}

// produceAwait is a written batch whose acknowledgement waits for the high watermark.
type produceAwait struct {
	p      *driver.Partition
	offset int64
	index  int // in results
}

func newProduceCall() any { return &produceCall{waiter: driver.NewWaiter()} }

// adminClient may write to internal topics, as in Kafka: its tools repair them.
const adminClient = "__admin_client"

func (c *conn) produce(r *Request) error {
	if r.Version < 3 {
		return &wire.UnsupportedError{Key: r.Key, Version: r.Version}
	}
	call := c.produceCall
	if call == nil {
		call = c.srv.produceCalls.Get().(*produceCall)
		c.produceCall = call
	}
	call.header, call.version, call.start, call.waited, call.size = r.RequestHeader, r.Version, r.Now, 0, len(r.Body)
	if err := call.req.Decode(r.Version, r.Body); err != nil {
		return err
	}
	call.req.Merge()
	failed := c.appendAll(call, r)
	if call.req.Acks == 0 {
		// No answer exists for acks=0. Closing is how the producer learns that something is wrong and looks at the metadata again.
		c.srv.deps.Metrics.Request(wire.KeyProduce, call.version, c.srv.deps.Now().Sub(call.start), 0, call.size, 0)
		call.forget()
		if failed {
			c.letGo()
			c.awaitDrained()
			return errClose
		}
		return nil
	}
	if len(call.awaits) > 0 || c.busy() {
		call.detach()
		c.produceCall = nil
		c.letGo()
		c.park(call)
		return nil
	}
	out, err := call.encode(c, c.out[:0])
	call.forget()
	if err != nil {
		return err
	}
	c.letGo()
	return c.reply(out)
}

// appendAll appends every batch of the request and fills in results and awaits. It returns whether any partition failed.
func (c *conn) appendAll(call *produceCall, r *Request) (failed bool) {
	c.checker = c.srv.checkers.Get().(*batch.Checker)
	defer func() {
		c.srv.checkers.Put(c.checker)
		c.checker = nil
	}()
	call.awaits = call.awaits[:0]
	call.results = call.results[:0]
	q := &call.req
	nowMs := r.Now.UnixMilli()
	code, text := refuseRequest(q)
	for i := range q.Topics {
		t := &q.Topics[i]
		internal := kafka.IsInternal(string(t.Name)) && string(r.ClientID) != adminClient
		for k := t.First; k < t.First+t.Count; k++ {
			res := wire.ProduceResult{ErrorCode: int16(code), Message: text, BaseOffset: -1, LogAppendTimeMs: -1, LogStartOffset: -1}
			if code == kafka.None {
				c.appendOne(call, t, k, nowMs, internal, &res)
			}
			if res.ErrorCode != 0 {
				failed = true
				c.srv.deps.Metrics.Error(wire.KeyProduce, kafka.ErrorCode(res.ErrorCode))
			}
			call.results = append(call.results, res)
		}
	}
	return failed
}

// refuseRequest finds what is wrong with a request before any of its batches is looked at.
func refuseRequest(q *wire.ProduceRequest) (kafka.ErrorCode, string) {
	switch {
	case q.Acks < -1 || q.Acks > 1:
		return kafka.InvalidRequiredAcks, ""
	case q.TransactionalID != nil:
		return kafka.TransactionalIDAuthorizationFailed, noTransactions
	}
	return kafka.None, ""
}

func (c *conn) appendOne(call *produceCall, t *wire.ProduceTopic, k int, nowMs int64, internal bool, res *wire.ProduceResult) {
	q := &call.req
	part := &q.Partitions[k]
	p := c.srv.deps.Partitions.GetBytes(t.Name, part.Index)
	if p == nil {
		res.ErrorCode = int16(kafka.UnknownTopicOrPartition)
		return
	}
	if internal {
		res.ErrorCode, res.Message = int16(kafka.InvalidTopicException), "clients may not write to an internal topic"
		return
	}
	if code := p.ErrorCode(); code != kafka.None {
		res.ErrorCode = int16(code)
		return
	}
	b, fault := batch.Single(part.Records)
	if fault == nil {
		fault = refuseBatch(call.version, b)
	}
	if fault != nil {
		res.ErrorCode, res.Message = int16(fault.Code), fault.Message
		return
	}
	cfg := p.Config()
	rules := cfg.Rules
	rules.NowMs = nowMs
	b, info, fault := c.check(part.Records, &rules)
	if fault != nil {
		res.ErrorCode, res.Message = int16(fault.Code), fault.Message
		for _, f := range fault.Records {
			res.RecordErrors = append(res.RecordErrors, wire.RecordError{Index: f.Index, Message: f.Message})
		}
		res.LogStartOffset = startBeside(fault.Code, p)
		return
	}
	done, err := p.Append(b, q.Acks, storage.Client, nowMs)
	if err != nil {
		code, text := p.CodeOf(err)
		res.ErrorCode, res.Message = int16(code), text
		res.LogStartOffset = startBeside(code, p)
		return
	}
	res.BaseOffset, res.LogStartOffset = done.BaseOffset, p.Log().StartOffset()
	switch {
	case rules.LogAppendTime:
		res.LogAppendTimeMs = done.LogAppendTimeMs
	case done.Duplicate:
		res.LogAppendTimeMs = b.MaxTimestamp() // as in Kafka, which answers a duplicate from what it remembers of the batch
	}
	c.srv.deps.Metrics.Produced(p.Name.Topic, len(b), int(info.Records))
	if q.Acks == -1 {
		if end := done.LastOffset + 1; p.HighWatermark() < end {
			call.awaits = append(call.awaits, produceAwait{p: p, offset: end, index: k})
		}
	}
}

// refuseBatch finds what a batch may not be, whatever partition it is for.
func refuseBatch(version int16, b batch.Batch) *batch.Fault {
	switch {
	case b.Transactional():
		// Without a transactional id, which refuseRequest has looked for, nobody may write in a transaction. The code is Kafka's.
		return &batch.Fault{Code: kafka.TransactionalIDAuthorizationFailed, Message: noTransactions}
	case version < 7 && b.Codec() == batch.Zstd:
		return &batch.Fault{Code: kafka.UnsupportedCompressionType, Message: "zstd needs Produce version 7"}
	case version < 7 && !b.Codec().Known():
		return &batch.Fault{Code: kafka.UnknownServerError, Message: "the batch is compressed with " + b.Codec().String() + ", which Kafka does not have"}
	}
	return nil
}

// startBeside is the log start offset that goes with an error: Kafka tells it, except with the errors that it expects of a log.
func startBeside(code kafka.ErrorCode, p *driver.Partition) int64 {
	switch code {
	case kafka.CorruptMessage, kafka.MessageTooLarge, kafka.RecordListTooLarge, kafka.KafkaStorageError, kafka.NotLeaderOrFollower:
		return -1
	}
	return p.Log().StartOffset()
}

// check waits for the memory that decompressing may take. Whoever has it gives it back without waiting for anything, so this ends.
func (c *conn) check(records []byte, rules *batch.Rules) (batch.Batch, batch.Info, *batch.Fault) {
	if need := min(c.srv.deps.CheckMemory(records), c.srv.decompression.limit); need > 0 {
		_ = c.srv.decompression.take(context.Background(), need) // fails with its context only
		defer c.srv.decompression.give(need)
	}
	return c.checker.Check(records, rules)
}

const noTransactions = "transactions are not supported by this broker yet; use an idempotent producer without transactional.id"

// detach copies what the answer needs of the request body, which is about to be reused.
func (call *produceCall) detach() {
	call.names = call.names[:0]
	for i := range call.req.Topics {
		call.names = append(call.names, call.req.Topics[i].Name...)
	}
	rest := call.names
	for i := range call.req.Topics {
		n := len(call.req.Topics[i].Name)
		call.req.Topics[i].Name, rest = rest[:n:n], rest[n:]
	}
	for i := range call.req.Partitions {
		call.req.Partitions[i].Records = nil
	}
	call.req.TransactionalID, call.header.ClientID = nil, nil
}

// forget lets go of the request body: this call waits for its connection's next request, and must not keep the last one alive.
func (call *produceCall) forget() {
	clear(call.req.Topics)
	clear(call.req.Partitions)
	call.req.TransactionalID, call.header.ClientID = nil, nil
}

// finish waits for the acknowledgements and writes the answer.
func (call *produceCall) finish(c *conn, out []byte) ([]byte, error) {
	c.srv.waitingProduce.Add(1)
	defer c.srv.waitingProduce.Add(-1)
	defer call.recycle(c.srv)
	if !call.acknowledged() {
		parked := c.srv.deps.Now()
		for i := range call.awaits {
			call.awaits[i].p.Await(call.awaits[i].offset, call.waiter)
		}
		err := call.wait(c)
		call.waited = c.srv.deps.Now().Sub(parked)
		for i := range call.awaits {
			call.awaits[i].p.Forget(call.waiter)
		}
		if err != nil {
			return nil, err
		}
	}
	return call.encode(c, out)
}

// wait returns when every batch is acknowledged or has failed, or the request's timeout is over.
func (call *produceCall) wait(c *conn) error {
	left := time.Duration(call.req.TimeoutMs)*time.Millisecond - c.srv.deps.Now().Sub(call.start)
	if call.timer == nil {
		call.timer = time.NewTimer(left)
	} else {
		call.timer.Reset(left)
	}
	defer call.timer.Stop()
	for !call.acknowledged() {
		select {
		case <-call.waiter.C:
		case <-c.done:
			return errClose
		case <-call.timer.C:
			for _, a := range call.awaits {
				if a.p.HighWatermark() < a.offset {
					call.fail(a.index, kafka.RequestTimedOut, "the batch is written, but was not acknowledged by all in-sync replicas within the request's timeout")
				}
			}
			return nil
		}
	}
	return nil
}

// acknowledged reports whether nothing is awaited any more, and turns the batches of partitions that stopped serving into errors.
func (call *produceCall) acknowledged() bool {
	pending := false
	for _, a := range call.awaits {
		if a.p.HighWatermark() >= a.offset {
			continue
		}
		if code := a.p.ErrorCode(); code != kafka.None {
			call.fail(a.index, code, "")
			continue
		}
		pending = true
	}
	return !pending
}

// fail puts an error beside the offsets of a batch that is written; Kafka leaves them in the answer.
func (call *produceCall) fail(index int, code kafka.ErrorCode, text string) {
	res := &call.results[index]
	res.ErrorCode, res.Message = int16(code), text
}

func (call *produceCall) encode(c *conn, out []byte) ([]byte, error) {
	start := len(out)
	out = wire.AppendResponseHeader(out, call.header)
	out = wire.AppendProduceResponse(out, call.version, &call.req, call.results, nil)
	if err := wire.FinishResponse(out, start, 0); err != nil {
		return nil, err
	}
	c.srv.deps.Metrics.Request(wire.KeyProduce, call.version, c.srv.deps.Now().Sub(call.start), call.waited, call.size, len(out)-start)
	return out, nil
}

func (call *produceCall) recycle(s *Server) {
	clear(call.results)
	clear(call.awaits)
	select {
	case <-call.waiter.C:
	default:
	}
	s.produceCalls.Put(call)
}
