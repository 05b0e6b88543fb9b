package wire

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Codec numbers as they stand in a batch's attributes.
const (
	CodecNone = iota
	CodecGzip
	CodecSnappy
	CodecLZ4
	CodecZstd
)

// Record is one record to be put into a batch.
type Record struct {
	Key, Value []byte
	Headers    []kmsg.Header
}

// Batch describes a record batch v2 to build, right or wrong on purpose.
type Batch struct {
	BaseOffset     int64
	BaseTimestamp  int64 // record i carries BaseTimestamp + i
	Attributes     int16 // codec in the low three bits; the records are compressed accordingly
	ProducerID     int64
	ProducerEpoch  int16
	BaseSequence   int32
	Records        []Record
	Magic          int8  // 0 means 2
	CountPlus      int32 // added to the record count
	LastDeltaPlus  int32 // added to the last offset delta
	MaxTimestamp   int64 // 0: the true one
	LengthPlus     int32 // added to the length field
	FlipCRC        bool
	FlipBody       bool // a bit of the record area flips before the CRC is taken
	CutBody        bool // the record area ends in its middle
	NoBody         bool // there is no record area
	FirstDeltaPlus int32
}

// NewBatch is a batch outside of any producer's sequence.
func NewBatch(baseTimestamp int64, records ...Record) Batch {
	return Batch{BaseTimestamp: baseTimestamp, ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1, Records: records}
}

// Encode gives the batch's bytes.
func (b Batch) Encode() []byte {
	var area []byte
	for i, r := range b.Records {
		rec := kmsg.Record{TimestampDelta64: int64(i), OffsetDelta: int32(i) + b.FirstDeltaPlus, Key: r.Key, Value: r.Value, Headers: r.Headers}
		body := rec.AppendTo(nil) // with a length of 0, which takes one byte
		rec.Length = int32(len(body) - 1)
		area = rec.AppendTo(area)
	}
	area = compress(int(b.Attributes&7), area)
	if b.FlipBody && len(area) > 0 {
		area[len(area)/2] ^= 0x10
	}
	switch {
	case b.CutBody:
		area = area[:len(area)/2]
	case b.NoBody:
		area = nil
	}
	magic := b.Magic
	if magic == 0 {
		magic = 2
	}
	n := int32(len(b.Records))
	maxTimestamp := b.MaxTimestamp
	if maxTimestamp == 0 {
		maxTimestamp = b.BaseTimestamp + max(int64(n)-1, 0)
	}
	out := binary.BigEndian.AppendUint64(nil, uint64(b.BaseOffset))
	out = binary.BigEndian.AppendUint32(out, uint32(49+len(area))+uint32(b.LengthPlus))
	out = binary.BigEndian.AppendUint32(out, 0xffffffff) // leader epoch: the broker's to fill
	out = append(out, byte(magic))
	crcAt := len(out)
	out = binary.BigEndian.AppendUint32(out, 0)
	out = binary.BigEndian.AppendUint16(out, uint16(b.Attributes))
	out = binary.BigEndian.AppendUint32(out, uint32(n-1+b.LastDeltaPlus))
	out = binary.BigEndian.AppendUint64(out, uint64(b.BaseTimestamp))
	out = binary.BigEndian.AppendUint64(out, uint64(maxTimestamp))
	out = binary.BigEndian.AppendUint64(out, uint64(b.ProducerID))
	out = binary.BigEndian.AppendUint16(out, uint16(b.ProducerEpoch))
	out = binary.BigEndian.AppendUint32(out, uint32(b.BaseSequence))
	out = binary.BigEndian.AppendUint32(out, uint32(n+b.CountPlus))
	out = append(out, area...)
	crc := crc32.Checksum(out[crcAt+4:], crc32.MakeTable(crc32.Castagnoli))
	if b.FlipCRC {
		crc ^= 1
	}
	binary.BigEndian.PutUint32(out[crcAt:], crc)
	return out
}

func compress(codec int, area []byte) []byte {
	var buf bytes.Buffer
	switch codec {
	case CodecGzip:
		w := gzip.NewWriter(&buf)
		w.Write(area)
		w.Close()
	case CodecSnappy:
		return s2.EncodeSnappy(nil, area)
	case CodecLZ4:
		w := lz4.NewWriter(&buf)
		w.Write(area)
		w.Close()
	case CodecZstd:
		w, _ := zstd.NewWriter(&buf)
		w.Write(area)
		w.Close()
	default:
		return area
	}
	return buf.Bytes()
}
