// Package loadgen loads a Kafka and measures it: the engine of `barnabas bench`.
//
// A generator that shares its machine with the broker must cost little, or it measures itself. So batches are built once and sent
// again and again by one writer per connection, straight as Produce requests; fetched batches are counted by their headers
// and never decoded. Sequence numbers are real where idempotence is on. It speaks Produce 8 and Fetch 11, which every broker
// since Kafka 2.4 takes, and does not follow leaders that move: a benchmark during which they do is void, and an error says so.
//
// Shell: sockets, clocks and goroutines live here. Start reading at run.go.
package loadgen

import (
	"cmp"
	"fmt"
	"time"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// Settings of a run.
type Settings struct {
	Topic       string
	Leaders     map[int32]string // partition -> host:port of its leader
	Clients     int              // each with its own connections
	RecordBytes int              // size of a value; keys are null
	BatchBytes  int              // a batch, uncompressed, is at most this
	// PartitionsPerRequest batches share a request, each of BatchBytes divided by as many.
	PartitionsPerRequest int
	MaxInFlight          int // requests per connection
	Acks                 int16
	Codec                batch.Codec
	Incompressible       bool
	Seed                 uint64
	// Producers are one producer id and epoch per client; nil: not idempotent.
	Producers []Producer
	Rate      float64       // records per second over all clients; 0: as fast as it goes
	Linger    time.Duration // with Rate: the records of this span share a batch
	Warmup    time.Duration // before counting; and until every partition has taken a batch
	Duration  time.Duration // of the counted interval; 0: no limit
	Records   int64         // end after that many; 0: no limit
	Timeout   time.Duration // for an answer

	FetchBytes          int32
	PartitionFetchBytes int32
	FetchWait           time.Duration
	// Start and End are the offsets to read from and to, per partition.
	Start, End map[int32]int64
	Repeat     bool // begin again at Start, until Duration or Records end it

	// Counting is called when the counted interval begins and when it ends.
	Counting func(begin bool)
	// Progress is called about once a second.
	Progress func(elapsed time.Duration, records, bytes int64)
}

// Producer is an idempotent producer's identity.
type Producer struct {
	ID    int64
	Epoch int16
}

// Result of a run.
type Result struct {
	Elapsed     time.Duration // the counted interval
	Records     int64
	Bytes       int64 // of values, uncompressed
	Requests    int64
	Errors      int64 // requests refused or unanswered
	Err         error // the first of them
	Latency     *Histogram
	FirstRecord time.Duration // consume: from the start to the first batch
}

// AnswerError is a broker's refusal.
type AnswerError struct {
	Partition int32
	Code      int16
	Message   string
}

func (e *AnswerError) Error() string {
	c := kafka.ErrorCode(e.Code)
	return fmt.Sprintf("partition %d: %v, %s", e.Partition, c, cmp.Or(e.Message, c.Message()))
}
