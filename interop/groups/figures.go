package groups

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Figure is one line of a table in docs/prompt-notice.md, with holds and without.
type Figure struct {
	Table string `json:"table"` // one of NoticeTables
	Line  string `json:"line"`
	// On and Off are milliseconds, one for each time it was measured.
	On  []float64 `json:"on,omitempty"`
	Off []float64 `json:"off,omitempty"`
	// Cells are the columns of a table that has others.
	Cells []string `json:"cells,omitempty"`
}

// NoticeTables are the tables in their order: name, what is told of it, and the columns of those that do not tell times.
var NoticeTables = []struct {
	Name, Told string
	Columns    []string
}{
	{"leave", "Three members, nothing to read, heartbeats every 3 s, session 45 s. One leaves at any point of the interval; timed from its LeaveGroup to the JoinGroup of each of the\nother two. \"Auto-commit\" is Java's own every 5 s; \"50 ms away\" has 25 ms in each direction.", nil},
	{"close", "How long close() of a member took in the same runs.", nil},
	{"commit", "One member commits synchronously, as fast as it can or once per second, in turns on a broker that holds and on one that does not.", nil},
	{"peace", "A group is left alone. Answered heartbeats are those of the whole time; the longest is heartbeat-response-time-max of the Java client.",
		[]string{"Heartbeats answered, held", "off", "Joined again", "Complaints", "Longest, held", "off"}},
	{"lost", "A member vanishes during a hold: stopped (SIGSTOP), or every byte to and from it is swallowed. The session is 10 s; told is how long after its last heartbeat came the broker put it out.",
		[]string{"Stopped", "Swallowed"}},
	{"breaker", "Clients that a hold would harm, each with as many synchronous commits as it can make. Holds are those until it was left alone; the longest commits are before and after that.",
		[]string{"Holds", "Longest commit before", "after"}},
	{"many", "One group of many members, one connection each, raw: all of them are held, then one leaves. Timed from its LeaveGroup to the last answer.",
		[]string{"Held", "First answer", "Median", "Last", "CPU of the broker", "Memory of the broker per member, Stable", "and held"}},
}

// Keep writes the figure into a folder, times in their order.
func (f Figure) Keep(dir string) error {
	slices.Sort(f.On)
	slices.Sort(f.Off)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	name := strings.NewReplacer(" ", "-", ",", "", "/", "-", ":", "").Replace(f.Table + "." + f.Line)
	return os.WriteFile(filepath.Join(dir, name+".json"), append(text, '\n'), 0o644)
}

// LoadFigures reads all figures of a folder.
func LoadFigures(dir string) ([]Figure, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json")) // sorted
	if err != nil {
		return nil, err
	}
	var out []Figure
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var f Figure
		if err := json.Unmarshal(text, &f); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		out = append(out, f)
	}
	return out, nil
}

// NoticeHeading is where the figures begin in docs/prompt-notice.md.
const NoticeHeading = "## With real clients"

// NoticeSection is the figures' part of docs/prompt-notice.md, of which before is what it says now: a table that has no figures stays as it is there,
// since the two rows of held heartbeats measure different ones.
func NoticeSection(figures []Figure, before string) string {
	var b strings.Builder
	b.WriteString(NoticeHeading + "\n\nWritten by `go run ./groupsdoc -notice ../tmp/notice` in `interop/` from what the run kept (`go run ./tools/long -only \"held heartbeats\"`); do not edit. The members are processes of\n" +
		"their own, each behind a tap that writes down what passes. Every line was measured on two brokers at the same time, one that holds and one that does not\n" +
		"(`group.prompt.notice.enable=false`). Times are milliseconds; with less than a hundred of them p99 is the longest.\n")
	for _, table := range NoticeTables {
		lines := slices.DeleteFunc(slices.Clone(figures), func(f Figure) bool { return f.Table != table.Name })
		if len(lines) == 0 {
			if _, rows, ok := strings.Cut(before, table.Told+"\n\n"); ok {
				rows, _, _ = strings.Cut(rows, "\n\n")
				b.WriteString("\n" + table.Told + "\n\n" + strings.TrimRight(rows, "\n") + "\n")
			}
			continue
		}
		b.WriteString("\n" + table.Told + "\n\n")
		if table.Columns != nil {
			b.WriteString("| | " + strings.Join(table.Columns, " | ") + " |\n|---|" + strings.Repeat("---|", len(table.Columns)) + "\n")
		} else {
			b.WriteString("| | Times | Held: mean | p50 | p99 | Off: mean | p50 | p99 |\n|---|---|---|---|---|---|---|---|\n")
		}
		for _, f := range lines {
			if table.Columns != nil {
				fmt.Fprintf(&b, "| %s | %s |\n", f.Line, strings.Join(f.Cells, " | "))
				continue
			}
			times := fmt.Sprint(len(f.On))
			if len(f.Off) != len(f.On) {
				times += fmt.Sprintf(", %d", len(f.Off))
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", f.Line, times, spread(f.On), spread(f.Off))
		}
	}
	return b.String()
}

// spread is three columns: mean, p50, p99.
func spread(v []float64) string {
	if len(v) == 0 {
		return "- | - | -"
	}
	var sum float64
	for _, x := range v {
		sum += x
	}
	return strings.Join([]string{Millis(sum / float64(len(v))), Millis(Percentile(v, 50)), Millis(Percentile(v, 99))}, " | ")
}

// Percentile of values in any order: the smallest that so many in a hundred do not exceed.
func Percentile(v []float64, p float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[max(0, int(math.Ceil(float64(len(v))*p/100))-1)]
}

// Millis is a time as the tables have it.
func Millis(ms float64) string {
	if ms < 10 {
		return fmt.Sprintf("%.1f", ms)
	}
	return fmt.Sprintf("%.0f", ms)
}
