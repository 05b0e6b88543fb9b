// Package batch knows record batches v2: bytes to views and back, CRC-32C, compression, and what a leader demands of a produced batch.
//
// It promises three things. Accessors and checks read in place and allocate nothing per record. No bytes, however hostile, make it panic, read
// beyond their end, or hold more memory than Limits allows. What Checker accepts, Reader reads.
//
// Core: no clock, goroutine, file, log or lock here (pools of compressors apart); the time comes in Rules. Start reading here, then check.go for
// produce, reader.go for everything that looks inside, filter.go for compaction. The bytes are drawn in docs/formats/record-batch.md.
package batch

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"math"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// Where the fields of the header lie. The CRC covers everything from the attributes on, so that a leader may set the base offset and the leader
// epoch of a client's batch without reading the rest.
const (
	baseOffsetAt      = 0
	lengthAt          = 8
	leaderEpochAt     = 12
	magicAt           = 16
	crcAt             = 17
	attributesAt      = 21
	lastOffsetDeltaAt = 23
	baseTimestampAt   = 27
	maxTimestampAt    = 35
	producerIDAt      = 43
	producerEpochAt   = 51
	baseSequenceAt    = 53
	recordCountAt     = 57

	// HeaderSize is the fixed size of the header; the records follow it.
	HeaderSize = 61
	// LengthSize is how many bytes PeekLength needs: base offset and length. The length field does not count them.
	LengthSize = 12
	// MagicV2 is the only format there is: Kafka dropped 0 and 1 in 4.0 (KIP-724).
	MagicV2 = 2
	// NoTimestamp is the timestamp of a record that has none.
	NoTimestamp = -1
	// NoSequence is the base sequence of a batch without an idempotent producer.
	NoSequence = -1
)

// Bits of the attributes.
const (
	codecMask        = 0x07
	logAppendTimeBit = 0x08
	transactionalBit = 0x10
	controlBit       = 0x20
	deleteHorizonBit = 0x40
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Batch is a view over exactly one whole record batch v2, header and records. Next makes one; a slice cast to Batch must hold at least HeaderSize
// bytes, or the accessors panic.
type Batch []byte

// PeekLength is the size in bytes of the batch that starts with header (at least LengthSize bytes of it), or a Fault when no batch can be that
// long. It does not look at what follows, so the caller compares the size with what there is before reading or allocating it.
func PeekLength(header []byte) (total int, err error) {
	if len(header) < LengthSize {
		return 0, tornf("%d bytes are too few for the length of a record batch", len(header))
	}
	length := int32(binary.BigEndian.Uint32(header[lengthAt:]))
	if length < HeaderSize-LengthSize || length > math.MaxInt32-LengthSize {
		return 0, faultf(kafka.CorruptMessage, "a record batch cannot have length %d", length)
	}
	return int(length) + LengthSize, nil
}

// Next splits the first batch off b. When b ends inside it, the error is a *Fault for which errors.Is(err, io.ErrUnexpectedEOF) holds; other
// Faults say that no batch starts here (impossible length, other magic). An empty b is io.EOF. The CRC is not looked at.
func Next(b []byte) (first Batch, rest []byte, err error) {
	if len(b) == 0 {
		return nil, nil, io.EOF
	}
	total, err := PeekLength(b)
	if err != nil {
		return nil, b, err
	}
	if len(b) > magicAt && b[magicAt] != MagicV2 {
		return nil, b, faultf(kafka.CorruptMessage, "the record batch has magic %d, only %d is known", int8(b[magicAt]), MagicV2)
	}
	if total > len(b) {
		return nil, b, tornf("the record batch is %d bytes long, but only %d are there", total, len(b))
	}
	return Batch(b[:total:total]), b[total:], nil
}

func (b Batch) int64At(i int) int64 { return int64(binary.BigEndian.Uint64(b[i:])) }
func (b Batch) int32At(i int) int32 { return int32(binary.BigEndian.Uint32(b[i:])) }

// BaseOffset is the offset that the offset deltas of the records count from: of the first record, unless compaction removed it.
func (b Batch) BaseOffset() int64 { return b.int64At(baseOffsetAt) }

// LastOffset is the offset of the last record the batch was written with. Compaction may have removed the record, never the offset.
func (b Batch) LastOffset() int64 { return b.BaseOffset() + int64(b.LastOffsetDelta()) }

// LeaderEpoch is the epoch of the leader that appended the batch; -1 from a client.
func (b Batch) LeaderEpoch() int32 { return b.int32At(leaderEpochAt) }

// Magic is the version of the format.
func (b Batch) Magic() int8 { return int8(b[magicAt]) }

// CRC is the stored checksum.
func (b Batch) CRC() uint32 { return binary.BigEndian.Uint32(b[crcAt:]) }

// ComputeCRC is the checksum the bytes have: CRC-32C from the attributes to the end.
func (b Batch) ComputeCRC() uint32 { return crc32.Checksum(b[attributesAt:], castagnoli) }

// ValidCRC reports whether both agree.
func (b Batch) ValidCRC() bool { return b.CRC() == b.ComputeCRC() }

// Attributes are all flags as they lie in the header.
func (b Batch) Attributes() int16 { return int16(binary.BigEndian.Uint16(b[attributesAt:])) }

// Codec is how the record area is compressed; values 5 to 7 exist in the bits but not in Kafka.
func (b Batch) Codec() Codec { return Codec(b.Attributes() & codecMask) }

// LogAppendTime reports whether MaxTimestamp is when the broker appended the batch, and with it the timestamp of every record in it.
func (b Batch) LogAppendTime() bool { return b.Attributes()&logAppendTimeBit != 0 }

// Transactional reports whether the records belong to a transaction.
func (b Batch) Transactional() bool { return b.Attributes()&transactionalBit != 0 }

// Control reports whether the batch holds a control record, such as the marker that ends a transaction; applications never see those.
func (b Batch) Control() bool { return b.Attributes()&controlBit != 0 }

// DeleteHorizonSet reports whether BaseTimestamp is a delete horizon: when compaction may drop the tombstones or the marker of the batch.
func (b Batch) DeleteHorizonSet() bool { return b.Attributes()&deleteHorizonBit != 0 }

// LastOffsetDelta is LastOffset - BaseOffset. It outlives compaction, because the last sequence of the producer is computed from it.
func (b Batch) LastOffsetDelta() int32 { return b.int32At(lastOffsetDeltaAt) }

// BaseTimestamp is what the timestamp deltas of the records count from.
func (b Batch) BaseTimestamp() int64 { return b.int64At(baseTimestampAt) }

// MaxTimestamp is the largest timestamp of the records, or when the batch was appended (LogAppendTime). In milliseconds, -1 without any.
func (b Batch) MaxTimestamp() int64 { return b.int64At(maxTimestampAt) }

// ProducerID is the idempotent producer's id, -1 without one.
func (b Batch) ProducerID() int64 { return b.int64At(producerIDAt) }

// HasProducerID reports whether an idempotent producer wrote the batch.
func (b Batch) HasProducerID() bool { return b.ProducerID() >= 0 }

// ProducerEpoch is that producer's epoch.
func (b Batch) ProducerEpoch() int16 { return int16(binary.BigEndian.Uint16(b[producerEpochAt:])) }

// BaseSequence is the sequence number of the first record, -1 without an idempotent producer and in control batches.
func (b Batch) BaseSequence() int32 { return b.int32At(baseSequenceAt) }

// LastSequence is the sequence number of the last record the batch was written with, or -1.
func (b Batch) LastSequence() int32 {
	if b.BaseSequence() < 0 {
		return NoSequence
	}
	return NextSequence(b.BaseSequence(), b.LastOffsetDelta())
}

// RecordCount is how many records the batch holds now; 0 where compaction kept only the header.
func (b Batch) RecordCount() int32 { return b.int32At(recordCountAt) }

// Records is the record area, compressed as Codec says.
func (b Batch) Records() []byte { return b[HeaderSize:] }

// SetBaseOffset moves the batch to its place in the log. The CRC does not cover it.
func (b Batch) SetBaseOffset(offset int64) {
	binary.BigEndian.PutUint64(b[baseOffsetAt:], uint64(offset))
}

// SetLeaderEpoch notes the leader that appends the batch. The CRC does not cover it.
func (b Batch) SetLeaderEpoch(epoch int32) {
	binary.BigEndian.PutUint32(b[leaderEpochAt:], uint32(epoch))
}

// SetLogAppendTime makes ms the timestamp of every record, and computes the CRC anew.
func (b Batch) SetLogAppendTime(ms int64) { b.setMaxTimestamp(ms, true) }

// setMaxTimestamp sets the largest timestamp and its kind. It leaves the bytes, and the CRC uncomputed, when they say so already.
func (b Batch) setMaxTimestamp(ms int64, logAppendTime bool) {
	if b.MaxTimestamp() == ms && b.LogAppendTime() == logAppendTime {
		return
	}
	attributes := b.Attributes() &^ logAppendTimeBit
	if logAppendTime {
		attributes |= logAppendTimeBit
	}
	binary.BigEndian.PutUint16(b[attributesAt:], uint16(attributes))
	binary.BigEndian.PutUint64(b[maxTimestampAt:], uint64(ms))
	b.seal()
}

// seal writes the CRC that the bytes have.
func (b Batch) seal() { binary.BigEndian.PutUint32(b[crcAt:], b.ComputeCRC()) }

// NextSequence is the sequence number n records after last, with n >= 0. Sequence numbers run from 0 to 2147483647 and start over at 0.
func NextSequence(last, n int32) int32 { return int32((uint32(last) + uint32(n)) & math.MaxInt32) }
