package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"time"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// Compaction of one log, in two passes. The first reads the dirty part into a map: key -> last offset. The second rewrites all segments from
// the beginning to where the map reaches, a group of neighbours into one, and keeps a record if the map knows no later one of its key.
// Offsets, sequences and the last offset of a batch never change, so nobody who reads or retries notices but by what is missing.

type compaction struct {
	log    *Log
	nowMs  int64
	aborts int64 // of cleanState when it began
	keys   *cleanMap
	// keyBytes is what keys may hold.
	keyBytes int64
	scan     scanner
	reader   *batch.Reader
	build    *batch.Builder
	pace     pacer

	lastOf  map[int64]int64 // producer -> last offset of the first batch that must go on telling its sequence
	aborted []AbortedTxn    // by first offset
	next    int             // of aborted, in the pass under way
	ongoing map[int64]*ongoingTxn

	read, wrote     int64
	kept, dropped   int64
	segmentsRead    int
	segmentsWritten int
}

// ongoingTxn is a transaction of which the pass has seen data and not yet the marker.
type ongoingTxn struct {
	aborted  bool
	observed bool // a batch of it is in the segments
}

// compact runs one round over the segments that d chose.
func (l *Log) compact(d *dirtiness, nowMs int64) error {
	began := time.Now()
	v := l.view.Load()
	if len(v.segments) <= d.segments {
		return errAborted
	}
	if err := l.seal(context.Background()); err != nil { // a segment that is rewritten is sealed first: its snapshot is not lost
		return l.dir.fail(fmt.Sprintf("sealing a segment of %v", l.tp), err)
	}
	segs := v.segments[:d.segments]
	set := l.store.running.Load()
	c := &compaction{log: l, nowMs: nowMs, keyBytes: set.keyBytes(), aborts: l.cleaning.aborts.Load(), reader: l.store.reader(), build: batch.NewBuilder(l.store.cfg.Codecs), lastOf: l.prod.lastOffsets(l.HighWatermarkCheckpoint())}
	defer l.store.readers.Put(c.reader)
	c.pace = pacer{store: l.store, rate: set.CleanerIOBytesPerSecond, began: began}
	upper := v.segments[d.segments].base
	var err error
	if c.aborted, err = l.AbortedTxns(segs[0].base, upper); err != nil {
		return err
	}
	if err := c.mapKeys(segs[d.firstDirty:], d.first); err != nil {
		return err
	}
	end := c.keys.last + 1
	if c.keys.last < 0 {
		end = upper
	}
	n := 0
	for n < len(segs) && segs[n].base < end {
		n++
	}
	c.restart()
	for _, g := range groups(segs[:n], l.config()) {
		if err := c.rewrite(g, end); err != nil {
			return err
		}
	}
	l.cleaning.restore(end)
	l.store.cfg.Observer.Compacted(c.read, c.wrote)
	l.logger().Info("log compacted", "firstDirty", d.first, "end", end, "bytesRead", c.read, "bytesWritten", c.wrote, "recordsKept", c.kept,
		"recordsDropped", c.dropped, "segments", c.segmentsRead, "into", c.segmentsWritten, "keys", c.keys.used, "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// restart prepares the transaction tracking for a pass from the beginning.
func (c *compaction) restart() { c.next, c.ongoing = 0, make(map[int64]*ongoingTxn) }

// alive fails once the log was truncated, deleted or closed.
func (c *compaction) alive() error {
	l := c.log
	if err := l.usable(); err != nil {
		return errAborted
	}
	if l.cleaning.aborts.Load() != c.aborts || l.store.stopping() {
		return errAborted
	}
	return nil
}

// eachBatch calls fn for every batch of a segment.
func (c *compaction) eachBatch(s *segment, fn func(b batch.Batch) error) error {
	f, err := s.file.pin()
	if err != nil {
		return err
	}
	defer s.file.unpin()
	c.scan.reset(f, s.file.path(), 0, s.size.Load())
	for {
		b, err := c.scan.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := c.alive(); err != nil {
			return err
		}
		c.pace.spend(int64(len(b)))
		c.read += int64(len(b))
		if err := fn(b); err != nil {
			return err
		}
	}
}

// errFull ends the first pass: the rest of the dirty part is left to the next round.
var errFull = errors.New("the key map is full")

var errTooManyKeys = errors.New("one batch has more keys than fit into log.cleaner.dedupe.buffer.size; raise it")

// mapKeys is the first pass.
func (c *compaction) mapKeys(dirty []*segment, first int64) error {
	keys := int64(0)
	for _, s := range dirty {
		n, err := s.countRecords()
		if err != nil {
			return err
		}
		keys += n
	}
	c.keys = newCleanMap(keys, c.keyBytes)
	c.restart()
	for _, s := range dirty {
		err := c.eachBatch(s, func(b batch.Batch) error {
			if b.LastOffset() < first {
				return nil
			}
			if b.Control() {
				c.endTxn(b)
			} else if !c.inAborted(b) {
				err := c.reader.Each(b, func(r *batch.Record) error {
					if r.Key != nil && r.Offset >= first && !c.keys.put(r.Key, r.Offset) {
						return errFull
					}
					return nil
				})
				if err != nil {
					return err
				}
			}
			c.keys.last = b.LastOffset()
			return nil
		})
		if err == errFull {
			if c.keys.last < first {
				return fmt.Errorf("compact %s with %d bytes for keys: %w", s.file.path(), c.keyBytes, errTooManyKeys)
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// countRecords sums what the headers say.
func (s *segment) countRecords() (int64, error) {
	f, err := s.file.pin()
	if err != nil {
		return 0, err
	}
	defer s.file.unpin()
	w := newWalker(f, s.file.path(), 0, s.size.Load())
	defer w.close()
	n := int64(0)
	for {
		h, err := w.next()
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
		n += int64(max(h.RecordCount(), 0))
	}
}

// inAborted reports whether the data batch belongs to an aborted transaction, and notes that its transaction has data.
func (c *compaction) inAborted(b batch.Batch) bool {
	for ; c.next < len(c.aborted) && c.aborted[c.next].FirstOffset <= b.BaseOffset(); c.next++ {
		if t := &c.aborted[c.next]; t.LastOffset > b.BaseOffset() { // else it ended before the pass began
			c.ongoing[t.ProducerID] = &ongoingTxn{aborted: true}
		}
	}
	if !b.Transactional() {
		return false
	}
	t := c.ongoing[b.ProducerID()]
	if t == nil {
		t = &ongoingTxn{}
		c.ongoing[b.ProducerID()] = t
	}
	t.observed = true
	return t.aborted
}

// endTxn takes note of a marker; true says that none of the transaction's batches was seen.
func (c *compaction) endTxn(b batch.Batch) (empty bool) {
	t := c.ongoing[b.ProducerID()]
	delete(c.ongoing, b.ProducerID())
	return t == nil || !t.observed
}

// groups splits segments into runs that fit into one.
func groups(segs []*segment, cfg *LogConfig) [][]*segment {
	var out [][]*segment
	for len(segs) > 0 {
		n, size := 1, segs[0].size.Load()
		for n < len(segs) {
			size += segs[n].size.Load()
			// Entries are at most one per index interval, so the size bounds the indexes too. The last offset of a segment is only known
			// to lie below the base of the next one.
			span := int64(math.MaxInt64)
			if n+1 < len(segs) {
				span = segs[n+1].base - segs[0].base
			} else if x := segs[n].idx.Load(); x != nil {
				span = x.nextOffset() - segs[0].base
			}
			if size > cfg.SegmentBytes || span > maxRelative || size/max(cfg.IndexIntervalBytes, 1)*timeEntrySize > cfg.SegmentIndexBytes {
				break
			}
			n++
		}
		out = append(out, segs[:n])
		segs = segs[n:]
	}
	return out
}

// rewrite compacts one group into a new segment and swaps it in.
func (c *compaction) rewrite(group []*segment, end int64) error {
	l := c.log
	size := int64(0)
	for _, s := range group {
		size += s.size.Load()
	}
	out, err := newCleaned(l, group[0].base, int(min(size, scanChunk)))
	if err != nil {
		return err
	}
	tail := len(group) - 1 // the segment that holds the group's last batch
	for tail > 0 && group[tail].size.Load() == 0 {
		tail--
	}
	done := false
	defer func() {
		out.file.Close()
		if !done {
			out.discard()
		}
	}()
	for i, s := range group {
		if err := c.rewriteSegment(s, end, i == tail, out); err != nil {
			return err
		}
	}
	if err := out.finish(); err != nil {
		return err
	}
	if err := c.alive(); err != nil {
		return err
	}
	done, err = l.swap(group, out, c.aborts)
	c.wrote += out.size
	c.segmentsRead += len(group)
	c.segmentsWritten++
	return err
}

// rewriteSegment writes what stays of s. The last batch of a group keeps at least its header: segments join without a gap.
func (c *compaction) rewriteSegment(s *segment, end int64, last bool, out *cleaned) error {
	x, err := s.index()
	if err != nil {
		return err
	}
	aborted := x.abortedTxns()
	lastBatch := x.nextOffset() - 1
	return c.eachBatch(s, func(b batch.Batch) error {
		o := batch.FilterOptions{DeleteHorizonMs: c.nowMs + c.log.config().DeleteRetentionMs, KeepEmpty: last && b.LastOffset() == lastBatch}
		var res batch.FilterResult
		var err error
		expired := b.DeleteHorizonSet() && b.BaseTimestamp() <= c.nowMs
		switch {
		case b.Control():
			empty := c.endTxn(b)
			o.ForceDeleteHorizon = empty
			if !empty || b.BaseOffset() >= end {
				o.DeleteHorizonMs = 0
			}
			res, err = c.reader.Filter(b, c.build, o, func(*batch.Record) bool { return !(empty && expired) || b.BaseOffset() >= end })
		case b.BaseOffset() >= end:
			c.inAborted(b)
			res = batch.FilterResult{Batch: b, Kept: int(b.RecordCount())}
		default:
			if from, known := c.lastOf[b.ProducerID()]; known && b.HasProducerID() && b.LastOffset() >= from {
				o.KeepEmpty = true
			}
			inAborted := c.inAborted(b)
			res, err = c.reader.Filter(b, c.build, o, func(r *batch.Record) bool {
				switch {
				case r.Offset >= end:
					return true
				case inAborted || r.Key == nil || c.keys.superseded(r.Key, r.Offset):
					return false
				}
				return r.Value != nil || !expired
			})
		}
		if err != nil {
			return err
		}
		c.kept += int64(res.Kept)
		c.dropped += int64(res.Dropped)
		if res.Batch == nil {
			return nil
		}
		c.pace.spend(int64(len(res.Batch)))
		if b.Control() && res.Kept > 0 {
			for _, t := range aborted {
				if t.LastOffset == b.BaseOffset() {
					out.idx.addAborted(t)
				}
			}
		}
		return out.add(res.Batch)
	})
}

// cleaned is a segment being written under .cleaned names.
type cleaned struct {
	log  *Log
	base int64
	file vfs.File
	idx  *segIndex
	size int64 // written and buffered
	buf  []byte
}

func newCleaned(l *Log, base int64, buffer int) (*cleaned, error) {
	f, err := l.store.fs.Create(path.Join(l.path, segmentName(base, logSuffix+cleanedSuffix)))
	if err != nil {
		return nil, err
	}
	return &cleaned{log: l, base: base, file: f, idx: newSegIndex(base), buf: make([]byte, 0, buffer)}, nil
}

// add appends a batch.
func (o *cleaned) add(b batch.Batch) error {
	if o.size+int64(len(b)) > math.MaxInt32 {
		return fmt.Errorf("segment %d of %v would grow beyond 2 GiB", o.base, o.log.tp)
	}
	if len(o.buf)+len(b) > cap(o.buf) {
		if err := o.flush(); err != nil {
			return err
		}
	}
	o.idx.add(b.BaseOffset(), b.LastOffset(), b.MaxTimestamp(), len(b), o.log.config().IndexIntervalBytes)
	o.buf = append(o.buf, b...)
	o.size += int64(len(b))
	return nil
}

func (o *cleaned) flush() error {
	_, err := o.file.WriteAt(o.buf, o.size-int64(len(o.buf)))
	o.buf = o.buf[:0]
	return err
}

// finish makes all four files durable.
func (o *cleaned) finish() error {
	if err := o.flush(); err != nil {
		return err
	}
	if err := o.file.Sync(); err != nil {
		return err
	}
	o.idx.finish()
	index, times := o.idx.encode()
	for suffix, b := range map[string][]byte{indexSuffix: index, timeIndexSuffix: times, txnIndexSuffix: encodeTxnIndex(o.idx.abortedTxns())} { // any order: separate files
		if err := o.log.writeFile(segmentName(o.base, suffix+cleanedSuffix), b, true); err != nil {
			return err
		}
	}
	return o.log.store.fs.SyncDir(o.log.path)
}

// discard removes what was written.
func (o *cleaned) discard() {
	for _, suffix := range append([]string{logSuffix}, companionSuffixes...) {
		name := path.Join(o.log.path, segmentName(o.base, suffix+cleanedSuffix))
		if err := o.log.store.fs.Remove(name); err != nil && !missing(err) {
			o.log.logger().Warn("the leftover of a compaction could not be removed; the next start will", "file", name, "error", err)
		}
	}
}

// pacer keeps the cleaner below log.cleaner.io.max.bytes.per.second.
type pacer struct {
	store *Store
	rate  int64
	began time.Time
	bytes int64
}

func (p *pacer) spend(n int64) {
	if p.rate <= 0 {
		return
	}
	p.bytes += n
	ahead := time.Duration(float64(p.bytes)/float64(p.rate)*float64(time.Second)) - time.Since(p.began)
	if ahead < 10*time.Millisecond {
		return
	}
	t := time.NewTimer(ahead)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.store.stop:
	}
}
