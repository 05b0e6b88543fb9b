// Command kill ends a broker with SIGKILL at random moments while idempotent producers write with acks=all and groups commit offsets, starts it
// again, and checks what was promised: no acknowledged record missing, none out of order, none twice; no committed offset taken back.
//
//	go run ./kill -n 10                 ten kills of Barnabas
//	go run ./kill -n 200 -seed 7        the long run, repeatable as far as a kill can be
//	go run ./kill -broker kafka -n 3    proves the checker on Apache Kafka
//
// The producers live through all kills: their sequence numbers go on where they were, so the broker must have kept producer state as well as
// records. Each record carries its producer and number. After every restart the checker reads on from where it stopped and remembers the
// next number of each producer and partition; at the end every acknowledged number must have been read.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/barnabas-mq/barnabas/interop/rig"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

type settings struct {
	kind                  rig.Kind
	kills                 int
	seed                  uint64
	partitions, producers int
	recordBytes           int
	rate                  int
	groups                int
}

func main() {
	var s settings
	kind := flag.String("broker", "barnabas", "barnabas or kafka")
	flag.IntVar(&s.kills, "n", 10, "how many kills")
	flag.Uint64Var(&s.seed, "seed", 0, "seed of the moments and of the records; 0: a fresh one")
	flag.IntVar(&s.partitions, "partitions", 6, "partitions written to")
	flag.IntVar(&s.producers, "producers", 3, "idempotent producers")
	flag.IntVar(&s.recordBytes, "record-bytes", 300, "bytes of a record's value, more or less")
	flag.IntVar(&s.rate, "rate", 4000, "records a second, of all producers together")
	flag.IntVar(&s.groups, "groups", 4, "groups that commit offsets")
	out := flag.String("json", "", "write the figures to this file")
	flag.Parse()
	s.kind = rig.Kind(*kind)
	if s.seed == 0 {
		s.seed = rand.Uint64N(1 << 40)
	}
	fmt.Printf("kill: seed %d, %d kills of %s, %d producers on %d partitions\n", s.seed, s.kills, s.kind, s.producers, s.partitions)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute+time.Duration(s.kills)*20*time.Second)
	defer cancel()
	figures, err := run(ctx, s)
	if figures != nil {
		figures.print()
		if *out != "" {
			text, _ := json.MarshalIndent(figures, "", "  ")
			if werr := os.WriteFile(*out, append(text, '\n'), 0o644); werr != nil {
				err = errors.Join(err, werr)
			}
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "kill: FAILED: %v\nkill: repeat with: go run ./kill -broker %s -n %d -seed %d\n", err, s.kind, s.kills, s.seed)
		os.Exit(1)
	}
	fmt.Println("kill: nothing acknowledged is missing, out of order or twice, and no committed offset was taken back")
}

// figures is what a run reports.
type figures struct {
	Broker       string    `json:"broker"`
	Seed         uint64    `json:"seed"`
	Kills        int       `json:"kills"`
	Acknowledged int64     `json:"acknowledged"`
	Failed       int64     `json:"failed"` // refused for good by the client: it may or may not be in the log
	Read         int64     `json:"read"`
	Commits      int64     `json:"commits"`      // of offsets, acknowledged
	ReadyMs      []float64 `json:"ready_ms"`     // from exec to the first answer, per kill
	FirstAckMs   []float64 `json:"first_ack_ms"` // from the kill to the next acknowledged record, the clients' back-off included
	Seconds      float64   `json:"seconds"`
}

func (f *figures) print() {
	fmt.Printf("kill: %d kills, %d records acknowledged, %d read, %d given up by the client, %d offset commits acknowledged, %.0f s\n", f.Kills, f.Acknowledged, f.Read, f.Failed, f.Commits, f.Seconds)
	fmt.Printf("kill: exec to ready %s; kill to next acknowledgement %s\n", spread(f.ReadyMs), spread(f.FirstAckMs))
}

func spread(ms []float64) string {
	if len(ms) == 0 {
		return "never"
	}
	s := slices.Sorted(slices.Values(ms))
	return fmt.Sprintf("p50 %.0f ms, p90 %.0f ms, max %.0f ms", s[len(s)/2], s[len(s)*9/10], s[len(s)-1])
}

const topic = "kill"

func run(ctx context.Context, s settings) (*figures, error) {
	began := time.Now()
	b, err := rig.Start(ctx, s.kind, rig.Options{})
	if err != nil {
		return nil, err
	}
	defer b.Close()
	if err := makeTopic(ctx, b.Addr, s.partitions); err != nil {
		return nil, err
	}
	random := rand.New(rand.NewPCG(s.seed, 1))
	load := newLoad(s)
	if err := load.start(ctx, b.Addr); err != nil {
		return nil, err
	}
	defer load.stop()
	commit, err := startCommitters(ctx, b.Addr, s.groups)
	if err != nil {
		return nil, err
	}
	defer commit.stop()
	check := newChecker(s.partitions)
	f := &figures{Broker: string(s.kind), Seed: s.seed}
	for f.Kills < s.kills {
		// Some kills come right after the start, some in full flow.
		wait := time.Duration(random.ExpFloat64() * float64(400*time.Millisecond))
		wait = min(wait, 3*time.Second)
		if random.IntN(8) == 0 {
			wait = time.Duration(random.IntN(30)) * time.Millisecond
		}
		if err := sleep(ctx, wait); err != nil {
			return f, err
		}
		b.Kill()
		f.Kills++
		acked := load.acked.Load()
		killed := time.Now()
		exec := time.Now()
		if err := b.Restart(ctx); err != nil {
			return f, fmt.Errorf("kill %d: restart: %w", f.Kills, err)
		}
		f.ReadyMs = append(f.ReadyMs, ms(time.Since(exec)))
		if random.IntN(8) != 0 { // now and then the next kill comes before anything was acknowledged
			if err := load.awaitMore(ctx, acked); err != nil {
				return f, fmt.Errorf("kill %d: %w", f.Kills, err)
			}
			f.FirstAckMs = append(f.FirstAckMs, ms(time.Since(killed)))
		}
		if err := commit.check(ctx); err != nil {
			return f, fmt.Errorf("after kill %d: %w", f.Kills, err)
		}
		if f.Kills%5 == 0 || f.Kills == s.kills {
			if err := check.readOn(ctx, b.Addr); err != nil {
				return f, fmt.Errorf("after kill %d: %w", f.Kills, err)
			}
		}
	}
	commit.stop()
	f.Commits = commit.commits()
	if f.Commits < int64(f.Kills) {
		return f, fmt.Errorf("%d offset commits were acknowledged in %d kills: nothing was shown", f.Commits, f.Kills)
	}
	f.Failed = load.finish(ctx)
	f.Acknowledged = load.acked.Load()
	if err := check.readOn(ctx, b.Addr); err != nil {
		return f, err
	}
	f.Read = check.read
	f.Seconds = time.Since(began).Seconds()
	if f.Failed > 0 {
		return f, fmt.Errorf("%d records were given up by the client: %w", f.Failed, load.firstErr())
	}
	return f, check.compare(load)
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func makeTopic(ctx context.Context, addr string, partitions int) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		return err
	}
	defer c.Close()
	// Small segments, so that kills also fall on rolls.
	_, err = kadm.NewClient(c).CreateTopic(ctx, int32(partitions), 1, map[string]*string{"segment.bytes": kadm.StringPtr("1048576")}, topic)
	return err
}

// stream is what one producer sent to one partition.
type stream struct {
	producer  int
	partition int32
}

// load is the producers and what they were promised.
type load struct {
	s       settings
	clients []*kgo.Client
	acked   atomic.Int64
	done    chan struct{}
	wg      sync.WaitGroup
	pending sync.WaitGroup
	once    sync.Once

	mu     sync.Mutex
	sent   map[stream]int64   // numbers handed out: 0..n-1
	acks   map[stream][]int64 // numbers acknowledged, in the order of acknowledgement
	failed int64
	err    error
	more   chan struct{} // replaced and closed at each acknowledgement
}

func newLoad(s settings) *load {
	return &load{s: s, done: make(chan struct{}), sent: map[stream]int64{}, acks: map[stream][]int64{}, more: make(chan struct{})}
}

func (l *load) start(ctx context.Context, addr string) error {
	for p := range l.s.producers {
		c, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RequiredAcks(kgo.AllISRAcks()),
			kgo.DefaultProduceTopic(topic), kgo.ProducerLinger(time.Millisecond),
			kgo.ProducerBatchCompression([]kgo.CompressionCodec{kgo.NoCompression(), kgo.SnappyCompression(), kgo.ZstdCompression()}[p%3]),
			kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }), kgo.MetadataMinAge(20*time.Millisecond),
			kgo.DialTimeout(2*time.Second), kgo.ProduceRequestTimeout(5*time.Second), kgo.MaxBufferedRecords(5000), kgo.RetryTimeout(time.Minute))
		if err != nil {
			return err
		}
		// The client gives records up, before they have a sequence, when the broker dies under its very first request for a producer id; it
		// takes that for a broker that wants SASL. What is tested begins once it has one.
		if _, _, err := c.ProducerID(ctx); err != nil {
			return fmt.Errorf("producer %d: %w", p, err)
		}
		l.clients = append(l.clients, c)
		l.wg.Go(func() { l.produce(ctx, p, c) })
	}
	return nil
}

func (l *load) produce(ctx context.Context, producer int, c *kgo.Client) {
	random := rand.New(rand.NewPCG(l.s.seed, uint64(producer)+100))
	const burst = 10
	tick := time.NewTicker(time.Second * burst * time.Duration(l.s.producers) / time.Duration(l.s.rate))
	defer tick.Stop()
	for {
		select {
		case <-l.done:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for range burst {
			st := stream{producer, int32(random.IntN(l.s.partitions))}
			l.mu.Lock()
			n := l.sent[st]
			l.sent[st]++
			l.mu.Unlock()
			value := fmt.Appendf(nil, "%d/%d/", producer, n)
			value = append(value, make([]byte, random.IntN(2*l.s.recordBytes))...)
			l.pending.Add(1)
			c.Produce(ctx, &kgo.Record{Partition: st.partition, Value: value}, func(_ *kgo.Record, err error) {
				defer l.pending.Done()
				l.mu.Lock()
				defer l.mu.Unlock()
				if err != nil {
					l.failed++
					l.err = errors.Join(l.err, err)
					return
				}
				l.acks[st] = append(l.acks[st], n)
				l.acked.Add(1)
				close(l.more)
				l.more = make(chan struct{})
			})
		}
	}
}

// awaitMore waits until something is acknowledged beyond what was.
func (l *load) awaitMore(ctx context.Context, was int64) error {
	limit := time.After(60 * time.Second)
	for {
		l.mu.Lock()
		more := l.more
		l.mu.Unlock()
		if l.acked.Load() > was {
			return nil
		}
		select {
		case <-more:
		case <-limit:
			return errors.New("nothing was acknowledged for a minute after the restart")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// finish stops producing, waits for what is under way and returns how many records the clients gave up.
func (l *load) finish(ctx context.Context) int64 {
	l.once.Do(func() { close(l.done) })
	l.wg.Wait()
	for _, c := range l.clients {
		_ = c.Flush(ctx)
	}
	l.pending.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

func (l *load) firstErr() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func (l *load) stop() {
	l.once.Do(func() { close(l.done) })
	l.wg.Wait()
	for _, c := range l.clients {
		c.Close()
	}
}

// checker reads the log from its start, each record once over the whole run.
type checker struct {
	next map[stream]int64 // the number that must come next
	at   []int64          // offset to read next, per partition
	read int64
}

func newChecker(partitions int) *checker {
	return &checker{next: map[stream]int64{}, at: make([]int64, partitions)}
}

// readOn reads each partition up to the end it has now. Numbers of a stream must follow one another without a gap: a producer's next record
// is written only after the one before.
func (c *checker) readOn(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	from := map[int32]kgo.Offset{}
	for p, at := range c.at {
		from[int32(p)] = kgo.NewOffset().At(at)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}))
	if err != nil {
		return err
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, topic)
	if err != nil {
		return err
	}
	left := func() (n int64) {
		for p, at := range c.at {
			if o, ok := ends.Lookup(topic, int32(p)); ok {
				n += max(0, o.Offset-at)
			}
		}
		return n
	}
	for left() > 0 {
		fetches := client.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%d records could not be read: %w", left(), err)
		}
		for _, e := range fetches.Errors() {
			return fmt.Errorf("partition %d: %w", e.Partition, e.Err)
		}
		var bad error
		fetches.EachRecord(func(r *kgo.Record) {
			if bad == nil {
				bad = c.record(r)
			}
		})
		if bad != nil {
			return bad
		}
	}
	return nil
}

func (c *checker) record(r *kgo.Record) error {
	st := stream{partition: r.Partition}
	var n int64
	if _, err := fmt.Sscanf(string(r.Value), "%d/%d/", &st.producer, &n); err != nil {
		return fmt.Errorf("partition %d, offset %d: not one of our records: %w", r.Partition, r.Offset, err)
	}
	if r.Offset != c.at[r.Partition] {
		return fmt.Errorf("partition %d: offset %d follows %d", r.Partition, r.Offset, c.at[r.Partition]-1)
	}
	switch want := c.next[st]; {
	case n < want:
		return fmt.Errorf("partition %d, offset %d: record %d of producer %d is there twice (%d was next)", r.Partition, r.Offset, n, st.producer, want)
	case n > want:
		return fmt.Errorf("partition %d, offset %d: record %d of producer %d came before %d", r.Partition, r.Offset, n, st.producer, want)
	}
	c.next[st]++
	c.at[r.Partition]++
	c.read++
	return nil
}

// compare holds what was acknowledged against what was read.
func (c *checker) compare(l *load) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for st, numbers := range l.acks {
		if len(numbers) == 0 {
			continue
		}
		if last := slices.Max(numbers); last >= c.next[st] {
			return fmt.Errorf("partition %d: record %d of producer %d was acknowledged, and only %d are there", st.partition, last, st.producer, c.next[st])
		}
		if int64(len(numbers)) != l.sent[st] {
			return fmt.Errorf("partition %d: producer %d sent %d records, and %d were acknowledged", st.partition, st.producer, l.sent[st], len(numbers))
		}
	}
	return nil
}
