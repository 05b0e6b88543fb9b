package server_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/testkit"
)

// bombs is one batch per codec, each below the default max.message.bytes, of 300 records of 100 kB of nothing (snappy: 120).
func bombs(t testing.TB) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for name, codec := range map[string]struct {
		number, records int
		compress        func(io.Writer) io.WriteCloser
	}{ // any order: into a map
		"gzip":   {1, 300, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }},
		"snappy": {2, 120, func(w io.Writer) io.WriteCloser { return &snappyBlock{w: w} }},
		"lz4":    {3, 300, func(w io.Writer) io.WriteCloser { return lz4.NewWriter(w) }},
		"zstd": {4, 300, func(w io.Writer) io.WriteCloser {
			z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
			if err != nil {
				t.Fatal(err)
			}
			return z
		}},
	} {
		var compressed bytes.Buffer
		w := codec.compress(&compressed)
		value := make([]byte, 100_000)
		for i := range codec.records {
			r := kmsg.Record{OffsetDelta: int32(i), Value: value}
			r.Length = int32(len(r.AppendTo(nil)) - 1)
			if _, err := w.Write(r.AppendTo(nil)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		now := time.Now().UnixMilli()
		b := kmsg.RecordBatch{Magic: 2, Attributes: int16(codec.number), ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, FirstTimestamp: now, MaxTimestamp: now,
			NumRecords: int32(codec.records), LastOffsetDelta: int32(codec.records) - 1, Records: compressed.Bytes()}
		out[name] = testkit.Seal(b.AppendTo(nil))
		if n := len(out[name]); n > 1_000_000 {
			t.Fatalf("the bomb of %s has %d bytes", name, n)
		}
	}
	return out
}

// snappyBlock is one raw block, the form librdkafka sends: it must be decompressed as a whole.
type snappyBlock struct {
	w   io.Writer
	all []byte
}

func (s *snappyBlock) Write(b []byte) (int, error) { s.all = append(s.all, b...); return len(b), nil }

func (s *snappyBlock) Close() error {
	_, err := s.w.Write(snappy.Encode(nil, s.all))
	return err
}

func TestBombsAreAcceptedAsTheBatchesTheyAre(t *testing.T) {
	b := testkit.Start(t, "log.flush=never")
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1)
	for name, bomb := range bombs(t) { // any order: each by itself
		if got := c.Produce(9, -1, "t", 0, bomb); got.ErrorCode != 0 {
			t.Errorf("%s: error %d", name, got.ErrorCode)
		}
		// One that lies about how many records come out is refused after they were counted.
		lie := bytes.Clone(bomb)
		binary.BigEndian.PutUint32(lie[57:], 1<<30)
		binary.BigEndian.PutUint32(lie[23:], 1<<30-1)
		if got := c.Produce(9, -1, "t", 0, testkit.Seal(lie)); got.ErrorCode != 87 {
			t.Errorf("%s with a billion records: error %d", name, got.ErrorCode)
		}
	}
}
