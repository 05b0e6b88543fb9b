package server_test

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/testkit"
)

// Every API of a group's life, at every version there is.
func TestAGroupsLifeAtEveryVersion(t *testing.T) {
	b := testkit.Start(t)
	testkit.Dial(t, b.Addr()).CreateTopic("t", 2)
	for v := int16(0); v <= 9; v++ {
		t.Run(fmt.Sprint("v", v), func(t *testing.T) {
			c := newMember(t, b, fmt.Sprint("g", v))
			c.version = v
			got := c.join()
			wantType := v >= 7
			if got.LeaderID != c.member || got.Generation != 1 || len(got.Members) != 1 || string(got.Members[0].ProtocolMetadata) != "m" ||
				got.Protocol == nil || *got.Protocol != "range" || (got.ProtocolType != nil) != wantType {
				t.Fatalf("join: %+v", got)
			}
			if code := c.heartbeat(); code != kafka.None {
				t.Errorf("heartbeat before the assignment: %v", code)
			}
			s := c.sync(map[string]string{c.member: "all", "nobody": "nothing"})
			if s.ErrorCode != 0 || string(s.MemberAssignment) != "all" || (s.ProtocolType != nil) != (v >= 5) {
				t.Fatalf("sync: %+v", s)
			}
			if again := c.sync(nil); string(again.MemberAssignment) != "all" {
				t.Errorf("sync again: %+v", again)
			}
			if code := c.heartbeat(); code != kafka.None {
				t.Errorf("heartbeat: %v", code)
			}
			if v >= 2 {
				if code := c.commit("t", 1, 11); code != kafka.None {
					t.Errorf("commit: %v", code)
				}
			}
			describeAt(t, c, v)
			listAt(t, c, v)
			fetchAt(t, c, v)
			leaveAt(t, c, v)
			if code := c.heartbeat(); code != kafka.UnknownMemberID {
				t.Errorf("heartbeat after leaving: %v", code)
			}
			deleteAt(t, c, v)
		})
	}
}

func describeAt(t *testing.T, c *groupClient, v int16) {
	t.Helper()
	q := kmsg.NewPtrDescribeGroupsRequest()
	c.at(q, 6)
	q.Groups, q.IncludeAuthorizedOperations = []string{c.group, "none"}, true
	got := testkit.Do[*kmsg.DescribeGroupsResponse](c.Conn, q).Groups
	d := got[0]
	if d.Group != c.group || d.State != "Stable" || d.ProtocolType != "consumer" || d.Protocol != "range" || len(d.Members) != 1 {
		t.Fatalf("described: %+v", d)
	}
	if (d.AuthorizedOperations > 0) != (v >= 3) {
		t.Errorf("operations: %d", d.AuthorizedOperations)
	}
	m := d.Members[0]
	if m.MemberID != c.member || m.ClientID != "test" || m.ClientHost != "/127.0.0.1" || string(m.ProtocolMetadata) != "m" || string(m.MemberAssignment) != "all" || m.InstanceID != nil {
		t.Errorf("described member: %+v", m)
	}
	want := kafka.None
	if v >= 6 {
		want = kafka.GroupIDNotFound
	}
	if none := got[1]; none.State != "Dead" || kafka.ErrorCode(none.ErrorCode) != want || (none.ErrorMessage != nil) != (v >= 6) {
		t.Errorf("a group that is not there: %+v", none)
	}
}

func listAt(t *testing.T, c *groupClient, v int16) {
	t.Helper()
	q := kmsg.NewPtrListGroupsRequest()
	c.at(q, 5)
	q.StatesFilter, q.TypesFilter = []string{"stable"}, []string{"CLASSIC"}
	got := testkit.Do[*kmsg.ListGroupsResponse](c.Conn, q)
	i := slices.IndexFunc(got.Groups, func(g kmsg.ListGroupsResponseGroup) bool { return g.Group == c.group })
	if got.ErrorCode != 0 || i < 0 || got.Groups[i].ProtocolType != "consumer" || (got.Groups[i].GroupState == "Stable") != (v >= 4) || (got.Groups[i].GroupType == "classic") != (v >= 5) {
		t.Errorf("listed: %+v", got)
	}
	if v >= 4 {
		q.StatesFilter = []string{"Dead"}
		if got := testkit.Do[*kmsg.ListGroupsResponse](c.Conn, q); len(got.Groups) != 0 {
			t.Errorf("dead groups: %+v", got.Groups)
		}
	}
}

func fetchAt(t *testing.T, c *groupClient, v int16) {
	t.Helper()
	if v == 0 {
		return
	}
	want := []int64{-1, 11}
	if v < 2 {
		want[1] = -1 // nobody could commit it
	}
	q := kmsg.NewPtrOffsetFetchRequest()
	q.Version, q.Group, q.RequireStable = v, c.group, true
	q.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: "t", Partitions: []int32{0, 1}}}
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group, g.Topics = c.group, []kmsg.OffsetFetchRequestGroupTopic{{Topic: "t", Partitions: []int32{0, 1}}}
	all := kmsg.NewOffsetFetchRequestGroup()
	all.Group = "none"
	q.Groups = append(q.Groups, g, all)
	resp := testkit.Do[*kmsg.OffsetFetchResponse](c.Conn, q)
	var got []int64
	if v < 8 {
		for _, p := range resp.Topics[0].Partitions {
			got = append(got, p.Offset)
		}
	} else {
		for _, p := range resp.Groups[0].Topics[0].Partitions {
			got = append(got, p.Offset)
		}
		if n := resp.Groups[1]; n.Group != "none" || n.ErrorCode != 0 || len(n.Topics) != 0 {
			t.Errorf("all of a group that is not there: %+v", n)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("offsets %v, want %v", got, want)
	}
	if v >= 2 && v < 8 {
		q.Topics = nil
		if resp := testkit.Do[*kmsg.OffsetFetchResponse](c.Conn, q); len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 || resp.Topics[0].Partitions[0].Partition != 1 {
			t.Errorf("everything: %+v", resp)
		}
	}
}

func leaveAt(t *testing.T, c *groupClient, v int16) {
	t.Helper()
	q := kmsg.NewPtrLeaveGroupRequest()
	c.at(q, 5)
	q.Group, q.MemberID = c.group, c.member
	q.Members = []kmsg.LeaveGroupRequestMember{{MemberID: c.member, Reason: kmsg.StringPtr("enough")}, {MemberID: "nobody"}}
	got := testkit.Do[*kmsg.LeaveGroupResponse](c.Conn, q)
	if got.ErrorCode != 0 {
		t.Errorf("leave: %+v", got)
	}
	if v >= 3 && (len(got.Members) != 2 || got.Members[0].MemberID != c.member || got.Members[0].ErrorCode != 0 || kafka.ErrorCode(got.Members[1].ErrorCode) != kafka.UnknownMemberID) {
		t.Errorf("leave: %+v", got.Members)
	}
	if v < 3 {
		if got := testkit.Do[*kmsg.LeaveGroupResponse](c.Conn, q); kafka.ErrorCode(got.ErrorCode) != kafka.UnknownMemberID {
			t.Errorf("leave again: %+v", got)
		}
	}
}

func deleteAt(t *testing.T, c *groupClient, v int16) {
	t.Helper()
	if v >= 2 {
		q := kmsg.NewPtrOffsetDeleteRequest()
		q.Group = c.group
		q.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 1}, {Partition: 7}}}}
		got := testkit.Do[*kmsg.OffsetDeleteResponse](c.Conn, q)
		ps := got.Topics[0].Partitions // the refused ones come first
		if got.ErrorCode != 0 || ps[0].Partition != 7 || kafka.ErrorCode(ps[0].ErrorCode) != kafka.UnknownTopicOrPartition || ps[1].Partition != 1 || ps[1].ErrorCode != 0 {
			t.Errorf("offset delete: %+v", got)
		}
		if at := c.fetched("t", 1); at != -1 {
			t.Errorf("offset %d is still there", at)
		}
	}
	q := kmsg.NewPtrDeleteGroupsRequest()
	c.at(q, 2)
	q.Groups = []string{"none", c.group, c.group}
	got := testkit.Do[*kmsg.DeleteGroupsResponse](c.Conn, q).Groups
	if len(got) != 2 || got[0].Group != "none" || kafka.ErrorCode(got[0].ErrorCode) != kafka.GroupIDNotFound || got[1].Group != c.group || got[1].ErrorCode != 0 {
		t.Errorf("deleted: %+v", got)
	}
}

func TestScenario36CommitsToWhatDoesNotExist(t *testing.T) {
	b := testkit.Start(t)
	c := newMember(t, b, "g")
	c.CreateTopic("t", 1)
	c.CreateTopic("u", 1)
	c.alone()
	q := c.commitRequest("t", 0, 1)
	q.Topics[0].Partitions = append(q.Topics[0].Partitions, kmsg.OffsetCommitRequestTopicPartition{Partition: 9, Offset: 1})
	q.Topics = append(q.Topics, kmsg.OffsetCommitRequestTopic{Topic: "nowhere", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Partition: 0, Offset: 1}}},
		kmsg.OffsetCommitRequestTopic{Topic: "u", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Partition: 0, Offset: 2}}})
	var got []string
	for _, rt := range testkit.Do[*kmsg.OffsetCommitResponse](c.Conn, q).Topics {
		for _, p := range rt.Partitions {
			got = append(got, fmt.Sprintf("%s-%d %v", rt.Topic, p.Partition, kafka.ErrorCode(p.ErrorCode)))
		}
	}
	want := []string{"t-9 UNKNOWN_TOPIC_OR_PARTITION", "t-0 NONE", "nowhere-0 UNKNOWN_TOPIC_OR_PARTITION", "u-0 NONE"}
	if !slices.Equal(got, want) {
		t.Errorf("answered %q, want %q", got, want)
	}
	if c.fetched("t", 0) != 1 || c.fetched("u", 0) != 2 || c.fetched("t", 9) != -1 {
		t.Error("what exists was not committed, or more was")
	}
	// When nothing of it exists the group is not asked, whoever commits.
	q.Topics, q.Generation = q.Topics[1:2], 99
	if got := testkit.Do[*kmsg.OffsetCommitResponse](c.Conn, q); kafka.ErrorCode(got.Topics[0].Partitions[0].ErrorCode) != kafka.UnknownTopicOrPartition {
		t.Errorf("only what does not exist: %+v", got)
	}
}

func TestScenario43AMemberKeepsItsSeatWhenTheBrokerRestarts(t *testing.T) {
	b := testkit.Start(t)
	c := newMember(t, b, "g")
	c.CreateTopic("t", 1)
	c.alone()
	if code := c.commit("t", 0, 5); code != kafka.None {
		t.Fatal(code)
	}
	b.Restart()
	again := newMember(t, b, "g")
	again.member, again.generation = c.member, c.generation
	if code := again.heartbeat(); code != kafka.None {
		t.Errorf("heartbeat after the restart: %v", code)
	}
	if d := describe(again.Conn, "g"); d.State != "Stable" || len(d.Members) != 1 || string(d.Members[0].MemberAssignment) != "all" {
		t.Errorf("after the restart: %+v", d)
	}
	if code := again.commit("t", 0, 6); code != kafka.None || again.fetched("t", 0) != 6 {
		t.Errorf("commit after the restart: %v", code)
	}
}

// Until somebody asks for a coordinator there is no topic for groups to live in.
func TestWithoutAnOffsetsTopicThereIsNoCoordinator(t *testing.T) {
	b := testkit.Start(t)
	c := &groupClient{Conn: testkit.Dial(t, b.Addr()), t: t, group: "g", member: "m", generation: 1, version: -1}
	c.CreateTopic("t", 1)
	wantEverywhere(t, c, kafka.NotCoordinator, kafka.NotCoordinator, kafka.NotCoordinator, kafka.None)
}

// wantEverywhere asks everything that a coordinator answers: most APIs, Heartbeat, SyncGroup and ListGroups have their codes.
func wantEverywhere(t *testing.T, c *groupClient, most, beat, sync, list kafka.ErrorCode) {
	t.Helper()
	check := func(what string, got int16, want kafka.ErrorCode) {
		t.Helper()
		if kafka.ErrorCode(got) != want {
			t.Errorf("%s: %v, want %v", what, kafka.ErrorCode(got), want)
		}
	}
	check("JoinGroup", testkit.Do[*kmsg.JoinGroupResponse](c.Conn, c.joinRequest("m")).ErrorCode, most)
	check("SyncGroup", c.sync(nil).ErrorCode, sync)
	check("Heartbeat", int16(c.heartbeat()), beat)
	leave := kmsg.NewPtrLeaveGroupRequest()
	for _, v := range []int16{0, 5} {
		leave.Version, leave.Group, leave.MemberID = v, c.group, c.member
		check("LeaveGroup", testkit.Do[*kmsg.LeaveGroupResponse](c.Conn, leave).ErrorCode, most)
	}
	check("OffsetCommit", int16(c.commit("t", 0, 1)), most)
	fetch := kmsg.NewPtrOffsetFetchRequest()
	fetch.Group = c.group
	fetch.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: "t", Partitions: []int32{0}}}
	fetch.Groups = []kmsg.OffsetFetchRequestGroup{{Group: c.group}, {Group: "h"}}
	for _, v := range []int16{1, 2, 7, 8, 9} {
		fetch.Version = v
		got := testkit.Do[*kmsg.OffsetFetchResponse](c.Conn, fetch)
		switch {
		case v == 1:
			p := got.Topics[0].Partitions[0]
			check("OffsetFetch v1", p.ErrorCode, most)
			if p.Offset != -1 || p.Metadata == nil || *p.Metadata != "" {
				t.Errorf("OffsetFetch v1: %+v", p)
			}
		case v < 8:
			check("OffsetFetch", got.ErrorCode, most)
		default:
			check("OffsetFetch of the first group", got.Groups[0].ErrorCode, most)
			check("OffsetFetch of the second group", got.Groups[1].ErrorCode, most)
		}
	}
	d := describe(c.Conn, c.group)
	check("DescribeGroups", d.ErrorCode, most)
	if d.State != "" || d.Group != c.group {
		t.Errorf("DescribeGroups: %+v", d)
	}
	check("ListGroups", testkit.Do[*kmsg.ListGroupsResponse](c.Conn, kmsg.NewPtrListGroupsRequest()).ErrorCode, list)
	del := kmsg.NewPtrDeleteGroupsRequest()
	del.Groups = []string{c.group}
	check("DeleteGroups", testkit.Do[*kmsg.DeleteGroupsResponse](c.Conn, del).Groups[0].ErrorCode, most)
	undo := kmsg.NewPtrOffsetDeleteRequest()
	undo.Group, undo.Topics = c.group, []kmsg.OffsetDeleteRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}}}}
	got := testkit.Do[*kmsg.OffsetDeleteResponse](c.Conn, undo)
	check("OffsetDelete", got.ErrorCode, most)
	if len(got.Topics) != 0 {
		t.Errorf("OffsetDelete: %+v", got)
	}
}

// A group without a name is none, where there may be members; offsets may be had without.
func TestGroupsWithoutAName(t *testing.T) {
	b := testkit.Start(t)
	c := newMember(t, b, "")
	c.CreateTopic("t", 1)
	c.member = "m"
	for what, got := range map[string]int16{ // any order: independent
		"JoinGroup":    testkit.Do[*kmsg.JoinGroupResponse](c.Conn, c.joinRequest("m")).ErrorCode,
		"SyncGroup":    c.sync(nil).ErrorCode,
		"Heartbeat":    int16(c.heartbeat()),
		"LeaveGroup":   testkit.Do[*kmsg.LeaveGroupResponse](c.Conn, kmsg.NewPtrLeaveGroupRequest()).ErrorCode,
		"OffsetDelete": testkit.Do[*kmsg.OffsetDeleteResponse](c.Conn, kmsg.NewPtrOffsetDeleteRequest()).ErrorCode,
	} {
		if kafka.ErrorCode(got) != kafka.InvalidGroupID {
			t.Errorf("%s: %v", what, kafka.ErrorCode(got))
		}
	}
	c.member = ""
	if code := c.commit("t", 0, 3); code != kafka.None || c.fetched("t", 0) != 3 {
		t.Errorf("commit: %v", code)
	}
	if d := describe(c.Conn, ""); d.State != "Empty" {
		t.Errorf("described: %+v", d)
	}
}

// What a join carried is not what the next request on the connection wrote into the same buffer.
func TestWhatAMemberSaysOutlivesItsRequest(t *testing.T) {
	b := testkit.Start(t)
	c := newMember(t, b, "g")
	c.getID()
	long := strings.Repeat("subscription ", 40)
	c.joined(testkit.Do[*kmsg.JoinGroupResponse](c.Conn, c.joinRequest(long)))
	assigned := strings.Repeat("assignment ", 40)
	if got := c.sync(map[string]string{c.member: assigned}); got.ErrorCode != 0 {
		t.Fatalf("sync: %+v", got)
	}
	for range 10 { // the same buffer, other bytes
		q := kmsg.NewPtrDescribeGroupsRequest()
		q.Version, q.Groups = 6, []string{strings.Repeat("\xff", 900)}
		testkit.Do[*kmsg.DescribeGroupsResponse](c.Conn, q)
	}
	m := describe(c.Conn, "g").Members[0]
	if string(m.ProtocolMetadata) != long || string(m.MemberAssignment) != assigned {
		t.Errorf("the member's words have changed: %q, %q", m.ProtocolMetadata, m.MemberAssignment)
	}
}

// A few bytes that ask for a group over and over must not become its members as often.
func TestAGroupNamedAgainAndAgainIsAnsweredOnce(t *testing.T) {
	b := testkit.Start(t)
	c := newMember(t, b, "g")
	c.CreateTopic("t", 1)
	c.getID()
	c.joined(testkit.Do[*kmsg.JoinGroupResponse](c.Conn, c.joinRequest(strings.Repeat("x", 100_000))))
	if got := c.sync(nil); got.ErrorCode != 0 {
		t.Fatal(got)
	}
	q := c.commitRequest("t", 0, 1)
	q.Topics[0].Partitions[0].Metadata = kmsg.StringPtr(strings.Repeat("x", 4096))
	if got := testkit.Do[*kmsg.OffsetCommitResponse](c.Conn, q); got.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatal(got)
	}
	const times = 10_000
	before := allocated()
	d := kmsg.NewPtrDescribeGroupsRequest()
	d.Version, d.Groups = 6, slices.Repeat([]string{"g", "none"}, times)
	if got := testkit.Do[*kmsg.DescribeGroupsResponse](c.Conn, d).Groups; len(got) != 2 || got[0].Group != "g" || got[1].Group != "none" {
		t.Errorf("%d groups described", len(got))
	}
	f := kmsg.NewPtrOffsetFetchRequest()
	f.Version, f.Group, f.Topics = 7, "g", []kmsg.OffsetFetchRequestTopic{{Topic: "t", Partitions: make([]int32, times)}, {Topic: "t", Partitions: []int32{0}}}
	if got := testkit.Do[*kmsg.OffsetFetchResponse](c.Conn, f); len(got.Topics[0].Partitions) != 1 || len(got.Topics[1].Partitions) != 0 {
		t.Errorf("%d and %d partitions fetched", len(got.Topics[0].Partitions), len(got.Topics[1].Partitions))
	}
	f.Version = 8
	one, all := kmsg.NewOffsetFetchRequestGroup(), kmsg.NewOffsetFetchRequestGroup()
	one.Group, one.Topics, all.Group = "g", []kmsg.OffsetFetchRequestGroupTopic{{Topic: "t", Partitions: []int32{0}}}, "g"
	f.Groups = slices.Repeat([]kmsg.OffsetFetchRequestGroup{one, all}, times)
	if got := testkit.Do[*kmsg.OffsetFetchResponse](c.Conn, f).Groups; len(got) != 1 || len(got[0].Topics) != 1 || len(got[0].Topics[0].Partitions) != 1 {
		t.Errorf("%d groups fetched", len(got))
	}
	if took := allocated() - before; took > 150<<20 {
		t.Errorf("three questions took %d MiB", took>>20)
	}
}

func TestGroupsOfManyShardsAreAnsweredInTheOrderOfTheRequest(t *testing.T) {
	b := testkit.Start(t)
	c := newMember(t, b, "g")
	c.CreateTopic("t", 1)
	var names []string
	for i := range 60 { // more than there are shards
		c.group = fmt.Sprint("group-", (i*37)%60)
		names = append(names, c.group)
		if code := c.commit("t", 0, int64(i)); code != kafka.None {
			t.Fatalf("commit of %s: %v", c.group, code)
		}
	}
	f := kmsg.NewPtrOffsetFetchRequest()
	f.Version = 8
	for _, name := range names {
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group = name
		f.Groups = append(f.Groups, g)
	}
	for i, g := range testkit.Do[*kmsg.OffsetFetchResponse](c.Conn, f).Groups {
		if g.Group != names[i] || g.Topics[0].Partitions[0].Offset != int64(i) {
			t.Fatalf("offsets of %s at place %d: %+v", names[i], i, g)
		}
	}
	d := kmsg.NewPtrDescribeGroupsRequest()
	d.Version, d.Groups = 6, names
	for i, g := range testkit.Do[*kmsg.DescribeGroupsResponse](c.Conn, d).Groups {
		if g.Group != names[i] || g.State != "Empty" {
			t.Fatalf("description of %s at place %d: %+v", names[i], i, g)
		}
	}
	listed := testkit.Do[*kmsg.ListGroupsResponse](c.Conn, kmsg.NewPtrListGroupsRequest()).Groups
	if len(listed) != 60 || !slices.IsSortedFunc(listed, func(a, b kmsg.ListGroupsResponseGroup) int { return cmp.Compare(a.Group, b.Group) }) {
		t.Errorf("listed: %+v", listed)
	}
	x := kmsg.NewPtrDeleteGroupsRequest()
	x.Version, x.Groups = 2, names
	for i, g := range testkit.Do[*kmsg.DeleteGroupsResponse](c.Conn, x).Groups {
		if g.Group != names[i] || g.ErrorCode != 0 {
			t.Fatalf("deletion of %s at place %d: %+v", names[i], i, g)
		}
	}
	if listed := testkit.Do[*kmsg.ListGroupsResponse](c.Conn, kmsg.NewPtrListGroupsRequest()).Groups; len(listed) != 0 {
		t.Errorf("listed after the deletion: %+v", listed)
	}
}

// metric is one series of /metrics, "" when it is not there.
func metric(t testing.TB, b *testkit.Broker, series string) string {
	t.Helper()
	resp, err := http.Get("http://" + b.AdminAddress() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(body), "\n") {
		if v, ok := strings.CutPrefix(line, series+" "); ok {
			return v
		}
	}
	return ""
}

// awaitMetric asks until a series has the value; the test's own time limit ends it.
func awaitMetric(t testing.TB, b *testkit.Broker, series, want string) {
	t.Helper()
	for {
		if metric(t, b, series) == want {
			return
		}
	}
}

func TestMetricsOfAGroup(t *testing.T) {
	b := testkit.Start(t, "metrics.groups.max=1")
	c := newMember(t, b, "g")
	c.CreateTopic("t", 2)
	for p := range int32(2) {
		if got := c.Produce(9, -1, "t", p, testkit.Batch(testkit.Record{Value: "a"}, testkit.Record{Value: "b"}, testkit.Record{Value: "c"})); got.ErrorCode != 0 {
			t.Fatal(got)
		}
	}
	c.alone()
	if c.commit("t", 0, 1) != kafka.None || c.commit("t", 1, 3) != kafka.None {
		t.Fatal("not committed")
	}
	other := newMember(t, b, "other")
	if other.commit("t", 0, 0) != kafka.None {
		t.Fatal("not committed")
	}
	for series, want := range map[string]string{ // any order: independent
		`barnabas_group_state{group="g",state="Stable"}`:                                 "1",
		`barnabas_group_members{group="g"}`:                                              "1",
		`barnabas_group_generation{group="g"}`:                                           "1",
		`barnabas_group_commits_total{group="g"}`:                                        "2",
		`barnabas_group_commits_total{group="_other"}`:                                   "1",
		`barnabas_group_lag_records{group="g"}`:                                          "2",
		`barnabas_group_lag_records_max{group="g"}`:                                      "2",
		`barnabas_group_lag_records{group="_other"}`:                                     "",
		`barnabas_group_rebalances_total{cause="a member joined",group="g"}`:             "1",
		`barnabas_group_rebalance_phase_seconds_count{group="g",phase="join"}`:           "1",
		`barnabas_group_rebalance_phase_seconds_count{group="g",phase="sync"}`:           "1",
		`barnabas_groups{state="Stable"}`:                                                "1",
		`barnabas_groups{state="Empty"}`:                                                 "1",
		`kafka_server_delayedoperationpurgatory_purgatorysize{delayedoperation="Group"}`: "0",
	} {
		if got := metric(t, b, series); got != want {
			t.Errorf("%s is %q, want %q", series, got, want)
		}
	}
}
