package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// configEntry is one setting of a topic or broker.
type configEntry struct {
	Name      string          `json:"name"`
	Value     *string         `json:"value"` // null: not set, or hidden because it is sensitive
	Source    string          `json:"source"`
	Type      string          `json:"type,omitempty"`
	ReadOnly  bool            `json:"read_only"`
	Sensitive bool            `json:"sensitive"`
	Synonyms  []configSynonym `json:"synonyms,omitempty"` // all places that give it a value, the one in force first
	source    kmsg.ConfigSource
}

type configSynonym struct {
	Name   string  `json:"name"`
	Value  *string `json:"value"`
	Source string  `json:"source"`
}

// configResource is a topic or broker with its settings.
type configResource struct {
	Kind    string        `json:"kind"` // topic or broker
	Name    string        `json:"name"` // of a broker: its id, "" for the cluster-wide defaults
	Configs []configEntry `json:"configs"`
	Error   string        `json:"error,omitempty"`
	err     error
}

// configKinds maps what people type to Kafka's resource types.
var configKinds = map[string]kmsg.ConfigResourceType{
	"topic": kmsg.ConfigResourceTypeTopic, "topics": kmsg.ConfigResourceTypeTopic,
	"broker": kmsg.ConfigResourceTypeBroker, "brokers": kmsg.ConfigResourceTypeBroker,
}

func newConfigCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:     "config",
		Aliases: []string{"configs"},
		Short:   "Show and change settings of topics and brokers",
		Example: `  barnabas config describe topic orders --all
  barnabas config alter topic orders --set retention.ms=3600000`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(newConfigDescribe(a), newConfigAlter(a))
	return c
}

func configShowFlags(c *cobra.Command, all, synonyms *bool) {
	c.Flags().BoolVar(all, "all", false, "show all settings, not only those that were set")
	c.Flags().BoolVar(synonyms, "synonyms", false, "show every place that gives a setting a value, the one in force first")
}

func newConfigDescribe(a *app) *cobra.Command {
	var all, synonyms bool
	var only []string
	c := &cobra.Command{
		Use:   "describe topic|broker [NAME...]",
		Short: "Show settings",
		Long: `Show settings of topics (names or patterns) or brokers (ids). Without NAME: all topics, all brokers. The broker name "default"
stands for the dynamic settings that all brokers of the cluster share.

Without --all only settings are shown that somebody set: on the topic, dynamically on a broker, or in a broker's file.`,
		Example: `  barnabas config describe topic orders
  barnabas config describe topic orders --all --synonyms
  barnabas config describe broker 1 --all -o json
  barnabas config describe topic 'orders-*' --name retention.ms`,
		Args:              need(1, -1, "`topic` or `broker`"),
		ValidArgsFunction: a.completeConfigResource,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.describeConfig(cmd.Context(), args[0], args[1:], only, all || len(only) > 0, synonyms)
		},
	}
	configShowFlags(c, &all, &synonyms)
	c.Flags().StringSliceVar(&only, "name", nil, "show only the `setting` of this name; repeat for more")
	return c
}

func (a *app) describeConfig(ctx context.Context, kind string, names, only []string, all, synonyms bool) error {
	typ, ok := configKinds[kind]
	if !ok {
		return usage(kind+" is neither topic nor broker", "`barnabas config describe topic NAME` or `barnabas config describe broker ID`")
	}
	ctx, adm, done, err := a.admin(ctx)
	if err != nil {
		return err
	}
	defer done()
	names, err = a.resourceNames(ctx, adm, typ, names)
	if err != nil {
		return err
	}
	out := []configResource{}
	if len(names) > 0 {
		if out, err = describeConfigs(ctx, adm.wire, typ, names, only, synonyms); err != nil {
			return wrap(err, "describing settings")
		}
	}
	for i := range out {
		out[i].Configs = changedOnly(out[i].Configs, all, typ)
	}
	blame := func(r *configResource) *fault {
		if r.err == nil {
			return nil
		}
		return a.explain(r.err)
	}
	return report(a, kind+"s", out, blame, func(w io.Writer, alone bool) {
		if alone {
			return
		}
		for i, r := range out {
			if i > 0 {
				fmt.Fprintln(w)
			}
			a.title(w, "%s %s", r.Kind, cmp.Or(r.Name, "default"))
			switch {
			case r.err != nil:
				fmt.Fprintln(w, "error: "+r.Error)
			case len(r.Configs) == 0 && !all:
				fmt.Fprintln(w, "all settings have their defaults; --all shows them")
			default:
				a.drawConfigs(w, r.Configs, synonyms, all)
			}
		}
	})
}

// resourceNames turns what was typed into names the protocol knows: patterns into topics, none into all, "default" into "".
func (a *app) resourceNames(ctx context.Context, adm *adminClient, typ kmsg.ConfigResourceType, args []string) ([]string, error) {
	if typ == kmsg.ConfigResourceTypeTopic {
		p, err := newPattern(args, false)
		if err != nil {
			return nil, err
		}
		topics, err := matchTopics(ctx, adm, p, false, false)
		if err != nil {
			return nil, err
		}
		var names []string
		for _, t := range topics {
			names = append(names, t.Topic)
		}
		return names, nil
	}
	if len(args) == 0 {
		brokers, err := adm.ListBrokers(ctx)
		if err != nil {
			return nil, wrap(err, "listing brokers")
		}
		for _, id := range brokers.NodeIDs() {
			args = append(args, strconv.Itoa(int(id)))
		}
		return args, nil
	}
	names := slices.Clone(args)
	for i, n := range names {
		if n == "default" {
			names[i] = ""
		} else if _, err := strconv.ParseInt(n, 10, 32); err != nil {
			return nil, usage(fmt.Sprintf("%q is not a broker id", n), "ids are numbers (`barnabas cluster` lists them); `default` is the whole cluster")
		}
	}
	return names, nil
}

// describeConfigs asks every broker it must; kgo routes broker resources to the brokers they name.
func describeConfigs(ctx context.Context, cl *kgo.Client, typ kmsg.ConfigResourceType, names, only []string, synonyms bool) ([]configResource, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.IncludeSynonyms = synonyms
	for _, n := range names {
		rr := kmsg.NewDescribeConfigsRequestResource()
		rr.ResourceType, rr.ResourceName, rr.ConfigNames = typ, n, only
		req.Resources = append(req.Resources, rr)
	}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, err
	}
	kind := strings.ToLower(typ.String())
	var out []configResource
	for _, r := range resp.Resources {
		cr := configResource{Kind: kind, Name: r.ResourceName, Configs: []configEntry{}}
		if err := codeError(r.ErrorCode, r.ErrorMessage); err != nil {
			cr.err, cr.Error = err, err.Error()
		}
		for _, c := range r.Configs {
			e := configEntry{Name: c.Name, Value: c.Value, Source: c.Source.String(), source: c.Source, ReadOnly: c.ReadOnly, Sensitive: c.IsSensitive}
			if c.ConfigType != kmsg.ConfigTypeUnknown {
				e.Type = strings.ToLower(c.ConfigType.String())
			}
			if synonyms {
				for _, s := range c.ConfigSynonyms {
					e.Synonyms = append(e.Synonyms, configSynonym{s.Name, s.Value, s.Source.String()})
				}
			}
			cr.Configs = append(cr.Configs, e)
		}
		slices.SortFunc(cr.Configs, func(x, y configEntry) int { return cmp.Compare(x.Name, y.Name) })
		out = append(out, cr)
	}
	slices.SortStableFunc(out, func(x, y configResource) int { return slices.Index(names, x.Name) - slices.Index(names, y.Name) })
	return out, nil
}

// changedOnly keeps what somebody set, unless all: on a topic its own settings, on a broker everything but defaults.
func changedOnly(list []configEntry, all bool, typ kmsg.ConfigResourceType) []configEntry {
	if all {
		return list
	}
	out := []configEntry{}
	for _, e := range list {
		own := e.source == kmsg.ConfigSourceDynamicTopicConfig
		if typ == kmsg.ConfigResourceTypeBroker {
			own = e.source != kmsg.ConfigSourceDefaultConfig && e.source != kmsg.ConfigSourceUnknown
		}
		if own {
			out = append(out, e)
		}
	}
	return out
}

func (a *app) drawConfigs(w io.Writer, list []configEntry, synonyms, all bool) {
	t := newTable("SETTING", "VALUE", "SOURCE")
	for _, e := range list {
		var value any = e.Value
		if e.Sensitive {
			value = "(hidden)"
		}
		t.row(e.Name, value, sourceWords(e.Source))
		if synonyms {
			for _, s := range e.Synonyms {
				t.row("  "+s.Name, s.Value, sourceWords(s.Source))
			}
		}
	}
	t.draw(w, a.paint)
}

// sourceWords is DYNAMIC_TOPIC_CONFIG for eyes: "dynamic topic".
func sourceWords(source string) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimSuffix(source, "_CONFIG"), "_", " "))
}

// configOp is one change of one setting.
type configOp struct {
	op    kmsg.IncrementalAlterConfigOp
	name  string
	value *string
}

// parseOps puts the four kinds of change together and refuses two changes of one setting.
func parseOps(set, del, add, subtract []string) ([]configOp, error) {
	var ops []configOp
	take := func(flag string, op kmsg.IncrementalAlterConfigOp, list []string) error {
		kv, err := parsePairs(flag, list)
		for _, p := range kv {
			ops = append(ops, configOp{op, p[0], &p[1]})
		}
		return err
	}
	err := errors.Join(take("set", kmsg.IncrementalAlterConfigOpSet, set), take("append", kmsg.IncrementalAlterConfigOpAppend, add),
		take("subtract", kmsg.IncrementalAlterConfigOpSubtract, subtract))
	if err != nil {
		return nil, err
	}
	for _, d := range del {
		for name := range strings.SplitSeq(d, ",") {
			if name = strings.TrimSpace(name); name == "" || strings.Contains(name, "=") {
				return nil, usage(fmt.Sprintf("%q is not the name of a setting", d), "deleting takes the name alone; the default comes back")
			}
			ops = append(ops, configOp{kmsg.IncrementalAlterConfigOpDelete, name, nil})
		}
	}
	seen := map[string]bool{}
	for _, o := range ops {
		if seen[o.name] {
			return nil, usage("two changes of "+o.name+" at once", "change a setting once per command")
		}
		seen[o.name] = true
	}
	return ops, nil
}

// alterConfig changes one resource, incrementally; brokers that cannot do that (before Kafka 2.3) say so.
func alterConfig(ctx context.Context, cl *kgo.Client, typ kmsg.ConfigResourceType, name string, ops []configOp, dryRun bool) error {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.ValidateOnly = dryRun
	rr := kmsg.NewIncrementalAlterConfigsRequestResource()
	rr.ResourceType, rr.ResourceName = typ, name
	for _, o := range ops {
		rc := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		rc.Name, rc.Op, rc.Value = o.name, o.op, o.value
		rr.Configs = append(rr.Configs, rc)
	}
	req.Resources = append(req.Resources, rr)
	resp, err := req.RequestWith(ctx, cl)
	switch {
	case err != nil:
		return err
	case len(resp.Resources) == 0:
		return kerr.UnknownServerError
	}
	for _, r := range resp.Resources {
		if err := codeError(r.ErrorCode, r.ErrorMessage); err != nil {
			return err
		}
	}
	return nil
}

// configResult is one resource of `config alter`.
type configResult struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Status string `json:"status"` // altered, failed; "would be altered" in a dry run
	Error  string `json:"error,omitempty"`
	err    error
}

func newConfigAlter(a *app) *cobra.Command {
	var set, del, add, subtract []string
	var dryRun bool
	c := &cobra.Command{
		Use:   "alter topic|broker NAME...",
		Short: "Change settings",
		Long: `Change settings of topics (names or patterns) or brokers (ids; "default" for the whole cluster). Only what is named changes.
--append and --subtract are for settings that are lists.`,
		Example: `  barnabas config alter topic orders --set retention.ms=3600000 --delete segment.ms
  barnabas config alter topic orders --append cleanup.policy=compact
  barnabas config alter broker default --set log.cleaner.threads=2
  barnabas config alter topic 'orders-*' --set min.insync.replicas=2 --dry-run`,
		Args:              need(2, -1, "`topic` or `broker`, and a name"),
		ValidArgsFunction: a.completeConfigResource,
		RunE: func(cmd *cobra.Command, args []string) error {
			typ, ok := configKinds[args[0]]
			if !ok {
				return usage(args[0]+" is neither topic nor broker", "`barnabas config alter topic NAME ...` or `barnabas config alter broker ID ...`")
			}
			ops, err := parseOps(set, del, add, subtract)
			if err != nil {
				return err
			}
			if len(ops) == 0 {
				return usage("nothing to change", "give --set, --delete, --append or --subtract")
			}
			ctx, adm, done, err := a.admin(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			names, err := a.resourceNames(ctx, adm, typ, args[1:])
			if err != nil {
				return err
			}
			kind := strings.ToLower(typ.String())
			out := []configResult{}
			for _, n := range names {
				r := configResult{Kind: kind, Name: n, Status: dryStatus(dryRun, "altered")}
				if r.err = alterConfig(ctx, adm.wire, typ, n, ops, dryRun); r.err != nil {
					r.Status, r.Error = "failed", a.explain(r.err).what
				}
				out = append(out, r)
			}
			blame := func(r *configResult) *fault { return a.blame(kind+" "+cmp.Or(r.Name, "default"), r.Error, r.err) }
			return report(a, kind+"s", out, blame, func(w io.Writer, alone bool) {
				if alone {
					return
				}
				t := newTable("KIND", "NAME", "STATUS", "ERROR")
				for _, r := range out {
					t.row(r.Kind, cmp.Or(r.Name, "default"), r.Status, r.Error)
				}
				t.dropEmptyColumns()
				t.draw(w, a.paint)
			})
		},
	}
	f := c.Flags()
	f.StringArrayVar(&set, "set", nil, "set `name=value`; repeat for more")
	f.StringArrayVar(&del, "delete", nil, "put the setting `name` back to its default; repeat for more")
	f.StringArrayVar(&add, "append", nil, "add to a list: `name=value`; repeat for more")
	f.StringArrayVar(&subtract, "subtract", nil, "take from a list: `name=value`; repeat for more")
	f.BoolVar(&dryRun, "dry-run", false, "only let the broker check whether it would work")
	for _, n := range []string{"set", "append", "subtract", "delete"} {
		suffix := "="
		if n == "delete" {
			suffix = ""
		}
		must(c.RegisterFlagCompletionFunc(n, a.completeConfigNames(kmsg.ConfigResourceTypeUnknown, suffix)))
	}
	return c
}
