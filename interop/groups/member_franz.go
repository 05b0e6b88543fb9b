package groups

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// franzMember polls with rebalances held off while records are in hand, commits what it handed on, and lets rebalances go on.
func franzMember(ctx context.Context, cfg Config, m *goMember) error {
	balancer, ok := map[string]kgo.GroupBalancer{"range": kgo.RangeBalancer(), "roundrobin": kgo.RoundRobinBalancer(), "sticky": kgo.StickyBalancer(),
		"cooperative": kgo.CooperativeStickyBalancer()}[cfg.Assignor]
	if !ok {
		return unknownAssignor(cfg)
	}
	var mu sync.Mutex
	pending := map[int32]kgo.EpochOffset{} // handed on and not committed
	commit := func(ctx context.Context, cl *kgo.Client) {
		mu.Lock()
		defer mu.Unlock()
		if len(pending) == 0 {
			return
		}
		told := map[int32]int64{}
		for p, o := range pending {
			told[p] = o.Offset
		}
		var failed error
		cl.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{cfg.Topic: pending}, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
			failed = err
			if resp == nil {
				return
			}
			for _, t := range resp.Topics {
				for _, p := range t.Partitions {
					failed = errors.Join(failed, kerr.ErrorForCode(p.ErrorCode))
				}
			}
		})
		m.committed(told, failed)
		if failed == nil { // else it is tried again, at the latest before the partitions are given away
			pending = map[int32]kgo.EpochOffset{}
		}
	}
	forget := func(parts []int32) {
		mu.Lock()
		defer mu.Unlock()
		for _, p := range parts {
			delete(pending, p)
		}
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(cfg.Bootstrap), kgo.ClientID(cfg.ClientID), kgo.ConsumerGroup(cfg.Group), kgo.ConsumeTopics(cfg.Topic), kgo.Balancers(balancer),
		kgo.SessionTimeout(millis(cfg.SessionMs)), kgo.HeartbeatInterval(millis(cfg.HeartbeatMs)), kgo.RebalanceTimeout(millis(cfg.PollMaxMs)),
		kgo.MetadataMaxAge(millis(cfg.MetadataMs)), kgo.MetadataMinAge(millis(cfg.MetadataMs) / 4), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
			if len(parts[cfg.Topic]) > 0 {
				m.emit(Event{Kind: Assigned, Partitions: parts[cfg.Topic]})
			}
		}),
		kgo.OnPartitionsRevoked(func(ctx context.Context, cl *kgo.Client, parts map[string][]int32) {
			if len(parts[cfg.Topic]) > 0 {
				commit(ctx, cl)
				forget(parts[cfg.Topic])
				m.emit(Event{Kind: Revoked, Partitions: parts[cfg.Topic]})
			}
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
			if len(parts[cfg.Topic]) > 0 {
				forget(parts[cfg.Topic])
				m.emit(Event{Kind: Lost, Partitions: parts[cfg.Topic]})
			}
		}),
	}
	if cfg.Instance != "" {
		opts = append(opts, kgo.InstanceID(cfg.Instance))
	}
	if cfg.OverheadMs > 0 {
		opts = append(opts, kgo.RequestTimeoutOverhead(millis(cfg.OverheadMs)))
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		m.commits(func() (failed error) {
			offsets := map[int32]kgo.EpochOffset{0: {Epoch: -1}}
			cl.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{cfg.Topic: offsets}, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, _ *kmsg.OffsetCommitResponse, err error) {
				failed = err
			})
			return failed
		}, time.Sleep)
		wait, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		fetches := cl.PollFetches(wait)
		cancel()
		fetches.EachError(func(_ string, _ int32, err error) {
			if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
				m.trouble(err)
			}
		})
		fetches.EachRecord(func(r *kgo.Record) {
			m.record(r.Partition, r.Offset, r.Value)
			mu.Lock()
			pending[r.Partition] = kgo.EpochOffset{Epoch: r.LeaderEpoch, Offset: r.Offset + 1}
			mu.Unlock()
		})
		commit(context.Background(), cl)
		cl.AllowRebalance()
	}
	cl.CloseAllowingRebalance()
	return nil
}
