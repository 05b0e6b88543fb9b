package server

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// clock is time that tests move.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

// fullFetch is a full fetch request of n partitions that begins a session.
func fullFetch(n int) *kmsg.FetchRequest {
	q := kmsg.NewPtrFetchRequest()
	q.Version, q.SessionEpoch = 12, epochInitial
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.Partitions = "t", make([]kmsg.FetchRequestTopicPartition, n)
	for i := range t.Partitions {
		t.Partitions[i].Partition = int32(i)
	}
	q.Topics = append(q.Topics, t)
	return q
}

// begin starts a session of n partitions, 0 if it is refused one.
func begin(c *sessionCache, n int) int32 {
	if _, s, _, _ := c.begin(fullFetch(n)); s != nil {
		return s.id
	}
	return 0
}

// next is an incremental request of nothing new.
func next(c *sessionCache, id, epoch int32) kafka.ErrorCode {
	q := kmsg.NewPtrFetchRequest()
	q.Version, q.SessionID, q.SessionEpoch = 12, id, epoch
	_, _, _, code := c.begin(q)
	return code
}

func TestWithoutSlotsThereAreNoSessions(t *testing.T) {
	c := newSessionCache(0, (&clock{}).now)
	if id := begin(c, 3); id != 0 {
		t.Errorf("session %d", id)
	}
}

func TestAFullCacheKeepsWhoIsActive(t *testing.T) {
	for slots := 1; slots <= 2; slots++ {
		k := &clock{time.Unix(1000, 0)}
		c := newSessionCache(slots, k.now)
		var ids []int32
		for range slots {
			ids = append(ids, begin(c, 10))
		}
		if begin(c, 10) != 0 {
			t.Errorf("%d slots: one session more", slots)
		}
		// After two minutes a larger one may take the place of a smaller one, an equal one may not.
		for k.t = k.t.Add(sessionMinIdle - time.Second); k.t.Before(time.Unix(1000, 0).Add(sessionMinIdle)); k.t = k.t.Add(time.Second) {
			for i, id := range ids {
				if code := next(c, id, 1); code != kafka.None {
					t.Fatalf("%d slots: session %d: %v", slots, i, code)
				}
			}
		}
		if begin(c, 10) != 0 {
			t.Errorf("%d slots: a session of the same size took the place of an active one", slots)
		}
		large := begin(c, 11)
		if large == 0 || len(c.byID) != slots {
			t.Errorf("%d slots: a larger session found no place among %d", slots, len(c.byID))
		}
		// And who was silent for two minutes makes room for anybody.
		k.t = k.t.Add(sessionMinIdle)
		if begin(c, 1) == 0 || len(c.byID) != slots {
			t.Errorf("%d slots: silent sessions kept their place", slots)
		}
		if code := next(c, 1<<30+12345, 1); code != kafka.FetchSessionIDNotFound {
			t.Errorf("a session that never was: %v", code)
		}
	}
}

// However large each session is, all together stay within their bound.
func TestSessionsTogetherAreBounded(t *testing.T) {
	k := &clock{time.Unix(1000, 0)}
	c := newSessionCache(1000, k.now)
	given := 0
	for range 10 {
		if begin(c, 150_000) != 0 {
			given++
		}
		if c.parts > 1000*sessionPartsPerSlot {
			t.Fatalf("%d partitions are remembered", c.parts)
		}
	}
	if given != 3 {
		t.Errorf("%d sessions of 150,000 partitions, want 3 within 500,000", given)
	}
	if begin(c, sessionPartsMax+1) != 0 {
		t.Error("one session above its own bound")
	}
	small := begin(c, 1000)
	if small == 0 {
		t.Fatal("there is room for a small one")
	}
	// It cannot grow beyond what all may have either.
	q := fullFetch(100_000)
	q.SessionID, q.SessionEpoch = small, 1
	if _, _, _, code := c.begin(q); code != kafka.FetchSessionIDNotFound {
		t.Errorf("growing: %v", code)
	}
	if sessions, parts := c.count(); sessions != 3 || parts != 450_000 {
		t.Errorf("%d sessions of %d partitions are left", sessions, parts)
	}
	k.t = k.t.Add(sessionMinIdle)
	if begin(c, 200_000) == 0 || c.parts > 500_000 {
		t.Errorf("silent sessions did not make room: %d partitions", c.parts)
	}
	for id := range c.byID { // any order: all of them
		c.remove(id)
	}
	if c.parts != 0 {
		t.Errorf("%d partitions are counted without a session", c.parts)
	}
}
