package groups_test

import (
	"sync"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/interop/groups"
	"github.com/barnabas-mq/barnabas/interop/rig"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestNoticeOfASecondRound has a third member come to two cooperative ones, which are so far away that they take a while to give up what moves: the
// newcomer's SyncGroup is held meanwhile. It is told to join again, gets its partitions in the second round, and may close while it is held.
func TestNoticeOfASecondRound(t *testing.T) {
	if rig.KindFromEnv(t) != rig.Barnabas {
		t.Skip("Apache Kafka holds no SyncGroups")
	}
	t.Parallel()
	broker := rig.StartT(t, rig.Barnabas, rig.Options{Properties: properties})
	var wg sync.WaitGroup
	for _, client := range groups.Clients() {
		switch client.Title() {
		case "Java kafka-clients, cooperative", "franz-go, cooperative":
			if wanted("INTEROP_CLIENTS", client.Library, client.Title()) {
				wg.Go(func() { t.Run(client.Title(), func(t *testing.T) { secondRound(t, broker, client) }) })
			}
		}
	}
	wg.Wait()
}

func secondRound(t *testing.T, broker *rig.Broker, client groups.Client) {
	c := quietCell(t, broker, client, "second round")
	c.manner.Delay = 120 * time.Millisecond
	c.starts("A", "B")
	c.manner.Delay = 0
	// The hold ends after a second, and a machine may be so busy that it always does: that is right too, and only shows less.
	for try := range 5 {
		newcomer := c.member("C", "")
		c.balanced("A", "B", "C")
		log, err := newcomer.Tap.Log()
		if err != nil {
			c.die("%v", err)
		}
		told, joins, syncs := false, 0, 0
		for _, x := range log {
			switch resp := x.Response.(type) {
			case *kmsg.SyncGroupResponse:
				told = told || syncs == 0 && resp.ErrorCode == kerr.RebalanceInProgress.Code
				syncs++
			case *kmsg.JoinGroupResponse:
				if resp.ErrorCode == 0 {
					joins++
				}
			}
		}
		if told && joins != 2 {
			c.fault("C joined %d times, want once for each round", joins)
		}
		c.stop("C")
		c.balanced("A", "B")
		if told {
			break
		}
		t.Logf("try %d: the second round did not begin within a second of the first", try)
	}
	newcomer, asked := c.member("C", ""), time.Time{}
	until(c.T, "the SyncGroup of C", func() string {
		log, _ := newcomer.Tap.Log()
		for _, x := range log {
			if _, ok := x.Request.(*kmsg.SyncGroupRequest); ok {
				asked = x.Asked
				return ""
			}
		}
		return "none"
	})
	n, began := len(c.events()), time.Now()
	c.stop("C")
	for _, e := range c.since(n, "C", groups.Closed) {
		for _, us := range e.TookUs {
			t.Logf("C was asked to close %s after its SyncGroup, and took %s", began.Sub(asked), time.Duration(us)*time.Microsecond)
		}
	}
	c.balanced("A", "B")
	c.stop("B")
	c.balanced("A")
	c.stop("A")
}
