package groups_test

import (
	"strings"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/interop/groups"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// said is a list of events, one per microsecond.
func said(events ...groups.Event) []groups.Event {
	for i := range events {
		events[i].At = int64(i + 1)
	}
	return events
}

func own(member, kind string, partitions ...int32) groups.Event {
	return groups.Event{Member: member, Kind: kind, Partitions: partitions}
}

func got(member string, p int32, o int64) groups.Event {
	return groups.Event{Member: member, Kind: groups.GotRecord, Partition: p, Offset: o, Value: string(rune('a' + o))}
}

// TestChecksFindWhatIsWrong plants one fault after the other: a check that could not fail would prove nothing.
func TestChecksFindWhatIsWrong(t *testing.T) {
	truth := groups.Truth{{"a", "b", "c"}, {"a"}}
	good := func() []groups.Event {
		return said(own("A", groups.Assigned, 0, 1), got("A", 0, 0), got("A", 1, 0), own("A", groups.Revoked, 0), own("B", groups.Assigned, 0), got("B", 0, 1), got("B", 0, 2))
	}
	for _, test := range []struct {
		name  string
		plant func([]groups.Event) []groups.Event
		check func([]groups.Event) []string
		want  string // "" for none
	}{
		{"nothing is lost", nil, func(e []groups.Event) []string { return groups.Delivered(e, truth) }, ""},
		{"a record is missing", func(e []groups.Event) []groups.Event { return e[:6] }, func(e []groups.Event) []string { return groups.Delivered(e, truth) }, "record 0@2 is lost"},
		{"a record is another", func(e []groups.Event) []groups.Event { e[1].Value = "x"; return e }, func(e []groups.Event) []string { return groups.Delivered(e, truth) }, `as "x", written as "a"`},
		{"a record that nobody wrote", func(e []groups.Event) []groups.Event { return append(e, got("B", 0, 3)) }, func(e []groups.Event) []string { return groups.Delivered(e, truth) }, "nobody wrote"},
		{"in order", nil, groups.Ordered, ""},
		{"a gap", func(e []groups.Event) []groups.Event { return append(e[:5:5], got("B", 0, 0), got("B", 0, 2)) }, groups.Ordered, "handed on 0@2 where 1 belongs"},
		{"backwards", func(e []groups.Event) []groups.Event { return append(e, got("B", 0, 1)) }, groups.Ordered, "handed on 0@1 where 3 belongs"},
		{"of a partition it does not own", func(e []groups.Event) []groups.Event { return append(e, got("A", 0, 2)) }, groups.Ordered, "does not own"},
		{"after its end", func(e []groups.Event) []groups.Event { return append(e, own("B", groups.Dead), got("B", 0, 3)) }, groups.Ordered, "does not own"},
		{"again after it came back to it", func(e []groups.Event) []groups.Event {
			return append(e, own("B", groups.Lost, 0), own("B", groups.Assigned, 0), got("B", 0, 1))
		}, groups.Ordered, ""},
		{"one owner", nil, groups.OneOwner, ""},
		{"two owners", func(e []groups.Event) []groups.Event { return said(append(e[:3:3], e[4:]...)...) }, groups.OneOwner, "B was assigned 0"},
		{"the first owner is dead", func(e []groups.Event) []groups.Event { e[3] = own("A", groups.Dead); return said(e...) }, groups.OneOwner, ""},
		{"the first owner was stopped", func(e []groups.Event) []groups.Event { e[3] = own("A", groups.Suspended); return said(e...) }, groups.OneOwner, ""},
		{"the first owner was stopped, and told, and took it again", func(e []groups.Event) []groups.Event {
			e[3] = own("A", groups.Suspended)
			return said(append(e, own("A", groups.Lost, 0), own("A", groups.Assigned, 0))...)
		}, groups.OneOwner, "A was assigned 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			events := good()
			if test.plant != nil {
				events = test.plant(events)
			}
			found := strings.Join(test.check(events), "\n")
			if test.want == "" && found != "" || !strings.Contains(found, test.want) {
				t.Errorf("found %q, want %q", found, test.want)
			}
		})
	}
	if n, first := groups.Repeated(said(got("A", 0, 0), got("B", 0, 0), got("B", 0, 1))); n != 1 || first != "0@0 by A and by B" {
		t.Errorf("repeated: %d, %s", n, first)
	}
}

func TestBalancedMeansAllOnceAndNobodyIdle(t *testing.T) {
	for _, test := range []struct {
		name   string
		events []groups.Event
		want   bool
	}{
		{"both", said(own("A", groups.Assigned, 0), own("B", groups.Assigned, 1)), true},
		{"one is missing", said(own("A", groups.Assigned, 0), own("B", groups.Assigned)), false},
		{"B is idle", said(own("A", groups.Assigned, 0, 1)), false},
		{"0 twice", said(own("A", groups.Assigned, 0), own("B", groups.Assigned, 0, 1)), false},
		{"B is dead", said(own("A", groups.Assigned, 0), own("B", groups.Assigned, 1), own("B", groups.Dead)), false},
		{"C believes in 0", said(own("A", groups.Assigned, 0), own("B", groups.Assigned, 1), own("C", groups.Assigned, 0)), true},
	} {
		if got := groups.Balanced(test.events, 2, "A", "B"); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

// passed is an exchange that began at a second and took half of one.
func passed(second int, member string, req kmsg.Request, resp kmsg.Response) groups.Exchange {
	at := time.Unix(int64(second), 0)
	x := groups.Exchange{Member: member, Asked: at, Request: req, Response: resp}
	if resp != nil {
		x.Answered = at.Add(time.Second / 2)
	}
	return x
}

func commit(second int, offset int64, code int16) groups.Exchange {
	req, resp := kmsg.NewPtrOffsetCommitRequest(), kmsg.NewPtrOffsetCommitResponse()
	req.Version, resp.Version = 9, 9
	req.Group, req.MemberID, req.Generation = "g", "m", 1
	req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Partition: 0, Offset: offset}}}}
	resp.Topics = []kmsg.OffsetCommitResponseTopic{{Topic: "t", Partitions: []kmsg.OffsetCommitResponseTopicPartition{{Partition: 0, ErrorCode: code}}}}
	return passed(second, "A", req, resp)
}

func fetch(second int, offset int64) groups.Exchange {
	req, resp := kmsg.NewPtrOffsetFetchRequest(), kmsg.NewPtrOffsetFetchResponse()
	req.Version, resp.Version = 8, 8
	resp.Groups = []kmsg.OffsetFetchResponseGroup{{Group: "g", Topics: []kmsg.OffsetFetchResponseGroupTopic{{Topic: "t",
		Partitions: []kmsg.OffsetFetchResponseGroupTopicPartition{{Partition: 0, Offset: offset}}}}}}
	return passed(second, "B", req, resp)
}

func TestCommittedFindsWhatIsWrong(t *testing.T) {
	handed := said(got("A", 0, 0), got("A", 0, 1), got("A", 0, 2))
	unanswered := commit(2, 2, 0)
	unanswered.Response, unanswered.Answered = nil, time.Time{}
	for _, test := range []struct {
		name      string
		exchanges []groups.Exchange
		want      string
	}{
		{"told what was committed", []groups.Exchange{fetch(0, -1), commit(1, 1, 0), commit(2, 2, 0), fetch(3, 2)}, ""},
		{"told an older one", []groups.Exchange{commit(1, 1, 0), commit(2, 2, 0), fetch(3, 1)}, "was told 1"},
		{"told nothing", []groups.Exchange{commit(1, 1, 0), fetch(3, -1)}, "was told -1"},
		{"a refused commit counts for nothing", []groups.Exchange{commit(1, 1, 0), commit(2, 2, 22), fetch(3, 2)}, "was told 2"},
		{"a commit without an answer may count", []groups.Exchange{commit(1, 1, 0), unanswered, fetch(3, 2)}, ""},
		{"or not", []groups.Exchange{commit(1, 1, 0), unanswered, fetch(3, 1)}, ""},
		{"back", []groups.Exchange{commit(1, 2, 0), commit(2, 1, 0)}, "moved the offset of 0 back from 2 to 1"},
		{"beyond what was handed on", []groups.Exchange{commit(1, 4, 0)}, "committed to 4"},
	} {
		_, faults := groups.Committed(test.exchanges, handed, "t")
		if found := strings.Join(faults, "\n"); test.want == "" && found != "" || !strings.Contains(found, test.want) {
			t.Errorf("%s: found %q, want %q", test.name, found, test.want)
		}
	}
}

func TestRelayedEventsAreAsOldAsWhatFollowedThem(t *testing.T) {
	at := func(second int, e groups.Event) groups.Event {
		e.At = time.Unix(int64(second), 0).UnixMicro()
		return e
	}
	join := func(second int, member string) groups.Exchange {
		return passed(second, member, kmsg.NewPtrJoinGroupRequest(), nil)
	}
	// A asked to join at 10, so it had given up 0 by then; that it had was read at 12, when B owned it already.
	events := []groups.Event{at(1, own("A", groups.Assigned, 0)), at(11, own("B", groups.Assigned, 0)), at(12, own("A", groups.Revoked, 0)), at(13, own("A", groups.Assigned, 1))}
	if len(groups.OneOwner(events)) == 0 {
		t.Error("the events as they were read show one owner")
	}
	exchanges := []groups.Exchange{join(0, "A"), join(9, "B"), join(10, "A"), join(14, "A")}
	if faults := groups.OneOwner(groups.Relayed(events, exchanges)); len(faults) > 0 {
		t.Errorf("found %q", faults)
	}
	// Who did not ask to join again has no excuse.
	if len(groups.OneOwner(groups.Relayed(events, exchanges[:2]))) == 0 {
		t.Error("two owners are excused")
	}
}
