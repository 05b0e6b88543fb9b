package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/barnabas-mq/barnabas/scenarios"
)

func TestSimulateWithoutAScenarioListsThem(t *testing.T) {
	out := ok(t, "localhost:1", "", "simulate")
	for _, name := range scenarios.Names() {
		if !strings.Contains(out, name+"\n  ") {
			t.Errorf("%s is not in the list, or says nothing:\n%s", name, out)
		}
	}
}

func TestSimulateTellsTheTimelineAndTheCost(t *testing.T) {
	out := ok(t, "localhost:1", "", "simulate", "consumer-restart")
	for _, want := range []string{"is out: left, giving the reason", "Stable -> PreparingRebalance", "hands in the assignment", "paused, all partitions", "p-s", "trace "} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if again := ok(t, "localhost:1", "", "simulate", "consumer-restart"); again != out {
		t.Error("the same command told another story")
	}
}

func TestSimulateComparesInJSON(t *testing.T) {
	out := ok(t, "localhost:1", "", "simulate", "consumer-restart", "--compare", "--seeds", "3", "--set", "topics.partitions=6", "-o", "json")
	var r simReport
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Variants) != 5 || !r.Whole || r.Seeds != 3 {
		t.Fatalf("%+v", r)
	}
	for _, v := range r.Variants {
		want := 2.0
		switch v.Name {
		case "cooperative":
			want = 3
		case "static+cooperative":
			want = 0
		}
		if got := v.Metrics["rebalances"].Mean; v.Runs != 3 || got != want {
			t.Errorf("%s: %d runs, %v rebalances, want %v", v.Name, v.Runs, got, want)
		}
	}
}

func TestSimulateRefusesWithFileLineAndField(t *testing.T) {
	write := func(text string) string {
		file := filepath.Join(t.TempDir(), "s.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for name, c := range map[string]struct{ text, say string }{
		"an unknown field":      {"name: x\nmembers:\n  - count: 3\n    sesion.timeout.ms: 10\n", "s.yaml:4: members[1].sesion.timeout.ms: there is no such field; did you mean session.timeout.ms?"},
		"ten million members":   {"members:\n  - count: 10000000\n", "s.yaml:2: members[1].count: 10000000 is too large; the most is 20000"},
		"a heartbeat of zero":   {"members:\n  - heartbeat.interval.ms: 0\n", "s.yaml:2: members[1].heartbeat.interval.ms: 0 is too small; the least is 10"},
		"nobody of that name":   {"events:\n  - do: crash\n    member: z9\n", "s.yaml:3: events[1].member: there is no consumer, process or fleet called z9"},
		"not YAML":              {"name: [\n", "not YAML"},
		"more than it can take": {"duration: 744h\nmembers:\n  - count: 20000\n    heartbeat.interval.ms: 10\n", "s.yaml:1: duration: "},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, exitUsage, "localhost:1", "", []string{"simulate", write(c.text)}, c.say)
		})
	}
	refused(t, exitUsage, "localhost:1", "", []string{"simulate", "no-such-thing"}, `there is no scenario "no-such-thing"`, "consumer-restart")
	refused(t, exitUsage, "localhost:1", "", []string{"simulate", "consumer-restart", "--set", "max.pol.records=1"}, "max.pol.records: there is no such setting; did you mean max.poll.records?")
	refused(t, exitUsage, "localhost:1", "", []string{"simulate", "consumer-restart", "--seeds", "0"}, "--seeds 0")
	refused(t, exitUsage, "localhost:1", "", []string{"simulate", "consumer-restart", "--event", "at=1s do=explode member=c1"}, "it takes start, close")
	refused(t, exitUsage, "localhost:1", "", []string{"simulate", "consumer-restart", "--seed", "-5"}, "--seed -5 is below 0")
	refused(t, exitUsage, "localhost:1", "", []string{"simulate", "consumer-restart", "--compare", "--timeline"}, "--timeline tells the story of one run")
	// A report that cannot be written is told before the run, which nobody would see the figures of.
	refused(t, exitFailed, "localhost:1", "", []string{"simulate", "rolling-deploy", "--set", "duration=744h", "--set", "flush.every=1s", "--html", filepath.Join(t.TempDir(), "no", "r.html")}, "r.html does not exist")
	refused(t, exitUsage, "localhost:1", "", []string{"simulate", "consumer-restart", "--event", "at=1s do=crash member=c1 down=5s"}, "events[2].down: crash does not look at it; it takes at, when, member")
	refused(t, exitUsage, "localhost:1", "", []string{"simulate", "consumer-restart", "--window", "5s"}, "--window goes with --from-group")
	refused(t, exitUsage, "localhost:1", "", []string{"simulate", "consumer-restart", "--set", "events.1.for=5s"}, "events.1.for: restart does not look at it; it takes at, when, member, down, how")
	six := "compare: [{name: a}, {name: b}, {name: c}, {name: d}, {name: e}, {name: f}]"
	refused(t, exitUsage, "localhost:1", "", []string{"simulate", write(six), "--compare", "--seeds", "100000"}, "6 variants of 100000 seeds each are 600000 runs; the most is 500000")
}

// A file is not believed: what it calls things reaches no terminal as it stands.
func TestSimulatePrintsNothingThatATerminalActsOn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s.yaml")
	text := `{name: "a\e[31m", about: "b\e[2J", duration: 1s, compare: [{name: "v\e]0;x\a\nw"}, {name: x}]}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, more := range [][]string{nil, {"--seeds", "2"}} {
		out := ok(t, "localhost:1", "", append([]string{"simulate", file, "--compare"}, more...)...)
		if i := strings.IndexFunc(out, func(r rune) bool { return r != '\n' && unicode.IsControl(r) }); i >= 0 {
			t.Errorf("%q", out[:i+10])
		}
	}
}

func TestSimulateComparesMeansSideBySide(t *testing.T) {
	out := ok(t, "localhost:1", "", "simulate", "consumer-restart", "--compare", "--seeds", "2")
	if !regexp.MustCompile(`(?s)\nmeans\n +range +roundrobin +sticky +cooperative +static\+cooperative +unit\nrebalances +2 +2 +2 +3 +0\n.*\nrange\n +mean `).MatchString(out) {
		t.Errorf("the means do not stand side by side in\n%s", out)
	}
}

// Clients that are older than static membership are compared without it.
func TestSimulateComparesClientsOfOld(t *testing.T) {
	r := decode[simReport](t, ok(t, "localhost:1", "", "simulate", "consumer-restart", "--compare", "--set", "client=poll-heartbeat", "-o", "json"))
	if len(r.Variants) != 4 || r.Variants[3].Name != "cooperative" {
		t.Errorf("%+v", r.Variants)
	}
}

func TestSimulateTellsOfAnEventThatNeverCame(t *testing.T) {
	out := ok(t, "localhost:1", "", "simulate", "consumer-restart", "--compare", "--event", "when=c1 revokes do=crash member=c3")
	if want := `"c1 revokes" never happened, and so the event that waits for it did not  (static+cooperative)`; strings.Count(out, "never happened") == 5 || !strings.Contains(out, want) {
		t.Errorf("%q is missing, or said of all, in\n%s", want, out)
	}
}

func TestSimulateInterruptedPrintsWhatIsDone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := invokeCtx(t, ctx, "localhost:1", strings.NewReader(""), nil, "simulate", "rolling-deploy", "--compare")
	if r.code != exitInterrupted || !strings.Contains(r.out, "Interrupted: this is what was done by then.") {
		t.Errorf("%+v", r)
	}
}

// Interrupted in the middle of a comparison, or of many seeds, it prints how far the first runs came, and says how far that is.
func TestSimulateInterruptedPrintsRunsThatAreUnderWay(t *testing.T) {
	for _, more := range []string{"--compare", "--seeds=50"} {
		for delay := 10 * time.Millisecond; ; delay *= 2 { // until the interrupt comes when a run has begun
			ctx, cancel := context.WithTimeout(t.Context(), delay)
			r := invokeCtx(t, ctx, "localhost:1", strings.NewReader(""), nil, "simulate", "rolling-deploy", more, "--set", "duration=744h", "--set", "flush.every=1s")
			cancel()
			if !regexp.MustCompile(`\nrecords processed +[1-9]`).MatchString(r.out) {
				continue
			}
			if !regexp.MustCompile(`(?m)\bseed 1, [0-9hms.]+ of 744h0m0s simulated`).MatchString(r.out) {
				t.Errorf("%s: it does not say how far it came:\n%s", more, r.out)
			}
			break
		}
	}
}

func TestSimulateInterruptedTellsProgramsHowFarItCame(t *testing.T) {
	for delay := 10 * time.Millisecond; ; delay *= 2 { // until the interrupt comes when the run has begun
		ctx, cancel := context.WithTimeout(t.Context(), delay)
		r := invokeCtx(t, ctx, "localhost:1", strings.NewReader(""), nil, "simulate", "rolling-deploy", "-o", "json", "--set", "duration=744h", "--set", "flush.every=1s")
		cancel()
		v := decode[simReport](t, r.out).Variants[0]
		if v.First == nil || v.First.Records == 0 {
			continue
		}
		if v.Runs != 0 || v.First.Whole || v.First.Secs <= 0 || v.First.Secs >= 744*3600 || v.Metrics["records"].Mean != float64(v.First.Records) {
			t.Errorf("%d runs, %v records by the metrics, and the run has %d: %+v", v.Runs, v.Metrics["records"].Mean, v.First.Records, v.First)
		}
		return
	}
}

func TestSimulateWritesAReport(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.html")
	ok(t, "localhost:1", "", "simulate", "consumer-restart", "--compare", "--html", file)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<h2>cooperative</h2>", "orders-11: paused", "<polyline class=\"total\""} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is missing in the report", want)
		}
	}
	for _, elsewhere := range []string{"<script", "src=", "@import", "url(h"} {
		if strings.Contains(string(text), elsewhere) {
			t.Errorf("the report holds %q: it must need nothing from elsewhere", elsewhere)
		}
	}
}

// The table of a report over several seeds has their means, as the one on the terminal, and says so.
func TestSimulateReportsMeans(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.html")
	for _, c := range []struct{ args, of string }{
		{"--seeds=20", "The table has means over seeds 1 to 20, the pictures are of seed 1."}, {"--seeds=1", ""},
	} {
		r := decode[simReport](t, ok(t, "localhost:1", "", "simulate", "consumer-restart", c.args, "--html", file, "-o", "json")).Variants[0]
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		paused := fmt.Sprintf("%.2f", r.Metrics["paused_partition_seconds"].Mean)
		if row := regexp.MustCompile(`>paused, all partitions</td><td>([^<]*)<`).FindStringSubmatch(string(text)); row == nil || row[1] != paused {
			t.Errorf("%s: the table has %q, the mean is %s", c.args, row, paused)
		}
		if of := regexp.MustCompile(`<p><strong>(.*)</strong>`).FindStringSubmatch(string(text)); (of == nil) != (c.of == "") || of != nil && of[1] != c.of {
			t.Errorf("%s: the page says %q, want %q", c.args, of, c.of)
		}
	}
}

func TestSimulateALiveGroup(t *testing.T) {
	addr := newCluster(t, kfake.SeedTopics(4, "orders"))
	refused(t, exitFailed, addr, "", []string{"simulate", "--from-group", "nobody", "--window", "1ms"}, "nobody")
	producer, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic("orders"), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	produce := func() {
		for range 40 {
			if err := producer.ProduceSync(t.Context(), &kgo.Record{Value: []byte("x")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	produce()
	for _, id := range []string{"", "", "i-1"} {
		opts := []kgo.Opt{kgo.SeedBrokers(addr), kgo.ConsumerGroup("app"), kgo.ConsumeTopics("orders"), kgo.Balancers(kgo.CooperativeStickyBalancer())}
		if id != "" {
			opts = append(opts, kgo.InstanceID(id))
		}
		c, err := kgo.NewClient(opts...)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := c.PollFetches(ctx).Err0(); err != nil && id == "" {
			t.Logf("poll: %v", err)
		}
	}
	file := filepath.Join(t.TempDir(), "app.yaml")
	var out string
	for range 100 { // until its last member is in
		out = ok(t, addr, "", "simulate", "--from-group", "app", "--window", "100ms", "--save", file, "--event", "at=20s do=restart member=all down=5s", "-o", "json")
		if text, err := os.ReadFile(file); err == nil && strings.Contains(string(text), "c\n    count: 2\n") && strings.Contains(string(text), "static: true") {
			break
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"partitions: 4", "count: 2", "count: 1", "static: true", "static: false", "partition.assignment.strategy: cooperative-sticky"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if r := decode[simReport](t, out); r.Scenario != "app" || r.Variants[0].Metrics["rebalances"].Mean < 1 {
		t.Errorf("a restart of everybody without a rebalance: %+v", r)
	}
	ok(t, "localhost:1", "", "simulate", file, "--set", "static=true")
	// What if two more join? They are in the file, and do nothing until they are started; a deploy of all goes through those that are there.
	r := decode[simReport](t, ok(t, "localhost:1", "", "simulate", file, "--event", "at=30s do=start member=new pause=0s", "-o", "json"))
	if n := len(r.Variants[0].First.Loads); n != 5 || r.Variants[0].Metrics["load_max"].Mean != 1 {
		t.Errorf("two more: %d members, %v partitions at the most; want 5 and 1", n, r.Variants[0].Metrics["load_max"].Mean)
	}
	r = decode[simReport](t, ok(t, "localhost:1", "", "simulate", file, "--event", "at=30s do=rolling member=all pause=30s", "--set", "static=true", "-o", "json"))
	up := 0
	for _, m := range r.Variants[0].First.Loads {
		if m.Up {
			up++
		}
	}
	if up != 3 || r.Variants[0].Metrics["pause_max_seconds"].Mean > 11 {
		t.Errorf("after a deploy of all %d are up, and a pause took %v s; want 3, and one after another", up, r.Variants[0].Metrics["pause_max_seconds"].Mean)
	}
}

// TestSimulateDocsAreCurrent runs the commands of docs/simulate.md whose output stands there, and compares.
func TestSimulateDocsAreCurrent(t *testing.T) {
	if testing.Short() {
		t.Skip("a deploy of a hundred consumers, five times")
	}
	file := filepath.Join("..", "..", "docs", "simulate.md")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	block := regexp.MustCompile("(?ms)^```\n\\$ barnabas (simulate [^\n]*)\n(.*?)^```$")
	now := block.ReplaceAllStringFunc(string(text), func(b string) string {
		found++
		args := strings.Fields(block.FindStringSubmatch(b)[1])
		if args[1] == "rolling-deploy" && !*rewrite {
			return b // many seconds
		}
		return "```\n$ barnabas " + strings.Join(args, " ") + "\n" + ok(t, "localhost:1", "", args...) + "```"
	})
	if found < 5 {
		t.Errorf("%d commands only", found)
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	equal(t, string(text), now)
}
