package config

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func ptr(s string) *string { return &s }

func TestTopicDefaults(t *testing.T) {
	want := TopicConfig{
		CleanupDelete: true, CompressionType: "producer", GzipLevel: -1, LZ4Level: 9, ZstdLevel: 3, DeleteRetentionMs: 86400000, FileDeleteDelayMs: 60000,
		FlushMessages: math.MaxInt64, FlushMs: math.MaxInt64, IndexIntervalBytes: 4096, MaxCompactionLagMs: math.MaxInt64, MinCleanableDirtyRatio: 0.5,
		MaxMessageBytes: 1048588, TimestampBeforeMaxMs: math.MaxInt64, TimestampAfterMaxMs: 3600000, MinInsyncReplicas: 1, RetentionBytes: -1,
		RetentionMs: 604800000, SegmentIndexBytes: 10485760, SegmentMs: 604800000, SegmentBytes: 1 << 30,
	}
	if diff := cmp.Diff(want, mustLoad(t, Args{}, "").Topic(nil)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestTopicSettingsFallBackLayerByLayer(t *testing.T) {
	static := "log.retention.hours=2\nlog.retention.minutes=90\nlog.roll.hours=3\nlog.flush.scheduler.interval.ms=77\nlog.roll.jitter.hours=1\nlog.cleanup.policy=compact"
	c := mustLoad(t, Args{}, static)
	if got := c.Topic(nil); got.RetentionMs != 90*60_000 || got.SegmentMs != 3*3_600_000 || got.FlushMs != 77 || got.SegmentJitterMs != 3_600_000 || got.CleanupDelete || !got.CleanupCompact {
		t.Errorf("static: got %+v", got)
	}
	c, warnings := c.WithDynamic(map[string]string{"log.retention.ms": "5"}, map[string]string{"log.retention.ms": "6", "log.cleanup.policy": "compact, delete"})
	if len(warnings) != 0 {
		t.Error(warnings)
	}
	if got := c.Topic(nil); got.RetentionMs != 5 || !got.CleanupDelete || !got.CleanupCompact {
		t.Errorf("dynamic: got %+v", got)
	}
	got := c.Topic(map[string]string{"retention.ms": "-1", "cleanup.policy": "", "internal.segment.bytes": "1000", "message.timestamp.type": "LogAppendTime", "segment.ms": "junk"})
	if got.RetentionMs != -1 || got.CleanupDelete || got.CleanupCompact || got.SegmentBytes != 1000 || !got.LogAppendTime || got.SegmentMs != 3*3_600_000 {
		t.Errorf("overrides: got %+v", got)
	}
	if v := mustLoad(t, Args{}, "log.retention.hours=-1").Topic(nil).RetentionMs; v != -1 {
		t.Errorf("unlimited hours are %d ms", v)
	}
}

func TestValidateTopic(t *testing.T) {
	c := mustLoad(t, Args{}, "log.cleaner.max.compaction.lag.ms=100")
	got, err := c.ValidateTopic(map[string]*string{"retention.ms": ptr(" 05 "), "cleanup.policy": ptr("compact, delete"), "remote.storage.enable": ptr("false")})
	want := map[string]string{"retention.ms": "5", "cleanup.policy": "compact,delete", "remote.storage.enable": "false"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v -want +got\n%s", err, diff)
	}
	for _, row := range []struct{ name, setting, value, want string }{
		{"a name that Kafka 4 has dropped", "message.format.version", "3.0", "message.format.version: dropped in Kafka 4"},
		{"an unknown name", "retention.hours", "1", "retention.hours: there is no such topic setting; did you mean retention.ms?"},
		{"a broker name", "log.retention.ms", "1", "topics call it retention.ms"},
		{"a broker name without counterpart", "listeners", "x", "topics do not have it"},
		{"a wrong value", "segment.bytes", "14", "segment.bytes=14: must be at least 1048576"},
		{"a lag above the broker's bound", "min.compaction.lag.ms", "200", "must not be above max.compaction.lag.ms, which is 100"},
		{"tiered storage", "remote.storage.enable", "true", "tiered storage is not part of Barnabas"},
		{"throttled replicas", "leader.replication.throttled.replicas", "0-1", "must be partition:broker pairs"},
		{"a long value is cut", "retention.ms", strings.Repeat("9", 5000), "9...: must be a whole number"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := c.ValidateTopic(map[string]*string{row.setting: &row.value})
			if err == nil || !strings.Contains(err.Error(), row.want) || len(err.Error()) > 1000 {
				t.Errorf("got %v, want %s", err, row.want)
			}
		})
	}
	_, err = c.ValidateTopic(map[string]*string{"retention.ms": nil, "preallocate": ptr("maybe")})
	var e *Error
	if !errors.As(err, &e) || len(e.Faults) != 2 || e.Faults[0].Name != "preallocate" || e.Faults[1].Request {
		t.Errorf("got %v", err)
	}
}

func TestAlterTopic(t *testing.T) {
	c := mustLoad(t, Args{}, "")
	current := map[string]string{"retention.ms": "5", "leader.replication.throttled.replicas": "0:1,1:1"}
	got, err := c.AlterTopic(current, []Change{
		{"retention.ms", OpDelete, nil}, {"segment.ms", OpSet, ptr("7")}, {"cleanup.policy", OpAppend, ptr("compact,delete")},
		{"leader.replication.throttled.replicas", OpSubtract, ptr("1:1,5:5")}, {"flush.ms", OpDelete, nil},
	})
	want := map[string]string{"segment.ms": "7", "cleanup.policy": "delete,compact", "leader.replication.throttled.replicas": "0:1"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v -want +got\n%s", err, diff)
	}
	if len(current) != 2 || current["retention.ms"] != "5" {
		t.Errorf("the current overrides were changed: %v", current)
	}
	for _, row := range []struct {
		name    string
		changes []Change
		want    string
		request bool
	}{
		{"one name twice", []Change{{"flush.ms", OpSet, ptr("1")}, {"flush.ms", OpDelete, nil}}, "is changed twice", true},
		{"no value", []Change{{"flush.ms", OpSet, nil}}, "has no value", true},
		{"append to a number", []Change{{"flush.ms", OpAppend, ptr("1")}}, "is not a list", false},
		{"an unknown operation", []Change{{"flush.ms", 9, ptr("1")}}, "unknown operation 9", true},
		{"a wrong value", []Change{{"flush.ms", OpSet, ptr("x")}}, "must be a whole number", false},
		{"an unknown name", []Change{{"flush", OpSet, ptr("x")}}, "no such topic setting", false},
		{"a list item that is not allowed", []Change{{"cleanup.policy", OpAppend, ptr("shred")}}, "each item must be one of compact, delete", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := c.AlterTopic(nil, row.changes)
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), row.want) || e.Faults[0].Request != row.request {
				t.Errorf("got %v, want %s", err, row.want)
			}
		})
	}
}

func TestAlterBroker(t *testing.T) {
	c := mustLoad(t, Args{}, "")
	got, err := c.AlterBroker(false, map[string]string{"max.connections.per.ip": "2"}, []Change{{"log.retention.ms", OpSet, ptr("1000")}, {"log.cleanup.policy", OpAppend, ptr("compact")}})
	want := map[string]string{"max.connections.per.ip": "2", "log.retention.ms": "1000", "log.cleanup.policy": "delete,compact"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v -want +got\n%s", err, diff)
	}
	for _, row := range []struct {
		name, setting, value string
		perBroker            bool
		want                 string
		request              bool
	}{
		{"read-only", "log.retention.hours", "1", true, "cannot change while the broker runs", true},
		{"per broker as default of all", "leader.replication.throttled.rate", "1", false, "belongs to one broker", true},
		{"out of range", "log.retention.ms", "0", true, "must be -1, or at least 1", false},
		{"unknown", "log.retntion.ms", "1", true, "did you mean log.retention.ms?", false},
		{"a topic setting", "retention.ms", "1", true, "the broker calls its default log.retention.ms", false},
		{"gone", "zookeeper.connect", "x", true, "no such broker setting", false},
		{"contradiction with another", "log.cleaner.max.compaction.lag.ms", "1", true, "", false},
		{"contradiction", "max.connections.per.ip", "0", true, "nobody could connect", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := c.AlterBroker(row.perBroker, nil, []Change{{row.setting, OpSet, &row.value}})
			if row.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), row.want) || e.Faults[0].Request != row.request {
				t.Errorf("got %v, want %s", err, row.want)
			}
		})
	}
	if _, err := c.AlterBroker(true, map[string]string{"log.cleaner.min.compaction.lag.ms": "9"}, []Change{{"log.cleaner.max.compaction.lag.ms", OpSet, ptr("1")}}); !strings.Contains(errText(err), "log.cleaner.min.compaction.lag.ms=9") {
		t.Errorf("got %v", err)
	}
	if _, err := c.ValidateBroker(true, map[string]*string{"log.retention.ms": nil}); !strings.Contains(errText(err), "has no value") {
		t.Errorf("got %v", err)
	}
}

func TestStoredSettingsThatDoNotFitAreLeftOut(t *testing.T) {
	c, warnings := mustLoad(t, Args{}, "").WithDynamic(map[string]string{"log.retention.ms": "junk", "node.id": "5", "max.connections": "7"}, map[string]string{"leader.replication.throttled.rate": "1"})
	if c.Broker.Network.ConnectionsMax != 7 || c.Broker.NodeID != 1 || c.Topic(nil).RetentionMs != 604800000 || len(warnings) != 3 {
		t.Errorf("got %+v, %v", c.Broker.Network, warnings)
	}
}

// show is one entry as a line: name=value source flags [synonyms].
func show(e Entry) string {
	text := func(v *string) string {
		if v == nil {
			return "null"
		}
		return *v
	}
	s := e.Name + "=" + text(e.Value) + " " + string('0'+rune(e.Source))
	if e.ReadOnly {
		s += " read-only"
	}
	if e.Sensitive {
		s += " sensitive"
	}
	for _, y := range e.Synonyms {
		s += " " + string('0'+rune(y.Source)) + ":" + y.Name + "=" + text(y.Value)
	}
	return s
}

func TestDescribe(t *testing.T) {
	plain := mustLoad(t, Args{}, "")
	static := mustLoad(t, Args{}, "log.retention.hours=2\nlog.segment.bytes=2000000\nssl.key.password=x\nbroker.rack=r1")
	dynamic, _ := static.WithDynamic(map[string]string{"log.retention.ms": "5", "log.segment.bytes": "3000000"}, map[string]string{"log.retention.ms": "6", "max.connections.per.ip": "2"})
	over := map[string]string{"retention.ms": "9", "message.format.version": "2.8"}
	topic := func(c *Config, o map[string]string) func(string) []Entry {
		return func(n string) []Entry { return c.DescribeTopic(o, []string{n}) }
	}
	broker := func(c *Config) func(string) []Entry {
		return func(n string) []Entry { return c.DescribeBroker([]string{n}) }
	}
	for _, row := range []struct {
		name     string
		describe func(string) []Entry
		setting  string
		want     string
	}{
		{"a topic default with a fallback chain", topic(plain, nil), "retention.ms", "retention.ms=604800000 5"},
		{"a topic default", topic(plain, nil), "segment.bytes", "segment.bytes=1073741824 5 5:log.segment.bytes=1073741824"},
		{"a topic setting without broker counterpart", topic(plain, nil), "remote.storage.enable", "remote.storage.enable=false 5"},
		{"a topic override over the default", topic(plain, over), "retention.ms", "retention.ms=9 1 1:retention.ms=9"},
		{"a topic setting from static hours", topic(static, nil), "retention.ms", "retention.ms=7200000 5"},
		{"all layers of a topic setting", topic(dynamic, over), "retention.ms", "retention.ms=9 1 1:retention.ms=9 2:log.retention.ms=5 3:log.retention.ms=6 4:log.retention.hours=2 5:log.retention.hours=168"},
		{"dynamic over static", topic(dynamic, nil), "segment.bytes", "segment.bytes=3000000 2 2:log.segment.bytes=3000000 4:log.segment.bytes=2000000 5:log.segment.bytes=1073741824"},
		{"a kept setting of an older Kafka", topic(plain, over), "message.format.version", "message.format.version=2.8 1 1:message.format.version=2.8"},
		{"the same without override", topic(plain, nil), "message.format.version", ""},
		{"an unknown name", topic(plain, nil), "x", ""},
		{"a broker default", broker(plain), "num.partitions", "num.partitions=1 5 read-only 5:num.partitions=1"},
		{"a broker setting without value", broker(plain), "log.retention.ms", "log.retention.ms=null 5"},
		{"a broker setting from the file", broker(static), "broker.rack", "broker.rack=r1 4 read-only 4:broker.rack=r1"},
		{"a broker setting with layers", broker(dynamic), "log.retention.ms", "log.retention.ms=5 2 2:log.retention.ms=5 3:log.retention.ms=6 4:log.retention.hours=2 5:log.retention.hours=168"},
		{"hours below ms", broker(dynamic), "log.retention.hours", "log.retention.hours=2 4 read-only 4:log.retention.hours=2 5:log.retention.hours=168"},
		{"a password", broker(static), "ssl.key.password", "ssl.key.password=null 4 read-only sensitive 4:ssl.key.password=null"},
		{"a default of all brokers", func(n string) []Entry { return dynamic.DescribeBrokerDefault([]string{n}) }, "max.connections.per.ip", "max.connections.per.ip=2 3 3:max.connections.per.ip=2"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var got []string
			for _, e := range row.describe(row.setting) {
				got = append(got, show(e))
			}
			if strings.Join(got, "\n") != row.want {
				t.Errorf("got  %s\nwant %s", strings.Join(got, "\n"), row.want)
			}
		})
	}
	if n := len(plain.DescribeTopic(nil, nil)); n != len(TopicNames()) {
		t.Errorf("a topic has %d rows, want %d", n, len(TopicNames()))
	}
	all := dynamic.DescribeBroker(nil)
	if len(all) != len(BrokerNames()) {
		t.Errorf("a broker has %d rows, want %d", len(all), len(BrokerNames()))
	}
	if len(dynamic.DescribeBrokerDefault(nil)) != 2 {
		t.Errorf("the default of all brokers has rows %v", dynamic.DescribeBrokerDefault(nil))
	}
	e := plain.DescribeBroker([]string{"num.io.threads"})[0]
	if want := "Accepted without effect: " + oneProcess + "."; !strings.HasSuffix(e.Documentation, want) || e.Type != Int || !e.IsDefault() {
		t.Errorf("got %+v", e)
	}
}
