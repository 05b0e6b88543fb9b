package storage

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// Opening a log directory. After a clean stop the checkpoints are believed and files are opened when first used. After any other end each
// log is walked from its recovery point (reference 3.3): what follows the first bad batch is cut, indexes, producers and epochs are made
// from the batches, and what is kept is synced before anybody can read it.

// checkpoints are the offsets of one log directory at its last stop; nil maps after none.
type checkpoints struct {
	recovery, start, hw, cleaner map[kafka.TopicPartition]int64
}

// load opens every partition of the directory.
func (d *logDir) load() error {
	s := d.store
	began := time.Now()
	var cp checkpoints
	for name, m := range map[string]*map[kafka.TopicPartition]int64{ // any order: separate files
		recoveryPointsName: &cp.recovery, logStartsName: &cp.start, highWatermarksName: &cp.hw, cleanerName: &cp.cleaner,
	} {
		var err error
		if *m, err = d.readCheckpoint(name); err != nil {
			return err
		}
		if *m != nil {
			d.saved[name] = *m
		}
	}
	folders, err := d.folders()
	if err != nil {
		return err
	}
	if !d.clean && len(folders) > 0 {
		s.log.Info("the last stop was not clean, recovering", "dir", d.path, "logs", len(folders))
	}
	logs := make([]*Log, len(folders))
	var finished atomic.Int64
	var lastReport atomic.Int64
	err = parallel(s.cfg.RecoveryThreads, len(folders), func(i int) error {
		l := s.newLog(d, folders[i], s.cfg.TopicConfig(folders[i].Topic))
		if err := l.open(&cp); err != nil {
			return fmt.Errorf("open %v: %w", l.tp, err)
		}
		logs[i] = l
		n := finished.Add(1)
		if sec := int64(time.Since(began) / (5 * time.Second)); sec > lastReport.Load() {
			lastReport.Store(sec)
			s.log.Info("opening logs", "dir", d.path, "done", n, "of", len(folders))
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, l := range logs {
		if other := s.logs[l.tp]; other != nil {
			return fmt.Errorf("%v is in %s and in %s; move the stale copy away", l.tp, other.path, l.path)
		}
		s.logs[l.tp] = l
	}
	if !d.clean {
		if err := d.secure(logs); err != nil {
			return err
		}
	}
	if len(logs) > 0 {
		s.log.Info("logs are open", "dir", d.path, "logs", len(logs), "clean", d.clean, "took", time.Since(began).Round(time.Millisecond))
	}
	return nil
}

// folders lists the partitions of the directory. What was being deleted is unlinked.
func (d *logDir) folders() ([]kafka.TopicPartition, error) {
	fsys := d.store.fs
	entries, err := fsys.ReadDir(d.path)
	if err != nil {
		return nil, err
	}
	var tps []kafka.TopicPartition
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		switch name := e.Name(); {
		case strings.HasSuffix(name, deleteFolder) && strings.Contains(name, "."):
			if err := fsys.RemoveAll(d.file(name)); err != nil {
				return nil, err
			}
		case strings.HasSuffix(name, futureFolder), strings.HasSuffix(name, strayFolder):
			d.store.log.Warn("folder left alone: Kafka moved or disowned it", "folder", d.file(name))
		default:
			tp, ok := parseFolder(name)
			if !ok {
				d.store.log.Warn("folder left alone: it is no partition's", "folder", d.file(name))
				continue
			}
			tps = append(tps, tp)
		}
	}
	return tps, nil
}

// secure makes what recovery kept durable before it is served, and the recovery points that spare doing it again.
func (d *logDir) secure(logs []*Log) error {
	if err := d.flusher.flush(logs, false); err != nil {
		return err
	}
	for _, l := range logs {
		if err := l.seal(); err != nil {
			return fmt.Errorf("seal %v: %w", l.tp, err)
		}
	}
	for name, save := range map[string]func() error{recoveryPointsName: d.saveRecoveryPoints, logStartsName: d.saveLogStarts} { // any order: separate files
		if err := save(); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	if d.suspect {
		if err := d.store.fs.Remove(d.file(suspectName)); err != nil && !missing(err) {
			return err
		}
	}
	return nil
}

// newLog is an empty shell without segments.
func (s *Store) newLog(d *logDir, tp kafka.TopicPartition, c LogConfig) *Log {
	l := &Log{store: s, dir: d, tp: tp, path: d.file(tp.String())}
	l.SetConfig(c)
	return l
}

// open finds the log's files and brings it to where it can be served.
func (l *Log) open(cp *checkpoints) error {
	files, err := l.list()
	if err != nil {
		return err
	}
	if err := l.readIdentity(files); err != nil {
		return err
	}
	l.snapshots = files.snapshots
	for _, f := range files.logs {
		seg := l.segment(f.base, l.store.files.handle(path.Join(l.path, segmentName(f.base, logSuffix))))
		seg.createdMs = f.modMs
		seg.size.Store(f.size)
		files.segments = append(files.segments, seg)
	}
	start := cp.start[l.tp]
	if files.segments, err = l.dropBelow(files.segments, start); err != nil {
		return err
	}
	if len(files.segments) == 0 {
		return l.startEmpty(start, cp)
	}
	l.view.Store(&view{segments: files.segments})
	first, last := files.segments[0], files.segments[len(files.segments)-1]
	point, known := cp.recovery[l.tp]
	clean := l.dir.clean && known && files.tidy && point >= last.base && (point == last.base) == (last.size.Load() == 0)
	if clean {
		l.end.Store(point)
		for _, s := range files.segments {
			s.synced, s.named = s.size.Load(), true
			s.sealed.Store(s != last)
		}
		l.flushed.Store(point)
	} else if err := l.recover(point); err != nil {
		return err
	}
	if start > l.end.Load() {
		l.logger().Error("the log ends below its start, starting anew there", "end", l.end.Load(), "start", start)
		return l.resetTo(start, cp)
	}
	l.start.Store(max(start, first.base))
	if clean {
		if err := l.loadProducers(); err != nil {
			return err
		}
	}
	next, _ := epochsTruncateEnd(l.epochs.load(), l.end.Load()+1)
	if next, _ = epochsTruncateStart(next, l.start.Load()); !equalEpochs(next, l.epochs.load()) {
		if err := l.changeEpochs(func([]EpochEntry) ([]EpochEntry, bool) { return next, true }); err != nil {
			return err
		}
	}
	if err := l.dropStraySnapshots(); err != nil {
		return err
	}
	l.hw.Store(min(max(cp.hw[l.tp], l.start.Load()), l.end.Load()))
	if off, ok := cp.cleaner[l.tp]; ok {
		l.cleaning.restore(off)
	}
	return nil
}

func equalEpochs(a, b []EpochEntry) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// folderFiles is what a partition folder holds.
type folderFiles struct {
	logs      []logFile
	snapshots []int64
	metadata  bool
	epochs    bool
	tidy      bool // nothing unfinished was found
	segments  []*segment
}

type logFile struct {
	base, size, modMs int64
}

// list reads the folder once, finishes or undoes a compaction that was under way, and removes leftovers.
func (l *Log) list() (*folderFiles, error) {
	fsys := l.store.fs
	entries, err := fsys.ReadDir(l.path)
	if err != nil {
		return nil, err
	}
	out := &folderFiles{tidy: true}
	var cleaned, swaps []string
	for _, e := range entries {
		name := e.Name()
		switch {
		case e.IsDir():
			continue
		case name == metadataName:
			out.metadata = true
			continue
		case name == epochsName:
			out.epochs = true
			continue
		case strings.HasSuffix(name, deletedSuffix), strings.HasSuffix(name, ".tmp"):
			if err := fsys.Remove(path.Join(l.path, name)); err != nil {
				return nil, err
			}
			continue
		case strings.HasSuffix(name, cleanedSuffix):
			cleaned = append(cleaned, name)
			continue
		case strings.HasSuffix(name, swapSuffix):
			swaps = append(swaps, name)
			continue
		}
		off, suffix, ok := parseSegmentName(name)
		switch {
		case !ok:
		case suffix == logSuffix:
			info, err := e.Info()
			if err != nil {
				return nil, err
			}
			out.logs = append(out.logs, logFile{base: off, size: info.Size(), modMs: info.ModTime().UnixMilli()}) // sorted, as ReadDir is
		case suffix == snapshotSuffix:
			out.snapshots = append(out.snapshots, off)
		}
	}
	if len(cleaned)+len(swaps) > 0 {
		if err := l.finishSwap(cleaned, swaps); err != nil {
			return nil, err
		}
		out, err := l.list()
		if err == nil {
			out.tidy = false
		}
		return out, err
	}
	return out, nil
}

// readIdentity reads partition.metadata and the epochs.
func (l *Log) readIdentity(files *folderFiles) error {
	if files.metadata {
		name := path.Join(l.path, metadataName)
		b, err := readSmall(l.store.fs, name, 1<<10)
		if err == nil {
			l.id, err = decodePartitionMetadata(name, b)
		}
		if err != nil {
			return err
		}
	}
	if !files.epochs {
		return nil
	}
	name := path.Join(l.path, epochsName)
	b, err := readSmall(l.store.fs, name, maxSmallFile)
	if err != nil {
		return err
	}
	entries, err := decodeEpochs(name, b)
	if err != nil {
		// The batches know their epochs; a full walk finds them.
		l.logger().Error("the leader epochs cannot be read and are made anew from the batches", "error", err)
		files.tidy = false
		return nil
	}
	l.epochs.store(entries)
	return nil
}

// dropBelow removes segments that lie wholly below the log start: retention had advanced it before it could remove them.
func (l *Log) dropBelow(segs []*segment, start int64) ([]*segment, error) {
	n := 0
	for n+1 < len(segs) && segs[n+1].base <= start {
		if err := l.removeFiles(segs[n].base); err != nil {
			return nil, err
		}
		n++
	}
	return segs[n:], nil
}

// removeFiles unlinks a segment's files; the .log goes last, so that what is left of an interrupted removal is still a segment.
func (l *Log) removeFiles(base int64) error {
	for _, suffix := range []string{indexSuffix, timeIndexSuffix, txnIndexSuffix, logSuffix} {
		if err := l.store.fs.Remove(path.Join(l.path, segmentName(base, suffix))); err != nil && !missing(err) {
			return err
		}
	}
	return nil
}

// startEmpty gives a log without segments its first one.
func (l *Log) startEmpty(start int64, cp *checkpoints) error {
	s, err := l.newSegment(start)
	if err != nil {
		return err
	}
	l.view.Store(&view{segments: []*segment{s}})
	for _, off := range []*atomic.Int64{&l.start, &l.end, &l.flushed, &l.hw} {
		off.Store(start)
	}
	return l.store.fs.SyncDir(l.path)
}

// resetTo drops everything and starts empty at start.
func (l *Log) resetTo(start int64, cp *checkpoints) error {
	for _, s := range l.view.Load().segments {
		s.file.forget()
		if err := l.removeFiles(s.base); err != nil {
			return err
		}
	}
	for _, off := range l.snapshots {
		if err := l.removeSnapshot(off); err != nil {
			return err
		}
	}
	l.snapshots = nil
	l.prod.reset()
	if err := l.changeEpochs(func(e []EpochEntry) ([]EpochEntry, bool) { return nil, len(e) > 0 }); err != nil {
		return err
	}
	return l.startEmpty(start, cp)
}

func (l *Log) removeSnapshot(off int64) error {
	if err := l.store.fs.Remove(path.Join(l.path, segmentName(off, snapshotSuffix))); err != nil && !missing(err) {
		return err
	}
	return nil
}

// recover walks the log from the segment that holds the recovery point, cuts it at the first bad batch, and rebuilds what is derived.
func (l *Log) recover(point int64) error {
	v := l.view.Load()
	from := v.floor(point)
	first := v.segments[from]
	rebuildEpochs := len(l.epochs.load()) == 0
	if rebuildEpochs {
		from, first = 0, v.segments[0]
	}
	for _, s := range v.segments[:from] {
		s.synced, s.named = s.size.Load(), true
		s.sealed.Store(true)
	}
	if err := l.replay(&l.prod, v, l.snapshots, first.base); err != nil {
		return err
	}
	r := recoverer{log: l, point: point, next: first.base, epochs: l.epochs.load(), reader: l.store.reader(), buf: make([]byte, crcBuffer), nowMs: l.store.now()}
	defer l.store.readers.Put(r.reader)
	for i := from; i < len(v.segments); i++ {
		s := v.segments[i]
		gap := s.base > r.next && i > from && !l.dir.foreign
		if s.base < r.next || gap {
			// A segment continues where its predecessor ended, so the end of that one is gone (or the names lie).
			l.logger().Error("segments do not join, cutting the log there", "segment", s.file.path(), "expected", r.next)
			if err := l.cutFrom(v, i); err != nil {
				return err
			}
			break
		}
		r.next = s.base
		s.snapshot = nil
		if i > from {
			v.segments[i-1].snapshot = l.prod.snapshot() // the sealer writes it
		}
		good, err := r.walk(s)
		if err == nil {
			continue
		}
		var bad *CorruptError
		if !errors.As(err, &bad) {
			return err
		}
		lost := s.size.Load() - good
		l.logger().Warn("cutting the log at the first batch that is not whole", "segment", bad.Segment, "position", bad.Position, "reason", bad.Reason,
			"bytes", lost, "end", r.next, "laterSegments", len(v.segments)-i-1)
		if err := l.cutFrom(v, i+1); err != nil {
			return err
		}
		if err := s.cut(good); err != nil {
			return err
		}
		break
	}
	l.end.Store(r.next)
	l.flushed.Store(min(point, first.base)) // all that was walked is synced again before it is served
	if len(r.epochs) > 0 || rebuildEpochs {
		if err := l.changeEpochs(func(old []EpochEntry) ([]EpochEntry, bool) { return r.epochs, !equalEpochs(old, r.epochs) }); err != nil {
			return err
		}
	}
	return l.dropSnapshotsBeyond(r.next)
}

// cutFrom removes segments i and later, the last first, and makes that durable: were they there after a crash while the segment before
// them is cut already, they would look like its continuation.
func (l *Log) cutFrom(v *view, i int) error {
	if i >= len(v.segments) {
		return nil
	}
	for k := len(v.segments) - 1; k >= i; k-- {
		v.segments[k].file.forget()
		if err := l.removeFiles(v.segments[k].base); err != nil {
			return err
		}
	}
	l.view.Store(&view{segments: v.segments[:i:i]})
	return l.store.fs.SyncDir(l.path)
}

// cut shortens the file of the segment to size bytes.
func (s *segment) cut(size int64) error {
	f, err := s.file.pin()
	if err != nil {
		return err
	}
	defer s.file.unpin()
	if err := f.Truncate(size); err != nil {
		return err
	}
	s.size.Store(size)
	return nil
}

// dropSnapshotsBeyond removes producer snapshots above end: they tell of batches that are gone.
func (l *Log) dropSnapshotsBeyond(end int64) error {
	n := len(l.snapshots)
	for n > 0 && l.snapshots[n-1] > end {
		n--
		if err := l.removeSnapshot(l.snapshots[n]); err != nil {
			return err
		}
	}
	if n == len(l.snapshots) {
		return nil
	}
	l.snapshots = l.snapshots[:n]
	return l.store.fs.SyncDir(l.path)
}

// dropStraySnapshots removes snapshots that belong to no segment, but the newest: a clean stop writes one at the log end.
func (l *Log) dropStraySnapshots() error {
	if len(l.snapshots) < 2 {
		return nil
	}
	v := l.view.Load()
	kept := l.snapshots[:0:0]
	for i, off := range l.snapshots {
		if i == len(l.snapshots)-1 || v.segments[v.floor(off)].base == off {
			kept = append(kept, off)
		} else if err := l.removeSnapshot(off); err != nil {
			return err
		}
	}
	l.snapshots = kept
	return nil
}

// recoverer carries what a walk over several segments learns.
type recoverer struct {
	log    *Log
	point  int64 // below it CRCs are not computed
	next   int64 // first offset the next batch may have
	epochs []EpochEntry
	reader *batch.Reader
	buf    []byte
	nowMs  int64
}

// walk checks the batches of s and builds its index. good is the position behind the last sound one; a *CorruptError says what follows it.
func (r *recoverer) walk(s *segment) (good int64, err error) {
	l := r.log
	f, err := s.file.pin()
	if err != nil {
		return 0, err
	}
	defer s.file.unpin()
	x := newSegIndex(s.base)
	interval := l.config().IndexIntervalBytes
	w := newWalker(f, s.file.path(), 0, s.size.Load())
	defer w.close()
	rewriteFrom := int64(-1)
	for {
		h, err := w.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			s.idx.Store(x)
			return x.size, errors.Join(err, r.rewrite(f, rewriteFrom, x.size))
		}
		bad := func(format string, args ...any) error {
			s.idx.Store(x)
			return errors.Join(&CorruptError{Segment: s.file.path(), Position: w.start, Reason: fmt.Sprintf(format, args...)}, r.rewrite(f, rewriteFrom, x.size))
		}
		if h.BaseOffset() < r.next || h.LastOffset()-s.base > maxRelative {
			return x.size, bad("offsets %d to %d cannot follow offset %d in this segment", h.BaseOffset(), h.LastOffset(), r.next)
		}
		if h.LastOffset() >= r.point {
			crc, err := batchCRC(f, w.start, w.total, r.buf)
			if err != nil {
				return x.size, err
			}
			if crc != h.CRC() {
				return x.size, bad("the batch has CRC %08x, its bytes give %08x", h.CRC(), crc)
			}
			if rewriteFrom < 0 {
				rewriteFrom = w.start
			}
		}
		if e := h.LeaderEpoch(); e >= 0 {
			r.epochs, _ = epochsAssign(r.epochs, e, h.BaseOffset())
		}
		x.add(h.BaseOffset(), h.LastOffset(), h.MaxTimestamp(), int(w.total), interval)
		if h.HasProducerID() {
			t, isAborted, err := l.prod.fold(f, h, w.start, w.total, r.reader, r.nowMs)
			if err != nil {
				return x.size, err
			}
			if isAborted {
				x.addAborted(t)
			}
		}
		r.next = h.LastOffset() + 1
	}
	s.idx.Store(x)
	return x.size, r.rewrite(f, rewriteFrom, x.size)
}

// rewrite writes the bytes in [from, to) again where an earlier sync had failed: the kernel shows them as written although the disk may not
// have them, and only a page that is written anew is synced again.
func (r *recoverer) rewrite(f vfs.File, from, to int64) error {
	if !r.log.dir.suspect || from < 0 {
		return nil
	}
	for at := from; at < to; {
		b := r.buf[:min(int64(len(r.buf)), to-at)]
		n, err := f.ReadAt(b, at)
		if n < len(b) {
			return fmt.Errorf("read back %d bytes at %d: %w", len(b), at, err)
		}
		if _, err := f.WriteAt(b, at); err != nil {
			return err
		}
		at += int64(len(b))
	}
	return nil
}

// fold applies the batch with header h, found at pos, to the producer state p.
func (p *producers) fold(f io.ReaderAt, h batch.Batch, pos, total int64, rd *batch.Reader, nowMs int64) (AbortedTxn, bool, error) {
	var marker *batch.EndTxnMarker
	if h.Control() {
		var err error
		if marker, err = readMarker(f, pos, total, rd); err != nil {
			return AbortedTxn{}, false, err
		}
	}
	t, isAborted := p.apply(h, marker, nowMs)
	return t, isAborted, nil
}

// loadProducers brings the producer state to the log end after a clean stop. Without any snapshot there was nothing to snapshot.
func (l *Log) loadProducers() error {
	if len(l.snapshots) == 0 {
		return nil
	}
	if err := l.dropSnapshotsBeyond(l.end.Load()); err != nil {
		return err
	}
	return l.replay(&l.prod, l.view.Load(), l.snapshots, l.end.Load())
}

// replay rebuilds in p the producer state as of offset upto: the newest readable snapshot, then the batches after it.
func (l *Log) replay(p *producers, v *view, snapshots []int64, upto int64) error {
	p.reset()
	nowMs := l.store.now()
	from := v.segments[0].base
	for i := len(snapshots) - 1; i >= 0; i-- {
		off := snapshots[i]
		if off > upto || off < from {
			continue
		}
		name := path.Join(l.path, segmentName(off, snapshotSuffix))
		b, err := readSmall(l.store.fs, name, maxSnapshot)
		var rows []SnapshotRow
		if err == nil {
			rows, err = decodeSnapshot(name, b)
		}
		var bad *FormatError
		if errors.As(err, &bad) || missing(err) {
			l.logger().Warn("a producer snapshot cannot be read, an older one is used", "error", err)
			continue
		}
		if err != nil {
			return err
		}
		p.restore(rows, nowMs)
		from = off
		break
	}
	rd := l.store.reader()
	defer l.store.readers.Put(rd)
	for i := v.floor(from); i < len(v.segments) && v.segments[i].base < upto && from < upto; i++ {
		if err := l.replaySegment(p, v.segments[i], from, upto, rd, nowMs, nil); err != nil {
			return err
		}
	}
	return nil
}

// replaySegment folds the batches of s in [from, upto) into p; aborted, if given, hears of the aborted transactions.
func (l *Log) replaySegment(p *producers, s *segment, from, upto int64, rd *batch.Reader, nowMs int64, aborted func(AbortedTxn)) error {
	f, err := s.file.pin()
	if err != nil {
		return err
	}
	defer s.file.unpin()
	w := newWalker(f, s.file.path(), 0, s.size.Load())
	defer w.close()
	for {
		h, err := w.next()
		if err == io.EOF || (err == nil && h.BaseOffset() >= upto) {
			return nil
		}
		var bad *CorruptError
		if errors.As(err, &bad) {
			// Below the recovery point a segment is believed. What a reader cannot get past, the replay cannot either.
			l.logger().Error("a segment below the recovery point is corrupt; producers after that point are not known", "error", err)
			return nil
		}
		if err != nil {
			return err
		}
		if h.LastOffset() < from || !h.HasProducerID() {
			continue
		}
		t, isAborted, err := p.fold(f, h, w.start, w.total, rd, nowMs)
		if err != nil {
			return err
		}
		if isAborted && aborted != nil {
			aborted(t)
		}
	}
}
