package runtime

import (
	"container/heap"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// timers is the armed timers of one shard, one per key: a heap by when they fire, and of equals by when they were armed.
type timers struct {
	heap  timerHeap
	byKey map[coord.TimerKey]*timer
	armed uint64 // counts armings
}

type timer struct {
	key   coord.TimerKey
	at    vtime.Instant
	order uint64
	index int // in the heap
}

func (t *timers) do(op coord.TimerOp) {
	have := t.byKey[op.Key]
	switch {
	case op.Cancel && have == nil:
	case op.Cancel:
		t.drop(have)
	case have != nil:
		t.armed++
		have.at, have.order = op.At, t.armed
		heap.Fix(&t.heap, have.index)
	default:
		if t.byKey == nil {
			t.byKey = map[coord.TimerKey]*timer{}
		}
		t.armed++
		n := &timer{key: op.Key, at: op.At, order: t.armed}
		t.byKey[op.Key] = n
		heap.Push(&t.heap, n)
	}
}

// due takes the next timer that has come, unless it was armed after the arming numbered last.
func (t *timers) due(now vtime.Instant, last uint64) (key coord.TimerKey, ok bool) {
	if len(t.heap) == 0 || now.Before(t.heap[0].at) || t.heap[0].order > last {
		return coord.TimerKey{}, false
	}
	first := t.heap[0]
	t.drop(first)
	return first.key, true
}

func (t *timers) drop(x *timer) {
	heap.Remove(&t.heap, x.index)
	delete(t.byKey, x.key)
}

func (t *timers) next() (vtime.Instant, bool) {
	if len(t.heap) == 0 {
		return 0, false
	}
	return t.heap[0].at, true
}

type timerHeap []*timer

func (h timerHeap) Len() int { return len(h) }
func (h timerHeap) Less(i, j int) bool {
	if h[i].at != h[j].at {
		return h[i].at.Before(h[j].at)
	}
	return h[i].order < h[j].order
}
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timerHeap) Push(x any) {
	t := x.(*timer)
	t.index = len(*h)
	*h = append(*h, t)
}

func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return t
}
