package activity

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

var (
	a  = Client{"billing", "/10.0.0.1"}
	tp = kafka.TopicPartition{Topic: "orders", Partition: 3}
)

func at(s int) vtime.Instant { return vtime.FromMillis(1_000_000).Add(time.Duration(s) * time.Second) }

func TestWhatAClientFetchedLast(t *testing.T) {
	tr := New(10)
	if _, ok := tr.Seen(a, tp); ok {
		t.Error("something is known of a stranger")
	}
	r := tr.Reading(a, tp, at(0))
	r.Fetched(at(1))
	r.Delivered(at(2), 500)
	r.Fetched(at(3))
	got, _ := tr.Seen(a, tp)
	if diff := cmp.Diff(Seen{Fetched: at(3), Delivered: at(2), Next: 500}, got); diff != "" {
		t.Error(diff)
	}
	if tr.Reading(a, tp, at(4)) != r {
		t.Error("the same client and partition have two memories")
	}
	tr.Watch(a, tp, at(5))
	if got, _ := tr.Seen(a, tp); got.Again != 0 {
		t.Errorf("fetched again at %v without a fetch", got.Again)
	}
	r.Fetched(at(6))
	r.Fetched(at(7))
	if got, _ := tr.Seen(a, tp); got.Again != at(6) {
		t.Errorf("fetched again at %v, want the first fetch after the watch began", got.Again)
	}
}

func TestTheMemoryIsBoundedAndTheIdleMakeWay(t *testing.T) {
	tr := New(16)
	for i := range int32(16) {
		tr.Reading(a, kafka.TopicPartition{Topic: "orders", Partition: i}, at(int(i)))
	}
	if r := tr.Reading(a, kafka.TopicPartition{Topic: "late"}, at(20)); r != nil {
		t.Error("there was room although all are at work")
	} else {
		r.Fetched(at(21)) // and this does nothing
		r.Delivered(at(21), 1)
	}
	if tr.Dropped() != 1 {
		t.Errorf("dropped %d", tr.Dropped())
	}
	later := at(16).Add(idle)
	if tr.Reading(a, kafka.TopicPartition{Topic: "late"}, later) == nil {
		t.Error("the idle ones did not make way")
	}
	if _, ok := tr.Seen(a, kafka.TopicPartition{Topic: "orders", Partition: 0}); ok {
		t.Error("the one idle longest is still there")
	}
	if _, ok := tr.Seen(a, kafka.TopicPartition{Topic: "orders", Partition: 15}); !ok {
		t.Error("more than needed was forgotten")
	}
}

func TestConnectionsOfAClient(t *testing.T) {
	tr := New(2)
	tr.Opened(a)
	tr.Opened(a)
	tr.Closed(a, at(5))
	got, _ := tr.Connections(a)
	if diff := cmp.Diff(Connections{1, at(5)}, got); diff != "" {
		t.Error(diff)
	}
	tr.Closed(a, at(6))
	tr.Closed(a, at(7)) // one too many
	for i := range 5 {
		tr.Opened(Client{ID: fmt.Sprint(i)})
	}
	if n := len(tr.clients); n != 2 {
		t.Errorf("%d clients are remembered, the limit is 2", n)
	}
	if _, ok := tr.Connections(a); ok {
		t.Error("who has no connection makes way for who has")
	}
}

func TestAFetchAllocatesNothing(t *testing.T) {
	tr := New(10)
	r := tr.Reading(a, tp, at(0))
	if n := testing.AllocsPerRun(100, func() {
		tr.Reading(a, tp, at(1)).Fetched(at(1))
		r.Delivered(at(2), 7)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
