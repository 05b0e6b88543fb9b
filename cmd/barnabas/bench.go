package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/loadgen"
)

// benchReport is what `bench -o json` prints: one object. Fields that were not measured are null, never 0.
type benchReport struct {
	Kind               string        `json:"kind"` // produce, consume or latency
	Format             int           `json:"format"`
	Started            string        `json:"started"`
	Bootstrap          string        `json:"bootstrap"`
	Seed               uint64        `json:"seed"`
	Client             benchClient   `json:"client"`
	Settings           benchSettings `json:"settings"`
	ElapsedSeconds     float64       `json:"elapsed_seconds"` // the counted interval, without warm-up
	Records            int64         `json:"records"`         // acknowledged or read in it
	Bytes              int64         `json:"bytes"`           // of their keys and values, uncompressed
	RecordsPerSecond   float64       `json:"records_per_second"`
	MegabytesPerSecond float64       `json:"megabytes_per_second"` // of 1,000,000 bytes
	Errors             int64         `json:"errors"`
	Error              string        `json:"error"`
	LatencyMs          *benchLatency `json:"latency_ms"` // from when a record was due, or sent, to its acknowledgement
	Fetches            *int64        `json:"fetches,omitempty"`
	FirstRecordMs      *float64      `json:"first_record_ms,omitempty"`
	ClientCPUSeconds   *float64      `json:"client_cpu_seconds"`
	Broker             *benchBroker  `json:"broker"`
}

type benchClient struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
	CPUs    int    `json:"cpus"`
}

type benchSettings struct {
	Topic                string  `json:"topic"`
	Partitions           int     `json:"partitions"`
	RecordBytes          int     `json:"record_bytes"`
	Acks                 string  `json:"acks"`
	Idempotent           bool    `json:"idempotent"`
	Codec                string  `json:"codec"`
	LingerMs             float64 `json:"linger_ms"`
	BatchBytes           int     `json:"batch_bytes"`
	PartitionsPerRequest int     `json:"partitions_per_request"`
	Clients              int     `json:"clients"`
	MaxInFlight          int     `json:"max_in_flight"`
	RatePerSecond        float64 `json:"rate_per_second"` // 0: as fast as it goes
	Incompressible       bool    `json:"incompressible"`
	FetchBytes           int32   `json:"fetch_bytes"`
	PartitionFetchBytes  int32   `json:"partition_fetch_bytes"`
}

type benchLatency struct {
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P95   float64 `json:"p95"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
	Mean  float64 `json:"mean"`
	Count int64   `json:"count"`
}

type benchBroker struct {
	PID            int     `json:"pid"`
	CPUSeconds     float64 `json:"cpu_seconds"` // user and system, in the counted interval
	CPUMsPerMB     float64 `json:"cpu_ms_per_mb"`
	CPUUsPerRecord float64 `json:"cpu_us_per_record"`
	RSSPeakMiB     float64 `json:"rss_peak_mib"` // since the process began
}

// benchFlags are the flags of all three benchmarks; each has those that mean something to it.
type benchFlags struct {
	kind, topic, acks, codec            string
	keep, noIdempotence, incompressible bool
	repeat                              bool
	partitions, clients, inFlight       int
	perRequest, pid                     int
	recordBytes, batchBytes             int
	records                             int64
	duration, warmup, linger            time.Duration
	rate                                float64
	fetchBytes, partitionFetchBytes     int32
	seed                                uint64
}

func newBenchCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: "Load a cluster and measure it",
		Long: `Load a cluster, Barnabas or Apache Kafka alike, and measure throughput, latency, and with --broker-pid the broker's CPU and memory.

The load is made as cheaply as possible, since on one machine it competes with the broker: batches are built once and sent again and
again as plain Produce requests, and fetched batches are counted by their headers and not decoded.

` + loadgen.PayloadHelp,
		Example: `  barnabas bench produce --record-bytes 1024 --partitions 12
  barnabas bench latency --rate 1000`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(newBenchProduce(a), newBenchConsume(a), newBenchLatency(a))
	return c
}

func (b *benchFlags) common(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&b.topic, "topic", "", "`name` of the topic; default a new one, bench-SOMETHING, that is deleted at the end")
	f.IntVar(&b.clients, "clients", 1, "`number` of independent clients, each with its own connections")
	f.IntVar(&b.recordBytes, "record-bytes", 1024, "`size` of a record's value; the key is null")
	f.Int64Var(&b.records, "records", 0, "end after this `many` records; 0: no limit")
	f.DurationVar(&b.duration, "duration", 10*time.Second, "end after this `long`; 0: no limit")
	f.IntVar(&b.pid, "broker-pid", 0, "`process` of a broker on this machine (Linux): measure its CPU and memory")
	f.Uint64Var(&b.seed, "seed", 1, "`number` that the content of the records follows from")
}

func (b *benchFlags) producing(c *cobra.Command) {
	f := c.Flags()
	f.BoolVar(&b.keep, "keep-topic", false, "do not delete the topic at the end")
	f.IntVar(&b.partitions, "partitions", 1, "`number` of partitions, if the topic has to be created")
	f.StringVar(&b.acks, "acks", "all", "wait for: all, 1 or 0")
	f.StringVar(&b.codec, "codec", "none", "`codec`: none, gzip, snappy, lz4 or zstd")
	f.BoolVar(&b.noIdempotence, "no-idempotence", false, "send without producer id (always so with acks 0 and 1)")
	f.BoolVar(&b.incompressible, "incompressible", false, "random bytes instead of text")
	f.DurationVar(&b.warmup, "warmup", time.Second, "run this `long`, and until every partition was written to, before counting")
	f.IntVar(&b.inFlight, "max-in-flight", 5, "`number` of unanswered requests per connection")
	must(c.RegisterFlagCompletionFunc("codec", cobra.FixedCompletions([]string{"none", "gzip", "snappy", "lz4", "zstd"}, cobra.ShellCompDirectiveNoFileComp)))
	must(c.RegisterFlagCompletionFunc("acks", cobra.FixedCompletions([]string{"all", "1", "0"}, cobra.ShellCompDirectiveNoFileComp)))
}

func newBenchProduce(a *app) *cobra.Command {
	b := benchFlags{kind: "produce"}
	c := &cobra.Command{
		Use:   "produce",
		Short: "Measure how fast records are taken in",
		Long: `Measure how fast records are taken in: full batches, as many requests in flight as allowed. With --rate it sends that many records
per second instead, and a batch holds what is due within --linger; latency then counts from when each record was due, so that a
stall of the broker is not hidden.`,
		Example: `  barnabas bench produce
  barnabas bench produce --record-bytes 100 --partitions 12 --clients 2 --acks 1
  barnabas bench produce --topic load --keep-topic --records 5000000 --warmup 0s
  barnabas bench produce --broker-pid "$(pgrep -f 'barnabas serve')" -o json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.bench(cmd, &b) },
	}
	b.common(c)
	b.producing(c)
	f := c.Flags()
	f.IntVar(&b.batchBytes, "batch-bytes", 1000012, "largest batch in `bytes`, uncompressed")
	f.IntVar(&b.perRequest, "partitions-per-request", 1, "`number` of partitions that share a request and its --batch-bytes")
	f.Float64Var(&b.rate, "rate", 0, "records per second over all clients; 0: as fast as it goes")
	f.DurationVar(&b.linger, "linger", 5*time.Millisecond, "with --rate: the records due within this `long` share a batch")
	return c
}

func newBenchLatency(a *app) *cobra.Command {
	b := benchFlags{kind: "latency", batchBytes: 1000012, perRequest: 1}
	c := &cobra.Command{
		Use:   "latency",
		Short: "Measure how long records take to be acknowledged at a steady rate",
		Long: `Measure how long records take to be acknowledged at a steady rate, one record per batch. Latency counts from when a record was due to be
sent, so that a stall of the broker shows in every record it held up.`,
		Example: `  barnabas bench latency
  barnabas bench latency --rate 1000 --duration 30s --acks 1 -o json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.bench(cmd, &b) },
	}
	b.common(c)
	b.producing(c)
	f := c.Flags()
	f.Float64Var(&b.rate, "rate", 1000, "records per second over all clients")
	f.DurationVar(&b.linger, "linger", 0, "let the records due within this `long` share a batch")
	return c
}

func newBenchConsume(a *app) *cobra.Command {
	b := benchFlags{kind: "consume", acks: "all", codec: "none", inFlight: 1, batchBytes: 1000012, perRequest: 1}
	c := &cobra.Command{
		Use:   "consume",
		Short: "Measure how fast records are read",
		Long: `Measure how fast the records that a topic holds are read, from its start to the end it has when the run begins. Several clients share
the partitions out. --record-bytes, if not given, is taken from the first records.`,
		Example: `  barnabas bench produce --topic load --keep-topic --records 5000000 --warmup 0s
  barnabas bench consume --topic load
  barnabas bench consume --topic load --repeat --duration 30s --clients 2 -o json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if b.topic == "" {
				return usage("--topic is needed: there must be something to read", "write it first: `barnabas bench produce --topic load --keep-topic`")
			}
			b.keep = true
			return a.bench(cmd, &b)
		},
	}
	b.common(c)
	f := c.Flags()
	f.Int32Var(&b.fetchBytes, "fetch-bytes", 50<<20, "`bytes` of one answer at most")
	f.Int32Var(&b.partitionFetchBytes, "partition-fetch-bytes", 1<<20, "`bytes` of one partition in one answer at most")
	f.BoolVar(&b.repeat, "repeat", false, "read from the start again and again until --duration or --records end it")
	f.BoolVar(&b.keep, "keep-topic", true, "the topic is always kept; for symmetry with bench produce")
	must(f.MarkHidden("keep-topic"))
	f.Lookup("topic").Usage = "`name` of the topic to read"
	must(c.RegisterFlagCompletionFunc("topic", func(cmd *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return a.completeTopics(cmd, nil, begun)
	}))
	return c
}

// settings checks the flags and turns them into the engine's.
func (b *benchFlags) settings() (*loadgen.Settings, error) {
	s := &loadgen.Settings{Topic: b.topic, Clients: b.clients, RecordBytes: b.recordBytes, BatchBytes: b.batchBytes,
		PartitionsPerRequest: b.perRequest, MaxInFlight: b.inFlight, Incompressible: b.incompressible, Seed: b.seed, Rate: b.rate,
		Linger: b.linger, Warmup: b.warmup, Duration: b.duration, Records: b.records, Timeout: 30 * time.Second,
		FetchBytes: b.fetchBytes, PartitionFetchBytes: b.partitionFetchBytes, FetchWait: 500 * time.Millisecond, Repeat: b.repeat}
	switch b.acks {
	case "all", "-1":
		s.Acks, b.acks = -1, "all"
	case "1":
		s.Acks = 1
	case "0":
		s.Acks = 0
	default:
		return nil, usage("--acks "+b.acks+" is not a choice", "use all, 1 or 0")
	}
	var err error
	if s.Codec, err = batch.ParseCodec(b.codec); err != nil || !s.Codec.Known() {
		return nil, usage(b.codec+" is not a compression codec", "use none, gzip, snappy, lz4 or zstd")
	}
	switch {
	case b.duration < 0 || b.records < 0 || b.rate < 0 || b.warmup < 0 || b.linger < 0:
		return nil, usage("durations, counts and rates must not be negative", "correct the flag")
	case b.duration == 0 && b.records == 0 && (b.kind != "consume" || b.repeat):
		return nil, usage("without --duration and --records it would never end", "give one of them")
	case b.kind == "latency" && b.rate == 0:
		return nil, usage("--rate 0 is not a steady rate", "give a rate, or use bench produce")
	case b.partitions < 0 || b.perRequest < 1:
		return nil, usage("--partitions and --partitions-per-request start at 1", "correct the flag")
	case b.kind == "consume" && (b.fetchBytes < 1024 || b.partitionFetchBytes < 1024):
		return nil, usage("--fetch-bytes and --partition-fetch-bytes start at 1024", "correct the flag")
	}
	if b.pid != 0 {
		if _, err := sampleProcess(b.pid); err != nil {
			return nil, usage(fmt.Sprintf("--broker-pid %d: %v", b.pid, err), "it must be a process on this Linux machine")
		}
	}
	return s, nil
}

func (a *app) bench(cmd *cobra.Command, b *benchFlags) error {
	s, err := b.settings()
	if err != nil {
		return err
	}
	if a.output == "yaml" {
		return usage("bench does not print YAML", "use -o json")
	}
	ctx := cmd.Context()
	setup, adm, done, err := a.admin(ctx)
	if err != nil {
		return err
	}
	defer done()
	created, err := a.benchTopic(setup, adm, b, s)
	if err != nil {
		return err
	}
	if created && !b.keep {
		defer a.dropTopic(s.Topic)
	}
	if err := a.benchPlaces(setup, adm, b, s, cmd.Flags().Changed("record-bytes")); err != nil {
		return err
	}
	if err := s.Validate(); err != nil {
		return usage(err.Error(), "correct the flag")
	}
	report := a.newBenchReport(b, s)
	var m meter
	s.Counting = func(begin bool) { m.sample(b.pid, begin) }
	if a.errTTY {
		s.Progress = func(took time.Duration, records, bytes int64) {
			fmt.Fprintf(a.err, "\r%3.0fs  %s records, %.1f MB/s\x1b[K", took.Seconds(), humanCount(records), float64(bytes)/1e6/took.Seconds())
		}
	}
	var r *loadgen.Result
	if b.kind == "consume" {
		r, err = loadgen.Consume(ctx, s)
	} else {
		r, err = loadgen.Produce(ctx, s)
	}
	if a.errTTY {
		fmt.Fprint(a.err, "\r\x1b[K")
	}
	if err != nil {
		return err
	}
	report.fill(r, b, &m)
	if r.Records > 0 || r.Err == nil {
		if err := a.emit(report, func(w io.Writer) { a.drawBench(w, report) }); err != nil {
			return err
		}
	}
	if r.Err != nil {
		return wrap(r.Err, "bench %s", b.kind)
	}
	return nil
}

// benchTopic makes sure that there is a topic, and says whether it was created here.
func (a *app) benchTopic(ctx context.Context, adm *adminClient, b *benchFlags, s *loadgen.Settings) (created bool, err error) {
	if s.Topic == "" {
		s.Topic = "bench-" + strconv.FormatUint(rand.Uint64(), 36)
	}
	topics, err := adm.ListTopicsWithInternal(ctx, s.Topic)
	if err != nil {
		return false, wrap(err, "looking for topic %s", s.Topic)
	}
	if t, ok := topics[s.Topic]; ok && t.Err == nil {
		return false, nil
	}
	if b.kind == "consume" {
		return false, failed("no topic "+s.Topic, "write it first: `barnabas bench produce --topic "+s.Topic+" --keep-topic`")
	}
	if b.partitions < 1 {
		return false, usage("--partitions starts at 1", "correct the flag")
	}
	resp, err := adm.CreateTopics(ctx, int32(b.partitions), 1, nil, s.Topic)
	if err != nil {
		return false, wrap(err, "creating topic %s", s.Topic)
	}
	for _, r := range resp {
		if r.Err != nil {
			return false, wrap(kadmError(r.Err, r.ErrMessage), "creating topic %s", s.Topic)
		}
	}
	return true, nil
}

// dropTopic cleans up after a run, also after ctrl-C.
func (a *app) dropTopic(topic string) {
	ctx, adm, done, err := a.admin(context.Background())
	if err == nil {
		defer done()
		_, err = adm.DeleteTopic(ctx, topic)
	}
	if err != nil {
		a.warn("topic %s stays behind: %v", topic, err)
	}
}

// benchPlaces finds leaders, offsets and producer ids. A topic just created may need a moment for its leaders.
func (a *app) benchPlaces(ctx context.Context, adm *adminClient, b *benchFlags, s *loadgen.Settings, sized bool) error {
	for try := 0; ; try++ {
		err := benchLeaders(ctx, adm, s)
		if err == nil {
			break
		}
		if try == 100 || ctx.Err() != nil || b.kind == "consume" {
			return wrap(cmp.Or(err, ctx.Err()), "waiting for the leaders of %s", s.Topic)
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
	if b.kind == "consume" {
		bo, err := listBounds(ctx, adm, false, []string{s.Topic})
		if err != nil {
			return err
		}
		s.Start, s.End = map[int32]int64{}, map[int32]int64{}
		var total int64
		for _, lo := range sortedOffsets(bo.start) {
			hi, ok := bo.end.Lookup(lo.Topic, lo.Partition)
			if lo.Err != nil || !ok || hi.Err != nil {
				return wrap(cmp.Or(lo.Err, hi.Err), "offsets of %s-%d", lo.Topic, lo.Partition)
			}
			s.Start[lo.Partition], s.End[lo.Partition] = lo.Offset, hi.Offset
			total += hi.Offset - lo.Offset
		}
		if total == 0 {
			return failed("topic "+s.Topic+" is empty", "write to it first: `barnabas bench produce --topic "+s.Topic+" --keep-topic`")
		}
		if !sized {
			if s.RecordBytes, err = a.meanRecord(ctx, s); err != nil {
				return err
			}
		}
		return nil
	}
	if s.Acks != -1 || b.noIdempotence {
		return nil
	}
	for range s.Clients {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionTimeoutMillis = 60000
		resp, err := req.RequestWith(ctx, adm.wire)
		if err == nil {
			err = codeError(resp.ErrorCode, nil)
		}
		if err != nil {
			return wrap(err, "asking for a producer id")
		}
		s.Producers = append(s.Producers, loadgen.Producer{ID: resp.ProducerID, Epoch: resp.ProducerEpoch})
	}
	return nil
}

// benchLeaders finds the leader of every partition and makes sure that it knows of its office: brokers tell clients of new leaders
// a little before these have begun.
func benchLeaders(ctx context.Context, adm *adminClient, s *loadgen.Settings) error {
	meta, err := adm.Metadata(ctx, s.Topic)
	if err != nil {
		return err
	}
	t, ok := meta.Topics[s.Topic]
	if !ok {
		return noTopic(s.Topic)
	}
	if t.Err != nil {
		return t.Err
	}
	addr := map[int32]string{}
	for _, br := range meta.Brokers {
		addr[br.NodeID] = net.JoinHostPort(br.Host, strconv.Itoa(int(br.Port)))
	}
	s.Leaders = map[int32]string{}
	for n, p := range t.Partitions {
		at, ok := addr[p.Leader]
		if !ok {
			return failed(fmt.Sprintf("%s-%d has no leader", s.Topic, n), "see `barnabas topics describe "+s.Topic+"`")
		}
		s.Leaders[n] = at
	}
	ends, err := adm.ListEndOffsets(ctx, s.Topic)
	if err != nil {
		return err
	}
	for n := range s.Leaders {
		if o, ok := ends.Lookup(s.Topic, n); !ok || o.Err != nil {
			return cmp.Or(o.Err, failed(fmt.Sprintf("%s-%d does not answer yet", s.Topic, n), "try again"))
		}
	}
	return nil
}

// meanRecord reads a few records to learn how large they are, since the benchmark itself never looks inside a batch.
func (a *app) meanRecord(ctx context.Context, s *loadgen.Settings) (int, error) {
	assign := map[string]map[int32]kgo.Offset{s.Topic: {}}
	for p, start := range s.Start {
		if start < s.End[p] {
			assign[s.Topic][p] = kgo.NewOffset().At(start)
			break // any order: one partition is as good as another
		}
	}
	cl, err := a.client(ctx, kgo.ConsumePartitions(assign), kgo.FetchMaxBytes(1<<20))
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, a.apiTimeout())
	defer cancel()
	var n, bytes int
	fetches := cl.PollRecords(ctx, 1000)
	fetches.EachRecord(func(r *kgo.Record) {
		n++
		bytes += len(r.Key) + len(r.Value)
	})
	if n == 0 {
		return 0, wrap(cmp.Or(fetches.Err(), ctx.Err(), io.EOF), "reading the first records of %s", s.Topic)
	}
	return bytes / n, nil
}

func (a *app) newBenchReport(b *benchFlags, s *loadgen.Settings) *benchReport {
	f := buildInfo()
	r := &benchReport{Kind: b.kind, Format: 1, Started: time.Now().UTC().Format(time.RFC3339), Bootstrap: a.bootstrap[0], Seed: b.seed,
		Client: benchClient{f.Version, f.Commit, f.Go, f.OS, f.Arch, runtime.NumCPU()},
		Settings: benchSettings{Topic: s.Topic, Partitions: len(s.Leaders), RecordBytes: s.RecordBytes, Acks: b.acks, Idempotent: s.Producers != nil,
			Codec: b.codec, LingerMs: float64(b.linger) / 1e6, BatchBytes: b.batchBytes, PartitionsPerRequest: b.perRequest, Clients: b.clients,
			MaxInFlight: b.inFlight, RatePerSecond: b.rate, Incompressible: b.incompressible, FetchBytes: b.fetchBytes,
			PartitionFetchBytes: b.partitionFetchBytes}}
	return r
}
