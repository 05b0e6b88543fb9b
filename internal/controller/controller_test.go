package controller

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/meta"
)

// rules: topics take retention.ms (digits) and cleanup.policy (a list, default "delete"); brokers take log.cleaner.threads,
// for one broker only listener.name, and the list metric.reporters.
type rules struct{}

func (rules) ValidateTopic(m map[string]string) (map[string]string, error) {
	keep := map[string]string{}
	for name, v := range m {
		switch {
		case name == "retention.ms" && strings.Trim(v, " 0123456789") == "":
			keep[name] = strings.TrimSpace(v)
		case name == "cleanup.policy" && strings.Trim(v, "abcdefghijklmnopqrstuvwxyz,") == "":
			keep[name] = v
		case name == "big":
			keep[name] = v
		default:
			return nil, fmt.Errorf("%s=%s is not valid", name, v)
		}
	}
	return keep, nil
}

func (rules) ValidateBroker(perBroker bool, m map[string]string) (map[string]string, error) {
	for name := range m {
		switch name {
		case "log.cleaner.threads", "metric.reporters":
		case "listener.name":
			if !perBroker {
				return nil, errors.New("listener.name belongs to one broker")
			}
		default:
			return nil, fmt.Errorf("%s cannot be changed while the broker runs", name)
		}
	}
	return m, nil
}

func (rules) List(t meta.ResourceType, name string) (bool, string) {
	if t == meta.TopicResource && name == "cleanup.policy" {
		return true, "delete"
	}
	return name == "metric.reporters", ""
}

// world is a store of the simplest kind with an image of it.
type world struct {
	t   testing.TB
	im  *meta.Image
	kvs map[string]meta.KV
	c   Controller
}

// newWorld has the brokers 1 to n, in the racks named (cyclically), "" = no rack. A negative rack entry "!r" is fenced.
func newWorld(t testing.TB, racks ...string) *world {
	w := &world{t: t, im: meta.NewImage(), kvs: map[string]meta.KV{}, c: Controller{DefaultSettings(1), rules{}}}
	for i, r := range racks {
		rack, fenced := strings.CutPrefix(r, "!")
		res, txn := w.c.RegisterBroker(w.im, RegisterBrokerRequest{ID: kafka.NodeID(i + 1), NewClusterID: "cluster", Registration: meta.Registration{Rack: rack, Fenced: fenced}})
		if !res.OK() {
			t.Fatal(res.Message)
		}
		w.commit(txn)
	}
	return w
}

// commit carries out a transaction as a Store would, and fails the test if it is malformed or one of its conditions is false.
func (w *world) commit(txn meta.Txn) {
	w.t.Helper()
	if err := txn.Validate(); err != nil {
		w.t.Fatal(err)
	}
	for _, c := range txn.If {
		if w.kvs[c.Key].ModRevision != c.Mod {
			w.t.Fatalf("condition %+v does not hold, the key was changed at %d", c, w.kvs[c.Key].ModRevision)
		}
	}
	if len(txn.Do) == 0 {
		return
	}
	rev := w.im.Revision() + 1
	b := meta.Batch{Revision: rev}
	for _, op := range txn.Do {
		switch op.Kind {
		case meta.OpPut:
			kv := meta.KV{Key: op.Key, Value: op.Value, ModRevision: rev}
			w.kvs[op.Key] = kv
			b.Events = append(b.Events, meta.Event{KV: kv})
		default:
			for key := range w.kvs {
				if key == op.Key || op.Kind == meta.OpDeletePrefix && strings.HasPrefix(key, op.Key) {
					delete(w.kvs, key)
					b.Events = append(b.Events, meta.Event{KV: meta.KV{Key: key, ModRevision: rev}, Deleted: true})
				}
			}
		}
	}
	slices.SortFunc(b.Events, func(a, b meta.Event) int { return strings.Compare(a.KV.Key, b.KV.Key) })
	im, _, err := w.im.Apply(b)
	if err != nil {
		w.t.Fatal(err)
	}
	w.im = im
}

var lastID byte

func (w *world) create(topics ...NewTopic) []TopicResult {
	w.t.Helper()
	for i := range topics {
		if topics[i].ID.IsZero() {
			lastID++
			topics[i].ID = kafka.TopicID{14: lastID, 15: 1}
		}
	}
	res, txn := w.c.CreateTopics(w.im, CreateTopicsRequest{Topics: topics})
	w.commit(txn)
	return res
}

func (w *world) mustCreate(name string, partitions int32, factor int16) *meta.Topic {
	w.t.Helper()
	if r := w.create(NewTopic{Name: name, Partitions: partitions, ReplicationFactor: factor})[0]; !r.OK() {
		w.t.Fatal(r.Message)
	}
	return w.im.Topic(name)
}

func str(s string) *string { return &s }

func nodes(ids ...kafka.NodeID) []kafka.NodeID { return ids }

func TestCreateTopicsErrors(t *testing.T) {
	for _, c := range []struct {
		name  string
		topic NewTopic
		code  kafka.ErrorCode
		says  string
	}{
		{"the defaults", NewTopic{Name: "t", Partitions: -1, ReplicationFactor: -1}, kafka.None, ""},
		{"a name with a space", NewTopic{Name: "a b", Partitions: 1, ReplicationFactor: 1}, kafka.InvalidTopicException, "a b"},
		{"an empty name", NewTopic{Name: "", Partitions: 1, ReplicationFactor: 1}, kafka.InvalidTopicException, "empty"},
		{"the name ..", NewTopic{Name: "..", Partitions: 1, ReplicationFactor: 1}, kafka.InvalidTopicException, "not allowed"},
		{"a name of 250 characters", NewTopic{Name: strings.Repeat("x", 250), Partitions: 1, ReplicationFactor: 1}, kafka.InvalidTopicException, "249"},
		{"a name of 249 characters", NewTopic{Name: strings.Repeat("x", 249), Partitions: 1, ReplicationFactor: 1}, kafka.None, ""},
		{"Kafka's metadata log", NewTopic{Name: "__cluster_metadata", Partitions: 1, ReplicationFactor: 1}, kafka.InvalidRequest, "prohibited"},
		{"an existing topic", NewTopic{Name: "old.topic", Partitions: 1, ReplicationFactor: 1}, kafka.TopicAlreadyExists, "already exists"},
		{"a collision with an existing topic", NewTopic{Name: "old_topic", Partitions: 1, ReplicationFactor: 1}, kafka.InvalidTopicException, "old.topic"},
		{"a null value", NewTopic{Name: "t", Partitions: 1, ReplicationFactor: 1, Configs: []NewTopicSetting{{"a", nil}, {"retention.ms", str("1")}, {"b", nil}}}, kafka.InvalidConfig, "a,b"},
		{"a bad value", NewTopic{Name: "t", Partitions: 1, ReplicationFactor: 1, Configs: []NewTopicSetting{{"retention.ms", str("soon")}}}, kafka.InvalidConfig, "soon"},
		{"too much to keep", NewTopic{Name: "t", Partitions: 1, ReplicationFactor: 1, Configs: []NewTopicSetting{{"big", str(strings.Repeat("x", settingsBytesMax))}}}, kafka.InvalidConfig, "limit"},
		{"bad settings are found before bad numbers", NewTopic{Name: "t", Partitions: 0, ReplicationFactor: 1, Configs: []NewTopicSetting{{"x", str("")}}}, kafka.InvalidConfig, ""},
		{"no partitions", NewTopic{Name: "t", Partitions: 0, ReplicationFactor: 1}, kafka.InvalidPartitions, "non-positive"},
		{"-2 partitions", NewTopic{Name: "t", Partitions: -2, ReplicationFactor: 1}, kafka.InvalidPartitions, "non-positive"},
		{"no replicas", NewTopic{Name: "t", Partitions: 1, ReplicationFactor: 0}, kafka.InvalidReplicationFactor, "larger than 0"},
		{"-2 replicas", NewTopic{Name: "t", Partitions: 1, ReplicationFactor: -2}, kafka.InvalidReplicationFactor, "larger than 0"},
		{"more replicas than brokers", NewTopic{Name: "t", Partitions: 1, ReplicationFactor: 5}, kafka.InvalidReplicationFactor, "only 4 broker(s)"},
		{"as many replicas as brokers", NewTopic{Name: "t", Partitions: 1, ReplicationFactor: 4}, kafka.None, ""},
		{"more partitions than a topic may have", NewTopic{Name: "t", Partitions: 51, ReplicationFactor: 1}, kafka.PolicyViolation, "limit of one topic is 50"},
		{"more partitions than a request may ask for", NewTopic{Name: "t", Partitions: 101, ReplicationFactor: 1}, kafka.PolicyViolation, "limit of one request is 100"},
		{"a billion partitions", NewTopic{Name: "t", Partitions: 1 << 30, ReplicationFactor: 1}, kafka.PolicyViolation, ""},

		{"an assignment", NewTopic{Name: "t", Partitions: -1, ReplicationFactor: -1, Assignments: []Assignment{{1, nodes(2, 1)}, {0, nodes(1, 2)}}}, kafka.None, ""},
		{"an assignment and a factor", NewTopic{Name: "t", Partitions: -1, ReplicationFactor: 1, Assignments: []Assignment{{0, nodes(1)}}}, kafka.InvalidRequest, "replication factor was not set to -1"},
		{"an assignment and a number", NewTopic{Name: "t", Partitions: 1, ReplicationFactor: -1, Assignments: []Assignment{{0, nodes(1)}}}, kafka.InvalidRequest, "numPartitions was not set to -1"},
		{"a partition assigned twice", NewTopic{Name: "t", Partitions: -1, ReplicationFactor: -1, Assignments: []Assignment{{0, nodes(1)}, {0, nodes(2)}}}, kafka.InvalidReplicaAssignment, "multiple manual"},
		{"a gap in the numbers", NewTopic{Name: "t", Partitions: -1, ReplicationFactor: -1, Assignments: []Assignment{{0, nodes(1)}, {2, nodes(2)}}}, kafka.InvalidReplicaAssignment, "consecutive"},
		{"a negative number", NewTopic{Name: "t", Partitions: -1, ReplicationFactor: -1, Assignments: []Assignment{{-1, nodes(1)}}}, kafka.InvalidReplicaAssignment, "consecutive"},
		{"no replicas in an assignment", NewTopic{Name: "t", Partitions: -1, ReplicationFactor: -1, Assignments: []Assignment{{0, nil}}}, kafka.InvalidReplicaAssignment, "empty replica list"},
		{"a broker nobody knows", NewTopic{Name: "t", Partitions: -1, ReplicationFactor: -1, Assignments: []Assignment{{0, nodes(1, 9)}}}, kafka.InvalidReplicaAssignment, "broker 9"},
		{"a broker twice", NewTopic{Name: "t", Partitions: -1, ReplicationFactor: -1, Assignments: []Assignment{{0, nodes(1, 2, 1)}}}, kafka.InvalidReplicaAssignment, "more than once"},
		{"different sizes", NewTopic{Name: "t", Partitions: -1, ReplicationFactor: -1, Assignments: []Assignment{{0, nodes(1)}, {1, nodes(1, 2)}}}, kafka.InvalidReplicaAssignment, "not consistent"},
		{"only a fenced broker", NewTopic{Name: "t", Partitions: -1, ReplicationFactor: -1, Assignments: []Assignment{{0, nodes(4)}}}, kafka.InvalidReplicaAssignment, "fenced"},
		{"an endless replica list", NewTopic{Name: "t", Partitions: -1, ReplicationFactor: -1, Assignments: []Assignment{{0, make([]kafka.NodeID, meta.MaxReplicas+1)}}}, kafka.InvalidReplicaAssignment, "limit"},
		{"too many assigned partitions", NewTopic{Name: "t", Partitions: -1, ReplicationFactor: -1, Assignments: make([]Assignment, 51)}, kafka.PolicyViolation, "limit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, "", "", "", "!")
			w.c.Settings.PartitionsPerTopicMax, w.c.Settings.PartitionsPerRequestMax = 50, 100
			w.mustCreate("old.topic", 1, 1)
			topics := w.im.NumTopics()
			r := w.create(c.topic)[0]
			if r.Code != c.code || !strings.Contains(r.Message, c.says) || (r.Message == "") != r.OK() {
				t.Fatalf("%v %q, want %v saying %q", r.Code, r.Message, c.code, c.says)
			}
			if made := w.im.NumTopics() > topics; made != r.OK() {
				t.Fatalf("made: %v", made)
			}
			if !r.OK() && (!r.ID.IsZero() || r.Partitions != 0) {
				t.Fatalf("a failure with an id: %+v", r)
			}
		})
	}
}

func TestCreateTopicsTogether(t *testing.T) {
	w := newWorld(t, "")
	one := func(name string) NewTopic { return NewTopic{Name: name, Partitions: 1, ReplicationFactor: 1} }
	results := w.create(one("twice"), one("a.b"), one("twice"), one("bad name"), one("a_b"), one("plain"), one("twice"))
	var got []string
	for _, r := range results {
		got = append(got, fmt.Sprintf("%s %v", r.Name, r.Code))
	}
	want := []string{"a.b NONE", "bad name INVALID_TOPIC_EXCEPTION", "a_b INVALID_TOPIC_EXCEPTION", "plain NONE", "twice INVALID_REQUEST"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	if w.im.NumTopics() != 2 || w.im.Revision() != 2 {
		t.Fatalf("%d topics at revision %d: the good ones are made, in one transaction", w.im.NumTopics(), w.im.Revision())
	}
	w.c.Settings.PartitionsPerRequestMax = 2
	for _, r := range w.create(one("x"), one("y"), NewTopic{Name: "z", Partitions: -1, ReplicationFactor: -1}) {
		if r.Code != kafka.PolicyViolation {
			t.Fatalf("three partitions in a request of two: %s %v", r.Name, r.Code)
		}
	}
}

func TestNewTopicIsAsAsked(t *testing.T) {
	w := newWorld(t, "", "", "!")
	w.c.Settings.NumPartitions, w.c.Settings.DefaultReplicationFactor = 3, 2
	r := w.create(NewTopic{Name: "t", Partitions: -1, ReplicationFactor: -1, Configs: []NewTopicSetting{{"retention.ms", str("7")}, {"retention.ms", str(" 8 ")}}})[0]
	topic := w.im.Topic("t")
	if !r.OK() || r.Partitions != 3 || r.ReplicationFactor != 2 || r.ID != topic.ID || topic.NumPartitions() != 3 {
		t.Fatalf("%+v, %v", r, topic)
	}
	if got := w.im.Settings(meta.TopicConfigs("t")); !slices.Equal(got, meta.Settings{{Name: "retention.ms", Value: "8"}}) {
		t.Fatalf("settings %v: the last of a name counts, in the form the rules give it", got)
	}
	for p, v := range topic.Partitions() {
		if v.Leader != v.Replicas[0] || v.LeaderEpoch != 0 || v.PartitionEpoch != 0 || !slices.Equal(v.ISR, v.Replicas) {
			t.Fatalf("partition %d starts as %+v", p, v)
		}
	}
	// By hand, a fenced broker may be a replica, but neither leads nor is in sync.
	w.create(NewTopic{Name: "hand", Partitions: -1, ReplicationFactor: -1, Assignments: []Assignment{{1, nodes(2, 3)}, {0, nodes(3, 1)}}})
	hand := w.im.Topic("hand")
	if diff := cmp.Diff(meta.PartitionValue{V: 1, Replicas: nodes(3, 1), ISR: nodes(1), Leader: 1}, hand.Partition(0).PartitionValue); diff != "" {
		t.Fatal(diff)
	}
	if hand.Partition(1).Leader != 2 {
		t.Fatalf("%+v", hand.Partition(1))
	}
}

func TestValidateOnlyWritesNothing(t *testing.T) {
	w := newWorld(t, "")
	w.mustCreate("t", 1, 1)
	topics, txn1 := w.c.CreateTopics(w.im, CreateTopicsRequest{ValidateOnly: true, Topics: []NewTopic{{Name: "new", Partitions: 2, ReplicationFactor: 1, ID: kafka.TopicID{1}}, {Name: "t", Partitions: 1, ReplicationFactor: 1}}})
	parts, txn2 := w.c.CreatePartitions(w.im, CreatePartitionsRequest{ValidateOnly: true, Topics: []MorePartitions{{Name: "t", Count: 2}, {Name: "none", Count: 2}}})
	req := AlterConfigsRequest{ValidateOnly: true, Resources: []AlterResource{
		{Type: meta.TopicResource, Name: "t", Configs: []AlterConfig{{Name: "retention.ms", Value: str("1")}}},
		{Type: meta.TopicResource, Name: "none", Configs: []AlterConfig{{Name: "retention.ms", Value: str("1")}}},
	}}
	alter, txn3 := w.c.AlterConfigs(w.im, req)
	incr, txn4 := w.c.IncrementalAlterConfigs(w.im, req)
	for i, txn := range []meta.Txn{txn1, txn2, txn3, txn4} {
		if len(txn.Do) > 0 || len(txn.If) > 0 {
			t.Errorf("request %d would write %v", i, txn)
		}
	}
	got := []kafka.ErrorCode{topics[0].Code, topics[1].Code, parts[0].Code, parts[1].Code, alter[0].Code, alter[1].Code, incr[0].Code, incr[1].Code}
	want := []kafka.ErrorCode{kafka.None, kafka.TopicAlreadyExists, kafka.None, kafka.UnknownTopicOrPartition, kafka.None, kafka.UnknownTopicOrPartition, kafka.None, kafka.UnknownTopicOrPartition}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if topics[0].Partitions != 2 || topics[0].ReplicationFactor != 1 {
		t.Errorf("%+v", topics[0])
	}
}

func TestDeleteTopics(t *testing.T) {
	w := newWorld(t, "")
	a, b, _, d, e := w.mustCreate("a", 3, 1), w.mustCreate("b.x", 1, 1), w.mustCreate("c", 1, 1), w.mustCreate("d", 1, 1), w.mustCreate("e", 1, 1)
	_, txn := w.c.IncrementalAlterConfigs(w.im, AlterConfigsRequest{Resources: []AlterResource{{Type: meta.TopicResource, Name: "a", Configs: []AlterConfig{{Name: "retention.ms", Value: str("1")}}}}})
	w.commit(txn)
	unknown := kafka.TopicID{9}
	refs := []TopicRef{
		{Name: str("a")}, {ID: b.ID}, {Name: str("none")}, {ID: unknown}, {},
		{Name: str("c")}, {Name: str("c")}, {ID: d.ID}, {ID: d.ID}, {Name: str("d")},
		{ID: e.ID}, {Name: str("e")}, {Name: str("a"), ID: a.ID},
	}
	results, txn := w.c.DeleteTopics(w.im, refs)
	w.commit(txn)
	var got []string
	for _, r := range results {
		name := "-"
		if r.Name != nil {
			name = *r.Name
		}
		got = append(got, fmt.Sprintf("%s %v %v", name, !r.ID.IsZero(), r.Code))
	}
	want := []string{
		"a true NONE", "b.x true NONE", "none false UNKNOWN_TOPIC_OR_PARTITION", "- true UNKNOWN_TOPIC_ID", "- false INVALID_REQUEST",
		"d true INVALID_REQUEST", "e true INVALID_REQUEST", "a true INVALID_REQUEST", "c false INVALID_REQUEST", "- true INVALID_REQUEST",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	if w.im.Topic("a") != nil || w.im.Topic("b.x") != nil || w.im.NumTopics() != 3 {
		t.Fatal("the wrong topics are gone")
	}
	for key := range w.kvs {
		if strings.Contains(key, a.ID.Hex()) || strings.Contains(key, b.ID.Hex()) || key == meta.NameKey("a") || key == meta.NameKey("b.x") || key == meta.TopicConfigs("a").Key() {
			t.Errorf("left behind: %s", key)
		}
	}
	if again := w.mustCreate("a", 1, 1); again.ID == a.ID {
		t.Fatal("a topic made again has the old id")
	}
	if s := w.im.Settings(meta.TopicConfigs("a")); s != nil {
		t.Fatalf("a topic made again has the old settings: %v", s)
	}
	w.c.Settings.DeleteTopicEnable = false
	results, txn = w.c.DeleteTopics(w.im, []TopicRef{{Name: str("c")}, {Name: str("none")}})
	if len(txn.Do) > 0 || results[0].Code != kafka.TopicDeletionDisabled || results[1].Code != kafka.TopicDeletionDisabled {
		t.Fatalf("%+v", results)
	}
}

func TestCreatePartitions(t *testing.T) {
	for _, c := range []struct {
		name string
		req  MorePartitions
		code kafka.ErrorCode
		says string
	}{
		{"one more", MorePartitions{Name: "t", Count: 3}, kafka.None, ""},
		{"an unknown topic", MorePartitions{Name: "none", Count: 3}, kafka.UnknownTopicOrPartition, ""},
		{"as many as there are", MorePartitions{Name: "t", Count: 2}, kafka.InvalidPartitions, "already has 2"},
		{"fewer", MorePartitions{Name: "t", Count: 1}, kafka.InvalidPartitions, "not be an increase"},
		{"a negative count", MorePartitions{Name: "t", Count: -2147483648}, kafka.InvalidPartitions, "not be an increase"},
		{"more than a topic may have", MorePartitions{Name: "t", Count: 51}, kafka.PolicyViolation, "limit of one topic is 50"},
		{"more than a request may ask for", MorePartitions{Name: "t", Count: 103}, kafka.PolicyViolation, "limit of one request is 100"},
		{"the greatest count", MorePartitions{Name: "t", Count: 2147483647}, kafka.PolicyViolation, ""},
		{"by hand", MorePartitions{Name: "t", Count: 4, Assignments: [][]kafka.NodeID{nodes(2, 1), nodes(3, 4)}}, kafka.None, ""},
		{"too few by hand", MorePartitions{Name: "t", Count: 4, Assignments: [][]kafka.NodeID{nodes(2, 1)}}, kafka.InvalidReplicaAssignment, "Attempted to add 2"},
		{"none by hand", MorePartitions{Name: "t", Count: 4, Assignments: [][]kafka.NodeID{}}, kafka.InvalidReplicaAssignment, "Attempted to add 2"},
		{"another factor by hand", MorePartitions{Name: "t", Count: 3, Assignments: [][]kafka.NodeID{nodes(1)}}, kafka.InvalidReplicaAssignment, "not consistent"},
		{"a broker nobody knows", MorePartitions{Name: "t", Count: 3, Assignments: [][]kafka.NodeID{nodes(1, 8)}}, kafka.InvalidReplicaAssignment, "broker 8"},
		{"only fenced brokers", MorePartitions{Name: "t", Count: 3, Assignments: [][]kafka.NodeID{nodes(4, 5)}}, kafka.InvalidReplicaAssignment, "partition 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, "", "", "", "!", "!")
			w.c.Settings.PartitionsPerTopicMax, w.c.Settings.PartitionsPerRequestMax = 50, 100
			before := w.mustCreate("t", 2, 2)
			res, txn := w.c.CreatePartitions(w.im, CreatePartitionsRequest{Topics: []MorePartitions{c.req}})
			w.commit(txn)
			if r := res[0]; r.Code != c.code || !strings.Contains(r.Message, c.says) {
				t.Fatalf("%v %q, want %v saying %q", r.Code, r.Message, c.code, c.says)
			}
			now := w.im.Topic("t")
			if !res[0].OK() {
				if now != before {
					t.Fatal("the topic changed")
				}
				return
			}
			if now.NumPartitions() != c.req.Count || now.ID != before.ID {
				t.Fatalf("%d partitions, want %d", now.NumPartitions(), c.req.Count)
			}
			for p, v := range now.Partitions() {
				if old := before.Partition(p); old != nil && old != v {
					t.Fatalf("partition %d was touched", p)
				} else if old == nil && c.req.Assignments != nil && !slices.Equal(v.Replicas, c.req.Assignments[p-2]) {
					t.Fatalf("partition %d lies on %v", p, v.Replicas)
				}
			}
		})
	}
	w := newWorld(t, "")
	w.mustCreate("a", 1, 1)
	w.mustCreate("b", 1, 1)
	res, _ := w.c.CreatePartitions(w.im, CreatePartitionsRequest{Topics: []MorePartitions{{Name: "b", Count: 2}, {Name: "a", Count: 2}, {Name: "b", Count: 3}}})
	if len(res) != 2 || res[0].Name != "a" || !res[0].OK() || res[1].Name != "b" || res[1].Code != kafka.InvalidRequest {
		t.Fatalf("%+v", res)
	}
}
