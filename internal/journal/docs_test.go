package journal

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDocsAreCurrent compares the parts of the documents that are made from what the code does; with -rewrite it writes them anew.
func TestDocsAreCurrent(t *testing.T) {
	for _, p := range []struct {
		page, part string
		make       func(*testing.T) string
	}{
		{"../../docs/formats/rebalances.md", "example", exampleDoc},
		{"../../docs/formats/rebalances.md", "fields", fieldsDoc},
		{"../../docs/formats/rebalances.md", "facts", factsDoc},
		{"../../docs/explain.md", "causes", causesDoc},
		{"../../docs/explain.md", "detectors", detectorsDoc},
	} {
		b, err := os.ReadFile(p.page)
		if err != nil {
			t.Fatal(err)
		}
		text := string(b)
		open, end := strings.Index(text, "<!-- "+p.part+":"), strings.Index(text, "<!-- end of "+p.part+" -->")
		if open < 0 || end < open {
			t.Fatalf("%s has no comments around its part %q", p.page, p.part)
		}
		from := open + strings.Index(text[open:], "\n") + 1
		want := "\n" + strings.TrimSpace(p.make(t)) + "\n\n"
		if text[from:end] == want {
			continue
		}
		if flag.Lookup("rewrite").Value.String() != "true" {
			t.Errorf("%s, part %q is stale; go test ./internal/journal -run TestDocs -rewrite\n%s", p.page, p.part, cmp.Diff(text[from:end], want))
			continue
		}
		if err := os.WriteFile(p.page, []byte(text[:from]+want+text[end:]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// exampleDoc is the record of a small rebalance.
func exampleDoc(t *testing.T) string {
	w := played(t, "settings delay=0s\ntopic t=2\nstart A\nadvance 5s\nstart B\nadvance 70s")
	inc := w.latest[w.order[len(w.order)-1]]
	_, value, err := Encode(inc)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(value, &tree); err != nil {
		t.Fatal(err)
	}
	pretty, err := json.MarshalIndent(inc, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return "```json\n" + string(pretty) + "\n```"
}

// fieldsDoc is the types of incident.go as tables, in the words of their comments.
func fieldsDoc(t *testing.T) string {
	file, err := parser.ParseFile(token.NewFileSet(), "incident.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	structs := map[string]*ast.StructType{}
	for _, d := range file.Decls {
		if g, ok := d.(*ast.GenDecl); ok {
			for _, s := range g.Specs {
				if ts, ok := s.(*ast.TypeSpec); ok {
					if st, ok := ts.Type.(*ast.StructType); ok {
						structs[ts.Name.Name] = st
					}
				}
			}
		}
	}
	var out strings.Builder
	for _, name := range []string{"Incident", "Verdict", "Trigger", "Fact", "Who", "Phase", "Notice", "Member", "TopicPartitions", "Moves", "Partition", "Cost", "Advice", "Cut", "JournalLost"} {
		title := name
		if name == "Verdict" {
			title = "Verdict, whose fields are the incident's own"
		}
		fmt.Fprintf(&out, "### %s\n\n| field | type | meaning |\n|---|---|---|\n", title)
		for _, f := range structs[name].Fields.List {
			if f.Tag == nil {
				continue // embedded: its fields are in a table of their own
			}
			tag := reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("json")
			field, _, _ := strings.Cut(tag, ",")
			text := strings.TrimSpace(f.Doc.Text() + " " + f.Comment.Text())
			text = strings.Join(strings.Fields(text), " ")
			fmt.Fprintf(&out, "| `%s` | %s | %s |\n", field, typeWords(f.Type), strings.ReplaceAll(text, "|", "\\|"))
		}
		if name == "Member" {
			out.WriteString("\nand the fields of Who.\n")
		}
		out.WriteString("\n")
	}
	return out.String()
}

// typeWords is a field's type as JSON has it.
func typeWords(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return typeWords(e.X)
	case *ast.ArrayType:
		return "list of " + typeWords(e.Elt)
	case *ast.Ident:
		switch e.Name {
		case "int", "int32", "int64", "float64", "Millis":
			return "number"
		case "string", "Cause", "Stage", "Kind", "Source", "Confidence", "TriggerKind", "FactID", "PhaseName", "Change":
			return "text"
		case "bool":
			return "true or false"
		case "Time":
			return "time"
		}
		return e.Name
	}
	return "?"
}

func factsDoc(t *testing.T) string {
	file, err := parser.ParseFile(token.NewFileSet(), "facts.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	out.WriteString("| id | meaning |\n|---|---|\n")
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			if id, ok := v.Type.(*ast.Ident); ok && id.Name == "FactID" {
				fmt.Fprintf(&out, "| `%s` | %s |\n", strings.Trim(v.Values[0].(*ast.BasicLit).Value, `"`), strings.TrimSpace(v.Comment.Text()))
			}
		}
	}
	return out.String()
}

// storyOf says which story shows a cause, and which of its incidents: the first of that cause, or of the kind.
var storyOf = []struct {
	cause Cause
	file  string
}{
	{FirstStart, "c01_first_start"}, {ScaleUp, "c02_scale_up"}, {RollingRestart, "c03_rolling_restart"}, {GracefulClose, "c04_closed"}, {Unsubscribed, "c05_unsubscribed"},
	{SessionTimeout, "c06_pause"}, {PollInterval, "c07_poll_interval"}, {LateToRejoin, "c08_late_to_rejoin"}, {LateToSync, "c09_late_to_sync"}, {StaticReturned, "c10_static_returned"},
	{InstanceFenced, "c11_instance_fenced"}, {SubscriptionChange, "c12_subscription_change"}, {PartitionCount, "c13_partitions_added"}, {TopicSet, "c14_topics_changed"},
	{AssignorChange, "c15_assignor_change"}, {LeaderRejoin, "c16_leader_rejoin"}, {CoordinatorMoved, "c17_coordinator"}, {CooperativeRound, "c18_cooperative"},
	{FailedRebalance, "c19_failed_rebalance"}, {RejectedCommit, "c20_rejected_commit"}, {AdminRemoval, "c21_removed"}, {BrokerPolicy, "c22_limits"},
}

func causesDoc(t *testing.T) string {
	files := map[Cause]string{}
	for _, s := range storyOf {
		files[s.cause] = s.file
	}
	var out strings.Builder
	for _, c := range Causes() {
		if c.Cause == Unknown {
			continue
		}
		fmt.Fprintf(&out, "### %s: %s\n\n%s\n\nMeasured: %s\n\n", c.Cause, c.Title, c.Meaning, c.Measured)
		if c.Ask != "" {
			fmt.Fprintf(&out, "Only the application's side knows: %s.\n\n", c.Ask)
		}
		file := files[c.Cause]
		if file == "" {
			out.WriteString("It cannot happen yet: this broker speaks the classic protocol only.\n\n")
			continue
		}
		title, inc := storied(t, file, c.Cause)
		fmt.Fprintf(&out, "%s\n\n```\n%s```\n\n", title, Story(&inc))
	}
	return out.String()
}

// storied plays a story and finds the incident that shows the cause. The second round of a cooperative rebalance belongs to what set it off.
func storied(t *testing.T, name string, cause Cause) (title string, _ Incident) {
	t.Helper()
	f, err := os.Open("testdata/stories/" + name + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := newWorld(t)
	lines := bufio.NewScanner(f)
	input := false
	for n := 0; lines.Scan(); n++ {
		l := lines.Text()
		switch {
		case n == 0 || strings.HasPrefix(l, "# ") && title != "" && len(w.order) == 0 && !input && n < 3:
			title = strings.TrimSpace(title + " " + strings.TrimPrefix(l, "# "))
		case l == "quietly" || l == "story" || l == "history":
			input = true
		case l == "----":
			input = false
		case input:
			w.play(t, l)
		}
	}
	for _, id := range w.order {
		if inc := w.latest[id]; inc.Cause == cause && inc.ID != w.order[0] || inc.Cause == cause && cause == FirstStart || cause == CooperativeRound && inc.Rounds == 2 && inc.Cause == ScaleUp && inc.MembersBefore > 0 {
			if cause == ScaleUp && inc.MembersBefore < 2 || cause == CooperativeRound && inc.MembersBefore < 2 || cause == CoordinatorMoved && inc.Kind != Rebalance {
				continue
			}
			return title, inc
		}
	}
	t.Fatalf("the story %s has no incident of %s", name, cause)
	return "", Incident{}
}

func detectorsDoc(*testing.T) string {
	var out strings.Builder
	out.WriteString("| | what | when |\n|---|---|---|\n")
	for _, d := range Detectors() {
		fmt.Fprintf(&out, "| %s | %s | %s |\n", d.Detector, d.Title, d.Rule)
	}
	return out.String()
}
