package groups_test

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/interop/groups"
	"github.com/barnabas-mq/barnabas/interop/rig"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestNotice looks at prompt notice (docs/prompt-notice.md) with real clients that have nothing to read, and so nothing to commit: the answers to the
// heartbeats of those that are listed are held, they learn of a rebalance at once, their close does not wait for the hold, and a member that is
// stopped during a hold leaves when its session is over. Nobody else is ever held.
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
func quietCell(t *testing.T, broker *rig.Broker, client groups.Client) *cell {
	t.Helper()
	c := newCell(t, broker, client, "notice")
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
	c := quietCell(t, broker, client)
	a := c.member("A", "")
	c.balanced("A")
	var took []time.Duration
	for range 3 {
		b := c.member("B", "")
		c.balanced("A", "B")
		c.awaitHeld(a)
		c.stop("B")
		c.balanced("A")
		left := when[*kmsg.LeaveGroupRequest](c, b, time.Time{})
		took = append(took, when[*kmsg.JoinGroupRequest](c, a, left).Sub(left))
	}
	slices.Sort(took)
	t.Logf("A asked to join %v after B left; heartbeats are every %s", took, c.heartbeat)
	if took[1] > 500*time.Millisecond || took[2] > 2*time.Second {
		c.fault("A asked to join %v after B left, three times: its heartbeat was held and should have told it at once", took)
	}
	// Stopped during a hold: a hold is no sign of life.
	b := c.member("B", "")
	c.balanced("A", "B")
	c.awaitHeld(b)
	beat := c.lastBeat(b).Asked
	b.Pause()
	if alive := c.balanced("A").Sub(beat); alive < c.session-time.Second || alive > c.session+2500*time.Millisecond {
		c.fault("B was stopped during a hold and missed %s after its last heartbeat; its session is %s", alive, c.session)
	}
	c.kill("B")
	c.awaitHeld(a)
	began := time.Now()
	c.stop("A")
	if d := time.Since(began); d > 1500*time.Millisecond {
		c.fault("A took %s to close during a hold", d)
	}
}

// unheld lets a member heartbeat in peace, and close.
func unheld(t *testing.T, broker *rig.Broker, client groups.Client, instance string) {
	c := quietCell(t, broker, client)
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
	resp, err := http.Get("http://" + broker.AdminAddr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out := map[string]int{} // a series that never counted anything is not there
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), "barnabas_heartbeat_hold_seconds_count{")
		if !ok {
			continue
		}
		label, value, _ := strings.Cut(rest, "} ")
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		out[label] += int(n)
	}
	return out
}

// TestNoticeInPeace leaves two members of each listed client alone for INTEROP_MINUTES, with the shortest session, held heartbeats and nothing to
// read: nobody is told anything, no client complains, and no heartbeat is lost.
func TestNoticeInPeace(t *testing.T) {
	minutes, err := strconv.Atoi(os.Getenv("INTEROP_MINUTES"))
	if err != nil {
		t.Skip("INTEROP_MINUTES does not say for how long; make long does")
	}
	broker := rig.StartT(t, rig.KindFromEnv(t), rig.Options{Properties: properties})
	var wg sync.WaitGroup
	for _, client := range groups.Clients() {
		if !slices.Contains([]string{"Java kafka-clients, cooperative", "confluent-kafka-go, cooperative", "franz-go, cooperative"}, client.Title()) || !wanted("INTEROP_CLIENTS", client.Library) {
			continue
		}
		wg.Go(func() {
			t.Run(client.Title(), func(t *testing.T) {
				c := quietCell(t, broker, client)
				c.session, c.heartbeat = groups.Session, 2*time.Second
				members := []*groups.Member{c.member("A", ""), c.member("B", "")}
				c.balanced("A", "B")
				n := len(c.events())
				time.Sleep(time.Duration(minutes) * time.Minute) // the only way to see that nothing happens
				for _, e := range c.events()[n:] {
					c.fault("in peace, %s at %s: %s %v %s", e.Member, e.Time().Format("15:04:05.000"), e.Kind, e.Partitions, e.Error)
				}
				for _, m := range members {
					log, err := m.Tap.Log()
					if err != nil {
						c.die("%v", err)
					}
					answered := 0
					for _, x := range log {
						if r, ok := x.Response.(*kmsg.HeartbeatResponse); ok && r.ErrorCode == 0 {
							answered++
						}
					}
					// A hold lasts at most a third of the session, and franz-go and librdkafka wait for the answer before they begin a new interval.
					if least := minutes * 60 / 5; answered < least {
						c.fault("%s had %d heartbeats answered in %d minutes, want %d or more", m.Name, answered, minutes, least)
					}
				}
				c.stop("A")
				c.stop("B")
			})
		})
	}
	wg.Wait()
}
