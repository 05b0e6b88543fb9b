package clientlog

import (
	"strings"
)

// franzLine reads what franz-go logs at level info: its own BasicLogger ("[INFO] joining group; group: g, key: value"), Go's slog as text
// (level=INFO msg="joining group" group=g) and as JSON, and zap.
func franzLine(e envelope) (Event, bool) {
	msg, get := franzMessage(e)
	for _, r := range franzRules {
		if msg != r.has {
			continue
		}
		ev := newEvent(FranzGo, r.kind, e.text)
		ev.Group, ev.Member = cut(get("group"), 256), cut(get("member_id"), 256)
		if i := get("instance_id"); i != "<nil>" {
			ev.Instance = cut(i, 256)
		}
		if g := get("generation"); g != "" {
			ev.Generation = generation(g)
		}
		if err := get("err"); err != "" {
			ev.Code, ev.Reason = codeIn(err), cut(err, 255)
		}
		if r.fill != nil {
			var b strings.Builder // the rule asks for fields through text that holds them all
			for _, k := range []string{"why", "added", "lost", "revoking", "assigned"} {
				if v := get(k); v != "" {
					b.WriteString(k + "=" + v + "\x00")
				}
			}
			r.fill(&ev, b.String())
		}
		if ev.ClientID == "" && ev.Member != "" {
			ev.ClientID = clientOf(ev.Member)
		}
		return ev, ev.Kind != ""
	}
	return Event{}, false
}

// clientOf takes the random part off a member id, "client-2f653ecd-65a1-4e33-abf7-a8cd9f9ce7fc"; "" if it has none.
func clientOf(member string) string {
	const uuid = 36
	i := len(member) - uuid - 1
	if i <= 0 || member[i] != '-' {
		return ""
	}
	for j, c := range member[i+1:] {
		if dash := j == 8 || j == 13 || j == 18 || j == 23; dash != (c == '-') || !dash && !strings.ContainsRune("0123456789abcdef", c) {
			return ""
		}
	}
	return member[:i]
}

// franzMessage is the message and a way to its values.
func franzMessage(e envelope) (string, func(string) string) {
	if e.fields != nil {
		return e.text, func(k string) string { return e.fields[k] }
	}
	s := e.text
	for _, level := range []string{"[INFO] ", "[WARN] ", "[ERROR] ", "[DEBUG] "} {
		if i := strings.Index(s, level); i >= 0 && i < 120 {
			msg, tail, ok := strings.Cut(s[i+len(level):], "; ")
			if ok && strings.HasPrefix(tail, "consumer did not change") { // the one message with a semicolon of its own
				_, tail, _ = strings.Cut(tail, "; ")
			}
			return msg, func(k string) string { return basicValue(tail, k) }
		}
	}
	if rest, ok := after(s, "msg="); ok {
		var msg string
		if q, ok := strings.CutPrefix(rest, `"`); ok {
			msg, rest, _ = strings.Cut(q, `"`)
		} else {
			msg, rest, _ = strings.Cut(rest, " ")
		}
		return msg, func(k string) string { return logfmtValue(rest, k) }
	}
	return "", func(string) string { return "" }
}

// basicValue finds "key: value" in "a: 1, b: 2"; values may hold commas of their own, so that a value ends where the next known key begins.
func basicValue(s, key string) string {
	rest := s
	if !strings.HasPrefix(s, key+": ") {
		i := strings.Index(s, ", "+key+": ")
		if i < 0 {
			return ""
		}
		rest = s[i+2:]
	}
	rest = rest[len(key)+2:]
	end := len(rest)
	for _, k := range []string{"group", "member_id", "instance_id", "generation", "leader", "balance_protocol", "err", "why", "is848", "added", "lost", "stage",
		"assigned", "revoking", "consecutive_errors", "backoff", "protocol", "protocol_type"} {
		if i := strings.Index(rest, ", "+k+": "); i >= 0 && i < end {
			end = i
		}
	}
	return rest[:end]
}

func logfmtValue(s, key string) string {
	i := strings.Index(" "+s, " "+key+"=")
	if i < 0 {
		return ""
	}
	v := s[i+len(key)+1:]
	if q, ok := strings.CutPrefix(v, `"`); ok {
		v, _, _ = strings.Cut(q, `"`)
		return v
	}
	v, _, _ = strings.Cut(v, " ")
	return v
}

var franzRules = []rule{
	{"beginning to manage the group lifecycle", Starting, nil},
	{"joining group", Joining, nil},
	{"joined", Joined, nil},
	{"joined, balancing group", Joined, nil},
	{"joined as leader but unable to balance group due to KIP-345 limitations", Joined, nil},
	{"synced", Synced, nil},
	{"new group session begun", Assigned, func(e *Event, m string) {
		franzPartitions(e, between(m, "added=", "\x00"))
	}},
	{"heartbeat errored", HeartbeatRefused, func(e *Event, _ string) {
		switch e.Code {
		case rebalanceInProgress:
			e.Kind = Told
		case fencedInstance:
			e.Kind = InstanceFenced
		case "":
			e.Kind = CoordinatorLost
			if strings.Contains(e.Reason, "context canceled") { // the client is closing
				e.Kind = ""
			}
		}
	}},
	{"heartbeat errored again while waiting for user revoke to finish", HeartbeatRefused, func(e *Event, _ string) {
		if e.Code == unknownMember || e.Code == illegalGeneration {
			e.Reason = whileRevoking
		} else {
			e.Kind = ""
		}
	}},
	{"heartbeat saw a change in group status", Told, nil},
	{"heartbeat saw a change in group status; partitions were added or lost", Told, nil},
	{"forced rejoin quitting heartbeat loop", Rejoining, func(e *Event, m string) { e.Reason = cut(between(m, "why=", "\x00"), 255) }},
	{"eager consumer revoking prior assigned partitions", Revoked, franzRevoking},
	{"cooperative consumer revoking prior assigned partitions because leaving group", Revoked, franzRevoking},
	{"calling onRevoke at the end of a session", Revoked, func(e *Event, m string) { franzPartitions(e, between(m, "lost=", "\x00")) }},
	{"leaving group", Leaving, nil},
	{"join group failed", JoinRefused, franzRefused},
	{"sync group failed", JoinRefused, franzRefused},
	{"group manage loop errored", JoinRefused, franzRefused},
	{"join returned UnknownMemberID, rejoining without a member id", JoinRefused, func(e *Event, _ string) { e.Code = unknownMember }},
	{"sync failed with RebalanceInProgress, rejoining", Told, nil},
	{"offset commit returned a fatal group member error, triggering rejoin", CommitRefused, nil},
	{"default commit failed", CommitRefused, func(e *Event, _ string) { e.AutoCommit = true }},
}

// whileRevoking: the client waited for its application to let go, and was put out meanwhile.
const whileRevoking = "while it waited for its application to let go"

func franzRefused(e *Event, _ string) {
	switch e.Code {
	case fencedInstance:
		e.Kind = InstanceFenced
	case rebalanceInProgress:
		e.Kind = Told
	case "":
		e.Kind = CoordinatorLost
		if strings.Contains(e.Reason, "context canceled") {
			e.Kind = ""
		}
	}
}

func franzRevoking(e *Event, m string) { franzPartitions(e, between(m, "revoking=", "\x00")) }

// franzPartitions reads "t[0 1 2], u[0]".
func franzPartitions(e *Event, s string) {
	var l partitionList
	for s != "" && l.count < 1<<20 {
		topic, rest, ok := strings.Cut(s, "[")
		if !ok {
			break
		}
		ps, more, ok := strings.Cut(rest, "]")
		if !ok {
			break
		}
		for p := range strings.FieldsSeq(ps) {
			if n := generation(p); n >= 0 {
				l.add(strings.Trim(topic, ", "), n)
			}
		}
		s = more
	}
	e.setPartitions(&l)
}
