package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// groupResult is one line of what delete reports.
type groupResult struct {
	Group  string `json:"group"`
	Status string `json:"status"` // deleted, missing, failed; "would be deleted" in a dry run
	State  string `json:"state,omitempty"`
	Error  string `json:"error,omitempty"`
	err    error
}

func newGroupsDelete(a *app) *cobra.Command {
	var regex, ifExists, dryRun, yes bool
	c := &cobra.Command{
		Use:   "delete GROUP...",
		Short: "Delete groups with all their offsets",
		Long:  `Delete groups with all their committed offsets. A group with members is refused.`,
		Example: `  barnabas groups delete billing
  barnabas groups delete 'test-*' --dry-run
  barnabas groups delete 'test-*' --yes`,
		Args:              need(1, -1, "the name of a group"),
		ValidArgsFunction: a.completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := newGroupPattern(args, regex)
			if err != nil {
				return err
			}
			ctx, adm, done, err := a.admin(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			listed, err := a.matchGroups(ctx, adm, p, ifExists)
			if err != nil {
				return err
			}
			names := make([]string, len(listed))
			results := []groupResult{}
			for i, l := range listed {
				names[i] = l.Group
				if dryRun {
					results = append(results, groupResult{Group: l.Group, Status: "would be deleted", State: l.State})
				}
			}
			if !dryRun && len(names) > 0 {
				if p.wild() && !yes {
					if err := a.confirm(ctx, "delete "+namesShown(names)); err != nil {
						return err
					}
				}
				for names := range slices.Chunk(names, describeBatch) {
					got, err := adm.DeleteGroups(ctx, names...)
					for _, n := range names {
						r := groupResult{Group: n, Status: "deleted"}
						d, ok := got[n]
						switch {
						case ok && d.Err != nil:
							err := kadmError(d.Err, d.ErrMessage)
							r.Status, r.err = "failed", a.groupError(err, n)
						case !ok:
							r.Status, r.err = "failed", a.groupError(cmp.Or(err, errNoAnswer), n)
						}
						if r.err != nil {
							r.Error = r.err.Error()
						}
						results = append(results, r)
					}
				}
			}
			if _, unmatched := p.pick(names); ifExists && !p.wild() {
				for _, n := range unmatched {
					results = append(results, groupResult{Group: n, Status: "missing"})
				}
			}
			return a.reportGroups(results)
		},
	}
	f := c.Flags()
	groupPatternFlag(c, &regex)
	f.BoolVar(&ifExists, "if-exists", false, "be content if there is no such group")
	f.BoolVar(&dryRun, "dry-run", false, "only show which groups would go")
	f.BoolVarP(&yes, "yes", "y", false, "do not ask before deleting what a pattern matches")
	return c
}

// reportGroups prints the results and is the command's end.
func (a *app) reportGroups(results []groupResult) error {
	blame := func(r *groupResult) *fault { return a.blame(shownName(r.Group), r.Error, r.err) }
	return report(a, "groups", results, blame, func(w io.Writer, alone bool) {
		if alone {
			return
		}
		t := newTable("GROUP", "STATUS", "STATE", "ERROR")
		for _, r := range results {
			t.row(shownGroup(r.Group), r.Status, r.State, r.Error)
		}
		t.dropEmptyColumns("STATUS")
		t.draw(w, a.paint)
	})
}

// deletedOffset is one line of what delete-offsets reports.
type deletedOffset struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    *int64 `json:"offset,omitempty"` // what was committed
	Status    string `json:"status"`           // deleted, nothing committed, failed; "would be deleted" in a dry run
	Error     string `json:"error,omitempty"`
	err       error
}

func newGroupsDeleteOffsets(a *app) *cobra.Command {
	var (
		topics            []string
		allTopics, dryRun bool
	)
	c := &cobra.Command{
		Use:   "delete-offsets GROUP",
		Short: "Delete committed offsets of a group, by topic or partition",
		Long: `Delete committed offsets of a group. It may have members as long as none of them reads the topic. A consumer that comes
back begins where its auto.offset.reset says.

--topic orders is every partition with a committed offset, even of a topic that no longer exists; --topic orders:0,1 names partitions.`,
		Example: `  barnabas groups delete-offsets billing --topic orders
  barnabas groups delete-offsets billing --topic orders:0,1 --topic payments --dry-run`,
		Args:              need(1, 1, "the name of a group"),
		ValidArgsFunction: a.completeOneGroup,
		RunE: func(cmd *cobra.Command, args []string) error {
			scope, err := parseTopicScope(topics)
			if err != nil {
				return err
			}
			if (len(scope) > 0) == allTopics {
				return usage("which partitions?", "pass --topic orders, --topic orders:0,1 or --all-topics")
			}
			ctx, adm, done, err := a.admin(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			rows, err := a.deleteOffsets(ctx, adm, args[0], scope, dryRun)
			if err != nil {
				return err
			}
			blame := func(r *deletedOffset) *fault { return a.blame(partitionName(r.Topic, r.Partition), r.Error, r.err) }
			return report(a, "partitions", rows, blame, func(w io.Writer, _ bool) {
				t := newTable("TOPIC", ">PARTITION", ">OFFSET", "STATUS", "ERROR")
				for _, r := range rows {
					t.row(r.Topic, r.Partition, r.Offset, r.Status, r.Error)
				}
				t.dropEmptyColumns("OFFSET", "STATUS")
				t.draw(w, a.paint)
			})
		},
	}
	f := c.Flags()
	f.StringArrayVar(&topics, "topic", nil, "a `topic`, or topic:0,1,5-7; repeat for more")
	f.BoolVar(&allTopics, "all-topics", false, "every partition with a committed offset")
	f.BoolVar(&dryRun, "dry-run", false, "only show what would go")
	must(c.RegisterFlagCompletionFunc("topic", a.completeTopics))
	return c
}

func (a *app) deleteOffsets(ctx context.Context, adm *adminClient, group string, scope []topicScope, dryRun bool) ([]deletedOffset, error) {
	committed, err := a.committedOf(ctx, adm, group)
	if err != nil {
		return nil, err
	}
	rows := []deletedOffset{}
	for topic, parts := range committed { // any order: sorted below
		for p, o := range parts { // any order: sorted below
			if inScope(scope, topic, p) {
				rows = append(rows, deletedOffset{Topic: topic, Partition: p, Offset: o, Status: dryStatus(dryRun, "deleted")})
			}
		}
	}
	for _, s := range scope {
		if s.partitions == nil && committed[s.topic] == nil {
			if len(committed) == 0 {
				if g, err := a.describeOne(ctx, adm, group, readWhat{}); err != nil {
					return nil, err
				} else if g == nil {
					return nil, noGroup(group)
				}
			}
			return nil, failed("group "+shownName(group)+" has no committed offsets of "+shownName(s.topic), "see them with `barnabas groups describe --offsets`")
		}
		for _, p := range s.partitions {
			if committed[s.topic][p] == nil {
				rows = append(rows, deletedOffset{Topic: s.topic, Partition: p, Status: "nothing committed"})
			}
		}
	}
	slices.SortFunc(rows, func(x, y deletedOffset) int {
		return cmp.Or(compareStrings(x.Topic, y.Topic), cmp.Compare(x.Partition, y.Partition))
	})
	set := kadm.TopicsSet{}
	for _, r := range rows {
		if r.Offset != nil {
			set.Add(r.Topic, r.Partition)
		}
	}
	if len(set) == 0 || dryRun {
		return rows, nil
	}
	got, err := adm.DeleteOffsets(ctx, group, set)
	if err != nil {
		return nil, a.groupError(wrap(err, "deleting offsets of group %s", shownName(group)), group)
	}
	for i := range rows {
		r := &rows[i]
		if r.Offset == nil {
			continue
		}
		answer, ok := got.Lookup(r.Topic, r.Partition)
		if !ok {
			answer = errNoAnswer
		}
		if answer != nil {
			r.Status, r.err = "failed", a.groupError(answer, group)
			r.Error = r.err.Error()
		}
	}
	return rows, nil
}

// removedMember is one line of what remove-members reports.
type removedMember struct {
	MemberID   string  `json:"member"`
	InstanceID *string `json:"instance,omitempty"`
	ClientID   string  `json:"client,omitempty"`
	Host       string  `json:"host,omitempty"`
	Status     string  `json:"status"` // removed, failed; "would be removed" in a dry run
	Error      string  `json:"error,omitempty"`
	err        error
}

// adminReason begins every reason that an administrator gives, as Kafka's own admin client writes it, so that logs and the
// explanation of a rebalance tell a removal from a member that left by itself.
const adminReason = "member was removed by an admin"

// reasonBytesMax is where Kafka's clients cut a reason.
const reasonBytesMax = 255

func newGroupsRemoveMembers(a *app) *cobra.Command {
	var (
		members, instances []string
		all, dryRun, yes   bool
		reason             string
	)
	c := &cobra.Command{
		Use:   "remove-members GROUP",
		Short: "Remove members from a group, by member id, instance id, or all",
		Long: `Remove members from a group: those that are gone but whose session still runs, above all static members (group.instance.id)
after scaling down. Their partitions go to the others at once.

A consumer that is alive joins again at its next heartbeat; stop it first if it is to stay away. The reason is shown in the broker's log
and in the explanation of the rebalance.`,
		Example: `  barnabas groups remove-members billing --instance billing-7 --reason 'scaled down'
  barnabas groups remove-members billing --member consumer-1-8a6e0e4c
  barnabas groups remove-members billing --all --dry-run`,
		Args:              need(1, 1, "the name of a group"),
		ValidArgsFunction: a.completeOneGroup,
		RunE: func(cmd *cobra.Command, args []string) error {
			if all == (len(members)+len(instances) > 0) {
				return usage("which members?", "pass --instance, --member or --all; `barnabas groups describe GROUP --members` shows who is there")
			}
			ctx, adm, done, err := a.admin(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			group := args[0]
			g, err := a.describeOne(ctx, adm, group, readWhat{members: true})
			if err != nil {
				return err
			}
			if g == nil {
				return noGroup(group)
			}
			rows, err := chooseMembers(g, members, instances, all)
			if err != nil {
				return err
			}
			if all && !yes && !dryRun && len(rows) > 0 {
				if err := a.confirm(ctx, fmt.Sprintf("remove all %d members of %s", len(rows), shownName(group))); err != nil {
					return err
				}
			}
			for i := range rows {
				rows[i].Status = dryStatus(dryRun, "removed")
			}
			if !dryRun && len(rows) > 0 {
				if err := a.removeMembers(ctx, adm, group, rows, leaveReason(reason)); err != nil {
					return err
				}
			}
			return a.reportMembers(rows)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&members, "member", nil, "a member `id`; repeat for more")
	f.StringArrayVar(&instances, "instance", nil, "a static member's group.instance.id, as `id`; repeat for more")
	f.BoolVar(&all, "all", false, "every member")
	f.StringVar(&reason, "reason", "", "`text` that tells others why")
	f.BoolVar(&dryRun, "dry-run", false, "only show who would go")
	f.BoolVarP(&yes, "yes", "y", false, "do not ask before removing all")
	return c
}

// leaveReason is what goes on the wire: whole characters, within the bound.
func leaveReason(text string) string {
	r := adminReason
	if text != "" {
		r += ": " + text
	}
	for n, c := range r {
		if n+len(string(c)) > reasonBytesMax {
			return r[:n]
		}
	}
	return r
}

// chooseMembers finds the members that are meant; one that is not there is an error before anybody is removed.
func chooseMembers(g *groupDescription, members, instances []string, all bool) ([]removedMember, error) {
	rows := []removedMember{}
	add := func(m *groupMember) {
		if !slices.ContainsFunc(rows, func(r removedMember) bool { return r.MemberID == m.MemberID }) {
			rows = append(rows, removedMember{MemberID: m.MemberID, InstanceID: m.InstanceID, ClientID: m.ClientID, Host: m.Host})
		}
	}
	find := func(kind, id string, is func(groupMember) bool) error {
		i := slices.IndexFunc(g.Members, is)
		if i < 0 {
			return failed(fmt.Sprintf("group %s has no member with %s %s", shownName(g.Group), kind, shownName(id)), groupCureMembers(g.Group))
		}
		add(&g.Members[i])
		return nil
	}
	for _, id := range members {
		if err := find("id", id, func(m groupMember) bool { return m.MemberID == id }); err != nil {
			return nil, err
		}
	}
	for _, id := range instances {
		if err := find("instance", id, func(m groupMember) bool { return m.InstanceID != nil && *m.InstanceID == id }); err != nil {
			return nil, err
		}
	}
	if all {
		for i := range g.Members {
			add(&g.Members[i])
		}
	}
	return rows, nil
}

func groupCureMembers(group string) string {
	if group == shownName(group) {
		return "see who is there with `barnabas groups describe " + group + " --members`"
	}
	return "see who is there with `barnabas groups describe --members`"
}

// removeMembers sends one LeaveGroup. A static member goes by its instance id, so that one that came back under a new member id goes, too.
func (a *app) removeMembers(ctx context.Context, adm *adminClient, group string, rows []removedMember, reason string) error {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group = group
	for _, r := range rows {
		m := kmsg.NewLeaveGroupRequestMember()
		m.Reason = &reason
		if r.InstanceID != nil {
			m.InstanceID = r.InstanceID
		} else {
			m.MemberID = r.MemberID
		}
		req.Members = append(req.Members, m)
	}
	resp, err := req.RequestWith(ctx, adm.wire)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return a.groupError(wrap(err, "removing members of group %s", shownName(group)), group)
	}
	for i := range rows {
		r := &rows[i]
		j := slices.IndexFunc(resp.Members, func(m kmsg.LeaveGroupResponseMember) bool {
			if r.InstanceID != nil {
				return m.InstanceID != nil && *m.InstanceID == *r.InstanceID
			}
			return m.MemberID == r.MemberID
		})
		switch {
		case j < 0:
			r.err = errNoAnswer
		case resp.Members[j].ErrorCode == kerr.UnknownMemberID.Code:
			r.err = failed(codeText(kerr.UnknownMemberID.Code, "it has left by itself, or the coordinator does not remove members of this kind"), groupCureMembers(group))
		default:
			r.err = codeError(resp.Members[j].ErrorCode, nil)
		}
		if r.err != nil {
			r.Status, r.Error = "failed", r.err.Error()
		}
	}
	return nil
}

func (a *app) reportMembers(rows []removedMember) error {
	blame := func(r *removedMember) *fault { return a.blame(shownName(r.MemberID), r.Error, r.err) }
	return report(a, "members", rows, blame, func(w io.Writer, _ bool) {
		if len(rows) == 0 {
			fmt.Fprintln(w, "no members")
			return
		}
		t := newTable("MEMBER", "INSTANCE", "CLIENT", "HOST", "STATUS", "ERROR")
		for _, r := range rows {
			t.row(r.MemberID, r.InstanceID, r.ClientID, strings.TrimPrefix(r.Host, "/"), r.Status, r.Error)
		}
		t.dropEmptyColumns("CLIENT", "HOST", "STATUS")
		t.draw(w, a.paint)
	})
}
