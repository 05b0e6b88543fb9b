package sim

import "github.com/barnabas-mq/barnabas/internal/vtime"

// what is the kind of an event that a member has a timer for; anything else is a function.
type what uint8

const (
	aFunction  what = iota
	beat            // the heartbeat thread's next round
	batchDone       // the application has finished what poll gave it
	wake            // the application looks for records again
	autoCommit      // the auto-commit interval has passed
	pollLimit       // max.poll.interval.ms may have passed
	again           // a request is tried again after its backoff
	refresh         // metadata is looked at again
	recordDone      // one record of a batch is finished and committed
	whatCount
)

// event is something that will happen. A member's timer is stale, and passed over, when its token is no longer the timer's.
type event struct {
	at    vtime.Instant
	seq   uint64
	m     *member
	what  what
	token uint32
	run   func()
}

func (e *event) before(o *event) bool { return e.at < o.at || e.at == o.at && e.seq < o.seq }

// queue is what will happen, earliest first, and of equals the one that was queued first: a binary heap.
type queue struct {
	heap []event
}

// leads reports whether the first event of q comes before that of o.
func (q *queue) leads(o *queue) bool {
	return len(q.heap) > 0 && (len(o.heap) == 0 || q.heap[0].before(&o.heap[0]))
}

func (q *queue) push(e event) {
	q.heap = append(q.heap, e)
	i := len(q.heap) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !e.before(&q.heap[up]) {
			break
		}
		q.heap[i] = q.heap[up]
		i = up
	}
	q.heap[i] = e
}

// next is when the earliest event happens; not ok when there is none.
func (q *queue) next() (at vtime.Instant, ok bool) {
	if len(q.heap) == 0 {
		return 0, false
	}
	return q.heap[0].at, true
}

func (q *queue) pop() event {
	top := q.heap[0]
	n := len(q.heap) - 1
	e := q.heap[n]
	q.heap[n] = event{}
	q.heap = q.heap[:n]
	if n == 0 {
		return top
	}
	i := 0
	for {
		down := 2*i + 1
		if down >= n {
			break
		}
		if right := down + 1; right < n && q.heap[right].before(&q.heap[down]) {
			down = right
		}
		if !q.heap[down].before(&e) {
			break
		}
		q.heap[i] = q.heap[down]
		i = down
	}
	q.heap[i] = e
	return top
}
