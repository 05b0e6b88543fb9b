package group

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/barnabas-mq/barnabas/assign"
	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/offset"
	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// TestProperties lets clients do what they like, in any order, with a log that commits late and a coordinator that crashes. After every
// step the rig checks the shard against itself, its log and its timers (rig.check); here it is held against what clients were told:
//
//   - every request has one answer, and none before the records it speaks of are committed: what a client was told is still so after a
//     crash;
//   - generations do not fall, in memory or on disk;
//   - a partition has one owner in a generation; when they are cooperative, nobody is given what another has not given up;
//   - committed offsets do not move back by themselves;
//   - when the clients behave again, the group becomes Stable with all of them, in bounded time.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		t.Repeat(map[string]func(*rapid.T){
			"": w.check,
			"behave": func(t *rapid.T) {
				w.behave(w.draw(t))
			},
			"everybody behaves": func(t *rapid.T) {
				for range rapid.IntRange(1, 4).Draw(t, "times") {
					for _, c := range w.clients {
						w.behave(c)
					}
					w.r.commit(2)
				}
			},
			"join":      w.actJoin,
			"sync":      w.actSync,
			"heartbeat": w.actHeartbeat,
			"leave":     w.actLeave,
			"commit":    w.actCommit,
			"forget": func(t *rapid.T) { // the process was killed
				c := w.draw(t)
				*c = client{name: c.name, instance: c.instance, protocols: c.protocols, session: c.session, rebalance: c.rebalance}
			},
			"advance": func(t *rapid.T) {
				w.r.advance(time.Duration(rapid.SampledFrom([]int{1, 10, 1000, 3000, 7000, 30_000, 61_000, 700_000}).Draw(t, "ms")) * time.Millisecond)
			},
			"durable": func(t *rapid.T) {
				w.r.commit(rapid.IntRange(1, 5).Draw(t, "entries"))
			},
			"crash": func(*rapid.T) { w.crash() },
			"delete": func(t *rapid.T) {
				w.r.ask(func(id coord.ReplyID) coord.Event { return &DeleteRequest{Reply: id, Groups: []string{"g"}} })
			},
			"topic deleted": func(t *rapid.T) {
				w.r.step(coord.TopicDeleted{Topic: rapid.SampledFrom([]string{"t", "other"}).Draw(t, "topic")})
			},
		})
		w.converge()
	})
}

// partitions is how many there are to assign.
const partitions = 6

// client is one consumer, and what it believes.
type client struct {
	name, instance     string
	protocols          []Protocol
	session, rebalance time.Duration

	member     string
	generation int32
	joined     bool // has an answer to its join, and no assignment yet
	settled    bool // has its assignment
	leads      bool
	roll       []JoinedMember
	owned      []int32 // cooperative: what it has, whatever else it believes
	revoked    bool    // cooperative: it has given something up, and must join again

	request coord.ReplyID // under way; 0 for none
	asked   int32         // the generation of the sync under way
}

// world is the clients and what all of them together were told.
type world struct {
	t           *rapid.T
	r           *rig
	cooperative bool
	clients     []*client
	owners      map[string]string // "incarnation/generation/partition" -> who was told to own it
	live        int32             // the highest generation since the last load
	commits     int64             // offsets committed rise by one each time
	pending     map[coord.ReplyID]int64
	acked       int64 // the highest commit that was acknowledged
}

func newWorld(t *rapid.T) *world {
	cfg := config()
	cfg.InitialRebalanceDelay = time.Duration(rapid.SampledFrom([]int{0, 3000}).Draw(t, "delay")) * time.Millisecond
	w := &world{t: t, r: newRig(t, cfg), cooperative: rapid.Bool().Draw(t, "cooperative"), owners: map[string]string{}, pending: map[coord.ReplyID]int64{}}
	w.r.lag = true
	for i, name := range []string{"a", "b", "c", "d"} {
		c := &client{name: name, session: time.Duration(6+i) * time.Second, rebalance: time.Duration(10*i+8) * time.Second}
		if i >= 2 {
			c.instance = "i" + name
		}
		// All prefer the same: after a crash a member looks as if it supported nothing but what was chosen, as in Kafka, and who does not
		// support that is refused until the member joins again.
		lists := [][]string{{"range"}, {"range", "sticky"}}
		c.protocols = protos(topics("t"), lists[rapid.IntRange(0, 1).Draw(t, "list")]...)
		w.clients = append(w.clients, c)
	}
	return w
}

func (w *world) draw(t *rapid.T) *client {
	return w.clients[rapid.IntRange(0, len(w.clients)-1).Draw(t, "client")]
}

// stale draws a generation that is mostly the client's own.
func stale(t *rapid.T, c *client) int32 {
	return c.generation + rapid.SampledFrom([]int32{0, 0, 0, 0, -1, 1}).Draw(t, "off by")
}

func (w *world) actJoin(t *rapid.T) {
	c := w.draw(t)
	w.join(c, rapid.SampledFrom([]int16{3, 5, 8, 9}).Draw(t, "version"))
}

func (w *world) actSync(t *rapid.T) {
	c := w.draw(t)
	id := w.sync(c, stale(t, c))
	if rapid.Bool().Draw(t, "something else follows") {
		w.r.step(&HoldRelease{Held: id, Group: "g", Member: c.member})
		for _, g := range w.r.s.groups {
			if m := g.byID[c.member]; m != nil && m.held == id {
				t.Fatalf("sync %d is still held", id)
			}
		}
	}
}

func (w *world) actHeartbeat(t *rapid.T) {
	c := w.draw(t)
	hold := time.Duration(rapid.SampledFrom([]int{0, 1000, 5000}).Draw(t, "hold ms")) * time.Millisecond
	id := w.r.ask(func(id coord.ReplyID) coord.Event {
		return &HeartbeatRequest{Reply: id, Group: "g", Member: c.member, Instance: c.instance, Generation: stale(t, c), Hold: hold}
	})
	if rapid.Bool().Draw(t, "something else follows") {
		w.r.step(&HoldRelease{Held: id, Group: "g", Member: c.member})
		if w.r.open[id] {
			t.Fatalf("heartbeat %d is still held", id)
		}
	}
}

func (w *world) actLeave(t *rapid.T) {
	c := w.draw(t)
	l := Leaver{Member: c.member, Instance: c.instance}
	if c.instance != "" && rapid.Bool().Draw(t, "by instance") {
		l.Member = ""
	}
	w.r.ask(func(id coord.ReplyID) coord.Event {
		return &LeaveRequest{Reply: id, Version: 5, Group: "g", Members: []Leaver{l, {Member: "stranger"}}}
	})
}

func (w *world) actCommit(t *rapid.T) {
	c := w.draw(t)
	w.commits++
	q := &offset.CommitRequest{Version: 9, Group: "g", Member: c.member, Instance: c.instance, Generation: stale(t, c), RetentionMs: -1,
		Topics: []offset.CommitTopic{{Topic: "kept", Partitions: []offset.CommitPartition{{Offset: w.commits}}}, {Topic: "t", Partitions: []offset.CommitPartition{{Offset: w.commits}}}}}
	if rapid.Bool().Draw(t, "standalone") {
		q.Member, q.Instance, q.Generation = "", "", -1
	}
	id := w.r.ask(func(id coord.ReplyID) coord.Event {
		q.Reply = id
		return q
	})
	w.pending[id] = w.commits
}

func (w *world) join(c *client, version int16) {
	c.joined, c.settled = false, false
	w.r.uuids++
	protocols := c.protocols
	if w.cooperative {
		protocols = nil
		for _, p := range c.protocols {
			protocols = append(protocols, Protocol{Name: p.Name, Metadata: owning(c.owned...)})
		}
	}
	c.request = w.r.ask(func(id coord.ReplyID) coord.Event {
		return &JoinRequest{Reply: id, Version: version, Group: "g", Member: c.member, Instance: c.instance, Client: c.name, FreshID: fmt.Sprint(w.r.uuids),
			ProtocolType: "consumer", Protocols: protocols, SessionTimeout: c.session, RebalanceTimeout: c.rebalance}
	})
}

func (w *world) sync(c *client, generation int32) coord.ReplyID {
	c.asked = generation
	var assignments []Assignment
	if c.leads {
		assignments = w.plan(c.roll)
	}
	hold := time.Duration(rapid.SampledFrom([]int{0, 500, 5000}).Draw(w.t, "hold ms")) * time.Millisecond
	c.request = w.r.ask(func(id coord.ReplyID) coord.Event {
		return &SyncRequest{Reply: id, Version: 4, Group: "g", Member: c.member, Instance: c.instance, Generation: generation, Assignments: assignments, Hold: hold}
	})
	return c.request
}

// plan gives the members the partitions in turns. A partition that another says it has is nobody's for now.
func (w *world) plan(roll []JoinedMember) (plan []Assignment) {
	owner := map[int32]int{}
	for i, m := range roll {
		sub, err := assign.DecodeSubscription(m.Metadata)
		if err != nil {
			w.t.Fatalf("%v", err)
		}
		for _, tp := range sub.Owned {
			for _, p := range tp.Partitions {
				owner[p] = i
			}
		}
	}
	for i, m := range roll {
		var own []int32
		for p := int32(i); p < partitions; p += int32(len(roll)) {
			if has, ok := owner[p]; !ok || has == i {
				own = append(own, p)
			}
		}
		plan = append(plan, Assignment{m.ID, giving(own...)})
	}
	return plan
}

// given reads an assignment.
func given(t failer, b []byte) (out []int32) {
	a, err := assign.DecodeAssignment(b)
	if err != nil {
		t.Fatalf("%v", err)
	}
	for _, tp := range a.Partitions {
		out = append(out, tp.Partitions...)
	}
	return out
}

// hear lets c read the answer it waits for. It reports whether c has nothing under way.
func (w *world) hear(c *client) bool {
	if c.request == 0 {
		return true
	}
	body, ok := w.r.answers[c.request]
	if !ok {
		return false
	}
	c.request = 0
	switch a := body.(type) {
	case JoinReply:
		switch a.Code {
		case kafka.None:
			c.member, c.generation, c.joined, c.leads, c.roll = a.Member, a.Generation, true, a.Leader == a.Member && !a.SkipAssignment, a.Members
		case kafka.MemberIDRequired:
			c.member = a.Member
		case kafka.UnknownMemberID, kafka.FencedInstanceID:
			c.member, c.owned = "", nil
		case kafka.RebalanceInProgress:
		default:
			w.t.Fatalf("%s joins: %+v", c.name, a)
		}
	case SyncReply:
		c.joined = false
		switch a.Code {
		case kafka.None:
			own := given(w.t, a.Assignment)
			c.settled, c.revoked = true, w.cooperative && slices.ContainsFunc(c.owned, func(p int32) bool { return !slices.Contains(own, p) })
			c.owned = own
		case kafka.UnknownMemberID, kafka.FencedInstanceID:
			c.member, c.owned = "", nil
		}
	}
	return true
}

// behave lets c do what a good client does next.
func (w *world) behave(c *client) {
	switch {
	case !w.hear(c):
	case c.joined:
		w.sync(c, c.generation)
	case !c.settled, c.revoked:
		c.revoked = false
		w.join(c, 9)
	default:
		id := w.r.ask(func(id coord.ReplyID) coord.Event {
			return &HeartbeatRequest{Reply: id, Group: "g", Member: c.member, Instance: c.instance, Generation: c.generation}
		})
		if a := answer[HeartbeatReply](w.r, id); a != nil && a.Code != kafka.None {
			c.settled = false
			if a.Code == kafka.UnknownMemberID || a.Code == kafka.FencedInstanceID {
				c.member, c.owned = "", nil
			}
		}
	}
}

func (w *world) crash() {
	told := maps.Clone(w.r.answers)
	w.r.load()
	w.live = 0
	if len(told) != len(w.r.answers) {
		w.t.Fatalf("answers came or went with a crash")
	}
	for _, c := range w.clients {
		if _, ok := told[c.request]; !ok {
			c.request, c.joined = 0, false // the connection broke
		}
	}
	for id := range w.pending {
		if _, ok := told[id]; !ok {
			delete(w.pending, id)
		}
	}
}

// incarnation is how often the group was deleted in the first n entries of the log.
func (w *world) incarnation(n int) (deleted int) {
	key := (&record.GroupMetadata{Group: "g"}).AppendKey(nil)
	for _, e := range w.r.log[:n] {
		if e.value == nil && bytes.Equal(e.key, key) {
			deleted++
		}
	}
	return deleted
}

func (w *world) check(t *rapid.T) {
	if g := w.r.s.groups["g"]; g == nil {
		w.live = 0
	} else {
		if g.generation < w.live {
			t.Fatalf("generation fell from %d to %d", w.live, g.generation)
		}
		w.live = g.generation
		if g.hard != nil && g.hard.Generation > g.generation {
			t.Fatalf("the log is at generation %d, memory at %d", g.hard.Generation, g.generation)
		}
	}
	w.checkOwners(t)
	w.checkOffsets(t)
}

// checkOwners looks at the assignments that were handed out, as the committed log has them: they are what SyncReplies said.
func (w *world) checkOwners(t *rapid.T) {
	for _, id := range slices.Sorted(maps.Keys(w.r.said)) {
		a, ok := w.r.answers[id].(SyncReply)
		if !ok {
			continue
		}
		s := w.r.said[id]
		delete(w.r.said, id)
		if a.Code != kafka.None {
			continue
		}
		for _, p := range given(t, a.Assignment) {
			key := fmt.Sprintf("%d/%d/%d", w.incarnation(s.after), s.generation, p)
			if w.owners[key] != "" && w.owners[key] != s.seat {
				t.Fatalf("partition %d of generation %d belongs to %s and to %s", p, s.generation, w.owners[key], s.seat)
			}
			w.owners[key] = s.seat
		}
		g := w.r.replay(w.r.committed).groups["g"]
		if w.incarnation(w.r.committed) == w.incarnation(s.after) && (g == nil || g.hard.Generation < s.generation) {
			t.Fatalf("a member has its assignment of generation %d, a crash would take it back", s.generation)
		}
	}
}

// checkOffsets: a commit that was acknowledged stays, until another takes its place or the group is deleted.
func (w *world) checkOffsets(t *rapid.T) {
	for _, id := range slices.Sorted(maps.Keys(w.pending)) {
		a, ok := w.r.answers[id].(offset.CommitReply)
		if !ok {
			continue
		}
		if a.Topics[0].Partitions[0].Code == kafka.None {
			w.acked = max(w.acked, w.pending[id])
		}
		delete(w.pending, id)
	}
	if w.acked == 0 {
		return
	}
	v := w.r.replay(w.r.committed).offsets.Get("g", "kept", 0)
	if v == nil {
		// A request deleted the group. Nothing else does: the retention is a week.
		for _, e := range w.r.log[:w.r.committed] {
			if rec, _ := record.Decode(e.key, e.value); e.value == nil && rec.GroupID() == "g" {
				w.acked = 0
				return
			}
		}
		t.Fatalf("offset %d was acknowledged, and nothing of it is left", w.acked)
	}
	if v.Offset < w.acked {
		t.Fatalf("offset %d was acknowledged, the log has %d", w.acked, v.Offset)
	}
}

// converge heals the world and demands that the group settles.
func (w *world) converge() {
	w.r.lag = false
	w.r.commit(len(w.r.log))
	limit := w.r.now.Add(newMemberTimeout + 5*time.Minute)
	for quiet := 0; quiet < 3; {
		if limit.Before(w.r.now) {
			w.t.Fatalf("not Stable after %v of good behaviour: %+v", limit.Since(start), w.r.s.groups["g"])
		}
		settled := true
		for _, c := range w.clients {
			w.behave(c)
			settled = settled && c.settled && !c.revoked && c.request == 0
		}
		g := w.r.s.groups["g"]
		if settled && g.state == Stable && len(g.members) == len(w.clients) {
			quiet++
		} else {
			quiet = 0
		}
		w.r.advance(time.Second)
	}
	owned := map[int32]bool{}
	for _, m := range w.r.s.groups["g"].members {
		for _, p := range given(w.t, m.assignment) {
			owned[p] = true
		}
	}
	if len(owned) != partitions {
		w.t.Fatalf("owned are %v only", slices.Sorted(maps.Keys(owned)))
	}
}
