package sim

import (
	"time"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// retransmit is how long TCP waits before it sends a lost segment again; twice as long each further time.
const retransmit = 200 * time.Millisecond

// link is the connection of one member to the coordinator.
type link struct {
	rng      random
	up, down vtime.Instant // the last arrival in each direction: messages do not overtake
	all      cut
	beats    cut // of heartbeats alone: the rest neither waits nor queues up behind them
}

// cut is a time in which messages do not pass: until then they are held, or lost.
type cut struct {
	until vtime.Instant
	drop  bool
}

// cut begins another one. One that lasts longer goes on, as it is.
func (l *link) cut(c cut, only api) {
	which := &l.all
	if only == apiHeartbeat {
		which = &l.beats
	}
	if which.until <= c.until {
		*which = c
	}
}

// cutFor is until when requests of a kind, or their answers, are held or lost; in the past for those that pass.
func (l *link) cutFor(a api) cut {
	if a == apiHeartbeat && l.all.until < l.beats.until {
		return l.beats
	}
	return l.all
}

// api names what a request is, for counting.
type api int

const (
	apiJoin api = iota
	apiSync
	apiHeartbeat
	apiCommit
	apiFetch
	apiLeave
	apiCount
)

var apiNames = [apiCount]string{"JoinGroup", "SyncGroup", "Heartbeat", "OffsetCommit", "OffsetFetch", "LeaveGroup"}

// lost is the answer of a connection that broke, or of nobody.
type lost struct{}

// call is one request on its way and back.
type call struct {
	m    *member
	life uint32
	api  api
	make func(coord.ReplyID) coord.Event
	done func(body any)
	ev   coord.Event // once it has arrived
}

// travel is when a message that is sent now arrives, in one direction.
func (w *world) travel(m *member, a api, last *vtime.Instant) vtime.Instant {
	l := &m.link
	held := l.cutFor(a)
	at := max(w.now, held.until)
	at = at.Add(time.Duration(w.sc.Network.Latency) + l.rng.within(time.Duration(w.sc.Network.Jitter)))
	sent := at
	for again := retransmit; l.rng.chance(int64(w.sc.Network.Loss)); again *= 2 {
		at = at.Add(again)
		if again > time.Minute {
			break
		}
	}
	if at.Since(sent) > time.Duration(m.cfg.SessionTimeout)/2 { // lost so often that it may cost the membership: as good as a cut
		w.happened(at.Since(w.now))
	}
	if w.now.Before(held.until) && l.all.until < held.until {
		return at // it has not left yet: nothing waits behind it
	}
	at = max(at, *last)
	*last = at
	return at
}

// ask sends a request to the coordinator. done hears the answer, or lost; not at all if the member dies first.
func (m *member) ask(a api, timeout time.Duration, build func(coord.ReplyID) coord.Event, done func(body any)) {
	w := m.w
	w.coord.messages[a]++
	w.coord.bytes += wireSize(m.name, build(0))
	c := &call{m: m, life: m.life, api: a, make: build, done: done}
	if cut := m.link.cutFor(a); w.now.Before(cut.until) && (cut.drop || cut.until.Since(w.now) > timeout) {
		w.push(event{at: w.now.Add(timeout), m: m, run: func() { c.answer(lost{}) }})
		return
	}
	e := event{at: w.travel(m, a, &m.link.up), run: func() { w.coord.receive(c) }}
	if a == apiHeartbeat || a == apiCommit {
		w.pushDull(e)
	} else {
		w.push(e)
	}
}

// tell is the way back.
func (w *world) tell(c *call, body any) {
	m := c.m
	if cut := m.link.cutFor(c.api); m.life != c.life || w.now.Before(cut.until) && cut.drop {
		if m.life == c.life {
			w.push(event{at: cut.until, m: m, run: func() { c.answer(lost{}) }})
		}
		return
	}
	e := event{at: w.travel(m, c.api, &m.link.down), m: m, run: func() { c.answer(body) }}
	if c.api == apiHeartbeat || c.api == apiCommit {
		w.pushDull(e)
	} else {
		w.push(e)
	}
}

func (c *call) answer(body any) {
	m := c.m
	if m.life != c.life {
		return
	}
	if m.cfg.Client == pollHeartbeat && m.batch != nil {
		m.mail = append(m.mail, func() { c.done(body) }) // nobody looks at the socket while the application works
		return
	}
	c.done(body)
}
