package broker

import "github.com/barnabas-mq/barnabas/internal/vfs"

// noSync is a file system that forces nothing to the disk. What was written is there for every later process of this machine, until the
// power goes.
type noSync struct{ vfs.FS }

type noSyncFile struct{ vfs.File }

func (noSyncFile) Sync() error     { return nil }
func (noSyncFile) SyncData() error { return nil }

func (noSync) SyncDir(string) error { return nil }
func (noSync) SyncFS(string) error  { return nil }

func (n noSync) Create(name string) (vfs.File, error)   { return noSyncOf(n.FS.Create(name)) }
func (n noSync) Open(name string) (vfs.File, error)     { return noSyncOf(n.FS.Open(name)) }
func (n noSync) OpenRead(name string) (vfs.File, error) { return noSyncOf(n.FS.OpenRead(name)) }

func noSyncOf(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return noSyncFile{f}, nil
}
