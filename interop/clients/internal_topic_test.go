package clients_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/barnabas-mq/barnabas/interop/clients"
	"github.com/barnabas-mq/barnabas/interop/rig"
)

// TestOffsetsTopicIsReadableByOthers: what groups leave in __consumer_offsets is read by Kafka's own formatters and dump tool, and in the way of
// Burrow, which decodes the records itself and knows their older versions only.
func TestOffsetsTopicIsReadableByOthers(t *testing.T) {
	rig.NeedKafkaJars(t)
	b := shared(t)
	topic, group := newTopic("read"), newTopic("readers")
	create(t, t.Context(), b.Addr, topic, 2, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	consumeOnce(t, ctx, b.Addr, topic, group)

	t.Run("kafka-console-consumer with its formatters", func(t *testing.T) {
		read := func(formatter string) string {
			return tool(t, nil, rig.ToolConsoleConsumer, "--bootstrap-server", b.Addr, "--topic", "__consumer_offsets", "--from-beginning", "--timeout-ms", "8000",
				"--formatter", "org.apache.kafka.tools.consumer."+formatter)
		}
		offsets := read("OffsetsMessageFormatter")
		wants(t, offsets, fmt.Sprintf(`"key":\{"type":1,"data":\{"group":"%s","topic":"%s","partition":0\}\},"value":\{"version":[34],"data":\{"offset":2,"leaderEpoch":\d+,"metadata":"[^"]*","commitTimestamp":\d+[,}]`, group, topic))
		wants(t, read("GroupMetadataMessageFormatter"), fmt.Sprintf(`"key":\{"type":2,"data":\{"group":"%s"\}\},"value":\{"version":3,"data":\{"protocolType":"consumer","generation":1,"protocol":"[a-z-]+","leader":"[^"]+","currentStateTimestamp":\d+,"members":\[\{"memberId":"[^"]+"`, group))
		matrix.Tool("kafka-console-consumer with the formatters of __consumer_offsets", clients.Pass)
	})
	t.Run("Burrow's way", func(t *testing.T) {
		if b.Kind == rig.Kafka {
			t.Skip("Apache Kafka 4.3 writes offsets in version 4, with topic ids, which Burrow drops; Barnabas writes version 3")
		}
		seen := readAsBurrow(t, ctx, b.Addr)
		for p := range 2 {
			if got := seen.offsets[fmt.Sprintf("%s %s %d", group, topic, p)]; got != 2 {
				t.Errorf("partition %d: offset %d, want 2", p, got)
			}
		}
		owner := regexp.MustCompile(`^` + group + ` at /127\.0\.0\.1 owns ` + topic + `\[0 1\]$`)
		if !owner.MatchString(strings.Join(seen.owners[group], ",")) {
			t.Errorf("owners: %v", seen.owners[group])
		}
	})
}

// consumeOnce has a member consume and commit two records of each partition, and leaves it to its own end.
func consumeOnce(t *testing.T, ctx context.Context, addr, topic, group string) {
	t.Helper()
	p, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for part := range int32(2) {
		for range 2 {
			if err := p.ProduceSync(ctx, &kgo.Record{Topic: topic, Partition: part, Value: []byte("v")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ClientID(group), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.Balancers(kgo.RangeBalancer()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for n := 0; n < 4; {
		fetches := c.PollFetches(ctx)
		if err := errors.Join(fetches.Err(), ctx.Err()); err != nil {
			t.Fatal(err)
		}
		n += fetches.NumRecords()
	}
	if err := c.CommitUncommittedOffsets(ctx); err != nil {
		t.Fatal(err)
	}
}

// burrow is what its consumer module keeps of the topic.
type burrow struct {
	offsets map[string]int64    // "group topic partition"
	owners  map[string][]string // group -> "client at host owns topic[partitions]"
}

// readAsBurrow reads all of __consumer_offsets and decodes what Burrow decodes: offsets with keys 0 and 1 and values 0, 1 and 3, groups with values 0
// to 3, of protocol type consumer. Anything else it would count as dropped.
func readAsBurrow(t *testing.T, ctx context.Context, addr string) burrow {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics("__consumer_offsets"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ends, err := kadm.NewClient(c).ListEndOffsets(ctx, "__consumer_offsets")
	if err != nil {
		t.Fatal(err)
	}
	left := map[int32]bool{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = true
		}
	})
	out := burrow{map[string]int64{}, map[string][]string{}}
	for len(left) > 0 {
		fetches := c.PollFetches(ctx)
		if err := errors.Join(fetches.Err(), ctx.Err()); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if end, _ := ends.Lookup("__consumer_offsets", r.Partition); r.Offset+1 >= end.Offset {
				delete(left, r.Partition)
			}
			if err := out.take(r.Key, r.Value); err != nil {
				t.Errorf("partition %d, offset %d: dropped: %v", r.Partition, r.Offset, err)
			}
		})
	}
	return out
}

func (b *burrow) take(key, value []byte) error {
	k, v := &burrowReader{bytes.NewReader(key)}, &burrowReader{bytes.NewReader(value)}
	switch kind := k.short(); kind {
	case 0, 1:
		id := fmt.Sprintf("%s %s %d", k.string(), k.string(), k.int())
		if value == nil {
			delete(b.offsets, id)
			return nil
		}
		switch version := v.short(); version {
		case 0, 1, 3:
			b.offsets[id] = v.long()
		default:
			return fmt.Errorf("value version %d", version)
		}
		return nil
	case 2:
		group := k.string()
		if value == nil {
			delete(b.owners, group)
			return nil
		}
		version := v.short()
		if version < 0 || version > 3 {
			return fmt.Errorf("group value version %d", version)
		}
		protocolType := v.string()
		v.int() // generation
		v.string()
		v.string()
		if version >= 2 {
			v.long()
		}
		if protocolType != "consumer" {
			return nil
		}
		members := v.int()
		if members == 0 {
			return nil // Burrow keeps the last owners of a group that nobody is in
		}
		b.owners[group] = nil
		for range members {
			v.string()
			if version >= 3 {
				v.string()
			}
			client, host := v.string(), v.string()
			if version >= 1 {
				v.int()
			}
			v.int()
			v.bytes() // subscription
			a := &burrowReader{bytes.NewReader(v.bytes())}
			if a.Len() == 0 {
				continue
			}
			a.short()
			for range a.int() {
				topic, parts := a.string(), []int32{}
				for range a.int() {
					parts = append(parts, a.int())
				}
				b.owners[group] = append(b.owners[group], fmt.Sprintf("%s at %s owns %s%v", client, host, topic, parts))
			}
		}
		return nil
	default:
		return fmt.Errorf("key of type %d", kind)
	}
}

// burrowReader reads big-endian fields; what is not there is zero, and shows in the result.
type burrowReader struct{ *bytes.Reader }

func (r *burrowReader) read(v any) { _ = binary.Read(r, binary.BigEndian, v) }
func (r *burrowReader) short() (n int16) {
	r.read(&n)
	return n
}
func (r *burrowReader) int() (n int32) {
	r.read(&n)
	return n
}
func (r *burrowReader) long() (n int64) {
	r.read(&n)
	return n
}
func (r *burrowReader) string() string {
	n := r.short()
	if n <= 0 {
		return ""
	}
	b := make([]byte, n)
	r.read(b)
	return string(b)
}
func (r *burrowReader) bytes() []byte {
	n := r.int()
	if n <= 0 || int(n) > r.Len() {
		return nil
	}
	b := make([]byte, n)
	r.read(b)
	return b
}
