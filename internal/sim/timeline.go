package sim

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// hook is an event of the timeline that waits for something a member does.
type hook struct {
	who, what string
	from      vtime.Instant
	run       func()
}

// timeline queues what shall happen; called at time zero.
func (w *world) timeline() {
	for i := range w.sc.Events {
		e := &w.sc.Events[i]
		rng := newRandom(w.opt.Seed, fmt.Sprintf("event %d", i+1))
		w.pending++
		run := func() {
			w.pending--
			w.happened(time.Duration(0))
			w.do(e, &rng)
		}
		if e.When == "" {
			w.after(time.Duration(e.At), run)
			continue
		}
		who, what, _ := strings.Cut(e.When, " ")
		w.hooks = append(w.hooks, hook{who: who, what: what, from: w.zero.Add(time.Duration(e.At)), run: run})
	}
}

// happens is a member doing what an event of the timeline may wait for; the event takes place at once. It reports whether the member is still
// in the same life.
func (w *world) happens(m *member, what string) bool {
	life := m.life
	for i, h := range w.hooks {
		if h.what == what && h.from <= w.now && m.called(h.who) {
			w.hooks = append(w.hooks[:i:i], w.hooks[i+1:]...)
			h.run()
			break
		}
	}
	return m.life == life
}

// happened notes that the timeline disturbs the group, for so long.
func (w *world) happened(d time.Duration) { w.quiet = max(w.quiet, w.now.Add(d)) }

// called reports whether a name means this member: its own, its process's or its fleet's.
func (m *member) called(name string) bool {
	return name == m.name || name == m.process || name == m.cfg.Name || name == everybody
}

// processes are the members an event means, by process: of everybody those that are up, or those that it can start.
func (w *world) processes(e *Event) (out [][]*member) {
	last := ""
	for _, m := range w.members {
		if !m.called(e.Member) || e.Member == everybody && m.up == (e.Do == "start") {
			continue
		}
		if m.process != last || len(out) == 0 {
			out = append(out, nil)
			last = m.process
		}
		out[len(out)-1] = append(out[len(out)-1], m)
	}
	return out
}

// do makes an event happen; rng is its own.
func (w *world) do(e *Event, rng *random) {
	who := w.processes(e)
	all := func(do func(m *member)) {
		for _, process := range who {
			for _, m := range process {
				do(m)
				m.weigh()
			}
		}
	}
	switch e.Do {
	case "start":
		w.oneByOne(who, e, rng, func(process []*member, next func()) {
			for _, m := range process {
				m.start()
			}
			next()
		})
	case "close":
		all(func(m *member) { m.close(nil) })
	case "crash":
		all((*member).die)
	case "restart":
		for _, process := range who {
			w.restart(process, e, func() {})
		}
	case "rolling":
		w.oneByOne(who, e, rng, func(process []*member, next func()) { w.restart(process, e, next) })
	case "pause":
		w.happened(time.Duration(e.For))
		all(func(m *member) { m.freeze(time.Duration(e.For)) })
	case "cut":
		w.happened(time.Duration(e.For))
		only := apiCount
		if e.Asks == "heartbeats" {
			only = apiHeartbeat
		}
		all(func(m *member) {
			m.link.cut(cut{w.now.Add(time.Duration(e.For)), e.Mode == "drop"}, only)
			if e.Path == "all" {
				m.starve(time.Duration(e.For))
			}
		})
	case "slow":
		w.happened(time.Duration(e.For))
		all(func(m *member) {
			m.progress()
			if until := w.now.Add(time.Duration(e.For)); m.slowed <= until {
				m.slowed, m.factor = until, e.Factor
			}
			m.step()
		})
		w.after(time.Duration(e.For), func() { all((*member).step) })
	case "add-partitions":
		w.grow(int(w.topicAt[cmp.Or(e.Topic, w.topics[0].name)]), e.To)
		for _, m := range w.members {
			m.topicsGrew()
		}
	case "coordinator-restart":
		if !w.coord.up {
			return
		}
		w.pending++
		w.coord.crash()
		w.after(time.Duration(e.Down), func() {
			w.pending--
			w.happened(0)
			w.coord.load()
		})
	default:
		panic(fmt.Sprintf("sim: nobody knows how to do %q", e.Do)) // the scenario was checked
	}
}

// oneByOne does something to one process after another: the next begins when next was called and the pause is over.
func (w *world) oneByOne(who [][]*member, e *Event, rng *random, do func(process []*member, next func())) {
	if len(who) == 0 {
		return
	}
	w.pending++
	w.happened(0)
	do(who[0], func() {
		w.pending--
		if len(who) == 1 {
			return
		}
		w.pending++
		w.after(time.Duration(e.Pause)+rng.within(time.Duration(e.Jitter)), func() {
			w.pending--
			w.oneByOne(who[1:], e, rng, do)
		})
	})
}

// restart stops a process and starts it again; then is called when it has started.
func (w *world) restart(process []*member, e *Event, then func()) {
	w.pending++
	w.down++
	left := len(process)
	stopped := func() {
		if left--; left > 0 {
			return
		}
		w.after(time.Duration(e.Down), func() {
			w.pending--
			w.down--
			w.happened(0)
			for _, m := range process {
				m.start()
			}
			then()
		})
	}
	for _, m := range process {
		if e.How == "crash" {
			m.die()
			stopped()
			continue
		}
		m.close(stopped)
	}
}
