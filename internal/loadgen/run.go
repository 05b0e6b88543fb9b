package loadgen

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// gauge is what all workers of a run share.
type gauge struct {
	s        *Settings
	stop     chan struct{}
	stopOnce sync.Once
	counting atomic.Bool
	reserved atomic.Int64 // records sent in the counted interval, for Settings.Records
	records  atomic.Int64
	bytes    atomic.Int64
	requests atomic.Int64
	errors   atomic.Int64
	errMu    sync.Mutex
	err      error
	first    atomic.Int64 // nanoseconds from the start to the first batch
	began    time.Time
	cold     atomic.Int64  // workers that have not been through all their partitions yet
	warm     chan struct{} // closed when none is left

	histMu sync.Mutex
	hist   Histogram
}

func (g *gauge) halt() { g.stopOnce.Do(func() { close(g.stop) }) }

func (g *gauge) halted() bool {
	select {
	case <-g.stop:
		return true
	default:
		return false
	}
}

// fail records an error and ends the run: figures of a run with errors are not worth having more of.
func (g *gauge) fail(err error) {
	g.errors.Add(1)
	g.errMu.Lock()
	if g.err == nil {
		g.err = err
	}
	g.errMu.Unlock()
	g.halt()
}

// through is called by each producer when every partition of its has taken a batch.
func (g *gauge) through() {
	if g.cold.Add(-1) == 0 {
		close(g.warm)
	}
}

// got counts what a broker has acknowledged or delivered.
func (g *gauge) got(records, bytes int64) {
	if g.counting.Load() {
		g.records.Add(records)
		g.bytes.Add(bytes)
		g.requests.Add(1)
	}
}

func (g *gauge) merge(h *Histogram) {
	g.histMu.Lock()
	g.hist.Merge(h)
	g.histMu.Unlock()
}

// worker is one connection's share: a client and a broker, with the partitions that the client uses there.
type worker struct {
	client     int
	addr       string
	partitions []int32
}

// workers gives every client every partition (producers), or splits the partitions among the clients (consumers).
func workers(s *Settings, split bool) []worker {
	var partitions []int32
	for p := range s.Leaders {
		partitions = append(partitions, p)
	}
	slices.Sort(partitions)
	var out []worker
	for c := range s.Clients {
		byAddr := map[string]int{}
		for i, p := range partitions {
			if split && i%s.Clients != c {
				continue
			}
			at, ok := byAddr[s.Leaders[p]]
			if !ok {
				at = len(out)
				byAddr[s.Leaders[p]] = at
				out = append(out, worker{client: c, addr: s.Leaders[p]})
			}
			out[at].partitions = append(out[at].partitions, p)
		}
	}
	return out
}

// task is a worker made ready.
type task interface {
	run(ctx context.Context, g *gauge) error
	close()
}

// measure runs the tasks through warm-up and counted interval and adds up.
func measure(ctx context.Context, s *Settings, tasks []task) *Result {
	g := &gauge{s: s, stop: make(chan struct{}), began: time.Now(), warm: make(chan struct{})}
	g.cold.Store(int64(len(tasks)))
	caller := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var eg errgroup.Group
	if s.Warmup <= 0 {
		g.begin(s)
	}
	for _, t := range tasks {
		eg.Go(func() error {
			defer t.close()
			if err := t.run(ctx, g); err != nil {
				g.fail(err)
			}
			return nil
		})
	}
	ended := make(chan struct{})
	go func() {
		_ = eg.Wait() // errors are in the gauge
		close(ended)
	}()
	start := g.began
	wait := func(d time.Duration, until <-chan struct{}) (over bool) {
		var timeout <-chan time.Time
		if d > 0 {
			timer := time.NewTimer(d)
			defer timer.Stop()
			timeout = timer.C
		}
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				return true
			case <-ctx.Done():
				g.fail(ctx.Err())
				return true
			case <-timeout:
				return false
			case <-until:
				return false
			case <-tick.C:
				if s.Progress != nil && g.counting.Load() {
					s.Progress(time.Since(start), g.records.Load(), g.bytes.Load())
				}
			}
		}
	}
	over := false
	if s.Warmup > 0 {
		// The first batch of a partition is dear (files, epochs, producer state), so the warm-up also lasts until each had one.
		if over = wait(s.Warmup, nil) || wait(2*s.Timeout, g.warm); !over {
			start = time.Now()
			g.begin(s)
		}
	}
	if !over {
		wait(s.Duration, nil)
	}
	elapsed := time.Since(start)
	if g.counting.Swap(false) && s.Counting != nil {
		s.Counting(false)
	}
	g.halt()
	select {
	case <-ended:
	case <-time.After(s.Timeout):
		cancel() // closes the connections
		<-ended
	}
	r := &Result{Elapsed: elapsed, Records: g.records.Load(), Bytes: g.bytes.Load(), Requests: g.requests.Load(),
		Errors: g.errors.Load(), Err: g.err, FirstRecord: time.Duration(g.first.Load())}
	if caller.Err() != nil { // whatever else broke, broke because of this
		r.Err = caller.Err()
	}
	if g.hist.Count() > 0 {
		r.Latency = &g.hist
	}
	if r.Err == nil && r.Records == 0 {
		r.Err = errors.New("nothing was counted")
	}
	return r
}

func (g *gauge) begin(s *Settings) {
	if s.Counting != nil {
		s.Counting(true)
	}
	g.counting.Store(true)
}

// Produce writes to the topic. The error is for what prevents a run; what went wrong in it is in the Result.
func Produce(ctx context.Context, s *Settings) (*Result, error) {
	ws := workers(s, false)
	tasks := make([]task, 0, len(ws))
	for _, w := range ws {
		p, err := newProducer(ctx, s, w, len(ws))
		if err != nil {
			closeAll(tasks)
			return nil, err
		}
		tasks = append(tasks, p)
	}
	return measure(ctx, s, tasks), nil
}

// Consume reads the topic.
func Consume(ctx context.Context, s *Settings) (*Result, error) {
	ws := workers(s, true)
	tasks := make([]task, 0, len(ws))
	for _, w := range ws {
		f, err := newFetcher(ctx, s, w)
		if err != nil {
			closeAll(tasks)
			return nil, err
		}
		tasks = append(tasks, f)
	}
	return measure(ctx, s, tasks), nil
}

func closeAll(tasks []task) {
	for _, t := range tasks {
		t.close()
	}
}

// Validate finds what no run could make sense of.
func (s *Settings) Validate() error {
	switch {
	case len(s.Leaders) == 0:
		return errors.New("no partition to use")
	case s.Clients < 1 || s.Clients > 10_000:
		return fmt.Errorf("%d clients; use 1 to 10000", s.Clients)
	case s.RecordBytes < 0 || s.RecordBytes > 512<<20:
		return fmt.Errorf("records of %d bytes; use 0 to 512 MiB", s.RecordBytes)
	case s.BatchBytes < 256 || s.BatchBytes > 512<<20:
		return fmt.Errorf("batches of %d bytes; use 256 to 512 MiB", s.BatchBytes)
	case s.MaxInFlight < 1 || s.MaxInFlight > 100_000:
		return fmt.Errorf("%d requests in flight; use 1 to 100000", s.MaxInFlight)
	case s.Producers != nil && s.MaxInFlight > 5:
		return fmt.Errorf("%d requests in flight with idempotence; brokers remember 5", s.MaxInFlight)
	case s.Producers != nil && len(s.Producers) != s.Clients:
		return errors.New("one producer id per client is needed")
	}
	return nil
}
