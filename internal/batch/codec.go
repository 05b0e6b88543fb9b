package batch

import (
	"fmt"
	"sync"
)

// Codec is how a record area is compressed, by its number in the attributes.
type Codec int8

// Kafka's codecs.
const (
	CodecNone Codec = 0
	Gzip      Codec = 1
	Snappy    Codec = 2
	LZ4       Codec = 3
	Zstd      Codec = 4

	codecs = 5
)

var codecNames = [codecs]string{"none", "gzip", "snappy", "lz4", "zstd"}

// String is the codec's name in Kafka's tools.
func (c Codec) String() string {
	if c.Known() {
		return codecNames[c]
	}
	return fmt.Sprintf("codec %d", int8(c))
}

// Known reports whether Kafka has such a codec.
func (c Codec) Known() bool { return c >= 0 && c < codecs }

// ParseCodec reads a codec's name; "uncompressed" is "none", as in the topic property compression.type.
func ParseCodec(name string) (Codec, error) {
	if name == "uncompressed" {
		return CodecNone, nil
	}
	for i, n := range codecNames {
		if n == name {
			return Codec(i), nil
		}
	}
	return 0, fmt.Errorf("there is no compression %q; known are none, gzip, snappy, lz4 and zstd", name)
}

// Limits bounds what decompressing one batch may hold. A compressed byte can stand for a thousand and more, so each limit is a promise about
// memory. The zero value of a field is its default; the constants name the settings, for the messages of Faults.
type Limits struct {
	// BufferBytes is the window that a decompressed record area is read through. Default 64 KiB, at least 128 bytes.
	BufferBytes int
	// RecordBytes is the largest record inside a compressed batch. Checking a larger one would cost no memory, but whoever reads it must hold it
	// whole. Default 100 MiB, as much as the largest request.
	RecordBytes int
	// BatchBytes is how much one batch may decompress to; it bounds time, not memory. Default 1 GiB.
	BatchBytes int64
	// WindowBytes is how much decompressed data a decompressor may have to hold at once: a snappy block, which cannot be decompressed in part and is
	// the whole batch with clients other than Java's; or the window that a zstd frame refers back to, 8 MiB at most with levels up to 19, and 32, 64
	// and 128 MiB with levels 20 to 22. Default 32 MiB.
	WindowBytes int
}

// Names of the settings behind Limits.
const (
	SettingRecordBytes = "decompression.record.max.bytes"
	SettingBatchBytes  = "decompression.batch.max.bytes"
	SettingWindowBytes = "decompression.window.max.bytes"
)

// DefaultLimits are the values that zero fields stand for.
func DefaultLimits() Limits {
	return Limits{
		BufferBytes: 64 << 10,
		RecordBytes: 100 << 20,
		BatchBytes:  1 << 30,
		WindowBytes: 32 << 20,
	}
}

const bufferBytesMin = 128

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	if l.BufferBytes <= 0 {
		l.BufferBytes = d.BufferBytes
	}
	l.BufferBytes = max(l.BufferBytes, bufferBytesMin)
	if l.RecordBytes <= 0 {
		l.RecordBytes = d.RecordBytes
	}
	if l.BatchBytes <= 0 {
		l.BatchBytes = d.BatchBytes
	}
	if l.WindowBytes <= 0 {
		l.WindowBytes = d.WindowBytes
	}
	return l
}

// Codecs is a pool of compressors, decompressors and buffers under one set of limits. Share one among all readers, checkers and builders; it is
// safe for concurrent use. It holds what the batches being worked on right now need, and the garbage collector takes back what lies idle.
type Codecs struct {
	limits   Limits
	buffers  sync.Pool               // *[]byte of BufferBytes
	decoders [codecs]sync.Pool       // decoder
	encoders [encoderKinds]sync.Pool // encoder
}

// NewCodecs makes an empty pool.
func NewCodecs(limits Limits) *Codecs { return &Codecs{limits: limits.withDefaults()} }

// Limits are the limits in force, defaults filled in.
func (c *Codecs) Limits() Limits { return c.limits }

func (c *Codecs) buffer() *[]byte {
	if b, ok := c.buffers.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, c.limits.BufferBytes)
	return &b
}
