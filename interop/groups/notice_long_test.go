package groups_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/interop/groups"
	"github.com/barnabas-mq/barnabas/interop/rig"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The tests of this file measure prompt notice for docs/prompt-notice.md, and look at what takes minutes. They fail when something is wrong, not when it
// is slow: what it took is told.

// noticeFolder is where the figures go; without INTEROP_NOTICE, which names it, these tests are skipped.
func noticeFolder(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("INTEROP_NOTICE")
	if dir == "" {
		t.Skip("INTEROP_NOTICE does not name a folder for the figures; make long does")
	}
	return dir
}

func keep(t *testing.T, dir string, f groups.Figure) {
	t.Helper()
	if err := f.Keep(dir); err != nil {
		t.Error(err)
	}
}

// noticePair is a broker that holds and one that does not.
func noticePair(t *testing.T) map[bool]*rig.Broker {
	t.Helper()
	off := maps.Clone(properties)
	off["group.prompt.notice.enable"] = "false"
	return map[bool]*rig.Broker{true: rig.StartT(t, rig.Barnabas, rig.Options{Properties: properties}), false: rig.StartT(t, rig.Barnabas, rig.Options{Properties: off})}
}

// both runs a test on both brokers at the same time.
func both(t *testing.T, name string, brokers map[bool]*rig.Broker, run func(t *testing.T, broker *rig.Broker, on bool)) {
	var wg sync.WaitGroup
	for on, broker := range brokers {
		wg.Go(func() { t.Run(fmt.Sprintf("%s, held: %v", name, on), func(t *testing.T) { run(t, broker, on) }) })
	}
	wg.Wait()
}

func named(titles ...string) (out []groups.Client) {
	for _, c := range slices.Concat(groups.Clients(), groups.OldJava()) {
		if slices.Contains(titles, c.Title()) && wanted("INTEROP_CLIENTS", c.Library, c.Title()) {
			out = append(out, c)
		}
	}
	return out
}

const (
	java43, java39, java28, java24 = "Java kafka-clients, range", "Java kafka-clients 3.9, cooperative", "Java kafka-clients 2.8, range", "Java kafka-clients 2.4, range"
	confluentRange, franzRange     = "confluent-kafka-go, range", "franz-go, range"
)

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func TestNoticeOfALeave(t *testing.T) {
	dir := noticeFolder(t)
	t.Parallel()
	brokers := noticePair(t)
	times := 6
	if n, err := strconv.Atoi(os.Getenv("INTEROP_TIMES")); err == nil {
		times = n
	}
	for _, client := range named(java24, java28, java39, java43, confluentRange, franzRange) {
		for _, way := range []string{"", "auto-commit", "50 ms away"} {
			if way == "auto-commit" && !client.JVM || way == "50 ms away" && client.Title() != java43 && client.Title() != franzRange {
				continue
			}
			line := client.Library
			if way != "" {
				line += ", " + way
			}
			var mu sync.Mutex
			leave, closing := groups.Figure{Table: "leave", Line: line}, groups.Figure{Table: "close", Line: line}
			both(t, line, brokers, func(t *testing.T, broker *rig.Broker, on bool) {
				c := quietCell(t, broker, client, groups.Scenario("leave "+way))
				c.session = 45 * time.Second // the default of most
				switch way {
				case "auto-commit":
					c.extra.AutoCommitMs = 5000
				case "50 ms away":
					c.manner.Delay = 25 * time.Millisecond
				}
				noticed, closed := c.leaves(times)
				mu.Lock()
				defer mu.Unlock()
				if on {
					leave.On, closing.On = noticed, closed
				} else {
					leave.Off, closing.Off = noticed, closed
				}
			})
			keep(t, dir, leave)
			if client.JVM {
				keep(t, dir, closing)
			}
		}
	}
}

// starting is held while a member starts: a machine that starts ten JVMs at once is busy with nothing else for a while.
var starting sync.Mutex

// starts starts members one after the other, until they have their partitions.
func (c *cell) starts(names ...string) {
	c.Helper()
	starting.Lock()
	defer starting.Unlock()
	for i, name := range names {
		c.member(name, "")
		c.balancedWithin(3*patience, names[:i+1]...)
	}
}

// leaves has C leave a group of three and come back, again and again. It returns how long after each leave the others asked to join, and how long the
// members took to close, in milliseconds.
func (c *cell) leaves(times int) (noticed, closed []float64) {
	c.starts("A", "B", "C")
	stop := func(name string) {
		n := len(c.events())
		c.stop(name)
		for _, e := range c.since(n, name, groups.Closed) {
			for _, us := range e.TookUs {
				closed = append(closed, float64(us)/1000)
			}
		}
	}
	for range times {
		c.beats("A", "B")
		time.Sleep(rand.N(c.heartbeat)) // so that the leave comes at any point of an interval
		n, began := len(c.events()), time.Now()
		leaver := c.members["C"]
		if c.client.JVM { // a new JVM would take as long as all the rest
			if err := leaver.Away(500 * time.Millisecond); err != nil {
				c.die("%v", err)
			}
		} else {
			stop("C")
			c.member("C", "")
		}
		c.await("C to come back", patience, func([]groups.Event) bool { return len(c.since(n, "C", groups.Assigned)) > 0 })
		c.balanced("A", "B", "C")
		left := when[*kmsg.LeaveGroupRequest](c, leaver, began)
		for _, name := range []string{"A", "B"} {
			noticed = append(noticed, milliseconds(when[*kmsg.JoinGroupRequest](c, c.members[name], left).Sub(left)))
		}
	}
	stop("C")
	c.balanced("A", "B")
	stop("B")
	c.balanced("A")
	stop("A")
	return noticed, closed
}

// TestNoticeOfAWorker is TestNoticeOfALeave with workers of Connect, which commit nothing on the coordinator's connection: one of three is asked to end,
// and comes back.
func TestNoticeOfAWorker(t *testing.T) {
	dir := noticeFolder(t)
	if !wanted("INTEROP_CLIENTS", "Kafka Connect") {
		t.Skip("INTEROP_CLIENTS names others")
	}
	const times = 5
	var mu sync.Mutex
	leave := groups.Figure{Table: "leave", Line: "Kafka Connect, session 10 s"}
	both(t, "Kafka Connect", noticePair(t), func(t *testing.T, broker *rig.Broker, on bool) {
		cl, err := kgo.NewClient(kgo.SeedBrokers(broker.Addr))
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		c, folder := &cell{T: t, members: map[string]*groups.Member{}}, t.TempDir()
		starts := func(name string) *worker {
			starting.Lock()
			defer starting.Unlock()
			w, tap := startWorker(t, broker, name, folder, map[string]string{"session.timeout.ms": "10000", "heartbeat.interval.ms": "3000"})
			c.members[name] = &groups.Member{Name: name, Tap: tap}
			return w
		}
		starts("A")
		starts("B")
		var noticed []float64
		for range times {
			leaver := starts("C")
			stableWorkers(t, kadm.NewClient(cl), 3)
			c.beats("A", "B")
			time.Sleep(rand.N(3 * time.Second))
			leaver.child.Signal(syscall.SIGTERM)
			<-leaver.child.Done()
			left := when[*kmsg.LeaveGroupRequest](c, c.members["C"], time.Time{})
			stableWorkers(t, kadm.NewClient(cl), 2)
			for _, name := range []string{"A", "B"} {
				noticed = append(noticed, milliseconds(when[*kmsg.JoinGroupRequest](c, c.members[name], left).Sub(left)))
			}
		}
		mu.Lock()
		defer mu.Unlock()
		if on {
			leave.On = noticed
		} else {
			leave.Off = noticed
		}
	})
	keep(t, dir, leave)
}

// beats waits until each of the members has sent a heartbeat since it joined.
func (c *cell) beats(names ...string) {
	c.Helper()
	for _, name := range names {
		until(c.T, "a heartbeat of "+name+" since it joined", func() string {
			if c.lastBeat(c.members[name]).Asked.After(c.joined(name)) {
				return ""
			}
			return "none yet"
		})
	}
}

// joined is when a member was last told that it is one.
func (c *cell) joined(name string) (at time.Time) {
	c.Helper()
	log, err := c.members[name].Tap.Log()
	if err != nil {
		c.die("%v", err)
	}
	for _, x := range log {
		if _, ok := x.Response.(*kmsg.SyncGroupResponse); ok {
			at = x.Answered
		}
	}
	return at
}

func TestNoticeOfCommits(t *testing.T) {
	dir := noticeFolder(t)
	brokers := noticePair(t)
	for _, client := range named(java24, java43, confluentRange, franzRange) {
		t.Run(client.Title(), func(t *testing.T) {
			cells := map[bool]*cell{}
			for on, broker := range brokers {
				cells[on] = quietCell(t, broker, client, "commits")
				cells[on].session = 30 * time.Second // for the clients that do not poll while they commit
				cells[on].starts("A")
			}
			slice := func(on bool, d, every time.Duration) (out []float64) {
				c := cells[on]
				n := len(c.events())
				if err := c.members["A"].Commit(d, every); err != nil {
					c.die("%v", err)
				}
				c.await("its commits", patience, func([]groups.Event) bool { return len(c.since(n, "A", groups.Commits)) > 0 })
				for _, e := range c.since(n, "A", groups.Commits, groups.Trouble) {
					if e.Kind == groups.Trouble {
						c.fault("%s", e.Error)
					}
					for _, us := range e.TookUs {
						out = append(out, float64(us)/1000)
					}
				}
				return out
			}
			tight, slow := groups.Figure{Table: "commit", Line: client.Library + ", as fast as it can"}, groups.Figure{Table: "commit", Line: client.Library + ", one per second"}
			for range 4 {
				tight.On = append(tight.On, slice(true, 5*time.Second, 0)...)
				tight.Off = append(tight.Off, slice(false, 5*time.Second, 0)...)
			}
			for range 2 {
				var wg sync.WaitGroup
				wg.Go(func() { slow.On = append(slow.On, slice(true, 10*time.Second, time.Second)...) })
				wg.Go(func() { slow.Off = append(slow.Off, slice(false, 10*time.Second, time.Second)...) })
				wg.Wait()
			}
			for _, c := range cells {
				c.stop("A")
			}
			keep(t, dir, tight)
			keep(t, dir, slow)
		})
	}
}

// complaints are what clients log when an answer is late or the coordinator seems gone.
var complaints = regexp.MustCompile(`(?im)^.*(REQTMOUT|SESSTMOUT|coordinator.*unavailable|unavailable or invalid|heartbeat failed|session timeout|disconnect).*$`)

// TestNoticeInPeace leaves groups alone for INTEROP_MINUTES, with held heartbeats and nothing to read: nobody is told anything, nobody complains, no
// connection is cut, and as many heartbeats are answered as the client's own rhythm allows.
func TestNoticeInPeace(t *testing.T) {
	dir := noticeFolder(t)
	minutes, err := strconv.Atoi(os.Getenv("INTEROP_MINUTES"))
	if err != nil {
		t.Fatal("INTEROP_MINUTES does not say for how long")
	}
	brokers := noticePair(t)
	var wg sync.WaitGroup
	for _, timing := range []struct {
		title              string
		session, heartbeat time.Duration
	}{
		{java43, 6 * time.Second, 5 * time.Second}, {java24, 6 * time.Second, 5 * time.Second},
		{java43, 45 * time.Second, 3 * time.Second}, {java24, 45 * time.Second, 3 * time.Second},
		{confluentRange, 6 * time.Second, 2 * time.Second}, {confluentRange, 6 * time.Second, 3 * time.Second}, {confluentRange, 45 * time.Second, 3 * time.Second},
		{franzRange, 6 * time.Second, 2 * time.Second}, {franzRange, 45 * time.Second, 3 * time.Second},
	} {
		for _, client := range named(timing.title) {
			what := fmt.Sprintf("%s, session %.0f s, interval %.0f s", client.Library, timing.session.Seconds(), timing.heartbeat.Seconds())
			wg.Go(func() {
				told := map[bool]*peace{}
				var mu sync.Mutex
				both(t, what, brokers, func(t *testing.T, broker *rig.Broker, on bool) {
					c := quietCell(t, broker, client, groups.Scenario(fmt.Sprintf("peace %.0f %.0f", timing.session.Seconds(), timing.heartbeat.Seconds())))
					c.session, c.heartbeat = timing.session, timing.heartbeat
					p := c.peace(time.Duration(minutes) * time.Minute)
					mu.Lock()
					defer mu.Unlock()
					told[on] = p
				})
				if on, off := told[true], told[false]; on != nil && off != nil {
					keep(t, dir, groups.Figure{Table: "peace", Line: what, Cells: []string{
						strconv.Itoa(on.answered), strconv.Itoa(off.answered), strconv.Itoa(on.joins), strconv.Itoa(on.complaints), on.longest, off.longest}})
					if client.Name == "confluent" && on.answered*10 < off.answered*9 {
						t.Errorf("%s: %d heartbeats were answered, and %d without holds", what, on.answered, off.answered)
					}
				}
			})
		}
	}
	wg.Wait()
}

type peace struct {
	answered, joins, complaints int
	longest                     string
}

func (c *cell) peace(d time.Duration) *peace {
	c.starts("A")
	a := c.members["A"]
	n, joined, longest := len(c.events()), len(c.exchanges()), 0.0
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(15 * time.Second) // the only way to see that nothing happens; the client's maxima last for a minute
		if c.client.JVM {
			m := len(c.events())
			if err := a.Metrics(); err != nil {
				c.die("%v", err)
			}
			c.await("its metrics", patience, func([]groups.Event) bool { return len(c.since(m, "A", groups.Measured)) > 0 })
			for _, e := range c.since(m, "A", groups.Measured) {
				longest = max(longest, e.Metrics["heartbeat-response-time-max"])
			}
		}
	}
	p := &peace{longest: "-"}
	if c.client.JVM {
		p.longest = groups.Millis(longest)
	}
	connections := map[int]bool{}
	var beat time.Time
	var wrong []string
	silent := false // by itself: a machine that is very busy keeps its client from sending
	for _, x := range c.exchanges()[joined:] {
		if _, ok := x.Request.(*kmsg.HeartbeatRequest); ok {
			silent = silent || !beat.IsZero() && x.Asked.Sub(beat) >= c.session
			if beat = x.Asked; x.Answered.After(beat) { // while it waits for an answer it is not silent by itself
				beat = x.Answered
			}
		}
		switch resp := x.Response.(type) {
		case *kmsg.HeartbeatResponse:
			connections[x.Conn] = true
			if resp.ErrorCode != 0 {
				wrong = append(wrong, fmt.Sprintf("a heartbeat was answered with %d", resp.ErrorCode))
			}
			p.answered++
		case *kmsg.JoinGroupResponse:
			p.joins++
		}
	}
	if p.joins > 0 || len(connections) != 1 {
		wrong = append(wrong, fmt.Sprintf("it joined again %d times, and sent its heartbeats on %d connections", p.joins, len(connections)))
	}
	for _, e := range c.events()[n:] {
		if e.Kind != groups.Measured {
			wrong = append(wrong, fmt.Sprintf("%s %s: %v %s", e.Time().Format("15:04:05.000"), e.Kind, e.Partitions, e.Error))
		}
	}
	for _, line := range complaints.FindAllString(a.NoiseAll(), -1) {
		p.complaints++
		wrong = append(wrong, "it said: "+line)
	}
	for _, w := range wrong {
		if silent {
			c.Logf("in peace, and after it had sent nothing for its session: %s", w)
		} else {
			c.fault("in peace: %s", w)
		}
	}
	opened := a.Tap.Opened()
	n = len(c.exchanges())
	c.stop("A")
	if again := a.Tap.Opened() - opened; again > 1 {
		c.fault("to leave, it opened %d connections", again)
	}
	if !slices.ContainsFunc(c.exchanges()[n:], func(x groups.Exchange) bool { _, ok := x.Request.(*kmsg.LeaveGroupRequest); return ok }) {
		c.fault("it did not leave")
	}
	return p
}

func TestNoticeOfALoss(t *testing.T) {
	dir := noticeFolder(t)
	t.Parallel()
	brokers := noticePair(t)
	for _, client := range named(java43, confluentRange, franzRange) {
		var mu sync.Mutex
		told := map[string]string{}
		for _, way := range []string{"stopped", "swallowed"} {
			both(t, client.Library+", "+way, brokers, func(t *testing.T, broker *rig.Broker, on bool) {
				c := quietCell(t, broker, client, groups.Scenario(way))
				c.starts("A")
				a := c.members["A"]
				if on {
					c.awaitHeld(a)
				} else {
					until(t, "a heartbeat", func() string {
						if c.lastBeat(a).Request == nil {
							return "none yet"
						}
						return ""
					})
				}
				if way == "stopped" {
					a.Pause()
				} else {
					a.Tap.Swallow()
				}
				beat := c.lastBeat(a).Asked
				alive := c.putOut("A").Sub(beat)
				if alive < c.session-time.Millisecond || alive > c.session+time.Second {
					c.fault("%s: put out %s after its last heartbeat came; its session is %s", way, alive, c.session)
				}
				c.kill("A")
				mu.Lock()
				defer mu.Unlock()
				if on {
					told[way] = groups.Millis(milliseconds(alive))
				} else {
					t.Logf("without holds: %s", alive)
				}
			})
		}
		keep(t, dir, groups.Figure{Table: "lost", Line: client.Library, Cells: []string{told["stopped"], told["swallowed"]}})
	}
}

func TestNoticeGivenUp(t *testing.T) {
	dir := noticeFolder(t)
	t.Parallel()
	for _, h := range harmedClients() {
		t.Run(h.what, func(t *testing.T) {
			most := 2500 * time.Millisecond
			if h.name == "apache-kafka-java" || h.name == "kgo" || h.name == "kafka-python" {
				most = 5 * time.Second
			}
			if h.quiet {
				most = 4 * time.Second
			}
			held, commits := givenUp(t, h, most)
			cells := []string{strconv.Itoa(held), "-", "-"}
			if len(commits) > 0 {
				// The last two heartbeats were not held, and one interval and more passed: so the last second is after it.
				n, last := len(commits), int64(0)
				for n > 0 && last+commits[n-1] < 1e6 {
					n--
					last += commits[n]
				}
				longest := func(us []int64) string {
					if len(us) == 0 {
						return "-"
					}
					return groups.Millis(float64(slices.Max(us)) / 1000)
				}
				cells[1], cells[2] = longest(commits[:n]), longest(commits[n:])
			}
			keep(t, dir, groups.Figure{Table: "breaker", Line: h.what, Cells: cells})
			if strings.Contains(h.what, "in flight") && held > 3 {
				t.Logf("held %d times before it was left alone; the rule wants three at most", held)
			}
		})
	}
}
