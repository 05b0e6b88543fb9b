package meta

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// FuzzValues: whatever a value holds, it is refused or read; what was read is written and read again the same.
func FuzzValues(f *testing.F) {
	tid := kafka.TopicID{15: 1}
	for key, value := range map[string][]byte{
		ClusterKey():           EncodeCluster("abc"),
		BrokerKey(1):           EncodeRegistration(Registration{Incarnation: "i", Listeners: []Listener{{"A", "SSL", "h", 1}}, Rack: "r", Fenced: true, Draining: true}),
		TopicKey(tid):          EncodeTopic("t", 3),
		NameKey("a.b"):         EncodeName("a.b", tid),
		PartitionKey(tid, 2):   EncodePartition(PartitionValue{Replicas: []kafka.NodeID{1, 2}, ISR: []kafka.NodeID{2}, Leader: 2, LeaderEpoch: 4, PartitionEpoch: 5, ELR: []kafka.NodeID{1}}),
		"conf/topic/t":         EncodeConfig(Settings{{"a", "b"}}),
		NextProducerKey():      EncodeNextProducer(1000),
		"topics/zz":            nil,
		"parts/x/1":            []byte(`{"v":1}`),
		"conf/broker/default":  []byte(`{"v":1,"settings":null}`),
		"brokers/2147483648/x": []byte(`{"v":9}`),
	} {
		f.Add(key, value)
	}
	empty := cmpopts.EquateEmpty()
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		again := func(one any, encode func() []byte, decode func([]byte) (any, error)) {
			two, err := decode(encode())
			if err != nil {
				t.Fatalf("%s was read as %+v, but not again: %v", value, one, err)
			}
			if diff := cmp.Diff(one, two, empty); diff != "" {
				t.Fatal(diff)
			}
		}
		// The short cuts read what the strict decoder reads, or leave it alone.
		if fast, ok := fastPartition(value); ok {
			var v PartitionValue
			if err := decode(key, value, &v, &v.V); err != nil {
				t.Fatalf("%s was read by the short cut only: %v", value, err)
			}
			if diff := cmp.Diff(v, fast); diff != "" {
				t.Fatal(diff)
			}
		}
		if fast, ok := fastTopic(value); ok {
			var v TopicValue
			if err := decode(key, value, &v, &v.V); err != nil || v != fast {
				t.Fatalf("%s was read by the short cut as %+v, strictly as %+v, %v", value, fast, v, err)
			}
		}
		if v, err := decodeCluster(key, value); err == nil {
			again(v, func() []byte { return EncodeCluster(v.ClusterID) }, func(b []byte) (any, error) { return decodeCluster(key, b) })
		}
		if v, err := decodeRegistration(key, value); err == nil {
			again(v, func() []byte { return EncodeRegistration(v) }, func(b []byte) (any, error) { return decodeRegistration(key, b) })
		}
		if v, err := decodeTopic(key, value); err == nil {
			again(v, func() []byte { return EncodeTopic(v.Name, v.Partitions) }, func(b []byte) (any, error) { return decodeTopic(key, b) })
		}
		if v, err := decodePartition(key, value); err == nil {
			again(v, func() []byte { return EncodePartition(v) }, func(b []byte) (any, error) { return decodePartition(key, b) })
		}
		if v, err := decodeConfig(key, value); err == nil {
			again(v, func() []byte { return EncodeConfig(v) }, func(b []byte) (any, error) { return decodeConfig(key, b) })
		}
		if v, err := decodeNextProducer(key, value); err == nil {
			again(v, func() []byte { return EncodeNextProducer(v) }, func(b []byte) (any, error) { return decodeNextProducer(key, b) })
		}
		im, _, err := NewImage().Apply(Batch{Revision: 1, Events: []Event{{KV: KV{Key: key, Value: value, ModRevision: 1}}}})
		if err == nil && im.Revision() != 1 {
			t.Fatal("the image stayed where it was")
		}
		if k, err := parseKey(key); err == nil && k.kind == kindConfig && k.resource.Key() != key {
			t.Fatalf("%s is read as %v, whose key is %s", key, k.resource, k.resource.Key())
		}
	})
}

func TestShortCutsReadWhatIsWritten(t *testing.T) {
	for _, want := range []PartitionValue{
		{V: 1, Replicas: []kafka.NodeID{0}, ISR: []kafka.NodeID{0}, Leader: 0},
		{V: 1, Replicas: []kafka.NodeID{3, 1, 2147483647}, ISR: []kafka.NodeID{1, 3}, Leader: -1, LeaderEpoch: 2147483647, PartitionEpoch: 10},
	} {
		got, ok := fastPartition(EncodePartition(want))
		if diff := cmp.Diff(want, got); !ok || diff != "" {
			t.Errorf("%v %s", ok, diff)
		}
	}
	want := TopicValue{V: 1, Name: "a.B_c-9", Partitions: 65536}
	if got, ok := fastTopic(EncodeTopic(want.Name, want.Partitions)); !ok || got != want {
		t.Errorf("%v %+v", ok, got)
	}
	for _, other := range []string{
		`{"v":1,"replicas":[1],"isr":[01],"leader":1,"leader_epoch":0,"partition_epoch":0}`,
		`{"v":1,"replicas":[1],"isr":[1],"leader":-0,"leader_epoch":0,"partition_epoch":0}`,
		`{"v":1,"replicas":[1],"isr":[1],"leader":2147483648,"leader_epoch":0,"partition_epoch":0}`,
		`{"v":1,"replicas":[1,],"isr":[1],"leader":1,"leader_epoch":0,"partition_epoch":0}`,
		`{"v":1,"replicas":[1],"isr":[1],"leader":1,"leader_epoch":0,"partition_epoch":0} `,
		`{"v":1,"replicas":[1],"isr":[1],"leader":1,"leader_epoch":0,"partition_epoch":0,"elr":[1]}`,
		`{"v":2,"replicas":[1],"isr":[1],"leader":1,"leader_epoch":0,"partition_epoch":0}`,
		`{"v":1,"replicas":[`, ``,
	} {
		if v, ok := fastPartition([]byte(other)); ok {
			t.Errorf("%s was read as %+v", other, v)
		}
	}
}

func TestKeysAreReadBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var tid kafka.TopicID
		copy(tid[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(rt, "id"))
		tid[0] |= 1
		p := rapid.Int32Range(0, MaxPartitions-1).Draw(rt, "partition")
		n := kafka.NodeID(rapid.Int32Range(0, 1<<31-1).Draw(rt, "broker"))
		for key, want := range map[string]parsedKey{
			TopicKey(tid):                {kind: kindTopic, topic: tid},
			PartitionKey(tid, p):         {kind: kindPartition, topic: tid, partition: p},
			BrokerKey(n):                 {kind: kindBroker, broker: n},
			BrokerConfigs(n).Key():       {kind: kindConfig, resource: BrokerConfigs(n)},
			DefaultBrokerConfigs().Key(): {kind: kindConfig, resource: DefaultBrokerConfigs()},
			TopicConfigs("a.b").Key():    {kind: kindConfig, resource: TopicConfigs("a.b")},
			NameKey("a.b"):               {},
		} {
			got, err := parseKey(key)
			if err != nil || got != want {
				rt.Fatalf("%s: %+v %v, want %+v", key, got, err, want)
			}
		}
	})
	if a, b := NameKey("a.b"), NameKey("a_b"); a != b {
		t.Fatalf("%s and %s do not guard each other", a, b)
	}
	if PartitionKey(kafka.TopicID{}, 9) >= PartitionKey(kafka.TopicID{}, 10) {
		t.Fatal("partitions do not sort by number")
	}
}

func TestSettingsEqualAMap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var s Settings
		twin := map[string]string{}
		name := rapid.SampledFrom([]string{"a", "b", "c", "d"})
		for range rapid.IntRange(0, 10).Draw(rt, "steps") {
			n := name.Draw(rt, "name")
			before, copied := s, SettingsOf(s.Map())
			if rapid.Bool().Draw(rt, "set") {
				twin[n] = rapid.String().Draw(rt, "value")
				s = s.With(n, twin[n])
			} else {
				delete(twin, n)
				s = s.Without(n)
			}
			if diff := cmp.Diff(copied, before, cmpopts.EquateEmpty()); diff != "" {
				rt.Fatalf("the settings before were changed: %s", diff)
			}
		}
		if !maps.Equal(s.Map(), twin) {
			rt.Fatalf("%v, want %v", s, twin)
		}
		for _, n := range []string{"a", "b", "c", "d"} {
			got, ok := s.Get(n)
			if want, has := twin[n]; got != want || ok != has {
				rt.Fatalf("%s: %q %v", n, got, ok)
			}
		}
	})
}
