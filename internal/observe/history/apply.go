package history

import (
	"cmp"
	"slices"
	"time"

	"github.com/barnabas-mq/barnabas/internal/journal"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// Apply puts what a broker's log says beside the incidents that the records gave: who set each off, with the client's own reason, when it began and
// how long its phases took. Lines belong to an incident by its generation, so that a log in another time zone does no harm. It gives how many
// incidents it found.
func (l *BrokerLog) Apply(incidents []journal.Incident) (found int) {
	shift := l.shift(incidents)
	byID := map[string]*journal.Incident{}
	for i := range incidents {
		inc := &incidents[i]
		if inc.Group != l.group || inc.Kind != journal.Rebalance {
			continue
		}
		if l.apply(inc, shift, byID) {
			found++
		}
		byID[inc.ID] = inc
	}
	return found
}

// shift is what to add to the log's times to have the records' clock: 0 for a log that names its zone, else the quarter of an hour that fits.
func (l *BrokerLog) shift(incidents []journal.Incident) time.Duration {
	if l.zoned {
		return 0
	}
	ends := map[int32]vtime.Instant{}
	for _, inc := range incidents {
		if inc.Group == l.group && inc.Ended != nil && inc.GenerationAfter >= 0 {
			ends[inc.GenerationAfter] = vtime.Instant(*inc.Ended)
		}
	}
	votes := map[time.Duration]int{}
	for _, ev := range l.events {
		if end, ok := ends[ev.generation]; ok && ev.kind == assigned && ev.at != 0 {
			d := time.Duration(end - ev.at).Round(15 * time.Minute)
			if off := time.Duration(end-ev.at) - d; off > -2*time.Minute && off < 2*time.Minute {
				votes[d]++
			}
		}
	}
	best, most := time.Duration(0), 0
	for d, n := range votes { // any order: the most votes win, of equals the smallest shift
		if n > most || n == most && d.Abs() < best.Abs() {
			best, most = d, n
		}
	}
	return best
}

func (l *BrokerLog) apply(inc *journal.Incident, shift time.Duration, earlier map[string]*journal.Incident) bool {
	end := vtime.Instant(*inc.Ended)
	const slack = vtime.Instant(5 * time.Second) // two clocks of one machine, and the time of the append
	at := func(ev brokerEvent) vtime.Instant {
		if ev.at == 0 {
			return 0
		}
		return ev.at.Add(shift)
	}
	begin := -1
	for i, ev := range l.events {
		old := inc.GenerationBefore
		if old < 0 {
			old = inc.GenerationAfter - 1
		}
		if ev.kind == rebalanceBegins && ev.generation == old && (ev.at == 0 || at(ev) <= end+slack) {
			begin = i
		}
	}
	if begin < 0 {
		return false
	}
	first := l.events[begin]
	start := cmp.Or(at(first), end)
	inc.Rev, inc.Stage = inc.Rev+1, journal.Amended
	if at(first) != 0 && at(first) <= end {
		inc.Began = journal.Time(at(first))
		took := journal.Millis(end.Since(at(first)))
		inc.Took = &took
	}
	inc.Evidence = slices.DeleteFunc(inc.Evidence, func(f journal.Fact) bool { return f.ID == "left" || f.ID == "same_members" })
	inc.Trigger = journal.Trigger{At: inc.Began, Kind: first.trigger, Claimed: first.reason, Member: memberOf(inc, first)}
	if first.trigger == "" {
		inc.Trigger.Kind = journal.StateSeen
	}
	inc.Chain, inc.Phases = nil, nil
	inc.StateBefore = stateBefore(inc)
	var joinEnd, assignEnd vtime.Instant // 0 in a log whose times cannot be used
	over := false
	for i := max(0, begin-3); i < len(l.events) && !over; i++ { // a member that fails afterwards belongs to what comes next
		ev := l.events[i]
		t := at(ev)
		if t != 0 && t > end+slack || i > begin && ev.kind == rebalanceBegins && ev.generation != first.generation && ev.generation >= inc.GenerationAfter {
			break
		}
		switch ev.kind {
		case memberLeaves: // the line with the client's reason stands beside the one that begins the rebalance
			if inc.Trigger.Kind == journal.MemberLeft && inc.Trigger.Member == nil && i < begin {
				inc.Trigger.Member = memberOf(inc, ev) // who was removed by its instance id is not named where the rebalance begins
			}
			if inc.Trigger.Kind == journal.MemberLeft && sameMember(inc.Trigger.Member, ev.member) {
				inc.Trigger.Claimed = cmp.Or(inc.Trigger.Claimed, ev.reason)
			} else if i > begin {
				inc.Chain = append(inc.Chain, journal.Trigger{At: journal.Time(t), Kind: ev.trigger, Member: memberOf(inc, ev), Claimed: ev.reason})
			}
		case memberFails, membersLate:
			if !sameMember(inc.Trigger.Member, ev.member) && i > begin {
				inc.Chain = append(inc.Chain, journal.Trigger{At: journal.Time(t), Kind: ev.trigger, Member: memberOf(inc, ev)})
				if ev.kind == membersLate {
					inc.AddFact(lengthFact(journal.FactWaited, ev.member, "everybody waited for it, "+journal.Span(t.Since(start))+" until the join phase was over", t.Since(start)))
				}
			}
		case rebalanceBegins:
			if i > begin && ev.trigger != "" {
				inc.Chain = append(inc.Chain, journal.Trigger{At: journal.Time(t), Kind: ev.trigger, Member: memberOf(inc, ev), Claimed: ev.reason})
			}
		case joinEnds:
			if ev.generation == inc.GenerationAfter || joinEnd == 0 && i > begin {
				joinEnd = t
			}
		case assigned:
			if ev.generation == inc.GenerationAfter {
				assignEnd, over = t, true
			}
		}
	}
	l.phases(inc, start, joinEnd, assignEnd)
	l.evidence(inc, earlier)
	l.afterLoad(inc, begin, at)
	if _, back := inc.Fact(journal.FactCameBack, ""); back {
		openReturn(inc)
	}
	if f, returns := inc.Fact(journal.FactReturns, ""); returns && f.Cause == journal.Unknown && inc.Trigger.Kind == journal.MemberJoined {
		inc.Trigger.Kind = journal.StateSeen
	}
	journal.Classify(inc)
	journal.Advise(inc)
	if inc.Cause == journal.Unknown {
		inc.Missing = append(inc.Missing, "the reason: the client gave none (librdkafka never does); its own log may tell (--log)")
	}
	return true
}

// phases are those that the broker's log times: until all had joined, and until the leader had assigned.
func (l *BrokerLog) phases(inc *journal.Incident, start, joinEnd, assignEnd vtime.Instant) {
	add := func(name journal.PhaseName, from, to vtime.Instant, last *journal.Who) {
		if from == 0 || to == 0 || to < from {
			return
		}
		end, took := journal.Time(to), journal.Millis(to.Since(from))
		inc.Phases = append(inc.Phases, journal.Phase{Name: name, Round: 1, Start: journal.Time(from), End: &end, Took: &took, Last: last})
	}
	name := journal.Drain
	if inc.StateBefore == "Empty" {
		name = journal.Gathering
	}
	if inc.Rounds == 1 {
		add(name, start, joinEnd, nil)
		add(journal.Assign, joinEnd, assignEnd, inc.Leader)
	}
}

// evidence adds the facts that follow from the broker's lines.
func (l *BrokerLog) evidence(inc *journal.Incident, earlier map[string]*journal.Incident) {
	id := ""
	if inc.Trigger.Member != nil {
		id = inc.Trigger.Member.ID
	}
	if inc.Trigger.Claimed != "" {
		inc.AddFact(fact(journal.FactClaimed, journal.Measured, id, "its client said: "+inc.Trigger.Claimed))
	}
	for _, m := range inc.Members {
		if m.ID == id && inc.Trigger.Kind == journal.SessionExpired && m.SessionTimeout != nil {
			inc.AddFact(lengthFact(journal.FactSilence, id, "the broker heard nothing of it for its session, "+m.SessionTimeout.String(), m.SessionTimeout.D()))
		}
		if m.ID == id && m.RebalanceTimeout != nil {
			inc.AddFact(lengthFact(journal.FactRebalanceTimeout, id, "its rebalance timeout is "+m.RebalanceTimeout.String(), m.RebalanceTimeout.D()))
		}
		if m.ID == id && m.SessionTimeout != nil {
			inc.AddFact(lengthFact(journal.FactSession, id, "its session timeout is "+m.SessionTimeout.String(), m.SessionTimeout.D()))
		}
	}
	for _, related := range inc.Related { // what a return means depends on why it went, which is known better now
		then := earlier[related]
		if then == nil || then.Began > inc.Began {
			continue
		}
		for i := range inc.Evidence {
			if f := &inc.Evidence[i]; f.ID == journal.FactReturns {
				f.Cause = causeOfGoing(then, inc, f.Member)
			}
		}
	}
}

// causeOfGoing is why the client that is back under this id had gone, by the incident in which it went. A member that left without a reason and came back
// may have done so for several: that stays open.
func causeOfGoing(then, inc *journal.Incident, id string) journal.Cause {
	var back journal.Who
	for _, m := range inc.Members {
		if m.ID == id {
			back = m.Who
		}
	}
	for _, t := range append([]journal.Trigger{then.Trigger}, then.Chain...) {
		switch t.Kind {
		case journal.MemberLeft, journal.MemberRemoved, journal.SessionExpired, journal.JoinExpired, journal.SyncExpired:
			if t.Member != nil && t.Member.Client == back.Client && t.Member.Host == back.Host && t.Member.Instance == back.Instance {
				if t.Kind == journal.MemberLeft && t.Claimed == "" {
					return journal.Unknown
				}
				return t.Cause
			}
		}
	}
	return journal.Unknown
}

// afterLoad: the coordinator read the group from its log less than a session before, and the client that set the rebalance off says nothing, or that
// something had failed. Then it is the coordinator's move that the group rebalances for.
func (l *BrokerLog) afterLoad(inc *journal.Incident, begin int, at func(brokerEvent) vtime.Instant) {
	claimed, _ := journal.JoinReason(inc.Trigger.Claimed)
	if k := inc.Trigger.Kind; k != journal.MemberChanged && k != journal.LeaderRejoined || claimed != journal.Unknown && claimed != journal.FailedRebalance && claimed != journal.PartitionCount {
		return
	}
	session := time.Duration(0)
	for _, m := range inc.Members {
		if m.SessionTimeout != nil {
			session = max(session, m.SessionTimeout.D())
		}
	}
	for i := begin - 1; i >= 0; i-- {
		ev := l.events[i]
		if ev.kind == rebalanceBegins || ev.kind == joinEnds {
			return
		}
		if ago := at(l.events[begin]).Since(at(ev)); ev.kind == coordinatorLoads && at(ev) != 0 && ago <= session {
			f := lengthFact(journal.FactLoaded, "", "the coordinator had read the group from its log "+journal.Span(ago)+" before", ago)
			inc.AddFact(f)
			if claimed != journal.PartitionCount {
				inc.Chain = append([]journal.Trigger{inc.Trigger}, inc.Chain...)
				inc.Trigger = journal.Trigger{At: journal.Time(at(ev)), Kind: journal.Loaded}
			}
			return
		}
	}
}

func stateBefore(inc *journal.Incident) string {
	if inc.MembersBefore == 0 {
		return "Empty"
	}
	return cmp.Or(inc.StateBefore, "Stable")
}

func sameMember(w *journal.Who, id string) bool { return w != nil && id != "" && w.ID == id }

// memberOf is the member that a line names, with what the records know of it.
func memberOf(inc *journal.Incident, ev brokerEvent) *journal.Who {
	for _, m := range inc.Members {
		if m.ID == ev.member || ev.instance != "" && m.Instance == ev.instance {
			w := m.Who
			return &w
		}
	}
	if ev.member == "" {
		return nil
	}
	return &journal.Who{ID: ev.member, Instance: ev.instance}
}
