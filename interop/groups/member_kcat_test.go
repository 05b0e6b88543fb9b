package groups

import (
	"reflect"
	"testing"
)

func TestWhatKcatPrints(t *testing.T) {
	for _, test := range []struct {
		line string
		want Event // Kind "": none
	}{
		{"record 3 17 a value, with spaces", Event{Kind: GotRecord, Partition: 3, Offset: 17, Value: "a value, with spaces"}},
		{"record 3 17 ", Event{Kind: GotRecord, Partition: 3, Offset: 17}},
		{"record x 17 v", Event{}},
		{"% Group g.x rebalanced (memberid A-1): assigned: t.x [0], t.x [12]", Event{Kind: Assigned, Partitions: []int32{0, 12}}},
		{"% Group g rebalanced (memberid A-1): assigned: ", Event{Kind: Assigned}},
		{"% Group g rebalanced (memberid A-1): revoked: t [2]", Event{Kind: Revoked, Partitions: []int32{2}}},
		{"% Group g rebalanced (memberid A-1): revoked: ", Event{}},
		{"% Reached end of topic t [0] at offset 6", Event{}},
		{"% ERROR: Topic t error: no", Event{Kind: Trouble, Error: "% ERROR: Topic t error: no"}},
	} {
		if got, ok := kcatEvent(test.line); ok != (test.want.Kind != "") || ok && !reflect.DeepEqual(got, test.want) {
			t.Errorf("%q: %+v, %v", test.line, got, ok)
		}
	}
}
