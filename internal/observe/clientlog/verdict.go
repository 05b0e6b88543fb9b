package clientlog

import (
	"slices"
	"strings"
	"time"

	"github.com/barnabas-mq/barnabas/internal/journal"
)

// teller turns episodes into stories.
type teller struct {
	log   *Log
	given Given
	// groups are the members of each group, of very many the first; starts and leaves those events of each client, in the order of the time line.
	groups         map[string][]*member
	starts, leaves map[clientKey][]*Event
	partitions     map[string]int32 // the highest partition of a topic that any line names
	lastGen        map[string]int32 // the generation that a group reached last
	told           int
	// storyOf is the id of the story that a departure is in.
	storyOf map[*Event]string
	causeOf map[*Event]journal.Cause
}

// verdict is what an episode was, while it is being found out.
type verdict struct {
	cause, or  journal.Cause
	sub        string
	confidence journal.Confidence
	by         *member // who set it off; nil if the logs do not show it
	key        *Event  // the line that carries it
	why        []string
	missing    []string
	kind       journal.Kind
}

// tell makes the story of one episode; ok is false for one that is no story: a line by itself that says nothing.
func (t *teller) tell(ep *episode) (Rebalance, bool) {
	v := t.decide(ep)
	if v.key == nil {
		return Rebalance{}, false
	}
	r := Rebalance{Incident: t.incident(ep, v)}
	r.Verdict = journal.Verdict{Cause: v.cause, Or: v.or, Sub: v.sub, Title: v.cause.Title(), Confidence: v.confidence, Missing: v.missing}
	r.Sure = sureness(v.confidence)
	if id := t.storyOf[ep.back]; id != "" {
		r.Related = append(r.Related, id)
	}
	for _, e := range ep.events {
		t.storyOf[e], t.causeOf[e] = r.ID, r.Cause
	}
	t.facts(ep, v, &r)
	t.advise(ep, v, &r)
	r.Told = t.sentences(ep, v)
	for _, e := range t.carrying(ep, v) {
		r.Lines = append(r.Lines, t.log.lineOf(e))
	}
	return r, true
}

func sureness(c journal.Confidence) string {
	switch c {
	case journal.Measured:
		return "the log says so"
	case journal.Inferred:
		return "follows from the lines"
	case journal.ConsistentWith:
		return "likely, not proven"
	}
	return "not known"
}

// decide names the cause: the first rule that fits, in the order of how much its line says.
func (t *teller) decide(ep *episode) verdict {
	for _, rule := range []func(*episode) (verdict, bool){
		t.byReturn, t.byFence, t.byPollLimit, t.byLeave, t.bySilence, t.byLostCoordinator, t.byRefusedJoin, t.byRefusedHeartbeat, t.byCallback,
		t.byRejoinReason, t.byPartitions, t.byRefusedCommit, t.byStart, t.byEndedSession, t.byCoordinator, t.byTold,
	} {
		if v, ok := rule(ep); ok {
			if v.kind == "" {
				v.kind = journal.Rebalance
			}
			return v
		}
	}
	return verdict{}
}

// byReturn: a member that had run out of its poll interval, or of its session, comes back. That is a rebalance of its own.
func (t *teller) byReturn(ep *episode) (verdict, bool) {
	if ep.back == nil {
		return verdict{}, false
	}
	m := ep.back.member
	key := ep.events[0]
	for _, e := range ep.events {
		if e.member == m && (e.Kind == Joining || e.Kind == Joined) {
			key = e
			break
		}
	}
	v := verdict{cause: journal.PollInterval, confidence: journal.Measured, by: m, key: key}
	what := "had not polled in time"
	switch ep.back.Kind {
	case Silent, HeartbeatRefused:
		v.cause, v.confidence, what = journal.SessionTimeout, journal.Inferred, "had been given up"
		if c := t.causeOf[ep.back]; c != journal.Unknown {
			v.cause = c
		}
	case Unsubscribed:
		v.cause, what = journal.Unsubscribed, "had unsubscribed"
	}
	v.why = append(v.why, m.name()+" comes back after it "+what+t.sinceText(ep.back, key)+": a return is a rebalance, too")
	return v, true
}

func (t *teller) sinceText(a, b *Event) string {
	if a.moment.clock == noClock || b.moment.clock == noClock {
		return ""
	}
	return ", " + journal.Span(b.moment.at.Since(a.moment.at)) + " after it had gone"
}

func (t *teller) byFence(ep *episode) (verdict, bool) {
	e := ep.first(InstanceFenced)
	if e == nil {
		return verdict{}, false
	}
	v := verdict{cause: journal.InstanceFenced, confidence: journal.Measured, by: e.member, key: e,
		missing: []string{"where else a client with this group.instance.id runs"}}
	id := first(e.Instance, e.member.instance)
	if id == "" {
		id = "its group.instance.id"
	}
	v.why = append(v.why, e.member.name()+" was shut out: another client took "+id)
	for _, o := range ep.events {
		if o.member != e.member && o.member.instance != "" && o.member.instance == e.member.instance && (o.Kind == Starting || o.Kind == Joining || o.Kind == Joined) {
			v.by = o.member
			v.why[0] = e.member.name() + " was shut out: " + o.member.name() + " took " + id
			break
		}
	}
	return v, true
}

func (t *teller) byPollLimit(ep *episode) (verdict, bool) {
	e := ep.first(PollExpired)
	if e == nil {
		e = t.leaveFor(ep, "poll timeout has expired")
	}
	if e == nil {
		return verdict{}, false
	}
	v := verdict{cause: journal.PollInterval, confidence: journal.Measured, by: e.member, key: e}
	text := e.member.name() + " did not poll within max.poll.interval.ms"
	if e.Limit >= 0 {
		text += " (" + grouped(e.Limit) + " ms)"
	}
	v.why = append(v.why, text+", and its client left the group in its place")
	return v, true
}

func (t *teller) leaveFor(ep *episode, reason string) *Event {
	for _, e := range ep.events {
		if e.Kind == Leaving && strings.Contains(e.Reason, reason) {
			return e
		}
	}
	return nil
}

// byLeave: a member left. Java says why; the others leave only when their consumer is closed or unsubscribed.
func (t *teller) byLeave(ep *episode) (verdict, bool) {
	e := ep.first(Leaving, Unsubscribed)
	if e == nil {
		return verdict{}, false
	}
	v := verdict{cause: journal.GracefulClose, confidence: journal.Measured, by: e.member, key: e}
	switch {
	case e.Kind == Unsubscribed || strings.Contains(e.Reason, "unsubscribed from all topics"):
		v.cause = journal.Unsubscribed
		v.why = append(v.why, e.member.name()+" unsubscribed")
	case strings.Contains(e.Reason, "removed by an admin"):
		v.cause = journal.AdminRemoval
		v.why = append(v.why, e.member.name()+" was removed by an administrator")
	case e.Reason != "":
		v.why = append(v.why, e.member.name()+" left the group: "+e.Reason)
	default:
		v.confidence = journal.Inferred
		v.why = append(v.why, e.member.name()+" left the group; "+e.Client.String()+" does that when it is closed or unsubscribed")
	}
	if v.cause == journal.GracefulClose {
		if again := t.startAfter(e); again != nil && again != e {
			v.cause, v.confidence = journal.RollingRestart, journal.Inferred
			v.why = append(v.why, "the same client started again at "+clockText(again.moment))
		}
	}
	return v, true
}

// startAfter finds the start of a client with the same client id within ten minutes of e.
func (t *teller) startAfter(e *Event) *Event {
	if e.Kind != Leaving || e.member.clientID == "" || e.moment.clock == noClock {
		return nil
	}
	list := t.starts[clientKey{e.Group, e.member.clientID}]
	i, _ := slices.BinarySearchFunc(list, e.pos, func(s *Event, pos int) int { return s.pos - pos })
	if i < len(list) && list[i].Client == e.Client && list[i].moment.at.Since(e.moment.at) <= 10*time.Minute {
		return list[i]
	}
	return nil
}

// clientKey names a client over all files.
type clientKey struct{ group, clientID string }

func (t *teller) bySilence(ep *episode) (verdict, bool) {
	e := ep.first(Silent)
	if e == nil {
		return verdict{}, false
	}
	v := verdict{cause: journal.SessionTimeout, or: journal.CoordinatorMoved, confidence: journal.Inferred, by: e.member, key: e}
	text := e.member.name() + " had no answer to its heartbeats"
	if e.Over >= 0 {
		text += " for " + grouped(e.Over) + " ms"
	}
	v.why = append(v.why, text+": its process stood still, or the coordinator could not be reached")
	v.missing = append(v.missing, "GC pauses, CPU throttling and suspensions of the process at that time", "whether the coordinator could be reached from there")
	silent := 0
	for _, m := range ep.members {
		if len(ep.of(m, Silent)) > 0 {
			silent++
		}
	}
	lost := ep.first(CoordinatorLost)
	if silent > 1 || lost != nil && lost.member != e.member {
		v.cause, v.or, v.confidence = journal.CoordinatorMoved, journal.SessionTimeout, journal.ConsistentWith
		v.why = append(v.why, "more than one member had trouble with the coordinator at the same time")
	}
	return v, true
}

func (t *teller) byRefusedJoin(ep *episode) (verdict, bool) {
	for _, e := range ep.events {
		if e.Kind != JoinRefused {
			continue
		}
		v := verdict{confidence: journal.Measured, by: e.member, key: e, kind: journal.Refused}
		switch e.Code {
		case inconsistentProtocol:
			v.cause = journal.AssignorChange
			v.why = append(v.why, e.member.name()+" was turned away: it has no assignor that all other members have, too")
			v.missing = append(v.missing, "partition.assignment.strategy of every member")
		case groupFull:
			v.cause = journal.BrokerPolicy
			v.why = append(v.why, e.member.name()+" was turned away: the group has as many members as group.max.size allows")
		case invalidSession:
			v.cause = journal.BrokerPolicy
			v.why = append(v.why, e.member.name()+" was turned away: its session.timeout.ms is outside the broker's bounds")
		case notAuthorized:
			v.cause = journal.BrokerPolicy
			v.why = append(v.why, e.member.name()+" was turned away: it has no right to read with this group")
		default:
			continue
		}
		return v, true
	}
	return verdict{}, false
}

// byRefusedHeartbeat: the coordinator had given the member up, and nothing in its own log says why. If it knew of a rebalance and did not
// rejoin, it was late; otherwise it was silent.
func (t *teller) byRefusedHeartbeat(ep *episode) (verdict, bool) {
	var e *Event
	for _, c := range ep.events {
		if !ep.parts[c.member].out && (c.Kind == HeartbeatRefused || c.Kind == JoinRefused) &&
			(c.Code == unknownMember || c.Code == fencedEpoch || c.Code == illegalGeneration) {
			e = c
			break
		}
	}
	if e == nil {
		return verdict{}, false
	}
	v := verdict{confidence: journal.Inferred, by: e.member, key: e}
	told := ep.of(e.member, Told)
	joining := ep.of(e.member, Joining, Joined)
	switch {
	case e.Reason == whileRevoking:
		v.cause = journal.LateToRejoin
		v.why = append(v.why, e.member.name()+" knew of a rebalance and was put out "+whileRevoking)
		v.missing = append(v.missing, "how long a batch takes, and what the revocation callback does", "the other members' logs: who set that rebalance off")
	case len(told) > 0 && earlier(told[0], e) && (len(joining) == 0 || earlier(e, joining[0])):
		v.cause, v.or = journal.LateToRejoin, journal.SessionTimeout
		v.why = append(v.why, e.member.name()+" learned of a rebalance at "+clockText(told[0].moment)+", did not rejoin in time, and was put out")
		v.missing = append(v.missing, "how long a batch takes, and what the revocation callback does", "the other members' logs: who set that rebalance off")
	case e.Code == illegalGeneration:
		v.cause, v.confidence = journal.Unknown, journal.NotKnown
		v.why = append(v.why, e.member.name()+" was a generation behind: the group had gone on without it")
		v.missing = append(v.missing, "the other members' logs, or the broker's (--broker-log)")
	default:
		v.cause, v.or = journal.SessionTimeout, journal.LateToRejoin
		v.why = append(v.why, "the coordinator did not know "+e.member.name()+" any more, and it had neither left nor run out of its poll interval")
		v.missing = append(v.missing, "GC pauses, CPU throttling and suspensions of the process at that time")
		if gap, ok := t.silenceBefore(e); ok {
			v.sub = "pause"
			v.why = append(v.why, "its log is silent for "+journal.Span(gap)+" before that")
		}
	}
	return v, true
}

// silenceBefore is how long the member's log held nothing of the group before e; ok only if that is no less than its session, as far as known.
func (t *teller) silenceBefore(e *Event) (time.Duration, bool) {
	if e.moment.clock == noClock {
		return 0, false
	}
	var prev *Event
	if e.seq > 0 {
		prev = e.member.events[e.seq-1]
	}
	session, _, ok := t.number(e.member, "session.timeout.ms")
	if prev == nil || prev.moment.clock == noClock || !ok {
		return 0, false
	}
	gap := e.moment.at.Since(prev.moment.at)
	return gap, gap >= time.Duration(session)*time.Millisecond
}

func (t *teller) byCallback(ep *episode) (verdict, bool) {
	e := ep.first(CallbackFailed)
	if e == nil {
		return verdict{}, false
	}
	v := verdict{cause: journal.FailedRebalance, confidence: journal.Measured, by: e.member, key: e, missing: []string{"the exception and its stack in the application's log"}}
	v.why = append(v.why, e.member.name()+": "+first(e.Reason, "a rebalance callback of the application failed"))
	return v, true
}

// rejoinReasons sorts what clients say when they join again of their own accord.
var rejoinReasons = []struct {
	has   string
	cause journal.Cause
	says  string
}{
	{"cached metadata has changed", journal.PartitionCount, "saw that a topic it reads had changed: other partitions, or another topic"},
	{"Metadata for subscribed topic(s) has changed", journal.PartitionCount, "saw that a topic it reads had changed: other partitions, or another topic"},
	{"noticed some topics have new partitions", journal.PartitionCount, "saw that a topic had more partitions"},
	{"partitions on topics another member is consuming have changed", journal.PartitionCount, "saw that the partitions of a topic had changed"},
	{"partitions were added", journal.PartitionCount, "saw that partitions were added"},
	{"our interests have changed", journal.SubscriptionChange, "has more topics to read"},
	{"subscription has changed", journal.SubscriptionChange, "subscribed to other topics"},
	{"Subscription modified", journal.SubscriptionChange, "subscribed to other topics"},
	{"does not match the current subscription", journal.FailedRebalance, "was assigned what it does not subscribe to"},
	{"rebalance enforced by user", journal.LeaderRejoin, "was told by its application to rebalance"},
	{"from ForceRebalance", journal.LeaderRejoin, "was told by its application to rebalance"},
	{"rebalance failed due to", journal.FailedRebalance, "failed in a rebalance and tried again"},
	{"rejoining after we previously errored", journal.FailedRebalance, "failed and tried again"},
	{"triggered followup rebalance", journal.LeaderRejoin, "asked for a follow-up, as Streams does"},
	{"need to revoke partitions", journal.CooperativeRound, "rejoined for the second round of a cooperative rebalance"},
	{"after revoking what we lost", journal.CooperativeRound, "rejoined for the second round of a cooperative rebalance"},
	{"encountered UNKNOWN_MEMBER_ID from OFFSET_COMMIT", journal.RejectedCommit, "was refused a commit and joined again"},
	{"encountered ILLEGAL_GENERATION from OFFSET_COMMIT", journal.RejectedCommit, "was refused a commit and joined again"},
	{"offset commit error: ", journal.RejectedCommit, "was refused a commit and joined again"},
}

// cooperativeRound reports whether a reason to rejoin is the second round of a cooperative rebalance.
func cooperativeRound(reason string) bool {
	return strings.Contains(reason, "need to revoke partitions") || strings.Contains(reason, "after revoking what we lost")
}

func (t *teller) byRejoinReason(ep *episode) (verdict, bool) {
	var round *verdict
	for _, e := range ep.events {
		if e.Kind != Rejoining {
			continue
		}
		for _, r := range rejoinReasons {
			if !strings.Contains(e.Reason, r.has) {
				continue
			}
			v := verdict{cause: r.cause, confidence: journal.Measured, by: e.member, key: e, why: []string{e.member.name() + " " + r.says}}
			switch e.Code {
			case partitionsChanged:
				v.why[0] = e.member.name() + " saw that a topic had changed: " + e.Detail
			case topicsChanged:
				v.cause = journal.TopicSet
				v.why[0] = e.member.name() + " saw that the topics it reads had changed: " + e.Detail
			}
			if e.Code == "" && strings.HasPrefix(r.says, "saw that a topic it reads had changed") {
				v.or = journal.TopicSet
				v.missing = []string{"which topic changed, and who changed it"}
			}
			switch r.cause {
			case journal.RejectedCommit:
				continue // byRefusedCommit says more
			case journal.CooperativeRound:
				if round == nil {
					round = &v
				}
				continue
			}
			return v, true
		}
	}
	if round != nil && ep.first(Starting, Told, CommitRefused, HeartbeatRefused) == nil {
		return *round, true
	}
	return verdict{}, false
}

func (t *teller) byPartitions(ep *episode) (verdict, bool) {
	e := ep.first(PartitionsGrew)
	if e == nil {
		return verdict{}, false
	}
	return verdict{cause: journal.PartitionCount, confidence: journal.Measured, by: e.member, key: e,
		why: []string{e.member.name() + " saw another number of partitions: " + e.Reason}}, true
}

// byRefusedCommit: a commit failed because the group had gone on. That sentence is fixed text: it comes after any loss of membership, whatever
// its words about max.poll.interval.ms.
func (t *teller) byRefusedCommit(ep *episode) (verdict, bool) {
	e := ep.first(CommitRefused)
	if e == nil {
		return verdict{}, false
	}
	if told := ep.of(e.member, Told); len(told) > 0 && earlier(told[0], e) && e.Code == rebalanceInProgress {
		return verdict{}, false // it knew; byTold
	}
	v := verdict{cause: journal.PollInterval, or: journal.SessionTimeout, confidence: journal.ConsistentWith, by: e.member, key: e}
	v.why = append(v.why, "the group had gone on without "+e.member.name()+" before it wanted to commit")
	if e.blamesPoll {
		v.why = append(v.why, "the sentence about max.poll.interval.ms is the client's fixed text: it prints it after any lost generation, after a paused process as well")
	}
	if !e.Client.pollLimit() {
		v.cause, v.or = journal.LateToRejoin, journal.SessionTimeout
		v.why = append(v.why, e.Client.String()+" has no max.poll.interval.ms: it was silent, or late to rejoin")
	}
	v.missing = append(v.missing, "time per record (--record-time)")
	for _, name := range []string{"max.poll.records", "max.poll.interval.ms"} {
		if _, _, ok := t.number(e.member, name); !ok && e.Client.pollLimit() {
			v.missing = append(v.missing, name+" (--client-config)")
		}
	}
	v.missing = slices.DeleteFunc(v.missing, func(s string) bool { return strings.HasPrefix(s, "time per record") && t.given.RecordTime > 0 })
	v.missing = append(v.missing, "an earlier line of this client: \"consumer poll timeout has expired\" proves it; old releases do not print it",
		"GC pauses and CPU throttling of the process, which would speak for a lost session instead")
	return v, true
}

// byStart: a member is new.
func (t *teller) byStart(ep *episode) (verdict, bool) {
	var start *Event
	others := false
	for _, e := range ep.events {
		if start == nil && (e.Kind == Starting || e.Kind == Joining && t.neverJoinedBefore(e)) {
			start = e
		}
	}
	if start == nil {
		return t.byNewcomer(ep)
	}
	starts := 0
	for _, m := range ep.members {
		switch started := len(ep.of(m, Starting)) > 0; {
		case started:
			starts++
		case m != start.member && len(ep.of(m, Told)) > 0: // somebody who was there before
			others = true
		}
	}
	v := verdict{by: start.member, key: start}
	lowest, opener := int32(-1), start
	for _, e := range ep.events {
		if (e.Kind == Joined || e.Kind == Synced) && e.Generation >= 0 && (lowest < 0 || e.Generation < lowest) {
			lowest, opener = e.Generation, e
		}
	}
	if lowest < 0 { // sarama names the generation of a session when it ends
		for _, e := range start.member.events[start.seq:] {
			if e.Generation >= 0 {
				lowest = e.Generation
				break
			}
		}
	}
	switch gone := t.leftBefore(start); {
	case gone != nil:
		v.cause, v.confidence = journal.RollingRestart, journal.Inferred
		v.why = append(v.why, start.member.name()+" started again"+strings.Replace(t.sinceText(gone, start), "it had gone", "it had left", 1))
	case lowest >= 0 && lowest <= 1:
		v.cause, v.confidence, v.by = journal.FirstStart, journal.Measured, opener.member
		v.why = append(v.why, opener.member.name()+" began the group: its generation was the first")
	case others || ep.joinsOthers:
		v.cause, v.confidence = journal.ScaleUp, journal.Inferred
		v.why = append(v.why, start.member.name()+" joined, and the others had to rebalance")
	case starts > 1 || strings.Contains(opener.Text, "with epoch") && lowest == 2: // the newer protocol spends an epoch on making the group
		v.cause, v.or, v.confidence = journal.FirstStart, journal.ScaleUp, journal.ConsistentWith
		v.why = append(v.why, start.member.name()+" started; whether others were there before, the logs do not say")
		v.missing = append(v.missing, "the other members' logs")
	default:
		v.cause, v.or, v.confidence = journal.ScaleUp, journal.FirstStart, journal.ConsistentWith
		v.why = append(v.why, start.member.name()+" joined; whether others were there, its log does not say")
		v.missing = append(v.missing, "the other members' logs")
	}
	return v, true
}

// byNewcomer: a member that had begun earlier, with others, had its first assignment here, and those others had to rebalance for it.
func (t *teller) byNewcomer(ep *episode) (verdict, bool) {
	told := ep.first(Told)
	for _, e := range ep.events {
		if p := ep.parts[e.member]; p.newcomer && told != nil && told.member != e.member && (e.Kind == Joined || e.Kind == Synced || e.Kind == Assigned) {
			return verdict{cause: journal.ScaleUp, confidence: journal.Inferred, by: e.member, key: e,
				why: []string{e.member.name() + " joined for the first time, and the others had to rebalance"}}, true
		}
	}
	return verdict{}, false
}

// neverJoinedBefore reports whether nothing before e shows its member in the group.
func (t *teller) neverJoinedBefore(e *Event) bool {
	i := slices.IndexFunc(e.member.events, func(c *Event) bool {
		return c.Kind == Joined || c.Kind == Synced || c.Kind == Assigned || c.Kind == Revoked || c.Kind == CommitRefused
	})
	return i < 0 || e.seq < i
}

// leftBefore finds the departure of a client with the same client id within ten minutes before start, in whatever file.
func (t *teller) leftBefore(start *Event) *Event {
	if start.member.clientID == "" || start.moment.clock == noClock {
		return nil
	}
	list := t.leaves[clientKey{start.Group, start.member.clientID}]
	i, _ := slices.BinarySearchFunc(list, start.pos, func(s *Event, pos int) int { return s.pos - pos })
	if i > 0 && start.moment.at.Since(list[i-1].moment.at) <= 10*time.Minute {
		return list[i-1]
	}
	return nil
}

// byEndedSession: sarama's session ended and its client was closed right away.
func (t *teller) byEndedSession(ep *episode) (verdict, bool) {
	e := ep.first(Closed)
	if e == nil || len(ep.of(e.member, Revoked, Told)) == 0 || earlier(e, ep.of(e.member, Revoked, Told)[0]) {
		return verdict{}, false
	}
	return verdict{cause: journal.GracefulClose, confidence: journal.Inferred, by: e.member, key: e,
		why: []string{e.member.name() + "'s session ended and its client was closed"}}, true
}

// byLostCoordinator: the coordinator was lost before anything else happened; what follows follows from it.
func (t *teller) byLostCoordinator(ep *episode) (verdict, bool) {
	if e := ep.events[0]; e.Kind != CoordinatorLost {
		return verdict{}, false
	}
	return t.byCoordinator(ep)
}

func (t *teller) byCoordinator(ep *episode) (verdict, bool) {
	e := ep.first(CoordinatorLost)
	if e == nil {
		return verdict{}, false
	}
	v := verdict{cause: journal.CoordinatorMoved, confidence: journal.Inferred, key: e, kind: journal.Absorbed}
	v.why = append(v.why, "the coordinator could not be reached: "+first(e.Reason, "its connection was lost, or it was one no longer"))
	if ep.first(Told, Revoked, Lost, Joined) != nil {
		v.kind = journal.Rebalance
		v.why = append(v.why, "a rebalance followed")
	} else {
		v.why = append(v.why, "nobody lost a partition: a coordinator that moves or restarts keeps the generation")
	}
	return v, true
}

// silentDuring finds a member that had no part in the episode and whose next word, within ten minutes, is that it had no answers or was out.
func (t *teller) silentDuring(ep *episode) (*member, *Event) {
	began, ended := ep.events[0], ep.events[len(ep.events)-1]
	if began.moment.clock == noClock {
		return nil, nil
	}
	for _, m := range t.groups[ep.group] {
		if ep.parts[m] != nil {
			continue
		}
		i, _ := slices.BinarySearchFunc(m.events, began.pos, func(e *Event, pos int) int { return e.pos - pos })
		if i == 0 || i == len(m.events) {
			continue
		}
		e := m.events[i]
		seated := slices.ContainsFunc(m.events[max(0, i-100):i], func(e *Event) bool { return e.Kind == Synced || e.Kind == Assigned })
		out := e.Kind == Silent || e.Kind == HeartbeatRefused && e.Code == unknownMember
		if seated && out && ended.moment.at.Before(e.moment.at) && e.moment.at.Since(began.moment.at) < 10*time.Minute {
			return m, e
		}
	}
	return nil, nil
}

// endedBefore finds a member that was in the group, whose log ends before the episode began, and no more than a long session before, without
// having said goodbye.
func (t *teller) endedBefore(ep *episode) (*member, moment) {
	began := ep.events[0]
	for _, m := range t.groups[ep.group] {
		last := t.log.sources[m.file].last
		if m.departed != nil || m.closed || ep.parts[m] != nil || !m.seated || last.clock == noClock || began.moment.clock == noClock {
			continue
		}
		if last.at.Before(began.moment.at) && began.moment.at.Since(last.at) <= 2*time.Minute {
			return m, last
		}
	}
	return nil, moment{}
}

func (t *teller) byTold(ep *episode) (verdict, bool) {
	e := ep.first(Told, Revoked, Lost, Rejoining)
	if e == nil {
		return verdict{}, false
	}
	v := verdict{confidence: journal.NotKnown, key: e}
	if c := ep.first(Closed); c != nil && c.member == e.member && e.Kind == Revoked && e.member.instance != "" {
		return verdict{cause: journal.GracefulClose, confidence: journal.Inferred, by: e.member, key: e, kind: journal.Absorbed,
			why: []string{e.member.name() + " was closed and did not leave: as a static member it keeps its seat until its session ends"}}, true
	}
	if m, lost := t.silentDuring(ep); m != nil {
		v.cause, v.sub, v.confidence, v.by = journal.SessionTimeout, "pause", journal.Inferred, m
		v.why = append(v.why, e.member.name()+" learned that the group rebalances",
			m.name()+" wrote nothing of it, and found at "+clockText(lost.moment)+" that it was out: it had been silent")
		v.missing = append(v.missing, "GC pauses, CPU throttling and suspensions of the process of "+m.name()+" at that time")
		return v, true
	}
	if m, last := t.endedBefore(ep); m != nil {
		v.cause, v.sub, v.confidence, v.by = journal.SessionTimeout, "crash", journal.ConsistentWith, m
		v.why = append(v.why, e.member.name()+" learned that the group rebalances",
			"the log of "+m.name()+" ends at "+clockText(last)+", "+journal.Span(e.moment.at.Since(last.at))+" before, without a word of leaving: it may have been killed or have crashed")
		v.missing = append(v.missing, "how the process of "+m.name()+" ended: exit code, OOM kill, node events")
		return v, true
	}
	v.why = append(v.why, e.member.name()+" learned that the group rebalances; who set it off is not in these logs")
	if e.Kind == Lost {
		v.why[0] = e.member.name() + " lost its partitions; why is not in these logs"
	}
	v.missing = append(v.missing, "the logs of the group's other members", "the broker's log (--broker-log), which has the reason and the member")
	return v, true
}
