package broker_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/internal/broker"
	"github.com/barnabas-mq/barnabas/internal/config"
)

// taken is a port that somebody else has.
func taken(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// free is a port that nobody has right now.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func tryStart(t *testing.T, ctx context.Context, dir, listeners, admin string, set ...string) (*broker.Broker, error) {
	t.Helper()
	cfg, _, err := config.Load(config.Args{Flags: []config.Flag{
		{Flag: "--data-dir", Name: "log.dirs", Value: dir}, {Flag: "--listeners", Name: "listeners", Value: listeners}, {Flag: "--admin-addr", Name: "admin.address", Value: admin},
	}, Set: set})
	if err != nil {
		t.Fatal(err)
	}
	return broker.Start(ctx, broker.Options{Config: cfg, Version: "test"})
}

// A start that fails halfway leaves nothing behind: ports, locks and goroutines are free for the next one.
func TestStartThatFailsLeavesNothingOpen(t *testing.T) {
	write := func(name, text string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	nothing := func(*testing.T, string) {}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	for name, c := range map[string]struct {
		ctx              context.Context
		listeners, admin string
		harm             func(*testing.T, string)
		mend             string // a file to remove before the second start
		says             string
	}{
		"second listener taken":  {context.Background(), "PLAINTEXT://%,B://" + taken(t), "127.0.0.1:0", nothing, "", "taken"},
		"admin port taken":       {context.Background(), "PLAINTEXT://%", taken(t), nothing, "", "admin"},
		"metadata damaged":       {context.Background(), "PLAINTEXT://%", "127.0.0.1:0", write("meta.db", strings.Repeat("no bolt ", 4096)), "meta.db", "meta"},
		"data of another node":   {context.Background(), "PLAINTEXT://%", "127.0.0.1:0", write("meta.properties", "version=1\nnode.id=77\ncluster.id=x\ndirectory.id=AAAAAAAAAAAAAAAAAAAAAQ\n"), "meta.properties", "77"},
		"a newer format":         {context.Background(), "PLAINTEXT://%", "127.0.0.1:0", write("barnabas.format", "version=99\n"), "barnabas.format", "99"},
		"told to stop meanwhile": {cancelled, "PLAINTEXT://%", "127.0.0.1:0", nothing, "", "canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, port := t.TempDir(), free(t)
			c.harm(t, dir)
			before := runtime.NumGoroutine()
			_, err := tryStart(t, c.ctx, dir, strings.ReplaceAll(c.listeners, "%", port), c.admin, "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,B:PLAINTEXT")
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("the start said: %v", err)
			}
			for late := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
				if time.Now().After(late) {
					buf := make([]byte, 1<<16)
					t.Fatalf("goroutines are left:\n%s", buf[:runtime.Stack(buf, true)])
				}
			}
			if c.mend != "" {
				if err := os.Remove(filepath.Join(dir, c.mend)); err != nil {
					t.Fatal(err)
				}
			}
			b, err := tryStart(t, context.Background(), dir, "PLAINTEXT://"+port, "127.0.0.1:0")
			if err != nil {
				t.Fatalf("the next start: %v", err)
			}
			if err := b.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
}
