package broker

import (
	"math"
	"time"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/config"
	"github.com/barnabas-mq/barnabas/internal/controller"
	"github.com/barnabas-mq/barnabas/internal/meta"
	replicadriver "github.com/barnabas-mq/barnabas/internal/replica/driver"
	"github.com/barnabas-mq/barnabas/internal/server"
	"github.com/barnabas-mq/barnabas/internal/storage"
)

// topicConfig resolves a topic's settings into what its partitions apply.
func (b *Broker) topicConfig(im *meta.Image, topic string) *replicadriver.TopicConfig {
	var overrides map[string]string
	if topic != "" {
		overrides = im.Settings(meta.TopicConfigs(topic)).Map()
	}
	t := b.config.Load().Topic(overrides)
	var policy storage.CleanupPolicy
	if t.CleanupDelete {
		policy |= storage.Delete
	}
	if t.CleanupCompact {
		policy |= storage.Compact
	}
	return &replicadriver.TopicConfig{
		MinISR: int(t.MinInsyncReplicas),
		Rules: batch.Rules{
			MaxMessageBytes: t.MaxMessageBytes, Compression: compression(&t), LogAppendTime: t.LogAppendTime,
			BeforeMaxMs: t.TimestampBeforeMaxMs, AfterMaxMs: t.TimestampAfterMaxMs, RequireKeys: t.CleanupCompact,
		},
		Log: storage.LogConfig{
			SegmentBytes: int64(t.SegmentBytes), SegmentMs: t.SegmentMs, SegmentJitterMs: t.SegmentJitterMs,
			SegmentIndexBytes: int64(t.SegmentIndexBytes), IndexIntervalBytes: int64(t.IndexIntervalBytes),
			CleanupPolicy: policy, RetentionMs: t.RetentionMs, RetentionBytes: t.RetentionBytes, FileDeleteDelayMs: t.FileDeleteDelayMs,
			MinCleanableDirtyRatio: t.MinCleanableDirtyRatio, MinCompactionLagMs: t.MinCompactionLagMs, MaxCompactionLagMs: t.MaxCompactionLagMs,
			DeleteRetentionMs: t.DeleteRetentionMs, MaxMessageBytes: int64(t.MaxMessageBytes),
			FlushMessages: t.FlushMessages, FlushMs: t.FlushMs, Preallocate: t.Preallocate,
		},
	}
}

func compression(t *config.TopicConfig) batch.Compression {
	switch t.CompressionType {
	case "uncompressed":
		return batch.Compression{Override: true, Codec: batch.CodecNone}
	case "gzip":
		return batch.Compression{Override: true, Codec: batch.Gzip, Level: int(t.GzipLevel)}
	case "snappy":
		return batch.Compression{Override: true, Codec: batch.Snappy}
	case "lz4":
		return batch.Compression{Override: true, Codec: batch.LZ4, Level: int(t.LZ4Level)}
	case "zstd":
		return batch.Compression{Override: true, Codec: batch.Zstd, Level: int(t.ZstdLevel)}
	}
	return batch.Compression{} // producer: as it came
}

func (b *Broker) storageConfig(dirs []string) storage.Config {
	c := &b.config.Load().Broker
	mode := storage.FlushCommit
	switch c.Log.Flush {
	case config.FlushInterval:
		mode = storage.FlushInterval
	case config.FlushNever:
		mode = storage.FlushNever
	}
	return storage.Config{
		Dirs: dirs, FS: b.fs, Logger: b.log, NodeID: b.node, FlushMode: mode,
		RetentionCheckInterval: c.Log.RetentionCheckInterval, CheckpointInterval: c.Log.RecoveryCheckpointInterval,
		HighWatermarkInterval: c.Log.HighWatermarkInterval, ProducerSweepInterval: c.Log.ProducerIDExpirationInterval,
		CleanerDisable: !c.Cleaner.Enabled, Running: b.running(),
		FlushInterval: c.Log.FlushInterval, IndexCacheBytes: c.Log.IndexCacheBytes,
		OpenFilesMax: b.segmentFilesMax, ReservedBytes: c.ReservedBytes, RecoveryThreads: int(c.Log.RecoveryThreadsPerDir),
	}
}

// running are the settings of the store that follow the configuration while the broker runs.
func (b *Broker) running() storage.Running {
	c := &b.config.Load().Broker
	return storage.Running{
		CleanerThreads: int(c.Cleaner.Threads), CleanerDedupeBytes: c.Cleaner.DedupeBufferBytes, CleanerBackoff: c.Cleaner.Backoff,
		CleanerIOBytesPerSecond: finite(c.Cleaner.IOBytesPerSecond), ProducerExpiration: c.Log.ProducerIDExpiration,
	}
}

// batchLimits bound what decompressing one batch may hold.
func batchLimits(n *config.Network) batch.Limits {
	return batch.Limits{RecordBytes: int(n.DecompressionRecordMax), BatchBytes: n.DecompressionBatchMax, WindowBytes: int(n.DecompressionWindowMax)}
}

// finite is a rate as a whole number; Kafka writes "no limit" as the largest double, storage as 0. So a limit below 1 is 1.
func finite(rate float64) int64 {
	if rate >= math.MaxInt64 {
		return 0
	}
	if rate > 0 {
		return max(1, int64(rate))
	}
	return int64(rate)
}

func (b *Broker) serverConfig() server.Config {
	n := &b.static.Broker.Network
	return server.Config{
		RequestMaxBytes: int(n.RequestMaxBytes), RequestMemoryBytes: unbounded(n.QueuedBytesMax), DecompressionMemoryBytes: n.DecompressionMemoryMax, RequestReadTimeout: requestReadTimeout,
		ConnectionsRoom: b.connectionsRoom, IdleTimeout: n.IdleMax, WriteTimeout: n.WriteTimeout,
		FetchMaxBytes: n.FetchMaxBytes, FetchSessionSlots: int(n.FetchSessionSlots),
		NoticeClients: noticeClients(&b.static.Broker.Groups), PartitionRequestLimit: n.RequestPartitionsMax, SendBufferBytes: int(n.SendBufferBytes), ReceiveBufferBytes: int(n.ReceiveBufferBytes),
	}
}

// unbounded writes Kafka's -1 as the largest number.
func unbounded(n int64) int64 {
	if n < 0 {
		return math.MaxInt64
	}
	return n
}

// requestReadTimeout is how long the rest of a request may take to arrive once its first byte has: enough for 100 MiB over a slow line.
const requestReadTimeout = 60 * time.Second

// configRules lets the controller ask the configuration what may be set.
type configRules struct{ c *config.Config }

func (r configRules) ValidateTopic(overrides map[string]string) (map[string]string, error) {
	return r.c.ValidateTopic(pointers(overrides))
}

func (r configRules) ValidateBroker(perBroker bool, settings map[string]string) (map[string]string, error) {
	return r.c.ValidateBroker(perBroker, pointers(settings))
}

func (r configRules) List(t meta.ResourceType, name string) (isList bool, fallback string) {
	look := config.Lookup
	if t == meta.TopicResource {
		look = config.LookupTopic
	}
	d, ok := look(name)
	return ok && d.Type == config.List, d.Default
}

var _ controller.ConfigRules = configRules{}

func pointers(m map[string]string) map[string]*string {
	out := make(map[string]*string, len(m))
	for k, v := range m { // any order: a map into a map
		out[k] = &v
	}
	return out
}
