package console

import (
	"cmp"
	"container/heap"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/barnabas-mq/barnabas/internal/journal"
)

// Store is an index of the newest incidents of all groups within a bound of memory. It keeps what lists and sums need, a hundred bytes each, and where in the
// journal the rest is; that is read when somebody looks at it. When the bound is reached, the group with most of it gives up its oldest incident, so
// that a stormy group does not push the last rebalance of a quiet one out. What is older is in the journal still, and `barnabas explain` reads it there.
type Store struct {
	read func(group string, offset int64) ([]byte, error)

	mu       sync.Mutex
	bytesMax int64
	bytes    int64
	groups   map[string]*kept
	fullest  fullest
	kinds    names
	causes   names
}

// kept is what is known of a group.
type kept struct {
	group   string
	entries []entry // by began and id, the oldest first
	bytes   int64
	at      int // in fullest
}

// entry is an incident with what lists need at hand.
type entry struct {
	id           string
	began, ended int64 // as vtime.Instant; ended is 0 while it goes on
	offset       int64 // of its highest revision in the journal's partition of the group; -1: record has it
	record       []byte
	rev          int32
	kind, cause  uint8
}

// entryBytes is what an entry costs beside its id and its record; groupBytes a group beside its name.
const (
	entryBytes = 96
	groupBytes = 256
)

func (e *entry) size() int64 { return int64(len(e.record)+len(e.id)) + entryBytes }

// names numbers the few texts that entries have in common. Others write into the journal too, so there may be any; beyond 255 all are the last.
type names []string

func (n *names) number(s string) uint8 {
	i := slices.Index(*n, s)
	if i < 0 {
		if i = len(*n); i == 255 {
			return 254
		}
		*n = append(*n, s)
	}
	return uint8(i)
}

// fullest is a heap of the groups, the one with most in it first.
type fullest []*kept

func (f fullest) Len() int           { return len(f) }
func (f fullest) Less(i, j int) bool { return f[i].bytes > f[j].bytes }
func (f fullest) Swap(i, j int)      { f[i], f[j] = f[j], f[i]; f[i].at, f[j].at = i, j }
func (f *fullest) Push(x any)        { g := x.(*kept); g.at = len(*f); *f = append(*f, g) }
func (f *fullest) Pop() any {
	last := len(*f) - 1
	g := (*f)[last]
	(*f)[last] = nil
	*f = (*f)[:last]
	return g
}

// NewStore keeps an index of at most so many bytes. read gives a record of the journal, from the partition of its group; what it fails to give is
// left out. It may be nil where every incident is put with its record.
func NewStore(bytesMax int64, read func(group string, offset int64) ([]byte, error)) *Store {
	return &Store{read: read, bytesMax: bytesMax, groups: map[string]*kept{}}
}

// Put takes an incident; the highest revision of an id counts. offset is where it is in the journal; -1 for an incident that is not there, of which the
// record itself is kept. One that cannot be written as a record is passed over.
func (s *Store) Put(in journal.Incident, offset int64) {
	var record []byte
	if offset < 0 {
		var err error
		if _, record, err = journal.Encode(in); err != nil {
			return
		}
	}
	s.put(in.Group, journal.Head{ID: in.ID, Rev: in.Rev, Stage: in.Stage, Kind: in.Kind, Began: in.Began, Ended: in.Ended, Cause: in.Cause}, offset, record)
}

// PutHead takes the head of a record that is in the journal.
func (s *Store) PutHead(group string, h journal.Head, offset int64) { s.put(group, h, offset, nil) }

func (s *Store) put(group string, h journal.Head, offset int64, record []byte) {
	e := entry{id: h.ID, rev: int32(h.Rev), began: int64(h.Began), offset: offset, record: record}
	if h.Ended != nil {
		e.ended = int64(*h.Ended)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e.kind, e.cause = s.kinds.number(string(h.Kind)), s.causes.number(string(h.Cause))
	g := s.groups[group]
	if g == nil {
		g = &kept{group: strings.Clone(group), bytes: groupBytes + int64(len(group))}
		s.groups[g.group] = g
		s.bytes += g.bytes
		heap.Push(&s.fullest, g)
	}
	i, found := slices.BinarySearchFunc(g.entries, e, compareEntries)
	switch {
	case found && g.entries[i].rev >= e.rev:
		return
	case found:
		s.grow(g, e.size()-g.entries[i].size())
		g.entries[i] = e
	default:
		g.entries = slices.Insert(g.entries, i, e)
		s.grow(g, e.size())
	}
	for s.bytes > s.bytesMax {
		if g := s.fullest[0]; len(g.entries) > 1 {
			s.grow(g, -g.entries[0].size())
			g.entries[0] = entry{} // what lies before is freed when the slice grows
			g.entries = g.entries[1:]
		} else if len(s.fullest) > 1 { // more groups than there is room for one incident each
			heap.Pop(&s.fullest)
			delete(s.groups, g.group)
			s.bytes -= g.bytes
		} else {
			break
		}
	}
}

func (s *Store) grow(g *kept, by int64) {
	g.bytes, s.bytes = g.bytes+by, s.bytes+by
	heap.Fix(&s.fullest, g.at)
}

func compareEntries(a, b entry) int {
	return cmp.Or(cmp.Compare(a.began, b.began), strings.Compare(a.id, b.id))
}

// Bytes is how much is kept.
func (s *Store) Bytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}

// Len is how many incidents are kept of a group.
func (s *Store) Len(group string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.of(group))
}

// Knows reports whether there is any incident of the group.
func (s *Store) Knows(group string) bool { return s.Len(group) > 0 }

// of is the entries of a group; s.mu is held.
func (s *Store) of(group string) []entry {
	if g := s.groups[group]; g != nil {
		return g.entries
	}
	return nil
}

// Row fills in what incidents tell of a group: the newest, and the share of Window in which it was rebalancing.
func (s *Store) Row(r *GroupRow, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := now.Add(-Window)
	var spans []span
	entries := s.of(r.Name)
	for i := len(entries) - 1; i >= 0; i-- {
		e := &entries[i]
		if s.kinds[e.kind] != string(journal.Rebalance) {
			continue
		}
		began := moment64(e.began)
		if r.LastAt.IsZero() {
			r.LastAt, r.LastCause = began, journal.Cause(s.causes[e.cause])
		}
		if !began.Before(from) {
			r.Rebalances++
		}
		end := now
		if e.ended != 0 {
			end = moment64(e.ended)
		}
		if end.Before(from) { // those before are over as well: incidents of a group follow each other
			break
		}
		spans = append(spans, span{from: began, to: end})
	}
	share := covered(spans, from, now)
	r.Unstable = &share
}

func moment64(ns int64) time.Time { return time.Unix(0, ns).UTC() }

// Incidents answers the query from what is kept. What is in the journal is read after the lock was given back.
func (s *Store) Incidents(q IncidentQuery) (out Incidents) {
	for _, e := range s.choose(q, &out.More) {
		if in := s.open(q.Group, e); in != nil {
			out.List = append(out.List, *in)
		}
	}
	return out
}

func (s *Store) open(group string, e entry) *journal.Incident {
	record := e.record
	if e.offset >= 0 {
		if s.read == nil {
			return nil
		}
		var err error
		if record, err = s.read(group, e.offset); err != nil {
			return nil // retention was faster
		}
	}
	in, err := journal.Decode([]byte(group), record)
	if err != nil || in.ID != e.id {
		return nil
	}
	return &in
}

func (s *Store) choose(q IncidentQuery, more *bool) (out []entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entries := s.of(q.Group)
	if q.Before != "" {
		i := slices.IndexFunc(entries, func(e entry) bool { return e.id == q.Before })
		entries = entries[:max(0, i)]
	}
	if !q.To.IsZero() {
		i, _ := slices.BinarySearchFunc(entries, q.To.UnixNano(), func(e entry, t int64) int { return cmp.Compare(e.began, t) })
		entries = entries[:i]
	}
	for i := len(entries) - 1; i >= 0; i-- {
		e := &entries[i]
		if !q.From.IsZero() && e.ended != 0 && e.ended < q.From.UnixNano() {
			if e.began < q.From.Add(-24*time.Hour).UnixNano() {
				break // none that began so long before reaches into the time
			}
			continue
		}
		if len(out) >= q.Limit {
			*more = true
			break
		}
		out = append(out, *e)
	}
	return out
}

// Incident is one incident, nil if it is not kept.
func (s *Store) Incident(group, id string) *journal.Incident {
	s.mu.Lock()
	entries := s.of(group)
	i := slices.IndexFunc(entries, func(e entry) bool { return e.id == id })
	var e entry
	if i >= 0 {
		e = entries[i]
	}
	s.mu.Unlock()
	if i < 0 {
		return nil
	}
	return s.open(group, e)
}
