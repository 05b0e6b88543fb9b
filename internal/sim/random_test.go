package sim

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/barnabas-mq/barnabas/internal/vtime"
)

func TestStreamsAreTheSameForEver(t *testing.T) {
	// A change of these numbers changes every run that somebody has written down.
	r := newRandom(1, "client c1")
	got := []uint64{r.next(), r.next(), uint64(r.below(1000)), uint64(r.exponential(time.Second))}
	want := []uint64{4941628188591374630, 16893888076791288427, 2, 130890886}
	if !slices.Equal(got, want) {
		t.Errorf("%d, want %d", got, want)
	}
	a, b := newRandom(1, "client c1"), newRandom(1, "client c2")
	if a.next() == b.next() {
		t.Error("two entities draw the same")
	}
}

func TestExponentialHasItsMeanAndSpread(t *testing.T) {
	r := newRandom(7, "x")
	const n = 200_000
	sum, above := 0.0, 0
	for range n {
		d := r.exponential(time.Second)
		sum += d.Seconds()
		if d > time.Second {
			above++
		}
	}
	if mean := sum / n; math.Abs(mean-1) > 0.01 {
		t.Errorf("mean %v", mean)
	}
	if share := float64(above) / n; math.Abs(share-math.Exp(-1)) > 0.005 {
		t.Errorf("%v are above the mean, want 1/e", share)
	}
}

func TestTheQueueIsInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		times := rapid.SliceOfN(rapid.Int64Range(0, 20), 1, 50).Draw(t, "times")
		for i, at := range times {
			q.push(event{at: vtime.Instant(at), seq: uint64(i)})
		}
		var last event
		for i := range times {
			e := q.pop()
			if i > 0 && e.before(&last) {
				t.Fatalf("%d/%d after %d/%d", e.at, e.seq, last.at, last.seq)
			}
			last = e
		}
		if _, ok := q.next(); ok {
			t.Fatal("something is left")
		}
	})
}

func TestRecordsArriveAtTheirRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := partition{base: rapid.Int64Range(0, 1000).Draw(t, "base"), rate: rapid.Int64Range(1000, 1_000_000_000_000).Draw(t, "rate"), born: epoch}
		offset := rapid.Int64Range(0, 100_000).Draw(t, "offset")
		at, ok := p.next(offset)
		if !ok {
			t.Fatal("never")
		}
		if p.end(at) <= offset {
			t.Fatalf("at %d the end is %d, not beyond %d", at, p.end(at), offset)
		}
		if at > epoch && p.end(at-1) > offset {
			t.Fatalf("it was there before %d", at)
		}
	})
}

func TestDistributionsKeepToTheirBounds(t *testing.T) {
	r := newRandom(1, "x")
	w, err := parseWork("uniform(1ms, 5ms)")
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if d := w.draw(&r); d < time.Millisecond || d >= 5*time.Millisecond {
			t.Fatal(d)
		}
	}
	for _, s := range []string{"5ms", "uniform(1ms, 5ms)", "exponential(2ms)"} {
		if w, err := parseWork(s); err != nil || w.String() != s {
			t.Errorf("%s is read as %s (%v)", s, w, err)
		}
	}
	for _, s := range []string{"0.5", "100", "0.000001", "0"} {
		if n, err := parseRate(s); err != nil || Rate(n).String() != s {
			t.Errorf("%s is read as %s (%v)", s, Rate(n), err)
		}
	}
}
