package sim

import (
	"math/bits"
	"slices"
	"time"

	"github.com/barnabas-mq/barnabas/internal/sim/check"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// reading is who reads a partition.
type reading uint8

const (
	nobody reading = iota // paused
	owner                 // its owner
	fenced                // a member that was put out and does not know
)

// partition is one partition's log and the story of its readers.
type partition struct {
	w             *world
	index, number int32
	topic         int32
	rate          int64 // records a second, in millionths
	base          int64 // records before born
	born          vtime.Instant
	keys          int64

	owner   *member // who has it and was not put out; nil for nobody
	ready   bool    // the owner knows where to read from
	fenced  int32   // members that read it without right
	misread misread
	state   reading
	since   vtime.Instant // of state
	seat    string        // who was given it last: instance id, or member id
	lastEnd int64         // its end when it was last read from

	handed    int64 // up to here records were handed to some application
	processed int64 // up to here some application has finished
	committed int64
	// committedBefore was committed at time zero.
	committedBefore int64

	spent [3]time.Duration // by reading, since time zero
	from  vtime.Instant    // since when spent counts

	keyed keyed
}

// end is the offset the next record will get.
func (p *partition) end(at vtime.Instant) int64 {
	return p.base + mulDiv(p.rate, int64(at-p.born), 1e15)
}

// next is when the record after those below offset at will be there; not ok for never.
func (p *partition) next(at int64) (vtime.Instant, bool) {
	if at < p.base {
		return p.born, true
	}
	if p.rate == 0 {
		return 0, false
	}
	hi, lo := bits.Mul64(uint64(at-p.base+1), 1e15)
	if hi >= uint64(p.rate) {
		return 0, false
	}
	q, rest := bits.Div64(hi, lo, uint64(p.rate))
	if rest > 0 {
		q++
	}
	if q > 1<<62 {
		return 0, false
	}
	return p.born + vtime.Instant(q), true
}

// lag is what nobody has processed yet.
func (p *partition) lag(at vtime.Instant) int64 { return max(0, p.end(at)-p.processed) }

// behind notes how far processing had fallen behind at a moment, now or a little ago, at which records below done were processed by the member
// that goes on with them: between two such moments the lag falls, or grows into the next one.
func (p *partition) behind(at vtime.Instant, done int64) {
	if p.w.zero != 0 {
		p.w.m.lagMost = max(p.w.m.lagMost, p.end(max(at, p.w.zero))-max(done, p.processed))
	}
}

func (p *partition) commit(at int64) {
	if at < p.committed {
		p.w.m.rewound++
	}
	p.committed = at
}

// change brings the story up to date after owner, ready or fenced have changed, or the owner stands still.
func (p *partition) change() {
	p.misread.count(p)
	now := p.owner != nil && p.ready && !p.owner.stalled()
	to := nobody
	switch {
	case now:
		to = owner
	case p.fenced > 0:
		to = fenced
	}
	w := p.w
	if w.opt.Record > 0 {
		w.m.lane(p, to)
	}
	if to == p.state {
		return
	}
	w.trace(60+uint64(to), uint64(p.index), 0)
	p.close(w.now)
	was := p.state
	p.state, p.since = to, w.now
	switch {
	case was == nobody:
		w.unreadNow(p, -1)
		w.m.allRead(w)
	case to == nobody:
		p.lastEnd = p.end(w.now)
		w.unreadNow(p, 1)
		if w.unread == len(w.parts) {
			w.m.nothingRead = w.now
		}
	}
}

// close accounts for the time in the present state until now, which begins anew.
func (p *partition) close(now vtime.Instant) {
	from := max(p.since, p.from)
	if p.w.zero != 0 && from < now {
		d := time.Duration(now - from)
		p.spent[p.state] += d
		if p.state == nobody {
			p.w.m.paused(p, d, max(0, p.end(now)-p.end(from)))
		}
	}
	p.since = now
}

// misread is the time in which members read the partition that had no right to, whether its owner read it too or not.
type misread struct {
	readers int32
	since   vtime.Instant
	spent   time.Duration
}

func (x *misread) count(p *partition) {
	if from := max(x.since, p.w.zero); p.w.zero != 0 && from < p.w.now {
		x.spent += time.Duration(x.readers) * time.Duration(p.w.now-from)
	}
	x.readers, x.since = p.fenced, p.w.now
}

// account checks that no moment is missing.
func (p *partition) account() error {
	return check.Time(p.index, time.Duration(p.w.now-p.from), p.spent[owner], p.spent[fenced], p.spent[nobody])
}

// hand takes note of records that are given to an application.
func (p *partition) hand(from, to int64) {
	if again := min(to, p.handed) - from; again > 0 {
		p.w.m.redelivered += again
	}
	p.handed = max(p.handed, to)
}

// done takes note of records that member m has processed.
func (p *partition) done(m *member, from, to int64) {
	if to <= from {
		return
	}
	meas := &p.w.m
	meas.records += to - from
	if again := min(to, p.processed) - from; again > 0 {
		meas.duplicates += again
	}
	// A record is out of order if a later one of its key was processed before. Keys take turns, so the next of a key is keys further on.
	if late := min(to, p.processed-p.keys) - from; late > 0 {
		meas.inversions += late
	}
	p.keyed.done(p, m, from, to)
	p.processed = max(p.processed, to)
	if p.w.zero != 0 {
		m.records += to - from
	}
}

// keyed finds keys that more than one member has processed. As long as one member alone has, it is kept as that; an array of the last member
// of each key is made when a second one comes.
type keyed struct {
	solo     *member
	from, to int64 // what solo has processed
	last     []int32
	several  []uint64 // bits: keys that more than one member has processed
	count    int64
}

func (k *keyed) done(p *partition, m *member, from, to int64) {
	if k.solo == m && k.last == nil {
		k.from, k.to = min(k.from, from), max(k.to, to)
		return
	}
	if k.solo == nil && k.last == nil {
		k.solo, k.from, k.to = m, from, to
		return
	}
	if k.last == nil {
		k.last = make([]int32, p.keys)
		k.paint(p, k.solo, k.from, k.to, false)
	}
	k.paint(p, m, from, to, true)
	if to-from >= p.keys { // every key's last is m: as good as alone
		k.solo, k.from, k.to, k.last = m, from, to, nil
	}
}

func (k *keyed) paint(p *partition, m *member, from, to int64, judge bool) {
	if k.several == nil {
		k.several = make([]uint64, (p.keys+63)/64)
	}
	n := min(to-from, p.keys)
	for i := to - n; i < to; i++ {
		key := i % p.keys
		if judge && k.last[key] != 0 && k.last[key] != int32(m.index)+1 && k.several[key/64]&(1<<(key%64)) == 0 {
			k.several[key/64] |= 1 << (key % 64)
			k.count++
		}
		k.last[key] = int32(m.index) + 1
	}
}

// reset forgets what was before time zero.
func (k *keyed) reset() { *k = keyed{} }

// seatOrder sorts seats for lists that people read.
func seatOrder(seats []string) []string {
	slices.Sort(seats)
	return seats
}
