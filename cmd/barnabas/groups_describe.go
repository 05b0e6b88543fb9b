package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func newGroupsDescribe(a *app) *cobra.Command {
	var regex, all, state, members, offsets bool
	c := &cobra.Command{
		Use:   "describe GROUP...",
		Short: "Show state, members, assignments, offsets and lag of groups",
		Long: `Show groups. Without --state, --members or --offsets all three parts are shown; with one or more of them, those parts.

State: coordinator, assignor, number of members; for KIP-848 groups the epochs, too. Members: who is in the group, from where, with
which partitions. Offsets: every partition that a member owns or that has a committed offset, with its lag.`,
		Example: `  barnabas groups describe billing
  barnabas groups describe billing shipping --offsets
  barnabas groups describe 'billing-*' --members
  barnabas groups describe --all --state -o json`,
		ValidArgsFunction: a.completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return usage("name groups, or pass --all", "see the groups with `barnabas groups list`")
			}
			p, err := newGroupPattern(args, regex)
			if err != nil {
				return err
			}
			if !state && !members && !offsets {
				state, members, offsets = true, true, true
			}
			ctx, adm, done, err := a.admin(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			listed, err := a.matchGroups(ctx, adm, p, false)
			if err != nil {
				return err
			}
			groups, err := a.readGroups(ctx, adm, listed, readWhat{members: true, offsets: offsets})
			if err != nil {
				return err
			}
			out := []groupDescription{}
			for _, g := range groups {
				d := *g
				if !members {
					d.Members = nil
				}
				out = append(out, d)
			}
			blame := func(g *groupDescription) *fault {
				return a.blame(shownName(g.Group), g.Error, a.groupError(g.err, g.Group))
			}
			return report(a, "groups", out, blame, func(w io.Writer, _ bool) {
				for i, g := range out {
					if i > 0 {
						fmt.Fprintln(w)
					}
					a.drawGroup(w, &g, state, members, offsets)
				}
			})
		},
	}
	f := c.Flags()
	groupPatternFlag(c, &regex)
	f.BoolVar(&all, "all", false, "all groups of the cluster")
	f.BoolVar(&state, "state", false, "show the state")
	f.BoolVar(&members, "members", false, "show the members")
	f.BoolVar(&offsets, "offsets", false, "show the offsets")
	return c
}

func (a *app) drawGroup(w io.Writer, g *groupDescription, state, members, offsets bool) {
	a.title(w, "group %s", shownGroup(g.Group))
	if g.err != nil {
		fmt.Fprintln(w, printable(g.Error))
		return
	}
	if state {
		drawGroupState(w, g)
	}
	if members {
		if state {
			fmt.Fprintln(w)
		}
		drawGroupMembers(w, g, a.paint)
	}
	if offsets {
		if state || members {
			fmt.Fprintln(w)
		}
		drawGroupOffsets(w, g, a.paint)
	}
}

func drawGroupState(w io.Writer, g *groupDescription) {
	kv := []any{"state", g.State}
	add := func(name string, v any) {
		if cell(v) != "-" {
			kv = append(kv, name, v)
		}
	}
	add("type", g.Type)
	add("protocol", g.ProtocolType)
	add("assignor", g.Assignor)
	if g.Epoch != nil {
		add("group epoch", fmt.Sprintf("%d, assignment epoch %d", *g.Epoch, *g.AssignmentEpoch))
	}
	if g.Coordinator != nil {
		add("coordinator", fmt.Sprintf("%d (%s:%d)", g.Coordinator.ID, g.Coordinator.Host, g.Coordinator.Port))
	}
	kv = append(kv, "members", g.MemberCount)
	if g.Lag != nil {
		kv = append(kv, "lag", humanCount(*g.Lag))
	}
	if g.Uncommitted > 0 {
		kv = append(kv, "uncommitted", fmt.Sprintf("%d assigned partitions without a committed offset", g.Uncommitted))
	}
	pairs(w, kv...)
}

func drawGroupMembers(w io.Writer, g *groupDescription, paint bool) {
	if len(g.Members) == 0 {
		fmt.Fprintln(w, "no members")
		return
	}
	t := newTable("MEMBER", "INSTANCE", "CLIENT", "HOST", "RACK", ">EPOCH", ">PARTITIONS", "ASSIGNMENT", "MOVING TO", ">LAG")
	for i := range g.Members {
		m := &g.Members[i]
		var epoch, target any
		if m.Epoch != nil {
			epoch = *m.Epoch
		}
		if now, goal := assignmentText(m.Assignment), assignmentText(m.Target); m.Target != nil && now != goal {
			target = goal
		}
		t.row(m.MemberID, m.InstanceID, m.ClientID, m.Host, m.Rack, epoch, m.partitions(), m.work(), target, m.Lag)
	}
	t.dropEmptyColumns("CLIENT", "HOST", "PARTITIONS", "ASSIGNMENT")
	t.draw(w, paint)
}

// work is what the member has been given, in words.
func (m *groupMember) work() string {
	switch {
	case len(m.Connectors) > 0:
		var out []string
		for _, c := range m.Connectors {
			var tasks []int32
			text := c.Connector
			for _, n := range c.Tasks {
				if n == -1 {
					text += " (the connector itself)"
				} else {
					tasks = append(tasks, n)
				}
			}
			if len(tasks) > 0 {
				text += " tasks " + ranges(tasks)
			}
			out = append(out, text)
		}
		return strings.Join(out, "; ")
	case m.OpaqueBytes > 0:
		return fmt.Sprintf("%d bytes of its own kind", m.OpaqueBytes)
	}
	return assignmentText(m.Assignment)
}

// assignmentText is topic:0-3,7 with blanks between topics.
func assignmentText(list []topicPartitions) string {
	var out []string
	for _, t := range list {
		out = append(out, t.Topic+":"+ranges(t.Partitions))
	}
	return strings.Join(out, " ")
}

// ranges writes sorted numbers as parsePartitions reads them: 0-3,7.
func ranges(list []int32) string {
	var b strings.Builder
	for i := 0; i < len(list); {
		j := i
		for j+1 < len(list) && list[j+1] == list[j]+1 {
			j++
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		fmt.Fprint(&b, list[i])
		if j > i {
			fmt.Fprintf(&b, "-%d", list[j])
		}
		i = j + 1
	}
	return b.String()
}

func drawGroupOffsets(w io.Writer, g *groupDescription, paint bool) {
	if g.Type == "share" {
		fmt.Fprintln(w, "a share group has no committed offsets")
		return
	}
	if len(g.Partitions) == 0 {
		fmt.Fprintln(w, "no committed offsets and no assigned partitions")
		return
	}
	t := newTable("TOPIC", ">PARTITION", ">COMMITTED", ">END", ">LAG", "MEMBER", "INSTANCE", "CLIENT", "HOST", "NOTE", "ERROR")
	for _, p := range g.Partitions {
		t.row(p.Topic, p.Partition, p.Committed, p.End, p.Lag, p.MemberID, p.InstanceID, p.ClientID, p.Host, p.Note, p.Error)
	}
	t.dropEmptyColumns("COMMITTED", "END", "LAG")
	t.draw(w, paint)
	if idle := slices.IndexFunc(g.Members, func(m groupMember) bool { return m.partitions() == 0 }); idle >= 0 && g.State == "Stable" && g.ProtocolType == "consumer" {
		n := 0
		for i := range g.Members {
			if g.Members[i].partitions() == 0 {
				n++
			}
		}
		fmt.Fprintf(w, "members without partitions: %d\n", n)
	}
}
