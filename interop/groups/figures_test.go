package groups

import "testing"

// TestATableWithoutNewFiguresStays: a run that measured some tables writes those, and leaves the others as they were.
func TestATableWithoutNewFiguresStays(t *testing.T) {
	leave := Figure{Table: "leave", Line: "Java", On: []float64{2, 4}, Off: []float64{1500}}
	peace := Figure{Table: "peace", Line: "franz-go", Cells: []string{"60", "200", "0", "0", "3000", "1"}}
	many := Figure{Table: "many", Line: "10000 members", Cells: []string{"1", "2", "3", "4", "5", "6", "7"}}
	whole := NoticeSection([]Figure{leave, peace, many}, "")
	for _, again := range [][]Figure{{leave}, {peace}, {many}, {many, leave}} {
		if got := NoticeSection(again, "# Prompt notice\n\nText.\n\n"+whole); got != whole {
			t.Errorf("measured again: %v\n%s\nwant\n%s", again, got, whole)
		}
	}
	slower := leave
	slower.On = []float64{9, 9}
	if got, want := NoticeSection([]Figure{slower}, whole), NoticeSection([]Figure{slower, peace, many}, ""); got != want {
		t.Errorf("a new figure:\n%s\nwant\n%s", got, want)
	}
}
