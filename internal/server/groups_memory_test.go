package server_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/testkit"
)

// memberBytes is how much live memory one more member may add to a broker, its connection aside: all that remember it count, the coordinator, its
// timers, the journal and the console. The process grows by up to twice that, since the collector lets the heap double.
const memberBytes = 1200

// TestMemoryOfAnIdleMember fills a broker with members and counts the bytes that stay. Whoever forgets something later than at once has its time.
func TestMemoryOfAnIdleMember(t *testing.T) {
	c := newCrowd(t, 40, 100)
	before := live()
	c.gather()
	patience := time.Now().Add(30 * time.Second)
	for {
		c.br.Logs.Take()
		got := (live() - before) / c.size()
		if got < memberBytes*slack {
			t.Logf("%d bytes per member", got)
			return
		}
		if time.Now().After(patience) {
			t.Fatalf("%d bytes per member, want less than %d", got, memberBytes*slack)
		}
	}
}

// BenchmarkIdleMember is the same as a number.
func BenchmarkIdleMember(b *testing.B) {
	least := int64(1) << 62
	for b.Loop() {
		c := newCrowd(b, 100, 100)
		before := live()
		c.gather()
		for range 20 {
			c.br.Logs.Take()
			least = min(least, (live()-before)/c.size())
			time.Sleep(50 * time.Millisecond) // for the journal, which is behind
		}
	}
	b.ReportMetric(float64(least), "B/member")
}

// live is the heap that is reachable.
func live() int64 {
	runtime.GC()
	runtime.GC() // what pools have goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// crowd is groups of equal size whose members share connections: one of each group on every connection.
type crowd struct {
	t       testing.TB
	br      *testkit.Broker
	conns   []*testkit.Conn
	members [][]groupClient // by group and connection
}

func newCrowd(t testing.TB, groups, members int) *crowd {
	br := testkit.Start(t, "group.initial.rebalance.delay.ms=0", "log.flush=never")
	c := &crowd{t: t, br: br, members: make([][]groupClient, groups)}
	for range members {
		c.conns = append(c.conns, testkit.Dial(t, br.Addr()))
	}
	for g := range groups {
		for _, conn := range c.conns {
			c.members[g] = append(c.members[g], groupClient{Conn: conn, t: t, group: fmt.Sprint("group-", g), version: 3})
		}
		awaitCoordinator(t, c.conns[0], c.members[g][0].group)
	}
	return c
}

func (c *crowd) size() int64 { return int64(len(c.members) * len(c.conns)) }

// gather makes every group Stable with all its members: the first joins alone, the others behind it, and when all are there it joins again.
func (c *crowd) gather() {
	first, rest := c.conns[:1], c.conns[1:]
	c.join(first)
	c.joined(first)
	c.sync(first)
	c.join(rest)
	admin := testkit.Dial(c.t, c.conns[0].RemoteAddr().String())
	for g := range c.members {
		q := kmsg.NewPtrDescribeGroupsRequest()
		q.Version, q.Groups = 5, []string{c.members[g][0].group}
		for len(testkit.Do[*kmsg.DescribeGroupsResponse](admin, q).Groups[0].Members) < len(c.conns) {
			runtime.Gosched()
		}
	}
	c.join(first)
	c.joined(first)
	c.joined(rest)
	c.sync(c.conns)
	admin.Close()
	c.each(c.conns, func(_ int, m *groupClient) { m.member = "" }) // which would count as the broker's
}

// each goes over the members of some connections, all of a connection one after another.
func (c *crowd) each(conns []*testkit.Conn, f func(g int, m *groupClient)) {
	for i := range c.conns {
		for g := range c.members {
			if m := &c.members[g][i]; len(conns) == len(c.conns) || (len(conns) == 1) == (i == 0) {
				f(g, m)
			}
		}
	}
}

func (c *crowd) join(conns []*testkit.Conn) {
	said := kmsg.ConsumerMemberMetadata{Version: 1, Topics: []string{"orders"}}
	c.each(conns, func(_ int, m *groupClient) { m.Send(m.longJoin(string(said.AppendTo(nil)))) })
}

// longJoin is a join of a member that may be silent for as long as the test takes.
func (c *groupClient) longJoin(metadata string) *kmsg.JoinGroupRequest {
	q := c.joinRequest(metadata)
	q.SessionTimeoutMillis, q.RebalanceTimeoutMillis = 1_800_000, 300_000
	return q
}

func (c *crowd) joined(conns []*testkit.Conn) {
	q := c.members[0][0].joinRequest("")
	c.each(conns, func(_ int, m *groupClient) {
		got := crowdAnswer[*kmsg.JoinGroupResponse](c.t, m, q)
		if got.ErrorCode != 0 {
			c.t.Fatalf("join: %+v", got)
		}
		m.member, m.generation = got.MemberID, got.Generation
	})
}

func (c *crowd) sync(conns []*testkit.Conn) {
	c.each(conns, func(g int, m *groupClient) {
		var parts map[string]string
		if m == &c.members[g][0] {
			parts = map[string]string{}
			for i := range len(conns) {
				parts[c.members[g][i].member] = string(make([]byte, 40))
			}
		}
		m.Send(m.syncRequest(parts))
	})
	q := c.members[0][0].syncRequest(nil)
	c.each(conns, func(_ int, m *groupClient) {
		if got := crowdAnswer[*kmsg.SyncGroupResponse](c.t, m, q); got.ErrorCode != 0 || len(got.MemberAssignment) != 40 {
			c.t.Fatalf("sync: %+v", got)
		}
	})
}

func crowdAnswer[R kmsg.Response](t testing.TB, m *groupClient, q kmsg.Request) R {
	t.Helper()
	_, rest, err := m.Receive()
	if err != nil {
		t.Fatal(err)
	}
	return m.Decode(q, rest).(R)
}
