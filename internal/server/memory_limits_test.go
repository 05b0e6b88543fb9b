package server_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/barnabastest"
	"github.com/barnabas-mq/barnabas/internal/testkit"
)

// settled is what this process holds after garbage was collected, pools included: live objects and stacks.
func settled() int64 {
	for range 3 {
		runtime.GC()
	}
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64() + s[1].Value.Uint64())
}

// peak calls do and returns by how much the memory in use rose meanwhile, at most, over what it was before. It collects garbage before
// each look: what counts is what is held, not what a busy collector has not come to yet.
func peak(do func()) int64 {
	before := settled()
	done := make(chan struct{})
	most := make(chan int64)
	go func() {
		top := before
		for {
			select {
			case <-done:
				most <- top - before
				return
			default:
				top = max(top, settled())
			}
		}
	}()
	do()
	close(done)
	return <-most
}

// Forty requests of 4 MiB at once, and room for two: all are answered, and memory stays within the bound.
func TestManyLargeRequestsAtOnceStayWithinTheirMemory(t *testing.T) {
	const requests, size, room = 40, 4 << 20, 8 << 20
	b := testkit.Start(t, "queued.max.request.bytes=8388608", "socket.request.max.bytes=8388608", "message.max.bytes=8000000", "log.flush=never")
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1)
	f := testkit.Frame(testkit.ProduceRequest(9, -1, "t", 0, testkit.Batch(testkit.Record{Value: strings.Repeat("x", size)})), 1, "test")
	var conns []*testkit.Conn
	for range requests {
		conns = append(conns, testkit.Dial(t, b.Addr()))
	}
	most := peak(func() {
		var all sync.WaitGroup
		for _, c := range conns {
			all.Go(func() {
				c.SetDeadline(time.Now().Add(time.Minute))
				if _, err := c.Write(f); err != nil {
					t.Errorf("send: %v", err)
					return
				}
				var answer [64]byte
				if n, err := c.Read(answer[:]); err != nil {
					t.Errorf("a request was not answered: %v after %d bytes", err, n)
				}
			})
		}
		all.Wait()
	})
	if end := latest(c, "t"); end != requests {
		t.Errorf("%d of %d records arrived", end, requests)
	}
	if limit := int64(3 * room * slack); most > limit { // what is collected late
		t.Errorf("%d requests of %d MiB took %d MiB, queued.max.request.bytes is %d MiB", requests, size>>20, most>>20, room>>20)
	}
}

// A client that stops in the middle of a large request holds memory others wait for, until it is cut; one that sent no more than a size
// holds none.
func TestHalfSentRequestsAreClosedAndTheirMemoryComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := barnabastest.Start(t, barnabastest.InMemory(), barnabastest.Topic("t", 1), barnabastest.With("queued.max.request.bytes", "1048576"),
			barnabastest.With("socket.request.max.bytes", "1048576"))
		whole := testkit.Frame(testkit.ProduceRequest(9, -1, "t", 0, testkit.Batch(testkit.Record{Value: strings.Repeat("x", 1_000_000)})), 1, "test")
		for _, c := range []struct {
			name      string
			sent      int
			low, high time.Duration
		}{
			{"a size only", 4, 0, time.Second},
			{"all but the last byte", len(whole) - 1, 50 * time.Second, 61 * time.Second},
		} {
			half, other, small := dial(t, b), dial(t, b), dial(t, b)
			half.SetDeadline(time.Time{})
			if _, err := half.Write(whole[:c.sent]); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			began := time.Now()
			sent := make(chan error, 1)
			other.SetDeadline(time.Time{})
			go func() {
				_, err := other.Write(whole)
				sent <- err
			}()
			ping(small) // small requests need no room
			if took := time.Since(began); took > time.Second {
				t.Errorf("%s: a small request waited %v", c.name, took)
			}
			if err := <-sent; err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			if _, err := io.ReadFull(other, make([]byte, 4)); err != nil {
				t.Fatalf("%s: the other request was not answered: %v", c.name, err)
			}
			between(t, c.name+": the other request was answered", time.Since(began), c.low, c.high)
			closedAfter(t, half)
			between(t, c.name+": it was cut", time.Since(began), 50*time.Second, 2*time.Minute)
		}
	})
}

// What waits for its own client holds no memory that others need: a request behind a fetch that waits, an answer nobody reads, answers
// that queue behind it.
func TestMemoryIsNotHeldWhileItsClientIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := barnabastest.Start(t, barnabastest.InMemory(), barnabastest.Topic("t", 1), barnabastest.With("queued.max.request.bytes", "2097152"),
			barnabastest.With("socket.request.max.bytes", "1048576"), barnabastest.With("connections.max.idle.ms", "-1"))
		wait := testkit.FetchRequest(12, "t", 0, 0)
		wait.MaxWaitMillis = 1<<31 - 1
		behind := dial(t, b)
		behind.Send(wait)
		behind.SendBytes(testkit.Frame(manyTopics(1000), 2, "test"))

		unread, queue := dial(t, b), dial(t, b)
		keepSending := func(c *testkit.Conn, q kmsg.Request) (over chan struct{}) {
			over = make(chan struct{})
			c.SetDeadline(time.Time{})
			go func() {
				defer close(over)
				for i := range int32(300) {
					if _, err := c.Write(testkit.Frame(q, i, "test")); err != nil {
						return
					}
				}
			}()
			return over
		}
		over := []chan struct{}{keepSending(unread, manyTopics(5000))}
		queue.Send(wait)
		// Its answers queue behind the fetch, until no more are taken.
		over = append(over, keepSending(queue, testkit.ProduceRequest(9, -1, "none", 0, testkit.Batch(testkit.Record{Value: strings.Repeat("x", 100_000)}))))
		synctest.Wait()
		began := time.Now()
		for range 3 {
			if got := dial(t, b).Produce(9, -1, "t", 0, testkit.Batch(testkit.Record{Value: strings.Repeat("x", 1_000_000)})); got.ErrorCode != 0 {
				t.Errorf("produce: error %d", got.ErrorCode)
			}
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("large requests waited %v for memory of clients that do not read", took)
		}
		unread.Close()
		queue.Close()
		for _, c := range over {
			<-c
		}
	})
}

// manyTopics asks for n topics that do not exist.
func manyTopics(n int) kmsg.Request {
	q := kmsg.NewPtrMetadataRequest()
	q.Version = 12
	for i := range n {
		name := fmt.Sprintf("%0100d", i)
		q.Topics = append(q.Topics, kmsg.MetadataRequestTopic{Topic: &name})
	}
	return q
}

func TestAShutdownDoesNotWaitForTheRestOfARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := barnabastest.Start(t, barnabastest.InMemory(), barnabastest.With("queued.max.request.bytes", "1048576"), barnabastest.With("socket.request.max.bytes", "1048576"))
		whole := testkit.Frame(testkit.ProduceRequest(9, -1, "t", 0, testkit.Batch(testkit.Record{Value: strings.Repeat("x", 1_000_000)})), 1, "test")
		for _, n := range []int{1, 4, 100, 500_000, 200_000} { // the last waits for memory
			dial(t, b).SendBytes(whole[:n])
		}
		synctest.Wait()
		began := time.Now()
		b.Stop()
		if took := time.Since(began); took > time.Second {
			t.Errorf("the shutdown waited %v", took)
		}
	})
}

// idleConnections opens n connections that have asked once and then say nothing, and returns how much memory each takes, the client's
// end included.
func idleConnections(t *testing.T, b *testkit.Broker, n int) (perConnection int64) {
	before := settled()
	q := testkit.Frame(kmsg.NewPtrApiVersionsRequest(), 1, "idle")
	conns := make([]net.Conn, n)
	answer := make([]byte, 4<<10)
	for i := range conns {
		nc, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		t.Cleanup(func() { nc.Close() })
		conns[i] = nc
		nc.SetDeadline(time.Now().Add(20 * time.Second))
		nc.Write(q) // an error shows in the read
		if _, err := io.ReadFull(nc, answer[:4]); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		if _, err := io.ReadFull(nc, answer[:binary.BigEndian.Uint32(answer)]); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
	}
	per := (settled() - before) / int64(n)
	ping(testkit.Dial(t, b.Addr()))
	for _, at := range []int{0, n / 2, n - 1} {
		ping(testkit.Over(t, conns[at]))
	}
	return per
}

func TestAThousandIdleConnectionsTakeLessThan20MiB(t *testing.T) {
	b := testkit.Start(t)
	per := idleConnections(t, b, 1000)
	t.Logf("%d bytes a connection", per)
	if per*1000 > 20<<20 {
		t.Errorf("1,000 idle connections take %d KiB", per*1000>>10)
	}
}

func TestFiveThousandIdleConnectionsDisturbNobody(t *testing.T) {
	n := 5000
	if files := openFiles(t); files < 2*n+1000 {
		n = (files - 1000) / 2
		t.Logf("both ends of a connection are in this process, which may have %d files open: %d connections instead of 5000", files, n)
		if n < 100 {
			t.Skip("too few to say anything")
		}
	}
	b := testkit.Start(t)
	if per := idleConnections(t, b, n); per > 20<<10 {
		t.Errorf("an idle connection takes %d bytes", per)
	}
	b.Stop()
}

// Batches that decompress to 300 times their size, several at once on several connections: answered, and memory stays within
// decompression.memory.max.bytes.
func TestDecompressionBombsStayWithinTheirMemory(t *testing.T) {
	const conns, room = 12 / slack, 16 << 20
	b := testkit.Start(t, "decompression.memory.max.bytes=16777216", "log.flush=never")
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1)
	for name, bomb := range bombs(t) { // any order: each by itself
		f := testkit.Frame(testkit.ProduceRequest(9, 1, "t", 0, bomb), 1, "test")
		most := peak(func() {
			var all sync.WaitGroup
			for range conns {
				c := testkit.Dial(t, b.Addr())
				all.Go(func() {
					c.SetDeadline(time.Now().Add(2 * time.Minute))
					c.Write(f) // an error shows in the read
					if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
						t.Errorf("%s: no answer: %v", name, err)
					}
				})
			}
			all.Wait()
		})
		// Beside decompressing: the requests themselves and their frames in the client, and what is collected late. A look's collection takes its time, and
		// what is decompressed and given up while it runs counts as in use: as much again as may be decompressed at a time. Unbounded it would be gigabytes.
		if limit := int64(2*room+conns*2*len(f)+16<<20) * slack; most > limit {
			t.Errorf("%s: %d batches of %d KiB took %d MiB, want at most %d", name, conns, len(bomb)>>10, most>>20, limit>>20)
		}
	}
	ping(c)
}

// Where records cannot go from the file to the socket (a connection in memory here; TLS and other platforms elsewhere) they are copied a
// piece at a time.
func TestLargeAnswersAreCopiedInPieces(t *testing.T) {
	b := barnabastest.Start(t, barnabastest.InMemory(), barnabastest.Topic("t", 1), barnabastest.With("message.max.bytes", "20000000"))
	c := dial(t, b)
	const size = 16 << 20
	if got := c.Produce(9, -1, "t", 0, testkit.Batch(testkit.Record{Value: strings.Repeat("x", size)})); got.ErrorCode != 0 {
		t.Fatalf("produce: error %d", got.ErrorCode)
	}
	runtime.GC()
	most := peak(func() {
		for range 3 {
			c.Send(testkit.FetchRequest(12, "t", 0, 0))
			var head [4]byte
			if _, err := io.ReadFull(c, head[:]); err != nil {
				t.Fatal(err)
			}
			if n, err := io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint32(head[:]))); err != nil || n < size {
				t.Fatalf("%d bytes, %v", n, err)
			}
		}
	})
	if most > slack*(4<<20) {
		t.Errorf("an answer of %d MiB took %d KiB", size>>20, most>>10)
	}
}

// The limit itself is read, a byte more closes the connection and costs nothing.
func TestTheRequestSizeLimitIsExact(t *testing.T) {
	b := testkit.Start(t, "socket.request.max.bytes=100000", "queued.max.request.bytes=100000")
	q := func(n int) []byte {
		f := testkit.Frame(testkit.ProduceRequest(9, 1, "none", 0, nil), 1, "test")
		f = testkit.Frame(testkit.ProduceRequest(9, 1, "none", 0, make([]byte, n+4-len(f)-2)), 1, "test") // 2: the longer length of the records
		if len(f)-4 != n {
			t.Fatalf("the request has %d bytes, want %d", len(f)-4, n)
		}
		return f
	}
	c := testkit.Dial(t, b.Addr())
	c.SendBytes(q(100_000))
	if _, _, err := c.Receive(); err != nil {
		t.Errorf("a request of the limit: %v", err)
	}
	c.SendBytes(q(100_001)[:4])
	c.MustClose()
	b.Logs.Await(t, "socket.request.max.bytes")
}

// A session of 100,000 partitions is remembered, in memory that stays in proportion, and forgotten with its partitions.
func TestAFetchSessionOf100000PartitionsIsBounded(t *testing.T) {
	const n = 100_000
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1)
	q := testkit.FetchRequest(12, "t", 0, 0)
	q.SessionEpoch, q.MaxBytes = 0, 1<<20
	p := q.Topics[0].Partitions[0]
	for i := range int32(n - 1) {
		p.Partition = i + 1
		q.Topics[0].Partitions = append(q.Topics[0].Partitions, p)
	}
	before := settled()
	first := testkit.Do[*kmsg.FetchResponse](c, q)
	if first.SessionID == 0 || len(first.Topics[0].Partitions) != n {
		t.Fatalf("session %d, %d partitions", first.SessionID, len(first.Topics[0].Partitions))
	}
	first.Topics = nil
	if took := settled() - before; took > n*400+8<<20 { // 8 MiB: the buffers of this request and answer
		t.Errorf("a session of %d partitions takes %d MiB", n, took>>20)
	}
	forget := testkit.FetchRequest(12, "t", 0, 0)
	forget.SessionID, forget.SessionEpoch, forget.Topics = first.SessionID, 1, nil
	ft := kmsg.NewFetchRequestForgottenTopic()
	ft.Topic = "t"
	for i := range int32(n - 1) {
		ft.Partitions = append(ft.Partitions, i+1)
	}
	forget.ForgottenTopics = append(forget.ForgottenTopics, ft)
	got := testkit.Do[*kmsg.FetchResponse](c, forget)
	if got.ErrorCode != 0 || len(got.Topics) != 0 {
		t.Errorf("after all unknown partitions were forgotten: error %d, %d topics", got.ErrorCode, len(got.Topics))
	}
	produced(t, c, "t", 0, "a")
	next := testkit.FetchRequest(12, "t", 0, 0)
	next.SessionID, next.SessionEpoch, next.Topics = first.SessionID, 2, nil
	if got := testkit.Do[*kmsg.FetchResponse](c, next); len(got.Topics) != 1 || len(got.Topics[0].Partitions) != 1 || len(got.Topics[0].Partitions[0].RecordBatches) == 0 {
		t.Errorf("the partition that stayed: %+v", got)
	}
	// All forgotten: the session is gone.
	forget.SessionEpoch, ft.Partitions = 3, []int32{0}
	forget.ForgottenTopics[0] = ft
	testkit.Do[*kmsg.FetchResponse](c, forget)
	next.SessionEpoch = 4
	if got := testkit.Do[*kmsg.FetchResponse](c, next); got.ErrorCode != 70 {
		t.Errorf("a session without partitions lives on: error %d", got.ErrorCode)
	}
}
