package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// explanation is one line of explained.txt.
type explanation struct {
	line               int
	key, versions      string
	caseGlob, pathGlob string
	a, b               string // patterns of the values
	reason             string
	used               int
}

// readExplained reads the table: `key | versions | case | path | reason`, where key is an API's name, versions is "*", "3" or "0-4", and
// case and path are patterns in which * stands for anything. A path may end in ` = A -> B`: then the row counts only where the first broker's
// value matches A and the second's B, so that an explanation of one difference does not hide another.
func readExplained(from string) ([]*explanation, error) {
	f, err := os.Open(from)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var table []*explanation
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		cells := strings.SplitN(text, "|", 5)
		if len(cells) != 5 {
			return nil, fmt.Errorf("%s:%d: want key | versions | case | path | reason", from, n)
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
			if cells[i] == "" {
				return nil, fmt.Errorf("%s:%d: cell %d is empty", from, n, i+1)
			}
		}
		x := &explanation{line: n, key: cells[0], versions: cells[1], caseGlob: cells[2], pathGlob: cells[3], a: "*", b: "*", reason: cells[4]}
		if path, values, pinned := strings.Cut(cells[3], " = "); pinned {
			x.pathGlob = path
			if x.a, x.b, pinned = strings.Cut(values, " -> "); !pinned {
				return nil, fmt.Errorf("%s:%d: want path = first broker's value -> second broker's value", from, n)
			}
		}
		table = append(table, x)
	}
	return table, lines.Err()
}

func (x *explanation) covers(apiName string, r row) bool {
	if !glob(x.key, apiName) || !glob(x.caseGlob, r.Case) || !glob(x.pathGlob, r.Path) || !glob(x.a, r.A) || !glob(x.b, r.B) {
		return false
	}
	if x.versions == "*" {
		return true
	}
	for _, v := range r.Versions {
		if !inRanges(x.versions, v) {
			return false
		}
	}
	return true
}

func inRanges(ranges string, v int16) bool {
	for _, part := range strings.Split(ranges, ",") {
		lo, hi, isRange := strings.Cut(part, "-")
		if !isRange {
			hi = lo
		}
		low, err1 := strconv.Atoi(lo)
		high, err2 := strconv.Atoi(hi)
		if err1 == nil && err2 == nil && int(v) >= low && int(v) <= high {
			return true
		}
	}
	return false
}

// glob matches text against a pattern in which * stands for any run of characters.
func glob(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	if !strings.HasPrefix(text, parts[0]) {
		return false
	}
	text = text[len(parts[0]):]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return strings.HasSuffix(text, parts[len(parts)-1])
}
