package group

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// The scenarios of the checklist that speak of members, by their number. Those of offsets are in scenarios_offsets_test.go.

const second = time.Second

func TestScenario01FirstJoinIsGivenAnID(t *testing.T) {
	r := newRig(t, config())
	a := must[JoinReply](r, r.join("app", nil))
	if a.Code != kafka.MemberIDRequired || !strings.HasPrefix(a.Member, "app-") || len(a.Member) == len("app-") || a.Generation != NoGeneration {
		t.Fatalf("%+v", a)
	}
	want(t, r.describe("g"), Description{Group: "g", State: Empty})
}

func TestScenario02JoinWithTheIDIsAnsweredAfterTheDelay(t *testing.T) {
	r := newRig(t, config())
	j, id := r.enter("app", nil)
	r.advance(3*second - 1)
	if answer[JoinReply](r, j) != nil {
		t.Fatal("answered early")
	}
	r.advance(1)
	want(t, must[JoinReply](r, j), JoinReply{Generation: 1, ProtocolType: "consumer", Protocol: "range", Leader: id, Member: id,
		Members: []JoinedMember{{ID: id, Metadata: topics("t")}}})
}

func TestScenario02WithoutDelayTheJoinIsAnsweredAtOnce(t *testing.T) {
	cfg := config()
	cfg.InitialRebalanceDelay = 0
	r := newRig(t, cfg)
	j, id := r.enter("app", nil)
	if a := must[JoinReply](r, j); a.Generation != 1 || a.Leader != id {
		t.Fatalf("%+v", a)
	}
}

func TestScenario03AnIDNobodyComesBackWithIsForgotten(t *testing.T) {
	r := newRig(t, config())
	id := must[JoinReply](r, r.join("app", nil)).Member
	r.advance(45 * second)
	if a := must[JoinReply](r, r.rejoin("app", id, nil)); a.Code != kafka.UnknownMemberID {
		t.Fatalf("%+v", a)
	}
}

func TestScenario04OldVersionsJoinInOneStep(t *testing.T) {
	r := newRig(t, config())
	j := r.join("app", func(q *JoinRequest) { q.Version = 3 })
	if answer[JoinReply](r, j) != nil {
		t.Fatal("not parked")
	}
	r.advance(3 * second)
	if a := must[JoinReply](r, j); a.Code != kafka.None || a.Generation != 1 {
		t.Fatalf("%+v", a)
	}
}

// answeredAt is how long after the start a join is answered, looked at second by second.
func answeredAt(r *rig, j coord.ReplyID, each func(second int)) time.Duration {
	for s := 0; s < 60; s++ {
		if answer[JoinReply](r, j) != nil {
			return r.now.Since(start)
		}
		if each != nil {
			each(s)
		}
		r.advance(second)
	}
	return -1
}

func TestScenario05TheInitialDelayIsExtendedOnce(t *testing.T) {
	alone := newRig(t, config())
	j, _ := alone.enter("x", nil)
	want(t, answeredAt(alone, j, nil), 3*second)

	two := newRig(t, config())
	j, _ = two.enter("x", nil)
	want(t, answeredAt(two, j, func(s int) {
		if s == 1 {
			two.enter("y", nil)
		}
	}), 6*second)
}

func TestScenario06TheInitialDelayEndsWithTheRebalanceTimeout(t *testing.T) {
	r := newRig(t, config())
	edit := func(q *JoinRequest) { q.RebalanceTimeout = 5 * second }
	j, _ := r.enter("x", edit)
	want(t, answeredAt(r, j, func(int) { r.enter("y", edit) }), 5*second)
}

func TestScenario07ANewMemberBringsEverybodyBack(t *testing.T) {
	r := newRig(t, config())
	m := r.stable(nil, "x", "y")
	z, zid := r.enter("z", nil)
	for _, s := range m {
		want(t, r.heartbeat(s.id, 1), kafka.RebalanceInProgress)
	}
	x := r.rejoin("x", m[0].id, nil)
	if answer[JoinReply](r, z) != nil || answer[JoinReply](r, x) != nil {
		t.Fatal("answered before everybody was there")
	}
	y := r.rejoin("y", m[1].id, nil)
	for _, j := range []coord.ReplyID{x, y, z} {
		if a := must[JoinReply](r, j); a.Code != kafka.None || a.Generation != 2 || a.Leader != m[0].id {
			t.Fatalf("%+v", a)
		}
	}
	if roll := must[JoinReply](r, x).Members; len(roll) != 3 || roll[2].ID != zid {
		t.Fatalf("%+v", roll)
	}
	if must[JoinReply](r, y).Members != nil {
		t.Fatal("a follower was given the list")
	}
}

func TestScenario08WhoDoesNotRejoinInTimeIsRemoved(t *testing.T) {
	r := newRig(t, config())
	long := func(q *JoinRequest) { q.SessionTimeout, q.RebalanceTimeout = 600*second, 60*second }
	m := r.stable(long, "x", "y")
	x := r.rejoin("x", m[0].id, long) // the leader asks for a rebalance
	r.advance(60*second - 1)
	if answer[JoinReply](r, x) != nil {
		t.Fatal("answered early")
	}
	r.advance(1)
	if a := must[JoinReply](r, x); a.Generation != 2 || len(a.Members) != 1 {
		t.Fatalf("%+v", a)
	}
	want(t, r.heartbeat(m[1].id, 1), kafka.UnknownMemberID)
}

func TestScenario09APendingIDHoldsThePhaseOpen(t *testing.T) {
	r := newRig(t, config())
	m := r.stable(nil, "x")
	must[JoinReply](r, r.join("late", func(q *JoinRequest) { q.SessionTimeout = 10 * second }))
	x := r.rejoin("x", m[0].id, nil)
	r.advance(10*second - 1)
	if answer[JoinReply](r, x) != nil {
		t.Fatal("answered while an id is pending")
	}
	r.advance(1)
	if a := must[JoinReply](r, x); a.Generation != 2 {
		t.Fatalf("%+v", a)
	}
}

func TestScenario09APendingIDThatLeavesEndsThePhase(t *testing.T) {
	r := newRig(t, config())
	m := r.stable(nil, "x")
	late := must[JoinReply](r, r.join("late", nil)).Member
	x := r.rejoin("x", m[0].id, nil)
	want(t, r.leave(5, Leaver{Member: late}), LeaveReply{Members: []LeaveResult{{Member: late}}})
	must[JoinReply](r, x)
}

func TestScenario10TheProtocolIsVotedFor(t *testing.T) {
	r := newRig(t, config())
	var joins []coord.ReplyID
	for _, list := range [][]string{{"r", "s"}, {"s", "r"}, {"s", "r"}} {
		j, _ := r.enter("app", func(q *JoinRequest) { q.Protocols = protos(nil, list...) })
		joins = append(joins, j)
	}
	r.advance(9 * second)
	for _, j := range joins {
		want(t, must[JoinReply](r, j).Protocol, "s")
	}
}

func TestVote(t *testing.T) {
	for _, c := range []struct {
		name  string
		lists []string // a member each: its protocols, a letter each
		want  string
	}{
		{"one member has its first choice", []string{"rs"}, "r"},
		{"the majority wins", []string{"rs", "sr", "sr"}, "s"},
		{"a tie goes to the lower name", []string{"sr", "rs"}, "r"},
		{"only what all support is voted for", []string{"xr", "xr", "rs"}, "r"},
		{"a later choice counts when the first is not common", []string{"xsr", "sr", "rs"}, "s"},
		{"a protocol named twice has one vote and one supporter", []string{"xxr", "r"}, "r"},
		{"nothing in common", []string{"r", "s"}, ""},
		{"nobody", nil, ""},
	} {
		g := newClassic("g", start)
		for i, list := range c.lists {
			g.add(&member{ID: string(rune('a' + i)), person: &person{}, offer: &offer{protocols: distinct(protos(nil, strings.Split(list, "")...))}})
		}
		if got := g.vote(); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestScenario11NoCommonProtocol(t *testing.T) {
	r := newRig(t, config())
	r.enter("a", func(q *JoinRequest) { q.Protocols = protos(nil, "r") })
	r.enter("b", func(q *JoinRequest) { q.Protocols = protos(nil, "r", "s") })
	r.advance(6 * second)
	before := r.describe("g")
	a := must[JoinReply](r, r.join("c", func(q *JoinRequest) { q.Protocols = protos(nil, "s") }))
	want(t, a, JoinReply{Code: kafka.InconsistentGroupProtocol, Generation: NoGeneration})
	want(t, r.describe("g"), before)
}

func TestScenario12AnotherProtocolType(t *testing.T) {
	r := newRig(t, config())
	r.stable(nil, "a")
	for _, edit := range []func(*JoinRequest){
		func(q *JoinRequest) { q.ProtocolType = "connect" },
		func(q *JoinRequest) { q.Protocols = nil },
		func(q *JoinRequest) { q.Group, q.Protocols = "new", nil },
		func(q *JoinRequest) { q.Group, q.ProtocolType = "newer", "" },
	} {
		want(t, must[JoinReply](r, r.join("c", edit)).Code, kafka.InconsistentGroupProtocol)
	}
	r.wantState(Stable, 1)
}

func TestScenario13SessionTimeoutBounds(t *testing.T) {
	for ms, code := range map[int]kafka.ErrorCode{5999: kafka.InvalidSessionTimeout, 6000: kafka.MemberIDRequired,
		1800000: kafka.MemberIDRequired, 1800001: kafka.InvalidSessionTimeout, 0: kafka.InvalidSessionTimeout, -1: kafka.InvalidSessionTimeout} {
		r := newRig(t, config())
		a := must[JoinReply](r, r.join("a", func(q *JoinRequest) { q.SessionTimeout = time.Duration(ms) * time.Millisecond }))
		if a.Code != code {
			t.Errorf("%d ms: %+v, want %d", ms, a, code)
		}
	}
}

func TestScenario14TheLeadersAssignmentAnswersEverybody(t *testing.T) {
	r := newRig(t, config())
	m := r.gather(nil, "x", "y", "z")
	y, z := r.syncAs(m[1].id, 1, nil), r.syncAs(m[2].id, 1, nil)
	if answer[SyncReply](r, y) != nil {
		t.Fatal("a follower was answered before the leader came")
	}
	x := r.syncAs(m[0].id, 1, func(q *SyncRequest) {
		q.Assignments = []Assignment{{m[0].id, []byte("old")}, {m[0].id, []byte("mine")}, {m[2].id, []byte("theirs")}, {"stranger", []byte("lost")}}
	})
	for id, bytes := range map[coord.ReplyID]string{x: "mine", y: "", z: "theirs"} {
		if a := must[SyncReply](r, id); a.Code != kafka.None || string(a.Assignment) != bytes || a.Protocol != "range" || a.ProtocolType != "consumer" {
			t.Fatalf("%+v, want assignment %q", a, bytes)
		}
	}
	r.wantState(Stable, 1)
	want(t, string(must[SyncReply](r, r.syncAs(m[2].id, 1, nil)).Assignment), "theirs") // again, in Stable
}

func TestScenario15ALeaderThatNeverSyncsIsReplaced(t *testing.T) {
	r := newRig(t, config())
	m := r.gather(func(q *JoinRequest) { q.RebalanceTimeout, q.SessionTimeout = 20*second, 600*second }, "x", "y")
	y := r.syncAs(m[1].id, 1, nil)
	r.advance(20 * second)
	want(t, must[SyncReply](r, y).Code, kafka.RebalanceInProgress)
	a := must[JoinReply](r, r.rejoin("y", m[1].id, nil))
	if a.Generation != 2 || a.Leader != m[1].id || len(a.Members) != 1 {
		t.Fatalf("%+v", a)
	}
	want(t, r.heartbeat(m[0].id, 1), kafka.UnknownMemberID)
}

func TestScenario16ANewMemberInterruptsTheSync(t *testing.T) {
	r := newRig(t, config())
	m := r.gather(nil, "x", "y")
	y := r.syncAs(m[1].id, 1, nil)
	r.enter("z", nil)
	want(t, must[SyncReply](r, y).Code, kafka.RebalanceInProgress)
	r.wantState(PreparingRebalance, 1)
}

func TestScenario17ARepeatedJoinIsAnsweredAgain(t *testing.T) {
	r := newRig(t, config())
	m := r.gather(nil, "x", "y")
	leader := must[JoinReply](r, r.rejoin("x", m[0].id, nil))
	follower := must[JoinReply](r, r.rejoin("y", m[1].id, nil))
	if leader.Generation != 1 || len(leader.Members) != 2 || follower.Generation != 1 || follower.Members != nil {
		t.Fatalf("%+v\n%+v", leader, follower)
	}
	r.wantState(CompletingRebalance, 1)
	r.rejoin("y", m[1].id, func(q *JoinRequest) { q.Protocols = protos(topics("t", "u"), "range") })
	r.wantState(PreparingRebalance, 1)
}

func TestScenario18WhoseRejoinRebalances(t *testing.T) {
	r := newRig(t, config())
	m := r.stable(nil, "x", "y")
	if a := must[JoinReply](r, r.rejoin("y", m[1].id, nil)); a.Generation != 1 || a.Members != nil {
		t.Fatalf("%+v", a)
	}
	r.wantState(Stable, 1)
	if x := r.rejoin("x", m[0].id, nil); answer[JoinReply](r, x) != nil {
		t.Fatal("the leader's join was answered at once")
	}
	r.wantState(PreparingRebalance, 1)
}

func TestScenario19SyncOfTheWrongKind(t *testing.T) {
	r := newRig(t, config())
	m := r.stable(nil, "x", "y")
	str := func(s string) *string { return &s }
	for _, c := range []struct {
		name       string
		member     string
		generation int32
		edit       func(*SyncRequest)
		want       kafka.ErrorCode
	}{
		{"an old generation", m[0].id, 0, nil, kafka.IllegalGeneration},
		{"a generation to come", m[0].id, 2, nil, kafka.IllegalGeneration},
		{"an unknown member", "nobody", 1, nil, kafka.UnknownMemberID},
		{"an unknown group", m[0].id, 1, func(q *SyncRequest) { q.Group = "other" }, kafka.UnknownMemberID},
		{"another protocol", m[0].id, 1, func(q *SyncRequest) {
			q.Version, q.ProtocolType, q.Protocol = 5, str("consumer"), str("sticky")
		}, kafka.InconsistentGroupProtocol},
		{"another type", m[0].id, 1, func(q *SyncRequest) {
			q.Version, q.ProtocolType, q.Protocol = 5, str("connect"), str("range")
		}, kafka.InconsistentGroupProtocol},
		{"version 5 without a protocol, before anything else", "nobody", 1, func(q *SyncRequest) {
			q.Version, q.ProtocolType = 5, str("consumer")
		}, kafka.InconsistentGroupProtocol},
		{"version 5 as it should be", m[1].id, 1, func(q *SyncRequest) { q.Version, q.ProtocolType, q.Protocol = 5, str("consumer"), str("range") }, kafka.None},
	} {
		if a := must[SyncReply](r, r.syncAs(c.member, c.generation, c.edit)); a.Code != c.want {
			t.Errorf("%s: %+v, want %d", c.name, a, c.want)
		}
	}
	r.wantState(Stable, 1)
}

func TestScenario20HeartbeatsAreFineWhileTheGroupCompletes(t *testing.T) {
	r := newRig(t, config())
	m := r.gather(nil, "x")
	want(t, r.heartbeat(m[0].id, 1), kafka.None)
}

func TestScenario21TheLastMemberGoesSilent(t *testing.T) {
	r := newRig(t, config())
	m := r.stable(func(q *JoinRequest) { q.SessionTimeout = 6 * second }, "x")
	r.advance(4 * second)
	want(t, r.heartbeat(m[0].id, 1), kafka.None)
	r.advance(6*second - 1)
	r.wantState(Stable, 1)
	r.advance(1)
	r.wantState(Empty, 2)
}

func TestScenario22WhoWaitsForAJoinDoesNotExpire(t *testing.T) {
	r := newRig(t, config())
	edit := func(q *JoinRequest) { q.SessionTimeout = 6 * second }
	m := r.stable(edit, "x", "y")
	x := r.rejoin("x", m[0].id, edit)
	for range 10 {
		r.advance(5 * second)
		want(t, r.heartbeat(m[1].id, 1), kafka.RebalanceInProgress) // y is alive, and takes its time
	}
	y := r.rejoin("y", m[1].id, edit)
	for _, j := range []coord.ReplyID{x, y} {
		if a := must[JoinReply](r, j); a.Code != kafka.None || a.Generation != 2 {
			t.Fatalf("%+v", a)
		}
	}
}

func TestScenario23ANewMemberThatDoesNotWaitIsRemoved(t *testing.T) {
	r := newRig(t, config())
	edit := func(q *JoinRequest) { q.RebalanceTimeout = 600 * second }
	m := r.stable(edit, "x")
	j, id := r.enter("gone", edit)
	x := r.rejoin("x", m[0].id, nil) // x is there, gone is there: the phase ends at once
	must[JoinReply](r, x)
	must[JoinReply](r, j)
	r.settle(m[0], seated{id: id, client: "gone"})

	// Now one that waits for x, which does not rejoin.
	late, _ := r.enter("late", edit)
	beat := func(d time.Duration) {
		for until := r.now.Add(d); r.now.Before(until); r.advance(min(5*second, until.Since(r.now))) {
			want(t, r.heartbeat(m[0].id, 2), kafka.RebalanceInProgress)
		}
	}
	beat(newMemberTimeout - 1)
	if answer[JoinReply](r, late) != nil {
		t.Fatal("removed early")
	}
	beat(1)
	want(t, must[JoinReply](r, late).Code, kafka.UnknownMemberID)
}

func TestScenario24LeaveAnswersPerMember(t *testing.T) {
	r := newRig(t, config())
	m := r.stable(nil, "x", "y")
	want(t, r.leave(3, Leaver{Member: m[1].id}, Leaver{Member: "nobody"}), LeaveReply{Members: []LeaveResult{
		{Member: m[1].id}, {Member: "nobody", Code: kafka.UnknownMemberID}}})
	r.wantState(PreparingRebalance, 1)
}

func TestScenario25OldVersionsLeaveAlone(t *testing.T) {
	r := newRig(t, config())
	m := r.stable(nil, "x")
	want(t, r.leave(2, Leaver{Member: "nobody"}), LeaveReply{Code: kafka.UnknownMemberID})
	want(t, r.leave(2, Leaver{Member: m[0].id}), LeaveReply{})
	r.wantState(Empty, 2)
}

func TestScenario25LeavingAGroupThatIsNotThere(t *testing.T) {
	r := newRig(t, config())
	want(t, r.leave(5, Leaver{Member: "a"}), LeaveReply{Members: []LeaveResult{{Member: "a", Code: kafka.UnknownMemberID}}})
	want(t, r.leave(1, Leaver{Member: "a"}), LeaveReply{Code: kafka.UnknownMemberID})
}

func TestScenario26TheGroupIsFull(t *testing.T) {
	cfg := config()
	cfg.SizeMax = 2
	r := newRig(t, cfg)
	m := r.stable(nil, "x", "y")
	want(t, must[JoinReply](r, r.join("z", nil)), JoinReply{Code: kafka.GroupMaxSizeReached, Generation: NoGeneration})
	r.wantState(Stable, 1)

	// In a join phase the seats go to who comes first; a member that comes too late loses its own.
	r.rejoin("x", m[0].id, nil)
	r.leave(5, Leaver{Member: m[1].id})
	r.wantState(CompletingRebalance, 2)
	j, _ := r.enter("z", nil)
	r.rejoin("x", m[0].id, nil)
	if a := must[JoinReply](r, j); a.Generation != 3 {
		t.Fatalf("%+v", a)
	}
}

func static(instance string) func(*JoinRequest) {
	return func(q *JoinRequest) { q.Instance = instance }
}

// stableStatic is a Stable group of static members whose instance ids are the names; the first leads.
func (r *rig) stableStatic(names ...string) (members []seated) {
	r.t.Helper()
	var joins []coord.ReplyID
	for _, n := range names {
		joins = append(joins, r.join(n, static(n)))
	}
	for r.s.groups["g"].state == PreparingRebalance {
		r.fire(r.now.Add(time.Hour))
	}
	for i, j := range joins {
		a := must[JoinReply](r, j)
		if !strings.HasPrefix(a.Member, names[i]+"-") {
			r.t.Fatalf("%+v", a)
		}
		members = append(members, seated{a.Member, names[i], static(names[i])})
	}
	r.settle(members...)
	return members
}

func TestScenario27AStaticMemberComesBackToItsSeat(t *testing.T) {
	r := newRig(t, config())
	m := r.stableStatic("x", "s")
	a := must[JoinReply](r, r.join("s", static("s")))
	if a.Code != kafka.None || a.Generation != 1 || a.Member == m[1].id || a.Leader != m[0].id || a.Members != nil || a.SkipAssignment {
		t.Fatalf("%+v", a)
	}
	want(t, string(must[SyncReply](r, r.syncAs(a.Member, 1, nil)).Assignment), "s")
	r.wantState(Stable, 1)
	want(t, r.beat("g", m[1].id, "s", 1), kafka.FencedInstanceID)
	want(t, must[SyncReply](r, r.syncAs(m[1].id, 1, func(q *SyncRequest) { q.Instance = "s" })).Code, kafka.FencedInstanceID)
	want(t, must[JoinReply](r, r.rejoin("s", m[1].id, static("s"))).Code, kafka.FencedInstanceID)
	want(t, r.leave(5, Leaver{Member: m[1].id, Instance: "s"}).Members[0].Code, kafka.FencedInstanceID)
	want(t, r.beat("g", a.Member, "s", 1), kafka.None)
	r.load()
	want(t, r.beat("g", a.Member, "s", 1), kafka.None)
}

func TestScenario28AStaticLeaderComesBack(t *testing.T) {
	r := newRig(t, config())
	m := r.stableStatic("x", "s")
	a := must[JoinReply](r, r.join("x", static("x")))
	if !a.SkipAssignment || a.Leader != a.Member || len(a.Members) != 2 || a.Generation != 1 {
		t.Fatalf("version 9: %+v", a)
	}
	b := must[JoinReply](r, r.join("x", func(q *JoinRequest) { q.Instance, q.Version = "x", 8 }))
	if b.SkipAssignment || b.Leader != a.Member || b.Members != nil || b.Member == a.Member {
		t.Fatalf("version 8: %+v", b)
	}
	want(t, string(must[SyncReply](r, r.syncAs(b.Member, 1, nil)).Assignment), "x")
	want(t, r.beat("g", m[1].id, "s", 1), kafka.None)
}

func TestScenario28AStaticMemberThatChangesTheVoteRebalances(t *testing.T) {
	r := newRig(t, config())
	r.stableStatic("x")
	if j := r.join("x", func(q *JoinRequest) { q.Instance, q.Protocols = "x", protos(topics("t"), "sticky") }); must[JoinReply](r, j).Code != kafka.InconsistentGroupProtocol {
		t.Fatal("a protocol nobody else supports was taken")
	}
	// It was the only member, and offers another first choice beside the old one.
	j := r.join("x", func(q *JoinRequest) { q.Instance, q.Protocols = "x", protos(topics("t"), "sticky", "range") })
	if a := must[JoinReply](r, j); a.Generation != 2 || a.Protocol != "sticky" || a.SkipAssignment {
		t.Fatalf("%+v", a)
	}
}

func TestScenario29AStaticMemberComesBackWhileTheGroupCompletes(t *testing.T) {
	r := newRig(t, config())
	m := r.stableStatic("x", "s")
	r.rejoin("x", m[0].id, static("x"))
	r.rejoin("s", m[1].id, static("s"))
	r.wantState(CompletingRebalance, 2)
	waits := r.syncAs(m[1].id, 2, nil)
	r.join("s", static("s"))
	want(t, must[SyncReply](r, waits).Code, kafka.FencedInstanceID)
	r.wantState(PreparingRebalance, 2)
}

func TestScenario30ASilentStaticMemberKeepsItsSeatForAWhile(t *testing.T) {
	r := newRig(t, config())
	edit := func(q *JoinRequest) {
		q.Instance, q.SessionTimeout, q.RebalanceTimeout = q.Client, 600*second, 60*second
	}
	x, s := r.join("x", edit), r.join("s", edit)
	r.advance(6 * second)
	m := []seated{{must[JoinReply](r, x).Member, "x", edit}, {must[JoinReply](r, s).Member, "s", edit}}
	r.settle(m...)
	x = r.rejoin("x", m[0].id, edit)
	r.advance(60 * second)
	a := must[JoinReply](r, x)
	if a.Generation != 2 || len(a.Members) != 2 {
		t.Fatalf("after the join timer: %+v", a)
	}
	r.syncAs(m[0].id, 2, nil)
	r.wantState(Stable, 2)
	r.advance(60 * second) // the sync timer
	r.wantState(PreparingRebalance, 2)
	want(t, r.beat("g", m[1].id, "s", 2), kafka.UnknownMemberID)
}

func TestScenario30WithoutAnybodyTheJoinPhaseWaitsForStaticMembers(t *testing.T) {
	r := newRig(t, config())
	edit := func(q *JoinRequest) {
		q.Instance, q.SessionTimeout, q.RebalanceTimeout = q.Client, 600*second, 60*second
	}
	x, s := r.join("x", edit), r.join("s", edit)
	r.advance(6 * second)
	m := []seated{{must[JoinReply](r, x).Member, "x", edit}, {must[JoinReply](r, s).Member, "s", edit}}
	r.settle(m...)
	r.leave(5, Leaver{Instance: "x", Reason: "gone for good"})
	r.advance(61 * second)
	r.wantState(PreparingRebalance, 1)
	a := must[JoinReply](r, r.rejoin("s", m[1].id, edit))
	if a.Generation != 2 || a.Leader != m[1].id {
		t.Fatalf("%+v", a)
	}
}

func TestScenario31AnAdministratorRemovesAStaticMember(t *testing.T) {
	r := newRig(t, config())
	m := r.stableStatic("x", "s")
	waits := r.rejoin("s", m[1].id, func(q *JoinRequest) { q.Instance, q.Protocols = "s", protos(topics("t", "u"), "range") })
	want(t, r.leave(5, Leaver{Instance: "s"}, Leaver{Instance: "other"}), LeaveReply{Members: []LeaveResult{
		{Instance: "s"}, {Instance: "other", Code: kafka.UnknownMemberID}}})
	want(t, must[JoinReply](r, waits).Code, kafka.UnknownMemberID)
	want(t, r.beat("g", m[1].id, "s", 1), kafka.UnknownMemberID)
	r.wantState(PreparingRebalance, 1)
}

func TestScenario43AfterAMoveMembersGoOn(t *testing.T) {
	r := newRig(t, config())
	m := r.stable(nil, "x", "y")
	r.advance(30 * second)
	r.load()
	r.advance(44 * second) // a full session from the load on
	for _, s := range m {
		want(t, r.heartbeat(s.id, 1), kafka.None)
		want(t, string(must[SyncReply](r, r.syncAs(s.id, 1, nil)).Assignment), s.client)
	}
	r.wantState(Stable, 1)
}

func TestScenario43ARoundUnderWayIsLostWithTheCoordinator(t *testing.T) {
	r := newRig(t, config())
	m := r.stable(nil, "x", "y")
	x, y := r.rejoin("x", m[0].id, nil), r.rejoin("y", m[1].id, nil)
	if must[JoinReply](r, x).Generation != 2 || must[JoinReply](r, y).Generation != 2 {
		t.Fatal("no new generation")
	}
	r.load()
	r.wantState(Stable, 1)
	want(t, r.heartbeat(m[0].id, 2), kafka.IllegalGeneration)
	want(t, r.heartbeat(m[0].id, 1), kafka.None)
	// The record knows the chosen protocol only: a follower that offers more has changed, as far as anybody can tell.
	r.rejoin("y", m[1].id, func(q *JoinRequest) { q.Protocols = protos(topics("t"), "range", "cooperative-sticky") })
	r.wantState(PreparingRebalance, 1)
}

func TestALoadedGroupAboveTheLimitIsGatheredAnew(t *testing.T) {
	r := newRig(t, config())
	m := r.stable(nil, "x", "y", "z")
	r.cfg.SizeMax = 2
	r.load()
	r.wantState(PreparingRebalance, 1)
	x, y := r.rejoin("x", m[0].id, nil), r.rejoin("y", m[1].id, nil)
	want(t, must[JoinReply](r, r.rejoin("z", m[2].id, nil)), JoinReply{Code: kafka.GroupMaxSizeReached, Generation: NoGeneration})
	if a, b := must[JoinReply](r, x), must[JoinReply](r, y); a.Generation != 2 || len(a.Members) != 2 || b.Generation != 2 {
		t.Fatalf("%+v\n%+v", a, b)
	}
}

func TestARepeatedRequestTakesThePlaceOfTheOneThatWaits(t *testing.T) {
	r := newRig(t, config())
	m := r.stable(nil, "x", "y")
	first, again := r.rejoin("x", m[0].id, nil), r.rejoin("x", m[0].id, nil)
	want(t, must[JoinReply](r, first).Code, kafka.RebalanceInProgress)
	y := r.rejoin("y", m[1].id, nil)
	want(t, must[JoinReply](r, again).Generation, 2)
	must[JoinReply](r, y)
	one, two := r.syncAs(m[1].id, 2, nil), r.syncAs(m[1].id, 2, nil)
	want(t, must[SyncReply](r, one).Code, kafka.RebalanceInProgress)
	r.syncAs(m[0].id, 2, nil)
	want(t, must[SyncReply](r, two).Code, kafka.None)
}

func TestAnAssignmentThatDoesNotFitTheLogIsRefused(t *testing.T) {
	cfg := config()
	cfg.RecordBytesMax = 1000
	r := newRig(t, cfg)
	m := r.gather(nil, "x", "y")
	y := r.syncAs(m[1].id, 1, nil)
	x := r.syncAs(m[0].id, 1, func(q *SyncRequest) { q.Assignments = []Assignment{{m[0].id, make([]byte, 1000)}} })
	want(t, must[SyncReply](r, x).Code, kafka.UnknownServerError)
	want(t, must[SyncReply](r, y).Code, kafka.UnknownServerError)
	r.wantState(PreparingRebalance, 1)
	if !slices.ContainsFunc(r.notes, func(n coord.Note) bool {
		refused, ok := n.(coord.RequestRefused)
		return ok && strings.Contains(refused.Why, "max.message.bytes")
	}) {
		t.Fatal("no note says what to do")
	}
}

func TestAnOversizedRequestIsRefusedBeforeItReachesARecord(t *testing.T) {
	long := strings.Repeat("x", 1<<15)
	for name, edit := range map[string]func(*JoinRequest){
		"client":        func(q *JoinRequest) { q.Client = long },
		"instance":      func(q *JoinRequest) { q.Instance = long },
		"host":          func(q *JoinRequest) { q.Host = long },
		"protocol type": func(q *JoinRequest) { q.ProtocolType = long },
		"protocol":      func(q *JoinRequest) { q.Protocols = protos(nil, long) },
	} {
		r := newRig(t, config())
		if a := must[JoinReply](r, r.join("a", edit)); a.Code != kafka.InvalidRequest {
			t.Errorf("%s: %+v", name, a)
		}
	}
	r := newRig(t, config())
	for _, group := range []string{"", long} {
		want(t, must[JoinReply](r, r.join("a", func(q *JoinRequest) { q.Group = group })).Code, kafka.InvalidGroupID)
	}
}
