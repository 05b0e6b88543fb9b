package storage

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
)

// The transaction index of a segment lists the aborted transactions whose marker lies in it. Most segments have none, and no file.

const txnEntrySize = 34

func encodeTxnIndex(entries []AbortedTxn) []byte {
	b := make([]byte, 0, len(entries)*txnEntrySize)
	for i := range entries {
		t := &entries[i]
		b = binary.BigEndian.AppendUint16(b, 0)
		b = binary.BigEndian.AppendUint64(b, uint64(t.ProducerID))
		b = binary.BigEndian.AppendUint64(b, uint64(t.FirstOffset))
		b = binary.BigEndian.AppendUint64(b, uint64(t.LastOffset))
		b = binary.BigEndian.AppendUint64(b, uint64(t.LastStableOffset))
	}
	return b
}

// decodeTxnIndex reads a .txnindex file: markers at rising offsets, at least base.
func decodeTxnIndex(file string, b []byte, base int64) ([]AbortedTxn, error) {
	if len(b)%txnEntrySize != 0 {
		return nil, &FormatError{File: file, Reason: fmt.Sprintf("%d bytes are no whole number of %d-byte entries", len(b), txnEntrySize)}
	}
	entries := make([]AbortedTxn, 0, len(b)/txnEntrySize)
	for at := 0; at < len(b); at += txnEntrySize {
		e := b[at:]
		u64 := func(i int) int64 { return int64(binary.BigEndian.Uint64(e[i:])) }
		t := AbortedTxn{ProducerID: u64(2), FirstOffset: u64(10), LastOffset: u64(18), LastStableOffset: u64(26)}
		ok := binary.BigEndian.Uint16(e) == 0 && t.ProducerID >= 0 && t.FirstOffset >= 0 && t.FirstOffset <= t.LastOffset && t.LastOffset >= base
		if n := len(entries); ok && n > 0 {
			ok = t.LastOffset > entries[n-1].LastOffset
		}
		if !ok {
			return nil, &CorruptError{Segment: file, Position: int64(at), Reason: "the entry cannot be true"}
		}
		entries = append(entries, t)
	}
	return entries, nil
}

func (x *segIndex) addAborted(t AbortedTxn) {
	x.mu.Lock()
	x.aborted = append(x.aborted, t)
	x.dirty = true
	x.mu.Unlock()
}

func (x *segIndex) abortedTxns() []AbortedTxn {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clip(x.aborted)
}

// AbortedTxns lists, by rising first offset, the aborted transactions that a read_committed reader of [from, upper) must know: those that
// wrote in that range.
func (l *Log) AbortedTxns(from, upper int64) ([]AbortedTxn, error) {
	for {
		if err := l.usable(); err != nil {
			return nil, err
		}
		v := l.view.Load()
		out, err := v.aborted(from, upper)
		// A segment that left the view may have lost its files while we looked, and with them what it knew.
		if l.view.Load() == v {
			return out, err
		}
	}
}

func (v *view) aborted(from, upper int64) (out []AbortedTxn, err error) {
scan:
	for _, s := range v.segments[v.floor(from):] {
		x, err := s.index()
		if err != nil {
			return nil, fmt.Errorf("read the transactions of %s: %w", s.file.path(), err)
		}
		for _, t := range x.abortedTxns() {
			if t.LastOffset >= from && t.FirstOffset < upper {
				out = append(out, t)
			}
			if t.LastStableOffset >= upper {
				break scan // transactions that end later began at or beyond upper
			}
		}
	}
	slices.SortFunc(out, func(a, b AbortedTxn) int { return cmp.Compare(a.FirstOffset, b.FirstOffset) })
	return out, nil
}
