package server_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/testkit"
)

// A consumer that does not take its answer must not cost the broker its clean shutdown: the time that an orderly stop may take is not all
// spent on waiting for it.
func TestStuckConsumerLeavesTimeForACleanShutdown(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1)
	big := testkit.Batch(testkit.Record{Value: string(bytes.Repeat([]byte("x"), 1<<20-100))})
	for range 24 {
		if got := c.Produce(9, 1, "t", 0, append([]byte(nil), big...)); got.ErrorCode != 0 {
			t.Fatalf("produce: error %d", got.ErrorCode)
		}
	}
	stuck := testkit.Dial(t, b.Addr())
	q := testkit.FetchRequest(12, "t", 0, 0)
	q.Topics[0].Partitions[0].PartitionMaxBytes = 50 << 20
	stuck.Send(q)
	if _, err := stuck.Read(make([]byte, 1)); err != nil { // the answer is on its way, and larger than any socket buffer
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
	defer cancel()
	if err := b.Broker.Close(ctx); err != nil {
		t.Error(err)
	}
	b.Broker = nil
	if _, err := os.Stat(filepath.Join(b.Dir, ".kafka_cleanshutdown")); err != nil {
		t.Error(err)
	}
}

// While a Fetch waits, the next request of its connection waits too, and must not hold the memory of others for as long.
func TestRequestBehindAWaitingFetchHoldsNoMemory(t *testing.T) {
	b := testkit.Start(t, "queued.max.request.bytes=1000000", "socket.request.max.bytes=1000000")
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1)
	holder := testkit.Dial(t, b.Addr())
	fetch := testkit.FetchRequest(12, "t", 0, 0)
	fetch.MaxWaitMillis = 1 << 30
	holder.Send(fetch)
	many := kmsg.NewPtrMetadataRequest()
	many.Version = 12
	for i := range 4500 {
		rt := kmsg.NewMetadataRequestTopic()
		rt.Topic = kmsg.StringPtr(fmt.Sprint(i))
		many.Topics = append(many.Topics, rt)
	}
	holder.Send(many)
	big := testkit.Batch(testkit.Record{Value: string(bytes.Repeat([]byte("x"), 900_000))})
	for range 3 {
		if got := c.Produce(9, -1, "nowhere", 0, big); got.ErrorCode != 3 {
			t.Fatalf("produce: error %d", got.ErrorCode)
		}
	}
}

// A Fetch behind which another request waits keeps the broker from noticing that its client left; so it waits no longer than a connection
// may be idle.
func TestFetchWithARequestBehindItDoesNotWaitForWeeks(t *testing.T) {
	b := testkit.Start(t, "connections.max.idle.ms=300")
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1)
	q := testkit.FetchRequest(12, "t", 0, 0)
	q.MaxWaitMillis = 1 << 30
	fetch, behind := c.Send(q), c.Send(kmsg.NewPtrMetadataRequest())
	for _, want := range []int32{fetch, behind} {
		if got, _, err := c.Receive(); err != nil || got != want {
			t.Errorf("answer to %d, %v; want %d", got, err, want)
		}
	}
}

// What comes after a request may be nonsense; the request is answered first.
func TestAnswerComesBeforeTheConnectionClosesOverWhatFollows(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1)
	for name, nonsense := range map[string][]byte{
		"a size that is too large": {0x7f, 0, 0, 0},
		"an unknown key":           {0, 0, 0, 10, 0x7f, 0, 0, 0, 0, 0, 0, 1, 0, 0},
		"a produce of version 0":   {0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			for range 10 {
				p := testkit.Dial(t, b.Addr())
				q := testkit.ProduceRequest(9, -1, "t", 0, testkit.Batch(testkit.Record{Value: "v"}))
				p.SendBytes(append(testkit.Frame(q, 7, "test"), nonsense...))
				if id, _, err := p.Receive(); err != nil || id != 7 {
					t.Fatalf("answer %d, %v", id, err)
				}
				p.MustClose()
			}
		})
	}
}

// A Fetch that waits holds something for each partition, and incremental ones ask for all partitions of a session with a few bytes. What they
// hold together is bounded: those beyond it are answered at once.
func TestWaitingFetchesHoldBoundedMemory(t *testing.T) {
	const partitions, fetches, room = 1000, 7, 2
	b := testkit.Start(t, "queued.max.request.bytes=1000000", "socket.request.max.bytes=1000000", "log.flush=never")
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", partitions)
	q := testkit.FetchRequest(12, "t", 0, 0)
	q.MaxWaitMillis = 1 << 30
	for i := range int32(partitions - 1) {
		p := q.Topics[0].Partitions[0]
		p.Partition = i + 1
		q.Topics[0].Partitions = append(q.Topics[0].Partitions, p)
	}
	for range 2 { // what was held is given back
		sizes := make(chan int, fetches)
		for range fetches {
			c := testkit.Dial(t, b.Addr())
			c.Send(q)
			go func() {
				_, rest, err := c.Receive()
				if err != nil {
					t.Errorf("a fetch was not answered: %v", err)
				}
				sizes <- len(rest)
			}()
		}
		empty := <-sizes
		for range fetches - room - 1 {
			if n := <-sizes; n != empty {
				t.Errorf("a fetch that may not wait got %d bytes, another %d", n, empty)
			}
		}
		produced(t, c, "t", 7, "a")
		for range room {
			if n := <-sizes; n <= empty {
				t.Errorf("a fetch that waited for a record got %d bytes, those that did not wait %d", n, empty)
			}
		}
		q.Topics[0].Partitions[7].FetchOffset++
	}
}

// A client whose connection is stuck opens another and goes on with its fetch session there: the answer that nobody takes must not hold
// the session.
func TestStuckAnswerDoesNotHoldItsSession(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("big", 1)
	value := strings.Repeat("v", 900<<10)
	for range 30 {
		if got := c.Produce(9, 1, "big", 0, testkit.Batch(testkit.Record{Value: value})); got.ErrorCode != 0 {
			t.Fatalf("produce: error %d", got.ErrorCode)
		}
	}
	stuck := testkit.Dial(t, b.Addr())
	q := testkit.FetchRequest(12, "big", 0, 0)
	q.SessionEpoch = 0
	q.Topics[0].Partitions[0].PartitionMaxBytes = 50 << 20
	stuck.Send(q)
	// The head of the answer tells the session; the rest is never read.
	head := make([]byte, 4+4+1+4+2+4)
	stuck.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.ReadFull(stuck, head); err != nil {
		t.Fatal(err)
	}
	id := int32(binary.BigEndian.Uint32(head[15:]))
	again := kmsg.NewPtrFetchRequest()
	again.Version, again.MaxBytes, again.ReplicaID, again.SessionID, again.SessionEpoch, again.MinBytes = 12, 1<<10, -1, id, 1, 1
	if got := testkit.Do[*kmsg.FetchResponse](testkit.Dial(t, b.Addr()), again); got.ErrorCode != 0 || got.SessionID != id {
		t.Errorf("the session on another connection: error %d, session %d, want session %d", got.ErrorCode, got.SessionID, id)
	}
}
