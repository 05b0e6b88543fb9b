package offset

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

var cfg = Config{MetadataMax: 10, Retention: time.Hour, CheckInterval: time.Minute}

const now = vtime.Instant(1_000_000 * time.Second)

func ms(ago time.Duration) int64 { return now.Add(-ago).Millis() }

// ledger has partition 0 of each topic, committed at that moment, and an expiry of its own where one is given.
func ledger(committed map[string]int64, expires map[string]int64) *Ledger {
	l := NewLedger()
	for topic, at := range committed {
		e, ok := expires[topic]
		if !ok {
			e = record.NoTimestamp
		}
		l.Apply(&record.OffsetCommit{Group: "g", Topic: topic, Value: &record.OffsetCommitValue{Offset: 1, CommitTimestamp: at, ExpireTimestamp: e}})
	}
	return l
}

func TestExpired(t *testing.T) {
	subscribed := func(topics string) func(string) bool {
		return func(t string) bool { return strings.Contains(topics, t) }
	}
	for _, c := range []struct {
		name      string
		committed map[string]int64
		expires   map[string]int64
		rule      Rule
		gone      string
		empty     bool
	}{
		{"a simple group counts from the commit", map[string]int64{"a": ms(time.Hour), "b": ms(time.Hour - time.Millisecond)}, nil, Rule{}, "a", false},
		{"an empty group from when it became so", map[string]int64{"a": ms(time.Minute), "b": ms(2 * time.Hour)}, nil, Rule{Empty: true, EmptySince: ms(time.Hour)}, "ab", true},
		{"an empty group keeps old commits as well", map[string]int64{"a": ms(2 * time.Hour)}, nil, Rule{Empty: true, EmptySince: ms(time.Hour - time.Millisecond)}, "", false},
		{"an empty group that does not know since when, from the commit", map[string]int64{"a": ms(2 * time.Hour), "b": ms(0)}, nil, Rule{Empty: true, EmptySince: record.NoTimestamp}, "a", false},
		{"live consumers keep their topics", map[string]int64{"a": ms(2 * time.Hour), "b": ms(2 * time.Hour)}, nil, Rule{Subscribed: subscribed("b")}, "a", false},
		{"a group at work keeps everything", map[string]int64{"a": ms(2 * time.Hour)}, nil, Rule{Held: true}, "", false},
		{"an expiry of its own counts alone", map[string]int64{"a": ms(2 * time.Hour), "b": ms(0)}, map[string]int64{"a": ms(-time.Millisecond), "b": ms(0)}, Rule{}, "b", false},
		{"also in a group that is empty", map[string]int64{"a": ms(0)}, map[string]int64{"a": ms(0)}, Rule{Empty: true, EmptySince: ms(0)}, "a", true},
		{"but not while a group is at work", map[string]int64{"a": ms(0)}, map[string]int64{"a": ms(0)}, Rule{Held: true}, "", false},
		{"nor while live consumers need the topic", map[string]int64{"a": ms(0), "b": ms(0)}, map[string]int64{"a": ms(0), "b": ms(0)}, Rule{Subscribed: subscribed("a")}, "b", false},
		{"nothing to begin with", nil, nil, Rule{}, "", true},
	} {
		l := ledger(c.committed, c.expires)
		records, notes, empty := l.Expired(now, cfg, "g", c.rule)
		gone, noted := "", 0
		for _, r := range records {
			gone += r.(*record.OffsetCommit).Topic
			l.Apply(r.(*record.OffsetCommit))
		}
		for _, n := range notes {
			noted += len(n.(coord.OffsetsDeleted).Partitions)
		}
		if gone != c.gone || empty != c.empty || noted != len(c.gone) || l.Has("g") == empty {
			t.Errorf("%s: gone %q, empty %v, noted %d", c.name, gone, empty, noted)
		}
	}
}

func TestCommit(t *testing.T) {
	for _, c := range []struct {
		name      string
		version   int16
		retention int64
		partition CommitPartition
		topic     string
		code      kafka.ErrorCode
		expires   int64
	}{
		{"as it is", 8, -1, CommitPartition{Offset: 5, Metadata: "ten chars!"}, "t", kafka.None, record.NoTimestamp},
		{"with its own retention", 3, 1000, CommitPartition{Offset: 5}, "t", kafka.None, now.Millis() + 1000},
		{"with more retention than there is time", 3, math.MaxInt64, CommitPartition{Offset: 5}, "t", kafka.None, math.MaxInt64},
		{"versions since 5 cannot name a retention", 5, 1000, CommitPartition{Offset: 5}, "t", kafka.None, record.NoTimestamp},
		{"too much to say", 8, -1, CommitPartition{Offset: 5, Metadata: "eleven char"}, "t", kafka.OffsetMetadataTooLarge, 0},
		{"a topic without a name", 8, -1, CommitPartition{Offset: 5}, "", kafka.UnknownTopicOrPartition, 0},
		{"a topic no record can hold", 8, -1, CommitPartition{Offset: 5}, strings.Repeat("t", record.MaxString+1), kafka.UnknownTopicOrPartition, 0},
		{"an offset below the log", 8, -1, CommitPartition{Offset: -5}, "t", kafka.None, record.NoTimestamp},
	} {
		reply, records := Commit(now, cfg, &CommitRequest{Version: c.version, Group: "g", RetentionMs: c.retention, Topics: []CommitTopic{{c.topic, []CommitPartition{c.partition}}}})
		if got := reply.Topics[0].Partitions[0].Code; got != c.code || len(records) != map[bool]int{true: 1}[c.code == kafka.None] {
			t.Errorf("%s: %v with %d records", c.name, got, len(records))
			continue
		}
		if len(records) == 1 {
			v := records[0].(*record.OffsetCommit).Value
			if diff := cmp.Diff(&record.OffsetCommitValue{Offset: c.partition.Offset, LeaderEpoch: c.partition.LeaderEpoch, Metadata: c.partition.Metadata,
				CommitTimestamp: now.Millis(), ExpireTimestamp: c.expires}, v); diff != "" {
				t.Errorf("%s:\n%s", c.name, diff)
			}
		}
	}
	// The limit of a record holds even where the setting allows more.
	wide := cfg
	wide.MetadataMax = math.MaxInt32
	reply, _ := Commit(now, wide, &CommitRequest{Topics: []CommitTopic{{"t", []CommitPartition{{Metadata: strings.Repeat("x", record.MaxString+1)}}}}})
	if got := reply.Topics[0].Partitions[0].Code; got != kafka.OffsetMetadataTooLarge {
		t.Errorf("metadata that no record can hold: %v", got)
	}
}

func TestADeletedTopicTakesNothingOfItsSuccessor(t *testing.T) {
	l := NewLedger()
	old, anew := kafka.TopicID{1}, kafka.TopicID{2}
	for p, id := range []kafka.TopicID{{}, old, anew} {
		l.Apply(&record.OffsetCommit{Group: "g", Topic: "t", Partition: int32(p), Value: &record.OffsetCommitValue{TopicID: id}})
	}
	want := []record.Record{tombstone("g", "t", 0), tombstone("g", "t", 1)}
	if diff := cmp.Diff(want, l.DeleteTopic("g", "t", old)); diff != "" {
		t.Error(diff)
	}
	if got := l.DeleteTopic("g", "t", kafka.TopicID{}); len(got) != 3 {
		t.Errorf("without an id: %v", got)
	}
}

// TestLedger holds the ledger beside a plain map.
func TestLedger(t *testing.T) {
	type key struct {
		group, topic string
		partition    int32
	}
	rapid.Check(t, func(t *rapid.T) {
		l, twin := NewLedger(), map[key]int64{}
		draw := func(t *rapid.T) key {
			return key{rapid.SampledFrom([]string{"g", "h"}).Draw(t, "group"), rapid.SampledFrom([]string{"t", "u"}).Draw(t, "topic"), rapid.Int32Range(0, 2).Draw(t, "partition")}
		}
		apply := func(records []record.Record) {
			for _, r := range records {
				o := r.(*record.OffsetCommit)
				delete(twin, key{o.Group, o.Topic, o.Partition})
				l.Apply(o)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"commit": func(t *rapid.T) {
				k, v := draw(t), rapid.Int64().Draw(t, "offset")
				_, records := Commit(now, cfg, &CommitRequest{Group: k.group, RetentionMs: -1, Topics: []CommitTopic{{k.topic, []CommitPartition{{Partition: k.partition, Offset: v}}}}})
				apply(records)
				twin[k] = v
			},
			"tombstone": func(t *rapid.T) {
				k := draw(t)
				apply([]record.Record{tombstone(k.group, k.topic, k.partition)})
			},
			"delete": func(t *rapid.T) {
				k := draw(t)
				_, records := l.Delete(&DeleteRequest{Group: k.group, Topics: []Partitions{{k.topic, []int32{k.partition, k.partition}}}}, func(string) bool { return false })
				if len(records) > 1 {
					t.Fatalf("%d tombstones for one offset", len(records))
				}
				apply(records)
			},
			"delete topic": func(t *rapid.T) { k := draw(t); apply(l.DeleteTopic(k.group, k.topic, kafka.TopicID{1})) },
			"delete group": func(t *rapid.T) { apply(l.DeleteGroup(draw(t).group)) },
			"": func(t *rapid.T) {
				n := 0
				for _, group := range l.Groups() {
					for _, topic := range l.Fetch(&FetchRequest{Group: group, All: true}).Topics {
						for _, p := range topic.Partitions {
							if want, ok := twin[key{group, topic.Topic, p.Partition}]; !ok || want != p.Offset {
								t.Fatalf("%s has %s-%d=%d, want %d (%v)", group, topic.Topic, p.Partition, p.Offset, want, ok)
							}
							n++
						}
					}
					if !l.Has(group) {
						t.Fatalf("%s is listed and not there", group)
					}
				}
				if n != len(twin) {
					t.Fatalf("%d offsets, want %d", n, len(twin))
				}
			},
		})
	})
}
