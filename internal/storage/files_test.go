package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"testing"

	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// openCount counts the descriptors that are open through fsys.
type openCount struct {
	vfs.FS
	mu   sync.Mutex
	open int
	most int
}

type countedFile struct {
	vfs.File
	c *openCount
}

func (c *openCount) Open(name string) (vfs.File, error)   { return c.count(c.FS.Open(name)) }
func (c *openCount) Create(name string) (vfs.File, error) { return c.count(c.FS.Create(name)) }

func (c *openCount) count(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open++
	c.most = max(c.most, c.open)
	return &countedFile{f, c}, nil
}

func (f *countedFile) Close() error {
	f.c.mu.Lock()
	f.c.open--
	f.c.mu.Unlock()
	return f.File.Close()
}

func TestFilesStayWithinTheLimit(t *testing.T) {
	c := &openCount{FS: vfs.NewMemory()}
	fl := newFiles(c, 4)
	var hs []*handle
	for i := range 20 {
		h, err := fl.create(fmt.Sprint("/f", i))
		if err != nil {
			t.Fatal(err)
		}
		hs = append(hs, h)
	}
	for round := range 3 {
		for i := range hs {
			h := hs[(i*7+round)%len(hs)]
			f, err := h.pin()
			if err != nil {
				t.Fatal(err)
			}
			if f.Name() != h.path() {
				t.Fatalf("%s gave %s", h.path(), f.Name())
			}
			h.unpin()
		}
	}
	if c.most > 5 || c.open > 4 { // one more while the oldest is being closed
		t.Errorf("%d files were open at once, %d are now; the limit is 4", c.most, c.open)
	}
	// Pinned files are never closed, whatever the limit says.
	var pinned []vfs.File
	for _, h := range hs[:10] {
		f, err := h.pin()
		if err != nil {
			t.Fatal(err)
		}
		pinned = append(pinned, f)
	}
	for _, h := range hs[10:] {
		if _, err := h.pin(); err != nil {
			t.Fatal(err)
		}
		h.unpin()
	}
	for i, f := range pinned {
		if _, err := f.WriteAt([]byte("x"), 0); err != nil {
			t.Errorf("file %d was closed while pinned: %v", i, err)
		}
		hs[i].unpin()
	}
	// A file that was let go closes with its last user and is not opened again.
	f, err := hs[3].pin()
	if err != nil {
		t.Fatal(err)
	}
	hs[3].forget()
	if _, err := f.ReadAt(make([]byte, 1), 0); err != nil {
		t.Errorf("a forgotten file was closed under its user: %v", err)
	}
	hs[3].unpin()
	if _, err := hs[3].pin(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a forgotten file was opened: %v", err)
	}
	for _, h := range hs {
		h.forget()
	}
	if c.open != 0 {
		t.Errorf("%d files are still open", c.open)
	}
}

func TestFilesUnderContention(t *testing.T) {
	c := &openCount{FS: vfs.NewMemory()}
	fl := newFiles(c, 2)
	var hs []*handle
	for i := range 6 {
		h, err := fl.create(fmt.Sprint("/f", i))
		if err != nil {
			t.Fatal(err)
		}
		f, err := h.pin()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte{byte(i)}, 0); err != nil {
			t.Fatal(err)
		}
		h.unpin()
		hs = append(hs, h)
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			b := make([]byte, 1)
			for i := range 2000 {
				k := (i*(w+1) + w) % len(hs)
				f, err := hs[k].pin()
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := f.ReadAt(b, 0); err != nil || b[0] != byte(k) {
					t.Errorf("file %d gave %d, %v", k, b[0], err)
				}
				hs[k].unpin()
			}
		})
	}
	wg.Wait()
	for _, h := range hs {
		h.forget()
	}
	if c.open != 0 {
		t.Errorf("%d files are still open", c.open)
	}
}
