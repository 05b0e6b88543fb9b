package clients

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	kafka "github.com/segmentio/kafka-go"
)

// KafkaGo is github.com/segmentio/kafka-go.
type KafkaGo struct{}

func (KafkaGo) Name() string { return "segmentio/kafka-go" }

func (KafkaGo) Version(context.Context) (string, error) {
	return moduleVersion("github.com/segmentio/kafka-go")
}

func (KafkaGo) Lacks(f Feature) string {
	switch f {
	case Idempotence:
		return "the library has no idempotent producer"
	case TellsEmpty:
		return "the library reads empty keys and values as null"
	}
	return ""
}

// freshTransport has no memory of topics: the library's own one keeps "unknown topic" for its metadata's whole lifetime.
func freshTransport() *kafka.Transport {
	return &kafka.Transport{ClientID: "interop", IdleTimeout: time.Second, MetadataTTL: 500 * time.Millisecond}
}

func (KafkaGo) client(addr string) *kafka.Client {
	host, port, _ := net.SplitHostPort(addr)
	n, _ := strconv.Atoi(port)
	return &kafka.Client{Addr: &net.TCPAddr{IP: net.ParseIP(host), Port: n}, Timeout: 15 * time.Second, Transport: freshTransport()}
}

func (k KafkaGo) CreateTopic(ctx context.Context, addr, topic string, partitions int, configs map[string]string) error {
	t := kafka.TopicConfig{Topic: topic, NumPartitions: partitions, ReplicationFactor: 1}
	for name, value := range configs {
		t.ConfigEntries = append(t.ConfigEntries, kafka.ConfigEntry{ConfigName: name, ConfigValue: value})
	}
	resp, err := k.client(addr).CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{t}})
	if err != nil {
		return err
	}
	return resp.Errors[topic]
}

func (k KafkaGo) Describe(ctx context.Context, addr, topic string) (Description, error) {
	d := Description{Configs: map[string]string{}}
	meta, err := k.client(addr).Metadata(ctx, &kafka.MetadataRequest{})
	if err != nil {
		return d, err
	}
	for _, t := range meta.Topics {
		d.Topics = append(d.Topics, t.Name)
		if t.Name == topic {
			d.Partitions = len(t.Partitions)
		}
	}
	configs, err := k.client(addr).DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{
		Resources: []kafka.DescribeConfigRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic}}})
	if err != nil {
		return d, err
	}
	for _, r := range configs.Resources {
		if r.Error != nil {
			return d, r.Error
		}
		for _, c := range r.ConfigEntries {
			d.Configs[c.ConfigName] = c.ConfigValue
		}
	}
	return d, nil
}

func (k KafkaGo) AlterConfig(ctx context.Context, addr, topic, name, value string) error {
	resp, err := k.client(addr).IncrementalAlterConfigs(ctx, &kafka.IncrementalAlterConfigsRequest{
		Resources: []kafka.IncrementalAlterConfigsRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic,
			Configs: []kafka.IncrementalAlterConfigsRequestConfig{{Name: name, Value: value, ConfigOperation: kafka.ConfigOperationSet}}}}})
	if err != nil {
		return err
	}
	for _, r := range resp.Resources {
		err = errors.Join(err, r.Error)
	}
	return err
}

// toPartition sends a message where its WriterData says.
type toPartition struct{}

func (toPartition) Balance(m kafka.Message, _ ...int) int { return m.WriterData.(int) }

func (k KafkaGo) Produce(ctx context.Context, addr string, p Produce) error {
	codec := map[string]kafka.Compression{"gzip": kafka.Gzip, "snappy": kafka.Snappy, "lz4": kafka.Lz4, "zstd": kafka.Zstd}[p.Codec]
	w := &kafka.Writer{Addr: kafka.TCP(addr), Topic: p.Topic, Transport: freshTransport(), Balancer: toPartition{}, RequiredAcks: kafka.RequireAll, Compression: codec,
		BatchTimeout: 5 * time.Millisecond, BatchBytes: 2 << 20, MaxAttempts: 200, WriteBackoffMin: 20 * time.Millisecond, WriteBackoffMax: 200 * time.Millisecond}
	defer w.Close()
	var batch []kafka.Message
	pace := newPace(p.Interval)
	for i, r := range p.Records {
		m := kafka.Message{Key: r.Key, Value: r.Value, WriterData: int(r.Partition)}
		if r.Timestamp != 0 {
			m.Time = time.UnixMilli(r.Timestamp)
		}
		for _, h := range r.Headers {
			m.Headers = append(m.Headers, kafka.Header(h))
		}
		batch = append(batch, m)
		if p.Interval > 0 && len(batch) < 50 && i < len(p.Records)-1 {
			pace.wait(ctx)
			continue
		}
		if p.Interval == 0 && i < len(p.Records)-1 {
			continue
		}
		if err := w.WriteMessages(ctx, batch...); err != nil {
			var each kafka.WriteErrors
			if errors.As(err, &each) {
				for _, e := range each {
					if e != nil {
						return e
					}
				}
			}
			return err
		}
		batch = batch[:0]
	}
	return nil
}

func (k KafkaGo) Consume(ctx context.Context, addr string, q Consume) ([]Record, error) {
	type result struct {
		m   kafka.Message
		err error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan result)
	for _, p := range q.Partitions {
		r := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{addr}, Topic: q.Topic, Partition: int(p), MaxWait: 200 * time.Millisecond, MaxBytes: 8 << 20})
		defer r.Close()
		var err error
		switch q.From {
		case FromStart:
			err = r.SetOffset(kafka.FirstOffset)
		case FromEnd:
			err = r.SetOffset(kafka.LastOffset)
		case FromStamp:
			err = r.SetOffsetAt(ctx, time.UnixMilli(q.Timestamp))
			if err == nil && r.Offset() < 0 {
				err = r.SetOffset(kafka.LastOffset)
			}
		}
		if err != nil {
			return nil, err
		}
		go func() {
			for {
				m, err := r.ReadMessage(ctx)
				select {
				case results <- result{m, err}:
				case <-ctx.Done():
					return
				}
				if err != nil {
					return
				}
			}
		}()
	}
	var got []Record
	for len(got) < q.Count {
		select {
		case one := <-results:
			if one.err != nil {
				return got, one.err
			}
			r := Record{Partition: int32(one.m.Partition), Offset: one.m.Offset, Timestamp: one.m.Time.UnixMilli(), Key: one.m.Key, Value: one.m.Value}
			for _, h := range one.m.Headers {
				r.Headers = append(r.Headers, Header(h))
			}
			got = append(got, r)
		case <-ctx.Done():
			return got, fmt.Errorf("%d of %d records: %w", len(got), q.Count, ctx.Err())
		}
	}
	return got, nil
}
