package server

import (
	"cmp"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/group"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// groupOperations is what anybody may do with a group while there are no ACLs, as a set of bits by operation: read, delete, describe,
// describe its settings, alter them.
const groupOperations = 1<<3 | 1<<6 | 1<<8 | 1<<10 | 1<<11

// DescribeGroups (15)
//
// v1  throttle time
// v3  authorized operations (KIP-430)
// v4  group instance ids (KIP-345)
// v5  flexible
// v6  GROUP_ID_NOT_FOUND and a message, instead of a group that is Dead (KIP-1043)
//
// A group is answered once, however often it is named.
func describeGroups(g *groupCall, in kmsg.Request) {
	s, q := g.conn.srv, in.(*kmsg.DescribeGroupsRequest)
	names := groupNames(q.Groups)
	shards, groups := s.byShard(names)
	for _, shard := range shards {
		g.ask(shard, func(id coord.ReplyID) coord.Event {
			return &group.DescribeRequest{Reply: id, Version: q.Version, Groups: groups[shard]}
		})
	}
	g.answer = func(said []any) kmsg.Response {
		found := make(map[string]kmsg.DescribeGroupsResponseGroup, len(names))
		for i, shard := range shards {
			reply, ok := said[i].(group.DescribeReply)
			if !ok {
				for _, name := range groups[shard] {
					rg := kmsg.NewDescribeGroupsResponseGroup()
					rg.Group, rg.ErrorCode = name, g.failed(said[i].(coord.Refused).Code)
					found[name] = rg
				}
			}
			for k := range reply.Groups {
				found[reply.Groups[k].Group] = g.described(&reply.Groups[k], q.IncludeAuthorizedOperations)
			}
		}
		resp := q.ResponseKind().(*kmsg.DescribeGroupsResponse)
		for _, name := range names {
			resp.Groups = append(resp.Groups, found[name])
		}
		return resp
	}
}

func (g *groupCall) described(d *group.Description, operations bool) kmsg.DescribeGroupsResponseGroup {
	rg := kmsg.NewDescribeGroupsResponseGroup()
	rg.ErrorCode, rg.ErrorMessage = g.failed(d.Code), message(d.Code, d.Message)
	rg.Group, rg.State, rg.ProtocolType, rg.Protocol = d.Group, string(d.State), d.ProtocolType, d.Protocol
	if operations && d.Code == kafka.None {
		rg.AuthorizedOperations = groupOperations
	}
	for _, m := range d.Members {
		rm := kmsg.NewDescribeGroupsResponseGroupMember()
		rm.MemberID, rm.InstanceID, rm.ClientID, rm.ClientHost = m.ID, orNull(m.Instance), m.Client, m.Host
		rm.ProtocolMetadata, rm.MemberAssignment = m.Metadata, m.Assignment
		rg.Members = append(rg.Members, rm)
	}
	return rg
}

// ListGroups (16)
//
// v1  throttle time
// v3  flexible
// v4  a filter by state (KIP-518)
// v5  a filter by type (KIP-848)
//
// Groups come sorted by name. As long as a part of the groups is being read, the whole list is COORDINATOR_LOAD_IN_PROGRESS, as in Kafka: a
// list that is not whole would be taken for one that is.
func listGroups(g *groupCall, in kmsg.Request) {
	s, q := g.conn.srv, in.(*kmsg.ListGroupsRequest)
	for _, shard := range s.deps.Groups.Shards() {
		g.ask(shard, func(id coord.ReplyID) coord.Event {
			return &group.ListRequest{Reply: id, States: q.StatesFilter, Types: q.TypesFilter}
		})
	}
	g.answer = func(said []any) kmsg.Response {
		resp := q.ResponseKind().(*kmsg.ListGroupsResponse)
		for _, body := range said {
			reply, ok := body.(group.ListReply)
			if !ok {
				code := body.(coord.Refused).Code
				if code == kafka.NotCoordinator {
					continue // the shard went elsewhere, and is listed there
				}
				resp.Groups, resp.ErrorCode = nil, g.failed(code)
				return resp
			}
			for _, l := range reply.Groups {
				rg := kmsg.NewListGroupsResponseGroup()
				rg.Group, rg.ProtocolType, rg.GroupState, rg.GroupType = l.Group, l.ProtocolType, string(l.State), l.Type
				resp.Groups = append(resp.Groups, rg)
			}
		}
		slices.SortFunc(resp.Groups, func(a, b kmsg.ListGroupsResponseGroup) int { return cmp.Compare(a.Group, b.Group) })
		return resp
	}
}

// DeleteGroups (42)
//
// v1  throttle time comes first
// v2  flexible
//
// A group is answered once, however often it is named.
func deleteGroups(g *groupCall, in kmsg.Request) {
	s, q := g.conn.srv, in.(*kmsg.DeleteGroupsRequest)
	names := groupNames(q.Groups)
	shards, groups := s.byShard(names)
	for _, shard := range shards {
		g.ask(shard, func(id coord.ReplyID) coord.Event {
			return &group.DeleteRequest{Reply: id, Groups: groups[shard]}
		})
	}
	g.answer = func(said []any) kmsg.Response {
		codes := make(map[string]kafka.ErrorCode, len(names))
		for i, shard := range shards {
			reply, ok := said[i].(group.DeleteReply)
			if !ok {
				for _, name := range groups[shard] {
					codes[name] = said[i].(coord.Refused).Code
				}
			}
			for _, d := range reply.Groups {
				codes[d.Group] = d.Code
			}
		}
		resp := q.ResponseKind().(*kmsg.DeleteGroupsResponse)
		for _, name := range names {
			rg := kmsg.NewDeleteGroupsResponseGroup()
			rg.Group, rg.ErrorCode = name, g.failed(codes[name])
			resp.Groups = append(resp.Groups, rg)
		}
		return resp
	}
}
