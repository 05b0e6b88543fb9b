package clientlog

import (
	"errors"
	"strconv"
	"strings"
)

// saramaLine reads what sarama logs once its Logger is set, which it is not by default: sessions that begin and end, claims, partition counts;
// and its errors wherever an application prints them. It has no sentence for why a session ended.
func saramaLine(e envelope) (Event, bool) {
	ev, ok := firstRule(saramaRules, Sarama, strings.TrimPrefix(strings.TrimSpace(e.text), "[sarama] "))
	if !ok || ev.Kind == "" {
		return Event{}, false
	}
	return ev, true
}

var saramaRules = []rule{
	{"loop check partition number goroutine find partitions in topics", PartitionsGrew, func(e *Event, m string) {
		e.Group = cut(between(m, "consumergroup/", " loop"), 256)
		e.Reason = cut(between(m+"\n", "in topics ", "\n"), 255)
	}},
	{"consumergroup/session/", "", func(e *Event, m string) {
		rest, _ := after(m, "consumergroup/session/")
		id, words, _ := strings.Cut(rest, " ")
		i := strings.LastIndexByte(id, '/')
		if i < 0 {
			return
		}
		if words == "released" {
			e.Kind = Revoked
		} else if !strings.HasPrefix(words, "heartbeat loop stopped") {
			return
		} else {
			e.Kind = Told // a session ends for a rebalance, or because it is asked to; a sequel tells which
			e.Reason = sessionEnds
		}
		e.Generation, e.Member = generation(id[i+1:]), cut(id[:i], 256)
		e.ClientID = clientOf(e.Member)
	}},
	{": lost ownership of ", Lost, func(e *Event, m string) {
		e.Group = cut(between(m, "consumergroup/", ":"), 256)
		e.Code = codeIn(m)
	}},
	{"client/coordinator requesting coordinator for ", Joining, func(e *Event, m string) { e.Group = firstWord(between(m, "coordinator for ", " from")) }},
	{" added subscription to ", Assigned, saramaPartition},
	{"abandoned subscription to", SlowHandler, func(e *Event, m string) {
		if !strings.Contains(m, "consuming was taking too long") {
			e.Kind = ""
			return
		}
		saramaPartition(e, strings.TrimSuffix(m, " because consuming was taking too long"))
	}},
	{"JoinGroup failed: group instance id ", InstanceFenced, func(e *Event, m string) { e.Instance = cut(between(m, "instance id ", " has been fenced"), 256) }},
	{"kafka server: ", "", func(e *Event, m string) {
		switch e.Code = codeIn(m); e.Code {
		case "":
		case fencedInstance:
			e.Kind = InstanceFenced
		case rebalanceInProgress:
			e.Kind = Told
		case unknownMember, illegalGeneration:
			e.Kind = HeartbeatRefused
		default:
			e.Kind = JoinRefused
		}
	}},
	{"ConsumeClaim did not exit within Consumer.Group.Rebalance.Timeout", CallbackFailed, func(e *Event, _ string) { e.Reason = "ConsumeClaim did not return in time" }},
	{"kafka: heartbeat loop failed", CoordinatorLost, nil},
	{"Closing Client", Closed, func(e *Event, m string) {
		if strings.TrimSpace(m) != "Closing Client" {
			e.Kind = ""
		}
	}},
}

const sessionEnds = "its session ends"

// saramaPartition reads "topic/3" at the end of a sentence.
func saramaPartition(e *Event, m string) {
	m = m[strings.LastIndexByte(m, ' ')+1:]
	i := strings.LastIndexByte(m, '/')
	if i <= 0 {
		return
	}
	p, err := strconv.ParseInt(m[i+1:], 10, 32)
	if err != nil && !errors.Is(err, strconv.ErrRange) || p < 0 {
		return
	}
	var l partitionList
	l.add(m[:i], int32(p))
	e.setPartitions(&l)
}
