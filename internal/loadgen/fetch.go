package loadgen

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"time"

	"github.com/barnabas-mq/barnabas/internal/batch"
)

// cursor is where a fetcher is in one partition.
type cursor struct {
	partition int32
	next      int64
	changed   bool // the broker's session does not know next yet
	done      bool
	forget    bool // done, and the session still names it
}

// fetcher is one connection that reads, with a fetch session as real clients use it (KIP-227).
type fetcher struct {
	s         *Settings
	w         worker
	nc        net.Conn
	cursors   []cursor
	index     map[int32]int
	open      int
	session   int32
	epoch     int32
	frame     []byte
	answered  bool
	idleSince time.Time
}

func newFetcher(ctx context.Context, s *Settings, w worker) (*fetcher, error) {
	f := &fetcher{s: s, w: w, index: map[int32]int{}}
	for i, p := range w.partitions {
		f.index[p] = i
		f.cursors = append(f.cursors, cursor{partition: p})
	}
	f.rewind()
	d := net.Dialer{Timeout: s.Timeout}
	var err error
	if f.nc, err = d.DialContext(ctx, "tcp", w.addr); err != nil {
		return nil, fmt.Errorf("connect to %s: %w", w.addr, err)
	}
	return f, nil
}

func (f *fetcher) close() { _ = f.nc.Close() } // nothing is left to lose

// rewind begins at the start of all partitions, with a new session.
func (f *fetcher) rewind() {
	f.open, f.session, f.epoch = 0, 0, 0
	for i := range f.cursors {
		c := &f.cursors[i]
		c.next = f.s.Start[c.partition]
		c.done = c.next >= f.s.End[c.partition]
		c.changed, c.forget = true, false
		if !c.done {
			f.open++
		}
	}
}

func (f *fetcher) run(ctx context.Context, g *gauge) error {
	unhook := context.AfterFunc(ctx, f.close)
	defer unhook()
	r := newPatientReader(f.nc)
	f.idleSince = time.Now()
	for correlation := int32(1); !g.halted(); correlation++ {
		if f.open == 0 {
			if !f.s.Repeat || f.empty() {
				return nil
			}
			f.rewind()
		}
		if err := f.nc.SetDeadline(time.Now().Add(f.s.Timeout + f.s.FetchWait)); err != nil {
			return fmt.Errorf("connection to %s: %w", f.w.addr, err)
		}
		f.request(correlation)
		if _, err := f.nc.Write(f.frame); err != nil {
			return fmt.Errorf("send to %s: %w", f.w.addr, err)
		}
		records, err := f.answer(r, g, correlation)
		if err != nil {
			return fmt.Errorf("answer of %s: %w", f.w.addr, err)
		}
		if records > 0 {
			f.idleSince = time.Now()
		} else if time.Since(f.idleSince) > f.s.Timeout {
			return fmt.Errorf("%s has sent no records for %v, although the ends are not reached", f.w.addr, f.s.Timeout)
		}
		if f.s.Records > 0 && g.records.Load() >= f.s.Records {
			g.halt()
		}
	}
	return nil
}

func (f *fetcher) empty() bool {
	for _, c := range f.cursors {
		if f.s.Start[c.partition] < f.s.End[c.partition] {
			return false
		}
	}
	return true
}

// request builds a Fetch, version 11: all partitions at first, then what changed.
func (f *fetcher) request(correlation int32) {
	b := append(f.frame[:0], 0, 0, 0, 0)
	b = appendHeader(b, 1, 11, correlation)
	b = binary.BigEndian.AppendUint32(b, 0xffffffff) // a consumer
	b = binary.BigEndian.AppendUint32(b, uint32(f.s.FetchWait.Milliseconds()))
	b = binary.BigEndian.AppendUint32(b, 1)
	b = binary.BigEndian.AppendUint32(b, uint32(f.s.FetchBytes))
	b = append(b, 0) // read uncommitted
	b = binary.BigEndian.AppendUint32(b, uint32(f.session))
	b = binary.BigEndian.AppendUint32(b, uint32(f.epoch))
	full := f.epoch == 0
	var named, forgotten uint32
	for i := range f.cursors {
		c := &f.cursors[i]
		if !c.done && (full || c.changed) {
			named++
		}
		if c.forget && !full {
			forgotten++
		}
	}
	list := func(n uint32) {
		if n == 0 {
			b = binary.BigEndian.AppendUint32(b, 0)
			return
		}
		b = binary.BigEndian.AppendUint32(b, 1)
		b = appendString(b, f.s.Topic)
		b = binary.BigEndian.AppendUint32(b, n)
	}
	list(named)
	for i := range f.cursors {
		c := &f.cursors[i]
		if c.done || !(full || c.changed) {
			continue
		}
		c.changed = false
		b = binary.BigEndian.AppendUint32(b, uint32(c.partition))
		b = binary.BigEndian.AppendUint32(b, 0xffffffff) // any leader epoch
		b = binary.BigEndian.AppendUint64(b, uint64(c.next))
		b = binary.BigEndian.AppendUint64(b, 0xffffffffffffffff) // no log start: not a follower
		b = binary.BigEndian.AppendUint32(b, uint32(f.s.PartitionFetchBytes))
	}
	list(forgotten)
	for i := range f.cursors {
		c := &f.cursors[i]
		if c.forget && !full {
			b = binary.BigEndian.AppendUint32(b, uint32(c.partition))
		}
		c.forget = false
	}
	b = appendString(b, "") // no rack
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	f.frame = b
}

// Codes after which a session begins anew.
const (
	sessionNotFound     = 70
	invalidSessionEpoch = 71
)

// answer reads a Fetch response, version 11, and moves the cursors. It returns how many records came.
func (f *fetcher) answer(r *frameReader, g *gauge, want int32) (int64, error) {
	if err := r.next(); err != nil {
		return 0, err
	}
	if got := r.int32(); got != want && r.err == nil {
		return 0, fmt.Errorf("correlation id %d where %d was due", got, want)
	}
	r.skip(4)
	code, session := r.int16(), r.int32()
	var refusal error
	var records int64
	for range r.count() {
		r.skipString()
		for range r.count() {
			partition, pcode := r.int32(), r.int16()
			r.skip(24) // high watermark, last stable offset, log start
			for range r.count() {
				r.skip(16)
			}
			r.skip(4)
			size := int(max(0, r.int32()))
			if pcode != 0 && refusal == nil {
				refusal = &AnswerError{Partition: partition, Code: pcode}
			}
			at, known := f.index[partition]
			if !known {
				r.skip(size)
				continue
			}
			records += f.batches(r, &f.cursors[at], size)
		}
	}
	if err := r.finish(); err != nil {
		return 0, err
	}
	switch {
	case code == sessionNotFound || code == invalidSessionEpoch:
		f.session, f.epoch = 0, 0
	case code != 0:
		return 0, &AnswerError{Partition: -1, Code: code}
	case session == 0: // the broker keeps no sessions
		f.session, f.epoch = 0, 0
	default:
		f.session = session
		f.epoch++
	}
	if records > 0 && !f.answered {
		f.answered = true
		g.first.CompareAndSwap(0, int64(time.Since(g.began)))
	}
	g.got(records, records*int64(f.s.RecordBytes))
	return records, refusal
}

// batches walks over the record bytes of one partition by their headers; the last batch may be cut off.
func (f *fetcher) batches(r *frameReader, c *cursor, size int) (records int64) {
	for size >= batch.HeaderSize {
		head := r.peek(batch.HeaderSize)
		if head == nil {
			break
		}
		b := batch.Batch(head)
		total, err := batch.PeekLength(head)
		if err != nil {
			r.err = err
			return records
		}
		if total > size {
			break // cut off
		}
		if b.LastOffset() >= c.next {
			if !c.done {
				if !b.Control() {
					records += int64(b.RecordCount())
				}
				c.next, c.changed = b.LastOffset()+1, true
			}
		}
		r.skip(total)
		size -= total
	}
	r.skip(size)
	if !c.done && c.next >= f.s.End[c.partition] {
		c.done, c.forget = true, true
		f.open--
	}
	return records
}
