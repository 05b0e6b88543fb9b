package journal

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/barnabas-mq/barnabas/assign"
	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/group"
	"github.com/barnabas-mq/barnabas/internal/coord/offset"
	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// failer is what testing.TB and rapid.T have in common.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

var start = vtime.FromTime(time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))

// world is a real coordinator with consumers that behave as the libraries do, in virtual time: they heartbeat every 3 s, learn of a rebalance
// from that, finish what they do, rejoin, and whoever leads assigns with a real assignor. A Recorder listens.
type world struct {
	t      failer
	cfg    group.Config
	s      *group.Shard
	now    vtime.Instant
	timers map[coord.TimerKey]vtime.Instant
	log    []record.Record
	queue  []task
	seq    int
	replyN coord.ReplyID
	wait   map[coord.ReplyID]func(any)

	topics  map[string]int32
	created map[string]vtime.Instant
	actors  map[string]*actor
	uuids   int

	rec       *Recorder
	evidence  bool // hand evidence to the recorder
	rate      int64
	committed map[kafka.TopicPartition]OffsetSeen
	fetched   map[fetchKey]FetchSeen
	watch     map[fetchKey]bool
	closed    map[clientKey]vtime.Instant
	notes     []timed
	all       []Incident
	latest    map[string]Incident
	order     []string
}

type timed struct {
	at vtime.Instant
	n  coord.Note
}

type task struct {
	at  vtime.Instant
	seq int
	do  func()
}

// actor is one consumer.
type actor struct {
	name, host, software     string
	client                   string // client.id: the name, unless it was given another
	instance                 string
	assignors                []string
	topics                   []string
	session, rebalance       time.Duration
	drain                    time.Duration // from learning of a rebalance to rejoining
	reasons                  bool          // it says why (KIP-800)
	hold                     time.Duration // how long its heartbeats may be held
	memberVersion            int16
	id                       string
	generation               int32
	owned                    []assign.TopicPartitions
	running, busy, paused    bool
	joining                  bool
	life                     int // counts processes, so that what an old one had planned is dropped
	mutual, hangs            bool
	lastJoinReason, leaveTxt string
}

func newWorld(t failer) *world {
	w := &world{t: t, now: start, topics: map[string]int32{}, created: map[string]vtime.Instant{}, actors: map[string]*actor{}, latest: map[string]Incident{},
		rec: New(Config{}), evidence: true, rate: 10, committed: map[kafka.TopicPartition]OffsetSeen{}, fetched: map[fetchKey]FetchSeen{},
		watch: map[fetchKey]bool{}, closed: map[clientKey]vtime.Instant{}}
	w.cfg = group.Config{SessionTimeoutMin: 6 * time.Second, SessionTimeoutMax: 30 * time.Minute, InitialRebalanceDelay: 3 * time.Second, SizeMax: 1 << 30,
		RecordBytesMax: 1 << 20, Offsets: offset.Config{MetadataMax: 4096, Retention: 7 * 24 * time.Hour, CheckInterval: 10 * time.Minute}}
	w.load()
	return w
}

// load makes a fresh coordinator out of the log.
func (w *world) load() {
	w.s, w.timers, w.wait = group.New(w.cfg), map[coord.TimerKey]vtime.Instant{}, map[coord.ReplyID]func(any){}
	for i, r := range w.log {
		w.s.Apply(int64(i), r)
	}
	w.take(w.s.Restore(w.now))
}

func (w *world) take(fx coord.Effects) {
	for _, r := range fx.Records {
		w.log = append(w.log, r)
		w.s.Apply(int64(len(w.log)), r)
	}
	for _, op := range fx.Timers {
		if op.Cancel {
			delete(w.timers, op.Key)
		} else {
			w.timers[op.Key] = op.At
		}
	}
	for _, n := range fx.Notes {
		w.hear(n)
	}
	for _, r := range fx.Replies {
		if then := w.wait[r.To]; then != nil {
			delete(w.wait, r.To)
			body := r.Body
			w.after(0, func() { then(body) })
		}
	}
}

func (w *world) hear(n coord.Note) {
	w.notes = append(w.notes, timed{w.now, n})
	w.pump(w.now)
	if in, ok := w.rec.Wants(n); ok && w.evidence {
		w.keep(w.rec.NoteWith(w.now, n, w.gather(in)))
		return
	}
	w.keep(w.rec.Note(w.now, n))
}

// pump lets the recorder look again at what it wanted to.
func (w *world) pump(now vtime.Instant) {
	for {
		in, ok := w.rec.Due(now)
		if !ok {
			return
		}
		var e Evidence
		if w.evidence {
			e = w.gather(in)
		}
		w.keep(w.rec.Amend(now, e))
	}
}

func (w *world) keep(out []Incident) {
	for _, inc := range out {
		if old, ok := w.latest[inc.ID]; !ok {
			w.order = append(w.order, inc.ID)
		} else if inc.Rev != old.Rev+1 {
			w.t.Fatalf("%s: rev %d after %d", inc.ID, inc.Rev, old.Rev)
		}
		w.latest[inc.ID] = inc
		w.all = append(w.all, inc)
	}
}

// gather is the evidence that a broker would have.
func (w *world) gather(in Interest) (e Evidence) {
	for _, o := range in.Owners {
		for _, tp := range o.Partitions {
			for _, p := range tp.Partitions {
				k := kafka.TopicPartition{Topic: tp.Topic, Partition: p}
				seen, ok := w.committed[k]
				if !ok {
					seen = OffsetSeen{TopicPartition: k, Committed: -1}
				}
				seen.LogEnd = w.logEnd(k)
				e.Offsets = append(e.Offsets, seen)
				fk := fetchKey{clientKey{o.Client, o.Host}, k}
				if in.Watch {
					w.watch[fk] = true
					f := w.fetched[fk]
					f.Next = 0
					w.fetched[fk] = f
				}
				if f, ok := w.fetched[fk]; ok {
					f.Client, f.Host, f.TopicPartition = o.Client, o.Host, k
					e.Fetches = append(e.Fetches, f)
				}
			}
		}
	}
	for _, c := range in.Clients {
		seen := ClientSeen{Client: c.Client, Host: c.Host, Closed: w.closed[clientKey{c.Client, c.Host}]}
		for _, a := range w.actors { // any order: counted
			if a.client == c.Client && "/"+a.host == c.Host && a.running {
				seen.Open = 1
			}
		}
		e.Clients = append(e.Clients, seen)
	}
	for _, t := range in.Topics {
		e.Topics = append(e.Topics, TopicSeen{t, w.topics[t], w.created[t]})
	}
	return e
}

// logEnd grows with time.
func (w *world) logEnd(k kafka.TopicPartition) int64 {
	return 1000 + int64(w.now.Since(start).Seconds()*float64(w.rate))
}

func (w *world) after(d time.Duration, do func()) {
	w.seq++
	w.queue = append(w.queue, task{w.now.Add(d), w.seq, do})
}

// advance lets time pass: what clients planned, and timers, in the order of their time.
func (w *world) advance(d time.Duration) {
	until := w.now.Add(d)
	for range 1_000_000 {
		keys := slices.SortedFunc(maps.Keys(w.timers), func(a, b coord.TimerKey) int {
			return cmp.Or(cmp.Compare(w.timers[a], w.timers[b]), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Member, b.Member))
		})
		slices.SortFunc(w.queue, func(a, b task) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.seq, b.seq)) })
		if at, ok := w.rec.Next(); ok && at <= until && (len(keys) == 0 || at < w.timers[keys[0]]) && (len(w.queue) == 0 || at < w.queue[0].at) {
			w.now = max(w.now, at)
			w.pump(w.now)
			continue
		}
		switch {
		case len(w.queue) > 0 && w.queue[0].at <= until && (len(keys) == 0 || w.queue[0].at <= w.timers[keys[0]]):
			t := w.queue[0]
			w.queue = w.queue[1:]
			w.now = max(w.now, t.at)
			t.do()
		case len(keys) > 0 && w.timers[keys[0]] <= until:
			w.now = max(w.now, w.timers[keys[0]])
			delete(w.timers, keys[0])
			w.take(w.s.Step(w.now, coord.TimerFired{Key: keys[0]}))
		default:
			w.now = until
			w.pump(w.now)
			return
		}
	}
	w.t.Fatalf("time does not pass")
}

func (w *world) ask(ev func(coord.ReplyID) coord.Event, then func(any)) {
	w.replyN++
	id := w.replyN
	w.wait[id] = then
	w.take(w.s.Step(w.now, ev(id)))
}

// plan does something for the process that a is now, if it still runs by then.
func (w *world) plan(a *actor, d time.Duration, do func()) {
	life := a.life
	w.after(d, func() {
		if a.life == life && a.running {
			do()
		}
	})
}

func (w *world) launch(a *actor) {
	a.running, a.paused, a.id, a.generation, a.owned = true, false, "", -1, nil
	a.life++
	w.join(a, "")
	w.plan(a, 3*time.Second, func() { w.beat(a) })
}

func (w *world) join(a *actor, reason string) {
	if a.joining && a.id != "" {
		return
	}
	a.joining = true
	q := &group.JoinRequest{Version: 9, Group: "orders", Member: a.id, Instance: a.instance, Client: a.client, Host: "/" + a.host, Software: a.software,
		ProtocolType: "consumer", SessionTimeout: a.session, RebalanceTimeout: a.rebalance}
	if a.reasons {
		q.Reason = reason
	}
	w.uuids++
	q.FreshID = fmt.Sprint(w.uuids)
	for _, name := range a.assignors {
		as, err := assign.ByName(name)
		if err != nil {
			w.t.Fatalf("%v", err)
		}
		sub := as.Subscribe(a.topics, a.owned, a.generation, "")
		b, err := assign.AppendSubscription(nil, sub, 3)
		if err != nil {
			w.t.Fatalf("%v", err)
		}
		q.Protocols = append(q.Protocols, group.Protocol{Name: name, Metadata: b})
	}
	life := a.life
	w.ask(func(id coord.ReplyID) coord.Event { q.Reply = id; return q }, func(body any) {
		if a.life != life || !a.running {
			return
		}
		r := body.(group.JoinReply)
		switch r.Code {
		case kafka.None:
			a.joining = false
			a.id, a.generation = r.Member, r.Generation
			w.plan(a, time.Millisecond, func() { w.sync(a, r) })
		case kafka.MemberIDRequired:
			a.id, a.joining = r.Member, false
			w.join(a, "need to re-join with the given member-id: "+r.Member)
		case kafka.RebalanceInProgress:
			a.joining = false
			w.join(a, "group is already rebalancing")
		case kafka.UnknownMemberID:
			a.joining, a.id, a.owned = false, "", nil
			w.join(a, "")
		default: // fatal for a client, or tried again much later
			a.joining = false
			if r.Code != kafka.FencedInstanceID {
				w.plan(a, time.Second, func() { w.join(a, "") })
			}
		}
	})
}

func (w *world) sync(a *actor, r group.JoinReply) {
	q := &group.SyncRequest{Version: 5, Group: "orders", Generation: r.Generation, Member: a.id, Instance: a.instance, ProtocolType: &r.ProtocolType, Protocol: &r.Protocol}
	if r.Leader == a.id && !r.SkipAssignment {
		if a.mutual { // it dies of its assignment
			w.kill(a)
			return
		}
		if a.hangs { // its assignor does not come to an end
			return
		}
		q.Assignments = w.assignments(r)
	}
	if a.hangs {
		return
	}
	life, protocol := a.life, r.Protocol
	w.ask(func(id coord.ReplyID) coord.Event { q.Reply = id; return q }, func(body any) {
		if a.life != life || !a.running {
			return
		}
		r := body.(group.SyncReply)
		if r.Code != kafka.None {
			w.failed(a, r.Code)
			return
		}
		got, err := assign.DecodeAssignment(r.Assignment)
		if err != nil {
			w.t.Fatalf("%v", err)
		}
		lost := lengthOfOwned(a.owned) > 0 && len(minus(a.owned, got.Partitions)) > 0
		as, _ := assign.ByName(protocol)
		if as != nil && as.Cooperative() && lost {
			gone := minus(a.owned, got.Partitions)
			a.owned = got.Partitions
			w.commit(a, gone)
			w.plan(a, a.drain, func() { w.join(a, "need to revoke partitions and re-join") })
			return
		}
		a.owned = got.Partitions
		w.work(a)
	})
}

func lengthOfOwned(tps []assign.TopicPartitions) (n int) {
	for _, tp := range tps {
		n += len(tp.Partitions)
	}
	return n
}

func minus(a, b []assign.TopicPartitions) (out []kafka.TopicPartition) {
	in := map[kafka.TopicPartition]bool{}
	for _, tp := range b {
		for _, p := range tp.Partitions {
			in[kafka.TopicPartition{Topic: tp.Topic, Partition: p}] = true
		}
	}
	for _, tp := range a {
		for _, p := range tp.Partitions {
			if k := (kafka.TopicPartition{Topic: tp.Topic, Partition: p}); !in[k] {
				out = append(out, k)
			}
		}
	}
	return out
}

// assignments is what the leader hands in.
func (w *world) assignments(r group.JoinReply) (out []group.Assignment) {
	as, err := assign.ByName(r.Protocol)
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	var members []assign.Member
	for _, m := range r.Members {
		sub, err := assign.DecodeSubscription(m.Metadata)
		if err != nil {
			w.t.Fatalf("%v", err)
		}
		members = append(members, assign.Member{ID: m.ID, InstanceID: m.Instance, Subscription: sub})
	}
	var topics []assign.Topic
	for _, t := range slices.Sorted(maps.Keys(w.topics)) {
		topics = append(topics, assign.Topic{Name: t, Partitions: w.topics[t]})
	}
	plan, err := as.Assign(members, topics)
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	for i, a := range plan {
		b, err := assign.AppendAssignment(nil, a, 1)
		if err != nil {
			w.t.Fatalf("%v", err)
		}
		out = append(out, group.Assignment{Member: members[i].ID, Bytes: b})
	}
	return out
}

// failed is what clients do with an error of a heartbeat or a sync.
func (w *world) failed(a *actor, code kafka.ErrorCode) {
	switch code {
	case kafka.RebalanceInProgress:
		if !a.busy {
			w.plan(a, a.drain, func() { w.rejoin(a, "group is already rebalancing") })
		}
	case kafka.IllegalGeneration:
		a.owned = nil
		w.rejoin(a, "encountered ILLEGAL_GENERATION from HEARTBEAT response")
	case kafka.UnknownMemberID:
		a.id, a.owned = "", nil
		if !a.busy {
			w.rejoin(a, "encountered UNKNOWN_MEMBER_ID from HEARTBEAT response")
		}
	case kafka.FencedInstanceID:
		a.running = false
		w.closed[clientKey{a.client, "/" + a.host}] = w.now
	}
}

// rejoin gives everything up first if the assignor is an eager one.
func (w *world) rejoin(a *actor, reason string) {
	if as, _ := assign.ByName(a.assignors[0]); !as.Cooperative() {
		w.commit(a, nil)
		a.owned = nil
	}
	w.join(a, reason)
}

// beat is a heartbeat, and with it a step of work.
func (w *world) beat(a *actor) {
	w.plan(a, 3*time.Second, func() { w.beat(a) })
	if a.paused || a.id == "" || a.generation < 0 || a.joining {
		return
	}
	w.work(a)
	life := a.life
	w.ask(func(id coord.ReplyID) coord.Event {
		return &group.HeartbeatRequest{Reply: id, Group: "orders", Generation: a.generation, Member: a.id, Instance: a.instance, Hold: a.hold}
	}, func(body any) {
		if a.life == life && a.running {
			w.failed(a, body.(group.HeartbeatReply).Code)
		}
	})
}

// work reads what is there, and commits what was read a step before, unless the application is busy with a batch.
func (w *world) work(a *actor) {
	if a.busy || a.paused {
		return
	}
	w.commit(a, nil)
	for _, tp := range a.owned {
		for _, p := range tp.Partitions {
			k := kafka.TopicPartition{Topic: tp.Topic, Partition: p}
			fk := fetchKey{clientKey{a.client, "/" + a.host}, k}
			f := w.fetched[fk]
			f.Fetched, f.At, f.Delivered = w.now, w.now, w.logEnd(k)
			if w.watch[fk] {
				f.Next = w.now
				delete(w.watch, fk)
			}
			w.fetched[fk] = f
		}
	}
}

// commit commits what a has read: of some partitions, or nil for all it owns.
func (w *world) commit(a *actor, only []kafka.TopicPartition) {
	if only == nil {
		for _, tp := range a.owned {
			for _, p := range tp.Partitions {
				only = append(only, kafka.TopicPartition{Topic: tp.Topic, Partition: p})
			}
		}
	}
	for _, k := range only {
		if f, ok := w.fetched[fetchKey{clientKey{a.client, "/" + a.host}, k}]; ok {
			w.committed[k] = OffsetSeen{TopicPartition: k, Committed: f.Delivered, CommittedAt: w.now}
		}
	}
}

func (w *world) kill(a *actor) {
	a.running, a.joining, a.owned = false, false, nil
	w.closed[clientKey{a.client, "/" + a.host}] = w.now
}

// leave sends LeaveGroup.
func (w *world) leave(a *actor, reason string) {
	if !a.reasons {
		reason = ""
	}
	w.ask(func(id coord.ReplyID) coord.Event {
		return &group.LeaveRequest{Reply: id, Version: 5, Group: "orders", Client: a.client, Host: "/" + a.host,
			Members: []group.Leaver{{Member: a.id, Instance: a.instance, Reason: reason}}}
	}, func(any) {})
	a.id, a.generation, a.joining = "", -1, false
}

func (w *world) duration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	return d
}
