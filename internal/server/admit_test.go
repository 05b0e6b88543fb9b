package server

import (
	"log/slog"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/config"
	"github.com/barnabas-mq/barnabas/internal/metrics"
)

// Only those who come from this machine get in beyond a limit that has no room for a tool, and they take no room from the others.
func TestWhoGetsInBeyondTheLimit(t *testing.T) {
	cfg, _, err := config.Load(config.Args{Set: []string{"max.connections=1"}})
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{ConnectionsRoom: 8}, Deps{Config: func() *config.Config { return cfg }, Now: time.Now, NewChecker: func() *batch.Checker { return nil }, Metrics: metrics.New(metrics.Options{}).Server("")}, slog.New(slog.DiscardHandler))
	in := map[string][]*conn{}
	come := func(ip string, want bool) {
		t.Helper()
		c := &conn{srv: s, ip: ip}
		err := s.admit(c)
		if (err == nil) != want {
			t.Errorf("from %s, with %d there: %v", ip, len(s.conns), err)
		}
		if err == nil {
			in[ip] = append(in[ip], c)
		}
	}
	leave := func(ip string) {
		s.release(in[ip][0])
		in[ip] = in[ip][1:]
		s.wg.Done()
	}
	come("10.0.0.1", true)
	come("10.0.0.2", false)
	for _, ip := range []string{"127.0.0.1", "::1", "::ffff:127.0.0.1", "127.0.0.1"} {
		come(ip, true)
	}
	come("127.0.0.5", false)
	come("10.0.0.3", false)
	leave("10.0.0.1")
	come("10.0.0.3", true) // who is beyond the limit takes nobody's place
	come("10.0.0.2", false)
	leave("::1")
	come("10.0.0.2", false)
	come("::1", true)
	come("::1", false)
	leave("10.0.0.3")
	come("::1", true) // as anybody
	come("::1", false)
	// Descriptors are nobody's to exceed.
	s.cfg.ConnectionsRoom = len(s.conns)
	leave("127.0.0.1")
	come("127.0.0.1", true)
	come("127.0.0.1", false)
	// Where a tool has room among the others, the limit is one.
	cfg, _, err = config.Load(config.Args{Set: []string{"max.connections=2"}})
	if err != nil {
		t.Fatal(err)
	}
	leave("127.0.0.1")
	come("127.0.0.1", true) // the second one
	come("127.0.0.1", false)
}
