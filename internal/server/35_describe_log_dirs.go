package server

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/storage"
)

// DescribeLogDirs (35)
//
// v2  flexible
// v3  an error for the whole answer
// v4  total and usable bytes (KIP-827)
// v5  whether a directory is cordoned (KIP-1066); none is, there is no way to do it
func describeLogDirs(s *Server, r *Request, in kmsg.Request) kmsg.Response {
	q := in.(*kmsg.DescribeLogDirsRequest)
	resp := q.ResponseKind().(*kmsg.DescribeLogDirsResponse)
	wanted := wantedPartitions(q)
	for _, d := range s.deps.LogDirs() {
		rd := kmsg.NewDescribeLogDirsResponseDir()
		rd.Dir, rd.TotalBytes, rd.UsableBytes = d.Path, d.TotalBytes, d.UsableBytes
		if d.Offline != nil {
			rd.ErrorCode = int16(kafka.KafkaStorageError)
			s.deps.Metrics.Error(r.Key, kafka.KafkaStorageError)
			resp.Dirs = append(resp.Dirs, rd)
			continue
		}
		rd.Topics = logDirTopics(d, wanted)
		resp.Dirs = append(resp.Dirs, rd)
	}
	return resp
}

// wantedPartitions is nil for all; an empty list of partitions asks for none of them, as in Kafka.
func wantedPartitions(q *kmsg.DescribeLogDirsRequest) map[kafka.TopicPartition]bool {
	if q.Topics == nil {
		return nil
	}
	wanted := map[kafka.TopicPartition]bool{}
	for _, t := range q.Topics {
		for _, p := range t.Partitions {
			wanted[kafka.TopicPartition{Topic: t.Topic, Partition: p}] = true
		}
	}
	return wanted
}

func logDirTopics(d storage.DirInfo, wanted map[kafka.TopicPartition]bool) []kmsg.DescribeLogDirsResponseDirTopic {
	logs := slices.Clone(d.Logs)
	slices.SortFunc(logs, func(a, b storage.LogInfo) int { return a.TP.Compare(b.TP) })
	var out []kmsg.DescribeLogDirsResponseDirTopic
	for _, l := range logs {
		if wanted != nil && !wanted[l.TP] {
			continue
		}
		if n := len(out); n == 0 || out[n-1].Topic != l.TP.Topic {
			t := kmsg.NewDescribeLogDirsResponseDirTopic()
			t.Topic = l.TP.Topic
			out = append(out, t)
		}
		p := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
		p.Partition, p.Size = l.TP.Partition, l.Size
		t := &out[len(out)-1]
		t.Partitions = append(t.Partitions, p)
	}
	return out
}
