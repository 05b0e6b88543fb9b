package record

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

func appendInt16(dst []byte, v int16) []byte { return binary.BigEndian.AppendUint16(dst, uint16(v)) }
func appendInt32(dst []byte, v int32) []byte { return binary.BigEndian.AppendUint32(dst, uint32(v)) }
func appendInt64(dst []byte, v int64) []byte { return binary.BigEndian.AppendUint64(dst, uint64(v)) }

func appendString(dst []byte, s string) []byte {
	if len(s) > MaxString {
		panic(fmt.Sprintf("record: a string of %d bytes does not fit", len(s)))
	}
	return append(appendInt16(dst, int16(len(s))), s...)
}

func appendNullable(dst []byte, s *string) []byte {
	if s == nil {
		return appendInt16(dst, -1)
	}
	return appendString(dst, *s)
}

func appendBytes(dst, b []byte) []byte {
	return append(appendInt32(dst, int32(len(b))), b...)
}

// AppendKey appends a key of type 1.
func (r *OffsetCommit) AppendKey(dst []byte) []byte {
	dst = appendInt16(dst, typeOffset)
	dst = appendString(dst, r.Group)
	dst = appendString(dst, r.Topic)
	return appendInt32(dst, r.Partition)
}

// AppendValue appends the oldest version that can hold the value, so that the most readers understand it: 1 with an expiry, 4 with a
// topic id, else 3. Version 1 has no leader epoch, as in Kafka: a commit that names its own retention comes from a client older than
// leader epochs.
func (r *OffsetCommit) AppendValue(dst []byte) ([]byte, bool) {
	v := r.Value
	if v == nil {
		return dst, false
	}
	version := int16(3)
	switch {
	case v.ExpireTimestamp != NoTimestamp:
		version = 1
	case !v.TopicID.IsZero():
		version = 4
	}
	dst = appendInt16(dst, version)
	dst = appendInt64(dst, v.Offset)
	if version >= 3 {
		dst = appendInt32(dst, v.LeaderEpoch)
	}
	if version < 4 {
		dst = appendString(dst, v.Metadata)
	} else {
		if len(v.Metadata) > MaxString {
			panic("record: metadata does not fit")
		}
		dst = binary.AppendUvarint(dst, uint64(len(v.Metadata))+1)
		dst = append(dst, v.Metadata...)
	}
	dst = appendInt64(dst, v.CommitTimestamp)
	switch version {
	case 1:
		dst = appendInt64(dst, v.ExpireTimestamp)
	case 4:
		dst = append(dst, 1, 0, byte(len(v.TopicID))) // one tagged field: number 0, its length
		dst = append(dst, v.TopicID[:]...)
	}
	return dst, true
}

// AppendKey appends a key of type 2.
func (r *GroupMetadata) AppendKey(dst []byte) []byte {
	return appendString(appendInt16(dst, typeGroup), r.Group)
}

// AppendValue appends version 3, what Kafka 4.x writes.
func (r *GroupMetadata) AppendValue(dst []byte) ([]byte, bool) {
	v := r.Value
	if v == nil {
		return dst, false
	}
	dst = appendInt16(dst, 3)
	dst = appendString(dst, v.ProtocolType)
	dst = appendInt32(dst, v.Generation)
	dst = appendNullable(dst, v.Protocol)
	dst = appendNullable(dst, v.Leader)
	dst = appendInt64(dst, v.CurrentStateTimestamp)
	dst = appendInt32(dst, int32(len(v.Members)))
	for i := range v.Members {
		m := &v.Members[i]
		dst = appendString(dst, m.ID)
		dst = appendNullable(dst, m.InstanceID)
		dst = appendString(dst, m.ClientID)
		dst = appendString(dst, m.ClientHost)
		dst = appendInt32(dst, millis(m.RebalanceTimeout))
		dst = appendInt32(dst, millis(m.SessionTimeout))
		dst = appendBytes(dst, m.Subscription)
		dst = appendBytes(dst, m.Assignment)
	}
	return dst, true
}

// millis is Kafka's unit of a timeout: 32 bits of milliseconds; anything negative is -1.
func millis(d time.Duration) int32 {
	if d < 0 {
		return -1
	}
	return int32(min(int64(d/time.Millisecond), math.MaxInt32))
}
