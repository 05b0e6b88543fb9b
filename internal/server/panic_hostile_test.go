package server

import (
	"bytes"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/config"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/wire"
)

type uncounted struct{}

func (uncounted) ConnectionOpened()                                            {}
func (uncounted) ConnectionClosed()                                            {}
func (uncounted) ConnectionRefused()                                           {}
func (uncounted) InvalidRequest()                                              {}
func (uncounted) Request(int16, int16, time.Duration, time.Duration, int, int) {}
func (uncounted) Error(int16, kafka.ErrorCode)                                 {}
func (uncounted) BytesOut(int)                                                 {}
func (uncounted) Produced(string, int, int)                                    {}
func (uncounted) Fetched(string, int)                                          {}
func (uncounted) Held(string, time.Duration)                                   {}
func (uncounted) SyncHeld(string, time.Duration)                               {}
func (uncounted) HoldsGivenUp()                                                {}
func (uncounted) Committed(string, int)                                        {}

// safeBuffer is a bytes.Buffer for several goroutines.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

// A bug in a handler ends the connection that met it, says where it is, and leaves everyone else alone.
func TestAPanicInAHandlerClosesItsConnectionOnly(t *testing.T) {
	cfg, _, err := config.Load(config.Args{Flags: []config.Flag{{Name: "log.dirs", Value: t.TempDir()}}})
	if err != nil {
		t.Fatal(err)
	}
	var log safeBuffer
	// Without a cluster behind them most handlers cannot but panic; DescribeAcls needs none.
	s := New(Config{RequestMaxBytes: 1 << 20, RequestMemoryBytes: 1 << 20, RequestReadTimeout: time.Minute, IdleTimeout: time.Minute, WriteTimeout: time.Minute},
		Deps{Config: func() *config.Config { return cfg }, Metrics: uncounted{}, Now: time.Now}, slog.New(slog.NewTextHandler(&log, nil)))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Serve(l, "PLAINTEXT")
	t.Cleanup(func() { s.Close(t.Context()) })
	dial := func() net.Conn {
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		nc.SetDeadline(time.Now().Add(20 * time.Second))
		t.Cleanup(func() { nc.Close() })
		return nc
	}
	ask := func(nc net.Conn, key, version int16) error {
		q := kmsg.RequestForKey(key)
		q.SetVersion(version)
		nc.Write(kmsg.NewRequestFormatter().AppendRequest(nil, q, 1)) // an error shows in the read
		var size [4]byte
		if _, err := io.ReadFull(nc, size[:]); err != nil {
			return err
		}
		_, err := io.ReadFull(nc, make([]byte, binary.BigEndian.Uint32(size[:])))
		return err
	}
	other := dial()
	if err := ask(other, wire.KeyDescribeACLs, 1); err != nil {
		t.Fatal(err)
	}
	panics := 0
	for _, r := range wire.Versions() {
		if r.Key == wire.KeyProduce {
			continue
		}
		if err := ask(dial(), r.Key, r.Max); err == io.EOF {
			panics++
		} else if err != nil {
			t.Errorf("%s: %v", wire.KeyName(r.Key), err)
		}
	}
	for who, nc := range map[string]net.Conn{"the client that was there before": other, "a new client": dial()} { // any order: both
		if err := ask(nc, wire.KeyDescribeACLs, 1); err != nil {
			t.Errorf("%s: %v", who, err)
		}
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	if n := strings.Count(log.b.String(), "a request handler panicked"); panics < 3 || n != panics {
		t.Errorf("%d connections were closed, %d panics are in the log", panics, n)
	}
}
