package batch

import (
	"errors"
	"testing"
)

func keepAll(*Record) bool  { return true }
func keepNone(*Record) bool { return false }

func TestFilter(t *testing.T) {
	cs := NewCodecs(Limits{})
	marker := EndTxnMarker{Commit: true, CoordinatorEpoch: 5}
	withTombstone := []rec{{0, 50, []byte("a"), []byte("v"), nil}, {1, 60, []byte("b"), nil, nil}, {2, 70, []byte("c"), []byte("v"), nil}}
	markerBatch := func() Batch {
		return build(t, Options{BaseOffset: 9, Control: true, Transactional: true, Producer: &Producer{ID: 4, Epoch: 1, BaseSequence: -1}},
			rec{Offset: 9, Timestamp: 80, Key: marker.AppendKey(nil), Value: marker.AppendValue(nil)})
	}
	empty := func() Batch {
		b := NewBuilder(cs)
		b.Reset(Options{BaseOffset: 3, Producer: &Producer{ID: 4, Epoch: 1, BaseSequence: 2}})
		if err := b.ExtendTo(8); err != nil {
			t.Fatal(err)
		}
		out, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, c := range []struct {
		name    string
		in      Batch
		options FilterOptions
		keep    func(*Record) bool
		changed bool
		left    int   // records; -1 = no batch
		horizon int64 // 0 = none
	}{
		{"a batch that keeps all stays as it is", build(t, Options{Codec: Zstd}, withTombstone...), FilterOptions{}, keepAll, false, 3, 0},
		{"a batch without tombstones gets no horizon", build(t, Options{}, plain(3)...), FilterOptions{DeleteHorizonMs: 99}, keepAll, false, 3, 0},
		{"a kept tombstone gets a horizon", build(t, Options{}, withTombstone...), FilterOptions{DeleteHorizonMs: 99}, keepAll, true, 3, 99},
		{"a dropped tombstone needs none", build(t, Options{}, withTombstone...), FilterOptions{DeleteHorizonMs: 99},
			func(r *Record) bool { return r.Value != nil }, true, 2, 0},
		{"a horizon is set once", build(t, Options{DeleteHorizonSet: true, DeleteHorizonMs: 40}, withTombstone...), FilterOptions{DeleteHorizonMs: 99}, keepAll, false, 3, 40},
		{"a horizon outlives a rewrite", build(t, Options{DeleteHorizonSet: true, DeleteHorizonMs: 40}, withTombstone...), FilterOptions{},
			func(r *Record) bool { return r.Value == nil }, true, 1, 40},
		{"a batch of nothing goes", build(t, Options{Codec: LZ4}, withTombstone...), FilterOptions{DeleteHorizonMs: 99}, keepNone, true, -1, 0},
		{"or leaves its header", build(t, Options{Codec: LZ4}, withTombstone...), FilterOptions{DeleteHorizonMs: 99, KeepEmpty: true}, keepNone, true, 0, 0},
		{"a marker stays a marker", markerBatch(), FilterOptions{DeleteHorizonMs: 99}, keepAll, false, 1, 0},
		{"a marker without data gets a horizon", markerBatch(), FilterOptions{DeleteHorizonMs: 99, ForceDeleteHorizon: true}, keepAll, true, 1, 99},
		{"a marker's header can stay", markerBatch(), FilterOptions{KeepEmpty: true}, keepNone, true, 0, 0},
		{"an empty batch stays while it is needed", empty(), FilterOptions{KeepEmpty: true}, keepAll, false, 0, 0},
		{"and goes when it is not", empty(), FilterOptions{}, keepAll, true, -1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			reader := NewReader(cs)
			in, err := records(t, reader, c.in)
			if err != nil {
				t.Fatal(err)
			}
			res, err := reader.Filter(c.in, NewBuilder(cs), c.options, c.keep)
			if err != nil {
				t.Fatal(err)
			}
			if res.Changed != c.changed {
				t.Errorf("changed: %v", res.Changed)
			}
			if !res.Changed && &res.Batch[0] != &c.in[0] {
				t.Error("copied, but not changed")
			}
			if c.left < 0 {
				if res.Batch != nil || res.Kept != 0 {
					t.Fatalf("%+v", res)
				}
				return
			}
			out := res.Batch
			if int(out.RecordCount()) != c.left || res.Kept != c.left || res.Dropped != len(in)-c.left || !out.ValidCRC() {
				t.Errorf("%d records, %d kept, %d dropped", out.RecordCount(), res.Kept, res.Dropped)
			}
			if out.DeleteHorizonSet() != (c.horizon != 0) || c.horizon != 0 && out.BaseTimestamp() != c.horizon {
				t.Errorf("horizon %v, %d", out.DeleteHorizonSet(), out.BaseTimestamp())
			}
			if out.Control() != c.in.Control() || out.Transactional() != c.in.Transactional() || out.LastOffset() != c.in.LastOffset() || out.ProducerID() != c.in.ProducerID() {
				t.Error("the header lost something")
			}
			var want []rec
			for _, r := range in {
				if c.keep(&Record{Offset: r.Offset, Value: r.Value}) {
					want = append(want, r)
				}
			}
			got, err := records(t, reader, out)
			if d := diff(want, got); d != "" || err != nil {
				t.Errorf("%v %s", err, d)
			}
			if d := diff(want, kgoRead(t, out)); d != "" && c.left > 0 {
				t.Errorf("franz-go reads something else: %s", d)
			}
		})
	}
}

func TestFilterRefusesADamagedBatch(t *testing.T) {
	cs := NewCodecs(Limits{})
	damaged := wrap(Gzip, 3, compress(t, Gzip, build(t, Options{}, plain(2)...).Records()))
	var fault *Fault
	if res, err := NewReader(cs).Filter(damaged, NewBuilder(cs), FilterOptions{}, keepAll); !errors.As(err, &fault) || res.Batch != nil || res.Kept != 0 {
		t.Errorf("%+v, %v", res, err)
	}
	sameOffsets := wrap(CodecNone, 2, area([]byte{0, 0, 0, 1, 1, 0}, []byte{0, 0, 0, 1, 1, 0}, []byte{0, 0, 0, 1, 1, 0})[:14])
	if _, err := NewReader(cs).Filter(sameOffsets, NewBuilder(cs), FilterOptions{DeleteHorizonMs: 5}, keepAll); err == nil {
		t.Error("two records at one offset are compacted")
	}
	backwards := tampered(t, func(b Batch) { b[lastOffsetDeltaAt] = 0x80 })
	if _, err := NewReader(cs).Filter(backwards, NewBuilder(cs), FilterOptions{KeepEmpty: true}, keepNone); err == nil {
		t.Error("a batch that ends before it begins is emptied")
	}
}

func TestEachStopsWhenToldAndSaysWhy(t *testing.T) {
	r := NewReader(NewCodecs(Limits{}))
	for codec := range allCodecs {
		b := build(t, Options{Codec: codec}, plain(10)...)
		n := 0
		if err := r.Each(b, func(*Record) error {
			if n++; n == 4 {
				return ErrStop
			}
			return nil
		}); err != nil || n != 4 {
			t.Errorf("%v: %d records, %v", codec, n, err)
		}
		mine := errors.New("mine")
		if err := r.Each(b, func(*Record) error { return mine }); err != mine {
			t.Errorf("%v: %v", codec, err)
		}
		if got, err := records(t, r, b); err != nil || len(got) != 10 {
			t.Errorf("%v, after stopping: %d records, %v", codec, len(got), err)
		}
	}
	bad := tampered2(t, func(b Batch) { b[recordCountAt] = 0x80 })
	if err := r.Each(bad, func(*Record) error { return nil }); err == nil {
		t.Error("a negative count is read")
	}
}

func TestEachAllocatesNothing(t *testing.T) {
	for codec := range allCodecs {
		r := NewReader(NewCodecs(Limits{}))
		b := build(t, Options{Codec: codec}, plain(500)...)
		n := 0
		count := func(*Record) error { n++; return nil }
		if allocs := testing.AllocsPerRun(100, func() { _ = r.Each(b, count) }); allocs > 0 && codec == CodecNone || allocs > emptiedPoolAllocs {
			t.Errorf("%v: %v allocations for 500 records", codec, allocs)
		}
		if n == 0 {
			t.Errorf("%v: nothing was read", codec)
		}
	}
}
