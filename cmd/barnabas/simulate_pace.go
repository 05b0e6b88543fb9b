package main

import (
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// How fast a member works can be seen from outside only while it never runs out of records: then what it commits, from one commit to a later
// one, is what it can do. A member that keeps up says no more than that it is fast enough.

// looks is how often the committed offsets are read in a window: often enough to tell when a member committed.
const looks = 40

// pace is what the commits of one member showed in the window.
type pace struct {
	owns        []kafka.TopicPartition
	first, last time.Duration // when the first and the last change was seen
	from, to    int64         // the committed offsets then, added up
	changes     int
	looked      bool
}

// see takes the offsets committed at a moment of the window.
func (p *pace) see(at time.Duration, committed map[kafka.TopicPartition]int64) {
	sum := int64(0)
	for _, tp := range p.owns {
		sum += committed[tp]
	}
	switch {
	case !p.looked:
		p.to, p.looked = sum, true
	case sum <= p.to: // nothing new, or somebody has set it back
	case p.changes == 0: // how long it worked for this one is not known
		p.from, p.first, p.to, p.last, p.changes = sum, at, sum, at, 1
	default:
		p.to, p.last, p.changes = sum, at, p.changes+1
	}
}

// speed is in records a second; ok says that there were commits enough to tell.
func (p *pace) speed() (perSecond float64, ok bool) {
	if p.changes < 2 {
		return 0, false
	}
	return float64(p.to-p.from) / (p.last - p.first).Seconds(), true
}

// alwaysBusy reports whether the member had work all the time: of a partition it went on with, something was still unread at the end that had been there
// when the window began.
func (p *pace) alwaysBusy(began, committed, ends map[kafka.TopicPartition]int64) bool {
	return slices.ContainsFunc(p.owns, func(tp kafka.TopicPartition) bool {
		return committed[tp] > began[tp] && committed[tp] < ends[tp]
	})
}

// watchCommits reads the offsets of the group again and again for a window, and gives those of its beginning and its end.
func watchCommits(ctx context.Context, adm *kadm.Client, group string, window time.Duration, paces []*pace) (began, ended map[kafka.TopicPartition]int64, err error) {
	start := time.Now()
	for next := start; ; next = next.Add(window / looks) {
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-time.After(time.Until(next)):
		}
		at := time.Since(start)
		offsets, err := adm.FetchOffsets(ctx, group)
		if err != nil {
			return nil, nil, wrap(err, "reading the offsets of group %s", group)
		}
		ended = map[kafka.TopicPartition]int64{}
		offsets.Each(func(o kadm.OffsetResponse) {
			if o.Err == nil && o.At >= 0 {
				ended[kafka.TopicPartition{Topic: o.Topic, Partition: o.Partition}] = o.At
			}
		})
		if began == nil {
			began = ended
		}
		for _, p := range paces {
			p.see(at, ended)
		}
		if at >= window {
			return began, ended, nil
		}
	}
}

// medianOf is the middle one of some speeds, 0 of none.
func medianOf(speeds []float64) float64 {
	if len(speeds) == 0 {
		return 0
	}
	slices.Sort(speeds)
	return speeds[len(speeds)/2]
}
