package tidy

import (
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/wire"
)

// Documents are checked like code: what can be generated is, links lead somewhere, and commands exist.

var rewrite = flag.Bool("rewrite", false, "write the generated parts of the documents anew")

const root = "../.."

// page is one Markdown file, by its name below the root.
type page struct{ name, text string }

var pages = sync.OnceValues(func() ([]page, error) {
	var out []page
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch base := d.Name(); {
		case d.IsDir() && (base == "node_modules" || base == "target" || base == "testdata" || base == "bin" || base == "tmp" || name != "." && base[0] == '.'):
			return fs.SkipDir
		case !d.IsDir() && strings.HasSuffix(base, ".md"):
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			out = append(out, page{filepath.ToSlash(name), string(text)})
		}
		return nil
	})
	return out, err
})

func documents(t *testing.T) []page {
	t.Helper()
	all, err := pages()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("found %d documents only", len(all))
	}
	return all
}

func document(t *testing.T, name string) page {
	t.Helper()
	for _, p := range documents(t) {
		if p.name == name {
			return p
		}
	}
	t.Fatalf("there is no %s", name)
	return page{}
}

// A generated part stands between two comments of its name.
var generated = []struct {
	page, part string
	make       func(t *testing.T) string
}{
	{"docs/architecture.md", "arrows", arrowList},
	{"docs/api.md", "versions", versionTable},
	{"docs/api.md", "differences", differenceTable},
}

func TestDocsGeneratedPartsAreCurrent(t *testing.T) {
	for _, g := range generated {
		p := document(t, g.page)
		name := filepath.Join(root, g.page)
		current, err := os.ReadFile(name) // an earlier part of the same page may have been rewritten
		if err != nil {
			t.Fatal(err)
		}
		text := string(current)
		open, end := strings.Index(text, "<!-- "+g.part+":"), strings.Index(text, "<!-- end of "+g.part+" -->")
		if open < 0 || end < open {
			t.Errorf("%s has no comments around its part %q", p.name, g.part)
			continue
		}
		from := open + strings.Index(text[open:], "\n") + 1
		want := "\n" + strings.TrimSpace(g.make(t)) + "\n\n"
		if text[from:end] == want {
			continue
		}
		if !*rewrite {
			t.Errorf("%s, part %q is stale; go test ./internal/tidy -run TestDocs -rewrite\n%s", g.page, g.part, cmp.Diff(text[from:end], want))
			continue
		}
		if err := os.WriteFile(name, []byte(text[:from]+want+text[end:]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// arrowList is who may import whom, in words of the packages' own names.
func arrowList(*testing.T) string {
	var b strings.Builder
	b.WriteString("| package | may import |\n|---|---|\n")
	for _, from := range slices.Sorted(maps.Keys(arrows)) {
		to := slices.Sorted(slices.Values(arrows[from]))
		for i := range to {
			to[i] = strings.TrimPrefix(to[i], "internal/")
		}
		what := "nothing of ours"
		if len(to) > 0 {
			what = strings.Join(to, ", ")
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", from, what)
	}
	return b.String()
}

// versionTable is the version table of internal/wire.
func versionTable(*testing.T) string {
	var b strings.Builder
	b.WriteString("| key | API | versions | flexible from |\n|---|---|---|---|\n")
	for _, r := range wire.Versions() {
		q := kmsg.RequestForKey(r.Key)
		flexible := "-"
		for v := r.Min; v <= r.Max; v++ {
			if q.SetVersion(v); q.IsFlexible() {
				flexible = fmt.Sprint(v)
				break
			}
		}
		versions := fmt.Sprintf("%d-%d", r.Min, r.Max)
		if r.Min == r.Max {
			versions = fmt.Sprint(r.Min)
		}
		fmt.Fprintf(&b, "| %d | %s | %s | %s |\n", r.Key, wire.KeyName(r.Key), versions, flexible)
	}
	return b.String()
}

// difference is a line of interop/wirediff/explained.txt, or several that are of one mind.
type difference struct {
	apis, fields        []string
	versions, name, why string
}

// differenceTable is interop/wirediff/explained.txt: `API | versions | case | path | why` lines under comments that serve as headings.
func differenceTable(t *testing.T) string {
	text, err := os.ReadFile(filepath.Join(root, "interop", "wirediff", "explained.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	var rows []difference
	heading := ""
	flush := func() {
		if len(rows) == 0 {
			return
		}
		if heading != "" {
			fmt.Fprintf(&b, "**%s**\n\n", heading)
		}
		b.WriteString("| API | versions | case | field | why |\n|---|---|---|---|---|\n")
		for _, r := range merged(rows) {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", strings.Join(r.apis, ", "), r.versions, r.name, strings.Join(r.fields, ", "), r.why)
		}
		b.WriteString("\n")
		rows = nil
	}
	plain := func(cell string) string {
		if cell == "*" {
			return "all"
		}
		return strings.ReplaceAll(cell, "*", `\*`)
	}
	for n, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if comment, ok := strings.CutPrefix(line, "#"); ok {
			flush()
			heading = strings.TrimSpace(comment)
			continue
		}
		if line == "" {
			continue
		}
		cells := strings.SplitN(line, "|", 5)
		if len(cells) != 5 {
			t.Fatalf("interop/wirediff/explained.txt:%d: want API | versions | case | path | why", n+1)
		}
		for i := range cells {
			cells[i] = strings.ReplaceAll(strings.TrimSpace(cells[i]), "|", `\|`)
		}
		field := "all"
		if cells[3] != "*" {
			field = "`" + cells[3] + "`"
		}
		rows = append(rows, difference{[]string{plain(cells[0])}, []string{field}, plain(cells[1]), plain(cells[2]), cells[4]})
	}
	flush()
	if b.Len() == 0 {
		return "No difference is explained yet."
	}
	return b.String()
}

// merged joins rows that differ in their API only, then those that differ in their field only; the order stays.
func merged(rows []difference) []difference {
	join := func(rows []difference, same func(a, b *difference) bool, take func(into, from *difference)) (out []difference) {
	next:
		for i := range rows {
			for k := range out {
				if same(&out[k], &rows[i]) {
					take(&out[k], &rows[i])
					continue next
				}
			}
			out = append(out, rows[i])
		}
		return out
	}
	alike := func(a, b *difference) bool { return a.versions == b.versions && a.name == b.name && a.why == b.why }
	rows = join(rows, func(a, b *difference) bool { return alike(a, b) && slices.Equal(a.fields, b.fields) },
		func(into, from *difference) { into.apis = append(into.apis, from.apis...) })
	return join(rows, func(a, b *difference) bool { return alike(a, b) && slices.Equal(a.apis, b.apis) },
		func(into, from *difference) { into.fields = append(into.fields, from.fields...) })
}

var (
	fence  = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")
	inline = regexp.MustCompile("`[^`\n]+`")
	link   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	title  = regexp.MustCompile(`(?m)^(#+) +(.*)$`)
)

// prose is a page without its code, fences first.
func (p page) prose() string {
	return inline.ReplaceAllString(fence.ReplaceAllString(p.text, ""), "code")
}

// anchors are the fragments that links into the page may have.
func (p page) anchors() map[string]bool {
	out := map[string]bool{}
	for _, m := range title.FindAllStringSubmatch(fence.ReplaceAllString(p.text, ""), -1) {
		slug := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, m[2])
		once := slug
		for i := 1; out[slug]; i++ {
			slug = fmt.Sprintf("%s-%d", once, i)
		}
		out[slug] = true
	}
	return out
}

func TestDocsLinksLeadSomewhere(t *testing.T) {
	byName := map[string]page{}
	for _, p := range documents(t) {
		byName[p.name] = p
	}
	for _, p := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(p.prose(), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			file, fragment, _ := strings.Cut(m[1], "#")
			target := p.name
			if file != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(p.name), file))
				if _, err := os.Stat(filepath.Join(root, target)); err != nil {
					t.Errorf("%s links to %s, which does not exist", p.name, m[1])
					continue
				}
			}
			if to, isPage := byName[target]; fragment != "" && isPage && !to.anchors()[fragment] {
				t.Errorf("%s links to %s, which has no such heading", p.name, m[1])
			}
		}
	}
}

// hosts that documents may send a reader to, beside those that are examples.
var hosts = []string{"github.com", "kafka.apache.org", "cwiki.apache.org", "issues.apache.org", "pkg.go.dev", "go.dev", "www.kernel.org", "lwn.net"}

var (
	url         = regexp.MustCompile(`https?://([^/\s:)>"'` + "`" + `]+)`)
	exampleHost = regexp.MustCompile(`^(localhost|127\.0\.0\.1|0\.0\.0\.0|.*\.?example(\.[a-z]+)?|HOST.*)$`)
	machinePath = regexp.MustCompile(`(^|[\s"'(=:` + "`" + `])/(home|root|work|Users)/\w`)
)

func TestDocsNameNoMachineAndNoStranger(t *testing.T) {
	for _, p := range documents(t) {
		if m := machinePath.FindString(p.text); m != "" {
			t.Errorf("%s names a path of somebody's machine: %q", p.name, strings.TrimSpace(m))
		}
		for _, m := range url.FindAllStringSubmatch(p.text, -1) {
			if !slices.Contains(hosts, m[1]) && !exampleHost.MatchString(m[1]) {
				t.Errorf("%s names the host %s; if readers shall go there, add it to hosts", p.name, m[1])
			}
		}
	}
}

// codeLines are the lines of a page's fences, and its code spans.
func (p page) codeLines() []string {
	var out []string
	for _, m := range fence.FindAllStringSubmatch(p.text, -1) {
		if m[1] != "go" {
			out = append(out, strings.Split(m[2], "\n")...)
		}
	}
	for _, m := range inline.FindAllString(fence.ReplaceAllString(p.text, ""), -1) {
		out = append(out, strings.Trim(m, "`"))
	}
	for _, line := range strings.Split(fence.ReplaceAllString(p.text, ""), "\n") {
		if strings.HasPrefix(line, "    ") {
			out = append(out, line)
		}
	}
	return out
}

var (
	// A command stands at the start of a line, after a prompt, a pipe or an operator.
	command   = regexp.MustCompile(`(?:^|[|&;(]|\$)\s*(?:\./|\./bin/|go run \./cmd/)?barnabas ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?([^|&;]*)`)
	longFlag  = regexp.MustCompile(`(?:^|\s)--([a-z][a-z-]*)`)
	shortFlag = regexp.MustCompile(`(?:^|\s)-([a-zA-Z])\b`)
	door      = regexp.MustCompile(`(?:^|[|&;(]|\$)\s*make ([a-z][a-z-]*)`)
)

// TestDocsCommandsExist holds commands against docs/cli.md, which is written by the commands themselves and compared with them.
func TestDocsCommandsExist(t *testing.T) {
	sections := map[string]string{}
	for _, s := range strings.Split(document(t, "docs/cli.md").text, "\n## ")[1:] {
		name, body, _ := strings.Cut(s, "\n")
		sections[name] = body
	}
	global := sections["Flags of all commands"] + " `--help` `-h`, "
	if len(sections) < 10 {
		t.Fatalf("docs/cli.md has %d sections only", len(sections))
	}
	found := 0
	for _, p := range documents(t) {
		if p.name == "docs/cli.md" {
			continue
		}
		for _, line := range p.codeLines() {
			for _, m := range command.FindAllStringSubmatch(line, -1) {
				name := "barnabas " + m[1]
				if m[2] != "" && sections[name+" "+m[2]] != "" {
					name += " " + m[2]
				}
				body, ok := sections[name]
				if !ok {
					t.Errorf("%s: there is no command %q, in: %s", p.name, name, line)
					continue
				}
				found++
				rest := m[2] + m[3]
				for _, f := range longFlag.FindAllStringSubmatch(rest, -1) {
					if !strings.Contains(body+global, "`--"+f[1]) {
						t.Errorf("%s: %s has no flag --%s, in: %s", p.name, name, f[1], line)
					}
				}
				for _, f := range shortFlag.FindAllStringSubmatch(rest, -1) {
					if !strings.Contains(body+global, "`-"+f[1]+"`,") {
						t.Errorf("%s: %s has no flag -%s, in: %s", p.name, name, f[1], line)
					}
				}
			}
		}
	}
	if found < 10 {
		t.Errorf("found %d commands only; does the pattern still fit?", found)
	}
}

func TestDocsDoorsAreInTheMakefile(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	_, phony, _ := strings.Cut(string(makefile), ".PHONY:")
	phony, _, _ = strings.Cut(phony, "\n\n")
	doors := strings.Fields(strings.ReplaceAll(phony, "\\\n", " "))
	for _, p := range documents(t) {
		for _, line := range p.codeLines() {
			for _, m := range door.FindAllStringSubmatch(line, -1) {
				if !slices.Contains(doors, m[1]) {
					t.Errorf("%s: the Makefile has no %q, in: %s", p.name, m[1], line)
				}
			}
		}
	}
}

// TestDocsReadmesKeepStep compares what does not depend on the language.
func TestDocsReadmesKeepStep(t *testing.T) {
	type shape struct{ Headings, Code, Links []string }
	of := func(p page) (s shape) {
		for _, m := range title.FindAllStringSubmatch(fence.ReplaceAllString(p.text, ""), -1) {
			s.Headings = append(s.Headings, m[1])
		}
		for _, m := range fence.FindAllStringSubmatch(p.text, -1) {
			s.Code = append(s.Code, m[0])
		}
		for _, m := range link.FindAllStringSubmatch(p.prose(), -1) {
			if m[1] != "README.md" && m[1] != "README.zh-CN.md" {
				s.Links = append(s.Links, m[1])
			}
		}
		slices.Sort(s.Links) // sentences differ in their order
		return s
	}
	english, chinese := of(document(t, "README.md")), of(document(t, "README.zh-CN.md"))
	if diff := cmp.Diff(english, chinese); diff != "" {
		t.Errorf("README.zh-CN.md is out of step with README.md:\n%s", diff)
	}
}

func TestDocsGoCodeIsTakenFromAProgramThatRuns(t *testing.T) {
	program, err := os.ReadFile(filepath.Join(root, "docs", "examples", "roundtrip", "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range fence.FindAllStringSubmatch(document(t, "README.md").text, -1) {
		if m[1] == "go" && !strings.Contains(string(program), m[2]) {
			t.Errorf("README.md shows Go code that docs/examples/roundtrip/main.go does not have:\n%s", m[2])
		}
	}
}

func TestDocsIndexHasEveryPage(t *testing.T) {
	index := document(t, "docs/README.md")
	for _, p := range documents(t) {
		name, inDocs := strings.CutPrefix(p.name, "docs/")
		if inDocs && name != "README.md" && !strings.Contains(index.text, "]("+name+")") && !strings.Contains(index.text, "`"+name+"`") {
			t.Errorf("docs/README.md does not mention %s", name)
		}
	}
}
