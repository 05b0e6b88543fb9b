package clients_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/interop/clients"
	"github.com/barnabas-mq/barnabas/interop/rig"
	"github.com/barnabas-mq/barnabas/interop/wire"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var (
	matrix  = clients.NewMatrix()
	brokers struct {
		mu     sync.Mutex
		shared *rig.Broker // lives as long as the test binary
	}
	topicNumber atomic.Int64
)

// TestMain writes the matrix when it is asked to: INTEROP_DOCS=../../docs/interop.md go test ./clients
func TestMain(m *testing.M) {
	code := m.Run()
	name := "not started"
	if b := brokers.shared; b != nil {
		name = map[rig.Kind]string{rig.Kafka: "Apache Kafka", rig.Barnabas: "Barnabas"}[b.Kind]
		if b.Kind == rig.Kafka {
			v, _ := rig.KafkaVersion()
			name += " " + v
		}
		b.Close()
	}
	if path := os.Getenv("INTEROP_DOCS"); path != "" && brokers.shared != nil {
		var order []string
		for _, c := range clients.All() {
			order = append(order, c.Name())
		}
		if err := matrix.Write(path, name, order, clients.Scenarios); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// shared is the one broker that all scenarios but the restarts use.
func shared(t *testing.T) *rig.Broker {
	t.Helper()
	brokers.mu.Lock()
	defer brokers.mu.Unlock()
	if brokers.shared == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		b, err := rig.Start(ctx, rig.KindFromEnv(t), rig.Options{})
		if err != nil {
			t.Fatal(err)
		}
		brokers.shared = b
	}
	return brokers.shared
}

func newTopic(what string) string {
	return fmt.Sprintf("%s-%d-%d", what, os.Getpid(), topicNumber.Add(1))
}

// t0 is the time of the first record: an hour ago, inside every default bound, whole milliseconds.
var t0 = time.Now().Add(-time.Hour).UnixMilli()

// sample is a set of records with everything a record can have, without what this client cannot say.
func sample(c clients.Client, partitions int32) []clients.Record {
	all := []clients.Record{
		{Key: []byte("key"), Value: []byte("value"), Headers: []clients.Header{{Key: "h1", Value: []byte("one")}, {Key: "h2", Value: []byte("two")}}},
		{Key: nil, Value: []byte("no key, and some UTF-8: Amalie, Řehoř")},
		{Key: []byte("binary"), Value: []byte{0, 1, 2, 0xff, 0xfe, '\n', 0}},
		{Key: []byte("long"), Value: bytes.Repeat([]byte("It is easier to ask for the Castle. "), 300)},
	}
	if c.Lacks(clients.EmptyValue) == "" {
		all = append(all, clients.Record{Key: []byte("empty value"), Value: []byte{}})
	}
	if c.Lacks(clients.NullValue) == "" {
		all = append(all, clients.Record{Key: []byte("tombstone"), Value: nil})
	}
	if c.Lacks(clients.EmptyKey) == "" {
		all = append(all, clients.Record{Key: []byte{}, Value: []byte("empty key")})
	}
	if c.Lacks(clients.NullHeader) == "" {
		all = append(all, clients.Record{Key: []byte("header"), Value: []byte("v"), Headers: []clients.Header{{Key: "null"}, {Key: "empty", Value: []byte{}}}})
	}
	if c.Lacks(clients.TwiceHeader) == "" {
		all = append(all, clients.Record{Key: []byte("header"), Value: []byte("v"), Headers: []clients.Header{{Key: "x", Value: []byte("1")}, {Key: "x", Value: []byte("2")}}})
	}
	for i := range all {
		all[i].Partition = int32(i) % partitions
		if c.Lacks(clients.Timestamps) == "" {
			all[i].Timestamp = t0 + int64(i)*1000
		}
		if all[i].Headers == nil {
			all[i].Headers = []clients.Header{}
		}
	}
	return all
}

// seen makes what was read comparable with what was written: sorted by partition and offset, offsets left out, and a missing list of
// headers the same as an empty one.
func seen(records []clients.Record) []clients.Record {
	out := slices.Clone(records)
	slices.SortStableFunc(out, func(a, b clients.Record) int {
		if a.Partition != b.Partition {
			return int(a.Partition - b.Partition)
		}
		return int(a.Offset - b.Offset)
	})
	for i := range out {
		out[i].Offset = 0
		if out[i].Headers == nil {
			out[i].Headers = []clients.Header{}
		}
	}
	return out
}

func byPartition(records []clients.Record) []clients.Record {
	out := slices.Clone(records)
	slices.SortStableFunc(out, func(a, b clients.Record) int { return int(a.Partition - b.Partition) })
	return out
}

func parts(n int32) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(i)
	}
	return out
}

// selected are the clients that INTEROP_CLIENTS names (all when it is empty).
func selected(t *testing.T) []clients.Client {
	want := os.Getenv("INTEROP_CLIENTS")
	if want == "" {
		return clients.All()
	}
	var out []clients.Client
	for _, name := range strings.Split(want, ",") {
		found := false
		for _, c := range clients.All() {
			if c.Name() == name {
				out, found = append(out, c), true
			}
		}
		if !found {
			t.Fatalf("INTEROP_CLIENTS: there is no client %q", name)
		}
	}
	return out
}

// each runs a scenario with every client and notes the results. A skip comes only from a client's own Lacks.
func each(t *testing.T, scenario string, needs []clients.Feature, run func(t *testing.T, ctx context.Context, c clients.Client)) {
	for _, c := range selected(t) {
		t.Run(c.Name(), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
			defer cancel()
			for _, f := range needs {
				if why := c.Lacks(f); why != "" {
					matrix.Set(c.Name(), scenario, clients.Skip, why)
					t.Skip(why)
				}
			}
			version, err := c.Version(ctx)
			if err != nil {
				matrix.Set(c.Name(), scenario, clients.Fail)
				t.Fatal(err)
			}
			matrix.Version(c.Name(), version)
			defer func() {
				if t.Failed() {
					matrix.Set(c.Name(), scenario, clients.Fail)
				} else if !t.Skipped() {
					matrix.Set(c.Name(), scenario, clients.Pass)
				}
			}()
			run(t, ctx, c)
		})
	}
}

// create makes a topic with the reference client and waits until it can be used.
func create(t *testing.T, ctx context.Context, addr, topic string, partitions int32, configs map[string]string) {
	t.Helper()
	if err := (clients.Franz{}).CreateTopic(ctx, addr, topic, int(partitions), configs); err != nil {
		t.Fatalf("create %s: %v", topic, err)
	}
	awaitLeaders(t, ctx, addr, topic, partitions)
}

func awaitLeaders(t *testing.T, ctx context.Context, addr, topic string, partitions int32) {
	t.Helper()
	for {
		if leaders(ctx, addr, topic) == partitions {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("topic %s has no leaders: %v", topic, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// leaders counts the partitions of a topic whose leader answers for them.
func leaders(ctx context.Context, addr, topic string) int32 {
	conn, err := wire.Dial(ctx, addr, "interop")
	if err != nil {
		return 0
	}
	defer conn.Close()
	m := kmsg.NewPtrMetadataRequest()
	m.Version = 9
	mt := kmsg.NewMetadataRequestTopic()
	mt.Topic = &topic
	m.Topics = append(m.Topics, mt)
	resp, err := conn.Do(ctx, m)
	if err != nil || len(resp.(*kmsg.MetadataResponse).Topics) != 1 {
		return 0
	}
	lo := kmsg.NewPtrListOffsetsRequest()
	lo.Version, lo.ReplicaID = 4, -1
	lt := kmsg.NewListOffsetsRequestTopic()
	lt.Topic = topic
	for _, p := range resp.(*kmsg.MetadataResponse).Topics[0].Partitions {
		lp := kmsg.NewListOffsetsRequestTopicPartition()
		lp.Partition, lp.Timestamp, lp.CurrentLeaderEpoch = p.Partition, -2, -1
		lt.Partitions = append(lt.Partitions, lp)
	}
	if len(lt.Partitions) == 0 {
		return 0
	}
	lo.Topics = append(lo.Topics, lt)
	resp, err = conn.Do(ctx, lo)
	if err != nil {
		return 0
	}
	n := int32(0)
	for _, p := range resp.(*kmsg.ListOffsetsResponse).Topics[0].Partitions {
		if p.ErrorCode == 0 {
			n++
		}
	}
	return n
}

// codecsOf reads the attributes of every batch of a partition.
func codecsOf(t *testing.T, ctx context.Context, addr, topic string, partition int32) []int {
	t.Helper()
	conn, err := wire.Dial(ctx, addr, "interop")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	f := kmsg.NewPtrFetchRequest()
	f.Version, f.MaxBytes, f.ReplicaID, f.SessionEpoch = 12, 50<<20, -1, -1
	fp := kmsg.NewFetchRequestTopicPartition()
	fp.Partition, fp.PartitionMaxBytes, fp.CurrentLeaderEpoch, fp.LastFetchedEpoch = partition, 8<<20, -1, -1
	f.Topics = []kmsg.FetchRequestTopic{{Topic: topic, Partitions: []kmsg.FetchRequestTopicPartition{fp}}}
	resp, err := conn.Do(ctx, f)
	if err != nil {
		t.Fatal(err)
	}
	var out []int
	for b := resp.(*kmsg.FetchResponse).Topics[0].Partitions[0].RecordBatches; len(b) >= 61; {
		out = append(out, int(binary.BigEndian.Uint16(b[21:])&7))
		size := int(binary.BigEndian.Uint32(b[8:])) + 12
		b = b[min(size, len(b)):]
	}
	return out
}

func TestCreateTopic(t *testing.T) {
	each(t, clients.ScenarioCreate, []clients.Feature{clients.Create}, func(t *testing.T, ctx context.Context, c clients.Client) {
		addr, topic := shared(t).Addr, newTopic("create")
		if err := c.CreateTopic(ctx, addr, topic, 3, map[string]string{"retention.ms": "123456", "cleanup.policy": "compact"}); err != nil {
			t.Fatal(err)
		}
		awaitLeaders(t, ctx, addr, topic, 3)
		d, err := clients.Franz{}.Describe(ctx, addr, topic)
		if err != nil {
			t.Fatal(err)
		}
		if d.Partitions != 3 || d.Configs["retention.ms"] != "123456" || d.Configs["cleanup.policy"] != "compact" {
			t.Errorf("created with %d partitions, retention.ms=%s, cleanup.policy=%s", d.Partitions, d.Configs["retention.ms"], d.Configs["cleanup.policy"])
		}
		if err := c.CreateTopic(ctx, addr, topic, 3, nil); err == nil {
			t.Error("creating it a second time was no error")
		}
	})
}

func TestAdmin(t *testing.T) {
	each(t, clients.ScenarioAdmin, []clients.Feature{clients.Admin}, func(t *testing.T, ctx context.Context, c clients.Client) {
		addr, topic := shared(t).Addr, newTopic("admin")
		create(t, ctx, addr, topic, 4, nil)
		d, err := c.Describe(ctx, addr, topic)
		if err != nil {
			t.Fatal(err)
		}
		if d.Partitions != 4 {
			t.Errorf("described with %d partitions, want 4", d.Partitions)
		}
		if d.Configs["retention.ms"] != "604800000" || d.Configs["max.message.bytes"] != "1048588" {
			t.Errorf("described with retention.ms=%q, max.message.bytes=%q", d.Configs["retention.ms"], d.Configs["max.message.bytes"])
		}
		if !slices.Contains(d.Topics, topic) {
			t.Errorf("the list of %d topics lacks %s", len(d.Topics), topic)
		}
		if err := c.AlterConfig(ctx, addr, topic, "retention.ms", "777000"); err != nil {
			t.Fatal(err)
		}
		for {
			d, err := c.Describe(ctx, addr, topic)
			if err != nil {
				t.Fatal(err)
			}
			if d.Configs["retention.ms"] == "777000" {
				return
			}
			select {
			case <-ctx.Done():
				t.Fatalf("retention.ms stays %q", d.Configs["retention.ms"])
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
}

// TestCodecs also is the cross-reading: what each client writes with each codec, the reference reads back exactly; TestScenario09CrossReading has all
// the others read the same bytes.
func TestCodecs(t *testing.T) {
	each(t, clients.ScenarioCodecs, nil, func(t *testing.T, ctx context.Context, c clients.Client) {
		addr := shared(t).Addr
		var notes []string
		for number, codec := range clients.Codecs {
			if why := c.Lacks(clients.Feature(codec)); why != "" {
				notes = append(notes, why)
				continue
			}
			topic := newTopic("codec-" + codec)
			create(t, ctx, addr, topic, 2, nil)
			want := sample(c, 2)
			if err := c.Produce(ctx, addr, clients.Produce{Topic: topic, Codec: codec, Records: want}); err != nil {
				t.Errorf("%s: %v", codec, err)
				continue
			}
			got, err := clients.Franz{}.Consume(ctx, addr, clients.Consume{Topic: topic, Partitions: parts(2), From: clients.FromStart, Count: len(want)})
			if err != nil {
				t.Errorf("%s: read back: %v", codec, err)
				continue
			}
			if diff := diffRecords(c, byPartition(want), seen(got)); diff != "" {
				t.Errorf("%s: read back (-written +read):\n%s", codec, diff)
			}
			used := append(codecsOf(t, ctx, addr, topic, 0), codecsOf(t, ctx, addr, topic, 1)...)
			if !slices.Contains(used, number) {
				t.Errorf("%s: no batch in the log has codec %d; they have %v", codec, number, used)
			}
		}
		for _, why := range notes {
			matrix.Set(c.Name(), clients.ScenarioCodecs, clients.Pass, why)
		}
	})
}

// diffRecords compares, but not the timestamps of a client that cannot set them and not the order of headers where there is none.
func diffRecords(writer clients.Client, want, got []clients.Record) string {
	got, want = slices.Clone(got), slices.Clone(want)
	for i := range got {
		if writer.Lacks(clients.Timestamps) != "" && i < len(want) {
			got[i].Timestamp, want[i].Timestamp = 0, 0
		}
		if writer.Lacks(clients.HeaderOrder) != "" && i < len(want) {
			sortHeaders(&got[i])
			sortHeaders(&want[i])
		}
	}
	return cmp.Diff(want, got)
}

func sortHeaders(r *clients.Record) {
	r.Headers = slices.Clone(r.Headers)
	slices.SortStableFunc(r.Headers, func(a, b clients.Header) int { return strings.Compare(a.Key, b.Key) })
}

// crossTopics are written once, by every client with every codec it has, and then read by all.
var crossTopics struct {
	sync.Once
	topics []crossTopic
}

type crossTopic struct {
	writer, topic string
	codecs        []string
	truth         []clients.Record
}

// unreadable is why a client cannot read a topic: it lacks a codec that the topic holds.
func unreadable(c clients.Client, x crossTopic) string {
	for _, codec := range x.codecs {
		if why := c.Lacks(clients.Feature(codec)); why != "" {
			return why
		}
	}
	return ""
}

func TestScenario09CrossReading(t *testing.T) {
	addr := shared(t).Addr
	crossTopics.Do(func() {
		for _, w := range selected(t) {
			writeForAll(t, addr, w)
		}
	})
	each(t, clients.ScenarioCross, []clients.Feature{clients.Consuming}, func(t *testing.T, ctx context.Context, c clients.Client) {
		if why := c.Lacks(clients.TellsEmpty); why != "" {
			matrix.Set(c.Name(), clients.ScenarioCross, clients.Pass, why)
		}
		for _, x := range crossTopics.topics {
			if why := unreadable(c, x); why != "" {
				matrix.Set(c.Name(), clients.ScenarioCross, clients.Pass, why)
				continue
			}
			got, err := c.Consume(ctx, addr, clients.Consume{Topic: x.topic, Partitions: parts(1), From: clients.FromStart, Count: len(x.truth)})
			if err != nil {
				t.Errorf("what %s wrote: %v", x.writer, err)
				continue
			}
			truth, read := x.truth, seen(got)
			if why := c.Lacks(clients.TellsEmpty); why != "" {
				truth, read = withoutEmpty(truth), withoutEmpty(read)
			}
			if c.Lacks(clients.HeaderOrder) != "" {
				truth, read = slices.Clone(truth), slices.Clone(read)
				for i := range truth {
					sortHeaders(&truth[i])
				}
				for i := range read {
					sortHeaders(&read[i])
				}
			}
			if diff := cmp.Diff(truth, read); diff != "" {
				t.Errorf("what %s wrote (-written +read):\n%s", x.writer, diff)
			}
		}
	})
}

// writeForAll has one client write with every codec it has, and notes what the reference reads of it.
func writeForAll(t *testing.T, addr string, w clients.Client) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	topic := newTopic("cross")
	create(t, ctx, addr, topic, 1, nil)
	count := 0
	var codecs []string
	for _, codec := range clients.Codecs {
		if w.Lacks(clients.Feature(codec)) != "" {
			continue
		}
		records := sample(w, 1)
		if err := w.Produce(ctx, addr, clients.Produce{Topic: topic, Codec: codec, Records: records}); err != nil {
			t.Errorf("%s cannot write with %s: %v", w.Name(), codec, err)
			return
		}
		count += len(records)
		codecs = append(codecs, codec)
	}
	truth, err := clients.Franz{}.Consume(ctx, addr, clients.Consume{Topic: topic, Partitions: parts(1), From: clients.FromStart, Count: count})
	if err != nil {
		t.Errorf("what %s wrote: %v", w.Name(), err)
		return
	}
	crossTopics.topics = append(crossTopics.topics, crossTopic{w.Name(), topic, codecs, seen(truth)})
}

// withoutEmpty makes every empty key, value and header value null.
func withoutEmpty(records []clients.Record) []clients.Record {
	null := func(b []byte) []byte {
		if len(b) == 0 {
			return nil
		}
		return b
	}
	out := slices.Clone(records)
	for i := range out {
		out[i].Key, out[i].Value = null(out[i].Key), null(out[i].Value)
		out[i].Headers = slices.Clone(out[i].Headers)
		for j := range out[i].Headers {
			out[i].Headers[j].Value = null(out[i].Headers[j].Value)
		}
	}
	return out
}

func TestConsumeFromEndAndTimestamp(t *testing.T) {
	each(t, clients.ScenarioPositions, []clients.Feature{clients.Consuming}, func(t *testing.T, ctx context.Context, c clients.Client) {
		addr, topic := shared(t).Addr, newTopic("position")
		create(t, ctx, addr, topic, 1, nil)
		franz := clients.Franz{}
		var old []clients.Record
		for i := range 20 {
			old = append(old, clients.Record{Timestamp: t0 + int64(i)*1000, Value: fmt.Appendf(nil, "old-%d", i)})
		}
		if err := franz.Produce(ctx, addr, clients.Produce{Topic: topic, Codec: "none", Idempotent: true, Records: old}); err != nil {
			t.Fatal(err)
		}
		if c.Lacks(clients.FromTime) == "" {
			// Between the 7th and the 8th: the 8th is the first that is not older.
			got, err := c.Consume(ctx, addr, clients.Consume{Topic: topic, Partitions: parts(1), From: clients.FromStamp, Timestamp: t0 + 7500, Count: 12})
			if err != nil {
				t.Fatalf("from a timestamp: %v", err)
			}
			if string(got[0].Value) != "old-8" || string(got[11].Value) != "old-19" {
				t.Errorf("from a timestamp: got %q to %q, want old-8 to old-19", got[0].Value, got[11].Value)
			}
		}
		// From the end: records keep coming while the consumer starts, so that it needs no signal of being ready.
		stop := make(chan struct{})
		stopped := make(chan error, 1)
		go func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					stopped <- nil
					return
				case <-time.After(50 * time.Millisecond):
				}
				err := franz.Produce(ctx, addr, clients.Produce{Topic: topic, Codec: "none", Idempotent: true,
					Records: []clients.Record{{Timestamp: time.Now().UnixMilli(), Value: fmt.Appendf(nil, "new-%d", i)}}})
				if err != nil {
					stopped <- err
					return
				}
			}
		}()
		got, err := c.Consume(ctx, addr, clients.Consume{Topic: topic, Partitions: parts(1), From: clients.FromEnd, Count: 3})
		close(stop)
		if perr := <-stopped; perr != nil {
			t.Fatalf("produce: %v", perr)
		}
		if err != nil {
			t.Fatalf("from the end: %v", err)
		}
		first := -1
		for i, r := range got {
			var n int
			if _, err := fmt.Sscanf(string(r.Value), "new-%d", &n); err != nil {
				t.Fatalf("from the end: got %q, written before the start", r.Value)
			}
			if i == 0 {
				first = n
			}
			if n != first+i {
				t.Errorf("from the end: record %d is new-%d after new-%d", i, n, first)
			}
		}
	})
}

func TestBigRecords(t *testing.T) {
	each(t, clients.ScenarioBig, nil, func(t *testing.T, ctx context.Context, c clients.Client) {
		addr, topic := shared(t).Addr, newTopic("big")
		create(t, ctx, addr, topic, 1, nil)
		big := make([]byte, 900<<10)
		for i := range big {
			big[i] = byte('a' + i*7%23)
		}
		want := clients.Record{Key: []byte("big"), Value: big, Headers: []clients.Header{}}
		if c.Lacks(clients.Timestamps) == "" {
			want.Timestamp = t0
		}
		if err := c.Produce(ctx, addr, clients.Produce{Topic: topic, Codec: "none", Records: []clients.Record{want}}); err != nil {
			t.Fatalf("a record of 900 KiB: %v", err)
		}
		readers := []clients.Client{clients.Franz{}}
		if c.Lacks(clients.Consuming) == "" {
			readers = append(readers, c)
		}
		for _, r := range readers {
			got, err := r.Consume(ctx, addr, clients.Consume{Topic: topic, Partitions: parts(1), From: clients.FromStart, Count: 1})
			if err != nil {
				t.Fatalf("read by %s: %v", r.Name(), err)
			}
			if !bytes.Equal(got[0].Value, big) {
				t.Errorf("read by %s: %d bytes that differ", r.Name(), len(got[0].Value))
			}
		}
		tooBig := clients.Record{Key: []byte("too big"), Value: make([]byte, 1200<<10)}
		if err := c.Produce(ctx, addr, clients.Produce{Topic: topic, Codec: "none", Records: []clients.Record{tooBig}}); err == nil {
			t.Error("a record of 1,200 KiB was accepted; max.message.bytes is 1,048,588")
		} else if text := strings.ToLower(err.Error()); !strings.Contains(text, "large") && !strings.Contains(text, "size") {
			t.Errorf("a record of 1,200 KiB was refused for another reason: %v", err)
		}
	})
}

func TestManyPartitions(t *testing.T) {
	each(t, clients.ScenarioPartitions, nil, func(t *testing.T, ctx context.Context, c clients.Client) {
		const n = 24
		addr, topic := shared(t).Addr, newTopic("many")
		create(t, ctx, addr, topic, n, nil)
		var want []clients.Record
		for i := range 2 * n {
			want = append(want, clients.Record{Partition: int32(i % n), Key: fmt.Appendf(nil, "key-%d", i), Value: fmt.Appendf(nil, "value-%d", i), Headers: []clients.Header{}})
		}
		if err := c.Produce(ctx, addr, clients.Produce{Topic: topic, Codec: "none", Records: want}); err != nil {
			t.Fatal(err)
		}
		reader := c
		if c.Lacks(clients.Consuming) != "" {
			reader = clients.Franz{}
		}
		got, err := reader.Consume(ctx, addr, clients.Consume{Topic: topic, Partitions: parts(n), From: clients.FromStart, Count: len(want)})
		if err != nil {
			t.Fatal(err)
		}
		got = seen(got)
		for i := range got {
			got[i].Timestamp = 0
		}
		if diff := cmp.Diff(byPartition(want), got); diff != "" {
			t.Errorf("(-written +read):\n%s", diff)
		}
	})
}

func TestRestart(t *testing.T) {
	kind := rig.KindFromEnv(t)
	b := rig.StartT(t, kind, rig.Options{})
	for _, idempotent := range []bool{true, false} {
		scenario, needs := clients.ScenarioRestart, []clients.Feature{clients.Idempotence}
		if !idempotent {
			scenario, needs = clients.ScenarioRestartPlain, nil
		}
		t.Run(scenario, func(t *testing.T) {
			each(t, scenario, needs, func(t *testing.T, ctx context.Context, c clients.Client) { restartOnce(t, ctx, b, c, idempotent) })
		})
	}
}

// restartOnce has a client write while the broker is killed and started again, and then stopped and started again. An idempotent producer's records must all be there exactly
// once and in order; a plain one may write some twice, but loses none.
func restartOnce(t *testing.T, ctx context.Context, b *rig.Broker, c clients.Client, idempotent bool) {
	const records, partitions = 1500, 3
	topic := newTopic("restart")
	create(t, ctx, b.Addr, topic, partitions, nil)
	var want []clients.Record
	for i := range records {
		want = append(want, clients.Record{Partition: int32(i % partitions), Key: fmt.Append(nil, i%partitions), Value: fmt.Append(nil, i/partitions)})
	}
	done := make(chan error, 1)
	go func() {
		done <- c.Produce(ctx, b.Addr, clients.Produce{Topic: topic, Codec: "none", Idempotent: idempotent, Records: want, Interval: 2 * time.Millisecond})
	}()
	// The broker goes down once some records are there, not at a time: a slow client has its restart in the middle as well.
	for _, down := range []struct {
		after int
		how   string
	}{{records / 5, "SIGKILL"}, {records * 3 / 5, "SIGTERM"}} {
		some, err := clients.Franz{}.Consume(ctx, b.Addr, clients.Consume{Topic: topic, Partitions: parts(partitions), From: clients.FromStart, Count: down.after})
		if err != nil {
			t.Fatalf("before %s: %v after %d records; the producer: %v", down.how, err, len(some), errNow(done))
		}
		if down.how == "SIGKILL" {
			b.Kill()
		} else if err := b.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := b.Restart(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		t.Fatalf("produce: %v", err)
	}
	awaitLeaders(t, ctx, b.Addr, topic, partitions)
	counts := map[string]int{}
	for p := range int32(partitions) {
		got := readAll(t, ctx, b.Addr, topic, p)
		next := 0
		for _, r := range got {
			counts[fmt.Sprint(p, "/", string(r.Value))]++
			if idempotent && string(r.Value) != fmt.Sprint(next) {
				t.Fatalf("partition %d, offset %d: record %s where %d belongs", p, r.Offset, r.Value, next)
			}
			next++
		}
	}
	for i := range records {
		if n := counts[fmt.Sprint(i%partitions, "/", i/partitions)]; n == 0 || idempotent && n != 1 {
			t.Fatalf("record %d of partition %d is there %d times", i/partitions, i%partitions, n)
		}
	}
}

func errNow(c <-chan error) error {
	select {
	case err := <-c:
		return err
	default:
		return nil
	}
}

// readAll reads a partition up to its end offset.
func readAll(t *testing.T, ctx context.Context, addr, topic string, partition int32) []clients.Record {
	t.Helper()
	conn, err := wire.Dial(ctx, addr, "interop")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	q := kmsg.NewPtrListOffsetsRequest()
	q.Version, q.ReplicaID = 4, -1
	lt := kmsg.NewListOffsetsRequestTopic()
	lt.Topic = topic
	lp := kmsg.NewListOffsetsRequestTopicPartition()
	lp.Partition, lp.Timestamp, lp.CurrentLeaderEpoch = partition, -1, -1
	lt.Partitions = append(lt.Partitions, lp)
	q.Topics = append(q.Topics, lt)
	resp, err := conn.Do(ctx, q)
	if err != nil {
		t.Fatal(err)
	}
	answer := resp.(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0]
	if answer.ErrorCode != 0 {
		t.Fatalf("the end of %s-%d: error code %d", topic, partition, answer.ErrorCode)
	}
	end := answer.Offset
	if end == 0 {
		return nil
	}
	got, err := clients.Franz{}.Consume(ctx, addr, clients.Consume{Topic: topic, Partitions: []int32{partition}, From: clients.FromStart, Count: int(end)})
	if err != nil {
		t.Fatal(err)
	}
	return got
}
