package group

import (
	"maps"
	"slices"
	"strings"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// DescribeGroups, ListGroups and DeleteGroups.

func (s *Shard) describe(r *DescribeRequest) {
	var reply DescribeReply
	for _, name := range r.Groups {
		reply.Groups = append(reply.Groups, s.describeOne(name, r.Version))
	}
	s.reply(r.Reply, reply)
}

func (s *Shard) describeOne(name string, version int16) Description {
	g := s.groups[name]
	d := Description{Group: name, State: Empty}
	switch {
	case g != nil:
	case s.offsets.Has(name):
		return d
	default:
		d.State = Dead
		if version >= 6 {
			d.Code, d.Message = kafka.GroupIDNotFound, "Group "+name+" not found."
		}
		return d
	}
	d.State, d.ProtocolType = g.state, g.protocolType
	if g.state == Stable {
		d.Protocol = g.protocol
	}
	for _, m := range g.members {
		dm := DescribedMember{ID: m.ID, Instance: m.Instance, Client: m.Client, Host: m.Host, Assignment: m.assignment}
		if g.state == Stable {
			dm.Metadata = m.metadata(g.protocol)
		}
		d.Members = append(d.Members, dm)
	}
	return d
}

// typeClassic is the type of the groups in this file, as listings name it.
const typeClassic = "classic"

func (s *Shard) list(r *ListRequest) {
	passes := func(filter []string, value string) bool {
		return len(filter) == 0 || slices.ContainsFunc(filter, func(f string) bool { return strings.EqualFold(f, value) })
	}
	var reply ListReply
	for _, name := range s.groupNames() {
		l := Listing{Group: name, State: Empty, Type: typeClassic}
		if g := s.groups[name]; g != nil {
			l.State, l.ProtocolType, l.Members, l.Generation = g.state, g.protocolType, len(g.members), g.generation
		}
		if passes(r.States, string(l.State)) && passes(r.Types, l.Type) {
			reply.Groups = append(reply.Groups, l)
		}
	}
	s.reply(r.Reply, reply)
}

func (s *Shard) delete(r *DeleteRequest) {
	var reply DeleteReply
	seen := map[string]bool{}
	for _, name := range r.Groups {
		if seen[name] {
			continue
		}
		seen[name] = true
		result := DeleteResult{Group: name}
		switch g := s.groups[name]; {
		case !s.exists(name):
			result.Code = kafka.GroupIDNotFound
		case g != nil && g.state != Empty:
			result.Code = kafka.NonEmptyGroup
			s.refused(r.EventName(), name, "", "", result.Code, "the group has members")
		default:
			s.noteDeleted(name, coord.ByRequest, s.offsets.DeleteGroup(name))
			if g == nil {
				s.note(coord.GroupDeleted{Group: name, Cause: coord.ByRequest})
				break
			}
			for _, id := range slices.Sorted(maps.Keys(g.pending)) {
				s.disarm(g.pendingTimer(id))
			}
			s.bury(g, coord.ByRequest)
		}
		reply.Groups = append(reply.Groups, result)
	}
	s.reply(r.Reply, reply)
}
