package main

import (
	"bufio"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
)

var (
	uuid    = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	clock   = regexp.MustCompile(`20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (group=)`) // when a round of --watch was
	port    = regexp.MustCompile(`(\bport"?:) \d+`)
	node    = regexp.MustCompile(`(HOST:PORT\s+)\(\d+\)`)
	runtime = regexp.MustCompile(`0x[0-9a-f]{8,}|@[0-9a-f]{5,8}\b`) // addresses of Java objects and lambdas in stack traces
)

// blank hides what must differ between two brokers and nothing else: the random part of member ids, the broker's address and its node id, and
// the times of a watch.
// Lengths stay, so that the columns do.
func blank(text, addr string) string {
	text = uuid.ReplaceAllString(text, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")
	text = strings.ReplaceAll(text, addr, "HOST:PORT")
	text = port.ReplaceAllString(text, "$1 0")
	text = clock.ReplaceAllString(text, "TIME $1")
	text = node.ReplaceAllString(text, "$1(ID)")
	return runtime.ReplaceAllString(text, "OBJECT")
}

// Difference is one line that one broker's run has and the other's has not.
type Difference struct {
	Case string
	Only string // which side
	Line string
}

func (d Difference) String() string { return fmt.Sprintf("%s: only %s: %s", d.Case, d.Only, d.Line) }

// Side is the transcript of one broker.
type Side struct {
	Name, Addr string
	Steps      []Step
}

// lines is what one step comes to: exit code, stdout, stderr.
func (s Side) lines(i int) []string {
	st := s.Steps[i]
	out := []string{fmt.Sprintf("exit %d", st.Exit)}
	for _, part := range []struct{ mark, text string }{{"", st.Out}, {"stderr: ", st.Err}} {
		text := strings.Split(strings.TrimRight(blank(part.text, s.Addr), "\n"), "\n")
		if st.Case.Any {
			slices.Sort(text)
		}
		for _, l := range text {
			out = append(out, part.mark+strings.TrimRight(l, " "))
		}
	}
	return out
}

// Compare lists the differences of two sides that ran the same cases.
func Compare(a, b Side) ([]Difference, error) {
	if len(a.Steps) != len(b.Steps) {
		return nil, fmt.Errorf("%s ran %d cases, %s %d", a.Name, len(a.Steps), b.Name, len(b.Steps))
	}
	var out []Difference
	for i := range a.Steps {
		name := a.Steps[i].Case.Name
		onlyA, onlyB := diff(a.lines(i), b.lines(i))
		for _, l := range onlyA {
			out = append(out, Difference{name, a.Name, l})
		}
		for _, l := range onlyB {
			out = append(out, Difference{name, b.Name, l})
		}
	}
	return out, nil
}

// diff is what is in one list and not in the other, by the longest common subsequence: order counts.
func diff(a, b []string) (onlyA, onlyB []string) {
	long := make([][]int, len(a)+1)
	for i := range long {
		long[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				long[i][j] = long[i+1][j+1] + 1
			} else {
				long[i][j] = max(long[i+1][j], long[i][j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		switch {
		case a[i] == b[j]:
			i, j = i+1, j+1
		case long[i+1][j] >= long[i][j+1]:
			onlyA, i = append(onlyA, a[i]), i+1
		default:
			onlyB, j = append(onlyB, b[j]), j+1
		}
	}
	return append(onlyA, a[i:]...), append(onlyB, b[j:]...)
}

// Explanation is a line of explained.txt: case | side | line | why. Case and line are shell patterns.
type Explanation struct {
	caseGlob, side, line, why string
	used                      bool
}

// ReadExplained reads the differences that are meant.
func ReadExplained(file string) ([]*Explanation, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []*Explanation
	sc := bufio.NewScanner(f)
	for n := 1; sc.Scan(); n++ {
		line := strings.TrimSpace(sc.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		cells := strings.SplitN(line, " | ", 4)
		if len(cells) != 4 || strings.TrimSpace(cells[3]) == "" {
			return nil, fmt.Errorf("%s:%d: want case | side | line | why", file, n)
		}
		for _, c := range []string{cells[0], cells[2]} {
			if _, err := path.Match(c, ""); err != nil {
				return nil, fmt.Errorf("%s:%d: %q: %w", file, n, c, err)
			}
		}
		out = append(out, &Explanation{caseGlob: cells[0], side: cells[1], line: cells[2], why: cells[3]})
	}
	return out, sc.Err()
}

// covers reports whether the difference is meant, and remembers that the explanation was needed.
func (e *Explanation) covers(d Difference) bool {
	match := func(pattern, text string) bool {
		ok, _ := path.Match(pattern, strings.ReplaceAll(text, "/", "\\")) // a '/' is a letter like any other here
		return ok
	}
	if e.side == d.Only && match(e.caseGlob, d.Case) && match(strings.ReplaceAll(e.line, "/", `\\`), d.Line) {
		e.used = true
		return true
	}
	return false
}

// Unexplained are the differences that nobody means, and the explanations that nothing needs.
func Unexplained(differences []Difference, explained []*Explanation) (open []Difference, stale []string) {
	for _, d := range differences {
		if !slices.ContainsFunc(explained, func(e *Explanation) bool { return e.covers(d) }) {
			open = append(open, d)
		}
	}
	for _, e := range explained {
		if !e.used {
			stale = append(stale, e.caseGlob+" | "+e.side+" | "+e.line)
		}
	}
	return open, stale
}
