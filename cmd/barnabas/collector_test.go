package main

import (
	"context"
	"runtime/metrics"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestALargeHeapThatStandsStillGetsHalfTheRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heap := []uint64{4, 20, 40, 80, 82, 85, 170, 171, 20, 20} // MiB, one for each look
		looks := 0
		var got []int
		ctx, stop := context.WithTimeout(t.Context(), time.Duration(len(heap))*standingFor-standingFor/2)
		defer stop()
		keepRoom(ctx, func() uint64 {
			looks++
			return heap[looks-1] << 20
		}, func(percent int) { got = append(got, looks-1, percent) })
		// It begins to stand still at 82, grows to 170, stands, and is small again.
		if want := []int{4, 50, 6, 100, 7, 50, 8, 100}; looks != len(heap) || !slices.Equal(got, want) {
			t.Errorf("after %d looks: %v, want %v (look, percent)", looks, got, want)
		}
	})
}

func TestTheRuntimeTellsWhatLives(t *testing.T) {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	if metrics.Read(sample); sample[0].Value.Kind() != metrics.KindUint64 {
		t.Fatal("this Go does not know /gc/heap/live:bytes; see tuneCollector")
	}
}
