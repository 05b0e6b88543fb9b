package driver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/barnabas-mq/barnabas/internal/activity"
	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/group"
	"github.com/barnabas-mq/barnabas/internal/coord/offset"
	"github.com/barnabas-mq/barnabas/internal/coord/runtime"
	"github.com/barnabas-mq/barnabas/internal/journal"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// book is a log in memory. When it is shut, Append fails; when a gate is there, Append waits for it.
type book struct {
	mu      sync.Mutex
	records []journal.Incident
	shut    bool
	gate    chan struct{}
}

func (b *book) Append(_ context.Context, key, value []byte) error {
	if b.gate != nil {
		<-b.gate
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shut {
		return errors.New("the disk is full")
	}
	inc, err := journal.Decode(key, value)
	if err != nil {
		return err
	}
	b.records = append(b.records, inc)
	return nil
}

func (b *book) latest() []journal.Incident {
	b.mu.Lock()
	defer b.mu.Unlock()
	return journal.Latest(b.records)
}

func now() vtime.Instant { return vtime.FromTime(time.Now()) }

// consumers is a real coordinator whose notes go to a driver.
type consumers struct {
	t    *testing.T
	s    *group.Shard
	d    *Driver
	n    int64
	last coord.Effects
}

func newConsumers(t *testing.T, d *Driver) *consumers {
	c := &consumers{t: t, d: d, s: group.New(group.Config{SessionTimeoutMin: time.Second, SessionTimeoutMax: time.Hour, SizeMax: 1000, RecordBytesMax: 1 << 20,
		Offsets: offset.Config{MetadataMax: 10, Retention: time.Hour, CheckInterval: time.Hour}})}
	c.s.Restore(now())
	return c
}

func (c *consumers) step(ev coord.Event) {
	c.last = c.s.Step(now(), ev)
	for _, r := range c.last.Records {
		c.n++
		c.s.Apply(c.n, r)
	}
	var notes []runtime.TimedNote
	for _, n := range c.last.Notes {
		notes = append(notes, runtime.TimedNote{At: now(), Note: n})
	}
	c.d.Notes(0, notes)
}

// join joins a group of its own, which is Stable afterwards. It returns the member's id.
func (c *consumers) join(name, client string) string {
	id := ""
	for range 2 {
		c.step(&group.JoinRequest{Reply: 1, Version: 4, Group: name, Member: id, FreshID: fmt.Sprint(c.n), Client: client, Host: "/10.0.0.1", ProtocolType: "consumer", SessionTimeout: 10 * time.Second,
			RebalanceTimeout: time.Minute, Protocols: []group.Protocol{{Name: "range", Metadata: []byte{0, 0, 0, 0, 0, 1, 0, 1, 't', 0xff, 0xff, 0xff, 0xff}}}})
		if len(c.last.Replies) > 0 {
			id = c.last.Replies[len(c.last.Replies)-1].Body.(group.JoinReply).Member
		}
	}
	a := c.last.Replies[0].Body.(group.JoinReply)
	c.step(&group.SyncRequest{Reply: 2, Version: 4, Group: name, Member: id, Generation: a.Generation,
		Assignments: []group.Assignment{{Member: id, Bytes: []byte{0, 1, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}}}})
	return id
}

func (c *consumers) leave(name, id, reason string) {
	c.step(&group.LeaveRequest{Reply: 3, Version: 5, Group: name, Members: []group.Leaver{{Member: id, Reason: reason}}})
}

// committed is the offsets of a group that committed 5 of 9 records a moment ago.
type committed struct{}

func (committed) Seen(_ string, of []journal.TopicPartitions) (out []journal.OffsetSeen) {
	for _, tp := range of {
		for _, p := range tp.Partitions {
			out = append(out, journal.OffsetSeen{TopicPartition: kafka.TopicPartition{Topic: tp.Topic, Partition: p}, Committed: 5, CommittedAt: now(), LogEnd: 9})
		}
	}
	return out
}

type oneTopic struct{}

func (oneTopic) Seen(topic string) journal.TopicSeen {
	return journal.TopicSeen{Name: topic, Partitions: 1}
}

func TestIncidentsAreWrittenWithTheirEvidence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, seen := &book{}, activity.New(100)
		var told int
		d := New(Config{Log: b, Offsets: committed{}, Activity: seen, Topics: oneTopic{}, Now: time.Now, Told: func(journal.Incident) { told++ }})
		c := newConsumers(t, d)
		who := activity.Client{ID: "a", Host: "/10.0.0.1"}
		seen.Opened(who)
		id := c.join("g", "a")
		synctest.Wait()
		seen.Reading(who, kafka.TopicPartition{Topic: "t"}, now()).Delivered(now(), 8)
		time.Sleep(time.Second)
		c.leave("g", id, "")
		synctest.Wait()
		seen.Closed(who, now())
		time.Sleep(2 * time.Minute) // the verdict awaits a return for a minute
		synctest.Wait()
		got := b.latest()
		if len(got) != 2 {
			t.Fatalf("%d incidents: %+v", len(got), got)
		}
		first, second := got[0], got[1]
		if first.Cause != journal.FirstStart || first.Provisional {
			t.Fatalf("%s", journal.Story(&first))
		}
		if second.Cause != journal.GracefulClose || second.Confidence != journal.Inferred || second.Provisional || second.Cost == nil || second.Cost.Uncommitted == nil || *second.Cost.Uncommitted != 3 {
			t.Fatalf("%s", journal.Story(&second))
		}
		if n := d.Counts(); n.Written != int64(len(b.records)) || n.Failed+n.Dropped != 0 || told != len(b.records) || n.Groups != 1 {
			t.Fatalf("%+v, %d told, %d written", n, told, len(b.records))
		}
		if err := d.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// TestAFullQueueCostsIncidentsOnly fills the queue while the log hangs: nobody waits, the drops are counted, and what is recorded afterwards is
// right again.
func TestAFullQueueCostsIncidentsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &book{gate: make(chan struct{})}
		d := New(Config{Log: b, NotesMax: 20, Now: time.Now})
		c := newConsumers(t, d)
		c.join("g", "a")
		synctest.Wait() // the goroutine hangs in Append
		last := ""
		for i := range 50 {
			last = c.join(fmt.Sprint("h", i), "b") // returns at once
		}
		if n := d.Counts(); n.Dropped == 0 || n.Waiting > 20 {
			t.Fatalf("%+v", n)
		}
		close(b.gate)
		synctest.Wait()
		if n := d.Counts(); n.Waiting != 0 {
			t.Fatalf("%+v", n)
		}
		before := len(b.latest())
		c.join("later", "c")
		synctest.Wait()
		got := b.latest()
		c.leave("h49", last, "") // of a group of which nothing could be told
		synctest.Wait()
		if _, notes := journal.Gaps(b.latest()); notes == 0 || notes > d.Counts().Dropped {
			t.Errorf("%d notes are missing, %d were dropped", notes, d.Counts().Dropped)
		}
		if len(got) != before+1 || got[before].Cause != journal.FirstStart || !got[before].Stage.Over() {
			t.Fatalf("%+v", got[before:])
		}
		for _, inc := range got {
			if !inc.Stage.Over() {
				t.Fatalf("left open:\n%s", journal.Story(&inc))
			}
		}
		if err := d.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestALogThatFailsIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &book{shut: true}
		var told []journal.Incident
		d := New(Config{Log: b, Now: time.Now, Told: func(inc journal.Incident) { told = append(told, inc) }})
		c := newConsumers(t, d)
		id := c.join("g", "a")
		synctest.Wait()
		lost := d.Counts().Failed
		if n := d.Counts(); n.Failed == 0 || n.Written != 0 {
			t.Fatalf("%+v", n)
		}
		for _, inc := range told { // whoever shows them can say so, while nothing can be written
			if inc.JournalLost == nil || inc.JournalLost.Records == 0 {
				t.Errorf("rev %d does not say that it was lost", inc.Rev)
			}
		}
		// The log takes records again: the next ones of this group say what is missing, those of others have nothing to say.
		b.mu.Lock()
		b.shut = false
		b.mu.Unlock()
		c.leave("g", id, "")
		c.join("h", "b")
		synctest.Wait()
		for _, inc := range b.latest() {
			records, notes := journal.Gaps([]journal.Incident{inc})
			if want := map[string]int64{"g": lost}[inc.Group]; records != want || notes != 0 {
				t.Errorf("%s: %d records and %d notes are missing, want %d and 0", inc.Group, records, notes, want)
			}
		}
		if len(b.latest()) < 2 {
			t.Errorf("%d incidents", len(b.latest()))
		}
		if err := d.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// TestCloseWritesWhatWaits, and gives up when it may not wait longer.
func TestCloseWritesWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &book{gate: make(chan struct{})}
		d := New(Config{Log: b, Now: time.Now})
		c := newConsumers(t, d)
		for i := range 10 {
			c.join(fmt.Sprint("g", i), "a")
		}
		go func() { time.Sleep(time.Second); close(b.gate) }()
		if err := d.Close(t.Context()); err != nil || len(b.latest()) != 10 {
			t.Fatalf("%v, %d incidents", err, len(b.latest()))
		}
		c.join("after", "a") // is not taken, and disturbs nobody
		synctest.Wait()

		b = &book{gate: make(chan struct{})}
		d = New(Config{Log: b, Now: time.Now})
		c = newConsumers(t, d)
		for i := range 10 {
			c.join(fmt.Sprint("g", i), "a")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() { time.Sleep(2 * time.Second); close(b.gate) }()
		if err := d.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if n := d.Counts(); n.Dropped == 0 || n.Waiting != 0 {
			t.Fatalf("%+v", n)
		}
	})
}

// TestACoordinatorThatGoesAwayEndsItsIncidents: notes before and after keep their order with it.
func TestACoordinatorThatGoesAwayEndsItsIncidents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &book{}
		d := New(Config{Log: b, Now: time.Now})
		at := now()
		m := coord.Member{ID: "a-1", Client: "a", Host: "/h"}
		started := func(group string) []runtime.TimedNote {
			return []runtime.TimedNote{{At: at, Note: coord.MemberArrived{Group: group, Member: m, New: true}},
				{At: at, Note: coord.RebalanceStarted{Group: group, From: "Empty", Trigger: coord.MemberJoined, Member: m}}}
		}
		d.Notes(0, started("g"))
		d.Notes(0, started("h"))
		d.Lost(func(group string) bool { return group == "g" })
		synctest.Wait()
		states := map[string]string{}
		for _, inc := range b.latest() {
			states[inc.Group] = inc.StateAfter
		}
		if states["g"] != "lost" || states["h"] != "" {
			t.Fatalf("%v", states)
		}
		if err := d.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
