//go:build unix

package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// serving starts serve as a process of its own on a directory of the test, and returns when it serves.
func serving(t *testing.T, dir string) (cmd *exec.Cmd, log *bufio.Scanner) {
	t.Helper()
	cmd = exec.CommandContext(t.Context(), os.Args[0], "serve", "--data-dir", dir, "--listeners", "PLAINTEXT://127.0.0.1:0", "--admin-addr", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), "BARNABAS_TEST_AS_COMMAND=1")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	log = bufio.NewScanner(stderr)
	for log.Scan() {
		if strings.Contains(log.Text(), "broker started") {
			return cmd, log
		}
	}
	t.Fatal("the broker does not start")
	return nil, nil
}

// timeout, npm and others send a signal to the process and once more to its group. The second is no reason to leave without a clean shutdown.
func TestASignalThatComesTwiceIsOneOrderlyStop(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		dir := t.TempDir()
		cmd, log := serving(t, dir)
		stop := make(chan struct{})
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); { // a second ctrl-C counts after a second
				select {
				case <-stop:
					return
				default:
					cmd.Process.Signal(s)
				}
			}
		}()
		for log.Scan() {
		}
		close(stop)
		<-sent
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v again and again: %v, want exit 0", s, err)
		}
		if _, err := os.Stat(filepath.Join(dir, ".kafka_cleanshutdown")); err != nil {
			t.Errorf("%v again and again: no mark of a clean shutdown: %v", s, err)
		}
	}
}
