package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

func TestTablesLineUp(t *testing.T) {
	tb := newTable("NAME", ">SIZE", "NOTE", "EMPTY")
	tb.row("orders", 5, "plain", nil)
	tb.row("名前", 12345, nil, "")
	tb.row("evil\x1b[2Jname", int64(7), "tab\there", nil)
	tb.dropEmptyColumns()
	var b bytes.Buffer
	tb.draw(&b, false)
	equal(t, "NAME              SIZE  NOTE\n"+
		"orders               5  plain\n"+
		"名前             12345  -\n"+
		"evil\\x1b[2Jname      7  tab\\there\n", b.String())
	b.Reset()
	tb.draw(&b, true)
	if !strings.HasPrefix(b.String(), "\x1b[1mNAME") || strings.Count(b.String(), "\x1b") != 2 {
		t.Errorf("colour belongs to the titles only: %q", b.String())
	}
}

func TestYAMLKeepsTypes(t *testing.T) {
	type inner struct {
		S string   `json:"s"`
		L []string `json:"l"`
	}
	v := map[string]any{"a": "1", "b": 1, "c": "true", "d": nil, "e": inner{"x: y", nil}, "f": "two\nlines", "g": ""}
	var b bytes.Buffer
	if err := encodeYAML(&b, v); err != nil {
		t.Fatal(err)
	}
	equal(t, "a: \"1\"\nb: 1\nc: \"true\"\nd: null\ne:\n  s: 'x: y'\n  l: null\nf: |-\n  two\n  lines\ng: \"\"\n", b.String())
}

func TestNumbersForEyes(t *testing.T) {
	for n, want := range map[int64]string{-1: "-", 0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1<<20 - 1: "1.0 MiB", 1 << 62: "4.0 EiB"} {
		equal(t, want, humanBytes(n))
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567", 100: "100", -100: "-100"} {
		equal(t, want, humanCount(n))
	}
}

func TestPositions(t *testing.T) {
	for s, want := range map[string]position{
		"start": {kind: atStart}, "end": {kind: atEnd}, "0": {kind: atOffset}, "42": {kind: atOffset, offset: 42}, "-5": {kind: beforeEnd, offset: 5},
		"@1700000000000":             {kind: atTime, millis: 1700000000000},
		"@-1h30m":                    {kind: atTime, millis: at.Add(-90 * time.Minute).UnixMilli()},
		"@-1d12h":                    {kind: atTime, millis: at.Add(-36 * time.Hour).UnixMilli()},
		"@-2d":                       {kind: atTime, millis: at.Add(-48 * time.Hour).UnixMilli()},
		"@now":                       {kind: atTime, millis: at.UnixMilli()},
		"@2026-01-31":                {kind: atTime, millis: at.Add(-12 * time.Hour).UnixMilli()},
		"@2026-01-31T12:00":          {kind: atTime, millis: at.UnixMilli()},
		"@2026-01-31T12:00:00":       {kind: atTime, millis: at.UnixMilli()},
		"@2026-01-31T13:00:00+01:00": {kind: atTime, millis: at.UnixMilli()},
		"@1960-01-01":                {kind: atTime, millis: 0},
	} {
		got, err := parsePosition("from", s, at)
		if err != nil || got != want {
			t.Errorf("%s is %+v, %v; want %+v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "begin", "@", "@tomorrow", "@-", "@-1x", "@--1h", "1.5", "-", "-9223372036854775808", "9223372036854775808"} {
		if got, err := parsePosition("from", s, at); err == nil {
			t.Errorf("%q is %+v, want an error", s, got)
		}
	}
}

func TestPartitionLists(t *testing.T) {
	for s, want := range map[string]string{"": "", "3": "3", "5-7,0,6": "0,5,6,7", " 1 , 2 ": "1,2"} {
		got, err := parsePartitions(s)
		if err != nil || joinInts(got) != want {
			t.Errorf("%q is %v, %v; want %s", s, got, err, want)
		}
	}
	for _, s := range []string{"a", "1-", "-1", "3-1", ",", "0-99999999", "4294967296"} {
		if got, err := parsePartitions(s); err == nil {
			t.Errorf("%q is %v, want an error", s, got)
		}
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	a := newApp(strings.NewReader(""), io.Discard, io.Discard, func(string) string { return "" })
	a.bootstrap = []string{"kafka:9092"}
	for _, c := range []struct {
		err  error
		code int
		say  string
	}{
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, exitUnreachable, "nothing listens on kafka:9092"},
		{&net.DNSError{Name: "kafka"}, exitUnreachable, `the name "kafka" does not resolve`},
		{fmt.Errorf("x: %w", context.DeadlineExceeded), exitUnreachable, "no answer from kafka:9092 in time"},
		{syscall.ECONNRESET, exitUnreachable, "kafka:9092 broke the connection"},
		{wrap(kerr.TopicAlreadyExists, "creating %s", "t"), exitFailed, "creating t: TOPIC_ALREADY_EXISTS, a topic of this name exists"},
		{&os.PathError{Op: "open", Path: "f.txt", Err: os.ErrNotExist}, exitFailed, "f.txt does not exist"},
		{errors.New("anything else"), exitFailed, "anything else"},
	} {
		f := a.explain(c.err)
		if f.what != c.say && !strings.HasPrefix(f.what, c.say) || f.code != c.code {
			t.Errorf("%v: %q, exit %d; want %q, exit %d", c.err, f.what, f.code, c.say, c.code)
		}
	}
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"topics list", "produce t", "consume t", "cluster", "config describe broker", "offsets t", "records delete t --before end", "bench produce"} {
		refused(t, exitUnreachable, addr, "", strings.Fields(args), "nothing listens on "+addr, "barnabas serve")
	}
}

func TestSomebodyElseListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) // the other end hangs up at once
			_ = c.Close()
		}
	}()
	r := invoke(t, l.Addr().String(), "", "topics", "list")
	if r.code != exitUnreachable || !strings.Contains(r.err, l.Addr().String()) || !strings.Contains(r.err, "do: ") {
		t.Errorf("%+v", r)
	}
}

func TestCommandConfig(t *testing.T) {
	addr := newCluster(t)
	write := func(text string) string {
		f := filepath.Join(t.TempDir(), "client.properties")
		if err := os.WriteFile(f, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return f
	}
	f := write("# comment\n! too\nbootstrap.servers = " + addr + "\nclient.id=tester\nrequest.timeout.ms=5000\nretries=3\nlinger.ms=5\n")
	equal(t, "NAME  PARTITIONS  REPLICAS\n", ok(t, "", "", "topics", "list", "--command-config", f))
	for text, say := range map[string]string{
		"nonsense\n":                           "no '=' in",
		"security.protocol=SASL_SSL\n":         "not supported by this build",
		"request.timeout.ms=soon\n":            "is not a whole number",
		"default.api.timeout.ms=99999999999\n": "is not a whole number",
	} {
		refused(t, exitUsage, addr, "", []string{"topics", "list", "--command-config", write(text)}, say)
	}
	refused(t, exitFailed, addr, "", []string{"topics", "list", "--command-config", "nowhere.properties"}, "nowhere.properties does not exist")
	refused(t, exitUsage, addr, "", []string{"topics", "list", "-b", ""}, "--bootstrap is empty")
}

func TestVersion(t *testing.T) {
	if v := decode[buildFacts](t, ok(t, "", "", "version", "-o", "json")); v.Version == "" || v.Go == "" {
		t.Errorf("%+v", v)
	}
	if out := ok(t, "", "", "version"); !strings.HasPrefix(out, "barnabas ") {
		t.Error(out)
	}
}
