package console

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/barnabas-mq/barnabas/internal/journal"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

var noon = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

func jt(t time.Time) journal.Time { return journal.Time(vtime.FromTime(t)) }

// anyHistory draws incidents that need not make sense: they come from a topic that anybody with a client may have written to.
func anyHistory(t *rapid.T) ([]journal.Incident, *Group) {
	id := func(label string) string { return fmt.Sprintf("m%d", rapid.IntRange(0, 12).Draw(t, label)) }
	parts := func(label string) (out []journal.TopicPartitions) {
		for range rapid.IntRange(0, 2).Draw(t, label+" topics") {
			tp := journal.TopicPartitions{Topic: rapid.SampledFrom([]string{"a", "b", "<"}).Draw(t, label+" topic")}
			for range rapid.IntRange(0, 4).Draw(t, label+" n") {
				tp.Partitions = append(tp.Partitions, rapid.Int32Range(-1, 6).Draw(t, label))
			}
			out = append(out, tp)
		}
		return out
	}
	moment := func(label string) journal.Time {
		return jt(noon.Add(time.Duration(rapid.Int64Range(-int64(3*time.Hour), int64(3*time.Hour)).Draw(t, label))))
	}
	maybe := func(label string) *journal.Time {
		if !rapid.Bool().Draw(t, label+"?") {
			return nil
		}
		m := moment(label)
		return &m
	}
	number := func(label string) *int {
		if !rapid.Bool().Draw(t, label+"?") {
			return nil
		}
		n := rapid.IntRange(0, 9).Draw(t, label)
		return &n
	}
	who := func() journal.Who {
		return journal.Who{ID: id("id"), Client: rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "client"), Host: "/h", Instance: rapid.SampledFrom([]string{"", "", "i"}).Draw(t, "instance")}
	}
	var out []journal.Incident
	for i := range rapid.IntRange(0, 8).Draw(t, "incidents") {
		in := journal.Incident{ID: fmt.Sprint(i), Group: "g", Began: moment("began"), Ended: maybe("ended"), Kind: rapid.SampledFrom([]journal.Kind{journal.Rebalance, journal.Rebalance, journal.Absorbed, "?"}).Draw(t, "kind"),
			Stage: rapid.SampledFrom([]journal.Stage{journal.Opened, journal.Closed, journal.Amended}).Draw(t, "stage"), Cooperative: rapid.Bool().Draw(t, "cooperative")}
		in.Cause = rapid.SampledFrom([]journal.Cause{"", "C07", "C99"}).Draw(t, "cause")
		for range rapid.IntRange(0, 6).Draw(t, "members") {
			in.Members = append(in.Members, journal.Member{Who: who(), Change: rapid.SampledFrom([]journal.Change{journal.Stayed, journal.Joined, journal.Gone, journal.Replaced, journal.Passed}).Draw(t, "change"),
				Was: rapid.SampledFrom([]string{"", "m1"}).Draw(t, "was"), Kept: parts("kept"), Gained: parts("gained"), Lost: parts("lost"), Had: number("had"), Has: number("has"),
				Told: maybe("told"), Arrived: maybe("arrived"), Synced: maybe("synced")})
		}
		for range rapid.IntRange(0, 3).Draw(t, "phases") {
			in.Phases = append(in.Phases, journal.Phase{Name: rapid.SampledFrom([]journal.PhaseName{journal.Drain, journal.Sync, "?"}).Draw(t, "phase"), Start: moment("start"), End: maybe("end")})
		}
		if rapid.Bool().Draw(t, "moves") {
			in.Moves = &journal.Moves{}
		}
		out = append(out, in)
	}
	if rapid.Bool().Draw(t, "no group") {
		return out, nil
	}
	g := &Group{}
	for range rapid.IntRange(0, 5).Draw(t, "now") {
		g.MemberList = append(g.MemberList, Member{Who: who(), Assigned: parts("assigned")})
	}
	return out, g
}

// TestAnyHistoryIsDrawn: whatever the journal holds, there is a drawing, inside of its frame, and the same one each time.
func TestAnyHistoryIsDrawn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		incidents, g := anyHistory(t)
		from := noon.Add(-time.Duration(rapid.Int64Range(1, int64(4*time.Hour)).Draw(t, "from")))
		to := from.Add(time.Duration(rapid.Int64Range(int64(spanMin), int64(5*time.Hour)).Draw(t, "span")))
		width := rapid.IntRange(300, 2400).Draw(t, "width")
		d := draw(newHistory(incidents, g, from, to), width, noon, wordsFor("en"))
		inside := func(what string, x float64) {
			if math.IsNaN(x) || x < 0 || x > float64(width)+1 {
				t.Fatalf("%s at %v of %d", what, x, width)
			}
		}
		for _, c := range d.Columns {
			inside("an incident", c.X)
			inside("an incident's end", c.X+c.W-2)
			inside("a flag", c.FlagX)
			for _, ph := range c.Phases {
				inside("a phase", ph.X)
				inside("a phase's end", ph.X+ph.W-2)
			}
		}
		for _, l := range d.Lanes {
			if l.Y < d.Top-1e-6 || l.Y+l.H > d.Bottom+1e-6 {
				t.Fatalf("a lane from %v to %v, the plot is from %v to %v", l.Y, l.Y+l.H, d.Top, d.Bottom)
			}
			for _, s := range l.Spans {
				inside("a span", s.X)
				inside("a span's end", s.X+s.W-1)
			}
		}
		for _, r := range d.Ribbons {
			if strings.Contains(r.Own+r.Gap+r.Moved, "NaN") {
				t.Fatalf("%+v", r)
			}
		}
		for _, m := range d.Marks {
			inside("a mark", m.X)
		}
		if again := draw(newHistory(incidents, g, from, to), width, noon, wordsFor("en")); fmt.Sprint(again) != fmt.Sprint(d) {
			t.Fatal("the same history is drawn in two ways")
		}
	})
}

// evenly is a group of so many members that share so many partitions, and rebalances without a change so many times.
func evenly(members, partitions, times int) []journal.Incident {
	var out []journal.Incident
	for k := range times {
		in := journal.Incident{ID: fmt.Sprint(k), Kind: journal.Rebalance, Stage: journal.Closed, Began: jt(noon.Add(time.Duration(k-times) * time.Minute)), Moves: &journal.Moves{}}
		end := jt(in.Began.Instant().Time().Add(time.Second))
		in.Ended = &end
		for m := range members {
			n := partitions / members
			kept := journal.TopicPartitions{Topic: "t"}
			for p := range n {
				kept.Partitions = append(kept.Partitions, int32(m*n+p))
			}
			in.Members = append(in.Members, journal.Member{Who: journal.Who{ID: fmt.Sprint("m", m), Client: fmt.Sprint("c", m), Host: "/h"}, Change: journal.Stayed, Had: &n, Has: &n, Kept: []journal.TopicPartitions{kept}})
		}
		out = append(out, in)
	}
	return out
}

func TestLargeGroupsAreSummedUp(t *testing.T) {
	for name, c := range map[string]struct {
		members, partitions, times int
		lanes                      int
		folded, banded, dropped    bool
	}{
		"as many lanes as fit":            {200, 200, 3, 200, false, false, false},
		"one lane too many":               {201, 201, 3, 200, true, true, false},
		"as many ribbons as fit":          {10, 100, 49, 10, false, false, false},
		"some ribbons too many":           {10, 100, 51, 10, false, true, false},
		"ten thousand members":            {10_000, 10_000, 2, 200, true, true, false},
		"more incidents than points":      {200, 400, 150, 200, false, true, true},
		"more partitions than ribbons":    {3, 9_000, 1, 3, false, true, false},
		"very many incidents of one lane": {1, 1, 500, 1, false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHistory(evenly(c.members, c.partitions, c.times), nil, noon.Add(-8*time.Hour), noon)
			d := draw(h, 1000, noon, wordsFor("en"))
			if len(d.Lanes) != c.lanes || d.Folded != c.folded || d.Banded != c.banded || d.Older != c.dropped || (d.Undrawn > d.Left) != c.dropped {
				t.Errorf("%d lanes, folded %v, summed up %v, older ones %v, drawn from %v", len(d.Lanes), d.Folded, d.Banded, d.Older, d.Undrawn)
			}
			size, ribbons := 0, len(d.Bands)
			for _, b := range d.Bands {
				size += len(b.D)
			}
			for _, r := range d.Ribbons {
				size += len(r.Own) + len(r.Gap) + len(r.Moved)
				ribbons += strings.Count(r.Own, "M") + strings.Count(r.Gap, "M") + strings.Count(r.Moved, "M")
			}
			if size > 1<<20 || ribbons > 2*ribbonsMax {
				t.Errorf("%d bytes of paths, %d ribbons", size, ribbons)
			}
		})
	}
}

// A client that comes back under a new id takes the lane it had; two that are there at once do not share one.
func TestAReturningMemberTakesItsLane(t *testing.T) {
	a, b := journal.Who{ID: "a1", Client: "app", Host: "/h"}, journal.Who{ID: "b1", Client: "app", Host: "/h"}
	a2 := journal.Who{ID: "a2", Client: "app", Host: "/h"}
	at := func(minute int, members ...journal.Member) journal.Incident {
		end := jt(noon.Add(time.Duration(minute)*time.Minute + time.Second))
		return journal.Incident{ID: fmt.Sprint(minute), Kind: journal.Rebalance, Stage: journal.Closed, Began: jt(noon.Add(time.Duration(minute) * time.Minute)), Ended: &end, Members: members, Moves: &journal.Moves{}}
	}
	h := newHistory([]journal.Incident{
		at(1, journal.Member{Who: a, Change: journal.Joined}, journal.Member{Who: b, Change: journal.Joined}),
		at(2, journal.Member{Who: a, Change: journal.Gone}, journal.Member{Who: b, Change: journal.Stayed}),
		at(3, journal.Member{Who: b, Change: journal.Stayed}, journal.Member{Who: a2, Change: journal.Joined}),
	}, nil, noon, noon.Add(5*time.Minute))
	if len(h.lanes) != 2 || h.laneOf[2]["a2"] != h.laneOf[0]["a1"] || h.laneOf[2]["b1"] == h.laneOf[2]["a2"] {
		t.Fatalf("%d lanes: %v", len(h.lanes), h.laneOf)
	}
	spans := h.lanes[h.laneOf[0]["a1"]].spans
	if len(spans) != 2 || !spans[0].gone || !spans[0].to.Equal(noon.Add(2*time.Minute)) || !spans[1].from.Equal(noon.Add(3*time.Minute)) {
		t.Errorf("its times: %+v", spans)
	}
}

// In every stretch a partition has one place at most, and every move leads from the owner before to the owner after.
func TestRibbonsFollowTheOwners(t *testing.T) {
	one, two := 1, 2
	in := journal.Incident{ID: "x", Kind: journal.Rebalance, Stage: journal.Closed, Cooperative: true, Began: jt(noon.Add(time.Minute)), Moves: &journal.Moves{Moved: 1}}
	end := jt(noon.Add(2 * time.Minute))
	in.Ended = &end
	tp := func(ps ...int32) []journal.TopicPartitions {
		return []journal.TopicPartitions{{Topic: "t", Partitions: ps}}
	}
	in.Members = []journal.Member{
		{Who: journal.Who{ID: "a", Client: "a", Host: "/h"}, Change: journal.Stayed, Had: &two, Has: &one, Kept: tp(0), Lost: tp(1)},
		{Who: journal.Who{ID: "b", Client: "b", Host: "/h"}, Change: journal.Joined, Has: &one, Gained: tp(1)},
	}
	d := draw(newHistory([]journal.Incident{in}, nil, noon, noon.Add(4*time.Minute)), 1000, noon.Add(4*time.Minute), wordsFor("en"))
	slices.SortFunc(d.Ribbons, func(a, b ribbon) int { return cmp.Compare(a.Title, b.Title) })
	if len(d.Ribbons) != 2 || d.Ribbons[0].Moved != "" || d.Ribbons[0].Title != "t-0: a at h" || d.Ribbons[1].Title != "t-1: a at h → b at h" {
		t.Fatalf("%+v", d.Ribbons)
	}
	// From the first lane to the second while the incident lasts: 176 + 812/4 to 176 + 812/2 pixels.
	if moved := d.Ribbons[1].Moved; !strings.HasPrefix(moved, "M379,") || !strings.Contains(moved, " 582,") {
		t.Errorf("the move is %s", moved)
	}
}

func TestShown(t *testing.T) {
	for in, want := range map[string]string{
		"orders": "orders", "": "", "größe 订单 é": "größe 订单 é", "a\nb": `a\u000ab`, "\x00": `\u0000`, "a\u202eb": `a\u202eb`, "\u200b": `\u200b`, "\xff": `\xff`, "�": "�", "\U000e0041": `\U000e0041`,
		"\u00a0": `\u00a0`, "\u2028": `\u2028`, "\u3164": `\u3164`, strings.Repeat("x", 200): strings.Repeat("x", 160) + "…",
	} {
		if got := shown(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	i := func(n int64) *int64 { return &n }
	f := func(n float64) *float64 { return &n }
	for _, c := range []struct{ got, want string }{
		{count(0), "0"}, {count(999), "999"}, {count(1000), "1,000"}, {count(-1234567), "-1,234,567"}, {countOrNot(nil), "–"}, {size(nil), "–"}, {size(i(512)), "512 B"}, {size(i(1536)), "1.5 KiB"},
		{size(i(1 << 40)), "1 TiB"}, {rate(f(0)), "0/s"}, {rate(f(1234.4)), "1,234/s"}, {byteRate(f(2048)), "2 KiB/s"}, {percent(nil), "–"}, {percent(f(0)), "0%"}, {percent(f(.0004)), "<0.1%"},
		{percent(f(.012)), "1.2%"}, {percent(f(.25)), "25%"}, {percent(f(1)), "100%"}, {partitionList([]int32{0, 1, 2, 5, 7, 8}), "0-2, 5, 7, 8"}, {partitionList(nil), ""},
		{wordsFor("en").ago(90 * time.Second), "1 min ago"}, {wordsFor("zh").ago(3 * time.Hour), "3 小时前"}, {shorten("a long name", 11, 30), "a l…"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

// What is too old for the picture is not drawn as if it had been quiet.
func TestWhatIsNotDrawnIsSaid(t *testing.T) {
	list := evenly(3, 6, 5)
	h := newHistory(list, nil, noon.Add(-8*time.Hour), noon)
	h.older = true
	d := draw(h, 1000, noon, wordsFor("en"))
	oldest := list[0].Began
	for i := range list {
		oldest = min(oldest, list[i].Began)
	}
	if want := d.Left + (d.Right-d.Left)*float64(oldest.Instant().Time().Sub(noon.Add(-8*time.Hour)))/float64(8*time.Hour); d.Undrawn < want-1 || d.Undrawn > want+1 {
		t.Errorf("drawn from %v, the oldest incident is at %v", d.Undrawn, want)
	}
	for _, l := range d.Lanes {
		for _, s := range l.Spans {
			if s.X < d.Undrawn {
				t.Errorf("%s is there from %v on", l.Label, s.X)
			}
		}
	}
	for _, r := range d.Ribbons {
		for _, m := range regexp.MustCompile(`M([0-9.]+),`).FindAllStringSubmatch(r.Own, -1) {
			if x, err := strconv.ParseFloat(m[1], 64); err != nil || x < d.Undrawn {
				t.Errorf("a ribbon begins at %s", m[1])
			}
		}
	}
}
