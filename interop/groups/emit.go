package groups

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

// goMembers are the Go clients that can run as members, by Config.Client.
var goMembers = map[string]func(ctx context.Context, cfg Config, m *goMember) error{
	"franz":   franzMember,
	"sarama":  saramaMember,
	"kafkago": kafkaGoMember,
}

// MemberVariable is set in the environment of a test binary that is to be a member and not to test.
const MemberVariable = "INTEROP_MEMBER"

// goMember is what the Go members share: their standard input and output.
type goMember struct {
	mu    sync.Mutex
	out   *json.Encoder
	nap   time.Duration   // the next record takes this long
	again *Command        // commit again and again
	ctx   context.Context // over when it is asked to stop
	stops context.CancelFunc
}

// MemberMain runs this process as a member in a group, until it is told to stop.
func MemberMain() int {
	in := bufio.NewScanner(os.Stdin)
	m := &goMember{out: json.NewEncoder(os.Stdout)}
	var cfg Config
	if !in.Scan() {
		m.emit(Event{Kind: Trouble, Error: "no config on standard input"})
		return 2
	}
	if err := json.Unmarshal(in.Bytes(), &cfg); err != nil {
		m.emit(Event{Kind: Trouble, Error: err.Error()})
		return 2
	}
	run, ok := goMembers[cfg.Client]
	if !ok {
		m.emit(Event{Kind: Trouble, Error: "this binary has no client " + cfg.Client + " (librdkafka needs CGO_ENABLED=1)"})
		return 2
	}
	ctx, stop := context.WithCancel(context.Background())
	m.ctx, m.stops = ctx, stop
	go func() {
		for in.Scan() {
			var c Command
			if err := json.Unmarshal(in.Bytes(), &c); err != nil {
				m.emit(Event{Kind: Trouble, Error: err.Error()})
				continue
			}
			switch c.Do {
			case CommandSleep:
				m.mu.Lock()
				m.nap = time.Duration(c.Ms) * time.Millisecond
				m.mu.Unlock()
			case CommandCommit:
				m.mu.Lock()
				m.again = &c
				m.mu.Unlock()
			case CommandStop:
				stop()
			}
		}
		stop() // the harness is gone
	}()
	if err := run(ctx, cfg, m); err != nil {
		m.emit(Event{Kind: Trouble, Error: err.Error()})
		return 1
	}
	m.emit(Event{Kind: Closed})
	return 0
}

// emit prints one event, stamped under the lock so that the lines of a process are in the order of their times.
func (m *goMember) emit(e Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e.At = time.Now().UnixMicro()
	if err := m.out.Encode(e); err != nil {
		os.Exit(3) // nobody listens any more
	}
}

// record hands one record on, which takes as long as a sleep command asked for.
func (m *goMember) record(partition int32, offset int64, value []byte) {
	m.emit(Event{Kind: GotRecord, Partition: partition, Offset: offset, Value: string(value)})
	m.mu.Lock()
	nap := m.nap
	m.nap = 0
	m.mu.Unlock()
	if nap > 0 {
		m.emit(Event{Kind: Sleeping})
		time.Sleep(nap)
		m.emit(Event{Kind: Awake})
	}
}

// commits does what CommandCommit asked for, if it did. rest is what the member does between two commits, for at least that long.
func (m *goMember) commits(commit func() error, rest func(time.Duration)) {
	m.mu.Lock()
	c := m.again
	m.again = nil
	m.mu.Unlock()
	if c == nil {
		return
	}
	e := Event{Kind: Commits, TookUs: []int64{}}
	for end := time.Now().Add(millis(c.Ms)); time.Now().Before(end) && m.ctx.Err() == nil; {
		began := time.Now()
		if err := commit(); err != nil {
			m.trouble(fmt.Errorf("commit: %w", err))
			break
		}
		e.TookUs = append(e.TookUs, time.Since(began).Microseconds())
		if every := millis(c.EveryMs); every > 0 {
			rest(every - time.Since(began))
		}
	}
	m.emit(e)
}

// committed tells how a commit went.
func (m *goMember) committed(offsets map[int32]int64, err error) {
	e := Event{Kind: Commit, Offsets: map[string]int64{}}
	for p, o := range offsets {
		e.Offsets[strconv.Itoa(int(p))] = o
	}
	if err != nil {
		e.Kind, e.Error = CommitFailed, err.Error()
	}
	m.emit(e)
}

func (m *goMember) trouble(err error) {
	if err != nil {
		m.emit(Event{Kind: Trouble, Error: err.Error()})
	}
}

func millis(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func unknownAssignor(cfg Config) error {
	return fmt.Errorf("%s has no assignor %s", cfg.Client, cfg.Assignor)
}
