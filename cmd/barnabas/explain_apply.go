package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/barnabas-mq/barnabas/internal/journal"
	"github.com/barnabas-mq/barnabas/internal/sim"
)

// applyWindow is how long rates are measured for --apply-to.
const applyWindow = 5 * time.Second

// applyTo writes the group, as it is now and as its rebalances showed it, as a scenario for simulate: so that an advice can be tried before it is
// believed. The advice's own values come as a variant beside the group as it is.
func (a *app) applyTo(ctx context.Context, file, group string, f explainFlags, given map[string]string, incidents []journal.Incident) error {
	fmt.Fprintf(a.err, "measuring %s for %s\n", printable(group), applyWindow)
	text, err := a.scenarioOfGroup(ctx, &simulateFlags{fromGroup: group, window: applyWindow})
	if err != nil {
		return err
	}
	scenario := withObserved(string(text), observedSettings(f, given, incidents), advisedSettings(incidents))
	if _, err := sim.Load(file, []byte(scenario)); err != nil {
		return wrap(err, "checking the scenario of %s", group)
	}
	if err := os.WriteFile(file, []byte(scenario), 0o644); err != nil {
		return wrap(err, "writing the scenario")
	}
	fmt.Fprintf(a.err, "%s is written; try the advice: barnabas simulate %s --compare\n", printable(file), printable(file))
	return nil
}

// settingLine is one line of a scenario with where its value is from.
type settingLine struct{ name, value, from string }

// observedSettings are what the group's rebalances, or a person, say of its members: timeouts as they joined with, the work on a record.
func observedSettings(f explainFlags, given map[string]string, incidents []journal.Incident) (out []settingLine) {
	if f.recordTime > 0 {
		out = append(out, settingLine{"processing.time", f.recordTime.String(), "given"})
	}
	if v := given["max.poll.records"]; v != "" {
		out = append(out, settingLine{"max.poll.records", v, "given"})
	}
	session, rebalance := time.Duration(0), time.Duration(0)
	for _, inc := range incidents { // the last word of each counts
		for _, m := range inc.Members {
			if m.Change == journal.Gone || m.Change == journal.Passed {
				continue
			}
			if m.SessionTimeout != nil {
				session = m.SessionTimeout.D()
			}
			if m.RebalanceTimeout != nil {
				rebalance = m.RebalanceTimeout.D()
			}
		}
	}
	if session > 0 {
		out = append(out, settingLine{"session.timeout.ms", fmt.Sprint(session.Milliseconds()), "observed"})
		if beat := given["heartbeat.interval.ms"]; beat != "" {
			out = append(out, settingLine{"heartbeat.interval.ms", beat, "given"})
		} else if session < 9*time.Second { // Kafka's default of 3 s would not do
			out = append(out, settingLine{"heartbeat.interval.ms", fmt.Sprint((session / 3).Milliseconds()), "a third of the session; the group's own is not to be seen"})
		}
	}
	if rebalance > 0 {
		out = append(out, settingLine{"max.poll.interval.ms", fmt.Sprint(rebalance.Milliseconds()), "observed: the rebalance timeout"})
	}
	return out
}

// advisedSettings are those that the advice of the latest rebalances names with a value.
func advisedSettings(incidents []journal.Incident) (out []settingLine) {
	for i := len(incidents) - 1; i >= 0 && len(out) == 0; i-- {
		for _, ad := range incidents[i].Advice {
			switch ad.Setting {
			case "max.poll.records", "session.timeout.ms", "heartbeat.interval.ms", "max.poll.interval.ms":
				if ad.Value != "" {
					out = append(out, settingLine{ad.Setting, ad.Value, "advised for " + incidents[i].ID})
				}
			}
		}
	}
	return out
}

// withObserved puts settings into every fleet of a scenario, in place of what it guessed, and the advice as a variant to compare with.
func withObserved(scenario string, observed, advised []settingLine) string {
	var b strings.Builder
	inMembers := false
	for line := range strings.Lines(scenario) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		replaced := false
		for _, s := range observed {
			replaced = replaced || inMembers && name == s.name
		}
		if !replaced {
			b.WriteString(line)
		}
		if strings.HasPrefix(line, "members:") {
			inMembers = true
		}
		if inMembers && strings.HasPrefix(line, "  - name:") {
			for _, s := range observed {
				fmt.Fprintf(&b, "    %s: %s # %s\n", s.name, s.value, s.from)
			}
		}
	}
	if len(advised) > 0 {
		b.WriteString("compare:\n  - name: as it is\n    set: {}\n  - name: as advised\n    set: {")
		for i, s := range advised {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "%s: %s", s.name, s.value)
		}
		b.WriteString("}\n")
	}
	return b.String()
}
