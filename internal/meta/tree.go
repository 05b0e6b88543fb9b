package meta

import (
	"iter"
	"slices"
)

// tree is an immutable sorted map: a B+ tree whose changes copy the path from the root to one leaf and share the rest.
//
// Changes go through an edit: nodes made within one edit belong to it and are changed in place, so that a batch of many
// changes copies each node once. After freeze nothing reachable is ever written again. The zero tree needs cmp set.
type tree[K, V any] struct {
	cmp  func(K, K) int
	root *node[K, V]
	len  int
}

// nodeMax is the number of entries of a full node: three levels hold 32,768 entries at least half full.
const nodeMax = 64

// edit is an owner's mark; it is compared by address, so it must not be of size zero.
type edit struct{ _ byte }

// node is a leaf (kids nil: keys[i] -> vals[i]) or an inner node: keys[i] separates kids[i-1] from kids[i], no key below kids[i]
// is smaller. keys[0] is the separator that the parent has for the node; on the left edge it is not looked at.
type node[K, V any] struct {
	owner *edit
	keys  []K
	vals  []V
	kids  []*node[K, V]
}

func (t *tree[K, V]) get(k K) (v V, ok bool) {
	n := t.root
	if n == nil {
		return v, false
	}
	for n.kids != nil {
		n = n.kids[n.child(t.cmp, k)]
	}
	i, ok := slices.BinarySearchFunc(n.keys, k, t.cmp)
	if !ok {
		return v, false
	}
	return n.vals[i], true
}

// child is the index of the kid that k belongs below.
func (n *node[K, V]) child(cmp func(K, K) int, k K) int {
	lo, hi := 1, len(n.kids) // the answer is the last i with keys[i] <= k, or 0
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if cmp(n.keys[mid], k) <= 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo - 1
}

// own is n itself if e may change it, else a copy that e may change.
func (n *node[K, V]) own(e *edit) *node[K, V] {
	if n.owner == e {
		return n
	}
	c := &node[K, V]{owner: e, keys: append(make([]K, 0, nodeMax+1), n.keys...)}
	if n.kids != nil {
		c.kids = append(make([]*node[K, V], 0, nodeMax+1), n.kids...)
	} else {
		c.vals = append(make([]V, 0, nodeMax+1), n.vals...)
	}
	return c
}

// set adds or replaces k.
func (t *tree[K, V]) set(e *edit, k K, v V) {
	if t.root == nil {
		t.root = &node[K, V]{owner: e, keys: []K{k}, vals: []V{v}}
		t.len = 1
		return
	}
	root, right, added := t.root.set(e, t.cmp, k, v)
	if right != nil {
		root = &node[K, V]{owner: e, keys: []K{root.keys[0], right.keys[0]}, kids: []*node[K, V]{root, right}}
	}
	t.root = root
	if added {
		t.len++
	}
}

// set returns the changed node and, when it had to be split, the node that now follows it.
func (n *node[K, V]) set(e *edit, cmp func(K, K) int, k K, v V) (self, right *node[K, V], added bool) {
	n = n.own(e)
	if n.kids == nil {
		i, found := slices.BinarySearchFunc(n.keys, k, cmp)
		if found {
			n.vals[i] = v
			return n, nil, false
		}
		n.keys = slices.Insert(n.keys, i, k)
		n.vals = slices.Insert(n.vals, i, v)
		return n, n.split(e), true
	}
	i := n.child(cmp, k)
	kid, next, added := n.kids[i].set(e, cmp, k, v)
	n.kids[i] = kid
	if next != nil {
		n.keys = slices.Insert(n.keys, i+1, next.keys[0])
		n.kids = slices.Insert(n.kids, i+1, next)
	}
	return n, n.split(e), added
}

// split halves an overfull node and returns the new right half, nil if n is not overfull.
func (n *node[K, V]) split(e *edit) *node[K, V] {
	if len(n.keys) <= nodeMax {
		return nil
	}
	cut := len(n.keys) / 2
	r := &node[K, V]{owner: e, keys: append(make([]K, 0, nodeMax+1), n.keys[cut:]...)}
	clear(n.keys[cut:])
	n.keys = n.keys[:cut]
	if n.kids != nil {
		r.kids = append(make([]*node[K, V], 0, nodeMax+1), n.kids[cut:]...)
		clear(n.kids[cut:])
		n.kids = n.kids[:cut]
	} else {
		r.vals = append(make([]V, 0, nodeMax+1), n.vals[cut:]...)
		clear(n.vals[cut:])
		n.vals = n.vals[:cut]
	}
	return r
}

// delete removes k if it is there.
func (t *tree[K, V]) delete(e *edit, k K) {
	if _, ok := t.get(k); !ok {
		return
	}
	t.root = t.root.delete(e, t.cmp, k)
	t.len--
	for t.root.kids != nil && len(t.root.kids) == 1 {
		t.root = t.root.kids[0]
	}
	if len(t.root.keys) == 0 {
		t.root = nil
	}
}

// delete removes k, which is below n. n may end up empty.
func (n *node[K, V]) delete(e *edit, cmp func(K, K) int, k K) *node[K, V] {
	n = n.own(e)
	if n.kids == nil {
		i, _ := slices.BinarySearchFunc(n.keys, k, cmp)
		n.keys = slices.Delete(n.keys, i, i+1)
		n.vals = slices.Delete(n.vals, i, i+1)
		return n
	}
	i := n.child(cmp, k)
	n.kids[i] = n.kids[i].delete(e, cmp, k)
	// Keep the tree dense: a kid that fell to a quarter is joined with a neighbour, if the two fit into one node.
	if len(n.kids[i].keys) <= nodeMax/4 && len(n.kids) > 1 {
		l := max(i-1, 0)
		a, b := n.kids[l], n.kids[l+1]
		if len(a.keys)+len(b.keys) <= nodeMax {
			a = a.own(e)
			a.keys = append(a.keys, b.keys...) // of inner nodes, b.keys[0] is the separator that n has for b
			a.vals = append(a.vals, b.vals...)
			a.kids = append(a.kids, b.kids...)
			n.kids[l] = a
			n.keys = slices.Delete(n.keys, l+1, l+2)
			n.kids = slices.Delete(n.kids, l+1, l+2)
		}
	}
	return n
}

// from yields the entries whose key is k or follows it, in order.
func (t *tree[K, V]) from(k K) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		if t.root != nil {
			t.root.from(t.cmp, k, yield)
		}
	}
}

func (n *node[K, V]) from(cmp func(K, K) int, k K, yield func(K, V) bool) bool {
	if n.kids == nil {
		i, _ := slices.BinarySearchFunc(n.keys, k, cmp)
		for ; i < len(n.keys); i++ {
			if !yield(n.keys[i], n.vals[i]) {
				return false
			}
		}
		return true
	}
	i := n.child(cmp, k)
	if !n.kids[i].from(cmp, k, yield) {
		return false
	}
	for i++; i < len(n.kids); i++ {
		if !n.kids[i].each(yield) {
			return false
		}
	}
	return true
}

// all yields every entry in order.
func (t *tree[K, V]) all() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		if t.root != nil {
			t.root.each(yield)
		}
	}
}

func (n *node[K, V]) each(yield func(K, V) bool) bool {
	for i, v := range n.vals {
		if !yield(n.keys[i], v) {
			return false
		}
	}
	for _, kid := range n.kids {
		if !kid.each(yield) {
			return false
		}
	}
	return true
}
