package observe

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/internal/journal"
	"github.com/barnabas-mq/barnabas/internal/observe/clientlog"
	"github.com/barnabas-mq/barnabas/internal/sim"
	"github.com/barnabas-mq/barnabas/scenarios"
)

// docs/myths.md sets common wrong statements beside the tests that show them. Those that no other test shows are here; the last test holds
// the page to the tests that it names.

// simulate runs a shipped scenario with other values: the coordinator of the broker, in virtual time.
func simulate(t *testing.T, name string, set ...string) *sim.Result {
	t.Helper()
	text, ok := scenarios.Text(name)
	if !ok {
		t.Fatalf("there is no scenario %s", name)
	}
	var over []sim.Override
	for i := 0; i+1 < len(set); i += 2 {
		over = append(over, sim.Override{Name: set[i], Value: set[i+1]})
	}
	sc, err := sim.Load(name+".yaml", text, over...)
	if err != nil {
		t.Fatal(err)
	}
	r, err := sim.Run(sc, sim.Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestALongerSessionDoesNotHelpASlowBatch: heartbeats have a thread of their own, so the session never was the limit.
func TestALongerSessionDoesNotHelpASlowBatch(t *testing.T) {
	short := simulate(t, "slow-batches", "session.timeout.ms", "10000")
	long := simulate(t, "slow-batches", "session.timeout.ms", "1800000")
	if short.Committed != 0 || long.Committed != 0 || short.Rebalances < 4 || long.Rebalances != short.Rebalances {
		t.Errorf("session of 10 s: %d committed, %d rebalances; of 30 min: %d and %d", short.Committed, short.Rebalances, long.Committed, long.Rebalances)
	}
	if cured := simulate(t, "slow-batches", "max.poll.records", "100"); cured.Committed == 0 || cured.Rebalances != 0 {
		t.Errorf("the cure: %d committed, %d rebalances", cured.Committed, cured.Rebalances)
	}
}

// TestALongerSessionDoesHelpWhereHeartbeatsComeFromPoll: the same advice was right for the clients of 2015.
func TestALongerSessionDoesHelpWhereHeartbeatsComeFromPoll(t *testing.T) {
	small := []string{"client", "poll-heartbeat", "max.poll.records", "10"} // a batch of 15 s
	short := simulate(t, "fans-push", append(small, "session.timeout.ms", "10000")...)
	long := simulate(t, "fans-push", append(small, "session.timeout.ms", "30000", "heartbeat.interval.ms", "10000")...)
	if short.Evicted == 0 || long.Evicted != 0 || long.Committed <= short.Committed {
		t.Errorf("session of 10 s: %d put out, %d committed; of 30 s: %d and %d", short.Evicted, short.Committed, long.Evicted, long.Committed)
	}
}

// TestBiggerBatchesAreNotFaster: the pace of a thread is set by the time per record.
func TestBiggerBatchesAreNotFaster(t *testing.T) {
	ten := simulate(t, "slow-batches", "max.poll.records", "10")
	hundred := simulate(t, "slow-batches", "max.poll.records", "100")
	if ten.Committed == 0 || hundred.Committed > ten.Committed || ten.Committed-hundred.Committed > 200 {
		t.Errorf("committed with 10 a poll %d, with 100 a poll %d", ten.Committed, hundred.Committed)
	}
}

// TestMoreConsumersThanPartitionsDoNothing: the fourth of four has no work where there are three partitions.
func TestMoreConsumersThanPartitionsDoNothing(t *testing.T) {
	r := simulate(t, "more-consumers-than-partitions")
	if r.LoadMax != 1 || r.LoadMin != 0 {
		t.Errorf("the most partitions of a member: %d, the fewest: %d", r.LoadMax, r.LoadMin)
	}
}

// TestTheClientsSentenceIsNoProof: the Java client blames max.poll.interval.ms in a fixed text, after a process that stood still as well. In the log of
// a client whose process was stopped for 11 s nobody was slow.
func TestTheClientsSentenceIsNoProof(t *testing.T) {
	var l clientlog.Log
	const log = "clientlog/testdata/logs/java-pause/java-pause-b.log"
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := l.Add("paused", f); err != nil {
		t.Fatal(err)
	}
	r := l.Report(clientlog.Given{})
	for _, s := range r.Stories {
		if s.Cause == journal.PollInterval {
			t.Errorf("a stopped process is taken for a slow batch: %v", s.Told)
		}
	}
	push := clientlog.Log{}
	text, err := os.ReadFile("clientlog/testdata/fans-push.log")
	if err != nil {
		t.Fatal(err)
	}
	if err := push.Add("fans-push.log", strings.NewReader(string(text))); err != nil {
		t.Fatal(err)
	}
	got := push.Report(clientlog.Given{Config: map[string]string{"max.poll.records": "10"}, RecordTime: 1500 * time.Millisecond}).Stories
	if len(got) != 1 || got[0].Cause == journal.PollInterval || !strings.Contains(string(text), "max.poll.interval.ms") {
		t.Errorf("10 x 1.5 s is no slow batch, whatever the sentence says: %+v", got)
	}
}

// TestMythsNameTestsThatExist: the page is worth what its tests are worth.
func TestMythsNameTestsThatExist(t *testing.T) {
	page, err := os.ReadFile("../../docs/myths.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(Test[A-Za-z0-9]+)` in \\[[^]]+\\]\\(([^)]+_test\\.go)\\)").FindAllStringSubmatch(string(page), -1)
	for _, m := range named {
		src, err := os.ReadFile(filepath.Join("../../docs", m[2]))
		if err != nil {
			t.Error(err)
		} else if !strings.Contains(string(src), "func "+m[1]+"(") {
			t.Errorf("there is no %s in %s", m[1], m[2])
		}
	}
	if myths := strings.Count(string(page), "\n## "); len(named) < 10 || myths < 12 {
		t.Errorf("%d myths, %d tests", myths, len(named))
	}
}
