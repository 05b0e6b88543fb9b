package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// Server counts for the protocol server of one listener, in the shape that the server asks for: by API key and topic name. Its
// methods neither lock nor allocate, once an API, error or topic was seen. A server that knows more (the version, where the time
// went) counts on a Request instead.
type Server struct {
	m        *Metrics
	listener *Listener
	sent     prometheus.Counter
}

// Server is the counters of a server on a listener.
func (m *Metrics) Server(listener string) *Server {
	return &Server{m: m, listener: m.Listener(listener), sent: m.v.bytesSent.WithLabelValues(listener)}
}

// ConnectionOpened counts a connection that was accepted and kept.
func (s *Server) ConnectionOpened() { s.listener.Opened() }

// ConnectionClosed counts the end of such a connection.
func (s *Server) ConnectionClosed() { s.listener.Closed() }

// ConnectionRefused counts a connection closed at once because there are too many.
func (s *Server) ConnectionRefused() { s.listener.Refused(TooMany) }

// InvalidRequest counts a connection closed because what came is no request.
func (s *Server) InvalidRequest() { s.listener.Killed(Garbage) }

// Request counts an answered request: its time from being read to being answered, and how much of that it waited, for a flush or for data.
func (s *Server) Request(key, version int16, took, waited time.Duration, in, out int) {
	s.m.Request(key, version).Done(in, out, Times{Total: took, Remote: waited})
}

// Error counts an error code in an answer.
func (s *Server) Error(key int16, code kafka.ErrorCode) { s.m.Error(key, code) }

// BytesOut counts bytes written to the socket.
func (s *Server) BytesOut(n int) { s.sent.Add(float64(max(0, n))) }

// Produced counts a batch appended to a topic.
func (s *Server) Produced(topic string, bytes, records int) {
	s.m.Topic(topic).Produced(records, bytes)
}

// Fetched counts bytes of a partition in an answer to a fetch.
func (s *Server) Fetched(topic string, bytes int) { s.m.Topic(topic).Fetched(bytes) }

// Committed counts offsets that a group has committed.
func (s *Server) Committed(group string, partitions int) { s.m.Group(group).Committed(partitions) }

// Held counts a heartbeat whose answer was held back, by what ended that.
func (s *Server) Held(cause string, d time.Duration) {
	s.m.v.holds.WithLabelValues(cause).Observe(d.Seconds())
}

// SyncHeld counts a SyncGroup whose answer was held back, by what ended that.
func (s *Server) SyncHeld(cause string, d time.Duration) {
	s.m.v.syncHolds.WithLabelValues(cause).Observe(d.Seconds())
}

// HoldsGivenUp counts a client of a group that is not held any more.
func (s *Server) HoldsGivenUp() { s.m.v.holdsGivenUp.Inc() }
