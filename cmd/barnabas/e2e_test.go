package main

import (
	"bytes"
	"context"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// logWatch collects what serve logs and hands out the address it serves on.
type logWatch struct {
	mu      sync.Mutex
	text    bytes.Buffer
	address chan string
}

var servedAddress = regexp.MustCompile(`msg="serving clients".* address=(\S+)`)

func (l *logWatch) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := servedAddress.FindSubmatch(b); m != nil {
		select {
		case l.address <- string(m[1]):
		default:
		}
	}
	return l.text.Write(b)
}

func (l *logWatch) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// serveHere runs `barnabas serve` in this process, and stop ends it as SIGTERM would.
func serveHere(t *testing.T, dir string) (addr string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	log := &logWatch{address: make(chan string, 1)}
	ended := make(chan int, 1)
	go func() {
		a := newApp(strings.NewReader(""), &bytes.Buffer{}, log, func(string) string { return "" })
		ended <- run(ctx, a, []string{"serve", "--data-dir", dir, "--listeners", "PLAINTEXT://127.0.0.1:0", "--admin-addr", "127.0.0.1:0"})
	}()
	select {
	case addr = <-log.address:
	case code := <-ended:
		cancel()
		t.Fatalf("serve ended with %d:\n%s", code, log)
	}
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if code := <-ended; code != 0 {
				t.Errorf("serve ended with %d:\n%s", code, log)
			}
		})
	}
	t.Cleanup(stop)
	return addr, stop
}

// TestAWorkingDay uses every command against the real broker, over a restart, and then looks at the files it leaves.
func TestAWorkingDay(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	addr, stop := serveHere(t, dir)

	ok(t, addr, "", "topics", "create", "orders", "-p", "3", "-c", "retention.ms=-1")
	refused(t, exitFailed, addr, "", []string{"topics", "create", "orders"}, "TOPIC_ALREADY_EXISTS", "--if-not-exists")
	refused(t, exitFailed, addr, "", []string{"topics", "create", "x", "-c", "retention.ms=soon"}, "INVALID_CONFIG")
	refused(t, exitFailed, addr, "", []string{"topics", "create", "x", "-r", "3"}, "INVALID_REPLICATION_FACTOR", "barnabas cluster")
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		ok(t, addr, "0 k a\n1 l b\n2 m c\n", "produce", "orders", "-f", `%p %k %v\n`, "-z", codec, "-H", "codec="+codec, "-t", "2026-01-31T10:00:00Z")
	}
	for _, acks := range []string{"1", "0"} {
		ok(t, addr, "0 k "+acks+"\n", "produce", "orders", "-f", `%p %k %v\n`, "--acks", acks, "-t", "2026-01-31T11:30:00Z")
	}
	equal(t, "k a codec=none\nk a codec=gzip\nk a codec=snappy\nk a codec=lz4\nk a codec=zstd\nk 1 \nk 0 \n",
		ok(t, addr, "", "consume", "orders", "-p", "0", "-n", "7", "--from", "start", "-f", `%k %v %h\n`))
	equal(t, "1\n0\n", ok(t, addr, "", "consume", "orders", "-e", "--from", "@-1h"))
	refused(t, exitFailed, addr, "x\n", []string{"produce", "orders", "-p", "3"}, "no partition 3 of topic orders")
	refused(t, exitFailed, addr, "x\n", []string{"produce", "nope"}, "no topic nope")

	d := decode[[]topicDescription](t, ok(t, addr, "", "topics", "describe", "orders", "-o", "json"))[0]
	if *d.Records != 17 || *d.SizeBytes <= 0 || len(d.Partitions) != 3 || len(d.Configs) != 1 || *d.Configs[0].Value != "-1" || d.ID == "" {
		t.Errorf("%+v", d)
	}
	ok(t, addr, "", "topics", "alter", "orders", "-p", "4", "-c", "segment.bytes=1048576")
	ok(t, addr, "", "config", "alter", "topic", "orders", "--append", "cleanup.policy=compact", "--delete", "retention.ms")
	equal(t, "topic orders\nSETTING         VALUE           SOURCE\ncleanup.policy  delete,compact  dynamic topic\nsegment.bytes   1048576         dynamic topic\n",
		ok(t, addr, "", "config", "describe", "topic", "orders"))
	refused(t, exitFailed, addr, "", []string{"topics", "add-partitions", "orders", "--total", "2"}, "INVALID_PARTITIONS")
	info := decode[clusterInfo](t, ok(t, addr, "", "cluster", "-o", "json"))
	if len(info.Brokers) != 1 || info.Partitions != 4 || len(info.Brokers[0].LogDirs) != 1 || info.ClusterID == "" || info.Controller != info.Brokers[0].ID {
		t.Errorf("%+v", info)
	}
	ok(t, addr, "", "records", "delete", "orders", "--before", "2", "-p", "1")
	rows := decode[[]offsetRow](t, ok(t, addr, "", "offsets", "orders", "-o", "json"))
	if *rows[1].Start != 2 || *rows[1].End != 5 || *rows[3].End != 0 {
		t.Errorf("%+v", rows)
	}
	b := decode[benchReport](t, ok(t, addr, "", "bench", "produce", "--topic", "load", "--keep-topic", "--partitions", "2", "--records", "20000", "--warmup", "0s",
		"--record-bytes", "100", "--batch-bytes", "16384", "-o", "json"))
	c := decode[benchReport](t, ok(t, addr, "", "bench", "consume", "--topic", "load", "-o", "json"))
	if b.Records < 20000 || b.Records != c.Records || c.Settings.RecordBytes != 100 {
		t.Errorf("wrote %d records, read %d", b.Records, c.Records)
	}
	before := ok(t, addr, "", "topics", "describe", "orders", "load", "-o", "json")
	stop()
	refused(t, exitUnreachable, addr, "", []string{"topics", "list"}, "nothing listens on "+addr)

	addr, stop = serveHere(t, dir)
	equal(t, before, ok(t, addr, "", "topics", "describe", "orders", "load", "-o", "json"))
	equal(t, int(b.Records), strings.Count(ok(t, addr, "", "consume", "load", "-e", "-f", `%p %o\n`), "\n"))
	ok(t, addr, "", "topics", "delete", "load")
	equal(t, "NAME    PARTITIONS  REPLICAS\norders           4         1\n", ok(t, addr, "", "topics", "list"))
	stop()

	if out := ok(t, "", "", "log", "dump", dir, "--verify", "--deep"); !strings.HasSuffix(out, " 0 problems\n") {
		t.Error(out)
	}
	if out := ok(t, "", "", "log", "dump", filepath.Join(dir, "orders-0"), "--records"); !strings.Contains(out, `key="k"  value="a"  codec="zstd"`) {
		t.Errorf("the records are not shown:\n%s", out)
	}
}
