package server

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/replica/driver"
	"github.com/barnabas-mq/barnabas/internal/storage"
	"github.com/barnabas-mq/barnabas/internal/vtime"
	"github.com/barnabas-mq/barnabas/internal/wire"
)

// Fetch (1)
//
// v4   isolation level, aborted transactions
// v5   log start offset
// v7   sessions (KIP-227)
// v9   current leader epoch (KIP-320)
// v10  zstd; older clients get it, too, if somebody wrote it, as from Kafka
// v11  rack id; preferred read replica (KIP-392; there is one replica, so none is preferred)
// v12  flexible; last fetched epoch and diverging epoch (KIP-595)
// v13  topic ids (KIP-516)
// v15  replica state instead of replica id (KIP-903)
// v16  node endpoints (KIP-951)
// v17  directory id (KIP-853)
// v18  a follower's high watermark (KIP-1166)
//
// Record bytes go from the file to the socket as they were produced. A fetch that finds too little is parked until the high watermark
// of one of its partitions moves, or its wait is over.

// fetchCall is one Fetch from its request to its answer.
type fetchCall struct {
	header      wire.RequestHeader
	version     int16
	parts       *partList
	session     *session
	incremental bool
	maxBytes    int
	minBytes    int
	committed   bool // read_committed
	toEnd       bool // a debugging consumer (replica id -2) reads beyond the high watermark
	follower    bool
	deadline    time.Time
	start       time.Time
	waited      time.Duration
	requestSize int

	rows   []fetchRow
	held   int64 // of Server.waiting, while parked
	bytes  int
	urgent bool // an error or a divergence: answer now
}

// fetchRow is what one look at one partition found.
type fetchRow struct {
	part    *sessionPart
	p       *driver.Partition
	slice   *storage.Slice
	waitFor int64
	wire    wire.FetchPartition
}

const debugConsumer = -2

func (c *conn) fetch(r *Request) error {
	q := kmsg.NewPtrFetchRequest()
	q.Version = r.Version
	if err := q.ReadFrom(r.Body); err != nil {
		return &wire.FrameError{Reason: "Fetch: body cannot be decoded: " + err.Error()}
	}
	replica := q.ReplicaID
	if r.Version >= 15 {
		replica = q.ReplicaState.ID
	}
	if !knownIsolation(q.IsolationLevel) {
		return c.refuseFetch(r, q, kafka.UnknownServerError)
	}
	parts, session, incremental, code := c.srv.sessions.begin(q)
	call := &fetchCall{
		header: r.RequestHeader, version: r.Version, parts: parts, session: session, incremental: incremental,
		maxBytes: int(min(q.MaxBytes, c.srv.cfg.FetchMaxBytes)), committed: q.IsolationLevel == 1,
		toEnd: replica == debugConsumer, follower: replica >= 0, start: r.Now, requestSize: len(r.Body),
	}
	call.header.ClientID = nil
	c.letGo()
	if code != kafka.None {
		c.srv.deps.Metrics.Error(wire.KeyFetch, code)
		return call.send(c, c.out[:0], &wire.FetchResponse{ErrorCode: int16(code)})
	}
	call.minBytes = min(int(q.MinBytes), call.maxBytes)
	call.look(c)
	call.noteFetched(c)
	if q.MaxWaitMillis <= 0 || call.enough() || !call.hold(c.srv) {
		return call.answer(c, c.out[:0])
	}
	call.release()
	call.deadline = r.Now.Add(time.Duration(q.MaxWaitMillis) * time.Millisecond)
	c.park(call)
	return nil
}

// refuseFetch answers the whole request with a code; clients before v13 find it in each partition, too.
func (c *conn) refuseFetch(r *Request, q *kmsg.FetchRequest, code kafka.ErrorCode) error {
	c.srv.deps.Metrics.Error(wire.KeyFetch, code)
	resp := wire.FetchResponse{ErrorCode: int16(code), SessionID: q.SessionID}
	for i := 0; i < len(q.Topics) && r.Version < 13; i++ {
		t := wire.FetchTopic{Name: q.Topics[i].Topic, First: len(resp.Partitions), Count: len(q.Topics[i].Partitions)}
		for k := range q.Topics[i].Partitions {
			row := failedRow(q.Topics[i].Partitions[k].Partition)
			row.ErrorCode = int16(code)
			resp.Partitions = append(resp.Partitions, row)
		}
		resp.Topics = append(resp.Topics, t)
	}
	call := &fetchCall{header: r.RequestHeader, version: r.Version, start: r.Now, requestSize: len(r.Body)}
	c.letGo()
	return call.send(c, c.out[:0], &resp)
}

// failedRow is a partition as it is answered before its log was looked at: with a list of aborted transactions, which is empty.
func failedRow(index int32) wire.FetchPartition {
	return wire.FetchPartition{Index: index, HighWatermark: -1, LastStableOffset: -1, LogStartOffset: -1, PreferredReader: -1, Aborted: []wire.AbortedTxn{}}
}

// noteFetched leaves evidence of who asked for what. The session's lock guards its parts.
func (f *fetchCall) noteFetched(c *conn) {
	t := c.srv.deps.Activity
	if t == nil || !c.introduced || f.follower {
		return
	}
	if f.session != nil {
		f.session.mu.Lock()
		defer f.session.mu.Unlock()
	}
	now := vtime.FromTime(f.start)
	for i := range f.rows {
		row := &f.rows[i]
		if row.p == nil {
			continue
		}
		if row.part.seen == nil {
			row.part.seen = t.Reading(c.client, row.p.Name, now)
		}
		row.part.seen.Fetched(now)
	}
}

func (f *fetchCall) enough() bool { return f.urgent || len(f.rows) == 0 || f.bytes >= f.minBytes }

// look reads every partition once, in the session's order, within the limits of the request.
func (f *fetchCall) look(c *conn) {
	f.rows, f.bytes, f.urgent = f.rows[:0], 0, false
	if f.session != nil {
		f.session.mu.Lock()
		defer f.session.mu.Unlock()
	}
	left := f.maxBytes
	for part := f.parts.head.next; part != &f.parts.head; part = part.next {
		row := fetchRow{part: part}
		row.wire = failedRow(part.part)
		if code := f.lookAt(c, &row, left); code != kafka.None {
			row.wire.ErrorCode = int16(code)
			f.urgent = true
			c.srv.deps.Metrics.Error(wire.KeyFetch, code)
		}
		f.bytes += row.wire.Records
		left = max(0, left-row.wire.Records)
		f.rows = append(f.rows, row)
	}
}

func (f *fetchCall) lookAt(c *conn, row *fetchRow, left int) kafka.ErrorCode {
	part := row.part
	p, code := c.srv.partition(part.partKey)
	if code != kafka.None {
		return code
	}
	row.wire.Aborted = nil
	if code := p.ErrorCode(); code != kafka.None {
		if code == kafka.KafkaStorageError && f.version <= 5 {
			code = kafka.NotLeaderOrFollower // which clients of that age know, and look for another leader
		}
		return code
	}
	if code := p.CheckEpoch(part.leaderEpoch); code != kafka.None {
		return code
	}
	if f.follower {
		// This node leads all its partitions and has no follower: nobody may fetch in a follower's name.
		if part.leaderEpoch < 0 {
			return kafka.NotLeaderOrFollower
		}
		return kafka.UnknownLeaderEpoch
	}
	log := p.Log()
	hw := p.HighWatermark()
	row.p, row.waitFor = p, hw+1
	limit := hw
	if f.committed {
		limit = p.LastStableOffset()
	}
	if f.toEnd {
		limit = log.EndOffset()
	}
	start := log.StartOffset()
	if part.lastEpoch >= 0 {
		epoch, end := log.EndOffsetForEpoch(part.lastEpoch)
		if epoch < 0 {
			return kafka.OffsetOutOfRange
		}
		if epoch < part.lastEpoch || end < part.offset {
			row.wire.HighWatermark, row.wire.LastStableOffset, row.wire.LogStartOffset = hw, p.LastStableOffset(), start
			row.wire.DivergingKnown, row.wire.DivergingEpoch, row.wire.DivergingEnd = true, epoch, end
			f.urgent = true
			return kafka.None
		}
	}
	if part.offset < start || part.offset > log.EndOffset() {
		return kafka.OffsetOutOfRange
	}
	if part.offset < limit {
		// The first partition with data gives at least one whole batch, whatever the limits say.
		room := min(int(part.maxBytes), left)
		if room > 0 || f.bytes == 0 {
			slice, err := log.Read(part.offset, max(room, 0), limit, f.bytes == 0)
			if err != nil {
				code, text := p.CodeOf(err)
				if code != kafka.OffsetOutOfRange && code != kafka.UnknownTopicOrPartition {
					c.srv.log.Error("cannot read a partition", "topic", p.Name.Topic, "partition", p.Name.Partition, "offset", part.offset, "error", text)
				}
				return code
			}
			if slice != nil {
				row.slice, row.wire.Records = slice, slice.Len()
			}
		}
	}
	row.wire.HighWatermark, row.wire.LastStableOffset, row.wire.LogStartOffset = hw, p.LastStableOffset(), start
	if f.committed {
		row.wire.Aborted = []wire.AbortedTxn{}
		if row.wire.Records > 0 {
			aborted, err := log.AbortedTxns(part.offset, row.slice.UpperBound())
			if err != nil {
				code, text := p.CodeOf(err)
				c.srv.log.Error("cannot read the aborted transactions of a partition", "topic", p.Name.Topic, "partition", p.Name.Partition, "error", text)
				row.slice.Release()
				row.slice, row.wire.Records = nil, 0
				return code
			}
			for _, a := range aborted {
				row.wire.Aborted = append(row.wire.Aborted, wire.AbortedTxn{ProducerID: a.ProducerID, FirstOffset: a.FirstOffset})
			}
		}
	}
	return kafka.None
}

// partition finds what a key names, or says why not.
func (s *Server) partition(k partKey) (*driver.Partition, kafka.ErrorCode) {
	if k.topic != "" {
		if p := s.deps.Partitions.Get(k.topic, k.part); p != nil {
			return p, kafka.None
		}
		return nil, kafka.UnknownTopicOrPartition
	}
	p, known := s.deps.Partitions.GetID(k.id, k.part)
	switch {
	case p != nil:
		return p, kafka.None
	case known:
		return nil, kafka.UnknownTopicOrPartition
	}
	return nil, kafka.UnknownTopicID
}

// rowWeight is what a partition of a parked Fetch is taken to hold: its row, its waiter, and its place in the list.
const rowWeight = 384

// hold counts what the parked Fetch holds, and returns false when all of them together would hold too much: then it is answered with what
// there is. A request of few bytes may stand for all partitions of a session, and any number of connections may go on with one session.
// Small ones pass free, as small requests do.
func (f *fetchCall) hold(s *Server) bool {
	need := int64(len(f.rows)) * rowWeight
	if need <= freeBytes || need <= f.held {
		return true
	}
	if !s.waiting.try(need - f.held) {
		return false
	}
	f.held = need
	return true
}

func (f *fetchCall) release() {
	for i := range f.rows {
		if s := f.rows[i].slice; s != nil {
			s.Release()
			f.rows[i].slice = nil
		}
	}
}

// finish waits until there is enough to answer.
func (f *fetchCall) finish(c *conn, out []byte) ([]byte, error) {
	c.srv.waitingFetch.Add(1)
	defer c.srv.waitingFetch.Add(-1)
	defer func() { c.srv.waiting.give(f.held) }()
	parked := c.srv.deps.Now()
	w := driver.NewWaiter()
	timer := time.NewTimer(f.deadline.Sub(c.srv.deps.Now()))
	defer timer.Stop()
	for over := false; ; {
		for i := range f.rows {
			if p := f.rows[i].p; p != nil {
				p.Await(f.rows[i].waitFor, w)
			}
		}
		select {
		case <-w.C:
		case <-timer.C:
			over = true
		case <-c.hurry:
			over = true
		case <-c.srv.closing.Done():
			over = true
		case <-c.done:
			f.forget(w)
			return nil, errClose
		}
		f.forget(w)
		f.look(c)
		if over || f.enough() || !f.hold(c.srv) {
			f.waited = c.srv.deps.Now().Sub(parked)
			return nil, f.answer(c, out)
		}
		f.release()
	}
}

func (f *fetchCall) forget(w *driver.Waiter) {
	for i := range f.rows {
		if p := f.rows[i].p; p != nil {
			p.Forget(w)
		}
	}
}

// answer writes what the last look found.
func (f *fetchCall) answer(c *conn, out []byte) error {
	defer f.release()
	resp := f.compose(c)
	return f.send(c, out, &resp)
}

// compose picks the rows to tell and notes them in the session. Its lock is not held while the answer is written: a client that takes
// its time, or is gone, must not stop the same session on its next connection.
func (f *fetchCall) compose(c *conn) wire.FetchResponse {
	resp := wire.FetchResponse{Topics: make([]wire.FetchTopic, 0, 4), Partitions: make([]wire.FetchPartition, 0, len(f.rows))}
	sent := f.rows[:0]
	if s := f.session; s != nil {
		resp.SessionID = s.id
		s.mu.Lock()
		defer s.mu.Unlock()
	}
	for i := range f.rows {
		row := f.rows[i]
		if f.session != nil && !f.remember(&row) && f.incremental {
			continue
		}
		sent = append(sent, row)
		if n := len(resp.Topics); n == 0 || resp.Topics[n-1].Name != row.part.topic || resp.Topics[n-1].ID != row.part.id {
			resp.Topics = append(resp.Topics, wire.FetchTopic{Name: row.part.topic, ID: row.part.id, First: len(resp.Partitions)})
		}
		resp.Topics[len(resp.Topics)-1].Count++
		resp.Partitions = append(resp.Partitions, row.wire)
		if row.wire.Records > 0 {
			c.srv.deps.Metrics.Fetched(row.p.Name.Topic, row.wire.Records)
			if row.part.seen != nil {
				row.part.seen.Delivered(vtime.FromTime(c.srv.deps.Now()), row.slice.UpperBound())
			}
		}
	}
	f.rows = sent
	return resp
}

// remember notes in the session what the client is told of a partition, and returns whether there is anything to tell. The
// session's lock is held.
func (f *fetchCall) remember(row *fetchRow) (news bool) {
	part := row.part
	w := &row.wire
	if f.parts.index[part.partKey] != part {
		return w.Records > 0 || w.ErrorCode != 0 // forgotten meanwhile by a request that overtook this one
	}
	news = w.Records > 0 || w.ErrorCode != 0 || w.DivergingKnown || !part.told ||
		part.toldHW != w.HighWatermark || part.toldStart != w.LogStartOffset
	// After an error the next answer has the partition in any case.
	part.told = w.ErrorCode == 0
	part.toldHW, part.toldStart = w.HighWatermark, w.LogStartOffset
	if w.Records > 0 {
		f.parts.moveToBack(part)
	}
	return news
}

// send writes the answer: the frame from memory, the records from their files.
func (f *fetchCall) send(c *conn, out []byte, resp *wire.FetchResponse) error {
	start := len(out)
	out = wire.AppendResponseHeader(out, f.header)
	out, cuts := wire.AppendFetchResponse(out, nil, f.version, resp)
	var records int64
	for _, cut := range cuts {
		records += int64(resp.Partitions[cut.Index].Records)
	}
	if err := wire.FinishResponse(out, start, records); err != nil {
		return err
	}
	c.srv.deps.Metrics.Request(wire.KeyFetch, f.version, c.srv.deps.Now().Sub(f.start), f.waited, f.requestSize, len(out)-start+int(records))
	slices := make([]*storage.Slice, len(cuts))
	for i, cut := range cuts {
		slices[i] = f.rows[cut.Index].slice
	}
	return c.writeRecords(out, cuts, slices)
}
