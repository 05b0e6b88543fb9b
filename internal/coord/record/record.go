package record

import (
	"time"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// Record is one record of an internal topic: OffsetCommit, GroupMetadata or Unknown. A nil Value in it is a tombstone.
type Record interface {
	// GroupID is the group the record speaks of; it decides the partition. Empty for Unknown.
	GroupID() string
	// AppendKey appends the key's bytes to dst.
	AppendKey(dst []byte) []byte
	// AppendValue appends the value's bytes to dst; ok is false for a tombstone, whose value is null.
	AppendValue(dst []byte) (value []byte, ok bool)
}

// MaxString is the longest string a record can hold, in bytes: lengths are 16 bits wide. Who makes records refuses longer ones first;
// appending one anyway panics, since a length that lies would cost every offset behind it.
const MaxString = 1<<15 - 1

// NoTimestamp stands where Kafka writes -1: the moment is not known.
const NoTimestamp int64 = -1

// OffsetCommit is a committed offset of one group and partition: key type 1 (and 0, which is read only).
type OffsetCommit struct {
	Group     string
	Topic     string
	Partition int32
	Value     *OffsetCommitValue
}

// OffsetCommitValue is what was committed.
type OffsetCommitValue struct {
	Offset      int64
	LeaderEpoch int32 // -1: not known
	Metadata    string
	// CommitTimestamp is the broker's clock at the commit, in milliseconds.
	CommitTimestamp int64
	// ExpireTimestamp is when the offset expires whatever its group does, in milliseconds; NoTimestamp for "as the settings say".
	ExpireTimestamp int64
	// TopicID is zero where the writer did not know it.
	TopicID kafka.TopicID
}

// GroupID is the group.
func (r *OffsetCommit) GroupID() string { return r.Group }

// GroupMetadata is a classic group at rest: key type 2.
type GroupMetadata struct {
	Group string
	Value *GroupMetadataValue
}

// GroupMetadataValue is what survives a restart of a classic group's coordinator.
type GroupMetadataValue struct {
	ProtocolType string // "" for a group that was only created
	Generation   int32
	Protocol     *string // nil for a group without members
	Leader       *string // nil for a group without members
	// CurrentStateTimestamp is when the group entered its state, in milliseconds; NoTimestamp when the record is too old to say.
	CurrentStateTimestamp int64
	Members               []Member
}

// Member is one member of a classic group.
type Member struct {
	ID         string
	InstanceID *string // nil for a dynamic member
	ClientID   string
	ClientHost string
	// RebalanceTimeout is negative when the record is too old to say: the session timeout takes its place.
	RebalanceTimeout time.Duration
	SessionTimeout   time.Duration
	// Subscription is the member's metadata for the group's protocol; Assignment is what the leader gave it. Opaque bytes.
	Subscription []byte
	Assignment   []byte
}

// GroupID is the group.
func (r *GroupMetadata) GroupID() string { return r.Group }

// Unknown is a record of a type this release does not know. It is stepped over, never written.
type Unknown struct {
	Type int16
}

// GroupID is empty: the layout of the key is not known.
func (Unknown) GroupID() string { return "" }

// AppendKey panics: what is not known is not written.
func (u Unknown) AppendKey([]byte) []byte { panic("record: an Unknown is never written") }

// AppendValue panics: what is not known is not written.
func (u Unknown) AppendValue([]byte) ([]byte, bool) { panic("record: an Unknown is never written") }

// Types of keys: the first 16 bits of each.
const (
	typeOffsetV0 int16 = 0
	typeOffset   int16 = 1
	typeGroup    int16 = 2
)

// Size is how many bytes the key and the value take together.
func Size(r Record) int {
	key := r.AppendKey(nil)
	value, _ := r.AppendValue(nil)
	return len(key) + len(value)
}
