package rig

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// The command line tools of Apache Kafka, by the class that each shell script of the distribution starts.
const (
	ToolTopics          = "org.apache.kafka.tools.TopicCommand"
	ToolConfigs         = "kafka.admin.ConfigCommand"
	ToolConsoleProducer = "org.apache.kafka.tools.ConsoleProducer"
	ToolConsoleConsumer = "org.apache.kafka.tools.consumer.ConsoleConsumer"
	ToolProducerPerf    = "org.apache.kafka.tools.ProducerPerformance"
	ToolDumpLog         = "org.apache.kafka.tools.DumpLogSegments"
	ToolDeleteRecords   = "org.apache.kafka.tools.DeleteRecordsCommand"
	ToolGetOffsets      = "org.apache.kafka.tools.GetOffsetShell"
	ToolLogDirs         = "org.apache.kafka.tools.LogDirsCommand"
	ToolApiVersions     = "org.apache.kafka.tools.BrokerApiVersionsCommand"
)

// KafkaJars is the folder of Apache Kafka's jars, or an error that says how to get them.
func KafkaJars() (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "interop", "kafka", "target", "dependency")
	if found, _ := filepath.Glob(filepath.Join(dir, "kafka_2.13-*.jar")); len(found) == 0 {
		return "", fmt.Errorf("no Kafka jars in %s: run interop/install.sh", dir)
	}
	return dir, nil
}

// KafkaVersion is the version of those jars.
func KafkaVersion() (string, error) {
	dir, err := KafkaJars()
	if err != nil {
		return "", err
	}
	found, _ := filepath.Glob(filepath.Join(dir, "kafka_2.13-*.jar"))
	return strings.TrimSuffix(strings.TrimPrefix(filepath.Base(found[0]), "kafka_2.13-"), ".jar"), nil
}

const logConfig = `status = warn
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = [%d] %p %m (%c)%n
rootLogger.level = LEVEL
rootLogger.appenderRef.out.ref = out
`

// kafkaProperties writes server.properties of a node that is broker and controller at once.
func (b *Broker) kafkaProperties() (string, error) {
	props := map[string]string{
		"process.roles":                                    "broker,controller",
		"node.id":                                          "1",
		"controller.quorum.voters":                         "1@127.0.0.1:" + strconv.Itoa(b.ctrlPort),
		"listeners":                                        "PLAINTEXT://" + b.Addr + ",CONTROLLER://127.0.0.1:" + strconv.Itoa(b.ctrlPort),
		"advertised.listeners":                             "PLAINTEXT://" + b.Addr,
		"controller.listener.names":                        "CONTROLLER",
		"log.dirs":                                         b.DataDir(),
		"offsets.topic.replication.factor":                 "1",
		"offsets.topic.num.partitions":                     "4",
		"transaction.state.log.replication.factor":         "1",
		"transaction.state.log.min.isr":                    "1",
		"transaction.state.log.num.partitions":             "4",
		"share.coordinator.state.topic.replication.factor": "1",
		"share.coordinator.state.topic.min.isr":            "1",
		"share.coordinator.state.topic.num.partitions":     "1",
		"group.initial.rebalance.delay.ms":                 "0",
	}
	for k, v := range b.opts.Properties {
		props[k] = v
	}
	var text strings.Builder
	for _, k := range sortedKeys(props) {
		fmt.Fprintf(&text, "%s=%s\n", k, props[k])
	}
	path := filepath.Join(b.Dir, "server.properties")
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		return "", err
	}
	logs := filepath.Join(b.Dir, "log4j2.properties")
	return path, os.WriteFile(logs, []byte(strings.ReplaceAll(logConfig, "LEVEL", "info")), 0o644)
}

// formatKafka gives the data directory a cluster id, unless it has one.
func (b *Broker) formatKafka(ctx context.Context) error {
	props, err := b.kafkaProperties()
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(b.DataDir(), "meta.properties")); err == nil {
		return nil
	}
	out, err := RunJava(ctx, nil, "kafka.tools.StorageTool", "format", "-t", "YmFybmFiYXMtaW50ZXJvcA", "-c", props)
	if err != nil {
		return fmt.Errorf("format Kafka's storage: %w\n%s", err, out)
	}
	return nil
}

func (b *Broker) kafkaCommand() ([]string, error) {
	jars, err := KafkaJars()
	if err != nil {
		return nil, err
	}
	props, err := b.kafkaProperties()
	if err != nil {
		return nil, err
	}
	heap := b.opts.HeapMiB
	if heap == 0 {
		heap = 1024
	}
	return []string{"java",
		fmt.Sprintf("-Xms%dm", min(heap, 256)), fmt.Sprintf("-Xmx%dm", heap),
		// What the distribution's start script passes, without JMX and the log files of the collector.
		"-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent",
		"-Djava.awt.headless=true", "-Dlog4j2.configurationFile=" + filepath.Join(b.Dir, "log4j2.properties"),
		"-cp", filepath.Join(jars, "*"), "kafka.Kafka", props}, nil
}

// RunJava runs a class of the Kafka distribution with the given standard input and returns stdout and stderr together. It ends with ctx,
// and after 60 s in any case.
func RunJava(ctx context.Context, stdin io.Reader, class string, args ...string) (string, error) {
	jars, err := KafkaJars()
	if err != nil {
		return "", err
	}
	return runJavaClasspath(ctx, stdin, filepath.Join(jars, "*"), class, args...)
}

func runJavaClasspath(ctx context.Context, stdin io.Reader, classpath, class string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	dir, err := os.MkdirTemp("", "java-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	logs := filepath.Join(dir, "log4j2.properties")
	if err := os.WriteFile(logs, []byte(strings.ReplaceAll(logConfig, "LEVEL", "warn")), 0o644); err != nil {
		return "", err
	}
	// A tool lives for a second: the quick compiler and the small collector make it start in half the time.
	argv := append([]string{"-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
		"-Dlog4j2.configurationFile=" + logs, "-cp", classpath, class}, args...)
	cmd := exec.CommandContext(ctx, "java", argv...)
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &out
	tie(cmd)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err = cmd.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("%s: %w", class, ctx.Err())
	} else if err != nil {
		err = fmt.Errorf("%s: %w", class, err)
	}
	return out.String(), err
}
