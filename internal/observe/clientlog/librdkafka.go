package clientlog

import (
	"strings"
	"time"

	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// librdkafkaLine reads what librdkafka, and so everything built on it, logs. Of a rebalance it says little unless debug=cgrp is set: two
// warnings, MAXPOLL and SESSTMOUT, come by default. "%4|1795182147.493|MAXPOLL|client#consumer-1| [thrd:main]: message" is how it writes
// by itself; an application that handles the log may leave only the message, so the message alone will do.
func librdkafkaLine(e envelope) (Event, bool) {
	msg, at, name := e.text, moment{}, ""
	if i := strings.IndexByte(msg, '%'); i >= 0 && len(msg) > i+3 && msg[i+2] == '|' && digits(msg[i+1:], 1) {
		parts := strings.SplitN(msg[i:], "|", 5)
		if len(parts) == 5 {
			at, name, msg = epochSeconds(parts[1]), parts[3], parts[4]
		}
	}
	if rest, ok := after(msg, "[thrd:"); ok {
		if _, m, ok := strings.Cut(rest, "]: "); ok {
			msg = m
		}
	}
	msg = strings.TrimSpace(msg)
	rules := librdkafkaWarnings
	if name != "" {
		rules = librdkafkaRules
	}
	ev, ok := firstRule(rules, Librdkafka, msg)
	if !ok || ev.Kind == "" {
		return Event{}, false
	}
	ev.moment = at
	if name != "" {
		ev.ClientID, _, _ = strings.Cut(cut(name, 256), "#")
	}
	if g := between(msg, `roup "`, `"`); g != "" && g != "(null)" {
		ev.Group = cut(g, 256)
	}
	return ev, true
}

func epochSeconds(s string) moment {
	sec, frac, ok := strings.Cut(s, ".")
	n, ms := number(sec), number(frac)
	if !ok || n < 1e8 || n > 7e9 || ms < 0 || ms > 999 {
		return moment{}
	}
	t := time.Unix(n, ms*1e6).UTC()
	return moment{vtime.FromTime(t), zoned, t.Format("2006-01-02T15:04:05.000Z")}
}

// librdkafkaWarnings are the sentences that are told from any other program's by themselves.
var librdkafkaWarnings = []rule{
	{"Application maximum poll interval (", PollExpired, func(e *Event, m string) {
		e.Limit = number(between(m, "poll interval (", "ms)"))
		e.Over = number(between(m, "exceeded by ", "ms"))
		e.Reason = "max.poll.interval.ms exceeded"
	}},
	{"Consumer group session timed out (in join-state", Silent, func(e *Event, m string) {
		e.Over = number(between(m, " after ", " ms without"))
		e.Reason = cut(between(m, "last error was ", ")"), 255)
	}},
	{"Static consumer fenced by other consumer with same group.instance.id", InstanceFenced, nil},
}

var librdkafkaRules = append(librdkafkaWarnings[:len(librdkafkaWarnings):len(librdkafkaWarnings)],
	rule{" is rebalancing (", Told, func(e *Event, m string) { e.Reason = lastPart(m) }},
	rule{" initiating rebalance (", Rejoining, func(e *Event, m string) {
		e.Reason = lastPart(m)
		if strings.Contains(m, "rebalance (NONE)") { // it holds nothing yet: its first join
			e.Kind = Starting
		}
	}},
	rule{" heartbeat error response in", HeartbeatRefused, func(e *Event, m string) {
		e.Code = codeIn(m)
		switch e.Code {
		case rebalanceInProgress:
			e.Kind = Told
		case fencedInstance:
			e.Kind = InstanceFenced
		case "":
			e.Kind = CoordinatorLost
			e.Reason = lastPart(m)
		}
	}},
	rule{"Joining group \"", Joining, func(e *Event, m string) { e.Member = cut(between(m, `member id "`, `"`), 256) }},
	rule{"JoinGroup response: GenerationId ", Joined, func(e *Event, m string) {
		e.Generation = generation(between(m, "GenerationId ", ","))
		e.Member = cut(between(m, "my MemberId ", ","), 256)
		if e.Generation < 0 {
			e.Kind, e.Code = JoinRefused, codeIn(m)
			if e.Code == "" { // the first half of a first join (KIP-394), for one
				e.Kind = ""
			}
			if e.Code == fencedInstance {
				e.Kind = InstanceFenced
			}
		}
	}},
	rule{" wait-assign-call -> steady", Synced, nil},
	rule{" -> steady (state", Synced, nil},
	rule{": setting group assignment to ", Assigned, func(e *Event, m string) {
		e.Count = int(max(-1, min(number(between(m, "assignment to ", " partition")), 1<<30)))
	}},
	rule{": revoking all ", Revoked, func(e *Event, m string) {
		e.Count = int(max(-1, min(number(between(m, "revoking all ", " partition")), 1<<30)))
		if strings.Contains(m, "assignment lost") {
			e.Kind = Lost
		}
	}},
	rule{"Leaving group", Leaving, nil},
	rule{": leave (in state ", Leaving, nil},
	rule{"marking the coordinator (", CoordinatorLost, func(e *Event, m string) { e.Reason = lastPart(m) }},
	rule{" coordinator set to broker", CoordinatorFound, nil},
	rule{"returned: Broker: ", CommitRefused, librdkafkaCommit},
	rule{"Offset commit (", CommitRefused, librdkafkaCommit},
	rule{" is terminating", Closed, nil},
)

func librdkafkaCommit(e *Event, m string) {
	if e.Code = codeIn(m); e.Code == "" {
		e.Kind = ""
	}
	e.AutoCommit = strings.Contains(m, "auto commit")
}

// lastPart is what follows the last ": ".
func lastPart(m string) string {
	if i := strings.LastIndex(m, ": "); i >= 0 {
		return cut(m[i+2:], 255)
	}
	return ""
}
