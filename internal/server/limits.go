package server

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// budget bounds the memory of requests that are being read and handled. Small requests pass free: their number is bounded by the
// number of connections.
type budget struct {
	limit int64
	used  atomic.Int64
	sem   *semaphore.Weighted
}

const (
	// freeBytes of each request are not counted.
	freeBytes = 64 << 10
	// expansion is how many bytes one byte of a request may cost, for every API but Produce, which has a decoder of its own that
	// allocates for what is there. A body that would cost more is refused by wire.CheckBody.
	expansion = 64
)

func newBudget(limit int64) *budget { return &budget{limit: limit, sem: semaphore.NewWeighted(limit)} }

// cost is what a request of n bytes counts.
func (b *budget) cost(n int, produce bool) int64 {
	c := int64(n)
	if !produce {
		c *= expansion
	}
	if n > freeBytes {
		c = max(c, 1<<classOf(n)) // the buffer that holds it
	}
	if c <= freeBytes {
		return 0
	}
	return min(c, b.limit)
}

// take waits for n bytes until ctx ends; give returns them.
func (b *budget) take(ctx context.Context, n int64) error {
	if n == 0 {
		return nil
	}
	if !b.sem.TryAcquire(n) {
		if err := b.sem.Acquire(ctx, n); err != nil {
			return err
		}
	}
	b.used.Add(n)
	return nil
}

// try takes n bytes if they are there.
func (b *budget) try(n int64) bool {
	if n > 0 && !b.sem.TryAcquire(n) {
		return false
	}
	b.used.Add(max(n, 0))
	return true
}

func (b *budget) give(n int64) {
	if n > 0 {
		b.used.Add(-n)
		b.sem.Release(n)
	}
}

// bodies recycles request buffers by power-of-two class, so that steady traffic of large requests makes no garbage.
type bodies struct{ classes [32]sync.Pool }

var bodyPool bodies

const minBodyClass = 12 // 4 KiB

func classOf(n int) int {
	c := minBodyClass
	for 1<<c < n {
		c++
	}
	return c
}

func (p *bodies) get(n int) []byte {
	c := classOf(n)
	if v := p.classes[c].Get(); v != nil {
		return (*v.(*[]byte))[:0]
	}
	return make([]byte, 0, 1<<c)
}

func (p *bodies) put(b []byte) {
	if cap(b) == 0 {
		return
	}
	c := classOf(cap(b))
	if 1<<c != cap(b) {
		return
	}
	b = b[:0]
	p.classes[c].Put(&b)
}

// deadlineIn is now + d, or no deadline when d is not positive.
func deadlineIn(d time.Duration) time.Time {
	if d <= 0 {
		return time.Time{}
	}
	return time.Now().Add(d)
}
