package groups_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/interop/groups"
	"github.com/barnabas-mq/barnabas/interop/rig"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// appCommand is a JVM with the jars of interop/apps.
func appCommand(t *testing.T, class string, args ...string) []string {
	t.Helper()
	root, err := rig.Root()
	if err != nil {
		t.Fatal(err)
	}
	apps := filepath.Join(root, "interop", "apps")
	if _, err := os.Stat(filepath.Join(apps, "target", ".installed")); err != nil {
		t.Fatal("interop/apps is not built: run interop/install.sh")
	}
	return append([]string{"java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Dlog4j2.configurationFile=" + filepath.Join(apps, "log4j2.properties"),
		"-cp", filepath.Join(apps, "target", "classes") + string(os.PathListSeparator) + filepath.Join(apps, "target", "apps", "*"), class}, args...)
}

// until asks again and again until the answer is "", and fails with the last one.
func until(t *testing.T, what string, ask func() string) {
	t.Helper()
	late, tick := time.After(2*patience), time.NewTicker(50*time.Millisecond)
	defer tick.Stop()
	for {
		last := ask()
		if last == "" {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waiting for %s: %s", what, last)
		}
	}
}

// keepApp keeps the row of an application at the end of its test.
func keepApp(t *testing.T, broker *rig.Broker, client string, row *groups.Row, lines func() []groups.Line) {
	t.Cleanup(func() {
		row.Broker, row.Client, row.Scenario, row.Result = brokerName(broker), client, groups.Apps, "pass"
		if t.Failed() {
			row.Result = "FAIL"
		}
		row.Lines = groups.Fold(lines())
		if t.Failed() {
			for _, l := range row.Lines {
				t.Log(l)
			}
		}
		if keep := os.Getenv("INTEROP_KEEP"); keep != "" {
			if err := row.Keep(keep); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestStreams runs a Kafka Streams application that counts words: one instance, a second one joins and takes over half of the state, one leaves, and
// every word is counted exactly as often as it was written. Streams leaves its group by silence: the rest takes over when the session ran out.
func TestStreams(t *testing.T) {
	if !wanted("INTEROP_CLIENTS", "Kafka Streams") {
		t.Skip("INTEROP_CLIENTS names others")
	}
	broker := rig.StartT(t, rig.KindFromEnv(t), rig.Options{Properties: properties, HeapMiB: 512})
	const partitions, words = 4, 12
	topic, app := "words", "word-count"
	producer, err := kgo.NewClient(kgo.SeedBrokers(broker.Addr), kgo.DefaultProduceTopic(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for _, name := range []string{topic, topic + "-counts"} {
		if _, err := kadm.NewClient(producer).CreateTopic(ctx, partitions, 1, nil, name); err != nil {
			t.Fatal(err)
		}
	}
	written := make([]int, words)
	writing, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var failed error
	wg.Go(func() {
		for n := 0; writing.Err() == nil && failed == nil; n++ {
			word := n * n % words
			failed = producer.ProduceSync(ctx, kgo.StringRecord("word-"+strconv.Itoa(word))).FirstErr()
			written[word]++
			time.Sleep(10 * time.Millisecond)
		}
	})

	trail := groups.NewTrail()
	var taps []*groups.Tap
	var steps []groups.Step
	step := func(s string) { steps = append(steps, groups.Step{At: time.Now(), Text: s}) }
	c := &cell{T: t, client: groups.Client{Library: "Kafka Streams"}, partitions: partitions, trail: trail, members: map[string]*groups.Member{}}
	keepApp(t, broker, "Kafka Streams", &c.row, func() []groups.Line { return groups.Transcript(c.exchanges(), steps, app, topic) })
	run := func(name string) {
		step(name + " starts")
		tap, err := groups.NewTap(name, broker.Addr)
		if err != nil {
			t.Fatal(err)
		}
		taps = append(taps, tap)
		c.taps = taps
		m, err := groups.StartMember(name, appCommand(t, "interop.StreamsApp", t.TempDir()), groups.Config{Topic: topic, Group: app, ClientID: name,
			SessionMs: int(groups.Session.Milliseconds()), HeartbeatMs: int(groups.Heartbeat.Milliseconds())}, tap, trail)
		if err != nil {
			t.Fatal(err)
		}
		c.members[name] = m
		t.Cleanup(func() { m.Kill(); tap.Close() })
	}
	run("A")
	c.balanced("A")
	began := time.Now()
	run("B")
	done := c.balanced("A", "B")
	c.timed(done.Sub(c.firstJoin("B", began)))
	if n := len(groups.Owned(c.events())["B"]); n != partitions/2 {
		t.Errorf("B runs %d of %d tasks", n, partitions)
	}
	step("B closes")
	c.stop("B")
	c.balanced("A")
	step("A runs everything")
	stop()
	wg.Wait()
	if failed != nil {
		t.Fatal(failed)
	}
	counted, total := countsOf(t, ctx, broker.Addr, topic+"-counts", written)
	for w := range written {
		if counted[w] != written[w] {
			t.Errorf("word %d was written %d times and counted %d times", w, written[w], counted[w])
		}
	}
	c.row.Records = total
	c.stop("A")
	if t.Failed() {
		t.Log(c.story(c.events()))
	}
}

// countsOf reads the newest count of every word until each is at least what was written.
func countsOf(t *testing.T, ctx context.Context, addr, topic string, written []int) (counted []int, total int) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	counted = make([]int, len(written))
	for _, n := range written {
		total += n
	}
	for {
		enough := true
		for w := range written {
			enough = enough && counted[w] >= written[w]
		}
		if enough || ctx.Err() != nil {
			return counted, total
		}
		cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			w, err := strconv.Atoi(strings.TrimPrefix(string(r.Key), "word-"))
			n, err2 := strconv.Atoi(string(r.Value))
			if err != nil || err2 != nil || w >= len(counted) {
				t.Errorf("counted %q as %q", r.Key, r.Value)
				return
			}
			if n <= counted[w] {
				t.Errorf("word %d: count %d after %d", w, n, counted[w])
			}
			counted[w] = n
		})
	}
}

// TestConnect runs distributed Connect workers, whose groups have a protocol type of their own and metadata that only they can read: a file is
// copied through a topic into another file by a source and a sink; a second worker joins, the first leaves, and the copying goes on.
func TestConnect(t *testing.T) {
	if !wanted("INTEROP_CLIENTS", "Kafka Connect") {
		t.Skip("INTEROP_CLIENTS names others")
	}
	broker := rig.StartT(t, rig.KindFromEnv(t), rig.Options{Properties: properties, HeapMiB: 512})
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.txt"), filepath.Join(dir, "out.txt")
	var row groups.Row
	var taps []*groups.Tap
	var steps []groups.Step
	step := func(s string) { steps = append(steps, groups.Step{At: time.Now(), Text: s}) }
	c := &cell{T: t}
	keepApp(t, broker, "Kafka Connect", &row, func() []groups.Line {
		c.taps = taps
		return groups.Transcript(c.exchanges(), steps, "connect-cluster", "lines")
	})

	cl, err := kgo.NewClient(kgo.SeedBrokers(broker.Addr))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	admin := kadm.NewClient(cl)
	run := func(name string) *worker {
		step(name + " starts")
		w, tap := startWorker(t, broker, name, dir, map[string]string{"session.timeout.ms": "6000", "heartbeat.interval.ms": "500"})
		taps = append(taps, tap)
		return w
	}
	members := func(n int) {
		t.Helper()
		stableWorkers(t, admin, n)
	}
	lines := 0
	copies := func() {
		t.Helper()
		f, err := os.OpenFile(in, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			fmt.Fprintf(f, "line %04d\n", lines)
			lines++
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		until(t, "the lines to be copied", func() string {
			text, _ := os.ReadFile(out)
			for n := range lines {
				if !bytes.Contains(text, fmt.Appendf(nil, "line %04d\n", n)) {
					return fmt.Sprintf("line %d of %d is missing", n, lines)
				}
			}
			return ""
		})
	}
	a := run("A")
	members(1)
	a.connector(t, "source", map[string]string{"connector.class": "FileStreamSource", "tasks.max": "1", "file": in, "topic": "lines"})
	a.connector(t, "sink", map[string]string{"connector.class": "FileStreamSink", "tasks.max": "1", "file": out, "topics": "lines"})
	copies()
	b := run("B")
	members(2)
	until(t, "both workers to work", func() string {
		at := append(b.running("source"), b.running("sink")...)
		if len(at) != 4 || !slices.Contains(at, a.rest) || !slices.Contains(at, b.rest) {
			return fmt.Sprintf("connectors and tasks run at %v", at)
		}
		return ""
	})
	step("both work")
	copies()
	began := time.Now()
	step("A is asked to end (SIGTERM)")
	a.child.Signal(syscall.SIGTERM)
	<-a.child.Done()
	members(1)
	until(t, "B to do everything", func() string {
		if at := append(b.running("source"), b.running("sink")...); len(at) != 4 || slices.Contains(at, a.rest) {
			return fmt.Sprintf("connectors and tasks run at %v", at)
		}
		return ""
	})
	row.TookMs = time.Since(began).Milliseconds()
	step("B does everything")
	copies()
	row.Records = lines
	// In order, as each line was seen first; a line may be there twice.
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	next := 0
	for line := range strings.Lines(string(text)) {
		var n int
		if _, err := fmt.Sscanf(line, "line %d", &n); err != nil || n > next {
			t.Fatalf("%q where line %d belongs", line, next)
		}
		if n == next {
			next++
		} else {
			row.Repeated++
		}
	}
}

// stableWorkers waits until so many workers of Connect are a stable group.
func stableWorkers(t *testing.T, admin *kadm.Client, n int) {
	t.Helper()
	until(t, fmt.Sprintf("a stable group of %d workers", n), func() string {
		described, err := admin.DescribeGroups(t.Context(), "connect-cluster")
		if err != nil {
			return err.Error()
		}
		if g := described["connect-cluster"]; g.State != "Stable" || len(g.Members) != n || g.ProtocolType != "connect" {
			return fmt.Sprintf("state %s, type %q, %d members", g.State, g.ProtocolType, len(g.Members))
		}
		return ""
	})
}

// worker is one process of Connect.
type worker struct {
	child *rig.Child
	rest  string // host:port
}

// startWorker starts one with its log and settings in dir, behind a tap, and waits for its REST port to answer. more are settings besides those that all have.
func startWorker(t *testing.T, broker *rig.Broker, name, dir string, more map[string]string) (*worker, *groups.Tap) {
	t.Helper()
	tap, err := groups.NewTap(name, broker.Addr)
	if err != nil {
		t.Fatal(err)
	}
	ports, err := rig.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	w := &worker{rest: fmt.Sprintf("127.0.0.1:%d", ports[0])}
	settings := map[string]string{"bootstrap.servers": tap.Addr, "group.id": "connect-cluster", "client.id": name, "listeners": "http://" + w.rest,
		"rest.advertised.host.name": "127.0.0.1", "key.converter": "org.apache.kafka.connect.storage.StringConverter", "value.converter": "org.apache.kafka.connect.storage.StringConverter",
		"config.storage.topic": "connect-configs", "config.storage.replication.factor": "1", "offset.storage.topic": "connect-offsets", "offset.storage.replication.factor": "1",
		"offset.storage.partitions": "2", "status.storage.topic": "connect-status", "status.storage.replication.factor": "1", "status.storage.partitions": "2",
		"offset.flush.interval.ms": "500", "scheduled.rebalance.max.delay.ms": "1000", "plugin.discovery": "service_load"}
	maps.Copy(settings, more)
	var text strings.Builder
	for k, v := range settings {
		fmt.Fprintf(&text, "%s=%s\n", k, v)
	}
	path := filepath.Join(dir, name+".properties")
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	var mu sync.Mutex
	log := writerFunc(func(p []byte) (int, error) { mu.Lock(); defer mu.Unlock(); return said.Write(p) })
	if w.child, err = rig.StartChild(appCommand(t, "org.apache.kafka.connect.cli.ConnectDistributed", path), nil, dir, log, log); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.child.Signal(syscall.SIGKILL)
		<-w.child.Done()
		tap.Close()
		if t.Failed() {
			mu.Lock()
			defer mu.Unlock()
			all := strings.Split(said.String(), "\n")
			t.Logf("worker %s said:\n%s", name, strings.Join(all[max(0, len(all)-40):], "\n"))
		}
	})
	until(t, "worker "+name+" to answer", func() string {
		select {
		case <-w.child.Done():
			t.Fatalf("worker %s ended: %v", name, w.child.Err())
		default:
		}
		if resp, err := http.Get("http://" + w.rest + "/connectors"); err != nil {
			return err.Error()
		} else if resp.Body.Close(); resp.StatusCode != 200 {
			return resp.Status
		}
		return ""
	})
	return w, tap
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func (w *worker) connector(t *testing.T, name string, config map[string]string) {
	t.Helper()
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "connector "+name+" to be taken", func() string { // 409 while the workers rebalance
		req, err := http.NewRequest(http.MethodPut, "http://"+w.rest+"/connectors/"+name+"/config", bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		if said, _ := io.ReadAll(resp.Body); resp.StatusCode/100 != 2 {
			return resp.Status + " " + string(said)
		}
		return ""
	})
}

// running names the workers that a connector and its tasks run on.
func (w *worker) running(name string) []string {
	type place struct {
		State  string `json:"state"`
		Worker string `json:"worker_id"`
	}
	var status struct {
		Connector place   `json:"connector"`
		Tasks     []place `json:"tasks"`
	}
	resp, err := http.Get("http://" + w.rest + "/connectors/" + name + "/status")
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	if json.NewDecoder(resp.Body).Decode(&status) != nil {
		return nil
	}
	var at []string
	for _, p := range append(status.Tasks, status.Connector) {
		if p.State == "RUNNING" {
			at = append(at, p.Worker)
		}
	}
	return at
}
