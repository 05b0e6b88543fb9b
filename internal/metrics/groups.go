package metrics

import (
	"cmp"
	"maps"
	"slices"
	"sync/atomic"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/runtime"
)

// otherGroups is the group label of all groups beyond metrics.groups.max.
const otherGroups = "_other"

// Phases of a rebalance, as the phase label names them.
const (
	phaseJoin = "join"
	phaseSync = "sync"
)

// Group counts what happens to one group.
type Group struct {
	commits, expired prometheus.Counter
	join, sync       prometheus.Observer
	rebalances       *prometheus.CounterVec // by cause
	incidents        *prometheus.CounterVec // by the journal's cause
}

// groupSet is the groups with series of their own, as Metrics.topics is for topics.
type groupSet struct {
	own   atomic.Pointer[map[string]*Group]
	other *Group
}

// groupNameMax is the longest name, in bytes, that a group is shown by; clients may choose names of 32 KiB.
const groupNameMax = 256

// Group is the counters of a group; beyond GroupsMax, those that such groups share. It takes no lock unless the group is new.
func (m *Metrics) Group(name string) *Group {
	if g := (*m.groups.own.Load())[name]; g != nil {
		return g
	}
	if name == otherGroups || len(name) > groupNameMax || !utf8.ValidString(name) {
		return m.groups.other // what a client made up must neither swell a scrape nor break it
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	own := *m.groups.own.Load()
	if g := own[name]; g != nil {
		return g
	}
	if len(own) >= m.opts.GroupsMax {
		return m.groups.other
	}
	g := m.v.group(name)
	next := maps.Clone(own)
	next[name] = g
	m.groups.own.Store(&next)
	return g
}

// OwnsSeries reports whether the group has series of its own; asking gives it some while there is room.
func (m *Metrics) OwnsSeries(group string) bool { return m.Group(group) != m.groups.other }

func (v *vectors) group(name string) *Group {
	return &Group{
		commits: v.groupCommits.WithLabelValues(name), expired: v.groupExpired.WithLabelValues(name),
		join: v.groupPhases.WithLabelValues(name, phaseJoin), sync: v.groupPhases.WithLabelValues(name, phaseSync),
		rebalances: v.groupRebalances.MustCurryWith(prometheus.Labels{labelGroup: name}),
		incidents:  v.groupIncidents.MustCurryWith(prometheus.Labels{labelGroup: name}),
	}
}

// ForgetGroup drops the series of a deleted group and makes room for another.
func (m *Metrics) ForgetGroup(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	own := *m.groups.own.Load()
	if own[name] == nil {
		return
	}
	next := maps.Clone(own)
	delete(next, name)
	m.groups.own.Store(&next)
	of := prometheus.Labels{labelGroup: name}
	for _, v := range []interface {
		DeletePartialMatch(prometheus.Labels) int
	}{m.v.groupCommits, m.v.groupExpired, m.v.groupPhases, m.v.groupRebalances, m.v.groupIncidents} {
		v.DeletePartialMatch(of)
	}
}

// Committed counts offsets that were committed.
func (g *Group) Committed(partitions int) { g.commits.Add(float64(partitions)) }

// GroupNotes counts what the notes of the coordinator tell. It does not wait.
func (m *Metrics) GroupNotes(notes []runtime.TimedNote) {
	for _, n := range notes {
		switch n := n.Note.(type) {
		case coord.RebalanceStarted:
			m.Group(n.Group).rebalances.WithLabelValues(string(n.Trigger)).Inc()
		case coord.JoinCompleted:
			m.Group(n.Group).join.Observe(n.Took.Seconds())
		case coord.GroupEmptied:
			m.Group(n.Group).join.Observe(n.Took.Seconds())
		case coord.Stabilized:
			m.Group(n.Group).sync.Observe(n.Took.Seconds())
		case coord.MemberRemoved:
			if n.Cause == coord.SilentSession {
				m.Group(n.Group).expired.Inc()
			}
		case coord.GroupDeleted:
			m.ForgetGroup(n.Group)
		}
	}
}

// GroupSample is a group at a scrape.
type GroupSample struct {
	Name       string
	State      string
	Members    int
	Generation int32
	// Lag is the records between what is committed and the end of the log, over all partitions with a committed offset; LagMax that of the
	// partition that is furthest behind. -1 where it is not known, and is not shown. It is not asked of groups that are shown together.
	Lag, LagMax int64
}

// collectGroups shows the groups; those beyond the bound together, without what cannot be added up.
func (s *sampler) collectGroups(groups []GroupSample, out chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, labels...)
	}
	states := map[string]int{}
	rest, beyond := GroupSample{Lag: -1, LagMax: -1}, 0
	for _, g := range slices.SortedFunc(slices.Values(groups), func(a, b GroupSample) int { return cmp.Compare(a.Name, b.Name) }) {
		states[g.State]++
		if s.m.Group(g.Name) == s.m.groups.other {
			beyond++
			rest.Members += g.Members
			continue
		}
		gauge(s.d.groupState, 1, g.Name, g.State)
		gauge(s.d.groupGeneration, float64(g.Generation), g.Name)
		s.collectGroup(g, g.Name, out)
	}
	if beyond > 0 {
		s.collectGroup(rest, otherGroups, out)
	}
	for _, state := range []string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"} {
		gauge(s.d.groups, float64(states[state]), state)
	}
}

func (s *sampler) collectGroup(g GroupSample, name string, out chan<- prometheus.Metric) {
	for _, row := range []struct {
		desc *prometheus.Desc
		v    int64
	}{{s.d.groupMembers, int64(g.Members)}, {s.d.groupLag, g.Lag}, {s.d.groupLagMax, g.LagMax}} {
		if row.v >= 0 {
			out <- prometheus.MustNewConstMetric(row.desc, prometheus.GaugeValue, float64(row.v), name)
		}
	}
}

// phases are the bucket bounds of a phase of a rebalance, in seconds: from a group that noticed at once to one that waited for a slow member.
var phases = []float64{.01, .1, 1, 3, 10, 30, 60, 300}

// Incident counts an incident of the journal that has ended, by the verdict it has then. A sequel may change the verdict; a counter cannot.
func (g *Group) Incident(cause string) { g.incidents.WithLabelValues(cause).Inc() }
