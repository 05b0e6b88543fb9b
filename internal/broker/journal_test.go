package broker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/journal"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/testkit"
)

// consumeAs starts a consumer and waits until it has partitions.
func consumeAs(t *testing.T, b *testkit.Broker, clientID string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	assigned := make(chan struct{}, 16)
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(b.Addr()), kgo.ClientID(clientID), kgo.ConsumerGroup("billing"), kgo.ConsumeTopics("orders"),
		kgo.HeartbeatInterval(100 * time.Millisecond), kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, ps map[string][]int32) {
			if len(ps) > 0 {
				assigned <- struct{}{}
			}
		})}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	select {
	case <-assigned:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s has no partitions", clientID)
	}
	return c
}

// incidents reads the journal until ok says that it is enough.
func incidents(t *testing.T, b *testkit.Broker, ok func([]journal.Incident) bool) []journal.Incident {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.ConsumeTopics(kafka.RebalancesTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var all []journal.Incident
	for !ok(journal.Latest(all)) {
		fetches := c.PollFetches(ctx)
		if err := errors.Join(fetches.Err(), ctx.Err()); err != nil {
			t.Fatalf("%v, after %+v", err, journal.Latest(all))
		}
		for _, r := range fetches.Records() {
			in, err := journal.Decode(r.Key, r.Value)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, in)
		}
	}
	return journal.Latest(all)
}

func TestEveryRebalanceIsWrittenDown(t *testing.T) {
	b := testkit.Start(t)
	testkit.Dial(t, b.Addr()).CreateTopic("orders", 4)
	consumeAs(t, b, "first")
	second := consumeAs(t, b, "second")
	if err := second.LeaveGroupContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := incidents(t, b, func(in []journal.Incident) bool {
		return len(in) == 3 && in[2].Stage.Over()
	})
	for i, want := range []struct {
		cause  journal.Cause
		who    string
		before int
		after  int
	}{{journal.FirstStart, "first", 0, 1}, {journal.ScaleUp, "second", 1, 2}, {journal.GracefulClose, "second", 2, 1}} {
		in := got[i]
		if in.Cause != want.cause || in.Trigger.Member.Client != want.who || in.MembersBefore != want.before || in.MembersAfter != want.after || in.Confidence != journal.Measured {
			t.Errorf("incident %d: %s by %s, members %d to %d, %s; want %+v", i, in.Cause, in.Trigger.Member.Client, in.MembersBefore, in.MembersAfter, in.Confidence, want)
		}
	}
	if moves := got[1].Moves; moves == nil || moves.Moved != 2 || *moves.Minimum != 2 {
		t.Errorf("the second member took %+v", moves)
	}
	// A restart goes on where it was: members come back to the same generation, which is no rebalance.
	b.Restart()
	got = incidents(t, b, func(in []journal.Incident) bool { return len(in) >= 3 })
	if len(got) < 3 {
		t.Errorf("%d incidents after a restart", len(got))
	}
}

func TestTheJournalIsInternalAndCanBeOff(t *testing.T) {
	for _, on := range []string{"true", "false"} {
		b := testkit.Start(t, "rebalances.journal.enable="+on, "offsets.topic.num.partitions=3")
		newCommitter(t, b, "g")
		q := kmsg.NewPtrMetadataRequest()
		q.Version = 9
		internal := map[string]bool{}
		partitions := 0
		for _, topic := range testkit.Do[*kmsg.MetadataResponse](testkit.Dial(t, b.Addr()), q).Topics {
			internal[*topic.Topic] = topic.IsInternal
			if *topic.Topic == kafka.RebalancesTopic {
				partitions = len(topic.Partitions)
			}
		}
		if isInternal, there := internal[kafka.RebalancesTopic]; there != (on == "true") || there && (!isInternal || partitions != 3) {
			t.Errorf("rebalances.journal.enable=%s: there %v, internal %v, %d partitions", on, there, isInternal, partitions)
		}
	}
}

func TestADirectoryWithGroupsButWithoutAJournalGetsOne(t *testing.T) {
	b := testkit.Start(t, "offsets.topic.num.partitions=2")
	newCommitter(t, b, "g")
	c := testkit.Dial(t, b.Addr())
	q := kmsg.NewPtrDeleteTopicsRequest()
	q.Version, q.TopicNames, q.TimeoutMillis = 5, []string{kafka.RebalancesTopic}, 10_000
	if got := testkit.Do[*kmsg.DeleteTopicsResponse](c, q).Topics[0]; got.ErrorCode != 0 {
		t.Fatalf("delete: %v", kafka.ErrorCode(got.ErrorCode))
	}
	b.Restart()
	m := kmsg.NewPtrMetadataRequest()
	m.Version = 9
	name := kafka.RebalancesTopic
	m.Topics = append(m.Topics, kmsg.MetadataRequestTopic{Topic: &name})
	if got := testkit.Do[*kmsg.MetadataResponse](testkit.Dial(t, b.Addr()), m).Topics[0]; got.ErrorCode != 0 || len(got.Partitions) != 2 {
		t.Errorf("after the restart: %v, %d partitions", kafka.ErrorCode(got.ErrorCode), len(got.Partitions))
	}
}
