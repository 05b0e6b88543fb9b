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
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/term"
)

// Exit codes. Scripts may rely on them; docs/cli.md lists them.
const (
	exitOK          = 0
	exitFailed      = 1   // the cluster, a file or a record said no
	exitUsage       = 2   // the command line makes no sense
	exitUnreachable = 3   // no broker answered
	exitInterrupted = 130 // ctrl-C before the work was done
)

const defaultBootstrap = "localhost:9092"

// app is what all commands share: streams, global flags, and the way to a cluster. There is one per run, none global.
type app struct {
	in       io.Reader
	out, err io.Writer
	env      func(string) string
	now      func() time.Time

	bootstrap     []string
	output        string
	commandConfig string

	paint    bool       // colours on stdout
	outTTY   bool       // stdout is a terminal
	errTTY   bool       // stderr is a terminal: progress may be drawn there
	inTTY    bool       // stdin is a terminal: questions may be asked
	extra    []kgo.Opt  // tests plug a dialer in here
	settings properties // from --command-config; loaded once, before the command runs
}

func newApp(in io.Reader, out, errw io.Writer, env func(string) string) *app {
	a := &app{in: in, out: out, err: errw, env: env, now: time.Now}
	a.outTTY, a.errTTY, a.inTTY = isTerminal(out), isTerminal(errw), isTerminal(in)
	a.paint = a.outTTY && env("NO_COLOR") == "" && env("TERM") != "dumb"
	return a
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// run executes one command line and returns the exit code. Errors are printed here and nowhere else.
func run(ctx context.Context, a *app, args []string) int {
	root := newRoot(a)
	root.SetArgs(append([]string{}, args...)) // never nil, which would mean os.Args
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitOK
	case isBrokenPipe(err):
		return exitOK // the reader has what it wanted
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return exitInterrupted
	}
	f := a.explain(err)
	a.printFault(f)
	return f.code
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "barnabas",
		Short: "A Kafka-compatible broker and the tools around any Kafka",
		Long: `Barnabas is a broker that Kafka clients use as it is, and a set of tools that work against any Kafka.

Every command but serve and log speaks the Kafka protocol to the cluster named by --bootstrap, Barnabas or Apache Kafka alike.

Output is a table for people; -o json and -o yaml are for programs and keep their field names. Exit codes: 0 fine,
1 the cluster or a file said no, 2 the command line makes no sense, 3 no broker answered, 4 the surroundings of serve are wrong,
130 interrupted.`,
		Example: `  barnabas serve
  barnabas topics create orders --partitions 6
  echo 'hello' | barnabas produce orders
  barnabas consume orders --from start --exit-at-end`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return a.prepare(cmd)
		},
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(fmt.Sprintf("%s: %v", cmd.CommandPath(), err), "see `"+cmd.CommandPath()+" --help`")
	})
	pf := root.PersistentFlags()
	pf.StringSliceVarP(&a.bootstrap, "bootstrap", "b", []string{defaultBootstrap},
		"`host:port` of one or more brokers to start from (environment: BARNABAS_BOOTSTRAP)")
	pf.StringVarP(&a.output, "output", "o", "table", "`form` of the output: table, json or yaml")
	pf.StringVar(&a.commandConfig, "command-config", "", "`file` of client properties: client.id, timeouts, ...")
	root.AddGroup(
		&cobra.Group{ID: "broker", Title: "Broker:"},
		&cobra.Group{ID: "data", Title: "Records:"},
		&cobra.Group{ID: "admin", Title: "Cluster:"},
		&cobra.Group{ID: "why", Title: "Rebalances:"},
		&cobra.Group{ID: "other", Title: "Other:"},
	)
	add := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("broker", brokerCommands(a)...)
	add("data", newProduceCommand(a), newConsumeCommand(a), newOffsetsCommand(a), newRecordsCommand(a), newBenchCommand(a))
	add("admin", newTopicsCommand(a), newGroupsCommand(a), newConfigCommand(a), newClusterCommand(a))
	add("why", newExplainCommand(a), newSimulateCommand(a), newDemoCommand(a))
	add("other", newVersionCommand(a), newCompletionCommand(a))
	root.SetHelpCommandGroupID("other")
	must(root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp)))
	return root
}

// prepare checks the global flags before any command runs.
func (a *app) prepare(cmd *cobra.Command) error {
	switch a.output {
	case "table", "json", "yaml":
	default:
		return usage(fmt.Sprintf("-o %s is not an output form", a.output), "use -o table, -o json or -o yaml")
	}
	if a.commandConfig != "" {
		p, err := loadProperties(a.commandConfig)
		if err != nil {
			return err
		}
		a.settings = p
	}
	if !cmd.Flags().Changed("bootstrap") {
		if v := a.env("BARNABAS_BOOTSTRAP"); v != "" {
			a.bootstrap = strings.Split(v, ",")
		} else if v := a.settings.get("bootstrap.servers"); v != "" {
			a.bootstrap = strings.Split(v, ",")
		}
	}
	if len(a.bootstrap) == 0 {
		return usage("--bootstrap is empty", "name a broker, such as --bootstrap "+defaultBootstrap)
	}
	for i, b := range a.bootstrap {
		b = strings.TrimSpace(b)
		if b == "" {
			return usage("--bootstrap is empty", "name a broker, such as --bootstrap "+defaultBootstrap)
		}
		a.bootstrap[i] = b
	}
	return nil
}

// need is cobra's Args check with an error of our kind: between lo and hi arguments (hi < 0: no upper bound), called what.
func need(lo, hi int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < lo:
			return usage(cmd.CommandPath()+" needs "+what, "see `"+cmd.CommandPath()+" --help`")
		case hi >= 0 && len(args) > hi:
			return usage(fmt.Sprintf("%s does not expect %q", cmd.CommandPath(), args[hi]), "see `"+cmd.CommandPath()+" --help`")
		}
		return nil
	}
}

// noArgs refuses arguments; for a command that only holds others, they are misspelt commands.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if !cmd.HasSubCommands() {
		return need(0, 0, "")(cmd, args)
	}
	cure := "see `" + cmd.CommandPath() + " --help`"
	cmd.SuggestionsMinimumDistance = 2
	if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
		cure = "did you mean `" + cmd.CommandPath() + " " + s[0] + "`?"
	}
	return usage(fmt.Sprintf("%s has no command %q", cmd.CommandPath(), args[0]), cure)
}

// must is for faults of this program's own wiring, which a test run of any command shows.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
