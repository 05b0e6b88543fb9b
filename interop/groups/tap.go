package groups

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Exchange is one request of a group API and its answer, as they passed on the wire.
type Exchange struct {
	Member   string
	Conn     int // which of the member's connections, from 1 on
	Asked    time.Time
	Answered time.Time // zero: never, the connection ended first
	Request  kmsg.Request
	Response kmsg.Response
}

// Tap stands between one member and the broker. It passes every byte on as it is, but for the broker's address in answers that carry one, which becomes the
// tap's own, so that all connections of the member come through it. What Behave asks for are the only liberties it takes.
type Tap struct {
	Member string
	Addr   string

	upstream string
	listener net.Listener
	wg       sync.WaitGroup

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]bool
	log    []*Exchange // in the order of the questions
	faults []error
	cut    func(kmsg.Response) bool
	notify chan struct{} // closed and replaced when log grows or is answered
	manner Manner
	opened int // connections so far
	deaf   atomic.Bool
}

// Manner is how a tap passes on what comes after it was told.
type Manner struct {
	Delay  time.Duration // how long every frame takes, in each direction
	Serial bool          // a request is passed on when the one before it on its connection is answered, as some proxies do
}

// Behave is for before the member starts.
func (t *Tap) Behave(m Manner) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.manner = m
}

// Swallow has everything vanish from now on, in both directions, and nobody told: as when a cable is pulled.
func (t *Tap) Swallow() { t.deaf.Store(true) }

// Opened is how many connections the member has opened so far.
func (t *Tap) Opened() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.opened
}

// Keys of the APIs that are written down, and of those whose answers carry an address.
const (
	keyMetadata        = 3
	keyOffsetCommit    = 8
	keyOffsetFetch     = 9
	keyFindCoordinator = 10
	keyJoin            = 11
	keyHeartbeat       = 12
	keyLeave           = 13
	keySync            = 14
	keyApiVersions     = 18
	keyDescribeCluster = 60
)

func written(key int16) bool {
	return key == keyOffsetCommit || key == keyOffsetFetch || key >= keyFindCoordinator && key <= keySync
}

func rewritten(key int16) bool {
	return key == keyMetadata || key == keyFindCoordinator || key == keyDescribeCluster
}

// NewTap listens on loopback for one member.
func NewTap(member, upstream string) (*Tap, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t := &Tap{Member: member, Addr: l.Addr().String(), upstream: upstream, listener: l, conns: map[net.Conn]bool{}, notify: make(chan struct{})}
	t.wg.Go(t.accept)
	return t, nil
}

// Close ends the tap and all connections through it.
func (t *Tap) Close() {
	t.mu.Lock()
	t.closed = true
	t.listener.Close()
	for c := range t.conns {
		c.Close()
	}
	t.mu.Unlock()
	t.wg.Wait()
}

// Log is a copy of what passed so far, and what the tap could not read.
func (t *Tap) Log() ([]Exchange, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]Exchange, len(t.log))
	for i, x := range t.log {
		out[i] = *x
	}
	return out, errors.Join(t.faults...)
}

// Cut has the connection broken when the next answer of a group API passes of which f says so; that answer is lost. It happens once.
func (t *Tap) Cut(f func(kmsg.Response) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cut = f
}

// cuts reports whether this answer is to be lost.
func (t *Tap) cuts(resp kmsg.Response) bool {
	t.mu.Lock()
	f := t.cut
	t.mu.Unlock()
	if f == nil || !f(resp) {
		return false
	}
	t.Cut(nil)
	return true
}

// errCut ends a connection that was to be broken.
var errCut = errors.New("cut")

// Changed is closed when something passes after this call.
func (t *Tap) Changed() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.notify
}

func (t *Tap) change(do func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	do()
	close(t.notify)
	t.notify = make(chan struct{})
}

func (t *Tap) fault(err error) { t.change(func() { t.faults = append(t.faults, err) }) }

func (t *Tap) accept() {
	for {
		c, err := t.listener.Accept()
		if err != nil {
			return
		}
		up, err := net.DialTimeout("tcp", t.upstream, 2*time.Second)
		if err != nil { // the broker is down: the member learns it as it would
			c.Close()
			continue
		}
		t.mu.Lock()
		if t.closed {
			t.mu.Unlock()
			c.Close()
			up.Close()
			return
		}
		t.conns[c], t.conns[up] = true, true
		t.opened++
		p := &passage{tap: t, asked: map[int32]asked{}, conn: t.opened, over: make(chan struct{})}
		delay := t.manner.Delay
		if t.manner.Serial {
			p.turn = make(chan struct{}, 1)
		}
		t.mu.Unlock()
		t.wg.Go(func() { defer p.end(); t.pump(c, t.late(up, delay), p.request) })
		t.wg.Go(func() { defer p.end(); t.pump(up, t.late(c, delay), p.response) })
	}
}

// late is a connection to which every write takes a while, however many are on their way.
func (t *Tap) late(c net.Conn, delay time.Duration) net.Conn {
	if delay == 0 {
		return c
	}
	l := &lateConn{Conn: c, delay: delay, queue: make(chan lateWrite, 1024), over: make(chan struct{})}
	t.wg.Go(l.run)
	return l
}

type lateWrite struct {
	due  time.Time
	data []byte
}

type lateConn struct {
	net.Conn
	delay time.Duration
	queue chan lateWrite
	once  sync.Once
	over  chan struct{}
}

func (l *lateConn) run() {
	for {
		select {
		case w := <-l.queue:
			time.Sleep(time.Until(w.due))
			if _, err := l.Conn.Write(w.data); err != nil {
				return
			}
		case <-l.over:
			return
		}
	}
}

func (l *lateConn) Write(b []byte) (int, error) {
	select {
	case l.queue <- lateWrite{time.Now().Add(l.delay), append([]byte(nil), b...)}:
		return len(b), nil
	case <-l.over:
		return 0, net.ErrClosed
	}
}

func (l *lateConn) Close() error {
	l.once.Do(func() { close(l.over) })
	return l.Conn.Close()
}

// pump passes frames on until one side ends, which ends the other.
func (t *Tap) pump(from, to net.Conn, frame func([]byte) ([]byte, error)) {
	defer func() {
		from.Close()
		to.Close()
		t.mu.Lock()
		delete(t.conns, from)
		delete(t.conns, to)
		t.mu.Unlock()
	}()
	var size [4]byte
	for {
		if _, err := io.ReadFull(from, size[:]); err != nil {
			return
		}
		n := binary.BigEndian.Uint32(size[:])
		if n > 64<<20 {
			t.fault(fmt.Errorf("a frame of %d bytes", n))
			return
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(from, body); err != nil {
			return
		}
		body, err := frame(body)
		if errors.Is(err, errCut) {
			return
		}
		if err != nil {
			t.fault(err)
			return
		}
		if t.deaf.Load() {
			continue
		}
		if _, err := to.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)); err != nil {
			return
		}
	}
}

// asked is a request whose answer is awaited.
type asked struct {
	key, version int16
	exchange     *Exchange // nil when the API is not written down
}

// passage is one connection.
type passage struct {
	tap   *Tap
	conn  int
	turn  chan struct{} // holds one while a request is unanswered; nil: they need not wait
	over  chan struct{} // closed when either direction ended
	once  sync.Once
	mu    sync.Mutex
	asked map[int32]asked // by correlation id
}

func (p *passage) end() { p.once.Do(func() { close(p.over) }) }

func (p *passage) request(frame []byte) ([]byte, error) {
	r := kbin.Reader{Src: frame}
	a := asked{key: r.Int16(), version: r.Int16()}
	id := r.Int32()
	r.NullableString() // client id; of this length in flexible headers too
	if !r.Ok() {
		return nil, fmt.Errorf("%s: a request header that cannot be read: % x", p.tap.Member, frame[:min(len(frame), 32)])
	}
	if written(a.key) {
		req := kmsg.RequestForKey(a.key)
		req.SetVersion(a.version)
		if req.IsFlexible() {
			kmsg.SkipTags(&r)
		}
		if err := req.ReadFrom(r.Src); err != nil {
			return nil, fmt.Errorf("%s: %s v%d: %w", p.tap.Member, kmsg.NameForKey(a.key), a.version, err)
		}
		a.exchange = &Exchange{Member: p.tap.Member, Conn: p.conn, Asked: time.Now(), Request: req}
		p.tap.change(func() { p.tap.log = append(p.tap.log, a.exchange) })
	}
	if written(a.key) || rewritten(a.key) {
		p.mu.Lock()
		p.asked[id] = a
		p.mu.Unlock()
	}
	if p.turn != nil {
		select {
		case p.turn <- struct{}{}:
		case <-p.over:
		}
	}
	return frame, nil
}

func (p *passage) response(frame []byte) ([]byte, error) {
	if len(frame) < 4 {
		return nil, fmt.Errorf("%s: an answer of %d bytes", p.tap.Member, len(frame))
	}
	if p.turn != nil {
		<-p.turn // before the answer goes on: the next request may be written as soon as this one is answered
	}
	id := int32(binary.BigEndian.Uint32(frame))
	p.mu.Lock()
	a, ok := p.asked[id]
	delete(p.asked, id)
	p.mu.Unlock()
	if !ok {
		return frame, nil
	}
	resp := kmsg.ResponseForKey(a.key)
	resp.SetVersion(a.version)
	r := kbin.Reader{Src: frame[4:]}
	if resp.IsFlexible() && a.key != keyApiVersions {
		kmsg.SkipTags(&r)
	}
	head := frame[:len(frame)-len(r.Src)]
	if err := resp.ReadFrom(r.Src); err != nil {
		return nil, fmt.Errorf("%s: answer to %s v%d: %w", p.tap.Member, kmsg.NameForKey(a.key), a.version, err)
	}
	if rewritten(a.key) {
		p.tap.readdress(resp)
		frame = resp.AppendTo(append([]byte(nil), head...))
	}
	if a.exchange != nil {
		if p.tap.cuts(resp) {
			return nil, errCut
		}
		p.tap.change(func() { a.exchange.Answered, a.exchange.Response = time.Now(), resp })
	}
	return frame, nil
}

// readdress puts the tap's address in the place of the broker's.
func (t *Tap) readdress(resp kmsg.Response) {
	host, portText, _ := net.SplitHostPort(t.Addr)
	n, _ := strconv.Atoi(portText)
	port := int32(n)
	switch resp := resp.(type) {
	case *kmsg.MetadataResponse:
		for i := range resp.Brokers {
			resp.Brokers[i].Host, resp.Brokers[i].Port = host, port
		}
	case *kmsg.DescribeClusterResponse:
		for i := range resp.Brokers {
			resp.Brokers[i].Host, resp.Brokers[i].Port = host, port
		}
	case *kmsg.FindCoordinatorResponse:
		if resp.Port > 0 {
			resp.Host, resp.Port = host, port
		}
		for i := range resp.Coordinators {
			if resp.Coordinators[i].Port > 0 {
				resp.Coordinators[i].Host, resp.Coordinators[i].Port = host, port
			}
		}
	}
}
