package server

import (
	"context"
	"math/bits"
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
		c = max(c, int64(roomFor(n))) // the buffer that holds it
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

// bodies recycles request buffers by size class, four to a doubling, so that steady traffic makes no garbage and a buffer is at most a
// quarter larger than what it holds. A pool keeps what was put back for a while, on each processor and beyond every budget; buffers
// above pooledMax are therefore made for one request and left to the collector.
type bodies struct {
	classes [4 * 20]sync.Pool // of *[]byte
	headers sync.Pool         // of *[]byte that hold nothing: a pool takes pointers, and a new one each time would be an allocation
}

var bodyPool bodies

const (
	minBodyShift = 12 // 4 KiB
	pooledMax    = 2 << 20
)

// classOf is the class of buffers that hold n bytes, and their size. n is at most pooledMax.
func classOf(n int) (class, size int) {
	shift := max(bits.Len(uint(max(n, 1)-1))-1, minBodyShift)
	base := 1 << shift
	quarters := max(0, (n-base+base/4-1)/(base/4))
	return 4*(shift-minBodyShift) + quarters, base + quarters*(base/4)
}

// roomFor is the size of the buffer that n bytes are read into.
func roomFor(n int) int {
	if n > pooledMax {
		return n
	}
	_, size := classOf(n)
	return size
}

func (p *bodies) get(n int) []byte {
	if n > pooledMax {
		return make([]byte, 0, n)
	}
	class, size := classOf(n)
	if v := p.classes[class].Get(); v != nil {
		h := v.(*[]byte)
		b := *h
		*h = nil
		p.headers.Put(h)
		return b[:0]
	}
	return make([]byte, 0, size)
}

func (p *bodies) put(b []byte) {
	if cap(b) == 0 || cap(b) > pooledMax {
		return
	}
	class, size := classOf(cap(b))
	if size != cap(b) {
		return
	}
	h, ok := p.headers.Get().(*[]byte)
	if !ok {
		h = new([]byte)
	}
	*h = b[:0]
	p.classes[class].Put(h)
}

// deadlineIn is now + d, or no deadline when d is not positive.
func deadlineIn(d time.Duration) time.Time {
	if d <= 0 {
		return time.Time{}
	}
	return time.Now().Add(d)
}
