package server_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/testkit"
)

// Readers go through a log whose segments are rolled, compacted, expired, renamed and unlinked under them, by sendfile and by copies. Each
// batch they get is whole and sound, offsets only rise, and nothing comes back from below the log start.
func TestReadersOfALogThatChangesUnderThem(t *testing.T) {
	b := testkit.Start(t, "log.flush=never", "log.retention.check.interval.ms=5", "log.cleaner.backoff.ms=5", "open.files.max=64")
	admin := testkit.Dial(t, b.Addr())
	admin.CreateTopic("t", 1, "internal.segment.bytes", "100000", "cleanup.policy", "compact,delete", "retention.bytes", "700000",
		"min.cleanable.dirty.ratio", "0", "file.delete.delay.ms", "0", "segment.ms", "600000", "retention.ms", "-1")
	const least, most = 1200, 100_000 // batches: until the log has changed in every way
	changed := func() bool {
		text := b.Logs.String()
		return strings.Contains(text, "log compacted") && strings.Contains(text, "retention.bytes") && strings.Contains(text, "below the log start")
	}
	done := make(chan struct{})
	var producer, readers sync.WaitGroup
	producer.Go(func() {
		defer close(done)
		c := testkit.Dial(t, b.Addr())
		for i := 0; i < least || i < most && (i%100 > 0 || !changed()); i++ {
			size := 200
			if i%4 == 0 {
				size = 24_000
			}
			got := c.Produce(9, 1, "t", 0, testkit.Batch(testkit.Record{Key: fmt.Sprint("k", i%40), Value: strings.Repeat("v", size)}, testkit.Record{Key: fmt.Sprint("u", i), Value: "x"}))
			if got.ErrorCode != 0 {
				t.Errorf("produce: error %d", got.ErrorCode)
				return
			}
			if i%200 == 199 {
				q := kmsg.NewPtrDeleteRecordsRequest()
				q.Version, q.TimeoutMillis = 2, 10_000
				rt := kmsg.NewDeleteRecordsRequestTopic()
				rp := kmsg.NewDeleteRecordsRequestTopicPartition()
				rp.Offset = got.BaseOffset - 150
				rt.Topic, rt.Partitions = "t", append(rt.Partitions, rp)
				q.Topics = append(q.Topics, rt)
				testkit.Do[*kmsg.DeleteRecordsResponse](c, q)
			}
		}
	})
	for g := range 4 {
		readers.Go(func() {
			c := testkit.Dial(t, b.Addr())
			offset := int64(0)
			for {
				q := testkit.FetchRequest(12, "t", 0, offset)
				q.Topics[0].Partitions[0].PartitionMaxBytes = int32(1000 + 90_000*g)
				got := testkit.Do[*kmsg.FetchResponse](c, q).Topics[0].Partitions[0]
				switch kafka.ErrorCode(got.ErrorCode) {
				case kafka.None:
				case kafka.OffsetOutOfRange:
					offset = listOffset(c, 7, "t", -2).Offset
					continue
				default:
					t.Errorf("fetch at %d: %v", offset, kafka.ErrorCode(got.ErrorCode))
					return
				}
				first := true
				for rest := got.RecordBatches; len(rest) > 0; {
					next, after, err := batch.Next(rest)
					if err != nil {
						if first {
							t.Errorf("fetch at %d: no whole batch in %d bytes: %v", offset, len(rest), err)
							return
						}
						break // cut at the limit
					}
					if !next.ValidCRC() || next.LastOffset() < offset {
						t.Errorf("fetch at %d: a batch of offsets %d to %d, sound: %v", offset, next.BaseOffset(), next.LastOffset(), next.ValidCRC())
						return
					}
					offset, rest, first = next.LastOffset()+1, after, false
				}
				if first { // nothing: at the end
					select {
					case <-done:
						return
					default:
						if g%2 == 0 {
							offset = got.LogStartOffset // once more from the beginning
						}
					}
				}
			}
		})
	}
	producer.Wait()
	readers.Wait()
	for _, line := range strings.Split(b.Logs.String(), "\n") {
		if strings.Contains(line, "level=ERROR") || strings.Contains(line, "level=WARN") {
			t.Error(line)
		}
	}
	if !changed() {
		t.Error("nothing was compacted, or nothing removed: the test does not show what it should")
	}
}
