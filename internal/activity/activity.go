// Package activity remembers what each client fetched last, and when: evidence for those who explain rebalances.
//
// Shell: atomics and one lock, no goroutine. A Fetch names no group and no member, so what is kept is by client id, host and partition; whose it
// was is for others to conclude (the journal counts it as measured only where one member fits). The path of a Fetch looks its Reading up once
// per fetch session and touches atomics after that: nothing here is allocated per request. Memory is bounded: beyond the limit, what was idle
// longest makes way, and what does not fit is not remembered. Nothing is ever decided by what stands here.
package activity

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// Client is who is at the other end of a connection.
type Client struct {
	ID   string // client.id
	Host string // as Kafka writes it: "/10.0.0.1"
}

// Reading is one client reading one partition. Its methods are safe for concurrent use, on a nil Reading too: then nothing is remembered.
type Reading struct {
	fetched, delivered atomic.Int64 // vtime.Instant; 0 for never
	next               atomic.Int64 // the offset behind the last record delivered
	watch              atomic.Int64 // watchOn, or the first fetch after it
}

const watchOn = -1

// Fetched notes that the client asked for the partition.
func (r *Reading) Fetched(now vtime.Instant) {
	if r == nil {
		return
	}
	r.fetched.Store(int64(now))
	if r.watch.Load() == watchOn {
		r.watch.CompareAndSwap(watchOn, int64(now))
	}
}

// Delivered notes that it was handed records below next.
func (r *Reading) Delivered(now vtime.Instant, next int64) {
	if r == nil {
		return
	}
	r.delivered.Store(int64(now))
	r.next.Store(next)
}

// Seen is what is known of one client reading one partition.
type Seen struct {
	Fetched   vtime.Instant // the last fetch
	Delivered vtime.Instant // the last time records were delivered; 0 for never
	Next      int64         // the offset behind the last of them
	// Again is the first fetch after Watch; 0 for none yet.
	Again vtime.Instant
}

// Connections is what is known of a client's connections.
type Connections struct {
	Open   int
	Closed vtime.Instant // when the last one was closed; 0 for never
}

type key struct {
	Client
	kafka.TopicPartition
}

// Tracker is the memory. Make one with New.
type Tracker struct {
	max     int
	mu      sync.Mutex
	read    map[key]*Reading
	clients map[Client]*Connections
	dropped int64
}

// New is a tracker of at most limit clients and partitions, and as many clients.
func New(limit int) *Tracker {
	return &Tracker{max: limit, read: map[key]*Reading{}, clients: map[Client]*Connections{}}
}

// Reading finds or makes the memory of a client and a partition; nil when there is no room for it.
func (t *Tracker) Reading(c Client, tp kafka.TopicPartition, now vtime.Instant) *Reading {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := key{c, tp}
	r := t.read[k]
	if r == nil && t.room(now) {
		r = new(Reading)
		r.fetched.Store(int64(now))
		t.read[k] = r
	}
	return r
}

// idle is how long a reading may have been silent to make way for another.
const idle = 5 * time.Minute

// room makes room for one more, at the cost of the idle ones: an eighth of all at a time, so that looking for them costs little.
func (t *Tracker) room(now vtime.Instant) bool {
	if len(t.read) < t.max {
		return true
	}
	type old struct {
		k  key
		at int64
	}
	var olds []old
	for k, r := range t.read { // any order: sorted below
		if at := r.fetched.Load(); now.Since(vtime.Instant(at)) >= idle {
			olds = append(olds, old{k, at})
		}
	}
	slices.SortFunc(olds, func(a, b old) int { return cmp.Compare(a.at, b.at) })
	for _, o := range olds[:min(len(olds), t.max/8+1)] {
		delete(t.read, o.k)
	}
	if len(olds) == 0 {
		t.dropped++
	}
	return len(olds) > 0
}

// Dropped counts readings there was no room for.
func (t *Tracker) Dropped() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.dropped
}

// Seen is what is known of a client and a partition.
func (t *Tracker) Seen(c Client, tp kafka.TopicPartition) (s Seen, ok bool) {
	t.mu.Lock()
	r := t.read[key{c, tp}]
	t.mu.Unlock()
	if r == nil {
		return Seen{}, false
	}
	s = Seen{Fetched: vtime.Instant(r.fetched.Load()), Delivered: vtime.Instant(r.delivered.Load()), Next: r.next.Load()}
	if at := r.watch.Load(); at > 0 {
		s.Again = vtime.Instant(at)
	}
	return s, true
}

// Watch asks to remember the client's first fetch of the partition from now on.
func (t *Tracker) Watch(c Client, tp kafka.TopicPartition, now vtime.Instant) {
	if r := t.Reading(c, tp, now); r != nil {
		r.watch.Store(watchOn)
	}
}

// Opened notes a connection of the client.
func (t *Tracker) Opened(c Client) {
	t.mu.Lock()
	defer t.mu.Unlock()
	x := t.clients[c]
	if x == nil {
		if len(t.clients) >= t.max && !t.forgetClient() {
			return
		}
		x = &Connections{}
		t.clients[c] = x
	}
	x.Open++
}

// forgetClient drops a client without connections, the one that left first.
func (t *Tracker) forgetClient() bool {
	var first Client
	found := false
	for c, x := range t.clients { // any order: the earliest is looked for; of equals any will do
		if x.Open == 0 && (!found || x.Closed.Before(t.clients[first].Closed)) {
			first, found = c, true
		}
	}
	delete(t.clients, first)
	return found
}

// Closed notes the end of a connection of the client.
func (t *Tracker) Closed(c Client, now vtime.Instant) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if x := t.clients[c]; x != nil {
		x.Open, x.Closed = max(0, x.Open-1), now
	}
}

// Connections is what is known of a client's connections.
func (t *Tracker) Connections(c Client) (Connections, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	x := t.clients[c]
	if x == nil {
		return Connections{}, false
	}
	return *x, true
}
