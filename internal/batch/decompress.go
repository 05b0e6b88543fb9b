package batch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// decoder decompresses one record area after another, as a stream.
type decoder interface {
	io.Reader
	open(compressed []byte) error
	release() // lets go of the compressed bytes, so that a pooled decoder pins nobody's request
}

// decoder gets a decompressor for compressed.
func (c *Codecs) decoder(codec Codec, compressed []byte) (decoder, error) {
	d, ok := c.decoders[codec].Get().(decoder)
	if !ok {
		switch codec {
		case Gzip:
			d = &gzipDecoder{}
		case Snappy:
			d = &snappyDecoder{limits: c.limits}
		case LZ4:
			d = &lz4Decoder{r: lz4.NewReader(nil)}
		case Zstd:
			d = &zstdDecoder{limits: c.limits}
		}
	}
	if err := d.open(compressed); err != nil {
		c.giveBack(codec, d)
		return nil, err
	}
	return d, nil
}

func (c *Codecs) giveBack(codec Codec, d decoder) {
	d.release()
	c.decoders[codec].Put(d)
}

type gzipDecoder struct {
	in bytes.Reader
	gzip.Reader
}

func (d *gzipDecoder) open(compressed []byte) error {
	d.in.Reset(compressed)
	return eofIsTorn(d.Reset(&d.in))
}

func (d *gzipDecoder) release() { d.in.Reset(nil) }

const (
	lz4HeaderMin = 7 // magic, flags, block size, checksum
	lz4BlockMax  = 4 << 20
)

type lz4Decoder struct {
	in bytes.Reader
	r  *lz4.Reader
}

// Read leaves the checksum of the whole content aside, as Kafka and its Java client do: the checksum of the batch covers the same bytes.
func (d *lz4Decoder) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	if errors.Is(err, lz4.ErrInvalidFrameChecksum) {
		err = io.EOF
	}
	return n, err
}

// open refuses what Kafka's Java client could not read after us: other lz4 formats, and blocks that refer to earlier blocks. It holds two blocks of
// at most lz4BlockMax, whatever the frame says.
func (d *lz4Decoder) open(compressed []byte) error {
	const magic, version, versionMask, independent = 0x184D2204, 0x40, 0xc0, 0x20
	if len(compressed) < lz4HeaderMin {
		return io.ErrUnexpectedEOF
	}
	if binary.LittleEndian.Uint32(compressed) != magic {
		return errors.New("no lz4 frame")
	}
	switch flags := compressed[4]; {
	case flags&versionMask != version:
		return errors.New("unknown version of the lz4 frame format")
	case flags&independent == 0:
		return errors.New("lz4 blocks that depend on each other, which Kafka clients cannot read")
	}
	d.in.Reset(compressed)
	d.r.Reset(&d.in)
	return nil
}

func (d *lz4Decoder) release() {
	d.in.Reset(nil)
	d.r.Reset(nil)
}

// zstdPooledWindow is the largest window a pooled decoder keeps its memory for; a decoder for larger ones lives for one batch.
const zstdPooledWindow = 8 << 20

type zstdDecoder struct {
	limits Limits
	in     bytes.Reader
	pooled *zstd.Decoder // nil until first used
	r      *zstd.Decoder // pooled, or one for this batch only
}

func (d *zstdDecoder) Read(p []byte) (int, error) { return d.r.Read(p) }

func (d *zstdDecoder) open(compressed []byte) error {
	d.in.Reset(compressed)
	window := zstdWindowOf(compressed)
	if window > d.limits.WindowBytes {
		return &limitError{kafka.UnsupportedCompressionType, fmt.Sprintf("the zstd frame asks for a window of %d bytes, %s is %d: use a lower level, or raise it",
			window, SettingWindowBytes, d.limits.WindowBytes)}
	}
	var err error
	switch {
	case window > zstdPooledWindow:
		d.r, err = newZstdReader(d.limits.WindowBytes)
	case d.pooled == nil:
		d.pooled, err = newZstdReader(min(d.limits.WindowBytes, zstdPooledWindow))
		d.r = d.pooled
	default:
		d.r = d.pooled
	}
	if err != nil {
		return fmt.Errorf("make a zstd decoder: %w", err)
	}
	return d.r.Reset(&d.in)
}

// zstdWindowOf is the window that the first frame asks for, or 0 where there is none to be seen: then the decoder has the error.
func zstdWindowOf(compressed []byte) int {
	var h zstd.Header
	if h.Decode(compressed) != nil {
		return 0
	}
	return int(min(h.WindowSize, math.MaxInt32))
}

// newZstdReader makes a decoder that works in the caller's goroutine and starts none.
func newZstdReader(window int) (*zstd.Decoder, error) {
	window = max(window, zstd.MinWindowSize)
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(uint64(window)),
		zstd.WithDecoderMaxMemory(uint64(window)))
}

func (d *zstdDecoder) release() {
	d.in.Reset(nil)
	if d.r != nil && d.r != d.pooled {
		d.r.Close()
	}
	if d.pooled != nil {
		_ = d.pooled.Reset(nil)
	}
	d.r = nil
}

// snappyDecoder reads snappy as one block (librdkafka, sarama) or in xerial framing (Java). It holds one decompressed block.
type snappyDecoder struct {
	limits Limits
	in     []byte // blocks still to come
	framed bool
	block  []byte
	pos    int
}

// snappyKeepBytes is the largest block a pooled decoder keeps its memory for.
const snappyKeepBytes = 1 << 20

// snappyRatioMax: the densest element of a block is three bytes that copy 64.
const snappyRatioMax = 22

func (d *snappyDecoder) open(compressed []byte) error {
	d.in, d.block, d.pos = compressed, d.block[:0], 0
	d.framed = d.skipXerialHeader()
	if !d.framed && len(compressed) == 0 {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// skipXerialHeader steps over a header; another one may follow in the middle, where a client glued two streams together.
func (d *snappyDecoder) skipXerialHeader() bool {
	if len(d.in) < xerialHeaderSize || string(d.in[:len(xerialMagic)]) != xerialMagic {
		return false
	}
	d.in = d.in[xerialHeaderSize:]
	return true
}

func (d *snappyDecoder) Read(p []byte) (int, error) {
	for d.pos == len(d.block) {
		if len(d.in) == 0 {
			return 0, io.EOF
		}
		if err := d.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, d.block[d.pos:])
	d.pos += n
	return n, nil
}

// cut takes the next block off the input; it is empty where a framed stream ends.
func (d *snappyDecoder) cut() (block []byte, err error) {
	if !d.framed {
		block, d.in = d.in, nil
		return block, nil
	}
	for d.skipXerialHeader() {
	}
	if len(d.in) == 0 {
		return nil, nil
	}
	if len(d.in) < 4 {
		return nil, io.ErrUnexpectedEOF
	}
	n := binary.BigEndian.Uint32(d.in)
	if uint64(n) > uint64(len(d.in)-4) {
		return nil, io.ErrUnexpectedEOF
	}
	block, d.in = d.in[4:4+n], d.in[4+n:]
	return block, nil
}

// next decompresses the next block.
func (d *snappyDecoder) next() error {
	block, err := d.cut()
	if block == nil || err != nil {
		return err
	}
	size, err := snappy.DecodedLen(block)
	switch {
	case err != nil:
		return err
	case size > d.limits.WindowBytes:
		return &limitError{kafka.MessageTooLarge, fmt.Sprintf("a snappy block of %d bytes decompressed, %s is %d: make smaller batches, or raise it",
			size, SettingWindowBytes, d.limits.WindowBytes)}
	case size > snappyRatioMax*len(block):
		return errors.New("a block says it holds more than snappy can compress into its size") // so a lie cannot make us allocate
	}
	// Strict, since the library would also take the extensions of its own format, which no Kafka client can read.
	d.pos = 0
	d.block, err = snappy.DecodeStrict(d.block[:0], block)
	if err != nil {
		d.block = d.block[:0]
	}
	return err
}

func (d *snappyDecoder) release() {
	d.in = nil
	if cap(d.block) > snappyKeepBytes {
		d.block = nil
	}
	d.block, d.pos = d.block[:0], 0
}

// limitError is a decompressor hitting one of Limits.
type limitError struct {
	code    kafka.ErrorCode
	message string
}

func (e *limitError) Error() string { return e.message }

// decodeFault tells a limit from bytes that cannot be decompressed. For those Kafka has no better code than UNKNOWN_SERVER_ERROR, which a producer
// does not retry: the same bytes would fail again.
func decodeFault(codec Codec, err error) *Fault {
	var limit *limitError
	if errors.As(err, &limit) {
		return faultf(limit.code, "%s", limit.message)
	}
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return faultf(kafka.UnsupportedCompressionType, "a zstd frame asks for a window above %s", SettingWindowBytes)
	}
	f := faultf(kafka.UnknownServerError, "the records cannot be decompressed with %v: %v", codec, err)
	f.cause = err
	return f
}

// eofIsTorn is err, but an early end is said to be one.
func eofIsTorn(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Memory is how many bytes reading or checking b may hold, at most and roughly, besides b and what a check writes anew: the window, and what the
// decompressor may need for whatever comes later in b. 0 without compression. A shell adds up what runs at the same time; b may be anything.
func (c *Codecs) Memory(b []byte) int64 {
	if len(b) < HeaderSize || Batch(b).Codec() == CodecNone {
		return 0
	}
	held, in := 256<<10, Batch(b).Records() // the tables of a gzip or zstd decoder, and some more
	switch Batch(b).Codec() {
	case Snappy:
		held = c.snappyMemory(in)
	case LZ4:
		held = 2 * lz4BlockMax
	case Zstd:
		held += min(max(zstdWindowOf(in), zstdPooledWindow), c.limits.WindowBytes)
	}
	return int64(c.limits.BufferBytes + held)
}

// snappyMemory is the size of the largest block. It believes no more than a block can hold.
func (c *Codecs) snappyMemory(in []byte) int {
	d := snappyDecoder{in: in}
	d.framed = d.skipXerialHeader()
	largest := 0
	for len(d.in) > 0 {
		block, err := d.cut()
		if err != nil {
			break
		}
		if size, err := snappy.DecodedLen(block); err == nil {
			largest = max(largest, min(size, snappyRatioMax*len(block)))
		}
	}
	return min(largest, c.limits.WindowBytes)
}
