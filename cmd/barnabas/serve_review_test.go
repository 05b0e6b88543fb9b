package main

import (
	"context"
	"io"
	"strings"
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
