package runtime

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// TestTimersAgainstAList arms, moves, cancels and fires at random, beside a plain list of what is armed.
func TestTimersAgainstAList(t *testing.T) {
	type armed struct {
		key   coord.TimerKey
		at    vtime.Instant
		order int
	}
	rapid.Check(t, func(t *rapid.T) {
		var got timers
		var want []armed
		armings := 0
		find := func(k coord.TimerKey) int {
			return slices.IndexFunc(want, func(a armed) bool { return a.key == k })
		}
		first := func() armed {
			return slices.MinFunc(want, func(a, b armed) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.order, b.order)) })
		}
		key := rapid.Custom(func(t *rapid.T) coord.TimerKey {
			k := coord.TimerKey{Kind: rapid.SampledFrom([]coord.TimerKind{"session", "hold", "join"}).Draw(t, "kind"), Group: rapid.SampledFrom([]string{"", "g", "h"}).Draw(t, "group")}
			if n := rapid.IntRange(0, 12).Draw(t, "member"); n > 0 {
				k.Member = fmt.Sprint(n)
			}
			return k
		})
		t.Repeat(map[string]func(*rapid.T){
			"arm": func(t *rapid.T) {
				op := coord.TimerOp{Key: key.Draw(t, "key"), At: vtime.Instant(rapid.IntRange(1, 20).Draw(t, "at"))}
				got.do(op)
				armings++
				if i := find(op.Key); i >= 0 {
					want = slices.Delete(want, i, i+1)
				}
				want = append(want, armed{op.Key, op.At, armings})
			},
			"cancel": func(t *rapid.T) {
				op := coord.TimerOp{Key: key.Draw(t, "key"), Cancel: true}
				got.do(op)
				if i := find(op.Key); i >= 0 {
					want = slices.Delete(want, i, i+1)
				}
			},
			"fire": func(t *rapid.T) {
				now, last := vtime.Instant(rapid.IntRange(0, 20).Draw(t, "now")), rapid.IntRange(max(0, armings-3), armings).Draw(t, "last")
				k, ok := got.due(now, uint64(last))
				if len(want) == 0 || first().at > now || first().order > last {
					if ok {
						t.Fatalf("%v fired and was not due", k)
					}
					return
				}
				if !ok || k != first().key {
					t.Fatalf("%v fired (%v), want %v", k, ok, first().key)
				}
				i := find(k)
				want = slices.Delete(want, i, i+1)
			},
			"": func(t *rapid.T) {
				at, ok := got.next()
				if ok != (len(want) > 0) || ok && at != first().at {
					t.Fatalf("the next is at %v (%v), of %v", at, ok, want)
				}
				for _, a := range want {
					if i, ok := got.find(a.key); !ok || got.key(i) != a.key || got.slots[i].at != a.at {
						t.Fatalf("%v is not found", a)
					}
				}
				entries := 0
				for _, e := range got.index {
					if e != 0 {
						entries++
					}
				}
				if entries != len(want) || len(got.heap) != len(want) {
					t.Fatalf("%d in the table and %d in the heap, want %d", entries, len(got.heap), len(want))
				}
			},
		})
	})
}
