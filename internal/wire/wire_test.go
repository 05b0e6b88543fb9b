package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestVersionTableIsAscendingAndKnownToTheCodec(t *testing.T) {
	last := int16(-1)
	for _, r := range Versions() {
		if r.Key <= last {
			t.Errorf("key %d stands after %d", r.Key, last)
		}
		last = r.Key
		req := kmsg.RequestForKey(r.Key)
		if req == nil || r.Max > req.MaxVersion() || r.Min > r.Max || r.Min < 0 {
			t.Errorf("%s %d-%d is not a range the codec knows", KeyName(r.Key), r.Min, r.Max)
		}
		if Supports(r.Key, r.Max+1) || Supports(r.Key, r.Min-1) || !Supports(r.Key, r.Min) || !Supports(r.Key, r.Max) {
			t.Errorf("%s: Supports disagrees with the table", KeyName(r.Key))
		}
	}
	for _, key := range []int16{-1, 999, 127, 128, 32767, -32768, 4} {
		if Supports(key, 0) {
			t.Errorf("key %d is supported", key)
		}
	}
}

func TestFrameSizeRefusesWhatCannotBeARequest(t *testing.T) {
	for _, c := range []struct {
		name   string
		prefix [4]byte
		want   int
		ok     bool
	}{
		{"a small request is read", [4]byte{0, 0, 0, 9}, 9, true},
		{"the limit itself is allowed", [4]byte{0, 0, 4, 0}, 1024, true},
		{"one byte above the limit is refused", [4]byte{0, 0, 4, 1}, 0, false},
		{"a negative size is refused", [4]byte{255, 255, 255, 255}, 0, false},
		{"2 GiB is refused", [4]byte{0x7f, 255, 255, 255}, 0, false},
		{"an HTTP verb is refused", [4]byte{'G', 'E', 'T', ' '}, 0, false},
		{"a TLS hello is refused", [4]byte{0x16, 3, 1, 2}, 0, false},
	} {
		n, err := FrameSize(c.prefix, 1024)
		if n != c.want || (err == nil) != c.ok {
			t.Errorf("%s: got %d, %v", c.name, n, err)
		}
	}
}

func produceRequest(version int16) *kmsg.ProduceRequest {
	q := kmsg.NewPtrProduceRequest()
	q.Version = version
	q.Acks, q.TimeoutMillis = -1, 1234
	for _, name := range []string{"orders", "a"} {
		rt := kmsg.NewProduceRequestTopic()
		rt.Topic = name
		for i := range int32(3) {
			rp := kmsg.NewProduceRequestTopicPartition()
			rp.Partition = i
			rp.Records = bytes.Repeat([]byte{byte(i)}, int(i)*40)
			rt.Partitions = append(rt.Partitions, rp)
		}
		q.Topics = append(q.Topics, rt)
	}
	return q
}

func TestProduceDecodesWhatTheClientLibraryEncodes(t *testing.T) {
	var got ProduceRequest
	for v := int16(3); v <= 11; v++ {
		body := produceRequest(v).AppendTo(nil)
		if err := got.Decode(v, body); err != nil {
			t.Fatalf("v%d: %v", v, err)
		}
		if got.Acks != -1 || got.TimeoutMs != 1234 || got.TransactionalID != nil || len(got.Topics) != 2 || len(got.Partitions) != 6 {
			t.Fatalf("v%d: got %+v", v, got)
		}
		if string(got.Topics[1].Name) != "a" || got.Topics[1].First != 3 || len(got.Partitions[5].Records) != 80 {
			t.Fatalf("v%d: got %+v", v, got.Topics)
		}
		for cut := range body {
			if err := got.Decode(v, body[:cut]); err == nil {
				t.Fatalf("v%d cut at %d of %d is accepted", v, cut, len(body))
			}
		}
	}
}

func TestProduceDecodeAllocatesNothingWhenReused(t *testing.T) {
	body := produceRequest(9).AppendTo(nil)
	var q ProduceRequest
	if n := testing.AllocsPerRun(100, func() { _ = q.Decode(9, body) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestProduceResponseIsReadByTheClientLibrary(t *testing.T) {
	for v := int16(3); v <= 11; v++ {
		var q ProduceRequest
		if err := q.Decode(v, produceRequest(v).AppendTo(nil)); err != nil {
			t.Fatal(err)
		}
		results := make([]ProduceResult, 6)
		for i := range results {
			results[i] = ProduceResult{BaseOffset: int64(i), LogAppendTimeMs: -1, LogStartOffset: 7}
		}
		results[4] = ProduceResult{ErrorCode: 87, BaseOffset: -1, LogAppendTimeMs: -1, LogStartOffset: -1, Message: "no",
			RecordErrors: []RecordError{{2, "no key"}}, LeaderKnown: true, LeaderID: 3, LeaderEpoch: 9}
		body := AppendProduceResponse(nil, v, &q, results, []Endpoint{{NodeID: 3, Host: "h", Port: 9092}})
		resp := kmsg.NewPtrProduceResponse()
		resp.Version = v
		if err := resp.ReadFrom(body); err != nil {
			t.Fatalf("v%d: %v", v, err)
		}
		if again := resp.AppendTo(nil); !bytes.Equal(again, body) {
			t.Errorf("v%d: %s", v, cmp.Diff(again, body))
		}
		p := resp.Topics[1].Partitions[1]
		if p.ErrorCode != 87 || (v >= 8 && (*p.ErrorMessage != "no" || p.ErrorRecords[0].RelativeOffset != 2)) {
			t.Errorf("v%d: got %+v", v, p)
		}
		if v >= 10 && (p.CurrentLeader.LeaderID != 3 || len(resp.Brokers) != 1) {
			t.Errorf("v%d: leader %+v, brokers %+v", v, p.CurrentLeader, resp.Brokers)
		}
	}
}

func TestFetchResponseIsReadByTheClientLibrary(t *testing.T) {
	rows := []FetchPartition{
		{Index: 0, HighWatermark: 10, LastStableOffset: 9, LogStartOffset: 1, Records: 5, PreferredReader: -1, Aborted: []AbortedTxn{{7, 8}}},
		{Index: 4, ErrorCode: 6, HighWatermark: -1, LastStableOffset: -1, LogStartOffset: -1, LeaderKnown: true, LeaderID: 2, LeaderEpoch: 3, PreferredReader: -1},
		{Index: 1, HighWatermark: 3, DivergingKnown: true, DivergingEpoch: 1, DivergingEnd: 2, PreferredReader: -1},
	}
	for v := int16(4); v <= 17; v++ {
		f := FetchResponse{SessionID: 5, Topics: []FetchTopic{{Name: "t", ID: [16]byte{1}, First: 0, Count: 2}, {Name: "u", ID: [16]byte{2}, First: 2, Count: 1}},
			Partitions: rows, Endpoints: []Endpoint{{NodeID: 2, Host: "x", Port: 1}}}
		buf, cuts := AppendFetchResponse(nil, nil, v, &f)
		if len(cuts) != 1 || cuts[0].Index != 0 {
			t.Fatalf("v%d: cuts %+v", v, cuts)
		}
		body := append(append(append([]byte{}, buf[:cuts[0].At]...), "12345"...), buf[cuts[0].At:]...)
		resp := kmsg.NewPtrFetchResponse()
		resp.Version = v
		if err := resp.ReadFrom(body); err != nil {
			t.Fatalf("v%d: %v", v, err)
		}
		if again := resp.AppendTo(nil); !bytes.Equal(again, body) {
			t.Errorf("v%d: %s", v, cmp.Diff(again, body))
		}
		p := resp.Topics[0].Partitions[0]
		if string(p.RecordBatches) != "12345" || p.HighWatermark != 10 || p.AbortedTransactions[0].FirstOffset != 8 {
			t.Errorf("v%d: got %+v", v, p)
		}
		if v >= 12 && resp.Topics[1].Partitions[0].DivergingEpoch.EndOffset != 2 {
			t.Errorf("v%d: diverging epoch is lost", v)
		}
	}
}

func TestHeaderWithUnknownTagsIsRead(t *testing.T) {
	frame := binary.BigEndian.AppendUint16(nil, uint16(KeyMetadata))
	frame = binary.BigEndian.AppendUint16(frame, 12)
	frame = binary.BigEndian.AppendUint32(frame, 42)
	frame = append(frame, 0, 2, 'm', 'e', 2, 7, 1, 'x', 9, 0, 'b')
	h, body, err := ParseHeader(frame)
	if err != nil || string(h.ClientID) != "me" || h.CorrelationID != 42 || string(body) != "b" {
		t.Fatalf("got %+v, %q, %v", h, body, err)
	}
	if _, _, err := ParseHeader(frame[:12]); err == nil {
		t.Error("a header cut short is accepted")
	}
	frame[2], frame[3] = 0, 99
	var unsupported *UnsupportedError
	if h, _, err := ParseHeader(frame); !errors.As(err, &unsupported) || h.CorrelationID != 42 {
		t.Errorf("got %+v, %v", h, err)
	}
}

func FuzzParseHeader(f *testing.F) {
	f.Add([]byte{0, 3, 0, 12, 0, 0, 0, 1, 255, 255, 0})
	f.Fuzz(func(t *testing.T, b []byte) { _, _, _ = ParseHeader(b) })
}

func FuzzProduceDecode(f *testing.F) {
	for v := int16(3); v <= 11; v++ {
		f.Add(v, produceRequest(v).AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, v int16, b []byte) {
		var q ProduceRequest
		if v < 3 || v > 11 {
			return
		}
		if err := q.Decode(v, b); err == nil {
			results := make([]ProduceResult, len(q.Partitions))
			AppendProduceResponse(nil, v, &q, results, nil)
		}
		if len(q.Partitions) > len(b)/minProducePartition {
			t.Errorf("%d partitions out of %d bytes", len(q.Partitions), len(b))
		}
	})
}

func TestAPartitionNamedTwiceIsMergedWithWhatCameLast(t *testing.T) {
	type part struct {
		topic string
		index int32
	}
	many := make([]part, 0, 60)
	for i := range int32(20) {
		many = append(many, part{"many", 19 - i})
	}
	manyTopics := make([]part, 0, 40)
	for i := range 20 {
		manyTopics = append(manyTopics, part{string(rune('a' + i)), 0})
	}
	for _, c := range []struct {
		name    string
		in      [][]part // partitions of each topic; the batch of each is its place in the request
		want    []part
		records []byte
	}{
		{"nothing twice", [][]part{{{"a", 0}, {"a", 2}, {"a", 1}}, {{"b", 0}}}, []part{{"a", 0}, {"a", 2}, {"a", 1}, {"b", 0}}, []byte{0, 1, 2, 3}},
		{"a partition twice in one topic", [][]part{{{"a", 1}, {"a", 0}, {"a", 1}}}, []part{{"a", 1}, {"a", 0}}, []byte{2, 1}},
		{"a topic twice with one partition", [][]part{{{"a", 0}}, {{"b", 0}}, {{"a", 0}}}, []part{{"a", 0}, {"b", 0}}, []byte{2, 1}},
		{"a topic twice with two partitions", [][]part{{{"a", 0}}, {{"b", 0}}, {{"a", 1}}}, []part{{"a", 0}, {"a", 1}, {"b", 0}}, []byte{0, 2, 1}},
		{"one of many partitions twice", [][]part{append(slices.Clone(many), part{"many", 19})}, many, append([]byte{20}, upTo(1, 20)...)},
		{"many partitions", [][]part{many}, many, upTo(0, 20)},
		{"one of many topics twice", append(eachAlone(manyTopics), manyTopics[:1]), manyTopics, append([]byte{20}, upTo(1, 20)...)},
		{"many topics", eachAlone(manyTopics), manyTopics, upTo(0, 20)},
		{"nothing at all", nil, nil, nil},
	} {
		var q ProduceRequest
		for _, parts := range c.in {
			topic := ProduceTopic{Name: []byte(parts[0].topic), First: len(q.Partitions), Count: len(parts)}
			for _, p := range parts {
				q.Partitions = append(q.Partitions, ProducePartition{Index: p.index, Records: []byte{byte(len(q.Partitions))}})
			}
			q.Topics = append(q.Topics, topic)
		}
		q.Merge()
		var got []part
		var records []byte
		for _, topic := range q.Topics {
			for _, p := range q.Partitions[topic.First : topic.First+topic.Count] {
				got = append(got, part{string(topic.Name), p.Index})
				records = append(records, p.Records...)
			}
		}
		if !slices.Equal(got, c.want) || !bytes.Equal(records, c.records) {
			t.Errorf("%s: %v with %v, want %v with %v", c.name, got, records, c.want, c.records)
		}
	}
}

func upTo(from, to byte) (out []byte) {
	for ; from < to; from++ {
		out = append(out, from)
	}
	return out
}

func eachAlone[T any](all []T) (out [][]T) {
	for i := range all {
		out = append(out, all[i:i+1])
	}
	return out
}

func TestMergingARequestWithoutRepetitionsCostsNoMemory(t *testing.T) {
	q := ProduceRequest{Topics: []ProduceTopic{{Name: []byte("a"), Count: 3}, {Name: []byte("b"), First: 3, Count: 40}}}
	for _, p := range append([]int32{2, 0, 1}, int32s(40)...) {
		q.Partitions = append(q.Partitions, ProducePartition{Index: p})
	}
	if n := testing.AllocsPerRun(100, q.Merge); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func int32s(n int32) (out []int32) {
	for i := range n {
		out = append(out, i)
	}
	return out
}
