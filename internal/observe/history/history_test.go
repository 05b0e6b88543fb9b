package history

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/journal"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

var rewrite = flag.Bool("rewrite", false, "write the golden stories anew")

// stored is one record of __consumer_offsets as testdata has it.
type stored struct {
	P int32  `json:"p"`
	T int64  `json:"t"`
	K []byte `json:"k"`
	V []byte `json:"v"`
}

// captured reads the offsets topic of the Apache Kafka 4.3.1 on which the client logs of internal/observe/clientlog/testdata were captured.
func captured(t testing.TB) (records []stored) {
	t.Helper()
	f, err := os.Open("testdata/offsets.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	sc := bufio.NewScanner(z)
	for sc.Scan() {
		var s stored
		if err := json.Unmarshal(sc.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		records = append(records, s)
	}
	if len(records) < 500 {
		t.Fatalf("%d records", len(records))
	}
	return records
}

func build(t testing.TB, group string) *Builder {
	t.Helper()
	b := New(group, journal.FromOffsets)
	for _, s := range captured(t) {
		if s.K[1] > 2 {
			if _, err := b.AddNewer(vtime.FromMillis(s.T), s.K, s.V); err != nil {
				t.Fatal(err)
			}
			continue
		}
		r, err := record.Decode(s.K, s.V)
		if err != nil {
			t.Fatal(err)
		}
		b.Add(vtime.FromMillis(s.T), r)
	}
	return b
}

func brokerLog(t testing.TB, group string) *BrokerLog {
	t.Helper()
	f, err := os.Open("testdata/server.log.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l, err := ReadBrokerLog(group, f)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func causes(incidents []journal.Incident) (out []string) {
	for _, inc := range incidents {
		by, cause := "-", string(inc.Cause)
		if m := inc.Trigger.Member; m != nil && m.Client != "" {
			by = m.Client
		}
		if !inc.Cause.Known() {
			cause = "-"
		}
		c := fmt.Sprintf("%s %s %s", cause, by, inc.Confidence)
		if inc.Or.Known() {
			c += ", or " + string(inc.Or)
		}
		out = append(out, c)
	}
	return out
}

// TestCapturedGroups: what was done to each group is known. Without the broker's log an answer may be "not known", and is never a wrong one; with it, nine
// in ten are right, and none is wrong.
func TestCapturedGroups(t *testing.T) {
	text, err := os.ReadFile("testdata/truth.txt")
	if err != nil {
		t.Fatal(err)
	}
	truth := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		if w := strings.Fields(line); len(w) == 3 {
			truth[w[0]] = append(truth[w[0]], w[1]+" "+w[2])
		}
	}
	if len(truth) < 20 {
		t.Fatalf("%d groups", len(truth))
	}
	var b strings.Builder
	all, known, right := 0, 0, 0
	for _, g := range slices.Sorted(maps.Keys(truth)) {
		inc := build(t, g).Incidents()
		if len(inc) != len(truth[g]) {
			t.Errorf("%s: %d incidents, %d rebalances were made", g, len(inc), len(truth[g]))
			continue
		}
		plain := causes(inc)
		for i := range inc {
			checkInvariants(t, inc[i])
			if !inc[i].Cause.Known() && len(inc[i].Missing) == 0 {
				t.Errorf("%s generation %d: not known, and it does not say what is missing", g, inc[i].GenerationAfter)
			}
		}
		if found := brokerLog(t, g).Apply(inc); found == 0 {
			t.Errorf("%s: the broker's log is of no use", g)
		}
		fmt.Fprintf(&b, "%s\n", g)
		for i, c := range causes(inc) {
			checkInvariants(t, inc[i])
			made := truth[g][i]
			fmt.Fprintf(&b, "  made %-7s | records alone: %-38s | with the broker's log: %s\n", made, plain[i], c)
			_, cause, _ := strings.Cut(made, " ")
			all++
			if told, _, _ := strings.Cut(plain[i], " "); told != "-" {
				known++
				if told != cause && !strings.HasSuffix(plain[i], "consistent-with, or "+cause) {
					t.Errorf("%s generation %s, from the records: told %s", g, made, plain[i])
				}
			}
			switch told, _, _ := strings.Cut(c, " "); told {
			case cause:
				right++
			case "-":
			default:
				if strings.HasSuffix(c, "consistent-with, or "+cause) {
					continue
				}
				t.Errorf("%s generation %s, with the broker's log: told %s", g, made, c)
			}
		}
	}
	fmt.Fprintf(&b, "%d rebalances: records alone name %d, with the broker's log %d\n", all, known, right)
	if 10*right < 9*all {
		t.Errorf("only %d of %d are right with the broker's log", right, all)
	}
	golden(t, "testdata/causes.txt", b.String())
}

// checkInvariants: what holds of any incident that two records give.
func checkInvariants(t testing.TB, inc journal.Incident) {
	t.Helper()
	if inc.Ended == nil || inc.Began > *inc.Ended {
		t.Errorf("%s %s: began %s, ended %v", inc.Group, inc.ID, inc.Began, inc.Ended)
	}
	if _, _, err := journal.Encode(inc); err != nil {
		t.Error(err)
	}
	if journal.Story(&inc) == "" || len(inc.Evidence) == 0 {
		t.Errorf("%s %s: no story, or no evidence", inc.Group, inc.ID)
	}
	if m := inc.Moves; m != nil && (m.Kept+m.Moved+m.Lost != m.Before || m.Kept+m.Moved+m.Gained != m.After) {
		t.Errorf("%s %s: moves do not add up: %+v", inc.Group, inc.ID, *m)
	}
}

// TestNewerProtocol: a group of KIP-848 whose desk-1 needed 0.5 s a record, 40 records a batch, against max.poll.interval.ms=6000.
func TestNewerProtocol(t *testing.T) {
	inc := build(t, "desk2").Incidents()
	var got []string
	for i := range inc {
		checkInvariants(t, inc[i])
		got = append(got, fmt.Sprintf("g%d %s %s", inc[i].GenerationAfter, causes(inc[i : i+1])[0], inc[i].Took))
	}
	got = append(got, "-- with the broker's log")
	if n := brokerLog(t, "desk2").Apply(inc); n != len(inc) {
		t.Errorf("the log tells of %d of %d", n, len(inc))
	}
	for i := range inc {
		checkInvariants(t, inc[i])
		got = append(got, fmt.Sprintf("g%d %s %s", inc[i].GenerationAfter, causes(inc[i : i+1])[0], inc[i].Took))
	}
	golden(t, "testdata/newer.txt", strings.Join(got, "\n")+"\n")
}

// TestStories keeps the text of a few.
func TestStories(t *testing.T) {
	var b strings.Builder
	for _, g := range []string{"couriers", "depot", "auction", "shop"} {
		inc := build(t, g).Incidents()
		for i := range inc[:3] {
			b.WriteString(journal.Story(&inc[i]) + "\n")
		}
		brokerLog(t, g).Apply(inc)
		b.WriteString("-- with the broker's log\n\n")
		for i := range inc[:3] {
			b.WriteString(journal.Story(&inc[i]) + "\n")
		}
	}
	golden(t, "testdata/stories.txt", b.String())
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got), -rewrite if it is meant:\n%s", file, d)
	}
}

// TestBrokerLogInAnotherZone shifts the log by hours: generations, and not clocks, tie its lines to the records.
func TestBrokerLogInAnotherZone(t *testing.T) {
	inc, moved := build(t, "couriers").Incidents(), build(t, "couriers").Incidents()
	l := brokerLog(t, "couriers")
	l.Apply(inc)
	for i := range l.events {
		l.events[i].at += vtime.Instant(-5*time.Hour - 30*time.Minute)
	}
	l.Apply(moved)
	if d := cmp.Diff(inc, moved); d != "" {
		t.Error(d)
	}
}

// FuzzBrokerLog and FuzzRecords: any bytes, no panic.
func FuzzBrokerLog(f *testing.F) {
	f.Add("couriers", []byte("[2026-01-01 00:00:00,000] INFO [GroupCoordinator id=1] Preparing to rebalance group couriers in state PreparingRebalance with old generation 1 (reason: Adding new member x with group instance id null; client reason: not provided). (org.apache.kafka.X)\n"))
	f.Add("g", []byte("[Group g] Member x has left group through explicit `LeaveGroup` request; client reason: y\nMember z in group g has failed, removing it from the group.\nGroup g removed dynamic members who haven't joined: [a, b]\n"))
	inc := build(f, "couriers").Incidents()
	f.Fuzz(func(t *testing.T, group string, b []byte) {
		l, err := ReadBrokerLog(group, bytes.NewReader(b))
		if err != nil {
			return
		}
		all := slices.Clone(inc)
		for i := range all {
			all[i].Group = group
		}
		l.Apply(all)
		for _, inc := range all {
			journal.Story(&inc)
		}
	})
}

func FuzzNewerRecords(f *testing.F) {
	for i, s := range captured(f) {
		if s.K[1] > 2 && i%5 == 0 {
			f.Add(s.K, s.V, s.K, s.V)
		}
	}
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2 []byte) {
		group := "desk2"
		if len(k1) > 4 {
			if n := int(k1[2])<<8 | int(k1[3]); n <= len(k1)-4 {
				group = string(k1[4 : 4+n])
			}
		}
		b := New(group, journal.FromOffsets)
		for i, kv := range [][2][]byte{{k1, v1}, {k2, v2}, {k1, v2}, {k1, nil}, {k2, v1}, {k1, v1}} {
			_, _ = b.AddNewer(vtime.Instant(i+1)*1e9, kv[0], kv[1]) // an error is an answer
		}
		for _, inc := range b.Incidents() {
			journal.Story(&inc)
		}
	})
}

func FuzzRecords(f *testing.F) {
	for i, s := range captured(f) {
		if s.K[1] <= 2 && i%25 == 0 {
			f.Add(s.K, s.V, s.K, s.V, s.T)
		}
	}
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2 []byte, at int64) {
		var b *Builder
		for i, kv := range [][2][]byte{{k1, v1}, {k2, v2}, {k1, v2}, {k1, nil}, {k2, v1}} {
			r, err := record.Decode(kv[0], kv[1])
			if err != nil {
				continue
			}
			if b == nil {
				b = New(r.GroupID(), journal.FromOffsets)
			}
			b.Add(vtime.FromMillis(at%(1<<41))+vtime.Instant(i), r)
		}
		if b == nil {
			return
		}
		for _, inc := range b.Incidents() {
			journal.Story(&inc)
			if _, _, err := journal.Encode(inc); err != nil {
				t.Fatal(err)
			}
		}
	})
}
