// Package consoletest is a broker that is made up: groups with members that come and go, incidents that follow from that, topics, names that
// nobody wants. Tests of the console and its browser test look at it; it is never part of a broker. The same seed gives the same history.
package consoletest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/barnabas-mq/barnabas/internal/console"
	"github.com/barnabas-mq/barnabas/internal/journal"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// Now is when the histories end.
var Now = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

// Source is a made-up broker; it is safe for concurrent use.
type Source struct {
	mu     sync.Mutex
	now    time.Time
	groups map[string]*Group
	topics []console.Topic
}

// New is a broker without groups whose present is Now.
func New() *Source { return &Source{now: Now, groups: map[string]*Group{}} }

// Group is a group under construction: change it by Rebalance and Absorb, in order of time.
type Group struct {
	Name        string
	Cooperative bool
	Protocol    string
	Topics      map[string]int // partitions by topic
	generation  int32
	members     []*member
	incidents   []journal.Incident
	Lag         int64
	Findings    []journal.Finding
	partitions  [][2]any
	Silent      bool // members are described without their partitions, as in the middle of a rebalance
}

type member struct {
	who   journal.Who
	owned map[[2]any]bool
}

// Add adds a group; it may be changed until the first question.
func (s *Source) Add(name string, topics map[string]int) *Group {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := &Group{Name: name, Topics: topics, Protocol: "range"}
	s.groups[name] = g
	return g
}

// AddTopic adds a topic.
func (s *Source) AddTopic(t console.Topic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.topics = append(s.topics, t)
	slices.SortFunc(s.topics, func(a, b console.Topic) int { return cmp.Compare(a.Name, b.Name) })
}

// Step is one rebalance to be made.
type Step struct {
	At    time.Duration // before the present of New
	Took  time.Duration
	Cause journal.Cause
	Sub   string
	Add   []journal.Who
	// Remove names members by their id.
	Remove     []string
	Who        *journal.Who // the trigger, when it is neither added nor removed
	Claimed    string
	Measured   string
	Confidence journal.Confidence
	Evidence   []journal.Fact
	Advice     []journal.Advice
	Stage      journal.Stage // "" is Closed
	Shares     [4]float64    // of noticing, drain, assign, sync in Took
}

func at(t time.Time) journal.Time          { return journal.Time(vtime.FromTime(t)) }
func span(d time.Duration) *journal.Millis { m := journal.Millis(d); return &m }

// Rebalance lets members come and go and shares the partitions anew, as evenly as a sticky assignor would.
func (g *Group) Rebalance(s Step) *journal.Incident {
	began := Now.Add(-s.At)
	in := journal.Incident{Schema: journal.Schema, Rev: 3, Stage: journal.Closed, Kind: journal.Rebalance, Group: g.Name, Source: journal.FromJournal,
		Began: at(began), StateBefore: "Stable", StateAfter: "Stable", GenerationBefore: g.generation, GenerationAfter: g.generation + 1, Rounds: 1,
		ProtocolType: "consumer", Protocol: g.Protocol, Cooperative: g.Cooperative, MembersBefore: len(g.members)}
	in.ID = fmt.Sprintf("%s-g%d", began.Format("20060102T150405.000"), g.generation)
	g.generation++
	if s.Stage != "" {
		in.Stage = s.Stage
	}
	in.Verdict = journal.Verdict{Cause: s.Cause, Sub: s.Sub, Title: s.Cause.Title(), Confidence: cmp.Or(s.Confidence, journal.Measured), Evidence: s.Evidence}
	in.Advice = s.Advice
	before := map[string]map[[2]any]bool{}
	var everybody []journal.Member
	for _, m := range g.members {
		had := map[[2]any]bool{}
		for p := range m.owned {
			had[p] = true
		}
		before[m.who.ID] = had
		c := journal.Stayed
		if slices.Contains(s.Remove, m.who.ID) {
			c = journal.Gone
		}
		everybody = append(everybody, journal.Member{Who: m.who, Change: c})
	}
	g.members = slices.DeleteFunc(g.members, func(m *member) bool { return slices.Contains(s.Remove, m.who.ID) })
	for _, w := range s.Add {
		g.members = append(g.members, &member{who: w, owned: map[[2]any]bool{}})
		everybody = append(everybody, journal.Member{Who: w, Change: journal.Joined})
	}
	moved, lost := g.share(before)
	in.MembersAfter = len(g.members)
	in.Trigger = journal.Trigger{At: in.Began, Kind: journal.MemberJoined, Cause: s.Cause, Member: s.Who, Claimed: s.Claimed, Measured: s.Measured}
	switch {
	case len(s.Add) > 0 && s.Who == nil:
		in.Trigger.Member = &s.Add[0]
	case len(s.Remove) > 0 && s.Who == nil:
		in.Trigger.Kind = journal.SessionExpired
		if s.Claimed != "" {
			in.Trigger.Kind = journal.MemberLeft
		}
		for i := range everybody {
			if everybody[i].ID == s.Remove[0] {
				in.Trigger.Member = &everybody[i].Who
			}
		}
	}
	g.phases(&in, s, began, everybody)
	for i := range everybody {
		g.account(&in, &everybody[i], before, began, s.Took, i, len(everybody))
	}
	in.Members = everybody
	total := len(g.all())
	in.Moves = &journal.Moves{Before: total, After: total, Moved: moved, Kept: total - moved - lost, Paused: total}
	if in.MembersBefore == 0 {
		in.Moves.Before, in.Moves.Gained, in.Moves.Kept, in.StateBefore = 0, total, 0, "Empty"
	}
	if len(g.members) == 0 {
		in.StateAfter = "Empty"
	}
	if in.Stage.Over() {
		in.Ended, in.Took = new(journal.Time), span(s.Took)
		*in.Ended = at(began.Add(s.Took))
		dup := int64(moved) * 37
		in.Cost = &journal.Cost{StallMax: span(s.Took + 120*time.Millisecond), Stalled: total, StallBasis: journal.Inferred, Uncommitted: &dup, UncommittedBasis: journal.Measured}
	} else {
		in.StateAfter, in.GenerationAfter = "", -1
	}
	g.incidents = append(g.incidents, in)
	return &g.incidents[len(g.incidents)-1]
}

// Absorb adds something that cost no rebalance.
func (g *Group) Absorb(before time.Duration, c journal.Cause, kind journal.Kind, who journal.Who) {
	began := Now.Add(-before)
	e := at(began)
	g.incidents = append(g.incidents, journal.Incident{Schema: journal.Schema, ID: fmt.Sprintf("%s-g%d", began.Format("20060102T150405.000"), g.generation), Rev: 1,
		Stage: journal.Closed, Kind: kind, Group: g.Name, Source: journal.FromJournal, Began: e, Ended: &e, GenerationBefore: g.generation, GenerationAfter: g.generation,
		Verdict: journal.Verdict{Cause: c, Title: c.Title(), Confidence: journal.Measured}, Trigger: journal.Trigger{At: e, Kind: journal.StaticReturn, Cause: c, Member: &who},
		MembersBefore: len(g.members), MembersAfter: len(g.members)})
}

func (g *Group) all() (out [][2]any) {
	if g.partitions != nil {
		return g.partitions
	}
	defer func() { g.partitions = out }()
	var topics []string
	for t := range g.Topics { // any order: sorted below
		topics = append(topics, t)
	}
	slices.Sort(topics)
	for _, t := range topics {
		for p := range g.Topics[t] {
			out = append(out, [2]any{t, int32(p)})
		}
	}
	return out
}

// share moves as few partitions as it can: whoever has too many gives to whoever has least.
func (g *Group) share(before map[string]map[[2]any]bool) (moved, lost int) {
	owner := map[[2]any]string{}
	for id, had := range before { // any order: partitions have one owner
		for p := range had {
			owner[p] = id
		}
	}
	if len(g.members) == 0 {
		return 0, len(owner)
	}
	all := g.all()
	most := (len(all) + len(g.members) - 1) / len(g.members)
	var free [][2]any
	for _, p := range all {
		i := slices.IndexFunc(g.members, func(m *member) bool { return m.owned[p] })
		if i >= 0 && len(g.members[i].owned) > most {
			delete(g.members[i].owned, p)
			i = -1
		}
		if i < 0 {
			free = append(free, p)
		}
	}
	for _, p := range free {
		m := slices.MinFunc(g.members, func(a, b *member) int { return cmp.Compare(len(a.owned), len(b.owned)) })
		m.owned[p] = true
		if was := owner[p]; was != "" && was != m.who.ID {
			moved++
		}
	}
	return moved, 0
}

func (g *Group) phases(in *journal.Incident, s Step, began time.Time, everybody []journal.Member) {
	shares := s.Shares
	if shares == [4]float64{} {
		shares = [4]float64{.45, .35, .05, .15}
	}
	names := []journal.PhaseName{journal.Noticing, journal.Drain, journal.Assign, journal.Sync}
	if in.MembersBefore == 0 {
		names[0] = journal.Gathering
	}
	start := began
	for i, n := range names {
		took := time.Duration(float64(s.Took) * shares[i])
		e := at(start.Add(took))
		ph := journal.Phase{Name: n, Round: 1, Start: at(start), End: &e, Took: span(took)}
		if len(everybody) > 0 {
			ph.Last = &everybody[(int(in.GenerationBefore)+i)%len(everybody)].Who
		}
		if !in.Stage.Over() && i >= 1 {
			ph.End, ph.Took = nil, nil
			in.Phases = append(in.Phases, ph)
			return
		}
		in.Phases = append(in.Phases, ph)
		start = start.Add(took)
	}
}

// account fills in what became of a member.
func (g *Group) account(in *journal.Incident, m *journal.Member, before map[string]map[[2]any]bool, began time.Time, took time.Duration, i, of int) {
	has := map[[2]any]bool{}
	for _, x := range g.members {
		if x.who.ID == m.ID {
			has = x.owned
		}
	}
	had := before[m.ID]
	var kept, gained, gone [][2]any
	for _, p := range g.all() {
		switch {
		case had[p] && has[p]:
			kept = append(kept, p)
		case had[p]:
			gone = append(gone, p)
		case has[p]:
			gained = append(gained, p)
		}
	}
	m.Kept, m.Gained, m.Lost = lists(kept), lists(gained), lists(gone)
	nHad, nHas := len(had), len(has)
	m.Had, m.Has = &nHad, &nHas
	if m.Change == journal.Gone {
		return
	}
	part := func(share float64) *journal.Time {
		t := at(began.Add(time.Duration(float64(took) * share)))
		return &t
	}
	x := float64(i+1) / float64(of)
	if m.Change == journal.Stayed {
		m.Told = part(.45 * x)
	}
	m.Arrived, m.Synced = part(.45*x+.3*x*x), part(.86+.13*x)
	m.SessionTimeout, m.RebalanceTimeout = span(45*time.Second), span(5*time.Minute)
	if i == 0 {
		m.Leader = true
		in.Leader = &m.Who
	}
}

func lists(ps [][2]any) (out []journal.TopicPartitions) {
	for _, p := range ps {
		if n := len(out); n == 0 || out[n-1].Topic != p[0].(string) {
			out = append(out, journal.TopicPartitions{Topic: p[0].(string)})
		}
		out[len(out)-1].Partitions = append(out[len(out)-1].Partitions, p[1].(int32))
	}
	return out
}

// Groups implements console.Source.
func (s *Source) Groups(context.Context) ([]console.GroupRow, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]console.GroupRow, 0, len(s.groups))
	for _, g := range s.groups { // any order: sorted below
		out = append(out, g.row(s.now))
	}
	slices.SortFunc(out, func(a, b console.GroupRow) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func (g *Group) row(now time.Time) console.GroupRow {
	r := console.GroupRow{Name: g.Name, State: "Empty", Type: "classic", ProtocolType: "consumer", Members: len(g.members), Lag: &g.Lag}
	if len(g.members) > 0 {
		r.State = "Stable"
	}
	u := console.Unstable(g.incidents, now.Add(-console.Window), now)
	r.Unstable = &u
	for i := range g.incidents {
		in := &g.incidents[i]
		if in.Kind == journal.Rebalance && in.Began.Instant().Time().After(now.Add(-console.Window)) {
			r.Rebalances++
		}
		r.LastCause, r.LastAt = in.Cause, in.Began.Instant().Time()
		if !in.Stage.Over() {
			r.State = "PreparingRebalance"
		}
	}
	return r
}

// Group implements console.Source.
func (s *Source) Group(_ context.Context, name string) (*console.Group, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[name]
	if g == nil {
		return nil, console.ErrNotFound
	}
	out := &console.Group{GroupRow: g.row(s.now), Protocol: g.Protocol, Generation: g.generation, Findings: g.Findings}
	owner := map[[2]any]string{}
	for _, m := range g.members {
		var owned [][2]any
		for _, p := range g.all() {
			if m.owned[p] {
				owned = append(owned, p)
				owner[p] = m.who.ID
			}
		}
		cm := console.Member{Who: m.who}
		if !g.Silent {
			cm.Assigned = lists(owned)
		}
		out.MemberList = append(out.MemberList, cm)
	}
	all := g.all()
	for i, p := range all {
		lag := g.Lag / int64(len(all))
		end := int64(100000 + i*977)
		committed := end - lag
		out.Partitions = append(out.Partitions, console.PartitionLag{Topic: p[0].(string), Partition: p[1].(int32), Owner: owner[p], Committed: &committed, End: &end, Lag: &lag})
	}
	return out, nil
}

// Incidents implements console.Source.
func (s *Source) Incidents(_ context.Context, q console.IncidentQuery) (out console.Incidents, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[q.Group]
	if g == nil {
		return out, nil
	}
	passed := q.Before == ""
	for i := len(g.incidents) - 1; i >= 0; i-- {
		in := g.incidents[i]
		if !passed {
			passed = in.ID == q.Before
			continue
		}
		began := in.Began.Instant().Time()
		if !q.To.IsZero() && !began.Before(q.To) || !q.From.IsZero() && in.Ended != nil && in.Ended.Instant().Time().Before(q.From) {
			continue
		}
		if len(out.List) == q.Limit {
			out.More = true
			break
		}
		out.List = append(out.List, in)
	}
	return out, nil
}

// Incident implements console.Source.
func (s *Source) Incident(_ context.Context, group, id string) (*journal.Incident, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.groups[group]; g != nil {
		for i := range g.incidents {
			if g.incidents[i].ID == id {
				return &g.incidents[i], nil
			}
		}
	}
	return nil, console.ErrNotFound
}

// Topics implements console.Source.
func (s *Source) Topics(context.Context) (out []console.TopicRow, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.topics {
		out = append(out, t.TopicRow)
	}
	return out, nil
}

// Topic implements console.Source.
func (s *Source) Topic(_ context.Context, name string) (*console.Topic, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.topics {
		if s.topics[i].Name == name {
			return &s.topics[i], nil
		}
	}
	return nil, console.ErrNotFound
}
