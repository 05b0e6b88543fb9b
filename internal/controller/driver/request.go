package driver

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"runtime/debug"

	"github.com/barnabas-mq/barnabas/internal/controller"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/meta"
)

// job is one request on its way through the driver's goroutine.
type job struct {
	ctx    context.Context
	decide func(*meta.Image) meta.Txn
	failed controller.Result // set before done is closed: why the request as a whole came to nothing
	hook   error             // set before done is closed: what OnChange said of the change
	done   chan struct{}
}

// serve decides and commits one request.
func (d *Driver) serve(j *job) {
	for {
		if j.ctx.Err() != nil {
			j.failed = timedOut()
			return
		}
		if d.failed != nil {
			j.failed = d.whyFailed()
			return
		}
		im := d.image.Load()
		txn, ok := d.decide(j, im)
		if !ok || len(txn.Do) == 0 {
			return
		}
		out, err := d.cfg.Store.Txn(j.ctx, txn)
		switch {
		case err != nil && j.ctx.Err() != nil:
			j.failed = timedOut()
			return
		case err != nil:
			d.log.Error("metadata could not be written", "err", err)
			j.failed = controller.Result{Code: kafka.KafkaStorageError, Message: err.Error()}
			return
		case !out.Committed && out.Revision <= im.Revision():
			// The decision was made on the very state that refused it: asking again would give the same for ever.
			d.log.Error("a metadata change contradicts the state it was decided on", "revision", im.Revision())
			j.failed = controller.Result{Code: kafka.UnknownServerError, Message: "the metadata store holds a key that the image does not show"}
			return
		}
		hook, ok := d.advance(out.Revision)
		if !ok {
			if j.failed = closing(); d.failed != nil {
				j.failed = d.whyFailed()
			}
			return
		}
		if out.Committed {
			j.hook = hook
			return
		}
	}
}

// decide asks the core. A panic there is a bug that this request uncovered; the core keeps nothing, so it hurts nobody else.
func (d *Driver) decide(j *job, im *meta.Image) (txn meta.Txn, ok bool) {
	defer func() {
		if r := recover(); r != nil {
			d.log.Error("a bug in the controller: a request could not be decided", "panic", r, "stack", string(debug.Stack()))
			j.failed = failedPlain(kafka.UnknownServerError)
			txn, ok = meta.Txn{}, false
		}
	}()
	return j.decide(im), true
}

// advance takes in changes until the image holds revision, and returns what OnChange said of the last of them. It is not ok
// if the driver fails or ends before that.
func (d *Driver) advance(revision meta.Revision) (hook error, ok bool) {
	for d.image.Load().Revision() < revision {
		if d.failed != nil {
			return nil, false
		}
		select {
		case a := <-d.events:
			hook = d.take(a)
		case <-d.ctx.Done():
			return nil, false
		}
	}
	return hook, true
}

func failedPlain(code kafka.ErrorCode) controller.Result {
	return controller.Result{Code: code, Message: code.Message()}
}

func timedOut() controller.Result { return failedPlain(kafka.RequestTimedOut) }

func closing() controller.Result {
	return controller.Result{Code: kafka.NotController, Message: "the broker is shutting down"}
}

func (d *Driver) whyFailed() controller.Result {
	return controller.Result{Code: kafka.KafkaStorageError, Message: "the metadata cannot be followed any more: " + d.failed.Error()}
}

// submit hands a request to the driver's goroutine and waits for it. failed is not OK when the request as a whole failed.
func submit[R any](d *Driver, ctx context.Context, decide func(*meta.Image) (R, meta.Txn)) (result R, hook error, failed controller.Result) {
	var r R // the driver's goroutine writes it; read only after done, never when ctx ended first
	j := &job{ctx: ctx, done: make(chan struct{})}
	j.decide = func(im *meta.Image) (txn meta.Txn) {
		r, txn = decide(im)
		return txn
	}
	select {
	case <-d.ended: // first, since the queue may still have room
		return result, nil, closing()
	default:
	}
	select {
	case d.queue <- j:
	case <-ctx.Done():
		return result, nil, timedOut()
	case <-d.ended:
		return result, nil, closing()
	}
	select {
	case <-j.done:
	case <-ctx.Done():
		return result, nil, timedOut()
	case <-d.ended:
		select {
		case <-j.done: // it was the last one
		default:
			return result, nil, closing()
		}
	}
	if !j.failed.OK() {
		return result, nil, j.failed
	}
	return r, j.hook, controller.Result{}
}

// afterHook is an item's result when OnChange said hook: what was committed but could not be carried out is no success.
func afterHook(r controller.Result, hook error) controller.Result {
	if r.OK() && hook != nil {
		return controller.Result{Code: kafka.KafkaStorageError, Message: "the change is part of the metadata now, but could not be carried out: " + hook.Error()}
	}
	return r
}

// CreateTopics creates topics; see controller.CreateTopics. Missing ids and placement starts are filled in.
func (d *Driver) CreateTopics(ctx context.Context, req controller.CreateTopicsRequest) []controller.TopicResult {
	topics := make([]controller.NewTopic, len(req.Topics))
	copy(topics, req.Topics)
	for i := range topics {
		if topics[i].ID.IsZero() {
			topics[i].ID = d.cfg.NewTopicID()
		}
		if topics[i].Start == 0 {
			topics[i].Start = d.cfg.NewStart()
		}
	}
	req.Topics = topics
	res, hook, failed := submit(d, ctx, func(im *meta.Image) ([]controller.TopicResult, meta.Txn) {
		return d.core.CreateTopics(im, req)
	})
	if !failed.OK() {
		res = make([]controller.TopicResult, len(topics))
		for i := range topics {
			res[i] = controller.TopicResult{Name: topics[i].Name, Result: failed}
		}
	}
	for i := range res {
		res[i].Result = afterHook(res[i].Result, hook)
	}
	return res
}

// EnsureTopic creates the topic with the defaults unless it exists; both is success. It is what auto.create.topics.enable asks
// for.
func (d *Driver) EnsureTopic(ctx context.Context, name string) controller.TopicResult {
	return d.Ensure(ctx, controller.NewTopic{Name: name, Partitions: -1, ReplicationFactor: -1})
}

// Ensure creates the topic as t says unless one of that name exists, whatever it is like; both is success.
func (d *Driver) Ensure(ctx context.Context, t controller.NewTopic) controller.TopicResult {
	exists := func(im *meta.Image) (controller.TopicResult, bool) {
		topic := im.Topic(t.Name)
		if topic == nil {
			return controller.TopicResult{}, false
		}
		return controller.TopicResult{
			Name: topic.Name, ID: topic.ID, Partitions: topic.NumPartitions(), ReplicationFactor: int16(len(topic.Partition(0).Replicas)),
		}, true
	}
	if r, ok := exists(d.Image()); ok {
		return r
	}
	r := d.CreateTopics(ctx, controller.CreateTopicsRequest{Topics: []controller.NewTopic{t}})[0]
	if r.Code == kafka.TopicAlreadyExists {
		if r, ok := exists(d.Image()); ok {
			return r
		}
	}
	return r
}

// DeleteTopics deletes topics; see controller.DeleteTopics.
func (d *Driver) DeleteTopics(ctx context.Context, refs []controller.TopicRef) []controller.DeleteTopicResult {
	res, hook, failed := submit(d, ctx, func(im *meta.Image) ([]controller.DeleteTopicResult, meta.Txn) {
		return d.core.DeleteTopics(im, refs)
	})
	if !failed.OK() {
		res = make([]controller.DeleteTopicResult, len(refs))
		for i, ref := range refs {
			res[i] = controller.DeleteTopicResult{Name: ref.Name, ID: ref.ID, Result: failed}
		}
	}
	for i := range res {
		res[i].Result = afterHook(res[i].Result, hook)
	}
	return res
}

// CreatePartitions adds partitions; see controller.CreatePartitions. Missing placement starts are filled in.
func (d *Driver) CreatePartitions(ctx context.Context, req controller.CreatePartitionsRequest) []controller.TopicResult {
	topics := make([]controller.MorePartitions, len(req.Topics))
	copy(topics, req.Topics)
	for i := range topics {
		if topics[i].Start == 0 {
			topics[i].Start = d.cfg.NewStart()
		}
	}
	req.Topics = topics
	res, hook, failed := submit(d, ctx, func(im *meta.Image) ([]controller.TopicResult, meta.Txn) {
		return d.core.CreatePartitions(im, req)
	})
	if !failed.OK() {
		res = make([]controller.TopicResult, len(topics))
		for i := range topics {
			res[i] = controller.TopicResult{Name: topics[i].Name, Result: failed}
		}
	}
	for i := range res {
		res[i].Result = afterHook(res[i].Result, hook)
	}
	return res
}

// AlterConfigs replaces settings; see controller.AlterConfigs.
func (d *Driver) AlterConfigs(ctx context.Context, req controller.AlterConfigsRequest) []controller.AlterResult {
	return d.alter(ctx, req, d.core.AlterConfigs)
}

// IncrementalAlterConfigs changes settings; see controller.IncrementalAlterConfigs.
func (d *Driver) IncrementalAlterConfigs(ctx context.Context, req controller.AlterConfigsRequest) []controller.AlterResult {
	return d.alter(ctx, req, d.core.IncrementalAlterConfigs)
}

func (d *Driver) alter(ctx context.Context, req controller.AlterConfigsRequest, core func(*meta.Image, controller.AlterConfigsRequest) ([]controller.AlterResult, meta.Txn)) []controller.AlterResult {
	res, hook, failed := submit(d, ctx, func(im *meta.Image) ([]controller.AlterResult, meta.Txn) { return core(im, req) })
	if !failed.OK() {
		res = make([]controller.AlterResult, len(req.Resources))
		for i, r := range req.Resources {
			res[i] = controller.AlterResult{Type: r.Type, Name: r.Name, Result: failed}
		}
	}
	for i := range res {
		res[i].Result = afterHook(res[i].Result, hook)
	}
	return res
}

// ProducerIDError says why there is no producer id.
type ProducerIDError struct{ controller.Result }

func (e *ProducerIDError) Error() string { return e.Code.String() + ": " + e.Message }

// NextProducerID is an id that no producer of this cluster was or will be given. It comes from a block the broker holds; only
// every controller.ProducerIDBlock-th call waits for the Store. The error is a *ProducerIDError.
func (d *Driver) NextProducerID(ctx context.Context) (int64, error) {
	var ids controller.ProducerIDs
	select {
	case ids = <-d.producerIDs:
	case <-ctx.Done():
		return 0, &ProducerIDError{timedOut()}
	}
	defer func() { d.producerIDs <- ids }()
	if ids.Count == 0 {
		block, _, failed := submit(d, ctx, d.core.AllocateProducerIDs)
		if failed.OK() {
			failed = block.Result
		}
		if !failed.OK() {
			return 0, &ProducerIDError{failed}
		}
		ids = block
	}
	id := ids.First
	ids.First++
	ids.Count--
	return id, nil
}

// AsProducerIDError is err's code and message for the client.
func AsProducerIDError(err error) controller.Result {
	var e *ProducerIDError
	if errors.As(err, &e) {
		return e.Result
	}
	return controller.Result{Code: kafka.UnknownServerError, Message: err.Error()}
}

// randomTopicID draws an id of version 4. Ids whose text begins with "-" are drawn again, since command lines would take them
// for flags.
func randomTopicID() (id kafka.TopicID) {
	for {
		rand.Read(id[:])
		id[6] = id[6]&0x0f | 0x40
		id[8] = id[8]&0x3f | 0x80
		if id.String()[0] != '-' {
			return id
		}
	}
}

func randomClusterID() string {
	id := randomTopicID()
	return base64.RawURLEncoding.EncodeToString(id[:])
}

func randomStart() uint32 {
	var b [4]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint32(b[:])
}
