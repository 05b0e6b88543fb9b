package group

import (
	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/offset"
	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// OffsetCommit and OffsetDelete, as far as the group has a say; expiry; deleted topics. What is stored is in coord/offset.

// expiryRecordsMax ends a round of expiry early, so that one batch does not hold up the shard; the next round follows at once.
const expiryRecordsMax = 10_000

func (s *Shard) commit(r *offset.CommitRequest) {
	if code, why := s.checkCommit(r); code != kafka.None {
		s.refused(r.EventName(), r.Group, r.Member, r.Instance, code, why)
		s.reply(r.Reply, r.Refuse(code))
		return
	}
	reply, records := offset.Commit(s.now, s.cfg.Offsets, r)
	s.fx.Records = append(s.fx.Records, records...)
	s.reply(r.Reply, reply)
}

// checkCommit says whether the sender may commit. While members rejoin they may: it is their last chance to say how far they came. Once
// all have joined they may not, since their partitions may be somebody else's by now.
func (s *Shard) checkCommit(r *offset.CommitRequest) (kafka.ErrorCode, string) {
	if len(r.Group) > record.MaxString {
		return kafka.InvalidGroupID, "the group id is longer than a record can hold"
	}
	if r.Generation >= 0 && !s.exists(r.Group) {
		if r.Version >= 9 {
			return kafka.GroupIDNotFound, "there is no such group"
		}
		return kafka.IllegalGeneration, "there is no such group"
	}
	g := s.groups[r.Group]
	if r.Generation < 0 && (g == nil || g.state == Empty) {
		return kafka.None, "" // nobody is in the group: a consumer that assigns itself, or an administrator
	}
	switch {
	case g == nil:
		return kafka.UnknownMemberID, "the group has no members"
	case r.Generation < 0 && r.Member == "" && r.Instance == "":
		return kafka.UnknownMemberID, "the group has members, the commit comes from none of them"
	}
	m, code, why := g.identify(r.Member, r.Instance)
	if code != kafka.None {
		return code, why
	}
	if r.Generation != g.generation {
		return kafka.IllegalGeneration, g.wrongGeneration(r.Generation)
	}
	m.heard, m.answered = s.now, s.now
	if g.state == CompletingRebalance {
		return kafka.RebalanceInProgress, "everybody has joined; the partitions may be somebody else's by now"
	}
	s.setSession(g, m, m.sessionTimeout)
	return kafka.None, ""
}

func (s *Shard) deleteOffsets(r *offset.DeleteRequest) {
	refuse := func(code kafka.ErrorCode) { s.reply(r.Reply, offset.DeleteReply{Code: code}) }
	g := s.groups[r.Group]
	subscribed := func(string) bool { return false }
	switch {
	case r.Group == "":
		refuse(kafka.InvalidGroupID)
		return
	case !s.exists(r.Group):
		refuse(kafka.GroupIDNotFound)
		return
	case g == nil || g.state == Empty:
	case g.protocolType != consumerType:
		refuse(kafka.NonEmptyGroup)
		return
	default:
		topics, known := g.subscription()
		subscribed = func(topic string) bool { return !known || topics[topic] }
	}
	reply, records := s.offsets.Delete(r, subscribed)
	s.reply(r.Reply, reply)
	s.noteDeleted(r.Group, coord.ByRequest, records)
}

// noteDeleted writes the tombstones of a group's offsets, and says so.
func (s *Shard) noteDeleted(group string, cause coord.DeletionCause, records []record.Record) {
	if len(records) == 0 {
		return
	}
	note := coord.OffsetsDeleted{Group: group, Cause: cause}
	for _, r := range records {
		o := r.(*record.OffsetCommit)
		note.Partitions = append(note.Partitions, kafka.TopicPartition{Topic: o.Topic, Partition: o.Partition})
	}
	s.fx.Records = append(s.fx.Records, records...)
	s.note(note)
}

// topicDeleted forgets a topic in every group: its offsets mean nothing in a topic made anew under the same name.
func (s *Shard) topicDeleted(ev coord.TopicDeleted) {
	for _, name := range s.offsets.Groups() {
		s.noteDeleted(name, coord.TopicGone, s.offsets.DeleteTopic(name, ev.Topic, ev.ID))
	}
}

// expire deletes offsets whose time has come, and groups of which nothing is left.
func (s *Shard) expire() {
	next := s.now.Add(s.cfg.Offsets.CheckInterval)
	for _, name := range s.groupNames() {
		if len(s.fx.Records) >= expiryRecordsMax {
			next = s.now
			break
		}
		g := s.groups[name]
		records, notes, empty := s.offsets.Expired(s.now, s.cfg.Offsets, name, g.expiryRule())
		s.fx.Records = append(s.fx.Records, records...)
		s.fx.Notes = append(s.fx.Notes, notes...)
		if empty && g != nil && g.idle() {
			s.bury(g, coord.NothingLeft)
		}
	}
	s.arm(coord.TimerKey{Kind: timerExpiry}, next)
}

// expiryRule says how the offsets of the group age; g may be nil, for a group that is nothing but offsets.
func (g *classic) expiryRule() offset.Rule {
	switch {
	case g == nil || g.idle() && g.protocolType == "":
		return offset.Rule{}
	case g.state == Empty && g.protocolType != "":
		return offset.Rule{Empty: true, EmptySince: g.hard.CurrentStateTimestamp}
	case g.state == Stable:
		if topics, known := g.subscription(); known {
			return offset.Rule{Subscribed: func(topic string) bool { return topics[topic] }}
		}
	}
	return offset.Rule{Held: true}
}

// bury deletes a group without members; its offsets are gone already, or go in the same batch.
func (s *Shard) bury(g *classic, cause coord.DeletionCause) {
	g.enter(Dead, s.now)
	s.write(&record.GroupMetadata{Group: g.id})
	s.note(coord.GroupDeleted{Group: g.id, Cause: cause})
}
