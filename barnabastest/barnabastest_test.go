package barnabastest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/barnabas-mq/barnabas/barnabastest"
)

// fake is a test inside a test: it collects what Start does with its t.
type fake struct {
	testing.TB
	cleanups []func()
	dir      string
	failed   bool
	lines    []string
}

func (f *fake) Helper()           {}
func (f *fake) Cleanup(do func()) { f.cleanups = append(f.cleanups, do) }
func (f *fake) TempDir() string   { return f.dir }
func (f *fake) Failed() bool      { return f.failed }
func (f *fake) Context() context.Context {
	return context.Background()
}
func (f *fake) Logf(format string, args ...any) {
	f.lines = append(f.lines, fmt.Sprintf(format, args...))
}
func (f *fake) Errorf(format string, args ...any) { f.failed = true; f.Logf(format, args...) }

// Fatalf ends the test inside the test, as the real one does, by a panic that run knows.
func (f *fake) Fatalf(format string, args ...any) { f.Errorf(format, args...); panic(f) }
func (f *fake) Fatal(args ...any)                 { f.Fatalf("%s", fmt.Sprint(args...)) }

// try runs do as a test that may fail, cleanups included.
func (f *fake) try(do func(testing.TB)) {
	defer func() {
		for len(f.cleanups) > 0 {
			last := f.cleanups[len(f.cleanups)-1]
			f.cleanups = f.cleanups[:len(f.cleanups)-1]
			last()
		}
		if p := recover(); p != nil && p != any(f) {
			panic(p)
		}
	}()
	do(f)
}

func client(t testing.TB, b *barnabastest.Broker, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(b.Bootstrap()...), kgo.Dialer(b.Dialer())}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func produce(t testing.TB, c *kgo.Client, topic string, values ...string) {
	t.Helper()
	for _, v := range values {
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// read polls until it has n records.
func read(t testing.TB, c *kgo.Client, n int) (values []string) {
	t.Helper()
	for len(values) < n {
		fs := c.PollFetches(t.Context())
		if err := fs.Err(); err != nil {
			t.Fatal(err)
		}
		for _, r := range fs.Records() {
			values = append(values, string(r.Value))
		}
	}
	return values
}

var networks = map[string][]barnabastest.Option{"loopback": nil, "in memory": {barnabastest.InMemory()}}

func TestWhatWasAcknowledgedSurvivesStopAndKill(t *testing.T) {
	for name, opts := range networks { // any order: separate brokers
		t.Run(name, func(t *testing.T) {
			b := barnabastest.Start(t, append(opts, barnabastest.Topic("t", 1))...)
			addr := b.Addr()
			c := client(t, b)
			produce(t, c, "t", "one")
			b.Restart()
			produce(t, c, "t", "two")
			b.Kill()
			b.Restart()
			produce(t, c, "t", "three")
			if b.Addr() != addr {
				t.Errorf("the address was %s and is %s now", addr, b.Addr())
			}
			got := read(t, client(t, b, kgo.ConsumeTopics("t")), 3)
			if strings.Join(got, " ") != "one two three" {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestKillLeavesNoMarkOfACleanShutdown(t *testing.T) {
	f := &fake{TB: t, dir: t.TempDir()}
	marks := func() int {
		found, err := filepath.Glob(filepath.Join(f.dir, ".kafka_cleanshutdown"))
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	f.try(func(t testing.TB) {
		b := barnabastest.Start(t, barnabastest.InMemory())
		b.Stop()
		if marks() != 1 {
			t.Error("a broker that was stopped left no mark")
		}
		b.Restart()
		b.Kill()
		if marks() != 0 {
			t.Error("a broker that was killed left the mark of a clean shutdown")
		}
	})
	if f.failed {
		t.Error(f.lines)
	}
}

func TestAStoppedBrokerRefusesClients(t *testing.T) {
	b := barnabastest.Start(t, barnabastest.InMemory())
	b.Kill()
	b.Kill()
	b.Stop()
	if _, err := b.Dialer()(t.Context(), "tcp", b.Addr()); err == nil {
		t.Error("a killed broker accepts connections")
	}
}

func TestSettingsAndTopicsAreTaken(t *testing.T) {
	b := barnabastest.Start(t, barnabastest.InMemory(), barnabastest.With("auto.create.topics.enable", "true"),
		barnabastest.With("auto.create.topics.enable", "false"), barnabastest.Topic("small", 2, "max.message.bytes", "100"))
	c := client(t, b, kgo.RecordRetries(0))
	err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "small", Value: make([]byte, 1000)}).FirstErr()
	if err == nil || !strings.Contains(err.Error(), "MESSAGE_TOO_LARGE") {
		t.Errorf("a record above the topic's limit: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c = client(t, b, kgo.RecordRetries(0), kgo.UnknownTopicRetries(-1), kgo.AllowAutoTopicCreation())
	if err := c.ProduceSync(ctx, &kgo.Record{Topic: "other", Value: []byte("x")}).FirstErr(); err == nil {
		t.Error("a topic was created although auto.create.topics.enable is false")
	}
}

func TestWhatCannotStartFailsTheTestWithTheReason(t *testing.T) {
	for name, c := range map[string]struct {
		opts []barnabastest.Option
		want string
	}{ // any order: separate brokers
		"an unknown value":                {[]barnabastest.Option{barnabastest.With("num.partitions", "many")}, "num.partitions"},
		"a setting that is ours":          {[]barnabastest.Option{barnabastest.With("log.dirs", "/elsewhere")}, "log.dirs"},
		"a topic that cannot be":          {[]barnabastest.Option{barnabastest.Topic("no/slash", 1)}, "no/slash"},
		"a topic setting without a value": {[]barnabastest.Option{barnabastest.Topic("t", 1, "retention.ms")}, "in turn"},
	} {
		f := &fake{TB: t, dir: t.TempDir()}
		f.try(func(t testing.TB) { barnabastest.Start(t, append(c.opts, barnabastest.InMemory())...) })
		if !f.failed || !strings.Contains(strings.Join(f.lines, "\n"), c.want) {
			t.Errorf("%s: failed=%v, said %q", name, f.failed, f.lines)
		}
	}
}

func TestTheLogIsShownOnlyWhenTheTestFails(t *testing.T) {
	for _, fails := range []bool{false, true} {
		f := &fake{TB: t, dir: t.TempDir()}
		f.try(func(t testing.TB) {
			barnabastest.Start(t, barnabastest.InMemory())
			f.failed = fails
		})
		if shown := strings.Contains(strings.Join(f.lines, "\n"), "broker started"); shown != fails {
			t.Errorf("failed=%v, log shown=%v: %q", fails, shown, f.lines)
		}
	}
}

// The bubble's clock stands still while anybody works, and jumps when all wait: half an hour of an idle consumer, retention and
// checkpoints included, takes no time.
func TestInMemoryBrokerRunsInABubble(t *testing.T) {
	for range 2 { // what the first bubble leaves behind may not break the second
		synctest.Test(t, func(t *testing.T) {
			b := barnabastest.Start(t, barnabastest.InMemory(), barnabastest.Topic("t", 1))
			c := client(t, b, kgo.ConsumeTopics("t"))
			began := time.Now()
			late := time.AfterFunc(30*time.Minute, func() { c.Produce(t.Context(), &kgo.Record{Topic: "t", Value: []byte("late")}, nil) })
			defer late.Stop()
			if got := read(t, c, 1); got[0] != "late" {
				t.Errorf("got %q", got)
			}
			if waited := time.Since(began); waited < 30*time.Minute || waited > 31*time.Minute {
				t.Errorf("the record came after %v", waited)
			}
			b.Restart()
			produce(t, c, "t", "again")
			if got := read(t, c, 1); got[0] != "again" {
				t.Errorf("got %q", got)
			}
		})
	}
	// And outside of any bubble.
	b := barnabastest.Start(t, barnabastest.InMemory(), barnabastest.Topic("t", 1))
	produce(t, client(t, b), "t", "x")
}

func TestConnectionsInMemoryBehaveLikeTCP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := barnabastest.Start(t, barnabastest.InMemory(), barnabastest.With("connection.write.timeout.ms", "5000"), barnabastest.With("connections.max.idle.ms", "60000"))
		dial := func() net.Conn {
			c, err := b.Dialer()(t.Context(), "tcp", b.Addr())
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		c := dial()
		c.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read beyond the deadline: %v", err)
		}
		var ne net.Error
		if _, err := c.Read(make([]byte, 1)); !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("a deadline that is over is no timeout: %v", err)
		}
		began := time.Now()
		c.SetReadDeadline(time.Time{})
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("an idle connection ends with %v", err)
		}
		if idle := time.Since(began); idle < 50*time.Second || idle > time.Minute {
			t.Errorf("an idle connection was closed after %v", idle)
		}
		c.Close()
		if _, err := c.Write([]byte{0}); !errors.Is(err, net.ErrClosed) {
			t.Errorf("write after close: %v", err)
		}
		// A client that asks and never reads fills the buffer and is cut.
		c = dial()
		ask := []byte{0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff}
		began = time.Now()
		var err error
		for err == nil {
			_, err = c.Write(ask)
		}
		if cut := time.Since(began); cut < 5*time.Second || cut > 10*time.Second {
			t.Errorf("a client that never reads was cut after %v (%v)", cut, err)
		}
	})
}

func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		f := &fake{TB: b, dir: b.TempDir()}
		f.try(func(t testing.TB) { barnabastest.Start(t, barnabastest.InMemory(), barnabastest.Topic("t", 12)) })
	}
}
