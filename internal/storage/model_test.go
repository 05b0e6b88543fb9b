package storage

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// The log beside a dumb twin: a slice of records. Every way of stopping is an action: clean, killed, power cut.

type twinRecord struct {
	offset int64
	text   string // as readAll prints it
	ts     int64
	epoch  int32
}

type twin struct {
	t   *rapid.T
	mem *vfs.Memory
	s   *Store
	l   *Log
	fl  *flushes
	now int64

	records []twinRecord
	batches []int64 // base offsets
	start   int64
	end     int64
	durable int64 // reported by OnFlushed, or kept by a clean stop
	epoch   int32
	seqs    map[int64]int32 // next sequence of each producer
	last    map[int64]batch.Batch
	lastAt  map[int64]int64
	sent    map[int64]batch.Batch // by last offset
	open    map[int64]int64       // first offset of open transactions
	n       int
}

func (m *twin) config() Config {
	cfg := testConfig(m.mem)
	cfg.Clock = func() time.Time { return time.UnixMilli(m.now) }
	cfg.TopicConfig = func(string) LogConfig { return m.logConfig() }
	cfg.OpenFilesMax = 2
	cfg.sealByHand = true
	cfg.IndexCacheBytes = 1
	m.fl = newFlushes()
	cfg.OnFlushed = m.fl.on
	return cfg
}

func (m *twin) logConfig() LogConfig {
	c := DefaultLogConfig()
	c.SegmentBytes, c.IndexIntervalBytes, c.RetentionMs = 700, 150, -1
	return c
}

func (m *twin) reopen() {
	s, err := Open(context.Background(), m.config())
	if err != nil {
		m.t.Fatalf("open: %v", err)
	}
	m.s, m.l = s, s.Get(tp0)
}

func (m *twin) append(b batch.Batch, origin Origin, text func(i int64) string, ts int64) {
	r, err := m.l.Append(b, AppendOptions{LeaderEpoch: m.epoch, Origin: origin, NowMs: m.now})
	if err != nil {
		m.t.Fatalf("append: %v", err)
	}
	if r.BaseOffset != m.end || r.LastOffset != m.end+int64(b.LastOffsetDelta()) || r.Duplicate {
		m.t.Fatalf("appended at %+v, the log ended at %d", r, m.end)
	}
	m.batches = append(m.batches, r.BaseOffset)
	for i := r.BaseOffset; i <= r.LastOffset; i++ {
		m.records = append(m.records, twinRecord{offset: i, text: fmt.Sprintf("%d%s", i, text(i-r.BaseOffset)), ts: ts + i - r.BaseOffset, epoch: m.epoch})
	}
	m.end = r.LastOffset + 1
}

func (m *twin) newValues() ([]string, int64) {
	n := rapid.IntRange(1, 4).Draw(m.t, "records")
	vs := make([]string, n)
	for i := range vs {
		m.n++
		vs[i] = fmt.Sprintf("value-%d", m.n)
	}
	return vs, rapid.Int64Range(1000, 1200).Draw(m.t, "ts")
}

func (m *twin) plain(t *rapid.T) {
	vs, ts := m.newValues()
	m.append(simple(nil2(t), ts, vs...), Client, func(i int64) string { return "=" + vs[i] }, ts)
}

func (m *twin) producer(t *rapid.T) {
	id := rapid.Int64Range(1, 3).Draw(t, "producer")
	if _, txn := m.open[id]; txn {
		t.Skip()
	}
	m.produce(t, id, false)
}

func (m *twin) produce(t *rapid.T, id int64, txn bool) {
	vs, ts := m.newValues()
	if m.last[id] == nil {
		m.seqs[id] = 0
	}
	b := makeBatch(nil2(t), batch.Options{Transactional: txn, Producer: &batch.Producer{ID: id, BaseSequence: m.seqs[id]}}, values(ts, vs...)...)
	at := m.end
	m.append(slices.Clone(b), Client, func(i int64) string { return "=" + vs[i] }, ts)
	m.seqs[id] += int32(len(vs))
	m.last[id], m.lastAt[id] = b, at
	m.sent[m.end-1] = b
	if txn {
		if _, there := m.open[id]; !there {
			m.open[id] = at
		}
	}
}

func (m *twin) txn(t *rapid.T) {
	m.produce(t, rapid.Int64Range(10, 12).Draw(t, "producer"), true)
}

func (m *twin) endTxn(t *rapid.T) {
	if len(m.open) == 0 {
		t.Skip()
	}
	id := rapid.SampledFrom(sortedKeys(m.open)).Draw(t, "producer")
	commit := rapid.Bool().Draw(t, "commit")
	m.append(marker(nil2(t), id, 0, commit, 0), Coordinator, func(int64) string { return "!" }, 1000)
	delete(m.open, id)
}

// retry sends the last batch of a producer again.
func (m *twin) retry(t *rapid.T) {
	if len(m.last) == 0 {
		t.Skip()
	}
	id := rapid.SampledFrom(sortedKeys(m.last)).Draw(t, "producer")
	r, err := m.l.Append(slices.Clone(m.last[id]), AppendOptions{LeaderEpoch: m.epoch, NowMs: m.now})
	if err != nil || !r.Duplicate || r.BaseOffset != m.lastAt[id] {
		t.Fatalf("retry of producer %d: %+v, %v; its last batch is at %d", id, r, err, m.lastAt[id])
	}
}

func (m *twin) flush(t *rapid.T) {
	m.fl.forget(m.l) // a truncation may have lowered the end since the last report
	m.l.WantFlush()
	m.fl.wait(m.l, m.end)
	m.durable = m.end
}

func (m *twin) newEpoch(t *rapid.T) {
	m.epoch++
	if err := m.l.AssignEpoch(m.epoch, m.end); err != nil {
		t.Fatal(err)
	}
}

func (m *twin) checkpoint(t *rapid.T) {
	if err := m.s.Checkpoint(); err != nil {
		t.Fatal(err)
	}
}

func (m *twin) seal(t *rapid.T) {
	if err := m.l.seal(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func (m *twin) advance(t *rapid.T) {
	to := rapid.Int64Range(m.start, m.end).Draw(t, "to")
	if err := m.l.AdvanceStart(to); err != nil {
		t.Fatal(err)
	}
	m.start = to
	m.l.SetHighWatermark(m.end)
	if _, err := m.l.retain(m.now); err != nil {
		t.Fatal(err)
	}
}

func (m *twin) truncate(t *rapid.T) {
	if m.end == m.start {
		t.Skip()
	}
	to := rapid.Int64Range(m.start, m.end-1).Draw(t, "to")
	i, _ := slices.BinarySearch(m.batches, to+1)
	want := max(m.batches[i-1], m.start) // the batch that holds to goes as a whole
	if err := m.l.TruncateTo(to); err != nil {
		t.Fatal(err)
	}
	if got := m.l.EndOffset(); got != want {
		t.Fatalf("truncated to %d, the log ends at %d, want %d; batches at %v", to, got, want, m.batches)
	}
	m.cut(t, want)
	if want == m.start { // also what lay below the start
		m.records, m.batches = nil, nil
	}
}

// cut makes the twin end at end and forget what it knew of producers: their state is checked against a replay elsewhere.
func (m *twin) cut(t *rapid.T, end int64) {
	for len(m.records) > 0 && m.records[len(m.records)-1].offset >= end {
		m.records = m.records[:len(m.records)-1]
	}
	for len(m.batches) > 0 && m.batches[len(m.batches)-1] >= end {
		m.batches = m.batches[:len(m.batches)-1]
	}
	if end < m.end {
		m.seqs, m.last, m.lastAt, m.open = map[int64]int32{}, map[int64]batch.Batch{}, map[int64]int64{}, map[int64]int64{}
		for _, p := range m.l.Producers() {
			if p.TxnFirstOffset >= 0 {
				m.open[p.ProducerID] = p.TxnFirstOffset
			}
			if p.LastSequence >= 0 {
				m.seqs[p.ProducerID] = p.LastSequence + 1
				b := m.sent[p.LastOffset]
				m.last[p.ProducerID], m.lastAt[p.ProducerID] = b, p.LastOffset-int64(b.LastOffsetDelta())
			}
		}
	}
	m.end = end
	m.durable = min(m.durable, end)
}

func (m *twin) stopClean(t *rapid.T) {
	if err := m.s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.reopen()
	m.durable = m.end
	m.sameProducers(t)
}

func (m *twin) kill(t *rapid.T) {
	m.abandon()
	m.mem = m.mem.Kill()
	m.reopen()
	if m.l.EndOffset() != m.end {
		t.Fatalf("a kill changed the end from %d to %d", m.end, m.l.EndOffset())
	}
	m.durable = m.end
	m.sameProducers(t)
}

func (m *twin) powerCut(t *rapid.T) {
	m.abandon()
	if rapid.Bool().Draw(t, "strict") {
		m.mem = m.mem.CrashStrict()
	} else {
		m.mem = m.mem.Crash(rand.New(rand.NewPCG(1, rapid.Uint64().Draw(t, "seed"))))
	}
	m.reopen()
	end := m.l.EndOffset()
	if end < m.durable || end > m.end {
		t.Fatalf("the log ends at %d after a power cut; %d was durable, %d appended", end, m.durable, m.end)
	}
	if end != m.end && end != m.start && !slices.Contains(m.batches, end) {
		t.Fatalf("the log ends at %d inside a batch", end)
	}
	if end == m.start && l0(m.l) == end {
		m.records, m.batches = nil, nil
		m.end++ // even if the end is where it was, all below is gone, and what it said of producers
	}
	m.cut(t, end)
	m.durable = m.end
	if e := m.l.LatestEpoch(); e > m.epoch {
		t.Fatalf("epoch %d is from the future", e)
	}
}

// l0 is the base of the first segment: what lies below it is gone even for those who look behind the log start.
func l0(l *Log) int64 { return l.view.Load().segments[0].base }

// abandon stops the store's goroutines without letting it touch the disk again, as a dying process would.
func (m *twin) abandon() {
	close(m.s.stop)
	m.s.wg.Wait()
}

// sameProducers: the state after a stop is what it was before, as far as the twin remembers.
func (m *twin) sameProducers(t *rapid.T) {
	got := map[int64]int32{}
	open := map[int64]int64{}
	for _, p := range m.l.Producers() {
		if p.LastSequence >= 0 {
			got[p.ProducerID] = p.LastSequence + 1
		}
		if p.TxnFirstOffset >= 0 {
			open[p.ProducerID] = p.TxnFirstOffset
		}
	}
	if diff := cmp.Diff(m.seqs, got); diff != "" {
		t.Fatalf("next sequences: %s", diff)
	}
	if diff := cmp.Diff(m.open, open); diff != "" {
		t.Fatalf("open transactions: %s", diff)
	}
}

func (m *twin) readable() []string {
	var out []string
	for _, r := range m.records {
		if r.offset >= m.start {
			out = append(out, r.text)
		}
	}
	return out
}

// check compares everything that can be asked.
func (m *twin) check(t *rapid.T) {
	l := m.l
	if l.StartOffset() != m.start || l.EndOffset() != m.end || l.FlushedOffset() > m.end || l.FlushedOffset() < min(m.durable, m.end) {
		t.Fatalf("[%d, %d), flushed %d; want [%d, %d), flushed at least %d", l.StartOffset(), l.EndOffset(), l.FlushedOffset(), m.start, m.end, m.durable)
	}
	got, err := tryReadAll(l, m.start)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m.readable(), got); diff != "" {
		t.Fatal(diff)
	}
	if m.start < m.end {
		m.checkRead(t)
		m.checkTime(t)
	}
	lso := m.end
	for _, first := range m.open { // any order: a minimum
		lso = min(lso, first)
	}
	if got := l.prod.firstUndecided(); min(got, m.end) != lso {
		t.Fatalf("first undecided offset %d, want %d", got, lso)
	}
}

// checkRead reads from a random place up to a random limit.
func (m *twin) checkRead(t *rapid.T) {
	from := rapid.Int64Range(m.start, m.end-1).Draw(t, "from")
	limit := rapid.Int64Range(m.start, m.end+1).Draw(t, "limit")
	maxBytes := rapid.IntRange(0, 400).Draw(t, "maxBytes")
	s, err := m.l.Read(from, maxBytes, limit, true)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	b, err := s.AppendTo(nil)
	if err != nil || len(b) != s.Len() {
		t.Fatalf("%d bytes of %d: %v", len(b), s.Len(), err)
	}
	i, _ := slices.BinarySearch(m.batches, from+1)
	base := m.batches[i-1]
	next := m.end
	if i < len(m.batches) {
		next = m.batches[i]
	}
	if next > limit {
		if len(b) > 0 {
			t.Fatalf("read from %d up to %d gave a batch [%d, %d)", from, limit, base, next)
		}
		return
	}
	one, rest, err := batch.Next(b)
	if err != nil || one.BaseOffset() != base || one.LastOffset()+1 != next || s.FirstBatchBaseOffset() != base || s.FirstBatchLen() != len(one) {
		t.Fatalf("read from %d gave [%d...], want the batch [%d, %d): %v", from, s.FirstBatchBaseOffset(), base, next, err)
	}
	if len(b) > max(maxBytes, len(one)) {
		t.Fatalf("%d bytes, asked for at most %d", len(b), maxBytes)
	}
	last := one
	for len(rest) > 0 {
		if one, rest, err = batch.Next(rest); err != nil {
			break
		}
		last = one
	}
	if last.LastOffset() >= limit || s.UpperBound() <= last.LastOffset() || s.UpperBound() > limit {
		t.Fatalf("offset %d was read, limit %d, upper bound %d", last.LastOffset(), limit, s.UpperBound())
	}
}

func (m *twin) checkTime(t *rapid.T) {
	ts := rapid.Int64Range(990, 1210).Draw(t, "since")
	limit := rapid.Int64Range(m.start, m.end+1).Draw(t, "timeLimit")
	want, newest := int64(-1), twinRecord{offset: -1, ts: -1}
	for _, r := range m.records {
		if r.offset < m.start || r.offset >= limit {
			continue
		}
		if r.ts >= ts && want < 0 {
			want = r.offset
		}
		if r.ts > newest.ts {
			newest = r
		}
	}
	off, _, _, found, err := m.l.OffsetForTime(ts, limit)
	if err != nil || off != want || found != (want >= 0) {
		t.Fatalf("first record since %d below %d: %d (%v), want %d", ts, limit, off, err, want)
	}
	off, got, epoch, _, err := m.l.MaxTimestampOffset(limit)
	if err != nil || off != newest.offset || got != newest.ts || (newest.offset >= 0 && epoch != newest.epoch) {
		t.Fatalf("newest record below %d: offset %d, timestamp %d, epoch %d (%v), want %+v", limit, off, got, epoch, err, newest)
	}
	for _, r := range m.records {
		if r.offset >= m.start && m.l.EpochAt(r.offset) != r.epoch {
			t.Fatalf("offset %d is of epoch %d, want %d", r.offset, m.l.EpochAt(r.offset), r.epoch)
		}
	}
}

// nil2 is the testing.TB that the batch makers want; rapid's T is none, so failures there panic.
func nil2(t *rapid.T) testing.TB { return rapidTB{t: t} }

type rapidTB struct {
	testing.TB
	t *rapid.T
}

func (r rapidTB) Helper()           {}
func (r rapidTB) Fatal(args ...any) { r.t.Fatal(args...) }

func sortedKeys[V any](m map[int64]V) []int64 {
	keys := make([]int64, 0, len(m))
	for k := range m { // any order: sorted below
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func TestLogAgainstItsTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &twin{t: t, mem: vfs.NewMemory(), now: 1_700_000_000_000, seqs: map[int64]int32{}, last: map[int64]batch.Batch{}, lastAt: map[int64]int64{}, open: map[int64]int64{}, sent: map[int64]batch.Batch{}}
		m.reopen()
		var err error
		if m.l, err = m.s.Create(tp0, kafka.TopicID{9}, m.logConfig()); err != nil {
			t.Fatal(err)
		}
		defer func() { m.abandon() }()
		t.Repeat(map[string]func(*rapid.T){
			"":           m.check,
			"plain":      m.plain,
			"producer":   m.producer,
			"txn":        m.txn,
			"endTxn":     m.endTxn,
			"retry":      m.retry,
			"flush":      m.flush,
			"newEpoch":   m.newEpoch,
			"checkpoint": m.checkpoint,
			"seal":       m.seal,
			"advance":    m.advance,
			"truncate":   m.truncate,
			"stopClean":  m.stopClean,
			"kill":       m.kill,
			"powerCut":   m.powerCut,
		})
	})
}
