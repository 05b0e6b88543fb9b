package sim

import (
	"math/bits"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/group"
	"github.com/barnabas-mq/barnabas/internal/coord/offset"
)

// How many bytes requests have on the wire. Nothing is encoded here; lengths are added up, for every client as today's Java client writes them:
// Heartbeat 4, JoinGroup 9, SyncGroup 5, OffsetCommit 8, OffsetFetch 8 and LeaveGroup 5, all with compact lengths and tags.

// wireSize is the size of a request with its header, of a client with this id.
func wireSize(client string, ev coord.Event) int64 {
	n := 4 + 2 + 2 + 4 + 2 + len(client) + 1 // length, API, version, correlation id, client id, tags
	switch q := ev.(type) {
	case *group.HeartbeatRequest:
		n += compact(len(q.Group)) + 4 + ofMember(q.Member) + orNull(q.Instance) + 1
	case *group.JoinRequest:
		n += compact(len(q.Group)) + 4 + 4 + ofMember(q.Member) + orNull(q.Instance) + compact(len(q.ProtocolType)) + orNull(q.Reason) + 1
		n += varint(len(q.Protocols) + 1)
		for _, p := range q.Protocols {
			n += compact(len(p.Name)) + compact(len(p.Metadata)) + 1
		}
	case *group.SyncRequest:
		n += compact(len(q.Group)) + 4 + ofMember(q.Member) + orNull(q.Instance) + ofPointer(q.ProtocolType) + ofPointer(q.Protocol) + 1
		n += varint(len(q.Assignments) + 1)
		for _, a := range q.Assignments {
			n += ofMember(a.Member) + compact(len(a.Bytes)) + 1
		}
	case *group.LeaveRequest:
		n += compact(len(q.Group)) + varint(len(q.Members)+1) + 1
		for _, l := range q.Members {
			n += ofMember(l.Member) + orNull(l.Instance) + orNull(l.Reason) + 1
		}
	case *offset.CommitRequest:
		n += compact(len(q.Group)) + 4 + ofMember(q.Member) + orNull(q.Instance) + varint(len(q.Topics)+1) + 1
		for _, t := range q.Topics {
			n += compact(len(t.Topic)) + varint(len(t.Partitions)+1) + 1
			n += len(t.Partitions) * (4 + 8 + 4 + 1 + 1) // number, offset, leader epoch, metadata "", tags
		}
	case *offset.FetchRequest:
		n += varint(1+1) + compact(len(q.Group)) + varint(len(q.Topics)+1) + 1 + 1 + 1 // one group, its tags, require stable, tags
		for _, t := range q.Topics {
			n += compact(len(t.Topic)) + varint(len(t.Partitions)+1) + 4*len(t.Partitions) + 1
		}
	default:
		panic("sim: nobody knows the size of a " + ev.EventName()) // members send nothing else
	}
	return int64(n)
}

// varint is how long an unsigned varint is.
func varint(v int) int { return (bits.Len64(uint64(v)|1) + 6) / 7 }

// compact is how long n bytes are with their length.
func compact(n int) int { return varint(n+1) + n }

// shorter is by how much ids of members are shorter here than elsewhere: they end in 8 letters that fit on a line, and not in a UUID of 36.
const shorter = 36 - 8

// ofMember is how long a member's id would be.
func ofMember(id string) int {
	if id == "" {
		return 1
	}
	return compact(len(id) + shorter)
}

// orNull is how long a string is that may be null, and is when it is empty.
func orNull(s string) int {
	if s == "" {
		return 1
	}
	return compact(len(s))
}

func ofPointer(s *string) int {
	if s == nil {
		return 1
	}
	return compact(len(*s))
}
