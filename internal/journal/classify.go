package journal

import "strings"

// Which cause it was. The rules are looked at in a fixed order, and the first that fires names the cause; what else is known stays as
// context. Nothing is looked at but the incident, so the same rules serve whatever made it.

// ruling is what a rule says.
type ruling struct {
	cause Cause
	sub   string
	conf  Confidence
	or    Cause
}

// Classify gives the incident its verdict: cause, sub-cause, confidence, and what would settle it. It goes by the trigger, the chain and the
// facts, and may be called again when there are more of them.
func Classify(inc *Incident) {
	v := inc.ruleOf(inc.Trigger)
	inc.Trigger.Cause = v.cause
	for i := range inc.Chain {
		inc.Chain[i].Cause = inc.ruleOf(inc.Chain[i]).cause
	}
	v = inc.explainsMore(v)
	inc.Cause, inc.Sub, inc.Confidence, inc.Or = v.cause, v.sub, v.conf, v.or
	inc.Title = v.cause.Title()
	inc.Missing = missing(inc)
}

// ordinary causes say why a rebalance began, but not why it took long: a member that keeps everybody waiting explains more.
func ordinary(c Cause) bool {
	switch c {
	case FirstStart, ScaleUp, RollingRestart, GracefulClose, StaticReturned, SubscriptionChange, PartitionCount, TopicSet, LeaderRejoin, CooperativeRound, AdminRemoval, Unsubscribed:
		return true
	}
	return false
}

// explainsMore looks whether something in the chain explains more than the trigger: a member that held everybody up, or a departure and a
// return in one rebalance.
func (inc *Incident) explainsMore(v ruling) ruling {
	if !ordinary(v.cause) {
		return v
	}
	for _, t := range inc.Chain {
		w := inc.ruleOf(t)
		switch {
		case t.Kind == JoinExpired, t.Kind == SyncExpired, t.Kind == SessionExpired, t.Kind == LimitReached && v.cause != FirstStart:
			return w
		case t.Kind == MemberLeft && w.cause == PollInterval:
			return w
		}
	}
	if v.cause == ScaleUp { // somebody left while a newcomer was taken in, and came back or did not: the departure says more
		for _, t := range inc.Chain {
			if t.Kind == MemberJoined && t.Member != nil && inc.has(FactReturns, t.Member.ID) {
				return inc.ruleOf(t)
			}
		}
	}
	return v
}

// ruleOf is what one trigger is by itself.
func (inc *Incident) ruleOf(t Trigger) ruling {
	id := ""
	if t.Member != nil {
		id = t.Member.ID
	}
	switch t.Kind {
	case MemberLeft:
		return inc.left(t, id)
	case MemberRemoved:
		return ruling{cause: AdminRemoval, conf: Measured}
	case SessionExpired:
		return inc.silent(id)
	case JoinExpired:
		return ruling{cause: LateToRejoin, conf: Measured}
	case SyncExpired:
		return ruling{cause: LateToSync, conf: Measured}
	case MemberJoined:
		return inc.joined(id)
	case StaticReturn:
		if inc.has(FactOldFenced, "") {
			return ruling{cause: InstanceFenced, conf: Measured}
		}
		return ruling{cause: StaticReturned, conf: Measured}
	case LeaderRejoined, MemberChanged:
		return inc.rejoined(t, id)
	case Loaded:
		return ruling{cause: CoordinatorMoved, conf: Measured}
	case LimitReached, OffsetsExpired:
		return ruling{cause: BrokerPolicy, conf: Measured}
	case GroupDeleted:
		return ruling{cause: AdminRemoval, conf: Measured}
	case RequestRefused:
		f, _ := inc.Fact(FactRefused, "")
		if f.Cause != Unknown {
			return ruling{cause: f.Cause, conf: Measured}
		}
	}
	return ruling{conf: NotKnown}
}

// causeOf is why a member went, by its own trigger.
func (inc *Incident) causeOf(id string) Cause {
	if m := inc.Trigger.Member; m != nil && m.ID == id {
		return inc.Trigger.Cause
	}
	for _, t := range inc.Chain {
		if t.Member != nil && t.Member.ID == id {
			return t.Cause
		}
	}
	return inc.Cause
}

// left: a member sent LeaveGroup. Rules 1 and 2.
func (inc *Incident) left(t Trigger, id string) ruling {
	back, returned := inc.Fact(FactCameBack, id)
	cause, known := LeaveReason(t.Claimed)
	switch {
	case known && cause == GracefulClose && returned:
		return ruling{cause: RollingRestart, conf: back.Basis}
	case known && cause != Unknown:
		return ruling{cause: cause, conf: Measured}
	case t.Claimed != "":
		// No library sends it, so a person or a program of somebody's did: kafka-consumer-groups.sh and the like send the operator's words.
		if inc.has(FactRemovedBy, id) {
			return ruling{cause: AdminRemoval, conf: Measured}
		}
		return ruling{cause: AdminRemoval, conf: ConsistentWith, or: GracefulClose}
	}
	closed, open := inc.has(FactConnectionClosed, id), inc.has(FactConnectionOpen, id)
	alive := open || inc.has(FactOldIDUsed, id)
	slow, sure := inc.slow(id)
	switch {
	case slow && alive:
		if sure {
			return ruling{cause: PollInterval, conf: Inferred}
		}
		return ruling{cause: PollInterval, conf: ConsistentWith, or: Unsubscribed}
	case closed && returned:
		return ruling{cause: RollingRestart, conf: weaker(Inferred, back.Basis)}
	case closed:
		return ruling{cause: GracefulClose, conf: Inferred}
	case slow && returned:
		return ruling{cause: PollInterval, conf: ConsistentWith, or: RollingRestart}
	case alive && returned:
		return ruling{cause: Unsubscribed, conf: Inferred}
	case alive:
		return ruling{cause: Unsubscribed, conf: ConsistentWith, or: GracefulClose}
	case returned:
		return ruling{cause: RollingRestart, conf: ConsistentWith, or: Unsubscribed}
	case slow:
		return ruling{cause: PollInterval, conf: ConsistentWith, or: GracefulClose}
	case inc.has(FactCommitSilence, id) || inc.has(FactFetchSilence, id): // it worked to the end
		return ruling{cause: GracefulClose, conf: ConsistentWith, or: Unsubscribed}
	}
	return ruling{cause: GracefulClose, conf: ConsistentWith, or: PollInterval}
}

// slow reports whether a member that left had neither fetched nor committed for nearly its rebalance timeout, while its heartbeats came. sure is
// false where the silence may be that of a topic without records.
func (inc *Incident) slow(id string) (is, sure bool) {
	limit, ok := inc.amount(FactRebalanceTimeout, id)
	if !ok || limit <= 0 || !inc.has(FactHeartbeatsInTime, id) {
		return false, false
	}
	commit, haveCommit := inc.amount(FactCommitSilence, id)
	fetch, haveFetch := inc.amount(FactFetchSilence, id)
	idle := inc.has(FactNothingToDo, id)
	switch {
	case idle || haveCommit && commit < 0.9*limit:
		return false, false
	case haveCommit && haveFetch:
		return true, true // clients that fetch ahead go on fetching, so that silence in fetches is not asked for
	case haveCommit:
		return true, true
	case haveFetch && fetch >= 0.9*limit:
		return true, true
	}
	return false, false
}

// silent: a member's session was over. Rule 3, after rule 8.
func (inc *Incident) silent(id string) ruling {
	v := ruling{cause: SessionTimeout, conf: Measured}
	silence, haveSilence := inc.amount(FactSilence, id)
	loaded, haveLoaded := inc.amount(FactLoaded, "")
	if haveLoaded && haveSilence && loaded > 0 && silence+1 >= loaded {
		// It was never heard of since the coordinator was loaded: it did not find it, or died with it.
		if inc.has(FactCameBack, id) || inc.has(FactOldIDUsed, id) {
			return ruling{cause: CoordinatorMoved, conf: Inferred}
		}
		return ruling{cause: SessionTimeout, conf: ConsistentWith, or: CoordinatorMoved}
	}
	session, _ := inc.amount(FactSession, id)
	fetch, haveFetch := inc.amount(FactFetchSilence, id)
	switch {
	case inc.has(FactEverybody, ""):
		v.sub = "everybody"
	case inc.has(FactNeighbours, ""):
		v.sub = "together"
	case inc.has(FactOldIDUsed, id):
		v.sub = "pause"
	case haveFetch && session > 0 && fetch < session/2:
		v.sub = "fetching"
	case inc.has(FactConnectionClosed, id):
		v.sub = "crash"
	}
	return v
}

// joined: a client joined that the group did not know. Rule 5.
func (inc *Incident) joined(id string) ruling {
	if f, ok := inc.Fact(FactReturns, id); ok && f.Cause != Unknown {
		v := ruling{cause: f.Cause, conf: f.Basis}
		if f.Basis == ConsistentWith {
			v.or = ScaleUp
		}
		return v
	}
	if inc.has(FactUnknownSeat, id) && inc.has(FactLoaded, "") {
		return ruling{cause: CoordinatorMoved, conf: Inferred}
	}
	switch inc.StateBefore {
	case "Empty":
		return ruling{cause: FirstStart, conf: Measured}
	case "":
		return ruling{cause: ScaleUp, conf: Inferred, or: FirstStart}
	}
	return ruling{cause: ScaleUp, conf: Measured}
}

// rejoined: a member joined again. Rules 6, 7 and 8.
func (inc *Incident) rejoined(t Trigger, id string) ruling {
	claimed, known := JoinReason(t.Claimed)
	has := func(f FactID) bool { return inc.has(f, id) }
	topics := has(FactTopicsAdded) || has(FactTopicsDropped)
	switch {
	case has(FactAssignorsChanged):
		return ruling{cause: AssignorChange, conf: Measured}
	case topics && (has(FactTopicCreated) || has(FactTopicDeleted)):
		return ruling{cause: TopicSet, conf: Measured}
	case topics && claimed == PartitionCount: // Java says "cached metadata has changed" of both
		return ruling{cause: TopicSet, conf: Inferred, or: SubscriptionChange}
	case inc.Source != FromJournal && inc.Source != "" && (has(FactTopicsAdded) && claimed != SubscriptionChange || strings.Contains(t.Claimed, "our interests have changed")):
		// Nothing but the broker's metadata tell when a topic came: a regular expression that matches a new one looks the same, and franz-go says the
		// same of both.
		return ruling{cause: SubscriptionChange, conf: ConsistentWith, or: TopicSet}
	case topics:
		return ruling{cause: SubscriptionChange, conf: Measured}
	case claimed == CooperativeRound:
		return ruling{cause: CooperativeRound, conf: Measured}
	case claimed == PartitionCount || claimed == SubscriptionChange || claimed == TopicSet:
		if has(FactTopicCreated) || has(FactTopicDeleted) || strings.Contains(t.Claimed, "partitions to topic") && !has(FactPartitionsGrown) && claimed == TopicSet {
			return ruling{cause: TopicSet, conf: Measured}
		}
		return ruling{cause: claimed, conf: Measured}
	case claimed == FailedRebalance && inc.has(FactLoaded, "") && has(FactRefused):
		return ruling{cause: CoordinatorMoved, conf: Inferred}
	case claimed != Unknown:
		return ruling{cause: claimed, conf: Measured}
	case has(FactPartitionsGrown):
		return ruling{cause: PartitionCount, conf: Inferred}
	case has(FactTopicCreated) || has(FactTopicDeleted):
		return ruling{cause: TopicSet, conf: Inferred}
	case has(FactCommitRefused):
		return ruling{cause: RejectedCommit, conf: Inferred}
	case inc.has(FactLoaded, "") && (has(FactRefused) || has(FactUnknownSeat)):
		return ruling{cause: CoordinatorMoved, conf: Inferred}
	case inc.has(FactWithheld, ""):
		return ruling{cause: CooperativeRound, conf: Inferred}
	case has(FactRefused):
		return ruling{cause: FailedRebalance, conf: ConsistentWith, or: LeaderRejoin}
	case t.Claimed != "" && !known: // no library says it, so an application does: enforceRebalance takes its words
		return ruling{cause: LeaderRejoin, conf: Inferred}
	case t.Kind == LeaderRejoined:
		if has(FactNothingChanged) {
			return ruling{cause: LeaderRejoin, conf: Measured}
		}
		return ruling{cause: LeaderRejoin, conf: Inferred}
	case has(FactOnlyOwnedChanged):
		return ruling{cause: LeaderRejoin, conf: ConsistentWith, or: CooperativeRound}
	}
	return ruling{conf: NotKnown}
}

// weaker is the less sure of two.
func weaker(a, b Confidence) Confidence {
	order := []Confidence{Measured, Inferred, ConsistentWith, NotKnown}
	for i := len(order) - 1; i >= 0; i-- {
		if a == order[i] || b == order[i] {
			return order[i]
		}
	}
	return NotKnown
}

// missing names what would settle the verdict, or show what is behind it.
func missing(inc *Incident) (out []string) {
	id := ""
	if inc.Trigger.Member != nil {
		id = inc.Trigger.Member.ID
	}
	if inc.Trigger.Kind == MemberLeft && inc.Trigger.Claimed == "" && inc.Confidence != Measured {
		if !inc.has(FactConnectionClosed, id) && !inc.has(FactConnectionOpen, id) {
			out = append(out, "whether its connection was closed")
		}
		if !inc.has(FactCommitSilence, id) && !inc.has(FactFetchSilence, id) {
			out = append(out, "when it fetched and committed last")
		}
	}
	if inc.Cause == SubscriptionChange && inc.Or == TopicSet {
		out = append(out, "when the topic was created, and whether the member subscribes by a regular expression")
	}
	if ask := inc.Cause.Info().Ask; ask != "" {
		out = append(out, ask)
	}
	return out
}
