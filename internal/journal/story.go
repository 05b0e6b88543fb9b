package journal

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// Story tells an incident to a person on call: one sentence that says what happened, then the facts that it rests on, what it cost, and what to
// change. Advice must have been filled in (Advise); the records of the journal come so.
func Story(inc *Incident) string {
	var b strings.Builder
	line := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "  %-11s %s\n", label, clean(fmt.Sprintf(format, args...)))
	}
	more := func(format string, args ...any) { line("", format, args...) }
	fmt.Fprintf(&b, "%s  %s UTC%s\n%s\n", clean(inc.Group), inc.Began.Instant().Time().Format("2006-01-02 15:04:05.000"), inc.generations(), clean(inc.Headline()))

	sure := string(inc.Confidence)
	if inc.Or != Unknown {
		sure += "; it could also be " + string(inc.Or) + ", " + inc.Or.Title()
	}
	if inc.Cause == Unknown {
		line("cause", "not known")
	} else {
		line("cause", "%s, %s (%s)", inc.Cause, inc.Cause.Title(), sure)
	}
	if inc.Trigger.Cause != inc.Cause && inc.Trigger.Cause != Unknown {
		line("set off by", "%s: %s", inc.NameOf(inc.Trigger.Member), inc.Trigger.Cause.Title())
	}
	label := "because"
	for _, f := range inc.carrying() {
		basis := ""
		if f.Basis != Measured {
			basis = " (" + string(f.Basis) + ")"
		}
		line(label, "%s%s%s", inc.about(f), clean(f.Text), basis)
		label = ""
	}
	if inc.Provisional {
		until := ""
		if inc.AwaitedUntil != nil {
			until = " (until " + inc.AwaitedUntil.Instant().Time().Format("15:04:05") + ")"
		}
		line("still open", "%s%s", clean(inc.Awaits), until)
	}
	if inc.Repeats > 0 {
		line("again", "at least %s more", count(inc.Repeats, "time", "times"))
	}
	if inc.Kind == Rebalance {
		inc.tellPhases(line)
		inc.tellNotices(line)
		inc.tellCosts(line)
	}
	label = "do"
	for _, a := range inc.Advice {
		line(label, "%s", clean(a.Text))
		label = ""
		if a.Value != "" && a.Setting != "" {
			more("  %s = %s", a.Setting, clean(a.Value))
		}
		if a.Arithmetic != "" {
			more("  %s", clean(a.Arithmetic))
		}
		if len(a.Needs) > 0 {
			more("  to say how much, tell: %s", strings.Join(a.Needs, ", "))
		}
	}
	if len(inc.Missing) > 0 {
		line("not known", "%s", strings.Join(inc.Missing, "; "))
	}
	if len(inc.Related) > 0 {
		line("see also", "%s", clean(strings.Join(inc.Related, ", ")))
	}
	return b.String()
}

// clean keeps what came from outside from writing on a terminal: control characters are shown as what they are.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '\uFFFD'
		}
		return r
	}, s)
}

// NameOf is what the incident calls a member: its name, and the beginning of what is its own in its id where others have the same client id and host.
func (inc *Incident) NameOf(w *Who) string {
	if w == nil {
		return "nobody in particular"
	}
	name := clean(w.Name())
	if w.Instance != "" || w.Client == "" {
		return name
	}
	for i := range inc.Members {
		m := &inc.Members[i]
		if m.ID != w.ID && m.Instance == "" && m.Client == w.Client && m.Host == w.Host {
			own := strings.TrimPrefix(w.ID, w.Client+"-")
			return name + " (" + clean(clip(own, 8)) + ")"
		}
	}
	return name
}

// generations says from which generation to which.
func (inc *Incident) generations() string {
	switch {
	case inc.Kind != Rebalance || inc.GenerationBefore < 0 && inc.GenerationAfter < 0:
		return ""
	case inc.GenerationBefore < 0:
		return fmt.Sprintf("  generation %d", inc.GenerationAfter)
	case inc.GenerationAfter < 0:
		return fmt.Sprintf("  after generation %d", inc.GenerationBefore)
	}
	return fmt.Sprintf("  generation %d -> %d", inc.GenerationBefore, inc.GenerationAfter)
}

// subject is whom the verdict is about: the trigger's member, or the one in the chain that explains more.
func (inc *Incident) subject() *Who {
	if inc.Trigger.Cause != inc.Cause {
		for _, t := range inc.Chain {
			if t.Cause == inc.Cause && t.Member != nil {
				return t.Member
			}
		}
	}
	return inc.Trigger.Member
}

// Headline says in one sentence what happened.
func (inc *Incident) Headline() string {
	w := inc.subject()
	id := ""
	if w != nil {
		id = w.ID
	}
	name := inc.NameOf(w)
	if w == nil {
		name = "Somebody"
	}
	length := func(f FactID, format string) string {
		if m, ok := inc.length(f, id); ok {
			return fmt.Sprintf(format, m)
		}
		return ""
	}
	isReturn := inc.has(FactReturns, id)
	text := ""
	switch inc.Cause {
	case FirstStart:
		text = "The group started."
		if n, ok := inc.amount(FactGathered, ""); ok {
			text = "The group started with " + count(int(n), "member", "members") + "."
		}
	case ScaleUp:
		text = name + " joined the group."
	case RollingRestart:
		if isReturn {
			text = name + " was restarted: it came back" + length(FactReturns, " after %s") + "."
		} else {
			text = name + " was restarted: it went, and came back" + length(FactCameBack, " after %s") + "."
		}
	case GracefulClose:
		text = name + " closed its consumer."
	case Unsubscribed:
		text = name + " unsubscribed" + length(FactCameBack, ", and subscribed again %s later") + "."
		if isReturn {
			text = name + " had unsubscribed, and subscribed again" + length(FactReturns, " after %s") + "."
		}
	case SessionTimeout:
		text = name + " went silent: nothing was heard of it" + length(FactSilence, " for %s") + "."
		switch {
		case isReturn:
			text = name + " came back, after it had been given up for its silence" + length(FactReturns, " %s before") + "."
		case inc.Sub == "crash":
			text = name + " died: its connection was closed, and its session ran out" + length(FactSilence, " %s after it was last heard of") + "."
		case inc.Sub == "pause":
			text = name + " stood still: it was silent" + length(FactSilence, " for %s") + ", was given up, and was alive after all."
		case inc.Sub == "fetching":
			text = name + " stopped its heartbeats" + length(FactSilence, " for %s") + ", although it went on fetching."
		case inc.Sub == "together":
			text = name + " and others of its host went silent at the same time."
		case inc.Sub == "everybody":
			text = "All members went silent at the same time."
		}
	case PollInterval:
		text = name + " was too slow: its batch took longer than max.poll.interval.ms" + length(FactRebalanceTimeout, " (%s)") + ", so its client left the group."
		if isReturn {
			text = name + " is done with the batch that had taken longer than max.poll.interval.ms, and came back" + length(FactReturns, " after %s") + "."
		}
	case LateToRejoin:
		text = "Everybody waited" + length(FactWaited, " %s") + " for " + name + ", which did not rejoin in time."
		if isReturn {
			text = name + " came back, after it had been put out for not rejoining" + length(FactReturns, " %s before") + "."
		}
	case LateToSync:
		if inc.has(FactLeaderLate, id) {
			text = name + " led the group and did not hand in the assignment" + length(FactLeaderLate, " for %s") + "."
		} else {
			text = name + " never asked for its assignment."
		}
	case StaticReturned:
		text = name + " came back" + length(FactSeatTaken, " after %s") + " and took its seat."
		if inc.Kind == Absorbed {
			text = name + " came back" + length(FactSeatTaken, " after %s") + " and took its seat; no rebalance was needed."
		}
	case InstanceFenced:
		text = "Two clients use the group.instance.id " + name + ": each shuts the other out."
	case SubscriptionChange:
		text = name + " changed its subscription."
	case PartitionCount:
		text = "A topic got more partitions, and " + name + ", the leader, noticed."
	case TopicSet:
		text = "The set of topics changed, and " + name + " noticed."
	case AssignorChange:
		text = name + " changed its assignors."
		if inc.Kind == Refused {
			text = name + " was turned away: it shares no assignor with the group."
		}
	case LeaderRejoin:
		text = name + " asked for a rebalance although nothing had changed."
	case CoordinatorMoved:
		text = "The coordinator was loaded anew, and " + name + " had lost its place."
		if inc.Kind == Absorbed {
			text = "The coordinator was loaded anew; the group kept its generation, and nobody rebalanced."
			if len(inc.Related) > 0 {
				text = "The coordinator was loaded anew; the group kept its generation at first, and then rebalanced."
			}
		}
	case CooperativeRound:
		text = name + " gave up what it had lost, so that others can have it: the second round of a cooperative rebalance."
	case FailedRebalance:
		text = name + " could not finish the rebalance and tried again."
	case RejectedCommit:
		text = name + " joined again after its commit was refused."
	case AdminRemoval:
		text = name + " was removed by an administrator."
		if isReturn {
			text = name + " came back after an administrator had removed it."
		}
		if inc.Kind == Happening {
			text = "An administrator deleted the group."
		}
	case BrokerPolicy:
		text = "A limit of the broker was in the way."
		switch {
		case inc.Kind == Refused:
			text = name + " was turned away by a limit of the broker."
		case inc.Trigger.Kind == OffsetsExpired:
			text = "Committed offsets expired: whoever starts here now reads by auto.offset.reset."
		}
	default:
		text = "The group rebalanced, and the facts do not tell why."
	}
	if inc.StateAfter == "lost" {
		text += " The coordinator went away before it was over."
	}
	return text
}

// about names the member of a fact, unless the sentence is about the subject anyway.
func (inc *Incident) about(f Fact) string {
	if w := inc.subject(); f.Member == "" || w != nil && w.ID == f.Member {
		return ""
	}
	for _, m := range inc.Members {
		if m.ID == f.Member {
			return inc.NameOf(&m.Who) + ": "
		}
	}
	return clean(f.Member) + ": "
}

// shownFacts is how many facts a story has.
const shownFacts = 8

// carrying is the facts that carry the verdict: those about its subject and the group, the most telling ones.
func (inc *Incident) carrying() (out []Fact) {
	id := ""
	if w := inc.subject(); w != nil {
		id = w.ID
	}
	dull := map[FactID]bool{FactSession: true, FactRebalanceTimeout: true, FactGathered: true, FactNothingToDo: true}
	dull[FactLimit] = inc.Kind == Refused
	dull[FactOnlyOwnedChanged] = inc.has(FactClaimed, id)
	dull[FactSilence] = inc.Cause != SessionTimeout && inc.Cause != CoordinatorMoved
	if inc.has(FactClaimed, id) && inc.Cause != PollInterval {
		dull[FactHeartbeatsInTime], dull[FactFetchSilence], dull[FactCommitSilence] = true, true, true
	}
	for _, mine := range []bool{true, false} {
		for _, f := range inc.Evidence {
			if dull[f.ID] || mine != (f.Member == id && id != "") || !mine && f.Member != "" && f.ID != FactFirst(inc.Cause) {
				continue
			}
			if len(out) < shownFacts {
				out = append(out, f)
			}
		}
	}
	return out
}

// FactFirst is the fact that tells most about a cause, "" for none in particular.
func FactFirst(c Cause) FactID {
	switch c {
	case LateToRejoin:
		return FactWaited
	case SessionTimeout:
		return FactSilence
	case RollingRestart:
		return FactCameBack
	}
	return ""
}

type teller func(label, format string, args ...any)

// tellPhases says how long it took, and where the time went.
func (inc *Incident) tellPhases(line teller) {
	if inc.Took == nil && inc.Ended != nil {
		return // when it ended is all that its source tells
	}
	if inc.Took == nil {
		line("so far", "%s", inc.phaseWords())
		return
	}
	if words := inc.phaseWords(); words != "" && *inc.Took > 0 {
		line("took", "%s: %s", *inc.Took, words)
	} else {
		line("took", "%s", *inc.Took)
	}
}

// tellNotices says what prompt notice was good for, where it was good for anything.
func (inc *Incident) tellNotices(line teller) {
	for _, n := range inc.Notices {
		if n.AtOnce == 0 {
			continue
		}
		round := ""
		if inc.Rounds > 1 {
			round = fmt.Sprintf("round %d: ", n.Round)
		}
		text := fmt.Sprintf("%d of %s at once (prompt notice)", n.AtOnce, count(n.Members, "member", "members"))
		switch others := n.Members - n.AtOnce; {
		case others == 0 || n.OthersMax == nil:
		case others == 1:
			text += fmt.Sprintf("; the other after its next heartbeat, %s", *n.OthersMax)
		default:
			text += fmt.Sprintf("; the others after their next heartbeat, up to %s", *n.OthersMax)
		}
		line("heard of it", "%s%s", round, text)
	}
}

// phaseWords lists the phases that took time, each with who was waited for.
func (inc *Incident) phaseWords() string {
	var out []string
	for _, p := range inc.Phases {
		last := "members"
		if p.Last != nil {
			last = inc.NameOf(p.Last)
		}
		took := "until now"
		if p.Took != nil {
			if p.Took.D() < 10*time.Millisecond && inc.Took != nil && inc.Took.D() >= 100*time.Millisecond {
				continue
			}
			took = p.Took.String()
		}
		text := map[PhaseName]string{
			Gathering: "for members to gather",
			Noticing:  "until " + last + " had learned of it",
			Drain:     "until " + last + " had rejoined",
			Assign:    "until " + last + " had handed in the assignment",
			Sync:      "until " + last + " had asked for its part",
		}[p.Name]
		switch {
		case p.Expired && p.Name == Assign:
			text = "for an assignment that did not come from " + last
		case p.Expired:
			text = "waiting for " + last + ", which did not come"
		case took == "until now" && p.Name == Drain:
			text = "members rejoin"
		case took == "until now" && p.Name == Assign:
			text = "the assignment is awaited"
		case took == "until now" && p.Name == Sync:
			text = "members ask for their part"
		}
		if inc.Rounds > 1 && p.Name != Gathering {
			text += fmt.Sprintf(" (round %d)", p.Round)
		}
		out = append(out, took+" "+text)
	}
	const shown = 6
	if len(out) > shown {
		out = append(out[:shown], "and "+count(len(out)-shown, "phase more", "phases more"))
	}
	return strings.Join(out, ", ")
}

// tellCosts says what became of members and partitions, and what that cost.
func (inc *Incident) tellCosts(line teller) {
	if inc.StateAfter != "" && inc.StateAfter != "lost" {
		line("members", "%s", cmp.Or(inc.membersText(), "not known"))
	}
	if m := inc.Moves; m != nil {
		text := fmt.Sprintf("%d of %d moved", m.Moved, m.Before)
		if m.Before == 0 {
			text = "none had an owner before"
		}
		if m.Minimum != nil && m.Moved > 0 {
			text += fmt.Sprintf(" (%d had to)", *m.Minimum)
		}
		if m.Gained > 0 {
			text += fmt.Sprintf(", %d new", m.Gained)
		}
		if m.Lost > 0 {
			text += fmt.Sprintf(", %d without an owner now", m.Lost)
		}
		if m.Idle > 0 {
			text += ", " + count(m.Idle, "member has none", "members have none")
		}
		line("partitions", "%s", text)
	}
	if c := inc.Cost; c != nil {
		if c.StallMax != nil {
			line("stood still", "%s, for up to %s (%s)", count(c.Stalled, "partition", "partitions"), *c.StallMax, c.StallBasis)
		}
		if c.Uncommitted != nil {
			line("read twice", "%s records at most", thousands(*c.Uncommitted))
		}
		if c.LagBefore != nil && c.LagAfter != nil {
			line("lag", "%s -> %s records", thousands(*c.LagBefore), thousands(*c.LagAfter))
		}
	}
}

// HistoryColumns heads a table of incidents. A '>' in front means numbers, which stand on the right.
var HistoryColumns = []string{"ID", ">TOOK", "CAUSE", "WHAT", "WHO", "MEMBERS", ">MOVED", ">STALL", "CONFIDENCE"}

// HistoryRow is the incident as a line of such a table; "" is not known, or none.
func (inc *Incident) HistoryRow() []string {
	took, moved, stall, name := "", "", "", ""
	switch {
	case inc.Kind != Rebalance:
	case inc.Took != nil:
		took = inc.Took.String()
	case inc.Ended == nil:
		took = "under way"
	}
	if m := inc.Moves; m != nil {
		moved = fmt.Sprintf("%d of %d", m.Moved, m.Before)
	}
	if c := inc.Cost; c != nil && c.StallMax != nil {
		stall = c.StallMax.String()
	}
	what := inc.Cause.Title()
	if inc.Repeats > 0 {
		what += fmt.Sprintf(" (x%d)", inc.Repeats+1)
	}
	if s := inc.subject(); s != nil {
		name = inc.NameOf(s)
	}
	sure := string(inc.Confidence)
	if inc.Provisional {
		sure += ", provisional"
	}
	return []string{clean(inc.ID), took, clean(string(inc.Cause)), what, name, inc.membersText(), moved, stall, clean(sure)}
}

func (inc *Incident) membersText() string {
	known := func(n int) string {
		if n < 0 {
			return "?"
		}
		return fmt.Sprint(n)
	}
	if inc.MembersBefore < 0 && inc.MembersAfter < 0 {
		return ""
	}
	return known(inc.MembersBefore) + " -> " + known(inc.MembersAfter)
}
