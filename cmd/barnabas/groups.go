package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

func newGroupsCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:     "groups",
		Aliases: []string{"group"},
		Short:   "List, describe, watch, move and delete consumer groups and their offsets",
		Long: `List, describe, watch, move and delete consumer groups and their offsets, on Barnabas and on any other Kafka.

Where a command takes existing groups, a GROUP with *, ? or [a-z] is a shell pattern (quote it), and with --regex every GROUP is a
regular expression that must match the whole name. A group that has exactly the name given is always that group alone.

What moves offsets (reset-offsets, import, migrate) shows its plan and changes nothing until --execute is given.`,
		Example: `  barnabas groups list
  barnabas groups describe billing
  barnabas groups lag --watch
  barnabas groups reset-offsets billing --topic orders --to-datetime 2026-01-31T12:00:00Z`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(newGroupsList(a), newGroupsDescribe(a), newGroupsLag(a), newGroupsReset(a), newGroupsExport(a), newGroupsImport(a),
		newGroupsDelete(a), newGroupsDeleteOffsets(a), newGroupsRemoveMembers(a), newGroupsMigrate(a))
	return c
}

// groupPattern selects groups by name. Group names, unlike topics, may hold anything: '/', blanks, even '*'.
type groupPattern struct {
	args  []string
	match []*regexp.Regexp // nil: only the name itself
}

func newGroupPattern(args []string, isRegex bool) (*groupPattern, error) {
	p := &groupPattern{args: args, match: make([]*regexp.Regexp, len(args))}
	for i, s := range args {
		var err error
		switch {
		case isRegex:
			if p.match[i], err = regexp.Compile("^(?:" + s + ")$"); err != nil {
				return nil, usage(fmt.Sprintf("%q is not a regular expression: %v", s, err), "Go's RE2 syntax, without ^ and $")
			}
		case isGlob(s):
			if p.match[i], err = globExpression(s); err != nil {
				return nil, usage(fmt.Sprintf("%q is not a pattern: %v", s, err), "use * for any text, ? for one character, [a-z] for a set")
			}
		}
	}
	return p, nil
}

// globExpression turns a shell pattern into an expression for the whole name; unlike in paths, * crosses '/'.
func globExpression(glob string) (*regexp.Regexp, error) {
	var b strings.Builder
	b.WriteString(`^(?s:`)
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; c {
		case '*':
			b.WriteString(`.*`)
		case '?':
			b.WriteByte('.')
		case '[':
			n := strings.IndexByte(glob[i:], ']')
			if n < 2 {
				return nil, errors.New("a '[' without its set and ']'")
			}
			set := glob[i+1 : i+n]
			negate := ""
			if set[0] == '^' || set[0] == '!' {
				negate, set = "^", set[1:]
			}
			b.WriteString("[" + negate + strings.NewReplacer(`\`, `\\`, `[`, `\[`, `^`, `\^`).Replace(set) + "]")
			i += n
		default:
			n := strings.IndexAny(glob[i:], "*?[")
			if n < 0 {
				n = len(glob) - i
			}
			b.WriteString(regexp.QuoteMeta(glob[i : i+n]))
			i += n - 1
		}
	}
	b.WriteString(`)$`)
	return regexp.Compile(b.String())
}

// wild reports whether an argument may mean several groups.
func (p *groupPattern) wild() bool {
	return slices.ContainsFunc(p.match, func(re *regexp.Regexp) bool { return re != nil })
}

// pick returns the matching names in the order of names, and the arguments that matched nothing. No arguments match all.
func (p *groupPattern) pick(names []string) (picked, unmatched []string) {
	exact := make([]bool, len(p.args))
	for i, s := range p.args {
		exact[i] = slices.Contains(names, s)
	}
	hit := make([]bool, len(p.args))
	for _, name := range names {
		ok := len(p.args) == 0
		for i, s := range p.args {
			if s == name || !exact[i] && p.match[i] != nil && p.match[i].MatchString(name) {
				ok, hit[i] = true, true
			}
		}
		if ok {
			picked = append(picked, name)
		}
	}
	for i, s := range p.args {
		if !hit[i] {
			unmatched = append(unmatched, s)
		}
	}
	return picked, unmatched
}

// listedGroup is what ListGroups says of one group.
type listedGroup struct {
	Group        string `json:"group"`
	State        string `json:"state"`
	Type         string `json:"type,omitempty"` // classic, consumer, share or streams; absent when the broker does not know types
	ProtocolType string `json:"protocol_type"`  // consumer, connect, ...; empty: offsets were committed, nobody ever joined
}

// listGroups asks every broker, since each knows the groups it coordinates only. Brokers that fail are an error beside the groups of
// the others.
func listGroups(ctx context.Context, adm *adminClient) (map[string]listedGroup, error) {
	out := map[string]listedGroup{}
	shards := adm.wire.RequestSharded(ctx, kmsg.NewPtrListGroupsRequest())
	var firstErr error
	for _, s := range shards {
		err := s.Err
		if err == nil {
			resp := s.Resp.(*kmsg.ListGroupsResponse)
			if err = kerr.ErrorForCode(resp.ErrorCode); err == nil {
				for _, g := range resp.Groups {
					out[g.Group] = listedGroup{Group: g.Group, State: g.GroupState, Type: strings.ToLower(g.GroupType), ProtocolType: g.ProtocolType}
				}
				continue
			}
		}
		if firstErr == nil {
			firstErr = wrap(err, "listing the groups of broker %d", s.Meta.NodeID)
		}
	}
	return out, firstErr
}

// matchGroups lists the cluster's groups and applies p. An argument that matches nothing is an error, unless lenient.
func (a *app) matchGroups(ctx context.Context, adm *adminClient, p *groupPattern, lenient bool) ([]listedGroup, error) {
	all, err := listGroups(ctx, adm)
	err = a.groupError(err, "")
	if err != nil && len(all) == 0 {
		return nil, err
	}
	picked, unmatched := p.pick(slices.Sorted(maps.Keys(all)))
	if len(unmatched) > 0 && !lenient {
		if err != nil {
			return nil, err // the group may live where nobody answered
		}
		return nil, noGroup(unmatched...)
	}
	if err != nil {
		a.warn("the list is not complete: %v", err)
	}
	out := make([]listedGroup, len(picked))
	for i, n := range picked {
		out[i] = all[n]
	}
	return out, nil
}

func noGroup(names ...string) error {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = shownName(n)
	}
	what := "no group "
	if len(names) > 1 {
		what = "no groups "
	}
	return failed(what+strings.Join(quoted, ", "), "see the groups with `barnabas groups list`")
}

// shownName is a group or member name within a sentence: as it is when it is a plain word, else quoted.
func shownName(s string) string {
	if s != "" && printable(s) == s && !strings.ContainsAny(s, " ,\"'`") {
		return s
	}
	return fmt.Sprintf("%q", s)
}

// namesShown joins names for a question or an error, at most ten of them.
func namesShown(names []string) string {
	var out []string
	for i, n := range names {
		if i == 10 {
			out = append(out, fmt.Sprintf("and %d more", len(names)-i))
			break
		}
		out = append(out, shownName(n))
	}
	return strings.Join(out, ", ")
}

// groupCure is what a person can do about an error of a group request; the same code means another thing in other requests.
func groupCure(err error, group string) string {
	var ke *kerr.Error
	if !errors.As(err, &ke) {
		return ""
	}
	describe := "`barnabas groups describe GROUP --members`"
	if group == shownName(group) {
		describe = "`barnabas groups describe " + group + " --members`"
	}
	switch kafka.ErrorCode(ke.Code) {
	case kafka.GroupIDNotFound:
		return "see the groups with `barnabas groups list`"
	case kafka.NonEmptyGroup:
		return "stop its consumers first; " + describe + " shows who they are"
	case kafka.UnknownMemberID, kafka.IllegalGeneration, kafka.RebalanceInProgress, kafka.StaleMemberEpoch:
		return "a consumer has joined in between: stop it and repeat; " + describe + " shows who it is"
	case kafka.GroupSubscribedToTopic:
		return "a live member reads this topic: stop it first; " + describe + " shows who it is"
	case kafka.CoordinatorLoadInProgress, kafka.CoordinatorNotAvailable, kafka.NotCoordinator:
		return "the coordinator is starting or moving: try again in a moment"
	case kafka.GroupAuthorizationFailed:
		return "ask for the rights on the group, or use a principal that has them"
	}
	return cureOf(kafka.ErrorCode(ke.Code))
}

// groupError says an error of a request about a group in our words, with its cure; nil stays nil.
func (a *app) groupError(err error, group string) error {
	if err == nil {
		return nil
	}
	f := a.explain(err)
	return &fault{what: f.what, cure: cmp.Or(groupCure(err, group), f.cure), code: f.code, err: err}
}

func groupPatternFlag(c *cobra.Command, regex *bool) {
	c.Flags().BoolVar(regex, "regex", false, "take every GROUP as a regular expression for the whole name")
}

func (a *app) completeGroups(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.ask(cmd, func(ctx context.Context, adm *adminClient) []cobra.Completion {
		all, _ := listGroups(ctx, adm)
		var out []cobra.Completion
		for _, n := range slices.Sorted(maps.Keys(all)) {
			// A name that does not print as it is cannot be typed from a menu either.
			if strings.HasPrefix(n, begun) && !slices.Contains(args, n) && printable(n) == n {
				out = append(out, n)
			}
		}
		return out
	})
}

func (a *app) completeOneGroup(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.completeGroups(cmd, args, begun)
}
