package runtime

import (
	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// Past is an event that the shard was given: when, which kind, and about which group. What was in it is not kept, since a member may send megabytes.
type Past struct {
	At           vtime.Instant
	Event, Group string
}

// pastMax is how many events are kept: enough to see a rebalance of a small group.
const pastMax = 32

// past is a ring of the last events. It cannot be replayed: what a shard holds in memory beside its log depends on every event since it was loaded.
type past struct {
	events [pastMax]Past
	next   int // where the next one goes
}

func (p *past) add(now vtime.Instant, ev coord.Event) {
	p.events[p.next] = Past{At: now, Event: ev.EventName(), Group: ev.EventGroup()}
	p.next = (p.next + 1) % pastMax
}

// Under is the event whose step has not ended: after a panic, what it was about, if it was in a step. Else it is nil.
func (r *Runtime) Under() coord.Event { return r.under }

// Recent are the last events of the shard since it was loaded, the oldest first.
func (r *Runtime) Recent() (out []Past) {
	for i := range pastMax {
		if e := r.past.events[(r.past.next+i)%pastMax]; e.Event != "" {
			out = append(out, e)
		}
	}
	return out
}
