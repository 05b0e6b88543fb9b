package observe

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/barnabas-mq/barnabas/assign"
	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/journal"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// ownersMax bounds the partitions of a group that are looked at one by one.
const ownersMax = 20_000

// Owners are the members that own partitions now, each with its lag, the lag of a while ago, and how long nothing was committed: what shows a member that
// holds partitions and does nothing, which no rebalance tells. commits is when each partition was committed last, as far as somebody read it, and
// from is since when they read: who committed nothing since is silent for that long at least. nil for a group that is not at rest.
func Owners(ctx context.Context, cl *kgo.Client, group string, ago time.Duration, now, from time.Time, commits map[kafka.TopicPartition]time.Time) ([]journal.LiveOwner, error) {
	seen, err := Describe(ctx, cl, group)
	if err != nil || seen == nil || restless(seen.State) || seen.Value.ProtocolType != "consumer" {
		return nil, err
	}
	var out []journal.LiveOwner
	topics := map[string]bool{}
	for _, m := range seen.Value.Members {
		a, err := assign.DecodeAssignment(m.Assignment)
		if err != nil {
			continue
		}
		for _, tp := range a.Partitions {
			topics[tp.Topic] = true
			for _, p := range tp.Partitions {
				if len(out) == ownersMax {
					return nil, nil
				}
				out = append(out, journal.LiveOwner{Who: journal.Who{ID: m.ID, Client: m.ClientID, Host: m.ClientHost, Instance: instanceOf(m)}, Group: group, Topic: tp.Topic, Partition: p})
			}
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	names := make([]string, 0, len(topics))
	for t := range topics { // any order: each is asked for
		names = append(names, t)
	}
	adm := kadm.NewClient(cl)
	committed, err := adm.FetchOffsets(ctx, group)
	if err != nil {
		return nil, fmt.Errorf("asking for the offsets of the group: %w", err)
	}
	ends, err := adm.ListEndOffsets(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("asking for the ends of the partitions: %w", err)
	}
	past, err := adm.ListOffsetsAfterMilli(ctx, now.Add(-ago).UnixMilli(), names...)
	if err != nil {
		return nil, fmt.Errorf("asking for the ends of a while ago: %w", err)
	}
	kept := out[:0]
	for _, o := range out {
		c, known := committed.Lookup(o.Topic, o.Partition)
		end, haveEnd := ends.Lookup(o.Topic, o.Partition)
		then, haveThen := past.Lookup(o.Topic, o.Partition)
		if !known || c.Err != nil || c.At < 0 || !haveEnd || end.Err != nil || !haveThen || then.Err != nil {
			continue // nothing was ever committed, or it cannot be asked for: then nothing follows
		}
		silence := now.Sub(from)
		if at, ok := commits[kafka.TopicPartition{Topic: o.Topic, Partition: o.Partition}]; ok {
			silence = now.Sub(at)
		}
		if silence >= 0 {
			ms := journal.Millis(silence)
			o.CommitSilence = &ms
		}
		if then.Offset < 0 || then.Offset > end.Offset { // nothing came since
			then.Offset = end.Offset
		}
		// What was committed then is not known where it was committed since; then LagBefore is no more than this, which hides rather than invents.
		o.Lag, o.LagBefore = max(0, end.Offset-c.At), max(0, then.Offset-c.At)
		kept = append(kept, o)
	}
	return kept, nil
}

func instanceOf(m record.Member) string {
	if m.InstanceID == nil {
		return ""
	}
	return *m.InstanceID
}

// Commits reads when each partition of the group was committed last since a moment, from the offsets topic.
func Commits(ctx context.Context, dial Dial, group string, since time.Time) (map[kafka.TopicPartition]time.Time, error) {
	t, err := open(ctx, dial, kafka.OffsetsTopic, group, since)
	if err != nil {
		return nil, err
	}
	defer t.close()
	out := map[kafka.TopicPartition]time.Time{}
	err = t.toEnd(ctx, func(r *kgo.Record) {
		dec, err := record.Decode(r.Key, r.Value)
		if c, ok := dec.(*record.OffsetCommit); err == nil && ok && c.Group == group && c.Value != nil && len(out) < ownersMax {
			out[kafka.TopicPartition{Topic: c.Topic, Partition: c.Partition}] = r.Timestamp
		}
	})
	return out, err
}
