package assign

import (
	"cmp"
	"math/bits"
	"slices"
)

// Kafka orders ids and topic names as Java orders strings: by UTF-16 unit. UTF-8 bytes sort the same way but for one case: characters
// beyond U+FFFF (lead byte 0xF0 and up) come before U+E000..U+FFFF (lead bytes 0xEE, 0xEF), since UTF-16 writes them with surrogates.
// Renumbering the lead bytes is enough, and gives a total order for bytes that are no UTF-8 at all.
func rankByte(b byte) byte {
	switch {
	case b < 0xEE:
		return b
	case b < 0xF0:
		return b + 0x10
	default:
		return b - 2
	}
}

// compareNames orders as Java's String.compareTo. Eight bytes are looked at together: ids of one group differ late.
func compareNames(a, b string) int {
	n, i := min(len(a), len(b)), 0
	for ; i+8 <= n; i += 8 {
		if d := word(a, i) ^ word(b, i); d != 0 {
			return compareBytes(a, b, i+bits.TrailingZeros64(d)/8)
		}
	}
	if n >= 8 {
		// The last eight bytes: those that were looked at before are the same.
		if d := word(a, n-8) ^ word(b, n-8); d != 0 {
			return compareBytes(a, b, n-8+bits.TrailingZeros64(d)/8)
		}
		return len(a) - len(b)
	}
	for ; i < n; i++ {
		if a[i] != b[i] {
			return compareBytes(a, b, i)
		}
	}
	return len(a) - len(b)
}

// compareBytes orders by the i-th byte.
func compareBytes(a, b string, i int) int {
	x, y := a[i], b[i]
	if x < 0xEE {
		return int(x) - int(y) // whoever has a new rank stays above
	}
	return int(rankByte(x)) - int(rankByte(y))
}

// word is eight bytes of s from the i-th on, the first one lowest.
func word(s string, i int) uint64 {
	s = s[i : i+8]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// sortKey is a name's place in a sort: eight bytes to compare first, and where it came from.
type sortKey struct {
	prefix uint64
	index  int32
}

// orderNames fills order with the indexes 0 to len(order)-1, ordered by name(i), equal names in index order. Names are compared by the eight
// bytes after the prefix common to all ("consumer-orders-" says nothing), which is what makes sorting ten thousand ids cheap.
func orderNames(order []int32, name func(int) string) {
	n := len(order)
	if n == 0 {
		return
	}
	first := name(0)
	common := len(first)
	for i := 1; i < n && common > 0; i++ {
		s := name(i)
		common = min(common, len(s))
		for j := 0; j < common; j++ {
			if s[j] != first[j] {
				common = j
			}
		}
	}
	keys := make([]sortKey, n)
	for i := range keys {
		rest := name(i)[common:]
		var k uint64
		for j := 0; j < 8; j++ {
			k <<= 8
			if j < len(rest) {
				k |= uint64(rankByte(rest[j]))
			}
		}
		keys[i] = sortKey{k, int32(i)}
	}
	slices.SortFunc(keys, func(a, b sortKey) int {
		if a.prefix != b.prefix {
			return cmp.Compare(a.prefix, b.prefix)
		}
		if c := compareNames(name(int(a.index)), name(int(b.index))); c != 0 {
			return c
		}
		return cmp.Compare(a.index, b.index)
	})
	for i, k := range keys {
		order[i] = k.index
	}
}

// number fills order with 0, 1, 2 and so on.
func number(order []int32) {
	for i := range order {
		order[i] = int32(i)
	}
}

// staticFirst orders as Range and RoundRobin do: static members first, by instance id, then the rest by member id.
func staticFirst(order []int32, instance func(int) string) {
	if !slices.ContainsFunc(order, func(i int32) bool { return instance(int(i)) != "" }) {
		return
	}
	slices.SortStableFunc(order, func(a, b int32) int {
		x, y := instance(int(a)), instance(int(b))
		if x == "" || y == "" {
			return -cmp.Compare(min(len(x), 1), min(len(y), 1))
		}
		return compareNames(x, y)
	})
}
