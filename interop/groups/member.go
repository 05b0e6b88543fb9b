package groups

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/barnabas-mq/barnabas/interop/rig"
)

// Trail is everything that the members of one cell did, in the order it reached us. Events of one member are in the order of their times.
type Trail struct {
	mu     sync.Mutex
	events []Event
	grown  chan struct{} // closed and replaced when events grow
}

// NewTrail is empty.
func NewTrail() *Trail { return &Trail{grown: make(chan struct{})} }

// Add appends one event.
func (t *Trail) Add(e Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events = append(t.events, e)
	close(t.grown)
	t.grown = make(chan struct{})
}

// Events is a copy, and a channel that is closed when there are more.
func (t *Trail) Events() ([]Event, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Event(nil), t.events...), t.grown
}

// Member is one running process.
type Member struct {
	Name  string
	Tap   *Tap
	trail *Trail
	child *rig.Child
	rest  []byte // of a line that is not whole yet
	noise bytes.Buffer
	mu    sync.Mutex
	ended chan struct{} // closed when the trail has its Dead
}

// StartMember runs argv as a member called name. Its events go into the trail.
func StartMember(name string, argv []string, cfg Config, tap *Tap, trail *Trail) (*Member, error) {
	m := &Member{Name: name, Tap: tap, trail: trail, ended: make(chan struct{})}
	cfg.Bootstrap = tap.Addr
	child, err := rig.StartChild(argv, []string{MemberVariable + "=1"}, "", (*memberOut)(m), (*memberLog)(m))
	if err != nil {
		return nil, fmt.Errorf("start member %s: %w", name, err)
	}
	m.child = child
	go func() {
		<-child.Done()
		trail.Add(Event{At: time.Now().UnixMicro(), Member: name, Kind: Dead})
		close(m.ended)
	}()
	if err := m.send(cfg); err != nil {
		m.Kill()
		return nil, err
	}
	return m, nil
}

func (m *Member) send(what any) error {
	line, err := json.Marshal(what)
	if err != nil {
		return err
	}
	if _, err := m.child.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("member %s: %w; it said: %s", m.Name, err, m.Noise())
	}
	return nil
}

// Sleep has the member take d over its next record.
func (m *Member) Sleep(d time.Duration) error {
	return m.send(Command{Do: CommandSleep, Ms: int(d.Milliseconds())})
}

// Away has the member unsubscribe for d.
func (m *Member) Away(d time.Duration) error {
	return m.send(Command{Do: CommandAway, Ms: int(d.Milliseconds())})
}

// Commit has the member commit the same offset again and again for d, waiting for every answer, and begin a commit every so often.
func (m *Member) Commit(d, every time.Duration) error {
	return m.send(Command{Do: CommandCommit, Ms: int(d.Milliseconds()), EveryMs: int(every.Milliseconds())})
}

// Metrics has the member tell what its client measured.
func (m *Member) Metrics() error { return m.send(Command{Do: CommandMetrics}) }

// Stop has the member close its consumer; it ends by itself.
func (m *Member) Stop() error { return m.send(Command{Do: CommandStop}) }

// Kill is kill -9.
func (m *Member) Kill() {
	m.child.Signal(syscall.SIGKILL)
	<-m.ended
}

// Pause stops the process where it is.
func (m *Member) Pause() {
	m.child.Signal(syscall.SIGSTOP)
	m.trail.Add(Event{At: time.Now().UnixMicro(), Member: m.Name, Kind: Suspended})
}

// Resume lets it go on.
func (m *Member) Resume() {
	m.trail.Add(Event{At: time.Now().UnixMicro(), Member: m.Name, Kind: Resumed})
	m.child.Signal(syscall.SIGCONT)
}

// Ended is closed when the process is gone and the trail says so.
func (m *Member) Ended() <-chan struct{} { return m.ended }

// Noise is the end of what it wrote to standard error.
func (m *Member) Noise() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(m.noise.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-12):], "\n")
}

// NoiseAll is all it wrote to standard error, as far as it was kept.
func (m *Member) NoiseAll() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.noise.String()
}

// memberOut takes the member's standard output apart into events.
type memberOut Member

func (o *memberOut) Write(p []byte) (int, error) {
	o.rest = append(o.rest, p...)
	for {
		i := bytes.IndexByte(o.rest, '\n')
		if i < 0 {
			return len(p), nil
		}
		line := o.rest[:i]
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			e = Event{At: time.Now().UnixMicro(), Kind: Trouble, Error: "not an event: " + string(line)}
		}
		e.Member = o.Name
		o.trail.Add(e)
		o.rest = o.rest[i+1:]
	}
}

// memberLog keeps standard error, for the case that something fails.
type memberLog Member

func (l *memberLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if os.Getenv("INTEROP_NOISE") != "" {
		os.Stderr.Write(p)
	}
	if l.noise.Len() < 1<<20 {
		l.noise.Write(p)
	}
	return len(p), nil
}
