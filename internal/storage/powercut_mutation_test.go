package storage_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// The mutation run: with any one sync turned into a silent no-op, some script or seed must fail. MUTATION_SEEDS bounds the seeds that are
// tried, MUTATION_SITE limits the run to sites whose name contains the text. A sync that nothing misses is needless, and goes, or the suite
// has a hole.
func TestPowerCutMutations(t *testing.T) {
	if os.Getenv("MUTATION") == "" {
		t.Skip("set MUTATION=1")
	}
	run := mutationRun{t: t, total: newSites(), seeds: map[vfs.SyncSite][]uint64{}, scripts: map[vfs.SyncSite][]powerCutScript{}}
	run.enumerate(envNumber(t, "POWERCUT_START", 1), envNumber(t, "MUTATION_SEEDS", 200))
	run.compareWithSource()
	survivors, tried := 0, 0
	t.Logf("%-58s %8s  %s", "without this sync", "calls", "fails")
	for _, site := range run.total.Sites() {
		if !strings.Contains(site.String(), os.Getenv("MUTATION_SITE")) {
			continue
		}
		tried++
		row := fmt.Sprintf("%-58s %8d", site, run.total.Calls(site))
		if by, err := run.kill(site); err != nil {
			line, _, _ := strings.Cut(err.Error(), "\n")
			t.Logf("%s  %s: %.200s", row, by, line)
		} else {
			survivors++
			t.Errorf("%s  NOTHING: the sync is needless or the suite has a hole", row)
		}
	}
	t.Logf("mutations: %d syncs disabled in turn, %d caught, %d not", tried, tried-survivors, survivors)
}

// syncsForOthers names the functions whose callers are the places that must sync.
func syncsForOthers(function string) bool {
	return slices.Contains([]string{"storage.writeAtomic", "storage.replaceFile", "storage.syncFile", "storage.(*Log).writeFile",
		"storage.(*segment).writeIndexes.func1"}, function)
}

func newSites() *vfs.SyncSites { return &vfs.SyncSites{Helper: syncsForOthers} }

type mutationRun struct {
	t       *testing.T
	total   *vfs.SyncSites
	seeds   map[vfs.SyncSite][]uint64 // those that come by a site
	scripts map[vfs.SyncSite][]powerCutScript
}

// enumerate runs everything without a mutation: which places sync, and who comes by them.
func (m *mutationRun) enumerate(start, seeds uint64) {
	for _, script := range powerCutScripts {
		sites := newSites()
		if err := runPowerCutScript(m.t, script, false, sites); err != nil {
			m.t.Fatalf("%s fails without any mutation: %v", script.name, err)
		}
		for _, site := range sites.Sites() {
			m.total.Add(site, sites.Calls(site))
			m.scripts[site] = append(m.scripts[site], script)
		}
	}
	for seed := start; seed < start+seeds; seed++ {
		sites := newSites()
		if run := runPowerCut(m.t, seed, sites); run.err != nil {
			m.t.Fatalf("seed %d fails without any mutation: %v", seed, run.err)
		}
		for _, site := range sites.Sites() {
			m.total.Add(site, sites.Calls(site))
			m.seeds[site] = append(m.seeds[site], seed)
		}
	}
}

// kill tells who fails with the site disabled, and with what. The scripts that are there for the site come first, then a few seeds, then
// the other scripts, then all seeds.
func (m *mutationRun) kill(site vfs.SyncSite) (by string, err error) {
	disabled := func() *vfs.SyncSites {
		sites := newSites()
		sites.Disable(site)
		return sites
	}
	function, _, _ := strings.Cut(strings.TrimPrefix(site.Place, "storage."), ":")
	mine := func(s powerCutScript) bool { return slices.Contains(s.catches, function) }
	scripts := m.scripts[site]
	slices.SortStableFunc(scripts, func(a, b powerCutScript) int {
		switch {
		case mine(a) == mine(b):
			return 0
		case mine(a):
			return -1
		}
		return 1
	})
	own := 0
	for own < len(scripts) && mine(scripts[own]) {
		own++
	}
	tryScripts := func(scripts []powerCutScript) bool {
		for _, s := range scripts {
			if err = runPowerCutScript(m.t, s, false, disabled()); err != nil {
				by = fmt.Sprintf("script %q", s.name)
				return true
			}
		}
		return false
	}
	trySeeds := func(seeds []uint64) bool {
		for _, seed := range seeds {
			if err = runPowerCut(m.t, seed, disabled()).err; err != nil {
				by = fmt.Sprintf("seed %d", seed)
				return true
			}
		}
		return false
	}
	seeds := m.seeds[site]
	few := min(len(seeds), 20)
	if tryScripts(scripts[:own]) || trySeeds(seeds[:few]) || tryScripts(scripts[own:]) {
		return by, err
	}
	trySeeds(seeds[few:])
	return by, err
}

// compareWithSource fails for a sync in the package's source that nothing came by.
func (m *mutationRun) compareWithSource() {
	seen := map[string]bool{}
	for _, site := range m.total.Sites() {
		seen[site.Place[strings.LastIndexByte(site.Place, '.')+1:]] = true // method and line
	}
	fset := token.NewFileSet()
	files, err := os.ReadDir(".")
	if err != nil {
		m.t.Fatal(err)
	}
	for _, entry := range files {
		name := entry.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			m.t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				sel, ok := call.Fun.(*ast.SelectorExpr)
				if !ok || !slices.Contains([]string{"Sync", "SyncData", "SyncDir", "SyncFS"}, sel.Sel.Name) {
					return true
				}
				line := fset.Position(sel.Sel.Pos()).Line
				helper := syncsForOthers("storage." + f.Name.Name)
				if !helper && !syncsForOthers("storage.(*Log)."+f.Name.Name) && !seen[fmt.Sprintf("%s:%d", f.Name.Name, line)] && !seen[fmt.Sprintf("func1:%d", line)] {
					m.t.Errorf("%s:%d: %s syncs, and nothing comes by", name, line, f.Name.Name)
				}
				return true
			})
		}
	}
}
