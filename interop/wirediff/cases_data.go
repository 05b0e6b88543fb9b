package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/barnabas-mq/barnabas/interop/wire"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func listOffsetsCases(l *list) {
	type part struct {
		partition, epoch int32
		timestamp        int64
	}
	ask := func(isolation int8, topic string, parts ...part) *kmsg.ListOffsetsRequest {
		q := kmsg.NewPtrListOffsetsRequest()
		q.ReplicaID, q.IsolationLevel, q.TimeoutMillis = -1, isolation, 5000
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = topic
		for _, p := range parts {
			tp := kmsg.NewListOffsetsRequestTopicPartition()
			tp.Partition, tp.CurrentLeaderEpoch, tp.Timestamp = p.partition, p.epoch, p.timestamp
			t.Partitions = append(t.Partitions, tp)
		}
		q.Topics = append(q.Topics, t)
		return q
	}
	key := kmsg.ListOffsets
	for name, ts := range ordered(map[string]int64{"latest": -1, "earliest": -2, "max timestamp": -3, "earliest local": -4, "latest tiered": -5,
		"earliest pending upload": -6, "a special value that has no meaning": -9}) {
		l.add(key, name, one(func(r *run) kmsg.Request {
			return ask(0, "wd", part{0, -1, ts}, part{1, -1, ts}, part{2, -1, ts})
		}))
	}
	l.add(key, "times before, at, between, at the end and after", func(r *run) {
		for _, ts := range []int64{0, t0, t0 + 1, t0 + 500, t0 + 2002, t0 + 2003, t0 + 1e9} {
			r.do(ask(0, "wd", part{0, -1, ts}, part{1, -1, ts}, part{2, -1, ts}))
		}
	})
	l.from(key, 2, "every field: committed isolation, leader epoch", one(func(r *run) kmsg.Request {
		q := ask(1, "wd", part{0, 0, -1}, part{1, 0, t0})
		q.UnknownTags.Set(9999, []byte("skip me"))
		return q
	}))
	l.from(key, 2, "isolation level 9", one(func(r *run) kmsg.Request { return ask(9, "wd", part{0, -1, -1}) }))
	l.from(key, 4, "leader epoch ahead", one(func(r *run) kmsg.Request { return ask(0, "wd", part{0, 99, -1}) }))
	l.add(key, "unknown topic", one(func(r *run) kmsg.Request { return ask(0, "nowhere", part{0, -1, -1}) }))
	l.add(key, "unknown and negative partition", one(func(r *run) kmsg.Request { return ask(0, "wd", part{99, -1, -1}, part{-1, -1, -1}) }))
	l.add(key, "one partition twice", one(func(r *run) kmsg.Request { return ask(0, "wd", part{0, -1, -1}, part{0, -1, -2}) }))
	l.add(key, "no topics", one(func(r *run) kmsg.Request { return kmsg.NewPtrListOffsetsRequest() }))
	l.add(key, "as a debugging replica", one(func(r *run) kmsg.Request { q := ask(0, "wd", part{0, -1, -1}); q.ReplicaID = -2; return q }))
	l.add(key, "as a follower that is none", one(func(r *run) kmsg.Request { q := ask(0, "wd", part{0, -1, -1}); q.ReplicaID = 77; return q }))
}

func epochCases(l *list) {
	ask := func(replica int32, topic string, partition, current, epoch int32) *kmsg.OffsetForLeaderEpochRequest {
		q := kmsg.NewPtrOffsetForLeaderEpochRequest()
		q.ReplicaID = replica
		p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
		p.Partition, p.CurrentLeaderEpoch, p.LeaderEpoch = partition, current, epoch
		q.Topics = append(q.Topics, kmsg.OffsetForLeaderEpochRequestTopic{Topic: topic, Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{p}})
		return q
	}
	key := kmsg.OffsetForLeaderEpoch
	l.add(key, "the current epoch", one(func(r *run) kmsg.Request { return ask(-1, "wd", 0, 0, 0) }))
	l.add(key, "every field", one(func(r *run) kmsg.Request {
		q := ask(-2, "wd", 0, -1, 0)
		q.UnknownTags.Set(9999, []byte("skip me"))
		return q
	}))
	l.add(key, "an epoch that has not come yet", one(func(r *run) kmsg.Request { return ask(-1, "wd", 0, -1, 5) }))
	l.add(key, "epoch -1", one(func(r *run) kmsg.Request { return ask(-1, "wd", 0, -1, -1) }))
	l.add(key, "a partition without records", one(func(r *run) kmsg.Request { return ask(-1, "wd-empty", 0, -1, 0) }))
	l.add(key, "current leader epoch ahead", one(func(r *run) kmsg.Request { return ask(-1, "wd", 0, 9, 0) }))
	l.add(key, "unknown topic", one(func(r *run) kmsg.Request { return ask(-1, "nowhere", 0, -1, 0) }))
	l.add(key, "unknown partition", one(func(r *run) kmsg.Request { return ask(-1, "wd", 9, -1, 0) }))
}

// fetchPart is one partition of a Fetch; the zero value asks for partition 0 from its start.
type fetchPart struct {
	topic             string
	partition         int32
	offset            int64
	epoch, last       int32
	bytesMax          int32
	id                *[16]byte
	epochSet, lastSet bool
}

func fetchCases(l *list) {
	ask := func(r *run, parts ...fetchPart) *kmsg.FetchRequest {
		q := kmsg.NewPtrFetchRequest()
		q.MaxBytes, q.MinBytes, q.MaxWaitMillis, q.ReplicaID, q.SessionID, q.SessionEpoch = 50<<20, 1, 0, -1, 0, -1
		for _, p := range parts {
			t := kmsg.NewFetchRequestTopic()
			t.Topic = p.topic
			t.TopicID = r.env.ids[p.topic]
			if p.id != nil {
				t.TopicID = *p.id
			}
			tp := kmsg.NewFetchRequestTopicPartition()
			tp.Partition, tp.FetchOffset, tp.PartitionMaxBytes = p.partition, p.offset, 1<<20
			if p.bytesMax != 0 {
				tp.PartitionMaxBytes = p.bytesMax
			}
			tp.CurrentLeaderEpoch, tp.LastFetchedEpoch = -1, -1
			if p.epochSet {
				tp.CurrentLeaderEpoch = p.epoch
			}
			if p.lastSet {
				tp.LastFetchedEpoch = p.last
			}
			if n := len(q.Topics); n > 0 && q.Topics[n-1].Topic == p.topic && p.id == nil {
				q.Topics[n-1].Partitions = append(q.Topics[n-1].Partitions, tp)
				continue
			}
			t.Partitions = append(t.Partitions, tp)
			q.Topics = append(q.Topics, t)
		}
		return q
	}
	unknownID := bogusID
	zeroID := [16]byte{}
	key := kmsg.Fetch
	l.add(key, "from the start", one(func(r *run) kmsg.Request { return ask(r, fetchPart{topic: "wd"}) }))
	l.from(key, 10, "every codec", one(func(r *run) kmsg.Request { return ask(r, fetchPart{topic: "wd", partition: 1}) }))
	l.upTo(key, 9, "zstd without the version for it", one(func(r *run) kmsg.Request { return ask(r, fetchPart{topic: "wd", partition: 1}) }))
	l.add(key, "every field", one(func(r *run) kmsg.Request {
		q := ask(r, fetchPart{topic: "wd", offset: 3, epochSet: true, lastSet: true}, fetchPart{topic: "wd", partition: 2, epochSet: true})
		q.IsolationLevel, q.Rack, q.ClusterID = 1, "rack-1", kmsg.StringPtr(r.env.cluster)
		q.Topics[0].Partitions[0].LogStartOffset = -1
		q.UnknownTags.Set(9999, []byte("skip me"))
		return q
	}))
	l.add(key, "from inside a batch", one(func(r *run) kmsg.Request { return ask(r, fetchPart{topic: "wd", offset: 4}) }))
	l.add(key, "at the end", one(func(r *run) kmsg.Request { return ask(r, fetchPart{topic: "wd", offset: 9}) }))
	l.add(key, "an empty partition", one(func(r *run) kmsg.Request { return ask(r, fetchPart{topic: "wd-empty"}) }))
	l.add(key, "beyond the end", one(func(r *run) kmsg.Request { return ask(r, fetchPart{topic: "wd", offset: 10}) }))
	l.add(key, "before the start", one(func(r *run) kmsg.Request { return ask(r, fetchPart{topic: "wd", offset: -1}) }))
	l.add(key, "several partitions and topics, one out of range", one(func(r *run) kmsg.Request {
		return ask(r, fetchPart{topic: "wd"}, fetchPart{topic: "wd", partition: 2, offset: 7}, fetchPart{topic: "wd-empty"})
	}))
	l.add(key, "one byte in all: the first batch comes whole", one(func(r *run) kmsg.Request {
		q := ask(r, fetchPart{topic: "wd"}, fetchPart{topic: "wd-empty"})
		q.MaxBytes = 1
		return q
	}))
	l.add(key, "one byte per partition", one(func(r *run) kmsg.Request { return ask(r, fetchPart{topic: "wd", bytesMax: 1}) }))
	l.add(key, "a limit inside the second batch", one(func(r *run) kmsg.Request { return ask(r, fetchPart{topic: "wd", bytesMax: 250}) }))
	l.add(key, "zero bytes", one(func(r *run) kmsg.Request {
		q := ask(r, fetchPart{topic: "wd"})
		q.MaxBytes = 0
		q.Topics[0].Partitions[0].PartitionMaxBytes = 0
		return q
	}))
	l.add(key, "more wanted than there is, short wait", one(func(r *run) kmsg.Request {
		q := ask(r, fetchPart{topic: "wd", offset: 9})
		q.MinBytes, q.MaxWaitMillis = 1<<20, 100
		return q
	}))
	l.add(key, "negative wait", one(func(r *run) kmsg.Request { q := ask(r, fetchPart{topic: "wd"}); q.MaxWaitMillis = -1; return q }))
	l.add(key, "nothing asked for", one(func(r *run) kmsg.Request { return ask(r) }))
	l.add(key, "one partition twice", one(func(r *run) kmsg.Request { return ask(r, fetchPart{topic: "wd"}, fetchPart{topic: "wd", offset: 3}) }))
	l.upTo(key, 12, "unknown topic", one(func(r *run) kmsg.Request { return ask(r, fetchPart{topic: "nowhere"}, fetchPart{topic: "wd"}) }))
	l.from(key, 13, "unknown topic id", one(func(r *run) kmsg.Request {
		return ask(r, fetchPart{topic: "nowhere", id: &unknownID}, fetchPart{topic: "wd"})
	}))
	l.from(key, 13, "no topic id", one(func(r *run) kmsg.Request { return ask(r, fetchPart{topic: "nowhere", id: &zeroID}) }))
	l.add(key, "unknown and negative partition", one(func(r *run) kmsg.Request {
		return ask(r, fetchPart{topic: "wd", partition: 9}, fetchPart{topic: "wd", partition: -1})
	}))
	l.from(key, 9, "leader epoch ahead", one(func(r *run) kmsg.Request { return ask(r, fetchPart{topic: "wd", epoch: 9, epochSet: true}) }))
	l.from(key, 12, "last fetched epoch ahead", one(func(r *run) kmsg.Request {
		return ask(r, fetchPart{topic: "wd", offset: 3, last: 7, lastSet: true, epochSet: true})
	}))
	l.from(key, 12, "last fetched epoch right, offset beyond the end", one(func(r *run) kmsg.Request {
		return ask(r, fetchPart{topic: "wd", offset: 12, lastSet: true, epochSet: true})
	}))
	l.add(key, "isolation level 9", one(func(r *run) kmsg.Request { q := ask(r, fetchPart{topic: "wd"}); q.IsolationLevel = 9; return q }))
	l.from(key, 12, "another cluster's id", one(func(r *run) kmsg.Request {
		q := ask(r, fetchPart{topic: "wd"})
		q.ClusterID = kmsg.StringPtr("someone-else")
		return q
	}))
	l.add(key, "as a follower that is none", one(func(r *run) kmsg.Request {
		q := ask(r, fetchPart{topic: "wd", epochSet: true})
		q.ReplicaID = 77
		if r.v >= 15 { // kmsg would write the tag at earlier versions, too, where it means nothing
			q.ReplicaState.ID, q.ReplicaState.Epoch = 77, 5
		}
		return q
	}))
	l.add(key, "as a debugging replica", one(func(r *run) kmsg.Request {
		q := ask(r, fetchPart{topic: "wd"})
		q.ReplicaID = -2
		if r.v >= 15 {
			q.ReplicaState.ID = -2
		}
		return q
	}))

	l.add(key, "a topic compressed with zstd by the broker", one(func(r *run) kmsg.Request { return ask(r, fetchPart{topic: "wd-zstd"}) }))

	session := func(q *kmsg.FetchRequest, id, epoch int32) *kmsg.FetchRequest {
		q.SessionID, q.SessionEpoch = id, epoch
		return q
	}
	open := func(r *run, parts ...fetchPart) int32 {
		resp, _ := r.do(session(ask(r, parts...), 0, 0)).(*kmsg.FetchResponse)
		if resp == nil {
			return 0
		}
		return resp.SessionID
	}
	l.from(key, 7, "session: open, nothing new, a change, a removal, close", func(r *run) {
		id := open(r, fetchPart{topic: "wd"}, fetchPart{topic: "wd-empty"})
		r.do(session(ask(r), id, 1))
		r.do(session(ask(r, fetchPart{topic: "wd", offset: 6}), id, 2))
		r.do(session(ask(r, fetchPart{topic: "wd", offset: 9}), id, 3))
		r.do(session(ask(r), id, 4))
		forget := session(ask(r, fetchPart{topic: "wd", partition: 2}), id, 5)
		forget.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{Topic: "wd", TopicID: r.env.ids["wd"], Partitions: []int32{0}}}
		r.do(forget)
		r.do(session(ask(r, fetchPart{topic: "wd"}), id, -1))
		r.do(session(ask(r), id, 6))
	})
	l.from(key, 7, "session: an error shows once more after it is gone", func(r *run) {
		id := open(r, fetchPart{topic: "wd", offset: 99})
		r.do(session(ask(r), id, 1))
		r.do(session(ask(r, fetchPart{topic: "wd", offset: 9}), id, 2))
		r.do(session(ask(r), id, 3))
	})
	l.from(key, 7, "session: everything forgotten", func(r *run) {
		id := open(r, fetchPart{topic: "wd", offset: 9})
		forget := session(ask(r), id, 1)
		forget.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{Topic: "wd", TopicID: r.env.ids["wd"], Partitions: []int32{0}}}
		r.do(forget)
		r.do(session(ask(r), id, 2))
	})
	l.from(key, 7, "session: wrong epoch", func(r *run) {
		id := open(r, fetchPart{topic: "wd"})
		r.do(session(ask(r), id, 5))
		r.do(session(ask(r), id, 1))
	})
	l.from(key, 7, "session: epoch sent twice", func(r *run) {
		id := open(r, fetchPart{topic: "wd"})
		r.do(session(ask(r), id, 1))
		r.do(session(ask(r), id, 1))
	})
	l.from(key, 7, "session: unknown id", one(func(r *run) kmsg.Request { return session(ask(r), 12345, 1) }))
	l.from(key, 7, "session: unknown id, epoch 0", one(func(r *run) kmsg.Request { return session(ask(r, fetchPart{topic: "wd", offset: 9}), 12345, 0) }))
	l.from(key, 7, "session: close one that is not there", one(func(r *run) kmsg.Request { return session(ask(r, fetchPart{topic: "wd", offset: 9}), 12345, -1) }))
	l.from(key, 7, "session: negative epoch", one(func(r *run) kmsg.Request { return session(ask(r), 12345, -7) }))
	l.from(key, 7, "session: opened empty", func(r *run) { open(r) })
	l.from(key, 7, "session: reopened while open", func(r *run) {
		id := open(r, fetchPart{topic: "wd", offset: 9})
		r.do(session(ask(r, fetchPart{topic: "wd-empty"}), id, 0))
		r.do(session(ask(r), id, 1))
	})
	l.from(key, 13, "session: opened by name, continued by id", func(r *run) {
		q := session(ask(r, fetchPart{topic: "wd", offset: 9}), 0, 0)
		q.Version = 12
		first, _ := r.ask(q)
		old, _ := first.(*kmsg.FetchResponse)
		if old == nil {
			r.note("setup", "a session at version 12 was refused")
			return
		}
		r.do(session(ask(r, fetchPart{topic: "wd-empty"}), old.SessionID, 1))
	})
}

func produceCases(l *list) {
	type part struct {
		topic     string
		partition int32
		records   []byte
	}
	ask := func(acks int16, parts ...part) *kmsg.ProduceRequest {
		q := kmsg.NewPtrProduceRequest()
		q.Acks, q.TimeoutMillis = acks, 10000
		for _, p := range parts {
			q.Topics = append(q.Topics, kmsg.ProduceRequestTopic{Topic: p.topic, Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: p.partition, Records: p.records}}})
		}
		return q
	}
	rec := func(n int) []wire.Record {
		var out []wire.Record
		for i := range n {
			out = append(out, wire.Record{Key: []byte(fmt.Sprint("key-", i)), Value: []byte("value")})
		}
		return out
	}
	good := func() []byte { return wire.NewBatch(t0, rec(2)...).Encode() }
	key := kmsg.Produce
	send := func(name string, change func(b *wire.Batch)) {
		l.from(key, 3, name, one(func(r *run) kmsg.Request {
			b := wire.NewBatch(t0, rec(3)...)
			change(&b)
			return ask(-1, part{"wd-write", 0, b.Encode()})
		}))
	}
	l.add(key, "acks=all, every field", one(func(r *run) kmsg.Request {
		q := ask(-1, part{"wd-write", 0, good()}, part{"wd", 2, nil})
		q.Topics[1].Topic = "wd-write"
		q.Topics[0].Partitions = append(q.Topics[0].Partitions, kmsg.ProduceRequestTopicPartition{Partition: 1, Records: good()})
		q.Topics = q.Topics[:1]
		q.UnknownTags.Set(9999, []byte("skip me"))
		return q
	}))
	l.from(key, 3, "acks=1", one(func(r *run) kmsg.Request { return ask(1, part{"wd-write", 0, good()}) }))
	for _, acks := range []int16{2, -2} {
		l.from(key, 3, fmt.Sprintf("acks=%d", acks), one(func(r *run) kmsg.Request { return ask(acks, part{"wd-write", 0, good()}) }))
	}
	l.from(key, 3, "acks=0 is not answered", func(r *run) {
		silent(r, ask(0, part{"wd-write", 0, good()}))
	})
	l.from(key, 3, "acks=0 with an error closes the connection", func(r *run) {
		silent(r, ask(0, part{"nowhere", 0, good()}))
	})
	l.from(key, 3, "no topics", one(func(r *run) kmsg.Request { return ask(-1) }))
	l.from(key, 3, "unknown topic beside a good one", one(func(r *run) kmsg.Request { return ask(-1, part{"nowhere", 0, good()}, part{"wd-write", 0, good()}) }))
	l.from(key, 3, "unknown partition", one(func(r *run) kmsg.Request { return ask(-1, part{"wd-write", 9, good()}) }))
	l.from(key, 3, "an internal topic that is not there", one(func(r *run) kmsg.Request { return ask(-1, part{"__share_group_state", 0, good()}) }))
	l.from(key, 3, "an internal topic", func(r *run) {
		r.create("__consumer_offsets", 4, "cleanup.policy", "compact", "compression.type", "producer") // as many as the rig's Kafka wants
		r.do(ask(-1, part{"__consumer_offsets", 0, good()}, part{"__consumer_offsets", 9, good()}))
	})
	l.from(key, 3, "negative partition", one(func(r *run) kmsg.Request { return ask(-1, part{"wd-write", -1, good()}) }))
	l.from(key, 3, "a name that no topic may have", one(func(r *run) kmsg.Request { return ask(-1, part{"a b", 0, good()}) }))
	// Kafka never answers this one: one version is enough to show it.
	*l = append(*l, testCase{int16(key), "null records", 9, 9, one(func(r *run) kmsg.Request { return ask(-1, part{"wd-write", 0, nil}) })})
	l.from(key, 3, "empty records", one(func(r *run) kmsg.Request { return ask(-1, part{"wd-write", 0, []byte{}}) }))
	l.from(key, 3, "two batches", one(func(r *run) kmsg.Request { return ask(-1, part{"wd-write", 0, append(good(), good()...)}) }))
	l.from(key, 3, "a batch and some bytes more", one(func(r *run) kmsg.Request { return ask(-1, part{"wd-write", 0, append(good(), 1, 2, 3)}) }))
	l.from(key, 3, "a batch cut short", one(func(r *run) kmsg.Request { b := good(); return ask(-1, part{"wd-write", 0, b[:len(b)-4]}) }))
	l.from(key, 3, "less than a batch header", one(func(r *run) kmsg.Request { return ask(-1, part{"wd-write", 0, good()[:30]}) }))
	l.from(key, 3, "a batch and bytes that begin no other", one(func(r *run) kmsg.Request {
		return ask(-1, part{"wd-write", 0, append(good(), make([]byte, 30)...)})
	}))
	l.from(key, 3, "two partitions, one of them garbage", one(func(r *run) kmsg.Request {
		q := ask(-1, part{"wd-write", 0, good()}, part{"wd-small", 0, bytes.Repeat([]byte{0xa5}, 100)})
		return q
	}))
	l.from(key, 3, "garbage", one(func(r *run) kmsg.Request { return ask(-1, part{"wd-write", 0, bytes.Repeat([]byte{0xa5}, 100)}) }))
	for codec, name := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		send("codec "+name, func(b *wire.Batch) { b.Attributes = int16(codec) })
		if codec != wire.CodecNone {
			send("records that "+name+" cannot decompress", func(b *wire.Batch) { b.Attributes = int16(codec); b.FlipBody = true })
			send("records cut short inside their "+name, func(b *wire.Batch) { b.Attributes = int16(codec); b.CutBody = true })
			send("no bytes where "+name+" should be", func(b *wire.Batch) { b.Attributes = int16(codec); b.NoBody = true })
		}
	}
	send("codec 5, which does not exist", func(b *wire.Batch) { b.Attributes = 5 })
	send("wrong CRC", func(b *wire.Batch) { b.FlipCRC = true })
	send("magic 1", func(b *wire.Batch) { b.Magic = 1 })
	send("magic 3", func(b *wire.Batch) { b.Magic = 3 })
	send("base offset 7", func(b *wire.Batch) { b.BaseOffset = 7 })
	send("length one more", func(b *wire.Batch) { b.LengthPlus = 1 })
	send("length one less", func(b *wire.Batch) { b.LengthPlus = -1 })
	send("length negative", func(b *wire.Batch) { b.LengthPlus = -100000 })
	send("record count one more, delta too", func(b *wire.Batch) { b.CountPlus, b.LastDeltaPlus = 1, 1 })
	send("record count one less, delta too", func(b *wire.Batch) { b.CountPlus, b.LastDeltaPlus = -1, -1 })
	send("record count one more", func(b *wire.Batch) { b.CountPlus = 1 })
	send("last offset delta one more", func(b *wire.Batch) { b.LastDeltaPlus = 1 })
	send("no records", func(b *wire.Batch) { b.Records = nil })
	send("record count negative", func(b *wire.Batch) { b.CountPlus = -9 })
	send("offset deltas from 1", func(b *wire.Batch) { b.FirstDeltaPlus = 1 })
	send("offset deltas from 1, compressed", func(b *wire.Batch) { b.FirstDeltaPlus = 1; b.Attributes = wire.CodecGzip })
	send("max timestamp that lies", func(b *wire.Batch) { b.MaxTimestamp = t0 + 5_000_000_000 })
	send("control batch", func(b *wire.Batch) { b.Attributes = 1 << 5 })
	send("transactional batch", func(b *wire.Batch) { b.Attributes = 1 << 4; b.ProducerID, b.ProducerEpoch, b.BaseSequence = 4244, 0, 0 })
	send("log append time claimed", func(b *wire.Batch) { b.Attributes = 1 << 3 })
	send("unknown attribute bits", func(b *wire.Batch) { b.Attributes = 1 << 9 })
	send("a day ahead", func(b *wire.Batch) { b.BaseTimestamp = time.Now().Add(24 * time.Hour).UnixMilli() })
	send("timestamp -1", func(b *wire.Batch) { b.BaseTimestamp = -1 })
	send("timestamp -1 in one record", func(b *wire.Batch) { b.BaseTimestamp, b.Records = -1, b.Records[:1]; b.MaxTimestamp = -1 })
	send("timestamp -5", func(b *wire.Batch) { b.BaseTimestamp = -5 })
	l.from(key, 3, "compacted topic, record without key", one(func(r *run) kmsg.Request {
		b := wire.NewBatch(t0, append(rec(1), wire.Record{Value: []byte("no key")}, wire.Record{Value: []byte("neither")})...)
		return ask(-1, part{"wd-compact", 0, b.Encode()})
	}))
	l.from(key, 3, "compacted topic, empty key and tombstone", one(func(r *run) kmsg.Request {
		return ask(-1, part{"wd-compact", 0, wire.NewBatch(t0, wire.Record{Key: []byte{}, Value: nil}).Encode()})
	}))
	l.from(key, 3, "log append time", one(func(r *run) kmsg.Request { return ask(-1, part{"wd-append", 0, good()}) }))
	l.from(key, 3, "log append time, bit set by the client", one(func(r *run) kmsg.Request {
		b := wire.NewBatch(t0, rec(1)...)
		b.Attributes = 1 << 3
		return ask(-1, part{"wd-append", 0, b.Encode()})
	}))
	l.from(key, 3, "larger than max.message.bytes", one(func(r *run) kmsg.Request {
		return ask(-1, part{"wd-small", 0, wire.NewBatch(t0, wire.Record{Value: make([]byte, 2000)}).Encode()})
	}))
	l.from(key, 3, "compressed below max.message.bytes, larger without", one(func(r *run) kmsg.Request {
		b := wire.NewBatch(t0, wire.Record{Value: make([]byte, 20000)})
		b.Attributes = wire.CodecGzip
		return ask(-1, part{"wd-small", 0, b.Encode()})
	}))
	l.from(key, 3, "one partition twice", one(func(r *run) kmsg.Request { return ask(-1, part{"wd-write", 1, good()}, part{"wd-write", 1, good()}) }))
	l.from(key, 3, "one partition twice, the second time wrong", one(func(r *run) kmsg.Request {
		q := ask(-1, part{"wd-write", 1, good()}, part{"wd-write", 0, good()})
		q.Topics[0].Partitions = append(q.Topics[0].Partitions, kmsg.ProduceRequestTopicPartition{Partition: 1, Records: good()[:40]})
		return q
	}))
	l.from(key, 3, "with a transactional id", one(func(r *run) kmsg.Request {
		q := ask(-1, part{"wd-write", 0, good()})
		q.TransactionID = kmsg.StringPtr("t")
		return q
	}))
	l.from(key, 3, "idempotence: sequence, duplicate, gap, epochs", func(r *run) {
		topic := fmt.Sprintf("wd-idem-%d", r.v)
		r.create(topic, 1)
		try := func(epoch int16, sequence int32, n int) {
			b := wire.NewBatch(t0, rec(n)...)
			b.ProducerID, b.ProducerEpoch, b.BaseSequence = 4242, epoch, sequence
			r.do(ask(-1, part{topic, 0, b.Encode()}))
		}
		try(0, 0, 2) // first
		try(0, 2, 3) // next
		try(0, 2, 3) // duplicate: the first answer again
		try(0, 2, 2) // same start, other length
		try(0, 9, 1) // gap
		try(0, 5, 1)
		for i := range int32(6) {
			try(0, 6+i, 1)
		}
		try(0, 2, 3) // a duplicate that is no longer remembered
		try(1, 5, 1) // new epoch must begin at 0
		try(1, 0, 1)
		try(0, 12, 1) // the old epoch is over
		b := wire.NewBatch(t0, rec(1)...)
		b.ProducerID, b.ProducerEpoch, b.BaseSequence = 4243, 0, 17
		r.do(ask(-1, part{topic, 0, b.Encode()})) // an unknown producer may start anywhere
		b.BaseSequence = -1
		r.do(ask(-1, part{topic, 0, b.Encode()}))
		b.BaseSequence, b.ProducerEpoch = 18, -1
		r.do(ask(-1, part{topic, 0, b.Encode()}))
	})
	// What was taken is fetched again: it must lie there as in Kafka. Once is enough, what is stored does not depend on the version.
	kept := func(name string, settings []string, change func(b *wire.Batch)) {
		*l = append(*l, testCase{int16(key), "stored: " + name, 9, 9, func(r *run) {
			topic := "wd-stored-" + strings.ReplaceAll(strings.ReplaceAll(name, " ", "-"), ",", "")
			r.create(topic, 1, settings...)
			b := wire.NewBatch(t0, rec(3)...)
			change(&b)
			r.do(ask(-1, part{topic, 0, b.Encode()}))
			q := kmsg.NewPtrFetchRequest()
			q.Version, q.MaxBytes, q.MinBytes, q.MaxWaitMillis, q.ReplicaID, q.SessionEpoch = 12, 50<<20, 1, 2000, -1, -1
			fp := kmsg.NewFetchRequestTopicPartition()
			fp.PartitionMaxBytes, fp.CurrentLeaderEpoch, fp.LastFetchedEpoch = 1<<20, -1, -1
			q.Topics = append(q.Topics, kmsg.FetchRequestTopic{Topic: topic, Partitions: []kmsg.FetchRequestTopicPartition{fp}})
			r.do(q)
			for _, at := range []int64{-3, t0 + 1, -1} { // the greatest timestamp, a time in the middle, the end
				o := kmsg.NewPtrListOffsetsRequest()
				o.Version, o.ReplicaID = 7, -1
				op := kmsg.NewListOffsetsRequestTopicPartition()
				op.Timestamp, op.CurrentLeaderEpoch = at, -1
				o.Topics = append(o.Topics, kmsg.ListOffsetsRequestTopic{Topic: topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{op}})
				if !slices.Contains(settings, "LogAppendTime") {
					r.do(o)
				} else if resp, ok := r.quiet(o).(*kmsg.ListOffsetsResponse); ok { // the time is the broker's
					r.note(fmt.Sprintf("offset at %d", at-t0), fmt.Sprint(resp.Topics[0].Partitions[0].Offset))
				}
			}
		}})
	}
	plain := func(*wire.Batch) {}
	kept("as it came", nil, plain)
	kept("with a producer id", nil, func(b *wire.Batch) { b.ProducerID, b.ProducerEpoch, b.BaseSequence = 4244, 3, 77 })
	kept("max timestamp that lies", nil, func(b *wire.Batch) { b.MaxTimestamp = t0 + 5_000_000_000 })
	kept("max timestamp that lies, gzip", nil, func(b *wire.Batch) { b.MaxTimestamp, b.Attributes = t0+5_000_000_000, wire.CodecGzip })
	kept("log append time claimed", nil, func(b *wire.Batch) { b.Attributes = 1 << 3 })
	kept("unknown attribute bits", nil, func(b *wire.Batch) { b.Attributes = 1 << 9 })
	kept("delete horizon claimed", nil, func(b *wire.Batch) { b.Attributes = 1 << 6 })
	kept("timestamp -1", nil, func(b *wire.Batch) { b.BaseTimestamp = -1 })
	kept("timestamp -1 in one record", nil, func(b *wire.Batch) { b.BaseTimestamp, b.Records, b.MaxTimestamp = -1, b.Records[:1], -1 })
	kept("gzip with log append time", []string{"message.timestamp.type", "LogAppendTime"}, func(b *wire.Batch) { b.Attributes = wire.CodecGzip })
	kept("log append time", []string{"message.timestamp.type", "LogAppendTime"}, plain)
	kept("gzip to uncompressed", []string{"compression.type", "uncompressed"}, func(b *wire.Batch) { b.Attributes = wire.CodecGzip })
	kept("lz4 to uncompressed with log append time", []string{"compression.type", "uncompressed", "message.timestamp.type", "LogAppendTime"},
		func(b *wire.Batch) { b.Attributes = wire.CodecLZ4 })
	kept("unknown attribute bits, gzip to uncompressed", []string{"compression.type", "uncompressed"}, func(b *wire.Batch) { b.Attributes = 1<<9 | wire.CodecGzip })
	kept("a producer id, gzip to uncompressed", []string{"compression.type", "uncompressed"}, func(b *wire.Batch) {
		b.Attributes, b.ProducerID, b.ProducerEpoch, b.BaseSequence = wire.CodecGzip, 4244, 3, 77
	})
	kept("offset deltas from 1", nil, func(b *wire.Batch) { b.FirstDeltaPlus = 1 })
	kept("offset deltas from 1, gzip to uncompressed", []string{"compression.type", "uncompressed"}, func(b *wire.Batch) {
		b.FirstDeltaPlus, b.Attributes = 1, wire.CodecGzip
	})
	l.from(key, 3, "idempotence: the sequence wraps", func(r *run) {
		topic := fmt.Sprintf("wd-wrap-%d", r.v)
		r.create(topic, 1)
		for _, s := range []int32{2147483645, 0, 2} { // 2147483645, ..46, ..47 | 0, 1 | 2
			n := map[int32]int{2147483645: 3, 0: 2, 2: 1}[s]
			b := wire.NewBatch(t0, rec(n)...)
			b.ProducerID, b.ProducerEpoch, b.BaseSequence = 4242, 0, s
			r.do(ask(-1, part{topic, 0, b.Encode()}))
		}
	})
}

// silent sends a request that has no answer, then one that has: what comes back first tells which it was.
func silent(r *run, q *kmsg.ProduceRequest) {
	q.SetVersion(r.v)
	if r.conn == nil {
		c, err := wire.Dial(r.ctx, r.env.addr, "wire-diff")
		if err != nil {
			r.note("outcome", err.Error())
			return
		}
		r.conn = c
	}
	if err := r.conn.Send(r.ctx, q); err != nil {
		r.note("outcome", wire.Plain(err).Error())
		return
	}
	next := kmsg.NewPtrApiVersionsRequest()
	next.Version = 0
	if _, err := r.ask(next); err != nil {
		r.note("the request after it", err.Error())
		return
	}
	r.note("the request after it", "answered")
}

func producerCases(l *list) {
	ask := func(id *string, timeout int32, pid int64, epoch int16) *kmsg.InitProducerIDRequest {
		q := kmsg.NewPtrInitProducerIDRequest()
		q.TransactionalID, q.TransactionTimeoutMillis, q.ProducerID, q.ProducerEpoch = id, timeout, pid, epoch
		return q
	}
	key := kmsg.InitProducerID
	l.add(key, "a new id", func(r *run) {
		// The first question of a broker's life may be answered with "loading".
		r.await(func() kmsg.Request { q := ask(nil, 60000, -1, -1); q.Version = 1; return q },
			func(resp kmsg.Response) bool { return resp.(*kmsg.InitProducerIDResponse).ErrorCode != 14 })
		r.do(ask(nil, 60000, -1, -1))
	})
	l.add(key, "every field", one(func(r *run) kmsg.Request {
		q := ask(nil, 60000, 4242, 3)
		q.UnknownTags.Set(9999, []byte("skip me"))
		return q
	}))
	l.add(key, "timeout 0", one(func(r *run) kmsg.Request { return ask(nil, 0, -1, -1) }))
	l.add(key, "timeout -1", one(func(r *run) kmsg.Request { return ask(nil, -1, -1, -1) }))
	l.add(key, "producer id without epoch", one(func(r *run) kmsg.Request { return ask(nil, 60000, 4242, -1) }))
	l.add(key, "epoch without producer id", one(func(r *run) kmsg.Request { return ask(nil, 60000, -1, 3) }))
	l.add(key, "empty transactional id", one(func(r *run) kmsg.Request { return ask(kmsg.StringPtr(""), 60000, -1, -1) }))
	l.add(key, "transactional id", func(r *run) {
		name := kmsg.StringPtr("wd-txn")
		r.await(func() kmsg.Request {
			q := kmsg.NewPtrFindCoordinatorRequest()
			q.Version, q.CoordinatorKey, q.CoordinatorType = 3, *name, 1
			return q
		}, func(resp kmsg.Response) bool { return resp.(*kmsg.FindCoordinatorResponse).ErrorCode != 15 })
		r.await(func() kmsg.Request { q := ask(name, 60000, -1, -1); q.Version = 2; return q },
			func(resp kmsg.Response) bool {
				c := resp.(*kmsg.InitProducerIDResponse).ErrorCode
				return c != 14 && c != 16
			})
		resp, _ := r.quiet(func() kmsg.Request { q := ask(name, 60000, -1, -1); q.SetVersion(r.v); return q }()).(*kmsg.InitProducerIDResponse)
		if resp == nil {
			r.note("outcome", "connection closed")
			return
		}
		r.note("ErrorCode", fmt.Sprint(resp.ErrorCode)) // the epoch rises with every question: not compared
	})

	describe := func(topic string, partitions ...int32) *kmsg.DescribeProducersRequest {
		q := kmsg.NewPtrDescribeProducersRequest()
		q.Topics = append(q.Topics, kmsg.DescribeProducersRequestTopic{Topic: topic, Partitions: partitions})
		return q
	}
	l.add(kmsg.DescribeProducers, "none", one(func(r *run) kmsg.Request { return describe("wd", 0, 1) }))
	l.add(kmsg.DescribeProducers, "one", func(r *run) {
		r.create("wd-producers", 1)
		b := wire.NewBatch(t0, wire.Record{Value: []byte("1")}, wire.Record{Value: []byte("2")})
		b.ProducerID, b.ProducerEpoch, b.BaseSequence = 4243, 4, 0
		r.produce("wd-producers", 0, b)
		r.do(describe("wd-producers", 0))
	})
	l.add(kmsg.DescribeProducers, "unknown topic", one(func(r *run) kmsg.Request { return describe("nowhere", 0) }))
	l.add(kmsg.DescribeProducers, "unknown partition", one(func(r *run) kmsg.Request { return describe("wd", 9, 0) }))
	l.add(kmsg.DescribeProducers, "a name that no topic may have", one(func(r *run) kmsg.Request { return describe("a b", 0) }))
}

func logDirCases(l *list) {
	ask := func(topics ...kmsg.DescribeLogDirsRequestTopic) *kmsg.DescribeLogDirsRequest {
		q := kmsg.NewPtrDescribeLogDirsRequest()
		q.Topics = topics
		return q
	}
	key := kmsg.DescribeLogDirs
	l.add(key, "all", one(func(r *run) kmsg.Request { return ask() }))
	l.add(key, "an empty list", one(func(r *run) kmsg.Request { q := ask(); q.Topics = []kmsg.DescribeLogDirsRequestTopic{}; return q }))
	l.add(key, "named, unknown topic and partition", one(func(r *run) kmsg.Request {
		q := ask(kmsg.DescribeLogDirsRequestTopic{Topic: "wd", Partitions: []int32{0, 1, 9}}, kmsg.DescribeLogDirsRequestTopic{Topic: "nowhere", Partitions: []int32{0}})
		q.UnknownTags.Set(9999, []byte("skip me"))
		return q
	}))
	l.add(key, "a topic without partitions", one(func(r *run) kmsg.Request {
		return ask(kmsg.DescribeLogDirsRequestTopic{Topic: "wd", Partitions: []int32{}})
	}))
}
