package journal

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// latestOf is what a world has recorded, each incident as it stands.
func (w *world) latestOf() (out []Incident) {
	for _, id := range w.order {
		out = append(out, w.latest[id])
	}
	return out
}

func found(findings []Finding, d Detector) *Finding {
	for i := range findings {
		if findings[i].Detector == d {
			return &findings[i]
		}
	}
	return nil
}

const twoAtWork = "settings delay=0s\ntopic t=4\nstart A rebalance=60s\nadvance 5s\nstart B rebalance=60s\nadvance 60s\n"

// TestDetectorsFindWhatIsThere plays histories that a detector is for; the text is what the finding must say, with its numbers.
func TestDetectorsFindWhatIsThere(t *testing.T) {
	cycle := func(n int, lines string) string { return strings.Repeat(lines, n) }
	for _, c := range []struct {
		name, story string
		want        map[Detector]string
	}{
		{"a quiet group has no findings but idle ones", twoAtWork + "start C rebalance=60s\nadvance 20m", map[Detector]string{WastedRebalance: ""}},
		{"a member that is restarted every minute", twoAtWork + cycle(4, "close B\nadvance 20s\nstart B rebalance=60s\nadvance 40s\n"),
			map[Detector]string{Storm: "10 rebalances within 4m27s", FlappingMember: "B at 10.0.0.2 set off 9 rebalances within 4m20s, one every 40s or so", NeverStable: "never Stable for longer than 2m"}},
		{"a batch that is too long, again and again", "settings delay=0s\ntopic t=1\nstart A rebalance=60s\nadvance 9s\nbusy A\n" + cycle(3, "advance 60s\npoll-timeout A\nadvance 30s\nnext-batch A\n") + "advance 3m",
			map[Detector]string{SlowBatchLivelock: "A at 10.0.0.1 exceeded max.poll.interval.ms 3 times, and t-0 stood at offset 1060 each time", DuplicateWindow: "records were delivered twice"}},
		{"more members than partitions", "settings delay=0s\ntopic t=2\nstart A\nadvance 30s\nstart B\nadvance 30s\nstart C\nadvance 30s\nstart D\nadvance 60s",
			map[Detector]string{IdleMembers: "2 members are without a partition for 2 generations: 4 members share 2 partitions"}},
		{"a leader that enforces rebalances", twoAtWork + "rejoin A because rebalance enforced by user\nadvance 60s\nrejoin A because rebalance enforced by user\nadvance 60s",
			map[Detector]string{WastedRebalance: "2 rebalances changed nothing; most often the leader asked for a rebalance"}},
		{"an autoscaler that swings", twoAtWork + cycle(3, "start C rebalance=60s host=10.0.1.%d\nadvance 10m\nclose C\nadvance 11m\n"),
			map[Detector]string{ScalerOscillation: "with a period of about 21m"}},
		{"a host with two members is lost", twoAtWork + "start C host=10.0.0.2 rebalance=60s\nadvance 60s\nkill B\nkill C\nadvance 3m",
			map[Detector]string{CorrelatedFailures: "all of them on 10.0.0.2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			for i, l := range strings.Split(c.story, "\n") {
				if strings.Contains(l, "%d") {
					l = fmt.Sprintf(l, i)
				}
				w.play(t, l)
			}
			findings := Detect(w.latestOf(), Window{})
			for d, text := range c.want {
				f := found(findings, d)
				switch {
				case text == "" && f != nil:
					t.Errorf("%s: %s; want none", d, f.Text)
				case text != "" && (f == nil || !strings.Contains(f.Text, text)):
					t.Errorf("%s: %+v; want %q\n%s", d, f, text, table(w.latestOf()))
				case f != nil && (len(f.Incidents) == 0 || f.Title == "" || len(f.Evidence) == 0):
					t.Errorf("%s rests on nothing: %+v", d, f)
				}
			}
			// The order of what is handed in must not matter.
			all := w.latestOf()
			for i, j := 0, len(all)-1; i < j; i, j = i+1, j-1 {
				all[i], all[j] = all[j], all[i]
			}
			if d := cmp.Diff(findings, Detect(all, Window{})); d != "" {
				t.Fatal(d)
			}
		})
	}
}

func ptr[T any](v T) *T { return &v }

// TestDetectorsByTheNumbers checks rules on incidents made by hand: at the threshold, and just below it.
func TestDetectorsByTheNumbers(t *testing.T) {
	at := func(minutes float64) Time { return Time(start.Add(time.Duration(minutes * float64(time.Minute)))) }
	incident := func(minutes float64, edit func(*Incident)) Incident {
		w := Who{ID: "b-1", Client: "b", Host: "/h"}
		inc := Incident{ID: fmt.Sprint(minutes), Group: "g", Kind: Rebalance, Stage: Closed, Began: at(minutes), Ended: ptr(at(minutes + .1)), Took: ptr(Millis(6 * time.Second)), StateAfter: "Stable", Trigger: Trigger{Kind: MemberLeft, Member: &w}}
		inc.Cause = GracefulClose
		inc.Trigger.Cause = GracefulClose
		if edit != nil {
			edit(&inc)
		}
		return inc
	}
	at4 := func(edit func(i int, inc *Incident), minutes ...float64) (out []Incident) {
		for i, m := range minutes {
			out = append(out, incident(m, func(inc *Incident) {
				if edit != nil {
					edit(i, inc)
				}
			}))
		}
		return out
	}
	stuckAt := func(offsets ...int64) []Incident {
		return at4(func(i int, inc *Incident) {
			inc.Cause, inc.Trigger.Cause = SessionTimeout, SessionTimeout
			inc.Trigger.Kind = SessionExpired
			inc.Partitions = []Partition{{Topic: "t", From: "b-1", To: "a", Committed: &offsets[i]}}
		}, 0, 11, 22)
	}
	members := func(has ...int) []Incident {
		return at4(func(_ int, inc *Incident) {
			for i, n := range has {
				inc.Members = append(inc.Members, Member{Who: Who{Client: fmt.Sprint(i)}, Has: &n})
			}
		}, 0)
	}
	lags := func(after ...int64) []Incident {
		return at4(func(_ int, inc *Incident) {
			for i, n := range after {
				inc.Partitions = append(inc.Partitions, Partition{Topic: "t", Partition: int32(i), LagAfter: &n})
			}
		}, 0)
	}
	grown := func(pairs ...int64) []Incident {
		return at4(func(i int, inc *Incident) {
			inc.Cost = &Cost{LagBefore: &pairs[2*i], LagAfter: &pairs[2*i+1]}
		}, 0, 20)
	}
	owner := func(lagBefore, lag int64, commit, fetch *Millis) Window {
		return Window{Live: []LiveOwner{{Who: Who{Client: "b"}, Group: "g", Topic: "t", Lag: lag, LagBefore: lagBefore, CommitSilence: commit, FetchSilence: fetch}}}
	}
	long, short := ptr(Millis(2*time.Minute)), ptr(Millis(time.Second))
	for _, c := range []struct {
		name      string
		incidents []Incident
		window    Window
		d         Detector
		want      string
	}{
		{"five in ten minutes are a storm", at4(nil, 0, 2, 4, 6, 9), Window{}, Storm, "5 rebalances within"},
		{"four are not", at4(nil, 0, 2, 4, 6), Window{}, Storm, ""},
		{"nor are five in an hour", at4(nil, 0, 15, 30, 45, 60), Window{}, Storm, ""},
		{"a fifth of the time is", at4(func(_ int, inc *Incident) { inc.Took = ptr(Millis(3 * time.Minute)) }, 0, 14), Window{From: at(0), To: at(30)}, Storm, "2 rebalances"},
		{"three by one member in half an hour", at4(nil, 0, 14, 29), Window{}, FlappingMember, "b at h set off 3 rebalances"},
		{"not in an hour", at4(nil, 0, 29, 59), Window{}, FlappingMember, ""},
		{"dies at the same record", stuckAt(7, 7, 7), Window{}, RestartLoop, "offset 7 each time"},
		{"dies, and gets on", stuckAt(7, 7, 8), Window{}, RestartLoop, ""},
		{"more than half again the mean", members(4, 1, 1), Window{}, Unbalanced, "4 of 6 partitions, 2.0 times the mean"},
		{"one more than the others is even", members(2, 1, 1), Window{}, Unbalanced, ""},
		{"one partition holds the lag", lags(600, 10, 500), Window{}, HotPartition, "t-0 holds 600 of 1,110 records of lag, 54%"},
		{"a little lag does not count", lags(99, 0, 0), Window{}, HotPartition, ""},
		{"rebalances make the lag", grown(0, 600, 700, 1000), Window{}, LagByRebalance, "1,000 records, 90% of it"},
		{"something else makes it", grown(0, 100, 2000, 2100), Window{}, LagByRebalance, ""},
		{"holds a partition and does nothing", nil, owner(10, 20, long, long), StuckOwner, "has committed nothing for 2m"},
		{"is idle since there is nothing", nil, owner(0, 0, long, long), StuckOwner, ""},
		{"fetches", nil, owner(10, 20, long, short), StuckOwner, ""},
		{"whether it fetches is not known", nil, owner(10, 20, long, nil), StuckOwner, "is not known"},
		{"commits", nil, owner(10, 20, short, nil), StuckOwner, ""},
		{"moved three times what had to", at4(func(_ int, inc *Incident) { inc.Moves = &Moves{Before: 9, After: 9, Moved: 6, Minimum: ptr(2)} }, 0), Window{}, WastedRebalance, "6 partitions moved in 1 rebalance where 2 would have done"},
		{"moved twice that", at4(func(_ int, inc *Incident) { inc.Moves = &Moves{Before: 9, After: 9, Moved: 4, Minimum: ptr(2)} }, 0), Window{}, WastedRebalance, ""},
		{"two groups lose members at once", at4(func(i int, inc *Incident) {
			inc.Cause, inc.Trigger.Kind, inc.Trigger.Cause, inc.Group = SessionTimeout, SessionExpired, SessionTimeout, fmt.Sprint("g", i)
		}, 0, .05), Window{}, CorrelatedFailures, "members of 2 groups"},
		{"a minute apart", at4(func(i int, inc *Incident) {
			inc.Cause, inc.Trigger.Kind, inc.Trigger.Cause, inc.Group = SessionTimeout, SessionExpired, SessionTimeout, fmt.Sprint("g", i)
		}, 0, 1), Window{}, CorrelatedFailures, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := found(Detect(c.incidents, c.window), c.d)
			if c.want == "" && f != nil || c.want != "" && (f == nil || !strings.Contains(f.Text, c.want)) {
				t.Fatalf("%+v; want %q", f, c.want)
			}
		})
	}
}

// TestPollAdviceComputes: the numbers of a report that is often quoted; and never one that was not given.
func TestPollAdviceComputes(t *testing.T) {
	a := PollAdvice(300*time.Second, 500, 1500*time.Millisecond)[0]
	want := Advice{Text: "Take fewer records per poll, so that a batch is done in half the poll interval.", Setting: "max.poll.records", Value: "100",
		Arithmetic: "500 x 1.5 s = 750 s > 300 s; 300,000 ms / 1,500 ms = 200 at the very most; x 0.5 = 100"}
	if d := cmp.Diff(want, a); d != "" {
		t.Fatal(d)
	}
	for _, c := range []struct {
		limit   time.Duration
		records int
		per     time.Duration
		needs   []string
	}{{0, 0, 0, []string{"time per record", "max.poll.interval.ms", "max.poll.records"}}, {time.Minute, 500, 0, []string{"time per record"}}, {0, 500, time.Second, []string{"max.poll.interval.ms"}}} {
		a := PollAdvice(c.limit, c.records, c.per)[0]
		if a.Value != "" || strings.ContainsAny(strings.ReplaceAll(a.Arithmetic, "0.5", ""), "0123456789") {
			t.Errorf("%+v gives %+v", c, a)
		}
		if d := cmp.Diff(c.needs, a.Needs); d != "" {
			t.Error(d)
		}
	}
	// What fits already is no advice; and no product is too large to be told.
	if a := PollAdvice(300*time.Second, 100, 1500*time.Millisecond)[0]; a.Value != "" || a.Setting != "" || a.Arithmetic != "100 x 1.5 s = 150 s <= 300 s" || len(a.Needs) != 1 {
		t.Errorf("a batch with room: %+v", a)
	}
	if a := PollAdvice(300*time.Second, 101, 1500*time.Millisecond)[0]; a.Value != "100" {
		t.Errorf("one record too many: %+v", a)
	}
	if sum := PollSum(time.Second, math.MaxInt, time.Hour); !strings.Contains(sum, " > 1 s") {
		t.Errorf("%q", sum)
	}
	if a := PollAdvice(10*time.Second, 1, 20*time.Second)[0]; a.Setting != "max.poll.interval.ms" || a.Value != "40000" {
		t.Errorf("one record that is longer than the interval: %+v", a)
	}
}

func TestReasons(t *testing.T) {
	for reason, want := range map[string]Cause{"The consumer is being closed": GracefulClose, "consumer poll timeout has expired.": PollInterval, "member was removed by an admin: drain": AdminRemoval, "client leaving group per normal operation": GracefulClose} {
		if got, known := LeaveReason(reason); got != want || !known {
			t.Errorf("%q: %s, %v", reason, got, known)
		}
	}
	for reason, want := range map[string]Cause{"need to re-join with the given member-id: x": Unknown, "cached metadata has changed from x": PartitionCount, "rebalance failed due to WakeupException": FailedRebalance, "after revoking what we lost from a rebalance": CooperativeRound,
		"encountered ILLEGAL_GENERATION from OFFSET_COMMIT response": RejectedCommit, "encountered UNKNOWN_MEMBER_ID from HEARTBEAT response": FailedRebalance} {
		if got, known := JoinReason(reason); got != want || !known {
			t.Errorf("%q: %s, %v", reason, got, known)
		}
	}
	if _, known := LeaveReason("because I say so"); known {
		t.Error("an application's own words are nobody's")
	}
}
