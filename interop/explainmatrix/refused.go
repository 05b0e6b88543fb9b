package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/barnabas-mq/barnabas/interop/groups"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What sends a member that the group still has back to the beginning: its own rebalance that failed, or a commit that came too late.

// callbackFails has a member fail in what its program does when it learns how far the group is, which ends its part in a rebalance that was
// over for everybody else. It is tried again, and costs everybody a second rebalance.
func callbackFails(s *stage) error {
	armed, failed := make(chan bool, 1), make(chan time.Time, 1)
	if _, err := s.franz("a", kgo.OnOffsetsFetched(func(context.Context, *kgo.Client, *kmsg.OffsetFetchResponse) error {
		select {
		case <-armed:
		default:
			return nil
		}
		if err := s.sleep(time.Second); err != nil { // so that the two rebalances are told apart
			return err
		}
		failed <- time.Now()
		return errors.New("the program's own store of offsets does not answer")
	})); err != nil {
		return err
	}
	if err := s.settled(1); err != nil {
		return err
	}
	armed <- true
	if _, err := s.franz("b"); err != nil {
		return err
	}
	return errors.Join(s.happened("a", failed), s.settled(2))
}

// answerLost has the connection of a member break when its assignment is on the way to it. The group is Stable by then.
func answerLost(s *stage) error {
	b, err := s.pair(java)
	if err != nil {
		return err
	}
	lost := make(chan time.Time, 1)
	b.Tap.Cut(func(r kmsg.Response) bool {
		if sync, ok := r.(*kmsg.SyncGroupResponse); !ok || sync.ErrorCode != 0 || s.sleep(time.Second) != nil {
			return false
		}
		lost <- time.Now()
		return true
	})
	if _, err := s.member(java, "range", "c", ""); err != nil {
		return err
	}
	return errors.Join(s.happened("b", lost), s.settled(3))
}

// Members that hear of a rebalance too late: the group goes on without their word, and as they are static they keep their seats. Their next commit is of
// the generation before.
const (
	deafSession   = 30 * time.Second
	deafHeartbeat = 20 * time.Second
)

// staleCommit has the static member b sleep through a rebalance and then commit, as franz-go does it.
func staleCommit(s *stage) error {
	short := kgo.RebalanceTimeout(4 * time.Second) // the longest of the members' counts
	if _, err := s.franz("a", short); err != nil {
		return err
	}
	if err := s.settled(1); err != nil {
		return err
	}
	b, err := s.franz("b", short, kgo.InstanceID("ib"), kgo.SessionTimeout(deafSession), kgo.HeartbeatInterval(deafHeartbeat), kgo.DisableAutoCommit())
	if err != nil {
		return err
	}
	if err := s.settled(2); err != nil {
		return err
	}
	if _, err := s.franz("c", short); err != nil {
		return err
	}
	if err := errors.Join(s.seen("PreparingRebalance"), s.seen("Stable"), s.sleep(1500*time.Millisecond)); err != nil {
		return err
	}
	s.now("b")
	if err := b.CommitUncommittedOffsets(s.ctx); !errors.Is(err, kerr.IllegalGeneration) {
		return fmt.Errorf("the commit was answered %w, want ILLEGAL_GENERATION", err)
	}
	return errors.Join(s.sleep(time.Second), s.settled(3))
}

// staleCommitJava is the same with Java, whose sticky assignor has a member say what it had, so that its second request is no repetition of the first. It
// commits after every batch; the batch of that time takes until after the rebalance.
func staleCommitJava(s *stage) error {
	const wait = 12 * time.Second // for b, and the longest that its batch may take
	patient := func(c *groups.Config) { c.PollMaxMs = int(wait.Milliseconds()) }
	if _, err := s.member(java, "sticky", "a", "", patient); err != nil {
		return err
	}
	if err := s.settled(1); err != nil {
		return err
	}
	b, err := s.member(java, "sticky", "b", "ib", patient, func(c *groups.Config) {
		c.SessionMs, c.HeartbeatMs = int(deafSession.Milliseconds()), int(deafHeartbeat.Milliseconds())
	})
	if err != nil {
		return err
	}
	if err := s.settled(2); err != nil {
		return err
	}
	if _, err := s.member(java, "sticky", "c", "", patient); err != nil {
		return err
	}
	if err := errors.Join(s.seen("PreparingRebalance"), s.sleep(wait/2), b.Sleep(wait*3/4), s.seen("Stable"), s.sleep(time.Second)); err != nil {
		return err
	}
	s.now("b")
	return errors.Join(s.sleep(wait/2), s.settled(3))
}
