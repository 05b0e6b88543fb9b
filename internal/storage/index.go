package storage

import (
	"encoding/binary"
	"math"
	"sort"
	"sync"
)

// The two sparse indexes of a segment. An entry is added for the batch that crosses index.interval.bytes, so a lookup lands a few
// kilobytes before the batch it wants and walks headers from there. Neither file carries a checksum, so neither is believed: loading keeps
// the longest prefix that could be right, checks its last entry against the log, and fills in the rest (recovery.go).

const (
	indexEntrySize = 8
	timeEntrySize  = 12
	// tailBatches is how many of the newest batch boundaries a segment remembers, so that a read near the end needs no disk access.
	tailBatches = 32
)

// indexEntry says that the batch whose last offset is Offset starts at byte Pos.
type indexEntry struct {
	rel uint32 // last offset of the batch, relative to the segment's base
	pos uint32
}

// timeEntry says that no record up to offset rel has a timestamp above ts, and that the batch with last offset rel has one of ts.
type timeEntry struct {
	ts  int64
	rel uint32
}

func encodeIndex(dst []byte, entries []indexEntry) []byte {
	for _, e := range entries {
		dst = binary.BigEndian.AppendUint32(dst, e.rel)
		dst = binary.BigEndian.AppendUint32(dst, e.pos)
	}
	return dst
}

// decodeIndex returns the longest prefix of entries that rise strictly, stay within a log of size bytes, and are not the first batch
// (which never has an entry: a zeroed file therefore decodes to none). whole is false when something was left out.
func decodeIndex(data []byte, size int64) (entries []indexEntry, whole bool) {
	n := len(data) / indexEntrySize
	entries = make([]indexEntry, 0, min(int64(n), size/minBatchSize+1))
	for i := range n {
		e := indexEntry{rel: binary.BigEndian.Uint32(data[i*indexEntrySize:]), pos: binary.BigEndian.Uint32(data[i*indexEntrySize+4:])}
		ok := e.pos > 0 && e.rel <= math.MaxInt32 && int64(e.pos) <= size-minBatchSize
		if last := len(entries) - 1; ok && last >= 0 {
			ok = e.rel > entries[last].rel && e.pos > entries[last].pos
		}
		if !ok {
			return entries, false
		}
		entries = append(entries, e)
	}
	return entries, len(data)%indexEntrySize == 0
}

func encodeTimeIndex(dst []byte, entries []timeEntry) []byte {
	for _, e := range entries {
		dst = binary.BigEndian.AppendUint64(dst, uint64(e.ts))
		dst = binary.BigEndian.AppendUint32(dst, e.rel)
	}
	return dst
}

// decodeTimeIndex is decodeIndex for time entries: timestamps and offsets rise strictly, timestamps are not negative.
func decodeTimeIndex(data []byte, size int64) (entries []timeEntry, whole bool) {
	n := len(data) / timeEntrySize
	entries = make([]timeEntry, 0, min(int64(n), size/minBatchSize+1))
	for i := range n {
		e := timeEntry{ts: int64(binary.BigEndian.Uint64(data[i*timeEntrySize:])), rel: binary.BigEndian.Uint32(data[i*timeEntrySize+8:])}
		ok := e.ts >= 0 && e.rel <= math.MaxInt32
		if last := len(entries) - 1; ok && last >= 0 {
			ok = e.ts > entries[last].ts && e.rel > entries[last].rel
		}
		if !ok {
			return entries, false
		}
		entries = append(entries, e)
	}
	return entries, len(data)%timeEntrySize == 0
}

// boundary is where a batch begins: the batch with base offset base starts at byte pos and ends before offset next.
type boundary struct {
	base, next int64
	pos, end   int64
}

// segIndex is both indexes of one segment in memory, and what an append must know of the segment's tail. Its lock is held for memory
// work only.
type segIndex struct {
	mu        sync.Mutex
	base      int64
	offsets   []indexEntry
	times     []timeEntry
	sinceLast int64 // bytes appended since the last entry
	next      int64 // offset after the last batch; the base when there is none
	size      int64 // bytes covered

	maxTS    int64 // largest timestamp so far, -1 when none
	maxTSRel uint32
	firstTS  int64 // largest timestamp of the first batch, -1 when unknown or none

	aborted []AbortedTxn // of the transaction index, by rising marker offset

	tail  [tailBatches]boundary
	tailN int // boundaries ever remembered; the ring holds the last tailBatches of them
	dirty bool
}

func newSegIndex(base int64) *segIndex {
	return &segIndex{base: base, next: base, maxTS: -1, firstTS: -1}
}

// add takes note of a batch written at position size of the segment.
func (x *segIndex) add(baseOffset, lastOffset, maxTS int64, length int, interval int64) {
	x.mu.Lock()
	rel := uint32(lastOffset - x.base)
	if x.size == 0 {
		x.firstTS = maxTS
	}
	if maxTS > x.maxTS {
		x.maxTS, x.maxTSRel = maxTS, rel
	}
	if x.sinceLast > interval {
		x.offsets = append(x.offsets, indexEntry{rel: rel, pos: uint32(x.size)})
		x.addTime()
		x.sinceLast = 0
	}
	x.sinceLast += int64(length)
	end := x.size + int64(length)
	x.tail[x.tailN%tailBatches] = boundary{base: baseOffset, next: lastOffset + 1, pos: x.size, end: end}
	x.tailN++
	x.size, x.next = end, lastOffset+1
	x.dirty = true
	x.mu.Unlock()
}

// addTime appends the maximum so far, if it is news.
func (x *segIndex) addTime() {
	if x.maxTS < 0 {
		return
	}
	if n := len(x.times); n > 0 && (x.times[n-1].ts >= x.maxTS || x.times[n-1].rel >= x.maxTSRel) {
		return
	}
	x.times = append(x.times, timeEntry{ts: x.maxTS, rel: x.maxTSRel})
}

// finish adds the final time entry; the segment is sealed or closed after it.
func (x *segIndex) finish() {
	x.mu.Lock()
	x.addTime()
	x.mu.Unlock()
}

// full reports whether either index has reached limit bytes; the time index keeps a slot for its final entry.
func (x *segIndex) full(limit int64) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return int64(len(x.offsets))*indexEntrySize > limit-indexEntrySize || int64(len(x.times))*timeEntrySize > limit-2*timeEntrySize
}

// floor is the position to start walking from to find offset, and the last offset of the batch there (-1 at the start of the segment).
func (x *segIndex) floor(offset int64) (pos int64, last int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	i := sort.Search(len(x.offsets), func(i int) bool { return x.base+int64(x.offsets[i].rel) > offset }) - 1
	if i < 0 {
		return 0, -1
	}
	return int64(x.offsets[i].pos), x.base + int64(x.offsets[i].rel)
}

// after is an offset beyond every batch that starts before byte pos, as close as the entries tell; math.MaxInt64 when they do not.
func (x *segIndex) after(pos int64) int64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	i := sort.Search(len(x.offsets), func(i int) bool { return int64(x.offsets[i].pos) >= pos })
	if i == len(x.offsets) {
		return math.MaxInt64
	}
	return x.base + int64(x.offsets[i].rel) + 1
}

// lookup finds the batch that holds offset, or the next one, among the newest batches. ok is false when offset lies before them.
func (x *segIndex) lookup(offset int64) (b boundary, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := min(x.tailN, tailBatches)
	if n == 0 || offset >= x.next {
		return b, false
	}
	// Boundaries are contiguous: the first whose end lies beyond offset is the one, if an earlier one is known not to.
	at := func(i int) *boundary { return &x.tail[(x.tailN-n+i)%tailBatches] }
	i := sort.Search(n, func(i int) bool { return at(i).next > offset })
	if i == 0 && offset < at(0).base && at(0).pos > 0 {
		return b, false
	}
	return *at(i), true
}

// floorTime is the offset from which a walk for timestamp ts may start.
func (x *segIndex) floorTime(ts int64) int64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	i := sort.Search(len(x.times), func(i int) bool { return x.times[i].ts > ts }) - 1
	if i < 0 {
		return x.base
	}
	return x.base + int64(x.times[i].rel)
}

// maxTime is the largest timestamp of the segment (-1 = none) and the last offset of the batch that has it.
func (x *segIndex) maxTime() (ts, offset int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.maxTS, x.base + int64(x.maxTSRel)
}

func (x *segIndex) firstTime() int64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.firstTS
}

// bytes is what the index costs in memory.
func (x *segIndex) bytes() int64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return int64(cap(x.offsets))*indexEntrySize + int64(cap(x.times))*16 + 2048
}

// encode is the content of the .index and .timeindex files.
func (x *segIndex) encode() (index, timeIndex []byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return encodeIndex(nil, x.offsets), encodeTimeIndex(nil, x.times)
}

// covered is how many bytes of the log the index knows.
func (x *segIndex) covered() int64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.size
}

// replace takes over the entries of an index that was built from the log itself, up to where it was built.
func (x *segIndex) replace(fresh *segIndex) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range x.offsets { // appended while the walk ran
		if int64(e.pos) >= fresh.size {
			fresh.offsets = append(fresh.offsets, e)
		}
	}
	for _, e := range x.times {
		if n := len(fresh.times); n == 0 || (e.rel > fresh.times[n-1].rel && e.ts > fresh.times[n-1].ts && x.base+int64(e.rel) >= fresh.next) {
			fresh.times = append(fresh.times, e)
		}
	}
	x.offsets, x.times, x.dirty = fresh.offsets, fresh.times, true
	if fresh.maxTS > x.maxTS {
		x.maxTS, x.maxTSRel = fresh.maxTS, fresh.maxTSRel
	}
}

// endingAt is the position behind the newest batches that end at or below offset, when the remembered ones tell.
func (x *segIndex) endingAt(offset int64) (pos int64, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if offset >= x.next {
		return x.size, true
	}
	for i := x.tailN - 1; i >= max(x.tailN-tailBatches, 0); i-- {
		if b := &x.tail[i%tailBatches]; b.next <= offset {
			return b.end, true
		}
	}
	return 0, false
}

func (x *segIndex) isDirty() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.dirty
}

func (x *segIndex) clean() {
	x.mu.Lock()
	x.dirty = false
	x.mu.Unlock()
}

func be32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }
func be64(b []byte) int64  { return int64(binary.BigEndian.Uint64(b)) }

// nextOffset is the offset after the last batch.
func (x *segIndex) nextOffset() int64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.next
}
