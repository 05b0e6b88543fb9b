package groups_test

import (
	"bufio"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/interop/groups"
	"github.com/barnabas-mq/barnabas/interop/rig"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestNotice looks at prompt notice (docs/prompt-notice.md) with real clients that have nothing to read, and so nothing to commit: the answers to the
// heartbeats of those that are listed are held, they learn of a rebalance at once, they leave during a hold, and a member that is stopped during one
// stays for its session. Nobody else is ever held, and those that are harmed are left alone.
func TestNotice(t *testing.T) {
	if rig.KindFromEnv(t) != rig.Barnabas {
		t.Skip("Apache Kafka holds no heartbeats")
	}
	broker := rig.StartT(t, rig.Barnabas, rig.Options{Properties: properties})
	var held, others []groups.Client
	for _, c := range groups.Clients() {
		if !wanted("INTEROP_CLIENTS", c.Library, c.Title()) {
			continue
		}
		switch c.Title() {
		case "Java kafka-clients, range", "confluent-kafka-go, range", "franz-go, range":
			held = append(held, c)
		case "sarama, range", "segmentio/kafka-go, range", "kafkajs, roundrobin", "kafka-python, range":
			others = append(others, c)
		}
	}
	var wg sync.WaitGroup
	for _, client := range held {
		wg.Go(func() { t.Run(client.Title(), func(t *testing.T) { noticed(t, broker, client) }) })
	}
	quiet := rig.StartT(t, rig.Barnabas, rig.Options{Properties: properties})
	for _, client := range others {
		wg.Go(func() { t.Run("never "+client.Library, func(t *testing.T) { unheld(t, quiet, client, "") }) })
	}
	for _, client := range held {
		if client.JVM { // as a static member: its close would wait
			wg.Go(func() {
				t.Run("never "+client.Library+", static", func(t *testing.T) { unheld(t, quiet, client, "instance-A") })
			})
		}
	}
	for _, harmed := range harmedClients() {
		if wanted("INTEROP_CLIENTS", harmed.client.Library, harmed.client.Title()) && harmed.client.Library != "kafka-python" { // it takes its time
			wg.Go(func() { t.Run("given up: "+harmed.what, func(t *testing.T) { givenUp(t, harmed, time.Second) }) })
		}
	}
	wg.Wait()
	if told := holds(t, broker)[`cause="rebalance"`]; len(held) > 0 && !t.Failed() && told == 0 {
		t.Error("no hold ended by telling of a rebalance")
	}
	for ended, n := range holds(t, quiet) {
		if n > 0 {
			t.Errorf("%d heartbeats of clients that are not listed, or of static members, were held, %s", n, ended)
		}
	}
}

// quietCell has no writer, the heartbeat interval and the metadata age that most clients have by default, and a session that fits: whatever else a
// client asks on its connection ends a hold.
func quietCell(t *testing.T, broker *rig.Broker, client groups.Client, scenario groups.Scenario) *cell {
	t.Helper()
	c := newCell(t, broker, client, scenario)
	c.session, c.heartbeat, c.metadata = 10*time.Second, 3*time.Second, 5*time.Minute
	if _, err := c.writer.Stop(); err != nil {
		t.Fatal(err)
	}
	return c
}

// lastBeat is a member's newest heartbeat.
func (c *cell) lastBeat(m *groups.Member) (beat groups.Exchange) {
	c.Helper()
	log, err := m.Tap.Log()
	if err != nil {
		c.die("%v", err)
	}
	for _, x := range log {
		if _, ok := x.Request.(*kmsg.HeartbeatRequest); ok {
			beat = x
		}
	}
	return beat
}

// awaitHeld waits until a heartbeat of the member has been without an answer for so long that it is held, not slow.
func (c *cell) awaitHeld(m *groups.Member) {
	c.Helper()
	until(c.T, "a heartbeat of "+m.Name+" to be held", func() string {
		if beat := c.lastBeat(m); beat.Request == nil || beat.Response != nil || time.Since(beat.Asked) < 400*time.Millisecond {
			return "none is"
		}
		return ""
	})
}

func noticed(t *testing.T, broker *rig.Broker, client groups.Client) {
	c := quietCell(t, broker, client, "notice")
	a := c.member("A", "")
	c.balanced("A")
	told := 0
	for round := 1; told < 2; round++ { // a hold may end by itself just before B leaves
		if round > 10 {
			c.die("in 10 rounds A was told of B's leave by a held heartbeat %d times", told)
		}
		b := c.member("B", "")
		c.balanced("A", "B")
		c.awaitHeld(a)
		c.stop("B")
		c.balanced("A")
		left := when[*kmsg.LeaveGroupRequest](c, b, time.Time{})
		if c.toldBy(a, left) {
			told++
		}
		t.Logf("A asked to join %s after B left; heartbeats are every %s", when[*kmsg.JoinGroupRequest](c, a, left).Sub(left), c.heartbeat)
	}
	b := c.member("B", "")
	c.balanced("A", "B")
	c.awaitHeld(b)
	b.Pause()
	beat := c.lastBeat(b).Asked
	c.balanced("A")
	if alive := c.putOut("B").Sub(beat); alive < c.session-time.Millisecond { // the log has milliseconds
		c.fault("B was stopped during a hold and put out %s after its last heartbeat; its session is %s", alive, c.session)
	} else {
		t.Logf("B was put out %s after its last heartbeat", alive)
	}
	c.kill("B")
	c.awaitHeld(a)
	c.stop("A")
	when[*kmsg.LeaveGroupRequest](c, a, time.Time{})
}

// toldBy reports whether a heartbeat that was held at that moment was answered with the news, and the member asked to join upon it.
func (c *cell) toldBy(m *groups.Member, at time.Time) bool {
	c.Helper()
	log, err := m.Tap.Log()
	if err != nil {
		c.die("%v", err)
	}
	told := false
	for _, x := range log {
		switch resp := x.Response.(type) {
		case *kmsg.HeartbeatResponse:
			if x.Asked.Before(at) && x.Answered.After(at) {
				told = resp.ErrorCode == kerr.RebalanceInProgress.Code
			} else if x.Asked.After(at) && !told {
				return false
			}
		case *kmsg.JoinGroupResponse:
			if x.Asked.After(at) {
				return told
			}
		}
	}
	return false
}

var outOfTheGroup = regexp.MustCompile(`(?m)^time=(\S+) .*msg="([^ "]+): ([^ "]+) ?[^"]* out: silent`)

// putOut is when the broker's log has a member put out for its silence.
func (c *cell) putOut(member string) (at time.Time) {
	c.Helper()
	until(c.T, "the broker to put "+member+" out", func() string {
		for _, f := range outOfTheGroup.FindAllStringSubmatch(c.broker.LogFull(), -1) {
			if f[2] == c.group && strings.HasPrefix(f[3], member+"-") {
				var err error
				if at, err = time.Parse(time.RFC3339Nano, f[1]); err != nil {
					c.die("%v", err)
				}
				return ""
			}
		}
		return "it has not"
	})
	return at
}

// unheld lets a member heartbeat in peace, and close.
func unheld(t *testing.T, broker *rig.Broker, client groups.Client, instance string) {
	c := quietCell(t, broker, client, "notice")
	c.heartbeat = time.Second
	a := c.member("A", instance)
	c.balanced("A")
	until(t, "four heartbeats", func() string {
		log, err := a.Tap.Log()
		if err != nil {
			return err.Error()
		}
		beats := 0
		for _, x := range log {
			if _, ok := x.Request.(*kmsg.HeartbeatRequest); ok && x.Response != nil {
				beats++
			}
		}
		if beats < 4 {
			return fmt.Sprint(beats)
		}
		return ""
	})
	c.stop("A")
}

// harmed is a client that a hold would harm.
type harmed struct {
	what   string
	client groups.Client
	name   string // as the list of the broker has it
	manner groups.Manner
	extra  groups.Config
	quiet  bool // does not commit: it cuts connections
}

func harmedClients() []harmed {
	var out []harmed
	for _, c := range groups.Clients() {
		switch c.Title() {
		case "confluent-kafka-go, range":
			out = append(out, harmed{what: "confluent-kafka-go, one request in flight", client: c, name: "confluent-kafka-go", extra: groups.Config{InFlight: 1}})
		case "kafka-python, range":
			out = append(out, harmed{what: "kafka-python, put on the list, one request in flight", client: c, name: "kafka-python", extra: groups.Config{InFlight: 1}})
		case "franz-go, range":
			out = append(out, harmed{what: "franz-go behind a proxy that passes on one request at a time", client: c, name: "kgo", manner: groups.Manner{Serial: true}},
				harmed{what: "franz-go that waits for an answer for less than a hold", client: c, name: "kgo", quiet: true})
		case "Java kafka-clients, range":
			out = append(out, harmed{what: "Java kafka-clients behind a proxy that passes on one request at a time", client: c, name: "apache-kafka-java", manner: groups.Manner{Serial: true}})
		}
	}
	return out
}

// givenUp holds a client that is harmed by it, for at most that long, until the broker leaves it alone. It returns how often it was held and, if it
// commits, how long each commit took.
func givenUp(t *testing.T, h harmed, most time.Duration) (held int, commits []int64) {
	props := maps.Clone(properties)
	props["group.prompt.notice.clients"] = fmt.Sprintf("%s:%d", h.name, most.Milliseconds())
	c := quietCell(t, rig.StartT(t, rig.Barnabas, rig.Options{Properties: props}), h.client, "given up")
	c.session, c.heartbeat = 45*time.Second, 1500*time.Millisecond
	c.manner, c.extra = h.manner, h.extra
	if h.quiet {
		c.extra.OverheadMs = int(most.Milliseconds() / 2)
	}
	c.starts("A")
	a := c.members["A"]
	if !h.quiet {
		if err := a.Commit(2*patience, 0); err != nil {
			c.die("%v", err)
		}
	}
	until(t, "the broker to leave it alone", func() string {
		if counts(t, c.broker, "barnabas_heartbeat_holds_given_up_total")[""] > 0 {
			return ""
		}
		return fmt.Sprintf("held: %v", holds(t, c.broker))
	})
	before := holds(t, c.broker)
	beats := func() (n int) {
		log, err := a.Tap.Log()
		if err != nil {
			c.die("%v", err)
		}
		for _, x := range log {
			if _, ok := x.Response.(*kmsg.HeartbeatResponse); ok {
				n++
			}
		}
		return n
	}
	n := beats()
	until(t, "two more heartbeats", func() string {
		if beats() < n+2 {
			return "not yet"
		}
		return ""
	})
	if after := holds(t, c.broker); !maps.Equal(before, after) {
		c.fault("held: %v, then %v", before, after)
	}
	c.stop("A")
	for _, n := range before {
		held += n
	}
	for _, e := range c.since(0, "A", groups.Commits) {
		commits = append(commits, e.TookUs...)
	}
	if len(commits) == 0 && !h.quiet {
		c.fault("nothing was committed")
	}
	return held, commits
}

// when is the time of a member's first request of a kind after a moment.
func when[R kmsg.Request](c *cell, m *groups.Member, after time.Time) time.Time {
	c.Helper()
	log, err := m.Tap.Log()
	if err != nil {
		c.die("%v", err)
	}
	for _, x := range log {
		if _, ok := x.Request.(R); ok && x.Asked.After(after) {
			return x.Asked
		}
	}
	c.die("%s sent no such request", m.Name)
	return time.Time{}
}

// holds counts the held heartbeats by what ended them.
func holds(t *testing.T, broker *rig.Broker) map[string]int {
	t.Helper()
	return counts(t, broker, "barnabas_heartbeat_hold_seconds_count{")
}

// counts are the values of all series whose text begins so, by the rest of it.
func counts(t *testing.T, broker *rig.Broker, prefix string) map[string]int {
	t.Helper()
	resp, err := http.Get("http://" + broker.AdminAddr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out := map[string]int{} // a series that never counted anything is not there
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), prefix)
		if !ok {
			continue
		}
		label, value, _ := strings.Cut(rest, " ")
		label = strings.TrimSuffix(label, "}")
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		out[label] += int(n)
	}
	return out
}
