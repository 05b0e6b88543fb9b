package vfs

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// twin is the dumbest file system that could be right: byte slices and maps, copied whole at each sync. It knows three folders
// and a few names, and which bytes of a file a power cut may touch.
type twin struct {
	now, durable map[string]map[string]*twinFile // by folder and name
	moved        map[string]map[string]bool      // names that changed since their folder was last synced
}

type twinFile struct {
	now, durable []byte
	touched      map[int]bool // bytes written, cut or added since the last sync
}

var twinFolders = []string{"/d", "/d/inner", "/e"}

func newTwin() *twin {
	w := &twin{map[string]map[string]*twinFile{}, map[string]map[string]*twinFile{}, map[string]map[string]bool{}}
	for _, dir := range twinFolders {
		w.now[dir], w.durable[dir], w.moved[dir] = map[string]*twinFile{}, map[string]*twinFile{}, map[string]bool{}
	}
	return w
}

// put makes a name lead to f, or, when it is nil, nowhere.
func (w *twin) put(dir, name string, f *twinFile) {
	w.moved[dir][name] = true
	if f == nil {
		delete(w.now[dir], name)
	} else {
		w.now[dir][name] = f
	}
}

func (w *twin) syncDir(dir string) {
	w.durable[dir], w.moved[dir] = map[string]*twinFile{}, map[string]bool{}
	for name, f := range w.now[dir] {
		w.durable[dir][name] = f
	}
}

func (f *twinFile) resize(size int) {
	for i := min(size, len(f.now)); i < max(size, len(f.now)); i++ {
		f.touched[i] = true
	}
	f.now = append(f.now[:min(size, len(f.now))], make([]byte, max(0, size-len(f.now)))...)
}

func (f *twinFile) write(b []byte, off int) {
	if off+len(b) > len(f.now) {
		f.resize(off + len(b))
	}
	for i := range b {
		f.now[off+i] = b[i]
		f.touched[off+i] = true
	}
}

func (f *twinFile) sync() {
	f.durable = slices.Clone(f.now)
	f.touched = map[int]bool{}
}

// render lists all files as "folder/name = contents", sorted.
func render(files map[string]map[string]*twinFile, contents func(*twinFile) []byte) string {
	var lines []string
	for dir, names := range files {
		for name, f := range names {
			lines = append(lines, fmt.Sprintf("%s/%s = %q\n", dir, name, contents(f)))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

func renderFS(t *rapid.T, fsys FS) string {
	var lines []string
	for _, dir := range twinFolders {
		for name, text := range filesIn(t, fsys, dir) {
			lines = append(lines, fmt.Sprintf("%s/%s = %q\n", dir, name, text))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

func filesIn(t *rapid.T, fsys FS, dir string) map[string][]byte {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		f, err := fsys.OpenRead(path.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		size, _ := f.Size()
		b := make([]byte, size)
		if n, _ := f.ReadAt(b, 0); int64(n) != size {
			t.Fatalf("%s/%s: read %d of %d bytes", dir, e.Name(), n, size)
		}
		f.Close()
		files[e.Name()] = b
	}
	return files
}

// mayBe checks what a power cut made of the twin's files against what it may have made of them.
func (w *twin) mayBe(t *rapid.T, crashed FS) {
	for _, dir := range twinFolders {
		found := filesIn(t, crashed, dir)
		for name := range w.durable[dir] {
			if _, ok := found[name]; !ok && !w.moved[dir][name] {
				t.Fatalf("%s/%s was durable and is gone", dir, name)
			}
		}
		for name, got := range found {
			if w.moved[dir][name] {
				continue // which file this is, is a matter of luck
			}
			before := w.durable[dir][name]
			if before == nil {
				t.Fatalf("%s/%s came back", dir, name)
			}
			for i, want := range before.durable {
				if before.touched[i] {
					continue
				}
				if i >= len(got) && !before.touched[len(got)] {
					t.Fatalf("%s/%s: cut to %d bytes, which it never had", dir, name, len(got))
				}
				if i < len(got) && got[i] != want {
					t.Fatalf("%s/%s: byte %d was durable as %q and is %q", dir, name, i, want, got[i])
				}
			}
		}
	}
}

func TestMemoryBehavesLikeItsDumbTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, w := NewMemory(), newTwin()
		for _, dir := range twinFolders {
			if err := m.MkdirAll(dir); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.SyncFS("/"); err != nil {
			t.Fatal(err)
		}
		folder := rapid.SampledFrom(twinFolders)
		name := rapid.SampledFrom([]string{"a", "b", "c"})
		offset := rapid.OneOf(rapid.IntRange(0, 20), rapid.SampledFrom([]int{511, 512, 4000, 4095, 4096, 4097, 8191, 8192}))
		ok := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		// pick draws an existing file, or skips the action.
		pick := func(t *rapid.T) (dir, last string, f *twinFile) {
			var there []string
			for dir, names := range w.now {
				for last := range names {
					there = append(there, path.Join(dir, last))
				}
			}
			if len(there) == 0 {
				t.Skip("no file")
			}
			slices.Sort(there)
			dir, last = path.Split(rapid.SampledFrom(there).Draw(t, "file"))
			dir = path.Clean(dir)
			return dir, last, w.now[dir][last]
		}
		with := func(dir, last string, do func(f File)) {
			f, err := m.Open(path.Join(dir, last))
			ok(err)
			do(f)
			ok(f.Close())
		}
		t.Repeat(map[string]func(*rapid.T){
			"create": func(t *rapid.T) {
				dir, last := folder.Draw(t, "folder"), name.Draw(t, "name")
				f, err := m.Create(path.Join(dir, last))
				ok(err)
				ok(f.Close())
				if w.now[dir][last] == nil {
					w.put(dir, last, &twinFile{touched: map[int]bool{}})
				}
				w.now[dir][last].resize(0)
			},
			"write": func(t *rapid.T) {
				dir, last, f := pick(t)
				off := offset.Draw(t, "offset")
				b := []byte(strings.Repeat(rapid.StringMatching("[a-z]{3}").Draw(t, "bytes"), rapid.SampledFrom([]int{1, 5, 1500}).Draw(t, "times")))
				with(dir, last, func(file File) {
					n, err := file.WriteAt(b, int64(off))
					ok(err)
					if n != len(b) {
						t.Fatalf("WriteAt wrote %d of %d bytes", n, len(b))
					}
				})
				f.write(b, off)
			},
			"truncate": func(t *rapid.T) {
				dir, last, f := pick(t)
				size := offset.Draw(t, "size")
				with(dir, last, func(file File) { ok(file.Truncate(int64(size))) })
				f.resize(size)
			},
			"sync": func(t *rapid.T) {
				dir, last, f := pick(t)
				with(dir, last, func(file File) { ok(file.SyncData()) })
				f.sync()
			},
			"remove": func(t *rapid.T) {
				dir, last, _ := pick(t)
				ok(m.Remove(path.Join(dir, last)))
				w.put(dir, last, nil)
			},
			"rename": func(t *rapid.T) {
				dir, last, f := pick(t)
				to := name.Draw(t, "to")
				ok(m.Rename(path.Join(dir, last), path.Join(dir, to)))
				w.put(dir, last, nil)
				w.put(dir, to, f)
			},
			"rename to another folder, and sync both": func(t *rapid.T) {
				dir, last, f := pick(t)
				toDir, to := folder.Draw(t, "toFolder"), name.Draw(t, "to")
				ok(m.Rename(path.Join(dir, last), path.Join(toDir, to)))
				w.put(dir, last, nil)
				w.put(toDir, to, f)
				for _, d := range []string{toDir, dir} {
					ok(m.SyncDir(d))
					w.syncDir(d)
				}
			},
			"syncdir": func(t *rapid.T) {
				dir := folder.Draw(t, "folder")
				ok(m.SyncDir(dir))
				w.syncDir(dir)
			},
			"syncfs": func(t *rapid.T) {
				ok(m.SyncFS("/"))
				for _, dir := range twinFolders {
					w.syncDir(dir)
					for _, f := range w.now[dir] {
						f.sync()
					}
				}
			},
			"kill": func(t *rapid.T) { m = m.Kill() },
			"": func(t *rapid.T) {
				if got, want := renderFS(t, m), render(w.now, func(f *twinFile) []byte { return f.now }); got != want {
					t.Fatalf("now:\n%swant:\n%s", got, want)
				}
				strict := m.CrashStrict()
				if got, want := renderFS(t, strict), render(w.durable, func(f *twinFile) []byte { return f.durable }); got != want {
					t.Fatalf("durable:\n%swant:\n%s", got, want)
				}
				crashed := m.Crash(seeded(rapid.Uint64().Draw(t, "crash")))
				w.mayBe(t, crashed)
				var used int64
				m.eachFile(m.root, func(n *inode) { used += n.now.bytes() })
				if m.used != used {
					t.Fatalf("used = %d, want %d", m.used, used)
				}
			},
		})
	})
}

func BenchmarkAppendAndSync(b *testing.B) {
	m := NewMemory()
	f, _ := m.Create("/f")
	record := make([]byte, 300)
	for i := int64(0); b.Loop(); i++ {
		f.WriteAt(record, i*300)
		f.SyncData()
	}
}

func BenchmarkCrash(b *testing.B) {
	m := NewMemory()
	for d := range 8 {
		m.MkdirAll(fmt.Sprint("/", d))
		for i := range 8 {
			f, _ := m.Create(fmt.Sprint("/", d, "/", i))
			f.WriteAt(make([]byte, 20000), 0)
			f.SyncData()
			f.WriteAt(make([]byte, 1000), 20000)
		}
	}
	m.SyncDir("/")
	rng := seeded(1)
	for b.Loop() {
		m.Crash(rng)
	}
}
