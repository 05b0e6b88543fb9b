package config

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// Broker is the settings of this broker as the rooms use them. Each tag names the setting, whose row in the tables says meaning,
// default and range. A time.Duration is -1 where the setting is negative (no limit) and the longest one where Kafka writes the
// largest long (never).
type Broker struct {
	// NodeID is node.id, or broker.id when only that is given.
	NodeID    kafka.NodeID
	Rack      string `config:"broker.rack"`
	ClusterID string `config:"cluster.id"`
	// LogDirs is log.dirs, or log.dir; empty for an ephemeral broker without either: the caller makes a temporary directory.
	LogDirs []string
	// MetadataDir is metadata.log.dir; "" when the metadata are in one of LogDirs.
	MetadataDir     string
	ReservedBytes   int64         `config:"log.dirs.reserved.bytes"`
	ShutdownTimeout time.Duration `config:"shutdown.timeout.ms"`
	LogLevel        string        `config:"log.level"`
	LogFormat       string        `config:"log.format"`
	Ephemeral       bool

	// Listeners in the order of listeners; at least one. They do not change while the broker runs.
	Listeners           []Listener
	InterBrokerListener string

	Network Network
	Admin   Admin
	Log     Log
	Cleaner Cleaner
	Topics  Topics
	Groups  Groups
}

// Network bounds what clients can make the broker hold.
type Network struct {
	RequestMaxBytes           int32         `config:"socket.request.max.bytes"`
	SendBufferBytes           int32         `config:"socket.send.buffer.bytes"`
	ReceiveBufferBytes        int32         `config:"socket.receive.buffer.bytes"`
	ConnectionsMax            int32         `config:"max.connections"`
	ConnectionsMaxPerIP       int32         `config:"max.connections.per.ip"`
	ConnectionsPerIPOverrides []IPOverride  // max.connections.per.ip.overrides
	ConnectionCreationRate    int32         `config:"max.connection.creation.rate"`
	IdleMax                   time.Duration `config:"connections.max.idle.ms"`
	WriteTimeout              time.Duration `config:"connection.write.timeout.ms"`
	QueuedBytesMax            int64         `config:"queued.max.request.bytes"`
	DecompressionWindowMax    int32         `config:"decompression.window.max.bytes"`
	DecompressionRecordMax    int32         `config:"decompression.record.max.bytes"`
	DecompressionBatchMax     int64         `config:"decompression.batch.max.bytes"`
	DecompressionMemoryMax    int64         `config:"decompression.memory.max.bytes"`
	OpenFilesMax              int32         `config:"open.files.max"`
	FetchMaxBytes             int32         `config:"fetch.max.bytes"`
	FetchSessionSlots         int32         `config:"max.incremental.fetch.session.cache.slots"`
	FetchActivitySlots        int32         `config:"fetch.activity.cache.slots"`
	RequestPartitionsMax      int32         `config:"max.request.partition.size.limit"`
}

// Admin is the HTTP port.
type Admin struct {
	Address     string `config:"admin.address"`
	AllowRemote bool   `config:"admin.allow.remote"`
	Pprof       bool   `config:"admin.pprof.enable"`
	TopicsMax   int32  `config:"metrics.topics.max"`
	GroupsMax   int32  `config:"metrics.groups.max"`
}

// FlushMode is log.flush.
type FlushMode string

// The values of log.flush.
const (
	FlushCommit   FlushMode = "commit"
	FlushInterval FlushMode = "interval"
	FlushNever    FlushMode = "never"
)

// Log is what all logs share; what a topic can override is in TopicConfig.
type Log struct {
	// FlushInterval is how often FlushInterval flushes: log.flush.interval.ms, else log.flush.scheduler.interval.ms, else a second.
	FlushInterval              time.Duration
	Flush                      FlushMode     `config:"log.flush"`
	RecoveryCheckpointInterval time.Duration `config:"log.flush.offset.checkpoint.interval.ms"`
	HighWatermarkInterval      time.Duration `config:"replica.high.watermark.checkpoint.interval.ms"`
	RetentionCheckInterval     time.Duration `config:"log.retention.check.interval.ms"`
	IndexCacheBytes            int64         `config:"log.index.cache.bytes"`
	// RecoveryThreadsPerDir 0 is twice the processors.
	RecoveryThreadsPerDir        int32         `config:"num.recovery.threads.per.data.dir"`
	ProducerIDExpiration         time.Duration `config:"producer.id.expiration.ms"`
	ProducerIDExpirationInterval time.Duration `config:"producer.id.expiration.check.interval.ms"`
}

// Cleaner is compaction.
type Cleaner struct {
	Enabled           bool          `config:"log.cleaner.enable"`
	Threads           int32         `config:"log.cleaner.threads"`
	Backoff           time.Duration `config:"log.cleaner.backoff.ms"`
	DedupeBufferBytes int64         `config:"log.cleaner.dedupe.buffer.size"`
	IOBytesPerSecond  float64       `config:"log.cleaner.io.max.bytes.per.second"`
}

// Topics is how topics come and go.
type Topics struct {
	AutoCreate        bool  `config:"auto.create.topics.enable"`
	DeleteEnabled     bool  `config:"delete.topic.enable"`
	Partitions        int32 `config:"num.partitions"`
	ReplicationFactor int32 `config:"default.replication.factor"`
}

// Groups is the group coordinator and the topic it writes to.
type Groups struct {
	SessionTimeoutMin     time.Duration `config:"group.min.session.timeout.ms"`
	SessionTimeoutMax     time.Duration `config:"group.max.session.timeout.ms"`
	InitialRebalanceDelay time.Duration `config:"group.initial.rebalance.delay.ms"`
	SizeMax               int32         `config:"group.max.size"`
	NoticeEnabled         bool          `config:"group.prompt.notice.enable"`
	NoticeClients         []string      `config:"group.prompt.notice.clients"` // see ParseNoticeClient
	JournalEnabled        bool          `config:"rebalances.journal.enable"`
	JournalRetention      time.Duration `config:"rebalances.retention.ms"`
	OffsetMetadataMax     int32         `config:"offset.metadata.max.bytes"`
	OffsetsRetention      time.Duration `config:"offsets.retention.minutes"`
	OffsetsCheckInterval  time.Duration `config:"offsets.retention.check.interval.ms"`
	LoadBufferBytes       int32         `config:"offsets.load.buffer.size"`
	TopicPartitions       int32         `config:"offsets.topic.num.partitions"`
	TopicReplication      int32         `config:"offsets.topic.replication.factor"`
	TopicSegmentBytes     int32         `config:"offsets.topic.segment.bytes"`
	TopicCodec            int32         `config:"offsets.topic.compression.codec"`
}

// Config is all settings of a broker at one moment. It never changes; a dynamic change makes a new one.
type Config struct {
	// Broker is the typed view.
	Broker Broker

	static        map[string]string // given at the start
	defaults      map[string]string // built-in defaults bent by how the broker was started
	dynamicBroker map[string]string
	dynamicAll    map[string]string
	sources       map[string]Where
}

// build makes the Config of a start; on faults its result is not used.
func (l *loader) build() *Config {
	c := &Config{static: map[string]string{}, defaults: l.bent(), sources: map[string]Where{}}
	for _, name := range l.names() {
		c.static[name] = l.values[name].value
		c.sources[name] = l.values[name].where
	}
	request, _ := strconv.ParseInt(c.Value("socket.request.max.bytes"), 10, 64)
	queued, _ := strconv.ParseInt(c.Value("queued.max.request.bytes"), 10, 64)
	if queued > 0 && queued < request {
		if _, isGiven := c.static["queued.max.request.bytes"]; isGiven {
			l.fault("queued.max.request.bytes", fmt.Sprintf("must be -1 or at least socket.request.max.bytes, which is %d: no request of that size could ever be read", request))
		}
		c.defaults["queued.max.request.bytes"] = strconv.FormatInt(request, 10)
	}
	b := &c.Broker
	c.fill()
	b.Ephemeral = l.args.Ephemeral
	l.identity(c)
	l.buildListeners(b)
	if roles := splitList(c.Value("process.roles")); len(roles) > 0 && !slices.Contains(roles, "broker") {
		l.fault("process.roles", "there is no node that serves as controller only; use broker, or leave it out")
	}
	if b.Network.ConnectionsMaxPerIP == 0 && len(b.Network.ConnectionsPerIPOverrides) == 0 {
		l.fault("max.connections.per.ip", "may be 0 only together with max.connections.per.ip.overrides, or nobody could connect")
	}
	if b.Admin.Address != "" && !b.Admin.AllowRemote && !loopback(b.Admin.Address) {
		l.fault("admin.address", "is not a loopback address: the admin port has no authentication and would show the console (topic and group names, members with their client ids and addresses, offsets, lag, every rebalance) and metrics to everyone who reaches it; set admin.allow.remote=true if that is wanted")
	}
	if b.Groups.SessionTimeoutMax < b.Groups.SessionTimeoutMin {
		l.fault("group.max.session.timeout.ms", "must be at least group.min.session.timeout.ms, which is "+c.Value("group.min.session.timeout.ms"))
	}
	if err := c.crossCheckTopic(nil); err != nil && len(l.faults) == 0 {
		f := err.Faults[0]
		row := topicTable.byName[f.Name]
		l.fault(row.Synonyms[0].Name, f.Reason)
	}
	return c
}

func (l *loader) identity(c *Config) {
	b := &c.Broker
	node, nodeGiven := c.static["node.id"]
	broker, brokerGiven := c.static["broker.id"]
	switch {
	case nodeGiven && brokerGiven && broker != "-1" && node != broker:
		l.fault("broker.id", "differs from node.id, which is "+node+"; give one of them")
	case !nodeGiven && brokerGiven && broker != "-1":
		c.defaults["node.id"] = broker
		node = broker
	case !nodeGiven:
		node = c.Value("node.id")
	}
	n, _ := strconv.ParseInt(node, 10, 32)
	b.NodeID = kafka.NodeID(n)

	b.LogDirs = splitList(c.Value("log.dirs"))
	name := "log.dirs"
	if len(b.LogDirs) == 0 {
		name = "log.dir"
		b.LogDirs = splitList(c.Value("log.dir"))
	}
	if len(b.LogDirs) == 0 && !b.Ephemeral {
		l.fault(name, "names no directory")
	}
	seen := map[string]bool{}
	for _, dir := range b.LogDirs {
		if seen[dir] {
			l.fault(name, fmt.Sprintf("names %s twice", dir))
		}
		seen[dir] = true
	}
	b.MetadataDir = c.Value("metadata.log.dir")
}

// Value is the effective text of a broker setting: dynamic for this broker, dynamic for all, static, default; "" when it has none.
func (c *Config) Value(name string) string {
	v, _ := c.lookup(name)
	return v
}

func (c *Config) lookup(name string) (string, bool) {
	if v, ok := c.given(name); ok {
		return v, true
	}
	return c.defaultOf(name)
}

// given is the effective value without the default.
func (c *Config) given(name string) (string, bool) {
	for _, layer := range []map[string]string{c.dynamicBroker, c.dynamicAll, c.static} {
		if v, ok := layer[name]; ok {
			return v, true
		}
	}
	return "", false
}

func (c *Config) defaultOf(name string) (string, bool) {
	if v, ok := c.defaults[name]; ok {
		return v, true
	}
	if row := brokerTable.byName[name]; row != nil && row.HasDefault {
		return row.Default, true
	}
	return "", false
}

// Source is where the static value of a setting came from.
func (c *Config) Source(name string) Where {
	if w, ok := c.sources[name]; ok {
		return w
	}
	return Where{FromDefault, "default"}
}

// fill sets every tagged field of c.Broker from the effective values, which were checked when they came in.
func (c *Config) fill() {
	fillStruct(reflect.ValueOf(&c.Broker).Elem(), brokerTable, func(name string) string { return c.Value(name) })
	c.Broker.Log.FlushInterval = time.Second
	for _, name := range []string{"log.flush.scheduler.interval.ms", "log.flush.interval.ms"} {
		if v, ok := c.given(name); ok {
			n, _ := strconv.ParseInt(v, 10, 64)
			c.Broker.Log.FlushInterval = max(duration(n, "ms"), time.Millisecond)
		}
	}
	c.Broker.Network.ConnectionsPerIPOverrides, _ = parseIPOverrides(c.Value("max.connections.per.ip.overrides"))
}

// fillStruct sets the fields of v that carry a config tag, going into nested structs.
func fillStruct(v reflect.Value, t *table, value func(string) string) {
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Tag.Get("config")
		if name == "" {
			if f.Kind() == reflect.Struct {
				fillStruct(f, t, value)
			}
			continue
		}
		row := t.byName[name]
		if row == nil {
			panic("config: no row for the tag " + name)
		}
		text := value(name)
		switch f.Interface().(type) {
		case time.Duration:
			n, _ := strconv.ParseInt(text, 10, 64)
			f.SetInt(int64(duration(n, row.Unit())))
			continue
		}
		switch f.Kind() {
		case reflect.Bool:
			f.SetBool(text == "true")
		case reflect.Int32, reflect.Int64:
			n, _ := strconv.ParseInt(text, 10, 64)
			f.SetInt(n)
		case reflect.Float64:
			x, _ := strconv.ParseFloat(text, 64)
			f.SetFloat(x)
		case reflect.String:
			f.SetString(text)
		case reflect.Slice:
			f.Set(reflect.ValueOf(splitList(text)))
		default:
			panic("config: no way to fill a " + f.Kind().String() + " for " + name)
		}
	}
}

// WithDynamic is the configuration under new dynamic settings: those of this broker and those of all brokers. Values that do not
// fit, left by another version perhaps, are left out with a warning: a stored setting must not stop a broker.
func (c *Config) WithDynamic(thisBroker, allBrokers map[string]string) (*Config, []Warning) {
	n := *c
	var warnings []Warning
	accept := func(in map[string]string, perBroker bool) map[string]string {
		out := map[string]string{}
		for _, name := range slices.Sorted(maps.Keys(in)) {
			value, f := checkDynamic(name, in[name], perBroker)
			if f != nil {
				warnings = append(warnings, Warning{name, "dynamic configuration", f.Reason + "; it is left out"})
				continue
			}
			out[name] = value
		}
		return out
	}
	n.dynamicBroker, n.dynamicAll = accept(thisBroker, true), accept(allBrokers, false)
	if err := n.crossCheckTopic(nil); err != nil {
		warnings = append(warnings, Warning{err.Faults[0].Name, "dynamic configuration", err.Faults[0].Reason})
	}
	n.fill()
	return &n, warnings
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
