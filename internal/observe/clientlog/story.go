package clientlog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/barnabas-mq/barnabas/internal/journal"
)

// maxMembers is how many members a story lists.
const maxMembers = 1000

// incident is what the episode says in the form that all sources share. What a client's log cannot know stays unknown in it.
func (t *teller) incident(ep *episode, v verdict) journal.Incident {
	began, ended := ep.events[0], ep.events[len(ep.events)-1]
	t.told++
	inc := journal.Incident{
		Schema: journal.Schema, ID: fmt.Sprintf("log-%d", t.told), Rev: 1, Stage: journal.Closed, Kind: v.kind, Group: ep.group, Source: journal.FromClientLog,
		Began: journal.Time(began.moment.at), GenerationBefore: -1, GenerationAfter: -1, MembersBefore: -1, MembersAfter: -1, ProtocolType: "consumer",
	}
	if ended.moment.clock != noClock && began.moment.clock != noClock {
		end := journal.Time(ended.moment.at)
		took := journal.Millis(ended.moment.at.Since(began.moment.at))
		inc.Ended, inc.Took = &end, &took
	}
	if g, ok := t.lastGen[ep.group]; ok {
		inc.GenerationBefore = g
	}
	for _, e := range ep.events {
		if (e.Kind == Joined || e.Kind == Synced) && e.Generation >= 0 {
			inc.GenerationAfter = max(inc.GenerationAfter, e.Generation)
		}
	}
	if inc.GenerationAfter >= 0 {
		t.lastGen[ep.group] = inc.GenerationAfter
	}
	inc.Trigger = journal.Trigger{At: journal.Time(v.key.moment.at), Kind: journal.TriggerKind(v.key.Kind), Cause: v.cause, Claimed: v.key.Reason}
	if v.by != nil {
		inc.Trigger.Member = t.who(v.by)
	}
	for _, m := range ep.members[:min(len(ep.members), maxMembers)] {
		p := ep.parts[m]
		out := journal.Member{Who: *t.who(m), Change: journal.Stayed}
		starts := len(ep.of(m, Starting)) > 0
		switch {
		case p.departed && starts:
			out.Change = journal.Passed
		case p.departed:
			out.Change = journal.Gone
		case starts || ep.back != nil && ep.back.member == m:
			out.Change = journal.Joined
		}
		for _, e := range ep.of(m, Revoked, Lost, CommitRefused) {
			if e.Count >= 0 && out.Had == nil && len(e.Partitions) > 0 {
				had := e.Count
				out.Had, out.Lost = &had, e.Partitions
			}
		}
		if a := ep.of(m, Assigned); len(a) == 1 && a[0].Count >= 0 && len(a[0].Partitions) > 0 {
			out.Gained = a[0].Partitions
			if m.client == Java && slices.Contains([]string{"range", "roundrobin", "sticky"}, protocolIn(ep, m)) { // eager: what is added is all it has
				has := a[0].Count
				out.Has, out.Lost, out.Kept, out.Gained = &has, nil, nil, a[0].Partitions
			}
		}
		inc.Members = append(inc.Members, out)
	}
	return inc
}

func protocolIn(ep *episode, m *member) string {
	for _, e := range ep.of(m, Joined, Synced) {
		if p := between(e.Text, "protocol='", "'"); p != "" {
			return p
		}
	}
	return ""
}

func (t *teller) who(m *member) *journal.Who {
	w := &journal.Who{Client: m.clientID, Instance: m.instance, Software: string(m.client)}
	if len(m.ids) > 0 {
		w.ID = m.ids[len(m.ids)-1]
	}
	return w
}

// facts puts the evidence in, the line that carries the verdict first.
func (t *teller) facts(ep *episode, v verdict, r *Rebalance) {
	at := journal.Time(v.key.moment.at)
	f := fact(journal.FactClaimed, journal.Measured, t.log.where(v.key)+" says: "+v.key.Text)
	if v.key.moment.clock != noClock {
		f.At = &at
	}
	r.Evidence = append(r.Evidence, f)
	if v.key.Limit >= 0 {
		r.Evidence = append(r.Evidence, numFact(journal.FactRebalanceTimeout, journal.Measured, "the limit was "+grouped(v.key.Limit)+" ms", float64(v.key.Limit), "ms"))
	}
	if v.key.Over >= 0 && v.key.Kind == Silent {
		r.Evidence = append(r.Evidence, numFact(journal.FactSilence, journal.Measured, "no heartbeat was answered for "+grouped(v.key.Over)+" ms", float64(v.key.Over), "ms"))
	}
	if text := t.heldAll(ep, v); text != "" {
		r.Evidence = append(r.Evidence, fact("held_all", journal.Inferred, text))
	}
}

// heldAll: the member held every partition that the logs name, numbered without a gap from 0. Then nobody else had any of that topic.
func (t *teller) heldAll(ep *episode, v verdict) string {
	if v.by == nil || !slices.Contains([]journal.Cause{journal.PollInterval, journal.SessionTimeout, journal.LateToRejoin}, v.cause) {
		return ""
	}
	if len(t.groups[v.by.group]) > 1 {
		return "" // the logs tell more than that
	}
	for _, e := range ep.of(v.by, Revoked, Lost, CommitRefused) {
		if len(e.Partitions) != 1 || len(e.Partitions[0].Partitions) < 2 {
			continue
		}
		topic, ps := e.Partitions[0].Topic, e.Partitions[0].Partitions
		if int(ps[len(ps)-1]) != len(ps)-1 {
			continue
		}
		if t.partitions[topic] > ps[len(ps)-1] {
			return ""
		}
		return fmt.Sprintf("%s held all %s that the log names, %s, so any other member of the group had none of %s: it was out already, or idle",
			v.by.name(), strings.TrimPrefix(countOf(len(ps), "partition"), "one "), partitionText(e.Partitions), topic)
	}
	return ""
}

// sentences tell what happened, each from a line.
func (t *teller) sentences(ep *episode, v verdict) []string {
	var out []string
	for i, w := range v.why {
		if i == 0 && v.key.moment.clock != noClock {
			w = "At " + clockText(v.key.moment) + " " + w
		}
		out = append(out, upperFirst(w)+".")
	}
	if v.by != nil {
		for _, e := range ep.of(v.by, Lost, Revoked, CommitRefused) {
			if e.Count > 0 && len(e.Partitions) > 0 {
				verb := "gave up"
				if e.Kind == Lost {
					verb = "lost"
				}
				out = append(out, fmt.Sprintf("%s %s %s: %s.", upperFirst(v.by.name()), verb, countOf(e.Count, "partition"), partitionText(e.Partitions)))
				break
			}
		}
	}
	if text := t.heldAll(ep, v); text != "" {
		out = append(out, upperFirst(text)+".")
	}
	var told []string
	for _, m := range ep.members {
		if m != v.by && len(ep.of(m, Told)) > 0 {
			told = append(told, m.name())
		}
	}
	if len(told) > 0 && v.by != nil {
		out = append(out, "It reached "+joined(told)+", too.")
	}
	for _, m := range ep.members {
		for _, e := range ep.of(m, Assigned) {
			if m != v.by && e.Count > 0 && len(e.Partitions) > 0 && e.Client != Sarama {
				out = append(out, fmt.Sprintf("%s was given %s%s.", upperFirst(m.name()), partitionText(e.Partitions), at(e)))
			}
		}
	}
	return out
}

func at(e *Event) string {
	if e.moment.clock == noClock {
		return ""
	}
	return " at " + clockText(e.moment)
}

// upperFirst begins a sentence with a capital, unless it begins with a name.
func upperFirst(s string) string {
	w, _, _ := strings.Cut(s, " ")
	if slices.Contains([]string{"the", "its", "a", "more", "nobody", "whether", "who", "that"}, w) {
		return strings.ToUpper(s[:1]) + s[1:]
	}
	return s
}

func joined(names []string) string {
	if len(names) > 5 {
		names = append(names[:5:5], fmt.Sprintf("%d more", len(names)-5))
	}
	if len(names) == 1 {
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}
