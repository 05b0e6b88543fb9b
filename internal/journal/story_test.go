package journal

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/cockroachdb/datadriven"
)

// table is the history as a command line shows it.
func table(incidents []Incident) string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 8, 2, ' ', 0)
	line := func(cells []string) {
		for i, c := range cells {
			if cells[i] = strings.TrimPrefix(c, ">"); c == "" {
				cells[i] = "-"
			}
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	line(slices.Clone(HistoryColumns))
	for i := range incidents {
		line(incidents[i].HistoryRow())
	}
	_ = w.Flush() // into memory
	return out.String()
}

// TestStories plays what happens to a group of consumers, and compares what the incidents tell of it. Each story is played twice and must come
// out the same to the byte. With -rewrite the stories are written anew.
//
// "quietly" plays its lines and prints nothing; "story" prints what is new since the last print, each incident as it stands at the end;
// "history" prints the table of all.
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		one, two := newTeller(t), newTeller(t)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			got := one.play(t, d.Cmd, d.Input)
			if again := two.play(t, d.Cmd, d.Input); got != again {
				t.Fatalf("%s: played twice, and it was\n%s\nand\n%s", d.Pos, got, again)
			}
			return got
		})
	})
}

type storyTeller struct {
	w    *world
	told int // how much of world.all was printed
}

func newTeller(t *testing.T) *storyTeller { return &storyTeller{w: newWorld(t)} }

func (s *storyTeller) play(t *testing.T, cmd, lines string) string {
	s.w.play(t, lines)
	since := s.w.all[s.told:]
	s.told = len(s.w.all)
	changed := map[string]bool{}
	for _, inc := range since {
		changed[inc.ID] = true
	}
	var out strings.Builder
	switch cmd {
	case "quietly":
	case "story":
		for _, id := range s.w.order {
			if inc := s.w.latest[id]; changed[id] {
				out.WriteString(Story(&inc) + "\n")
			}
		}
	case "history":
		out.WriteString(table(s.w.latestOf()))
	default:
		t.Fatalf("no command %q", cmd)
	}
	return out.String()
}
