package console_test

import (
	"context"
	"fmt"
	"os"
	"strings"
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
	s := console.NewStore(1<<20, nil)
	s.Put(incident("g", time.Minute, 0, 1), -1)
	s.Put(incident("g", time.Minute, 5*time.Second, 3), -1)
	s.Put(incident("g", time.Minute, 0, 2), -1) // late
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
	s := console.NewStore(1<<20, nil)
	for _, minutes := range []int{30, 10, 50, 20, 40} { // as they may come after a restart: in any order
		s.Put(incident("g", time.Duration(minutes)*time.Minute, 30*time.Second, 1), -1)
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
			s := console.NewStore(1<<20, nil)
			for _, in := range c.incidents {
				s.Put(in, -1)
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
	s := console.NewStore(bound, nil)
	for i := range n {
		s.Put(incident(fmt.Sprintf("group-%04d", i%1000), time.Duration(n-i)*time.Second, 500*time.Millisecond, 1), -1)
	}
	if s.Bytes() > bound || s.Bytes() < bound*9/10 {
		t.Errorf("%d bytes are kept, the bound is %d", s.Bytes(), bound)
	}
	for i := range 1000 {
		r := console.GroupRow{Name: fmt.Sprintf("group-%04d", i)}
		s.Row(&r, consoletest.Now)
		if r.LastAt.IsZero() {
			t.Fatalf("%s: its newest incident is gone", r.Name)
		}
	}
}

// A group that rebalances all the time takes the room that others leave, and no more: the last rebalance of each quiet group stays.
func TestAStormDoesNotPushOutWhatIsQuiet(t *testing.T) {
	const bound, quiet, stormy = 1 << 20, 1000, 50_000
	s := console.NewStore(bound, nil)
	for i := range quiet {
		s.PutHead(fmt.Sprintf("quiet-%04d", i), head(i, 1), int64(i))
	}
	for i := range stormy {
		s.PutHead("stormy", head(quiet+i, 1), int64(quiet+i))
	}
	if s.Bytes() > bound {
		t.Errorf("%d bytes are kept, the bound is %d", s.Bytes(), bound)
	}
	for i := range quiet {
		if !s.Knows(fmt.Sprintf("quiet-%04d", i)) {
			t.Fatalf("quiet group %d was pushed out", i)
		}
	}
	if n := s.Len("stormy"); n < 3000 || n > 8000 {
		t.Errorf("of the stormy group %d incidents are kept", n)
	}
	r := console.GroupRow{Name: "stormy"}
	if s.Row(&r, consoletest.Now); r.LastAt.UnixNano() != int64(head(quiet+stormy-1, 1).Began) {
		t.Errorf("the newest of the stormy group is of %v", r.LastAt)
	}
	// More groups than there is room for: the bound holds all the same.
	for i := range 20_000 {
		s.PutHead(fmt.Sprintf("new-%05d", i), head(i, 1), int64(i))
	}
	if s.Bytes() > bound {
		t.Errorf("%d bytes are kept, the bound is %d", s.Bytes(), bound)
	}
}

func head(i, rev int) journal.Head {
	in := incident("g", time.Duration(100_000-i)*time.Second, time.Second, rev)
	return journal.Head{ID: in.ID, Rev: rev, Kind: in.Kind, Stage: in.Stage, Began: in.Began, Ended: in.Ended, Cause: in.Cause}
}

// What lies in the journal is read when somebody looks at it, and no more than is asked for. What retention took is passed over.
func TestStoreReadsWhatIsLookedAt(t *testing.T) {
	const n = 10_000
	log, reads := map[int64][]byte{}, 0
	s := console.NewStore(48<<20, func(group string, offset int64) ([]byte, error) {
		if reads++; group != "g" || log[offset] == nil {
			return nil, console.ErrNotFound
		}
		return log[offset], nil
	})
	for i := range n {
		in := incident("g", time.Duration(n-i)*time.Second, time.Second, 1)
		_, record, err := journal.Encode(in)
		if err != nil {
			t.Fatal(err)
		}
		log[int64(3*i)] = record
		s.Put(in, int64(3*i))
	}
	delete(log, 3*(n-2))
	page := s.Incidents(console.IncidentQuery{Group: "g", Limit: 20})
	if len(page.List) != 19 || !page.More || reads != 20 {
		t.Errorf("%d incidents, more %v, %d records read", len(page.List), page.More, reads)
	}
	reads = 0
	seen := 0
	for before := ""; ; {
		page := s.Incidents(console.IncidentQuery{Group: "g", Limit: 500, Before: before})
		for _, in := range page.List {
			if before != "" && in.ID >= before {
				t.Fatalf("%s comes after %s", in.ID, before)
			}
			before, seen = in.ID, seen+1
		}
		if !page.More {
			break
		}
	}
	if seen != n-1 || reads != n {
		t.Errorf("page by page %d of %d incidents, %d records read", seen, n, reads)
	}
	reads = 0
	r := console.GroupRow{Name: "g"}
	if s.Row(&r, consoletest.Now); reads != 0 || r.Rebalances != 3600 {
		t.Errorf("a row reads %d records, and counts %d rebalances", reads, r.Rebalances)
	}
	if in := s.Incident("g", head(100_000-n, 1).ID); in == nil || reads != 1 {
		t.Errorf("%v, %d records read", in, reads)
	}
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
	s := crowded{Store: console.NewStore(48<<20, nil)}
	for i := range 10_000 {
		s.rows = append(s.rows, console.GroupRow{Name: fmt.Sprintf("group-%05d", i), State: "Stable"})
	}
	for i := range 20_000 { // all of one group, every three seconds
		s.Put(incident("stormy", time.Duration(20_000-i)*3*time.Second, time.Second, 1), -1)
	}
	c := newConsole(s)
	for _, path := range []string{"/console/", "/console/?q=9&sort=lag&page=20", "/console/group?name=stormy", "/console/group?name=stormy&span=168h", "/console/timeline?name=stormy&span=24h", "/api/v1/incidents?group=stormy&limit=500"} {
		w := get(t, c, path)
		elements := 0
		if body := w.Body.String(); strings.HasPrefix(path, "/console/") {
			elements = strings.Count(body, "<") - strings.Count(body, "</")
		}
		if w.Code != 200 || w.Body.Len() > 600<<10 || elements > 6000 {
			t.Errorf("%s: %d, %d bytes, %d elements", path, w.Code, w.Body.Len(), elements)
		} else {
			t.Logf("%s: %d bytes, %d elements", path, w.Body.Len(), elements)
		}
	}
}
