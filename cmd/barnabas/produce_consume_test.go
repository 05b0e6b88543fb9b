package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/batch"
)

func TestProduceReportsAndConsumeReads(t *testing.T) {
	addr := newCluster(t, kfake.SeedTopics(1, "orders"))
	equal(t, "TOPIC   PARTITION  RECORDS  FIRST OFFSET  LAST OFFSET\norders          0        3             0            2\n",
		ok(t, addr, "a\n\nc", "produce", "orders"))
	equal(t, "a\n\nc\n", ok(t, addr, "", "consume", "orders", "--exit-at-end"))
	r := decode[produceResult](t, ok(t, addr, "k1:v1\nk2:\n", "produce", "orders", "-K", ":", "-Z", "-H", "trace=7", "-t", "1700000000000", "-o", "json"))
	if r.Records != 2 || r.Bytes != 6 || r.Failed != 0 || r.Partitions[0] != (producedPartition{0, 2, 3, 4}) {
		t.Errorf("%+v", r)
	}
	equal(t, `{"topic":"orders","partition":0,"offset":3,"timestamp":1700000000000,"timestamp_type":"CreateTime","leader_epoch":0,"key":"k1","value":"v1","headers":[{"key":"trace","value":"7"}]}
{"topic":"orders","partition":0,"offset":4,"timestamp":1700000000000,"timestamp_type":"CreateTime","leader_epoch":0,"key":"k2","value":null,"headers":[{"key":"trace","value":"7"}]}
`, ok(t, addr, "", "consume", "orders", "--from", "3", "--to", "end", "--json"))
	equal(t, "orders 0 4 -1 trace=7\n", ok(t, addr, "", "consume", "orders", "--from", "-1", "-e", "-f", `%t %p %o %V %h\n`))
	equal(t, "orders\t0\t3\t2023-11-14T22:13:20.000Z\tk1\ttrace=7\tv1\n",
		ok(t, addr, "", "consume", "orders", "--from", "3", "-n", "1", "--with", "topic,partition,offset,timestamp,key,headers"))
	equal(t, "", ok(t, addr, "", "consume", "orders", "--from", "end", "--to", "end"))
	equal(t, "\nc\n", ok(t, addr, "", "consume", "orders", "--from", "1", "--to", "3"))

	ok(t, addr, "", "produce", "orders", "-k", "gone", "-Z")
	equal(t, "gone -1\n", ok(t, addr, "", "consume", "orders", "--from", "-1", "-e", "-f", `%k %V\n`))
}

func TestProduceWithoutWaiting(t *testing.T) {
	addr := newCluster(t, kfake.SeedTopics(1, "t"))
	for i, args := range [][]string{{"--acks", "1"}, {"--acks", "0"}, {"--idempotent=false"}, {"-z", "gzip"}, {"-z", "snappy"}, {"-z", "lz4"}, {"-z", "zstd"}} {
		ok(t, addr, strings.Repeat("line\n", 100), append([]string{"produce", "t"}, args...)...)
		if got := strings.Count(ok(t, addr, "", "consume", "t", "-e"), "line"); got != 100*(i+1) {
			t.Errorf("%v: %d records in the topic, want %d", args, got, 100*(i+1))
		}
	}
}

func TestFilesAndFormats(t *testing.T) {
	addr := newCluster(t, kfake.SeedTopics(4, "in", "out"))
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	for f, text := range map[string]string{one: "0 k1 v1\n3 k2 v2\n", two: "1 k3 v3\n"} {
		if err := os.WriteFile(f, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ok(t, addr, "2 k4 v4\n", "produce", "in", one, "-", two, "-f", `%p %k %v\n`)
	equal(t, "0 k1 v1|1 k3 v3|2 k4 v4|3 k2 v2", sorted(ok(t, addr, "", "consume", "in", "-e", "-f", `%p %k %v\n`)))
	equal(t, "1 k3 v3|3 k2 v2", sorted(ok(t, addr, "", "consume", "in", "-e", "-f", `%p %k %v\n`, "-p", "1,3")))

	// What one command writes, the other reads: through JSON and through lengths, partitions kept.
	ok(t, addr, ok(t, addr, "", "consume", "in", "-e", "--json"), "produce", "out", "--json")
	binary := ok(t, addr, "", "consume", "in", "-e", "-f", `%p{byte}%K{big32}%V{big32}%k%v`)
	ok(t, addr, binary, "produce", "out", "-f", `%p{byte}%K{big32}%V{big32}%k%v`)
	equal(t, "0 k1 v1|0 k1 v1|1 k3 v3|1 k3 v3|2 k4 v4|2 k4 v4|3 k2 v2|3 k2 v2", sorted(ok(t, addr, "", "consume", "out", "-e", "-f", `%p %k %v\n`)))
	equal(t, 12, strings.Count(ok(t, addr, "", "consume", "--regex", "in|o.t", "-e"), "\n"))
}

// sorted puts lines, which come in any order from several partitions, into one.
func sorted(s string) string {
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "|")
}

func TestConsumeByTime(t *testing.T) {
	addr := newCluster(t, kfake.SeedTopics(1, "t"))
	for i, when := range []string{"2026-01-31T09:00:00Z", "2026-01-31T10:00:00Z", "2026-01-31T11:30:00Z"} {
		ok(t, addr, fmt.Sprintf("r%d\n", i), "produce", "t", "--timestamp", when)
	}
	equal(t, "r2\n", ok(t, addr, "", "consume", "t", "--from", "@-1h", "-e"))
	equal(t, "r1\n", ok(t, addr, "", "consume", "t", "--from", "@2026-01-31T09:30", "--to", "@2026-01-31T11:00"))
	equal(t, "", ok(t, addr, "", "consume", "t", "--from", "@now", "-e"))
}

func TestBadInputNamesItsLine(t *testing.T) {
	addr := newCluster(t, kfake.SeedTopics(1, "t"))
	refused(t, exitFailed, addr, "a:1\nb:2\nnothing\n", []string{"produce", "t", "-K", ":"}, `stdin:3: no ":" after %k in "nothing"`, "every line must be key:value")
	equal(t, "1\n2\n", ok(t, addr, "", "consume", "t", "-e"))
	refused(t, exitFailed, addr, "{\"value\":\"x\"}\n\n{\"valeu\":1}\n", []string{"produce", "t", "--json"}, `stdin:3: not a JSON record`, "one JSON object on each line")
	equal(t, "1\n2\nx\n", ok(t, addr, "", "consume", "t", "-e"))
	refused(t, exitFailed, addr, "", []string{"produce", "t", "missing.txt"}, "missing.txt does not exist")
	for _, c := range []struct {
		args []string
		say  string
	}{
		{[]string{"-f", "%q"}, "no verb %q"},
		{[]string{"-f", "%k%v"}, "nothing ends %k"},
		{[]string{"-f", "%v", "--json"}, "exclude each other"},
		{[]string{"--acks", "2"}, "is not a choice"},
		{[]string{"--acks", "1", "--idempotent"}, "--idempotent needs --acks all"},
		{[]string{"-z", "rar"}, "is not a compression codec"},
		{[]string{"-H", "x"}, "not name=value"},
		{[]string{"-t", "soon"}, `"soon" is not a time`},
		{[]string{"-p", "-2"}, "--partition -2 does not exist"},
		{[]string{"--batch-bytes", "1"}, "at least 1024"},
	} {
		refused(t, exitUsage, addr, "a\n", append([]string{"produce", "t"}, c.args...), c.say)
	}
	for _, c := range []struct {
		args []string
		say  string
	}{
		{[]string{"-f", "%q"}, "no verb %q"},
		{[]string{"-f", "%v", "--json"}, "exclude each other"},
		{[]string{"--with", "colour"}, "--with colour is not a field"},
		{[]string{"-e", "--to", "5"}, "say different things"},
		{[]string{"--from", "x"}, `--from "x"`},
		{[]string{"-o", "yaml"}, "does not print YAML"},
		{[]string{"-n", "-1"}, "must not be negative"},
	} {
		refused(t, exitUsage, addr, "", append([]string{"consume", "t"}, c.args...), c.say)
	}
	refused(t, exitFailed, addr, "", []string{"consume", "t", "--from", "99", "-e"}, "--from 99 is outside of the offsets 0 to 3")
	refused(t, exitFailed, addr, "", []string{"consume", "nope", "-e"}, "no topic nope", "barnabas topics create nope")
	refused(t, exitFailed, addr, "", []string{"consume", "t", "-e", "-p", "4"}, "t has no partition 4")
}

func TestRefusedRecordsEndWithOne(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "t"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	addr := c.ListenAddrs()[0]
	refused(t, exitFailed, addr, "a\nb\n", []string{"produce", "nope"}, "2 of 2 records not acknowledged", "no topic nope", "--auto-create")
	refused(t, exitFailed, addr, "a\n", []string{"produce", "t", "-p", "7"}, "stdin:1: no partition 7 of topic t", "barnabas topics describe t")
	r := invoke(t, addr, "0 a\n9 b\n", "produce", "t", "-f", `%p %v\n`, "-o", "json")
	got := decode[produceResult](t, r.out)
	if r.code != exitFailed || got.Records != 1 || got.Failed != 1 || got.Errors[0].Line != 2 {
		t.Errorf("exit %d, %+v", r.code, got)
	}
	c.ControlKey(0, func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		pr := req.(*kmsg.ProduceRequest)
		resp := req.ResponseKind().(*kmsg.ProduceResponse)
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic, rt.TopicID = pr.Topics[0].Topic, pr.Topics[0].TopicID
		rp := kmsg.NewProduceResponseTopicPartition()
		rp.Partition, rp.ErrorCode = pr.Topics[0].Partitions[0].Partition, kerr.MessageTooLarge.Code
		rt.Partitions = append(rt.Partitions, rp)
		resp.Topics = append(resp.Topics, rt)
		return resp, nil, true
	})
	refused(t, exitFailed, addr, "x\n", []string{"produce", "t", "-p", "0"}, "1 of 1 records not acknowledged", "the record of 1 B is too large", "max.message.bytes")
}

// brokenPipe is a reader that went away.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "|1", Err: syscall.EPIPE}
}

func TestConsumeEndsQuietlyWhenItsReaderGoes(t *testing.T) {
	addr := newCluster(t, kfake.SeedTopics(1, "t"))
	ok(t, addr, "a\n", "produce", "t")
	r := invokeCtx(t, t.Context(), addr, strings.NewReader(""), brokenPipe{}, "consume", "t", "--from", "start")
	if r.code != 0 || r.err != "" {
		t.Errorf("%+v", r)
	}
}

// cancelOn ends the run when a text has been written: ctrl-C after the first record.
type cancelOn struct {
	cancel context.CancelFunc
	text   string
	bytes.Buffer
}

func (c *cancelOn) Write(b []byte) (int, error) {
	n, err := c.Buffer.Write(b)
	if strings.Contains(c.String(), c.text) {
		c.cancel()
	}
	return n, err
}

func TestFollowingEndsWithCtrlC(t *testing.T) {
	addr := newCluster(t, kfake.SeedTopics(1, "t"))
	ctx, cancel := context.WithCancel(t.Context())
	w := &cancelOn{cancel: cancel, text: "a\n"}
	ok(t, addr, "a\n", "produce", "t")
	r := invokeCtx(t, ctx, addr, strings.NewReader(""), w, "consume", "t", "--from", "start")
	if r.code != 0 || r.err != "" || w.String() != "a\n" {
		t.Errorf("%+v %q", r, w.String())
	}
}

// stuckInput is a pipe on which nothing more comes until ctrl-C.
type stuckInput struct {
	first  io.Reader
	cancel context.CancelFunc
}

func (s *stuckInput) Read(b []byte) (int, error) {
	n, err := s.first.Read(b)
	if errors.Is(err, io.EOF) {
		s.cancel()
		copy(b, "late\n")
		return 5, nil
	}
	return n, err
}

func TestInterruptedProduceKeepsWhatWasRead(t *testing.T) {
	addr := newCluster(t, kfake.SeedTopics(1, "t"))
	ctx, cancel := context.WithCancel(t.Context())
	r := invokeCtx(t, ctx, addr, &stuckInput{strings.NewReader("a\nb\n"), cancel}, nil, "produce", "t")
	if r.code != exitInterrupted {
		t.Errorf("%+v", r)
	}
	equal(t, "a\nb\n", ok(t, addr, "", "consume", "t", "-e"))
}

func TestConsumeEndsBehindCompactedRecords(t *testing.T) {
	// The log ends at offset 10, but compaction has taken the records behind offset 1; only an empty batch is left of them.
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	var log []byte
	b := batch.NewBuilder(batch.NewCodecs(batch.DefaultLimits()))
	b.Reset(batch.Options{})
	for _, v := range []string{"a", "b"} {
		if err := b.Append(1, nil, []byte(v), nil); err != nil {
			t.Fatal(err)
		}
	}
	built, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	log = append(log, built...)
	b.Reset(batch.Options{BaseOffset: 2})
	if err := b.ExtendTo(9); err != nil {
		t.Fatal(err)
	}
	if built, err = b.Build(); err != nil {
		t.Fatal(err)
	}
	log = append(log, built...)
	c.ControlKey(int16(kmsg.ListOffsets), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		rt := kmsg.NewListOffsetsResponseTopic()
		rt.Topic = "t"
		rp := kmsg.NewListOffsetsResponseTopicPartition()
		rp.LeaderEpoch = 0
		if req.(*kmsg.ListOffsetsRequest).Topics[0].Partitions[0].Timestamp == -1 {
			rp.Offset = 10
		} else {
			rp.Offset = 0
		}
		rt.Partitions = append(rt.Partitions, rp)
		resp.Topics = append(resp.Topics, rt)
		return resp, nil, true
	})
	c.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		fr := req.(*kmsg.FetchRequest)
		resp := req.ResponseKind().(*kmsg.FetchResponse)
		if len(fr.Topics) == 0 || fr.Topics[0].Partitions[0].FetchOffset >= 10 {
			return resp, nil, true
		}
		rt := kmsg.NewFetchResponseTopic()
		rt.Topic, rt.TopicID = fr.Topics[0].Topic, fr.Topics[0].TopicID
		rp := kmsg.NewFetchResponseTopicPartition()
		rp.HighWatermark, rp.LastStableOffset, rp.RecordBatches = 10, 10, log
		rt.Partitions = append(rt.Partitions, rp)
		resp.Topics = append(resp.Topics, rt)
		return resp, nil, true
	})
	equal(t, "a\nb\n", ok(t, c.ListenAddrs()[0], "", "consume", "t", "--from", "start", "--to", "end", "--fetch-max-wait", "10ms"))
}

func TestIsolationLevels(t *testing.T) {
	addr := newCluster(t, kfake.SeedTopics(1, "t"))
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.TransactionalID("tx"), kgo.DefaultProduceTopic("t"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	transaction := func(value string, end kgo.TransactionEndTry) {
		t.Helper()
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := cl.ProduceSync(t.Context(), kgo.StringRecord(value)).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := cl.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := cl.EndTransaction(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	transaction("committed", kgo.TryCommit)
	transaction("aborted", kgo.TryAbort)
	equal(t, "committed\naborted\n", ok(t, addr, "", "consume", "t", "-e"))
	equal(t, "committed\n", ok(t, addr, "", "consume", "t", "-e", "--isolation", "read_committed"))
	// Of an open transaction, a read_committed end is the last stable offset.
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := cl.ProduceSync(t.Context(), kgo.StringRecord("open")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	equal(t, "committed\naborted\nopen\n", ok(t, addr, "", "consume", "t", "-e"))
	equal(t, "committed\n", ok(t, addr, "", "consume", "t", "-e", "--isolation", "read_committed"))
	for isolation, end := range map[string]int64{"read_uncommitted": 5, "read_committed": 4} {
		rows := decode[[]offsetRow](t, ok(t, addr, "", "offsets", "t", "--isolation", isolation, "-o", "json"))
		if *rows[0].End != end {
			t.Errorf("%s: the end is %d, want %d", isolation, *rows[0].End, end)
		}
	}
}

func TestProduceWithoutAcksKnowsNoOffsets(t *testing.T) {
	addr := newCluster(t, kfake.SeedTopics(1, "t"))
	equal(t, "TOPIC  PARTITION  RECORDS  FIRST OFFSET  LAST OFFSET\nt              0        2             -            -\n",
		ok(t, addr, "a\nb\n", "produce", "t", "--acks", "0"))
}
