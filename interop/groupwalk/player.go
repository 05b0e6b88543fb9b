package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/barnabas-mq/barnabas/interop/rig"
	"github.com/barnabas-mq/barnabas/interop/wire"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// player plays a walk against one broker. It knows what the answers told its clients, and nothing else.
type player struct {
	broker *rig.Broker
	walk   *walk
	nonce  string // in the names of this play's groups and topic; the same at both brokers
	admin  *wire.Conn
	seats  []*seat
	calls  []*call // that wait, in the order they were made
	made   int
	ids    map[string]string // what the transcript calls a member id
	named  map[string]string // ids, before this step
	led    map[string]string // by group: the id that led last, as far as answers told
	states []string          // of the groups, before this step
	// pending are the ids that were given and not used: MEMBER_ID_REQUIRED.
	pending map[string]bool
	// generations are the groups', as far as answers told, and replaced those in which a static member came back: it may have brought news that
	// the generation was not made of.
	generations, replaced map[int]int32

	plant func(kmsg.Response) // changes an answer, to see that the comparison notices
}

// seat is one client: its connections, and what it is in each group.
type seat struct {
	plan    seatPlan
	n       int
	conns   []*connection
	members []*membership // by group
}

// connectionsMax bounds the requests of one client that wait at a time.
const connectionsMax = 3

type connection struct {
	*wire.Conn
	call *call // that waits
}

// membership is what a client believes it is in a group.
type membership struct {
	id, old      string
	generation   int32
	leads        bool
	protocolType *string
	protocol     *string
	members      []string
	phase        phase
	meta         int
}

type phase int

const (
	outside phase = iota // joins next
	joining
	joined // syncs next
	syncing
	inside // heartbeats next
)

// call is a request that was sent.
type call struct {
	n      int
	kind   string // the API, and what matters of who asks: see explained.txt
	what   string
	seat   *seat
	group  int
	conn   *connection
	req    kmsg.Request
	answer kmsg.Response
	err    error
}

func (c *call) name() string { return fmt.Sprintf("%s (call %d)", c.what, c.n) }

// forget closes the connection on which a call waits.
func (p *player) forget(c *call) {
	c.conn.Close()
	c.seat.conns = slices.DeleteFunc(c.seat.conns, func(o *connection) bool { return o == c.conn })
	p.calls = slices.DeleteFunc(p.calls, func(o *call) bool { return o == c })
}

func newPlayer(ctx context.Context, b *rig.Broker, w *walk, nonce string) (*player, error) {
	p := &player{broker: b, walk: w, nonce: nonce, ids: map[string]string{}, named: map[string]string{}, led: map[string]string{}, pending: map[string]bool{},
		generations: map[int]int32{}, replaced: map[int]int32{}}
	var err error
	if p.admin, err = wire.Dial(ctx, b.Addr, "walk-admin"); err != nil {
		return nil, err
	}
	for i, plan := range w.seats {
		s := &seat{plan: plan, n: i}
		for range w.groups {
			s.members = append(s.members, &membership{generation: -1})
		}
		p.seats = append(p.seats, s)
	}
	return p, nil
}

func (p *player) close() {
	p.admin.Close()
	for _, s := range p.seats {
		for _, c := range s.conns {
			c.Close()
		}
	}
}

func (p *player) group(i int) string { return fmt.Sprintf("walk-%s-%d", p.nonce, i) }
func (p *player) topic() string      { return "walk-" + p.nonce }

// send gives a request to a connection of the seat on which nothing waits. false: there is none left.
func (p *player) send(ctx context.Context, s *seat, group int, req kmsg.Request) (bool, error) {
	var free *connection
	for _, c := range s.conns {
		if c.call == nil {
			free = c
			break
		}
	}
	if free == nil {
		if len(s.conns) == connectionsMax {
			return false, nil
		}
		c, err := wire.Dial(ctx, p.broker.Addr, clientName(s.n))
		if err != nil {
			return false, err
		}
		// An answer on it, so that nothing but the request itself is on its way when it is sent: see fences.
		hello := kmsg.NewPtrApiVersionsRequest()
		if _, err := c.Do(ctx, hello); err != nil {
			return false, fmt.Errorf("a new connection: %w", err)
		}
		free = &connection{Conn: c}
		s.conns = append(s.conns, free)
	}
	p.made++
	kind := kmsg.NameForKey(req.Key())
	switch q := req.(type) {
	case *kmsg.JoinGroupRequest:
		switch {
		case p.pending[q.MemberID] && q.InstanceID != nil && q.Version >= 5:
			kind += "(pending, static)"
		case p.pending[q.MemberID]:
			kind += "(pending)"
			delete(p.pending, q.MemberID)
		case q.InstanceID != nil && q.Version >= 5:
			kind += "(static)"
		}
	case *kmsg.OffsetDeleteRequest:
		if p.states != nil && p.states[group] == "PreparingRebalance" || p.replaced[group] > 0 && p.replaced[group] == p.generations[group] {
			kind += "(news)"
		}
	case *kmsg.LeaveGroupRequest:
		used := slices.ContainsFunc(q.Members, func(m kmsg.LeaveGroupRequestMember) bool { return q.Version >= 3 && p.pending[m.MemberID] })
		if used || q.Version < 3 && p.pending[q.MemberID] {
			kind += "(pending)"
		}
	}
	c := &call{n: p.made, kind: kind, what: fmt.Sprintf("%c %s v%d", 'a'+s.n, kmsg.NameForKey(req.Key()), req.GetVersion()), seat: s, group: group, conn: free, req: req}
	if err := free.Send(ctx, req); err != nil {
		c.err = wire.Plain(err)
	}
	free.call = c
	p.calls = append(p.calls, c)
	return true, nil
}

func clientName(n int) string { return "client-" + string(rune('a'+n)) }

// collect takes the answers that have come, in the order of their requests.
func (p *player) collect(ctx context.Context) ([]*call, error) {
	var done, waiting []*call
	for _, c := range p.calls {
		if c.err == nil {
			there, err := readable(c.conn.Net())
			if err != nil {
				return nil, err
			}
			if !there {
				waiting = append(waiting, c)
				continue
			}
			c.answer, c.err = c.conn.Receive(ctx, c.req)
			if c.err != nil && c.answer == nil {
				c.err = wire.Plain(c.err)
			}
		}
		if c.err != nil {
			c.conn.Close()
			c.seat.conns = slices.DeleteFunc(c.seat.conns, func(o *connection) bool { return o == c.conn })
		} else if p.plant != nil {
			p.plant(c.answer)
		}
		c.conn.call = nil
		done = append(done, c)
	}
	p.calls = waiting
	return done, nil
}

// readable reports, without waiting, whether there is something to read, the end of the connection included.
func readable(nc net.Conn) (bool, error) {
	raw, err := nc.(*net.TCPConn).SyscallConn()
	if err != nil {
		return false, err
	}
	there := false
	err = raw.Control(func(fd uintptr) {
		var one [1]byte
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		there = !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR)
	})
	return there, err
}

// learn takes from an answer what its client would.
func (p *player) learn(c *call) {
	m := c.seat.members[c.group]
	own := func(id string) bool { return id == m.id }
	switch a := c.answer.(type) {
	case *kmsg.JoinGroupResponse:
		q := c.req.(*kmsg.JoinGroupRequest)
		switch {
		case a.ErrorCode == 0:
			p.generations[c.group] = max(p.generations[c.group], a.Generation)
			if q.MemberID == "" && c.kind == "JoinGroup(static)" && p.states != nil && p.states[c.group] == "Stable" {
				p.replaced[c.group] = a.Generation
			}
		case c.kind == "JoinGroup(pending)" && (a.ErrorCode == 23 || a.ErrorCode == 26):
			p.pending[q.MemberID] = true // refused for what it said, and still not used
		}
		if q.MemberID != "" && !own(q.MemberID) {
			return // asked in another's name
		}
		switch {
		case a.ErrorCode == 0:
			m.take(a.MemberID)
			m.generation, m.leads, m.protocol, m.protocolType, m.phase = a.Generation, a.LeaderID == a.MemberID, a.Protocol, a.ProtocolType, joined
			m.members = nil
			for _, o := range a.Members {
				m.members = append(m.members, o.MemberID)
			}
			slices.SortFunc(m.members, func(x, y string) int { return strings.Compare(p.nameOf(x), p.nameOf(y)) })
		case a.ErrorCode == 79:
			p.pending[a.MemberID] = true
			m.take(a.MemberID)
			m.phase = outside
		case a.ErrorCode == 25:
			m.take("")
			m.phase = outside
		case m.phase == joining:
			m.phase = outside
		}
	case *kmsg.SyncGroupResponse:
		if own(c.req.(*kmsg.SyncGroupRequest).MemberID) {
			m.heard(a.ErrorCode, inside)
		}
	case *kmsg.HeartbeatResponse:
		if own(c.req.(*kmsg.HeartbeatRequest).MemberID) {
			m.heard(a.ErrorCode, m.phase)
		}
	}
}

func (m *membership) take(id string) {
	if id != m.id {
		m.id, m.old = id, m.id
	}
}

// heard is what a client makes of the answer to a sync or a heartbeat.
func (m *membership) heard(code int16, good phase) {
	switch code {
	case 0:
		m.phase = good
	case 22, 27:
		if m.phase != joining {
			m.phase = outside
		}
	case 25:
		m.take("")
		m.phase = outside
	case 82:
		m.take("")
		m.phase = outside
	}
}

// rename gives names to the ids that answers have told since the step began.
func (p *player) rename(calls []*call) {
	p.ids = maps.Clone(p.named)
	for _, c := range calls {
		j, ok := c.answer.(*kmsg.JoinGroupResponse)
		if !ok || j.MemberID == "" || j.MemberID == nobody {
			continue
		}
		if p.ids[j.MemberID] == "" {
			given := 1
			for slices.Contains(slices.Collect(maps.Values(p.ids)), fmt.Sprintf("%c%d", 'a'+c.seat.n, given)) {
				given++
			}
			p.ids[j.MemberID] = fmt.Sprintf("%c%d", 'a'+c.seat.n, given)
		}
	}
}

const nobody = "nobody"

// play does a step. Its answers, if any, come later.
func (p *player) play(ctx context.Context, s step) error {
	p.named = p.ids
	st := p.seats[s.seat%len(p.seats)]
	g := s.group % p.walk.groups
	var req kmsg.Request
	switch s.do {
	case "next":
		req = p.next(st, g, s)
	case "join":
		req = p.join(st, g, s)
	case "sync":
		req = p.sync(st, g, s)
	case "heartbeat":
		q := kmsg.NewPtrHeartbeatRequest()
		q.Version, q.Group, q.MemberID, q.InstanceID, q.Generation = min(s.v, 4), p.group(g), p.id(st, g, s.id), instance(st, s), generation(st, g, s.gen)
		req = q
	case "leave":
		req = p.leave(st, g, s)
	case "commit":
		req = p.commit(st, g, s)
	case "fetch":
		req = p.fetch(st, g, s)
	case "delete-offsets", "describe", "list", "delete-groups", "find":
		req = p.manage(g, s)
	case "drop":
		for _, c := range st.conns {
			if c.call == nil {
				continue
			}
			lost := c.call
			p.forget(lost)
			if m := st.members[lost.group]; m.phase == joining || m.phase == syncing {
				m.phase = outside
			}
			break
		}
	case "await-expiry":
		return p.awaitExpiry(ctx, g)
	case "create", "grow", "delete-topic":
		return p.change(ctx, s.do)
	}
	if req == nil {
		return nil
	}
	sent, err := p.send(ctx, st, g, req)
	if err != nil || !sent {
		return err
	}
	if m := st.members[g]; s.do == "next" {
		switch req.(type) {
		case *kmsg.JoinGroupRequest:
			m.phase = joining
		case *kmsg.SyncGroupRequest:
			m.phase = syncing
		}
	}
	return nil
}

// await asks until ok is satisfied; false when it never was.
func (p *player) await(ctx context.Context, req func() kmsg.Request, ok func(kmsg.Response) bool) (bool, error) {
	for began := time.Now(); time.Since(began) < 15*time.Second; {
		resp, err := p.admin.Do(ctx, req())
		if err != nil {
			return false, err
		}
		if ok(resp) {
			return true, nil
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	return false, nil
}
