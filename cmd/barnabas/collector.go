package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Go lets the heap double between two collections (GOGC=100). That is right while the heap is small, or grows, as when a million offsets are read at
// the start: collections cost in proportion to what lives, and happen seldom. But members of groups and committed offsets are hundreds of megabytes
// that stay, while requests leave little to collect, since their buffers are used again; and double of that is memory nobody uses. So a large heap
// that stands still gets half the room. That makes collections twice as frequent there; a broker that mostly produces and consumes has no such heap.
const (
	roomUsual    = 100 // percent of what lives
	roomStanding = 50
	standingMin  = 32 << 20        // a heap smaller than this is not worth it
	standingFor  = 5 * time.Second // it stands still if it has hardly grown in this time
	standingMost = 1.0 + 1.0/8     // by so much
)

// tuneCollector looks after the collector's room until ctx ends. A GOGC in the environment is somebody's decision and is left alone.
func tuneCollector(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	live := func() uint64 { // as of the last collection
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	go keepRoom(ctx, live, func(percent int) { debug.SetGCPercent(percent) })
}

func keepRoom(ctx context.Context, live func() uint64, set func(percent int)) {
	tick := time.NewTicker(standingFor)
	defer tick.Stop()
	room, before := roomUsual, live()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := live()
		want := roomFor(before, now)
		if before = now; want != room { // it stops the world for a moment
			room = want
			set(want)
		}
	}
}

// roomFor is the room of a heap of which so many bytes live, and did when it was looked at before.
func roomFor(before, live uint64) int {
	if live >= standingMin && float64(live) <= float64(before)*standingMost {
		return roomStanding
	}
	return roomUsual
}
