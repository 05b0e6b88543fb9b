package coord

import (
	"time"

	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// Note is one decision and its reason: what an operator would want to have been told. Notes of one Step come in the order in which
// things happened. It shares nothing that changes later; what it shares with the shard (protocols, the record of a group) its reader
// must not change.
type Note interface {
	// NoteGroup is the group it is about.
	NoteGroup() string
}

// Member is a member as its notes name it.
type Member struct {
	ID       string
	Instance string // group.instance.id, "" for a dynamic member
	Client   string // client.id
	Host     string
	Software string // name and version the client gave (KIP-511), "" if it gave none
}

// Protocol is one way of assigning that a member can take part in, and what the member says for it. Opaque bytes.
type Protocol struct {
	Name     string
	Metadata []byte
}

// GroupState is the state of a group, in Kafka's word.
type GroupState string

// TriggerKind is why a rebalance began.
type TriggerKind string

// Why a rebalance begins.
const (
	MemberJoined        TriggerKind = "a member joined"
	LeaderRejoined      TriggerKind = "the leader joined again"
	ProtocolsChanged    TriggerKind = "a member changed what it supports or subscribes to"
	MemberLeft          TriggerKind = "a member left"
	SessionExpired      TriggerKind = "a member went silent"
	SyncExpired         TriggerKind = "members did not ask for their assignment"
	StaticReplaced      TriggerKind = "a static member came back"
	AssignmentTooLarge  TriggerKind = "the assignment does not fit a record"
	LoadedGroupTooLarge TriggerKind = "the loaded group is larger than group.max.size"
)

// RebalanceStarted opens a rebalance: the group entered PreparingRebalance.
type RebalanceStarted struct {
	Group      string
	From       GroupState
	Generation int32 // the one that goes on until the join phase ends
	Trigger    TriggerKind
	Member     Member // who caused it; zero for nobody in particular
	Reason     string // what that member's client said (KIP-800), "" if nothing
	Awaited    []Member
	// Deadline is when the join phase ends at the latest, unless new members extend an initial one.
	Deadline vtime.Instant
	// Initial is a group's first members gathering: the phase ends at the deadline, not when everybody is there.
	Initial bool
}

// JoinExtended: members came during the initial delay, which starts over within the limit of the rebalance timeout.
type JoinExtended struct {
	Group    string
	Members  int
	Deadline vtime.Instant
}

// MemberIDGiven is the first half of a join (KIP-394): the client has an id now and shall come back with it.
type MemberIDGiven struct {
	Group    string
	Member   Member
	Deadline vtime.Instant
}

// MemberIDExpired: the client never came back with the id it was given.
type MemberIDExpired struct {
	Group  string
	Member string
}

// MemberArrived is a member whose JoinGroup waits for the join phase to end.
type MemberArrived struct {
	Group    string
	Member   Member
	New      bool   // it was not a member before
	Reason   string // as the client said it (KIP-800)
	Repeated bool   // it waited already; the older request was answered REBALANCE_IN_PROGRESS
	// Arrived and Members count who waits and who there is; Pending counts ids given out that hold the phase open.
	Arrived, Members, Pending int
	// What it joined with.
	ProtocolType                     string
	Protocols                        []Protocol
	SessionTimeout, RebalanceTimeout time.Duration
}

// RemovalCause is why a member is no longer one.
type RemovalCause string

// Why a member is removed.
const (
	Left          RemovalCause = "left"
	RemovedByID   RemovalCause = "removed by its instance id"
	SilentSession RemovalCause = "silent for its session timeout"
	NeverAnswered RemovalCause = "its first join waited as long as one may"
	DidNotRejoin  RemovalCause = "did not rejoin in time"
	DidNotSync    RemovalCause = "did not ask for its assignment in time"
	GroupFull     RemovalCause = "the group is full"
)

// MemberRemoved: a member is gone. Removing it is what triggers a rebalance, or one is under way.
type MemberRemoved struct {
	Group  string
	Member Member
	Cause  RemovalCause
	Reason string        // as the client said it (KIP-800), "" if nothing
	Silent time.Duration // since its last request
	Leader bool          // it was the leader
	// By is who asked for it, with client id, host and software, when that was a request; zero when it was not, or is not known.
	By Member
}

// LeaderElected: the group has another leader.
type LeaderElected struct {
	Group    string
	Leader   Member
	Previous string // the leader that did not rejoin in time but keeps its seat; "" if it is gone
}

// JoinWaitsForStatic: nobody rejoined in time, but static members keep their seats, so the phase goes on.
type JoinWaitsForStatic struct {
	Group    string
	Awaited  []Member
	Deadline vtime.Instant
}

// JoinCompleted ends the join phase: a new generation.
type JoinCompleted struct {
	Group      string
	Generation int32
	Protocol   string
	Leader     Member
	Members    int
	Took       time.Duration
	Last       Member // who arrived last
	// SyncDeadline is when members that have not asked for their assignment are removed.
	SyncDeadline vtime.Instant
}

// GroupEmptied ends the join phase without members.
type GroupEmptied struct {
	Group      string
	Generation int32
	Took       time.Duration
}

// MemberTold: a member hears for the first time that a rebalance is under way, in the answer to one of its requests.
type MemberTold struct {
	Group  string
	Member Member
	API    string
	After  time.Duration // since the rebalance began
	Held   bool          // the answer had been held back for it
}

// SyncArrived is a member that asks for its assignment, the first time in a generation.
type SyncArrived struct {
	Group   string
	Member  Member
	Leader  bool // it brought the assignment
	Waits   bool // for the leader; false: the group is Stable, and it has its assignment at once
	Awaited int  // members that have not asked yet
}

// Stabilized: the leader's assignment is there, and everybody who asked has it. The rebalance is over.
type Stabilized struct {
	Group      string
	Generation int32
	Leader     Member
	Members    int
	Took       time.Duration // of the sync phase
	Unassigned []string      // members the leader left out; they were given nothing
	Awaited    []Member      // members that have not asked yet
	// Record is the group as it was written down: who is subscribed to what and was given what.
	Record *record.GroupMetadataValue
}

// StaticMemberReplaced: a static member came back under a new id. Without a rebalance (Rebalance false) it has what it had.
type StaticMemberReplaced struct {
	Group     string
	Member    Member // with its new id
	OldID     string
	Away      time.Duration // since the last request under the old id
	Rebalance bool
}

// RequestRefused is a request that was answered with an error the client will act on.
type RequestRefused struct {
	Group  string
	API    string
	Member string
	// Instance is the group.instance.id the request named.
	Instance string
	Code     kafka.ErrorCode
	Why      string
	// Client, Host and Software are who sent it and Protocols what it can do, of a JoinGroup.
	Client, Host, Software string
	Protocols              []Protocol
}

// GroupCreated: the first record of a group.
type GroupCreated struct {
	Group string
}

// DeletionCause is why a group or offsets were deleted.
type DeletionCause string

// Why things are deleted.
const (
	ByRequest       DeletionCause = "an administrator asked for it"
	NothingLeft     DeletionCause = "it has neither members nor offsets"
	RetentionPassed DeletionCause = "offsets.retention.minutes passed"
	ExpiryPassed    DeletionCause = "the commit named this expiry"
	TopicGone       DeletionCause = "the topic was deleted"
)

// GroupDeleted: the group is gone.
type GroupDeleted struct {
	Group string
	Cause DeletionCause
}

// OffsetsDeleted: committed offsets are gone.
type OffsetsDeleted struct {
	Group      string
	Cause      DeletionCause
	Partitions []kafka.TopicPartition
	// Since is what retention was counted from when it passed: the group became empty, or the oldest of the offsets was committed.
	Since vtime.Instant
	// SinceEmpty says which of the two it was.
	SinceEmpty bool
}

// GroupRestored: a group with members was read back from the log after its coordinator moved or restarted.
type GroupRestored struct {
	Group      string
	State      GroupState
	Generation int32
	Members    int
	// Record is what was read.
	Record *record.GroupMetadataValue
}

// NoteGroup is the group it is about.
func (n RebalanceStarted) NoteGroup() string     { return n.Group }
func (n JoinExtended) NoteGroup() string         { return n.Group }
func (n MemberIDGiven) NoteGroup() string        { return n.Group }
func (n MemberIDExpired) NoteGroup() string      { return n.Group }
func (n MemberArrived) NoteGroup() string        { return n.Group }
func (n MemberRemoved) NoteGroup() string        { return n.Group }
func (n LeaderElected) NoteGroup() string        { return n.Group }
func (n JoinWaitsForStatic) NoteGroup() string   { return n.Group }
func (n JoinCompleted) NoteGroup() string        { return n.Group }
func (n GroupEmptied) NoteGroup() string         { return n.Group }
func (n MemberTold) NoteGroup() string           { return n.Group }
func (n SyncArrived) NoteGroup() string          { return n.Group }
func (n Stabilized) NoteGroup() string           { return n.Group }
func (n StaticMemberReplaced) NoteGroup() string { return n.Group }
func (n RequestRefused) NoteGroup() string       { return n.Group }
func (n GroupCreated) NoteGroup() string         { return n.Group }
func (n GroupDeleted) NoteGroup() string         { return n.Group }
func (n OffsetsDeleted) NoteGroup() string       { return n.Group }
func (n GroupRestored) NoteGroup() string        { return n.Group }
