package tidy

import (
	"go/ast"
	"go/token"
	"go/types"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/tools/go/packages"
)

var loadOnce = sync.OnceValues(func() ([]*packages.Package, error) {
	cfg := &packages.Config{
		Mode: packages.NeedName | packages.NeedImports | packages.NeedFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo,
		Dir:  "../..",
	}
	return packages.Load(cfg, "./...")
})

// load is every package of the module, type-checked, without its tests.
func load(t *testing.T) []*packages.Package {
	t.Helper()
	pkgs, err := loadOnce()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pkgs {
		for _, e := range p.Errors {
			t.Fatalf("%s: %v", p.PkgPath, e)
		}
	}
	return pkgs
}

func TestCoresDoNotWait(t *testing.T) {
	for _, p := range load(t) {
		if !slices.Contains(cores, strings.TrimPrefix(p.PkgPath, module+"/")) {
			continue
		}
		for _, f := range p.Syntax {
			reasons := reasonLines(p.Fset, f)
			complain := func(n ast.Node, what string) {
				t.Errorf("%s: %s in a core", p.Fset.Position(n.Pos()), what)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.GoStmt:
					complain(n, "go statement")
				case *ast.SelectStmt:
					complain(n, "select")
				case *ast.SendStmt:
					complain(n, "send to a channel")
				case *ast.ChanType:
					complain(n, "channel type")
				case *ast.RangeStmt:
					tv, ok := p.TypesInfo.Types[n.X]
					if !ok {
						return true
					}
					line := p.Fset.Position(n.Pos()).Line
					if _, isMap := tv.Type.Underlying().(*types.Map); isMap && !reasons[line] && !reasons[line-1] {
						complain(n, "range over a map without an `// any order:` reason")
					}
				case *ast.SelectorExpr:
					if id, ok := n.X.(*ast.Ident); ok {
						if pkg, ok := p.TypesInfo.Uses[id].(*types.PkgName); ok && pkg.Imported().Path() == "time" && slices.Contains([]string{"Now", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Since", "Until"}, n.Sel.Name) {
							complain(n, "time."+n.Sel.Name)
						}
					}
				}
				return true
			})
		}
	}
}

// reasonLines are the lines that say why any order will do.
func reasonLines(fset *token.FileSet, f *ast.File) map[int]bool {
	lines := map[int]bool{}
	for _, g := range f.Comments {
		for _, c := range g.List {
			if strings.Contains(c.Text, "any order:") {
				lines[fset.Position(c.Pos()).Line] = true
			}
		}
	}
	return lines
}

// chapterLines is where a file begins to hold two rooms.
const chapterLines = 700

func TestChaptersAreShortAndPackagesSayWhatTheyAre(t *testing.T) {
	for _, p := range load(t) {
		documented := false
		for i, f := range p.Syntax {
			documented = documented || f.Doc != nil
			name := p.GoFiles[min(i, len(p.GoFiles)-1)]
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(text), "\n"); n > chapterLines {
				t.Errorf("%s has %d lines; a chapter has at most %d", name, n, chapterLines)
			}
		}
		if !documented {
			t.Errorf("package %s has no doc: what room is it, what does it promise, what may not be done in it?", p.PkgPath)
		}
	}
}
