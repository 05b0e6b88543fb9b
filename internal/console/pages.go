package console

import (
	"cmp"
	"html/template"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/barnabas-mq/barnabas/internal/journal"
)

// What one page holds at most.
const (
	rowsPerPage      = 100
	incidentsPerPage = 20
	timelineMax      = 500 // incidents in one timeline
	tableRowsMax     = 500 // members or partitions in one table
)

// functions are what templates may call beside the words of their page.
var functions = template.FuncMap{
	"shown": shown, "said": sentenceOf, "count": count, "countOrNot": countOrNot, "size": size, "rate": rate, "byteRate": byteRate, "percent": percent, "millis": millis,
	"clock": clock, "clockMs": clockMs, "stamp": stamp, "list": partitionList, "num": num, "when": func(t journal.Time) time.Time { return t.Instant().Time() },
	"int64": func(n int) int64 { return int64(n) }, "causeClass": causeClass, "lower": strings.ToLower, "share": func(f *float64) string {
		if f == nil {
			return "0"
		}
		return num(min(1, *f) * 48)
	},
	"cut":  func(n int) int { return min(n, tableRowsMax) },
	"over": func(n int) int { return max(0, n-tableRowsMax) },
	"add":  func(a, b float64) float64 { return a + b }, "sub": func(a, b float64) float64 { return a - b },
	"dict": func(key string, value any, page *page) part { return part{value, page, key} },
}

// part is what an inner template gets: its own data and the page around it.
type part struct {
	V    any
	P    *page
	Name string
}

// pager leads to the other pages of a list.
type pager struct {
	From, To, Total  int
	Previous, Next   string // links, "" at the ends
	Query, State, By string
	Checked          bool
	All              int // before the filter
}

func newPager(q *request, total, all int) pager {
	pages := max(1, (total+rowsPerPage-1)/rowsPerPage)
	n := number(q, "page", 1, 1, pages)
	p := pager{Total: total, All: all, Query: q.query.Get("q"), State: q.query.Get("state"), By: q.query.Get("sort"), Checked: q.query.Get("internal") != ""}
	p.From, p.To = (n-1)*rowsPerPage, min(total, n*rowsPerPage)
	link := func(n int) string {
		v := url.Values{}
		for _, key := range []string{"q", "state", "sort", "internal"} {
			if s := q.query.Get(key); s != "" {
				v.Set(key, s)
			}
		}
		v.Set("page", strconv.Itoa(n))
		return "?" + v.Encode()
	}
	if n > 1 {
		p.Previous = link(n - 1)
	}
	if n < pages {
		p.Next = link(n + 1)
	}
	return p
}

type groupsBody struct {
	pager
	Rows        []GroupRow
	States      []string
	Rebalancing int
	Lag         *int64
}

var groupStates = []string{"Stable", "PreparingRebalance", "CompletingRebalance", "Empty", "Dead"}

func rebalancing(state string) bool {
	return state == "PreparingRebalance" || state == "CompletingRebalance" || state == "Assigning" || state == "Reconciling"
}

// groupRows is the groups that fit the query, in its order.
func (s *Console) groupRows(q *request) ([]GroupRow, error) {
	all, err := s.c.Source.Groups(q.ctx)
	if err != nil {
		return nil, err
	}
	part, state := strings.ToLower(q.query.Get("q")), q.query.Get("state")
	rows := make([]GroupRow, 0, len(all))
	for _, r := range all {
		if (part == "" || strings.Contains(strings.ToLower(r.Name), part)) && (state == "" || strings.EqualFold(state, r.State)) {
			rows = append(rows, r)
		}
	}
	orNot := func(p *int64) int64 {
		if p == nil {
			return -1
		}
		return *p
	}
	var order func(a, b GroupRow) int
	switch q.query.Get("sort") {
	case "lag":
		order = func(a, b GroupRow) int { return cmp.Compare(orNot(b.Lag), orNot(a.Lag)) }
	case "members":
		order = func(a, b GroupRow) int { return cmp.Compare(b.Members, a.Members) }
	case "unstable":
		share := func(r GroupRow) float64 {
			if r.Unstable == nil {
				return -1
			}
			return *r.Unstable
		}
		order = func(a, b GroupRow) int {
			return cmp.Or(cmp.Compare(share(b), share(a)), cmp.Compare(b.Rebalances, a.Rebalances))
		}
	case "last":
		order = func(a, b GroupRow) int { return b.LastAt.Compare(a.LastAt) }
	default:
		return rows, nil // by name, as they came
	}
	slices.SortStableFunc(rows, order)
	return rows, nil
}

func (s *Console) groups(q *request) (*answer, error) {
	rows, err := s.groupRows(q)
	if err != nil {
		return nil, err
	}
	all, err := s.c.Source.Groups(q.ctx)
	if err != nil {
		return nil, err
	}
	b := groupsBody{States: groupStates, pager: newPager(q, len(rows), len(all))}
	lag, known := int64(0), false
	for i := range all {
		if rebalancing(all[i].State) {
			b.Rebalancing++
		}
		if all[i].Lag != nil {
			lag, known = lag+*all[i].Lag, true
		}
	}
	if known {
		b.Lag = &lag
	}
	b.Rows = rows[b.From:b.To]
	return &answer{"groups.html", &page{Title: q.words.get("Groups"), Section: "groups", Watch: "groups", Body: b}}, nil
}

type groupBody struct {
	*Group
	Timeline     timelineBody
	Incidents    []journal.Incident
	Older        string // link, "" at the end
	Newest       bool   // this is the first page of incidents
	Advice       []advised
	NoneRecorded bool
	// LostRecords and LostNotes is how much of the group's journal is missing, as far as these incidents tell.
	LostRecords, LostNotes int64
}

// advised is an advice and the newest incident that gave it.
type advised struct {
	journal.Advice
	Incident string
	Cause    journal.Cause
}

func (s *Console) group(q *request) (*answer, error) {
	name := q.query.Get("name")
	g, err := s.c.Source.Group(q.ctx, name)
	if err != nil {
		return nil, err
	}
	before := q.query.Get("before")
	list, err := s.c.Source.Incidents(q.ctx, IncidentQuery{Group: name, Before: before, Limit: incidentsPerPage})
	if err != nil {
		return nil, err
	}
	b := groupBody{Group: g, Incidents: list.List, Newest: before == "", NoneRecorded: before == "" && len(list.List) == 0}
	b.LostRecords, b.LostNotes = journal.Gaps(list.List)
	if list.More && len(list.List) > 0 {
		b.Older = "?" + url.Values{"name": {name}, "before": {list.List[len(list.List)-1].ID}}.Encode() + "#incidents"
	}
	b.Advice = collect(list.List, g.Findings)
	if b.Timeline, err = s.timelineOf(q, g, list.List); err != nil {
		return nil, err
	}
	return &answer{"group.html", &page{Title: shown(name), Section: "groups", Watch: "group", WatchName: name, Body: b}}, nil
}

// collect is what the incidents advise, each advice once, and none that a finding gives already.
func collect(list []journal.Incident, findings []journal.Finding) (out []advised) {
	seen := map[string]bool{}
	for _, f := range findings {
		for _, a := range f.Advice {
			seen[a.Setting+"\x00"+a.Text] = true
		}
	}
	for i := range list {
		for _, a := range list[i].Advice {
			if key := a.Setting + "\x00" + a.Text; !seen[key] && len(out) < 6 {
				seen[key] = true
				out = append(out, advised{a, list[i].ID, list[i].Cause})
			}
		}
	}
	return out
}

// timelineBody is a timeline and the ways to look at it from elsewhere.
type timelineBody struct {
	Group                           string
	From, To                        time.Time
	Draw                            *drawing
	More                            bool
	Presets                         []preset
	Earlier, Later, Closer, Farther string // queries
	Live                            bool   // it ends now, and moves on
	Span                            string
	FromMs, ToMs                    int64
	Empty                           bool
	Hint                            string
}

type preset struct {
	Label, Query string
	Current      bool
}

var presets = []struct {
	label string
	d     time.Duration
}{{"1 min", time.Minute}, {"5 min", 5 * time.Minute}, {"15 min", 15 * time.Minute}, {"1 h", time.Hour}, {"6 h", 6 * time.Hour}, {"24 h", 24 * time.Hour}, {"7 d", 7 * 24 * time.Hour}, {"30 d", 30 * 24 * time.Hour}}

// Bounds of a timeline's time.
const (
	spanMin = 10 * time.Millisecond
	spanMax = 400 * 24 * time.Hour
)

// asked is the time that a query asks for; without one, the shortest preset that shows something.
func asked(q *request, newest []journal.Incident) (from, to time.Time, live bool) {
	ms := func(key string) time.Time {
		n, err := strconv.ParseInt(q.query.Get(key), 10, 64)
		if err != nil || n < 0 || n > 9e12 {
			return time.Time{}
		}
		return time.UnixMilli(n).UTC()
	}
	from, to = ms("from"), ms("to")
	if !from.IsZero() && to.After(from) {
		if d := to.Sub(from); d < spanMin {
			to = from.Add(spanMin)
		} else if d > spanMax {
			from = to.Add(-spanMax)
		}
		return from, to, false
	}
	d, err := time.ParseDuration(q.query.Get("span"))
	if err != nil || d < spanMin || d > spanMax {
		d = time.Hour
		if len(newest) > 0 {
			since := q.now.Sub(began(&newest[min(len(newest)-1, 4)]))
			for _, p := range presets {
				if d = p.d; since < p.d-p.d/20 {
					break
				}
			}
		}
	}
	return q.now.Add(-d), q.now, true
}

func (s *Console) timelineOf(q *request, g *Group, newest []journal.Incident) (b timelineBody, err error) {
	b.Group = g.Name
	b.From, b.To, b.Live = asked(q, newest)
	list, err := s.c.Source.Incidents(q.ctx, IncidentQuery{Group: g.Name, From: b.From, To: b.To, Limit: timelineMax})
	if err != nil {
		return b, err
	}
	b.More = list.More
	b.Empty = len(list.List) == 0
	if b.Empty { // the last one before tells who owned what
		if list, err = s.c.Source.Incidents(q.ctx, IncidentQuery{Group: g.Name, To: b.To, Limit: 1}); err != nil {
			return b, err
		}
	}
	now := g
	if !b.Live && b.To.Before(q.now.Add(-time.Second)) {
		now = nil
	}
	width := q.width
	h := newHistory(list.List, now, b.From, b.To)
	h.older = b.More
	b.Draw = draw(h, width, q.now, q.words)
	d := b.To.Sub(b.From)
	b.FromMs, b.ToMs, b.Span = b.From.UnixMilli(), b.To.UnixMilli(), d.String()
	for _, p := range presets {
		b.Presets = append(b.Presets, preset{p.label, s.window(g.Name, q.now, time.Time{}, p.d), b.Live && p.d == d})
	}
	b.Earlier = s.window(g.Name, q.now, b.From.Add(-d/2), d)
	b.Later = s.window(g.Name, q.now, b.From.Add(d/2), d)
	if b.Live {
		b.Closer = s.window(g.Name, q.now, time.Time{}, d/2)
	} else {
		b.Closer = s.window(g.Name, q.now, b.From.Add(d/4), d/2)
	}
	b.Farther = s.window(g.Name, q.now, b.From.Add(-d/2), 2*d)
	return b, nil
}

// window is the query for so much time from a moment; what would reach beyond now ends now, and goes on.
func (s *Console) window(group string, now, from time.Time, d time.Duration) string {
	d = min(max(d, spanMin), spanMax)
	v := url.Values{"name": {group}}
	if from.IsZero() || !from.Add(d).Before(now) {
		v.Set("span", d.String())
	} else {
		v.Set("from", strconv.FormatInt(from.UnixMilli(), 10))
		v.Set("to", strconv.FormatInt(from.Add(d).UnixMilli(), 10))
	}
	return "?" + v.Encode()
}

// timeline is the drawing alone, for the script that moves through time.
func (s *Console) timeline(q *request) (*answer, error) {
	name := q.query.Get("name")
	g, err := s.c.Source.Group(q.ctx, name)
	if err != nil {
		return nil, err
	}
	list, err := s.c.Source.Incidents(q.ctx, IncidentQuery{Group: name, Limit: 5})
	if err != nil {
		return nil, err
	}
	b, err := s.timelineOf(q, g, list.List)
	return &answer{"timeline.html", &page{Body: b}}, err
}

type incidentBody struct {
	*journal.Incident
	Zoom string // the timeline around it
	Back string
}

func (s *Console) incident(q *request) (*answer, error) {
	group, id := q.query.Get("group"), q.query.Get("id")
	in, err := s.c.Source.Incident(q.ctx, group, id)
	if err != nil {
		return nil, err
	}
	b := incidentBody{Incident: in, Zoom: around(in, q.now), Back: "/console/group?" + url.Values{"name": {group}}.Encode()}
	return &answer{"incident.html", &page{Title: in.ID + " · " + shown(group), Section: "groups", Watch: "group", WatchName: group, Body: b}}, nil
}

// around is the link to the timeline at an incident.
func around(in *journal.Incident, now time.Time) string {
	from, to := began(in), ended(in, now)
	room := max(to.Sub(from)/4, 20*time.Millisecond)
	return "/console/group?" + url.Values{"name": {in.Group}, "from": {strconv.FormatInt(from.Add(-room).UnixMilli(), 10)},
		"to": {strconv.FormatInt(to.Add(room).UnixMilli(), 10)}}.Encode() + "#timeline"
}

type topicsBody struct {
	pager
	Rows []TopicRow
}

// topicRows is the topics that fit the query, in its order.
func (s *Console) topicRows(q *request) ([]TopicRow, error) {
	all, err := s.c.Source.Topics(q.ctx)
	if err != nil {
		return nil, err
	}
	part, internal := strings.ToLower(q.query.Get("q")), q.query.Get("internal") != ""
	rows := make([]TopicRow, 0, len(all))
	for _, r := range all {
		if (part == "" || strings.Contains(strings.ToLower(r.Name), part)) && (internal || !r.Internal) {
			rows = append(rows, r)
		}
	}
	deref := func(p *int64) int64 {
		if p == nil {
			return -1
		}
		return *p
	}
	var order func(a, b TopicRow) int
	switch q.query.Get("sort") {
	case "partitions":
		order = func(a, b TopicRow) int { return cmp.Compare(b.Partitions, a.Partitions) }
	case "records":
		order = func(a, b TopicRow) int { return cmp.Compare(deref(b.Records), deref(a.Records)) }
	case "size":
		order = func(a, b TopicRow) int { return cmp.Compare(deref(b.Bytes), deref(a.Bytes)) }
	case "in":
		in := func(r TopicRow) float64 {
			if r.BytesIn == nil {
				return -1
			}
			return *r.BytesIn
		}
		order = func(a, b TopicRow) int { return cmp.Compare(in(b), in(a)) }
	default:
		return rows, nil
	}
	slices.SortStableFunc(rows, order)
	return rows, nil
}

func (s *Console) topics(q *request) (*answer, error) {
	rows, err := s.topicRows(q)
	if err != nil {
		return nil, err
	}
	b := topicsBody{pager: newPager(q, len(rows), len(rows))}
	b.Rows = rows[b.From:b.To]
	return &answer{"topics.html", &page{Title: q.words.get("Topics"), Section: "topics", Watch: "topics", Body: b}}, nil
}

func (s *Console) topic(q *request) (*answer, error) {
	t, err := s.c.Source.Topic(q.ctx, q.query.Get("name"))
	if err != nil {
		return nil, err
	}
	return &answer{"topic.html", &page{Title: shown(t.Name), Section: "topics", Watch: "topics", Body: t}}, nil
}
