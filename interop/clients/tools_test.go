package clients_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/interop/clients"
	"github.com/barnabas-mq/barnabas/interop/rig"
)

// tool runs one of Kafka's command line tools against the shared broker.
func tool(t *testing.T, stdin io.Reader, class string, args ...string) string {
	t.Helper()
	out, err := rig.RunJava(t.Context(), stdin, class, args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return out
}

func wants(t *testing.T, out string, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		if !regexp.MustCompile(p).MatchString(out) {
			t.Errorf("no %q in:\n%s", p, out)
		}
	}
}

// TestKafkaTools walks one topic through the tools that Apache Kafka ships.
func TestKafkaTools(t *testing.T) {
	rig.NeedKafkaJars(t)
	b := shared(t)
	version, err := rig.KafkaVersion()
	if err != nil {
		t.Fatal(err)
	}
	matrix.ToolsVersion(version)
	run := func(name string, do func(t *testing.T)) {
		matrix.Tool(name, clients.Fail)
		if t.Run(name, do) {
			matrix.Tool(name, clients.Pass)
		}
	}
	addr, topic := b.Addr, newTopic("tools")
	server := []string{"--bootstrap-server", addr}
	with := func(args ...string) []string { return append(server[:2:2], args...) }

	run("kafka-topics", func(t *testing.T) {
		tool(t, nil, rig.ToolTopics, with("--create", "--topic", topic, "--partitions", "2", "--replication-factor", "1", "--config", "retention.ms=86400000")...)
		wants(t, tool(t, nil, rig.ToolTopics, with("--list")...), `(?m)^`+topic+`$`)
		wants(t, tool(t, nil, rig.ToolTopics, with("--describe", "--topic", topic)...), `PartitionCount: 2`, `ReplicationFactor: 1`, `retention.ms=86400000`, `Partition: 1\s+Leader: \d+`)
		tool(t, nil, rig.ToolTopics, with("--alter", "--topic", topic, "--partitions", "3")...)
		wants(t, tool(t, nil, rig.ToolTopics, with("--describe", "--topic", topic)...), `PartitionCount: 3`)
	})
	run("kafka-configs", func(t *testing.T) {
		tool(t, nil, rig.ToolConfigs, with("--alter", "--entity-type", "topics", "--entity-name", topic, "--add-config", "max.message.bytes=500000")...)
		wants(t, tool(t, nil, rig.ToolConfigs, with("--describe", "--entity-type", "topics", "--entity-name", topic)...), `max.message.bytes=500000`, `retention.ms=86400000`)
		tool(t, nil, rig.ToolConfigs, with("--alter", "--entity-type", "topics", "--entity-name", topic, "--delete-config", "max.message.bytes")...)
		out := tool(t, nil, rig.ToolConfigs, with("--describe", "--entity-type", "topics", "--entity-name", topic)...)
		if strings.Contains(out, "max.message.bytes=500000") {
			t.Errorf("the deleted config is still there:\n%s", out)
		}
		wants(t, tool(t, nil, rig.ToolConfigs, with("--describe", "--entity-type", "topics", "--entity-name", topic, "--all")...), `segment.bytes=1073741824`)
	})
	run("kafka-broker-api-versions", func(t *testing.T) {
		wants(t, tool(t, nil, rig.ToolApiVersions, with()...), `Produce\(0\): `, `Fetch\(1\): `, `CreateTopics\(19\): `)
	})
	run("kafka-log-dirs", func(t *testing.T) {
		out := tool(t, nil, rig.ToolLogDirs, with("--describe", "--topic-list", topic)...)
		line := out[strings.Index(out, `{"`):]
		var dirs any
		if err := json.NewDecoder(strings.NewReader(line)).Decode(&dirs); err != nil {
			t.Fatalf("%v in:\n%s", err, out)
		}
		wants(t, line, `"partition":"`+topic+`-2"`)
	})
	run("kafka-console-producer, kafka-console-consumer --partition", func(t *testing.T) {
		tool(t, strings.NewReader("k1\tv1\nk2\tv2\nk3\tv3\n"), rig.ToolConsoleProducer, with("--topic", topic, "--property", "parse.key=true",
			"--property", "key.separator=\t", "--compression-codec", "zstd", "--request-required-acks", "all")...)
		var all string
		for p := range 3 {
			all += tool(t, nil, rig.ToolConsoleConsumer, with("--topic", topic, "--partition", fmt.Sprint(p), "--offset", "earliest", "--timeout-ms", "3000",
				"--property", "print.key=true")...)
		}
		wants(t, all, `k1\tv1`, `k2\tv2`, `k3\tv3`)
	})
	run("kafka-producer-perf-test", func(t *testing.T) {
		out := tool(t, nil, rig.ToolProducerPerf, "--topic", topic, "--num-records", "2000", "--record-size", "512", "--throughput", "-1",
			"--producer-props", "bootstrap.servers="+addr, "acks=all")
		wants(t, out, `2000 records sent, .* records/sec`)
	})
	run("kafka-get-offsets", func(t *testing.T) {
		out := tool(t, nil, rig.ToolGetOffsets, with("--topic", topic)...)
		total := 0
		for _, m := range regexp.MustCompile(`(?m)^`+topic+`:\d+:(\d+)$`).FindAllStringSubmatch(out, -1) {
			var n int
			fmt.Sscan(m[1], &n)
			total += n
		}
		if total != 2003 {
			t.Errorf("end offsets add up to %d, want 2003:\n%s", total, out)
		}
		wants(t, tool(t, nil, rig.ToolGetOffsets, with("--topic", topic, "--time", "earliest")...), `(?m)^`+topic+`:0:0$`)
	})
	run("kafka-delete-records", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "offsets.json")
		if err := os.WriteFile(file, fmt.Appendf(nil, `{"version":1,"partitions":[{"topic":%q,"partition":0,"offset":-1},{"topic":%q,"partition":1,"offset":0}]}`, topic, topic), 0o600); err != nil {
			t.Fatal(err)
		}
		wants(t, tool(t, nil, rig.ToolDeleteRecords, with("--offset-json-file", file)...), `partition: `+topic+`-0\s+low_watermark: \d+`)
		earliest := tool(t, nil, rig.ToolGetOffsets, with("--topic", topic, "--time", "earliest")...)
		latest := tool(t, nil, rig.ToolGetOffsets, with("--topic", topic)...)
		zero := regexp.MustCompile(`(?m)^` + topic + `:0:\d+$`)
		if zero.FindString(earliest) != zero.FindString(latest) {
			t.Errorf("partition 0 still has records: earliest %s, latest %s", zero.FindString(earliest), zero.FindString(latest))
		}
	})
	run("kafka-dump-log on the broker's files", func(t *testing.T) {
		dump := newTopic("dump")
		create(t, t.Context(), addr, dump, 1, map[string]string{"index.interval.bytes": "512", "segment.bytes": "1048576"})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		franz := clients.Franz{}
		for i := range 10 {
			for _, codec := range clients.Codecs {
				if err := franz.Produce(ctx, addr, clients.Produce{Topic: dump, Codec: codec, Idempotent: true, Records: []clients.Record{
					{Key: fmt.Append(nil, "key-", i), Value: fmt.Appendf(nil, "value-%s %0300d", codec, 0), Timestamp: t0 + int64(i)}}}); err != nil {
					t.Fatal(err)
				}
			}
		}
		dir := filepath.Join(b.DataDir(), dump+"-0")
		out := tool(t, nil, rig.ToolDumpLog, "--deep-iteration", "--print-data-log", "--files", filepath.Join(dir, "00000000000000000000.log"))
		wants(t, out, `Log starting offset: 0`, `(?i)compresscodec: zstd`, `(?i)compresscodec: snappy`, `payload: value-lz4`, `isvalid: true`)
		if n := strings.Count(out, "payload: "); n != 50 {
			t.Errorf("%d records dumped, want 50:\n%s", n, out)
		}
		if strings.Contains(out, "isvalid: false") || strings.Contains(out, "Found") {
			t.Errorf("the dump complains:\n%s", out)
		}
		// The indexes of a segment that is full and closed: those of the newest one are still being written.
		for i := range 12 {
			if err := franz.Produce(ctx, addr, clients.Produce{Topic: dump, Codec: "none", Idempotent: true, Records: []clients.Record{
				{Key: fmt.Append(nil, "fill-", i), Value: make([]byte, 200<<10), Timestamp: t0 + 100 + int64(i)}}}); err != nil {
				t.Fatal(err)
			}
		}
		index := tool(t, nil, rig.ToolDumpLog, "--index-sanity-check", "--files",
			filepath.Join(dir, "00000000000000000000.index")+","+filepath.Join(dir, "00000000000000000000.timeindex"))
		wants(t, index, `passed sanity check`)
	})
}
