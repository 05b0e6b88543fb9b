package main

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/batch"
)

// errFound ends a walk over records early.
var errFound = errors.New("found")

// emptyUntil reports whether the partition holds no printable record from s.next up to s.stop. It moves s.next past batches it has
// seen to be empty. An answer that cannot decide (nothing there yet, a leader that moves) is false.
func (c *consumer) emptyUntil(ctx context.Context, topic string, partition int32, s *span) (bool, error) {
	reader := batch.NewReader(batch.NewCodecs(batch.DefaultLimits()))
	for s.next < s.stop {
		raw, err := c.fetchRaw(ctx, topic, partition, s.next)
		if err != nil || len(raw) == 0 {
			return false, err
		}
		moved := false
		for len(raw) > 0 {
			b, rest, err := batch.Next(raw)
			if err != nil {
				break // the answer was cut inside this batch, or it is of an old format; kgo will tell
			}
			raw = rest
			if b.LastOffset() < s.next {
				continue
			}
			if !b.Control() {
				err := reader.Each(b, func(r *batch.Record) error {
					if r.Offset >= s.next && r.Offset < s.stop {
						return errFound
					}
					return nil
				})
				if err != nil {
					return false, nil // a record, or a batch that kgo will refuse in its own words
				}
			}
			s.next, moved = b.LastOffset()+1, true
		}
		if !moved {
			return false, nil
		}
	}
	return true, nil
}

// fetchRaw asks the leader for the batches at an offset, at once.
func (c *consumer) fetchRaw(ctx context.Context, topic string, partition int32, at int64) ([]byte, error) {
	leader, epoch, err := c.cl.PartitionLeader(topic, partition)
	if err != nil || leader < 0 {
		return nil, nil
	}
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MaxBytes, req.SessionEpoch = 0, 8<<20, -1
	if c.committed {
		req.IsolationLevel = 1
	}
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.TopicID = topic, c.ids[topic]
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.Partition, rp.FetchOffset, rp.CurrentLeaderEpoch, rp.PartitionMaxBytes = partition, at, epoch, 8<<20
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	ctx, cancel := context.WithTimeout(ctx, max(c.apiTimeout(), time.Second))
	defer cancel()
	resp, err := c.cl.Broker(int(leader)).RetriableRequest(ctx, req)
	if err != nil {
		return nil, wrap(err, "looking for the end of %s-%d", topic, partition)
	}
	for _, t := range resp.(*kmsg.FetchResponse).Topics {
		for _, p := range t.Partitions {
			if p.Partition == partition && p.ErrorCode == 0 {
				return p.RecordBatches, nil
			}
		}
	}
	return nil, nil
}
