package group

import (
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// The rules of classic_hold.go, one by one.

func (r *rig) held(member string, generation int32, most time.Duration) coord.ReplyID {
	r.t.Helper()
	return r.ask(func(id coord.ReplyID) coord.Event {
		return &HeartbeatRequest{Reply: id, Group: "g", Member: member, Generation: generation, Hold: most}
	})
}

func (r *rig) wantHeld(id coord.ReplyID) {
	r.t.Helper()
	if a := answer[HeartbeatReply](r, id); a != nil {
		r.t.Fatalf("answered %s, want it held", a.Code)
	}
}

func (r *rig) wantCode(id coord.ReplyID, code kafka.ErrorCode) {
	r.t.Helper()
	if a := must[HeartbeatReply](r, id); a.Code != code {
		r.t.Fatalf("answered %s, want %s", a.Code, code)
	}
}

func TestAHeldHeartbeatIsAnsweredTheMomentARebalanceBegins(t *testing.T) {
	r := newRig(t, config())
	m := r.stable(nil, "x", "y")
	r.advance(3 * second)
	x, y := r.held(m[0].id, 1, 5*second), r.held(m[1].id, 1, 5*second)
	r.advance(second)
	r.wantHeld(x)
	r.wantHeld(y)
	r.enter("z", nil)
	r.wantCode(x, kafka.RebalanceInProgress)
	r.wantCode(y, kafka.RebalanceInProgress)
	r.wantState(PreparingRebalance, 1)
}

func TestAHeldHeartbeatIsAnsweredWhenItsTimeIsUp(t *testing.T) {
	r := newRig(t, config())
	m := r.stable(nil, "x")
	id := r.held(m[0].id, 1, 5*second)
	r.advance(5*second - 1)
	r.wantHeld(id)
	r.advance(1)
	r.wantCode(id, kafka.None)
}

func TestAHoldIsBoundedByTheSession(t *testing.T) {
	for _, c := range []struct {
		name                   string
		session, since, longer time.Duration
		want                   time.Duration // 0: not held
	}{
		{"the cap of the client", 45 * second, 3 * second, 5 * second, 5 * second},
		{"a third of the session", 9 * second, 0, 5 * second, 3 * second},
		{"half the session since the last answer", 10 * second, 3 * second, 5 * second, 2 * second},
		{"too short to be worth it", 10 * second, 4600 * time.Millisecond, 5 * second, 0},
		{"not asked for", 45 * second, 3 * second, 0, 0},
	} {
		r := newRig(t, config())
		m := r.stable(func(q *JoinRequest) { q.SessionTimeout = c.session }, "x")
		r.advance(c.since)
		id := r.held(m[0].id, 1, c.longer)
		if c.want > 0 {
			r.advance(c.want - 1)
			r.wantHeld(id)
			r.advance(1)
		}
		r.wantCode(id, kafka.None)
	}
}

func TestAHoldIsNoSignOfLife(t *testing.T) {
	r := newRig(t, config())
	m := r.stable(func(q *JoinRequest) { q.SessionTimeout = 6 * second }, "x", "y")
	r.advance(second)
	id := r.held(m[0].id, 1, 5*second)
	y := r.held(m[1].id, 1, 0)
	r.wantCode(y, kafka.None)
	r.advance(2 * second)
	r.wantCode(id, kafka.None) // a third of its session
	r.advance(4*second - 1)
	r.wantState(Stable, 1)
	r.advance(1)
	if n := len(r.s.groups["g"].members); n != 0 {
		t.Errorf("%d members are left six seconds after their last heartbeat came", n)
	}
}

func TestWhoIsNeverHeld(t *testing.T) {
	for _, c := range []struct {
		name     string
		instance string
		protocol string
	}{
		{"a static member, whose close would wait for the answer", "i", "range"},
		{"Kafka Streams, which closes without leaving", "", "stream"},
	} {
		r := newRig(t, config())
		edit := func(q *JoinRequest) {
			q.Version, q.Instance, q.Protocols = 3, c.instance, protos(topics("t"), c.protocol)
		}
		joined := r.join("x", edit)
		r.advance(3 * second)
		member := must[JoinReply](r, joined).Member
		r.syncAs(member, 1, func(q *SyncRequest) { q.Instance = c.instance })
		r.wantState(Stable, 1)
		id := r.ask(func(id coord.ReplyID) coord.Event {
			return &HeartbeatRequest{Reply: id, Group: "g", Member: member, Instance: c.instance, Generation: 1, Hold: 5 * second}
		})
		if a := answer[HeartbeatReply](r, id); a == nil || a.Code != kafka.None {
			t.Errorf("%s: %+v", c.name, a)
		}
	}
	r := newRig(t, config())
	m := r.stable(nil, "x")
	r.wantCode(r.held("stranger", 1, 5*second), kafka.UnknownMemberID)
	r.wantCode(r.held(m[0].id, 7, 5*second), kafka.IllegalGeneration)
}

func TestWhatTheMemberDoesNextEndsTheHoldFirst(t *testing.T) {
	for _, c := range []struct {
		name string
		act  func(r *rig, id string, held coord.ReplyID)
		want kafka.ErrorCode
	}{
		{"something else arrives on its connection", func(r *rig, id string, held coord.ReplyID) {
			r.step(&HoldRelease{Held: held, Group: "g", Member: id})
		}, kafka.None},
		{"another heartbeat", func(r *rig, id string, _ coord.ReplyID) { r.heartbeat(id, 1) }, kafka.None},
		{"it joins again", func(r *rig, id string, _ coord.ReplyID) { r.rejoin("x", id, nil) }, kafka.None},
		{"it syncs again", func(r *rig, id string, _ coord.ReplyID) { r.syncAs(id, 1, nil) }, kafka.None},
		{"it leaves", func(r *rig, id string, _ coord.ReplyID) {
			r.ask(func(reply coord.ReplyID) coord.Event {
				return &LeaveRequest{Reply: reply, Version: 5, Group: "g", Members: []Leaver{{Member: id}}}
			})
		}, kafka.None},
	} {
		r := newRig(t, config())
		m := r.stable(nil, "x", "y")
		held := r.held(m[0].id, 1, 5*second)
		r.wantHeld(held)
		c.act(r, m[0].id, held)
		if a := answer[HeartbeatReply](r, held); a == nil || a.Code != c.want {
			t.Errorf("%s: %+v, want %s", c.name, a, c.want)
		}
	}
}

func TestAReleaseThatComesLateDoesNothing(t *testing.T) {
	r := newRig(t, config())
	m := r.stable(nil, "x")
	first := r.held(m[0].id, 1, 5*second)
	r.advance(5 * second)
	r.wantCode(first, kafka.None)
	again := r.held(m[0].id, 1, 5*second)
	r.step(&HoldRelease{Held: first, Group: "g", Member: m[0].id})
	r.wantHeld(again)
	r.step(&HoldRelease{Held: first, Group: "nobody", Member: m[0].id})
	r.step(&HoldRelease{Held: first, Group: "g", Member: "nobody"})
}
