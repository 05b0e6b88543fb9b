package meta

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// show is everything an image says, as text: two images that show the same are the same to everybody.
func show(im *Image) string {
	var b strings.Builder
	next, mod := im.NextProducer()
	fmt.Fprintf(&b, "cluster %q, next producer %d at %d, %d topics, %d partitions\n", im.ClusterID(), next, mod, im.NumTopics(), im.NumPartitions())
	for _, br := range im.Brokers() {
		fmt.Fprintf(&b, "broker %d epoch %d %+v\n", br.ID, br.Epoch, br.Registration)
	}
	for t := range im.Topics() {
		fmt.Fprintf(&b, "topic %s %s at %d, by id %v, collides with itself %v\n", t.Name, t.ID, t.ModRevision, im.TopicByID(t.ID) == t, im.Colliding(t.Name) == t)
		for p, v := range t.Partitions() {
			fmt.Fprintf(&b, "  %d %+v at %d\n", p, v.PartitionValue, v.ModRevision)
		}
	}
	for c := range im.Configs() {
		fmt.Fprintf(&b, "%s %v at %d\n", c.Resource, c.Settings, c.ModRevision)
	}
	fmt.Fprintf(&b, "incomplete %v\n", im.Incomplete())
	return b.String()
}

func id(n byte) kafka.TopicID { return kafka.TopicID{15: n} }

func part(leaderEpoch, partitionEpoch int32, replicas ...kafka.NodeID) PartitionValue {
	return PartitionValue{Replicas: replicas, ISR: replicas, Leader: replicas[0], LeaderEpoch: leaderEpoch, PartitionEpoch: partitionEpoch}
}

func ev(rev Revision, key string, value []byte) Event {
	return Event{KV: KV{Key: key, Value: value, ModRevision: rev}}
}

func gone(rev Revision, key string) Event {
	return Event{KV: KV{Key: key, ModRevision: rev}, Deleted: true}
}

// topicEvents is the creation of a topic of n partitions.
func topicEvents(rev Revision, id kafka.TopicID, name string, n int32) []Event {
	evs := []Event{ev(rev, NameKey(name), EncodeName(name, id)), ev(rev, TopicKey(id), EncodeTopic(name, n))}
	for p := range n {
		evs = append(evs, ev(rev, PartitionKey(id, p), EncodePartition(part(0, 0, 1))))
	}
	return evs
}

func apply(t testing.TB, im *Image, rev Revision, events ...Event) (*Image, Changes) {
	t.Helper()
	next, c, err := im.Apply(Batch{Revision: rev, Events: events})
	if err != nil {
		t.Fatal(err)
	}
	return next, c
}

func (c PartitionChange) String() string {
	sign := "*"
	if c.Old == nil {
		sign = "+"
	} else if c.New == nil {
		sign = "-"
	}
	return fmt.Sprintf("%s%s/%d/%x", sign, c.Topic.Name, c.Partition, c.Topic.ID[15])
}

func lines(c Changes) string {
	var out []string
	for _, t := range c.TopicsDeleted {
		out = append(out, "deleted "+t.Name)
	}
	for _, t := range c.TopicsCreated {
		out = append(out, "created "+t.Name)
	}
	for _, p := range c.Partitions {
		out = append(out, p.String())
	}
	for _, r := range c.Configs {
		out = append(out, "conf "+r.String())
	}
	for _, b := range c.Brokers {
		out = append(out, fmt.Sprint("broker ", b))
	}
	if c.ClusterChanged {
		out = append(out, "cluster")
	}
	if c.Empty() != (len(out) == 0) {
		return "Empty is wrong"
	}
	return strings.Join(out, "; ")
}

func TestChangesSayWhatDiffers(t *testing.T) {
	im, c := apply(t, NewImage(), 1, append(topicEvents(1, id(1), "b", 2), append(topicEvents(1, id(2), "a.x", 1), ev(1, ClusterKey(), EncodeCluster("c")))...)...)
	if got, want := lines(c), "created a.x; created b; +a.x/0/2; +b/0/1; +b/1/1; cluster"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	if im.Colliding("a_x") == nil || im.Colliding("a-x") != nil || im.Topic("a_x") != nil {
		t.Fatal("'.' and '_' must collide, and only they")
	}
	first := show(im)
	old := im
	for _, c := range []struct {
		name   string
		events []Event
		want   string
	}{
		{"one partition changes", []Event{ev(0, PartitionKey(id(1), 1), EncodePartition(part(3, 4, 2, 1)))}, "*b/1/1"},
		{"partitions are added", []Event{ev(0, TopicKey(id(2)), EncodeTopic("a.x", 2)), ev(0, PartitionKey(id(2), 1), EncodePartition(part(0, 0, 1)))}, "+a.x/1/2"},
		{"settings and brokers change", []Event{
			ev(0, TopicConfigs("b").Key(), EncodeConfig(Settings{{"k", "v"}})), ev(0, DefaultBrokerConfigs().Key(), EncodeConfig(Settings{{"k", "v"}})),
			ev(0, BrokerConfigs(7).Key(), EncodeConfig(Settings{{"k", "v"}})), ev(0, BrokerKey(7), EncodeRegistration(Registration{Rack: "r"})), ev(0, BrokerKey(3), EncodeRegistration(Registration{}))},
			"conf TOPIC b; conf BROKER default; conf BROKER 7; broker 3; broker 7"},
		{"a broker and its settings go", []Event{gone(0, BrokerConfigs(7).Key()), gone(0, BrokerKey(7))}, "conf BROKER 7; broker 7"},
		{"the next producer id is nobody's business", []Event{ev(0, NextProducerKey(), EncodeNextProducer(1000))}, ""},
		{"unknown keys are passed over", []Event{ev(0, "quotas/x", []byte("?")), ev(0, "brokers/1/live", []byte("?")), ev(0, "later/9", nil)}, ""},
		{"a topic is deleted and made again", append([]Event{gone(0, TopicKey(id(1))), gone(0, PartitionKey(id(1), 0)), gone(0, PartitionKey(id(1), 1))}, topicEvents(0, id(3), "b", 1)...),
			"deleted b; created b; -b/0/1; -b/1/1; +b/0/3"},
		{"deleting what is not there changes nothing", []Event{gone(0, TopicKey(id(9))), gone(0, PartitionKey(id(9), 5)), gone(0, BrokerKey(9))}, "broker 9"},
	} {
		rev := im.Revision() + 1
		for i := range c.events {
			c.events[i].KV.ModRevision = rev
		}
		next, changes := apply(t, im, rev, c.events...)
		if got := lines(changes); got != c.want {
			t.Fatalf("%s: got %s, want %s", c.name, got, c.want)
		}
		if changes.Revision != rev || next.Revision() != rev {
			t.Fatalf("%s: revision %d, image %d, want %d", c.name, changes.Revision, next.Revision(), rev)
		}
		im = next
	}
	if show(old) != first {
		t.Fatalf("an older image changed:\n%s", cmp.Diff(first, show(old)))
	}
	if ids := im.Incomplete(); ids != nil {
		t.Fatalf("incomplete: %v", ids)
	}
	if again, c, err := im.Apply(Batch{Revision: im.Revision(), Events: topicEvents(im.Revision(), id(8), "z", 1)}); err != nil || again != im || !c.Empty() {
		t.Fatal("a batch seen before was applied again")
	}
}

func TestTopicIsHiddenUntilAllOfItIsThere(t *testing.T) {
	evs := topicEvents(1, id(1), "t", 70)
	rev := Revision(0)
	im := NewImage()
	for i, e := range evs { // name, topic, partitions 0 to 69
		rev++
		var c Changes
		im, c = apply(t, im, rev, e)
		last := i == len(evs)-1
		if (im.Topic("t") != nil) != last || (im.TopicByID(id(1)) != nil) != last || (len(c.Partitions) == 70) != last {
			t.Fatalf("after %d events: topic %v, changes %s", i+1, im.Topic("t"), lines(c))
		}
		if i > 0 && (len(im.Incomplete()) == 1) == last {
			t.Fatalf("after %d events: incomplete %v", i+1, im.Incomplete())
		}
	}
	// A hole is no topic, wherever it lies and whatever else is there too many.
	for _, p := range []int32{0, 33, 63, 64, 69} {
		im, c := apply(t, im, rev+1, gone(rev+1, PartitionKey(id(1), p)), ev(rev+1, PartitionKey(id(1), 500), EncodePartition(part(0, 0, 1))))
		if im.Topic("t") != nil || len(c.TopicsDeleted) != 1 || im.NumPartitions() != 0 {
			t.Fatalf("a topic without partition %d is shown", p)
		}
		im, _ = apply(t, im, rev+2, gone(rev+2, PartitionKey(id(1), 500)), ev(rev+2, PartitionKey(id(1), p), EncodePartition(part(0, 0, 1))))
		if im.Topic("t") == nil || im.NumPartitions() != 70 {
			t.Fatalf("the topic did not come back with partition %d", p)
		}
	}
	if im.Topic("t").Partition(70) != nil || im.Topic("t").Partition(-1) != nil || im.Partition("none", 0) != nil {
		t.Fatal("a partition out of range")
	}
}

func TestUnreadableMetadataIsNamed(t *testing.T) {
	im, _ := apply(t, NewImage(), 1, topicEvents(1, id(1), "t", 1)...)
	for _, c := range []struct {
		name  string
		event Event
		says  string
	}{
		{"a newer version", ev(2, TopicKey(id(2)), []byte(`{"v":2,"names":["t"]}`)), "version 2, this build knows up to 1"},
		{"no version", ev(2, TopicKey(id(2)), []byte(`{"name":"t","partitions":1}`)), "version 0"},
		{"no JSON", ev(2, TopicKey(id(2)), []byte("\x00")), "invalid character"},
		{"nothing", ev(2, TopicKey(id(2)), nil), "EOF"},
		{"more behind it", ev(2, TopicKey(id(2)), []byte(`{"v":1,"name":"t","partitions":1}{}`)), "more follows"},
		{"a field of nobody", ev(2, TopicKey(id(2)), []byte(`{"v":1,"name":"t","partitions":1,"colour":2}`)), "unknown field"},
		{"a bad name", ev(2, TopicKey(id(2)), EncodeTopic("a b", 1)), "topic name"},
		{"no partitions", ev(2, TopicKey(id(2)), EncodeTopic("u", 0)), "0 partitions"},
		{"too many partitions", ev(2, TopicKey(id(2)), EncodeTopic("u", MaxPartitions+1)), "partitions"},
		{"a bad topic key", ev(2, "topics/xyz", nil), "no topic id"},
		{"a topic key in capitals", ev(2, "topics/"+strings.Repeat("AB", 16), nil), "no topic id"},
		{"the zero topic id", ev(2, "topics/"+strings.Repeat("0", 32), nil), "no topic id"},
		{"a bad partition key", ev(2, PartitionsPrefix(id(1))+"1", nil), "no partition number"},
		{"a partition number too high", ev(2, PartitionsPrefix(id(1))+"0001048576", nil), "no partition number"},
		{"a bad broker key", ev(2, "brokers/-1/reg", nil), "no broker id"},
		{"a second form of a broker key", ev(2, "brokers/01/reg", nil), "no broker id"},
		{"a bad topic of settings", ev(2, "conf/topic/..", nil), "not allowed"},
		{"a bad broker of settings", ev(2, "conf/broker/x", nil), "no broker id"},
		{"a negative producer id", ev(2, NextProducerKey(), EncodeNextProducer(-1)), "next producer id -1"},
		{"no cluster id", ev(2, ClusterKey(), EncodeCluster("")), "cluster id"},
		{"a listener twice", ev(2, BrokerKey(1), EncodeRegistration(Registration{Listeners: []Listener{{Name: "A"}, {Name: "A"}}})), "twice"},
		{"a port out of range", ev(2, BrokerKey(1), EncodeRegistration(Registration{Listeners: []Listener{{Name: "A", Port: 65536}}})), "port"},
		{"no replicas", ev(2, PartitionKey(id(1), 0), EncodePartition(PartitionValue{Leader: -1})), "0 replicas"},
		{"a replica twice", ev(2, PartitionKey(id(1), 0), EncodePartition(part(0, 0, 1, 1))), "twice"},
		{"a negative replica", ev(2, PartitionKey(id(1), 0), EncodePartition(part(0, 0, -1))), "negative"},
		{"an ISR outside the replicas", ev(2, PartitionKey(id(1), 0), EncodePartition(PartitionValue{Replicas: []kafka.NodeID{1}, ISR: []kafka.NodeID{2}, Leader: -1})), "no replica"},
		{"a leader outside the ISR", ev(2, PartitionKey(id(1), 0), EncodePartition(PartitionValue{Replicas: []kafka.NodeID{1, 2}, ISR: []kafka.NodeID{2}, Leader: 1})), "not in the ISR"},
		{"a negative epoch", ev(2, PartitionKey(id(1), 0), EncodePartition(part(-1, 0, 1))), "epoch"},
		{"a colliding name", topicEvents(2, id(2), "t", 1)[1], ""},
	} {
		if c.says == "" {
			continue
		}
		next, _, err := im.Apply(Batch{Revision: 2, Events: []Event{c.event}})
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), c.event.KV.Key) {
			t.Errorf("%s: %v, want it to name the key and say %q", c.name, err, c.says)
		}
		if next != im {
			t.Errorf("%s: the image changed in spite of the error", c.name)
		}
	}
	var newer *NewerVersionError
	if _, _, err := im.Apply(Batch{Revision: 2, Events: []Event{ev(2, ClusterKey(), []byte(`{"v":7}`))}}); !errors.As(err, &newer) || newer.Version != 7 {
		t.Errorf("got %v", err)
	}
	if _, _, err := im.Apply(Batch{Revision: 2, Events: topicEvents(2, id(2), "t", 1)}); err == nil || !strings.Contains(err.Error(), "colliding") {
		t.Errorf("two topics of one name: %v", err)
	}
}

// store is the dumb twin of a Store: a map, from which a List is made.
type store struct {
	kvs map[string]KV
	rev Revision
}

func (s *store) list() []KV {
	var kvs []KV
	for _, kv := range s.kvs {
		kvs = append(kvs, kv)
	}
	slices.SortFunc(kvs, func(a, b KV) int { return strings.Compare(a.Key, b.Key) })
	return kvs
}

func (s *store) apply(b Batch) {
	s.rev = b.Revision
	for _, e := range b.Events {
		if e.Deleted {
			delete(s.kvs, e.KV.Key)
		} else {
			s.kvs[e.KV.Key] = e.KV
		}
	}
}

// TestImageAfterChangesEqualsImageOfTheList drives an image by random changes and compares it, after each, with one made afresh
// from the whole store, and with one that skipped some changes and caught up. Old images must stay as they were.
func TestImageAfterChangesEqualsImageOfTheList(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := &store{kvs: map[string]KV{}}
		live, lazy := NewImage(), NewImage()
		var old []*Image
		var shown []string
		logs := map[string]*Partition{} // what a shell keeps that goes by Changes alone
		counts := map[kafka.TopicID]int32{}
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			rev := s.rev + 1
			b := Batch{Revision: rev}
			seen, touched := map[string]bool{}, map[kafka.TopicID]bool{}
			add := func(e Event) {
				if !seen[e.KV.Key] {
					seen[e.KV.Key] = true
					b.Events = append(b.Events, e)
				}
			}
			for range rapid.IntRange(1, 4).Draw(rt, "items") {
				n := byte(rapid.IntRange(1, 8).Draw(rt, "topic"))
				tid, name := id(n), fmt.Sprintf("t%d", n%5) // some ids share a name
				kind := rapid.IntRange(0, 6).Draw(rt, "kind")
				if kind <= 4 && touched[tid] {
					continue // no key twice in a transaction
				}
				touched[tid] = touched[tid] || kind <= 4
				switch kind {
				case 0, 1:
					taken := false
					for other, c := range counts {
						taken = taken || (c > 0 && other[15]%5 == n%5)
					}
					if taken {
						continue
					}
					counts[tid] = int32(rapid.SampledFrom([]int{1, 2, 64, 65, 130}).Draw(rt, "partitions"))
					for _, e := range topicEvents(rev, tid, name, counts[tid]) {
						add(e)
					}
				case 2:
					for p := range counts[tid] {
						add(gone(rev, PartitionKey(tid, p)))
					}
					if counts[tid] > 0 {
						add(gone(rev, TopicKey(tid)))
						add(gone(rev, TopicConfigs(name).Key()))
						counts[tid] = 0
					}
				case 3:
					if c := counts[tid]; c > 0 {
						p := int32(rapid.IntRange(0, int(c)-1).Draw(rt, "p"))
						add(ev(rev, PartitionKey(tid, p), EncodePartition(part(int32(rev), int32(rev), 1, 2))))
					}
				case 4:
					if c := counts[tid]; c > 0 {
						counts[tid] = c + int32(rapid.IntRange(1, 70).Draw(rt, "more"))
						add(ev(rev, TopicKey(tid), EncodeTopic(name, counts[tid])))
						for p := c; p < counts[tid]; p++ {
							add(ev(rev, PartitionKey(tid, p), EncodePartition(part(0, 0, 1))))
						}
					}
				case 5:
					add(ev(rev, TopicConfigs(name).Key(), EncodeConfig(Settings{{"retention.ms", fmt.Sprint(rev)}})))
				case 6:
					if rapid.Bool().Draw(rt, "leaves") {
						add(gone(rev, BrokerKey(kafka.NodeID(n))))
					} else {
						add(ev(rev, BrokerKey(kafka.NodeID(n)), EncodeRegistration(Registration{Rack: fmt.Sprint(rev)})))
					}
				}
			}
			s.apply(b)
			next, changes, err := live.Apply(b)
			if err != nil {
				rt.Fatal(err)
			}
			old, shown = append(old, live), append(shown, show(live))
			live = next

			fresh, all, err := FromList(s.list(), s.rev)
			if err != nil {
				rt.Fatal(err)
			}
			if diff := cmp.Diff(show(fresh), show(live)); diff != "" {
				rt.Fatalf("list (-), changes (+):\n%s", diff)
			}
			if n := live.NumPartitions(); len(all.Partitions) != n || len(all.TopicsCreated) != live.NumTopics() {
				rt.Fatalf("the first image speaks of %d partitions, there are %d", len(all.Partitions), n)
			}
			for _, c := range changes.Partitions {
				key := PartitionKey(c.Topic.ID, c.Partition)
				if logs[key] != c.Old {
					rt.Fatalf("%s: the change starts from %v, the shell has %v", c, c.Old, logs[key])
				}
				if logs[key] = c.New; c.New == nil {
					delete(logs, key)
				}
			}
			if len(logs) != live.NumPartitions() {
				rt.Fatalf("by the changes there are %d partitions, by the image %d", len(logs), live.NumPartitions())
			}
			if rapid.IntRange(0, 3).Draw(rt, "catch up") == 0 {
				if lazy, _, err = lazy.Apply(lazy.CatchUp(s.list(), s.rev)); err != nil {
					rt.Fatal(err)
				}
				if diff := cmp.Diff(show(fresh), show(lazy)); diff != "" {
					rt.Fatalf("list (-), caught up (+):\n%s", diff)
				}
			}
		}
		for i, im := range old {
			if diff := cmp.Diff(shown[i], show(im)); diff != "" {
				rt.Fatalf("image %d changed later:\n%s", i, diff)
			}
		}
	})
}

func bigList(topics int) (kvs []KV) {
	for i := range topics {
		tid := kafka.TopicID{0: byte(i), 1: byte(i >> 8), 2: byte(i >> 16), 15: 1}
		for _, e := range topicEvents(1, tid, fmt.Sprintf("topic-%05d", i), 1) {
			kvs = append(kvs, e.KV)
		}
	}
	return kvs
}

func bigImage(tb testing.TB, topics int) *Image {
	im, _, err := FromList(bigList(topics), 1)
	if err != nil {
		tb.Fatal(err)
	}
	return im
}

// TestApplyCostsWhatChanges: an image of 10,000 topics allocates for one change a few tree paths, not itself.
func TestApplyCostsWhatChanges(t *testing.T) {
	im := bigImage(t, 10_000)
	topic := im.Topic("topic-05000")
	b := Batch{Revision: 2, Events: []Event{ev(2, PartitionKey(topic.ID, 0), EncodePartition(part(1, 1, 1)))}}
	small, _ := apply(t, NewImage(), 1, topicEvents(1, topic.ID, topic.Name, 1)...)
	count := func(im *Image) float64 {
		return testing.AllocsPerRun(50, func() {
			if _, _, err := im.Apply(b); err != nil {
				t.Fatal(err)
			}
		})
	}
	if big, one := count(im), count(small); big > one+40 {
		t.Fatalf("a change allocates %.0f times in an image of 10,000 topics, %.0f in one of 1", big, one)
	}
	if n := testing.AllocsPerRun(50, func() {
		for topic := range im.Topics() {
			_ = topic.Partition(0)
		}
	}); n > 8 {
		t.Fatalf("walking over 10,000 topics allocates %.0f times", n)
	}
	if n := testing.AllocsPerRun(50, func() { _ = im.Partition("topic-07777", 0) }); n != 0 {
		t.Fatalf("a look-up allocates %.0f times", n)
	}
}

func BenchmarkApplyOnePartitionOf10000Topics(b *testing.B) {
	im := bigImage(b, 10_000)
	batch := Batch{Revision: 2, Events: []Event{ev(2, PartitionKey(im.Topic("topic-05000").ID, 0), EncodePartition(part(1, 1, 1)))}}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := im.Apply(batch); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoad10000Topics(b *testing.B) {
	kvs := bigList(10_000)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := FromList(kvs, 1); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLookUpByName(b *testing.B) {
	im := bigImage(b, 10_000)
	for b.Loop() {
		if im.Topic("topic-07777") == nil {
			b.Fatal()
		}
	}
}
