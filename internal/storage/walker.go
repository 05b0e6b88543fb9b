package storage

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"

	"github.com/barnabas-mq/barnabas/internal/batch"
)

// minBatchSize is the smallest thing that is a batch: a header without records.
const minBatchSize = batch.HeaderSize

// walkBuffer is what a header walk reads at a time: the distance of two index entries, with room for the batch that crossed it.
const walkBuffer = 8 << 10

// crcBuffer is what a checksum walk reads at a time, whatever the size of a batch claims to be.
const crcBuffer = 256 << 10

var crcBuffers = sync.Pool{New: func() any { b := make([]byte, crcBuffer); return &b }}

var walkBuffers = sync.Pool{New: func() any { b := make([]byte, walkBuffer); return &b }}

// walker steps over batch headers in [pos, end) of a segment file, reading little more than them. The header it hands out is a Batch of
// HeaderSize bytes: its header accessors work, Records and CRC checks do not.
type walker struct {
	r    io.ReaderAt
	name string // for errors
	pos  int64  // of the next header
	end  int64

	buf   *[]byte
	at    int64 // buf[:n] holds the file from at
	n     int
	small bool // batches are larger than the buffer: read single headers

	// of the last header
	start int64 // where it was
	total int64 // bytes of its batch
}

func newWalker(r io.ReaderAt, name string, pos, end int64) *walker {
	return &walker{r: r, name: name, pos: pos, end: end, buf: walkBuffers.Get().(*[]byte)}
}

// close gives the buffer back; headers are invalid after it.
func (w *walker) close() {
	if w.buf != nil {
		walkBuffers.Put(w.buf)
		w.buf = nil
	}
}

// next returns the header at pos and steps over its batch. At the end it is io.EOF; bytes that are no batch, or a batch that does not
// end before end, are a *CorruptError; other errors are the file's.
func (w *walker) next() (batch.Batch, error) {
	rest := w.end - w.pos
	if rest <= 0 {
		return nil, io.EOF
	}
	if rest < minBatchSize {
		return nil, w.corrupt("%d bytes are left, fewer than a batch header has", rest)
	}
	if w.pos < w.at || w.pos+minBatchSize > w.at+int64(w.n) {
		want := int64(len(*w.buf))
		if w.small {
			want = minBatchSize
		}
		w.at, w.n = w.pos, 0
		n, err := w.r.ReadAt((*w.buf)[:min(want, rest)], w.pos)
		if n < minBatchSize {
			if err == nil || errors.Is(err, io.EOF) {
				return nil, w.corrupt("the file ends at byte %d", w.pos+int64(n))
			}
			return nil, fmt.Errorf("read %s at %d: %w", w.name, w.pos, err)
		}
		w.n = n
	}
	i := w.pos - w.at
	h := batch.Batch((*w.buf)[i : i+minBatchSize : i+minBatchSize])
	total, err := batch.PeekLength(h)
	if err != nil {
		return nil, w.corrupt("%v", err)
	}
	if h.Magic() != batch.MagicV2 {
		return nil, w.corrupt("magic %d where only %d is known", h.Magic(), batch.MagicV2)
	}
	if int64(total) > rest {
		return nil, w.corrupt("the batch claims %d bytes, %d are left", total, rest)
	}
	if h.BaseOffset() < 0 || h.LastOffsetDelta() < 0 || h.LastOffset() < h.BaseOffset() {
		return nil, w.corrupt("the batch claims offsets %d to %d", h.BaseOffset(), h.LastOffset())
	}
	w.start, w.total = w.pos, int64(total)
	w.small = w.total > walkBuffer-minBatchSize
	w.pos += w.total
	return h, nil
}

func (w *walker) corrupt(format string, args ...any) error {
	return &CorruptError{Segment: w.name, Position: w.pos, Reason: fmt.Sprintf(format, args...)}
}

// batchCRC computes the checksum of the batch of total bytes at pos, in pieces through buf. It may take as long as a damaged length says, so it looks
// at ctx.
func batchCRC(ctx context.Context, r io.ReaderAt, pos, total int64, buf []byte) (uint32, error) {
	const covered = 21 // the CRC covers what follows it: attributes to end
	crc := uint32(0)
	for at := pos + covered; at < pos+total; {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		b := buf[:min(int64(len(buf)), pos+total-at)]
		n, err := r.ReadAt(b, at)
		if n < len(b) {
			if err == nil {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		crc = crc32.Update(crc, castagnoli, b)
		at += int64(n)
	}
	return crc, nil
}

// maxControlBatch bounds the control batches that are looked into; a marker has some 80 bytes.
const maxControlBatch = 4 << 10

// readMarker reads the end-transaction marker in the control batch at pos, nil when it is a control record of another kind.
func readMarker(r io.ReaderAt, pos, total int64, rd *batch.Reader) (*batch.EndTxnMarker, error) {
	if total > maxControlBatch {
		return nil, nil
	}
	b := make(batch.Batch, total)
	if n, err := r.ReadAt(b, pos); n < len(b) {
		return nil, err
	}
	return parseMarker(b, rd), nil
}

// parseMarker is the marker in a whole control batch, or nil.
func parseMarker(b batch.Batch, rd *batch.Reader) *batch.EndTxnMarker {
	var marker *batch.EndTxnMarker
	err := rd.Each(b, func(r *batch.Record) error {
		if m, err := batch.ParseEndTxnMarker(r.Key, r.Value); err == nil {
			marker = &m
		}
		return batch.ErrStop
	})
	if err != nil {
		return nil
	}
	return marker
}
