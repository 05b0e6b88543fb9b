package main

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestTopicsFromCreateToDelete(t *testing.T) {
	addr := newCluster(t, kfake.NumBrokers(3))
	ok(t, addr, "", "topics", "create", "plain", "-p", "2", "-r", "1")
	golden(t, "topics-create.txt", ok(t, addr, "", "topics", "create", "orders", "invoices", "-p", "3", "-r", "2", "-c", "retention.ms=3600000", "-c", "cleanup.policy=compact"))
	golden(t, "topics-create-assigned.json", ok(t, addr, "", "topics", "create", "placed", "--replica-assignment", "1:2,2:0", "-c", "retention.ms=3600000", "-o", "json"))
	refused(t, exitFailed, addr, "", []string{"topics", "create", "orders"}, "orders: TOPIC_ALREADY_EXISTS", "--if-not-exists")
	golden(t, "topics-create-exists.txt", ok(t, addr, "", "topics", "create", "orders", "--if-not-exists"))
	ok(t, addr, "", "topics", "create", "phantom", "--dry-run", "-r", "1")
	golden(t, "topics-list.txt", ok(t, addr, "", "topics", "list"))
	golden(t, "topics-list.yaml", ok(t, addr, "", "topics", "list", "-o", "yaml", "o*", "placed"))
	equal(t, "NAME      PARTITIONS  REPLICAS\ninvoices           3         2\norders             3         2\n",
		ok(t, addr, "", "topics", "list", "--regex", "orders|inv.*"))

	golden(t, "topics-alter.txt", ok(t, addr, "", "topics", "alter", "orders", "--config", "retention.ms=1000", "--delete-config", "cleanup.policy", "-p", "4"))
	golden(t, "topics-configs.txt", ok(t, addr, "", "topics", "configs", "orders"))
	ok(t, addr, "", "topics", "add-partitions", "orders", "--add", "2")
	golden(t, "topics-add-partitions.json", ok(t, addr, "", "topics", "partitions", "orders", "plain", "--total", "8", "-o", "json"))
	refused(t, exitFailed, addr, "", []string{"topics", "add-partitions", "orders", "--total", "2"}, "orders: INVALID_PARTITIONS", "never removed")

	golden(t, "topics-delete-dry.txt", ok(t, addr, "", "topics", "delete", "p*", "--dry-run"))
	refused(t, exitUsage, addr, "", []string{"topics", "delete", "p*"}, "this would delete placed, plain", "--yes")
	golden(t, "topics-delete.txt", ok(t, addr, "", "topics", "delete", "p*", "--yes"))
	golden(t, "topics-delete-missing.txt", ok(t, addr, "", "topics", "delete", "orders", "nope", "--if-exists"))
	refused(t, exitFailed, addr, "", []string{"topics", "delete", "nope"}, "no topic nope", "barnabas topics list")
	refused(t, exitFailed, addr, "", []string{"topics", "describe", "nope*"}, "no topic nope*")
	equal(t, "NAME      PARTITIONS  REPLICAS\ninvoices           3         2\n", ok(t, addr, "", "topics", "list"))
	for _, args := range []string{"topics list z*", "topics delete z* --if-exists", "topics delete nothing --if-exists --dry-run"} {
		equal(t, "[]\n", ok(t, addr, "", append(strings.Fields(args), "-o", "json")...))
	}
}

func TestDescribeShowsPartitionsAndSettings(t *testing.T) {
	addr := newCluster(t, kfake.SeedTopics(1, "other")) // one broker: the peer places replicas by chance
	ok(t, addr, "", "topics", "create", "placed", "-p", "2", "-c", "retention.ms=3600000")
	ok(t, addr, "k1:a\nk2:b\nk3:c\nk4:d\nk5:e\n", "produce", "placed", "-K", ":", "--timestamp", "2026-01-31T00:00:00Z")
	golden(t, "topics-describe.txt", ok(t, addr, "", "topics", "describe", "placed"))
	golden(t, "topics-describe.json", ok(t, addr, "", "topics", "describe", "placed", "-o", "json", "--sort", "records"))
	if got := decode[[]topicRow](t, ok(t, addr, "", "topics", "list", "--sort", "records", "-o", "json")); got[0].Name != "placed" || *got[0].Records != 5 {
		t.Errorf("sorted by records: %+v", got)
	}
}

func TestTopicsRefuseNonsense(t *testing.T) {
	addr := newCluster(t, kfake.SeedTopics(1, "t"))
	for _, c := range []struct {
		args string
		say  string
	}{
		{"topics create", "needs the name of a topic"},
		{"topics create a/b", `holds '/'`},
		{"topics create x -c retention", "not name=value"},
		{"topics create x --replica-assignment 1:1", "broker 1 twice"},
		{"topics create x --replica-assignment 1:y", `"y" is not a broker id`},
		{"topics create x --replica-assignment 1 -p 2", "already says how many"},
		{"topics list --sort colour", "is not a column"},
		{"topics describe t --sort colour", "is not a column"},
		{"topics list --regex (", "is not a regular expression"},
		{"topics list [", "is not a pattern"},
		{"topics add-partitions t", "either --total or --add"},
		{"topics alter t", "nothing to change"},
		{"topics alter t -c a=1 -c a=2", "two changes of a"},
		{"topics lsit", `has no command "lsit"`},
		{"topics list -o xml", "-o xml is not an output form"},
		{"topics list --nonsense", "unknown flag: --nonsense"},
		{"config describe table t", "table is neither topic nor broker"},
		{"config describe broker x", `"x" is not a broker id`},
		{"config alter topic t", "nothing to change"},
		{"config alter topic t --set retention.ms", "not name=value"},
		{"config alter topic t --delete a=b", "is not the name of a setting"},
		{"offsets t --time 5", "is an offset, not a time"},
		{"offsets t --time noon", "neither an offset nor a place"},
		{"offsets t --isolation none", "is not a level"},
		{"offsets t -p 1-", "neither a number nor a range"},
		{"records delete t", "either --before or --offset"},
		{"records delete t --offset 1", "is not partition=offset"},
		{"records delete t --offset 0=1 --offset 0=2", "partition 0 twice"},
		{"completion tcsh", "no completion for tcsh"},
		{"nonsense", `barnabas has no command "nonsense"`},
	} {
		refused(t, exitUsage, addr, "", strings.Fields(c.args), c.say)
	}
	refused(t, exitUsage, addr, "", []string{"topics", "lst"}, "did you mean `barnabas topics list`?")
}

func TestConfigOfTopicsAndBrokers(t *testing.T) {
	addr := newCluster(t, kfake.SeedTopics(1, "orders"))
	equal(t, "topic orders\nall settings have their defaults; --all shows them\n", ok(t, addr, "", "config", "describe", "topic", "orders"))
	golden(t, "config-alter.txt", ok(t, addr, "", "config", "alter", "topic", "orders", "--set", "retention.ms=1000", "--append", "cleanup.policy=compact"))
	golden(t, "config-describe.txt", ok(t, addr, "", "config", "describe", "topic", "orders", "--synonyms"))
	golden(t, "config-describe.json", ok(t, addr, "", "config", "describe", "topic", "orders", "-o", "json", "--name", "retention.ms,cleanup.policy", "--synonyms"))
	ok(t, addr, "", "config", "alter", "topic", "orders", "--subtract", "cleanup.policy=delete", "--delete", "retention.ms")
	golden(t, "config-describe-after.txt", ok(t, addr, "", "config", "describe", "topic", "orders"))
	ok(t, addr, "", "config", "alter", "topic", "orders", "--set", "retention.ms=5", "--dry-run")
	golden(t, "config-describe-after.txt", ok(t, addr, "", "config", "describe", "topic", "orders"))
	golden(t, "config-alter-broker.json", ok(t, addr, "", "config", "alter", "broker", "0", "--set", "message.max.bytes=2000000", "-o", "json"))
	if out := ok(t, addr, "", "config", "describe", "broker"); !strings.Contains(out, "message.max.bytes        2000000") {
		t.Errorf("the broker's setting is not shown:\n%s", out)
	}
	refused(t, exitFailed, addr, "", []string{"config", "describe", "topic", "nope"}, "no topic nope")
}

func TestBrokersMessageIsShown(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	c.ControlKey(int16(kmsg.IncrementalAlterConfigs), func(req kmsg.Request) (kmsg.Response, error, bool) {
		resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
		rr := kmsg.NewIncrementalAlterConfigsResponseResource()
		rr.ErrorCode, rr.ErrorMessage = kerr.InvalidConfig.Code, kmsg.StringPtr("abc is not\na number")
		rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceTypeTopic, "orders"
		resp.Resources = append(resp.Resources, rr)
		return resp, nil, true
	})
	refused(t, exitFailed, c.ListenAddrs()[0], "", []string{"config", "alter", "topic", "orders", "--set", "retention.ms=abc"},
		"topic orders: INVALID_CONFIG, abc is not a number", "barnabas config describe topic NAME --all")
}

func TestClusterAndItsVersions(t *testing.T) {
	addr := newCluster(t, kfake.NumBrokers(2), kfake.SeedTopics(3, "a", "b"))
	info := decode[clusterInfo](t, ok(t, addr, "", "cluster", "-o", "json"))
	if info.ClusterID != "test-cluster" || len(info.Brokers) != 2 || info.Topics != 2 || info.Partitions != 6 || len(info.Features) == 0 {
		t.Errorf("%+v", info)
	}
	if b := info.Brokers; b[0].Leads+b[1].Leads != 6 || len(b[0].LogDirs) != 1 {
		t.Errorf("%+v", b)
	}
	equal(t, ok(t, addr, "", "cluster", "describe"), ok(t, addr, "", "cluster"))
	if out := ok(t, addr, "", "cluster"); !strings.Contains(out, "cluster id  test-cluster") || !strings.Contains(out, "LOG DIRECTORY") {
		t.Errorf("not shown:\n%s", out)
	}
	rows := decode[[]apiRow](t, ok(t, addr, "", "cluster", "api-versions", "-o", "json"))
	if len(rows) == 0 || rows[0].Key != 0 || rows[0].Name != "Produce" || rows[0].Max < 9 {
		t.Errorf("%+v", rows)
	}
}

func TestOffsetsAndDeletedRecords(t *testing.T) {
	addr := newCluster(t, kfake.SeedTopics(2, "orders"))
	for _, day := range []string{"2026-01-10", "2026-01-20", "2026-01-30"} {
		ok(t, addr, "a\nb\n", "produce", "orders", "-p", "1", "-t", day+"T00:00:00Z")
	}
	golden(t, "offsets.txt", ok(t, addr, "", "offsets", "orders"))
	golden(t, "offsets-time.txt", ok(t, addr, "", "offsets", "orders", "--time", "@-12d"))
	golden(t, "offsets-max.json", ok(t, addr, "", "offsets", "orders", "--time", "max", "-p", "1", "-o", "json"))
	refused(t, exitFailed, addr, "", []string{"offsets", "orders", "-p", "7"}, "orders has no partition 7", "0 to 1")

	golden(t, "records-delete-dry.txt", ok(t, addr, "", "records", "delete", "orders", "--before", "@2026-01-20", "--dry-run"))
	golden(t, "records-delete.json", ok(t, addr, "", "records", "delete", "orders", "--before", "@2026-01-20", "-o", "json"))
	ok(t, addr, "", "records", "delete", "orders", "--offset", "1=5")
	equal(t, "TOPIC   PARTITION  START  END  RECORDS\norders          1      5    6        1\n", ok(t, addr, "", "offsets", "orders", "-p", "1"))
	refused(t, exitFailed, addr, "", []string{"records", "delete", "orders", "--offset", "1=99"}, "orders-1: OFFSET_OUT_OF_RANGE", "barnabas offsets")
	ok(t, addr, "", "records", "delete", "orders", "--before", "end")
	equal(t, "TOPIC   PARTITION  START  END  RECORDS\norders          1      6    6        0\n", ok(t, addr, "", "offsets", "orders", "-p", "1"))
}

func TestCompletionKnowsTheCluster(t *testing.T) {
	addr := newCluster(t, kfake.SeedTopics(1, "orders", "offers", "x"))
	for _, c := range []struct{ args, want string }{
		{"topics describe o", "offers\norders\n:4\n"},
		{"topics delete orders o", "offers\n:4\n"},
		{"produce o", "offers\norders\n:4\n"},
		{"config describe ", "topic\nbroker\n:4\n"},
		{"config describe topic x", "x\n:4\n"},
		{"config describe broker ", "0\ndefault\n:4\n"},
		{"config alter topic orders --set retention.m", "retention.ms=\n:6\n"},
		{"topics alter orders --delete-config retention.m", "retention.ms\n:4\n"},
		{"topics list -o ", "table\njson\nyaml\n:4\n"},
	} {
		args := strings.Split("__complete "+c.args, " ")
		equal(t, c.want, invoke(t, addr, "", args...).out)
	}
	if r := invoke(t, "127.0.0.1:1", "", "__complete", "topics", "describe", ""); r.out != ":4\n" || r.code != 0 {
		t.Errorf("without a cluster: %+v", r)
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if out := ok(t, addr, "", "completion", shell); !strings.Contains(out, "__complete") {
			t.Errorf("%s: no script", shell)
		}
	}
}
