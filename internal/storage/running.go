package storage

import (
	"sync"
	"time"
)

// Running are the settings that may change while the store is open. Config has what they mean; at Open they are Config's.
type Running struct {
	CleanerThreads          int
	CleanerDedupeBytes      int64 // of one thread
	CleanerBackoff          time.Duration
	CleanerIOBytesPerSecond int64 // of a compaction that begins from now on
	ProducerExpiration      time.Duration
}

// cleaners are the threads that compact. Thread n lives as long as there are to be more than n.
type cleaners struct {
	mu      sync.Mutex
	alive   map[int]bool
	changed chan struct{} // closed by the next change: it ends pauses
}

// Reconfigure puts r in the place of what ran so far. A compaction under way ends as it began.
func (s *Store) Reconfigure(r Running) {
	r.CleanerThreads = max(r.CleanerThreads, 1)
	r.CleanerBackoff = max(r.CleanerBackoff, time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || *s.running.Load() == r {
		return
	}
	s.running.Store(&r)
	s.startCleaners()
}

// startCleaners starts the threads that are missing and tells the others that something changed. s.mu is held, or Open is under way: Close does
// not wait for the threads before it knows of all.
func (s *Store) startCleaners() {
	if s.cfg.CleanerDisable {
		return
	}
	c := &s.cleaners
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.changed)
	c.changed = make(chan struct{})
	for n := range s.running.Load().CleanerThreads {
		if !c.alive[n] {
			c.alive[n] = true
			s.wg.Go(func() { s.runCleaner(n) })
		}
	}
}

// wanted tells whether thread n goes on, what it works with, and what tells it of a change.
func (s *Store) wanted(n int) (r *Running, changed <-chan struct{}, on bool) {
	c := &s.cleaners
	c.mu.Lock()
	defer c.mu.Unlock()
	r = s.running.Load()
	if n >= r.CleanerThreads {
		delete(c.alive, n)
		return nil, nil, false
	}
	return r, c.changed, true
}
