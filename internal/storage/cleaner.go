package storage

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/barnabas-mq/barnabas/internal/batch"
)

// The cleaner picks the dirtiest log of those with cleanup.policy compact, and compacts it (reference 3.6). compact.go does the work on one
// log, cleanswap.go puts the result in place.

// cleanState is what the cleaner knows of one log.
type cleanState struct {
	busy   atomic.Bool
	first  atomic.Int64 // first dirty offset + 1, 0 = not known
	aborts atomic.Int64 // counts what a compaction under way must not survive
	failed atomic.Bool  // a compaction found something it cannot get past; left alone until the next start
	later  atomic.Int64 // wall time before which it is not tried again after a failure that may pass
}

// checkpoint is the line of cleaner-offset-checkpoint.
func (c *cleanState) checkpoint() (int64, bool) {
	v := c.first.Load()
	return v - 1, v > 0
}

func (c *cleanState) restore(first int64) { c.first.Store(first + 1) }

// abort makes a compaction under way give up before it swaps anything in.
func (c *cleanState) abort() { c.aborts.Add(1) }

// truncated forgets that offsets beyond end were ever clean.
func (c *cleanState) truncated(end int64) { c.first.Store(min(c.first.Load(), end+1)) }

// errAborted ends a compaction because the log was truncated, deleted or closed.
var errAborted = errors.New("the compaction was aborted")

// dirtiness is how much there is to compact in a log, and why it may be done now.
type dirtiness struct {
	log        *Log
	first      int64 // first dirty offset
	segments   int   // the first so many segments take part
	firstDirty int   // of them, from this one on dirty
	ratio      float64
	overdue    bool // a record waits longer than max.compaction.lag.ms
}

func (d *dirtiness) due() bool {
	return d.segments > d.firstDirty && (d.overdue || d.ratio > d.log.config().MinCleanableDirtyRatio)
}

// runCleaner is cleaner thread n.
func (s *Store) runCleaner(n int) {
	for {
		r, changed, on := s.wanted(n)
		if !on || s.stopping() {
			return
		}
		if s.CleanOnce() {
			continue
		}
		t := time.NewTimer(r.CleanerBackoff)
		select {
		case <-s.stop:
		case <-changed:
		case <-t.C:
		}
		t.Stop()
	}
}

// CleanOnce compacts the dirtiest log that is due, and reports whether there was one.
func (s *Store) CleanOnce() bool {
	var best *dirtiness
	now := s.now()
	for _, l := range s.Logs() {
		c := &l.cleaning
		if l.config().CleanupPolicy&Compact == 0 || c.failed.Load() || c.busy.Load() || now < c.later.Load() || l.usable() != nil {
			continue
		}
		first := l.view.Load().segments[0]
		d, err := l.dirtiness(now)
		if l.vanished(err, first) {
			continue
		}
		if err != nil {
			l.cleanFailed(err)
			continue
		}
		if d.due() && (best == nil || (d.overdue && !best.overdue) || (d.overdue == best.overdue && d.ratio > best.ratio)) {
			best = &d
		}
	}
	if best == nil {
		return false
	}
	return s.clean(best.log, now)
}

// clean compacts one log if nobody else does.
func (s *Store) clean(l *Log, nowMs int64) bool {
	c := &l.cleaning
	if !c.busy.CompareAndSwap(false, true) {
		return false
	}
	defer c.busy.Store(false)
	// What was chosen may have changed since.
	first := l.view.Load().segments[0]
	d, err := l.dirtiness(nowMs)
	if err == nil && d.segments > d.firstDirty {
		err = l.compact(&d, nowMs)
	}
	switch {
	case errors.Is(err, errAborted), l.vanished(err, first):
	case err != nil:
		l.cleanFailed(err)
	default:
		if err := l.dir.saveCleaner(); err != nil {
			return false
		}
	}
	return true
}

// vanished reports whether err only says that retention removed a file which was looked at. first was the first segment before.
func (l *Log) vanished(err error, first *segment) bool {
	return missing(err) && l.view.Load().segments[0] != first
}

// cleanRetryMs is how long a log rests whose compaction failed for want of space or the like.
const cleanRetryMs = 60_000

// cleanFailed leaves the log alone: until the next start when its bytes cannot be read, else for a while. Other logs go on.
func (l *Log) cleanFailed(err error) {
	if l.usable() != nil {
		return
	}
	var corrupt *CorruptError
	var fault *batch.Fault
	if errors.As(err, &corrupt) || errors.As(err, &fault) || errors.Is(err, errTooManyKeys) {
		l.cleaning.failed.Store(true)
		l.logger().Error("the log cannot be compacted and is left alone until the next start", "error", err)
		return
	}
	l.cleaning.later.Store(l.store.now() + cleanRetryMs)
	l.logger().Warn("compaction failed and is tried again later", "error", err)
}

// dirtiness measures the log. The last segment, what is not stable, and what is younger than min.compaction.lag.ms take no part.
func (l *Log) dirtiness(nowMs int64) (dirtiness, error) {
	c := l.config()
	d := dirtiness{log: l}
	v := l.view.Load()
	limit := min(l.LastStableOffset(l.HighWatermarkCheckpoint()), v.last().base)
	first, known := l.cleaning.checkpoint()
	start := max(l.start.Load(), v.segments[0].base)
	if !known || first < start || first > v.last().base {
		first = start
	}
	d.first = first
	var clean, dirty int64
	for i, s := range v.segments[:len(v.segments)-1] {
		if v.segments[i+1].base > limit {
			break
		}
		if v.segments[i+1].base <= first {
			clean += s.size.Load()
			d.segments, d.firstDirty = i+1, i+1
			continue
		}
		x, err := s.index()
		if err != nil {
			return d, fmt.Errorf("read the index of %s: %w", s.file.path(), err)
		}
		if newest, _ := x.maxTime(); c.MinCompactionLagMs > 0 && newest > nowMs-c.MinCompactionLagMs {
			break
		}
		if oldest := x.firstTime(); i == d.firstDirty && oldest >= 0 && oldest < nowMs-c.MaxCompactionLagMs {
			d.overdue = true
		}
		dirty += s.size.Load()
		d.segments = i + 1
	}
	if clean+dirty > 0 {
		d.ratio = float64(dirty) / float64(clean+dirty)
	}
	return d, nil
}
