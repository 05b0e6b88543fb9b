package vfs

import (
	"math/rand/v2"
	"slices"
)

// nameOp is one change of names that is not durable yet. All its changes happen, or none.
type nameOp struct {
	changes []nameChange
	moved   *inode
	synced  []*inode  // folders of changes that were synced since; matters to renames across folders only
	after   []*nameOp // earlier changes of the same names or the same inode: this one cannot be durable without them
	durable bool
}

// nameChange makes name in dir lead to an inode, or, when it is nil, nowhere.
type nameChange struct {
	dir  *inode
	name string
	to   *inode
}

type nameKey struct {
	dir  *inode
	name string
}

// changeNames does what a create, remove or rename of n does to the names, and remembers it as not durable.
func (m *Memory) changeNames(n *inode, changes ...nameChange) {
	op := &nameOp{changes: changes, moved: n}
	if before := m.lastOfInode[n]; before != nil {
		op.after = append(op.after, before)
	}
	m.lastOfInode[n] = op
	for _, c := range changes {
		key := nameKey{c.dir, c.name}
		if before := m.lastOfName[key]; before != nil {
			op.after = append(op.after, before)
		}
		m.lastOfName[key] = op
		c.apply(c.dir.names)
		c.dir.modTime = m.clock()
		if c.to == nil && n.isDir() && len(changes) == 1 {
			// A folder is removed: what left it before must not be lost with it.
			for _, before := range m.pending {
				if before.touches(n) {
					op.after = append(op.after, before)
				}
			}
		}
	}
	m.pending = append(m.pending, op)
}

func (c nameChange) apply(names map[string]*inode) {
	if c.to == nil {
		delete(names, c.name)
	} else {
		names[c.name] = c.to
	}
}

func (op *nameOp) touches(dir *inode) bool {
	return slices.ContainsFunc(op.changes, func(c nameChange) bool { return c.dir == dir })
}

// ripe tells whether op is durable now that dir is synced: all its folders must have been.
func (op *nameOp) ripe(dir *inode) bool {
	if !op.touches(dir) {
		return false
	}
	if !slices.Contains(op.synced, dir) {
		op.synced = append(op.synced, dir)
	}
	return !slices.ContainsFunc(op.changes, func(c nameChange) bool { return !slices.Contains(op.synced, c.dir) })
}

// commitNames makes the names in dir durable.
func (m *Memory) commitNames(dir *inode) {
	for _, op := range m.pending {
		if op.ripe(dir) {
			op.commit()
		}
	}
	m.forgetDurable()
}

func (m *Memory) commitAllNames() {
	for _, op := range m.pending {
		op.commit()
	}
	m.forgetDurable()
}

// commit makes op durable, and first of all what it builds on.
func (op *nameOp) commit() {
	if op.durable {
		return
	}
	op.durable = true
	for _, before := range op.after {
		before.commit()
	}
	op.after = nil
	for _, c := range op.changes {
		c.apply(c.dir.durable)
	}
}

func (m *Memory) forgetDurable() {
	m.pending = slices.DeleteFunc(m.pending, func(op *nameOp) bool {
		if !op.durable {
			return false
		}
		if m.lastOfInode[op.moved] == op {
			delete(m.lastOfInode, op.moved)
		}
		for _, c := range op.changes {
			if key := (nameKey{c.dir, c.name}); m.lastOfName[key] == op {
				delete(m.lastOfName, key)
			}
		}
		return true
	})
}

// Crash answers the disk as it may be found after a power cut now, drawn from rng: the same history and the same rng state draw
// the same disk. m itself lives on untouched, with its open files.
//
// What was synced is there. Of what was not, any part may be: each folder's changes of names are lost, kept, kept up to some
// moment, or kept here and there (a name's changes stay in order, a rename is never half); each file's writes likewise, where a
// write may also be torn, at any byte or by sectors of 512 or 4096 bytes, and sectors that a growing file lacks hold zeros
// or garbage. New sizes are kept up to some moment that need not be that of the data.
//
// In the new file system all that is found is durable and no lock is held.
func (m *Memory) Crash(rng *rand.Rand) *Memory { return m.crash(rng) }

// CrashStrict answers the disk after a power cut that all the unsynced fell victim to.
func (m *Memory) CrashStrict() *Memory { return m.crash(nil) }

// Kill answers the disk as the next process finds it after kill -9 of the one that used m. Everything written is there, locks
// are free; but what was not synced is not synced now either, and a Crash of the answer may still lose it.
func (m *Memory) Kill() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.successor()
	copies := map[*inode]*inode{}
	var copyOf func(n *inode) *inode
	copyOf = func(n *inode) *inode {
		if n == nil {
			return nil
		}
		if to := copies[n]; to != nil {
			return to
		}
		to := &inode{id: n.id, modTime: n.modTime, linked: n.linked}
		copies[n] = to
		if n.isDir() {
			to.names, to.durable = make(map[string]*inode, len(n.names)), make(map[string]*inode, len(n.durable))
			for name, inner := range n.names { // any order: a map is filled
				to.names[name] = copyOf(inner)
			}
			for name, inner := range n.durable { // any order: a map is filled
				to.durable[name] = copyOf(inner)
			}
			return to
		}
		for _, i := range n.written {
			if i < len(n.now.pages) && n.now.pages[i] != nil {
				n.now.pages[i].owner = nil
			}
		}
		to.now, to.synced, to.syncFloor = n.now.clone(), n.synced.clone(), n.syncFloor
		to.written, to.unsynced, to.unsyncedN = slices.Clone(n.written), slices.Clone(n.unsynced), n.unsyncedN
		if !n.linked { // its last reader is dead
			to.now = image{}
		}
		return to
	}
	c.root = copyOf(m.root)
	ops := make(map[*nameOp]*nameOp, len(m.pending))
	for _, op := range m.pending {
		to := &nameOp{moved: copyOf(op.moved)}
		ops[op] = to
		for _, ch := range op.changes {
			change := nameChange{copyOf(ch.dir), ch.name, copyOf(ch.to)}
			to.changes = append(to.changes, change)
			c.lastOfName[nameKey{change.dir, change.name}] = to
		}
		for _, dir := range op.synced {
			to.synced = append(to.synced, copyOf(dir))
		}
		for _, before := range op.after {
			if !before.durable {
				to.after = append(to.after, ops[before])
			}
		}
		c.lastOfInode[to.moved] = to
		c.pending = append(c.pending, to)
	}
	c.eachFile(c.root, func(n *inode) { c.used += n.now.bytes() })
	return c
}

// clone shares the pages. Whoever calls it has seen to it that nobody owns them.
func (im *image) clone() image { return image{pages: slices.Clone(im.pages), size: im.size} }

// successor is an empty file system on the same kind of disk.
func (m *Memory) successor() *Memory {
	c := NewMemory()
	c.clock, c.total, c.nextID = m.clock, m.total, m.nextID
	return c
}

// crash: rng nil loses everything.
func (m *Memory) crash(rng *rand.Rand) *Memory {
	m.mu.RLock()
	defer m.mu.RUnlock()
	c := m.successor()
	names := m.survivingNames(rng)
	c.root = c.revive(m.root, names, rng)
	c.eachFile(c.root, func(n *inode) { c.used += n.now.bytes() })
	return c
}

// fate is what happens to the unsynced part of one file or folder.
type fate int

const (
	fateLost    fate   = iota // all is lost
	fateKept                  // all is kept
	fateInOrder               // kept up to some moment
	fateMixed                 // kept here and there
	fates       = iota        // how many there are
)

// oneInGarbage: of so many files one has garbage, not zeros, in sectors that were never written.
const oneInGarbage = 3

func drawFate(rng *rand.Rand) fate {
	if rng == nil {
		return fateLost
	}
	return fate(rng.IntN(fates))
}

// survivingNames answers the changes of names that the power cut spares, as the names of each folder that has any.
func (m *Memory) survivingNames(rng *rand.Rand) map[*inode]map[string]*inode {
	if rng == nil {
		return nil
	}
	perDir := map[*inode]int{} // changes whose first folder this is
	for _, op := range m.pending {
		perDir[op.changes[0].dir]++
	}
	type plan struct {
		fate fate
		left int // fateInOrder: so many more are kept
	}
	plans := map[*inode]*plan{}
	kept := map[*nameOp]bool{}
	names := map[*inode]map[string]*inode{}
	for _, op := range m.pending {
		first := op.changes[0].dir
		p := plans[first]
		if p == nil {
			p = &plan{fate: drawFate(rng), left: rng.IntN(perDir[first] + 1)}
			plans[first] = p
		}
		keep := false
		switch p.fate {
		case fateKept:
			keep = true
		case fateInOrder:
			keep = p.left > 0
			p.left--
		case fateMixed:
			keep = rng.IntN(2) == 0
		}
		for _, before := range op.after {
			keep = keep && (before.durable || kept[before])
		}
		if !keep {
			continue
		}
		kept[op] = true
		for _, ch := range op.changes {
			if names[ch.dir] == nil {
				names[ch.dir] = make(map[string]*inode, len(ch.dir.durable)+1)
				for name, n := range ch.dir.durable { // any order: a map is filled
					names[ch.dir][name] = n
				}
			}
			ch.apply(names[ch.dir])
		}
	}
	return names
}

// revive builds, in c, what is left of n and of all that its surviving names lead to.
func (c *Memory) revive(n *inode, names map[*inode]map[string]*inode, rng *rand.Rand) *inode {
	to := &inode{id: n.id, modTime: n.modTime, linked: true}
	if !n.isDir() {
		n.survivingContents(to, rng)
		return to
	}
	surviving := names[n]
	if surviving == nil {
		surviving = n.durable
	}
	to.names, to.durable = make(map[string]*inode, len(surviving)), make(map[string]*inode, len(surviving))
	for _, name := range sortedNames(surviving) {
		inner := c.revive(surviving[name], names, rng)
		to.names[name], to.durable[name] = inner, inner
	}
	return to
}

// survivingContents fills to with what the power cut spares of n's contents.
func (n *inode) survivingContents(to *inode, rng *rand.Rand) {
	to.now = n.synced.clone()
	if rng != nil && len(n.unsynced) > 0 {
		newCutter(n, to, rng).cut()
	}
	for _, i := range to.written {
		if i < len(to.now.pages) && to.now.pages[i] != nil {
			to.now.pages[i].owner = nil
		}
	}
	to.written = nil
	to.synced = to.now.clone()
	to.syncFloor = len(to.synced.pages)
}

// cutter replays the unsynced history of one file onto what was synced, with parts missing.
type cutter struct {
	rng     *rand.Rand
	ops     []contentOp
	to      *inode
	fate    fate
	sizes   int   // so many changes of size are kept
	fresh   int64 // no byte from here on was ever durable
	garbage bool
}

func newCutter(n, to *inode, rng *rand.Rand) *cutter {
	c := &cutter{rng: rng, ops: n.unsynced, to: to, fate: drawFate(rng), fresh: n.synced.size}
	c.garbage = rng.IntN(oneInGarbage) == 0
	return c
}

func (c *cutter) cut() {
	size := c.to.now.size
	var keep int // fateInOrder: so many are kept whole, the next one is torn
	switch c.fate {
	case fateLost:
		return
	case fateKept:
		c.sizes = len(c.ops)
	case fateInOrder:
		keep = c.rng.IntN(len(c.ops))
		c.sizes = keep
		if c.rng.IntN(2) == 0 { // the size ran ahead of the data
			c.sizes += c.rng.IntN(len(c.ops) - keep + 1)
		}
	case fateMixed:
		c.sizes = c.rng.IntN(len(c.ops) + 1)
	}
	for i, op := range c.ops {
		if op.data == nil {
			if i < c.sizes {
				c.fresh = min(c.fresh, op.size)
				size = op.size
				c.resize(size)
			}
			continue
		}
		end := op.off + int64(len(op.data)) // how far the size grew, where it did
		switch {
		case c.fate == fateKept || c.fate == fateInOrder && i < keep:
			c.write(op.data, op.off)
		case c.fate == fateInOrder && i == keep:
			if tornEnd := c.tear(op); c.rng.IntN(2) == 0 { // the size grew with the pieces
				end, c.sizes = tornEnd, max(c.sizes, i+1)
			}
		case c.fate == fateInOrder:
			c.miss(op.data, op.off)
		default:
			switch c.rng.IntN(3) {
			case 0:
				c.write(op.data, op.off)
			case 1:
				c.miss(op.data, op.off)
			case 2:
				c.tear(op)
			}
		}
		if i < c.sizes {
			size = max(size, end)
		}
	}
	c.resize(size)
}

// resize drops what lies beyond size, data too that was written there while the growth it came with is lost.
func (c *cutter) resize(size int64) {
	c.to.now.size = max(size, int64(len(c.to.now.pages))*pageSize)
	c.to.now.cut(c.to, size)
}

func (c *cutter) write(b []byte, off int64) { c.to.now.put(c.to, b, off) }

// miss is a write that did not reach the disk. What was durable there stays; what was not is as the disk had it.
func (c *cutter) miss(b []byte, off int64) {
	end := off + int64(len(b))
	if !c.garbage || end <= c.fresh {
		return
	}
	junk := make([]byte, end-max(off, c.fresh))
	for i := range junk {
		junk[i] = byte(c.rng.Uint32())
	}
	c.write(junk, max(off, c.fresh))
}

// tear is a write that reached the disk in part: up to some byte, or sector by sector. It answers where the last piece that did
// ends.
func (c *cutter) tear(op contentOp) (end int64) {
	sector := []int64{1, 512, 4096}[c.rng.IntN(3)]
	if sector == 1 {
		at := c.rng.IntN(len(op.data) + 1)
		c.write(op.data[:at], op.off)
		c.miss(op.data[at:], op.off+int64(at))
		return op.off + int64(at)
	}
	end = op.off
	for b, off := op.data, op.off; len(b) > 0; {
		n := min(int64(len(b)), sector-off%sector)
		if c.rng.IntN(2) == 0 {
			c.write(b[:n], off)
			end = off + n
		} else {
			c.miss(b[:n], off)
		}
		b, off = b[n:], off+n
	}
	return end
}
