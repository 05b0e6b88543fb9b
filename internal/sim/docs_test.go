package sim

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDocsAreCurrent writes the tables of docs/simulate.md from the fields and the rows themselves, and compares.
func TestDocsAreCurrent(t *testing.T) {
	const file = "../../docs/simulate.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for part, make := range map[string]func() string{"rows": rowsTable, "fields": fieldsTables} {
		open, end := strings.Index(page, "<!-- "+part+":"), strings.Index(page, "<!-- end of "+part+" -->")
		if open < 0 || end < open {
			t.Fatalf("%s has no comments around its part %q", file, part)
		}
		from := open + strings.Index(page[open:], "\n") + 1
		page = page[:from] + make() + page[end:]
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(text), page); diff != "" {
		t.Errorf("%s is stale; go test ./internal/sim -run TestDocsAreCurrent -rewrite\n%s", file, diff)
	}
}

func rowsTable() string {
	var b strings.Builder
	for _, m := range Metrics() {
		help := m.Help
		if help == "" {
			help = "-"
		}
		fmt.Fprintf(&b, "| %s | %s |\n", strings.TrimSpace(m.Title), help)
	}
	return b.String()
}

func fieldsTables() string {
	var b strings.Builder
	table := func(name, doc string, typ reflect.Type) {
		fmt.Fprintf(&b, "\n### %s\n\n%s\n\n| field | default | meaning |\n|---|---|---|\n", name, doc)
		for _, f := range fieldsOf(typ) {
			def := "-"
			if f.def != "" {
				def = "`" + f.def + "`"
			}
			words := strings.ReplaceAll(f.doc, "|", `\|`)
			if len(f.oneOf) > 0 && !strings.Contains(f.doc, f.oneOf[0]) {
				words += " One of " + orList(f.oneOf) + "."
			}
			if f.min != "" && f.max != "" {
				words += fmt.Sprintf(" From %s to %s.", f.min, f.max)
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.name, def, words)
		}
	}
	top := reflect.TypeFor[Scenario]()
	table("A scenario", "The fields at the top of the file.", top)
	for _, f := range fieldsOf(top) {
		switch {
		case isSection(f.typ):
			table(f.name, f.doc, f.typ)
		case f.typ.Kind() == reflect.Slice && isSection(f.typ.Elem()):
			table(f.name, "A list. "+f.doc, f.typ.Elem())
		}
	}
	return b.String() + "\n"
}
