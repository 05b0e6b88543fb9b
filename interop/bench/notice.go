package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/barnabas-mq/barnabas/interop/groups"
	"github.com/barnabas-mq/barnabas/interop/rig"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// noticeRows measure what applications feel of a rebalance: three real cooperative consumers at work, a fourth joins. Heartbeats are every 3 s, the
// default of all clients. Barnabas runs with prompt notice as it comes, and without, when its timing is Kafka's. Then a pause is as good as nothing, a
// second or three, by chance (docs/adr/0006-second-round.md), so it takes more joins to tell.
func noticeRows(o options) []row {
	var rows []row
	for _, c := range groups.Clients() {
		if !c.Cooperative || c.Library == "kafka-python" || c.Library == "Java kafka-clients 3.9" {
			continue
		}
		for _, busy := range []bool{false, true} {
			for _, off := range []bool{false, true} {
				if busy && off {
					continue
				}
				name, what, times := "4th member joins, "+c.Library, "no records, so no commits", 6
				if busy {
					name, what = name+", committing", "60 records a second, committed as they come"
				}
				if off {
					name, times = name+", prompt notice off", 12
				}
				if o.quick {
					times = 1
				}
				rows = append(rows, row{name: name, group: "notice", own: true,
					probeWhat: fmt.Sprintf("%d times, on brokers that have answered group calls for a while: three cooperative members own 12 partitions, a fourth joins at a random moment, and leaves again; %s", times, what),
					probe: func(ctx context.Context, t target) (map[string]float64, error) {
						return fourthJoins(ctx, t, c, times, busy, off)
					}})
			}
		}
	}
	return rows
}

// fourthJoins times what follows the JoinGroup of a fourth member.
func fourthJoins(ctx context.Context, t target, client groups.Client, times int, busy, off bool) (map[string]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	props := properties(t.kind, fsync)
	props["group.initial.rebalance.delay.ms"], props["offsets.topic.replication.factor"] = "1000", "1"
	if off && t.kind == rig.Barnabas {
		props["group.prompt.notice.enable"] = "false"
	}
	b, err := rig.Start(ctx, t.kind, rig.Options{Properties: props, CPUs: t.o.cpus})
	if err != nil {
		return nil, err
	}
	defer b.Close()
	if err := warmGroups(ctx, t, b.Addr); err != nil {
		return nil, err
	}
	const partitions = 12
	if err := ensureTopic(ctx, b.Addr, "moves", partitions); err != nil {
		return nil, err
	}
	if busy {
		w, err := groups.NewWriter(b.Addr, "moves", partitions/2)
		if err != nil {
			return nil, err
		}
		defer w.Stop()
	}
	p := &party{client: client, broker: b, trail: groups.NewTrail(), members: map[string]*groups.Member{}}
	defer p.close()
	for _, name := range []string{"A", "B", "C"} {
		if err := p.start(name); err != nil {
			return nil, err
		}
	}
	if err := p.balanced(ctx, partitions); err != nil {
		return nil, err
	}
	var noticed, stable, paused []float64
	for range times {
		// Two intervals, so that everybody is back at work, and a moment more, so that the fourth comes at any point of one.
		time.Sleep(6*time.Second + rand.N(3*time.Second))
		before, _ := p.trail.Events()
		if err := p.start("D"); err != nil {
			return nil, err
		}
		if err := p.balanced(ctx, partitions); err != nil {
			return nil, err
		}
		began, joins := p.joins("D")
		for _, at := range joins {
			noticed = append(noticed, ms(at.Sub(began)))
		}
		events, _ := p.trail.Events()
		last, pauses := moved(events[len(before):])
		stable, paused = append(stable, ms(last.Sub(began))), append(paused, pauses...)
		if err := p.leave("D"); err != nil {
			return nil, err
		}
		if err := p.balanced(ctx, partitions); err != nil {
			return nil, err
		}
	}
	if len(noticed) == 0 || len(paused) == 0 {
		return nil, fmt.Errorf("nothing was noticed (%d) or moved (%d)", len(noticed), len(paused))
	}
	return map[string]float64{"noticed ms, mean": mean(noticed), "noticed ms, max": slices.Max(noticed), "all assigned ms, mean": mean(stable), "all assigned ms, max": slices.Max(stable),
		"pause of a moved partition ms, mean": mean(paused), "pause ms, max": slices.Max(paused)}, nil
}

// warmGroups has a broker answer the calls of groups for a while. Who hears of a rebalance when is a matter of a millisecond, and a Kafka whose code is not
// compiled yet takes several to look at a heartbeat.
func warmGroups(ctx context.Context, t target, addr string) error {
	d := time.Second
	if t.kind == rig.Kafka {
		if d = 30 * time.Second; t.o.quick {
			d = 4 * time.Second
		}
	}
	until := time.Now().Add(d)
	failed := make(chan error)
	const members = 4
	for i := range members {
		go func() { failed <- warmMember(ctx, addr, fmt.Sprint("warm-", i), until) }()
	}
	var err error
	for range members {
		err = errors.Join(err, <-failed)
	}
	return err
}

// warmMember joins groups of its own, heartbeats a while, and leaves them.
func warmMember(ctx context.Context, addr, name string, until time.Time) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ClientID(name))
	if err != nil {
		return err
	}
	defer cl.Close()
	for n := 0; time.Now().Before(until); n++ {
		join := kmsg.NewPtrJoinGroupRequest()
		join.Group, join.ProtocolType = fmt.Sprint(name, "-", n%8), "consumer"
		join.SessionTimeoutMillis, join.RebalanceTimeoutMillis = 10_000, 10_000
		join.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range"}}
		var joined *kmsg.JoinGroupResponse
		for range 2 { // the first gets an id
			if joined, err = join.RequestWith(ctx, cl); err != nil {
				return fmt.Errorf("warm up: %w", err)
			}
			join.MemberID = joined.MemberID
		}
		if err := kerr.ErrorForCode(joined.ErrorCode); err != nil {
			return fmt.Errorf("warm up: join: %w", err)
		}
		sync := kmsg.NewPtrSyncGroupRequest()
		sync.Group, sync.MemberID, sync.Generation = join.Group, joined.MemberID, joined.Generation
		sync.ProtocolType, sync.Protocol = &join.ProtocolType, &join.Protocols[0].Name
		sync.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: joined.MemberID}}
		if _, err := sync.RequestWith(ctx, cl); err != nil {
			return fmt.Errorf("warm up: %w", err)
		}
		for range 200 {
			beat := kmsg.NewPtrHeartbeatRequest()
			beat.Group, beat.MemberID, beat.Generation = join.Group, joined.MemberID, joined.Generation
			if _, err := beat.RequestWith(ctx, cl); err != nil {
				return fmt.Errorf("warm up: %w", err)
			}
		}
		leave := kmsg.NewPtrLeaveGroupRequest()
		leave.Group, leave.Members = join.Group, []kmsg.LeaveGroupRequestMember{{MemberID: joined.MemberID}}
		if _, err := leave.RequestWith(ctx, cl); err != nil {
			return fmt.Errorf("warm up: %w", err)
		}
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

func mean(v []float64) (sum float64) {
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

// party is the members of one group.
type party struct {
	client  groups.Client
	broker  *rig.Broker
	trail   *groups.Trail
	members map[string]*groups.Member
}

func (p *party) start(name string) error {
	tap, err := groups.NewTap(name, p.broker.Addr)
	if err != nil {
		return err
	}
	argv, err := p.client.Argv()
	if err != nil {
		return err
	}
	m, err := groups.StartMember(name, argv, groups.Config{Client: p.client.Name, Topic: "moves", Group: "moves", ClientID: name, Assignor: p.client.Assignor,
		SessionMs: 45_000, HeartbeatMs: 3_000, PollMaxMs: 300_000, MetadataMs: 300_000}, tap, p.trail)
	if err != nil {
		return err
	}
	p.members[name] = m
	return nil
}

// leave closes a member as its documentation says.
func (p *party) leave(name string) error {
	m := p.members[name]
	delete(p.members, name)
	defer m.Tap.Close()
	if err := m.Stop(); err != nil {
		return err
	}
	select {
	case <-m.Ended():
		return nil
	case <-time.After(30 * time.Second):
		m.Kill()
		return fmt.Errorf("%s took more than 30 s to close", name)
	}
}

func (p *party) close() {
	for _, m := range p.members {
		m.Kill()
		m.Tap.Close()
	}
}

// balanced waits until the members there are own everything.
func (p *party) balanced(ctx context.Context, partitions int) error {
	names := slices.Sorted(maps.Keys(p.members))
	for {
		events, grown := p.trail.Events()
		if groups.Balanced(events, partitions, names...) {
			return nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return fmt.Errorf("%v do not own everything: %w", names, ctx.Err())
		}
	}
}

// joins is when the newcomer's JoinGroup that begins the rebalance went out, and when the first of each other member after it did.
func (p *party) joins(newcomer string) (began time.Time, others []time.Time) {
	log, _ := p.members[newcomer].Tap.Log()
	for _, x := range log {
		// The first JoinGroup only fetches a member id (KIP-394).
		if q, ok := x.Request.(*kmsg.JoinGroupRequest); ok && q.MemberID != "" {
			began = x.Asked
			break
		}
	}
	for name, m := range p.members {
		if name == newcomer {
			continue
		}
		log, _ := m.Tap.Log()
		for _, x := range log {
			if _, ok := x.Request.(*kmsg.JoinGroupRequest); ok && x.Asked.After(began) {
				others = append(others, x.Asked)
				break
			}
		}
	}
	return began, others
}

// moved is when the last partition was assigned, and how long each one that changed hands had no owner.
func moved(events []groups.Event) (last time.Time, pauses []float64) {
	revoked := map[int32]time.Time{}
	for _, e := range events {
		for _, part := range e.Partitions {
			switch e.Kind {
			case groups.Revoked, groups.Lost:
				revoked[part] = e.Time()
			case groups.Assigned:
				if at, ok := revoked[part]; ok {
					pauses = append(pauses, ms(e.Time().Sub(at)))
					delete(revoked, part)
				}
				last = e.Time()
			}
		}
	}
	return last, pauses
}
