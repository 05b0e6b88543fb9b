package config

// Reasons that more than one row gives.
const (
	oneProcess       = "Barnabas serves requests with goroutines, there is no pool to size"
	noConsumerGroups = "waits for groups of the consumer protocol (KIP-848), which are not built yet"
	noLinger         = "the coordinator writes at once what there is, and gathers the rest while that is on its way to the disk; its buffers grow and shrink with it"
	noTxns           = "waits for the transaction coordinator, which is not built yet"
	noShare          = "waits for share groups, which are not built yet"
	noReplicas       = "waits for replication between brokers, which is not built yet"
	noSecurity       = "waits for TLS and SASL, which are not built yet"
	noKRaft          = "Barnabas keeps its metadata in a store of its own, there is no KRaft quorum"
	noTiering        = "tiered storage is not part of Barnabas"
	noJVM            = "belongs to the Java process of Apache Kafka"
	noQuotas         = "waits for quotas, which are not built yet"
	noDelay          = "Barnabas completes waiting requests at the event that ends them, there is no purgatory to sweep"
	cleanerSizes     = "the cleaner sizes its map and buffers to what it compacts, within log.cleaner.dedupe.buffer.size"
	singleBroker     = "a single broker can hold one replica only; a cluster raises it"
)

// identityRows: who this broker is and where its data lies.
var identityRows = []Definition{
	d("node.id", Int, "1", High, "The number that names this broker in the cluster. It is written into the data directory and must not change afterwards.").
		atLeast(0).differs("none", "Kafka demands it; a single broker needs no thought about it"),
	d("broker.id", Int, "-1", High, "Older name of node.id, used when node.id is not set. When both are set they must agree.").atLeast(0).or(-1),
	d("broker.rack", String, null, Medium, "Where the broker stands, told to clients in metadata and used to spread replicas."),
	d("cluster.id", String, null, Medium, "The id of the cluster: 16 bytes as 22 characters of URL-safe base64. Without it a random one is made on the first start. A data directory of another cluster is refused. The environment variable CLUSTER_ID of Kafka's container images sets it too.").
		ours().must("22 characters of URL-safe base64, or a name of up to 64 letters, digits, '_' and '-'", checkClusterID),
	d("log.dirs", List, null, High, "The directories that hold the partitions, separated by commas. A new partition goes to the one with the fewest. The flag --data-dir sets it."),
	d("log.dir", List, "./barnabas-data", High, "The directory that holds the partitions when log.dirs is not set.").
		differs("/tmp/kafka-logs", "a system that empties /tmp must not delete records"),
	d("metadata.log.dir", String, null, High, "The directory of the metadata store. When not set it is the one of log.dirs that has a meta.db, else the first."),
	d("log.dirs.reserved.bytes", Long, "16777216", Medium, "How much free space of each log directory is kept for metadata, checkpoints and truncation. With less free than this, appends are refused while everything else goes on.").
		ours().atLeast(0),
	d("cordoned.log.dirs", List, "", Medium, "Log directories that get no new partitions.").perBroker().noEffect("all log directories take new partitions"),
	d("log.dir.failure.timeout.ms", Long, "30000", Low, "How long a broker may fail to tell the controller of a failed log directory before it stops.").
		atLeast(1).noEffect(noReplicas),
	d("shutdown.timeout.ms", Long, "30000", Medium, "How long an orderly stop may take: requests in flight, flush, clean marker. After it the broker ends without the marker and recovers at the next start.").
		ours().atLeast(0),
	d("log.level", String, "info", Medium, "How much the broker logs.").ours().oneOf("debug", "info", "warn", "error").foldCase(),
	d("log.format", String, "text", Low, "How log lines look: text for people, json for programs.").ours().oneOf("text", "json").foldCase(),
}

// networkRows: listeners, sockets and the limits that keep one client from hurting the others.
var networkRows = []Definition{
	d("listeners", List, "PLAINTEXT://127.0.0.1:9092", High, "Where the broker accepts Kafka clients: NAME://host:port, separated by commas. An empty host or 0.0.0.0 means every IPv4 and IPv6 address; port 0 picks a free one. SSL and SASL listeners are refused, as they are not built yet.").
		differs("PLAINTEXT://:9092", "without authentication the broker must not be open to the network by accident"),
	d("advertised.listeners", List, null, High, "The addresses told to clients, same form and names as listeners; the listeners themselves when not set. 0.0.0.0 cannot be advertised. A listener with an empty host and no advertised address is advertised as the host name of the machine."),
	d("listener.security.protocol.map", String, "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT", Low, "Which security protocol each listener name speaks: NAME:PROTOCOL, separated by commas."),
	d("inter.broker.listener.name", String, null, Medium, "The listener that brokers use among themselves; the first one when not set."),
	d("security.inter.broker.protocol", String, "PLAINTEXT", Medium, "The security protocol between brokers; superseded by inter.broker.listener.name.").
		oneOf("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL").noEffect(noReplicas),
	d("early.start.listeners", List, null, High, "Listeners that open before the authorizer is ready.").noEffect("all listeners open together, once the logs are recovered"),
	d("socket.request.max.bytes", Int, "104857600", High, "The largest request. A longer size prefix closes the connection before any memory is taken for it.").atLeast(1),
	d("socket.send.buffer.bytes", Int, "-1", High, "Size of the socket's send buffer; -1 leaves it to the operating system.").
		atLeast(-1).differs("102400", "the system sizes buffers to the connection, a fixed size stops that"),
	d("socket.receive.buffer.bytes", Int, "-1", High, "Size of the socket's receive buffer; -1 leaves it to the operating system.").
		atLeast(-1).differs("102400", "the system sizes buffers to the connection, a fixed size stops that"),
	d("socket.listen.backlog.size", Int, "50", Medium, "Length of the queue of connections not yet accepted.").atLeast(1).noEffect("the operating system's limit is used"),
	d("max.connections", Int, "10000", Medium, "How many connections the broker holds at the same time over all listeners. One more is closed at once. With 0 or 1, which would shut out the tools that could set it again, four more are let in from the broker's own machine (loopback). The limit of open files (ulimit -n) may allow fewer; the broker says so when it starts.").
		atLeast(0).cluster().differs("2147483647", "a connection costs memory, so their number has a bound"),
	d("max.connections.per.ip", Int, "2147483647", Medium, "How many connections one address may hold. One more is closed at once.").atLeast(0).cluster(),
	d("max.connections.per.ip.overrides", String, "", Medium, "Exceptions from max.connections.per.ip: host:count, separated by commas, such as 10.0.0.7:200,[::1]:500.").cluster().
		must("host:count pairs separated by commas", func(s string) string { _, wrong := parseIPOverrides(s); return wrong }),
	d("max.connection.creation.rate", Int, "2147483647", Medium, "How many connections a second are accepted over all listeners; more wait.").atLeast(0).cluster(),
	d("connections.max.idle.ms", Long, "600000", Medium, "A connection without a request for so long is closed; -1 never. A request that waits counts as activity.").atLeast(-1),
	d("connection.write.timeout.ms", Long, "60000", Medium, "A client that takes no byte of its answer for so long is disconnected, so that it cannot pin files and memory.").ours().atLeast(1),
	d("connection.failed.authentication.delay.ms", Int, "100", Low, "How long the broker waits before it closes a connection that failed to authenticate.").atLeast(0).noEffect(noSecurity),
	d("queued.max.requests", Int, "500", High, "How many requests may wait for a thread.").atLeast(1).noEffect("there is no queue between network and request threads: a connection has one request being worked on, max.connections bounds connections, queued.max.request.bytes their memory"),
	d("queued.max.request.bytes", Long, "268435456", Medium, "How much memory requests may hold that are read but not yet answered; -1 is no bound. While it is used up, no further request is read.").
		atLeast(1).or(-1).differs("-1", "the memory of the broker has a bound that a setting names"),
	d("decompression.memory.max.bytes", Long, "134217728", Medium, "How much memory all checks of compressed batches may hold together. A check that would exceed it waits.").ours().atLeast(1048576),
	d("decompression.window.max.bytes", Int, "33554432", Low, "The most decompressed data one check may have to hold at once: a snappy block, or the window a zstd frame refers back to (levels 20 to 22 ask for 32 to 128 MiB).").ours().atLeast(65536),
	d("decompression.record.max.bytes", Int, "104857600", Low, "The largest record inside a compressed batch.").ours().atLeast(1024),
	d("decompression.batch.max.bytes", Long, "1073741824", Low, "How much one batch may decompress to. It bounds the time a batch can take, not memory.").ours().atLeast(1048576),
	d("open.files.max", Int, "2048", Medium, "How many segment files may be open; the least used are closed above it. Files in use or not yet flushed stay open. The process limit (ulimit -n) must leave room for this and max.connections.").ours().atLeast(64),
	d("fetch.max.bytes", Int, "57671680", Medium, "The most bytes of one fetch answer, whatever the client asks for. The first batch is sent even when it is larger.").atLeast(1024),
	d("max.incremental.fetch.session.cache.slots", Int, "1000", Medium, "How many incremental fetch sessions are remembered; fetches beyond it carry all partitions each time.").atLeast(0),
	d("fetch.activity.cache.slots", Int, "100000", Low, "Of how many clients and partitions the broker remembers the last fetch, some 250 bytes each. It is evidence when a rebalance is explained; nothing else depends on it.").ours().atLeast(0),
	d("max.request.partition.size.limit", Int, "2000", Medium, "The most partitions of one answer to DescribeTopicPartitions.").atLeast(1),
	d("request.timeout.ms", Int, "30000", High, "How long this broker waits for an answer from another broker.").noEffect(noReplicas),
	d("socket.connection.setup.timeout.ms", Long, "10000", Medium, "How long connecting to another broker may take.").noEffect(noReplicas),
	d("socket.connection.setup.timeout.max.ms", Long, "30000", Medium, "The upper bound of the growing time to connect to another broker.").noEffect(noReplicas),
}

// adminRows: the HTTP port for health, metrics and profiles.
var adminRows = []Definition{
	d("admin.address", String, "127.0.0.1:9644", Medium, "Where the console, /healthz, /readyz and /metrics are served over HTTP: host:port, port 0 picks a free one, empty serves nothing. The flag --admin-addr sets it.").
		ours().must("host:port, or empty", checkAdminAddress),
	d("admin.allow.remote", Boolean, "false", Medium, "The admin port has no authentication. Unless this is true it binds loopback addresses only; with true everyone who reaches the port can read the console: the names of topics and groups, the client ids and addresses of their members, offsets, lag and every rebalance, besides metrics and, with admin.pprof.enable, memory. Records are not shown, and nothing can be changed.").ours(),
	d("admin.pprof.enable", Boolean, "false", Low, "Serve Go's profiles under /debug/pprof/ on the admin port.").ours(),
	d("metrics.topics.max", Int, "1000", Medium, "How many topics get metrics of their own; later ones are counted together under the topic name \"_other\". It keeps the size of /metrics bounded.").ours().atLeast(0),
	d("metrics.groups.max", Int, "1000", Medium, "How many consumer groups get metrics of their own; later ones, and those with names longer than 256 bytes, are counted together under the group name \"_other\".").ours().atLeast(0),
}

// logRows: the log apart from what topics can override.
var logRows = []Definition{
	d("log.flush", String, "commit", High, "When records reach the disk. commit: before they are acknowledged to acks=all and before anyone can read them. interval: every log.flush.interval.ms (every second when that is not set), so that a power cut takes at most the last moment. never: when the operating system pleases. Only commit survives a power cut on a single broker.").
		ours().oneOf("commit", "interval", "never").foldCase(),
	d("log.flush.scheduler.interval.ms", Long, "9223372036854775807", High, "Older name: flush.ms of topics when log.flush.interval.ms is not set."),
	d("log.flush.offset.checkpoint.interval.ms", Int, "60000", High, "How often recovery points, from which recovery after a crash starts, and log start offsets are written down.").atLeast(0),
	d("log.flush.start.offset.checkpoint.interval.ms", Int, "60000", High, "How often the log start offsets are written down.").atLeast(0).
		noEffect("log start offsets are written down together with recovery points, see log.flush.offset.checkpoint.interval.ms"),
	d("log.retention.check.interval.ms", Long, "300000", Medium, "How often the broker looks for segments that retention.ms or retention.bytes lets go.").atLeast(1),
	d("log.initial.task.delay.ms", Long, "30000", Low, "How long after the start the first such look is taken.").atLeast(0).internal().noEffect("the first look is taken after log.retention.check.interval.ms"),
	d("log.index.cache.bytes", Long, "33554432", Medium, "How much memory the offset and time indexes of closed segments may hold; the least used are read again from disk.").ours().atLeast(1 << 20),
	d("num.recovery.threads.per.data.dir", Int, "0", High, "How many logs of one directory are opened or recovered at the same time at the start; 0 is twice the number of processors.").atLeast(0).
		differs("2", "opening logs waits for the disk, so it uses what the machine has").cluster(),
	d("replica.high.watermark.checkpoint.interval.ms", Long, "5000", High, "How often the high watermarks are written down."),
	d("auto.create.topics.enable", Boolean, "true", High, "Whether asking for the metadata of a missing topic creates it."),
	d("delete.topic.enable", Boolean, "true", High, "Whether topics can be deleted."),
	d("num.partitions", Int, "1", Medium, "Partitions of a topic that is created without a number.").atLeast(1),
	d("default.replication.factor", Int, "1", Medium, "Replicas of a topic that is created without a number.").atLeast(1),
	d("create.topic.policy.class.name", Class, null, Low, "A Java class that may refuse topics.").noEffect(noJVM),
	d("alter.config.policy.class.name", Class, null, Low, "A Java class that may refuse changes of settings.").noEffect(noJVM),
	d("producer.id.expiration.ms", Int, "86400000", Low, "A partition forgets an idempotent producer that wrote nothing for so long.").atLeast(1).cluster(),
	d("producer.id.expiration.check.interval.ms", Int, "600000", Low, "How often that is looked at.").atLeast(1).internal(),
}

// cleanerRows: compaction apart from what topics can override.
var cleanerRows = []Definition{
	d("log.cleaner.enable", Boolean, "true", Medium, "Whether compacted topics are compacted."),
	d("log.cleaner.threads", Int, "1", Medium, "How many logs are compacted at the same time; at most one for each MiB of log.cleaner.dedupe.buffer.size.").atLeast(0).cluster(),
	d("log.cleaner.backoff.ms", Long, "15000", Medium, "How long the cleaner rests when there is nothing to compact.").atLeast(0).cluster(),
	d("log.cleaner.dedupe.buffer.size", Long, "134217728", Medium, "Memory of all cleaners together for the map of keys; it bounds how much one round compacts. It is taken only while compacting.").atLeast(1048576).cluster(),
	d("log.cleaner.io.buffer.load.factor", Double, "0.9", Medium, "How full the map of keys may get.").noEffect(cleanerSizes).must("above 0, at most 1", func(s string) string {
		if f, _ := parseDouble(s); f <= 0 || f > 1 {
			return "must be above 0 and at most 1"
		}
		return ""
	}).cluster(),
	d("log.cleaner.io.buffer.size", Int, "524288", Medium, "Memory of all cleaners together for reading and writing.").atLeast(0).noEffect(cleanerSizes).cluster(),
	d("log.cleaner.io.max.bytes.per.second", Double, "1.7976931348623157E308", Medium, "The most bytes a second that cleaners read and write together. A change is for compactions that begin later.").cluster(),
}

// topicRows: broker-wide defaults of the topic settings in table_topic.go.
var topicRows = []Definition{
	d("log.segment.bytes", Int, "1073741824", High, "Default of segment.bytes: the largest size of one segment file.").atLeast(1 << 20).cluster().topic("segment.bytes"),
	d("log.roll.ms", Long, null, High, "Default of segment.ms: a segment this old is closed. When not set, log.roll.hours counts.").atLeast(1).cluster().topic("segment.ms"),
	d("log.roll.hours", Int, "168", High, "log.roll.ms in hours, used when that is not set.").atLeast(1).topic("segment.ms"),
	d("log.roll.jitter.ms", Long, null, High, "Default of segment.jitter.ms. When not set, log.roll.jitter.hours counts.").atLeast(0).cluster().topic("segment.jitter.ms"),
	d("log.roll.jitter.hours", Int, "0", High, "log.roll.jitter.ms in hours, used when that is not set.").atLeast(0).topic("segment.jitter.ms"),
	d("log.index.size.max.bytes", Int, "10485760", Medium, "Default of segment.index.bytes: the largest size of one index file.").atLeast(4).cluster().topic("segment.index.bytes"),
	d("log.index.interval.bytes", Int, "4096", Medium, "Default of index.interval.bytes: how much log lies between two index entries.").atLeast(0).cluster().topic("index.interval.bytes"),
	d("log.flush.interval.messages", Long, "9223372036854775807", High, "Default of flush.messages: flush after so many records, whatever log.flush says.").atLeast(1).cluster().topic("flush.messages"),
	d("log.flush.interval.ms", Long, null, High, "Default of flush.ms: the longest time a record stays unflushed. When not set, log.flush.scheduler.interval.ms counts.").atLeast(0).cluster().topic("flush.ms"),
	d("log.retention.bytes", Long, "-1", High, "Default of retention.bytes: the size above which the oldest segments of a partition go; -1 is no limit.").cluster().topic("retention.bytes"),
	d("log.retention.ms", Long, null, High, "Default of retention.ms: the age above which segments go; -1 is no limit. When not set, log.retention.minutes counts, then log.retention.hours.").atLeast(1).or(-1).cluster().topic("retention.ms"),
	d("log.retention.minutes", Int, null, High, "log.retention.ms in minutes, used when that is not set.").atLeast(1).or(-1).topic("retention.ms"),
	d("log.retention.hours", Int, "168", High, "log.retention.ms in hours, used when neither ms nor minutes are set.").atLeast(1).or(-1).topic("retention.ms"),
	d("log.cleanup.policy", List, "delete", Medium, "Default of cleanup.policy.").oneOf("compact", "delete").cluster().topic("cleanup.policy"),
	d("log.cleaner.delete.retention.ms", Long, "86400000", Medium, "Default of delete.retention.ms: how long a delete marker survives compaction.").atLeast(0).cluster().topic("delete.retention.ms"),
	d("log.cleaner.min.compaction.lag.ms", Long, "0", Medium, "Default of min.compaction.lag.ms: how long a record is safe from compaction.").atLeast(0).cluster().topic("min.compaction.lag.ms"),
	d("log.cleaner.max.compaction.lag.ms", Long, "9223372036854775807", Medium, "Default of max.compaction.lag.ms: a record this old makes its log due for compaction.").atLeast(1).cluster().topic("max.compaction.lag.ms"),
	d("log.cleaner.min.cleanable.ratio", Double, "0.5", Medium, "Default of min.cleanable.dirty.ratio: the share of uncompacted bytes that makes a log due.").atLeast(0).atMost(1).cluster().topic("min.cleanable.dirty.ratio"),
	d("log.segment.delete.delay.ms", Long, "60000", High, "Default of file.delete.delay.ms: how long a deleted segment stays on disk for readers that still hold it.").atLeast(0).cluster().topic("file.delete.delay.ms"),
	d("log.preallocate", Boolean, "false", Medium, "Default of preallocate: whether a new segment takes its full size on disk at once.").cluster().topic("preallocate"),
	d("log.message.timestamp.type", String, "CreateTime", Medium, "Default of message.timestamp.type: the producer's time or the broker's.").oneOf("CreateTime", "LogAppendTime").cluster().topic("message.timestamp.type"),
	d("log.message.timestamp.before.max.ms", Long, "9223372036854775807", Medium, "Default of message.timestamp.before.max.ms: how far in the past a producer's timestamp may lie.").atLeast(0).cluster().topic("message.timestamp.before.max.ms"),
	d("log.message.timestamp.after.max.ms", Long, "3600000", Medium, "Default of message.timestamp.after.max.ms: how far in the future a producer's timestamp may lie.").atLeast(0).cluster().topic("message.timestamp.after.max.ms"),
	d("log.local.retention.ms", Long, "-2", Medium, "Default of local.retention.ms.").atLeast(-2).cluster().topic("local.retention.ms").noEffect(noTiering),
	d("log.local.retention.bytes", Long, "-2", Medium, "Default of local.retention.bytes.").atLeast(-2).cluster().topic("local.retention.bytes").noEffect(noTiering),
	d("message.max.bytes", Int, "1048588", High, "Default of max.message.bytes: the largest record batch, after compression.").atLeast(0).cluster().topic("max.message.bytes"),
	d("min.insync.replicas", Int, "1", High, "Default of min.insync.replicas: how many replicas must be in sync for acks=all to be accepted.").atLeast(1).cluster().topic("min.insync.replicas"),
	d("unclean.leader.election.enable", Boolean, "false", High, "Default of unclean.leader.election.enable: whether a replica that lacks acknowledged records may lead.").cluster().topic("unclean.leader.election.enable"),
	d("compression.type", String, "producer", High, "Default of compression.type: the codec of the log; producer keeps what was sent.").oneOf(compressionTypes...).cluster().topic("compression.type"),
	d("compression.gzip.level", Int, "-1", Medium, "Default of compression.gzip.level.").atLeast(1).atMost(9).or(-1).cluster().topic("compression.gzip.level"),
	d("compression.lz4.level", Int, "9", Medium, "Default of compression.lz4.level.").atLeast(1).atMost(17).cluster().topic("compression.lz4.level"),
	d("compression.zstd.level", Int, "3", Medium, "Default of compression.zstd.level.").atLeast(-131072).atMost(22).cluster().topic("compression.zstd.level"),
}

var compressionTypes = []string{"producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"}

// goneRows: names that older releases of Kafka had. A file with them still loads; each gets a warning that says what to do.
var goneRows = []Definition{
	gone("advertised.host.name", "use advertised.listeners"), gone("advertised.port", "use advertised.listeners"),
	gone("host.name", "use listeners"), gone("port", "use listeners"),
	gone("broker.id.generation.enable", "ids are not generated, set node.id"), gone("reserved.broker.max.id", "ids are not generated, set node.id"),
	gone("control.plane.listener.name", "dropped in Kafka 4"), gone("inter.broker.protocol.version", "dropped in Kafka 4"),
	gone("log.message.format.version", "dropped in Kafka 4; batches are always of format 2"),
	gone("log.message.timestamp.difference.max.ms", "use log.message.timestamp.before.max.ms and log.message.timestamp.after.max.ms"),
	gone("log.message.downconversion.enable", "dropped in Kafka 4; there is no older format to convert to"),
	gone("offsets.commit.required.acks", "dropped in Kafka 4; commits always wait for all in-sync replicas"),
	gone("delegation.token.master.key", "dropped in Kafka 4"), gone("auto.include.jmx.reporter", noJVM),
	gone("group.coordinator.new.enable", "dropped in Kafka 4; there is one coordinator"),
	gone("unstable.api.versions.enable", "Barnabas advertises finished versions only"), gone("unstable.feature.versions.enable", "Barnabas advertises finished versions only"),
	gone("controlled.shutdown.max.retries", "dropped in Kafka 4.3"), gone("controlled.shutdown.retry.backoff.ms", "dropped in Kafka 4.3"),
	gone("leader.imbalance.per.broker.percentage", "dropped in Kafka 4.3"), gone("eligible.leader.replicas.enable", "it is a feature version since Kafka 4"),
	gone("zookeeper.connect", "there is no ZooKeeper"), gone("zookeeper.connection.timeout.ms", "there is no ZooKeeper"),
	gone("zookeeper.session.timeout.ms", "there is no ZooKeeper"), gone("zookeeper.set.acl", "there is no ZooKeeper"),
	gone("zookeeper.max.in.flight.requests", "there is no ZooKeeper"), gone("zookeeper.metadata.migration.enable", "there is no ZooKeeper"),
}

func gone(name, why string) Definition {
	r := d(name, String, null, Low, "Setting of an older Kafka.").noEffect(why)
	r.Gone = true
	return r
}
