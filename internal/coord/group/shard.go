package group

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/offset"
	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// Config is the settings of a group coordinator.
type Config struct {
	// SessionTimeoutMin and SessionTimeoutMax bound what a classic member may ask for.
	// Kafka: group.min.session.timeout.ms, 6 s, and group.max.session.timeout.ms, 30 min.
	SessionTimeoutMin, SessionTimeoutMax time.Duration
	// InitialRebalanceDelay is how long an empty group waits for more members after its first; 0 for not at all.
	// Kafka: group.initial.rebalance.delay.ms, 3 s.
	InitialRebalanceDelay time.Duration
	// SizeMax is the most members of a group, above 0. Kafka: group.max.size, 2147483647.
	SizeMax int
	// RecordBytesMax is the largest group record the log takes, key and value, above 0: max.message.bytes of __consumer_offsets less the
	// overhead of a batch. A group whose assignments do not fit hears UNKNOWN_SERVER_ERROR, and the log is not bothered.
	RecordBytesMax int
	Offsets        offset.Config
}

// Validate returns every fault.
func (c Config) Validate() error {
	var faults []error
	if c.SessionTimeoutMin <= 0 || c.SessionTimeoutMax < c.SessionTimeoutMin {
		faults = append(faults, fmt.Errorf("group.min.session.timeout.ms is %v and group.max.session.timeout.ms %v; want 0 < min <= max", c.SessionTimeoutMin, c.SessionTimeoutMax))
	}
	if c.InitialRebalanceDelay < 0 {
		faults = append(faults, fmt.Errorf("group.initial.rebalance.delay.ms is %v; it cannot be negative", c.InitialRebalanceDelay))
	}
	if c.SizeMax < 1 {
		faults = append(faults, fmt.Errorf("group.max.size is %d; it must be above 0", c.SizeMax))
	}
	if c.RecordBytesMax < 1 {
		faults = append(faults, fmt.Errorf("the largest group record is %d bytes; it must be above 0", c.RecordBytesMax))
	}
	return errors.Join(append(faults, c.Offsets.Validate()...)...)
}

// Kinds of timers.
const (
	timerSession coord.TimerKind = "session" // of a member: it was not heard of
	timerPending coord.TimerKind = "pending" // of an id that was given out: nobody came back with it
	timerJoin    coord.TimerKind = "join"    // of a group: the join phase ends
	timerSync    coord.TimerKind = "sync"    // of a group: who has not asked for its assignment is removed
	timerHold    coord.TimerKind = "hold"    // of a member: its heartbeat or sync is answered
	timerExpiry  coord.TimerKind = "expiry"  // of the shard: look for expired offsets
)

// Shard is one partition of __consumer_offsets. It is a coord.Shard; make one with New.
type Shard struct {
	cfg     Config
	groups  map[string]*classic
	offsets *offset.Ledger

	// Of the Step under way.
	now vtime.Instant
	fx  coord.Effects
}

var _ coord.Shard = (*Shard)(nil)

// New is a shard that remembers nothing yet. cfg must be valid.
func New(cfg Config) *Shard {
	if err := cfg.Validate(); err != nil {
		panic(fmt.Sprintf("group: %v", err))
	}
	return &Shard{cfg: cfg, groups: map[string]*classic{}, offsets: offset.NewLedger()}
}

// Step is coord.Shard's.
func (s *Shard) Step(now vtime.Instant, ev coord.Event) coord.Effects {
	s.begin(now)
	switch ev := ev.(type) {
	case *JoinRequest:
		s.join(ev)
	case *SyncRequest:
		s.sync(ev)
	case *HeartbeatRequest:
		s.heartbeat(ev)
	case *HoldRelease:
		s.release(ev)
	case *LeaveRequest:
		s.leave(ev)
	case *offset.CommitRequest:
		s.commit(ev)
	case *offset.FetchRequest:
		s.reply(ev.Reply, s.offsets.Fetch(ev))
	case *offset.DeleteRequest:
		s.deleteOffsets(ev)
	case *DescribeRequest:
		s.describe(ev)
	case *ListRequest:
		s.list(ev)
	case *DeleteRequest:
		s.delete(ev)
	case coord.TopicDeleted:
		s.topicDeleted(ev)
	case coord.TimerFired:
		s.fired(ev.Key)
	default:
		panic(fmt.Sprintf("group: no shard takes a %T", ev))
	}
	return s.end()
}

// fired dispatches a timer. One of a group or member that is gone was cancelled with it, so none of these finds nothing; but a driver
// that delivers one firing too many should not bring the shard down.
func (s *Shard) fired(key coord.TimerKey) {
	if key.Kind == timerExpiry {
		s.expire()
		return
	}
	g := s.groups[key.Group]
	if g == nil {
		return
	}
	switch key.Kind {
	case timerSession:
		s.sessionFired(g, key)
	case timerHold:
		s.holdFired(g, key)
	case timerPending:
		s.pendingFired(g, key.Member)
	case timerJoin:
		s.joinFired(g)
	case timerSync:
		s.syncFired(g)
	}
}

func (s *Shard) begin(now vtime.Instant) { s.now, s.fx = now, coord.Effects{} }

func (s *Shard) end() coord.Effects {
	fx := s.fx
	s.fx = coord.Effects{}
	return fx
}

func (s *Shard) reply(to coord.ReplyID, body any) {
	s.fx.Replies = append(s.fx.Replies, coord.Reply{To: to, Body: body})
}
func (s *Shard) write(r record.Record) { s.fx.Records = append(s.fx.Records, r) }
func (s *Shard) note(n coord.Note)     { s.fx.Notes = append(s.fx.Notes, n) }
func (s *Shard) arm(key coord.TimerKey, at vtime.Instant) {
	s.fx.Timers = append(s.fx.Timers, coord.TimerOp{Key: key, At: at})
}
func (s *Shard) disarm(key coord.TimerKey) {
	s.fx.Timers = append(s.fx.Timers, coord.TimerOp{Key: key, Cancel: true})
}

// refused notes that a request was turned down.
func (s *Shard) refused(api, group, member, instance string, code kafka.ErrorCode, why string) {
	s.note(coord.RequestRefused{Group: group, API: api, Member: member, Instance: instance, Code: code, Why: why})
}

// Topics is every topic that the shard remembers offsets of, sorted. After loading, those that no longer exist are news to the shard: see
// coord.TopicDeleted.
func (s *Shard) Topics() []string { return s.offsets.Topics() }

// groupNames is every group there is, sorted: those with a record or a round, and those that are nothing but offsets.
func (s *Shard) groupNames() []string {
	names := slices.Collect(maps.Keys(s.groups))
	for _, name := range s.offsets.Groups() {
		if s.groups[name] == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// exists reports whether there is such a group.
func (s *Shard) exists(name string) bool { return s.groups[name] != nil || s.offsets.Has(name) }
