package offset

import (
	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// NoOffset is what OffsetFetch answers where nothing is committed.
const NoOffset int64 = -1

// CommitRequest is an OffsetCommit. Partitions the caller may not write, or that do not exist, were taken out before.
type CommitRequest struct {
	Reply      coord.ReplyID
	Version    int16
	Group      string
	Generation int32  // -1: not as a member
	Member     string // "": not as a member
	Instance   string // "": a dynamic member, or none
	// RetentionMs is how long the offsets live, from versions 2 to 4; -1 for as long as the settings say.
	RetentionMs int64
	Topics      []CommitTopic
}

// CommitTopic is the partitions of one topic to commit.
type CommitTopic struct {
	Topic      string
	Partitions []CommitPartition
}

// CommitPartition is one offset to commit.
type CommitPartition struct {
	Partition   int32
	Offset      int64
	LeaderEpoch int32  // -1: not known
	Metadata    string // null arrives as ""
}

// EventName is "OffsetCommit".
func (*CommitRequest) EventName() string { return "OffsetCommit" }

// EventGroup is the group.
func (r *CommitRequest) EventGroup() string { return r.Group }

// TopicResult is what became of the partitions of one topic, in the order of the request.
type TopicResult struct {
	Topic      string
	Partitions []PartitionResult
}

// PartitionResult is what became of one partition.
type PartitionResult struct {
	Partition int32
	Code      kafka.ErrorCode
}

// CommitReply answers a CommitRequest, partition by partition.
type CommitReply struct {
	Topics []TopicResult
}

// Refuse is the answer to a request of which nothing is done: every partition with the same code.
func (r *CommitRequest) Refuse(code kafka.ErrorCode) CommitReply {
	var reply CommitReply
	for _, t := range r.Topics {
		result := TopicResult{Topic: t.Topic}
		for _, p := range t.Partitions {
			result.Partitions = append(result.Partitions, PartitionResult{p.Partition, code})
		}
		reply.Topics = append(reply.Topics, result)
	}
	return reply
}

// Partitions names partitions of one topic.
type Partitions struct {
	Topic      string
	Partitions []int32
}

// FetchRequest is an OffsetFetch for one group.
type FetchRequest struct {
	Reply coord.ReplyID
	Group string
	// All asks for whatever is committed; else Topics says what.
	All    bool
	Topics []Partitions
}

// EventName is "OffsetFetch".
func (*FetchRequest) EventName() string { return "OffsetFetch" }

// EventGroup is the group.
func (r *FetchRequest) EventGroup() string { return r.Group }

// FetchReply answers a FetchRequest: as asked, or everything sorted by topic and partition.
type FetchReply struct {
	Topics []FetchedTopic
}

// FetchedTopic is committed offsets of one topic.
type FetchedTopic struct {
	Topic      string
	Partitions []FetchedPartition
}

// FetchedPartition is one committed offset; NoOffset, epoch -1 and no metadata where nothing is committed.
type FetchedPartition struct {
	Partition   int32
	Offset      int64
	LeaderEpoch int32
	Metadata    string
	// Committed is when, in milliseconds; 0 where nothing is committed. No client is told; it is for those who explain.
	Committed int64
}

// DeleteRequest is an OffsetDelete.
type DeleteRequest struct {
	Reply  coord.ReplyID
	Group  string
	Topics []Partitions
}

// EventName is "OffsetDelete".
func (*DeleteRequest) EventName() string { return "OffsetDelete" }

// EventGroup is the group.
func (r *DeleteRequest) EventGroup() string { return r.Group }

// DeleteReply answers a DeleteRequest. With a Code nothing was done, and Topics is empty.
type DeleteReply struct {
	Code   kafka.ErrorCode
	Topics []TopicResult
}
