package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// produceResult is what `produce -o json` prints when it is done.
type produceResult struct {
	Topic      string              `json:"topic"`
	Records    int64               `json:"records"` // acknowledged; with --acks 0: sent
	Bytes      int64               `json:"bytes"`   // of keys and values
	Failed     int64               `json:"failed"`
	Partitions []producedPartition `json:"partitions"`
	Errors     []producedError     `json:"errors,omitempty"` // the first few
}

type producedPartition struct {
	Partition   int32 `json:"partition"`
	Records     int64 `json:"records"`
	FirstOffset int64 `json:"first_offset"` // -1 with --acks 0, which tells nobody
	LastOffset  int64 `json:"last_offset"`
}

type producedError struct {
	Input string `json:"input"` // "" for stdin
	Line  int    `json:"line"`
	Error string `json:"error"`
	err   error
	rec   *kgo.Record
}

// produceReport counts what became of the records; kgo's goroutines and the reading one use it.
type produceReport struct {
	begun  atomic.Int64
	mu     sync.Mutex
	result produceResult
	parts  map[int32]*producedPartition
	fatal  bool
	blind  bool // acks 0: nobody tells the offsets
}

// shownErrors is how many failures are told one by one.
const shownErrors = 5

func newProduceReport(topic string, blind bool) *produceReport {
	return &produceReport{blind: blind, result: produceResult{Topic: topic, Partitions: []producedPartition{}}, parts: map[int32]*producedPartition{}}
}

func (p *produceReport) begin()      { p.begun.Add(1) }
func (p *produceReport) sent() int64 { return p.begun.Load() }

func (p *produceReport) ok(r *kgo.Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.result.Records++
	p.result.Bytes += int64(len(r.Key) + len(r.Value))
	at := r.Offset
	if p.blind {
		at = -1
	}
	pp := p.parts[r.Partition]
	if pp == nil {
		pp = &producedPartition{Partition: r.Partition, FirstOffset: at, LastOffset: at}
		p.parts[r.Partition] = pp
	}
	pp.Records++
	pp.FirstOffset, pp.LastOffset = min(pp.FirstOffset, at), max(pp.LastOffset, at)
}

func (p *produceReport) fail(file string, line int, r *kgo.Record, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.result.Failed++
	if len(p.result.Errors) < shownErrors {
		p.result.Errors = append(p.result.Errors, producedError{Input: file, Line: line, err: err, rec: r})
	}
	if isUnknownTopic(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, kgo.ErrRecordTimeout) || errors.Is(err, kgo.ErrRecordRetries) ||
		errors.Is(err, kerr.TopicAuthorizationFailed) || errors.Is(err, kerr.ClusterAuthorizationFailed) {
		p.fatal = true
	}
}

// hopeless reports whether a record failed in a way that all others will, too.
func (p *produceReport) hopeless() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fatal
}

func (p *produceReport) err(a *app) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.result.Failed == 0 {
		return nil
	}
	e := p.result.Errors[0]
	what, cure := a.recordCure(e.rec, e.err)
	all := p.result.Failed + p.result.Records
	return &fault{what: fmt.Sprintf("%d of %d records not acknowledged; the first at %s: %s", p.result.Failed, all, where(e.Input, e.Line), what),
		cure: cure, code: exitFailed, err: e.err}
}

func (j *produceJob) emitReport() error {
	p := j.report
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pp := range p.parts {
		p.result.Partitions = append(p.result.Partitions, *pp)
	}
	slices.SortFunc(p.result.Partitions, func(x, y producedPartition) int { return int(x.Partition) - int(y.Partition) })
	for i := range p.result.Errors {
		e := &p.result.Errors[i]
		e.Error, _ = j.recordCure(e.rec, e.err)
	}
	if len(p.result.Errors) > 1 && j.output == "table" {
		for _, e := range p.result.Errors {
			fmt.Fprintf(j.app.err, "%s: %s\n", where(e.Input, e.Line), printable(e.Error))
		}
	}
	return j.emit(p.result, func(w io.Writer) {
		if len(p.result.Partitions) > 0 {
			t := newTable("TOPIC", ">PARTITION", ">RECORDS", ">FIRST OFFSET", ">LAST OFFSET")
			for _, pp := range p.result.Partitions {
				var first, last any = pp.FirstOffset, pp.LastOffset
				if pp.FirstOffset < 0 {
					first, last = nil, nil
				}
				t.row(j.topic, pp.Partition, pp.Records, first, last)
			}
			t.draw(w, j.paint)
		}
	})
}

// progress draws one line on stderr, on a terminal only, and only for work that takes a while.
type progress struct {
	a       *app
	verb    string
	total   int64 // bytes; 0 when unknown
	goal    int64 // records, where these are known instead; 0 when not
	bytes   atomic.Int64
	records atomic.Int64
	stop    chan struct{}
	ended   chan struct{}
}

func (a *app) newProgress(verb string, inputs []input) *progress {
	p := &progress{a: a, verb: verb, stop: make(chan struct{}), ended: make(chan struct{})}
	for _, in := range inputs {
		if in.size < 0 {
			p.total = 0
			break
		}
		p.total += in.size
	}
	if !a.errTTY || a.inTTY && len(inputs) == 1 && inputs[0].name == "" {
		close(p.ended) // nobody looks, or somebody types
		return p
	}
	go p.loop()
	return p
}

// newGoal is progress towards a number of records; it shows nothing when records go to the same terminal.
func (a *app) newGoal(verb string, records int64) *progress {
	p := &progress{a: a, verb: verb, goal: records, stop: make(chan struct{}), ended: make(chan struct{})}
	if !a.errTTY || a.outTTY || records == 0 {
		close(p.ended)
		return p
	}
	go p.loop()
	return p
}

func (p *progress) loop() {
	defer close(p.ended)
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	drawn := false
	for {
		select {
		case <-p.stop:
			if drawn {
				fmt.Fprint(p.a.err, "\r\x1b[K")
			}
			return
		case <-tick.C:
		}
		took := time.Since(began)
		if took < time.Second {
			continue
		}
		drawn = true
		n, b := p.records.Load(), p.bytes.Load()
		line := fmt.Sprintf("%s %s records, %s, %s records/s", p.verb, humanCount(n), humanBytes(b), humanCount(int64(float64(n)/took.Seconds())))
		switch {
		case p.goal > 0:
			line = fmt.Sprintf("%3d%%  %s", min(100, n*100/p.goal), line)
		case p.total > 0:
			line = fmt.Sprintf("%3d%%  %s", min(100, b*100/p.total), line)
		}
		fmt.Fprint(p.a.err, "\r"+line+"\x1b[K")
	}
}

// done wipes the line.
func (p *progress) done() {
	select {
	case <-p.ended:
	default:
		close(p.stop)
		<-p.ended
	}
}

// countingReader tells the progress line how far the input is.
type countingReader struct {
	r   io.Reader
	bar *progress
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.bar.bytes.Add(int64(n))
	return n, err
}
