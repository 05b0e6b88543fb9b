// Package memory is the metadata Store of tests and of the simulator: nothing is kept beyond the process, nothing runs by
// itself, and equal calls give equal results. Time moves only when SetTime says so.
package memory

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/barnabas-mq/barnabas/internal/meta"
	"github.com/barnabas-mq/barnabas/internal/meta/hub"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// Store is a meta.Store in memory.
type Store struct {
	mu       sync.Mutex
	closed   bool
	revision meta.Revision
	keys     []string // sorted
	kvs      map[string]meta.KV
	now      vtime.Instant
	leases   map[meta.LeaseID]lease
	leaseSeq meta.LeaseID
	hub      *hub.Hub
}

type lease struct {
	ttl time.Duration
	end vtime.Instant
}

var _ meta.Store = (*Store)(nil)

// New is an empty store at revision 0.
func New() *Store {
	return &Store{kvs: map[string]meta.KV{}, leases: map[meta.LeaseID]lease{}, hub: hub.New(0)}
}

// Get is meta.Store's.
func (s *Store) Get(ctx context.Context, key string) (meta.KV, bool, error) {
	if err := ctx.Err(); err != nil {
		return meta.KV{}, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return meta.KV{}, false, meta.ErrClosed
	}
	kv, ok := s.kvs[key]
	return kv, ok, nil
}

// List is meta.Store's.
func (s *Store) List(ctx context.Context, prefix string) ([]meta.KV, meta.Revision, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, 0, meta.ErrClosed
	}
	var kvs []meta.KV
	for _, key := range s.under(prefix) {
		kvs = append(kvs, s.kvs[key])
	}
	return kvs, s.revision, nil
}

// under is the keys that start with prefix, as a part of s.keys.
func (s *Store) under(prefix string) []string {
	lo, _ := slices.BinarySearch(s.keys, prefix)
	hi := lo
	for hi < len(s.keys) && strings.HasPrefix(s.keys[hi], prefix) {
		hi++
	}
	return s.keys[lo:hi]
}

// Txn is meta.Store's.
func (s *Store) Txn(ctx context.Context, t meta.Txn) (meta.TxnResult, error) {
	if err := ctx.Err(); err != nil {
		return meta.TxnResult{}, notCommitted{err}
	}
	if err := t.Validate(); err != nil {
		return meta.TxnResult{}, notCommitted{err}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return meta.TxnResult{}, notCommitted{meta.ErrClosed}
	}
	for _, op := range t.Do {
		if _, ok := s.leases[op.Lease]; op.Lease != 0 && !ok {
			return meta.TxnResult{}, notCommitted{meta.ErrNoLease}
		}
	}
	for _, c := range t.If {
		if s.kvs[c.Key].ModRevision != c.Mod {
			return meta.TxnResult{Revision: s.revision}, nil
		}
	}
	s.apply(t.Do)
	return meta.TxnResult{Committed: true, Revision: s.revision}, nil
}

// notCommitted is why nothing happened.
type notCommitted struct{ cause error }

func (e notCommitted) Error() string   { return e.cause.Error() }
func (e notCommitted) Unwrap() []error { return []error{meta.ErrNotCommitted, e.cause} }

func (s *Store) apply(ops []meta.Op) {
	rev := s.revision + 1
	b := meta.Batch{Revision: rev}
	remove := func(key string) {
		if i, ok := slices.BinarySearch(s.keys, key); ok {
			s.keys = slices.Delete(s.keys, i, i+1)
			delete(s.kvs, key)
			b.Events = append(b.Events, meta.Event{KV: meta.KV{Key: key, ModRevision: rev}, Deleted: true})
		}
	}
	for _, op := range ops {
		switch op.Kind {
		case meta.OpPut:
			kv := meta.KV{Key: op.Key, Value: slices.Clone(op.Value), CreateRevision: rev, ModRevision: rev, Lease: op.Lease}
			if old, ok := s.kvs[op.Key]; ok {
				kv.CreateRevision = old.CreateRevision
			} else {
				i, _ := slices.BinarySearch(s.keys, op.Key)
				s.keys = slices.Insert(s.keys, i, op.Key)
			}
			s.kvs[op.Key] = kv
			b.Events = append(b.Events, meta.Event{KV: kv})
		case meta.OpDelete:
			remove(op.Key)
		case meta.OpDeletePrefix:
			for _, key := range slices.Clone(s.under(op.Key)) {
				remove(key)
			}
		}
	}
	if len(b.Events) == 0 {
		return
	}
	slices.SortFunc(b.Events, func(a, b meta.Event) int { return strings.Compare(a.KV.Key, b.KV.Key) })
	s.revision = rev
	s.hub.Publish(b)
}

// Watch is meta.Store's.
func (s *Store) Watch(ctx context.Context, prefix string, from meta.Revision) (meta.Watcher, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.hub.Watch(prefix, from)
}

// Compact forgets the changes up to and including revision at, as a store does that ran out of room for them.
func (s *Store) Compact(at meta.Revision) { s.hub.Compact(at) }

// SetTime moves the store's clock and ends the leases that ran out, in the order of their ends. Time never goes back.
func (s *Store) SetTime(now vtime.Instant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = max(s.now, now)
	var over []meta.LeaseID
	for id, l := range s.leases { // any order: sorted below
		if !s.now.Before(l.end) {
			over = append(over, id)
		}
	}
	slices.SortFunc(over, func(a, b meta.LeaseID) int {
		if d := int64(s.leases[a].end) - int64(s.leases[b].end); d != 0 {
			if d < 0 {
				return -1
			}
			return 1
		}
		return int(a - b)
	})
	for _, id := range over {
		s.end(id)
	}
}

// end deletes a lease and its keys.
func (s *Store) end(id meta.LeaseID) {
	delete(s.leases, id)
	var ops []meta.Op
	for _, key := range s.keys {
		if s.kvs[key].Lease == id {
			ops = append(ops, meta.Delete(key))
		}
	}
	s.apply(ops)
}

// Grant is meta.Store's.
func (s *Store) Grant(ctx context.Context, ttl time.Duration) (meta.LeaseID, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, meta.ErrClosed
	}
	s.leaseSeq++
	s.leases[s.leaseSeq] = lease{ttl, s.now.Add(ttl)}
	return s.leaseSeq, nil
}

// KeepAlive is meta.Store's.
func (s *Store) KeepAlive(ctx context.Context, id meta.LeaseID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return meta.ErrClosed
	}
	l, ok := s.leases[id]
	if !ok {
		return meta.ErrNoLease
	}
	s.leases[id] = lease{l.ttl, s.now.Add(l.ttl)}
	return nil
}

// Revoke is meta.Store's.
func (s *Store) Revoke(ctx context.Context, id meta.LeaseID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return meta.ErrClosed
	}
	if _, ok := s.leases[id]; !ok {
		return meta.ErrNoLease
	}
	s.end(id)
	return nil
}

// Close is meta.Store's.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.hub.Close()
	return nil
}
