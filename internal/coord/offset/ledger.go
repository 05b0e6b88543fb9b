package offset

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// Config is the settings of committed offsets.
type Config struct {
	// MetadataMax is the longest metadata string of a commit, in UTF-16 code units as Java counts. Kafka: offset.metadata.max.bytes, 4096.
	MetadataMax int
	// Retention is how long offsets outlive their group, or their last commit. Kafka: offsets.retention.minutes, 7 days; above 0.
	Retention time.Duration
	// CheckInterval is how often expired offsets are looked for. Kafka: offsets.retention.check.interval.ms, 10 minutes; above 0.
	CheckInterval time.Duration
}

// Validate returns every fault.
func (c Config) Validate() (faults []error) {
	if c.MetadataMax < 0 {
		faults = append(faults, fmt.Errorf("offset.metadata.max.bytes is %d; it cannot be negative", c.MetadataMax))
	}
	if c.Retention <= 0 {
		faults = append(faults, fmt.Errorf("offsets.retention.minutes is %v; it must be above 0", c.Retention))
	}
	if c.CheckInterval <= 0 {
		faults = append(faults, fmt.Errorf("offsets.retention.check.interval.ms is %v; it must be above 0", c.CheckInterval))
	}
	return faults
}

// Ledger is the committed offsets of all groups of one shard. Make one with NewLedger.
type Ledger struct {
	groups map[string]book
}

// book is one group's offsets, by topic and partition; neither level is ever empty.
type book map[string]map[int32]*record.OffsetCommitValue

// NewLedger is an empty ledger.
func NewLedger() *Ledger { return &Ledger{groups: map[string]book{}} }

// Apply folds one record in.
func (l *Ledger) Apply(r *record.OffsetCommit) {
	b := l.groups[r.Group]
	if r.Value == nil {
		partitions := b[r.Topic]
		delete(partitions, r.Partition)
		if len(partitions) == 0 {
			delete(b, r.Topic)
		}
		if len(b) == 0 {
			delete(l.groups, r.Group)
		}
		return
	}
	if b == nil {
		b = book{}
		l.groups[r.Group] = b
	}
	if b[r.Topic] == nil {
		b[r.Topic] = map[int32]*record.OffsetCommitValue{}
	}
	b[r.Topic][r.Partition] = r.Value
}

// Has reports whether the group has committed anything that is still there.
func (l *Ledger) Has(group string) bool { return l.groups[group] != nil }

// Groups is every group that has offsets, sorted.
func (l *Ledger) Groups() []string { return slices.Sorted(maps.Keys(l.groups)) }

// Topics is every topic that any group has offsets of, sorted.
func (l *Ledger) Topics() []string {
	seen := map[string]bool{}
	for _, b := range l.groups { // any order: into a set
		for topic := range b { // any order: into a set
			seen[topic] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// Get is what is committed for one partition, or nil.
func (l *Ledger) Get(group, topic string, partition int32) *record.OffsetCommitValue {
	return l.groups[group][topic][partition]
}

// Records is what the ledger holds of a group, as the records that would make it, sorted by topic and partition.
func (l *Ledger) Records(group string) (out []record.Record) {
	l.each(group, func(topic string, partition int32, v *record.OffsetCommitValue) {
		out = append(out, &record.OffsetCommit{Group: group, Topic: topic, Partition: partition, Value: v})
	})
	return out
}

// each visits a group's offsets sorted by topic and partition.
func (l *Ledger) each(group string, visit func(topic string, partition int32, v *record.OffsetCommitValue)) {
	b := l.groups[group]
	for _, topic := range slices.Sorted(maps.Keys(b)) {
		for _, partition := range slices.Sorted(maps.Keys(b[topic])) {
			visit(topic, partition, b[topic][partition])
		}
	}
}

func tombstone(group, topic string, partition int32) *record.OffsetCommit {
	return &record.OffsetCommit{Group: group, Topic: topic, Partition: partition}
}

// Commit is the answer to a commit the group allows, and the records that store it, in the order of the request: of two for the same
// partition the later one wins. An offset may be anything, also one that the log does not have, or one behind the last.
func Commit(now vtime.Instant, cfg Config, r *CommitRequest) (reply CommitReply, records []record.Record) {
	expires := record.NoTimestamp
	if r.Version <= 4 && r.RetentionMs != -1 {
		expires = now.Millis() + min(r.RetentionMs, math.MaxInt64-now.Millis())
	}
	for _, t := range r.Topics {
		result := TopicResult{Topic: t.Topic}
		for _, p := range t.Partitions {
			code := kafka.None
			switch {
			case t.Topic == "" || len(t.Topic) > record.MaxString:
				code = kafka.UnknownTopicOrPartition
			case utf16Len(p.Metadata) > cfg.MetadataMax || len(p.Metadata) > record.MaxString:
				code = kafka.OffsetMetadataTooLarge
			default:
				records = append(records, &record.OffsetCommit{Group: r.Group, Topic: t.Topic, Partition: p.Partition, Value: &record.OffsetCommitValue{
					Offset: p.Offset, LeaderEpoch: p.LeaderEpoch, Metadata: p.Metadata, CommitTimestamp: now.Millis(), ExpireTimestamp: expires}})
			}
			result.Partitions = append(result.Partitions, PartitionResult{p.Partition, code})
		}
		reply.Topics = append(reply.Topics, result)
	}
	return reply, records
}

// utf16Len is the length of s as Java counts it.
func utf16Len(s string) (n int) {
	for _, r := range s {
		n++
		if r > 0xffff {
			n++
		}
	}
	return n
}

// Fetch answers an OffsetFetch.
func (l *Ledger) Fetch(r *FetchRequest) (reply FetchReply) {
	if r.All {
		l.each(r.Group, func(topic string, partition int32, v *record.OffsetCommitValue) {
			if n := len(reply.Topics); n == 0 || reply.Topics[n-1].Topic != topic {
				reply.Topics = append(reply.Topics, FetchedTopic{Topic: topic})
			}
			last := &reply.Topics[len(reply.Topics)-1]
			last.Partitions = append(last.Partitions, fetched(partition, v))
		})
		return reply
	}
	for _, t := range r.Topics {
		topic := FetchedTopic{Topic: t.Topic}
		for _, p := range t.Partitions {
			topic.Partitions = append(topic.Partitions, fetched(p, l.Get(r.Group, t.Topic, p)))
		}
		reply.Topics = append(reply.Topics, topic)
	}
	return reply
}

func fetched(partition int32, v *record.OffsetCommitValue) FetchedPartition {
	if v == nil {
		return FetchedPartition{Partition: partition, Offset: NoOffset, LeaderEpoch: -1}
	}
	return FetchedPartition{Partition: partition, Offset: v.Offset, LeaderEpoch: v.LeaderEpoch, Metadata: v.Metadata, Committed: v.CommitTimestamp}
}

// Delete is the answer to an OffsetDelete the group allows, and its tombstones. Partitions of topics that subscribed says yes to are
// refused; deleting what is not there succeeds.
func (l *Ledger) Delete(r *DeleteRequest, subscribed func(topic string) bool) (reply DeleteReply, records []record.Record) {
	seen := map[kafka.TopicPartition]bool{}
	for _, t := range r.Topics {
		result := TopicResult{Topic: t.Topic}
		live := subscribed(t.Topic)
		for _, p := range t.Partitions {
			code := kafka.None
			tp := kafka.TopicPartition{Topic: t.Topic, Partition: p}
			switch {
			case live:
				code = kafka.GroupSubscribedToTopic
			case l.Get(r.Group, t.Topic, p) != nil && !seen[tp]:
				seen[tp] = true
				records = append(records, tombstone(r.Group, t.Topic, p))
			}
			result.Partitions = append(result.Partitions, PartitionResult{p, code})
		}
		reply.Topics = append(reply.Topics, result)
	}
	return reply, records
}

// DeleteGroup is the tombstones of all a group has committed.
func (l *Ledger) DeleteGroup(group string) (records []record.Record) {
	l.each(group, func(topic string, partition int32, _ *record.OffsetCommitValue) {
		records = append(records, tombstone(group, topic, partition))
	})
	return records
}

// DeleteTopic is the tombstones of a deleted topic's offsets in one group. An offset that names another id is of a topic made anew under
// the same name, and stays; one that names none may be of either, and goes.
func (l *Ledger) DeleteTopic(group, topic string, id kafka.TopicID) (records []record.Record) {
	partitions := l.groups[group][topic]
	for _, partition := range slices.Sorted(maps.Keys(partitions)) {
		if named := partitions[partition].TopicID; named.IsZero() || id.IsZero() || named == id {
			records = append(records, tombstone(group, topic, partition))
		}
	}
	return records
}

// Rule says how a group's offsets age (KIP-211). The zero value is a group without members that never had any: from the commit on.
type Rule struct {
	// Held: the group is at work and nothing says which topics it needs, so nothing expires.
	Held bool
	// Empty: the group had members and lost the last one at EmptySince (milliseconds), from where retention counts, for commits made
	// later too. NoTimestamp: it is not known when, and the commit's own time counts.
	Empty      bool
	EmptySince int64
	// Subscribed, if set, names the topics that live members need: their offsets stay.
	Subscribed func(topic string) bool
}

// Expired is the tombstones of a group's offsets whose time has come at now, with their notes. Empty reports that none would be left.
// An offset that was committed with an expiry of its own goes at that moment instead of after the retention; but, as in Kafka, not
// while live members need it.
func (l *Ledger) Expired(now vtime.Instant, cfg Config, group string, rule Rule) (records []record.Record, notes []coord.Note, empty bool) {
	ms := now.Millis()
	aged := coord.OffsetsDeleted{Group: group, Cause: coord.RetentionPassed, Since: now, SinceEmpty: rule.Empty && rule.EmptySince != record.NoTimestamp}
	own := coord.OffsetsDeleted{Group: group, Cause: coord.ExpiryPassed, Since: now}
	left := 0
	l.each(group, func(topic string, partition int32, v *record.OffsetCommitValue) {
		note, base := &aged, v.CommitTimestamp
		gone := false
		switch {
		case rule.Held || rule.Subscribed != nil && rule.Subscribed(topic):
		case v.ExpireTimestamp != record.NoTimestamp:
			note = &own
			gone = ms >= v.ExpireTimestamp
		default:
			if aged.SinceEmpty {
				base = rule.EmptySince
			}
			gone = ms-base >= cfg.Retention.Milliseconds()
		}
		if !gone {
			left++
			return
		}
		records = append(records, tombstone(group, topic, partition))
		note.Partitions = append(note.Partitions, kafka.TopicPartition{Topic: topic, Partition: partition})
		note.Since = min(note.Since, vtime.FromMillis(base))
	})
	for _, n := range []coord.OffsetsDeleted{own, aged} {
		if len(n.Partitions) > 0 {
			notes = append(notes, n)
		}
	}
	return records, notes, left == 0
}
