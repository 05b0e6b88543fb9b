package batch

import (
	"math"
	"math/bits"
)

// Integers inside records are zigzag varints: the sign in the lowest bit, then seven bits a byte, lowest first, the high bit saying that more
// follow. Lengths, deltas of offsets and counts have 32 bits (at most 5 bytes), deltas of timestamps 64 (at most 10).

const (
	varint32Max = 5
	varint64Max = 10
)

// varint32 reads a 32-bit varint at b[i:], i not being negative. next is the index after it, or -1 when it does not end within b or does not fit.
func varint32(b []byte, i int) (v int32, next int) {
	if uint(i) < uint(len(b)) && b[i] < 0x80 {
		u := uint32(b[i])
		return int32(u>>1) ^ -int32(u&1), i + 1
	}
	if uint(i+1) < uint(len(b)) && b[i+1] < 0x80 { // most lengths have one byte or two
		u := uint32(b[i]&0x7f) | uint32(b[i+1])<<7
		return int32(u>>1) ^ -int32(u&1), i + 2
	}
	return varint32Slow(b, i)
}

// beyond is behind the end of any slice, however many short lengths are added to it.
const beyond = math.MaxInt / 2

// short reads a varint of one byte, two or three with the sign still in the lowest bit, i not being negative. It does not read the last two bytes of
// b, and where it can read none, next is beyond, and so is what it is asked for from there.
func short(b []byte, i int) (u uint32, next int) {
	if i+2 < len(b) {
		if u = uint32(b[i]); u < 0x80 {
			return u, i + 1
		}
		u += uint32(b[i+1])<<7 - 0x80
		if u < 1<<14 {
			return u, i + 2
		}
		u += uint32(b[i+2])<<14 - 1<<14
		if u < 1<<21 {
			return u, i + 3
		}
	}
	return 0, beyond
}

func varint32Slow(b []byte, i int) (int32, int) {
	var u uint32
	for shift := 0; shift < 7*varint32Max; shift += 7 {
		if uint(i) >= uint(len(b)) {
			return 0, -1
		}
		c := b[i]
		i++
		if shift == 28 && c > 0x0f {
			return 0, -1
		}
		u |= uint32(c&0x7f) << shift
		if c < 0x80 {
			return int32(u>>1) ^ -int32(u&1), i
		}
	}
	return 0, -1
}

// varint64 is varint32 for 64 bits.
func varint64(b []byte, i int) (v int64, next int) {
	if uint(i) < uint(len(b)) && b[i] < 0x80 {
		u := uint64(b[i])
		return int64(u>>1) ^ -int64(u&1), i + 1
	}
	if uint(i+1) < uint(len(b)) && b[i+1] < 0x80 {
		u := uint64(b[i]&0x7f) | uint64(b[i+1])<<7
		return int64(u>>1) ^ -int64(u&1), i + 2
	}
	return varint64Slow(b, i)
}

func varint64Slow(b []byte, i int) (int64, int) {
	var u uint64
	for shift := 0; shift < 7*varint64Max; shift += 7 {
		if uint(i) >= uint(len(b)) {
			return 0, -1
		}
		c := b[i]
		i++
		if shift == 63 && c > 0x01 {
			return 0, -1
		}
		u |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return int64(u>>1) ^ -int64(u&1), i
		}
	}
	return 0, -1
}

func zigzag64(v int64) uint64 { return uint64(v)<<1 ^ uint64(v>>63) }

// appendVarint appends v; a 32-bit value has the same bytes as 32-bit and as 64-bit varint.
func appendVarint(dst []byte, v int64) []byte {
	u := zigzag64(v)
	for u >= 0x80 {
		dst = append(dst, byte(u)|0x80)
		u >>= 7
	}
	return append(dst, byte(u))
}

// varintSize is how many bytes appendVarint appends.
func varintSize(v int64) int { return (bits.Len64(zigzag64(v)|1) + 6) / 7 }
