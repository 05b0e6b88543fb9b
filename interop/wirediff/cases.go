package main

import (
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/barnabas-mq/barnabas/interop/wire"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// testCase is one thing to ask, at each version of its key between min and max. Cases run in order, and at each version first against one
// broker and then the other, so both always hold the same topics and records.
type testCase struct {
	key      int16
	name     string
	min, max int16
	do       func(r *run)
}

type list []testCase

func (l *list) add(key kmsg.Key, name string, do func(r *run)) {
	*l = append(*l, testCase{int16(key), name, 0, math.MaxInt16, do})
}

func (l *list) from(key kmsg.Key, min int16, name string, do func(r *run)) {
	*l = append(*l, testCase{int16(key), name, min, math.MaxInt16, do})
}

func (l *list) upTo(key kmsg.Key, max int16, name string, do func(r *run)) {
	*l = append(*l, testCase{int16(key), name, 0, max, do})
}

// one is a case of a single request.
func one(build func(r *run) kmsg.Request) func(r *run) {
	return func(r *run) { r.do(build(r)) }
}

// ordered walks a table of named cases by name, so that every run asks in the same order.
func ordered[T any](table map[string]T) iter.Seq2[string, T] {
	return func(yield func(string, T) bool) {
		for _, name := range slices.Sorted(maps.Keys(table)) {
			if !yield(name, table[name]) {
				return
			}
		}
	}
}

func cases() list {
	var l list
	metadataCases(&l) // first: "all topics" should show the seeded topics only
	clusterCases(&l)
	listOffsetsCases(&l)
	epochCases(&l)
	fetchCases(&l)
	logDirCases(&l)
	produceCases(&l)
	producerCases(&l)
	topicCases(&l)
	configCases(&l)
	coordinatorCases(&l) // these last: asking makes Kafka create its offsets topic
	groupCases(&l)
	return l
}

// t0 is the time that seeded records carry: the same for both brokers, and recent enough for every default bound.
var t0 = time.Now().Add(-time.Hour).UnixMilli()

// seed makes the topics that cases read.
func seed(r *run) {
	r.create("wd", 3, "retention.ms", "-1")
	r.create("wd-empty", 1)
	r.create("wd-compact", 1, "cleanup.policy", "compact")
	r.create("wd-append", 1, "message.timestamp.type", "LogAppendTime")
	r.create("wd-small", 1, "max.message.bytes", "1000")
	r.create("wd-write", 2)
	r.create("wd-zstd", 1, "compression.type", "zstd")
	for i := range int64(3) {
		r.produce("wd", 0, wire.NewBatch(t0+i*1000,
			wire.Record{Key: []byte(fmt.Sprint("k", i)), Value: []byte("value"), Headers: []kmsg.Header{{Key: "h", Value: []byte("1")}, {Key: "null"}}},
			wire.Record{Key: []byte("same"), Value: []byte{}},
			wire.Record{Value: []byte("no key")}))
	}
	for codec := range 5 {
		b := wire.NewBatch(t0+int64(codec), wire.Record{Value: []byte(fmt.Sprintf("%0200d", codec))}, wire.Record{Value: []byte(fmt.Sprintf("%0200d", codec))})
		b.Attributes = int16(codec)
		r.produce("wd", 1, b)
	}
}

func metadataCases(l *list) {
	topic := func(name string) kmsg.MetadataRequestTopic {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		return t
	}
	byID := func(id [16]byte) kmsg.MetadataRequestTopic {
		t := kmsg.NewMetadataRequestTopic()
		t.TopicID = id
		return t
	}
	ask := func(auto, ops bool, topics ...kmsg.MetadataRequestTopic) *kmsg.MetadataRequest {
		m := kmsg.NewPtrMetadataRequest()
		m.AllowAutoTopicCreation, m.IncludeClusterAuthorizedOperations, m.IncludeTopicAuthorizedOperations = auto, ops, ops
		m.Topics = topics
		return m
	}
	key := kmsg.Metadata
	l.add(key, "all topics", one(func(r *run) kmsg.Request { return ask(false, false) }))
	l.add(key, "an empty list of topics", one(func(r *run) kmsg.Request { return ask(false, false, []kmsg.MetadataRequestTopic{}...) }))
	l.from(key, 1, "an empty list that is not null", one(func(r *run) kmsg.Request {
		m := ask(false, false)
		m.Topics = []kmsg.MetadataRequestTopic{}
		return m
	}))
	l.add(key, "every field: two topics, operations", one(func(r *run) kmsg.Request {
		m := ask(true, true, topic("wd"), topic("wd-compact"))
		m.UnknownTags.Set(9999, []byte("skip me"))
		return m
	}))
	l.from(key, 4, "unknown topic, no creation", one(func(r *run) kmsg.Request { return ask(false, true, topic("nowhere"), topic("wd")) }))
	l.from(key, 4, "one topic twice", one(func(r *run) kmsg.Request { return ask(false, false, topic("wd"), topic("wd")) }))
	l.from(key, 4, "names that no topic may have", one(func(r *run) kmsg.Request {
		return ask(false, false, topic("a b"), topic(".."), topic(""))
	}))
	l.from(key, 4, "names that no topic may have, creation allowed", one(func(r *run) kmsg.Request { return ask(true, false, topic("a b"), topic("..")) }))
	l.from(key, 10, "by topic id", one(func(r *run) kmsg.Request { return ask(false, true, byID(r.env.ids["wd"])) }))
	l.from(key, 10, "by topic id that nobody has", one(func(r *run) kmsg.Request { return ask(false, false, byID(bogusID)) }))
	l.from(key, 12, "by id and by name at once", one(func(r *run) kmsg.Request { return ask(false, false, byID(r.env.ids["wd"]), topic("wd-compact")) }))
	l.from(key, 10, "id and name of one topic", one(func(r *run) kmsg.Request {
		t := topic("wd")
		t.TopicID = r.env.ids["wd"]
		return ask(false, false, t)
	}))
	l.add(key, "creation by asking", func(r *run) {
		name := fmt.Sprintf("wd-auto-%d", r.v)
		r.do(ask(true, false, topic(name)))
		r.awaitTopic(name, 1)
		r.do(ask(false, false, topic(name)))
		del := kmsg.NewPtrDeleteTopicsRequest()
		del.Version, del.TopicNames, del.TimeoutMillis = 4, []string{name}, 10000
		r.quiet(del)
		r.await(func() kmsg.Request { m := ask(false, false, topic(name)); m.Version = 9; return m },
			func(resp kmsg.Response) bool { return resp.(*kmsg.MetadataResponse).Topics[0].ErrorCode == 3 })
	})
}

func clusterCases(l *list) {
	l.add(kmsg.ApiVersions, "every field", one(func(r *run) kmsg.Request {
		q := kmsg.NewPtrApiVersionsRequest()
		q.ClientSoftwareName, q.ClientSoftwareVersion = "wire-diff", "1.0.0"
		q.UnknownTags.Set(9999, []byte("skip me"))
		return q
	}))
	l.from(kmsg.ApiVersions, 3, "software name with a space", one(func(r *run) kmsg.Request {
		q := kmsg.NewPtrApiVersionsRequest()
		q.ClientSoftwareName, q.ClientSoftwareVersion = "wire diff", "1.0.0"
		return q
	}))
	l.from(kmsg.ApiVersions, 3, "software name empty", one(func(r *run) kmsg.Request { return kmsg.NewPtrApiVersionsRequest() }))
	l.from(kmsg.ApiVersions, 3, "software version with a slash", one(func(r *run) kmsg.Request {
		q := kmsg.NewPtrApiVersionsRequest()
		q.ClientSoftwareName, q.ClientSoftwareVersion = "wire-diff", "1/0"
		return q
	}))
	l.upTo(kmsg.ApiVersions, 0, "a version that is far ahead", func(r *run) {
		r.v = 100
		r.do(kmsg.NewPtrApiVersionsRequest())
	})

	l.add(kmsg.DescribeCluster, "every field", one(func(r *run) kmsg.Request {
		q := kmsg.NewPtrDescribeClusterRequest()
		q.IncludeClusterAuthorizedOperations, q.EndpointType, q.IncludeFencedBrokers = true, 1, true
		q.UnknownTags.Set(9999, []byte("skip me"))
		return q
	}))
	l.add(kmsg.DescribeCluster, "defaults", one(func(r *run) kmsg.Request { return kmsg.NewPtrDescribeClusterRequest() }))
	for _, kind := range []int8{0, 2, 7} {
		l.from(kmsg.DescribeCluster, 1, fmt.Sprintf("endpoint type %d", kind), one(func(r *run) kmsg.Request {
			q := kmsg.NewPtrDescribeClusterRequest()
			q.EndpointType = kind
			return q
		}))
	}

	describe := func(limit int32, cursor *kmsg.DescribeTopicPartitionsRequestCursor, topics ...string) *kmsg.DescribeTopicPartitionsRequest {
		q := kmsg.NewPtrDescribeTopicPartitionsRequest()
		q.ResponsePartitionLimit, q.Cursor = limit, cursor
		for _, t := range topics {
			qt := kmsg.NewDescribeTopicPartitionsRequestTopic()
			qt.Topic = t
			q.Topics = append(q.Topics, qt)
		}
		return q
	}
	at := func(topic string, partition int32) *kmsg.DescribeTopicPartitionsRequestCursor {
		c := kmsg.NewDescribeTopicPartitionsRequestCursor()
		c.Topic, c.Partition = topic, partition
		return &c
	}
	key := kmsg.DescribeTopicPartitions
	l.add(key, "all topics", one(func(r *run) kmsg.Request { return describe(2000, nil) }))
	l.add(key, "named, one of them twice, one unknown", one(func(r *run) kmsg.Request { return describe(2000, nil, "wd", "wd-compact", "nowhere", "wd") }))
	l.add(key, "a name that no topic may have", one(func(r *run) kmsg.Request { return describe(2000, nil, "a b") }))
	l.add(key, "limit reached inside a topic", one(func(r *run) kmsg.Request { return describe(2, nil, "wd", "wd-compact") }))
	l.add(key, "limit reached between topics", one(func(r *run) kmsg.Request { return describe(3, nil, "wd", "wd-compact") }))
	l.add(key, "limit 0", one(func(r *run) kmsg.Request { return describe(0, nil, "wd") }))
	l.add(key, "limit negative", one(func(r *run) kmsg.Request { return describe(-1, nil, "wd") }))
	l.add(key, "cursor inside a topic", one(func(r *run) kmsg.Request { return describe(2000, at("wd", 1), "wd", "wd-compact") }))
	l.add(key, "cursor beyond a topic's partitions", one(func(r *run) kmsg.Request { return describe(2000, at("wd", 9), "wd", "wd-empty") }))
	l.add(key, "cursor with all topics", one(func(r *run) kmsg.Request { return describe(2000, at("wd-empty", 0)) }))
	l.add(key, "cursor at a topic that was not asked for", one(func(r *run) kmsg.Request { return describe(2000, at("other", 0), "wd", "wd-compact") }))
	l.add(key, "cursor at a topic that is gone", one(func(r *run) kmsg.Request { return describe(2000, at("wd-d", 0)) }))
	l.add(key, "cursor at a negative partition", one(func(r *run) kmsg.Request { return describe(2000, at("wd", -1), "wd") }))

	reassign := func(topics ...kmsg.ListPartitionReassignmentsRequestTopic) *kmsg.ListPartitionReassignmentsRequest {
		q := kmsg.NewPtrListPartitionReassignmentsRequest()
		q.TimeoutMillis, q.Topics = 5000, topics
		return q
	}
	l.add(kmsg.ListPartitionReassignments, "all", one(func(r *run) kmsg.Request { return reassign() }))
	l.add(kmsg.ListPartitionReassignments, "named, unknown", one(func(r *run) kmsg.Request {
		return reassign(kmsg.ListPartitionReassignmentsRequestTopic{Topic: "wd", Partitions: []int32{0, 9}},
			kmsg.ListPartitionReassignmentsRequestTopic{Topic: "nowhere", Partitions: []int32{0}})
	}))

	quotas := func(strict bool, components ...kmsg.DescribeClientQuotasRequestComponent) *kmsg.DescribeClientQuotasRequest {
		q := kmsg.NewPtrDescribeClientQuotasRequest()
		q.Strict, q.Components = strict, components
		return q
	}
	part := func(kind string, match int8, value *string) kmsg.DescribeClientQuotasRequestComponent {
		return kmsg.DescribeClientQuotasRequestComponent{EntityType: kind, MatchType: kmsg.QuotasMatchType(match), Match: value}
	}
	l.add(kmsg.DescribeClientQuotas, "none asked for", one(func(r *run) kmsg.Request { return quotas(false) }))
	l.add(kmsg.DescribeClientQuotas, "every field", one(func(r *run) kmsg.Request {
		return quotas(true, part("user", 0, kmsg.StringPtr("u")), part("client-id", 2, nil))
	}))
	l.add(kmsg.DescribeClientQuotas, "unknown entity type", one(func(r *run) kmsg.Request { return quotas(false, part("planet", 2, nil)) }))
	l.add(kmsg.DescribeClientQuotas, "one entity type twice", one(func(r *run) kmsg.Request { return quotas(false, part("user", 2, nil), part("user", 1, nil)) }))
	l.add(kmsg.DescribeClientQuotas, "exact match without a name", one(func(r *run) kmsg.Request { return quotas(false, part("user", 0, nil)) }))
	l.add(kmsg.DescribeClientQuotas, "unknown match type", one(func(r *run) kmsg.Request { return quotas(false, part("user", 9, nil)) }))
	l.add(kmsg.DescribeClientQuotas, "ip together with user", one(func(r *run) kmsg.Request { return quotas(false, part("user", 2, nil), part("ip", 2, nil)) }))

	scram := func(users ...string) *kmsg.DescribeUserSCRAMCredentialsRequest {
		q := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
		for _, u := range users {
			q.Users = append(q.Users, kmsg.DescribeUserSCRAMCredentialsRequestUser{Name: u})
		}
		return q
	}
	l.add(kmsg.DescribeUserSCRAMCredentials, "all", one(func(r *run) kmsg.Request { return scram() }))
	l.add(kmsg.DescribeUserSCRAMCredentials, "unknown user", one(func(r *run) kmsg.Request { return scram("josef") }))
	l.add(kmsg.DescribeUserSCRAMCredentials, "one user twice", one(func(r *run) kmsg.Request { return scram("josef", "josef") }))
	l.add(kmsg.DescribeUserSCRAMCredentials, "user without a name", one(func(r *run) kmsg.Request { return scram("") }))

	l.add(kmsg.DescribeACLs, "every field", one(func(r *run) kmsg.Request {
		q := kmsg.NewPtrDescribeACLsRequest()
		q.ResourceType, q.ResourceName, q.ResourcePatternType = 2, kmsg.StringPtr("wd"), 3
		q.Principal, q.Host, q.Operation, q.PermissionType = kmsg.StringPtr("User:u"), kmsg.StringPtr("*"), 3, 3
		return q
	}))
	l.add(kmsg.DescribeACLs, "nulls", one(func(r *run) kmsg.Request {
		q := kmsg.NewPtrDescribeACLsRequest()
		q.ResourceType, q.ResourcePatternType, q.Operation, q.PermissionType = 1, 1, 1, 1
		return q
	}))
	l.add(kmsg.CreateACLs, "every field", one(func(r *run) kmsg.Request {
		q := kmsg.NewPtrCreateACLsRequest()
		c := kmsg.NewCreateACLsRequestCreation()
		c.ResourceType, c.ResourceName, c.ResourcePatternType, c.Principal, c.Host, c.Operation, c.PermissionType = 2, "wd", 3, "User:u", "*", 3, 3
		q.Creations = append(q.Creations, c, c)
		return q
	}))
	l.add(kmsg.CreateACLs, "no creations", one(func(r *run) kmsg.Request { return kmsg.NewPtrCreateACLsRequest() }))
	l.add(kmsg.DeleteACLs, "every field", one(func(r *run) kmsg.Request {
		q := kmsg.NewPtrDeleteACLsRequest()
		f := kmsg.NewDeleteACLsRequestFilter()
		f.ResourceType, f.ResourceName, f.ResourcePatternType, f.Principal, f.Host, f.Operation, f.PermissionType = 2, kmsg.StringPtr("wd"), 3, kmsg.StringPtr("User:u"), kmsg.StringPtr("*"), 3, 3
		q.Filters = append(q.Filters, f, f)
		return q
	}))
}

func coordinatorCases(l *list) {
	ask := func(r *run, kind int8, names ...string) *kmsg.FindCoordinatorRequest {
		q := kmsg.NewPtrFindCoordinatorRequest()
		q.CoordinatorType = kind
		if r.v >= 4 {
			q.CoordinatorKeys = names
		} else {
			q.CoordinatorKey = names[0]
		}
		return q
	}
	warm := func(r *run) { // Kafka creates the topic at the first question and answers "not yet" until it has a leader
		r.await(func() kmsg.Request {
			q := kmsg.NewPtrFindCoordinatorRequest()
			q.Version, q.CoordinatorKey = 3, "g"
			return q
		},
			func(resp kmsg.Response) bool { return resp.(*kmsg.FindCoordinatorResponse).ErrorCode == 0 })
	}
	key := kmsg.FindCoordinator
	l.add(key, "a group", func(r *run) { warm(r); r.do(ask(r, 0, "g")) })
	l.from(key, 4, "two groups, one twice", one(func(r *run) kmsg.Request { return ask(r, 0, "g", "h", "g") }))
	l.from(key, 4, "no keys", one(func(r *run) kmsg.Request { return ask(r, 0) }))
	l.add(key, "a group without a name", one(func(r *run) kmsg.Request { return ask(r, 0, "") }))
	l.from(key, 1, "a transactional id", func(r *run) {
		r.await(func() kmsg.Request {
			q := kmsg.NewPtrFindCoordinatorRequest()
			q.Version, q.CoordinatorKey, q.CoordinatorType = 3, "t", 1
			return q
		},
			func(resp kmsg.Response) bool { c := resp.(*kmsg.FindCoordinatorResponse).ErrorCode; return c != 15 })
		r.do(ask(r, 1, "t"))
	})
	l.from(key, 1, "share coordinator", one(func(r *run) kmsg.Request { return ask(r, 2, "g:AAAAAAAAAAAAAAAAAAAAAA:0") }))
	l.from(key, 1, "unknown kind of coordinator", one(func(r *run) kmsg.Request { return ask(r, 9, "g") }))
}
