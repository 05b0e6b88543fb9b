package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/barnabas-mq/barnabas/internal/journal"
	"github.com/barnabas-mq/barnabas/internal/observe"
)

// alertTimeout bounds one run of --exec, so that a command that hangs does not stop the watch.
const alertTimeout = 30 * time.Second

// watchReading tells each rebalance as it ends, from the journal or the offsets topic.
func (a *app) watchReading(ctx context.Context, r *observe.Reading, group string, f explainFlags, given map[string]string) error {
	a.watching(group)
	told := map[string]journal.Cause{}
	err := r.Follow(ctx, group, func(inc journal.Incident) {
		cause, known := told[inc.ID]
		if !inc.Stage.Over() || known && cause == inc.Cause { // told already, and the sequel changed nothing
			return
		}
		if len(told) > 10_000 {
			clear(told)
		}
		told[inc.ID] = inc.Cause
		f.give(&inc, given)
		a.alert(ctx, inc, f.exec)
	})
	if err != nil {
		return wrap(err, "watching %s", group)
	}
	return nil
}

// watchDescribe watches a group by asking again and again; it needs no right but to describe the group.
func (a *app) watchDescribe(ctx context.Context, group string, f explainFlags, given map[string]string) error {
	cl, err := a.client(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	a.watching(group)
	fmt.Fprintln(a.err, "note: by describe calls: members' comings and goings are seen, their reasons are not")
	l := observe.Live{Group: group, Every: 500 * time.Millisecond, Now: a.now}
	return l.Watch(ctx, cl, func(inc journal.Incident) {
		f.give(&inc, given)
		a.alert(ctx, inc, f.exec)
	}, func(at time.Time, state string) {
		if a.output == "table" {
			fmt.Fprintf(a.out, "%s UTC  %s\n", at.UTC().Format("15:04:05.000"), printable(state))
		}
	})
}

func (a *app) watching(group string) {
	fmt.Fprintf(a.err, "watching %s; ctrl-C ends it\n", printable(group))
}

func (a *app) describeOnce(ctx context.Context, group string) (*observe.Seen, error) {
	cl, err := a.client(ctx)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	return observe.Describe(ctx, cl, group)
}

// alert prints one incident and runs the command of --exec for it. The incident goes to the command's standard input as JSON and its main fields
// into the environment; nothing of it becomes part of the command line, since names of groups and clients are anybody's.
func (a *app) alert(ctx context.Context, inc journal.Incident, command string) {
	line, err := json.Marshal(inc)
	if err != nil {
		fmt.Fprintf(a.err, "note: incident %s: %v\n", printable(inc.ID), err)
		return
	}
	switch a.output {
	case "json":
		fmt.Fprintf(a.out, "%s\n", line)
	case "yaml":
		fmt.Fprintln(a.out, "---")
		if err := encodeYAML(a.out, inc); err != nil {
			fmt.Fprintf(a.err, "note: incident %s: %v\n", printable(inc.ID), err)
		}
	default:
		fmt.Fprintln(a.out)
		a.tell(a.out, &inc)
	}
	if command == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, alertTimeout)
	defer cancel()
	shell := []string{"sh", "-c"}
	if runtime.GOOS == "windows" {
		shell = []string{"cmd", "/C"}
	}
	cmd := exec.CommandContext(ctx, shell[0], shell[1], command)
	cmd.WaitDelay = time.Second
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(append(line, '\n')), a.err, a.err
	member := ""
	if m := inc.Trigger.Member; m != nil {
		member = m.Name()
	}
	cmd.Env = append(os.Environ(), "BARNABAS_GROUP="+env(inc.Group), "BARNABAS_INCIDENT="+env(inc.ID), "BARNABAS_CAUSE="+env(string(inc.Cause)), "BARNABAS_TITLE="+env(inc.Title),
		"BARNABAS_CONFIDENCE="+env(string(inc.Confidence)), "BARNABAS_MEMBER="+env(member))
	if err := cmd.Run(); err != nil && ctx.Err() == nil {
		fmt.Fprintf(a.err, "note: --exec: %v\n", err)
	} else if ctx.Err() == context.DeadlineExceeded {
		fmt.Fprintf(a.err, "note: --exec took longer than %s and was ended\n", alertTimeout)
	}
}

// env makes a value fit for the environment, which knows no zero bytes, and keeps terminals of those who print it from harm.
func env(s string) string { return printable(s) }
