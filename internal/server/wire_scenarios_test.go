package server_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/barnabastest"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/testkit"
	"github.com/barnabas-mq/barnabas/internal/wire"
)

// The acceptance scenarios of the wire, by the numbers of the reference's checklist.

func apiVersions(version int16) *kmsg.ApiVersionsRequest {
	q := kmsg.NewPtrApiVersionsRequest()
	q.Version, q.ClientSoftwareName, q.ClientSoftwareVersion = version, "test", "1.0"
	return q
}

func TestScenario01ApiVersionsNewerThanOursIsAnsweredInTheOldestFormat(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.SendBytes([]byte{0, 0, 0, 10, 0, 18, 0, 99, 0, 0, 0, 7, 0, 0})
	id, rest, err := c.Receive()
	if err != nil || id != 7 {
		t.Fatalf("answer %d, %v", id, err)
	}
	resp := kmsg.NewPtrApiVersionsResponse()
	if err := resp.ReadFrom(rest); err != nil {
		t.Fatal(err)
	}
	if resp.ErrorCode != int16(kafka.UnsupportedVersion) || len(resp.ApiKeys) == 0 || resp.ApiKeys[0].ApiKey != 18 || resp.ApiKeys[0].MaxVersion < 3 {
		t.Fatalf("got %+v", resp)
	}
	again := testkit.Do[*kmsg.ApiVersionsResponse](c, apiVersions(3))
	if again.ErrorCode != 0 || len(again.ApiKeys) != len(wire.Versions()) {
		t.Fatalf("the same connection at v3: %+v", again)
	}
}

func TestScenario02ClientSoftwareNameIsChecked(t *testing.T) {
	b := testkit.Start(t)
	for name, want := range map[string]kafka.ErrorCode{"bad name!": kafka.InvalidRequest, "": kafka.InvalidRequest, "-x": kafka.InvalidRequest, "apache-kafka-java": kafka.None, "a": kafka.None} {
		c := testkit.Dial(t, b.Addr())
		q := apiVersions(3)
		q.ClientSoftwareName = name
		if got := testkit.Do[*kmsg.ApiVersionsResponse](c, q).ErrorCode; got != int16(want) {
			t.Errorf("software name %q: error %d, want %d", name, got, want)
		}
	}
}

func TestScenario03ImpossibleSizesCloseTheConnectionAndCostNothing(t *testing.T) {
	b := testkit.Start(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, prefix := range [][]byte{{255, 255, 255, 255}, {0x7f, 255, 255, 255}, []byte("GET / HTTP/1.1\r\n\r\n"), {0x16, 3, 1, 2, 0, 1, 0, 1}, {0, 0, 0, 0}, {0, 0, 0, 3, 1, 2, 3}} {
		c := testkit.Dial(t, b.Addr())
		c.SendBytes(prefix)
		c.MustClose()
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
		t.Errorf("%d bytes were allocated for nothing", grown)
	}
	serves(t, b)
}

func serves(t *testing.T, b *testkit.Broker) {
	t.Helper()
	if got := testkit.Do[*kmsg.ApiVersionsResponse](testkit.Dial(t, b.Addr()), apiVersions(3)); got.ErrorCode != 0 {
		t.Errorf("the broker answers error %d", got.ErrorCode)
	}
}

func TestScenario04UnknownKeysAndVersionsCloseTheConnectionOnly(t *testing.T) {
	b := testkit.Start(t)
	good := testkit.Dial(t, b.Addr())
	for _, head := range [][]byte{{3, 231, 0, 0}, {0, 1, 0, 99}, {0, 0, 0, 2}, {255, 255, 0, 0}, {0, 11, 0, 0}} {
		c := testkit.Dial(t, b.Addr())
		c.SendBytes(append(append([]byte{0, 0, 0, 10}, head...), 0, 0, 0, 1, 0, 0))
		c.MustClose()
	}
	if got := testkit.Do[*kmsg.ApiVersionsResponse](good, apiVersions(4)); got.ErrorCode != 0 {
		t.Errorf("another connection got error %d", got.ErrorCode)
	}
}

func TestScenario05PipelinedProducesAreAnsweredInOrder(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("orders", 1)
	var all []byte
	for i := range int32(5) {
		all = append(all, testkit.Frame(testkit.ProduceRequest(9, -1, "orders", 0, testkit.Batch(testkit.Record{Value: fmt.Sprint(i)})), 100+i, "p")...)
	}
	all = append(all, testkit.Frame(apiVersions(3), 200, "p")...)
	c.SendBytes(all)
	for i := range int32(5) {
		id, rest, err := c.Receive()
		if err != nil || id != 100+i {
			t.Fatalf("answer %d, %v; want %d", id, err, 100+i)
		}
		p := c.Decode(testkit.ProduceRequest(9, -1, "orders", 0, nil), rest).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
		if p.ErrorCode != 0 || p.BaseOffset != int64(i) {
			t.Fatalf("request %d: %+v", i, p)
		}
	}
	if id, _, err := c.Receive(); err != nil || id != 200 {
		t.Fatalf("answer %d, %v; want 200", id, err)
	}
}

func TestScenario06IdleConnectionsAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := barnabastest.Start(t, barnabastest.InMemory(), barnabastest.With("connections.max.idle.ms", "60000"))
		idle, busy := dial(t, b), dial(t, b)
		cut := make(chan time.Duration, 1)
		go func() { cut <- closedAfter(t, idle) }()
		for range 30 { // three minutes
			time.Sleep(6 * time.Second)
			ping(busy)
		}
		between(t, "the idle connection was closed", <-cut, time.Minute, 70*time.Second)
	})
}

func TestScenario07AcksZeroToAnUnknownPartitionClosesWithoutAnAnswer(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("orders", 1)
	c.Send(testkit.ProduceRequest(9, 0, "orders", 0, testkit.Batch(testkit.Record{Value: "a"})))
	c.Do(apiVersions(3)) // the good one got no answer of its own
	c.Send(testkit.ProduceRequest(9, 0, "orders", 7, testkit.Batch(testkit.Record{Value: "b"})))
	c.MustClose()
	q := testkit.FetchRequest(12, "orders", 0, 0)
	q.MaxWaitMillis = 10_000 // it becomes visible with the next flush
	if got := testkit.Do[*kmsg.FetchResponse](testkit.Dial(t, b.Addr()), q).Topics[0].Partitions[0]; got.HighWatermark != 1 {
		t.Errorf("high watermark %d, want 1", got.HighWatermark)
	}
}

func TestScenario08UnknownTaggedFieldsChangeNothing(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("orders", 1)
	ask := func(tag bool) []byte {
		q := kmsg.NewPtrMetadataRequest()
		q.Version = 12
		rt := kmsg.NewMetadataRequestTopic()
		rt.Topic = kmsg.StringPtr("orders")
		if tag {
			q.UnknownTags.Set(77, []byte("x"))
			rt.UnknownTags.Set(9, []byte("yz"))
		}
		q.Topics = append(q.Topics, rt)
		c.Send(q)
		_, rest, err := c.Receive()
		if err != nil {
			t.Fatal(err)
		}
		return rest
	}
	if plain, tagged := ask(false), ask(true); !bytes.Equal(plain, tagged) {
		t.Errorf("answers differ:\n% x\n% x", plain, tagged)
	}
	produce := testkit.ProduceRequest(9, 1, "orders", 0, testkit.Batch(testkit.Record{Value: "a"}))
	produce.UnknownTags.Set(50, []byte("q"))
	produce.Topics[0].Partitions[0].UnknownTags.Set(3, []byte("r"))
	if got := testkit.Do[*kmsg.ProduceResponse](c, produce).Topics[0].Partitions[0]; got.ErrorCode != 0 {
		t.Errorf("produce with unknown tags: error %d", got.ErrorCode)
	}
}

func TestScenario10DeletedAndRecreatedTopicHasAnotherID(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	old := c.CreateTopic("orders", 1)
	c.Produce(9, -1, "orders", 0, testkit.Batch(testkit.Record{Value: "old"}))
	del := kmsg.NewPtrDeleteTopicsRequest()
	del.Version, del.TimeoutMillis = 6, 10_000
	dt := kmsg.NewDeleteTopicsRequestTopic()
	dt.TopicID = old.TopicID
	del.Topics = append(del.Topics, dt)
	if got := testkit.Do[*kmsg.DeleteTopicsResponse](c, del).Topics[0]; got.ErrorCode != 0 || *got.Topic != "orders" {
		t.Fatalf("delete: %+v", got)
	}
	again := c.CreateTopic("orders", 1)
	if again.TopicID == old.TopicID {
		t.Fatal("the new topic has the old id")
	}
	fetch := func(id [16]byte) kmsg.FetchResponseTopicPartition {
		q := testkit.FetchRequest(13, "", 0, 0)
		q.Topics[0].TopicID = id
		return testkit.Do[*kmsg.FetchResponse](c, q).Topics[0].Partitions[0]
	}
	if got := fetch(old.TopicID); got.ErrorCode != int16(kafka.UnknownTopicID) {
		t.Errorf("the old id: error %d", got.ErrorCode)
	}
	if got := fetch(again.TopicID); got.ErrorCode != 0 || got.HighWatermark != 0 || len(got.RecordBatches) != 0 {
		t.Errorf("the new id: %+v", got)
	}
}

func TestSlowReaderDoesNotBlockOthers(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("big", 1)
	value := string(bytes.Repeat([]byte("v"), 900<<10))
	for range 20 {
		if got := c.Produce(9, -1, "big", 0, testkit.Batch(testkit.Record{Value: value})); got.ErrorCode != 0 {
			t.Fatalf("produce: error %d", got.ErrorCode)
		}
	}
	slow := testkit.Dial(t, b.Addr())
	q := testkit.FetchRequest(12, "big", 0, 0)
	q.Topics[0].Partitions[0].PartitionMaxBytes = 50 << 20
	for range 20 {
		slow.Send(q) // and never reads an answer
	}
	if got := c.Fetch("big", 0, 0); len(got.RecordBatches) == 0 {
		t.Error("another reader got nothing")
	}
}

func TestTornRequestsAndGarbageHurtNobody(t *testing.T) {
	b := testkit.Start(t)
	frame := testkit.Frame(apiVersions(3), 1, "x")
	for cut := 1; cut < len(frame); cut++ {
		c := testkit.Dial(t, b.Addr())
		c.SendBytes(frame[:cut])
		c.Conn.(*net.TCPConn).CloseWrite()
		c.MustClose()
	}
	// Every key and version with a body that makes no sense: an answer or a closed connection, never silence.
	for _, v := range wire.Versions() {
		for version := v.Min; version <= v.Max; version++ {
			for _, body := range [][]byte{nil, bytes.Repeat([]byte{255}, 40), bytes.Repeat([]byte{0x7f}, 40), bytes.Repeat([]byte{0}, 40)} {
				c := testkit.Dial(t, b.Addr())
				msg := binary.BigEndian.AppendUint16(nil, uint16(v.Key))
				msg = binary.BigEndian.AppendUint16(msg, uint16(version))
				msg = append(msg, 0, 0, 0, 1, 0, 1, 'x', 0)
				msg = append(msg, body...)
				c.SendBytes(append(binary.BigEndian.AppendUint32(nil, uint32(len(msg))), msg...))
				c.Conn.(*net.TCPConn).CloseWrite()
				c.SetDeadline(time.Now().Add(20 * time.Second))
				buf := make([]byte, 1<<20)
				for {
					if _, err := c.Read(buf); err != nil {
						if ne, ok := err.(net.Error); ok && ne.Timeout() {
							t.Fatalf("%s v%d: neither answered nor closed", wire.KeyName(v.Key), version)
						}
						break
					}
				}
			}
		}
	}
	serves(t, b)
}
