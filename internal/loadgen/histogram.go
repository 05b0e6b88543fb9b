package loadgen

import (
	"math/bits"
	"time"
)

// Histogram counts durations in buckets whose width is at most 1/128 of their value, so that every percentile is known within 0.8 %,
// whatever the number of samples. It is for one goroutine; merge those of several.
type Histogram struct {
	counts   [(64 - 7) << 7]uint64
	n        uint64
	sum      float64
	max, min time.Duration
}

// bucket: values below 256 have a bucket each; above, 128 buckets for each power of two.
func bucket(v uint64) int {
	if v < 128 {
		return int(v)
	}
	shift := bits.Len64(v) - 8
	return shift<<7 + int(v>>shift)
}

// upper is the largest value of a bucket.
func upper(i int) uint64 {
	if i < 256 {
		return uint64(i)
	}
	shift := i>>7 - 1
	return (uint64(i&127|128)+1)<<shift - 1
}

// Add counts d, n times. Negative durations count as zero.
func (h *Histogram) Add(d time.Duration, n int64) {
	if n <= 0 {
		return
	}
	d = max(d, 0)
	if h.n == 0 || d < h.min {
		h.min = d
	}
	h.max = max(h.max, d)
	h.counts[bucket(uint64(d))] += uint64(n)
	h.n += uint64(n)
	h.sum += float64(d) * float64(n)
}

// Merge adds all of o.
func (h *Histogram) Merge(o *Histogram) {
	if o.n == 0 {
		return
	}
	if h.n == 0 || o.min < h.min {
		h.min = o.min
	}
	h.max = max(h.max, o.max)
	h.n += o.n
	h.sum += o.sum
	for i, c := range o.counts {
		h.counts[i] += c
	}
}

// Count is the number of samples.
func (h *Histogram) Count() int64 { return int64(h.n) }

// Max is the largest sample, exactly.
func (h *Histogram) Max() time.Duration { return h.max }

// Mean is the exact mean; 0 without samples.
func (h *Histogram) Mean() time.Duration {
	if h.n == 0 {
		return 0
	}
	return time.Duration(h.sum / float64(h.n))
}

// Quantile is the smallest value that at least q of all samples do not exceed, within 0.8 %; 0 without samples.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	want := min(h.n, max(1, uint64(q*float64(h.n)+0.9999999)))
	var seen uint64
	for i, c := range h.counts {
		if seen += c; seen >= want {
			return max(h.min, min(time.Duration(upper(i)), h.max))
		}
	}
	return h.max
}
