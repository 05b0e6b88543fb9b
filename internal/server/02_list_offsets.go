package server

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/replica/driver"
)

// ListOffsets (2)
//
// v1   one offset per partition
// v2   isolation level
// v4   leader epoch (KIP-320)
// v6   flexible
// v7   -3, the record with the greatest timestamp (KIP-734)
// v8   -4, the local log's start (KIP-405)
// v9   -5, the last tiered offset (KIP-1005)
// v10  a timeout for remote storage (KIP-1075); nothing is remote here
// v11  -6, the first offset not yet uploaded (KIP-1023)

// Timestamps with a meaning of their own.
const (
	tsLatest                = -1
	tsEarliest              = -2
	tsMaxTimestamp          = -3
	tsEarliestLocal         = -4
	tsLatestTiered          = -5
	tsEarliestPendingUpload = -6
)

// specialSince is the first version that knows a special timestamp, by -1-timestamp.
var specialSince = [...]int16{1, 1, 7, 8, 9, 11}

func listOffsets(s *Server, r *Request, in kmsg.Request) kmsg.Response {
	q := in.(*kmsg.ListOffsetsRequest)
	resp := q.ResponseKind().(*kmsg.ListOffsetsResponse)
	var asked map[kafka.TopicPartition]int // nil: one partition, once
	if len(q.Topics) != 1 || len(q.Topics[0].Partitions) != 1 {
		asked = map[kafka.TopicPartition]int{}
		for i := range q.Topics {
			for k := range q.Topics[i].Partitions {
				asked[kafka.TopicPartition{Topic: q.Topics[i].Topic, Partition: q.Topics[i].Partitions[k].Partition}]++
			}
		}
	}
	for i := range q.Topics {
		t := &q.Topics[i]
		rt := kmsg.NewListOffsetsResponseTopic()
		rt.Topic = t.Topic
		for k := range t.Partitions {
			part := &t.Partitions[k]
			tp := kafka.TopicPartition{Topic: t.Topic, Partition: part.Partition}
			times := 1
			if asked != nil {
				if times = asked[tp]; times == 0 {
					continue // it was answered where it came first
				}
				asked[tp] = 0
			}
			rp := kmsg.NewListOffsetsResponseTopicPartition()
			rp.Partition, rp.Timestamp, rp.Offset, rp.LeaderEpoch = part.Partition, -1, -1, -1
			code := kafka.InvalidRequest
			switch {
			case q.Version >= 2 && !knownIsolation(q.IsolationLevel):
				code = kafka.UnknownServerError
			case times == 1:
				code = s.listOffset(q, t.Topic, part, &rp)
			}
			if rp.ErrorCode = int16(code); code != kafka.None {
				s.deps.Metrics.Error(r.Key, code)
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		if len(rt.Partitions) > 0 || len(t.Partitions) == 0 {
			resp.Topics = append(resp.Topics, rt)
		}
	}
	return resp
}

// knownIsolation reports whether there is such an isolation level: 0 is read_uncommitted, 1 read_committed. Kafka has no code of its
// own for others and answers UNKNOWN_SERVER_ERROR.
func knownIsolation(level int8) bool { return level == 0 || level == 1 }

func (s *Server) listOffset(q *kmsg.ListOffsetsRequest, topic string, part *kmsg.ListOffsetsRequestTopicPartition, rp *kmsg.ListOffsetsResponseTopicPartition) kafka.ErrorCode {
	p := s.deps.Partitions.Get(topic, part.Partition)
	if p == nil {
		return kafka.UnknownTopicOrPartition
	}
	if code := p.ErrorCode(); code != kafka.None {
		return code
	}
	if code := p.CheckEpoch(part.CurrentLeaderEpoch); code != kafka.None {
		return code
	}
	if ts := part.Timestamp; ts < 0 && (ts < tsEarliestPendingUpload || q.Version < specialSince[-1-ts]) {
		return kafka.UnsupportedVersion
	}
	log := p.Log()
	limit := p.HighWatermark()
	switch {
	case q.ReplicaID == debugConsumer:
		limit = log.EndOffset()
	case q.IsolationLevel == 1:
		limit = p.LastStableOffset()
	}
	if part.Timestamp == tsLatest || part.Timestamp >= 0 || part.Timestamp == tsMaxTimestamp {
		if q.ReplicaID < 0 && !p.CaughtUp() {
			if q.Version < 5 {
				return kafka.LeaderNotAvailable
			}
			return kafka.OffsetNotAvailable
		}
	}
	switch part.Timestamp {
	case tsLatest:
		rp.Offset, rp.LeaderEpoch = limit, p.LeaderEpoch()
	case tsEarliest, tsEarliestLocal:
		rp.Offset = log.StartOffset()
		rp.LeaderEpoch = log.EpochAt(rp.Offset)
	case tsLatestTiered, tsEarliestPendingUpload:
		// No tier: nothing was uploaded, and nothing waits for it.
	case tsMaxTimestamp:
		return found(p, rp)(log.MaxTimestampOffset(limit))
	default:
		return found(p, rp)(log.OffsetForTime(part.Timestamp, limit))
	}
	return kafka.None
}

// found fills in the outcome of a search; no record found is no error.
func found(p *driver.Partition, rp *kmsg.ListOffsetsResponseTopicPartition) func(offset, ts int64, epoch int32, ok bool, err error) kafka.ErrorCode {
	return func(offset, ts int64, epoch int32, ok bool, err error) kafka.ErrorCode {
		if err != nil {
			code, _ := p.CodeOf(err)
			return code
		}
		if ok {
			rp.Offset, rp.Timestamp, rp.LeaderEpoch = offset, ts, epoch
		}
		return kafka.None
	}
}
