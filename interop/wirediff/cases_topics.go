package main

import (
	"fmt"
	"strings"

	"github.com/barnabas-mq/barnabas/interop/wire"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func topicCases(l *list) {
	type config struct {
		name  string
		value *string
	}
	topic := func(name string, partitions int32, replicas int16, configs ...config) kmsg.CreateTopicsRequestTopic {
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, replicas
		for _, c := range configs {
			t.Configs = append(t.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: c.name, Value: c.value})
		}
		return t
	}
	assigned := func(r *run, t kmsg.CreateTopicsRequestTopic, rows ...[]int32) kmsg.CreateTopicsRequestTopic {
		for i, replicas := range rows {
			var nodes []int32
			for _, n := range replicas {
				if n == 0 { // 0 stands for the node itself
					n = r.env.node
				}
				nodes = append(nodes, n)
			}
			t.ReplicaAssignment = append(t.ReplicaAssignment, kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: int32(i), Replicas: nodes})
		}
		return t
	}
	ask := func(validate bool, topics ...kmsg.CreateTopicsRequestTopic) *kmsg.CreateTopicsRequest {
		q := kmsg.NewPtrCreateTopicsRequest()
		q.TimeoutMillis, q.ValidateOnly, q.Topics = 10000, validate, topics
		return q
	}
	str := kmsg.StringPtr
	key := kmsg.CreateTopics
	n := func(r *run, what string) string { return fmt.Sprintf("wd-%s-%d", what, r.v) }
	l.add(key, "every field", func(r *run) {
		q := ask(false, topic(n(r, "made"), 3, 1, config{"retention.ms", str("1000000")}, config{"cleanup.policy", str("compact,delete")}))
		q.UnknownTags.Set(9999, []byte("skip me"))
		r.do(q)
		r.awaitTopic(n(r, "made"), 3)
	})
	l.add(key, "it exists", one(func(r *run) kmsg.Request { return ask(false, topic(n(r, "made"), 3, 1)) }))
	l.add(key, "it exists, validation only", one(func(r *run) kmsg.Request { return ask(true, topic(n(r, "made"), 3, 1)) }))
	l.from(key, 4, "default partitions and replicas", one(func(r *run) kmsg.Request { return ask(false, topic(n(r, "defaults"), -1, -1)) }))
	l.upTo(key, 3, "default partitions before version 4", one(func(r *run) kmsg.Request { return ask(true, topic(n(r, "defaults"), -1, -1)) }))
	l.add(key, "validation only", one(func(r *run) kmsg.Request { return ask(true, topic(n(r, "never"), 2, 1)) }))
	l.add(key, "assigned by hand", func(r *run) {
		r.do(ask(false, assigned(r, topic(n(r, "hand"), -1, -1), []int32{0}, []int32{0})))
		r.awaitTopic(n(r, "hand"), 2)
	})
	l.add(key, "assigned by hand and counted", one(func(r *run) kmsg.Request { return ask(true, assigned(r, topic("wd-x", 2, 1), []int32{0}, []int32{0})) }))
	l.add(key, "assigned to a node that is not there", one(func(r *run) kmsg.Request { return ask(true, assigned(r, topic("wd-x", -1, -1), []int32{99})) }))
	l.add(key, "assigned to one node twice", one(func(r *run) kmsg.Request { return ask(true, assigned(r, topic("wd-x", -1, -1), []int32{0, 0})) }))
	l.add(key, "assigned to nobody", one(func(r *run) kmsg.Request { return ask(true, assigned(r, topic("wd-x", -1, -1), []int32{})) }))
	l.add(key, "assigned with a gap", one(func(r *run) kmsg.Request {
		t := assigned(r, topic("wd-x", -1, -1), []int32{0}, []int32{0})
		t.ReplicaAssignment[1].Partition = 5
		return ask(true, t)
	}))
	for _, count := range []int32{0, -2} {
		l.add(key, fmt.Sprintf("%d partitions", count), one(func(r *run) kmsg.Request { return ask(true, topic("wd-x", count, 1)) }))
	}
	for _, factor := range []int16{0, -2, 3} {
		l.add(key, fmt.Sprintf("replication factor %d", factor), one(func(r *run) kmsg.Request { return ask(true, topic("wd-x", 1, factor)) }))
	}
	for name, bad := range ordered(map[string]string{"empty name": "", "a dot": ".", "two dots": "..", "a space": "a b", "250 characters": strings.Repeat("x", 250),
		"249 characters": strings.Repeat("x", 249), "a name that collides": "wd.compact-made", "an internal topic's name": "__share_group_state"}) {
		l.add(key, name, one(func(r *run) kmsg.Request { return ask(true, topic(bad, 1, 1)) }))
	}
	l.add(key, "names that differ in dot and underscore", func(r *run) {
		r.do(ask(false, topic(fmt.Sprintf("wd_col.%d", r.v), 1, 1)))
		r.awaitTopic(fmt.Sprintf("wd_col.%d", r.v), 1)
		r.do(ask(false, topic(fmt.Sprintf("wd.col.%d", r.v), 1, 1)))
	})
	l.add(key, "one name twice", one(func(r *run) kmsg.Request {
		return ask(false, topic("wd-twice", 1, 1), topic("wd-twice", 2, 1), topic("wd-x", 0, 1))
	}))
	l.add(key, "no topics", one(func(r *run) kmsg.Request { return ask(false) }))
	for name, c := range ordered(map[string]config{
		"unknown config":                   {"no.such.config", str("1")},
		"config not a number":              {"retention.ms", str("soon")},
		"config out of range":              {"min.cleanable.dirty.ratio", str("7")},
		"config null":                      {"retention.ms", nil},
		"config empty":                     {"cleanup.policy", str("")},
		"config not in the list":           {"cleanup.policy", str("shred")},
		"config segment.bytes 1":           {"segment.bytes", str("1")},
		"config zstd level 99":             {"compression.zstd.level", str("99")},
		"config min.insync.replicas 0":     {"min.insync.replicas", str("0")},
		"config min.insync.replicas 5":     {"min.insync.replicas", str("5")},
		"config of another codec's level":  {"compression.gzip.level", str("0")},
		"config with spaces":               {"retention.ms", str(" 1000 ")},
		"config boolean written loosely":   {"preallocate", str("TRUE")},
		"config boolean that is none":      {"preallocate", str("yes")},
		"config remote storage":            {"remote.storage.enable", str("true")},
		"config removed in 4.0":            {"message.format.version", str("2.0")},
		"config throttled replicas":        {"leader.replication.throttled.replicas", str("*")},
		"config throttled replicas broken": {"leader.replication.throttled.replicas", str("1;2")},
		"config max.message.bytes -1":      {"max.message.bytes", str("-1")},
	}) {
		l.add(key, name, one(func(r *run) kmsg.Request { return ask(true, topic("wd-x", 1, 1, c)) }))
	}
	l.add(key, "one config twice", one(func(r *run) kmsg.Request {
		return ask(true, topic("wd-x", 1, 1, config{"retention.ms", str("1")}, config{"retention.ms", str("2")}))
	}))
	l.add(key, "compaction lag bounds crossed", one(func(r *run) kmsg.Request {
		return ask(true, topic("wd-x", 1, 1, config{"min.compaction.lag.ms", str("10")}, config{"max.compaction.lag.ms", str("5")}))
	}))

	parts := func(validate bool, topics ...kmsg.CreatePartitionsRequestTopic) *kmsg.CreatePartitionsRequest {
		q := kmsg.NewPtrCreatePartitionsRequest()
		q.TimeoutMillis, q.ValidateOnly, q.Topics = 10000, validate, topics
		return q
	}
	grow := func(r *run, name string, count int32, rows ...[]int32) kmsg.CreatePartitionsRequestTopic {
		t := kmsg.CreatePartitionsRequestTopic{Topic: name, Count: count}
		for _, replicas := range rows {
			nodes := []int32{}
			for _, n := range replicas {
				if n == 0 {
					n = r.env.node
				}
				nodes = append(nodes, n)
			}
			t.Assignment = append(t.Assignment, kmsg.CreatePartitionsRequestTopicAssignment{Replicas: nodes})
		}
		return t
	}
	key = kmsg.CreatePartitions
	l.add(key, "more, then assigned by hand", func(r *run) {
		name := n(r, "grow")
		r.create(name, 1)
		r.do(parts(false, grow(r, name, 2)))
		r.awaitTopic(name, 2)
		q := parts(false, grow(r, name, 4, []int32{0}, []int32{0}))
		q.UnknownTags.Set(9999, []byte("skip me"))
		r.do(q)
		r.awaitTopic(name, 4)
		r.do(parts(false, grow(r, name, 4)))
		r.do(parts(false, grow(r, name, 3)))
	})
	l.add(key, "validation only", one(func(r *run) kmsg.Request { return parts(true, grow(r, "wd", 5)) }))
	l.add(key, "none", one(func(r *run) kmsg.Request { return parts(true, grow(r, "wd", 0)) }))
	l.add(key, "negative", one(func(r *run) kmsg.Request { return parts(true, grow(r, "wd", -1)) }))
	l.add(key, "unknown topic", one(func(r *run) kmsg.Request { return parts(true, grow(r, "nowhere", 5)) }))
	l.add(key, "a name that no topic may have", one(func(r *run) kmsg.Request { return parts(true, grow(r, "a b", 5)) }))
	l.add(key, "one topic twice", one(func(r *run) kmsg.Request {
		return parts(true, grow(r, "wd", 5), grow(r, "wd", 6), grow(r, "wd-empty", 2))
	}))
	l.add(key, "too few assignments", one(func(r *run) kmsg.Request { return parts(true, grow(r, "wd", 5, []int32{0})) }))
	l.add(key, "too many assignments", one(func(r *run) kmsg.Request { return parts(true, grow(r, "wd", 4, []int32{0}, []int32{0})) }))
	l.add(key, "assigned to a node that is not there", one(func(r *run) kmsg.Request { return parts(true, grow(r, "wd", 4, []int32{99})) }))
	l.add(key, "assigned to nobody", one(func(r *run) kmsg.Request { return parts(true, grow(r, "wd", 4, []int32{})) }))
	l.add(key, "assigned to one node twice", one(func(r *run) kmsg.Request { return parts(true, grow(r, "wd", 4, []int32{0, 0})) }))
	l.add(key, "no topics", one(func(r *run) kmsg.Request { return parts(false) }))

	cut := func(topic string, at ...int64) *kmsg.DeleteRecordsRequest { // pairs of partition, offset
		q := kmsg.NewPtrDeleteRecordsRequest()
		q.TimeoutMillis = 10000
		t := kmsg.DeleteRecordsRequestTopic{Topic: topic}
		for i := 0; i+1 < len(at); i += 2 {
			t.Partitions = append(t.Partitions, kmsg.DeleteRecordsRequestTopicPartition{Partition: int32(at[i]), Offset: at[i+1]})
		}
		q.Topics = append(q.Topics, t)
		return q
	}
	key = kmsg.DeleteRecords
	l.add(key, "inside a batch, lower again, all", func(r *run) {
		name := n(r, "cut")
		r.create(name, 2)
		for range 2 {
			r.produce(name, 0, wire.NewBatch(t0, wire.Record{Value: []byte("1")}, wire.Record{Value: []byte("2")}, wire.Record{Value: []byte("3")}))
		}
		r.do(cut(name, 0, 1))
		r.do(cut(name, 0, 0))
		r.do(cut(name, 0, 4, 1, 0))
		r.do(cut(name, 0, 7))
		r.do(cut(name, 0, -1, 1, -1))
		fetch := kmsg.NewPtrListOffsetsRequest()
		fetch.Version, fetch.ReplicaID = 4, -1
		lt := kmsg.NewListOffsetsRequestTopic()
		lt.Topic = name
		lp := kmsg.NewListOffsetsRequestTopicPartition()
		lp.Timestamp = -2
		lt.Partitions = append(lt.Partitions, lp)
		fetch.Topics = append(fetch.Topics, lt)
		r.do(fetch)
	})
	l.add(key, "beyond the end", one(func(r *run) kmsg.Request { return cut("wd", 2, 100) }))
	l.add(key, "offset -2", one(func(r *run) kmsg.Request { return cut("wd", 2, -2) }))
	l.add(key, "unknown topic", one(func(r *run) kmsg.Request { return cut("nowhere", 0, 0) }))
	l.add(key, "an internal topic that is not there", one(func(r *run) kmsg.Request { return cut("__share_group_state", 0, 0) }))
	l.add(key, "an internal topic", one(func(r *run) kmsg.Request { return cut("__consumer_offsets", 0, 0, 9, 0) }))
	l.add(key, "unknown partition beside a known one", one(func(r *run) kmsg.Request { return cut("wd", 9, 0, 2, 0) }))
	l.add(key, "compacted topic", one(func(r *run) kmsg.Request { return cut("wd-compact", 0, 0) }))
	l.add(key, "no topics", one(func(r *run) kmsg.Request { q := cut("x"); q.Topics = nil; return q }))

	byName := func(r *run, names ...string) *kmsg.DeleteTopicsRequest {
		q := kmsg.NewPtrDeleteTopicsRequest()
		q.TimeoutMillis = 10000
		if r.v < 6 {
			q.TopicNames = names
			return q
		}
		for _, name := range names {
			q.Topics = append(q.Topics, kmsg.DeleteTopicsRequestTopic{Topic: str(name)})
		}
		return q
	}
	byID := func(ids ...[16]byte) *kmsg.DeleteTopicsRequest {
		q := kmsg.NewPtrDeleteTopicsRequest()
		q.TimeoutMillis = 10000
		for _, id := range ids {
			q.Topics = append(q.Topics, kmsg.DeleteTopicsRequestTopic{TopicID: id})
		}
		return q
	}
	key = kmsg.DeleteTopics
	l.add(key, "two, one of them unknown", func(r *run) {
		r.create(n(r, "gone"), 2)
		r.do(byName(r, n(r, "gone"), "nowhere"))
	})
	l.add(key, "made again under the same name", func(r *run) {
		name := n(r, "again")
		r.create(name, 1)
		before := r.env.ids[name]
		r.quiet(func() kmsg.Request { q := byName(r, name); q.SetVersion(r.v); return q }())
		r.create(name, 1)
		r.note("the id is new", fmt.Sprint(before != r.env.ids[name]))
		r.do(byName(r, name))
	})
	l.add(key, "a name that no topic may have", one(func(r *run) kmsg.Request { return byName(r, "a b", "") }))
	l.add(key, "one topic twice", func(r *run) {
		r.create(n(r, "twice"), 1)
		r.do(byName(r, n(r, "twice"), n(r, "twice")))
	})
	l.add(key, "no topics", one(func(r *run) kmsg.Request { return byName(r) }))
	l.from(key, 6, "by id", func(r *run) {
		r.create(n(r, "by-id"), 1)
		r.do(byID(r.env.ids[n(r, "by-id")], bogusID, [16]byte{}))
	})
	l.from(key, 6, "by id and name of one topic", func(r *run) {
		r.create(n(r, "both"), 1)
		q := byName(r, n(r, "both"))
		q.Topics[0].TopicID = r.env.ids[n(r, "both")]
		r.do(q)
	})
	l.from(key, 6, "by id and by name at once", func(r *run) {
		r.create(n(r, "two-ways"), 1)
		q := byName(r, n(r, "two-ways"))
		q.Topics = append(q.Topics, kmsg.DeleteTopicsRequestTopic{TopicID: r.env.ids[n(r, "two-ways")]})
		r.do(q)
	})
}
