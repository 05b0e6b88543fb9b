package console

import (
	"time"

	"github.com/barnabas-mq/barnabas/internal/journal"
)

// What templates ask of their page beside its words.

// With is the page around another body, for templates within templates.
func (p *page) With(body any) *page {
	c := *p
	c.Body = body
	return &c
}

// CauseName names a cause in a few words.
func (p *page) CauseName(c journal.Cause) string { return p.cause(c) }

// Ago is how long ago something was.
func (p *page) Ago(t time.Time) string { return p.ago(p.Now.Sub(t)) }

// MovedOf is how many partitions moved, of how many.
func (p *page) MovedOf(m *journal.Moves) string {
	return p.getf("%d of %d partitions moved", m.Moved, max(m.Before, m.After))
}

// Around is the link to the timeline at an incident.
func (p *page) Around(in journal.Incident) string { return around(&in, p.Now) }

// Story is an incident in sentences, in the reader's language.
func (p *page) Story(v any) []said {
	in := incidentOf(v)
	out := []said{p.Say(in.Headline())}
	if s := in.Cause.Info().Meaning; p.lang == "en" && s != "" && in.Cause != journal.Unknown {
		out = append(out, said{"en", s})
	}
	if p.lang != "en" {
		out = append(out, said{p.lang, p.sentence(in)})
	}
	return out
}

func incidentOf(v any) *journal.Incident {
	switch in := v.(type) {
	case *journal.Incident:
		return in
	case journal.Incident:
		return &in
	}
	panic("not an incident")
}

// Chain is what happened in an incident, the trigger first.
func (p *page) Chain(in *journal.Incident) []journal.Trigger {
	return append([]journal.Trigger{in.Trigger}, in.Chain[:min(len(in.Chain), tableRowsMax)]...)
}

// Happened says what a trigger is.
func (p *page) Happened(k journal.TriggerKind) string { return p.happened(k) }

// NameIn is a member of an incident as its other members cannot be called: its name, and the end of its id.
func (p *page) NameIn(in *journal.Incident, id string) string {
	if id == "" {
		return p.get("nobody")
	}
	for i := range in.Members {
		if m := &in.Members[i]; m.ID == id && m.Name() != id {
			if m.Instance != "" {
				return shown(m.Name())
			}
			return shown(m.Name()) + " …" + shown(id[max(0, len(id)-4):])
		}
	}
	return shown(id)
}

// phaseText is a phase as a bar: its part of 600 pixels.
type phaseText struct {
	X, W         float64
	Class, Title string
}

// PhaseBar is the phases of an incident side by side; those that go on are left out.
func (p *page) PhaseBar(list []journal.Phase) (out []phaseText) {
	if len(list) > 64 {
		list = list[:64]
	}
	var sum time.Duration
	for _, ph := range list {
		if ph.Took != nil {
			sum += ph.Took.D()
		}
	}
	if sum <= 0 {
		return nil
	}
	x, round := 0.0, 1
	for _, ph := range list {
		if ph.Took == nil {
			continue
		}
		begins := ""
		if ph.Round > round {
			round = ph.Round
			begins = p.getf("round %d", round) + ": "
		}
		t := phaseText{X: x, W: 600 * float64(ph.Took.D()) / float64(sum), Class: phaseClass(ph.Name), Title: begins + p.phase(ph.Name) + " " + ph.Took.String()}
		if ph.Last != nil && ph.Last.Name() != "" {
			t.Title += " · " + shown(ph.Last.Name())
		}
		if ph.Expired {
			t.Title += " · " + p.get("ended by timeout")
		}
		x += t.W
		out = append(out, t)
	}
	return out
}

// First is the number of the first row shown, counted from 1.
func (p pager) First() int { return min(p.From+1, p.To) }

// HasAdvice reports whether there is anything to advise.
func (b groupBody) HasAdvice() bool { return len(b.Advice)+len(b.Findings) > 0 }

// ShownMembers and ShownPartitions are what one page holds.
func (b groupBody) ShownMembers() []Member {
	return b.MemberList[:min(len(b.MemberList), tableRowsMax)]
}

// ShownPartitions is the partitions that one page holds.
func (b groupBody) ShownPartitions() []PartitionLag {
	return b.Partitions[:min(len(b.Partitions), tableRowsMax)]
}
