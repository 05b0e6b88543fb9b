package storage

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// Names in a log directory.
const (
	recoveryPointsName = "recovery-point-offset-checkpoint"
	logStartsName      = "log-start-offset-checkpoint"
	highWatermarksName = "replication-offset-checkpoint"
	cleanerName        = "cleaner-offset-checkpoint"
	endSizesName       = "barnabas-end-size-checkpoint"
	metaName           = "meta.properties"
	lockName           = ".lock"
	cleanName          = ".kafka_cleanshutdown"
	formatName         = "barnabas.format"
	suspectName        = ".barnabas-sync-failed"

	// FormatVersion is what this build writes and the newest it reads.
	FormatVersion = 1
)

// logDir is one of log.dirs: a lock, five checkpoints, the partitions' folders, and the goroutines that serve them.
type logDir struct {
	store   *Store
	path    string
	lock    io.Closer
	id      string // directory.id
	foreign bool   // last written by Kafka
	fresh   bool   // nobody has made it a log directory yet
	clean   bool   // the marker was there at Open
	suspect bool   // a sync failed here before, so what the kernel says is on the disk may not be
	epoch   int64  // broker epoch in the marker, -1

	flusher flusher
	sealer  sealer
	offline atomic.Pointer[OfflineError]
	room    atomic.Int64 // bytes that may be appended before the file system's usage is asked again
	full    atomic.Bool  // the last answer was that there is no room, and the log says so

	saveMu sync.Mutex // one writer of checkpoints at a time
	saved  map[string]map[kafka.TopicPartition]int64
}

// cleanMarker is .kafka_cleanshutdown.
type cleanMarker struct {
	Version     int   `json:"version"`
	BrokerEpoch int64 `json:"brokerEpoch"`
}

func (d *logDir) file(name string) string { return path.Join(d.path, name) }

// offlineErr is the error that took the directory offline, or nil.
func (d *logDir) offlineErr() error {
	if e := d.offline.Load(); e != nil {
		return e
	}
	return nil
}

// fail takes the directory offline and returns what callers shall hear. Only the first failure counts.
func (d *logDir) fail(op string, err error) error {
	var already *OfflineError
	if errors.As(err, &already) {
		return already
	}
	e := &OfflineError{Dir: d.path, Op: op, Err: err}
	if !d.offline.CompareAndSwap(nil, e) {
		return d.offline.Load()
	}
	d.store.log.Error("log directory goes offline", "dir", d.path, "op", op, "error", err)
	// After a failed sync the kernel may hold pages that are neither on the disk nor marked as to be written: read back, they look
	// fine. The note makes the next recovery write them anew. It has to live only as long as those pages, so it is not synced.
	if f, err := d.store.fs.Create(d.file(suspectName)); err == nil {
		f.Close()
	}
	d.store.wg.Go(func() { d.store.cfg.OnOffline(d.path, e) })
	return e
}

// roomFor refuses an append of n bytes that would eat into the reserve. The file system is asked every few megabytes.
func (d *logDir) roomFor(n int) error {
	reserved := d.store.cfg.ReservedBytes
	if reserved <= 0 || d.room.Add(-int64(n)) >= 0 {
		return nil
	}
	u, err := d.store.fs.Usage(d.path)
	if err != nil {
		return nil // the write itself will tell
	}
	if u.Free-int64(n) < reserved {
		d.room.Store(0)
		if d.full.CompareAndSwap(false, true) { // clients only hear a code, and try again for as long as they may
			d.store.log.Error("the disk is down to its reserve, appends are refused", "dir", d.path, "free", u.Free, "reserved", reserved)
		}
		return &FullError{Dir: d.path, Free: u.Free, Reserved: reserved}
	}
	d.room.Store(min(u.Free-reserved-int64(n), 4<<20))
	if u.Free-int64(n) >= reserved+4<<20 && d.full.CompareAndSwap(true, false) { // not at the edge, where large appends find none and small ones do
		d.store.log.Info("the disk has room again, appends are taken", "dir", d.path, "free", u.Free)
	}
	return nil
}

// claim locks the directory and checks that it is ours to use. It changes nothing that another broker would miss.
func (d *logDir) claim() error {
	s := d.store
	if err := s.mkdirDurable(d.path); err != nil {
		return fmt.Errorf("make log directory %s: %w", d.path, err)
	}
	lock, err := s.fs.Lock(d.file(lockName), "barnabas, process "+strconv.Itoa(os.Getpid()))
	if err != nil {
		return fmt.Errorf("lock log directory %s: %w; stop the other broker, or give this one its own log.dirs", d.path, err)
	}
	d.lock = lock
	return d.identify()
}

// identify reads the format version, meta.properties and the clean marker.
func (d *logDir) identify() error {
	s := d.store
	switch b, err := readSmall(s.fs, d.file(formatName), maxSmallFile); {
	case missing(err):
		d.foreign = true
	case err != nil:
		return err
	default:
		v, err := decodeFormatVersion(d.file(formatName), b)
		if err != nil {
			return err
		}
		if v > FormatVersion {
			return &NewerFormatError{Dir: d.path, Found: v, Newest: FormatVersion}
		}
	}
	switch b, err := readSmall(s.fs, d.file(metaName), maxSmallFile); {
	case missing(err):
		d.fresh = true
	case err != nil:
		return err
	default:
		m, err := decodeMetaProperties(d.file(metaName), b)
		if err != nil {
			return err
		}
		if want := s.cfg.ClusterID; m.ClusterID != "" && want != "" && m.ClusterID != want {
			return &MismatchError{Dir: d.path, Property: "cluster.id", Found: m.ClusterID, Want: want}
		}
		if want := strconv.Itoa(int(s.cfg.NodeID)); m.NodeID != "" && s.cfg.NodeID >= 0 && m.NodeID != want {
			return &MismatchError{Dir: d.path, Property: "node.id", Found: m.NodeID, Want: want}
		}
		if s.cfg.ClusterID == "" {
			s.cfg.ClusterID = m.ClusterID
		}
		d.id = m.DirectoryID
	}
	d.epoch = -1
	switch b, err := readSmall(s.fs, d.file(cleanName), maxSmallFile); {
	case missing(err):
	case err != nil:
		return err
	default:
		d.clean = true
		var m cleanMarker
		if json.Unmarshal(b, &m) == nil && len(b) > 0 {
			d.epoch = m.BrokerEpoch
		}
	}
	if _, err := s.fs.Stat(d.file(suspectName)); err == nil {
		d.suspect, d.clean = true, false
	} else if !missing(err) {
		return err
	}
	return nil
}

// adopt makes the directory ours: identity written, clean marker gone for good before anything is appended.
func (d *logDir) adopt() error {
	s := d.store
	if d.id == "" {
		d.id = randomID()
		m := metaProperties{ClusterID: s.cfg.ClusterID, DirectoryID: d.id}
		if s.cfg.NodeID >= 0 {
			m.NodeID = strconv.Itoa(int(s.cfg.NodeID))
		}
		if err := replaceFile(s.fs, d.file(metaName), m.encode()); err != nil {
			return err
		}
	}
	if d.foreign {
		if err := replaceFile(s.fs, d.file(formatName), encodeFormatVersion(FormatVersion)); err != nil {
			return err
		}
	}
	if err := s.fs.Remove(d.file(cleanName)); err != nil && !missing(err) {
		return err
	}
	return s.fs.SyncDir(d.path)
}

// randomID is an id as Kafka makes them: 16 random bytes as URL-safe base64.
func randomID() string {
	var b [16]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// randomHex is 16 random bytes as Kafka puts them into the names of deleted folders.
func randomHex() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// readCheckpoint reads one of the offset checkpoints. A damaged one counts as missing: every use of it is on the safe side without.
func (d *logDir) readCheckpoint(name string) (map[kafka.TopicPartition]int64, error) {
	b, err := readSmall(d.store.fs, d.file(name), maxSmallFile)
	if missing(err) {
		return nil, nil
	}
	var m map[kafka.TopicPartition]int64
	if err == nil {
		m, err = decodeOffsets(d.file(name), b)
	}
	var bad *FormatError
	if errors.As(err, &bad) {
		d.store.log.Error("a checkpoint cannot be read and is made anew", "dir", d.path, "error", err)
		return nil, nil
	}
	return m, err
}

// save writes one checkpoint if it changed. value says what a log's line is; ok false leaves it out.
func (d *logDir) save(name string, value func(l *Log) (offset int64, ok bool)) error {
	if err := d.offlineErr(); err != nil {
		return err
	}
	d.saveMu.Lock()
	defer d.saveMu.Unlock()
	m := make(map[kafka.TopicPartition]int64)
	for _, l := range d.store.unsorted() {
		if l.dir != d {
			continue
		}
		if v, ok := value(l); ok {
			m[l.tp] = v
		}
	}
	if maps.Equal(d.saved[name], m) { // no file and an empty one say the same
		return nil
	}
	if err := writeAtomic(d.store.fs, d.file(name), encodeOffsets(m)); err != nil {
		return d.fail("writing "+name, err)
	}
	d.saved[name] = m
	return nil
}

func (d *logDir) saveRecoveryPoints() error {
	return d.save(recoveryPointsName, func(l *Log) (int64, bool) { return l.recoveryPoint(), true })
}

// saveLogStarts notes every start that is not zero. Kafka leaves out those that the first segment's name tells; but the removal of the
// segments before it is not synced, and a power cut that brings them back must not lower the start.
func (d *logDir) saveLogStarts() error {
	return d.save(logStartsName, func(l *Log) (int64, bool) {
		start := max(l.rising.Load(), l.start.Load())
		return start, start > 0
	})
}

func (d *logDir) saveHighWatermarks() error {
	return d.save(highWatermarksName, func(l *Log) (int64, bool) { return l.HighWatermarkCheckpoint(), true })
}

func (d *logDir) saveCleaner() error {
	return d.save(cleanerName, func(l *Log) (int64, bool) { return l.cleaning.checkpoint() })
}

// saveEndSizes notes how long the last segments are. Only a clean start reads it, and only the stop before that has written it: what is shorter or
// longer then was changed in between.
func (d *logDir) saveEndSizes() error {
	return d.save(endSizesName, func(l *Log) (int64, bool) {
		v := l.view.Load()
		return v.segments[len(v.segments)-1].size.Load(), true
	})
}

// forget rewrites the checkpoints that name a log which is being deleted. Otherwise a topic of the same name made later would be
// recovered by the old one's offsets.
func (d *logDir) forget(tps map[kafka.TopicPartition]bool) error {
	for name, save := range map[string]func() error{ // any order: separate files
		recoveryPointsName: d.saveRecoveryPoints, logStartsName: d.saveLogStarts, highWatermarksName: d.saveHighWatermarks, cleanerName: d.saveCleaner,
	} {
		d.saveMu.Lock()
		named := false
		for tp := range tps { // any order: a question of whether
			_, there := d.saved[name][tp]
			named = named || there
		}
		d.saveMu.Unlock()
		if named {
			if err := save(); err != nil {
				return err
			}
		}
	}
	return nil
}

// recoveryPoint is the offset below which recovery need not look: durable, and in segments whose indexes are durable too.
func (l *Log) recoveryPoint() int64 {
	flushed := l.flushed.Load() // before the view: a segment sealed after it only raises what follows
	v := l.view.Load()
	for _, s := range v.segments[:len(v.segments)-1] {
		if !s.sealed.Load() {
			return min(flushed, s.base)
		}
	}
	return flushed
}

// close makes everything durable, writes what a clean start trusts, and the marker last.
func (d *logDir) close(ctx context.Context, logs []*Log) error {
	err := d.offlineErr()
	if err == nil {
		err = d.closeLogs(ctx, logs)
	}
	if err == nil {
		err = ctx.Err() // also of a directory without logs: a stop that was cut short is not a clean one
	}
	if err == nil {
		err = errors.Join(d.saveRecoveryPoints(), d.saveLogStarts(), d.saveHighWatermarks(), d.saveCleaner(), d.saveEndSizes())
	}
	if err == nil {
		b, _ := json.Marshal(cleanMarker{BrokerEpoch: d.store.brokerEpoch.Load()})
		err = writeAtomic(d.store.fs, d.file(cleanName), b)
	}
	if err != nil {
		err = fmt.Errorf("close log directory %s: %w", d.path, err)
	}
	return err
}

// flushAll flushes every log, so many at a time that their files do not exceed the limit of open files by much. The flusher does not run.
func (d *logDir) flushAll(ctx context.Context, logs []*Log) error {
	x := flush{f: &d.flusher}
	for part := range slices.Chunk(logs, d.store.cfg.OpenFilesMax) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := x.flush(part, false); err != nil {
			return err
		}
	}
	return nil
}

// closeLogs flushes every log and writes the files that spare the next start a look into the segments. With SyncFS one call makes all of them
// durable, else each is synced by itself.
func (d *logDir) closeLogs(ctx context.Context, logs []*Log) error {
	if err := d.flushAll(context.WithoutCancel(ctx), logs); err != nil { // what was appended is flushed however late it is
		return err
	}
	var wrote []closing
	for _, l := range logs {
		if err := ctx.Err(); err != nil {
			return err // no marker: the next start recovers
		}
		names, err := l.writeClosing()
		if err != nil {
			return d.fail(fmt.Sprintf("closing %v", l.tp), err)
		}
		if len(names) > 0 {
			wrote = append(wrote, closing{l, names})
		}
	}
	if len(wrote) == 0 {
		return nil
	}
	err := d.store.fs.SyncFS(d.path)
	if errors.Is(err, errors.ErrUnsupported) {
		err = parallel(d.store.cfg.SyncParallel, len(wrote), func(i int) error { return wrote[i].sync() })
	}
	if err != nil {
		return d.fail("syncing what was closed", err)
	}
	return nil
}

// closing is what writeClosing wrote into the folder of a log.
type closing struct {
	log   *Log
	names []string
}

func (c *closing) sync() error {
	fsys := c.log.store.fs
	for _, name := range c.names {
		if err := syncFile(fsys, path.Join(c.log.path, name)); err != nil {
			return err
		}
	}
	return fsys.SyncDir(c.log.path)
}

// syncFile makes durable what was written to a file that is closed by now.
func syncFile(fsys vfs.FS, name string) error {
	f, err := fsys.Open(name)
	if err != nil {
		return err
	}
	err = f.Sync()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// writeClosing seals what is left to seal and writes the indexes of the last segment and the producer snapshot, if they changed. It
// answers the names of the files that it changed without syncing them.
func (l *Log) writeClosing() (names []string, err error) {
	if err := l.seal(context.Background()); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.view.Load().last()
	if x := s.idx.Load(); x != nil && x.isDirty() {
		x.finish()
		if names, err = s.writeIndexes(x, false); err != nil {
			return nil, err
		}
	}
	if l.config().Preallocate && s.idx.Load() != nil {
		if err := s.trim(); err != nil {
			return nil, err
		}
		names = append(names, segmentName(s.base, logSuffix))
	}
	end := l.end.Load()
	if k := len(l.snapshots); (k > 0 && l.snapshots[k-1] != end) || (k == 0 && !l.prod.empty()) {
		name := segmentName(end, snapshotSuffix)
		if err := l.writeFile(name, l.prod.snapshot(), false); err != nil {
			return nil, err
		}
		names = append(names, name)
		l.addSnapshot(end)
	}
	return names, nil
}

// writeFile makes a file in the log's folder; its name is not durable yet.
func (l *Log) writeFile(name string, data []byte, sync bool) error {
	f, err := l.store.fs.Create(path.Join(l.path, name))
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	if err == nil && sync {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
