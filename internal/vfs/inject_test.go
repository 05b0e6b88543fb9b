package vfs

import (
	"errors"
	"io/fs"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAHookMayFailAnyOperation(t *testing.T) {
	boom := errors.New("boom")
	m := NewMemory()
	var armed Kind
	fsys := Inject(m, func(op Op) error {
		if op.Kind == armed {
			return boom
		}
		return nil
	})
	f, err := fsys.Create("/f")
	must(t, err)
	_, err = f.WriteAt([]byte("text"), 0)
	must(t, err)
	calls := map[Kind]func() error{
		OpCreate:    func() error { return second(fsys.Create("/g")) },
		OpOpen:      func() error { return second(fsys.Open("/f")) },
		OpOpenRead:  func() error { return second(fsys.OpenRead("/f")) },
		OpRemove:    func() error { return fsys.Remove("/f") },
		OpRemoveAll: func() error { return fsys.RemoveAll("/f") },
		OpRename:    func() error { return fsys.Rename("/f", "/g") },
		OpMkdirAll:  func() error { return fsys.MkdirAll("/d") },
		OpReadDir:   func() error { return second(fsys.ReadDir("/")) },
		OpStat:      func() error { return second(fsys.Stat("/f")) },
		OpSyncDir:   func() error { return fsys.SyncDir("/") },
		OpSyncFS:    func() error { return fsys.SyncFS("/") },
		OpUsage:     func() error { return second(fsys.Usage("/")) },
		OpLock:      func() error { return second(fsys.Lock("/lock", "me")) },
		OpReadAt:    func() error { return second(f.ReadAt(make([]byte, 1), 0)) },
		OpWriteAt:   func() error { return second(f.WriteAt([]byte("x"), 0)) },
		OpTruncate:  func() error { return f.Truncate(0) },
		OpSync:      f.Sync,
		OpSyncData:  f.SyncData,
		OpSize:      func() error { return errors.Join(second(f.Size()), second(f.ModTime())) },
	}
	for kind, call := range calls { // any order: each leaves the disk as it was
		armed = kind
		err := call()
		var pathErr *fs.PathError
		if !errors.Is(err, boom) || !errors.As(err, &pathErr) || pathErr.Op != string(kind) {
			t.Errorf("%s: %v", kind, err)
		}
		armed = ""
		wantTree(t, m, "/", "f = text\n")
		wantTree(t, m.CrashStrict(), "/", "")
	}
	armed = OpClose
	if err := f.Close(); !errors.Is(err, boom) {
		t.Errorf("Close: %v", err)
	}
	if n, err := m.find("/f"); err != nil || n.handles != 0 {
		t.Errorf("a Close that fails must close all the same: %v, %v", n, err)
	}
	if _, ok := f.Fd(); ok {
		t.Error("a descriptor would go around the hook")
	}
}

func TestPretendIsASilentNoOp(t *testing.T) {
	m := NewMemory()
	fsys := Inject(m, func(op Op) error {
		if op.Kind.Syncs() {
			return Pretend
		}
		return nil
	})
	f, err := fsys.Create("/f")
	must(t, err)
	_, err = f.WriteAt([]byte("text"), 0)
	must(t, err)
	for _, sync := range []func() error{
		f.Sync, f.SyncData,
		func() error { return fsys.SyncDir("/") },
		func() error { return fsys.SyncFS("/") },
	} {
		must(t, sync())
	}
	wantTree(t, m, "/", "f = text\n")
	wantTree(t, m.CrashStrict(), "/", "")
}

func TestHelpersFailWhatTheySay(t *testing.T) {
	for _, test := range []struct {
		name string
		hook Hook
		want []error // of: write 4, sync, write 4, sync, write 4, sync
		size int64
	}{
		{"nothing", nil, []error{nil, nil, nil, nil, nil, nil}, 12},
		{"the second sync", FailSync(2), []error{nil, nil, nil, syscall.EIO, nil, nil}, 12},
		{"from the second sync on", From(2, Syncs, syscall.EIO),
			[]error{nil, nil, nil, syscall.EIO, syscall.EIO, syscall.EIO}, 8},
		{"a disk with 6 bytes left", FullAfter(6), []error{nil, nil, syscall.ENOSPC, nil, syscall.ENOSPC, nil}, 6},
		{"a full disk", FullAfter(0), []error{syscall.ENOSPC, nil, syscall.ENOSPC, nil, syscall.ENOSPC, nil}, 0},
		{"two at once", Hooks(FailSync(1), FullAfter(8)), []error{nil, syscall.EIO, nil, nil, syscall.ENOSPC, nil}, 8},
		{"the third change", Nth(3, Changes, fs.ErrPermission), // after the create and the first write
			[]error{nil, fs.ErrPermission, nil, nil, nil, nil}, 12},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := NewMemory()
			f, err := Inject(m, test.hook).Create("/f")
			must(t, err)
			for i, want := range test.want {
				var err error
				if i%2 == 0 {
					_, err = f.WriteAt([]byte("text"), int64(i/2*4))
				} else {
					err = f.Sync()
				}
				if !errors.Is(err, want) {
					t.Errorf("step %d: %v, want %v", i, err, want)
				}
			}
			if info, _ := m.Stat("/f"); info.Size() != test.size {
				t.Errorf("the file has %d bytes, want %d", info.Size(), test.size)
			}
		})
	}
}

func TestShortWriteTellsHowMuch(t *testing.T) {
	m := NewMemory()
	f, err := Inject(m, Nth(1, func(op Op) bool { return op.Kind == OpWriteAt }, &ShortWrite{3, syscall.EIO})).Create("/f")
	must(t, err)
	if n, err := f.WriteAt([]byte("text"), 0); n != 3 || !errors.Is(err, syscall.EIO) {
		t.Errorf("WriteAt = %d, %v", n, err)
	}
	wantTree(t, m, "/", "f = tex\n")
}

func TestOpLogRendersTheOrderOfOperations(t *testing.T) {
	m := NewMemory()
	must(t, m.MkdirAll("/data"))
	log := &OpLog{Root: "/data/"}
	fsys := Inject(m, log.Hook)
	must(t, fsys.MkdirAll("/data/a"))
	f, err := fsys.Create("/data/a/f.tmp")
	must(t, err)
	_, err = f.WriteAt([]byte("text"), 0)
	must(t, err)
	must(t, f.Truncate(3))
	must(t, f.Sync())
	must(t, f.SyncData())
	must(t, f.Close())
	must(t, fsys.Rename("/data/a/f.tmp", "/data/a/f"))
	must(t, fsys.SyncDir("/data/a"))
	must(t, fsys.Remove("/data/a/f"))
	want := `mkdirall a
create a/f.tmp
write a/f.tmp 0+4
truncate a/f.tmp to 3
sync a/f.tmp
syncdata a/f.tmp
rename a/f.tmp -> a/f
syncdir a
remove a/f
`
	if diff := cmp.Diff(want, log.Take()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	log.Keep = func(op Op) bool { return op.Kind == OpReadAt || op.Kind == OpStat }
	g := durableFile(t, m, "/data/g", "text")
	must(t, g.Close())
	g, err = fsys.OpenRead("/data/g")
	must(t, err)
	must(t, second(g.ReadAt(make([]byte, 2), 1)))
	must(t, second(fsys.Stat("/data/g")))
	if diff := cmp.Diff("read g 1+2\nstat g\n", log.Take()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
