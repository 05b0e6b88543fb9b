package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

var built struct {
	once sync.Once
	path string
	err  error
}

// Binary is the Barnabas that tests run: $BARNABAS_BIN, or one built from this repository, once per process, without cgo.
func Binary(ctx context.Context) (string, error) {
	if path := os.Getenv("BARNABAS_BIN"); path != "" {
		return filepath.Abs(path)
	}
	built.once.Do(func() {
		root, err := Root()
		if err != nil {
			built.err = err
			return
		}
		// Built aside and renamed: several test binaries do this at once, and each must find a whole file.
		bin := filepath.Join(root, "bin")
		if built.err = os.MkdirAll(bin, 0o755); built.err != nil {
			return
		}
		built.path = filepath.Join(bin, "barnabas-interop")
		fresh := fmt.Sprintf("%s.%d", built.path, os.Getpid())
		// Whoever waits for a broker to start has bounded that, not the work of a compiler on a busy machine. -trimpath lets clones share its cache.
		cmd := exec.CommandContext(context.WithoutCancel(ctx), "go", "build", "-trimpath", "-o", fresh, "./cmd/barnabas")
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("build barnabas: %w\n%s", err, out)
			return
		}
		built.err = os.Rename(fresh, built.path)
	})
	return built.path, built.err
}

// barnabasCommand runs `barnabas serve` with fixed ports, so that a restart comes back at the same address.
func (b *Broker) barnabasCommand(ctx context.Context) ([]string, error) {
	binary := b.opts.Binary
	if binary == "" {
		var err error
		if binary, err = Binary(ctx); err != nil {
			return nil, err
		}
	}
	argv := []string{binary, "serve", "--data-dir", b.DataDir(), "--listeners", "PLAINTEXT://" + b.Addr, "--admin-addr", b.admin}
	for _, k := range sortedKeys(b.opts.Properties) {
		argv = append(argv, "--set", k+"="+b.opts.Properties[k])
	}
	return append(argv, b.opts.Args...), nil
}
