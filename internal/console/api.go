package console

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/barnabas-mq/barnabas/internal/journal"
)

// endpoint is one path of the JSON API, as /api/v1/ describes it.
type endpoint struct {
	Path    string   `json:"path"`
	Query   []string `json:"query,omitempty"`
	Returns string   `json:"returns"`
}

// describe is the description that /api/v1/ gives; a golden holds it.
var describe = []endpoint{
	{"/api/v1/groups", []string{"q: part of the name", "state", "sort: name, lag, members, unstable, last", "offset", "limit: 1 to 1000"}, "groups, and total: how many fit"},
	{"/api/v1/group", []string{"name"}, "one group with members and partitions"},
	{"/api/v1/incidents", []string{"group", "since: RFC 3339", "until: RFC 3339", "before: an incident's id", "limit: 1 to 500"}, "incidents, the newest first, as in __barnabas_rebalances; more: whether there are older ones"},
	{"/api/v1/incident", []string{"group", "id"}, "one incident"},
	{"/api/v1/topics", []string{"q: part of the name", "internal: true", "sort: name, partitions, records, size, in", "offset", "limit: 1 to 1000"}, "topics, and total: how many fit"},
	{"/api/v1/topic", []string{"name"}, "one topic with its partitions"},
}

func (s *Console) routeAPI() {
	s.json("/api/v1/{$}", func(*request) (any, error) { return map[string]any{"endpoints": describe}, nil })
	s.json("/api/v1/groups", func(q *request) (any, error) {
		rows, err := s.groupRows(q)
		if err != nil {
			return nil, err
		}
		from, to := slice(q, len(rows))
		return map[string]any{"groups": rows[from:to], "total": len(rows)}, nil
	})
	s.json("/api/v1/group", func(q *request) (any, error) { return s.c.Source.Group(q.ctx, q.query.Get("name")) })
	s.json("/api/v1/incidents", func(q *request) (any, error) {
		from, err := moment(q.query.Get("since"))
		if err != nil {
			return nil, err
		}
		to, err := moment(q.query.Get("until"))
		if err != nil {
			return nil, err
		}
		out, err := s.c.Source.Incidents(q.ctx, IncidentQuery{Group: q.query.Get("group"), From: from, To: to, Before: q.query.Get("before"), Limit: number(q, "limit", 100, 1, 500)})
		if out.List == nil {
			out.List = []journal.Incident{}
		}
		return out, err
	})
	s.json("/api/v1/incident", func(q *request) (any, error) {
		return s.c.Source.Incident(q.ctx, q.query.Get("group"), q.query.Get("id"))
	})
	s.json("/api/v1/topics", func(q *request) (any, error) {
		rows, err := s.topicRows(q)
		if err != nil {
			return nil, err
		}
		from, to := slice(q, len(rows))
		return map[string]any{"topics": rows[from:to], "total": len(rows)}, nil
	})
	s.json("/api/v1/topic", func(q *request) (any, error) { return s.c.Source.Topic(q.ctx, q.query.Get("name")) })
}

// badQuery is a fault of who asks.
type badQuery struct{ text string }

func (e *badQuery) Error() string { return e.text }

func moment(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return t, &badQuery{"a time is written as 2026-01-31T12:00:00Z"}
	}
	return t, nil
}

// number is a number of the query within bounds; what is no number is the default.
func number(q *request, name string, byDefault, least, most int) int {
	n, err := strconv.Atoi(q.query.Get(name))
	if err != nil {
		return byDefault
	}
	return min(max(n, least), most)
}

// slice is the part of a list that was asked for.
func slice(q *request, n int) (from, to int) {
	from = min(number(q, "offset", 0, 0, n), n)
	return from, min(n, from+number(q, "limit", 100, 1, 1000))
}

// json mounts a function whose result is written as JSON.
func (s *Console) json(pattern string, f func(*request) (any, error)) {
	s.mux.HandleFunc("GET "+pattern, func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
		defer cancel()
		q := &request{ctx: ctx, query: r.URL.Query(), words: wordsFor("en"), now: s.c.Now().UTC(), url: r.URL}
		body, err := any(nil), error(context.DeadlineExceeded)
		select {
		case s.busy <- struct{}{}:
			body, err = func() (any, error) {
				defer func() { <-s.busy }()
				return f(q)
			}()
		case <-ctx.Done():
		}
		code := http.StatusOK
		var bad *badQuery
		switch {
		case err == nil:
		case errors.As(err, &bad):
			code = http.StatusBadRequest
		case errors.Is(err, ErrNotFound):
			code = http.StatusNotFound
		case errors.Is(err, ErrNotReady), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
			code = http.StatusServiceUnavailable
		default:
			code = http.StatusInternalServerError
			s.c.Logger.Error("the console could not answer", "path", r.URL.Path, "error", err)
		}
		if err != nil {
			body = map[string]string{"error": err.Error()}
		}
		b, err := json.Marshal(body) // escapes <, > and &, so that it is harmless wherever it is put
		if err != nil {
			http.Error(w, "the answer could not be written as JSON", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(code)
		_, _ = w.Write(append(b, '\n')) // the reader went away: nobody is left to tell
	})
}
