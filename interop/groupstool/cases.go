package main

import (
	"context"
	"fmt"
)

// Case is one thing done to a world: a run of the tool or of the Admin client.
type Case struct {
	Name string
	Args []string // of the tool, behind --bootstrap-server ADDRESS; nil: Do does something else
	Do   func(ctx context.Context, w *World) (Output, error)
	Any  bool // the tool prints in the order in which the broker lists, which is that of a hash table: lines are compared sorted
}

// Step is what became of a case.
type Step struct {
	Case Case
	Output
}

// Play runs all cases in their order, those of our own command first: later ones stand on what earlier ones did.
func Play(ctx context.Context, w *World) ([]Step, error) {
	cases, err := Cases(w)
	if err != nil {
		return nil, err
	}
	own, err := OwnCases(w)
	if err != nil {
		return nil, err
	}
	var steps []Step
	cases = append(own, cases...)
	for _, c := range cases {
		var out Output
		if c.Do != nil {
			out, err = c.Do(ctx, w)
		} else {
			out, err = w.Tool.Run(append([]string{"--bootstrap-server", w.Addr}, c.Args...)...)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		steps = append(steps, Step{c, out})
	}
	return steps, nil
}

// Cases are every action of kafka-consumer-groups.sh, in its forms, and its errors.
func Cases(w *World) ([]Case, error) {
	var out []Case
	run := func(name string, args ...string) { out = append(out, Case{Name: name, Args: args}) }
	anyOrder := func(name string, args ...string) { out = append(out, Case{Name: name, Args: args, Any: true}) }
	do := func(name string, f func(context.Context, *World) (Output, error)) {
		out = append(out, Case{Name: name, Do: f})
	}
	reset := func(name, group string, args ...string) {
		run(name, append([]string{"--reset-offsets", "--group", group}, args...)...)
	}
	var fileErr error
	file := func(name, text string) string {
		path, err := w.File(name, text)
		if err != nil {
			fileErr = err
		}
		return path
	}

	anyOrder("list", "--list")
	anyOrder("list with states", "--list", "--state")
	anyOrder("list with types", "--list", "--type")
	anyOrder("list with both", "--list", "--type", "--state")
	anyOrder("list of stable and empty groups", "--list", "--state", "Stable,Empty")
	anyOrder("list of groups that rebalance, in small letters", "--list", "--state", "preparingrebalance, completingrebalance")
	anyOrder("list of classic groups", "--list", "--type", "classic")
	run("list of groups of the new protocol", "--list", "--type", "consumer")
	run("list of dead groups", "--list", "--state", "Dead")
	run("list of a state that is none", "--list", "--state", "bored")
	run("list of a type that is none", "--list", "--type", "new")
	run("list with a timeout", "--list", "--state", "Dead", "--timeout", "20000")

	for _, g := range []string{live, wide, empty, simple, preparing, completing, strange} {
		for _, how := range [][]string{nil, {"--offsets", "--verbose"}, {"--members"}, {"--members", "--verbose"}, {"--state"}, {"--state", "--verbose"}} {
			args := append([]string{"--describe", "--group", g}, how...)
			if len(how) > 0 && how[0] == "--members" { // in the order of their random ids' hashes
				anyOrder(fmt.Sprintf("describe %s %v", g, how), args...)
			} else {
				run(fmt.Sprintf("describe %s %v", g, how), args...)
			}
		}
	}
	run("describe several groups", "--describe", "--group", empty, "--group", simple, "--offsets")
	anyOrder("describe members of several groups", "--describe", "--group", wide, "--group", live, "--members")
	run("describe states of several groups", "--describe", "--group", wide, "--group", empty, "--state")
	run("describe with a timeout", "--describe", "--group", empty, "--timeout", "20000")
	run("describe a group that is not there", "--describe", "--group", "nobody")
	run("describe members of a group that is not there", "--describe", "--group", "nobody", "--members")
	run("describe the state of a group that is not there", "--describe", "--group", "nobody", "--state")
	run("describe a group of Connect", "--describe", "--group", connect)
	run("describe everything, with one of Connect among it", "--describe", "--all-groups")

	reset("reset to earliest", empty, "--topic", "t", "--to-earliest")
	reset("reset to earliest, one partition, as a dry run", empty, "--topic", "t:1", "--to-earliest", "--dry-run")
	reset("reset to latest, all topics", empty, "--all-topics", "--to-latest")
	reset("reset to latest, several topics", empty, "--topic", "t:0,2", "--topic", "u", "--to-latest")
	reset("reset to current", empty, "--topic", "t", "--topic", "u", "--to-current")
	reset("reset to an offset", empty, "--topic", "t", "--to-offset", "4")
	reset("reset beyond the end", empty, "--topic", "t:0", "--to-offset", "4000")
	reset("reset by a shift", empty, "--topic", "t:0,1", "--shift-by", "2")
	reset("reset backwards, before the start", empty, "--topic", "t", "--shift-by", "-4")
	reset("reset by a shift without a commit", empty, "--topic", "u", "--shift-by", "2")
	reset("reset to a time", empty, "--topic", "t", "--to-datetime", "2026-01-31T10:00:05.000")
	reset("reset to a time with a zone", empty, "--topic", "t", "--to-datetime", "2026-01-31T12:00:02.500+02:00")
	reset("reset to a time after the last record", empty, "--topic", "t:0", "--topic", "void", "--to-datetime", "2026-02-01T00:00:00.000Z")
	reset("reset to a time that is none", empty, "--topic", "t", "--to-datetime", "noon")
	reset("reset by a duration", empty, "--topic", "t", "--by-duration", "P3650D")
	reset("reset by a duration to before 1970", empty, "--topic", "t", "--by-duration", "P36500D")
	reset("reset by no duration", empty, "--topic", "t:2", "--by-duration", "PT0S")
	reset("reset by a duration that is none", empty, "--topic", "t", "--by-duration", "soon")
	reset("export of a plan", empty, "--topic", "t", "--to-latest", "--export")
	reset("export of what is committed", strange, "--all-topics", "--to-current", "--export")
	run("export of several groups", "--reset-offsets", "--group", strange, "--group", empty, "--all-topics", "--to-current", "--export")
	reset("reset of a live group", live, "--topic", "t", "--to-earliest", "--execute")
	reset("reset of a group that rebalances", preparing, "--topic", "t", "--to-earliest", "--execute")
	reset("reset of a group of Connect", connect, "--topic", "t", "--to-earliest", "--execute")
	reset("reset of a topic that is not there", empty, "--topic", "nothing", "--to-earliest")
	reset("reset of a partition that is not there", empty, "--topic", "t:9", "--to-earliest")
	reset("reset of a partition that is no number", empty, "--topic", "t:x", "--to-earliest")
	reset("reset without a scope", empty, "--to-earliest")
	reset("reset without a place", empty, "--topic", "t")
	reset("reset to two places", empty, "--topic", "t", "--to-earliest", "--to-latest")
	reset("reset, both dry and for good", empty, "--topic", "t", "--to-earliest", "--dry-run", "--execute")
	reset("reset of a group that is not there yet", "made-by-reset", "--topic", "t:0", "--to-offset", "6", "--execute")
	run("what that made", "--describe", "--group", "made-by-reset")
	reset("reset for good, to an offset", empty, "--topic", "t", "--to-offset", "2", "--execute")
	reset("reset for good, by a shift", empty, "--topic", "t:1", "--shift-by", "3", "--execute")
	run("what those did", "--describe", "--group", empty)
	reset("reset from a file", empty, "--from-file", file("one.csv", "t,0,1\n\"t\",2,9\nt,1,700\n"), "--execute")
	run("what that did", "--describe", "--group", empty, "--verbose")
	run("reset from a file with groups", "--reset-offsets", "--group", simple, "--group", empty, "--from-file", file("two.csv", "simple,u,0,4\nempty,t,0,5\n"), "--execute")
	run("what that did to both", "--describe", "--group", empty, "--group", simple)
	reset("reset from a file of another group", simple, "--from-file", file("other.csv", "empty,t,0,5\n"))
	reset("reset from a file that is not there", simple, "--from-file", "/does/not/exist.csv")
	reset("reset from a file of nonsense", simple, "--from-file", file("bad.csv", "t,zero,5\n"))

	deleteOffsets := func(name, group string, topics ...string) {
		args := []string{"--delete-offsets", "--group", group}
		for _, t := range topics {
			args = append(args, "--topic", t)
		}
		run(name, args...)
	}
	deleteOffsets("delete offsets of a topic that is read", live, "t")
	deleteOffsets("delete offsets of one that is read and one that is not", live, "t:0", "u")
	deleteOffsets("delete offsets of a partition", empty, "t:0")
	deleteOffsets("delete offsets of a topic", empty, "t", "u")
	run("what that left", "--describe", "--group", empty)
	deleteOffsets("delete offsets of a topic that is not there", simple, "nothing")
	deleteOffsets("delete offsets of a partition that is not there", simple, "u:9")
	deleteOffsets("delete offsets of a group that is not there", "nobody", "u")
	deleteOffsets("delete offsets of a group of Connect", connect, "t")
	deleteOffsets("delete offsets without a topic", empty)
	do("a topic is deleted under a group", func(ctx context.Context, w *World) (Output, error) { return Output{}, w.deleteTopic(ctx, "gone") })
	run("describe a group of which one topic is gone", "--describe", "--group", several)

	remove := func(name, group, reason string, instances ...string) {
		do(name, func(_ context.Context, w *World) (Output, error) {
			return w.Tool.Remove(w.Addr, group, reason, instances...)
		})
	}
	remove("remove an instance that is not there", wide, "", "i-9")
	remove("remove one that is there and one that is not", wide, "scaled down", "i-2", "i-9")
	do("until the others have shared its partitions", func(ctx context.Context, w *World) (Output, error) { return Output{}, w.untilStable(ctx, wide) })
	remove("remove members of a group that is not there", "nobody", "", "i-1")
	remove("remove all members of a group without any", simple, "")

	run("delete a live group", "--delete", "--group", live)
	run("delete a group that rebalances", "--delete", "--group", preparing)
	run("delete a group that is not there", "--delete", "--group", "nobody")
	run("delete one that lives and one that does not", "--delete", "--group", live, "--group", simple)
	run("what became of the one", "--describe", "--group", simple)
	run("delete a group", "--delete", "--group", strange)
	anyOrder("delete what is left", "--delete", "--group", empty, "--group", several, "--group", "made-by-reset")
	anyOrder("list in the end", "--list", "--state")

	run("no action")
	run("two actions", "--list", "--describe", "--group", empty)
	run("describe without a group", "--describe")
	run("an option that is none", "--list", "--nonsense")
	run("a regular expression that is valid", "--validate-regex", "t.*")
	run("a regular expression that is not", "--validate-regex", "t(")
	return out, fileErr
}
