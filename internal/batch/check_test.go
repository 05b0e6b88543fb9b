package batch

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// tampered is a sound batch of three records after f.
func tampered(t testing.TB, f func(b Batch)) []byte {
	b := build(t, Options{}, plain(3)...)
	f(b)
	return reseal(b)
}

// area is the record area of bodies, each after its length.
func area(bodies ...[]byte) []byte {
	var out []byte
	for _, b := range bodies {
		out = append(appendVarint(out, int64(len(b))), b...)
	}
	return out
}

func TestCheckRefusesWithKafkasCode(t *testing.T) {
	const (
		corrupt  = kafka.CorruptMessage
		invalid  = kafka.InvalidRecord
		tooLarge = kafka.MessageTooLarge
	)
	good := build(t, Options{}, plain(3)...)
	idempotent := build(t, Options{Producer: &Producer{ID: 5, Epoch: 0, BaseSequence: -1}}, plain(1)...)
	keyless := build(t, Options{}, rec{Timestamp: 1}, rec{Offset: 1, Timestamp: 1, Key: []byte{}}, rec{Offset: 2, Timestamp: 1})
	none := []byte{0, 0, 0, 1, 1, 0} // a body: no deltas, null key, null value, no headers
	for _, c := range []struct {
		name string
		raw  []byte
		code kafka.ErrorCode
		say  string // part of the message
	}{
		{"null records", nil, invalid, "no record batch"},
		{"empty records", []byte{}, invalid, "no record batch"},
		{"a few bytes", good[:16], invalid, "too few"},
		{"a batch without its end", good[:len(good)-1], invalid, "only"},
		{"a header without its end", good[:40], invalid, "only"},
		{"two batches", append(bytes.Clone(good), good...), invalid, "more than one"},
		{"a batch and bytes that cannot begin another", append(bytes.Clone(good), make([]byte, 12)...), corrupt, "length 0"},
		{"a batch and one of a format to come", append(bytes.Clone(good), tampered(t, func(b Batch) { b[magicAt] = 3 })...), corrupt, "format 3"},
		{"a length below a header's", tampered2(t, func(b Batch) { binary.BigEndian.PutUint32(b[lengthAt:], 48) }), corrupt, "length 48"},
		{"a negative length", tampered2(t, func(b Batch) { binary.BigEndian.PutUint32(b[lengthAt:], 1<<31) }), corrupt, "length -"},
		{"a length of 2 GiB", tampered2(t, func(b Batch) { binary.BigEndian.PutUint32(b[lengthAt:], math.MaxInt32) }), invalid, "only"},
		{"magic 0", tampered(t, func(b Batch) { b[magicAt] = 0 }), invalid, "format 0"},
		{"magic 1", tampered(t, func(b Batch) { b[magicAt] = 1 }), invalid, "format 1"},
		{"magic 3", tampered(t, func(b Batch) { b[magicAt] = 3 }), corrupt, "format 3"},
		{"a message set of format 1, shorter than our header", []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 14, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}, invalid, "format 1"},
		{"a flipped bit", tampered2(t, func(b Batch) { b[len(b)-1] ^= 4 }), corrupt, "checksum"},
		{"a wrong checksum", tampered2(t, func(b Batch) { b[crcAt]++ }), corrupt, "checksum"},
		{"a base offset other than 0", tampered(t, func(b Batch) { b.SetBaseOffset(1) }), invalid, "base offset"},
		{"no records in it", wrap(CodecNone, 0, nil), invalid, "0 records"},
		{"a negative count", tampered(t, func(b Batch) { binary.BigEndian.PutUint32(b[recordCountAt:], math.MaxUint32) }), invalid, "-1 records"},
		{"a last offset delta too small", tampered(t, func(b Batch) { binary.BigEndian.PutUint32(b[lastOffsetDeltaAt:], 1) }), invalid, "last offset delta is 1"},
		{"a last offset delta too large", tampered(t, func(b Batch) { binary.BigEndian.PutUint32(b[lastOffsetDeltaAt:], 3) }), invalid, "last offset delta is 3"},
		{"a negative last offset delta", tampered(t, func(b Batch) { binary.BigEndian.PutUint32(b[lastOffsetDeltaAt:], math.MaxUint32) }), invalid, "delta is -1"},
		{"the largest last offset delta", tampered(t, func(b Batch) {
			binary.BigEndian.PutUint32(b[lastOffsetDeltaAt:], math.MaxInt32)
			binary.BigEndian.PutUint32(b[recordCountAt:], 1<<31)
		}), invalid, "records"},
		{"a control batch", build(t, Options{Control: true}, plain(1)...), invalid, "control"},
		{"a producer id without a sequence", idempotent, invalid, "base sequence -1"},
		{"codec 5", tampered(t, func(b Batch) { b[attributesAt+1] |= 5 }), kafka.UnknownServerError, "codec 5"},
		{"codec 7", tampered(t, func(b Batch) { b[attributesAt+1] |= 7 }), kafka.UnknownServerError, "codec 7"},
		{"more records promised than there are", tampered(t, func(b Batch) {
			binary.BigEndian.PutUint32(b[lastOffsetDeltaAt:], 3)
			binary.BigEndian.PutUint32(b[recordCountAt:], 4)
		}), invalid, "record 3"},
		{"fewer records promised than there are", tampered(t, func(b Batch) {
			binary.BigEndian.PutUint32(b[lastOffsetDeltaAt:], 1)
			binary.BigEndian.PutUint32(b[recordCountAt:], 2)
		}), invalid, "more bytes follow"},
		{"a record longer than the batch", wrap(CodecNone, 1, append([]byte{100}, none...)), invalid, "record 0"},
		{"a record longer than its fields", wrap(CodecNone, 1, area(append(none[:6:6], 0))), invalid, "record 0"},
		{"a record shorter than its fields", wrap(CodecNone, 1, append(area(none[:5]), 0)), invalid, "record 0"},
		{"a record of length 0", wrap(CodecNone, 1, []byte{0}), invalid, "record 0"},
		{"a record of negative length", wrap(CodecNone, 1, []byte{1, 0, 0, 0, 1, 1, 0}), invalid, "record 0"},
		{"a length without end", wrap(CodecNone, 1, bytes.Repeat([]byte{0x80}, 9)), invalid, "record 0"},
		{"a key of length -2", wrap(CodecNone, 1, area([]byte{0, 0, 0, 3, 1, 0})), invalid, "record 0"},
		{"a key beyond its record", wrap(CodecNone, 1, area([]byte{0, 0, 0, 4, 1, 0})), invalid, "record 0"},
		{"a negative count of headers", wrap(CodecNone, 1, area([]byte{0, 0, 0, 1, 1, 1})), invalid, "record 0"},
		{"a header with a null key", wrap(CodecNone, 1, area([]byte{0, 0, 0, 1, 1, 2, 1, 1})), invalid, "record 0"},
		{"more headers promised than there are", wrap(CodecNone, 1, area([]byte{0, 0, 0, 1, 1, 4, 0, 1})), invalid, "record 0"},
		{"a batch of one byte too many", tampered(t, func(b Batch) {}), tooLarge, "max.message.bytes"},
		{"records without keys in a compacted topic", keyless, invalid, "2 of the batch's 3 records"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rules := lax()
			switch c.code {
			case tooLarge:
				rules.MaxMessageBytes = int32(len(c.raw) - 1)
			case invalid:
				rules.RequireKeys = true
			}
			b, info, fault := NewChecker(NewCodecs(Limits{})).Check(c.raw, rules)
			if code(fault) != c.code {
				t.Fatalf("%v, want %v", fault, c.code)
			}
			if !strings.Contains(fault.Message, c.say) {
				t.Errorf("%q does not say %q", fault.Message, c.say)
			}
			if b != nil || info != (Info{}) {
				t.Errorf("a refused batch comes back: %d bytes, %+v", len(b), info)
			}
		})
	}
}

// tampered2 is tampered without making the length and the checksum right again.
func tampered2(t testing.TB, f func(b Batch)) []byte {
	b := build(t, Options{}, plain(3)...)
	f(b)
	return b
}

func TestAFaultOutranksALaterOne(t *testing.T) {
	// Kafka's order: base offset, size, checksum, counts, records.
	b := tampered2(t, func(b Batch) {
		b.SetBaseOffset(4)
		b[crcAt]++
		binary.BigEndian.PutUint32(b[recordCountAt:], 9)
	})
	rules := lax()
	rules.MaxMessageBytes = 10
	var got []kafka.ErrorCode
	c := NewChecker(NewCodecs(Limits{}))
	step := func() {
		_, _, f := c.Check(b, rules)
		got = append(got, code(f))
	}
	step()
	Batch(b).SetBaseOffset(0)
	step()
	rules.MaxMessageBytes = 1 << 20
	step()
	reseal(b)
	step()
	want := []kafka.ErrorCode{kafka.InvalidRecord, kafka.MessageTooLarge, kafka.CorruptMessage, kafka.InvalidRecord}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestARecordLargerThanTheWindowIsJudgedLikeAnother(t *testing.T) {
	value := func(n int) []byte { return append(appendVarint(nil, int64(n)), make([]byte, n)...) }
	body := func(parts ...[]byte) []byte { return bytes.Join(append([][]byte{{0, 0, 0}}, parts...), nil) }
	big, null := value(5000), []byte{1}
	for name, c := range map[string]struct {
		body []byte
		ok   bool
	}{
		"a large value":                   {body(null, big, []byte{0}), true},
		"a large key":                     {body(big, null, []byte{0}), true},
		"a large header":                  {body(null, null, []byte{4, 2, 'a'}, big, big, null), true},
		"an offset delta without end":     {append([]byte{0, 0}, bytes.Repeat([]byte{0x80}, 5000)...), false},
		"a key of length -2":              {body([]byte{3}, big, []byte{0}), false},
		"a value of length -2":            {body(big, []byte{3}, []byte{0}), false},
		"a value one byte too long":       {body(null, value(4999), []byte{0})[:5004], false},
		"a negative count of headers":     {body(null, big, []byte{1}), false},
		"a null key of a header":          {body(null, big, []byte{2, 1, 1}), false},
		"a header too few":                {body(null, big, []byte{2}), false},
		"a header without its value":      {body(null, big, []byte{2, 2, 'a'}), false},
		"bytes after the headers":         {body(null, big, []byte{0, 0}), false},
		"a header's key beyond its end":   {body(null, big, []byte{2, 4, 'a'}), false},
		"a value beyond its record's end": {body(null, appendVarint(nil, 9000), make([]byte, 5000)), false},
		"a key of 2 GiB":                  {body(appendVarint(nil, math.MaxInt32), make([]byte, 5000)), false},
	} {
		// Followed by another record, so that what is cut short has bytes to read on in.
		a := area(c.body, []byte{0, 0, 2, 1, 1, 0})
		var codes []kafka.ErrorCode
		for _, raw := range []Batch{wrap(CodecNone, 2, a), wrap(Gzip, 2, compress(t, Gzip, a)), wrap(Zstd, 2, compress(t, Zstd, a))} {
			_, _, wideFault := NewChecker(wide).Check(raw, lax())
			_, _, narrowFault := NewChecker(narrow).Check(raw, lax())
			codes = append(codes, code(wideFault), code(narrowFault))
		}
		want := kafka.InvalidRecord
		if c.ok {
			want = kafka.None
		}
		for _, got := range codes {
			if got != want {
				t.Errorf("%s: %v", name, codes)
				break
			}
		}
	}
}

func TestTheFirstOfTheLargestTimestampsIsFound(t *testing.T) {
	raw := build(t, Options{}, rec{Timestamp: 5}, rec{Offset: 1, Timestamp: 9}, rec{Offset: 2, Timestamp: 9}, rec{Offset: 3, Timestamp: 6})
	if _, info, fault := NewChecker(NewCodecs(Limits{})).Check(raw, lax()); fault != nil || info.MaxTimestamp != 9 || info.MaxTimestampOffsetDelta != 1 {
		t.Errorf("%+v, %v", info, fault)
	}
}

func TestRefusedRecordsAreNamed(t *testing.T) {
	rules := &Rules{MaxMessageBytes: 1 << 20, RequireKeys: true, NowMs: 10_000, BeforeMaxMs: 1000, AfterMaxMs: 100}
	key := []byte("k")
	for codec := range allCodecs {
		raw := build(t, Options{Codec: codec},
			rec{Offset: 0, Timestamp: 9_000, Key: key},
			rec{Offset: 1, Timestamp: 8_999, Key: key},
			rec{Offset: 2, Timestamp: 10_100, Key: key},
			rec{Offset: 3, Timestamp: 10_101, Key: key},
			rec{Offset: 4, Timestamp: -1, Key: key},
			rec{Offset: 5, Timestamp: 9_500},
			rec{Offset: 6, Timestamp: math.MinInt64, Key: key},
			rec{Offset: 7, Timestamp: math.MaxInt64, Key: key})
		_, _, fault := NewChecker(NewCodecs(Limits{})).Check(raw, rules)
		if code(fault) != kafka.InvalidTimestamp {
			t.Fatalf("%v: %v", codec, fault)
		}
		var got []int32
		for _, r := range fault.Records {
			got = append(got, r.Index)
			if r.Message == "" {
				t.Errorf("record %d is refused without a word", r.Index)
			}
		}
		if d := cmp.Diff([]int32{1, 3, 5, 6, 7}, got); d != "" {
			t.Errorf("%v: %s", codec, d)
		}
	}
}

func TestBoundsOfTimestampsDoNotOverflow(t *testing.T) {
	rules := &Rules{MaxMessageBytes: 1 << 20, NowMs: 1 << 41, BeforeMaxMs: math.MaxInt64, AfterMaxMs: math.MaxInt64}
	raw := build(t, Options{}, rec{Timestamp: 0}, rec{Offset: 1, Timestamp: math.MaxInt64}, rec{Offset: 2, Timestamp: -7})
	if _, info, fault := NewChecker(NewCodecs(Limits{})).Check(raw, rules); fault != nil || info.MaxTimestamp != math.MaxInt64 || info.MaxTimestampOffsetDelta != 1 {
		t.Fatalf("%+v, %v", info, fault)
	}
}

func TestOnlyTheFirstRefusedRecordsAreNamed(t *testing.T) {
	raw := build(t, Options{Codec: Gzip}, plain(5000)...)
	_, _, fault := NewChecker(NewCodecs(Limits{})).Check(raw, &Rules{MaxMessageBytes: 1 << 20, NowMs: 1 << 40})
	if code(fault) != kafka.InvalidTimestamp || len(fault.Records) != MaxRecordFaults || !strings.Contains(fault.Message, "5000 of the batch's 5000") {
		t.Fatalf("%v, %d named", fault, len(fault.Records))
	}
}

func TestTimestampsUnderCreateTime(t *testing.T) {
	checker := NewChecker(NewCodecs(Limits{}))
	for codec := range allCodecs {
		// A wrong maximum is corrected.
		b := build(t, Options{Codec: codec}, plain(3)...)
		binary.BigEndian.PutUint64(b[maxTimestampAt:], 77)
		reseal(b)
		got, info, fault := checker.Check(b, lax())
		if fault != nil || got.MaxTimestamp() != 1002 || info.MaxTimestamp != 1002 || info.MaxTimestampOffsetDelta != 2 || !got.ValidCRC() {
			t.Errorf("%v, wrong maximum: %+v, %v", codec, info, fault)
		}
		if info.Rewritten || &got[0] != &b[0] {
			t.Errorf("%v: the batch was copied", codec)
		}
		// The broker's kind of timestamp is the broker's to set; without a time it is refused.
		b = build(t, Options{Codec: codec, LogAppendTime: true, LogAppendTimeMs: 3000}, plain(2)...)
		if got, _, fault = checker.Check(b, lax()); fault != nil || got.LogAppendTime() || got.MaxTimestamp() != 1001 || !got.ValidCRC() {
			t.Errorf("%v, LogAppendTime from the client: %v", codec, fault)
		}
		b = build(t, Options{Codec: codec, LogAppendTime: true, LogAppendTimeMs: -1}, plain(2)...)
		if _, _, fault = checker.Check(b, lax()); code(fault) != kafka.InvalidTimestamp || len(fault.Records) != 2 {
			t.Errorf("%v, LogAppendTime without one: %v", codec, fault)
		}
		// Records without a timestamp are bounded by nothing.
		b = build(t, Options{Codec: codec}, rec{Timestamp: -1}, rec{Offset: 1, Timestamp: -1})
		if _, info, fault = checker.Check(b, &Rules{MaxMessageBytes: 1 << 20, NowMs: 1 << 40}); fault != nil || info.MaxTimestamp != NoTimestamp {
			t.Errorf("%v, no timestamps: %+v, %v", codec, info, fault)
		}
	}
}

func TestTimestampsUnderLogAppendTime(t *testing.T) {
	checker := NewChecker(NewCodecs(Limits{}))
	rules := &Rules{MaxMessageBytes: 1 << 20, LogAppendTime: true, NowMs: 1 << 40} // bounds of 0 do not matter
	for codec := range allCodecs {
		b := build(t, Options{Codec: codec}, plain(3)...)
		got, info, fault := checker.Check(b, rules)
		if fault != nil || !got.LogAppendTime() || got.MaxTimestamp() != 1<<40 || info.MaxTimestamp != 1<<40 || !got.ValidCRC() || &got[0] != &b[0] {
			t.Errorf("%v: %+v, %v", codec, info, fault)
		}
		for _, r := range kgoRead(t, got) {
			if r.Timestamp != 1<<40 {
				t.Errorf("%v: a consumer sees %d", codec, r.Timestamp)
			}
		}
		b = build(t, Options{Codec: codec, LogAppendTime: true, LogAppendTimeMs: 5}, plain(3)...)
		if _, _, fault = checker.Check(b, rules); code(fault) != kafka.InvalidTimestamp || len(fault.Records) != 3 {
			t.Errorf("%v, set by the client: %v", codec, fault)
		}
	}
}

func TestASoundBatchIsNotTouched(t *testing.T) {
	checker := NewChecker(NewCodecs(Limits{}))
	for codec := range allCodecs {
		b := build(t, Options{Codec: codec, Producer: &Producer{ID: 1, Epoch: 2, BaseSequence: 3}, Transactional: true}, plain(100)...)
		before := bytes.Clone(b)
		rules := lax()
		rules.Compression = Compression{Override: true, Codec: codec, Level: 1} // the same codec: its level is the producer's affair
		if codec == CodecNone || codec == Snappy {
			rules.Compression.Level = 0
		}
		got, info, fault := checker.Check(b, rules)
		if fault != nil || info.Rewritten || !bytes.Equal(got, before) || &got[0] != &b[0] {
			t.Errorf("%v: %+v, %v", codec, info, fault)
		}
		if info.Records != 100 || info.RecordBytes == 0 {
			t.Errorf("%v: %+v", codec, info)
		}
	}
}

func TestTheTopicsCodecWins(t *testing.T) {
	cs := NewCodecs(Limits{BufferBytes: 256}) // so that records are larger than the window
	checker, reader := NewChecker(cs), NewReader(cs)
	want := plain(50)
	want[7].Value = bytes.Repeat([]byte("long "), 2000)
	want[9].Headers = []Header{{"h", bytes.Repeat([]byte("x"), 700)}, {"i", nil}}
	producer := &Producer{ID: 9, Epoch: 8, BaseSequence: 7}
	for from := range allCodecs {
		for to := range allCodecs {
			if from == to {
				continue
			}
			raw := build(t, Options{Codec: from, Producer: producer, Transactional: true}, want...)
			before := bytes.Clone(raw)
			rules := lax()
			rules.Compression = Compression{Override: true, Codec: to}
			got, info, fault := checker.Check(raw, rules)
			if fault != nil || !info.Rewritten || got.Codec() != to || !got.ValidCRC() {
				t.Fatalf("%v to %v: %+v, %v", from, to, info, fault)
			}
			if !bytes.Equal(raw, before) {
				t.Errorf("%v to %v: the request's bytes changed", from, to)
			}
			if first, rest, err := Next(got); err != nil || len(rest) > 0 || len(first) != len(got) {
				t.Errorf("%v to %v: length is wrong: %v", from, to, err)
			}
			if got.ProducerID() != 9 || got.ProducerEpoch() != 8 || got.BaseSequence() != 7 || !got.Transactional() || got.MaxTimestamp() != 1049 {
				t.Errorf("%v to %v: the header lost something", from, to)
			}
			back, err := records(t, reader, got)
			if d := diff(want, back); d != "" || err != nil {
				t.Errorf("%v to %v: %v %s", from, to, err, d)
			}
			if d := diff(want, kgoRead(t, got)); d != "" {
				t.Errorf("%v to %v, as franz-go reads it: %s", from, to, d)
			}
			// The limit counts for what is stored, too.
			rules.MaxMessageBytes = int32(len(got) - 1)
			if len(before) < len(got) {
				if _, _, fault := checker.Check(before, rules); code(fault) != kafka.MessageTooLarge {
					t.Errorf("%v to %v, a byte over the limit: %v", from, to, fault)
				}
			}
		}
	}
}

func TestARewrittenBatchHasNoBitsThatMeanNothing(t *testing.T) {
	raw := tampered(t, func(b Batch) { binary.BigEndian.PutUint16(b[attributesAt:], 1<<9|deleteHorizonBit|transactionalBit) })
	rules := lax()
	if b, _, fault := NewChecker(NewCodecs(Limits{})).Check(bytes.Clone(raw), rules); fault != nil || b.Attributes() != 1<<9|deleteHorizonBit|transactionalBit {
		t.Errorf("as it came: attributes %x, %v", b.Attributes(), fault)
	}
	rules.Compression = Compression{Override: true, Codec: Gzip}
	if b, _, fault := NewChecker(NewCodecs(Limits{})).Check(bytes.Clone(raw), rules); fault != nil || b.Attributes() != transactionalBit|int16(Gzip) {
		t.Errorf("rewritten: attributes %x, %v", b.Attributes(), fault)
	}
}

func TestOffsetDeltasAreMadeConsecutive(t *testing.T) {
	checker, reader := NewChecker(NewCodecs(Limits{})), NewReader(NewCodecs(Limits{}))
	for codec := range allCodecs {
		for name, deltas := range map[string][3]int64{
			"all the same": {0, 0, 0}, "from one on": {1, 2, 3}, "backwards": {2, 1, 0}, "far out": {-5, math.MaxInt32, math.MinInt32},
		} {
			var a []byte
			for i, d := range deltas {
				body := appendVarint([]byte{0}, int64(i)) // timestamps 1000, 1001, 1002
				body = appendVarint(body, d)
				a = append(a, area(append(body, 2, 'a'+byte(i), 2, 'v', 0))...)
			}
			rules, stored := lax(), codec
			if codec != CodecNone {
				// As in Kafka: refused, unless the batch is compressed anew anyway.
				a = compress(t, codec, a)
				if _, _, fault := checker.Check(wrap(codec, 3, a), rules); code(fault) != kafka.UnknownServerError {
					t.Fatalf("%v, %s: %v", codec, name, fault)
				}
				stored = codec%Zstd + 1
				rules.Compression = Compression{Override: true, Codec: stored}
			}
			got, info, fault := checker.Check(wrap(codec, 3, a), rules)
			if fault != nil || !info.Rewritten || got.Codec() != stored || !got.ValidCRC() || got.MaxTimestamp() != 1002 || info.MaxTimestampOffsetDelta != 2 {
				t.Fatalf("%v, %s: %+v, %v", codec, name, info, fault)
			}
			want := []rec{
				{0, 1000, []byte("a"), []byte("v"), nil}, {1, 1001, []byte("b"), []byte("v"), nil}, {2, 1002, []byte("c"), []byte("v"), nil},
			}
			back, err := records(t, reader, got)
			if d := diff(want, back); d != "" || err != nil {
				t.Errorf("%v, %s: %v %s", codec, name, err, d)
			}
			// Once right, it stays as it is.
			if again, info, fault := checker.Check(bytes.Clone(got), lax()); fault != nil || info.Rewritten || len(again) != len(got) {
				t.Errorf("%v, %s, again: %+v, %v", codec, name, info, fault)
			}
		}
	}
}

// emptiedPoolAllocs is what a decompressor may cost that is not in its pool, since a collection, or the race detector on purpose, emptied it. An
// allocation per record would be 500.
const emptiedPoolAllocs = 100

func TestCheckAllocatesNothing(t *testing.T) {
	for codec := range allCodecs {
		checker := NewChecker(NewCodecs(Limits{}))
		b := build(t, Options{Codec: codec}, plain(500)...)
		rules := lax()
		if n := testing.AllocsPerRun(100, func() {
			if _, _, fault := checker.Check(b, rules); fault != nil {
				t.Fatal(fault)
			}
		}); n > 0 && codec == CodecNone || n > emptiedPoolAllocs {
			t.Errorf("%v: %v allocations for 500 records", codec, n)
		}
	}
}
