package sim

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A pause that is much shorter than the time between two points of the curve is seen in it.
func TestTheCurveShowsShortPauses(t *testing.T) {
	sc := parse(t, "duration: 10h\nevents: [{at: 30m, do: restart, member: c2}, {at: 8h, do: restart, member: c2}]", "partition.assignment.strategy", "sticky")
	r, err := Run(sc, Options{Seed: 1, Record: 1000})
	if err != nil {
		t.Fatal(err)
	}
	high, last := 0, int64(0)
	for _, p := range r.Recorded.Points {
		if p.Total > 12 && last <= 12 {
			high++
		}
		last = p.Total
	}
	if high != 2 || r.LagTotal < 100 || len(r.Recorded.Points) != samplesOf+1 {
		t.Errorf("%d hills in %d points, the highest %d; want one for each restart", high, len(r.Recorded.Points), r.LagTotal)
	}
}

// A partition that is paused twice within one column of a picture is one partition: no column has more than there are.
func TestLanesDrawnTogetherCountAPartitionOnce(t *testing.T) {
	rec := &Recorded{Members: []string{"c1"}}
	for p := range int32(lanesEachMost + 1) {
		rec.Partitions = append(rec.Partitions, fmt.Sprint("orders-", p))
		at := time.Duration(0)
		for k := range time.Duration(40) {
			rec.Segments = append(rec.Segments, Segment{Partition: p, Member: int32(k%2) - 1, From: at, To: at + time.Second})
			at += time.Second
		}
	}
	page, err := HTML(Page{Name: "x", Runs: []PageRun{{Name: "y", Result: &Result{Time: time.Hour, Paused: 78667630 * time.Millisecond, Recorded: rec}}}})
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	if want := fmt.Sprintf("%d of %d<", lanesEachMost+1, lanesEachMost+1); !strings.Contains(text, want) {
		t.Errorf("%q is missing", want)
	}
	columns := regexp.MustCompile(`: (\d+) partitions<`).FindAllStringSubmatch(text, -1)
	if len(columns) != 6 { // forty seconds of an hour in five hundred columns of 7.2 s
		t.Errorf("%d columns", len(columns))
	}
	for _, c := range columns {
		if n, _ := strconv.Atoi(c[1]); n > lanesEachMost+1 {
			t.Errorf("a column of %d partitions, of %d", n, lanesEachMost+1)
		}
	}
	if strings.Contains(text, "lanes end early") {
		t.Error("nothing is missing, and the report says that something is")
	}
	if !strings.Contains(text, "78\u2009668<") {
		t.Error("a large number is not rounded and parted as the others are")
	}
}
