package clientlog

import (
	"slices"
	"strconv"
	"strings"

	"github.com/barnabas-mq/barnabas/internal/journal"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// Client is whose log a line is from.
type Client string

// The clients whose lines are understood.
const (
	Java       Client = "java"
	Librdkafka Client = "librdkafka"
	FranzGo    Client = "franz-go"
	Sarama     Client = "sarama"
)

// String is the client's name for people.
func (c Client) String() string {
	switch c {
	case Java:
		return "the Java client"
	case "":
		return "a client"
	}
	return string(c)
}

// pollLimit reports whether the client leaves the group when its application does not poll in time.
func (c Client) pollLimit() bool { return c == Java || c == Librdkafka }

// Kind is what a line says.
type Kind string

// What lines say.
const (
	Starting         Kind = "starting"          // the client begins to take part in its group
	Joining          Kind = "joining"           // it sends JoinGroup
	Joined           Kind = "joined"            // JoinGroup was answered with a generation
	Synced           Kind = "synced"            // it has its assignment
	Assigned         Kind = "assigned"          // the partitions of an assignment
	Revoked          Kind = "revoked"           // partitions given back
	Lost             Kind = "lost"              // partitions lost without having been asked for them
	Told             Kind = "told"              // it learns that somebody else set off a rebalance
	Rejoining        Kind = "rejoining"         // it wants to join again, for Reason
	PollExpired      Kind = "poll-expired"      // the application did not poll within max.poll.interval.ms
	PolledAgain      Kind = "polled-again"      // it polls again, Over late
	Leaving          Kind = "leaving"           // it sends LeaveGroup, for Reason
	Unsubscribed     Kind = "unsubscribed"      // the application unsubscribed
	HeartbeatRefused Kind = "heartbeat-refused" // a heartbeat was answered with Code
	Silent           Kind = "silent"            // no heartbeat was answered for Over
	CommitRefused    Kind = "commit-refused"    // a commit was answered with Code, or not even sent
	JoinRefused      Kind = "join-refused"      // JoinGroup or SyncGroup was answered with Code
	InstanceFenced   Kind = "instance-fenced"   // another client took its group.instance.id
	CoordinatorLost  Kind = "coordinator-lost"  // the coordinator cannot be reached, or is not one any more
	CoordinatorFound Kind = "coordinator-found" // it has a coordinator (again)
	PartitionsGrew   Kind = "partitions-grew"   // the client saw another number of partitions
	CallbackFailed   Kind = "callback-failed"   // a rebalance callback of the application failed
	SlowHandler      Kind = "slow-handler"      // the application takes its time with records
	Closed           Kind = "closed"            // the client is gone
	SettingSeen      Kind = "setting"           // a setting, as the client printed it
)

// moment is when a line was written, as far as it says.
type moment struct {
	at    vtime.Instant
	clock clock
	text  string // as it stands in the line
}

// clock is how much a line says about its time.
type clock int

const (
	noClock   clock = iota // nothing
	timeOfDay              // the time, and no date: the day is taken as 1 January 1970
	dated                  // date and time, without a zone: taken as UTC
	zoned                  // all of it
)

// Event is one thing that a client's log says about its group.
type Event struct {
	file   int // index of its source
	line   int // from 1
	moment moment

	Client Client
	Group  string // "" if the line does not say
	// ClientID is client.id as the client names itself, Member and Instance the ids it had, each "" if the line does not say.
	ClientID, Member, Instance string

	Kind Kind
	// Text is the line's message, cut.
	Text string
	// Reason is what the client gives as the reason, Code Kafka's name of an error; "" for none.
	Reason, Code string
	// Detail is what a long line says, in short; "" if Text is short enough.
	Detail string
	// Generation is -1 if the line names none.
	Generation int32
	// Limit and Over are milliseconds: a limit that ran out and by how much, or how long it was silent; -1 if the line does not say.
	Limit, Over int64
	// Partitions are those the line names, at most maxPartitions; Count says how many there were, -1 if it names none.
	Partitions []journal.TopicPartitions
	Count      int
	// AutoCommit says that the line is about a commit that the client made by itself.
	AutoCommit bool
	// blamesPoll and blamesSession say that the sentence names max.poll.interval.ms, or advises a longer session.
	blamesPoll, blamesSession bool
	// Name and Value are a setting.
	Name, Value string

	// Set when all is read: its member, its place among that member's events and on the time line.
	member   *member
	seq, pos int
}

const (
	maxText       = 400
	maxPartitions = 2000
)

func newEvent(c Client, k Kind, text string) Event {
	return Event{Client: c, Kind: k, Text: cut(text, maxText), Generation: -1, Limit: -1, Over: -1, Count: -1}
}

// cut bounds s without leaving half a character behind.
func cut(s string, n int) string {
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "") + "..."
	}
	return s
}

// after is what follows the first mark in s.
func after(s, mark string) (string, bool) {
	_, rest, ok := strings.Cut(s, mark)
	return rest, ok
}

// between is what stands between the first from and the next to; "" if either is missing.
func between(s, from, to string) string {
	rest, ok := after(s, from)
	if !ok {
		return ""
	}
	v, _, ok := strings.Cut(rest, to)
	if !ok {
		return ""
	}
	return v
}

// number reads the decimal digits at the beginning of s; -1 for none or too many.
func number(s string) int64 {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	n, err := strconv.ParseInt(s[:i], 10, 64)
	if err != nil {
		return -1
	}
	return n
}

func generation(s string) int32 {
	n, err := strconv.ParseInt(strconv.FormatInt(number(s), 10), 10, 32)
	if err != nil {
		return -1
	}
	return int32(n)
}

// partitionList gathers partitions by topic: sorted, each once.
type partitionList struct {
	byTopic map[string][]int32
	kept    int
	count   int
}

func (l *partitionList) add(topic string, partition int32) {
	l.count++
	if l.kept == maxPartitions || topic == "" || len(topic) > 249 {
		return
	}
	if l.byTopic == nil {
		l.byTopic = map[string][]int32{}
	}
	if slices.Contains(l.byTopic[topic], partition) {
		l.count--
		return
	}
	l.byTopic[topic] = append(l.byTopic[topic], partition)
	l.kept++
}

// addDashed adds "topic-3".
func (l *partitionList) addDashed(s string) {
	s = strings.TrimSpace(s)
	if i := strings.LastIndexByte(s, '-'); i > 0 {
		if p, err := strconv.ParseInt(s[i+1:], 10, 32); err == nil && p >= 0 {
			l.add(s[:i], int32(p))
		}
	}
}

func (l *partitionList) list() []journal.TopicPartitions {
	var out []journal.TopicPartitions
	for t, ps := range l.byTopic { // any order: sorted below
		slices.Sort(ps)
		out = append(out, journal.TopicPartitions{Topic: t, Partitions: ps})
	}
	slices.SortFunc(out, func(a, b journal.TopicPartitions) int { return strings.Compare(a.Topic, b.Topic) })
	return out
}

func (e *Event) setPartitions(l *partitionList) {
	e.Partitions, e.Count = l.list(), l.count
}
