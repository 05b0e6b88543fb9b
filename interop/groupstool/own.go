package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/barnabas-mq/barnabas/interop/rig"
)

// Own runs `barnabas` as a user does, against any broker.
func Own(ctx context.Context, addr, stdin string, args ...string) (Output, error) {
	binary, err := rig.Binary(ctx)
	if err != nil {
		return Output{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append([]string{"--bootstrap", addr}, args...)...)
	cmd.Env = append(os.Environ(), "BARNABAS_BOOTSTRAP=")
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return Output{}, fmt.Errorf("run barnabas: %w", err)
	}
	return Output{Exit: cmd.ProcessState.ExitCode(), Out: out.String(), Err: errs.String()}, nil
}

// OwnCases are the actions of `barnabas groups`, which must print the same whichever broker answers; where Kafka's tool and ours write or
// read the same file, each reads what the other wrote. They use groups of their own, and leave none behind.
func OwnCases(w *World) ([]Case, error) {
	var out []Case
	add := func(name, stdin string, args ...string) {
		out = append(out, Case{Name: "barnabas groups: " + name, Args: append([]string{"groups"}, args...), Do: func(ctx context.Context, w *World) (Output, error) {
			return Own(ctx, w.Addr, stdin, append([]string{"groups"}, args...)...)
		}})
	}
	run := func(args ...string) { add(strings.Join(args, " "), "", args...) }
	anyOrder := func(args ...string) { // members stand in the order of their ids, which are random
		run(args...)
		out[len(out)-1].Any = true
	}
	do := func(name string, f func(context.Context, *World) (Output, error)) {
		out = append(out, Case{Name: "barnabas groups: " + name, Do: f})
	}

	run("list")
	run("list", "--sort", "lag", "-o", "json")
	run("list", "--state", "stable,preparingrebalance", "--quick")
	run("list", "--protocol", "connect")
	run("list", "nobody")
	anyOrder("describe", "--all")
	run("describe", live, wide, "-o", "json")
	run("describe", "e*", "--offsets", "-o", "yaml")
	anyOrder("describe", preparing, "--members", "--state")
	run("describe", "nobody")
	run("lag")
	run("lag", "--by", "partition", "--min", "1", "-o", "json")
	run("lag", empty, "--watch", "--rounds", "1")

	const mine, other = "own, 1", "own-2"
	run("reset-offsets", mine, "--topic", "t", "--to-offset", "4", "--execute")
	run("reset-offsets", mine, other, "--topic", "u", "--to-latest", "--execute")
	for _, to := range [][]string{{"--to-earliest"}, {"--to-latest"}, {"--to-current"}, {"--to-offset", "700"}, {"--shift-by", "-2"},
		{"--to-datetime", "2026-01-31T10:00:05"}, {"--to-datetime", "2027-01-31T10:00:05Z"}, {"--by-duration", "P3650D"}, {"--by-duration", "1h"}} {
		run(append([]string{"reset-offsets", mine, "--all-topics"}, to...)...)
	}
	run("reset-offsets", mine, "--topic", "t:1", "--shift-by", "3", "--execute", "-o", "json")
	run("reset-offsets", live, "--all-topics", "--to-earliest", "--execute")
	run("reset-offsets", completing, "--topic", "t", "--to-earliest", "--execute")
	run("reset-offsets", mine, "--topic", "nothing", "--to-earliest")
	run("export", mine)
	run("export", mine, other, "-o", "json")
	run("export", empty, "-o", "json")
	do("its CSV is what Kafka's tool exports", func(ctx context.Context, w *World) (Output, error) {
		ours, err := Own(ctx, w.Addr, "", "groups", "export", mine, empty)
		if err != nil {
			return ours, err
		}
		theirs, err := w.Tool.Run("--bootstrap-server", w.Addr, "--reset-offsets", "--group", mine, "--group", empty, "--all-topics", "--to-current", "--export", "--dry-run")
		if err != nil {
			return theirs, err
		}
		a, b := rowsOf(ours.Out), rowsOf(theirs.Out)
		if len(a) != 7 || !slices.Equal(a, b) {
			return ours, fmt.Errorf("barnabas exports\n%s\nand Kafka's tool\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
		}
		return ours, nil
	})
	do("Kafka's tool reads its CSV", func(ctx context.Context, w *World) (Output, error) {
		ours, err := Own(ctx, w.Addr, "", "groups", "export", mine, "--with-group")
		if err != nil {
			return ours, err
		}
		path, err := w.File("ours.csv", ours.Out)
		if err != nil {
			return ours, err
		}
		return w.Tool.Run("--bootstrap-server", w.Addr, "--reset-offsets", "--group", mine, "--from-file", path, "--dry-run", "--export")
	})
	add("import of a file of Kafka's tool", "t,2,1\nt,1,700\n\n", "import", "-", "--group", other)
	add("import for good", "\"own, 1\",t,0,1\nown-2,\"a-topic-with-more-than-24-letters\",0,2\n", "import", "-", "--execute")
	add("import into a live group", "live,t,0,1\n", "import", "-", "--execute")
	run("describe", mine, other, "--offsets")
	run("delete-offsets", mine, "--topic", "t:0", "--topic", "u")
	run("delete-offsets", mine, "--topic", "void")
	run("delete-offsets", live, "--topic", "t")
	run("export", mine)

	do("a static member goes without a word", func(ctx context.Context, w *World) (Output, error) {
		if err := w.Tool.Join(w.Addr, Member{Name: "own-static", Group: "own-static", Instance: "i-7", Topics: []string{"u"}, Owns: 1}); err != nil {
			return Output{}, err
		}
		return Output{}, w.Tool.Leave("own-static")
	})
	run("describe", "own-static", "--members")
	run("remove-members", "own-static", "--instance", "i-8")
	run("remove-members", "own-static", "--all", "--dry-run")
	run("remove-members", "own-static", "--instance", "i-7", "--reason", "scaled down")
	run("describe", "own-static", "--state")
	run("delete", live)
	run("delete", "own*", "--dry-run")
	run("delete", "own*")
	run("delete", "own*", "--yes")
	run("delete", mine)
	run("list", "own*")
	return out, nil
}

// rowsOf are the lines of a CSV, sorted: the tool writes them in the order of a hash table.
func rowsOf(csv string) []string {
	rows := strings.Split(strings.TrimSpace(csv), "\n")
	slices.Sort(rows)
	return rows
}
