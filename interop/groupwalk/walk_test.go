package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/barnabas-mq/barnabas/interop/rig"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A walk is its seed: whoever repeats it must meet the same steps.
func TestAWalkIsItsSeed(t *testing.T) {
	for name, m := range modes {
		seen := map[string]bool{}
		for seed := range uint64(50) {
			a, b := generate(m, seed), generate(m, seed)
			if diff := cmp.Diff(a.steps, b.steps, cmp.AllowUnexported(step{})); diff != "" {
				t.Fatalf("%s, seed %d: %s", name, seed, diff)
			}
			var text strings.Builder
			for _, s := range a.steps {
				text.WriteString(s.String() + "\n")
			}
			seen[text.String()] = true
		}
		if len(seen) < 6 || name == "plain" && len(seen) < 50 {
			t.Errorf("%s: 50 seeds make %d walks", name, len(seen))
		}
	}
}

// Every kind of request, and every version of those that have some, must come up, or a promise of the package's doc is empty.
func TestWalksAskForEverything(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(2000) {
		for _, s := range generate(modes["plain"], seed).steps {
			seen[s.do] = true
			switch s.do {
			case "join", "sync", "heartbeat", "leave", "commit", "fetch", "describe", "list", "delete-groups", "find":
				seen[s.do+" v"+string(rune('0'+s.v))] = true
			}
		}
	}
	for do, versions := range map[string][2]int{"join": {0, 9}, "sync": {0, 5}, "heartbeat": {0, 4}, "leave": {0, 5}, "commit": {2, 9}, "fetch": {1, 9},
		"describe": {0, 6}, "list": {0, 5}, "delete-groups": {0, 2}, "find": {0, 5}} {
		for v := versions[0]; v <= versions[1]; v++ {
			if what := do + " v" + string(rune('0'+v)); !seen[what] {
				t.Errorf("no walk of 2,000 has a %s", what)
			}
		}
	}
	for _, do := range []string{"next", "delete-offsets", "drop", "create", "grow", "delete-topic"} {
		if !seen[do] {
			t.Errorf("no walk of 2,000 has a %s", do)
		}
	}
}

func TestStepsAreReadAsTheyAreWritten(t *testing.T) {
	for _, keep := range [][]int{{0}, {0, 1, 2}, {0, 2, 3, 7}, {5, 6, 9}} {
		got, err := parseSteps(formatSteps(keep), 10)
		if err != nil || !slices.Equal(got, keep) {
			t.Errorf("%v came back as %v, %v", keep, got, err)
		}
	}
	for _, wrong := range []string{"x", "3-1", "0,10", "-1"} {
		if _, err := parseSteps(wrong, 10); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}

// witness is a player who knows one member.
func witness(id string) *player {
	p := &player{walk: &walk{mode: "plain", groups: 2}, nonce: "n", broker: &rig.Broker{Addr: "127.0.0.1:9"}, named: map[string]string{}}
	j := kmsg.NewPtrJoinGroupResponse()
	j.MemberID = id
	p.rename([]*call{{seat: &seat{}, answer: j, req: kmsg.NewPtrJoinGroupRequest()}})
	return p
}

const (
	idA = "client-a-11111111-2222-3333-4444-555555555555"
	idB = "client-a-66666666-7777-8888-9999-000000000000"
)

func joinAnswer(id string, change func(*kmsg.JoinGroupResponse)) *kmsg.JoinGroupResponse {
	a := kmsg.NewPtrJoinGroupResponse()
	a.Generation, a.LeaderID, a.MemberID, a.Protocol, a.ProtocolType = 3, id, id, kmsg.StringPtr("range"), kmsg.StringPtr("consumer")
	for _, member := range []string{id, "client-b-12345678-2222-3333-4444-555555555555"} {
		m := kmsg.NewJoinGroupResponseMember()
		m.MemberID, m.ProtocolMetadata = member, []byte("of "+member[:8])
		a.Members = append(a.Members, m)
	}
	if change != nil {
		change(a)
	}
	return a
}

// The comparison is worth what it notices: each kind of difference once, and ids, throttle and orders of chance not at all.
func TestCompareNotices(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*kmsg.JoinGroupResponse)
		want   []string
	}{
		"nothing but the ids":               {},
		"throttle is not compared":          {change: func(a *kmsg.JoinGroupResponse) { a.ThrottleMillis = 7 }},
		"the order of members is by chance": {change: func(a *kmsg.JoinGroupResponse) { slices.Reverse(a.Members) }},
		"an error code":                     {change: func(a *kmsg.JoinGroupResponse) { a.ErrorCode = 27 }, want: []string{"ErrorCode: NONE -> REBALANCE_IN_PROGRESS"}},
		"a generation":                      {change: func(a *kmsg.JoinGroupResponse) { a.Generation = 4 }, want: []string{"Generation: 3 -> 4"}},
		"a leader": {change: func(a *kmsg.JoinGroupResponse) { a.LeaderID = a.Members[1].MemberID },
			want: []string{`LeaderID: "a1" -> "client-b-UUID"`}},
		"metadata": {change: func(a *kmsg.JoinGroupResponse) { a.Members[0].ProtocolMetadata = nil },
			want: []string{`Members[0].ProtocolMetadata: "of client-a" -> ""`}},
		"null and empty": {change: func(a *kmsg.JoinGroupResponse) { a.Protocol = kmsg.StringPtr("") }, want: []string{`Protocol: "range" -> ""`}},
		"a member less": {change: func(a *kmsg.JoinGroupResponse) { a.Members = a.Members[:1] }, want: []string{"Members: 2 of them -> 1 of them",
			`Members[1].MemberID: "client-b-UUID" -> (absent)`, "Members[1].InstanceID: null -> (absent)", `Members[1].ProtocolMetadata: "of client-b" -> (absent)`}},
	} {
		t.Run(name, func(t *testing.T) {
			req := kmsg.NewPtrJoinGroupRequest()
			a := entry{what: "join", fields: witness(idA).render(req, joinAnswer(idA, nil))}
			b := entry{what: "join", fields: witness(idB).render(req, joinAnswer(idB, tc.change))}
			var got []string
			compareFields(a, b, func(d *difference) {
				got = append(got, d.path+": "+d.a+" -> "+d.b)
			})
			slices.Sort(got)
			slices.Sort(tc.want)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// A wrong error code in any answer of the group coordinator must show.
func TestAPlantedErrorShows(t *testing.T) {
	leave := kmsg.NewPtrLeaveGroupResponse()
	leave.Members = append(leave.Members, kmsg.NewLeaveGroupResponseMember())
	commit := kmsg.NewPtrOffsetCommitResponse()
	ct := kmsg.NewOffsetCommitResponseTopic()
	ct.Partitions = append(ct.Partitions, kmsg.NewOffsetCommitResponseTopicPartition())
	commit.Topics = append(commit.Topics, ct)
	describe := kmsg.NewPtrDescribeGroupsResponse()
	describe.Groups = append(describe.Groups, kmsg.NewDescribeGroupsResponseGroup())
	remove := kmsg.NewPtrDeleteGroupsResponse()
	remove.Groups = append(remove.Groups, kmsg.NewDeleteGroupsResponseGroup())
	for _, answer := range []kmsg.Response{joinAnswer(idA, nil), kmsg.NewPtrSyncGroupResponse(), kmsg.NewPtrHeartbeatResponse(), leave, commit,
		kmsg.NewPtrOffsetFetchResponse(), kmsg.NewPtrOffsetDeleteResponse(), describe, kmsg.NewPtrListGroupsResponse(), remove, kmsg.NewPtrFindCoordinatorResponse()} {
		name := kmsg.NameForKey(answer.Key())
		req := answer.RequestKind()
		a := entry{fields: witness(idA).render(req, answer)}
		planted("ApiVersions")(answer)
		same := entry{fields: witness(idA).render(req, answer)}
		planted(name)(answer)
		b := entry{fields: witness(idA).render(req, answer)}
		count := func(x, y entry) (n int) {
			compareFields(x, y, func(d *difference) { n++ })
			return n
		}
		if count(a, same) != 0 || count(a, b) != 1 {
			t.Errorf("%s: %d differences without a planted error, %d with one", name, count(a, same), count(a, b))
		}
	}
}

// What only one broker has answered is a difference, and so is a group in another state.
func TestAViewIsCompared(t *testing.T) {
	views := func() [2]view {
		v := view{answers: []entry{{what: "a Heartbeat v4 (call 1)", api: "Heartbeat", fields: []field{{"ErrorCode", "NONE"}}}},
			groups: []entry{{what: "group g0", api: "group", fields: []field{{"State", `"Stable"`}}}}}
		return [2]view{v, {answers: slices.Clone(v.answers), groups: []entry{{what: "group g0", api: "group", fields: []field{{"State", `"Stable"`}}}}}}
	}
	l := &lockstep{}
	if v := l.compare(views()); v.diff != nil {
		t.Errorf("equal views differ: %s", v.diff)
	}
	late := views()
	late[1].answers = nil
	if v := l.compare(late); v.diff == nil || v.diff.path != "answered" || v.diff.b != "not answered" {
		t.Errorf("an answer that is missing: %v", v.diff)
	}
	other := views()
	other[1].groups[0].fields[0].value = `"Empty"`
	if v := l.compare(other); v.diff == nil || v.diff.a != `"Stable"` || v.diff.b != `"Empty"` {
		t.Errorf("another state: %v", v.diff)
	}
	l.table = []*explanation{{api: "group", path: "State", a: "*", b: "*", when: "Heartbeat NONE", ends: true}}
	if v := l.compare(other); v.diff != nil || !v.ends {
		t.Errorf("an explanation with its condition met: %+v", v)
	}
	l.table[0].when = "Heartbeat REBALANCE_IN_PROGRESS"
	if v := l.compare(other); v.diff == nil {
		t.Error("an explanation counts although its condition is not met")
	}
}

func TestReadExplained(t *testing.T) {
	if _, err := readExplained("explained.txt"); err != nil {
		t.Error(err)
	}
	path := filepath.Join(t.TempDir(), "explained.txt")
	for text, ok := range map[string]bool{
		"# words\n\nJoinGroup | Code = 1 -> 2 | * | why":         true,
		"JoinGroup | Code = 1 -> 2 | LeaveGroup NONE; end | why": true,
		"JoinGroup | Code = 1 -> 2 | *; stop | why":              false,
		"JoinGroup | Code = 1 | * | why":                         false,
		"JoinGroup | Code = 1 -> 2 | *":                          false,
		"JoinGroup | Code = 1 -> 2 | * | ":                       false,
	} {
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if table, err := readExplained(path); (err == nil) != ok || ok && len(table) != 1 {
			t.Errorf("%q: %d lines, %v", text, len(table), err)
		}
	}
}
