package batch

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// rewrite copies a batch whose records have been read once already, compressed with codec and with offset deltas 0, 1, 2 and so on. It streams, so
// that it holds no more than the window and the result, which Rules.MaxMessageBytes bounds.
func (c *Checker) rewrite(b Batch, codec Codec, recordBytes int64, rules *Rules) (Batch, *Fault) {
	if cap(c.out.buf) > keepBytes {
		c.out.buf = nil
	}
	if codec == CodecNone { // then the size is known, all but what correcting offset deltas changes
		c.out.buf = slices.Grow(c.out.buf[:0], HeaderSize+int(min(recordBytes, int64(rules.MaxMessageBytes))))
	}
	c.out.buf = append(c.out.buf[:0], b[:HeaderSize]...)
	c.out.limit = int(rules.MaxMessageBytes)
	if fault := c.copyRecords(b, codec, rules.Compression.Level); fault != nil {
		if errors.Is(fault, errSinkFull) {
			fault = faultf(kafka.MessageTooLarge, "the batch of %d bytes exceeds max.message.bytes, which is %d, once it is compressed with %v as the "+
				"topic's compression.type demands", len(b), rules.MaxMessageBytes, codec)
		}
		return nil, fault
	}
	out := Batch(c.out.buf)
	binary.BigEndian.PutUint32(out[lengthAt:], uint32(len(out)-LengthSize))
	// A batch written anew is ours: bits that mean nothing, or nothing from a client, are not passed on.
	binary.BigEndian.PutUint16(out[attributesAt:], uint16(out.Attributes()&(logAppendTimeBit|transactionalBit)|int16(codec)))
	out.seal()
	return out, nil
}

func (c *Checker) copyRecords(b Batch, codec Codec, level int) *Fault {
	defer c.cursor.close()
	cur := &c.cursor
	if fault := cur.open(c.codecs, b); fault != nil {
		return fault
	}
	if codec == CodecNone {
		return c.copyTo(&c.out, b)
	}
	e, pool, err := c.codecs.encoder(codec, level, &c.out)
	if err != nil {
		return rewriteFault(codec, err)
	}
	if fault := c.copyTo(e, b); fault != nil {
		return fault
	}
	if err := e.Close(); err != nil {
		return rewriteFault(codec, err)
	}
	e.Reset(nil)
	pool.Put(e)
	return nil
}

// copyTo writes the records to w, each with its index for an offset delta.
func (c *Checker) copyTo(w io.Writer, b Batch) *Fault {
	cur, f, count := &c.cursor, &c.fields, b.RecordCount()
	for i := range count {
		n, ok := cur.length()
		if !ok {
			return cur.damaged(i, count)
		}
		start := cur.at()
		if !cur.deltas(f) {
			return cur.damaged(i, count)
		}
		before := int(cur.at() - start) // size of what deltas read, which is written anew
		after := 1 + varintSize(f.timestampDelta) + varintSize(int64(i))
		c.head = appendVarint(c.head[:0], int64(n-before+after))
		c.head = append(c.head, 0)
		c.head = appendVarint(c.head, f.timestampDelta)
		c.head = appendVarint(c.head, int64(i))
		_, err := w.Write(c.head)
		if err == nil {
			err = cur.pour(n-before, w)
		}
		if err != nil {
			if cur.fault != nil {
				return cur.fault
			}
			return rewriteFault(b.Codec(), err)
		}
	}
	return nil
}

// rewriteFault is a failure of ours, except when the result has become too large.
func rewriteFault(codec Codec, err error) *Fault {
	f := faultf(kafka.UnknownServerError, "the batch cannot be written again with %v: %v", codec, err)
	f.cause = err
	return f
}
