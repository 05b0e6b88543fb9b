package main

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// seat is one member of a group, as the cases play it; it speaks the versions below unless the case's own key is asked.
type seat struct {
	r          *run
	group, id  string
	instance   *string
	generation int32
	metadata   []byte
	protocols  []string
}

// sit is a member to be of a group of this case, whose coordinator is ready.
func sit(r *run, name string) *seat {
	s := &seat{r: r, group: fmt.Sprintf("wd-%s-%d", name, r.v), generation: -1, metadata: subscription("wd"), protocols: []string{"range"}}
	coordinated(r, s.group)
	return s
}

// dashed makes a part of a group's name of a case's.
func dashed(name string) string { return strings.NewReplacer(" ", "-", ",", "").Replace(name) }

// coordinated waits until the group's coordinator answers.
func coordinated(r *run, group string) {
	ready := r.await(func() kmsg.Request {
		q := kmsg.NewPtrFindCoordinatorRequest()
		q.Version, q.CoordinatorKey = 3, group
		return q
	}, func(resp kmsg.Response) bool { return resp.(*kmsg.FindCoordinatorResponse).ErrorCode == 0 })
	ready = ready && r.await(func() kmsg.Request {
		q := kmsg.NewPtrOffsetFetchRequest()
		q.Version, q.Group = 7, group
		return q
	}, func(resp kmsg.Response) bool { return resp.(*kmsg.OffsetFetchResponse).ErrorCode == 0 })
	if !ready {
		r.note("setup", "no coordinator for "+group)
	}
}

// subscription is a consumer's, version 0.
func subscription(topics ...string) []byte {
	b := []byte{0, 0}
	b = binary.BigEndian.AppendUint32(b, uint32(len(topics)))
	for _, t := range topics {
		b = binary.BigEndian.AppendUint16(b, uint16(len(t)))
		b = append(b, t...)
	}
	return binary.BigEndian.AppendUint32(b, 0xffffffff)
}

// elsewhere is the same member speaking over another connection, whose answers are not compared.
func (s *seat) elsewhere() *seat {
	other := *s
	other.r = &run{ctx: s.r.ctx, env: s.r.env, key: -1, v: s.r.v, out: flat{}, name: "stranger"}
	return &other
}

func (s *seat) joinRequest() *kmsg.JoinGroupRequest {
	q := kmsg.NewPtrJoinGroupRequest()
	q.Version, q.Group, q.MemberID, q.InstanceID = 7, s.group, s.id, s.instance
	q.SessionTimeoutMillis, q.RebalanceTimeoutMillis, q.ProtocolType = 30_000, 20_000, "consumer"
	q.Reason = kmsg.StringPtr("because")
	for _, name := range s.protocols {
		p := kmsg.NewJoinGroupRequestProtocol()
		p.Name, p.Metadata = name, s.metadata
		q.Protocols = append(q.Protocols, p)
	}
	return q
}

// took remembers what a join was answered.
func (s *seat) took(resp kmsg.Response) {
	if j, ok := resp.(*kmsg.JoinGroupResponse); ok {
		if j.MemberID != "" {
			s.id = j.MemberID
		}
		if j.ErrorCode == 0 {
			s.generation = j.Generation
		}
	}
}

// named gets the member its id, without a word in the comparison.
func (s *seat) named() *seat {
	s.took(s.r.quiet(s.joinRequest()))
	return s
}

func (s *seat) joined() *seat {
	if s.instance == nil {
		s.named()
	}
	s.took(s.r.quiet(s.joinRequest()))
	return s
}

func (s *seat) syncRequest(assignment string) *kmsg.SyncGroupRequest {
	q := kmsg.NewPtrSyncGroupRequest()
	q.Version, q.Group, q.Generation, q.MemberID, q.InstanceID = 5, s.group, s.generation, s.id, s.instance
	q.ProtocolType, q.Protocol = kmsg.StringPtr("consumer"), kmsg.StringPtr("range")
	if assignment != "" {
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		a.MemberID, a.MemberAssignment = s.id, []byte(assignment)
		q.GroupAssignment = append(q.GroupAssignment, a)
	}
	return q
}

// stable makes a group of one.
func (s *seat) stable() *seat {
	s.joined()
	s.r.quiet(s.syncRequest("assignment"))
	return s
}

func (s *seat) heartbeatRequest() *kmsg.HeartbeatRequest {
	q := kmsg.NewPtrHeartbeatRequest()
	q.Version, q.Group, q.Generation, q.MemberID, q.InstanceID = 4, s.group, s.generation, s.id, s.instance
	return q
}

func (s *seat) leaveRequest(ids ...string) *kmsg.LeaveGroupRequest {
	q := kmsg.NewPtrLeaveGroupRequest()
	q.Version, q.Group, q.MemberID = 5, s.group, s.id
	for _, id := range ids {
		m := kmsg.NewLeaveGroupRequestMember()
		m.MemberID, m.Reason = id, kmsg.StringPtr("enough")
		q.Members = append(q.Members, m)
	}
	return q
}

// disturbed is a Stable group of s into which somebody else now comes: the stranger's join waits until s joins again or leaves. The stranger's
// id is in what is returned; done must be called at the end.
func (s *seat) disturbed() (stranger *seat, done func()) {
	stranger = s.elsewhere()
	stranger.id, stranger.generation, stranger.instance = "", -1, nil
	stranger.named()
	ended := make(chan struct{})
	asked := stranger.elsewhere()
	go func() {
		asked.took(asked.r.quiet(asked.joinRequest()))
		close(ended)
	}()
	s.r.await(func() kmsg.Request { return s.heartbeatRequest() }, func(resp kmsg.Response) bool { return resp.(*kmsg.HeartbeatResponse).ErrorCode == 27 })
	return stranger, func() {
		s.r.quiet(s.leaveRequest(s.id, stranger.id)) // ends the wait
		<-ended
		stranger.r.close()
		asked.r.close()
	}
}

func (s *seat) commitRequest(topics ...kmsg.OffsetCommitRequestTopic) *kmsg.OffsetCommitRequest {
	q := kmsg.NewPtrOffsetCommitRequest()
	q.Version, q.Group, q.Generation, q.MemberID, q.InstanceID, q.Topics = 9, s.group, s.generation, s.id, s.instance, topics
	return q
}

// place is one partition to commit.
func place(partition int32, offset int64, metadata *string) kmsg.OffsetCommitRequestTopicPartition {
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset, p.LeaderEpoch, p.Metadata = partition, offset, 3, metadata
	return p
}

func places(topic string, ps ...kmsg.OffsetCommitRequestTopicPartition) kmsg.OffsetCommitRequestTopic {
	return kmsg.OffsetCommitRequestTopic{Topic: topic, Partitions: ps}
}

// committed commits two offsets for nobody in particular.
func (s *seat) committed() *seat {
	s.r.quiet(s.commitRequest(places("wd", place(0, 5, kmsg.StringPtr("five")), place(1, 7, nil))))
	return s
}
