package storage

import (
	"errors"
	"fmt"
	"io"

	"github.com/barnabas-mq/barnabas/internal/batch"
)

// scanner reads whole batches one after another from [pos, end) of a segment, in large pieces, and checks their CRC.
type scanner struct {
	r    io.ReaderAt
	name string
	pos  int64 // of the next batch
	end  int64
	buf  []byte // reused; grows to the largest batch
	at   int64  // buf holds the file from at
	n    int

	start int64 // of the last batch
}

// scanChunk is how much is read at a time.
const scanChunk = 1 << 20

// reset starts over on another range and keeps the buffer.
func (c *scanner) reset(r io.ReaderAt, name string, pos, end int64) {
	c.r, c.name, c.pos, c.end, c.at, c.n = r, name, pos, end, pos, 0
}

// next returns the next batch, valid until the following call, io.EOF at the end, or a *CorruptError.
func (c *scanner) next() (batch.Batch, error) {
	if c.pos >= c.end {
		return nil, io.EOF
	}
	if err := c.have(batch.LengthSize); err != nil {
		return nil, err
	}
	total, err := batch.PeekLength(c.view())
	if err != nil {
		return nil, c.corrupt("%v", err)
	}
	if int64(total) > c.end-c.pos {
		return nil, c.corrupt("the batch claims %d bytes, %d are left", total, c.end-c.pos)
	}
	if total > maxDumpBatch {
		return nil, c.corrupt("the batch claims %d bytes, more than are looked at", total)
	}
	if err := c.have(total); err != nil {
		return nil, err
	}
	b, _, err := batch.Next(c.view()[:total])
	if err != nil {
		return nil, c.corrupt("%v", err)
	}
	if !b.ValidCRC() {
		return nil, c.corrupt("the batch has CRC %08x, its bytes give %08x", b.CRC(), b.ComputeCRC())
	}
	if b.LastOffsetDelta() < 0 || b.RecordCount() < 0 {
		return nil, c.corrupt("the batch claims last offset delta %d and %d records", b.LastOffsetDelta(), b.RecordCount())
	}
	c.start = c.pos
	c.pos += int64(total)
	return b, nil
}

// view is what is in the buffer from pos on.
func (c *scanner) view() []byte { return c.buf[c.pos-c.at : c.n] }

// have makes n bytes from pos available.
func (c *scanner) have(n int) error {
	if c.pos+int64(n) <= c.at+int64(c.n) {
		return nil
	}
	if int64(n) > c.end-c.pos {
		return c.corrupt("%d bytes are left, %d are needed", c.end-c.pos, n)
	}
	if want := int(min(int64(max(n, scanChunk)), c.end-c.pos)); cap(c.buf) < want {
		c.buf = make([]byte, want)
	} else {
		c.buf = c.buf[:cap(c.buf)]
	}
	c.at = c.pos
	k, err := c.r.ReadAt(c.buf[:min(int64(len(c.buf)), c.end-c.pos)], c.pos)
	c.n = k
	if k < n {
		if err == nil || errors.Is(err, io.EOF) {
			return c.corrupt("the file ends at byte %d", c.pos+int64(k))
		}
		return fmt.Errorf("read %s at %d: %w", c.name, c.pos, err)
	}
	return nil
}

func (c *scanner) corrupt(format string, args ...any) error {
	return &CorruptError{Segment: c.name, Position: c.pos, Reason: fmt.Sprintf(format, args...)}
}
