package group

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/barnabas-mq/barnabas/assign"
	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// State is the state of a group.
type State = coord.GroupState

// The states of a classic group; see the package's doc.
const (
	Empty               State = "Empty"
	PreparingRebalance  State = "PreparingRebalance"
	CompletingRebalance State = "CompletingRebalance"
	Stable              State = "Stable"
	Dead                State = "Dead"
)

// consumerType is the protocol type whose metadata we can read.
const consumerType = "consumer"

// classic is one classic group.
type classic struct {
	id string
	// hard is the last applied record; nil until the first is.
	hard *record.GroupMetadataValue

	// Soft state from here on.
	state        State
	since        vtime.Instant // of state
	generation   int32
	protocolType string // "" until the first member was added
	protocol     string // the chosen one; "" without a generation of members
	leader       string // "" for none

	members []*member // in the order they joined
	byID    map[string]*member
	static  map[string]*member // by instance id
	pending map[string]coord.Member
	support map[string]int // how many members support a protocol

	joins    int // members whose join waits
	unsynced int // members that have not asked for their assignment since the join phase ended

	// Of the join phase under way.
	initial   bool          // it began in Empty: gather members for a while
	extend    bool          // initial: a member came since the timer was armed
	delay     time.Duration // initial: what the timer was armed with
	remaining time.Duration // initial: how much the phase may still be extended by
	arrivals  int32         // joins so far, see member.arrival

	stable vtime.Instant // when it last became Stable
	second certainty     // in Stable: whether another round must follow

	// What members said last, for others that say the same.
	people recent[person]
	offers recent[offer]
}

// member is one member of a classic group. There may be a hundred thousand of them, so it is kept to 128 bytes; see TestAMemberIsSmall.
type member struct {
	ID string
	*person
	*offer
	// assignment is what the group's record gave the member last; empty before the first one does, and when a round was broken off before the
	// leader assigned. In CompletingRebalance it is the older one still: that is what DescribeGroups shows then, as Kafka's does.
	assignment []byte

	join, sync coord.ReplyID // requests that wait; 0 for none
	held       coord.ReplyID // a heartbeat or a sync whose answer is kept back; 0 for none, and outside of Stable
	answered   vtime.Instant // when the last answer left
	heard      vtime.Instant // its last request

	// The session timer. A heartbeat moves deadline only; the timer, when it fires before it, is armed anew. So heartbeats cost no
	// timer operation. Both are 0, a moment that is long past, for "none"; armed <= deadline otherwise.
	deadline, armed vtime.Instant

	patience time.Duration // how long its last sync may be held
	arrival  int32         // as which one, of those who wait, its join came
	isNew    bool          // it joined, and its first join has not been answered
	unsynced bool          // counted in classic.unsynced
	told     bool          // it knows of the rebalance under way
	heldSync bool          // held is a sync
}

// person is who a member is, its id aside. It does not change, so that members share one: see classic.says.
type person struct {
	Instance, Client, Host, Software string
}

// offer is what a member can do and asks for. It does not change either.
type offer struct {
	protocols                        []Protocol // no name twice
	rebalanceTimeout, sessionTimeout time.Duration
}

// named is m as notes name it.
func (m *member) named() coord.Member {
	return coord.Member{ID: m.ID, Instance: m.Instance, Client: m.Client, Host: m.Host, Software: m.Software}
}

// says makes the person and the offer m's. Most members of a group say what another one said, in the same bytes, and share it.
func (g *classic) says(m *member, p person, o offer) {
	if m.person == nil || *m.person != p {
		m.person = g.people.share(p, func(a, b *person) bool { return *a == *b })
	}
	if m.offer == nil || !m.offer.equal(&o) {
		m.offer = g.offers.share(o, (*offer).equal)
	}
}

func (o *offer) equal(other *offer) bool {
	return o.rebalanceTimeout == other.rebalanceTimeout && o.sessionTimeout == other.sessionTimeout && equalProtocols(o.protocols, other.protocols)
}

func equalProtocols(a, b []Protocol) bool {
	return slices.EqualFunc(a, b, func(a, b Protocol) bool { return a.Name == b.Name && bytes.Equal(a.Metadata, b.Metadata) })
}

// recent is the last few different values.
type recent[T any] struct {
	kept [4]*T
	next uint8
}

// share is the one of them that is equal to v, or v, which then is one of them.
func (r *recent[T]) share(v T, equal func(a, b *T) bool) *T {
	for _, k := range r.kept {
		if k != nil && equal(k, &v) {
			return k
		}
	}
	r.kept[r.next] = &v
	r.next = (r.next + 1) % uint8(len(r.kept))
	return &v
}

func newClassic(id string, now vtime.Instant) *classic {
	return &classic{id: id, state: Empty, since: now, byID: map[string]*member{}, static: map[string]*member{}, pending: map[string]coord.Member{}, support: map[string]int{}}
}

// next says which states may follow which.
var next = map[State][]State{
	Empty:               {PreparingRebalance, Dead},
	PreparingRebalance:  {CompletingRebalance, Empty},
	CompletingRebalance: {Stable, PreparingRebalance},
	Stable:              {PreparingRebalance},
}

func (g *classic) enter(s State, now vtime.Instant) {
	if !slices.Contains(next[g.state], s) {
		panic(fmt.Sprintf("group: %s cannot follow %s", s, g.state))
	}
	g.state, g.since, g.second = s, now, unknown
	if s == Stable {
		g.stable = now
	}
}

func (g *classic) joinTimer() coord.TimerKey { return coord.TimerKey{Kind: timerJoin, Group: g.id} }
func (g *classic) syncTimer() coord.TimerKey { return coord.TimerKey{Kind: timerSync, Group: g.id} }
func (g *classic) sessionTimer(m *member) coord.TimerKey {
	return coord.TimerKey{Kind: timerSession, Group: g.id, Member: m.ID}
}
func (g *classic) holdTimer(m *member) coord.TimerKey {
	return coord.TimerKey{Kind: timerHold, Group: g.id, Member: m.ID}
}
func (g *classic) pendingTimer(id string) coord.TimerKey {
	return coord.TimerKey{Kind: timerPending, Group: g.id, Member: id}
}

// rebalanceTimeout is the longest of the members', 0 without members.
func (g *classic) rebalanceTimeout() (longest time.Duration) {
	for _, m := range g.members {
		longest = max(longest, m.rebalanceTimeout)
	}
	return longest
}

// idle reports whether nobody is in the group and nobody is on the way in.
func (g *classic) idle() bool { return g.state == Empty && len(g.pending) == 0 }

// allJoined reports whether the join phase has nobody to wait for.
func (g *classic) allJoined() bool { return g.joins == len(g.members) && len(g.pending) == 0 }

// awaited is who has not joined yet.
func (g *classic) awaited() (out []coord.Member) {
	for _, m := range g.members {
		if m.join == 0 {
			out = append(out, m.named())
		}
	}
	return out
}

// notSynced is who has not asked for its assignment yet.
func (g *classic) notSynced() (out []coord.Member) {
	for _, m := range g.members {
		if m.unsynced {
			out = append(out, m.named())
		}
	}
	return out
}

// add takes m in. Who counts it as new, parks it and starts its timer is the caller.
func (g *classic) add(m *member) {
	g.members = append(g.members, m)
	g.byID[m.ID] = m
	if m.Instance != "" {
		g.static[m.Instance] = m
	}
	g.count(m, 1)
}

// drop takes m out of the lists. Its requests, its timer and the wait for its sync are the caller's.
func (g *classic) drop(m *member) {
	i := slices.Index(g.members, m)
	g.members = slices.Delete(g.members, i, i+1)
	delete(g.byID, m.ID)
	if m.Instance != "" {
		delete(g.static, m.Instance)
	}
	g.count(m, -1)
	if g.leader == m.ID {
		g.leader = "" // the end of the join phase elects another
	}
}

// count adds n to the support of each protocol of m.
func (g *classic) count(m *member, n int) {
	for _, p := range m.protocols {
		if g.support[p.Name] += n; g.support[p.Name] == 0 {
			delete(g.support, p.Name)
		}
	}
}

// update takes what a join says of its sender.
func (g *classic) update(m *member, r *JoinRequest) {
	g.count(m, -1)
	g.says(m, person{m.Instance, r.Client, r.Host, r.Software}, offered(r))
	g.count(m, 1)
}

// offered is what the sender can do.
func offered(r *JoinRequest) offer {
	return offer{distinct(r.Protocols), rebalanceTimeout(r), r.SessionTimeout}
}

// distinct is the protocols, of those with the same name the first: a member has one vote.
func distinct(protocols []Protocol) []Protocol {
	seen := make(map[string]bool, len(protocols))
	out := make([]Protocol, 0, len(protocols))
	for _, p := range protocols {
		if !seen[p.Name] {
			seen[p.Name] = true
			out = append(out, p)
		}
	}
	return out
}

// rebalanceTimeout is how long the sender may take to rejoin.
func rebalanceTimeout(r *JoinRequest) time.Duration {
	if r.RebalanceTimeout < 0 {
		return r.SessionTimeout
	}
	return r.RebalanceTimeout
}

func (g *classic) setUnsynced(m *member, is bool) {
	switch {
	case is && !m.unsynced:
		g.unsynced++
	case !is && m.unsynced:
		g.unsynced--
	}
	m.unsynced = is
}

// vote is the protocol for the members there are: of those that all support, each member votes for the one it names first; the most
// votes win, and of equals the name that sorts first. "" when they have none in common.
func (g *classic) vote() string {
	votes := map[string]int{}
	for _, m := range g.members {
		for _, p := range m.protocols {
			if g.support[p.Name] == len(g.members) {
				votes[p.Name]++
				break
			}
		}
	}
	best, most := "", 0
	for name, n := range votes { // any order: most votes, then the lowest name, whatever comes first
		if n > most || n == most && name < best {
			best, most = name, n
		}
	}
	return best
}

// metadata is what m says for the protocol; nil if it does not support it.
func (m *member) metadata(protocol string) []byte {
	for _, p := range m.protocols {
		if p.Name == protocol {
			return p.Metadata
		}
	}
	return nil
}

// same reports whether the protocols are the member's own: names, bytes and order.
func (m *member) same(protocols []Protocol) bool {
	return equalProtocols(m.protocols, distinct(protocols))
}

// roll is everybody, as the leader is told.
func (g *classic) roll() []JoinedMember {
	out := make([]JoinedMember, len(g.members))
	for i, m := range g.members {
		out[i] = JoinedMember{m.ID, m.Instance, m.metadata(g.protocol)}
	}
	return out
}

// joined is the answer to m's join in the current generation.
func (g *classic) joined(m *member) JoinReply {
	r := JoinReply{Generation: g.generation, ProtocolType: g.protocolType, Protocol: g.protocol, Leader: g.leader, Member: m.ID}
	if g.leader == m.ID {
		r.Members = g.roll()
	}
	return r
}

// synced is the answer to m's sync in Stable.
func (g *classic) synced(m *member) SyncReply {
	return SyncReply{ProtocolType: g.protocolType, Protocol: g.protocol, Assignment: m.assignment}
}

// atRest is the record of the group as it stands.
func (g *classic) atRest() *record.GroupMetadata {
	v := &record.GroupMetadataValue{ProtocolType: g.protocolType, Generation: g.generation, CurrentStateTimestamp: g.since.Millis()}
	if len(g.members) > 0 {
		protocol, leader := g.protocol, g.leader
		v.Protocol, v.Leader = &protocol, &leader
		v.Members = make([]record.Member, len(g.members))
	}
	for i, m := range g.members {
		r := record.Member{ID: m.ID, ClientID: m.Client, ClientHost: m.Host, RebalanceTimeout: m.rebalanceTimeout, SessionTimeout: m.sessionTimeout,
			Subscription: m.metadata(g.protocol), Assignment: m.assignment}
		if m.Instance != "" {
			instance := m.Instance
			r.InstanceID = &instance
		}
		v.Members[i] = r
	}
	return &record.GroupMetadata{Group: g.id, Value: v}
}

// subscription reports which topics the members need. known is false when that cannot be told: they speak another protocol, have not
// agreed on one yet, or say what we cannot read.
func (g *classic) subscription() (topics map[string]bool, known bool) {
	if g.protocolType != consumerType || g.protocol == "" {
		return nil, false
	}
	topics = map[string]bool{}
	var names assign.Interner
	for _, m := range g.members {
		sub, err := names.DecodeSubscription(m.metadata(g.protocol))
		if err != nil {
			return nil, false
		}
		for _, t := range sub.Topics {
			topics[t] = true
		}
	}
	return topics, true
}
