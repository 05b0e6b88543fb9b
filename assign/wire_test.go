package assign

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// theirs is a subscription as franz-go's own codec holds it.
func theirs(s Subscription, version int16) *kmsg.ConsumerMemberMetadata {
	m := kmsg.NewConsumerMemberMetadata()
	m.Version, m.Topics, m.UserData, m.Generation = version, s.Topics, s.UserData, s.Generation
	for _, o := range s.Owned {
		m.OwnedPartitions = append(m.OwnedPartitions, kmsg.ConsumerMemberMetadataOwnedPartition{Topic: o.Topic, Partitions: o.Partitions})
	}
	if s.Rack != "" {
		m.Rack = &s.Rack
	}
	return &m
}

func TestSubscriptionsAreTheBytesOfKafkaInEveryVersion(t *testing.T) {
	full := Subscription{
		Topics: []string{"orders", "payments"}, UserData: []byte{1, 2, 3}, Generation: 7, Rack: "eu-1",
		Owned: []TopicPartitions{{"orders", []int32{0, 3}}, {"payments", []int32{1}}},
	}
	for version := int16(0); version <= 3; version++ {
		got, err := AppendSubscription(nil, full, version)
		if err != nil {
			t.Fatal(err)
		}
		if want := theirs(full, version).AppendTo(nil); !bytes.Equal(got, want) {
			t.Errorf("v%d:\n got %x\nwant %x", version, got, want)
		}
		want := full
		if version < 1 {
			want.Owned = nil
		}
		if version < 2 {
			want.Generation = NoGeneration
		}
		if version < 3 {
			want.Rack = ""
		}
		back, err := DecodeSubscription(got)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, back); diff != "" {
			t.Errorf("v%d does not come back (-want +got):\n%s", version, diff)
		}
	}
}

func TestAssignmentsAreTheBytesOfKafka(t *testing.T) {
	a := Assignment{Partitions: []TopicPartitions{{"orders", []int32{3, 0}}, {"payments", []int32{1}}}, UserData: []byte("x")}
	for version := int16(0); version <= 3; version++ {
		m := kmsg.NewConsumerMemberAssignment()
		m.Version, m.UserData = version, a.UserData
		for _, p := range a.Partitions {
			m.Topics = append(m.Topics, kmsg.ConsumerMemberAssignmentTopic{Topic: p.Topic, Partitions: p.Partitions})
		}
		got, err := AppendAssignment(nil, a, version)
		if err != nil {
			t.Fatal(err)
		}
		if want := m.AppendTo(nil); !bytes.Equal(got, want) {
			t.Errorf("v%d:\n got %x\nwant %x", version, got, want)
		}
		back, err := DecodeAssignment(got)
		if err != nil || !cmp.Equal(a, back) {
			t.Errorf("v%d does not come back: %+v, %v", version, back, err)
		}
	}
	if a, err := DecodeAssignment(nil); err != nil || a.Len() != 0 {
		t.Errorf("no bytes at all: %+v, %v; want an empty assignment", a, err)
	}
}

func TestStickyUserDataIsTheBytesOfKafka(t *testing.T) {
	owned := []TopicPartitions{{"orders", []int32{0, 3}}, {"payments", []int32{1}}}
	m := kmsg.NewStickyMemberMetadata()
	for _, o := range owned {
		m.CurrentAssignment = append(m.CurrentAssignment, kmsg.StickyMemberMetadataCurrentAssignment{Topic: o.Topic, Partitions: o.Partitions})
	}
	m.Generation = 9
	want := m.AppendTo(nil)
	got, err := StickyUserData(owned, 9)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("got %x, %v; want %x", got, err, want)
	}
	for _, row := range []struct {
		name string
		data []byte
		want []TopicPartitions
		gen  int32
	}{
		{"version 1", got, owned, 9},
		{"version 0 has no generation", got[:len(got)-4], owned, NoGeneration},
		{"half a generation is version 0", got[:len(got)-2], owned, NoGeneration},
		{"null", nil, nil, NoGeneration},
		{"a count that lies", []byte{0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0}, nil, NoGeneration},
		{"the four bytes of cooperative-sticky are not a memory", []byte{0, 0, 0, 9}, nil, NoGeneration},
		{"garbage", []byte("garbage, and quite a lot of it"), nil, NoGeneration},
		{"a negative generation is none", append(got[:len(got)-4:len(got)-4], 0xff, 0, 0, 0), owned, NoGeneration},
	} {
		tps, gen := DecodeStickyUserData(row.data)
		if diff := cmp.Diff(row.want, tps); diff != "" || gen != row.gen {
			t.Errorf("%s: generation %d, want %d; %s", row.name, gen, row.gen, diff)
		}
		var visited []TopicPartitions
		visitedGen := NoGeneration
		eachSticky(row.data, func(g int32) { visitedGen = g }, func(topic, raw []byte) {
			tp := TopicPartitions{Topic: string(topic), Partitions: []int32{}}
			for ; len(raw) > 0; raw = raw[4:] {
				tp.Partitions = append(tp.Partitions, int32(binary.BigEndian.Uint32(raw)))
			}
			visited = append(visited, tp)
		})
		if diff := cmp.Diff(row.want, visited); diff != "" || visitedGen != row.gen {
			t.Errorf("%s, read in place: generation %d, want %d; %s", row.name, visitedGen, row.gen, diff)
		}
	}
}

func TestCooperativeGenerationComesFromWhereAClientPutIt(t *testing.T) {
	sticky, _ := StickyUserData([]TopicPartitions{{"a", []int32{1}}}, 6)
	for _, row := range []struct {
		name string
		s    Subscription
		want int32
	}{
		{"the field of version 2 wins", Subscription{Generation: 5, UserData: CooperativeUserData(4)}, 5},
		{"version 1: user data", Subscription{Generation: NoGeneration, UserData: CooperativeUserData(4)}, 4},
		{"franz-go writes sticky user data here", Subscription{Generation: NoGeneration, UserData: sticky}, 6},
		{"neither", Subscription{Generation: NoGeneration}, NoGeneration},
		{"unreadable user data", Subscription{Generation: NoGeneration, UserData: []byte{1}}, NoGeneration},
		{"before the first assignment", Subscription{Generation: NoGeneration, UserData: CooperativeUserData(NoGeneration)}, NoGeneration},
	} {
		if got := cooperativeGeneration(&row.s); got != row.want {
			t.Errorf("%s: %d, want %d", row.name, got, row.want)
		}
	}
}

func TestSubscriptionsOfOddClientsAreRead(t *testing.T) {
	s := Subscription{Topics: []string{"a"}, UserData: []byte{}, Generation: 3, Rack: "r"}
	v3, _ := AppendSubscription(nil, s, 3)
	v4 := append(slices.Clone(v3), "fields of the future"...)
	v4[1] = 4
	v0, _ := AppendSubscription(nil, s, 0)
	v1 := slices.Clone(v0)
	v1[1] = 1
	only := Subscription{Topics: []string{"a"}, UserData: []byte{}, Generation: NoGeneration}
	emptyRack, _ := AppendSubscription(nil, Subscription{Topics: []string{"a"}, UserData: []byte{}, Generation: -7}, 3)
	for _, row := range []struct {
		name string
		b    []byte
		want Subscription
	}{
		{"a version from the future has known fields first", v4, s},
		{"version 1 without owned partitions is version 0", v1, only},
		{"version 1 with broken owned partitions is version 0", append(slices.Clone(v1), 0, 0, 0, 9), only},
		{"version 0 with more behind it", append(slices.Clone(v0), 1, 2, 3), only},
		{"a null rack and a negative generation are none", emptyRack, only},
		{"an empty rack is none", append(slices.Clone(emptyRack[:len(emptyRack)-2]), 0, 0), only},
	} {
		got, err := DecodeSubscription(row.b)
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
		} else if diff := cmp.Diff(row.want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.name, diff)
		}
	}
	if got, _ := DecodeSubscription(v0); got.UserData == nil {
		t.Error("empty user data came back as null")
	}
}

func TestBrokenBytesAreRefused(t *testing.T) {
	full, _ := AppendSubscription(nil, Subscription{Topics: []string{"abc"}, Owned: []TopicPartitions{{"abc", []int32{1}}}, Rack: "r"}, 3)
	for cut := range len(full) {
		if _, err := DecodeSubscription(full[:cut]); err == nil {
			t.Errorf("a subscription cut to %d of %d bytes was read", cut, len(full))
		}
	}
	plan, _ := AppendAssignment(nil, Assignment{Partitions: []TopicPartitions{{"abc", []int32{1}}}}, 0)
	for cut := 1; cut < len(plan); cut++ {
		if _, err := DecodeAssignment(plan[:cut]); err == nil {
			t.Errorf("an assignment cut to %d of %d bytes was read", cut, len(plan))
		}
	}
	for name, b := range map[string][]byte{
		"negative version":         {0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0},
		"two billion topics":       {0, 0, 0x7f, 0xff, 0xff, 0xff},
		"a negative topic count":   {0, 0, 0xff, 0xff, 0xff, 0xfe},
		"a null topic":             {0, 0, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0},
		"user data that is longer": {0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 1},
		"user data of length -2":   {0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xfe},
	} {
		if s, err := DecodeSubscription(b); err == nil {
			t.Errorf("%s was read as %+v", name, s)
		}
	}
}

func TestNamesTooLongForTheWireAreRefused(t *testing.T) {
	long := string(make([]byte, 1<<15))
	if _, err := AppendSubscription(nil, Subscription{Topics: []string{long}}, 0); err == nil {
		t.Error("a topic of 32,768 bytes was written")
	}
	if _, err := AppendSubscription(nil, Subscription{Rack: long}, 3); err == nil {
		t.Error("a rack of 32,768 bytes was written")
	}
	if _, err := AppendAssignment(nil, Assignment{Partitions: []TopicPartitions{{long, nil}}}, 0); err == nil {
		t.Error("an assigned topic of 32,768 bytes was written")
	}
	if _, err := AppendSubscription(nil, Subscription{}, 4); err == nil {
		t.Error("version 4 was written")
	}
}

func TestTheSameContentGivesTheSameBytes(t *testing.T) {
	a := Subscription{Topics: []string{"a", "b"}, Owned: []TopicPartitions{{"a", []int32{1, 2}}, {"b", []int32{0}}}}
	b := Subscription{Topics: []string{"b", "a"}, Owned: []TopicPartitions{{"b", []int32{0}}, {"a", []int32{2, 1}}}}
	x, _ := AppendSubscription(nil, a, 3)
	y, _ := AppendSubscription(nil, b, 3)
	if !bytes.Equal(x, y) {
		t.Errorf("%x\n%x", x, y)
	}
	if b.Topics[0] != "b" || b.Owned[1].Partitions[0] != 2 {
		t.Error("writing changed the caller's slices")
	}
}

func TestAnInternerSharesListsThatAreTheSame(t *testing.T) {
	var in Interner
	blob, _ := AppendSubscription(nil, Subscription{Topics: []string{"a", "b"}}, 3)
	other, _ := AppendSubscription(nil, Subscription{Topics: []string{"b", "c"}}, 3)
	x, _ := in.DecodeSubscription(blob)
	z, _ := in.DecodeSubscription(other)
	y, _ := in.DecodeSubscription(slices.Clone(blob))
	if &x.Topics[0] != &y.Topics[0] {
		t.Error("two members with the same topics got two lists")
	}
	if !slices.Equal(z.Topics, []string{"b", "c"}) {
		t.Errorf("the list between them: %v", z.Topics)
	}
}

// FuzzBlobs reads anything, and what it can read must survive being written again.
func FuzzBlobs(f *testing.F) {
	s := Subscription{Topics: []string{"a", "b"}, UserData: []byte{1}, Owned: []TopicPartitions{{"a", []int32{0, 3}}}, Generation: 4, Rack: "r"}
	for v := int16(0); v <= 3; v++ {
		b, _ := AppendSubscription(nil, s, v)
		f.Add(b)
	}
	data, _ := StickyUserData(s.Owned, 4)
	f.Add(data)
	a, _ := AppendAssignment(nil, Assignment{Partitions: s.Owned}, 1)
	f.Add(a)
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := DecodeSubscription(b); err == nil {
			again, err := AppendSubscription(nil, s, SubscriptionVersion)
			if err != nil {
				t.Fatal(err)
			}
			back, err := DecodeSubscription(again)
			if err != nil {
				t.Fatal(err)
			}
			once, _ := AppendSubscription(nil, back, SubscriptionVersion)
			if !bytes.Equal(again, once) {
				t.Fatalf("%x became %x", again, once)
			}
		}
		if a, err := DecodeAssignment(b); err == nil && len(b) > 0 {
			again, err := AppendAssignment(nil, a, 0)
			if err != nil {
				t.Fatal(err)
			}
			if back, err := DecodeAssignment(again); err != nil || !cmp.Equal(a, back, cmpopts.EquateEmpty()) {
				t.Fatalf("%+v became %+v, %v", a, back, err)
			}
		}
		tps, gen := DecodeStickyUserData(b)
		again, err := StickyUserData(tps, gen)
		if err != nil {
			t.Fatal(err)
		}
		if _, g := DecodeStickyUserData(again); g != gen {
			t.Fatalf("generation %d became %d", gen, g)
		}
		members := []Member{{ID: "x", Subscription: Subscription{Topics: []string{"a"}, UserData: b, Owned: tps, Generation: gen}}}
		for _, a := range Assignors() {
			if _, err := a.Assign(members, []Topic{{Name: "a", Partitions: 3}}); err != nil {
				t.Fatal(err)
			}
		}
	})
}
