package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// errShort is wrapped into every error about bytes that end too early, or a length that lies.
var errShort = errors.New("ends too early, or holds an impossible length")

// VersionError says that a value is of a version newer than this release reads. The cure is a newer release.
type VersionError struct {
	What    string // "OffsetCommit" or "GroupMetadata"
	Version int16
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("record: %s value of version %d; this release reads versions 0 to 4", e.What, e.Version)
}

// Decode reads one record. A nil value is a tombstone. The result shares no memory with key and value. A key of a type that is not
// known gives Unknown; a malformed key or value, or a value of an unknown version, an error.
func Decode(key, value []byte) (Record, error) {
	k := reader{b: key}
	typ := k.int16()
	if k.bad {
		return nil, fmt.Errorf("record: key of %d bytes: %w", len(key), errShort)
	}
	switch typ {
	case typeOffsetV0, typeOffset:
		r := &OffsetCommit{Group: k.string(), Topic: k.string(), Partition: k.int32()}
		if err := k.done(); err != nil {
			return nil, fmt.Errorf("record: key of an offset, %d bytes: %w", len(key), err)
		}
		if value == nil {
			return r, nil
		}
		v, err := decodeOffset(value)
		if err != nil {
			return nil, fmt.Errorf("record: offset of group %q for %s-%d: %w", r.Group, r.Topic, r.Partition, err)
		}
		r.Value = v
		return r, nil
	case typeGroup:
		r := &GroupMetadata{Group: k.string()}
		if err := k.done(); err != nil {
			return nil, fmt.Errorf("record: key of a group, %d bytes: %w", len(key), err)
		}
		if value == nil {
			return r, nil
		}
		v, err := decodeGroup(value)
		if err != nil {
			return nil, fmt.Errorf("record: group %q: %w", r.Group, err)
		}
		r.Value = v
		return r, nil
	}
	return Unknown{Type: typ}, nil
}

func decodeOffset(b []byte) (*OffsetCommitValue, error) {
	r := reader{b: b}
	version := r.int16()
	if !r.bad && (version < 0 || version > 4) {
		return nil, &VersionError{"OffsetCommit", version}
	}
	r.flexible = version >= 4
	v := &OffsetCommitValue{Offset: r.int64(), LeaderEpoch: -1, ExpireTimestamp: NoTimestamp}
	if version >= 3 {
		v.LeaderEpoch = r.int32()
	}
	v.Metadata = r.string()
	v.CommitTimestamp = r.int64()
	if version == 1 {
		v.ExpireTimestamp = r.int64()
	}
	r.tags(func(tag uint64, field []byte) {
		if tag == 0 {
			if len(field) != len(v.TopicID) {
				r.fail()
				return
			}
			v.TopicID = kafka.TopicID(field)
		}
	})
	if err := r.done(); err != nil {
		return nil, fmt.Errorf("value of version %d, %d bytes: %w", version, len(b), err)
	}
	return v, nil
}

func decodeGroup(b []byte) (*GroupMetadataValue, error) {
	r := reader{b: b}
	version := r.int16()
	if !r.bad && (version < 0 || version > 4) {
		return nil, &VersionError{"GroupMetadata", version}
	}
	r.flexible = version >= 4
	v := &GroupMetadataValue{ProtocolType: r.string(), Generation: r.int32(), Protocol: r.nullable(), Leader: r.nullable(), CurrentStateTimestamp: NoTimestamp}
	if version >= 2 {
		v.CurrentStateTimestamp = r.int64()
	}
	n := r.count()
	if n > 0 {
		v.Members = make([]Member, 0, n)
	}
	var before Member // most members say what others say, and share it in memory
	for range n {
		m := Member{ID: r.string()}
		if version >= 3 {
			m.InstanceID = r.nullable()
		}
		m.ClientID, m.ClientHost = r.same(before.ClientID), r.same(before.ClientHost)
		m.RebalanceTimeout = -1
		if version >= 1 {
			m.RebalanceTimeout = r.duration()
		}
		m.SessionTimeout = r.duration()
		m.Subscription, m.Assignment = r.sameBytes(before.Subscription), r.bytes()
		r.tags(nil)
		if r.bad {
			break
		}
		before = m
		v.Members = append(v.Members, m)
	}
	r.tags(nil)
	if err := r.done(); err != nil {
		return nil, fmt.Errorf("value of version %d, %d bytes: %w", version, len(b), err)
	}
	return v, nil
}

// reader walks bytes. The first fault sticks, and reads after it give zero values.
type reader struct {
	b        []byte
	flexible bool // compact lengths, tagged fields
	bad      bool
}

func (r *reader) fail() { r.bad, r.b = true, nil }

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.fail()
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) int16() int16 {
	if v := r.take(2); v != nil {
		return int16(binary.BigEndian.Uint16(v))
	}
	return 0
}

func (r *reader) int32() int32 {
	if v := r.take(4); v != nil {
		return int32(binary.BigEndian.Uint32(v))
	}
	return 0
}

func (r *reader) int64() int64 {
	if v := r.take(8); v != nil {
		return int64(binary.BigEndian.Uint64(v))
	}
	return 0
}

// duration reads 32 bits of milliseconds; negative stays -1.
func (r *reader) duration() time.Duration {
	if ms := r.int32(); ms >= 0 {
		return time.Duration(ms) * time.Millisecond
	}
	return -1
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > 1<<32-1 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// length reads a length of wide (32) or narrow (16) bits, or a compact one; -1 is null.
func (r *reader) length(wide bool) int {
	switch {
	case r.flexible:
		return int(r.uvarint()) - 1
	case wide:
		return int(r.int32())
	}
	return int(r.int16())
}

func (r *reader) string() string { return r.limited(r.length(false)) }

// same is string, and returns s itself if it is equal.
func (r *reader) same(s string) string {
	n := r.length(false)
	if n > MaxString {
		r.fail()
	}
	if b := r.take(n); string(b) != s {
		return string(b)
	}
	return s
}

// limited takes a string; Kafka holds compact ones to 16 bits of length as well.
func (r *reader) limited(n int) string {
	if n > MaxString {
		r.fail()
	}
	return string(r.take(n))
}

func (r *reader) nullable() *string {
	n := r.length(false)
	if n == -1 {
		return nil
	}
	s := r.limited(n)
	return &s
}

func (r *reader) bytes() []byte {
	return append([]byte(nil), r.take(r.length(true))...)
}

// sameBytes is bytes, and returns b itself if it is equal.
func (r *reader) sameBytes(b []byte) []byte {
	if got := r.take(r.length(true)); !bytes.Equal(got, b) {
		return append([]byte(nil), got...)
	}
	return b
}

// memberBytesMin is the least a member takes in any version: five lengths of one byte, an integer, a count of tags.
const memberBytesMin = 10

// count reads the number of members, and does not believe one that the remaining bytes cannot hold.
func (r *reader) count() int {
	n := r.length(true)
	if r.bad || n < 0 || n > len(r.b)/memberBytesMin {
		r.fail()
		return 0
	}
	return n
}

// tags reads a section of tagged fields; each may be nil.
func (r *reader) tags(each func(tag uint64, field []byte)) {
	if !r.flexible {
		return
	}
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		tag := r.uvarint()
		field := r.take(int(r.uvarint()))
		if each != nil && !r.bad {
			each(tag, field)
		}
	}
}

// done says whether everything was read and nothing was missing.
func (r *reader) done() error {
	if r.bad {
		return errShort
	}
	if len(r.b) > 0 {
		return fmt.Errorf("%d bytes too many", len(r.b))
	}
	return nil
}
