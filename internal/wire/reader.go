package wire

import "encoding/binary"

// Reader takes Kafka's primitive types off a byte slice. The first thing that does not fit turns it bad; from then on every read
// answers zero, so that a decoder looks once, at its end. It allocates nothing; byte results alias the input.
type Reader struct {
	buf []byte
	bad bool
}

// Len is the number of bytes left.
func (r *Reader) Len() int { return len(r.buf) }

func (r *Reader) fail() { r.bad, r.buf = true, nil }

// Take is the next n bytes; a negative or too large n turns the reader bad.
func (r *Reader) Take(n int) []byte {
	if n < 0 || n > len(r.buf) {
		r.fail()
		return nil
	}
	b := r.buf[:n:n]
	r.buf = r.buf[n:]
	return b
}

// Int8 reads one byte.
func (r *Reader) Int8() int8 {
	if b := r.Take(1); b != nil {
		return int8(b[0])
	}
	return 0
}

// Int16 reads two bytes, big-endian.
func (r *Reader) Int16() int16 {
	if b := r.Take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

// Int32 reads four bytes, big-endian.
func (r *Reader) Int32() int32 {
	if b := r.Take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

// Uvarint reads an unsigned varint of at most 32 bits.
func (r *Reader) Uvarint() uint32 {
	v, n := binary.Uvarint(r.buf)
	if n <= 0 || n > 5 || v > 1<<32-1 {
		r.fail()
		return 0
	}
	r.buf = r.buf[n:]
	return uint32(v)
}

// NullableString16 reads a string with an int16 length, null as nil.
func (r *Reader) NullableString16() []byte {
	n := r.Int16()
	if n == -1 {
		return nil
	}
	return r.Take(int(n))
}

// Bytes reads a nullable byte field: compact (uvarint length + 1) or with an int32 length. Null is nil, empty is not.
func (r *Reader) Bytes(compact bool) []byte {
	n := r.length(compact, func() int { return int(r.Int32()) })
	if n < 0 || r.bad {
		return nil
	}
	return r.Take(n)
}

// String reads a nullable string: compact or with an int16 length. Null is nil.
func (r *Reader) String(compact bool) []byte {
	n := r.length(compact, func() int { return int(r.Int16()) })
	if n < 0 || r.bad {
		return nil
	}
	return r.Take(n)
}

// ArrayLen reads the length of an array, null as -1. Each element takes at least minElement bytes, so a length that cannot be true
// turns the reader bad before anybody allocates for it.
func (r *Reader) ArrayLen(compact bool, minElement int) int {
	n := r.length(compact, func() int { return int(r.Int32()) })
	if n > 0 && n > len(r.buf)/minElement {
		r.fail()
		return 0
	}
	return n
}

func (r *Reader) length(compact bool, plain func() int) int {
	var n int
	if compact {
		n = int(r.Uvarint()) - 1
	} else {
		n = plain()
	}
	if n < -1 {
		r.fail()
		return 0
	}
	return n
}

// SkipTags passes over a tagged-field block; unknown tags are legal everywhere.
func (r *Reader) SkipTags() {
	for n := r.Uvarint(); n > 0 && !r.bad; n-- {
		r.Uvarint()
		r.Take(int(r.Uvarint()))
	}
}
