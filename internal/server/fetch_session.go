package server

import (
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/activity"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// Fetch sessions (KIP-227): the broker remembers which partitions a client reads, so that requests and answers carry only what
// changed. A session is an optimisation; a client that loses its session begins a new one with a full request.

const (
	noSession      = 0
	epochFinal     = -1 // no session, or the end of one
	epochInitial   = 0  // begin a session
	sessionMinIdle = 2 * time.Minute
	// sessionPartsMax bounds what one session may remember, and is what all together may at least.
	sessionPartsMax = 200_000
	// sessionPartsPerSlot bounds what all sessions together may remember: so many partitions, of some 200 bytes each, for each slot.
	sessionPartsPerSlot = 500
)

// partKey names a partition inside a session: by topic id from Fetch v13 on, by name before.
type partKey struct {
	topic string
	id    kafka.TopicID
	part  int32
}

// sessionPart is one partition a client reads, and what it was last told.
type sessionPart struct {
	partKey
	offset         int64
	maxBytes       int32
	leaderEpoch    int32
	lastEpoch      int32 // last fetched epoch, -1 unknown
	told           bool
	toldHW         int64
	toldStart      int64
	seen           *activity.Reading // nil until somebody asked, and where there is no memory of it
	next, previous *sessionPart
}

// partList is partitions in the order they are served. Those that returned data move to the end, so that all get their turn.
type partList struct {
	head  sessionPart // sentinel
	index map[partKey]*sessionPart
}

func newPartList() *partList {
	l := &partList{index: map[partKey]*sessionPart{}}
	l.head.next, l.head.previous = &l.head, &l.head
	return l
}

func (l *partList) pushBack(p *sessionPart) {
	p.previous, p.next = l.head.previous, &l.head
	p.previous.next, p.next.previous = p, p
}

func (l *partList) unlink(p *sessionPart) { p.previous.next, p.next.previous = p.next, p.previous }

func (l *partList) moveToBack(p *sessionPart) { l.unlink(p); l.pushBack(p) }

func (l *partList) remove(k partKey) {
	if p := l.index[k]; p != nil {
		delete(l.index, k)
		l.unlink(p)
	}
}

// update takes the partitions of a request: new ones join at the end, known ones change their position and limits.
func (l *partList) update(q *kmsg.FetchRequest) {
	for i := range q.Topics {
		t := &q.Topics[i]
		for k := range t.Partitions {
			rp := &t.Partitions[k]
			key := keyOf(q.Version, t.Topic, t.TopicID, rp.Partition)
			p := l.index[key]
			if p == nil {
				p = &sessionPart{partKey: key}
				l.index[key] = p
				l.pushBack(p)
			}
			p.offset, p.maxBytes = rp.FetchOffset, rp.PartitionMaxBytes
			p.leaderEpoch, p.lastEpoch = rp.CurrentLeaderEpoch, rp.LastFetchedEpoch
		}
	}
}

func keyOf(version int16, topic string, id [16]byte, part int32) partKey {
	if version >= 13 {
		return partKey{id: id, part: part}
	}
	return partKey{topic: topic, part: part}
}

// session is one client's memory in the broker.
type session struct {
	mu      sync.Mutex
	id      int32
	epoch   int32
	byID    bool // topic ids, not names
	parts   *partList
	created time.Time
	used    time.Time // guarded by the cache's lock
	size    int       // likewise
}

func nextEpoch(e int32) int32 {
	if e == math.MaxInt32 {
		return 1
	}
	return e + 1
}

// sessionCache holds at most slots sessions, and at most partsMax partitions in them.
type sessionCache struct {
	mu              sync.Mutex
	slots, partsMax int
	now             func() time.Time
	byID            map[int32]*session
	parts           int // in all sessions
}

func newSessionCache(slots int, now func() time.Time) *sessionCache {
	return &sessionCache{slots: slots, partsMax: max(slots*sessionPartsPerSlot, sessionPartsMax), now: now, byID: map[int32]*session{}}
}

// create remembers the partitions of a full request, or returns nil when there is no room: then the client goes on without.
func (c *sessionCache) create(parts *partList, byID bool) *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, size := c.now(), len(parts.index)
	if size > sessionPartsMax {
		return nil
	}
	for len(c.byID) >= c.slots || c.parts+size > c.partsMax {
		if !c.evict(now, size) {
			return nil
		}
	}
	s := &session{epoch: 1, byID: byID, parts: parts, created: now, used: now, size: size}
	for s.id == noSession || c.byID[s.id] != nil {
		s.id = rand.Int32N(math.MaxInt32)
	}
	c.byID[s.id] = s
	c.parts += size
	return s
}

// drop forgets a session; the lock is held.
func (c *sessionCache) drop(s *session) {
	if s != nil && c.byID[s.id] == s {
		delete(c.byID, s.id)
		c.parts -= s.size
	}
}

// evict makes room for a session of size partitions: at the cost of the one idle longest, if it was idle for two minutes, else of
// the smallest that is smaller than the new one and two minutes old.
func (c *sessionCache) evict(now time.Time, size int) bool {
	var oldest, smallest *session
	for _, s := range c.byID { // any order: ties between equals may fall either way
		if oldest == nil || s.used.Before(oldest.used) {
			oldest = s
		}
		if now.Sub(s.created) >= sessionMinIdle && s.size < size && (smallest == nil || s.size < smallest.size) {
			smallest = s
		}
	}
	victim := smallest
	if oldest != nil && now.Sub(oldest.used) >= sessionMinIdle {
		victim = oldest
	}
	if victim == nil {
		return false
	}
	c.drop(victim)
	return true
}

// get finds a session and counts it as used.
func (c *sessionCache) get(id int32) *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.byID[id]
	if s != nil {
		s.used = c.now()
	}
	return s
}

// resize notes how many partitions a session remembers now. It drops the session and returns false when those are more than fit.
func (c *sessionCache) resize(s *session, size int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID[s.id] != s {
		return true // evicted meanwhile: this request is its last
	}
	if more := size - s.size; size > sessionPartsMax || more > 0 && c.parts+more > c.partsMax {
		c.drop(s)
		return false
	}
	c.parts += size - s.size
	s.size = size
	return true
}

func (c *sessionCache) remove(id int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(c.byID[id])
}

// count is how many sessions there are, and how many partitions they remember.
func (c *sessionCache) count() (sessions, partitions int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.byID), c.parts
}

// begin turns a request into the list of partitions to read and the session it belongs to, if any. A code is the answer to the
// whole request.
func (c *sessionCache) begin(q *kmsg.FetchRequest) (parts *partList, s *session, incremental bool, code kafka.ErrorCode) {
	if q.Version < 7 || q.SessionEpoch == epochFinal || q.SessionEpoch == epochInitial {
		parts = newPartList()
		parts.update(q)
		if q.Version < 7 {
			return parts, nil, false, kafka.None
		}
		if q.SessionID != noSession {
			c.remove(q.SessionID)
		}
		if q.SessionEpoch == epochInitial {
			s = c.create(parts, q.Version >= 13)
		}
		return parts, s, false, kafka.None
	}
	s = c.get(q.SessionID)
	if s == nil {
		return nil, nil, false, kafka.FetchSessionIDNotFound
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch != q.SessionEpoch {
		return nil, nil, false, kafka.InvalidFetchSessionEpoch
	}
	if s.byID != (q.Version >= 13) {
		return nil, nil, false, kafka.FetchSessionTopicIDError
	}
	s.parts.update(q)
	for i := range q.ForgottenTopics {
		t := &q.ForgottenTopics[i]
		for _, part := range t.Partitions {
			s.parts.remove(keyOf(q.Version, t.Topic, t.TopicID, part))
		}
	}
	if len(s.parts.index) == 0 {
		c.remove(s.id)
		return s.parts, nil, false, kafka.None
	}
	if !c.resize(s, len(s.parts.index)) {
		// Nobody reads that many; the client begins again with a full request, and memory stays bounded.
		return nil, nil, false, kafka.FetchSessionIDNotFound
	}
	s.epoch = nextEpoch(s.epoch)
	return s.parts, s, true, kafka.None
}
