package server

import (
	"context"
	"time"

	"github.com/barnabas-mq/barnabas/internal/activity"
	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/config"
	"github.com/barnabas-mq/barnabas/internal/controller"
	"github.com/barnabas-mq/barnabas/internal/coord"
	coorddriver "github.com/barnabas-mq/barnabas/internal/coord/driver"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/meta"
	"github.com/barnabas-mq/barnabas/internal/replica/driver"
	"github.com/barnabas-mq/barnabas/internal/storage"
)

// Deps is what the handlers decide with; the broker plugs it in.
type Deps struct {
	NodeID kafka.NodeID
	// Partitions are the ones this node holds.
	Partitions *driver.Set
	Cluster    Cluster
	Groups     Groups
	// EnsureOffsetsTopic creates __consumer_offsets if it does not exist.
	EnsureOffsetsTopic func(ctx context.Context) error
	// Config is the configuration in force, with dynamic settings applied.
	Config func() *config.Config
	// LogDirs describes the log directories and the logs in them.
	LogDirs func() []storage.DirInfo
	// NewChecker makes a checker of batches; each request that is being handled has one.
	NewChecker func() *batch.Checker
	// CheckMemory is what such a check may hold beside the bytes it checks, which may be anything.
	CheckMemory func(records []byte) int64
	Metrics     Metrics
	// Activity remembers who fetched what, as evidence; nil for nobody does.
	Activity *activity.Tracker
	Now      func() time.Time
}

// Cluster is the metadata and whoever may change it.
type Cluster interface {
	Image() *meta.Image
	// NextProducerID hands out an id that was never handed out before.
	NextProducerID(ctx context.Context) (int64, error)
	// EnsureTopic creates a topic with default settings if it does not exist.
	EnsureTopic(ctx context.Context, name string) controller.TopicResult
	CreateTopics(ctx context.Context, req controller.CreateTopicsRequest) []controller.TopicResult
	DeleteTopics(ctx context.Context, refs []controller.TopicRef) []controller.DeleteTopicResult
	CreatePartitions(ctx context.Context, req controller.CreatePartitionsRequest) []controller.TopicResult
	AlterConfigs(ctx context.Context, req controller.AlterConfigsRequest) []controller.AlterResult
	IncrementalAlterConfigs(ctx context.Context, req controller.AlterConfigsRequest) []controller.AlterResult
}

// Groups is the group coordinator: the shards of __consumer_offsets on this node.
type Groups interface {
	// ShardOf is the partition that holds a group, here or elsewhere; -1 while there is no __consumer_offsets.
	ShardOf(group string) int32
	// Shards are the ones that are here.
	Shards() []int32
	NewCall() *coorddriver.Call
	// Submit hands an event to a shard. It does not wait, for the disk or anybody else, and calls from one goroutine keep their order.
	Submit(shard int32, call *coorddriver.Call, ev coord.Event)
	// Tell is Submit for an event that has no answer.
	Tell(shard int32, ev coord.Event)
}

// Metrics is what the server counts. Every method is called on hot paths and must not allocate.
type Metrics interface {
	ConnectionOpened()
	ConnectionClosed()
	ConnectionRefused()
	InvalidRequest()
	// Request counts an answered request: its time from being read to being answered, how much of that it was parked, and its sizes
	// in bytes.
	Request(key, version int16, took, waited time.Duration, in, out int)
	// Error counts an error code inside an answer.
	Error(key int16, code kafka.ErrorCode)
	BytesOut(n int)
	Produced(topic string, bytes, records int)
	Fetched(topic string, bytes int)
	// Committed counts offsets that a group has committed.
	Committed(group string, partitions int)
	// Held counts a heartbeat whose answer was held, by what ended that; HoldsGivenUp a client of a group that is not held any more.
	Held(cause string, d time.Duration)
	// SyncHeld counts a SyncGroup whose answer was held, as Held does.
	SyncHeld(cause string, d time.Duration)
	HoldsGivenUp()
}
