package journal

import (
	"fmt"
	"strings"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// Say tells a note in a line or two, in the words of somebody who runs consumers. It begins with the group; at is when the note was made. A kind
// of note that is added without words for it panics: that is a fault of the program, found by the timelines.
func Say(at vtime.Instant, n coord.Note) string {
	in := func(deadline vtime.Instant) string { return "in " + deadline.Since(at).String() }
	because := func(reason string) string {
		if reason == "" {
			return ""
		}
		return fmt.Sprintf(`, giving the reason %q`, reason)
	}
	who := func(m coord.Member) string {
		s := m.ID
		if m.Instance != "" {
			s += " (static " + m.Instance + ")"
		}
		return s
	}
	all := func(members []coord.Member) string {
		var names []string
		for _, m := range members {
			names = append(names, m.ID)
		}
		return strings.Join(names, ", ")
	}
	generation := func(g int32) string { return fmt.Sprintf("generation %d", g) }
	text := ""
	switch n := n.(type) {
	case coord.GroupCreated:
		text = "a new group"
	case coord.MemberIDGiven:
		text = fmt.Sprintf("%s at %s gets its id, and has %s to join with it", n.Member.ID, n.Member.Host, n.Deadline.Since(at))
	case coord.MemberIDExpired:
		text = n.Member + " never came back to join with the id it was given"
	case coord.MemberArrived:
		verb := "rejoins"
		if n.New {
			verb = "joins"
		}
		text = fmt.Sprintf("%s %s, %d of %d here", who(n.Member), verb, n.Arrived, n.Members)
		if n.Pending > 0 {
			text += fmt.Sprintf(" and %d with an id still to come", n.Pending)
		}
		if n.Repeated {
			text += ", for the second time"
		}
		text += because(n.Reason)
	case coord.RebalanceStarted:
		text = fmt.Sprintf("%s -> PreparingRebalance, still %s: %s", n.From, generation(n.Generation), n.Trigger)
		if n.Member.ID != "" {
			text += " (" + who(n.Member) + ")"
		}
		text += because(n.Reason)
		switch {
		case n.Initial && n.Deadline == at: // no initial delay: nobody is waited for
		case n.Initial:
			text += "\n  members may gather, the phase ends " + in(n.Deadline)
		case len(n.Awaited) > 0:
			text += fmt.Sprintf("\n  waits %s at most for %s", n.Deadline.Since(at), all(n.Awaited))
		}
	case coord.JoinExtended:
		text = fmt.Sprintf("members came, %d by now; the phase goes on and ends %s", n.Members, in(n.Deadline))
	case coord.JoinWaitsForStatic:
		text = fmt.Sprintf("nobody rejoined; waits %s more for static %s", n.Deadline.Since(at), all(n.Awaited))
	case coord.MemberRemoved:
		text = who(n.Member) + " is out: " + string(n.Cause)
		if n.Leader {
			text = who(n.Member) + ", the leader, is out: " + string(n.Cause)
		}
		if n.Cause != coord.Left && n.Cause != coord.RemovedByID {
			text += fmt.Sprintf(", last heard of %s ago", n.Silent)
		}
		if by := n.By; by.Client != "" && (by.Client != n.Member.Client || by.Host != n.Member.Host) {
			text += fmt.Sprintf("; %s at %s asked for it", by.Client, hostText(by.Host))
		}
		text += because(n.Reason)
	case coord.MemberTold:
		text = fmt.Sprintf("%s learns of it from its %s, after %s", n.Member.ID, n.API, n.After)
		if n.Held {
			text = n.Member.ID + " learns of it at once, from the answer to its " + n.API + " that was held back"
		}
	case coord.LeaderElected:
		text = who(n.Leader) + " leads"
		if n.Previous != "" {
			text += " in place of " + n.Previous
		}
	case coord.JoinCompleted:
		text = fmt.Sprintf("PreparingRebalance -> CompletingRebalance after %s: %s of %d members, protocol %s, leader %s, last to come %s",
			n.Took, generation(n.Generation), n.Members, n.Protocol, n.Leader.ID, n.Last.ID)
	case coord.GroupEmptied:
		text = fmt.Sprintf("PreparingRebalance -> Empty after %s: %s has no members", n.Took, generation(n.Generation))
	case coord.SyncArrived:
		what := "asks for its assignment"
		switch {
		case n.Leader:
			what = "hands in the assignment"
		case n.Waits:
			what = "waits for its assignment"
		}
		text = fmt.Sprintf("%s %s, %d still to ask", n.Member.ID, what, n.Awaited)
	case coord.Stabilized:
		text = fmt.Sprintf("CompletingRebalance -> Stable after %s: %s of %d members, assigned by %s", n.Took, generation(n.Generation), n.Members, n.Leader.ID)
		if len(n.Unassigned) > 0 {
			text += "\n  left out by the leader: " + strings.Join(n.Unassigned, ", ")
		}
		if len(n.Awaited) > 0 {
			text += "\n  have not asked yet: " + all(n.Awaited)
		}
	case coord.StaticMemberReplaced:
		text = fmt.Sprintf("%s takes the seat of %s, last heard of %s ago", who(n.Member), n.OldID, n.Away)
		if !n.Rebalance {
			text += "; nobody else notices"
		}
	case coord.RequestRefused:
		by := " of somebody without a member id"
		switch {
		case n.Member != "":
			by = " of " + n.Member
		case n.Client != "":
			by = fmt.Sprintf(" of %s at %s, which has no member id yet,", n.Client, hostText(n.Host))
		case n.API == "DeleteGroups":
			by = ""
		}
		text = fmt.Sprintf("%s%s refused with %s: %s", n.API, by, n.Code, n.Why)
	case coord.GroupDeleted:
		text = "the group is deleted: " + string(n.Cause)
	case coord.OffsetsDeleted:
		var tps []string
		for _, tp := range n.Partitions {
			tps = append(tps, tp.String())
		}
		text = fmt.Sprintf("offsets of %s deleted: %s", strings.Join(tps, ", "), n.Cause)
		switch {
		case n.Cause != coord.RetentionPassed:
		case n.SinceEmpty:
			text += fmt.Sprintf(", the group has been empty for %s", at.Since(n.Since))
		default:
			text += fmt.Sprintf(", committed %s ago", at.Since(n.Since))
		}
	case coord.GroupRestored:
		text = fmt.Sprintf("read back from the log: %s, %s of %d members; sessions start over", n.State, generation(n.Generation), n.Members)
	default:
		panic(fmt.Sprintf("no words for %T", n))
	}
	return n.NoteGroup() + ": " + text
}
