package storage

import (
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// The bytes of every file format, as docs/formats/log-directory.md draws them.

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "", "\t", "").Replace(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestIndexBytes(t *testing.T) {
	entries := []indexEntry{{rel: 9, pos: 4100}, {rel: math.MaxInt32, pos: 9000}}
	want := unhex(t, "00000009 00001004  7fffffff 00002328")
	if diff := cmp.Diff(want, encodeIndex(nil, entries)); diff != "" {
		t.Error(diff)
	}
	got, whole := decodeIndex(want, 10_000)
	if diff := cmp.Diff(entries, got, cmp.AllowUnexported(indexEntry{})); diff != "" || !whole {
		t.Errorf("whole %v: %s", whole, diff)
	}
}

func TestIndexKeepsTheLongestPrefixThatCouldBeRight(t *testing.T) {
	tests := []struct {
		name  string
		bytes string
		size  int64
		want  int
		whole bool
	}{
		{"empty", "", 1000, 0, true},
		{"zeroed", "00000000 00000000 00000000 00000000", 1000, 0, false},
		{"an entry and preallocated zeros", "00000005 00000100 00000000 00000000", 1000, 1, false},
		{"an entry at the first batch", "00000005 00000000", 1000, 0, false},
		{"a position beyond the log", "00000005 00000100 00000009 00001000", 1000, 1, false},
		{"offsets that fall", "00000005 00000100 00000004 00000200", 1000, 1, false},
		{"positions that stay", "00000005 00000100 00000006 00000100", 1000, 1, false},
		{"an offset beyond int32", "80000000 00000100", 1000, 0, false},
		{"half an entry", "00000005 00000100 0000", 1000, 1, false},
		{"an empty log", "00000005 00000100", 0, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, whole := decodeIndex(unhex(t, tt.bytes), tt.size)
			if len(got) != tt.want || whole != tt.whole {
				t.Errorf("%d entries, whole %v; want %d, %v", len(got), whole, tt.want, tt.whole)
			}
		})
	}
}

func TestTimeIndexBytes(t *testing.T) {
	entries := []timeEntry{{ts: 1_700_000_000_000, rel: 9}, {ts: 1_700_000_000_001, rel: 12}}
	want := unhex(t, "0000018bcfe56800 00000009  0000018bcfe56801 0000000c")
	if diff := cmp.Diff(want, encodeTimeIndex(nil, entries)); diff != "" {
		t.Error(diff)
	}
	got, whole := decodeTimeIndex(want, 10_000)
	if diff := cmp.Diff(entries, got, cmp.AllowUnexported(timeEntry{})); diff != "" || !whole {
		t.Errorf("whole %v: %s", whole, diff)
	}
	for name, damaged := range map[string]string{
		"times that stay":   "0000018bcfe56800 00000009  0000018bcfe56800 0000000c",
		"offsets that stay": "0000018bcfe56800 00000009  0000018bcfe56801 00000009",
		"negative time":     "0000018bcfe56800 00000009  ffffffffffffffff 0000000c",
		"torn":              "0000018bcfe56800 00000009  0000018bcfe56801 0000",
	} {
		if got, whole := decodeTimeIndex(unhex(t, damaged), 10_000); len(got) != 1 || whole {
			t.Errorf("%s: %d entries, whole %v", name, len(got), whole)
		}
	}
}

func TestTxnIndexBytes(t *testing.T) {
	entries := []AbortedTxn{{ProducerID: 7, FirstOffset: 100, LastOffset: 110, LastStableOffset: 105}}
	want := unhex(t, "0000 0000000000000007 0000000000000064 000000000000006e 0000000000000069")
	if diff := cmp.Diff(want, encodeTxnIndex(entries)); diff != "" {
		t.Error(diff)
	}
	got, err := decodeTxnIndex("x.txnindex", want, 100)
	if diff := cmp.Diff(entries, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	var format *FormatError
	if _, err := decodeTxnIndex("x.txnindex", want[:33], 100); !errors.As(err, &format) {
		t.Errorf("torn: %v", err)
	}
	var corrupt *CorruptError
	for name, b := range map[string][]byte{
		"zeros":                 make([]byte, 34),
		"another version":       append([]byte{0, 1}, want[2:]...),
		"below the segment":     want,
		"markers that stay":     append(append([]byte{}, want...), want...),
		"ends before it begins": unhex(t, "0000 0000000000000007 0000000000000074 000000000000006e 0000000000000069"),
	} {
		base := int64(100)
		if name == "below the segment" || name == "zeros" {
			base = 111
		}
		if _, err := decodeTxnIndex("x.txnindex", b, base); !errors.As(err, &corrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSnapshotBytes(t *testing.T) {
	rows := []SnapshotRow{
		{ProducerID: 7, Epoch: 3, LastSequence: 41, LastOffset: 1000, OffsetDelta: 9, Timestamp: 1_700_000_000_000, CoordinatorEpoch: -1, TxnFirstOffset: -1},
		{ProducerID: 8, Epoch: 0, LastSequence: -1, LastOffset: -1, OffsetDelta: 0, Timestamp: 5, CoordinatorEpoch: 2, TxnFirstOffset: 990},
	}
	var p producers
	p.restore(rows, 0)
	// Header by hand; the CRC was computed with another program (CRC-32C of all that follows it).
	want := unhex(t, `0001 c8cedb2d 00000002
		0000000000000007 0003 00000029 00000000000003e8 00000009 0000018bcfe56800 ffffffff ffffffffffffffff
		0000000000000008 0000 ffffffff ffffffffffffffff 00000000 0000000000000005 00000002 00000000000003de`)
	if diff := cmp.Diff(hex.EncodeToString(want), hex.EncodeToString(p.snapshot())); diff != "" {
		t.Error(diff)
	}
	got, err := decodeSnapshot("x.snapshot", p.snapshot())
	if diff := cmp.Diff(rows, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	var format *FormatError
	for i := range want {
		b := append([]byte(nil), want...)
		b[i] ^= 0x40
		if _, err := decodeSnapshot("x.snapshot", b); !errors.As(err, &format) {
			t.Errorf("byte %d flipped: %v", i, err)
		}
		if _, err := decodeSnapshot("x.snapshot", want[:i]); !errors.As(err, &format) {
			t.Errorf("cut to %d bytes: %v", i, err)
		}
	}
}

func TestOffsetCheckpointBytes(t *testing.T) {
	m := map[kafka.TopicPartition]int64{{Topic: "b", Partition: 1}: 0, {Topic: "a", Partition: 10}: 5, {Topic: "a", Partition: 9}: math.MaxInt64}
	want := "0\n3\na 9 9223372036854775807\na 10 5\nb 1 0\n"
	if diff := cmp.Diff(want, string(encodeOffsets(m))); diff != "" {
		t.Error(diff)
	}
	got, err := decodeOffsets("f", []byte(want))
	if diff := cmp.Diff(m, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if got, err := decodeOffsets("f", []byte("0\r\n1\r\na 9 7\r\n")); err != nil || got[kafka.TopicPartition{Topic: "a", Partition: 9}] != 7 {
		t.Errorf("Windows line ends: %v, %v", got, err)
	}
	for name, tt := range map[string]struct {
		text string
		line int
	}{
		"empty":              {"", 1},
		"only a version":     {"0\n", 1},
		"another version":    {"1\n0\n", 1},
		"no count":           {"0\nx\n", 2},
		"count too small":    {"0\n1\na 1 1\na 2 1\n", 2},
		"count too large":    {"0\n2\na 1 1\n", 2},
		"negative count":     {"0\n-1\n", 2},
		"two fields":         {"0\n1\na 1\n", 3},
		"four fields":        {"0\n1\na 1 1 1\n", 3},
		"negative offset":    {"0\n2\na 1 1\na 2 -1\n", 4},
		"negative partition": {"0\n1\na -1 1\n", 3},
		"huge partition":     {"0\n1\na 2147483648 1\n", 3},
		"twice":              {"0\n2\na 1 1\na 1 2\n", 4},
		"zeros":              {"\x00\x00\x00\x00", 1},
	} {
		var format *FormatError
		if _, err := decodeOffsets("f", []byte(tt.text)); !errors.As(err, &format) || format.Line != tt.line {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEpochCheckpointBytes(t *testing.T) {
	entries := []EpochEntry{{0, 0}, {3, 17}}
	want := "0\n2\n0 0\n3 17\n"
	if diff := cmp.Diff(want, string(encodeEpochs(entries))); diff != "" {
		t.Error(diff)
	}
	got, err := decodeEpochs("f", []byte(want))
	if diff := cmp.Diff(entries, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	for name, text := range map[string]string{
		"epochs that fall":  "0\n2\n3 0\n2 17\n",
		"starts that stay":  "0\n2\n3 17\n4 17\n",
		"negative":          "0\n1\n-1 0\n",
		"one field":         "0\n1\n1\n",
		"a count that lies": "0\n3\n0 0\n3 17\n",
	} {
		var format *FormatError
		if _, err := decodeEpochs("f", []byte(text)); !errors.As(err, &format) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSmallFiles(t *testing.T) {
	if got, err := decodePartitionMetadata("f", encodePartitionMetadata(topicID)); err != nil || got != topicID {
		t.Errorf("partition.metadata: %v, %v", got, err)
	}
	if got := string(encodePartitionMetadata(topicID)); got != "version: 0\ntopic_id: AQIDBAUGBwgJCgsMDQ4PEA\n" {
		t.Errorf("partition.metadata is %q", got)
	}
	for _, bad := range []string{"", "version: 0", "version: 1\ntopic_id: AQIDBAUGBwgJCgsMDQ4PEA", "version: 0\ntopic_id: x", "version: 0\nversion: 0\ntopic_id: AQIDBAUGBwgJCgsMDQ4PEA", "version 0"} {
		if _, err := decodePartitionMetadata("f", []byte(bad)); err == nil {
			t.Errorf("partition.metadata %q was read", bad)
		}
	}
	m := metaProperties{ClusterID: "c-1", NodeID: "4", DirectoryID: "d"}
	got, err := decodeMetaProperties("f", m.encode())
	if diff := cmp.Diff(&m, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	kafkas := "#\n#Fri Nov 20 10:00:00 UTC 2026\ncluster.id=abc\ndirectory.id=x\\=y\nversion=1\nnode.id=3\n"
	if got, err := decodeMetaProperties("f", []byte(kafkas)); err != nil || got.ClusterID != "abc" || got.NodeID != "3" || got.DirectoryID != "x=y" {
		t.Errorf("Kafka's meta.properties: %+v, %v", got, err)
	}
	for _, bad := range []string{"", "version=2\n", "cluster.id\nversion=1\n"} {
		if _, err := decodeMetaProperties("f", []byte(bad)); err == nil {
			t.Errorf("meta.properties %q was read", bad)
		}
	}
	for _, bad := range []string{"", "1", "version=0", "version=x", "version=-1"} {
		if _, err := decodeFormatVersion("f", []byte(bad)); err == nil {
			t.Errorf("format version %q was read", bad)
		}
	}
}

func TestFolderNames(t *testing.T) {
	for name, want := range map[string]kafka.TopicPartition{
		"orders-0": {Topic: "orders", Partition: 0}, "a-b-12": {Topic: "a-b", Partition: 12}, "x.y_z-2147483647": {Topic: "x.y_z", Partition: math.MaxInt32},
		"a--1": {Topic: "a-", Partition: 1},
	} {
		if got, ok := parseFolder(name); !ok || got != want {
			t.Errorf("%s: %v, %v", name, got, ok)
		}
	}
	for _, name := range []string{"", "orders", "-0", "orders-", "orders-x", "orders-00", "orders-2147483648", "orders-99999999999", "or ders-0", ".-1", "orders-+1"} {
		if got, ok := parseFolder(name); ok {
			t.Errorf("%q is %v", name, got)
		}
	}
	long := kafka.TopicPartition{Topic: strings.Repeat("t", 249), Partition: 12345}
	if name := doomedName(long, randomHex()); len(name) != 255 || !strings.HasSuffix(name, deleteFolder) {
		t.Errorf("%d bytes: %s", len(name), name)
	}
	if _, ok := parseFolder(doomedName(tp0, randomHex())); ok {
		t.Error("a doomed folder looks like a partition")
	}
}

// Every file of a small log, byte for byte.
func TestLogDirectoryGolden(t *testing.T) {
	fsys := vfs.NewMemory()
	s := openStore(t, testConfig(fsys))
	c := DefaultLogConfig()
	c.SegmentBytes, c.IndexIntervalBytes = 300, 50
	l := newLog(t, s, c)
	for i := range int32(4) {
		mustAppend(t, l, idempotent(t, 5, 1, 2*i, 2))
	}
	l.SetHighWatermark(l.EndOffset())
	if err := l.AdvanceStart(1); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	var names []string
	for _, dir := range []string{"/data", "/data/orders-0"} {
		for _, name := range list(t, fsys, dir) {
			names = append(names, dir+"/"+name)
		}
	}
	want := strings.Fields(`/data/.kafka_cleanshutdown /data/.lock /data/barnabas-end-size-checkpoint /data/barnabas.format
		/data/log-start-offset-checkpoint /data/meta.properties
		/data/orders-0 /data/recovery-point-offset-checkpoint /data/replication-offset-checkpoint
		/data/orders-0/00000000000000000000.index /data/orders-0/00000000000000000000.log /data/orders-0/00000000000000000000.timeindex
		/data/orders-0/00000000000000000006.index /data/orders-0/00000000000000000006.log /data/orders-0/00000000000000000006.snapshot
		/data/orders-0/00000000000000000006.timeindex /data/orders-0/00000000000000000008.snapshot
		/data/orders-0/leader-epoch-checkpoint /data/orders-0/partition.metadata`)
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	for name, want := range map[string]string{
		"recovery-point-offset-checkpoint": "0\n1\norders 0 8\n", "log-start-offset-checkpoint": "0\n1\norders 0 1\n",
		"replication-offset-checkpoint": "0\n1\norders 0 8\n", ".kafka_cleanshutdown": `{"version":0,"brokerEpoch":-1}`, "barnabas.format": "version=1\n",
		"orders-0/leader-epoch-checkpoint": "0\n1\n0 1\n", "barnabas-end-size-checkpoint": "0\n1\norders 0 87\n",
		// The second and third batch of 87 bytes each crossed the 50 bytes; timestamps do not rise, so one time entry does.
		"orders-0/00000000000000000000.index":     "\x00\x00\x00\x03\x00\x00\x00\x57\x00\x00\x00\x05\x00\x00\x00\xae",
		"orders-0/00000000000000000000.timeindex": "\x00\x00\x00\x00\x00\x00\x03\xe9\x00\x00\x00\x01",
	} {
		b, err := readSmall(fsys, "/data/"+name, 1<<20)
		if err != nil || string(b) != want {
			t.Errorf("%s is %q (%v), want %q", name, b, err, want)
		}
	}
}
