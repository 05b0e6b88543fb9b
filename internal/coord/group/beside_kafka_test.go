package group

import (
	"testing"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// What random walks beside Apache Kafka have shown (interop/groupwalk).

func TestWhoIsRemovedWhileItJoinsHearsNoID(t *testing.T) {
	r := newRig(t, config())
	m := r.stable(nil, "x", "y")
	j := r.rejoin("x", m[0].id, func(q *JoinRequest) { q.Protocols = protos(topics("other"), "range") })
	want(t, r.leave(3, Leaver{Member: m[0].id}).Members[0].Code, kafka.None)
	got := must[JoinReply](r, j)
	want(t, got.Code, kafka.UnknownMemberID)
	want(t, got.Member, "")
}

func TestDescribeShowsTheLastAssignmentUntilTheLeaderAssigns(t *testing.T) {
	r := newRig(t, config())
	m := r.stable(nil, "x")
	before := r.describe("g").Members[0].Assignment
	if len(before) == 0 {
		t.Fatal("the group was made without an assignment")
	}
	must[JoinReply](r, r.rejoin("x", m[0].id, nil))
	r.wantState(CompletingRebalance, 2)
	want(t, string(r.describe("g").Members[0].Assignment), string(before))

	// A round that is broken off takes it away.
	must[JoinReply](r, r.rejoin("x", m[0].id, func(q *JoinRequest) { q.Protocols = protos(topics("other"), "range") }))
	r.wantState(CompletingRebalance, 3)
	want(t, len(r.describe("g").Members[0].Assignment), 0)
}

func TestAPendingIDIsGivenBackUnderAnyInstanceID(t *testing.T) {
	r := newRig(t, config())
	id := must[JoinReply](r, r.join("x", nil)).Member
	got := r.leave(3, Leaver{Member: id, Instance: "somebody"}, Leaver{Member: id})
	want(t, got.Members[0].Code, kafka.None)
	want(t, got.Members[1].Code, kafka.UnknownMemberID)
}

func TestAnIDThatIsTurnedAwayFromAFullGroupHoldsNothingUp(t *testing.T) {
	cfg := config()
	cfg.SizeMax = 2
	r := newRig(t, cfg)
	m := r.stable(nil, "x")
	y, _ := r.enter("y", nil)
	z := must[JoinReply](r, r.join("z", nil)).Member
	x := r.rejoin("x", m[0].id, nil)
	if answer[JoinReply](r, y) != nil || answer[JoinReply](r, x) != nil {
		t.Fatal("the id that was given to z is not waited for")
	}
	want(t, must[JoinReply](r, r.rejoin("z", z, nil)).Code, kafka.GroupMaxSizeReached)
	want(t, must[JoinReply](r, x).Generation, int32(2))
	want(t, must[JoinReply](r, y).Generation, int32(2))
}
