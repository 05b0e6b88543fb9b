package clients

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Franz is github.com/twmb/franz-go.
type Franz struct{}

func (Franz) Name() string { return "franz-go" }
func (Franz) Version(context.Context) (string, error) {
	return moduleVersion("github.com/twmb/franz-go")
}
func (Franz) Lacks(Feature) string { return "" }
func (Franz) dial(addr string, opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(addr), kgo.ClientID("interop"), kgo.RetryTimeout(30 * time.Second)}, opts...)...)
}

func (f Franz) admin(addr string) (*kadm.Client, error) {
	c, err := f.dial(addr)
	if err != nil {
		return nil, err
	}
	return kadm.NewClient(c), nil
}

func (f Franz) CreateTopic(ctx context.Context, addr, topic string, partitions int, configs map[string]string) error {
	a, err := f.admin(addr)
	if err != nil {
		return err
	}
	defer a.Close()
	values := map[string]*string{}
	for k, v := range configs {
		values[k] = &v
	}
	_, err = a.CreateTopic(ctx, int32(partitions), 1, values, topic)
	return err
}

func (f Franz) Describe(ctx context.Context, addr, topic string) (Description, error) {
	a, err := f.admin(addr)
	if err != nil {
		return Description{}, err
	}
	defer a.Close()
	topics, err := a.ListTopics(ctx)
	if err != nil {
		return Description{}, err
	}
	d := Description{Partitions: len(topics[topic].Partitions), Topics: topics.Names(), Configs: map[string]string{}}
	configs, err := a.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return d, err
	}
	for _, r := range configs {
		if r.Err != nil {
			return d, r.Err
		}
		for _, c := range r.Configs {
			d.Configs[c.Key] = c.MaybeValue()
		}
	}
	return d, nil
}

func (f Franz) AlterConfig(ctx context.Context, addr, topic, name, value string) error {
	a, err := f.admin(addr)
	if err != nil {
		return err
	}
	defer a.Close()
	answers, err := a.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: name, Value: &value}}, topic)
	for _, r := range answers {
		err = errors.Join(err, r.Err)
	}
	return err
}

func (f Franz) Produce(ctx context.Context, addr string, p Produce) error {
	codec := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}[p.Codec]
	opts := []kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(codec), kgo.ProducerBatchMaxBytes(2 << 20),
		kgo.RequiredAcks(kgo.AllISRAcks())} // no delivery timeout: kgo counts it from the record's own timestamp
	if !p.Idempotent {
		opts = append(opts, kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(1))
	}
	c, err := f.dial(addr, opts...)
	if err != nil {
		return err
	}
	defer c.Close()
	errs := make(chan error, len(p.Records))
	pace := newPace(p.Interval)
	for _, r := range p.Records {
		pace.wait(ctx)
		kr := &kgo.Record{Topic: p.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value}
		if r.Timestamp != 0 {
			kr.Timestamp = time.UnixMilli(r.Timestamp)
		}
		for _, h := range r.Headers {
			kr.Headers = append(kr.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
		}
		c.Produce(ctx, kr, func(_ *kgo.Record, err error) { errs <- err })
	}
	return firstOf(ctx, errs, len(p.Records))
}

func (f Franz) Consume(ctx context.Context, addr string, q Consume) ([]Record, error) {
	at := kgo.NewOffset().AtStart()
	switch q.From {
	case FromEnd:
		at = kgo.NewOffset().AtEnd()
	case FromStamp:
		at = kgo.NewOffset().AfterMilli(q.Timestamp)
	}
	from := map[int32]kgo.Offset{}
	for _, p := range q.Partitions {
		from[p] = at
	}
	c, err := f.dial(addr, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{q.Topic: from}))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var got []Record
	for len(got) < q.Count {
		fetches := c.PollRecords(ctx, q.Count-len(got))
		if err := ctx.Err(); err != nil {
			return got, fmt.Errorf("%d of %d records: %w", len(got), q.Count, err)
		}
		if errs := fetches.Errors(); len(errs) > 0 {
			return got, errs[0].Err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			rec := Record{Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value}
			for _, h := range r.Headers {
				rec.Headers = append(rec.Headers, Header(h))
			}
			got = append(got, rec)
		})
	}
	return got, nil
}
