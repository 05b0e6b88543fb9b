package batch

import (
	"encoding/binary"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// ControlType says what a control record is about. Types we do not know are passed on and ignored, as Kafka does.
type ControlType int16

// The types that a partition's own log can hold; Kafka's others belong to its metadata log.
const (
	ControlAbort  ControlType = 0
	ControlCommit ControlType = 1
)

// String is the type's name in Kafka's tools.
func (t ControlType) String() string {
	switch t {
	case ControlAbort:
		return "ABORT"
	case ControlCommit:
		return "COMMIT"
	}
	return "UNKNOWN"
}

const (
	controlKeySize = 4 // version, type
	markerSize     = 6 // version, coordinator epoch
)

// ParseControlType reads the key of a control record. A later version may append fields, which are skipped.
func ParseControlType(key []byte) (ControlType, error) {
	if len(key) < controlKeySize {
		return 0, faultf(kafka.InvalidRecord, "the key of a control record has %d bytes, at least %d are needed", len(key), controlKeySize)
	}
	if version := int16(binary.BigEndian.Uint16(key)); version < 0 {
		return 0, faultf(kafka.InvalidRecord, "the key of a control record has version %d", version)
	}
	return ControlType(binary.BigEndian.Uint16(key[2:])), nil
}

// EndTxnMarker is the control record that ends a transaction in one partition.
type EndTxnMarker struct {
	Commit           bool
	CoordinatorEpoch int32
}

// Type is the marker's control type.
func (m EndTxnMarker) Type() ControlType {
	if m.Commit {
		return ControlCommit
	}
	return ControlAbort
}

// ParseEndTxnMarker reads the key and value of a marker. Other control types are a Fault: look at ParseControlType first.
func ParseEndTxnMarker(key, value []byte) (EndTxnMarker, error) {
	t, err := ParseControlType(key)
	if err != nil {
		return EndTxnMarker{}, err
	}
	if t != ControlAbort && t != ControlCommit {
		return EndTxnMarker{}, faultf(kafka.InvalidRecord, "control type %d is not the end of a transaction", t)
	}
	if len(value) < markerSize {
		return EndTxnMarker{}, faultf(kafka.InvalidRecord, "the marker has %d bytes, at least %d are needed", len(value), markerSize)
	}
	if version := int16(binary.BigEndian.Uint16(value)); version < 0 {
		return EndTxnMarker{}, faultf(kafka.InvalidRecord, "the marker has version %d", version)
	}
	return EndTxnMarker{Commit: t == ControlCommit, CoordinatorEpoch: int32(binary.BigEndian.Uint32(value[2:]))}, nil
}

// AppendKey appends the key of the marker's record.
func (m EndTxnMarker) AppendKey(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, 0)
	return binary.BigEndian.AppendUint16(dst, uint16(m.Type()))
}

// AppendValue appends the value of the marker's record.
func (m EndTxnMarker) AppendValue(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, 0)
	return binary.BigEndian.AppendUint32(dst, uint32(m.CoordinatorEpoch))
}
