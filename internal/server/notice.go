package server

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/group"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// Prompt notice: the answer to a heartbeat, or to a SyncGroup, may be held back so that it can tell of a rebalance the moment it begins. When that is
// safe for the group is decided in coord/group (classic_hold.go, classic_second_round.go); here it is decided for which clients, and a hold ends as
// soon as its connection brings anything else: a commit or a leave never waits behind it. Only clients that heartbeat in the background and say so by name (KIP-511) are held. A name is
// a claim, and a proxy may pass on one request at a time: so there is a breaker.

// NoticeClient is a client whose heartbeats may be held, and for how long [group.prompt.notice.clients].
type NoticeClient struct {
	Name string // client_software_name
	Most time.Duration
}

// noticeFor is how long heartbeats of a client may be held; 0 for not at all. Bindings of librdkafka are asked by it to name it in their version.
func (s *Server) noticeFor(name, version string) time.Duration {
	for _, c := range s.cfg.NoticeClients {
		if c.Name == name || c.Name == librdkafka && strings.Contains(version, librdkafka) {
			return c.Most
		}
	}
	return 0
}

const librdkafka = "librdkafka"

// rejoiners are the clients that join again at once when a SyncGroup is answered REBALANCE_IN_PROGRESS. Holding one is for them only: librdkafka waits
// for a second or two since its last JoinGroup, longer than when it learns of the second round from its heartbeat, which it sends at once.
var rejoiners = []string{"apache-kafka-java", "kgo", "barnabas-cli"}

// holding is the heartbeat or the SyncGroup that a connection has waiting.
type holding struct {
	id     coord.ReplyID // 0: none
	sync   bool          // a SyncGroup: it may wait for the leader too, which nothing here ends
	shard  int32
	key    breakerKey
	member string
	since  time.Time
}

// Hold causes, as metrics name them: what ended a hold.
const (
	HoldRebalance = "rebalance" // it told of one
	HoldRequest   = "request"   // the client sent something else, here or on another connection
	HoldBound     = "bound"     // it lasted as long as it may
	HoldGone      = "gone"      // the membership ended
	HoldClosed    = "closed"    // the connection ended
)

// mayHold is how long the answer to this request of the member may be held. Nothing else may be unanswered or waiting to be read.
func (c *conn) mayHold(member, groupID string, now time.Time) time.Duration {
	most := c.srv.noticeFor(c.softwareName, c.softwareVersion)
	if most == 0 || c.busyBeyond() || c.in.Buffered() > 0 || c.srv.closing.Err() != nil {
		return 0
	}
	if !c.srv.breaker.allows(breakerKey{c.client.ID, groupID}, member, now) {
		return 0
	}
	return most
}

// mayHoldSync is mayHold for a SyncGroup.
func (c *conn) mayHoldSync(member, groupID string, now time.Time) time.Duration {
	if !slices.Contains(rejoiners, c.softwareName) {
		return 0
	}
	return c.mayHold(member, groupID, now)
}

// endHold asks for the answer that is held, because something else has arrived or the connection is over. If the answer has left by
// itself, this does nothing.
func (c *conn) endHold() {
	if c.held.id == 0 {
		return
	}
	h := c.held
	c.held = holding{}
	c.srv.deps.Groups.Tell(h.shard, &group.HoldRelease{Held: h.id, Group: h.key.group, Member: h.member})
}

// holdEnded counts a hold that has been answered. It runs on the finisher's goroutine.
func (c *conn) holdEnded(h *holding, said any) {
	if h.sync {
		if reply, ok := said.(group.SyncReply); ok && reply.Held {
			c.srv.deps.Metrics.SyncHeld(syncHoldCause(reply), reply.For)
		}
		return
	}
	reply, ok := said.(group.HeartbeatReply)
	if ok && !reply.Held {
		return // it waited for the disk, as any answer may
	}
	now := c.srv.deps.Now()
	cause := HoldRequest
	switch {
	case ok && reply.Code == kafka.RebalanceInProgress:
		cause = HoldRebalance
	case !ok || reply.Code != kafka.None:
		cause = HoldGone
	case reply.Bound:
		cause = HoldBound
		c.bound.Store(&boundRelease{h.key, now})
	}
	c.srv.deps.Metrics.Held(cause, now.Sub(h.since))
}

func syncHoldCause(reply group.SyncReply) string {
	switch {
	case reply.Code == kafka.RebalanceInProgress:
		return HoldRebalance
	case reply.Code != kafka.None:
		return HoldGone
	case reply.Bound:
		return HoldBound
	}
	return HoldRequest
}

// holdClosed counts a hold whose client went away. Of a SyncGroup nobody knows here whether it was held, or waited for the leader.
func (c *conn) holdClosed(h *holding) {
	if h.sync {
		return
	}
	now := c.srv.deps.Now()
	c.srv.breaker.closed(h.key, h.member, now)
	c.srv.deps.Metrics.Held(HoldClosed, now.Sub(h.since))
}

// boundRelease is a hold that lasted as long as it may.
type boundRelease struct {
	key breakerKey
	at  time.Time
}

// arrived is called when the first byte of a request is there. It ends a hold; and it tells the breaker how soon something came after a hold that
// had lasted as long as it may. At once means that it was waiting for the answer: in the client, or in a proxy.
func (c *conn) arrived() {
	c.endedHold = c.held.id != 0 && !c.held.sync
	c.endHold()
	if b := c.bound.Swap(nil); b != nil {
		now := c.srv.deps.Now()
		c.srv.breaker.bound(b.key, now.Sub(b.at)-c.roundTrip() < boundEcho, now)
	}
}

const (
	// boundEcho is how soon after a bound release a request must come to have been waiting for it, beside the time that the answer takes to the
	// client and the request back.
	boundEcho = 20 * time.Millisecond
	// breakerOpen is how long a client that is harmed is left alone.
	breakerOpen = time.Hour
	// breakersMax bounds the memory of it.
	breakersMax = 10_000
)

type breakerKey struct{ client, group string }

// breaker remembers which clients of which groups are better not held.
type breaker struct {
	mu     sync.Mutex
	states map[breakerKey]*breakerState
	trips  func()
}

type breakerState struct {
	touched time.Time
	echoes  [3]bool // of the last bound releases: something followed at once
	lost    map[string]bool
	back    int       // members that came back after their connection was closed during a hold
	until   time.Time // no holds before
}

func newBreaker(trips func()) *breaker {
	return &breaker{states: map[breakerKey]*breakerState{}, trips: trips}
}

// allows reports whether a heartbeat of the member may be held.
func (b *breaker) allows(k breakerKey, member string, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.states[k]
	if s == nil {
		return true
	}
	if s.lost[member] {
		delete(s.lost, member)
		if s.back++; s.back >= 2 {
			b.trip(s, now)
		}
	}
	return !now.Before(s.until)
}

// bound notes a hold that lasted as long as it may, and whether something followed it at once.
func (b *breaker) bound(k breakerKey, echo bool, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !echo && b.states[k] == nil {
		return
	}
	s := b.state(k, now)
	s.echoes = [3]bool{s.echoes[1], s.echoes[2], echo}
	count := 0
	for _, e := range s.echoes {
		if e {
			count++
		}
	}
	if count >= 2 {
		b.trip(s, now)
	}
}

// closed notes that the client cut the connection during a hold.
func (b *breaker) closed(k breakerKey, member string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.state(k, now)
	if len(s.lost) < 16 {
		s.lost[member] = true
	}
}

func (b *breaker) trip(s *breakerState, now time.Time) {
	*s = breakerState{touched: now, lost: map[string]bool{}, until: now.Add(breakerOpen)}
	b.trips()
}

func (b *breaker) state(k breakerKey, now time.Time) *breakerState {
	s := b.states[k]
	if s == nil {
		if len(b.states) >= breakersMax {
			b.forget()
		}
		s = &breakerState{lost: map[string]bool{}}
		b.states[k] = s
	}
	s.touched = now
	return s
}

// forget drops the eighth that was touched longest ago.
func (b *breaker) forget() {
	keys := make([]breakerKey, 0, len(b.states))
	for k := range b.states { // any order: sorted below
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(x, y breakerKey) int {
		return cmp.Or(b.states[x].touched.Compare(b.states[y].touched), cmp.Compare(x.client, y.client), cmp.Compare(x.group, y.group))
	})
	for _, k := range keys[:breakersMax/8] {
		delete(b.states, k)
	}
}
