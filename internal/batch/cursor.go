package batch

import (
	"io"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// cursor walks the record area of a batch, decompressed through a window of bounded size where it must be.
type cursor struct {
	buf      []byte // the window; buf[pos:end] is still to be read. Not compressed: the whole record area
	pos, end int

	codecs  *Codecs
	codec   Codec
	dec     decoder // nil: not compressed
	pooled  *[]byte // the window to give back, even if buf has grown since
	seen    int64   // bytes that ever came into the window
	eof     bool
	pending error  // the decompressor's, which comes after what is in the window
	fault   *Fault // the first thing that went wrong
}

// open puts the cursor before the first record. close must follow, whatever open returns.
func (c *cursor) open(codecs *Codecs, b Batch) *Fault {
	*c = cursor{codecs: codecs, codec: b.Codec()}
	if c.codec == CodecNone {
		c.buf = b.Records()
		c.end = len(c.buf)
		c.seen = int64(c.end)
		return nil
	}
	if !c.codec.Known() {
		c.fault = faultf(kafka.UnknownServerError, "the batch is compressed with %v, which Kafka does not have", c.codec)
		return c.fault
	}
	dec, err := codecs.decoder(c.codec, b.Records())
	if err != nil {
		c.fault = decodeFault(c.codec, err)
		return c.fault
	}
	c.dec = dec
	c.pooled = codecs.buffer()
	c.buf = *c.pooled
	return nil
}

// close gives back what open took. Slices of the window are no longer valid.
func (c *cursor) close() {
	if c.dec != nil {
		c.codecs.giveBack(c.codec, c.dec)
	}
	if c.pooled != nil {
		c.codecs.buffers.Put(c.pooled)
	}
	*c = cursor{}
}

// at is how many bytes of the decompressed record area have been read.
func (c *cursor) at() int64 { return c.seen - int64(c.end-c.pos) }

// fill brings at least one more byte into the window, moving what is unread to its front; false at the end, on a fault, or when it is full.
func (c *cursor) fill() bool {
	if c.dec == nil || c.eof || c.fault != nil {
		return false
	}
	if c.pos > 0 {
		c.end = copy(c.buf, c.buf[c.pos:c.end])
		c.pos = 0
	}
	if c.end == len(c.buf) {
		return false
	}
	if c.pending != nil {
		c.fault = decodeFault(c.codec, c.pending)
		return false
	}
	left := c.codecs.limits.BatchBytes - c.seen
	for range 100 {
		n, err := c.dec.Read(c.buf[c.end:min(int64(len(c.buf)), int64(c.end)+max(left, 1))])
		if left == 0 && n > 0 {
			c.fault = faultf(kafka.MessageTooLarge, "the batch decompresses to more than %s, which is %d: make smaller batches, or raise it",
				SettingBatchBytes, c.codecs.limits.BatchBytes)
			return false
		}
		c.end += n
		c.seen += int64(n)
		switch {
		case err == io.EOF:
			c.eof = true
			return n > 0
		case n > 0:
			c.pending = err // its bytes came before it, and are looked at before it
			return true
		case err != nil:
			c.fault = decodeFault(c.codec, err)
			return false
		}
	}
	c.fault = decodeFault(c.codec, io.ErrNoProgress)
	return false
}

// need makes n bytes unread in the window, n being at most its size; false when there are not as many.
func (c *cursor) need(n int) bool {
	for c.end-c.pos < n {
		if !c.fill() {
			return false
		}
	}
	return true
}

// length reads the length of the next record; false when none can be read.
func (c *cursor) length() (n int, ok bool) {
	if c.end-c.pos < varint32Max {
		c.need(varint32Max) // near the end there may be fewer, and still enough
	}
	v, next := varint32(c.buf[:c.end], c.pos)
	if next < 0 || v < 0 {
		return 0, false
	}
	c.pos = next
	if c.dec != nil && int(v) > c.codecs.limits.RecordBytes {
		c.fault = faultf(kafka.MessageTooLarge, "a record of %d bytes decompressed, %s is %d: make it smaller, or raise it",
			v, SettingRecordBytes, c.codecs.limits.RecordBytes)
		return 0, false
	}
	return int(v), true
}

// body reads the n bytes of a record's body. It lets the window grow to hold them, but no further than there are bytes to fill it, so a lying
// length costs nothing.
func (c *cursor) body(n int) (body []byte, ok bool) {
	for c.end-c.pos < n {
		if c.fill() {
			continue
		}
		if c.dec == nil || c.eof || c.fault != nil {
			return nil, false
		}
		grown := make([]byte, min(2*len(c.buf), n))
		c.end = copy(grown, c.buf[c.pos:c.end])
		c.pos = 0
		c.buf = grown
	}
	body = c.buf[c.pos : c.pos+n : c.pos+n]
	c.pos += n
	return body, true
}

// step reads a whole record if it lies in the window and its numbers are as small as those of most records, some times faster than length and parse,
// with which it agrees on what a record is; f gets no slices. Otherwise it is false, and nothing has been read.
func (c *cursor) step(f *fields) bool {
	b := c.buf[:c.end]
	size, i := short(b, c.pos)
	end := i + int(size>>1)
	if size&1 != 0 || end > len(b) || c.dec != nil && int(size>>1) > c.codecs.limits.RecordBytes {
		return false
	}
	timestampDelta, i := short(b, i+1) // after the attributes
	offsetDelta, i := short(b, i)
	key, i := short(b, i)
	value, i := short(b, i+int(key>>1)) // null has length -1, whose upper bits are 0
	i += int(value >> 1)
	if key&1 != 0 && key != 1 || value&1 != 0 && value != 1 || i >= end {
		return false
	}
	if b[i] == 0 {
		i++
	} else {
		i = headersEnd(b[:end], i)
	}
	if i != end {
		return false
	}
	f.timestampDelta, f.offsetDelta, f.keyed = int64(timestampDelta>>1)^-int64(timestampDelta&1), int32(offsetDelta>>1)^-int32(offsetDelta&1), key&1 == 0
	c.pos = end
	return true
}

// fits reports whether a body of n bytes can be read without letting the window grow.
func (c *cursor) fits(n int) bool { return n <= len(c.buf) || c.dec == nil }

// skim reads a record's body of n bytes without holding it: f gets no slices. It agrees with fields.parse on what a record is.
func (c *cursor) skim(n int, f *fields) bool {
	stop := c.at() + int64(n)
	if !c.deltas(f) || c.at() > stop {
		return false
	}
	f.key, f.value, f.headers = nil, nil, nil
	key, ok := c.skimNullable(stop)
	if !ok {
		return false
	}
	f.keyed = key
	if _, ok = c.skimNullable(stop); !ok {
		return false
	}
	count, ok := c.varint32()
	if !ok || count < 0 {
		return false
	}
	for ; count > 0; count-- {
		if key, ok := c.skimNullable(stop); !ok || !key {
			return false
		}
		if _, ok := c.skimNullable(stop); !ok {
			return false
		}
	}
	return c.at() == stop
}

// deltas reads what a body starts with, up to the offset delta.
func (c *cursor) deltas(f *fields) bool {
	c.need(1 + varint64Max + varint32Max)
	i := c.pos
	if i == c.end {
		return false
	}
	f.attributes = int8(c.buf[i])
	if f.timestampDelta, i = varint64(c.buf[:c.end], i+1); i < 0 {
		return false
	}
	if f.offsetDelta, i = varint32(c.buf[:c.end], i); i < 0 {
		return false
	}
	c.pos = i
	return true
}

func (c *cursor) varint32() (int32, bool) {
	if c.end-c.pos < varint32Max {
		c.need(varint32Max)
	}
	v, next := varint32(c.buf[:c.end], c.pos)
	if next < 0 {
		return 0, false
	}
	c.pos = next
	return v, true
}

// skimNullable steps over a length and as many bytes, which must not reach beyond stop. present is false for null.
func (c *cursor) skimNullable(stop int64) (present, ok bool) {
	n, ok := c.varint32()
	if !ok || n < -1 || c.at()+int64(max(n, 0)) > stop {
		return false, false
	}
	return n >= 0, c.pour(int(max(n, 0)), nil) == nil
}

// pour hands the next n bytes to w, a window at a time, or steps over them when w is nil.
func (c *cursor) pour(n int, w io.Writer) error {
	for n > 0 {
		if c.pos == c.end && !c.fill() {
			if c.fault != nil {
				return c.fault
			}
			return io.ErrUnexpectedEOF
		}
		k := min(n, c.end-c.pos)
		if w != nil {
			if _, err := w.Write(c.buf[c.pos : c.pos+k]); err != nil {
				return err
			}
		}
		c.pos += k
		n -= k
	}
	return nil
}

// damaged is the Fault for a record that cannot be read: a limit or the decompressor's, if that is why.
func (c *cursor) damaged(index, count int32) *Fault {
	if c.fault != nil {
		return c.fault
	}
	return faultf(kafka.InvalidRecord, "record %d of the batch's %d cannot be read: it does not end where it should", index, count)
}

// finish is nil when the record area ends here, as it must after the last record.
func (c *cursor) finish(count int32) *Fault {
	if c.pos == c.end && !c.fill() {
		return c.fault
	}
	return faultf(kafka.InvalidRecord, "the batch says it holds %d records, but more bytes follow them", count)
}
