package clientlog

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/barnabas-mq/barnabas/internal/journal"
)

// javaDefaults are the Java client's, for settings that a given configuration leaves out.
var javaDefaults = map[string]int64{"max.poll.interval.ms": 300_000, "max.poll.records": 500, "heartbeat.interval.ms": 3000}

// number is a setting of a member and where it is from: its own log, what was given, or the default of a configuration that was given and
// leaves it out. ok is false if nobody said.
func (t *teller) number(m *member, name string) (int64, string, bool) {
	parse := func(s string) (int64, bool) {
		n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
		return n, err == nil && n > 0 && n <= math.MaxInt32
	}
	if m != nil {
		if s, ok := m.settings[name]; ok {
			if n, ok := parse(s.value); ok {
				return n, t.log.where(s.event), true
			}
		}
	}
	if s, ok := t.given.Config[name]; ok {
		n, ok := parse(s)
		return n, "given", ok
	}
	if len(t.given.Config) > 0 && (m == nil || m.client == Java || m.client == Librdkafka && name == "max.poll.interval.ms") {
		n, ok := javaDefaults[name]
		return n, "default, the configuration given leaves it out", ok
	}
	return 0, "", false
}

// advise computes what to change, from numbers that were found or given; without them it says which are needed.
func (t *teller) advise(ep *episode, v verdict, r *Rebalance) {
	add := func(a journal.Advice) { r.Advice = append(r.Advice, a) }
	if ep.back != nil {
		return // the story of the departure has it
	}
	switch v.cause {
	case journal.PollInterval:
		t.adviseSlowBatch(ep, v, r)
	case journal.SessionTimeout:
		t.adviseSilence(v, r)
	case journal.LateToRejoin:
		add(journal.Advice{Text: "hand partitions over sooner: smaller batches, or a look between records whether they were revoked", Needs: []string{"time per record"}})
		if v.by != nil && v.by.client == Java {
			r.Cautions = append(r.Cautions, "a shorter max.poll.interval.ms does not make the batch shorter: it puts the member out sooner")
		}
	case journal.InstanceFenced:
		add(journal.Advice{Text: "give every process a group.instance.id of its own: the StatefulSet's ordinal and the cluster's name, say", Setting: "group.instance.id"})
		r.Cautions = append(r.Cautions, "restarting the client that was shut out makes it shut the other one out: they take turns")
	case journal.GracefulClose, journal.RollingRestart:
		add(journal.Advice{Text: "if it was a restart: group.instance.id and a session.timeout.ms above the time a restart takes make it cost no rebalance",
			Setting: "group.instance.id", Needs: []string{"how long a restart takes"}})
	case journal.Unsubscribed:
		add(journal.Advice{Text: "use pause() and resume() instead of unsubscribe() and subscribe(): the member keeps its seat and its partitions"})
	case journal.AssignorChange:
		add(journal.Advice{Text: "change assignors in two rolls: first name the new one before the old one everywhere, then leave the old one out", Setting: "partition.assignment.strategy"})
	case journal.CoordinatorMoved:
		if v.kind == journal.Rebalance {
			add(journal.Advice{Text: "a session.timeout.ms above the time it takes to find the new coordinator keeps the group together", Setting: "session.timeout.ms",
				Needs: []string{"how long the coordinator was away"}})
		}
	case journal.CooperativeRound:
		add(journal.Advice{Text: "nothing: it is how the cooperative protocol works"})
	}
}

// adviseSlowBatch finds the numbers of a batch and of max.poll.interval.ms; the arithmetic is the journal's.
func (t *teller) adviseSlowBatch(ep *episode, v verdict, r *Rebalance) {
	m := v.by
	records, recordsFrom, haveRecords := t.number(m, "max.poll.records")
	interval, intervalFrom, haveInterval := t.number(m, "max.poll.interval.ms")
	isJava := m == nil || m.client == Java
	if !isJava {
		haveRecords = false
	}
	per, perFrom := t.given.RecordTime, "given"
	if haveInterval {
		r.Numbers = append(r.Numbers, Number{"max.poll.interval.ms", float64(interval), "ms", intervalFrom})
	}
	if haveRecords {
		r.Numbers = append(r.Numbers, Number{"max.poll.records", float64(records), "records", recordsFrom})
	}
	if session, from, ok := t.number(m, "session.timeout.ms"); ok {
		r.Numbers = append(r.Numbers, Number{"session.timeout.ms", float64(session), "ms", from})
	}
	// The log itself may hold how long a batch took: from the limit that ran out until the client was in its poll loop again.
	if back := t.polledAgain(ep, v); back > 0 && haveInterval {
		batch := time.Duration(interval)*time.Millisecond + back
		r.Numbers = append(r.Numbers, Number{"time between two polls", float64(batch.Milliseconds()), "ms", "computed from the lines"})
		text := fmt.Sprintf("the batch kept the application from polling for %s", journal.Span(batch))
		r.Evidence = append(r.Evidence, numFact(journal.FactFetchSilence, journal.Inferred, text, float64(batch.Milliseconds()), "ms"))
		if haveRecords && per == 0 {
			at := batch / time.Duration(records)
			r.Evidence = append(r.Evidence, numFact(journal.FactRecordTime, journal.Inferred,
				fmt.Sprintf("that is %s per record or more: %s / %s, if the batch was a full one", journal.Span(at), journal.Span(batch), grouped(records)),
				float64(at.Microseconds())/1000, "ms"))
			per, perFrom = at, "computed from the lines, at least"
		}
	}
	if per > 0 {
		r.Numbers = append(r.Numbers, Number{"time per record", float64(per.Microseconds()) / 1000, "ms", perFrom})
	}
	if !isJava {
		r.Advice = append(r.Advice, journal.Advice{Text: "the application spent longer with one message, or one batch of its own making, than max.poll.interval.ms allows: poll again sooner, pause the partitions while it works, or raise the limit above the longest work",
			Setting: "max.poll.interval.ms", Needs: []string{"the longest time between two polls"}})
		t.cautionSlowBatch(ep, v, r)
		return
	}
	limit := time.Duration(interval) * time.Millisecond
	r.Advice = append(r.Advice, journal.PollAdvice(limit, int(records), per)[0]) // the other is a caution here
	if sum := journal.PollSum(limit, int(records), per); sum != "" {
		r.Evidence = append(r.Evidence, fact(journal.FactBatch, journal.Inferred, "a full batch takes "+sum+" (max.poll.interval.ms)"))
	}
	if _, roomy := journal.PollRecords(limit, per); haveRecords && roomy >= 1 {
		if records <= roomy {
			if v.confidence == journal.ConsistentWith { // then it need not have been the batch
				r.Or, r.Confidence = journal.PollInterval, journal.ConsistentWith
				r.Cause, r.Title = journal.SessionTimeout, journal.SessionTimeout.Title()
			}
		} else if roomy > 10 {
			r.Advice = append(r.Advice, journal.Advice{Text: fmt.Sprintf("Smaller still for quick hand-overs: a rebalance that somebody else sets off waits for the batch, up to %s with %s records, %s with 10.",
				secondsText(time.Duration(roomy)*per), grouped(roomy), secondsText(10*per)), Setting: "max.poll.records"})
		}
	}
	if haveRecords && haveInterval && per > 0 {
		r.Advice = append(r.Advice, journal.Advice{Text: fmt.Sprintf("Batches do not change the pace, which is %s records per second for each thread: if more come in, process keys in parallel and commit in order.",
			strconv.FormatFloat(math.Round(100*float64(time.Second)/float64(per))/100, 'f', -1, 64)), Arithmetic: "1,000 / " + millisText(per)})
	}
	t.cautionSlowBatch(ep, v, r)
}

// polledAgain is how long after the limit ran out the member was back in its poll loop; 0 if the log does not show it.
func (t *teller) polledAgain(ep *episode, v verdict) time.Duration {
	expired := v.key
	if expired.Kind != PollExpired && expired.Kind != Leaving || expired.moment.clock == noClock {
		return 0
	}
	for _, e := range expired.member.events[expired.seq:] {
		switch e.Kind {
		case PolledAgain:
			if e.Over > 0 && e.Over < 1<<40 {
				return time.Duration(e.Over) * time.Millisecond
			}
		case CommitRefused, Lost, Joining:
			if d := e.moment.at.Since(expired.moment.at); d > 100*time.Millisecond {
				return d
			}
		}
	}
	return 0
}

// cautionSlowBatch names the cures in circulation that do nothing here, or lose data.
func (t *teller) cautionSlowBatch(ep *episode, v verdict, r *Rebalance) {
	auto, advisesSession := "", false
	for _, e := range ep.events {
		if e.AutoCommit && auto == "" {
			auto = t.log.where(e)
		}
		advisesSession = advisesSession || e.blamesSession
	}
	if v.by != nil {
		if s, ok := v.by.settings["enable.auto.commit"]; ok && s.value == "true" && auto == "" {
			auto = t.log.where(s.event)
		}
	}
	text := "session.timeout.ms does nothing against a slow batch: heartbeats are sent by a thread of their own, which goes on while the batch runs"
	if advisesSession {
		text += "; the advice to raise it, in the line itself, is wrong"
	}
	r.Cautions = append(r.Cautions, text)
	if auto != "" {
		r.Cautions = append(r.Cautions, "do not hand records to a thread pool while auto-commit is on, as it is here ("+auto+"): poll() then commits records that nobody has finished, and a crash loses them")
	} else {
		r.Cautions = append(r.Cautions, "do not hand records to a thread pool under auto-commit: poll() then commits records that nobody has finished, and a crash loses them")
	}
	r.Cautions = append(r.Cautions, "a very long max.poll.interval.ms hides it: a consumer that hangs then keeps its partitions that long, and so does every rebalance that waits for it")
}

func (t *teller) adviseSilence(v verdict, r *Rebalance) {
	a := journal.Advice{Text: "keep session.timeout.ms above the longest pause + heartbeat.interval.ms + a round trip, and heartbeat.interval.ms at a third of it or less",
		Setting: "session.timeout.ms", Needs: []string{"the longest pause of the process"}}
	session, from, haveSession := t.number(v.by, "session.timeout.ms")
	beat, beatFrom, haveBeat := t.number(v.by, "heartbeat.interval.ms")
	if haveSession {
		r.Numbers = append(r.Numbers, Number{"session.timeout.ms", float64(session), "ms", from})
	}
	if haveBeat {
		r.Numbers = append(r.Numbers, Number{"heartbeat.interval.ms", float64(beat), "ms", beatFrom})
	}
	if haveSession && haveBeat {
		a.Arithmetic = fmt.Sprintf("a pause of %s is survived: %s - %s", secondsText(time.Duration(session-beat)*time.Millisecond),
			secondsText(time.Duration(session)*time.Millisecond), secondsText(time.Duration(beat)*time.Millisecond))
		if 3*beat > session {
			r.Advice = append(r.Advice, journal.Advice{Text: "heartbeat.interval.ms is more than a third of session.timeout.ms: two lost heartbeats cost the seat",
				Setting: "heartbeat.interval.ms", Value: formatInt(session / 3), Arithmetic: grouped(session) + " / 3 = " + grouped(session/3)})
		}
	}
	r.Advice = append(r.Advice, a)
	r.Cautions = append(r.Cautions, "max.poll.interval.ms and max.poll.records do nothing against a process that stands still")
}

func fact(id journal.FactID, basis journal.Confidence, text string) journal.Fact {
	return journal.Fact{ID: id, Text: text, Basis: basis}
}

func numFact(id journal.FactID, basis journal.Confidence, text string, value float64, unit string) journal.Fact {
	return journal.Fact{ID: id, Text: text, Basis: basis, Value: &value, Unit: unit}
}

// secondsText is "1.5 s", "750 s": a length as arithmetic likes it.
func secondsText(d time.Duration) string {
	return strconv.FormatFloat(math.Round(d.Seconds()*1000)/1000, 'f', -1, 64) + " s"
}

func millisText(d time.Duration) string {
	ms := float64(d.Microseconds()) / 1000
	if ms == math.Trunc(ms) {
		return grouped(int64(ms)) + " ms"
	}
	return strconv.FormatFloat(ms, 'f', -1, 64) + " ms"
}

// kindsOfStory are the lines worth showing.
var kindsOfStory = []Kind{Starting, Told, Rejoining, PollExpired, PolledAgain, Leaving, Unsubscribed, HeartbeatRefused, Silent, CommitRefused, JoinRefused,
	InstanceFenced, CoordinatorLost, PartitionsGrew, CallbackFailed, Revoked, Lost, Joined, Assigned, Closed}

// carrying is the lines that carry the story: the one the verdict rests on first of all, and no more than a screen holds.
func (t *teller) carrying(ep *episode, v verdict) []*Event {
	const most = 16
	var out []*Event
	rank := func(k Kind) int { return slices.Index([]Kind{Assigned, Joined, Starting, Rejoining, Revoked, Told}, k) }
	for _, e := range ep.events {
		if slices.Contains(kindsOfStory, e.Kind) {
			out = append(out, e)
		}
	}
	for drop := 0; len(out) > most && drop < 6; drop++ {
		out = slices.DeleteFunc(out, func(e *Event) bool { return e != v.key && rank(e.Kind) == drop })
	}
	if len(out) > most {
		i := max(0, min(slices.Index(out, v.key)-2, len(out)-most))
		out = out[i : i+most]
	}
	return out
}
