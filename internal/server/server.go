// Package server is the shell between sockets and everything that answers requests: connections, their order and their limits,
// and one numbered file per API key.
//
// A request is decoded, handed to its handler, and answered in the order it came. Handlers hold no state of their own: what they
// decide with is behind the small interfaces of deps.go, which the broker plugs in. Start reading at conn.go.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Config bounds what clients may ask of one broker. Names in brackets are Kafka's properties.
type Config struct {
	// RequestMaxBytes is the largest request [socket.request.max.bytes].
	RequestMaxBytes int
	// RequestMemoryBytes bounds the memory of all requests that are being read or handled [queued.max.request.bytes].
	RequestMemoryBytes int64
	// DecompressionMemoryBytes bounds the memory of all checks of compressed batches [decompression.memory.max.bytes].
	DecompressionMemoryBytes int64
	// RequestReadTimeout is how long the rest of a request may take once its size has arrived.
	RequestReadTimeout time.Duration
	// ConnectionsRoom bounds connections beside max.connections, which may be set higher than descriptors last. 0: it does not.
	ConnectionsRoom int
	// IdleTimeout closes connections without traffic [connections.max.idle.ms].
	IdleTimeout time.Duration
	// WriteTimeout closes a connection whose client does not take its answer [connection.write.timeout.ms].
	WriteTimeout time.Duration
	// FetchMaxBytes caps one Fetch answer [fetch.max.bytes].
	FetchMaxBytes int32
	// FetchSessionSlots is how many fetch sessions are remembered [max.incremental.fetch.session.cache.slots].
	FetchSessionSlots int
	// PartitionRequestLimit caps a page of DescribeTopicPartitions [max.request.partition.size.limit].
	PartitionRequestLimit int32
	// NoticeClients are those whose heartbeats may be held [group.prompt.notice.clients]; none when it is off [group.prompt.notice.enable].
	NoticeClients []NoticeClient
	// SendBufferBytes and ReceiveBufferBytes are socket options, -1 leaves the system's [socket.*.buffer.bytes].
	SendBufferBytes, ReceiveBufferBytes int
}

// Server answers Kafka requests on any number of listeners.
type Server struct {
	cfg  Config
	deps Deps
	log  *slog.Logger

	memory *budget
	// decompression is what checks of compressed batches may hold together.
	decompression *budget
	// waiting is what parked Fetches may hold together.
	waiting  *budget
	sessions *sessionCache
	breaker  *breaker
	// closing ends parked requests; drained is closed connections' wait.
	closing   context.Context
	stop      context.CancelFunc
	draining  atomic.Bool
	mu        sync.Mutex
	listeners []net.Listener
	conns     map[*conn]struct{}
	perIP     map[string]int
	beyond    int // connections that were let in beyond a limit
	// nextAccept is when max.connection.creation.rate allows the next connection.
	nextAccept time.Time
	// waitingProduce, waitingFetch and waitingGroups count parked answers.
	waitingProduce, waitingFetch, waitingGroups atomic.Int64
	// noise bounds the log lines that strangers cause.
	noise noise
	// produceCalls recycles *produceCall. It is the server's own, since a call holds a channel: one made inside a testing/synctest bubble
	// may not turn up outside of it.
	produceCalls sync.Pool
	// checkers recycles *batch.Checker: what one of them keeps from batch to batch is not multiplied by connections.
	checkers sync.Pool
	wg       sync.WaitGroup
}

// New makes a server; Serve starts it on a listener.
func New(cfg Config, deps Deps, log *slog.Logger) *Server {
	ctx, stop := context.WithCancel(context.Background())
	return &Server{
		cfg: cfg, deps: deps, log: log,
		memory: newBudget(cfg.RequestMemoryBytes), decompression: newBudget(cfg.DecompressionMemoryBytes), waiting: newBudget(cfg.RequestMemoryBytes),
		sessions: newSessionCache(cfg.FetchSessionSlots, deps.Now),
		breaker:  newBreaker(deps.Metrics.HoldsGivenUp),
		closing:  ctx, stop: stop,
		conns: map[*conn]struct{}{}, perIP: map[string]int{},
		produceCalls: sync.Pool{New: newProduceCall}, checkers: sync.Pool{New: func() any { return deps.NewChecker() }},
	}
}

// Serve accepts connections on l until Close. listener is the name clients' endpoints are advertised under.
func (s *Server) Serve(l net.Listener, listener string) {
	s.mu.Lock()
	if s.draining.Load() {
		s.mu.Unlock()
		l.Close()
		return
	}
	s.listeners = append(s.listeners, l)
	s.wg.Add(1)
	s.mu.Unlock()
	go func() {
		defer s.wg.Done()
		s.accept(l, listener)
	}()
}

func (s *Server) accept(l net.Listener, listener string) {
	backoff := time.Duration(0)
	for {
		nc, err := l.Accept()
		if err != nil {
			if s.draining.Load() || errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of descriptors, most likely: wait for some to come back instead of spinning.
			backoff = min(max(2*backoff, 5*time.Millisecond), time.Second)
			s.log.Warn("cannot accept a connection, will try again", "listener", listener, "error", err, "wait", backoff)
			select {
			case <-time.After(backoff):
				continue
			case <-s.closing.Done():
				return
			}
		}
		backoff = 0
		if !s.pace() {
			nc.Close()
			return
		}
		c := newConn(s, nc, listener)
		if err := s.admit(c); err != nil {
			s.deps.Metrics.ConnectionRefused()
			s.warnStranger("connection refused", "client", c.remote, "listener", listener, "reason", err)
			nc.Close()
			continue
		}
		s.deps.Metrics.ConnectionOpened()
		go func() {
			defer s.wg.Done()
			c.serve()
			s.release(c)
			s.deps.Metrics.ConnectionClosed()
		}()
	}
}

// pace waits until max.connection.creation.rate allows one more connection. It returns false when the server closes meanwhile.
func (s *Server) pace() bool {
	rate := s.deps.Config().Broker.Network.ConnectionCreationRate
	if rate <= 0 || rate == math.MaxInt32 {
		return true
	}
	s.mu.Lock()
	now := time.Now()
	if s.nextAccept.Before(now) {
		s.nextAccept = now
	}
	wait := s.nextAccept.Sub(now)
	s.nextAccept = s.nextAccept.Add(time.Second / time.Duration(rate))
	s.mu.Unlock()
	if wait == 0 {
		return true
	}
	select {
	case <-time.After(wait):
		return true
	case <-s.closing.Done():
		return false
	}
}

// A tool needs two connections. With a max.connections below that, nobody could set the limit again, and restarting would not help, since the setting is
// kept: then, and only then, loopbackReserve connections from this machine are let in beyond it. Kafka lets the listener of its brokers in beyond
// max.connections; one broker alone has none.
const (
	toolConnections = 2
	loopbackReserve = 4
)

// admit counts a connection in, or says which limit it breaks.
func (s *Server) admit(c *conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		return errors.New("the broker is shutting down")
	}
	if room := s.cfg.ConnectionsRoom; room > 0 && len(s.conns) >= room {
		return fmt.Errorf("there are %d connections; the limit of open files (ulimit -n) has no room for more", room)
	}
	if err := s.overLimit(c); err != nil {
		if s.deps.Config().Broker.Network.ConnectionsMax >= toolConnections || s.beyond >= loopbackReserve || !c.loopback() {
			return err
		}
		s.beyond++
		c.beyond = true
	}
	s.perIP[c.ip]++
	s.conns[c] = struct{}{}
	s.wg.Add(1)
	return nil
}

// overLimit says which limit one more connection breaks. Limits can change while the broker runs; connections that are there already stay.
func (s *Server) overLimit(c *conn) error {
	n := &s.deps.Config().Broker.Network
	if len(s.conns)-s.beyond >= int(n.ConnectionsMax) {
		return fmt.Errorf("max.connections=%d is reached", n.ConnectionsMax)
	}
	limit := int(n.ConnectionsMaxPerIP)
	for _, o := range n.ConnectionsPerIPOverrides {
		if o.Host == c.ip {
			limit = int(o.Count)
		}
	}
	if s.perIP[c.ip] >= limit {
		return fmt.Errorf("%s has max.connections.per.ip=%d connections", c.ip, limit)
	}
	return nil
}

func (s *Server) release(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if c.beyond {
		s.beyond--
	}
	if s.perIP[c.ip]--; s.perIP[c.ip] == 0 {
		delete(s.perIP, c.ip)
	}
}

// StopAccepting closes the listeners; open connections go on.
func (s *Server) StopAccepting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining.Store(true)
	for _, l := range s.listeners {
		l.Close()
	}
}

// Close stops accepting, lets requests in flight finish until ctx ends, and closes every connection. Parked requests are
// answered at once with what is there.
func (s *Server) Close(ctx context.Context) {
	s.StopAccepting()
	s.stop()
	s.mu.Lock()
	for c := range s.conns {
		c.drain()
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() { s.wg.Wait(); close(done) }()
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	s.mu.Lock()
	n := len(s.conns)
	for c := range s.conns {
		c.cancel()
		c.nc.Close()
	}
	s.mu.Unlock()
	s.log.Warn("connections were cut at shutdown because their requests did not finish in time", "connections", n)
	<-done
}

// State is what a server is doing right now.
type State struct {
	FetchSessions, FetchSessionPartitions int
	// WaitingProduce and so on count parked answers.
	WaitingProduce, WaitingFetch, WaitingGroups int
	RequestMemoryUsed, RequestMemoryMax         int64
}

// State reads it, for metrics.
func (s *Server) State() State {
	st := State{WaitingProduce: int(s.waitingProduce.Load()), WaitingFetch: int(s.waitingFetch.Load()), WaitingGroups: int(s.waitingGroups.Load()), RequestMemoryUsed: s.memory.used.Load(), RequestMemoryMax: s.memory.limit}
	st.FetchSessions, st.FetchSessionPartitions = s.sessions.count()
	return st
}
