package journal

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// TestAnyGroupIsAccountedFor lets consumers come, go, die, freeze and dawdle at random, under a coordinator that restarts now and then, and
// holds what was recorded against what must be true of it.
func TestAnyGroupIsAccountedFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.cfg.InitialRebalanceDelay = rapid.SampledFrom([]time.Duration{0, 3 * time.Second}).Draw(t, "delay")
		w.load()
		w.topics["t"] = rapid.Int32Range(0, 7).Draw(t, "partitions")
		w.topics["u"] = 2
		w.evidence = rapid.Bool().Draw(t, "evidence")
		cooperative := rapid.Bool().Draw(t, "cooperative")
		for i := range rapid.IntRange(1, 5).Draw(t, "clients") {
			name := fmt.Sprint("C", i)
			a := &actor{name: name, client: name, host: fmt.Sprint("10.0.0.", i%3+1), assignors: []string{"range"}, topics: []string{"t"}, session: 10 * time.Second, rebalance: 20 * time.Second,
				drain: time.Duration(rapid.IntRange(0, 400).Draw(t, "drain")) * time.Millisecond, reasons: rapid.Bool().Draw(t, "reasons")}
			if cooperative {
				a.assignors = []string{"cooperative-sticky"}
			}
			if rapid.IntRange(0, 3).Draw(t, "static") == 0 {
				a.instance = fmt.Sprint("i", i)
			}
			w.actors[name] = a
		}
		lost := 0 // how many incidents there were when the recorder lost sight of the group: their sequels are not known
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			a := w.actors[rapid.SampledFrom(names(w)).Draw(t, "who")]
			switch act := rapid.SampledFrom([]string{"start", "start", "start", "close", "kill", "busy", "done", "pause", "resume", "poll-timeout", "change", "rejoin", "topic", "restart", "remove"}).Draw(t, "act"); act {
			case "start":
				if !a.running {
					w.act([]string{"start", a.name})
				}
			case "topic":
				w.topics["t"]++
			case "change":
				if a.running && a.id != "" && !a.joining {
					w.act([]string{"change", a.name, "topics=" + rapid.SampledFrom([]string{"t", "t+u", "u"}).Draw(t, "topics")})
				}
			case "restart":
				w.act([]string{"restart"})
				lost = len(w.order)
				if last := w.latest[append([]string{""}, w.order...)[lost]]; last.Trigger.Kind == Loaded && last.Began == Time(w.now) {
					lost-- // of this restart, and followed up
				}
			case "kill", "pause", "resume", "busy", "done":
				if a.running {
					w.act([]string{act, a.name})
				}
			default:
				if a.running && a.id != "" && !a.joining {
					w.act([]string{act, a.name})
				}
			}
			w.advance(time.Duration(rapid.SampledFrom([]int{0, 1, 150, 3000, 12_000, 30_000, 90_000}).Draw(t, "ms")) * time.Millisecond)
			w.check()
		}
		// Everybody gets well, and the group comes to rest.
		for _, a := range w.sorted() {
			a.busy, a.paused = false, false
		}
		w.advance(3 * time.Minute)
		w.check()
		for i, id := range w.order {
			if inc := w.latest[id]; !inc.Stage.Over() {
				t.Fatalf("%s is not over:\n%s", id, Story(&inc))
			} else if inc.Provisional && i >= lost {
				t.Fatalf("%s is still provisional:\n%s", id, Story(&inc))
			}
		}
		w.checkReplay()
	})
}

func names(w *world) (out []string) {
	for _, a := range w.sorted() {
		out = append(out, a.name)
	}
	return out
}

// check holds every incident against what must be true of it.
func (w *world) check() {
	w.t.Helper()
	open := 0
	for _, id := range w.order {
		inc := w.latest[id]
		fail := func(format string, args ...any) {
			w.t.Helper()
			w.t.Fatalf("%s: %s\n%s", id, fmt.Sprintf(format, args...), Story(&inc))
		}
		if inc.Kind != Rebalance {
			continue
		}
		if !inc.Stage.Over() {
			open++
		}
		if inc.Stage.Over() != (inc.Ended != nil) || inc.Stage.Over() != (inc.StateAfter != "") && inc.Phases == nil {
			fail("stage %s, ended %v, state %q", inc.Stage, inc.Ended, inc.StateAfter)
		}
		var sum time.Duration
		at, round := inc.Began, 1
		for i, p := range inc.Phases {
			if p.Round == round && p.Start != at || p.Round < round {
				fail("phase %d (%s) does not begin where the one before ends: %+v", i, p.Name, p)
			}
			if p.End == nil {
				if i != len(inc.Phases)-1 || inc.Stage.Over() {
					fail("phase %d (%s) has no end", i, p.Name)
				}
				break
			}
			sum += p.Took.D()
			at, round = *p.End, p.Round
		}
		if inc.Took != nil && sum != inc.Took.D() {
			fail("the phases take %v, the whole %v: %+v", sum, *inc.Took, inc.Phases)
		}
		if inc.StateAfter == "Stable" && inc.GenerationAfter <= inc.GenerationBefore {
			fail("generation %d after %d", inc.GenerationAfter, inc.GenerationBefore)
		}
		if m := inc.Moves; m != nil {
			had, has, members := 0, 0, 0
			for _, x := range inc.Members {
				if x.Had != nil {
					had += *x.Had
				}
				if x.Has != nil {
					has += *x.Has
				}
				if x.Change != Gone && x.Change != Passed {
					members++
				}
			}
			if m.Kept+m.Moved+m.Lost != m.Before || m.Kept+m.Moved+m.Gained != m.After || had != m.Before || has != m.After {
				fail("%+v; members had %d and have %d", *m, had, has)
			}
			if members != inc.MembersAfter {
				fail("%d members in the list, %d after", members, inc.MembersAfter)
			}
			if m.Minimum != nil && m.Gained+m.Lost == 0 && m.Idle == 0 && *m.Minimum > m.Moved && balanced(&inc) {
				fail("%d moved, and at least %d had to", m.Moved, *m.Minimum)
			}
		}
		if c := inc.Cost; c != nil && c.StallMax != nil && (*c.StallMax < 0 || *c.StallSum < *c.StallMax) {
			fail("cost %+v", *c)
		}
		if inc.Confidence == "" || inc.Title == "" {
			fail("no verdict: %+v", inc.Verdict)
		}
	}
	if open > 1 {
		w.t.Fatalf("%d rebalances of one group are under way", open)
	}
}

// balanced reports whether no member has more than one partition more than another: the minimum is that of fair assignments only.
func balanced(inc *Incident) bool {
	low, high := 1<<30, 0
	for _, m := range inc.Members {
		if m.Has != nil && m.Change != Gone && m.Change != Passed {
			low, high = min(low, *m.Has), max(high, *m.Has)
		}
	}
	return high-low <= 1
}

// checkReplay hands the same notes to a fresh recorder, without evidence, twice: it must say the same both times.
func (w *world) checkReplay() {
	w.t.Helper()
	run := func() (out []Incident) {
		r := New(Config{})
		for _, n := range w.notes {
			for {
				if _, due := r.Due(n.at); !due {
					break
				}
				out = append(out, r.Amend(n.at, Evidence{})...)
			}
			out = append(out, r.Note(n.at, n.n)...)
		}
		return out
	}
	if d := cmp.Diff(run(), run()); d != "" {
		w.t.Fatalf("the same notes, and not the same incidents:\n%s", d)
	}
}

// TestEveryRebalanceHasItsIncident counts: each note that a rebalance began belongs to one incident, and nothing else opens one.
func TestEveryRebalanceHasItsIncident(t *testing.T) {
	w := played(t, busyStory)
	began := 0
	for _, n := range w.notes {
		if s, ok := n.n.(coord.RebalanceStarted); ok && s.From != "CompletingRebalance" {
			began++
		}
	}
	opened, closed := map[string]int{}, map[string]int{}
	for _, inc := range w.all {
		if inc.Kind == Rebalance {
			switch inc.Stage {
			case Opened:
				opened[inc.ID]++
			case Closed:
				closed[inc.ID]++
			}
		}
	}
	if len(opened) != began || !cmp.Equal(opened, closed) {
		t.Fatalf("%d rebalances began; opened %v, closed %v", began, opened, closed)
	}
}

// TestAnyNotesAreSurvived hands in notes that no coordinator would make, in any order: they come so when a group was forgotten in between.
func TestAnyNotesAreSurvived(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := New(Config{GroupsMax: 2})
		now := start
		revs := map[string]int{}
		keep := func(out []Incident) {
			for _, inc := range out {
				id := inc.Group + "/" + inc.ID
				if inc.Rev != revs[id]+1 {
					t.Fatalf("%s: rev %d after %d", id, inc.Rev, revs[id])
				}
				revs[id] = inc.Rev
				if _, _, err := Encode(inc); err != nil {
					t.Fatal(err)
				}
				_ = Story(&inc)
			}
		}
		group := rapid.SampledFrom([]string{"g", "h", "i", "j"})
		member := rapid.Custom(func(t *rapid.T) coord.Member {
			id := rapid.SampledFrom([]string{"", "a-1", "a-2", "b-1", "c-1"}).Draw(t, "id")
			return coord.Member{ID: id, Client: id[:min(1, len(id))], Host: "/h", Instance: rapid.SampledFrom([]string{"", "", "i"}).Draw(t, "instance")}
		})
		rec := rapid.Custom(func(t *rapid.T) *record.GroupMetadataValue {
			if rapid.Bool().Draw(t, "no record") {
				return nil
			}
			v := &record.GroupMetadataValue{ProtocolType: "consumer", Generation: rapid.Int32().Draw(t, "generation")}
			for range rapid.IntRange(0, 3).Draw(t, "members") {
				m := member.Draw(t, "member")
				v.Members = append(v.Members, record.Member{ID: m.ID, ClientID: m.Client, Assignment: rapid.SampledFrom([][]byte{nil, {0}, assigned("t", 0, 1), assigned("u", 1)}).Draw(t, "assignment")})
			}
			return v
		})
		for range rapid.IntRange(1, 80).Draw(t, "notes") {
			now = now.Add(time.Duration(rapid.SampledFrom([]int{0, 0, 1, 3000, 70_000}).Draw(t, "ms")) * time.Millisecond)
			g, m := group.Draw(t, "group"), member.Draw(t, "member")
			reason := rapid.SampledFrom([]string{"", "need to revoke partitions and re-join", "the consumer is being closed", "\x00\x1b[31m"}).Draw(t, "reason")
			var n coord.Note
			switch rapid.IntRange(0, 12).Draw(t, "kind") {
			case 0:
				n = coord.GroupCreated{Group: g}
			case 1:
				n = coord.MemberArrived{Group: g, Member: m, New: rapid.Bool().Draw(t, "new"), Reason: reason, ProtocolType: "consumer",
					Protocols: []coord.Protocol{{Name: rapid.SampledFrom([]string{"range", "cooperative-sticky"}).Draw(t, "protocol"), Metadata: []byte(reason)}}}
			case 2:
				n = coord.MemberRemoved{Group: g, Member: m, Reason: reason, Silent: 3 * time.Second, Cause: rapid.SampledFrom([]coord.RemovalCause{coord.Left, coord.RemovedByID, coord.SilentSession, coord.DidNotRejoin, coord.DidNotSync, coord.GroupFull}).Draw(t, "cause")}
			case 3:
				n = coord.StaticMemberReplaced{Group: g, Member: m, OldID: member.Draw(t, "old").ID, Rebalance: rapid.Bool().Draw(t, "rebalance")}
			case 4, 5:
				n = coord.RebalanceStarted{Group: g, Member: m, Reason: reason, From: rapid.SampledFrom([]coord.GroupState{"Empty", "Stable", "CompletingRebalance"}).Draw(t, "from"),
					Trigger: rapid.SampledFrom([]coord.TriggerKind{coord.MemberJoined, coord.LeaderRejoined, coord.ProtocolsChanged, coord.MemberLeft, coord.SessionExpired, coord.SyncExpired, coord.StaticReplaced, coord.AssignmentTooLarge, coord.LoadedGroupTooLarge}).Draw(t, "trigger")}
			case 6:
				n = coord.JoinCompleted{Group: g, Leader: m, Last: m, Protocol: "cooperative-sticky", Generation: rapid.Int32Range(0, 9).Draw(t, "generation")}
			case 7:
				n = coord.Stabilized{Group: g, Leader: m, Record: rec.Draw(t, "record"), Awaited: rapid.SampledFrom([][]coord.Member{nil, {m}}).Draw(t, "awaited")}
			case 8:
				n = coord.SyncArrived{Group: g, Member: m}
			case 9:
				n = coord.RequestRefused{Group: g, Member: m.ID, Client: m.Client, Instance: m.Instance, API: rapid.SampledFrom([]string{"JoinGroup", "OffsetCommit", "Heartbeat"}).Draw(t, "api"),
					Code: rapid.SampledFrom([]kafka.ErrorCode{kafka.FencedInstanceID, kafka.InconsistentGroupProtocol, kafka.UnknownMemberID, kafka.GroupMaxSizeReached}).Draw(t, "code")}
			case 10:
				n = coord.GroupRestored{Group: g, Record: rec.Draw(t, "record"), State: "Stable"}
			case 11:
				n = coord.GroupEmptied{Group: g}
			case 12:
				n = coord.MemberTold{Group: g, Member: m}
			}
			r.Wants(n)
			keep(r.Note(now, n))
			for {
				in, due := r.Due(now)
				if !due {
					break
				}
				keep(r.Amend(now, Evidence{Clients: []ClientSeen{{Client: "a", Host: "/h", Open: len(in.Clients)}}}))
			}
			if r.Groups() > 4 {
				t.Fatalf("%d groups are remembered", r.Groups())
			}
		}
	})
}

// TestManyGroupsAreBounded runs 10,000 groups through a start, a departure and a return, and looks at what is kept.
func TestManyGroupsAreBounded(t *testing.T) {
	const groups, members = 10_000, 3
	r := New(Config{GroupsMax: groups})
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	metadata := []byte{0, 0, 0, 0, 0, 1, 0, 1, 't', 0xff, 0xff, 0xff, 0xff}
	began := heap()
	incidents := 0
	now := start
	run := func(name string) {
		note := func(n coord.Note) {
			incidents += len(r.Note(now, n))
			for {
				if _, due := r.Due(now); !due {
					break
				}
				incidents += len(r.Amend(now, Evidence{}))
			}
		}
		m := func(i int) coord.Member {
			return coord.Member{ID: fmt.Sprintf("%s-client-%d-0123456789abcdef", name, i), Client: fmt.Sprintf("client-%d", i), Host: "/10.0.0.1"}
		}
		v := &record.GroupMetadataValue{ProtocolType: "consumer", Generation: 1}
		note(coord.GroupCreated{Group: name})
		for i := range members {
			note(coord.MemberArrived{Group: name, Member: m(i), New: true, ProtocolType: "consumer", Protocols: []coord.Protocol{{Name: "range", Metadata: metadata}}})
			if i == 0 {
				note(coord.RebalanceStarted{Group: name, From: "Empty", Trigger: coord.MemberJoined, Member: m(0), Initial: true})
			}
			v.Members = append(v.Members, record.Member{ID: m(i).ID, ClientID: m(i).Client, ClientHost: m(i).Host, Subscription: metadata, Assignment: assigned("t", int32(i))})
		}
		note(coord.JoinCompleted{Group: name, Generation: 1, Protocol: "range", Leader: m(0), Members: members, Last: m(members - 1)})
		note(coord.Stabilized{Group: name, Generation: 1, Leader: m(0), Members: members, Record: v})
		note(coord.MemberRemoved{Group: name, Member: m(1), Cause: coord.Left})
		note(coord.RebalanceStarted{Group: name, From: "Stable", Generation: 1, Trigger: coord.MemberLeft, Member: m(1)})
		note(coord.JoinCompleted{Group: name, Generation: 2, Protocol: "range", Leader: m(0), Members: members - 1, Last: m(2)})
		w := *v
		w.Members = slices.Delete(slices.Clone(v.Members), 1, 2)
		note(coord.Stabilized{Group: name, Generation: 2, Leader: m(0), Members: members - 1, Record: &w})
	}
	for i := range groups {
		now = now.Add(time.Millisecond)
		run(fmt.Sprint("group-", i))
	}
	full := heap()
	for i := range groups / 10 {
		now = now.Add(100 * time.Millisecond)
		run(fmt.Sprint("other-", i))
	}
	later := heap()
	if incidents < groups*4 || r.Groups() != groups {
		t.Fatalf("%d records of incidents, %d groups", incidents, r.Groups())
	}
	per := (full - began) / groups
	t.Logf("%d groups of %d members: %d KiB each, and after others came %d KiB", groups, members, per>>10, (later-began)/groups>>10)
	if per > 16<<10 || later > full+full/4 {
		t.Fatalf("%d bytes per group, %d in all and then %d", per, full, later)
	}
	runtime.KeepAlive(r)
}

// assigned is an assignment of some partitions of one topic.
func assigned(topic string, partitions ...int32) []byte {
	b := []byte{0, 1, 0, 0, 0, 1, 0, byte(len(topic))}
	b = append(b, topic...)
	b = append(b, 0, 0, 0, byte(len(partitions)))
	for _, p := range partitions {
		b = append(b, 0, 0, 0, byte(p))
	}
	return append(b, 0xff, 0xff, 0xff, 0xff)
}

// TestAGroupOfTenThousand loses all its members but one, and comes through: what is done for each of them must not depend on how many there are.
func TestAGroupOfTenThousand(t *testing.T) {
	const members = 10_000
	r := New(Config{})
	now := start
	metadata := []byte{0, 0, 0, 0, 0, 1, 0, 1, 't', 0xff, 0xff, 0xff, 0xff}
	m := func(i int) coord.Member {
		return coord.Member{ID: fmt.Sprintf("client-%d-0123456789abcdef", i), Client: fmt.Sprintf("client-%d", i), Host: "/10.0.0.1"}
	}
	all := &record.GroupMetadataValue{ProtocolType: "consumer", Generation: 1}
	for i := range members {
		r.Note(now, coord.MemberArrived{Group: "g", Member: m(i), New: true, ProtocolType: "consumer", Protocols: []coord.Protocol{{Name: "range", Metadata: metadata}}})
		if i == 0 {
			r.Note(now, coord.RebalanceStarted{Group: "g", From: "Empty", Trigger: coord.MemberJoined, Member: m(0), Initial: true})
		}
		all.Members = append(all.Members, record.Member{ID: m(i).ID, ClientID: m(i).Client, ClientHost: m(i).Host, Subscription: metadata, Assignment: assigned("t", int32(i%100))})
	}
	r.Note(now, coord.JoinCompleted{Group: "g", Generation: 1, Protocol: "range", Leader: m(0), Members: members, Last: m(members - 1)})
	r.Note(now, coord.Stabilized{Group: "g", Generation: 1, Leader: m(0), Members: members, Record: all})
	now = now.Add(time.Minute)
	for i := range members - 1 {
		r.Note(now, coord.MemberRemoved{Group: "g", Member: m(i), Cause: coord.SilentSession})
		if i == 0 {
			r.Note(now, coord.RebalanceStarted{Group: "g", From: "Stable", Generation: 1, Trigger: coord.SessionExpired, Member: m(0)})
		}
	}
	r.Note(now, coord.JoinCompleted{Group: "g", Generation: 2, Protocol: "range", Leader: m(members - 1), Members: 1, Last: m(members - 1)})
	one := *all
	one.Members = all.Members[members-1:]
	out := r.Note(now, coord.Stabilized{Group: "g", Generation: 2, Leader: m(members - 1), Members: 1, Record: &one})
	if len(out) != 1 || out[0].MembersBefore != members || out[0].MembersAfter != 1 || out[0].Sub != "together" {
		t.Fatalf("%d incidents\n%s", len(out), Story(&out[0]))
	}
	key, value, err := Encode(out[0])
	if err != nil || len(value) > RecordBytesMax {
		t.Fatalf("%d bytes, %v", len(value), err)
	}
	if back, err := Decode(key, value); err != nil || back.Cut == nil || back.Cut.Members != members || back.MembersBefore != members {
		t.Fatalf("%v, %+v", err, back.Cut)
	}
}
