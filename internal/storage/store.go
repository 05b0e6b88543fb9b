package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// Store holds the logs of all log directories. Its methods may be called from many goroutines.
type Store struct {
	cfg     Config
	fs      vfs.FS
	log     *slog.Logger
	files   *files
	indexes indexCache
	readers sync.Pool // of *batch.Reader
	dirs    []*logDir

	brokerEpoch atomic.Int64
	running     atomic.Pointer[Running]
	cleaners    cleaners

	mu     sync.RWMutex
	logs   map[kafka.TopicPartition]*Log
	making map[kafka.TopicPartition]bool // being created
	closed bool

	adminMu sync.Mutex // one creation or deletion at a time
	stop    chan struct{}
	wg      sync.WaitGroup
}

// Open locks the log directories, checks whose they are, recovers what an unclean stop left, and starts the background work. On an error
// everything is closed and unlocked again. Errors: *vfs.LockedError, *NewerFormatError, *MismatchError, *MissingError, *FormatError, *StoppedError when
// ctx ends first, or the file system's.
//
// Recovery may take minutes. It looks at ctx between any two batches, but finishes what it has begun to change.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	c, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Store{cfg: c, fs: c.FS, log: c.Logger, logs: make(map[kafka.TopicPartition]*Log), making: make(map[kafka.TopicPartition]bool), stop: make(chan struct{})}
	s.files = newFiles(c.FS, c.OpenFilesMax)
	s.indexes.max = c.IndexCacheBytes
	s.readers.New = func() any { return batch.NewReader(c.Codecs) }
	s.brokerEpoch.Store(-1)
	s.setRunning(c.Running)
	s.cleaners.alive, s.cleaners.changed = make(map[int]bool), make(chan struct{})
	for _, p := range c.Dirs {
		d := &logDir{store: s, path: path.Clean(p), saved: make(map[string]map[kafka.TopicPartition]int64)}
		d.flusher = flusher{dir: d, wake: make(chan struct{}, 1)}
		d.sealer = sealer{dir: d, wake: make(chan struct{}, 1)}
		s.dirs = append(s.dirs, d)
	}
	if err := s.open(ctx); err != nil {
		close(s.stop)
		s.wg.Wait()
		s.files.releaseAll()
		s.unlock()
		return nil, err
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	for _, d := range s.dirs {
		if err := d.claim(); err != nil {
			return err
		}
	}
	if err := s.checkPlaced(); err != nil {
		return err
	}
	if s.cfg.ClusterID == "" {
		s.cfg.ClusterID = randomID()
	}
	for _, d := range s.dirs {
		if err := d.adopt(); err != nil {
			return fmt.Errorf("open log directory %s: %w", d.path, err)
		}
	}
	for _, d := range s.dirs {
		if err := d.load(ctx); err != nil {
			return fmt.Errorf("open log directory %s: %w", d.path, err)
		}
	}
	if n, first := s.unplaced(func(tp kafka.TopicPartition) bool { return s.logs[tp] != nil }); n > 0 {
		s.log.Error("logs are missing; their partitions begin empty", "logs", n, "topic", first.Topic, "partition", first.Partition)
	}
	for _, d := range s.dirs {
		for range flushLanes {
			s.wg.Go(func() { d.flusher.run(s.stop) })
		}
		if !s.cfg.sealByHand {
			s.wg.Go(func() { d.sealer.run(s.stop) })
		}
	}
	s.startTasks()
	return nil
}

// checkPlaced refuses a new directory when partitions are missing. It looks before anything is written there, since after that the directory is
// new no more.
func (s *Store) checkPlaced() error {
	i := slices.IndexFunc(s.dirs, func(d *logDir) bool { return d.fresh })
	if i < 0 || s.cfg.Placed == nil {
		return nil
	}
	here := make(map[kafka.TopicPartition]bool)
	for _, d := range s.dirs {
		entries, err := s.fs.ReadDir(d.path)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if tp, ok := parseFolder(e.Name()); ok && e.IsDir() {
				here[tp] = true
			}
		}
	}
	if n, first := s.unplaced(func(tp kafka.TopicPartition) bool { return here[tp] }); n > 0 {
		return &MissingError{Dir: s.dirs[i].path, First: first, Count: n}
	}
	return nil
}

// unplaced counts the partitions that should be here and are not.
func (s *Store) unplaced(here func(kafka.TopicPartition) bool) (n int, first kafka.TopicPartition) {
	if s.cfg.Placed == nil {
		return 0, first
	}
	for tp := range s.cfg.Placed {
		if !here(tp) {
			if n == 0 {
				first = tp
			}
			n++
		}
	}
	return n, first
}

func (s *Store) unlock() {
	for _, d := range s.dirs {
		if d.lock != nil {
			d.lock.Close()
		}
	}
}

// Close stops the background work, makes everything durable and leaves the marker that spares the next start a recovery. The caller has
// stopped everyone who uses the logs. When ctx ends first, or a directory is offline, the marker is left out and the error says why; the
// store is closed all the same.
func (s *Store) Close(ctx context.Context) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.closed = true
	s.mu.Unlock()
	close(s.stop)
	s.wg.Wait()
	s.adminMu.Lock() // a creation or deletion under way ends first
	defer s.adminMu.Unlock()
	var errs []error
	for _, d := range s.dirs {
		var logs []*Log
		for _, l := range s.Logs() {
			if l.dir == d {
				logs = append(logs, l)
			}
		}
		errs = append(errs, d.close(ctx, logs))
		if d.offlineErr() == nil {
			errs = append(errs, d.sealer.sweep(1<<62))
		}
	}
	for _, l := range s.Logs() {
		l.shut()
	}
	s.wg.Wait() // OnOffline, if closing failed
	s.unlock()
	return errors.Join(errs...)
}

// shut ends a log: calls answer ErrClosed, files close with their last reader.
func (l *Log) shut() {
	l.closed.Store(true)
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.view.Load().segments {
		s.letGo()
		s.file.forget()
		l.store.indexes.remove(s)
	}
}

// ClusterID is the cluster the directories belong to.
func (s *Store) ClusterID() string { return s.cfg.ClusterID }

// SetBrokerEpoch says what the clean-shutdown marker shall bear.
func (s *Store) SetBrokerEpoch(epoch int64) { s.brokerEpoch.Store(epoch) }

// Get is the log of a partition, nil when there is none here.
func (s *Store) Get(tp kafka.TopicPartition) *Log {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.logs[tp]
}

// unsorted are all logs in no order, for tasks that look at each.
func (s *Store) unsorted() []*Log {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]*Log, 0, len(s.logs))
	for _, l := range s.logs { // any order: says the name
		out = append(out, l)
	}
	return out
}

// Logs are all logs, sorted by topic and partition.
func (s *Store) Logs() []*Log {
	out := s.unsorted()
	slices.SortFunc(out, func(a, b *Log) int { return a.tp.Compare(b.tp) })
	return out
}

// LogInfo is one log for DescribeLogDirs.
type LogInfo struct {
	TP   kafka.TopicPartition
	Size int64
}

// DirInfo is one log directory for DescribeLogDirs.
type DirInfo struct {
	Path        string
	DirectoryID string
	TotalBytes  int64 // of the file system; -1 when it does not tell
	UsableBytes int64
	Clean       bool  // a clean-shutdown marker was found at Open
	BrokerEpoch int64 // in that marker, -1 without
	Offline     error // *OfflineError, or nil
	Logs        []LogInfo
}

// Dirs describes the log directories.
func (s *Store) Dirs() []DirInfo {
	logs := s.Logs()
	out := make([]DirInfo, len(s.dirs))
	for i, d := range s.dirs {
		out[i] = DirInfo{Path: d.path, DirectoryID: d.id, TotalBytes: -1, UsableBytes: -1, Clean: d.clean, BrokerEpoch: d.epoch, Offline: d.offlineErr()}
		if u, err := s.fs.Usage(d.path); err == nil {
			out[i].TotalBytes, out[i].UsableBytes = u.Total, u.Free
		}
		for _, l := range logs {
			if l.dir == d {
				out[i].Logs = append(out[i].Logs, LogInfo{TP: l.tp, Size: l.Size()})
			}
		}
	}
	return out
}

// now is wall time in Kafka's unit.
func (s *Store) now() int64 { return s.cfg.Clock().UnixMilli() }

// random is a number in [0, n): jitter, nothing that is decided upon.
func (s *Store) random(n int64) int64 { return rand.Int64N(n) }

func (s *Store) reader() *batch.Reader { return s.readers.Get().(*batch.Reader) }

// mkdirDurable makes a folder and every missing one above it, and their names durable: also of those that are there, since a process
// that made them may have been killed before it could. What this user may not open, others made.
func (s *Store) mkdirDurable(name string) error {
	if err := s.fs.MkdirAll(name); err != nil {
		return err
	}
	for dir := name; dir != path.Dir(dir); dir = path.Dir(dir) {
		if err := s.fs.SyncDir(path.Dir(dir)); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return nil
}

// Suffixes of folders that are no partitions.
const (
	deleteFolder = "-delete"
	futureFolder = "-future"
	strayFolder  = "-stray"
)

// parseFolder reads "topic-partition"; the topic may hold dashes itself.
func parseFolder(name string) (tp kafka.TopicPartition, ok bool) {
	i := strings.LastIndexByte(name, '-')
	if i <= 0 || i == len(name)-1 || len(name)-i > 11 {
		return tp, false
	}
	n := int64(0)
	for _, c := range name[i+1:] {
		if c < '0' || c > '9' {
			return tp, false
		}
		n = n*10 + int64(c-'0')
	}
	tp = kafka.TopicPartition{Topic: name[:i], Partition: int32(n)}
	return tp, n <= maxRelative && kafka.CheckTopicName(tp.Topic) == nil && tp.String() == name
}

// startTasks starts what runs by the clock. Each task can also be called directly.
func (s *Store) startTasks() {
	every := func(interval time.Duration, task func()) {
		if interval <= 0 {
			return
		}
		s.wg.Go(func() {
			t := time.NewTicker(interval)
			defer t.Stop()
			for {
				select {
				case <-t.C:
					task()
				case <-s.stop:
					return
				}
			}
		})
	}
	every(s.cfg.RetentionCheckInterval, func() { s.ApplyRetention() })
	every(s.cfg.CheckpointInterval, func() { s.Checkpoint() })
	every(s.cfg.HighWatermarkInterval, func() { s.CheckpointHighWatermarks() })
	every(s.cfg.ProducerSweepInterval, func() { s.ExpireProducers() })
	every(time.Second, s.sweep)
	if s.cfg.FlushMode == FlushInterval {
		every(s.cfg.FlushInterval, s.flushDirty)
	}
	s.startCleaners()
}

// stopping reports whether Close has begun.
func (s *Store) stopping() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}

// sweep unlinks deleted files whose time has come, and honours flush.ms.
func (s *Store) sweep() {
	now := s.now()
	for _, d := range s.dirs {
		if d.offlineErr() != nil {
			continue
		}
		if err := d.sealer.sweep(now); err != nil {
			s.log.Warn("deleted files could not be unlinked", "dir", d.path, "error", err)
		}
	}
	if s.cfg.FlushMode == FlushCommit {
		return
	}
	for _, l := range s.unsorted() {
		if since := l.dirtyMs.Load(); since > 0 && now-since >= l.config().FlushMs {
			l.WantFlush()
		}
	}
}

// flushDirty wants a flush of every log that has unsynced bytes.
func (s *Store) flushDirty() {
	for _, l := range s.unsorted() {
		if l.flushed.Load() < l.end.Load() {
			l.WantFlush()
		}
	}
}

// Checkpoint writes the recovery points and log starts of all directories, if they changed.
func (s *Store) Checkpoint() error {
	var errs []error
	for _, d := range s.dirs {
		errs = append(errs, d.saveRecoveryPoints(), d.saveLogStarts())
	}
	return errors.Join(errs...)
}

// CheckpointHighWatermarks writes the high watermarks of all directories, if they changed.
func (s *Store) CheckpointHighWatermarks() error {
	var errs []error
	for _, d := range s.dirs {
		errs = append(errs, d.saveHighWatermarks())
	}
	return errors.Join(errs...)
}

// ExpireProducers forgets producers that have not written for Running.ProducerExpiration.
func (s *Store) ExpireProducers() {
	before := s.now() - s.running.Load().ProducerExpiration.Milliseconds()
	for _, l := range s.unsorted() {
		if n := l.prod.expire(before); n > 0 {
			l.logger().Debug("producers expired", "producers", n)
		}
	}
}
