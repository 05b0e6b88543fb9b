package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/barnabas-mq/barnabas/interop/explained"
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
func readExplained(from string) (table []*explanation, err error) {
	err = explained.Rows(from, []string{"API", "path = value -> value", "when", "reason"}, func(line int, cells []string) error {
		when, end, ends := strings.Cut(cells[2], ";")
		if ends && strings.TrimSpace(end) != "end" {
			return errors.New("only end may stand behind a condition")
		}
		path, values, ok := strings.Cut(cells[1], " = ")
		a, b, two := strings.Cut(values, " -> ")
		x := &explanation{line: line, api: cells[0], path: path, a: a, b: b, when: strings.TrimSpace(when), ends: ends, reason: cells[3]}
		if !ok || !two || x.when == "" {
			return errors.New("want API | path = value -> value | when | reason")
		}
		table = append(table, x)
		return nil
	})
	return table, err
}

// covers reports whether x explains d in a step that brought the first broker's answers.
func (x *explanation) covers(d *difference, answers []entry) bool {
	if !explained.Glob(x.api, d.api) || !explained.Glob(x.path, d.path) || !explained.Glob(x.a, d.a) || !explained.Glob(x.b, d.b) {
		return false
	}
	return x.when == "*" || slices.ContainsFunc(answers, func(e entry) bool { return explained.Glob(x.when, e.api+" "+e.summary()) })
}
