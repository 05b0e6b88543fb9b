package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/barnabas-mq/barnabas/internal/observe/clientlog"
)

const fansPush = "../../internal/observe/clientlog/testdata/fans-push.log"

func TestExplainLogOfARealConsumer(t *testing.T) {
	golden(t, "explain-log.txt", ok(t, "none:1", "", "explain", "--log", fansPush))
	golden(t, "explain-log-given.txt", ok(t, "none:1", "", "explain", "--log", fansPush, "--client-config", "max.poll.records=500",
		"--client-config", "session.timeout.ms=10000", "--record-time", "1500ms"))

	props := filepath.Join(t.TempDir(), "consumer.properties")
	if err := os.WriteFile(props, []byte("# consumer\nspring.kafka.consumer.max-poll-records = 500\ngroup.id=fans-push-service\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := ok(t, "none:1", "", "explain", "--log", fansPush, "--client-config", props, "--record-time", "1500ms")
	for _, want := range []string{"500 x 1.5 s = 750 s > 300 s", "max.poll.records = 100", "= 200 at the very most"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
}

func TestExplainLogFromStdinGzipAndJSON(t *testing.T) {
	plain, err := os.ReadFile(fansPush)
	if err != nil {
		t.Fatal(err)
	}
	want := decode[clientlog.Report](t, ok(t, "none:1", "", "explain", "--log", fansPush, "-o", "json"))
	if len(want.Stories) != 1 || want.Stories[0].Cause != "C07" {
		t.Fatalf("%+v", want.Stories)
	}
	stdin := decode[clientlog.Report](t, ok(t, "none:1", string(plain), "explain", "--log", "-", "-o", "json"))
	if stdin.Stories[0].Cause != "C07" || stdin.Sources[0].Name != "stdin" {
		t.Errorf("%+v", stdin.Sources)
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(plain)
	w.Close()
	file := filepath.Join(t.TempDir(), "a.log.gz")
	if err := os.WriteFile(file, z.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := decode[clientlog.Report](t, ok(t, "none:1", "", "explain", "--log", file, "-o", "json")); got.Stories[0].Cause != "C07" {
		t.Errorf("%+v", got)
	}
	if err := os.WriteFile(file, z.Bytes()[:z.Len()-12], 0o600); err != nil {
		t.Fatal(err)
	}
	if r := invoke(t, "none:1", "", "explain", "--log", file); r.code != 0 || !strings.Contains(r.err, "what came before is used") {
		t.Errorf("a log that breaks off: %+v", r)
	}
}

func TestExplainLogsOfTwoMembersMakeOneTimeLine(t *testing.T) {
	dir := "../../internal/observe/clientlog/testdata/logs/java-slow/"
	golden(t, "explain-logs-two.txt", ok(t, "none:1", "", "explain", "--log", dir+"java-slow-a.log", dir+"java-slow-b.log"))
	all := ok(t, "none:1", "", "explain", "--log", dir+"java-slow-a.log", "--log", dir+"java-slow-b.log", "--all")
	if n := strings.Count(all, "What would prove it") + strings.Count(all, "\nLines\n"); n < 5 {
		t.Errorf("--all tells %d stories:\n%s", n, all)
	}
	one := ok(t, "none:1", "", "explain", "--log", dir+"java-slow-a.log", dir+"java-slow-b.log", "--id", "log-4")
	if !strings.Contains(one, "courier-b left the group: the consumer is being closed") {
		t.Errorf("--id:\n%s", one)
	}
	if out := ok(t, "none:1", "", "explain", "--log", dir+"java-slow-a.log", "--group", "another"); !strings.Contains(out, "no rebalance in them") {
		t.Errorf("--group:\n%s", out)
	}
}

// TestExplainLogEscapesTerminals: a client's name that holds an escape sequence is shown, not obeyed.
func TestExplainLogEscapesTerminals(t *testing.T) {
	hostile := "2026-01-01T00:00:00Z [Consumer clientId=a\x1b]0;owned\x07b, groupId=g\x1b[2J\u202e] consumer poll timeout has expired\n"
	for _, out := range []string{ok(t, "none:1", hostile, "explain", "--log", "-"), ok(t, "none:1", hostile+hostile+strings.ReplaceAll(hostile, "00:00:00", "01:00:00"), "explain", "--log", "-", "--all")} {
		if strings.ContainsAny(out, "\x1b\x07\u202e") || !strings.Contains(out, `\x1b`) {
			t.Errorf("%q", out)
		}
	}
	if j := ok(t, "none:1", hostile, "explain", "--log", "-", "-o", "json"); !json.Valid([]byte(j)) {
		t.Errorf("%s", j)
	}
}

func TestExplainRefusesNonsense(t *testing.T) {
	refused(t, exitUsage, "none:1", "", []string{"explain"}, "the name of one group")
	refused(t, exitUsage, "none:1", "", []string{"explain", "a", "b"}, "the name of one group")
	refused(t, exitUsage, "none:1", "", []string{"explain", "g", "--since", "yesterday"}, "--since", "7d")
	refused(t, exitUsage, "none:1", "", []string{"explain", "g", "--exec", "true"}, "--watch")
	refused(t, exitUsage, "none:1", "", []string{"explain", "--log", fansPush, "--watch"}, "--watch")
	refused(t, exitUsage, "none:1", "", []string{"explain", "--log", fansPush, fansPush}, "twice")
	refused(t, exitUsage, "none:1", "", []string{"explain", "--log", fansPush, "--client-config", "max.poll.records=many"}, "whole number")
	refused(t, exitUsage, "none:1", "", []string{"explain", "--log", fansPush, "--record-time", "0s"}, "above 0")
	refused(t, exitUsage, "none:1", "", []string{"explain", "--log", t.TempDir()}, "folder")
	refused(t, exitFailed, "none:1", "", []string{"explain", "--log", "/does/not/exist.log"}, "does not exist")
	refused(t, exitFailed, "none:1", "", []string{"explain", "--log", fansPush, "--id", "log-9"}, "log-9")
}
