package broker_test

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/testkit"
)

// committer commits offsets of partition 0 of "t", for a group that nobody is in.
type committer struct {
	*testkit.Conn
	t     testing.TB
	group string
}

func newCommitter(t testing.TB, b *testkit.Broker, group string) *committer {
	t.Helper()
	c := &committer{testkit.Dial(t, b.Addr()), t, group}
	for {
		q := kmsg.NewPtrFindCoordinatorRequest()
		q.Version, q.CoordinatorKeys = 4, []string{group}
		if got := testkit.Do[*kmsg.FindCoordinatorResponse](c.Conn, q).Coordinators[0]; got.ErrorCode != 0 {
			t.Fatalf("no coordinator: %+v", got)
		}
		if _, code := c.committed(); code == kafka.None {
			return c
		} else if code != kafka.CoordinatorLoadInProgress {
			t.Fatal(code)
		}
	}
}

func (c *committer) commit(offset int64) {
	c.t.Helper()
	q := kmsg.NewPtrOffsetCommitRequest()
	q.Version, q.Group, q.Generation = 7, c.group, -1
	rt := kmsg.NewOffsetCommitRequestTopic()
	rt.Topic = "t"
	rp := kmsg.NewOffsetCommitRequestTopicPartition()
	rp.Offset = offset
	rt.Partitions = append(rt.Partitions, rp)
	q.Topics = append(q.Topics, rt)
	if got := testkit.Do[*kmsg.OffsetCommitResponse](c.Conn, q).Topics[0].Partitions[0]; got.ErrorCode != 0 {
		c.t.Fatalf("commit: %v", kafka.ErrorCode(got.ErrorCode))
	}
}

func (c *committer) committed() (int64, kafka.ErrorCode) {
	c.t.Helper()
	q := kmsg.NewPtrOffsetFetchRequest()
	q.Version, q.Group = 7, c.group
	q.Topics = append(q.Topics, kmsg.OffsetFetchRequestTopic{Topic: "t", Partitions: []int32{0}})
	got := testkit.Do[*kmsg.OffsetFetchResponse](c.Conn, q)
	if got.ErrorCode != 0 {
		return 0, kafka.ErrorCode(got.ErrorCode)
	}
	return got.Topics[0].Partitions[0].Offset, kafka.None
}

// Compaction bounds what a coordinator has to read back: a group that commits all day is one record.
func TestCompactionBoundsTheLoadOfGroups(t *testing.T) {
	b := testkit.Start(t, "offsets.topic.num.partitions=1", "offsets.topic.segment.bytes=1048576", "log.cleaner.backoff.ms=50", "log.cleaner.min.cleanable.ratio=0.01",
		"log.flush=never")
	testkit.Dial(t, b.Addr()).CreateTopic("t", 1)
	var groups []*committer
	for i := range 5 {
		groups = append(groups, newCommitter(t, b, fmt.Sprint("group-", i)))
	}
	const commits = 4000
	for i := range int64(commits) {
		for _, g := range groups {
			g.commit(i)
		}
	}
	// All but the newest segment, which is never compacted.
	compacted := regexp.MustCompile(`log compacted.* end=(\d+)`)
	for end := 0; end < commits*len(groups)/2; {
		if t.Context().Err() != nil {
			t.Fatalf("compacted up to offset %d only", end)
		}
		for _, m := range compacted.FindAllStringSubmatch(b.Logs.String(), -1) {
			end, _ = strconv.Atoi(m[1])
		}
		time.Sleep(time.Millisecond)
	}
	b.Logs.Take()
	b.Restart()
	for i := range groups {
		if got, _ := newCommitter(t, b, fmt.Sprint("group-", i)).committed(); got != commits-1 {
			t.Fatalf("group %d is at %d, want %d", i, got, commits-1)
		}
	}
	m := regexp.MustCompile(`consumer groups loaded.* records=(\d+)`).FindStringSubmatch(b.Logs.String())
	if m == nil {
		t.Fatal("nothing says how many records were loaded")
	}
	if n, _ := strconv.Atoi(m[1]); n > commits*len(groups)/2 {
		t.Fatalf("%d records were loaded of %d that were written", n, commits*len(groups))
	}
}
