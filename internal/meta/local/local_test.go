package local

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"github.com/barnabas-mq/barnabas/internal/meta"
	"github.com/barnabas-mq/barnabas/internal/meta/metatest"
)

func TestConformance(t *testing.T) {
	metatest.Run(t, metatest.Harness{
		Open: func(t testing.TB) meta.Store {
			dir, err := os.MkdirTemp("", "meta")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			s, err := Open(filepath.Join(dir, "meta.db"), Options{NoSync: true})
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		Compact: func(s meta.Store, at meta.Revision) { s.(*Store).Compact(at) },
		Sleep: func(_ meta.Store, d time.Duration) {
			time.Sleep(d) // of the bubble: costs nothing
			synctest.Wait()
		},
	})
}

func mustOpen(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t testing.TB, s *Store, key, value string) meta.Revision {
	t.Helper()
	res, err := s.Txn(t.Context(), meta.Txn{Do: []meta.Op{meta.Put(key, []byte(value))}})
	if err != nil {
		t.Fatal(err)
	}
	return res.Revision
}

func dump(t testing.TB, s *Store) string {
	t.Helper()
	kvs, at, err := s.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "at %d\n", at)
	for _, kv := range kvs {
		fmt.Fprintf(&b, "%s=%s %d %d\n", kv.Key, kv.Value, kv.CreateRevision, kv.ModRevision)
	}
	return b.String()
}

func TestRevisionsGoOnAfterReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meta.db")
	s := mustOpen(t, path)
	put(t, s, "a", "1")
	put(t, s, "a", "2")
	before := dump(t, s)
	s.Close()
	s = mustOpen(t, path)
	if got := dump(t, s); got != before {
		t.Fatalf("got %s, want %s", got, before)
	}
	if r := put(t, s, "b", "1"); r != 3 {
		t.Fatalf("revision %d", r)
	}
	// What happened in an earlier life of the process is not kept for watchers, and they are told.
	w, err := s.Watch(t.Context(), "", 1)
	if err != nil {
		t.Fatal(err)
	}
	var missed *meta.CompactedError
	if _, err := w.Next(t.Context()); !errors.As(err, &missed) || missed.Oldest != 3 {
		t.Fatalf("got %v", err)
	}
}

func TestLeasedKeysDoNotOutliveTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meta.db")
	s := mustOpen(t, path)
	id, err := s.Grant(t.Context(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Txn(t.Context(), meta.Txn{Do: []meta.Op{{Kind: meta.OpPut, Key: "live", Lease: id}, meta.Put("stays", nil)}}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if got := dump(t, mustOpen(t, path)); got != "at 2\nstays= 1 1\n" {
		t.Fatal(got)
	}
}

// TestLateTimerDoesNotEndAKeptLease: the timer fires, waits for the lock, and a KeepAlive gets there first.
func TestLateTimerDoesNotEndAKeptLease(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "meta.db"))
	id, err := s.Grant(t.Context(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	s.expire(id, s.leases[id])
	if err := s.KeepAlive(t.Context(), id); err != nil {
		t.Fatalf("a lease with an hour to go was ended: %v", err)
	}
	s.leases[id].end = time.Now()
	s.expire(id, s.leases[id])
	if err := s.KeepAlive(t.Context(), id); !errors.Is(err, meta.ErrNoLease) {
		t.Fatalf("a lease whose time was up lives on: %v", err)
	}
}

func TestSecondOpenIsRefusedAndNamesThePath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meta.db")
	mustOpen(t, path)
	begin := time.Now()
	_, err := Open(path, Options{LockTimeout: 20 * time.Millisecond})
	var locked *LockedError
	if !errors.As(err, &locked) || !strings.Contains(err.Error(), path) {
		t.Fatalf("got %v", err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Fatalf("it hung for %v", took)
	}
}

func TestFirstOpenByTwoAtOnceMakesOneFile(t *testing.T) {
	for range 20 {
		path := filepath.Join(t.TempDir(), "meta.db")
		results := make(chan error, 2)
		for i := range 2 {
			go func() {
				s, err := Open(path, Options{LockTimeout: 10 * time.Second, NoSync: true})
				if err == nil {
					_, err = s.Txn(context.Background(), meta.Txn{Do: []meta.Op{meta.Put(fmt.Sprint(i), nil)}})
					s.Close()
				}
				results <- err
			}()
		}
		for range 2 {
			if err := <-results; err != nil {
				t.Fatal(err)
			}
		}
		if got := dump(t, mustOpen(t, path)); !strings.HasPrefix(got, "at 2\n0=") {
			t.Fatalf("a change was lost: %s", got)
		}
		if left, _ := filepath.Glob(path + ".new-*"); len(left) > 0 {
			t.Fatalf("left behind: %v", left)
		}
	}
}

// TestCopyTakenAtAnyMomentIsTheLastCommit copies the file after each commit, which is what a kill leaves, and opens the copy.
func TestCopyTakenAtAnyMomentIsTheLastCommit(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "meta.db")
	s := mustOpen(t, path)
	for i := range 30 {
		put(t, s, fmt.Sprintf("k%d", i%7), strings.Repeat("v", i*40))
		want := dump(t, s)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		copied := filepath.Join(dir, fmt.Sprintf("copy%d", i))
		if err := os.WriteFile(copied, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		c := mustOpen(t, copied)
		if got := dump(t, c); got != want {
			t.Fatalf("after commit %d: got %s, want %s", i, got, want)
		}
		c.Close()
	}
}

// TestTornCommitIsTheOneBefore mixes the pages of two neighbouring commits: any part of the newer one may have reached the disk
// when the power went, but its root, written last, has not.
func TestTornCommitIsTheOneBefore(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "meta.db")
	s := mustOpen(t, path)
	const page = 4096
	for i := range 12 {
		put(t, s, fmt.Sprintf("k%d", i), strings.Repeat("v", i*100))
		old, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want := dump(t, s)
		put(t, s, fmt.Sprintf("n%d", i), strings.Repeat("w", i*150))
		now, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []int{1, 2, 3} {
			torn := bytes.Clone(now)
			copy(torn[:2*page], old[:2*page]) // both roots as they were
			for p := 2 * page; p < len(old); p += page * step {
				copy(torn[p:], old[p:min(p+page, len(old))])
			}
			name := filepath.Join(dir, fmt.Sprintf("torn%d-%d", i, step))
			if err := os.WriteFile(name, torn, 0o600); err != nil {
				t.Fatal(err)
			}
			c := mustOpen(t, name)
			if got := dump(t, c); got != want {
				t.Fatalf("commit %d, every %d. page old: got %s, want %s", i, step, got, want)
			}
			c.Close()
		}
	}
}

// TestDamageIsAnErrorNeverACrash flips, zeroes and cuts. A damaged file either opens with the contents it had, or is refused.
func TestDamageIsAnErrorNeverACrash(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "meta.db")
	s := mustOpen(t, path)
	for i := range 60 {
		put(t, s, fmt.Sprintf("topics/%04d", i), strings.Repeat("value ", 50))
	}
	want := dump(t, s)
	s.Close()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	refused := 0
	rapid.Check(t, func(rt *rapid.T) {
		raw := bytes.Clone(good)
		switch rapid.IntRange(0, 2).Draw(rt, "kind") {
		case 0:
			at := rapid.IntRange(0, len(raw)-1).Draw(rt, "at")
			raw[at] ^= byte(rapid.IntRange(1, 255).Draw(rt, "mask"))
		case 1:
			at := rapid.IntRange(0, len(raw)/4096-1).Draw(rt, "page") * 4096
			clear(raw[at : at+4096])
		case 2:
			raw = raw[:rapid.IntRange(0, len(raw)).Draw(rt, "length")]
		}
		n++
		name := filepath.Join(dir, fmt.Sprintf("bad%d", n))
		if err := os.WriteFile(name, raw, 0o600); err != nil {
			rt.Fatal(err)
		}
		defer os.Remove(name)
		c, err := Open(name, Options{NoSync: true})
		if err != nil {
			refused++
			if !strings.Contains(err.Error(), name) {
				rt.Fatalf("the error does not name the file: %v", err)
			}
			return
		}
		defer c.Close()
		got := dump(t, c)
		// A root that was lost leaves the one before, which is a state that was committed, too.
		if got != want && !strings.HasPrefix(got, "at 59\n") {
			rt.Fatalf("a damaged file opened with other contents:\n%s", got)
		}
	})
	if refused == 0 {
		t.Fatal("no damage was noticed")
	}
}

func TestUnreadableFilesAreRefusedWithACure(t *testing.T) {
	dir := t.TempDir()
	newer := filepath.Join(dir, "newer.db")
	s := mustOpen(t, newer)
	put(t, s, "a", "1")
	s.Close()
	db, err := bolt.Open(newer, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketStore).Put(keyFormat, binary.BigEndian.AppendUint64(nil, formatVersion+1))
	})
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	foreign := filepath.Join(dir, "foreign.db")
	if err := os.WriteFile(foreign, bytes.Repeat([]byte("not a database\n"), 2000), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty.db")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, says string }{
		{newer, "newer build"},
		{foreign, "damaged"},
		{empty, "empty"},
		{dir, "is a directory"},
		{filepath.Join(dir, "no", "such", "folder", "meta.db"), "no such file"},
	} {
		_, err := Open(c.path, Options{})
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want it to say %q", c.path, err, c.says)
		}
	}
}

func TestFailedWriteStopsWritingButNotReading(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meta.db")
	var file *os.File
	s, err := Open(path, Options{openFile: func(name string, flag int, mode os.FileMode) (_ *os.File, err error) {
		file, err = os.OpenFile(name, flag, mode)
		return file, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	put(t, s, "a", "1")
	file.Close() // the next write fails in the middle of a commit; what is mapped can still be read
	_, err = s.Txn(t.Context(), meta.Txn{Do: []meta.Op{meta.Put("a", []byte("2"))}})
	var failed *FailedError
	if !errors.As(err, &failed) || errors.Is(err, meta.ErrNotCommitted) {
		t.Fatalf("an unknown outcome was reported as %v", err)
	}
	_, err = s.Txn(t.Context(), meta.Txn{Do: []meta.Op{meta.Put("a", []byte("3"))}})
	if !errors.As(err, &failed) || !errors.Is(err, meta.ErrNotCommitted) {
		t.Fatalf("a store that failed took another change: %v", err)
	}
	if got := dump(t, s); got != "at 1\na=1 1 1\n" {
		t.Fatalf("reading: %s", got)
	}
}

// TestKilledProcess kills a writer and looks at what it said it had committed.
func TestKilledProcess(t *testing.T) {
	if path := os.Getenv("META_TEST_WRITER"); path != "" {
		s, err := Open(path, Options{})
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		for i := 1; ; i++ {
			_, err := s.Txn(context.Background(), meta.Txn{Do: []meta.Op{meta.Put("n", []byte(fmt.Sprint(i))), meta.Put(fmt.Sprintf("k%d", i%50), bytes.Repeat([]byte("x"), i%700))}})
			if err != nil {
				fmt.Println("error", err)
				os.Exit(1)
			}
			fmt.Println(i)
		}
	}
	path := filepath.Join(t.TempDir(), "meta.db")
	for _, lines := range []int{1, 7, 40} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledProcess$")
		cmd.Env = append(os.Environ(), "META_TEST_WRITER="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		acked := 0
		for range lines {
			if _, err := fmt.Fscanln(out, &acked); err != nil {
				t.Fatal(err)
			}
		}
		cmd.Process.Kill()
		cmd.Wait()
		s := mustOpen(t, path)
		kv, _, err := s.Get(t.Context(), "n")
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		fmt.Sscan(string(kv.Value), &n)
		if n < acked {
			t.Fatalf("the writer said %d, the file says %d", acked, n)
		}
		s.Close()
	}
}

func TestChecksumCoversTheKey(t *testing.T) {
	kv := meta.KV{Key: "a", Value: []byte("v"), CreateRevision: 1, ModRevision: 2, Lease: 3}
	s := &Store{path: "x"}
	packed := pack(kv)
	got, err := s.unpack([]byte("a"), packed)
	if err != nil || got.Key != "a" || string(got.Value) != "v" || got.CreateRevision != 1 || got.ModRevision != 2 || got.Lease != 3 {
		t.Fatalf("%+v %v", got, err)
	}
	if _, err := s.unpack([]byte("b"), packed); err == nil {
		t.Fatal("the value was taken for another key's")
	}
	for i := range packed {
		bad := slices.Clone(packed)
		bad[i] ^= 1
		if _, err := s.unpack([]byte("a"), bad); err == nil {
			t.Fatalf("a flipped bit in byte %d was not noticed", i)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "meta.db")
	s := mustOpen(b, path)
	for i := range 100 {
		put(b, s, fmt.Sprintf("topics/%04d", i), strings.Repeat("v", 200))
	}
	s.Close()
	for b.Loop() {
		s, err := Open(path, Options{})
		if err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}
