package server_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/testkit"
)

// A groupClient speaks for one member of a group, over a connection of its own.
type groupClient struct {
	*testkit.Conn
	t             testing.TB
	group, member string
	instance      *string
	generation    int32
	// version, when it is not negative, caps the version of every request.
	version int16
}

// newMember is a client that knows its coordinator and is not a member yet.
func newMember(t testing.TB, b *testkit.Broker, group string) *groupClient {
	t.Helper()
	c := &groupClient{Conn: testkit.Dial(t, b.Addr()), t: t, group: group, generation: -1, version: -1}
	awaitCoordinator(t, c.Conn, group)
	return c
}

// awaitCoordinator asks for the coordinator, and then until its shard is loaded.
func awaitCoordinator(t testing.TB, c *testkit.Conn, group string) {
	t.Helper()
	for {
		q := kmsg.NewPtrFindCoordinatorRequest()
		q.Version, q.CoordinatorKeys = 4, []string{group}
		if got := testkit.Do[*kmsg.FindCoordinatorResponse](c, q).Coordinators[0]; got.ErrorCode != 0 {
			t.Fatalf("no coordinator: %+v", got)
		}
		l := kmsg.NewPtrOffsetFetchRequest()
		l.Version, l.Group = 7, group
		switch got := testkit.Do[*kmsg.OffsetFetchResponse](c, l); kafka.ErrorCode(got.ErrorCode) {
		case kafka.None:
			return
		case kafka.CoordinatorLoadInProgress, kafka.NotCoordinator:
		default:
			t.Fatalf("the coordinator answers %v", kafka.ErrorCode(got.ErrorCode))
		}
	}
}

// at sets the version: the newest that both the caller's cap and the API allow.
func (c *groupClient) at(q kmsg.Request, newest int16) kmsg.Request {
	if c.version >= 0 {
		newest = min(newest, c.version)
	}
	q.SetVersion(newest)
	return q
}

func (c *groupClient) joinRequest(metadata string) *kmsg.JoinGroupRequest {
	q := kmsg.NewPtrJoinGroupRequest()
	c.at(q, 9)
	q.Group, q.MemberID, q.InstanceID, q.ProtocolType = c.group, c.member, c.instance, "consumer"
	q.SessionTimeoutMillis, q.RebalanceTimeoutMillis = 30_000, 60_000
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name, p.Metadata = "range", []byte(metadata)
	q.Protocols = append(q.Protocols, p)
	return q
}

// getID takes the first half of a join.
func (c *groupClient) getID() {
	c.t.Helper()
	got := testkit.Do[*kmsg.JoinGroupResponse](c.Conn, c.joinRequest("m"))
	if kafka.ErrorCode(got.ErrorCode) != kafka.MemberIDRequired || got.MemberID == "" {
		c.t.Fatalf("first join: %+v", got)
	}
	c.member = got.MemberID
}

// join takes part in a rebalance that needs nobody else.
func (c *groupClient) join() *kmsg.JoinGroupResponse {
	c.t.Helper()
	if c.member == "" && c.instance == nil && (c.version < 0 || c.version >= 4) {
		c.getID()
	}
	return c.joined(testkit.Do[*kmsg.JoinGroupResponse](c.Conn, c.joinRequest("m")))
}

func (c *groupClient) joined(got *kmsg.JoinGroupResponse) *kmsg.JoinGroupResponse {
	c.t.Helper()
	if got.ErrorCode != 0 {
		c.t.Fatalf("join: %v, %+v", kafka.ErrorCode(got.ErrorCode), got)
	}
	c.member, c.generation = got.MemberID, got.Generation
	return got
}

func (c *groupClient) syncRequest(assignments map[string]string) *kmsg.SyncGroupRequest {
	q := kmsg.NewPtrSyncGroupRequest()
	c.at(q, 5)
	q.Group, q.Generation, q.MemberID, q.InstanceID = c.group, c.generation, c.member, c.instance
	q.ProtocolType, q.Protocol = kmsg.StringPtr("consumer"), kmsg.StringPtr("range")
	for member, what := range assignments { // any order: an assignment is a set
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		a.MemberID, a.MemberAssignment = member, []byte(what)
		q.GroupAssignment = append(q.GroupAssignment, a)
	}
	return q
}

func (c *groupClient) sync(assignments map[string]string) *kmsg.SyncGroupResponse {
	return testkit.Do[*kmsg.SyncGroupResponse](c.Conn, c.syncRequest(assignments))
}

// alone makes a Stable group of one member.
func (c *groupClient) alone() {
	c.t.Helper()
	c.join()
	if got := c.sync(map[string]string{c.member: "all"}); got.ErrorCode != 0 || string(got.MemberAssignment) != "all" {
		c.t.Fatalf("sync: %+v", got)
	}
}

func (c *groupClient) heartbeatRequest() *kmsg.HeartbeatRequest {
	q := kmsg.NewPtrHeartbeatRequest()
	c.at(q, 4)
	q.Group, q.Generation, q.MemberID, q.InstanceID = c.group, c.generation, c.member, c.instance
	return q
}

func (c *groupClient) heartbeat() kafka.ErrorCode {
	return kafka.ErrorCode(testkit.Do[*kmsg.HeartbeatResponse](c.Conn, c.heartbeatRequest()).ErrorCode)
}

func (c *groupClient) commitRequest(topic string, partition int32, offset int64) *kmsg.OffsetCommitRequest {
	q := kmsg.NewPtrOffsetCommitRequest()
	c.at(q, 9)
	q.Group, q.Generation, q.MemberID, q.InstanceID = c.group, c.generation, c.member, c.instance
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic = topic
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset = partition, offset
	t.Partitions = append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	return q
}

func (c *groupClient) commit(topic string, partition int32, offset int64) kafka.ErrorCode {
	got := testkit.Do[*kmsg.OffsetCommitResponse](c.Conn, c.commitRequest(topic, partition, offset))
	return kafka.ErrorCode(got.Topics[0].Partitions[0].ErrorCode)
}

// fetched is the committed offset of one partition, -1 for none.
func (c *groupClient) fetched(topic string, partition int32) int64 {
	c.t.Helper()
	q := kmsg.NewPtrOffsetFetchRequest()
	q.Version, q.Group = 5, c.group
	q.Topics = append(q.Topics, kmsg.OffsetFetchRequestTopic{Topic: topic, Partitions: []int32{partition}})
	got := testkit.Do[*kmsg.OffsetFetchResponse](c.Conn, q)
	if got.ErrorCode != 0 || len(got.Topics) != 1 || len(got.Topics[0].Partitions) != 1 || got.Topics[0].Partitions[0].ErrorCode != 0 {
		c.t.Fatalf("fetched offset: %+v", got)
	}
	return got.Topics[0].Partitions[0].Offset
}

// describe is one group, at the newest version.
func describe(c *testkit.Conn, group string) kmsg.DescribeGroupsResponseGroup {
	q := kmsg.NewPtrDescribeGroupsRequest()
	q.Version, q.Groups = 6, []string{group}
	return testkit.Do[*kmsg.DescribeGroupsResponse](c, q).Groups[0]
}

func TestAGroupOfOne(t *testing.T) {
	b := testkit.Start(t)
	c := newMember(t, b, "g")
	c.CreateTopic("t", 1)
	c.alone()
	if code := c.heartbeat(); code != kafka.None {
		t.Errorf("heartbeat: %v", code)
	}
	if code := c.commit("t", 0, 42); code != kafka.None {
		t.Errorf("commit: %v", code)
	}
	if got := c.fetched("t", 0); got != 42 {
		t.Errorf("fetched %d", got)
	}
	d := describe(c.Conn, "g")
	if d.State != "Stable" || len(d.Members) != 1 || d.Members[0].ClientHost != "/127.0.0.1" || d.Members[0].ClientID != "test" {
		t.Errorf("described: %+v", d)
	}
}
