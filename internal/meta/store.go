package meta

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Revision numbers the changes of a Store: 1 is the first, and every transaction that changes something takes the next one.
// It is never reused, also not after a restart. 0 means "never" or "absent".
type Revision int64

// LeaseID names a lease; 0 is "no lease".
type LeaseID int64

// KV is one key with its value and history.
type KV struct {
	Key            string
	Value          []byte   // not to be changed by anyone
	CreateRevision Revision // of the Put that made the key, or made it again after a deletion
	ModRevision    Revision // of the last Put
	Lease          LeaseID  // the key vanishes with it
}

// Event is one key's change. Of a deleted key, KV holds the key and, as ModRevision, the revision of the deletion.
type Event struct {
	KV      KV
	Deleted bool
}

// Batch is what one transaction changed under a watched prefix, whole and in key order.
type Batch struct {
	Revision Revision
	Events   []Event
}

// Cond demands that Key was last modified at Mod; 0 demands that it is absent.
type Cond struct {
	Key string
	Mod Revision
}

// OpKind is what an Op does.
type OpKind int8

// The kinds of Op.
const (
	OpPut          OpKind = iota
	OpDelete              // of a missing key: nothing happens, no event
	OpDeletePrefix        // every key that starts with Key
)

// Op is one change of a transaction.
type Op struct {
	Kind  OpKind
	Key   string
	Value []byte
	Lease LeaseID // OpPut only
}

// Put writes a key.
func Put(key string, value []byte) Op { return Op{Kind: OpPut, Key: key, Value: value} }

// Delete removes a key.
func Delete(key string) Op { return Op{Kind: OpDelete, Key: key} }

// DeletePrefix removes every key that starts with prefix.
func DeletePrefix(prefix string) Op { return Op{Kind: OpDeletePrefix, Key: prefix} }

// Txn is a compare-and-swap: if all of If hold, all of Do happens at one revision; else nothing does. No key may be touched
// by two Ops.
type Txn struct {
	If []Cond
	Do []Op
}

// Bounds of what a Store accepts. They lie well below etcd's own.
const (
	KeyBytesMax   = 1 << 10
	ValueBytesMax = 512 << 10
)

// Validate says why no Store would take t, or nil. Stores call it; the reason is a bug of the caller.
func (t Txn) Validate() error {
	var prefixes []string
	touched := make(map[string]struct{}, len(t.Do))
	for _, op := range t.Do {
		if op.Key == "" || len(op.Key) > KeyBytesMax {
			return fmt.Errorf("metadata transaction: a key is %d bytes long, allowed are 1 to %d", len(op.Key), KeyBytesMax)
		}
		if len(op.Value) > ValueBytesMax {
			return fmt.Errorf("metadata transaction: the value of %q is %d bytes long, the limit is %d", op.Key, len(op.Value), ValueBytesMax)
		}
		switch op.Kind {
		case OpPut, OpDelete:
			if _, twice := touched[op.Key]; twice {
				return fmt.Errorf("metadata transaction: key %q is changed twice", op.Key)
			}
			touched[op.Key] = struct{}{}
		case OpDeletePrefix:
			prefixes = append(prefixes, op.Key)
		default:
			return fmt.Errorf("metadata transaction: unknown operation %d on %q", op.Kind, op.Key)
		}
		if op.Kind != OpPut && op.Lease != 0 {
			return fmt.Errorf("metadata transaction: a deletion of %q carries a lease", op.Key)
		}
	}
	for i, p := range prefixes {
		for _, op := range t.Do {
			if op.Kind != OpDeletePrefix && len(op.Key) >= len(p) && op.Key[:len(p)] == p {
				return fmt.Errorf("metadata transaction: key %q is changed and lies under the deleted prefix %q", op.Key, p)
			}
		}
		for _, q := range prefixes[:i] {
			if n := min(len(p), len(q)); p[:n] == q[:n] {
				return fmt.Errorf("metadata transaction: the deleted prefixes %q and %q overlap", q, p)
			}
		}
	}
	return nil
}

// TxnResult is the outcome of a transaction that was decided.
type TxnResult struct {
	Committed bool     // false: a condition did not hold and nothing happened
	Revision  Revision // of the change; if nothing changed, the Store's current one
}

// Store keeps keys and values, and orders all changes by one revision. It is safe for concurrent use.
//
// What is committed survives the process and the power. An error from Txn leaves open whether it was committed, unless it is
// ErrNotCommitted: look at what the watch brings.
type Store interface {
	// Get returns the key, or ok false if it is absent.
	Get(ctx context.Context, key string) (kv KV, ok bool, err error)

	// List returns every key that starts with prefix, sorted by key, all as of revision at. Watching from at+1 misses nothing.
	List(ctx context.Context, prefix string) (kvs []KV, at Revision, err error)

	// Txn decides t. See Txn, TxnResult.
	Txn(ctx context.Context, t Txn) (TxnResult, error)

	// Watch starts to follow the keys under prefix, beginning with the changes of revision from (at least 1). It may lie in
	// the future. That from is too old is told by the first Next.
	Watch(ctx context.Context, prefix string, from Revision) (Watcher, error)

	// Grant makes a lease that ends after ttl unless kept alive. When it ends, its keys are deleted in one change.
	Grant(ctx context.Context, ttl time.Duration) (LeaseID, error)
	// KeepAlive gives the lease its full ttl again; ErrNoLease if it has ended.
	KeepAlive(ctx context.Context, id LeaseID) error
	// Revoke ends the lease now; ErrNoLease if it has ended.
	Revoke(ctx context.Context, id LeaseID) error

	// Close ends everything: later calls and waiting watchers answer ErrClosed.
	Close() error
}

// Watcher delivers the changes under a prefix, in order, none twice and none left out. For one goroutine at a time.
type Watcher interface {
	// Next waits for the next change. The error is ctx's, ErrClosed, or a *CompactedError after which the watcher is of no
	// more use: List again, and watch from there.
	Next(ctx context.Context) (Batch, error)
	// Close frees the watcher; a waiting Next answers ErrClosed.
	Close()
}

// CompactedError tells a watcher that changes it has not seen are no longer kept.
type CompactedError struct {
	Wanted Revision // the watcher's next revision
	Oldest Revision // the oldest that is still kept
}

func (e *CompactedError) Error() string {
	return fmt.Sprintf("metadata changes from revision %d on were asked for, but only those from %d on are still kept; list the keys again", e.Wanted, e.Oldest)
}

// Errors of a Store, to be tested with errors.Is.
var (
	ErrClosed       = errors.New("the metadata store is closed")
	ErrNoLease      = errors.New("no such lease, it has ended or never was")
	ErrNotCommitted = errors.New("the metadata transaction was not committed")
)
