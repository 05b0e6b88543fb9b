package batch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
)

// Producer identifies the idempotent producer of a batch.
type Producer struct {
	ID           int64
	Epoch        int16
	BaseSequence int32 // of the first record; -1 in control batches
}

// Options are what a header says besides what follows from its records.
type Options struct {
	BaseOffset  int64
	LeaderEpoch int32
	Codec       Codec
	Level       int       // of compression; 0 = the codec's default
	Producer    *Producer // nil = none
	// LogAppendTime gives all records the timestamp LogAppendTimeMs.
	LogAppendTime   bool
	LogAppendTimeMs int64
	Transactional   bool
	Control         bool
	// DeleteHorizonSet makes DeleteHorizonMs the base timestamp and says so.
	DeleteHorizonSet bool
	DeleteHorizonMs  int64
}

// Builder makes batches, one after another, reusing its memory. Reset, then Append each record, then Build. For one goroutine at a time.
type Builder struct {
	codecs  *Codecs
	options Options
	out     sink // header and record area
	encoder encoder
	pool    *sync.Pool // where encoder goes back to
	scratch []byte

	count         int32
	lastDelta     int32
	baseTimestamp int64
	maxTimestamp  int64
	size          int // Len
	err           error
}

// NewBuilder makes a builder that takes its compressors from codecs.
func NewBuilder(codecs *Codecs) *Builder { return &Builder{codecs: codecs} }

// keepBytes is the largest buffer that builders and checkers keep from one batch to the next: one of Kafka's default max.message.bytes fits.
const keepBytes = 5 << 18

// Reset starts a batch. What the last Build returned is no longer valid.
func (b *Builder) Reset(o Options) {
	b.dropEncoder()
	b.options = o
	b.count, b.lastDelta, b.err = 0, -1, nil
	b.baseTimestamp, b.maxTimestamp = NoTimestamp, NoTimestamp
	if o.DeleteHorizonSet {
		b.baseTimestamp = o.DeleteHorizonMs
	}
	if cap(b.out.buf) > keepBytes {
		b.out.buf = nil
	}
	if b.out.buf == nil {
		b.out.buf = make([]byte, 0, 1<<10)
	}
	b.out.buf = b.out.buf[:HeaderSize]
	b.out.limit = math.MaxInt32
	b.size = HeaderSize
	if o.Codec != CodecNone {
		b.encoder, b.pool, b.err = b.codecs.encoder(o.Codec, o.Level, &b.out)
	}
}

// Append adds a record at the offset after the last one. A nil key or value is null.
func (b *Builder) Append(timestamp int64, key, value []byte, headers Headers) error {
	return b.AppendAt(b.options.BaseOffset+int64(b.lastDelta)+1, timestamp, key, value, headers)
}

// AppendAt adds a record at an offset beyond the last one's; gaps are where compaction removed records. An error makes the batch useless, and
// Build repeats it.
func (b *Builder) AppendAt(offset, timestamp int64, key, value []byte, headers Headers) error {
	if b.err != nil {
		return b.err
	}
	delta := offset - b.options.BaseOffset
	switch {
	case delta <= int64(b.lastDelta) || delta > math.MaxInt32:
		b.err = fmt.Errorf("append a record at offset %d to a batch of base offset %d, %d being its last", offset, b.options.BaseOffset,
			b.options.BaseOffset+int64(b.lastDelta))
		return b.err
	case !headers.valid():
		b.err = errors.New("append a record whose headers are not headers")
		return b.err
	}
	if b.count == 0 && !b.options.DeleteHorizonSet {
		b.baseTimestamp = timestamp
	}
	timestampDelta := timestamp - b.baseTimestamp // may wrap, and then wraps back when it is read
	size := bodySize(timestampDelta, int32(delta), key, value, headers)
	if size > math.MaxInt32-b.size-varint32Max {
		b.err = fmt.Errorf("append a record of %d bytes: the batch would be longer than 2 GiB", size)
		return b.err
	}
	if b.encoder == nil {
		b.out.buf = appendRecord(b.out.buf, size, timestampDelta, int32(delta), key, value, headers)
	} else {
		b.scratch = appendRecord(b.scratch[:0], size, timestampDelta, int32(delta), key, value, headers)
		if _, err := b.encoder.Write(b.scratch); err != nil {
			b.err = fmt.Errorf("compress a record with %v: %w", b.options.Codec, err)
			return b.err
		}
		if cap(b.scratch) > keepBytes {
			b.scratch = nil
		}
	}
	b.size += varintSize(int64(size)) + size
	b.count++
	b.lastDelta = int32(delta)
	b.maxTimestamp = max(b.maxTimestamp, timestamp)
	return nil
}

// ExtendTo makes offset the batch's last offset although no record lies there: compaction removed it, but neither the offsets of the log nor the
// sequence numbers of the producer may shrink.
func (b *Builder) ExtendTo(offset int64) error {
	delta := offset - b.options.BaseOffset
	if b.err == nil && (delta < int64(b.lastDelta) || delta > math.MaxInt32) {
		b.err = fmt.Errorf("extend a batch of base offset %d to offset %d, its last being %d", b.options.BaseOffset, offset,
			b.options.BaseOffset+int64(b.lastDelta))
	}
	if b.err == nil {
		b.lastDelta = int32(delta)
	}
	return b.err
}

// Count is the number of records appended since Reset.
func (b *Builder) Count() int { return int(b.count) }

// Len is the size of the batch if it were not compressed.
func (b *Builder) Len() int { return b.size }

// Build ends the batch and returns it, valid until the next Reset. Without records it is what Kafka calls an empty batch: see ExtendTo.
func (b *Builder) Build() (Batch, error) {
	if b.err == nil && b.encoder != nil && b.count > 0 {
		if err := b.encoder.Close(); err != nil {
			b.err = fmt.Errorf("compress the records with %v: %w", b.options.Codec, err)
		} else {
			b.encoder.Reset(nil)
			b.pool.Put(b.encoder)
		}
	}
	b.dropEncoder()
	if b.err != nil {
		return nil, b.err
	}
	return b.header(), nil
}

// dropEncoder lets an encoder go that is in no state to be pooled.
func (b *Builder) dropEncoder() { b.encoder, b.pool = nil, nil }

func (b *Builder) header() Batch {
	o := &b.options
	attributes := int16(o.Codec)
	if b.count == 0 {
		attributes = int16(CodecNone) // there is nothing to decompress
	}
	maxTimestamp := b.maxTimestamp
	if o.LogAppendTime {
		attributes |= logAppendTimeBit
		maxTimestamp = o.LogAppendTimeMs
	}
	if o.Transactional {
		attributes |= transactionalBit
	}
	if o.Control {
		attributes |= controlBit
	}
	if o.DeleteHorizonSet {
		attributes |= deleteHorizonBit
	}
	producer := Producer{ID: -1, Epoch: -1, BaseSequence: NoSequence}
	if o.Producer != nil {
		producer = *o.Producer
	}
	out := Batch(b.out.buf)
	be := binary.BigEndian
	be.PutUint64(out[baseOffsetAt:], uint64(o.BaseOffset))
	be.PutUint32(out[lengthAt:], uint32(len(out)-LengthSize))
	be.PutUint32(out[leaderEpochAt:], uint32(o.LeaderEpoch))
	out[magicAt] = MagicV2
	be.PutUint16(out[attributesAt:], uint16(attributes))
	be.PutUint32(out[lastOffsetDeltaAt:], uint32(b.lastDelta))
	be.PutUint64(out[baseTimestampAt:], uint64(b.baseTimestamp))
	be.PutUint64(out[maxTimestampAt:], uint64(maxTimestamp))
	be.PutUint64(out[producerIDAt:], uint64(producer.ID))
	be.PutUint16(out[producerEpochAt:], uint16(producer.Epoch))
	be.PutUint32(out[baseSequenceAt:], uint32(producer.BaseSequence))
	be.PutUint32(out[recordCountAt:], uint32(b.count))
	out.seal()
	return out
}
