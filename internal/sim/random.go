package sim

import (
	"math"
	"math/bits"
	"time"
)

// random is a stream of numbers of one entity (a member's client, its network path, an event of the timeline), so that one more event of one entity
// does not shift the draws of another. Splitmix64; integers only, since floating point may be fused on one machine and not on another.
type random struct{ state uint64 }

// newRandom is the stream of the entity of that name under a seed.
func newRandom(seed uint64, name string) random {
	h := uint64(14695981039346656037)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	r := random{state: seed*0x9e3779b97f4a7c15 ^ h}
	r.next()
	return r
}

func (r *random) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below is uniform in [0, n); 0 for n <= 0.
func (r *random) below(n int64) int64 {
	if n <= 0 {
		return 0
	}
	hi, _ := bits.Mul64(r.next(), uint64(n))
	return int64(hi)
}

// within is uniform in [0, d); 0 for d <= 0.
func (r *random) within(d time.Duration) time.Duration { return time.Duration(r.below(int64(d))) }

// chance is true once in a while: perMillion times in a million.
func (r *random) chance(perMillion int64) bool {
	return perMillion > 0 && r.below(1_000_000) < perMillion
}

// exponential is drawn from the exponential distribution of that mean: -mean * ln(u), with ln by repeated squaring in fixed point.
func (r *random) exponential(mean time.Duration) time.Duration {
	u := r.next() | 1
	zeros := bits.LeadingZeros64(u)
	x := u << zeros // in [2^63, 2^64): 1 <= x/2^63 < 2
	frac := uint64(0)
	for range 32 { // the binary digits of log2(x)
		hi, _ := bits.Mul64(x, x) // in [2^62, 2^64)
		frac <<= 1
		if hi >= 1<<63 {
			frac |= 1
			x = hi
		} else {
			x = hi << 1
		}
	}
	// -log2(u/2^64) = zeros + 1 - log2(x/2^63), as 32.32 fixed point.
	log2 := uint64(zeros+1)<<32 - frac
	const ln2 = 2977044472 // ln 2 * 2^32
	hi, lo := bits.Mul64(log2, ln2)
	ln := hi<<32 | lo>>32
	hi, lo = bits.Mul64(ln, uint64(mean))
	return time.Duration(hi<<32 | lo>>32)
}

// hex is n random hexadecimal digits.
func (r *random) hex(n int) string {
	const digits = "0123456789abcdef"
	b := make([]byte, n)
	var v uint64
	for i := range b {
		if i%16 == 0 {
			v = r.next()
		}
		b[i] = digits[v&15]
		v >>= 4
	}
	return string(b)
}

// mulDiv is a*b/c without overflow on the way, for numbers that are not negative; what does not fit is the largest there is.
func mulDiv(a, b, c int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	if hi >= uint64(c) {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, uint64(c))
	return int64(min(q, math.MaxInt64))
}

// forever is the longest that anything takes.
const forever = time.Duration(1e17)

// times is n times d, or forever.
func times(n int64, d time.Duration) time.Duration {
	return min(forever, time.Duration(mulDiv(n, int64(d), 1)))
}
