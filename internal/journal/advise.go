package journal

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// What to change. Every number here is in the incident or was given by a person; an advice that needs one that is not known says so instead
// of a value.

// Usable is the share of a limit that work may take up in our advice, so that a slow day does not cross it.
const Usable = 0.5

// Advise fills in the advice that follows from the verdict and the facts. It replaces what was there.
func Advise(inc *Incident) {
	inc.Advice = nil
	if inc.Kind == Rebalance && inc.Cause != RollingRestart && inc.Trigger.Member != nil && inc.has(FactReturns, inc.Trigger.Member.ID) {
		return // it began with the departure, whose incident says what to do
	}
	id := ""
	if inc.Trigger.Member != nil {
		id = inc.Trigger.Member.ID
	}
	for _, t := range inc.Chain { // whom the verdict is about, if it is not the trigger
		if t.Cause == inc.Cause && inc.Trigger.Cause != inc.Cause && t.Member != nil {
			id = t.Member.ID
			break
		}
	}
	add := func(a Advice) { inc.Advice = append(inc.Advice, a) }
	switch inc.Cause {
	case ScaleUp:
		if gap, ok := inc.length(FactArrivalGap, id); ok && inc.has(FactLateStart, id) {
			delay := roundUp(gap.D()+time.Millisecond, time.Second)
			add(Advice{Text: "It came just after the first start was over, which cost another rebalance. The wait goes on while members come, so a delay longer than the time between two arrivals would have caught it.",
				Setting: "group.initial.rebalance.delay.ms", Value: strconv.FormatInt(delay.Milliseconds(), 10), Arithmetic: fmt.Sprintf("%s between the last two arrivals < %s", gap, Span(delay))})
		}
		inc.idleAdvice(add)
		inc.eagerAdvice(add)
	case RollingRestart:
		away, ok := inc.length(FactReturns, id)
		if !ok {
			away, ok = inc.length(FactCameBack, id)
		}
		session, known := inc.memberSession(id)
		switch {
		case !ok || inc.isStatic(id):
		case known && away < session:
			add(Advice{Text: "Give each instance a fixed id: a restart shorter than the session then costs no rebalance at all, instead of two.",
				Setting: "group.instance.id", Arithmetic: fmt.Sprintf("it was away for %s, its session is %s", away, session)})
		default:
			need := roundUp(time.Duration(float64(away.D())/Usable), time.Second)
			add(Advice{Text: "Give each instance a fixed id (group.instance.id) and a session longer than a restart: then a restart costs no rebalance. Nobody reads its partitions meanwhile.",
				Setting: "session.timeout.ms", Value: strconv.FormatInt(need.Milliseconds(), 10), Arithmetic: fmt.Sprintf("away for %s / %s = %s", away, share(Usable), Span(need))})
		}
	case GracefulClose:
		inc.idleAdvice(add)
		inc.eagerAdvice(add)
	case Unsubscribed:
		add(Advice{Text: "Pause instead of unsubscribing: pause() and resume() keep the membership, and cost no rebalance."})
	case SessionTimeout:
		inc.sessionAdvice(id, add)
	case PollInterval:
		limit := inc.memberRebalance(id)
		records, _ := inc.amount(FactBatch, "")
		per, _ := inc.length(FactRecordTime, "")
		inc.Advice = append(inc.Advice, PollAdvice(limit.D(), int(records), per.D())...)
	case LateToRejoin:
		limit := inc.memberRebalance(id)
		records, _ := inc.amount(FactBatch, "")
		per, _ := inc.length(FactRecordTime, "")
		add(Advice{Text: "A client rejoins only between batches: look for a rebalance between records, or make batches shorter than half the rebalance timeout.",
			Arithmetic: ifKnown(limit > 0, func() string {
				return fmt.Sprintf("%s x %s = %s", limit, share(Usable), Span(time.Duration(float64(limit.D())*Usable)))
			})})
		inc.Advice = append(inc.Advice, PollAdvice(limit.D(), int(records), per.D())...)
	case LateToSync:
		add(Advice{Text: "If the leader died, this is what it costs; if it was busy assigning, give the group fewer topics or a lighter assignor, or let the broker assign (group.protocol=consumer)."})
	case StaticReturned:
		away, ok := inc.length(FactSeatTaken, id)
		session, known := inc.length(FactSession, id)
		if ok && known && away.D() > 0 && float64(away.D()) > Usable*float64(session.D()) {
			need := roundUp(time.Duration(float64(away.D())/Usable), time.Second)
			add(Advice{Text: "The restart took more than half of the session; a slower one would have cost a rebalance.", Setting: "session.timeout.ms",
				Value: strconv.FormatInt(need.Milliseconds(), 10), Arithmetic: fmt.Sprintf("away for %s / %s = %s, the session is %s", away, share(Usable), Span(need), session)})
		}
	case InstanceFenced:
		add(Advice{Text: "Make group.instance.id unique: derive it from the ordinal of the StatefulSet and the cluster, and see that the old process is gone before the new one starts.", Setting: "group.instance.id"})
	case SubscriptionChange:
		add(Advice{Text: "Deploy all members in one go, or give the new topics a group of their own: while members subscribe to different topics the balance suffers too."})
	case PartitionCount:
		add(Advice{Text: "Plan it: keys map to other partitions from now on, so order per key breaks across the change. auto.offset.reset=earliest keeps the first records of the new partitions."})
	case TopicSet:
		add(Advice{Text: "Create topics in one batch, or narrow the pattern: each topic made by itself may cost a rebalance."})
	case AssignorChange:
		add(Advice{Text: "Change assignors in two rolls: first every member lists the new one before the old one, then the old one is dropped.", Setting: "partition.assignment.strategy"})
	case LeaderRejoin:
		if m := inc.Moves; m != nil && m.Moved+m.Gained+m.Lost == 0 {
			add(Advice{Text: "Nothing moved. Find who enforces rebalances, and remove it; for Kafka Streams lengthen the probing interval.", Setting: "probing.rebalance.interval.ms"})
		}
	case CoordinatorMoved:
		add(Advice{Text: "Roll brokers one at a time, and keep the time to load and to find the coordinator below half a session."})
	case FailedRebalance:
		add(Advice{Text: "Look for the exception in that client's log: a callback that throws, or a request timeout below the rebalance timeout."})
	case RejectedCommit:
		add(Advice{Text: "Check that a partition is still owned before committing it, under the lock that revocation takes."})
	case BrokerPolicy:
		if f, ok := inc.Fact(FactLimit, ""); ok {
			add(Advice{Text: "Change the limit, or what the client asks for: " + f.Text + "."})
		}
	}
}

// PollAdvice is what to do about batches that outlast max.poll.interval.ms: how many records to take comes first. limit is that setting, records is
// max.poll.records, per the time per record; what is 0 is not known, and is asked for.
func PollAdvice(limit time.Duration, records int, per time.Duration) []Advice {
	a := Advice{Text: "Take fewer records per poll, so that a batch is done in half the poll interval.", Setting: "max.poll.records"}
	hard, roomy := PollRecords(limit, per)
	sum := PollSum(limit, records, per)
	switch {
	case sum != "" && int64(records) <= roomy:
		a = Advice{Text: "At that time per record a full batch is done in half the poll interval: look for the slow record or the slow call, the mean is not it.",
			Arithmetic: sum, Needs: []string{"the longest time per record, not the mean"}}
	case limit > 0 && per > 0 && roomy < 1:
		a.Text = "Even one record takes more than half the poll interval: only a longer interval helps, or work that does not block the poll."
		a.Setting, a.Value = "max.poll.interval.ms", strconv.FormatInt(roundUp(time.Duration(float64(per)/Usable), time.Second).Milliseconds(), 10)
		a.Arithmetic = fmt.Sprintf("%s / %s", Span(per), share(Usable))
	case limit > 0 && per > 0:
		a.Value = strconv.FormatInt(roomy, 10)
		a.Arithmetic = fmt.Sprintf("%s ms / %s ms = %s at the very most; x %s = %s", thousands(limit.Milliseconds()), inMillis(per), thousands(hard), share(Usable), thousands(roomy))
		if sum != "" {
			a.Arithmetic = sum + "; " + a.Arithmetic
		}
	default:
		if per <= 0 {
			a.Needs = append(a.Needs, "time per record")
		}
		if limit <= 0 {
			a.Needs = append(a.Needs, "max.poll.interval.ms")
		}
		if records <= 0 {
			a.Needs = append(a.Needs, "max.poll.records")
		}
		a.Arithmetic = "max.poll.records <= " + share(Usable) + " x max.poll.interval.ms / time per record"
	}
	return []Advice{a, {Text: "Leave session.timeout.ms alone: heartbeats have a thread of their own and were in time."}}
}

// PollRecords is how many records fit into a poll interval: at the very most, and with room. 0 where a number is missing, or not even one fits.
func PollRecords(limit, per time.Duration) (hard, roomy int64) {
	if limit <= 0 || per <= 0 {
		return 0, 0
	}
	return int64(limit / per), int64(math.Floor(Usable * float64(limit) / float64(per)))
}

// PollSum holds a full batch against the poll interval: "500 x 1.5s = 750 s > 300 s". "" where a number is missing.
func PollSum(limit time.Duration, records int, per time.Duration) string {
	if limit <= 0 || records <= 0 || per <= 0 {
		return ""
	}
	batch, sign := time.Duration(math.MaxInt64), "<="
	if per <= batch/time.Duration(records) {
		batch = per * time.Duration(records)
	}
	if batch > limit {
		sign = ">"
	}
	return fmt.Sprintf("%s x %s = %s %s %s", thousands(int64(records)), seconds(per), seconds(batch), sign, seconds(limit))
}

func (inc *Incident) sessionAdvice(id string, add func(Advice)) {
	session, known := inc.memberSession(id)
	pause, paused := inc.length(FactPause, "")
	if !paused {
		silence, ok := inc.length(FactSilence, id)
		after, used := inc.length(FactOldIDUsed, id)
		if ok && used {
			pause, paused = silence+after, true
		}
	}
	switch inc.Sub {
	case "crash":
		if known {
			add(Advice{Text: "The process is gone: see its exit code. A shorter session notices sooner, at the price of pauses that look like crashes.", Setting: "session.timeout.ms",
				Needs: []string{"the longest pause to survive"}, Arithmetic: "it took the session of " + session.String() + " to notice"})
		}
	case "together", "everybody":
		add(Advice{Text: "Several went at once: look at the host or the network before the application."})
	default:
		if paused {
			need := roundUp(time.Duration(1.5*float64(pause.D())), time.Second)
			add(Advice{Text: "To survive such a pause the session must outlast it and one heartbeat more, with heartbeats at a third of the session.", Setting: "session.timeout.ms",
				Value: strconv.FormatInt(need.Milliseconds(), 10), Arithmetic: fmt.Sprintf("a pause of %s x 3/2 = %s", pause, Span(need))})
		} else {
			add(Advice{Text: "A session must be longer than the longest pause and a heartbeat, and heartbeats no rarer than a third of it.", Setting: "session.timeout.ms",
				Needs: []string{"the longest pause of the process"}})
		}
	}
	var lag int64
	for _, p := range inc.Partitions {
		if p.From == id && p.LagBefore != nil {
			lag += *p.LagBefore
		}
	}
	if lag > 0 {
		add(Advice{Text: fmt.Sprintf("When its silence was noticed, %s records waited in its partitions: that is what a long session costs.", thousands(lag))})
	}
}

func (inc *Incident) idleAdvice(add func(Advice)) {
	if m := inc.Moves; m != nil && m.Idle > 0 && inc.MembersAfter > m.After {
		add(Advice{Text: "There are more members than partitions: the rest do nothing. Add partitions, or run fewer members.",
			Arithmetic: fmt.Sprintf("%d members - %d partitions = %d idle", inc.MembersAfter, m.After, inc.MembersAfter-m.After)})
	}
}

// eagerAdvice says what a cooperative assignor would have spared.
func (inc *Incident) eagerAdvice(add func(Advice)) {
	m := inc.Moves
	if m == nil || inc.Cooperative || inc.ProtocolType != consumerType || m.Minimum == nil || m.Paused == 0 || *m.Minimum >= m.Paused {
		return
	}
	add(Advice{Text: "With the cooperative-sticky assignor only partitions that move stand still.", Setting: "partition.assignment.strategy", Value: "cooperative-sticky",
		Arithmetic: fmt.Sprintf("%d of %d partitions had to move, %d stood still", *m.Minimum, m.Before, m.Paused)})
}

// memberSession is the session timeout of a member, from the facts or from the list.
func (inc *Incident) memberSession(id string) (Millis, bool) {
	if s, ok := inc.length(FactSession, id); ok {
		return s, true
	}
	for _, m := range inc.Members {
		if m.ID == id && m.SessionTimeout != nil {
			return *m.SessionTimeout, true
		}
	}
	return 0, false
}

// memberRebalance is the rebalance timeout of a member, 0 if it is not known.
func (inc *Incident) memberRebalance(id string) Millis {
	if s, ok := inc.length(FactRebalanceTimeout, id); ok {
		return s
	}
	for _, m := range inc.Members {
		if m.ID == id && m.RebalanceTimeout != nil {
			return *m.RebalanceTimeout
		}
	}
	return 0
}

func (inc *Incident) isStatic(id string) bool {
	for _, m := range inc.Members {
		if m.ID == id {
			return m.Instance != ""
		}
	}
	return false
}

func ifKnown(known bool, text func() string) string {
	if !known {
		return ""
	}
	return text()
}

func roundUp(d, unit time.Duration) time.Duration {
	if d <= 0 {
		return unit
	}
	return (d + unit - 1) / unit * unit
}

func share(f float64) string { return strconv.FormatFloat(f, 'g', 3, 64) }

func seconds(d time.Duration) string {
	d = d.Round(time.Microsecond)
	return thousands(int64(d/time.Second)) + strings.TrimPrefix(strconv.FormatFloat(float64(d%time.Second)/float64(time.Second), 'f', -1, 64), "0") + " s"
}

// inMillis is a length in milliseconds, to the microsecond.
func inMillis(d time.Duration) string {
	if d%time.Millisecond == 0 {
		return thousands(d.Milliseconds())
	}
	return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', -1, 64)
}

// thousands writes a number with commas.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}
