package broker

import (
	"context"
	"fmt"
	goruntime "runtime"
	"strconv"
	"time"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/config"
	"github.com/barnabas-mq/barnabas/internal/controller"
	"github.com/barnabas-mq/barnabas/internal/coord/driver"
	"github.com/barnabas-mq/barnabas/internal/coord/group"
	"github.com/barnabas-mq/barnabas/internal/coord/offset"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/meta"
	"github.com/barnabas-mq/barnabas/internal/server"
)

// offsetsBytesMax is max.message.bytes of __consumer_offsets. A group is one record, of about 288 bytes for each member: Kafka's default of
// 1 MiB ends a group near 3,600 members, this one beyond 50,000.
const offsetsBytesMax = 16 << 20

// newGroups builds the coordinator; partitions of __consumer_offsets come to it with the metadata.
func (b *Broker) newGroups() {
	g := &b.static.Broker.Groups
	cfg := group.Config{
		SessionTimeoutMin: g.SessionTimeoutMin, SessionTimeoutMax: g.SessionTimeoutMax, InitialRebalanceDelay: g.InitialRebalanceDelay,
		SizeMax: int(g.SizeMax), RecordBytesMax: offsetsBytesMax - 1<<10, // what a batch and a record add is less
		Offsets: offset.Config{MetadataMax: int(g.OffsetMetadataMax), Retention: g.OffsetsRetention, CheckInterval: g.OffsetsCheckInterval},
	}
	b.groups = driver.New(driver.Config{
		NewShard:    func() driver.Shard { return group.New(cfg) },
		TopicExists: func(topic string) bool { return b.image.Load().Topic(topic) != nil },
		Notes:       b.groupNotes,
		Dropped:     b.groupsDropped,
		Codecs:      b.codecs, Codec: batch.Codec(g.TopicCodec), BatchBytesMax: offsetsBytesMax, LoadBytes: int(g.LoadBufferBytes),
		Logger: b.log, Now: time.Now, Parallel: goruntime.GOMAXPROCS(0),
	})
	b.onClose(b.closeGroups)
}

// noticeClients are the clients whose heartbeats may be held.
func noticeClients(g *config.Groups) (out []server.NoticeClient) {
	if !g.NoticeEnabled {
		return nil
	}
	for _, item := range g.NoticeClients {
		if name, most, ok := config.ParseNoticeClient(item); ok {
			out = append(out, server.NoticeClient{Name: name, Most: most})
		}
	}
	return out
}

// closeGroups may be called again.
func (b *Broker) closeGroups(ctx context.Context) error {
	ctx, cancel := half(ctx)
	defer cancel()
	b.groups.Close(ctx)
	return nil
}

// leadGroups hands the coordinator what the metadata newly says of its topic, once the partitions are there.
func (b *Broker) leadGroups(im *meta.Image, ch meta.Changes) {
	for _, t := range ch.TopicsDeleted {
		if t.Name == kafka.OffsetsTopic {
			b.groups.Resize(0)
			continue
		}
		b.groups.TopicDeleted(t.Name, t.ID)
	}
	t := im.Topic(kafka.OffsetsTopic)
	if t == nil {
		return
	}
	b.groups.Resize(t.NumPartitions())
	for _, c := range ch.Partitions {
		if c.Topic.Name != kafka.OffsetsTopic || c.New == nil {
			continue
		}
		if p := b.parts.Get(kafka.OffsetsTopic, c.Partition); p != nil {
			b.groups.Lead(p)
		}
	}
}

// ensureOffsetsTopic creates __consumer_offsets unless it is there, and beside it the topic of the journal. Kafka too waits for the first client
// that looks for a coordinator: a broker without groups has neither.
func (b *Broker) ensureOffsetsTopic(ctx context.Context) error {
	im := b.control.Image()
	offsets := im.Topic(kafka.OffsetsTopic)
	if offsets != nil && (b.journal == nil || im.Topic(kafka.RebalancesTopic) != nil) {
		return nil
	}
	g := &b.static.Broker.Groups
	set := func(name, value string) controller.NewTopicSetting {
		return controller.NewTopicSetting{Name: name, Value: &value}
	}
	r := b.control.Ensure(ctx, controller.NewTopic{Name: kafka.OffsetsTopic, Partitions: g.TopicPartitions, ReplicationFactor: int16(g.TopicReplication),
		Configs: []controller.NewTopicSetting{
			set("cleanup.policy", "compact"), set("compression.type", "producer"),
			set("segment.bytes", strconv.Itoa(int(g.TopicSegmentBytes))), set("max.message.bytes", strconv.Itoa(offsetsBytesMax)),
		}})
	if !r.OK() {
		return fmt.Errorf("create %s with offsets.topic.num.partitions=%d and offsets.topic.replication.factor=%d: %s: %s",
			kafka.OffsetsTopic, g.TopicPartitions, g.TopicReplication, r.Code, r.Message)
	}
	if b.journal != nil {
		if r := b.control.Ensure(ctx, b.journalTopic(r.Partitions)); !r.OK() {
			b.log.Warn("rebalances are not recorded: their topic cannot be created", "topic", kafka.RebalancesTopic, "error", r.Message) // the groups go on
		}
	}
	return nil
}
