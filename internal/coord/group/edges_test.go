package group

import (
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/offset"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

func TestScenario06ManyExtensionsEndWithTheRebalanceTimeout(t *testing.T) {
	r := newRig(t, config())
	edit := func(q *JoinRequest) { q.RebalanceTimeout = 10 * second }
	j, _ := r.enter("x", edit)
	want(t, answeredAt(r, j, func(int) { r.enter("y", edit) }), 10*second)
}

func TestScenario14WhoIsLeftOutGetsNothingOfTheLastGeneration(t *testing.T) {
	r := newRig(t, config())
	m := r.stable(nil, "x", "y")
	r.rejoin("x", m[0].id, nil)
	r.rejoin("y", m[1].id, nil)
	y := r.syncAs(m[1].id, 2, nil)
	r.syncAs(m[0].id, 2, func(q *SyncRequest) { q.Assignments = []Assignment{{m[0].id, []byte("all")}} })
	want(t, len(must[SyncReply](r, y).Assignment), 0)
}

func TestScenario26AStaticMemberComesBackToAFullGroup(t *testing.T) {
	cfg := config()
	cfg.SizeMax = 2
	r := newRig(t, cfg)
	r.stableStatic("x", "s")
	want(t, must[JoinReply](r, r.join("s", static("s"))).Code, kafka.None)
	want(t, must[JoinReply](r, r.join("z", static("z"))).Code, kafka.GroupMaxSizeReached)
	r.wantState(Stable, 1)
}

func TestAPendingIDComesWithoutAnInstanceID(t *testing.T) {
	r := newRig(t, config())
	id := must[JoinReply](r, r.join("x", nil)).Member
	want(t, must[JoinReply](r, r.rejoin("x", id, static("i"))).Code, kafka.UnknownMemberID)
	if j := r.rejoin("x", id, nil); answer[JoinReply](r, j) != nil {
		t.Fatal("the id was forgotten")
	}
}

func TestASyncKeepsASessionAlive(t *testing.T) {
	r := newRig(t, config())
	m := r.stable(func(q *JoinRequest) { q.SessionTimeout = 10 * second }, "x")
	for range 5 {
		r.advance(9 * second)
		want(t, must[SyncReply](r, r.syncAs(m[0].id, 1, nil)).Code, kafka.None)
	}
	r.wantState(Stable, 1)
}

func TestScenario43TheLeaderIsStillTheLeaderAfterAMove(t *testing.T) {
	r := newRig(t, config())
	m := r.stable(nil, "x", "y")
	r.load()
	if a := must[JoinReply](r, r.rejoin("y", m[1].id, nil)); a.Leader != m[0].id {
		t.Fatalf("%+v", a)
	}
	r.rejoin("x", m[0].id, nil)
	r.wantState(PreparingRebalance, 1)
}

func TestScenario30ASilentStaticLeaderDoesNotLead(t *testing.T) {
	r := newRig(t, config())
	edit := func(q *JoinRequest) {
		q.Instance, q.SessionTimeout, q.RebalanceTimeout = q.Client, 600*second, 60*second
	}
	x, s := r.join("x", edit), r.join("s", edit)
	r.advance(6 * second)
	m := []seated{{must[JoinReply](r, x).Member, "x", edit}, {must[JoinReply](r, s).Member, "s", edit}}
	r.settle(m...)
	s = r.rejoin("s", m[1].id, func(q *JoinRequest) { edit(q); q.Protocols = protos(topics("t", "u"), "range") })
	r.advance(60 * second)
	if a := must[JoinReply](r, s); a.Leader != m[1].id || len(a.Members) != 2 {
		t.Fatalf("%+v", a)
	}
}

func TestAGroupSomebodyIsAboutToJoinIsNotForgotten(t *testing.T) {
	r := newRig(t, config())
	id := must[JoinReply](r, r.join("x", func(q *JoinRequest) { q.SessionTimeout = 15 * time.Minute })).Member
	r.advance(11 * time.Minute)
	if j := r.rejoin("x", id, nil); answer[JoinReply](r, j) != nil {
		t.Fatal("the group went away")
	}
}

func TestTheGroupWithoutANameHasOffsetsOnly(t *testing.T) {
	r := newRig(t, config())
	want(t, code(r.commitOffset(func(q *offset.CommitRequest) { q.Group = "" })), kafka.None)
	want(t, r.stored(""), "t-0=10")
	want(t, r.describe("").State, Empty)
	want(t, must[JoinReply](r, r.join("x", func(q *JoinRequest) { q.Group = "" })).Code, kafka.InvalidGroupID)
	want(t, must[SyncReply](r, r.syncAs("x", 1, func(q *SyncRequest) { q.Group = "" })).Code, kafka.InvalidGroupID)
	want(t, r.beat("", "x", "", 1), kafka.InvalidGroupID)
	want(t, must[LeaveReply](r, r.ask(func(id coord.ReplyID) coord.Event {
		return &LeaveRequest{Reply: id, Version: 5, Members: []Leaver{{Member: "x"}}}
	})), LeaveReply{Code: kafka.InvalidGroupID})
	want(t, must[offset.DeleteReply](r, r.ask(func(id coord.ReplyID) coord.Event { return &offset.DeleteRequest{Reply: id} })).Code, kafka.InvalidGroupID)
	want(t, r.deleteGroups("")[0].Code, kafka.None)
}

func TestAFiringTooManyDoesNothing(t *testing.T) {
	r := newRig(t, config())
	m := r.stable(nil, "x")
	g := r.s.groups["g"]
	before := r.describe("g")
	for _, key := range []struct{ kind, group, member string }{{"session", "gone", "x"}, {"session", "g", "gone"}, {"pending", "g", "gone"}, {"join", "g", ""}, {"sync", "g", ""}} {
		k := g.joinTimer()
		k.Kind, k.Group, k.Member = coord.TimerKind(key.kind), key.group, key.member
		r.step(coord.TimerFired{Key: k})
	}
	want(t, r.describe("g"), before)
	want(t, r.heartbeat(m[0].id, 1), kafka.None)
}

func TestWhatNoShardTakesPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("no panic")
		}
	}()
	New(config()).Step(start, nil)
}
