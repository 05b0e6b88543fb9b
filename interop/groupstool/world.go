package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/interop/rig"
	"github.com/barnabas-mq/barnabas/interop/wire"
)

// World is one broker with topics, records and groups that are the same on every broker: same names, same timestamps, made by the same clients.
type World struct {
	Addr  string
	Tool  *Tool
	Dir   string // files of the cases; the same for both brokers, since the tool prints their names
	conns []*wire.Conn
}

// Groups of the world, by what they are there for.
const (
	live       = "live"            // two Java consumers, one of them static, on topic t
	wide       = "wide"            // two static consumers for one partition: one has nothing to do
	empty      = "empty"           // was joined, committed, and left
	simple     = "simple"          // committed without joining
	several    = "several"         // committed for two topics, one of which is deleted by a case
	preparing  = "preparing"       // a second member waits, the first does not come back
	completing = "completing"      // the leader does not sync
	connect    = "connect-cluster" // another protocol type
	strange    = "grüße, 日本 \"1\"" // a name that needs quotes and has wide letters
)

// T0 is the time of the first record; the others follow second by second.
var T0 = time.Date(2026, 1, 31, 10, 0, 0, 0, time.UTC)

// NewWorld fills a broker.
func NewWorld(ctx context.Context, b *rig.Broker, t *Tool, dir string) (*World, error) {
	w := &World{Addr: b.Addr, Tool: t, Dir: dir}
	if err := w.topics(ctx); err != nil {
		return nil, fmt.Errorf("topics: %w", err)
	}
	if err := w.coordinator(ctx); err != nil {
		return nil, fmt.Errorf("coordinator: %w", err)
	}
	for _, m := range []Member{
		{Name: "s1", Group: simple, Commit: map[string]int64{"u-0": 2}},
		{Name: "s2", Group: several, Commit: map[string]int64{"t-0": 1, "t-1": 10, "gone-0": 1}},
		{Name: "s3", Group: strange, Commit: map[string]int64{"t-2": 4, "a-topic-with-more-than-24-letters-0": 1}},
		{Name: "e1", Group: empty, Topics: []string{"t"}, Owns: 3, Commit: map[string]int64{"t-0": 3, "t-1": 5, "t-2": 10}, WithEpoch: true},
		{Name: "l1", Group: live, Topics: []string{"t"}, Owns: 3, Instance: "i-1", Commit: map[string]int64{"t-0": 3, "t-2": 7}},
		{Name: "l2", Group: live, Topics: []string{"t"}, Owns: 1},
		{Name: "w1", Group: wide, Topics: []string{"u"}, Owns: 1, Instance: "i-1", Commit: map[string]int64{"u-0": 5}},
		{Name: "w2", Group: wide, Topics: []string{"u"}, Owns: 0, Instance: "i-2"},
	} {
		if err := t.Join(b.Addr, m); err != nil {
			return nil, fmt.Errorf("member %s of group %s: %w", m.Name, m.Group, err)
		}
	}
	if err := t.Leave("e1"); err != nil {
		return nil, err
	}
	for _, g := range []struct{ group, protocolType, protocol, until string }{
		{preparing, "consumer", "range", "preparing"}, {completing, "consumer", "range", "completing"}, {connect, "connect", "compatible", "stable"},
	} {
		if err := w.rawGroup(ctx, g.group, g.protocolType, g.protocol, g.until); err != nil {
			return nil, fmt.Errorf("group %s: %w", g.group, err)
		}
	}
	return w, nil
}

// Close lets go of the members, so that the same tool can look at another broker.
func (w *World) Close() error {
	for _, c := range w.conns {
		_ = c.Close()
	}
	return w.Tool.leaveAll()
}

// File writes a file for a case and returns its name.
func (w *World) File(name, text string) (string, error) {
	path := filepath.Join(w.Dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}

func (w *World) topics(ctx context.Context) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(w.Addr), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	forever := "-1"
	for _, t := range []struct {
		name       string
		partitions int32
		records    int
	}{{"t", 3, 10}, {"u", 1, 5}, {"void", 1, 0}, {"gone", 1, 2}, {"a-topic-with-more-than-24-letters", 1, 3}} {
		if _, err := adm.CreateTopic(ctx, t.partitions, 1, map[string]*string{"retention.ms": &forever}, t.name); err != nil {
			return err
		}
		for p := range t.partitions {
			for i := range t.records {
				r := &kgo.Record{Topic: t.name, Partition: p, Value: fmt.Append(nil, i), Timestamp: T0.Add(time.Duration(i) * time.Second)}
				if err := cl.ProduceSync(ctx, r).FirstErr(); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// coordinator waits until somebody coordinates groups: brokers make __consumer_offsets when they are first asked.
func (w *World) coordinator(ctx context.Context) error {
	c, err := wire.Dial(ctx, w.Addr, "groupstool")
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.Version, req.CoordinatorKeys = 4, []string{live}
		resp, err := c.Do(ctx, req)
		if err != nil {
			return err
		}
		answers := resp.(*kmsg.FindCoordinatorResponse).Coordinators
		if len(answers) == 1 && answers[0].ErrorCode == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no coordinator: %+v", answers)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// rawGroup brings a group into a state and leaves it there: its timeouts are longer than any comparison takes.
func (w *World) rawGroup(ctx context.Context, group, protocolType, protocol, until string) error {
	join := func() (*wire.Conn, *kmsg.JoinGroupRequest, error) {
		c, err := wire.Dial(ctx, w.Addr, "raw")
		if err != nil {
			return nil, nil, err
		}
		w.conns = append(w.conns, c)
		req := kmsg.NewPtrJoinGroupRequest()
		req.Version, req.Group, req.ProtocolType = 3, group, protocolType
		req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 600_000, 600_000
		meta := kmsg.NewConsumerMemberMetadata()
		meta.Topics = []string{"t"}
		p := kmsg.NewJoinGroupRequestProtocol()
		p.Name, p.Metadata = protocol, meta.AppendTo(nil)
		req.Protocols = append(req.Protocols, p)
		return c, req, c.Send(ctx, req)
	}
	c, req, err := join()
	if err != nil {
		return err
	}
	resp, err := c.Receive(ctx, req)
	if err != nil {
		return err
	}
	joined := resp.(*kmsg.JoinGroupResponse)
	if err := kerr.ErrorForCode(joined.ErrorCode); err != nil || until == "completing" {
		return err
	}
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Version, sync.Group, sync.MemberID, sync.Generation = 2, group, joined.MemberID, joined.Generation
	a := kmsg.NewSyncGroupRequestGroupAssignment()
	a.MemberID = joined.MemberID
	as := kmsg.NewConsumerMemberAssignment()
	at := kmsg.NewConsumerMemberAssignmentTopic()
	at.Topic, at.Partitions = "t", []int32{0, 1, 2}
	as.Topics = append(as.Topics, at)
	a.MemberAssignment = as.AppendTo(nil)
	sync.GroupAssignment = append(sync.GroupAssignment, a)
	synced, err := c.Do(ctx, sync)
	if err != nil {
		return err
	}
	if err := kerr.ErrorForCode(synced.(*kmsg.SyncGroupResponse).ErrorCode); err != nil || until == "stable" {
		return err
	}
	_, _, err = join() // waits for the first, which does not come back
	return err
}
