package server

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/barnabas-mq/barnabas/internal/activity"
	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/vtime"
	"github.com/barnabas-mq/barnabas/internal/wire"
)

// conn is one client connection. Its reader goroutine decodes and handles requests one after another and writes their answers
// itself, as long as each answer is ready. An answer that must wait (Produce for its flush, Fetch for data) is parked: a second
// goroutine, begun with the first such answer, finishes parked answers in order. While something is parked only further Produce
// requests are taken up, and behind answers of the group coordinator further requests to it (groups.go); anything else waits, since Kafka
// promises that requests of one connection take effect in their order.
type conn struct {
	srv      *Server
	nc       net.Conn
	remote   string
	ip       string
	listener string
	// software is what the client said of itself in ApiVersions (KIP-511).
	softwareName, softwareVersion string
	askedForTransactions          bool // and was told in the log that there are none
	// client is who its requests say it is; introduced once there was one.
	client     activity.Client
	introduced bool

	// readBy is the deadline that awaitRequest has set, while readSet; writeBy the one of writes, whoever writes.
	readBy, writeBy time.Time
	readSet         bool

	in *bufio.Reader
	// out is the reader goroutine's answer buffer. From one request to the next it is empty, unless the next one is here already and its answer is
	// to leave with those that are in it: see followed.
	out []byte
	req Request
	// frame holds the request being handled, cost is what was taken from the server's memory for it; both until letGo.
	frame []byte
	cost  int64
	// produceCall is kept for the next Produce request; checker is there while one is handled.
	produceCall *produceCall
	checker     *batch.Checker
	// beat is the Heartbeat being handled; held is one whose answer waits, see notice.go; bound is the last one that was held for as long as it may,
	// as the finisher has it.
	beat  wire.HeartbeatRequest
	held  holding
	bound atomic.Pointer[boundRelease]
	// beyond says that a limit was passed over for it; the server's lock guards it.
	beyond bool
	// endedHold is set while the request is handled that ended a hold.
	endedHold bool

	// parked carries answers from the reader to the finisher, which is started by the first.
	parked  chan parked
	started bool
	mu      sync.Mutex
	drained sync.Cond
	// waiting counts the parked answers that are not written yet, uncoordinated those of them that are not the group coordinator's. Both are
	// guarded by mu.
	waiting, uncoordinated int
	writing                bool // the first of them is complete, and on its way to the client
	finished               chan struct{}
	// done is closed when the connection is over: whoever waits on its behalf gives up.
	done     chan struct{}
	doneOnce sync.Once
	// hurry tells a parked Fetch to answer with what there is.
	hurry chan struct{}
}

// parked is an answer that must wait. finish waits as long as it needs, but not beyond c.done or the server's closing, and appends
// the complete response frame to out, or writes it itself. A returned error ends the connection.
type parked interface {
	finish(c *conn, out []byte) ([]byte, error)
}

// maxParked bounds the answers of one connection that may wait; clients keep five in flight, tools some more.
const maxParked = 256

// Request is one request as its handler sees it.
type Request struct {
	wire.RequestHeader
	Body []byte
	// Now is when the request was complete.
	Now  time.Time
	conn *conn
}

// Listener is the name of the listener the request came in on.
func (r *Request) Listener() string { return r.conn.listener }

// errClose ends a connection without an answer where Kafka does so.
var errClose = errors.New("closed as Kafka does")

func newConn(s *Server, nc net.Conn, listener string) *conn {
	c := &conn{srv: s, nc: nc, remote: nc.RemoteAddr().String(), listener: listener, done: make(chan struct{}), hurry: make(chan struct{}, 1)}
	c.drained.L = &c.mu
	c.ip = c.remote
	if host, _, err := net.SplitHostPort(c.remote); err == nil {
		c.ip = host
	}
	if tc, ok := nc.(*net.TCPConn); ok {
		if n := s.cfg.SendBufferBytes; n > 0 {
			tc.SetWriteBuffer(n)
		}
		if n := s.cfg.ReceiveBufferBytes; n > 0 {
			tc.SetReadBuffer(n)
		}
	}
	return c
}

// loopback reports whether the client is on this machine.
func (c *conn) loopback() bool {
	a, err := netip.ParseAddr(c.ip)
	return err == nil && a.Unmap().IsLoopback()
}

func (c *conn) serve() {
	defer func() {
		c.cancel()
		c.endHold()
		if c.started {
			close(c.parked)
			<-c.finished
		}
		c.nc.Close()
		c.takeLeave()
	}()
	c.in = bufio.NewReaderSize(c.nc, 4<<10)
	for {
		err := c.serveOne()
		if err == nil {
			continue
		}
		c.flush()
		var frame *wire.FrameError
		var unsupported *wire.UnsupportedError
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
		case errors.Is(err, errDraining), errors.Is(err, errClose):
			c.awaitDrained() // what came before is answered all the same
		case errors.As(err, &frame), errors.As(err, &unsupported):
			c.awaitDrained()
			c.srv.deps.Metrics.InvalidRequest()
			c.srv.warnStranger("connection closed: not a valid request", "client", c.remote, "listener", c.listener, "reason", err)
		default:
			if errors.Is(err, os.ErrDeadlineExceeded) {
				c.awaitDrained()
			}
			c.srv.log.Debug("connection ended", "client", c.remote, "reason", err)
		}
		return
	}
}

var errDraining = errors.New("shutting down")

// serveOne reads one request and answers it or parks its answer.
func (c *conn) serveOne() error {
	size, err := c.awaitRequest()
	if err != nil {
		return err
	}
	frame, cost, err := c.readFrame(size)
	if err != nil {
		return err
	}
	c.frame, c.cost = frame, cost
	defer c.letGo()
	h, body, err := wire.ParseHeader(frame)
	c.req = Request{RequestHeader: h, Body: body, Now: c.srv.deps.Now(), conn: c}
	if err != nil {
		var unsupported *wire.UnsupportedError
		if errors.As(err, &unsupported) && h.Key == wire.KeyApiVersions {
			c.awaitDrained()
			return c.reply(answerNewerApiVersions(c.out, h))
		}
		return err
	}
	c.introduce(h.ClientID)
	if h.Key != wire.KeyProduce && h.Key != wire.KeyHeartbeat {
		// Produce and Heartbeat have decoders that check for themselves. Any other body is walked before it is decoded; what it will weigh must fit
		// into what was counted for it, and the rest goes back.
		weight, err := wire.CheckBody(h.Key, h.Version, body, freeBytes+cost)
		if err != nil {
			return err
		}
		if weight < cost {
			c.srv.memory.give(cost - weight)
			c.cost = weight
		}
	}
	switch {
	case h.Key == wire.KeyProduce:
	case toCoordinator(h.Key):
		c.awaitParked(&c.uncoordinated)
	default:
		c.awaitDrained()
	}
	return c.handle(&c.req)
}

// introduce notes who the connection belongs to, as its requests say.
func (c *conn) introduce(clientID []byte) {
	t := c.srv.deps.Activity
	if t == nil || c.introduced && c.client.ID == string(clientID) {
		return
	}
	c.takeLeave()
	c.client, c.introduced = activity.Client{ID: string(clientID), Host: c.host()}, true
	t.Opened(c.client)
}

// takeLeave notes that the connection does not belong to that client any more.
func (c *conn) takeLeave() {
	if c.introduced {
		c.introduced = false
		c.srv.deps.Activity.Closed(c.client, vtime.FromTime(c.srv.deps.Now()))
	}
}

// letGo gives back the memory of the request being handled; its body must not be looked at any more. It is called before anything that
// waits for this client: what others wait for is not pinned by one that does not read, or by a fetch that waits for data.
func (c *conn) letGo() {
	c.req.Body, c.req.ClientID = nil, nil
	bodyPool.put(c.frame)
	c.srv.memory.give(c.cost)
	c.frame, c.cost = nil, 0
}

// handle runs the handler of one request. A panic in it ends this connection only; it is a bug of ours and is logged as one.
func (c *conn) handle(r *Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.srv.log.Error("a request handler panicked; its connection is closed", "api", wire.KeyName(r.Key), "version", r.Version,
				"client", c.remote, "client_id", string(r.ClientID), "panic", p, "stack", string(debug.Stack()))
			err = errClose
		}
	}()
	switch r.Key {
	case wire.KeyProduce:
		return c.produce(r)
	case wire.KeyFetch:
		return c.fetch(r)
	case wire.KeyHeartbeat:
		return c.heartbeat(r)
	}
	if h := groupHandlers[r.Key]; h != nil {
		return c.group(r, h)
	}
	out, err := c.srv.answer(r)
	if err != nil {
		return err
	}
	c.letGo()
	if c.followed(len(out)) {
		c.out = out
		return nil
	}
	return c.reply(out)
}

// prompt are the APIs whose handlers wait for nobody, or say flush before they do.
var prompt = map[int16]bool{wire.KeyApiVersions: true, wire.KeyMetadata: true, wire.KeyListOffsets: true, wire.KeyOffsetForLeaderEpoch: true}

// followed reports whether so many bytes of answers had better leave with the next one: its request is here, and nothing will hold it up. A client
// that sends several requests at a time then costs one write and not several.
func (c *conn) followed(bytes int) bool {
	const head = 6 // size and key
	if bytes > writePiece || c.in.Buffered() < head {
		return false
	}
	b, _ := c.in.Peek(head)
	size := int(int32(binary.BigEndian.Uint32(b)))
	return size > 0 && c.in.Buffered() >= 4+size && prompt[int16(binary.BigEndian.Uint16(b[4:]))] && c.srv.memory.cost(size, false) == 0
}

// flush sends the answers that were to leave with the next one.
func (c *conn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	return c.reply(c.out)
}

// awaitRequest waits for the next size prefix. A connection with nothing parked that stays silent too long is closed.
func (c *conn) awaitRequest() (size int, err error) {
	idle := deadlineIn(c.srv.cfg.IdleTimeout)
	for {
		// A deadline that comes sooner is left where it is: to move it for each request would cost as much as to answer a heartbeat.
		if !c.readSet || idle.Before(c.readBy) {
			c.readSet, c.readBy = true, idle
			c.nc.SetReadDeadline(idle)
		}
		if c.srv.draining.Load() && c.srv.closing.Err() != nil {
			return 0, errDraining
		}
		_, err = c.in.Peek(1)
		if err == nil {
			break
		}
		var ne net.Error
		if !errors.As(err, &ne) || !ne.Timeout() {
			return 0, err
		}
		if c.srv.closing.Err() != nil {
			return 0, errDraining
		}
		if c.busy() {
			idle = deadlineIn(c.srv.cfg.IdleTimeout)
		} else if !time.Now().Before(idle) {
			return 0, err
		}
		c.readSet = false
	}
	c.arrived()
	if c.in.Buffered() < 4 {
		c.allowRead()
	}
	prefix, err := c.in.Peek(4) // no copy: one would be an allocation
	if err != nil {
		return 0, err
	}
	c.in.Discard(4)
	return wire.FrameSize([4]byte(prefix), c.srv.cfg.RequestMaxBytes)
}

// readFrame reads the rest of a request. Nothing is reserved on the word of a length alone: beyond 64 KiB the first part must
// arrive before the memory budget is asked for the whole.
func (c *conn) readFrame(size int) (frame []byte, cost int64, err error) {
	if c.in.Buffered() < size {
		c.allowRead()
	}
	if size <= freeBytes {
		frame = bodyPool.get(size)[:size]
		if _, err = io.ReadFull(c.in, frame); err != nil {
			bodyPool.put(frame)
			return nil, 0, err
		}
	}
	head := frame
	if head == nil {
		head = bodyPool.get(freeBytes)[:freeBytes]
		if _, err = io.ReadFull(c.in, head); err != nil {
			bodyPool.put(head)
			return nil, 0, err
		}
	}
	key := int16(-1)
	if len(head) >= 2 {
		key = int16(binary.BigEndian.Uint16(head))
	}
	produce := key == wire.KeyProduce
	cost = c.srv.memory.cost(size, produce)
	if !produce && (cost > 0 || !toCoordinator(key)) {
		c.awaitDrained() // it has to wait in any case, and may as well do so without the memory that others need
	}
	if cost > 0 {
		// Twice the time that whoever has the memory may take to send its request: a client that stops in the middle is cut before
		// those that wait for its memory are.
		ctx, cancel := context.WithTimeout(c.srv.closing, 2*c.srv.cfg.RequestReadTimeout)
		err = c.srv.memory.take(ctx, cost)
		cancel()
		if err != nil {
			bodyPool.put(head)
			c.srv.warnStranger("connection closed: no memory for its request in time; queued.max.request.bytes bounds all requests together",
				"client", c.remote, "request_bytes", size, "counted_bytes", cost, "queued.max.request.bytes", c.srv.memory.limit)
			return nil, 0, errClose
		}
	}
	if frame != nil {
		return frame, cost, nil
	}
	frame = bodyPool.get(size)[:size]
	copy(frame, head)
	bodyPool.put(head)
	c.allowRead() // the wait for memory was not the client's
	if _, err = io.ReadFull(c.in, frame[len(head):]); err != nil {
		bodyPool.put(frame)
		c.srv.memory.give(cost)
		return nil, 0, err
	}
	return frame, cost, nil
}

// reply sends a complete response frame, behind the parked ones if there are any. out may be c.out grown.
func (c *conn) reply(out []byte) error {
	if len(out) == 0 {
		return nil
	}
	if c.busy() {
		c.park(ready(append([]byte(nil), out...)))
		return nil
	}
	err := c.write(out)
	c.out = keep(out)
	return err
}

// keep lets go of a buffer that one large answer has grown.
func keep(out []byte) []byte {
	if cap(out) > 64<<10 {
		return nil
	}
	return out[:0]
}

// writePiece is how much a client must take within the write timeout to count as alive.
const writePiece = 64 << 10

// write sends b. The deadline moves with every piece: a slow client is served, one that stands still is not.
func (c *conn) write(b []byte) error {
	for len(b) > 0 {
		c.allowWrite()
		n, err := c.nc.Write(b[:min(len(b), writePiece)])
		c.srv.deps.Metrics.BytesOut(n)
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// ready is an answer that only waits for its turn.
type ready []byte

func (r ready) finish(_ *conn, out []byte) ([]byte, error) { return append(out, r...), nil }

// park hands an answer to the finisher. Only the reader goroutine parks.
func (c *conn) park(p parked) {
	if !c.started {
		c.started = true
		c.parked = make(chan parked, maxParked)
		c.finished = make(chan struct{})
		go c.finishParked()
	}
	c.mu.Lock()
	c.waiting++
	if _, ok := p.(*groupCall); !ok {
		c.uncoordinated++
	}
	c.mu.Unlock()
	c.parked <- p
}

func (c *conn) finishParked() {
	defer close(c.finished)
	var out []byte
	var failed error
	for p := range c.parked {
		// After a failure the rest is still finished, so that what it holds is let go, but nothing more is written.
		buf, err := c.finishOne(p, out[:0])
		c.mu.Lock()
		c.writing = true
		c.mu.Unlock()
		if failed == nil && err == nil && len(buf) > 0 {
			err = c.write(buf)
		}
		if err != nil && failed == nil {
			failed = err
			c.cancel()
			c.nc.Close()
		}
		_, coordinated := p.(*groupCall)
		if out = keep(buf); coordinated && cap(out) > groupKeep {
			out = nil
		}
		c.mu.Lock()
		c.writing = false
		c.waiting--
		if !coordinated {
			c.uncoordinated--
		}
		if c.waiting == 0 || c.uncoordinated == 0 {
			c.drained.Broadcast()
		}
		c.mu.Unlock()
	}
}

func (c *conn) finishOne(p parked, out []byte) (buf []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			c.srv.log.Error("finishing a parked answer panicked; its connection is closed", "client", c.remote, "panic", r, "stack", string(debug.Stack()))
			buf, err = nil, errClose
		}
	}()
	return p.finish(c, out)
}

// busy reports whether parked answers are still to be written. Only the reader goroutine may rely on "false".
func (c *conn) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting > 0
}

// busyBeyond is busy, but an answer that only has to be written does not count: it is waited for. A client that has it may send its next request
// before the finisher has noted that it was written; and the heartbeat that this very request has ended is about to be answered.
func (c *conn) busyBeyond() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.waiting == 1 && (c.writing || c.endedHold) {
		c.drained.Wait()
	}
	return c.waiting > 0
}

// awaitDrained waits until nothing is parked any more.
func (c *conn) awaitDrained() { c.awaitParked(&c.waiting) }

// awaitParked waits until one of the counts of parked answers is 0. A Fetch may wait for weeks, and as long as a request waits behind it nobody reads
// on and would notice that the client left: so it is hurried once that takes longer than a connection may be idle.
func (c *conn) awaitParked(count *int) {
	if !c.busy() {
		return
	}
	if idle := c.srv.cfg.IdleTimeout; idle > 0 {
		t := time.AfterFunc(idle, func() {
			select {
			case c.hurry <- struct{}{}:
			default:
			}
		})
		defer t.Stop()
	}
	c.mu.Lock()
	for *count > 0 {
		c.drained.Wait()
	}
	c.mu.Unlock()
}

func (c *conn) cancel() { c.doneOnce.Do(func() { close(c.done) }) }

// allowRead gives the client time for the rest of its request, unless the server closes: then nothing more is read.
func (c *conn) allowRead() {
	c.readSet = false
	c.nc.SetReadDeadline(deadlineIn(c.srv.cfg.RequestReadTimeout))
	if c.srv.closing.Err() != nil {
		c.drain() // Close may have called it before the deadline was set anew
	}
}

// allowWrite gives the client time to take the next piece of an answer.
func (c *conn) allowWrite() {
	d := c.srv.cfg.WriteTimeout
	if d <= 0 {
		return
	}
	// Up to an eighth more than that, so that it need not be moved for each answer.
	if now := time.Now(); c.writeBy.Sub(now) < d {
		c.writeBy = now.Add(d + d/8)
		c.nc.SetWriteDeadline(c.writeBy)
	}
}

// drain lets the request in flight finish and ends the connection after it.
func (c *conn) drain() { c.nc.SetReadDeadline(time.Unix(1, 0)) }
