package server_test

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/testkit"
)

// introduce says what software the client is.
func (c *groupClient) introduce(name, version string) {
	q := kmsg.NewPtrApiVersionsRequest()
	q.Version, q.ClientSoftwareName, q.ClientSoftwareVersion = 3, name, version
	testkit.Do[*kmsg.ApiVersionsResponse](c.Conn, q)
}

// beat sends a heartbeat and does not wait.
func (c *groupClient) beat() { c.Send(c.heartbeatRequest()) }

// beaten is the answer to it.
func (c *groupClient) beaten() kafka.ErrorCode {
	c.t.Helper()
	_, rest, err := c.Receive()
	if err != nil {
		c.t.Fatal(err)
	}
	return kafka.ErrorCode(c.Decode(c.heartbeatRequest(), rest).(*kmsg.HeartbeatResponse).ErrorCode)
}

var holdCounts = regexp.MustCompile(`barnabas_heartbeat_hold_seconds_count\{cause="(\w+)"\} (\d+)`)

func scrape(t *testing.T, b *testkit.Broker) string {
	t.Helper()
	resp, err := http.Get("http://" + b.AdminAddress() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// holds is what ended the holds so far, as the metrics have it: "bound 1, request 2".
func holds(t *testing.T, b *testkit.Broker) string {
	t.Helper()
	var out []string
	for _, m := range holdCounts.FindAllStringSubmatch(scrape(t, b), -1) {
		out = append(out, m[1]+" "+m[2])
	}
	return strings.Join(out, ", ")
}

func TestAHeldHeartbeatTellsOfARebalanceWhenItBegins(t *testing.T) {
	b := testkit.Start(t)
	a, other := newMember(t, b, "g"), newMember(t, b, "g")
	a.introduce("apache-kafka-java", "4.1.0")
	a.alone()
	other.getID()
	a.beat()
	awaitMetric(t, b, groupsWaiting, "1")
	began := time.Now()
	other.Send(other.joinRequest("m"))
	if code := a.beaten(); code != kafka.RebalanceInProgress {
		t.Errorf("the heartbeat is answered %s", code)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("after %v: as late as if it had not been held", took)
	}
	if got := holds(t, b); got != "rebalance 1" {
		t.Errorf("holds: %s", got)
	}
}

// A Java client sends its next heartbeat while the last one is held: that one is answered, and the new one held, or the member is out of reach for
// a whole interval.
func TestTheHeartbeatThatEndsAHoldIsHeldInItsTurn(t *testing.T) {
	b := testkit.Start(t)
	a := newMember(t, b, "g")
	a.introduce("apache-kafka-java", "4.1.0")
	a.alone()
	a.beat()
	for range 300 {
		awaitMetric(t, b, groupsWaiting, "1")
		a.beat()
		if code := a.beaten(); code != kafka.None {
			t.Fatal(code)
		}
	}
	if got := holds(t, b); got != "request 300" {
		t.Errorf("holds: %s", got)
	}
}

func TestNothingWaitsBehindAHeldHeartbeat(t *testing.T) {
	b := testkit.Start(t)
	a := newMember(t, b, "g")
	a.CreateTopic("t", 1)
	a.introduce("kgo", "1.20")
	a.alone()
	began := time.Now()
	for i := range int64(5) {
		a.beat()
		commit := a.commitRequest("t", 0, i)
		a.Send(commit)
		if code := a.beaten(); code != kafka.None {
			t.Fatalf("the heartbeat is answered %s", code)
		}
		_, rest, err := a.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if got := a.Decode(commit, rest).(*kmsg.OffsetCommitResponse); got.Topics[0].Partitions[0].ErrorCode != 0 {
			t.Fatalf("commit: %+v", got)
		}
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("five commits behind held heartbeats took %v", took)
	}
	// A heartbeat is not held at all when the commit has come before it was looked at.
	if got := holds(t, b); got != "" && !strings.HasPrefix(got, "request ") {
		t.Errorf("holds: %s", got)
	}
}

func TestWhoIsNotOnTheListIsNotHeld(t *testing.T) {
	b := testkit.Start(t)
	for _, name := range []string{"", "sarama", "kafka-python", "apache-kafka-java-lookalike"} {
		a := newMember(t, b, "group-of-"+name)
		if name != "" {
			a.introduce(name, "1")
		}
		a.alone()
		if code := a.heartbeat(); code != kafka.None {
			t.Errorf("%q: %s", name, code)
		}
	}
	off := testkit.Start(t, "group.prompt.notice.enable=false")
	a := newMember(t, off, "g")
	a.introduce("kgo", "1.20")
	a.alone()
	a.heartbeat()
	if got := holds(t, b) + holds(t, off); got != "" {
		t.Errorf("holds: %s", got)
	}
}

func TestABindingOfLibrdkafkaIsKnownByItsVersion(t *testing.T) {
	b := testkit.Start(t, "group.prompt.notice.clients=librdkafka:500")
	a := newMember(t, b, "g")
	a.introduce("my-binding", "1.2-librdkafka-2.15")
	a.alone()
	if code := a.heartbeat(); code != kafka.None {
		t.Error(code)
	}
	if got := holds(t, b); got != "bound 1" {
		t.Errorf("holds: %s", got)
	}
}

// franz-go joins on another connection than it heartbeats on: that ends a hold, and says nothing of how the client bears holds.
func TestAHoldThatTheMemberEndsOnAnotherConnectionIsNoBound(t *testing.T) {
	b := testkit.Start(t)
	a, elsewhere := newMember(t, b, "g"), newMember(t, b, "g")
	a.CreateTopic("t", 1)
	a.introduce("kgo", "1.20")
	a.alone()
	elsewhere.member, elsewhere.generation = a.member, a.generation
	for i := range int64(4) {
		a.beat()
		awaitMetric(t, b, groupsWaiting, "1")
		if code := elsewhere.heartbeat(); code != kafka.None {
			t.Fatal(code)
		}
		if code := a.beaten(); code != kafka.None {
			t.Fatal(code)
		}
		a.commit("t", 0, i) // at once, which after a bound would tell of a client that waits
	}
	if got := holds(t, b); got != "request 4" {
		t.Errorf("holds: %s", got)
	}
}

// A client, or a proxy before it, that passes on one request at a time keeps the next one back until the heartbeat is answered: so it comes at
// once when a hold ends by itself.
func TestAClientThatWaitsForItsHeartbeatIsNotHeldAnyMore(t *testing.T) {
	b := testkit.Start(t, "group.prompt.notice.clients=kgo:500")
	a := newMember(t, b, "g")
	a.CreateTopic("t", 1)
	a.introduce("kgo", "1.20")
	a.alone()
	const givenUp = "barnabas_heartbeat_holds_given_up_total 1"
	for i := int64(0); !strings.Contains(scrape(t, b), givenUp); i++ { // a commit that is late on a busy machine does not count
		if i == 20 {
			t.Fatalf("held after 20 requests that waited for it: %s", holds(t, b))
		}
		a.heartbeat()
		a.commit("t", 0, i)
	}
	before := holds(t, b)
	a.heartbeat()
	if got := holds(t, b); got != before {
		t.Errorf("holds: %s, then %s", before, got)
	}
}

func TestStoppingTheBrokerAnswersHeldHeartbeats(t *testing.T) {
	b := testkit.Start(t)
	a := newMember(t, b, "g")
	a.introduce("kgo", "1.20")
	a.alone()
	a.beat()
	awaitMetric(t, b, groupsWaiting, "1")
	began := time.Now()
	stopped := make(chan struct{})
	go func() { b.Stop(); close(stopped) }()
	if code := a.beaten(); code != kafka.NotCoordinator && code != kafka.None {
		t.Errorf("answered %s", code)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("after %v", took)
	}
	<-stopped
}

func TestAHoldDoesNotOutliveItsConnection(t *testing.T) {
	b := testkit.Start(t)
	a, again := newMember(t, b, "g"), newMember(t, b, "g")
	a.introduce("kgo", "1.20")
	again.introduce("kgo", "1.20")
	a.alone()
	again.member, again.generation = a.member, a.generation
	for range 2 {
		a.beat()
		awaitMetric(t, b, groupsWaiting, "1")
		a.Close()
		awaitMetric(t, b, groupsWaiting, "0")
		a = newMember(t, b, "g")
		a.introduce("kgo", "1.20")
		a.member, a.generation = again.member, again.generation
	}
	if got := holds(t, b); got != "closed 2" {
		t.Errorf("holds: %s", got)
	}
	a.heartbeat()
	if got := holds(t, b); got != "closed 2" {
		t.Errorf("holds: %s; a client that came back twice after it cut the connection is left alone", got)
	}
}
