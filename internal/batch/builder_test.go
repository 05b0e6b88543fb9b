package batch

import (
	"bytes"
	"math"
	"sync"
	"testing"
)

func TestBuilderCountsOffsetsByItself(t *testing.T) {
	b := NewBuilder(NewCodecs(Limits{}))
	b.Reset(Options{BaseOffset: 500})
	want := []rec{{500, 7, []byte("a"), nil, nil}, {501, 6, nil, []byte{}, []Header{{"h", nil}}}, {510, 9, []byte{}, []byte("v"), nil}, {511, 8, nil, nil, nil}}
	for _, r := range want {
		var err error
		if r.Offset == 510 {
			err = b.AppendAt(r.Offset, r.Timestamp, r.Key, r.Value, MakeHeaders(r.Headers...))
		} else {
			err = b.Append(r.Timestamp, r.Key, r.Value, MakeHeaders(r.Headers...))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if b.Count() != 4 {
		t.Errorf("%d records", b.Count())
	}
	size := b.Len()
	out, err := b.Build()
	if err != nil || len(out) != size {
		t.Fatalf("%d bytes, said were %d, %v", len(out), size, err)
	}
	got, err := records(t, NewReader(NewCodecs(Limits{})), out)
	if d := diff(want, got); d != "" || err != nil {
		t.Fatal(err, d)
	}
	if out.MaxTimestamp() != 9 || out.BaseTimestamp() != 7 || out.LastOffsetDelta() != 11 {
		t.Errorf("times %d to %d, last offset delta %d", out.BaseTimestamp(), out.MaxTimestamp(), out.LastOffsetDelta())
	}
}

func TestBuilderRefusesWhatNoBatchCanSay(t *testing.T) {
	for name, f := range map[string]func(b *Builder) error{
		"an offset below the base":       func(b *Builder) error { return b.AppendAt(9, 0, nil, nil, nil) },
		"the offset of the last record":  func(b *Builder) error { return b.AppendAt(10, 0, nil, nil, nil) },
		"an offset 2 GiB away":           func(b *Builder) error { return b.AppendAt(11+math.MaxInt32, 0, nil, nil, nil) },
		"headers that are none":          func(b *Builder) error { return b.Append(0, nil, nil, Headers{4, 1}) },
		"headers with bytes after them":  func(b *Builder) error { return b.Append(0, nil, nil, Headers{0, 0}) },
		"an end before the last record":  func(b *Builder) error { return b.ExtendTo(9) },
		"an end beyond the offset delta": func(b *Builder) error { return b.ExtendTo(11 + math.MaxInt32) },
	} {
		for codec := range allCodecs {
			b := NewBuilder(NewCodecs(Limits{}))
			b.Reset(Options{BaseOffset: 10, Codec: codec})
			if err := b.Append(0, nil, nil, nil); err != nil {
				t.Fatal(err)
			}
			first := f(b)
			if first == nil {
				t.Errorf("%s is taken", name)
				continue
			}
			if err := b.Append(0, nil, nil, nil); err != first {
				t.Errorf("%s: the next record is taken", name)
			}
			if out, err := b.Build(); err != first || out != nil {
				t.Errorf("%s: a batch all the same", name)
			}
			b.Reset(Options{Codec: codec})
			if err := b.Append(0, nil, nil, nil); err != nil {
				t.Errorf("%s: not forgotten after Reset: %v", name, err)
			}
		}
	}
	b := NewBuilder(NewCodecs(Limits{}))
	b.Reset(Options{Codec: Codec(6)})
	if _, err := b.Build(); err == nil {
		t.Error("codec 6 builds")
	}
	b.Reset(Options{Codec: Gzip, Level: 10})
	if _, err := b.Build(); err == nil {
		t.Error("gzip level 10 builds")
	}
}

func TestAnEmptyBatchKeepsItsOffsetsAndProducer(t *testing.T) {
	for codec := range allCodecs {
		b := NewBuilder(NewCodecs(Limits{}))
		b.Reset(Options{BaseOffset: 7, Codec: codec, Producer: &Producer{ID: 1, Epoch: 2, BaseSequence: 3}})
		if err := b.ExtendTo(9); err != nil {
			t.Fatal(err)
		}
		out, err := b.Build()
		if err != nil || len(out) != HeaderSize || out.Codec() != CodecNone {
			t.Fatalf("%v: %d bytes, %v", codec, len(out), err)
		}
		if out.LastOffset() != 9 || out.RecordCount() != 0 || out.LastSequence() != 5 || out.MaxTimestamp() != NoTimestamp || !out.ValidCRC() {
			t.Errorf("%v: last offset %d, last sequence %d", codec, out.LastOffset(), out.LastSequence())
		}
		if got, err := records(t, NewReader(NewCodecs(Limits{})), out); err != nil || len(got) != 0 {
			t.Errorf("%v: %d records, %v", codec, len(got), err)
		}
	}
}

func TestLevelsAreKafkas(t *testing.T) {
	for _, c := range []struct {
		codec Codec
		level int
		ok    bool
	}{
		{Gzip, -1, true}, {Gzip, 1, true}, {Gzip, 9, true}, {Gzip, 10, false}, {Gzip, -2, false},
		{LZ4, 1, true}, {LZ4, 17, true}, {LZ4, 18, false}, {LZ4, -1, false},
		{Zstd, -131072, true}, {Zstd, 22, true}, {Zstd, 23, false}, {Zstd, -131073, false},
		{Snappy, 0, true}, {Snappy, 1, false}, {CodecNone, 0, true}, {CodecNone, 3, false}, {Gzip, 0, true}, {LZ4, 0, true}, {Zstd, 0, true},
	} {
		if err := CheckLevel(c.codec, c.level); (err == nil) != c.ok {
			t.Errorf("%v, level %d: %v", c.codec, c.level, err)
		}
		if !c.ok || c.codec == CodecNone {
			continue
		}
		want := plain(20)
		out := build(t, Options{Codec: c.codec, Level: c.level}, want...)
		if d := diff(want, kgoRead(t, out)); d != "" {
			t.Errorf("%v, level %d: %s", c.codec, c.level, d)
		}
	}
	small, large := build(t, Options{Codec: Gzip, Level: 9}, plain(200)...), build(t, Options{Codec: Gzip, Level: 1}, plain(200)...)
	if len(small) >= len(large) {
		t.Errorf("gzip level 9 makes %d bytes, level 1 %d", len(small), len(large))
	}
}

func TestCodecsHaveNames(t *testing.T) {
	for codec := range allCodecs {
		if got, err := ParseCodec(codec.String()); got != codec || err != nil {
			t.Errorf("%v reads as %v, %v", codec, got, err)
		}
	}
	if got, err := ParseCodec("uncompressed"); got != CodecNone || err != nil {
		t.Errorf("uncompressed: %v, %v", got, err)
	}
	if _, err := ParseCodec("brotli"); err == nil {
		t.Error("brotli is known")
	}
	if Codec(5).Known() || Codec(-1).Known() || Codec(5).String() != "codec 5" {
		t.Error("codec 5 is known")
	}
}

func TestSnappyIsFramedAsJavaWritesIt(t *testing.T) {
	in := make([]byte, 70_000)
	out := compress(t, Snappy, in)
	if !bytes.HasPrefix(out, []byte("\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01")) {
		t.Fatalf("header % x", out[:16])
	}
	blocks := 0
	d := snappyDecoder{in: out}
	d.framed = d.skipXerialHeader()
	for len(d.in) > 0 {
		if _, err := d.cut(); err != nil {
			t.Fatal(err)
		}
		blocks++
	}
	if blocks != 3 {
		t.Errorf("70,000 bytes are in %d blocks, want 3 of at most 32 KiB", blocks)
	}
}

func TestOneCodecsServesManyGoroutines(t *testing.T) {
	cs := NewCodecs(Limits{BufferBytes: 300})
	want := plain(40)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			builder, checker, reader := NewBuilder(cs), NewChecker(cs), NewReader(cs)
			for i := range 40 {
				from, to := Codec((g+i)%codecs), Codec((g+2*i+1)%codecs)
				builder.Reset(Options{Codec: from})
				for _, r := range want {
					_ = builder.Append(r.Timestamp, r.Key, r.Value, nil)
				}
				raw, err := builder.Build()
				if err != nil {
					t.Error(err)
					return
				}
				rules := lax()
				rules.Compression = Compression{Override: true, Codec: to}
				out, _, fault := checker.Check(raw, rules)
				if fault != nil {
					t.Error(fault)
					return
				}
				got, err := records(t, reader, out)
				if d := diff(want, got); d != "" || err != nil {
					t.Errorf("%v to %v: %v %s", from, to, err, d)
				}
			}
		})
	}
	wg.Wait()
}
