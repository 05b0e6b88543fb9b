package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/barnabastest"
	"github.com/barnabas-mq/barnabas/internal/journal"
	"github.com/barnabas-mq/barnabas/internal/sim"
)

// explained runs explain on a real broker with the machine's clock, which the journal goes by.
func explained(t *testing.T, ctx context.Context, addr string, out io.Writer, args ...string) (string, int) {
	t.Helper()
	var errb bytes.Buffer
	a := newApp(strings.NewReader(""), out, &errb, func(k string) string { return map[string]string{"BARNABAS_BOOTSTRAP": addr}[k] })
	code := run(ctx, a, append([]string{"explain"}, args...))
	return errb.String(), code
}

func ranGroup(t *testing.T, group string) (addr string) {
	t.Helper()
	b := barnabastest.Start(t, barnabastest.Topic("orders", 4), barnabastest.With("group.initial.rebalance.delay.ms", "0"))
	addr = b.Bootstrap()[0]
	consumeGroup(t, addr, group, "client-a", kgo.HeartbeatInterval(100*time.Millisecond), kgo.SessionTimeout(8*time.Second))
	consumeGroup(t, addr, group, "client-b", kgo.HeartbeatInterval(100*time.Millisecond), kgo.SessionTimeout(8*time.Second))()
	for { // the journal is written behind the group
		var out bytes.Buffer
		if errs, code := explained(t, t.Context(), addr, &out, group, "-o", "json"); code != 0 {
			t.Fatalf("%d %s", code, errs)
		}
		e := decode[explanation](t, out.String())
		if slices.ContainsFunc(e.Incidents, func(inc journal.Incident) bool { return inc.Cause == journal.GracefulClose && inc.Stage.Over() }) {
			return addr
		}
	}
}

func TestExplainSaysWhatTheJournalLost(t *testing.T) {
	lost := journal.Incident{Group: "shop", ID: "x", Verdict: journal.Verdict{Cause: journal.ScaleUp}, JournalLost: &journal.JournalLost{Since: 1, Records: 3}}
	var out bytes.Buffer
	a := newApp(strings.NewReader(""), &out, io.Discard, func(string) string { return "" })
	a.drawExplanation(&out, explanation{Group: "shop", Notes: gapNotes([]journal.Incident{{}, lost}), Incidents: []journal.Incident{lost}}, explainFlags{})
	if !strings.Contains(out.String(), "note: 3 records of this journal were lost") {
		t.Errorf("it does not say so:\n%s", out.String())
	}
	if notes := gapNotes([]journal.Incident{{}, {}}); notes != nil {
		t.Errorf("of a whole journal it says %q", notes)
	}
}

func TestExplainAGroupOfBarnabas(t *testing.T) {
	addr := ranGroup(t, "shop")
	var out bytes.Buffer
	if errs, code := explained(t, t.Context(), addr, &out, "shop", "--all"); code != 0 {
		t.Fatalf("%d %s", code, errs)
	}
	for _, want := range []string{"The group started with 1 member.", "client-b at 127.0.0.1 joined the group.", "client-b at 127.0.0.1 closed its consumer.",
		"C04, a member closed (measured)", "client leaving group per normal operation"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, out.String())
		}
	}
	out.Reset()
	if _, code := explained(t, t.Context(), addr, &out, "shop", "-o", "json"); code != 0 {
		t.Fatal(code)
	}
	e := decode[explanation](t, out.String())
	if e.Source != journal.FromJournal || len(e.Incidents) < 3 {
		t.Fatalf("%d incidents from %s", len(e.Incidents), e.Source)
	}
	out.Reset()
	if _, code := explained(t, t.Context(), addr, &out, "shop", "--id", e.Incidents[0].ID); code != 0 || !strings.Contains(out.String(), "The group started") || strings.Contains(out.String(), "client-b") {
		t.Errorf("--id: %d\n%s", code, out.String())
	}
	if errs, code := explained(t, t.Context(), addr, io.Discard, "nobody"); code != exitFailed || !strings.Contains(errs, "no group nobody") {
		t.Errorf("a group that is not there: %d %s", code, errs)
	}
	if errs, code := explained(t, t.Context(), addr, io.Discard, "shop", "--id", "x"); code != exitFailed || !strings.Contains(errs, "no rebalance x") {
		t.Errorf("an id that is not there: %d %s", code, errs)
	}
}

func TestExplainWritesTheGroupAsAScenario(t *testing.T) {
	addr := ranGroup(t, "shop")
	file := filepath.Join(t.TempDir(), "shop.yaml")
	if errs, code := explained(t, t.Context(), addr, io.Discard, "shop", "--record-time", "250ms", "--client-config", "max.poll.records=20", "--apply-to", file); code != 0 {
		t.Fatalf("%d %s", code, errs)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sim.Load(file, text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"processing.time: 250ms # given", "max.poll.records: 20 # given", "session.timeout.ms: 8000 # observed", "max.poll.interval.ms: 60000 # observed"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the scenario does not say %q:\n%s", want, text)
		}
	}
	if strings.Count(string(text), "processing.time:") != strings.Count(string(text), "processing.time: 250ms # given") {
		t.Errorf("what was guessed is still there:\n%s", text)
	}
}

// TestExplainFallsBackWhereItMayNotRead: the offsets topic is refused, so only what happens from now on can be told, and that is said.
func TestExplainFallsBackWhereItMayNotRead(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "orders", "__consumer_offsets"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	c.ControlKey(int16(kmsg.ListOffsets), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		resp.SetVersion(req.GetVersion())
		for _, rt := range req.(*kmsg.ListOffsetsRequest).Topics {
			out := kmsg.NewListOffsetsResponseTopic()
			out.Topic = rt.Topic
			for _, p := range rt.Partitions {
				part := kmsg.NewListOffsetsResponseTopicPartition()
				part.Partition, part.ErrorCode = p.Partition, kerr.TopicAuthorizationFailed.Code
				out.Partitions = append(out.Partitions, part)
			}
			resp.Topics = append(resp.Topics, out)
		}
		return resp, nil, true
	})
	addr := c.ListenAddrs()[0]
	if errs, code := explained(t, t.Context(), addr, io.Discard, "shop"); code != exitFailed || !strings.Contains(errs, "the principal may not read __consumer_offsets") || !strings.Contains(errs, "--watch") {
		t.Errorf("%d %s", code, errs)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out := &lines{got: make(chan string, 100)}
	over := make(chan string, 1)
	go func() {
		errs, _ := explained(t, ctx, addr, out, "shop", "--watch")
		over <- errs
	}()
	stop := consumeGroup(t, addr, "shop", "client-a")
	defer stop()
	for told := ""; !strings.Contains(told, "Stable"); {
		select {
		case s := <-out.got:
			told += s
		case <-ctx.Done():
			t.Fatalf("the group's states were not told: %q", told)
		}
	}
	cancel()
	if errs := <-over; !strings.Contains(errs, "may not read __consumer_offsets") || !strings.Contains(errs, "their reasons are not") {
		t.Errorf("it does not say that it falls back:\n%s", errs)
	}
}

func TestAdviceBecomesAVariant(t *testing.T) {
	got := withObserved("name: g\ntopics:\n  - name: t\n    partitions: 1\nmembers:\n  - name: c\n    count: 1\n    processing.time: 1ms\n",
		[]settingLine{{"processing.time", "2s", "given"}}, advisedSettings([]journal.Incident{{ID: "x", Advice: []journal.Advice{{Setting: "max.poll.records", Value: "7"}, {Setting: "group.instance.id"}}}}))
	want := "name: g\ntopics:\n  - name: t\n    partitions: 1\nmembers:\n  - name: c\n    processing.time: 2s # given\n    count: 1\n" +
		"compare:\n  - name: as it is\n    set: {}\n  - name: as advised\n    set: {max.poll.records: 7}\n"
	equal(t, want, got)
	if _, err := sim.Load("g", []byte(got)); err != nil {
		t.Error(err)
	}
}

// lines is a writer that hands on what is written.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
	got chan string
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all.Write(p)
	select {
	case l.got <- string(p):
	default:
	}
	return len(p), nil
}

// TestExplainWatchesAndAlerts: a rebalance that happens while explain watches is told, and the command of --exec has it on its standard input.
func TestExplainWatchesAndAlerts(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the command of --exec is written for sh")
	}
	addr := ranGroup(t, "shop")
	file := filepath.Join(t.TempDir(), "alert.json")
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	out := &lines{got: make(chan string, 1000)}
	over := make(chan int, 1)
	go func() {
		_, code := explained(t, ctx, addr, out, "shop", "--watch", "-o", "json", "--exec", `cat > "`+file+`.part" && mv "`+file+`.part" "`+file+`" && test "$BARNABAS_GROUP" = shop`)
		over <- code
	}()
	for alerted := false; !alerted; { // members come until the watch has seen one: it takes a moment to begin
		consumeGroup(t, addr, "shop", "client-c", kgo.HeartbeatInterval(100*time.Millisecond))()
		select {
		case <-out.got:
			alerted = true
		case <-ctx.Done():
			t.Fatal("nothing was told")
		case <-time.After(time.Second):
		}
	}
	for ctx.Err() == nil {
		if text, err := os.ReadFile(file); err == nil {
			var inc journal.Incident
			if err := json.Unmarshal(text, &inc); err != nil || inc.Group != "shop" || inc.ID == "" {
				t.Errorf("%v in %s", err, text)
			}
			break
		}
		select {
		case <-ctx.Done():
			t.Error("the command did not run")
		case <-time.After(20 * time.Millisecond):
		}
	}
	cancel()
	if code := <-over; code != 0 && code != exitInterrupted {
		t.Errorf("exit %d", code)
	}
}
