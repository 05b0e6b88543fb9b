// Package broker is the composition root: it builds every other room from one configuration, starts them in a written order, and
// stops them in the reverse.
//
// Shell: it decides nothing but order. What starts here stops in Close, and nothing else stops it. The order of Start is: listeners
// (a taken port is found before anything is touched), the admin port (so that /readyz can tell what a long recovery is doing), metadata,
// logs and their recovery, the controller and with it the partitions, and only then clients. Start reading at Start.
package broker

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/barnabas-mq/barnabas/internal/activity"
	"github.com/barnabas-mq/barnabas/internal/admin"
	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/config"
	"github.com/barnabas-mq/barnabas/internal/controller"
	controllerdriver "github.com/barnabas-mq/barnabas/internal/controller/driver"
	groupdriver "github.com/barnabas-mq/barnabas/internal/coord/driver"
	journaldriver "github.com/barnabas-mq/barnabas/internal/journal/driver"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/meta"
	"github.com/barnabas-mq/barnabas/internal/meta/local"
	"github.com/barnabas-mq/barnabas/internal/metrics"
	replicadriver "github.com/barnabas-mq/barnabas/internal/replica/driver"
	"github.com/barnabas-mq/barnabas/internal/server"
	"github.com/barnabas-mq/barnabas/internal/storage"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// Options is what a start is made of.
type Options struct {
	Config *config.Config
	Logger *slog.Logger
	// Listen opens a listener; nil is net.Listen. Tests put an in-memory network here.
	Listen func(network, address string) (net.Listener, error)
	// Version is what the broker calls itself.
	Version string
	// FS holds the logs; nil is the operating system's. The metadata is always with the operating system.
	FS vfs.FS
	// NoSync leaves out every fsync, for data that need not outlive the machine. Nothing else changes.
	NoSync bool
}

// Broker is a running broker.
type Broker struct {
	log     *slog.Logger
	static  *config.Config
	config  atomic.Pointer[config.Config]
	node    kafka.NodeID
	fs      vfs.FS
	noSync  bool
	meta    meta.Store
	store   *storage.Store
	parts   *replicadriver.Set
	control *controllerdriver.Driver
	groups  *groupdriver.Coordinator
	journal *journaldriver.Driver // nil when it is off
	counted map[string]string     // the incident of each group that was counted last; of the journal's goroutine
	// image is the metadata as far as it has been carried out; control's own may be ahead, and is not there yet while the first is.
	image   atomic.Pointer[meta.Image]
	created sync.Map // topic -> vtime.Instant, of those that came since the start
	server  *server.Server
	bound   []boundListener
	codecs  *batch.Codecs
	metrics *metrics.Metrics
	// groupSampler reads the groups for it.
	groupSampler groupSampler
	// activity is who fetched what last: evidence for the journal.
	activity *activity.Tracker
	admin    *admin.Server
	console  *consoleSource // nil without an admin port
	ready    atomic.Bool
	// segmentFilesMax and connectionsRoom are what the process's limit of descriptors allows.
	segmentFilesMax, connectionsRoom int
	// temporary is the directory that --ephemeral made, removed by Close.
	temporary string
	closers   []func(context.Context) error
}

// Start starts a broker or says why it cannot be. ctx bounds the start only; when it ends while logs are recovered, the error is a
// *storage.StoppedError, and nothing is marked as clean.
func Start(ctx context.Context, o Options) (started *Broker, err error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Listen == nil {
		o.Listen = net.Listen
	}
	if o.FS == nil {
		o.FS = vfs.OS()
	}
	if o.NoSync {
		o.FS = noSync{o.FS}
	}
	b := &Broker{log: o.Logger, static: o.Config, node: o.Config.Broker.NodeID, fs: o.FS, noSync: o.NoSync, codecs: batch.NewCodecs(batchLimits(&o.Config.Broker.Network))}
	b.config.Store(o.Config)
	b.metrics = b.newMetrics(o.Version)
	b.activity = activity.New(int(o.Config.Broker.Network.FetchActivitySlots))
	defer func() {
		if err != nil {
			b.stop(context.WithoutCancel(ctx)) // err says why the start failed; what follows from it adds nothing
		}
	}()
	b.takeDescriptors(descriptorLimit())
	began := time.Now()
	dirs, metaDir, err := b.directories()
	if err != nil {
		return nil, err
	}
	if err := b.bind(o.Listen); err != nil {
		return nil, err
	}
	if err := b.openAdmin(ctx, o.Version); err != nil {
		return nil, err
	}
	if err := b.openMetadata(ctx, dirs, metaDir); err != nil {
		return nil, err
	}
	image, err := b.currentImage(ctx)
	if err != nil {
		return nil, err
	}
	if err := b.openLogs(ctx, dirs, image); err != nil {
		return nil, err
	}
	b.newJournal()
	b.newGroups()
	if err := b.startController(ctx, image); err != nil {
		return nil, err
	}
	if b.control.Image().Topic(kafka.OffsetsTopic) != nil { // a directory of a release, or of settings, without a journal
		if err := b.ensureOffsetsTopic(ctx); err != nil {
			b.log.Warn("the topic of the journal is missing", "error", err)
		}
	}
	b.warnStrays()
	b.server = server.New(b.serverConfig(), server.Deps{
		NodeID: b.node, Partitions: b.parts, Cluster: b.control, Groups: b.groups, EnsureOffsetsTopic: b.ensureOffsetsTopic, Config: b.config.Load,
		LogDirs: b.store.Dirs, NewChecker: func() *batch.Checker { return batch.NewChecker(b.codecs) }, CheckMemory: b.codecs.Memory,
		Metrics: b.metrics.Server(b.listenerNames()), Activity: b.activity, Now: time.Now,
	}, b.log)
	b.onClose(func(ctx context.Context) error {
		ctx, cancel := half(ctx)
		defer cancel()
		b.server.Close(ctx)
		return nil
	})
	// Before the server: who waits in a group hears that this is no coordinator any more, and the server has no answers left to wait for.
	b.onClose(b.closeGroups)
	for _, l := range b.bound {
		b.server.Serve(l.Listener, l.config.Name)
		b.log.Info("serving clients", "listener", l.config.Name, "address", l.Addr().String())
	}
	b.ready.Store(true)
	b.startConsole()
	b.log.Info("broker started", "version", o.Version, "node", b.node, "cluster", b.control.Image().ClusterID(),
		"partitions", len(b.parts.All()), "took", time.Since(began).Round(time.Millisecond))
	return b, nil
}

// half ends after half the time that ctx has left, so that clients who do not take their answers leave the logs time for a clean end.
func half(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(end)/2)
}

// onClose adds what Close does, last added first.
func (b *Broker) onClose(f func(context.Context) error) { b.closers = append(b.closers, f) }

// Close stops the broker: no new connections, what is in flight finishes until ctx ends, logs are flushed and marked as cleanly shut
// down, then metadata is closed.
func (b *Broker) Close(ctx context.Context) error {
	began := time.Now()
	b.ready.Store(false)
	b.log.Info("shutting down")
	err := b.stop(ctx)
	if err != nil {
		b.log.Error("shutdown was not clean; the next start will recover the logs", "error", err)
		return err
	}
	b.log.Info("broker stopped", "took", time.Since(began).Round(time.Millisecond))
	return nil
}

func (b *Broker) stop(ctx context.Context) error {
	var errs []error
	for i := len(b.closers) - 1; i >= 0; i-- {
		errs = append(errs, b.closers[i](ctx))
	}
	b.closers = nil
	for _, l := range b.bound {
		l.Close()
	}
	if b.admin != nil {
		errs = append(errs, b.admin.Close(ctx))
		b.admin = nil
	}
	if b.temporary != "" {
		errs = append(errs, os.RemoveAll(b.temporary))
	}
	return errors.Join(errs...)
}

// directories are the log directories and where the metadata lives; --ephemeral makes one that Close removes.
func (b *Broker) directories() (dirs []string, metaDir string, err error) {
	dirs, metaDir = b.static.Broker.LogDirs, b.static.Broker.MetadataDir
	if len(dirs) == 0 {
		if b.temporary, err = os.MkdirTemp("", "barnabas-"); err != nil {
			return nil, "", fmt.Errorf("make a temporary data directory: %w", err)
		}
		dirs = []string{b.temporary}
	}
	for i, d := range dirs {
		if dirs[i], err = filepath.Abs(d); err != nil {
			return nil, "", fmt.Errorf("log.dirs: %w", err)
		}
	}
	metaDir, err = findMetadata(dirs, metaDir)
	return dirs, metaDir, err
}

const metadataName = "meta.db"

// findMetadata is where the metadata are, or shall be when there are none: in metadata.log.dir if that is set, else in the first log directory
// that has them, else in the first. Log directories may be given in another order, and a new one may come first; to begin with new metadata then
// would be to lose all topics.
func findMetadata(dirs []string, set string) (string, error) {
	has := func(dir string) bool {
		_, err := os.Stat(filepath.Join(dir, metadataName))
		return err == nil
	}
	at := slices.IndexFunc(dirs, has)
	switch {
	case set == "" && at < 0:
		return dirs[0], nil
	case set == "":
		return dirs[at], nil
	case at >= 0 && !has(set):
		return "", fmt.Errorf("metadata.log.dir=%s has no %s, but the log directory %s has; move it there, or leave metadata.log.dir out", set, metadataName, dirs[at])
	}
	return set, nil
}

func (b *Broker) openMetadata(ctx context.Context, dirs []string, metaDir string) error {
	if err := b.fs.MkdirAll(metaDir); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	st, err := local.Open(filepath.Join(metaDir, metadataName), local.Options{NoSync: b.noSync})
	if err != nil {
		var locked *local.LockedError
		if errors.As(err, &locked) {
			// The lock of the logs says who holds it.
			for _, d := range dirs {
				if l, lockErr := b.fs.Lock(filepath.Join(d, ".lock"), ""); lockErr == nil {
					l.Close()
				} else if held := (*vfs.LockedError)(nil); errors.As(lockErr, &held) {
					return fmt.Errorf("the data directory %s is in use: %w; stop that broker, or choose another --data-dir", d, held)
				}
			}
		}
		return err
	}
	b.meta = st
	b.onClose(func(context.Context) error { return st.Close() })
	return nil
}

// currentImage reads the metadata before the controller runs, since opening the logs needs the topics' settings.
func (b *Broker) currentImage(ctx context.Context) (*meta.Image, error) {
	kvs, at, err := b.meta.List(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("read the metadata: %w", err)
	}
	im, _, err := meta.FromList(kvs, at)
	if err != nil {
		return nil, fmt.Errorf("read the metadata: %w", err)
	}
	b.applyDynamic(im)
	return im, nil
}

func (b *Broker) openLogs(ctx context.Context, dirs []string, im *meta.Image) error {
	cfg := b.storageConfig(dirs)
	cfg.ClusterID = im.ClusterID()
	if cfg.ClusterID == "" {
		cfg.ClusterID = b.static.Broker.ClusterID
	}
	cfg.Placed = b.placed(im)
	cfg.TopicConfig = func(topic string) storage.LogConfig {
		c := b.topicConfig(im, topic).Log
		if im.Topic(topic) == nil {
			keepAll(&c)
		}
		return c
	}
	cfg.Observer, cfg.Codecs = b.metrics, b.codecs
	cfg.OnFlushed = func(l *storage.Log, end int64) { b.parts.Flushed(l, end) }
	cfg.OnOffline = func(dir string, err error) {
		b.log.Error("a log directory is offline; its partitions answer KAFKA_STORAGE_ERROR until the broker is restarted", "dir", dir, "error", err)
		b.parts.Offline(dir)
	}
	b.parts = replicadriver.NewSet(b.node, b.static.Broker.Log.Flush == config.FlushCommit, b.log)
	store, err := storage.Open(ctx, cfg)
	if err != nil {
		return err
	}
	b.store = store
	b.parts.Use(store)
	b.onClose(func(ctx context.Context) error { return store.Close(ctx) })
	return nil
}

func (b *Broker) startController(ctx context.Context, im *meta.Image) error {
	known := ""
	if im.ClusterID() != "" {
		known = b.store.ClusterID()
	}
	settings := controller.DefaultSettings(b.node)
	topics := b.static.Broker.Topics
	settings.NumPartitions, settings.DefaultReplicationFactor = topics.Partitions, int16(topics.ReplicationFactor)
	settings.DeleteTopicEnable = topics.DeleteEnabled
	d, err := controllerdriver.Start(ctx, controllerdriver.Config{
		Store: b.meta, Settings: settings, Configs: configRules{b.static},
		ClusterID: known, NewClusterID: b.store.ClusterID,
		Registration: b.registration(), OnChange: b.onChange, Logger: b.log,
	})
	if err != nil {
		return fmt.Errorf("start the controller: %w", err)
	}
	b.control = d
	if self := d.Image().Broker(b.node); self != nil {
		b.store.SetBrokerEpoch(self.Epoch)
	}
	b.onClose(func(context.Context) error { d.Close(); return nil })
	return nil
}

// placed yields the partitions that this node holds.
func (b *Broker) placed(im *meta.Image) iter.Seq[kafka.TopicPartition] {
	return func(yield func(kafka.TopicPartition) bool) {
		for t := range im.Topics() {
			for n, p := range t.Partitions() {
				if p != nil && slices.Contains(p.Replicas, b.node) && !yield(kafka.TopicPartition{Topic: t.Name, Partition: n}) {
					return
				}
			}
		}
	}
}

// keepAll makes a log's settings those of one that nobody owns: neither retention nor compaction takes anything.
func keepAll(c *storage.LogConfig) { c.CleanupPolicy, c.RetentionMs, c.RetentionBytes = 0, -1, -1 }

// warnStrays names logs that no topic owns. They are left alone: deleting data is never a guess, and nobody knows their settings.
func (b *Broker) warnStrays() {
	im := b.control.Image()
	for _, l := range b.store.Logs() {
		if tp := l.TopicPartition(); im.Partition(tp.Topic, tp.Partition) == nil {
			c := l.Config()
			keepAll(&c)
			l.SetConfig(c)
			b.log.Warn("a log in the data directory belongs to no topic; it is not served and not deleted", "topic", tp.Topic, "partition", tp.Partition)
		}
	}
}
