package journal

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/group"
	"github.com/barnabas-mq/barnabas/internal/coord/offset"
)

// act does one line of a story: see TestStories.
func (w *world) act(words []string) {
	verb, words := words[0], words[1:]
	reason := ""
	if i := slices.Index(words, "because"); i >= 0 {
		words, reason = words[:i], strings.Join(words[i+1:], " ")
	}
	name := ""
	if len(words) > 0 {
		name = words[0]
	}
	a := w.actors[name]
	switch verb {
	case "settings":
		w.configure(words)
		w.log = nil
		w.load()
	case "topic":
		for _, o := range words {
			k, v, _ := strings.Cut(o, "=")
			var n int32
			fmt.Sscan(v, &n)
			if w.topics[k] == 0 {
				w.created[k] = w.now
			}
			w.topics[k] = n
		}
	case "start":
		if a == nil {
			a = &actor{name: name, client: name, host: "10.0.0." + fmt.Sprint(len(w.actors)+1), software: "apache-kafka-java 4.3.1", assignors: []string{"range"}, topics: []string{"t"},
				session: 45 * time.Second, rebalance: 300 * time.Second, drain: 200 * time.Millisecond, reasons: true}
			w.actors[name] = a
		}
		a.busy = false
		w.options(a, words[1:])
		w.launch(a)
	case "change":
		w.options(a, words[1:])
		w.rejoin(a, reason)
	case "rejoin":
		w.rejoin(a, reason)
	case "close":
		if reason == "" {
			reason = "the consumer is being closed"
		}
		w.commit(a, nil)
		w.leave(a, reason)
		w.kill(a)
	case "unsubscribe":
		w.commit(a, nil)
		w.leave(a, "the consumer unsubscribed from all topics")
		a.owned = nil
	case "subscribe":
		w.join(a, "")
	case "kill":
		w.kill(a)
	case "pause":
		a.paused = true
	case "resume":
		a.paused = false
	case "busy":
		a.busy = true
	case "done":
		a.busy = false
		if a.id == "" {
			a.owned = nil
			w.join(a, "")
		}
	case "next-batch": // it polls again, and is given the same batch
		a.owned = nil
		w.join(a, "")
	case "poll-timeout": // the client notices that the application does not poll
		id, generation := a.id, a.generation
		w.leave(a, "consumer poll timeout has expired.")
		a.leaveTxt, a.lastJoinReason = id, fmt.Sprint(generation)
	case "zombie-commit":
		w.ask(func(id coord.ReplyID) coord.Event {
			return &offset.CommitRequest{Reply: id, Version: 8, Group: "orders", Member: a.leaveTxt, Generation: 1, RetentionMs: -1,
				Topics: []offset.CommitTopic{{Topic: "t", Partitions: []offset.CommitPartition{{Partition: 0, Offset: 10, LeaderEpoch: -1}}}}}
		}, func(any) {})
	case "really-commit": // to the coordinator
		w.ask(func(id coord.ReplyID) coord.Event {
			return &offset.CommitRequest{Reply: id, Version: 8, Group: "orders", Member: a.id, Instance: a.instance, Generation: a.generation, RetentionMs: -1,
				Topics: []offset.CommitTopic{{Topic: "t", Partitions: []offset.CommitPartition{{Partition: 0, Offset: 10}, {Partition: 1, Offset: 10}}}}}
		}, func(any) {})
	case "delete": // an administrator deletes the group
		w.ask(func(id coord.ReplyID) coord.Event {
			return &group.DeleteRequest{Reply: id, Groups: []string{"orders"}}
		}, func(any) {})
	case "dies-assigning":
		a.mutual = true
	case "hangs-assigning":
		a.hangs = true
	case "remove":
		w.ask(func(id coord.ReplyID) coord.Event {
			return &group.LeaveRequest{Reply: id, Version: 5, Group: "orders", Client: "admin", Host: "/10.0.0.99", Members: []group.Leaver{{Member: a.id, Instance: a.instance, Reason: reason}}}
		}, func(any) {})
	case "restart": // the shard is dropped, and read anew
		w.keep(w.rec.Lost(w.now, func(string) bool { return true }))
		w.configure(words)
		for _, x := range w.sorted() { // their requests are lost with the coordinator, and they ask again
			if x.joining {
				x.joining = false
				x := x
				w.plan(x, time.Second, func() { w.join(x, "") })
			}
		}
		w.load()
	case "advance":
		w.advance(w.duration(name))
	case "blind":
		w.evidence = false
	default:
		w.t.Fatalf("nobody can %q", verb)
	}
}

func (w *world) sorted() (out []*actor) {
	for _, n := range slices.Sorted(maps.Keys(w.actors)) {
		out = append(out, w.actors[n])
	}
	return out
}

func (w *world) configure(words []string) {
	for _, o := range words {
		switch k, v, _ := strings.Cut(o, "="); k {
		case "delay":
			w.cfg.InitialRebalanceDelay = w.duration(v)
		case "size":
			fmt.Sscan(v, &w.cfg.SizeMax)
		default:
			w.t.Fatalf("no setting %q", k)
		}
	}
}

func (w *world) options(a *actor, options []string) {
	for _, o := range options {
		k, v, _ := strings.Cut(o, "=")
		switch k {
		case "host":
			a.host = v
		case "named": // it has another one's client id
			a.client = v
		case "static":
			a.instance = v
		case "assignor":
			a.assignors = strings.Split(v, "+")
		case "topics":
			a.topics = strings.Split(v, "+")
		case "session":
			a.session = w.duration(v)
		case "rebalance":
			a.rebalance = w.duration(v)
		case "drain":
			a.drain = w.duration(v)
		case "mute": // a library that never says why
			a.reasons, a.software = false, "librdkafka 2.11.0"
		case "held": // the answers to its heartbeats may be held back
			a.hold = w.duration(v)
		case "software":
			a.software = v
		default:
			w.t.Fatalf("no option %q", k)
		}
	}
}

// play does several lines.
func (w *world) play(t *testing.T, lines string) {
	t.Helper()
	for l := range strings.Lines(lines) {
		if f := strings.Fields(l); len(f) > 0 {
			w.act(f)
		}
	}
}
