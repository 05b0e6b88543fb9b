package vfs

import (
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Memory is a file system in memory that knows what would survive a power cut. It promises a program exactly what POSIX does
// and no more, so it is harsher than any one real file system:
//
//   - bytes and sizes are durable after Sync or SyncData of that file, or SyncFS;
//   - a name (made, removed or renamed) is durable after SyncDir of its folder, or SyncFS. Syncing a file does not save the
//     name that leads to it, and syncing a name does not save the file's bytes. A rename from one folder to another needs both
//     folders synced;
//   - a rename is atomic, and what was durable stays durable until it is changed.
//
// What is not durable is in the hands of Crash. Names are taken from the root whether they begin with a slash or not.
type Memory struct {
	mu     sync.RWMutex
	root   *inode
	clock  func() time.Time
	nextID int64

	total int64 // size of the disk
	used  int64 // bytes of pages that live files hold

	// The changes of names since they were last made durable, oldest first, and the newest of them by name and by inode.
	pending     []*nameOp
	lastOfName  map[nameKey]*nameOp
	lastOfInode map[*inode]*nameOp
}

// memoryTotal is the size of a disk that nobody limited.
const memoryTotal = 1 << 40

// NewMemory makes an empty file system of 1 TiB whose clock is time.Now.
func NewMemory() *Memory {
	m := &Memory{clock: time.Now, total: memoryTotal, lastOfName: map[nameKey]*nameOp{}, lastOfInode: map[*inode]*nameOp{}}
	m.root = m.newDir()
	return m
}

// SetClock sets where modification times come from.
func (m *Memory) SetClock(clock func() time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clock = clock
}

// SetTotal sets the size of the disk in bytes. Writing what does not fit fails with ENOSPC after as many whole pages as do fit.
// Removing files, and truncating them, gives room back; a removed file that is still open holds its room.
func (m *Memory) SetTotal(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total = bytes
}

// inode is a file or a folder, whatever its name is at the moment.
type inode struct {
	id      int64
	modTime time.Time

	// A folder's names as they are, and as they would be after a power cut. Both nil for a file.
	names   map[string]*inode
	durable map[string]*inode

	// A file's contents; see memory_file.go.
	now       image         // as a reader sees it
	synced    image         // as it was at the last sync
	syncFloor int           // pages of synced below this index are still right where now's were not written since
	written   []int         // pages of now written since the last sync, maybe with repeats
	unsynced  []contentOp   // what happened since then, in order
	unsyncedN int64         // bytes of data that unsynced holds
	linked    bool          // a name leads here
	handles   int           // open files
	lock      *memoryLocked // who holds it as a lock file
}

func (n *inode) isDir() bool { return n.names != nil }

func (m *Memory) newInode() *inode {
	m.nextID++
	return &inode{id: m.nextID, modTime: m.clock(), linked: true}
}

func (m *Memory) newDir() *inode {
	n := m.newInode()
	n.names, n.durable = map[string]*inode{}, map[string]*inode{}
	return n
}

func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// parts splits a name into its folders and the last element; none for the root.
func parts(name string) []string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" {
		return nil
	}
	return strings.Split(name, "/")
}

// find walks to name.
func (m *Memory) find(name string) (*inode, error) { return m.walk(parts(name)) }

func (m *Memory) walk(elems []string) (*inode, error) {
	n := m.root
	for _, elem := range elems {
		if !n.isDir() {
			return nil, syscall.ENOTDIR
		}
		next := n.names[elem]
		if next == nil {
			return nil, fs.ErrNotExist
		}
		n = next
	}
	return n, nil
}

// findDir walks to a folder.
func (m *Memory) findDir(name string) (*inode, error) {
	n, err := m.find(name)
	if err == nil && !n.isDir() {
		return nil, syscall.ENOTDIR
	}
	return n, err
}

// place walks to the folder that holds name and answers it with the last element. The root is in no folder.
func (m *Memory) place(name string) (dir *inode, last string, err error) {
	elems := parts(name)
	if len(elems) == 0 {
		return nil, "", fs.ErrInvalid
	}
	dir, err = m.walk(elems[:len(elems)-1])
	if err == nil && !dir.isDir() {
		err = syscall.ENOTDIR
	}
	return dir, elems[len(elems)-1], err
}

func (m *Memory) Create(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.create(name)
	if err != nil {
		return nil, pathError("create", name, err)
	}
	m.truncate(n, 0)
	return m.handle(n, name, true), nil
}

// create answers the file called name, making it when it is missing.
func (m *Memory) create(name string) (*inode, error) {
	dir, last, err := m.place(name)
	if err != nil {
		return nil, err
	}
	n := dir.names[last]
	switch {
	case n == nil:
		n = m.newInode()
		m.changeNames(n, nameChange{dir, last, n})
	case n.isDir():
		return nil, syscall.EISDIR
	}
	return n, nil
}

func (m *Memory) Open(name string) (File, error)     { return m.open(name, true) }
func (m *Memory) OpenRead(name string) (File, error) { return m.open(name, false) }

func (m *Memory) open(name string, writable bool) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err == nil && n.isDir() {
		err = syscall.EISDIR
	}
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return m.handle(n, name, writable), nil
}

func (m *Memory) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, last, err := m.place(name)
	if err == nil {
		err = m.remove(dir, last)
	}
	return pathError("remove", name, err)
}

func (m *Memory) remove(dir *inode, last string) error {
	n := dir.names[last]
	switch {
	case n == nil:
		return fs.ErrNotExist
	case len(n.names) > 0:
		return syscall.ENOTEMPTY
	}
	m.changeNames(n, nameChange{dir, last, nil})
	m.unlink(n)
	return nil
}

// unlink gives back the room of a file that no name leads to, unless somebody has it open.
func (m *Memory) unlink(n *inode) {
	n.linked = false
	m.reclaim(n)
}

func (m *Memory) reclaim(n *inode) {
	if !n.linked && n.handles == 0 {
		m.used -= n.now.bytes()
		n.now = image{}
	}
}

func (m *Memory) RemoveAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, last, err := m.place(name)
	if err == nil {
		err = m.removeAll(dir, last)
	}
	if err == fs.ErrNotExist {
		return nil
	}
	return pathError("removeall", name, err)
}

func (m *Memory) removeAll(dir *inode, last string) error {
	n := dir.names[last]
	if n == nil {
		return fs.ErrNotExist
	}
	for _, inner := range sortedNames(n.names) {
		if err := m.removeAll(n, inner); err != nil {
			return err
		}
	}
	return m.remove(dir, last)
}

// Rename refuses to replace a folder, as os.Rename does.
func (m *Memory) Rename(oldname, newname string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return pathError("rename", oldname+" to "+newname, m.rename(oldname, newname))
}

func (m *Memory) rename(oldname, newname string) error {
	from, oldLast, err := m.place(oldname)
	if err != nil {
		return err
	}
	to, newLast, err := m.place(newname)
	if err != nil {
		return err
	}
	n, replaced := from.names[oldLast], to.names[newLast]
	switch {
	case n == nil:
		return fs.ErrNotExist
	case n == replaced:
		return nil
	case replaced != nil && replaced.isDir():
		return fs.ErrExist
	case replaced != nil && n.isDir():
		return syscall.ENOTDIR
	case n.isDir() && strings.HasPrefix(path.Clean("/"+newname)+"/", path.Clean("/"+oldname)+"/"):
		return fs.ErrInvalid
	}
	m.changeNames(n, nameChange{from, oldLast, nil}, nameChange{to, newLast, n})
	if replaced != nil {
		m.unlink(replaced)
	}
	return nil
}

func (m *Memory) MkdirAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir := m.root
	for _, elem := range parts(name) {
		next := dir.names[elem]
		switch {
		case next == nil:
			next = m.newDir()
			m.changeNames(next, nameChange{dir, elem, next})
		case !next.isDir():
			return pathError("mkdir", name, syscall.ENOTDIR)
		}
		dir = next
	}
	return nil
}

func (m *Memory) ReadDir(name string) ([]fs.DirEntry, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	dir, err := m.findDir(name)
	if err != nil {
		return nil, pathError("readdir", name, err)
	}
	entries := make([]fs.DirEntry, 0, len(dir.names))
	for _, last := range sortedNames(dir.names) {
		entries = append(entries, fs.FileInfoToDirEntry(dir.names[last].info(last)))
	}
	return entries, nil
}

func sortedNames(names map[string]*inode) []string {
	sorted := make([]string, 0, len(names))
	for name := range names { // any order: sorted below
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	return sorted
}

func (m *Memory) Stat(name string) (fs.FileInfo, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	n, err := m.find(name)
	if err != nil {
		return nil, pathError("stat", name, err)
	}
	return n.info(path.Base(path.Clean("/" + name))), nil
}

func (m *Memory) SyncDir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, err := m.findDir(name)
	if err != nil {
		return pathError("syncdir", name, err)
	}
	m.commitNames(dir)
	return nil
}

func (m *Memory) SyncFS(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.find(name); err != nil {
		return pathError("syncfs", name, err)
	}
	m.commitAllNames()
	m.eachFile(m.root, (*inode).sync)
	return nil
}

// eachFile calls do for each file that a name leads to, in the order of the names.
func (m *Memory) eachFile(dir *inode, do func(*inode)) {
	for _, last := range sortedNames(dir.names) {
		if n := dir.names[last]; n.isDir() {
			m.eachFile(n, do)
		} else {
			do(n)
		}
	}
}

func (m *Memory) Usage(name string) (Usage, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if _, err := m.find(name); err != nil {
		return Usage{}, pathError("usage", name, err)
	}
	return Usage{Total: m.total, Free: max(0, m.total-m.used)}, nil
}

// memoryLocked is a lock that is held.
type memoryLocked struct {
	m      *Memory
	n      *inode
	holder string
}

func (m *Memory) Lock(name, holder string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.create(name)
	if err != nil {
		return nil, pathError("lock", name, err)
	}
	if n.lock != nil {
		return nil, &LockedError{Name: name, Holder: n.lock.holder}
	}
	m.truncate(n, 0)
	if _, err := m.write(n, []byte(holder), 0); err != nil {
		return nil, pathError("lock", name, err)
	}
	n.lock = &memoryLocked{m, n, holder}
	return n.lock, nil
}

// Close releases the lock; a second Close does nothing.
func (l *memoryLocked) Close() error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	if l.n.lock == l {
		l.n.lock = nil
	}
	return nil
}

type memoryInfo struct {
	name    string
	size    int64
	modTime time.Time
	dir     bool
}

func (n *inode) info(name string) fs.FileInfo {
	return memoryInfo{name, n.now.size, n.modTime, n.isDir()}
}

func (i memoryInfo) Name() string       { return i.name }
func (i memoryInfo) Size() int64        { return i.size }
func (i memoryInfo) ModTime() time.Time { return i.modTime }
func (i memoryInfo) IsDir() bool        { return i.dir }
func (i memoryInfo) Sys() any           { return nil }
func (i memoryInfo) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | dirMode
	}
	return fileMode
}
