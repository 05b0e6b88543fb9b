package assign

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// javaCase is one question for Kafka's own client and our answer to it.
type javaCase struct {
	name, assignor, ours string
	in                   instance
}

func colons(tps []TopicPartitions) string {
	var s []string
	for _, t := range tps {
		for _, p := range t.Partitions {
			s = append(s, fmt.Sprintf("%s:%d", t.Topic, p))
		}
	}
	return strings.Join(s, ",")
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (c javaCase) question(w *bytes.Buffer) {
	c.describe(w)
	fmt.Fprintf(w, "assign %s\n", c.assignor)
}

func (c javaCase) describe(w *bytes.Buffer) {
	for _, t := range c.in.topics {
		var racks []string
		for _, r := range t.Racks {
			racks = append(racks, strings.Join(slices.Compact(slices.Sorted(slices.Values(r))), ","))
		}
		fmt.Fprintf(w, "topic %s %d %s\n", t.Name, t.Partitions, dash(strings.Join(racks, ";")))
	}
	var before []string
	for i, m := range c.in.members {
		owned := ""
		if c.assignor == "cooperative-sticky" || strings.HasPrefix(c.assignor, "server-") {
			owned = colons(m.Owned)
		}
		topics := "="
		if i == 0 || !sameList(before, m.Topics) {
			topics = dash(strings.Join(m.Topics, ","))
		}
		before = m.Topics
		fmt.Fprintf(w, "member %s %s %s %d %s %s %s\n", m.ID, dash(m.InstanceID), dash(m.Rack), m.Generation, topics, dash(owned),
			dash(hex.EncodeToString(m.UserData)))
	}
}

// shape is how many partitions each member has, and how many members each partition.
func shape(plan string) string {
	var loads []string
	readers := make(map[string]int)
	for _, m := range strings.Fields(plan) {
		id, tps, _ := strings.Cut(m, "=")
		list := strings.FieldsFunc(tps, func(r rune) bool { return r == ',' })
		loads = append(loads, fmt.Sprintf("%s=%d", id, len(list)))
		for _, p := range list {
			readers[p]++
		}
	}
	return fmt.Sprint(loads, readers)
}

// javaCommand is the program that asks Kafka's assignors; it skips the test where there is no Java or no jar.
func javaCommand(tb testing.TB, heap string) *exec.Cmd {
	tb.Helper()
	java, err := exec.LookPath("java")
	if err != nil {
		tb.Skip("no java: interop/install.sh installs it")
	}
	jars, err := filepath.Glob(filepath.Join("..", "interop", "kafka", "target", "dependency", "*.jar"))
	if err != nil {
		tb.Fatal(err)
	}
	jars = slices.DeleteFunc(jars, func(j string) bool {
		base := filepath.Base(j)
		return !strings.HasPrefix(base, "kafka-") && !strings.HasPrefix(base, "slf4j-api")
	})
	if len(jars) == 0 {
		tb.Skip("no jars of Apache Kafka: interop/install.sh brings them")
	}
	if testing.Short() {
		tb.Skip("starts a Java virtual machine")
	}
	return exec.Command(java, heap, "-XX:+UseSerialGC", "-cp", strings.Join(jars, string(filepath.ListSeparator)),
		filepath.Join("..", "interop", "assignors", "Assignors.java"))
}

// askJava asks everything at once.
func askJava(t *testing.T, questions *bytes.Buffer) *bufio.Scanner {
	t.Helper()
	cmd := javaCommand(t, "-Xmx1g")
	cmd.Stdin = questions
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, complaints.String())
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<24)
	return lines
}

// javaProcess answers one question after the other.
type javaProcess struct {
	in    io.Writer
	lines *bufio.Scanner
}

func startJava(tb testing.TB, heap string) *javaProcess {
	tb.Helper()
	cmd := javaCommand(tb, heap)
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			tb.Errorf("the Java side: %v", err)
		}
	})
	return &javaProcess{in, bufio.NewScanner(out)}
}

// time measures one of Kafka's assignors, as measure does.
func (j *javaProcess) time(tb testing.TB, assignor string, in instance, budget time.Duration) timing {
	tb.Helper()
	var question bytes.Buffer
	javaCase{assignor: assignor, in: in}.describe(&question)
	fmt.Fprintf(&question, "time %s %d\n", assignor, budget.Milliseconds())
	if _, err := question.WriteTo(j.in); err != nil {
		tb.Fatal(err)
	}
	var t timing
	if !j.lines.Scan() {
		tb.Fatal("the Java side stopped")
	}
	if _, err := fmt.Sscan(j.lines.Text(), &t.fastest, &t.median); err != nil {
		tb.Fatalf("%q: %v", j.lines.Text(), err)
	}
	return t
}

// TestJavaCompatiblePlansAreThoseOfTheJavaClient asks the assignors in the jars of Apache Kafka (interop/install.sh brings them). Member
// ids are chosen so that Java's hash tables happen to hold them in order.
func TestJavaCompatiblePlansAreThoseOfTheJavaClient(t *testing.T) {
	var cases []javaCase
	add := func(name string, in instance, a Assignor) {
		plan, err := a.Assign(in.members, in.topics)
		if err != nil {
			t.Fatal(err)
		}
		var s []string
		for i, m := range in.members {
			s = append(s, m.ID+"="+colons(plan[i].Partitions))
		}
		cases = append(cases, javaCase{name, a.Name(), strings.Join(s, " "), in})
	}
	for _, row := range tutorialCases {
		topics := parseTopics(row.topics)
		in := instance{parseMembers(row.members, topics), topics}
		for _, a := range []Assignor{Range{}, RoundRobin{}, Sticky{JavaCompatible: true}, CooperativeSticky{JavaCompatible: true}} {
			add(row.name, in, a)
		}
	}
	addServer := func(name string, in instance, a ServerAssignor) {
		members, topics := byID(in.members, in.topics)
		plan, err := a.Assign(members, topics)
		if err != nil {
			t.Fatal(err)
		}
		var s []string
		for i, p := range byName(plan) {
			s = append(s, in.members[i].ID+"="+colons(p.Partitions))
		}
		cases = append(cases, javaCase{name, "server-" + a.Name(), strings.Join(s, " "), in})
	}
	mixed := 0 // our plans, handed to a Java leader
	groups := uint64(1600)
	if s := os.Getenv("BARNABAS_ASSIGN_INSTANCES"); s != "" {
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		groups = n
	}
	for seed := range groups {
		g := &generator{Rand: rand.New(rand.NewPCG(77, seed)), equal: seed%4 < 2, racks: seed%2 == 1}
		in := g.fresh()
		name := fmt.Sprintf("seed 77/%d equal=%v racks=%v fresh", seed, g.equal, g.racks)
		rename := func() {
			for i := range in.members {
				in.members[i].ID = fmt.Sprintf("P%d", i)
			}
		}
		rename()
		if seed%8 >= 4 {
			plan, err := (Sticky{JavaCompatible: true}).Assign(in.members, in.topics)
			if err != nil {
				t.Fatal(err)
			}
			in.settled(plan)
			g.event(&in)
			if seed%16 >= 8 {
				g.event(&in)
			}
			if len(in.members) > 10 {
				continue
			}
			rename()
			name = strings.Replace(name, "fresh", "event", 1)
		}
		for i := range in.members {
			if seed%5 == 0 && i%2 == 0 {
				in.members[i].InstanceID = fmt.Sprintf("i%d", (i*7)%5)
			}
		}
		coop := instance{slices.Clone(in.members), in.topics}
		sticky := instance{withMemory(in.members), in.topics}
		add(name, in, Range{})
		add(name, in, RoundRobin{})
		addServer(name, in, ServerRange{})
		// Java 4.3.1 leaves a topic that nobody reads any more with who had it; ours revokes it. Ask about what is still read.
		still := instance{slices.Clone(in.members), in.topics}
		for i, m := range still.members {
			still.members[i].Owned = slices.DeleteFunc(slices.Clone(m.Owned), func(tp TopicPartitions) bool { return !slices.Contains(m.Topics, tp.Topic) })
		}
		addServer(name, still, Simple{})
		add(name, sticky, Sticky{JavaCompatible: true})
		add(name, coop, CooperativeSticky{JavaCompatible: true})
		// What we call optimal must come back unchanged from a Java leader.
		if plan := target(t, sticky); len(plan) > 0 && !g.racks {
			settled := instance{slices.Clone(sticky.members), in.topics}
			settled.settled(plan)
			settled.members = withMemory(settled.members)
			var s []string
			for i, m := range settled.members {
				s = append(s, m.ID+"="+colons(plan[i].Partitions))
			}
			for _, a := range []string{"sticky", "cooperative-sticky"} {
				cases = append(cases, javaCase{name + ", our plan handed to a Java leader", a, strings.Join(s, " "), settled})
				mixed++
			}
		}
	}
	var questions bytes.Buffer
	for _, c := range cases {
		c.question(&questions)
	}
	lines := askJava(t, &questions)
	asked, differ := make(map[string]int), make(map[string]int)
	for _, c := range cases {
		if !lines.Scan() {
			t.Fatalf("the Java side stopped after %v", asked)
		}
		asked[c.assignor]++
		got, ours := lines.Text(), c.ours
		if c.assignor == "server-simple" {
			// Which of several partitions a member gets follows a hash table in Java; how many it gets, and how many read each, does not.
			got, ours = shape(got), shape(ours)
		}
		if got != ours {
			differ[c.assignor]++
			if differ[c.assignor] <= 3 {
				t.Errorf("%s, %s:\nJava %s\nours %s\n%v", c.assignor, c.name, got, ours, c.in)
			}
		}
	}
	t.Logf("asked %v, different %v; of these, %d plans of ours were handed to a Java leader", asked, differ, mixed)
}
