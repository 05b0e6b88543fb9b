package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// The records of __barnabas_rebalances: the key is the group's name, the value the incident as JSON. docs/formats/rebalances.md is about them.

// RecordBytesMax is the largest value that Encode makes. An incident that would need more is cut: lists go, counts stay.
const RecordBytesMax = 256 << 10

// valueBytesMax is the largest value that Decode looks at.
const valueBytesMax = 4 << 20

// ErrNewer is what Decode returns for a record of a schema that this release does not know.
var ErrNewer = errors.New("the record has a newer schema than this release reads; use a newer release")

// Encode makes the record of an incident. The key is the group's name, so that all of a group's records are in one partition. It fails for what no
// Recorder makes only: a number that JSON cannot hold.
func Encode(inc Incident) (key, value []byte, err error) {
	for step := 0; ; step++ {
		value, err = json.Marshal(inc)
		if err != nil {
			return nil, nil, fmt.Errorf("writing incident %s of group %q as JSON: %w", inc.ID, inc.Group, err)
		}
		if len(value) <= RecordBytesMax {
			return []byte(inc.Group), value, nil
		}
		if !cut(&inc, step) {
			return nil, nil, fmt.Errorf("incident %s of group %q takes %d bytes even without its lists; a record has %d", inc.ID, inc.Group, len(value), RecordBytesMax)
		}
	}
}

// cut makes the incident smaller, a little more with each step; what is needed to know what happened goes last. The lists it cuts are copied first.
func cut(inc *Incident, step int) bool {
	c := Cut{}
	if inc.Cut != nil {
		c = *inc.Cut
	}
	inc.Cut = &c
	members := func(n int) {
		if len(inc.Members) > n {
			c.Members = max(c.Members, len(inc.Members))
			inc.Members = important(inc, n)
		}
	}
	partitions := func(keep func(Partition) bool) {
		c.Partitions = max(c.Partitions, len(inc.Partitions))
		var out []Partition
		for _, p := range inc.Partitions {
			if keep(p) {
				out = append(out, p)
			}
		}
		inc.Partitions = out
	}
	lists := func(strip func(*Member)) {
		c.Lists = max(c.Lists, len(inc.Members))
		inc.Members = slices.Clone(inc.Members)
		for i := range inc.Members {
			strip(&inc.Members[i])
		}
	}
	switch step {
	case 0:
		lists(func(m *Member) { m.Kept = nil })
	case 1:
		partitions(func(p Partition) bool { return p.From != p.To })
	case 2:
		lists(func(m *Member) { m.Kept, m.Gained, m.Lost, m.Topics = nil, nil, nil, nil })
	case 3:
		partitions(func(Partition) bool { return false })
	case 4:
		members(500)
	case 5:
		members(50)
	case 6:
		c.Chain = len(inc.Chain)
		inc.Chain = inc.Chain[:min(len(inc.Chain), 8)]
		inc.Evidence = inc.Evidence[:min(len(inc.Evidence), 24)]
	case 7:
		clipAll(inc, 256)
	case 8:
		members(0)
		clipAll(inc, 64)
	default:
		return false
	}
	return true
}

// important is the n members that matter most: those of whom something changed before those that stayed.
func important(inc *Incident, n int) []Member {
	var out []Member
	for _, stayed := range []bool{false, true} {
		for _, m := range inc.Members {
			if len(out) < n && stayed == (m.Change == Stayed) {
				out = append(out, m)
			}
		}
	}
	return out
}

// clipAll shortens every text that came from outside.
func clipAll(inc *Incident, n int) {
	who := func(w *Who) *Who {
		if w == nil {
			return nil
		}
		return &Who{clip(w.ID, n), clip(w.Client, n), clip(w.Host, n), clip(w.Instance, n), clip(w.Software, n)}
	}
	trigger := func(t *Trigger) {
		t.Member, t.Claimed, t.Measured = who(t.Member), clip(t.Claimed, n), clip(t.Measured, n)
	}
	inc.Leader = who(inc.Leader)
	trigger(&inc.Trigger)
	inc.Chain = slices.Clone(inc.Chain)
	for i := range inc.Chain {
		trigger(&inc.Chain[i])
	}
	inc.Evidence = slices.Clone(inc.Evidence)
	for i := range inc.Evidence {
		inc.Evidence[i].Text, inc.Evidence[i].Member = clip(inc.Evidence[i].Text, 4*n), clip(inc.Evidence[i].Member, n)
	}
	inc.Advice = slices.Clone(inc.Advice)
	for i := range inc.Advice {
		inc.Advice[i].Text, inc.Advice[i].Arithmetic = clip(inc.Advice[i].Text, 4*n), clip(inc.Advice[i].Arithmetic, 4*n)
	}
	inc.Members = slices.Clone(inc.Members)
	for i := range inc.Members {
		m := &inc.Members[i]
		m.Who, m.Was, m.Reason = *who(&m.Who), clip(m.Was, n), clip(m.Reason, n)
		m.Assignors = slices.Clone(m.Assignors[:min(len(m.Assignors), 4)])
		for k := range m.Assignors {
			m.Assignors[k] = clip(m.Assignors[k], n)
		}
	}
	inc.Phases = slices.Clone(inc.Phases)
	for i := range inc.Phases {
		inc.Phases[i].Last = who(inc.Phases[i].Last)
	}
	inc.Protocol, inc.ProtocolBefore, inc.ProtocolType, inc.Awaits = clip(inc.Protocol, n), clip(inc.ProtocolBefore, n), clip(inc.ProtocolType, n), clip(inc.Awaits, n)
}

// clip cuts s to n bytes and says so; it does not cut a character in two.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// Decode reads a record. The key may be nil where it is not at hand; else it says which group it is about. What it does not know it passes over;
// of a newer schema it says ErrNewer.
func Decode(key, value []byte) (Incident, error) {
	var inc Incident
	if len(value) > valueBytesMax {
		return inc, fmt.Errorf("a record of %d bytes; an incident has %d at most", len(value), valueBytesMax)
	}
	if err := json.Unmarshal(value, &inc); err != nil || inc.Schema > Schema {
		var head struct { // of a newer schema other fields may mean something else
			Schema int `json:"schema"`
		}
		if json.Unmarshal(value, &head) == nil && head.Schema > Schema {
			return Incident{}, fmt.Errorf("schema %d: %w", head.Schema, ErrNewer)
		}
		return Incident{}, fmt.Errorf("reading an incident: %w", err)
	}
	switch {
	case inc.Schema < 1:
		return Incident{}, errors.New("reading an incident: it has no schema")
	case inc.ID == "":
		return Incident{}, errors.New("reading an incident: it has no id")
	case inc.Rev < 1:
		return Incident{}, fmt.Errorf("reading incident %q: its rev is %d, it must be above 0", inc.ID, inc.Rev)
	}
	if key != nil {
		inc.Group = string(key)
	}
	return inc, nil
}

// Latest keeps of each incident the highest rev, in the order in which incidents first appear.
func Latest(incidents []Incident) []Incident {
	type name struct{ group, id string }
	at := make(map[name]int, len(incidents))
	var out []Incident
	for _, inc := range incidents {
		n := name{inc.Group, inc.ID}
		i, known := at[n]
		switch {
		case !known:
			at[n] = len(out)
			out = append(out, inc)
		case inc.Rev >= out[i].Rev:
			out[i] = inc
		}
	}
	return out
}
