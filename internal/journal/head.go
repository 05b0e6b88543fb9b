package journal

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// Of most records of a long history only the beginning matters: which incident, which revision, when. What follows it is ten times as long, and
// is not worth reading in order to be passed over.

// Head is what lists and indexes want to know of a record.
type Head struct {
	Schema int    `json:"schema"`
	ID     string `json:"incident"`
	Rev    int    `json:"rev"`
	Stage  Stage  `json:"stage"`
	Kind   Kind   `json:"kind"`
	Began  Time   `json:"began"`
	Ended  *Time  `json:"ended"`
	Cause  Cause  `json:"cause"`
}

// Revision reads which revision of which incident a record is, without reading the rest. It knows the form that Encode writes; of any other, and of
// a schema that is newer, it says false, and Decode is to be asked.
func Revision(value []byte) (id []byte, rev int, ok bool) {
	rest, ok := bytes.CutPrefix(value, []byte(`{"schema":1,"incident":"`))
	if !ok || Schema != 1 {
		return nil, 0, false
	}
	end := bytes.IndexByte(rest, '"')
	if end <= 0 || bytes.IndexByte(rest[:end], '\\') >= 0 {
		return nil, 0, false
	}
	id = rest[:end]
	if rest, ok = bytes.CutPrefix(rest[end:], []byte(`","rev":`)); !ok {
		return nil, 0, false
	}
	if end = bytes.IndexByte(rest, ','); end < 0 {
		return nil, 0, false
	}
	rev, err := strconv.Atoi(string(rest[:end]))
	return id, rev, err == nil && rev > 0
}

// ReadHead reads the head of a record; what it costs does not grow with the lists behind it. It fails where Decode fails, but for faults behind
// the head, which it does not see.
func ReadHead(value []byte) (Head, error) {
	// A comma and a name in bare quotes stand in no text of a record: there the quotes are escaped. So the first of these ends the head.
	end := len(value)
	for _, name := range []string{`,"trigger":{`, `,"missing":[`, `,"evidence":[`} {
		if i := bytes.Index(value[:end], []byte(name)); i >= 0 {
			end = i
		}
	}
	var h Head
	if _, _, ok := Revision(value); ok && end < len(value) {
		if json.Unmarshal(append(value[:end:end], '}'), &h) == nil {
			return h, nil
		}
	}
	inc, err := Decode(nil, value)
	return Head{inc.Schema, inc.ID, inc.Rev, inc.Stage, inc.Kind, inc.Began, inc.Ended, inc.Cause}, err
}
