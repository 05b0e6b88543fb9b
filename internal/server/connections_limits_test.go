package server_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/barnabastest"
	"github.com/barnabas-mq/barnabas/internal/testkit"
)

// dial connects to a broker in memory.
func dial(t testing.TB, b *barnabastest.Broker) *testkit.Conn {
	t.Helper()
	nc, err := b.Dialer()(context.Background(), "tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	return testkit.Over(t, nc)
}

// ping is a request that is always answered.
func ping(c *testkit.Conn) {
	q := kmsg.NewPtrApiVersionsRequest()
	q.Version = 0
	c.Do(q)
}

// closedAfter reads until the broker closes the connection and says how long that took, without a deadline of its own.
func closedAfter(t testing.TB, nc net.Conn) time.Duration {
	t.Helper()
	began := time.Now()
	nc.SetDeadline(time.Time{})
	if _, err := io.Copy(io.Discard, nc); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the connection ended with %v", err)
	}
	return time.Since(began)
}

func between(t testing.TB, what string, got, low, high time.Duration) {
	t.Helper()
	if got < low || got > high {
		t.Errorf("%s after %v, want between %v and %v", what, got, low, high)
	}
}

func TestConnectionsAboveTheLimitAreClosedAndMakeRoomAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := barnabastest.Start(t, barnabastest.InMemory(), barnabastest.With("max.connections", "3"))
		var held []*testkit.Conn
		for range 3 {
			held = append(held, dial(t, b))
			ping(held[len(held)-1])
		}
		dial(t, b).MustClose()
		for _, c := range held {
			ping(c)
		}
		held[0].Close()
		synctest.Wait()
		ping(dial(t, b))
		dial(t, b).MustClose()
	})
}

// A limit that leaves no room for a tool can be set again from the machine itself, whoever holds the connections; and only so many get in that way.
func TestAFewConnectionsFromThisMachineAreBeyondTheLimit(t *testing.T) {
	for _, limit := range []int{0, 1} {
		b := testkit.Start(t, fmt.Sprintf("max.connections=%d", limit))
		var held []*testkit.Conn
		for range limit + 4 {
			held = append(held, testkit.Dial(t, b.Addr()))
			ping(held[len(held)-1])
		}
		testkit.Dial(t, b.Addr()).MustClose()
		// One that leaves makes room for another, as soon as the broker has noticed; those that come before are closed without an answer.
		held[len(held)-1].Close()
		for answered := false; !answered; {
			nc, err := net.Dial("tcp", b.Addr())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { nc.Close() })
			nc.Write([]byte{0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff}) // ApiVersions
			n, _ := nc.Read(make([]byte, 4))
			answered = n > 0
		}
		testkit.Dial(t, b.Addr()).MustClose()
	}
}

func TestConnectionsOfOneAddressAreBounded(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs a second address on loopback, which only Linux has without setting it up")
	}
	b := testkit.Start(t, "max.connections.per.ip=2", "max.connections.per.ip.overrides=127.0.0.3:1")
	from := func(ip string) *testkit.Conn {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
		nc, err := d.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		return testkit.Over(t, nc)
	}
	for ip, limit := range map[string]int{"127.0.0.1": 2, "127.0.0.2": 2, "127.0.0.3": 1} { // any order: each has its own count
		for range limit {
			ping(from(ip))
		}
		from(ip).MustClose()
	}
}

func TestIdleConnectionsAreClosedWaitingOnesAreNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := barnabastest.Start(t, barnabastest.InMemory(), barnabastest.Topic("t", 1), barnabastest.With("connections.max.idle.ms", "600000"))
		fresh, used, waiting := dial(t, b), dial(t, b), dial(t, b)
		time.Sleep(time.Minute) // the bubble's
		ping(used)
		q := testkit.FetchRequest(12, "t", 0, 0)
		q.MaxWaitMillis = int32(time.Hour / time.Millisecond)
		waiting.Send(q)
		between(t, "a connection that never asked was closed", closedAfter(t, fresh), 9*time.Minute, 9*time.Minute+time.Second)
		between(t, "a connection that asked once was closed", closedAfter(t, used), time.Minute-time.Second, time.Minute+time.Second)
		began := time.Now()
		waiting.SetDeadline(time.Time{})
		var size [4]byte
		if _, err := io.ReadFull(waiting, size[:]); err != nil {
			t.Fatalf("a connection whose fetch waits was closed: %v", err)
		}
		between(t, "the fetch was answered", time.Since(began), 49*time.Minute, 51*time.Minute)
		if _, err := io.ReadFull(waiting, make([]byte, binary.BigEndian.Uint32(size[:]))); err != nil {
			t.Fatal(err)
		}
		between(t, "the connection that had waited was closed", closedAfter(t, waiting), 0, 10*time.Minute+time.Second)
	})
}

// A client that sends its request a byte at a time is cut, others do not notice it.
func TestSlowWritersAreCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := barnabastest.Start(t, barnabastest.InMemory())
		loris, other := dial(t, b), dial(t, b)
		began := time.Now()
		f := testkit.Frame(kmsg.NewPtrMetadataRequest(), 1, "loris")
		loris.SetDeadline(time.Time{})
		cut := time.Duration(-1)
		for i := 0; cut < 0; i++ {
			if _, err := loris.Write(f[i%len(f) : i%len(f)+1]); err != nil {
				cut = time.Since(began)
			}
			if i == len(f)-2 {
				i-- // the last byte never comes
			}
			time.Sleep(5 * time.Second)
			ping(other)
		}
		between(t, "a request that never ends was cut", cut, 30*time.Second, 3*time.Minute)
	})
}

// A client that asks for a lot and reads nothing is cut after connection.write.timeout.ms; one that reads slowly is not, however long it
// takes altogether.
func TestReadersThatStandStillAreCutSlowOnesAreNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := barnabastest.Start(t, barnabastest.InMemory(), barnabastest.Topic("t", 1), barnabastest.With("connection.write.timeout.ms", "10000"),
			barnabastest.With("message.max.bytes", "4000000"))
		writer := dial(t, b)
		value := strings.Repeat("x", 3<<20)
		if got := writer.Produce(9, -1, "t", 0, testkit.Batch(testkit.Record{Value: value})); got.ErrorCode != 0 {
			t.Fatalf("produce: error %d", got.ErrorCode)
		}
		still, slow, other := dial(t, b), dial(t, b), dial(t, b)
		for _, c := range []*testkit.Conn{still, slow} {
			c.Send(testkit.FetchRequest(12, "t", 0, 0))
		}
		var size [4]byte
		slow.SetDeadline(time.Time{})
		if _, err := io.ReadFull(slow, size[:]); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for left, piece := int(binary.BigEndian.Uint32(size[:])), make([]byte, 100_000); left > 0; {
			time.Sleep(5 * time.Second)
			n, err := io.ReadFull(slow, piece[:min(left, len(piece))])
			if left -= n; err != nil {
				t.Fatalf("a slow reader was cut %v after it had begun, with %d bytes to read: %v", time.Since(began), left, err)
			}
			ping(other)
		}
		ping(slow)
		still.SetDeadline(time.Time{})
		if n, err := io.Copy(io.Discard, still); err != nil || n > 1<<20 {
			t.Errorf("the connection that did not read gave %d bytes, %v; it should have been cut in the middle", n, err)
		}
		for range 10 {
			dead := dial(t, b)
			dead.Send(testkit.FetchRequest(12, "t", 0, 0))
		}
		ping(other)
	})
}

// The same over a real socket, where records go by sendfile.
func TestReadersThatStandStillAreCutOnLoopback(t *testing.T) {
	b := testkit.Start(t, "connection.write.timeout.ms=200", "message.max.bytes=40000000", "socket.send.buffer.bytes=65536")
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1)
	if got := c.Produce(9, -1, "t", 0, testkit.Batch(testkit.Record{Value: strings.Repeat("x", 32<<20)})); got.ErrorCode != 0 {
		t.Fatalf("produce: error %d", got.ErrorCode)
	}
	still := testkit.Dial(t, b.Addr())
	still.Conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	q := testkit.FetchRequest(12, "t", 0, 0)
	still.Send(q)
	b.Logs.Await(t, "connection ended")
	still.SetDeadline(time.Now().Add(20 * time.Second))
	if n, err := io.Copy(io.Discard, still); n >= 32<<20 {
		t.Errorf("a connection that did not read gave all of its %d bytes (%v)", n, err)
	}
	ping(c)
	if got := c.Fetch("t", 0, 0); len(got.RecordBatches) < 32<<20 {
		t.Errorf("another client reads %d bytes", len(got.RecordBatches))
	}
}

func TestAThousandRequestsMayBeSentBeforeOneAnswerIsRead(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1)
	const n = 1000
	var all []byte
	for i := range int32(n) {
		var q kmsg.Request = testkit.ProduceRequest(9, -1, "t", 0, testkit.Batch(testkit.Record{Value: "x"}))
		switch i % 5 {
		case 3:
			m := kmsg.NewPtrMetadataRequest()
			m.Version = 12
			q = m
		case 4:
			q = testkit.FetchRequest(12, "t", 0, 0)
		}
		all = append(all, testkit.Frame(q, i, "test")...)
	}
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(all)
		sent <- err
	}()
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	records := int64(0)
	for i := range int32(n) {
		got, rest, err := c.Receive()
		if err != nil || got != i {
			t.Fatalf("answer %d is for request %d (%v)", i, got, err)
		}
		switch i % 5 {
		case 3:
		case 4:
			q := testkit.FetchRequest(12, "t", 0, 0)
			p := c.Decode(q, rest).(*kmsg.FetchResponse).Topics[0].Partitions[0]
			if p.HighWatermark != records {
				t.Fatalf("fetch %d sees %d records, %d were acknowledged before it", i, p.HighWatermark, records)
			}
		default:
			q := testkit.ProduceRequest(9, -1, "t", 0, nil)
			p := c.Decode(q, rest).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
			if p.ErrorCode != 0 || p.BaseOffset != records {
				t.Fatalf("produce %d: %+v, want offset %d", i, p, records)
			}
			records++
		}
	}
}

func TestConnectionsMayEndAtEveryByteOfAnAnswer(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	c.CreateTopic("t", 1)
	produced(t, c, "t", 0, "a", "b")
	q := testkit.FetchRequest(12, "t", 0, 0)
	id := c.Send(q)
	_, whole, err := c.Receive()
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) + 8 {
		nc, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		nc.Write(testkit.Frame(q, id, "test"))
		if _, err := io.ReadFull(nc, make([]byte, n)); err != nil {
			t.Fatalf("after %d bytes: %v", n, err)
		}
		nc.Close()
	}
	id = c.Send(q)
	if _, again, err := c.Receive(); err != nil || !bytes.Equal(again, whole) {
		t.Errorf("afterwards the answer is another: %v", err)
	}
	if log := b.Logs.String(); strings.Contains(log, "level=ERROR") || strings.Contains(log, "panic") {
		t.Error("the broker logged an error")
	}
}

// Kafka demands no ApiVersions before other requests, and old clients send none.
func TestRequestsBeforeApiVersionsAreAnswered(t *testing.T) {
	b := testkit.Start(t)
	m := kmsg.NewPtrMetadataRequest()
	m.Version = 1
	if got := testkit.Do[*kmsg.MetadataResponse](testkit.Dial(t, b.Addr()), m); len(got.Brokers) != 1 {
		t.Errorf("metadata: %+v", got)
	}
	if got := testkit.Dial(t, b.Addr()).Produce(3, 1, "none", 0, testkit.Batch(testkit.Record{Value: "a"})); got.ErrorCode != 3 {
		t.Errorf("produce: error %d", got.ErrorCode)
	}
}

// max_wait is 24 days at most; neither a connection that is gone nor a shutdown waits for it.
func TestAFetchThatWaitsForDaysEndsWithItsConnectionAndAtShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := barnabastest.Start(t, barnabastest.InMemory(), barnabastest.Topic("t", 1), barnabastest.With("max.connections", "2"),
			barnabastest.With("connections.max.idle.ms", "-1"))
		q := testkit.FetchRequest(12, "t", 0, 0)
		q.MaxWaitMillis = 1<<31 - 1
		synctest.Wait() // the connection that made the topic is gone
		stays := dial(t, b)
		stays.Send(q)
		for range 10 { // the limit of connections shows whether they go
			leaves := dial(t, b)
			leaves.Send(q)
			synctest.Wait()
			leaves.Close()
			synctest.Wait()
		}
		began := time.Now()
		b.Stop()
		if took := time.Since(began); took > time.Second {
			t.Errorf("the shutdown waited %v for a fetch", took)
		}
		_, rest, err := stays.Receive()
		if err != nil {
			t.Fatalf("the waiting fetch got no answer at shutdown: %v", err)
		}
		if got := stays.Decode(q, rest).(*kmsg.FetchResponse); got.ErrorCode != 0 || got.Topics[0].Partitions[0].ErrorCode != 0 {
			t.Errorf("got %+v", got)
		}
	})
}
