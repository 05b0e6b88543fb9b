package sim

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/group"
	"github.com/barnabas-mq/barnabas/internal/coord/offset"
	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/coord/runtime"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// coordinator is the broker's coordinator: the real runtime around the real shard, with a log and timers in virtual time.
type coordinator struct {
	w        *world
	rt       *runtime.Runtime
	up       bool
	life     uint32
	waiting  map[coord.ReplyID]*call
	lastID   coord.ReplyID
	armed    vtime.Instant // the tick that is queued; 0 for none
	messages [apiCount]int64
	bytes    int64 // of all of them

	// The log, as compaction leaves it: the newest record of each key.
	log map[string]logged
	end int64
}

// holds is how long heartbeats may be held, by client: those that heartbeat in the background.
var holds = map[string]time.Duration{"java": 5 * time.Second, "librdkafka": 2500 * time.Millisecond}

type logged struct {
	offset int64
	rec    record.Record
}

func newCoordinator(w *world) *coordinator {
	s := &w.sc.Coordinator
	cfg := group.Config{
		SessionTimeoutMin: time.Duration(s.SessionMin), SessionTimeoutMax: time.Duration(s.SessionMax), InitialRebalanceDelay: time.Duration(s.InitialDelay),
		SizeMax: int(s.SizeMax), RecordBytesMax: 1 << 30,
		Offsets: offset.Config{MetadataMax: 4096, Retention: 7 * 24 * time.Hour, CheckInterval: 10 * time.Minute},
	}
	return &coordinator{w: w, rt: runtime.New(func() coord.Shard { return group.New(cfg) }), waiting: map[coord.ReplyID]*call{}, log: map[string]logged{}}
}

// load reads the log and begins to serve.
func (c *coordinator) load() {
	c.up = true
	c.rt.Load()
	entries := slices.SortedFunc(maps.Values(c.log), func(a, b logged) int { return cmp.Compare(a.offset, b.offset) })
	for _, e := range entries {
		c.rt.Replay(e.offset, e.rec)
	}
	c.w.epochs.Restarted()
	c.deliver(c.rt.Loaded(c.w.now, c.end))
	for _, e := range entries {
		if g, ok := e.rec.(*record.GroupMetadata); ok && g.Value != nil {
			c.w.readmit(g.Value)
		}
	}
	c.pump()
}

// readmit takes note of members that the log says are in the group. One that was put out just before the coordinator went, and whose removal
// never got as far as the log, is a member again and need not know that it was not.
func (w *world) readmit(v *record.GroupMetadataValue) {
	for _, seat := range v.Members {
		for _, m := range w.members {
			if !m.up || m.seatID != seat.ID {
				continue
			}
			w.byID[seat.ID] = m
			m.joinedGeneration = v.Generation
			if m.fenced && m.generation == v.Generation {
				m.fenced = false
				for _, h := range m.holds {
					if h.zombie {
						m.claim(h)
					}
				}
			}
			m.weigh()
		}
	}
}

// crash loses what is not in the log, and every connection.
func (c *coordinator) crash() {
	c.up = false
	c.life++
	for _, id := range slices.Sorted(maps.Keys(c.waiting)) {
		c.w.tell(c.waiting[id], lost{})
	}
	clear(c.waiting)
	c.armed = 0
	c.rt.Drop()
	c.w.stable = false
	for _, m := range c.w.members {
		m.joinedGeneration = 0
	}
}

// receive is a request that has arrived.
func (c *coordinator) receive(q *call) {
	if !c.up {
		c.w.tell(q, lost{})
		return
	}
	if held := q.m.held; held != 0 && c.waiting[held] != nil { // something else has come on its connection
		switch ev := c.waiting[held].ev.(type) {
		case *group.HeartbeatRequest:
			c.deliver(c.rt.Request(c.w.now, 0, &group.HoldRelease{Group: groupID, Member: ev.Member, Held: held}))
		case *group.SyncRequest:
			c.deliver(c.rt.Request(c.w.now, 0, &group.HoldRelease{Group: groupID, Member: ev.Member, Held: held}))
		}
	}
	c.lastID++
	id := c.lastID
	c.waiting[id] = q
	q.ev = q.make(id)
	if c.w.sc.Coordinator.PromptNotice {
		switch ev := q.ev.(type) {
		case *group.HeartbeatRequest:
			ev.Hold, q.m.held = holds[q.m.cfg.Client], id
		case *group.SyncRequest:
			if q.m.cfg.Client == "java" { // librdkafka does not join again at once
				ev.Hold, q.m.held = holds["java"], id
			}
		}
	}
	c.deliver(c.rt.Request(c.w.now, id, q.ev))
	c.pump()
}

// pump writes what is to be written, and sees to the timers.
func (c *coordinator) pump() {
	for c.up {
		b, ok := c.rt.Batch()
		if !ok {
			break
		}
		if d := time.Duration(c.w.sc.Coordinator.AppendTime); d > 0 {
			life := c.life
			c.w.pushDull(event{at: c.w.now.Add(d), run: func() {
				if c.life == life {
					c.committed(b)
					c.pump()
				}
			}})
			break
		}
		c.committed(b)
	}
	if at, ok := c.rt.Next(); ok && (c.armed == 0 || at < c.armed) {
		c.armed = at
		life := c.life
		c.w.pushDull(event{at: max(at, c.w.now), run: func() {
			if c.life != life || c.armed != at {
				return
			}
			c.armed = 0
			c.deliver(c.rt.Tick(c.w.now))
			c.pump()
		}})
	} else if !ok {
		c.armed = 0
	}
}

func (c *coordinator) committed(b runtime.Batch) {
	at := b.BaseOffset
	for _, step := range b.Steps {
		for _, rec := range step {
			key := string(rec.AppendKey(nil))
			if _, ok := rec.AppendValue(nil); ok {
				c.log[key] = logged{at, rec}
			} else {
				delete(c.log, key)
			}
			at++
		}
	}
	c.end = b.End
	c.deliver(c.rt.Committed(b.End))
}

// deliver sends answers, and notes what the coordinator has decided.
func (c *coordinator) deliver(out runtime.Output) {
	w := c.w
	for _, a := range out.Replies {
		q := c.waiting[a.To]
		if q == nil {
			continue
		}
		delete(c.waiting, a.To)
		switch body := a.Body.(type) {
		case group.JoinReply:
			w.trace(40, uint64(q.m.index), uint64(body.Generation))
			if body.Code == kafka.None && q.life == q.m.life {
				w.check(w.epochs.Told(int32(q.m.index), body.Generation, q.m.fenced || q.m.joinedGeneration == 0))
				q.m.joinedGeneration, q.m.fenced, q.m.seatID = body.Generation, false, body.Member
				w.byID[body.Member] = q.m
			}
		case offset.CommitReply:
			c.accepted(q, body)
		}
		w.tell(q, a.Body)
	}
	for _, n := range out.Notes {
		w.note(n)
	}
}

// accepted takes note of offsets that were committed.
func (c *coordinator) accepted(q *call, body offset.CommitReply) {
	ev, ok := q.ev.(*offset.CommitRequest)
	if !ok {
		return
	}
	for i, t := range body.Topics {
		for k, r := range t.Partitions {
			if r.Code != kafka.None {
				continue
			}
			p := c.w.partition(t.Topic, r.Partition)
			at := ev.Topics[i].Partitions[k].Offset
			if q.life == q.m.life {
				c.w.check(c.w.commits.Accepted(p.index, int32(q.m.index), at))
			}
			p.commit(at)
		}
	}
}

func (w *world) check(err error) {
	if err != nil {
		w.fail(err)
	}
}
