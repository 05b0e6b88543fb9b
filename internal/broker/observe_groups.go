package broker

import (
	"sync"
	"time"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/driver"
	"github.com/barnabas-mq/barnabas/internal/coord/group"
	"github.com/barnabas-mq/barnabas/internal/coord/offset"
	"github.com/barnabas-mq/barnabas/internal/metrics"
)

const (
	// groupSampleTimeout bounds what a scrape waits for the disk: what a shard tells is committed.
	groupSampleTimeout = 2 * time.Second
	// groupSampleRest is how many times as long as a look has taken it is good for, so that scrapes of a million offsets take a small part of the
	// time whoever scrapes, however often.
	groupSampleRest = 20
)

// groupSampler reads the groups for metrics.
type groupSampler struct {
	mu   sync.Mutex
	last []metrics.GroupSample
	good time.Time // until then
}

// sampleGroups asks the coordinator for its groups and how far they are behind. Shards that are being read are left out.
func (b *Broker) sampleGroups() []metrics.GroupSample {
	s := &b.groupSampler
	s.mu.Lock()
	defer s.mu.Unlock()
	began := time.Now()
	if began.Before(s.good) {
		return s.last
	}
	s.last = b.lookAtGroups()
	now := time.Now()
	s.good = now.Add(groupSampleRest * now.Sub(began))
	return s.last
}

func (b *Broker) lookAtGroups() (out []metrics.GroupSample) {
	late := time.NewTimer(groupSampleTimeout)
	defer late.Stop()
	shards := b.groups.Shards()
	lists := make([]*driver.Call, len(shards))
	for i, shard := range shards {
		lists[i] = b.submit(shard, func(id coord.ReplyID) coord.Event { return &group.ListRequest{Reply: id} })
	}
	for i, shard := range shards {
		reply, ok := answerOf[group.ListReply](lists[i], late)
		if !ok {
			continue
		}
		// One shard after the other: their offsets together may be many.
		offsets := make([]*driver.Call, len(reply.Groups))
		for k, l := range reply.Groups {
			if b.metrics.OwnsSeries(l.Group) {
				offsets[k] = b.submit(shard, func(id coord.ReplyID) coord.Event {
					return &offset.FetchRequest{Reply: id, Group: l.Group, All: true}
				})
			}
		}
		for k, l := range reply.Groups {
			g := metrics.GroupSample{Name: l.Group, State: string(l.State), Members: l.Members, Generation: l.Generation, Lag: -1, LagMax: -1}
			if offsets[k] != nil {
				if committed, ok := answerOf[offset.FetchReply](offsets[k], late); ok {
					g.Lag, g.LagMax = b.lag(&committed)
				}
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

// askShard asks one shard of the coordinator and waits for its answer. It is not ok when the shard cannot say, or not in time.
func askShard[T any](b *Broker, late *time.Timer, shard int32, event func(coord.ReplyID) coord.Event) (reply T, ok bool) {
	return answerOf[T](b.submit(shard, event), late)
}

func (b *Broker) submit(shard int32, event func(coord.ReplyID) coord.Event) *driver.Call {
	call := b.groups.NewCall()
	b.groups.Submit(shard, call, event(call.ID))
	return call
}

func answerOf[T any](call *driver.Call, late *time.Timer) (reply T, ok bool) {
	if !call.Answered() {
		select {
		case <-call.Done():
		case <-late.C:
			late.Reset(0) // for whoever waits next
			call.Abandon()
			return reply, false
		}
	} else {
		<-call.Done()
	}
	reply, ok = call.Body().(T)
	call.Release()
	return reply, ok
}
