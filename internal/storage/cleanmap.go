package storage

import (
	"hash/maphash"
)

// cleanMap remembers the last offset of each key in the dirty part of a log, in bounded memory. Keys are known by 128 bits of a hash with
// seeds of our own: two keys that meet in all of them do not happen, by chance or by intent.
type cleanMap struct {
	seeds [2]maphash.Seed
	slots []cleanSlot
	used  int
	limit int   // most keys it takes: nine tenths of the slots
	last  int64 // everything up to this offset is in the map; -1 = nothing
}

type cleanSlot struct {
	hash   [2]uint64
	offset int64 // + 1; 0 = free
}

const cleanSlotBytes = 24

// newCleanMap makes a map for up to keys keys within bytes of memory.
func newCleanMap(keys, bytes int64) *cleanMap {
	n := min(keys+keys/8+16, max(bytes/cleanSlotBytes, 16))
	return &cleanMap{
		seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		slots: make([]cleanSlot, n),
		limit: int(n - n/10),
		last:  -1,
	}
}

func (m *cleanMap) find(key []byte) *cleanSlot {
	h := [2]uint64{maphash.Bytes(m.seeds[0], key), maphash.Bytes(m.seeds[1], key)}
	for i := h[0] % uint64(len(m.slots)); ; {
		s := &m.slots[i]
		if s.offset == 0 || s.hash == h {
			if s.offset == 0 {
				s.hash = h
			}
			return s
		}
		if i++; i == uint64(len(m.slots)) {
			i = 0
		}
	}
}

// put notes that key was written at offset; offsets rise. It is false when the map is full.
func (m *cleanMap) put(key []byte, offset int64) bool {
	s := m.find(key)
	if s.offset == 0 {
		if m.used == m.limit {
			return false
		}
		m.used++
	}
	s.offset = offset + 1
	m.last = offset
	return true
}

// superseded reports whether a later offset than this one is known for key.
func (m *cleanMap) superseded(key []byte, offset int64) bool {
	s := m.find(key)
	return s.offset > offset+1
}
