package storage

import (
	"errors"
	"fmt"
	"path"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// Creating and deleting logs. A folder gets its name in one rename, and what is half made, or half unlinked, bears the name of something
// deleted: neither a crash nor Kafka will take it for a partition.

// CreateSpec says which log to make.
type CreateSpec struct {
	TP          kafka.TopicPartition
	ID          kafka.TopicID
	Config      LogConfig
	LeaderEpoch int32 // the epoch that begins at offset 0; -1 for none yet
}

// Create makes the log of one partition; it is durable on return.
func (s *Store) Create(tp kafka.TopicPartition, id kafka.TopicID, cfg LogConfig) (*Log, error) {
	logs, err := s.CreateAll([]CreateSpec{{TP: tp, ID: id, Config: cfg, LeaderEpoch: -1}})
	if err != nil {
		return nil, err
	}
	return logs[0], nil
}

// CreateAll makes several logs, durable together on return, with a handful of disk waits for all. On an error none exists, though an
// interrupted rename may leave some for the next Open to find.
func (s *Store) CreateAll(specs []CreateSpec) ([]*Log, error) {
	s.adminMu.Lock()
	defer s.adminMu.Unlock()
	if err := s.checkNew(specs); err != nil {
		return nil, err
	}
	logs := make([]*Log, len(specs))
	byDir := make(map[*logDir][]int)
	count := s.countByDir()
	for i := range specs {
		d, err := s.emptiest(count)
		if err != nil {
			return nil, err
		}
		count[d]++
		byDir[d] = append(byDir[d], i)
		if logs[i], err = s.stage(d, &specs[i]); err != nil {
			return nil, d.fail(fmt.Sprintf("creating %v", specs[i].TP), err)
		}
	}
	for d, mine := range byDir { // any order: separate directories
		if err := d.bringUp(logs, mine); err != nil {
			return nil, d.fail("creating partitions", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range logs {
		s.logs[l.tp] = l
	}
	return logs, nil
}

func (s *Store) checkNew(specs []CreateSpec) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return ErrClosed
	}
	seen := make(map[kafka.TopicPartition]bool, len(specs))
	for i := range specs {
		tp := specs[i].TP
		if err := kafka.CheckTopicName(tp.Topic); err != nil {
			return err
		}
		if tp.Partition < 0 {
			return fmt.Errorf("partition %d of %s is negative", tp.Partition, tp.Topic)
		}
		if s.logs[tp] != nil || seen[tp] {
			return fmt.Errorf("create %v: it exists", tp)
		}
		seen[tp] = true
	}
	return nil
}

func (s *Store) countByDir() map[*logDir]int {
	count := make(map[*logDir]int, len(s.dirs))
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, l := range s.logs { // any order: counted
		count[l.dir]++
	}
	return count
}

// emptiest is the directory with the fewest logs among those online.
func (s *Store) emptiest(count map[*logDir]int) (*logDir, error) {
	var best *logDir
	var down error
	for _, d := range s.dirs {
		if err := d.offlineErr(); err != nil {
			down = err
		} else if best == nil || count[d] < count[best] {
			best = d
		}
	}
	if best == nil {
		return nil, down
	}
	return best, nil
}

// doomedName is a folder name that both Kafka and Open take for deleted, at most 255 bytes.
func doomedName(tp kafka.TopicPartition, unique string) string {
	return nameApart(tp, unique, deleteFolder)
}

func nameApart(tp kafka.TopicPartition, unique, suffix string) string {
	name := tp.String()
	if tail := "." + unique + suffix; len(name)+len(tail) > 255 {
		return name[:255-len(tail)] + tail
	} else {
		return name + tail
	}
}

// stage makes the folder and its files under a doomed name. Nothing is synced.
func (s *Store) stage(d *logDir, spec *CreateSpec) (*Log, error) {
	l := s.newLog(d, spec.TP, spec.Config)
	l.id = spec.ID
	final := l.path
	l.path = d.file(doomedName(spec.TP, randomHex()))
	if err := s.fs.MkdirAll(l.path); err != nil {
		return nil, err
	}
	if err := l.writeFile(metadataName, encodePartitionMetadata(spec.ID), false); err != nil {
		return nil, err
	}
	if spec.LeaderEpoch >= 0 {
		epochs := []EpochEntry{{Epoch: spec.LeaderEpoch, Start: 0}}
		if err := l.writeFile(epochsName, encodeEpochs(epochs), false); err != nil {
			return nil, err
		}
		l.epochs.store(epochs)
	}
	if err := l.writeFile(segmentName(0, logSuffix), nil, false); err != nil {
		return nil, err
	}
	l.staged, l.path = l.path, final
	seg := l.segment(0, s.files.handle(path.Join(final, segmentName(0, logSuffix))))
	seg.createdMs = s.now()
	seg.durable(0)
	seg.idx.Store(newSegIndex(0))
	l.view.Store(&view{segments: []*segment{seg}})
	return l, nil
}

// bringUp makes the staged folders durable, gives them their names, and makes those durable.
func (d *logDir) bringUp(logs []*Log, mine []int) error {
	fsys := d.store.fs
	err := errors.ErrUnsupported
	if t := d.store.cfg.SyncFSThreshold; t >= 0 && len(mine) >= t {
		err = fsys.SyncFS(d.path)
	}
	if errors.Is(err, errors.ErrUnsupported) {
		err = parallel(d.store.cfg.SyncParallel, len(mine), func(i int) error { return logs[mine[i]].syncStaged() })
	}
	if err != nil {
		return err
	}
	for _, i := range mine {
		if err := fsys.Rename(logs[i].staged, logs[i].path); err != nil {
			return err
		}
	}
	return fsys.SyncDir(d.path)
}

func (l *Log) syncStaged() error {
	fsys := l.store.fs
	names := []string{metadataName}
	if len(l.epochs.load()) > 0 {
		names = append(names, epochsName)
	}
	for _, name := range names {
		if err := syncFile(fsys, path.Join(l.staged, name)); err != nil {
			return err
		}
	}
	return fsys.SyncDir(l.staged)
}

// Delete is DeleteAll of one log.
func (s *Store) Delete(tp kafka.TopicPartition) error { return s.DeleteAll([]kafka.TopicPartition{tp}) }

// DeleteAll removes logs: they answer ErrClosed at once, their folders are renamed durably before return and unlinked after
// file.delete.delay.ms. Reads that hold a Slice may finish it. A log that does not exist is an error, the others go all the same.
func (s *Store) DeleteAll(tps []kafka.TopicPartition) error { return s.removeAll(tps, (*Log).bury) }

// PutAside is DeleteAll for logs that nobody asked to delete: their folders get the name that Kafka gives to strays, and stay. Who knows
// whose they are can rename or remove them.
func (s *Store) PutAside(tps []kafka.TopicPartition) error { return s.removeAll(tps, (*Log).putAside) }

func (s *Store) removeAll(tps []kafka.TopicPartition, remove func(*Log) error) error {
	s.adminMu.Lock()
	defer s.adminMu.Unlock()
	var errs []error
	gone := make(map[kafka.TopicPartition]bool)
	var logs []*Log
	s.mu.Lock()
	for _, tp := range tps {
		l := s.logs[tp]
		if l == nil {
			errs = append(errs, fmt.Errorf("delete %v: no such partition here", tp))
			continue
		}
		delete(s.logs, tp)
		gone[tp] = true
		logs = append(logs, l)
	}
	s.mu.Unlock()
	touched := make(map[*logDir]bool)
	for _, l := range logs {
		l.closed.Store(true)
		l.cleaning.abort()
		touched[l.dir] = true
	}
	for d := range touched { // any order: separate directories
		// First the checkpoints: a crash in between finds a partition to recover from its start, never a new one with old offsets.
		if err := d.forget(gone); err != nil {
			errs = append(errs, err)
		}
	}
	for _, l := range logs {
		if err := remove(l); err != nil {
			errs = append(errs, err)
		}
	}
	for d := range touched { // any order: separate directories
		if d.offlineErr() == nil {
			if err := s.fs.SyncDir(d.path); err != nil {
				errs = append(errs, d.fail("deleting partitions", err))
			}
		}
	}
	return errors.Join(errs...)
}

// bury renames the folder of a deleted log, to be unlinked later.
func (l *Log) bury() error {
	name := l.dir.file(doomedName(l.tp, randomHex()))
	if err := l.moveTo(name); err != nil {
		return err
	}
	l.dir.sealer.discard(name, true, l.config().FileDeleteDelayMs)
	return nil
}

// putAside renames the folder of a log that is not served any more.
func (l *Log) putAside() error {
	name := l.dir.file(nameApart(l.tp, randomHex(), strayFolder))
	if err := l.moveTo(name); err != nil {
		return err
	}
	l.logger().Warn("a log is put aside; remove its folder when nobody needs it", "folder", name, "topic_id", l.id)
	return nil
}

// moveTo ends the log and renames its folder. Whoever works on its files has finished when it returns.
func (l *Log) moveTo(name string) error {
	if err := l.dir.offlineErr(); err != nil {
		l.shut()
		return err
	}
	l.sealMu.Lock()
	defer l.sealMu.Unlock()
	l.shut()
	l.epochs.mu.Lock()
	defer l.epochs.mu.Unlock()
	err := l.store.fs.Rename(l.path, name)
	if missing(err) { // somebody removed it by hand; the other partitions need not suffer for it
		l.logger().Warn("the folder of a log is gone already", "folder", l.path)
		return nil
	}
	if err != nil {
		return l.dir.fail(fmt.Sprintf("moving %v away", l.tp), err)
	}
	return nil
}
