package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

func newTopicsCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:     "topics",
		Aliases: []string{"topic"},
		Short:   "Create, list, describe, alter and delete topics",
		Long: `Create, list, describe, alter and delete topics.

Where a command takes existing topics, a NAME with *, ? or [a-z] is a shell pattern (quote it), and with --regex every NAME is a
regular expression that must match the whole name. Patterns pass over internal topics unless --internal is given.`,
		Example: `  barnabas topics create orders --partitions 6
  barnabas topics list
  barnabas topics describe orders`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(newTopicsCreate(a), newTopicsList(a), newTopicsDescribe(a), newTopicsAlter(a), newTopicsDelete(a),
		newTopicsAddPartitions(a), newTopicsConfigs(a))
	return c
}

// topicResult is one line of what create, alter, delete and add-partitions report.
type topicResult struct {
	Topic             string `json:"topic"`
	Status            string `json:"status"` // created, exists, altered, deleted, missing, failed; "would be ..." in a dry run
	ID                string `json:"id,omitempty"`
	Partitions        int32  `json:"partitions,omitempty"`
	ReplicationFactor int16  `json:"replication_factor,omitempty"`
	Error             string `json:"error,omitempty"`
	err               error
}

func (r *topicResult) fail(err error) {
	r.Status, r.err, r.Error = "failed", err, err.Error()
}

// reportTopics prints the results and is the command's end.
func (a *app) reportTopics(results []topicResult) error {
	blame := func(r *topicResult) *fault { return a.blame(r.Topic, r.Error, r.err) }
	return report(a, "topics", results, blame, func(w io.Writer, alone bool) {
		if alone {
			return
		}
		t := newTable("TOPIC", "STATUS", ">PARTITIONS", ">REPLICAS", "ERROR")
		for _, r := range results {
			var parts, rf any
			if r.Partitions > 0 {
				parts = r.Partitions
			}
			if r.ReplicationFactor > 0 {
				rf = r.ReplicationFactor
			}
			t.row(r.Topic, r.Status, parts, rf, r.Error)
		}
		t.dropEmptyColumns()
		t.draw(w, a.paint)
	})
}

func newTopicsCreate(a *app) *cobra.Command {
	var (
		partitions  int32
		replication int16
		configs     []string
		assignment  string
		ifNotExists bool
		dryRun      bool
	)
	c := &cobra.Command{
		Use:   "create NAME...",
		Short: "Create topics",
		Example: `  barnabas topics create orders
  barnabas topics create orders --partitions 12 --config retention.ms=86400000 --config cleanup.policy=compact
  barnabas topics create orders --replica-assignment 1:2,2:3,3:1    # partition 0 on brokers 1 and 2, and so on
  barnabas topics create orders --partitions 12 --dry-run`,
		Args:              need(1, -1, "the name of a topic"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			pairs, err := parsePairs("config", configs)
			if err != nil {
				return err
			}
			assigned, err := parseAssignment(assignment)
			if err != nil {
				return err
			}
			if assigned != nil && (cmd.Flags().Changed("partitions") || cmd.Flags().Changed("replication-factor")) {
				return usage("--replica-assignment already says how many partitions and replicas there are", "leave --partitions and --replication-factor out")
			}
			for _, name := range args {
				if err := kafka.CheckTopicName(name); err != nil {
					return usage(err.Error(), cureOf(kafka.InvalidTopicException))
				}
			}
			ctx, adm, done, err := a.admin(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			req := kmsg.NewPtrCreateTopicsRequest()
			req.TimeoutMillis = int32(a.apiTimeout().Milliseconds())
			req.ValidateOnly = dryRun
			for _, name := range args {
				rt := kmsg.NewCreateTopicsRequestTopic()
				rt.Topic, rt.NumPartitions, rt.ReplicationFactor = name, partitions, replication
				for _, kv := range pairs {
					rc := kmsg.NewCreateTopicsRequestTopicConfig()
					rc.Name, rc.Value = kv[0], kmsg.StringPtr(kv[1])
					rt.Configs = append(rt.Configs, rc)
				}
				for p, replicas := range assigned {
					ra := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
					ra.Partition, ra.Replicas = int32(p), replicas
					rt.ReplicaAssignment = append(rt.ReplicaAssignment, ra)
				}
				if assigned != nil {
					rt.NumPartitions, rt.ReplicationFactor = -1, -1
				}
				req.Topics = append(req.Topics, rt)
			}
			resp, err := req.RequestWith(ctx, adm.wire)
			if err != nil {
				return wrap(err, "creating topics")
			}
			results := make([]topicResult, 0, len(args))
			for _, rt := range resp.Topics {
				r := topicResult{Topic: rt.Topic, Status: dryStatus(dryRun, "created")}
				if rt.ErrorCode == 0 {
					r.Partitions, r.ReplicationFactor = max(0, rt.NumPartitions), max(0, rt.ReplicationFactor)
					if id := kafka.TopicID(rt.TopicID); !id.IsZero() {
						r.ID = id.String()
					}
				} else if err := codeError(rt.ErrorCode, rt.ErrorMessage); ifNotExists && errors.Is(err, kerr.TopicAlreadyExists) {
					r.Status = "exists"
				} else {
					r.fail(err)
				}
				results = append(results, r)
			}
			slices.SortStableFunc(results, func(x, y topicResult) int {
				return slices.Index(args, x.Topic) - slices.Index(args, y.Topic)
			})
			return a.reportTopics(results)
		},
	}
	f := c.Flags()
	f.Int32VarP(&partitions, "partitions", "p", -1, "`number` of partitions; -1 takes num.partitions of the broker")
	f.Int16VarP(&replication, "replication-factor", "r", -1, "`number` of replicas; -1 takes default.replication.factor of the broker")
	f.StringArrayVarP(&configs, "config", "c", nil, "topic setting as `name=value`; repeat for more")
	f.StringVar(&assignment, "replica-assignment", "", "brokers of each partition, as `1:2,2:3`: the first is the preferred leader")
	f.BoolVar(&ifNotExists, "if-not-exists", false, "be content if the topic exists")
	f.BoolVar(&dryRun, "dry-run", false, "only let the broker check whether it would work")
	must(c.RegisterFlagCompletionFunc("config", a.completeConfigNames(kmsg.ConfigResourceTypeTopic, "=")))
	return c
}

func dryStatus(dry bool, status string) string {
	if dry {
		return "would be " + status
	}
	return status
}

// parseAssignment reads "1:2,2:3": per partition, the brokers of its replicas. "" is nil.
func parseAssignment(s string) ([][]int32, error) {
	if s == "" {
		return nil, nil
	}
	var out [][]int32
	for part := range strings.SplitSeq(s, ",") {
		var ids []int32
		for id := range strings.SplitSeq(part, ":") {
			n, err := strconv.ParseInt(strings.TrimSpace(id), 10, 32)
			if err != nil || n < 0 {
				return nil, usage(fmt.Sprintf("--replica-assignment: %q is not a broker id", id), "write 1:2,2:3 for two partitions with two replicas each")
			}
			if slices.Contains(ids, int32(n)) {
				return nil, usage(fmt.Sprintf("--replica-assignment: broker %d twice in %q", n, part), "each replica of a partition sits on another broker")
			}
			ids = append(ids, int32(n))
		}
		out = append(out, ids)
	}
	return out, nil
}

func newTopicsDelete(a *app) *cobra.Command {
	var regex, ifExists, dryRun, yes, internal bool
	c := &cobra.Command{
		Use:   "delete NAME...",
		Short: "Delete topics with all their records",
		Example: `  barnabas topics delete orders
  barnabas topics delete 'test-*' --dry-run
  barnabas topics delete 'test-*' --yes`,
		Args:              need(1, -1, "the name of a topic"),
		ValidArgsFunction: a.completeTopics,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := newPattern(args, regex)
			if err != nil {
				return err
			}
			ctx, adm, done, err := a.admin(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			topics, err := matchTopics(ctx, adm, p, internal, ifExists)
			if err != nil {
				return err
			}
			var results []topicResult
			if dryRun {
				for _, t := range topics {
					results = append(results, topicResult{Topic: t.Topic, Status: "would be deleted", Partitions: int32(len(t.Partitions))})
				}
				return a.reportTopics(results)
			}
			if p.wild() && !yes && len(topics) > 0 {
				if err := a.confirm(ctx, "delete "+topicNames(topics)); err != nil {
					return err
				}
			}
			names := make([]string, len(topics))
			for i, t := range topics {
				names[i] = t.Topic
			}
			if len(names) > 0 {
				deleted, err := adm.DeleteTopics(ctx, names...)
				if err != nil {
					return wrap(err, "deleting topics")
				}
				for _, d := range deleted.Sorted() {
					r := topicResult{Topic: d.Topic, Status: "deleted"}
					if ifExists && isUnknownTopic(d.Err) {
						r.Status = "missing"
					} else if d.Err != nil {
						r.fail(kadmError(d.Err, d.ErrMessage))
					}
					results = append(results, r)
				}
			}
			slices.SortStableFunc(results, func(x, y topicResult) int { return slices.Index(names, x.Topic) - slices.Index(names, y.Topic) })
			if _, unmatched := p.pick(names, func(string) bool { return false }, true); ifExists && !p.wild() {
				for _, n := range unmatched {
					results = append(results, topicResult{Topic: n, Status: "missing"})
				}
			}
			return a.reportTopics(results)
		},
	}
	f := c.Flags()
	patternFlags(c, &regex, &internal)
	f.BoolVar(&ifExists, "if-exists", false, "be content if there is no such topic")
	f.BoolVar(&dryRun, "dry-run", false, "only show which topics would go")
	f.BoolVarP(&yes, "yes", "y", false, "do not ask before deleting what a pattern matches")
	return c
}

func patternFlags(c *cobra.Command, regex, internal *bool) {
	c.Flags().BoolVar(regex, "regex", false, "take every NAME as a regular expression for the whole name")
	c.Flags().BoolVar(internal, "internal", false, "let patterns match internal topics, too")
}

func topicNames(ts []kadm.TopicDetail) string {
	var names []string
	for i, t := range ts {
		if i == 10 {
			names = append(names, fmt.Sprintf("and %d more", len(ts)-i))
			break
		}
		names = append(names, t.Topic)
	}
	return strings.Join(names, ", ")
}

// confirm asks on the terminal; without one the answer is no.
func (a *app) confirm(ctx context.Context, what string) error {
	if !a.inTTY || !a.errTTY {
		return usage("this would "+what, "pass --yes to do it without being asked, or --dry-run to look first")
	}
	fmt.Fprintf(a.err, "This will %s. Go on? [y/N] ", what)
	answer := make(chan string, 1)
	go func() { // a read from a terminal cannot be interrupted; the process ends with it
		s, _ := bufio.NewReader(a.in).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(s))
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case s := <-answer:
		if s != "y" && s != "yes" {
			return failed("nothing was deleted", "")
		}
	}
	return nil
}

func newTopicsAddPartitions(a *app) *cobra.Command {
	var (
		total, add              int32
		assignment              string
		dryRun, regex, internal bool
	)
	c := &cobra.Command{
		Use:     "add-partitions NAME...",
		Aliases: []string{"partitions"},
		Short:   "Give topics more partitions",
		Long: `Give topics more partitions. Partitions can never be taken away again, and records of one key may go to another partition
afterwards, so that their order across the change is lost.`,
		Example: `  barnabas topics add-partitions orders --total 24
  barnabas topics add-partitions orders --add 6
  barnabas topics add-partitions orders --add 2 --replica-assignment 1:2,2:3`,
		Args:              need(1, -1, "the name of a topic"),
		ValidArgsFunction: a.completeTopics,
		RunE: func(cmd *cobra.Command, args []string) error {
			if (total > 0) == (add > 0) {
				return usage("give either --total or --add, above 0", "`--total 12` for twelve in the end, `--add 2` for two more")
			}
			assigned, err := parseAssignment(assignment)
			if err != nil {
				return err
			}
			return a.alterTopics(cmd.Context(), args, regex, internal, func(ctx context.Context, cl *kgo.Client, t kadm.TopicDetail) topicResult {
				want := total
				if add > 0 {
					want = int32(len(t.Partitions)) + add
				}
				return createPartitions(ctx, a, cl, t, want, assigned, dryRun)
			})
		},
	}
	f := c.Flags()
	f.Int32Var(&total, "total", 0, "`number` of partitions the topic has in the end")
	f.Int32Var(&add, "add", 0, "`number` of partitions to add")
	f.StringVar(&assignment, "replica-assignment", "", "brokers of each new partition, as `1:2,2:3`")
	f.BoolVar(&dryRun, "dry-run", false, "only let the broker check whether it would work")
	patternFlags(c, &regex, &internal)
	return c
}

func createPartitions(ctx context.Context, a *app, cl *kgo.Client, t kadm.TopicDetail, want int32, assigned [][]int32, dryRun bool) topicResult {
	r := topicResult{Topic: t.Topic, Status: dryStatus(dryRun, "altered"), Partitions: want}
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis = int32(a.apiTimeout().Milliseconds())
	req.ValidateOnly = dryRun
	rt := kmsg.NewCreatePartitionsRequestTopic()
	rt.Topic, rt.Count = t.Topic, want
	for _, replicas := range assigned {
		ra := kmsg.NewCreatePartitionsRequestTopicAssignment()
		ra.Replicas = replicas
		rt.Assignment = append(rt.Assignment, ra)
	}
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(ctx, cl)
	switch {
	case err != nil:
		r.fail(err)
	case len(resp.Topics) != 1:
		r.fail(errors.New("the broker did not answer for this topic"))
	case resp.Topics[0].ErrorCode != 0:
		r.fail(codeError(resp.Topics[0].ErrorCode, resp.Topics[0].ErrorMessage))
	}
	if r.err != nil {
		r.Partitions = int32(len(t.Partitions))
	}
	return r
}

// alterTopics runs change for every topic that args match and reports the results.
func (a *app) alterTopics(ctx context.Context, args []string, regex, internal bool,
	change func(context.Context, *kgo.Client, kadm.TopicDetail) topicResult) error {
	p, err := newPattern(args, regex)
	if err != nil {
		return err
	}
	ctx, adm, done, err := a.admin(ctx)
	if err != nil {
		return err
	}
	defer done()
	topics, err := matchTopics(ctx, adm, p, internal, false)
	if err != nil {
		return err
	}
	results := make([]topicResult, 0, len(topics))
	for _, t := range topics {
		results = append(results, change(ctx, adm.wire, t))
	}
	return a.reportTopics(results)
}

func newTopicsAlter(a *app) *cobra.Command {
	var (
		set, del                []string
		total                   int32
		dryRun, regex, internal bool
	)
	c := &cobra.Command{
		Use:   "alter NAME...",
		Short: "Change settings, or the number of partitions, of topics",
		Example: `  barnabas topics alter orders --config retention.ms=3600000
  barnabas topics alter orders --delete-config retention.ms
  barnabas topics alter 'orders-*' --partitions 12`,
		Args:              need(1, -1, "the name of a topic"),
		ValidArgsFunction: a.completeTopics,
		RunE: func(cmd *cobra.Command, args []string) error {
			ops, err := parseOps(set, del, nil, nil)
			if err != nil {
				return err
			}
			if len(ops) == 0 && total == 0 {
				return usage("nothing to change", "give --config, --delete-config or --partitions")
			}
			return a.alterTopics(cmd.Context(), args, regex, internal, func(ctx context.Context, cl *kgo.Client, t kadm.TopicDetail) topicResult {
				r := topicResult{Topic: t.Topic, Status: dryStatus(dryRun, "altered"), Partitions: int32(len(t.Partitions))}
				if len(ops) > 0 {
					if err := alterConfig(ctx, cl, kmsg.ConfigResourceTypeTopic, t.Topic, ops, dryRun); err != nil {
						r.fail(err)
						return r
					}
				}
				if total > 0 {
					return createPartitions(ctx, a, cl, t, total, nil, dryRun)
				}
				return r
			})
		},
	}
	f := c.Flags()
	f.StringArrayVarP(&set, "config", "c", nil, "topic setting as `name=value`; repeat for more")
	f.StringArrayVar(&del, "delete-config", nil, "`name` of a setting to put back to its default; repeat for more")
	f.Int32VarP(&total, "partitions", "p", 0, "`number` of partitions in the end; it can only grow")
	f.BoolVar(&dryRun, "dry-run", false, "only let the broker check whether it would work")
	patternFlags(c, &regex, &internal)
	must(c.RegisterFlagCompletionFunc("config", a.completeConfigNames(kmsg.ConfigResourceTypeTopic, "=")))
	must(c.RegisterFlagCompletionFunc("delete-config", a.completeConfigNames(kmsg.ConfigResourceTypeTopic, "")))
	return c
}

func isUnknownTopic(err error) bool {
	return errors.Is(err, kerr.UnknownTopicOrPartition) || errors.Is(err, kerr.UnknownTopicID)
}

// kadmError restores the broker's message to an error that kadm reports beside it.
func kadmError(err error, message string) error {
	var ke *kerr.Error
	if errors.As(err, &ke) {
		return codeError(ke.Code, &message)
	}
	return err
}
