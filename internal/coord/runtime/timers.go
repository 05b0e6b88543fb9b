package runtime

import (
	"hash/maphash"
	"slices"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// timers is the armed timers of one shard, one per key: a heap by when they fire, and of equals by when they were armed. Every member of every
// group has one for as long as it lives, so they are kept small: no pointer and no map entry each, but numbers into one slice.
type timers struct {
	slots []slot
	free  int32             // the first free slot, as its number plus one; the others follow by their place. 0: none
	heap  []int32           // numbers of slots
	index []int32           // a hash table of slots by key, linear probing: a number plus one, or 0. Its size is a power of two, a quarter of it is empty
	kinds []coord.TimerKind // a handful
	armed uint64            // counts armings
}

// slot is one timer, or free.
type slot struct {
	group, member string
	at            vtime.Instant
	order         uint64
	place         int32 // in the heap; of a free slot, the next free one
	kind          uint8 // in kinds
}

// seed makes it hard to choose names that collide. Nothing but the time of a look-up depends on it.
var seed = maphash.MakeSeed()

func (t *timers) do(op coord.TimerOp) {
	i, found := t.find(op.Key)
	switch {
	case op.Cancel && !found:
	case op.Cancel:
		t.drop(i)
	case found:
		t.armed++
		s := &t.slots[i]
		s.at, s.order = op.At, t.armed
		t.fix(int(s.place))
	default:
		t.armed++
		t.add(op)
	}
}

// due takes the next timer that has come, unless it was armed after the arming numbered last.
func (t *timers) due(now vtime.Instant, last uint64) (key coord.TimerKey, ok bool) {
	if len(t.heap) == 0 {
		return coord.TimerKey{}, false
	}
	first := t.heap[0]
	if s := &t.slots[first]; now.Before(s.at) || s.order > last {
		return coord.TimerKey{}, false
	}
	key = t.key(first)
	t.drop(first)
	return key, true
}

func (t *timers) next() (vtime.Instant, bool) {
	if len(t.heap) == 0 {
		return 0, false
	}
	return t.slots[t.heap[0]].at, true
}

func (t *timers) key(i int32) coord.TimerKey {
	s := &t.slots[i]
	return coord.TimerKey{Kind: t.kinds[s.kind], Group: s.group, Member: s.member}
}

func (t *timers) add(op coord.TimerOp) {
	kind := slices.Index(t.kinds, op.Key.Kind)
	if kind < 0 {
		kind = len(t.kinds)
		t.kinds = append(t.kinds, op.Key.Kind)
	}
	i := t.free - 1
	if i >= 0 {
		t.free = t.slots[i].place
	} else {
		i = int32(len(t.slots))
		t.slots = append(t.slots, slot{})
	}
	t.slots[i] = slot{op.Key.Group, op.Key.Member, op.At, t.armed, int32(len(t.heap)), uint8(kind)}
	t.heap = append(t.heap, i)
	t.up(len(t.heap) - 1)
	if 4*len(t.heap) > 3*len(t.index) {
		t.index = make([]int32, max(8, 2*len(t.index)))
		for _, j := range t.heap {
			t.enter(j)
		}
		return
	}
	t.enter(i)
}

// drop takes a timer out.
func (t *timers) drop(i int32) {
	t.leave(i)
	place, last := int(t.slots[i].place), len(t.heap)-1
	moved := t.heap[last]
	t.heap = t.heap[:last]
	if place < last {
		t.heap[place] = moved
		t.slots[moved].place = int32(place)
		t.fix(place)
	}
	t.slots[i] = slot{place: t.free}
	t.free = i + 1
}

// home is where the look-up of a key begins.
func (t *timers) home(group, member string) int {
	return int((maphash.String(seed, member)*31 + maphash.String(seed, group)) & uint64(len(t.index)-1))
}

func (t *timers) find(key coord.TimerKey) (int32, bool) {
	if len(t.index) == 0 {
		return 0, false
	}
	for h := t.home(key.Group, key.Member); t.index[h] != 0; h = (h + 1) & (len(t.index) - 1) {
		i := t.index[h] - 1
		if s := &t.slots[i]; s.member == key.Member && s.group == key.Group && t.kinds[s.kind] == key.Kind {
			return i, true
		}
	}
	return 0, false
}

func (t *timers) enter(i int32) {
	h := t.home(t.slots[i].group, t.slots[i].member)
	for t.index[h] != 0 {
		h = (h + 1) & (len(t.index) - 1)
	}
	t.index[h] = i + 1
}

// leave takes a timer out of the table. Those behind it that would not be found any more move up.
func (t *timers) leave(i int32) {
	mask := len(t.index) - 1
	hole := t.home(t.slots[i].group, t.slots[i].member)
	for t.index[hole] != i+1 {
		hole = (hole + 1) & mask
	}
	for h := (hole + 1) & mask; t.index[h] != 0; h = (h + 1) & mask {
		s := &t.slots[t.index[h]-1]
		if home := t.home(s.group, s.member); (h-home)&mask >= (h-hole)&mask {
			t.index[hole] = t.index[h]
			hole = h
		}
	}
	t.index[hole] = 0
}

func (t *timers) before(a, b int32) bool {
	x, y := &t.slots[a], &t.slots[b]
	if x.at != y.at {
		return x.at.Before(y.at)
	}
	return x.order < y.order
}

// fix puts the timer at a place of the heap where it belongs now.
func (t *timers) fix(place int) {
	if !t.down(place) {
		t.up(place)
	}
}

func (t *timers) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !t.before(t.heap[i], t.heap[parent]) {
			return
		}
		t.swap(i, parent)
		i = parent
	}
}

// down reports whether it moved anything.
func (t *timers) down(i int) (moved bool) {
	for {
		child := 2*i + 1
		if child >= len(t.heap) {
			return moved
		}
		if right := child + 1; right < len(t.heap) && t.before(t.heap[right], t.heap[child]) {
			child = right
		}
		if !t.before(t.heap[child], t.heap[i]) {
			return moved
		}
		t.swap(i, child)
		i, moved = child, true
	}
}

func (t *timers) swap(i, j int) {
	t.heap[i], t.heap[j] = t.heap[j], t.heap[i]
	t.slots[t.heap[i]].place, t.slots[t.heap[j]].place = int32(i), int32(j)
}
