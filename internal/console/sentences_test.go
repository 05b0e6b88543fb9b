package console

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/barnabas-mq/barnabas/internal/journal"
)

// journalSentences finds the sentences that the journal writes in its source: what facts, advice, verdicts and headlines are made of, with %s for each
// argument.
func journalSentences(t *testing.T) []string {
	t.Helper()
	found := map[string]bool{}
	for _, dir := range []string{"../journal", "../observe/history"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", dir, err)
		}
		for _, file := range files {
			if base := filepath.Base(file); strings.HasSuffix(file, "_test.go") || base == "say.go" { // say.go writes the broker's log
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if fn, ok := n.(*ast.FuncDecl); ok && strings.HasPrefix(fn.Name.Name, "tell") || ok && (fn.Name.Name == "Story" || fn.Name.Name == "phaseWords" || fn.Name.Name == "generations") {
					return false // for terminals only: the console has these facts as tables
				}
				for _, e := range sentencesIn(n) {
					if s, ok := pattern(e); ok {
						found[s] = true
					}
				}
				return true
			})
		}
	}
	var out []string
	for s := range found { // any order: sorted below
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

// sentencesIn is the expressions of a node that become sentences.
func sentencesIn(n ast.Node) (out []ast.Expr) {
	switch n := n.(type) {
	case *ast.CallExpr:
		name := ""
		switch f := n.Fun.(type) {
		case *ast.Ident:
			name = f.Name
		case *ast.SelectorExpr:
			name = f.Sel.Name
		}
		switch {
		case (name == "newFact" || name == "fact" || name == "add") && len(n.Args) >= 4:
			out = append(out, n.Args[3])
		case name == "length" && len(n.Args) == 2:
			out = append(out, n.Args[1])
		}
	case *ast.KeyValueExpr:
		if k, ok := n.Key.(*ast.Ident); ok {
			switch k.Name {
			case "Text", "Arithmetic", "Measured":
				out = append(out, n.Value)
			case "Needs", "Missing":
				if list, ok := n.Value.(*ast.CompositeLit); ok {
					out = append(out, list.Elts...)
				}
			}
		}
	case *ast.AssignStmt:
		for i, l := range n.Lhs {
			if i >= len(n.Rhs) {
				break
			}
			switch l := l.(type) {
			case *ast.Ident:
				if l.Name == "text" || l.Name == "unseen" {
					out = append(out, n.Rhs[i])
				}
			case *ast.SelectorExpr:
				switch l.Sel.Name {
				case "Text", "Arithmetic", "Measured", "Awaits":
					out = append(out, n.Rhs[i])
				case "Needs", "Missing":
					if c, ok := n.Rhs[i].(*ast.CallExpr); ok && len(c.Args) > 1 {
						out = append(out, c.Args[1:]...)
					} else if list, ok := n.Rhs[i].(*ast.CompositeLit); ok {
						out = append(out, list.Elts...)
					}
				}
			}
		}
	case *ast.ReturnStmt:
		for _, e := range n.Results {
			if call, ok := e.(*ast.CallExpr); ok {
				if f, ok := call.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "Sprintf" {
					out = append(out, e)
				}
			}
		}
	}
	return out
}

var verb = regexp.MustCompile(`%[-+# 0-9.]*[a-zA-Z]`)

// pattern is what an expression of a sentence says, with %s for what is filled in. It says false where no words are in it.
func pattern(e ast.Expr) (string, bool) {
	s := spelledOut(e)
	words := strings.ReplaceAll(s, "%s", "")
	return s, regexp.MustCompile(`[a-zA-Z]{2}`).MatchString(words)
}

func spelledOut(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(e.Value); err == nil {
			return strings.ReplaceAll(verb.ReplaceAllString(strings.ReplaceAll(s, "%%", "\x00"), "%s"), "\x00", "%")
		}
	case *ast.BinaryExpr:
		return spelledOut(e.X) + spelledOut(e.Y)
	case *ast.ParenExpr:
		return spelledOut(e.X)
	case *ast.CallExpr:
		if f, ok := e.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "Sprintf" {
			return spelledOut(e.Args[0])
		}
	}
	return "%s"
}

// spare is how many of the journal's sentences may be without a translation: a new one is not to wait for it, and is shown in English until then.
const spare = 8

func TestTheJournalsSentencesHaveAnotherLanguage(t *testing.T) {
	all := journalSentences(t)
	if len(all) < 200 {
		t.Fatalf("%d sentences were found in the journal's source; it has more", len(all))
	}
	var missing []string
	for _, s := range all {
		known := false
		for key := range chineseSentences { // any order: one is enough
			// What is added to a sentence is in the whole of it; two arguments without a word between them are two forms, with and without.
			known = known || strings.Contains(key, strings.TrimSpace(s)) || strings.ReplaceAll(s, "%s%s", "%s") == key
		}
		if !known {
			missing = append(missing, s)
		}
	}
	for _, c := range journal.Causes() {
		if c.Ask != "" && chineseSentences[c.Ask] == "" {
			missing = append(missing, c.Ask)
		}
		if chineseSentences[c.Title] == "" {
			missing = append(missing, c.Title)
		}
	}
	for _, d := range journal.Detectors() {
		if chineseDetectors[d.Detector] == "" {
			missing = append(missing, d.Title)
		}
	}
	t.Logf("of %d sentences, not in Chinese: %q", len(all), missing)
	if len(missing) > spare {
		t.Errorf("%d sentences of the journal have no translation in sentences_zh.go: %q", len(missing), missing)
	}
}

// Each form reads its own sentences, and none of another: the arguments come out where the translation has them.
func TestFormsAreToldApart(t *testing.T) {
	for english, other := range chineseSentences {
		n := strings.Count(english, "%s")
		args := make([]any, n)
		want := other
		for i := range n {
			args[i] = fmt.Sprintf("x%dx", i)
			for _, mark := range "$^" {
				want = strings.ReplaceAll(want, fmt.Sprintf("%c%d", mark, i+1), args[i].(string))
			}
		}
		if strings.ContainsAny(want, "$^") {
			t.Errorf("%q has %d arguments, %q asks for others", english, n, other)
		}
		text := strings.ReplaceAll(english, "% ", "%% ")
		text = fmt.Sprintf(strings.ReplaceAll(strings.ReplaceAll(text, "%,", "%%,"), "%s%%s", "%s%%%s"), args...)
		if got, ok := sayIn(chineseForms, text, sentenceDepth); !ok || got != want {
			t.Errorf("%q\nreads as %q\nand not %q", text, got, want)
		}
	}
}

func TestSentencesInTheOtherLanguage(t *testing.T) {
	zh := wordsFor("zh")
	for text, want := range map[string]string{
		"The group started with 1 member.":                                           "消费组启动，共 1 个成员。",
		"B was restarted: it went, and came back after 3s.":                          "B 被重启：它离开后又回来（3s 后）。",
		"first start joined the group.":                                              "first start 加入了消费组。", // a client may call itself anything
		"B joined the group. The coordinator went away before it was over.":          "B 加入了消费组。在其结束之前协调者已离开。",
		"5 rebalances within 9m; most often a member went silent":                    "9m 内发生 5 次再均衡；最常见的是：成员失联",
		"5 rebalances within 9m; most often first start, most of all by B (3 times)": "9m 内发生 5 次再均衡；最常见的是：首次启动，主要由 B 引起（3 次）",
		`its client gave the reason "consumer poll timeout has expired."`:            `其客户端给出的原因："consumer poll timeout has expired."`,
		"$1 ^1 % joined the group.":                                                  "$1 ^1 % 加入了消费组。",
	} {
		if got, ok := zh.say(text); !ok || got != want {
			t.Errorf("%q\nis %q\nnot %q", text, got, want)
		}
		if got, ok := wordsFor("en").say(text); !ok || got != text {
			t.Errorf("in English %q became %q", text, got)
		}
	}
	if got, ok := zh.say("what nobody has translated"); ok || got != "what nobody has translated" {
		t.Errorf("%q, %v", got, ok)
	}
	endless := strings.Repeat("The group started with ", 200) + "."
	if got, _ := zh.say(endless); len(got) > 2*len(endless) {
		t.Errorf("%d bytes became %d", len(endless), len(got))
	}
}

func FuzzSay(f *testing.F) {
	for english := range chineseSentences {
		f.Add(english)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, ok := wordsFor("zh").say(text); !ok && got != text || len(got) > 16*len(text)+1024 {
			t.Errorf("%q became %q", text, got)
		}
	})
}
