package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Hub tells open pages that a group changed. Saying so never waits: a page that does not keep up hears less often, and of everything at once.
type Hub struct {
	mu      sync.Mutex
	readers map[*reader]struct{}
}

// reader is one open page.
type reader struct {
	wake   chan struct{} // of one: something is in groups
	groups map[string]struct{}
	all    bool // more groups than are kept apart
}

// namesMax is how many groups are named to a page at once; beyond, it hears that all may have changed.
const namesMax = 64

// NewHub is a hub without readers.
func NewHub() *Hub { return &Hub{readers: map[*reader]struct{}{}} }

// Changed says that there is news of a group. It does not block and costs nothing while nobody looks.
func (h *Hub) Changed(group string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for r := range h.readers { // any order: each hears the same
		if r.all {
			continue
		}
		if r.groups[group] = struct{}{}; len(r.groups) > namesMax {
			r.all = true
			clear(r.groups)
		}
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

func (h *Hub) add() *reader {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.readers) >= streamsMax {
		return nil
	}
	r := &reader{wake: make(chan struct{}, 1), groups: map[string]struct{}{}}
	h.readers[r] = struct{}{}
	return r
}

func (h *Hub) remove(r *reader) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.readers, r)
}

// take is what changed since the last take.
func (h *Hub) take(r *reader) (groups []string, all bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for g := range r.groups { // any order: a set
		groups = append(groups, g)
	}
	all = r.all
	clear(r.groups)
	r.all = false
	return groups, all
}

// Times of a stream.
const (
	streamPause = 500 * time.Millisecond // between two events at least
	streamTick  = 5 * time.Second        // an event without news: rates and lags moved, and the connection lives
	streamWrite = 10 * time.Second       // for a reader to take one event
)

// change is one event, as JSON: nothing that a name holds can end the line.
type change struct {
	Groups []string `json:"groups,omitempty"`
	All    bool     `json:"all,omitempty"`
	Tick   bool     `json:"tick,omitempty"`
}

// events is the stream of changes, until the reader or the server goes.
func (s *Console) events(w http.ResponseWriter, r *http.Request) {
	reader := s.c.Changes.add()
	if reader == nil {
		w.Header().Set("Retry-After", "30")
		http.Error(w, fmt.Sprintf("%d pages are being kept up to date already", streamsMax), http.StatusServiceUnavailable)
		return
	}
	defer s.c.Changes.remove(reader)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	out := http.NewResponseController(w)
	send := func(c change) bool {
		b, err := json.Marshal(c)
		if err != nil {
			return false
		}
		_ = out.SetWriteDeadline(time.Now().Add(streamWrite)) // not every writer can
		if _, err = fmt.Fprintf(w, "data: %s\n\n", b); err != nil {
			return false
		}
		return out.Flush() == nil
	}
	_ = out.SetReadDeadline(time.Time{})
	if !send(change{Tick: true}) {
		return
	}
	tick := time.NewTicker(streamTick)
	defer tick.Stop()
	for {
		c := change{}
		select {
		case <-r.Context().Done():
			return
		case <-s.done:
			return
		case <-tick.C:
			c.Tick = true
		case <-reader.wake:
			if c.Groups, c.All = s.c.Changes.take(reader); len(c.Groups) == 0 && !c.All {
				continue // taken with the news before
			}
		}
		if !send(c) {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-s.done:
			return
		case <-time.After(streamPause):
		}
	}
}
