package console

import (
	"fmt"
	"strings"
	"time"

	"github.com/barnabas-mq/barnabas/internal/journal"
)

// words is the console in one language. The English text is the key; chinese has the other. Kafka's own words (states, settings, protocol names)
// stay as they are in both.
type words struct{ lang string }

var languages = []string{"en", "zh"}

func wordsFor(lang string) *words {
	if lang == "zh" {
		return &words{"zh"}
	}
	return &words{"en"}
}

func (w *words) get(key string) string {
	if w.lang == "zh" {
		if s, ok := chinese[key]; ok {
			return s
		}
	}
	return key
}

func (w *words) getf(format string, args ...any) string { return fmt.Sprintf(w.get(format), args...) }

// pick reads Accept-Language: the first of ours by weight. "" for none.
func pick(accept string) string {
	best, weight := "", 0.0
	for i, part := range strings.Split(accept, ",") {
		if i > 32 {
			break
		}
		tag, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		q := 1.0
		if v, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			if _, err := fmt.Sscanf(v, "%g", &q); err != nil {
				q = 0
			}
		}
		primary, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-")
		for _, l := range languages {
			if primary == l && q > weight {
				best, weight = l, q
			}
		}
	}
	return best
}

// cause names a cause in a few words.
func (w *words) cause(c journal.Cause) string {
	if w.lang == "zh" {
		if s, ok := chineseCauses[c]; ok {
			return s
		}
	}
	return c.Title()
}

// flags is what a flag may say, the longest first.
func (w *words) flags(in *journal.Incident) []string {
	code := string(in.Cause)
	if code == "" {
		code = "?"
	}
	who := ""
	if m := in.Trigger.Member; m != nil {
		who = m.Client
		if m.Instance != "" {
			who = m.Instance
		}
		who = " · " + shorten(shown(who), 11, 110)
	}
	long := code + " " + w.cause(in.Cause)
	if in.Sub != "" {
		long += " (" + w.get(in.Sub) + ")"
	}
	return []string{long + who, code + who, code}
}

// sentence is an incident in a line.
func (w *words) sentence(in *journal.Incident) string {
	head := w.cause(in.Cause)
	if in.Cause != journal.Unknown {
		head = string(in.Cause) + " " + head
	}
	parts := []string{head}
	if in.Trigger.Member != nil {
		parts = append(parts, w.getf("by %s", shown(in.Trigger.Member.Name())))
	}
	switch {
	case in.Took != nil:
		parts = append(parts, w.getf("took %s", in.Took))
	case in.Kind == journal.Rebalance:
		parts = append(parts, w.get("under way"))
	}
	if in.Moves != nil && in.Moves.Before > 0 && in.Kind == journal.Rebalance {
		parts = append(parts, w.getf("%d of %d partitions moved", in.Moves.Moved, max(in.Moves.Before, in.Moves.After)))
	}
	return clock(began(in)) + " · " + strings.Join(parts, w.get(", "))
}

// happened says what a trigger is; a kind that we do not know says itself.
func (w *words) happened(k journal.TriggerKind) string {
	if s, ok := triggers[k]; ok {
		return w.get(s)
	}
	return spelled(string(k), nameMax)
}

var triggers = map[journal.TriggerKind]string{
	journal.MemberJoined: "a member joined", journal.MemberLeft: "a member left", journal.MemberRemoved: "a member was removed", journal.SessionExpired: "a member's session ended",
	journal.JoinExpired: "a member had not rejoined in time", journal.SyncExpired: "an assignment was not asked for in time", journal.LeaderRejoined: "the leader joined again",
	journal.MemberChanged: "a member joined with something else than before", journal.StaticReturn: "a static member came back", journal.Loaded: "the coordinator read the group from its log",
	journal.LimitReached: "a limit was reached", journal.RequestRefused: "a request was refused", journal.OffsetsExpired: "offsets expired", journal.GroupDeleted: "the group was deleted",
	journal.StateSeen: "another state was seen",
}

func (w *words) phase(p journal.PhaseName) string { return w.get(string(p)) }

func (w *words) laneLabel(l *lane) string {
	switch {
	case l.members > 1 && l.who.Client == "":
		return w.getf("%d other members", l.members)
	case l.members > 1:
		return fmt.Sprintf("%s ×%d", shown(l.who.Client), l.members)
	}
	return shown(l.who.Name())
}

func (w *words) laneTitle(l *lane) string {
	s := w.laneLabel(l)
	if l.members <= 1 && l.who.ID != "" {
		s += " · " + shown(l.who.ID)
		if l.who.Software != "" {
			s += " · " + shown(l.who.Software)
		}
	}
	return s
}

func (w *words) ago(d time.Duration) string {
	n, unit := ago(d)
	key := "%d " + unit + " ago"
	return w.getf(key, n)
}
