package main

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/barnabas-mq/barnabas/internal/batch"
)

func TestGroupPatterns(t *testing.T) {
	names := []string{"", "a", "a*", "a/b", "ab", "b.c", "new\nline", "x y"}
	for _, c := range []struct {
		name      string
		args      []string
		regex     bool
		picked    []string
		unmatched []string
	}{
		{"no argument is all of them", nil, false, names, nil},
		{"a name is that group alone", []string{"a"}, false, []string{"a"}, nil},
		{"a name that looks like a pattern and exists is that group alone", []string{"a*"}, false, []string{"a*"}, nil},
		{"a star crosses slashes", []string{"a?*"}, false, []string{"a*", "a/b", "ab"}, nil},
		{"a star crosses line ends", []string{"new*"}, false, []string{"new\nline"}, nil},
		{"a dot is a dot", []string{"b?c", "a.b"}, false, []string{"b.c"}, []string{"a.b"}},
		{"a set, and one negated", []string{"[xz] y", "a[^b]"}, false, []string{"a*", "x y"}, nil},
		{"the empty name", []string{""}, false, []string{""}, nil},
		{"what matches nothing is named", []string{"z*", "a"}, false, []string{"a"}, []string{"z*"}},
		{"an expression is for the whole name", []string{"a."}, true, []string{"a*", "ab"}, nil},
		{"two arguments for one group", []string{"ab", "a[b]"}, false, []string{"ab"}, nil},
	} {
		p, err := newGroupPattern(c.args, c.regex)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		picked, unmatched := p.pick(names)
		if !equalText(picked, c.picked) || !equalText(unmatched, c.unmatched) {
			t.Errorf("%s: %q and unmatched %q, want %q and %q", c.name, picked, unmatched, c.picked, c.unmatched)
		}
	}
	for _, bad := range []string{"[", "a[]", "[z-a]"} {
		if _, err := newGroupPattern([]string{bad}, false); err == nil {
			t.Errorf("%q is taken for a pattern", bad)
		}
	}
	if _, err := newGroupPattern([]string{"("}, true); err == nil {
		t.Error("( is taken for an expression")
	}
}

func equalText(x, y []string) bool {
	return strings.Join(x, "\x00") == strings.Join(y, "\x00") && len(x) == len(y)
}

// The quotes are those that Kafka 4.3's CsvUtils (Jackson) put around these names; interop/groupstool compares with the living tool.
func TestCSVIsQuotedAsKafkasToolDoes(t *testing.T) {
	for name, want := range map[string]string{
		"g": "g", "": "", " ": `" "`, "a b": `"a b"`, "a-b": "a-b", "a.b": "a.b", "a,b": `"a,b"`, `a"b`: `"a""b"`, "a'b": `"a'b"`, "a\nb": "\"a\nb\"",
		"#ab": `"#ab"`, "a!b": `"a!b"`, "a/b": "a/b", "a;b": "a;b", "a\tb": "\"a\tb\"", "a\x1b[31mb": "\"a\x1b[31mb\"",
		strings.Repeat("1", 24): strings.Repeat("1", 24), strings.Repeat("1", 25): `"` + strings.Repeat("1", 25) + `"`,
		"é": "é", "日本": "日本", `a\b`: `"a\b"`, "a*b": `"a*b"`, "a+b": `"a+b"`, "a~b": "a~b", "\u00a0x": "\u00a0x",
		strings.Repeat("😀", 12): strings.Repeat("😀", 12), strings.Repeat("😀", 13): `"` + strings.Repeat("😀", 13) + `"`,
	} {
		var b bytes.Buffer
		csvRow(&b, &name, exportedOffset{Topic: "t", Partition: 1, Offset: 5})
		if got := b.String(); got != want+",t,1,5\n" {
			t.Errorf("%q: %q", name, got)
		}
	}
}

func TestOffsetFilesInEveryForm(t *testing.T) {
	epoch := int32(3)
	one := []exportedGroup{{Group: "g", Offsets: []exportedOffset{{Topic: "t", Partition: 0, Offset: 5}, {Topic: "t", Partition: 1, Offset: 0}}}}
	for _, c := range []struct {
		name, text string
		only       []string
		want       []exportedGroup
	}{
		{"three columns", "t,0,5\nt,1,0\n", []string{"g"}, one},
		{"what Kafka's tool leaves at the end", "t,0,5\nt,1,0\n\n", []string{"g"}, one},
		{"lines of Windows", "\ufeff\"t\",0,5\r\nt,1,0\r\n", []string{"g"}, one},
		{"blanks around numbers", "t, 0 ,5\nt,1, 0", []string{"g"}, one},
		{"four columns", "g,t,0,5\nh,t,0,9\ng,t,1,0\n", nil, append(one[:1:1], exportedGroup{Group: "h", Offsets: []exportedOffset{{Topic: "t", Offset: 9}}})},
		{"four columns, one group wanted", "g,t,0,5\nh,t,0,9\ng,t,1,0\n", []string{"g"}, one},
		{"names with quotes and line ends", "\"a\"\"b\n,c\",t,0,5\n", nil, []exportedGroup{{Group: "a\"b\n,c", Offsets: []exportedOffset{{Topic: "t", Offset: 5}}}}},
		{"JSON", `[{"group":"g","offsets":[{"topic":"t","partition":0,"offset":5,"leader_epoch":3,"metadata":"m"}]}]`, nil,
			[]exportedGroup{{Group: "g", Offsets: []exportedOffset{{Topic: "t", Offset: 5, LeaderEpoch: &epoch, Metadata: "m"}}}}},
		{"JSON of one group alone", ` {"group":"g","offsets":[{"topic":"t","partition":0,"offset":5},{"topic":"t","partition":1,"offset":0}]}`, nil, one},
		{"YAML", "- group: g\n  offsets:\n    - topic: t\n      partition: 0\n      offset: 5\n    - topic: t\n      partition: 1\n      offset: 0\n", nil, one},
	} {
		got, err := readOffsetsFile(strings.NewReader(c.text), "-", c.only)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		t.Run(c.name, func(t *testing.T) { equal(t, c.want, got) })
	}
	for _, c := range []struct {
		name, text, say string
		only            []string
	}{
		{"nothing", " \n", "holds no offsets", nil},
		{"no group", "t,0,5\n", "does not name groups", nil},
		{"two groups for rows without", "t,0,5\n", "does not name groups", []string{"a", "b"}},
		{"two columns", "t,0\n", ":1: 2 columns", []string{"g"}},
		{"five columns", "a,b,c,d,e\n", ":1: 5 columns", nil},
		{"columns that change", "t,0,5\ng,t,0,5\n", ":2: 4 columns", []string{"g"}},
		{"a heading", "topic,partition,offset\n", `partition "partition" is not a number`, []string{"g"}},
		{"no offset, which Kafka's tool would take for 0", "g,t,0\n", `partition "t" is not a number`, []string{"g"}},
		{"an empty offset", "g,t,0,\n", `offset "" is not a number`, nil},
		{"a partition beyond 32 bits", "t,2147483648,5\n", "is not a number", []string{"g"}},
		{"below zero", "t,0,-1\n", "below 0", []string{"g"}},
		{"a partition twice", "t,0,1\nt,0,2\n", "partition 0 of t twice", []string{"g"}},
		{"a quote that does not end", "\"t,0,1\n", ":1: a quoted cell does not end", []string{"g"}},
		{"text behind a quote, on the third line", "\"a\nb\",t,0,1\n\"c\"d,t,0,1\n", ":3: text behind a quoted cell", nil},
		{"a group that is not in it", "a,t,0,1\n", "holds no offsets of group g", []string{"g"}},
		{"JSON of something else", `[{"name":"x"}]`, `unknown field "name"`, nil},
		{"JSON twice", `[] []`, "something follows", nil},
		{"a group twice", `[{"group":"g","offsets":[]},{"group":"g","offsets":[]}]`, "group g twice", nil},
		{"no topic", `[{"group":"g","offsets":[{"partition":0,"offset":1}]}]`, "without a topic", nil},
		{"bytes that are no text", "\xff\xfe", "not UTF-8", nil},
	} {
		if _, err := readOffsetsFile(strings.NewReader(c.text), "-", c.only); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: %v, want %q", c.name, err, c.say)
		}
	}
	if _, err := readOffsetsFile(nil, filepath.Join(t.TempDir(), "absent"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that does not exist: %v", err)
	}
}

// FuzzOffsetsCSV: whatever names groups have, what is written is read back; and whatever a file holds, reading it ends.
func FuzzOffsetsCSV(f *testing.F) {
	f.Add("g", "t", int32(0), int64(5), "a,b,0,1\n")
	f.Add("a\"b\n,\r", "日\\本", int32(7), int64(1<<62), "\"\"\"\",,\n\r\n")
	f.Fuzz(func(t *testing.T, group, topic string, partition int32, offset int64, text string) {
		_, _ = parseOffsetsCSV(text, []string{"g"})
		o := exportedOffset{Topic: topic, Partition: partition, Offset: offset}
		var b bytes.Buffer
		csvRow(&b, &group, o)
		csvRow(&b, &group, o)
		got, err := parseOffsetsCSV(b.String(), nil)
		if err != nil || len(got) != 1 || got[0].Group != group || len(got[0].Offsets) != 2 || got[0].Offsets[1] != o {
			t.Fatalf("wrote %q, read %+v, %v", b.String(), got, err)
		}
	})
}

func TestNewOffsets(t *testing.T) {
	at := func(n int64) *int64 { return &n }
	for _, c := range []struct {
		name    string
		to      target
		current *int64
		byTime  int64
		want    int64
		note    string
	}{
		{"to the start", target{kind: toEarliest}, nil, -1, 10, ""},
		{"to the end", target{kind: toLatest}, at(12), -1, 20, ""},
		{"to where it is", target{kind: toCurrent}, at(12), -1, 12, ""},
		{"to where it is, which is nowhere", target{kind: toCurrent}, nil, -1, 20, "nothing was committed"},
		{"to an offset", target{kind: toOffset, offset: 15}, nil, -1, 15, ""},
		{"to the end as an offset", target{kind: toOffset, offset: 20}, nil, -1, 20, ""},
		{"to an offset beyond the end", target{kind: toOffset, offset: 21}, nil, -1, 20, "21 is beyond the end"},
		{"to an offset before the start", target{kind: toOffset, offset: 9}, nil, -1, 10, "9 is before the start"},
		{"forwards", target{kind: shiftBy, offset: 3}, at(12), -1, 15, ""},
		{"backwards", target{kind: shiftBy, offset: -1}, at(12), -1, 11, ""},
		{"backwards too far", target{kind: shiftBy, offset: -50}, at(12), -1, 10, "-38 is before the start"},
		{"forwards beyond all numbers", target{kind: shiftBy, offset: math.MaxInt64}, at(12), -1, 20, "is beyond the end"},
		{"by time", target{kind: toTime}, nil, 17, 17, ""},
		{"by a time that no record has reached", target{kind: toTime}, nil, -1, 20, "no record is that late"},
	} {
		got, note, err := c.to.newOffset(c.current, 10, 20, c.byTime)
		if err != nil || got != c.want || !strings.Contains(note, c.note) || c.note == "" && note != "" {
			t.Errorf("%s: %d, %q, %v; want %d, %q", c.name, got, note, err, c.want, c.note)
		}
	}
	if _, _, err := (target{kind: shiftBy, offset: 1}).newOffset(nil, 10, 20, -1); !errors.Is(err, errNothingCommitted) {
		t.Errorf("shifting nothing: %v", err)
	}
}

func TestScopesAndDurations(t *testing.T) {
	got, err := parseTopicScope([]string{"a", "b:0,2-3", "b:1,2", "c:1", "c"})
	if err != nil {
		t.Fatal(err)
	}
	want := []topicScope{{"a", nil}, {"b", []int32{0, 1, 2, 3}}, {"c", nil}}
	for i := range want {
		if got[i].topic != want[i].topic || joinInts(got[i].partitions) != joinInts(want[i].partitions) {
			t.Errorf("%d: %+v, want %+v", i, got[i], want[i])
		}
	}
	for _, bad := range []string{"", ":1", "a:", "a:x", "a:3-1"} {
		if _, err := parseTopicScope([]string{bad}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	for text, want := range map[string]time.Duration{
		"2h": 2 * time.Hour, "1d12h": 36 * time.Hour, "P1DT12H": 36 * time.Hour, "PT30M": 30 * time.Minute, "PT1.5S": 1500 * time.Millisecond,
		"P2W": 14 * 24 * time.Hour, "pt1h": time.Hour, "P1D": 24 * time.Hour, "PT0S": 0, "PT1H2M3S": time.Hour + 2*time.Minute + 3*time.Second,
	} {
		if got, err := parseISODuration(text); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "P", "PT", "P1", "P1H", "PT1D", "PTH", "P1Y", "P-1D", "-1h", "PT1S1M", "P99999999999999D", "PT1.5H", "P1DT", "soon"} {
		if got, err := parseISODuration(bad); err == nil {
			t.Errorf("%q is taken for %s", bad, got)
		}
	}
}

func listed(offsets map[string][]int64, err error) kadm.ListedOffsets {
	out := kadm.ListedOffsets{}
	for topic, list := range offsets {
		out[topic] = map[int32]kadm.ListedOffset{}
		for p, o := range list {
			out[topic][int32(p)] = kadm.ListedOffset{Topic: topic, Partition: int32(p), Offset: o}
		}
	}
	if err != nil {
		out["gone"] = map[int32]kadm.ListedOffset{-1: {Err: err}}
	}
	return out
}

func TestPartitionsOfAGroup(t *testing.T) {
	g := &groupDescription{Group: "g", State: "Stable", Members: []groupMember{
		{MemberID: "m1", ClientID: "c1", Host: "h1", Assignment: []topicPartitions{{"t", []int32{0, 1}}}},
		{MemberID: "m2", ClientID: "c2", Host: "h2", Assignment: []topicPartitions{{"t", []int32{1, 2}}}}, // 1 twice, as in the middle of a bad assignor's move
		{MemberID: "idle"},
	}}
	committed := kadm.OffsetResponses{}
	for p, at := range []int64{7, 3, -1, 50} {
		committed.Add(kadm.OffsetResponse{Offset: kadm.Offset{Topic: "t", Partition: int32(p), At: at, LeaderEpoch: -1}})
	}
	committed.Add(kadm.OffsetResponse{Offset: kadm.Offset{Topic: "gone", Partition: 0, At: 9, LeaderEpoch: 2, Metadata: "m"}})
	committed.Add(kadm.OffsetResponse{Offset: kadm.Offset{Topic: "u", Partition: 0}, Err: kerr.UnstableOffsetCommit})
	b := bounds{listed(map[string][]int64{"t": {5, 5, 0, 0}, "u": {0}}, kerr.UnknownTopicOrPartition), listed(map[string][]int64{"t": {17, 10, 4, 40}, "u": {3}}, kerr.UnknownTopicOrPartition)}
	g.Partitions = partitionsOf(g, committed, b)
	g.sumLag()
	var buf bytes.Buffer
	drawGroupOffsets(&buf, g, false)
	golden(t, "groups-partitions.txt", buf.String())
	if *g.Lag != 17 || g.Uncommitted != 1 || *g.Members[0].Lag != 17 || *g.Members[1].Lag != 7 || g.Members[2].Lag != nil {
		t.Errorf("lag %d, uncommitted %d, members %v %v %v", *g.Lag, g.Uncommitted, *g.Members[0].Lag, *g.Members[1].Lag, g.Members[2].Lag)
	}
	empty := &groupDescription{Group: "e"}
	if empty.sumLag(); empty.Lag != nil {
		t.Errorf("a group without offsets has lag %d", *empty.Lag)
	}
}

func TestLagByGrouping(t *testing.T) {
	at := func(n int64) *int64 { return &n }
	m1, m2 := "m1", "m2"
	g := &groupDescription{Group: "g", State: "Stable", Partitions: []groupPartition{
		{Topic: "a", Partition: 0, Committed: at(5), End: at(10), Lag: at(5), MemberID: &m1},
		{Topic: "a", Partition: 1, Committed: at(5), End: at(8), Lag: at(3), MemberID: &m1},
		{Topic: "b", Partition: 0, End: at(8), MemberID: &m2},
		{Topic: "c", Partition: 4, Committed: at(0), End: at(9), Lag: at(9)},
	}}
	show := func(by string, scope ...topicScope) string {
		rows := lagOf(g, by, scope)
		sortLag(rows, false)
		var b bytes.Buffer
		lagTable(rows).draw(&b, false)
		return b.String()
	}
	equal(t, `GROUP  LAG  MAX LAG  UNCOMMITTED  PARTITIONS  MEMBERS  STATE
g       17        9            1           4        2  Stable
`, show("group"))
	equal(t, `GROUP  TOPIC  LAG  MAX LAG  UNCOMMITTED  PARTITIONS  MEMBERS  STATE
g      c        9        -            -           1        0  Stable
g      a        8        5            -           2        1  Stable
g      b        -        -            1           1        1  Stable
`, show("topic"))
	equal(t, `GROUP  TOPIC  PARTITION  LAG  MEMBERS  STATE
g      a              0    5        1  Stable
g      a              1    3        1  Stable
`, show("partition", topicScope{"a", nil}))
}

func TestRatesCompareTwoRounds(t *testing.T) {
	at := func(n int64) *int64 { return &n }
	round := func(places map[lagKey]lagPlace) []lagRow {
		var lag int64
		for _, p := range places {
			lag += p.end - p.committed
		}
		return []lagRow{{Group: "g", Topic: "t", Lag: &lag, committed: places}}
	}
	before := round(map[lagKey]lagPlace{{"t", 0}: {100, 300}, {"t", 1}: {0, 0}})
	now := round(map[lagKey]lagPlace{{"t", 0}: {200, 320}, {"t", 1}: {0, 0}, {"t", 2}: {0, 5000}}) // partition 2 is new and no burst
	addRates(now, before, 2*time.Second)
	if r := now[0]; *r.Consumed != 50 || *r.Produced != 10 || *r.CatchUp != 5120.0/40 {
		t.Errorf("%v %v %v", *r.Consumed, *r.Produced, *r.CatchUp)
	}
	grows := round(map[lagKey]lagPlace{{"t", 0}: {201, 420}})
	addRates(grows, now, time.Second)
	if r := grows[0]; *r.Consumed != 1 || *r.Produced != 100 || r.CatchUp != nil {
		t.Errorf("a lag that grows ends in %v", r.CatchUp)
	}
	other := []lagRow{{Group: "g", Topic: "other", Lag: at(1), committed: map[lagKey]lagPlace{{"other", 0}: {0, 1}}}}
	addRates(other, now, time.Second)
	addRates(now, now, 0)
	if other[0].Consumed != nil {
		t.Error("a row without a past has a rate")
	}
	for seconds, want := range map[float64]string{0.2: "0s", 59.4: "59s", 61: "1m01s", 3700: "1h01m", 200000: "2d", 1e9: "more than a year"} {
		if got := shortDuration(seconds); got != want {
			t.Errorf("%v s: %s, want %s", seconds, got, want)
		}
	}
}

// The assignment of a Connect worker as Kafka's ConnectProtocol writes it: version 0, error 0, leader, URL, offset 5, one connector with itself and task 1.
func TestConnectAssignment(t *testing.T) {
	wire := []byte("\x00\x00\x00\x00\x00\x02w1\x00\x03u:1\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x01\x00\x04sink\x00\x00\x00\x02\xff\xff\xff\xff\x00\x00\x00\x01")
	got, ok := connectAssignment(wire)
	if !ok {
		t.Fatal("not read")
	}
	equal(t, []connectorTasks{{"sink", []int32{-1, 1}}}, got)
	m := groupMember{Connectors: got}
	equal(t, "sink (the connector itself) tasks 1", m.work())
	for n := range wire {
		if _, ok := connectAssignment(wire[:n]); ok {
			t.Errorf("%d bytes of it are taken for whole", n)
		}
	}
	if _, ok := connectAssignment([]byte("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05\x7f\xff\xff\xff")); ok {
		t.Error("two thousand million connectors are believed")
	}
}

func TestReasonsKeepKafkasBound(t *testing.T) {
	equal(t, "member was removed by an admin", leaveReason(""))
	equal(t, "member was removed by an admin: scaled down", leaveReason("scaled down"))
	if r := leaveReason(strings.Repeat("é", 300)); len(r) > 255 || len(r) < 254 || !strings.HasSuffix(r, "é") {
		t.Errorf("%d bytes, ends in %q", len(r), r[len(r)-4:])
	}
}

// makeBatch is a batch of records with these timestamps from an offset on.
func makeBatch(t *testing.T, base int64, o batch.Options, times ...int64) batch.Batch {
	t.Helper()
	b := batch.NewBuilder(batch.NewCodecs(batch.DefaultLimits()))
	b.Reset(o)
	for _, ms := range times {
		if err := b.Append(ms, nil, []byte("v"), batch.Headers{}); err != nil {
			t.Fatal(err)
		}
	}
	out, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	out.SetBaseOffset(base)
	return out
}

func TestOldestUnreadTimestamp(t *testing.T) {
	reader := batch.NewReader(batch.NewCodecs(batch.DefaultLimits()))
	for _, c := range []struct {
		name      string
		committed int64
		times     []int64 // of offsets 10, 11, ...
		oldest    int64
		unread    bool
	}{
		{"the oldest of the unread, wherever it is", 12, []int64{1, 2, 30, 20, 40}, 20, true},
		{"what is read does not count once something is unread", 13, []int64{1, 2, 3, 20}, 20, true},
		{"all read: the last one", 14, []int64{5, 9, 3, 7}, 7, false},
		{"all unread", 10, []int64{5, 9, 3, 7}, 3, true},
	} {
		s := unreadSpan{committed: c.committed, start: 10, end: 10 + int64(len(c.times))}
		if err := s.see(reader, makeBatch(t, 10, batch.Options{}, c.times...), s.end); err != nil {
			t.Fatal(err)
		}
		if !s.found || s.oldest != c.oldest || s.anyUnread != c.unread || s.noTime || s.appendTime {
			t.Errorf("%s: %+v", c.name, s)
		}
	}
	var s unreadSpan
	if err := s.see(reader, makeBatch(t, 0, batch.Options{}, -1), 1); err != nil || !s.noTime {
		t.Errorf("a record without a time: %+v, %v", s, err)
	}
	var marker unreadSpan
	commit := batch.Options{Control: true, Transactional: true, Producer: &batch.Producer{ID: 1}}
	if err := marker.see(reader, makeBatch(t, 0, commit, 5), 1); err != nil || marker.found {
		t.Errorf("a transaction's marker is taken for a record: %+v, %v", marker, err)
	}
	b := makeBatch(t, 0, batch.Options{}, 5)
	b.SetLogAppendTime(99)
	if err := s.see(reader, b, 1); err != nil || !s.appendTime {
		t.Errorf("a record with the time of its append: %+v, %v", s, err)
	}
}

func TestWhereAMigratedPartitionBegins(t *testing.T) {
	for _, c := range []struct {
		name        string
		span        unreadSpan
		here, there int64 // first offsets of the time in the old and the new cluster
		lo, hi      int64 // the new log
		to, twice   int64
		note, say   string
	}{
		{name: "some unread, timestamps in order", span: unreadSpan{committed: 6, start: 0, end: 10, found: true, anyUnread: true, oldest: 1}, here: 6, there: 106, lo: 100, hi: 110, to: 106},
		{name: "an unread record is older than two that were read", span: unreadSpan{committed: 6, start: 0, end: 10, found: true, anyUnread: true, oldest: 1}, here: 4, there: 104, lo: 100, hi: 110, to: 104, twice: 2},
		{name: "everything was read", span: unreadSpan{committed: 10, start: 0, end: 10, found: true, oldest: 1}, here: 9, there: 109, lo: 100, hi: 110, to: 109, twice: 1, note: "from the last record"},
		{name: "the old log has lost its beginning, the copy has not", span: unreadSpan{committed: 6, start: 5, end: 10, found: true, anyUnread: true, oldest: 1}, here: 5, there: 100, lo: 100, hi: 110, to: 100, twice: 6},
		{name: "the committed offset is before the start", span: unreadSpan{committed: 2, start: 5, end: 10, found: true, anyUnread: true, oldest: 1}, here: 5, there: 105, lo: 100, hi: 110, to: 105, note: "from the start"},
		{name: "both are empty", span: unreadSpan{committed: 4, start: 4, end: 4}, here: -1, there: -1, lo: 7, hi: 7, to: 7, note: "both are empty"},
		{name: "everything is read and gone, but the copy has records", span: unreadSpan{committed: 4, start: 4, end: 4}, lo: 7, hi: 9, say: "read and gone"},
		{name: "the copy lags behind", span: unreadSpan{committed: 6, start: 0, end: 10, found: true, anyUnread: true, oldest: 1700000000000}, here: 6, there: -1, lo: 100, hi: 105, say: "no record at or after 2023-11-14T22:13:20.000Z"},
	} {
		r := migratedOffset{From: c.span.committed, Unread: c.span.end - max(c.span.committed, c.span.start)}
		c.span.place(&r, timedOffset{c.here}, timedOffset{c.there}, c.lo, c.hi)
		if (r.err != nil) != (c.say != "") || c.say != "" && (!strings.Contains(r.Error, c.say) || r.Status != "refused") {
			t.Errorf("%s: %v, want %q", c.name, r.err, c.say)
			continue
		}
		if r.err == nil && (r.To != c.to || r.Twice != c.twice || !strings.Contains(r.Note, c.note)) {
			t.Errorf("%s: to %d, twice %d, %q; want %d, %d, %q", c.name, r.To, r.Twice, r.Note, c.to, c.twice, c.note)
		}
	}
}
