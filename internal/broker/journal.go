package broker

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/controller"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/storage"
)

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
	t := j.b.control.Image().Topic(kafka.RebalancesTopic)
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
	_, err = p.Append(built, -1, storage.Coordinator, nowMs)
	return err
}
