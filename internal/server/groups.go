package server

import (
	"crypto/rand"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/coord"
	coorddriver "github.com/barnabas-mq/barnabas/internal/coord/driver"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/wire"
)

// What the files of the group coordinator's APIs share. A request is cut into one event for each shard it concerns, handed over in the
// order of its connection, and answered once every shard has answered. That may be at once, and then nobody else is bothered; or when the
// records are committed, or when the other members have come: then the answer is parked, and the reader goes on.
//
// While nothing but such answers is parked, further requests to the coordinator are taken up, unless they are so large that the memory budget
// has a say (conn.readFrame): a member may say that it leaves although its JoinGroup still waits. Each is handed over before the next one is read, so they take effect in their order, and they are answered in it.

// groupHandler hands a request to the coordinator's shards, with groupCall.ask, and says how to make its answer of theirs.
type groupHandler func(g *groupCall, q kmsg.Request)

// groupHandlers are the APIs of the group coordinator, but for Heartbeat, which has a door of its own. Each stands in the file numbered by
// its key.
var groupHandlers = map[int16]groupHandler{
	wire.KeyOffsetCommit:   offsetCommit,
	wire.KeyOffsetFetch:    offsetFetch,
	wire.KeyJoinGroup:      joinGroup,
	wire.KeyLeaveGroup:     leaveGroup,
	wire.KeySyncGroup:      syncGroup,
	wire.KeyDescribeGroups: describeGroups,
	wire.KeyListGroups:     listGroups,
	wire.KeyDeleteGroups:   deleteGroups,
	wire.KeyOffsetDelete:   offsetDelete,
}

// toCoordinator reports whether the group coordinator answers the API.
func toCoordinator(key int16) bool { return key == wire.KeyHeartbeat || groupHandlers[key] != nil }

// groupCall is one request to the coordinator, from its decoding to its answer.
type groupCall struct {
	conn   *conn
	header wire.RequestHeader
	now    time.Time
	waited time.Duration
	size   int
	cost   int64 // of Server.memory, until the answer is there

	// held is set when the answer may be held for its own sake, see notice.go.
	held  *holding
	calls []*coorddriver.Call
	// answer makes the response of what the shards said, in the order they were asked. It may run on the finisher's goroutine.
	answer func(said []any) kmsg.Response
	// others says that the answer may wait for other clients, for minutes; it holds no memory of the budget meanwhile.
	others bool
}

// ask hands one shard an event, which make is given the id for.
func (g *groupCall) ask(shard int32, make func(id coord.ReplyID) coord.Event) {
	groups := g.conn.srv.deps.Groups
	call := groups.NewCall()
	g.calls = append(g.calls, call)
	groups.Submit(shard, call, make(call.ID))
}

// respond is the answer of a request that no shard needs to be asked about.
func (g *groupCall) respond(resp kmsg.Response) { g.answer = func([]any) kmsg.Response { return resp } }

// failed counts an error in the answer, and hands it on as the wire has it.
func (g *groupCall) failed(code kafka.ErrorCode) int16 {
	if code != kafka.None {
		g.conn.srv.deps.Metrics.Error(g.header.Key, code)
	}
	return int16(code)
}

// group answers a request to the coordinator, or parks its answer.
func (c *conn) group(r *Request, handle groupHandler) error {
	q := kmsg.RequestForKey(r.Key)
	q.SetVersion(r.Version)
	if err := q.ReadFrom(r.Body); err != nil {
		return &wire.FrameError{Reason: fmt.Sprintf("%s v%d: body cannot be decoded: %v", wire.KeyName(r.Key), r.Version, err)}
	}
	g := &groupCall{conn: c, header: r.RequestHeader, now: r.Now, size: len(r.Body)}
	handle(g, q)
	g.header.ClientID = nil // it is a part of the frame
	return c.finishGroup(g)
}

// finishGroup answers at once if that is possible.
func (c *conn) finishGroup(g *groupCall) error {
	if !g.others {
		g.cost, c.cost = c.cost, 0
	}
	c.letGo()
	if !g.answered() || c.busy() {
		c.park(g)
		return nil
	}
	out, err := g.finish(c, c.out[:0])
	if err != nil {
		return err
	}
	err = c.reply(out)
	if cap(c.out) > groupKeep {
		c.out = nil
	}
	return err
}

// groupKeep is the largest buffer that a connection keeps from a coordinator's answer. A leader is told of every member, once in a rebalance, and
// then its connection is silent for hours.
const groupKeep = 4 << 10

func (g *groupCall) answered() bool {
	for _, call := range g.calls {
		if !call.Answered() {
			return false
		}
	}
	return true
}

// finish waits for the shards and writes the answer.
func (g *groupCall) finish(c *conn, out []byte) ([]byte, error) {
	defer func() { c.srv.memory.give(g.cost) }()
	said := make([]any, len(g.calls))
	if g.answered() {
		for i, call := range g.calls {
			<-call.Done() // whoever answers is done with the call only then
			said[i] = release(call)
		}
	} else if err := g.wait(said); err != nil {
		if g.held != nil {
			c.holdClosed(g.held)
		}
		return nil, err
	}
	if g.held != nil {
		c.holdEnded(g.held, said[0])
	}
	resp := g.answer(said)
	start := len(out)
	out = wire.AppendResponseHeader(out, g.header)
	out = resp.AppendTo(out)
	if err := wire.FinishResponse(out, start, 0); err != nil {
		return nil, err
	}
	c.srv.deps.Metrics.Request(g.header.Key, g.header.Version, c.srv.deps.Now().Sub(g.now), g.waited, g.size, len(out)-start)
	return out, nil
}

// wait fills in said. A client that has left is not waited for. A broker that stops needs no word here: its coordinator is closed before its
// connections, and answers whoever waits.
func (g *groupCall) wait(said []any) error {
	s := g.conn.srv
	s.waitingGroups.Add(1)
	defer s.waitingGroups.Add(-1)
	parked := s.deps.Now()
	for i, call := range g.calls {
		select {
		case <-call.Done():
			said[i] = release(call)
		case <-g.conn.done:
			for _, call := range g.calls[i:] {
				call.Abandon()
			}
			return errClose
		}
	}
	g.waited = s.deps.Now().Sub(parked)
	return nil
}

// release takes the answer of a call whose Done has received.
func release(call *coorddriver.Call) any {
	body := call.Body()
	call.Release()
	return body
}

// groupNames keeps each name once, in the order of the request. What a few bytes ask for again and again is answered once: the answer may be
// a list of ten thousand members.
func groupNames(names []string) []string {
	seen := make(map[string]bool, len(names))
	out := make([]string, 0, len(names))
	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	return out
}

// byShard sorts groups by the shard that holds them. Shards come in the order of their first group, as do groups within one.
func (s *Server) byShard(names []string) (shards []int32, groups map[int32][]string) {
	groups = map[int32][]string{}
	for _, name := range names {
		shard := s.deps.Groups.ShardOf(name)
		if groups[shard] == nil {
			shards = append(shards, shard)
		}
		groups[shard] = append(groups[shard], name)
	}
	return shards, groups
}

// orEmpty is the text behind a nullable string; null is "".
func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// orNull is a nullable string that is null when there is no text.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// freshID is a random UUID as Kafka writes it, to make a member's id of.
func freshID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// host is the client's address as groups show it: as Java writes an InetAddress, since tools compare it, with a slash and an IPv6 address not
// shortened.
func (c *conn) host() string {
	a, err := netip.ParseAddr(c.ip)
	if err != nil {
		return "/" + c.ip // a connection in memory
	}
	a = a.Unmap()
	if a.Is4() {
		return "/" + a.String()
	}
	b := a.As16()
	words := make([]string, 8)
	for i := range words {
		words[i] = strconv.FormatUint(uint64(b[2*i])<<8|uint64(b[2*i+1]), 16)
	}
	text := "/" + strings.Join(words, ":")
	if a.Zone() != "" {
		text += "%" + a.Zone()
	}
	return text
}

// software is what the client said of itself in ApiVersions, "" if nothing.
func (c *conn) software() string { return strings.TrimSpace(c.softwareName + " " + c.softwareVersion) }
