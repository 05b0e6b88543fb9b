package storage

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// Opening a log directory. After a clean stop the checkpoints are believed and files are opened when first used: two or three system calls
// for each log. After any other end recovery.go looks first.

// checkpoints are the offsets of one log directory at its last stop, and the sizes of its last segments; nil maps after none.
type checkpoints struct {
	recovery, start, hw, cleaner, endSizes map[kafka.TopicPartition]int64
}

// load opens every partition of the directory. When ctx ends first, what is left is what a kill would leave.
func (d *logDir) load(ctx context.Context) (err error) {
	s := d.store
	began := time.Now()
	var folders []kafka.TopicPartition
	var finished atomic.Int64
	defer func() {
		if end := ctx.Err(); err != nil && end != nil && errors.Is(err, end) {
			err = &StoppedError{Recovering: !d.clean, Done: int(finished.Load()), Logs: len(folders), Err: end}
		}
	}()
	var cp checkpoints
	for name, m := range map[string]*map[kafka.TopicPartition]int64{ // any order: separate files
		recoveryPointsName: &cp.recovery, logStartsName: &cp.start, highWatermarksName: &cp.hw, cleanerName: &cp.cleaner,
		endSizesName: &cp.endSizes,
	} {
		if *m, err = d.readCheckpoint(name); err != nil {
			return err
		}
		if *m != nil {
			d.saved[name] = *m
		}
	}
	if folders, err = d.folders(ctx); err != nil {
		return err
	}
	if !d.clean && len(folders) > 0 {
		s.log.Info("the last stop was not clean, recovering", "dir", d.path, "logs", len(folders))
		if err := d.settle(ctx, folders); err != nil {
			return err
		}
	}
	logs := make([]*Log, len(folders))
	var lastReport atomic.Int64
	err = parallel(s.cfg.RecoveryThreads, len(folders), func(i int) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		l := s.newLog(d, folders[i], s.cfg.TopicConfig(folders[i].Topic))
		if err := l.open(ctx, &cp); err != nil {
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
	// After a clean stop there are few of these, or none: a log that no checkpoint names, a compaction that was to be finished.
	recovered := slices.DeleteFunc(slices.Clone(logs), func(l *Log) bool { return !l.recovered })
	if !d.clean || len(recovered) > 0 {
		if err := d.secure(ctx, recovered); err != nil {
			return err
		}
		s.cfg.Observer.Recovered(len(recovered))
	}
	if len(logs) > 0 {
		s.log.Info("logs are open", "dir", d.path, "logs", len(logs), "clean", d.clean, "took", time.Since(began).Round(time.Millisecond))
	}
	return nil
}

// settle makes the names in the partitions' folders durable. A process that was killed may have left some, such as a new epoch
// checkpoint, that a power cut would still take after they were read and relied on.
func (d *logDir) settle(ctx context.Context, folders []kafka.TopicPartition) error {
	s := d.store
	if t := s.cfg.SyncFSThreshold; t >= 0 && len(folders) >= t {
		if err := s.fs.SyncFS(d.path); !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	return parallel(s.cfg.SyncParallel, len(folders), func(i int) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return s.fs.SyncDir(d.file(folders[i].String()))
	})
}

// folders lists the partitions of the directory. What was being deleted is unlinked.
func (d *logDir) folders(ctx context.Context) ([]kafka.TopicPartition, error) {
	fsys := d.store.fs
	entries, err := fsys.ReadDir(d.path)
	if err != nil {
		return nil, err
	}
	var tps []kafka.TopicPartition
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if !e.IsDir() {
			continue
		}
		switch name := e.Name(); {
		case strings.HasSuffix(name, deleteFolder) && strings.Contains(name, "."):
			if err := fsys.RemoveAll(d.file(name)); err != nil {
				return nil, err
			}
		case strings.HasSuffix(name, futureFolder), strings.HasSuffix(name, strayFolder):
			d.store.log.Warn("folder left alone: it was moved or put aside", "folder", d.file(name))
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
func (d *logDir) secure(ctx context.Context, logs []*Log) error {
	if err := d.flushAll(ctx, logs); err != nil {
		return err
	}
	for _, l := range logs {
		if err := l.seal(ctx); err != nil {
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
func (l *Log) open(ctx context.Context, cp *checkpoints) error {
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
	if size, told := cp.endSizes[l.tp]; clean && told && size != last.size.Load() && !l.dir.foreign {
		l.logger().Error("the last segment has another size than at the clean stop; the log is recovered", "segment", last.file.path(), "bytes", last.size.Load(), "then", size)
		clean = false
	}
	if clean {
		l.end.Store(point)
		for _, s := range files.segments {
			s.durable(s.size.Load())
			s.sealed.Store(s != last)
		}
		l.flushed.Store(point)
	} else {
		l.recovered = true
		if err := l.recover(ctx, point); err != nil {
			return err
		}
	}
	if start > l.end.Load() {
		l.logger().Error("the log ends below its start, starting anew there", "end", l.end.Load(), "start", start)
		return l.resetTo(start, cp)
	}
	l.start.Store(max(start, first.base))
	if clean {
		if err := l.loadProducers(ctx); err != nil {
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
		var damaged *FormatError
		if errors.As(err, &damaged) {
			// As without the file: one folder that does not say whose it is shall not keep all others from being served.
			l.id = kafka.TopicID{}
			l.logger().Error("the topic's id cannot be read; the log is taken for that of the topic of its name", "error", err)
		} else if err != nil {
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

// dropBelow removes segments that lie wholly below the log start: retention had raised it before it could remove them, or a power cut
// undid some of the removals, and there are holes. Retention begins to remove only when the snapshot of the producers at the first segment
// that stays is durable; segments above the newest such snapshot are whole, and still needed to know the producers.
func (l *Log) dropBelow(segs []*segment, start int64) ([]*segment, error) {
	n := 0
	for n+1 < len(segs) && segs[n+1].base <= start {
		n++
	}
	for ; n > 0; n-- {
		ok, err := l.settleSnapshot(segs[n].base)
		if err != nil {
			return nil, err
		}
		if ok {
			break
		}
	}
	for _, s := range segs[:n] {
		if err := l.removeFiles(s.base); err != nil {
			return nil, err
		}
	}
	return segs[n:], nil
}

// settleSnapshot tells whether there is a whole snapshot at off, and makes its bytes durable: the process that wrote it may have been killed
// before it could, and what it stands for is about to be removed.
func (l *Log) settleSnapshot(off int64) (ok bool, err error) {
	if _, there := slices.BinarySearch(l.snapshots, off); !there {
		return false, nil
	}
	name := path.Join(l.path, segmentName(off, snapshotSuffix))
	b, err := readSmall(l.store.fs, name, maxSnapshot)
	if err == nil {
		_, err = decodeSnapshot(name, b)
	}
	var bad *FormatError
	if errors.As(err, &bad) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	err = syncFile(l.store.fs, name)
	return err == nil, err
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
	return nil // the first flush makes the name durable; an empty segment may be lost until then
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
