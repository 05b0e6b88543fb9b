package config

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// load is Load with a file given as text.
func load(t *testing.T, args Args, file string) (*Config, []Warning, error) {
	t.Helper()
	if file != "" {
		args.ConfigFile = "server.properties"
		args.ReadFile = func(string) ([]byte, error) { return []byte(file), nil }
	}
	args.Hostname = func() (string, error) { return "box", nil }
	return Load(args)
}

func mustLoad(t *testing.T, args Args, file string) *Config {
	t.Helper()
	c, _, err := load(t, args, file)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestStartWithoutAnySettings(t *testing.T) {
	c, warnings, err := Load(Args{})
	if err != nil || len(warnings) != 0 {
		t.Fatal(err, warnings)
	}
	want := Broker{
		NodeID: 1, LogDirs: []string{"./barnabas-data"}, ReservedBytes: 16 << 20, ShutdownTimeout: 30 * time.Second,
		LogLevel: "info", LogFormat: "text",
		Listeners: []Listener{{Name: "PLAINTEXT", Protocol: "PLAINTEXT", Host: "127.0.0.1", Port: 9092,
			Advertised: true, AdvertisedHost: "127.0.0.1", AdvertisedPort: 9092}},
		InterBrokerListener: "PLAINTEXT",
		Network: Network{
			RequestMaxBytes: 104857600, SendBufferBytes: -1, ReceiveBufferBytes: -1, ConnectionsMax: 10000, ConnectionsMaxPerIP: math.MaxInt32,
			ConnectionCreationRate: math.MaxInt32, IdleMax: 10 * time.Minute, WriteTimeout: time.Minute, DecompressionWindowMax: 32 << 20, DecompressionRecordMax: 100 << 20, DecompressionBatchMax: 1 << 30,
			QueuedBytesMax: 256 << 20, DecompressionMemoryMax: 128 << 20, OpenFilesMax: 2048, FetchMaxBytes: 55 << 20, FetchSessionSlots: 1000, FetchActivitySlots: 100_000, RequestPartitionsMax: 2000,
		},
		Admin: Admin{Address: "127.0.0.1:9644", TopicsMax: 1000, GroupsMax: 1000},
		Log: Log{
			Flush: FlushCommit, RecoveryCheckpointInterval: time.Minute, FlushInterval: time.Second, HighWatermarkInterval: 5 * time.Second,
			RetentionCheckInterval: 5 * time.Minute, IndexCacheBytes: 32 << 20,
			ProducerIDExpiration: 24 * time.Hour, ProducerIDExpirationInterval: 10 * time.Minute,
		},
		Cleaner: Cleaner{Enabled: true, Threads: 1, Backoff: 15 * time.Second, DedupeBufferBytes: 128 << 20, IOBytesPerSecond: math.MaxFloat64},
		Topics:  Topics{AutoCreate: true, DeleteEnabled: true, Partitions: 1, ReplicationFactor: 1},
		Groups: Groups{SessionTimeoutMin: 6 * time.Second, SessionTimeoutMax: 30 * time.Minute, SizeMax: math.MaxInt32, NoticeEnabled: true, JournalEnabled: true, JournalRetention: 30 * 24 * time.Hour,
			NoticeClients: []string{"apache-kafka-java:5000", "kgo:5000", "barnabas-cli:5000", "librdkafka:2500", "confluent-kafka-go:2500", "confluent-kafka-dotnet:2500", "confluent-kafka-python:2500",
				"confluent-kafka-javascript:2500", "node-rdkafka:2500"}, OffsetMetadataMax: 4096,
			OffsetsRetention: 7 * 24 * time.Hour, OffsetsCheckInterval: 10 * time.Minute, LoadBufferBytes: 5 << 20, TopicPartitions: 50, TopicReplication: 1,
			TopicSegmentBytes: 100 << 20},
	}
	if diff := cmp.Diff(want, c.Broker); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if v := c.Value("group.initial.rebalance.delay.ms"); v != "0" {
		t.Errorf("a start without a file has group.initial.rebalance.delay.ms %s", v)
	}
	if v := mustLoad(t, Args{}, "node.id=1").Value("group.initial.rebalance.delay.ms"); v != "3000" {
		t.Errorf("a start with a file has group.initial.rebalance.delay.ms %s", v)
	}
}

func TestFlagsBeatEnvironmentBeatsFileBeatsDefault(t *testing.T) {
	file := "num.partitions=2\nlog.retention.ms=20\nlog.segment.bytes=2000000\n"
	env := []string{"KAFKA_NUM_PARTITIONS=3", "KAFKA_LOG_RETENTION_MS=30", "PATH=/bin", "KAFKA_HEAP_OPTS=-Xmx1G"}
	c, warnings, err := load(t, Args{Environ: env, Set: []string{"num.partitions=4"}}, file)
	if err != nil || len(warnings) != 0 {
		t.Fatal(err, warnings)
	}
	if c.Broker.Topics.Partitions != 4 || c.Topic(nil).RetentionMs != 30 || c.Topic(nil).SegmentBytes != 2000000 {
		t.Errorf("got %+v %+v", c.Broker.Topics, c.Topic(nil))
	}
	for name, want := range map[string]string{
		"num.partitions": "flag --set", "log.retention.ms": "environment variable KAFKA_LOG_RETENTION_MS",
		"log.segment.bytes": "server.properties:3", "log.dirs": "default",
	} { // any order: independent
		if got := c.Source(name).Text; got != want {
			t.Errorf("%s came from %q, want %q", name, got, want)
		}
	}
}

func TestEveryFaultIsReportedAtOnceWithItsPlace(t *testing.T) {
	file := "num.partitions = 0\n# a comment\nlog.cleanup.policy=delete,shred\nlog.retention.hours=0\nssl.keystore.password=secret\nsocket.request.max.bytes=1000000000\nqueued.max.request.bytes=1000\n"
	_, _, err := load(t, Args{
		Environ: []string{"KAFKA_AUTO_CREATE_TOPICS_ENABLE=yes"},
		Set:     []string{"log.retension.ms=1", "retention.ms=5", "nonsense", "log.flush=sometimes"},
		Flags:   []Flag{{"--listeners", "listeners", "SSL://:9093,PLAINTEXT://0.0.0.0:9092"}, {"--admin-addr", "admin.address", "0.0.0.0:9644"}},
	}, file)
	want := `invalid configuration, 11 faults:
  --set=nonsense: must be name=value
  admin.address=0.0.0.0:9644 (flag --admin-addr): is not a loopback address: the admin port has no authentication and would show the console (topic and group names, members with their client ids and addresses, offsets, lag, every rebalance) and metrics to everyone who reaches it; set admin.allow.remote=true if that is wanted
  auto.create.topics.enable=yes (environment variable KAFKA_AUTO_CREATE_TOPICS_ENABLE): must be true or false
  listeners=SSL://:9093,PLAINTEXT://0.0.0.0:9092 (flag --listeners): listener SSL wants SSL, which is not built yet; only PLAINTEXT is
  listeners=SSL://:9093,PLAINTEXT://0.0.0.0:9092 (flag --listeners): listener PLAINTEXT binds 0.0.0.0, which no client can connect to; set advertised.listeners to the address clients use, such as PLAINTEXT://localhost:9092
  log.cleanup.policy=delete,shred (server.properties:3): each item must be one of compact, delete
  log.flush=sometimes (flag --set): must be one of commit, interval, never
  log.retension.ms (flag --set): there is no such setting; did you mean log.retention.ms?
  log.retention.hours=0 (server.properties:4): must be -1, or at least 1
  num.partitions=0 (server.properties:1): must be at least 1
  queued.max.request.bytes=1000 (server.properties:7): must be -1 or at least socket.request.max.bytes, which is 1000000000: no request of that size could ever be read
  retention.ms (flag --set): it belongs to topics, not to the broker; its default for all topics is log.retention.ms`
	if diff := cmp.Diff(strings.Replace(want, "11 faults", "12 faults", 1), errText(err)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	var e *Error
	if !errors.As(err, &e) || len(e.Faults) != 12 {
		t.Errorf("the error is a %T", err)
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestServerPropertiesOfAKRaftNodeLoads(t *testing.T) {
	file := `process.roles=broker,controller
node.id=7
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://kafka.example:9092,CONTROLLER://kafka.example:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
num.network.threads=3
socket.send.buffer.bytes=102400
log.dirs=/tmp/a, /tmp/b
num.recovery.threads.per.data.dir=1
offsets.topic.replication.factor=1
log.retention.hours=24
log.segment.bytes=1073741824
zookeeper.connect=zk:2181
confluent.license.topic=x
log.rentention.bytes=5
`
	c, warnings, err := load(t, Args{}, file)
	if err != nil {
		t.Fatal(err)
	}
	want := []Listener{{Name: "PLAINTEXT", Protocol: "PLAINTEXT", Port: 9092, Advertised: true, AdvertisedHost: "kafka.example", AdvertisedPort: 9092}}
	if diff := cmp.Diff(want, c.Broker.Listeners); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if diff := cmp.Diff([]string{"/tmp/a", "/tmp/b"}, c.Broker.LogDirs); diff != "" || c.Broker.NodeID != 7 || c.Broker.MetadataDir != "" {
		t.Errorf("%s %+v", diff, c.Broker)
	}
	if c.Topic(nil).RetentionMs != 24*3600*1000 {
		t.Errorf("retention is %d ms", c.Topic(nil).RetentionMs)
	}
	var got []string
	for _, w := range warnings {
		got = append(got, w.String())
	}
	wantWarnings := []string{
		"confluent.license.topic (server.properties:17): unknown setting, ignored",
		"controller.quorum.bootstrap.servers (server.properties:3): accepted without effect: " + noKRaft,
		"listeners (server.properties:4): listener CONTROLLER is for a KRaft controller and is not opened: " + noKRaft,
		"log.rentention.bytes (server.properties:18): unknown setting, ignored; did you mean log.retention.bytes?",
		"process.roles (server.properties:1): accepted without effect: " + noKRaft,
		"zookeeper.connect (server.properties:16): accepted without effect: there is no ZooKeeper",
	}
	if diff := cmp.Diff(wantWarnings, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestContainerEnvironment(t *testing.T) {
	c := mustLoad(t, Args{Environ: []string{
		"CLUSTER_ID=4L6g3nShT-eMCtK--X86sw", "KAFKA_NODE_ID=3", "KAFKA_ADVERTISED_LISTENERS=PLAINTEXT_HOST://localhost:9092,PLAINTEXT://broker:19092",
		"KAFKA_LISTENER_SECURITY_PROTOCOL_MAP=PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT", "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS=0",
		"KAFKA_INTER_BROKER_LISTENER_NAME=PLAINTEXT", "KAFKA_ADMIN_ADDRESS=0.0.0.0:9644", "KAFKA_ADMIN_ALLOW_REMOTE=true",
	}}, "")
	want := []Listener{
		{Name: "PLAINTEXT_HOST", Protocol: "PLAINTEXT", Host: "0.0.0.0", Port: 9092, Advertised: true, AdvertisedHost: "localhost", AdvertisedPort: 9092},
		{Name: "PLAINTEXT", Protocol: "PLAINTEXT", Host: "0.0.0.0", Port: 19092, Advertised: true, AdvertisedHost: "broker", AdvertisedPort: 19092},
	}
	if diff := cmp.Diff(want, c.Broker.Listeners); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if c.Broker.ClusterID != "4L6g3nShT-eMCtK--X86sw" || c.Broker.NodeID != 3 || c.Broker.InterBrokerListener != "PLAINTEXT" || c.Broker.Admin.Address != "0.0.0.0:9644" {
		t.Errorf("got %+v", c.Broker)
	}
}

func TestEnvironmentNames(t *testing.T) {
	for variable, want := range map[string]string{
		"KAFKA_LOG_RETENTION_MS": "log.retention.ms", "KAFKA_A__B_C": "a_b.c", "KAFKA_A___B": "a-b", "KAFKA_HEAP_OPTS": "", "KAFKA_": "", "HOME": "", "KAFKA_A____B": "a-.b",
	} { // any order: independent
		if got, _ := settingOfEnv(variable); got != want {
			t.Errorf("%s names %q, want %q", variable, got, want)
		}
	}
	for i := range brokerTable.rows {
		name := brokerTable.rows[i].Name
		if got, ok := settingOfEnv(EnvName(name)); !ok || got != name {
			t.Errorf("%s -> %s -> %s", name, EnvName(name), got)
		}
	}
}

func TestListeners(t *testing.T) {
	const m = "listener.security.protocol.map=A:PLAINTEXT,B:PLAINTEXT,PLAINTEXT:PLAINTEXT,S:SASL_SSL,CONTROLLER:PLAINTEXT\n"
	for _, c := range []struct{ name, file, want string }{
		{"an empty host is advertised as the host name", "listeners=PLAINTEXT://:9092", "PLAINTEXT :9092 as box:9092"},
		{"names are put into capitals", m + "listeners=a://localhost:1,b://localhost:2", "A localhost:1 as localhost:1; B localhost:2 as localhost:2"},
		{"IPv6 in brackets", "listeners=PLAINTEXT://[::1]:9092", "PLAINTEXT [::1]:9092 as [::1]:9092"},
		{"every address with an advertised one", "listeners=PLAINTEXT://0.0.0.0:9092\nadvertised.listeners=PLAINTEXT://h:1", "PLAINTEXT 0.0.0.0:9092 as h:1"},
		{"every address without an advertised one", "listeners=PLAINTEXT://0.0.0.0:9092", "binds 0.0.0.0, which no client can connect to"},
		{"every IPv6 address without an advertised one", "listeners=PLAINTEXT://[::]:9092", "binds ::, which no client can connect to"},
		{"advertising every address", "listeners=PLAINTEXT://:9092\nadvertised.listeners=PLAINTEXT://0.0.0.0:9092", "advertises 0.0.0.0, which no client can connect to"},
		{"advertising an unknown name", "advertised.listeners=B://h:1\n" + m, "B is not among listeners"},
		{"advertising a name twice", "advertised.listeners=PLAINTEXT://h:1,PLAINTEXT://h:2", "PLAINTEXT is advertised twice"},
		{"one of two is not advertised", m + "listeners=A://:1,B://:2\nadvertised.listeners=A://h:1", "A :1 as h:1; B :2 hidden"},
		{"a name without protocol", "listeners=EXTERNAL://:9092", "add EXTERNAL:PLAINTEXT to listener.security.protocol.map"},
		{"a SASL listener under another name", m + "listeners=S://:9092", "listener S wants SASL_SSL, which is not built yet"},
		{"one name twice", "listeners=PLAINTEXT://:1,PLAINTEXT://:2", "two listeners are named PLAINTEXT"},
		{"one port twice", m + "listeners=A://h:1,B://h:1", "A and B want the same address h:1"},
		{"one port for IPv4 and IPv6", m + "listeners=A://0.0.0.0:1,B://[::]:1\nadvertised.listeners=A://h:1,B://h:1", "A 0.0.0.0:1 as h:1; B [::]:1 as h:1"},
		{"port 0 twice", m + "listeners=A://h:0,B://h:0", "A h:0 as h:0; B h:0 as h:0"},
		{"no port", "listeners=PLAINTEXT://h", "has no port; write PLAINTEXT://h:9092"},
		{"a wrong port", "listeners=PLAINTEXT://h:99999", "has no port from 0 to 65535"},
		{"no name", "listeners=localhost:9092", "is not NAME://host:port"},
		{"IPv6 without brackets", "listeners=PLAINTEXT://::1:9092", "needs brackets"},
		{"empty", "listeners=", "there is no listener for clients"},
		{"only a controller", m + "listeners=CONTROLLER://:9093\ncontroller.listener.names=CONTROLLER", "there is no listener for clients"},
		{"only the controller role", "process.roles=controller", "no node that serves as controller only"},
		{"a wrong map", "listener.security.protocol.map=A", `"A" is not NAME:PROTOCOL`},
		{"a wrong protocol", "listener.security.protocol.map=A:TLS", "names no protocol"},
		{"an unknown inter-broker listener", "inter.broker.listener.name=X", "X is not among listeners"},
		{"default listener", "num.partitions=1", "PLAINTEXT 127.0.0.1:9092 as 127.0.0.1:9092"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, _, err := load(t, Args{}, c.file)
			if err != nil {
				if !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want %s", err, c.want)
				}
				return
			}
			var got []string
			for _, l := range cfg.Broker.Listeners {
				s := l.Name + " " + l.Address() + " hidden"
				if l.Advertised {
					s = l.Name + " " + l.Address() + " as " + l.AdvertisedAddress()
				}
				got = append(got, s)
			}
			if strings.Join(got, "; ") != c.want {
				t.Errorf("got %s, want %s", strings.Join(got, "; "), c.want)
			}
		})
	}
}

func TestSingleSettings(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"two ids that agree", "node.id=4\nbroker.id=4", ""},
		{"two ids that differ", "node.id=4\nbroker.id=5", "broker.id=5 (server.properties:2): differs from node.id, which is 4"},
		{"a negative id", "node.id=-4", "must be at least 0"},
		{"no data directory", "log.dirs=\nlog.dir=", "log.dir (server.properties:2): names no directory"},
		{"one directory twice", "log.dirs=/a,/a", "names /a twice"},
		{"an authorizer", "authorizer.class.name=org.Foo", "ACLs are not built yet"},
		{"tiered storage", "remote.log.storage.system.enable=true", "tiered storage is not part of Barnabas"},
		{"compaction lags that contradict", "log.cleaner.min.compaction.lag.ms=10\nlog.cleaner.max.compaction.lag.ms=5", "log.cleaner.min.compaction.lag.ms=10 (server.properties:1): must not be above max.compaction.lag.ms, which is 5"},
		{"nobody may connect", "max.connections.per.ip=0", "may be 0 only together with"},
		{"some may connect", "max.connections.per.ip=0\nmax.connections.per.ip.overrides=127.0.0.1:5,[::1]:6", ""},
		{"a wrong override", "max.connections.per.ip.overrides=127.0.0.1", "is not host:count"},
		{"a request limit above the queue's default", "socket.request.max.bytes=1000000000", ""},
		{"a number too large for its type", "num.partitions=3000000000", "must be a whole number (int) from -2147483648 to 2147483647"},
		{"a short too large for its type", "offsets.topic.replication.factor=40000", "must be a whole number (short) from -32768 to 32767"},
		{"text for a number", "log.retention.ms=1h", "must be a whole number (long)"},
		{"not a number", "log.cleaner.min.cleanable.ratio=NaN", "must be a number such as 0.5"},
		{"a ratio above 1", "log.cleaner.min.cleanable.ratio=1.5", "must be from 0 to 1"},
		{"a load factor of 0", "log.cleaner.io.buffer.load.factor=0", "must be above 0 and at most 1"},
		{"a codec that does not exist", "compression.type=brotli", "must be one of producer, uncompressed, gzip, snappy, lz4, zstd"},
		{"a gzip level", "compression.gzip.level=0", "must be -1, or from 1 to 9"},
		{"admin off", "admin.address=", ""},
		{"admin on IPv6 loopback", "admin.address=[::1]:9644", ""},
		{"admin without port", "admin.address=localhost", "must be host:port"},
		{"a broken escape", "a=b\nlog.dirs=C:\\users", "--config (server.properties:2): \\u must be followed by four hexadecimal digits"},
		{"capitals in a mode", "log.flush=COMMIT", ""},
		{"spaces around values", "num.partitions =  12  ", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := load(t, Args{}, c.file)
			if c.want == "" && err != nil || !strings.Contains(errText(err), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestOldNameBrokerIDIsTheNodeID(t *testing.T) {
	c := mustLoad(t, Args{}, "broker.id=9")
	if c.Broker.NodeID != 9 || c.Value("node.id") != "9" {
		t.Errorf("got %d, %s", c.Broker.NodeID, c.Value("node.id"))
	}
}

func TestEphemeralTakesFreePorts(t *testing.T) {
	c, _, err := Load(Args{Ephemeral: true})
	if err != nil {
		t.Fatal(err)
	}
	if b := c.Broker; !b.Ephemeral || len(b.LogDirs) != 0 || b.MetadataDir != "" || b.Listeners[0].Address() != "127.0.0.1:0" || b.Admin.Address != "127.0.0.1:0" {
		t.Errorf("got %+v", b)
	}
	c, _, err = Load(Args{Ephemeral: true, Flags: []Flag{{"--listeners", "listeners", "PLAINTEXT://127.0.0.1:5"}, {"--data-dir", "log.dirs", "/x"}}})
	if err != nil || c.Broker.Listeners[0].Port != 5 || c.Broker.LogDirs[0] != "/x" {
		t.Errorf("given settings do not count: %v %+v", err, c)
	}
}

func TestTwoFlagsForOneSetting(t *testing.T) {
	_, _, err := Load(Args{Flags: []Flag{{"--data-dir", "log.dirs", "/a"}}, Set: []string{"log.dirs=/b"}})
	if want := "given before by flag --data-dir as /a"; !strings.Contains(errText(err), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestTheFileIsReadFromDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.properties")
	if err := os.WriteFile(path, []byte("num.partitions=5\nnum.partitions=6\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, warnings, err := Load(Args{ConfigFile: path})
	if err != nil || c.Broker.Topics.Partitions != 6 {
		t.Fatal(err, c)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0].Text, path+":1; this one counts") {
		t.Errorf("got warnings %v", warnings)
	}
	if _, _, err = Load(Args{ConfigFile: path + ".missing"}); !strings.Contains(errText(err), "the file cannot be read") {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(path, make([]byte, maxConfigFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err = Load(Args{ConfigFile: path}); !strings.Contains(errText(err), "larger than 1048576 bytes") {
		t.Errorf("got %v", err)
	}
}

func TestDurationsSaturate(t *testing.T) {
	c := mustLoad(t, Args{}, "connections.max.idle.ms=-1\nlog.retention.check.interval.ms=9223372036854775807")
	if c.Broker.Network.IdleMax >= 0 || c.Broker.Log.RetentionCheckInterval != math.MaxInt64 {
		t.Errorf("got %v, %v", c.Broker.Network.IdleMax, c.Broker.Log.RetentionCheckInterval)
	}
}
