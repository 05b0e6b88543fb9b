package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"
	"testing"
)

// SIGTERM may come while the broker starts: that is an orderly stop, too.
func TestServeToldToStopWhileItStarts(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	a := newApp(strings.NewReader(""), io.Discard, io.Discard, func(string) string { return "" })
	if code := run(ctx, a, []string{"serve", "--data-dir", t.TempDir(), "--listeners", "PLAINTEXT://127.0.0.1:0", "--admin-addr", "127.0.0.1:0"}); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}
}

// Starting again will not help a broker that may not write its data: that has the exit code of hopeless surroundings, and says what would help.
func TestServeWhereItMayNotWrite(t *testing.T) {
	for _, err := range []error{syscall.EACCES, syscall.EPERM, syscall.EROFS} {
		f := new(fault)
		if !errors.As(startFault(fmt.Errorf("make the data directory: %w", &fs.PathError{Op: "mkdir", Path: "/data", Err: err})), &f) || f.code != exitHopeless || f.cure == "" {
			t.Errorf("%v: exit %d, cure %q, want exit %d and a cure", err, f.code, f.cure, exitHopeless)
		}
	}
	f := new(fault)
	if !errors.As(startFault(&fs.PathError{Op: "open", Path: "/data", Err: syscall.EIO}), &f) || f.code != exitFailed {
		t.Errorf("a failed disk: exit %d, want %d: it may be mounted again by then", f.code, exitFailed)
	}
}
