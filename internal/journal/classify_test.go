package journal

import (
	"regexp"
	"testing"
)

// TestTheTablesAreWhole: numbers and words are used by records, metrics and alerts; none is missing, none is there twice.
func TestTheTablesAreWhole(t *testing.T) {
	slug := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	seen := map[string]bool{}
	check := func(id, s, title string) {
		if !slug.MatchString(s) || title == "" || seen[s] || seen[id] {
			t.Errorf("%q: %q, %q", id, s, title)
		}
		seen[s], seen[id] = true, true
	}
	causes := Causes()
	if len(causes) != 24 || Cause("C24").Known() || Unknown.Known() || Cause("C24").Title() != Unknown.Title() {
		t.Fatalf("%d causes", len(causes))
	}
	for _, c := range causes {
		check("cause "+string(c.Cause), c.Cause.Slug(), c.Cause.Title())
		if c.Meaning == "" || c.Measured == "" || c.Cause != Unknown && !c.Cause.Known() {
			t.Errorf("%+v", c)
		}
	}
	if len(Detectors()) != 14 || Detector("D15").Title() != "" {
		t.Fatal("detectors")
	}
	for _, d := range Detectors() {
		check(string(d.Detector), d.Slug, d.Detector.Title())
	}
}

// TestRules goes through the decision order: a trigger, what is known beside it, and what follows.
func TestRules(t *testing.T) {
	minute := func(id FactID, n float64) Fact { return Fact{ID: id, Member: "b", Basis: Measured}.num(n*60_000, "ms") }
	is := func(ids ...FactID) (out []Fact) {
		for _, id := range ids {
			out = append(out, Fact{ID: id, Member: "b", Basis: Inferred})
		}
		return out
	}
	slow := []Fact{minute(FactRebalanceTimeout, 5), minute(FactCommitSilence, 4.6), {ID: FactHeartbeatsInTime, Member: "b"}}
	for _, c := range []struct {
		name    string
		kind    TriggerKind
		claimed string
		before  string
		facts   []Fact
		want    Cause
		sub     string
		conf    Confidence
		or      Cause
	}{
		{"says that it closes", MemberLeft, "the consumer is being closed", "", nil, GracefulClose, "", Measured, ""},
		{"says so, and comes back", MemberLeft, "the consumer is being closed", "", is(FactCameBack), RollingRestart, "", Inferred, ""},
		{"says that it polled too late, and comes back", MemberLeft, "consumer poll timeout has expired.", "", is(FactCameBack), PollInterval, "", Measured, ""},
		{"leaves in somebody's own words", MemberLeft, "night shift", "", nil, AdminRemoval, "", ConsistentWith, GracefulClose},
		{"leaves, and its connection is closed", MemberLeft, "", "", is(FactConnectionClosed), GracefulClose, "", Inferred, ""},
		{"the same, and comes back", MemberLeft, "", "", is(FactConnectionClosed, FactCameBack), RollingRestart, "", Inferred, ""},
		{"leaves, stays connected, and had committed nothing for the poll interval", MemberLeft, "", "", append(is(FactConnectionOpen), slow...), PollInterval, "", Inferred, ""},
		{"the same with nothing to read", MemberLeft, "", "", append(is(FactConnectionOpen, FactNothingToDo), slow...), Unsubscribed, "", ConsistentWith, GracefulClose},
		{"the same without heartbeats in time", MemberLeft, "", "", append(is(FactConnectionOpen), slow[:2]...), Unsubscribed, "", ConsistentWith, GracefulClose},
		{"the same with a commit a minute ago", MemberLeft, "", "", append(is(FactConnectionOpen, FactHeartbeatsInTime), minute(FactRebalanceTimeout, 5), minute(FactCommitSilence, 1)), Unsubscribed, "", ConsistentWith, GracefulClose},
		{"fetched nothing for the poll interval, commits not known", MemberLeft, "", "", append(is(FactConnectionOpen, FactHeartbeatsInTime), minute(FactRebalanceTimeout, 5), minute(FactFetchSilence, 4.6)), PollInterval, "", Inferred, ""},
		{"slow, and closed", MemberLeft, "", "", append(is(FactConnectionClosed), slow...), GracefulClose, "", Inferred, ""},
		{"slow, and whether it is connected is not known", MemberLeft, "", "", slow, PollInterval, "", ConsistentWith, GracefulClose},
		{"leaves, stays connected, and comes back", MemberLeft, "", "", is(FactConnectionOpen, FactCameBack), Unsubscribed, "", Inferred, ""},
		{"leaves, and nothing is known", MemberLeft, "", "", nil, GracefulClose, "", ConsistentWith, PollInterval},
		{"is removed", MemberRemoved, "", "", nil, AdminRemoval, "", Measured, ""},
		{"goes silent", SessionExpired, "", "", nil, SessionTimeout, "", Measured, ""},
		{"goes silent, connection closed", SessionExpired, "", "", is(FactConnectionClosed), SessionTimeout, "crash", Measured, ""},
		{"goes silent, and its old id is used", SessionExpired, "", "", is(FactOldIDUsed), SessionTimeout, "pause", Measured, ""},
		{"goes silent, and fetches", SessionExpired, "", "", []Fact{minute(FactSession, 1), minute(FactFetchSilence, .1)}, SessionTimeout, "fetching", Measured, ""},
		{"not heard of since the coordinator was loaded", SessionExpired, "", "", []Fact{minute(FactSilence, 1), minute(FactLoaded, 1)}, SessionTimeout, "", ConsistentWith, CoordinatorMoved},
		{"the same, and comes back", SessionExpired, "", "", append(is(FactCameBack), minute(FactSilence, 1), minute(FactLoaded, 1)), CoordinatorMoved, "", Inferred, ""},
		{"heard of since", SessionExpired, "", "", []Fact{minute(FactSilence, 1), minute(FactLoaded, 2)}, SessionTimeout, "", Measured, ""},
		{"does not rejoin", JoinExpired, "", "", nil, LateToRejoin, "", Measured, ""},
		{"does not sync", SyncExpired, "", "", nil, LateToSync, "", Measured, ""},
		{"joins an empty group", MemberJoined, "", "Empty", nil, FirstStart, "", Measured, ""},
		{"joins one with members", MemberJoined, "", "Stable", nil, ScaleUp, "", Measured, ""},
		{"joins one of which nothing is known", MemberJoined, "", "", nil, ScaleUp, "", Inferred, FirstStart},
		{"joins, its id was lost with the coordinator", MemberJoined, "", "Stable", is(FactUnknownSeat, FactLoaded), CoordinatorMoved, "", Inferred, ""},
		{"rejoins with other assignors", MemberChanged, "", "", is(FactAssignorsChanged, FactTopicsAdded), AssignorChange, "", Measured, ""},
		{"rejoins with a topic that is new", MemberChanged, "", "", is(FactTopicsAdded, FactTopicCreated), TopicSet, "", Measured, ""},
		{"rejoins without one that is gone", MemberChanged, "", "", is(FactTopicsDropped, FactTopicDeleted), TopicSet, "", Measured, ""},
		{"rejoins with another topic", MemberChanged, "", "", is(FactTopicsAdded), SubscriptionChange, "", Measured, ""},
		{"rejoins since a commit failed", MemberChanged, "offset commit error: x", "", is(FactOnlyOwnedChanged), RejectedCommit, "", Measured, ""},
		{"rejoins without a word, a topic has grown", LeaderRejoined, "", "", is(FactNothingChanged, FactPartitionsGrown), PartitionCount, "", Inferred, ""},
		{"rejoins without a word, its commit was refused", MemberChanged, "", "", is(FactOnlyOwnedChanged, FactCommitRefused), RejectedCommit, "", Inferred, ""},
		{"rejoins without a word, its generation was lost with the coordinator", LeaderRejoined, "", "", is(FactRefused, FactLoaded), CoordinatorMoved, "", Inferred, ""},
		{"rejoins without a word, partitions are held back", MemberChanged, "", "", is(FactOnlyOwnedChanged, FactWithheld), CooperativeRound, "", Inferred, ""},
		{"rejoins without a word, a heartbeat was refused", MemberChanged, "", "", is(FactRefused), FailedRebalance, "", ConsistentWith, LeaderRejoin},
		{"leads, and rejoins as it was", LeaderRejoined, "", "", is(FactNothingChanged), LeaderRejoin, "", Measured, ""},
		{"rejoins, only what it owns differs", MemberChanged, "", "", is(FactOnlyOwnedChanged), LeaderRejoin, "", ConsistentWith, CooperativeRound},
		{"rejoins, and nothing is known", MemberChanged, "", "", nil, Unknown, "", NotKnown, ""},
		{"takes a static seat", StaticReturn, "", "", nil, StaticReturned, "", Measured, ""},
		{"takes one whose holder is alive", StaticReturn, "", "", is(FactOldFenced), InstanceFenced, "", Measured, ""},
		{"something was seen from afar", StateSeen, "", "", nil, Unknown, "", NotKnown, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			inc := Incident{Kind: Rebalance, StateBefore: c.before, Trigger: Trigger{Kind: c.kind, Claimed: c.claimed, Member: &Who{ID: "b"}}, Verdict: Verdict{Evidence: c.facts}}
			Classify(&inc)
			if inc.Cause != c.want || inc.Sub != c.sub || inc.Confidence != c.conf || inc.Or != c.or {
				t.Fatalf("%q %q %s or %q; want %q %q %s or %q", inc.Cause, inc.Sub, inc.Confidence, inc.Or, c.want, c.sub, c.conf, c.or)
			}
			if inc.Confidence != Measured && inc.Kind == Rebalance && c.kind == MemberLeft && len(inc.Missing) == 0 && len(c.facts) == 0 {
				t.Fatal("it is not sure, and does not say what is missing")
			}
		})
	}
}

// TestWhatExplainsMore: who kept everybody waiting is named before who set it off, and ordinary comings and goings are not.
func TestWhatExplainsMore(t *testing.T) {
	for _, c := range []struct {
		name    string
		trigger TriggerKind
		chain   []Trigger
		want    Cause
	}{
		{"a newcomer, and somebody who did not rejoin", MemberJoined, []Trigger{{Kind: JoinExpired, Member: &Who{ID: "c"}}}, LateToRejoin},
		{"a newcomer, and somebody who died meanwhile", MemberJoined, []Trigger{{Kind: SessionExpired, Member: &Who{ID: "c"}}}, SessionTimeout},
		{"a newcomer, and somebody who polled too late", MemberJoined, []Trigger{{Kind: MemberLeft, Claimed: "consumer poll timeout has expired.", Member: &Who{ID: "c"}}}, PollInterval},
		{"a newcomer, and somebody who closed", MemberJoined, []Trigger{{Kind: MemberLeft, Claimed: "the consumer is being closed", Member: &Who{ID: "c"}}}, ScaleUp},
		{"somebody died, and another did not rejoin", SessionExpired, []Trigger{{Kind: JoinExpired, Member: &Who{ID: "c"}}}, SessionTimeout},
	} {
		inc := Incident{Kind: Rebalance, StateBefore: "Stable", Trigger: Trigger{Kind: c.trigger, Member: &Who{ID: "b"}}, Chain: c.chain}
		if Classify(&inc); inc.Cause != c.want {
			t.Errorf("%s: %s, want %s", c.name, inc.Cause, c.want)
		}
	}
}
