package kafka

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"unicode"
	"unicode/utf16"
)

// NodeID names a broker; -1 where Kafka says "none".
type NodeID int32

// TopicID is the random 128-bit id a topic gets at creation (KIP-516). The zero value means "unknown".
type TopicID [16]byte

// String is Kafka's text form: URL-safe base64 without padding, 22 characters.
func (id TopicID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// Hex is the id as 32 lower-case hexadecimal digits.
func (id TopicID) Hex() string { return hex.EncodeToString(id[:]) }

// IsZero reports whether the id is the "unknown" one.
func (id TopicID) IsZero() bool { return id == TopicID{} }

// MarshalText is String, so that an id reads the same in JSON as in Kafka's tools.
func (id TopicID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText is ParseTopicID.
func (id *TopicID) UnmarshalText(b []byte) error {
	v, err := ParseTopicID(string(b))
	if err == nil {
		*id = v
	}
	return err
}

// ParseTopicID reads the 22-character form that String writes; padding is tolerated.
func ParseTopicID(s string) (TopicID, error) {
	var id TopicID
	for len(s) > 0 && s[len(s)-1] == '=' {
		s = s[:len(s)-1]
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("topic id %q is not 16 bytes of URL-safe base64", s)
	}
	copy(id[:], b)
	return id, nil
}

// TopicPartition names one partition of one topic.
type TopicPartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

// String is the name of the partition's folder: "orders-3".
func (tp TopicPartition) String() string { return tp.Topic + "-" + strconv.Itoa(int(tp.Partition)) }

// Compare orders by topic, then partition.
func (tp TopicPartition) Compare(o TopicPartition) int {
	switch {
	case tp.Topic < o.Topic:
		return -1
	case tp.Topic > o.Topic:
		return 1
	case tp.Partition < o.Partition:
		return -1
	case tp.Partition > o.Partition:
		return 1
	}
	return 0
}

// MaxTopicName is the longest topic name; with a partition number it still fits a folder name.
const MaxTopicName = 249

// CheckTopicName says what is wrong with a topic name, or nil. Kafka's rule: 1 to 249 of [A-Za-z0-9._-], neither "." nor "..".
func CheckTopicName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("topic name is empty")
	case name == "." || name == "..":
		return fmt.Errorf("topic name %q is not allowed", name)
	case len(name) > MaxTopicName:
		return fmt.Errorf("topic name is %d characters long, the limit is %d", len(name), MaxTopicName)
	}
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			return fmt.Errorf("topic name %q holds %q; allowed are letters, digits, '.', '_' and '-'", name, c)
		}
	}
	return nil
}

// Names of the topics a broker keeps for itself.
const (
	OffsetsTopic    = "__consumer_offsets"
	TxnTopic        = "__transaction_state"
	RebalancesTopic = "__barnabas_rebalances"
)

// IsInternal reports whether clients may not write to the topic and see is_internal in its metadata.
func IsInternal(topic string) bool {
	return topic == OffsetsTopic || topic == TxnTopic || topic == RebalancesTopic
}

// PartitionOf is the partition of an internal topic that a key belongs to: Java's hash of the string, as Kafka's clients and tools compute
// it too. partitions is above 0.
func PartitionOf(key string, partitions int32) int32 {
	var h int32
	for _, r := range key { // in the units of UTF-16, which is what Java's strings are made of
		if high, low := utf16.EncodeRune(r); high != unicode.ReplacementChar {
			h, r = 31*h+high, low
		}
		h = 31*h + r
	}
	if h == math.MinInt32 {
		return 0 // Java cannot negate it, and Kafka chose this
	}
	return max(h, -h) % partitions
}
