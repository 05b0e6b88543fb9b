package journal

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// Schema is the version of Incident's JSON. A reader takes what has this number, or a lower one; fields are added without raising it, so
// a reader passes over what it does not know. It is raised when a field changes its meaning.
const Schema = 1

// Incident is what is known of one rebalance of one group: from what set it off to the moment when everybody has an assignment. It is the
// JSON of the records of __barnabas_rebalances, and what everything that explains works on.
//
// Triggers that arrive while members are still joining belong to the same incident, and so does the second round of a cooperative rebalance.
// The same incident is written several times with a rising Rev: when it opens, when a phase ends, when it closes, and when a sequel changes
// the verdict. The highest Rev says all that the lower ones said.
//
// A pointer that is nil, and a list that is empty, means "not known" or "none" as its comment says; zero is never a stand-in for "not known".
type Incident struct {
	// Schema is the version of this form: Schema.
	Schema int `json:"schema"`
	// ID names the incident within its group, such as "20260101T000012.200-g7": when it began (UTC) and the generation before it.
	ID string `json:"incident"`
	// Rev counts the versions of this incident, from 1. The highest counts.
	Rev   int    `json:"rev"`
	Stage Stage  `json:"stage"`
	Kind  Kind   `json:"kind"`
	Group string `json:"group"`
	// Source is where the facts come from.
	Source Source `json:"source"`

	// Began is when the first trigger arrived, in the clock of Source. Ended is nil while it goes on.
	Began Time  `json:"began"`
	Ended *Time `json:"ended,omitempty"`
	// Took is Ended less Began, without the time between two cooperative rounds in which the group was Stable; nil while it goes on.
	Took *Millis `json:"took_ms,omitempty"`
	// StateBefore is the group's state when it began: Kafka's word. "" if not known.
	StateBefore string `json:"state_before,omitempty"`
	// StateAfter is Stable or Empty when it has ended, "" before; "lost" when the coordinator went away in the middle.
	StateAfter string `json:"state_after,omitempty"`
	// GenerationBefore and GenerationAfter are the group's generations, -1 if not known (yet).
	GenerationBefore int32 `json:"generation_before"`
	GenerationAfter  int32 `json:"generation_after"`
	// Rounds is how many join phases ended in it: 0 until the first does, 2 for an ordinary cooperative rebalance that moved something.
	Rounds int `json:"rounds"`
	// Repeats is how often it happened again within the same minutes without being worth an incident of its own: a client that is turned away and
	// tries again at once. 0 for most.
	Repeats int `json:"repeats,omitempty"`

	// ProtocolType is "consumer" for consumers, "connect" and so on; "" if not known. Protocol is the chosen assignor, ProtocolBefore the one of
	// the generation before.
	ProtocolType   string `json:"protocol_type,omitempty"`
	Protocol       string `json:"protocol,omitempty"`
	ProtocolBefore string `json:"protocol_before,omitempty"`
	// Cooperative says that members keep what they have while they rejoin; false: all partitions stall (eager), or not known.
	Cooperative bool `json:"cooperative,omitempty"`

	Verdict
	// Trigger is what set it off. Its Cause is Verdict.Cause unless a later trigger explains more.
	Trigger Trigger `json:"trigger"`
	// Chain is what else happened while it was under way, in order: further triggers, departures, refused requests.
	Chain []Trigger `json:"chain,omitempty"`

	// Phases are in order of their start; those of one round do not overlap and leave no gap.
	Phases []Phase `json:"phases,omitempty"`
	// Notices is how the members that had to rejoin learned that they had to: one entry for each round in which somebody did. Empty: nobody had to, or
	// Source does not tell.
	Notices []Notice `json:"notices,omitempty"`
	Leader  *Who     `json:"leader,omitempty"`

	// MembersBefore and MembersAfter count members; -1 if not known (yet).
	MembersBefore int `json:"members_before"`
	MembersAfter  int `json:"members_after"`
	// Members is everybody who was there before, after, or on the way, in the order in which they came to the group. Above the limits of a record
	// it is cut, see Cut.
	Members []Member `json:"members,omitempty"`

	// Moves sums up what became of the partitions; nil if the assignments are not known (another protocol type, say).
	Moves *Moves `json:"moves,omitempty"`
	// Partitions are those that changed their owner or stalled, sorted by topic and number. Cut as Members is.
	Partitions []Partition `json:"partitions,omitempty"`
	// Cost is what it cost; nil until it has ended.
	Cost *Cost `json:"cost,omitempty"`

	Advice []Advice `json:"advice,omitempty"`
	// Related are other incidents of the group that belong to the same story: the departure that this return completes.
	Related []string `json:"related,omitempty"`
	// Cut says what was left out to keep the record within its limit; nil for nothing.
	Cut *Cut `json:"cut,omitempty"`
	// JournalLost says what the journal of this group had lost when this was written; nil for nothing.
	JournalLost *JournalLost `json:"journal_lost,omitempty"`
}

// Verdict is which cause it was and what carries that.
type Verdict struct {
	// Cause is C01 to C23, or "" for not known.
	Cause Cause `json:"cause"`
	// Sub divides C06: "crash" (connection closed, did not come back), "pause" (came back with its old id), "fetching" (heartbeats stopped, fetches
	// did not), "together" (several members of a host at once), "everybody" (all at once). "" for none or not known.
	Sub string `json:"sub,omitempty"`
	// Title is Cause's title, so that a reader of the record needs no table.
	Title      string     `json:"title"`
	Confidence Confidence `json:"confidence"`
	// Or is the other cause that fits as well, if two do.
	Or Cause `json:"or,omitempty"`
	// Provisional says that a sequel may still change the verdict; Awaits says which, and AwaitedUntil until when.
	Provisional  bool   `json:"provisional,omitempty"`
	Awaits       string `json:"awaits,omitempty"`
	AwaitedUntil *Time  `json:"awaited_until,omitempty"`
	// Evidence is the facts, those that carry the verdict first.
	Evidence []Fact `json:"evidence,omitempty"`
	// Missing is what would settle it, or raise the confidence: measurements that only the application's side has. Not "none" but "not asked" when empty.
	Missing []string `json:"missing,omitempty"`
}

// Stage is how far the record of an incident is.
type Stage string

// The stages, in order. Phase, Closed and Amended may come more than once: a second cooperative round reopens what was closed.
const (
	Opened     Stage = "opened"  // a rebalance began
	PhaseEnded Stage = "phase"   // the join phase ended, or another trigger arrived
	Closed     Stage = "closed"  // the group is Stable, Empty or gone
	Amended    Stage = "amended" // closed before; a sequel changed or confirmed the verdict
)

// Over reports whether the rebalance has ended.
func (s Stage) Over() bool { return s == Closed || s == Amended }

// Kind is what sort of incident it is.
type Kind string

// Kinds of incidents.
const (
	Rebalance Kind = "rebalance" // the group rebalanced
	Absorbed  Kind = "absorbed"  // something happened that often costs a rebalance, and did not: a static member came back, the coordinator moved
	Refused   Kind = "refused"   // a client was turned away and the group did not notice
	Happening Kind = "happening" // something else that explains what the group's consumers do next: its offsets expired, it was deleted
)

// Source is where the facts of an incident come from.
type Source string

// Sources of incidents.
const (
	FromJournal   Source = "journal"   // the notes of a Barnabas coordinator
	FromOffsets   Source = "offsets"   // the records of __consumer_offsets of any Kafka
	FromDescribe  Source = "describe"  // a group that was asked again and again
	FromClientLog Source = "clientlog" // the clients' own logs
	FromBrokerLog Source = "brokerlog" // the log of an Apache Kafka broker
	FromSimulator Source = "simulator" // the same coordinator in virtual time
)

// Confidence is how sure a verdict or a fact is.
type Confidence string

// Degrees of confidence, the surest first.
const (
	Measured       Confidence = "measured"        // the broker's own timer or an explicit reason says so
	Inferred       Confidence = "inferred"        // nobody said so, but of the rules only one fits the facts
	ConsistentWith Confidence = "consistent-with" // the facts fit, and would fit something else too
	NotKnown       Confidence = "unknown"         // the facts do not tell
)

// Who is a member as a person would look for it.
type Who struct {
	ID       string `json:"id,omitempty"`
	Client   string `json:"client,omitempty"`   // client.id
	Host     string `json:"host,omitempty"`     // as Kafka writes it: "/10.0.0.1"
	Instance string `json:"instance,omitempty"` // group.instance.id; "" for a dynamic member
	Software string `json:"software,omitempty"` // name and version (KIP-511), such as "apache-kafka-java 4.3.1"
}

// Name is the shortest name that means something to an operator: the instance id, else the client id and host, else the member id.
func (w Who) Name() string {
	switch {
	case w.Instance != "":
		return w.Instance
	case w.Client != "" && w.Host != "":
		return w.Client + " at " + hostText(w.Host)
	case w.Client != "":
		return w.Client
	}
	return w.ID
}

func hostText(h string) string {
	if len(h) > 1 && h[0] == '/' {
		return h[1:]
	}
	return h
}

// Trigger is one thing that set a rebalance off, prolonged it, or happened during it.
type Trigger struct {
	At   Time        `json:"at"`
	Kind TriggerKind `json:"kind"`
	// Cause is what it is by itself; "" if that cannot be told.
	Cause Cause `json:"cause,omitempty"`
	// Member is who did it, nil for nobody in particular.
	Member *Who `json:"member,omitempty"`
	// Claimed is the reason its client gave (KIP-800), "" if it gave none. It is a claim: what was measured is beside it.
	Claimed string `json:"claimed,omitempty"`
	// Measured is what the broker measured, in words: "last heard of 45s ago". "" for nothing.
	Measured string `json:"measured,omitempty"`
}

// TriggerKind is what happened, as the coordinator saw it. What it means is for the classification to say.
type TriggerKind string

// Kinds of triggers.
const (
	MemberJoined   TriggerKind = "member_joined"      // by a client the group did not know
	MemberLeft     TriggerKind = "member_left"        // LeaveGroup, by the member itself as far as can be told
	MemberRemoved  TriggerKind = "member_removed"     // LeaveGroup, by somebody else
	SessionExpired TriggerKind = "session_expired"    // no request for the session timeout
	JoinExpired    TriggerKind = "join_expired"       // the join phase was over and the member had not come
	SyncExpired    TriggerKind = "sync_expired"       // the assignment was not asked for in time
	LeaderRejoined TriggerKind = "leader_rejoined"    // with what it had said before
	MemberChanged  TriggerKind = "member_changed"     // a known member joined with something else than before
	StaticReturn   TriggerKind = "static_returned"    // a client came under a group.instance.id that has a seat
	Loaded         TriggerKind = "coordinator_loaded" // the coordinator read the group from its log
	LimitReached   TriggerKind = "limit_reached"      // group.max.size, or the size of a record
	RequestRefused TriggerKind = "request_refused"
	OffsetsExpired TriggerKind = "offsets_expired"
	GroupDeleted   TriggerKind = "group_deleted"
	StateSeen      TriggerKind = "state_seen" // somebody who only looks now and then saw another state or generation; what happened was not seen
)

// Fact is one piece of evidence.
type Fact struct {
	// ID names the kind of fact, for programs: see the constants in facts.go.
	ID FactID `json:"id"`
	// Text is the fact as a sentence without full stop.
	Text string `json:"text"`
	// Basis is Measured or Inferred; a client's claim is measured to have been made.
	Basis Confidence `json:"basis"`
	// Value is the number in it, in Unit ("ms", "records", "members", "partitions", "percent"); nil for a fact without a number.
	Value *float64 `json:"value,omitempty"`
	Unit  string   `json:"unit,omitempty"`
	// Cause is the cause of another incident that the fact refers to, "" for none.
	Cause Cause `json:"cause,omitempty"`
	// Member is whom it is about: a member id, "" for the group.
	Member string `json:"member,omitempty"`
	At     *Time  `json:"at,omitempty"`
}

// PhaseName is a part of a rebalance.
type PhaseName string

// The phases of a classic round, in order. A round has those that took place; together they cover it.
const (
	Gathering PhaseName = "gathering" // of an empty group: members may come, the initial delay runs
	Noticing  PhaseName = "noticing"  // until the last member has learned of it, usually from a heartbeat
	Drain     PhaseName = "drain"     // until the last member has rejoined: it finishes its batch, revokes, commits
	Assign    PhaseName = "assign"    // until the leader has handed in the assignment
	Sync      PhaseName = "sync"      // until the last member has asked for its part; the group is Stable already
)

// Phase is one phase of one round.
type Phase struct {
	Name  PhaseName `json:"phase"`
	Round int       `json:"round"` // from 1
	Start Time      `json:"start"`
	// End and Took are nil while it goes on.
	End  *Time   `json:"end,omitempty"`
	Took *Millis `json:"took_ms,omitempty"`
	// Last is who was waited for longest: the last to learn of it, to rejoin, to ask; in Assign the leader. nil if there was nobody.
	Last *Who `json:"last,omitempty"`
	// Expired says that it ended because its time was over, and not because everybody was there.
	Expired bool `json:"expired,omitempty"`
}

// Notice is how members learned of one round.
type Notice struct {
	Round int `json:"round"` // from 1
	// Members counts those who had to learn of it and did; AtOnce those of them to whom the answer to a heartbeat said it that had been held back for
	// this (prompt notice). The others heard with their next heartbeat, or came by themselves.
	Members int `json:"members"`
	AtOnce  int `json:"at_once"`
	// OthersMax is the time from the beginning of the round until the last of the others knew; nil if there were none.
	OthersMax *Millis `json:"others_max_ms,omitempty"`
}

// Change is what became of a member.
type Change string

// What becomes of members.
const (
	Stayed   Change = "stayed"
	Joined   Change = "joined"
	Gone     Change = "gone"
	Replaced Change = "replaced" // a static member under a new id
	Passed   Change = "passed"   // joined and was gone again before it ended
)

// Member is one member in an incident.
type Member struct {
	Who
	Change Change `json:"change"`
	// Was is the id it had before, when Replaced.
	Was string `json:"was,omitempty"`
	// Leader says that it assigned.
	Leader bool `json:"leader,omitempty"`
	// SessionTimeout and RebalanceTimeout are what it joined with; nil if not known.
	SessionTimeout   *Millis `json:"session_timeout_ms,omitempty"`
	RebalanceTimeout *Millis `json:"rebalance_timeout_ms,omitempty"`
	// Told is when it learned of the rebalance, Arrived when it joined (again), Synced when it had its assignment: of the last round, nil for not
	// at all or not known.
	Told    *Time `json:"told,omitempty"`
	Arrived *Time `json:"arrived,omitempty"`
	Synced  *Time `json:"synced,omitempty"`
	// AtOnce says that it learned of it from the answer to a heartbeat that had been held back for this.
	AtOnce bool `json:"at_once,omitempty"`
	// Reason is what its client said when it joined or left, "" for nothing.
	Reason string `json:"reason,omitempty"`
	// Topics is what it subscribes to, nil if not known.
	Topics []string `json:"topics,omitempty"`
	// Assignors are the protocols it supports, in its order; nil if not known.
	Assignors []string `json:"assignors,omitempty"`
	// Had and Has count its partitions before and after; nil if not known.
	Had *int `json:"had,omitempty"`
	Has *int `json:"has,omitempty"`
	// Kept, Gained and Lost are its partitions: what it had and has, what is new, what it had and has no more. Cut as Incident.Members is; the
	// counts are in Had and Has.
	Kept   []TopicPartitions `json:"kept,omitempty"`
	Gained []TopicPartitions `json:"gained,omitempty"`
	Lost   []TopicPartitions `json:"lost,omitempty"`
}

// TopicPartitions is some partitions of one topic, ascending.
type TopicPartitions struct {
	Topic      string  `json:"topic"`
	Partitions []int32 `json:"partitions"`
}

// Moves sums up what became of the partitions.
type Moves struct {
	// Before and After count the partitions that somebody owned.
	Before int `json:"before"`
	After  int `json:"after"`
	// Kept have the same owner as before (a static member under its new id is the same owner). Moved had an owner and have another; Gained had
	// none; Lost have none now.
	Kept   int `json:"kept"`
	Moved  int `json:"moved"`
	Gained int `json:"gained"`
	Lost   int `json:"lost"`
	// Minimum is the least number of partitions with a previous owner that any fair assignment would have had to move: nil if it cannot be told,
	// since the subscriptions are not known.
	Minimum *int `json:"minimum,omitempty"`
	// Idle counts members without a partition afterwards.
	Idle int `json:"idle"`
	// Paused counts the partitions that nobody could read for a while: all of them in an eager rebalance, those that moved in a cooperative one.
	Paused int `json:"paused"`
}

// Partition is one partition in an incident.
type Partition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	// From and To are member ids, "" for nobody. They are equal for a partition that stalled and stayed.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// Stall is from the last fetch of the old owner to the first fetch of the new one. StallBasis is Measured when fetches were seen, Inferred
	// when it is the time in which nobody was entitled to read it. nil: not known (yet).
	Stall      *Millis    `json:"stall_ms,omitempty"`
	StallBasis Confidence `json:"stall_basis,omitempty"`
	// Delivered is the offset behind the last record that the old owner was sent, Committed what the group had committed when the partition was taken
	// away, Uncommitted their difference: what may be read twice. nil: not known.
	Delivered   *int64 `json:"delivered,omitempty"`
	Committed   *int64 `json:"committed,omitempty"`
	Uncommitted *int64 `json:"uncommitted,omitempty"`
	// LagBefore and LagAfter are log end less committed offset when it began and when it ended; nil: not known.
	LagBefore *int64 `json:"lag_before,omitempty"`
	LagAfter  *int64 `json:"lag_after,omitempty"`
}

// Cost sums up what the incident cost. nil: not known.
type Cost struct {
	// StallMax is the longest stall of a partition, StallSum that of all together (partition-seconds, in milliseconds); Stalled counts those with
	// a known stall. StallBasis is the least sure of them.
	StallMax   *Millis    `json:"stall_max_ms,omitempty"`
	StallSum   *Millis    `json:"stall_sum_ms,omitempty"`
	Stalled    int        `json:"stalled"`
	StallBasis Confidence `json:"stall_basis,omitempty"`
	// Uncommitted is the sum over the partitions that were taken away, for good or for the time of the rebalance: records that may be read twice,
	// at most, since a client may have fetched records that it had not handed to the application.
	Uncommitted      *int64     `json:"uncommitted,omitempty"`
	UncommittedBasis Confidence `json:"uncommitted_basis,omitempty"`
	// LagBefore and LagAfter are sums over the partitions with a committed offset.
	LagBefore *int64 `json:"lag_before,omitempty"`
	LagAfter  *int64 `json:"lag_after,omitempty"`
}

// Advice is one thing to change.
type Advice struct {
	// Text is the advice as one sentence.
	Text string `json:"text"`
	// Setting is the property it is about, "" for none; Value what to set, "" when a number that is needed was not given (then Needs says which).
	Setting string `json:"setting,omitempty"`
	Value   string `json:"value,omitempty"`
	// Arithmetic is how Value follows from what was measured: "300,000 / 1,500 = 200". "" without numbers.
	Arithmetic string `json:"arithmetic,omitempty"`
	// Needs are the numbers that would turn it into a value: "time per record".
	Needs []string `json:"needs,omitempty"`
}

// Cut says what was left out of a record that would have been too large. The counts are of the whole.
type Cut struct {
	Members    int `json:"members,omitempty"`    // members there were, if the list is shorter
	Partitions int `json:"partitions,omitempty"` // partitions there were, if the list is shorter
	Lists      int `json:"lists,omitempty"`      // members whose lists of partitions were left out
	Chain      int `json:"chain,omitempty"`      // entries of the chain there were, if it is shorter
}

// JournalLost counts what is missing in the journal of a group: it could not be written, while the rebalances went on. It counts from when the
// broker was started, so that of several incidents with the same Since the largest counts.
type JournalLost struct {
	Since Time `json:"since"`
	// Records are revisions of incidents that the log refused. A later revision of the same incident says all that a lost one said.
	Records int64 `json:"records,omitempty"`
	// Notes are the coordinator's notes for which there was no room: what they told is in no incident.
	Notes int64 `json:"notes,omitempty"`
}

// Time is a moment; in JSON RFC 3339 in UTC, "2026-01-01T00:00:12.200Z".
type Time vtime.Instant

// Instant is the moment as the cores count it.
func (t Time) Instant() vtime.Instant { return vtime.Instant(t) }

// String is the moment as in JSON: with milliseconds, and with microseconds where there are any. Incidents know nothing finer.
func (t Time) String() string {
	layout := "2006-01-02T15:04:05.000Z"
	if int64(t)%int64(time.Millisecond) != 0 {
		layout = "2006-01-02T15:04:05.000000Z"
	}
	return vtime.Instant(t).Time().Format(layout)
}

// MarshalText is String.
func (t Time) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads RFC 3339.
func (t *Time) UnmarshalText(b []byte) error {
	at, err := time.Parse(time.RFC3339Nano, string(b))
	if err != nil {
		return fmt.Errorf("a moment in an incident: %w", err)
	}
	if y := at.Year(); y < 1678 || y > 2261 {
		return fmt.Errorf("a moment in an incident: %s is out of range", b)
	}
	*t = Time(at.UnixNano())
	return nil
}

// Millis is a length of time; in JSON a number of milliseconds with at most three digits behind the point.
type Millis time.Duration

// D is the length as Go counts it.
func (m Millis) D() time.Duration { return time.Duration(m) }

// String is the length for people.
func (m Millis) String() string { return Span(time.Duration(m)) }

// MarshalJSON writes 3200, or 0.25 for a quarter of a millisecond.
func (m Millis) MarshalJSON() ([]byte, error) {
	micros := time.Duration(m).Microseconds()
	return strconv.AppendFloat(nil, float64(micros)/1000, 'f', -1, 64), nil
}

// UnmarshalJSON reads a number of milliseconds.
func (m *Millis) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil || f < -9e12 || f > 9e12 {
		return fmt.Errorf("%q is no number of milliseconds", b)
	}
	*m = Millis(f * float64(time.Millisecond))
	return nil
}

// Span is a length of time as we print it: no more digits than a person reads.
func Span(d time.Duration) string {
	switch {
	case d >= time.Minute:
		s := d.Round(time.Second).String()
		if cut, ok := strings.CutSuffix(s, "m0s"); ok {
			s = cut + "m"
		}
		if cut, ok := strings.CutSuffix(s, "h0m"); ok {
			s = cut + "h"
		}
		return s
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Microsecond).String()
}

// Finding is what a detector found in a history.
type Finding struct {
	Detector Detector `json:"detector"`
	Title    string   `json:"title"`
	Group    string   `json:"group"`
	From     Time     `json:"from"`
	To       Time     `json:"to"`
	// Text is what was found, as a sentence.
	Text string `json:"text"`
	// Member is whom it is about, nil for nobody in particular.
	Member    *Who     `json:"member,omitempty"`
	Evidence  []Fact   `json:"evidence,omitempty"`
	Advice    []Advice `json:"advice,omitempty"`
	Incidents []string `json:"incidents,omitempty"` // ids
}
