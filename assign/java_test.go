package assign

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
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
	for _, t := range c.in.topics {
		var racks []string
		for _, r := range t.Racks {
			racks = append(racks, strings.Join(slices.Compact(slices.Sorted(slices.Values(r))), ","))
		}
		fmt.Fprintf(w, "topic %s %d %s\n", t.Name, t.Partitions, dash(strings.Join(racks, ";")))
	}
	for _, m := range c.in.members {
		owned := ""
		if c.assignor == "cooperative-sticky" {
			owned = colons(m.Owned)
		}
		fmt.Fprintf(w, "member %s %s %s %d %s %s %s\n", m.ID, dash(m.InstanceID), dash(m.Rack), m.Generation, dash(strings.Join(m.Topics, ",")),
			dash(owned), dash(hex.EncodeToString(m.UserData)))
	}
	fmt.Fprintf(w, "assign %s\n", c.assignor)
}

// TestJavaCompatiblePlansAreThoseOfTheJavaClient asks the assignors in the jars of Apache Kafka (interop/install.sh brings them). Member
// ids are chosen so that Java's hash tables happen to hold them in order.
func TestJavaCompatiblePlansAreThoseOfTheJavaClient(t *testing.T) {
	java, err := exec.LookPath("java")
	if err != nil {
		t.Skip("no java: interop/install.sh installs it")
	}
	jars, err := filepath.Glob(filepath.Join("..", "interop", "kafka", "target", "dependency", "*.jar"))
	if err != nil {
		t.Fatal(err)
	}
	jars = slices.DeleteFunc(jars, func(j string) bool {
		base := filepath.Base(j)
		return !strings.HasPrefix(base, "kafka-clients") && !strings.HasPrefix(base, "slf4j-api")
	})
	if len(jars) == 0 {
		t.Skip("no jars of Apache Kafka: interop/install.sh brings them")
	}
	if testing.Short() {
		t.Skip("starts a Java virtual machine")
	}
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
	for seed := range uint64(1600) {
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
			cases = append(cases, javaCase{name + ", our plan handed to a Java leader", "sticky", strings.Join(s, " "), settled})
		}
	}
	var questions bytes.Buffer
	for _, c := range cases {
		c.question(&questions)
	}
	cmd := exec.Command(java, "-Xmx256m", "-XX:+UseSerialGC", "-cp", strings.Join(jars, string(filepath.ListSeparator)),
		filepath.Join("..", "interop", "assignors", "Assignors.java"))
	cmd.Stdin = &questions
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, complaints.String())
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	asked, differ := make(map[string]int), make(map[string]int)
	for _, c := range cases {
		if !lines.Scan() {
			t.Fatalf("the Java side stopped after %v\n%s", asked, complaints.String())
		}
		asked[c.assignor]++
		if got := lines.Text(); got != c.ours {
			differ[c.assignor]++
			if differ[c.assignor] <= 3 {
				t.Errorf("%s, %s:\nJava %s\nours %s\n%v", c.assignor, c.name, got, c.ours, c.in)
			}
		}
	}
	t.Logf("asked %v, different %v", asked, differ)
}
