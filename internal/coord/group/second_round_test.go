package group

import (
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// The rules of classic_second_round.go, one by one. x and y own two partitions each; z is new.

const holdSyncFor = 5 * second

// claims has a member say what it owns.
func claims(parts ...int32) func(*JoinRequest) {
	return func(q *JoinRequest) { q.Protocols = protos(owning(parts...), "cooperative-sticky") }
}

// secondRound is a group of x and y, which own 0 and 1, and 2 and 3, and z, which has come to them: everybody's join is answered in generation 2,
// and x leads.
type secondRound struct {
	*rig
	ids       map[string]string
	instances map[string]string
}

// streams is a member of Kafka Streams that owns these partitions.
func streams(parts ...int32) func(*JoinRequest) {
	return func(q *JoinRequest) { q.Protocols = protos(owning(parts...), streamsProtocol) }
}

func newSecondRound(t *testing.T, z func(*JoinRequest)) *secondRound {
	t.Helper()
	r := newRig(t, config())
	m := r.stable(claims(), "x", "y")
	q := r.joinRequest("z", z)
	enters := r.join("z", z)
	if q.Instance == "" {
		enters = r.rejoin("z", must[JoinReply](r, enters).Member, z)
	}
	x, y := r.rejoin("x", m[0].id, claims(0, 1)), r.rejoin("y", m[1].id, claims(2, 3))
	r.wantState(CompletingRebalance, 2)
	return &secondRound{r, map[string]string{"x": must[JoinReply](r, x).Member, "y": must[JoinReply](r, y).Member, "z": must[JoinReply](r, enters).Member},
		map[string]string{"z": q.Instance}}
}

// sync is a sync in generation 2; plan is what the leader, x, gives to x, y and z.
func (r *secondRound) sync(name string, hold time.Duration, plan ...[]byte) coord.ReplyID {
	r.t.Helper()
	return r.syncAs(r.ids[name], 2, func(q *SyncRequest) {
		q.Hold, q.Instance = hold, r.instances[name]
		for i, bytes := range plan {
			q.Assignments = append(q.Assignments, Assignment{r.ids[[]string{"x", "y", "z"}[i]], bytes})
		}
	})
}

// held is z's sync, held after y was told to give up 3.
func (r *secondRound) held() coord.ReplyID {
	r.t.Helper()
	r.sync("x", 0, movesOne()...)
	r.sync("y", 0)
	z := r.sync("z", holdSyncFor)
	r.wantSyncHeld(z)
	return z
}

func (r *rig) wantSyncHeld(id coord.ReplyID) {
	r.t.Helper()
	if a := answer[SyncReply](r, id); a != nil {
		r.t.Fatalf("answered %+v, want it held", a)
	}
	r.wantState(Stable, 2)
}

// movesOne is the plan that takes 3 from y, for z.
func movesOne() [][]byte { return [][]byte{giving(0, 1), giving(2), nil} }

func TestTheNewcomerIsToldOfTheSecondRoundWhenItBegins(t *testing.T) {
	for _, early := range []bool{true, false} {
		r := newSecondRound(t, claims())
		var z coord.ReplyID
		if early {
			z = r.sync("z", holdSyncFor)
		}
		x := r.sync("x", holdSyncFor, movesOne()...)
		if !early {
			z = r.sync("z", holdSyncFor)
		}
		y := r.sync("y", holdSyncFor)
		for _, id := range []coord.ReplyID{x, y} {
			if a := must[SyncReply](r.rig, id); a.Code != kafka.None || a.Held {
				t.Errorf("who has partitions hears %+v", a)
			}
		}
		r.wantSyncHeld(z)
		r.advance(20 * time.Millisecond)
		r.rejoin("y", r.ids["y"], claims(2))
		a := must[SyncReply](r.rig, z)
		if a.Code != kafka.RebalanceInProgress || !a.Held || a.Bound || a.For != 20*time.Millisecond || a.Assignment != nil {
			t.Errorf("the newcomer hears %+v", a)
		}
		r.wantState(PreparingRebalance, 2)
		if told := last[coord.MemberTold](r.rig); told.Member.ID != r.ids["z"] || told.API != "SyncGroup" || !told.Held {
			t.Errorf("noted: %+v", told)
		}
	}
}

func last[T coord.Note](r *rig) (note T) {
	for _, n := range r.notes {
		if n, ok := n.(T); ok {
			note = n
		}
	}
	return note
}

func TestASyncIsHeldOnlyWhenASecondRoundMustFollow(t *testing.T) {
	for _, c := range []struct {
		name string
		z    func(*JoinRequest)
		plan [][]byte
		hold time.Duration
		held bool
	}{
		{"a partition is taken from its owner and left to nobody", claims(), movesOne(), holdSyncFor, true},
		{"of a client that may not be held", claims(), movesOne(), 0, false},
		{"everybody keeps what it has", claims(), [][]byte{giving(0, 1), giving(2, 3), nil}, holdSyncFor, false},
		{"the partition goes to another at once", claims(), [][]byte{giving(0, 1, 3), giving(2), nil}, holdSyncFor, false},
		{"the newcomer is given something", claims(), [][]byte{giving(0, 1), giving(2), giving(4)}, holdSyncFor, false},
		{"the newcomer owns something", claims(5), [][]byte{giving(0, 1), giving(2), nil}, holdSyncFor, false},
		{"the newcomer has to give up what it owns, and nobody else", claims(5), [][]byte{giving(0, 1), giving(2, 3), nil}, holdSyncFor, false},
		{"the newcomer's assignment is there and empty", claims(), [][]byte{giving(0, 1), giving(2), giving()}, holdSyncFor, true},
		{"an assignment that cannot be read", claims(), [][]byte{giving(0, 1), {0, 1, 9}, nil}, holdSyncFor, false},
		{"an assignment of the newcomer's that cannot be read", claims(), [][]byte{giving(0, 1), giving(2), {0, 1, 9}}, holdSyncFor, false},
		{"a static member, whose close would wait", func(q *JoinRequest) { claims()(q); q.Instance = "i" }, movesOne(), holdSyncFor, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newSecondRound(t, c.z)
			z := r.sync("z", c.hold)
			r.sync("x", 0, c.plan...)
			if a := answer[SyncReply](r.rig, z); (a == nil) != c.held {
				t.Errorf("%+v", a)
			} else if a != nil && (a.Code != kafka.None || a.Held) {
				t.Errorf("%+v", a)
			}
		})
	}
}

func TestAMemberOfKafkaStreamsIsNotHeldForTheSecondRound(t *testing.T) {
	r := newRig(t, config())
	m := r.stable(streams(), "x", "y")
	enters, id := r.enter("z", streams())
	r.rejoin("x", m[0].id, streams(0, 1))
	r.rejoin("y", m[1].id, streams(2, 3))
	if a := must[JoinReply](r, enters); a.Protocol != streamsProtocol {
		t.Fatalf("%+v", a)
	}
	z := r.syncAs(id, 2, func(q *SyncRequest) { q.Hold = holdSyncFor })
	r.syncAs(m[0].id, 2, func(q *SyncRequest) {
		q.Assignments = []Assignment{{m[0].id, giving(0, 1)}, {m[1].id, giving(2)}, {id, nil}}
	})
	if a := must[SyncReply](r, z); a.Code != kafka.None || a.Held {
		t.Errorf("%+v", a)
	}
}

func TestAnEagerGroupIsNotHeld(t *testing.T) {
	r := newRig(t, config())
	m := r.gather(nil, "x", "y", "z")
	z := r.syncAs(m[2].id, 1, func(q *SyncRequest) { q.Hold = holdSyncFor })
	r.syncAs(m[0].id, 1, func(q *SyncRequest) {
		q.Hold, q.Assignments = holdSyncFor, []Assignment{{m[0].id, giving(0)}, {m[1].id, giving(1)}}
	})
	if a := must[SyncReply](r, z); a.Code != kafka.None || a.Held {
		t.Errorf("%+v", a)
	}
}

// How long: a second after the first round, less when the client bears less, or the session is short.
func TestTheSecondRoundIsWaitedForASecondAtMost(t *testing.T) {
	for _, c := range []struct {
		name                string
		session, late, hold time.Duration
		want                time.Duration // 0: not held
	}{
		{"a second", 45 * second, 0, holdSyncFor, second},
		{"of a client that may be held for less", 45 * second, 0, 300 * time.Millisecond, 300 * time.Millisecond},
		{"who asks late waits for the rest", 45 * second, 700 * time.Millisecond, holdSyncFor, 300 * time.Millisecond},
		{"who asks too late", 45 * second, second, holdSyncFor, 0},
	} {
		r := newSecondRound(t, func(q *JoinRequest) { claims()(q); q.SessionTimeout = c.session })
		r.sync("x", 0, movesOne()...)
		r.advance(c.late)
		z := r.sync("z", c.hold)
		if c.want > 0 {
			r.advance(c.want - 1)
			r.wantSyncHeld(z)
			r.advance(1)
		}
		a := must[SyncReply](r.rig, z)
		if a.Code != kafka.None || a.Protocol != "cooperative-sticky" || a.Held != (c.want > 0) || a.Bound != (c.want > 0) || a.For != c.want {
			t.Errorf("%s: %+v", c.name, a)
		}
	}
}

// A leader that takes long over its assignment leaves less of the session: half of it is for the client's own clock.
func TestAHeldSyncLeavesHalfTheSession(t *testing.T) {
	r := newSecondRound(t, func(q *JoinRequest) { claims()(q); q.SessionTimeout = 6 * second })
	z := r.sync("z", holdSyncFor)
	r.advance(2400 * time.Millisecond)
	r.sync("x", 0, movesOne()...)
	r.advance(600*time.Millisecond - 1)
	r.wantSyncHeld(z)
	r.advance(1)
	if a := must[SyncReply](r.rig, z); a.Code != kafka.None || !a.Bound {
		t.Errorf("%+v", a)
	}
}

func TestAHeldSyncIsNoSignOfLife(t *testing.T) {
	r := newSecondRound(t, func(q *JoinRequest) { claims()(q); q.SessionTimeout = 6 * second })
	z := r.held()
	r.advance(second)
	if a := must[SyncReply](r.rig, z); !a.Bound {
		t.Errorf("%+v", a)
	}
	r.heartbeat(r.ids["x"], 2)
	r.heartbeat(r.ids["y"], 2)
	r.advance(5*second - 1)
	r.wantState(Stable, 2)
	r.advance(1)
	if r.s.groups["g"].byID[r.ids["z"]] != nil {
		t.Error("still a member six seconds after its sync came")
	}
}

func TestWhatEndsAHeldSync(t *testing.T) {
	for _, c := range []struct {
		name string
		act  func(r *secondRound, z coord.ReplyID)
		want kafka.ErrorCode
	}{
		{"something else arrives on its connection", func(r *secondRound, z coord.ReplyID) {
			r.step(&HoldRelease{Held: z, Group: "g", Member: r.ids["z"]})
		}, kafka.None},
		{"it heartbeats", func(r *secondRound, _ coord.ReplyID) { r.heartbeat(r.ids["z"], 2) }, kafka.None},
		{"it syncs again", func(r *secondRound, _ coord.ReplyID) { r.sync("z", 0) }, kafka.None},
		{"it syncs again with the wrong generation", func(r *secondRound, _ coord.ReplyID) { r.syncAs(r.ids["z"], 1, nil) }, kafka.None},
		{"it joins again", func(r *secondRound, _ coord.ReplyID) { r.rejoin("z", r.ids["z"], claims()) }, kafka.None},
		{"it leaves", func(r *secondRound, _ coord.ReplyID) { r.leaves("z") }, kafka.None},
		{"another joins again", func(r *secondRound, _ coord.ReplyID) { r.rejoin("y", r.ids["y"], claims(2)) }, kafka.RebalanceInProgress},
		{"another leaves", func(r *secondRound, _ coord.ReplyID) { r.leaves("y") }, kafka.RebalanceInProgress},
		{"another comes", func(r *secondRound, _ coord.ReplyID) { r.enter("v", claims()) }, kafka.RebalanceInProgress},
	} {
		r := newSecondRound(t, claims())
		z := r.held()
		c.act(r, z)
		a := answer[SyncReply](r.rig, z)
		if a == nil || a.Code != c.want || !a.Held || a.Bound {
			t.Errorf("%s: %+v, want %s", c.name, a, c.want)
		}
	}
}

func (r *secondRound) leaves(name string) {
	r.ask(func(reply coord.ReplyID) coord.Event {
		return &LeaveRequest{Reply: reply, Version: 5, Group: "g", Members: []Leaver{{Member: r.ids[name]}}}
	})
}

// A sync that ends another one's hold may be held in its turn.
func TestTheSyncThatEndsAHoldIsHeldInItsTurn(t *testing.T) {
	r := newSecondRound(t, claims())
	first := r.held()
	second := r.sync("z", holdSyncFor)
	if a := must[SyncReply](r.rig, first); a.Code != kafka.None {
		t.Errorf("%+v", a)
	}
	r.wantSyncHeld(second)
	r.step(&HoldRelease{Held: first, Group: "g", Member: r.ids["z"]}) // it comes late, and does nothing
	r.wantSyncHeld(second)
}

// Something else that comes while the sync waits for the leader cannot end that, but the sync is not held after it.
func TestASyncThatWaitsForTheLeaderIsReleasedBeforeItIsHeld(t *testing.T) {
	r := newSecondRound(t, claims())
	z := r.sync("z", holdSyncFor)
	r.step(&HoldRelease{Held: z, Group: "g", Member: r.ids["z"]})
	if a := answer[SyncReply](r.rig, z); a != nil {
		t.Fatalf("answered before the leader has assigned: %+v", a)
	}
	r.sync("x", 0, movesOne()...)
	if a := must[SyncReply](r.rig, z); a.Code != kafka.None || a.Held {
		t.Errorf("%+v", a)
	}
}

// The leader's own answer is no exception: it waits for its record first, and may then be held.
func TestALeaderWithoutPartitionsHearsOfTheSecondRoundToo(t *testing.T) {
	r := newRig(t, config())
	m := r.stable(claims(), "x", "y")
	_, z := r.enter("z", claims())
	r.rejoin("x", m[0].id, claims())
	r.rejoin("y", m[1].id, claims(2, 3))
	r.lag = true
	x := r.syncAs(m[0].id, 2, func(q *SyncRequest) {
		q.Hold, q.Assignments = holdSyncFor, []Assignment{{m[0].id, nil}, {m[1].id, giving(2)}, {z, nil}}
	})
	r.rejoin("y", m[1].id, claims(2))
	if a := answer[SyncReply](r, x); a != nil {
		t.Fatalf("answered before its record is committed: %+v", a)
	}
	r.commit(len(r.log))
	if a := must[SyncReply](r, x); a.Code != kafka.RebalanceInProgress {
		t.Errorf("%+v", a)
	}
}
