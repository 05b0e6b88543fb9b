package observe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The newest records first, by plain Fetch requests, which any Kafka answers. A consumer would do for reading forwards, but it fetches ahead, and
// where a reading ends is known here only by what has been read.

// backwards is a partition read from its end, window by window, and what that took.
type backwards struct {
	t       *tap
	records int   // looked at, whosever they are
	bytes   int64 // of them, keys and values
	fetches int
}

// Windows, in records: they grow, so that a long way back takes few steps and a short one reads little.
const (
	windowFirst = int64(500)
	windowMost  = int64(32_000)
)

// What one Fetch asks for at most, which bounds what is in memory at a time, and at least.
const (
	fetchBytesMost  = 4 << 20
	fetchBytesLeast = 128 << 10
)

// read hands each record on once, within a window in their order, until enough says so after a window, or the start of the tap is reached. It reports
// where it stopped. Afterwards the tap goes on at its end.
func (b *backwards) read(ctx context.Context, each func(*kgo.Record), enough func() bool) (low int64, err error) {
	low = b.t.end
	for size := windowFirst; low > b.t.start && !enough(); size = min(size*4, windowMost) {
		high := low
		low = max(b.t.start, high-size)
		for at := low; at < high; {
			if at, err = b.fetch(ctx, at, high, each); err != nil {
				return 0, err
			}
		}
	}
	b.t.next = b.t.end
	return low, nil
}

// leaderPatience is how long a partition may be without its leader while we ask.
const leaderPatience = 10 * time.Second

// fetch hands on what one Fetch gives of the records from at up to high, and says where to go on.
func (b *backwards) fetch(ctx context.Context, at, high int64, each func(*kgo.Record)) (int64, error) {
	t := b.t
	for since := time.Now(); ; {
		rp, err := b.ask(ctx, at, b.room(high-at))
		if err == nil {
			err = kerr.ErrorForCode(rp.ErrorCode)
		}
		switch {
		case errors.Is(err, kerr.OffsetOutOfRange): // retention was faster
			start, err := t.offset(ctx, t.cl, -2)
			if err != nil || start <= at {
				return 0, errors.Join(fmt.Errorf("reading %s: offset %d is not there", t.topic, at), err)
			}
			return min(start, high), nil
		case err != nil && kerr.IsRetriable(err) && time.Since(since) < leaderPatience:
			if err := t.locate(ctx, func(int32) int32 { return t.partition }); err != nil {
				return 0, err
			}
			select {
			case <-ctx.Done():
				return 0, ctx.Err()
			case <-time.After(100 * time.Millisecond): // an election takes its time
			}
			continue
		case err != nil:
			return 0, t.refused(err)
		}
		got, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Offset: at, Topic: t.topic, Partition: t.partition}, rp, kgo.DefaultDecompressor(), nil)
		if got.Err != nil {
			return 0, t.refused(got.Err)
		}
		if next <= at {
			return 0, fmt.Errorf("reading %s: nothing came for offset %d, although the partition ends at %d", t.topic, at, t.end)
		}
		b.fetches++
		for _, r := range got.Records {
			b.records, b.bytes = b.records+1, b.bytes+int64(len(r.Key)+len(r.Value))
			if r.Offset < high { // what lies behind came along, and was there before
				each(r)
			}
		}
		return next, nil
	}
}

// room is for how many bytes to ask in order to get n records: what lies behind them was read before, and need not come again.
func (b *backwards) room(n int64) int32 {
	if b.records == 0 {
		return fetchBytesMost
	}
	return int32(min(fetchBytesMost, max(fetchBytesLeast, n*(b.bytes/int64(b.records)))))
}

// ask sends one Fetch to the leader.
func (b *backwards) ask(ctx context.Context, at int64, room int32) (*kmsg.FetchResponseTopicPartition, error) {
	t := b.t
	if t.leader < 0 {
		return nil, kerr.LeaderNotAvailable
	}
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = 1000, 1, room
	req.SessionEpoch = -1
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.TopicID = t.topic, t.id // old versions name it, newer ones know its id
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes = t.partition, at, room
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	answer, err := t.cl.Broker(int(t.leader)).RetriableRequest(ctx, req)
	if err != nil {
		return nil, err
	}
	resp := answer.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, err
	}
	for i := range resp.Topics {
		for k := range resp.Topics[i].Partitions {
			if p := &resp.Topics[i].Partitions[k]; p.Partition == t.partition {
				return p, nil
			}
		}
	}
	return nil, fmt.Errorf("no answer for partition %d", t.partition)
}
