package sim

import (
	"slices"
	"time"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/offset"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// Records. What takes an application less than grain is not an event: it flows, and is integrated when somebody asks. The rest comes in batches,
// as poll gives them.

// grain is the shortest work that is an event of its own. Shorter batches are taken together until they last as long.
const grain = 50 * time.Millisecond

// smallCommits is how often an application that commits each batch, or record, commits while records flow: its batches are too short to be
// events, and so are their commits.
const smallCommits = time.Second

// turn is how many records of one partition poll gives before it goes on to the next: what one fetch brings.
const turn = 1000

// quickest is the least work on a record: less would be no work, and an endless backlog done in no time.
const quickest = 100 * time.Nanosecond

// drawsMost is the largest batch whose records each have a time of their own; in a larger one they take the mean.
const drawsMost = 10_000

// batch is what poll gave to the application.
type batch struct {
	spans   []span
	n       int64 // records
	start   vtime.Instant
	length  time.Duration
	ends    []time.Duration // when each record is finished, from start; nil if all take the same time
	applied int64           // records accounted for
}

// span is consecutive records of one partition.
type span struct {
	h        *hold
	from, to int64
}

// finished is how many records are done at a moment.
func (b *batch) finished(at vtime.Instant) int64 {
	past := time.Duration(at - b.start)
	switch {
	case past >= b.length:
		return b.n
	case past <= 0:
		return 0
	case b.ends != nil:
		i, _ := slices.BinarySearch(b.ends, past+1)
		return int64(i)
	}
	return mulDiv(int64(past), b.n, int64(b.length))
}

// when is the moment at which so many records are done.
func (b *batch) when(done int64) vtime.Instant {
	switch {
	case done <= 0:
		return b.start
	case b.ends != nil:
		return b.start.Add(b.ends[done-1])
	}
	return b.start.Add(time.Duration(mulDiv(done, int64(b.length), b.n)))
}

// pace is how long a record takes, on average, as things are.
func (m *member) pace() time.Duration {
	d := max(m.cfg.Processing.mean(), quickest)
	if m.w.now.Before(m.slowed) {
		d = times(m.factor, d)
	}
	return d
}

// poll takes records, if there are any, and decides when to look again.
func (m *member) poll() {
	if m.batch != nil || m.blocked || m.stalled() || !m.up {
		return
	}
	m.progress()
	m.flowing = false
	total, incoming, some := int64(0), int64(0), false
	for _, h := range m.holds {
		if h.ready {
			some = true
			total += max(0, h.p.end(m.w.now)-h.pos)
			incoming += h.p.rate
		}
	}
	if !some {
		m.armCommit()
		return
	}
	if every := time.Duration(m.cfg.FlushEvery); every > 0 {
		past := (time.Duration(m.w.now-epoch) + every - m.phaseShift) % every
		m.begin(m.gather(total), every-past, nil)
		return
	}
	pace := m.pace()
	if pace >= grain || total > int64(grain/pace) {
		if total == 0 {
			m.wakeAtNext()
			m.armCommit()
			return
		}
		m.work(total, pace)
		return
	}
	if m.cfg.PoisonEvery > 0 && m.poisoned(total) {
		m.work(max(total, 1), pace)
		return
	}
	m.flowing = true
	m.progress()
	if mulDiv(incoming, int64(pace), 1_000_000_000) >= 1_000_000 { // more comes in a second than it can do in one
		m.arm(wake, m.w.now.Add(grain))
	} else if m.cfg.PoisonEvery > 0 {
		m.wakeAtPoison()
	} else {
		m.disarm(wake)
	}
	m.armCommit()
}

// work takes a batch.
func (m *member) work(total int64, pace time.Duration) {
	n := min(total, m.cfg.MaxPollRecords)
	if m.cfg.Client == "librdkafka" {
		n = min(total, 1)
	}
	if n < int64(grain/pace) {
		n = min(total, int64(grain/pace)) // as many polls as make a grain
	}
	spans := m.gather(n)
	length, ends := m.service(spans, pace)
	m.begin(spans, length, ends)
}

// gather takes up to n records, partition by partition, from where it stopped the last time.
func (m *member) gather(n int64) (spans []span) {
	for range len(m.holds) {
		if n == 0 {
			break
		}
		m.cursor++
		h := m.holds[m.cursor%len(m.holds)]
		if !h.ready {
			continue
		}
		if k := min(n, max(turn, m.cfg.MaxPollRecords), h.p.end(m.w.now)-h.pos); k > 0 {
			spans = append(spans, span{h, h.pos, h.pos + k})
			h.p.hand(h.pos, h.pos+k)
			h.pos += k
			n -= k
		}
	}
	return spans
}

// service is the work on records: all of it, and when each is finished unless all take the same.
func (m *member) service(spans []span, pace time.Duration) (length time.Duration, ends []time.Duration) {
	n := int64(0)
	for _, s := range spans {
		n += s.to - s.from
	}
	every := m.cfg.PoisonEvery
	if m.cfg.Processing.Kind == constant && every == 0 {
		return times(n, pace), nil
	}
	if n > drawsMost {
		poison := int64(0)
		for _, s := range spans {
			if every > 0 {
				poison += s.to/every - s.from/every
			}
		}
		return min(forever, times(n-poison, pace)+times(poison, time.Duration(m.cfg.PoisonTime))), nil
	}
	slow := int64(1)
	if m.w.now.Before(m.slowed) {
		slow = m.factor
	}
	ends = make([]time.Duration, 0, n)
	for _, s := range spans {
		for at := s.from; at < s.to; at++ {
			work := time.Duration(m.cfg.PoisonTime)
			if every == 0 || (at+1)%every != 0 {
				work = times(slow, m.cfg.Processing.draw(&m.rng))
			}
			length = min(forever, length+work)
			ends = append(ends, length)
		}
	}
	return length, ends
}

// begin is the application leaving poll with records.
func (m *member) begin(spans []span, length time.Duration, ends []time.Duration) {
	b := &batch{spans: spans, start: m.w.now, length: max(length, time.Nanosecond), ends: ends}
	for _, s := range spans {
		b.n += s.to - s.from
	}
	m.batch = b
	m.lastPoll = m.w.now
	m.arm(batchDone, b.start.Add(b.length))
	if b.length >= time.Duration(m.cfg.MaxPollInterval)/2 {
		m.watchPoll()
	}
	if m.cfg.Commit == "record" && b.n > 1 && b.length/time.Duration(b.n) >= grain {
		m.armRecord()
	}
}

// poisoned reports whether a poison record is among the next ones of any partition.
func (m *member) poisoned(int64) bool {
	for _, h := range m.holds {
		if h.ready && h.pos/m.cfg.PoisonEvery != h.p.end(m.w.now)/m.cfg.PoisonEvery {
			return true
		}
	}
	return false
}

// wakeAtNext wakes the application when the next record comes.
func (m *member) wakeAtNext() { m.wakeAtRecord(func(h *hold) int64 { return h.pos }) }

// wakeAtPoison wakes it when the next poison record comes.
func (m *member) wakeAtPoison() {
	m.wakeAtRecord(func(h *hold) int64 { return (h.pos/m.cfg.PoisonEvery+1)*m.cfg.PoisonEvery - 1 })
}

func (m *member) wakeAtRecord(which func(*hold) int64) {
	var first vtime.Instant
	for _, h := range m.holds {
		if !h.ready {
			continue
		}
		if at, ok := h.p.next(which(h)); ok && (first == 0 || at < first) {
			first = at
		}
	}
	if first == 0 {
		m.disarm(wake)
		return
	}
	m.arm(wake, first)
}

// progress accounts for what was processed until now.
func (m *member) progress() {
	now := m.w.now
	switch {
	case m.batch != nil:
		m.apply(m.batch.finished(now))
	case m.flowing && !m.stalled():
		for _, h := range m.holds {
			if !h.ready {
				continue
			}
			if end := h.p.end(now); end > h.pos {
				h.p.hand(h.pos, end)
				h.p.done(m, h.pos, end)
				h.pos, h.done = end, end
			}
		}
	}
}

// apply accounts for the first n records of the batch.
func (m *member) apply(n int64) {
	b := m.batch
	skip := int64(0)
	for _, s := range b.spans {
		size := s.to - s.from
		from, to := max(b.applied-skip, 0), min(n-skip, size)
		if from < to {
			if from == 0 { // until the work on it begins, a partition falls behind
				s.h.p.behind(b.when(skip), s.h.done)
			}
			s.h.p.done(m, s.from+from, s.from+to)
			s.h.done = s.from + to
		}
		skip += size
	}
	b.applied = max(b.applied, n)
}

// finishBatch is the application coming back to poll.
func (m *member) finishBatch() {
	m.progress()
	m.batch = nil
	m.disarm(recordDone)
	if m.cfg.Commit == "batch" && m.phase == joined && !m.lost && m.uncommitted(nil) {
		m.block()
		m.commit(nil, func(kafka.ErrorCode, bool) {
			m.blocked = false
			m.step()
		})
		return
	}
	m.step()
}

// armRecord sees to the commit after the next record.
func (m *member) armRecord() {
	b := m.batch
	k := b.finished(m.w.now) + 1
	if k >= b.n {
		return // the last one is finishBatch's
	}
	at := b.start
	if b.ends != nil {
		at = at.Add(b.ends[k-1])
	} else {
		at = at.Add(time.Duration(mulDiv(k, int64(b.length), b.n) + 1))
	}
	m.arm(recordDone, max(at, m.w.now+1))
}

// recordDone is an application that commits each record.
func (m *member) recordDone() {
	b := m.batch
	if b == nil {
		return
	}
	m.progress()
	m.commit(nil, func(code kafka.ErrorCode, ok bool) {
		if (!ok || code != kafka.None) && m.cfg.OnCommitFailure == "stop" && m.batch == b {
			m.progress()
			for _, s := range b.spans {
				s.h.pos = max(s.h.done, s.from)
			}
			m.batch = nil
			m.disarm(batchDone)
			m.disarm(recordDone)
			m.step()
		}
	})
	if m.batch == b {
		m.armRecord()
	}
}

// armCommit sees to commits while the application flows or idles.
func (m *member) armCommit() {
	switch {
	case m.cfg.Client == "librdkafka" && m.cfg.Commit == "auto":
		return // by the clock already
	case m.cfg.Commit == "auto":
		m.arm(autoCommit, m.nextCommit)
	case m.flowing:
		m.nextCommit = max(m.nextCommit, m.w.now.Add(smallCommits))
		m.arm(autoCommit, m.nextCommit)
	}
}

// commitLater is a commit that nobody waits for, and the next one's time.
func (m *member) commitLater() {
	every := time.Duration(m.cfg.AutoCommitEvery)
	if m.cfg.Commit != "auto" {
		every = smallCommits
	}
	m.nextCommit = m.w.now.Add(every)
	if until, ok := m.w.idleUntil(); ok && m.cfg.Commit == "auto" && m.phase == joined && m.even() {
		if k := int64(until-m.nextCommit) / int64(every); k > 0 { // none that may be the last before something happens
			m.nextCommit = m.nextCommit.Add(time.Duration(k) * every)
			if q := m.commitRequest(nil); len(q.Topics) > 0 {
				m.w.coord.messages[apiCommit] += k
				m.w.coord.bytes += k * wireSize(m.name, q)
			}
		}
	}
	if m.cfg.Client == "librdkafka" || m.batch == nil {
		m.arm(autoCommit, m.nextCommit)
	}
	if m.phase == joined && !m.lost && (m.cfg.Commit == "auto" || m.uncommitted(nil)) {
		m.commit(nil, func(kafka.ErrorCode, bool) {})
	}
}

// even reports whether nothing comes from the member itself: it flows, or has nothing to do.
func (m *member) even() bool { return m.flowing || len(m.holds) == 0 && m.batch == nil && !m.blocked }

// uncommitted reports whether the member has processed what it has not committed; of some partitions, or of all it has for nil.
func (m *member) uncommitted(only map[*partition]bool) bool {
	m.progress()
	for _, h := range m.holds {
		if h.ready && h.done != h.sent && (only == nil || only[h.p]) {
			return true
		}
	}
	return false
}

// commitRequest is how far the member came; of some partitions, or of all it has for nil.
func (m *member) commitRequest(only map[*partition]bool) *offset.CommitRequest {
	q := &offset.CommitRequest{Version: 8, Group: groupID, Generation: m.generation, Member: m.id, Instance: m.instance(), RetentionMs: -1}
	last := int32(-1)
	for _, h := range m.holds {
		if !h.ready || only != nil && !only[h.p] {
			continue
		}
		if h.p.topic != last {
			last = h.p.topic
			q.Topics = append(q.Topics, offset.CommitTopic{Topic: m.w.topics[last].name})
		}
		t := &q.Topics[len(q.Topics)-1]
		t.Partitions = append(t.Partitions, offset.CommitPartition{Partition: h.p.number, Offset: h.done, LeaderEpoch: -1})
	}
	return q
}

// commit sends how far the member came; of some partitions, or of all it has for nil. done hears the worst code; not ok if there was no answer.
func (m *member) commit(only map[*partition]bool, done func(code kafka.ErrorCode, ok bool)) {
	m.progress()
	q := m.commitRequest(only)
	for _, h := range m.holds {
		if h.ready && (only == nil || only[h.p]) {
			h.sent = h.done
		}
	}
	switch {
	case len(q.Topics) == 0:
		done(kafka.None, true)
		return
	case m.phase == out: // the client knows that it is no member, and does not ask
		done(kafka.UnknownMemberID, true)
		return
	}
	attempt := m.attempt
	m.ask(apiCommit, time.Duration(m.cfg.RequestTimeout), func(r coord.ReplyID) coord.Event {
		q.Reply = r
		return q
	}, func(body any) {
		r, ok := body.(offset.CommitReply)
		if !ok {
			for _, h := range m.holds {
				h.sent = -1 // nobody knows what became of it
			}
			done(kafka.NotCoordinator, false)
			return
		}
		code := kafka.None
		if len(r.Topics) > 0 && len(r.Topics[0].Partitions) > 0 {
			code = r.Topics[0].Partitions[0].Code
		}
		if code != kafka.None {
			for _, h := range m.holds {
				h.sent = -1
			}
			if m.attempt == attempt && m.phase == joined {
				m.hear(code, "offset commit failed since group is already rebalancing")
			}
		}
		done(code, true)
		if m.batch == nil {
			m.step()
		}
	})
}

// freeze stops all threads of the member for a while.
func (m *member) freeze(d time.Duration) {
	if !m.up {
		return
	}
	m.progress()
	until := max(m.frozen, m.w.now.Add(d)) // it may stand still already
	if longer := until.Since(max(m.frozen, m.w.now)); m.batch != nil {
		m.batch.start = m.batch.start.Add(longer)
		m.batch.length = max(m.batch.length, time.Nanosecond)
		m.arm(batchDone, m.batch.start.Add(m.batch.length))
		m.watchPoll() // when it goes on, its heartbeat thread may find that nobody has polled for too long
	}
	flowed := m.flowing
	m.flowing = false
	m.frozen = until
	m.standStill()
	m.w.after(until.Since(m.w.now), func() {
		if m.frozen == until && m.up {
			m.standStill()
			if flowed || m.batch == nil {
				m.later(0, m.step)
			}
		}
	})
}

// block is the application thread waiting for an answer: nothing is processed meanwhile.
func (m *member) block() {
	m.progress()
	m.blocked, m.flowing = true, false
}

// starve cuts the member off from the records for a while; what it has, it finishes.
func (m *member) starve(d time.Duration) {
	m.progress()
	m.flowing = false
	m.starved = max(m.starved, m.w.now.Add(d))
	m.standStill()
	m.w.after(d, func() {
		m.standStill()
		m.later(0, m.step)
	})
}

// standStill tells its partitions that the member stands still, or goes on.
func (m *member) standStill() {
	for _, h := range m.holds {
		m.recount(h)
		h.p.change()
	}
}
