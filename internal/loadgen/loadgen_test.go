package loadgen

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/batch"
)

func TestHistogramKnowsQuantilesWithinOnePercent(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var whole, a, b Histogram
	var all []time.Duration
	for i := range 20_000 {
		d := time.Duration(rng.ExpFloat64() * float64(time.Millisecond))
		all = append(all, d)
		whole.Add(d, 1)
		if i%3 == 0 {
			a.Add(d, 1)
		} else {
			b.Add(d, 1)
		}
	}
	a.Merge(&b)
	slices.Sort(all)
	for _, q := range []float64{0, 0.01, 0.5, 0.9, 0.99, 0.999, 1} {
		want := all[max(0, int(q*float64(len(all))+0.9999999)-1)]
		for _, h := range []*Histogram{&whole, &a} {
			if got := h.Quantile(q); got < want || float64(got-want) > 0.01*float64(want)+1 {
				t.Errorf("quantile %v is %v, want %v", q, got, want)
			}
		}
	}
	if a.Count() != 20_000 || a.Max() != all[len(all)-1] || a.Mean() != whole.Mean() {
		t.Errorf("count %d max %v mean %v, want those of the whole", a.Count(), a.Max(), a.Mean())
	}
	var empty Histogram
	if empty.Quantile(0.5) != 0 || empty.Mean() != 0 {
		t.Error("an empty histogram is not zero")
	}
}

func TestBucketsTouchEachOther(t *testing.T) {
	last := -1
	for _, v := range []uint64{0, 1, 127, 128, 255, 256, 257, 258, 511, 512, 1 << 20, 1<<62 + 12345, 1<<63 - 1} {
		i := bucket(v)
		if i < last || upper(i) < v || i > 0 && upper(i-1) >= v {
			t.Errorf("%d is in bucket %d, which ends at %d", v, i, upper(i))
		}
		last = i
	}
}

func TestTextShrinksToAboutHalf(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var values []byte
	for range 1000 {
		values = append(values, text(rng, 1024, false)...)
	}
	ratio := func(b []byte) float64 {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return float64(len(b)) / float64(out.Len())
	}
	if r := ratio(values); r < 1.7 || r > 2.6 {
		t.Errorf("text compresses %.2f:1, the help says about 2:1", r)
	}
	if r := ratio(text(rng, 1<<20, true)); r > 1.01 {
		t.Errorf("incompressible bytes compress %.2f:1", r)
	}
	if !bytes.Equal(text(rand.New(rand.NewPCG(7, 7)), 5000, false), text(rand.New(rand.NewPCG(7, 7)), 5000, false)) {
		t.Error("one seed gives two texts")
	}
}

// peer is a topic on a Kafka that is not ours.
func peer(t *testing.T, partitions int32) (*kfake.Cluster, *kgo.Client, *Settings) {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(2), kfake.SeedTopics(partitions, "load"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	s := &Settings{Topic: "load", Leaders: map[int32]string{}, Clients: 1, RecordBytes: 100, BatchBytes: 4096, PartitionsPerRequest: 1,
		MaxInFlight: 5, Acks: -1, Seed: 1, Timeout: 10 * time.Second, FetchBytes: 1 << 20, PartitionFetchBytes: 10_000, FetchWait: 100 * time.Millisecond}
	meta, err := kadm.NewClient(cl).Metadata(t.Context(), "load")
	if err != nil {
		t.Fatal(err)
	}
	addr := map[int32]string{}
	for _, b := range meta.Brokers {
		addr[b.NodeID] = fmt.Sprintf("%s:%d", b.Host, b.Port)
	}
	for _, p := range meta.Topics["load"].Partitions {
		s.Leaders[p.Partition] = addr[p.Leader]
	}
	return c, cl, s
}

func identities(t *testing.T, cl *kgo.Client, n int) (out []Producer) {
	t.Helper()
	for range n {
		req := kmsg.NewPtrInitProducerIDRequest()
		resp, err := req.RequestWith(t.Context(), cl)
		if err != nil || resp.ErrorCode != 0 {
			t.Fatal(err, resp)
		}
		out = append(out, Producer{resp.ProducerID, resp.ProducerEpoch})
	}
	return out
}

func TestProduceThenConsumeCountTheSame(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, s *Settings, cl *kgo.Client){
		"plain":                          func(*testing.T, *Settings, *kgo.Client) {},
		"acks 1":                         func(_ *testing.T, s *Settings, _ *kgo.Client) { s.Acks = 1 },
		"acks 0":                         func(_ *testing.T, s *Settings, _ *kgo.Client) { s.Acks = 0 },
		"compressed":                     func(_ *testing.T, s *Settings, _ *kgo.Client) { s.Codec = batch.Zstd },
		"several partitions per request": func(_ *testing.T, s *Settings, _ *kgo.Client) { s.PartitionsPerRequest = 2 },
		"idempotent, two clients": func(t *testing.T, s *Settings, cl *kgo.Client) {
			s.Clients, s.Producers = 2, identities(t, cl, 2)
		},
		"idempotent, several partitions per request": func(t *testing.T, s *Settings, cl *kgo.Client) {
			s.PartitionsPerRequest, s.Producers = 2, identities(t, cl, 1)
		},
		"at a rate": func(_ *testing.T, s *Settings, _ *kgo.Client) { s.Rate, s.Linger = 50_000, time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			_, cl, s := peer(t, 4)
			s.Records = 3000
			change(t, s, cl)
			if err := s.Validate(); err != nil {
				t.Fatal(err)
			}
			r, err := Produce(t.Context(), s)
			if err != nil || r.Err != nil {
				t.Fatal(err, r)
			}
			if r.Records < 3000 || r.Records > 3000+200 || r.Bytes != r.Records*100 {
				t.Errorf("%d records and %d bytes counted, want 3000 and what fills a batch", r.Records, r.Bytes)
			}
			if s.Acks != 0 && (r.Latency == nil || r.Latency.Count() != r.Records) {
				t.Errorf("latency of %v records, want one of each of %d", r.Latency, r.Records)
			}
			adm := kadm.NewClient(cl)
			ends, err := adm.ListEndOffsets(t.Context(), "load")
			if err != nil {
				t.Fatal(err)
			}
			s.Start, s.End = map[int32]int64{}, map[int32]int64{}
			var total int64
			ends.Each(func(o kadm.ListedOffset) {
				s.Start[o.Partition], s.End[o.Partition] = 0, o.Offset
				total += o.Offset
			})
			if total != r.Records {
				t.Errorf("the topic has %d records, %d were counted", total, r.Records)
			}
			s.Records, s.Rate, s.Clients = 0, 0, 2
			got, err := Consume(t.Context(), s)
			if err != nil || got.Err != nil {
				t.Fatal(err, got)
			}
			if got.Records != total || got.FirstRecord <= 0 || got.Requests == 0 {
				t.Errorf("read %d of %d records: %+v", got.Records, total, got)
			}
			s.Repeat, s.Records = true, 2*total+1
			if got, err = Consume(t.Context(), s); err != nil || got.Err != nil || got.Records <= 2*total {
				t.Errorf("reading repeatedly: %+v, %v; want more than %d records", got, err, 2*total)
			}
		})
	}
}

func TestRefusalEndsTheRun(t *testing.T) {
	c, _, s := peer(t, 1)
	c.ControlKey(0, func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp := req.ResponseKind().(*kmsg.ProduceResponse)
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic = "load"
		rp := kmsg.NewProduceResponseTopicPartition()
		rp.ErrorCode, rp.ErrorMessage = kerr.MessageTooLarge.Code, kmsg.StringPtr("too large by far")
		rt.Partitions = append(rt.Partitions, rp)
		resp.Topics = append(resp.Topics, rt)
		return resp, nil, true
	})
	s.Duration = 30 * time.Second
	r, err := Produce(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	var refusal *AnswerError
	if !errors.As(r.Err, &refusal) || refusal.Message != "too large by far" || r.Records != 0 || r.Errors == 0 {
		t.Errorf("%+v, want the refusal", r)
	}
}

func TestCancelEndsTheRun(t *testing.T) {
	_, _, s := peer(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	s.Counting = func(begin bool) {
		if begin {
			cancel()
		}
	}
	r, err := Produce(ctx, s)
	if err == nil && !errors.Is(r.Err, context.Canceled) {
		t.Errorf("%+v, want context.Canceled", r)
	}
}

// FuzzAnswers: whatever a broker answers ends in an error or a count, and takes no more memory than the buffer.
func FuzzAnswers(f *testing.F) {
	frame := func(b ...byte) []byte { return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...) }
	f.Add(frame(0, 0, 0, 1))
	f.Add(frame(0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0x7f, 0xff, 0xff, 0xff))
	f.Fuzz(func(t *testing.T, in []byte) {
		s := &Settings{End: map[int32]int64{0: 10}, Start: map[int32]int64{}}
		p := &producer{s: s}
		_ = p.answer(&frameReader{br: bufio.NewReader(bytes.NewReader(in))}, 1) // any error is fine
		fe := &fetcher{s: s, index: map[int32]int{0: 0}, cursors: []cursor{{}}}
		g := &gauge{s: s, stop: make(chan struct{})}
		r := &frameReader{br: bufio.NewReaderSize(bytes.NewReader(in), 4096)}
		if n, err := fe.answer(r, g, 1); err == nil && n < 0 {
			t.Fatalf("%d records", n)
		}
		_, _ = io.Copy(io.Discard, r.br)
	})
}

func TestWarmUpReachesEveryPartition(t *testing.T) {
	for _, acks := range []int16{-1, 0} {
		_, cl, s := peer(t, 50)
		s.Acks, s.Warmup, s.Records, s.Clients = acks, time.Nanosecond, 100, 2
		cold := -1
		s.Counting = func(begin bool) {
			if !begin || acks == 0 { // without acks a batch sent may not have arrived yet
				return
			}
			ends, err := kadm.NewClient(cl).ListEndOffsets(t.Context(), "load")
			if err != nil {
				t.Error(err)
			}
			cold = 0
			ends.Each(func(o kadm.ListedOffset) {
				if o.Offset == 0 {
					cold++
				}
			})
		}
		r, err := Produce(t.Context(), s)
		if err != nil || r.Err != nil || r.Records < 100 {
			t.Fatal(err, r)
		}
		if acks != 0 && cold != 0 {
			t.Errorf("%d partitions had no batch when the counting began", cold)
		}
	}
}
