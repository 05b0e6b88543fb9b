package main

import (
	"context"
	"errors"
	"time"

	"github.com/barnabas-mq/barnabas/interop/groups"
	"github.com/barnabas-mq/barnabas/interop/rig"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Clients of the interop matrix: one that gives reasons, one that does not.
const (
	java       = "Java kafka-clients"
	librdkafka = "confluent-kafka-go"
	franzGo    = "franz-go"
)

// scenarios is every cause, in the order of the catalogue, and then what is none. C23 is of groups that change their protocol, which there are none of yet; C18 is the
// second round of others, and told as a part of them.
func scenarios() []scenario {
	return []scenario{
		{cause: "C01", name: "first start, franz-go", do: func(s *stage) error {
			s.now("a")
			_, err := s.joined("a")
			return err
		}},
		{cause: "C01", name: "first start, Java", do: func(s *stage) error {
			s.now("a")
			_, err := s.member(java, "range", "a", "")
			return errors.Join(err, s.settled(1))
		}},
		{cause: "C02", name: "scale-up, franz-go", do: scaleUp(franzGo)},
		{cause: "C02", name: "scale-up, Java", do: scaleUp(java)},
		{cause: "C02", name: "scale-up, librdkafka", do: scaleUp(librdkafka)},
		{cause: "C03", name: "rolling restart of three, franz-go", do: func(s *stage) error {
			all, err := s.joined("a", "b", "c")
			if err != nil {
				return err
			}
			s.now("a")
			for i, name := range []string{"a", "b", "c"} {
				if err := all[i].leave(s.ctx); err != nil {
					return err
				}
				if _, err := s.franz(name); err != nil {
					return err
				}
				if err := s.settled(3); err != nil {
					return err
				}
			}
			return nil
		}},
		{cause: "C04", name: "graceful close, franz-go", do: func(s *stage) error {
			all, err := s.joined("a", "b")
			if err != nil {
				return err
			}
			s.now("b")
			return errors.Join(all[1].leave(s.ctx), s.settled(1))
		}},
		{cause: "C04", name: "graceful close, Java", do: closes(java)},
		{cause: "C04", name: "graceful close, librdkafka", do: closes(librdkafka)},
		{cause: "C05", name: "unsubscribed for a while, Java", do: func(s *stage) error {
			b, err := s.pair(java)
			if err != nil {
				return err
			}
			s.now("b")
			return errors.Join(b.Away(5*time.Second), s.settled(1), s.settled(2))
		}},
		{cause: "C06", name: "kill -9, Java", do: killed(java, true)},
		{cause: "C06", name: "kill -9, librdkafka", do: killed(librdkafka, true)},
		{cause: "C06", name: "stopped for longer than the session, franz-go", do: killed(franzGo, false)},
		{cause: "C07", name: "batch longer than max.poll.interval.ms, Java", do: slow(java)},
		{cause: "C07", name: "batch longer than max.poll.interval.ms, librdkafka", do: slow(librdkafka)},
		{cause: "C08", name: "revoke callback longer than the rebalance timeout", do: func(s *stage) error {
			hang := make(chan struct{})
			defer close(hang)
			if _, err := s.franz("a", kgo.RebalanceTimeout(4*time.Second), kgo.OnPartitionsRevoked(func(ctx context.Context, _ *kgo.Client, _ map[string][]int32) {
				select {
				case <-hang:
				case <-time.After(25 * time.Second):
				}
			})); err != nil {
				return err
			}
			if err := s.settled(1); err != nil {
				return err
			}
			s.now("")
			if _, err := s.franz("b", kgo.RebalanceTimeout(4*time.Second)); err != nil {
				return err
			}
			return s.sleep(9 * time.Second)
		}},
		{cause: "C09", name: "a leader that takes too long to assign", do: func(s *stage) error {
			b := &slowBalancer{GroupBalancer: kgo.RangeBalancer()}
			if _, err := s.franz("a", kgo.Balancers(b), kgo.RebalanceTimeout(4*time.Second)); err != nil {
				return err
			}
			if err := s.settled(1); err != nil {
				return err
			}
			b.slow.Store(true)
			s.now("")
			if _, err := s.franz("b", kgo.RebalanceTimeout(4*time.Second)); err != nil {
				return err
			}
			return s.sleep(10 * time.Second)
		}},
		{cause: "C10", name: "static member restarts within its session", quiet: true, do: func(s *stage) error {
			if _, err := s.franz("a", kgo.InstanceID("ia")); err != nil {
				return err
			}
			b, err := s.franz("b", kgo.InstanceID("ib"))
			if err != nil {
				return err
			}
			if err := s.settled(2); err != nil {
				return err
			}
			s.now("b")
			b.close() // a static member does not leave
			if _, err := s.franz("b", kgo.InstanceID("ib")); err != nil {
				return err
			}
			return s.sleep(3 * time.Second)
		}},
		{cause: "C11", name: "two processes with one group.instance.id", quiet: true, do: func(s *stage) error {
			if _, err := s.franz("a", kgo.InstanceID("same")); err != nil {
				return err
			}
			if err := s.settled(1); err != nil {
				return err
			}
			s.now("")
			if _, err := s.franz("b", kgo.InstanceID("same")); err != nil {
				return err
			}
			return s.sleep(4 * time.Second)
		}},
		{cause: "C12", name: "a member subscribes to one more topic", do: func(s *stage) error {
			other := word()
			if _, err := s.admin.CreateTopic(s.ctx, 2, 1, nil, other); err != nil {
				return err
			}
			all, err := s.joined("a", "b")
			if err != nil {
				return err
			}
			s.now("b")
			all[1].AddConsumeTopics(other)
			return s.sleep(5 * time.Second)
		}},
		{cause: "C13", name: "partitions added, franz-go", do: grown(franzGo)},
		{cause: "C13", name: "partitions added, Java", do: grown(java)},
		{cause: "C14", name: "a topic comes under a regular expression", do: func(s *stage) error {
			for _, name := range []string{"a", "b"} {
				if _, err := s.franz(name, kgo.ConsumeRegex(), kgo.ConsumeTopics(s.topic+".*")); err != nil {
					return err
				}
			}
			if err := s.settled(2); err != nil {
				return err
			}
			s.now("")
			if _, err := s.admin.CreateTopic(s.ctx, 2, 1, nil, s.topic+"-eu"); err != nil {
				return err
			}
			return s.sleep(6 * time.Second)
		}},
		{cause: "C15", name: "a client comes whose assignors the group does not have", do: func(s *stage) error {
			both := kgo.Balancers(kgo.RangeBalancer(), kgo.RoundRobinBalancer())
			for _, name := range []string{"a", "b"} {
				if _, err := s.franz(name, both); err != nil {
					return err
				}
			}
			if err := s.settled(2); err != nil {
				return err
			}
			s.now("c")
			if _, err := s.franz("c", kgo.Balancers(kgo.StickyBalancer())); err != nil {
				return err
			}
			return s.sleep(4 * time.Second)
		}},
		{cause: "C16", name: "the leader asks for a rebalance", do: func(s *stage) error {
			all, err := s.joined("a", "b")
			if err != nil {
				return err
			}
			s.now("a")
			all[0].ForceRebalance()
			return s.sleep(4 * time.Second)
		}},
		{cause: "C17", name: "the broker is killed and comes back", quiet: true, alone: true, do: returns(func(b *rig.Broker) error { b.Kill(); return nil })},
		{cause: "C17", name: "the broker is stopped and comes back", quiet: true, alone: true, do: returns((*rig.Broker).Stop)},
		{cause: "C19", name: "a callback fails, franz-go", do: callbackFails},
		{cause: "C19", name: "the connection breaks before the assignment is there, Java", do: answerLost},
		{cause: "C20", name: "a commit after a rebalance that was slept through, franz-go", do: staleCommit},
		{cause: "C20", name: "a commit after a rebalance that was slept through, Java", do: staleCommitJava},
		{cause: "C21", name: "an administrator removes a member", do: func(s *stage) error {
			if _, err := s.franz("a", kgo.InstanceID("ia")); err != nil {
				return err
			}
			if _, err := s.franz("b", kgo.InstanceID("ib")); err != nil {
				return err
			}
			if err := s.settled(2); err != nil {
				return err
			}
			s.now("b")
			left, err := s.admin.LeaveGroup(s.ctx, kadm.LeaveGroup(s.group).InstanceIDs("ib").Reason("member was removed by an admin"))
			if err != nil {
				return err
			}
			for _, l := range left {
				if l.Err != nil {
					return l.Err
				}
			}
			return s.sleep(4 * time.Second)
		}},
		{cause: "C22", name: "a session longer than the broker allows", quiet: true, do: func(s *stage) error {
			if _, err := s.joined("a"); err != nil {
				return err
			}
			s.now("")
			if _, err := s.franz("b", kgo.SessionTimeout(40*time.Minute)); err != nil {
				return err
			}
			return s.sleep(3 * time.Second)
		}},
		{cause: nothing, name: "the broker stands still for less than a session", alone: true, do: kept(standsStill)},
		{cause: nothing, name: "the replicas move to another disk", alone: true, only: rig.Kafka, do: kept(movesReplicas)},
	}
}

// scaleUp has a third member join two.
func scaleUp(library string) func(*stage) error {
	return func(s *stage) error {
		if _, err := s.pair(library); err != nil {
			return err
		}
		if err := s.sleep(3 * time.Second); err != nil {
			return err
		}
		s.now("c")
		_, err := s.member(library, "range", "c", "")
		return errors.Join(err, s.settled(3))
	}
}

// pair makes a group at rest of two members, one after the other, and gives the second, which does not lead.
func (s *stage) pair(library string) (b *groups.Member, err error) {
	for i, name := range []string{"a", "b"} {
		if b, err = s.member(library, "range", name, ""); err != nil {
			return nil, err
		}
		if err := s.settled(i + 1); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// closes has one of two members close as its documentation says.
func closes(library string) func(*stage) error {
	return func(s *stage) error {
		b, err := s.pair(library)
		if err != nil {
			return err
		}
		s.now("b")
		return errors.Join(b.Stop(), s.settled(1))
	}
}

// killed ends one of two members at once, or stops it for longer than its session.
func killed(library string, forGood bool) func(*stage) error {
	return func(s *stage) error {
		b, err := s.pair(library)
		if err != nil {
			return err
		}
		s.now("b")
		if forGood {
			b.Kill()
			return s.settled(1)
		}
		b.Pause()
		if err := s.settled(1); err != nil {
			return err
		}
		b.Resume()
		return s.settled(2)
	}
}

// slow has one of two members take longer over a record than max.poll.interval.ms, which is 7 s.
func slow(library string) func(*stage) error {
	return func(s *stage) error {
		b, err := s.pair(library)
		if err != nil {
			return err
		}
		s.now("b")
		if err := b.Sleep(12 * time.Second); err != nil {
			return err
		}
		return errors.Join(s.settled(1), s.settled(2))
	}
}

// grown gives the topic more partitions.
func grown(library string) func(*stage) error {
	return func(s *stage) error {
		if _, err := s.pair(library); err != nil {
			return err
		}
		s.now("")
		r, err := s.admin.UpdatePartitions(s.ctx, partitions+2, s.topic)
		if err != nil {
			return err
		}
		return errors.Join(r.Error(), s.sleep(6*time.Second))
	}
}
