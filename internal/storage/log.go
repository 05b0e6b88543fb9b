package storage

import (
	"fmt"
	"log/slog"
	"path"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// Log is one partition: a list of segments, what is known of its producers and leader epochs, and a few offsets:
//
//	start <= high watermark <= end        start <= flushed <= end
//
// Offsets are atomic and only ever move as their comments say. Methods may be called from many goroutines.
type Log struct {
	store  *Store
	dir    *logDir
	tp     kafka.TopicPartition
	id     kafka.TopicID
	path   string
	staged string // the folder's name while the log is being created
	cfg    atomic.Pointer[LogConfig]

	// mu belongs to whoever changes the log: append, roll, truncation, retention, swap. It is held across the append's own write.
	mu     sync.Mutex
	view   atomic.Pointer[view]
	start  atomic.Int64 // first readable offset, durable before it can be seen; only rises, but for a full truncation
	rising atomic.Int64 // what the start is about to be: a checkpoint may already say so
	end    atomic.Int64 // LEO; published after the bytes
	hw     atomic.Int64 // as the partition above last told
	closed atomic.Bool

	// sealMu belongs to whoever writes or removes files of segments other than the last: sealer, retention, cleaner, truncation. It is
	// taken before syncMu and mu.
	sealMu sync.Mutex

	// syncMu belongs to whoever makes bytes durable or cuts them off. It is taken before mu, and held across syncs. Flushes have it for reading:
	// there may be several of one log.
	syncMu  sync.RWMutex
	flushed atomic.Int64 // everything below is durable
	queued  atomic.Bool  // waiting for the flusher
	sealing atomic.Bool  // waiting for the sealer
	dirtyMs atomic.Int64 // wall time of the oldest append not yet flushed, 0 = none

	epochs    epochCache
	prod      producers
	snapMu    sync.Mutex
	snapshots []int64 // offsets of the snapshot files, ascending; under snapMu once the log is open

	recovered bool // Open had to look at the batches; not changed after it

	cleaning cleanState
	user     atomic.Pointer[userData]
}

type userData struct{ v any }

// TopicPartition names the log.
func (l *Log) TopicPartition() kafka.TopicPartition { return l.tp }

// TopicID is the id its topic was created with; zero in a folder from before topic ids.
func (l *Log) TopicID() kafka.TopicID { return l.id }

// Dir is the log directory the log lives in.
func (l *Log) Dir() string { return l.dir.path }

// folder is the log's own folder.
func (l *Log) folder() string { return l.path }

// StartOffset is the first offset that can be read.
func (l *Log) StartOffset() int64 { return l.start.Load() }

// EndOffset is the LEO: the offset the next record gets.
func (l *Log) EndOffset() int64 { return l.end.Load() }

// FlushedOffset is the first offset not known to survive a power cut.
func (l *Log) FlushedOffset() int64 { return l.flushed.Load() }

// LastStableOffset is the first offset of a transaction that is undecided below the high watermark hw, or hw.
func (l *Log) LastStableOffset(hw int64) int64 { return l.prod.lastStable(hw) }

// SetHighWatermark tells the log what is committed: retention and compaction never pass it, and it is checkpointed.
func (l *Log) SetHighWatermark(hw int64) {
	l.hw.Store(hw)
	l.prod.replicated(hw)
}

// HighWatermarkCheckpoint is the last SetHighWatermark; after Open it is the checkpointed value, within [start, end].
func (l *Log) HighWatermarkCheckpoint() int64 {
	return min(max(l.hw.Load(), l.start.Load()), l.end.Load())
}

// Size is the bytes of all segments.
func (l *Log) Size() int64 {
	n := int64(0)
	for _, s := range l.view.Load().segments {
		n += s.size.Load()
	}
	return n
}

// SegmentCount is how many segments there are.
func (l *Log) SegmentCount() int { return len(l.view.Load().segments) }

// Producers is what is known of the log's producers, sorted by id.
func (l *Log) Producers() []ProducerState { return l.prod.list() }

// UserData is what SetUserData hung on the log, nil before.
func (l *Log) UserData() any {
	if p := l.user.Load(); p != nil {
		return p.v
	}
	return nil
}

// SetUserData hangs v on the log, so that a callback needs no look-up.
func (l *Log) SetUserData(v any) { l.user.Store(&userData{v}) }

func (l *Log) config() *LogConfig { return l.cfg.Load() }

// Config is the settings in force.
func (l *Log) Config() LogConfig { return *l.cfg.Load() }

// SetConfig changes the topic's settings; what exists is judged by the new ones from now on.
func (l *Log) SetConfig(c LogConfig) {
	c = c.sane()
	l.cfg.Store(&c)
}

func (l *Log) logger() *slog.Logger {
	return l.store.log.With("topic", l.tp.Topic, "partition", l.tp.Partition)
}

// usable says why the log cannot be used, or nil.
func (l *Log) usable() error {
	if err := l.dir.offlineErr(); err != nil {
		return err
	}
	if l.closed.Load() {
		return ErrClosed
	}
	return nil
}

// LatestEpoch is the newest leader epoch, -1 when there is none.
func (l *Log) LatestEpoch() int32 { return l.epochs.latest() }

// Epochs is the leader-epoch history, oldest first. It must not be changed.
func (l *Log) Epochs() []EpochEntry { return l.epochs.load() }

// EndOffsetForEpoch is the largest epoch not above the asked one that the log knows, and the first offset beyond it; (-1, -1) when it
// does not know.
func (l *Log) EndOffsetForEpoch(epoch int32) (foundEpoch int32, endOffset int64) {
	return endOffsetFor(l.epochs.load(), epoch, l.end.Load())
}

// AssignEpoch notes that leader epoch epoch begins at offset start. It is durable on return, which must be before anything is served in
// that epoch. A known epoch changes nothing.
func (l *Log) AssignEpoch(epoch int32, start int64) error {
	if err := l.usable(); err != nil {
		return err
	}
	return l.changeEpochs(func(e []EpochEntry) ([]EpochEntry, bool) { return epochsAssign(e, epoch, start) })
}

// changeEpochs replaces the history by what f makes of it, on the disk first.
func (l *Log) changeEpochs(f func([]EpochEntry) ([]EpochEntry, bool)) error {
	l.epochs.mu.Lock()
	defer l.epochs.mu.Unlock()
	if l.closed.Load() {
		return ErrClosed // the folder may be gone, or another log's
	}
	next, changed := f(l.epochs.load())
	if !changed {
		return nil
	}
	if err := writeAtomic(l.store.fs, path.Join(l.path, epochsName), encodeEpochs(next)); err != nil {
		return l.dir.fail(fmt.Sprintf("writing the leader epochs of %v", l.tp), err)
	}
	l.epochs.store(next)
	return nil
}

// newSegment makes an empty segment at base and its file; the name is not durable yet.
func (l *Log) newSegment(base int64) (*segment, error) {
	file, err := l.store.files.create(path.Join(l.path, segmentName(base, logSuffix)))
	if err != nil {
		return nil, err
	}
	s := l.segment(base, file)
	s.createdMs = l.store.now()
	s.idx.Store(newSegIndex(base))
	if c := l.config(); c.Preallocate {
		f, err := file.pin()
		if err == nil {
			err = f.Truncate(c.SegmentBytes)
			file.unpin()
		}
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// segment is a segment around a file that exists.
func (l *Log) segment(base int64, file *handle) *segment {
	s := &segment{log: l, base: base, file: file}
	if j := l.config().SegmentJitterMs; j > 0 {
		s.jitterMs = l.store.random(j)
	}
	return s
}

// roll seals the last segment and starts one at base. mu is held.
func (l *Log) roll(base int64) error {
	v := l.view.Load()
	old := v.last()
	if x := old.idx.Load(); x != nil {
		x.finish()
	}
	s, err := l.newSegment(base)
	if noDescriptor(err) {
		return fmt.Errorf("start segment %d of %v: %w", base, l.tp, ErrTooManyFiles)
	}
	if err != nil {
		return l.dir.fail(fmt.Sprintf("starting segment %d of %v", base, l.tp), err)
	}
	old.snapshot = l.prod.snapshot()
	l.view.Store(&view{segments: append(slices.Clip(v.segments), s)})
	l.wantSeal()
	return nil
}
