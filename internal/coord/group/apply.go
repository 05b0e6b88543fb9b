package group

import (
	"fmt"
	"maps"
	"slices"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// Apply is coord.Shard's. It touches what records say, and nothing of a round under way; only a group's tombstone takes the round with
// it, and Step has seen to it that there is none.
func (s *Shard) Apply(_ int64, r record.Record) {
	switch r := r.(type) {
	case *record.OffsetCommit:
		s.offsets.Apply(r)
	case *record.GroupMetadata:
		if r.Value == nil {
			delete(s.groups, r.Group)
			return
		}
		g := s.groups[r.Group]
		if g == nil {
			g = newClassic(r.Group, 0) // Restore fills in the rest
			s.groups[r.Group] = g
		}
		g.hard = r.Value
	case record.Unknown:
	default:
		panic(fmt.Sprintf("group: no shard takes a %T", r))
	}
}

// HardState is the records that would make the shard's hard state, sorted: groups first. Two shards with the same hard state give the
// same records. It is where a trace starts.
func (s *Shard) HardState() (out []record.Record) {
	for _, name := range slices.Sorted(maps.Keys(s.groups)) {
		if g := s.groups[name]; g.hard != nil {
			out = append(out, &record.GroupMetadata{Group: name, Value: g.hard})
		}
	}
	for _, name := range s.offsets.Groups() {
		out = append(out, s.offsets.Records(name)...)
	}
	return out
}

// Restore is coord.Shard's. A group with members is Stable, whatever went on when its record was written: a round that was under way
// is lost with its requests.
func (s *Shard) Restore(now vtime.Instant) coord.Effects {
	s.begin(now)
	for _, name := range slices.Sorted(maps.Keys(s.groups)) {
		s.restore(s.groups[name])
	}
	s.arm(coord.TimerKey{Kind: timerExpiry}, now.Add(s.cfg.Offsets.CheckInterval))
	return s.end()
}

func (s *Shard) restore(g *classic) {
	v := g.hard
	g.generation, g.protocolType = v.Generation, v.ProtocolType
	g.state, g.since = Empty, vtime.FromMillis(max(v.CurrentStateTimestamp, 0))
	if v.Protocol != nil {
		g.protocol = *v.Protocol
	}
	if v.Leader != nil {
		g.leader = *v.Leader
	}
	for _, r := range v.Members {
		if g.byID[r.ID] != nil || r.InstanceID != nil && *r.InstanceID != "" && g.static[*r.InstanceID] != nil {
			continue // no writer makes such a record; two members with one name must not get in through a damaged one
		}
		m := &member{ID: r.ID, assignment: r.Assignment, heard: s.now}
		who := person{Client: r.ClientID, Host: r.ClientHost}
		if r.InstanceID != nil {
			who.Instance = *r.InstanceID
		}
		// The record has the member's metadata for the chosen protocol only, so it looks as if it supported no other.
		can := offer{[]Protocol{{Name: g.protocol, Metadata: r.Subscription}}, r.RebalanceTimeout, r.SessionTimeout}
		if can.rebalanceTimeout < 0 {
			can.rebalanceTimeout = can.sessionTimeout
		}
		g.says(m, who, can)
		g.add(m)
		s.setSession(g, m, max(m.sessionTimeout, 0))
	}
	if len(g.members) == 0 {
		return
	}
	g.state = Stable
	s.note(coord.GroupRestored{Group: g.id, State: g.state, Generation: g.generation, Members: len(g.members), Record: v})
	if len(g.members) > s.cfg.SizeMax {
		s.prepare(g, trigger{kind: coord.LoadedGroupTooLarge})
	}
}
