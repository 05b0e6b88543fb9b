package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// played is what a story leaves behind.
func played(t *testing.T, lines string) *world {
	t.Helper()
	w := newWorld(t)
	w.play(t, lines)
	return w
}

const busyStory = `
settings delay=0s
topic t=8
start A rebalance=60s
advance 5s
start B rebalance=60s static=b
advance 60s
busy B
start C assignor=range+cooperative-sticky
advance 70s
done B
advance 70s
close A
advance 5s
start A
advance 100s
`

func TestRecordsComeBackAsTheyWere(t *testing.T) {
	for _, inc := range played(t, busyStory).all {
		key, value, err := Encode(inc)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(key, value)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(inc, back); d != "" {
			t.Fatalf("%s: (-was +is)\n%s", inc.ID, d)
		}
	}
}

func TestWhatIsNoRecordIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ value, want string }{
		"nothing":             {"", "reading an incident"},
		"not JSON":            {"rebalanced", "reading an incident"},
		"another kind":        {"[1]", "reading an incident"},
		"no schema":           {`{"incident":"x","rev":1}`, "no schema"},
		"a newer schema":      {`{"schema":2,"incident":"x","rev":1,"stage":{}}`, "newer schema"},
		"no id":               {`{"schema":1,"rev":1}`, "no id"},
		"no rev":              {`{"schema":1,"incident":"x"}`, "rev is 0"},
		"a time of no year":   {`{"schema":1,"incident":"x","rev":1,"began":"0001-01-01T00:00:00Z"}`, "out of range"},
		"no length of time":   {`{"schema":1,"incident":"x","rev":1,"took_ms":1e300}`, "milliseconds"},
		"a large one":         {`{"schema":1,"incident":"` + strings.Repeat("x", valueBytesMax) + `"}`, "at most"},
		"nested without end":  {strings.Repeat("[", 100_000), "reading an incident"},
		"a string for a list": {`{"schema":1,"incident":"x","rev":1,"members":"all"}`, "reading an incident"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Decode(nil, []byte(c.value)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v; want %q", err, c.want)
			}
		})
	}
	if _, err := Decode(nil, []byte(`{"schema":2}`)); !errors.Is(err, ErrNewer) {
		t.Fatalf("%v; want ErrNewer", err)
	}
}

// A field that a later release adds must not stop this one.
func TestUnknownFieldsArePassedOver(t *testing.T) {
	inc, err := Decode([]byte("g"), []byte(`{"schema":1,"incident":"x","rev":3,"group":"other","weather":{"sunny":true},"trigger":{"at":"2026-01-01T00:00:00Z","kind":"member_joined","mood":1}}`))
	if err != nil || inc.Rev != 3 || inc.Group != "g" || inc.Trigger.Kind != MemberJoined {
		t.Fatalf("%+v, %v", inc, err)
	}
}

// A group so large that its incident does not fit keeps its counts, and loses its lists in the order in which they can be missed.
func TestLargeIncidentsAreCut(t *testing.T) {
	for _, c := range []struct{ members, partitions, name int }{{10, 100, 10}, {300, 30_000, 10}, {3000, 100, 10}, {5000, 10_000, 20}, {200, 200, 30_000}} {
		t.Run(fmt.Sprintf("%d members, %d partitions, names of %d", c.members, c.partitions, c.name), func(t *testing.T) {
			inc := large(c.members, c.partitions, c.name)
			whole, err := json.Marshal(inc)
			if err != nil {
				t.Fatal(err)
			}
			_, value, err := Encode(inc)
			if err != nil {
				t.Fatal(err)
			}
			if len(value) > RecordBytesMax {
				t.Fatalf("%d bytes", len(value))
			}
			back, err := Decode(nil, value)
			if err != nil {
				t.Fatal(err)
			}
			if (back.Cut != nil) != (len(whole) > RecordBytesMax) {
				t.Fatalf("%d bytes became %d, cut: %+v", len(whole), len(value), back.Cut)
			}
			if back.Cut != nil && len(back.Members) < c.members && back.Cut.Members != c.members || back.MembersAfter != c.members {
				t.Fatalf("%d members of %d, cut: %+v", len(back.Members), c.members, back.Cut)
			}
			if back.Cut != nil && len(back.Partitions) < c.partitions && back.Cut.Partitions != c.partitions {
				t.Fatalf("%d partitions of %d, cut: %+v", len(back.Partitions), c.partitions, back.Cut)
			}
			if again, err := json.Marshal(inc); err != nil || string(again) != string(whole) {
				t.Fatal("cutting changed the original")
			}
		})
	}
}

func large(members, partitions, name int) Incident {
	w := func(i int) Who {
		return Who{ID: fmt.Sprintf("%0*d", name, i), Client: strings.Repeat("c", name), Host: "/10.0.0.1"}
	}
	first := w(0)
	inc := Incident{Schema: Schema, ID: "x", Rev: 1, Group: "g", MembersAfter: members, Trigger: Trigger{Kind: MemberJoined, Member: &first}, Leader: &first}
	for i := range members {
		m := Member{Who: w(i), Change: Stayed, Topics: []string{"t"}}
		if i%100 == 0 {
			m.Change = Joined
		}
		inc.Members = append(inc.Members, m)
	}
	stall := Millis(3 * time.Second)
	for i := range partitions {
		m := &inc.Members[i%members]
		m.Kept = append(m.Kept, TopicPartitions{"t", []int32{int32(i)}})
		p := Partition{Topic: "t", Partition: int32(i), From: m.ID, To: m.ID, Stall: &stall}
		if i%10 == 0 {
			p.To = w(i + 1).ID
		}
		inc.Partitions = append(inc.Partitions, p)
	}
	return inc
}

func TestTimesAndLengths(t *testing.T) {
	for text, want := range map[string]Millis{"0": 0, "3200": Millis(3200 * time.Millisecond), "0.25": Millis(250 * time.Microsecond), "-1.5": Millis(-1500 * time.Microsecond)} {
		var m Millis
		if err := json.Unmarshal([]byte(text), &m); err != nil || m != want {
			t.Errorf("%s: %d, %v; want %d", text, m, err, want)
		}
		if b, err := json.Marshal(want); err != nil || string(b) != text {
			t.Errorf("%d: %s, %v; want %s", want, b, err, text)
		}
	}
	for d, want := range map[time.Duration]string{0: "0s", 200 * time.Microsecond: "200µs", 45 * time.Second: "45s", 1234567890: "1.23s", 5 * time.Minute: "5m", 90 * time.Second: "1m30s", 2 * time.Hour: "2h", 26*time.Hour + 5*time.Minute: "26h5m"} {
		if got := Span(d); got != want {
			t.Errorf("%d: %s, want %s", d, got, want)
		}
	}
}

func TestGaps(t *testing.T) {
	at := func(since Time, records, notes int64) Incident {
		return Incident{JournalLost: &JournalLost{Since: since, Records: records, Notes: notes}}
	}
	// An incident that began before may have been written again afterwards, so that the counts are in no order. After a restart they begin anew.
	records, notes := Gaps([]Incident{{}, at(1, 5, 2), at(1, 2, 0), at(9, 1, 0), at(9, 3, 1), {}, at(9, -7, -1)})
	if records != 5+3 || notes != 2+1 {
		t.Errorf("%d records, %d notes", records, notes)
	}
	if records, notes := Gaps([]Incident{{}, {}}); records != 0 || notes != 0 {
		t.Errorf("%d records, %d notes of a whole journal", records, notes)
	}
}

func TestLatestKeepsTheHighestRev(t *testing.T) {
	got := Latest([]Incident{{ID: "a", Rev: 1}, {ID: "b", Rev: 1}, {ID: "a", Rev: 3, Group: ""}, {ID: "a", Rev: 2}, {ID: "a", Rev: 9, Group: "other"}})
	want := []Incident{{ID: "a", Rev: 3}, {ID: "b", Rev: 1}, {ID: "a", Rev: 9, Group: "other"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
}

// FuzzDecode: any bytes, no panic; and what can be read can be told, classified again and written again.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("g"), []byte(`{"schema":1,"incident":"x","rev":1,"trigger":{"at":"2026-01-01T00:00:00Z","kind":"member_left","member":{"id":"a"}},"evidence":[{"id":"silence","value":1e308,"unit":"ms"}],"chain":[{"kind":"join_expired"}]}`))
	for _, inc := range []Incident{large(3, 9, 4)} {
		k, v, err := Encode(inc)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(k, v)
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		inc, err := Decode(key, value)
		if err != nil {
			return
		}
		_ = Story(&inc) + table([]Incident{inc})
		Classify(&inc)
		Advise(&inc)
		if text := Story(&inc); strings.ContainsAny(text, "\x1b\x00\x07") {
			t.Fatalf("a control character gets through: %q", text)
		}
		_ = Detect([]Incident{inc, inc}, Window{})
		if _, _, err := Encode(inc); err != nil {
			t.Fatal(err)
		}
	})
}
