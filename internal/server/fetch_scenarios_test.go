package server_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/testkit"
)

func produced(t *testing.T, c *testkit.Conn, topic string, part int32, values ...string) {
	t.Helper()
	for _, v := range values {
		if got := c.Produce(9, -1, topic, part, testkit.Batch(testkit.Record{Value: v})); got.ErrorCode != 0 {
			t.Fatalf("produce: error %d", got.ErrorCode)
		}
	}
}

func TestScenario11FirstBatchComesWholeHoweverSmallTheLimits(t *testing.T) {
	b := testkit.Start(t, "message.max.bytes=6000000")
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("big", 2)
	big := testkit.Batch(testkit.Record{Value: string(bytes.Repeat([]byte("x"), 5<<20))})
	for part := range int32(2) {
		if got := c.Produce(9, -1, "big", part, big); got.ErrorCode != 0 {
			t.Fatalf("produce: error %d", got.ErrorCode)
		}
	}
	q := testkit.FetchRequest(12, "big", 0, 0)
	q.MaxBytes = 1 << 10
	q.Topics[0].Partitions[0].PartitionMaxBytes = 1 << 10
	second := q.Topics[0].Partitions[0]
	second.Partition = 1
	q.Topics[0].Partitions = append(q.Topics[0].Partitions, second)
	rows := testkit.Do[*kmsg.FetchResponse](c, q).Topics[0].Partitions
	if len(rows[0].RecordBatches) != len(big) {
		t.Errorf("first partition: %d bytes, want the whole batch of %d", len(rows[0].RecordBatches), len(big))
	}
	if rows[1].RecordBatches == nil || len(rows[1].RecordBatches) != 0 {
		t.Errorf("second partition: %d bytes (nil: %v), want none but not null", len(rows[1].RecordBatches), rows[1].RecordBatches == nil)
	}
}

func TestScenario12FetchInsideABatchStartsAtTheBatch(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1)
	c.Produce(9, -1, "t", 0, testkit.Batch(testkit.Record{Value: "a"}, testkit.Record{Value: "b"}, testkit.Record{Value: "c"}))
	c.Produce(9, -1, "t", 0, testkit.Batch(testkit.Record{Value: "d"}, testkit.Record{Value: "e"}))
	for offset, base := range map[int64]int64{0: 0, 1: 0, 2: 0, 3: 3, 4: 3} {
		got := c.Fetch("t", 0, offset)
		if first, _, err := batch.Next(got.RecordBatches); err != nil || first.BaseOffset() != base || !first.ValidCRC() {
			t.Errorf("offset %d: base %v, %v; want %d", offset, first, err, base)
		}
	}
}

func TestScenario13FetchWaitsForDataAndNoLonger(t *testing.T) {
	b := testkit.Start(t)
	c, p := testkit.Dial(t, b.Addr()), testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1)
	q := testkit.FetchRequest(12, "t", 0, 0)
	q.MaxWaitMillis = 400
	began := time.Now()
	if got := testkit.Do[*kmsg.FetchResponse](c, q).Topics[0].Partitions[0]; len(got.RecordBatches) != 0 || got.ErrorCode != 0 {
		t.Fatalf("got %+v", got)
	}
	if took := time.Since(began); took < 390*time.Millisecond {
		t.Errorf("an empty fetch was answered after %v, it asked to wait 400ms", took)
	}
	q.MaxWaitMillis = 20_000
	c.Send(q)
	produced(t, p, "t", 0, "a")
	began = time.Now()
	_, rest, err := c.Receive()
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the record arrived %v after it was there", took)
	}
	if got := c.Decode(q, rest).(*kmsg.FetchResponse).Topics[0].Partitions[0]; len(got.RecordBatches) == 0 {
		t.Error("the fetch was woken without its record")
	}
}

func TestParkedFetchEndsWithTheConnection(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1)
	for range 50 {
		p := testkit.Dial(t, b.Addr())
		q := testkit.FetchRequest(12, "t", 0, 0)
		q.MaxWaitMillis = 1 << 30
		p.Send(q)
		p.Close()
	}
	b.Stop() // would take until the fetches' waits are over if they were still parked
}

func TestScenario14OffsetsOutsideTheLogAreErrors(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1)
	produced(t, c, "t", 0, "a", "b", "c")
	del := kmsg.NewPtrDeleteRecordsRequest()
	del.Version, del.TimeoutMillis = 2, 10_000
	dt := kmsg.NewDeleteRecordsRequestTopic()
	dp := kmsg.NewDeleteRecordsRequestTopicPartition()
	dp.Offset = 1
	dt.Topic, dt.Partitions = "t", append(dt.Partitions, dp)
	del.Topics = append(del.Topics, dt)
	if got := testkit.Do[*kmsg.DeleteRecordsResponse](c, del).Topics[0].Partitions[0]; got.ErrorCode != 0 || got.LowWatermark != 1 {
		t.Fatalf("delete records: %+v", got)
	}
	for offset, want := range map[int64]kafka.ErrorCode{0: kafka.OffsetOutOfRange, 1: 0, 3: 0, 4: kafka.OffsetOutOfRange, -1: kafka.OffsetOutOfRange, 1 << 60: kafka.OffsetOutOfRange} {
		if got := c.Fetch("t", 0, offset); got.ErrorCode != int16(want) {
			t.Errorf("offset %d: error %d, want %d", offset, got.ErrorCode, want)
		}
	}
	b.Restart()
	c = testkit.Dial(t, b.Addr())
	if got := c.Fetch("t", 0, 0); got.ErrorCode != int16(kafka.OffsetOutOfRange) || c.Fetch("t", 0, 1).LogStartOffset != 1 {
		t.Error("the log start offset did not survive a restart")
	}
}

func sessionFetch(c *testkit.Conn, id, epoch int32, topics ...kmsg.FetchRequestTopic) *kmsg.FetchResponse {
	q := kmsg.NewPtrFetchRequest()
	q.Version, q.MaxBytes, q.ReplicaID, q.SessionID, q.SessionEpoch = 12, 1<<20, -1, id, epoch
	q.Topics = topics
	return testkit.Do[*kmsg.FetchResponse](c, q)
}

func fetchTopic(name string, offsets ...int64) kmsg.FetchRequestTopic {
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic = name
	for i, o := range offsets {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes, p.CurrentLeaderEpoch, p.LastFetchedEpoch = int32(i), o, 1<<20, -1, -1
		rt.Partitions = append(rt.Partitions, p)
	}
	return rt
}

func TestScenario15WrongSessionIsToldAndAFullFetchRecovers(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1)
	first := sessionFetch(c, 0, 0, fetchTopic("t", 0))
	if first.SessionID == 0 || first.ErrorCode != 0 {
		t.Fatalf("got %+v", first)
	}
	if got := sessionFetch(c, first.SessionID, 1); got.ErrorCode != 0 {
		t.Fatalf("epoch 1: error %d", got.ErrorCode)
	}
	if got := sessionFetch(c, first.SessionID, 1); got.ErrorCode != int16(kafka.InvalidFetchSessionEpoch) || len(got.Topics) != 0 {
		t.Errorf("a repeated epoch: %+v", got)
	}
	if got := sessionFetch(c, first.SessionID+1, 1); got.ErrorCode != int16(kafka.FetchSessionIDNotFound) {
		t.Errorf("an unknown session: error %d", got.ErrorCode)
	}
	if got := sessionFetch(c, first.SessionID, 0, fetchTopic("t", 0)); got.ErrorCode != 0 || got.SessionID == 0 || len(got.Topics) != 1 {
		t.Errorf("a full fetch: %+v", got)
	}
	if got := sessionFetch(c, first.SessionID, 2); got.ErrorCode != int16(kafka.FetchSessionIDNotFound) {
		t.Errorf("the replaced session: error %d", got.ErrorCode)
	}
}

func TestScenario16IdleIncrementalSessionAnswersNothing(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 3)
	produced(t, c, "t", 1, "a")
	s := sessionFetch(c, 0, 0, fetchTopic("t", 0, 0, 0))
	if len(s.Topics[0].Partitions) != 3 {
		t.Fatalf("a full fetch answers %d partitions", len(s.Topics[0].Partitions))
	}
	got := sessionFetch(c, s.SessionID, 1, fetchTopic("t", 0, 1))
	if len(got.Topics) != 0 {
		t.Fatalf("nothing changed, yet %+v", got.Topics)
	}
	produced(t, c, "t", 2, "b")
	got = sessionFetch(c, s.SessionID, 2)
	if len(got.Topics) != 1 || len(got.Topics[0].Partitions) != 1 || got.Topics[0].Partitions[0].Partition != 2 {
		t.Fatalf("only partition 2 changed, got %+v", got.Topics)
	}
}

func TestScenario17LeaderEpochsAreFenced(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1)
	for epoch, want := range map[int32]kafka.ErrorCode{-1: 0, 0: 0, 5: kafka.UnknownLeaderEpoch} {
		q := testkit.FetchRequest(12, "t", 0, 0)
		q.Topics[0].Partitions[0].CurrentLeaderEpoch = epoch
		if got := testkit.Do[*kmsg.FetchResponse](c, q).Topics[0].Partitions[0].ErrorCode; got != int16(want) {
			t.Errorf("fetch with epoch %d: error %d, want %d", epoch, got, want)
		}
	}
}

func listOffset(c *testkit.Conn, version int16, topic string, ts int64) kmsg.ListOffsetsResponseTopicPartition {
	q := kmsg.NewPtrListOffsetsRequest()
	q.Version, q.ReplicaID = version, -1
	rt := kmsg.NewListOffsetsRequestTopic()
	rp := kmsg.NewListOffsetsRequestTopicPartition()
	rp.Timestamp, rp.CurrentLeaderEpoch = ts, -1
	rt.Topic, rt.Partitions = topic, append(rt.Partitions, rp)
	q.Topics = append(q.Topics, rt)
	return testkit.Do[*kmsg.ListOffsetsResponse](c, q).Topics[0].Partitions[0]
}

func TestScenario18OffsetsByTime(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1)
	before := time.Now().UnixMilli()
	produced(t, c, "t", 0, "a", "b", "c")
	if got := listOffset(c, 7, "t", time.Now().UnixMilli()+60_000); got.ErrorCode != 0 || got.Offset != -1 || got.Timestamp != -1 {
		t.Errorf("after the last record: %+v", got)
	}
	if got := listOffset(c, 7, "t", before); got.Offset != 0 || got.Timestamp < before {
		t.Errorf("before the first record: %+v", got)
	}
	if got := listOffset(c, 7, "t", -3); got.Offset < 0 || got.Timestamp < before {
		t.Errorf("max timestamp: %+v", got)
	}
	if got := listOffset(c, 7, "t", -1); got.Offset != 3 || got.LeaderEpoch != 0 {
		t.Errorf("latest: %+v", got)
	}
	if got := listOffset(c, 7, "t", -2); got.Offset != 0 {
		t.Errorf("earliest: %+v", got)
	}
	if got := listOffset(c, 11, "t", -4); got.Offset != 0 {
		t.Errorf("earliest local: %+v", got)
	}
	if got := listOffset(c, 11, "t", -5); got.Offset != -1 || got.ErrorCode != 0 {
		t.Errorf("latest tiered: %+v", got)
	}
	for ts, version := range map[int64]int16{-3: 6, -4: 7, -5: 8, -6: 10, -7: 11} {
		if got := listOffset(c, version, "t", ts); got.ErrorCode != int16(kafka.UnsupportedVersion) {
			t.Errorf("timestamp %d at v%d: %+v", ts, version, got)
		}
	}
}

func TestScenario19DivergingEpochComesWithoutRecords(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1)
	produced(t, c, "t", 0, "a", "b")
	q := testkit.FetchRequest(12, "t", 0, 2)
	q.Topics[0].Partitions[0].LastFetchedEpoch = 0
	if got := testkit.Do[*kmsg.FetchResponse](c, q).Topics[0].Partitions[0]; got.ErrorCode != 0 || got.DivergingEpoch.EndOffset != -1 {
		t.Errorf("the same history: %+v", got)
	}
	q.Topics[0].Partitions[0].LastFetchedEpoch = 3
	if got := testkit.Do[*kmsg.FetchResponse](c, q).Topics[0].Partitions[0]; got.ErrorCode != int16(kafka.OffsetOutOfRange) {
		t.Errorf("an epoch we never had: %+v", got)
	}
	q.Topics[0].Partitions[0].LastFetchedEpoch = 0
	q.Topics[0].Partitions[0].FetchOffset = 5
	if got := testkit.Do[*kmsg.FetchResponse](c, q).Topics[0].Partitions[0]; got.ErrorCode != 0 || got.DivergingEpoch.EndOffset != 2 || got.DivergingEpoch.Epoch != 0 || len(got.RecordBatches) != 0 {
		t.Errorf("a longer history than ours: %+v", got)
	}
}

func TestScenario20TopicPartitionsComeInPages(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	want := 0
	for i, n := range []int32{40, 7, 3} {
		c.CreateTopic(fmt.Sprintf("topic-%d", i), n)
		want += int(n)
	}
	seen := map[kafka.TopicPartition]bool{}
	q := kmsg.NewPtrDescribeTopicPartitionsRequest()
	q.ResponsePartitionLimit = 20
	pages := 0
	for ; ; pages++ {
		resp := testkit.Do[*kmsg.DescribeTopicPartitionsResponse](c, q)
		for _, rt := range resp.Topics {
			for _, p := range rt.Partitions {
				tp := kafka.TopicPartition{Topic: *rt.Topic, Partition: p.Partition}
				if seen[tp] || p.ErrorCode != 0 || p.LeaderID < 0 {
					t.Fatalf("%s: seen twice, or not led: %+v", tp, p)
				}
				seen[tp] = true
			}
		}
		if resp.NextCursor == nil {
			break
		}
		cur := kmsg.NewDescribeTopicPartitionsRequestCursor()
		cur.Topic, cur.Partition = resp.NextCursor.Topic, resp.NextCursor.Partition
		q.Cursor = &cur
	}
	if len(seen) != want || pages != 2 {
		t.Errorf("%d partitions in %d pages, want %d in 3", len(seen), pages+1, want)
	}
}
