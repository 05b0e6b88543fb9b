package meta

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// check looks at the tree's inner order and returns its contents.
func (t *tree[K, V]) check(fail func(string, ...any)) {
	if t.root == nil {
		if t.len != 0 {
			fail("an empty tree of length %d", t.len)
		}
		return
	}
	n, depth := 0, -1
	var walk func(node *node[K, V], level int)
	walk = func(nd *node[K, V], level int) {
		if len(nd.keys) > nodeMax {
			fail("a node of %d entries", len(nd.keys))
		}
		if nd.kids == nil {
			if depth >= 0 && depth != level {
				fail("leaves at depths %d and %d", depth, level)
			}
			depth = level
			n += len(nd.keys)
			if len(nd.keys) != len(nd.vals) {
				fail("%d keys, %d values", len(nd.keys), len(nd.vals))
			}
			return
		}
		if len(nd.keys) != len(nd.kids) || len(nd.vals) != 0 {
			fail("an inner node of %d keys, %d kids, %d values", len(nd.keys), len(nd.kids), len(nd.vals))
		}
		for i, k := range nd.kids {
			if k.kids != nil && i > 0 && t.cmp(k.keys[0], nd.keys[i]) != 0 {
				fail("a node begins at %v, its parent says %v", k.keys[0], nd.keys[i])
			}
			walk(k, level+1)
		}
	}
	walk(t.root, 0)
	if n != t.len {
		fail("%d entries, length %d", n, t.len)
	}
}

func TestTreeEqualsAMapAndOldVersionsStay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		space := rapid.SampledFrom([]int{10, 300, 5000}).Draw(rt, "space")
		now := tree[int, int]{cmp: cmp.Compare[int]}
		twin := map[int]int{}
		type version struct {
			tree tree[int, int]
			twin map[int]int
		}
		var old []version
		compare := func(v version) {
			v.tree.check(rt.Fatalf)
			got := map[int]int{}
			last := -1
			for k, x := range v.tree.all() {
				if k <= last {
					rt.Fatalf("%d after %d", k, last)
				}
				last = k
				got[k] = x
			}
			if !maps.Equal(got, v.twin) {
				rt.Fatalf("got %v, want %v", got, v.twin)
			}
		}
		for range rapid.IntRange(1, 8).Draw(rt, "edits") {
			e := new(edit)
			next := now
			ascending := rapid.Bool().Draw(rt, "ascending")
			deleting := rapid.IntRange(0, 3).Draw(rt, "deleting") == 0
			seed := rapid.IntRange(0, space-1).Draw(rt, "seed")
			twin = maps.Clone(twin)
			for i := range rapid.IntRange(0, 600).Draw(rt, "changes") {
				k := (seed + i) % space
				if !ascending {
					k = (seed + i*7919) % space
				}
				if deleting {
					next.delete(e, k)
					delete(twin, k)
				} else {
					next.set(e, k, i)
					twin[k] = i
				}
			}
			now = next
			old = append(old, version{now, twin})
			k := rapid.IntRange(-1, space).Draw(rt, "look")
			x, ok := now.get(k)
			if y, has := twin[k]; ok != has || x != y {
				rt.Fatalf("get %d: %d %v, want %d %v", k, x, ok, y, has)
			}
			var from []int
			for got := range now.from(k) {
				if from = append(from, got); len(from) == 70 {
					break // leaving early must work, too
				}
			}
			want := slices.Sorted(maps.Keys(twin))
			want = want[slices.IndexFunc(append(want, space+1), func(x int) bool { return x >= k }):]
			if want = want[:min(70, len(want))]; !slices.Equal(from, want) {
				rt.Fatalf("from %d: %v, want %v", k, from, want)
			}
		}
		for _, v := range old {
			compare(v)
		}
	})
}

func TestTreeShrinksToNothing(t *testing.T) {
	tr := tree[string, int]{cmp: cmp.Compare[string]}
	e := new(edit)
	for i := range 3000 {
		tr.set(e, fmt.Sprint(i), i)
	}
	for i := range 3000 {
		tr.delete(new(edit), fmt.Sprint(i))
		if i%500 == 0 {
			tr.check(t.Fatalf)
		}
	}
	if tr.root != nil || tr.len != 0 {
		t.Fatalf("root %v, length %d", tr.root, tr.len)
	}
	tr.set(e, "again", 1)
	if v, ok := tr.get("again"); !ok || v != 1 {
		t.Fatal("an emptied tree takes nothing")
	}
}
