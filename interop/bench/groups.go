package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/barnabas-mq/barnabas/interop/rig"
	"github.com/barnabas-mq/barnabas/interop/wire"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// groupRows are the measurements of the group coordinator, over raw connections: what a member costs when nothing happens, what a rebalance of
// many costs, and how fast offsets are written and read back.
func groupRows(o options) []row {
	groups, members, seconds, big, stored, commits := 1000, 100, 30, 10_000, 1_000_000, 300_000
	if o.quick {
		groups, members, seconds, big, stored, commits = 20, 20, 5, 500, 20_000, 5_000
	}
	rows := []row{
		{name: fmt.Sprintf("heartbeats of %d members in %d groups", groups*members, groups), group: "groups", own: true,
			probeWhat: fmt.Sprintf("%d groups of %d members on %d connections, a heartbeat of each every 3 s for %d s; the broker on one CPU, Kafka with a heap of 3 GiB", groups, members, groups, seconds),
			probe: func(ctx context.Context, t target) (map[string]float64, error) {
				return heartbeats(ctx, t, groups, members, time.Duration(seconds)*time.Second)
			}},
		{name: fmt.Sprintf("rebalance of a group of %d", big), group: "groups", own: true,
			probeWhat: fmt.Sprintf("%d members on as many connections: everybody joins again, the leader hands in 100 bytes for each, everybody has theirs; Kafka with message.max.bytes of 16 MiB, since its default ends a group near 3,600 members", big),
			probe:     func(ctx context.Context, t target) (map[string]float64, error) { return rebalance(ctx, t, big) }},
		{name: fmt.Sprintf("load of %d committed offsets", stored), group: "groups", own: true,
			probeWhat: "exec to OffsetFetch answering in every group, after a clean shutdown; beside it the same start without groups",
			probe:     func(ctx context.Context, t target) (map[string]float64, error) { return loadOffsets(ctx, t, stored) }},
	}
	for _, p := range []promise{pageCache, fsync} {
		for _, clients := range []int{200, 1000} {
			rows = append(rows, row{name: fmt.Sprintf("offset commits of %d clients, %s", clients, p), group: "groups", own: true,
				probeWhat: fmt.Sprintf("%d OffsetCommit requests of one partition each, one at a time on each of %d connections, a group each", commits, clients),
				probe: func(ctx context.Context, t target) (map[string]float64, error) {
					return offsetCommits(ctx, t, p, clients, commits)
				}})
		}
	}
	return rows
}

// setupMax bounds how long members may take to come together before anything is measured. A broker on one CPU needs minutes for a hundred thousand.
const setupMax = 8 * time.Minute

// groupBroker starts a broker for groups. more may change what is set.
func groupBroker(ctx context.Context, t target, p promise, cpus string, more func(*rig.Options)) (*rig.Broker, error) {
	opts := rig.Options{Properties: properties(t.kind, p), CPUs: cpus}
	opts.Properties["group.initial.rebalance.delay.ms"] = "0"
	opts.Properties["offsets.topic.replication.factor"] = "1"
	if more != nil {
		more(&opts)
	}
	b, err := rig.Start(ctx, t.kind, opts)
	if err != nil {
		return nil, err
	}
	if err := findCoordinator(ctx, b.Addr); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// findCoordinator asks until a coordinator answers: the first ask creates the topic.
func findCoordinator(ctx context.Context, addr string) error {
	c, err := wire.Dial(ctx, addr, "bench")
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		q := kmsg.NewPtrFindCoordinatorRequest()
		q.Version, q.CoordinatorKey = 3, "probe"
		r, err := c.Do(ctx, q)
		if err != nil {
			return err
		}
		code := r.(*kmsg.FindCoordinatorResponse).ErrorCode
		if code == 0 {
			f := kmsg.NewPtrOffsetFetchRequest()
			f.Version, f.Group = 7, "probe"
			r, err := c.Do(ctx, f)
			if err != nil {
				return err
			}
			if code = r.(*kmsg.OffsetFetchResponse).ErrorCode; code == 0 {
				return nil
			}
		}
		if ctx.Err() != nil {
			return fmt.Errorf("no coordinator: error code %d", code)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// dialMany opens connections, some at a time: Kafka has room for fifty that it has not taken up. Each asks something, as every client does first;
// then it is known to have been taken up.
func dialMany(ctx context.Context, addr string, n int) ([]*wire.Conn, error) {
	conns := make([]*wire.Conn, n)
	return conns, each(n, 20, func(i int) (err error) {
		if conns[i], err = wire.Dial(ctx, addr, "bench"); err == nil {
			_, err = conns[i].Do(ctx, smallRequest("ApiVersions"))
		}
		return err
	})
}

func closeAll(conns []*wire.Conn) {
	for _, c := range conns {
		if c != nil {
			c.Close()
		}
	}
}

// each calls f for 0 to n-1, some at a time.
func each(n, parallel int, f func(i int) error) error {
	var wg sync.WaitGroup
	errs := make([]error, n)
	slots := make(chan struct{}, parallel)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = f(i)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// subscription is what a consumer of one topic says when it joins, with a byte of user data. A member that says something new brings the others
// together again; one that says what it said before is answered at once.
func subscription(round byte) []byte {
	return []byte{0, 1, 0, 0, 0, 1, 0, 4, 'l', 'o', 'a', 'd', 0, 0, 0, 1, round, 0, 0, 0, 0}
}

func joinRequest(group, member string, round byte) *kmsg.JoinGroupRequest {
	q := kmsg.NewPtrJoinGroupRequest()
	q.Version, q.Group, q.MemberID, q.ProtocolType = 3, group, member, "consumer"
	q.SessionTimeoutMillis, q.RebalanceTimeoutMillis = 1_800_000, 300_000
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name, p.Metadata = "range", subscription(round)
	q.Protocols = append(q.Protocols, p)
	return q
}

// seat is a member that has its assignment.
type seat struct {
	member     string
	generation int32
}

// gathering is members that come together. Whoever has an assignment waits for the others: if it went, those who come late would wait for it.
type gathering struct {
	mu     sync.Mutex
	seated map[int32]int // members with an assignment, by generation
	all    chan struct{} // closed once everybody has one of the same generation
	once   sync.Once
}

// seat counts a member in, or out again.
func (g *gathering) seat(generation int32, change, members int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.seated[generation] += change; g.seated[generation] == members {
		g.once.Do(func() { close(g.all) })
	}
}

// heartbeatEvery is heartbeat.interval.ms of Kafka's clients.
const heartbeatEvery = 3 * time.Second

// gather makes a group of one member per connection, or brings the members there are together again.
func gather(ctx context.Context, group string, conns []*wire.Conn, seats []seat, round byte) error {
	g := gathering{seated: map[int32]int{}, all: make(chan struct{})}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { // one that fails does not leave the others waiting
		for _, c := range conns {
			c.Net().SetDeadline(time.Unix(1, 0))
		}
	})()
	err := each(len(conns), len(conns), func(i int) error {
		for ctx.Err() == nil {
			seated, err := joinAndSync(ctx, group, conns[i], &seats[i], round)
			if err == nil && seated {
				g.seat(seats[i].generation, 1, len(conns))
				seated, err = g.wait(ctx, group, conns[i], seats[i])
				if err == nil && !seated {
					g.seat(seats[i].generation, -1, len(conns))
				}
			}
			if err != nil {
				cancel(err)
				return err
			}
			if seated {
				return nil
			}
		}
		return ctx.Err()
	})
	if err != nil {
		return context.Cause(ctx) // what the first of them met
	}
	return nil
}

// joinAndSync is one attempt to get an assignment; not seated means that another round has begun.
func joinAndSync(ctx context.Context, group string, c *wire.Conn, s *seat, round byte) (seated bool, err error) {
	r, err := c.Do(ctx, joinRequest(group, s.member, round))
	if err != nil {
		return false, err
	}
	joined := r.(*kmsg.JoinGroupResponse)
	s.member, s.generation = joined.MemberID, joined.Generation
	if code := joined.ErrorCode; code != 0 {
		return again(code, "JoinGroup", group)
	}
	q := kmsg.NewPtrSyncGroupRequest()
	q.Version, q.Group, q.Generation, q.MemberID = 2, group, joined.Generation, joined.MemberID
	if joined.LeaderID == joined.MemberID {
		assignment := make([]byte, 100)
		for _, m := range joined.Members {
			a := kmsg.NewSyncGroupRequestGroupAssignment()
			a.MemberID, a.MemberAssignment = m.MemberID, assignment
			q.GroupAssignment = append(q.GroupAssignment, a)
		}
	}
	a, err := c.Do(ctx, q)
	if err != nil {
		return false, err
	}
	if code := a.(*kmsg.SyncGroupResponse).ErrorCode; code != 0 {
		return again(code, "SyncGroup", group)
	}
	return true, nil
}

// again is what a member makes of an error code: nothing, if a rebalance is under way that it is to join.
func again(code int16, what, group string) (seated bool, err error) {
	if code == 27 {
		return false, nil
	}
	return false, fmt.Errorf("%s of %s: error code %d", what, group, code)
}

// wait heartbeats until everybody has an assignment; not seated means that another round has begun.
func (g *gathering) wait(ctx context.Context, group string, c *wire.Conn, s seat) (seated bool, err error) {
	tick := time.NewTicker(heartbeatEvery)
	defer tick.Stop()
	for {
		select {
		case <-g.all:
			return true, nil
		case <-ctx.Done():
			return false, ctx.Err()
		case <-tick.C:
		}
		q := kmsg.NewPtrHeartbeatRequest()
		q.Version, q.Group, q.MemberID, q.Generation = 4, group, s.member, s.generation
		r, err := c.Do(ctx, q)
		if err != nil {
			return false, err
		}
		if code := r.(*kmsg.HeartbeatResponse).ErrorCode; code != 0 {
			return again(code, "Heartbeat", group)
		}
	}
}

// heartbeats fills the groups, then measures the broker while all members do nothing but heartbeat.
func heartbeats(ctx context.Context, t target, groups, members int, d time.Duration) (map[string]float64, error) {
	b, err := groupBroker(ctx, t, pageCache, "0", func(o *rig.Options) {
		o.Properties["group.initial.rebalance.delay.ms"], o.HeapMiB = "500", 3<<10
	})
	if err != nil {
		return nil, err
	}
	defer b.Close()
	conns, err := dialMany(ctx, b.Addr, max(groups, members))
	if err != nil {
		return nil, err
	}
	defer closeAll(conns)
	empty, err := settledRSS(ctx, b)
	if err != nil {
		return nil, err
	}
	// A connection can wait for one join at a time, so the members of a group join over a connection each. That takes as long as it takes.
	patient, cancel := context.WithTimeout(ctx, setupMax)
	defer cancel()
	seats := make([][]seat, groups)
	lanes := len(conns) / members
	for first := 0; first < groups; first += lanes {
		if err := each(min(lanes, groups-first), lanes, func(lane int) error {
			seats[first+lane] = make([]seat, members)
			return gather(patient, fmt.Sprint("group-", first+lane), conns[lane*members:(lane+1)*members], seats[first+lane], 1)
		}); err != nil {
			return nil, err
		}
	}
	full, err := settledRSS(ctx, b)
	if err != nil {
		return nil, err
	}
	before, err := b.Usage()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	sent := make([]int, groups)
	pause := heartbeatEvery / time.Duration(members)
	err = each(groups, groups, func(g int) error {
		q := kmsg.NewPtrHeartbeatRequest()
		q.Version, q.Group = 4, fmt.Sprint("group-", g)
		next := began.Add(pause * time.Duration(g) / time.Duration(groups))
		for i := 0; ; i++ {
			time.Sleep(time.Until(next))
			if next = next.Add(pause); time.Since(began) >= d {
				return nil
			}
			s := seats[g][i%members]
			q.MemberID, q.Generation = s.member, s.generation
			r, err := conns[g].Do(ctx, q)
			if err != nil {
				return err
			}
			if code := r.(*kmsg.HeartbeatResponse).ErrorCode; code != 0 {
				return fmt.Errorf("heartbeat: error code %d", code)
			}
			sent[g]++
		}
	})
	if err != nil {
		return nil, err
	}
	took := time.Since(began)
	after, err := b.Usage()
	if err != nil {
		return nil, err
	}
	total := 0
	for _, n := range sent {
		total += n
	}
	cpu := after.CPU - before.CPU
	return map[string]float64{"heartbeats/s": float64(total) / took.Seconds(), "CPU us/heartbeat": float64(cpu.Microseconds()) / float64(total),
		"CPU % of a core": 100 * cpu.Seconds() / took.Seconds(), "KiB/member": (full - empty) * 1024 / float64(groups*members)}, nil
}

// rebalance measures the second round of one large group.
func rebalance(ctx context.Context, t target, members int) (map[string]float64, error) {
	b, err := groupBroker(ctx, t, pageCache, t.o.cpus, func(o *rig.Options) {
		o.Properties["group.initial.rebalance.delay.ms"] = "5000"
		if t.kind == rig.Kafka {
			o.Properties["message.max.bytes"] = strconv.Itoa(16 << 20)
		}
	})
	if err != nil {
		return nil, err
	}
	defer b.Close()
	ctx, cancel := context.WithTimeout(ctx, setupMax)
	defer cancel()
	conns, err := dialMany(ctx, b.Addr, members)
	if err != nil {
		return nil, err
	}
	defer closeAll(conns)
	seats := make([]seat, members)
	if err := gather(ctx, "big", conns, seats, 1); err != nil {
		return nil, err
	}
	before, err := b.Usage()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := gather(ctx, "big", conns, seats, 2); err != nil {
		return nil, err
	}
	took := time.Since(began)
	after, err := b.Usage()
	if err != nil {
		return nil, err
	}
	cpu := after.CPU - before.CPU
	return map[string]float64{"ms": float64(took.Milliseconds()), "CPU ms": float64(cpu.Milliseconds()), "CPU us/member": float64(cpu.Microseconds()) / float64(members)}, nil
}

const offsetsPerGroup = 1000

func commitRequest(group, topic string, partitions int32) *kmsg.OffsetCommitRequest {
	q := kmsg.NewPtrOffsetCommitRequest()
	q.Version, q.Group, q.Generation = 7, group, -1
	rt := kmsg.NewOffsetCommitRequestTopic()
	rt.Topic = topic
	for p := range partitions {
		rp := kmsg.NewOffsetCommitRequestTopicPartition()
		rp.Partition, rp.Offset = p, 42
		rt.Partitions = append(rt.Partitions, rp)
	}
	q.Topics = append(q.Topics, rt)
	return q
}

func commit(ctx context.Context, c *wire.Conn, q *kmsg.OffsetCommitRequest) error {
	r, err := c.Do(ctx, q)
	if err != nil {
		return err
	}
	return committed(r)
}

func committed(r kmsg.Response) error {
	for _, rt := range r.(*kmsg.OffsetCommitResponse).Topics {
		for _, p := range rt.Partitions {
			if p.ErrorCode != 0 {
				return fmt.Errorf("OffsetCommit: error code %d", p.ErrorCode)
			}
		}
	}
	return nil
}

// loadOffsets times the start of a node that has to read many offsets back, and of one that has none but the same topics.
func loadOffsets(ctx context.Context, t target, stored int) (map[string]float64, error) {
	b, err := groupBroker(ctx, t, pageCache, t.o.cpus, nil)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	if err := ensureTopic(ctx, b.Addr, "many", offsetsPerGroup); err != nil {
		return nil, err
	}
	groups := stored / offsetsPerGroup
	start := func() (float64, error) {
		if err := b.Stop(); err != nil {
			return 0, err
		}
		if err := b.Restart(ctx); err != nil {
			return 0, err
		}
		err := each(groups, 8, func(g int) error { return fetchAll(ctx, b, fmt.Sprint("group-", g)) })
		return time.Since(b.Started()).Seconds() * 1e3, err
	}
	bare, err := start()
	if err != nil {
		return nil, err
	}
	conns, err := dialMany(ctx, b.Addr, 8)
	if err != nil {
		return nil, err
	}
	lane := make(chan *wire.Conn, len(conns))
	for _, c := range conns {
		lane <- c
	}
	err = each(groups, len(conns), func(g int) error {
		c := <-lane
		defer func() { lane <- c }()
		return commit(ctx, c, commitRequest(fmt.Sprint("group-", g), "many", offsetsPerGroup))
	})
	closeAll(conns)
	if err != nil {
		return nil, err
	}
	full, err := start()
	if err != nil {
		return nil, err
	}
	u, err := b.Usage()
	if err != nil {
		return nil, err
	}
	return map[string]float64{"ms": full, "ms without offsets": bare, "offsets": float64(groups * offsetsPerGroup), "MiB": float64(u.RSSBytes) / (1 << 20)}, nil
}

// fetchAll asks until the coordinator of the group has loaded.
func fetchAll(ctx context.Context, b *rig.Broker, group string) error {
	c, err := wire.Dial(ctx, b.Addr, "bench")
	if err != nil {
		return err
	}
	defer c.Close()
	for ctx.Err() == nil {
		q := kmsg.NewPtrOffsetFetchRequest()
		q.Version, q.Group = 7, group
		rt := kmsg.NewOffsetFetchRequestTopic()
		rt.Topic, rt.Partitions = "many", []int32{0}
		q.Topics = append(q.Topics, rt)
		r, err := c.Do(ctx, q)
		if err != nil {
			return err
		}
		switch code := r.(*kmsg.OffsetFetchResponse).ErrorCode; code {
		case 0:
			return nil
		case 14, 15, 16: // it is loading, or about to
			time.Sleep(2 * time.Millisecond)
		default:
			return fmt.Errorf("OffsetFetch of %s: error code %d", group, code)
		}
	}
	return ctx.Err()
}

// offsetCommits measures commits of clients that wait for each.
func offsetCommits(ctx context.Context, t target, p promise, clients, total int) (map[string]float64, error) {
	b, err := groupBroker(ctx, t, p, t.o.cpus, nil)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	if err := ensureTopic(ctx, b.Addr, "one", 1); err != nil {
		return nil, err
	}
	conns, err := dialMany(ctx, b.Addr, clients)
	if err != nil {
		return nil, err
	}
	defer closeAll(conns)
	commits := make([]*wire.Repeat, clients)
	if err := each(clients, clients, func(i int) error {
		r, answer, err := conns[i].Repeat(ctx, commitRequest(fmt.Sprint("group-", i), "one", 1))
		if err != nil {
			return err
		}
		commits[i] = r
		return committed(answer)
	}); err != nil {
		return nil, err
	}
	work := func(n int) error {
		return each(clients, clients, func(i int) error {
			for range n / clients {
				if err := commits[i].Again(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := work(max(total/5, clients)); err != nil {
		return nil, err
	}
	before, err := b.Usage()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := work(total); err != nil {
		return nil, err
	}
	took := time.Since(began)
	after, err := b.Usage()
	if err != nil {
		return nil, err
	}
	return map[string]float64{"commits/s": float64(total) / took.Seconds(), "CPU us/commit": float64((after.CPU - before.CPU).Microseconds()) / float64(total)}, nil
}
