package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/internal/journal"
)

// TestDemoSlowConsumer runs the demo ten times as fast, on a real broker with real consumers, and wants its explanation to be the true one.
func TestDemoSlowConsumer(t *testing.T) {
	pace := demoPace{perRecord: 150 * time.Millisecond, rebalanceTimeout: 500 * time.Millisecond, heartbeat: 100 * time.Millisecond, before: 20 * time.Millisecond}
	for _, form := range []string{"table", "json"} {
		var out, errs bytes.Buffer
		a := newApp(strings.NewReader(""), &out, &errs, func(string) string { return "" })
		a.output = form
		if err := a.demoSlowConsumer(t.Context(), pace, false); err != nil {
			t.Fatalf("%v\n%s%s", err, out.String(), errs.String())
		}
		if form == "json" {
			e := decode[explanation](t, out.String())
			if len(e.Incidents) < 3 || e.Source != journal.FromJournal {
				t.Errorf("%d incidents from %s", len(e.Incidents), e.Source)
			}
			return
		}
		text := out.String()
		for _, want := range []string{"its commit is refused: UNKNOWN_MEMBER_ID", "for slow at 127.0.0.1, which did not rejoin in time",
			"C08, a member did not rejoin in time (measured)", "10 x 0.15 s = 1.5 s > 0.5 s"} {
			if !strings.Contains(text, want) {
				t.Errorf("the demo does not say %q:\n%s", want, text)
			}
		}
		if !regexp.MustCompile(`[1-9][0-9]* records were done twice`).MatchString(text) {
			t.Errorf("nothing was done twice:\n%s", text)
		}
	}
}
