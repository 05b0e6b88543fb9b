package observe

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/journal"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/observe/history"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// Reading is what a source tells of a group.
type Reading struct {
	Source    journal.Source
	Incidents []journal.Incident // in the order of their beginning, each in its highest rev
	// Oldest is when the oldest record of the group that was read was written; zero if there was none. Records counts those of the group, Unread those that
	// could not be read: of a newer schema, or damaged.
	Oldest  time.Time
	Records int
	Unread  int
	// Dropped counts the oldest incidents that were left out to bound memory. Until is set when older records were not looked at, since there
	// were enough: of the time before it nothing is known.
	Dropped int
	Until   time.Time
	// Newer says that the group used the newer protocol (KIP-848).
	Newer bool

	// Looked counts the records of a journal that were looked at, those of other groups too, LookedBytes their keys and values, Fetches the requests.
	Looked      int
	LookedBytes int64
	Fetches     int

	at      map[string]int // the incidents of a journal by id; nil: to be made
	builder *history.Builder
	tap     *tap
}

// incidentsMax is how many incidents a reading of the journal keeps.
const incidentsMax = 20_000

// Want says how much of a journal is asked for. The zero value is everything.
type Want struct {
	Most int    // so many of the newest incidents; 0 is all
	ID   string // this incident is enough, with those that began after it
}

// ReadJournal reads the incidents of a group from a Barnabas cluster's journal, the newest first, and stops when it has what is wanted.
// ErrNoTopic says that the cluster keeps no journal.
func ReadJournal(ctx context.Context, dial Dial, group string, since time.Time, want Want) (*Reading, error) {
	t, err := open(ctx, dial, kafka.RebalancesTopic, group, since)
	if err != nil {
		return nil, err
	}
	if want.Most <= 0 || want.Most > incidentsMax {
		want.Most = incidentsMax
	}
	r := &Reading{Source: journal.FromJournal, tap: t}
	f := newest{r: r, group: group, by: map[string]*found{}}
	b := backwards{t: t}
	low, err := b.read(ctx, f.take, func() bool { return len(f.by) >= want.Most || f.by[want.ID] != nil })
	if err != nil {
		t.close()
		return nil, err
	}
	left := f.give(want.Most)
	r.Looked, r.LookedBytes, r.Fetches = b.records, b.bytes, b.fetches
	switch {
	case left > 0 && len(r.Incidents) > 0:
		r.Until = r.Incidents[0].Began.Instant().Time()
	case low > t.start:
		r.Until = f.oldest
	}
	return r, nil
}

// newest gathers records of a group that come the newest first, window by window. Of an incident it keeps the highest revision as it came, and
// reads it when there is no higher one to come: the others are ten times as many.
type newest struct {
	r      *Reading
	group  string
	by     map[string]*found
	oldest time.Time // of all records that were looked at
}

type found struct {
	offset int64 // of the newest record of it
	rev    int
	value  []byte
}

func (n *newest) take(rec *kgo.Record) {
	if n.oldest.IsZero() || rec.Timestamp.Before(n.oldest) {
		n.oldest = rec.Timestamp
	}
	if string(rec.Key) != n.group {
		return
	}
	n.r.Records++
	if n.r.Oldest.IsZero() || rec.Timestamp.Before(n.r.Oldest) {
		n.r.Oldest = rec.Timestamp
	}
	id, rev, ok := journal.Revision(rec.Value)
	if !ok {
		inc, err := journal.Decode(rec.Key, rec.Value)
		if err != nil {
			n.r.Unread++
			return
		}
		id, rev = []byte(inc.ID), inc.Rev
	}
	if f := n.by[string(id)]; f == nil {
		n.by[string(id)] = &found{rec.Offset, rev, slices.Clone(rec.Value)} // a record shares the memory of all that were fetched with it
	} else {
		f.offset = max(f.offset, rec.Offset)
		if rev > f.rev {
			f.rev, f.value = rev, append(f.value[:0], rec.Value...)
		}
	}
}

// give puts the newest of what was gathered into the reading, in the order of their beginning; it says how many it left out.
func (n *newest) give(most int) (left int) {
	all := slices.SortedFunc(maps.Values(n.by), func(a, b *found) int { return cmp.Compare(b.offset, a.offset) })
	if len(all) > most {
		all, left = all[:most], len(all)-most
	}
	for _, f := range all {
		inc, err := journal.Decode([]byte(n.group), f.value)
		if err != nil {
			n.r.Unread++
			continue
		}
		n.r.Incidents = append(n.r.Incidents, inc)
	}
	slices.SortFunc(n.r.Incidents, func(a, b journal.Incident) int {
		return cmp.Or(cmp.Compare(a.Began, b.Began), cmp.Compare(a.GenerationBefore, b.GenerationBefore), cmp.Compare(a.ID, b.ID))
	})
	return left
}

// incident takes one record of the journal and gives the incident, if it is one of the group in a form that is known.
func (r *Reading) incident(group string, rec *kgo.Record) (journal.Incident, bool) {
	if string(rec.Key) != group {
		return journal.Incident{}, false
	}
	r.Records++
	if r.Oldest.IsZero() {
		r.Oldest = rec.Timestamp
	}
	inc, err := journal.Decode(rec.Key, rec.Value)
	if err != nil {
		r.Unread++
		return inc, false
	}
	if i, known := r.at[inc.ID]; known {
		if inc.Rev >= r.Incidents[i].Rev {
			r.Incidents[i] = inc
		}
		return inc, true
	}
	r.Incidents = append(r.Incidents, inc)
	if len(r.Incidents) > incidentsMax {
		half := len(r.Incidents) / 2
		r.Incidents, r.Dropped, r.at = slices.Clone(r.Incidents[half:]), r.Dropped+half, nil
	}
	if r.at == nil {
		r.at = make(map[string]int, len(r.Incidents))
		for i := range r.Incidents {
			r.at[r.Incidents[i].ID] = i
		}
	}
	r.at[inc.ID] = len(r.Incidents) - 1
	return inc, true
}

// ReadOffsets rebuilds the incidents of a group from __consumer_offsets. It needs the right to read that topic and no other.
func ReadOffsets(ctx context.Context, dial Dial, group string, since time.Time) (*Reading, error) {
	t, err := open(ctx, dial, kafka.OffsetsTopic, group, since)
	if err != nil {
		return nil, err
	}
	r := &Reading{Source: journal.FromOffsets, tap: t, builder: history.New(group, journal.FromOffsets)}
	r.builder.Topics(topicNames(ctx, t.cl))
	if err := t.toEnd(ctx, func(rec *kgo.Record) { r.record(group, rec) }); err != nil {
		t.close()
		return nil, err
	}
	r.gather()
	return r, nil
}

// record takes one record of the offsets topic.
func (r *Reading) record(group string, rec *kgo.Record) {
	if groupOf(rec.Key) != group {
		return
	}
	if len(rec.Key) > 1 && rec.Key[0] == 0 && rec.Key[1] >= 3 && rec.Key[1] <= 8 {
		mine, err := r.builder.AddNewer(vtime.FromTime(rec.Timestamp), rec.Key, rec.Value)
		r.Newer = r.Newer || mine
		if err != nil {
			r.Unread++
		}
		return
	}
	dec, err := record.Decode(rec.Key, rec.Value)
	if err != nil {
		r.Unread++
		return
	}
	r.builder.Add(vtime.FromTime(rec.Timestamp), dec)
}

func (r *Reading) gather() {
	first, records, dropped := r.builder.Reach()
	r.Incidents, r.Records, r.Dropped = r.builder.Incidents(), records, dropped
	if first != 0 {
		r.Oldest = first.Time()
	}
}

// groupOf reads the group in a key of the offsets topic: all kinds of keys begin with their type and the group's name. "" for a key that is none.
func groupOf(key []byte) string {
	if len(key) < 4 {
		return ""
	}
	n := int(key[2])<<8 | int(key[3])
	if len(key) < 4+n {
		return ""
	}
	return string(key[4 : 4+n])
}

// topicNames asks for the names of topics by their ids, which records of the newer protocol hold. Where that is refused the ids must do.
func topicNames(ctx context.Context, cl *kgo.Client) map[kafka.TopicID]string {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics, req.AllowAutoTopicCreation = nil, false
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil
	}
	out := map[kafka.TopicID]string{}
	for _, t := range resp.Topics {
		if t.Topic != nil {
			out[kafka.TopicID(t.TopicID)] = *t.Topic
		}
	}
	return out
}

// Follow goes on reading where the reading ended, and hands each incident on as it comes or changes, until ctx ends. It gives the error that
// ended it, nil when ctx did.
func (r *Reading) Follow(ctx context.Context, group string, each func(journal.Incident)) error {
	for {
		var fresh []journal.Incident
		before := len(r.Incidents)
		revs := map[string]int{}
		for _, inc := range r.Incidents[max(0, before-200):] {
			revs[inc.ID] = inc.Rev
		}
		_, err := r.tap.poll(ctx, time.Second, func(rec *kgo.Record) {
			if r.builder != nil {
				r.record(group, rec)
			} else if inc, ok := r.incident(group, rec); ok {
				fresh = append(fresh, inc)
			}
		})
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		if r.builder != nil {
			r.gather()
			for _, inc := range r.Incidents[max(0, len(r.Incidents)-200):] {
				if inc.Rev > revs[inc.ID] {
					fresh = append(fresh, inc)
				}
			}
		}
		for _, inc := range fresh {
			each(inc)
		}
	}
}

// Close ends the reading.
func (r *Reading) Close() {
	if r.tap != nil {
		r.tap.close()
	}
}
