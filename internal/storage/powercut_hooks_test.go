package storage

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
)

// What the power-cut suite, which otherwise lives outside, needs from inside.

// SealByHand keeps the sealer from running by itself: segments are sealed when the test says so, or at Close.
func (c *Config) SealByHand() { c.sealByHand = true }

// Seal seals what the log has rolled so far.
func (l *Log) Seal() error {
	if err := l.usable(); err != nil {
		return err
	}
	if err := l.seal(context.Background()); err != nil {
		return l.dir.fail(fmt.Sprintf("sealing a segment of %v", l.tp), err)
	}
	return nil
}

// CheckIndexes compares the index files of all sealed segments with their batches; after a clean start those of the last one too. Where
// the batches of aborted transactions are still all there, the transaction index must say the same as they do.
func (l *Log) CheckIndexes() error {
	v := l.view.Load()
	for _, s := range v.segments {
		if s == v.last() && l.recovered || s != v.last() && !s.sealed.Load() {
			continue
		}
		if s.size.Load() == 0 {
			continue // its index files are not read; they may be what a truncation left
		}
		if err := s.checkIndexes(); err != nil {
			return fmt.Errorf("segment %d: %w", s.base, err)
		}
	}
	return nil
}

func (s *segment) checkIndexes() error {
	l, fsys := s.log, s.log.store.fs
	f, err := s.file.pin()
	if err != nil {
		return err
	}
	defer s.file.unpin()
	x := newSegIndex(s.base)
	if err := s.extend(f, x, 0, s.size.Load()); err != nil {
		return err
	}
	x.finish()
	index, times := x.encode()
	for suffix, want := range map[string][]byte{indexSuffix: index, timeIndexSuffix: times} { // any order: one is enough
		got, err := readIndexFile(fsys, s.fileName(suffix), 1<<20)
		if err != nil {
			return err
		}
		if !bytes.Equal(got, want) {
			return fmt.Errorf("%s holds %x, its batches give %x", suffix, got, want)
		}
	}
	if l.config().CleanupPolicy&Compact != 0 {
		return nil
	}
	var p producers
	if err := l.replay(context.Background(), &p, l.view.Load(), l.snapshotOffsets(), s.base); err != nil {
		return err
	}
	rd := l.store.reader()
	defer l.store.readers.Put(rd)
	var want []AbortedTxn
	err = l.replaySegment(context.Background(), &p, s, s.base, x.nextOffset(), rd, 0, func(t AbortedTxn) { want = append(want, t) })
	if err != nil {
		return err
	}
	name := s.fileName(txnIndexSuffix)
	b, err := readIndexFile(fsys, name, 1<<20)
	if err != nil {
		return err
	}
	got, err := decodeTxnIndex(name, b, s.base)
	if err != nil {
		return err
	}
	slices.SortFunc(got, func(a, b AbortedTxn) int { return cmp.Compare(a.LastOffset, b.LastOffset) })
	if !slices.Equal(got, want) {
		return fmt.Errorf("%s knows the aborted transactions %v, its batches tell of %v", txnIndexSuffix, got, want)
	}
	return nil
}
