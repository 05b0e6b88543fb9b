package batch

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// rec is a record with memory of its own, to compare with.
type rec struct {
	Offset, Timestamp int64
	Key, Value        []byte
	Headers           []Header
}

// records reads b into recs.
func records(t testing.TB, r *Reader, b Batch) ([]rec, error) {
	t.Helper()
	var out []rec
	err := r.Each(b, func(x *Record) error {
		out = append(out, own(x))
		return nil
	})
	return out, err
}

func own(x *Record) rec {
	o := rec{Offset: x.Offset, Timestamp: x.Timestamp, Key: bytes.Clone(x.Key), Value: bytes.Clone(x.Value)}
	for k, v := range x.Headers.All() {
		o.Headers = append(o.Headers, Header{Key: string(k), Value: bytes.Clone(v)})
	}
	return o
}

// diff is cmp.Diff for records. Values are compared whole: byte by byte, cmp takes seconds.
func diff(want, got []rec) string {
	return cmp.Diff(want, got, cmp.Comparer(func(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }))
}

// build makes a batch of its own memory.
func build(t testing.TB, o Options, recs ...rec) Batch {
	t.Helper()
	b := NewBuilder(NewCodecs(Limits{}))
	b.Reset(o)
	for _, r := range recs {
		if err := b.AppendAt(r.Offset, r.Timestamp, r.Key, r.Value, MakeHeaders(r.Headers...)); err != nil {
			t.Fatal(err)
		}
	}
	out, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return Batch(bytes.Clone(out))
}

// plain are n records at offsets from 0.
func plain(n int) []rec {
	out := make([]rec, n)
	for i := range out {
		out[i] = rec{Offset: int64(i), Timestamp: 1000 + int64(i), Key: []byte{byte(i)}, Value: bytes.Repeat([]byte("value "), 20)}
	}
	return out
}

// kmsgBatch encodes records with franz-go's structs and compressors: the same format from other hands.
func kmsgBatch(t testing.TB, codec Codec, level int, recs ...rec) Batch {
	t.Helper()
	var area []byte
	maxTimestamp := int64(-1)
	for _, r := range recs {
		k := kmsg.Record{
			TimestampDelta64: r.Timestamp - recs[0].Timestamp,
			OffsetDelta:      int32(r.Offset),
			Key:              r.Key,
			Value:            r.Value,
		}
		for _, h := range r.Headers {
			k.Headers = append(k.Headers, kmsg.Header{Key: h.Key, Value: h.Value})
		}
		body := k.AppendTo(nil)[1:] // Length 0 takes one byte
		k.Length = int32(len(body))
		area = k.AppendTo(area)
		maxTimestamp = max(maxTimestamp, r.Timestamp)
	}
	if codec != CodecNone {
		area = kgoCompress(t, codec, level, area)
	}
	kb := kmsg.RecordBatch{
		Length:               int32(HeaderSize - LengthSize + len(area)),
		PartitionLeaderEpoch: -1,
		Magic:                MagicV2,
		Attributes:           int16(codec),
		LastOffsetDelta:      int32(len(recs) - 1),
		FirstTimestamp:       recs[0].Timestamp,
		MaxTimestamp:         maxTimestamp,
		ProducerID:           -1,
		ProducerEpoch:        -1,
		FirstSequence:        -1,
		NumRecords:           int32(len(recs)),
		Records:              area,
	}
	return reseal(kb.AppendTo(nil))
}

func kgoCompress(t testing.TB, codec Codec, level int, area []byte) []byte {
	t.Helper()
	c := map[Codec]kgo.CompressionCodec{Gzip: kgo.GzipCompression(), Snappy: kgo.SnappyCompression(), LZ4: kgo.Lz4Compression(),
		Zstd: kgo.ZstdCompression()}[codec]
	if level != 0 {
		c = c.WithLevel(level)
	}
	comp, err := kgo.DefaultCompressor(c)
	if err != nil {
		t.Fatal(err)
	}
	out, used := comp.Compress(new(bytes.Buffer), area)
	if Codec(used) != codec {
		t.Fatalf("franz-go compressed with %v, not %v", used, codec)
	}
	return bytes.Clone(out)
}

// kgoRead decodes batches with franz-go's consumer, which also checks lengths and CRC.
func kgoRead(t testing.TB, batches []byte) []rec {
	t.Helper()
	fp, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Topic: "t", KeepControlRecords: true, Offset: math.MinInt32},
		&kmsg.FetchResponseTopicPartition{RecordBatches: batches}, kgo.DefaultDecompressor(), nil)
	if fp.Err != nil {
		t.Fatalf("franz-go cannot read it: %v", fp.Err)
	}
	var out []rec
	for _, r := range fp.Records {
		o := rec{Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			o.Headers = append(o.Headers, Header{Key: h.Key, Value: h.Value})
		}
		out = append(out, o)
	}
	return out
}

// reseal corrects length and CRC after a test has tampered with b.
func reseal(b []byte) Batch {
	binary.BigEndian.PutUint32(b[lengthAt:], uint32(len(b)-LengthSize))
	binary.BigEndian.PutUint32(b[crcAt:], crc32.Checksum(b[attributesAt:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// wrap makes a batch of count records around a record area, true or not.
func wrap(codec Codec, count int32, area []byte) Batch {
	b := make([]byte, HeaderSize, HeaderSize+len(area))
	binary.BigEndian.PutUint32(b[leaderEpochAt:], math.MaxUint32)
	b[magicAt] = MagicV2
	binary.BigEndian.PutUint16(b[attributesAt:], uint16(codec))
	binary.BigEndian.PutUint32(b[lastOffsetDeltaAt:], uint32(count-1))
	binary.BigEndian.PutUint64(b[baseTimestampAt:], 1000)
	binary.BigEndian.PutUint64(b[maxTimestampAt:], 1000)
	binary.BigEndian.PutUint64(b[producerIDAt:], math.MaxUint64)
	binary.BigEndian.PutUint16(b[producerEpochAt:], math.MaxUint16)
	binary.BigEndian.PutUint32(b[baseSequenceAt:], math.MaxUint32)
	binary.BigEndian.PutUint32(b[recordCountAt:], uint32(count))
	return reseal(append(b, area...))
}

// compress compresses an area with our own encoders.
func compress(t testing.TB, codec Codec, area []byte) []byte {
	t.Helper()
	s := sink{limit: math.MaxInt}
	e, _, err := NewCodecs(Limits{}).encoder(codec, DefaultLevel, &s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Write(area); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return s.buf
}

// lax are rules that only broken batches break.
func lax() *Rules {
	return &Rules{MaxMessageBytes: math.MaxInt32, BeforeMaxMs: math.MaxInt64, AfterMaxMs: math.MaxInt64, NowMs: 5000}
}

// allocated is how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func code(f *Fault) kafka.ErrorCode {
	if f == nil {
		return kafka.None
	}
	return f.Code
}

var allCodecs = slices.Values([]Codec{CodecNone, Gzip, Snappy, LZ4, Zstd})
