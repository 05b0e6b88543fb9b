package server_test

import (
	"encoding/binary"
	"io"
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/testkit"
)

// One request at a time over loopback; client and broker share the process, so that allocations and CPU are those of both. The client
// allocates nothing.

// roundTrips sends frame and reads its answer, again and again.
func roundTrips(b *testing.B, c *testkit.Conn, frame []byte) {
	b.Helper()
	buf := make([]byte, 4<<20)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(frame); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c, buf[:4]); err != nil {
			b.Fatal(err)
		}
		n := int(binary.BigEndian.Uint32(buf))
		if n > len(buf) {
			b.Fatalf("an answer of %d bytes", n)
		}
		if _, err := io.ReadFull(c, buf[:n]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSmallRequest(b *testing.B) {
	br := testkit.Start(b)
	c := testkit.Dial(b, br.Addr())
	c.CreateTopic("t", 1)
	metadata := kmsg.NewPtrMetadataRequest()
	metadata.Version, metadata.Topics = 9, []kmsg.MetadataRequestTopic{{Topic: kmsg.StringPtr("t")}}
	offsets := kmsg.NewPtrListOffsetsRequest()
	offsets.Version, offsets.ReplicaID = 4, -1
	offsets.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "t", Partitions: []kmsg.ListOffsetsRequestTopicPartition{{Timestamp: -1, CurrentLeaderEpoch: -1}}}}
	for _, q := range []kmsg.Request{apiVersions(3), metadata, offsets} {
		b.Run(kmsg.NameForKey(q.Key()), func(b *testing.B) { roundTrips(b, c, testkit.Frame(q, 1, "bench")) })
	}
}

// BenchmarkProduce shows that the cost of a request does not depend on how many records it carries.
func BenchmarkProduce(b *testing.B) {
	for _, records := range []int{1, 10, 1000} {
		b.Run(strconv.Itoa(records)+"-records", func(b *testing.B) {
			br := testkit.Start(b, "log.flush=never")
			c := testkit.Dial(b, br.Addr())
			c.CreateTopic("t", 1, "segment.bytes", "104857600", "retention.bytes", "209715200")
			rs := make([]testkit.Record, records)
			for i := range rs {
				rs[i].Value = "a value of some forty bytes or thereabouts"
			}
			roundTrips(b, c, testkit.Frame(testkit.ProduceRequest(9, -1, "t", 0, testkit.Batch(rs...)), 1, "bench"))
		})
	}
}

// BenchmarkFetch reads the same megabyte again and again, through an incremental session as consumers do.
func BenchmarkFetch(b *testing.B) {
	br := testkit.Start(b, "log.flush=never")
	c := testkit.Dial(b, br.Addr())
	c.CreateTopic("t", 1)
	rs := make([]testkit.Record, 1000)
	for i := range rs {
		rs[i].Value = "a value of some forty bytes or thereabouts"
	}
	for range 20 {
		if got := c.Produce(9, -1, "t", 0, testkit.Batch(rs...)); got.ErrorCode != 0 {
			b.Fatalf("produce: error %d", got.ErrorCode)
		}
	}
	q := testkit.FetchRequest(12, "t", 0, 0)
	b.SetBytes(int64(len(testkit.Do[*kmsg.FetchResponse](c, q).Topics[0].Partitions[0].RecordBatches)))
	roundTrips(b, c, testkit.Frame(q, 1, "bench"))
}
