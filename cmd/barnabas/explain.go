package main

import (
	"time"

	"github.com/spf13/cobra"
)

// explainFlags is what the command line of explain holds.
type explainFlags struct {
	logs         []string
	clientConfig []string
	recordTime   time.Duration
	brokerLogs   []string
	since        string
	all          bool
	id           string
	tellID       string // tell this one among the others, "" for the last
	watch        bool
	exec         string
	applyTo      string
}

func newExplainCommand(a *app) *cobra.Command {
	var f explainFlags
	c := &cobra.Command{
		Use:   "explain [GROUP]",
		Short: "Tell why a group rebalanced: who, why, what it cost, what to change",
		Long: `Tell why a group rebalanced: who set it off, why, what it cost, and what to change.

On a Barnabas cluster it reads the journal, where every rebalance is recorded as it happens. On any other Kafka it rebuilds what happened from
__consumer_offsets: members, hosts, timeouts, assignments and commits before and after each rebalance. That needs the right to read this topic
and no other; why a member went is not in it, so a cause that does not follow stays "not known" until --broker-log adds the reasons, which only the
log of the group's coordinator has. Where the topic may not be read it says so, and --watch (on a terminal it does so by itself) tells by
describe calls what happens from now on.

With --log it reads the logs of the group's members instead of asking a cluster: what the Java client (and Spring around it), librdkafka,
franz-go and sarama write, plain or gzip, from a file or with - from the standard input, with whatever journald, Docker or Kubernetes put before
each line. Logs of several members make one time line: give all there are, further names may simply follow. GROUP is then not given as an
argument; --group leaves other groups out.

A verdict is as sure as it says: "the log says so", "follows from the lines", "likely, not proven" or "not known", and what would prove it is
listed. It computes with the numbers that it finds, and with those that --client-config and --record-time give; it never guesses one. A setting
that a given configuration leaves out has the client's default.`,
		Example: `  barnabas explain orders
  barnabas explain orders --since 7d --all
  barnabas explain orders --watch
  barnabas explain orders --watch --exec './page-somebody.sh'
  barnabas explain orders --bootstrap kafka-1:9092 --broker-log server.log
  barnabas explain orders --record-time 20ms --apply-to orders.yaml    # then try the advice in simulate
  barnabas explain --log app.log
  barnabas explain --log pod-1.log.gz pod-2.log.gz --all
  barnabas explain --log app.log --client-config consumer.properties --record-time 1500ms
  barnabas explain --log app.log --client-config max.poll.records=500 --record-time 1500ms
  kubectl logs -l app=orders --prefix --timestamps | barnabas explain --log -`,
		ValidArgsFunction: a.completeOneGroup,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(cmd); err != nil {
				return err
			}
			if len(f.logs) > 0 {
				return a.explainLogs(append(f.logs, args...), f, cmd.Flag("group").Value.String())
			}
			if len(args) != 1 {
				return usage("explain needs the name of one group", "see the groups with `barnabas groups list`, or read logs with --log FILE")
			}
			return a.explainGroup(cmd.Context(), args[0], f)
		},
	}
	fl := c.Flags()
	fl.StringArrayVar(&f.logs, "log", nil, "`file` of a member's log, gzip or not, - for the standard input; repeat for more members")
	fl.StringArrayVar(&f.clientConfig, "client-config", nil, "`file or name=value` of the client's settings; repeat for more")
	fl.DurationVar(&f.recordTime, "record-time", 0, "`time` the application takes for one record, such as 1500ms")
	fl.String("group", "", "with --log: `name` of the group to tell about, all others are left out")
	fl.StringArrayVar(&f.brokerLogs, "broker-log", nil, "`file` of an Apache Kafka broker's log, which has the clients' reasons; repeat for more")
	fl.StringVar(&f.since, "since", "24h", "how far back: a `time` such as 90m or 7d, or a moment")
	fl.BoolVar(&f.watch, "watch", false, "go on, and tell each rebalance as it ends")
	fl.StringVar(&f.applyTo, "apply-to", "", "write the group as it is, and the advice beside it, as a scenario for simulate: a `file`")
	fl.StringVar(&f.exec, "exec", "", "with --watch: `command` to run for each rebalance, with the incident as JSON on its standard input")
	fl.BoolVar(&f.all, "all", false, "tell every rebalance, not only the one that matters most")
	fl.StringVar(&f.id, "id", "", "tell the rebalance of this `id`, as the table shows it")
	return c
}

func (f *explainFlags) check(cmd *cobra.Command) error {
	switch {
	case f.recordTime < 0 || cmd.Flags().Changed("record-time") && f.recordTime == 0:
		return usage("--record-time must be above 0", "such as --record-time 1500ms")
	case f.all && f.id != "":
		return usage("--all and --id exclude each other", "leave one of them out")
	case f.exec != "" && !f.watch:
		return usage("--exec goes with --watch", "add --watch, or leave --exec out")
	case f.watch && f.id != "":
		return usage("--watch and --id exclude each other", "leave one of them out")
	case f.applyTo != "" && (f.watch || len(f.logs) > 0):
		return usage("--apply-to goes with neither --watch nor --log", "it looks at the group as it is now")
	case len(f.logs) > 0 && (f.watch || len(f.brokerLogs) > 0):
		return usage("--log reads the members' logs and goes with neither --watch nor --broker-log", "leave one of them out")
	}
	return nil
}
