package main

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Benchmarks are not judged here; that the figures add up is.
func TestBenchReportsAddUp(t *testing.T) {
	addr := newCluster(t, kfake.SeedTopics(3, "load"))
	small := []string{"--warmup", "0s", "--record-bytes", "100", "-o", "json"}
	run := func(args ...string) benchReport {
		t.Helper()
		return decode[benchReport](t, ok(t, addr, "", append([]string{"bench"}, args...)...))
	}
	p := run(append([]string{"produce", "--topic", "load", "--records", "5000", "--batch-bytes", "5000", "--clients", "2", "--broker-pid", pid()}, small...)...)
	if p.Kind != "produce" || p.Format != 1 || p.Records < 5000 || p.Bytes != p.Records*100 || p.LatencyMs.Count != p.Records || p.Error != "" {
		t.Errorf("%+v", p)
	}
	if s := p.Settings; s.Partitions != 3 || s.Clients != 2 || !s.Idempotent || s.Acks != "all" || s.Codec != "none" || s.Topic != "load" {
		t.Errorf("%+v", s)
	}
	if p.ElapsedSeconds <= 0 || p.RecordsPerSecond <= 0 || p.MegabytesPerSecond <= 0 || p.LatencyMs.P50 > p.LatencyMs.Max || p.ClientCPUSeconds == nil {
		t.Errorf("%+v", p)
	}
	if runtime.GOOS == "linux" && (p.Broker == nil || p.Broker.RSSPeakMiB <= 0) || p.Fetches != nil {
		t.Errorf("broker %+v fetches %v", p.Broker, p.Fetches)
	}
	c := run("consume", "--topic", "load", "--clients", "2", "-o", "json")
	if c.Records != p.Records || c.Settings.RecordBytes != 100 || c.Bytes != p.Bytes || *c.Fetches == 0 || *c.FirstRecordMs <= 0 || c.LatencyMs != nil || c.Broker != nil {
		t.Errorf("%+v", c)
	}
	l := run(append([]string{"latency", "--records", "50", "--rate", "2000", "--codec", "zstd", "--acks", "1"}, small...)...)
	if l.Records != 50 || l.LatencyMs.Count != 50 || l.Settings.Idempotent || l.Settings.RatePerSecond != 2000 || !strings.HasPrefix(l.Settings.Topic, "bench-") {
		t.Errorf("%+v", l)
	}
	if out := ok(t, addr, "", "topics", "list"); strings.Contains(out, "bench-") {
		t.Errorf("a topic stays behind:\n%s", out)
	}
	if out := ok(t, addr, "", "bench", "produce", "--records", "10", "--warmup", "0s", "--batch-bytes", "4000"); !strings.Contains(out, "throughput") || !strings.Contains(out, "P99.9") {
		t.Errorf("no table:\n%s", out)
	}
}

func pid() string {
	if runtime.GOOS != "linux" {
		return "0"
	}
	return strconv.Itoa(os.Getpid())
}

func TestBenchRefuses(t *testing.T) {
	addr := newCluster(t, kfake.SeedTopics(1, "empty"))
	for args, say := range map[string]string{
		"produce --acks 3":                   "is not a choice",
		"produce --codec rar":                "is not a compression codec",
		"produce --duration 0s":              "it would never end",
		"produce --rate -1":                  "must not be negative",
		"produce --clients 0":                "0 clients",
		"produce --max-in-flight 6":          "brokers remember 5",
		"produce --batch-bytes 10":           "batches of 10 bytes",
		"produce --broker-pid 999999999":     "--broker-pid 999999999",
		"latency --rate 0":                   "is not a steady rate",
		"consume":                            "--topic is needed",
		"consume --topic x --fetch-bytes 10": "start at 1024",
		"produce -o yaml":                    "does not print YAML",
	} {
		refused(t, exitUsage, addr, "", append([]string{"bench"}, strings.Fields(args)...), say)
	}
	refused(t, exitFailed, addr, "", []string{"bench", "consume", "--topic", "empty"}, "topic empty is empty", "bench produce --topic empty")
	refused(t, exitFailed, addr, "", []string{"bench", "consume", "--topic", "nope"}, "no topic nope")
	if out := ok(t, addr, "", "topics", "list"); strings.Contains(out, "bench-") {
		t.Errorf("a topic stays behind:\n%s", out)
	}
}
