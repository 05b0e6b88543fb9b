// Package rig starts real brokers for tests and benchmarks: a single Apache Kafka node from its published jars, or Barnabas from this
// repository, each on loopback, in its own process group, with its log captured, and gone when the test is gone, however that ends.
//
// Nothing above this package knows which broker it talks to: it has an address, it can be stopped, killed and started again on the same
// data directory and port, and its CPU time and memory can be read.
package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/interop/wire"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Kind says which broker.
type Kind string

const (
	Kafka    Kind = "kafka"    // Apache Kafka, one KRaft node in combined mode
	Barnabas Kind = "barnabas" // the binary of this repository
)

// Options of a broker. The zero value is a broker with default settings on temporary data.
type Options struct {
	// Dir keeps the data. Empty: a temporary directory, removed by Close.
	Dir string
	// Properties are Kafka's property names; both brokers get the same ones.
	Properties map[string]string
	// Args are added to Barnabas' command line and ignored by Kafka.
	Args []string
	// HeapMiB bounds Kafka's heap. 0: 1024.
	HeapMiB int
	// CPUs pins the broker to a list of CPUs as taskset takes it ("0" or "0,1"). Empty: not pinned.
	CPUs string
	// Binary is the Barnabas to run. Empty: $BARNABAS_BIN, else one built from this repository.
	Binary string
	// ReadyTimeout bounds one start. 0: 60 s for Kafka, 20 s for Barnabas.
	ReadyTimeout time.Duration
	// SkipReady returns as soon as the process runs, for those who time its start themselves.
	SkipReady bool
}

// Broker is one running (or stopped) broker process.
type Broker struct {
	Kind Kind
	Dir  string // holds data/ and whatever else the broker needs
	Addr string // host:port of the Kafka listener; the same over restarts

	opts     Options
	admin    string // Barnabas: host:port of the admin listener
	ctrlPort int    // Kafka: the controller's port
	ownsDir  bool
	log      *ringLog

	mu   sync.Mutex
	proc *process
}

// Start runs a broker and waits until it answers Metadata with itself in it.
func Start(ctx context.Context, kind Kind, opts Options) (*Broker, error) {
	b := &Broker{Kind: kind, Dir: opts.Dir, opts: opts, log: newRingLog(2 << 20)}
	if b.Dir == "" {
		dir, err := os.MkdirTemp("", "broker-"+string(kind)+"-")
		if err != nil {
			return nil, err
		}
		b.Dir, b.ownsDir = dir, true
	}
	if err := os.MkdirAll(b.DataDir(), 0o755); err != nil {
		return nil, err
	}
	ports, err := FreePorts(2)
	if err != nil {
		return nil, err
	}
	b.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))
	b.ctrlPort = ports[1]
	b.admin = net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[1]))
	if kind == Kafka {
		if err := b.formatKafka(ctx); err != nil {
			b.Close()
			return nil, err
		}
	}
	if err := b.Restart(ctx); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// StartT is Start for tests: it fails the test when the broker does not come up, closes the broker at the end of the test, and prints the
// broker's log when the test failed.
func StartT(t testing.TB, kind Kind, opts Options) *Broker {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	b, err := Start(ctx, kind, opts)
	if err != nil {
		t.Fatalf("start %s: %v", kind, err)
	}
	t.Cleanup(func() {
		b.Close()
		if t.Failed() {
			t.Logf("last lines of the %s log:\n%s", kind, b.Log(80))
		}
	})
	return b
}

// Restart starts the process again on the same data and port. It must not be running.
func (b *Broker) Restart(ctx context.Context) error {
	var argv []string
	var err error
	switch b.Kind {
	case Kafka:
		argv, err = b.kafkaCommand()
	case Barnabas:
		argv, err = b.barnabasCommand(ctx)
	default:
		err = fmt.Errorf("rig: no such broker %q", b.Kind)
	}
	if err != nil {
		return err
	}
	if b.opts.CPUs != "" {
		argv = append([]string{"taskset", "-c", b.opts.CPUs}, argv...)
	}
	p, err := startProcess(argv, b.Dir, b.log)
	if err != nil {
		return fmt.Errorf("start %s: %w", b.Kind, err)
	}
	b.mu.Lock()
	b.proc = p
	b.mu.Unlock()
	if b.opts.SkipReady {
		return nil
	}
	return b.WaitReady(ctx)
}

// WaitReady waits until the broker lists itself in Metadata, or its process ended, or the time is over.
func (b *Broker) WaitReady(ctx context.Context) error {
	timeout := b.opts.ReadyTimeout
	if timeout == 0 {
		timeout = 20 * time.Second
		if b.Kind == Kafka {
			timeout = 60 * time.Second
		}
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	p := b.process()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		if last = Ready(ctx, b.Addr); last == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended before it was ready (%v); its last lines:\n%s", b.Kind, p.err, b.Log(30))
		case <-ctx.Done():
			return fmt.Errorf("%s at %s not ready in %s (%v); its last lines:\n%s", b.Kind, b.Addr, timeout, last, b.Log(30))
		case <-tick.C:
		}
	}
}

// Ready asks the broker at addr once for its cluster and is nil when the broker lists at least one node.
func Ready(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	c, err := wire.Dial(ctx, addr, "rig")
	if err != nil {
		return err
	}
	defer c.Close()
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 4
	req.Topics = []kmsg.MetadataRequestTopic{}
	resp, err := c.Do(ctx, req)
	if err != nil {
		return err
	}
	if len(resp.(*kmsg.MetadataResponse).Brokers) == 0 {
		return errors.New("metadata lists no broker yet")
	}
	return nil
}

// Stop asks the broker to shut down (SIGTERM) and kills it after 30 s. The error is that of an unclean end.
func (b *Broker) Stop() error {
	p := b.process()
	if p == nil {
		return nil
	}
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		p.signal(syscall.SIGKILL)
		<-p.done
		return fmt.Errorf("%s did not stop in 30 s after SIGTERM; its last lines:\n%s", b.Kind, b.Log(30))
	}
	if b.Kind == Kafka { // a JVM that was asked to end by a signal says 143
		var exit *exec.ExitError
		if errors.As(p.err, &exit) && exit.ExitCode() == 143 {
			return nil
		}
	}
	return p.err
}

// Kill ends the broker at once (SIGKILL to its process group) and waits until it is gone.
func (b *Broker) Kill() {
	if p := b.process(); p != nil {
		p.signal(syscall.SIGKILL)
		<-p.done
	}
}

// Close kills the broker and removes its temporary data. A directory that was given stays.
func (b *Broker) Close() {
	b.Kill()
	if b.ownsDir {
		_ = os.RemoveAll(b.Dir)
	}
}

// Done is closed when the current process ended.
func (b *Broker) Done() <-chan struct{} { return b.process().done }

// SkipReady changes whether Restart waits for the broker to be ready.
func (b *Broker) SkipReady(skip bool) { b.opts.SkipReady = skip }

// Started is when the current process was started.
func (b *Broker) Started() time.Time { return b.process().started }

// PID of the broker itself (taskset replaces itself by it).
func (b *Broker) PID() int { return b.process().pid }

// Usage is what the broker's process used so far.
func (b *Broker) Usage() (Usage, error) { return ReadUsage(b.PID()) }

// DataDir is where the broker keeps its logs.
func (b *Broker) DataDir() string { return filepath.Join(b.Dir, "data") }

// AdminAddr is the address of Barnabas' health and metrics listener.
func (b *Broker) AdminAddr() string { return b.admin }

// Log returns the last lines the broker wrote to stdout and stderr.
func (b *Broker) Log(lines int) string { return b.log.tail(lines) }

// LogFull returns everything of the log that was kept (2 MiB).
func (b *Broker) LogFull() string { return b.log.tail(1 << 30) }

func (b *Broker) process() *process {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.proc
}

// FreePorts finds n loopback ports nobody listens on. They lie below the range the kernel hands out to outgoing connections, so that a
// broker that is down for a moment gets its port back.
func FreePorts(n int) ([]int, error) {
	var ports []int
	for try := 0; len(ports) < n && try < 1000; try++ {
		port := 20000 + rand.IntN(12000)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		l.Close()
		ports = append(ports, port)
	}
	if len(ports) < n {
		return nil, errors.New("rig: no free loopback ports between 20000 and 32000")
	}
	return ports, nil
}

// Root is the top of this repository, found from the working directory upwards.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(mod), "module github.com/barnabas-mq/barnabas\n") {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("rig: run this inside the repository (no go.mod of barnabas above the working directory)")
		}
		dir = up
	}
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// ringLog keeps the last bytes of a log; safe for concurrent use.
type ringLog struct {
	mu       sync.Mutex
	buf      []byte
	bytesMax int
}

func newRingLog(bytesMax int) *ringLog { return &ringLog{bytesMax: bytesMax} }

var _ io.Writer = (*ringLog)(nil)

func (l *ringLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(l.buf, p...)
	if over := len(l.buf) - 2*l.bytesMax; over > 0 {
		l.buf = append(l.buf[:0], l.buf[len(l.buf)-l.bytesMax:]...)
	}
	return len(p), nil
}

func (l *ringLog) tail(lines int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := strings.Split(strings.TrimRight(string(l.buf), "\n"), "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return strings.Join(all, "\n")
}
