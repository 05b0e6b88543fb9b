package server_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/testkit"
)

// BenchmarkHeartbeat is one member's heartbeat again and again, and those of a hundred members over one connection in turn. Client and broker
// share the process; the client allocates nothing.
func BenchmarkHeartbeat(b *testing.B) {
	for name, members := range map[string]int{"one-member": 1, "100-members": 100} { // any order: independent
		b.Run(name, func(b *testing.B) {
			br := testkit.Start(b)
			first := newMember(b, br, "g")
			first.alone()
			frames := [][]byte{testkit.Frame(first.heartbeatRequest(), 1, "bench")}
			for len(frames) < members {
				m := newMember(b, br, "g"+string(rune('a'+len(frames))))
				m.alone()
				frames = append(frames, testkit.Frame(m.heartbeatRequest(), 1, "bench"))
			}
			c := testkit.Dial(b, br.Addr())
			buf := make([]byte, 64)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, err := c.Write(frames[i%members]); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(c, buf[:4]); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(c, buf[:binary.BigEndian.Uint32(buf)]); err != nil {
					b.Fatal(err)
				}
				i++
			}
			if code := binary.BigEndian.Uint16(buf[9:]); code != 0 {
				b.Fatalf("the last heartbeat was answered %d", code)
			}
		})
	}
}

// BenchmarkOffsetCommit is a hundred groups that commit ten partitions each, over a connection each, and wait for the disk.
func BenchmarkOffsetCommit(b *testing.B) {
	const groups, partitions = 100, 10
	br := testkit.Start(b)
	var conns []*groupClient
	var frames [][]byte
	for i := range groups {
		c := newMember(b, br, fmt.Sprint("g", i))
		if i == 0 {
			c.CreateTopic("t", partitions)
		}
		q := c.commitRequest("t", 0, 1)
		for p := range int32(partitions - 1) {
			q.Topics[0].Partitions = append(q.Topics[0].Partitions, kmsg.OffsetCommitRequestTopicPartition{Partition: p + 1, Offset: 1, LeaderEpoch: -1})
		}
		conns, frames = append(conns, c), append(frames, testkit.Frame(q, 1, "bench"))
	}
	b.ReportAllocs()
	for b.Loop() {
		for i, c := range conns {
			c.SendBytes(frames[i])
		}
		for _, c := range conns {
			if _, _, err := c.Receive(); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N*groups*partitions)/b.Elapsed().Seconds(), "offsets/s")
}
