package vfs

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// The test binary runs itself as the second process that a lock is about: it takes the lock named in the environment, says so
// in one line, and holds it until its input ends.
func TestMain(m *testing.M) {
	if name := os.Getenv("VFS_TEST_LOCK"); name != "" {
		os.Exit(holdLock(name))
	}
	os.Exit(m.Run())
}

func holdLock(name string) int {
	lock, err := OS().Lock(name, "the other process")
	var locked *LockedError
	switch {
	case errors.As(err, &locked):
		os.Stdout.WriteString("refused: " + locked.Holder + "\n")
		return 0
	case err != nil:
		os.Stdout.WriteString("error: " + err.Error() + "\n")
		return 1
	}
	os.Stdout.WriteString("locked\n")
	io.Copy(io.Discard, os.Stdin)
	lock.Close()
	return 0
}

// otherProcess starts a second process that tries to take the lock. release ends it; kill ends it the hard way.
func otherProcess(t *testing.T, name string) (said string, release, kill func()) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "VFS_TEST_LOCK="+name)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the second process said nothing: %v", err)
	}
	ended := false
	wait := func() {
		if !ended {
			ended = true
			cmd.Wait()
		}
	}
	t.Cleanup(func() { stdin.Close(); wait() })
	return line[:len(line)-1], func() { stdin.Close(); wait() }, func() { cmd.Process.Kill(); wait() }
}

func TestLockKeepsTheSecondProcessOutAndNamesTheHolder(t *testing.T) {
	name := filepath.Join(t.TempDir(), ".lock")
	os.WriteFile(name, []byte("a longer text left behind by a process that is long gone"), 0o600)

	lock, err := OS().Lock(name, "pid 1 of the test")
	if err != nil {
		t.Fatal(err)
	}
	if said, _, _ := otherProcess(t, name); said != "refused: pid 1 of the test" {
		t.Errorf("while we hold the lock the other process said %q", said)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}

	said, release, _ := otherProcess(t, name)
	if said != "locked" {
		t.Fatalf("after release the other process said %q", said)
	}
	var locked *LockedError
	if _, err := OS().Lock(name, "us again"); !errors.As(err, &locked) || locked.Holder != "the other process" || locked.Name != name {
		t.Errorf("Lock while the other process holds it: %v", err)
	}
	release()
	lock, err = OS().Lock(name, "us again")
	if err != nil {
		t.Fatalf("Lock after the other process released it: %v", err)
	}
	lock.Close()
}

func TestLockOfAKilledProcessIsFree(t *testing.T) {
	name := filepath.Join(t.TempDir(), ".lock")
	said, _, kill := otherProcess(t, name)
	if said != "locked" {
		t.Fatalf("the other process said %q", said)
	}
	kill()
	lock, err := OS().Lock(name, "us")
	if err != nil {
		t.Fatalf("Lock after the holder was killed: %v", err)
	}
	lock.Close()
}

func TestSyncFSOfTheSystemWorksOrSaysItCannot(t *testing.T) {
	dir := t.TempDir()
	system := OS()
	for range 2 { // the second call goes through the remembered descriptor
		err := system.SyncFS(dir)
		if errors.Is(err, errors.ErrUnsupported) {
			t.Skipf("not supported on %s here: %v", runtime.GOOS, err)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
