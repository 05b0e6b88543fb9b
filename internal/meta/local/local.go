// Package local is the metadata Store of a single node: one bbolt file, usually <data-dir>/meta.db.
//
// A transaction is on the disk when Txn returns. Revisions go on where they were after a restart; the changes themselves are
// kept in memory only, so a watcher can start at the present but not in an earlier life of the process. Every value carries a
// checksum of its own, since bbolt has one for its roots only. Shell: it locks and writes files; a goroutine runs only while
// a lease runs out.
//
// What may not be done here: end the process. Whatever goes wrong is an error that names the file.
package local

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/barnabas-mq/barnabas/internal/meta"
	"github.com/barnabas-mq/barnabas/internal/meta/hub"
)

// formatVersion is what this build writes and the newest it reads.
const formatVersion = 1

// The file has two buckets: the keys, and what the Store knows of itself.
var (
	bucketKeys  = []byte("keys")
	bucketStore = []byte("store")
	keyFormat   = []byte("format")   // 8 bytes big endian
	keyRevision = []byte("revision") // 8 bytes big endian
)

// Options of a Store.
type Options struct {
	// LockTimeout is how long Open waits for another process to let go of the file. 0 = 200 ms.
	LockTimeout time.Duration
	// NoSync leaves out every fsync: for ephemeral data only.
	NoSync bool

	openFile func(string, int, os.FileMode) (*os.File, error) // for tests that break the file; nil: os.OpenFile
}

// Store is a meta.Store in a file.
type Store struct {
	path string
	db   *bolt.DB
	hub  *hub.Hub

	mu       sync.Mutex // orders writers; readers go to bbolt directly
	revision meta.Revision
	closed   bool
	failed   error // set by a failed commit whose outcome is unknown: nothing is written any more
	leases   map[meta.LeaseID]*lease
	leaseSeq meta.LeaseID
}

type lease struct {
	ttl   time.Duration
	end   time.Time // a timer that fires before it was overtaken by a KeepAlive
	timer *time.Timer
}

var _ meta.Store = (*Store)(nil)

// LockedError says that another process has the file open.
type LockedError struct{ Path string }

func (e *LockedError) Error() string {
	return fmt.Sprintf("metadata file %s is in use by another process; stop the broker that runs on this data directory, or choose another --data-dir", e.Path)
}

// CorruptError says that the file is damaged.
type CorruptError struct {
	Path string
	Err  error
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("metadata file %s is damaged (%v); restore it from a copy, or keep it aside and start without it: topics and their settings are then to be created again", e.Path, e.Err)
}

func (e *CorruptError) Unwrap() error { return e.Err }

// FailedError says that an earlier write failed in a way that leaves open what is on the disk. Nothing more is written until
// the file was opened anew.
type FailedError struct {
	Path string
	Err  error
}

func (e *FailedError) Error() string {
	return fmt.Sprintf("metadata file %s could not be written (%v) and takes no more changes; look after the disk, then restart the broker", e.Path, e.Err)
}

func (e *FailedError) Unwrap() error { return e.Err }

// Open opens the file, or makes it, and reads all of it once, so that damage is found now and not in the middle of the work.
// The error is a *LockedError, a *CorruptError, or what the file system said.
func Open(path string, o Options) (*Store, error) {
	if o.LockTimeout <= 0 {
		o.LockTimeout = 200 * time.Millisecond
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = create(path, o); err == nil {
			info, err = os.Stat(path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("opening metadata file: %w", err)
	}
	if info.Size() == 0 {
		// bbolt would take an empty file for a new one and forget all topics without a word. Our own are never empty.
		return nil, &CorruptError{path, errors.New("it is empty")}
	}
	s := &Store{path: path, leases: map[meta.LeaseID]*lease{}}
	if err := s.open(o); err != nil {
		if s.db != nil {
			s.db.Close()
		}
		return nil, err
	}
	s.hub = hub.New(s.revision)
	// Leased keys spoke for processes that had this file open, and that are gone.
	var stale []meta.Op
	err = s.each("", func(kv meta.KV) {
		if kv.Lease != 0 {
			stale = append(stale, meta.Delete(kv.Key))
		}
	})
	if err == nil {
		_, err = s.commit(stale)
	}
	if err != nil {
		s.db.Close()
		return nil, err
	}
	return s, nil
}

// create makes an empty file that appears under its name only when it is whole, so that a power cut in the middle leaves none.
func create(path string, o Options) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	tmp := f.Name()
	f.Close()
	defer os.Remove(tmp)
	db, err := bolt.Open(tmp, 0o600, &bolt.Options{NoSync: o.NoSync, NoGrowSync: o.NoSync})
	if err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	// A link, unlike a rename, never takes the place of a file that another process just made.
	if err := os.Link(tmp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		if err := os.Rename(tmp, path); err != nil { // a file system without links
			return err
		}
	}
	if o.NoSync {
		return nil
	}
	return syncDir(dir)
}

// syncDir makes a new name durable. Windows has no such call and does not need it.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}

func (s *Store) open(o Options) error {
	err := s.guard(func() (err error) {
		s.db, err = bolt.Open(s.path, 0o600, &bolt.Options{Timeout: o.LockTimeout, NoSync: o.NoSync, NoGrowSync: o.NoSync, FreelistType: bolt.FreelistMapType, OpenFile: o.openFile})
		return err
	})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return &LockedError{s.path}
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, berrors.ErrInvalidMapping):
		return &CorruptError{s.path, err}
	case err != nil:
		return fmt.Errorf("opening metadata file %s: %w", s.path, err)
	}
	return s.guard(func() error {
		return s.db.View(func(tx *bolt.Tx) error {
			b := tx.Bucket(bucketStore)
			if b == nil {
				if tx.Bucket(bucketKeys) != nil {
					return &CorruptError{s.path, errors.New("it has keys but no revision")}
				}
				return nil // a new file; the first transaction makes the buckets
			}
			format, ok1 := number(b.Get(keyFormat))
			revision, ok2 := number(b.Get(keyRevision))
			switch {
			case ok1 && format > formatVersion:
				return fmt.Errorf("metadata file %s has format %d, this build knows up to %d; start a newer build on this data directory", s.path, format, formatVersion)
			case !ok1 || !ok2 || format != formatVersion || revision < 1 || revision > math.MaxInt64:
				return &CorruptError{s.path, errors.New("its format or revision cannot be read")}
			case tx.Bucket(bucketKeys) == nil:
				return &CorruptError{s.path, errors.New("it has a revision but no keys")}
			}
			s.revision = meta.Revision(revision)
			return nil
		})
	})
}

func number(b []byte) (uint64, bool) {
	if len(b) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(b), true
}

// guard turns what bbolt does on a damaged file, panic or read outside the mapping, into an error.
func (s *Store) guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = &CorruptError{s.path, fmt.Errorf("bbolt: %v", r)}
		}
	}()
	return fn()
}

// A stored value: CRC-32C of the key and of all that follows, create revision, mod revision, lease, value.
const headBytes = 4 + 3*8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func pack(kv meta.KV) []byte {
	b := make([]byte, headBytes, headBytes+len(kv.Value))
	binary.BigEndian.PutUint64(b[4:], uint64(kv.CreateRevision))
	binary.BigEndian.PutUint64(b[12:], uint64(kv.ModRevision))
	binary.BigEndian.PutUint64(b[20:], uint64(kv.Lease))
	b = append(b, kv.Value...)
	binary.BigEndian.PutUint32(b, sum(kv.Key, b[4:]))
	return b
}

func sum(key string, rest []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte(key), castagnoli), castagnoli, rest)
}

// unpack copies what it returns: bbolt's memory ends with its transaction.
func (s *Store) unpack(k, v []byte) (meta.KV, error) {
	if len(v) < headBytes || sum(string(k), v[4:]) != binary.BigEndian.Uint32(v) {
		return meta.KV{}, &CorruptError{s.path, fmt.Errorf("the checksum of key %q is wrong", k)}
	}
	return meta.KV{
		Key:            string(k),
		Value:          slices.Clone(v[headBytes:]),
		CreateRevision: meta.Revision(binary.BigEndian.Uint64(v[4:])),
		ModRevision:    meta.Revision(binary.BigEndian.Uint64(v[12:])),
		Lease:          meta.LeaseID(binary.BigEndian.Uint64(v[20:])),
	}, nil
}

// each hands every key under prefix to fn, in order, from one bbolt transaction.
func (s *Store) each(prefix string, fn func(meta.KV)) error {
	return s.view(func(tx *bolt.Tx) error { return s.eachIn(tx, prefix, fn) })
}

func (s *Store) eachIn(tx *bolt.Tx, prefix string, fn func(meta.KV)) error {
	b := tx.Bucket(bucketKeys)
	if b == nil {
		return nil
	}
	c := b.Cursor()
	for k, v := c.Seek([]byte(prefix)); k != nil && bytes.HasPrefix(k, []byte(prefix)); k, v = c.Next() {
		kv, err := s.unpack(k, v)
		if err != nil {
			return err
		}
		fn(kv)
	}
	return nil
}

func (s *Store) view(fn func(tx *bolt.Tx) error) error {
	err := s.guard(func() error { return s.db.View(fn) })
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return meta.ErrClosed
	}
	return err
}

// Get is meta.Store's.
func (s *Store) Get(ctx context.Context, key string) (kv meta.KV, ok bool, err error) {
	if err := ctx.Err(); err != nil {
		return meta.KV{}, false, err
	}
	err = s.view(func(tx *bolt.Tx) (err error) {
		kv, ok, err = s.getIn(tx, key)
		return err
	})
	return kv, ok, err
}

func (s *Store) getIn(tx *bolt.Tx, key string) (meta.KV, bool, error) {
	b := tx.Bucket(bucketKeys)
	if b == nil || key == "" {
		return meta.KV{}, false, nil
	}
	v := b.Get([]byte(key))
	if v == nil {
		return meta.KV{}, false, nil
	}
	kv, err := s.unpack([]byte(key), v)
	return kv, err == nil, err
}

// List is meta.Store's.
func (s *Store) List(ctx context.Context, prefix string) (kvs []meta.KV, at meta.Revision, err error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	err = s.view(func(tx *bolt.Tx) error {
		if b := tx.Bucket(bucketStore); b != nil {
			n, _ := number(b.Get(keyRevision))
			at = meta.Revision(n)
		}
		return s.eachIn(tx, prefix, func(kv meta.KV) { kvs = append(kvs, kv) })
	})
	return kvs, at, err
}

// notCommitted is why nothing happened.
type notCommitted struct{ cause error }

func (e notCommitted) Error() string   { return e.cause.Error() }
func (e notCommitted) Unwrap() []error { return []error{meta.ErrNotCommitted, e.cause} }

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
	if err := s.writable(); err != nil {
		return meta.TxnResult{}, notCommitted{err}
	}
	for _, op := range t.Do {
		if op.Lease != 0 && s.leases[op.Lease] == nil {
			return meta.TxnResult{}, notCommitted{meta.ErrNoLease}
		}
	}
	hold := true
	if len(t.If) > 0 {
		err := s.view(func(tx *bolt.Tx) error {
			for _, c := range t.If {
				kv, _, err := s.getIn(tx, c.Key)
				if err != nil {
					return err
				}
				if kv.ModRevision != c.Mod {
					hold = false
					return nil
				}
			}
			return nil
		})
		if err != nil {
			return meta.TxnResult{}, notCommitted{err}
		}
	}
	if !hold {
		return meta.TxnResult{Revision: s.revision}, nil
	}
	rev, err := s.commit(t.Do)
	if err != nil {
		return meta.TxnResult{}, err
	}
	return meta.TxnResult{Committed: true, Revision: rev}, nil
}

func (s *Store) writable() error {
	if s.closed {
		return meta.ErrClosed
	}
	return s.failed
}

// commit makes the changes durable, then tells the watchers. The caller holds mu, or is Open.
func (s *Store) commit(ops []meta.Op) (meta.Revision, error) {
	if len(ops) == 0 {
		return s.revision, nil
	}
	b := meta.Batch{Revision: s.revision + 1}
	errNothing := errors.New("nothing changed")
	err := s.guard(func() error {
		return s.db.Update(func(tx *bolt.Tx) error {
			if err := s.write(tx, ops, &b); err != nil {
				return err
			}
			if len(b.Events) == 0 {
				return errNothing // roll back: no write, no fsync
			}
			return nil
		})
	})
	switch {
	case errors.Is(err, errNothing):
		return s.revision, nil
	case err != nil && fullDisk(err):
		return 0, notCommitted{fmt.Errorf("writing metadata file %s: %w", s.path, err)}
	case err != nil:
		s.failed = &FailedError{s.path, err}
		return 0, s.failed
	}
	slices.SortFunc(b.Events, func(a, b meta.Event) int { return strings.Compare(a.KV.Key, b.KV.Key) })
	s.revision = b.Revision
	s.hub.Publish(b)
	return s.revision, nil
}

// fullDisk reports whether a write was refused for lack of space. bbolt writes new pages first and its root last, so a
// refused write, unlike a failed sync, certainly did not commit, and may be tried again when there is space.
func fullDisk(err error) bool {
	var pe *fs.PathError
	return errors.As(err, &pe) && pe.Op == "write" && errors.Is(err, syscall.ENOSPC)
}

func (s *Store) write(tx *bolt.Tx, ops []meta.Op, batch *meta.Batch) error {
	self, err := tx.CreateBucketIfNotExists(bucketStore)
	if err != nil {
		return err
	}
	keys, err := tx.CreateBucketIfNotExists(bucketKeys)
	if err != nil {
		return err
	}
	rev := batch.Revision
	remove := func(key string) error {
		batch.Events = append(batch.Events, meta.Event{KV: meta.KV{Key: key, ModRevision: rev}, Deleted: true})
		return keys.Delete([]byte(key))
	}
	for _, op := range ops {
		switch op.Kind {
		case meta.OpPut:
			kv := meta.KV{Key: op.Key, Value: slices.Clone(op.Value), CreateRevision: rev, ModRevision: rev, Lease: op.Lease}
			old, ok, err := s.getIn(tx, op.Key)
			if err != nil {
				return err
			}
			if ok {
				kv.CreateRevision = old.CreateRevision
			}
			if err := keys.Put([]byte(op.Key), pack(kv)); err != nil {
				return err
			}
			batch.Events = append(batch.Events, meta.Event{KV: kv})
		case meta.OpDelete:
			if keys.Get([]byte(op.Key)) != nil {
				if err := remove(op.Key); err != nil {
					return err
				}
			}
		case meta.OpDeletePrefix:
			var under []string // a cursor must not move over what it deletes
			c := keys.Cursor()
			for k, _ := c.Seek([]byte(op.Key)); k != nil && bytes.HasPrefix(k, []byte(op.Key)); k, _ = c.Next() {
				under = append(under, string(k))
			}
			for _, key := range under {
				if err := remove(key); err != nil {
					return err
				}
			}
		}
	}
	if err := self.Put(keyFormat, binary.BigEndian.AppendUint64(nil, formatVersion)); err != nil {
		return err
	}
	return self.Put(keyRevision, binary.BigEndian.AppendUint64(nil, uint64(rev)))
}

// Watch is meta.Store's.
func (s *Store) Watch(ctx context.Context, prefix string, from meta.Revision) (meta.Watcher, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.hub.Watch(prefix, from)
}

// Compact forgets the changes up to and including revision at; only watchers notice.
func (s *Store) Compact(at meta.Revision) { s.hub.Compact(at) }

// Grant is meta.Store's.
func (s *Store) Grant(ctx context.Context, ttl time.Duration) (meta.LeaseID, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.writable(); err != nil {
		return 0, err
	}
	s.leaseSeq++
	id := s.leaseSeq
	l := &lease{ttl: ttl, end: time.Now().Add(ttl)}
	l.timer = time.AfterFunc(ttl, func() { s.expire(id, l) })
	s.leases[id] = l
	return id, nil
}

// expire ends a lease whose time is up. A KeepAlive may have come between the timer and us.
func (s *Store) expire(id meta.LeaseID, l *lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writable() != nil || s.leases[id] != l || time.Now().Before(l.end) {
		return
	}
	// A failed write leaves keys of an ended lease in the file; Open removes them.
	_ = s.end(id)
}

// end deletes a lease and its keys.
func (s *Store) end(id meta.LeaseID) error {
	s.leases[id].timer.Stop()
	delete(s.leases, id)
	var ops []meta.Op
	err := s.each("", func(kv meta.KV) {
		if kv.Lease == id {
			ops = append(ops, meta.Delete(kv.Key))
		}
	})
	if err == nil {
		_, err = s.commit(ops)
	}
	return err
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
	l := s.leases[id]
	if l == nil {
		return meta.ErrNoLease
	}
	l.end = time.Now().Add(l.ttl)
	l.timer.Reset(l.ttl)
	return nil
}

// Revoke is meta.Store's.
func (s *Store) Revoke(ctx context.Context, id meta.LeaseID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.writable(); err != nil {
		return err
	}
	if s.leases[id] == nil {
		return meta.ErrNoLease
	}
	return s.end(id)
}

// Close is meta.Store's.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	for _, l := range s.leases { // any order: they only stop
		l.timer.Stop()
	}
	s.hub.Close()
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("closing metadata file %s: %w", s.path, err)
	}
	return nil
}
