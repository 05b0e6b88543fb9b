package console_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/internal/console"
	"github.com/barnabas-mq/barnabas/internal/console/consoletest"
	"github.com/barnabas-mq/barnabas/internal/journal"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

func incident(group string, before, took time.Duration, rev int) journal.Incident {
	began := consoletest.Now.Add(-before)
	in := journal.Incident{Schema: journal.Schema, Group: group, ID: began.Format("20060102T150405.000") + "-g1", Rev: rev, Stage: journal.Opened, Kind: journal.Rebalance,
		Began: journal.Time(vtime.FromTime(began)), Verdict: journal.Verdict{Cause: journal.ScaleUp}}
	if took > 0 {
		end := journal.Time(vtime.FromTime(began.Add(took)))
		in.Stage, in.Ended = journal.Closed, &end
	}
	return in
}

func TestStoreKeepsTheHighestRevision(t *testing.T) {
	s := console.NewStore(1 << 20)
	s.Put(incident("g", time.Minute, 0, 1))
	s.Put(incident("g", time.Minute, 5*time.Second, 3))
	s.Put(incident("g", time.Minute, 0, 2)) // late
	in := s.Incident("g", incident("g", time.Minute, 0, 0).ID)
	if in == nil || in.Rev != 3 || in.Ended == nil {
		t.Fatalf("got %+v", in)
	}
	if l := s.Incidents(console.IncidentQuery{Group: "g", Limit: 10}); len(l.List) != 1 || l.More {
		t.Errorf("got %d, more %v", len(l.List), l.More)
	}
	if s.Incident("g", "x") != nil || s.Incident("x", in.ID) != nil || s.Knows("x") || !s.Knows("g") {
		t.Error("finds what is not there")
	}
}

func TestStoreQueries(t *testing.T) {
	s := console.NewStore(1 << 20)
	for _, minutes := range []int{30, 10, 50, 20, 40} { // as they may come after a restart: in any order
		s.Put(incident("g", time.Duration(minutes)*time.Minute, 30*time.Second, 1))
	}
	at := func(minutes int) time.Time { return consoletest.Now.Add(-time.Duration(minutes) * time.Minute) }
	id := func(minutes int) string { return incident("g", time.Duration(minutes)*time.Minute, 0, 1).ID }
	for name, c := range map[string]struct {
		q    console.IncidentQuery
		want string
	}{
		"all":                           {console.IncidentQuery{Limit: 9}, "10 20 30 40 50 false"},
		"the newest two":                {console.IncidentQuery{Limit: 2}, "10 20 true"},
		"before one":                    {console.IncidentQuery{Before: id(30), Limit: 9}, "40 50 false"},
		"before the oldest":             {console.IncidentQuery{Before: id(50), Limit: 9}, "false"},
		"before one that is let go":     {console.IncidentQuery{Before: "x", Limit: 9}, "false"},
		"within a time":                 {console.IncidentQuery{From: at(45), To: at(15), Limit: 9}, "20 30 40 false"},
		"one that ends in the time":     {console.IncidentQuery{From: at(30).Add(30 * time.Second), To: at(25), Limit: 9}, "30 false"},
		"one that ended just before":    {console.IncidentQuery{From: at(30).Add(31 * time.Second), To: at(25), Limit: 9}, "false"},
		"a time without end":            {console.IncidentQuery{From: at(20), Limit: 9}, "10 20 false"},
		"what begins at the end is out": {console.IncidentQuery{To: at(40), Limit: 9}, "50 false"},
	} {
		t.Run(name, func(t *testing.T) {
			c.q.Group = "g"
			out := s.Incidents(c.q)
			got := ""
			for _, in := range out.List {
				got += fmt.Sprintf("%d ", int(consoletest.Now.Sub(in.Began.Instant().Time()).Minutes()))
			}
			if got += fmt.Sprint(out.More); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestUnstableShare(t *testing.T) {
	absorbed := incident("g", 5*time.Minute, time.Minute, 1)
	absorbed.Kind = journal.Absorbed
	for name, c := range map[string]struct {
		incidents []journal.Incident
		want      float64
		count     int
	}{
		"none":                          {nil, 0, 0},
		"six minutes of an hour":        {[]journal.Incident{incident("g", 30*time.Minute, 6*time.Minute, 1)}, .1, 1},
		"twice the same time":           {[]journal.Incident{incident("g", 30*time.Minute, 6*time.Minute, 1), incident("g", 29*time.Minute, 3*time.Minute, 1)}, .1, 2},
		"one from before the hour":      {[]journal.Incident{incident("g", 63*time.Minute, 6*time.Minute, 1)}, .05, 0},
		"one that goes on":              {[]journal.Incident{incident("g", 6*time.Minute, 0, 1)}, .1, 1},
		"what cost no rebalance":        {[]journal.Incident{absorbed}, 0, 0},
		"one that was over long before": {[]journal.Incident{incident("g", 5*time.Hour, time.Minute, 1)}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := console.NewStore(1 << 20)
			for _, in := range c.incidents {
				s.Put(in)
			}
			r := console.GroupRow{Name: "g"}
			s.Row(&r, consoletest.Now)
			direct := console.Unstable(c.incidents, consoletest.Now.Add(-console.Window), consoletest.Now)
			if *r.Unstable != direct || direct < c.want-1e-9 || direct > c.want+1e-9 || r.Rebalances != c.count {
				t.Errorf("got %v and %v, %d rebalances, want %v, %d", *r.Unstable, direct, r.Rebalances, c.want, c.count)
			}
		})
	}
}

// Very many incidents of a thousand groups pass through; what is kept stays within its bound, is the newest, and is found at once.
func TestStoreIsBounded(t *testing.T) {
	const bound = 8 << 20
	n := 50_000
	if os.Getenv("CONSOLE_LONG") != "" {
		n = 1_000_000
	}
	s := console.NewStore(bound)
	began := time.Now()
	for i := range n {
		s.Put(incident(fmt.Sprintf("group-%04d", i%1000), time.Duration(n-i)*time.Second, 500*time.Millisecond, 1))
	}
	filled := time.Since(began)
	if s.Bytes() > bound || s.Bytes() < bound*9/10 {
		t.Errorf("%d bytes are kept, the bound is %d", s.Bytes(), bound)
	}
	began = time.Now()
	for i := range 1000 {
		r := console.GroupRow{Name: fmt.Sprintf("group-%04d", i)}
		s.Row(&r, consoletest.Now)
		if r.LastAt.IsZero() {
			t.Fatalf("%s: its newest incident is gone", r.Name)
		}
	}
	if rows := time.Since(began); rows > 3*time.Second {
		t.Errorf("1,000 rows take %v", rows)
	}
	t.Logf("%d incidents in %v", n, filled)
}

// crowded is a broker with ten thousand groups, each with as many incidents as a store keeps.
type crowded struct {
	*console.Store
	rows []console.GroupRow
}

func (s crowded) Groups(context.Context) ([]console.GroupRow, error) { return s.rows, nil }
func (s crowded) Group(_ context.Context, name string) (*console.Group, error) {
	return &console.Group{GroupRow: console.GroupRow{Name: name}}, nil
}
func (s crowded) Incidents(_ context.Context, q console.IncidentQuery) (console.Incidents, error) {
	return s.Store.Incidents(q), nil
}
func (s crowded) Incident(_ context.Context, group, id string) (*journal.Incident, error) {
	return s.Store.Incident(group, id), nil
}
func (s crowded) Topics(context.Context) ([]console.TopicRow, error) { return nil, nil }
func (s crowded) Topic(context.Context, string) (*console.Topic, error) {
	return nil, console.ErrNotFound
}

func TestPagesStaySmallWithTenThousandGroups(t *testing.T) {
	s := crowded{Store: console.NewStore(48 << 20)}
	for i := range 10_000 {
		s.rows = append(s.rows, console.GroupRow{Name: fmt.Sprintf("group-%05d", i), State: "Stable"})
	}
	for i := range 20_000 { // all of one group, every three seconds
		s.Put(incident("stormy", time.Duration(20_000-i)*3*time.Second, time.Second, 1))
	}
	c := newConsole(s)
	for _, path := range []string{"/console/", "/console/?q=9&sort=lag&page=20", "/console/group?name=stormy", "/console/group?name=stormy&span=168h", "/console/timeline?name=stormy&span=24h", "/api/v1/incidents?group=stormy&limit=500"} {
		began := time.Now()
		w := get(t, c, path)
		if took := time.Since(began); w.Code != 200 || w.Body.Len() > 600<<10 || took > 3*time.Second {
			t.Errorf("%s: %d, %d bytes in %v", path, w.Code, w.Body.Len(), took)
		} else {
			t.Logf("%s: %d bytes in %v", path, w.Body.Len(), took)
		}
	}
}
