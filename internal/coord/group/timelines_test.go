package group

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/offset"
	"github.com/barnabas-mq/barnabas/internal/journal"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// TestTimelines plays the stories in testdata/timelines and compares what the notes tell of them. Each is played twice, side by side,
// the second time with every event written to a trace and read back, and both must agree to the byte. With -rewrite the stories are written anew; commit one only if you can explain it.
//
// A line is one act, of client A in group g: "join A", "sync A A=0,1 B=2" (a leader says who gets what), "beat A B", "leave A",
// "remove i" (by an administrator, by instance id), "commit A t-0=5", "commit - t-0=5" (by nobody in particular), "kill A" (its process),
// "restart" (the coordinator, with other settings if any are named), "advance 3s", "live 9s A B" (time passes, the named heartbeat every 3 s), "delete", "topic-deleted t".
// What follows "because" is the reason the client gives. After "quietly" nothing more of a block is told.
func TestTimelines(t *testing.T) {
	datadriven.Walk(t, "testdata/timelines", func(t *testing.T, path string) {
		var one, two *story
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var words []string
			for _, a := range d.CmdArgs {
				if len(a.Vals) == 0 {
					words = append(words, a.Key)
				} else {
					words = append(words, a.Key+"="+strings.Join(a.Vals, ","))
				}
			}
			lines := [][]string{append([]string{d.Cmd}, words...)}
			for l := range strings.Lines(d.Input) {
				lines = append(lines, strings.Fields(l))
			}
			if one == nil {
				cfg := config()
				if d.Cmd == "settings" {
					configure(t, &cfg, words)
					lines = lines[1:]
				}
				one, two = newStory(t, cfg), newStory(t, cfg)
				two.r.traced = true
			}
			got := one.play(lines)
			if again := two.play(lines); got != again {
				t.Fatalf("%s: played twice, and it was\n%s\nand\n%s", d.Pos, got, again)
			}
			return got
		})
	})
}

func configure(t *testing.T, cfg *Config, words []string) {
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "delay":
			cfg.InitialRebalanceDelay = duration(t, value)
		case "size":
			cfg.SizeMax, _ = strconv.Atoi(value)
		default:
			t.Fatalf("no setting %q", key)
		}
	}
}

func duration(t *testing.T, s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// story is a rig with clients who have names.
type story struct {
	t       *testing.T
	r       *rig
	actors  map[string]*actor
	waiting []question
	out     strings.Builder
}

type actor struct {
	join       JoinRequest // as the last one was
	member     string
	generation int32
}

type question struct {
	who, api string
	id       coord.ReplyID
}

func newStory(t *testing.T, cfg Config) *story {
	s := &story{t: t, r: newRig(t, cfg), actors: map[string]*actor{}}
	s.r.notes = nil
	return s
}

func (s *story) play(lines [][]string) string {
	s.out.Reset()
	told := -1 // how much of the output stays, once quiet
	for _, words := range lines {
		switch {
		case len(words) == 0:
		case words[0] == "quietly":
			told = s.out.Len()
		default:
			s.act(words)
			s.tell()
		}
	}
	if told >= 0 {
		return s.out.String()[:told]
	}
	return s.out.String()
}

// tell prints what has happened since the last call.
func (s *story) tell() { s.tellAt(s.r.now) }

func (s *story) tellAt(now vtime.Instant) {
	for _, n := range s.r.notes {
		fmt.Fprintf(&s.out, "%s  %s\n", clock(now), strings.ReplaceAll(journal.Say(now, n), "\n", "\n"+strings.Repeat(" ", len(clock(now)))+"  "))
	}
	s.r.notes = nil
	s.waiting = slices.DeleteFunc(s.waiting, func(q question) bool {
		body, ok := s.r.answers[q.id]
		if !ok {
			return false
		}
		if a, isJoin := body.(JoinReply); isJoin {
			if actor := s.actors[q.who]; a.Code == kafka.None {
				actor.member, actor.generation = a.Member, a.Generation
			}
		}
		fmt.Fprintf(&s.out, "%s  -> %s, to its %s: %s\n", clock(now), q.who, q.api, sayAnswer(body))
		return true
	})
}

func (s *story) ask(who string, ev func(id coord.ReplyID) coord.Event) coord.ReplyID {
	api := ""
	id := s.r.ask(func(id coord.ReplyID) coord.Event {
		e := ev(id)
		api = e.EventName()
		return e
	})
	s.waiting = append(s.waiting, question{who, api, id})
	return id
}

// advance lets time pass, and tells each timer at its own moment.
func (s *story) advance(d time.Duration) {
	until := s.r.now.Add(d)
	for s.r.fire(until) {
		s.tell()
	}
	s.r.now = until
}

func (s *story) act(words []string) {
	verb, words := words[0], words[1:]
	reason := ""
	if i := slices.Index(words, "because"); i >= 0 {
		words, reason = words[:i], strings.Join(words[i+1:], " ")
	}
	name := ""
	if len(words) > 0 {
		name = words[0]
	}
	a := s.actors[name]
	if a == nil {
		a = &actor{join: JoinRequest{Version: 9, Group: "g", Client: name, Host: "/10.0.0.1", ProtocolType: "consumer", Protocols: protos(topics("t"), "range"),
			SessionTimeout: 45 * time.Second, RebalanceTimeout: 300 * time.Second}}
	}
	switch verb {
	case "join":
		s.actors[name] = a
		s.join(name, a, words[1:], reason)
	case "sync":
		q := &SyncRequest{Version: 4, Group: "g", Member: a.member, Instance: a.join.Instance, Generation: a.generation}
		for _, w := range words[1:] {
			to, what, _ := strings.Cut(w, "=")
			q.Assignments = append(q.Assignments, Assignment{s.actors[to].member, []byte(what)})
		}
		s.ask(name, func(id coord.ReplyID) coord.Event { q.Reply = id; return q })
	case "beat":
		for _, n := range words {
			s.beat(n)
		}
	case "live":
		for until := s.r.now.Add(duration(s.t, words[0])); s.r.now.Before(until); {
			s.advance(min(3*time.Second, until.Since(s.r.now)))
			for _, n := range words[1:] {
				s.beat(n)
				s.tell()
			}
		}
	case "leave":
		s.ask(name, func(id coord.ReplyID) coord.Event {
			return &LeaveRequest{Reply: id, Version: 5, Group: "g", Client: name, Host: a.join.Host, Members: []Leaver{{a.member, a.join.Instance, reason}}}
		})
	case "remove":
		s.ask("the administrator", func(id coord.ReplyID) coord.Event {
			return &LeaveRequest{Reply: id, Version: 5, Group: "g", Client: "admin", Host: "/10.0.0.99", Members: []Leaver{{"", name, reason}}}
		})
	case "commit":
		tp, at, _ := strings.Cut(words[1], "=")
		dash := strings.LastIndexByte(tp, '-')
		p, _ := strconv.Atoi(tp[dash+1:])
		n, _ := strconv.ParseInt(at, 10, 64)
		q := &offset.CommitRequest{Version: 9, Group: "g", Generation: NoGeneration, RetentionMs: -1,
			Topics: []offset.CommitTopic{{Topic: tp[:dash], Partitions: []offset.CommitPartition{{Partition: int32(p), Offset: n, LeaderEpoch: -1}}}}}
		if name != "-" {
			q.Member, q.Instance, q.Generation = a.member, a.join.Instance, a.generation
		}
		s.ask(name, func(id coord.ReplyID) coord.Event { q.Reply = id; return q })
	case "kill":
		a.member, a.generation = "", 0
		s.waiting = slices.DeleteFunc(s.waiting, func(q question) bool { return q.who == name })
	case "restart":
		s.waiting = nil
		configure(s.t, &s.r.cfg, words)
		s.r.load()
	case "advance":
		s.advance(duration(s.t, name))
	case "delete":
		s.ask("the administrator", func(id coord.ReplyID) coord.Event { return &DeleteRequest{Reply: id, Groups: []string{"g"}} })
	case "topic-deleted":
		s.r.step(coord.TopicDeleted{Topic: name})
	default:
		s.t.Fatalf("nobody can %q", verb)
	}
}

func (s *story) beat(name string) {
	a := s.actors[name]
	id := s.r.ask(func(id coord.ReplyID) coord.Event {
		return &HeartbeatRequest{Reply: id, Group: "g", Member: a.member, Instance: a.join.Instance, Generation: a.generation}
	})
	// A heartbeat that finds everything as it was is not worth a line, and that a member learned of a rebalance has a note.
	if a := s.r.answers[id].(HeartbeatReply); a.Code != kafka.None && a.Code != kafka.RebalanceInProgress {
		s.waiting = append(s.waiting, question{name, "Heartbeat", id})
	}
}

// join joins as client libraries do: whoever is told to come back with an id does.
func (s *story) join(name string, a *actor, options []string, reason string) {
	once := false
	a.join.Reason = reason
	for _, o := range options {
		key, value, _ := strings.Cut(o, "=")
		switch key {
		case "once":
			once = true
		case "v":
			v, _ := strconv.Atoi(value)
			a.join.Version = int16(v)
		case "static":
			a.join.Instance = value
		case "session":
			a.join.SessionTimeout = duration(s.t, value)
		case "rebalance":
			a.join.RebalanceTimeout = duration(s.t, value)
		case "type":
			a.join.ProtocolType = value
		case "protocols":
			a.join.Protocols = protos(a.join.Protocols[0].Metadata, strings.Split(value, "+")...)
		case "topics":
			for i := range a.join.Protocols {
				a.join.Protocols[i].Metadata = topics(strings.Split(value, "+")...)
			}
		case "as":
			a.member = value
		default:
			s.t.Fatalf("no option %q", key)
		}
	}
	ask := func() coord.ReplyID {
		q := a.join
		s.r.uuids++
		q.Member, q.FreshID, q.Protocols = a.member, fmt.Sprint(s.r.uuids), slices.Clone(a.join.Protocols)
		return s.ask(name, func(id coord.ReplyID) coord.Event { q.Reply = id; return &q })
	}
	first, ok := s.r.answers[ask()].(JoinReply)
	if ok && first.Code == kafka.MemberIDRequired {
		a.member = first.Member
		if !once {
			s.tell()
			ask()
		}
	}
}
