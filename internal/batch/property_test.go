package batch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// drawRecords draws up to 20 records with rising offsets from base.
func drawRecords(t *rapid.T, base int64, gaps bool) []rec {
	nullable := rapid.OneOf(rapid.Just[[]byte](nil), rapid.SliceOfN(rapid.Byte(), 0, 6),
		rapid.Map(rapid.IntRange(0, 3000), func(n int) []byte { return bytes.Repeat([]byte("ab"), n) }))
	n := rapid.IntRange(1, 20).Draw(t, "records")
	out := make([]rec, n)
	offset := base
	for i := range out {
		if gaps {
			offset += rapid.Int64Range(0, 1000).Draw(t, "gap")
		}
		out[i] = rec{
			Offset:    offset,
			Timestamp: rapid.OneOf(rapid.Int64Range(-1, 5000), rapid.Int64()).Draw(t, "timestamp"),
			Key:       nullable.Draw(t, "key"),
			Value:     nullable.Draw(t, "value"),
		}
		for range rapid.IntRange(0, 3).Draw(t, "headers") {
			out[i].Headers = append(out[i].Headers, Header{rapid.StringN(0, 9, -1).Draw(t, "header"), nullable.Draw(t, "header value")})
		}
		offset++
	}
	return out
}

func drawCodec(t *rapid.T) Codec { return Codec(rapid.IntRange(0, codecs-1).Draw(t, "codec")) }

func TestPropertyWhatIsBuiltIsRead(t *testing.T) {
	cs := NewCodecs(Limits{BufferBytes: 200})
	builder, reader := NewBuilder(cs), NewReader(cs)
	rapid.Check(t, func(rt *rapid.T) {
		base := rapid.Int64Range(0, 1<<50).Draw(rt, "base")
		want := drawRecords(rt, base, true)
		o := Options{BaseOffset: base, Codec: drawCodec(rt)}
		switch o.Codec {
		case Gzip:
			o.Level = rapid.IntRange(-1, 9).Draw(rt, "level")
		case LZ4:
			o.Level = rapid.IntRange(0, 17).Draw(rt, "level")
		case Zstd:
			o.Level = rapid.SampledFrom([]int{-131072, -1, 0, 1, 5, 22}).Draw(rt, "level")
		}
		builder.Reset(o)
		for _, r := range want {
			if err := builder.AppendAt(r.Offset, r.Timestamp, r.Key, r.Value, MakeHeaders(r.Headers...)); err != nil {
				rt.Fatal(err)
			}
		}
		b, err := builder.Build()
		if err != nil {
			rt.Fatal(err)
		}
		got, err := records(t, reader, b)
		if d := diff(want, got); err != nil || d != "" {
			rt.Fatal(err, d)
		}
		for i := range want { // franz-go has no times beyond the year 292 million
			want[i].Timestamp, got[i].Timestamp = 0, 0
		}
		other := kgoRead(t, b)
		for i := range other {
			other[i].Timestamp = 0
		}
		if d := diff(want, other); d != "" {
			rt.Fatalf("franz-go reads something else: %s", d)
		}
		if !b.ValidCRC() || b.LastOffset() != want[len(want)-1].Offset || int(b.RecordCount()) != len(want) {
			rt.Fatalf("last offset %d, %d records", b.LastOffset(), b.RecordCount())
		}
		if o.Codec == CodecNone && builder.Len() != len(b) {
			rt.Fatalf("Len says %d bytes, Build made %d", builder.Len(), len(b))
		}
	})
}

func TestPropertyWhatFranzGoBuildsIsReadAndAccepted(t *testing.T) {
	cs := NewCodecs(Limits{BufferBytes: 200})
	checker, reader := NewChecker(cs), NewReader(cs)
	rapid.Check(t, func(rt *rapid.T) {
		want := drawRecords(rt, 0, false)
		raw := kmsgBatch(t, drawCodec(rt), 0, want...)
		rules := lax()
		for i := range want { // bounds cannot hold for drawn timestamps
			rules.LogAppendTime = true
			want[i].Timestamp = rules.NowMs
		}
		b, info, fault := checker.Check(raw, rules)
		if fault != nil || info.Rewritten {
			rt.Fatal(info, fault)
		}
		got, err := records(t, reader, b)
		if d := diff(want, got); err != nil || d != "" {
			rt.Fatal(err, d)
		}
	})
}

// Small limits, so that fuzzers reach them.
var (
	wide   = NewCodecs(Limits{RecordBytes: 1 << 16, BatchBytes: 1 << 20, WindowBytes: 1 << 20})
	narrow = NewCodecs(Limits{RecordBytes: 1 << 16, BatchBytes: 1 << 20, WindowBytes: 1 << 20, BufferBytes: bufferBytesMin})
)

// class is a fault's code, except that records which cannot be read and records which cannot be decompressed (damaged, or beyond a limit, in a
// later frame perhaps) are one class: which of the two shows first, when a batch has both, depends on how far the decompressor reads ahead.
func class(f *Fault) kafka.ErrorCode {
	switch c := code(f); c {
	case kafka.UnknownServerError, kafka.UnsupportedCompressionType, kafka.MessageTooLarge:
		return kafka.InvalidRecord
	default:
		return c
	}
}

// What the checker accepts must be readable, whatever the bytes; the size of the window must not matter; offsets and times must be true.
func checkAgainstReader(t testing.TB, raw []byte) {
	for _, rules := range []*Rules{
		lax(),
		{MaxMessageBytes: 1 << 20, LogAppendTime: true, NowMs: 123456},
		{MaxMessageBytes: 1 << 20, NowMs: 5000, BeforeMaxMs: math.MaxInt64, AfterMaxMs: 1000, RequireKeys: true, Compression: Compression{Override: true, Codec: LZ4}},
	} {
		one, oneInfo, oneFault := NewChecker(wide).Check(bytes.Clone(raw), rules)
		two, twoInfo, twoFault := NewChecker(narrow).Check(bytes.Clone(raw), rules)
		if class(oneFault) != class(twoFault) || oneInfo != twoInfo || !bytes.Equal(one, two) {
			t.Fatalf("the window's size changes the outcome: %v, %+v against %v, %+v", oneFault, oneInfo, twoFault, twoInfo)
		}
		if oneFault != nil {
			continue
		}
		if !one.ValidCRC() || len(one) > int(rules.MaxMessageBytes) {
			t.Fatal("an accepted batch has a wrong CRC or is too large")
		}
		next, maxTimestamp := int64(0), int64(NoTimestamp)
		err := NewReader(narrow).Each(one, func(r *Record) error {
			if r.Offset != next {
				return errors.New("offsets are not consecutive")
			}
			next++
			maxTimestamp = max(maxTimestamp, r.Timestamp)
			return nil
		})
		if err != nil || next != int64(oneInfo.Records) || maxTimestamp != one.MaxTimestamp() || maxTimestamp != oneInfo.MaxTimestamp {
			t.Fatalf("accepted, but reads as %d records up to %d, %v; %+v", next, maxTimestamp, err, oneInfo)
		}
		if again, info, fault := NewChecker(wide).Check(bytes.Clone(one), lax()); !one.LogAppendTime() && (fault != nil || info.Rewritten || !bytes.Equal(again, one)) {
			t.Fatalf("accepted once, not twice: %v, %+v", fault, info)
		}
	}
}

func TestPropertyWhatIsAcceptedCanBeRead(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		codec := drawCodec(rt)
		b := build(t, Options{}, drawRecords(rt, 0, false)...)
		count, a := b.RecordCount(), bytes.Clone(b.Records())
		tamper := func(label string, in []byte) {
			for range rapid.IntRange(0, 2).Draw(rt, label) {
				i := rapid.IntRange(0, len(in)-1).Draw(rt, "at")
				in[i] = rapid.OneOf(rapid.Byte(), rapid.SampledFrom([]byte{0, 1, 2, 3, 0x7f, 0x80, 0xff})).Draw(rt, "byte")
			}
		}
		tamper("in the records", a)
		if codec != CodecNone {
			a = compress(t, codec, a)
			tamper("in the compressed records", a)
		}
		raw := wrap(codec, count, a)
		tamper("in the header", raw[attributesAt:HeaderSize])
		checkAgainstReader(t, reseal(raw))
	})
}

// TestPropertyAStepIsALengthAndARecord: the short way over a record takes no bytes for a record that are none, and none of another length or with
// other numbers; and it is taken where it matters.
func TestPropertyAStepIsALengthAndARecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		edges := []int{-1, 0, 1, 62, 63, 64, 65, 8190, 8191, 8192, 8193, 1<<20 - 1, 1 << 20}
		delta := rapid.OneOf(rapid.SampledFrom(edges), rapid.Int())
		bytesOf := func(label string) []byte {
			n := rapid.SampledFrom(edges[:len(edges)-2]).Draw(t, label)
			if n < 0 {
				return nil
			}
			return make([]byte, n)
		}
		timestampDelta, offsetDelta := int64(delta.Draw(t, "timestamp delta")), int32(delta.Draw(t, "offset delta"))
		key, value := bytesOf("key"), bytesOf("value")
		headers := MakeHeaders(slices.Repeat([]Header{{Key: "k", Value: value}}, rapid.IntRange(0, 2).Draw(t, "headers"))...)
		b := appendRecord(nil, bodySize(timestampDelta, offsetDelta, key, value, headers), timestampDelta, offsetDelta, key, value, headers)
		b = append(b, make([]byte, rapid.IntRange(0, 4).Draw(t, "bytes after it"))...)
		whole := rapid.IntRange(0, 3).Draw(t, "damage") > 0
		if !whole {
			b[rapid.IntRange(0, min(len(b), 20)-1).Draw(t, "where")] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
			b = b[:rapid.IntRange(0, len(b)).Draw(t, "cut at")]
		}
		long, short := cursor{buf: b, end: len(b)}, cursor{buf: b, end: len(b)}
		var f, g fields
		n, ok := long.length()
		if ok {
			var body []byte
			if body, ok = long.body(n); ok {
				ok = f.parse(body)
			}
		}
		small := func(v int64) bool { return v >= -1<<20 && v < 1<<20 }
		switch stepped := short.step(&g); {
		case stepped && (!ok || short.pos != long.pos || f.timestampDelta != g.timestampDelta || f.offsetDelta != g.offsetDelta || f.keyed != g.keyed):
			t.Fatalf("a step to %d with %+v; it is a record: %v, to %d with %+v", short.pos, g, ok, long.pos, f)
		case !stepped && short.pos != 0:
			t.Fatal("no step, but something was read")
		case !stepped && whole && small(timestampDelta) && small(int64(offsetDelta)) && len(b) > long.pos+1:
			t.Fatalf("no step over an ordinary record of %d bytes", long.pos)
		}
	})
}

func TestPropertyFilterKeepsExactlyTheSubset(t *testing.T) {
	cs := NewCodecs(Limits{BufferBytes: 256})
	rapid.Check(t, func(rt *rapid.T) {
		base := rapid.Int64Range(0, 1<<40).Draw(rt, "base")
		recs := drawRecords(rt, base, true)
		o := Options{
			BaseOffset: base, LeaderEpoch: 3, Codec: drawCodec(rt), Transactional: rapid.Bool().Draw(rt, "transactional"),
			Producer: &Producer{ID: 1, Epoch: 2, BaseSequence: math.MaxInt32 - 3}, LogAppendTime: rapid.Bool().Draw(rt, "log append time"), LogAppendTimeMs: 9,
			DeleteHorizonSet: rapid.Bool().Draw(rt, "has horizon"), DeleteHorizonMs: 1234,
		}
		in := build(t, o, recs...)
		opts := FilterOptions{DeleteHorizonMs: rapid.SampledFrom([]int64{0, 777}).Draw(rt, "horizon"), KeepEmpty: rapid.Bool().Draw(rt, "keep empty")}
		stay := map[int64]bool{}
		var want []rec
		maxTimestamp, tombstone := int64(NoTimestamp), false
		for _, r := range recs {
			if rapid.Bool().Draw(rt, "keep") {
				stay[r.Offset] = true
				maxTimestamp = max(maxTimestamp, r.Timestamp)
				tombstone = tombstone || r.Value == nil
				if o.LogAppendTime {
					r.Timestamp, maxTimestamp = 9, 9
				}
				want = append(want, r)
			}
		}
		before := bytes.Clone(in)
		reader := NewReader(cs)
		res, err := reader.Filter(in, NewBuilder(cs), opts, func(r *Record) bool { return stay[r.Offset] })
		if err != nil {
			rt.Fatal(err)
		}
		if !bytes.Equal(in, before) {
			rt.Fatal("the input changed")
		}
		if res.Kept != len(want) || res.Dropped != len(recs)-len(want) || res.Changed == bytes.Equal(res.Batch, in) {
			rt.Fatalf("%+v", res)
		}
		if len(want) == 0 && !opts.KeepEmpty {
			if res.Batch != nil {
				rt.Fatal("something stays of nothing")
			}
			return
		}
		got, err := records(t, reader, res.Batch)
		if d := diff(want, got); err != nil || d != "" {
			rt.Fatal(err, d)
		}
		out := res.Batch
		if out.BaseOffset() != in.BaseOffset() || out.LastOffset() != in.LastOffset() || out.LeaderEpoch() != 3 || out.ProducerID() != 1 ||
			out.ProducerEpoch() != 2 || out.BaseSequence() != in.BaseSequence() || out.LastSequence() != in.LastSequence() ||
			out.Transactional() != in.Transactional() || out.LogAppendTime() != in.LogAppendTime() || !out.ValidCRC() {
			rt.Fatal("the header lost something")
		}
		if len(want) == 0 {
			if len(out) != HeaderSize || out.Codec() != CodecNone || out.DeleteHorizonSet() || out.MaxTimestamp() != in.MaxTimestamp() {
				rt.Fatal("the empty batch is wrong")
			}
			return
		}
		horizon, set := int64(777), opts.DeleteHorizonMs > 0 && tombstone
		if o.DeleteHorizonSet {
			horizon, set = 1234, true
		}
		if out.DeleteHorizonSet() != set || set && out.BaseTimestamp() != horizon {
			rt.Fatalf("delete horizon %v, %d", out.DeleteHorizonSet(), out.BaseTimestamp())
		}
		if out.Codec() != o.Codec || out.MaxTimestamp() != maxTimestamp {
			rt.Fatalf("codec %v, maximum timestamp %d, want %d", out.Codec(), out.MaxTimestamp(), maxTimestamp)
		}
	})
}

// Every single byte of a batch, set to a few evil values, with a CRC that hides it.
func TestNoSingleByteFoolsTheChecker(t *testing.T) {
	for codec := range allCodecs {
		b := build(t, Options{Codec: codec, Producer: &Producer{ID: 1, Epoch: 1, BaseSequence: 1}}, plain(3)...)
		for i := attributesAt; i < len(b); i++ {
			for _, v := range []byte{0, 1, 0x7f, 0x80, 0xff} {
				raw := bytes.Clone(b)
				raw[i] = v
				checkAgainstReader(t, reseal(raw))
			}
		}
	}
}

// seeds are batches from both hands, for the fuzzers.
func seeds(t testing.TB) [][]byte {
	var out [][]byte
	recs := plain(3)
	recs[1].Headers = []Header{{"a", nil}, {"b", []byte("c")}}
	for codec := range allCodecs {
		out = append(out, build(t, Options{Codec: codec}, recs...), kmsgBatch(t, codec, 0, recs...))
	}
	marker := EndTxnMarker{Commit: true, CoordinatorEpoch: 4}
	out = append(out,
		build(t, Options{Control: true, Transactional: true, Producer: &Producer{ID: 1, BaseSequence: -1}}, rec{Key: marker.AppendKey(nil), Value: marker.AppendValue(nil)}),
		append(bytes.Clone(out[0]), out[1]...), // two
		wrap(CodecNone, 0, nil), wrap(Snappy, 3, kgoRawSnappy(out[0])), nil)
	return out
}

// kgoRawSnappy is the record area of a plain batch as one snappy block, as librdkafka writes it.
func kgoRawSnappy(b []byte) []byte { return snappyBlock(Batch(b).Records()) }

func FuzzNext(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		total := 0
		for rest := b; ; {
			first, r, err := Next(rest)
			if err != nil {
				if len(r) != len(rest) {
					t.Fatal("a refused batch was taken off")
				}
				return
			}
			if n, err := PeekLength(first); err != nil || n != len(first) || n < HeaderSize {
				t.Fatalf("%d bytes, said are %d, %v", len(first), n, err)
			}
			first.ValidCRC()
			if total += len(first); total+len(r) != len(b) {
				t.Fatal("bytes are lost between batches")
			}
			rest = r
		}
	})
}

func FuzzCheck(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		checkAgainstReader(t, bytes.Clone(raw))
		if len(raw) >= HeaderSize { // and as if the sender had meant it
			binary.BigEndian.PutUint64(raw, 0)
			raw[magicAt] = MagicV2
			checkAgainstReader(t, reseal(raw))
		}
	})
}

func FuzzEach(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	cs := narrow
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, _, err := Next(raw)
		if err != nil {
			return
		}
		r, n := NewReader(cs), 0
		err = r.Each(b, func(rec *Record) error {
			n++
			headers := 0
			for k := range rec.Headers.All() {
				if k == nil {
					t.Fatal("a header without a key")
				}
				headers++
			}
			if headers != rec.Headers.Len() {
				t.Fatalf("%d headers, said are %d", headers, rec.Headers.Len())
			}
			return nil
		})
		if err == nil && n != int(b.RecordCount()) {
			t.Fatalf("%d records, said are %d", n, b.RecordCount())
		}
		_, ferr := r.Filter(b, NewBuilder(cs), FilterOptions{DeleteHorizonMs: 5, KeepEmpty: true}, func(r *Record) bool { return r.Offset&1 == 0 })
		if err != nil && ferr == nil {
			t.Fatalf("filtered although it cannot be read: %v", err)
		}
	})
}

func FuzzDecompress(f *testing.F) {
	for _, s := range seeds(f) {
		if len(s) > HeaderSize {
			f.Add(byte(Batch(s).Codec()), Batch(s).Records())
		}
	}
	cs := wide
	f.Fuzz(func(t *testing.T, codec byte, compressed []byte) {
		var c cursor
		defer c.close()
		if c.open(cs, wrap(Codec(codec&codecMask), 1, compressed)) != nil {
			return
		}
		for c.pos = c.end; c.fill(); c.pos = c.end {
		}
		if c.dec != nil && c.seen > 1<<20+int64(len(c.buf)) {
			t.Fatalf("%d bytes came out, the limit is 1 MiB", c.seen)
		}
	})
}

func FuzzMarker(f *testing.F) {
	m := EndTxnMarker{Commit: true, CoordinatorEpoch: 7}
	f.Add(m.AppendKey(nil), m.AppendValue(nil))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		m, err := ParseEndTxnMarker(key, value)
		if err != nil {
			return
		}
		if again, err := ParseEndTxnMarker(m.AppendKey(nil), m.AppendValue(nil)); err != nil || again != m {
			t.Fatalf("%+v comes back as %+v, %v", m, again, err)
		}
	})
}
