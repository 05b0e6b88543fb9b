package groups

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
)

// Heading is where the groups' half of docs/interop.md begins.
const Heading = "## Consumer groups"

// Explained is a difference between the brokers' answers that is meant to be, or that comes and goes.
type Explained struct {
	Broker string // the one that shows it
	Shape  *regexp.Regexp
	Why    string
	Used   bool
}

// LoadExplained reads lines of "broker: regular expression => why"; empty lines and those that begin with # are comments.
func LoadExplained(path string) ([]*Explained, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out []*Explained
	for n, line := range strings.Split(string(text), "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		pattern, why, ok := strings.Cut(line, " => ")
		broker, pattern, named := strings.Cut(pattern, ": ")
		if !ok || !named {
			return nil, fmt.Errorf("%s:%d: want \"broker: expression => explanation\"", path, n+1)
		}
		re, err := regexp.Compile(pattern)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n+1, err)
		}
		out = append(out, &Explained{Broker: broker, Shape: re, Why: why})
	}
	return out, nil
}

// Difference is a shape that only one broker showed.
type Difference struct {
	Broker, Shape, Why string
	Cells              []string
}

// Compare finds the shapes of answers that only one broker showed, among the cells that both of them ran. Why is "" for one that nobody explained.
func Compare(a, b map[string]map[Scenario]Row, nameA, nameB string, explained []*Explained) []Difference {
	both := func(rows, other map[string]map[Scenario]Row) map[string]map[Scenario]Row {
		out := map[string]map[Scenario]Row{}
		for client, cells := range rows {
			out[client] = map[Scenario]Row{}
			for s, r := range cells {
				if _, ok := other[client][s]; ok {
					out[client][s] = r
				}
			}
		}
		return out
	}
	shapesA, shapesB := Shapes(both(a, b)), Shapes(both(b, a))
	var out []Difference
	only := func(broker string, from, in map[string][]string) {
		versions, anyVersion := map[string]bool{}, map[string]bool{}
		for s := range in {
			api, rest := versionOf(s)
			versions[api], anyVersion[rest] = true, true
		}
		for s, cells := range from {
			if _, ok := in[s]; ok {
				continue
			}
			// Whether the member that meets an answer is one of a new or an old client is chance, as long as the other broker speaks that version.
			if api, rest := versionOf(s); versions[api] && anyVersion[rest] {
				continue
			}
			d := Difference{Broker: broker, Shape: s, Cells: cells}
			for _, e := range explained {
				if e.Broker == broker && e.Shape.MatchString(s) {
					d.Why, e.Used = e.Why, true
					break
				}
			}
			out = append(out, d)
		}
	}
	only(nameA, shapesA, shapesB)
	only(nameB, shapesB, shapesA)
	sort.Slice(out, func(i, j int) bool {
		if out[i].Broker != out[j].Broker {
			return out[i].Broker < out[j].Broker
		}
		return out[i].Shape < out[j].Shape
	})
	return out
}

// versionOf takes "Heartbeat v4 ..." apart into "Heartbeat v4" and the shape without the version.
func versionOf(shape string) (api, rest string) {
	fields := strings.SplitN(shape, " ", 3)
	if len(fields) < 3 {
		return shape, shape
	}
	return fields[0] + " " + fields[1], fields[0] + " " + fields[2]
}

// Late names the cells that took Barnabas noticeably longer than Apache Kafka, whose broker restarts in its own time.
func Late(barnabas, kafka map[string]map[Scenario]Row) []string {
	var out []string
	for client, cells := range barnabas {
		for scenario, r := range cells {
			if k, ok := kafka[client][scenario]; ok && scenario != Restart && k.TookMs > 0 && r.TookMs > k.TookMs+3000 {
				out = append(out, fmt.Sprintf("%s, %s: %s s, on Apache Kafka %s s", client, scenario, seconds(r.TookMs), seconds(k.TookMs)))
			}
		}
	}
	sort.Strings(out)
	return out
}

// Section is the groups' half of docs/interop.md, from the rows of Barnabas and, where there are some, of Apache Kafka.
func Section(barnabas, kafka map[string]map[Scenario]Row, differences []Difference) string {
	var b strings.Builder
	b.WriteString(Heading + "\n\nWritten by `go run ./groupsdoc` in `interop/` from the rows that the runs kept; do not edit. Every member is a process of its own, killed and stopped as\n" +
		"processes are; between it and the broker stands a tap that writes down what the group APIs say. Session timeout 6 s, heartbeats every 0.5 s,\n" +
		"max.poll.interval.ms 7 s, group.initial.rebalance.delay.ms 1 s, on both brokers. In every cell a writer writes all the time, and at its end: no record is lost,\n" +
		"each member hands records on in their order, no partition has two owners, the committed offsets are the ends of the partitions, no accepted commit\n" +
		"went back, everyone who asked for an offset was told the newest, and the callbacks came as the scenario demands. Without a crash no record is handed\n" +
		"on twice.\n\n")
	name := func(rows map[string]map[Scenario]Row, otherwise string) string {
		for _, cells := range rows {
			for _, r := range cells {
				return r.Broker
			}
		}
		return otherwise
	}
	fmt.Fprintf(&b, "Times are seconds on %s, and behind the stroke on %s.\n\n", name(barnabas, "Barnabas"), name(kafka, "Apache Kafka"))
	var notes []string
	number := map[string]int{}
	note := func(why string) string {
		if why == "" {
			return ""
		}
		if number[why] == 0 {
			notes = append(notes, why)
			number[why] = len(notes)
		}
		return fmt.Sprintf(" [g%d]", number[why])
	}
	cell := func(r Row, ok bool) string {
		switch {
		case !ok:
			return "-"
		case r.Result == "FAIL":
			return "FAIL"
		case r.Result == "skip":
			return "skip" + note(r.Why)
		case r.TookMs == 0:
			return r.Result + note(r.Why)
		case r.Result == "known":
			return "known " + seconds(r.TookMs) + note(r.Why)
		}
		return seconds(r.TookMs) + note(r.Why)
	}
	b.WriteString("| Client, assignor |")
	for _, s := range Scenarios {
		b.WriteString(" " + string(s) + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(Scenarios)) + "\n")
	var titles []string
	for _, c := range Clients() {
		titles = append(titles, c.Title())
	}
	for _, title := range titles {
		if barnabas[title] == nil {
			continue
		}
		b.WriteString("| " + title + " |")
		for _, s := range Scenarios {
			r, ok := barnabas[title][s]
			k, kept := kafka[title][s]
			one, two := cell(r, ok), cell(k, kept)
			if one == two {
				b.WriteString(" " + one + " |")
			} else {
				b.WriteString(" " + one + " / " + two + " |")
			}
		}
		b.WriteString("\n")
	}
	b.WriteString("\n| Application | " + string(Apps) + ": one instance, a second joins, one leaves, and the work goes on |\n|---|---|\n")
	for _, title := range []string{"Kafka Streams", "Kafka Connect"} {
		if r, ok := barnabas[title][Apps]; ok {
			k, kept := kafka[title][Apps]
			fmt.Fprintf(&b, "| %s | %s / %s |\n", title, cell(r, ok), cell(k, kept))
		}
	}
	if len(notes) > 0 {
		b.WriteString("\nNotes\n\n")
		for i, why := range notes {
			fmt.Fprintf(&b, "- g%d: %s\n", i+1, why)
		}
	}
	b.WriteString("\nWhat the columns mean\n\n")
	for _, s := range Scenarios {
		fmt.Fprintf(&b, "- **%s**: %s\n", s, Meanings[s])
	}
	b.WriteString("\nA cell shows its time where it has one to tell, else its result. Kafka Streams is timed from the second instance's JoinGroup to both having their tasks,\n" +
		"Connect from SIGTERM to the other worker doing everything.\n\n### What only one broker answered\n\n" +
		"The transcripts of all cells, both brokers side by side, are in `docs/transcripts/`: ids, times and throttle are blanked, nothing else. Runs differ in when a\n" +
		"member learns of something, so they are compared by the kinds of answers: API, version, every error code, and which fields are null, empty or\n" +
		"filled. What both say, but to clients of different versions, is no difference. A kind that only one broker ever gave in the whole matrix is a defect, or it is explained in `interop/groups/explained.txt`.\n\n")
	if len(differences) == 0 {
		b.WriteString("There is none.\n")
		return b.String()
	}
	b.WriteString("| Only on | Question and answer | In | Why |\n|---|---|---|---|\n")
	for _, d := range differences {
		where := d.Cells[0]
		if len(d.Cells) > 1 {
			where += fmt.Sprintf(" and %d more", len(d.Cells)-1)
		}
		why := d.Why
		if why == "" {
			why = "**not explained**"
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s |\n", d.Broker, strings.ReplaceAll(d.Shape, "|", "\\|"), where, why)
	}
	return b.String()
}

// WriteSection puts a section, which begins with its heading and is the last of its document, in the place of the one that is there, or at the end.
func WriteSection(path, section string) error {
	heading, _, _ := strings.Cut(section, "\n")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, _, _ := strings.Cut(string(text), heading+"\n")
	return os.WriteFile(path, []byte(strings.TrimRight(before, "\n")+"\n\n"+section), 0o644)
}

// WriteTranscripts writes one file per client with both brokers' transcripts side by side.
func WriteTranscripts(dir string, kafka, barnabas map[string]map[Scenario]Row) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for client, cells := range barnabas {
		var b strings.Builder
		fmt.Fprintf(&b, "%s: what the group APIs said, on Apache Kafka (first time) and Barnabas (second time).\nSeconds since the first line; \"-\": not in this run. What a member only said again is left out.\n", client)
		for _, s := range append(append([]Scenario(nil), Scenarios...), Apps) {
			r, ok := cells[s]
			k, kept := kafka[client][s]
			if ok && kept && len(r.Lines)+len(k.Lines) > 0 {
				b.WriteString("\n" + SideBySide(k, r))
			}
		}
		name := strings.NewReplacer(" ", "-", ",", "", "/", "-").Replace(client) + ".txt"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(b.String()), 0o644); err != nil {
			return err
		}
	}
	return nil
}
