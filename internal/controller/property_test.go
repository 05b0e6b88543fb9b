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
			for topic := range w.im.Topics() {
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
