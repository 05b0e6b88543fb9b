package observe

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf16"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Dial opens a client of the cluster with these options besides its own.
type Dial func(ctx context.Context, opts ...kgo.Opt) (*kgo.Client, error)

// ErrNotAllowed says that the principal may not read a topic. The cure is the right to read it, or a source that needs less.
var ErrNotAllowed = errors.New("the principal may not read it")

// ErrNoTopic says that the cluster has no such topic.
var ErrNoTopic = errors.New("there is no such topic")

// quietMax is how long a reading of a known end waits without a record before it takes the end for reached: what is left can be control
// records and holes of compaction, which are not delivered.
const quietMax = 5 * time.Second

// PartitionOf is the partition of a topic of n partitions that holds a group: Kafka's abs(String.hashCode) modulo n, over UTF-16 units.
func PartitionOf(group string, n int32) int32 {
	if n <= 0 {
		return 0
	}
	h := int32(0)
	for _, u := range utf16.Encode([]rune(group)) {
		h = 31*h + int32(u)
	}
	if h == -1<<31 { // Kafka's Utils.abs
		h = 0
	}
	if h < 0 {
		h = -h
	}
	return h % n
}

// tap is one partition being read.
type tap struct {
	dial       Dial
	cl         *kgo.Client // asks
	tail       *kgo.Client // reads on and on from next; nil until it is needed
	topic      string
	id         [16]byte
	partition  int32
	leader     int32
	start, end int64 // what there was to read when it was opened
	next       int64 // to be handed on next
}

// open finds the partition of a topic that holds the group, and what is in it from a moment on; zero is the beginning.
func open(ctx context.Context, dial Dial, topic, group string, since time.Time) (_ *tap, err error) {
	t := &tap{dial: dial, topic: topic}
	if t.cl, err = dial(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	if err = t.locate(ctx, func(n int32) int32 { return PartitionOf(group, n) }); err != nil {
		return nil, err
	}
	from := int64(-2)
	if !since.IsZero() {
		from = since.UnixMilli()
	}
	if t.start, err = t.offset(ctx, t.cl, from); err != nil {
		return nil, err
	}
	if t.end, err = t.offset(ctx, t.cl, -1); err != nil {
		return nil, err
	}
	if t.start < 0 { // nothing is younger than that
		t.start = t.end
	}
	t.next = t.start
	return t, nil
}

func (t *tap) close() {
	t.cl.Close()
	if t.tail != nil {
		t.tail.Close()
	}
}

// locate asks for the topic, chooses the partition among as many as there are, and notes who leads it.
func (t *tap) locate(ctx context.Context, choose func(n int32) int32) error {
	req := kmsg.NewPtrMetadataRequest()
	rt := kmsg.NewMetadataRequestTopic()
	rt.Topic = kmsg.StringPtr(t.topic)
	req.Topics = append(req.Topics, rt)
	req.AllowAutoTopicCreation = false
	resp, err := req.RequestWith(ctx, t.cl)
	if err != nil {
		return fmt.Errorf("asking for the topic %s: %w", t.topic, err)
	}
	for _, rt := range resp.Topics {
		switch err := kerr.ErrorForCode(rt.ErrorCode); {
		case errors.Is(err, kerr.TopicAuthorizationFailed):
			return fmt.Errorf("asking for the topic %s: %w: %w", t.topic, ErrNotAllowed, err)
		case errors.Is(err, kerr.UnknownTopicOrPartition):
			return fmt.Errorf("%s: %w", t.topic, ErrNoTopic)
		case err != nil:
			return fmt.Errorf("asking for the topic %s: %w", t.topic, err)
		}
		t.id, t.partition, t.leader = rt.TopicID, choose(int32(len(rt.Partitions))), -1
		for _, rp := range rt.Partitions {
			if rp.Partition == t.partition {
				t.leader = rp.Leader
			}
		}
		return nil
	}
	return fmt.Errorf("%s: %w", t.topic, ErrNoTopic)
}

// offset asks for the first offset at or after a time in milliseconds, -2 for the first there is, -1 for the end; -1 for none.
func (t *tap) offset(ctx context.Context, cl *kgo.Client, at int64) (int64, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	rt := kmsg.NewListOffsetsRequestTopic()
	rt.Topic = t.topic
	rp := kmsg.NewListOffsetsRequestTopicPartition()
	rp.Partition, rp.Timestamp = t.partition, at
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	for _, shard := range cl.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return 0, fmt.Errorf("asking for the offsets of %s: %w", t.topic, shard.Err)
		}
		for _, rt := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, rp := range rt.Partitions {
				if err := kerr.ErrorForCode(rp.ErrorCode); err != nil {
					return 0, t.refused(err)
				}
				return rp.Offset, nil
			}
		}
	}
	return 0, fmt.Errorf("asking for the offsets of %s: no answer for partition %d", t.topic, t.partition)
}

func (t *tap) refused(err error) error {
	if errors.Is(err, kerr.TopicAuthorizationFailed) {
		err = fmt.Errorf("%w: %w", ErrNotAllowed, err)
	}
	return fmt.Errorf("reading %s: %w", t.topic, err)
}

// toEnd hands each record up to the end that the partition had when it was opened.
func (t *tap) toEnd(ctx context.Context, each func(*kgo.Record)) error {
	quiet := time.Duration(0)
	for t.next < t.end {
		const wait = 500 * time.Millisecond
		got, err := t.poll(ctx, wait, each)
		switch {
		case err != nil:
			return err
		case got:
			quiet = 0
		default:
			if quiet += wait; quiet >= quietMax {
				return nil
			}
		}
	}
	return nil
}

// poll hands on what comes within a time, and reports whether anything came.
func (t *tap) poll(ctx context.Context, wait time.Duration, each func(*kgo.Record)) (bool, error) {
	if t.tail == nil {
		var err error
		t.tail, err = t.dial(ctx, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{t.topic: {t.partition: kgo.NewOffset().At(t.next)}}),
			kgo.KeepControlRecords(), kgo.FetchMaxPartitionBytes(4<<20), kgo.MaxBufferedRecords(50_000))
		if err != nil {
			return false, err
		}
	}
	pctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	fs := t.tail.PollFetches(pctx)
	if err := ctx.Err(); err != nil {
		return false, err
	}
	for _, fe := range fs.Errors() {
		switch {
		case errors.Is(fe.Err, context.DeadlineExceeded), errors.Is(fe.Err, context.Canceled):
		default:
			if ke := (*kerr.Error)(nil); errors.As(fe.Err, &ke) && !ke.Retriable {
				return false, t.refused(fe.Err)
			} else if ke == nil {
				return false, t.refused(fe.Err)
			}
		}
	}
	got := false
	fs.EachRecord(func(r *kgo.Record) {
		got = true
		t.next = max(t.next, r.Offset+1)
		if !r.Attrs.IsControl() {
			each(r)
		}
	})
	return got, nil
}
