package broker_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// A real file system of a few megabytes, filled by producers: what they were acknowledged is there after a restart, also while the disk is
// still full, and the metadata beside it can still be read. It needs the right to mount one.
func TestARealFullDisk(t *testing.T) {
	for name, set := range map[string][]string{
		"with a reserve":    {"log.dirs.reserved.bytes=2097152"},
		"without a reserve": {"log.dirs.reserved.bytes=0"},
	} { // any order: separate disks
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
				t.Skipf("a small file system cannot be mounted here: %v", err)
			}
			t.Cleanup(func() {
				// Detached: a broker keeps a descriptor on each disk for syncfs, until the garbage collector closes it.
				if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
					t.Error(err)
				}
			})
			logs := filepath.Join(dir, "logs")
			r := start(t, []string{logs}, append(set, "log.segment.bytes=1048576")...)
			r.dial().CreateTopic("t", 4)
			p := r.produce("t", 4, 10_000)
			p.all.Wait()
			for code := range p.codes { // any order: each is looked at
				if code != kafka.None && code != kafka.KafkaStorageError {
					t.Errorf("a producer was told %v", code)
				}
			}
			if p.codes[kafka.KafkaStorageError] != 8 || len(p.acked) < 100 {
				t.Errorf("%d acknowledged, codes %v", len(p.acked), p.codes)
			}
			c := r.dial()
			if name == "with a reserve" {
				p.mustHave(t, c, "t", 4) // still served
				c.CreateTopic("another", 1)
			}
			r.stop()
			if name == "without a reserve" {
				// Recovery writes indexes and checkpoints, and says so when it cannot; with a little room it goes through.
				if err := os.WriteFile(filepath.Join(dir, "proof"), make([]byte, 1<<20), 0o600); err == nil {
					t.Error("the disk was not full")
				}
				os.Remove(filepath.Join(dir, "proof"))
				if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=12m"); err != nil {
					t.Fatal(err)
				}
			}
			r.start()
			c = r.dial()
			p.mustHave(t, c, "t", 4)
			r.stop()
		})
	}
}
