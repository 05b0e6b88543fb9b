package batch

import (
	"fmt"
	"testing"
)

// The batches of the benchmarks: about 1 MiB of records each.
func benchBatch(b *testing.B, codec Codec, size int) Batch {
	b.Helper()
	n := 1 << 20 / size
	recs := make([]rec, n)
	for i := range recs {
		v := make([]byte, size)
		for j := range v {
			v[j] = "abcdefghijklmnop"[(i*j+j>>3)&15]
		}
		recs[i] = rec{Offset: int64(i), Timestamp: int64(i), Key: []byte("key"), Value: v}
	}
	return build(b, Options{Codec: codec}, recs...)
}

func BenchmarkCheck(b *testing.B) {
	for codec := range allCodecs {
		for _, size := range []int{100, 1024, 16384} {
			b.Run(fmt.Sprintf("%v/%d", codec, size), func(b *testing.B) {
				raw := benchBatch(b, codec, size)
				c, rules := NewChecker(NewCodecs(Limits{})), lax()
				b.SetBytes(1 << 20)
				b.ReportAllocs()
				for b.Loop() {
					if _, _, fault := c.Check(raw, rules); fault != nil {
						b.Fatal(fault)
					}
				}
			})
		}
	}
}

func BenchmarkEach(b *testing.B) {
	for codec := range allCodecs {
		b.Run(codec.String(), func(b *testing.B) {
			raw := benchBatch(b, codec, 1024)
			r := NewReader(NewCodecs(Limits{}))
			b.SetBytes(1 << 20)
			b.ReportAllocs()
			for b.Loop() {
				if err := r.Each(raw, func(*Record) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRecompress(b *testing.B) {
	for codec := range allCodecs {
		b.Run("none to "+codec.String(), func(b *testing.B) {
			from := CodecNone
			if codec == CodecNone {
				from = Zstd
			}
			raw := benchBatch(b, from, 1024)
			c, rules := NewChecker(NewCodecs(Limits{})), lax()
			rules.Compression = Compression{Override: true, Codec: codec}
			b.SetBytes(1 << 20)
			b.ReportAllocs()
			for b.Loop() {
				if _, _, fault := c.Check(raw, rules); fault != nil {
					b.Fatal(fault)
				}
			}
		})
	}
}

func BenchmarkBuild(b *testing.B) {
	bl := NewBuilder(NewCodecs(Limits{}))
	key, value := []byte("key"), make([]byte, 1024)
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	for b.Loop() {
		bl.Reset(Options{})
		for i := range 1024 {
			_ = bl.Append(int64(i), key, value, nil)
		}
		if _, err := bl.Build(); err != nil {
			b.Fatal(err)
		}
	}
}
