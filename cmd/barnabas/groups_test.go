package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// goldenGroup is golden after member ids, which are made up by client and broker.
func goldenGroup(t *testing.T, name, got string) {
	t.Helper()
	got = regexp.MustCompile(`\b(client-[a-z]+|inst-[0-9])-[0-9a-zA-Z_=-]{20,}`).ReplaceAllString(got, "$1-ID")
	golden(t, name, got)
}

// consumeGroup joins a group and returns when the member owns a partition; it leaves at the end of the test or by stop.
func consumeGroup(t *testing.T, addr, group, client string, more ...kgo.Opt) (stop func()) {
	t.Helper()
	owns := make(chan struct{}, 100)
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(addr), kgo.ConsumerGroup(group), kgo.ConsumeTopics("orders"), kgo.ClientID(client),
		kgo.DisableAutoCommit(), kgo.Balancers(kgo.RangeBalancer()), kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) { owns <- struct{}{} })}, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	select {
	case <-owns:
	case <-time.After(20 * time.Second):
		t.Fatal("the member got no partitions")
	}
	return cl.Close
}

func TestGroupsFromImportToDelete(t *testing.T) {
	addr := newCluster(t, kfake.SeedTopics(3, "orders"), kfake.SeedTopics(1, "payments"))
	for p := range 3 {
		for _, at := range []string{"2026-01-10T00:00:00Z", "2026-01-20T00:00:00Z", "2026-01-31T11:30:00Z"} {
			ok(t, addr, "a\nb\n", "produce", "orders", "-p", string(rune('0'+p)), "-t", at)
		}
	}
	ok(t, addr, "x\n", "produce", "payments")
	csv := filepath.Join(t.TempDir(), "offsets.csv")
	if err := os.WriteFile(csv, []byte("billing,orders,0,2\nbilling,orders,1,6\nbilling,payments,0,99\nshipping,orders,2,0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	golden(t, "groups-import-plan.txt", ok(t, addr, "", "groups", "import", csv))
	equal(t, "[]\n", ok(t, addr, "", "groups", "list", "-o", "json"))
	golden(t, "groups-import.txt", ok(t, addr, "", "groups", "import", csv, "--execute"))
	golden(t, "groups-list.txt", ok(t, addr, "", "groups", "list", "--sort", "lag"))
	golden(t, "groups-list.json", ok(t, addr, "", "groups", "list", "b*", "-o", "json"))
	golden(t, "groups-describe-empty.txt", ok(t, addr, "", "groups", "describe", "--all"))
	golden(t, "groups-lag.json", ok(t, addr, "", "groups", "lag", "--by", "partition", "--min", "1", "-o", "json"))

	equal(t, "orders,0,2\norders,1,6\npayments,0,1\n", ok(t, addr, "", "groups", "export", "billing"))
	equal(t, "billing,orders,1,6\n", ok(t, addr, "", "groups", "export", "billing", "--topic", "orders:1", "--with-group"))
	equal(t, "billing,orders,0,2\nbilling,orders,1,6\nbilling,payments,0,1\nshipping,orders,2,0\n", ok(t, addr, "", "groups", "export", "*"))
	kept := filepath.Join(t.TempDir(), "kept.json")
	ok(t, addr, "", "groups", "export", "billing", "shipping", "-o", "json", "--file", kept)

	for _, c := range []struct{ args, golden string }{
		{"--to-earliest --topic orders", "earliest"},
		{"--to-latest --topic orders:0-1", "latest"},
		{"--to-offset 5 --topic orders:2 --topic payments", "offset"},
		{"--shift-by -1 --all-topics", "shift"},
		{"--to-datetime 2026-01-15T00:00:00 --topic orders", "datetime"},
		{"--by-duration PT1H --topic orders --topic payments", "duration"},
		{"--to-current --topic orders", "current"},
	} {
		golden(t, "groups-reset-"+c.golden+".txt", ok(t, addr, "", append([]string{"groups", "reset-offsets", "billing"}, strings.Fields(c.args)...)...))
	}
	equal(t, "orders,0,2\norders,1,6\npayments,0,1\n", ok(t, addr, "", "groups", "export", "billing")) // none of it was carried out
	golden(t, "groups-reset.json", ok(t, addr, "", "groups", "reset-offsets", "billing", "--shift-by=-1", "--all-topics", "--execute", "-o", "json"))
	equal(t, "orders,0,1\norders,1,5\npayments,0,0\n", ok(t, addr, "", "groups", "export", "billing"))
	ok(t, addr, "", "groups", "reset-offsets", "billing", "--from-file", kept, "--execute")
	equal(t, "orders,0,2\norders,1,6\npayments,0,1\n", ok(t, addr, "", "groups", "export", "billing"))
	ok(t, addr, "orders,0,3\n", "groups", "import", "-", "--group", "new", "--execute")
	refused(t, exitFailed, addr, "", []string{"groups", "reset-offsets", "new", "--shift-by", "1", "--topic", "orders"}, "orders-1: nothing is committed")
	refused(t, exitFailed, addr, "", []string{"groups", "reset-offsets", "new", "--to-latest", "--topic", "nope"}, "no topic nope")
	refused(t, exitFailed, addr, "", []string{"groups", "reset-offsets", "new", "--to-latest", "--topic", "orders:7"}, "orders has no partition 7", "0 to 2")
	refused(t, exitFailed, addr, "", []string{"groups", "reset-offsets", "nobody", "--to-latest", "--all-topics"}, "group nobody has no committed offsets", "--topic")
	refused(t, exitFailed, addr, "nope,0,3\n", []string{"groups", "import", "-", "--group", "new"}, "no partition 0 of topic nope")

	golden(t, "groups-delete-offsets.txt", ok(t, addr, "", "groups", "delete-offsets", "billing", "--topic", "orders:0,2", "--topic", "payments"))
	equal(t, "orders,1,6\n", ok(t, addr, "", "groups", "export", "billing"))
	refused(t, exitFailed, addr, "", []string{"groups", "delete-offsets", "billing", "--topic", "payments"}, "group billing has no committed offsets of payments")
	refused(t, exitFailed, addr, "", []string{"groups", "delete-offsets", "nobody", "--topic", "payments"}, "no group nobody")

	golden(t, "groups-delete-dry.txt", ok(t, addr, "", "groups", "delete", "*i*", "--dry-run"))
	refused(t, exitUsage, addr, "", []string{"groups", "delete", "*i*"}, "this would delete billing, shipping", "--yes")
	golden(t, "groups-delete.json", ok(t, addr, "", "groups", "delete", "*i*", "--yes", "-o", "json"))
	golden(t, "groups-delete-missing.txt", ok(t, addr, "", "groups", "delete", "new", "nobody", "--if-exists"))
	refused(t, exitFailed, addr, "", []string{"groups", "delete", "nobody"}, "no group nobody", "barnabas groups list")
	refused(t, exitFailed, addr, "", []string{"groups", "describe", "nobody", "noone"}, "no groups nobody, noone")
	equal(t, "[]\n", ok(t, addr, "", "groups", "list", "-o", "json"))
}

func TestALiveGroupIsShownAndLeftAlone(t *testing.T) {
	addr := newCluster(t, kfake.SeedTopics(3, "orders"), kfake.GroupMinSessionTimeout(time.Second))
	ok(t, addr, "a\nb\nc\n", "produce", "orders", "-p", "1")
	ok(t, addr, "billing,orders,1,1\n", "groups", "import", "-", "--execute")
	stop := consumeGroup(t, addr, "billing", "client-x")
	goldenGroup(t, "groups-describe.txt", ok(t, addr, "", "groups", "describe", "billing"))
	goldenGroup(t, "groups-describe.json", ok(t, addr, "", "groups", "describe", "billing", "-o", "json"))
	goldenGroup(t, "groups-describe-state.txt", ok(t, addr, "", "groups", "describe", "billing", "--state"))
	refused(t, exitFailed, addr, "", []string{"groups", "reset-offsets", "billing", "--to-earliest", "--all-topics", "--execute"},
		"group billing is Stable with 1 member: its offsets are moved only while nobody uses them", "barnabas groups describe billing --members")
	refused(t, exitFailed, addr, "orders,1,0\n", []string{"groups", "import", "-", "--group", "billing", "--execute"}, "group billing is Stable")
	refused(t, exitFailed, addr, "", []string{"groups", "delete", "billing"}, "billing: NON_EMPTY_GROUP", "stop its consumers")
	refused(t, exitFailed, addr, "", []string{"groups", "migrate", "billing", "--from", addr, "--to", addr}, "in the cluster it leaves is Stable")
	refused(t, exitFailed, addr, "", []string{"groups", "remove-members", "billing", "--member", "nobody"}, "no member with id nobody", "describe billing --members")
	refused(t, exitUsage, addr, "", []string{"groups", "remove-members", "billing", "--all"}, "this would remove all 1 members of billing", "--yes")
	equal(t, "orders,1,1\n", ok(t, addr, "", "groups", "export", "billing"))
	stop()
	equal(t, "GROUP    STATE  TYPE     PROTOCOL  MEMBERS  LAG  COORDINATOR\nbilling  Empty  classic  consumer        0    2            0\n", ok(t, addr, "", "groups", "list"))
	ok(t, addr, "", "groups", "reset-offsets", "billing", "--to-earliest", "--all-topics", "--execute")
	equal(t, "orders,1,0\n", ok(t, addr, "", "groups", "export", "billing"))
}

func TestAStaticMemberIsRemoved(t *testing.T) {
	addr := newCluster(t, kfake.SeedTopics(3, "orders"))
	stop := consumeGroup(t, addr, "billing", "client-y", kgo.InstanceID("inst-7"), kgo.SessionTimeout(30*time.Second))
	stop() // a static member says nothing when it goes
	goldenGroup(t, "groups-remove-dry.txt", ok(t, addr, "", "groups", "remove-members", "billing", "--all", "--dry-run"))
	goldenGroup(t, "groups-remove.json", ok(t, addr, "", "groups", "remove-members", "billing", "--instance", "inst-7", "--reason", "scaled down", "-o", "json"))
	equal(t, "no members\n", ok(t, addr, "", "groups", "remove-members", "billing", "--all", "--yes"))
	refused(t, exitFailed, addr, "", []string{"groups", "remove-members", "billing", "--instance", "inst-7"}, "no member with instance inst-7")
}

// Names of groups, members and clients are anybody's: none may move the cursor, forge a row, or be lost on the way through a file.
func TestHostileNamesDoNotReachTheTerminal(t *testing.T) {
	addr := newCluster(t, kfake.SeedTopics(1, "orders"))
	ok(t, addr, "x\n", "produce", "orders")
	names := []string{"a\x1b[2Jb", "two\nlines", "tab\there", "back\bspace", "bidi\u202etxt", "comma, \"quote\"", "*", " blank ", "日本", "\u009b31m", "tag\U000e0041", "\ufeffbom", "del\x7f"}
	var file strings.Builder
	file.WriteString("[")
	for i, n := range names {
		if i > 0 {
			file.WriteString(",")
		}
		file.WriteString(`{"group":` + jsonText(t, n) + `,"offsets":[{"topic":"orders","partition":0,"offset":0,"metadata":` + jsonText(t, n) + `}]}`)
	}
	file.WriteString("]")
	ok(t, addr, file.String(), "groups", "import", "-", "--execute")
	for _, args := range []string{"list", "describe --all", "lag", "lag --watch --rounds 1", "delete * --regex --dry-run", "describe nope\x1b[2J\n",
		"describe --all -o json", "lag --watch --rounds 1 -o json", "list -o yaml", "export * --regex -o yaml"} {
		r := invoke(t, addr, "", append([]string{"groups"}, strings.Split(strings.ReplaceAll(args, "* --regex", ".* --regex"), " ")...)...)
		for i, c := range r.out + r.err {
			if c < ' ' && c != '\n' || c >= 0x7f && c <= 0x9f || c == 0x202e {
				t.Errorf("%s: %U at %d in %q", args, c, i, r.out+r.err)
			}
		}
		if strings.Contains(r.out, "\nlines") {
			t.Errorf("%s: a name makes a line of its own:\n%s", args, r.out)
		}
	}
	for _, form := range []string{"json", "yaml"} {
		text := ok(t, addr, "", "groups", "export", "--regex", "(?s).*", "-o", form)
		ok(t, addr, text, "groups", "import", "-", "--execute")
		equal(t, text, ok(t, addr, "", "groups", "export", "--regex", "(?s).*", "-o", form))
		equal(t, len(names), strings.Count(text, "offset: 0")+strings.Count(text, `"offset": 0`))
	}
	csv := ok(t, addr, "", "groups", "export", "--regex", "(?s).*")
	ok(t, addr, "", "groups", "delete", "--regex", "(?s).*", "--yes")
	ok(t, addr, csv, "groups", "import", "-", "--execute")
	equal(t, csv, ok(t, addr, "", "groups", "export", "--regex", "(?s).*"))
	equal(t, len(names), len(decode[[]groupRow](t, ok(t, addr, "", "groups", "list", "-o", "json"))))
	equal(t, "GROUP  STATUS\n*      deleted\n", ok(t, addr, "", "groups", "delete", "*", "--yes")) // the group of that name, not all of them
}

func TestATroubledCoordinator(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	addr := c.ListenAddrs()[0]
	ok(t, addr, "billing,orders,0,0\n", "groups", "import", "-", "--execute")
	answer := func(key kmsg.Key, make func(kmsg.Request) kmsg.Response) {
		c.ControlKey(int16(key), func(req kmsg.Request) (kmsg.Response, error, bool) { return make(req), nil, true })
	}
	answer(kmsg.OffsetCommit, func(req kmsg.Request) kmsg.Response { // a member has joined since the group was looked at
		resp := req.ResponseKind().(*kmsg.OffsetCommitResponse)
		for _, rt := range req.(*kmsg.OffsetCommitRequest).Topics {
			st := kmsg.NewOffsetCommitResponseTopic()
			st.Topic, st.TopicID = rt.Topic, rt.TopicID
			for _, rp := range rt.Partitions {
				sp := kmsg.NewOffsetCommitResponseTopicPartition()
				sp.Partition, sp.ErrorCode = rp.Partition, kerr.UnknownMemberID.Code
				st.Partitions = append(st.Partitions, sp)
			}
			resp.Topics = append(resp.Topics, st)
		}
		return resp
	})
	refused(t, exitFailed, addr, "", []string{"groups", "reset-offsets", "billing", "--all-topics", "--to-latest", "--execute"},
		"billing, orders-0: UNKNOWN_MEMBER_ID", "a consumer has joined in between", "barnabas groups describe billing --members")
	answer(kmsg.OffsetDelete, func(req kmsg.Request) kmsg.Response {
		resp := req.ResponseKind().(*kmsg.OffsetDeleteResponse)
		resp.ErrorCode = kerr.NonEmptyGroup.Code
		return resp
	})
	refused(t, exitFailed, addr, "", []string{"groups", "delete-offsets", "billing", "--all-topics"}, "deleting offsets of group billing: NON_EMPTY_GROUP", "stop its consumers")
	answer(kmsg.ListGroups, func(req kmsg.Request) kmsg.Response {
		resp := req.ResponseKind().(*kmsg.ListGroupsResponse)
		resp.ErrorCode = kerr.GroupAuthorizationFailed.Code
		return resp
	})
	refused(t, exitFailed, addr, "", []string{"groups", "list"}, "listing the groups of broker 0: GROUP_AUTHORIZATION_FAILED", "ask for the rights")
	equal(t, "billing,orders,0,0\n", ok(t, addr, "", "groups", "export", "billing", "--with-group"))
}

// Brokers of 2019 list neither states nor types and describe no missing groups; everything else works.
func TestAnOldKafka(t *testing.T) {
	addr := newCluster(t, kfake.SeedTopics(2, "orders"), kfake.MaxVersions(kversion.V2_4_0()))
	ok(t, addr, "a\nb\n", "produce", "orders", "-p", "1")
	ok(t, addr, "billing,orders,1,1\n", "groups", "import", "-", "--execute")
	equal(t, "GROUP    STATE  TYPE  PROTOCOL  MEMBERS  LAG  COORDINATOR\nbilling  Empty  -     -               0    1            0\n", ok(t, addr, "", "groups", "list", "--state", "empty"))
	equal(t, "[]\n", ok(t, addr, "", "groups", "list", "--state", "stable", "-o", "json"))
	stop := consumeGroup(t, addr, "live", "client-z", kgo.InstanceID("inst-1"))
	refused(t, exitFailed, addr, "", []string{"groups", "reset-offsets", "live", "--topic", "orders", "--to-latest"}, "group live is Stable with 1 member")
	stop()
	ok(t, addr, "", "groups", "remove-members", "live", "--instance", "inst-1")
	ok(t, addr, "", "groups", "reset-offsets", "live", "--topic", "orders", "--to-latest", "--execute")
	equal(t, "live,orders,0,0\nlive,orders,1,2\n", ok(t, addr, "", "groups", "export", "live", "--with-group"))
	ok(t, addr, "", "groups", "delete-offsets", "live", "--topic", "orders:1")
	refused(t, exitFailed, addr, "", []string{"groups", "describe", "nobody"}, "no group nobody")
	ok(t, addr, "", "groups", "delete", "live", "billing")
}

// More partitions than one commit carries.
func TestALargeImport(t *testing.T) {
	addr := newCluster(t, kfake.SeedTopics(2*commitBatch+1, "wide"))
	var csv strings.Builder
	for p := range 2*commitBatch + 1 {
		fmt.Fprintf(&csv, "wide,%d,0\n", p)
	}
	ok(t, addr, csv.String(), "groups", "import", "-", "--group", "billing", "--execute")
	equal(t, csv.String(), ok(t, addr, "", "groups", "export", "billing"))
}

func jsonText(t *testing.T, s string) string {
	t.Helper()
	var b strings.Builder
	a := newApp(strings.NewReader(""), &b, io.Discard, func(string) string { return "" })
	a.output = "json"
	if err := a.emit(s, nil); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(b.String())
}

func TestGroupsRefuseNonsense(t *testing.T) {
	addr := newCluster(t, kfake.SeedTopics(1, "t"))
	for _, c := range []struct{ args, say string }{
		{"groups lst", `has no command "lst"`},
		{"groups list --state Bored", "there is no such state"},
		{"groups list --type new", "there is no such type"},
		{"groups list --sort colour", "is not a column"},
		{"groups list [", "is not a pattern"},
		{"groups list ( --regex", "is not a regular expression"},
		{"groups describe", "name groups, or pass --all"},
		{"groups describe g --all", "name groups, or pass --all"},
		{"groups lag --by colour", "is not a grouping"},
		{"groups lag --interval 1s", "belong to --watch"},
		{"groups lag --watch --interval 1ms", "is too short"},
		{"groups lag --watch -o yaml", "no YAML"},
		{"groups reset-offsets", "needs the name of a group"},
		{"groups reset-offsets g --topic t", "where to?"},
		{"groups reset-offsets g --topic t --to-latest --to-earliest", "--to-earliest and --to-latest exclude each other"},
		{"groups reset-offsets g --to-latest", "which partitions?"},
		{"groups reset-offsets g --to-latest --topic t --all-topics", "which partitions?"},
		{"groups reset-offsets g --to-latest --topic t:", "not a topic"},
		{"groups reset-offsets g --to-latest --topic t:x", "neither a number nor a range"},
		{"groups reset-offsets g --to-offset -1 --topic t", "offsets begin at 0"},
		{"groups reset-offsets g --to-datetime noon --topic t", `"noon" is not a time`},
		{"groups reset-offsets g --by-duration soon --topic t", `"soon" is not a duration`},
		{"groups reset-offsets g --to-latest --topic t --execute --dry-run", "exclude each other"},
		{"groups reset-offsets g --from-file x --topic t", "names its partitions itself"},
		{"groups import", "needs a file"},
		{"groups delete-offsets g", "which partitions?"},
		{"groups remove-members g", "which members?"},
		{"groups remove-members g --all --member x", "which members?"},
		{"groups migrate g --from x:1", "from where to where?"},
	} {
		refused(t, exitUsage, addr, "", strings.Fields(c.args), c.say)
	}
}

func TestGroupCompletion(t *testing.T) {
	addr := newCluster(t, kfake.SeedTopics(1, "orders"))
	ok(t, addr, "billing,orders,0,0\nbidding,orders,0,0\nx,orders,0,0\n\"bad\x1bname\",orders,0,0\n", "groups", "import", "-", "--execute")
	for _, c := range []struct{ args, want string }{
		{"groups describe b", "bidding\nbilling\n:4\n"},
		{"groups describe billing b", "bidding\n:4\n"},
		{"groups delete-offsets billing b", ":4\n"},
		{"groups reset-offsets x --topic o", "orders\n:4\n"},
		{"groups lag --by ", "group\ntopic\npartition\n:4\n"},
		{"groups import f --group x", "x\n:4\n"},
	} {
		equal(t, c.want, invoke(t, addr, "", append([]string{"__complete"}, strings.Split(c.args, " ")...)...).out)
	}
}

// The old cluster has two records more at the front of each partition than its copy, as when mirroring began late.
func TestMigrateToACopy(t *testing.T) {
	from, to := newCluster(t, kfake.SeedTopics(3, "orders")), newCluster(t, kfake.SeedTopics(3, "orders"))
	write := func(addr, partition string, times ...string) {
		for _, at := range times {
			ok(t, addr, "r\n", "produce", "orders", "-p", partition, "-t", "2026-01-31T10:00:"+at+"Z")
		}
	}
	write(from, "0", "00", "01", "10", "11", "12", "13")
	write(to, "0", "10", "11", "12", "13")
	write(from, "1", "00", "01", "10", "30", "20", "40") // the fourth record is late: its follower is older
	write(to, "1", "10", "30", "20", "40")
	write(from, "2", "00", "01", "10")
	write(to, "2", "10")
	migrate := func(more ...string) []string {
		return append([]string{"groups", "migrate", "billing", "--from", from, "--to", to}, more...)
	}
	refused(t, exitFailed, from, "", migrate(), "no group billing in the cluster it is to leave")
	ok(t, from, "billing,orders,0,4\nbilling,orders,1,4\nbilling,orders,2,3\n", "groups", "import", "-", "--execute")
	golden(t, "groups-migrate-plan.txt", ok(t, "", "", migrate()...))
	equal(t, "[]\n", ok(t, to, "", "groups", "list", "-o", "json"))
	refused(t, exitFailed, "", "", migrate("--topic", "orders:1", "--topic", "payments"), "group billing has no committed offsets of payments")
	golden(t, "groups-migrate.json", ok(t, "", "", migrate("--execute", "-o", "json")...))
	equal(t, "orders,0,2\norders,1,1\norders,2,0\n", ok(t, to, "", "groups", "export", "billing"))
	refused(t, exitFailed, "", "", migrate("--execute"), "already has offset 2 of orders-0", "--overwrite")
	ok(t, "", "", migrate("--execute", "--overwrite", "--topic", "orders:1")...)

	write(from, "0", "50", "51")
	ok(t, from, "", "groups", "reset-offsets", "billing", "--topic", "orders:0", "--to-offset", "6", "--execute")
	golden(t, "groups-migrate-behind.txt", func() string {
		r := invoke(t, "", "", migrate("--overwrite", "--execute")...)
		if r.code != exitFailed || !strings.Contains(r.err, "nothing was changed: orders-0: the copy has no record at or after 2026-01-31T10:00:50.000Z") {
			t.Errorf("exit %d: %s", r.code, r.err)
		}
		return r.out
	}())
	equal(t, "orders,0,2\norders,1,1\norders,2,0\n", ok(t, to, "", "groups", "export", "billing"))

	ok(t, to, "", "config", "alter", "topic", "orders", "--set", "message.timestamp.type=LogAppendTime")
	refused(t, exitFailed, "", "", migrate("--overwrite", "--topic", "orders:1"), "message.timestamp.type is LogAppendTime in the cluster it goes to", "by hand")
	ok(t, to, "", "topics", "delete", "orders")
	refused(t, exitFailed, "", "", migrate("--overwrite"), "3 of 3 partitions are refused", "has no such partition")
	refused(t, exitUnreachable, "", "", []string{"groups", "migrate", "billing", "--from", from, "--to", "127.0.0.1:1"}, "--to: nothing listens on 127.0.0.1:1")
}

// A consumer commits between the plan and the end of the reading.
func TestMigrateNoticesThatTheGroupIsUsed(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	from, to := c.ListenAddrs()[0], newCluster(t, kfake.SeedTopics(1, "orders"))
	for _, addr := range []string{from, to} {
		ok(t, addr, "a\nb\nc\n", "produce", "orders", "-t", "2026-01-31T10:00:00Z")
	}
	ok(t, from, "billing,orders,0,1\n", "groups", "import", "-", "--execute")
	used := make(chan result, 1)
	c.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.SleepControl(func() { used <- invoke(t, from, "billing,orders,0,2\n", "groups", "import", "-", "--execute") })
		return nil, nil, false
	})
	refused(t, exitFailed, "", "", []string{"groups", "migrate", "billing", "--from", from, "--to", to, "--execute"}, "the offset of orders-0 has moved meanwhile", "stop its consumers")
	if r := <-used; r.code != 0 {
		t.Errorf("the commit in between: %+v", r)
	}
	equal(t, "[]\n", ok(t, to, "", "groups", "list", "-o", "json"))
}

func TestWatchInPlainLines(t *testing.T) {
	addr := newCluster(t, kfake.SeedTopics(1, "orders"))
	ok(t, addr, "x\ny\n", "produce", "orders")
	ok(t, addr, "billing,orders,0,0\n", "groups", "import", "-", "--execute")
	equal(t, "2026-01-31T12:00:00.000Z group=billing state=Empty topic=orders lag=2\n", ok(t, addr, "", "groups", "lag", "--watch", "--rounds", "1"))
	refused(t, exitFailed, addr, "", []string{"groups", "lag", "biling", "--watch"}, "no group biling")
	row := decode[lagRow](t, ok(t, addr, "", "groups", "lag", "--watch", "--rounds", "1", "-o", "json", "--by", "partition"))
	if row.At != "2026-01-31T12:00:00.000Z" || *row.Lag != 2 || *row.Partition != 0 {
		t.Errorf("%+v", row)
	}
}

// The live screen is a value that messages change; no terminal is needed to see what it does.
func TestTheLiveScreen(t *testing.T) {
	at := func(n int64) *int64 { return &n }
	var asked []string
	m := tea.Model(lagScreen{by: "topic", interval: time.Second, say: func(err error) string { return err.Error() },
		read: func(by string) tea.Cmd { asked = append(asked, by); return nil }})
	screen := func() string { return m.(lagScreen).text() }
	send := func(msg tea.Msg) tea.Cmd {
		var cmd tea.Cmd
		m, cmd = m.Update(msg)
		return cmd
	}
	key := func(k rune) tea.Cmd { return send(tea.KeyPressMsg{Code: k, Text: string(k)}) }
	m.Init()
	send(tea.WindowSizeMsg{Width: 40, Height: 7})
	equal(t, "lag: asking the cluster ...\n", screen())
	rows := []lagRow{}
	for i, name := range []string{"a", "b\x1b[2J", "c", "d", "e"} {
		rows = append(rows, lagRow{Group: name, State: "Stable", Topic: "t", Partitions: 1, Lag: at(int64(10 * i))})
	}
	send(lagMsg{lagRound{at: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC), rows: rows}, "topic"})
	golden(t, "groups-live.txt", screen())
	send(tea.KeyPressMsg{Code: tea.KeyDown})
	if s := screen(); !strings.Contains(s, "rows 2-4 of 5") {
		t.Errorf("after one down:\n%s", s)
	}
	send(tea.KeyPressMsg{Code: tea.KeyEnd})
	send(tea.KeyPressMsg{Code: tea.KeyDown})
	if s := screen(); !strings.Contains(s, "rows 3-5 of 5") {
		t.Errorf("at the end:\n%s", s)
	}
	send(tea.KeyPressMsg{Code: tea.KeyHome})
	key('s')
	if s := screen(); strings.Index(s, "\na ") > strings.Index(s, "\nc ") {
		t.Errorf("by name:\n%s", s)
	}
	send(lagMsg{lagRound{err: errors.New("no broker")}, "topic"})
	if s := screen(); !strings.Contains(s, "no broker; trying again") || !strings.Contains(s, "\na ") {
		t.Errorf("a round that fails:\n%s", s)
	}
	key('g')
	send(lagTick{})
	send(lagMsg{lagRound{}, "topic"}) // out of date: asked for before
	equal(t, []string{"topic", "partition", "partition"}, asked)
	if cmd := key('q'); cmd == nil || cmd() != tea.Quit() {
		t.Error("q does not end it")
	}
	if err := m.(lagScreen).round.err; err != nil {
		t.Errorf("leaving is an error: %v", err)
	}
}
