package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/barnabas-mq/barnabas/internal/recordfmt"
)

// produceFlags are the flags of `produce`, as typed.
type produceFlags struct {
	format, keySeparator, key, acks, codec, timestamp string
	headers                                           []string
	partition                                         int32
	json, idempotent, tombstone, autoCreate           bool
	batchBytes                                        int32
	linger, timeout                                   time.Duration
}

func newProduceCommand(a *app) *cobra.Command {
	var p produceFlags
	c := &cobra.Command{
		Use:   "produce TOPIC [FILE...]",
		Short: "Write records to a topic, from stdin or files",
		Long: `Write records to a topic, from stdin or from files ("-" is stdin). By default every line is the value of one record.

When the input ends and everything is acknowledged, it prints how many records went to which partition at which offsets, and ends with 0.
It ends with 1 if a single record was not acknowledged; errors name the line of the input.

` + recordfmt.Help + `

` + recordfmt.JSONHelp,
		Example: `  echo 'hello' | barnabas produce orders
  barnabas produce orders orders.txt --key-separator : --compression zstd
  barnabas produce orders -f '%k\t%h\t%v\n' < orders.tsv
  barnabas produce orders --json < orders.jsonl
  barnabas produce orders --key 42 --tombstone < /dev/null       # one record that deletes key 42
  barnabas consume orders --json --to end | barnabas produce copy --json
  barnabas produce blobs -f '%V{big32}%v' < blobs.bin -o json`,
		Args:              need(1, -1, "the name of a topic"),
		ValidArgsFunction: a.completeTopicThenFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.produce(cmd, p, args[0], args[1:])
		},
	}
	f := c.Flags()
	f.StringVarP(&p.format, "format", "f", "", "`format` of the input (see above); default %v\\n")
	f.BoolVar(&p.json, "json", false, "the input is one JSON record per line")
	f.StringVarP(&p.keySeparator, "key-separator", "K", "", "`text` between key and value of a line")
	f.StringVarP(&p.key, "key", "k", "", "the `key` of every record that has none in the input")
	f.StringArrayVarP(&p.headers, "header", "H", nil, "a header `name=value` for every record; repeat for more")
	f.Int32VarP(&p.partition, "partition", "p", -1, "write to this `partition`; -1 lets key hash and batches decide")
	f.StringVarP(&p.timestamp, "timestamp", "t", "", "`time` of every record that has none in the input: 2026-01-31T15:04:05Z, -1h, or milliseconds; default now")
	f.BoolVarP(&p.tombstone, "tombstone", "Z", false, "write empty values as null, which deletes their keys in compacted topics")
	f.StringVar(&p.acks, "acks", "all", "wait for: all in-sync replicas, 1 (the leader), 0 (nobody)")
	f.StringVarP(&p.codec, "compression", "z", "none", "`codec`: none, gzip, snappy, lz4 or zstd")
	f.BoolVar(&p.idempotent, "idempotent", true, "let the broker drop duplicates of retries; needs --acks all")
	f.Int32Var(&p.batchBytes, "batch-bytes", 1000012, "largest batch in `bytes`; at most max.message.bytes of the topic")
	f.DurationVar(&p.linger, "linger", 5*time.Millisecond, "wait this `long` for a batch to fill")
	f.DurationVar(&p.timeout, "timeout", 30*time.Second, "give a record up after this `long`")
	f.BoolVar(&p.autoCreate, "auto-create", false, "let the broker create the topic, if it does such things")
	must(c.RegisterFlagCompletionFunc("compression", cobra.FixedCompletions([]string{"none", "gzip", "snappy", "lz4", "zstd"}, cobra.ShellCompDirectiveNoFileComp)))
	must(c.RegisterFlagCompletionFunc("acks", cobra.FixedCompletions([]string{"all", "1", "0"}, cobra.ShellCompDirectiveNoFileComp)))
	return c
}

// parseAcks also says whether idempotence can be had with them.
func parseAcks(s string) (kgo.Acks, bool, error) {
	switch s {
	case "all", "-1":
		return kgo.AllISRAcks(), true, nil
	case "1":
		return kgo.LeaderAck(), false, nil
	case "0":
		return kgo.NoAck(), false, nil
	}
	return kgo.Acks{}, false, usage("--acks "+s+" is not a choice", "use all, 1 or 0")
}

func parseCodec(s string) (kgo.CompressionCodec, error) {
	switch s {
	case "none":
		return kgo.NoCompression(), nil
	case "gzip":
		return kgo.GzipCompression(), nil
	case "snappy":
		return kgo.SnappyCompression(), nil
	case "lz4":
		return kgo.Lz4Compression(), nil
	case "zstd":
		return kgo.ZstdCompression(), nil
	}
	return kgo.CompressionCodec{}, usage(s+" is not a compression codec", "use none, gzip, snappy, lz4 or zstd")
}

// recordSource reads the records of one input.
type recordSource interface {
	// next fills rec; has tells what the input said of partition and time. io.EOF is the end.
	next(rec *recordfmt.Record) (has recordfmt.JSONFields, err error)
	line() int
}

// maxField bounds one key or value from the input; no broker takes larger requests.
const maxField = 100 << 20

type formatSource struct {
	r   *recordfmt.Reader
	has recordfmt.JSONFields
}

func (s *formatSource) next(rec *recordfmt.Record) (recordfmt.JSONFields, error) {
	*rec = recordfmt.Record{}
	return s.has, s.r.Read(rec)
}
func (s *formatSource) line() int { return s.r.Line() }

// jsonSource takes lines apart with the format reader and parses each.
type jsonSource struct{ lines *recordfmt.Reader }

func (s *jsonSource) next(rec *recordfmt.Record) (recordfmt.JSONFields, error) {
	for {
		var l recordfmt.Record
		if err := s.lines.Read(&l); err != nil {
			return recordfmt.JSONFields{}, err
		}
		if len(strings.TrimSpace(string(l.Value))) == 0 {
			continue
		}
		has, err := recordfmt.ParseJSON(l.Value, rec)
		if err != nil {
			err = &recordfmt.InputError{Line: s.lines.Line(), Why: err.Error()}
		}
		return has, err
	}
}
func (s *jsonSource) line() int { return s.lines.Line() }

// layout is the format that the flags ask for.
func (p *produceFlags) layout() (*recordfmt.Format, error) {
	given := 0
	for _, on := range []bool{p.format != "", p.json, p.keySeparator != ""} {
		if on {
			given++
		}
	}
	if given > 1 {
		return nil, usage("--format, --json and --key-separator exclude each other", "choose one")
	}
	text := `%v\n`
	if p.keySeparator != "" {
		text = "%k" + strings.NewReplacer(`%`, `%%`).Replace(p.keySeparator) + `%v\n`
	}
	if p.format != "" {
		text = p.format
	}
	f, err := recordfmt.Parse(text)
	if err != nil {
		return nil, usage(err.Error(), "`barnabas produce --help` explains formats")
	}
	return f, nil
}

func (p *produceFlags) open(in io.Reader, f *recordfmt.Format) (recordSource, error) {
	r, err := recordfmt.NewReader(in, f, maxField)
	if err != nil {
		return nil, usage(err.Error(), "`barnabas produce --help` explains formats")
	}
	if p.json {
		return &jsonSource{r}, nil
	}
	return &formatSource{r, recordfmt.JSONFields{Partition: f.Uses(recordfmt.Partition), Timestamp: f.Uses(recordfmt.Timestamp)}}, nil
}

// partitioner honours the partition a record asks for and hashes keys as Java does otherwise.
type partitioner struct{ kgo.Partitioner }

// partitionWanted marks a record's partition as chosen, in the context it carries.
type partitionWanted struct{}

func (p partitioner) ForTopic(t string) kgo.TopicPartitioner {
	return topicPartitioner{p.Partitioner.ForTopic(t)}
}

type topicPartitioner struct{ kgo.TopicPartitioner }

func wanted(r *kgo.Record) bool { return r.Context != nil && r.Context.Value(partitionWanted{}) != nil }

func (t topicPartitioner) RequiresConsistency(r *kgo.Record) bool {
	return wanted(r) || t.TopicPartitioner.RequiresConsistency(r)
}

func (t topicPartitioner) Partition(r *kgo.Record, n int) int {
	if wanted(r) {
		if int(r.Partition) >= n {
			return -1 // kgo fails the record, which says so
		}
		return int(r.Partition)
	}
	return t.TopicPartitioner.Partition(r, n)
}

func (t topicPartitioner) OnNewBatch() {
	if o, ok := t.TopicPartitioner.(kgo.TopicPartitionerOnNewBatch); ok {
		o.OnNewBatch()
	}
}

func (a *app) produce(cmd *cobra.Command, p produceFlags, topic string, files []string) error {
	acks, canBeIdempotent, err := parseAcks(p.acks)
	if err != nil {
		return err
	}
	if p.idempotent && !canBeIdempotent {
		if cmd.Flags().Changed("idempotent") {
			return usage("--idempotent needs --acks all", "leave one of them out")
		}
		p.idempotent = false
	}
	codec, err := parseCodec(p.codec)
	if err != nil {
		return err
	}
	format, err := p.layout()
	if err != nil {
		return err
	}
	if _, err := p.open(strings.NewReader(""), format); err != nil {
		return err
	}
	job := &produceJob{app: a, flags: p, topic: topic, report: newProduceReport(topic, p.acks == "0")}
	if job.headers, err = parsePairs("header", p.headers); err != nil {
		return err
	}
	if p.timestamp != "" {
		ms, err := parseMoment(strings.TrimPrefix(p.timestamp, "@"), a.now())
		if err != nil {
			return usage("--timestamp: "+err.Error(), "use 2026-01-31T15:04:05Z, -1h or milliseconds since 1970")
		}
		job.millis = &ms
	}
	if p.partition < -1 {
		return usage(fmt.Sprintf("--partition %d does not exist", p.partition), "partitions count from 0; -1 means any")
	}
	if p.batchBytes < 1024 || p.timeout < time.Second || p.linger < 0 || p.linger > time.Minute {
		return usage("--batch-bytes must be at least 1024, --timeout at least 1s, --linger at most 1m", "correct the flag")
	}
	inputs, closeAll, err := a.openInputs(files)
	if err != nil {
		return err
	}
	defer closeAll()

	opts := []kgo.Opt{
		kgo.RequiredAcks(acks), kgo.ProducerBatchCompression(codec), kgo.ProducerLinger(p.linger),
		kgo.ProducerBatchMaxBytes(p.batchBytes), kgo.UnknownTopicRetries(3),
		kgo.RecordPartitioner(partitioner{kgo.StickyKeyPartitioner(nil)}),
		kgo.MaxBufferedRecords(100_000), kgo.MaxBufferedBytes(64 << 20),
	}
	if p.batchBytes > 100<<20-512 {
		opts = append(opts, kgo.BrokerMaxWriteBytes(int32(min(math.MaxInt32, int64(p.batchBytes)+1024))))
	}
	if !p.idempotent {
		opts = append(opts, kgo.DisableIdempotentWrite())
	}
	if p.autoCreate {
		opts = append(opts, kgo.AllowAutoTopicCreation())
	}
	ctx := cmd.Context()
	if job.cl, err = a.client(ctx, opts...); err != nil {
		return err
	}
	defer job.cl.Close()
	return job.run(ctx, inputs, format)
}

// input is a named stream of records.
type input struct {
	name string // "" for stdin
	r    io.Reader
	size int64 // -1 when unknown
}

// openInputs opens all files before anything is sent, so that a typing error sends nothing.
func (a *app) openInputs(files []string) ([]input, func(), error) {
	var open []*os.File
	closeAll := func() {
		for _, f := range open {
			_ = f.Close() // read only
		}
	}
	if len(files) == 0 {
		files = []string{"-"}
	}
	var out []input
	for _, name := range files {
		if name == "-" {
			out = append(out, input{r: a.in, size: -1})
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		open = append(open, f)
		in := input{name: name, r: f, size: -1}
		if st, err := f.Stat(); err == nil && st.Mode().IsRegular() {
			in.size = st.Size()
		}
		out = append(out, in)
	}
	return out, closeAll, nil
}

// produceJob is one run: inputs are read on this goroutine, acknowledgements come on kgo's.
type produceJob struct {
	*app
	flags   produceFlags
	topic   string
	headers [][2]string
	millis  *int64

	// limit bounds how long a record may wait. kgo's own limit counts from the record's timestamp, which may be any time here, so records
	// carry a context; those of one second share it.
	limit      context.Context
	limitUntil time.Time
	limits     []context.CancelFunc
	cl         *kgo.Client
	report     *produceReport
}

func (j *produceJob) run(ctx context.Context, inputs []input, format *recordfmt.Format) error {
	bar := j.newProgress("sent", inputs)
	var readErr error
	for _, in := range inputs {
		if readErr = j.feed(ctx, in, format, bar); readErr != nil {
			break
		}
	}
	if readErr == nil && j.report.sent() == 0 && j.flags.tombstone && j.flags.key != "" {
		j.send(ctx, "", 0, recordfmt.Record{}, recordfmt.JSONFields{})
	}
	// What was read before a bad line goes out all the same. Ctrl-C stops reading; what is in flight gets its time.
	defer func() {
		for _, cancel := range j.limits {
			cancel()
		}
	}()
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), j.flags.timeout+5*time.Second)
	defer cancel()
	flushErr := j.cl.Flush(wait)
	bar.done()
	if err := j.emitReport(); err != nil {
		return err
	}
	if err := j.report.err(j.app); err != nil {
		return err
	}
	if flushErr != nil {
		return wrap(flushErr, "waiting for acknowledgements")
	}
	return readErr
}

func (j *produceJob) feed(ctx context.Context, in input, format *recordfmt.Format, bar *progress) error {
	counted := &countingReader{r: in.r, bar: bar}
	src, err := j.flags.open(counted, format)
	if err != nil {
		return err
	}
	type step struct {
		rec recordfmt.Record
		has recordfmt.JSONFields
		err error
	}
	for {
		var s step
		s.has, s.err = src.next(&s.rec)
		if s.err == io.EOF {
			return nil
		}
		if s.err != nil {
			return inputFault(in.name, s.err, j.flags)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if j.report.hopeless() {
			return nil // the report has the error; reading on would only repeat it
		}
		j.send(ctx, in.name, src.line(), s.rec, s.has)
		bar.records.Add(1)
	}
}

// inputFault tells where the input is wrong and what would help.
func inputFault(file string, err error, p produceFlags) error {
	var ie *recordfmt.InputError
	if !errors.As(err, &ie) {
		return wrap(err, "reading %s", orStdin(file))
	}
	cure := "every record must look like the format; `barnabas produce --help` explains formats"
	switch {
	case p.json:
		cure = "put one JSON object on each line"
	case p.keySeparator != "":
		cure = fmt.Sprintf("every line must be key%svalue", p.keySeparator)
	}
	return failed(fmt.Sprintf("%s: %s; the records before it were sent", where(file, ie.Line), ie.Why), cure)
}

func orStdin(file string) string {
	if file == "" {
		return "stdin"
	}
	return file
}

func where(file string, line int) string { return fmt.Sprintf("%s:%d", orStdin(file), line) }

func (j *produceJob) send(ctx context.Context, file string, line int, in recordfmt.Record, has recordfmt.JSONFields) {
	r := &kgo.Record{Topic: j.topic, Key: in.Key, Value: in.Value}
	if r.Key == nil && j.flags.key != "" {
		r.Key = []byte(j.flags.key)
	}
	if j.flags.tombstone && len(r.Value) == 0 {
		r.Value = nil
	}
	for _, h := range in.Headers {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
	}
	for _, h := range j.headers {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: h[0], Value: []byte(h[1])})
	}
	switch {
	case has.Timestamp:
		r.Timestamp = time.UnixMilli(in.Timestamp)
	case j.millis != nil:
		r.Timestamp = time.UnixMilli(*j.millis)
	}
	r.Partition = j.flags.partition
	if has.Partition {
		r.Partition = in.Partition
	}
	j.report.begin()
	r.Context = j.deadline(ctx)
	if r.Partition >= 0 {
		r.Context = context.WithValue(r.Context, partitionWanted{}, true)
	}
	j.cl.Produce(r.Context, r, func(r *kgo.Record, err error) {
		if err != nil {
			j.report.fail(file, line, r, err)
			return
		}
		j.report.ok(r)
	})
}

// deadline is the context of a record sent now. It outlives ctrl-C, which stops reading and lets what is in flight arrive.
func (j *produceJob) deadline(ctx context.Context) context.Context {
	if now := time.Now(); now.After(j.limitUntil) {
		var cancel context.CancelFunc
		j.limit, cancel = context.WithTimeout(context.WithoutCancel(ctx), j.flags.timeout+time.Second)
		if len(j.limits) > int(j.flags.timeout/time.Second)+2 {
			j.limits = j.limits[1:] // has run out by itself
		}
		j.limits = append(j.limits, cancel)
		j.limitUntil = now.Add(time.Second)
	}
	return j.limit
}

// recordCure is what to do about a record that was refused.
func (a *app) recordCure(r *kgo.Record, err error) (what, cure string) {
	switch {
	case errors.Is(err, kerr.MessageTooLarge):
		return fmt.Sprintf("the record of %s is too large", humanBytes(int64(len(r.Key)+len(r.Value)))),
			"raise max.message.bytes of the topic and pass --batch-bytes, or send smaller records"
	case isUnknownTopic(err) && r.Partition > 0:
		return fmt.Sprintf("no partition %d of topic %s", r.Partition, r.Topic), "see them with `barnabas topics describe " + r.Topic + "`"
	case isUnknownTopic(err):
		return "no topic " + r.Topic, "create it with `barnabas topics create " + r.Topic + "`, or pass --auto-create"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, kgo.ErrRecordTimeout), errors.Is(err, kgo.ErrRecordRetries):
		return "not acknowledged in time", "is the cluster healthy? See `barnabas topics describe " + r.Topic + "`; --timeout gives it longer"
	case strings.Contains(err.Error(), "invalid record partitioning choice"):
		return fmt.Sprintf("no partition %d of topic %s", r.Partition, r.Topic), "see them with `barnabas topics describe " + r.Topic + "`"
	}
	f := a.explain(err)
	return f.what, f.cure
}
