package main

import (
	"slices"
	"testing"
)

func TestSpareProcessorsComeWithABusyDiskAndGoWhenItIsCalm(t *testing.T) {
	const busy, between, calm = spareBusyBytes, spareCalmBytes, spareCalmBytes - 1
	for _, c := range []struct {
		name       string
		dirtied    []int64
		processors int
		want       []spareStep
	}{
		{"little is written", []int64{0, between, busy - 1}, 2, []spareStep{spareKeep, spareKeep, spareKeep}},
		{"much is written: once", []int64{busy, busy, busy}, 2, []spareStep{spareAdd, spareKeep, spareKeep}},
		{"there are enough processors", []int64{busy, busy}, spareBelow, []spareStep{spareKeep, spareKeep}},
		{"a short calm keeps them", []int64{busy, calm, calm, calm, between, calm, calm, calm}, 2,
			[]spareStep{spareAdd, spareKeep, spareKeep, spareKeep, spareKeep, spareKeep, spareKeep, spareKeep}},
		{"a long calm ends it, and it begins anew", []int64{busy, calm, calm, 0, 0, 0, busy}, 1,
			[]spareStep{spareAdd, spareKeep, spareKeep, spareKeep, spareDrop, spareKeep, spareAdd}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s spare
			var got []spareStep
			for _, n := range c.dirtied {
				got = append(got, s.look(n, c.processors))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
