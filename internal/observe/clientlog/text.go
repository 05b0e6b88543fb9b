package clientlog

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/barnabas-mq/barnabas/internal/journal"
)

// Main is the rebalance to tell first: the latest that is more than a member's coming or going by intent, else the latest of all; -1 if there is
// none. A group's everyday life is in the table, and nobody reads a log for that.
func (r *Report) Main() int {
	for i := len(r.Stories) - 1; i >= 0; i-- {
		s := r.Stories[i]
		switch s.Cause {
		case journal.FirstStart, journal.ScaleUp, journal.GracefulClose, journal.RollingRestart, journal.CooperativeRound, journal.Unknown:
		default:
			if len(s.Related) > 0 { // a return; the departure tells more
				if j := slices.IndexFunc(r.Stories, func(o Rebalance) bool { return o.ID == s.Related[0] }); j >= 0 {
					return j
				}
			}
			return i
		}
	}
	return len(r.Stories) - 1
}

// Table is the rebalances, one per row: titles first. A column that no row has is left empty.
func (r *Report) Table() (titles []string, rows [][]string) {
	titles = []string{"ID", "TIME", "GROUP", "CAUSE", "WHAT", "BY", "SURE", ">GENERATION"}
	for _, s := range r.Stories {
		by, gen := "", ""
		if m := s.Trigger.Member; m != nil {
			by = cmp.Or(m.Client, m.Instance, m.ID)
		}
		if s.GenerationAfter >= 0 {
			gen = strconv.Itoa(int(s.GenerationAfter))
		}
		rows = append(rows, []string{s.ID, r.moment(s.Began), s.Group, string(s.Cause), s.Title, by, s.Sure, gen})
	}
	return titles, rows
}

// moment is a time as the logs have it: without a date if they have none.
func (r *Report) moment(t journal.Time) string {
	at := t.Instant().Time()
	switch {
	case int64(t) == 0:
		return ""
	case at.Year() < 1971:
		return at.Format("15:04:05.000")
	}
	return at.Format("2006-01-02 15:04:05.000")
}

// Lines tell one rebalance as text for a person. What stands in them may be anybody's: the caller escapes each line.
func (r *Report) Lines(i int) []string {
	s := r.Stories[i]
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	section := func(name string, lines []string) {
		if len(lines) == 0 {
			return
		}
		say("")
		say("%s", name)
		for _, l := range lines {
			out = append(out, "  "+l)
		}
	}
	head := s.Title
	if s.Cause.Known() {
		head += " (" + string(s.Cause) + ")"
	}
	if s.Kind == journal.Absorbed {
		head += ", and no rebalance of it"
	}
	say("%s: %s", head, s.Sure)
	if s.Or.Known() {
		say("it could also be: %s (%s)", s.Or.Title(), s.Or)
	}
	say("")
	out = append(out, s.Told...)

	var lines []string
	where, when, member := 0, 0, 0
	for _, l := range s.Lines {
		where, when, member = max(where, len(l.Where)), max(when, len(l.Time)), max(member, len(l.Member))
	}
	for _, l := range s.Lines {
		lines = append(lines, strings.TrimRight(fmt.Sprintf("%-*s  %-*s  %-*s  %s", min(where, 40), l.Where, when, l.Time, min(member, 30), l.Member, cut(l.Text, 160)), " "))
	}
	section("Lines", lines)
	lines = nil
	for _, f := range s.Evidence {
		if f.ID == journal.FactClaimed || f.ID == "held_all" {
			continue // told already
		}
		lines = append(lines, f.Text+" ["+string(f.Basis)+"]")
	}
	section("Facts", lines)
	lines = nil
	for _, n := range s.Numbers {
		lines = append(lines, fmt.Sprintf("%s = %s (%s)", n.Name, plainNumber(n), n.From))
	}
	section("Numbers", lines)
	section("What would prove it", bullets(s.Missing))
	lines = nil
	for _, a := range s.Advice {
		lines = append(lines, "- "+a.Text)
		if a.Setting != "" && a.Value != "" {
			lines = append(lines, "    "+a.Setting+" = "+a.Value)
		}
		if a.Arithmetic != "" {
			lines = append(lines, "    "+a.Arithmetic)
		}
		if len(a.Needs) > 0 {
			lines = append(lines, "    to compute it: "+strings.Join(a.Needs, ", "))
		}
	}
	section("Do", lines)
	section("Do not rely on", bullets(s.Cautions))
	if len(s.Related) > 0 {
		section("See also", s.Related)
	}
	return out
}

func bullets(list []string) []string {
	var out []string
	for _, s := range list {
		out = append(out, "- "+s)
	}
	return out
}

func plainNumber(n Number) string {
	v := strconv.FormatFloat(n.Value, 'f', -1, 64)
	if n.Value == float64(int64(n.Value)) {
		v = grouped(int64(n.Value))
	}
	if n.Unit == "ms" {
		return v + " ms"
	}
	return v
}
