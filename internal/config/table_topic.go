package config

// topicLevelRows: what one topic can set for itself.
var topicLevelRows = topicLevel(
	d("cleanup.policy", List, "delete", Medium, "What happens to old segments: delete drops them by age and size, compact keeps the last record of each key, both do both. Empty keeps everything.").oneOf("compact", "delete").from("log.cleanup.policy"),
	d("compression.type", String, "producer", Medium, "The codec of the log. producer keeps batches as they were sent; any other recompresses batches of another codec.").oneOf(compressionTypes...).from("compression.type"),
	d("compression.gzip.level", Int, "-1", Medium, "Level used when compression.type is gzip; -1 is the codec's own default.").atLeast(1).atMost(9).or(-1).from("compression.gzip.level"),
	d("compression.lz4.level", Int, "9", Medium, "Level used when compression.type is lz4.").atLeast(1).atMost(17).from("compression.lz4.level"),
	d("compression.zstd.level", Int, "3", Medium, "Level used when compression.type is zstd.").atLeast(-131072).atMost(22).from("compression.zstd.level"),
	d("delete.retention.ms", Long, "86400000", Medium, "How long a delete marker (a record without value) stays in a compacted topic, so that a reader who starts from the beginning still sees it.").atLeast(0).from("log.cleaner.delete.retention.ms"),
	d("file.delete.delay.ms", Long, "60000", Medium, "How long a deleted segment stays on disk for readers that still hold it.").atLeast(0).from("log.segment.delete.delay.ms"),
	d("flush.messages", Long, "9223372036854775807", Medium, "Flush after so many records. With log.flush=commit records are flushed before they are acknowledged anyway.").atLeast(1).from("log.flush.interval.messages"),
	d("flush.ms", Long, "9223372036854775807", Medium, "The longest time a record stays unflushed. With log.flush=commit records are flushed before they are acknowledged anyway.").atLeast(0).from("log.flush.interval.ms", "log.flush.scheduler.interval.ms"),
	d("follower.replication.throttled.replicas", List, "", Medium, "Follower replicas whose copying is throttled: partition:broker pairs, or *.").must("partition:broker pairs separated by commas, or *", checkThrottledReplicas).noEffect(noReplicas),
	d("leader.replication.throttled.replicas", List, "", Medium, "Leader replicas whose copying is throttled: partition:broker pairs, or *.").must("partition:broker pairs separated by commas, or *", checkThrottledReplicas).noEffect(noReplicas),
	d("index.interval.bytes", Int, "4096", Medium, "How much log lies between two entries of the offset index. Less makes look-ups jump closer and the index larger.").atLeast(0).from("log.index.interval.bytes"),
	d("max.compaction.lag.ms", Long, "9223372036854775807", Medium, "A record that stayed uncompacted for so long makes its log due for compaction, whatever the dirty ratio.").atLeast(1).from("log.cleaner.max.compaction.lag.ms"),
	d("max.message.bytes", Int, "1048588", Medium, "The largest record batch, after compression. Consumers still make progress past a batch larger than they asked for.").atLeast(0).from("message.max.bytes"),
	d("message.timestamp.type", String, "CreateTime", Medium, "Whether a record carries the producer's time (CreateTime) or that of the broker at the append (LogAppendTime).").oneOf("CreateTime", "LogAppendTime").from("log.message.timestamp.type"),
	d("message.timestamp.before.max.ms", Long, "9223372036854775807", Medium, "How far in the past a producer's timestamp may lie; older records are refused. Without meaning under LogAppendTime.").atLeast(0).from("log.message.timestamp.before.max.ms"),
	d("message.timestamp.after.max.ms", Long, "3600000", Medium, "How far in the future a producer's timestamp may lie; later records are refused. Without meaning under LogAppendTime.").atLeast(0).from("log.message.timestamp.after.max.ms"),
	d("min.cleanable.dirty.ratio", Double, "0.5", Medium, "The share of bytes not yet compacted above which a log is due for compaction. Lower saves space and costs more work.").atLeast(0).atMost(1).from("log.cleaner.min.cleanable.ratio"),
	d("min.compaction.lag.ms", Long, "0", Medium, "How long a record is safe from compaction after it was written.").atLeast(0).from("log.cleaner.min.compaction.lag.ms"),
	d("min.insync.replicas", Int, "1", Medium, "How many replicas must be in sync for a produce with acks=all to be accepted; never more than the topic has replicas.").atLeast(1).from("min.insync.replicas"),
	d("preallocate", Boolean, "false", Medium, "Whether a new segment takes its full size on disk at once.").from("log.preallocate"),
	d("retention.bytes", Long, "-1", Medium, "The size of one partition above which its oldest segments go; -1 is no limit. Only with cleanup.policy delete.").from("log.retention.bytes"),
	d("retention.ms", Long, "604800000", Medium, "The age above which segments go, by the latest timestamp in them; -1 is no limit. Only with cleanup.policy delete.").atLeast(-1).from("log.retention.ms", "log.retention.minutes", "log.retention.hours"),
	d("segment.bytes", Int, "1073741824", Medium, "The largest size of one segment file. Retention and compaction work on whole segments.").atLeast(1<<20).from("log.segment.bytes"),
	d("internal.segment.bytes", Int, null, Medium, "Replaces segment.bytes without its lower bound, so that tests can roll early.").atLeast(1).internal(),
	d("segment.index.bytes", Int, "10485760", Medium, "The largest size of one index file; a full index closes its segment.").atLeast(4).from("log.index.size.max.bytes"),
	d("segment.jitter.ms", Long, "0", Medium, "The most by which the closing of a segment is randomly advanced, so that many do not close together.").atLeast(0).from("log.roll.jitter.ms", "log.roll.jitter.hours"),
	d("segment.ms", Long, "604800000", Medium, "A segment this old is closed even when it is not full, so that retention and compaction can have it.").atLeast(1).from("log.roll.ms", "log.roll.hours"),
	d("unclean.leader.election.enable", Boolean, "false", Medium, "Whether a replica that lacks acknowledged records may lead when no other is left: available again, but records are lost.").from("unclean.leader.election.enable"),
	d("remote.storage.enable", Boolean, "false", Medium, "Whether older segments move to tiered storage. Only false is accepted.").must("false", func(s string) string {
		if s != "false" {
			return "must be false: " + noTiering
		}
		return ""
	}).noEffect(noTiering),
	d("remote.log.copy.disable", Boolean, "false", Medium, "Whether copying to tiered storage is stopped.").noEffect(noTiering),
	d("remote.log.delete.on.disable", Boolean, "false", Medium, "Whether switching tiered storage off deletes what it holds.").noEffect(noTiering),
	d("local.retention.ms", Long, "-2", Medium, "How long a segment stays on local disk once it is in tiered storage; -2 means as retention.ms.").atLeast(-2).from("log.local.retention.ms").noEffect(noTiering),
	d("local.retention.bytes", Long, "-2", Medium, "How much of a partition stays on local disk once it is in tiered storage; -2 means as retention.bytes.").atLeast(-2).from("log.local.retention.bytes").noEffect(noTiering),
	topicGone("message.format.version", "dropped in Kafka 4; batches are always of format 2"),
	topicGone("message.downconversion.enable", "dropped in Kafka 4; there is no older format to convert to"),
	topicGone("message.timestamp.difference.max.ms", "dropped in Kafka 4; use message.timestamp.before.max.ms and message.timestamp.after.max.ms"),
)

func topicLevel(rows ...Definition) []Definition {
	for i := range rows {
		rows[i].TopicLevel = true
	}
	return rows
}

func topicGone(name, why string) Definition {
	r := d(name, String, null, Low, "Setting of an older Kafka, which clients are told about when they still send it.").noEffect(why)
	r.Gone = true
	return r
}
