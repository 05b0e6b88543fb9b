package assign

import "encoding/binary"

// racks says which members sit in a rack that holds a replica of a partition (KIP-881). Members without a rack match everything.
type racks struct {
	member []int32    // member -> rack number, or none
	set    []int32    // partition -> number of its set of racks
	sets   [][]uint64 // set -> bit per rack
}

func (r *racks) has(set, rack int32) bool { return r.sets[set][rack/64]&(1<<(rack%64)) != 0 }

func (r *racks) match(m, p int32) bool {
	return r.member[m] == none || r.has(r.set[p], r.member[m])
}

// rackNames numbers racks and sets of racks.
type rackNames struct {
	ids  map[string]int32
	sets map[string]int32
	list [][]int32 // set -> its racks, ascending
	key  []byte
	tmp  []int32
}

func (n *rackNames) rack(s string) int32 {
	id, ok := n.ids[s]
	if !ok {
		id = int32(len(n.ids))
		n.ids[s] = id
	}
	return id
}

func (n *rackNames) set(names []string) int32 {
	n.tmp = n.tmp[:0]
	for _, s := range names {
		if s == "" {
			continue
		}
		// Replicas are few: insertion keeps them sorted and without repeats.
		id := n.rack(s)
		at := 0
		for at < len(n.tmp) && n.tmp[at] < id {
			at++
		}
		if at < len(n.tmp) && n.tmp[at] == id {
			continue
		}
		n.tmp = append(n.tmp, 0)
		copy(n.tmp[at+1:], n.tmp[at:])
		n.tmp[at] = id
	}
	n.key = n.key[:0]
	for _, id := range n.tmp {
		n.key = binary.LittleEndian.AppendUint32(n.key, uint32(id))
	}
	k, ok := n.sets[string(n.key)]
	if !ok {
		k = int32(len(n.list))
		n.sets[string(n.key)] = k
		n.list = append(n.list, append([]int32(nil), n.tmp...))
	}
	return k
}

// readRacks fills pr.racks when racks can make a difference: a member has one, some replica is in one of the members' racks, and not
// every partition is in every rack (with as many replicas as racks everybody matches everything). memberRack answers by member number,
// partitionRacks by topic number; only topics that somebody reads count.
func (pr *problem) readRacks(memberRack func(m int) string, partitionRacks func(t int) [][]string) {
	n, r := pr.numberRacks(memberRack, partitionRacks)
	if r != nil && racksMatter(n.list, r.member) {
		pr.racks = r
	}
}

// numberRacks numbers the racks of members and partitions; nil when no member has one.
func (pr *problem) numberRacks(memberRack func(m int) string, partitionRacks func(t int) [][]string) (rackNames, *racks) {
	some := false
	for m := 0; m < pr.members() && !some; m++ {
		some = memberRack(m) != ""
	}
	if !some {
		return rackNames{}, nil
	}
	n := rackNames{ids: make(map[string]int32), sets: make(map[string]int32)}
	r := &racks{member: make([]int32, pr.members()), set: make([]int32, pr.partitions())}
	for m := range r.member {
		r.member[m] = none
		if s := memberRack(m); s != "" {
			r.member[m] = n.rack(s)
		}
	}
	read := make([]bool, pr.topics())
	for _, topics := range pr.classTopics {
		for _, t := range topics {
			read[t] = true
		}
	}
	for t := range read {
		if !read[t] {
			continue
		}
		lists := partitionRacks(t)
		for p := pr.base[t]; p < pr.base[t+1]; p++ {
			var of []string
			if i := int(p - pr.base[t]); i < len(lists) {
				of = lists[i]
			}
			r.set[p] = n.set(of)
		}
	}
	r.sets = make([][]uint64, len(n.list))
	for k, list := range n.list {
		r.sets[k] = make([]uint64, len(n.ids)/64+1)
		for _, id := range list {
			r.sets[k][id/64] |= 1 << (id % 64)
		}
	}
	return n, r
}

// racksMatter is KIP-881's test over the sets of racks in use and the racks of members (or none).
func racksMatter(sets [][]int32, members []int32) bool {
	union := make(map[int32]bool)
	for _, list := range sets {
		for _, id := range list {
			union[id] = true
		}
	}
	met := false
	for _, id := range members {
		met = met || union[id]
	}
	if !met {
		return false
	}
	for _, list := range sets {
		if len(list) != len(union) {
			return true
		}
	}
	return false
}
