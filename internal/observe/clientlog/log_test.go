package clientlog

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barnabas-mq/barnabas/internal/journal"
)

var rewrite = flag.Bool("rewrite", false, "write the golden stories anew")

// add reads a file of testdata into l.
func add(t testing.TB, l *Log, name string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Add(strings.TrimSuffix(filepath.Base(name), ".gz"), bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
}

func text(r *Report) string {
	var b strings.Builder
	titles, rows := r.Table()
	for _, row := range append([][]string{titles}, rows...) {
		fmt.Fprintln(&b, strings.Join(row, " | "))
	}
	for i := range r.Stories {
		fmt.Fprintf(&b, "\n== %s %s\n", r.Stories[i].ID, r.moment(r.Stories[i].Began))
		for _, line := range r.Lines(i) {
			fmt.Fprintln(&b, line)
		}
	}
	return b.String()
}

// TestCapturedLogs reads the logs of real clients against Apache Kafka 4.3.1. Beside each lies truth.txt: what was done, and per rebalance the cause
// and who set it off. What the logs cannot tell stands there as "-".
func TestCapturedLogs(t *testing.T) {
	dirs, err := filepath.Glob("testdata/logs/*")
	if err != nil || len(dirs) < 15 {
		t.Fatalf("captured logs: %d, %v", len(dirs), err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			var l Log
			files, _ := filepath.Glob(dir + "/*.log*")
			for _, f := range files {
				add(t, &l, f)
			}
			r := l.Report(Given{})
			var got []string
			for _, s := range r.Stories {
				by := "-"
				if s.Trigger.Member != nil {
					by = s.Trigger.Member.Client
				}
				cause := string(s.Cause)
				if !s.Cause.Known() {
					cause = "-"
				}
				got = append(got, cause+" "+by)
			}
			truth, err := os.ReadFile(dir + "/truth.txt")
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for line := range strings.Lines(string(truth)) {
				if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
					words := strings.Fields(line)
					want = append(want, words[0]+" "+words[1])
				}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("causes (-truth +told):\n%s", d)
			}
			golden(t, dir+"/story.txt", text(r))
		})
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got), -rewrite if it is meant:\n%s", file, d)
	}
}

func fansPush(t *testing.T, g Given) (*Report, Rebalance) {
	t.Helper()
	var l Log
	add(t, &l, "testdata/fans-push.log")
	r := l.Report(g)
	if len(r.Stories) != 1 {
		t.Fatalf("%d rebalances", len(r.Stories))
	}
	return r, r.Stories[0]
}

func TestRefusedCommitIsLikelyAndNotProven(t *testing.T) {
	r, s := fansPush(t, Given{})
	if s.Cause != journal.PollInterval || s.Confidence != journal.ConsistentWith || s.Or != journal.SessionTimeout {
		t.Errorf("verdict %s or %s, %s", s.Cause, s.Or, s.Confidence)
	}
	if s.Group != "fans-push-service" || s.Trigger.Member == nil || s.Trigger.Member.Client != "consumer-2" {
		t.Errorf("group %q, by %+v", s.Group, s.Trigger.Member)
	}
	all := strings.Join(r.Lines(0), "\n")
	for _, want := range []string{
		"likely, not proven", "consumer-2 held all ten partitions that the log names, fans-push 0-9", "any other member of the group had none",
		"time per record (--record-time)", "max.poll.records (--client-config)", "max.poll.interval.ms (--client-config)",
		"fixed text", "session.timeout.ms does nothing", "while auto-commit is on, as it is here (fans-push.log:1)",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("the story does not say %q:\n%s", want, all)
		}
	}
	if len(s.Numbers) != 0 {
		t.Errorf("numbers that nobody gave: %+v", s.Numbers)
	}
	for _, invented := range []string{"300", "500", "200", "45 s"} {
		if strings.Contains(all, invented) {
			t.Errorf("the story has %q, which was neither found nor given:\n%s", invented, all)
		}
	}
	golden(t, "testdata/fans-push.story.txt", text(r))
}

func TestGivenNumbersAreComputedWith(t *testing.T) {
	r, s := fansPush(t, Given{Config: map[string]string{"max.poll.records": "500", "session.timeout.ms": "10000"}, RecordTime: 1500 * time.Millisecond})
	all := strings.Join(r.Lines(0), "\n")
	for _, want := range []string{"500 x 1.5 s = 750 s > 300 s", "max.poll.records = 100", "= 200 at the very most",
		"max.poll.interval.ms = 300,000 ms (default, the configuration given leaves it out)", "10,000 ms (given)"} {
		if !strings.Contains(all, want) {
			t.Errorf("the story does not say %q:\n%s", want, all)
		}
	}
	if s.Advice[0].Value != "100" || s.Advice[0].Setting != "max.poll.records" {
		t.Errorf("advice %+v", s.Advice[0])
	}
	golden(t, "testdata/fans-push.given.story.txt", text(r))

	if r, s = fansPush(t, Given{Config: map[string]string{"max.poll.records": "10"}, RecordTime: 1500 * time.Millisecond}); s.Cause != journal.SessionTimeout {
		t.Errorf("10 x 1.5 s fits into 300 s by far, and the verdict is still %s:\n%s", s.Cause, strings.Join(r.Lines(0), "\n"))
	}
	if r, _ := fansPush(t, Given{RecordTime: 1500 * time.Millisecond}); strings.Contains(strings.Join(r.Lines(0), "\n"), "300 s") {
		t.Error("a default is used although no configuration was given")
	}
}

// TestEnvelopes wraps one line in everything that it is found in, and wants the same event out of it.
func TestEnvelopes(t *testing.T) {
	const java = `[Consumer clientId=c-1, groupId=g] (Re-)joining group`
	const librd = `%4|1795182147.493|MAXPOLL|c-1#consumer-1| [thrd:main]: Application maximum poll interval (7000ms) exceeded by 398ms (adjust max.poll.interval.ms for long-running message processing): leaving group`
	for name, tc := range map[string]struct {
		line string
		kind Kind
		time string // of the line, RFC 3339; "" for none
	}{
		"bare":                {java, Joining, ""},
		"log4j pattern":       {"2026-01-02 03:04:05,678 INFO  [main] o.a.k.C - " + java, Joining, "2026-01-02T03:04:05.678Z"},
		"Kafka's own pattern": {"[2026-01-02 03:04:05,678] INFO " + java + " (org.apache.kafka.C)", Joining, "2026-01-02T03:04:05.678Z"},
		"Spring Boot":         {"2026-01-02T03:04:05.678+01:00  INFO 1 --- [ntainer#0-0-C-1] o.a.k.c.c.i.ConsumerCoordinator          : " + java, Joining, "2026-01-02T02:04:05.678Z"},
		"time only":           {"03:04:05.678 [main] INFO  o.a.k.C - " + java, Joining, "1970-01-01T03:04:05.678Z"},
		"CRI":                 {"2026-01-02T03:04:05.678901234Z stdout F 03:04:06.000 INFO " + java, Joining, "2026-01-02T03:04:05.678901234Z"},
		"docker json":         {`{"log":"03:04:06.000 INFO ` + java + `\n","stream":"stdout","time":"2026-01-02T03:04:05.678Z"}`, Joining, "2026-01-02T03:04:05.678Z"},
		"kubectl prefix":      {"[pod/app-0/main] 2026-01-02T03:04:05.678Z INFO " + java, Joining, "2026-01-02T03:04:05.678Z"},
		"compose":             {"app-1  | 2026-01-02 03:04:05.678 INFO " + java, Joining, "2026-01-02T03:04:05.678Z"},
		"journald short":      {"Jan 02 03:04:05 host app[123]: INFO " + java, Joining, "1970-01-01T03:04:05Z"},
		"journald iso":        {"2026-01-02T03:04:05+0000 host app[123]: 03:04:06.000 INFO " + java, Joining, "2026-01-02T03:04:05Z"},
		"journald json":       {`{"MESSAGE":"INFO ` + java + `","__REALTIME_TIMESTAMP":"1767323045678901"}`, Joining, "2026-01-02T03:04:05.678901Z"},
		"logback json":        {`{"@timestamp":"2026-01-02T03:04:05.678Z","level":"INFO","message":"` + java + `"}`, Joining, "2026-01-02T03:04:05.678Z"},
		"colours":             {"\x1b[32m2026-01-02T03:04:05.678Z\x1b[0m INFO " + java, Joining, "2026-01-02T03:04:05.678Z"},
		"librdkafka":          {librd, PollExpired, "2026-11-20T13:42:27.493Z"},
		"librdkafka, forwarded": {"2026-01-02T03:04:05.678Z WARN kafka: Application maximum poll interval (7000ms) exceeded by 398ms (adjust max.poll.interval.ms for long-running message processing): leaving group",
			PollExpired, "2026-01-02T03:04:05.678Z"},
		"franz-go basic":  {"2026-01-02T03:04:05.678Z [INFO] joining group; group: g", Joining, "2026-01-02T03:04:05.678Z"},
		"franz-go slog":   {`time=2026-01-02T03:04:05.678Z level=INFO msg="joining group" group=g`, Joining, "2026-01-02T03:04:05.678Z"},
		"franz-go zap":    {`{"level":"info","ts":1767323045.678,"msg":"joining group","group":"g"}`, Joining, "2026-01-02T03:04:05.678Z"},
		"sarama":          {"[sarama] 2026/01/02 03:04:05 consumergroup/session/c-1-2f653ecd-65a1-4e33-abf7-a8cd9f9ce7fc/2 released", Revoked, "2026-01-02T03:04:05Z"},
		"of no group":     {"2026-01-02T03:04:05.678Z GET /group/of/consumers 200", "", ""},
		"a made up error": {"2026-01-02T03:04:05.678Z group session timed out, they said", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var l Log
			if err := l.Add("x", strings.NewReader(tc.line+"\n")); err != nil {
				t.Fatal(err)
			}
			if tc.kind == "" {
				if len(l.events) != 0 {
					t.Errorf("an event out of nothing: %+v", l.events[0])
				}
				return
			}
			if len(l.events) != 1 || l.events[0].Kind != tc.kind {
				t.Fatalf("events %+v", l.events)
			}
			e := l.events[0]
			if got := e.moment; tc.time == "" && got.clock != noClock || tc.time != "" && got.at.Time().Format(time.RFC3339Nano) != tc.time {
				t.Errorf("time %s, want %s", got.at.Time().Format(time.RFC3339Nano), tc.time)
			}
		})
	}
}

func TestGzipStdinAndBrokenGzip(t *testing.T) {
	plain, err := os.ReadFile("testdata/fans-push.log")
	if err != nil {
		t.Fatal(err)
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(plain)
	w.Close()
	var l Log
	if err := l.Add("a.gz", bytes.NewReader(z.Bytes())); err != nil || len(l.events) != 3 {
		t.Errorf("%d events, %v", len(l.events), err)
	}
	l = Log{}
	if err := l.Add("a.gz", bytes.NewReader(z.Bytes()[:z.Len()-9])); err == nil || l.Report(Given{}).Sources[0].Broken == "" {
		t.Error("a gzip that breaks off is read without a word")
	}
}

// TestMemoryIsBounded reads a line of 16 MiB and a log of a quarter of a million events.
func TestMemoryIsBounded(t *testing.T) {
	var l Log
	long := io.MultiReader(io.LimitReader(zeros{'x'}, 16<<20), strings.NewReader("\n[Consumer clientId=c, groupId=g] (Re-)joining group\n"))
	if err := l.Add("long", long); err != nil || len(l.events) != 1 || l.sources[0].Cut != 1 || l.sources[0].Lines != 2 {
		t.Errorf("%d events, %+v, %v", len(l.events), l.sources, err)
	}
	line := []byte("[Consumer clientId=c, groupId=g] (Re-)joining group\n")
	if err := l.Add("many", io.LimitReader(&repeat{line, 0}, int64(250_000*len(line)))); err != nil {
		t.Fatal(err)
	}
	if len(l.events) > maxEvents || l.dropped+len(l.events) != 250_001 {
		t.Errorf("%d events kept, %d dropped", len(l.events), l.dropped)
	}
	if r := l.Report(Given{}); len(r.Stories) == 0 || r.Dropped == 0 {
		t.Errorf("%d stories, %d dropped", len(r.Stories), r.Dropped)
	}
}

// TestManyMembersAndRebalances: work grows with the log, not with its square.
func TestManyMembersAndRebalances(t *testing.T) {
	var b bytes.Buffer
	for i := range 12_000 {
		fmt.Fprintf(&b, "2026-01-01T%02d:%02d:%02dZ [Consumer clientId=c%d, groupId=g%d] consumer poll timeout has expired\n", i/3600%24, i/60%60, i%60, i%5000, i%50)
		fmt.Fprintf(&b, "2026-01-01T%02d:%02d:%02dZ [Consumer clientId=c%d, groupId=g%d] Successfully synced group in generation Generation{generationId=%d, memberId='m', protocol='range'}\n", i/3600%24, i/60%60, i%60, (i+7)%5000, i%50, i)
	}
	var l Log
	if err := l.Add("x", &b); err != nil {
		t.Fatal(err)
	}
	if r := l.Report(Given{}); len(r.Stories) < 4_000 {
		t.Errorf("%d rebalances", len(r.Stories))
	}
}

type zeros struct{ b byte }

func (z zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = z.b
	}
	return len(p), nil
}

type repeat struct {
	line []byte
	at   int
}

func (r *repeat) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = r.line[r.at]
		r.at = (r.at + 1) % len(r.line)
	}
	return len(p), nil
}

// FuzzLog: any bytes; no panic, the same report twice, and nothing in it that the log does not hold.
func FuzzLog(f *testing.F) {
	files, _ := filepath.Glob("testdata/logs/*/*.log")
	for _, name := range append(files, "testdata/fans-push.log") {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		if len(b) < 6<<10 {
			f.Add(b)
		}
	}
	f.Add([]byte("%4|1795182147.493|MAXPOLL|a#b| [thrd:main]: Application maximum poll interval (-1ms) exceeded by 99999999999999999999ms\n"))
	f.Add([]byte("{\"log\":\"{\\\"log\\\":\\\"[Consumer clientId=\\u0000] \\\"}\",\"time\":\"9999-99-99\"}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		run := func() *Report {
			var l Log
			_ = l.Add("a", bytes.NewReader(b)) // a broken gzip is a report, too
			_ = l.Add("b", bytes.NewReader(b[len(b)/2:]))
			return l.Report(Given{RecordTime: time.Millisecond})
		}
		r := run()
		if d := cmp.Diff(text(r), text(run())); d != "" {
			t.Fatalf("two reports of the same bytes differ:\n%s", d)
		}
		known := strings.ToValidUTF8(string(b), "")
		for _, s := range r.Stories {
			if len(s.Lines) == 0 || len(s.Evidence) == 0 {
				t.Fatalf("a verdict without a line: %+v", s)
			}
			for _, n := range s.Numbers {
				if n.From == "given" && n.Name != "time per record" || strings.HasPrefix(n.From, "default") {
					t.Fatalf("a number that was not given: %+v", n)
				}
			}
			if m := s.Trigger.Member; m != nil && bytes.IndexByte(b, 0x1f) < 0 && !strings.Contains(known, strings.TrimSuffix(strings.ToValidUTF8(m.Client, ""), "...")) &&
				!bytes.Contains(b, []byte(`\`)) {
				t.Fatalf("client %q is not in the log", m.Client)
			}
		}
	})
}
