package storage

import (
	"sync"
	"time"
)

// Running are the settings that may change while the store is open. Any values will do: sane says what becomes of those that make no sense.
type Running struct {
	// CleanerThreads is log.cleaner.threads: how many logs are compacted at a time.
	CleanerThreads int
	// CleanerDedupeBytes is log.cleaner.dedupe.buffer.size: the bound of the key maps of all threads together. A map is as large as the dirty part needs,
	// up to its share.
	CleanerDedupeBytes int64
	// CleanerBackoff is log.cleaner.backoff.ms: the pause when nothing is to clean.
	CleanerBackoff time.Duration
	// CleanerIOBytesPerSecond is log.cleaner.io.max.bytes.per.second, read and written together, of a compaction that begins from now on. 0 or less: no limit.
	CleanerIOBytesPerSecond int64
	// ProducerExpiration is producer.id.expiration.ms.
	ProducerExpiration time.Duration
}

// DefaultRunning is Kafka's defaults.
func DefaultRunning() Running {
	return Running{CleanerThreads: 1, CleanerDedupeBytes: 128 << 20, CleanerBackoff: 15 * time.Second, ProducerExpiration: 24 * time.Hour}
}

// Bounds of Running, the only place for them.
const (
	cleanerBackoffMin = time.Millisecond // a cleaner that never rests
	cleanerMapMin     = 1 << 10          // a map that holds a few keys
	cleanerShareMin   = 1 << 20          // of each thread, when there are several; Kafka refuses to start with less
	producerMin       = time.Millisecond
)

// sane is r within its bounds.
func (r Running) sane() *Running {
	r.CleanerDedupeBytes = max(r.CleanerDedupeBytes, cleanerMapMin)
	r.CleanerBackoff = max(r.CleanerBackoff, cleanerBackoffMin)
	r.CleanerIOBytesPerSecond = max(r.CleanerIOBytesPerSecond, 0)
	r.ProducerExpiration = max(r.ProducerExpiration, producerMin)
	r.CleanerThreads = int(min(int64(max(r.CleanerThreads, 1)), max(r.CleanerDedupeBytes/cleanerShareMin, 1)))
	return &r
}

// keyBytes bounds the key map of one thread.
func (r *Running) keyBytes() int64 { return r.CleanerDedupeBytes / int64(r.CleanerThreads) }

// cleaners are the threads that compact. Thread n lives as long as there are to be more than n.
type cleaners struct {
	mu      sync.Mutex
	alive   map[int]bool
	changed chan struct{} // closed by the next change: it ends pauses
}

// Reconfigure puts r in the place of what ran so far. A compaction under way ends as it began.
func (s *Store) Reconfigure(r Running) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || *s.running.Load() == *r.sane() {
		return
	}
	s.setRunning(r)
	s.startCleaners()
}

// setRunning puts r into force within its bounds.
func (s *Store) setRunning(r Running) {
	set := r.sane()
	if set.CleanerThreads < r.CleanerThreads {
		s.log.Warn("fewer logs are compacted at a time than log.cleaner.threads says, since each needs 1 MiB of log.cleaner.dedupe.buffer.size",
			"log.cleaner.threads", r.CleanerThreads, "log.cleaner.dedupe.buffer.size", r.CleanerDedupeBytes, "threads", set.CleanerThreads)
	}
	s.running.Store(set)
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
