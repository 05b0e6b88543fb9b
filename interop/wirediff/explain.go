package main

import (
	"errors"
	"strconv"
	"strings"

	"github.com/barnabas-mq/barnabas/interop/explained"
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
func readExplained(from string) (table []*explanation, err error) {
	err = explained.Rows(from, []string{"key", "versions", "case", "path", "reason"}, func(line int, cells []string) error {
		x := &explanation{line: line, key: cells[0], versions: cells[1], caseGlob: cells[2], pathGlob: cells[3], a: "*", b: "*", reason: cells[4]}
		if path, values, pinned := strings.Cut(cells[3], " = "); pinned {
			x.pathGlob = path
			if x.a, x.b, pinned = strings.Cut(values, " -> "); !pinned {
				return errors.New("want path = first broker's value -> second broker's value")
			}
		}
		table = append(table, x)
		return nil
	})
	return table, err
}

func (x *explanation) covers(apiName string, r row) bool {
	if !explained.Glob(x.key, apiName) || !explained.Glob(x.caseGlob, r.Case) || !explained.Glob(x.pathGlob, r.Path) || !explained.Glob(x.a, r.A) || !explained.Glob(x.b, r.B) {
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
