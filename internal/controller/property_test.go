package controller

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/meta"
)

// tryCommit carries out txn if its conditions hold, as a Store does.
func (w *world) tryCommit(txn meta.Txn) bool {
	for _, c := range txn.If {
		if w.kvs[c.Key].ModRevision != c.Mod {
			return false
		}
	}
	w.commit(txn)
	return true
}

func (w *world) list() []meta.KV {
	var kvs []meta.KV
	for _, kv := range w.kvs {
		kvs = append(kvs, kv)
	}
	slices.SortFunc(kvs, func(a, b meta.KV) int { return strings.Compare(a.Key, b.Key) })
	return kvs
}

// text is what an image says of topics and settings.
func text(im *meta.Image) string {
	var b strings.Builder
	for t := range im.Topics() {
		fmt.Fprintf(&b, "%s %s\n", t.Name, t.ID)
		for p, v := range t.Partitions() {
			fmt.Fprintf(&b, "  %d %+v\n", p, v.PartitionValue)
		}
	}
	for c := range im.Configs() {
		fmt.Fprintf(&b, "%s %v\n", c.Resource, c.Settings)
	}
	return b.String()
}

// TestStaleDecisionsNeverHarm lets several controllers decide on images of any age. A transaction whose conditions hold may be
// carried out, and whatever is carried out leaves metadata that make sense: every topic whole, names unique, ids never used
// again, leader epochs never falling, no settings without their topic, no producer id given twice.
func TestStaleDecisionsNeverHarm(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, "", "")
		images := []*meta.Image{w.im}
		name := rapid.SampledFrom([]string{"a", "b.c", "b_c", "d"})
		used := map[kafka.TopicID]string{}
		epochs := map[string]int32{}
		ids := map[int64]bool{}
		var fresh uint16
		committed, refused := 0, 0
		for range rapid.IntRange(5, 40).Draw(rt, "steps") {
			im := images[max(0, len(images)-1-rapid.IntRange(0, 4).Draw(rt, "age"))]
			var txn meta.Txn
			var block ProducerIDs
			switch rapid.IntRange(0, 5).Draw(rt, "request") {
			case 0, 1:
				fresh++
				n := NewTopic{Name: name.Draw(rt, "name"), Partitions: int32(rapid.IntRange(1, 3).Draw(rt, "partitions")), ReplicationFactor: 1,
					ID: kafka.TopicID{0: byte(fresh), 1: byte(fresh >> 8), 15: 1}, Start: rapid.Uint32().Draw(rt, "start")}
				if rapid.Bool().Draw(rt, "settings") {
					n.Configs = []NewTopicSetting{{"retention.ms", str("1")}}
				}
				_, txn = w.c.CreateTopics(im, CreateTopicsRequest{Topics: []NewTopic{n}})
			case 2:
				_, txn = w.c.DeleteTopics(im, []TopicRef{{Name: str(name.Draw(rt, "name"))}, {Name: str(name.Draw(rt, "name"))}})
			case 3:
				_, txn = w.c.CreatePartitions(im, CreatePartitionsRequest{Topics: []MorePartitions{{Name: name.Draw(rt, "name"), Count: int32(rapid.IntRange(1, 9).Draw(rt, "count"))}}})
			case 4:
				v := fmt.Sprint(rapid.IntRange(0, 9).Draw(rt, "value"))
				req := AlterConfigsRequest{Resources: []AlterResource{{meta.TopicResource, name.Draw(rt, "name"), []AlterConfig{{Name: "retention.ms", Value: &v}}}}}
				if rapid.Bool().Draw(rt, "replace") {
					_, txn = w.c.AlterConfigs(im, req)
				} else {
					_, txn = w.c.IncrementalAlterConfigs(im, req)
				}
			case 5:
				block, txn = w.c.AllocateProducerIDs(im)
			}
			before := w.im
			if !w.tryCommit(txn) {
				refused++
				continue
			}
			committed++
			images = append(images, w.im)
			if block.Count > 0 {
				if ids[block.First] {
					rt.Fatalf("producer ids from %d on were given twice", block.First)
				}
				ids[block.First] = true
			}
			if missing := w.im.Incomplete(); missing != nil {
				rt.Fatalf("incomplete topics %v", missing)
			}
			guards := 0
			for key := range w.kvs {
				if strings.HasPrefix(key, "names/") {
					guards++
				}
			}
			if guards != w.im.NumTopics() {
				rt.Fatalf("%d names are guarded, there are %d topics", guards, w.im.NumTopics())
			}
			for topic := range w.im.Topics() {
				if guard := string(w.kvs[meta.NameKey(topic.Name)].Value); guard != string(meta.EncodeName(topic.Name, topic.ID)) {
					rt.Fatalf("the name of %s is guarded by %q", topic.Name, guard)
				}
				if old := used[topic.ID]; old != "" && before.TopicByID(topic.ID) == nil {
					rt.Fatalf("the id of %s came back as %s", old, topic.Name)
				}
				used[topic.ID] = topic.Name
				for p, v := range topic.Partitions() {
					key := meta.PartitionKey(topic.ID, p)
					if v.LeaderEpoch < epochs[key] {
						rt.Fatalf("the leader epoch of %s-%d fell to %d", topic.Name, p, v.LeaderEpoch)
					}
					epochs[key] = v.LeaderEpoch
				}
			}
			for c := range w.im.Configs() {
				if c.Resource.Type == meta.TopicResource && w.im.Topic(c.Resource.Name) == nil {
					rt.Fatalf("settings of %s without the topic", c.Resource.Name)
				}
			}
			replayed, _, err := meta.FromList(w.list(), w.im.Revision())
			if err != nil {
				rt.Fatal(err)
			}
			if diff := cmp.Diff(text(replayed), text(w.im)); diff != "" {
				rt.Fatalf("list (-), live (+):\n%s", diff)
			}
		}
		if committed == 0 && refused == 0 {
			rt.Fatal("nothing was tried")
		}
	})
}

// TestSecondOfTwoDecisionsIsRefused: of two decisions made on one image about the same thing, only one is carried out.
func TestSecondOfTwoDecisionsIsRefused(t *testing.T) {
	set := func(r meta.ResourceType, resource, name string) func(*world) meta.Txn {
		return func(w *world) meta.Txn {
			_, txn := w.c.IncrementalAlterConfigs(w.im, AlterConfigsRequest{Resources: []AlterResource{{r, resource, []AlterConfig{{Name: name, Value: str("1")}}}}})
			return txn
		}
	}
	create := func(name string, id byte) func(*world) meta.Txn {
		return func(w *world) meta.Txn {
			_, txn := w.c.CreateTopics(w.im, CreateTopicsRequest{Topics: []NewTopic{{Name: name, Partitions: 1, ReplicationFactor: 1, ID: kafka.TopicID{15: id}}}})
			return txn
		}
	}
	grow := func(w *world) meta.Txn {
		_, txn := w.c.CreatePartitions(w.im, CreatePartitionsRequest{Topics: []MorePartitions{{Name: "t", Count: 3}}})
		return txn
	}
	remove := func(w *world) meta.Txn {
		_, txn := w.c.DeleteTopics(w.im, []TopicRef{{Name: str("t")}})
		return txn
	}
	pids := func(w *world) meta.Txn { _, txn := w.c.AllocateProducerIDs(w.im); return txn }
	register := func(id kafka.NodeID) func(*world) meta.Txn {
		return func(w *world) meta.Txn {
			_, txn := w.c.RegisterBroker(w.im, RegisterBrokerRequest{ID: id, NewClusterID: "c"})
			return txn
		}
	}
	for _, c := range []struct {
		name          string
		first, second func(*world) meta.Txn
	}{
		{"two topics of one name", create("n", 1), create("n", 2)},
		{"two topics whose names collide", create("n.n", 1), create("n_n", 2)},
		{"two topics of one id", create("n", 1), create("m", 1)},
		{"two settings of a topic", set(topicType, "t", "retention.ms"), set(topicType, "t", "big")},
		{"a setting of a topic that goes", remove, set(topicType, "t", "big")},
		{"partitions of a topic that goes", remove, grow},
		{"a topic that grew is deleted", grow, remove},
		{"a topic deleted twice", remove, remove},
		{"a topic grown twice", grow, grow},
		{"two settings of all brokers", set(brokerType, "", "log.cleaner.threads"), set(brokerType, "", "metric.reporters")},
		{"two blocks of producer ids", pids, pids},
		{"a broker registered twice", register(1), register(1)},
	} {
		w := newWorld(t, "")
		w.mustCreate("t", 2, 1)
		first, second := c.first(w), c.second(w)
		if len(first.Do) == 0 || len(second.Do) == 0 {
			t.Fatalf("%s: nothing to write", c.name)
		}
		if !w.tryCommit(first) {
			t.Errorf("%s: the first was refused", c.name)
		}
		if w.tryCommit(second) {
			t.Errorf("%s: the second was carried out, too", c.name)
		}
	}
	w := newWorld(t)
	a, b := register(1)(w), register(2)(w)
	if !w.tryCommit(a) || w.tryCommit(b) {
		t.Error("two first brokers named the cluster")
	}
}
