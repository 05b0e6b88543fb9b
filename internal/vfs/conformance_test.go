package vfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// conform runs one test on each file system. dir is an empty folder of it.
func conform(t *testing.T, test func(t *testing.T, fsys FS, dir string)) {
	t.Run("OS", func(t *testing.T) { test(t, OS(), filepath.ToSlash(t.TempDir())) })
	memory := func(t *testing.T) FS {
		m := NewMemory()
		must(t, m.MkdirAll("/data"))
		return m
	}
	t.Run("Memory", func(t *testing.T) { test(t, memory(t), "/data") })
	t.Run("Memory after a crash", func(t *testing.T) {
		m := memory(t).(*Memory)
		must(t, m.SyncDir("/"))
		test(t, m.CrashStrict(), "/data")
	})
	t.Run("Memory after a kill", func(t *testing.T) { test(t, memory(t).(*Memory).Kill(), "/data") })
	t.Run("Inject", func(t *testing.T) { test(t, Inject(memory(t), nil), "/data") })
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, fsys FS, name, text string) {
	t.Helper()
	f, err := fsys.Create(name)
	must(t, err)
	_, err = f.WriteAt([]byte(text), 0)
	must(t, err)
	must(t, f.Close())
}

func read(t *testing.T, fsys FS, name string) string {
	t.Helper()
	f, err := fsys.OpenRead(name)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	size, err := f.Size()
	must(t, err)
	b := make([]byte, size)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		t.Fatal(err)
	}
	return string(b[:n])
}

// tree lists what is below dir, a line each, with the contents of files.
func tree(t *testing.T, fsys FS, dir string) string {
	t.Helper()
	var b strings.Builder
	var walk func(at, indent string)
	walk = func(at, indent string) {
		entries, err := fsys.ReadDir(at)
		must(t, err)
		for _, e := range entries {
			name := path.Join(at, e.Name())
			if e.IsDir() {
				b.WriteString(indent + e.Name() + "/\n")
				walk(name, indent+"  ")
			} else {
				b.WriteString(indent + e.Name() + " = " + read(t, fsys, name) + "\n")
			}
		}
	}
	walk(dir, "")
	return b.String()
}

func wantTree(t *testing.T, fsys FS, dir, want string) {
	t.Helper()
	if diff := cmp.Diff(strings.TrimLeft(want, "\n"), tree(t, fsys, dir)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
}

func TestFilesReadBackWhatWasWritten(t *testing.T) {
	conform(t, func(t *testing.T, fsys FS, dir string) {
		name := path.Join(dir, "f")
		before := time.Now().Add(-time.Minute)
		f, err := fsys.Create(name)
		must(t, err)
		if f.Name() != name {
			t.Errorf("Name = %q, want %q", f.Name(), name)
		}
		var want []byte
		at := func(off int, text string) {
			t.Helper()
			for len(want) < off+len(text) {
				want = append(want, 0)
			}
			copy(want[off:], text)
			n, err := f.WriteAt([]byte(text), int64(off))
			if n != len(text) || err != nil {
				t.Fatalf("WriteAt = %d, %v", n, err)
			}
		}
		same := func() {
			t.Helper()
			size, err := f.Size()
			must(t, err)
			if size != int64(len(want)) {
				t.Fatalf("Size = %d, want %d", size, len(want))
			}
			got := make([]byte, len(want)+10)
			n, err := f.ReadAt(got, 0)
			if n != len(want) || err != io.EOF {
				t.Fatalf("ReadAt of all and more = %d, %v; want %d, EOF", n, err, len(want))
			}
			if !bytes.Equal(got[:n], want) {
				t.Fatal("the file holds other bytes than were written")
			}
		}
		same()
		at(0, "hello")
		at(3, "p me")
		at(pageSize-2, "across")
		at(5*pageSize+17, "behind a hole")
		same()

		must(t, f.Truncate(3))
		want = want[:3]
		same()
		must(t, f.Truncate(2*pageSize))
		want = append(want, make([]byte, 2*pageSize-3)...)
		same()
		at(2*pageSize, "end")
		must(t, f.Sync())
		at(2*pageSize+1, "END")
		must(t, f.SyncData())
		same()

		if n, err := f.ReadAt(make([]byte, 4), int64(len(want))-4); n != 4 || err != nil && err != io.EOF {
			t.Errorf("ReadAt of the last bytes = %d, %v", n, err)
		}
		if n, err := f.ReadAt(make([]byte, 4), int64(len(want))+100); n != 0 || err != io.EOF {
			t.Errorf("ReadAt beyond the end = %d, %v", n, err)
		}
		if _, err := f.ReadAt(make([]byte, 1), -1); err == nil {
			t.Error("ReadAt(-1) succeeded")
		}
		if _, err := f.WriteAt([]byte("x"), -1); err == nil {
			t.Error("WriteAt(-1) succeeded")
		}
		if err := f.Truncate(-1); err == nil {
			t.Error("Truncate(-1) succeeded")
		}
		modTime, err := f.ModTime()
		must(t, err)
		if modTime.Before(before) || modTime.After(time.Now().Add(time.Minute)) {
			t.Errorf("ModTime = %v", modTime)
		}
		must(t, f.Close())
		for what, err := range map[string]error{
			"Close":    f.Close(),
			"Sync":     f.Sync(),
			"SyncData": f.SyncData(),
			"Truncate": f.Truncate(0),
			"WriteAt":  second(f.WriteAt([]byte("x"), 0)),
			"ReadAt":   second(f.ReadAt(make([]byte, 1), 0)),
			"Size":     second(f.Size()),
			"ModTime":  second(f.ModTime()),
		} {
			if !errors.Is(err, fs.ErrClosed) {
				t.Errorf("%s after Close: %v, want fs.ErrClosed", what, err)
			}
		}

		r, err := fsys.OpenRead(name)
		must(t, err)
		defer r.Close()
		if _, err := r.WriteAt([]byte("x"), 0); err == nil {
			t.Error("WriteAt on a file opened for reading succeeded")
		}
		if err := r.Truncate(0); err == nil {
			t.Error("Truncate on a file opened for reading succeeded")
		}
		got := make([]byte, len(want))
		if _, err := r.ReadAt(got, 0); err != nil && err != io.EOF || !bytes.Equal(got, want) {
			t.Errorf("the reader sees other bytes (%v)", err)
		}
		w, err := fsys.Open(name)
		must(t, err)
		defer w.Close()
		_, err = w.WriteAt([]byte("H"), 0)
		must(t, err)
		if _, err := r.ReadAt(got[:1], 0); err != nil || got[0] != 'H' {
			t.Errorf("the reader does not see the writer's byte: %q, %v", got[0], err)
		}
		f, err = fsys.Create(name)
		must(t, err)
		defer f.Close()
		if size, err := w.Size(); size != 0 || err != nil {
			t.Errorf("Create left %d bytes of the file that was there (%v)", size, err)
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestNames(t *testing.T) {
	conform(t, func(t *testing.T, fsys FS, dir string) {
		in := func(elem ...string) string { return path.Join(dir, path.Join(elem...)) }
		must(t, fsys.MkdirAll(in("a", "b", "c")))
		must(t, fsys.MkdirAll(in("a", "b", "c")))
		write(t, fsys, in("a", "2"), "two")
		write(t, fsys, in("a", "10"), "ten")
		write(t, fsys, in("a", "b", "x"), "ex")
		wantTree(t, fsys, dir, `
a/
  10 = ten
  2 = two
  b/
    c/
    x = ex
`)
		info, err := fsys.Stat(in("a", "10"))
		must(t, err)
		if info.Name() != "10" || info.Size() != 3 || info.IsDir() || !info.Mode().IsRegular() {
			t.Errorf("Stat of a file: %v", info)
		}
		info, err = fsys.Stat(in("a", "b"))
		must(t, err)
		if info.Name() != "b" || !info.IsDir() || !info.Mode().IsDir() {
			t.Errorf("Stat of a folder: %v", info)
		}

		open, err := fsys.OpenRead(in("a", "2"))
		must(t, err)
		defer open.Close()
		must(t, fsys.Rename(in("a", "10"), in("a", "2")))     // onto an existing file
		must(t, fsys.Rename(in("a", "2"), in("a", "2")))      // onto itself
		must(t, fsys.Rename(in("a", "b", "x"), in("y")))      // to another folder
		must(t, fsys.Rename(in("a", "b"), in("a", "deeper"))) // a folder
		wantTree(t, fsys, dir, `
a/
  2 = ten
  deeper/
    c/
y = ex
`)
		b := make([]byte, 3)
		if _, err := open.ReadAt(b, 0); string(b) != "two" {
			t.Errorf("the file that was replaced reads %q (%v), want its own bytes", b, err)
		}

		doomed, err := fsys.Open(in("y"))
		must(t, err)
		must(t, fsys.Remove(in("y")))
		if _, err := doomed.WriteAt([]byte("still here"), 0); err != nil {
			t.Errorf("WriteAt on a removed file that is open: %v", err)
		}
		must(t, doomed.Close())
		must(t, fsys.Remove(in("a", "deeper", "c")))
		must(t, fsys.SyncDir(in("a", "deeper")))
		must(t, fsys.SyncDir(dir))
		wantTree(t, fsys, dir, `
a/
  2 = ten
  deeper/
`)
		must(t, fsys.RemoveAll(in("a")))
		must(t, fsys.RemoveAll(in("a")))
		must(t, fsys.RemoveAll(in("no", "such")))
		wantTree(t, fsys, dir, "")
	})
}

func TestWhatMayNotBe(t *testing.T) {
	conform(t, func(t *testing.T, fsys FS, dir string) {
		in := func(elem ...string) string { return path.Join(dir, path.Join(elem...)) }
		must(t, fsys.MkdirAll(in("folder", "inner")))
		write(t, fsys, in("file"), "text")
		missing := map[string]error{
			"Open":                  second(fsys.Open(in("none"))),
			"OpenRead":              second(fsys.OpenRead(in("none"))),
			"Create in nowhere":     second(fsys.Create(in("none", "f"))),
			"Remove":                fsys.Remove(in("none")),
			"Rename":                fsys.Rename(in("none"), in("other")),
			"Rename to nowhere":     fsys.Rename(in("file"), in("none", "f")),
			"ReadDir":               second(fsys.ReadDir(in("none"))),
			"Stat":                  second(fsys.Stat(in("none"))),
			"SyncDir":               fsys.SyncDir(in("none")),
			"Usage":                 second(fsys.Usage(in("none"))),
			"Lock in nowhere":       second(fsys.Lock(in("none", "lock"), "me")),
			"Open below a missing":  second(fsys.Open(in("none", "f"))),
			"RemoveAll then Remove": errors.Join(fsys.RemoveAll(in("none")), fsys.Remove(in("none"))),
		}
		for what, err := range missing {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %v, want fs.ErrNotExist", what, err)
			}
		}
		if err := fsys.SyncFS(in("none")); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("SyncFS of nothing: %v", err)
		}
		refused := map[string]error{
			"Create over a folder":              second(fsys.Create(in("folder"))),
			"Open of a folder":                  second(fsys.Open(in("folder"))),
			"OpenRead of a folder":              second(fsys.OpenRead(in("folder"))),
			"Remove of a full folder":           fsys.Remove(in("folder")),
			"Rename of a file to a folder":      fsys.Rename(in("file"), in("folder")),
			"Rename of a folder to a file":      fsys.Rename(in("folder"), in("file")),
			"Rename of a folder into itself":    fsys.Rename(in("folder"), in("folder", "inner", "x")),
			"MkdirAll over a file":              fsys.MkdirAll(in("file")),
			"MkdirAll through a file":           fsys.MkdirAll(in("file", "x")),
			"Create below a file":               second(fsys.Create(in("file", "x"))),
			"ReadDir of a file":                 second(fsys.ReadDir(in("file"))),
			"SyncDir of a file":                 fsys.SyncDir(in("file")),
			"Rename of a folder onto its child": fsys.Rename(in("folder"), in("folder", "inner")),
		}
		for what, err := range refused {
			if err == nil {
				t.Errorf("%s succeeded", what)
			}
		}
		wantTree(t, fsys, dir, "file = text\nfolder/\n  inner/\n")
	})
}

func TestLockIsExclusiveAndNamesTheHolder(t *testing.T) {
	conform(t, func(t *testing.T, fsys FS, dir string) {
		name := path.Join(dir, ".lock")
		write(t, fsys, name, "a long text of somebody who forgot to clean up")
		lock, err := fsys.Lock(name, "first")
		must(t, err)
		if got := read(t, fsys, name); got != "first" {
			t.Errorf("the lock file says %q", got)
		}
		var locked *LockedError
		if _, err := fsys.Lock(name, "second"); !errors.As(err, &locked) || *locked != (LockedError{name, "first"}) {
			t.Fatalf("second Lock: %v", err)
		}
		if want := "the lock " + name + " is held by first"; locked.Error() != want {
			t.Errorf("Error() = %q, want %q", locked, want)
		}
		if got := read(t, fsys, name); got != "first" {
			t.Errorf("the failed Lock changed the text to %q", got)
		}
		must(t, lock.Close())
		lock, err = fsys.Lock(name, "second")
		must(t, err)
		must(t, lock.Close())
	})
}

func TestUsageIsPlausible(t *testing.T) {
	conform(t, func(t *testing.T, fsys FS, dir string) {
		write(t, fsys, path.Join(dir, "f"), "x")
		for _, name := range []string{dir, path.Join(dir, "f")} {
			u, err := fsys.Usage(name)
			must(t, err)
			if u.Free <= 0 || u.Total < u.Free {
				t.Errorf("Usage(%s) = %+v", name, u)
			}
		}
		if err := fsys.SyncFS(dir); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("SyncFS: %v", err)
		}
	})
}

func TestReadDirIsSorted(t *testing.T) {
	conform(t, func(t *testing.T, fsys FS, dir string) {
		for _, name := range []string{"b", "a", "00000000000000000010.log", "c", "B", "00000000000000000002.log"} {
			write(t, fsys, path.Join(dir, name), "")
		}
		entries, err := fsys.ReadDir(dir)
		must(t, err)
		if !slices.IsSortedFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) }) {
			t.Errorf("ReadDir is not sorted: %v", entries)
		}
	})
}

func TestManyGoroutinesShareAFile(t *testing.T) {
	conform(t, func(t *testing.T, fsys FS, dir string) {
		f, err := fsys.Create(path.Join(dir, "f"))
		must(t, err)
		defer f.Close()
		const writers, piece = 8, 3000
		done := make(chan error)
		for w := range writers {
			go func() {
				b := bytes.Repeat([]byte{byte('a' + w)}, piece)
				_, err := f.WriteAt(b, int64(w*piece))
				if err == nil {
					err = f.SyncData()
				}
				if err == nil {
					_, err = f.ReadAt(make([]byte, piece), int64(w*piece))
				}
				if err == io.EOF { // allowed for a read that ends at the end
					err = nil
				}
				done <- err
			}()
		}
		for range writers {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		got := read(t, fsys, path.Join(dir, "f"))
		for w := range writers {
			if piece := got[w*piece : (w+1)*piece]; strings.Trim(piece, string(rune('a'+w))) != "" {
				t.Errorf("the bytes of writer %d are mixed up", w)
			}
		}
	})
}
