package journal

import (
	"bytes"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/google/go-cmp/cmp"
)

// A head says what the whole record says: of every incident of every story there is, and of records that others wrote.
func TestTheHeadSaysWhatTheRecordSays(t *testing.T) {
	texts := [][]byte{
		[]byte(`{"rev":2,"incident":"x","schema":1,"cause":"C06","trigger":{"at":"2026-01-01T00:00:00Z","kind":"x"}}`),
		[]byte(`{"schema":1,"incident":"a\",\"trigger\":{","rev":2,"cause":"C01","trigger":{"at":"2026-01-01T00:00:00Z","kind":"x"}}`),
		[]byte(`{"schema":1,"incident":"x","rev":2}`),
		[]byte(`{"schema":1,"incident":"x","rev":-1,"trigger":{}}`),
		[]byte(`{"schema":2,"incident":"x","rev":1,"trigger":{}}`),
		[]byte(`{"schema":1,"incident":"x","rev":1,"began":7,"trigger":{}}`),
		[]byte(`{"schema":1,"incident":"x","rev":1,"trigger":{`), {}, []byte("null"), []byte(`{"schema":1,"incident":"`),
	}
	short := 0
	for _, inc := range exampleIncidents(t) {
		_, value, err := Encode(inc)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, ok := Revision(value); !ok {
			t.Errorf("%s: what Encode writes is not read the short way", value)
		}
		short++
		texts = append(texts, value)
	}
	if short < 10 {
		t.Fatalf("%d examples", short)
	}
	for _, value := range texts {
		kept := bytes.Clone(value)
		head, headErr := ReadHead(value)
		inc, err := Decode(nil, value)
		want := Head{inc.Schema, inc.ID, inc.Rev, inc.Stage, inc.Kind, inc.Began, inc.Ended, inc.Cause}
		if err != nil && headErr == nil { // the fault lies behind the head
			if id, rev, ok := Revision(value); !ok || string(id) != head.ID || rev != head.Rev {
				t.Errorf("%s: read as %+v, and by itself as %q %d %v", value, head, id, rev, ok)
			}
			continue
		}
		if (headErr == nil) != (err == nil) {
			t.Errorf("%s: %v, the whole record %v", value, headErr, err)
		}
		if diff := cmp.Diff(want, head); err == nil && diff != "" {
			t.Errorf("%s:\n%s", value, diff)
		}
		if id, rev, ok := Revision(value); ok && err == nil && (string(id) != inc.ID || rev != inc.Rev) {
			t.Errorf("%s: revision %d of %q", value, rev, id)
		}
		if !bytes.Equal(kept, value) {
			t.Errorf("reading changed the record")
		}
	}
}

// exampleIncidents is every revision of every incident of the stories.
func exampleIncidents(t *testing.T) (out []Incident) {
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		s := newTeller(t)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.play(t, d.Cmd, d.Input)
			return d.Expected
		})
		out = append(out, s.w.all...)
	})
	return out
}
