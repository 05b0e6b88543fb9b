package storage

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// What a partition remembers of its idempotent and transactional producers (reference 2.4 and 2.5). The state is a fold over the batches of
// the log: live after each append, and in replay, through the same function. Snapshots shorten the replay.

// keptBatches is how many batches of a producer can be recognised when they come again: max.in.flight of an idempotent client.
const keptBatches = 5

// ProducerBatch is one remembered batch.
type ProducerBatch struct {
	FirstSequence, LastSequence int32
	FirstOffset, LastOffset     int64
	Timestamp                   int64 // the batch's largest
}

// ProducerState is what is known of one producer id, as DescribeProducers shows it.
type ProducerState struct {
	ProducerID       int64
	Epoch            int16
	LastSequence     int32 // -1 when no batch is remembered
	LastOffset       int64 // of the last batch or marker, -1 when unknown
	LastTimestamp    int64
	CoordinatorEpoch int32 // of the last marker, -1 when none
	TxnFirstOffset   int64 // of the open transaction, -1 when none
}

// AbortedTxn is an entry of a segment's .txnindex.
type AbortedTxn struct {
	ProducerID       int64
	FirstOffset      int64
	LastOffset       int64 // of the marker
	LastStableOffset int64 // once the marker was appended
}

type producer struct {
	epoch            int16
	n                int8 // batches held
	coordinatorEpoch int32
	txnFirst         int64 // -1 = no open transaction
	lastTimestamp    int64
	seenMs           int64 // wall time of the last write: producers are forgotten by it, since the clients' timestamps may be of any age
	batches          [keptBatches]ProducerBatch
}

func (p *producer) last() *ProducerBatch {
	if p.n == 0 {
		return nil
	}
	return &p.batches[p.n-1]
}

func (p *producer) remember(b ProducerBatch) {
	if p.n == keptBatches {
		copy(p.batches[:], p.batches[1:])
		p.n--
	}
	p.batches[p.n] = b
	p.n++
}

// openTxn is a transaction whose marker has not come, or whose marker lies above the high watermark.
type openTxn struct {
	producerID  int64
	first, last int64 // last: the marker's offset, -1 while it is open
}

// producers is the state of one partition.
type producers struct {
	mu   sync.Mutex
	byID map[int64]*producer
	// open and closing are sorted by first offset. closing holds completed transactions until the high watermark passes their marker.
	open, closing []openTxn
	// txns counts both, so that a partition without transactions answers its last stable offset without the lock.
	txns atomic.Int32
}

// check says whether the batch may be appended. dup is the remembered batch it repeats, if it does. Only client batches are judged: what a
// leader appended, followers take.
func (s *producers) check(b batch.Batch) (dup ProducerBatch, isDup bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, epoch, first, last := b.ProducerID(), b.ProducerEpoch(), b.BaseSequence(), b.LastSequence()
	p := s.byID[id]
	if p == nil {
		if b.Transactional() && first != 0 {
			return dup, false, refuse(kafka.OutOfOrderSequenceNumber,
				"producer %d is not known here, so its transaction must start at sequence 0, not %d", id, first)
		}
		return dup, false, nil
	}
	if epoch < p.epoch {
		return dup, false, refuse(kafka.InvalidProducerEpoch, "producer %d has epoch %d here, the batch has %d", id, p.epoch, epoch)
	}
	if epoch == p.epoch {
		for i := range p.n {
			if k := &p.batches[i]; k.FirstSequence == first && k.LastSequence == last {
				return *k, true, nil
			}
		}
	}
	want := int32(0)
	if k := p.last(); epoch == p.epoch && k != nil {
		want = batch.NextSequence(k.LastSequence, 1)
	}
	if first != want {
		return dup, false, refuse(kafka.OutOfOrderSequenceNumber, "producer %d, epoch %d: sequence %d came where %d is next", id, epoch, first, want)
	}
	if p.txnFirst >= 0 && !b.Transactional() {
		return dup, false, refuse(kafka.InvalidTxnState, "producer %d has an open transaction since offset %d, the batch is not transactional", id, p.txnFirst)
	}
	return dup, false, nil
}

// checkMarker says whether a coordinator's marker may be appended.
func (s *producers) checkMarker(id int64, epoch int16, coordinatorEpoch int32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.byID[id]
	if p == nil {
		return nil
	}
	if epoch < p.epoch {
		return refuse(kafka.InvalidProducerEpoch, "producer %d has epoch %d here, the marker has %d", id, p.epoch, epoch)
	}
	if coordinatorEpoch < p.coordinatorEpoch {
		return refuse(kafka.TransactionCoordinatorFenced, "the last marker of producer %d is of coordinator epoch %d, this one of %d", id, p.coordinatorEpoch, coordinatorEpoch)
	}
	return nil
}

func (s *producers) get(id int64) *producer {
	p := s.byID[id]
	if p == nil {
		if s.byID == nil {
			s.byID = make(map[int64]*producer)
		}
		p = &producer{epoch: -1, coordinatorEpoch: -1, txnFirst: -1, lastTimestamp: -1}
		s.byID[id] = p
	}
	return p
}

// apply folds an appended batch with a producer id into the state. marker is what parseMarker found in a control batch, else nil. The
// result is the entry of the transaction index that an abort leaves, if one does.
func (s *producers) apply(b batch.Batch, marker *batch.EndTxnMarker, nowMs int64) (aborted AbortedTxn, isAborted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, epoch := b.ProducerID(), b.ProducerEpoch()
	if b.Control() && marker == nil {
		return aborted, false // a control type that is none of ours
	}
	p := s.get(id)
	if epoch != p.epoch {
		p.epoch, p.n = epoch, 0
	}
	p.lastTimestamp, p.seenMs = b.MaxTimestamp(), nowMs
	if marker == nil {
		if b.BaseSequence() >= 0 {
			p.remember(ProducerBatch{FirstSequence: b.BaseSequence(), LastSequence: b.LastSequence(),
				FirstOffset: b.BaseOffset(), LastOffset: b.LastOffset(), Timestamp: b.MaxTimestamp()})
		}
		if b.Transactional() && p.txnFirst < 0 {
			p.txnFirst = b.BaseOffset()
			s.open = append(s.open, openTxn{producerID: id, first: p.txnFirst, last: -1}) // offsets rise, so it stays sorted
			s.txns.Add(1)
		}
		return aborted, false
	}
	p.coordinatorEpoch = marker.CoordinatorEpoch
	if p.txnFirst < 0 {
		return aborted, false // a marker for a transaction that wrote nothing here
	}
	i := slices.IndexFunc(s.open, func(t openTxn) bool { return t.producerID == id })
	t := s.open[i]
	t.last = b.BaseOffset()
	s.open = slices.Delete(s.open, i, i+1)
	at := sort.Search(len(s.closing), func(i int) bool { return s.closing[i].first > t.first })
	s.closing = slices.Insert(s.closing, at, t)
	p.txnFirst = -1
	if marker.Commit {
		return aborted, false
	}
	stable := t.last + 1
	if len(s.open) > 0 {
		stable = s.open[0].first
	}
	return AbortedTxn{ProducerID: id, FirstOffset: t.first, LastOffset: t.last, LastStableOffset: stable}, true
}

// lastStable is the last stable offset below the high watermark hw.
func (s *producers) lastStable(hw int64) int64 {
	if s.txns.Load() == 0 {
		return hw
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	stable := hw
	if len(s.open) > 0 {
		stable = min(stable, s.open[0].first)
	}
	for i := range s.closing {
		if t := &s.closing[i]; t.last >= hw { // decided, but the decision is not committed
			stable = min(stable, t.first)
		}
	}
	return stable
}

// replicated forgets completed transactions whose markers lie below the high watermark.
func (s *producers) replicated(hw int64) {
	if s.txns.Load() == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.closing)
	s.closing = slices.DeleteFunc(s.closing, func(t openTxn) bool { return t.last < hw })
	s.txns.Add(int32(len(s.closing) - n))
}

// firstUndecided is the first offset of any transaction that is open, or math.MaxInt64.
func (s *producers) firstUndecided() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) > 0 {
		return s.open[0].first
	}
	return math.MaxInt64
}

// expire forgets producers without an open transaction that have not written since before.
func (s *producers) expire(beforeMs int64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for id, p := range s.byID { // any order: each is judged alone
		if p.txnFirst < 0 && p.seenMs <= beforeMs {
			delete(s.byID, id)
			n++
		}
	}
	return n
}

// reset forgets everything.
func (s *producers) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byID, s.open, s.closing = nil, nil, nil
	s.txns.Store(0)
}

func (s *producers) empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byID) == 0
}

// list is the state sorted by producer id.
func (s *producers) list() []ProducerState {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]ProducerState, 0, len(s.byID))
	for id, p := range s.byID { // any order: sorted below
		st := ProducerState{ProducerID: id, Epoch: p.epoch, LastSequence: -1, LastOffset: -1, LastTimestamp: p.lastTimestamp,
			CoordinatorEpoch: p.coordinatorEpoch, TxnFirstOffset: p.txnFirst}
		if b := p.last(); b != nil {
			st.LastSequence, st.LastOffset = b.LastSequence, b.LastOffset
		}
		out = append(out, st)
	}
	slices.SortFunc(out, func(a, b ProducerState) int {
		if a.ProducerID < b.ProducerID {
			return -1
		}
		return 1
	})
	return out
}

// lastOffsets is, for each producer, the last offset of its newest batch below the high watermark hw. Compaction keeps at least the header of
// it and of those after it: a power cut may take the newer ones, and then this one alone tells the sequence. 0 when none is remembered.
func (s *producers) lastOffsets(hw int64) map[int64]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[int64]int64, len(s.byID))
	for id, p := range s.byID { // any order: into a map
		if p.n == 0 {
			continue
		}
		out[id] = 0 // all that is remembered may be lost: keep whatever there is
		for _, b := range p.batches[:p.n] {
			if b.LastOffset < hw {
				out[id] = b.LastOffset
			}
		}
	}
	return out
}

// The snapshot file: version i16, crc u32 over what follows, count i32, then one row per producer.
const (
	snapshotVersion  = 1
	snapshotHeader   = 10
	snapshotCRCFrom  = 6
	snapshotRowBytes = 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8
	// maxSnapshot bounds what is read: 46 bytes a row allow 5 million producers in one partition.
	maxSnapshot = 256 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// snapshot is the state as a snapshot file; of each producer only the last batch is in it.
func (s *producers) snapshot() []byte {
	rows := s.rows()
	b := make([]byte, 0, snapshotHeader+len(rows)*snapshotRowBytes)
	b = binary.BigEndian.AppendUint16(b, snapshotVersion)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(rows)))
	for i := range rows {
		b = rows[i].append(b)
	}
	binary.BigEndian.PutUint32(b[2:], crc32.Checksum(b[snapshotCRCFrom:], castagnoli))
	return b
}

// SnapshotRow is one producer in a .snapshot file.
type SnapshotRow struct {
	ProducerID       int64
	Epoch            int16
	LastSequence     int32
	LastOffset       int64
	OffsetDelta      int32
	Timestamp        int64
	CoordinatorEpoch int32
	TxnFirstOffset   int64
}

func (r *SnapshotRow) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(r.ProducerID))
	b = binary.BigEndian.AppendUint16(b, uint16(r.Epoch))
	b = binary.BigEndian.AppendUint32(b, uint32(r.LastSequence))
	b = binary.BigEndian.AppendUint64(b, uint64(r.LastOffset))
	b = binary.BigEndian.AppendUint32(b, uint32(r.OffsetDelta))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Timestamp))
	b = binary.BigEndian.AppendUint32(b, uint32(r.CoordinatorEpoch))
	return binary.BigEndian.AppendUint64(b, uint64(r.TxnFirstOffset))
}

func (s *producers) rows() []SnapshotRow {
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := make([]SnapshotRow, 0, len(s.byID))
	for id, p := range s.byID { // any order: sorted below
		r := SnapshotRow{ProducerID: id, Epoch: p.epoch, LastSequence: -1, LastOffset: -1, Timestamp: p.lastTimestamp,
			CoordinatorEpoch: p.coordinatorEpoch, TxnFirstOffset: p.txnFirst}
		if b := p.last(); b != nil {
			r.LastSequence, r.LastOffset, r.OffsetDelta = b.LastSequence, b.LastOffset, int32(b.LastOffset-b.FirstOffset)
		}
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b SnapshotRow) int {
		if a.ProducerID < b.ProducerID {
			return -1
		}
		return 1
	})
	return rows
}

// decodeSnapshot reads a .snapshot file.
func decodeSnapshot(file string, b []byte) ([]SnapshotRow, error) {
	fail := func(format string, args ...any) error {
		return &FormatError{File: file, Reason: fmt.Sprintf(format, args...)}
	}
	if len(b) < snapshotHeader {
		return nil, fail("a snapshot has at least %d bytes, this one %d", snapshotHeader, len(b))
	}
	if v := int16(binary.BigEndian.Uint16(b)); v != snapshotVersion {
		return nil, fail("version %d is not known, only %d", v, snapshotVersion)
	}
	if got, want := crc32.Checksum(b[snapshotCRCFrom:], castagnoli), binary.BigEndian.Uint32(b[2:]); got != want {
		return nil, fail("the checksum is %08x, the bytes give %08x", want, got)
	}
	n := int(int32(binary.BigEndian.Uint32(b[6:])))
	if rest := len(b) - snapshotHeader; n < 0 || rest != n*snapshotRowBytes {
		return nil, fail("says %d producers in %d bytes", n, rest)
	}
	rows := make([]SnapshotRow, n)
	for i := range rows {
		r := b[snapshotHeader+i*snapshotRowBytes:]
		u64 := func(at int) int64 { return int64(binary.BigEndian.Uint64(r[at:])) }
		u32 := func(at int) int32 { return int32(binary.BigEndian.Uint32(r[at:])) }
		rows[i] = SnapshotRow{ProducerID: u64(0), Epoch: int16(binary.BigEndian.Uint16(r[8:])), LastSequence: u32(10), LastOffset: u64(14),
			OffsetDelta: u32(22), Timestamp: u64(26), CoordinatorEpoch: u32(34), TxnFirstOffset: u64(38)}
	}
	return rows, nil
}

// restore replaces the state by a snapshot's. Their wall time of last writing is not in it and becomes now: better kept a day too long
// than forgotten while a client still retries. Rows that cannot be are left out.
func (s *producers) restore(rows []SnapshotRow, nowMs int64) {
	s.reset()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range rows {
		r := &rows[i]
		if r.ProducerID < 0 || s.byID[r.ProducerID] != nil {
			continue
		}
		p := s.get(r.ProducerID)
		p.epoch, p.coordinatorEpoch, p.lastTimestamp, p.seenMs = r.Epoch, r.CoordinatorEpoch, r.Timestamp, nowMs
		if r.LastSequence >= 0 && r.OffsetDelta >= 0 && r.LastOffset >= int64(r.OffsetDelta) {
			p.remember(ProducerBatch{FirstSequence: batch.NextSequence(r.LastSequence, math.MaxInt32-r.OffsetDelta+1), LastSequence: r.LastSequence,
				FirstOffset: r.LastOffset - int64(r.OffsetDelta), LastOffset: r.LastOffset, Timestamp: r.Timestamp})
		}
		if r.TxnFirstOffset >= 0 {
			p.txnFirst = r.TxnFirstOffset
			s.open = append(s.open, openTxn{producerID: r.ProducerID, first: r.TxnFirstOffset, last: -1})
		}
	}
	slices.SortFunc(s.open, func(a, b openTxn) int {
		switch {
		case a.first < b.first:
			return -1
		case a.first > b.first:
			return 1
		}
		return 0
	})
	s.txns.Store(int32(len(s.open)))
}
