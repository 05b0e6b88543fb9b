// Package groups puts real Kafka clients into consumer groups and judges what they saw. Every member is a process of its own, so that it can be
// killed and stopped as members are, and all of them, whatever their language, speak one protocol: the first line of their standard input is
// a Config, every further line a Command, and every line of their standard output is an Event. The checks read events only and are written
// once, in check.go. Each member reaches the broker through a tap (tap.go), which writes down what the group APIs said on the wire; those
// transcripts are what is compared between Barnabas and Apache Kafka (transcript.go).
//
// A member uses its client as that client's users do: subscribe, poll, hand on the records, commit them, commit again before partitions
// are given away. It adds no retries and hides nothing. Start reading at Event.
package groups

import "time"

// Config is what a member is started with.
type Config struct {
	Client      string `json:"client"` // which Go client; the programs in other languages know what they are
	Bootstrap   string `json:"bootstrap"`
	Topic       string `json:"topic"`
	Group       string `json:"group"`
	ClientID    string `json:"client_id"`
	Instance    string `json:"instance"` // group.instance.id; "": a dynamic member
	Assignor    string `json:"assignor"` // range, roundrobin, sticky or cooperative
	SessionMs   int    `json:"session_ms"`
	HeartbeatMs int    `json:"heartbeat_ms"`
	PollMaxMs   int    `json:"poll_max_ms"` // max.poll.interval.ms, which most clients also send as the rebalance timeout
	MetadataMs  int    `json:"metadata_ms"` // metadata.max.age.ms
	// The rest is 0 for the client's own default.
	AutoCommitMs int `json:"auto_commit_ms,omitempty"` // commits by itself that often, instead of what it handed on; Java
	InFlight     int `json:"in_flight,omitempty"`      // requests of one connection that may be unanswered; librdkafka, kafka-python
	OverheadMs   int `json:"overhead_ms,omitempty"`    // how long an answer may take; franz-go
}

// The timing all members run with: the shortest session a broker allows by default, and a poll interval that is just longer, since
// librdkafka refuses a shorter one.
const (
	Session   = 6 * time.Second
	Heartbeat = 500 * time.Millisecond
	PollMax   = 7 * time.Second
	Metadata  = time.Second
)

// Command asks a running member for something.
type Command struct {
	Do string `json:"do"`           // one of the commands below
	Ms int    `json:"ms,omitempty"` // CommandSleep, CommandAway and CommandCommit: how long
	// EveryMs is how long CommandCommit waits from one commit to the next.
	EveryMs int `json:"every_ms,omitempty"`
}

// Commands.
const (
	CommandSleep   = "sleep"   // the program takes that long over its next record and does not poll meanwhile
	CommandAway    = "away"    // unsubscribe for that long, then subscribe again; Java only
	CommandCommit  = "commit"  // commit the same offset again and again, each time waiting for the answer; Java, librdkafka, franz-go, kafka-python
	CommandMetrics = "metrics" // tell what the client measured of its group; Java only
	CommandStop    = "stop"    // close the consumer as its documentation says and end
)

// Event is one line a member prints, at the moment it happens.
type Event struct {
	At         int64              `json:"at"` // microseconds since 1970, by the member's own reading of the one clock they share
	Member     string             `json:"-"`
	Kind       string             `json:"event"`
	Partitions []int32            `json:"partitions,omitempty"` // assigned, revoked, lost
	Partition  int32              `json:"partition,omitempty"`  // record
	Offset     int64              `json:"offset,omitempty"`     // record
	Value      string             `json:"value,omitempty"`      // record
	Offsets    map[string]int64   `json:"offsets,omitempty"`    // commit, commit_failed: partition -> the offset after the last record handed on
	Error      string             `json:"error,omitempty"`      // commit_failed, error: in the client's own words
	TookUs     []int64            `json:"took_us,omitempty"`    // commits: of each; closed: of closing the consumer, where the member tells it
	Metrics    map[string]float64 `json:"metrics,omitempty"`    // metrics
}

// Kinds of events. Started and Dead are the harness's own.
const (
	Assigned     = "assigned"
	Revoked      = "revoked"
	Lost         = "lost"
	GotRecord    = "record"
	Commit       = "commit"
	CommitFailed = "commit_failed"
	Trouble      = "error"
	Sleeping     = "sleeping"
	Awake        = "awake"
	Commits      = "commits" // the end of CommandCommit
	Measured     = "metrics"
	Closed       = "closed"

	Dead      = "dead"      // the process ended: what it owned it owns no more
	Suspended = "suspended" // stopped by SIGSTOP
	Resumed   = "resumed"   // SIGCONT
)

// Time of the event.
func (e Event) Time() time.Time { return time.UnixMicro(e.At) }
