// Package clients puts real Kafka clients of several languages behind one small interface, so that every scenario is written once and run
// with all of them, and so that what one wrote can be read by all the others.
//
// An implementation shows its client's own behaviour: it uses the client as its users do, adds no retries, and hides nothing. What a
// client cannot do it says in Lacks, with the reason that the matrix will print.
package clients

import (
	"context"
	"time"
)

// Record is a record as its writer meant it and as its readers saw it. nil and empty differ in Key, Value and a header's value.
type Record struct {
	Partition int32    `json:"partition"`
	Offset    int64    `json:"offset"`
	Timestamp int64    `json:"timestamp"` // milliseconds
	Key       []byte   `json:"key"`
	Value     []byte   `json:"value"`
	Headers   []Header `json:"headers"`
}

// Header is one header of a record; the same key may occur again.
type Header struct {
	Key   string `json:"key"`
	Value []byte `json:"value"`
}

// Feature is something that not every client can do.
type Feature string

// Features; codecs are features under their own names.
const (
	Create      Feature = "create topics"
	Admin       Feature = "describe topics and change their configs"
	Consuming   Feature = "consume without a group"
	Idempotence Feature = "idempotent producer"
	Timestamps  Feature = "explicit timestamps"
	NullHeader  Feature = "headers without a value"
	TwiceHeader Feature = "one header key twice"
	HeaderOrder Feature = "order of headers"
	NullValue   Feature = "null values"
	EmptyKey    Feature = "keys that are empty and not null"
	EmptyValue  Feature = "values that are empty and not null"
	TellsEmpty  Feature = "tell empty from null when reading"
	FromTime    Feature = "consume from a timestamp"
)

// Codecs in the order of their numbers.
var Codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

// Produce asks for records to be written, in order, each to its own partition, and acknowledged by all replicas.
type Produce struct {
	Topic      string        `json:"topic"`
	Codec      string        `json:"codec"`
	Idempotent bool          `json:"idempotent"`
	Records    []Record      `json:"records"`
	Interval   time.Duration `json:"interval_ns"` // between two records; 0: as fast as possible
}

// Where a consumer starts.
const (
	FromStart = "start"
	FromEnd   = "end"
	FromStamp = "timestamp"
)

// Consume asks for the first Count records of some partitions together.
type Consume struct {
	Topic      string  `json:"topic"`
	Partitions []int32 `json:"partitions"`
	From       string  `json:"from"`
	Timestamp  int64   `json:"timestamp"`
	Count      int     `json:"count"`
}

// Description is what a client's admin half says of a topic.
type Description struct {
	Partitions int               `json:"partitions"`
	Configs    map[string]string `json:"configs"`
	Topics     []string          `json:"topics"` // all topics of the cluster
}

// Client is one client library or program.
type Client interface {
	Name() string
	// Version pins what was run; an error says how to install it.
	Version(ctx context.Context) (string, error)
	// Lacks is empty when the client can do it, else the reason for the skip.
	Lacks(Feature) string
	CreateTopic(ctx context.Context, addr, topic string, partitions int, configs map[string]string) error
	Describe(ctx context.Context, addr, topic string) (Description, error)
	AlterConfig(ctx context.Context, addr, topic, name, value string) error
	Produce(ctx context.Context, addr string, p Produce) error
	Consume(ctx context.Context, addr string, c Consume) ([]Record, error)
}

// All lists every client of the matrix, the reference first.
func All() []Client {
	all := []Client{Franz{}, Sarama{}, Sarama{Newest: true}, KafkaGo{}}
	all = append(all, withCgo()...)
	return append(all, Kcat{}, JavaClient(), JavaOldClient(), PythonClient(), NodeClient())
}
