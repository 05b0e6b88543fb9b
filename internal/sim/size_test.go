package sim

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/group"
	"github.com/barnabas-mq/barnabas/internal/coord/offset"
)

// The sizes are those of the requests as another codec encodes them.
func TestSizesAreThoseOnTheWire(t *testing.T) {
	kind, protocol, instance, reason := "consumer", "sticky", "c1", "why not"
	long := strings.Repeat("x", 130) // its length takes two bytes
	many := make([]int32, 200)
	uuid := "c1-00000000-0000-4000-8000-000000000000"
	join := kmsg.NewPtrJoinGroupRequest()
	join.Version, join.Group, join.MemberID, join.InstanceID, join.ProtocolType, join.Reason = 9, "g", uuid, &instance, kind, &reason
	for _, blob := range []string{"ab", long} {
		p := kmsg.NewJoinGroupRequestProtocol()
		p.Name, p.Metadata = "sticky", []byte(blob)
		join.Protocols = append(join.Protocols, p)
	}
	first := kmsg.NewPtrJoinGroupRequest()
	first.Version, first.Group, first.ProtocolType = 9, "g", kind
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Version, sync.Group, sync.Generation, sync.MemberID, sync.ProtocolType, sync.Protocol = 5, "g", 7, uuid, &kind, &protocol
	a := kmsg.NewSyncGroupRequestGroupAssignment()
	a.MemberID, a.MemberAssignment = uuid, []byte(long)
	sync.GroupAssignment = append(sync.GroupAssignment, a)
	beat := kmsg.NewPtrHeartbeatRequest()
	beat.Version, beat.Group, beat.MemberID, beat.InstanceID = 4, "g", uuid+long, &instance
	leave := kmsg.NewPtrLeaveGroupRequest()
	l := kmsg.NewLeaveGroupRequestMember()
	l.MemberID, l.Reason = uuid, &reason
	leave.Version, leave.Group, leave.Members = 5, "g", append(leave.Members, l)
	none := ""
	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Version, commit.Group, commit.MemberID = 8, "g", uuid
	fetch := kmsg.NewPtrOffsetFetchRequest()
	fetch.Version = 8
	asked := kmsg.NewOffsetFetchRequestGroup()
	asked.Group = "g"
	ours := &offset.CommitRequest{Group: "g", Member: "c1-00000000"}
	for _, topic := range []string{"orders", long} {
		c, f, mine := kmsg.NewOffsetCommitRequestTopic(), kmsg.NewOffsetFetchRequestGroupTopic(), offset.CommitTopic{Topic: topic}
		c.Topic, f.Topic, f.Partitions = topic, topic, many
		for range many {
			p := kmsg.NewOffsetCommitRequestTopicPartition()
			p.Metadata = &none
			c.Partitions = append(c.Partitions, p)
			mine.Partitions = append(mine.Partitions, offset.CommitPartition{})
		}
		commit.Topics, asked.Topics, ours.Topics = append(commit.Topics, c), append(asked.Topics, f), append(ours.Topics, mine)
	}
	fetch.Groups = append(fetch.Groups, asked)
	for _, c := range []struct {
		wire kmsg.Request
		ours coord.Event
	}{
		{join, &group.JoinRequest{Group: "g", Member: "c1-00000000", Instance: "c1", ProtocolType: kind, Reason: reason, Protocols: []group.Protocol{{Name: "sticky", Metadata: []byte("ab")}, {Name: "sticky", Metadata: []byte(long)}}}},
		{first, &group.JoinRequest{Group: "g", ProtocolType: kind}},
		{sync, &group.SyncRequest{Group: "g", Member: "c1-00000000", ProtocolType: &kind, Protocol: &protocol, Assignments: []group.Assignment{{Member: "c1-00000000", Bytes: []byte(long)}}}},
		{beat, &group.HeartbeatRequest{Group: "g", Member: "c1-00000000" + long, Instance: "c1"}},
		{leave, &group.LeaveRequest{Group: "g", Members: []group.Leaver{{Member: "c1-00000000", Reason: reason}}}},
		{commit, ours},
		{fetch, &offset.FetchRequest{Group: "g", Topics: []offset.Partitions{{Topic: "orders", Partitions: many}, {Topic: long, Partitions: many}}}},
	} {
		frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID("c1")).AppendRequest(nil, c.wire, 1)
		if got := wireSize("c1", c.ours); got != int64(len(frame)) {
			t.Errorf("%s: %d bytes, and %d as encoded", c.ours.EventName(), got, len(frame))
		}
	}
}

// A member that joins, beats for a while and commits: the bytes are those of its requests, one by one.
func TestBytesAreCounted(t *testing.T) {
	r := run(t, parse(t, "duration: 1m\nmembers: [{count: 1}]", ideally()...), 1)
	one := int64(0)
	for _, c := range r.Messages {
		switch c.API {
		case "Heartbeat":
			one += c.N * wireSize("c1", &group.HeartbeatRequest{Group: groupID, Member: "c1-00000000"})
		case "OffsetCommit":
			q := &offset.CommitRequest{Group: groupID, Member: "c1-00000000", Topics: []offset.CommitTopic{{Topic: "orders", Partitions: make([]offset.CommitPartition, 12)}}}
			one += c.N * wireSize("c1", q)
		default:
			if c.N != 0 {
				t.Errorf("%d %s after everybody had joined", c.N, c.API)
			}
		}
	}
	if r.Bytes != one || one == 0 {
		t.Errorf("%d bytes, and %d by the request", r.Bytes, one)
	}
}
