package clientlog

import (
	"slices"
	"strconv"
	"strings"
)

// rule is one sentence of a client: a line that has it is an event of this kind, and fill takes out what else it says.
type rule struct {
	has  string
	kind Kind
	fill func(e *Event, msg string)
}

func firstRule(rules []rule, c Client, msg string) (Event, bool) {
	for _, r := range rules {
		if strings.Contains(msg, r.has) {
			e := newEvent(c, r.kind, msg)
			if r.fill != nil {
				r.fill(&e, msg)
			}
			return e, true
		}
	}
	return Event{}, false
}

// javaLine reads what the Java client logs, from 0.10.1 to 4.x, and Spring's listener container around it. A line is recognised by the
// client's own prefix, "[Consumer clientId=c, groupId=g] ", or by Spring's words. Which framework printed it does not matter.
func javaLine(e envelope) (Event, bool) {
	i := strings.Index(e.text, "[Consumer ")
	if i < 0 {
		if id := between(e.text+"\n", "App info kafka.consumer for ", " unregistered"); id != "" {
			ev := newEvent(Java, Closed, e.text)
			ev.ClientID = cut(id, 256)
			return ev, true
		}
		return springLine(e)
	}
	head, msg, ok := strings.Cut(e.text[i+len("[Consumer "):], "] ")
	if !ok || !strings.Contains(head, "clientId=") {
		return Event{}, false
	}
	ev, ok := firstRule(javaRules, Java, strings.TrimSpace(msg))
	if !ok || ev.Kind == "" {
		return Event{}, false
	}
	for pair := range strings.SplitSeq(head, ", ") {
		switch k, v, _ := strings.Cut(pair, "="); k {
		case "clientId":
			ev.ClientID = cut(v, 256)
		case "groupId":
			if v != "null" {
				ev.Group = cut(v, 256)
			}
		case "instanceId", "groupInstanceId":
			ev.Instance = cut(v, 256)
		}
	}
	return ev, true
}

// The order matters where one sentence holds another.
var javaRules = []rule{
	{"exceeded approximately by ", PolledAgain, func(e *Event, m string) {
		e.Over = number(between(m, "exceeded approximately by ", " ms"))
	}},
	{"sending LeaveGroup request to coordinator", Leaving, func(e *Event, m string) {
		e.Member = between(m, "Member ", " sending LeaveGroup")
		if _, reason, ok := strings.Cut(m, " due to "); ok {
			e.Reason = cut(strings.TrimSuffix(reason, "."), 255)
		}
	}},
	{"consumer poll timeout has expired", PollExpired, nil},
	{"Commit cannot be completed since the group has already rebalanced", CommitRefused, javaCommit},
	{"Offset commit cannot be completed since the consumer is not part of an active group", CommitRefused, javaCommit},
	{"Failing OffsetCommit request since the consumer is not part of an active group", CommitRefused, nil},
	{"Offset commit cannot be completed since the consumer member's old generation is fenced", CommitRefused, javaCommit},
	{"Offset commit cannot be completed since the consumer member's generation is already stale", CommitRefused, javaCommit},
	{"OffsetCommit failed with Generation", CommitRefused, javaCommit},
	{"Offset commit failed on partition ", CommitRefused, func(e *Event, m string) {
		var l partitionList
		l.addDashed(between(m, "on partition ", " at offset "))
		e.setPartitions(&l)
		javaCode(e, m)
		if e.Code == "" { // a topic's fault, not the membership's
			e.Kind = ""
		}
	}},
	{"Caught fenced group.instance.id", InstanceFenced, nil},
	{"has been fenced by another instance", InstanceFenced, nil},
	{"due to fenced instance id ", InstanceFenced, func(e *Event, m string) { e.Instance = between(m, "fenced instance id ", ":") }},
	{"due to unreleased instance id ", InstanceFenced, func(e *Event, m string) { e.Instance = between(m, "unreleased instance id ", ":") }},
	{"Attempt to heartbeat failed since group is rebalancing", Told, nil},
	{"Attempt to heartbeat failed for since member id", HeartbeatRefused, func(e *Event, _ string) { e.Code = unknownMember }},
	{"Attempt to heartbeat failed since member id", HeartbeatRefused, func(e *Event, _ string) { e.Code = unknownMember }},
	{"Attempt to heartbeat failed since generation", HeartbeatRefused, func(e *Event, _ string) { e.Code = illegalGeneration }},
	{"Attempt to heartbeat failed since coordinator", CoordinatorLost, nil},
	{"Attempt to heartbeat with Generation", HeartbeatRefused, func(e *Event, m string) {
		javaGeneration(e, m)
		e.Code = firstWord(between(m, "failed due to ", ","))
		if e.Code == fencedInstance {
			e.Kind = InstanceFenced
		}
	}},
	{"ConsumerGroupHeartbeatRequest failed", HeartbeatRefused, func(e *Event, m string) {
		javaCode(e, m)
		if e.Code == "" {
			e.Kind = ""
		}
	}},
	{"transitioned from ", "", javaTransition},
	{"JoinGroup failed due to fatal error", JoinRefused, javaCode},
	{"JoinGroup failed: Inconsistent Protocol Type", JoinRefused, func(e *Event, _ string) { e.Code = inconsistentProtocol }},
	{"JoinGroup failed: ", JoinRefused, javaCode},
	{"SyncGroup failed: ", JoinRefused, javaCode},
	{"SyncGroup failed due to inconsistent Protocol", JoinRefused, func(e *Event, _ string) { e.Code = inconsistentProtocol }},
	{"Request joining group due to: ", Rejoining, javaRejoin},
	{"(Re-)joining group", Joining, nil},
	{"Successfully joined group with generation", Joined, javaGeneration},
	{"Successfully synced group in generation", Synced, javaGeneration},
	{"Adding newly assigned partitions", Assigned, javaPartitions},
	{"Setting newly assigned partitions", Assigned, javaPartitions},
	{"Revoke previously assigned partitions", Revoked, javaPartitions},
	{"Revoking previously assigned partitions", Revoked, javaPartitions},
	{"Lost previously assigned partitions", Lost, javaPartitions},
	{"session timed out without receiving a heartbeat response", Silent, nil},
	{"Group coordinator ", CoordinatorLost, func(e *Event, m string) {
		if !strings.Contains(m, "unavailable or invalid") {
			e.Kind = ""
			return
		}
		e.Reason = cut(strings.TrimSuffix(between(m, "due to cause: ", "isDisconnected"), ". "), 255)
		if strings.Contains(e.Reason, "session timed out") {
			e.Kind = Silent
		}
	}},
	{"Marking the coordinator ", CoordinatorLost, nil}, // "... dead", before 2.0
	{"Discovered group coordinator", CoordinatorFound, nil},
	{"Discovered coordinator", CoordinatorFound, nil},
	{"User provided listener ", CallbackFailed, func(e *Event, m string) {
		e.Reason = cut(between(m, "failed on invocation of ", " for partitions"), 255)
	}},
	{"Unsubscribed all topics or patterns", Unsubscribed, nil},
	{"Subscribed to topic(s): ", Starting, func(e *Event, m string) { e.Reason, _ = after(cut(m, maxText), "topic(s): ") }},
	{"Subscribed to pattern: ", Starting, nil},
}

// springLine reads what Spring for Apache Kafka says beside its client; the client's own lines say the same with more in them.
func springLine(e envelope) (Event, bool) {
	if !strings.Contains(e.text, "partitions") && !strings.Contains(e.text, "onsumer") {
		return Event{}, false
	}
	for _, r := range springRules {
		i := strings.Index(e.text, r.has)
		if i < 0 {
			continue
		}
		msg := e.text[i:]
		ev := newEvent(Java, r.kind, msg)
		if r.fill != nil {
			r.fill(&ev, msg)
		}
		// Newer releases put the group before it: "group: partitions revoked: [...]".
		head := strings.TrimRight(e.text[:i], " ")
		if g, ok := strings.CutSuffix(head, ":"); ok {
			if j := strings.LastIndexAny(g, " \t"); j >= 0 && j+1 < len(g) {
				ev.Group = cut(g[j+1:], 256)
			}
		}
		return ev, true
	}
	return Event{}, false
}

var springRules = []rule{
	{"partitions revoked: [", Revoked, javaPartitions},
	{"partitions lost: [", Lost, javaPartitions},
	{"partitions assigned: [", Assigned, javaPartitions},
	{"CommitFailedException: ", CommitRefused, javaCommit},
	{"Commit cannot be completed since the group has already rebalanced", CommitRefused, javaCommit},
	{"FencedInstanceIdException", InstanceFenced, nil},
}

// The codes that tell something about a membership, by Kafka's names.
const (
	unknownMember        = "UNKNOWN_MEMBER_ID"
	illegalGeneration    = "ILLEGAL_GENERATION"
	fencedInstance       = "FENCED_INSTANCE_ID"
	fencedEpoch          = "FENCED_MEMBER_EPOCH"
	inconsistentProtocol = "INCONSISTENT_GROUP_PROTOCOL"
	rebalanceInProgress  = "REBALANCE_IN_PROGRESS"
	groupFull            = "GROUP_MAX_SIZE_REACHED"
	invalidSession       = "INVALID_SESSION_TIMEOUT"
	notAuthorized        = "GROUP_AUTHORIZATION_FAILED"
)

// errorTexts are the sentences that the clients print in place of a code.
var errorTexts = []struct{ code, text string }{
	{unknownMember, unknownMember}, {illegalGeneration, illegalGeneration}, {fencedInstance, fencedInstance}, {fencedEpoch, fencedEpoch},
	{inconsistentProtocol, inconsistentProtocol}, {rebalanceInProgress, rebalanceInProgress}, {groupFull, groupFull},
	{invalidSession, invalidSession}, {notAuthorized, notAuthorized},
	// Java
	{unknownMember, "The coordinator is not aware of this member"},
	{illegalGeneration, "Specified group generation id is not valid"},
	{rebalanceInProgress, "The group is rebalancing, so a rejoin is needed"},
	{inconsistentProtocol, "protocols are incompatible with those of existing members"},
	{groupFull, "already has the configured maximum number of members"},
	{groupFull, "group has reached its max size"},
	{invalidSession, "The session timeout is not within the range"},
	{notAuthorized, "Not authorized to access group"},
	// librdkafka
	{unknownMember, "Broker: Unknown member"},
	{illegalGeneration, "Broker: Specified group generation id is not valid"},
	{rebalanceInProgress, "Broker: Group rebalance in progress"},
	{inconsistentProtocol, "Broker: Inconsistent group protocol"},
	{fencedInstance, "Broker: Static consumer fenced by other consumer"},
	{groupFull, "Broker: Consumer group has reached maximum size"},
	{invalidSession, "Broker: Invalid session timeout"},
	{notAuthorized, "Broker: Group authorization failed"},
	// sarama
	{unknownMember, "The provided member is not known in the current generation"},
	{illegalGeneration, "The provided generation id is not the current generation"},
	{rebalanceInProgress, "A rebalance for the group is in progress"},
	{inconsistentProtocol, "The provider group protocol type is incompatible"},
	{fencedInstance, "another consumer with the same group.instance.id has registered"},
	{invalidSession, "The provided session timeout is outside the allowed range"},
	{notAuthorized, "The client is not authorized to access this group"},
}

// codeIn finds Kafka's code in a client's sentence, "" for none of those that matter here.
func codeIn(s string) string {
	for _, t := range errorTexts {
		if strings.Contains(s, t.text) {
			return t.code
		}
	}
	return ""
}

func javaCode(e *Event, m string) {
	e.Code = codeIn(m)
	switch {
	case e.Code == fencedInstance && e.Kind != CommitRefused:
		e.Kind = InstanceFenced
	case e.Code == rebalanceInProgress && e.Kind == JoinRefused:
		e.Kind = Told
	}
}

func javaCommit(e *Event, m string) {
	e.blamesPoll, e.blamesSession = strings.Contains(m, "max.poll.interval.ms"), strings.Contains(m, "increasing the session timeout")
	if from, to := strings.IndexByte(m, '{'), strings.Index(m, "} failed"); from >= 0 && to > from { // the sentence matters, and it stands behind the offsets
		e.Text = cut(m[:from+1]+"..."+m[to:], maxText)
	}
	e.AutoCommit = strings.Contains(m, "auto-commit")
	e.Code = codeIn(m)
	javaGeneration(e, m)
	var l partitionList
	for rest := between(m, "{", "} failed"); rest != ""; { // {t-0=OffsetAndMetadata{offset=1, metadata=''}, t-1=...
		tp, more, ok := strings.Cut(rest, "=OffsetAndMetadata{")
		if !ok {
			break
		}
		l.addDashed(tp)
		_, rest, _ = strings.Cut(more, "}, ")
	}
	if l.count > 0 {
		e.setPartitions(&l)
	}
}

// javaRejoin sorts the reasons with which the client asks itself to join again.
func javaRejoin(e *Event, m string) {
	reason, _ := after(m, "due to: ")
	e.Reason = cut(reason, 255)
	switch {
	case strings.HasPrefix(reason, "need to re-join with the given member-id"): // the second half of every first join (KIP-394)
		e.Kind, e.Reason = Joining, ""
		e.Member = cut(strings.TrimPrefix(strings.TrimPrefix(reason, "need to re-join with the given member-id"), ": "), 256)
	case strings.HasPrefix(reason, "group is already rebalancing"), strings.HasPrefix(reason, "offset commit failed since group is already rebalancing"),
		strings.HasPrefix(reason, "rebalance failed due to") && strings.Contains(reason, "RebalanceInProgress"): // another one began before this one ended
		e.Kind = Told
	case strings.HasPrefix(reason, "consumer pro-actively leaving the group"): // said once more after the leave
		e.Kind = ""
	case strings.HasPrefix(reason, "cached metadata has changed"):
		javaMetadata(e, reason)
	}
}

// javaGeneration reads "generation Generation{generationId=1, memberId='m', protocol='range'}", and "generation 1" of older releases.
func javaGeneration(e *Event, m string) {
	if g := between(m, "generationId=", ","); g != "" {
		e.Generation = generation(g)
		e.Member = cut(between(m, "memberId='", "'"), 256)
	} else if g, ok := after(m, "generation "); ok {
		e.Generation = generation(g)
	}
}

// javaPartitions reads "... [t-0, t-1]", and "...: t-0, t-1" of newer releases.
func javaPartitions(e *Event, m string) {
	list := between(m, "[", "]")
	if list == "" {
		if i := strings.Index(m, "partitions"); i >= 0 {
			list = strings.TrimLeft(m[i+len("partitions"):], ": []")
		}
	}
	var l partitionList
	for tp := range strings.SplitSeq(list, ",") {
		l.addDashed(tp)
	}
	e.setPartitions(&l)
}

// javaTransition reads the state changes of a member of the newer protocol (KIP-848).
func javaTransition(e *Event, m string) {
	e.Member = cut(between(m, "Member ", " with epoch "), 256)
	e.Generation = generation(between(m, "with epoch ", " "))
	change, _ := after(m, "transitioned from ")
	from, to, _ := strings.Cut(change, " to ")
	switch strings.TrimSuffix(strings.TrimSpace(to), ".") {
	case "JOINING":
		e.Kind = Joining
	case "RECONCILING":
		if e.Kind = Told; from == "JOINING" {
			e.Kind = Joined
		}
	case "STABLE":
		e.Kind = Synced
	case "STALE": // it had not polled in time, and left
		e.Kind, e.Reason = PollExpired, "consumer poll timeout has expired"
	case "FENCED":
		e.Kind, e.Code = HeartbeatRefused, fencedEpoch
	case "PREPARE_LEAVING":
		e.Kind = Leaving
	}
}

// javaMetadata reads the topics that the leader saw change, with their partitions: "from (version2: {t=[A, A]}) ... to (version5: {t=[A, A, A]})".
// It leaves the difference in Reason, and in Code whether it is one of partitions or of topics.
func javaMetadata(e *Event, reason string) {
	old, now := javaTopics(between(reason, "changed from (", ")")), javaTopics(between(reason, "rebalance to (", ")"))
	if len(old) == 0 || len(now) == 0 {
		return
	}
	var grew, other []string
	for t, n := range now { // any order: sorted below
		switch o, was := old[t]; {
		case !was:
			other = append(other, t+" is new")
		case o != n:
			grew = append(grew, t+" has "+strconv.Itoa(n)+" partitions and had "+strconv.Itoa(o))
		}
	}
	for t := range old { // any order: sorted below
		if _, is := now[t]; !is {
			other = append(other, t+" is gone")
		}
	}
	slices.Sort(grew)
	slices.Sort(other)
	switch {
	case len(other) > 0:
		e.Code = topicsChanged
	case len(grew) > 0:
		e.Code = partitionsChanged
	}
	if all := append(other, grew...); len(all) > 0 {
		e.Detail = cut(strings.Join(all, ", "), 255)
	}
}

// Codes of our own beside Kafka's.
const (
	topicsChanged     = "topics changed"
	partitionsChanged = "partitions changed"
)

// javaTopics counts the partitions in "version2: {t=[A, B], u=[A]}".
func javaTopics(s string) map[string]int {
	s = strings.TrimSuffix(s[strings.IndexByte(s, '{')+1:], "}")
	out := map[string]int{}
	for s != "" && len(out) < 1000 {
		t, rest, ok := strings.Cut(s, "=[")
		if !ok {
			break
		}
		ps, more, ok := strings.Cut(rest, "]")
		if !ok {
			return nil
		}
		n := 0
		if ps != "" {
			n = strings.Count(ps, ",") + 1
		}
		out[strings.Trim(t, ", ")] = n
		s = more
	}
	return out
}

func firstWord(s string) string {
	w, _, _ := strings.Cut(strings.TrimSpace(s), " ")
	return cut(w, 64)
}
