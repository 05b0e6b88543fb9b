package batch

import "iter"

// Record is one decoded record. Its slices alias the batch, or the buffer it was decompressed into: valid until the callback returns.
type Record struct {
	Offset     int64
	Timestamp  int64  // milliseconds; -1 = none
	Attributes int8   // no bit has a meaning yet
	Key        []byte // nil = null, which differs from empty
	Value      []byte // nil = null: a tombstone in a compacted topic
	Headers    Headers
}

// Header is one header of a record. Keys may repeat, and the order counts.
type Header struct {
	Key   string
	Value []byte // nil = null
}

// Headers are the headers of a record as they lie in it: a count, then each. The zero value has none. Those of a Record have been checked.
type Headers []byte

// MakeHeaders encodes headers for Builder.Append.
func MakeHeaders(headers ...Header) Headers {
	if len(headers) == 0 {
		return nil
	}
	h := appendVarint(nil, int64(len(headers)))
	for _, kv := range headers {
		h = appendVarint(h, int64(len(kv.Key)))
		h = append(h, kv.Key...)
		h = appendNullable(h, kv.Value)
	}
	return h
}

// Len is the number of headers.
func (h Headers) Len() int {
	n, next := varint32(h, 0)
	if next < 0 {
		return 0
	}
	return int(n)
}

// All walks the headers in order. The value is nil where it is null; both alias h.
func (h Headers) All() iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		n, i := varint32(h, 0)
		for ; n > 0 && i >= 0; n-- {
			var key, value []byte
			if key, i = nullable(h, i); i < 0 {
				return
			}
			if value, i = nullable(h, i); i < 0 {
				return
			}
			if !yield(key, value) {
				return
			}
		}
	}
}

// valid reports whether h is exactly a count and that many headers.
func (h Headers) valid() bool {
	if len(h) == 0 {
		return true
	}
	return headersEnd(h, 0) == len(h)
}

// fields is a record as it lies in its bytes, with the deltas still deltas.
type fields struct {
	attributes     int8
	timestampDelta int64
	offsetDelta    int32
	keyed          bool // the key is not null
	afterDeltas    int  // index in the body of what follows the offset delta, which is all a rewrite of the offsets copies
	key, value     []byte
	headers        Headers
}

// parse reads a record's body, which is everything after its length, and reports whether it is one record, exactly. f aliases body.
func (f *fields) parse(body []byte) bool {
	if len(body) == 0 {
		return false
	}
	f.attributes = int8(body[0])
	var i int
	if f.timestampDelta, i = varint64(body, 1); i < 0 {
		return false
	}
	if f.offsetDelta, i = varint32(body, i); i < 0 {
		return false
	}
	f.afterDeltas = i
	if f.key, i = nullable(body, i); i < 0 {
		return false
	}
	f.keyed = f.key != nil
	if f.value, i = nullable(body, i); i < 0 {
		return false
	}
	f.headers = Headers(body[i:])
	return headersEnd(body, i) == len(body)
}

// nullable reads a length and as many bytes at b[i:]; nil for length -1. next is -1 when they do not lie within b or the length is below -1.
func nullable(b []byte, i int) (v []byte, next int) {
	n, i := varint32(b, i)
	if i < 0 || int64(n) > int64(len(b)-i) || n < -1 {
		return nil, -1
	}
	if n == -1 {
		return nil, i
	}
	end := i + int(n)
	return b[i:end:end], end
}

// headersEnd walks the headers at b[i:] and is the index after them, or -1 when they do not end within b. Keys may not be null.
func headersEnd(b []byte, i int) int {
	n, i := varint32(b, i)
	if i < 0 || n < 0 || int64(n) > int64(len(b)-i) { // each takes two bytes at least, so a lying count ends the walk soon
		return -1
	}
	for ; n > 0; n-- {
		var key []byte
		if key, i = nullable(b, i); i < 0 || key == nil {
			return -1
		}
		if _, i = nullable(b, i); i < 0 {
			return -1
		}
	}
	return i
}

func appendNullable(dst, v []byte) []byte {
	if v == nil {
		return append(dst, 1) // -1
	}
	dst = appendVarint(dst, int64(len(v)))
	return append(dst, v...)
}

func nullableSize(v []byte) int {
	if v == nil {
		return 1
	}
	return varintSize(int64(len(v))) + len(v)
}

// bodySize is the size of the body that appendRecord writes.
func bodySize(timestampDelta int64, offsetDelta int32, key, value []byte, headers Headers) int {
	return 1 + varintSize(timestampDelta) + varintSize(int64(offsetDelta)) + nullableSize(key) + nullableSize(value) + max(1, len(headers))
}

// appendRecord appends one record whose body is size bytes long.
func appendRecord(dst []byte, size int, timestampDelta int64, offsetDelta int32, key, value []byte, headers Headers) []byte {
	dst = appendVarint(dst, int64(size))
	dst = append(dst, 0)
	dst = appendVarint(dst, timestampDelta)
	dst = appendVarint(dst, int64(offsetDelta))
	dst = appendNullable(dst, key)
	dst = appendNullable(dst, value)
	if len(headers) == 0 {
		return append(dst, 0)
	}
	return append(dst, headers...)
}
