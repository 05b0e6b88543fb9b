//go:build !linux

package vfs

import "os"

// syncs is for Linux, where two calls that make one file durable need a descriptor each; see there.
type (
	syncs struct{}
	twins struct{}
)

func (*syncs) close() {}

func (*syncs) full(f *os.File, _ *twins) error { return f.Sync() }
func (*syncs) data(f *os.File, _ *twins) error { return syncData(f) }
