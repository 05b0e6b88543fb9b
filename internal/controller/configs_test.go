package controller

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/meta"
)

const (
	topicType  = meta.TopicResource
	brokerType = meta.BrokerResource
)

func TestIncrementalAlterConfigs(t *testing.T) {
	set := func(name, value string) AlterConfig { return AlterConfig{name, ConfigSet, &value} }
	del := func(name string) AlterConfig { return AlterConfig{name, ConfigDelete, nil} }
	add := func(name, value string) AlterConfig { return AlterConfig{name, ConfigAppend, &value} }
	sub := func(name, value string) AlterConfig { return AlterConfig{name, ConfigSubtract, &value} }
	const before = "[{retention.ms 5}]"
	for _, c := range []struct {
		name     string
		typ      meta.ResourceType
		resource string
		changes  []AlterConfig
		code     kafka.ErrorCode
		says     string
		want     string // the settings of topic t, or of the broker resource, afterwards
	}{
		{"set a new one", topicType, "t", []AlterConfig{set("cleanup.policy", "compact")}, 0, "", "[{cleanup.policy compact} {retention.ms 5}]"},
		{"set another value", topicType, "t", []AlterConfig{set("retention.ms", "6")}, 0, "", "[{retention.ms 6}]"},
		{"set in a tidier form", topicType, "t", []AlterConfig{set("retention.ms", " 6 ")}, 0, "", "[{retention.ms 6}]"},
		{"set a bad value", topicType, "t", []AlterConfig{set("retention.ms", "x")}, kafka.InvalidConfig, "retention.ms=x", before},
		{"one bad one spoils the others", topicType, "t", []AlterConfig{set("cleanup.policy", "compact"), set("none", "x")}, kafka.InvalidConfig, "none", before},
		{"delete", topicType, "t", []AlterConfig{del("retention.ms")}, 0, "", "[]"},
		{"delete with a value", topicType, "t", []AlterConfig{{"retention.ms", ConfigDelete, str("9")}}, 0, "", "[]"},
		{"delete what is not set", topicType, "t", []AlterConfig{del("cleanup.policy")}, 0, "", before},
		{"append to the default", topicType, "t", []AlterConfig{add("cleanup.policy", "compact")}, 0, "", "[{cleanup.policy delete,compact} {retention.ms 5}]"},
		{"append what is there", topicType, "t", []AlterConfig{add("cleanup.policy", "delete,compact,compact")}, 0, "", "[{cleanup.policy delete,compact} {retention.ms 5}]"},
		{"subtract from the default", topicType, "t", []AlterConfig{sub("cleanup.policy", "delete")}, 0, "", "[{cleanup.policy } {retention.ms 5}]"},
		{"subtract what is not there", topicType, "t", []AlterConfig{sub("cleanup.policy", "compact")}, 0, "", "[{cleanup.policy delete} {retention.ms 5}]"},
		{"append to what is no list", topicType, "t", []AlterConfig{add("retention.ms", "1")}, kafka.InvalidConfig, "not LIST", before},
		{"subtract from what is no list", topicType, "t", []AlterConfig{sub("none", "1")}, kafka.InvalidConfig, "not LIST", before},
		{"one name twice", topicType, "t", []AlterConfig{set("retention.ms", "1"), del("retention.ms")}, kafka.InvalidRequest, "duplicate", before},
		{"set to null", topicType, "t", []AlterConfig{{"retention.ms", ConfigSet, nil}}, kafka.InvalidRequest, "Null value", before},
		{"append null", topicType, "t", []AlterConfig{{"cleanup.policy", ConfigAppend, nil}}, kafka.InvalidRequest, "Null value", before},
		{"an unknown operation", topicType, "t", []AlterConfig{{"retention.ms", 4, str("1")}}, kafka.InvalidRequest, "operations type 4", before},
		{"no change at all", topicType, "t", nil, 0, "", before},
		{"more than can be kept", topicType, "t", []AlterConfig{set("big", strings.Repeat("x", settingsBytesMax))}, kafka.InvalidConfig, "limit", before},
		{"an unknown topic", topicType, "none", []AlterConfig{set("retention.ms", "6")}, kafka.UnknownTopicOrPartition, "", before},
		{"a bad value on an unknown topic", topicType, "none", []AlterConfig{set("retention.ms", "x")}, kafka.InvalidConfig, "", before},
		{"a bad topic name", topicType, "a b", []AlterConfig{set("retention.ms", "6")}, kafka.InvalidTopicException, "a b", before},
		{"all topics", topicType, "", []AlterConfig{set("retention.ms", "6")}, kafka.InvalidRequest, "Default topic", before},
		{"a broker logger", 8, "1", []AlterConfig{set("x", "INFO")}, kafka.InvalidRequest, "resource type 8", before},
		{"type 0", 0, "1", nil, kafka.InvalidRequest, "resource type 0", before},
		{"a negative type", -3, "1", nil, kafka.InvalidRequest, "resource type -3", before},

		{"this broker", brokerType, "1", []AlterConfig{set("listener.name", "x")}, 0, "", "[{listener.name x}]"},
		{"this broker, written otherwise", brokerType, "+01", []AlterConfig{set("listener.name", "x")}, 0, "", "[{listener.name x}]"},
		{"all brokers", brokerType, "", []AlterConfig{set("log.cleaner.threads", "2")}, 0, "", "[{log.cleaner.threads 2}]"},
		{"a list of brokers", brokerType, "", []AlterConfig{add("metric.reporters", "a,b")}, 0, "", "[{metric.reporters a,b}]"},
		{"all brokers, but it belongs to one", brokerType, "", []AlterConfig{set("listener.name", "x")}, kafka.InvalidRequest, "one broker", "[]"},
		{"what cannot change at run time", brokerType, "1", []AlterConfig{set("node.id", "2")}, kafka.InvalidRequest, "cannot be changed", "[]"},
		{"another broker", brokerType, "2", []AlterConfig{set("log.cleaner.threads", "2")}, kafka.InvalidRequest, "expected 1", "[]"},
		{"a broker of words", brokerType, "one", []AlterConfig{set("log.cleaner.threads", "2")}, kafka.InvalidRequest, "must be an integer", "[]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, "", "")
			w.create(NewTopic{Name: "t", Partitions: 1, ReplicationFactor: 1, Configs: []NewTopicSetting{{"retention.ms", str("5")}}})
			res, txn := w.c.IncrementalAlterConfigs(w.im, AlterConfigsRequest{Resources: []AlterResource{{c.typ, c.resource, c.changes}}})
			w.commit(txn)
			if r := res[0]; len(res) != 1 || r.Type != c.typ || r.Name != c.resource || r.Code != c.code || !strings.Contains(r.Message, c.says) {
				t.Fatalf("%+v, want %v saying %q", res, c.code, c.says)
			}
			r := meta.TopicConfigs("t")
			if c.typ == brokerType {
				if r = meta.DefaultBrokerConfigs(); c.resource != "" {
					r = meta.BrokerConfigs(1)
				}
			}
			if got := fmt.Sprint(w.im.Settings(r)); got != c.want {
				t.Fatalf("settings %s, want %s", got, c.want)
			}
		})
	}
}

func TestAlterConfigsReplaces(t *testing.T) {
	w := newWorld(t, "")
	w.create(NewTopic{Name: "t", Partitions: 1, ReplicationFactor: 1, Configs: []NewTopicSetting{{"retention.ms", str("5")}}})
	alter := func(resources ...AlterResource) []AlterResult {
		res, txn := w.c.AlterConfigs(w.im, AlterConfigsRequest{Resources: resources})
		w.commit(txn)
		return res
	}
	settings := func() string { return fmt.Sprint(w.im.Settings(meta.TopicConfigs("t"))) }
	res := alter(AlterResource{topicType, "t", []AlterConfig{{Name: "cleanup.policy", Value: str("compact"), Op: ConfigDelete}}})
	if !res[0].OK() || settings() != "[{cleanup.policy compact}]" {
		t.Fatalf("%+v %s", res, settings())
	}
	for _, bad := range []AlterConfig{{Name: "retention.ms", Value: str("x")}, {Name: "retention.ms"}} {
		if res := alter(AlterResource{topicType, "t", []AlterConfig{bad}}); res[0].OK() || settings() != "[{cleanup.policy compact}]" {
			t.Fatalf("%+v %s", res, settings())
		}
	}
	if alter(AlterResource{topicType, "t", []AlterConfig{{Name: "retention.ms"}}})[0].Code != kafka.InvalidRequest {
		t.Fatal("null is a fault of the request, whatever the operation field says")
	}
	if res := alter(AlterResource{topicType, "t", nil}); !res[0].OK() || settings() != "[]" || w.im.Config(meta.TopicConfigs("t")) != nil {
		t.Fatalf("nothing replaces everything: %+v %s", res, settings())
	}
}

func TestResourcesOfOneRequest(t *testing.T) {
	w := newWorld(t, "")
	w.mustCreate("a", 1, 1)
	w.mustCreate("b", 1, 1)
	change := []AlterConfig{{Name: "retention.ms", Value: str("1")}}
	res, txn := w.c.IncrementalAlterConfigs(w.im, AlterConfigsRequest{Resources: []AlterResource{
		{topicType, "a", change}, {topicType, "b", change}, {topicType, "a", nil}, {brokerType, "", []AlterConfig{{Name: "log.cleaner.threads", Value: str("1")}}},
	}})
	w.commit(txn)
	var got []kafka.ErrorCode
	for _, r := range res {
		got = append(got, r.Code)
	}
	if diff := cmp.Diff([]kafka.ErrorCode{kafka.InvalidRequest, kafka.None, kafka.InvalidRequest, kafka.None}, got); diff != "" {
		t.Fatal(diff)
	}
	if w.im.Settings(meta.TopicConfigs("a")) != nil || w.im.Settings(meta.TopicConfigs("b")) == nil || w.im.Settings(meta.DefaultBrokerConfigs()) == nil {
		t.Fatal("the wrong ones were changed")
	}
}

func TestUnchangedSettings(t *testing.T) {
	w := newWorld(t, "")
	w.create(NewTopic{Name: "t", Partitions: 1, ReplicationFactor: 1, Configs: []NewTopicSetting{{"retention.ms", str("5")}}})
	req := func(typ meta.ResourceType, name, key, v string) AlterConfigsRequest {
		return AlterConfigsRequest{Resources: []AlterResource{{typ, name, []AlterConfig{{Name: key, Value: &v}}}}}
	}
	if _, txn := w.c.IncrementalAlterConfigs(w.im, req(topicType, "t", "retention.ms", "5")); len(txn.Do) != 0 {
		t.Fatalf("a topic's unchanged settings would be written: %v", txn)
	}
	for range 2 { // a broker's are written again, so that it reads again the files they name
		_, txn := w.c.IncrementalAlterConfigs(w.im, req(brokerType, "1", "listener.name", "x"))
		if len(txn.Do) != 1 {
			t.Fatalf("a broker's settings would not be written: %v", txn)
		}
		w.commit(txn)
	}
}

func TestRegisterBroker(t *testing.T) {
	w := newWorld(t)
	register := func(req RegisterBrokerRequest) Result {
		res, txn := w.c.RegisterBroker(w.im, req)
		w.commit(txn)
		return res
	}
	if r := register(RegisterBrokerRequest{ID: 1}); r.Code != kafka.InconsistentClusterID {
		t.Fatalf("no cluster id at all: %+v", r)
	}
	if r := register(RegisterBrokerRequest{ID: -1, NewClusterID: "fresh"}); r.Code != kafka.InvalidRequest {
		t.Fatalf("%+v", r)
	}
	if r := register(RegisterBrokerRequest{ID: 1, ClusterID: "mine", NewClusterID: "fresh"}); !r.OK() || w.im.ClusterID() != "mine" {
		t.Fatalf("data that has a cluster id names the cluster: %+v %s", r, w.im.ClusterID())
	}
	epoch := w.im.Broker(1).Epoch
	if r := register(RegisterBrokerRequest{ID: 1, ClusterID: "other"}); r.Code != kafka.InconsistentClusterID || w.im.Broker(1).Epoch != epoch {
		t.Fatalf("%+v", r)
	}
	if r := register(RegisterBrokerRequest{ID: 1, NewClusterID: "fresh", Registration: meta.Registration{Rack: "r"}}); !r.OK() || w.im.ClusterID() != "mine" || w.im.Broker(1).Epoch <= epoch || w.im.Broker(1).Rack != "r" {
		t.Fatalf("%+v", w.im.Broker(1))
	}
}

func TestProducerIDBlocks(t *testing.T) {
	w := newWorld(t, "")
	for i := range int64(3) {
		ids, txn := w.c.AllocateProducerIDs(w.im)
		if !ids.OK() || ids.First != i*ProducerIDBlock || ids.Count != ProducerIDBlock {
			t.Fatalf("%+v", ids)
		}
		if again, _ := w.c.AllocateProducerIDs(w.im); again.First != ids.First {
			t.Fatal("not a function of the image")
		}
		w.commit(txn)
	}
	_, txn := w.c.AllocateProducerIDs(w.im)
	txn.Do[0].Value = meta.EncodeNextProducer(math.MaxInt64 - 5)
	w.commit(txn)
	if ids, txn := w.c.AllocateProducerIDs(w.im); ids.Code != kafka.UnknownServerError || len(txn.Do) != 0 {
		t.Fatalf("ids beyond the last: %+v", ids)
	}
}

func TestSettingsAreValidated(t *testing.T) {
	s := DefaultSettings(1)
	if faults := s.Validate(); faults != nil {
		t.Fatal(faults)
	}
	bad := Settings{NodeID: -1}
	if faults := bad.Validate(); len(faults) != 5 {
		t.Fatalf("not all faults at once: %v", faults)
	}
}

func TestListsAreChangedInOrder(t *testing.T) {
	for _, c := range []struct {
		list, values string
		op           ConfigOp
		want         string
	}{
		{"", "", ConfigAppend, ""},
		{"", "a", ConfigAppend, "a"},
		{"a,b", "c,a,d", ConfigAppend, "a,b,c,d"},
		{"a, b", " c ,,", ConfigAppend, "a,b,c"},
		{"a,b,c", "b,x", ConfigSubtract, "a,c"},
		{"a", "a", ConfigSubtract, ""},
		{"a,b,a", "a", ConfigSubtract, "b,a"},
	} {
		if got := changeList(c.list, c.values, c.op); got != c.want {
			t.Errorf("%q %v %q: %q, want %q", c.list, c.op, c.values, got, c.want)
		}
	}
}
