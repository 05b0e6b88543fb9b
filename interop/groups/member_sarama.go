package groups

import (
	"context"
	"errors"
	"slices"

	"github.com/IBM/sarama"
)

// saramaMember marks every record it handed on and commits when it has no more in hand. The library says nothing of a commit that went well.
func saramaMember(ctx context.Context, cfg Config, m *goMember) error {
	strategy, ok := map[string]sarama.BalanceStrategy{"range": sarama.NewBalanceStrategyRange(), "roundrobin": sarama.NewBalanceStrategyRoundRobin(),
		"sticky": sarama.NewBalanceStrategySticky()}[cfg.Assignor]
	if !ok {
		return unknownAssignor(cfg)
	}
	c := sarama.NewConfig()
	c.Version, c.ClientID = sarama.V2_8_0_0, cfg.ClientID
	c.Metadata.RefreshFrequency = millis(cfg.MetadataMs)
	c.Consumer.Return.Errors = true
	c.Consumer.Offsets.Initial, c.Consumer.Offsets.AutoCommit.Enable = sarama.OffsetOldest, false
	c.Consumer.Group.Session.Timeout, c.Consumer.Group.Heartbeat.Interval = millis(cfg.SessionMs), millis(cfg.HeartbeatMs)
	c.Consumer.Group.Rebalance.Timeout, c.Consumer.Group.Rebalance.GroupStrategies = millis(cfg.PollMaxMs), []sarama.BalanceStrategy{strategy}
	c.Consumer.Group.InstanceId = cfg.Instance
	group, err := sarama.NewConsumerGroup([]string{cfg.Bootstrap}, cfg.Group, c)
	if err != nil {
		return err
	}
	told := make(chan struct{})
	go func() {
		defer close(told)
		for err := range group.Errors() {
			m.trouble(err)
		}
	}()
	for ctx.Err() == nil {
		if err := group.Consume(ctx, []string{cfg.Topic}, saramaHandler{cfg.Topic, m}); err != nil && !errors.Is(err, sarama.ErrClosedConsumerGroup) && ctx.Err() == nil {
			m.trouble(err)
		}
	}
	err = group.Close()
	<-told
	return err
}

type saramaHandler struct {
	topic string
	m     *goMember
}

func (h saramaHandler) Setup(s sarama.ConsumerGroupSession) error {
	h.m.emit(Event{Kind: Assigned, Partitions: h.claims(s)})
	return nil
}

func (h saramaHandler) Cleanup(s sarama.ConsumerGroupSession) error {
	s.Commit()
	h.m.emit(Event{Kind: Revoked, Partitions: h.claims(s)})
	return nil
}

func (h saramaHandler) claims(s sarama.ConsumerGroupSession) []int32 {
	return slices.Clone(s.Claims()[h.topic])
}

func (h saramaHandler) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case r, ok := <-claim.Messages():
			if !ok {
				return nil
			}
			h.m.record(r.Partition, r.Offset, r.Value)
			s.MarkMessage(r, "")
			if len(claim.Messages()) == 0 {
				s.Commit()
			}
		case <-s.Context().Done():
			return nil
		}
	}
}
