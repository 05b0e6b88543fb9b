package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"time"

	"github.com/barnabas-mq/barnabas/interop/rig"
)

// explained is what is read of `barnabas explain -o json`.
type explained struct {
	Incidents []incident `json:"incidents"`
}

type incident struct {
	ID         string    `json:"incident"`
	Kind       string    `json:"kind"`
	Began      time.Time `json:"began"`
	Cause      string    `json:"cause"`
	Or         string    `json:"or"`
	Confidence string    `json:"confidence"`
	Missing    []string  `json:"missing"`
	Trigger    struct {
		Member struct {
			Client string `json:"client"`
		} `json:"member"`
	} `json:"trigger"`
	Chain []struct {
		Cause  string `json:"cause"`
		Member struct {
			Client string `json:"client"`
		} `json:"member"`
	} `json:"chain"`
	GenerationBefore int `json:"generation_before"`
	GenerationAfter  int `json:"generation_after"`
}

// ask has every group explained.
func ask(ctx context.Context, b *rig.Broker, title string, r rule, truths []truth, more ...string) (column, error) {
	c := column{title: title, rule: r, answer: map[string]answer{}, order: truths}
	binary, err := rig.Binary(ctx)
	if err != nil {
		return c, err
	}
	for _, t := range truths {
		args := append([]string{"explain", t.Group, "--bootstrap", b.Addr, "--all", "-o", "json", "--since", "1h"}, more...)
		out, err := exec.CommandContext(ctx, binary, args...).Output()
		if err != nil {
			text := ""
			if exit, ok := err.(*exec.ExitError); ok {
				text = string(exit.Stderr)
			}
			return c, fmt.Errorf("barnabas %v: %w: %s", args, err, text)
		}
		var e explained
		if err := json.Unmarshal(out, &e); err != nil {
			return c, fmt.Errorf("barnabas %v printed %.300s: %w", args, out, err)
		}
		c.answer[t.Name] = e.of(t, r.quiet)
	}
	return c, nil
}

// slack is what clocks and timestamps of records may be off.
const slack = 400 * time.Millisecond

// of is what was said of the first thing that happened to the group when the case was made to happen.
func (e explained) of(t truth, quiet bool) answer {
	for _, in := range e.Incidents {
		if in.Began.Before(t.Began.Add(-slack)) || in.Began.After(t.Ended) {
			continue
		}
		detail, _ := json.Marshal(in)
		a := answer{cause: in.Cause, or: in.Or, confidence: in.Confidence, who: in.Trigger.Member.Client, missing: len(in.Missing) > 0, detail: fmt.Sprintf("%.1200s", detail)}
		if quiet && t.Quiet && in.Kind == "rebalance" {
			a.cause, a.or = "a rebalance ("+in.Cause+")", ""
		}
		return a
	}
	if t.Quiet || t.Cause == nothing {
		return answer{cause: t.Cause, confidence: "nothing to tell"}
	}
	return answer{missing: true, confidence: "not seen", detail: fmt.Sprintf("%d incidents, none between %s and %s", len(e.Incidents), t.Began.UTC().Format(time.TimeOnly), t.Ended.UTC().Format(time.TimeOnly))}
}
