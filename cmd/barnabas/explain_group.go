package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/barnabas-mq/barnabas/internal/journal"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/observe"
	"github.com/barnabas-mq/barnabas/internal/observe/history"
)

// explanation is what explain prints of a group with -o json.
type explanation struct {
	Group  string         `json:"group"`
	Source journal.Source `json:"source"` // journal, offsets or describe
	Since  string         `json:"since"`
	// Oldest is when the oldest record of the group that was read was written, "" for none.
	Oldest    string             `json:"oldest,omitempty"`
	Incidents []journal.Incident `json:"incidents"`
	Findings  []journal.Finding  `json:"findings"`
	Notes     []string           `json:"notes,omitempty"`
}

// explainGroup tells why a group of a cluster rebalanced.
func (a *app) explainGroup(ctx context.Context, group string, f explainFlags) error {
	if group == "" || len(group) > 1<<15-1 {
		return usage("the name of a group has 1 to 32767 bytes", "see the groups with `barnabas groups list`")
	}
	since, err := a.parseSince(f.since)
	if err != nil {
		return err
	}
	given, err := readClientConfig(f.clientConfig)
	if err != nil {
		return err
	}
	logs, err := readBrokerLogs(group, f.brokerLogs)
	if err != nil {
		return err
	}
	r, notes, err := a.readGroup(ctx, group, since, f.want())
	if err != nil {
		return err
	}
	if r == nil {
		// Nothing of the past may be read: only what happens from now on.
		if !f.watch && !a.outTTY {
			return failed("what happened to "+group+" before now cannot be told: "+strings.Join(notes, "; "), "give the principal the right to read "+
				kafka.OffsetsTopic+", or watch from now on with `barnabas explain "+group+" --watch`")
		}
		for _, n := range notes {
			fmt.Fprintf(a.err, "note: %s\n", printable(n))
		}
		return a.watchDescribe(ctx, group, f, given)
	}
	defer r.Close()
	e := explanation{Group: group, Source: r.Source, Since: since.UTC().Format(time.RFC3339), Notes: notes, Incidents: r.Incidents}
	if !r.Oldest.IsZero() {
		e.Oldest = r.Oldest.UTC().Format(time.RFC3339)
	}
	e.Notes = append(e.Notes, readingNotes(r)...)
	e.Notes = append(e.Notes, gapNotes(r.Incidents)...)
	if logs != nil {
		if r.Source == journal.FromJournal {
			e.Notes = append(e.Notes, "--broker-log is of no use here: the journal has the reasons")
		} else {
			found := logs.Apply(e.Incidents)
			e.Notes = append(e.Notes, fmt.Sprintf("the broker's log tells of %d of %d rebalances (%s lines, %s of them about the group)",
				found, len(e.Incidents), humanCount(int64(logs.Lines)), humanCount(int64(logs.Understood))))
		}
	}
	for i := range e.Incidents {
		f.give(&e.Incidents[i], given)
	}
	live, err := a.liveOwners(ctx, group)
	if err != nil { // what happened is told all the same
		e.Notes = append(e.Notes, "what the members do now cannot be told: "+a.explain(err).what)
	}
	e.Findings = journal.Detect(e.Incidents, journal.Window{Live: live, StuckAfter: stuckAfter})
	if f.id != "" {
		i := slices.IndexFunc(e.Incidents, func(inc journal.Incident) bool { return inc.ID == f.id })
		if i < 0 {
			return failed("no rebalance "+f.id+" of "+group+" since "+e.Since, "see the ids with `barnabas explain "+group+" -o json`, or look further back with --since")
		}
		e.Incidents, e.Findings = e.Incidents[i:i+1], nil
	}
	if len(e.Incidents) == 0 && !f.watch {
		if seen, err := a.describeOnce(ctx, group); err == nil && seen == nil {
			return noGroup(group)
		}
	}
	if f.applyTo != "" {
		if err := a.applyTo(ctx, f.applyTo, group, f, given, e.Incidents); err != nil {
			return err
		}
	}
	if e.Incidents == nil {
		e.Incidents = []journal.Incident{}
	}
	if e.Findings == nil {
		e.Findings = []journal.Finding{}
	}
	if !f.watch {
		return a.emit(e, func(w io.Writer) { a.drawExplanation(w, e, f) })
	}
	if a.output == "table" {
		if err := a.emit(e, func(w io.Writer) { a.drawExplanation(w, e, f) }); err != nil {
			return err
		}
	}
	return a.watchReading(ctx, r, group, f, given)
}

// readGroup finds the best source of a group's past: the journal of a Barnabas cluster, else the offsets topic. A nil reading means that neither
// may be read; the notes say why.
func (a *app) readGroup(ctx context.Context, group string, since time.Time, want observe.Want) (*observe.Reading, []string, error) {
	var notes []string
	r, err := observe.ReadJournal(ctx, a.client, group, since, want)
	switch {
	case err == nil:
		return r, nil, nil
	case errors.Is(err, observe.ErrNoTopic): // not a Barnabas cluster
	case errors.Is(err, observe.ErrNotAllowed):
		notes = append(notes, "the principal may not read "+kafka.RebalancesTopic+", the journal")
	default:
		return nil, nil, err
	}
	r, err = observe.ReadOffsets(ctx, a.client, group, since)
	switch {
	case err == nil:
		return r, notes, nil
	case errors.Is(err, observe.ErrNoTopic):
		return nil, nil, noGroup(group)
	case errors.Is(err, observe.ErrNotAllowed):
		return nil, append(notes, "the principal may not read "+kafka.OffsetsTopic), nil
	}
	return nil, nil, err
}

// stuckAfter is how long an owner may commit nothing while its lag grows; liveWindow is how far back its last commit is looked for.
const (
	stuckAfter = time.Minute
	liveWindow = 10 * time.Minute
)

// liveOwners is who owns what now, and how it gets on.
func (a *app) liveOwners(ctx context.Context, group string) ([]journal.LiveOwner, error) {
	now := a.now()
	commits, err := observe.Commits(ctx, a.client, group, now.Add(-liveWindow))
	if err != nil {
		return nil, err
	}
	cl, err := a.client(ctx)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	return observe.Owners(ctx, cl, group, stuckAfter, now, now.Add(-liveWindow), commits)
}

// wantMost is how many rebalances are read without --all: more than any detector needs, and less than a second's work however many there were.
const wantMost = 1000

func (f explainFlags) want() observe.Want {
	switch {
	case f.id != "":
		return observe.Want{ID: f.id}
	case f.all:
		return observe.Want{}
	}
	return observe.Want{Most: wantMost}
}

func readingNotes(r *observe.Reading) (notes []string) {
	if r.Source == journal.FromOffsets {
		notes = append(notes, "rebuilt from "+kafka.OffsetsTopic+": it tells what was before and after each rebalance, not why; the reasons are in the broker's log (--broker-log)")
	}
	if r.Unread > 0 {
		notes = append(notes, fmt.Sprintf("%s records could not be read: of a newer release, or damaged", humanCount(int64(r.Unread))))
	}
	if !r.Until.IsZero() && len(r.Incidents) >= wantMost {
		note := fmt.Sprintf("the newest %s rebalances were read, back to %s", humanCount(int64(len(r.Incidents))), r.Until.UTC().Format(time.RFC3339))
		if len(r.Incidents) == wantMost {
			note += "; --all reads all"
		}
		notes = append(notes, note)
	}
	if r.Dropped > 0 {
		notes = append(notes, fmt.Sprintf("the oldest %s rebalances are left out", humanCount(int64(r.Dropped))))
	}
	return notes
}

// gapNotes says what is missing in the journal, where something is.
func gapNotes(incidents []journal.Incident) (notes []string) {
	records, lost := journal.Gaps(incidents)
	if records > 0 {
		notes = append(notes, humanCount(records)+" records of this journal were lost: they could not be written, as the broker's log says; a rebalance may be missing here, or its end")
	}
	if lost > 0 {
		notes = append(notes, humanCount(lost)+" notes of the coordinator found no room in the journal: of rebalances at that time there may be no record")
	}
	return notes
}

// give adds what a person knows of the application to an incident, and lets the advice be computed anew.
func (f *explainFlags) give(inc *journal.Incident, config map[string]string) {
	add := func(id journal.FactID, text string, v float64, unit string) {
		inc.AddFact(journal.Fact{ID: id, Text: text, Basis: journal.Measured, Value: &v, Unit: unit})
	}
	if f.recordTime <= 0 && len(config) == 0 {
		return
	}
	if f.recordTime > 0 {
		add(journal.FactRecordTime, "given: "+journal.Span(f.recordTime)+" per record", float64(f.recordTime.Microseconds())/1000, "ms")
	}
	if n, err := parseMillisOrCount(config["max.poll.records"]); err == nil {
		add(journal.FactBatch, "given: max.poll.records is "+humanCount(n), float64(n), "records")
	}
	if n, err := parseMillisOrCount(config["heartbeat.interval.ms"]); err == nil {
		add(journal.FactHeartbeat, "given: heartbeat.interval.ms is "+humanCount(n), float64(n), "ms")
	}
	journal.Advise(inc)
}

// parseSince reads a length of time before now, 7d included, or a moment.
func (a *app) parseSince(s string) (time.Time, error) {
	bad := usage(fmt.Sprintf("--since %q is neither a length of time nor a moment", s), "such as 90m, 24h, 7d, 2026-01-31 or 2026-01-31T12:00:00Z")
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := parseMillisOrCount(days)
		if err != nil || n > 3650 {
			return time.Time{}, bad
		}
		return a.now().Add(-time.Duration(n) * 24 * time.Hour), nil
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return a.now().Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, time.UTC); err == nil {
			return t, nil
		}
	}
	return time.Time{}, bad
}

func readBrokerLogs(group string, files []string) (*history.BrokerLog, error) {
	var l *history.BrokerLog
	for _, file := range files {
		in, err := os.Open(file)
		if err != nil {
			return nil, wrap(err, "reading --broker-log")
		}
		if l == nil {
			l, err = history.ReadBrokerLog(group, in)
		} else {
			err = l.Read(in)
		}
		in.Close()
		if err != nil {
			return nil, wrap(err, "reading %s", file)
		}
	}
	return l, nil
}

// drawExplanation prints a table of what happened, what the history shows, and the story that matters.
func (a *app) drawExplanation(w io.Writer, e explanation, f explainFlags) {
	for _, n := range e.Notes {
		fmt.Fprintf(w, "note: %s\n", printable(n))
	}
	if len(e.Notes) > 0 {
		fmt.Fprintln(w)
	}
	if len(e.Incidents) == 0 {
		fmt.Fprintf(w, "No rebalance of %s since %s is on record.\n", printable(e.Group), e.Since)
		return
	}
	stories := e.Incidents[len(e.Incidents)-1:]
	if i := slices.IndexFunc(e.Incidents, func(inc journal.Incident) bool { return inc.ID == f.tellID }); i >= 0 {
		stories = e.Incidents[i : i+1]
	}
	if f.all {
		stories = e.Incidents
	}
	for i := range stories {
		if i > 0 {
			fmt.Fprintln(w)
		}
		a.tell(w, &stories[i])
	}
	for _, fd := range e.Findings {
		fmt.Fprintln(w)
		a.title(w, "%s (%s)", fd.Title, fd.Detector)
		fmt.Fprintf(w, "  %s\n", printable(fd.Text))
		for _, ad := range fd.Advice {
			fmt.Fprintf(w, "  do: %s\n", printable(ad.Text))
			if ad.Arithmetic != "" {
				fmt.Fprintf(w, "      %s\n", printable(ad.Arithmetic))
			}
		}
	}
	if len(e.Incidents) > 1 {
		fmt.Fprintln(w)
		const most = 30
		shown := e.Incidents
		if len(shown) > most && !f.all {
			fmt.Fprintf(w, "The last %d of %s; --all shows all.\n", most, humanCount(int64(len(shown))))
			shown = shown[len(shown)-most:]
		}
		t := newTable(journal.HistoryColumns...)
		for i := range shown {
			var cells []any
			for _, c := range shown[i].HistoryRow() {
				cells = append(cells, c)
			}
			t.row(cells...)
		}
		t.draw(w, a.paint)
	}
	if len(stories) < len(e.Incidents) {
		fmt.Fprintln(w, "\n--all tells the others, too; --id ID tells one.")
	}
}

// tell prints one story; every line of it is made printable.
func (a *app) tell(w io.Writer, inc *journal.Incident) {
	for i, line := range strings.Split(strings.TrimRight(journal.Story(inc), "\n"), "\n") {
		if i == 1 {
			a.title(w, "%s", line)
			continue
		}
		fmt.Fprintln(w, printable(line))
	}
}
