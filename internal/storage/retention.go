package storage

import (
	"fmt"
	"path"
	"slices"
)

// Retention and DeleteRecords (reference 3.4, 3.5): the log start rises, and segments wholly below it go. The start is durable before any
// file is renamed, so that a power cut that undoes some renames and not others leaves no hole: Open removes what lies below the start.

// ApplyRetention checks every log once. It returns how many segments went.
func (s *Store) ApplyRetention() int {
	n := 0
	now := s.now()
	for _, l := range s.Logs() {
		k, err := l.retain(now)
		n += k
		if err != nil && l.usable() == nil {
			l.logger().Error("retention failed", "error", err)
		}
	}
	return n
}

// retain removes the oldest segments that the topic's settings no longer want, and none that holds a record above the high watermark.
func (l *Log) retain(nowMs int64) (int, error) {
	if err := l.usable(); err != nil {
		return 0, err
	}
	c := l.config()
	l.sealMu.Lock()
	defer l.sealMu.Unlock()
	if err := l.usable(); err != nil { // deleted while we waited
		return 0, err
	}
	n, why, err := l.expired(c, nowMs)
	if n == 0 || err != nil {
		return 0, err
	}
	v := l.view.Load()
	if n == len(v.segments) {
		// Everything is expired, the last segment too: it is rolled first, so that the log end stays. Appends may have come since.
		rolled, err := l.rollExpired(v)
		if err != nil {
			return 0, err
		}
		if !rolled {
			n--
		}
		v = l.view.Load()
	}
	if n == 0 {
		return 0, nil
	}
	start := v.segments[n].base
	if err := l.raiseStart(start); err != nil {
		return 0, err
	}
	if err := l.removeBelow(start); err != nil {
		return 0, err
	}
	l.store.cfg.Observer.SegmentsDeleted(n)
	l.logger().Info("segments removed", "segments", n, "reason", why, "start", l.start.Load())
	return n, nil
}

// rollExpired rolls the last segment of v unless something was appended since v was looked at.
func (l *Log) rollExpired(v *view) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := v.last()
	if l.view.Load() != v || last.size.Load() == 0 || l.end.Load() > l.hw.Load() {
		return false, nil
	}
	return true, l.roll(l.end.Load())
}

// expired counts the segments at the front that shall go, and says why the last of them does.
func (l *Log) expired(c *LogConfig, nowMs int64) (n int, why string, err error) {
	v := l.view.Load()
	end, hw, start := l.end.Load(), l.hw.Load(), l.start.Load()
	size := int64(0)
	for _, s := range v.segments {
		size += s.size.Load()
	}
	for i, s := range v.segments {
		segEnd, mine := v.end(i, end), s.size.Load()
		last := i == len(v.segments)-1
		if segEnd > hw || (last && mine == 0) {
			break
		}
		reason := ""
		switch {
		case !last && segEnd <= start:
			reason = "below the log start"
		case c.CleanupPolicy&Delete == 0:
		case c.RetentionBytes >= 0 && size-mine >= c.RetentionBytes: // the last one, too, where nothing is to stay
			reason = "retention.bytes"
		case c.RetentionMs >= 0:
			ts, err := s.newest()
			if err != nil {
				return n, why, err
			}
			if nowMs-ts > c.RetentionMs {
				reason = "retention.ms"
			}
		}
		if reason == "" {
			break
		}
		n, why = i+1, reason
		size -= mine
	}
	return n, why, nil
}

// newest is the largest timestamp of the segment, or when the file last changed. The index of a segment that nobody else looks at is not
// kept for it: a check of 10,000 idle logs leaves no memory behind.
func (s *segment) newest() (int64, error) {
	size := s.size.Load()
	if known := s.newestOf.Load(); known != nil && known.size == size {
		return known.ts, nil
	}
	idle := s.idx.Load() == nil
	x, err := s.index()
	if err != nil {
		return 0, err
	}
	ts, _ := x.maxTime()
	if ts < 0 {
		f, err := s.file.pin()
		if err != nil {
			return 0, err
		}
		t, err := f.ModTime()
		s.file.unpin()
		if err != nil {
			return 0, err
		}
		ts = t.UnixMilli()
	}
	if idle && !s.sealed.Load() {
		s.log.mu.Lock() // an append between taking the index and adding to it holds this
		if !x.isDirty() {
			s.idx.CompareAndSwap(x, nil)
		}
		s.log.mu.Unlock()
	}
	s.newestOf.Store(&newestTime{size: size, ts: ts})
	return ts, nil
}

// newestTime is the largest timestamp of a segment when it had so many bytes.
type newestTime struct{ size, ts int64 }

// AdvanceStart raises the log start to offset, which may lie inside a segment: what is below cannot be read from now on, and survives no
// restart. Durable before return. A lower offset changes nothing; one above the log end is *OutOfRange.
func (l *Log) AdvanceStart(to int64) error {
	l.sealMu.Lock()
	defer l.sealMu.Unlock()
	if err := l.usable(); err != nil {
		return err
	}
	if end := l.end.Load(); to > end {
		return &OutOfRange{Offset: to, Start: l.start.Load(), End: end}
	}
	return l.raiseStart(to)
}

// raiseStart makes the new start durable, then visible, and trims the epochs: a consumer that was told of a start never sees it go back.
// sealMu is held: a deletion that renames the folder meanwhile would look like a disk that fails, and a topic made again under the same name
// would get the epochs of this one.
func (l *Log) raiseStart(to int64) error {
	if to <= l.start.Load() {
		return nil
	}
	l.rising.Store(to)
	if err := l.dir.saveLogStarts(); err != nil {
		return err
	}
	l.start.Store(to)
	return l.changeEpochs(func(e []EpochEntry) ([]EpochEntry, bool) { return epochsTruncateStart(e, to) })
}

// removeBelow takes the segments that end at or below start out of the log and gives their files the names of deleted ones. sealMu is held.
func (l *Log) removeBelow(start int64) error {
	l.mu.Lock()
	v := l.view.Load()
	n := 0
	for n+1 < len(v.segments) && v.segments[n+1].base <= start {
		n++
	}
	gone := v.segments[:n]
	l.view.Store(&view{segments: slices.Clone(v.segments[n:])})
	l.mu.Unlock()
	if n == 0 {
		return nil
	}
	// What producers wrote into these segments is still remembered, so the snapshot that says so must be there before they go.
	err := l.saveSnapshot(gone[n-1], v.segments[n].base)
	if err == nil {
		err = l.store.fs.SyncDir(l.path)
	}
	if err != nil {
		return l.dir.fail(fmt.Sprintf("removing segments of %v", l.tp), err)
	}
	for _, s := range gone {
		if err := l.discardSegment(s); err != nil {
			return l.dir.fail(fmt.Sprintf("removing segments of %v", l.tp), err)
		}
	}
	l.snapMu.Lock()
	defer l.snapMu.Unlock()
	for len(l.snapshots) > 0 && l.snapshots[0] < start {
		if err := l.removeSnapshot(l.snapshots[0]); err != nil {
			return l.dir.fail(fmt.Sprintf("removing segments of %v", l.tp), err)
		}
		l.snapshots = l.snapshots[1:]
	}
	return nil
}

// discardSegment renames the files of a segment that left the view, and unlinks them later. Readers that hold it go on.
func (l *Log) discardSegment(s *segment) error {
	fsys, delay := l.store.fs, l.config().FileDeleteDelayMs
	l.store.indexes.remove(s)
	for _, suffix := range []string{indexSuffix, timeIndexSuffix, txnIndexSuffix} {
		name := path.Join(l.path, segmentName(s.base, suffix))
		if err := fsys.Rename(name, name+deletedSuffix); missing(err) {
			continue
		} else if err != nil {
			return err
		}
		l.dir.sealer.discard(name+deletedSuffix, false, delay)
	}
	name := path.Join(l.path, segmentName(s.base, logSuffix))
	if err := s.file.rename(name + deletedSuffix); err != nil {
		return err
	}
	l.syncMu.Lock()
	s.letGo()
	l.syncMu.Unlock()
	l.dir.sealer.discardFile(s.file, delay)
	return nil
}
