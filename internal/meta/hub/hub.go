// Package hub is the watching half of the Stores that live inside one process: a bounded memory of recent changes, and
// watchers that are no more than a place in it.
//
// A slow watcher costs nothing and delays nobody; one that falls behind what is kept is told so with *meta.CompactedError.
// Shell: it locks and waits, but starts no goroutine.
package hub

import (
	"context"
	"sort"
	"strings"
	"sync"

	"github.com/barnabas-mq/barnabas/internal/meta"
)

// historyBytes bounds what is kept. The newest change is always kept, whatever its size.
const historyBytes = 1 << 20

// Hub hands changes to watchers. Use New.
type Hub struct {
	mu      sync.Mutex
	history []entry       // rising revisions
	bytes   int           // sum over history
	oldest  meta.Revision // every change from this revision on is in history
	changed chan struct{} // closed and replaced when something is published
	closed  bool
}

type entry struct {
	batch meta.Batch
	bytes int
}

// New is a hub for a Store whose last change is at revision at; what came before is not kept.
func New(at meta.Revision) *Hub {
	return &Hub{oldest: at + 1, changed: make(chan struct{})}
}

// Publish adds a change. Revisions must rise; the caller orders its calls.
func (h *Hub) Publish(b meta.Batch) {
	size := 0
	for _, ev := range b.Events {
		size += 128 + len(ev.KV.Key) + len(ev.KV.Value)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.history = append(h.history, entry{b, size})
	h.bytes += size
	drop := 0
	for h.bytes > historyBytes && drop < len(h.history)-1 {
		h.bytes -= h.history[drop].bytes
		h.oldest = h.history[drop].batch.Revision + 1
		drop++
	}
	if drop > 0 {
		h.history = append(h.history[:0:0], h.history[drop:]...) // a fresh array lets the old entries go
	}
	h.wake()
}

// Compact forgets the changes up to and including revision at.
func (h *Hub) Compact(at meta.Revision) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := sort.Search(len(h.history), func(i int) bool { return h.history[i].batch.Revision > at })
	for _, e := range h.history[:i] {
		h.bytes -= e.bytes
	}
	h.history = append(h.history[:0:0], h.history[i:]...)
	h.oldest = max(h.oldest, at+1)
	h.wake()
}

// Close makes every watcher answer meta.ErrClosed.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.closed = true
		h.wake()
	}
}

func (h *Hub) wake() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// Watch is meta.Store's Watch.
func (h *Hub) Watch(prefix string, from meta.Revision) (meta.Watcher, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, meta.ErrClosed
	}
	return &watcher{hub: h, prefix: prefix, next: max(from, 1), done: make(chan struct{})}, nil
}

type watcher struct {
	hub    *Hub
	prefix string
	next   meta.Revision
	once   sync.Once
	done   chan struct{}
}

func (w *watcher) Close() { w.once.Do(func() { close(w.done) }) }

func (w *watcher) Next(ctx context.Context) (meta.Batch, error) {
	for {
		b, ok, changed, err := w.poll()
		if ok || err != nil {
			return b, err
		}
		select {
		case <-changed:
		case <-w.done:
			return meta.Batch{}, meta.ErrClosed
		case <-ctx.Done():
			return meta.Batch{}, ctx.Err()
		}
	}
}

// poll returns the next change under the prefix, or the channel that tells when to look again.
func (w *watcher) poll() (b meta.Batch, ok bool, changed <-chan struct{}, err error) {
	h := w.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-w.done:
		return b, false, nil, meta.ErrClosed
	default:
	}
	if h.closed {
		return b, false, nil, meta.ErrClosed
	}
	if w.next < h.oldest {
		return b, false, nil, &meta.CompactedError{Wanted: w.next, Oldest: h.oldest}
	}
	i := sort.Search(len(h.history), func(i int) bool { return h.history[i].batch.Revision >= w.next })
	for ; i < len(h.history); i++ {
		batch := h.history[i].batch
		w.next = batch.Revision + 1
		if b := under(batch, w.prefix); len(b.Events) > 0 {
			return b, true, nil, nil
		}
	}
	return b, false, h.changed, nil
}

// under is the part of b whose keys start with prefix. Events are sorted by key.
func under(b meta.Batch, prefix string) meta.Batch {
	if prefix == "" {
		return b
	}
	lo := sort.Search(len(b.Events), func(i int) bool { return b.Events[i].KV.Key >= prefix })
	hi := lo
	for hi < len(b.Events) && strings.HasPrefix(b.Events[hi].KV.Key, prefix) {
		hi++
	}
	return meta.Batch{Revision: b.Revision, Events: b.Events[lo:hi]}
}
