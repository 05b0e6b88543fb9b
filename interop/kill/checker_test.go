package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// The run is worth what its checker notices: each promise broken once.
func TestTheCheckerNotices(t *testing.T) {
	type rec struct{ producer, n int }
	for name, tc := range map[string]struct {
		log     []rec
		skipped int64 // offsets missing before the last record
		acked   []int64
		want    string
	}{
		"nothing wrong":                         {log: []rec{{0, 0}, {1, 0}, {0, 1}}, acked: []int64{0, 1}},
		"a record twice":                        {log: []rec{{0, 0}, {0, 1}, {0, 1}}, acked: []int64{0, 1}, want: "twice"},
		"a record missing in the middle":        {log: []rec{{0, 0}, {0, 2}}, acked: []int64{0, 1, 2}, want: "came before 1"},
		"records exchanged":                     {log: []rec{{0, 1}, {0, 0}}, acked: []int64{0, 1}, want: "came before 0"},
		"the last acknowledged record missing":  {log: []rec{{0, 0}}, acked: []int64{0, 1}, want: "was acknowledged"},
		"every record of a producer missing":    {acked: []int64{0}, want: "was acknowledged"},
		"an offset missing":                     {log: []rec{{0, 0}, {0, 1}}, skipped: 1, acked: []int64{0, 1}, want: "follows"},
		"a record sent and never acknowledged":  {log: []rec{{0, 0}, {0, 1}}, acked: []int64{0}, want: "1 were acknowledged"},
		"a record that is not one of the run's": {log: []rec{{-1, 0}}, want: "not one of our records"},
	} {
		t.Run(name, func(t *testing.T) {
			check := newChecker(1)
			var err error
			for i, r := range tc.log {
				value := fmt.Sprintf("%d/%d/padding", r.producer, r.n)
				if r.producer < 0 {
					value = "garbage"
				}
				at := int64(i)
				if i == len(tc.log)-1 {
					at += tc.skipped
				}
				if err = check.record(&kgo.Record{Value: []byte(value), Offset: at}); err != nil {
					break
				}
			}
			if err == nil {
				l := newLoad(settings{})
				l.sent[stream{}] = 2
				if len(tc.acked) == 1 && len(tc.log) == 0 {
					l.sent[stream{}] = 1
				}
				l.acks[stream{}] = tc.acked
				err = check.compare(l)
			}
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("found fault: %v", err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}

func TestTheCommittersNotice(t *testing.T) {
	for _, c := range []struct {
		name            string
		at, acked, sent int64
		wrong           bool
	}{
		{"what was acknowledged", 7, 7, 7, false},
		{"sent, and the answer was lost", 8, 7, 8, false},
		{"taken back", 6, 7, 8, true},
		{"never sent", 9, 7, 8, true},
	} {
		if err := verdict("g", c.at, c.acked, c.sent); (err != nil) != c.wrong {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
