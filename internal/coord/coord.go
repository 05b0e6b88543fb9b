// Package coord is the contract of a coordinator: what goes into one (events), what comes out (effects), and what it promises.
//
// Core: no clock, goroutine, lock, log, random or I/O. A coordinator looks after one partition of an internal topic and is written as a
// Shard: a plain function of its state, one event, and the time it is handed. Whoever drives a shard (the broker, the simulator, the
// replay of a saved trace) hands it events one at a time, appends the records it asks for, applies them, sends the replies once the
// records are committed, keeps its timers, and passes its notes on. So all of these run the same decisions.
//
// State comes in two kinds. Hard state is what the topic's records say, and changes in Apply only: reading the partition from its start
// gives it back. Soft state is everything that may be lost with the broker: timers, requests that wait, a rebalance under way. It
// changes in Step, and Restore makes it anew after the records have been read.
//
// A driver of a shard keeps to this:
//
//   - It replays the partition through Apply, then calls Restore, then Step with one event at a time; time does not go back.
//   - After each Step it applies Effects.Records at the offsets they will get, queues them for the log, does Effects.Timers in order, and
//     parks Effects.Replies until everything queued so far is committed.
//   - When an append fails, or the partition's leader is elsewhere, it drops the shard with all its timers and parked replies, and answers
//     every ReplyID that went in and did not come out with NOT_COORDINATOR. It keeps that list itself: a dropped shard is not asked.
//   - It never delivers a firing of a timer that was cancelled or moved since.
//
// Start reading at Shard, then Effects. What a group does with them is in coord/group.
package coord

import (
	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// Shard is one partition of an internal topic, and everything it remembers. It is not safe for concurrent use, and need not be.
type Shard interface {
	// Step answers one event. It may change soft state, never hard state: the caller applies Effects.Records, in their order, before
	// the next Step. Given the same state, time and event it does the same, to the byte. Time may stand still but not go back.
	Step(now vtime.Instant, ev Event) Effects
	// Apply folds one record into hard state: live right after the Step that asked for it, at the offset it will get (the driver is the
	// only writer of the partition), and in replay. A record of a kind the shard does not know is passed over.
	Apply(offset int64, r record.Record)
	// Restore rebuilds soft state after the last replayed record; every session gets one full timeout. It is called once, before the
	// first Step.
	Restore(now vtime.Instant) Effects
}

// Event is something that happened: a request, a timer that fired, a change of metadata. Everything a decision may depend on is in it,
// fresh ids and decoded metadata included. The concrete types are in the package of the shard that takes them, and here if all do.
// A shard keeps what an event brings, bytes too: they must not be used again. It panics on an event it does not take, since sending
// it was a fault of the program.
type Event interface {
	// EventName is the name under which a trace keeps the event, such as "JoinGroup".
	EventName() string
	// EventGroup is the group that the event is about; "" for one about all, or about several.
	EventGroup() string
}

// Effects is what a Step wants done. The zero value is "nothing".
type Effects struct {
	// Records are appended in this order, as one atomic batch, before any of the Replies leaves. If that fails, the shard's memory is
	// ahead of the log: drop it, answer whoever waits with NOT_COORDINATOR, and read the partition again. Nothing is undone.
	Records []record.Record
	// Replies are sent after the Records are committed; without Records, after all earlier ones are. So no answer, not even to a
	// read, tells of something that a crash could still take back.
	Replies []Reply
	// Timers are armed and cancelled in this order.
	Timers []TimerOp
	// Notes say why. They feed the journal, the log and the metrics, and are never read back.
	Notes []Note
}

// ReplyID names one request that waits for its answer; 0 is none. The driver gives them out, never the same twice in the life of a shard; every
// id that goes in with an event comes out in exactly one Reply, in the same Step or in a later one, unless the shard is dropped.
type ReplyID uint64

// Reply is the answer to a request.
type Reply struct {
	To ReplyID
	// Body is the answer, of the type that belongs to the request: a JoinReply to a JoinRequest.
	Body any
}

// Refused is the Body of an answer that comes from around a shard, not from it: NOT_COORDINATOR when the shard is elsewhere or was dropped,
// COORDINATOR_LOAD_IN_PROGRESS while its partition is being read. Any request may be answered with it.
type Refused struct {
	Code kafka.ErrorCode
}

// TimerKey names a timer. A shard has at most one timer of a key at any time.
type TimerKey struct {
	Kind   TimerKind
	Group  string // "" for a timer of the whole shard
	Member string // "" for a timer of a whole group
}

// TimerKind is what a timer is for; its value is the word that people read.
type TimerKind string

// TimerOp arms or cancels a timer. Arming one that is armed moves it. Cancelling one that is not armed does nothing, and a firing that
// is queued but not delivered when its timer is cancelled or moved must not be delivered.
type TimerOp struct {
	Key    TimerKey
	Cancel bool
	At     vtime.Instant // when to fire, if not Cancel; a moment that has passed means now
}

// TimerFired is the event of a timer; it is no longer armed.
type TimerFired struct {
	Key TimerKey
}

// EventName is "TimerFired".
func (TimerFired) EventName() string { return "TimerFired" }

// EventGroup is the group of the timer.
func (t TimerFired) EventGroup() string { return t.Key.Group }

// TopicDeleted is the event of a topic that left the metadata. A topic made anew under the same name comes with an id of its own, and
// must not inherit what was said of the old one.
type TopicDeleted struct {
	Topic string
	ID    kafka.TopicID
}

// EventName is "TopicDeleted".
func (TopicDeleted) EventName() string { return "TopicDeleted" }

// EventGroup is empty: any group may have offsets of the topic.
func (TopicDeleted) EventGroup() string { return "" }
