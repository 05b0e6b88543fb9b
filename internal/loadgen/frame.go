package loadgen

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// maxFrame is the largest answer that is believed.
const maxFrame = 1 << 30

// frameReader reads answers field by field as they come in, so that a large one is never held as a whole. The first error sticks.
type frameReader struct {
	br   *bufio.Reader
	from *patient // what br reads; nil if that is no patient connection
	left int      // bytes of the frame not read yet
	err  error
	tmp  [8]byte
}

// newPatientReader reads large answers.
func newPatientReader(c net.Conn) *frameReader {
	p := &patient{Conn: c}
	return &frameReader{br: bufio.NewReaderSize(p, patientPiece), from: p}
}

var errShort = errors.New("the answer ends inside a field")

// next begins the next frame.
func (r *frameReader) next() error {
	if _, err := io.ReadFull(r.br, r.tmp[:4]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(r.tmp[:4])
	if n > maxFrame {
		return fmt.Errorf("an answer of %d bytes", n)
	}
	r.left = int(n)
	if r.from != nil {
		r.from.coming = max(0, r.left-r.br.Buffered())
	}
	return nil
}

// finish is the end of the frame: whatever is left is passed over.
func (r *frameReader) finish() error {
	r.skip(r.left)
	return r.err
}

func (r *frameReader) take(n int) []byte {
	if r.err == nil && n > r.left {
		r.err = errShort
	}
	if r.err == nil {
		_, r.err = io.ReadFull(r.br, r.tmp[:n])
		r.left -= n
	}
	if r.err != nil {
		clear(r.tmp[:])
	}
	return r.tmp[:n]
}

func (r *frameReader) int16() int16 { return int16(binary.BigEndian.Uint16(r.take(2))) }
func (r *frameReader) int32() int32 { return int32(binary.BigEndian.Uint32(r.take(4))) }
func (r *frameReader) int64() int64 { return int64(binary.BigEndian.Uint64(r.take(8))) }

// count is the length of an array; null is none. Every element takes bytes, so more than are left is a lie.
func (r *frameReader) count() int {
	n := int(r.int32())
	if n > r.left && r.err == nil {
		r.err = errShort
	}
	if r.err != nil {
		return 0
	}
	return max(0, n)
}

func (r *frameReader) skip(n int) {
	if r.err != nil || n <= 0 {
		return
	}
	if n > r.left {
		r.err = errShort
		return
	}
	r.left -= n
	_, r.err = r.br.Discard(n)
}

func (r *frameReader) skipString() { r.skip(int(r.int16())) }

func (r *frameReader) string() string {
	n := int(r.int16())
	if n <= 0 || r.err != nil {
		return ""
	}
	if n > r.left {
		r.err = errShort
		return ""
	}
	b := make([]byte, n)
	r.left -= n
	_, r.err = io.ReadFull(r.br, b)
	return string(b)
}

// peek shows the next n bytes without taking them; n must not be larger than the buffer.
func (r *frameReader) peek(n int) []byte {
	if r.err != nil || n > r.left {
		return nil
	}
	var b []byte
	b, r.err = r.br.Peek(n)
	if r.err != nil {
		return nil
	}
	return b
}
