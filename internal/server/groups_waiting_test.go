package server_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/testkit"
)

// groupsWaiting is the number of requests that wait for a group.
const groupsWaiting = `kafka_server_delayedoperationpurgatory_purgatorysize{delayedoperation="Group"}`

// receive reads the answer to q, which must be the next.
func (c *groupClient) receive(correlation int32, q kmsg.Request) kmsg.Response {
	c.t.Helper()
	got, rest, err := c.Receive()
	if err != nil {
		c.t.Fatalf("no answer to %s: %v", kmsg.NameForKey(q.Key()), err)
	}
	if got != correlation {
		c.t.Fatalf("answer to request %d, want %d, the %s", got, correlation, kmsg.NameForKey(q.Key()))
	}
	return c.Decode(q, rest)
}

// besides makes a Stable group of c, and lets another member's join wait for c's.
func (c *groupClient) besides(t *testing.T, b *testkit.Broker) (other *groupClient, correlation int32, q *kmsg.JoinGroupRequest) {
	t.Helper()
	c.alone()
	other = newMember(t, b, c.group)
	other.getID()
	q = other.joinRequest("other")
	correlation = other.Send(q)
	for c.heartbeat() != kafka.RebalanceInProgress {
	}
	return other, correlation, q
}

func TestAJoinWaitsForTheOthers(t *testing.T) {
	b := testkit.Start(t)
	c := newMember(t, b, "g")
	other, correlation, q := c.besides(t, b)
	awaitMetric(t, b, groupsWaiting, "1")
	leader := c.join()
	if len(leader.Members) != 2 || leader.Generation != 2 {
		t.Fatalf("the leader's join: %+v", leader)
	}
	follower := other.joined(other.receive(correlation, q).(*kmsg.JoinGroupResponse))
	if len(follower.Members) != 0 || follower.LeaderID != c.member || follower.Generation != 2 {
		t.Fatalf("the follower's join: %+v", follower)
	}
	// The follower's sync waits for the leader's.
	s := other.syncRequest(nil)
	correlation = other.Send(s)
	awaitMetric(t, b, groupsWaiting, "1")
	c.sync(map[string]string{c.member: "one", other.member: "two"})
	if got := other.receive(correlation, s).(*kmsg.SyncGroupResponse); string(got.MemberAssignment) != "two" {
		t.Errorf("the follower's sync: %+v", got)
	}
	if code := other.heartbeat(); code != kafka.None {
		t.Errorf("the follower's heartbeat: %v", code)
	}
}

// A leave behind a join that waits takes effect at once, and both are answered, in their order.
func TestALeaveOvertakesNothingButWaitsForNobody(t *testing.T) {
	b := testkit.Start(t)
	c := newMember(t, b, "g")
	other, correlation, q := c.besides(t, b)
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Version, leave.Group, leave.Members = 5, "g", []kmsg.LeaveGroupRequestMember{{MemberID: other.member}}
	leaveCorrelation := other.Send(leave)
	if got := other.receive(correlation, q).(*kmsg.JoinGroupResponse); kafka.ErrorCode(got.ErrorCode) != kafka.UnknownMemberID {
		t.Errorf("the join: %+v", got)
	}
	if got := other.receive(leaveCorrelation, leave).(*kmsg.LeaveGroupResponse); got.ErrorCode != 0 || got.Members[0].ErrorCode != 0 {
		t.Errorf("the leave: %+v", got)
	}
}

// Requests of one connection are answered in their order, whatever some of them wait for, and whoever must see the effect of another does.
func TestAnswersOfOneConnectionKeepTheirOrder(t *testing.T) {
	b := testkit.Start(t)
	c := newMember(t, b, "g")
	c.CreateTopic("t", 1)
	other, correlation, join := c.besides(t, b)
	type sent struct {
		correlation int32
		q           kmsg.Request
	}
	var all []sent
	send := func(q kmsg.Request) { all = append(all, sent{other.Send(q), q}) }
	beat := other.heartbeatRequest()
	send(beat)
	alien := kmsg.NewPtrOffsetCommitRequest() // of another group, as nobody
	alien.Version, alien.Group, alien.Generation = 9, "another", -1
	alien.Topics = other.commitRequest("t", 0, 77).Topics
	send(alien)
	fetch := kmsg.NewPtrOffsetFetchRequest()
	fetch.Version, fetch.Group = 7, "another"
	send(fetch)
	// Produce is taken up; these two wait until everything before them is answered.
	send(testkit.ProduceRequest(9, -1, "t", 0, testkit.Batch(testkit.Record{Value: "a"})))
	send(testkit.FetchRequest(12, "t", 0, 0))
	meta := kmsg.NewPtrMetadataRequest()
	meta.Version = 12
	send(meta)
	send(other.heartbeatRequest())

	// The commit has taken effect, although nothing was answered yet.
	c.group = "another"
	for c.fetched("t", 0) != 77 {
	}
	c.group = "g"
	c.join()
	c.sync(map[string]string{c.member: "one", other.member: "two"})
	other.joined(other.receive(correlation, join).(*kmsg.JoinGroupResponse))
	var codes []kafka.ErrorCode
	for _, s := range all {
		switch got := other.receive(s.correlation, s.q).(type) {
		case *kmsg.HeartbeatResponse:
			codes = append(codes, kafka.ErrorCode(got.ErrorCode))
		case *kmsg.OffsetCommitResponse:
			codes = append(codes, kafka.ErrorCode(got.Topics[0].Partitions[0].ErrorCode))
		case *kmsg.OffsetFetchResponse:
			if len(got.Topics) != 1 || got.Topics[0].Partitions[0].Offset != 77 {
				t.Errorf("the offset just committed: %+v", got)
			}
		case *kmsg.FetchResponse:
			if len(got.Topics[0].Partitions[0].RecordBatches) == 0 {
				t.Error("the record just produced is not there")
			}
		}
	}
	if want := []kafka.ErrorCode{kafka.IllegalGeneration, kafka.None, kafka.IllegalGeneration}; fmt.Sprint(codes) != fmt.Sprint(want) {
		t.Errorf("answered %v, want %v", codes, want) // the generation of the heartbeats is the one before the join
	}
}

func TestAClientThatLeavesWhileItsJoinWaits(t *testing.T) {
	b := testkit.Start(t)
	c := newMember(t, b, "g")
	other, _, _ := c.besides(t, b)
	awaitMetric(t, b, groupsWaiting, "1")
	other.Close()
	awaitMetric(t, b, groupsWaiting, "0")
	// Its seat is kept, as in Kafka: the client may come back with its id. The group goes on with it.
	if got := c.join(); len(got.Members) != 2 {
		t.Fatalf("join: %+v", got)
	}
	c.sync(map[string]string{c.member: "one", other.member: "two"})
	back := newMember(t, b, "g")
	back.member, back.generation = other.member, c.generation
	if got := back.sync(nil); got.ErrorCode != 0 || string(got.MemberAssignment) != "two" {
		t.Errorf("the member that came back: %+v", got)
	}
}

func TestABrokerThatStopsAnswersWhoWaits(t *testing.T) {
	b := testkit.Start(t)
	c := newMember(t, b, "g")
	waiting, correlation, q := c.besides(t, b)
	c.CreateTopic("t", 1)

	// In another group a follower waits for its assignment.
	leader := newMember(t, b, "h")
	follower, followed, join := leader.besides(t, b)
	leader.join()
	follower.joined(follower.receive(followed, join).(*kmsg.JoinGroupResponse))
	s := follower.syncRequest(nil)
	followed = follower.Send(s)
	awaitMetric(t, b, groupsWaiting, "2")

	// A request behind the join that has not been read as far as its handler is not lost either: it is answered, or the connection ends.
	b.Stop()
	if got := waiting.receive(correlation, q).(*kmsg.JoinGroupResponse); kafka.ErrorCode(got.ErrorCode) != kafka.NotCoordinator || got.MemberID != waiting.member || got.Generation != -1 {
		t.Errorf("the join: %+v", got)
	}
	if got := follower.receive(followed, s).(*kmsg.SyncGroupResponse); kafka.ErrorCode(got.ErrorCode) != kafka.NotCoordinator {
		t.Errorf("the sync: %+v", got)
	}
	waiting.MustClose()
	follower.MustClose()
}

// Ten thousand members on a few connections, which send without waiting for answers, as no real client does.
func TestAGroupOfTenThousand(t *testing.T) {
	if testing.Short() {
		t.Skip("a group of 10,000 takes some seconds")
	}
	const conns, each = 50, 200
	b := testkit.Start(t)
	lead := newMember(t, b, "g")
	lead.version = 3 // no ids first
	leadJoin := lead.joinRequest(strings.Repeat("m", 100))
	leadJoin.SessionTimeoutMillis, leadJoin.RebalanceTimeoutMillis = 300_000, 300_000
	lead.joined(lead.receive(lead.Send(leadJoin), leadJoin).(*kmsg.JoinGroupResponse))
	leadJoin.MemberID = lead.member
	crowd := make([]*groupClient, conns)
	joins := make([][]int32, conns)
	for i := range crowd {
		c := newMember(t, b, "g")
		c.version = 3
		crowd[i] = c
		q := c.joinRequest(strings.Repeat("m", 100))
		q.SessionTimeoutMillis = 300_000
		for range each {
			joins[i] = append(joins[i], c.Send(q))
		}
	}
	// The group waits for its first member, which comes when all the others are there.
	for looker := newMember(t, b, "g"); len(describe(looker.Conn, "g").Members) != conns*each+1; {
		time.Sleep(20 * time.Millisecond) // each answer lists them all: asked without a pause, it would keep them waiting
	}
	got := lead.joined(lead.receive(lead.Send(leadJoin), leadJoin).(*kmsg.JoinGroupResponse))
	if len(got.Members) != conns*each+1 {
		t.Fatalf("%d members", len(got.Members))
	}
	assignments := map[string]string{}
	for _, m := range got.Members {
		if string(m.ProtocolMetadata) != strings.Repeat("m", 100) {
			t.Fatalf("member %s says %q", m.MemberID, m.ProtocolMetadata)
		}
		assignments[m.MemberID] = "for " + m.MemberID
	}
	type seated struct {
		c           *groupClient
		id          string
		correlation int32
		q           *kmsg.SyncGroupRequest
	}
	var members []seated
	for i, c := range crowd {
		for _, correlation := range joins[i] {
			j := c.receive(correlation, c.joinRequest("")).(*kmsg.JoinGroupResponse)
			if j.ErrorCode != 0 || j.Generation != got.Generation || j.LeaderID != lead.member {
				t.Fatalf("join: %+v", j)
			}
			members = append(members, seated{c: c, id: j.MemberID})
		}
	}
	for i := range members {
		m := &members[i]
		m.c.member, m.c.generation = m.id, got.Generation
		m.q = m.c.syncRequest(nil)
		m.correlation = m.c.Send(m.q)
	}
	if s := lead.sync(assignments); s.ErrorCode != 0 {
		t.Fatalf("the leader's sync: %v", kafka.ErrorCode(s.ErrorCode))
	}
	for _, m := range members {
		if s := m.c.receive(m.correlation, m.q).(*kmsg.SyncGroupResponse); s.ErrorCode != 0 || string(s.MemberAssignment) != "for "+m.id {
			t.Fatalf("sync of %s: %+v", m.id, s)
		}
	}
	if d := describe(lead.Conn, "g"); d.State != "Stable" || len(d.Members) != conns*each+1 {
		t.Errorf("described: %s with %d members", d.State, len(d.Members))
	}
	b.Restart()
	again := newMember(t, b, "g")
	again.generation = got.Generation
	for _, m := range members[:100] {
		again.member = m.id
		if code := again.heartbeat(); code != kafka.None {
			t.Fatalf("heartbeat of %s after a restart: %v", m.id, code)
		}
	}
}

// A group whose record would not fit the log hears so, and so does the operator.
func TestAGroupThatDoesNotFitARecord(t *testing.T) {
	b := testkit.Start(t)
	c := newMember(t, b, "g")
	c.join()
	got := c.sync(map[string]string{c.member: strings.Repeat("x", 17<<20)})
	if kafka.ErrorCode(got.ErrorCode) != kafka.UnknownServerError {
		t.Errorf("sync: %v", kafka.ErrorCode(got.ErrorCode))
	}
	if code := c.heartbeat(); code != kafka.RebalanceInProgress {
		t.Errorf("heartbeat afterwards: %v", code)
	}
	c.join() // and the group goes on
	if got := c.sync(map[string]string{c.member: "less"}); got.ErrorCode != 0 || string(got.MemberAssignment) != "less" {
		t.Errorf("sync with less: %+v", got)
	}
}

// More requests behind one that waits than a connection keeps: the reader waits too, and nothing is lost or out of turn.
func TestMoreRequestsThanMayWait(t *testing.T) {
	b := testkit.Start(t)
	c := newMember(t, b, "g")
	other, correlation, join := c.besides(t, b)
	const many = 700
	beat := other.heartbeatRequest()
	var beats []int32
	for range many {
		beats = append(beats, other.Send(beat))
	}
	c.join()
	other.joined(other.receive(correlation, join).(*kmsg.JoinGroupResponse))
	for _, correlation := range beats {
		if got := other.receive(correlation, beat).(*kmsg.HeartbeatResponse); kafka.ErrorCode(got.ErrorCode) != kafka.IllegalGeneration {
			t.Fatalf("heartbeat %d: %v", correlation, kafka.ErrorCode(got.ErrorCode))
		}
	}
	if code := other.heartbeat(); code != kafka.None {
		t.Errorf("a heartbeat afterwards: %v", code)
	}
}
