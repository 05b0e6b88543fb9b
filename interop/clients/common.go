package clients

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/barnabas-mq/barnabas/interop/rig"
)

// moduleVersion is the version of a Go module that this one pins. (A test binary does not carry it in its build information.)
func moduleVersion(path string) (string, error) {
	root, err := rig.Root()
	if err != nil {
		return "", err
	}
	mod, err := os.ReadFile(filepath.Join(root, "interop", "go.mod"))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(mod)) {
		if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == path {
			return fields[1], nil
		}
	}
	return "", fmt.Errorf("interop/go.mod does not require %s", path)
}

// firstOf waits for n results and returns the first error.
func firstOf(ctx context.Context, errs <-chan error, n int) error {
	for i := range n {
		select {
		case err := <-errs:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return fmt.Errorf("%d of %d records acknowledged: %w", i, n, ctx.Err())
		}
	}
	return nil
}

// pace spreads records over time.
type pace struct {
	every time.Duration
	next  time.Time
}

func newPace(every time.Duration) *pace { return &pace{every: every, next: time.Now()} }

func (p *pace) wait(ctx context.Context) {
	if p.every <= 0 {
		return
	}
	p.next = p.next.Add(p.every)
	if d := time.Until(p.next); d > 0 {
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
	}
}
