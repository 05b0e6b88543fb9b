package sim

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/barnabas-mq/barnabas/scenarios"
)

var rewrite = flag.Bool("rewrite", false, "write the golden schema anew")

func TestFaultsNameFileLineAndField(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"an empty file":                  {"", "f.yaml: the file is empty; see docs/simulate.md for what a scenario looks like"},
		"not YAML":                       {"a: [", "f.yaml:1: not YAML"},
		"a list where fields are wanted": {"- a", "f.yaml:1: want name: value lines here"},
		"an unknown field":               {"nam: x", "f.yaml:1: nam: there is no such field; did you mean name?"},
		"a field given twice":            {"name: x\nname: y", "f.yaml:"},
		"a section that is a value":      {"network: fast", "f.yaml:1: network: want name: value lines here"},
		"a list that is a value":         {"topics: orders", "f.yaml:1: topics: want a list here: lines that begin with '-'"},
		"a value that is a list":         {"duration: [1s]", "f.yaml:1: duration: it is not a single value"},
		"a word for a number":            {"topics:\n  - partitions: many", `f.yaml:2: topics[1].partitions: "many" is not a whole number`},
		"a number without a unit":        {"duration: 10", `f.yaml:1: duration: "10" is not a duration; write 500ms, 10s, 1m30s or 2h`},
		"no time at all":                 {"duration: 0s", "f.yaml:1: duration: 0s is too small; the least is 1s"},
		"a negative rate":                {"topics:\n  - rate: -1", `f.yaml:2: topics[1].rate: "-1" is not a number from 0 up, with at most six decimals`},
		"a rate that does not fit":       {"topics:\n  - rate: 99999999999999999999", `f.yaml:2: topics[1].rate: "99999999999999999999" is not a number`},
		"a time that does not fit":       {"members:\n  - session.timeout.ms: 9223372036854775807", "f.yaml:2: members[1].session.timeout.ms: "},
		"negative work":                  {"members:\n  - processing.time: -1s", `f.yaml:2: members[1].processing.time: "-1s" is not a time per record`},
		"work for ever":                  {"members:\n  - processing.time: 100000h", "f.yaml:2: members[1].processing.time: "},
		"half a distribution":            {"members:\n  - processing.time: uniform(1ms", "f.yaml:2: members[1].processing.time: "},
		"a bool that is none":            {"members:\n  - static: maybe", `f.yaml:2: members[1].static: it is true or false, not "maybe"`},
		"no such assignor":               {"members:\n  - partition.assignment.strategy: stickiest", "f.yaml:2: members[1].partition.assignment.strategy: it takes cooperative-sticky, sticky, range or roundrobin, not \"stickiest\""},
		"an assignor twice":              {"members:\n  - partition.assignment.strategy: [range, range]", "f.yaml:2: members[1].partition.assignment.strategy: \"range\" is in it twice"},
		"eager and cooperative":          {"members:\n  - partition.assignment.strategy: [range, cooperative-sticky]", "f.yaml:2: members[1].partition.assignment.strategy: a member that lists cooperative-sticky beside eager assignors is eager"},
		"the protocol to come":           {"members:\n  - group.protocol: consumer", "f.yaml:2: members[1].group.protocol: it takes classic, not \"consumer\""},
		"a heartbeat above the session":  {"members:\n  - heartbeat.interval.ms: 60000", "f.yaml:2: members[1].heartbeat.interval.ms: it must be below session.timeout.ms"},
		"a session the broker refuses":   {"members:\n  - session.timeout.ms: 5000", "f.yaml:2: members[1].session.timeout.ms: 5000 is not within group.min.session.timeout.ms (6000)"},
		"a fleet that is everybody":      {"members:\n  - name: all", "f.yaml:2: members[1].name: all is everybody, and no fleet's name"},
		"two fleets of a name":           {"members:\n  - name: a\n  - name: a", "f.yaml:3: members[2].name: there are two fleets a"},
		"two topics of a name":           {"topics:\n  - name: a\n  - name: a", "f.yaml:3: topics[2].name: there are two topics a"},
		"a topic nobody knows":           {"members:\n  - topics: [x]", "f.yaml:2: members[1].topics: there is no topic x"},
		"a name that is none":            {"members:\n  - name: ../x", `f.yaml:2: members[1].name: "../x" is not a name`},
		"too many members":               {"members:\n  - count: 20000\n  - name: d\n    count: 1", "f.yaml:4: members[2].count: there are 20001 members by then; the simulator takes 20000"},
		"too many consumers":             {"members:\n  - count: 20000\n    consumers: 1000", "f.yaml:2: members[1].count: there are 20000000 members by then"},
		"too many partitions":            {"topics:\n  - name: a\n    partitions: 100000\n  - name: b\n    partitions: 100000\n  - name: c\n    partitions: 100000", "f.yaml:1: topics: "},
		"too much work":                  {"duration: 744h\nmembers:\n  - count: 20000\n    heartbeat.interval.ms: 10", "f.yaml:1: duration: 5367513600000 heartbeats, commits and batches of records would have to be simulated; the limit is 2000000000"},
		"an event without a deed":        {"events:\n  - at: 1s", "f.yaml:2: events[1]: do is missing: what shall happen?"},
		"an event without a victim":      {"events:\n  - do: crash", "f.yaml:2: events[1]: member is missing: whom does crash happen to?"},
		"an event to nobody":             {"events:\n  - {do: crash, member: c4}", "f.yaml:2: events[1].member: there is no consumer, process or fleet called c4"},
		"an event after the end":         {"duration: 1m\nevents:\n  - {do: crash, member: c1, at: 2m}", "f.yaml:3: events[1].at: it is after the end: duration is 1m0s"},
		"an event that shrinks a topic":  {"events:\n  - {do: add-partitions, to: 3}", "f.yaml:2: events[1].to: topic orders has 12 partitions; to must be more"},
		"a topic that grows to less":     {"events:\n  - {do: add-partitions, at: 10s, to: 20}\n  - {do: add-partitions, at: 20s, to: 15}", "f.yaml:3: events[2].to: topic orders has 20 partitions by then; to must be more, or this does nothing"},
		"the same, written backwards":    {"events:\n  - {do: add-partitions, at: 20s, to: 15}\n  - {do: add-partitions, at: 10s, to: 20}", "f.yaml:2: events[1].to: topic orders has 20 partitions by then"},
		"the same, not before a member":  {"events:\n  - {do: add-partitions, at: 10s, to: 20}\n  - do: add-partitions\n    at: 11s\n    when: c1 joins\n    to: 20", "f.yaml:6: events[2].to: topic orders has 20 partitions by then"},
		"a name of two members":          {"members:\n  - {name: c, count: 20}\n  - {name: c1, count: 9}", "f.yaml:3: members[2].name: c11 would mean something in fleet c and in fleet c1: give one of them another name"},
		"a fleet and a member of a name": {"members:\n  - name: c1\n  - name: c", "f.yaml:3: members[2].name: c1 would mean something in fleet c1 and in fleet c"},
		"a fleet and a consumer":         {"members:\n  - {name: c, consumers: 2}\n  - name: c1-", "f.yaml:3: members[2].name: c1-1 would mean something in fleet c and in fleet c1-"},
		"a control character":            {"name: x\nabout: |\n  a\n  b\x07\n  c\nseed: 1\n", "f.yaml:4: not YAML: control characters are not allowed"},
		"what is no text":                {"name: x\nabout: a\xff\nseed: 1\n", "f.yaml:2: not YAML: "},
		"an alias to nothing":            {"# *y\nname: x\nabout: *y\nseed: 1\n", "f.yaml:3: not YAML: unknown anchor 'y' referenced"},
		"a colon too many":               {"name: a: b\nseed: 1\n", "f.yaml:1: not YAML: mapping values are not allowed"},
		"a moment nobody understands":    {"events:\n  - {do: crash, member: c1, when: later}", `f.yaml:2: events[1].when: "later" is not understood`},
		"a pause that takes no time":     {"events:\n  - {do: pause, member: c1, for: 0s}", "f.yaml:2: events[1].for: it takes no time at all"},
		"a variant without a name":       {"compare:\n  - set: {static: true}", "f.yaml:2: compare[1]: a variant needs a name"},
		"two variants of a name":         {"compare:\n  - name: a\n  - name: a", "f.yaml:3: compare[2].name: there are two variants a"},
		"what an event is blind to":      {"events:\n  - {do: crash, member: c1}\ncompare:\n  - name: a\n    set: {events.1.down: 5s}", "f.yaml:5: compare[1].set: events.1.down: crash does not look at it; it takes at, when, member"},
		"a moment after the end":         {"duration: 1m\nevents:\n  - {do: crash, member: c1, at: 2m, when: c2 joins}", "f.yaml:3: events[1].at: it is after the end"},
		"records without end":            {"duration: 744h\ntopics:\n  - {partitions: 1000, rate: 100}\nmembers:\n  - {count: 400, processing.time: 60ms, max.poll.records: 1}", "f.yaml:1: duration: "},
		"one at a time":                  {"duration: 744h\ntopics:\n  - {partitions: 1000, rate: 100}\nmembers:\n  - {count: 400, processing.time: 60ms, client: librdkafka}", "f.yaml:1: duration: "},
		"a poll of draws":                {"duration: 744h\ntopics:\n  - {partitions: 1000, rate: 1000000}\nmembers:\n  - {count: 400, processing.time: exponential(10us)}", "f.yaml:1: duration: "},
		"a variant that cannot be":       {"compare:\n  - name: x\n    set: {session.timeout.ms: 1000}", "f.yaml:3: compare[1].set: "},
		"a variant of nothing":           {"compare:\n  - name: x\n    set: {sessions: 1}", "f.yaml:3: compare[1].set: sessions: there is no such setting"},
		"keys without end":               {"topics:\n  - partitions: 100000\n    keys: 100000", "f.yaml:1: topics: there are 10000000000 keys"},
		"a flush all the time":           {"members:\n  - flush.every: 1ns", "f.yaml:2: members[1].flush.every: 1ns is too often"},
		"a topic that grows too far":     {"topics:\n  - {name: a, keys: 1}\n  - {name: b, keys: 1}\n  - {name: c, keys: 1}\nevents:\n  - {do: add-partitions, topic: a, to: 100000}\n  - {do: add-partitions, topic: b, to: 100000}\n  - {do: add-partitions, topic: c, to: 100000}", "f.yaml:1: topics: there are 300000 partitions"},
		"keys that grow too far":         {"topics:\n  - {partitions: 1, keys: 100000}\nevents:\n  - {do: add-partitions, to: 2000}", "f.yaml:1: topics: there are 200000000 keys"},
		"a second document":              {"name: x\n---\nname: y", "f.yaml:2: a second document begins here"},
		"half a second document":         {"name: x\n---\nname: [", "f.yaml:3: not YAML"},
		"a crash that comes back":        {"events:\n  - {do: crash, member: c1, down: 10s}", "f.yaml:2: events[1].down: crash does not look at it; it takes at, when, member"},
		"a restart that lasts":           {"events:\n  - do: restart\n    member: c1\n    for: 10s", "f.yaml:4: events[1].for: restart does not look at it; it takes at, when, member, down, how"},
		"too many fleets":                {"members:\n" + many(1001, "  - name: a%d\n"), "f.yaml:2: members: the list has 1001 entries; the most is 1000"},
		"too many topics":                {"topics:\n" + many(10_001, "  - name: a%d\n"), "f.yaml:2: topics: the list has 10001 entries; the most is 10000"},
		"too many variants":              {"compare:\n" + many(101, "  - name: a%d\n"), "f.yaml:2: compare: the list has 101 entries; the most is 100"},
		"too many events":                {"events:\n" + many(10_001, "  - at: %ds\n"), "f.yaml:2: events: the list has 10001 entries; the most is 10000"},
		"an alias":                       {"name: &x a\nabout: *x", "f.yaml:1: name: anchors and aliases are not understood here"},
		"static clients of old":          {"members:\n  - client: poll-heartbeat\n    static: true", "f.yaml:3: members[1].static: clients that heartbeat from poll are older than static membership"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load("f.yaml", []byte(c.text))
			var fault *FieldError
			if !errors.As(err, &fault) || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("%v\nwant %s", err, c.want)
			}
		})
	}
	// A name of half a megabyte is not compared with every field letter by letter.
	if _, err := Load("f.yaml", []byte("name: x"), Override{strings.Repeat("x", fileBytesMax/2), "1"}); err == nil || !strings.Contains(err.Error(), "there is no such setting") {
		t.Errorf("a very long name: %v", err)
	}
	if _, err := Load("f.yaml", make([]byte, fileBytesMax+1)); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("a file of more than a megabyte: %v", err)
	}
}

// Of a text that is no YAML the line is told, however long it is, and it is read once for that.
func TestTheLineOfAFaultIsFoundInOneReading(t *testing.T) {
	const n = 20_000
	for name, c := range map[string]struct{ begin, line, fault, what string }{
		"a control character": {"x: [", "a,\n", "\x07", "control characters"},
		"an unknown anchor":   {"x:\n", "- '*y'\n", "- *y\n", "unknown anchor 'y'"},
		"bytes that are none": {"x:\n", "- a\n", "- \xff\n", "invalid leading UTF-8 octet"},
	} {
		t.Run(name, func(t *testing.T) {
			good := c.begin + strings.Repeat(c.line, n)
			bad := good + c.fault
			_, err := Load("f.yaml", []byte(bad))
			if want := fmt.Sprintf("f.yaml:%d: not YAML: %s", 1+strings.Count(good, "\n"), c.what); err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%v\nwant %s", err, want)
			}
			allocs := func(text string) float64 {
				return testing.AllocsPerRun(1, func() { _, _ = Load("f.yaml", []byte(text)) })
			}
			if once, found := allocs(good+strings.Repeat("]", strings.Count(c.begin, "["))), allocs(bad); found > once*1.1+100 {
				t.Errorf("%v allocations to tell the line of the fault, %v to read the text", found, once)
			}
		})
	}
}

// What a file holds comes back in an error as a line that can be read: no megabyte, and nothing that a terminal acts on.
func TestErrorsCanBeRead(t *testing.T) {
	for name, text := range map[string]string{
		"a long value":      "members:\n- count: " + strings.Repeat("9", 500_000),
		"a long name":       "members:\n- " + "a" + strings.Repeat("é", 500) + ": 1",
		"a long anchor":     "name: *" + strings.Repeat("a", 500_000),
		"a terminal's code": `members: [{topics: ["\e[31mred\a"]}]`,
		"and in a name":     `"\e]0;x\a": 1`,
	} {
		_, err := Load("f.yaml", []byte(text))
		if err == nil || len(err.Error()) > 1000 || strings.ContainsFunc(err.Error(), unicode.IsControl) || !strings.HasPrefix(err.Error(), "f.yaml:") {
			t.Errorf("%s: %.2000q", name, err)
		}
	}
	if _, err := Load("f.yaml", []byte("x: 1"), Override{"seed", strings.Repeat("\x07", 9999)}); err == nil || len(err.Error()) > 1000 {
		t.Errorf("%.2000v", err)
	}
}

// What is long, and takes no long work, is not refused for it.
func TestMuchThatIsLittleWorkIsTaken(t *testing.T) {
	for name, text := range map[string]string{
		"a month of a large group that keeps up":      "duration: 744h\ntopics: [{partitions: 10000, rate: 20}]\nmembers: [{count: 1000}]",
		"a month of a group that is always behind":    "duration: 744h\ntopics: [{partitions: 1000, rate: 100}]\nmembers: [{count: 100, processing.time: 60ms}]",
		"a month of slow work that is seldom":         "duration: 744h\ntopics: [{partitions: 1000, rate: 0.1}]\nmembers: [{count: 400, processing.time: 60ms, client: librdkafka}]",
		"all there can be of what lies there already": "topics: [{partitions: 1000, backlog: 1000000000000}]\nmembers: [{count: 1000}]",
	} {
		if _, err := Load("f", []byte(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A fleet may become larger or smaller, and what happens to its members stays as it is written.
func TestNamesStayWhenAFleetGrows(t *testing.T) {
	const text = "members: [{name: c, count: 3, consumers: 2}, {name: c-x}]\nevents: [{do: crash, member: c2}, {do: crash, member: c3-2, when: c1-1 joins}, {do: crash, member: c-x2}]\n" +
		"compare: [{name: a, set: {members.1.count: 3}}, {name: b, set: {members.1.count: 120}}]"
	for count, want := range map[string][4]string{"3": {"c2", "c3-2", "c1-1 joins", "c-x2"}, "12": {"c02", "c03-2", "c01-1 joins", "c-x2"}, "120": {"c002", "c003-2", "c001-1 joins", "c-x2"}} {
		sc := parse(t, text, "members.1.count", count)
		for range 2 {
			if e := sc.Events; e[0].Member != want[0] || e[1].Member != want[1] || e[1].When != want[2] || e[2].Member != want[3] {
				t.Errorf("%s: %+v", count, e)
			}
			more, err := sc.With(Override{"members.1.count", "1000"})
			if err != nil || more.Events[0].Member != "c0002" {
				t.Errorf("%v, %v", more, err)
			}
		}
	}
	r := run(t, parse(t, "members: [{count: 12}]\nevents: [{at: 10s, do: crash, member: c7}]"), 1)
	if r.Loads[6].Up || r.Loads[6].Member != "c07" {
		t.Errorf("%+v", r.Loads[6])
	}
	for _, name := range []string{"c4", "c0", "c-1", "c+1", "c2-3", "c2-", "c", "d", "c1-1-1"} {
		_, err := Load("f", []byte("members: [{name: c, count: 3, consumers: 2}]\nevents: [{do: crash, member: "+name+"}]"))
		if wrong := name != "c"; (err != nil) != wrong || wrong && !strings.Contains(err.Error(), "called "+name+"; of fleet c there are c1 to c3") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// It could be the 111th of one fleet, c0111, or the 11th of the other, c10011.
	if _, err := Load("f", []byte("members: [{name: c, count: 2000}, {name: c1, count: 2000}]\nevents: [{do: crash, member: c111}]")); err == nil || !strings.Contains(err.Error(), "called c111") {
		t.Errorf("a name of two: %v", err)
	}
}

func TestAnEventIsAddedAsAFileHasIt(t *testing.T) {
	sc := parse(t, "name: x")
	if err := sc.AddEvent("when=c2 revokes do=crash member=c1"); err != nil {
		t.Fatal(err)
	}
	if e := sc.Events[0]; e.When != "c2 revokes" || e.Do != "crash" || e.Member != "c1" || e.At != 0 {
		t.Errorf("%+v", e)
	}
	for text, want := range map[string]string{
		"at=1s at=2s do=crash member=c1": "event: at is given twice",
		"do=crash member=c1 c2":          `event: "c2" is not name=value`,
		"do=crash when=c2 revokes again": `event: "again" is not name=value`,
		"do=crash member=c1 color=red":   `event: there is no field "color"`,
		"":                               "events[1]: do is missing",
	} {
		if err := parse(t, "name: x").AddEvent(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// A scenario without a name has that of its file.
func TestAScenarioHasAName(t *testing.T) {
	for file, want := range map[string]string{"a/b/my.yaml": "my", `c:\x\my.yaml`: "my", "my": "my", "group app": "group app"} {
		if sc, err := Load(file, []byte("seed: 1")); err != nil || sc.Name != want {
			t.Errorf("%s: %q, %v", file, sc.Name, err)
		}
	}
}

// many is a line again and again, with its number.
func many(n int, line string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, line, i+1)
	}
	return b.String()
}

// Long lists are taken, and in a moment: nothing looks at all fleets for each event of each variant, which would be a minute's work here.
func TestLongListsAreTaken(t *testing.T) {
	text := "members:\n" + many(1000, "- name: a%d.\n  count: 1\n") + "topics:\n" + many(2000, "- {name: t%d, partitions: 1}\n") + "events:\n" + many(5000, "- {do: crash, member: a1000., at: %dms}\n") +
		"compare:\n" + many(100, "- {name: v%d}\n")
	if _, err := Load("f", []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// What grows again and again, or when a member does something, is taken; and so are names that only look alike.
func TestWhatLooksAlikeIsTaken(t *testing.T) {
	for _, text := range []string{
		"events:\n- {do: add-partitions, at: 20s, to: 20}\n- {do: add-partitions, at: 10s, to: 15}",
		"events:\n- {do: add-partitions, when: c1 joins, to: 20}\n- {do: add-partitions, at: 10s, to: 15}",
		"topics: [{name: a}, {name: b}]\nevents:\n- {do: add-partitions, at: 10s, to: 20}\n- {do: add-partitions, topic: b, at: 20s, to: 15}",
		"members:\n- {name: c, count: 99}\n- {name: c1x, count: 9}\n- {name: c-, count: 9}\n- {name: c100, count: 9}",
	} {
		if _, err := Load("f", []byte(text)); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
}

func TestEveryEventHasItsWords(t *testing.T) {
	for _, f := range fieldsOf(reflect.TypeFor[Event]()) {
		if f.name == "do" {
			for _, do := range f.oneOf {
				if len(eventWords[do]) == 0 {
					t.Errorf("no fields count for %s", do)
				}
			}
		} else if f.name != "at" && f.name != "when" && !slices.ContainsFunc(slices.Collect(maps.Values(eventWords)), func(words []string) bool { return slices.Contains(words, f.name) }) {
			t.Errorf("nothing looks at %s", f.name)
		}
	}
}

func TestASettingCountsWhereverItHasItsName(t *testing.T) {
	sc := parse(t, "topics: [{name: a}, {name: b}]\nmembers: [{name: x}, {name: y}]\nevents: [{do: crash, member: x1}]",
		"max.poll.records", "7", "members.2.count", "9", "topics.partitions", "4", "network.latency", "20ms", "jitter", "5ms", "events.1.member", "y9", "duration", "30s",
		"partition.assignment.strategy", "sticky,range", "append.time", "3ms")
	if sc.Members[0].MaxPollRecords != 7 || sc.Members[1].MaxPollRecords != 7 || sc.Members[0].Count != 3 || sc.Members[1].Count != 9 || sc.Topics[0].Partitions != 4 ||
		sc.Topics[1].Partitions != 4 || sc.Network.Latency != Span(20*time.Millisecond) || sc.Network.Jitter != Span(5*time.Millisecond) || sc.Events[0].Member != "y9" ||
		sc.Duration != Span(30*time.Second) || !cmp.Equal(sc.Members[0].Assignors, []string{"sticky", "range"}) || sc.Coordinator.AppendTime != Span(3*time.Millisecond) {
		t.Errorf("%+v", sc)
	}
	sc = parse(t, "events: [{do: crash, member: c1}]", "name", "mine")
	if sc.Name != "mine" || sc.Topics[0].Name != "orders" || sc.Members[0].Name != "c" {
		t.Errorf("name is the scenario's own: %+v", sc)
	}
	for name, value := range map[string]string{"max.pol.records": "7", "members.3.count": "1", "count": "x", "at": "1s", "topics": "a"} {
		if _, err := Load("f", []byte("name: x"), Override{name, value}); err == nil {
			t.Errorf("%s=%s is taken", name, value)
		}
	}
}

func TestSchemaIsCurrent(t *testing.T) {
	const file = "testdata/scenario.schema.json"
	if *rewrite {
		if err := os.WriteFile(file, Schema(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(Schema())); diff != "" {
		t.Errorf("%s is stale; go test ./internal/sim -run TestSchemaIsCurrent -rewrite\n%s", file, diff)
	}
	for _, f := range strings.Split(string(Schema()), "\n") {
		if strings.Contains(f, `"description": ""`) {
			t.Errorf("a field without words: %s", f)
		}
	}
}

// What is shipped fits the schema that editors check files with, and what it refuses is refused.
func TestScenariosFitTheSchema(t *testing.T) {
	var schema map[string]any
	if err := json.Unmarshal(Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	for _, name := range scenarios.Names() {
		text, _ := scenarios.Text(name)
		var file any
		if err := yaml.Unmarshal(text, &file); err != nil {
			t.Fatal(err)
		}
		if err := fits(schema, file); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{"nam: x", "topics: orders", "members: [{count: 0}]", "members: [{count: x}]", "members: [{partition.assignment.strategy: stickiest}]", "events: [{do: explode}]", "events: [{at: 1s}]", "compare: [{set: {static: true}}]",
		"duration: long", "duration: 5", "members: [{processing.time: normal(1ms)}]", "members: [{processing.time: uniform(1ms)}]"} {
		if _, err := Load("f", []byte(text)); err == nil {
			t.Errorf("Load takes %s", text)
		}
		var file any
		if err := yaml.Unmarshal([]byte(text), &file); err != nil {
			t.Fatal(err)
		}
		if fits(schema, file) == nil {
			t.Errorf("the schema takes %s", text)
		}
	}
}

// Whatever the schema lets through for a field that stands alone, and at its bounds, is taken: editors do not praise what is refused later.
func TestTheSchemaAndTheLoaderAgree(t *testing.T) {
	var schema map[string]any
	if err := json.Unmarshal(Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	values := []string{"0", "1", "5", "-1", "0.5", "99999999999999", "1s", "10s", "1m30s", "0.5ms", "0s", "744h", "true", "True", "false", "yes", "auto", "[t]", "java", "uniform(1ms, 5ms)",
		"exponential(2ms)", "uniform(5ms)", "1 s", "s", "cooperative-sticky", "[range, sticky]", "range, sticky", "~", "{a: b}"}
	for _, section := range []struct {
		name, before, after string
		typ                 reflect.Type
	}{
		{"topics", "topics: [{", "}]", reflect.TypeFor[Topic]()}, {"members", "members: [{", "}]", reflect.TypeFor[Members]()},
		{"network", "network: {", "}", reflect.TypeFor[Network]()}, {"coordinator", "coordinator: {", "}", reflect.TypeFor[Coordinator]()},
	} {
		for _, f := range fieldsOf(section.typ) {
			for _, v := range append(values, f.def, f.min, f.max) {
				text := section.before + f.name + ": " + v + section.after
				var file any
				if err := yaml.Unmarshal([]byte(text), &file); err != nil {
					continue
				}
				if fits(schema, file) != nil {
					continue
				}
				bounded := f.typ == spanType || f.typ == workType // a schema cannot say how long a text may mean; the description does
				_, err := Load("f", []byte(text))
				if bounded && err != nil && strings.Contains(err.Error(), "most") {
					continue
				}
				if err != nil && !strings.Contains(err.Error(), "below session") && !strings.Contains(err.Error(), "is not within") &&
					!strings.Contains(err.Error(), "there is no topic") && !strings.Contains(err.Error(), "too often") && !strings.Contains(err.Error(), "simulator takes") && !strings.Contains(err.Error(), "the limit is") &&
					!strings.Contains(err.Error(), "it is above") && !strings.Contains(err.Error(), "is not a name") {
					t.Errorf("the schema takes %s, and it is refused: %v", text, err)
				}
			}
		}
	}
}

// fits checks a value by as much of JSON schema as Schema uses.
func fits(schema map[string]any, value any) error {
	if kinds, ok := schema["anyOf"].([]any); ok {
		for _, one := range kinds {
			if fits(one.(map[string]any), value) == nil {
				return nil
			}
		}
		return fmt.Errorf("%v is none of %v", value, kinds)
	}
	switch v := value.(type) {
	case map[string]any:
		if schema["type"] != "object" {
			return fmt.Errorf("%v is not of type %v", v, schema["type"])
		}
		needed, _ := schema["required"].([]any)
		for _, name := range needed {
			if _, ok := v[name.(string)]; !ok {
				return fmt.Errorf("%s is missing", name)
			}
		}
		fields, listed := schema["properties"].(map[string]any)
		for name, x := range v {
			field, ok := fields[name].(map[string]any)
			if !ok && listed {
				return fmt.Errorf("there is no field %s", name)
			}
			if !ok {
				continue
			}
			if err := fits(field, x); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	case []any:
		if schema["type"] != "array" {
			return fmt.Errorf("%v is not of type %v", v, schema["type"])
		}
		for _, x := range v {
			if err := fits(schema["items"].(map[string]any), x); err != nil {
				return err
			}
		}
	case string:
		words, _ := schema["enum"].([]any)
		pattern, _ := schema["pattern"].(string)
		if schema["type"] != "string" || words != nil && !slices.Contains(words, any(v)) || !regexp.MustCompile(pattern).MatchString(v) {
			return fmt.Errorf("%q does not fit %v", v, schema)
		}
	case bool:
		if schema["type"] != "boolean" {
			return fmt.Errorf("%v is not of type %v", v, schema["type"])
		}
	case float64:
		if least, ok := schema["minimum"].(float64); schema["type"] != "number" || ok && v < least || v > schema["maximum"].(float64) {
			return fmt.Errorf("%v does not fit %v", v, schema)
		}
	case int:
		if least, ok := schema["minimum"].(float64); schema["type"] != "integer" && schema["type"] != "number" || ok && float64(v) < least || float64(v) > schema["maximum"].(float64) {
			return fmt.Errorf("%d does not fit %v", v, schema)
		}
	default:
		return fmt.Errorf("%v is of a kind that no scenario has", v)
	}
	return nil
}

// FuzzLoad looks for texts that a scenario cannot be refused for in order.
func FuzzLoad(f *testing.F) {
	for _, name := range scenarios.Names() {
		text, _ := scenarios.Text(name)
		f.Add(text)
	}
	f.Add([]byte("members: [{count: 1e9}]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if sc, err := Load("f", text); err == nil {
			if _, err := sc.With(); err != nil {
				t.Errorf("a good scenario is not good the second time: %v", err)
			}
		}
	})
}
