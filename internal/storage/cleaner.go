package storage

import "sync/atomic"

// cleanState is what the cleaner knows of one log.
type cleanState struct {
	first   atomic.Int64 // first dirty offset + 1, 0 = not known
	aborted atomic.Int64 // counts what a compaction under way must not survive
}

func (c *cleanState) checkpoint() (int64, bool) {
	v := c.first.Load()
	return v - 1, v > 0
}

func (c *cleanState) restore(first int64) { c.first.Store(first + 1) }

// abort makes a compaction under way give up before it swaps anything in.
func (c *cleanState) abort() { c.aborted.Add(1) }
