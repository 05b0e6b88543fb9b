package server_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/testkit"
)

// Four connections go on with one session as if each were alone. Nobody is harmed: each request is accepted or told the wrong epoch.
func TestManyConnectionsOnOneSession(t *testing.T) {
	b := testkit.Start(t, "log.flush=never")
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 3)
	session := sessionFetch(c, 0, 0, fetchTopic("t", 0, 0, 0)).SessionID
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			c := testkit.Dial(t, b.Addr())
			for epoch := int32(1); epoch <= 150; {
				q := kmsg.NewPtrFetchRequest()
				q.Version, q.MaxBytes, q.MinBytes, q.MaxWaitMillis, q.ReplicaID, q.SessionID, q.SessionEpoch = 12, 1<<20, int32(g%2), 1, -1, session, epoch
				rt := fetchTopic("t", int64(g), 0, 0)
				switch epoch % 3 {
				case 0:
					q.Topics = append(q.Topics, rt)
				case 1:
					f := kmsg.NewFetchRequestForgottenTopic()
					f.Topic, f.Partitions = "t", []int32{int32(g % 3)}
					q.ForgottenTopics = append(q.ForgottenTopics, f)
				}
				switch code := kafka.ErrorCode(testkit.Do[*kmsg.FetchResponse](c, q).ErrorCode); code {
				case kafka.None, kafka.InvalidFetchSessionEpoch:
					epoch++
				case kafka.FetchSessionIDNotFound:
					return // every partition was forgotten
				default:
					t.Errorf("epoch %d: %v", epoch, code)
					return
				}
			}
		})
	}
	all.Go(func() {
		c := testkit.Dial(t, b.Addr())
		for range 100 {
			c.Produce(9, 1, "t", 1, testkit.Batch(testkit.Record{Value: "v"}))
		}
	})
	all.Wait()
}

// A name that is quoted back in a message must still fit into the answer.
func TestNamesFullOfNonsenseAreAnswered(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	name := strings.Repeat("\x00\xff", 16000)
	q := kmsg.NewPtrCreateTopicsRequest()
	q.Version, q.TimeoutMillis = 2, 1000
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = name, 1, 1
	q.Topics = append(q.Topics, rt)
	if got := testkit.Do[*kmsg.CreateTopicsResponse](c, q).Topics[0]; got.ErrorCode != int16(kafka.InvalidTopicException) {
		t.Errorf("create: error %d", got.ErrorCode)
	}
	rt.Topic = "ok"
	set := kmsg.NewCreateTopicsRequestTopicConfig()
	set.Name, set.Value = name, &name
	rt.Configs = append(rt.Configs, set)
	q.Topics = []kmsg.CreateTopicsRequestTopic{rt}
	if got := testkit.Do[*kmsg.CreateTopicsResponse](c, q).Topics[0]; got.ErrorCode != int16(kafka.InvalidConfig) {
		t.Errorf("create with a setting: error %d", got.ErrorCode)
	}
	for kind, want := range map[kmsg.ConfigResourceType]kafka.ErrorCode{kmsg.ConfigResourceTypeTopic: kafka.InvalidTopicException, kmsg.ConfigResourceTypeBroker: kafka.InvalidRequest} {
		d := kmsg.NewPtrDescribeConfigsRequest()
		d.Version = 1
		dr := kmsg.NewDescribeConfigsRequestResource()
		dr.ResourceType, dr.ResourceName = kind, name
		d.Resources = append(d.Resources, dr)
		if got := testkit.Do[*kmsg.DescribeConfigsResponse](c, d).Resources[0]; got.ErrorCode != int16(want) {
			t.Errorf("describe: error %d, want %d", got.ErrorCode, want)
		}
		a := kmsg.NewPtrIncrementalAlterConfigsRequest()
		ar := kmsg.NewIncrementalAlterConfigsRequestResource()
		ar.ResourceType, ar.ResourceName = kind, name
		a.Resources = append(a.Resources, ar)
		if got := testkit.Do[*kmsg.IncrementalAlterConfigsResponse](c, a).Resources[0]; got.ErrorCode == 0 {
			t.Error("alter: no error")
		}
	}
}

func setBroker(t *testing.T, c *testkit.Conn, name, value string) {
	t.Helper()
	a := kmsg.NewPtrIncrementalAlterConfigsRequest()
	a.Version = 1
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType = kmsg.ConfigResourceTypeBroker
	s := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	s.Name, s.Value = name, &value
	r.Configs = append(r.Configs, s)
	a.Resources = append(a.Resources, r)
	if got := testkit.Do[*kmsg.IncrementalAlterConfigsResponse](c, a).Resources[0]; got.ErrorCode != 0 {
		t.Fatalf("%s=%s: error %d, %v", name, value, got.ErrorCode, got.ErrorMessage)
	}
}

// Defaults of the broker that change while it runs count at once, for topics there are and topics to come, unless a topic says other; and
// they are still there after a restart.
func TestBrokerDefaultsTakeEffectAtOnce(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("before", 1)
	c.CreateTopic("own", 1, "max.message.bytes", "2000")
	setBroker(t, c, "message.max.bytes", "300")
	c.CreateTopic("after", 1)
	check := func() {
		t.Helper()
		for topic, want := range map[string]kafka.ErrorCode{"before": kafka.MessageTooLarge, "after": kafka.MessageTooLarge, "own": 0} {
			if got := c.Produce(9, -1, topic, 0, testkit.Batch(testkit.Record{Value: strings.Repeat("x", 500)})); got.ErrorCode != int16(want) {
				t.Errorf("%s: error %d, want %d", topic, got.ErrorCode, want)
			}
		}
	}
	check()
	b.Restart()
	c = testkit.Dial(t, b.Addr())
	check()
	setBroker(t, c, "log.message.timestamp.type", "LogAppendTime")
	if got := c.Produce(9, -1, "before", 0, testkit.Batch(testkit.Record{Value: "a"})); got.ErrorCode != 0 || got.LogAppendTime < 0 {
		t.Errorf("LogAppendTime: %+v", got)
	}
	setBroker(t, c, "min.insync.replicas", "3") // more than there are replicas: as many as there are
	if got := c.Produce(9, -1, "before", 0, testkit.Batch(testkit.Record{Value: "a"})); got.ErrorCode != 0 {
		t.Errorf("min.insync.replicas: error %d", got.ErrorCode)
	}
	setBroker(t, c, "compression.type", "lz4")
	c.Produce(9, -1, "before", 0, testkit.Batch(testkit.Record{Value: "a"}))
	if got := c.Fetch("before", 0, 2); got.ErrorCode != 0 || len(got.RecordBatches) < 61 || got.RecordBatches[22]&7 != 3 {
		t.Errorf("compression.type: %+v", got)
	}
}

// A cleaner that rests hears of its new settings, and the next start has them, too.
func TestTheCleanersSettingsTakeEffectAtOnce(t *testing.T) {
	b := testkit.Start(t, "log.cleaner.backoff.ms=3600000")
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1, "cleanup.policy", "compact", "segment.bytes", "1048576", "min.cleanable.dirty.ratio", "0", "max.message.bytes", "2000000")
	fill := func() {
		for range 3 {
			if got := c.Produce(9, -1, "t", 0, testkit.Batch(testkit.Record{Key: "k", Value: strings.Repeat("v", 900<<10)})); got.ErrorCode != 0 {
				t.Fatalf("produce: error %d", got.ErrorCode)
			}
		}
	}
	fill()
	setBroker(t, c, "log.cleaner.backoff.ms", "10")
	b.Logs.Await(t, "log compacted")
	b.Restart()
	b.Logs.Take()
	c = testkit.Dial(t, b.Addr())
	fill()
	b.Logs.Await(t, "log compacted")
}
