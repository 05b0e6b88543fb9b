// Package metatest is what every metadata Store must do, as tests: one suite for all of them. Imported by tests only.
package metatest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/barnabas-mq/barnabas/internal/meta"
)

// Harness is how the suite reaches a Store.
type Harness struct {
	// Open makes an empty store. The suite closes it.
	Open func(testing.TB) meta.Store
	// Compact makes the store forget the changes up to and including a revision.
	Compact func(meta.Store, meta.Revision)
	// Sleep lets time pass for the store's leases. The suite calls it within a synctest bubble.
	Sleep func(meta.Store, time.Duration)
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	for _, c := range []struct {
		name string
		fn   func(*testing.T, Harness)
	}{
		{"a key keeps its create revision until it is deleted", testHistory},
		{"list is sorted and bounded by the prefix", testList},
		{"a transaction happens wholly or not at all", testConditions},
		{"what changes nothing takes no revision", testNothingChanged},
		{"a prefix is deleted with all below it", testDeletePrefix},
		{"malformed transactions are refused", testMalformed},
		{"nobody can change a value from outside", testNoAliases},
		{"a watcher sees each change once and in order", testWatch},
		{"a watcher may begin in the past and in the future", testWatchFrom},
		{"a watcher hears that it missed something", testCompacted},
		{"a waiting watcher ends with its context, with Close and with the store", testWatchEnds},
		{"concurrent increments are never lost", testIncrements},
		{"random transactions equal a dumb twin", testTwin},
		{"leased keys go with their lease", testLeases},
		{"a closed store says so", testClosed},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) { c.fn(t, h) })
	}
}

func open(t testing.TB, h Harness) meta.Store {
	s := h.Open(t)
	t.Cleanup(func() { s.Close() })
	return s
}

func do(t testing.TB, s meta.Store, ops ...meta.Op) meta.Revision {
	t.Helper()
	res, err := s.Txn(context.Background(), meta.Txn{Do: ops})
	if err != nil || !res.Committed {
		t.Fatalf("committed %v, %v", res.Committed, err)
	}
	return res.Revision
}

func put(key, value string) meta.Op { return meta.Put(key, []byte(value)) }

func get(t testing.TB, s meta.Store, key string) (meta.KV, bool) {
	t.Helper()
	kv, ok, err := s.Get(context.Background(), key)
	if err != nil {
		t.Fatal(err)
	}
	return kv, ok
}

func keys(t testing.TB, s meta.Store, prefix string) []string {
	t.Helper()
	kvs, _, err := s.List(context.Background(), prefix)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, kv := range kvs {
		out = append(out, kv.Key+"="+string(kv.Value))
	}
	return out
}

func next(t testing.TB, w meta.Watcher) meta.Batch {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	b, err := w.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// show is a batch as text: "3: +a=x -b".
func show(b meta.Batch) string {
	s := fmt.Sprintf("%d:", b.Revision)
	for _, ev := range b.Events {
		if ev.KV.ModRevision != b.Revision {
			s += fmt.Sprintf(" (mod %d)", ev.KV.ModRevision)
		}
		if ev.Deleted {
			s += " -" + ev.KV.Key
		} else {
			s += " +" + ev.KV.Key + "=" + string(ev.KV.Value)
		}
	}
	return s
}

func testHistory(t *testing.T, h Harness) {
	s := open(t, h)
	if _, ok := get(t, s, "a"); ok {
		t.Fatal("an absent key was found")
	}
	r1 := do(t, s, put("a", "1"))
	r2 := do(t, s, put("a", "2"), put("b", ""))
	if r1 != 1 || r2 != 2 {
		t.Fatalf("revisions %d, %d", r1, r2)
	}
	kv, _ := get(t, s, "a")
	if diff := cmp.Diff(meta.KV{Key: "a", Value: []byte("2"), CreateRevision: 1, ModRevision: 2}, kv); diff != "" {
		t.Fatal(diff)
	}
	if kv, ok := get(t, s, "b"); !ok || len(kv.Value) != 0 {
		t.Fatalf("an empty value was lost: %v %v", kv, ok)
	}
	do(t, s, meta.Delete("a"))
	if _, ok := get(t, s, "a"); ok {
		t.Fatal("a deleted key was found")
	}
	do(t, s, put("a", "3"))
	if kv, _ := get(t, s, "a"); kv.CreateRevision != 4 || kv.ModRevision != 4 {
		t.Fatalf("made again: %+v", kv)
	}
}

func testList(t *testing.T, h Harness) {
	s := open(t, h)
	kvs, at, err := s.List(context.Background(), "")
	if err != nil || at != 0 || len(kvs) != 0 {
		t.Fatalf("an empty store lists %v at %d, %v", kvs, at, err)
	}
	do(t, s, put("b/2", "x"), put("b/10", "y"), put("a", "z"), put("b", "w"), put("b0", "v"))
	if got := keys(t, s, "b/"); !slices.Equal(got, []string{"b/10=y", "b/2=x"}) {
		t.Fatal(got)
	}
	if got := keys(t, s, ""); !slices.Equal(got, []string{"a=z", "b=w", "b/10=y", "b/2=x", "b0=v"}) {
		t.Fatal(got)
	}
	_, at, _ = s.List(context.Background(), "none")
	if at != 1 {
		t.Fatalf("listed at %d", at)
	}
}

func testConditions(t *testing.T, h Harness) {
	s := open(t, h)
	do(t, s, put("a", "1"))
	for _, c := range []struct {
		name  string
		conds []meta.Cond
		holds bool
	}{
		{"absent and it is", []meta.Cond{{Key: "n"}}, true},
		{"absent but it is there", []meta.Cond{{Key: "a"}}, false},
		{"modified at its revision", []meta.Cond{{Key: "a", Mod: 1}}, true},
		{"modified at another", []meta.Cond{{Key: "a", Mod: 2}}, false},
		{"modified, but it is absent", []meta.Cond{{Key: "n", Mod: 1}}, false},
		{"one of two", []meta.Cond{{Key: "a", Mod: 1}, {Key: "a"}}, false},
	} {
		_, before, _ := s.List(context.Background(), "")
		res, err := s.Txn(context.Background(), meta.Txn{If: c.conds, Do: []meta.Op{put("x", c.name), put("y", c.name)}})
		if err != nil || res.Committed != c.holds {
			t.Fatalf("%s: committed %v, %v", c.name, res.Committed, err)
		}
		kv, _ := get(t, s, "x")
		if wrote := string(kv.Value) == c.name; wrote != c.holds {
			t.Fatalf("%s: written %v", c.name, wrote)
		}
		if want := before + map[bool]meta.Revision{true: 1, false: 0}[c.holds]; res.Revision != want {
			t.Fatalf("%s: revision %d, want %d", c.name, res.Revision, want)
		}
	}
}

func testNothingChanged(t *testing.T, h Harness) {
	s := open(t, h)
	do(t, s, put("a", "1"))
	for _, ops := range [][]meta.Op{nil, {meta.Delete("none")}, {meta.DeletePrefix("none/")}} {
		if r := do(t, s, ops...); r != 1 {
			t.Fatalf("%v took revision %d", ops, r)
		}
	}
	if r := do(t, s, put("a", "1")); r != 2 {
		t.Fatalf("a put of the same value is a change, but the revision is %d", r)
	}
}

func testDeletePrefix(t *testing.T, h Harness) {
	s := open(t, h)
	do(t, s, put("p/1", ""), put("p/2", ""), put("p", ""), put("q/1", ""))
	w, err := s.Watch(context.Background(), "", 2)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	do(t, s, meta.DeletePrefix("p/"), put("r", ""))
	if got := show(next(t, w)); got != "2: -p/1 -p/2 +r=" {
		t.Fatal(got)
	}
	if got := keys(t, s, ""); !slices.Equal(got, []string{"p=", "q/1=", "r="}) {
		t.Fatal(got)
	}
}

func testMalformed(t *testing.T, h Harness) {
	s := open(t, h)
	for _, ops := range [][]meta.Op{
		{put("", "x")},
		{put(strings.Repeat("k", meta.KeyBytesMax+1), "x")},
		{meta.Put("a", make([]byte, meta.ValueBytesMax+1))},
		{put("a", "x"), put("a", "y")},
		{put("a", "x"), meta.Delete("a")},
		{put("a/1", "x"), meta.DeletePrefix("a/")},
		{meta.DeletePrefix("a"), meta.DeletePrefix("a/")},
		{{Kind: 9, Key: "a"}},
		{{Kind: meta.OpDelete, Key: "a", Lease: 1}},
		{{Kind: meta.OpPut, Key: "a", Lease: 77}},
	} {
		if _, err := s.Txn(context.Background(), meta.Txn{Do: ops}); !errors.Is(err, meta.ErrNotCommitted) {
			t.Errorf("%.80v: %v", ops, err)
		}
	}
	if _, at, _ := s.List(context.Background(), ""); at != 0 {
		t.Fatalf("something was written: revision %d", at)
	}
	big := bytes.Repeat([]byte("v"), meta.ValueBytesMax)
	key := strings.Repeat("k", meta.KeyBytesMax)
	do(t, s, meta.Put(key, big))
	if kv, _ := get(t, s, key); !bytes.Equal(kv.Value, big) {
		t.Fatal("the largest key and value were not kept")
	}
}

func testNoAliases(t *testing.T, h Harness) {
	s := open(t, h)
	w, err := s.Watch(context.Background(), "", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	mine := []byte("value")
	do(t, s, meta.Put("a", mine))
	mine[0] = 'X'
	if kv, _ := get(t, s, "a"); string(kv.Value) != "value" {
		t.Fatalf("the store took the caller's memory: %q", kv.Value)
	}
	if got := show(next(t, w)); got != "1: +a=value" {
		t.Fatalf("the watcher saw the caller's memory: %s", got)
	}
}

func testWatch(t *testing.T, h Harness) {
	s := open(t, h)
	all, err := s.Watch(context.Background(), "", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	some, err := s.Watch(context.Background(), "b/", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer some.Close()
	do(t, s, put("b/1", "x"), put("a", "y"), put("b/0", "z"))
	do(t, s, put("a", "2"))
	do(t, s, meta.Delete("b/1"), put("c", ""))
	for _, want := range []string{"1: +a=y +b/0=z +b/1=x", "2: +a=2", "3: -b/1 +c="} {
		if got := show(next(t, all)); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	for _, want := range []string{"1: +b/0=z +b/1=x", "3: -b/1"} {
		if got := show(next(t, some)); got != want {
			t.Fatalf("under b/: got %s, want %s", got, want)
		}
	}
}

func testWatchFrom(t *testing.T, h Harness) {
	s := open(t, h)
	for i := range 5 {
		do(t, s, put("k", fmt.Sprint(i)))
	}
	past, err := s.Watch(context.Background(), "", 3)
	if err != nil {
		t.Fatal(err)
	}
	defer past.Close()
	if got := show(next(t, past)); got != "3: +k=2" {
		t.Fatal(got)
	}
	future, err := s.Watch(context.Background(), "", 7)
	if err != nil {
		t.Fatal(err)
	}
	defer future.Close()
	do(t, s, put("k", "six"))
	do(t, s, put("k", "seven"))
	if got := show(next(t, future)); got != "7: +k=seven" {
		t.Fatal(got)
	}
}

func testCompacted(t *testing.T, h Harness) {
	s := open(t, h)
	w, err := s.Watch(context.Background(), "", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for i := range 5 {
		do(t, s, put("k", fmt.Sprint(i)))
	}
	if got := show(next(t, w)); got != "1: +k=0" {
		t.Fatal(got)
	}
	h.Compact(s, 3)
	_, err = w.Next(context.Background())
	var missed *meta.CompactedError
	if !errors.As(err, &missed) || missed.Wanted != 2 || missed.Oldest != 4 {
		t.Fatalf("got %v", err)
	}
	again, err := s.Watch(context.Background(), "", 4)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got := show(next(t, again)); got != "4: +k=3" {
		t.Fatal(got)
	}
	if kv, _ := get(t, s, "k"); string(kv.Value) != "4" {
		t.Fatal("compaction touched a key")
	}
}

func testWatchEnds(t *testing.T, h Harness) {
	for _, c := range []struct {
		name string
		end  func(meta.Store, meta.Watcher, context.CancelFunc)
		want error
	}{
		{"context", func(_ meta.Store, _ meta.Watcher, cancel context.CancelFunc) { cancel() }, context.Canceled},
		{"watcher", func(_ meta.Store, w meta.Watcher, _ context.CancelFunc) { w.Close() }, meta.ErrClosed},
		{"store", func(s meta.Store, _ meta.Watcher, _ context.CancelFunc) { s.Close() }, meta.ErrClosed},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := open(t, h)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			w, err := s.Watch(ctx, "", 1)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			var got error
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, got = w.Next(ctx)
			}()
			synctest.Wait() // it waits now
			c.end(s, w, cancel)
			<-done
			if !errors.Is(got, c.want) {
				t.Errorf("%s: %v, want %v", c.name, got, c.want)
			}
		})
	}
}

func testIncrements(t *testing.T, h Harness) {
	s := open(t, h)
	w, err := s.Watch(context.Background(), "", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	const writers, each = 4, 25
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for done := 0; done < each; {
				kv, _, err := s.Get(context.Background(), "n")
				if err != nil {
					t.Error(err)
					return
				}
				n := 0
				fmt.Sscan(string(kv.Value), &n)
				res, err := s.Txn(context.Background(), meta.Txn{
					If: []meta.Cond{{Key: "n", Mod: kv.ModRevision}}, Do: []meta.Op{put("n", fmt.Sprint(n+1))}})
				if err != nil {
					t.Error(err)
					return
				}
				if res.Committed {
					done++
				}
			}
		})
	}
	for i := 1; i <= writers*each; i++ {
		if got, want := show(next(t, w)), fmt.Sprintf("%d: +n=%d", i, i); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	wg.Wait()
}

// testTwin runs random transactions against the store and a map, and rebuilds the state from the watch as well.
func testTwin(t *testing.T, h Harness) {
	key := rapid.SampledFrom([]string{"a", "a/1", "a/2", "b", "b/x/1", "b/x/2", "c"})
	rapid.Check(t, func(rt *rapid.T) {
		s := h.Open(t)
		defer s.Close()
		ctx := context.Background()
		twin := map[string]meta.KV{}
		seen := map[string]meta.KV{}
		w, err := s.Watch(ctx, "", 1)
		if err != nil {
			rt.Fatal(err)
		}
		defer w.Close()
		revision := meta.Revision(0)
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			var txn meta.Txn
			for _, k := range rapid.SliceOfN(key, 0, 2).Draw(rt, "conds") {
				mod := twin[k].ModRevision
				if rapid.IntRange(0, 9).Draw(rt, "wrong") == 0 {
					mod++
				}
				txn.If = append(txn.If, meta.Cond{Key: k, Mod: mod})
			}
			for i, k := range rapid.SliceOfNDistinct(key, 0, 4, rapid.ID).Draw(rt, "keys") {
				switch rapid.IntRange(0, 5).Draw(rt, "op") {
				case 0:
					txn.Do = append(txn.Do, meta.Delete(k))
				case 1:
					txn.Do = append(txn.Do, meta.DeletePrefix(k))
				default:
					txn.Do = append(txn.Do, put(k, fmt.Sprint(revision, i)))
				}
			}
			res, err := s.Txn(ctx, txn)
			if txn.Validate() != nil {
				if !errors.Is(err, meta.ErrNotCommitted) {
					rt.Fatalf("%v was taken: %v", txn, err)
				}
				continue
			}
			if err != nil {
				rt.Fatal(err)
			}
			holds := !slices.ContainsFunc(txn.If, func(c meta.Cond) bool { return twin[c.Key].ModRevision != c.Mod })
			if res.Committed != holds {
				rt.Fatalf("committed %v, want %v", res.Committed, holds)
			}
			if holds && apply(twin, txn.Do, revision+1) {
				revision++
				b := next(t, w)
				if b.Revision != revision {
					rt.Fatalf("the watch brought revision %d, want %d", b.Revision, revision)
				}
				for _, ev := range b.Events {
					if ev.Deleted {
						delete(seen, ev.KV.Key)
					} else {
						seen[ev.KV.Key] = ev.KV
					}
				}
			}
			if res.Revision != revision {
				rt.Fatalf("revision %d, want %d", res.Revision, revision)
			}
			kvs, at, err := s.List(ctx, "")
			if err != nil || at != revision {
				rt.Fatalf("listed at %d, want %d, %v", at, revision, err)
			}
			listed := map[string]meta.KV{}
			for _, kv := range kvs {
				listed[kv.Key] = kv
			}
			if diff := cmp.Diff(twin, listed); diff != "" {
				rt.Fatalf("list: %s", diff)
			}
			if diff := cmp.Diff(twin, seen); diff != "" {
				rt.Fatalf("watch: %s", diff)
			}
		}
	})
}

// apply is the twin's Txn; it reports whether anything changed.
func apply(m map[string]meta.KV, ops []meta.Op, rev meta.Revision) (changed bool) {
	for _, op := range ops {
		switch op.Kind {
		case meta.OpPut:
			created := rev
			if old, ok := m[op.Key]; ok {
				created = old.CreateRevision
			}
			m[op.Key] = meta.KV{Key: op.Key, Value: op.Value, CreateRevision: created, ModRevision: rev}
			changed = true
		case meta.OpDelete:
			_, had := m[op.Key]
			changed = changed || had
			delete(m, op.Key)
		case meta.OpDeletePrefix:
			for k := range m {
				if strings.HasPrefix(k, op.Key) {
					delete(m, k)
					changed = true
				}
			}
		}
	}
	return changed
}

func testLeases(t *testing.T, h Harness) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, h)
		ctx := context.Background()
		id, err := s.Grant(ctx, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		other, err := s.Grant(ctx, 10*time.Second)
		if err != nil || other == id {
			t.Fatalf("second lease %d, first %d, %v", other, id, err)
		}
		leased := func(key string, l meta.LeaseID) meta.Op {
			return meta.Op{Kind: meta.OpPut, Key: key, Value: []byte("v"), Lease: l}
		}
		do(t, s, leased("a", id), leased("b", id), leased("freed", id), leased("o", other), put("stays", "v"))
		do(t, s, put("freed", "v")) // a put without a lease takes the key out of it
		w, err := s.Watch(ctx, "", 3)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()

		h.Sleep(s, 6*time.Second)
		if err := s.KeepAlive(ctx, id); err != nil {
			t.Fatal(err)
		}
		h.Sleep(s, 6*time.Second)
		if got := show(next(t, w)); got != "3: -o" {
			t.Fatalf("only the lease that was not kept alive ends: %s", got)
		}
		h.Sleep(s, 5*time.Second)
		if got := show(next(t, w)); got != "4: -a -b" {
			t.Fatal(got)
		}
		if got := keys(t, s, ""); !slices.Equal(got, []string{"freed=v", "stays=v"}) {
			t.Fatal(got)
		}
		for name, err := range map[string]error{"KeepAlive": s.KeepAlive(ctx, id), "Revoke": s.Revoke(ctx, id)} {
			if !errors.Is(err, meta.ErrNoLease) {
				t.Fatalf("%s of an ended lease: %v", name, err)
			}
		}
		if _, err := s.Txn(ctx, meta.Txn{Do: []meta.Op{leased("a", id)}}); !errors.Is(err, meta.ErrNoLease) || !errors.Is(err, meta.ErrNotCommitted) {
			t.Fatalf("a put with an ended lease: %v", err)
		}
		id, err = s.Grant(ctx, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		do(t, s, leased("r", id))
		if err := s.Revoke(ctx, id); err != nil {
			t.Fatal(err)
		}
		if _, ok := get(t, s, "r"); ok {
			t.Fatal("the key outlived its revoked lease")
		}
	})
}

func testClosed(t *testing.T, h Harness) {
	s := open(t, h)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	_, _, getErr := s.Get(ctx, "a")
	_, _, listErr := s.List(ctx, "")
	_, txnErr := s.Txn(ctx, meta.Txn{Do: []meta.Op{put("a", "")}})
	_, watchErr := s.Watch(ctx, "", 1)
	_, grantErr := s.Grant(ctx, time.Second)
	for name, err := range map[string]error{
		"Get": getErr, "List": listErr, "Txn": txnErr, "Watch": watchErr, "Grant": grantErr,
		"KeepAlive": s.KeepAlive(ctx, 1), "Revoke": s.Revoke(ctx, 1),
	} {
		if !errors.Is(err, meta.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}
