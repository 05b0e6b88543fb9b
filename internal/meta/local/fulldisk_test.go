//go:build linux

package local

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/barnabas-mq/barnabas/internal/meta"
)

// TestFullDisk fills a real small file system. It needs the right to mount one.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	path := filepath.Join(dir, "meta.db")
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { s.Close() }()
	put := func(i int) error {
		_, err := s.Txn(t.Context(), meta.Txn{Do: []meta.Op{meta.Put(fmt.Sprintf("k%03d", i), bytes.Repeat([]byte("v"), 6000))}})
		return err
	}
	n := 0
	for ; err == nil && n < 1000; n++ {
		err = put(n)
	}
	if !errors.Is(err, syscall.ENOSPC) || !errors.Is(err, meta.ErrNotCommitted) {
		t.Fatalf("the disk is full after %d keys: %v", n, err)
	}
	before := dump(t, s)
	if err := put(n); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("once more: %v", err)
	}
	if dump(t, s) != before {
		t.Fatal("a refused change can be seen")
	}
	// Space comes back by deleting; the store was not taken out of service.
	if _, err := s.Txn(t.Context(), meta.Txn{Do: []meta.Op{meta.DeletePrefix("k00")}}); err != nil {
		t.Fatalf("deleting on a full disk: %v", err)
	}
	if err := put(n); err != nil {
		t.Fatalf("with room again: %v", err)
	}
	before = dump(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(path, Options{}); err != nil {
		t.Fatal(err)
	}
	if dump(t, s) != before {
		t.Fatal("the file says something else after reopening")
	}
}
