package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/barnabas-mq/barnabas/interop/rig"
)

// TestKafkasToolSaysTheSame runs every case on Apache Kafka and on the broker under test. INTEROP_BROKER=kafka compares Kafka with itself, which
// proves the test.
func TestKafkasToolSaysTheSame(t *testing.T) {
	rig.NeedKafkaJars(t)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	a, b, err := SideBySide(ctx, rig.Kafka, rig.KindFromEnv(t))
	if err != nil {
		t.Fatal(err)
	}
	differences, err := Compare(a, b)
	if err != nil {
		t.Fatal(err)
	}
	explained, err := ReadExplained("explained.txt")
	if err != nil {
		t.Fatal(err)
	}
	open, stale := Unexplained(differences, explained)
	for _, d := range open {
		t.Error(d)
	}
	for _, s := range stale {
		t.Error("explained, but the same:", s)
	}
	if len(a.Steps) < 180 {
		t.Errorf("%d cases only", len(a.Steps))
	}
	// What is the same everywhere could be a failure everywhere: some of it is known.
	for name, want := range map[string]string{
		"describe live []":                             "live            t               2          7               10              3 ",
		"what that did to both":                        "simple          u               0          4               5               1 ",
		"list with both":                               "preparing                 Classic              PreparingRebalance",
		"describe preparing []":                        "is rebalancing",
		"delete a live group":                          "GroupNotEmptyException",
		"list in the end":                              "wide                      Stable",
		"remove one that is there and one that is not": "i-2: removed",
		"barnabas groups: list":                        "live             Stable               classic  consumer        2   10            1            1",
		"barnabas groups: delete live":                 "live: NON_EMPTY_GROUP",
		"barnabas groups: list own*":                   "GROUP  STATE  TYPE  PROTOCOL",
		"barnabas groups: import for good":             "own, 1  t                                          0        4    1    -3",
	} {
		i := slices.IndexFunc(b.Steps, func(s Step) bool { return s.Case.Name == name })
		if i < 0 {
			t.Errorf("there is no case %q", name)
		} else if text := b.Steps[i].Out + b.Steps[i].Err; !strings.Contains(text, want) {
			t.Errorf("%s: no %q in:\n%s", name, want, text)
		}
	}
}

func side(name string, steps ...Step) Side {
	return Side{Name: name, Addr: "127.0.0.1:1234", Steps: steps}
}

// The comparison is worth what it notices.
func TestCompareNotices(t *testing.T) {
	step := func(exit int, out, errs string) Step { return Step{Case{Name: "c"}, Output{exit, out, errs}} }
	hidden := "member-0a1b2c3d-0000-1111-2222-333344445555 at 127.0.0.1:1234  (1)\n"
	for name, c := range map[string]struct {
		a, b Step
		want []string
	}{
		"the same":                               {step(0, "x\ny\n", ""), step(0, "x\ny\n", ""), nil},
		"random ids, addresses and node ids":     {step(0, hidden, ""), step(0, strings.NewReplacer("0a1b2c3d", "99999999", "(1)", "(7)").Replace(hidden), ""), nil},
		"blanks at the end of a line":            {step(0, "x  \n", ""), step(0, "x\n", ""), nil},
		"an exit code":                           {step(0, "", ""), step(1, "", ""), []string{"c: only kafka: exit 0", "c: only barnabas: exit 1"}},
		"a wrong error":                          {step(0, "Error: GROUP_ID_NOT_FOUND\n", ""), step(0, "Error: NON_EMPTY_GROUP\n", ""), []string{"c: only kafka: Error: GROUP_ID_NOT_FOUND", "c: only barnabas: Error: NON_EMPTY_GROUP"}},
		"an offset":                              {step(0, "t 0 17\n", ""), step(0, "t 0 18\n", ""), []string{"c: only kafka: t 0 17", "c: only barnabas: t 0 18"}},
		"a line more on stderr":                  {step(0, "x\n", ""), step(0, "x\n", "warning\n"), []string{"c: only kafka: stderr: ", "c: only barnabas: stderr: warning"}},
		"the order of lines":                     {step(0, "x\ny\n", ""), step(0, "y\nx\n", ""), []string{"c: only kafka: x", "c: only barnabas: x"}},
		"a member id of another length or shape": {step(0, hidden, ""), step(0, "member-1 at 127.0.0.1:1234  (1)\n", ""), []string{"c: only kafka: member-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx at HOST:PORT  (ID)", "c: only barnabas: member-1 at HOST:PORT  (ID)"}},
		"what stands beside an address":          {step(0, "127.0.0.1:1234  (1) live\n", ""), step(0, "127.0.0.1:1234  (1) dead\n", ""), []string{"c: only kafka: HOST:PORT  (ID) live", "c: only barnabas: HOST:PORT  (ID) dead"}},
	} {
		got, err := Compare(side("kafka", c.a), side("barnabas", c.b))
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, d := range got {
			lines = append(lines, d.String())
		}
		slices.Sort(lines)
		slices.Sort(c.want)
		if diff := cmp.Diff(c.want, lines); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	any := func(out string) Step { return Step{Case{Name: "c", Any: true}, Output{Out: out}} }
	if got, _ := Compare(side("kafka", any("x\ny\n")), side("barnabas", any("y\nx\n"))); len(got) != 0 {
		t.Errorf("an order that means nothing is compared: %v", got)
	}
	if _, err := Compare(side("kafka"), side("barnabas", any(""))); err == nil {
		t.Error("a case that was left out is not noticed")
	}
}

func TestExplanationsCoverWhatTheyName(t *testing.T) {
	file := filepath.Join(t.TempDir(), "explained.txt")
	if err := os.WriteFile(file, []byte("# words\ndescribe * | kafka | a/b * | a reason\nlist | barnabas | x | never needed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	explained, err := ReadExplained(file)
	if err != nil {
		t.Fatal(err)
	}
	covered := Difference{"describe g", "kafka", "a/b 17"}
	others := []Difference{{"describe g", "barnabas", "a/b 17"}, {"list", "kafka", "a/b 17"}, {"describe g", "kafka", "b 17"}}
	open, stale := Unexplained(append([]Difference{covered}, others...), explained)
	if diff := cmp.Diff(others, open); diff != "" {
		t.Errorf("open (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"list | barnabas | x"}, stale); diff != "" {
		t.Errorf("stale (-want +got):\n%s", diff)
	}
	for _, bad := range []string{"a | b | c\n", "a | b | c | \n", "[ | kafka | c | d\n"} {
		if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadExplained(file); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

// TestMigrateToBarnabas takes a group from Apache Kafka to the broker under test and reads on there: nothing that was unread may be missing, and
// what is read twice is what the plan says.
func TestMigrateToBarnabas(t *testing.T) {
	rig.NeedKafkaJars(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	from := rig.StartT(t, rig.Kafka, rig.Options{HeapMiB: 256})
	to := rig.StartT(t, rig.KindFromEnv(t), rig.Options{HeapMiB: 256})
	cli := func(addr, stdin string, args ...string) string {
		t.Helper()
		out, err := Own(ctx, addr, stdin, args...)
		if err != nil || out.Exit != 0 {
			t.Fatalf("barnabas %v: exit %d, %v\n%s%s", args, out.Exit, err, out.Out, out.Err)
		}
		return out.Out
	}
	// Timestamps run forwards but for one record in seven, which is ten seconds older; the copy began late and holds the last 80 of 100.
	var all, copied strings.Builder
	for i := range 100 {
		at := T0.Add(time.Duration(i) * time.Second)
		if i%7 == 3 {
			at = at.Add(-10 * time.Second)
		}
		line := fmt.Sprintf("{\"partition\":0,\"value\":\"%d\",\"timestamp\":%d}\n", i, at.UnixMilli())
		all.WriteString(line)
		if i >= 20 {
			copied.WriteString(line)
		}
	}
	for _, addr := range []string{from.Addr, to.Addr} {
		cli(addr, "", "topics", "create", "orders", "-p", "1", "-c", "retention.ms=-1")
	}
	cli(from.Addr, all.String(), "produce", "orders", "--json")
	cli(to.Addr, copied.String(), "produce", "orders", "--json")
	for _, read := range []int{20, 44, 60, 99, 100} {
		group := fmt.Sprintf("billing-%d", read)
		cli(from.Addr, fmt.Sprintf("orders,0,%d\n", read), "groups", "import", "-", "--group", group, "--execute")
		cli("127.0.0.1:1", "", "groups", "migrate", group, "--from", from.Addr, "--to", to.Addr)
		plan := cli("127.0.0.1:1", "", "groups", "migrate", group, "--from", from.Addr, "--to", to.Addr, "--execute")
		got := readOn(t, ctx, to.Addr, group)
		twice := 0
		for i, v := range got {
			if want := fmt.Sprint(100 - len(got) + i); v != want {
				t.Fatalf("%s: value %d of %d is %s, want %s", group, i, len(got), v, want)
			}
			if i+100-len(got) < read {
				twice++
			}
		}
		if len(got) < 100-read {
			t.Errorf("%s: %d records were unread, %d came\n%s", group, 100-read, len(got), plan)
		}
		var unread, most int
		last := plan[strings.LastIndex(plan, "group "):]
		if _, err := fmt.Sscanf(last, "group "+group+": %d records unread, at most %d will be read twice", &unread, &most); err != nil {
			t.Fatalf("%v in %q", err, last)
		}
		// The six records before the twentieth that are younger than the oldest unread one are not in the copy, which the plan cannot know.
		exact := read != 20
		if unread != 100-read || twice > most || exact && twice != most {
			t.Errorf("%s: %d records were read twice, the plan says:\n%s", group, twice, plan)
		}
	}
}

// readOn is what a consumer of the group reads from its offsets to the end.
func readOn(t *testing.T, ctx context.Context, addr, group string) []string {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumerGroup(group), kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	var out []string
	for len(out) == 0 || out[len(out)-1] != "99" {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatalf("%s: %v after %d records", group, err, len(out))
		}
		fetches.EachRecord(func(r *kgo.Record) { out = append(out, string(r.Value)) })
	}
	return out
}
