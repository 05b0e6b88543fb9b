package record

import (
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

func ptr(s string) *string { return &s }

func encode(r Record) (key, value []byte) {
	key = r.AppendKey(nil)
	if v, ok := r.AppendValue([]byte{}); ok {
		value = v
	}
	return key, value
}

var anOffset = &OffsetCommit{Group: "g", Topic: "t", Partition: 7, Value: &OffsetCommitValue{
	Offset: 42, LeaderEpoch: 3, Metadata: "m", CommitTimestamp: 1000, ExpireTimestamp: NoTimestamp}}

// TestBytesAreKafkas pins the bytes themselves: what every reader of the topic relies on.
func TestBytesAreKafkas(t *testing.T) {
	withExpiry, withID := *anOffset, *anOffset
	withExpiry.Value = &OffsetCommitValue{Offset: 42, LeaderEpoch: -1, Metadata: "m", CommitTimestamp: 1000, ExpireTimestamp: 2000}
	withID.Value = &OffsetCommitValue{Offset: 42, LeaderEpoch: 3, Metadata: "m", CommitTimestamp: 1000, ExpireTimestamp: NoTimestamp, TopicID: kafka.TopicID{0: 0xaa, 15: 0xbb}}
	for _, c := range []struct {
		name       string
		r          Record
		key, value string
	}{
		{"an offset", anOffset, "0001" + "000167" + "000174" + "00000007", "0003" + "000000000000002a" + "00000003" + "00016d" + "00000000000003e8"},
		{"an offset that names its expiry", &withExpiry, "0001" + "000167" + "000174" + "00000007", "0001" + "000000000000002a" + "00016d" + "00000000000003e8" + "00000000000007d0"},
		{"an offset with a topic id", &withID, "0001" + "000167" + "000174" + "00000007",
			"0004" + "000000000000002a" + "00000003" + "026d" + "00000000000003e8" + "01" + "00" + "10" + "aa0000000000000000000000000000bb"},
		{"the tombstone of an offset", &OffsetCommit{Group: "g", Topic: "t", Partition: 7}, "0001" + "000167" + "000174" + "00000007", ""},
		{"a group that was only created", &GroupMetadata{Group: "g", Value: &GroupMetadataValue{CurrentStateTimestamp: 1000}}, "0002" + "000167",
			"0003" + "0000" + "00000000" + "ffff" + "ffff" + "00000000000003e8" + "00000000"},
		{"the tombstone of a group", &GroupMetadata{Group: "g"}, "0002" + "000167", ""},
	} {
		key, value := encode(c.r)
		if diff := cmp.Diff(c.key, hex.EncodeToString(key)); diff != "" {
			t.Errorf("%s: key\n%s", c.name, diff)
		}
		if diff := cmp.Diff(c.value, hex.EncodeToString(value)); diff != "" {
			t.Errorf("%s: value\n%s", c.name, diff)
		}
		back, err := Decode(key, value)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(c.r, back); diff != "" {
			t.Errorf("%s: read back\n%s", c.name, diff)
		}
	}
}

var (
	str      = rapid.StringN(0, 8, 16)
	nullable = rapid.Ptr(str, true)
	blob     = rapid.SliceOfN(rapid.Byte(), 0, 8)
	timeout  = rapid.Custom(func(t *rapid.T) time.Duration {
		if ms := rapid.Int32Min(-1).Draw(t, "ms"); ms >= 0 {
			return time.Duration(ms) * time.Millisecond
		}
		return -1
	})
)

// anyRecord draws a record as Kafka of the given value version could have written it.
func anyRecord(t *rapid.T, version int16) Record {
	if rapid.Bool().Draw(t, "offset") {
		v := &OffsetCommitValue{Offset: rapid.Int64().Draw(t, "offset"), LeaderEpoch: -1, Metadata: str.Draw(t, "metadata"),
			CommitTimestamp: rapid.Int64().Draw(t, "committed"), ExpireTimestamp: NoTimestamp}
		if version == 1 {
			v.ExpireTimestamp = rapid.Int64().Draw(t, "expires")
		}
		if version >= 3 {
			v.LeaderEpoch = rapid.Int32().Draw(t, "epoch")
		}
		if version >= 4 {
			copy(v.TopicID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		}
		return &OffsetCommit{Group: str.Draw(t, "group"), Topic: str.Draw(t, "topic"), Partition: rapid.Int32().Draw(t, "partition"), Value: v}
	}
	v := &GroupMetadataValue{ProtocolType: str.Draw(t, "type"), Generation: rapid.Int32().Draw(t, "generation"), Protocol: nullable.Draw(t, "protocol"),
		Leader: nullable.Draw(t, "leader"), CurrentStateTimestamp: NoTimestamp}
	if version >= 2 {
		v.CurrentStateTimestamp = rapid.Int64().Draw(t, "since")
	}
	for range rapid.IntRange(0, 3).Draw(t, "members") {
		m := Member{ID: str.Draw(t, "id"), ClientID: str.Draw(t, "client"), ClientHost: str.Draw(t, "host"), RebalanceTimeout: -1,
			SessionTimeout: timeout.Draw(t, "session"), Subscription: append([]byte(nil), blob.Draw(t, "subscription")...),
			Assignment: append([]byte(nil), blob.Draw(t, "assignment")...)}
		if version >= 1 {
			m.RebalanceTimeout = timeout.Draw(t, "rebalance")
		}
		if version >= 3 {
			m.InstanceID = nullable.Draw(t, "instance")
		}
		v.Members = append(v.Members, m)
	}
	return &GroupMetadata{Group: str.Draw(t, "group"), Value: v}
}

// encodeWithKmsg is an independent writer of any value version.
func encodeWithKmsg(r Record, version int16) (key, value []byte) {
	switch r := r.(type) {
	case *OffsetCommit:
		k := kmsg.OffsetCommitKey{Version: 1, Group: r.Group, Topic: r.Topic, Partition: r.Partition}
		if version == 0 {
			k.Version = 0
		}
		v := kmsg.OffsetCommitValue{Version: version, Offset: r.Value.Offset, LeaderEpoch: r.Value.LeaderEpoch, Metadata: r.Value.Metadata,
			CommitTimestamp: r.Value.CommitTimestamp, ExpireTimestamp: r.Value.ExpireTimestamp, TopicID: r.Value.TopicID}
		return k.AppendTo(nil), v.AppendTo(nil)
	case *GroupMetadata:
		k := kmsg.GroupMetadataKey{Version: 2, Group: r.Group}
		v := kmsg.GroupMetadataValue{Version: version, ProtocolType: r.Value.ProtocolType, Generation: r.Value.Generation, Protocol: r.Value.Protocol,
			Leader: r.Value.Leader, CurrentStateTimestamp: r.Value.CurrentStateTimestamp}
		for _, m := range r.Value.Members {
			v.Members = append(v.Members, kmsg.GroupMetadataValueMember{MemberID: m.ID, InstanceID: m.InstanceID, ClientID: m.ClientID, ClientHost: m.ClientHost,
				RebalanceTimeoutMillis: millis(m.RebalanceTimeout), SessionTimeoutMillis: millis(m.SessionTimeout), Subscription: m.Subscription, Assignment: m.Assignment})
		}
		return k.AppendTo(nil), v.AppendTo(nil)
	}
	panic("unreachable")
}

// TestScenario44EveryVersionOfKafkaLoads: records written by an independent encoder in each version read as what they were made from.
func TestScenario44EveryVersionOfKafkaLoads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		version := int16(rapid.IntRange(0, 4).Draw(t, "version"))
		want := anyRecord(t, version)
		got, err := Decode(encodeWithKmsg(want, version))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("version %d:\n%s", version, diff)
		}
	})
}

// TestWhatWeWriteOthersRead: kmsg decodes our bytes to the same values, and encodes them to the same bytes.
func TestWhatWeWriteOthersRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyRecord(t, int16(rapid.SampledFrom([]int{1, 3, 4}).Draw(t, "version")))
		key, value := encode(r)
		version := int16(value[0])<<8 | int16(value[1])
		theirKey, theirValue := encodeWithKmsg(r, version)
		if diff := cmp.Diff(theirKey, key); diff != "" {
			t.Fatal(diff)
		}
		if diff := cmp.Diff(theirValue, value); diff != "" {
			t.Fatal(diff)
		}
		if got, err := Decode(key, value); err != nil || !cmp.Equal(r, got) {
			t.Fatalf("%v\n%s", err, cmp.Diff(r, got))
		}
		if Size(r) != len(key)+len(value) {
			t.Fatal("Size is wrong")
		}
	})
}

func TestOtherTypesAreSteppedOverAndOtherVersionsRefused(t *testing.T) {
	if r, err := Decode([]byte{0, 3, 0, 1, 'g'}, []byte{0, 0, 0, 0, 0, 1, 0}); err != nil || r != (Unknown{Type: 3}) {
		t.Errorf("a record of type 3: %v, %v", r, err)
	}
	var version *VersionError
	if _, err := Decode(anOffset.AppendKey(nil), []byte{0, 5}); !errors.As(err, &version) || version.Version != 5 {
		t.Errorf("an offset of version 5: %v", err)
	}
	if _, err := Decode([]byte{0, 2, 0, 1, 'g'}, []byte{0xff, 0xff}); !errors.As(err, &version) || version.Version != -1 {
		t.Errorf("a group of version -1: %v", err)
	}
}

// TestDamageIsAnError cuts and stretches good records at every byte: none may be read as if it were whole.
func TestDamageIsAnError(t *testing.T) {
	key, value := encode(&GroupMetadata{Group: "g", Value: &GroupMetadataValue{ProtocolType: "consumer", Protocol: ptr("range"), Leader: ptr("a"),
		Members: []Member{{ID: "a", InstanceID: ptr("i"), Subscription: []byte{1}, Assignment: []byte{2}}}}})
	for n := range len(key) {
		if r, err := Decode(key[:n], value); err == nil {
			t.Errorf("key cut to %d bytes is read as %v", n, r)
		}
	}
	for n := range len(value) {
		if r, err := Decode(key, value[:n:n]); err == nil {
			t.Errorf("value cut to %d bytes is read as %v", n, r)
		}
	}
	if _, err := Decode(append(key, 0), value); err == nil {
		t.Error("a key with a byte too many is read")
	}
	if _, err := Decode(key, append(value, 0)); err == nil {
		t.Error("a value with a byte too many is read")
	}
}

// TestALyingCountAllocatesNothing: a few bytes that promise two billion members must not cost memory.
func TestALyingCountAllocatesNothing(t *testing.T) {
	key := []byte{0, 2, 0, 1, 'g'}
	for _, value := range [][]byte{
		{0, 3, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff},
		{0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f},
	} {
		if n := testing.AllocsPerRun(10, func() {
			if _, err := Decode(key, value); !errors.Is(err, errShort) {
				t.Fatal(err)
			}
		}); n > 20 {
			t.Errorf("%v allocations for a lie", n)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, r := range []Record{anOffset, &GroupMetadata{Group: "g", Value: &GroupMetadataValue{Members: []Member{{ID: "a"}}}}} {
		key, value := encode(r)
		f.Add(key, value)
		for version := int16(0); version <= 4; version++ {
			key, value := encodeWithKmsg(r, version)
			f.Add(key, value)
		}
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		r, err := Decode(key, value)
		if err != nil {
			return
		}
		if _, unknown := r.(Unknown); unknown {
			return
		}
		again, err := Decode(encode(r))
		if err != nil {
			t.Fatalf("%+v was read, but not what was written of it: %v", r, err)
		}
		// Version 1 is written without a leader epoch, which version 1 never has; all else survives.
		if diff := cmp.Diff(r, again); diff != "" {
			t.Fatal(diff)
		}
	})
}
