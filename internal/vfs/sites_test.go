package vfs_test

import (
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barnabas-mq/barnabas/internal/vfs"
)

func writeAndSync(t *testing.T, f vfs.File) {
	if _, err := f.WriteAt([]byte("text"), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
}

func viaFirst(t *testing.T, f vfs.File)  { writeAndSync(t, f) }
func viaSecond(t *testing.T, f vfs.File) { writeAndSync(t, f) }

func program(t *testing.T, fsys vfs.FS) {
	a, err := fsys.Create("/a")
	if err != nil {
		t.Fatal(err)
	}
	b, err := fsys.Create("/b")
	if err != nil {
		t.Fatal(err)
	}
	viaFirst(t, a)
	viaSecond(t, b)
	if err := fsys.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
}

var lineNumber = regexp.MustCompile(`:\d+$`)

func places(sites []vfs.SyncSite) (names []string) {
	for _, s := range sites {
		names = append(names, lineNumber.ReplaceAllString(s.String(), ""))
	}
	return names
}

func TestSyncSitesFindsWhoSyncs(t *testing.T) {
	sites := &vfs.SyncSites{}
	program(t, vfs.Inject(vfs.NewMemory(), sites.Hook))
	if diff := cmp.Diff([]string{"syncdir vfs_test.program", "sync vfs_test.writeAndSync"}, places(sites.Sites())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for i, calls := range []int{1, 2} {
		if got := sites.Calls(sites.Sites()[i]); got != calls {
			t.Errorf("%v: %d calls, want %d", sites.Sites()[i], got, calls)
		}
	}

	helper := func(function string) bool { return function == "vfs_test.writeAndSync" }
	sites = &vfs.SyncSites{Helper: helper}
	hook := func(op vfs.Op) error { return vfs.Hooks(sites.Hook)(op) } // the hooks' own functions are no sites
	program(t, vfs.Inject(vfs.NewMemory(), hook))
	want := []string{"syncdir vfs_test.program", "sync vfs_test.viaFirst", "sync vfs_test.viaSecond"}
	if diff := cmp.Diff(want, places(sites.Sites())); diff != "" {
		t.Errorf("with a helper (-want +got):\n%s", diff)
	}
}

func TestSyncSitesDisablesOneSite(t *testing.T) {
	sites := &vfs.SyncSites{Helper: func(function string) bool { return function == "vfs_test.writeAndSync" }}
	size := func(m *vfs.Memory, name string) int64 {
		info, err := m.Stat(name)
		if err != nil {
			return -1
		}
		return info.Size()
	}
	run := func() (a, b int64) {
		m := vfs.NewMemory()
		program(t, vfs.Inject(m, sites.Hook))
		m = m.CrashStrict()
		return size(m, "/a"), size(m, "/b")
	}
	if a, b := run(); a != 4 || b != 4 {
		t.Fatalf("with all syncs: %d, %d", a, b)
	}
	want := map[string][2]int64{
		"syncdir vfs_test.program": {-1, -1},
		"sync vfs_test.viaFirst":   {0, 4},
		"sync vfs_test.viaSecond":  {4, 0},
	}
	for _, site := range sites.Sites() {
		sites.Disable(site)
		a, b := run()
		if got := [2]int64{a, b}; got != want[places([]vfs.SyncSite{site})[0]] {
			t.Errorf("without %v: %v", site, got)
		}
		if sites.Skipped() != 1 {
			t.Errorf("without %v: %d syncs skipped", site, sites.Skipped())
		}
	}
	sites.Disable(vfs.SyncSite{})
	if a, b := run(); a != 4 || b != 4 {
		t.Errorf("with all syncs again: %d, %d", a, b)
	}
}
