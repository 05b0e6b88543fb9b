// Package driver runs the controller: it is the one place in a broker where metadata is changed and the one from which all
// others learn of changes.
//
// Start reads the whole Store, registers the broker and hands the first image to Config.OnChange. From then on one goroutine
// does everything in order. It takes a request, lets package controller decide on the latest image, commits the transaction
// (deciding again if the Store has moved on), takes in the changes that follow, calls OnChange, publishes the new image, and
// only then answers the request. So whoever got an answer finds it in Image, and everything OnChange made is there. A second
// goroutine waits at the Store for changes that others make.
//
// Requests never return Go errors: each item has a kafka.ErrorCode and a message. Where the driver itself is the reason:
// REQUEST_TIMED_OUT when ctx ends first (the change may still happen), KAFKA_STORAGE_ERROR when the Store cannot write or
// OnChange failed, NOT_CONTROLLER after Close.
//
// Shell: goroutines, waiting and logging are here; decisions are not.
package driver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/barnabas-mq/barnabas/internal/controller"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/meta"
)

// Config is what a Driver needs.
type Config struct {
	Store    meta.Store // stays open when the driver closes
	Settings controller.Settings
	Configs  controller.ConfigRules

	// ClusterID is the cluster the broker's data belongs to; "" for new data. Start fails if the metadata says otherwise.
	ClusterID string
	// Registration is what the broker tells of itself.
	Registration meta.Registration

	// OnChange makes real what the metadata says: logs of partitions that came, an end to those that went, settings. It is
	// called for every change in order, first from Start with all there is (so it must take things in its stride that exist
	// already), then from the driver's goroutine, before the image is published and before the client is answered. It must
	// not call methods of the Driver other than Image. An error does not undo the change; it is logged, and the request that
	// caused the change is answered KAFKA_STORAGE_ERROR. From Start an error ends the start.
	OnChange func(*meta.Image, meta.Changes) error

	// NewTopicID and NewStart draw fresh topic ids and placement starts; nil: at random.
	NewTopicID func() kafka.TopicID
	NewStart   func() uint32
	// NewClusterID draws the id of a new cluster; nil: at random.
	NewClusterID func() string

	// Logger; nil: none.
	Logger *slog.Logger
}

// Driver is a running controller.
type Driver struct {
	cfg   Config
	core  controller.Controller
	log   *slog.Logger
	image atomic.Pointer[meta.Image]

	queue  chan *job    // requests, in order
	events chan arrival // from the watching goroutine

	ctx   context.Context // ends with Close
	stop  context.CancelFunc
	done  sync.WaitGroup
	ended chan struct{} // closed when the driver's goroutine is gone

	failed error // the driver's goroutine only: why nothing is decided any more

	producerIDs chan controller.ProducerIDs // holds what is left of the broker's block; whoever takes it out puts it back
}

// queueLen is how many requests wait before further callers wait outside.
const queueLen = 128

// Start reads the Store, registers the broker, calls OnChange with everything there is, and begins to serve.
func Start(ctx context.Context, cfg Config) (*Driver, error) {
	if err := errors.Join(cfg.Settings.Validate()...); err != nil {
		return nil, fmt.Errorf("controller settings: %w", err)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.OnChange == nil {
		cfg.OnChange = func(*meta.Image, meta.Changes) error { return nil }
	}
	if cfg.NewTopicID == nil {
		cfg.NewTopicID = randomTopicID
	}
	if cfg.NewStart == nil {
		cfg.NewStart = randomStart
	}
	if cfg.NewClusterID == nil {
		cfg.NewClusterID = randomClusterID
	}
	d := &Driver{
		cfg:         cfg,
		core:        controller.Controller{Settings: cfg.Settings, Configs: cfg.Configs},
		log:         cfg.Logger,
		queue:       make(chan *job, queueLen),
		events:      make(chan arrival),
		ended:       make(chan struct{}),
		producerIDs: make(chan controller.ProducerIDs, 1),
	}
	d.producerIDs <- controller.ProducerIDs{}
	im, all, err := d.register(ctx)
	if err != nil {
		return nil, err
	}
	if err := cfg.OnChange(im, all); err != nil {
		return nil, fmt.Errorf("taking in the metadata: %w", err)
	}
	d.image.Store(im)
	watch, err := cfg.Store.Watch(ctx, "", im.Revision()+1)
	if err != nil {
		return nil, fmt.Errorf("watching the metadata: %w", err)
	}
	d.ctx, d.stop = context.WithCancel(context.Background())
	d.done.Go(func() { d.watch(watch) })
	d.done.Go(d.run)
	return d, nil
}

// register reads the Store and writes the broker's registration, again and again if others write meanwhile.
func (d *Driver) register(ctx context.Context) (*meta.Image, meta.Changes, error) {
	fresh := d.cfg.NewClusterID()
	for {
		im, _, err := d.load(ctx)
		if err != nil {
			return nil, meta.Changes{}, err
		}
		res, txn := d.core.RegisterBroker(im, controller.RegisterBrokerRequest{
			ID: d.cfg.Settings.NodeID, ClusterID: d.cfg.ClusterID, NewClusterID: fresh, Registration: d.cfg.Registration,
		})
		if !res.OK() {
			return nil, meta.Changes{}, fmt.Errorf("registering broker %d: %s", d.cfg.Settings.NodeID, res.Message)
		}
		out, err := d.cfg.Store.Txn(ctx, txn)
		if err != nil {
			return nil, meta.Changes{}, fmt.Errorf("registering broker %d: %w", d.cfg.Settings.NodeID, err)
		}
		if out.Committed {
			return d.load(ctx)
		}
	}
}

func (d *Driver) load(ctx context.Context) (*meta.Image, meta.Changes, error) {
	kvs, at, err := d.cfg.Store.List(ctx, "")
	if err != nil {
		return nil, meta.Changes{}, fmt.Errorf("reading the metadata: %w", err)
	}
	im, all, err := meta.FromList(kvs, at)
	if err != nil {
		return nil, meta.Changes{}, fmt.Errorf("reading the metadata: %w", err)
	}
	if ids := im.Incomplete(); len(ids) > 0 {
		return nil, meta.Changes{}, fmt.Errorf("reading the metadata: topic %s lacks a part of its keys, the store has lost something; restore it from a copy", ids[0])
	}
	return im, all, nil
}

// Image is the latest metadata. It never blocks and is never nil.
func (d *Driver) Image() *meta.Image { return d.image.Load() }

// Close ends the driver. Requests that wait are answered NOT_CONTROLLER, and so is one under way whose change was not taken in
// yet; whoever starts next finds it. After Close, OnChange is not called any more.
func (d *Driver) Close() {
	d.stop()
	d.done.Wait()
}

// arrival is what the watching goroutine brings.
type arrival struct {
	batch meta.Batch
	list  bool // batch.Events and batch.Revision are the whole Store, since some changes were missed
	err   error
}

// watch brings the Store's changes to the driver's goroutine until the driver closes or the Store fails.
func (d *Driver) watch(w meta.Watcher) {
	defer func() { w.Close() }()
	for {
		batch, err := w.Next(d.ctx)
		a := arrival{batch: batch, err: err}
		if missed := (*meta.CompactedError)(nil); errors.As(err, &missed) {
			a, w = d.relist(w)
		}
		select {
		case d.events <- a:
		case <-d.ctx.Done():
			return
		}
		if a.err != nil {
			return
		}
	}
}

// relist starts over after changes were missed. The new watcher is never nil.
func (d *Driver) relist(w meta.Watcher) (arrival, meta.Watcher) {
	kvs, at, err := d.cfg.Store.List(d.ctx, "")
	if err != nil {
		return arrival{err: fmt.Errorf("reading the metadata again: %w", err)}, w
	}
	w.Close()
	next, err := d.cfg.Store.Watch(d.ctx, "", at+1)
	if err != nil {
		return arrival{err: fmt.Errorf("watching the metadata again: %w", err)}, w
	}
	a := arrival{list: true, batch: meta.Batch{Revision: at}}
	for _, kv := range kvs {
		a.batch.Events = append(a.batch.Events, meta.Event{KV: kv})
	}
	return a, next
}

// run is the driver's goroutine.
func (d *Driver) run() {
	defer close(d.ended)
	for {
		select {
		case <-d.ctx.Done():
			return
		case a := <-d.events:
			d.take(a)
		case j := <-d.queue:
			d.serve(j)
			close(j.done)
		}
	}
}

// take brings one arrival into the image. The error is OnChange's.
func (d *Driver) take(a arrival) error {
	if a.err != nil {
		if d.ctx.Err() == nil {
			d.fail(a.err)
		}
		return nil
	}
	old := d.image.Load()
	batch := a.batch
	if a.list {
		kvs := make([]meta.KV, len(batch.Events))
		for i, ev := range batch.Events {
			kvs[i] = ev.KV
		}
		d.log.Warn("metadata changes were missed, the metadata was read anew", "revision", batch.Revision)
		batch = old.CatchUp(kvs, batch.Revision)
	}
	im, changes, err := old.Apply(batch)
	if err != nil {
		d.fail(err)
		return nil
	}
	var hookErr error
	if !changes.Empty() {
		if hookErr = d.cfg.OnChange(im, changes); hookErr != nil {
			d.log.Error("a metadata change could not be carried out", "revision", changes.Revision, "err", hookErr)
		}
	}
	d.image.Store(im)
	return hookErr
}

// fail stops all deciding: without the Store's changes the image would go stale unseen.
func (d *Driver) fail(err error) {
	if d.failed == nil {
		d.failed = err
		d.log.Error("the metadata cannot be followed any more; topics and settings cannot be changed until the broker is restarted", "err", err)
	}
}
