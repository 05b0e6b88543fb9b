package broker_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/activity"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/testkit"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// A fetch leaves evidence: what was delivered to which client, and its connections.
func TestFetchesLeaveEvidence(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("orders", 1)
	before := vtime.FromTime(time.Now())
	c.Produce(9, -1, "orders", 0, testkit.Batch(testkit.Record{Value: "a"}, testkit.Record{Value: "b"}, testkit.Record{Value: "c"}))
	who := activity.Client{ID: "test", Host: "/127.0.0.1"}
	tp := kafka.TopicPartition{Topic: "orders"}
	if _, ok := b.Activity().Seen(who, tp); ok {
		t.Error("seen before the first fetch")
	}
	q := testkit.FetchRequest(12, "orders", 0, 3)
	q.MaxWaitMillis = 1
	testkit.Do[*kmsg.FetchResponse](c, q)
	seen, _ := b.Activity().Seen(who, tp)
	if seen.Fetched.Before(before) || seen.Delivered != 0 {
		t.Errorf("after an empty fetch: %+v", seen)
	}
	c.Fetch("orders", 0, 1)
	seen, _ = b.Activity().Seen(who, tp)
	if diff := cmp.Diff(activity.Seen{Next: 3}, seen, cmpopts.IgnoreFields(activity.Seen{}, "Fetched", "Delivered")); diff != "" || seen.Delivered.Before(before) {
		t.Errorf("after a fetch of all: %+v\n%s", seen, diff)
	}
	if got, _ := b.Activity().Connections(who); got.Open != 1 {
		t.Errorf("connections: %+v", got)
	}
	c.Close()
	for {
		got, _ := b.Activity().Connections(who)
		if got.Open == 0 && !got.Closed.Before(before) {
			return
		}
		if t.Context().Err() != nil {
			t.Fatalf("the connection is closed, and still counted: %+v", got)
		}
		time.Sleep(time.Millisecond)
	}
}
