package main

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/barnabas-mq/barnabas/interop/rig"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// What is often taken for a cause and is none: the group keeps its generation, and explain says that nothing happened to it.

// nothing is the cause of such a case.
const nothing = "none"

// atRest makes a group of two whose sessions outlast what comes.
func (s *stage) atRest() (all []*franz, err error) {
	for i, name := range []string{"a", "b"} {
		f, err := s.franz(name, kgo.SessionTimeout(2*time.Minute))
		if err != nil {
			return nil, err
		}
		all = append(all, f)
		if err := s.settled(i + 1); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// returns has the broker go and come back within the sessions of its members.
func returns(end func(*rig.Broker) error) func(*stage) error {
	return func(s *stage) error {
		if _, err := s.atRest(); err != nil {
			return err
		}
		s.now("")
		if err := end(s.broker); err != nil {
			return err
		}
		if err := s.broker.Restart(s.ctx); err != nil {
			return err
		}
		return errors.Join(s.sleep(3*time.Second), s.settled(2))
	}
}

// kept does something to the broker and sees that every member keeps its generation, and that explain says that nothing happened.
func kept(do func(s *stage) error) func(*stage) error {
	return func(s *stage) error {
		all, err := s.atRest()
		if err != nil {
			return err
		}
		if err := s.sleep(time.Second); err != nil {
			return err
		}
		var before []int32
		for _, f := range all {
			_, generation := f.GroupMetadata()
			before = append(before, generation)
		}
		s.now("")
		if err := errors.Join(do(s), s.sleep(2*time.Second), s.settled(2)); err != nil {
			return err
		}
		for i, f := range all {
			if _, generation := f.GroupMetadata(); generation != before[i] || generation < 1 {
				return fmt.Errorf("member %d had generation %d and has %d", i, before[i], generation)
			}
		}
		return s.nothingTold()
	}
}

// nothingTold asks explain what happened to the group since the case began, and fails unless it says that nothing did.
func (s *stage) nothingTold() error {
	binary, err := rig.Binary(s.ctx)
	if err != nil {
		return err
	}
	args := []string{"explain", s.group, "--bootstrap", s.broker.Addr, "--since", s.began.UTC().Format(time.RFC3339Nano)}
	out, err := exec.CommandContext(s.ctx, binary, args...).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "No rebalance of "+s.group) {
		return fmt.Errorf("barnabas %v: %w; it said %s", args, err, out)
	}
	return nil
}

// standsStill stops the broker's process where it is, for less than a session: what members see of a coordinator that moves quickly.
func standsStill(s *stage) error {
	pid := s.broker.PID()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return fmt.Errorf("stop the broker: %w", err)
	}
	return errors.Join(s.sleep(4*time.Second), syscall.Kill(pid, syscall.SIGCONT))
}

// movesReplicas moves the replicas of the topic and of the group's own partitions to the broker's other disk. Nobody loses a leader over that.
func movesReplicas(s *stage) error {
	dirs, err := s.admin.DescribeAllLogDirs(s.ctx, nil)
	if err != nil {
		return fmt.Errorf("the broker's disks: %w", err)
	}
	move := kadm.AlterReplicaLogDirsReq{}
	from := map[string]string{} // "topic/partition" -> where it was
	to := func(not string) (other string) {
		for _, on := range dirs {
			for dir := range on { // there are two
				if dir != not {
					other = dir
				}
			}
		}
		return other
	}
	of := func(t string) bool { return t == s.topic || t == "__consumer_offsets" }
	eachReplica(dirs, func(p kadm.DescribedLogDirPartition) {
		if of(p.Topic) {
			set := kadm.TopicsSet{}
			set.Add(p.Topic, p.Partition)
			move.Add(to(p.Dir), set)
			from[fmt.Sprint(p.Topic, "/", p.Partition)] = p.Dir
		}
	})
	moved, err := s.admin.AlterAllReplicaLogDirs(s.ctx, move)
	if err != nil {
		return fmt.Errorf("move replicas: %w", err)
	}
	moved.Each(func(r kadm.AlterReplicaLogDirsResponse) { err = errors.Join(err, r.Err) })
	for err == nil && len(from) > 0 { // until all are there
		if err = s.sleep(100 * time.Millisecond); err != nil {
			break
		}
		if dirs, err = s.admin.DescribeAllLogDirs(s.ctx, nil); err == nil {
			eachReplica(dirs, func(p kadm.DescribedLogDirPartition) {
				if k := fmt.Sprint(p.Topic, "/", p.Partition); of(p.Topic) && !p.IsFuture && from[k] != "" && from[k] != p.Dir {
					delete(from, k)
				}
			})
		}
	}
	return err
}

func eachReplica(all kadm.DescribedAllLogDirs, f func(kadm.DescribedLogDirPartition)) {
	for _, on := range all {
		on.EachPartition(f)
	}
}
