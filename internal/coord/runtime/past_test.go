package runtime

import (
	"testing"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// A ring of the last events is kept in their order, and the event whose step did not end.
func TestWhatAPanicLeaves(t *testing.T) {
	r := New(func() coord.Shard { return &scripted{} })
	r.Load()
	r.Loaded(1, 0)
	if got := r.Recent(); len(got) != 0 {
		t.Errorf("before any event: %v", got)
	}
	for i := range 100 {
		r.Request(vtime.Instant(i), 0, order{})
		if got := r.Recent(); len(got) != min(i+1, pastMax) || got[len(got)-1] != (Past{vtime.Instant(i), "order", "g"}) || got[0].At != vtime.Instant(max(0, i-pastMax+1)) {
			t.Fatalf("after event %d: %v", i, got)
		}
	}
	if r.Under() != nil {
		t.Errorf("between events, under %v", r.Under())
	}
	bad := order{later: 7}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		r.Request(100, 0, bad)
	}()
	if got, ok := r.Under().(order); !ok || got.later != 7 {
		t.Errorf("after the panic, under %v", r.Under())
	}
	r.Drop()
	if r.Under() != nil || len(r.Recent()) != 0 {
		t.Error("a shard that is read anew remembers the one before")
	}
}
