package groups

import (
	"fmt"
	"regexp"
	"sort"
	"strings"
	"time"
)

// Pair is a place in two transcripts side by side: both have the line, or one of them.
type Pair struct{ A, B *Line }

// Merge lays two transcripts side by side, with as many lines together as their order allows.
func Merge(a, b []Line) []Pair {
	// common[i][j] is the length of the longest common subsequence of a[i:] and b[j:].
	common := make([][]int, len(a)+1)
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	same := func(i, j int) bool { return a[i].Normal() == b[j].Normal() }
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if same(i, j) {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out []Pair
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && same(i, j):
			out = append(out, Pair{&a[i], &b[j]})
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			out = append(out, Pair{A: &a[i]})
			i++
		default:
			out = append(out, Pair{B: &b[j]})
			j++
		}
	}
	return out
}

// SideBySide is one cell on two brokers as text. A time of "-" means that this broker's run has no such line.
func SideBySide(a, b Row) string {
	var out strings.Builder
	head := func(r Row) string {
		s := r.Broker + ": " + r.Result
		if r.TookMs > 0 {
			s += fmt.Sprintf(", %.2f s", float64(r.TookMs)/1000)
		}
		return s
	}
	fmt.Fprintf(&out, "== %s\n   %s\n   %s\n", a.Scenario, head(a), head(b))
	at := func(l *Line) string {
		if l == nil {
			return "-"
		}
		return fmt.Sprintf("%.2f", l.At.Seconds())
	}
	for _, p := range Merge(a.Lines, b.Lines) {
		l := p.A
		if l == nil {
			l = p.B
		}
		member := l.Member
		if member == "" {
			member = "--"
		}
		fmt.Fprintf(&out, "%7s %7s  %s %s\n", at(p.A), at(p.B), member, blankThrottle.ReplaceAllString(l.Text, ""))
	}
	return out.String()
}

// What a line loses on the way to its shape: whose id it is, which generation, who exactly is in a list, and what the client said of itself.
var blurs = []struct {
	what *regexp.Regexp
	into string
}{
	{blankThrottle, ""},
	{regexp.MustCompile(`reason=("(\\.|[^"\\])*"|null)`), ""},
	{regexp.MustCompile(`\b[A-Z][0-9]+\b`), "ID"},
	{blankID, "ID"},
	{regexp.MustCompile(`generation=[0-9]+`), "generation=N"},
	{regexp.MustCompile(`(session|rebalance)=[0-9]+`), ""},
	{regexp.MustCompile(`keys=\[[^\]]*\]`), "keys"},
	{regexp.MustCompile(`protocols=\[[^\]]*\]`), "protocols"},
	{regexp.MustCompile(`protocol=null\b`), "protocol=(null)"}, // which is not the name of one
	{regexp.MustCompile(`protocol=[A-Za-z][A-Za-z-]*`), "protocol=P"},
	{regexp.MustCompile(`assigns=\[[^\]]*\]`), ""},
	{regexp.MustCompile(`members=\[[^\]]+\]`), "members=[...]"},
	{regexp.MustCompile(`assignment=\{[^}]+\}`), "assignment={...}"},
	{regexp.MustCompile(`assignment=[1-9][0-9]* bytes`), "assignment=bytes"},
	{regexp.MustCompile(` instance=[^\s:\]]+`), ""},
}

// Shape is what kind of answer a line shows: the API and version, every error code, and which fields are null, empty or filled. It does
// not show who asked, or whether a member is static. Runs differ in when a
// member learns of something; what a broker may say at all does not.
func (l Line) Shape() string {
	s := l.Text
	for _, b := range blurs {
		s = b.what.ReplaceAllString(s, b.into)
	}
	return strings.Join(strings.Fields(s), " ")
}

// Shapes are all shapes of some rows, each with the cells that have it.
func Shapes(rows map[string]map[Scenario]Row) map[string][]string {
	out := map[string][]string{}
	for client, cells := range rows {
		for scenario, r := range cells {
			seen := map[string]bool{}
			for _, l := range r.Lines {
				if s := l.Shape(); l.Member != "" && !seen[s] {
					seen[s] = true
					out[s] = append(out[s], client+"/"+string(scenario))
				}
			}
		}
	}
	for s := range out {
		sort.Strings(out[s])
	}
	return out
}

// seconds is a time as the matrix shows it.
func seconds(ms int64) string {
	return fmt.Sprintf("%.1f", (time.Duration(ms) * time.Millisecond).Seconds())
}
