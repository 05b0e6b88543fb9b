package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// Names in a partition folder.
const (
	logSuffix       = ".log"
	indexSuffix     = ".index"
	timeIndexSuffix = ".timeindex"
	txnIndexSuffix  = ".txnindex"
	snapshotSuffix  = ".snapshot"
	deletedSuffix   = ".deleted"
	cleanedSuffix   = ".cleaned"
	swapSuffix      = ".swap"
	epochsName      = "leader-epoch-checkpoint"
	metadataName    = "partition.metadata"
)

// segmentName is the file name of an offset: twenty digits and a suffix.
func segmentName(offset int64, suffix string) string { return fmt.Sprintf("%020d%s", offset, suffix) }

// parseSegmentName is the inverse; ok is false for other names.
func parseSegmentName(name string) (offset int64, suffix string, ok bool) {
	if len(name) < 21 || name[20] != '.' {
		return 0, "", false
	}
	if strings.IndexFunc(name[:20], func(r rune) bool { return r < '0' || r > '9' }) >= 0 {
		return 0, "", false
	}
	offset, err := strconv.ParseInt(name[:20], 10, 64)
	return offset, name[20:], err == nil
}

// segment is one .log file and its companions. base, folder and file never change; size only grows while the segment is the last one, and is
// published after the bytes are written.
type segment struct {
	log       *Log
	base      int64
	file      *handle
	size      atomic.Int64
	createdMs int64 // wall time of creation, or of the file's last change when found at open
	jitterMs  int64 // how much earlier than segment.ms it rolls

	idx      atomic.Pointer[segIndex]
	idxMu    sync.Mutex // one loader at a time
	touched  atomic.Bool
	newestOf atomic.Pointer[newestTime]
	dirty    atomic.Bool // write left the file pinned for the next flush

	// How many bytes are durable, and whether the file's name is. They change under log.syncMu, by flushes only upwards.
	synced atomic.Int64
	named  atomic.Bool
	// sealed: indexes and snapshot of a full segment are written and durable, so the recovery point may pass it.
	sealed atomic.Bool
	// snapshot is the producer state at the end of the segment, taken at the roll; the sealer writes it. Under log.mu.
	snapshot []byte
}

func (s *segment) fileName(suffix string) string {
	return path.Join(s.log.folder(), segmentName(s.base, suffix))
}

// durable notes that the first n bytes and the file's name are on the disk. Flushes of one directory note it one after the other.
func (s *segment) durable(n int64) {
	s.synced.Store(max(n, s.synced.Load()))
	s.named.Store(true)
}

// view is the list of a log's segments, ascending; the last one takes appends. A view is never changed, only replaced.
type view struct{ segments []*segment }

func (v *view) last() *segment { return v.segments[len(v.segments)-1] }

// floor is the index of the segment that holds offset: the last one with base <= offset, or the first.
func (v *view) floor(offset int64) int {
	i := sort.Search(len(v.segments), func(i int) bool { return v.segments[i].base > offset }) - 1
	return max(i, 0)
}

// end is the first offset beyond segment i: the next base, or the log end.
func (v *view) end(i int, logEnd int64) int64 {
	if i+1 < len(v.segments) {
		return v.segments[i+1].base
	}
	return logEnd
}

// index returns the segment's indexes, loading or rebuilding them if need be.
func (s *segment) index() (*segIndex, error) {
	if x := s.idx.Load(); x != nil {
		if !s.touched.Load() {
			s.touched.Store(true)
		}
		return x, nil
	}
	s.idxMu.Lock()
	defer s.idxMu.Unlock()
	if x := s.idx.Load(); x != nil {
		return x, nil
	}
	x, err := s.load()
	if err != nil {
		return nil, err
	}
	s.idx.Store(x)
	s.touched.Store(true)
	if s.sealed.Load() {
		s.log.store.indexes.add(s, x)
	}
	return x, nil
}

// load reads the index files, checks them against the log and completes them by walking what they do not cover.
func (s *segment) load() (*segIndex, error) {
	f, err := s.file.pin()
	if err != nil {
		return nil, err
	}
	defer s.file.unpin()
	size := s.size.Load()
	x := newSegIndex(s.base)
	if size == 0 {
		return x, nil
	}
	fsys := s.log.store.fs
	bound := size/minBatchSize + 2
	offsets, err1 := readIndexFile(fsys, s.fileName(indexSuffix), bound*indexEntrySize)
	times, err2 := readIndexFile(fsys, s.fileName(timeIndexSuffix), bound*timeEntrySize)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	x.offsets, _ = decodeIndex(offsets, size)
	x.times, _ = decodeTimeIndex(times, size)
	if !s.plausible(f, x, size) {
		s.log.logger().Info("rebuilding the indexes of a segment", "segment", s.fileName(logSuffix))
		x = newSegIndex(s.base)
	}
	from := int64(0)
	if n := len(x.offsets); n > 0 {
		from = int64(x.offsets[n-1].pos)
		// The last entry is added again by the walk, with whatever time entries belong at or beyond it.
		lastRel := x.offsets[n-1].rel
		x.offsets = x.offsets[:n-1]
		k := sort.Search(len(x.times), func(i int) bool { return x.times[i].rel >= lastRel })
		x.times = x.times[:k]
		if k > 0 {
			x.maxTS, x.maxTSRel = x.times[k-1].ts, x.times[k-1].rel
		}
		x.sinceLast = s.log.config().IndexIntervalBytes + 1
	} else {
		x.times = nil
	}
	x.size = from
	if err := s.extend(f, x, from, size); err != nil {
		return nil, err
	}
	if from > 0 {
		if w := newWalker(f, s.file.path(), 0, size); true {
			if h, err := w.next(); err == nil {
				x.firstTS = h.MaxTimestamp()
			}
			w.close()
		}
	}
	if v := s.log.view.Load(); v != nil && v.last() == s && x.next > s.log.end.Load() {
		return nil, &CorruptError{Segment: s.file.path(), Position: size, Reason: fmt.Sprintf("the last batch ends at offset %d, the checkpoint said the log does at %d", x.next-1, s.log.end.Load())}
	}
	x.dirty = false
	if x.aborted, err = s.loadAborted(); err != nil {
		return nil, err
	}
	return x, nil
}

// loadAborted reads the transaction index; a damaged one is made anew from the batches.
func (s *segment) loadAborted() ([]AbortedTxn, error) {
	name := s.fileName(txnIndexSuffix)
	b, err := readIndexFile(s.log.store.fs, name, s.size.Load()/minBatchSize*txnEntrySize)
	if err != nil || len(b) == 0 {
		return nil, err
	}
	aborted, err := decodeTxnIndex(name, b, s.base)
	if err == nil {
		return aborted, nil
	}
	s.log.logger().Warn("a transaction index cannot be read and is made anew", "error", err)
	l := s.log
	v := l.view.Load()
	var p producers
	if err := l.replay(context.Background(), &p, v, l.snapshotOffsets(), s.base); err != nil {
		return nil, err
	}
	rd := l.store.reader()
	defer l.store.readers.Put(rd)
	aborted = nil
	err = l.replaySegment(context.Background(), &p, s, s.base, s.base+maxRelative, rd, l.store.now(), func(t AbortedTxn) { aborted = append(aborted, t) })
	return aborted, err
}

// extend walks the headers in [from, size) and adds them to x.
func (s *segment) extend(f io.ReaderAt, x *segIndex, from, size int64) error {
	w := newWalker(f, s.file.path(), from, size)
	defer w.close()
	interval := s.log.config().IndexIntervalBytes
	for {
		h, err := w.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if h.LastOffset()-s.base > maxRelative || h.BaseOffset() < s.base {
			return &CorruptError{Segment: s.file.path(), Position: w.start, Reason: fmt.Sprintf("offsets %d to %d do not belong into the segment", h.BaseOffset(), h.LastOffset())}
		}
		x.add(h.BaseOffset(), h.LastOffset(), h.MaxTimestamp(), int(w.total), interval)
	}
}

// plausible checks the last entry of both indexes against the batches they point at.
func (s *segment) plausible(f io.ReaderAt, x *segIndex, size int64) bool {
	n := len(x.offsets)
	if n == 0 {
		return len(x.times) == 0 // the walk starts at the first batch anyway
	}
	header := func(pos int64) (batch.Batch, func()) {
		w := newWalker(f, s.file.path(), pos, size)
		w.small = true
		h, err := w.next()
		if err != nil {
			h = nil
		}
		return h, w.close
	}
	last := x.offsets[n-1]
	h, done := header(int64(last.pos))
	ok := h != nil && h.LastOffset() == s.base+int64(last.rel)
	done()
	if !ok || len(x.times) == 0 {
		return false
	}
	// The last time entry names the last offset of a batch that bears its timestamp.
	t := x.times[len(x.times)-1]
	pos, _ := x.floor(s.base + int64(t.rel))
	w := newWalker(f, s.file.path(), pos, size)
	defer w.close()
	for {
		h, err := w.next()
		if err != nil || h.LastOffset() > s.base+int64(t.rel) {
			return false
		}
		if h.LastOffset() == s.base+int64(t.rel) {
			return h.MaxTimestamp() == t.ts
		}
	}
}

// readIndexFile reads a companion file; a missing one is empty. Longer ones than make sense (Kafka preallocates) are read up to limit.
func readIndexFile(fsys vfs.FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.OpenRead(name)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, min(size, limit))
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b[:n], nil
}

// maxRelative is the largest distance of an offset from the base of its segment.
const maxRelative = 1<<31 - 1

// locate walks from the index to the batch that holds offset or the next one after it. It returns io.EOF when the segment, as far as it
// reaches now, has none.
func (s *segment) locate(offset int64) (b boundary, err error) {
	x, err := s.index()
	if err != nil {
		return b, err
	}
	if b, ok := x.lookup(offset); ok {
		return b, nil
	}
	f, err := s.file.pin()
	if err != nil {
		return b, err
	}
	defer s.file.unpin()
	for {
		pos, last := x.floor(offset)
		b, err, sound := s.walkTo(f, pos, last, offset)
		if sound {
			return b, err
		}
		// The entry points into the middle of nowhere: the index file lied in a way that loading could not see. Walk it all once.
		s.log.logger().Warn("an index entry does not fit its segment, rebuilding the index", "segment", s.file.path(), "offset", offset)
		fresh := newSegIndex(s.base)
		if err := s.extend(f, fresh, 0, x.covered()); err != nil {
			return b, err
		}
		x.replace(fresh)
	}
}

func (s *segment) walkTo(f io.ReaderAt, pos, last, offset int64) (b boundary, err error, sound bool) {
	w := newWalker(f, s.file.path(), pos, s.size.Load())
	defer w.close()
	for first := true; ; first = false {
		h, err := w.next()
		if first && pos > 0 && (err != nil || h.LastOffset() != last) {
			return b, nil, false
		}
		if err != nil {
			return b, err, true
		}
		if h.LastOffset() >= offset {
			return boundary{base: h.BaseOffset(), next: h.LastOffset() + 1, pos: w.start, end: w.pos}, nil, true
		}
	}
}

// indexCache bounds what indexes of sealed segments hold in memory, in clock order.
type indexCache struct {
	mu    sync.Mutex
	used  int64
	max   int64
	items []cachedIndex
	hand  int
}

type cachedIndex struct {
	seg   *segment
	idx   *segIndex
	bytes int64
}

func (c *indexCache) add(s *segment, x *segIndex) {
	n := x.bytes()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.items = append(c.items, cachedIndex{s, x, n})
	c.used += n
	for rounds := 2 * len(c.items); rounds > 0 && c.used > c.max && len(c.items) > 1; rounds-- {
		if c.hand >= len(c.items) {
			c.hand = 0
		}
		it := &c.items[c.hand]
		if it.seg.touched.Swap(false) {
			c.hand++
			continue
		}
		it.seg.idx.CompareAndSwap(it.idx, nil) // readers that have it keep it
		c.used -= it.bytes
		last := len(c.items) - 1
		c.items[c.hand] = c.items[last]
		c.items[last] = cachedIndex{}
		c.items = c.items[:last]
	}
}

// remove drops a segment that is no more.
func (c *indexCache) remove(s *segment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.items {
		if c.items[i].seg == s {
			c.used -= c.items[i].bytes
			last := len(c.items) - 1
			c.items[i] = c.items[last]
			c.items[last] = cachedIndex{}
			c.items = c.items[:last]
			return
		}
	}
}
