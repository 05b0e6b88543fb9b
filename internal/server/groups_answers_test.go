package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/testkit"
)

// Answers of the group APIs as Apache Kafka 4.3.1 gives them; interop/wirediff has compared each with the real thing. What a group decides is
// tested in coord/group; here it is how a decision looks on the wire, at the lowest and the highest version.

func TestJoinGroupAnswersAsKafkaDoes(t *testing.T) {
	b := testkit.Start(t)
	stable := newMember(t, b, "stable")
	stable.alone()
	fenced := newMember(t, b, "static")
	fenced.instance = kmsg.StringPtr("seat-1")
	fenced.alone()
	old := fenced.member
	fenced.member = ""
	fenced.join()
	for _, row := range []struct {
		name   string
		change func(q *kmsg.JoinGroupRequest)
		code   kafka.ErrorCode
		member string // of the answer
	}{
		{"no group", func(q *kmsg.JoinGroupRequest) { q.Group, q.MemberID = "", "m" }, kafka.InvalidGroupID, "m"},
		{"a session that is short", func(q *kmsg.JoinGroupRequest) { q.SessionTimeoutMillis = 5999 }, kafka.InvalidSessionTimeout, ""},
		{"a session that is long", func(q *kmsg.JoinGroupRequest) { q.SessionTimeoutMillis = 1_800_001 }, kafka.InvalidSessionTimeout, ""},
		{"an unknown member", func(q *kmsg.JoinGroupRequest) { q.MemberID = "nobody" }, kafka.UnknownMemberID, "nobody"},
		{"a stranger", func(q *kmsg.JoinGroupRequest) { q.Group, q.MemberID = "stable", "nobody" }, kafka.UnknownMemberID, "nobody"},
		{"no protocols", func(q *kmsg.JoinGroupRequest) { q.Protocols = nil }, kafka.InconsistentGroupProtocol, ""},
		{"no protocol type", func(q *kmsg.JoinGroupRequest) { q.ProtocolType = "" }, kafka.InconsistentGroupProtocol, ""},
		{"another protocol type", func(q *kmsg.JoinGroupRequest) { q.Group, q.ProtocolType = "stable", "connect" }, kafka.InconsistentGroupProtocol, ""},
		{"no protocol in common", func(q *kmsg.JoinGroupRequest) { q.Group, q.Protocols[0].Name = "stable", "sticky" }, kafka.InconsistentGroupProtocol, ""},
	} {
		for _, v := range []int16{0, 6, 7, 9} {
			q := newMember(t, b, "g").joinRequest("m")
			row.change(q)
			q.Version = v
			got := testkit.Do[*kmsg.JoinGroupResponse](stable.Conn, q)
			if kafka.ErrorCode(got.ErrorCode) != row.code || got.MemberID != row.member || got.Generation != -1 || got.LeaderID != "" || got.ProtocolType != nil || len(got.Members) != 0 {
				t.Errorf("%s, v%d: %+v", row.name, v, got)
			}
			// Before v7 there is no null protocol.
			if (got.Protocol == nil) != (v >= 7) {
				t.Errorf("%s, v%d: protocol %v", row.name, v, got.Protocol)
			}
		}
	}
	q := fenced.joinRequest("m")
	q.MemberID = old
	if got := testkit.Do[*kmsg.JoinGroupResponse](fenced.Conn, q); kafka.ErrorCode(got.ErrorCode) != kafka.FencedInstanceID || got.MemberID != old {
		t.Errorf("a static member that was replaced: %+v", got)
	}
}

// KIP-814: a static leader that comes back finds its group as it was, and is told so in the way its version allows.
func TestAStaticLeaderComesBack(t *testing.T) {
	b := testkit.Start(t)
	for _, v := range []int16{5, 8, 9} {
		c := newMember(t, b, fmt.Sprint("g", v))
		c.version, c.instance = v, kmsg.StringPtr("seat-1")
		c.alone()
		old := c.member
		c.member = ""
		got := c.join()
		if got.Generation != 1 || got.MemberID == old || !strings.HasPrefix(got.MemberID, "seat-1-") {
			t.Errorf("v%d: %+v", v, got)
		}
		if v < 9 && (got.LeaderID != old || len(got.Members) != 0) {
			t.Errorf("v%d: it would assign: %+v", v, got)
		}
		if v >= 9 && (got.LeaderID != got.MemberID || !got.SkipAssignment || len(got.Members) != 1 || *got.Members[0].InstanceID != "seat-1") {
			t.Errorf("v%d: %+v", v, got)
		}
		if s := c.sync(nil); string(s.MemberAssignment) != "all" {
			t.Errorf("v%d: sync: %+v", v, s)
		}
		if m := describe(c.Conn, c.group).Members[0]; m.InstanceID == nil || *m.InstanceID != "seat-1" {
			t.Errorf("v%d: described: %+v", v, m)
		}
	}
}

func TestSyncGroupAnswersAsKafkaDoes(t *testing.T) {
	b := testkit.Start(t)
	c := newMember(t, b, "g")
	c.alone()
	str := kmsg.StringPtr
	for _, row := range []struct {
		name   string
		change func(q *kmsg.SyncGroupRequest)
		old    kafka.ErrorCode // before v5
		now    kafka.ErrorCode
	}{
		{"no group", func(q *kmsg.SyncGroupRequest) { q.Group = "" }, kafka.InvalidGroupID, kafka.InvalidGroupID},
		{"an unknown group", func(q *kmsg.SyncGroupRequest) { q.Group = "none" }, kafka.UnknownMemberID, kafka.UnknownMemberID},
		{"an unknown member", func(q *kmsg.SyncGroupRequest) { q.MemberID = "nobody" }, kafka.UnknownMemberID, kafka.UnknownMemberID},
		{"an old generation", func(q *kmsg.SyncGroupRequest) { q.Generation = 0 }, kafka.IllegalGeneration, kafka.IllegalGeneration},
		{"another protocol", func(q *kmsg.SyncGroupRequest) { q.Protocol = str("sticky") }, kafka.None, kafka.InconsistentGroupProtocol},
		{"another protocol type", func(q *kmsg.SyncGroupRequest) { q.ProtocolType = str("connect") }, kafka.None, kafka.InconsistentGroupProtocol},
		{"no protocol", func(q *kmsg.SyncGroupRequest) { q.Protocol = nil }, kafka.None, kafka.InconsistentGroupProtocol},
		{"no protocol type", func(q *kmsg.SyncGroupRequest) { q.ProtocolType = nil }, kafka.None, kafka.InconsistentGroupProtocol},
		{"nothing wrong", func(q *kmsg.SyncGroupRequest) {}, kafka.None, kafka.None},
	} {
		for _, v := range []int16{0, 4, 5} {
			q := c.syncRequest(nil)
			row.change(q)
			q.Version = v
			want := row.old
			if v >= 5 {
				want = row.now
			}
			got := testkit.Do[*kmsg.SyncGroupResponse](c.Conn, q)
			if kafka.ErrorCode(got.ErrorCode) != want || (string(got.MemberAssignment) == "all") != (want == kafka.None) || (got.Protocol != nil) != (want == kafka.None && v >= 5) {
				t.Errorf("%s, v%d: %+v, want %v", row.name, v, got, want)
			}
		}
	}
}

func TestHeartbeatAnswersAsKafkaDoes(t *testing.T) {
	b := testkit.Start(t)
	c := newMember(t, b, "g")
	c.alone()
	for _, row := range []struct {
		name   string
		change func(q *kmsg.HeartbeatRequest)
		code   kafka.ErrorCode
	}{
		{"nothing wrong", func(q *kmsg.HeartbeatRequest) {}, kafka.None},
		{"no group", func(q *kmsg.HeartbeatRequest) { q.Group = "" }, kafka.InvalidGroupID},
		{"an unknown group", func(q *kmsg.HeartbeatRequest) { q.Group = "none" }, kafka.UnknownMemberID},
		{"an unknown member", func(q *kmsg.HeartbeatRequest) { q.MemberID = "nobody" }, kafka.UnknownMemberID},
		{"an old generation", func(q *kmsg.HeartbeatRequest) { q.Generation = 0 }, kafka.IllegalGeneration},
		{"a generation to come", func(q *kmsg.HeartbeatRequest) { q.Generation = 2 }, kafka.IllegalGeneration},
	} {
		for v := int16(0); v <= 4; v++ {
			q := c.heartbeatRequest()
			row.change(q)
			q.Version = v
			if got := testkit.Do[*kmsg.HeartbeatResponse](c.Conn, q); kafka.ErrorCode(got.ErrorCode) != row.code {
				t.Errorf("%s, v%d: %v, want %v", row.name, v, kafka.ErrorCode(got.ErrorCode), row.code)
			}
		}
	}
	q := c.heartbeatRequest()
	q.InstanceID = kmsg.StringPtr("nobody")
	for v, want := range map[int16]kafka.ErrorCode{2: kafka.None, 3: kafka.UnknownMemberID} { // any order: independent
		q.Version = v
		if got := testkit.Do[*kmsg.HeartbeatResponse](c.Conn, q); kafka.ErrorCode(got.ErrorCode) != want {
			t.Errorf("an unknown instance, v%d: %v, want %v", v, kafka.ErrorCode(got.ErrorCode), want)
		}
	}
}

func TestLeaveGroupAnswersAsKafkaDoes(t *testing.T) {
	b := testkit.Start(t)
	ask := func(v int16, group, member string, members ...kmsg.LeaveGroupRequestMember) string {
		q := kmsg.NewPtrLeaveGroupRequest()
		q.Version, q.Group, q.MemberID, q.Members = v, group, member, members
		c := newMember(t, b, "warm")
		got := testkit.Do[*kmsg.LeaveGroupResponse](c.Conn, q)
		out := []string{kafka.ErrorCode(got.ErrorCode).String()}
		for _, m := range got.Members {
			instance := "-"
			if m.InstanceID != nil {
				instance = *m.InstanceID
			}
			out = append(out, fmt.Sprintf("%s/%s %v", m.MemberID, instance, kafka.ErrorCode(m.ErrorCode)))
		}
		return strings.Join(out, ", ")
	}
	static := newMember(t, b, "static")
	static.instance = kmsg.StringPtr("seat-1")
	static.alone()
	seat, nobody := kmsg.StringPtr("seat-1"), kmsg.StringPtr("nobody")
	for _, row := range []struct{ name, got, want string }{
		{"an unknown group, alone", ask(2, "none", "m"), "UNKNOWN_MEMBER_ID"},
		{"an unknown group", ask(5, "none", "", kmsg.LeaveGroupRequestMember{MemberID: "m"}), "NONE, m/- UNKNOWN_MEMBER_ID"},
		{"nobody at all", ask(3, "static", ""), "NONE"},
		{"a wrong id, an unknown instance, and the seat itself", ask(4, "static", "", kmsg.LeaveGroupRequestMember{MemberID: "x", InstanceID: seat},
			kmsg.LeaveGroupRequestMember{InstanceID: nobody}, kmsg.LeaveGroupRequestMember{InstanceID: seat}),
			"NONE, x/seat-1 FENCED_INSTANCE_ID, /nobody UNKNOWN_MEMBER_ID, /seat-1 NONE"},
	} {
		if row.got != row.want {
			t.Errorf("%s: %s, want %s", row.name, row.got, row.want)
		}
	}
}

func TestOffsetCommitAnswersAsKafkaDoes(t *testing.T) {
	b := testkit.Start(t)
	c := newMember(t, b, "g")
	c.CreateTopic("t", 3)
	c.alone()
	long, longest := strings.Repeat("x", 4097), strings.Repeat("x", 4096)
	for _, row := range []struct {
		name   string
		change func(q *kmsg.OffsetCommitRequest)
		old    kafka.ErrorCode // before v9
		now    kafka.ErrorCode
	}{
		{"a member", func(q *kmsg.OffsetCommitRequest) {}, kafka.None, kafka.None},
		{"a stranger", func(q *kmsg.OffsetCommitRequest) { q.MemberID = "nobody" }, kafka.UnknownMemberID, kafka.UnknownMemberID},
		{"an old generation", func(q *kmsg.OffsetCommitRequest) { q.Generation = 0 }, kafka.IllegalGeneration, kafka.IllegalGeneration},
		{"nobody, into a group with members", func(q *kmsg.OffsetCommitRequest) { q.Generation, q.MemberID = -1, "" }, kafka.UnknownMemberID, kafka.UnknownMemberID},
		{"a generation of a group that is not there", func(q *kmsg.OffsetCommitRequest) { q.Group = "none" }, kafka.IllegalGeneration, kafka.GroupIDNotFound},
		{"nobody, into no group", func(q *kmsg.OffsetCommitRequest) { q.Group, q.Generation, q.MemberID = "simple", -1, "" }, kafka.None, kafka.None},
		{"metadata too long", func(q *kmsg.OffsetCommitRequest) { q.Topics[0].Partitions[0].Metadata = &long }, kafka.OffsetMetadataTooLarge, kafka.OffsetMetadataTooLarge},
		{"metadata as long as it may be", func(q *kmsg.OffsetCommitRequest) { q.Topics[0].Partitions[0].Metadata = &longest }, kafka.None, kafka.None},
		{"a negative offset", func(q *kmsg.OffsetCommitRequest) { q.Topics[0].Partitions[0].Offset = -5 }, kafka.None, kafka.None},
		{"no such partition", func(q *kmsg.OffsetCommitRequest) { q.Topics[0].Partitions[0].Partition = 3 }, kafka.UnknownTopicOrPartition, kafka.UnknownTopicOrPartition},
	} {
		for _, v := range []int16{2, 8, 9} {
			q := c.commitRequest("t", 0, 7)
			row.change(q)
			q.Version = v
			want := row.old
			if v >= 9 {
				want = row.now
			}
			got := testkit.Do[*kmsg.OffsetCommitResponse](c.Conn, q).Topics
			if len(got) != 1 || got[0].Topic != "t" || len(got[0].Partitions) != 1 || kafka.ErrorCode(got[0].Partitions[0].ErrorCode) != want {
				t.Errorf("%s, v%d: %+v, want %v", row.name, v, got, want)
			}
		}
	}
	// What is answered when there is nothing to commit.
	q := c.commitRequest("t", 0, 1)
	for name, row := range map[string]struct {
		topics []kmsg.OffsetCommitRequestTopic
		want   []string
	}{ // any order: independent
		"no topics":                               {nil, nil},
		"a topic without partitions":              {[]kmsg.OffsetCommitRequestTopic{{Topic: "t"}}, nil},
		"an unknown topic without any, and known": {[]kmsg.OffsetCommitRequestTopic{{Topic: "t"}, {Topic: "none"}}, []string{"none"}},
	} {
		q.Topics = row.topics
		var names []string
		for _, rt := range testkit.Do[*kmsg.OffsetCommitResponse](c.Conn, q).Topics {
			names = append(names, rt.Topic)
		}
		if !slices.Equal(names, row.want) {
			t.Errorf("%s: %q, want %q", name, names, row.want)
		}
	}
	// Null metadata comes back as no metadata, a leader epoch from v6 on.
	q = c.commitRequest("t", 2, 9)
	q.Topics[0].Partitions[0].LeaderEpoch = 4
	for _, v := range []int16{5, 6} {
		q.Version = v
		testkit.Do[*kmsg.OffsetCommitResponse](c.Conn, q)
		f := kmsg.NewPtrOffsetFetchRequest()
		f.Version, f.Group, f.Topics = 7, "g", []kmsg.OffsetFetchRequestTopic{{Topic: "t", Partitions: []int32{2}}}
		p := testkit.Do[*kmsg.OffsetFetchResponse](c.Conn, f).Topics[0].Partitions[0]
		want := int32(-1)
		if v >= 6 {
			want = 4
		}
		if p.Offset != 9 || p.LeaderEpoch != want || p.Metadata == nil || *p.Metadata != "" {
			t.Errorf("committed at v%d: %+v", v, p)
		}
	}
}

func TestDeletingAnswersAsKafkaDoes(t *testing.T) {
	b := testkit.Start(t)
	c := newMember(t, b, "live")
	c.CreateTopic("t", 1)
	c.alone()
	x := kmsg.NewPtrDeleteGroupsRequest()
	x.Groups = []string{"live", "none"}
	for v := int16(0); v <= 2; v++ {
		x.Version = v
		got := testkit.Do[*kmsg.DeleteGroupsResponse](c.Conn, x).Groups
		if kafka.ErrorCode(got[0].ErrorCode) != kafka.NonEmptyGroup || kafka.ErrorCode(got[1].ErrorCode) != kafka.GroupIDNotFound {
			t.Errorf("v%d: %+v", v, got)
		}
	}
	undo := func(group, topic string) string {
		q := kmsg.NewPtrOffsetDeleteRequest()
		q.Group, q.Topics = group, []kmsg.OffsetDeleteRequestTopic{{Topic: topic, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}}}}
		got := testkit.Do[*kmsg.OffsetDeleteResponse](c.Conn, q)
		out := kafka.ErrorCode(got.ErrorCode).String()
		for _, rt := range got.Topics {
			out += fmt.Sprintf(" %s-%d %v", rt.Topic, rt.Partitions[0].Partition, kafka.ErrorCode(rt.Partitions[0].ErrorCode))
		}
		return out
	}
	for _, row := range []struct{ name, got, want string }{
		{"an unknown group", undo("none", "t"), "GROUP_ID_NOT_FOUND"},
		{"an unknown topic of an unknown group", undo("none", "nowhere"), "GROUP_ID_NOT_FOUND"},
		{"an unknown topic", undo("live", "nowhere"), "NONE nowhere-0 UNKNOWN_TOPIC_OR_PARTITION"},
		// Its members' subscriptions cannot be read, so they may be subscribed to anything.
		{"a topic that may be subscribed to", undo("live", "t"), "NONE t-0 GROUP_SUBSCRIBED_TO_TOPIC"},
	} {
		if row.got != row.want {
			t.Errorf("%s: %s, want %s", row.name, row.got, row.want)
		}
	}
}

// The first clients to ask for a coordinator wait until there is one; no two of them make the topic.
func TestTheFirstClientsMakeTheOffsetsTopicTogether(t *testing.T) {
	b := testkit.Start(t)
	const clients = 20
	conns := make([]*testkit.Conn, clients)
	q := kmsg.NewPtrFindCoordinatorRequest()
	q.Version, q.CoordinatorKeys = 4, []string{"a", "b", "a"}
	for i := range conns {
		conns[i] = testkit.Dial(t, b.Addr())
		conns[i].Send(q)
	}
	for _, c := range conns {
		_, rest, err := c.Receive()
		if err != nil {
			t.Fatal(err)
		}
		got := c.Decode(q, rest).(*kmsg.FindCoordinatorResponse).Coordinators
		if len(got) != 3 {
			t.Fatalf("%+v", got)
		}
		for i, co := range got {
			if co.ErrorCode != 0 || co.Key != q.CoordinatorKeys[i] || fmt.Sprintf("%s:%d", co.Host, co.Port) != b.Addr() {
				t.Fatalf("%+v", co)
			}
		}
	}
	m := kmsg.NewPtrMetadataRequest()
	m.Version, m.Topics = 9, []kmsg.MetadataRequestTopic{{Topic: kmsg.StringPtr(kafka.OffsetsTopic)}}
	if got := testkit.Do[*kmsg.MetadataResponse](conns[0], m).Topics[0]; got.ErrorCode != 0 || len(got.Partitions) != 50 || !got.IsInternal {
		t.Errorf("the topic: error %d, %d partitions, internal %v", got.ErrorCode, len(got.Partitions), got.IsInternal)
	}
}

func TestAnOffsetsTopicThatCannotBeMade(t *testing.T) {
	b := testkit.Start(t, "offsets.topic.replication.factor=3")
	c := testkit.Dial(t, b.Addr())
	q := kmsg.NewPtrFindCoordinatorRequest()
	q.CoordinatorKey, q.CoordinatorKeys = "g", []string{"g"}
	for _, v := range []int16{0, 3, 4} {
		q.Version = v
		got := testkit.Do[*kmsg.FindCoordinatorResponse](c, q)
		code, node, port, text := got.ErrorCode, got.NodeID, got.Port, got.ErrorMessage
		if v >= 4 {
			code, node, port, text = got.Coordinators[0].ErrorCode, got.Coordinators[0].NodeID, got.Coordinators[0].Port, got.Coordinators[0].ErrorMessage
		}
		if kafka.ErrorCode(code) != kafka.CoordinatorNotAvailable || node != -1 || port != -1 {
			t.Errorf("v%d: %+v", v, got)
		}
		if v > 0 && (text == nil || !strings.Contains(*text, "offsets.topic.replication.factor=3")) {
			t.Errorf("v%d: the cure is not told: %v", v, text)
		}
	}
	b.Logs.Await(t, "offsets.topic.replication.factor=3")
}
