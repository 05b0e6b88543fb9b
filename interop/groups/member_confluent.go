//go:build cgo

package groups

import (
	"context"
	"errors"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

func init() { goMembers["confluent"] = confluentMember }

// confluentMember is librdkafka through its Go binding. The rebalance callback runs inside Poll; partitions are assigned and taken away by the
// binding itself once the callback returns, incrementally when the protocol is cooperative.
func confluentMember(ctx context.Context, cfg Config, m *goMember) error {
	strategy, ok := map[string]string{"range": "range", "roundrobin": "roundrobin", "cooperative": "cooperative-sticky"}[cfg.Assignor]
	if !ok {
		return unknownAssignor(cfg)
	}
	conf := kafka.ConfigMap{"bootstrap.servers": cfg.Bootstrap, "client.id": cfg.ClientID, "group.id": cfg.Group, "partition.assignment.strategy": strategy,
		"session.timeout.ms": cfg.SessionMs, "heartbeat.interval.ms": cfg.HeartbeatMs, "max.poll.interval.ms": cfg.PollMaxMs,
		"topic.metadata.refresh.interval.ms": cfg.MetadataMs, "metadata.max.age.ms": 3 * cfg.MetadataMs, "enable.auto.commit": false, "enable.auto.offset.store": false,
		"auto.offset.reset": "earliest", "fetch.wait.max.ms": 200, "reconnect.backoff.max.ms": 500}
	if cfg.Instance != "" {
		conf["group.instance.id"] = cfg.Instance
	}
	if cfg.InFlight > 0 {
		conf["max.in.flight.requests.per.connection"] = cfg.InFlight
	}
	c, err := kafka.NewConsumer(&conf)
	if err != nil {
		return err
	}
	pending := map[int32]int64{}
	commit := func() {
		if len(pending) == 0 {
			return
		}
		var parts []kafka.TopicPartition
		for p, o := range pending {
			parts = append(parts, kafka.TopicPartition{Topic: &cfg.Topic, Partition: p, Offset: kafka.Offset(o)})
		}
		result, err := c.CommitOffsets(parts)
		for _, r := range result {
			err = errors.Join(err, r.Error)
		}
		m.committed(pending, err)
		if err == nil { // else it is tried again, at the latest before the partitions are given away
			pending = map[int32]int64{}
		}
	}
	forget := func(parts []kafka.TopicPartition) {
		for _, p := range parts {
			delete(pending, p.Partition)
		}
	}
	err = c.SubscribeTopics([]string{cfg.Topic}, func(c *kafka.Consumer, e kafka.Event) error {
		switch e := e.(type) {
		case kafka.AssignedPartitions:
			m.emit(Event{Kind: Assigned, Partitions: confluentIDs(e.Partitions)})
		case kafka.RevokedPartitions:
			if c.AssignmentLost() {
				forget(e.Partitions)
				m.emit(Event{Kind: Lost, Partitions: confluentIDs(e.Partitions)})
				return nil
			}
			commit()
			forget(e.Partitions)
			m.emit(Event{Kind: Revoked, Partitions: confluentIDs(e.Partitions)})
		}
		return nil
	})
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		m.commits(func() error {
			parts, err := c.Assignment()
			if err != nil || len(parts) == 0 {
				return errors.Join(err, errors.New("nothing is assigned"))
			}
			for i := range parts {
				parts[i].Offset = 0
			}
			_, err = c.CommitOffsets(parts)
			return err
		}, func(d time.Duration) { c.Poll(int(d.Milliseconds())) })
		switch e := c.Poll(100).(type) {
		case *kafka.Message:
			if e.TopicPartition.Error != nil {
				m.trouble(e.TopicPartition.Error)
				continue
			}
			m.record(e.TopicPartition.Partition, int64(e.TopicPartition.Offset), e.Value)
			pending[e.TopicPartition.Partition] = int64(e.TopicPartition.Offset) + 1
			if len(pending) >= 4 {
				commit()
			}
		case kafka.Error:
			m.trouble(e)
		case nil:
			commit()
		}
	}
	commit()
	return c.Close()
}

func confluentIDs(parts []kafka.TopicPartition) []int32 {
	var ids []int32
	for _, p := range parts {
		ids = append(ids, p.Partition)
	}
	return ids
}
