package assign

import "slices"

// readers lists, for every topic, the members that read it, ascending. Where all members read the same, the list is kept once.
type readers struct {
	class   [][]int32 // topic -> classes
	members [][]int32 // class -> members
	scratch []int32
}

func (pr *problem) readers() *readers {
	r := &readers{class: make([][]int32, pr.topics()), members: make([][]int32, len(pr.classTopics))}
	for k, topics := range pr.classTopics {
		for _, t := range topics {
			r.class[t] = append(r.class[t], int32(k))
		}
	}
	for m, k := range pr.class {
		r.members[k] = append(r.members[k], int32(m))
	}
	return r
}

// of returns topic t's readers; the slice is valid until the next call.
func (r *readers) of(t int) []int32 {
	classes := r.class[t]
	if len(classes) == 0 {
		return nil
	}
	if len(classes) == 1 {
		return r.members[classes[0]]
	}
	row := r.scratch[:0]
	for _, k := range classes {
		row = append(row, r.members[k]...)
	}
	if !slices.IsSorted(row) {
		slices.Sort(row)
	}
	r.scratch = row
	return row
}
