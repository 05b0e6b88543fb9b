package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// committers commit offsets that rise by one, each for a group of its own, through all kills. A group never falls back behind what was
// acknowledged, and never gets ahead of what was sent.
type committers struct {
	groups []*committer
	done   chan struct{}
	wg     sync.WaitGroup
	once   sync.Once
}

type committer struct {
	group       string
	admin       *kadm.Client
	sent, acked atomic.Int64
	commits     atomic.Int64 // acknowledged
}

func startCommitters(ctx context.Context, addr string, n int) (*committers, error) {
	cs := &committers{done: make(chan struct{})}
	for i := range n {
		c, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }),
			kgo.DialTimeout(2*time.Second), kgo.RetryTimeout(time.Minute))
		if err != nil {
			return nil, err
		}
		g := &committer{group: fmt.Sprint("committer-", i), admin: kadm.NewClient(c)}
		cs.groups = append(cs.groups, g)
		cs.wg.Go(func() { g.run(ctx, cs.done) })
	}
	return cs, nil
}

func (g *committer) run(ctx context.Context, done <-chan struct{}) {
	for at := int64(1); ; at++ {
		select {
		case <-done:
			return
		case <-ctx.Done():
			return
		default:
		}
		var offsets kadm.Offsets
		offsets.AddOffset(topic, 0, at, -1)
		g.sent.Store(at)
		if err := g.admin.CommitAllOffsets(ctx, g.group, offsets); err == nil {
			g.acked.Store(at)
			g.commits.Add(1)
		}
	}
}

// check compares what each group has committed with what it was told.
func (cs *committers) check(ctx context.Context) error {
	var errs []error
	for _, g := range cs.groups {
		errs = append(errs, g.check(ctx))
	}
	return errors.Join(errs...)
}

func (g *committer) check(ctx context.Context) error {
	acked := g.acked.Load()
	for {
		got, err := g.admin.FetchOffsets(ctx, g.group)
		if err != nil {
			if ctx.Err() != nil {
				return err
			}
			time.Sleep(20 * time.Millisecond) // the coordinator is loading
			continue
		}
		at := int64(0)
		if o, ok := got.Lookup(topic, 0); ok {
			at = o.At
		}
		return verdict(g.group, at, acked, g.sent.Load())
	}
}

// verdict is what is wrong with a committed offset.
func verdict(group string, at, acked, sent int64) error {
	switch {
	case at < acked:
		return fmt.Errorf("group %s is at offset %d, though %d was acknowledged", group, at, acked)
	case at > sent:
		return fmt.Errorf("group %s is at offset %d, though %d was the last one sent", group, at, sent)
	}
	return nil
}

// commits counts what was acknowledged.
func (cs *committers) commits() (n int64) {
	for _, g := range cs.groups {
		n += g.commits.Load()
	}
	return n
}

func (cs *committers) stop() {
	cs.once.Do(func() { close(cs.done) })
	cs.wg.Wait()
	for _, g := range cs.groups {
		g.admin.Close()
	}
}
