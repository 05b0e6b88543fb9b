package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// groupRow is one group of `groups list`.
type groupRow struct {
	Group        string `json:"group"`
	State        string `json:"state"`
	Type         string `json:"type,omitempty"`
	ProtocolType string `json:"protocol_type"`
	// The rest is absent with --quick, or when the group could not be asked.
	Members     *int   `json:"members,omitempty"`
	Lag         *int64 `json:"lag,omitempty"`         // records, over all partitions with a committed offset
	Uncommitted int    `json:"uncommitted,omitempty"` // assigned partitions without a committed offset
	Coordinator *int32 `json:"coordinator,omitempty"`
	Error       string `json:"error,omitempty"`
	err         error
}

var groupStates = []string{"Empty", "PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling", "Stable", "NotReady", "Dead"}
var groupTypes = []string{"classic", "consumer", "share", "streams"}

func newGroupsList(a *app) *cobra.Command {
	var (
		regex, quick          bool
		states, types, protos []string
		order                 string
	)
	c := &cobra.Command{
		Use:     "list [GROUP...]",
		Aliases: []string{"ls"},
		Short:   "List groups with state, type, members and lag",
		Long: `List groups with state, type, members and lag. Lag is the number of records between the committed offsets and the ends of the
logs; partitions that a member owns without a committed offset are counted apart, as UNCOMMITTED.

PROTOCOL is what the members speak among themselves: consumer, connect, or nothing when offsets were committed without joining.`,
		Example: `  barnabas groups list
  barnabas groups list 'billing-*' --sort lag
  barnabas groups list --state Empty,Dead --quick
  barnabas groups list --type consumer -o json`,
		ValidArgsFunction: a.completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			keep, err := groupFilter(states, types, protos)
			if err != nil {
				return err
			}
			less, err := groupOrder(order)
			if err != nil {
				return err
			}
			p, err := newGroupPattern(args, regex)
			if err != nil {
				return err
			}
			ctx, adm, done, err := a.admin(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			listed, err := a.matchGroups(ctx, adm, p, p.wild())
			if err != nil {
				return err
			}
			// Brokers before 2.6 list no states: those of their groups are known once they are described.
			listed = slices.DeleteFunc(listed, func(l listedGroup) bool { return l.State != "" && !keep(l) })
			groups, err := a.readGroups(ctx, adm, listed, readWhat{members: !quick, offsets: !quick})
			if err != nil {
				return err
			}
			groups = slices.DeleteFunc(groups, func(g *groupDescription) bool {
				return !keep(listedGroup{Group: g.Group, State: g.State, Type: g.Type, ProtocolType: g.ProtocolType})
			})
			rows := make([]groupRow, len(groups))
			for i, g := range groups {
				rows[i] = groupRow{Group: g.Group, State: g.State, Type: g.Type, ProtocolType: g.ProtocolType, Lag: g.Lag, Uncommitted: g.Uncommitted, Error: g.Error}
				if g.described && g.err == nil {
					rows[i].Members = &g.MemberCount
				}
				if g.Coordinator != nil {
					rows[i].Coordinator = &g.Coordinator.ID
				}
				rows[i].err = a.groupError(g.err, g.Group)
			}
			slices.SortStableFunc(rows, less)
			blame := func(r *groupRow) *fault {
				if r.err == nil {
					return nil
				}
				return a.explain(r.err)
			}
			return report(a, "groups", rows, blame, func(w io.Writer, _ bool) { drawGroupList(w, rows, a.paint) })
		},
	}
	f := c.Flags()
	groupPatternFlag(c, &regex)
	f.BoolVarP(&quick, "quick", "q", false, "ask for the list only: no members, no lag")
	f.StringSliceVar(&states, "state", nil, "only groups in these `states`: "+strings.Join(groupStates, ", "))
	f.StringSliceVar(&types, "type", nil, "only groups of these `types`: "+strings.Join(groupTypes, ", "))
	f.StringSliceVar(&protos, "protocol", nil, "only groups of these protocol `types`, such as consumer or connect")
	f.StringVar(&order, "sort", "name", "`column` to sort by: name, state, members or lag")
	must(c.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(groupStates, cobra.ShellCompDirectiveNoFileComp)))
	must(c.RegisterFlagCompletionFunc("type", cobra.FixedCompletions(groupTypes, cobra.ShellCompDirectiveNoFileComp)))
	must(c.RegisterFlagCompletionFunc("protocol", cobra.FixedCompletions([]string{"consumer", "connect"}, cobra.ShellCompDirectiveNoFileComp)))
	must(c.RegisterFlagCompletionFunc("sort", cobra.FixedCompletions([]string{"name", "state", "members", "lag"}, cobra.ShellCompDirectiveNoFileComp)))
	return c
}

func drawGroupList(w io.Writer, rows []groupRow, paint bool) {
	t := newTable("GROUP", "STATE", "TYPE", "PROTOCOL", ">MEMBERS", ">LAG", ">UNCOMMITTED", ">COORDINATOR", "ERROR")
	for _, r := range rows {
		var members, coordinator any
		if r.Members != nil {
			members = *r.Members
		}
		if r.Coordinator != nil {
			coordinator = *r.Coordinator
		}
		t.row(shownGroup(r.Group), r.State, r.Type, r.ProtocolType, members, r.Lag, orNil(r.Uncommitted), coordinator, r.Error)
	}
	t.dropEmptyColumns("STATE", "TYPE", "PROTOCOL")
	t.draw(w, paint)
}

// shownGroup is a group's name in a cell. The empty name is one that old clients use, so it is shown and not a missing value; blanks at
// the ends are made visible.
func shownGroup(s string) string {
	if s == "" || strings.TrimSpace(s) != s {
		return strconv.Quote(s)
	}
	return s
}

// groupFilter is the meaning of --state, --type and --protocol. Names of states and types are Kafka's, in any case.
func groupFilter(states, types, protos []string) (func(listedGroup) bool, error) {
	check := func(flag string, given, known []string) error {
		for _, s := range given {
			if !slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, s) }) {
				return usage(fmt.Sprintf("--%s %s: there is no such %s", flag, s, flag), "use "+strings.Join(known, ", "))
			}
		}
		return nil
	}
	if err := cmp.Or(check("state", states, groupStates), check("type", types, groupTypes)); err != nil {
		return nil, err
	}
	among := func(list []string, s string) bool {
		return len(list) == 0 || slices.ContainsFunc(list, func(x string) bool { return strings.EqualFold(x, s) })
	}
	return func(g listedGroup) bool {
		return among(states, g.State) && among(types, g.Type) && among(protos, g.ProtocolType)
	}, nil
}

// groupOrder sorts members and lag downwards, with what is not known last, everything else upwards; ties stay in the order of names.
func groupOrder(column string) (func(x, y groupRow) int, error) {
	switch column {
	case "name":
		return func(x, y groupRow) int { return compareStrings(x.Group, y.Group) }, nil
	case "state":
		return func(x, y groupRow) int { return compareStrings(x.State, y.State) }, nil
	case "members":
		key := func(r groupRow) int {
			if r.Members == nil {
				return -1
			}
			return *r.Members
		}
		return func(x, y groupRow) int { return cmp.Compare(key(y), key(x)) }, nil
	case "lag":
		key := func(r groupRow) int64 {
			if r.Lag == nil {
				return -1
			}
			return *r.Lag
		}
		return func(x, y groupRow) int { return cmp.Compare(key(y), key(x)) }, nil
	}
	return nil, usage("--sort "+column+" is not a column", "use name, state, members or lag")
}
