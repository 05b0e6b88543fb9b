package group

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/offset"
	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// code is the one code of a commit of one partition.
func code(results []offset.TopicResult) kafka.ErrorCode { return results[0].Partitions[0].Code }

// stored is what the group has committed, as "t-0=10 t-1=11".
func (r *rig) stored(group string) string {
	r.t.Helper()
	var out []string
	for _, t := range r.fetchAll(group) {
		for _, p := range t.Partitions {
			out = append(out, fmt.Sprintf("%s-%d=%d", t.Topic, p.Partition, p.Offset))
		}
	}
	return strings.Join(out, " ")
}

// commitTo commits offset 1 of partition 0 of each topic, as nobody in particular or as a member.
func (r *rig) commitTo(member string, generation int32, topics ...string) {
	r.t.Helper()
	for _, result := range r.commitOffset(func(q *offset.CommitRequest) {
		q.Member, q.Generation, q.Topics = member, generation, nil
		for _, t := range topics {
			q.Topics = append(q.Topics, offset.CommitTopic{Topic: t, Partitions: []offset.CommitPartition{{Partition: 0, Offset: 1}}})
		}
	}) {
		if result.Partitions[0].Code != kafka.None {
			r.t.Fatalf("%+v", result)
		}
	}
}

func TestScenario32CommitsWhileTheGroupRebalances(t *testing.T) {
	r := newRig(t, config())
	m := r.stable(nil, "x", "y")
	r.rejoin("x", m[0].id, nil)
	r.wantState(PreparingRebalance, 1)
	want(t, r.commitAs(m[1].id, 1), kafka.None)
	r.rejoin("y", m[1].id, nil)
	r.wantState(CompletingRebalance, 2)
	want(t, r.commitAs(m[1].id, 2), kafka.RebalanceInProgress)
	want(t, r.commitAs(m[1].id, 1), kafka.IllegalGeneration)
	want(t, r.stored("g"), "t-0=10")
}

func TestScenario33CommitsWithoutAGroup(t *testing.T) {
	r := newRig(t, config())
	want(t, code(r.commitOffset(func(q *offset.CommitRequest) { q.Generation = 5 })), kafka.IllegalGeneration)
	want(t, code(r.commitOffset(func(q *offset.CommitRequest) { q.Generation, q.Version = 5, 9 })), kafka.GroupIDNotFound)
	want(t, r.list(nil, nil), nil)
	want(t, code(r.commitOffset(nil)), kafka.None)
	want(t, r.list(nil, nil), []Listing{{Group: "g", State: Empty, Type: "classic"}})
	want(t, r.describe("g"), Description{Group: "g", State: Empty})
	want(t, code(r.commitOffset(func(q *offset.CommitRequest) { q.Generation, q.Version = 5, 9 })), kafka.UnknownMemberID)
	r.load()
	want(t, r.stored("g"), "t-0=10")
}

func TestScenario34StandaloneCommitIntoALiveGroup(t *testing.T) {
	r := newRig(t, config())
	m := r.stable(nil, "x")
	want(t, code(r.commitOffset(nil)), kafka.UnknownMemberID)
	r.leave(5, Leaver{Member: m[0].id})
	r.wantState(Empty, 2)
	want(t, code(r.commitOffset(nil)), kafka.None)
	want(t, r.commitAs("whoever", -1), kafka.None) // the member id does not matter to an empty group
	want(t, r.commitAs(m[0].id, 1), kafka.UnknownMemberID)
}

func TestCommitsOfZombiesAreRefused(t *testing.T) {
	r := newRig(t, config())
	m := r.stableStatic("x", "s")
	a := must[JoinReply](r, r.join("s", static("s")))
	for _, c := range []struct {
		name             string
		member, instance string
		generation       int32
		want             kafka.ErrorCode
	}{
		{"replaced under its instance id", m[1].id, "s", 1, kafka.FencedInstanceID},
		{"replaced, and does not name its instance id", m[1].id, "", 1, kafka.UnknownMemberID},
		{"an instance nobody has", m[1].id, "other", 1, kafka.UnknownMemberID},
		{"of an old generation", m[0].id, "x", 0, kafka.IllegalGeneration},
		{"a member without a generation", m[0].id, "x", -1, kafka.IllegalGeneration},
		{"never a member", "nobody", "", 1, kafka.UnknownMemberID},
		{"an instance id alone", "", "s", -1, kafka.FencedInstanceID},
		{"the new holder of the seat", a.Member, "s", 1, kafka.None},
	} {
		got := code(r.commitOffset(func(q *offset.CommitRequest) { q.Member, q.Instance, q.Generation = c.member, c.instance, c.generation }))
		if got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestAPendingIDIsNotAMember(t *testing.T) {
	r := newRig(t, config())
	r.stable(nil, "x")
	id := must[JoinReply](r, r.join("late", nil)).Member
	want(t, r.commitAs(id, 1), kafka.UnknownMemberID)
	want(t, r.heartbeat(id, 1), kafka.UnknownMemberID)
	want(t, must[SyncReply](r, r.syncAs(id, 1, nil)).Code, kafka.UnknownMemberID)
}

func TestACommitKeepsASessionAlive(t *testing.T) {
	r := newRig(t, config())
	m := r.stable(func(q *JoinRequest) { q.SessionTimeout = 10 * second }, "x")
	for range 5 {
		r.advance(9 * second)
		want(t, r.commitAs(m[0].id, 1), kafka.None)
	}
	r.wantState(Stable, 1)
}

func TestScenario35MetadataTooLong(t *testing.T) {
	for _, c := range []struct {
		metadata string
		want     kafka.ErrorCode
	}{
		{strings.Repeat("x", 4096), kafka.None},
		{strings.Repeat("x", 4097), kafka.OffsetMetadataTooLarge},
		{strings.Repeat("é", 4096), kafka.None},                            // characters count, not bytes
		{strings.Repeat("\U0001f600", 2049), kafka.OffsetMetadataTooLarge}, // and as Java counts them: two each
	} {
		r := newRig(t, config())
		got := r.commitOffset(func(q *offset.CommitRequest) {
			q.Topics[0].Partitions = append(q.Topics[0].Partitions, offset.CommitPartition{Partition: 1, Offset: 11, Metadata: c.metadata})
		})
		want(t, got, []offset.TopicResult{{Topic: "t", Partitions: []offset.PartitionResult{{Partition: 0}, {Partition: 1, Code: c.want}}}})
		if stored := r.stored("g"); strings.Contains(stored, "t-1") != (c.want == kafka.None) || !strings.HasPrefix(stored, "t-0=10") {
			t.Fatal(stored)
		}
	}
}

func TestScenario37NothingCommitted(t *testing.T) {
	r := newRig(t, config())
	ask := func() offset.FetchReply {
		return must[offset.FetchReply](r, r.ask(func(id coord.ReplyID) coord.Event {
			return &offset.FetchRequest{Reply: id, Group: "g", Topics: []offset.Partitions{{Topic: "t", Partitions: []int32{0, 1}}}}
		}))
	}
	none := func(p int32) offset.FetchedPartition {
		return offset.FetchedPartition{Partition: p, Offset: -1, LeaderEpoch: -1}
	}
	want(t, ask(), offset.FetchReply{Topics: []offset.FetchedTopic{{Topic: "t", Partitions: []offset.FetchedPartition{none(0), none(1)}}}})
	want(t, r.fetchAll("g"), nil)
	r.commitOffset(func(q *offset.CommitRequest) {
		q.Topics[0].Partitions = []offset.CommitPartition{{Partition: 1, Offset: 20, LeaderEpoch: 3, Metadata: "first"}, {Partition: 1, Offset: 7, LeaderEpoch: 4, Metadata: "last wins"}}
	})
	want(t, ask(), offset.FetchReply{Topics: []offset.FetchedTopic{{Topic: "t", Partitions: []offset.FetchedPartition{none(0),
		{Partition: 1, Offset: 7, LeaderEpoch: 4, Metadata: "last wins", Committed: r.now.Millis()}}}}})
}

func TestScenario39AnEmptyGroupKeepsItsOffsetsForTheRetention(t *testing.T) {
	r := newRig(t, config())
	m := r.stable(nil, "x")
	r.commitTo(m[0].id, 1, "t")
	r.leave(5, Leaver{Member: m[0].id})
	r.advance(24 * time.Hour)
	r.commitOffset(nil) // a later commit does not prolong it
	r.advance(6*24*time.Hour - time.Minute - (r.now.Since(start) - 24*time.Hour))
	want(t, r.stored("g"), "t-0=10")
	r.load() // nor does a restart
	r.advance(time.Hour)
	want(t, r.stored("g"), "")
	want(t, r.describe("g").State, Dead)
	want(t, len(r.s.HardState()), 0)
}

func TestScenario39ASimpleGroupCountsFromEachCommit(t *testing.T) {
	r := newRig(t, config())
	r.commitTo("", -1, "a")
	r.advance(24 * time.Hour)
	r.commitTo("", -1, "b")
	r.advance(6*24*time.Hour + 10*time.Minute)
	want(t, r.stored("g"), "b-0=1")
	r.advance(24 * time.Hour)
	want(t, len(r.s.HardState()), 0)
}

func TestScenario39AnExpiryOfItsOwn(t *testing.T) {
	r := newRig(t, config())
	r.commitOffset(func(q *offset.CommitRequest) { q.Version, q.RetentionMs = 4, 3_600_000 })
	r.commitOffset(func(q *offset.CommitRequest) { q.Topics[0].Topic, q.RetentionMs = "u", 3_600_000 }) // since version 5 there is no such field
	r.advance(59 * time.Minute)
	want(t, r.stored("g"), "t-0=10 u-0=10")
	r.advance(time.Minute)
	want(t, r.stored("g"), "u-0=10")
}

func TestScenario40LiveConsumersKeepWhatTheySubscribeTo(t *testing.T) {
	for _, c := range []struct {
		name      string
		protoType string
		metadata  []byte
		state     State
		want      string
	}{
		{"a consumer of t1", "consumer", topics("t1"), Stable, "t1-0=1"},
		{"a consumer that speaks in riddles", "consumer", []byte{1}, Stable, "t1-0=1 t2-0=1"},
		{"another kind of group", "connect", topics("t1"), Stable, "t1-0=1 t2-0=1"},
		{"a group at rebalance", "consumer", topics("t1"), PreparingRebalance, "t1-0=1 t2-0=1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, config())
			edit := func(q *JoinRequest) {
				q.ProtocolType, q.Protocols, q.SessionTimeout = c.protoType, protos(c.metadata, "range"), 30*time.Minute
				q.RebalanceTimeout = 20 * 24 * time.Hour
			}
			m := r.stable(edit, "x", "y")
			r.commitTo(m[0].id, 1, "t1", "t2")
			if c.state == PreparingRebalance {
				r.rejoin("x", m[0].id, edit)
			}
			for range 8 * 24 * 4 {
				r.advance(15 * time.Minute)
				for _, s := range m {
					r.heartbeat(s.id, 1)
				}
			}
			r.wantState(c.state, 1)
			want(t, r.stored("g"), c.want)
		})
	}
}

func TestAnEmptyGroupWithoutOffsetsIsForgottenAtTheNextCheck(t *testing.T) {
	r := newRig(t, config())
	m := r.stable(nil, "x")
	r.leave(5, Leaver{Member: m[0].id})
	r.advance(10 * time.Minute)
	want(t, r.list(nil, nil), nil)
	want(t, len(r.s.HardState()), 0)
}

func TestExpiryGoesInPortions(t *testing.T) {
	r := newRig(t, config())
	for g := range 3 {
		r.commitOffset(func(q *offset.CommitRequest) {
			q.Group = fmt.Sprint(g)
			for p := range int32(expiryRecordsMax/2 + 1) {
				q.Topics[0].Partitions = append(q.Topics[0].Partitions, offset.CommitPartition{Partition: p, Offset: 1})
			}
		})
	}
	r.now = r.now.Add(8 * 24 * time.Hour)
	r.fire(r.now)
	want(t, len(r.list(nil, nil)), 1)
	r.fire(r.now)
	want(t, len(r.s.HardState()), 0)
}

func TestScenario41ADeletedTopicIsForgottenByEverybody(t *testing.T) {
	r := newRig(t, config())
	m := r.stable(nil, "x")
	r.commitTo(m[0].id, 1, "t", "u")
	r.commitOffset(func(q *offset.CommitRequest) { q.Group = "other" })
	r.step(coord.TopicDeleted{Topic: "t"})
	want(t, r.stored("g"), "u-0=1")
	want(t, r.stored("other"), "")
	want(t, r.describe("other").State, Dead)
	r.wantState(Stable, 1)
}

func (r *rig) deleteOffsets(topics ...string) offset.DeleteReply {
	r.t.Helper()
	return must[offset.DeleteReply](r, r.ask(func(id coord.ReplyID) coord.Event {
		q := &offset.DeleteRequest{Reply: id, Group: "g"}
		for _, t := range topics {
			q.Topics = append(q.Topics, offset.Partitions{Topic: t, Partitions: []int32{0, 0, 9}})
		}
		return q
	}))
}

func TestScenario42DeletingFromALiveGroup(t *testing.T) {
	r := newRig(t, config())
	want(t, r.deleteOffsets("t").Code, kafka.GroupIDNotFound)
	m := r.stable(nil, "x")
	r.commitTo(m[0].id, 1, "t", "u")
	want(t, r.deleteGroups("g", "g", "other"), []DeleteResult{{"g", kafka.NonEmptyGroup}, {"other", kafka.GroupIDNotFound}})
	all := func(code kafka.ErrorCode) []offset.PartitionResult {
		return []offset.PartitionResult{{Partition: 0, Code: code}, {Partition: 0, Code: code}, {Partition: 9, Code: code}}
	}
	want(t, r.deleteOffsets("t", "u"), offset.DeleteReply{Topics: []offset.TopicResult{
		{Topic: "t", Partitions: all(kafka.GroupSubscribedToTopic)}, {Topic: "u", Partitions: all(kafka.None)}}})
	want(t, r.stored("g"), "t-0=1")
	r.leave(5, Leaver{Member: m[0].id})
	want(t, r.deleteGroups("g", "g"), []DeleteResult{{"g", kafka.None}})
	want(t, len(r.s.HardState()), 0)
	want(t, r.describe("g").Code, kafka.GroupIDNotFound)
}

func TestScenario42OtherKindsOfGroups(t *testing.T) {
	r := newRig(t, config())
	r.stable(func(q *JoinRequest) { q.ProtocolType = "connect" }, "x")
	want(t, r.deleteOffsets("t").Code, kafka.NonEmptyGroup)

	r = newRig(t, config())
	r.stable(func(q *JoinRequest) { q.Protocols = protos([]byte("?"), "range") }, "x")
	want(t, r.deleteOffsets("t", "u").Topics[1].Partitions[0].Code, kafka.GroupSubscribedToTopic) // what cannot be read may be anything
}

func TestDeletingAGroupForgetsItsPendingIDs(t *testing.T) {
	r := newRig(t, config())
	id := must[JoinReply](r, r.join("x", nil)).Member
	want(t, r.deleteGroups("g")[0].Code, kafka.None)
	want(t, must[JoinReply](r, r.rejoin("x", id, nil)).Code, kafka.UnknownMemberID)
}

func TestListFilters(t *testing.T) {
	r := newRig(t, config())
	r.stable(nil, "x")
	r.commitOffset(func(q *offset.CommitRequest) { q.Group = "simple" })
	stable := Listing{Group: "g", ProtocolType: "consumer", State: Stable, Type: "classic", Members: 1, Generation: 1}
	simple := Listing{Group: "simple", State: Empty, Type: "classic"}
	for _, c := range []struct {
		states, types []string
		want          []Listing
	}{
		{nil, nil, []Listing{stable, simple}},
		{[]string{"sTABLE"}, nil, []Listing{stable}},
		{[]string{"Empty", "Stable"}, []string{"CLASSIC"}, []Listing{stable, simple}},
		{[]string{"Sleeping"}, nil, nil},
		{nil, []string{"consumer"}, nil},
	} {
		want(t, r.list(c.states, c.types), c.want)
	}
}

func TestDescribeTellsMoreOfAStableGroup(t *testing.T) {
	r := newRig(t, config())
	m := r.stable(nil, "x", "y")
	member := func(s seated, stable bool) DescribedMember {
		d := DescribedMember{ID: s.id, Client: s.client, Host: "/10.0.0.1", Assignment: []byte(s.client)} // as Kafka tells the last assignment
		if stable {
			d.Metadata = topics("t")
		}
		return d
	}
	want(t, r.describe("g"), Description{Group: "g", State: Stable, ProtocolType: "consumer", Protocol: "range", Members: []DescribedMember{member(m[0], true), member(m[1], true)}})
	r.rejoin("x", m[0].id, nil)
	want(t, r.describe("g"), Description{Group: "g", State: PreparingRebalance, ProtocolType: "consumer", Members: []DescribedMember{member(m[0], false), member(m[1], false)}})
	want(t, r.describe("none"), Description{Group: "none", State: Dead, Code: kafka.GroupIDNotFound, Message: "Group none not found."})
	old := must[DescribeReply](r, r.ask(func(id coord.ReplyID) coord.Event {
		return &DescribeRequest{Reply: id, Version: 5, Groups: []string{"none"}}
	}))
	want(t, old.Groups, []Description{{Group: "none", State: Dead}})
}

func TestScenario44WhatAnOlderKafkaWroteIsRestored(t *testing.T) {
	protocol, leader, instance := "range", "a", "i"
	s := New(config())
	// As of value version 0: no rebalance timeout, no timestamp, no instance ids; and one member with an instance id, of version 3.
	s.Apply(0, &record.GroupMetadata{Group: "g", Value: &record.GroupMetadataValue{ProtocolType: "consumer", Generation: 7, Protocol: &protocol, Leader: &leader,
		CurrentStateTimestamp: record.NoTimestamp, Members: []record.Member{
			{ID: "a", RebalanceTimeout: -1, SessionTimeout: 10 * second, Subscription: topics("t"), Assignment: []byte("1")},
			{ID: "b", InstanceID: &instance, RebalanceTimeout: 60 * second, SessionTimeout: 10 * second, Subscription: topics("t")},
			{ID: "b"}, // damage: a second member of the same name
		}}})
	s.Apply(1, record.Unknown{Type: 3})
	s.Apply(2, &record.GroupMetadata{Group: "never there"})
	s.Apply(3, &record.OffsetCommit{Group: "never there", Topic: "t"})
	s.Restore(start)
	g := s.groups["g"]
	if g.state != Stable || g.generation != 7 || len(g.members) != 2 || g.static["i"] == nil || g.rebalanceTimeout() != 60*second || g.members[0].rebalanceTimeout != 10*second {
		t.Fatalf("%+v", g)
	}
	want(t, len(s.groups), 1)
}

func TestAGroupWhoseStateHasNoTimeAgesByItsCommits(t *testing.T) {
	r := newRig(t, config())
	r.commitOffset(nil)
	rec := &record.GroupMetadata{Group: "g", Value: &record.GroupMetadataValue{ProtocolType: "consumer", CurrentStateTimestamp: record.NoTimestamp}}
	value, _ := rec.AppendValue(nil)
	r.log = append(r.log, entry{rec.AppendKey(nil), value})
	r.committed = len(r.log)
	r.load()
	r.advance(6 * 24 * time.Hour)
	want(t, r.stored("g"), "t-0=10")
	r.advance(24*time.Hour + time.Minute)
	want(t, len(r.s.HardState()), 0)
}

func TestConfigSaysEveryFault(t *testing.T) {
	if err := config().Validate(); err != nil {
		t.Fatal(err)
	}
	err := (Config{InitialRebalanceDelay: -1, Offsets: offset.Config{MetadataMax: -1}}).Validate()
	for _, name := range []string{"group.min.session.timeout.ms", "group.initial.rebalance.delay.ms", "group.max.size", "record", "offset.metadata.max.bytes",
		"offsets.retention.minutes", "offsets.retention.check.interval.ms"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not in %v", name, err)
		}
	}
}
