package console

import (
	"bytes"
	"cmp"
	"container/list"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/barnabas-mq/barnabas/internal/journal"
)

// Store keeps the newest incidents of all groups within a bound of memory, as the records they are in the journal, compressed: an incident of a
// hundred members is 30 KiB of names that repeat. What is older is in the journal still, and `barnabas explain` reads it there.
type Store struct {
	mu       sync.Mutex
	bytesMax int64
	bytes    int64
	groups   map[string][]*entry // by began and id, the oldest first
	order    *list.List          // of *entry, in the order in which they came: the first is let go first
}

// entry is an incident with what lists need at hand.
type entry struct {
	group, id    string
	rev          int
	began, ended time.Time // ended is zero while it goes on
	kind         journal.Kind
	cause        journal.Cause
	packed       []byte // the record, as S2 has it
	at           *list.Element
}

// entryBytes is what an entry costs beside its record and names.
const entryBytes = 256

func (e *entry) size() int64 { return int64(len(e.packed)+len(e.group)+len(e.id)) + entryBytes }

// NewStore keeps incidents in at most so many bytes, and always the newest.
func NewStore(bytesMax int64) *Store {
	return &Store{bytesMax: bytesMax, groups: map[string][]*entry{}, order: list.New()}
}

// Put takes an incident; the highest revision of an id counts. One that cannot be written as a record is passed over: the journal has none of it
// either.
func (s *Store) Put(in journal.Incident) {
	_, record, err := journal.Encode(in)
	if err != nil {
		return
	}
	e := &entry{group: in.Group, id: in.ID, rev: in.Rev, began: began(&in), kind: in.Kind, cause: in.Cause, packed: bytes.Clone(s2.Encode(nil, record))}
	if in.Ended != nil {
		e.ended = in.Ended.Instant().Time()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	entries := s.groups[in.Group]
	i, found := slices.BinarySearchFunc(entries, e, compareEntries)
	if found {
		if entries[i].rev >= e.rev {
			return
		}
		s.bytes += e.size() - entries[i].size()
		e.at = entries[i].at
		e.at.Value = e
		entries[i] = e
	} else {
		s.groups[in.Group] = slices.Insert(entries, i, e)
		e.at = s.order.PushBack(e)
		s.bytes += e.size()
	}
	for s.bytes > s.bytesMax && s.order.Len() > 1 {
		s.drop(s.order.Front().Value.(*entry))
	}
}

func compareEntries(a, b *entry) int {
	return cmp.Or(a.began.Compare(b.began), strings.Compare(a.id, b.id))
}

func (s *Store) drop(e *entry) {
	s.order.Remove(e.at)
	s.bytes -= e.size()
	entries := s.groups[e.group]
	if i, found := slices.BinarySearchFunc(entries, e, compareEntries); found {
		if i == 0 { // the usual case; what lies before is freed when the slice grows
			entries[0] = nil
			entries = entries[1:]
		} else {
			entries = slices.Delete(entries, i, i+1)
		}
	}
	if len(entries) == 0 {
		delete(s.groups, e.group)
		return
	}
	s.groups[e.group] = entries
}

// Bytes is how much is kept.
func (s *Store) Bytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}

// Knows reports whether there is any incident of the group.
func (s *Store) Knows(group string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.groups[group]) > 0
}

// Row fills in what incidents tell of a group: the newest, and the share of Window in which it was rebalancing.
func (s *Store) Row(r *GroupRow, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := now.Add(-Window)
	var spans []span
	entries := s.groups[r.Name]
	for i := len(entries) - 1; i >= 0; i-- {
		e := entries[i]
		if e.kind != journal.Rebalance {
			continue
		}
		if r.LastAt.IsZero() {
			r.LastAt, r.LastCause = e.began, e.cause
		}
		if !e.began.Before(from) {
			r.Rebalances++
		}
		end := e.ended
		if end.IsZero() {
			end = now
		}
		if end.Before(from) { // those before are over as well: incidents of a group follow each other
			break
		}
		spans = append(spans, span{from: e.began, to: end})
	}
	share := covered(spans, from, now)
	r.Unstable = &share
}

// Incidents answers the query from what is kept.
func (s *Store) Incidents(q IncidentQuery) (out Incidents) {
	for _, packed := range s.find(q, &out.More) {
		if in, ok := unpack(q.Group, packed); ok {
			out.List = append(out.List, in)
		}
	}
	return out
}

func unpack(group string, packed []byte) (in journal.Incident, ok bool) {
	record, err := s2.Decode(nil, packed)
	if err == nil {
		in, err = journal.Decode([]byte(group), record)
	}
	return in, err == nil
}

func (s *Store) find(q IncidentQuery, more *bool) (out [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entries := s.groups[q.Group]
	if q.Before != "" {
		i := slices.IndexFunc(entries, func(e *entry) bool { return e.id == q.Before })
		entries = entries[:max(0, i)]
	}
	if !q.To.IsZero() {
		i, _ := slices.BinarySearchFunc(entries, q.To, func(e *entry, t time.Time) int { return e.began.Compare(t) })
		entries = entries[:i]
	}
	for i := len(entries) - 1; i >= 0; i-- {
		e := entries[i]
		if !q.From.IsZero() && !e.ended.IsZero() && e.ended.Before(q.From) {
			if e.began.Before(q.From.Add(-24 * time.Hour)) {
				break // none that began so long before reaches into the time
			}
			continue
		}
		if len(out) >= q.Limit {
			*more = true
			break
		}
		out = append(out, e.packed)
	}
	return out
}

// Incident is one incident, nil if it is not kept.
func (s *Store) Incident(group, id string) *journal.Incident {
	s.mu.Lock()
	entries := s.groups[group]
	i := slices.IndexFunc(entries, func(e *entry) bool { return e.id == id })
	var packed []byte
	if i >= 0 {
		packed = entries[i].packed
	}
	s.mu.Unlock()
	if packed == nil {
		return nil
	}
	in, ok := unpack(group, packed)
	if !ok {
		return nil
	}
	return &in
}
