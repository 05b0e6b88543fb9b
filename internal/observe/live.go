package observe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/assign"
	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/journal"
	"github.com/barnabas-mq/barnabas/internal/observe/history"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// Seen is a group as a describe call shows it.
type Seen struct {
	State string
	// Value is the group in the form of its record. A describe call names no generation of a classic group: Value.Generation is then the count of
	// differences seen. Session and rebalance timeouts are not in it either.
	Value *record.GroupMetadataValue
	// Newer says that the group uses the newer protocol; Value.Generation is then its epoch.
	Newer bool
}

// Describe asks for a group as it is now; nil if there is no such group.
func Describe(ctx context.Context, cl *kgo.Client, group string) (*Seen, error) {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = []string{group}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, fmt.Errorf("describing the group: %w", err)
	}
	for _, g := range resp.Groups {
		switch err := kerr.ErrorForCode(g.ErrorCode); {
		case errors.Is(err, kerr.GroupIDNotFound):
			return describeNewer(ctx, cl, group)
		case err != nil:
			return nil, fmt.Errorf("describing the group: %w", err)
		}
		if g.State == "Dead" || g.ProtocolType == "" && len(g.Members) == 0 && g.State == "" {
			return describeNewer(ctx, cl, group)
		}
		v := &record.GroupMetadataValue{ProtocolType: g.ProtocolType, Protocol: &g.Protocol}
		for _, m := range g.Members {
			v.Members = append(v.Members, record.Member{ID: m.MemberID, InstanceID: m.InstanceID, ClientID: m.ClientID, ClientHost: m.ClientHost,
				RebalanceTimeout: -1, Subscription: m.ProtocolMetadata, Assignment: m.MemberAssignment})
		}
		return &Seen{State: g.State, Value: v}, nil
	}
	return nil, nil
}

// describeNewer asks for a group of KIP-848.
func describeNewer(ctx context.Context, cl *kgo.Client, group string) (*Seen, error) {
	req := kmsg.NewPtrConsumerGroupDescribeRequest()
	req.Groups = []string{group}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, nil // a broker that does not know the request has no such groups
	}
	for _, g := range resp.Groups {
		switch err := kerr.ErrorForCode(g.ErrorCode); {
		case errors.Is(err, kerr.GroupIDNotFound), errors.Is(err, kerr.UnsupportedVersion):
			return nil, nil
		case err != nil:
			return nil, fmt.Errorf("describing the group: %w", err)
		}
		protocol := g.AssignorName
		v := &record.GroupMetadataValue{ProtocolType: "consumer", Protocol: &protocol, Generation: g.Epoch}
		for _, m := range g.Members {
			var a assign.Assignment
			for _, tp := range m.Assignment.TopicPartitions {
				a.Partitions = append(a.Partitions, assign.TopicPartitions{Topic: tp.Topic, Partitions: tp.Partitions})
			}
			assignment, err := assign.AppendAssignment(nil, a, 0)
			if err != nil {
				return nil, fmt.Errorf("describing the group: %w", err)
			}
			subscription, err := assign.AppendSubscription(nil, assign.Subscription{Topics: m.SubscribedTopics}, 0)
			if err != nil {
				return nil, fmt.Errorf("describing the group: %w", err)
			}
			v.Members = append(v.Members, record.Member{ID: m.MemberID, InstanceID: m.InstanceID, ClientID: m.ClientID, ClientHost: m.ClientHost,
				RebalanceTimeout: -1, Subscription: subscription, Assignment: assignment})
		}
		return &Seen{State: g.State, Value: v, Newer: true}, nil
	}
	return nil, nil
}

// restless are the states of a group that is not at rest.
func restless(state string) bool {
	switch state {
	case "PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling":
		return true
	}
	return false
}

// Live watches a group by describe calls. It sees what lasts longer than the time between two calls, and members' comings and goings; it never sees
// why. Each incident is handed on when the group is at rest again. It ends with ctx, or with an error that will not go away.
type Live struct {
	Group string
	Every time.Duration // between two calls
	Now   func() time.Time

	builder *history.Builder
	count   int32
	began   vtime.Instant // of the unrest that goes on; 0 for none
	given   int
	last    *Seen
}

// Watch asks again and again. each gets incidents; state gets every change of state, with its time.
func (l *Live) Watch(ctx context.Context, cl *kgo.Client, each func(journal.Incident), state func(time.Time, string)) error {
	tick := time.NewTicker(l.Every)
	defer tick.Stop()
	failures := 0
	for {
		seen, err := Describe(ctx, cl, l.Group)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			if failures++; failures >= 10 {
				return err
			}
		default:
			failures = 0
			l.take(l.Now(), seen, each, state)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// take compares one answer with the one before.
func (l *Live) take(now time.Time, seen *Seen, each func(journal.Incident), state func(time.Time, string)) {
	if l.builder == nil {
		l.builder = history.New(l.Group, journal.FromDescribe)
	}
	at := vtime.FromTime(now)
	was := "gone"
	if l.last != nil {
		was = l.last.State
	}
	is := "gone"
	if seen != nil {
		is = seen.State
	}
	if l.last == nil && seen != nil || was != is {
		state(now, is)
	}
	if restless(is) && l.began == 0 {
		l.began = at
	}
	prev := l.last
	l.last = seen
	if seen == nil || restless(is) {
		return
	}
	if prev == nil || l.began != 0 || !sameMembers(prev.Value, seen.Value) {
		l.count++
		v := *seen.Value
		if !seen.Newer {
			v.Generation = l.count
		}
		l.builder.State(at, &v)
	}
	all := l.builder.Incidents()
	for i := l.given; i < len(all); i++ {
		inc := all[i]
		if i == 0 && prev == nil {
			continue // the group as it was found is no incident
		}
		if !seen.Newer {
			inc.GenerationBefore, inc.GenerationAfter = -1, -1
		}
		if l.began != 0 && l.began < at {
			inc.Began = journal.Time(l.began)
			took := journal.Millis(at.Since(l.began))
			inc.Took = &took
			inc.AddFact(journal.Fact{ID: "seen_every", Basis: journal.Measured, Text: "the group was looked at every " + journal.Span(l.Every) + ": times are as coarse as that"})
		}
		each(inc)
	}
	l.given = len(all)
	l.began = 0
}

// sameMembers reports whether two answers have the same members with the same assignments.
func sameMembers(a, b *record.GroupMetadataValue) bool {
	if len(a.Members) != len(b.Members) {
		return false
	}
	have := map[string]string{}
	for _, m := range a.Members {
		have[m.ID] = string(m.Assignment)
	}
	for _, m := range b.Members {
		if got, ok := have[m.ID]; !ok || got != string(m.Assignment) {
			return false
		}
	}
	return true
}
