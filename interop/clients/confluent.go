//go:build cgo

package clients

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

func withCgo() []Client { return []Client{Confluent{}} }

// Confluent is confluent-kafka-go with the librdkafka it carries.
type Confluent struct{}

func (Confluent) Name() string { return "confluent-kafka-go" }

func (Confluent) Version(context.Context) (string, error) {
	v, err := moduleVersion("github.com/confluentinc/confluent-kafka-go/v2")
	_, lib := kafka.LibraryVersion()
	return v + ", librdkafka " + lib, err
}

func (Confluent) Lacks(Feature) string { return "" }

func (Confluent) admin(addr string) (*kafka.AdminClient, error) {
	return kafka.NewAdminClient(&kafka.ConfigMap{"bootstrap.servers": addr, "client.id": "interop"})
}

func (c Confluent) CreateTopic(ctx context.Context, addr, topic string, partitions int, configs map[string]string) error {
	a, err := c.admin(addr)
	if err != nil {
		return err
	}
	defer a.Close()
	results, err := a.CreateTopics(ctx, []kafka.TopicSpecification{{Topic: topic, NumPartitions: partitions, ReplicationFactor: 1, Config: configs}})
	for _, r := range results {
		if r.Error.Code() != kafka.ErrNoError {
			err = errors.Join(err, r.Error)
		}
	}
	return err
}

func (c Confluent) Describe(ctx context.Context, addr, topic string) (Description, error) {
	d := Description{Configs: map[string]string{}}
	a, err := c.admin(addr)
	if err != nil {
		return d, err
	}
	defer a.Close()
	meta, err := a.GetMetadata(nil, true, 10000)
	if err != nil {
		return d, err
	}
	for name, t := range meta.Topics {
		d.Topics = append(d.Topics, name)
		if name == topic {
			d.Partitions = len(t.Partitions)
		}
	}
	results, err := a.DescribeConfigs(ctx, []kafka.ConfigResource{{Type: kafka.ResourceTopic, Name: topic}})
	for _, r := range results {
		if r.Error.Code() != kafka.ErrNoError {
			return d, r.Error
		}
		for name, entry := range r.Config {
			d.Configs[name] = entry.Value
		}
	}
	return d, err
}

func (c Confluent) AlterConfig(ctx context.Context, addr, topic, name, value string) error {
	a, err := c.admin(addr)
	if err != nil {
		return err
	}
	defer a.Close()
	results, err := a.IncrementalAlterConfigs(ctx, []kafka.ConfigResource{{Type: kafka.ResourceTopic, Name: topic,
		Config: []kafka.ConfigEntry{{Name: name, Value: value, IncrementalOperation: kafka.AlterConfigOpTypeSet}}}})
	for _, r := range results {
		if r.Error.Code() != kafka.ErrNoError {
			err = errors.Join(err, r.Error)
		}
	}
	return err
}

func (c Confluent) Produce(ctx context.Context, addr string, p Produce) error {
	producer, err := kafka.NewProducer(&kafka.ConfigMap{"bootstrap.servers": addr, "client.id": "interop", "acks": "all", "compression.type": p.Codec,
		"enable.idempotence": p.Idempotent, "message.max.bytes": 2 << 20, "linger.ms": 5, "message.timeout.ms": 60000,
		"max.in.flight.requests.per.connection": map[bool]int{true: 5, false: 1}[p.Idempotent]})
	if err != nil {
		return err
	}
	defer producer.Close()
	errs := make(chan error, len(p.Records))
	events := make(chan kafka.Event, len(p.Records))
	go func() {
		for range p.Records {
			m, ok := (<-events).(*kafka.Message)
			if !ok {
				continue
			}
			errs <- m.TopicPartition.Error
		}
	}()
	pace := newPace(p.Interval)
	for _, r := range p.Records {
		pace.wait(ctx)
		m := &kafka.Message{TopicPartition: kafka.TopicPartition{Topic: &p.Topic, Partition: r.Partition}, Key: r.Key, Value: r.Value}
		if r.Timestamp != 0 {
			m.Timestamp = time.UnixMilli(r.Timestamp)
		}
		for _, h := range r.Headers {
			m.Headers = append(m.Headers, kafka.Header(h))
		}
		if err := producer.Produce(m, events); err != nil {
			return err
		}
	}
	return firstOf(ctx, errs, len(p.Records))
}

func (c Confluent) Consume(ctx context.Context, addr string, q Consume) ([]Record, error) {
	consumer, err := kafka.NewConsumer(&kafka.ConfigMap{"bootstrap.servers": addr, "client.id": "interop", "group.id": "unused", "enable.auto.commit": false,
		"auto.offset.reset": "error", "fetch.wait.max.ms": 100})
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	var parts []kafka.TopicPartition
	for _, p := range q.Partitions {
		tp := kafka.TopicPartition{Topic: &q.Topic, Partition: p}
		switch q.From {
		case FromStart:
			tp.Offset = kafka.OffsetBeginning
		case FromEnd:
			tp.Offset = kafka.OffsetEnd
		case FromStamp:
			tp.Offset = kafka.Offset(q.Timestamp)
		}
		parts = append(parts, tp)
	}
	if q.From == FromStamp {
		if parts, err = consumer.OffsetsForTimes(parts, 10000); err != nil {
			return nil, err
		}
	}
	if err := consumer.Assign(parts); err != nil {
		return nil, err
	}
	var got []Record
	for len(got) < q.Count {
		if err := ctx.Err(); err != nil {
			return got, fmt.Errorf("%d of %d records: %w", len(got), q.Count, err)
		}
		switch e := consumer.Poll(100).(type) {
		case *kafka.Message:
			if e.TopicPartition.Error != nil {
				return got, e.TopicPartition.Error
			}
			r := Record{Partition: e.TopicPartition.Partition, Offset: int64(e.TopicPartition.Offset), Timestamp: e.Timestamp.UnixMilli(), Key: e.Key, Value: e.Value}
			for _, h := range e.Headers {
				r.Headers = append(r.Headers, Header(h))
			}
			got = append(got, r)
		case kafka.Error:
			// Without a coordinator librdkafka reports that it finds none; reading assigned partitions needs none.
			if e.IsFatal() {
				return got, e
			}
		}
	}
	return got, nil
}
