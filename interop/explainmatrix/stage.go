package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/barnabas-mq/barnabas/interop/groups"
	"github.com/barnabas-mq/barnabas/interop/rig"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// scenario makes one cause happen.
type scenario struct {
	cause, name string
	quiet       bool     // it is no rebalance
	alone       bool     // it disturbs the whole broker
	only        rig.Kind // the one broker that it can be made to happen on, "" for both
	do          func(s *stage) error
}

// stage is where one case plays: a group and a topic with random names.
type stage struct {
	ctx          context.Context
	broker       *rig.Broker
	topic, group string
	admin        *kadm.Client
	names        map[string]string // what a case calls a client -> its random name
	began        time.Time
	who          string
	cleanup      []func()
	mu           sync.Mutex
}

const partitions = 6

func word() string {
	const letters = "abcdefghijklmnopqrstuvwxyz"
	b := make([]byte, 8)
	for i := range b {
		b[i] = letters[rand.IntN(len(letters))]
	}
	return string(b)
}

// play makes the case happen and says what was done.
func (c scenario) play(ctx context.Context, b *rig.Broker) (t truth, err error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Addr), kgo.ClientID(word()))
	if err != nil {
		return truth{}, err
	}
	s := &stage{ctx: ctx, broker: b, topic: word(), group: word(), admin: kadm.NewClient(cl), names: map[string]string{}}
	defer s.end()
	s.defers(s.admin.Close)
	if _, err := s.admin.CreateTopic(ctx, partitions, 1, nil, s.topic); err != nil {
		return truth{}, err
	}
	w, err := groups.NewWriter(b.Addr, s.topic, partitions)
	if err != nil {
		return truth{}, err
	}
	s.defers(func() { _, _ = w.Stop() })
	if err := c.do(s); err != nil {
		return truth{}, fmt.Errorf("%s: %w", c.name, err)
	}
	if s.began.IsZero() {
		return truth{}, fmt.Errorf("%s did not say when it began", c.name)
	}
	return truth{Name: c.name, Cause: c.cause, Who: s.names[s.who], Group: s.group, Began: s.began, Ended: time.Now(), Quiet: c.quiet}, nil
}

func (s *stage) defers(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleanup = append(s.cleanup, f)
}

func (s *stage) end() {
	for i := len(s.cleanup) - 1; i >= 0; i-- {
		s.cleanup[i]()
	}
}

// now says that what comes next is the case, and who does it.
func (s *stage) now(who string) { s.began, s.who = time.Now(), who }

// happened is now for what happens by itself: it waits for the moment.
func (s *stage) happened(who string, when <-chan time.Time) error {
	select {
	case s.began = <-when:
		s.who = who
		return nil
	case <-s.ctx.Done():
		return fmt.Errorf("what %s was to do did not happen: %w", who, s.ctx.Err())
	}
}

func (s *stage) name(of string) string {
	if s.names[of] == "" {
		s.names[of] = word()
	}
	return s.names[of]
}

func (s *stage) sleep(d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// franz is a franz-go consumer in this process.
type franz struct {
	*kgo.Client
	assigned chan struct{} // one slot: something was assigned
	stop     context.CancelFunc
	done     chan struct{}
}

// Timing of the members: the shortest session that brokers allow, and heartbeats that notice soon.
const (
	session   = 6 * time.Second
	heartbeat = 300 * time.Millisecond
)

// franz starts a consumer; it polls until it is left or closed.
func (s *stage) franz(name string, opts ...kgo.Opt) (*franz, error) {
	f := &franz{assigned: make(chan struct{}, 1), done: make(chan struct{})}
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(s.broker.Addr), kgo.ClientID(s.name(name)), kgo.ConsumerGroup(s.group), kgo.ConsumeTopics(s.topic),
		kgo.Balancers(kgo.RangeBalancer()), kgo.SessionTimeout(session), kgo.HeartbeatInterval(heartbeat), kgo.RebalanceTimeout(20 * time.Second),
		kgo.MetadataMaxAge(time.Second), kgo.MetadataMinAge(100 * time.Millisecond), kgo.AutoCommitInterval(500 * time.Millisecond),
		kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) {
			select {
			case f.assigned <- struct{}{}:
			default:
			}
		})}, opts...)...)
	if err != nil {
		return nil, err
	}
	f.Client = c
	ctx, stop := context.WithCancel(s.ctx)
	f.stop = stop
	go func() {
		defer close(f.done)
		for ctx.Err() == nil {
			c.PollFetches(ctx)
			c.AllowRebalance()
		}
	}()
	s.defers(func() { f.close() })
	return f, nil
}

// leave closes the consumer as one does.
func (f *franz) leave(ctx context.Context) error {
	f.stop()
	<-f.done
	f.AllowRebalance()
	err := f.LeaveGroupContext(ctx)
	f.Client.CloseAllowingRebalance()
	return err
}

func (f *franz) close() {
	f.stop()
	f.Client.CloseAllowingRebalance()
	<-f.done
}

// joined starts consumers one after the other and waits until the group is at rest with each.
func (s *stage) joined(names ...string) (all []*franz, err error) {
	for _, name := range names {
		f, err := s.franz(name)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
		if err := s.settled(len(all)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// seen waits until the group is in a state.
func (s *stage) seen(state string) error {
	for {
		d, err := s.admin.DescribeGroups(s.ctx, s.group)
		if err == nil && d[s.group].State == state {
			return nil
		}
		if err := s.sleep(20 * time.Millisecond); err != nil {
			return fmt.Errorf("the group is %s, want %s: %w", d[s.group].State, state, err)
		}
	}
}

// settled waits until the group is Stable with so many members, and stays so.
func (s *stage) settled(members int) error {
	const state = "Stable"
	since, last := time.Now(), ""
	for {
		if s.ctx.Err() != nil {
			return fmt.Errorf("the group is %s, want %s with %d members: %w", last, state, members, s.ctx.Err())
		}
		d, err := s.admin.DescribeGroups(s.ctx, s.group)
		if err == nil {
			g := d[s.group]
			now := fmt.Sprintf("%s with %d members", g.State, len(g.Members))
			if now != last {
				since, last = time.Now(), now
			}
			if g.State == state && len(g.Members) == members && time.Since(since) > time.Second {
				return nil
			}
		}
		if err := s.sleep(50 * time.Millisecond); err != nil {
			return errors.Join(err, fmt.Errorf("the group is %s, want %s with %d members", last, state, members))
		}
	}
}

// member starts a client in a process of its own, which can be killed and stopped.
func (s *stage) member(library, assignor, name, instance string, change ...func(*groups.Config)) (*groups.Member, error) {
	for _, c := range groups.Clients() {
		if c.Library != library || c.Assignor != assignor {
			continue
		}
		tap, err := groups.NewTap(name, s.broker.Addr)
		if err != nil {
			return nil, err
		}
		argv, err := c.Argv()
		if err != nil {
			return nil, err
		}
		cfg := groups.Config{Client: c.Name, Topic: s.topic, Group: s.group, ClientID: s.name(name), Instance: instance, Assignor: assignor,
			SessionMs: int(session.Milliseconds()), HeartbeatMs: int(heartbeat.Milliseconds()), PollMaxMs: 7000, MetadataMs: 1000}
		for _, f := range change {
			f(&cfg)
		}
		m, err := groups.StartMember(name, argv, cfg, tap, groups.NewTrail())
		if err != nil {
			return nil, err
		}
		s.defers(func() {
			m.Kill()
			tap.Close()
		})
		return m, nil
	}
	return nil, fmt.Errorf("no client %s with %s", library, assignor)
}
