package batch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestAccessorsAgreeWithAnotherImplementation(t *testing.T) {
	b := build(t, Options{
		BaseOffset: 1 << 40, LeaderEpoch: 7, Codec: Zstd, Producer: &Producer{ID: 1 << 33, Epoch: 300, BaseSequence: math.MaxInt32},
		LogAppendTime: true, LogAppendTimeMs: 1 << 41, Transactional: true, Control: true, DeleteHorizonSet: true, DeleteHorizonMs: 99,
	}, rec{Offset: 1 << 40, Timestamp: 5}, rec{Offset: 1<<40 + 3, Timestamp: 6})
	var k kmsg.RecordBatch
	if err := k.ReadFrom(b); err != nil {
		t.Fatal(err)
	}
	type header struct {
		Base, BaseTS, MaxTS, PID         int64
		Length, Epoch, Delta, Seq, Count int32
		Magic                            int8
		Attributes, PEpoch               int16
		CRC                              int32
	}
	want := header{k.FirstOffset, k.FirstTimestamp, k.MaxTimestamp, k.ProducerID, k.Length + LengthSize, k.PartitionLeaderEpoch, k.LastOffsetDelta,
		k.FirstSequence, k.NumRecords, k.Magic, k.Attributes, k.ProducerEpoch, k.CRC}
	got := header{b.BaseOffset(), b.BaseTimestamp(), b.MaxTimestamp(), b.ProducerID(), int32(len(b)), b.LeaderEpoch(), b.LastOffsetDelta(),
		b.BaseSequence(), b.RecordCount(), b.Magic(), b.Attributes(), b.ProducerEpoch(), int32(b.CRC())}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
	if b.Codec() != Zstd || !b.LogAppendTime() || !b.Transactional() || !b.Control() || !b.DeleteHorizonSet() || !b.HasProducerID() {
		t.Errorf("attributes %016b are read wrongly", b.Attributes())
	}
	if b.LastOffset() != 1<<40+3 || b.LastSequence() != 2 {
		t.Errorf("last offset %d, last sequence %d", b.LastOffset(), b.LastSequence())
	}
	if !b.ValidCRC() || !bytes.Equal(b.Records(), k.Records) {
		t.Error("CRC or records differ")
	}
	none := build(t, Options{}, plain(1)...)
	if none.HasProducerID() || none.LastSequence() != NoSequence || none.Attributes() != 0 {
		t.Errorf("a plain batch has producer %d, last sequence %d, attributes %b", none.ProducerID(), none.LastSequence(), none.Attributes())
	}
}

func TestOffsetAndEpochLieOutsideTheCRCAndTheTimeInside(t *testing.T) {
	b := build(t, Options{}, plain(3)...)
	crc := b.CRC()
	b.SetBaseOffset(123456789012)
	b.SetLeaderEpoch(77)
	if b.CRC() != crc || !b.ValidCRC() {
		t.Fatal("placing the batch in the log touched the CRC")
	}
	b.SetLogAppendTime(4242)
	if b.CRC() == crc || !b.ValidCRC() || !b.LogAppendTime() || b.MaxTimestamp() != 4242 {
		t.Fatalf("CRC %08x (was %08x), time %d", b.CRC(), crc, b.MaxTimestamp())
	}
	if b.BaseOffset() != 123456789012 || b.LeaderEpoch() != 77 {
		t.Fatal("offset or epoch lost")
	}
}

func TestNextSplitsBatchesAndRefusesTheRest(t *testing.T) {
	one, two := build(t, Options{}, plain(1)...), build(t, Options{BaseOffset: 1}, rec{Offset: 1})
	both := append(bytes.Clone(one), two...)
	first, rest, err := Next(both)
	if err != nil || !bytes.Equal(first, one) || !bytes.Equal(rest, two) {
		t.Fatalf("first of two: %v", err)
	}
	if cap(first) != len(first) {
		t.Error("appending to the first batch would overwrite the second")
	}
	if second, rest, err := Next(rest); err != nil || !bytes.Equal(second, two) || len(rest) != 0 {
		t.Fatalf("second of two: %v", err)
	}
	if _, _, err := Next(nil); err != io.EOF {
		t.Errorf("nothing at all: %v", err)
	}
	for n := 1; n < len(one); n++ {
		_, rest, err := Next(one[:n])
		var fault *Fault
		if !errors.Is(err, io.ErrUnexpectedEOF) || !errors.As(err, &fault) {
			t.Fatalf("%d bytes of %d: %v is not an early end", n, len(one), err)
		}
		if len(rest) != n {
			t.Fatalf("%d bytes of %d: only %d left", n, len(one), len(rest))
		}
	}
	for _, length := range []uint32{0, 48, math.MaxInt32 - 11, math.MaxInt32, 1 << 31, math.MaxUint32} {
		bad := bytes.Clone(one)
		binary.BigEndian.PutUint32(bad[lengthAt:], length)
		if _, _, err := Next(bad); err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("length %d: %v", int32(length), err)
		}
	}
	old := bytes.Clone(one)
	old[magicAt] = 1
	if _, _, err := Next(old); err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("magic 1: %v", err)
	}
}

func TestPeekLengthNeedsTwelveBytes(t *testing.T) {
	b := build(t, Options{}, plain(2)...)
	if n, err := PeekLength(b[:LengthSize]); err != nil || n != len(b) {
		t.Errorf("%d of %d bytes, %v", n, len(b), err)
	}
	if _, err := PeekLength(b[:LengthSize-1]); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("11 bytes: %v", err)
	}
}

func TestSequencesWrapToZero(t *testing.T) {
	for _, c := range []struct{ last, n, want int32 }{
		{0, 0, 0}, {0, 1, 1}, {math.MaxInt32, 0, math.MaxInt32}, {math.MaxInt32, 1, 0}, {math.MaxInt32, 5, 4}, {math.MaxInt32 - 2, 3, 0},
		{math.MaxInt32, math.MaxInt32, math.MaxInt32 - 1},
	} {
		if got := NextSequence(c.last, c.n); got != c.want {
			t.Errorf("%d after %d is %d, want %d", c.n, c.last, got, c.want)
		}
	}
}

func TestMarkersSurviveTheirBytes(t *testing.T) {
	for _, m := range []EndTxnMarker{{true, 0}, {false, 1}, {true, math.MaxInt32}} {
		key, value := m.AppendKey(nil), m.AppendValue(nil)
		var k kmsg.ControlRecordKey
		var v kmsg.EndTxnMarker
		if err := errors.Join(k.ReadFrom(key), v.ReadFrom(value)); err != nil {
			t.Fatal(err)
		}
		if (k.Type == kmsg.ControlRecordKeyTypeCommit) != m.Commit || v.CoordinatorEpoch != m.CoordinatorEpoch {
			t.Errorf("%+v reads as %v, %+v elsewhere", m, k, v)
		}
		// A later version may append fields.
		if got, err := ParseEndTxnMarker(append(key, 9), append(value, 9, 9)); err != nil || got != m {
			t.Errorf("%+v reads as %+v, %v", m, got, err)
		}
	}
	ok := EndTxnMarker{Commit: true}
	for name, kv := range map[string][2][]byte{
		"a short key":            {{0, 0, 0}, ok.AppendValue(nil)},
		"no key":                 {nil, ok.AppendValue(nil)},
		"a negative key version": {{0xff, 0xff, 0, 0}, ok.AppendValue(nil)},
		"another control type":   {{0, 0, 0, 2}, ok.AppendValue(nil)},
		"a short value":          {ok.AppendKey(nil), {0, 0, 0, 0, 0}},
		"no value":               {ok.AppendKey(nil), nil},
		"a negative version":     {ok.AppendKey(nil), {0xff, 0xff, 0, 0, 0, 0}},
	} {
		if m, err := ParseEndTxnMarker(kv[0], kv[1]); err == nil {
			t.Errorf("%s reads as %+v", name, m)
		}
	}
	if ControlCommit.String() != "COMMIT" || ControlAbort.String() != "ABORT" || ControlType(9).String() != "UNKNOWN" {
		t.Error("names of control types")
	}
}

func TestVarintsAreKafkas(t *testing.T) {
	for _, v := range []int64{0, -1, 1, 63, -64, 64, -65, 8191, 8192, math.MaxInt32, math.MinInt32, math.MaxInt64, math.MinInt64} {
		b := appendVarint(nil, v)
		if len(b) != varintSize(v) {
			t.Errorf("%d has %d bytes, said were %d", v, len(b), varintSize(v))
		}
		if got, next := varint64(b, 0); got != v || next != len(b) {
			t.Errorf("%d reads as %d", v, got)
		}
		got, next := varint32(b, 0)
		if fits := v == int64(int32(v)); fits && (int64(got) != v || next != len(b)) || !fits && next != -1 {
			t.Errorf("%d reads as %d in 32 bits, next %d", v, got, next)
		}
		if _, next := varint64(b[:len(b)-1], 0); next != -1 {
			t.Errorf("%d without its last byte ends at %d", v, next)
		}
	}
	if v, next := varint32([]byte{0xff, 0xff, 0xff, 0xff, 0x0f}, 0); v != math.MinInt32 || next != 5 {
		t.Errorf("the smallest 32-bit integer reads as %d", v)
	}
	if _, next := varint32([]byte{0x80, 0x80, 0x80, 0x80, 0x10}, 0); next != -1 {
		t.Error("33 bits fit into 32")
	}
	if _, next := varint64([]byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02}, 0); next != -1 {
		t.Error("65 bits fit into 64")
	}
	long := bytes.Repeat([]byte{0xff}, 20)
	if _, next := varint64(long, 0); next != -1 {
		t.Error("an endless varint ends")
	}
	if _, next := varint32(long, 3); next != -1 {
		t.Error("an endless 32-bit varint ends")
	}
}

func TestHeadersAreWalkedInOrder(t *testing.T) {
	in := []Header{{"a", []byte("1")}, {"", nil}, {"a", []byte{}}}
	h := MakeHeaders(in...)
	var got []Header
	for k, v := range h.All() {
		got = append(got, Header{string(k), v})
	}
	if d := cmp.Diff(in, got); d != "" || h.Len() != 3 {
		t.Errorf("%d headers: %s", h.Len(), d)
	}
	if MakeHeaders() != nil || Headers(nil).Len() != 0 {
		t.Error("no headers are not none")
	}
	for range h.All() {
		break // a consumer may stop early
	}
	for range Headers([]byte{40, 2}).All() {
		t.Error("headers out of nothing")
	}
}
