package server_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/testkit"
	"github.com/barnabas-mq/barnabas/internal/wire"
)

// fill sets every field of a request: n elements in each array, text of n letters, small numbers.
func fill(v reflect.Value, n int) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Name != "Version" && f.Name != "UnknownTags" {
				fill(v.Field(i), n)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(v.Index(i), n)
		}
	case reflect.String:
		v.SetString(strings.Repeat("x", n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	}
}

// filled is the body of a request with n of everything.
func filled(key, version int16, n int) []byte {
	q := kmsg.RequestForKey(key)
	fill(reflect.ValueOf(q).Elem(), n)
	q.SetVersion(version)
	return q.AppendTo(nil)
}

// frame puts the size and a header before a body.
func frame(key, version int16, body []byte) []byte {
	b := []byte{0, 0, 0, 0}
	b = binary.BigEndian.AppendUint16(b, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = append(b, 0, 0, 0, 7, 0, 1, 'x')
	q := kmsg.RequestForKey(key)
	if q.SetVersion(version); q.IsFlexible() {
		b = append(b, 0)
	}
	b = append(b, body...)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// peer sends frames one by one, over a new connection whenever the broker has closed the last.
type peer struct {
	t    testing.TB
	b    *testkit.Broker
	conn net.Conn
}

// exchange sends a frame and reports whether it was answered; otherwise the broker has closed the connection. Anything else, and a
// handler that panics, fails the test.
func (p *peer) exchange(what string, f []byte) (answer []byte) {
	p.t.Helper()
	if p.conn == nil {
		c, err := net.Dial("tcp", p.b.Addr())
		if err != nil {
			p.t.Fatalf("%s: the broker takes no connection any more: %v", what, err)
		}
		p.conn = c
	}
	p.conn.SetDeadline(time.Now().Add(20 * time.Second))
	// Followed by a request that is always answered, since Produce with acks=0 never is.
	const ping = 4242
	pinged := testkit.Frame(kmsg.NewPtrApiVersionsRequest(), ping, "x")
	p.conn.Write(append(slices.Clip(f), pinged...)) // an error shows in the read
	for {
		var head [8]byte
		_, err := io.ReadFull(p.conn, head[:])
		if err == nil {
			rest := make([]byte, binary.BigEndian.Uint32(head[:])-4)
			if _, err = io.ReadFull(p.conn, rest); err == nil {
				if binary.BigEndian.Uint32(head[4:]) == ping {
					break
				}
				answer = rest
				continue
			}
		}
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			p.t.Fatalf("%s: neither answered nor closed\n% x", what, f)
		}
		p.conn.Close()
		p.conn = nil
		break
	}
	if log := p.b.Logs.Take(); strings.Contains(log, "panic") {
		p.t.Fatalf("%s: a handler panicked\n% x\n%s", what, f, log)
	}
	return answer
}

// waits makes a Fetch answer at once, so that nobody waits for what a mutation made of its max_wait.
func waits(key, version int16, body []byte) []byte {
	at := 4
	if version >= 15 {
		at = 0
	}
	if key == wire.KeyFetch && len(body) >= at+4 {
		copy(body[at:], []byte{0, 0, 0, 0})
	}
	return body
}

// someVersions are the ends of the range and the first flexible version.
func someVersions(r wire.Range) []int16 {
	vs := []int16{r.Min, r.Max}
	for v := r.Min; v <= r.Max; v++ {
		q := kmsg.RequestForKey(r.Key)
		if q.SetVersion(v); q.IsFlexible() {
			vs = append(vs, v)
			break
		}
	}
	slices.Sort(vs)
	return slices.Compact(vs)
}

func TestEveryFieldOfEveryRequestMayLie(t *testing.T) {
	b := testkit.Start(t, "auto.create.topics.enable=false", "offsets.topic.num.partitions=3")
	awaitCoordinator(t, testkit.Dial(t, b.Addr()), "x")
	p := &peer{t: t, b: b}
	lies := [][]byte{{0xff, 0xff, 0xff, 0xfe}, {0xff, 0xff, 0xff, 0xff, 0x0f}, {0x7f, 0xff, 0xff, 0xff}, {0x80, 0, 0, 0}}
	for _, r := range wire.Versions() {
		for _, v := range someVersions(r) {
			good := filled(r.Key, v, 1)
			if r.Key == wire.KeyCreateTopics || r.Key == wire.KeyCreatePartitions {
				good = filled(r.Key, v, 0) // else thousands of partitions would really be made
			}
			for at := range good {
				for _, lie := range lies {
					bad := append(slices.Clone(good[:at]), lie...)
					if rest := at + len(lie); rest < len(good) {
						bad = append(bad, good[rest:]...)
					}
					p.exchange(wire.KeyName(r.Key), frame(r.Key, v, waits(r.Key, v, bad)))
				}
			}
			// And cut short at every byte.
			for at := range good {
				if got := p.exchange(wire.KeyName(r.Key), frame(r.Key, v, waits(r.Key, v, slices.Clone(good[:at])))); got != nil {
					t.Errorf("%s v%d cut at byte %d of %d is answered", wire.KeyName(r.Key), v, at, len(good))
				}
			}
		}
	}
}

// Tags that nobody knows are legal in every flexible request (KIP-482).
func TestUnknownTagsAreSkipped(t *testing.T) {
	b := testkit.Start(t, "auto.create.topics.enable=false")
	p := &peer{t: t, b: b}
	for _, r := range wire.Versions() {
		q := kmsg.RequestForKey(r.Key)
		if q.SetVersion(r.Max); !q.IsFlexible() || r.Key == wire.KeyProduce {
			continue
		}
		body := filled(r.Key, r.Max, 0)
		if body[len(body)-1] != 0 && r.Key != wire.KeyFetch {
			t.Fatalf("%s does not end with its tags: % x", wire.KeyName(r.Key), body)
		}
		if r.Key == wire.KeyFetch {
			q := testkit.FetchRequest(r.Max, "", 0, 0)
			q.Topics = nil
			body = q.AppendTo(nil)
		}
		tagged := append(body[:len(body)-1:len(body)-1], 2, 99, 3, 'a', 'b', 'c', 0xff, 0xff, 0x01, 0)
		want := p.exchange("plain", frame(r.Key, r.Max, body))
		got := p.exchange("tagged", frame(r.Key, r.Max, tagged))
		if want == nil || !slices.Equal(got, want) && r.Key != wire.KeyInitProducerID && r.Key != wire.KeyDescribeLogDirs {
			t.Errorf("%s v%d with tags: answered % x, without % x", wire.KeyName(r.Key), r.Max, got, want)
		}
	}
}

// A few bytes that ask for the same thing over and over must not become an answer of gigabytes.
func TestAskingForTheSameAgainAndAgainIsAnsweredOnce(t *testing.T) {
	b := testkit.Start(t)
	c := testkit.Dial(t, b.Addr())
	const times = 20_000
	c.CreateTopic("t", 500)
	name := "t"

	m := kmsg.NewPtrMetadataRequest()
	m.Version = 12
	for range times {
		m.Topics = append(m.Topics, kmsg.MetadataRequestTopic{Topic: &name})
	}
	d := kmsg.NewPtrDescribeConfigsRequest()
	d.Version = 4
	for range times {
		d.Resources = append(d.Resources, kmsg.DescribeConfigsRequestResource{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "t"})
	}
	pr := kmsg.NewPtrDescribeProducersRequest()
	pr.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: "t", Partitions: make([]int32, times)}}

	before := allocated()
	if got := testkit.Do[*kmsg.MetadataResponse](c, m); len(got.Topics) != 1 || len(got.Topics[0].Partitions) != 500 {
		t.Errorf("metadata of one topic: %d answers", len(got.Topics))
	}
	if got := testkit.Do[*kmsg.DescribeConfigsResponse](c, d); len(got.Resources) != 1 || len(got.Resources[0].Configs) == 0 {
		t.Errorf("settings of one topic: %d answers", len(got.Resources))
	}
	if got := testkit.Do[*kmsg.DescribeProducersResponse](c, pr); len(got.Topics[0].Partitions) != 1 {
		t.Errorf("producers of one partition: %d answers", len(got.Topics[0].Partitions))
	}
	if took := allocated() - before; took > 100<<20 {
		t.Errorf("three small questions took %d MiB", took>>20)
	}
}

// allocated counts the bytes this process ever allocated.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// A body whose decoding would take far more than its own size ends the connection before it is decoded.
func TestBodiesThatWouldExpandAreRefused(t *testing.T) {
	b := testkit.Start(t, "queued.max.request.bytes=4194304", "socket.request.max.bytes=4194304")
	p := &peer{t: t, b: b}
	arrays := func(n int) []byte { return binary.AppendUvarint(nil, uint64(n+1)) }
	for name, f := range map[string][]byte{ // any order: independent
		"an array that claims a million topics":    frame(wire.KeyMetadata, 9, append(arrays(1_000_000), make([]byte, 1000)...)),
		"a million topics without names":           frame(wire.KeyMetadata, 9, append(arrays(1_000_000), make([]byte, 2_000_003)...)),
		"a million partitions of one byte":         frame(wire.KeyCreateTopics, 5, append(append(arrays(1), 2, 'x', 0, 0, 0, 1, 0, 1), append(arrays(1_000_000), make([]byte, 1_000_000)...)...)),
		"a million tags":                           frame(wire.KeyMetadata, 9, append(append([]byte{0, 1, 1, 1}, binary.AppendUvarint(nil, 1_000_000)...), bytes.Repeat([]byte{9, 0}, 1_000_000)...)),
		"2^32-1 tags":                              frame(wire.KeyMetadata, 9, append([]byte{0, 1, 1, 1}, 0xff, 0xff, 0xff, 0xff, 0x0f)),
		"a million fetch partitions, all the same": frame(wire.KeyFetch, 4, append(append(make([]byte, 17), 0, 0, 0, 1, 0, 1, 'x'), append([]byte{0, 0x0f, 0x42, 0x40}, make([]byte, 2_000_000)...)...)),
		"a million partitions without a batch":     frame(wire.KeyProduce, 3, append([]byte{0xff, 0xff, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 'x'}, append([]byte{0, 0x07, 0xa1, 0x20}, make([]byte, 4_000_000)...)...)),
	} {
		before, began := allocated(), time.Now()
		if got := p.exchange(name, f); got != nil {
			t.Errorf("%s is answered", name)
		}
		if took := allocated() - before; took > 40<<20 {
			t.Errorf("%s took %d MiB", name, took>>20)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s kept the broker busy for %v", name, took)
		}
	}
}

// Whatever arrives is answered or closed, no handler panics, and the next client is served.
func FuzzRequests(f *testing.F) {
	for _, r := range wire.Versions() {
		for _, v := range someVersions(r) {
			f.Add(r.Key, v, filled(r.Key, v, 1))
		}
	}
	p := &peer{b: testkit.Start(f, "auto.create.topics.enable=false", "log.flush=never", "offsets.topic.num.partitions=3")}
	awaitCoordinator(f, testkit.Dial(f, p.b.Addr()), "x")
	f.Fuzz(func(t *testing.T, key, version int16, body []byte) {
		if !wire.Supports(key, version) || len(body) > 1<<16 || makesMuch(key, version, body) || waitsForMembers(key, version, body) {
			return
		}
		p.t = t
		p.exchange(wire.KeyName(key), frame(key, version, waits(key, version, slices.Clone(body))))
	})
}

// waitsForMembers keeps the fuzzer from waiting for members that never come.
func waitsForMembers(key, version int16, body []byte) bool {
	if key != wire.KeyJoinGroup {
		return false
	}
	if _, err := wire.CheckBody(key, version, body, 1<<20); err != nil {
		return false
	}
	q := kmsg.NewPtrJoinGroupRequest()
	q.Version = version
	return q.ReadFrom(body) == nil && q.SessionTimeoutMillis >= 6000 && q.SessionTimeoutMillis <= 1_800_000 // else it is refused at once
}

// makesMuch keeps the fuzzer from filling the disk with partitions that it is right to create.
func makesMuch(key, version int16, body []byte) bool {
	if _, err := wire.CheckBody(key, version, body, 1<<20); err != nil || key == wire.KeyProduce {
		return false
	}
	q := kmsg.RequestForKey(key)
	q.SetVersion(version)
	if q.ReadFrom(body) != nil {
		return false
	}
	n := int64(0)
	switch q := q.(type) {
	case *kmsg.CreateTopicsRequest:
		for _, t := range q.Topics {
			n += max(1, int64(t.NumPartitions)) + int64(len(t.ReplicaAssignment))
		}
	case *kmsg.CreatePartitionsRequest:
		for _, t := range q.Topics {
			n += int64(t.Count)
		}
	}
	return n > 10
}
