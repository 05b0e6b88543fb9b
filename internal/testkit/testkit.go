// Package testkit is what tests share: a whole broker on loopback, and a client that speaks one raw frame at a time.
//
// It is imported by tests only.
package testkit

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/broker"
	"github.com/barnabas-mq/barnabas/internal/config"
)

// Broker is a broker under test.
type Broker struct {
	*broker.Broker
	t    testing.TB
	Dir  string
	set  []string
	Logs *LogBuffer
}

// Start runs a broker in a directory of the test, on a free port of loopback, with settings as name=value. It is closed with the test.
func Start(t testing.TB, set ...string) *Broker {
	t.Helper()
	b := &Broker{t: t, Dir: t.TempDir(), set: set, Logs: &LogBuffer{}}
	b.start()
	t.Cleanup(func() {
		if b.Broker != nil {
			b.Stop()
		}
		if t.Failed() {
			t.Logf("the broker's log:\n%s", b.Logs.String())
		}
	})
	return b
}

func (b *Broker) start() {
	b.t.Helper()
	cfg, _, err := config.Load(config.Args{
		Flags: []config.Flag{{Flag: "--data-dir", Name: "log.dirs", Value: b.Dir}, {Flag: "--listeners", Name: "listeners", Value: "PLAINTEXT://127.0.0.1:0"},
			{Flag: "--admin-addr", Name: "admin.address", Value: "127.0.0.1:0"}},
		Set: b.set,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	br, err := broker.Start(context.Background(), broker.Options{Config: cfg, Logger: slog.New(slog.NewTextHandler(b.Logs, &slog.HandlerOptions{Level: slog.LevelDebug})), Version: "test"})
	if err != nil {
		b.t.Fatal(err)
	}
	b.Broker = br
}

// Stop closes the broker cleanly; its directory stays.
func (b *Broker) Stop() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := b.Broker.Close(ctx); err != nil {
		b.t.Errorf("close the broker: %v", err)
	}
	b.Broker = nil
}

// Restart is Stop and a new start on the same directory.
func (b *Broker) Restart() {
	b.t.Helper()
	b.Stop()
	b.start()
}

// Addr is where the broker listens.
func (b *Broker) Addr() string { return b.Addresses()[0] }

// LogBuffer collects log lines.
type LogBuffer struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	wrote chan struct{} // closed by the next line, if anybody waits for one
}

func (l *LogBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wrote != nil {
		close(l.wrote)
		l.wrote = nil
	}
	return l.buf.Write(p)
}

// Await returns when a line with text was logged, and fails the test if none is within 20 seconds.
func (l *LogBuffer) Await(t testing.TB, text string) {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		l.mu.Lock()
		found := strings.Contains(l.buf.String(), text)
		if l.wrote == nil {
			l.wrote = make(chan struct{})
		}
		next := l.wrote
		l.mu.Unlock()
		if found {
			return
		}
		select {
		case <-next:
		case <-late:
			t.Fatalf("%q was not logged", text)
		}
	}
}

// Take is what was logged since the last Take.
func (l *LogBuffer) Take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.buf.String()
	l.buf = bytes.Buffer{} // a large one is let go: some tests count memory
	return s
}

// String is everything logged so far.
func (l *LogBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Conn is a raw connection to a broker.
type Conn struct {
	net.Conn
	t    testing.TB
	next int32
}

// Dial connects; the connection is closed with the test. Every read and write is bounded by 20 seconds.
func Dial(t testing.TB, addr string) *Conn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return Over(t, nc)
}

// Over is Dial for a connection that is there already, such as one in memory.
func Over(t testing.TB, nc net.Conn) *Conn {
	t.Cleanup(func() { nc.Close() })
	return &Conn{Conn: nc, t: t}
}

// Frame is a request with its header and size, ready to be sent.
func Frame(q kmsg.Request, correlation int32, clientID string) []byte {
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID(clientID)).AppendRequest(nil, q, correlation)
}

// Send writes a request and returns its correlation id.
func (c *Conn) Send(q kmsg.Request) int32 {
	c.t.Helper()
	c.next++
	c.SendBytes(Frame(q, c.next, "test"))
	return c.next
}

// SendBytes writes bytes as they are.
func (c *Conn) SendBytes(b []byte) {
	c.t.Helper()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.Write(b); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// Receive reads one response frame: its correlation id and what follows it.
func (c *Conn) Receive() (correlation int32, rest []byte, err error) {
	c.SetDeadline(time.Now().Add(20 * time.Second))
	var head [8]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return 0, nil, err
	}
	rest = make([]byte, int32(binary.BigEndian.Uint32(head[:]))-4)
	_, err = io.ReadFull(c, rest)
	return int32(binary.BigEndian.Uint32(head[4:])), rest, err
}

// Decode reads the body of the answer to q.
func (c *Conn) Decode(q kmsg.Request, rest []byte) kmsg.Response {
	c.t.Helper()
	resp := q.ResponseKind()
	if q.IsFlexible() && q.Key() != 18 {
		if len(rest) == 0 || rest[0] != 0 {
			c.t.Fatalf("response header of %s has tags: % x", kmsg.NameForKey(q.Key()), rest[:min(8, len(rest))])
		}
		rest = rest[1:]
	}
	if err := resp.ReadFrom(rest); err != nil {
		c.t.Fatalf("decode the answer to %s v%d: %v", kmsg.NameForKey(q.Key()), q.GetVersion(), err)
	}
	return resp
}

// Do sends a request and reads its answer.
func (c *Conn) Do(q kmsg.Request) kmsg.Response {
	c.t.Helper()
	want := c.Send(q)
	got, rest, err := c.Receive()
	if err != nil {
		c.t.Fatalf("no answer to %s v%d: %v", kmsg.NameForKey(q.Key()), q.GetVersion(), err)
	}
	if got != want {
		c.t.Fatalf("answer to request %d, want %d", got, want)
	}
	return c.Decode(q, rest)
}

// Do is c.Do with the response's type.
func Do[R kmsg.Response](c *Conn, q kmsg.Request) R {
	c.t.Helper()
	return c.Do(q).(R)
}

// MustClose fails the test unless the broker closes the connection without another byte.
func (c *Conn) MustClose() {
	c.t.Helper()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		c.t.Fatalf("the connection is still answered")
	} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
		c.t.Fatalf("the connection was not closed")
	}
}

// CreateTopic makes a topic with settings as name, value pairs.
func (c *Conn) CreateTopic(name string, partitions int32, settings ...string) kmsg.CreateTopicsResponseTopic {
	c.t.Helper()
	q := kmsg.NewPtrCreateTopicsRequest()
	q.Version, q.TimeoutMillis = 7, 10_000
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, 1
	for i := 0; i < len(settings); i += 2 {
		s := kmsg.NewCreateTopicsRequestTopicConfig()
		s.Name, s.Value = settings[i], &settings[i+1]
		t.Configs = append(t.Configs, s)
	}
	q.Topics = append(q.Topics, t)
	res := Do[*kmsg.CreateTopicsResponse](c, q).Topics[0]
	if res.ErrorCode != 0 {
		c.t.Fatalf("create topic %s: error %d, %s", name, res.ErrorCode, deref(res.ErrorMessage))
	}
	return res
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// Record is one record to produce.
type Record struct{ Key, Value string }

// Batch builds an uncompressed batch of records without a producer, stamped now.
func Batch(records ...Record) batch.Batch {
	return IdempotentBatch(-1, -1, -1, records...)
}

// IdempotentBatch builds a batch of an idempotent producer.
func IdempotentBatch(id int64, epoch int16, seq int32, records ...Record) batch.Batch {
	kb := kmsg.RecordBatch{Magic: 2, ProducerID: id, ProducerEpoch: epoch, FirstSequence: seq, NumRecords: int32(len(records)), LastOffsetDelta: int32(len(records)) - 1}
	now := time.Now().UnixMilli()
	kb.FirstTimestamp, kb.MaxTimestamp = now, now
	for i, r := range records {
		kr := kmsg.Record{OffsetDelta: int32(i), Value: []byte(r.Value)}
		if r.Key != "" {
			kr.Key = []byte(r.Key)
		}
		body := kr.AppendTo(nil)
		kr.Length = int32(len(body) - 1) // less its own varint, which is one byte for length 0
		kb.Records = kr.AppendTo(kb.Records)
	}
	return Seal(kb.AppendTo(nil))
}

// Seal fills in the length and the CRC of a batch.
func Seal(b []byte) batch.Batch {
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	binary.BigEndian.PutUint32(b[17:], batch.Batch(b).ComputeCRC())
	return b
}

// Produce sends one batch to one partition and returns the answer of that partition.
func (c *Conn) Produce(version, acks int16, topic string, partition int32, records []byte) kmsg.ProduceResponseTopicPartition {
	c.t.Helper()
	return Do[*kmsg.ProduceResponse](c, ProduceRequest(version, acks, topic, partition, records)).Topics[0].Partitions[0]
}

// ProduceRequest is a request with one batch.
func ProduceRequest(version, acks int16, topic string, partition int32, records []byte) *kmsg.ProduceRequest {
	q := kmsg.NewPtrProduceRequest()
	q.Version, q.Acks, q.TimeoutMillis = version, acks, 10_000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, records
	t.Partitions = append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	return q
}

// FetchRequest asks for one partition from an offset on, by name (version 12 and below).
func FetchRequest(version int16, topic string, partition int32, offset int64) *kmsg.FetchRequest {
	q := kmsg.NewPtrFetchRequest()
	q.Version, q.MaxWaitMillis, q.MinBytes, q.MaxBytes, q.ReplicaID = version, 0, 1, 50<<20, -1
	q.SessionEpoch = -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic = topic
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes, p.CurrentLeaderEpoch, p.LastFetchedEpoch, p.LogStartOffset = partition, offset, 1<<20, -1, -1, -1
	t.Partitions = append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	return q
}

// Fetch asks for one partition and returns its answer.
func (c *Conn) Fetch(topic string, partition int32, offset int64) kmsg.FetchResponseTopicPartition {
	c.t.Helper()
	return Do[*kmsg.FetchResponse](c, FetchRequest(12, topic, partition, offset)).Topics[0].Partitions[0]
}
