package loadgen

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/barnabas-mq/barnabas/internal/batch"
)

// sent is a request in flight. For records due over a span of time, the first was due at due and the last at due+span.
type sent struct {
	correlation int32
	due         time.Time
	span        time.Duration
	records     int64
}

// producer is one connection that writes: one goroutine sends, one reads the answers.
type producer struct {
	s        *Settings
	w        worker
	nc       net.Conn
	batches  []prebuilt
	sequence []int32 // next, per partition of w
	interval time.Duration
	slots    chan struct{} // taken before a request is sent, given back with its answer
	inFlight chan sent     // in the order of the answers
	hist     Histogram
	rounds   int // requests until every partition has taken a batch
}

func newProducer(ctx context.Context, s *Settings, w worker, all int) (*producer, error) {
	p := &producer{s: s, w: w, sequence: make([]int32, len(w.partitions)), slots: make(chan struct{}, s.MaxInFlight), inFlight: make(chan sent, s.MaxInFlight)}
	perRequest := max(1, min(s.PartitionsPerRequest, len(w.partitions)))
	p.rounds = (len(w.partitions) + perRequest - 1) / perRequest
	var identity *Producer
	if s.Producers != nil {
		identity = &s.Producers[w.client]
	}
	n := 0
	if s.Rate > 0 {
		rate := s.Rate / float64(all)
		fit := max(1, (s.BatchBytes/perRequest-batch.HeaderSize)/(s.RecordBytes+24))
		n = min(fit, max(1, int(rate*s.Linger.Seconds()/float64(perRequest))))
		p.interval = time.Duration(float64(n*perRequest) / rate * float64(time.Second))
	}
	var err error
	if p.batches, err = build(s, identity, n, s.BatchBytes/perRequest, time.Now().UnixMilli()); err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: s.Timeout}
	if p.nc, err = d.DialContext(ctx, "tcp", w.addr); err != nil {
		return nil, fmt.Errorf("connect to %s: %w", w.addr, err)
	}
	return p, nil
}

func (p *producer) close() { _ = p.nc.Close() } // nothing is left to lose

func (p *producer) run(ctx context.Context, g *gauge) error {
	unhook := context.AfterFunc(ctx, p.close)
	defer unhook()
	read := make(chan error, 1)
	go func() {
		err := p.answers(g)
		if err != nil {
			g.fail(err)
			p.close() // frees the writer
		}
		read <- err
	}()
	err := p.send(g)
	close(p.inFlight)
	if rerr := <-read; rerr != nil {
		return nil // told already; the writer's error is only its echo
	}
	g.merge(&p.hist)
	if err == nil && p.s.Acks == 0 {
		err = p.roundTrip()
	}
	return err
}

const clientName = "barnabas-bench"

// Heads of requests, without the frame's size.
func appendHeader(b []byte, key, version int16, correlation int32) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = binary.BigEndian.AppendUint32(b, uint32(correlation))
	return appendString(b, clientName)
}

func appendString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// send writes requests until the run is over or enough are reserved.
func (p *producer) send(g *gauge) error {
	s := p.s
	perRequest := max(1, min(s.PartitionsPerRequest, len(p.w.partitions)))
	next := p.w.client % len(p.w.partitions)
	turn := p.w.client
	var head []byte
	var bufs, view net.Buffers
	parts := make([][8]byte, perRequest)
	due := time.Now()
	for correlation := int32(1); ; correlation++ {
		if g.halted() {
			return nil
		}
		if p.interval > 0 {
			if !sleepUntil(due, g.stop) {
				return nil
			}
		}
		b := &p.batches[turn%len(p.batches)]
		turn++
		records := b.records * int64(perRequest)
		if s.Records > 0 && g.counting.Load() && g.reserved.Add(records)-records >= s.Records {
			return nil
		}
		head = append(head[:0], 0, 0, 0, 0)
		head = appendHeader(head, 0, 8, correlation)
		head = append(head, 0xff, 0xff) // no transactional id
		head = binary.BigEndian.AppendUint16(head, uint16(s.Acks))
		head = binary.BigEndian.AppendUint32(head, uint32(s.Timeout.Milliseconds()))
		head = binary.BigEndian.AppendUint32(head, 1)
		head = appendString(head, s.Topic)
		head = binary.BigEndian.AppendUint32(head, uint32(perRequest))
		size := len(head) - 4 + perRequest*(8+len(b.bytes))
		binary.BigEndian.PutUint32(head, uint32(size))
		if s.Acks != 0 {
			select {
			case p.slots <- struct{}{}:
			case <-g.stop:
				return nil
			}
			if p.interval == 0 {
				due = time.Now() // at full speed, waiting for a slot is no latency
			}
		}
		entry := sent{correlation: correlation, due: due, records: records}
		if p.interval > 0 {
			entry.span = p.interval - p.interval/time.Duration(records)
			due = due.Add(p.interval)
			entry.due = entry.due.Add(-entry.span) // the batch left when its last record was due
		}
		if s.Acks != 0 {
			p.inFlight <- entry // has room for every slot
		}
		bufs = append(bufs[:0], head)
		for i := range perRequest {
			at := (next + i) % len(p.w.partitions)
			binary.BigEndian.PutUint32(parts[i][:4], uint32(p.w.partitions[at]))
			binary.BigEndian.PutUint32(parts[i][4:], uint32(len(b.bytes)))
			bufs = append(bufs, parts[i][:], b.bytes)
		}
		if err := p.write(&view, bufs, b, next, perRequest); err != nil {
			return fmt.Errorf("send to %s: %w", p.w.addr, err)
		}
		next = (next + perRequest) % len(p.w.partitions)
		if s.Acks == 0 {
			p.round(g)
			g.got(records, records*int64(s.RecordBytes))
		}
	}
}

// write sends the pieces in one go. With idempotence each partition has its own sequence, so the shared batch is sent once per partition.
func (p *producer) write(view *net.Buffers, bufs net.Buffers, b *prebuilt, next, perRequest int) error {
	if p.s.Producers == nil {
		*view = bufs
		_, err := view.WriteTo(p.nc)
		return err
	}
	for i := range perRequest {
		at := (next + i) % len(p.w.partitions)
		setSequence(b.bytes, p.sequence[at])
		p.sequence[at] = batch.NextSequence(p.sequence[at], int32(b.records))
		from := 1 + 2*i
		if i == 0 {
			from = 0
		}
		*view = bufs[from : 3+2*i]
		if _, err := view.WriteTo(p.nc); err != nil {
			return err
		}
	}
	return nil
}

// answers reads a response for every request in flight, until the writer closes the queue.
func (p *producer) answers(g *gauge) error {
	if p.s.Acks == 0 {
		for range p.inFlight { // nothing is ever put in; this waits for the writer
		}
		return nil
	}
	r := &frameReader{br: bufio.NewReaderSize(p.nc, 16<<10)}
	for e := range p.inFlight {
		if err := p.nc.SetReadDeadline(time.Now().Add(p.s.Timeout)); err != nil {
			return fmt.Errorf("read from %s: %w", p.w.addr, err)
		}
		if err := p.answer(r, e.correlation); err != nil {
			return fmt.Errorf("answer of %s: %w", p.w.addr, err)
		}
		now := time.Now()
		<-p.slots
		p.round(g)
		if g.counting.Load() {
			g.got(e.records, e.records*int64(p.s.RecordBytes))
			p.observe(now, e)
		}
	}
	return nil
}

// round counts a request that was taken in.
func (p *producer) round(g *gauge) {
	if p.rounds--; p.rounds == 0 {
		g.through()
	}
}

// observe counts the latency of every record of a request; those of one batch were due one after another.
func (p *producer) observe(now time.Time, e sent) {
	if e.span == 0 || e.records == 1 {
		p.hist.Add(now.Sub(e.due), e.records)
		return
	}
	for i := range e.records {
		p.hist.Add(now.Sub(e.due.Add(e.span*time.Duration(i)/time.Duration(e.records-1))), 1)
	}
}

// answer reads one Produce response, version 8.
func (p *producer) answer(r *frameReader, want int32) error {
	if err := r.next(); err != nil {
		return err
	}
	if got := r.int32(); got != want && r.err == nil {
		return fmt.Errorf("correlation id %d where %d was due", got, want)
	}
	var refusal error
	for range r.count() {
		r.skipString()
		for range r.count() {
			partition, code := r.int32(), r.int16()
			r.skip(24) // base offset, append time, log start
			for range r.count() {
				r.skip(4)
				r.skipString()
			}
			message := r.string()
			if code != 0 && refusal == nil {
				refusal = &AnswerError{partition, code, message}
			}
		}
	}
	if err := r.finish(); err != nil {
		return err
	}
	return refusal
}

// roundTrip ends a run without acks: an answer to any later request shows that all before it was taken in.
func (p *producer) roundTrip() error {
	b := appendHeader([]byte{0, 0, 0, 0}, 18, 0, -1)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	if err := p.nc.SetDeadline(time.Now().Add(p.s.Timeout)); err != nil {
		return err
	}
	if _, err := p.nc.Write(b); err != nil {
		return fmt.Errorf("send to %s: %w", p.w.addr, err)
	}
	r := &frameReader{br: bufio.NewReader(p.nc)}
	if err := r.next(); err != nil {
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%s closed the connection: it refused a batch sent with acks=0", p.w.addr)
		}
		return fmt.Errorf("answer of %s: %w", p.w.addr, err)
	}
	return nil
}
