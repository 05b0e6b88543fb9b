package batch

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

func snappyBlock(b []byte) []byte { return snappy.Encode(nil, b) }

// bomb is a compressed record area: one record with a value of size zeros, made without ever holding them.
func bomb(t testing.TB, codec Codec, size int) []byte {
	t.Helper()
	s := sink{limit: math.MaxInt}
	e, _, err := NewCodecs(Limits{}).encoder(codec, DefaultLevel, &s)
	if err != nil {
		t.Fatal(err)
	}
	head := appendVarint([]byte{0, 0, 0, 1}, int64(size))
	write := func(p []byte) {
		if _, err := e.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	write(appendVarint(nil, int64(len(head)+size+1)))
	write(head)
	zeros := make([]byte, 1<<16)
	for n := size; n > 0; n -= len(zeros) {
		write(zeros[:min(n, len(zeros))])
	}
	write([]byte{0})
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return s.buf
}

func TestABombCostsBoundedMemory(t *testing.T) {
	const size, bound = 64 << 20, 6 << 20 // what is allocated in all, not what is held at once
	for _, codec := range []Codec{Gzip, Snappy, LZ4, Zstd} {
		t.Run(codec.String(), func(t *testing.T) {
			raw := wrap(codec, 1, bomb(t, codec, size))
			t.Logf("%d bytes stand for %d", len(raw), size)

			// Within the limits a huge record is checked as it streams by, also when it is compressed anew.
			checker := NewChecker(NewCodecs(Limits{}))
			rules := lax()
			var info Info
			var fault *Fault
			if n := allocated(func() { _, info, fault = checker.Check(raw, rules) }); n > bound || fault != nil || info.RecordBytes < size {
				t.Errorf("checking it took %d bytes: %+v, %v", n, info, fault)
			}
			rules.Compression = Compression{Override: true, Codec: CodecNone}
			rules.MaxMessageBytes = int32(len(raw))
			if n := allocated(func() { _, _, fault = checker.Check(raw, rules) }); n > uint64(len(raw))+bound || code(fault) != kafka.MessageTooLarge {
				t.Errorf("storing it uncompressed took %d bytes: %v", n, fault)
			}

			// Beyond the limits it is refused, by the checker and by the reader, and the setting is named.
			for _, c := range []struct {
				limits Limits
				says   string
			}{
				{Limits{RecordBytes: 1 << 20}, SettingRecordBytes},
				{Limits{BatchBytes: 1 << 20}, SettingBatchBytes},
			} {
				cs := NewCodecs(c.limits)
				if n := allocated(func() { _, _, fault = NewChecker(cs).Check(raw, lax()) }); n > bound || code(fault) != kafka.MessageTooLarge || !strings.Contains(fault.Message, c.says) {
					t.Errorf("checking it took %d bytes: %v", n, fault)
				}
				var err error
				if n := allocated(func() { err = NewReader(cs).Each(raw, func(*Record) error { return nil }) }); n > bound || err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("reading it took %d bytes: %v", n, err)
				}
			}
		})
	}
}

func TestALyingLengthAllocatesNothing(t *testing.T) {
	const bound = 3 << 20
	window := func(log byte) []byte { // a zstd frame that asks for a window of 1<<(10+log) and holds an empty block
		return []byte{0x28, 0xb5, 0x2f, 0xfd, 0, log << 3, 1, 0, 0}
	}
	single := append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0}, make([]byte, 8)...) // one that claims its size
	binary.LittleEndian.PutUint64(single[5:], 1<<40)
	huge := append(binary.AppendUvarint(nil, math.MaxUint32), 0xff, 0xff)
	for name, c := range map[string]struct {
		raw  Batch
		code kafka.ErrorCode
		says string
	}{
		"a gzipped record of nearly 2 GiB":     {wrap(Gzip, 1, compress(t, Gzip, appendVarint(nil, math.MaxInt32))), kafka.MessageTooLarge, SettingRecordBytes},
		"a gzipped record of 90 MiB":           {wrap(Gzip, 1, compress(t, Gzip, appendVarint(nil, 90<<20))), kafka.InvalidRecord, "record 0"},
		"a snappy block of 4 GiB":              {wrap(Snappy, 1, huge), kafka.MessageTooLarge, SettingWindowBytes},
		"a snappy block denser than possible":  {wrap(Snappy, 1, append(binary.AppendUvarint(nil, 30<<20), 1, 2, 3)), kafka.UnknownServerError, "snappy"},
		"a framed snappy block of 4 GiB":       {wrap(Snappy, 1, append([]byte("\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x07"), huge...)), kafka.MessageTooLarge, SettingWindowBytes},
		"a framed snappy block beyond its end": {wrap(Snappy, 1, []byte("\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01\xff\xff\xff\xff\x00")), kafka.UnknownServerError, "snappy"},
		"a zstd window of 64 MiB":              {wrap(Zstd, 1, window(16)), kafka.UnsupportedCompressionType, "67108864 bytes, " + SettingWindowBytes},
		"a zstd window of 2 TiB":               {wrap(Zstd, 1, window(31)), kafka.UnsupportedCompressionType, SettingWindowBytes},
		"a zstd frame of 1 TiB":                {wrap(Zstd, 1, single), kafka.UnsupportedCompressionType, SettingWindowBytes},
		"a second zstd frame with a large window": {wrap(Zstd, 2, append(compress(t, Zstd, area([]byte{0, 0, 0, 1, 1, 0})), window(16)...)), kafka.UnsupportedCompressionType,
			SettingWindowBytes},
		"two thousand million records": {wrap(CodecNone, math.MaxInt32, area([]byte{0, 0, 0, 1, 1, 0})), kafka.InvalidRecord, "record 1"},
		"two thousand million headers": {wrap(CodecNone, 1, area(appendVarint([]byte{0, 0, 0, 1, 1}, math.MaxInt32))), kafka.InvalidRecord, "record 0"},
	} {
		t.Run(name, func(t *testing.T) {
			var fault *Fault
			if n := allocated(func() { _, _, fault = NewChecker(NewCodecs(Limits{})).Check(c.raw, lax()) }); n > bound {
				t.Errorf("checking it took %d bytes", n)
			}
			if code(fault) != c.code || !strings.Contains(fault.Message, c.says) {
				t.Errorf("%v, want %v about %q", fault, c.code, c.says)
			}
			var err error
			if n := allocated(func() { err = NewReader(NewCodecs(Limits{})).Each(c.raw, func(*Record) error { return nil }) }); n > bound || err == nil {
				t.Errorf("reading it took %d bytes: %v", n, err)
			}
		})
	}
}

func TestCompressedBytesOfOtherClientsAreRead(t *testing.T) {
	recs := plain(300)
	plainArea := build(t, Options{}, recs...).Records()
	frame := func(options ...lz4.Option) []byte {
		var out bytes.Buffer
		w := lz4.NewWriter(&out)
		if err := w.Apply(options...); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(plainArea); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	zstdOf := func(level zstd.EncoderLevel, options ...zstd.EOption) []byte {
		e, err := zstd.NewWriter(nil, append(options, zstd.WithEncoderLevel(level))...)
		if err != nil {
			t.Fatal(err)
		}
		return e.EncodeAll(plainArea, nil)
	}
	glue := func(codec Codec) []byte { // two streams one after the other, as some clients flush
		return append(compress(t, codec, plainArea[:1000]), compress(t, codec, plainArea[1000:])...)
	}
	for name, c := range map[string]struct {
		codec Codec
		area  []byte
	}{
		"snappy as one block":                     {Snappy, snappyBlock(plainArea)},
		"snappy in xerial framing":                {Snappy, compress(t, Snappy, plainArea)},
		"snappy in two framed streams":            {Snappy, glue(Snappy)},
		"gzip in two members":                     {Gzip, glue(Gzip)},
		"zstd in two frames":                      {Zstd, glue(Zstd)},
		"lz4 in two frames":                       {LZ4, glue(LZ4)},
		"lz4 with the content's size":             {LZ4, frame(lz4.SizeOption(uint64(len(plainArea))))},
		"lz4 with checksums of blocks":            {LZ4, frame(lz4.BlockChecksumOption(true))},
		"lz4 with a checksum of the content":      {LZ4, frame(lz4.ChecksumOption(true))},
		"lz4 with a wrong one, as Kafka reads it": {LZ4, flipLast(frame(lz4.ChecksumOption(true)))},
		"lz4 in blocks of 4 MiB, searched deeply": {LZ4, frame(lz4.BlockSizeOption(lz4.Block4Mb), lz4.CompressionLevelOption(lz4.Level9))},
		"zstd, fastest":                           {Zstd, zstdOf(zstd.SpeedFastest)},
		"zstd, best, with a checksum":             {Zstd, zstdOf(zstd.SpeedBestCompression, zstd.WithEncoderCRC(true))},
		"zstd in many segments":                   {Zstd, zstdOf(zstd.SpeedDefault, zstd.WithSingleSegment(false), zstd.WithWindowSize(1<<20))},
	} {
		t.Run(name, func(t *testing.T) {
			cs := NewCodecs(Limits{})
			raw := wrap(c.codec, int32(len(recs)), c.area)
			b, info, fault := NewChecker(cs).Check(raw, lax())
			if fault != nil || info.RecordBytes != int64(len(plainArea)) || b.MaxTimestamp() != 1299 {
				t.Fatalf("%+v, %v", info, fault)
			}
			n := 0
			if err := NewReader(cs).Each(b, func(r *Record) error {
				if !bytes.Equal(r.Value, recs[n].Value) || !bytes.Equal(r.Key, recs[n].Key) || r.Offset != int64(n) {
					t.Fatalf("record %d is another", n)
				}
				n++
				return nil
			}); err != nil || n != len(recs) {
				t.Fatal(n, err)
			}
		})
	}
}

func flipLast(b []byte) []byte {
	b[len(b)-1] ^= 1
	return b
}

func TestCompressedBytesNoClientCouldReadAreRefused(t *testing.T) {
	a := area([]byte{0, 0, 0, 1, 1, 0})
	// Flags for dependent blocks, blocks of 64 KiB, their checksum; one block stored as it is; the end.
	linked := append([]byte{0x04, 0x22, 0x4d, 0x18, 0x40, 0x40, 0xc0, byte(len(a)), 0, 0, 0x80}, a...)
	linked = append(linked, 0, 0, 0, 0)
	if got, err := io.ReadAll(lz4.NewReader(bytes.NewReader(linked))); err != nil || !bytes.Equal(got, a) {
		t.Fatal("the frame is not even one: ", err)
	}
	legacy := compress(t, LZ4, a)
	binary.LittleEndian.PutUint32(legacy, 0x184C2102)
	long := make([]byte, 4000) // like noise, so that the block is no denser than snappy can be
	for i := range long {
		long[i] = byte(i * i >> 3)
	}
	extended := build(t, Options{}, rec{Key: long, Value: append(append(bytes.Clone(long), "xyz"...), long...)}).Records()
	s2only := s2.EncodeBest(nil, extended)
	if got, err := s2.Decode(nil, s2only); err != nil || !bytes.Equal(got, extended) {
		t.Fatal(err)
	}
	if _, err := snappy.DecodeStrict(nil, s2only); err == nil {
		t.Fatal("the bytes are plain snappy: the test shows nothing")
	}
	gz := compress(t, Gzip, a)
	gzSum := bytes.Clone(gz)
	gzSum[len(gzSum)-6]++
	for name, c := range map[string]struct {
		codec Codec
		area  []byte
	}{
		"no gzip":                              {Gzip, a},
		"gzip of nothing":                      {Gzip, nil},
		"gzip cut short":                       {Gzip, gz[:len(gz)-1]},
		"gzip cut inside its record":           {Gzip, gz[:12]},
		"gzip with a wrong checksum":           {Gzip, gzSum},
		"gzip with bytes after it":             {Gzip, append(bytes.Clone(gz), 7)},
		"no snappy":                            {Snappy, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
		"snappy of nothing":                    {Snappy, nil},
		"snappy's header alone":                {Snappy, []byte("\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01")},
		"half a length of a snappy block":      {Snappy, []byte("\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00")},
		"snappy with extensions of others":     {Snappy, s2only},
		"no lz4":                               {LZ4, bytes.Repeat([]byte{1}, 30)},
		"lz4 of nothing":                       {LZ4, nil},
		"lz4 cut short":                        {LZ4, compress(t, LZ4, a)[:12]},
		"lz4 with blocks that need each other": {LZ4, linked},
		"lz4 of the old kind":                  {LZ4, legacy},
		"no zstd":                              {Zstd, a},
		"zstd of nothing":                      {Zstd, nil},
		"zstd cut short":                       {Zstd, compress(t, Zstd, a)[:8]},
		"zstd with bytes after it":             {Zstd, append(compress(t, Zstd, a), 1, 2, 3, 4, 5)},
	} {
		t.Run(name, func(t *testing.T) {
			raw := wrap(c.codec, 1, c.area)
			want := kafka.UnknownServerError
			switch name {
			case "snappy's header alone", "zstd of nothing": // where Kafka, too, sees an end rather than an error
				want = kafka.InvalidRecord
			}
			if _, _, fault := NewChecker(NewCodecs(Limits{})).Check(raw, lax()); code(fault) != want {
				t.Errorf("checked: %v", fault)
			}
			if err := NewReader(NewCodecs(Limits{})).Each(raw, func(*Record) error { return nil }); err == nil {
				t.Error("read without an error")
			}
		})
	}
}

func TestIdleDecodersHoldLittle(t *testing.T) {
	d := &snappyDecoder{limits: DefaultLimits()}
	in := snappyBlock(make([]byte, 8<<20))
	if err := d.open(in); err != nil {
		t.Fatal(err)
	}
	if n, err := d.Read(make([]byte, 10)); n != 10 || err != nil {
		t.Fatal(n, err)
	}
	if d.release(); cap(d.block) > snappyKeepBytes || d.in != nil {
		t.Errorf("a pooled decoder keeps %d bytes, and %d of a request", cap(d.block), len(d.in))
	}
	c := NewChecker(NewCodecs(Limits{}))
	if _, _, fault := c.Check(build(t, Options{}, plain(3)...), lax()); fault != nil {
		t.Fatal(fault)
	}
	if c.fields.key != nil || c.fields.value != nil || c.cursor.buf != nil {
		t.Error("an idle checker keeps a request")
	}
}

func TestMemoryIsWhatADecompressorMayHold(t *testing.T) {
	cs := NewCodecs(Limits{BufferBytes: 1000})
	framed := compress(t, Snappy, make([]byte, 100_000))
	for name, c := range map[string]struct {
		b    []byte
		want int64
	}{
		"nothing":                       {nil, 0},
		"not compressed":                {wrap(CodecNone, 1, nil), 0},
		"gzip":                          {wrap(Gzip, 1, nil), 1000 + 256<<10},
		"snappy, the largest block":     {wrap(Snappy, 1, framed), 1000 + xerialBlockSize},
		"snappy, one block":             {wrap(Snappy, 1, snappyBlock(make([]byte, 100_000))), 1000 + 100_000},
		"snappy that lies":              {wrap(Snappy, 1, binary.AppendUvarint(nil, 1<<31)), 1000 + 5*snappyRatioMax},
		"snappy that is cut":            {wrap(Snappy, 1, framed[:30]), 1000},
		"lz4":                           {wrap(LZ4, 1, nil), 1000 + 8<<20},
		"zstd without a frame":          {wrap(Zstd, 1, nil), 1000 + 256<<10 + 8<<20},
		"zstd with a window of 16 MiB":  {wrap(Zstd, 1, []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 14 << 3, 1, 0, 0}), 1000 + 256<<10 + 16<<20},
		"zstd with a window of 512 MiB": {wrap(Zstd, 1, []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 19 << 3, 1, 0, 0}), 1000 + 256<<10 + 32<<20},
	} {
		if got := cs.Memory(c.b); got != c.want {
			t.Errorf("%s: %d bytes, want %d", name, got, c.want)
		}
	}
}

func TestALargeZstdWindowIsReadWhereTheLimitAllows(t *testing.T) {
	cs := NewCodecs(Limits{WindowBytes: 64 << 20})
	var out bytes.Buffer
	e, err := zstd.NewWriter(&out, zstd.WithWindowSize(32<<20), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	want := plain(50)
	if _, err := io.Copy(e, bytes.NewReader(build(t, Options{}, want...).Records())); err != nil {
		t.Fatal(err)
	}
	if err := e.Flush(); err != nil { // so that the frame does not know its size, and asks for the whole window
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	raw := wrap(Zstd, 50, out.Bytes())
	for range 2 {
		if got, err := records(t, NewReader(cs), raw); err != nil || len(got) != 50 {
			t.Fatal(len(got), err)
		}
	}
	if err := NewReader(NewCodecs(Limits{WindowBytes: 16 << 20})).Each(raw, func(*Record) error { return nil }); err == nil {
		t.Error("read beyond the limit")
	}
}
