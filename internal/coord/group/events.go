package group

import (
	"time"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// Requests carry the version they came in, since a few answers depend on it. What an old version does not have takes the value that is
// said at the field. An instance id of "" means that there is none: a dynamic member.

// JoinRequest is a JoinGroup.
type JoinRequest struct {
	Reply    coord.ReplyID
	Version  int16
	Group    string
	Member   string // "": a new member
	Instance string
	// Client, Host and Software are who is at the other end: client.id, address, and the name and version of KIP-511.
	Client, Host, Software string
	// FreshID is a UUID that was never given out before; the member's id is made of it, should it need one.
	FreshID        string
	ProtocolType   string
	Protocols      []Protocol // in the member's order of preference
	SessionTimeout time.Duration
	// RebalanceTimeout is negative before version 1: the session timeout takes its place.
	RebalanceTimeout time.Duration
	Reason           string
}

// Protocol is one way of assigning that a member can take part in.
type Protocol = coord.Protocol

// EventName is "JoinGroup".
func (*JoinRequest) EventName() string { return "JoinGroup" }

// EventGroup is the group.
func (r *JoinRequest) EventGroup() string { return r.Group }

// NoGeneration is the generation of an answer that refuses, and of a commit that does not come from a member.
const NoGeneration int32 = -1

// JoinReply answers a JoinRequest. When Code is not NONE, Generation is NoGeneration and all but Member is empty.
type JoinReply struct {
	Code           kafka.ErrorCode
	Generation     int32
	ProtocolType   string
	Protocol       string
	Leader         string
	Member         string
	SkipAssignment bool
	// Members is everybody, for the leader only.
	Members []JoinedMember
}

// JoinedMember is a member as the leader sees it.
type JoinedMember struct {
	ID       string
	Instance string
	Metadata []byte // for the chosen protocol
}

// SyncRequest is a SyncGroup.
type SyncRequest struct {
	Reply      coord.ReplyID
	Version    int16
	Group      string
	Generation int32
	Member     string
	Instance   string
	// ProtocolType and Protocol are nil when the client does not say, as before version 5.
	ProtocolType *string
	Protocol     *string
	// Assignments is what the leader gives to whom; it means nothing from others.
	Assignments []Assignment
	// Hold is how long the answer may be kept back, should a second round be certain; 0 for not at all. See classic_second_round.go.
	Hold time.Duration
}

// Assignment is what one member is given. Opaque bytes.
type Assignment struct {
	Member string
	Bytes  []byte
}

// EventName is "SyncGroup".
func (*SyncRequest) EventName() string { return "SyncGroup" }

// EventGroup is the group.
func (r *SyncRequest) EventGroup() string { return r.Group }

// SyncReply answers a SyncRequest. When Code is not NONE the rest is empty.
type SyncReply struct {
	Code         kafka.ErrorCode
	ProtocolType string
	Protocol     string
	Assignment   []byte
	// Held says that the answer was kept back for its own sake, For how long, and Bound that it was for as long as it may.
	Held, Bound bool
	For         time.Duration
}

// HeartbeatRequest is a Heartbeat.
type HeartbeatRequest struct {
	Reply      coord.ReplyID
	Group      string
	Generation int32
	Member     string
	Instance   string
	// Hold is how long the answer may be kept back, should there be no rebalance to tell of; 0 for not at all. See classic_hold.go.
	Hold time.Duration
}

// EventName is "Heartbeat".
func (*HeartbeatRequest) EventName() string { return "Heartbeat" }

// EventGroup is the group.
func (r *HeartbeatRequest) EventGroup() string { return r.Group }

// HoldRelease ends a hold: the client has sent something else, or has gone. Nobody waits for an answer to this; that of the request leaves, unless
// it has left already. A SyncGroup that waits for the leader goes on to do so, and will not be held.
type HoldRelease struct {
	Held   coord.ReplyID // the Reply of the heartbeat or the SyncGroup
	Group  string
	Member string
}

// EventName is "HoldRelease".
func (*HoldRelease) EventName() string { return "HoldRelease" }

// EventGroup is the group.
func (r *HoldRelease) EventGroup() string { return r.Group }

// HeartbeatReply answers a HeartbeatRequest.
type HeartbeatReply struct {
	Code kafka.ErrorCode
	// Held says that the answer was kept back for its own sake; Bound, that it was for as long as it may.
	Held, Bound bool
}

// LeaveRequest is a LeaveGroup. Before version 3 it has exactly one member.
type LeaveRequest struct {
	Reply   coord.ReplyID
	Version int16
	Group   string
	Members []Leaver
	// Client, Host and Software are who sends it: the member itself, or an administrator. "" where that is not known.
	Client, Host, Software string
}

// Leaver is who shall leave: an id, or for a static member the instance id alone.
type Leaver struct {
	Member   string
	Instance string
	Reason   string
}

// EventName is "LeaveGroup".
func (*LeaveRequest) EventName() string { return "LeaveGroup" }

// EventGroup is the group.
func (r *LeaveRequest) EventGroup() string { return r.Group }

// LeaveReply answers a LeaveRequest. Before version 3 the Code is the member's own and Members is nil.
type LeaveReply struct {
	Code    kafka.ErrorCode
	Members []LeaveResult
}

// LeaveResult is what became of one Leaver.
type LeaveResult struct {
	Member   string
	Instance string
	Code     kafka.ErrorCode
}

// DescribeRequest is a DescribeGroups, for groups of this shard.
type DescribeRequest struct {
	Reply   coord.ReplyID
	Version int16
	Groups  []string
}

// EventName is "DescribeGroups".
func (*DescribeRequest) EventName() string { return "DescribeGroups" }

// EventGroup is the group if it is only one.
func (r *DescribeRequest) EventGroup() string { return onlyOne(r.Groups) }

// DescribeReply answers a DescribeRequest, group by group in its order.
type DescribeReply struct {
	Groups []Description
}

// Description is a group as DescribeGroups tells it.
type Description struct {
	Code         kafka.ErrorCode
	Message      string
	Group        string
	State        State
	ProtocolType string
	Protocol     string // "" unless Stable
	Members      []DescribedMember
}

// DescribedMember is one member. Metadata is empty unless the group is Stable; Assignment is the last one, until the next generation begins.
type DescribedMember struct {
	ID, Instance, Client, Host string
	Metadata, Assignment       []byte
}

// ListRequest is a ListGroups, for this shard. Empty filters let everything through; names are compared without case.
type ListRequest struct {
	Reply  coord.ReplyID
	States []string
	Types  []string
}

// EventName is "ListGroups".
func (*ListRequest) EventName() string { return "ListGroups" }

// EventGroup is empty: it is about all.
func (*ListRequest) EventGroup() string { return "" }

// ListReply answers a ListRequest, sorted by group.
type ListReply struct {
	Groups []Listing
}

// Listing is a group as ListGroups tells it.
type Listing struct {
	Group        string
	ProtocolType string
	State        State
	Type         string
	// Members and Generation are for metrics; the protocol does not ask for them.
	Members    int
	Generation int32
}

// DeleteRequest is a DeleteGroups, for groups of this shard.
type DeleteRequest struct {
	Reply  coord.ReplyID
	Groups []string
}

// EventName is "DeleteGroups".
func (*DeleteRequest) EventName() string { return "DeleteGroups" }

// EventGroup is the group if it is only one.
func (r *DeleteRequest) EventGroup() string { return onlyOne(r.Groups) }

// DeleteReply answers a DeleteRequest: each group once, in the order of the request.
type DeleteReply struct {
	Groups []DeleteResult
}

// DeleteResult is what became of one group.
type DeleteResult struct {
	Group string
	Code  kafka.ErrorCode
}

func onlyOne(groups []string) string {
	if len(groups) == 1 {
		return groups[0]
	}
	return ""
}
