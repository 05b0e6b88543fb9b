package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func metadata(change func(*kmsg.MetadataResponse)) *kmsg.MetadataResponse {
	topic := kmsg.NewMetadataResponseTopic()
	topic.Topic, topic.TopicID = kmsg.StringPtr("t"), [16]byte{1}
	for i := range int32(2) {
		p := kmsg.NewMetadataResponseTopicPartition()
		p.Partition, p.Leader, p.Replicas, p.ISR = i, 7, []int32{7}, []int32{7}
		topic.Partitions = append(topic.Partitions, p)
	}
	m := kmsg.NewPtrMetadataResponse()
	m.ClusterID, m.ControllerID = kmsg.StringPtr("c"), 7
	m.Brokers = []kmsg.MetadataResponseBroker{{NodeID: 7, Host: "h", Port: 9}}
	m.Topics = []kmsg.MetadataResponseTopic{topic}
	if change != nil {
		change(m)
	}
	return m
}

func env() *Env {
	return &Env{node: 7, host: "h", port: 9, cluster: "c", words: strings.NewReplacer(), ids: map[string][16]byte{}, names: map[[16]byte]string{}}
}

// The comparison is worth what it notices: each kind of difference once, and what must differ not at all.
func TestCompareNotices(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*kmsg.MetadataResponse)
		want   []string // path: a -> b
	}{
		"nothing": {},
		"ids, nodes, hosts, ports and throttle are not compared": {change: func(m *kmsg.MetadataResponse) {
			m.ThrottleMillis, m.Topics[0].TopicID = 5, [16]byte{2}
		}},
		"the order of a list is not compared": {change: func(m *kmsg.MetadataResponse) {
			p := m.Topics[0].Partitions
			p[0], p[1] = p[1], p[0]
		}},
		"a field": {change: func(m *kmsg.MetadataResponse) { m.Topics[0].Partitions[1].LeaderEpoch = 3 },
			want: []string{"Topics[t].Partitions[1].LeaderEpoch: -1 -> 3"}},
		"a node that is another": {change: func(m *kmsg.MetadataResponse) { m.ControllerID = 8 }, want: []string{"ControllerID: this-node -> 8"}},
		"an element missing is one row": {change: func(m *kmsg.MetadataResponse) { m.Topics[0].Partitions = m.Topics[0].Partitions[:1] },
			want: []string{"Topics[t].Partitions[1]: present -> (absent)"}},
		"an element twice": {change: func(m *kmsg.MetadataResponse) { m.Topics = append(m.Topics, m.Topics[0]) },
			want: []string{"Topics[t#2]: (absent) -> present"}},
		"null and empty": {change: func(m *kmsg.MetadataResponse) { m.ClusterID = nil }, want: []string{"ClusterID: CLUSTER -> null"}},
		"no list and an empty list": {change: func(m *kmsg.MetadataResponse) { m.Topics[0].Partitions[0].OfflineReplicas = []int32{} },
			want: []string{"Topics[t].Partitions[0].OfflineReplicas: null -> []"}},
		"an unknown tag": {change: func(m *kmsg.MetadataResponse) { m.UnknownTags.Set(3, []byte{1}) }, want: []string{".tag3: (absent) -> 01"}},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := flatten(env(), "", metadata(nil)), flatten(env(), "", metadata(tc.change))
			var got []string
			for _, r := range compare(3, 9, name, a, b) {
				got = append(got, r.Path+": "+r.A+" -> "+r.B)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnExplanationCoversOnlyItsVersions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "explained.txt")
	if err := os.WriteFile(path, []byte("# words\n\nFetch | 4-6,9 | a case | *.X | why | and more\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	table, err := readExplained(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(table) != 1 || table[0].reason != "why | and more" {
		t.Fatalf("read %+v", table)
	}
	for versions, want := range map[int16]bool{3: false, 4: true, 6: true, 7: false, 9: true} {
		if got := table[0].covers("Fetch", row{Case: "a case", Path: "A.X", Versions: []int16{versions}}); got != want {
			t.Errorf("version %d: covered = %t", versions, got)
		}
	}
	if table[0].covers("Fetch", row{Case: "a case", Path: "A.X", Versions: []int16{4, 7}}) {
		t.Error("a row is covered although one of its versions is not")
	}
	if err := os.WriteFile(path, []byte("Fetch | * | x | y\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readExplained(path); err == nil {
		t.Error("a line without a reason was read")
	}
}

func TestAnExplanationMayNameTheValuesItStandsFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "explained.txt")
	write := func(line string) {
		if err := os.WriteFile(path, []byte(line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("Fetch | * | * | *.Code = 3 -> * | why")
	table, err := readExplained(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, a, b string
		want       bool
	}{{"X.Code", "3", "0", true}, {"X.Code", "3", "7", true}, {"X.Code", "0", "3", false}, {"X.Other", "3", "0", false}} {
		if got := table[0].covers("Fetch", row{Path: c.path, A: c.a, B: c.b}); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	write("Fetch | * | * | *.Code = 3 | why")
	if _, err := readExplained(path); err == nil {
		t.Error("one value alone is taken")
	}
}
