package main

import (
	"context"
	"os"
	"runtime"
	"time"

	"github.com/barnabas-mq/barnabas/internal/config"
)

// A goroutine in a system call keeps its processor (one of GOMAXPROCS) until the runtime takes it away, which it looks for every 20 us or more.
// That is right for calls that are short, and there is no other way to make one. But two flushes are at the disk most of the time while much is
// written with log.flush=commit, and where the processors are two, those that read, check and append wait for that look; and the looking itself
// is a tenth of the broker's CPU. Two more processors for as long as that lasts gave 8 to 28 % more throughput at 5 to 8 % less CPU
// (docs/adr/0001-group-commit.md). They are not there all the time, since with many small requests each one that has nothing to do looks for work:
// 10 % more CPU per request.
const (
	sparePause     = 500 * time.Millisecond // between two looks
	spareLanes     = 2                      // flushes of a log directory that may be at the disk at a time
	spareBelow     = 8                      // from so many processors on, two that wait are no loss
	spareBusyBytes = 50_000_000             // dirtied between two looks: spare processors are needed
	spareCalmBytes = spareBusyBytes / 2
	spareCalmLooks = 4 // so often in a row: no more
)

// spareProcessors gives the runtime more processors while flushes keep some busy, until ctx ends. A GOMAXPROCS in the environment is somebody's
// decision and is left alone.
func spareProcessors(ctx context.Context, flush config.FlushMode) {
	if os.Getenv("GOMAXPROCS") != "" || flush != config.FlushCommit || dirtied() < 0 {
		return
	}
	go func() {
		tick := time.NewTicker(sparePause)
		defer tick.Stop()
		var s spare
		before := dirtied()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			now := dirtied()
			switch procs := runtime.GOMAXPROCS(0); s.look(now-before, procs) { // to change it stops the world for a moment
			case spareAdd:
				runtime.GOMAXPROCS(procs + spareLanes)
			case spareDrop:
				runtime.SetDefaultGOMAXPROCS() // what the container allows by now
			}
			before = now
		}
	}()
}

type spareStep int

const (
	spareKeep spareStep = iota
	spareAdd
	spareDrop
)

// spare decides when there are spare processors.
type spare struct {
	there bool
	calm  int // looks in a row
}

// look is told how many bytes were dirtied since the last time, and how many processors there are.
func (s *spare) look(dirtied int64, processors int) spareStep {
	if !s.there {
		if dirtied < spareBusyBytes || processors >= spareBelow {
			return spareKeep
		}
		s.there, s.calm = true, 0
		return spareAdd
	}
	if dirtied >= spareCalmBytes {
		s.calm = 0
		return spareKeep
	}
	if s.calm++; s.calm < spareCalmLooks {
		return spareKeep
	}
	s.there = false
	return spareDrop
}
