package server_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/assign"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/testkit"
)

// Held SyncGroups. A hold lasts a second at most, and so long may a busy machine stand still: then the answer is the assignment, which is right too. So
// these tests are content when one of many tries was not interrupted.
const secondRoundTries = 20

var syncHoldCounts = regexp.MustCompile(`barnabas_sync_hold_seconds_count\{cause="(\w+)"\} (\d+)`)

func syncHolds(t *testing.T, b *testkit.Broker) string {
	t.Helper()
	var out []string
	for _, m := range syncHoldCounts.FindAllStringSubmatch(scrape(t, b), -1) {
		out = append(out, m[1]+" "+m[2])
	}
	return strings.Join(out, ", ")
}

func ofTopic(parts []int32) []assign.TopicPartitions {
	if len(parts) == 0 {
		return nil
	}
	return []assign.TopicPartitions{{Topic: "t", Partitions: parts}}
}

// owns is what a cooperative consumer says that has these partitions.
func owns(t *testing.T, parts ...int32) string {
	t.Helper()
	b, err := assign.AppendSubscription(nil, assign.Subscription{Topics: []string{"t"}, Owned: ofTopic(parts), Generation: assign.NoGeneration}, 1)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func gets(t *testing.T, parts ...int32) string {
	t.Helper()
	b, err := assign.AppendAssignment(nil, assign.Assignment{Partitions: ofTopic(parts)}, 1)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// oneMoves is a group of two that has joined: old leads and owns 0 and 1, fresh has nothing and its SyncGroup is on the way.
func oneMoves(t *testing.T, b *testkit.Broker, group, software string) (old, fresh *groupClient, sync *kmsg.SyncGroupRequest) {
	t.Helper()
	old, fresh = newMember(t, b, group), newMember(t, b, group)
	old.alone()
	fresh.introduce(software, "1")
	fresh.getID()
	join := fresh.joinRequest(owns(t))
	fresh.Send(join)
	awaitMetric(t, b, groupsWaiting, "1")
	old.joined(testkit.Do[*kmsg.JoinGroupResponse](old.Conn, old.joinRequest(owns(t, 0, 1))))
	fresh.joined(receive[*kmsg.JoinGroupResponse](fresh, join))
	sync = fresh.syncRequest(nil)
	fresh.Send(sync)
	awaitMetric(t, b, groupsWaiting, "1")
	return old, fresh, sync
}

// receive is the next answer, which is to q.
func receive[T kmsg.Response](c *groupClient, q kmsg.Request) T {
	c.t.Helper()
	_, rest, err := c.Receive()
	if err != nil {
		c.t.Fatal(err)
	}
	return c.Decode(q, rest).(T)
}

func TestAHeldSyncTellsOfTheSecondRoundWhenItBegins(t *testing.T) {
	b := testkit.Start(t)
	for i := range secondRoundTries {
		old, fresh, sync := oneMoves(t, b, fmt.Sprint("g", i), "apache-kafka-java")
		old.sync(map[string]string{old.member: gets(t, 0)})
		old.Send(old.joinRequest(owns(t, 0)))
		got := receive[*kmsg.SyncGroupResponse](fresh, sync)
		old.Close()
		fresh.Close()
		awaitMetric(t, b, groupsWaiting, "0")
		switch code := kafka.ErrorCode(got.ErrorCode); code {
		case kafka.RebalanceInProgress:
			if got := syncHolds(t, b); !strings.Contains(got, "rebalance 1") {
				t.Errorf("holds: %s", got)
			}
			return
		case kafka.None: // a second has passed
		default:
			t.Fatalf("answered %s", code)
		}
	}
	t.Errorf("never told: %s", syncHolds(t, b))
}

func TestNothingWaitsBehindAHeldSync(t *testing.T) {
	b := testkit.Start(t)
	for i := range secondRoundTries {
		old, fresh, sync := oneMoves(t, b, fmt.Sprint("g", i), "kgo")
		old.sync(map[string]string{old.member: gets(t, 0)})
		fresh.Send(fresh.heartbeatRequest())
		if got := receive[*kmsg.SyncGroupResponse](fresh, sync); got.ErrorCode != 0 || string(got.MemberAssignment) != "" {
			t.Fatalf("%+v", got)
		}
		leave := kmsg.NewPtrLeaveGroupRequest() // the heartbeat may be held in its turn
		leave.Version, leave.Group, leave.MemberID = 2, fresh.group, fresh.member
		fresh.Send(leave)
		if code := fresh.beaten(); code != kafka.None {
			t.Fatalf("the heartbeat is answered %s", code)
		}
		if got := receive[*kmsg.LeaveGroupResponse](fresh, leave); got.ErrorCode != 0 {
			t.Fatalf("%+v", got)
		}
		if strings.Contains(syncHolds(t, b), "request 1") {
			return
		}
	}
	t.Errorf("never released: %s", syncHolds(t, b))
}

// While it waits for the leader a SyncGroup is not held, and what comes behind it is taken up: a member may leave.
func TestAMemberMayLeaveWhileItsSyncWaitsForTheLeader(t *testing.T) {
	b := testkit.Start(t)
	_, fresh, sync := oneMoves(t, b, "g", "apache-kafka-java")
	fresh.Send(fresh.heartbeatRequest())
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Version, leave.Group, leave.MemberID = 2, "g", fresh.member
	fresh.Send(leave)
	if got := receive[*kmsg.SyncGroupResponse](fresh, sync); kafka.ErrorCode(got.ErrorCode) != kafka.RebalanceInProgress && kafka.ErrorCode(got.ErrorCode) != kafka.UnknownMemberID {
		t.Errorf("%+v", got)
	}
	if code := fresh.beaten(); code != kafka.None {
		t.Errorf("the heartbeat is answered %s", code)
	}
	if got := receive[*kmsg.LeaveGroupResponse](fresh, leave); got.ErrorCode != 0 {
		t.Errorf("%+v", got)
	}
	if got := syncHolds(t, b); got != "" {
		t.Errorf("holds: %s", got)
	}
}

func TestWhoseSyncIsNotHeld(t *testing.T) {
	for _, c := range []struct{ name, software, setting string }{
		{"who is not on the list", "sarama", "group.prompt.notice.enable=true"},
		{"librdkafka, which does not join again at once", "librdkafka", "group.prompt.notice.enable=true"},
		{"nobody, when the switch is off", "apache-kafka-java", "group.prompt.notice.enable=false"},
	} {
		b := testkit.Start(t, c.setting)
		old, fresh, sync := oneMoves(t, b, "g", c.software)
		old.sync(map[string]string{old.member: gets(t, 0)})
		if got := receive[*kmsg.SyncGroupResponse](fresh, sync); got.ErrorCode != 0 {
			t.Errorf("%s: %+v", c.name, got)
		}
		if got := syncHolds(t, b); got != "" {
			t.Errorf("%s: holds %s", c.name, got)
		}
	}
}

func TestAHeldSyncIsAnsweredByItself(t *testing.T) {
	b := testkit.Start(t, "group.prompt.notice.clients=kgo:500")
	old, fresh, sync := oneMoves(t, b, "g", "kgo")
	old.sync(map[string]string{old.member: gets(t, 0)})
	if got := receive[*kmsg.SyncGroupResponse](fresh, sync); got.ErrorCode != 0 {
		t.Errorf("%+v", got)
	}
	if got := syncHolds(t, b); got != "bound 1" {
		t.Errorf("holds: %s", got)
	}
}

func TestStoppingTheBrokerAnswersHeldSyncs(t *testing.T) {
	b := testkit.Start(t)
	old, fresh, sync := oneMoves(t, b, "g", "kgo")
	old.sync(map[string]string{old.member: gets(t, 0)})
	stopped := make(chan struct{})
	go func() { b.Stop(); close(stopped) }()
	if code := kafka.ErrorCode(receive[*kmsg.SyncGroupResponse](fresh, sync).ErrorCode); code != kafka.NotCoordinator && code != kafka.None {
		t.Errorf("answered %s", code)
	}
	select {
	case <-stopped:
	case <-time.After(heldHang):
		t.Error("the broker does not stop")
	}
}
