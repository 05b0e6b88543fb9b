package broker

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/controller"
	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/offset"
	"github.com/barnabas-mq/barnabas/internal/coord/runtime"
	"github.com/barnabas-mq/barnabas/internal/journal"
	journaldriver "github.com/barnabas-mq/barnabas/internal/journal/driver"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/meta"
	"github.com/barnabas-mq/barnabas/internal/metrics"
	"github.com/barnabas-mq/barnabas/internal/storage"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// newJournal starts what writes down why groups rebalance. It comes before the coordinator, whose notes it takes, and is closed after it.
func (b *Broker) newJournal() {
	if !b.static.Broker.Groups.JournalEnabled {
		return
	}
	b.counted = map[string]string{}
	b.journal = journaldriver.New(journaldriver.Config{
		Log: newJournalLog(b), Offsets: journalOffsets{b}, Activity: b.activity, Topics: journalTopics{b}, Told: b.incidentTold, Logger: b.log, Now: time.Now,
	})
	b.onClose(func(ctx context.Context) error {
		ctx, cancel := half(ctx)
		defer cancel()
		if err := b.journal.Close(ctx); err != nil {
			b.log.Warn("the last rebalances may be missing from the journal", "error", err) // which is no reason to call the shutdown unclean
		}
		return nil
	})
}

// groupNotes hands on what the coordinator noted. It does not wait.
func (b *Broker) groupNotes(shard int32, notes []runtime.TimedNote) {
	b.metrics.GroupNotes(notes)
	b.console.notes(notes)
	for _, n := range notes {
		b.logNote(n)
	}
	if b.journal != nil {
		b.journal.Notes(shard, notes)
	}
}

// groupsDropped tells the journal that nothing more will be heard of the rebalances under way in a shard.
func (b *Broker) groupsDropped(shard int32) {
	if b.journal != nil {
		b.journal.Lost(func(group string) bool { return b.groups.ShardOf(group) == shard })
	}
}

// sampleJournal is what the journal has written and lost, for metrics.
func (b *Broker) sampleJournal() metrics.JournalSample {
	if b.journal == nil {
		return metrics.JournalSample{}
	}
	c := b.journal.Counts()
	return metrics.JournalSample{Written: c.Written, Lost: c.Failed, LostNotes: c.Dropped, WaitingNotes: c.Waiting}
}

// logNote tells the log what belongs in a human's timeline: that a rebalance began, and why; who went; how it ended.
func (b *Broker) logNote(n runtime.TimedNote) {
	switch n.Note.(type) {
	case coord.RebalanceStarted, coord.MemberRemoved, coord.Stabilized, coord.GroupEmptied, coord.OffsetsDeleted, coord.GroupDeleted:
		b.log.Info(strings.ReplaceAll(journal.Say(n.At, n.Note), "\n  ", "; "))
	}
}

// incidentTold hears of each revision of each incident, from the journal's goroutine.
func (b *Broker) incidentTold(in journal.Incident) {
	// A second cooperative round closes an incident again; it counts once.
	const groupsMax = 100_000
	if in.Stage == journal.Closed && b.counted[in.Group] != in.ID {
		if len(b.counted) >= groupsMax {
			clear(b.counted)
		}
		b.counted[in.Group] = in.ID
		b.metrics.Group(in.Group).Incident(string(in.Cause))
	}
	b.console.incident(in)
}

// journalOffsets is how far groups are, for the journal.
type journalOffsets struct{ b *Broker }

// journalPatience bounds how long the journal waits for a shard; it may be waiting for the disk.
const journalPatience = time.Second

// Seen asks the coordinator, and the partitions for their ends.
func (o journalOffsets) Seen(group string, of []journal.TopicPartitions) (out []journal.OffsetSeen) {
	late := time.NewTimer(journalPatience)
	defer late.Stop()
	req := &offset.FetchRequest{Group: group}
	for _, t := range of {
		req.Topics = append(req.Topics, offset.Partitions{Topic: t.Topic, Partitions: t.Partitions})
	}
	reply, ok := askShard[offset.FetchReply](o.b, late, o.b.groups.ShardOf(group), func(id coord.ReplyID) coord.Event {
		req.Reply = id
		return req
	})
	if !ok {
		return nil
	}
	for _, t := range reply.Topics {
		for _, c := range t.Partitions {
			seen := journal.OffsetSeen{TopicPartition: kafka.TopicPartition{Topic: t.Topic, Partition: c.Partition}, Committed: c.Offset, CommittedAt: vtime.FromMillis(c.Committed), LogEnd: -1}
			if p := o.b.parts.Get(t.Topic, c.Partition); p != nil {
				seen.LogEnd = p.HighWatermark()
			}
			out = append(out, seen)
		}
	}
	return out
}

// journalTopics is what the metadata has of topics, for the journal.
type journalTopics struct{ b *Broker }

// Seen looks into the metadata.
func (t journalTopics) Seen(topic string) journal.TopicSeen {
	seen := journal.TopicSeen{Name: topic}
	if found := t.b.image.Load().Topic(topic); found != nil {
		seen.Partitions = found.NumPartitions()
		if at, ok := t.b.created.Load(topic); ok {
			seen.Created = at.(vtime.Instant)
		}
	}
	return seen
}

// noteTopics remembers when topics came: a subscription that follows a new topic says more than one that changes by itself. Of those that were
// there at the start it is not known.
func (b *Broker) noteTopics(ch meta.Changes) {
	for _, t := range ch.TopicsDeleted {
		b.created.Delete(t.Name)
	}
	if b.image.Load() == nil {
		return
	}
	now := vtime.FromTime(time.Now())
	for _, t := range ch.TopicsCreated {
		b.created.Store(t.Name, now)
	}
}

// journalTopic is what __barnabas_rebalances is made like: partitioned like __consumer_offsets, so that a group's incidents lie beside the group.
func (b *Broker) journalTopic(partitions int32) controller.NewTopic {
	g := &b.static.Broker.Groups
	set := func(name, value string) controller.NewTopicSetting {
		return controller.NewTopicSetting{Name: name, Value: &value}
	}
	retention := "-1"
	if g.JournalRetention >= 0 {
		retention = strconv.FormatInt(g.JournalRetention.Milliseconds(), 10)
	}
	return controller.NewTopic{Name: kafka.RebalancesTopic, Partitions: partitions, ReplicationFactor: int16(g.TopicReplication),
		Configs: []controller.NewTopicSetting{set("cleanup.policy", "delete"), set("retention.ms", retention), set("compression.type", "producer"), set("segment.bytes", strconv.Itoa(16<<20))}}
}

// journalLog writes incidents. An incident that cannot be written is lost, and counted by who hands it over: a rebalance never waits for it.
type journalLog struct {
	b     *Broker
	mu    sync.Mutex
	build *batch.Builder
}

func newJournalLog(b *Broker) *journalLog {
	return &journalLog{b: b, build: batch.NewBuilder(b.codecs)}
}

// Append writes one record to the partition of the key. It returns when the record is in the log, without waiting for the disk.
func (j *journalLog) Append(_ context.Context, key, value []byte) error {
	t := j.b.image.Load().Topic(kafka.RebalancesTopic)
	if t == nil {
		return fmt.Errorf("%s does not exist", kafka.RebalancesTopic)
	}
	p := j.b.parts.Get(t.Name, kafka.PartitionOf(string(key), t.NumPartitions()))
	if p == nil {
		return fmt.Errorf("%s: its partition is not here", kafka.RebalancesTopic)
	}
	nowMs := time.Now().UnixMilli()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.build.Reset(batch.Options{LeaderEpoch: p.LeaderEpoch(), Codec: batch.Snappy})
	if err := j.build.Append(nowMs, key, value, nil); err != nil {
		return fmt.Errorf("make a batch: %w", err)
	}
	built, err := j.build.Build()
	if err != nil {
		return fmt.Errorf("make a batch: %w", err)
	}
	res, err := p.Append(built, -1, storage.Coordinator, nowMs)
	if err == nil {
		j.b.console.recorded(key, value, res.BaseOffset)
	}
	return err
}
