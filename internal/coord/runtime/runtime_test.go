package runtime

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// order is an event that tells the shard what to do.
type order struct {
	reply   coord.ReplyID // answered in this step, unless 0
	later   coord.ReplyID // another one, parked by an earlier step, answered now
	records int
	timers  []coord.TimerOp
	note    string
}

func (order) EventName() string  { return "order" }
func (order) EventGroup() string { return "g" }

type note string

func (note) NoteGroup() string { return "" }

// scripted is a shard that does as it is told and remembers what was applied.
type scripted struct {
	applied []int64
	fired   []string
	onFire  func(key coord.TimerKey) coord.Effects
}

func (s *scripted) Step(_ vtime.Instant, ev coord.Event) (fx coord.Effects) {
	switch ev := ev.(type) {
	case order:
		for range ev.records {
			fx.Records = append(fx.Records, &record.GroupMetadata{Group: "g"})
		}
		for _, id := range []coord.ReplyID{ev.reply, ev.later} {
			if id != 0 {
				fx.Replies = append(fx.Replies, coord.Reply{To: id, Body: int(id)})
			}
		}
		if ev.note != "" {
			fx.Notes = append(fx.Notes, note(ev.note))
		}
		fx.Timers = ev.timers
	case coord.TimerFired:
		s.fired = append(s.fired, ev.Key.Group)
		if s.onFire != nil {
			return s.onFire(ev.Key)
		}
	}
	return fx
}

func (s *scripted) Apply(offset int64, _ record.Record) { s.applied = append(s.applied, offset) }

func (s *scripted) Restore(vtime.Instant) coord.Effects {
	return coord.Effects{Notes: []coord.Note{note("restored")}}
}

// active is a runtime over a loaded shard of a log of ten records.
func active(t interface{ Fatal(...any) }) (*Runtime, *scripted) {
	s := &scripted{}
	r := New(func() coord.Shard { return s })
	r.Load()
	r.Replay(9, &record.GroupMetadata{Group: "g"})
	out := r.Loaded(0, 10)
	if diff := cmp.Diff(Output{Notes: []TimedNote{{0, note("restored")}}}, out); diff != "" {
		t.Fatal(diff)
	}
	return r, s
}

func answered(out Output) (ids []coord.ReplyID) {
	for _, a := range out.Replies {
		ids = append(ids, a.To)
	}
	return ids
}

func TestAnAnswerWithoutRecordsLeavesAtOnce(t *testing.T) {
	r, _ := active(t)
	out := r.Request(5, 1, order{reply: 1, note: "seen"})
	want := Output{Replies: []coord.Reply{{To: 1, Body: 1}}, Notes: []TimedNote{{5, note("seen")}}}
	if diff := cmp.Diff(want, out); diff != "" {
		t.Error(diff)
	}
	if _, ok := r.Batch(); ok {
		t.Error("there is nothing to append")
	}
}

func TestAnAnswerWaitsForItsRecordsAndForAllEarlierOnes(t *testing.T) {
	r, s := active(t)
	write := r.Request(1, 1, order{reply: 1, records: 2, note: "wrote"})
	read := r.Request(2, 2, order{reply: 2}) // it may tell of what was written
	if got := append(answered(write), answered(read)...); got != nil {
		t.Errorf("answered %v before anything was committed", got)
	}
	if diff := cmp.Diff([]int64{9, 10, 11}, s.applied); diff != "" {
		t.Errorf("records are applied at the offsets they will get: %s", diff)
	}
	b, ok := r.Batch()
	if !ok || b.BaseOffset != 10 || b.End != 12 || len(b.Steps) != 1 {
		t.Fatalf("batch %+v %v", b, ok)
	}
	if out := r.Committed(11); len(out.Replies) != 0 {
		t.Errorf("answered %v when half of the step was committed", answered(out))
	}
	out := r.Committed(12)
	if diff := cmp.Diff([]coord.ReplyID{1, 2}, answered(out)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]TimedNote{{1, note("wrote")}}, out.Notes); diff != "" {
		t.Errorf("a note bears the time of its step: %s", diff)
	}
	if !r.Settled() {
		t.Error("not settled")
	}
}

func TestTwoBatchesAreInFlightAndTheNextGathersMeanwhile(t *testing.T) {
	r, _ := active(t)
	r.Request(1, 1, order{reply: 1, records: 1})
	if _, ok := r.Batch(); !ok {
		t.Fatal("no batch")
	}
	r.Request(2, 2, order{reply: 2, records: 1})
	if b, ok := r.Batch(); !ok || b.BaseOffset != 11 || b.End != 12 {
		t.Fatalf("batch %+v %v beside one in flight", b, ok)
	}
	r.Request(3, 3, order{reply: 3, records: 2})
	r.Request(4, 4, order{reply: 4, records: 3})
	if b, ok := r.Batch(); ok {
		t.Fatalf("%+v beside two in flight", b)
	}
	if got := answered(r.Committed(11)); !slices.Equal(got, []coord.ReplyID{1}) {
		t.Errorf("answered %v when the first batch was committed", got)
	}
	b, ok := r.Batch()
	if !ok || len(b.Steps) != 2 || b.BaseOffset != 12 || b.End != 17 {
		t.Fatalf("batch %+v %v, want both steps together", b, ok)
	}
	if got := answered(r.Committed(17)); !slices.Equal(got, []coord.ReplyID{2, 3, 4}) {
		t.Errorf("answered %v", got)
	}
}

func TestWhoAsksNoCoordinatorHearsWhy(t *testing.T) {
	r := New(func() coord.Shard { return &scripted{} })
	hears := func(want kafka.ErrorCode) {
		t.Helper()
		out := r.Request(0, 7, order{reply: 7})
		if diff := cmp.Diff([]coord.Reply{{To: 7, Body: coord.Refused{Code: want}}}, out.Replies); diff != "" {
			t.Error(diff)
		}
		if out := r.Request(0, 0, order{}); len(out.Replies) != 0 {
			t.Error("an event without an asker was answered")
		}
	}
	hears(kafka.NotCoordinator)
	r.Load()
	hears(kafka.CoordinatorLoadInProgress)
	r.Loaded(0, 0)
	r.Drop()
	hears(kafka.NotCoordinator)
}

func TestADropAnswersEverybodyOnceAndForgetsTheRest(t *testing.T) {
	r, _ := active(t)
	r.Request(1, 4, order{})                     // parked by the shard
	r.Request(1, 3, order{reply: 3, records: 1}) // parked by the log
	r.Request(1, 0, order{timers: []coord.TimerOp{{Key: coord.TimerKey{Group: "a"}, At: 2}}})
	if got := answered(r.Drop()); !slices.Equal(got, []coord.ReplyID{3, 4}) {
		t.Errorf("answered %v, want everybody, in order", got)
	}
	if got := answered(r.Drop()); got != nil {
		t.Errorf("answered %v a second time", got)
	}
	if _, ok := r.Next(); ok {
		t.Error("a timer outlived its shard")
	}
	if out := r.Committed(100); len(out.Replies) != 0 {
		t.Errorf("%+v came out of a dropped shard", out)
	}
	r.Load()
	r.Loaded(5, 11)
	if got := answered(r.Request(6, 9, order{reply: 9})); !slices.Equal(got, []coord.ReplyID{9}) {
		t.Errorf("the next shard answers %v", got)
	}
}

func TestTimersFireInOrderAndACancelledOneNever(t *testing.T) {
	r, s := active(t)
	arm := func(group string, at vtime.Instant) coord.TimerOp {
		return coord.TimerOp{Key: coord.TimerKey{Group: group}, At: at}
	}
	cancel := func(group string) coord.TimerOp {
		return coord.TimerOp{Key: coord.TimerKey{Group: group}, Cancel: true}
	}
	r.Request(0, 0, order{timers: []coord.TimerOp{arm("c", 30), arm("a", 10), arm("a2", 10), arm("b", 20), arm("moved", 5), arm("gone", 6), cancel("gone"), arm("moved", 25), cancel("never")}})
	if at, ok := r.Next(); !ok || at != 10 {
		t.Errorf("Next is %v %v", at, ok)
	}
	s.onFire = func(key coord.TimerKey) coord.Effects {
		if key.Group == "a" {
			return coord.Effects{Timers: []coord.TimerOp{cancel("b")}} // b is due in the same Tick
		}
		return coord.Effects{}
	}
	r.Tick(29)
	if diff := cmp.Diff([]string{"a", "a2", "moved"}, s.fired); diff != "" {
		t.Error(diff)
	}
	r.Tick(30)
	if diff := cmp.Diff([]string{"a", "a2", "moved", "c"}, s.fired); diff != "" {
		t.Error(diff)
	}
}

func TestATimerThatAlwaysComesBackDoesNotHoldUpTick(t *testing.T) {
	r, s := active(t)
	again := coord.Effects{Timers: []coord.TimerOp{{Key: coord.TimerKey{Group: "again"}, At: 1}}}
	s.onFire = func(coord.TimerKey) coord.Effects { return again }
	r.Request(0, 0, order{timers: again.Timers})
	r.Tick(5)
	r.Tick(5)
	if len(s.fired) != 2 {
		t.Errorf("fired %d times in two Ticks", len(s.fired))
	}
}

func TestAnAnswerNobodyAskedForIsAFaultOfTheProgram(t *testing.T) {
	r, _ := active(t)
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	r.Request(1, 1, order{reply: 2})
}

// TestHoldsItsPromises walks at random beside a dumb twin: a list of who waits for which offset.
func TestHoldsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, _ := active(t)
		now, end, taken, committed := vtime.Instant(0), int64(10), int64(10), int64(10)
		var flying []int64 // the ends of batches
		last := coord.ReplyID(0)
		var parkedInShard []coord.ReplyID
		type waiting struct {
			id    coord.ReplyID
			after int64
		}
		var wait []waiting
		expect := func(out Output) {
			var want []coord.ReplyID
			for len(wait) > 0 && wait[0].after <= committed {
				want = append(want, wait[0].id)
				wait = wait[1:]
			}
			if got := answered(out); !slices.Equal(got, want) {
				t.Fatalf("answered %v, want %v (committed %d, end %d)", got, want, committed, end)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"request": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "later")))
				last++
				o := order{records: rapid.IntRange(0, 3).Draw(t, "records")}
				if rapid.Bool().Draw(t, "answers") {
					o.reply = last
				} else {
					parkedInShard = append(parkedInShard, last)
				}
				if n := len(parkedInShard); n > 0 && rapid.Bool().Draw(t, "answers another") {
					i := rapid.IntRange(0, n-1).Draw(t, "which")
					o.later = parkedInShard[i]
					parkedInShard = slices.Delete(parkedInShard, i, i+1)
				}
				end += int64(o.records)
				for _, id := range []coord.ReplyID{o.reply, o.later} {
					if id != 0 {
						wait = append(wait, waiting{id, end})
					}
				}
				expect(r.Request(now, last, o))
			},
			"append": func(t *rapid.T) {
				b, ok := r.Batch()
				flying = slices.DeleteFunc(flying, func(end int64) bool { return end <= committed })
				if want := end > taken && len(flying) < 2; ok != want {
					t.Fatalf("batch %v, want %v (taken %d, committed %d, end %d)", ok, want, taken, committed, end)
				}
				if ok && (b.BaseOffset != taken || b.End != end) {
					t.Fatalf("batch %+v, want [%d, %d)", b, taken, end)
				}
				if ok {
					taken = end
					flying = append(flying, end)
				}
			},
			"commit": func(t *rapid.T) {
				to := rapid.Int64Range(0, taken+2).Draw(t, "to")
				committed = max(committed, min(to, taken))
				expect(r.Committed(to))
			},
			"drop": func(t *rapid.T) {
				var want []coord.ReplyID
				for _, w := range wait {
					want = append(want, w.id)
				}
				want = append(want, parkedInShard...)
				slices.Sort(want)
				if got := answered(r.Drop()); !slices.Equal(got, want) {
					t.Fatalf("a drop answered %v, want %v", got, want)
				}
				wait, parkedInShard, flying = nil, nil, nil
				end, taken, committed = 50, 50, 50
				r.Load()
				r.Loaded(now, 50)
			},
			"": func(t *rapid.T) {
				if r.Settled() != (committed == end) {
					t.Fatalf("Settled is %v at committed %d, end %d", r.Settled(), committed, end)
				}
			},
		})
	})
}
