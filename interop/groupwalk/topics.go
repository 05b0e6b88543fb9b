package main

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// change makes, grows or deletes the walk's own topic, and waits until the broker and its groups have noticed.
func (p *player) change(ctx context.Context, how string) error {
	var want int // partitions, afterwards; -1: whatever there are
	switch how {
	case "create":
		if _, err := createTopic(ctx, p, p.topic(), 2); err != nil {
			return err
		}
		return nil
	case "grow":
		n, err := p.partitions(ctx)
		if err != nil || n <= 0 {
			return err
		}
		q := kmsg.NewPtrCreatePartitionsRequest()
		q.Version, q.TimeoutMillis = 3, 10_000
		t := kmsg.NewCreatePartitionsRequestTopic()
		t.Topic, t.Count = p.topic(), int32(n+1)
		q.Topics = append(q.Topics, t)
		if _, err := p.admin.Do(ctx, q); err != nil {
			return err
		}
		want = n + 1
	case "delete-topic":
		n, err := p.partitions(ctx)
		if err != nil || n <= 0 {
			return err
		}
		q := kmsg.NewPtrDeleteTopicsRequest()
		q.Version, q.TimeoutMillis, q.TopicNames = 5, 10_000, []string{p.topic()}
		if _, err := p.admin.Do(ctx, q); err != nil {
			return err
		}
	}
	for {
		n, err := p.partitions(ctx)
		if err != nil {
			return err
		}
		if n == want {
			break
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
	if how != "delete-topic" {
		return nil
	}
	// Its offsets go a moment later.
	for i := range p.walk.groups {
		gone, err := p.await(ctx, func() kmsg.Request {
			q := kmsg.NewPtrOffsetFetchRequest()
			q.Version, q.Group = 7, p.group(i)
			return q
		}, func(resp kmsg.Response) bool {
			for _, t := range resp.(*kmsg.OffsetFetchResponse).Topics {
				if t.Topic == p.topic() {
					return false
				}
			}
			return true
		})
		if err != nil || !gone {
			return fmt.Errorf("the offsets of a deleted topic are still there at %s: %w", p.broker.Kind, err)
		}
	}
	return nil
}

// awaitExpiry waits until the offset that was committed with a time of its own is gone: shared-0.
func (p *player) awaitExpiry(ctx context.Context, group int) error {
	_, err := p.await(ctx, func() kmsg.Request {
		q := kmsg.NewPtrOffsetFetchRequest()
		q.Version, q.Group = 7, p.group(group)
		q.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: "shared", Partitions: []int32{0}}}
		return q
	}, func(resp kmsg.Response) bool {
		return resp.(*kmsg.OffsetFetchResponse).Topics[0].Partitions[0].Offset < 0
	})
	return err // whether it is gone, the next look shows
}

// partitions counts those of the walk's own topic; 0 when there is none.
func (p *player) partitions(ctx context.Context) (int, error) {
	q := kmsg.NewPtrMetadataRequest()
	q.Version, q.AllowAutoTopicCreation = 9, false
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = kmsg.StringPtr(p.topic())
	q.Topics = append(q.Topics, t)
	resp, err := p.admin.Do(ctx, q)
	if err != nil {
		return 0, err
	}
	answer := resp.(*kmsg.MetadataResponse).Topics[0]
	if answer.ErrorCode != 0 {
		return 0, nil
	}
	return len(answer.Partitions), nil
}

// createTopic makes a topic and waits until it has leaders.
func createTopic(ctx context.Context, p *player, name string, partitions int32) (bool, error) {
	q := kmsg.NewPtrCreateTopicsRequest()
	q.Version, q.TimeoutMillis = 5, 10_000
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, 1
	q.Topics = append(q.Topics, t)
	if _, err := p.admin.Do(ctx, q); err != nil {
		return false, err
	}
	return p.await(ctx, func() kmsg.Request {
		q := kmsg.NewPtrMetadataRequest()
		q.Version, q.AllowAutoTopicCreation = 9, false
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		q.Topics = append(q.Topics, t)
		return q
	}, func(resp kmsg.Response) bool {
		t := resp.(*kmsg.MetadataResponse).Topics[0]
		for _, n := range t.Partitions {
			if n.ErrorCode != 0 {
				return false
			}
		}
		return t.ErrorCode == 0 && len(t.Partitions) > 0
	})
}
