package server_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/testkit"
)

// Answers as Apache Kafka 4.3.1 gives them, where one could think of others. interop/wirediff has found each of them beside the real thing.

func TestProduceAnswersAsKafkaDoes(t *testing.T) {
	b := testkit.Start(t, "message.max.bytes=5000")
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1)
	good := func() batch.Batch { return testkit.Batch(testkit.Record{Value: "a"}, testkit.Record{Value: "b"}) }
	changed := func(f func(batch.Batch)) []byte {
		b := good()
		f(b)
		return testkit.Seal(b)
	}
	counted := func(n uint32) []byte {
		return changed(func(b batch.Batch) {
			binary.BigEndian.PutUint32(b[23:], n-1)
			binary.BigEndian.PutUint32(b[57:], n)
		})
	}
	torn := compressed(batch.Gzip, strings.Repeat("a", 1000))
	torn = testkit.Seal(torn[:len(torn)-9])
	const told = 0 // the log start offset, where the answer tells it beside the error
	for _, row := range []struct {
		name    string
		version int16
		records []byte
		code    kafka.ErrorCode
		start   int64
	}{
		{"a batch and a few bytes more", 9, append(good(), 1, 2, 3), kafka.None, told},
		{"a batch and bytes that begin no other", 9, append(good(), make([]byte, 30)...), kafka.CorruptMessage, -1},
		{"a batch cut short", 9, good()[:65], kafka.InvalidRecord, -1},
		{"less than a header", 9, good()[:30], kafka.InvalidRecord, -1},
		{"empty records", 9, []byte{}, kafka.InvalidRecord, -1},
		{"two batches", 9, append(good(), good()...), kafka.InvalidRecord, -1},
		{"magic 1", 9, changed(func(b batch.Batch) { b[16] = 1 }), kafka.InvalidRecord, -1},
		{"magic 3", 9, changed(func(b batch.Batch) { b[16] = 3 }), kafka.CorruptMessage, -1},
		{"a wrong checksum", 9, func() []byte { b := good(); b[17] ^= 1; return b }(), kafka.CorruptMessage, -1},
		{"a base offset", 9, changed(func(b batch.Batch) { b[7] = 1 }), kafka.InvalidRecord, told},
		{"one record too few", 9, counted(3), kafka.InvalidRecord, told},
		{"one record too many", 9, counted(1), kafka.InvalidRecord, told},
		{"records cut short inside their gzip", 9, torn, kafka.UnknownServerError, told},
		{"a codec that does not exist", 9, changed(func(b batch.Batch) { b[22] |= 5 }), kafka.UnknownServerError, told},
		{"the same before zstd", 6, changed(func(b batch.Batch) { b[22] |= 5 }), kafka.UnknownServerError, -1},
		{"zstd before its version", 6, compressed(batch.Zstd, "a"), kafka.UnsupportedCompressionType, -1},
		{"zstd at its version", 7, compressed(batch.Zstd, "a"), kafka.None, told},
		{"a batch larger than allowed", 9, testkit.Batch(testkit.Record{Value: strings.Repeat("a", 6000)}), kafka.MessageTooLarge, -1},
		{"a control batch", 9, changed(func(b batch.Batch) { b[22] |= 1 << 5 }), kafka.InvalidRecord, told},
		{"a transactional batch without transactional id", 9, changed(func(b batch.Batch) { b[22] |= 1 << 4 }), kafka.TransactionalIDAuthorizationFailed, -1},
		{"a sequence with a gap", 9, testkit.IdempotentBatch(7, 0, 5, testkit.Record{Value: "a"}), kafka.None, told}, // a new producer may begin anywhere
		{"a sequence with a gap, known", 9, testkit.IdempotentBatch(7, 0, 9, testkit.Record{Value: "a"}), kafka.OutOfOrderSequenceNumber, told},
	} {
		got := c.Produce(row.version, -1, "t", 0, row.records)
		if got.ErrorCode != int16(row.code) || got.LogStartOffset != row.start || (got.BaseOffset >= 0) != (row.code == kafka.None) {
			t.Errorf("%s: %+v, want %v and log start %d", row.name, got, row.code, row.start)
		}
		if row.version >= 8 && (got.ErrorMessage != nil) != (row.code != kafka.None) {
			t.Errorf("%s: message %v", row.name, got.ErrorMessage)
		}
	}
}

func TestADuplicateIsAnsweredWithItsTimestamp(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1)
	one := testkit.IdempotentBatch(7, 0, 0, testkit.Record{Value: "a"}, testkit.Record{Value: "b"})
	first := c.Produce(9, -1, "t", 0, slices.Clone(one))
	again := c.Produce(9, -1, "t", 0, slices.Clone(one))
	if first.ErrorCode != 0 || first.LogAppendTime != -1 {
		t.Errorf("at first: %+v", first)
	}
	if again.ErrorCode != 0 || again.BaseOffset != first.BaseOffset || again.LogAppendTime != one.MaxTimestamp() {
		t.Errorf("again: %+v, want time %d", again, one.MaxTimestamp())
	}
}

func TestAPartitionNamedTwiceGetsTheLastBatchAndOneAnswer(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 2)
	q := testkit.ProduceRequest(9, -1, "t", 1, testkit.Batch(testkit.Record{Value: "first"}))
	other := testkit.ProduceRequest(9, -1, "t", 0, testkit.Batch(testkit.Record{Value: "other"}))
	last := testkit.ProduceRequest(9, -1, "t", 1, testkit.Batch(testkit.Record{Value: "last"}, testkit.Record{Value: "last"}))
	q.Topics = append(q.Topics, other.Topics[0], last.Topics[0])
	resp := testkit.Do[*kmsg.ProduceResponse](c, q)
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 2 || resp.Topics[0].Partitions[0].Partition != 1 {
		t.Fatalf("answer: %+v", resp.Topics)
	}
	for _, p := range resp.Topics[0].Partitions {
		if p.ErrorCode != 0 || p.BaseOffset != 0 {
			t.Errorf("partition %d: %+v", p.Partition, p)
		}
	}
	if got := c.Produce(9, -1, "t", 1, testkit.Batch(testkit.Record{Value: "next"})); got.BaseOffset != 2 {
		t.Errorf("next record at offset %d, want 2: the first batch was written, too", got.BaseOffset)
	}
}

func TestFetchAnswersAsKafkaDoes(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	id := c.CreateTopic("t", 1).TopicID
	fetch := func(version int16, change func(*kmsg.FetchRequest)) *kmsg.FetchResponse {
		q := testkit.FetchRequest(version, "t", 0, 0)
		q.Topics[0].TopicID = id
		change(q)
		return testkit.Do[*kmsg.FetchResponse](c, q)
	}
	row := func(r *kmsg.FetchResponse) kmsg.FetchResponseTopicPartition {
		t.Helper()
		if len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 {
			t.Fatalf("answer: %+v", r)
		}
		return r.Topics[0].Partitions[0]
	}
	// What is not there has an empty list of aborted transactions, what is there and not asked for has none.
	if got := row(fetch(12, func(q *kmsg.FetchRequest) { q.Topics[0].Partitions[0].Partition = 9 })); got.ErrorCode != int16(kafka.UnknownTopicOrPartition) || got.AbortedTransactions == nil {
		t.Errorf("unknown partition: %+v", got)
	}
	if got := row(fetch(18, func(*kmsg.FetchRequest) {})); got.ErrorCode != 0 || got.AbortedTransactions != nil {
		t.Errorf("an empty partition: %+v", got)
	}
	// An isolation level that does not exist fails the request: in each partition before v13.
	isolate := func(q *kmsg.FetchRequest) { q.IsolationLevel = 9 }
	if got := row(fetch(4, isolate)); got.ErrorCode != int16(kafka.UnknownServerError) || got.HighWatermark != -1 {
		t.Errorf("isolation level 9 at v4: %+v", got)
	}
	if r := fetch(12, isolate); r.ErrorCode != int16(kafka.UnknownServerError) || row(r).ErrorCode != r.ErrorCode {
		t.Errorf("isolation level 9 at v12: %+v", r)
	}
	if r := fetch(13, isolate); r.ErrorCode != int16(kafka.UnknownServerError) || len(r.Topics) != 0 {
		t.Errorf("isolation level 9 at v13: %+v", r)
	}
	// A follower that is none.
	for epoch, want := range map[int32]kafka.ErrorCode{-1: kafka.NotLeaderOrFollower, 0: kafka.UnknownLeaderEpoch} {
		got := row(fetch(12, func(q *kmsg.FetchRequest) { q.ReplicaID = 77; q.Topics[0].Partitions[0].CurrentLeaderEpoch = epoch }))
		if got.ErrorCode != int16(want) {
			t.Errorf("follower with epoch %d: error %d, want %v", epoch, got.ErrorCode, want)
		}
	}
}

func TestMetadataAnswersAsKafkaDoes(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	id := c.CreateTopic("t", 1).TopicID
	c.CreateTopic("other", 1)
	name := func(s string) kmsg.MetadataRequestTopic { return kmsg.MetadataRequestTopic{Topic: &s} }
	ask := func(version int16, ops bool, topics ...kmsg.MetadataRequestTopic) *kmsg.MetadataResponse {
		q := kmsg.NewPtrMetadataRequest()
		q.Version, q.Topics, q.IncludeTopicAuthorizedOperations = version, topics, ops
		return testkit.Do[*kmsg.MetadataResponse](c, q)
	}
	if got := ask(9, false, name("t"), name("nowhere"), name("t"), name("nowhere")); len(got.Topics) != 2 {
		t.Errorf("topics named twice: %d answers", len(got.Topics))
	}
	if got := ask(9, true, name("nowhere")).Topics[0]; got.ErrorCode != int16(kafka.UnknownTopicOrPartition) || got.AuthorizedOperations <= 0 {
		t.Errorf("operations on a topic that is not there: %+v", got)
	}
	// Ids can be written at v10, but are understood from v12 on.
	old := ask(10, false, kmsg.MetadataRequestTopic{TopicID: id, Topic: new(string)}, name("t"))
	if len(old.Brokers) != 0 || old.ClusterID != nil || old.ControllerID != -1 || len(old.Topics) != 2 {
		t.Errorf("an id at v10: %+v", old)
	}
	for _, got := range old.Topics {
		if got.ErrorCode != int16(kafka.InvalidRequest) {
			t.Errorf("an id at v10: %+v", got)
		}
	}
	// One id, and names are not looked at: neither beside an id nor alone.
	both := name("other")
	both.TopicID = id
	if got := ask(12, false, both, name("other"), name("never-made")); len(got.Topics) != 1 || got.Topics[0].ErrorCode != 0 || *got.Topics[0].Topic != "t" {
		t.Errorf("ids and names: %+v", got.Topics)
	}
	if got := ask(12, false, name("never-made")); got.Topics[0].ErrorCode == 0 {
		t.Error("a name beside an id made a topic")
	}
}

func TestListOffsetsAnswersAsKafkaDoes(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 2)
	q := kmsg.NewPtrListOffsetsRequest()
	q.Version, q.ReplicaID = 7, -1
	for _, partitions := range [][]int32{{0, 1}, {0}} {
		rt := kmsg.NewListOffsetsRequestTopic()
		rt.Topic = "t"
		for _, p := range partitions {
			rp := kmsg.NewListOffsetsRequestTopicPartition()
			rp.Partition, rp.Timestamp, rp.CurrentLeaderEpoch = p, -1, -1
			rt.Partitions = append(rt.Partitions, rp)
		}
		q.Topics = append(q.Topics, rt)
	}
	codes := func() map[int32]int16 {
		out := map[int32]int16{}
		for _, rt := range testkit.Do[*kmsg.ListOffsetsResponse](c, q).Topics {
			for _, rp := range rt.Partitions {
				if _, twice := out[rp.Partition]; twice {
					t.Errorf("partition %d is answered twice", rp.Partition)
				}
				out[rp.Partition] = rp.ErrorCode
			}
		}
		return out
	}
	if got := codes(); len(got) != 2 || got[0] != int16(kafka.InvalidRequest) || got[1] != 0 {
		t.Errorf("a partition named twice: %v", got)
	}
	q.Topics, q.IsolationLevel = q.Topics[:1], 9
	if got := codes(); len(got) != 2 || got[0] != int16(kafka.UnknownServerError) || got[1] != int16(kafka.UnknownServerError) {
		t.Errorf("isolation level 9: %v", got)
	}
}

func TestAdminAnswersAsKafkaDoes(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	made := c.CreateTopic("t", 1, "preallocate", "TRUE", "retention.ms", " 1000 ")
	for _, s := range made.Configs {
		if want, ok := map[string]string{"preallocate": "TRUE", "retention.ms": " 1000 "}[s.Name]; ok && *s.Value != want {
			t.Errorf("%s was made as %q, want %q as the client wrote it", s.Name, *s.Value, want)
		}
	}

	create := kmsg.NewPtrCreateTopicsRequest()
	create.Version, create.TimeoutMillis = 7, 10_000
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = "t", 1, 1
	create.Topics = append(create.Topics, rt)
	if got := testkit.Do[*kmsg.CreateTopicsResponse](c, create).Topics[0]; got.ErrorCode != int16(kafka.TopicAlreadyExists) || got.Configs == nil {
		t.Errorf("it exists: %+v, want an empty list of settings", got)
	}

	more := kmsg.NewPtrCreatePartitionsRequest()
	more.Version, more.TimeoutMillis = 3, 10_000
	more.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: "nowhere", Count: 3}}
	if got := testkit.Do[*kmsg.CreatePartitionsResponse](c, more).Topics[0]; got.ErrorCode != int16(kafka.UnknownTopicOrPartition) || got.ErrorMessage != nil {
		t.Errorf("partitions for an unknown topic: %+v", got)
	}

	describe := kmsg.NewPtrDescribeConfigsRequest()
	describe.Version = 4
	for _, name := range []string{"t", "nowhere"} {
		describe.Resources = append(describe.Resources, kmsg.DescribeConfigsRequestResource{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: name})
	}
	for i, got := range testkit.Do[*kmsg.DescribeConfigsResponse](c, describe).Resources {
		if got.ErrorMessage == nil || *got.ErrorMessage != "" || (got.ErrorCode != 0) != (i == 1) {
			t.Errorf("settings of %s: error %d, message %v, want an empty one", got.ResourceName, got.ErrorCode, got.ErrorMessage)
		}
	}

	producers := kmsg.NewPtrDescribeProducersRequest()
	producers.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: "t", Partitions: []int32{9}}, {Topic: "nowhere", Partitions: []int32{0}}, {Topic: "a b", Partitions: []int32{0}}}
	for i, want := range []struct {
		code kafka.ErrorCode
		says bool
	}{{kafka.UnknownTopicOrPartition, false}, {kafka.UnknownTopicOrPartition, true}, {kafka.InvalidTopicException, true}} {
		got := testkit.Do[*kmsg.DescribeProducersResponse](c, producers).Topics[i].Partitions[0]
		if got.ErrorCode != int16(want.code) || (got.ErrorMessage != nil) != want.says {
			t.Errorf("producers of %s: %+v", producers.Topics[i].Topic, got)
		}
	}

	pages := kmsg.NewPtrDescribeTopicPartitionsRequest()
	pages.ResponsePartitionLimit = 100
	pages.Topics = []kmsg.DescribeTopicPartitionsRequestTopic{{Topic: "t"}}
	pages.Cursor = &kmsg.DescribeTopicPartitionsRequestCursor{Topic: "t", Partition: -1}
	if got := testkit.Do[*kmsg.DescribeTopicPartitionsResponse](c, pages).Topics; len(got) != 1 || got[0].ErrorCode != int16(kafka.InvalidRequest) || got[0].AuthorizedOperations > 0 {
		t.Errorf("a cursor before the first partition: %+v", got)
	}
	pages.Cursor, pages.Topics[0].Topic = nil, "nowhere"
	if got := testkit.Do[*kmsg.DescribeTopicPartitionsResponse](c, pages).Topics[0]; got.ErrorCode != int16(kafka.UnknownTopicOrPartition) || got.AuthorizedOperations <= 0 {
		t.Errorf("an unknown topic: %+v", got)
	}
}

func TestDeletionThatIsSwitchedOffIsToldInTheClientsWords(t *testing.T) {
	b := testkit.Start(t, "delete.topic.enable=false")
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1)
	for version, want := range map[int16]kafka.ErrorCode{1: kafka.InvalidRequest, 2: kafka.InvalidRequest, 3: kafka.TopicDeletionDisabled, 5: kafka.TopicDeletionDisabled} {
		q := kmsg.NewPtrDeleteTopicsRequest()
		q.Version, q.TimeoutMillis, q.TopicNames = version, 10_000, []string{"t"}
		if got := testkit.Do[*kmsg.DeleteTopicsResponse](c, q).Topics[0]; got.ErrorCode != int16(want) {
			t.Errorf("v%d: error %d, want %v", version, got.ErrorCode, want)
		}
	}
}

func TestFindCoordinatorSaysOfSuccessWhatKafkaSays(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	q := kmsg.NewPtrFindCoordinatorRequest()
	q.Version, q.CoordinatorKey = 3, "g"
	if got := testkit.Do[*kmsg.FindCoordinatorResponse](c, q); got.ErrorCode != 0 || got.ErrorMessage == nil || *got.ErrorMessage != "NONE" {
		t.Errorf("v3: %+v", got)
	}
	q.Version, q.CoordinatorKeys = 4, []string{"g"}
	if got := testkit.Do[*kmsg.FindCoordinatorResponse](c, q).Coordinators[0]; got.ErrorCode != 0 || got.ErrorMessage == nil || *got.ErrorMessage != "" {
		t.Errorf("v4: %+v", got)
	}
}

func TestListConfigResources(t *testing.T) {
	const clientMetrics, group = 16, 32
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("a", 1)
	c.CreateTopic("b", 1)
	for _, row := range []struct {
		version int16
		types   []int8
		code    kafka.ErrorCode
		want    []string
	}{
		{0, nil, kafka.None, nil},
		{1, []int8{2}, kafka.None, []string{"2 a", "2 b"}},
		{1, []int8{4, 8, 4}, kafka.None, []string{"4 1", "8 1"}},
		{1, []int8{clientMetrics, group}, kafka.None, nil},
		{1, nil, kafka.None, []string{"2 a", "2 b", "4 1", "8 1"}},
		{1, []int8{2, 77}, kafka.UnsupportedVersion, nil},
	} {
		q := kmsg.NewPtrListConfigResourcesRequest()
		q.Version, q.ResourceTypes = row.version, row.types
		resp := testkit.Do[*kmsg.ListConfigResourcesResponse](c, q)
		var got []string
		for _, r := range resp.ConfigResources {
			got = append(got, fmt.Sprint(r.Type, " ", r.Name))
		}
		slices.Sort(got)
		if resp.ErrorCode != int16(row.code) || !slices.Equal(got, row.want) {
			t.Errorf("v%d, types %v: error %d, %v; want %v, %v", row.version, row.types, resp.ErrorCode, got, row.code, row.want)
		}
	}
}

func TestAFilterOfQuotasIsCheckedAsKafkaDoes(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	type part = kmsg.DescribeClientQuotasRequestComponent
	u := "u"
	for name, row := range map[string]struct {
		parts []part
		code  kafka.ErrorCode
	}{
		"no filter":                {nil, kafka.None},
		"exact and any":            {[]part{{EntityType: "user", Match: &u}, {EntityType: "client-id", MatchType: 2}}, kafka.None},
		"an unknown entity":        {[]part{{EntityType: "planet", MatchType: 2}}, kafka.UnsupportedVersion},
		"an entity twice":          {[]part{{EntityType: "user", MatchType: 2}, {EntityType: "user", MatchType: 1}}, kafka.InvalidRequest},
		"exact without a name":     {[]part{{EntityType: "user"}}, kafka.InvalidRequest},
		"an unknown kind":          {[]part{{EntityType: "user", MatchType: 9}}, kafka.InvalidRequest},
		"ip beside something else": {[]part{{EntityType: "ip", MatchType: 2}, {EntityType: "user", MatchType: 2}}, kafka.InvalidRequest},
	} {
		q := kmsg.NewPtrDescribeClientQuotasRequest()
		q.Version, q.Components = 1, row.parts
		got := testkit.Do[*kmsg.DescribeClientQuotasResponse](c, q)
		if got.ErrorCode != int16(row.code) || got.ErrorMessage == nil || (*got.ErrorMessage == "") != (row.code == kafka.None) || (got.Entries == nil) != (row.code != kafka.None) {
			t.Errorf("%s: %+v, want %v", name, got, row.code)
		}
	}
}
