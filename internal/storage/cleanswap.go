package storage

import (
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"slices"
	"strings"
)

// How a compacted segment replaces those it was made from, so that a crash at any step leaves one consistent version:
//
//  1. All four files are written as .cleaned and synced. A .cleaned file found at open is removed: the old segments are whole.
//  2. They are renamed to .swap, the .log last, and the folder is synced. From here on the new version counts. If .cleaned files are found
//     beside, the renames did not all happen, and the old version counts.
//  3. The view changes; the old segments are renamed to .deleted.
//  4. The .swap files get their final names, the .log last, and the folder is synced: were they .swap again when the next compaction has a
//     .cleaned file, they would be taken for part of that one, and undone.
//
// Open goes on from 3 when it finds a .swap: removing what the new segment covers and renaming may both be done twice.

var companionSuffixes = []string{indexSuffix, timeIndexSuffix, txnIndexSuffix}

// swap puts a finished .cleaned segment in the place of the group it was made from. put is false when nothing was changed: the log was
// truncated or deleted meanwhile. A failure halfway takes the directory offline, and the next start settles it.
func (l *Log) swap(group []*segment, out *cleaned, aborts int64) (put bool, err error) {
	fsys := l.store.fs
	l.sealMu.Lock()
	defer l.sealMu.Unlock()
	if l.usable() != nil || l.cleaning.aborts.Load() != aborts {
		return false, errAborted
	}
	v := l.view.Load()
	at := slices.Index(v.segments, group[0])
	if at < 0 || at+len(group) >= len(v.segments) || !slices.Equal(v.segments[at:at+len(group)], group) {
		return false, errAborted // retention took some
	}
	fail := func(err error) (bool, error) {
		return true, l.dir.fail(fmt.Sprintf("swapping in a compacted segment of %v", l.tp), err)
	}
	name := func(suffix string) string { return path.Join(l.path, segmentName(out.base, suffix)) }
	for _, suffix := range companionSuffixes {
		if err := fsys.Rename(name(suffix+cleanedSuffix), name(suffix+swapSuffix)); err != nil {
			return fail(err)
		}
	}
	if err := fsys.Rename(name(logSuffix+cleanedSuffix), name(logSuffix+swapSuffix)); err != nil {
		return fail(err)
	}
	if err := fsys.SyncDir(l.path); err != nil {
		return fail(err)
	}
	s := l.segment(out.base, l.store.files.handle(name(logSuffix+swapSuffix)))
	s.createdMs = group[len(group)-1].createdMs
	s.size.Store(out.size)
	s.durable(out.size)
	s.idx.Store(out.idx)
	s.sealed.Store(true)
	l.mu.Lock()
	v = l.view.Load() // a roll may have added segments behind the group
	l.view.Store(&view{segments: slices.Concat(v.segments[:at:at], []*segment{s}, v.segments[at+len(group):])})
	l.mu.Unlock()
	for _, old := range group {
		if err := l.discardSegment(old); err != nil {
			return fail(err)
		}
	}
	// The old ones are gone for good before the new one bears its name: after a power cut both would be in the log.
	if err := fsys.SyncDir(l.path); err != nil {
		return fail(err)
	}
	for _, suffix := range companionSuffixes {
		if err := fsys.Rename(name(suffix+swapSuffix), name(suffix)); err != nil {
			return fail(err)
		}
	}
	if err := s.file.rename(name(logSuffix)); err != nil {
		return fail(err)
	}
	if err := fsys.SyncDir(l.path); err != nil {
		return fail(err)
	}
	l.store.indexes.add(s, out.idx) // not before: what is evicted must be found under its final name
	return true, nil
}

// finishSwap settles what a compaction left behind.
func (l *Log) finishSwap(cleaned, swaps []string) error {
	fsys := l.store.fs
	undo := int64(math.MaxInt64) // .cleaned at this base: swaps from there on are not complete
	for _, name := range cleaned {
		if off, _, ok := parseSegmentName(strings.TrimSuffix(name, cleanedSuffix)); ok {
			undo = min(undo, off)
		}
	}
	var logs []string
	undone := false
	for _, name := range swaps {
		off, suffix, ok := parseSegmentName(strings.TrimSuffix(name, swapSuffix))
		if !ok || off >= undo {
			l.logger().Info("undoing an unfinished compaction", "file", name)
			if err := fsys.Remove(path.Join(l.path, name)); err != nil {
				return err
			}
			undone = true
			continue
		}
		if suffix == logSuffix {
			logs = append(logs, name)
		}
	}
	if undone { // a .swap that came back without a .cleaned beside it would count
		if err := fsys.SyncDir(l.path); err != nil {
			return err
		}
	}
	for _, name := range cleaned {
		if err := fsys.Remove(path.Join(l.path, name)); err != nil {
			return err
		}
	}
	for _, name := range logs {
		off, _, _ := parseSegmentName(name)
		l.logger().Info("finishing a compaction", "file", name)
		if err := l.clearWay(off, name); err != nil {
			return err
		}
	}
	if err := fsys.SyncDir(l.path); err != nil { // the old segments are gone before the new ones bear their names
		return err
	}
	// Companions first, then the .log: as long as it is a .swap, all of this is done again.
	slices.SortStableFunc(swaps, func(a, b string) int {
		al, bl := strings.HasSuffix(a, logSuffix+swapSuffix), strings.HasSuffix(b, logSuffix+swapSuffix)
		switch {
		case al == bl:
			return 0
		case bl:
			return -1
		}
		return 1
	})
	for _, name := range swaps {
		if off, _, ok := parseSegmentName(strings.TrimSuffix(name, swapSuffix)); !ok || off >= undo {
			continue
		}
		if err := fsys.Rename(path.Join(l.path, name), path.Join(l.path, strings.TrimSuffix(name, swapSuffix))); err != nil {
			return err
		}
	}
	return fsys.SyncDir(l.path)
}

// clearWay removes the segments that the .swap at base covers, but for the files of the same base: those are replaced by the renames.
func (l *Log) clearWay(base int64, name string) error {
	fsys := l.store.fs
	next, err := l.nextOffset(name, base)
	if err != nil {
		return err
	}
	entries, err := fsys.ReadDir(l.path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		off, suffix, ok := parseSegmentName(e.Name())
		if !ok || off <= base || off >= next || (suffix != logSuffix && !slices.Contains(companionSuffixes, suffix)) {
			continue
		}
		if err := fsys.Remove(path.Join(l.path, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// nextOffset walks a segment file to the offset after its last batch.
func (l *Log) nextOffset(name string, base int64) (int64, error) {
	f, err := l.store.fs.OpenRead(path.Join(l.path, name))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return 0, err
	}
	w := newWalker(f, name, 0, size)
	defer w.close()
	next := base
	for {
		h, err := w.next()
		if err == io.EOF {
			return next, nil
		}
		var bad *CorruptError
		if errors.As(err, &bad) {
			return next, nil // what follows is cut by the recovery
		}
		if err != nil {
			return 0, err
		}
		next = h.LastOffset() + 1
	}
}
