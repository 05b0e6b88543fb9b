package groups_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/interop/groups"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// everyAPI is one exchange of each API that is written down, with every list filled, at the newest version of the classic protocol and an old one.
func everyAPI() []groups.Exchange {
	var all []groups.Exchange
	for _, at := range []struct{ key, version int16 }{{10, 3}, {10, 4}, {11, 4}, {11, 9}, {14, 3}, {14, 5}, {12, 4}, {13, 2}, {13, 5}, {8, 9}, {9, 7}, {9, 8}} {
		req, resp := kmsg.RequestForKey(at.key), kmsg.ResponseForKey(at.key)
		req.SetVersion(at.version)
		resp.SetVersion(at.version)
		switch r := resp.(type) {
		case *kmsg.FindCoordinatorResponse:
			r.Coordinators = make([]kmsg.FindCoordinatorResponseCoordinator, 1)
		case *kmsg.JoinGroupResponse:
			r.Members = make([]kmsg.JoinGroupResponseMember, 1)
		case *kmsg.LeaveGroupResponse:
			r.Members = make([]kmsg.LeaveGroupResponseMember, 1)
		case *kmsg.OffsetCommitResponse:
			r.Topics = []kmsg.OffsetCommitResponseTopic{{Topic: "t", Partitions: make([]kmsg.OffsetCommitResponseTopicPartition, 1)}}
		case *kmsg.OffsetFetchResponse:
			r.Topics = []kmsg.OffsetFetchResponseTopic{{Topic: "t", Partitions: make([]kmsg.OffsetFetchResponseTopicPartition, 1)}}
			r.Groups = []kmsg.OffsetFetchResponseGroup{{Topics: []kmsg.OffsetFetchResponseGroupTopic{{Topic: "t", Partitions: make([]kmsg.OffsetFetchResponseGroupTopicPartition, 1)}}}}
		}
		all = append(all, passed(len(all), "A", req, resp))
	}
	return all
}

// codes finds every error code in an answer.
func codes(v reflect.Value, path string, found func(path string, code reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			codes(v.Elem(), path, found)
		}
	case reflect.Slice:
		for i := range v.Len() {
			codes(v.Index(i), fmt.Sprintf("%s[%d]", path, i), found)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if name == "ErrorCode" {
				found(path+".ErrorCode", v.Field(i))
			} else {
				codes(v.Field(i), path+"."+name, found)
			}
		}
	}
}

// TestAWrongErrorCodeIsShown plants a wrong code in every place of every answer that has one, and the comparison must name it.
func TestAWrongErrorCodeIsShown(t *testing.T) {
	right := groups.Transcript(everyAPI(), nil, "g", "topic")
	planted := 0
	for i := range everyAPI() {
		var places int
		codes(reflect.ValueOf(everyAPI()[i].Response), "", func(string, reflect.Value) { places++ })
		for place := range places {
			wrong, n, where := everyAPI(), 0, ""
			r := wrong[i].Response
			codes(reflect.ValueOf(r), "", func(path string, code reflect.Value) {
				if n == place {
					code.SetInt(int64(kerr.UnknownMemberID.Code))
					where = path
				}
				n++
			})
			if version := r.GetVersion(); absent(r.Key(), version, where) {
				continue
			}
			planted++
			onlyRight, onlyWrong := groups.Differences(right, groups.Fold(groups.Transcript(wrong, nil, "g", "topic")))
			if len(onlyRight) != 1 || len(onlyWrong) != 1 || !strings.Contains(onlyWrong[0], "UNKNOWN_MEMBER_ID") {
				t.Errorf("UNKNOWN_MEMBER_ID planted at %s%s v%d: the comparison says -%v +%v", kmsg.NameForKey(r.Key()), where, r.GetVersion(), onlyRight, onlyWrong)
			}
		}
	}
	if planted < 14 {
		t.Errorf("only %d codes were planted", planted)
	}
}

// absent is whether an answer of that version has no such code on the wire.
func absent(key, version int16, where string) bool {
	switch {
	case key == 10 && version < 4:
		return strings.Contains(where, "Coordinators")
	case key == 10:
		return where == ".ErrorCode"
	case key == 13 && version < 3:
		return strings.Contains(where, "Members")
	case key == 9 && version < 8:
		return strings.Contains(where, "Groups")
	case key == 9:
		return !strings.Contains(where, "Groups")
	}
	return false
}

// TestNormalBlanksIdsTimesAndThrottleOnly changes everything that may differ between two brokers, and then, one by one, what may not.
func TestNormalBlanksIdsTimesAndThrottleOnly(t *testing.T) {
	join := func(id string, change func(*kmsg.JoinGroupRequest, *kmsg.JoinGroupResponse)) []groups.Line {
		req, resp := kmsg.NewPtrJoinGroupRequest(), kmsg.NewPtrJoinGroupResponse()
		req.Version, resp.Version = 9, 9
		reason, protocol := "need to re-join with the given member-id: "+id, "range"
		req.Group, req.MemberID, req.ProtocolType, req.Reason, req.SessionTimeoutMillis = "g", id, "consumer", &reason, 6000
		req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range"}}
		resp.Generation, resp.Protocol, resp.LeaderID, resp.MemberID = 2, &protocol, id, id
		resp.Members = []kmsg.JoinGroupResponseMember{{MemberID: id}}
		change(req, resp)
		return groups.Transcript([]groups.Exchange{passed(1, "A", req, resp)}, nil, "g", "topic")
	}
	nothing := func(*kmsg.JoinGroupRequest, *kmsg.JoinGroupResponse) {}
	one := join("A-3f2b1c6e-0000-4000-8000-000000000001", nothing)
	other := join("A-77777777-0000-4000-8000-00000000abcd", func(_ *kmsg.JoinGroupRequest, r *kmsg.JoinGroupResponse) { r.ThrottleMillis = 40 })
	other[0].At, other[0].Took = 5*time.Second, 3*time.Second
	if a, b := groups.Differences(one, other); len(a)+len(b) > 0 {
		t.Errorf("another id, time and throttle are differences: -%v +%v", a, b)
	}
	for name, change := range map[string]func(*kmsg.JoinGroupRequest, *kmsg.JoinGroupResponse){
		"generation": func(_ *kmsg.JoinGroupRequest, r *kmsg.JoinGroupResponse) { r.Generation = 3 },
		"code": func(_ *kmsg.JoinGroupRequest, r *kmsg.JoinGroupResponse) {
			r.ErrorCode = kerr.InconsistentGroupProtocol.Code
		},
		"unknown code": func(_ *kmsg.JoinGroupRequest, r *kmsg.JoinGroupResponse) { r.ErrorCode = 9999 },
		"protocol":     func(_ *kmsg.JoinGroupRequest, r *kmsg.JoinGroupResponse) { r.Protocol = nil },
		"leader":       func(_ *kmsg.JoinGroupRequest, r *kmsg.JoinGroupResponse) { r.LeaderID = "" },
		"members":      func(_ *kmsg.JoinGroupRequest, r *kmsg.JoinGroupResponse) { r.Members = nil },
		"skip":         func(_ *kmsg.JoinGroupRequest, r *kmsg.JoinGroupResponse) { r.SkipAssignment = true },
		"session":      func(q *kmsg.JoinGroupRequest, _ *kmsg.JoinGroupResponse) { q.SessionTimeoutMillis = 10000 },
		"version":      func(q *kmsg.JoinGroupRequest, _ *kmsg.JoinGroupResponse) { q.Version = 8 },
		"reason":       func(q *kmsg.JoinGroupRequest, _ *kmsg.JoinGroupResponse) { q.Reason = nil },
	} {
		a, b := groups.Differences(one, join("A-3f2b1c6e-0000-4000-8000-000000000001", change))
		if len(a) != 1 || len(b) != 1 {
			t.Errorf("another %s is no difference: -%v +%v", name, a, b)
		}
	}
}

func TestFoldKeepsEveryChange(t *testing.T) {
	heartbeat := func(second int, code int16) groups.Exchange {
		req, resp := kmsg.NewPtrHeartbeatRequest(), kmsg.NewPtrHeartbeatResponse()
		resp.ErrorCode = code
		return passed(second, "A", req, resp)
	}
	lines := groups.Fold(groups.Transcript([]groups.Exchange{heartbeat(1, 0), heartbeat(2, 0), heartbeat(3, 27), heartbeat(4, 0), heartbeat(5, 0)}, nil, "g", "topic"))
	if len(lines) != 3 || !strings.Contains(lines[1].Text, "REBALANCE_IN_PROGRESS") {
		t.Errorf("folded to %v", lines)
	}
}
