package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/barnabas-mq/barnabas/internal/journal"
	"github.com/barnabas-mq/barnabas/internal/sim"
	"github.com/barnabas-mq/barnabas/scenarios"
)

// simulateFlags are the flags of simulate.
type simulateFlags struct {
	compare, timeline, show, schema bool
	seeds                           int
	seed                            int64
	set, events                     []string
	html, fromGroup, save           string
	window                          time.Duration
}

// seedsMax is how many runs of one variant are kept side by side, runsMax of all variants.
const (
	seedsMax = 100_000
	runsMax  = 500_000
)

func newSimulateCommand(a *app) *cobra.Command {
	f := &simulateFlags{}
	c := &cobra.Command{
		Use:   "simulate [FILE|NAME]",
		Short: "What would a rebalance cost? Run a group in virtual time",
		Long: `Run a consumer group in virtual time and say what it would cost: rebalances, partitions moved, pauses, duplicates, lag.

The coordinator and the assignors are those of the broker, unchanged; clients, records and network are models. A run depends on the
scenario and the seed alone: the same two give the same run on every machine, told by the same trace hash.

A scenario is a small YAML file, or the name of one that is built in; without either the built-in ones are listed. --show prints one to
start from, --schema the JSON schema of all fields. docs/simulate.md walks from a question to an answer.

--compare runs the scenario with each assignor and with static membership side by side, or with the variants the file names. --set
changes a setting by its name, such as max.poll.records=100, members.2.count=9 or events.1.down=30s. --from-group looks at a live
group of any Kafka (members, subscriptions, timeouts, and over --window rates, lag and how fast busy members work) and simulates that; add
--event to ask what would happen, at=0s if no time is given.`,
		Example: `  barnabas simulate
  barnabas simulate rolling-deploy --compare
  barnabas simulate my.yaml --seeds 50 --set max.poll.records=100
  barnabas simulate consumer-restart --html report.html
  barnabas simulate --from-group orders-app --event "do=rolling member=all" --compare`,
		Args: need(0, 1, "at most one scenario"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("window") && f.fromGroup == "" {
				return usage("--window goes with --from-group", "leave it out; how long to simulate is --set duration=")
			}
			return a.simulate(cmd.Context(), f, args)
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return scenarios.Names(), cobra.ShellCompDirectiveDefault
		},
	}
	fl := c.Flags()
	fl.BoolVar(&f.compare, "compare", false, "run the variants side by side")
	fl.IntVar(&f.seeds, "seeds", 1, "run this many seeds and print mean, median, p99 and spread, with --compare the means side by side")
	fl.Int64Var(&f.seed, "seed", -1, "the first seed; by default the scenario's own")
	fl.StringArrayVar(&f.set, "set", nil, "change a setting: `name=value`; may be repeated")
	fl.StringArrayVar(&f.events, "event", nil, "add an event: `\"at=10s do=restart member=c1 down=5s\"`; may be repeated")
	fl.BoolVar(&f.timeline, "timeline", false, "print all of the timeline, however long")
	fl.StringVar(&f.html, "html", "", "write a report with lanes and curves to this `file`")
	fl.BoolVar(&f.show, "show", false, "print the scenario's file and stop")
	fl.BoolVar(&f.schema, "schema", false, "print the JSON schema of scenario files and stop")
	fl.StringVar(&f.fromGroup, "from-group", "", "simulate this live `group` of the cluster at --bootstrap")
	fl.DurationVar(&f.window, "window", 10*time.Second, "with --from-group: how long to measure rates")
	fl.StringVar(&f.save, "save", "", "with --from-group: write the scenario to this `file`")
	return c
}

func (a *app) simulate(ctx context.Context, f *simulateFlags, args []string) error {
	switch {
	case f.schema:
		_, err := a.out.Write(sim.Schema())
		return err
	case f.seed < -1:
		return usage(fmt.Sprintf("--seed %d is below 0", f.seed), "any number from 0 up is a seed")
	case f.timeline && (f.compare || f.seeds > 1):
		return usage("--timeline tells the story of one run, and --compare and --seeds ask for several", "leave one of them out")
	case f.seeds < 1 || f.seeds > seedsMax:
		return usage(fmt.Sprintf("--seeds %d is not from 1 to %d", f.seeds, seedsMax), "a hundred tell a mean to within a few percent")
	case len(args) == 0 && f.fromGroup == "":
		return a.listScenarios()
	case len(args) > 0 && f.fromGroup != "":
		return usage("a scenario and --from-group exclude each other", "leave one of them out")
	case f.save != "" && f.fromGroup == "":
		return usage("--save goes with --from-group", "leave it out, or see --show")
	}
	var text []byte
	var file string
	var err error
	if f.fromGroup != "" {
		file = "group " + f.fromGroup
		if text, err = a.scenarioOfGroup(ctx, f); err != nil {
			return err
		}
		if f.save != "" {
			if err := os.WriteFile(f.save, text, 0o644); err != nil {
				return wrap(err, "writing the scenario")
			}
		}
	} else if text, file, err = readScenario(ctx, args[0]); err != nil {
		return err
	}
	if f.show {
		_, err := a.out.Write(text)
		return err
	}
	set, err := parsePairs("set", f.set)
	if err != nil {
		return err
	}
	var overrides []sim.Override
	for _, kv := range set {
		overrides = append(overrides, sim.Override{Name: kv[0], Value: kv[1]})
	}
	if f.seed >= 0 {
		overrides = append(overrides, sim.Override{Name: "seed", Value: fmt.Sprint(f.seed)})
	}
	sc, err := sim.Load(file, text, overrides...)
	if err == nil {
		for _, e := range f.events {
			if err = sc.AddEvent(e); err != nil {
				break
			}
		}
	}
	if err != nil {
		var fe *sim.FieldError
		if errors.As(err, &fe) {
			return usage(fe.Error(), "see `barnabas simulate --schema`, or docs/simulate.md")
		}
		return err
	}
	return a.runScenario(ctx, sc, f)
}

// readScenario is a built-in scenario, or a file. What looks like a file is one.
func readScenario(ctx context.Context, arg string) (text []byte, file string, err error) {
	if text, ok := scenarios.Text(arg); ok {
		return text, arg + ".yaml", nil
	}
	if name, ok := strings.CutSuffix(strings.TrimPrefix(arg, "scenarios/"), ".yaml"); ok && strings.HasPrefix(arg, "scenarios/") {
		if text, ok := scenarios.Text(name); ok {
			if _, err := os.Stat(arg); errors.Is(err, os.ErrNotExist) {
				return text, arg, nil
			}
		}
	}
	type read struct {
		text []byte
		err  error
	}
	done := make(chan read, 1)
	go func() { // a pipe that nobody writes to must not hold up who gives up
		var r read
		in, err := os.Open(arg)
		if r.err = err; err == nil {
			defer in.Close()
			r.text, r.err = io.ReadAll(io.LimitReader(in, 2<<20))
		}
		done <- r
	}()
	select {
	case <-ctx.Done():
		return nil, "", ctx.Err()
	case r := <-done:
		if errors.Is(r.err, os.ErrNotExist) {
			return nil, "", usage(fmt.Sprintf("there is no scenario %q, and no such file", arg), "the scenarios that are built in: "+strings.Join(scenarios.Names(), ", "))
		}
		if r.err != nil {
			return nil, "", wrap(r.err, "reading the scenario")
		}
		return r.text, arg, nil
	}
}

// scenarioInfo is one line of the list of scenarios.
type scenarioInfo struct {
	Name  string `json:"name"`
	About string `json:"about"`
}

func (a *app) listScenarios() error {
	var list []scenarioInfo
	for _, name := range scenarios.Names() {
		text, _ := scenarios.Text(name)
		sc, err := sim.Load(name, text)
		if err != nil {
			return err
		}
		list = append(list, scenarioInfo{name, oneLine(sc.About)})
	}
	return a.emit(list, func(w io.Writer) {
		for i, s := range list {
			if i > 0 {
				fmt.Fprintln(w)
			}
			a.title(w, "%s", s.Name)
			for _, line := range wrapText(s.About, 100) {
				fmt.Fprintln(w, "  "+line)
			}
		}
	})
}

// wrapText breaks a text into lines of at most n letters, where words end.
func wrapText(s string, n int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(s) {
		if line != "" && len(line)+1+len(word) > n {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// timelineKeep is how many lines of a timeline are printed unless all are asked for.
const timelineKeep = 60

// notesKept bounds the timeline that is held in memory.
const notesKept = 100_000

// printTimeline tells what the coordinator decided, in the words of the journal.
func (a *app) printTimeline(w io.Writer, notes []sim.Note, all bool) {
	var lines []string
	for _, n := range notes {
		text := strings.ReplaceAll(journal.Say(n.Abs, n.Note), "\n", "\n           ")
		lines = append(lines, fmt.Sprintf("%9.3f  %s", n.At.Seconds(), text))
	}
	if !all && len(lines) > timelineKeep {
		left := len(lines) - timelineKeep
		lines = append(lines[:timelineKeep:timelineKeep], fmt.Sprintf("           ... and %d lines more; --timeline prints them", left))
	}
	if len(notes) == notesKept {
		lines = append(lines, "           ... the rest is not kept")
	}
	for _, l := range lines {
		fmt.Fprintln(w, l)
	}
}

// figure is a number for people: whole, or with as many decimals as tell something.
func figure(v float64) string {
	switch {
	case v == float64(int64(v)) && v < 1e15 && v > -1e15:
		return humanCount(int64(v))
	case v >= 1000:
		return humanCount(int64(v + 0.5))
	case v >= 100:
		return fmt.Sprintf("%.1f", v)
	case v >= 0.01:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3g", v)
}
