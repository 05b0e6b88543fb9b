package barnabastest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/internal/broker"
	"github.com/barnabas-mq/barnabas/internal/config"
)

// Broker is a running broker. Its methods may be called from any goroutine, but for Restart, Kill and Stop, which like t.Fatal belong to
// the test's own.
type Broker struct {
	t       testing.TB
	options options
	dir     string
	address string // of the first start, kept by all later ones
	network *network
	logs    logBuffer
	running *broker.Broker // nil while stopped
}

// Start starts a broker that is stopped when the test ends. A broker that cannot start fails the test at once.
func Start(t testing.TB, opts ...Option) *Broker {
	t.Helper()
	b := &Broker{t: t, dir: t.TempDir(), address: "127.0.0.1:0"}
	for _, o := range opts {
		o(&b.options)
	}
	if b.options.inMemory {
		b.network = newNetwork()
		// A name that never resolves: a client without the dialer fails at once, instead of finding some other broker.
		b.address = "barnabas.invalid:9092"
	}
	t.Cleanup(func() {
		b.Kill() // nobody comes back to this directory, so nothing is put in order
		if t.Failed() {
			t.Logf("log of the broker at %s:\n%s", b.address, b.logs.String())
		}
	})
	if err := b.start(); err != nil {
		t.Fatalf("start a broker: %v", err)
	}
	if err := b.createTopics(); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *Broker) start() error {
	args := config.Args{Flags: []config.Flag{
		{Flag: "barnabastest", Name: "log.dirs", Value: b.dir},
		{Flag: "barnabastest", Name: "listeners", Value: "PLAINTEXT://" + b.address},
	}}
	// Later ones win.
	effective := map[string]string{"admin.address": ""}
	for _, s := range b.options.set {
		if s.name == "log.dirs" || s.name == "log.dir" || s.name == "listeners" || s.name == "advertised.listeners" {
			return fmt.Errorf("the setting %s cannot be chosen in a test", s.name)
		}
		effective[s.name] = s.value
	}
	for name, value := range effective { // any order: names are distinct
		args.Set = append(args.Set, name+"="+value)
	}
	cfg, _, err := config.Load(args)
	if err != nil {
		return err
	}
	o := broker.Options{
		Config: cfg, NoSync: true, Version: "barnabastest",
		Logger: slog.New(slog.NewTextHandler(&b.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if b.network != nil {
		o.Listen = b.network.listen
	}
	running, err := broker.Start(context.Background(), o)
	if err != nil {
		return err
	}
	b.running = running
	b.address = running.Addresses()[0]
	return nil
}

// Addr is the host:port where the broker listens. It stays the same over Restart.
func (b *Broker) Addr() string { return b.address }

// Bootstrap is Addr in the form most clients ask for: a list of seeds.
func (b *Broker) Bootstrap() []string { return []string{b.address} }

// Dialer connects to the broker: for kgo.Dialer and whatever takes the like of net.Dialer.DialContext. It is needed with InMemory, and
// works without.
func (b *Broker) Dialer() func(ctx context.Context, network, address string) (net.Conn, error) {
	if b.network != nil {
		return b.network.dial
	}
	return new(net.Dialer).DialContext
}

// stopTimeout is how long requests in flight may take when the broker stops.
const stopTimeout = 30 * time.Second

// Stop shuts the broker down in good order: requests in flight are answered, logs are marked as cleanly closed. Start it again with
// Restart. Stopping a stopped broker does nothing.
func (b *Broker) Stop() {
	b.t.Helper()
	if b.running == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	err := b.running.Close(ctx)
	b.running = nil
	if err != nil {
		b.t.Errorf("stop the broker: %v", err)
	}
}

// Kill stops the broker as abruptly as a process can stop a part of itself: connections are cut with requests unanswered, logs are left
// as they are, without the mark of a clean shutdown, so that the next start recovers them. What was acknowledged is there after it.
func (b *Broker) Kill() {
	if b.running == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = b.running.Close(ctx) // says that the shutdown was not clean
	b.running = nil
}

// Restart starts the broker again, at the same address and on the same data, after Stop, Kill, or a Stop of its own if it still runs.
func (b *Broker) Restart() {
	b.t.Helper()
	b.Stop()
	if err := b.start(); err != nil {
		b.t.Fatalf("start the broker again: %v", err)
	}
}

// logBuffer collects what the broker logs, the newest megabyte or so.
type logBuffer struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	lost bool
}

const logBytesMax = 1 << 20

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buf.Len()+len(p) > 2*logBytesMax {
		l.lost = true
		l.buf.Next(l.buf.Len() - logBytesMax)
		if _, err := l.buf.ReadBytes('\n'); err != nil { // the line that was cut
			l.buf.Reset()
		}
	}
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost {
		return "(earlier lines left out)\n" + l.buf.String()
	}
	return l.buf.String()
}

var errStopped = errors.New("the broker is stopped")
