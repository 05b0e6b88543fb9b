package history

import (
	"fmt"
	"strings"
	"time"

	"github.com/barnabas-mq/barnabas/internal/journal"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// departed weighs what is known of the members that went. A record says that they are gone and not why. One thing tells: who committed less
// than a session before the rebalance ended cannot have run out of its session, so it left, or was taken out. All else stays open.
func (b *Builder) departed(inc *journal.Incident, came, went []journal.Member, at vtime.Instant) {
	m := went[0]
	for _, w := range went { // the one that tells most: with partitions
		if w.Had != nil && *w.Had > 0 {
			m = w
			break
		}
	}
	inc.Trigger.Member = whoOf(m)
	n := float64(len(went))
	f := fact("gone", journal.Measured, m.ID, fmt.Sprintf("%s was in generation %d and is not in generation %d", m.Name(), inc.GenerationBefore, inc.GenerationAfter))
	f.Value, f.Unit = &n, "members"
	inc.Evidence = append(inc.Evidence, f)
	for _, w := range went {
		if w.SessionTimeout != nil {
			inc.Evidence = append(inc.Evidence, lengthFact(journal.FactSession, w.ID, "its session timeout is "+w.SessionTimeout.String(), w.SessionTimeout.D()))
		}
		if w.RebalanceTimeout != nil {
			inc.Evidence = append(inc.Evidence, lengthFact(journal.FactRebalanceTimeout, w.ID, "its rebalance timeout is "+w.RebalanceTimeout.String(), w.RebalanceTimeout.D()))
		}
	}
	last, ok := b.lastCommit(m)
	same := func(x journal.Member) bool { return x.Client == m.Client && x.Host == m.Host && m.Client != "" }
	var back *journal.Member
	for i := range came {
		if same(came[i]) {
			back = &came[i]
			break
		}
	}
	if back != nil {
		inc.Evidence = append(inc.Evidence, fact(journal.FactCameBack, journal.Inferred, m.ID, "a client of the same client id and host joined in the same rebalance, as "+back.ID))
	}
	if !ok {
		inc.Evidence = append(inc.Evidence, fact("never_committed", journal.Measured, m.ID, "nothing was committed for its partitions while it had them, as far as the records go"))
		return
	}
	silence := at.Since(last)
	inc.Evidence = append(inc.Evidence, lengthFact(journal.FactCommitSilence, m.ID,
		"the last commit for one of its partitions was written "+journal.Span(silence)+" before the rebalance ended", silence))
	// Somebody who joined in the same rebalance may have set it off, and then who is gone may just not have come back in time. The same goes for
	// partitions that are new: the leader joined for those.
	if m.SessionTimeout != nil && silence < m.SessionTimeout.D() && len(came) == 0 && len(newPartitions(inc)) == 0 {
		inc.Trigger.Kind = journal.MemberLeft
		inc.Evidence = append(inc.Evidence, fact("left", journal.Inferred, m.ID, "that is less than its session, so it did not run out of it: it left, or was taken out"))
	}
}

// lastCommit is when the group committed one of the member's partitions last.
func (b *Builder) lastCommit(m journal.Member) (at vtime.Instant, ok bool) {
	for _, list := range [][]journal.TopicPartitions{m.Kept, m.Lost} {
		for _, tp := range list {
			for _, p := range tp.Partitions {
				if c, known := b.commits[kafka.TopicPartition{Topic: tp.Topic, Partition: p}]; known && c.at > at {
					at, ok = c.at, true
				}
			}
		}
	}
	return at, ok
}

// arrived: members came and nobody went. One whose client went a while ago is back.
func (b *Builder) arrived(inc *journal.Incident, came []journal.Member, at vtime.Instant) {
	m := came[0]
	inc.Trigger.Member = whoOf(m)
	for i := len(b.gone) - 1; i >= 0; i-- {
		g := b.gone[i]
		if at.Since(g.at) > returnRemembered || g.incident >= len(b.incidents) {
			break
		}
		for _, c := range came {
			if g.who.Client == "" || g.who.Client != c.Client || g.who.Host != c.Host || g.who.Instance != c.Instance {
				continue
			}
			b.returned(inc, c, g, at)
			return
		}
	}
	inc.Trigger.Kind = journal.MemberJoined
	inc.Evidence = append(inc.Evidence, fact("came", journal.Measured, m.ID, fmt.Sprintf("%s is in generation %d and was not in generation %d", m.Name(), inc.GenerationAfter, inc.GenerationBefore)))
}

// returned: a client that went came back under a new id. What that was depends on why it went, which is known or not.
func (b *Builder) returned(inc *journal.Incident, c journal.Member, g departure, at vtime.Instant) {
	inc.Trigger.Member = whoOf(c)
	away := at.Since(g.at)
	f := lengthFact(journal.FactReturns, c.ID, c.Name()+" is back: a client of the same client id and host had gone "+journal.Span(away)+" before", away)
	f.Basis = journal.Inferred
	then := &b.incidents[g.incident]
	inc.Related = append(inc.Related, then.ID)
	then.AddFact(lengthFact(journal.FactCameBack, g.who.ID, "a client of the same client id and host came back "+journal.Span(away)+" later, as "+c.ID, away))
	then.Rev, then.Stage = then.Rev+1, journal.Amended
	then.Related = append(then.Related, inc.ID)
	openReturn(then)
	b.verdict(then)
	// Why it went is not known, so what its return means is not known either: a restart, a batch that had taken too long, a pause. A broker's log
	// may tell (Apply).
	inc.Evidence = append(inc.Evidence, f)
}

// openReturn takes back a verdict of "closed" on a member that came back and whose client gave no reason: a restart, an application that
// unsubscribed, and a librdkafka whose application did not poll all look the same.
func openReturn(inc *journal.Incident) {
	if inc.Trigger.Kind == journal.MemberLeft && inc.Trigger.Claimed == "" {
		inc.Trigger.Kind = journal.StateSeen
	}
}

func fact(id journal.FactID, basis journal.Confidence, member, text string) journal.Fact {
	return journal.Fact{ID: id, Text: text, Basis: basis, Member: member}
}

func lengthFact(id journal.FactID, member, text string, d time.Duration) journal.Fact {
	ms := float64(d.Microseconds()) / 1000
	return journal.Fact{ID: id, Text: text, Basis: journal.Measured, Member: member, Value: &ms, Unit: "ms"}
}

func whoOf(m journal.Member) *journal.Who {
	w := m.Who
	return &w
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func words(list []string) string {
	if len(list) > 5 {
		return strings.Join(list[:5], ", ") + fmt.Sprintf(" and %d more", len(list)-5)
	}
	return strings.Join(list, ", ")
}

func compareStrings(a, b string) int { return strings.Compare(a, b) }
