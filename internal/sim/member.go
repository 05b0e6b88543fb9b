package sim

import (
	"slices"
	"time"

	"github.com/barnabas-mq/barnabas/assign"
	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/group"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// phase is where a member's client stands with its group.
type phase uint8

const (
	out     phase = iota // in no group
	joining              // its JoinGroup is under way
	syncing              // it has a generation, and waits for its assignment
	joined               // it has its assignment
)

// member is one consumer: an application thread that polls and processes, and a client under it.
//
// The application thread is in one of three places. It processes a batch (batch is set). It waits for an answer inside poll or a callback
// (blocked). Or it is in poll and can act at once; then, if what comes is little, it processes as it comes (flowing), without an event.
type member struct {
	w             *world
	index         int
	name, process string
	cfg           *Members
	assignors     []assign.Assignor
	topics        []string
	reads         []int32 // the same topics by index, in the order of the world
	rng           random
	link          link

	up       bool
	counted  bool   // in world.running
	uneasy   bool   // in world.unsteady
	life     uint32 // answers to an earlier life are not heard
	tokens   [whatCount]uint32
	frozen   vtime.Instant // its threads stand still until then
	starved  vtime.Instant // it cannot fetch until then
	slowed   vtime.Instant // its processing takes factor times as long until then
	factor   int64
	fatal    string // why the client gave up
	closing  bool
	onClosed func()
	mail     []func() // answers that a client without a thread of its own has not read yet

	// The client.
	phase      phase
	id         string
	generation int32
	leader     bool
	protocol   string
	planned    int // version of the topics its last plan was made for
	rejoin     bool
	reason     string
	lost       bool          // what it holds is no longer its own
	answer     []*partition  // an assignment the application thread has not taken yet
	answered   bool          // answer is there
	notBefore  vtime.Instant // a failed request is not tried again earlier
	attempt    uint32        // of joining
	memory     []assign.TopicPartitions
	memoryFrom int32
	nextBeat   vtime.Instant
	refreshed  vtime.Instant // metadata, last

	// The coordinator's view of it.
	seatID           string
	joinedGeneration int32 // 0: not in the group
	fenced           bool
	held             coord.ReplyID // its last heartbeat or sync, if that may be held

	// The application.
	holds      []*hold // by partition
	blocked    bool
	revoking   bool // blocked in onPartitionsRevoked
	batch      *batch
	flowing    bool
	cursor     int
	lastPoll   vtime.Instant
	limitArmed bool
	nextCommit vtime.Instant
	phaseShift time.Duration // of flush.every
	records    int64
}

// hold is a partition that a member has, or believes to have.
type hold struct {
	p    *partition
	pos  int64 // the next record to take
	done int64 // records below are processed
	sent int64 // the last offset committed
	// ready: the position is known. zombie: the member was put out, or left behind, while it had it. gone: the member has it no longer.
	ready, zombie, gone bool
	counted             bool // in its partition's fenced
}

// recount keeps the partition's number of members that read it without right: those that stand still do not read.
func (m *member) recount(h *hold) {
	if misreads := h.zombie && h.ready && !h.gone && !m.stalled(); misreads != h.counted {
		h.counted = misreads
		h.p.fenced += int32(sign(misreads))
	}
}

func (w *world) addFleet(cfg *Members) {
	wanted := make(map[string]bool, len(cfg.Topics))
	for _, name := range cfg.Topics {
		wanted[name] = true
	}
	var topics []string
	var reads []int32
	for i, t := range w.topics {
		if len(wanted) == 0 || wanted[t.name] {
			topics, reads = append(topics, t.name), append(reads, int32(i))
		}
	}
	slices.Sort(topics) // as subscriptions have them, so that they need not be sorted for each JoinGroup
	var assignors []assign.Assignor
	for _, name := range cfg.Assignors {
		a, err := assign.ByName(name)
		if err != nil {
			panic(err) // the scenario was checked
		}
		assignors = append(assignors, a)
	}
	for n := int64(1); n <= cfg.Count; n++ {
		process := cfg.process(n)
		for k := int64(1); k <= cfg.Consumers; k++ {
			name := process
			if cfg.Consumers > 1 {
				name = cfg.consumer(process, k)
			}
			m := &member{w: w, index: len(w.members), name: name, process: process, cfg: cfg, assignors: assignors, topics: topics, reads: reads, factor: 1,
				rng: newRandom(w.opt.Seed, "client "+name), link: link{rng: newRandom(w.opt.Seed, "network "+name)}}
			m.phaseShift = m.rng.within(time.Duration(cfg.FlushEvery))
			w.members = append(w.members, m)
		}
	}
}

func (m *member) instance() string {
	if m.cfg.Static {
		return m.name
	}
	return ""
}

func (m *member) cooperative() bool { return m.assignors[0].Cooperative() }

// arm sets a timer, in place of the one of that kind that may be set.
func (m *member) arm(k what, at vtime.Instant) {
	m.tokens[k]++
	e := event{at: max(at, m.w.now), m: m, what: k, token: m.tokens[k]}
	if k == beat || k == autoCommit {
		m.w.pushDull(e)
	} else {
		m.w.push(e)
	}
}

func (m *member) disarm(k what) { m.tokens[k]++ }

func (m *member) fire(k what) {
	switch k {
	case beat:
		m.beat()
	case batchDone:
		m.finishBatch()
	case wake, again:
		m.step()
	case autoCommit:
		if m.cfg.Client == "librdkafka" || m.batch == nil && !m.blocked {
			m.progress()
			m.commitLater()
		}
	case pollLimit:
		m.checkPollLimit()
	case refresh:
		m.refresh()
	case recordDone:
		m.recordDone()
	}
}

// stalled reports whether its application cannot work.
func (m *member) stalled() bool { return m.w.now.Before(m.frozen) || m.w.now.Before(m.starved) }

// start is a process coming up.
func (m *member) start() {
	if m.up {
		return
	}
	m.up, m.closing, m.fatal = true, false, ""
	m.life++
	m.phase, m.id, m.generation, m.leader, m.rejoin, m.lost, m.answered, m.answer = out, "", group.NoGeneration, false, false, false, false, nil
	m.memory, m.memoryFrom, m.seatID, m.joinedGeneration, m.fenced = nil, assign.NoGeneration, "", 0, false
	m.blocked, m.revoking, m.batch, m.flowing, m.mail, m.notBefore, m.limitArmed = false, false, nil, false, nil, 0, false
	m.refreshed, m.nextCommit = m.w.now, m.w.now.Add(time.Duration(m.cfg.AutoCommitEvery))
	if m.cfg.Client == "librdkafka" {
		m.arm(beat, m.w.now.Add(m.rng.within(time.Duration(m.cfg.Heartbeat))))
		if m.cfg.Commit == "auto" {
			m.arm(autoCommit, m.nextCommit)
		}
	}
	m.step()
	m.weigh()
}

// die ends the process at once: nothing is said to anybody. Who waited for it to close need not wait any more.
func (m *member) die() {
	if !m.up {
		return
	}
	m.progress()
	m.up = false
	m.life++
	for k := range m.tokens {
		m.tokens[k]++
	}
	m.dropAll()
	m.batch, m.flowing, m.blocked, m.frozen = nil, false, false, 0 // the network is cut as it was
	m.joinedGeneration, m.seatID = 0, ""
	m.weigh()
	if then := m.onClosed; then != nil {
		m.onClosed = nil
		then()
	}
}

// close is an orderly end: the batch under way is finished, offsets are committed, and a dynamic member says that it goes.
func (m *member) close(then func()) {
	if !m.up {
		if then != nil {
			then()
		}
		return
	}
	m.closing = true
	if earlier := m.onClosed; earlier == nil {
		m.onClosed = then
	} else if then != nil { // it is being closed already, and somebody waits for that
		m.onClosed = func() { earlier(); then() }
	}
	m.step()
	m.weigh()
}

// step is the application thread inside poll: it does what is to be done for the group, then takes records. It may be called at any time.
func (m *member) step() {
	if !m.up || m.batch != nil || m.blocked || m.w.now.Before(m.frozen) {
		return
	}
	if m.fatal != "" { // poll has thrown: there is nothing left to do but to close
		if m.closing {
			m.dropAll()
			m.die()
		}
		return
	}
	m.lastPoll = m.w.now
	for len(m.mail) > 0 && m.up && !m.blocked {
		read := m.mail[0]
		m.mail = m.mail[1:]
		read()
	}
	if !m.up || m.blocked || m.fatal != "" || m.batch != nil {
		return
	}
	if m.cfg.Client == pollHeartbeat && m.phase == joined && m.nextBeat <= m.w.now && !m.closing {
		m.heartbeat()
		return
	}
	m.progress()
	if m.lost {
		m.lost = false
		m.dropAll()
	}
	if m.closing {
		m.shutDown()
		return
	}
	if m.answered {
		m.answered = false
		m.take(m.answer)
		if m.blocked || !m.up || m.batch != nil {
			return
		}
	}
	if m.rejoin && m.phase == joined {
		m.prepare()
		return
	}
	if m.phase == out {
		if m.w.now.Before(m.notBefore) {
			m.arm(again, m.notBefore)
		} else {
			m.join()
		}
	}
	if m.nextCommit <= m.w.now && m.cfg.Client != "librdkafka" {
		m.commitLater()
	}
	m.poll()
}

// shutDown is the rest of close, once the application thread is free.
func (m *member) shutDown() {
	end := func() {
		m.dropAll()
		if m.id != "" && m.instance() == "" && m.phase != out {
			m.leave("the consumer is being closed")
		}
		m.die()
	}
	if m.phase == joined && m.uncommitted(nil) {
		m.block()
		m.commit(nil, func(kafka.ErrorCode, bool) { m.blocked = false; end() })
		return
	}
	end()
}

// dropAll gives up everything it holds.
func (m *member) dropAll() {
	for _, h := range m.holds {
		h.gone = true
		m.release(h)
	}
	m.holds = m.holds[:0]
	m.flowing = false
}

// drop gives some partitions up.
func (m *member) drop(gone map[*partition]bool) {
	m.holds = slices.DeleteFunc(m.holds, func(h *hold) bool {
		if h.gone = gone[h.p]; h.gone {
			m.release(h)
		}
		return h.gone
	})
}

func (m *member) release(h *hold) {
	m.recount(h)
	if !h.zombie && h.p.owner == m {
		h.p.owner, h.p.ready = nil, false
		m.w.owners.Drop(h.p.index, int32(m.index))
	}
	h.p.change()
}

// claim makes a hold known to its partition.
func (m *member) claim(h *hold) {
	h.zombie = m.fenced || m.joinedGeneration == 0
	m.recount(h)
	if !h.zombie {
		m.w.check(m.w.owners.Take(h.p.index, int32(m.index)))
		h.p.owner, h.p.ready = m, h.ready
	}
	h.p.change()
}

// fence is the coordinator having put the member out, or gone on without it: what it holds, it holds without right from now on.
func (m *member) fence() {
	m.fenced = true
	m.progress()
	for _, h := range m.holds {
		if h.zombie {
			continue
		}
		m.release(h)
		h.zombie = true
		m.recount(h)
		h.p.change()
	}
}

// makeReady is a position that became known.
func (m *member) makeReady(h *hold, pos int64) {
	h.pos, h.done, h.sent = pos, pos, pos
	if h.ready {
		return
	}
	h.ready = true
	m.recount(h)
	if !h.zombie && h.p.owner == m {
		h.p.ready = true
	}
	h.p.change()
}

// weigh keeps count of members that run, and of those not at rest.
func (m *member) weigh() {
	if m.up != m.counted {
		m.counted = m.up
		m.w.running += sign(m.up)
		for _, i := range m.reads {
			t := &m.w.topics[i]
			was := t.wanting()
			t.readers += sign(m.up)
			m.w.count(was, t.wanting())
		}
	}
	uneasy := m.up && m.fatal == "" && (m.phase != joined || m.rejoin || m.lost || m.answered || m.closing || m.fenced || m.revoking || m.waits())
	if uneasy != m.uneasy {
		m.uneasy = uneasy
		m.w.unsteady += sign(uneasy)
	}
}

// waits reports whether a position is still unknown.
func (m *member) waits() bool {
	for _, h := range m.holds {
		if !h.ready {
			return true
		}
	}
	return false
}

func sign(up bool) int {
	if up {
		return 1
	}
	return -1
}

// beat is a round of the heartbeat thread.
func (m *member) beat() {
	interval := time.Duration(m.cfg.Heartbeat)
	switch m.cfg.Client {
	case "librdkafka":
		m.arm(beat, m.skipBeats(m.w.now.Add(interval), 0))
		if m.phase == joined {
			m.heartbeat()
		}
	case pollHeartbeat:
		m.step()
	default:
		if m.phase == syncing || m.phase == joined {
			late := time.Duration(m.cfg.RetryBackoff)
			m.arm(beat, m.skipBeats(m.w.now.Add(interval+m.rng.within(late)), late))
			m.heartbeat()
		}
	}
}

// skipBeats is the next beat that can matter, for one that would be at next: none is skipped that may be the last before something happens, and
// enough are sent to keep the session. late is the random part of an interval.
func (m *member) skipBeats(next vtime.Instant, late time.Duration) vtime.Instant {
	until, ok := m.w.idleUntil()
	if !ok || m.phase != joined || !m.even() {
		return next
	}
	until = min(until, m.w.now.Add(time.Duration(m.cfg.SessionTimeout)/3*2))
	size := wireSize(m.name, m.heartbeatRequest())
	for {
		rng := m.rng
		after := next.Add(time.Duration(m.cfg.Heartbeat) + rng.within(late))
		if after >= until {
			return next
		}
		m.rng, next = rng, after
		m.w.coord.messages[apiHeartbeat]++
		m.w.coord.bytes += size
	}
}

// restartBeat is what clients do when their JoinGroup is answered.
func (m *member) restartBeat() {
	if m.cfg.Client == "librdkafka" {
		return
	}
	m.nextBeat = m.w.now.Add(time.Duration(m.cfg.Heartbeat))
	at := m.nextBeat
	if m.cfg.Client == "java" {
		at = at.Add(m.rng.within(time.Duration(m.cfg.RetryBackoff)))
	}
	m.arm(beat, at)
}

func (m *member) heartbeatRequest() *group.HeartbeatRequest {
	return &group.HeartbeatRequest{Group: groupID, Generation: m.generation, Member: m.id, Instance: m.instance()}
}

func (m *member) heartbeat() {
	attempt, q := m.attempt, m.heartbeatRequest()
	awaited := m.cfg.Client == pollHeartbeat
	if awaited {
		m.block()
		m.restartBeat()
	}
	m.ask(apiHeartbeat, time.Duration(m.cfg.RequestTimeout), func(r coord.ReplyID) coord.Event {
		q.Reply = r
		return q
	}, func(body any) {
		if awaited {
			m.blocked = false
		}
		if code, ok := codeOf(body); m.attempt == attempt && (m.phase == syncing || m.phase == joined) {
			switch {
			case !ok && !awaited && m.cfg.Client == "java":
				m.arm(beat, m.w.now.Add(m.backoff())) // look for the coordinator again
			case ok:
				m.hear(code, "group is already rebalancing")
			}
		}
		m.step()
	})
}

// hear is an answer's word on the membership.
func (m *member) hear(code kafka.ErrorCode, reason string) {
	switch code {
	case kafka.RebalanceInProgress:
		if m.phase == joined && !m.rejoin {
			m.rejoin, m.reason = true, reason
			m.w.happens(m, "learns")
		}
	case kafka.UnknownMemberID:
		m.forget("")
	case kafka.IllegalGeneration:
		m.forget(m.id)
	case kafka.FencedInstanceID:
		m.fatal = code.String()
		m.dropAll()
	}
}

// forget gives the membership up; what it holds is lost at the next poll.
func (m *member) forget(id string) {
	m.attempt++
	m.phase, m.id, m.generation, m.leader, m.rejoin, m.lost, m.answered = out, id, group.NoGeneration, false, false, true, false
}

// watchPoll makes the heartbeat thread, if there is one, look when max.poll.interval.ms is over.
func (m *member) watchPoll() {
	if m.cfg.Client != pollHeartbeat && !m.limitArmed {
		m.limitArmed = true
		m.arm(pollLimit, m.lastPoll.Add(time.Duration(m.cfg.MaxPollInterval)))
	}
}

// checkPollLimit is the heartbeat thread's look at the application: did it poll within max.poll.interval.ms?
func (m *member) checkPollLimit() {
	m.limitArmed = false
	if m.batch == nil {
		return
	}
	deadline := m.lastPoll.Add(time.Duration(m.cfg.MaxPollInterval))
	if m.w.now.Before(deadline) {
		m.limitArmed = true
		m.arm(pollLimit, deadline)
		return
	}
	if m.phase == out {
		return
	}
	if m.instance() == "" {
		m.leave("consumer poll timeout has expired.")
	}
	m.forget("")
}

// leave says goodbye; the answer does not matter.
func (m *member) leave(reason string) {
	id := m.id
	if m.cfg.Client != "java" {
		reason = ""
	}
	m.ask(apiLeave, time.Duration(m.cfg.RequestTimeout), func(r coord.ReplyID) coord.Event {
		return &group.LeaveRequest{Reply: r, Version: 5, Group: groupID, Members: []group.Leaver{{Member: id, Reason: reason}}}
	}, func(any) {})
}

// backoff is how long to wait before a request that found no coordinator is tried again.
func (m *member) backoff() time.Duration { return max(time.Duration(m.cfg.RetryBackoff), reconnect) }

// reconnect is how long a client waits, at most, before it connects again (Kafka: reconnect.backoff.max.ms).
const reconnect = time.Second

// codeOf is the code of an answer; not ok if nobody answered who could.
func codeOf(body any) (code kafka.ErrorCode, ok bool) {
	switch b := body.(type) {
	case group.HeartbeatReply:
		return b.Code, true
	case group.JoinReply:
		return b.Code, true
	case group.SyncReply:
		return b.Code, true
	}
	return kafka.NotCoordinator, false
}

// refresh is a leader looking at the metadata.
func (m *member) refresh() {
	m.refreshed = m.w.now
	if m.up && m.leader && m.phase == joined && m.planned != m.w.version && !m.rejoin {
		m.rejoin, m.reason = true, "cached metadata has changed"
		m.step()
	}
}

// topicsGrew makes the member look at the metadata when its age says so.
func (m *member) topicsGrew() {
	if !m.up {
		return
	}
	age := time.Duration(m.cfg.MetadataMaxAge)
	next := m.refreshed
	if past := m.w.now.Since(next); past > 0 {
		next = next.Add((past/age + 1) * age)
	}
	m.arm(refresh, next)
}
