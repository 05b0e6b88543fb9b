package console

import (
	"context"
	"errors"
	"time"

	"github.com/barnabas-mq/barnabas/internal/journal"
)

// Source is what the console asks of a broker. Its methods are called from any goroutine, and give what they can within the context's time.
// What they return is shared and is not changed by the console.
type Source interface {
	// Groups is every group, in order of their names. The console pages it, so it is to be cheap: a few hundred bytes a group, kept for a moment.
	Groups(ctx context.Context) ([]GroupRow, error)
	// Group is one group with its members and partitions. ErrNotFound if there is none of that name and the journal knows none either.
	Group(ctx context.Context, name string) (*Group, error)
	// Incidents are those of one group that fit the query, the newest first.
	Incidents(ctx context.Context, q IncidentQuery) (Incidents, error)
	// Incident is one incident in its highest revision; ErrNotFound.
	Incident(ctx context.Context, group, id string) (*journal.Incident, error)
	// Topics is every topic, in order of their names.
	Topics(ctx context.Context) ([]TopicRow, error)
	// Topic is one topic with its partitions; ErrNotFound.
	Topic(ctx context.Context, name string) (*Topic, error)
}

// Errors that a Source gives and the console has a page for.
var (
	ErrNotFound = errors.New("there is none of that name")
	ErrNotReady = errors.New("the broker is starting, or shutting down")
)

// Window is how far back GroupRow counts rebalances and unstable time.
const Window = time.Hour

// GroupRow is a group in the list. A nil pointer is "not known".
type GroupRow struct {
	Name         string        `json:"group"`
	State        string        `json:"state"` // Kafka's word
	Type         string        `json:"type"`  // "classic"
	ProtocolType string        `json:"protocol_type"`
	Members      int           `json:"members"`
	Lag          *int64        `json:"lag"`                  // log end less committed, over the partitions with a committed offset
	Unstable     *float64      `json:"unstable_ratio"`       // share of Window, 0 to 1, in which it was rebalancing
	Rebalances   int           `json:"rebalances"`           // that began within Window
	LastCause    journal.Cause `json:"last_cause,omitempty"` // of the last rebalance
	LastAt       time.Time     `json:"last_at,omitzero"`     // zero: none known
}

// Group is a group in full.
type Group struct {
	GroupRow
	Protocol   string         `json:"protocol"`   // the assignor, "" while there is none
	Generation int32          `json:"generation"` // -1 if not known
	MemberList []Member       `json:"member_list"`
	Partitions []PartitionLag `json:"partitions"` // by topic and number
	// Findings are what the detectors see in the group's recent history.
	Findings []journal.Finding `json:"findings"`
}

// Member is who is in a group now.
type Member struct {
	journal.Who
	Assigned []journal.TopicPartitions `json:"assigned"` // nil: none, or not known
}

// PartitionLag is how far a group is on one partition.
type PartitionLag struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Owner     string `json:"owner,omitempty"` // a member id, "" for nobody
	Committed *int64 `json:"committed"`
	End       *int64 `json:"end"`
	Lag       *int64 `json:"lag"`
}

// IncidentQuery asks for incidents of one group.
type IncidentQuery struct {
	Group string
	// From and To bound when they took place: those that ended at From or later and began before To. Zero leaves the side open.
	From, To time.Time
	// Before is the id of an incident, and asks for older ones only; "" starts with the newest.
	Before string
	// Limit is how many at most; the console asks for 1 to 500.
	Limit int
}

// Incidents is one page of incidents.
type Incidents struct {
	List []journal.Incident `json:"incidents"` // the newest first
	// More says that there are older ones within the query.
	More bool `json:"more"`
}

// TopicRow is a topic in the list. A nil pointer is "not known (yet)".
type TopicRow struct {
	Name       string   `json:"topic"`
	Internal   bool     `json:"internal"`
	Partitions int      `json:"partitions"`
	Records    *int64   `json:"records"`         // log end less log start, over all partitions
	Bytes      *int64   `json:"bytes"`           // of the logs on this broker
	RecordsIn  *float64 `json:"records_in_rate"` // a second
	BytesIn    *float64 `json:"bytes_in_rate"`   // a second
	BytesOut   *float64 `json:"bytes_out_rate"`  // a second
	Offline    int      `json:"offline"`         // partitions without a leader
}

// Topic is a topic in full.
type Topic struct {
	TopicRow
	PartitionList []Partition `json:"partition_list"` // by number
	Groups        []string    `json:"groups"`         // that have committed offsets for it, sorted
}

// Partition is one partition of a topic.
type Partition struct {
	Number int32  `json:"partition"`
	Leader int32  `json:"leader"` // -1: none
	Start  *int64 `json:"start"`
	End    *int64 `json:"end"`
	Bytes  *int64 `json:"bytes"`
}

// Unstable is the share of the time from one moment to another in which a group was rebalancing. Incidents that overlap count once, those
// that go on count to the end; what was absorbed or refused does not count.
func Unstable(incidents []journal.Incident, from, to time.Time) float64 {
	if !to.After(from) {
		return 0
	}
	var spans []span
	for i := range incidents {
		if in := &incidents[i]; in.Kind == journal.Rebalance {
			spans = append(spans, span{from: began(in), to: ended(in, to)})
		}
	}
	return covered(spans, from, to)
}

// covered is the share of a time that spans cover.
func covered(spans []span, from, to time.Time) float64 {
	sortBy(spans, func(s span) int64 { return s.from.UnixNano() })
	var sum time.Duration
	last := from
	for _, s := range spans {
		if s.from.After(last) {
			last = s.from
		}
		if s.to.After(to) {
			s.to = to
		}
		if s.to.After(last) {
			sum += s.to.Sub(last)
			last = s.to
		}
	}
	return float64(sum) / float64(to.Sub(from))
}
