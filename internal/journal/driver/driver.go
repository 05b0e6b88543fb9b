// Package driver writes down why groups rebalance: it takes the coordinator's notes, gathers what others saw at that moment, lets a journal.Recorder
// make incidents of them, and appends those to __barnabas_rebalances.
//
// Shell: a queue, one goroutine, the clock. It promises never to hold up the coordinator: Notes puts into a bounded queue and returns, and what
// does not fit is counted and forgotten, together with what was known of those groups, so that no incident is made of half the facts. An
// incident that cannot be written is counted too. Nothing here decides anything about a group. Start reading at Driver.run.
package driver

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/barnabas-mq/barnabas/internal/activity"
	"github.com/barnabas-mq/barnabas/internal/coord/runtime"
	"github.com/barnabas-mq/barnabas/internal/journal"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// Log is where incidents go: one record each, in the partition of the key.
type Log interface {
	Append(ctx context.Context, key, value []byte) error
}

// Offsets tells how far a group is. It may take a moment, but not for ever; what it cannot tell it leaves out.
type Offsets interface {
	// Seen is the committed offset, the time of the commit and the log end of each of the partitions.
	Seen(group string, of []journal.TopicPartitions) []journal.OffsetSeen
}

// Activity tells what clients fetched, and of their connections. *activity.Tracker is one.
type Activity interface {
	Seen(activity.Client, kafka.TopicPartition) (activity.Seen, bool)
	Watch(activity.Client, kafka.TopicPartition, vtime.Instant)
	Connections(activity.Client) (activity.Connections, bool)
}

// Topics tells of a topic; 0 partitions when there is none.
type Topics interface {
	Seen(topic string) journal.TopicSeen
}

// Config is what a driver is made of. Offsets, Activity and Topics may be nil: then that evidence is missing, and incidents say less.
type Config struct {
	Log      Log
	Offsets  Offsets
	Activity Activity
	Topics   Topics
	// Recorder is the settings of the recorder.
	Recorder journal.Config
	// NotesMax is how many notes may wait; 65,536 by default. A note is some hundred bytes and shares what is large with the coordinator.
	NotesMax int
	// Hurry is how many notes may wait before evidence is no longer gathered, so that the queue gets shorter; 4,096 by default.
	Hurry int
	// Told is handed each revision of each incident after it was written, or could not be; nil for nobody. It must not block.
	Told   func(journal.Incident)
	Logger *slog.Logger
	// Now is the clock.
	Now func() time.Time
}

// Counts is what a driver has done so far.
type Counts struct {
	Notes   int64 // taken
	Dropped int64 // notes for which there was no room
	Written int64 // revisions of incidents
	Failed  int64 // revisions that could not be written
	Waiting int   // notes in the queue
	Groups  int   // remembered
}

// Driver is made with New and stopped with Close. Its methods may be called from many goroutines.
type Driver struct {
	cfg  Config
	rec  *journal.Recorder // of the goroutine
	done chan struct{}
	wake chan struct{} // has one slot: wake-ups are never lost, and several are one

	mu    sync.Mutex
	queue []item
	// full says that notes were dropped since the queue was taken last. Until then all are: what follows a gap makes no sense. gap is the groups
	// they were of; nil for too many to name.
	full    bool
	gap     map[string]bool
	closing bool
	counts  Counts
	lost    losses

	gaveUp     atomic.Bool // Close does not wait for what is still in the queue
	complained time.Time   // when a failure was logged last; of the goroutine
}

// item is one thing in the queue: a note, or groups that are lost sight of.
type item struct {
	runtime.TimedNote
	lost func(group string) bool // with it Note is nil
}

// gapMax bounds Driver.gap; beyond it all groups count.
const gapMax = 4096

// New starts a driver.
func New(cfg Config) *Driver {
	if cfg.NotesMax <= 0 {
		cfg.NotesMax = 65_536
	}
	if cfg.Hurry <= 0 {
		cfg.Hurry = 4096
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	d := &Driver{cfg: cfg, rec: journal.New(cfg.Recorder), lost: losses{since: journal.Time(vtime.FromTime(cfg.Now()))}, done: make(chan struct{}), wake: make(chan struct{}, 1)}
	go d.run()
	return d
}

// Notes takes notes of one shard, in their order. It never blocks.
func (d *Driver) Notes(_ int32, notes []runtime.TimedNote) {
	if len(notes) == 0 {
		return
	}
	d.mu.Lock()
	switch {
	case d.closing:
	case d.full || len(d.queue)+len(notes) > d.cfg.NotesMax:
		d.drop(notes)
	default:
		d.counts.Notes += int64(len(notes))
		for _, n := range notes {
			d.queue = append(d.queue, item{TimedNote: n})
		}
	}
	d.mu.Unlock()
	d.poke()
}

// drop counts notes for which there is no room; d.mu is held.
func (d *Driver) drop(notes []runtime.TimedNote) {
	d.counts.Dropped += int64(len(notes))
	if !d.full {
		d.full, d.gap = true, map[string]bool{}
	}
	for _, n := range notes {
		d.lost.add(n.Note.NoteGroup(), 0, 1)
		if len(d.gap) >= gapMax {
			d.gap = nil
		}
		if d.gap != nil {
			d.gap[n.Note.NoteGroup()] = true
		}
	}
}

// Lost says that the coordinator of the groups that match went away from here, after the notes handed in so far: what is under way in them ends
// unseen. match is called from the driver's goroutine, later.
func (d *Driver) Lost(match func(group string) bool) {
	d.mu.Lock()
	if !d.closing {
		d.queue = append(d.queue, item{lost: match})
	}
	d.mu.Unlock()
	d.poke()
}

func (d *Driver) poke() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Counts is what was done so far.
func (d *Driver) Counts() Counts {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.counts
	c.Waiting = len(d.queue)
	return c
}

// Close takes no more notes, works on those that wait, and stops. When ctx ends first, what still waits is dropped.
func (d *Driver) Close(ctx context.Context) error {
	d.mu.Lock()
	d.closing = true
	d.mu.Unlock()
	d.poke()
	select {
	case <-d.done:
		return nil
	case <-ctx.Done():
		d.gaveUp.Store(true)
		<-d.done
		return ctx.Err()
	}
}

// run is the driver's goroutine.
func (d *Driver) run() {
	defer close(d.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		closing := d.drain()
		if closing {
			return
		}
		d.amend()
		wait := time.Hour
		if at, ok := d.rec.Next(); ok {
			wait = max(at.Since(d.now()), time.Millisecond)
		}
		timer.Reset(wait)
		select {
		case <-d.wake:
		case <-timer.C:
		}
	}
}

func (d *Driver) now() vtime.Instant { return vtime.FromTime(d.cfg.Now()) }

// drain works on what is in the queue until nothing is. It reports whether the driver is to stop.
func (d *Driver) drain() (closing bool) {
	for {
		d.mu.Lock()
		items, full, gap, left := d.queue, d.full, d.gap, d.closing
		d.queue, d.full, d.gap = nil, false, nil
		d.mu.Unlock()
		for i, it := range items {
			if d.gaveUp.Load() {
				d.mu.Lock()
				for _, left := range items[i:] {
					if left.Note != nil {
						d.counts.Dropped++
					}
				}
				d.mu.Unlock()
				break
			}
			if it.Note == nil {
				d.tell(d.rec.Lost(d.now(), it.lost))
				continue
			}
			d.note(it.TimedNote, len(items)-i > d.cfg.Hurry)
		}
		if full {
			d.tell(d.rec.Lost(d.now(), func(g string) bool { return gap == nil || gap[g] }))
		}
		if len(items) == 0 {
			return left
		}
	}
}

// note hands one note in, with evidence if it wants any and there is time.
func (d *Driver) note(n runtime.TimedNote, hurry bool) {
	in, wants := d.rec.Wants(n.Note)
	if !wants || hurry {
		d.tell(d.rec.Note(n.At, n.Note))
		return
	}
	d.tell(d.rec.NoteWith(n.At, n.Note, d.gather(in)))
}

// amend looks again at what is due.
func (d *Driver) amend() {
	for {
		in, due := d.rec.Due(d.now())
		if !due {
			return
		}
		d.tell(d.rec.Amend(d.now(), d.gather(in)))
	}
}

// gather is the evidence there is.
func (d *Driver) gather(in journal.Interest) (e journal.Evidence) {
	if d.cfg.Offsets != nil {
		var all []journal.TopicPartitions
		for _, o := range in.Owners {
			all = append(all, o.Partitions...)
		}
		if len(all) > 0 {
			e.Offsets = d.cfg.Offsets.Seen(in.Group, all)
		}
	}
	if d.cfg.Activity != nil {
		now := d.now()
		for _, o := range in.Owners {
			who := activity.Client{ID: o.Client, Host: o.Host}
			for _, tp := range o.Partitions {
				for _, p := range tp.Partitions {
					k := kafka.TopicPartition{Topic: tp.Topic, Partition: p}
					if s, ok := d.cfg.Activity.Seen(who, k); ok {
						f := journal.FetchSeen{Client: o.Client, Host: o.Host, TopicPartition: k, Fetched: s.Fetched, At: s.Delivered, Delivered: s.Next, Next: s.Again}
						if in.Watch {
							f.Next = 0
						}
						e.Fetches = append(e.Fetches, f)
					}
					if in.Watch {
						d.cfg.Activity.Watch(who, k, now)
					}
				}
			}
		}
		for _, c := range in.Clients {
			if s, ok := d.cfg.Activity.Connections(activity.Client{ID: c.Client, Host: c.Host}); ok {
				e.Clients = append(e.Clients, journal.ClientSeen{Client: c.Client, Host: c.Host, Open: s.Open, Closed: s.Closed})
			}
		}
	}
	if d.cfg.Topics != nil {
		for _, t := range in.Topics {
			e.Topics = append(e.Topics, d.cfg.Topics.Seen(t))
		}
	}
	return e
}

// complainEvery bounds how often a failure is logged.
const complainEvery = time.Minute

// tell writes incidents, and hands them on.
func (d *Driver) tell(incidents []journal.Incident) {
	for _, inc := range incidents {
		d.mu.Lock()
		inc.JournalLost = d.lost.of(inc.Group)
		d.mu.Unlock()
		err := d.write(inc)
		d.mu.Lock()
		if err == nil {
			d.counts.Written++
		} else {
			d.counts.Failed++
			d.lost.add(inc.Group, 1, 0)
			inc.JournalLost = d.lost.of(inc.Group) // for those who are told
		}
		d.counts.Groups = d.rec.Groups()
		failed := d.counts.Failed
		d.mu.Unlock()
		if now := d.cfg.Now(); err != nil && now.Sub(d.complained) >= complainEvery {
			d.complained = now
			d.cfg.Logger.Warn("an incident could not be written down; the rebalance is not disturbed", "group", inc.Group, "incident", inc.ID, "failed", failed, "err", err)
		}
		if d.cfg.Told != nil {
			d.cfg.Told(inc)
		}
	}
}

func (d *Driver) write(inc journal.Incident) error {
	key, value, err := journal.Encode(inc)
	if err != nil {
		return err
	}
	return d.cfg.Log.Append(context.Background(), key, value)
}
