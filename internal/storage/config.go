package storage

import (
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"runtime"
	"time"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// FlushMode is when appended bytes are forced to the disk (log.flush).
type FlushMode int8

const (
	// FlushCommit syncs before anything is acknowledged with acks=all or becomes visible: whoever appends calls WantFlush.
	FlushCommit FlushMode = iota
	// FlushInterval syncs dirty logs every Config.FlushInterval, and per topic by flush.messages and flush.ms.
	FlushInterval
	// FlushNever leaves it to the kernel, but for flush.messages, flush.ms, and sealed segments.
	FlushNever
)

func (m FlushMode) String() string {
	switch m {
	case FlushCommit:
		return "commit"
	case FlushInterval:
		return "interval"
	case FlushNever:
		return "never"
	}
	return fmt.Sprintf("FlushMode(%d)", int8(m))
}

// Config says where the logs live and how the store treats them. The zero value of a field is its default unless the field says other.
type Config struct {
	// Dirs are the log directories (log.dirs). At least one; made when missing.
	Dirs []string
	// FS is the file system; required.
	FS vfs.FS
	// Logger hears of recovery, retention and trouble. Default: discard.
	Logger *slog.Logger
	// Clock tells wall time. Default time.Now.
	Clock func() time.Time

	// ClusterID and NodeID must be those of meta.properties. An empty ClusterID takes over what the directories say; when they are new,
	// one is made. A negative NodeID is not compared.
	ClusterID string
	NodeID    kafka.NodeID

	// Placed yields the partitions whose logs the metadata know to be here. Open refuses a new directory while some of them are missing:
	// their disk is not mounted, more likely than not. Nil: nothing is known.
	Placed iter.Seq[kafka.TopicPartition]

	// TopicConfig gives the settings of the logs found at Open. Default: DefaultLogConfig for all. Called from several goroutines.
	TopicConfig func(topic string) LogConfig

	// Codecs decompress where a look inside batches is needed: timestamps, compaction. Default: batch.NewCodecs with default limits.
	Codecs *batch.Codecs

	// FlushMode is log.flush; the zero value is FlushCommit.
	FlushMode FlushMode
	// FlushInterval is the pause between flushes in mode FlushInterval. Default 1 s.
	FlushInterval time.Duration
	// SyncFSThreshold: from so many files in one flush on, the whole file system is synced with one call; below, each file is. Default 8,
	// see docs/adr/0001-group-commit.md. Negative: never.
	SyncFSThreshold int
	// SyncParallel is how many files of one flush are synced at a time. Default 16.
	SyncParallel int

	// RetentionCheckInterval is log.retention.check.interval.ms. Default 5 min. Negative: no background task.
	RetentionCheckInterval time.Duration
	// CheckpointInterval is log.flush.offset.checkpoint.interval.ms: recovery points and log starts. Default 60 s. Negative: only at Close.
	CheckpointInterval time.Duration
	// HighWatermarkInterval is replica.high.watermark.checkpoint.interval.ms. Default 5 s. Negative: only at Close.
	HighWatermarkInterval time.Duration
	// ProducerSweepInterval is producer.id.expiration.check.interval.ms. Default 10 min. Negative: no background task.
	ProducerSweepInterval time.Duration

	// CleanerDisable switches compaction off (log.cleaner.enable=false).
	CleanerDisable bool
	// Running is what Reconfigure may change later. Default: DefaultRunning.
	Running Running

	// OpenFilesMax bounds open segment files. Files that are in use or not yet flushed stay open above it. Default 2048.
	OpenFilesMax int
	// IndexCacheBytes bounds the indexes of sealed segments held in memory. Default 32 MiB.
	IndexCacheBytes int64
	// ReservedBytes (log.dirs.reserved.bytes): appends are refused while the file system has fewer bytes free. Default (0) no reserve.
	ReservedBytes int64
	// RecoveryThreads is num.recovery.threads.per.data.dir. Default: twice the processors.
	RecoveryThreads int

	// Observer is told what is worth counting; nil is nobody.
	Observer Observer

	// OnFlushed hears, from the flusher's goroutine, that everything below end is durable. It must not block. A log's ends
	// only rise, unless the log is truncated.
	OnFlushed func(l *Log, end int64)
	// OnOffline hears once per directory that it went offline.
	OnOffline func(dir string, err error)

	// sealByHand leaves sealing to tests that need to repeat exactly.
	sealByHand bool
}

// Observer counts what the store does in the background. Its methods are called from many goroutines and must not block.
type Observer interface {
	// Flushed says that so many logs of a directory were made durable together, and how long that took.
	Flushed(logs int, took time.Duration)
	// FlushFailed says that a flush failed; its directory is offline from then on.
	FlushFailed()
	// Compacted says how many bytes one compaction of a log read and wrote.
	Compacted(bytesRead, bytesWritten int64)
	// SegmentsDeleted says how many segments retention let go.
	SegmentsDeleted(n int)
	// Recovered says how many logs of a directory were opened without a clean shutdown before.
	Recovered(logs int)
}

type nobody struct{}

func (nobody) Flushed(int, time.Duration) {}
func (nobody) FlushFailed()               {}
func (nobody) Compacted(int64, int64)     {}
func (nobody) SegmentsDeleted(int)        {}
func (nobody) Recovered(int)              {}

func (c *Config) withDefaults() (Config, error) {
	d := *c
	var faults []error
	if len(d.Dirs) == 0 {
		faults = append(faults, errors.New("log.dirs: at least one directory is needed"))
	}
	seen := make(map[string]bool, len(d.Dirs))
	for _, dir := range d.Dirs {
		if dir == "" || seen[dir] {
			faults = append(faults, fmt.Errorf("log.dirs: %q is empty or named twice", dir))
		}
		seen[dir] = true
	}
	if d.FS == nil {
		faults = append(faults, errors.New("storage.Config.FS is required"))
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Clock == nil {
		d.Clock = time.Now
	}
	if d.TopicConfig == nil {
		d.TopicConfig = func(string) LogConfig { return DefaultLogConfig() }
	}
	if d.Codecs == nil {
		d.Codecs = batch.NewCodecs(batch.Limits{})
	}
	if d.OnFlushed == nil {
		d.OnFlushed = func(*Log, int64) {}
	}
	if d.Observer == nil {
		d.Observer = nobody{}
	}
	if d.OnOffline == nil {
		d.OnOffline = func(string, error) {}
	}
	duration := func(p *time.Duration, def time.Duration) {
		if *p == 0 {
			*p = def
		}
	}
	duration(&d.FlushInterval, time.Second)
	duration(&d.RetentionCheckInterval, 5*time.Minute)
	duration(&d.CheckpointInterval, time.Minute)
	duration(&d.HighWatermarkInterval, 5*time.Second)
	duration(&d.ProducerSweepInterval, 10*time.Minute)
	number := func(p *int, def int) {
		if *p == 0 {
			*p = def
		}
	}
	number(&d.SyncFSThreshold, 8)
	number(&d.SyncParallel, 16)
	number(&d.OpenFilesMax, 2048)
	number(&d.RecoveryThreads, 2*runtime.GOMAXPROCS(0))
	if d.IndexCacheBytes == 0 {
		d.IndexCacheBytes = 32 << 20
	}
	if d.Running == (Running{}) {
		d.Running = DefaultRunning()
	}
	positive := func(name string, v int64) {
		if v <= 0 {
			faults = append(faults, fmt.Errorf("%s must be positive, it is %d", name, v))
		}
	}
	positive("FlushInterval", int64(d.FlushInterval))
	positive("SyncParallel", int64(d.SyncParallel))
	positive("OpenFilesMax", int64(d.OpenFilesMax))
	positive("num.recovery.threads.per.data.dir", int64(d.RecoveryThreads))
	positive("IndexCacheBytes", d.IndexCacheBytes)
	return d, errors.Join(faults...)
}

// CleanupPolicy is cleanup.policy: Delete, Compact, or both.
type CleanupPolicy uint8

const (
	Delete CleanupPolicy = 1 << iota
	Compact
)

// LogConfig is what a topic's settings say about its logs, in Kafka's names and units. Start from DefaultLogConfig.
type LogConfig struct {
	SegmentBytes       int64 // segment.bytes
	SegmentMs          int64 // segment.ms
	SegmentJitterMs    int64 // segment.jitter.ms: each segment rolls up to so much earlier
	SegmentIndexBytes  int64 // segment.index.bytes: a segment rolls when an index has grown to it
	IndexIntervalBytes int64 // index.interval.bytes

	CleanupPolicy     CleanupPolicy
	RetentionMs       int64 // retention.ms, -1 = for ever
	RetentionBytes    int64 // retention.bytes, -1 = without limit
	FileDeleteDelayMs int64 // file.delete.delay.ms

	MinCleanableDirtyRatio float64 // min.cleanable.dirty.ratio
	MinCompactionLagMs     int64   // min.compaction.lag.ms
	MaxCompactionLagMs     int64   // max.compaction.lag.ms
	DeleteRetentionMs      int64   // delete.retention.ms
	MaxMessageBytes        int64   // max.message.bytes: bounds the batches a compaction builds

	FlushMessages int64 // flush.messages
	FlushMs       int64 // flush.ms
	Preallocate   bool  // preallocate: new segments are extended to SegmentBytes at once, cut again when sealed
}

// DefaultLogConfig is Kafka's defaults.
func DefaultLogConfig() LogConfig {
	return LogConfig{
		SegmentBytes:           1 << 30,
		SegmentMs:              7 * 24 * 3600 * 1000,
		SegmentIndexBytes:      10 << 20,
		IndexIntervalBytes:     4096,
		CleanupPolicy:          Delete,
		RetentionMs:            7 * 24 * 3600 * 1000,
		RetentionBytes:         -1,
		FileDeleteDelayMs:      60_000,
		MinCleanableDirtyRatio: 0.5,
		MaxCompactionLagMs:     math.MaxInt64,
		DeleteRetentionMs:      24 * 3600 * 1000,
		MaxMessageBytes:        1048588,
		FlushMessages:          math.MaxInt64,
		FlushMs:                math.MaxInt64,
	}
}

// sane clamps what would make a log impossible to write: settings are checked where they are set, but a log must live with any.
func (c LogConfig) sane() LogConfig {
	c.SegmentBytes = min(max(c.SegmentBytes, 1), math.MaxInt32)
	c.SegmentMs = max(c.SegmentMs, 1)
	c.SegmentJitterMs = min(max(c.SegmentJitterMs, 0), c.SegmentMs-1)
	c.SegmentIndexBytes = max(c.SegmentIndexBytes, 2*timeEntrySize)
	c.IndexIntervalBytes = max(c.IndexIntervalBytes, 0)
	c.FileDeleteDelayMs = max(c.FileDeleteDelayMs, 0)
	c.DeleteRetentionMs = max(c.DeleteRetentionMs, 0)
	if c.CleanupPolicy == 0 {
		c.CleanupPolicy = Delete
	}
	if c.FlushMessages <= 0 {
		c.FlushMessages = math.MaxInt64
	}
	if c.FlushMs <= 0 {
		c.FlushMs = math.MaxInt64
	}
	if c.MaxMessageBytes <= 0 {
		c.MaxMessageBytes = 1048588
	}
	return c
}

// rollMs is how old, in event time, the first batch of a segment may grow: a log that is compacted must not keep records out of the
// cleaner's reach for longer than max.compaction.lag.ms.
func (c *LogConfig) rollMs() int64 {
	if c.CleanupPolicy&Compact != 0 {
		return min(c.SegmentMs, max(c.MaxCompactionLagMs, 1))
	}
	return c.SegmentMs
}
