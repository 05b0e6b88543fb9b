package main

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/batch"
)

// unreadSpan is what a group has not read of one partition, and what its records say.
type unreadSpan struct {
	row                   int
	topic                 string
	partition             int32
	committed, start, end int64 // the log is [start, end)
	oldest                int64 // smallest timestamp of the unread or, when there is none, that of the last record read
	found                 bool  // oldest is set
	anyUnread             bool
	appendTime, noTime    bool // a record whose timestamp says nothing about its copy
}

// lookBack is how many offsets before the committed one are searched for the last record that was read: compaction and transaction
// markers leave offsets without records.
const lookBack = 10_000

// readSpans reads the unread records of each span, and where there are none those just before. Only timestamps are kept.
func (a *app) readSpans(ctx context.Context, adm *adminClient, spans []unreadSpan) error {
	var topics []string
	var total int64
	for _, s := range spans {
		topics = append(topics, s.topic)
		total += s.end - max(s.start, min(s.committed, s.end))
	}
	if len(spans) == 0 {
		return nil
	}
	meta, err := adm.ListTopicsWithInternal(ctx, uniq(topics)...)
	if err != nil {
		return wrap(err, "asking for leaders")
	}
	bar := a.newGoal("reading what is unread:", total)
	defer bar.done()
	r := spanReader{app: a, adm: adm, meta: meta, reader: batch.NewReader(batch.NewCodecs(batch.DefaultLimits())), bar: bar}
	for i := range spans {
		s := &spans[i]
		from := max(s.start, min(s.committed, s.end))
		if err := r.read(ctx, s, from, s.end); err != nil {
			return wrap(err, "reading %s-%d", s.topic, s.partition)
		}
		if !s.found {
			if err := r.read(ctx, s, max(s.start, from-lookBack), from); err != nil {
				return wrap(err, "reading %s-%d", s.topic, s.partition)
			}
		}
	}
	return nil
}

// spanReader fetches batches as they are. A client that hands out records would not tell the offsets that hold none from those still to come.
type spanReader struct {
	*app
	adm    *adminClient
	meta   kadm.TopicDetails
	reader *batch.Reader
	bar    *progress
}

// read takes the records in [from, to) into account.
func (r *spanReader) read(ctx context.Context, s *unreadSpan, from, to int64) error {
	silent := time.Now()
	for from < to {
		raw, err := r.fetch(ctx, s.topic, s.partition, from)
		if err != nil {
			return err
		}
		at := from
		for len(raw) > 0 && from < to {
			b, rest, err := batch.Next(raw)
			if err != nil {
				if from == at && len(raw) > 17 && raw[16] < 2 { // the magic byte: a log from before Kafka 0.11
					s.noTime = true
					return nil
				}
				break // the answer was cut inside this batch
			}
			raw = rest
			if b.LastOffset() < from {
				continue
			}
			if err := s.see(r.reader, b, to); err != nil {
				return err
			}
			r.bar.records.Add(max(0, b.LastOffset()+1-from))
			r.bar.bytes.Add(int64(len(b)))
			from = b.LastOffset() + 1
		}
		switch {
		case from > at:
			silent = time.Now()
		case time.Since(silent) > r.apiTimeout():
			return failed(fmt.Sprintf("no records from offset %d on, although the log ends at %d", from, to), "is the leader up? `barnabas topics describe "+s.topic+"` shows it")
		default: // a leader that moves answers at once that it is none
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
	return nil
}

// see takes one batch into account, up to the offset.
func (s *unreadSpan) see(reader *batch.Reader, b batch.Batch, to int64) error {
	if b.Control() {
		return nil
	}
	s.appendTime = s.appendTime || b.LogAppendTime()
	err := reader.Each(b, func(r *batch.Record) error {
		switch unread := r.Offset >= s.committed; {
		case r.Offset < s.start || r.Offset >= to:
		case r.Timestamp < 0:
			s.noTime = true
		case !unread, !s.anyUnread: // the last record read replaces the one before it, the first unread replaces it
			s.oldest, s.anyUnread, s.found = r.Timestamp, unread, true
		default:
			s.oldest = min(s.oldest, r.Timestamp)
		}
		return nil
	})
	return wrap(err, "looking into the batch at offset %d", b.BaseOffset())
}

// fetch asks the leader for what it has at an offset. A leader that moves, or is away for a moment, is looked up again.
func (r *spanReader) fetch(ctx context.Context, topic string, partition int32, at int64) ([]byte, error) {
	t := r.meta[topic]
	p := t.Partitions[partition]
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = 100, 1, 8<<20, -1
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.TopicID = topic, t.ID
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.Partition, rp.FetchOffset, rp.CurrentLeaderEpoch, rp.PartitionMaxBytes = partition, at, p.LeaderEpoch, 8<<20
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	ctx, cancel := context.WithTimeout(ctx, r.apiTimeout())
	defer cancel()
	resp, err := r.adm.wire.Broker(int(p.Leader)).RetriableRequest(ctx, req)
	if err != nil {
		return nil, err
	}
	for _, t := range resp.(*kmsg.FetchResponse).Topics {
		for _, p := range t.Partitions {
			if p.Partition != partition {
				continue
			}
			err := kerr.ErrorForCode(p.ErrorCode)
			if kerr.IsRetriable(err) {
				if fresh, err := r.adm.ListTopicsWithInternal(ctx, topic); err == nil {
					r.meta[topic] = fresh[topic]
				}
				return nil, nil
			}
			return p.RecordBatches, err
		}
	}
	return nil, kerr.ErrorForCode(resp.(*kmsg.FetchResponse).ErrorCode)
}
