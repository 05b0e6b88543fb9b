package hub

import (
	"errors"
	"testing"

	"github.com/barnabas-mq/barnabas/internal/meta"
)

func batch(rev meta.Revision, bytes int) meta.Batch {
	return meta.Batch{Revision: rev, Events: []meta.Event{{KV: meta.KV{Key: "k", Value: make([]byte, bytes), ModRevision: rev}}}}
}

func TestHistoryIsBoundedAndTheSlowAreTold(t *testing.T) {
	h := New(10)
	slow, err := h.Watch("", 11)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	const n, size = 100, historyBytes / 10
	for i := range n {
		h.Publish(batch(meta.Revision(11+i), size))
	}
	if h.bytes > historyBytes || len(h.history) == 0 || len(h.history) > 10 {
		t.Fatalf("%d bytes in %d changes are kept, the bound is %d", h.bytes, len(h.history), historyBytes)
	}
	var missed *meta.CompactedError
	if _, err := slow.Next(t.Context()); !errors.As(err, &missed) || missed.Wanted != 11 || missed.Oldest != h.history[0].batch.Revision {
		t.Fatalf("got %v", err)
	}
	again, err := h.Watch("", missed.Oldest)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	for want := missed.Oldest; want <= 10+n; want++ {
		b, err := again.Next(t.Context())
		if err != nil || b.Revision != want {
			t.Fatalf("revision %d, %v, want %d", b.Revision, err, want)
		}
	}
}

func TestNewestChangeIsKeptWhateverItsSize(t *testing.T) {
	h := New(0)
	w, err := h.Watch("", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	h.Publish(batch(1, 3*historyBytes))
	if b, err := w.Next(t.Context()); err != nil || b.Revision != 1 {
		t.Fatalf("%d %v", b.Revision, err)
	}
	h.Publish(batch(2, 1))
	if b, err := w.Next(t.Context()); err != nil || b.Revision != 2 || h.bytes > historyBytes {
		t.Fatalf("%d %v, %d bytes kept", b.Revision, err, h.bytes)
	}
}

func TestCompactForgetsUpToARevision(t *testing.T) {
	h := New(0)
	for i := range 5 {
		h.Publish(batch(meta.Revision(1+i), 10))
	}
	h.Compact(3)
	h.Compact(2) // never goes back
	if h.oldest != 4 || len(h.history) != 2 || h.bytes != h.history[0].bytes+h.history[1].bytes {
		t.Fatalf("oldest %d, %d changes, %d bytes", h.oldest, len(h.history), h.bytes)
	}
}
