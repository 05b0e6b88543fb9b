package barnabastest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"
)

// network connects clients and brokers of one process without a port. Its connections behave as TCP's do on loopback: writes are
// buffered up to a bound, a closed end lets the other read what was sent, deadlines count for calls that are already waiting.
type network struct {
	mu        sync.Mutex
	listeners map[string]*listener
	clients   int
}

func newNetwork() *network { return &network{listeners: map[string]*listener{}} }

// listen is what net.Listen is to a broker.
func (n *network) listen(_, address string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[address] != nil {
		return nil, fmt.Errorf("listen %s: the address is in use", address)
	}
	l := &listener{network: n, address: addr(address), accept: make(chan net.Conn), closed: make(chan struct{})}
	n.listeners[address] = l
	return l, nil
}

// dial is what net.Dialer.DialContext is to a client.
func (n *network) dial(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	l := n.listeners[address]
	n.clients++
	// Every client is on this machine, each with a port of its own.
	client := addr(net.JoinHostPort("127.0.0.1", strconv.Itoa(10_000+n.clients%50_000)))
	n.mu.Unlock()
	if l == nil {
		return nil, &net.OpError{Op: "dial", Net: "memory", Addr: addr(address), Err: errStopped}
	}
	up, down := newStream(), newStream()
	ours := &conn{read: down, write: up, local: client, remote: l.address}
	theirs := &conn{read: up, write: down, local: l.address, remote: client}
	select {
	case l.accept <- theirs:
		return ours, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "dial", Net: "memory", Addr: addr(address), Err: errStopped}
	case <-ctx.Done():
		return nil, &net.OpError{Op: "dial", Net: "memory", Addr: addr(address), Err: ctx.Err()}
	}
}

type addr string

func (addr) Network() string  { return "memory" }
func (a addr) String() string { return string(a) }

type listener struct {
	network *network
	address addr
	accept  chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.accept:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() {
		l.network.mu.Lock()
		delete(l.network.listeners, string(l.address))
		l.network.mu.Unlock()
		close(l.closed)
	})
	return nil
}

func (l *listener) Addr() net.Addr { return l.address }

// conn is one end of a connection.
type conn struct {
	read, write   *stream
	local, remote addr
}

func (c *conn) Read(b []byte) (int, error)         { return c.read.take(b) }
func (c *conn) Write(b []byte) (int, error)        { return c.write.put(b) }
func (c *conn) LocalAddr() net.Addr                { return c.local }
func (c *conn) RemoteAddr() net.Addr               { return c.remote }
func (c *conn) SetReadDeadline(t time.Time) error  { return c.read.setDeadline(&c.read.taking, t) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.write.setDeadline(&c.write.putting, t) }

func (c *conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// Close ends both directions: the other end reads what was sent and then the end, and can send nothing more.
func (c *conn) Close() error {
	c.write.end(false)
	c.read.end(true)
	return nil
}

// streamBytes is how much one direction buffers; a writer waits beyond it.
const streamBytes = 256 << 10

// stream is one direction of a connection.
type stream struct {
	mu      sync.Mutex
	changed sync.Cond
	buf     bytes.Buffer // sent and not yet read
	// putClosed: no more is sent. takeClosed: nobody reads any more.
	putClosed, takeClosed bool
	taking, putting       deadline
}

// deadline is one of a stream's two, guarded by its lock.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func newStream() *stream {
	s := &stream{}
	s.changed.L = &s.mu
	return s
}

func (d *deadline) over() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func (s *stream) setDeadline(d *deadline, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.at = at
	if !at.IsZero() {
		// Whoever waits looks again then.
		d.timer = time.AfterFunc(time.Until(at), s.wake)
	}
	s.changed.Broadcast()
	return nil
}

func (s *stream) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed.Broadcast()
}

// take reads at least a byte; io.EOF after everything was read that was sent before the end.
func (s *stream) take(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.takeClosed:
			return 0, net.ErrClosed
		case s.taking.over():
			return 0, os.ErrDeadlineExceeded
		case s.buf.Len() > 0 || len(b) == 0:
			n, _ := s.buf.Read(b) // fails only when there is nothing
			s.changed.Broadcast()
			return n, nil
		case s.putClosed:
			return 0, io.EOF
		}
		s.changed.Wait()
	}
}

// put writes all of b, waiting for the reader as often as needed.
func (s *stream) put(b []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.putClosed:
			return n, net.ErrClosed
		case s.takeClosed:
			return n, io.ErrClosedPipe
		case s.putting.over():
			return n, os.ErrDeadlineExceeded
		}
		if room := streamBytes - s.buf.Len(); room > 0 {
			k, _ := s.buf.Write(b[n:min(len(b), n+room)])
			n += k
			s.changed.Broadcast()
		}
		if n == len(b) {
			return n, nil
		}
		s.changed.Wait()
	}
}

// end closes the reader's end of the stream, or the writer's.
func (s *stream) end(reader bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := &s.putting
	if reader {
		s.takeClosed, s.buf, d = true, bytes.Buffer{}, &s.taking
	} else {
		s.putClosed = true
	}
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	s.changed.Broadcast()
}
