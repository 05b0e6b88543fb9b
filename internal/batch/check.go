package batch

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// Compression is the topic property compression.type. The zero value is "producer": batches stay as their producer compressed them.
type Compression struct {
	Override bool // compress with Codec what is compressed otherwise
	Codec    Codec
	Level    int // 0 = the codec's default
}

// Rules are what a topic demands of a produced batch, and the time.
type Rules struct {
	MaxMessageBytes int32 // max.message.bytes: of a whole batch, compressed
	Compression     Compression
	LogAppendTime   bool  // message.timestamp.type=LogAppendTime
	BeforeMaxMs     int64 // message.timestamp.before.max.ms
	AfterMaxMs      int64 // message.timestamp.after.max.ms
	RequireKeys     bool  // cleanup.policy has compact
	NowMs           int64
}

// Info is what a check has learned on the way.
type Info struct {
	Records      int32
	MaxTimestamp int64 // the batch's; under LogAppendTime it is Rules.NowMs
	// MaxTimestampOffsetDelta is the offset delta of the first record with the largest timestamp; under LogAppendTime of the first record.
	MaxTimestampOffsetDelta int32
	RecordBytes             int64 // of the record area, decompressed
	Rewritten               bool  // the batch does not alias the bytes it came in
}

// Checker validates produced batches, for one goroutine at a time. Between two calls it holds no more than the last batch it rewrote.
type Checker struct {
	codecs *Codecs
	cursor cursor
	fields fields
	out    sink
	head   []byte // scratch of rewrite
}

// NewChecker makes a checker that takes its decompressors and compressors from codecs.
func NewChecker(codecs *Codecs) *Checker { return &Checker{codecs: codecs} }

// Check validates raw, which is all that one Produce request brings for one partition, as a leader must before it appends: one whole batch v2 whose
// header is sound, whose records can be read to their exact end, and which obeys the rules. The Fault carries the code that Kafka answers, also where
// it is UNKNOWN_SERVER_ERROR, as for records that cannot be decompressed.
//
// The batch aliases raw, patched where MaxTimestamp was wrong or the time is the broker's (LogAppendTime), unless Info.Rewritten: the topic wants
// another codec, or the offset deltas of uncompressed records were not 0, 1, 2... Kafka stores those as they are; we correct them, since readers and
// compaction would take such a record for a later one of another producer. Compressed batches with such deltas are refused, as by Kafka, unless the
// topic wants another codec. A rewritten batch is valid until the next Check.
//
// Records of a compressed batch are looked at as they stream through a window, so their number and size cost time but no memory.
func (c *Checker) Check(raw []byte, rules *Rules) (Batch, Info, *Fault) {
	b, fault := Single(raw)
	if fault == nil {
		fault = checkHeader(b, rules)
	}
	if fault != nil {
		return nil, Info{}, fault
	}
	info, consecutive, fault := c.checkRecords(b, rules)
	if fault != nil {
		return nil, Info{}, fault
	}
	codec := b.Codec()
	if rules.Compression.Override {
		codec = rules.Compression.Codec
	}
	if codec == b.Codec() && codec != CodecNone && !consecutive {
		return nil, Info{}, faultf(kafka.UnknownServerError, "the offset deltas of the records in a compressed batch must be 0, 1, 2 and so on")
	}
	if codec != b.Codec() || !consecutive {
		if b, fault = c.rewrite(b, codec, info.RecordBytes, rules); fault != nil {
			return nil, Info{}, fault
		}
		info.Rewritten = true
	}
	if rules.LogAppendTime {
		info.MaxTimestamp, info.MaxTimestampOffsetDelta = rules.NowMs, 0
	}
	b.setMaxTimestamp(info.MaxTimestamp, rules.LogAppendTime)
	return b, info, nil
}

// Single is the one batch that raw brings. Bytes after it that are too few for another batch are left out, as in Kafka; a second batch, or bytes
// that cannot begin one, are a Fault.
func Single(raw []byte) (Batch, *Fault) {
	if len(raw) == 0 {
		return nil, faultf(kafka.InvalidRecord, "the request holds no record batch for the partition")
	}
	size, fault := peek(raw)
	switch {
	case fault != nil:
		return nil, fault
	case size == 0:
		return nil, tooFew(raw)
	case raw[magicAt] != MagicV2:
		return nil, faultf(kafka.InvalidRecord, "the records have message format %d: only format %d, of clients since 0.11, can be written", raw[magicAt], MagicV2)
	case size < HeaderSize:
		return nil, faultf(kafka.CorruptMessage, "a record batch cannot have length %d", size-LengthSize)
	}
	second, fault := peek(raw[size:])
	switch {
	case fault != nil:
		return nil, fault
	case second > 0:
		return nil, faultf(kafka.InvalidRecord, "the request holds more than one record batch for the partition")
	}
	return Batch(raw[:size:size]), nil
}

// peek is the size of the record batch, or message set of an older format, that b begins with, and 0 when b ends inside it. It agrees with Kafka on
// which bytes are corrupt rather than too few.
func peek(b []byte) (size int, fault *Fault) {
	const smallest = 14 // of a message of format 0, less its offset and its length
	if len(b) < LengthSize {
		return 0, nil
	}
	length := int32(binary.BigEndian.Uint32(b[lengthAt:]))
	if length < smallest {
		return 0, faultf(kafka.CorruptMessage, "a record batch cannot have length %d", length)
	}
	if len(b) <= magicAt {
		return 0, nil
	}
	if b[magicAt] > MagicV2 {
		return 0, faultf(kafka.CorruptMessage, "the records have message format %d, which does not exist", int8(b[magicAt]))
	}
	if int64(length)+LengthSize > int64(len(b)) {
		return 0, nil
	}
	return int(length) + LengthSize, nil
}

// tooFew says how raw falls short of a batch.
func tooFew(raw []byte) *Fault {
	f := faultf(kafka.InvalidRecord, "%d bytes are too few for a record batch", len(raw))
	if len(raw) > magicAt {
		f.Message = fmt.Sprintf("the record batch is %d bytes long, but only %d are there", int64(binary.BigEndian.Uint32(raw[lengthAt:]))+LengthSize, len(raw))
	}
	f.cause = io.ErrUnexpectedEOF
	return f
}

// checkHeader looks at all that can be said without the records.
func checkHeader(b Batch, rules *Rules) *Fault {
	if b.BaseOffset() != 0 {
		return faultf(kafka.InvalidRecord, "the base offset of a produced batch must be 0, not %d", b.BaseOffset())
	}
	if len(b) > int(rules.MaxMessageBytes) {
		return tooLarge(len(b), rules)
	}
	if !b.ValidCRC() {
		return faultf(kafka.CorruptMessage, "the batch has checksum %08x, its bytes have %08x", b.CRC(), b.ComputeCRC())
	}
	count, lastDelta := b.RecordCount(), b.LastOffsetDelta()
	switch {
	case count <= 0:
		return faultf(kafka.InvalidRecord, "the batch says it holds %d records", count)
	case int64(lastDelta)+1 != int64(count):
		return faultf(kafka.InvalidRecord, "the batch says it holds %d records, but its last offset delta is %d", count, lastDelta)
	case b.Control():
		return faultf(kafka.InvalidRecord, "clients may not write control batches")
	case b.HasProducerID() && b.BaseSequence() < 0:
		return faultf(kafka.InvalidRecord, "the batch of producer id %d has base sequence %d", b.ProducerID(), b.BaseSequence())
	}
	return nil
}

func tooLarge(size int, rules *Rules) *Fault {
	return faultf(kafka.MessageTooLarge, "the batch of %d bytes exceeds max.message.bytes, which is %d", size, rules.MaxMessageBytes)
}

// checkRecords reads every record. consecutive is whether their offset deltas are 0, 1, 2 and so on.
func (c *Checker) checkRecords(b Batch, rules *Rules) (info Info, consecutive bool, fault *Fault) {
	defer func() {
		c.cursor.close()
		c.fields = fields{} // its slices would pin the request
	}()
	if fault := c.cursor.open(c.codecs, b); fault != nil {
		return info, false, fault
	}
	var (
		cur          = &c.cursor
		f            = &c.fields
		count        = b.RecordCount()
		base         = b.BaseTimestamp()
		bounded      = !rules.LogAppendTime
		oldest       = rules.NowMs - max(rules.BeforeMaxMs, 0)
		newest       = rules.NowMs + min(max(rules.AfterMaxMs, 0), math.MaxInt64-max(rules.NowMs, 0))
		foreignStamp = b.LogAppendTime() && (rules.LogAppendTime || b.MaxTimestamp() == NoTimestamp)
		refused      refusals
	)
	info.Records, info.MaxTimestamp = count, NoTimestamp
	consecutive = true
	for i := range count {
		if !cur.step(f) {
			n, ok := cur.length()
			if ok {
				if cur.fits(n) {
					var body []byte
					if body, ok = cur.body(n); ok {
						ok = f.parse(body)
					}
				} else {
					ok = cur.skim(n, f)
				}
			}
			if !ok {
				return info, false, cur.damaged(i, count)
			}
		}
		if f.offsetDelta != i {
			consecutive = false
		}
		timestamp := base + f.timestampDelta
		switch {
		case rules.RequireKeys && !f.keyed:
			refused.add(i, kafka.InvalidRecord, "a compacted topic takes no record without a key")
		case foreignStamp:
			refused.add(i, kafka.InvalidTimestamp, "a producer may not set the timestamp type to LogAppendTime")
		case bounded && timestamp != NoTimestamp && (timestamp < oldest || timestamp > newest):
			refused.addTimestamp(i, timestamp, oldest, newest)
		}
		if timestamp > info.MaxTimestamp {
			info.MaxTimestamp, info.MaxTimestampOffsetDelta = timestamp, i
		}
	}
	if fault := cur.finish(count); fault != nil {
		return info, false, fault
	}
	info.RecordBytes = cur.at()
	return info, consecutive, refused.fault(count)
}

// refusals gathers the records that break a rule. The zero value has none, and costs nothing.
type refusals struct {
	total   int
	code    kafka.ErrorCode
	records []RecordFault
}

func (r *refusals) add(index int32, code kafka.ErrorCode, message string) {
	r.total++
	if r.code != kafka.InvalidTimestamp { // which wins over a missing key
		r.code = code
	}
	if len(r.records) < MaxRecordFaults {
		r.records = append(r.records, RecordFault{Index: index, Message: message})
	}
}

func (r *refusals) addTimestamp(index int32, timestamp, oldest, newest int64) {
	message := ""
	if len(r.records) < MaxRecordFaults {
		message = fmt.Sprintf("timestamp %d is not within %d to %d, which message.timestamp.before.max.ms and message.timestamp.after.max.ms allow",
			timestamp, oldest, newest)
	}
	r.add(index, kafka.InvalidTimestamp, message)
}

func (r *refusals) fault(count int32) *Fault {
	if r.total == 0 {
		return nil
	}
	f := faultf(r.code, "%d of the batch's %d records are refused, the first of them record %d: %s", r.total, count, r.records[0].Index,
		r.records[0].Message)
	f.Records = r.records
	return f
}
