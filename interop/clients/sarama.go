package clients

import (
	"context"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

// Sarama is github.com/IBM/sarama, at the protocol level it takes by default or at the newest it knows.
type Sarama struct{ Newest bool }

func (s Sarama) Name() string {
	if s.Newest {
		return "sarama (Version: MaxVersion)"
	}
	return "sarama"
}

func (Sarama) Version(context.Context) (string, error) { return moduleVersion("github.com/IBM/sarama") }

func (Sarama) Lacks(Feature) string { return "" }

func (s Sarama) config() *sarama.Config {
	c := sarama.NewConfig()
	c.ClientID = "interop"
	if s.Newest {
		c.Version = sarama.MaxVersion
	}
	return c
}

func (s Sarama) CreateTopic(_ context.Context, addr, topic string, partitions int, configs map[string]string) error {
	a, err := sarama.NewClusterAdmin([]string{addr}, s.config())
	if err != nil {
		return err
	}
	defer a.Close()
	values := map[string]*string{}
	for k, v := range configs {
		values[k] = &v
	}
	return a.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: int32(partitions), ReplicationFactor: 1, ConfigEntries: values}, false)
}

func (s Sarama) Describe(_ context.Context, addr, topic string) (Description, error) {
	a, err := sarama.NewClusterAdmin([]string{addr}, s.config())
	if err != nil {
		return Description{}, err
	}
	defer a.Close()
	all, err := a.ListTopics()
	if err != nil {
		return Description{}, err
	}
	d := Description{Configs: map[string]string{}}
	for name := range all {
		d.Topics = append(d.Topics, name)
	}
	meta, err := a.DescribeTopics([]string{topic})
	if err != nil {
		return d, err
	}
	d.Partitions = len(meta[0].Partitions)
	entries, err := a.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic})
	for _, e := range entries {
		d.Configs[e.Name] = e.Value
	}
	return d, err
}

func (s Sarama) AlterConfig(_ context.Context, addr, topic, name, value string) error {
	a, err := sarama.NewClusterAdmin([]string{addr}, s.config())
	if err != nil {
		return err
	}
	defer a.Close()
	return a.IncrementalAlterConfig(sarama.TopicResource, topic,
		map[string]sarama.IncrementalAlterConfigsEntry{name: {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value}}, false)
}

func (s Sarama) Produce(ctx context.Context, addr string, p Produce) error {
	c := s.config()
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Return.Successes = true
	c.Producer.MaxMessageBytes = 2 << 20
	c.Producer.Retry.Max = 1000
	c.Producer.Retry.Backoff = 50 * time.Millisecond
	c.Metadata.Retry.Max = 100
	c.Net.MaxOpenRequests = 1 // what sarama demands for idempotence and advises for order
	c.Producer.Idempotent = p.Idempotent
	if err := c.Producer.Compression.UnmarshalText([]byte(p.Codec)); err != nil {
		return err
	}
	producer, err := sarama.NewAsyncProducer([]string{addr}, c)
	if err != nil {
		return err
	}
	defer producer.AsyncClose()
	errs := make(chan error, len(p.Records))
	go func() {
		for range producer.Successes() {
			errs <- nil
		}
	}()
	go func() {
		for e := range producer.Errors() {
			errs <- e.Err
		}
	}()
	pace := newPace(p.Interval)
	for _, r := range p.Records {
		pace.wait(ctx)
		m := &sarama.ProducerMessage{Topic: p.Topic, Partition: r.Partition}
		if r.Key != nil {
			m.Key = sarama.ByteEncoder(r.Key)
		}
		if r.Value != nil {
			m.Value = sarama.ByteEncoder(r.Value)
		}
		if r.Timestamp != 0 {
			m.Timestamp = time.UnixMilli(r.Timestamp)
		}
		for _, h := range r.Headers {
			m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(h.Key), Value: h.Value})
		}
		select {
		case producer.Input() <- m:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return firstOf(ctx, errs, len(p.Records))
}

func (s Sarama) Consume(ctx context.Context, addr string, q Consume) ([]Record, error) {
	c := s.config()
	c.Consumer.Return.Errors = true
	client, err := sarama.NewClient([]string{addr}, c)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	// Closing a partition's consumer drains its channel of messages: whoever still sends into ours must be able to stop.
	stop := make(chan struct{})
	messages := make(chan *sarama.ConsumerMessage)
	var parts []sarama.PartitionConsumer
	defer func() {
		close(stop)
		for _, pc := range parts {
			pc.AsyncClose()
			for range pc.Errors() {
			}
		}
	}()
	for _, p := range q.Partitions {
		from := sarama.OffsetOldest
		switch q.From {
		case FromEnd:
			from = sarama.OffsetNewest
		case FromStamp:
			if from, err = client.GetOffset(q.Topic, p, q.Timestamp); err != nil {
				return nil, err
			}
			if from < 0 { // nothing that late: from the end
				from = sarama.OffsetNewest
			}
		}
		pc, err := consumer.ConsumePartition(q.Topic, p, from)
		if err != nil {
			return nil, err
		}
		parts = append(parts, pc)
		go func() {
			for m := range pc.Messages() {
				select {
				case messages <- m:
				case <-stop:
				}
			}
		}()
	}
	var got []Record
	for len(got) < q.Count {
		select {
		case m := <-messages:
			r := Record{Partition: m.Partition, Offset: m.Offset, Timestamp: m.Timestamp.UnixMilli(), Key: m.Key, Value: m.Value}
			for _, h := range m.Headers {
				r.Headers = append(r.Headers, Header{Key: string(h.Key), Value: h.Value})
			}
			got = append(got, r)
		case <-ctx.Done():
			return got, fmt.Errorf("%d of %d records: %w", len(got), q.Count, ctx.Err())
		}
	}
	return got, nil
}
