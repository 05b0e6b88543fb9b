package console_test

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barnabas-mq/barnabas/internal/console"
	"github.com/barnabas-mq/barnabas/internal/console/consoletest"
	"github.com/barnabas-mq/barnabas/internal/journal"
)

var rewrite = flag.Bool("rewrite", false, "write the goldens anew")

func newConsole(s console.Source) *console.Console {
	return console.New(console.Config{Source: s, Now: func() time.Time { return consoletest.Now }, Version: "test"})
}

func get(t testing.TB, h http.Handler, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func query(path string, pairs ...string) string {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return path + "?" + v.Encode()
}

// everyPage is a path of each page; name is the group, topic and client that is not to be trusted.
func everyPage(name string) []string {
	return []string{"/console/", query("/console/", "q", name), "/console/topics", query("/console/topics", "q", name, "internal", "1"), query("/console/topic", "name", name),
		query("/console/group", "name", name, "w", "2000"), query("/console/timeline", "name", name, "w", "2000"),
		query("/console/incident", "group", name, "id", "20260115T113000.000-g0"), query("/console/group", "name", "payments"), query("/console/group", "name", "orders-push"),
		query("/console/group", "name", "crowd"), query("/console/group", "name", "nobody-here"), query("/console/group", "name", name+"?"), query("/console/nothing", "x", name)}
}

func TestPages(t *testing.T) {
	c := newConsole(consoletest.Demo())
	for _, p := range []struct {
		name, path string
		code       int
		want       []string
	}{
		{"groups", "/console/", 200, []string{"8 groups", "1 rebalancing", "payments", "PreparingRebalance", "<b>C06</b> a member went silent", "18,442"}},
		{"groups by lag begin with the largest", "/console/?sort=lag", 200, []string{`<tr role="row"><th scope="row" role="rowheader"><a href="/console/group?name=nobody-here">`}},
		{"groups that fit", "/console/?q=STABLE", 200, []string{"stable-audit", "1 to 3 of 3"}},
		{"groups in a state", "/console/?state=Empty", 200, []string{"nobody-here", "1 to 1 of 1"}},
		{"no group that fits", "/console/?q=nothing", 200, []string{"No group fits."}},
		{"a group", "/console/group?name=payments", 200, []string{"cooperative-sticky", "C07 a batch took longer than max.poll.interval.ms", "max.poll.records = 100", "one member again and again",
			"payments-c at 10.0.0.13", "apache-kafka-java 4.3.1"}},
		{"an empty group", "/console/group?name=nobody-here", 200, []string{"The group has no members now.", "No rebalance of this group is recorded.", "48,21"}},
		{"a group that is not there", "/console/group?name=x", 404, []string{"There is no group of this name here"}},
		{"an incident", "/console/incident?group=payments&id=20260115T113800.000-g5", 200, []string{"consumer poll timeout has expired.", "300,000 ms / 1,500 ms = 200", "last heard of 1.2s before", "cooperative-sticky"}},
		{"an incident that is not there", "/console/incident?group=payments&id=x", 404, []string{"There is no such incident"}},
		{"topics", "/console/topics", 200, []string{"payments", "1,204,881", "1.33 GiB", "512/s", "597 KiB/s"}},
		{"internal topics when asked for", "/console/topics?internal=1", 200, []string{"__consumer_offsets"}},
		{"a topic", "/console/topic?name=payments", 200, []string{"100,406", `<a href="/console/group?name=payments">payments</a>`}},
		{"a topic that is not there", "/console/topic?name=x", 404, []string{"There is no topic of this name."}},
		{"no page", "/console/x", 404, []string{"There is no such page."}},
		{"the style", "/console/static/console.css", 200, []string{":root"}},
		{"no file", "/console/static/x", 404, nil},
		{"no way out of the files", "/console/static/..%2ftemplates%2flayout.html", 404, nil},
	} {
		t.Run(p.name, func(t *testing.T) {
			w := get(t, c, p.path)
			if w.Code != p.code {
				t.Fatalf("got %d, want %d: %.300s", w.Code, p.code, w.Body)
			}
			for _, want := range p.want {
				if !strings.Contains(w.Body.String(), want) {
					t.Errorf("the page lacks %q", want)
				}
			}
		})
	}
	if w := get(t, c, "/console/topics"); strings.Contains(w.Body.String(), "__consumer_offsets") {
		t.Error("internal topics are shown without being asked for")
	}
}

// TestGoldenTimelines holds drawings down to the pixel: at a laptop's width, at a phone's, close up, eager with one rebalance under way, folded.
func TestGoldenTimelines(t *testing.T) {
	ms := func(hour, min, sec int) string {
		return fmtInt(time.Date(2026, 1, 15, hour, min, sec, 0, time.UTC).UnixMilli())
	}
	for name, path := range map[string]string{
		"cooperative": query("/console/timeline", "name", "payments", "span", "1h", "w", "1120"),
		"phone":       query("/console/timeline", "name", "payments", "span", "1h", "w", "360"),
		"close":       query("/console/timeline", "name", "payments", "from", ms(11, 28, 58), "to", ms(11, 29, 6), "w", "1120"),
		"past":        query("/console/timeline", "name", "payments", "from", ms(11, 12, 0), "to", ms(11, 18, 0), "w", "800"),
		"eager":       query("/console/timeline", "name", "orders-push", "span", "1h", "w", "1120"),
	} {
		t.Run(name, func(t *testing.T) {
			w := get(t, newConsole(consoletest.Demo()), path)
			if again := get(t, newConsole(consoletest.Demo()), path); again.Body.String() != w.Body.String() {
				t.Fatal("the same history is drawn in two ways")
			}
			golden(t, "timeline-"+name+".html", w.Body.String())
		})
	}
}

func TestGoldenAPI(t *testing.T) {
	c := newConsole(consoletest.Demo())
	var b strings.Builder
	for _, path := range []string{"/api/v1/", "/api/v1/groups?q=payments", "/api/v1/groups?limit=1&offset=2&sort=unstable", "/api/v1/topics?q=idle", "/api/v1/topic?name=idle", "/api/v1/topic?name=x",
		"/api/v1/incidents?group=nobody-here", "/api/v1/incidents?group=payments&since=yesterday", "/api/v1/incident?group=payments&id=20260115T115500.000-g8", "/api/v1/group?name=x"} {
		w := get(t, c, path)
		if ct := w.Header().Get("Content-Type"); ct != "application/json" {
			t.Errorf("%s: %s", path, ct)
		}
		var v any
		if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		pretty, _ := json.MarshalIndent(v, "", "  ")
		b.WriteString("GET " + path + "\n" + http.StatusText(w.Code) + "\n" + string(pretty) + "\n\n")
	}
	golden(t, "api.txt", b.String())
}

// gaps is a source whose journal has lost something.
type gaps struct{ console.Source }

func (g gaps) Incidents(ctx context.Context, q console.IncidentQuery) (console.Incidents, error) {
	out, err := g.Source.Incidents(ctx, q)
	out.List = slices.Clone(out.List)
	for i := range out.List {
		out.List[i].JournalLost = &journal.JournalLost{Since: 5, Records: int64(i + 1), Notes: 1}
	}
	return out, err
}

func TestAJournalWithGapsSaysSo(t *testing.T) {
	lost := []string{"9 records of this journal were lost", "1 note of the coordinator found no room"}
	page := get(t, newConsole(gaps{consoletest.Demo()}), "/console/group?name=payments").Body.String()
	whole := get(t, newConsole(consoletest.Demo()), "/console/group?name=payments").Body.String()
	for _, text := range lost {
		if !strings.Contains(page, text) || strings.Contains(whole, text) {
			t.Errorf("%q: said %v of a journal with gaps, %v of one without", text, strings.Contains(page, text), strings.Contains(whole, text))
		}
	}
}

func TestIncidentsArePaged(t *testing.T) {
	c := newConsole(consoletest.Demo())
	seen := map[string]bool{}
	before := ""
	for range 5 {
		var page console.Incidents
		if err := json.Unmarshal(get(t, c, query("/api/v1/incidents", "group", "payments", "limit", "4", "before", before)).Body.Bytes(), &page); err != nil {
			t.Fatal(err)
		}
		for _, in := range page.List {
			if seen[in.ID] {
				t.Fatalf("%s twice", in.ID)
			}
			seen[in.ID] = true
			before = in.ID
		}
		if !page.More {
			break
		}
	}
	if len(seen) != 9 {
		t.Errorf("saw %d incidents, want 9", len(seen))
	}
}

var (
	anyTag    = regexp.MustCompile(`<[!/a-zA-Z][^>]*>`)
	anyValue  = regexp.MustCompile(`"[^"]*"`)
	rawValue  = regexp.MustCompile(` (?:value|data-name|data-group)="[^"]*"`) // for programs and for what the reader typed
	forbidden = regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+\s*=\s*"|javascript:|<script[^>]*>[^<]|<iframe|<object|<base`)
	outside   = regexp.MustCompile(`(?i)(?:https?:)?//[a-z0-9]`)
)

// tags is the structure of a page: its tags and the names of their attributes, without what is in them.
func tags(page string) string {
	var b strings.Builder
	for _, t := range anyTag.FindAllString(page, -1) {
		b.WriteString(anyValue.ReplaceAllString(t, `""`) + "\n")
	}
	return b.String()
}

// TestNamesAreText compares each page with the one that a harmless name makes: a name that broke out of its place, be it text, an attribute, a
// link, or a drawing, would change the tags.
func TestNamesAreText(t *testing.T) {
	harmless := strings.Repeat("n", 60)
	bad, good := newConsole(consoletest.DemoWith(consoletest.Hostile)), newConsole(consoletest.DemoWith(harmless))
	goodPages := everyPage(harmless)
	for i, path := range everyPage(consoletest.Hostile) {
		for _, lang := range []string{"en", "zh"} {
			b, g := get(t, bad, path, "Accept-Language", lang), get(t, good, goodPages[i], "Accept-Language", lang)
			if b.Code != g.Code {
				t.Fatalf("%s: %d and %d", path, b.Code, g.Code)
			}
			page := b.Body.String()
			if diff := cmp.Diff(tags(g.Body.String()), tags(page)); diff != "" {
				t.Errorf("%s: a name changes the structure of the page:\n%s", path, diff)
			}
			if m := forbidden.FindString(page); m != "" {
				t.Errorf("%s: %q is in the page", path, m)
			}
			for _, m := range outside.FindAllString(strings.ReplaceAll(page, `xmlns="http://www.w3.org/2000/svg"`, ""), -1) {
				t.Errorf("%s: %q leads out of the broker", path, m)
			}
			if strings.ContainsAny(rawValue.ReplaceAllString(page, ""), "\u202e\x00\r") {
				t.Errorf("%s: what nobody can see is in the page", path)
			}
		}
	}
	for _, path := range []string{"/api/v1/groups", "/api/v1/topics", query("/api/v1/group", "name", consoletest.Hostile), query("/api/v1/incidents", "group", consoletest.Hostile)} {
		w := get(t, bad, path)
		if strings.ContainsAny(w.Body.String(), "<>") {
			t.Errorf("%s: JSON with a tag in it", path)
		}
		if !strings.Contains(w.Body.String(), `\u003cscript\u003e`) {
			t.Errorf("%s: the name is not in it", path)
		}
	}
}

func TestHeaders(t *testing.T) {
	c := newConsole(consoletest.Demo())
	for _, path := range []string{"/console/", "/console/static/main.js", "/api/v1/groups", "/console/x"} {
		h := get(t, c, path).Header()
		policy := h.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self'; style-src 'self';") || strings.Contains(policy, "unsafe") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("%s: policy %q", path, policy)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin"} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, h.Get(name))
			}
		}
	}
	first := get(t, c, "/console/static/console.css")
	if w := get(t, c, "/console/static/console.css", "If-None-Match", first.Header().Get("ETag")); w.Code != 304 {
		t.Errorf("a file that the browser has is sent again: %d", w.Code)
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, httptest.NewRequest("POST", "/console/", nil))
	if w.Code != 405 {
		t.Errorf("POST: got %d", w.Code)
	}
}

// A page of a stranger whose name was pointed at 127.0.0.1 asks under that name.
func TestOtherHostsAreRefusedOnLoopback(t *testing.T) {
	for host, want := range map[string]int{"localhost": 200, "localhost:9644": 200, "127.0.0.1:9644": 200, "127.9.9.9": 200, "[::1]:9644": 200, "[::1]": 200, "barnabas.localhost:1": 200,
		"evil.example": 421, "evil.example:9644": 421, "10.0.0.1:9644": 421, "localhost.evil.example": 421, "": 421} {
		for _, only := range []bool{true, false} {
			c := console.New(console.Config{Source: consoletest.Demo(), LoopbackOnly: only})
			r := httptest.NewRequest("GET", "/console/", nil)
			r.Host = host
			w := httptest.NewRecorder()
			c.ServeHTTP(w, r)
			if !only {
				want = 200
			}
			if w.Code != want {
				t.Errorf("%q, loopback only %v: got %d, want %d", host, only, w.Code, want)
			}
		}
	}
}

func TestLanguages(t *testing.T) {
	c := newConsole(consoletest.Demo())
	for _, l := range []struct{ accept, cookie, want string }{
		{"", "", "en"}, {"zh-CN,zh;q=0.9,en;q=0.8", "", "zh"}, {"en-GB,en;q=0.9,zh;q=0.8", "", "en"}, {"de, zh;q=0.5, en;q=0.4", "", "zh"}, {"fr", "", "en"},
		{"zh", "lang=en", "en"}, {"en", "lang=zh", "zh"}, {"en", "lang=x", "en"}, {"zh;q=nonsense,en", "", "en"}, {strings.Repeat("x,", 5000) + "zh", "", "en"},
	} {
		w := get(t, c, "/console/", "Accept-Language", l.accept, "Cookie", l.cookie)
		if !strings.Contains(w.Body.String(), `<html lang="`+l.want+`">`) || w.Header().Get("Content-Language") != l.want {
			t.Errorf("%.40q %q: not in %s", l.accept, l.cookie, l.want)
		}
	}
	w := get(t, c, query("/console/group", "name", "a&b=c", "lang", "zh"))
	if w.Code != 303 || w.Header().Get("Location") != "/console/group?name=a%26b%3Dc" || !strings.Contains(w.Header().Get("Set-Cookie"), "lang=zh;") {
		t.Errorf("the switch: %d %v", w.Code, w.Header())
	}
	if body := get(t, c, "/console/group?name=payments", "Accept-Language", "zh").Body.String(); !strings.Contains(body, "单批处理超过 max.poll.interval.ms") || !strings.Contains(body, "时间线") {
		t.Error("the group's page is not in Chinese")
	}
}

// What the console has sentences for is told in the reader's language; what a client said, and what nobody has translated, is marked as English.
func TestTheStoryIsInTheReadersLanguage(t *testing.T) {
	s := consoletest.New()
	g := s.Add("g", map[string]int{"t": 4})
	one, two := consoletest.Who("one", 1, "10.0.0.1"), consoletest.Who("two", 2, "10.0.0.2")
	g.Rebalance(consoletest.Step{At: 50 * time.Minute, Took: time.Second, Cause: journal.FirstStart, Add: []journal.Who{one, two}})
	g.Rebalance(consoletest.Step{At: 10 * time.Minute, Took: time.Second, Cause: journal.GracefulClose, Remove: []string{two.ID}, Claimed: "bye", Measured: "last heard of 2s before",
		Evidence: []journal.Fact{{ID: journal.FactClaimed, Basis: journal.Measured, Text: `its client gave the reason "bye"`}, {ID: "new", Basis: journal.Inferred, Text: "a fact of a later release"}},
		Advice:   []journal.Advice{{Text: "Pause instead of unsubscribing: pause() and resume() keep the membership, and cost no rebalance.", Needs: []string{"time per record"}}}})
	c := newConsole(s)
	body := get(t, c, "/console/group?name=g", "Accept-Language", "zh").Body.String()
	for _, want := range []string{`<p lang="zh">two at 10.0.0.2 关闭了消费者。</p>`, "其客户端给出的原因", "用暂停代替取消订阅", "每条记录的处理时间", `<span lang="en">a fact of a later release</span>`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if n := strings.Count(body, ` lang="en"`); n != 2 { // that fact, and the link to the English page
		t.Errorf("%d parts of the page are marked as English", n)
	}
}

func TestOneIsNotMany(t *testing.T) {
	s := consoletest.New()
	s.Add("g", map[string]int{"t": 1}).Lag = 1
	for lang, want := range map[string]string{"en": "1 group · 1 record of lag", "zh": "1 个消费组 · 积压 1 条记录"} {
		if body := get(t, newConsole(s), "/console/", "Accept-Language", lang).Body.String(); !strings.Contains(body, ">"+want+"<") {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestAStreamTellsOfChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := console.NewHub()
		c := console.New(console.Config{Source: consoletest.Demo(), Changes: hub})
		r, w := newPipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.ServeHTTP(w, httptest.NewRequest("GET", "/console/events", nil))
			w.close()
		}()
		lines := bufio.NewScanner(r)
		next := func() (c struct {
			Groups    []string
			All, Tick bool
		}) {
			t.Helper()
			if !lines.Scan() || !strings.HasPrefix(lines.Text(), "data: ") {
				t.Fatalf("got %q", lines.Text())
			}
			if err := json.Unmarshal([]byte(lines.Text()[6:]), &c); err != nil {
				t.Fatal(err)
			}
			if !lines.Scan() || lines.Text() != "" {
				t.Fatalf("an event goes on: %q", lines.Text())
			}
			return c
		}
		if !next().Tick {
			t.Error("the stream does not begin with a tick")
		}
		hub.Changed(consoletest.Hostile)
		if c := next(); len(c.Groups) != 1 || c.Groups[0] != consoletest.Hostile {
			t.Errorf("got %+v", c)
		}
		for i := range 1000 {
			hub.Changed(fmtInt(int64(i)))
		}
		if c := next(); !c.All || len(c.Groups) != 0 {
			t.Errorf("a thousand groups: got %+v", c)
		}
		if c := next(); !c.Tick {
			t.Errorf("nothing happens: got %+v", c)
		}
		c.Close()
		<-done
	})
}

func TestStreamsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newConsole(consoletest.Demo())
		for range 64 {
			r, w := newPipe()
			go io.Copy(io.Discard, r)
			go func() {
				c.ServeHTTP(w, httptest.NewRequest("GET", "/console/events", nil))
				w.close()
			}()
		}
		synctest.Wait()
		if w := get(t, c, "/console/events"); w.Code != 503 || w.Header().Get("Retry-After") == "" {
			t.Errorf("one too many: %d", w.Code)
		}
		c.Close()
	})
}

var (
	goKeys       = regexp.MustCompile(`\.getf?\("((?:[^"\\]|\\.)*)"`)
	templateKeys = regexp.MustCompile(`\.Tf? "((?:[^"\\]|\\.)*)"`)
	countedKeys  = regexp.MustCompile(`\.Tn [^"]*"([^"]*)" "([^"]*)"`)
)

// TestEveryWordIsInBothLanguages finds the words that the code and the templates use.
func TestEveryWordIsInBothLanguages(t *testing.T) {
	used := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "testdata") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range append(goKeys.FindAllSubmatch(text, -1), templateKeys.FindAllSubmatch(text, -1)...) {
			used[string(m[1])] = true
		}
		for _, m := range countedKeys.FindAllSubmatch(text, -1) {
			used[string(m[1])], used[string(m[2])] = true, true
		}
		return err
	})
	if err != nil || len(used) < 100 {
		t.Fatalf("found %d words, %v", len(used), err)
	}
	for _, k := range console.DynamicWords() {
		used[k] = true
	}
	have := console.ChineseWords()
	for k := range used {
		if have[k] == "" {
			t.Errorf("no Chinese for %q", k)
		} else if strings.Count(k, "%") != strings.Count(have[k], "%") {
			t.Errorf("%q and %q do not say the same", k, have[k])
		}
	}
	for k := range have {
		if !used[k] {
			t.Errorf("nobody says %q", k)
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs; -rewrite writes it anew:\n%s", file, diff)
	}
}
