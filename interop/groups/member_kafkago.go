package groups

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

// kafkaGoMember uses the ConsumerGroup under kafka-go's Reader: the Reader hides its assignments. It cannot tell partitions that were
// lost from those that were revoked.
func kafkaGoMember(ctx context.Context, cfg Config, m *goMember) error {
	balancer, ok := map[string]kafka.GroupBalancer{"range": kafka.RangeGroupBalancer{}, "roundrobin": kafka.RoundRobinGroupBalancer{}}[cfg.Assignor]
	if !ok {
		return unknownAssignor(cfg)
	}
	dialer := &kafka.Dialer{ClientID: cfg.ClientID, Timeout: 5 * time.Second}
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: cfg.Group, Brokers: []string{cfg.Bootstrap}, Topics: []string{cfg.Topic}, Dialer: dialer, GroupBalancers: []kafka.GroupBalancer{balancer},
		HeartbeatInterval: millis(cfg.HeartbeatMs), SessionTimeout: millis(cfg.SessionMs), RebalanceTimeout: millis(cfg.PollMaxMs),
		WatchPartitionChanges: true, PartitionWatchInterval: millis(cfg.MetadataMs), JoinGroupBackoff: 500 * time.Millisecond,
		StartOffset: kafka.FirstOffset,
	})
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		gen, err := group.Next(ctx)
		if err != nil {
			// The library tells of a round that the next one overtook before it was complete, and begins again by itself.
			if !errors.Is(err, context.Canceled) && !errors.Is(err, kafka.RebalanceInProgress) {
				m.trouble(err)
			}
			continue
		}
		mine := gen.Assignments[cfg.Topic]
		var ids []int32
		for _, a := range mine {
			ids = append(ids, int32(a.ID))
		}
		m.emit(Event{Kind: Assigned, Partitions: ids})
		// The group joins its next generation only when this function is over.
		gen.Start(func(ctx context.Context) {
			var readers sync.WaitGroup
			for _, a := range mine {
				readers.Go(func() { kafkaGoRead(ctx, cfg, m, gen, dialer, a) })
			}
			<-ctx.Done()
			readers.Wait()
			m.emit(Event{Kind: Revoked, Partitions: ids})
		})
	}
	return group.Close()
}

// kafkaGoRead reads one partition for as long as a generation lasts, and commits after every record that had no successor in hand.
func kafkaGoRead(ctx context.Context, cfg Config, m *goMember, gen *kafka.Generation, dialer *kafka.Dialer, a kafka.PartitionAssignment) {
	r := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{cfg.Bootstrap}, Topic: cfg.Topic, Partition: a.ID, Dialer: dialer, MinBytes: 1, MaxBytes: 1 << 20,
		MaxWait: 200 * time.Millisecond, ReadBackoffMin: 20 * time.Millisecond, ReadBackoffMax: 200 * time.Millisecond})
	defer r.Close()
	if err := r.SetOffset(a.Offset); err != nil {
		m.trouble(err)
		return
	}
	next := int64(-1)
	commit := func() {
		if next >= 0 {
			m.committed(map[int32]int64{int32(a.ID): next}, gen.CommitOffsets(map[string]map[int]int64{cfg.Topic: {a.ID: next}}))
			next = -1
		}
	}
	defer commit()
	for {
		msg, err := r.ReadMessage(ctx)
		if err != nil {
			if ctx.Err() == nil {
				m.trouble(err)
				time.Sleep(100 * time.Millisecond)
				continue
			}
			return
		}
		m.record(int32(msg.Partition), msg.Offset, msg.Value)
		next = msg.Offset + 1
		if r.Stats().QueueLength == 0 {
			commit()
		}
	}
}
