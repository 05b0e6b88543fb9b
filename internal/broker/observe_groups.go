package broker

import (
	"time"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/group"
	"github.com/barnabas-mq/barnabas/internal/coord/offset"
	"github.com/barnabas-mq/barnabas/internal/metrics"
)

// groupSampleTimeout bounds what a scrape waits for the disk: what a shard tells is committed.
const groupSampleTimeout = 2 * time.Second

// sampleGroups asks the coordinator for its groups and how far they are behind. Shards that are being read are left out.
func (b *Broker) sampleGroups() (out []metrics.GroupSample) {
	late := time.NewTimer(groupSampleTimeout)
	defer late.Stop()
	for _, shard := range b.groups.Shards() {
		reply, ok := askShard[group.ListReply](b, late, shard, func(id coord.ReplyID) coord.Event { return &group.ListRequest{Reply: id} })
		if !ok {
			continue
		}
		for _, l := range reply.Groups {
			g := metrics.GroupSample{Name: l.Group, State: string(l.State), Members: l.Members, Generation: l.Generation}
			committed, ok := askShard[offset.FetchReply](b, late, shard, func(id coord.ReplyID) coord.Event {
				return &offset.FetchRequest{Reply: id, Group: l.Group, All: true}
			})
			if ok {
				g.Lag, g.LagMax = b.lag(&committed)
			}
			out = append(out, g)
		}
	}
	return out
}

// lag is how many offsets lie between what is committed and what consumers may read: over all partitions, and where it is most.
func (b *Broker) lag(committed *offset.FetchReply) (sum, most int64) {
	for _, t := range committed.Topics {
		for _, c := range t.Partitions {
			if p := b.parts.Get(t.Topic, c.Partition); p != nil {
				behind := max(0, p.HighWatermark()-c.Offset)
				sum += behind
				most = max(most, behind)
			}
		}
	}
	return sum, most
}

// askShard asks one shard of the coordinator. It is not ok when the shard cannot say, or not in time.
func askShard[T any](b *Broker, late *time.Timer, shard int32, ask func(coord.ReplyID) coord.Event) (reply T, ok bool) {
	call := b.groups.NewCall()
	b.groups.Submit(shard, call, ask(call.ID))
	select {
	case <-call.Done():
		reply, ok = call.Body().(T)
		call.Release()
	case <-late.C:
		late.Reset(0) // for whoever asks next
		call.Abandon()
	}
	return reply, ok
}
