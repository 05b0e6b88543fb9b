package server

import (
	"sync"
	"time"
)

// noise bounds the log lines that strangers can cause: noisePerSecond of a second are written, and the next one says how many were not.
type noise struct {
	mu         sync.Mutex
	second     int64
	written    int
	suppressed int
}

const noisePerSecond = 10

// allow reports whether a line may be written now, and how many were left out before it.
func (n *noise) allow(now time.Time) (ok bool, suppressed int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s := now.Unix(); s != n.second {
		n.second, n.written = s, 0
	}
	if n.written >= noisePerSecond {
		n.suppressed++
		return false, 0
	}
	n.written++
	suppressed, n.suppressed = n.suppressed, 0
	return true, suppressed
}

// warnStranger logs what a client did wrong, unless clients do so too often.
func (s *Server) warnStranger(text string, args ...any) {
	ok, suppressed := s.noise.allow(s.deps.Now())
	if !ok {
		return
	}
	if suppressed > 0 {
		args = append(args, "lines_left_out", suppressed)
	}
	s.log.Warn(text, args...)
}
