package storage

import (
	"slices"
	"sync"
	"sync/atomic"
)

// epochCache is the leader-epoch history of a log (reference 3.7): which epoch began at which offset, both rising strictly. The list is
// replaced, never changed, so readers need no lock; whoever replaces it has written the checkpoint first.
type epochCache struct {
	mu      sync.Mutex // one writer at a time; held while the checkpoint is written
	entries atomic.Pointer[[]EpochEntry]
}

func (c *epochCache) load() []EpochEntry {
	if p := c.entries.Load(); p != nil {
		return *p
	}
	return nil
}

func (c *epochCache) store(entries []EpochEntry) { c.entries.Store(&entries) }

// latest is the newest epoch, -1 when there is none.
func (c *epochCache) latest() int32 {
	if e := c.load(); len(e) > 0 {
		return e[len(e)-1].Epoch
	}
	return -1
}

// epochsAssign adds the epoch. An epoch that is known already changes nothing. Entries that began at or after start in an older epoch hold
// no records and go: a leader that wrote nothing leaves no trace, and starts keep rising.
func epochsAssign(entries []EpochEntry, epoch int32, start int64) (next []EpochEntry, changed bool) {
	if n := len(entries); n > 0 && entries[n-1].Epoch >= epoch {
		return entries, false
	}
	next = slices.Clone(entries)
	for n := len(next); n > 0 && next[n-1].Start >= start; n = len(next) {
		next = next[:n-1]
	}
	return append(next, EpochEntry{Epoch: epoch, Start: start}), true
}

// epochsTruncateEnd forgets epochs that began at or beyond end.
func epochsTruncateEnd(entries []EpochEntry, end int64) (next []EpochEntry, changed bool) {
	n := len(entries)
	for n > 0 && entries[n-1].Start >= end {
		n--
	}
	if n == len(entries) {
		return entries, false
	}
	return slices.Clone(entries[:n]), true
}

// epochsTruncateStart forgets epochs that ended at or before start; the first one kept begins at start.
func epochsTruncateStart(entries []EpochEntry, start int64) (next []EpochEntry, changed bool) {
	i := 0
	for i+1 < len(entries) && entries[i+1].Start <= start {
		i++
	}
	if len(entries) == 0 || (i == 0 && entries[0].Start >= start) {
		return entries, false
	}
	next = slices.Clone(entries[i:])
	next[0].Start = max(next[0].Start, start)
	return next, true
}

// endOffsetFor answers OffsetForLeaderEpoch: the largest known epoch not above the asked one and the offset where it ended. (-1, -1) when
// the epoch is not known here. logEnd is where the latest epoch ends so far.
func endOffsetFor(entries []EpochEntry, epoch int32, logEnd int64) (int32, int64) {
	n := len(entries)
	switch {
	case epoch < 0 || n == 0:
		return -1, -1
	case epoch == entries[n-1].Epoch:
		return epoch, logEnd
	case epoch > entries[n-1].Epoch:
		return -1, -1
	case epoch < entries[0].Epoch:
		return epoch, entries[0].Start
	}
	i := n - 1
	for entries[i].Epoch > epoch {
		i--
	}
	return entries[i].Epoch, entries[i+1].Start
}

// epochAt is the epoch that offset was written in, -1 when unknown.
func epochAt(entries []EpochEntry, offset int64) int32 {
	for i := len(entries) - 1; i >= 0; i-- {
		if entries[i].Start <= offset {
			return entries[i].Epoch
		}
	}
	return -1
}

// EpochAt is the leader epoch that offset was written in, -1 when unknown.
func (l *Log) EpochAt(offset int64) int32 { return epochAt(l.epochs.load(), offset) }
