package batch

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Kafka's ranges of the topic properties compression.{gzip,lz4,zstd}.level.
const (
	gzipLevelMax = 9
	lz4LevelMax  = 17
	zstdLevelMin = -131072
	zstdLevelMax = 22

	lz4LevelDefault = 9
)

// DefaultLevel stands for the default level of every codec.
const DefaultLevel = 0

// CheckLevel says what is wrong with a level, or nil. DefaultLevel is always right.
func CheckLevel(c Codec, level int) error {
	switch {
	case level == DefaultLevel:
		return nil
	case c == Gzip && level != -1 && (level < 1 || level > gzipLevelMax):
		return fmt.Errorf("gzip level %d is not 1 to %d, or -1 for the default", level, gzipLevelMax)
	case c == LZ4 && (level < 1 || level > lz4LevelMax):
		return fmt.Errorf("lz4 level %d is not 1 to %d", level, lz4LevelMax)
	case c == Zstd && (level < zstdLevelMin || level > zstdLevelMax):
		return fmt.Errorf("zstd level %d is not %d to %d", level, zstdLevelMin, zstdLevelMax)
	case c == CodecNone || c == Snappy:
		return fmt.Errorf("%v has no levels", c)
	}
	return nil
}

// encoder compresses what is written to it; gzip.Writer, lz4.Writer and zstd.Encoder are ones.
type encoder interface {
	io.WriteCloser
	Reset(w io.Writer)
}

// The pools of encoders: our libraries have fewer levels than Kafka's, and encoders of one level are alike.
const (
	gzipEncoders   = 0 // -1, then 1 to 9
	lz4Encoders    = gzipEncoders + gzipLevelMax + 1
	zstdEncoders   = lz4Encoders + 10
	snappyEncoders = zstdEncoders + 5
	encoderKinds   = snappyEncoders + 1
)

// zstdWindow is how far back our own frames refer: plenty for a batch, and half of what a consumer must hold for Java's default level.
const zstdWindow = 1 << 20

// encoder gets a compressor that writes to w. It goes back to the pool it came from when its work went well.
func (c *Codecs) encoder(codec Codec, level int, w io.Writer) (encoder, *sync.Pool, error) {
	if err := CheckLevel(codec, level); err != nil && codec != Snappy {
		return nil, nil, err
	}
	kind := snappyEncoders
	switch codec {
	case Gzip:
		kind = gzipEncoders + max(level, 0)
	case LZ4:
		kind = lz4Encoders + lz4Index(level)
	case Zstd:
		kind = zstdEncoders + int(zstdLevel(level))
	case Snappy:
	default:
		return nil, nil, fmt.Errorf("cannot compress with %v", codec)
	}
	pool := &c.encoders[kind]
	e, ok := pool.Get().(encoder)
	if !ok {
		var err error
		if e, err = newEncoder(codec, level); err != nil {
			return nil, nil, fmt.Errorf("make a compressor for %v, level %d: %w", codec, level, err)
		}
	}
	e.Reset(w)
	return e, pool, nil
}

func newEncoder(codec Codec, level int) (encoder, error) {
	switch codec {
	case Gzip:
		if level == DefaultLevel {
			level = gzip.DefaultCompression
		}
		return gzip.NewWriterLevel(nil, level)
	case LZ4:
		w := lz4.NewWriter(nil)
		// 64 KiB blocks and no checksum of the content, as the Java client writes them: the batch has a CRC of its own.
		return w, w.Apply(lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false), lz4.ConcurrencyOption(1),
			lz4.CompressionLevelOption(lz4Level(level)))
	case Zstd:
		return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstdLevel(level)), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true),
			zstd.WithWindowSize(zstdWindow), zstd.WithEncoderCRC(false))
	default:
		return &xerialWriter{}, nil
	}
}

// lz4Index maps Kafka's 17 levels to the library's: 0 is the fast compressor, which Kafka uses at its default level 9; 1 to 9 search ever deeper.
func lz4Index(level int) int {
	if level == DefaultLevel || level == lz4LevelDefault {
		return 0
	}
	return min(level, 9)
}

func lz4Level(level int) lz4.CompressionLevel {
	return [...]lz4.CompressionLevel{lz4.Fast, lz4.Level1, lz4.Level2, lz4.Level3, lz4.Level4, lz4.Level5, lz4.Level6, lz4.Level7, lz4.Level8,
		lz4.Level9}[lz4Index(level)]
}

// zstdLevel maps zstd's levels to the library's four.
func zstdLevel(level int) zstd.EncoderLevel {
	if level == DefaultLevel {
		return zstd.SpeedDefault
	}
	return zstd.EncoderLevelFromZstd(level)
}

// Snappy in the framing of the Java client (xerial): a header of 16 bytes, then blocks, each after its compressed length in four bytes.
const (
	xerialMagic      = "\x82SNAPPY\x00"
	xerialHeaderSize = len(xerialMagic) + 8
	xerialBlockSize  = 32 << 10
)

// xerialWriter writes snappy in xerial framing.
type xerialWriter struct {
	w       io.Writer
	block   []byte // not compressed yet
	out     []byte
	started bool
}

func (x *xerialWriter) Reset(w io.Writer) {
	x.w, x.block, x.started = w, x.block[:0], false
}

func (x *xerialWriter) Write(p []byte) (int, error) {
	if x.block == nil {
		x.block = make([]byte, 0, xerialBlockSize)
	}
	for rest := p; len(rest) > 0; {
		n := min(len(rest), xerialBlockSize-len(x.block))
		x.block = append(x.block, rest[:n]...)
		rest = rest[n:]
		if len(x.block) == xerialBlockSize {
			if err := x.flush(); err != nil {
				return 0, err
			}
		}
	}
	return len(p), nil
}

func (x *xerialWriter) flush() error {
	out := x.out[:0]
	if !x.started {
		x.started = true
		out = append(out, xerialMagic...)
		out = binary.BigEndian.AppendUint32(out, 1) // version
		out = binary.BigEndian.AppendUint32(out, 1) // oldest version that reads this
	}
	if len(x.block) > 0 {
		at := len(out)
		out = append(out, make([]byte, 4+snappy.MaxEncodedLen(len(x.block)))...)
		n := len(snappy.Encode(out[at+4:], x.block))
		binary.BigEndian.PutUint32(out[at:], uint32(n))
		out = out[:at+4+n]
	}
	x.block, x.out = x.block[:0], out
	_, err := x.w.Write(out)
	return err
}

func (x *xerialWriter) Close() error {
	if len(x.block) == 0 && x.started {
		return nil
	}
	return x.flush()
}

// sink gathers what a compressor writes, up to a limit.
type sink struct {
	buf   []byte
	limit int // of len(buf)
}

var errSinkFull = fmt.Errorf("the batch would grow beyond its limit")

func (s *sink) Write(p []byte) (int, error) {
	if len(p) > s.limit-len(s.buf) {
		return 0, errSinkFull
	}
	s.buf = append(s.buf, p...)
	return len(p), nil
}
