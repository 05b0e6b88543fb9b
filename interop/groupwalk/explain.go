package main

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
)

// explanation is one line of explained.txt.
type explanation struct {
	line      int
	api, path string
	a, b      string
	when      string // what the step must have brought, as "API ERROR", at the first broker; "" for anything
	ends      bool   // the brokers are in different states afterwards, on purpose: the walk ends here
	reason    string
}

// readExplained reads the table: `API | path = first broker's value -> second broker's value | when | reason`, where * stands for anything. The API
// "group" stands for how a group looks between the steps. When is "*", or an API and an error code that the same step brought; behind it may stand
// "; end": the brokers part here on purpose, and what comes later is not compared.
func readExplained(from string) ([]*explanation, error) {
	f, err := os.Open(from)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var table []*explanation
	in := bufio.NewScanner(f)
	for n := 1; in.Scan(); n++ {
		text := strings.TrimSpace(in.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		cells := strings.SplitN(text, "|", 4)
		if len(cells) != 4 {
			return nil, fmt.Errorf("%s:%d: want API | path = value -> value | when | reason", from, n)
		}
		when, end, ends := strings.Cut(strings.TrimSpace(cells[2]), ";")
		if ends && strings.TrimSpace(end) != "end" {
			return nil, fmt.Errorf("%s:%d: only end may stand behind a condition", from, n)
		}
		path, values, ok := strings.Cut(strings.TrimSpace(cells[1]), " = ")
		a, b, two := strings.Cut(values, " -> ")
		x := &explanation{line: n, api: strings.TrimSpace(cells[0]), path: path, a: a, b: b, when: strings.TrimSpace(when), ends: ends, reason: strings.TrimSpace(cells[3])}
		if !ok || !two || x.api == "" || x.when == "" || x.reason == "" {
			return nil, fmt.Errorf("%s:%d: want API | path = value -> value | when | reason", from, n)
		}
		table = append(table, x)
	}
	return table, in.Err()
}

// covers reports whether x explains d in a step that brought the first broker's answers.
func (x *explanation) covers(d *difference, answers []entry) bool {
	if !glob(x.api, d.api) || !glob(x.path, d.path) || !glob(x.a, d.a) || !glob(x.b, d.b) {
		return false
	}
	return x.when == "*" || slices.ContainsFunc(answers, func(e entry) bool { return glob(x.when, e.api+" "+e.summary()) })
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
