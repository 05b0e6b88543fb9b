package groups_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/interop/groups"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func line(member, text string) groups.Line {
	return groups.Line{Member: member, Text: text, At: time.Second}
}

func TestMergeKeepsEveryLineInOrder(t *testing.T) {
	a := []groups.Line{line("", "A starts"), line("A", "x"), line("A", "only a"), line("B", "y")}
	b := []groups.Line{line("", "A starts"), line("B", "only b"), line("A", "x throttle=7"), line("B", "y")}
	var got []string
	for _, p := range groups.Merge(a, b) {
		switch {
		case p.A == nil:
			got = append(got, "+"+p.B.Text)
		case p.B == nil:
			got = append(got, "-"+p.A.Text)
		default:
			got = append(got, "="+p.A.Text)
		}
	}
	if want := "=A starts +only b =x -only a =y"; strings.Join(got, " ") != want {
		t.Errorf("merged to %q, want %q", strings.Join(got, " "), want)
	}
}

// TestShapeForgetsWhoAndWhen: what differs between two runs on one broker has one shape, and what a broker must not do has another.
func TestShapeForgetsWhoAndWhen(t *testing.T) {
	const one = `JoinGroup v9 member="A1" instance=null type=consumer protocols=[range] session=6000 rebalance=7000 reason="x: A1" -> NONE generation=2 type=consumer protocol=range leader="A1" member="A1" members=[A1 instance=null, B1 instance=null] skip=false throttle=0`
	shape := line("A", one).Shape()
	for _, same := range []string{
		strings.ReplaceAll(one, "A1", "B2"),
		strings.Replace(one, "generation=2", "generation=17", 1),
		strings.Replace(one, ", B1 instance=null", "", 1),
		strings.Replace(one, "throttle=0", "throttle=30", 1),
		strings.Replace(one, "[range]", "[cooperative-sticky]", 1),
		strings.Replace(one, "protocol=range", "protocol=cooperative-sticky", 1),
		strings.ReplaceAll(one, "instance=null", "instance=instance-A"),
		strings.Replace(one, `reason="x: A1"`, "reason=null", 1),
	} {
		if got := line("B", same).Shape(); got != shape {
			t.Errorf("%s\nhas the shape %s\nand not       %s", same, got, shape)
		}
	}
	for _, other := range []string{
		strings.Replace(one, "-> NONE", "-> REBALANCE_IN_PROGRESS", 1),
		strings.Replace(one, "-> NONE", "-> error 9999", 1),
		strings.Replace(one, "generation=2", "generation=-1", 1),
		strings.Replace(one, "protocol=range", "protocol=null", 1),
		strings.Replace(one, "protocol=range", "protocol=", 1),
		strings.Replace(one, `leader="A1"`, `leader=""`, 1),
		strings.Replace(one, "[A1 instance=null, B1 instance=null]", "[]", 1),
		strings.Replace(one, "skip=false", "skip=true", 1),
		strings.Replace(one, `JoinGroup v9 member="A1"`, `JoinGroup v9 member=""`, 1),
		strings.Replace(one, "v9", "v8", 1),
	} {
		if got := line("A", other).Shape(); got == shape {
			t.Errorf("%s\nhas the shape of another answer: %s", other, got)
		}
	}
}

// TestCompareShowsAPlantedCode: one wrong code in one cell of one broker comes out by name, and only an explanation for that broker silences it.
func TestCompareShowsAPlantedCode(t *testing.T) {
	rows := func(code int16) map[string]map[groups.Scenario]groups.Row {
		var all []groups.Exchange
		for n := range 5 {
			req, resp := kmsg.NewPtrHeartbeatRequest(), kmsg.NewPtrHeartbeatResponse()
			req.Version, resp.Version, req.MemberID = 4, 4, "m"
			if n == 3 {
				resp.ErrorCode = code
			}
			all = append(all, passed(n, "A", req, resp))
		}
		return map[string]map[groups.Scenario]groups.Row{"some client": {groups.ScaleOut: {Lines: groups.Fold(groups.Transcript(all, nil, "g", "topic"))}}}
	}
	path := filepath.Join(t.TempDir(), "explained.txt")
	explained := func(text string) []*groups.Explained {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := groups.LoadExplained(path)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if d := groups.Compare(rows(0), rows(0), "Apache Kafka", "Barnabas", nil); len(d) > 0 {
		t.Errorf("equal rows differ: %v", d)
	}
	d := groups.Compare(rows(0), rows(kerr.IllegalGeneration.Code), "Apache Kafka", "Barnabas", explained("# nothing\nApache Kafka: ILLEGAL_GENERATION => of the other broker\n"))
	if len(d) != 1 || d[0].Broker != "Barnabas" || !strings.Contains(d[0].Shape, "-> ILLEGAL_GENERATION") || d[0].Why != "" || d[0].Cells[0] != "some client/scale out" {
		t.Errorf("planted ILLEGAL_GENERATION comes out as %+v", d)
	}
	if text := groups.Section(rows(0), rows(0), d); !strings.Contains(text, "**not explained**") || !strings.Contains(text, "ILLEGAL_GENERATION") {
		t.Errorf("the document does not show it:\n%s", text)
	}
	d = groups.Compare(rows(0), rows(kerr.IllegalGeneration.Code), "Apache Kafka", "Barnabas", explained("Barnabas: ILLEGAL_GENERATION => because\n"))
	if len(d) != 1 || d[0].Why != "because" {
		t.Errorf("explained, it comes out as %+v", d)
	}
	if late := groups.Late(timed(2000), timed(900)); len(late) > 0 {
		t.Errorf("a second is late: %v", late)
	}
	if late := groups.Late(timed(4000), timed(900)); len(late) != 1 {
		t.Errorf("3.1 s later is not late: %v", late)
	}
	for _, bad := range []string{"no arrow", "no broker => why", "Barnabas: ( => why"} {
		if err := os.WriteFile(path, []byte(bad), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := groups.LoadExplained(path); err == nil {
			t.Errorf("%q is taken as an explanation", bad)
		}
	}
}

func timed(ms int64) map[string]map[groups.Scenario]groups.Row {
	return map[string]map[groups.Scenario]groups.Row{"some client": {groups.ScaleOut: {TookMs: ms}, groups.Restart: {TookMs: 3 * ms}}}
}

// TestCompareIgnoresWhoseVersionItWas: an error that the other broker gives at another version is none of its own, but one it never gives is, and so
// is a version it does not speak.
func TestCompareIgnoresWhoseVersionItWas(t *testing.T) {
	rows := func(lines ...string) map[string]map[groups.Scenario]groups.Row {
		var r groups.Row
		for _, l := range lines {
			r.Lines = append(r.Lines, line("A", l))
		}
		return map[string]map[groups.Scenario]groups.Row{"some client": {groups.Start: r}}
	}
	other := rows("Heartbeat v4 x -> NONE", "Heartbeat v0 x -> NONE", "Heartbeat v4 x -> UNKNOWN_MEMBER_ID")
	for text, want := range map[string]int{"Heartbeat v0 x -> UNKNOWN_MEMBER_ID": 1, "Heartbeat v0 x -> ILLEGAL_GENERATION": 2, "Heartbeat v3 x -> NONE": 2} {
		d := groups.Compare(rows("Heartbeat v4 x -> NONE", "Heartbeat v4 x -> UNKNOWN_MEMBER_ID", "Heartbeat v0 x -> NONE", text), other, "one", "two", nil)
		if len(d) != want-1 {
			t.Errorf("%s: %d differences, want %d: %v", text, len(d), want-1, d)
		}
	}
}
