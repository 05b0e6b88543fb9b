package broker_test

import (
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/journal"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/testkit"
)

// counter reads a metric without labels; -1 if it is not there.
func counter(t *testing.T, b *testkit.Broker, name string) int64 {
	t.Helper()
	_, text := getPage(t, b, "/metrics")
	m := regexp.MustCompile(`(?m)^` + name + ` (\d+)$`).FindStringSubmatch(text)
	if m == nil {
		return -1
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestAJournalThatCannotBeWrittenDisturbsNobody takes the journal's topic away: the rebalance goes on, what is lost is counted, and the next record says
// so once there is a journal again.
func TestAJournalThatCannotBeWrittenDisturbsNobody(t *testing.T) {
	b := testkit.Start(t, "offsets.topic.num.partitions=2")
	testkit.Dial(t, b.Addr()).CreateTopic("orders", 4)
	consumeAs(t, b, "first")
	second := consumeAs(t, b, "second")
	incidents(t, b, func(in []journal.Incident) bool { return len(in) == 2 && in[1].Stage.Over() })
	if n := counter(t, b, "barnabas_journal_lost_records_total"); n != 0 {
		t.Fatalf("%d records were lost before anything happened", n)
	}
	q := kmsg.NewPtrDeleteTopicsRequest()
	q.Version, q.TopicNames, q.TimeoutMillis = 5, []string{kafka.RebalancesTopic}, 10_000
	if got := testkit.Do[*kmsg.DeleteTopicsResponse](testkit.Dial(t, b.Addr()), q).Topics[0]; got.ErrorCode != 0 {
		t.Fatalf("delete: %v", kafka.ErrorCode(got.ErrorCode))
	}
	if err := second.LeaveGroupContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for counter(t, b, "barnabas_journal_lost_records_total") == 0 {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("no loss is counted")
		}
	}
	if got := testkit.Dial(t, b.Addr()).CreateTopic(kafka.RebalancesTopic, 2); got.ErrorCode != 0 {
		t.Fatalf("create: %v", kafka.ErrorCode(got.ErrorCode))
	}
	consumeAs(t, b, "third")
	got := incidents(t, b, func(in []journal.Incident) bool { return len(in) > 0 && in[len(in)-1].Stage.Over() })
	if records, _ := journal.Gaps(got); records == 0 || records > counter(t, b, "barnabas_journal_lost_records_total") {
		t.Errorf("the journal says that %d of its records are missing", records)
	}
	if n := counter(t, b, "barnabas_journal_records_total"); n <= 0 {
		t.Errorf("%d records were written", n)
	}
}

// TestABrokerThatStopsEndsWhatIsUnderWay: a rebalance that no coordinator is left to end is not shown as under way for ever.
func TestABrokerThatStopsEndsWhatIsUnderWay(t *testing.T) {
	b := testkit.Start(t, "offsets.topic.num.partitions=2", "group.initial.rebalance.delay.ms=60000")
	newCommitter(t, b, "other") // so that there is a coordinator
	join := kmsg.NewPtrJoinGroupRequest()
	join.Version, join.Group, join.ProtocolType, join.SessionTimeoutMillis, join.RebalanceTimeoutMillis = 3, "billing", "consumer", 45000, 45000
	join.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range"}}
	testkit.Dial(t, b.Addr()).Send(join) // the answer would come in a minute
	incidents(t, b, func(in []journal.Incident) bool { return len(in) == 1 })
	b.Restart()
	got := incidents(t, b, func(in []journal.Incident) bool { return len(in) > 0 && in[0].Stage.Over() })
	if got[0].StateAfter != "lost" || got[0].Ended == nil {
		t.Errorf("it ended %q:\n%s", got[0].StateAfter, journal.Story(&got[0]))
	}
}
