package server_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/testkit"
)

// Topics come and go by the hundred under produce, fetch, DeleteRecords, ListOffsets and more partitions. Clients hear nothing but codes
// that make them look at the metadata again, and the disk is not blamed.
func TestTopicsComeAndGoUnderLoad(t *testing.T) {
	b := testkit.Start(t)
	const names = 6
	name := func(i int) string { return fmt.Sprint("t", i%names) }
	stop := make(chan struct{})
	var users, admins sync.WaitGroup
	ok := map[kafka.ErrorCode]bool{kafka.None: true, kafka.UnknownTopicOrPartition: true, kafka.NotLeaderOrFollower: true, kafka.OffsetOutOfRange: true}
	var mu sync.Mutex
	bad := map[string]int{}
	note := func(what string, code int16) {
		if !ok[kafka.ErrorCode(code)] {
			mu.Lock()
			bad[fmt.Sprintf("%s: %v", what, kafka.ErrorCode(code))]++
			mu.Unlock()
		}
	}
	use := func(f func(c *testkit.Conn, i int)) {
		users.Go(func() {
			c := testkit.Dial(t, b.Addr())
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					f(c, i)
				}
			}
		})
	}
	for g := range 3 {
		use(func(c *testkit.Conn, i int) {
			note("produce", c.Produce(9, int16(-1+g%2*2), name(i), int32(i%3), testkit.Batch(testkit.Record{Key: "k", Value: "v"})).ErrorCode)
		})
	}
	use(func(c *testkit.Conn, i int) {
		q := testkit.FetchRequest(12, name(i), 0, 0)
		q.MaxWaitMillis = int32(i % 3)
		note("fetch", testkit.Do[*kmsg.FetchResponse](c, q).Topics[0].Partitions[0].ErrorCode)
	})
	use(func(c *testkit.Conn, i int) {
		note("list offsets", listOffset(c, 7, name(i), time.Now().UnixMilli()-1000).ErrorCode)
		note("list offsets", listOffset(c, 7, name(i), -3).ErrorCode)
	})
	use(func(c *testkit.Conn, i int) {
		q := kmsg.NewPtrDeleteRecordsRequest()
		q.Version, q.TimeoutMillis = 2, 10_000
		rt := kmsg.NewDeleteRecordsRequestTopic()
		rp := kmsg.NewDeleteRecordsRequestTopicPartition()
		rp.Offset = -1
		rt.Topic, rt.Partitions = name(i), append(rt.Partitions, rp)
		q.Topics = append(q.Topics, rt)
		note("delete records", testkit.Do[*kmsg.DeleteRecordsResponse](c, q).Topics[0].Partitions[0].ErrorCode)
	})
	for g := range 3 {
		admins.Go(func() {
			c := testkit.Dial(t, b.Addr())
			for i := range 20 {
				topic := name(2*i + g)
				q := kmsg.NewPtrCreateTopicsRequest()
				q.Version, q.TimeoutMillis = 7, 10_000
				rt := kmsg.NewCreateTopicsRequestTopic()
				rt.Topic, rt.NumPartitions, rt.ReplicationFactor = topic, 2, 1
				q.Topics = append(q.Topics, rt)
				if code := kafka.ErrorCode(testkit.Do[*kmsg.CreateTopicsResponse](c, q).Topics[0].ErrorCode); code != kafka.TopicAlreadyExists {
					note("create", int16(code))
				}
				p := kmsg.NewPtrCreatePartitionsRequest()
				p.Version, p.TimeoutMillis = 3, 10_000
				pt := kmsg.NewCreatePartitionsRequestTopic()
				pt.Topic, pt.Count = topic, 3
				p.Topics = append(p.Topics, pt)
				if code := kafka.ErrorCode(testkit.Do[*kmsg.CreatePartitionsResponse](c, p).Topics[0].ErrorCode); code != kafka.InvalidPartitions {
					note("more partitions", int16(code))
				}
				d := kmsg.NewPtrDeleteTopicsRequest()
				d.Version, d.TimeoutMillis = 6, 10_000
				dt := kmsg.NewDeleteTopicsRequestTopic()
				dt.Topic = &topic
				d.Topics = append(d.Topics, dt)
				note("delete", testkit.Do[*kmsg.DeleteTopicsResponse](c, d).Topics[0].ErrorCode)
			}
		})
	}
	admins.Wait()
	close(stop)
	users.Wait()
	for what, n := range bad {
		t.Errorf("%s, %d times", what, n)
	}
	for _, line := range strings.Split(b.Logs.String(), "\n") {
		if strings.Contains(line, "level=ERROR") {
			t.Error(line)
		}
	}
	b.Restart()
}
