package groups_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/interop/groups"
	"github.com/barnabas-mq/barnabas/interop/rig"
	"github.com/barnabas-mq/barnabas/interop/wire"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestNoticeOfMany has all members of one large group held, and one leave.
func TestNoticeOfMany(t *testing.T) {
	dir := noticeFolder(t)
	count := 10_000
	if n, err := strconv.Atoi(os.Getenv("INTEROP_MANY")); err == nil {
		count = n
	}
	broker := rig.StartT(t, rig.Barnabas, rig.Options{Properties: map[string]string{"group.initial.rebalance.delay.ms": "3000", "offsets.topic.num.partitions": "1",
		"group.prompt.notice.clients": "kgo:10000"}})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	members := make([]*rawMember, count)
	each := func(what string, do func(m *rawMember) error) {
		t.Helper()
		var wg sync.WaitGroup
		failed := make([]error, count)
		for i, m := range members {
			wg.Go(func() { failed[i] = do(m) })
		}
		wg.Wait()
		if err := errors.Join(failed...); err != nil {
			t.Fatalf("%s: %.500s", what, err)
		}
	}
	for i := range members {
		c, err := wire.Dial(ctx, broker.Addr, "many")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		members[i] = &rawMember{Conn: c}
	}
	if err := members[0].find(ctx); err != nil {
		t.Fatal(err)
	}
	each("to join", func(m *rawMember) error { return m.join(ctx) })
	each("to be assigned", func(m *rawMember) error { return m.sync(ctx) })
	usage := func() rig.Usage {
		u, err := broker.Usage()
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	memory := func() float64 { return float64(usage().RSSBytes) / float64(count) / 1024 }
	stable := memory()
	each("to send a heartbeat", func(m *rawMember) error { return m.Send(ctx, m.heartbeat()) })
	until(t, "all of them to be held", func() string {
		if n := counts(t, broker, `kafka_server_delayedoperationpurgatory_purgatorysize{delayedoperation="Group`)[`"`]; n < count {
			return fmt.Sprint(n)
		}
		return ""
	})
	held := memory()
	// One leaves. Who reads is ready before.
	answered := make([]time.Time, count)
	var wg sync.WaitGroup
	for i, m := range members[1:] {
		wg.Go(func() {
			resp, err := m.Receive(ctx, m.heartbeat())
			answered[i+1] = time.Now()
			if err != nil {
				t.Errorf("a held member: %v", err)
			} else if code := resp.(*kmsg.HeartbeatResponse).ErrorCode; code != 27 {
				t.Errorf("a held member was told %d", code)
			}
		})
	}
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Version, leave.Group, leave.MemberID = 2, "many", members[0].id
	before, began := usage().CPU, time.Now()
	if err := members[0].Send(ctx, leave); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	cpu := usage().CPU - before
	var took []float64
	for _, at := range answered[1:] {
		took = append(took, milliseconds(at.Sub(began)))
	}
	keep(t, dir, groups.Figure{Table: "many", Line: fmt.Sprintf("%d members", count), Cells: []string{strconv.Itoa(count), groups.Millis(slices.Min(took)), groups.Millis(groups.Percentile(took, 50)),
		groups.Millis(slices.Max(took)), groups.Millis(milliseconds(cpu)), fmt.Sprintf("%.1f KiB", stable), fmt.Sprintf("%.1f KiB", held)}})
}

type rawMember struct {
	*wire.Conn
	id, leader string
	generation int32
	members    []string
}

// find says what software it is, and has the coordinator be there.
func (m *rawMember) find(ctx context.Context) error {
	for {
		q := kmsg.NewPtrFindCoordinatorRequest()
		q.Version, q.CoordinatorKey = 2, "many"
		resp, err := m.Do(ctx, q)
		if err != nil {
			return err
		}
		if resp.(*kmsg.FindCoordinatorResponse).ErrorCode == 0 {
			return nil
		}
		time.Sleep(50 * time.Millisecond) // between two questions
	}
}

func (m *rawMember) join(ctx context.Context) error {
	hello := kmsg.NewPtrApiVersionsRequest()
	hello.Version, hello.ClientSoftwareName, hello.ClientSoftwareVersion = 3, "kgo", "1"
	if _, err := m.Do(ctx, hello); err != nil {
		return err
	}
	q := kmsg.NewPtrJoinGroupRequest()
	q.Version, q.Group, q.ProtocolType = 3, "many", "consumer"
	q.SessionTimeoutMillis, q.RebalanceTimeoutMillis = 10*60*1000, 10*60*1000
	q.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: []byte("m")}}
	resp, err := m.Do(ctx, q)
	if err != nil {
		return err
	}
	j := resp.(*kmsg.JoinGroupResponse)
	m.id, m.leader, m.generation = j.MemberID, j.LeaderID, j.Generation
	for _, other := range j.Members {
		m.members = append(m.members, other.MemberID)
	}
	if j.ErrorCode != 0 {
		return fmt.Errorf("JoinGroup: error %d", j.ErrorCode)
	}
	return nil
}

func (m *rawMember) sync(ctx context.Context) error {
	q := kmsg.NewPtrSyncGroupRequest()
	q.Version, q.Group, q.MemberID, q.Generation = 3, "many", m.id, m.generation
	for _, id := range m.members {
		q.GroupAssignment = append(q.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: id, MemberAssignment: []byte("x")})
	}
	resp, err := m.Do(ctx, q)
	if err != nil {
		return err
	}
	if code := resp.(*kmsg.SyncGroupResponse).ErrorCode; code != 0 {
		return fmt.Errorf("SyncGroup: error %d", code)
	}
	return nil
}

func (m *rawMember) heartbeat() kmsg.Request {
	q := kmsg.NewPtrHeartbeatRequest()
	q.Version, q.Group, q.MemberID, q.Generation = 3, "many", m.id, m.generation
	return q
}
