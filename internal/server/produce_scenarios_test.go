package server_test

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/testkit"
)

func latest(c *testkit.Conn, topic string) int64 { return listOffset(c, 7, topic, -1).Offset }

func TestScenario21FlippedByteIsRefused(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1)
	good := testkit.Batch(testkit.Record{Key: "k", Value: "value"})
	for _, at := range []int{17, 21, 30, 60, len(good) - 1} {
		bad := append([]byte(nil), good...)
		bad[at] ^= 1
		if got := c.Produce(9, -1, "t", 0, bad); got.ErrorCode != int16(kafka.CorruptMessage) {
			t.Errorf("byte %d flipped: error %d", at, got.ErrorCode)
		}
	}
	if end := latest(c, "t"); end != 0 {
		t.Errorf("log end is %d, want 0", end)
	}
}

func TestScenario22CountsAndControlBitAreChecked(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1)
	change := func(f func([]byte)) []byte {
		bad := append([]byte(nil), testkit.Batch(testkit.Record{Value: "a"}, testkit.Record{Value: "b"})...)
		f(bad)
		return testkit.Seal(bad)
	}
	for name, bad := range map[string][]byte{
		"a last offset delta that is not the count": change(func(b []byte) { binary.BigEndian.PutUint32(b[23:], 3) }),
		"the control bit": change(func(b []byte) { b[22] |= 0x20 }),
		"a count of zero": change(func(b []byte) { binary.BigEndian.PutUint32(b[57:], 0); binary.BigEndian.PutUint32(b[23:], ^uint32(0)) }),
		"a base offset":   change(func(b []byte) { b[7] = 1 }),
	} {
		if got := c.Produce(9, -1, "t", 0, bad); got.ErrorCode != int16(kafka.InvalidRecord) {
			t.Errorf("%s: error %d, want 87", name, got.ErrorCode)
		}
	}
	if got := c.Produce(9, -1, "t", 0, nil); got.ErrorCode != int16(kafka.InvalidRecord) {
		t.Errorf("null records: error %d", got.ErrorCode)
	}
	two := append(testkit.Batch(testkit.Record{Value: "a"}), testkit.Batch(testkit.Record{Value: "b"})...)
	if got := c.Produce(9, -1, "t", 0, two); got.ErrorCode != int16(kafka.InvalidRecord) {
		t.Errorf("two batches: error %d", got.ErrorCode)
	}
	if end := latest(c, "t"); end != 0 {
		t.Errorf("log end is %d, want 0", end)
	}
}

func TestScenario23ZstdNeedsProduce7(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1)
	z := compressed(batch.Zstd, "hello hello hello hello hello")
	if got := c.Produce(6, -1, "t", 0, z); got.ErrorCode != int16(kafka.UnsupportedCompressionType) {
		t.Errorf("v6: error %d", got.ErrorCode)
	}
	if got := c.Produce(7, -1, "t", 0, z); got.ErrorCode != 0 {
		t.Errorf("v7: error %d", got.ErrorCode)
	}
}

func TestScenario24KeylessRecordOnACompactedTopicIsNamed(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1, "cleanup.policy", "compact")
	got := c.Produce(9, -1, "t", 0, testkit.Batch(testkit.Record{Key: "k", Value: "a"}, testkit.Record{Value: "no key"}))
	if got.ErrorCode != int16(kafka.InvalidRecord) || len(got.ErrorRecords) != 1 || got.ErrorRecords[0].RelativeOffset != 1 {
		t.Errorf("got %+v", got)
	}
	if end := latest(c, "t"); end != 0 {
		t.Errorf("log end is %d, want 0", end)
	}
}

func TestScenario25TimestampsAreBounded(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("create", 1)
	c.CreateTopic("append", 1, "message.timestamp.type", "LogAppendTime")
	ahead := append([]byte(nil), testkit.Batch(testkit.Record{Value: "a"})...)
	ts := uint64(time.Now().Add(2 * time.Hour).UnixMilli())
	binary.BigEndian.PutUint64(ahead[27:], ts)
	binary.BigEndian.PutUint64(ahead[35:], ts)
	testkit.Seal(ahead)
	got := c.Produce(9, -1, "create", 0, ahead)
	if got.ErrorCode != int16(kafka.InvalidTimestamp) || len(got.ErrorRecords) != 1 {
		t.Errorf("CreateTime: %+v", got)
	}
	before := time.Now().UnixMilli()
	got = c.Produce(9, -1, "append", 0, ahead)
	if got.ErrorCode != 0 || got.LogAppendTime < before || got.LogAppendTime > time.Now().UnixMilli() {
		t.Errorf("LogAppendTime: %+v", got)
	}
	read, _, err := batch.Next(c.Fetch("append", 0, 0).RecordBatches)
	if err != nil || !read.LogAppendTime() || read.MaxTimestamp() != got.LogAppendTime || !read.ValidCRC() {
		t.Errorf("read back: %v, %v", read, err)
	}
}

func newProducer(t *testing.T, c *testkit.Conn) int64 {
	t.Helper()
	q := kmsg.NewPtrInitProducerIDRequest()
	q.Version, q.TransactionTimeoutMillis, q.ProducerID, q.ProducerEpoch = 4, 60_000, -1, -1
	got := testkit.Do[*kmsg.InitProducerIDResponse](c, q)
	if got.ErrorCode != 0 || got.ProducerEpoch != 0 || got.ProducerID < 0 {
		t.Fatalf("producer id: %+v", got)
	}
	return got.ProducerID
}

func TestScenario26RetriedIdempotentBatchIsNotAppendedTwice(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1)
	id := newProducer(t, c)
	produced(t, c, "t", 0, "noise")
	again := testkit.IdempotentBatch(id, 0, 0, testkit.Record{Value: "a"}, testkit.Record{Value: "b"})
	for range 3 {
		if got := c.Produce(9, -1, "t", 0, append([]byte(nil), again...)); got.ErrorCode != 0 || got.BaseOffset != 1 {
			t.Fatalf("got %+v", got)
		}
	}
	b.Restart()
	c = testkit.Dial(t, b.Addr())
	if got := c.Produce(9, -1, "t", 0, append([]byte(nil), again...)); got.ErrorCode != 0 || got.BaseOffset != 1 {
		t.Errorf("after a restart: %+v", got)
	}
	if end := latest(c, "t"); end != 3 {
		t.Errorf("log end is %d, want 3", end)
	}
	if fresh := newProducer(t, c); fresh == id {
		t.Errorf("producer id %d was handed out twice", id)
	}
}

func TestScenario27SequencesAndEpochs(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1)
	id := newProducer(t, c)
	step := func(what string, epoch int16, seq int32, want kafka.ErrorCode) {
		t.Helper()
		if got := c.Produce(9, -1, "t", 0, testkit.IdempotentBatch(id, epoch, seq, testkit.Record{Value: "x"})); got.ErrorCode != int16(want) {
			t.Errorf("%s: error %d, want %d", what, got.ErrorCode, want)
		}
	}
	step("the first batch", 1, 0, 0)
	step("the next one", 1, 1, 0)
	step("a jump by one", 1, 3, kafka.OutOfOrderSequenceNumber)
	step("a lower epoch", 0, 2, kafka.InvalidProducerEpoch)
	step("a higher epoch in the middle", 2, 5, kafka.OutOfOrderSequenceNumber)
	step("a higher epoch from its start", 2, 0, 0)
}

func TestScenario28SequencesWrap(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1)
	id := newProducer(t, c)
	for _, seq := range []int32{math.MaxInt32 - 1, math.MaxInt32, 0, 1} {
		if got := c.Produce(9, -1, "t", 0, testkit.IdempotentBatch(id, 0, seq, testkit.Record{Value: "x"})); got.ErrorCode != 0 {
			t.Fatalf("sequence %d: error %d", seq, got.ErrorCode)
		}
	}
	if end := latest(c, "t"); end != 4 {
		t.Errorf("log end is %d, want 4", end)
	}
}

func TestScenario29OldDuplicateBeyondTheWindowIsRefused(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1)
	id := newProducer(t, c)
	for seq := range int32(6) {
		c.Produce(9, -1, "t", 0, testkit.IdempotentBatch(id, 0, seq, testkit.Record{Value: "x"}))
	}
	if got := c.Produce(9, -1, "t", 0, testkit.IdempotentBatch(id, 0, 0, testkit.Record{Value: "x"})); got.ErrorCode != int16(kafka.OutOfOrderSequenceNumber) {
		t.Errorf("the sixth-last batch: error %d", got.ErrorCode)
	}
	if got := c.Produce(9, -1, "t", 0, testkit.IdempotentBatch(id, 0, 1, testkit.Record{Value: "x"})); got.ErrorCode != 0 || got.BaseOffset != 1 {
		t.Errorf("the fifth-last batch: %+v", got)
	}
	if end := latest(c, "t"); end != 6 {
		t.Errorf("log end is %d, want 6", end)
	}
}

func TestTransactionsAreRefusedInWords(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1)
	q := testkit.ProduceRequest(9, -1, "t", 0, testkit.Batch(testkit.Record{Value: "a"}))
	q.TransactionID = kmsg.StringPtr("tx")
	got := testkit.Do[*kmsg.ProduceResponse](c, q).Topics[0].Partitions[0]
	if code := kafka.ErrorCode(got.ErrorCode); code == kafka.None || code.Retriable() || got.ErrorMessage == nil {
		t.Errorf("transactional produce: %+v", got)
	}
	f := kmsg.NewPtrFindCoordinatorRequest()
	f.Version, f.CoordinatorType, f.CoordinatorKeys = 5, 1, []string{"tx"}
	co := testkit.Do[*kmsg.FindCoordinatorResponse](c, f).Coordinators[0]
	if code := kafka.ErrorCode(co.ErrorCode); code == kafka.None || code.Retriable() || co.ErrorMessage == nil {
		t.Errorf("transaction coordinator: %+v", co)
	}
}

func TestWrongAcksAndUnknownPartitions(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1)
	one := testkit.Batch(testkit.Record{Value: "a"})
	if got := c.Produce(9, 2, "t", 0, one); got.ErrorCode != int16(kafka.InvalidRequiredAcks) {
		t.Errorf("acks=2: error %d", got.ErrorCode)
	}
	if got := c.Produce(9, -1, "t", 1, one); got.ErrorCode != int16(kafka.UnknownTopicOrPartition) {
		t.Errorf("partition 1: error %d", got.ErrorCode)
	}
	if got := c.Produce(9, -1, kafka.OffsetsTopic, 0, one); got.ErrorCode != int16(kafka.UnknownTopicOrPartition) {
		t.Errorf("internal topic that is not there: error %d", got.ErrorCode)
	}
	c.CreateTopic(kafka.OffsetsTopic, 1)
	if got := c.Produce(9, -1, kafka.OffsetsTopic, 0, one); got.ErrorCode != int16(kafka.InvalidTopicException) {
		t.Errorf("internal topic: error %d", got.ErrorCode)
	}
	cut := kmsg.NewPtrDeleteRecordsRequest()
	cut.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: kafka.OffsetsTopic, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Partition: 0}, {Partition: 9}}}}
	for i, want := range []kafka.ErrorCode{kafka.InvalidTopicException, kafka.UnknownTopicOrPartition} {
		if got := testkit.Do[*kmsg.DeleteRecordsResponse](c, cut).Topics[0].Partitions[i]; got.ErrorCode != int16(want) {
			t.Errorf("deleting from an internal topic: %+v, want %v", got, want)
		}
	}
}

// compressed builds a batch of one record with a codec.
func compressed(codec batch.Codec, value string) []byte {
	bb := batch.NewBuilder(batch.NewCodecs(batch.Limits{}))
	bb.Reset(batch.Options{Codec: codec})
	if err := bb.Append(time.Now().UnixMilli(), nil, []byte(value), nil); err != nil {
		panic(err)
	}
	b, err := bb.Build()
	if err != nil {
		panic(err)
	}
	return b
}
