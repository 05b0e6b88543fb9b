package driver

import (
	"sync"
	"sync/atomic"

	"github.com/barnabas-mq/barnabas/internal/coord"
)

// Call is one request on its way through the coordinator: NewCall, Submit, then either receive from Done, take the Body and Release, or
// Abandon. One goroutine asks; whoever answers may be another, and is done with the call only when Done has received.
type Call struct {
	// ID goes into the event's Reply field.
	ID coord.ReplyID

	done     chan struct{} // one slot
	answered atomic.Bool
	body     any
	pool     *sync.Pool
}

// NewCall is a call for Submit, with an id that was never used before.
func (c *Coordinator) NewCall() *Call {
	call, _ := c.calls.Get().(*Call)
	if call == nil {
		call = &Call{done: make(chan struct{}, 1), pool: &c.calls}
	}
	call.ID = coord.ReplyID(c.lastID.Add(1))
	return call
}

// answer is called once.
func (c *Call) answer(body any) {
	c.body = body
	c.answered.Store(true)
	c.done <- struct{}{}
}

// Answered reports whether the answer is there, so that Done receives at once. Most requests have theirs when Submit returns.
func (c *Call) Answered() bool { return c.answered.Load() }

// Done receives once, when the answer is there.
func (c *Call) Done() <-chan struct{} { return c.done }

// Body is the answer: what the package of the event says, or a coord.Refused. It may be looked at once Done has received.
func (c *Call) Body() any { return c.body }

// Release gives a call back whose Done has received; it must not be used after.
func (c *Call) Release() {
	c.ID, c.body = 0, nil
	c.answered.Store(false)
	c.pool.Put(c)
}

// Abandon gives up waiting. The answer, when it comes, goes nowhere.
func (c *Call) Abandon() {}
