package group

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/barnabas-mq/barnabas/assign"
	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/offset"
	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// failer is what testing.TB and rapid.T have in common.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// start is when every test begins.
var start = vtime.FromTime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))

func config() Config {
	return Config{SessionTimeoutMin: 6 * time.Second, SessionTimeoutMax: 30 * time.Minute, InitialRebalanceDelay: 3 * time.Second, SizeMax: 1 << 30,
		RecordBytesMax: 1 << 20, Offsets: offset.Config{MetadataMax: 4096, Retention: 7 * 24 * time.Hour, CheckInterval: 10 * time.Minute}}
}

type entry struct{ key, value []byte }

// rig drives one shard as a driver would: it appends, applies, keeps timers, and holds replies until their records are committed. After
// every step it checks what must always hold.
type rig struct {
	t      failer
	cfg    Config
	s      *Shard
	shadow *Shard // has read the log and never took a step
	now    vtime.Instant
	timers map[coord.TimerKey]vtime.Instant

	log       []entry
	committed int // entries of log that a crash leaves
	lag       bool
	traced    bool // events go through a trace before they are taken
	parked    []parkedReply

	lastReply coord.ReplyID
	open      map[coord.ReplyID]bool // asked, and not answered by the core
	answers   map[coord.ReplyID]any  // answered, and committed
	said      map[coord.ReplyID]said
	notes     []coord.Note
	retold    map[string]*retold
	uuids     int
}

// said is what a sync was about when the core answered it.
type said struct {
	seat       string // the instance id of a static member, else its id
	generation int32
	after      int // entries of log it stands on
}

type parkedReply struct {
	reply coord.Reply
	after int // entries of log that must be committed first
}

func newRig(t failer, cfg Config) *rig {
	r := &rig{t: t, cfg: cfg, now: start, open: map[coord.ReplyID]bool{}, answers: map[coord.ReplyID]any{}, said: map[coord.ReplyID]said{}}
	r.load()
	return r
}

// replay is a fresh shard that has read the first n entries of the log.
func (r *rig) replay(n int) *Shard {
	s := New(r.cfg)
	for i, e := range r.log[:n] {
		rec, err := record.Decode(e.key, e.value)
		if err != nil {
			r.t.Fatalf("entry %d: %v", i, err)
		}
		s.Apply(int64(i), rec)
	}
	return s
}

// load starts over with what is committed, as after a crash.
func (r *rig) load() {
	r.log = r.log[:r.committed]
	r.s, r.shadow, r.timers, r.parked = r.replay(r.committed), r.replay(r.committed), map[coord.TimerKey]vtime.Instant{}, nil
	clear(r.open)
	r.retold = nil
	r.take(r.s.Restore(r.now))
	r.retold = map[string]*retold{}
	for name, g := range r.s.groups {
		r.retold[name] = retell(g)
	}
}

// commit lets n more entries be committed.
func (r *rig) commit(n int) {
	r.committed = min(r.committed+n, len(r.log))
	for len(r.parked) > 0 && r.parked[0].after <= r.committed {
		p := r.parked[0]
		r.parked = r.parked[1:]
		r.answers[p.reply.To] = p.reply.Body
	}
}

func (r *rig) step(ev coord.Event) {
	r.t.Helper()
	if r.traced {
		ev = r.throughTrace(ev)
	}
	r.take(r.s.Step(r.now, ev))
}

// throughTrace is the event as a trace in JSON gives it back.
func (r *rig) throughTrace(ev coord.Event) coord.Event {
	r.t.Helper()
	b, err := json.Marshal(ev)
	if err != nil {
		r.t.Fatalf("%s: %v", ev.EventName(), err)
	}
	typ, pointer := reflect.TypeOf(ev), false
	if typ.Kind() == reflect.Pointer {
		typ, pointer = typ.Elem(), true
	}
	back := reflect.New(typ)
	if err := json.Unmarshal(b, back.Interface()); err != nil {
		r.t.Fatalf("%s: %v", ev.EventName(), err)
	}
	if pointer {
		return back.Interface().(coord.Event)
	}
	return back.Elem().Interface().(coord.Event)
}

func (r *rig) take(fx coord.Effects) {
	r.t.Helper()
	for _, rec := range fx.Records {
		e := entry{key: rec.AppendKey(nil)}
		if v, ok := rec.AppendValue([]byte{}); ok {
			e.value = v
		}
		r.log = append(r.log, e)
		r.s.Apply(int64(len(r.log)), rec)
		read, err := record.Decode(e.key, e.value)
		if err != nil {
			r.t.Fatalf("%T: %v", rec, err)
		}
		r.shadow.Apply(int64(len(r.log)), read)
	}
	if len(fx.Records) > 0 {
		r.checkReplay()
	}
	for _, reply := range fx.Replies {
		if !r.open[reply.To] {
			r.t.Fatalf("%T to %d, which does not wait", reply.Body, reply.To)
		}
		delete(r.open, reply.To)
		if s, ok := r.said[reply.To]; ok {
			s.after = len(r.log)
			r.said[reply.To] = s
		}
		r.parked = append(r.parked, parkedReply{reply, len(r.log)})
	}
	for _, op := range fx.Timers {
		if op.Cancel {
			delete(r.timers, op.Key)
		} else {
			r.timers[op.Key] = op.At
		}
	}
	r.notes = append(r.notes, fx.Notes...)
	r.checkNotes(fx.Notes)
	if !r.lag {
		r.commit(len(r.log))
	}
	r.check()
}

// fire delivers the earliest timer that is due by until. It reports whether there was one.
func (r *rig) fire(until vtime.Instant) bool {
	keys := slices.SortedFunc(maps.Keys(r.timers), func(a, b coord.TimerKey) int {
		return cmp.Or(cmp.Compare(r.timers[a], r.timers[b]), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Member, b.Member))
	})
	if len(keys) == 0 || until.Before(r.timers[keys[0]]) {
		return false
	}
	r.now = max(r.now, r.timers[keys[0]])
	delete(r.timers, keys[0])
	r.step(coord.TimerFired{Key: keys[0]})
	return true
}

func (r *rig) advance(d time.Duration) {
	r.t.Helper()
	until := r.now.Add(d)
	for r.fire(until) {
	}
	r.now = until
}

// checkReplay compares the live hard state with what the log says.
func (r *rig) checkReplay() {
	r.t.Helper()
	image := func(s *Shard) (b []byte) {
		for _, rec := range s.HardState() {
			b = rec.AppendKey(b)
			b, _ = rec.AppendValue(b)
		}
		return b
	}
	if !bytes.Equal(image(r.shadow), image(r.s)) {
		r.t.Fatalf("the log replayed (-) is not the live state (+):\n%s", gocmp.Diff(r.shadow.HardState(), r.s.HardState(), cmpopts.EquateEmpty()))
	}
}

// check holds the shard against its invariants.
func (r *rig) check() {
	r.t.Helper()
	waiting := map[coord.ReplyID]bool{}
	for name, g := range r.s.groups {
		r.checkGroup(name, g, waiting)
	}
	if !maps.Equal(waiting, r.open) {
		r.t.Fatalf("requests that wait: %v; the groups know of %v", r.open, waiting)
	}
	for key := range r.timers {
		if key.Kind != timerExpiry && r.s.groups[key.Group] == nil {
			r.t.Fatalf("timer %v of a group that is gone", key)
		}
	}
}

func (r *rig) checkGroup(name string, g *classic, waiting map[coord.ReplyID]bool) {
	r.t.Helper()
	fail := func(format string, args ...any) {
		r.t.Helper()
		r.t.Fatalf("group %s in %s: %s", name, g.state, fmt.Sprintf(format, args...))
	}
	joins, unsynced, static, support := 0, 0, 0, map[string]int{}
	for _, m := range g.members {
		for _, id := range []coord.ReplyID{m.join, m.sync, m.held} {
			if id != 0 {
				if waiting[id] {
					fail("request %d waits twice", id)
				}
				waiting[id] = true
			}
		}
		if m.join != 0 {
			joins++
		}
		if m.unsynced {
			unsynced++
		}
		if m.Instance != "" {
			static++
			if g.static[m.Instance] != m {
				fail("%s does not hold its instance id", m.ID)
			}
		}
		if g.byID[m.ID] != m {
			fail("%s is not found by its id", m.ID)
		}
		for _, p := range m.protocols {
			support[p.Name]++
		}
		switch {
		case m.join != 0 && g.state != PreparingRebalance, m.sync != 0 && g.state != CompletingRebalance:
			fail("%s waits for an answer that does not come", m.ID)
		case m.held != 0 && (g.state != Stable || m.Instance != "" || m.join != 0 || m.sync != 0):
			fail("an answer to %s is held", m.ID)
		case m.heldSync && (m.held == 0 || !g.hasNothing(m) || len(g.orphans()) == 0 || r.now.Since(g.stable) > secondRoundWait):
			fail("the sync of %s is held", m.ID)
		case m.isNew && m.join == 0:
			fail("%s is new but its join is answered", m.ID)
		case m.unsynced && g.state != CompletingRebalance && g.state != Stable:
			fail("%s is awaited", m.ID)
		}
		if at, on := r.timers[g.holdTimer(m)]; on != (m.held != 0) || on && m.deadline.Before(at) {
			fail("hold timer of %s: %v at %d, its session ends at %d", m.ID, on, at, m.deadline)
		}
		at, armed := r.timers[g.sessionTimer(m)]
		if armed != (m.armed != 0) || armed && (at != m.armed || m.deadline.Before(at)) {
			fail("%s: session timer at %d (%v), believed at %d, deadline %d", m.ID, at, armed, m.armed, m.deadline)
		}
		if !armed && m.join == 0 && m.sync == 0 {
			fail("%s has no session timer and waits for nothing", m.ID)
		}
	}
	if joins != g.joins || unsynced != g.unsynced || static != len(g.static) || len(g.byID) != len(g.members) || !maps.Equal(support, g.support) {
		fail("miscounted: joins %d/%d, unsynced %d/%d, static %d/%d, members %d/%d, support %v/%v", g.joins, joins, g.unsynced, unsynced,
			len(g.static), static, len(g.byID), len(g.members), g.support, support)
	}
	if _, on := r.timers[g.joinTimer()]; on != (g.state == PreparingRebalance) {
		fail("join timer: %v", on)
	}
	if _, on := r.timers[g.syncTimer()]; on != (g.unsynced > 0) {
		fail("sync timer: %v with %d awaited", on, g.unsynced)
	}
	for id := range g.pending {
		if _, on := r.timers[g.pendingTimer(id)]; !on {
			fail("no timer for pending %s", id)
		}
	}
	switch g.state {
	case Empty:
		if len(g.members) > 0 || g.leader != "" || g.protocol != "" {
			fail("has members, a leader or a protocol")
		}
	case PreparingRebalance:
		if !g.initial && g.allJoined() {
			fail("everybody is there, and nothing happens")
		}
	case CompletingRebalance, Stable:
		if g.byID[g.leader] == nil || g.protocol == "" {
			fail("no leader or no protocol")
		}
	}
	if g.state == Stable {
		if g.hard.Generation != g.generation {
			fail("generation %d, on disk %d", g.generation, g.hard.Generation)
		}
		for i, m := range g.members {
			if h := g.hard.Members[i]; h.ID != m.ID || string(h.Assignment) != string(m.assignment) {
				fail("%s is not what the record says", m.ID)
			}
		}
	}
}

// ask sends a request and returns its id.
func (r *rig) ask(set func(id coord.ReplyID) coord.Event) coord.ReplyID {
	r.t.Helper()
	r.lastReply++
	r.open[r.lastReply] = true
	id := r.lastReply
	ev := set(id)
	if q, ok := ev.(*SyncRequest); ok {
		seat := q.Instance
		if seat == "" {
			seat = q.Member
		}
		r.said[id] = said{seat: seat, generation: q.Generation}
	}
	r.step(ev)
	return id
}

// answer is the committed answer to a request, or nil while it waits.
func answer[T any](r *rig, id coord.ReplyID) *T {
	r.t.Helper()
	body, ok := r.answers[id]
	if !ok {
		return nil
	}
	a, ok := body.(T)
	if !ok {
		r.t.Fatalf("the answer is a %T", body)
	}
	return &a
}

// must is an answer that must be there.
func must[T any](r *rig, id coord.ReplyID) T {
	r.t.Helper()
	a := answer[T](r, id)
	if a == nil {
		r.t.Fatalf("no answer yet")
	}
	return *a
}

// topics is the metadata of a consumer that reads them.
func topics(names ...string) []byte {
	b, err := assign.AppendSubscription(nil, assign.Subscription{Topics: names, Generation: assign.NoGeneration}, 1)
	if err != nil {
		panic(err)
	}
	return b
}

// owning is the metadata of a cooperative consumer of t that has these partitions.
func owning(parts ...int32) []byte {
	b, err := assign.AppendSubscription(nil, assign.Subscription{Topics: []string{"t"}, Owned: ofT(parts), Generation: assign.NoGeneration}, 1)
	if err != nil {
		panic(err)
	}
	return b
}

// giving is an assignment of partitions of t.
func giving(parts ...int32) []byte {
	b, err := assign.AppendAssignment(nil, assign.Assignment{Partitions: ofT(parts)}, 1)
	if err != nil {
		panic(err)
	}
	return b
}

func ofT(parts []int32) []assign.TopicPartitions {
	if len(parts) == 0 {
		return nil
	}
	return []assign.TopicPartitions{{Topic: "t", Partitions: parts}}
}

// protos are protocols of those names, all with the same metadata.
func protos(metadata []byte, names ...string) (out []Protocol) {
	for _, n := range names {
		out = append(out, Protocol{Name: n, Metadata: metadata})
	}
	return out
}

// joinRequest is a JoinGroup v9 of an ordinary Java consumer in group "g"; edit changes what is special.
func (r *rig) joinRequest(client string, edit func(*JoinRequest)) *JoinRequest {
	r.uuids++
	q := &JoinRequest{Version: 9, Group: "g", Client: client, Host: "/10.0.0.1", FreshID: fmt.Sprint(r.uuids), ProtocolType: "consumer",
		Protocols: protos(topics("t"), "range"), SessionTimeout: 45 * time.Second, RebalanceTimeout: 300 * time.Second}
	if edit != nil {
		edit(q)
	}
	return q
}

func (r *rig) join(client string, edit func(*JoinRequest)) coord.ReplyID {
	r.t.Helper()
	return r.ask(func(id coord.ReplyID) coord.Event {
		q := r.joinRequest(client, edit)
		q.Reply = id
		return q
	})
}

// enter joins with both steps of KIP-394 and returns the id of the second, parked, request, and the member's id.
func (r *rig) enter(client string, edit func(*JoinRequest)) (coord.ReplyID, string) {
	r.t.Helper()
	first := must[JoinReply](r, r.join(client, edit))
	if first.Code != kafka.MemberIDRequired {
		r.t.Fatalf("first join: %+v", first)
	}
	return r.join(client, func(q *JoinRequest) {
		if edit != nil {
			edit(q)
		}
		q.Member = first.Member
	}), first.Member
}

// rejoin joins with an id.
func (r *rig) rejoin(client, member string, edit func(*JoinRequest)) coord.ReplyID {
	r.t.Helper()
	return r.join(client, func(q *JoinRequest) {
		q.Member = member
		if edit != nil {
			edit(q)
		}
	})
}

func (r *rig) syncAs(member string, generation int32, edit func(*SyncRequest)) coord.ReplyID {
	r.t.Helper()
	return r.ask(func(id coord.ReplyID) coord.Event {
		q := &SyncRequest{Reply: id, Version: 4, Group: "g", Member: member, Generation: generation}
		if edit != nil {
			edit(q)
		}
		return q
	})
}

func (r *rig) heartbeat(member string, generation int32) kafka.ErrorCode {
	r.t.Helper()
	return r.beat("g", member, "", generation)
}

func (r *rig) beat(group, member, instance string, generation int32) kafka.ErrorCode {
	r.t.Helper()
	return must[HeartbeatReply](r, r.ask(func(id coord.ReplyID) coord.Event {
		return &HeartbeatRequest{Reply: id, Group: group, Member: member, Instance: instance, Generation: generation}
	})).Code
}

func (r *rig) leave(version int16, who ...Leaver) LeaveReply {
	r.t.Helper()
	return must[LeaveReply](r, r.ask(func(id coord.ReplyID) coord.Event {
		return &LeaveRequest{Reply: id, Version: version, Group: "g", Members: who}
	}))
}

// commitRequest commits offset 10 of t-0 as nobody in particular, with version 8; edit changes what is special.
func (r *rig) commitOffset(edit func(*offset.CommitRequest)) []offset.TopicResult {
	r.t.Helper()
	return must[offset.CommitReply](r, r.ask(func(id coord.ReplyID) coord.Event {
		q := &offset.CommitRequest{Reply: id, Version: 8, Group: "g", Generation: -1, RetentionMs: -1,
			Topics: []offset.CommitTopic{{Topic: "t", Partitions: []offset.CommitPartition{{Partition: 0, Offset: 10, LeaderEpoch: -1}}}}}
		if edit != nil {
			edit(q)
		}
		return q
	})).Topics
}

// commitAs commits as a member and returns the code.
func (r *rig) commitAs(member string, generation int32) kafka.ErrorCode {
	r.t.Helper()
	return r.commitOffset(func(q *offset.CommitRequest) { q.Member, q.Generation = member, generation })[0].Partitions[0].Code
}

func (r *rig) fetchAll(group string) []offset.FetchedTopic {
	r.t.Helper()
	return must[offset.FetchReply](r, r.ask(func(id coord.ReplyID) coord.Event {
		return &offset.FetchRequest{Reply: id, Group: group, All: true}
	})).Topics
}

func (r *rig) describe(group string) Description {
	r.t.Helper()
	return must[DescribeReply](r, r.ask(func(id coord.ReplyID) coord.Event {
		return &DescribeRequest{Reply: id, Version: 6, Groups: []string{group}}
	})).Groups[0]
}

func (r *rig) list(states, types []string) []Listing {
	r.t.Helper()
	return must[ListReply](r, r.ask(func(id coord.ReplyID) coord.Event {
		return &ListRequest{Reply: id, States: states, Types: types}
	})).Groups
}

func (r *rig) deleteGroups(groups ...string) []DeleteResult {
	r.t.Helper()
	return must[DeleteReply](r, r.ask(func(id coord.ReplyID) coord.Event {
		return &DeleteRequest{Reply: id, Groups: groups}
	})).Groups
}

// seated is a member that has its place.
type seated struct {
	id     string
	client string
	edit   func(*JoinRequest)
}

// gather lets dynamic members join an empty group and ends the initial phase; the first leads. All are left in CompletingRebalance at
// generation 1.
func (r *rig) gather(edit func(*JoinRequest), clients ...string) (members []seated) {
	r.t.Helper()
	var joins []coord.ReplyID
	for _, c := range clients {
		j, id := r.enter(c, edit)
		joins = append(joins, j)
		members = append(members, seated{id, c, edit})
	}
	for r.s.groups["g"].state == PreparingRebalance {
		if !r.fire(r.now.Add(time.Hour)) {
			r.t.Fatalf("the join phase does not end")
		}
	}
	for i, j := range joins {
		if a := must[JoinReply](r, j); a.Code != kafka.None || a.Generation != 1 || a.Leader != members[0].id {
			r.t.Fatalf("%s: %+v", members[i].id, a)
		}
	}
	return members
}

// stable is gather, and then every member synced: the assignment of a member is its client's name.
func (r *rig) stable(edit func(*JoinRequest), clients ...string) []seated {
	r.t.Helper()
	members := r.gather(edit, clients...)
	r.settle(members...)
	return members
}

// settle syncs everybody; the first leads.
func (r *rig) settle(members ...seated) {
	r.t.Helper()
	generation := r.s.groups["g"].generation
	var plan []Assignment
	for _, m := range members {
		plan = append(plan, Assignment{m.id, []byte(m.client)})
	}
	for i, m := range members {
		r.syncAs(m.id, generation, func(q *SyncRequest) {
			if i == 0 {
				q.Assignments = plan
			}
		})
	}
	r.wantState(Stable, generation)
}

func (r *rig) wantState(state State, generation int32) {
	r.t.Helper()
	g := r.s.groups["g"]
	if g == nil || g.state != state || g.generation != generation {
		r.t.Fatalf("the group is %+v; want %s at generation %d", g, state, generation)
	}
}

func want[T any](t testing.TB, got, want T) {
	t.Helper()
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Fatalf("(-want +got)\n%s", diff)
	}
}

// retold is what somebody knows of a group who reads its notes only.
type retold struct {
	State      State
	Generation int32
	Leader     string
	Members    map[string]bool
}

func retell(g *classic) *retold {
	k := &retold{g.state, g.generation, g.leader, map[string]bool{}}
	for _, m := range g.members {
		k.Members[m.ID] = true
	}
	return k
}

// checkNotes folds notes into what was known, and compares it with what is: the journal has nothing else to go by.
func (r *rig) checkNotes(notes []coord.Note) {
	r.t.Helper()
	if r.retold == nil {
		return
	}
	for _, note := range notes {
		k := r.retold[note.NoteGroup()]
		switch n := note.(type) {
		case coord.GroupCreated:
			r.retold[n.Group] = &retold{State: Empty, Members: map[string]bool{}}
		case coord.GroupDeleted:
			delete(r.retold, n.Group)
		case coord.RebalanceStarted:
			if n.From != k.State || n.Generation != k.Generation {
				r.t.Fatalf("a rebalance from %s at %d, after notes of %s at %d", n.From, n.Generation, k.State, k.Generation)
			}
			k.State = PreparingRebalance
		case coord.MemberArrived:
			if n.New == k.Members[n.Member.ID] {
				r.t.Fatalf("%s arrives, new: %v", n.Member.ID, n.New)
			}
			k.Members[n.Member.ID] = true
			if len(k.Members) == 1 && n.New {
				k.Leader = n.Member.ID
			}
		case coord.MemberRemoved:
			if n.Leader != (k.Leader == n.Member.ID) {
				r.t.Fatalf("%s is removed, leader: %v", n.Member.ID, n.Leader)
			}
			if delete(k.Members, n.Member.ID); n.Leader {
				k.Leader = ""
			}
		case coord.StaticMemberReplaced:
			delete(k.Members, n.OldID)
			if k.Members[n.Member.ID] = true; k.Leader == n.OldID {
				k.Leader = n.Member.ID
			}
		case coord.LeaderElected:
			k.Leader = n.Leader.ID
		case coord.JoinCompleted:
			k.State, k.Generation = CompletingRebalance, n.Generation
			if n.Leader.ID != k.Leader || n.Members != len(k.Members) || n.Last.ID == "" {
				r.t.Fatalf("%+v, after notes of %+v", n, k)
			}
		case coord.GroupEmptied:
			k.State, k.Generation, k.Leader = Empty, n.Generation, ""
		case coord.Stabilized:
			k.State = Stable
		}
	}
	actual := map[string]*retold{}
	for name, g := range r.s.groups {
		actual[name] = retell(g)
	}
	if !gocmp.Equal(r.retold, actual) {
		r.t.Fatalf("the notes (-) do not tell what is (+):\n%s", gocmp.Diff(r.retold, actual))
	}
}
