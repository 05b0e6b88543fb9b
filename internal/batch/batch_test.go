package batch

import "testing"

func TestBuildAndReadBack(t *testing.T) {
	cs := NewCodecs(Limits{})
	for c := CodecNone; c < codecs; c++ {
		b := NewBuilder(cs)
		b.Reset(Options{Codec: c})
		for i := range 1000 {
			if err := b.Append(int64(1000+i), []byte("k"), []byte("value value value"), MakeHeaders(Header{"h", nil})); err != nil {
				t.Fatal(err)
			}
		}
		out, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		got, info, fault := NewChecker(cs).Check(out, &Rules{MaxMessageBytes: 1 << 20, NowMs: 2000, BeforeMaxMs: 1 << 62, AfterMaxMs: 1000})
		if fault != nil {
			t.Fatal(c, fault)
		}
		t.Log(c, len(got), info)
		n := 0
		if err := NewReader(cs).Each(got, func(r *Record) error { n++; return nil }); err != nil || n != 1000 {
			t.Fatal(n, err)
		}
	}
}
